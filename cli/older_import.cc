// SPDX-License-Identifier: Apache-2.0
#include "cli/older_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bus/sha256.h"
#include "producers/moonraker/row_events.h"
#include "producers/older/older_detail.h"
#include "projections/known_print.h"
#include "projections/machine_state.h"
#include "projections/maintenance.h"
#include "projections/telemetry_history.h"

namespace millrace {
namespace {

constexpr size_t kGroupEvents = 1000;
constexpr size_t kGroupBytes = 800u << 10;
constexpr size_t kEventBytes = 512;
constexpr size_t kMaxTitleBytes = 200;  // what the API takes
constexpr size_t kMaxLinkBytes = 2'000;
constexpr size_t kMaxMachineId = 64;
constexpr size_t kMaxMachineName = 100;
constexpr size_t kMinutesEventBytes = 32u << 10;
constexpr size_t kBytesPerMinute = 48;
constexpr int64_t kHourUs = 3'600'000'000;
constexpr int64_t kSameUs = 120'000'000;  // more than the margins of find_near_print()

// What is told for them carries the older system's name as its actor.
std::string actor_of(std::string_view source) { return "import:" + std::string(source); }

struct TallyField {
  std::string_view name;
  uint64_t OlderTally::*number;
};
constexpr std::array kFields = {
    TallyField{"shifted_by_log", &OlderTally::shifted_by_log},
    TallyField{"joined", &OlderTally::joined},
    TallyField{"details", &OlderTally::details},
    TallyField{"pictures_lost", &OlderTally::pictures_lost},
    TallyField{"texts", &OlderTally::texts},
    TallyField{"new_machines", &OlderTally::new_machines},
    TallyField{"new_records", &OlderTally::new_records},
    TallyField{"known_records", &OlderTally::known_records},
    TallyField{"new_minutes", &OlderTally::new_minutes},
    TallyField{"known_minutes", &OlderTally::known_minutes},
};

// "Voron 2.4 (left)" -> "voron-2-4-left"
std::string id_from(std::string_view name) {
  std::string id;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (fits) id += c;
    if (!fits && !id.empty() && id.back() != '-') id += '-';
  }
  constexpr size_t kRoomForNumber = 4;
  id.resize(std::min(id.size(), kMaxMachineId - kRoomForNumber));
  while (id.ends_with('-')) id.pop_back();
  return id.empty() || is_reserved_name(id) ? "printer" + id : id;
}

bool is_same_address(std::string_view a, std::string_view b) {
  while (a.ends_with('/')) a.remove_suffix(1);
  while (b.ends_with('/')) b.remove_suffix(1);
  return !a.empty() && a == b;
}

bool says_the_same(const schema::MaintenanceRecordViewT& held, const OlderRecord& record) {
  return held.date_us == record.date_us && held.done == record.done && held.category == record.category &&
         held.description == record.description && held.notes == record.notes &&
         held.cost.has_value() == record.cost.has_value() && (!record.cost || *held.cost == *record.cost);
}

// Whether anybody has said it before, so that nobody's word is taken back.
bool was_said(const schema::JobDetailT& detail, std::string_view field) {
  return std::any_of(detail.changes.begin(), detail.changes.end(),
                     [&](const auto& change) { return change->field == field; });
}

}  // namespace

OlderTally& OlderTally::operator+=(const OlderTally& other) {
  jobs += other.jobs;
  for (const TallyField& field : kFields) this->*field.number += other.*field.number;
  machines.insert(other.machines.begin(), other.machines.end());
  return *this;
}

// One take(), appended in groups.
class OlderImport::Round {
 public:
  Round(const HistoryImport::Parts& parts, BlobStore& blobs, const OlderPiece& piece)
      : parts_(parts), blobs_(blobs), piece_(piece) {}

  Result<OlderTally> run() {
    if (auto reached = parts_.wait_for_views(parts_.last()); !reached) return reached.error();
    reader_ = parts_.views.reader();
    const auto sights = has_imported_sights(*reader_, piece_.machine);
    if (!sights) return sights.error();
    has_sights_ = *sights;
    for (const OlderPrinter& printer : piece_.printers) {
      if (auto told = tell(printer); !told) return told.error();
    }
    for (const OlderJob& job : piece_.jobs) {
      if (is_full() || may_be_told_already(job)) {
        if (auto flushed = flush(); !flushed) return flushed.error();
      }
      if (auto told = tell(job); !told) return told.error();
    }
    for (const OlderRecord& record : piece_.records) {
      if (auto told = tell(record); !told) return told.error();
    }
    if (auto told = tell_minutes(); !told) return told.error();
    if (auto flushed = flush(); !flushed) return flushed.error();
    return tally_;
  }

