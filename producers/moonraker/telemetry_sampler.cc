// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/telemetry_sampler.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace millrace {
namespace {

constexpr std::array<std::string_view, 4> kAxes = {"x", "y", "z", "e"};

// Of any object: heaters, fans, pins, drivers and sensors share these names.
constexpr std::array<std::string_view, 16> kCommonFields = {
    "temperature",       "target",   "power",       "speed",   "rpm",   "value",
    "humidity",          "pressure", "gas",         "voltage", "light", "filament_detected",
    "filament_diameter", "Diameter", "run_current", "force_g",
};

// Of "mcu" and "mcu NAME": what Klipper's own load graphs are made of, and what a bad cable shows in.
constexpr std::array<std::string_view, 7> kMcuStatistics = {
    "mcu_awake", "mcu_task_avg", "mcu_task_stddev", "srtt", "bytes_retransmit", "bytes_invalid", "freq"};
constexpr std::array<std::string_view, 2> kLayers = {"current_layer", "total_layer"};

struct Pick {
  std::string_view object;
  std::string_view field;
};
constexpr std::array kPicks = {
    Pick{"gcode_move", "speed_factor"},
    Pick{"gcode_move", "extrude_factor"},
    Pick{"gcode_move", "gcode_position"},
    Pick{"toolhead", "position"},
    Pick{"motion_report", "live_velocity"},
    Pick{"motion_report", "live_position"},
    Pick{"motion_report", "live_extruder_velocity"},
    Pick{"virtual_sdcard", "progress"},
    Pick{"display_status", "progress"},
    Pick{"print_stats", "total_duration"},
    Pick{"print_stats", "print_duration"},
    Pick{"print_stats", "filament_used"},
    Pick{"extruder", "pressure_advance"},
    Pick{"probe", "last_z_result"},
    Pick{"z_thermal_adjust", "current_z_adjust"},
    Pick{"system_stats", "sysload"},
    Pick{"system_stats", "memavail"},
};

bool is_picked(std::string_view object, std::string_view field) {
  if (std::ranges::find(kCommonFields, field) != kCommonFields.end()) return true;
  return std::ranges::any_of(kPicks, [&](const Pick& pick) { return pick.object == object && pick.field == field; });
}

}  // namespace

void TelemetrySampler::on_field(std::string_view object, std::string_view field, const StatusValue& value) {
  if (object.starts_with("gcode_button ") && field == "state") {
    if (const auto* state = std::get_if<std::string>(&value)) set(object, field, *state == "PRESSED" ? 1 : 0);
    return;
  }
  if (const auto* structure = std::get_if<StructureText>(&value)) {
    const bool of_mcu = object == "mcu" || object.starts_with("mcu ");
    if (of_mcu && field == "last_stats") set_members(object, *structure, kMcuStatistics);
    if (object == "print_stats" && field == "info") set_members(object, *structure, kLayers);
    return;
  }
  if (!is_picked(object, field)) return;
  if (const double* number = std::get_if<double>(&value)) {
    set(object, field, *number);
  } else if (const bool* flag = std::get_if<bool>(&value)) {
    set(object, field, *flag ? 1 : 0);
  } else if (const auto* numbers = std::get_if<std::vector<double>>(&value)) {
    for (size_t axis = 0; axis < std::min(numbers->size(), kAxes.size()); ++axis) {
      set(object, std::string(field) + "." + std::string(kAxes[axis]), (*numbers)[axis]);
    }
  }
}

