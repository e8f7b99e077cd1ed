// SPDX-License-Identifier: Apache-2.0
// The view "maintenance": what each machine has done (its odometer), the tasks that return, and what was done.
// docs/maintenance.md says what counts.
//
// Keys, beside those of maintenance_keys.h: "j/<job id>" -> UpkeepJob and "r/<machine>/<start_us>" as in
// job_history_keys.h.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "projections/projection.h"
#include "schemas/view_generated.h"

namespace millrace {

inline constexpr std::string_view kMaintenanceView = "maintenance";
inline constexpr std::array<std::string_view, 7> kMaintenanceCategories = {
    "cleaning", "calibration", "parts_replacement", "repair", "inspection", "upgrade", "other"};

std::unique_ptr<const Projection> make_maintenance();

// What a machine did in some time.
struct Upkeep {
  double hours = 0;       // of printing
  double filament_m = 0;  // metres
  int64_t starts = 0;
  double days = 0;  // of the calendar
};

struct Odometer {
  Upkeep total;                // days: since its first print
  double connected_hours = 0;  // up to `now` where it is connected
  WallTime first_print{};      // 0: it has not printed
  uint64_t last_record = 0;    // highest n of an id m<n>
  uint64_t last_task = 0;      // highest n of an id t<n>
};
// All zero for a machine that did nothing.
Result<Odometer> read_odometer(const ViewReader& reader, const std::string& machine, WallTime now);

// A task and how it stands.
struct TaskStanding {
  schema::MaintenanceTaskViewT task;
  WallTime since{};             // when it was last done, or else defined
  std::string done_by;          // the record that says so; empty: never done
  Upkeep used;                  // since then
  std::optional<double> share;  // used of the interval that is nearest to its end, 1 = due; nullopt: no interval
  bool due = false;
};
// Those of one machine, or with "" of every machine that was not removed; by machine, then in the order of their
// definition.
Result<std::vector<TaskStanding>> read_tasks(const ViewReader& reader, const std::string& machine, WallTime now);
// kNotFound.
Result<schema::MaintenanceTaskViewT> find_task(const ViewReader& reader, const std::string& machine,
                                               const std::string& id);

struct RecordQuery {
  std::string machine;
  std::optional<bool> done;
  std::string category;          // empty: any
  std::string task_id;           // empty: any
  std::optional<WallTime> from;  // date at or after
  std::optional<WallTime> to;    // date before
  std::string after;             // RecordPage::next of the page before; empty: from the newest
  size_t limit = 50;
  size_t scanned = 20'000;  // at most so many records are looked at for one page
};
struct RecordPage {
  std::vector<schema::MaintenanceRecordViewT> records;  // newest date first
  std::string next;                                     // empty: there are no more
};
// kInvalidArgument for an `after` that is none.
Result<RecordPage> list_records(const ViewReader& reader, const RecordQuery& query);
// Whether an import may tell the record: its id, which begins with 'o', is not that of one that a person has removed.
Result<bool> may_be_imported(const ViewReader& reader, const std::string& machine, const std::string& id);
// kNotFound.
Result<schema::MaintenanceRecordViewT> find_record(const ViewReader& reader, const std::string& machine,
                                                   const std::string& id);

}  // namespace millrace