 private:
  bool is_full() const { return events_.size() >= kGroupEvents || bytes_ >= kGroupBytes; }

  // --- printers

  Result<void> tell(const OlderPrinter& printer) {
    const auto machines = read_machines(*reader_);
    if (!machines) return machines.error();
    std::string id = printer.machine;
    if (!id.empty() && (!is_valid_machine_id(id) || is_reserved_name(id))) {
      return make_error(Errc::kInvalidArgument, fmt::format("machine '{}': expected 1 to 64 of a-z, 0-9 and '-'", id));
    }
    if (id.empty()) id = machine_like(*machines, printer.settings);
    const bool is_new = id.empty() || !machines->contains(id);
    if (id.empty()) id = free_id(*machines, printer.settings.name);
    tally_.machines[printer.id] = id;
    if (!is_new) return {};
    schema::MachineConfiguredT event = printer.settings;
    event.name = free_name(*machines, event.name);
    event.managed_by = "api";
    event.enabled = false;  // an import does not begin to talk to a printer: somebody has to say so
    event.authentication = "none";
    ++tally_.new_machines;
    events_.push_back(draft_of(std::move(event), id, parts_.clock.wall(), parts_.clock.wall()));
    events_.back().actor = actor_of(piece_.source);
    return flush();  // the next printer must not take the same name
  }

  // The machine that has this printer's name or address; one that was removed is one too.
  static std::string machine_like(const std::map<std::string, schema::MachineViewT>& machines,
                                  const schema::MachineConfiguredT& printer) {
    for (const auto& [id, machine] : machines) {
      if (machine.name == printer.name) return id;
    }
    for (const auto& [id, machine] : machines) {
      if (machine.settings && is_same_address(machine.settings->moonraker_url, printer.moonraker_url)) return id;
    }
    return {};
  }
  static std::string free_id(const std::map<std::string, schema::MachineViewT>& machines, std::string_view name) {
    const std::string wanted = id_from(name);
    std::string id = wanted;
    for (int number = 2; machines.contains(id); ++number) id = fmt::format("{}-{}", wanted, number);
    return id;
  }
  static std::string free_name(const std::map<std::string, schema::MachineViewT>& machines, std::string name) {
    name.resize(std::min(name.size(), kMaxMachineName));
    const auto taken = [&](const std::string& candidate) {
      return std::any_of(machines.begin(), machines.end(),
                         [&](const auto& entry) { return !entry.second.removed && entry.second.name == candidate; });
    };
    std::string free = name;
    for (int number = 2; taken(free); ++number) free = fmt::format("{} ({})", name, number);
    return free;
  }

  // --- prints

  // A piece may hold two rows of one print, and what was decided on the first must be seen first.
  bool may_be_told_already(const OlderJob& job) const {
    const Told now = told_by(job);
    return std::any_of(told_.begin(), told_.end(), [&](const Told& before) {
      if (before.from_us == now.from_us) return true;
      if (before.file != now.file) return false;
      return (!now.number.empty() && before.number == now.number) ||
             (now.from_us <= before.to_us + kSameUs && before.from_us <= now.to_us + kSameUs);
    });
  }

  // What the group that is not appended yet says of a print.
  struct Told {
    std::string_view file;  // of the piece
    std::string_view number;
    int64_t from_us = 0;
    int64_t to_us = 0;
  };
  static Told told_by(const OlderJob& job) {
    const HistoryRow& row = job.row;
    return {row.filename, row.moonraker_job_id, job.of_row ? row.start_us : job.seen_from_us,
            std::max({row.start_us, row.end_us, job.seen_to_us})};
  }
  void note(const OlderJob& job) { told_.push_back(told_by(job)); }

  struct Found {
    std::optional<schema::JobViewT> job;
    std::string id;        // of a new one
    bool of_id = false;    // by its own id, not because it is near
    int64_t shift_us = 0;  // of the row's times
    bool is_row_of_sight = false;
  };

