// SPDX-License-Identifier: Apache-2.0
#include "cli/history_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "producers/moonraker/row_events.h"
#include "projections/known_print.h"
#include "projections/machine_state.h"

namespace millrace {
namespace {

// One group of the log, and so one fsync.
constexpr size_t kGroupEvents = 1000;
constexpr size_t kGroupBytes = 800u << 10;
constexpr size_t kEventBytes = 512;  // of a job event without what is large in it

Error not_rows(std::string_view what) {
  return make_error(Errc::kInvalidArgument, fmt::format("import of rows: {}", what));
}

}  // namespace

ImportTally& ImportTally::operator+=(const ImportTally& other) {
  rows += other.rows;
  new_jobs += other.new_jobs;
  new_ends += other.new_ends;
  known += other.known;
  events += other.events;
  position = std::max(position, other.position);
  new_machine = new_machine || other.new_machine;
  return *this;
}

// The rows of one take(), appended in groups.
class HistoryImport::Round {
 public:
  Round(const Parts& parts, const ImportedRows& imported) : parts_(parts), imported_(imported) {}

  Result<ImportTally> run() {
    // Whatever was recorded until now is known.
    if (auto reached = parts_.wait_for_views(parts_.last()); !reached) return reached.error();
    reader_ = parts_.views.reader();
    const auto machine = reader_->get(kMachineStateView, imported_.machine);
    if (!machine) return machine.error();
    tally_.new_machine = !*machine;
    const auto sights = has_imported_sights(*reader_, imported_.machine);
    if (!sights) return sights.error();
    has_sights_ = *sights;
    for (const HistoryRow& row : imported_.rows) {
      // What was decided on the same start must be seen first.
      if (is_full() || starts_.contains(row.start_us)) {
        if (auto flushed = flush(); !flushed) return flushed.error();
      }
      if (auto told = tell(row); !told) return told.error();
    }
    if (auto flushed = flush(); !flushed) return flushed.error();
    return tally_;
  }

 private:
  bool is_full() const { return events_.size() >= kGroupEvents || bytes_ >= kGroupBytes; }

  Result<void> tell(const HistoryRow& row) {
    ++tally_.rows;
    auto known = find_print(*reader_, {imported_.machine, row.start_us, row.filename, row.moonraker_job_id});
    if (!known) return known.error();
    if (!known->job) {
      auto imported = identify_imported(row);
      if (!imported) return imported.error();
      known->job = std::move(*imported);
    }
    const bool is_new = !known->job;
    const std::string id = is_new ? job_id_of_row(imported_.machine, row.start_us, known->ordinal) : known->job->id;
    if (is_new) {
      add(started_by_row(id, row, schema::JobSeen::history, imported_.skew_ms), row.start_us, row);
    }
    const RowEnd end{row.status, is_conclusive(row.status), row.total_duration.has_value()};
    const bool adds_end = row.status != "in_progress" && (is_new || !is_end_known(*known->job, end));
    if (adds_end) {
      add(finished_by_row(id, row, schema::JobSeen::history, imported_.skew_ms), row.end_us, row);
    }
    (is_new ? tally_.new_jobs : adds_end ? tally_.new_ends : tally_.known) += 1;
    return {};
  }

  // A print that an older system's database told of, whose start it did not know exactly: its id stays, and from now on
  // the row's means it.
  Result<std::optional<schema::JobViewT>> identify_imported(const HistoryRow& row) {
    OlderSight sight{.machine = imported_.machine, .filename = row.filename, .moonraker_job_id = row.moonraker_job_id};
    sight.from_us = sight.to_us = row.start_us;
    sight.any_zone = false;
    sight.imports_only = true;
    auto near = find_near_print(*reader_, sight);
    if (!near) return near.error();
    if (!near->job && has_sights_) {
      sight.moonraker_job_id.clear();
      sight.to_us = std::max(row.start_us, row.end_us);
      near = find_near_print(*reader_, sight);
      if (!near) return near.error();
    }
    if (!near->job) return std::optional<schema::JobViewT>();
    schema::JobIdentifiedT identified;
    identified.job_id = near->job->id;
    identified.start_us = row.start_us;
    identified.moonraker_job_id = row.moonraker_job_id;
    add(std::move(identified), row.start_us, row);
    return std::move(near->job);
  }

