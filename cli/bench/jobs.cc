// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "bus/child_process.h"
#include "bus/random.h"
#include "cli/bench/bench.h"
#include "cli/bench/harness.h"
#include "cli/bench/processor_time.h"
#include "cli/opened_log.h"
#include "projections/apply_group.h"
#include "projections/job_catalog.h"
#include "projections/job_history.h"
#include "projections/registry.h"
#include "web/edge/job_export.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

constexpr double kLimitMs = 50;
constexpr double kWantedRowsPerSecond = 50'000;
constexpr uint64_t kMachines = 20;
constexpr size_t kDistinctWords = 5'000;
constexpr uint64_t kQueriesOfAKind = 60;
constexpr int64_t kFirstStartUs = 1'577'836'800'000'000;  // 2020
constexpr int64_t kBetweenStartsUs = 180'000'000;
constexpr uint64_t kSeed = 7;

// A shop's history: a few files are printed often, most of them once or twice.
class History {
 public:
  explicit History(uint64_t jobs) : jobs_(jobs), random_(kSeed) {
    for (size_t i = 0; i < kDistinctWords; ++i) words_.push_back(new_word());
  }
  const std::string& word(size_t rank) const { return words_[rank]; }

  // The events of job `number`; positions go on from `position`.
  std::vector<RecordedEvent> events_of(uint64_t number, uint64_t& position) {
    const std::string machine = fmt::format("printer-{}", below(kMachines));
    const int64_t start_us = kFirstStartUs + static_cast<int64_t>(number) * kBetweenStartsUs;
    const std::string id = fmt::format("{}.{}", machine, start_us);
    const auto at = from_unix_us(start_us);
    std::vector<EventDraft> drafts;
    schema::JobStartedT started;
    started.job_id = id;
    started.start_us = start_us;
    started.filename = filename();
    started.user = "shop";
    drafts.push_back(draft_of(std::move(started), machine, at));
    schema::JobFinishedT finished;
    finished.job_id = id;
    finished.start_us = start_us;
    finished.evidence = schema::JobEvidence::conclusive;
    finished.outcome = outcome();
    finished.row_status = "completed";
    finished.total_duration = 300 + random_.unit() * 80'000;
    finished.end_us = start_us + static_cast<int64_t>(*finished.total_duration * 1e6);
    finished.filament_used = random_.unit() * 50'000;
    drafts.push_back(draft_of(std::move(finished), machine, at));
    if (below(4) == 0) drafts.push_back(draft_of(annotation(id), machine, at));
    std::vector<RecordedEvent> events;
    for (EventDraft& draft : drafts) {
      ++position;
      events.push_back({Position{position}, at, Envelope::build({machine, 1, position}, draft).value()});
    }
    return events;
  }
  int64_t start_of(double share) const {
    return kFirstStartUs + static_cast<int64_t>(share * static_cast<double>(jobs_)) * kBetweenStartsUs;
  }

 private:
  uint64_t below(uint64_t end) { return random_.next() % end; }