  Result<Found> find(const OlderJob& job) const {
    Found found;
    const HistoryRow& row = job.row;
    if (job.of_row) {
      auto known = find_print(*reader_, {piece_.machine, row.start_us, row.filename, row.moonraker_job_id});
      if (!known) return known.error();
      found.id = job_id_of_row(piece_.machine, row.start_us, known->ordinal);
      found.job = std::move(known->job);
    } else {
      found.id = fmt::format("{}.i{}", piece_.machine, row.start_us);
      auto known = known_job(*reader_, found.id);
      if (!known) return known.error();
      found.job = std::move(*known);
    }
    found.of_id = found.job.has_value();
    if (found.of_id) return found;
    auto near = find_near_print(*reader_, sight_of(job));
    if (!near) return near.error();
    found.job = std::move(near->job);
    found.shift_us = near->shift_us;
    if (found.job || !job.of_row || !has_sights_) return found;
    // A row of a print that so far was only seen.
    OlderSight seen{.machine = piece_.machine, .filename = job.row.filename, .imports_only = true};
    seen.from_us = job.row.start_us;
    seen.to_us = std::max(job.row.start_us, job.row.end_us);
    near = find_near_print(*reader_, seen);
    if (!near) return near.error();
    if (!near->job || !near->job->id.starts_with(piece_.machine + ".i")) return found;
    found.job = std::move(near->job);
    found.is_row_of_sight = true;
    return found;
  }

  OlderSight sight_of(const OlderJob& job) const {
    OlderSight sight{.machine = piece_.machine, .filename = job.row.filename};
    sight.moonraker_job_id = job.of_row ? job.row.moonraker_job_id : "";
    sight.from_us = job.of_row ? job.row.start_us : job.seen_from_us;
    sight.to_us = job.of_row ? job.row.start_us : job.seen_to_us;
    return sight;
  }

  Result<void> tell(const OlderJob& job) {
    ++tally_.jobs.rows;
    auto found = find(job);
    if (!found) return found.error();
    const bool is_new = !found->job;
    const std::string id = is_new ? found->id : found->job->id;
    bool more = false;
    if (is_new) {
      tell_new(id, job);
    } else {
      tally_.shifted_by_log += found->shift_us != 0 ? 1 : 0;
      if (found->is_row_of_sight) identify(*found->job, job.row.start_us, job.row.moonraker_job_id);
      if (found->of_id) {
        auto joined = join(job, *found->job);
        if (!joined) return joined.error();
      }
      more = tell_end(*found, job);
    }
    (is_new ? tally_.jobs.new_jobs : more ? tally_.jobs.new_ends : tally_.jobs.known) += 1;
    return tell_rest(id, job, is_new ? nullptr : &*found->job);
  }

  void tell_new(const std::string& id, const OlderJob& job) {
    auto start = started_by_row(id, job.row, schema::JobSeen::imported, std::nullopt);
    // Both events have room for one such text: the row as it was, and what Moonraker's components said of the print.
    start.auxiliary_json = job.raw_json;
    add(std::move(start), job.row.start_us, job.row.metadata_json.size() + job.raw_json.size());
    if (job.row.status != "in_progress") add_end(id, job);
    note(job);
  }

  void add_end(const std::string& id, const OlderJob& job) {
    auto end = finished_by_row(id, job.row, schema::JobSeen::imported, std::nullopt);
    end.metadata_json.clear();
    if (!job.of_row) {
      // Seen by a program that is known to mix prints up: any other witness knows better.
      end.evidence = schema::JobEvidence::inconclusive;
      end.row_status.clear();
      if (end.outcome == schema::JobOutcome::failed) end.cause = "unknown";
      end.last_observed_us = job.seen_to_us;
    }
    add(std::move(end), job.row.end_us, job.row.auxiliary_json.size());
  }

  // A better known end; only a copy of Moonraker's row may know one.
  bool tell_end(const Found& found, const OlderJob& job) {
    if (!job.of_row || job.row.status == "in_progress") return false;
    const RowEnd end{job.row.status, is_conclusive(job.row.status), job.row.total_duration.has_value()};
    if (is_end_known(*found.job, end)) return false;
    OlderJob moved = job;
    moved.row.start_us = found.job->start_us;
    if (moved.row.end_us != 0) moved.row.end_us -= found.shift_us;
    add_end(found.job->id, moved);
    note(job);
    return true;
  }

