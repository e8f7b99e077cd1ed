// SPDX-License-Identifier: Apache-2.0
// The machine's own events pass its monitor before they are stored, and the alarms go with them: in the same atomic
// write, so that none is told twice and none is lost.  One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bus/machine_safety.h"
#include "bus/metrics.h"
#include "producers/moonraker/event_batch.h"
#include "safety/machine_monitor.h"

namespace millrace {

class AlarmTelling {
 public:
  // `saved` is what state() gave, "" the first time; `limits_version` what was told last, kept with the adapter's
  // state.  References outlive it.
  AlarmTelling(EventBatch& out, std::string_view saved, uint64_t& limits_version, Metrics& metrics);

  // Limits and rules from now on; says LimitsApplied when the limits differ from those that were told.  `applied` is
  // how they hold, narrowed by the machine's own.
  void watch_by(const MachineSafety& safety, const schema::LimitSetT& applied);
  // The machine's own limits have become known: says LimitsApplied where people have set limits and these hold
  // otherwise than was told.
  void limits_hold(const schema::LimitSetT& applied);
  // Looks at what the batch holds and adds the alarms that it raises and clears.
  void watch();
  // The machine is no longer looked after: nothing stands any more.
  void end_all();

  // Alarms of at least that level that stand, by their ids.
  std::vector<std::string> standing(schema::AlarmLevel least) const { return monitor_.standing(least); }
  // As text, for the adapter's state.
  std::string state() const;
  // Alarms since the last call whose action is more than to record or notify.
  std::vector<schema::AlarmRaisedT> take_actions() { return std::exchange(actions_, {}); }

 private:
  void tell_limits(const schema::LimitSetT& limits);
  void tell(const std::vector<AlarmTransition>& transitions);

  EventBatch& out_;
  uint64_t& limits_version_;
  Counter& raised_;
  Counter& held_back_;
  MachineMonitor monitor_;
  EventView view_;
  std::vector<schema::AlarmRaisedT> actions_;
};

}  // namespace millrace
