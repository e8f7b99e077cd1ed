// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/status_fold.h"

#include <fmt/format.h>

#include <cmath>

namespace millrace {
namespace {

using simdjson::dom::element_type;

std::optional<std::vector<double>> numbers_of(const Json& value) {
  simdjson::dom::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS || array.size() > 16) return std::nullopt;
  std::vector<double> numbers;
  for (const Json item : array) {
    const auto number = as_number(item);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<StatusValue> value_of(const Json& value) {
  switch (value.type()) {
    case element_type::NULL_VALUE:
      return StatusValue{};
    case element_type::BOOL:
      return StatusValue{as_flag(value).value_or(false)};
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
      return StatusValue{as_number(value).value_or(0)};
    case element_type::STRING: {
      const auto text = as_text(value).value_or("");
      if (text.size() > StatusFold::kMaxValueBytes) return std::nullopt;
      return StatusValue{std::string(text)};
    }
    case element_type::ARRAY:
      if (auto numbers = numbers_of(value)) return StatusValue{std::move(*numbers)};
      [[fallthrough]];
    case element_type::OBJECT: {
      std::string json = to_text(value);
      if (json.size() > StatusFold::kMaxValueBytes) return std::nullopt;
      return StatusValue{StructureText{std::move(json)}};
    }
  }
  return std::nullopt;
}

// No quantity of a machine; it would only spoil charts and limits.
bool is_absurd(const StatusValue& value) {
  constexpr double kMostNumber = 1e15;
  const auto* number = std::get_if<double>(&value);
  return number != nullptr && !(std::fabs(*number) <= kMostNumber);
}

}  // namespace

void StatusFold::fold(const Json& status, ProtocolErrors& errors, const OnField& on_field) {
  simdjson::dom::object objects;
  if (status.get_object().get(objects) != simdjson::SUCCESS) return errors.note("status_shape", "status is no object");
  for (const auto [object_name, content] : objects) {
    simdjson::dom::object fields;
    if (content.get_object().get(fields) != simdjson::SUCCESS) {
      errors.note("status_shape", object_name);
      continue;
    }
    auto object = objects_.find(object_name);
    if (object == objects_.end()) {
      if (objects_.size() >= kMaxObjects) {
        errors.note("status_objects", object_name);
        continue;
      }
      object = objects_.emplace(std::string(object_name), Fields{}).first;
    }
    for (const auto [field_name, field_value] : fields) {
      auto value = value_of(field_value);
      if (!value) {
        errors.note("status_value", field_name);
        continue;
      }
      if (is_absurd(*value)) {
        errors.note("status_number", fmt::format("{} {}", object_name, field_name));
        value = StatusValue{};
      }
      auto field = object->second.find(field_name);
      if (field == object->second.end()) {
        if (object->second.size() >= kMaxFields) {
          errors.note("status_fields", object_name);
          continue;
        }
        field = object->second.emplace(std::string(field_name), StatusValue{}).first;
      }
      field->second = std::move(*value);
      on_field(object_name, field_name, field->second);
    }
  }
}

const StatusValue* StatusFold::find(std::string_view object, std::string_view field) const {
  const auto found = objects_.find(object);
  if (found == objects_.end()) return nullptr;
  const auto value = found->second.find(field);
  return value == found->second.end() ? nullptr : &value->second;
}

std::string StatusFold::text(std::string_view object, std::string_view field) const {
  const StatusValue* value = find(object, field);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return text == nullptr ? std::string() : *text;
}

std::optional<double> StatusFold::number(std::string_view object, std::string_view field) const {
  const StatusValue* value = find(object, field);
  const auto* number = value == nullptr ? nullptr : std::get_if<double>(value);
  return number == nullptr ? std::nullopt : std::optional(*number);
}

}  // namespace millrace