  // What an earlier import told stands beside the same print as Moonraker's history or an adapter told it later.
  Result<void> join(const OlderJob& job, const schema::JobViewT& held) {
    if (held.start_seen != schema::JobSeen::imported) return {};
    OlderSight sight = sight_of(job);
    sight.except = held.id;
    sight.rows_only = true;
    const auto near = find_near_print(*reader_, sight);
    if (!near) return near.error();
    if (!near->job) return {};
    identify(held, near->job->start_us, near->job->moonraker_job_id);
    ++tally_.joined;
    return {};
  }

  // From now on the row's id means the job.
  void identify(const schema::JobViewT& job, int64_t start_us, const std::string& moonraker_job_id) {
    schema::JobIdentifiedT identified;
    identified.job_id = job.id;
    identified.start_us = start_us;
    identified.moonraker_job_id = moonraker_job_id;
    add(std::move(identified), 0, 0);
  }

  // Titles, links and what the slicer wrote, where nothing of the kind is known.  `held` is nullptr for a new print.
  Result<void> tell_rest(const std::string& id, const OlderJob& job, const schema::JobViewT* held) {
    if (job.title.empty() && job.link.empty() && job.detail_json.empty()) return {};
    schema::JobDetailT detail;
    if (held != nullptr) {
      auto stored = detail_of(*reader_, id);
      if (!stored) return stored.error();
      detail = std::move(*stored);
    }
    schema::JobAnnotatedT said;
    said.job_id = id;
    const auto say = [&](std::string_view field, const std::string& text, size_t most, std::string& into,
                         bool is_there) {
      if (text.empty() || is_there || was_said(detail, field)) return;
      said.changed.emplace_back(field);
      into = whole_letters(text, most);
    };
    say("title", job.title, kMaxTitleBytes, said.title, held != nullptr && !held->title.empty());
    say("link", job.link, kMaxLinkBytes, said.link, held != nullptr && !held->link.empty());
    if (!said.changed.empty()) {
      ++tally_.texts;
      add(std::move(said), 0, job.title.size() + job.link.size());
      events_.back().actor = actor_of(piece_.source);
      note(job);
    }
    if (!job.detail_json.empty() && !detail.sliced) tell_sliced(id, job);
    return {};
  }

  void tell_sliced(const std::string& id, const OlderJob& job) {
    bool lost = false;
    const KeepBlob keep = [&](std::string_view bytes, std::string_view) -> Result<std::string> {
      std::string name = hex_of(sha_.digest(bytes));
      if (auto put = blobs_.put(name, bytes); !put) {
        lost = true;
        return put.error();
      }
      return name;
    };
    auto sliced = sliced_from(job.detail_json, id, job.row.filename, keep);
    ++tally_.details;
    tally_.pictures_lost += lost ? 1 : 0;
    const size_t bytes = sliced.settings_json.size();
    add(std::move(sliced), 0, bytes);
    note(job);
  }

  // --- maintenance

  Result<void> tell(const OlderRecord& record) {
    const auto wanted = may_be_imported(*reader_, piece_.machine, record.id);
    if (!wanted) return wanted.error();
    const auto held = find_record(*reader_, piece_.machine, record.id);
    if (!held && held.error().code != Errc::kNotFound) return held.error();
    // What a person has changed here stays; what was only imported follows its source.
    const bool same = held && (says_the_same(*held, record) || held->actor != actor_of(piece_.source));
    if (!*wanted || same) {
      ++tally_.known_records;
      return {};
    }
    schema::MaintenanceRecordedT event;
    event.record_id = record.id;
    event.date_us = record.date_us;
    event.done = record.done;
    event.category = record.category;
    event.description = record.description;
    event.notes = record.notes;
    if (record.cost) event.cost = *record.cost;
    ++tally_.new_records;
    add(std::move(event), 0, record.notes.size() + record.description.size());
    events_.back().actor = actor_of(piece_.source);
    return is_full() ? flush() : Result<void>{};
  }

  // --- measured values

  Result<void> tell_minutes() {
    std::map<int64_t, std::vector<std::unique_ptr<schema::SignalMinutesT>>> hours;
    for (const OlderMinutes& hour : piece_.minutes) {
      const auto known = known_minutes(*reader_, piece_.machine, hour.object, hour.field, hour.hour);
      if (!known) return known.error();
      auto table = std::make_unique<schema::SignalMinutesT>();
      table->object = hour.object;
      table->field = hour.field;
      for (const OlderMinutes::Minute& minute : hour.minutes) {
        if ((*known >> minute.minute & 1u) != 0) {
          ++tally_.known_minutes;
          continue;
        }
        table->minute.push_back(minute.minute);
        table->minimum.push_back(minute.minimum);
        table->mean.push_back(minute.mean);
        table->maximum.push_back(minute.maximum);
        table->last.push_back(minute.last);
        table->seconds.push_back(static_cast<float>(minute.seconds));
        table->count.push_back(minute.count);
      }
      tally_.new_minutes += table->minute.size();
      if (!table->minute.empty()) hours[hour.hour].push_back(std::move(table));
    }
    for (auto& [hour, tables] : hours) {
      if (auto told = tell_hour(hour, tables); !told) return told;
    }
    return {};
  }

