// SPDX-License-Identifier: Apache-2.0
// Reading 90 days of 10 signals by the minute, from the view as the hub keeps it, against the same minutes in SQLite.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include "bus/random.h"
#include "cli/bench/bench.h"
#include "cli/bench/harness.h"
#include "cli/bench/processor_time.h"
#include "cli/bench/sqlite_peer.h"
#include "cli/opened_log.h"
#include "projections/apply_group.h"
#include "projections/registry.h"
#include "projections/view_store.h"
#include "web/edge/telemetry_json.h"

namespace millrace {
namespace {

constexpr double kLimitMs = 100;
constexpr int64_t kDays = 90;
constexpr int kSignals = 10;
constexpr int64_t kMinutes = kDays * 24 * 60;
constexpr int64_t kFirstMinute = 29'800'800;  // the beginning of an hour in August 2026
constexpr int64_t kSampleSeconds = 10;
constexpr int kReadsARound = 10;
constexpr std::string_view kMachine = "voron-2";

std::string object_of(int signal) { return fmt::format("temperature_sensor probe {}", signal); }

// Temperatures that wander by hundredths, as Klipper reports them.
class WanderingSamples {
 public:
  Envelope next(int64_t second) {
    schema::TelemetrySampledT sampled;
    for (int i = 0; i < kSignals; ++i) {
      values_[static_cast<size_t>(i)] += random_.between(-0.1, 0.1);
      auto signal = std::make_unique<schema::SignalT>();
      signal->object = object_of(i);
      signal->field = "temperature";
      signal->value = std::round((60 + 20 * i + values_[static_cast<size_t>(i)]) * 100) / 100;
      sampled.signals.push_back(std::move(signal));
    }
    const WallTime at = from_unix_us((kFirstMinute * 60 + second) * 1'000'000);
    return Envelope::build({std::string(kMachine), 1, ++sequence_},
                           draft_of(std::move(sampled), std::string(kMachine), at))
        .value();
  }

 private:
  SeededRandom random_{1};
  std::array<double, kSignals> values_{};
  uint64_t sequence_ = 0;
};

// Seconds that the folding and committing took.
Result<double> fill(ViewStore& store, const Clock& clock) {
  const auto projection = make_telemetry_history();
  WanderingSamples samples;
  std::vector<RecordedEvent> events;
  double seconds = 0;
  const int64_t end = kMinutes * 60;
  uint64_t position = 0;
  for (int64_t second = 0; second < end; second += kSampleSeconds) {
    events.push_back({Position{++position}, {}, samples.next(second)});
    if (events.size() < kMaxGroupApplied && second + kSampleSeconds < end) continue;
    Result<void> done;
    seconds += seconds_of(clock, [&] {
      const auto group = fold_group(*projection, *store.reader(), events);
      done = group ? store.commit(group->writes) : Result<void>(group.error());
    });
    if (!done) return done.error();
    events.clear();
  }
  return seconds;
}

uint64_t bytes_below(const std::filesystem::path& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, error)) {
    if (entry.path().extension() != ".sst") continue;
    if (const auto size = entry.file_size(error); !error) bytes += size;
  }
  return bytes;
}

struct Reads {
  std::vector<double> columns_ms, answer_ms, sqlite_ms;
  std::vector<double> columns_processor_ms, answer_processor_ms;
  size_t answer_bytes = 0;
};

Result<void> read_all(const ViewStore& store, SqlitePeer* sqlite, const Clock& clock, Reads& reads) {
  const TelemetryRange range{kFirstMinute, 1, static_cast<size_t>(kMinutes)};
  std::vector<SignalName> names;
  for (int i = 0; i < kSignals; ++i) names.push_back({object_of(i), "temperature", "°C"});
  const auto reader = store.reader();
  std::optional<Error> failed;
  double known = 0;
  double processor = processor_seconds();
  const auto since = [&processor] {
    return 1e3 * (processor_seconds() - std::exchange(processor, processor_seconds()));
  };
  reads.columns_ms.push_back(1e3 * seconds_of(clock, [&] {
                               const auto opened = TelemetryReader::open(*reader, std::string(kMachine), range);
                               for (const SignalName& name : names) {
                                 const auto columns = opened ? opened->read(name.object, name.field) : opened.error();
                                 if (!columns) return void(failed = columns.error());
                                 known += std::isnan(columns->mean.back()) ? 0 : 1;
                               }
                             }));
  reads.columns_processor_ms.push_back(since());
  reads.answer_ms.push_back(1e3 * seconds_of(clock, [&] {
                              const auto answer = telemetry_answer(*reader, std::string(kMachine), range, names);
                              if (!answer) return void(failed = answer.error());
                              reads.answer_bytes = answer->size();
                            }));
  reads.answer_processor_ms.push_back(since());
  if (known != kSignals && !failed) failed = make_error(Errc::kCorrupt, "minutes are missing");
  if (sqlite != nullptr && !failed) {
    reads.sqlite_ms.push_back(1e3 * seconds_of(clock, [&] {
                                for (int i = 0; i < kSignals; ++i) {
                                  const auto columns = sqlite->select(i, range.from, range.to());
                                  if (!columns) return void(failed = columns.error());
                                }
                              }));
  }
  if (failed) return *failed;
  return {};
}

