// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "projections/maintenance.h"
#include "projections/maintenance_keys.h"
#include "projections/record.h"

namespace millrace {
namespace {

namespace keys = maintenance_keys;
using schema::MaintenanceRecordViewT;
using schema::MaintenanceTaskViewT;
using schema::OdometerViewT;
using schema::UpkeepDayT;
using schema::UpkeepShareT;

constexpr double kMsPerHour = 3'600'000;
constexpr double kUmPerMetre = 1'000'000;
// Prints of one machine do not overlap, so one print alone can reach over a time; entered ones may lie anywhere.
constexpr size_t kLookedBack = 16;

Error corrupt(std::string_view key) { return make_error(Errc::kCorrupt, fmt::format("maintenance: record '{}'", key)); }

template <class Table>
Result<std::optional<typename Table::NativeTableType>> read(const ViewReader& reader, const std::string& key) {
  const auto stored = reader.get(kMaintenanceView, key);
  if (!stored) return stored.error();
  if (!*stored) return std::optional<typename Table::NativeTableType>();
  auto record = decode_record<Table>(**stored);
  if (!record) return corrupt(key);
  return record;
}

// Calls `visit` with each record of the range until it gives false.
template <class Table, class Visit>
Result<void> visit_records(const ViewReader& reader, const KeyRange& range, const Visit& visit) {
  std::optional<Error> failed;
  const auto scanned = reader.scan(kMaintenanceView, range, [&](std::string_view key, std::string_view value) {
    auto record = decode_record<Table>(value);
    if (!record) failed = corrupt(key);
    return record && visit(std::move(*record));
  });
  if (!scanned) return scanned.error();
  if (failed) return *failed;
  return {};
}

// The days of one machine, read once for all its tasks.
class Days {
 public:
  static Result<Days> read_from(const ViewReader& reader, const std::string& machine, int64_t first_us) {
    Days days;
    KeyRange range = KeyRange::prefix(keys::of("d", machine) + "/");
    range.from = keys::day(machine, keys::day_of(first_us));
    std::optional<Error> failed;
    const auto scanned = reader.scan(kMaintenanceView, range, [&](std::string_view key, std::string_view value) {
      auto day = decode_record<schema::UpkeepDay>(value);
      if (!day) failed = corrupt(key);
      if (day) days.days_.emplace(std::string(key), *day);
      return day.has_value();
    });
    if (!scanned) return scanned.error();
    if (failed) return *failed;
    return days;
  }

  // Everything in the days after the one of `since_us`.
  UpkeepDayT after(const std::string& machine, int64_t since_us) const {
    UpkeepDayT sum;
    for (auto day = days_.upper_bound(keys::day(machine, keys::day_of(since_us))); day != days_.end(); ++day) {
      sum.print_ms += day->second.print_ms;
      sum.filament_um += day->second.filament_um;
      sum.starts += day->second.starts;
    }
    return sum;
  }

