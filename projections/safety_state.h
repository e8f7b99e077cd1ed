// SPDX-License-Identifier: Apache-2.0
// The view "safety": limits, the latch of an emergency stop and the plate of each machine; every alarm with what became
// of it; the rules as people set them; and counts.  docs/alarms.md explains the life of an alarm.
//
// Keys.  Machine ids and rules hold no '/'.
//   m/<machine>              -> SafetyView
//   a/<alarm id>             -> AlarmView; an alarm's id begins with its machine
//   r/<machine>/<rule>       -> SafetyRuleView; an empty machine: all of them
//   c/<machine>/<what>       -> SafetyCountView: alarms by rule, "refused:<rule of the guard>", "emergency_stops",
//                               "state_changes", "events"
//   d/<day><machine>         -> SafetyCountView: alarms raised on that day, UTC; the day is big-endian
//   w/<alarm id>             -> SafetyCountView: times raised within kChatterUs from last_us on, the newest such time
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/machine_safety.h"
#include "projections/projection.h"
#include "schemas/view_generated.h"

namespace millrace {

inline constexpr std::string_view kSafetyView = "safety";
inline constexpr int64_t kChatterUs = 600'000'000;
inline constexpr uint64_t kChatters = 3;  // raised so often in that time, an alarm chatters

std::unique_ptr<const Projection> make_safety_state();

// What readers make of an alarm at a time: a shelf's end is no event.
enum class AlarmStanding { kActive, kAcknowledged, kShelved, kCleared };
std::string_view name_of(AlarmStanding standing);  // "active", ...
AlarmStanding standing_of(const schema::AlarmViewT& alarm, int64_t now_us);

// All errors kCorrupt, kIo, kUnavailable.
Result<std::map<std::string, schema::SafetyViewT>> read_safety(const ViewReader& reader);
// Of a machine of which nothing was said, an empty one.
Result<schema::SafetyViewT> find_safety(const ViewReader& reader, std::string_view machine);

struct AlarmQuery {
  std::string machine;                      // empty: any
  std::optional<AlarmStanding> standing;    // at now_us
  std::optional<schema::AlarmLevel> level;  // this one or higher
  std::string rule;                         // empty: any
  bool active_only = false;                 // whatever people have said of it
  int64_t now_us = 0;
  std::string after;  // AlarmPage::next of the page before
  size_t limit = 50;
};
struct AlarmPage {
  std::vector<schema::AlarmViewT> alarms;  // in the order of their ids
  std::string next;                        // empty: there are no more
};
Result<AlarmPage> list_alarms(const ViewReader& reader, const AlarmQuery& query);
Result<std::optional<schema::AlarmViewT>> find_alarm(const ViewReader& reader, std::string_view id);

// As people set them; of one machine ("" = those for all), or of every one.
Result<std::vector<schema::SafetyRuleViewT>> read_rules(const ViewReader& reader,
                                                        std::optional<std::string_view> machine = std::nullopt);
// The settings that hold for one machine: its own, and those for all where it has none; in order of their codes.
std::vector<schema::SafetyRuleSetT> rules_for(const std::vector<schema::SafetyRuleViewT>& rules,
                                              std::string_view machine);
// What an adapter is told of a machine, and the position of the newest event in it.
struct ToldSafety {
  MachineSafety safety;
  uint64_t version = 0;
};
ToldSafety told_safety(const schema::SafetyViewT& view, const std::vector<schema::SafetyRuleViewT>& rules,
                       std::string_view machine);

Result<std::vector<schema::SafetyCountViewT>> read_safety_counts(const ViewReader& reader);
struct AlarmDay {
  int64_t day = 0;  // since 1970, UTC
  std::string machine;
  uint64_t count = 0;
};
Result<std::vector<AlarmDay>> read_alarm_days(const ViewReader& reader, int64_t from_day);
// Ids of alarms that chattered at or after a time.
Result<std::vector<std::string>> read_chattering(const ViewReader& reader, int64_t from_us);

// What a key of the view is about, for readers of changes: "m", "a", "r" or another letter, and the rest.
struct SafetyKey {
  char kind = 0;
  std::string_view rest;
};
std::optional<SafetyKey> safety_key(std::string_view key);

}  // namespace millrace
