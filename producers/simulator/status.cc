// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bus/json_writer.h"
#include "producers/simulator/printer_config.h"

namespace millrace {
namespace {

constexpr size_t kMaxFilterObjects = 512;
constexpr size_t kMaxFilterFields = 256;

std::string number(double value) {
  if (!std::isfinite(value)) return "null";
  const double exact = std::round(value * 1e9) / 1e9;  // hides the tail that adding up steps leaves
  return exact == std::trunc(exact) && std::abs(exact) < 1e15 ? fmt::format("{:.1f}", exact) : fmt::format("{}", exact);
}

std::string flag(bool value) { return value ? "true" : "false"; }

std::string text(std::string_view value) {
  JsonWriter json;
  json.value(value);
  return json.take();
}

std::string numbers(const std::array<double, 4>& values) {
  return fmt::format("[{},{},{},{}]", number(values[0]), number(values[1]), number(values[2]), number(values[3]));
}

std::string bounds(const std::array<double, 3>& axes) { return numbers({axes[0], axes[1], axes[2], 0}); }

std::array<double, 4> gcode_position(const HostState& state) {
  auto position = state.position;
  for (size_t axis = 0; axis < position.size(); ++axis) position[axis] -= state.base_position[axis];
  position[3] /= state.extrude_factor;
  return position;
}

std::string texts(const std::vector<std::string>& values) {
  JsonWriter json;
  json.array();
  for (const auto& value : values) json.value(value);
  json.end();
  return json.take();
}

std::string object_list(const HostState& state) {
  JsonWriter json;
  json.array();
  for (const auto& name : state.objects) json.object().field("name", name).end();
  json.end();
  return json.take();
}

void add_print(StatusTable& table, const HostState& state) {
  const auto layer = [](const std::optional<int>& value) { return value ? fmt::format("{}", *value) : "null"; };
  table.push_back({"print_stats",
                   {{"filename", text(state.filename)},
                    {"total_duration", number(state.total_duration)},
                    {"print_duration", number(state.print_duration)},
                    {"filament_used", number(state.filament_used)},
                    {"state", text(name_of(state.print))},
                    {"message", text(state.message)},
                    {"info", fmt::format(R"({{"total_layer":{},"current_layer":{}}})", layer(state.total_layer),
                                         layer(state.current_layer))}}});
  table.push_back({"virtual_sdcard",
                   {{"file_path", state.file_path.empty() ? "null" : text(state.file_path)},
                    {"progress", number(state.file_progress)},
                    {"is_active", flag(state.file_active)},
                    {"file_position", fmt::format("{}", state.file_position)},
                    {"file_size", fmt::format("{}", state.file_size)}}});
  table.push_back({"display_status",
                   {{"progress", number(state.file_progress)},
                    {"message", state.display_message ? text(*state.display_message) : "null"}}});
  table.push_back({"pause_resume", {{"is_paused", flag(state.is_paused)}}});
  table.push_back({"exclude_object",
                   {{"objects", object_list(state)},
                    {"excluded_objects", texts(state.excluded)},
                    {"current_object", state.current_object ? text(*state.current_object) : "null"}}});
}

void add_heaters(StatusTable& table, const HostState& state) {
  table.push_back({"heaters",
                   {{"available_heaters", R"(["heater_bed","extruder"])"},
                    {"available_sensors", R"(["heater_bed","temperature_sensor chamber","extruder"])"},
                    {"available_monitors", "[]"}}});
  table.push_back({"heater_bed",
                   {{"temperature", number(state.bed.temperature)},
                    {"target", number(state.bed.target)},
                    {"power", number(state.bed.power)}}});
  table.push_back({"extruder",
                   {{"temperature", number(state.extruder.temperature)},
                    {"target", number(state.extruder.target)},
                    {"power", number(state.extruder.power)},
                    {"can_extrude", flag(state.extruder.temperature >= HostState::min_extrude_c)},
                    {"pressure_advance", number(state.pressure_advance)},
                    {"smooth_time", "0.04"},
                    {"motion_queue", "null"}}});
  table.push_back({"fan", {{"speed", number(state.fan_speed)}, {"rpm", "null"}}});
  table.push_back(
      {"heater_fan hotend_fan",
       {{"speed", number(state.hotend_fan_speed)}, {"rpm", state.hotend_fan_speed > 0 ? "5160.0" : "0.0"}}});
  table.push_back(
      {"filament_switch_sensor runout",
       {{"filament_detected", flag(state.filament_detected)}, {"enabled", flag(state.filament_sensor_enabled)}}});
}

void add_motion(StatusTable& table, const HostState& state) {
  table.push_back({"gcode_move",
                   {{"speed_factor", number(state.speed_factor)},
                    {"speed", number(state.move_speed)},
                    {"extrude_factor", number(state.extrude_factor)},
                    {"absolute_coordinates", flag(state.absolute)},
                    {"absolute_extrude", flag(state.absolute_extrude)},
                    {"homing_origin", numbers(state.homing_origin)},
                    {"position", numbers(state.position)},
                    {"gcode_position", numbers(gcode_position(state))},
                    {"axis_map", R"({"X":0,"Y":1,"Z":2,"E":3})"}}});
  table.push_back({"motion_report",
                   {{"live_position", numbers(state.live_position)},
                    {"live_velocity", number(state.live_velocity)},
                    {"live_extruder_velocity", number(state.live_extruder_velocity)},
                    {"steppers", R"(["extruder","stepper_x","stepper_y","stepper_z"])"},
                    {"trapq", R"(["extruder","toolhead"])"}}});
  table.push_back({"toolhead",
                   {{"homed_axes", text(state.homed_axes)},
                    {"axis_minimum", bounds(HostState::axis_minimum)},
                    {"axis_maximum", bounds(HostState::axis_maximum)},
                    {"print_time", number(state.print_time)},
                    {"stalls", fmt::format("{}", state.stalls)},
                    {"estimated_print_time", number(state.print_time)},
                    {"extruder", "\"extruder\""},
                    {"position", numbers(state.position)},
                    {"max_velocity", number(state.max_velocity)},
                    {"max_accel", number(state.max_accel)},
                    {"minimum_cruise_ratio", "0.5"},
                    {"square_corner_velocity", "5.0"},
                    {"extra_axes", R"({"extruder":3})"}}});
}

void add_host(StatusTable& table, const HostState& state) {
  table.push_back({"temperature_sensor chamber",
                   {{"temperature", number(state.chamber.temperature)},
                    {"measured_min_temp", number(state.chamber.lowest)},
                    {"measured_max_temp", number(state.chamber.highest)}}});
  // The room around the machine, which the chamber follows at a distance, and a driver that warms with its motor.
  table.push_back({"bme280 room",
                   {{"temperature", number(std::round(50 * state.chamber.temperature + 1000) / 100)},
                    {"pressure", number(1013.25)},
                    {"humidity", number(std::round(6000 - 50 * state.chamber.temperature) / 100)}}});
  table.push_back({"tmc2209 stepper_x",
                   {{"mcu_phase_offset", "null"},
                    {"phase_offset_position", "null"},
                    {"drv_status", "null"},
                    {"temperature", "null"},
                    {"run_current", "0.8"},
                    {"hold_current", "0.8"}}});
  table.push_back({"output_pin caselight", {{"value", number(state.light)}}});
  table.push_back(
      {"idle_timeout",
       {{"state", text(state.idle_state)}, {"printing_time", number(state.printing_time)}, {"idle_timeout", "600.0"}}});
  table.push_back(
      {"mcu",
       {{"mcu_version", "\"v0.13.0-120-g5d3f2b1a\""},
        {"mcu_build_versions", "\"gcc: (15:12.2.rel1-1) 12.2.1 20221205 binutils: (2.40) 2.40\""},
        {"mcu_constants", R"({"ADC_MAX":4095,"CLOCK_FREQ":180000000,"MCU":"stm32f446xx"})"},
        {"last_stats",
         fmt::format(
             R"({{"mcu_awake":{},"mcu_task_avg":1.2e-05,"mcu_task_stddev":9e-06,"bytes_write":{},"bytes_read":{},)"
             R"("bytes_retransmit":9,"bytes_invalid":0,"send_seq":{},"receive_seq":{},"retransmit_seq":2,)"
             R"("srtt":0.001,"rttvar":0.0,"rto":0.025,"ready_bytes":0,"upcoming_bytes":0,"freq":{}}})",
             number(state.mcu_awake), state.mcu_bytes_write, state.mcu_bytes_read, state.mcu_sequence,
             state.mcu_sequence, state.mcu_frequency)}}});
  table.push_back({"system_stats",
                   {{"sysload", number(state.sysload)},
                    {"cputime", number(state.cputime)},
                    {"memavail", fmt::format("{}", state.memavail)}}});
}

void write_fields(JsonWriter& json, const StatusObject& object, const StatusFilter& filter) {
  json.key(object.name).object();
  for (const StatusField& field : object.fields) {
    if (filter.wants(object.name, field.name)) json.key(field.name).raw(field.json);
  }
  json.end();
}

}  // namespace

StatusTable render_status(const HostState& state) {
  StatusTable table;
  table.reserve(20);
  table.push_back({"webhooks", {{"state", text(name_of(state.klippy))}, {"state_message", text(state.state_message)}}});
  add_print(table, state);
  table.push_back(simulated_printer_config(state.has_heaters));
  if (state.has_heaters) add_heaters(table, state);
  add_motion(table, state);
  add_host(table, state);
  return table;
}

std::optional<StatusFilter> StatusFilter::read(const Json& objects, std::string& error) {
  if (objects.type() != simdjson::dom::element_type::OBJECT) {
    error = "Invalid Argument Type [objects]";
    return std::nullopt;
  }
  StatusFilter filter;
  for (const auto [name, wanted] : simdjson::dom::object(objects)) {
    std::optional<std::vector<std::string>> fields;
    if (wanted.type() == simdjson::dom::element_type::ARRAY) {
      fields.emplace();
      for (const Json field : simdjson::dom::array(wanted)) {
        const auto text = as_text(field);
        if (text && fields->size() < kMaxFilterFields) fields->emplace_back(*text);
      }
      std::sort(fields->begin(), fields->end());
    } else if (!wanted.is_null()) {
      error = "Invalid argument";
      return std::nullopt;
    }
    if (filter.objects_.size() < kMaxFilterObjects) filter.objects_[std::string(name)] = std::move(fields);
  }
  for (const auto& [name, fields] : filter.objects_) {
    filter.key_.append(name).push_back('\n');
    if (!fields) continue;
    filter.key_.push_back('\r');
    for (const auto& field : *fields) filter.key_.append(field).push_back('\t');
  }
  return filter;
}

bool StatusFilter::wants(std::string_view object, std::string_view field) const {
  const auto found = objects_.find(object);
  if (found == objects_.end()) return false;
  const auto& fields = found->second;
  return !fields || std::binary_search(fields->begin(), fields->end(), field, std::less<std::string_view>());
}

std::string status_answer(const StatusTable& table, const StatusFilter& filter, double eventtime) {
  JsonWriter json;
  json.object().key("eventtime").raw(number(eventtime)).key("status").object();
  for (const auto& wanted : filter.objects()) {
    const std::string& name = wanted.first;
    const auto found =
        std::find_if(table.begin(), table.end(), [&name](const auto& object) { return object.name == name; });
    if (found == table.end()) {
      json.key(name).object().end();
    } else {
      write_fields(json, *found, filter);
    }
  }
  json.end().end();
  return json.take();
}

StatusTable status_delta(const StatusTable& before, const StatusTable& now) {
  StatusTable delta;
  for (size_t i = 0; i < now.size() && i < before.size(); ++i) {
    StatusObject* changed = nullptr;
    for (size_t j = 0; j < now[i].fields.size(); ++j) {
      if (now[i].fields[j].json == before[i].fields[j].json) continue;
      if (changed == nullptr) changed = &delta.emplace_back(StatusObject{now[i].name, {}});
      changed->fields.push_back(now[i].fields[j]);
    }
  }
  return delta;
}

std::optional<std::string> status_notification(const StatusTable& delta, const StatusFilter& filter, double eventtime) {
  JsonWriter json;
  bool any = false;
  json.object().field("jsonrpc", "2.0").field("method", "notify_status_update").key("params").array().object();
  for (const StatusObject& object : delta) {
    const bool wanted = std::any_of(object.fields.begin(), object.fields.end(),
                                    [&](const StatusField& field) { return filter.wants(object.name, field.name); });
    if (wanted) write_fields(json, object, filter);
    any = any || wanted;
  }
  if (!any) return std::nullopt;
  json.end().raw(number(eventtime)).end().end();
  return json.take();
}

}  // namespace millrace
