// SPDX-License-Identifier: Apache-2.0
// What is wrong with a machine or its link and lasts: each is told once when it begins and once when it is over.  One
// that comes and goes is told at most every kAtLeast.  One thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "bus/clock.h"
#include "producers/moonraker/event_batch.h"

namespace millrace {

class MachineConditions {
 public:
  static constexpr std::chrono::seconds kAtLeast{30};  // from its beginning to its end
  static constexpr std::chrono::minutes kQuiet{5};     // without a sight one that nothing ends is over

  // `told` is what was told as active, kept with the adapter's state.  References outlive it.
  MachineConditions(const Clock& clock, EventBatch& out, std::set<std::string>& told);

  // It was seen (again).  `condition` is a literal of ours, so that their number is bounded; the first text stays.
  void seen(std::string_view condition, std::string_view text);
  // Something was seen that it rules out.
  void gone(std::string_view condition);
  // The machine is no longer looked after.
  void end_all();

  std::optional<MonotonicTime> next_deadline() const;
  void on_timer();

 private:
  struct Active {
    MonotonicTime begun;
    std::optional<MonotonicTime> end;
  };
  void tell(std::string_view condition, bool active, std::string_view text);

  const Clock& clock_;
  EventBatch& out_;
  std::set<std::string>& told_;
  std::map<std::string, Active, std::less<>> active_;
};

}  // namespace millrace