  Result<void> tell_hour(int64_t hour, std::vector<std::unique_ptr<schema::SignalMinutesT>>& tables) {
    schema::TelemetrySummarisedT event;
    size_t bytes = 0;
    const auto say = [&]() -> Result<void> {
      if (event.signals.empty()) return {};
      event.from_us = hour * kHourUs;
      add(std::exchange(event, {}), 0, std::exchange(bytes, 0));
      return is_full() ? flush() : Result<void>{};
    };
    for (auto& table : tables) {
      const size_t more = table->minute.size() * kBytesPerMinute + table->object.size() + table->field.size() + 128;
      if (bytes + more > kMinutesEventBytes) {
        if (auto said = say(); !said) return said;
      }
      bytes += more;
      event.signals.push_back(std::move(table));
    }
    return say();
  }

  template <class Event>
  void add(Event event, int64_t occurred_us, size_t bytes) {
    events_.push_back(draft_of(std::move(event), piece_.machine, parts_.clock.wall(), from_unix_us(occurred_us)));
    bytes_ += kEventBytes + bytes;
  }

  Result<void> flush() {
    if (events_.empty()) return {};
    tally_.jobs.events += events_.size();
    const auto position = parts_.append(std::exchange(events_, {}));
    if (!position) return position.error();
    tally_.jobs.position = *position;
    if (auto reached = parts_.wait_for_views(*position); !reached) return reached;
    reader_ = parts_.views.reader();
    bytes_ = 0;
    told_.clear();
    return {};
  }

  const HistoryImport::Parts& parts_;
  BlobStore& blobs_;
  const OlderPiece& piece_;
  Sha256Digester sha_;
  std::shared_ptr<const ViewReader> reader_;
  OlderTally tally_;
  std::vector<EventDraft> events_;
  size_t bytes_ = 0;
  bool has_sights_ = false;
  std::vector<Told> told_;
};

Result<OlderTally> OlderImport::take(const OlderPiece& piece) {
  const bool needs_machine = !piece.jobs.empty() || !piece.records.empty() || !piece.minutes.empty();
  if (needs_machine && (!is_valid_machine_id(piece.machine) || is_reserved_name(piece.machine))) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("machine '{}': expected 1 to 64 of a-z, 0-9 and '-'", piece.machine));
  }
  if (piece.jobs.size() > kMaxJobs) {
    return make_error(Errc::kTooLarge,
                      fmt::format("{} jobs at once, expected at most {}", piece.jobs.size(), kMaxJobs));
  }
  std::lock_guard lock(mutex_);
  return Round(parts_, blobs_, piece).run();
}

std::string to_json(const OlderTally& tally) {
  JsonWriter json;
  json.object().key("jobs").raw(to_json(tally.jobs));
  for (const TallyField& field : kFields) json.field(field.name, tally.*field.number);
  json.key("machines").array();
  for (const auto& [printer, machine] : tally.machines) {
    json.object().field("printer", printer).field("machine", machine).end();
  }
  return json.end().end().take();
}

Result<OlderTally> older_tally_in(const Json& json) {
  const auto jobs = member(json, "jobs");
  if (!jobs) return make_error(Errc::kIo, "the hub's answer to an import cannot be read; it may be older");
  const auto read = import_tally_in(*jobs);
  if (!read) return read.error();
  OlderTally tally;
  tally.jobs = *read;
  for (const TallyField& field : kFields) {
    tally.*field.number = static_cast<uint64_t>(std::max<int64_t>(integer_member(json, field.name).value_or(0), 0));
  }
  const auto machines = member(json, "machines");
  simdjson::dom::array entries;
  if (machines && machines->get_array().get(entries) == simdjson::SUCCESS) {
    for (const Json entry : entries) {
      tally.machines[integer_member(entry, "printer").value_or(0)] = text_member(entry, "machine").value_or("");
    }
  }
  return tally;
}

}  // namespace millrace
