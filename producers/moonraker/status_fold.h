// SPDX-License-Identifier: Apache-2.0
// Klipper's status objects as far as they are known: deltas folded one top-level field at a time.  A field that is
// itself a structure is replaced whole.  One thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bus/json_reader.h"
#include "producers/moonraker/protocol_errors.h"

namespace millrace {

struct StructureText {
  std::string json;
};
using StatusValue =
    std::variant<std::monostate, bool, double, std::string, std::vector<double>, StructureText>;  // monostate: null

class StatusFold {
 public:
  static constexpr size_t kMaxObjects = 1024;
  static constexpr size_t kMaxFields = 256;            // of one object
  static constexpr size_t kMaxValueBytes = 64 * 1024;  // of one structure or string; larger ones are left out

  // Each changed field, after it was folded.
  using OnField = std::function<void(std::string_view object, std::string_view field, const StatusValue& value)>;

  // `status` is {object: {field: value}}; what has another shape is counted and skipped.
  void fold(const Json& status, ProtocolErrors& errors, const OnField& on_field);
  void clear() { objects_.clear(); }

  const StatusValue* find(std::string_view object, std::string_view field) const;
  // "" and nullopt where the field is missing or of another type.
  std::string text(std::string_view object, std::string_view field) const;
  std::optional<double> number(std::string_view object, std::string_view field) const;

 private:
  using Fields = std::map<std::string, StatusValue, std::less<>>;
  std::map<std::string, Fields, std::less<>> objects_;
};

}  // namespace millrace