  std::string new_word() {
    constexpr std::string_view kConsonants = "bcdfghklmnprstvw";
    constexpr std::string_view kVowels = "aeiou";
    std::string word;
    for (uint64_t i = 2 + below(3); i > 0; --i) {
      word += kConsonants[below(kConsonants.size())];
      word += kVowels[below(kVowels.size())];
    }
    return word;
  }
  // Ranks as in speech: the tenth word is a tenth as frequent as the first one.
  const std::string& some_word() {
    const double rank = std::pow(static_cast<double>(kDistinctWords), random_.unit()) - 1;
    return words_[static_cast<size_t>(rank)];
  }
  std::string filename() {
    constexpr std::array<std::string_view, 4> kMaterials{"PLA", "PETG", "ABS", "ASA"};
    return fmt::format("plates/{}_{}_v{}_0.{}mm_{}.gcode", some_word(), some_word(), below(9) + 1, below(3) + 1,
                       kMaterials[below(kMaterials.size())]);
  }
  schema::JobOutcome outcome() {
    const uint64_t roll = below(100);
    return roll < 82   ? schema::JobOutcome::completed
           : roll < 92 ? schema::JobOutcome::cancelled
           : roll < 98 ? schema::JobOutcome::failed
                       : schema::JobOutcome::interrupted;
  }
  schema::JobAnnotatedT annotation(const std::string& id) {
    schema::JobAnnotatedT event;
    event.job_id = id;
    event.changed = {"verdict", "tags", "notes"};
    event.verdict = static_cast<schema::JobVerdict>(1 + below(3));
    event.tags = {fmt::format("order {}", below(2'000)), below(2) == 0 ? "customer" : "stock"};
    event.notes = fmt::format("{} {}", some_word(), some_word());
    return event;
  }

  const uint64_t jobs_;
  SeededRandom random_;
  std::vector<std::string> words_;
};

Result<void> fill(ViewStore& store, History& history, uint64_t jobs) {
  const auto projection = make_projection(kJobHistoryView);
  std::vector<RecordedEvent> events;
  uint64_t position = 0;
  for (uint64_t number = 0; number < jobs; ++number) {
    for (RecordedEvent& event : history.events_of(number, position)) events.push_back(std::move(event));
    if (events.size() + 3 < kMaxGroupApplied && number + 1 < jobs) continue;
    const auto group = fold_group(*projection, *store.reader(), events);
    if (!group) return group.error();
    if (auto committed = store.commit(group->writes); !committed) return committed.error();
    events.clear();
  }
  return {};
}

double resident_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

struct Kind {
  std::string_view name;
  std::function<HttpRequest(SeededRandom&)> request;
};

using Query = std::vector<std::pair<std::string, std::string>>;

HttpRequest with(Query query) {
  HttpRequest request;
  request.query = std::move(query);
  return request;
}

// The edge's own answers, without a socket.
class Lists {
 public:
  Lists(const ViewStore& store, JobCatalog& jobs, const Clock& clock)
      : log_(make_memory_event_log(1)),
        metrics_(make_metrics()),
        parts_{loop_, *log_, store, clock, *metrics_, health_},
        context_{parts_, options_, nullptr, &jobs} {}
  std::string answer(const HttpRequest& request) const { return answer_jobs(context_, {request, {}, {}}).body; }
  // The cursor at that place of the list.
  std::string cursor_at(Query query) const {
    query.emplace_back("limit", "1");
    const std::string body = answer(with(std::move(query)));
    constexpr std::string_view kKey = "\"next_cursor\":\"";
    const size_t begin = body.find(kKey);
    if (begin == std::string::npos) return {};
    return body.substr(begin + kKey.size(), body.find('"', begin + kKey.size()) - begin - kKey.size());
  }

 private:
  IoLoop loop_;
  std::unique_ptr<EventLog> log_;
  std::unique_ptr<Metrics> metrics_;
  Health health_;
  const EdgeParts parts_;
  const EdgeOptions options_;
  const RouteContext context_;
};

std::string machine_of(SeededRandom& random) { return fmt::format("printer-{}", random.next() % kMachines); }

std::vector<Kind> kinds(const Lists& lists, const History& history) {
  const auto day = [&history](double share) { return to_rfc3339(from_unix_us(history.start_of(share))); };
  const auto fixed = [](const Query& query) { return [query](SeededRandom&) { return with(query); }; };
  const std::string deep = lists.cursor_at({{"to", day(0.1)}});
  const std::string deep_name = lists.cursor_at({{"sort", "filename"}, {"to", day(0.001)}, {"order", "asc"}});
  return {
      {"first_page", fixed({})},
      {"deep_page", fixed({{"cursor", deep}})},
      {"machine",
       [](SeededRandom& random) {
         return with({{"machine", machine_of(random)}});
       }},
      {"outcome", fixed({{"outcome", "failed,interrupted"}})},
      {"verdict", fixed({{"verdict", "scrap"}})},
      {"rare_tag",
       [](SeededRandom& random) {
         return with({{"tag", fmt::format("order {}", random.next() % 2000)}});
       }},
      {"week",
       [day](SeededRandom& random) {
         const double share = random.unit() * 0.9;
         return with({{"from", day(share)}, {"to", day(share + 0.003)}});
       }},
      {"machine_outcome_tag_by_duration",
       [](SeededRandom& random) {
         return with(
             {{"machine", machine_of(random)}, {"outcome", "failed"}, {"tag", "customer"}, {"sort", "total_duration"}});
       }},
      {"rare_word",
       [&history](SeededRandom& random) {
         return with({{"q", history.word(kDistinctWords / 2 + random.next() % (kDistinctWords / 2))}});
       }},
      {"common_word", fixed({{"q", "pla"}})},
      {"common_word_by_duration", fixed({{"q", "pla"}, {"sort", "total_duration"}})},
      {"two_words_that_never_meet", fixed({{"q", "pla petg"}})},
      {"one_letter", fixed({{"q", "p"}})},
      {"five_letters", fixed({{"q", "p v g b r"}})},
      {"no_hit", fixed({{"q", "xylophone"}})},
      {"by_duration", fixed({{"sort", "total_duration"}})},
      {"by_filament_oldest_first", fixed({{"sort", "filament_used"}, {"order", "asc"}})},
      {"by_filename_deep", fixed({{"sort", "filename"}, {"order", "asc"}, {"cursor", deep_name}})},
      {"machine_by_filename",
       [](SeededRandom& random) {
         return with({{"machine", machine_of(random)}, {"sort", "filename"}});
       }},
      {"500_in_a_page", fixed({{"limit", "500"}, {"q", "petg"}})},
  };
}

// Seconds of grep over the exported lines, the way without an index.
Result<double> grep_seconds(const std::filesystem::path& file, const std::string& word, const Clock& clock) {
  std::optional<Error> failed;
  const double seconds = seconds_of(clock, [&] {
    auto grep = ChildProcess::start({"grep", "-c", "-F", word, file.string()}, file.string() + ".out");
    if (!grep) {
      failed = grep.error();
    } else {
      grep->wait();
    }
  });
  if (failed) return *failed;
  return seconds;
}

struct Exported {
  double seconds = 0;
  double processor_seconds = 0;
  uint64_t bytes = 0;
};
Result<Exported> export_to(const std::filesystem::path& file, JobCatalog& jobs, const ViewStore& store,
                           ExportFormat format, const Clock& clock) {
  const BodySource source = export_jobs(jobs, store, {}, {.format = format, .columns = export_columns()});
  std::ofstream out(file, std::ios::binary);
  Exported exported;
  std::optional<Error> failed;
  const double begun = processor_seconds();
  exported.seconds = seconds_of(clock, [&] {
    while (true) {
      const auto piece = source();
      if (!piece) failed = piece.error();
      if (!piece || piece->empty()) return;
      exported.bytes += piece->size();
      out << *piece;
    }
  });
  exported.processor_seconds = processor_seconds() - begun;
  if (failed) return *failed;
  return exported;
}

}  // namespace

int run_bench_jobs(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  auto store = open_rocksdb_view_store(directory.fresh("views"), view_names());
  if (!store) return fail(store.error());
  History history(options.events);
  std::optional<Error> failed;
  const double fill_seconds = seconds_of(clock, [&] {
    if (auto filled = fill(**store, history, options.events); !filled) failed = filled.error();
  });
  if (failed) return fail(*failed);
  JobCatalog jobs(**store);
  const double before_mb = resident_mb();
  const double read_seconds = seconds_of(clock, [&] {
    if (auto read = jobs.catch_up(); !read) failed = read.error();
  });
  if (failed) return fail(*failed);
  const double index_mb = resident_mb() - before_mb;
  fmt::print(
      "{{\"bench\":\"jobs\",\"jobs\":{},\"folded_jobs_per_s\":{:.0f},\"index_read_s\":{:.2f},\"index_mb\":{:.0f},"
      "\"index_bytes_per_job\":{:.0f}}}\n",
      options.events, static_cast<double>(options.events) / fill_seconds, read_seconds, index_mb,
      index_mb * 1048576 / static_cast<double>(options.events));

  const auto lines = directory.path() / "jobs.jsonl";
  const auto as_lines = export_to(lines, jobs, **store, ExportFormat::kJsonLines, clock);
  if (!as_lines) return fail(as_lines.error());
  const auto as_csv = export_to(directory.path() / "jobs.csv", jobs, **store, ExportFormat::kCsv, clock);
  if (!as_csv) return fail(as_csv.error());
  const double csv_rows = static_cast<double>(options.events) / as_csv->seconds;
  fmt::print(
      "{{\"bench\":\"jobs\",\"export_csv_rows_per_s\":{:.0f},\"ratio_export_to_wanted\":{:.2f},"
      "\"export_jsonl_rows_per_s\":{:.0f},\"csv_rows_per_processor_s\":{:.0f},\"jsonl_rows_per_processor_s\":{:.0f},"
      "\"csv_mb\":{:.0f}}}\n",
      csv_rows, csv_rows / kWantedRowsPerSecond, static_cast<double>(options.events) / as_lines->seconds,
      static_cast<double>(options.events) / as_csv->processor_seconds,
      static_cast<double>(options.events) / as_lines->processor_seconds, static_cast<double>(as_csv->bytes) / 1e6);

  const auto grep = grep_seconds(lines, history.word(kDistinctWords - 1), clock);
  if (!grep) return fail(grep.error());
  const Lists lists(**store, jobs, clock);
  SeededRandom random(kSeed);
  double worst = 0;
  double worst_processor = 0;
  for (const Kind& kind : kinds(lists, history)) {
    std::vector<double> times;
    std::vector<double> processor;
    for (uint64_t i = 0; i < kQueriesOfAKind; ++i) {
      const HttpRequest request = kind.request(random);
      const double begun = processor_seconds();
      times.push_back(1e3 * seconds_of(clock, [&] { lists.answer(request); }));
      processor.push_back(1e3 * (processor_seconds() - begun));
    }
    const double p99 = percentile(times, 0.99);
    worst = std::max(worst, p99);
    worst_processor = std::max(worst_processor, percentile(processor, 0.99));
    fmt::print(
        "{{\"bench\":\"jobs\",\"query\":\"{}\",\"p50_ms\":{:.2f},\"p99_ms\":{:.2f},\"p99_processor_ms\":{:.2f},"
        "\"ratio_p99_to_limit\":{:.2f},"
        "\"ratio_p50_to_grep\":{:.3f}}}\n",
        kind.name, median(times), p99, percentile(processor, 0.99), p99 / kLimitMs, median(times) / 1e3 / *grep);
    std::fflush(stdout);
  }
  fmt::print(
      "{{\"bench\":\"jobs\",\"median\":true,\"worst_p99_ms\":{:.2f},\"worst_p99_processor_ms\":{:.2f},\"grep_ms\":{:."
      "0f},\"ratio_worst_p99_to_limit\":{:."
      "2f}}}\n",
      worst, worst_processor, *grep * 1e3, worst / kLimitMs);
  return 0;
}

}  // namespace millrace
