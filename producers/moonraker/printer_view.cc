// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/printer_view.h"

#include <algorithm>

#include "producers/moonraker/history_row.h"

namespace millrace {
namespace {

constexpr size_t kMaxName = 256;
constexpr size_t kMaxText = 4096;

bool is_filament_sensor(std::string_view object) {
  return object.starts_with("filament_switch_sensor ") || object.starts_with("filament_motion_sensor ");
}

std::optional<int> small_integer(const Json& value, std::string_view name) {
  const auto number = integer_member(value, name);
  if (!number || *number < 0 || *number > 10'000'000) return std::nullopt;
  return static_cast<int>(*number);
}

}  // namespace

void PrinterView::on_field(std::string_view object, std::string_view field, const StatusValue& value,
                           double eventtime) {
  if (object == "print_stats" && field == "info") {
    read_layers(value);
  } else if (object == "exclude_object" && field == "excluded_objects") {
    read_excluded(value);
  } else if (object == "exclude_object" && field == "objects") {
    read_objects(value);
  } else if (is_filament_sensor(object) && field == "filament_detected") {
    const bool* detected = std::get_if<bool>(&value);
    if (detected == nullptr) return;
    const auto [known, is_new] = filament_.try_emplace(std::string(object), *detected);
    if (!is_new && known->second && !*detected) now_.runout_at = eventtime;
    known->second = *detected;
  }
}

void PrinterView::clear() {
  now_ = {};
  filament_.clear();
}

const Observation& PrinterView::observe(const StatusFold& fold, double eventtime) {
  now_.eventtime = eventtime;
  now_.klipper_state = fold.text("webhooks", "state");
  now_.klipper_text = fold.text("webhooks", "state_message").substr(0, kMaxText);
  now_.print_state = fold.text("print_stats", "state");
  now_.filename = fold.text("print_stats", "filename").substr(0, kMaxText);
  now_.print_text = fold.text("print_stats", "message").substr(0, kMaxText);
  now_.total_duration = amount(fold, "total_duration");
  now_.print_duration = amount(fold, "print_duration");
  now_.filament_used = amount(fold, "filament_used");
  now_.progress = fold.number("virtual_sdcard", "progress");
  if (!now_.progress) now_.progress = fold.number("display_status", "progress");
  if (now_.progress && !(*now_.progress >= 0 && *now_.progress <= 1)) now_.progress.reset();
  return now_;
}

void PrinterView::read_layers(const StatusValue& value) {
  now_.layer.reset();
  now_.total_layers.reset();
  const auto* structure = std::get_if<StructureText>(&value);
  const auto json = structure != nullptr ? reader_.parse(structure->json) : Result<Json>(Error{});
  if (!json) return;
  now_.layer = small_integer(*json, "current_layer");
  now_.total_layers = small_integer(*json, "total_layer");
}

void PrinterView::read_excluded(const StatusValue& value) {
  now_.excluded.clear();
  const auto* structure = std::get_if<StructureText>(&value);
  const auto json = structure != nullptr ? reader_.parse(structure->json) : Result<Json>(Error{});
  simdjson::dom::array names;
  if (!json || json->get_array().get(names) != simdjson::SUCCESS) return;
  for (const Json name : names) {
    const auto text = as_text(name);
    if (!text || now_.excluded.size() >= kMaxExcluded) continue;
    now_.excluded.emplace_back(text->substr(0, kMaxName));
  }
}

void PrinterView::read_objects(const StatusValue& value) {
  now_.objects = 0;
  const auto* structure = std::get_if<StructureText>(&value);
  const auto json = structure != nullptr ? reader_.parse(structure->json) : Result<Json>(Error{});
  simdjson::dom::array objects;
  if (json && json->get_array().get(objects) == simdjson::SUCCESS) now_.objects = static_cast<int>(objects.size());
}

std::optional<double> PrinterView::amount(const StatusFold& fold, std::string_view field) {
  const StatusValue* value = fold.find("print_stats", field);
  if (value == nullptr || std::holds_alternative<std::monostate>(*value)) return std::nullopt;
  const double* number = std::get_if<double>(value);
  if (number != nullptr && is_plausible_amount(*number)) return *number;
  errors_.note("print_stats", field);
  return std::nullopt;
}

}  // namespace millrace