 private:
  std::map<std::string, UpkeepDayT> days_;
};

Upkeep shown(const UpkeepDayT& sum) {
  return {static_cast<double>(sum.print_ms) / kMsPerHour, static_cast<double>(sum.filament_um) / kUmPerMetre,
          sum.starts, 0};
}

double days_between(WallTime from, WallTime to) {
  return to <= from ? 0 : std::chrono::duration<double>(to - from).count() / 86'400;
}

Result<Upkeep> used_since(const ViewReader& reader, const Days& days, const std::string& machine, WallTime since,
                          WallTime now) {
  const int64_t since_us = std::max<int64_t>(to_unix_us(since), 0);
  UpkeepDayT sum = days.after(machine, since_us);
  // The rest of that day, print by print.
  KeyRange same_day;
  same_day.from = keys::share(machine, since_us, "");
  same_day.to = keys::share(machine, (keys::day_of(since_us) + 1) * keys::kDayUs, "");
  const auto added = visit_records<schema::UpkeepShare>(reader, same_day, [&](const UpkeepShareT& share) {
    sum.print_ms += share.print_ms;
    sum.filament_um += share.filament_um;
    ++sum.starts;
    return true;
  });
  if (!added) return added.error();
  // What was under way then.
  KeyRange before = KeyRange::prefix(keys::of("s", machine) + "/");
  before.to = keys::share(machine, since_us, "");
  before.backwards = true;
  size_t looked = 0;
  const auto reached = visit_records<schema::UpkeepShare>(reader, before, [&](const UpkeepShareT& share) {
    if (share.end_us > since_us) {
      const double behind =
          static_cast<double>(share.end_us - since_us) / static_cast<double>(share.end_us - share.start_us);
      sum.print_ms += static_cast<int64_t>(static_cast<double>(share.print_ms) * behind);
      sum.filament_um += static_cast<int64_t>(static_cast<double>(share.filament_um) * behind);
    }
    return ++looked < kLookedBack;
  });
  if (!reached) return reached.error();
  Upkeep used = shown(sum);
  used.days = days_between(since, now);
  return used;
}

void note_share(TaskStanding& standing, double used, std::optional<double> every) {
  if (!every || !(*every > 0)) return;
  standing.share = std::max(standing.share.value_or(0), used / *every);
}

void judge(TaskStanding& standing) {
  const MaintenanceTaskViewT& task = standing.task;
  note_share(standing, standing.used.hours, task.every_hours);
  note_share(standing, standing.used.filament_m, task.every_filament_m);
  note_share(standing, static_cast<double>(standing.used.starts),
             task.every_starts ? std::optional(static_cast<double>(*task.every_starts)) : std::nullopt);
  note_share(standing, standing.used.days, task.every_days);
  standing.due = standing.share && *standing.share >= 1;
}

// When it was last done, by the newest record that says so.
Result<void> find_since(const ViewReader& reader, TaskStanding& standing) {
  standing.since = from_unix_us(standing.task.defined_us);
  std::string newest;
  const auto scanned =
      reader.scan(kMaintenanceView, KeyRange::prefix(keys::done_prefix(standing.task.machine, standing.task.id)),
                  [&](std::string_view, std::string_view record_id) {
                    newest = record_id;
                    return false;
                  });
  if (!scanned) return scanned.error();
  if (newest.empty()) return {};
  const auto record = find_record(reader, standing.task.machine, newest);
  if (!record) return record.error();
  standing.since = from_unix_us(record->date_us);
  standing.done_by = newest;
  return {};
}

// "t2" before "t10", as they were defined.
bool defined_before(const MaintenanceTaskViewT& a, const MaintenanceTaskViewT& b) {
  if (a.machine != b.machine) return a.machine < b.machine;
  return a.defined_us != b.defined_us ? a.defined_us < b.defined_us : a.id < b.id;
}

Result<std::vector<MaintenanceTaskViewT>> tasks_of(const ViewReader& reader, const std::string& machine) {
  std::vector<MaintenanceTaskViewT> tasks;
  const KeyRange range = KeyRange::prefix(machine.empty() ? "k/" : keys::of("k", machine) + "/");
  const auto scanned = visit_records<schema::MaintenanceTaskView>(reader, range, [&](MaintenanceTaskViewT task) {
    tasks.push_back(std::move(task));
    return true;
  });
  if (!scanned) return scanned.error();
  std::sort(tasks.begin(), tasks.end(), defined_before);
  return tasks;
}

Result<bool> is_removed(const ViewReader& reader, const std::string& machine) {
  const auto odometer = read<schema::OdometerView>(reader, keys::odometer(machine));
  if (!odometer) return odometer.error();
  return *odometer && (*odometer)->removed;
}

// The standings of one machine's tasks, with one read of its days.
Result<void> stand(const ViewReader& reader, std::span<TaskStanding> standings, WallTime now) {
  const std::string& machine = standings.front().task.machine;
  int64_t first_us = INT64_MAX;
  for (TaskStanding& standing : standings) {
    if (auto found = find_since(reader, standing); !found) return found;
    first_us = std::min(first_us, std::max<int64_t>(to_unix_us(standing.since), 0));
  }
  const auto days = Days::read_from(reader, machine, first_us);
  if (!days) return days.error();
  for (TaskStanding& standing : standings) {
    const auto used = used_since(reader, *days, machine, standing.since, now);
    if (!used) return used.error();
    standing.used = *used;
    judge(standing);
  }
  return {};
}

bool matches(const MaintenanceRecordViewT& record, const RecordQuery& query) {
  const WallTime date = from_unix_us(record.date_us);
  return (!query.done || record.done == *query.done) && (query.category.empty() || record.category == query.category) &&
         (query.task_id.empty() || record.task_id == query.task_id) && (!query.from || date >= *query.from) &&
         (!query.to || date < *query.to);
}

}  // namespace

Result<Odometer> read_odometer(const ViewReader& reader, const std::string& machine, WallTime now) {
  Odometer odometer;
  const auto stored = read<schema::OdometerView>(reader, keys::odometer(machine));
  if (!stored) return stored.error();
  if (!*stored) return odometer;
  const OdometerViewT& held = **stored;
  UpkeepDayT sum;
  sum.print_ms = held.print_ms;
  sum.filament_um = held.filament_um;
  sum.starts = held.starts;
  odometer.total = shown(sum);
  odometer.connected_hours = static_cast<double>(held.connected_ms) / kMsPerHour;
  if (held.connected_since_us != 0) {
    odometer.connected_hours += days_between(from_unix_us(held.connected_since_us), now) * 24;
  }
  odometer.last_record = held.last_record;
  odometer.last_task = held.last_task;
  const auto first = visit_records<schema::UpkeepShare>(reader, KeyRange::prefix(keys::of("s", machine) + "/"),
                                                        [&](const UpkeepShareT& share) {
                                                          odometer.first_print = from_unix_us(share.start_us);
                                                          return false;
                                                        });
  if (!first) return first.error();
  if (odometer.first_print != WallTime{}) odometer.total.days = days_between(odometer.first_print, now);
  return odometer;
}

Result<std::vector<TaskStanding>> read_tasks(const ViewReader& reader, const std::string& machine, WallTime now) {
  auto tasks = tasks_of(reader, machine);
  if (!tasks) return tasks.error();
  std::vector<TaskStanding> standings;
  for (size_t begin = 0, end = 0; begin < tasks->size(); begin = end) {
    const std::string of = (*tasks)[begin].machine;
    const size_t first = standings.size();
    for (end = begin; end < tasks->size() && (*tasks)[end].machine == of; ++end) {
      standings.emplace_back().task = std::move((*tasks)[end]);
    }
    const auto removed = is_removed(reader, of);
    if (!removed) return removed.error();
    if (*removed && machine.empty()) {
      standings.resize(first);
    } else if (auto stood = stand(reader, std::span(standings).subspan(first), now); !stood) {
      return stood.error();
    }
  }
  return standings;
}

Result<MaintenanceTaskViewT> find_task(const ViewReader& reader, const std::string& machine, const std::string& id) {
  auto task = read<schema::MaintenanceTaskView>(reader, keys::task(machine, id));
  if (!task) return task.error();
  if (!*task) return make_error(Errc::kNotFound, fmt::format("machine '{}' has no maintenance task '{}'", machine, id));
  return std::move(**task);
}

Result<bool> may_be_imported(const ViewReader& reader, const std::string& machine, const std::string& id) {
  const auto removed = reader.get(kMaintenanceView, keys::removed(machine, id));
  if (!removed) return removed.error();
  return !*removed;
}

Result<MaintenanceRecordViewT> find_record(const ViewReader& reader, const std::string& machine,
                                           const std::string& id) {
  auto record = read<schema::MaintenanceRecordView>(reader, keys::record(machine, id));
  if (!record) return record.error();
  if (!*record) {
    return make_error(Errc::kNotFound, fmt::format("machine '{}' has no maintenance record '{}'", machine, id));
  }
  return std::move(**record);
}

Result<RecordPage> list_records(const ViewReader& reader, const RecordQuery& query) {
  const std::string prefix = keys::of("l", query.machine) + "/";
  KeyRange range = KeyRange::prefix(prefix);
  if (!query.after.empty()) {
    if (!query.after.starts_with(prefix)) {
      return make_error(Errc::kInvalidArgument, "the place to go on from is not one of this list");
    }
    range.from = query.after + '\0';
  }
  RecordPage page;
  std::optional<Error> failed;
  std::string last_key;
  size_t scanned = 0;
  const auto done = reader.scan(kMaintenanceView, range, [&](std::string_view key, std::string_view id) {
    // One more key than fits says that there is a next page.
    if (page.records.size() == query.limit || scanned == query.scanned) {
      page.next = last_key;
      return false;
    }
    ++scanned;
    last_key = key;
    auto record = find_record(reader, query.machine, std::string(id));
    if (!record) {
      failed = record.error();
      return false;
    }
    if (matches(*record, query)) page.records.push_back(std::move(*record));
    return true;
  });
  if (!done) return done.error();
  if (failed) return *failed;
  return page;
}

}  // namespace millrace