Result<std::unique_ptr<SqlitePeer>> filled_sqlite(const std::filesystem::path& file, const ViewStore& store) {
  auto sqlite = SqlitePeer::open(file);
  if (!sqlite) return sqlite.error();
  const auto reader = store.reader();
  const auto opened =
      TelemetryReader::open(*reader, std::string(kMachine), {kFirstMinute, 1, static_cast<size_t>(kMinutes)});
  if (!opened) return opened.error();
  for (int i = 0; i < kSignals; ++i) {
    const auto columns = opened->read(object_of(i), "temperature");
    if (!columns) return columns.error();
    if (auto inserted = (*sqlite)->insert(i, kFirstMinute, *columns); !inserted) return inserted.error();
  }
  return std::move(*sqlite);
}

}  // namespace

int run_bench_telemetry(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  const auto views = directory.fresh("views");
  {
    auto store = open_rocksdb_view_store(views, view_names());
    if (!store) return fail(store.error());
    const auto seconds = fill(**store, clock);
    if (!seconds) return fail(seconds.error());
    const double samples = static_cast<double>(kMinutes) * 60 / kSampleSeconds;
    fmt::print("{{\"bench\":\"telemetry\",\"days\":{},\"signals\":{},\"samples\":{:.0f},\"folded_per_s\":{:.0f}}}\n",
               kDays, kSignals, samples, samples / *seconds);
    std::fflush(stdout);
  }
  auto store = open_rocksdb_view_store(views, view_names());  // what was in memory lies on the disk now
  if (!store) return fail(store.error());
  std::unique_ptr<SqlitePeer> sqlite;
  if (options.peers) {
    auto filled = filled_sqlite(directory.path() / "minutes.sqlite", **store);
    if (!filled && filled.error().code != Errc::kUnavailable) return fail(filled.error());
    if (filled) sqlite = std::move(*filled);
    if (!filled) fmt::print(stderr, "{}: left out\n", filled.error().context);
  }
  Reads all;
  for (uint64_t round = 1; round <= options.rounds; ++round) {
    Reads reads;
    for (int i = 0; i < kReadsARound; ++i) {
      if (auto done = read_all(**store, sqlite.get(), clock, reads); !done) return fail(done.error());
    }
    fmt::print("{{\"bench\":\"telemetry\",\"round\":{},\"columns_p50_ms\":{:.1f},\"answer_p50_ms\":{:.1f}", round,
               median(reads.columns_ms), median(reads.answer_ms));
    if (sqlite) fmt::print(",\"sqlite_p50_ms\":{:.1f}", median(reads.sqlite_ms));
    fmt::print("}}\n");
    std::fflush(stdout);
    all.answer_bytes = reads.answer_bytes;
    all.columns_ms.insert(all.columns_ms.end(), reads.columns_ms.begin(), reads.columns_ms.end());
    all.answer_ms.insert(all.answer_ms.end(), reads.answer_ms.begin(), reads.answer_ms.end());
    all.columns_processor_ms.insert(all.columns_processor_ms.end(), reads.columns_processor_ms.begin(),
                                    reads.columns_processor_ms.end());
    all.answer_processor_ms.insert(all.answer_processor_ms.end(), reads.answer_processor_ms.begin(),
                                   reads.answer_processor_ms.end());
    all.sqlite_ms.insert(all.sqlite_ms.end(), reads.sqlite_ms.begin(), reads.sqlite_ms.end());
  }
  const double p50 = median(all.columns_ms);
  fmt::print(
      "{{\"bench\":\"telemetry\",\"median\":true,\"buckets\":{},\"p50_ms\":{:.1f},\"p99_ms\":{:.1f},\"answer_p50_ms\":{"
      ":.1f},"
      "\"columns_processor_ms\":{:.1f},\"answer_processor_ms\":{:.1f},\"answer_p99_ms\":{:.1f},\"answer_mb\":{:.1f},"
      "\"ratio_to_100_ms\":{:.2f},\"bytes_per_bucket\":{:.1f}",
      kMinutes * kSignals, p50, percentile(all.columns_ms, 0.99), median(all.answer_ms),
      median(all.columns_processor_ms), median(all.answer_processor_ms), percentile(all.answer_ms, 0.99),
      static_cast<double>(all.answer_bytes) / 1e6, p50 / kLimitMs,
      static_cast<double>(bytes_below(views)) / static_cast<double>(kMinutes * kSignals));
  if (sqlite) {
    const auto stored = static_cast<double>(std::filesystem::file_size(directory.path() / "minutes.sqlite"));
    fmt::print(",\"sqlite_p50_ms\":{:.1f},\"ratio_to_sqlite\":{:.2f},\"sqlite_bytes_per_bucket\":{:.1f}",
               median(all.sqlite_ms), p50 / median(all.sqlite_ms), stored / static_cast<double>(kMinutes * kSignals));
  }
  fmt::print("}}\n");
  return 0;
}

}  // namespace millrace
