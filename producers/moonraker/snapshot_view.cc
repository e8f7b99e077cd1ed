// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/snapshot_view.h"

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

constexpr double kColdest = -40;  // no sensor of Klipper's is meant to measure less, or more than this
constexpr double kHottest = 600;
constexpr double kHeaterFanDefault = 50;  // Klipper's heater_temp of a heater_fan
constexpr size_t kMaxDevices = 64;

std::string_view first_word(std::string_view name) { return name.substr(0, name.find(' ')); }
std::string_view after_first_word(std::string_view name) {
  const size_t space = name.find(' ');
  return space == std::string_view::npos ? std::string_view() : name.substr(space + 1);
}

bool is_extruder(std::string_view object) {
  constexpr std::string_view kExtruder = "extruder";
  if (!object.starts_with(kExtruder)) return false;
  return std::all_of(object.begin() + kExtruder.size(), object.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_heater(std::string_view object) {
  return is_extruder(object) || object == "heater_bed" || object.starts_with("heater_generic ");
}

// As SET_HEATER_TEMPERATURE takes it.
std::string heater_name(std::string_view object) {
  return std::string(object.starts_with("heater_generic ") ? after_first_word(object) : object);
}

HeaterKind heater_kind(std::string_view object) {
  if (is_extruder(object)) return HeaterKind::kExtruder;
  if (object == "heater_bed") return HeaterKind::kBed;
  std::string name(after_first_word(object));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return name.find("chamber") != std::string::npos ? HeaterKind::kChamber : HeaterKind::kGeneric;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return out;
}

// Klipper's settings have their sections in lower case, its list of objects as they are written.
bool is_section_of(std::string_view section, std::string_view object) { return upper(section) == upper(object); }

const std::vector<double>* numbers(const StatusFold& fold, std::string_view object, std::string_view field) {
  const StatusValue* value = fold.find(object, field);
  return value == nullptr ? nullptr : std::get_if<std::vector<double>>(value);
}

std::optional<bool> flag(const StatusFold& fold, std::string_view object, std::string_view field) {
  const StatusValue* value = fold.find(object, field);
  const bool* found = value == nullptr ? nullptr : std::get_if<bool>(value);
  return found == nullptr ? std::nullopt : std::optional<bool>(*found);
}

void first_three(const std::vector<double>* from, std::array<std::optional<double>, 3>& to) {
  for (size_t i = 0; from != nullptr && i < to.size() && i < from->size(); ++i) {
    if (std::isfinite((*from)[i])) to[i] = (*from)[i];
  }
}

// A text, or a list of texts that Klipper has split already.
std::vector<std::string> texts_of(const Json& value) {
  std::vector<std::string> found;
  if (const auto text = as_text(value)) return {std::string(*text)};
  simdjson::dom::array items;
  if (value.get_array().get(items) != simdjson::SUCCESS) return found;
  for (const Json item : items) {
    if (const auto text = as_text(item)) found.emplace_back(*text);
  }
  return found;
}

// "PLA", or "[\"PLA\", \"PETG\"]" in a text, or "PLA;PETG", or an array.
std::vector<std::optional<std::string>> materials_of(const Json& metadata) {
  const auto value = member(metadata, "filament_type");
  if (!value) return {};
  std::vector<std::string> names = texts_of(*value);
  if (names.size() == 1 && names[0].starts_with('[')) {
    JsonReader reader(64u << 10, 4);
    if (const auto inner = reader.parse(names[0])) names = texts_of(*inner);
  } else if (names.size() == 1 && names[0].find(';') != std::string::npos) {
    std::string rest = std::exchange(names[0], "");
    names.clear();
    for (size_t at = 0; at <= rest.size();) {
      const size_t end = std::min(rest.find(';', at), rest.size());
      names.push_back(rest.substr(at, end - at));
      at = end + 1;
    }
  }
  std::vector<std::optional<std::string>> materials;
  for (std::string& name : names) materials.push_back(name.empty() ? std::nullopt : std::optional(std::move(name)));
  return materials;
}

// Of a number or a list of them, the largest.
std::optional<double> largest(const Json& metadata, std::string_view name) {
  const auto value = member(metadata, name);
  if (!value) return std::nullopt;
  if (const auto number = as_number(*value)) return number;
  std::optional<double> found;
  simdjson::dom::array items;
  if (value->get_array().get(items) != simdjson::SUCCESS) return found;
  for (const Json item : items) {
    const auto number = as_number(item);
    if (number && (!found || *number > *found)) found = number;
  }
  return found;
}

}  // namespace

void SnapshotView::begin(const Json& objects) {
  objects_.clear();
  simdjson::dom::array names;
  if (objects.get_array().get(names) != simdjson::SUCCESS) return;
  for (const Json name : names) {
    if (const auto text = as_text(name); text && objects_.size() < StatusFold::kMaxObjects)
      objects_.emplace_back(*text);
  }
}

void SnapshotView::on_settings(const Json& settings) {
  heater_settings_.clear();
  heater_fans_.clear();
  max_velocity_.reset();
  max_accel_.reset();
  simdjson::dom::object sections;
  if (settings.get_object().get(sections) != simdjson::SUCCESS) return;
  for (const auto [section, options] : sections) {
    if (is_heater(section)) {
      heater_settings_.push_back({std::string(section), number_member(options, "min_temp"),
                                  number_member(options, "max_temp"), number_member(options, "min_extrude_temp")});
    } else if (first_word(section) == "heater_fan") {
      const auto heaters = member(options, "heater");
      heater_fans_.push_back({std::string(section), heaters ? texts_of(*heaters) : std::vector<std::string>{"extruder"},
                              number_member(options, "heater_temp")});
    } else if (section == "printer") {
      max_velocity_ = number_member(options, "max_velocity");
      max_accel_ = number_member(options, "max_accel");
    }
  }
}

void SnapshotView::on_power_devices(const Json& answer) {
  const auto devices = member(answer, "devices");
  simdjson::dom::array list;
  if (!devices || devices->get_array().get(list) != simdjson::SUCCESS) return;
  power_devices_.emplace();
  for (const Json device : list) {
    const auto name = text_member(device, "device");
    if (name && power_devices_->size() < kMaxDevices) power_devices_->emplace_back(*name);
  }
}

void SnapshotView::clear() { *this = {}; }

MachineSnapshot SnapshotView::snapshot(const StatusFold& fold) const {
  MachineSnapshot out;
  out.power_devices = power_devices_;
  for (const std::string& object : objects_) {
    const std::string_view kind = first_word(object);
    const std::string name(after_first_word(object));
    if (is_heater(object)) {
      add_heater(fold, object, out);
    } else if (object == "fan" || kind == "fan_generic" || kind == "heater_fan" || kind == "controller_fan" ||
               kind == "temperature_fan") {
      add_fan(fold, object, out);
    } else if (kind == "output_pin" || kind == "pwm_tool" || kind == "pwm_cycle_time") {
      out.pins.push_back(name);
    } else if (kind == "led" || kind == "neopixel" || kind == "dotstar" || kind == "pca9533" || kind == "pca9632") {
      out.lights.push_back(name);
    } else if (kind == "gcode_macro") {
      out.macros.push_back(upper(name));
    }
  }
  add_motion(fold, out);
  add_print_objects(fold, out);
  return out;
}

void SnapshotView::add_heater(const StatusFold& fold, const std::string& object, MachineSnapshot& out) const {
  HeaterSnapshot heater;
  heater.name = heater_name(object);
  heater.kind = heater_kind(object);
  heater.temperature = fold.number(object, "temperature");
  heater.target = fold.number(object, "target").value_or(0);
  if (heater.kind == HeaterKind::kExtruder) heater.can_extrude = flag(fold, object, "can_extrude");
  double coldest = kColdest, hottest = kHottest;
  const auto settings = std::find_if(heater_settings_.begin(), heater_settings_.end(),
                                     [&](const HeaterSettings& known) { return is_section_of(known.section, object); });
  if (settings != heater_settings_.end()) {
    coldest = settings->min_temp.value_or(kColdest);
    out.klipper.heaters.push_back({heater.name, settings->max_temp, settings->min_extrude_temp});
  }
  heater.sensor_plausible = heater.temperature && std::isfinite(*heater.temperature) &&
                            *heater.temperature >= coldest && *heater.temperature <= hottest;
  for (const HeaterFan& fan : heater_fans_) {
    if (std::find(fan.heaters.begin(), fan.heaters.end(), heater.name) == fan.heaters.end()) continue;
    heater.fan = after_first_word(object_of(fan.section));
    heater.fan_from_c = fan.heater_temp.value_or(kHeaterFanDefault);
    break;
  }
  out.heaters.push_back(std::move(heater));
}

std::string_view SnapshotView::object_of(std::string_view section) const {
  const auto found = std::find_if(objects_.begin(), objects_.end(),
                                  [&](const std::string& object) { return is_section_of(section, object); });
  return found == objects_.end() ? section : std::string_view(*found);
}

void SnapshotView::add_fan(const StatusFold& fold, const std::string& object, MachineSnapshot& out) {
  FanSnapshot fan;
  fan.name = object == "fan" ? object : std::string(after_first_word(object));
  fan.speed = fold.number(object, "speed");
  fan.rpm = fold.number(object, "rpm");
  fan.settable = object == "fan" || object.starts_with("fan_generic ");
  out.fans.push_back(std::move(fan));
}

void SnapshotView::add_motion(const StatusFold& fold, MachineSnapshot& out) const {
  for (const char axis : fold.text("toolhead", "homed_axes")) {
    if (axis >= 'x' && axis <= 'z') out.homed[static_cast<size_t>(axis - 'x')] = true;
  }
  first_three(numbers(fold, "toolhead", "axis_minimum"), out.klipper.axis_minimum);
  first_three(numbers(fold, "toolhead", "axis_maximum"), out.klipper.axis_maximum);
  // The limits in force may be lowered by SET_VELOCITY_LIMIT; what was configured is what nobody may exceed.
  out.klipper.max_velocity = max_velocity_ ? max_velocity_ : fold.number("toolhead", "max_velocity");
  out.klipper.max_accel = max_accel_ ? max_accel_ : fold.number("toolhead", "max_accel");
  first_three(numbers(fold, "gcode_move", "position"), out.position);
  std::array<std::optional<double>, 3> gcode_position;
  first_three(numbers(fold, "gcode_move", "gcode_position"), gcode_position);
  for (size_t i = 0; i < 3; ++i) {
    if (out.position[i] && gcode_position[i]) out.gcode_offset[i] = *out.position[i] - *gcode_position[i];
  }
  first_three(numbers(fold, "gcode_move", "homing_origin"), out.homing_origin);
  out.absolute = flag(fold, "gcode_move", "absolute_coordinates");
  out.feedrate = fold.number("gcode_move", "speed");
  out.speed_factor = fold.number("gcode_move", "speed_factor").value_or(1);
  if (std::string active = fold.text("toolhead", "extruder"); !active.empty()) out.active_extruder = std::move(active);
}

void SnapshotView::add_print_objects(const StatusFold& fold, MachineSnapshot& out) {
  const auto names_in = [&](std::string_view field, std::vector<std::string>& names) {
    const StatusValue* value = fold.find("exclude_object", field);
    const auto* json = value == nullptr ? nullptr : std::get_if<StructureText>(value);
    if (json == nullptr) return;
    JsonReader reader(StatusFold::kMaxValueBytes, 16);
    const auto parsed = reader.parse(json->json);
    simdjson::dom::array items;
    if (!parsed || parsed->get_array().get(items) != simdjson::SUCCESS) return;
    for (const Json item : items) {
      const auto name = item.is_object() ? text_member(item, "name") : as_text(item);
      if (name) names.emplace_back(*name);
    }
  };
  names_in("objects", out.objects);
  names_in("excluded_objects", out.excluded_objects);
}

FileSnapshot file_snapshot(const std::string& filename, const Json& metadata) {
  FileSnapshot file;
  file.filename = filename;
  file.exists = true;
  file.nozzle_diameter = largest(metadata, "nozzle_diameter");
  file.filament_types = materials_of(metadata);
  const auto first_layer = largest(metadata, "first_layer_extr_temp");
  const auto highest = largest(metadata, "filament_temps");
  file.extruder_temp = first_layer && highest ? std::max(*first_layer, *highest) : first_layer ? first_layer : highest;
  file.bed_temp = largest(metadata, "first_layer_bed_temp");
  file.chamber_temp = largest(metadata, "chamber_temp");
  return file;
}

}  // namespace millrace
