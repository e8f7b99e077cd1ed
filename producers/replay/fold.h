// SPDX-License-Identifier: Apache-2.0
// The printer objects as recorded snapshots and deltas leave them.  Fields are kept as the recorded bytes and replaced
// whole, as Moonraker's clients do it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "producers/simulator/status.h"

namespace millrace {

class ReplayFold {
 public:
  // `objects` is {"name":{"field":value}}, `eventtime` a number, both as text.
  void apply(std::string_view objects, std::string_view eventtime);

  // {"eventtime":..,"status":{..}} with every object that was asked for; unknown ones are {}.
  std::string answer(const StatusFilter& filter) const;
  // The text of a field; "" when it is unknown.
  std::string_view field(std::string_view object, std::string_view name) const;
  bool operator==(const ReplayFold& other) const { return objects_ == other.objects_; }

 private:
  std::map<std::string, std::map<std::string, std::string, std::less<>>, std::less<>> objects_;
  std::string eventtime_ = "0.0";
};

// The part of {"name":{"field":value}} that passes the filter; "" when nothing does.
std::string filtered_objects(std::string_view objects, const StatusFilter& filter);

}  // namespace millrace