void TelemetrySampler::on_process_statistics(const Json& statistics) {
  const auto copy = [&](const std::optional<Json>& from, std::string_view name, std::string_view object,
                        std::string_view field) {
    const auto number = from ? number_member(*from, name) : std::nullopt;
    if (number) set(object, field, *number);
  };
  copy(statistics, "cpu_temp", "host", "cpu_temp");
  copy(statistics, "websocket_connections", "moonraker", "websocket_connections");
  copy(member(statistics, "system_cpu_usage"), "cpu", "host", "cpu_usage");
  const auto memory = member(statistics, "system_memory");
  copy(memory, "total", "host", "memory_total");
  copy(memory, "available", "host", "memory_available");
  copy(memory, "used", "host", "memory_used");
  const auto moonraker = member(statistics, "moonraker_stats");
  copy(moonraker, "cpu_usage", "moonraker", "cpu_usage");
  copy(moonraker, "memory", "moonraker", "memory");
}

void TelemetrySampler::set_members(std::string_view object, const StructureText& structure,
                                   std::span<const std::string_view> names) {
  const auto parsed = json_.parse(structure.json);
  if (!parsed) return;
  for (const std::string_view name : names) {
    if (const auto number = number_member(*parsed, name)) set(object, name, *number);
  }
}

void TelemetrySampler::on_disk_usage(const Json& usage) {
  const auto total = number_member(usage, "total");
  const auto free = number_member(usage, "free");
  if (!total || !free || !(*total > 0) || !(*free >= 0 && *free <= *total)) return errors_.note("disk_usage", "absurd");
  set("host", "disk_total", *total);
  set("host", "disk_free", *free);
}

void TelemetrySampler::on_moonraker_sensors(const Json& sensors) {
  simdjson::dom::object objects;
  if (sensors.get_object().get(objects) != simdjson::SUCCESS) return errors_.note("sensor_update", "is no object");
  for (const auto [name, content] : objects) {
    simdjson::dom::object fields;
    if (content.get_object().get(fields) != simdjson::SUCCESS) continue;
    const std::string object = "moonraker_sensor " + std::string(name);
    for (const auto [field, value] : fields) {
      const auto number = as_number(value);
      if (number && field.size() <= kMaxName) set(object, field, *number);
    }
  }
}

void TelemetrySampler::begin() {
  values_.clear();
  signals_ = dirty_ = 0;
  full_ = true;
}

void TelemetrySampler::set(std::string_view object, std::string_view field, double value) {
  if (!std::isfinite(value)) return errors_.note("telemetry_value", field);
  auto fields = values_.find(object);
  if (fields == values_.end()) {
    if (object.size() > kMaxName || signals_ >= kMaxSignals) return errors_.note("telemetry_signals", object);
    fields = values_.try_emplace(std::string(object)).first;
  }
  auto known = fields->second.find(field);
  if (known == fields->second.end()) {
    if (signals_ >= kMaxSignals) return errors_.note("telemetry_signals", object);
    known = fields->second.try_emplace(std::string(field)).first;
    ++signals_;
  } else if (known->second.value == value) {
    return;
  }
  known->second.value = value;
  if (!known->second.dirty) ++dirty_;
  known->second.dirty = true;
}

std::optional<schema::TelemetrySampledT> TelemetrySampler::take() {
  const auto due = next_deadline();
  if (!due || *due > clock_.monotonic()) return std::nullopt;
  full_ = full_ || clock_.monotonic() - last_full_ >= kFullInterval;
  if (full_) last_full_ = clock_.monotonic();
  schema::TelemetrySampledT sample;
  sample.full = full_;
  for (auto& [object, fields] : values_) {
    for (auto& [field, known] : fields) {
      if (!known.dirty && !full_) continue;
      known.dirty = false;
      auto signal = std::make_unique<schema::SignalT>();
      signal->object = object;
      signal->field = field;
      signal->value = known.value;
      sample.signals.push_back(std::move(signal));
    }
  }
  dirty_ = 0;
  full_ = false;
  last_ = clock_.monotonic();
  return sample;
}

std::optional<MonotonicTime> TelemetrySampler::next_deadline() const {
  if (dirty_ == 0) return std::nullopt;
  return last_ ? *last_ + interval_ : clock_.monotonic();
}

}  // namespace millrace
