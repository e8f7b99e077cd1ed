// SPDX-License-Identifier: Apache-2.0
// The status objects of a host as JSON, and what changed of them since last time.  A delta is built once per machine
// and tick; connections with the same subscription share its bytes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/json_reader.h"
#include "producers/simulator/state.h"

namespace millrace {

struct StatusField {
  std::string name;
  std::string json;
};

struct StatusObject {
  std::string name;
  std::vector<StatusField> fields;
};

// Always the same objects and fields in the same order for one kind of machine.
using StatusTable = std::vector<StatusObject>;

StatusTable render_status(const HostState& state);

// Which objects, and which fields of each (nullopt: all), a client asked for.
class StatusFilter {
 public:
  // From {"objects":{name: null | [field, ...]}}; an error text when the shape is wrong.
  static std::optional<StatusFilter> read(const Json& objects, std::string& error);

  bool empty() const { return objects_.empty(); }
  bool wants(std::string_view object) const { return objects_.contains(object); }
  bool wants(std::string_view object, std::string_view field) const;
  const auto& objects() const { return objects_; }
  // Equal for filters that let the same through.
  const std::string& key() const { return key_; }

 private:
  std::map<std::string, std::optional<std::vector<std::string>>, std::less<>> objects_;
  std::string key_;
};

// {"eventtime":..,"status":{..}} with every object that was asked for; unknown ones are {}.
std::string status_answer(const StatusTable& table, const StatusFilter& filter, double eventtime);
// The objects and fields of `now` that differ from `before` (same kind of machine).
StatusTable status_delta(const StatusTable& before, const StatusTable& now);
// A whole notify_status_update frame; nullopt when nothing of the delta is wanted.
std::optional<std::string> status_notification(const StatusTable& delta, const StatusFilter& filter, double eventtime);

}  // namespace millrace
