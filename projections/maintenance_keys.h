// SPDX-License-Identifier: Apache-2.0
// The keys of the view "maintenance".  Machine ids hold no '/'; numbers are big-endian, so that an ascending scan is in
// the order of time.
//
//   o/<machine>                        -> OdometerView
//   d/<machine>/<day>                  -> UpkeepDay
//   s/<machine>/<start><job id>        -> UpkeepShare
//   k/<machine>/<task id>              -> MaintenanceTaskView
//   m/<machine>/<record id>            -> MaintenanceRecordView
//   l/<machine>/<newest first><record id>            -> the record's id
//   x/<machine>/<record id>            -> nothing: an imported record that a person has removed
//   n/<machine>/<task id>/<newest first><record id>  -> the record's id, of those that are done
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "projections/job_history_keys.h"

namespace millrace::maintenance_keys {

inline constexpr int64_t kDayUs = 86'400'000'000;

// Of a time from 1970 on.
inline int64_t day_of(int64_t unix_us) { return unix_us / kDayUs; }

inline std::string of(std::string_view kind, std::string_view machine) {
  return std::string(kind) + "/" + std::string(machine);
}
inline std::string of(std::string_view kind, std::string_view machine, std::string_view id) {
  return of(kind, machine) + "/" + std::string(id);
}
inline std::string ascending(int64_t number) {
  return job_keys::big_endian_of(static_cast<uint64_t>(number) ^ (uint64_t{1} << 63));
}
inline std::string descending(int64_t number) {
  return job_keys::big_endian_of(~(static_cast<uint64_t>(number) ^ (uint64_t{1} << 63)));
}

inline std::string odometer(std::string_view machine) { return of("o", machine); }
inline std::string day(std::string_view machine, int64_t day) { return of("d", machine, ascending(day)); }
inline std::string share(std::string_view machine, int64_t start_us, std::string_view job_id) {
  return of("s", machine, ascending(start_us)) + std::string(job_id);
}
inline std::string task(std::string_view machine, std::string_view id) { return of("k", machine, id); }
inline std::string record(std::string_view machine, std::string_view id) { return of("m", machine, id); }
// A record that an import brought and may bring again: its id begins so.
inline constexpr char kImported = 'o';
inline std::string removed(std::string_view machine, std::string_view id) { return of("x", machine, id); }
inline std::string by_date(std::string_view machine, int64_t date_us, std::string_view id) {
  return of("l", machine, descending(date_us)) + std::string(id);
}
inline std::string done_prefix(std::string_view machine, std::string_view task_id) {
  return of("n", machine, task_id) + "/";
}
inline std::string done(std::string_view machine, std::string_view task_id, int64_t date_us, std::string_view id) {
  return done_prefix(machine, task_id) + descending(date_us) + std::string(id);
}

}  // namespace millrace::maintenance_keys