  template <class Event>
  void add(Event event, int64_t occurred_us, const HistoryRow& row) {
    events_.push_back(draft_of(std::move(event), imported_.machine, parts_.clock.wall(), from_unix_us(occurred_us)));
    bytes_ += kEventBytes + row.metadata_json.size() + row.auxiliary_json.size() + row.filename.size();
    starts_.insert(row.start_us);
  }

  Result<void> flush() {
    if (events_.empty()) return {};
    tally_.events += events_.size();
    const auto position = parts_.append(std::exchange(events_, {}));
    if (!position) return position.error();
    tally_.position = *position;
    if (auto reached = parts_.wait_for_views(*position); !reached) return reached;
    reader_ = parts_.views.reader();
    bytes_ = 0;
    starts_.clear();
    return {};
  }

  const Parts& parts_;
  const ImportedRows& imported_;
  std::shared_ptr<const ViewReader> reader_;
  ImportTally tally_;
  std::vector<EventDraft> events_;
  size_t bytes_ = 0;
  bool has_sights_ = false;
  std::set<int64_t> starts_;  // of the group
};

Result<ImportTally> HistoryImport::take(const ImportedRows& imported) {
  if (!is_valid_machine_id(imported.machine) || is_reserved_name(imported.machine)) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("machine '{}': expected 1 to 64 of a-z, 0-9 and '-'", imported.machine));
  }
  if (imported.rows.size() > kMaxRows) return not_rows(fmt::format("{} at once", imported.rows.size()));
  std::lock_guard lock(mutex_);
  return Round(parts_, imported).run();
}

std::string to_json(const ImportedRows& imported) {
  JsonWriter json;
  json.object().field("command", "import_rows").field("machine", imported.machine);
  json.field("skew_ms", imported.skew_ms).key("rows").array();
  for (const HistoryRow& row : imported.rows) {
    json.object();
    write_history_row(json, row);
    json.end();
  }
  return json.end().end().take();
}

Result<ImportedRows> imported_rows_in(const Json& json) {
  ImportedRows imported;
  imported.machine = text_member(json, "machine").value_or("");
  imported.skew_ms = integer_member(json, "skew_ms");
  const auto rows = member(json, "rows");
  simdjson::dom::array entries;
  if (!rows || rows->get_array().get(entries) != simdjson::SUCCESS) return not_rows("'rows' is missing");
  for (const Json entry : entries) {
    imported.rows.push_back(history_row_in(entry));
    if (!is_usable(imported.rows.back())) return not_rows("a row without start, status or with an absurd number");
  }
  return imported;
}

std::string to_json(const ImportTally& tally) {
  JsonWriter json;
  json.object().field("rows", tally.rows).field("new_jobs", tally.new_jobs).field("new_ends", tally.new_ends);
  json.field("known", tally.known).field("events", tally.events).field("position", tally.position.value);
  return json.field("new_machine", tally.new_machine).end().take();
}

Result<ImportTally> import_tally_in(const Json& json) {
  const auto number = [&](std::string_view name) {
    return static_cast<uint64_t>(std::max<int64_t>(integer_member(json, name).value_or(0), 0));
  };
  if (!integer_member(json, "rows")) return make_error(Errc::kIo, "the hub's answer to an import cannot be read");
  ImportTally tally;
  tally.rows = number("rows");
  tally.new_jobs = number("new_jobs");
  tally.new_ends = number("new_ends");
  tally.known = number("known");
  tally.events = number("events");
  tally.position = Position{number("position")};
  tally.new_machine = flag_member(json, "new_machine").value_or(false);
  return tally;
}

}  // namespace millrace
