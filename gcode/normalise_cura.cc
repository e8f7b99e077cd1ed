// SPDX-License-Identifier: Apache-2.0
// Cura: a header that CuraEngine writes, in one of three flavours, and at the end those settings that differ from the
// profiles, so that much is not said.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gcode/normalise.h"
#include "gcode/text_values.h"

namespace millrace {
namespace {

// CuraEngine writes this until the front end puts in what came out; alone, it stays.
constexpr double kPlaceholderTime = 6666;
constexpr double kMostMm = 1e5;  // sizes are +-2.14748e+06 until then

std::string key_of(size_t extruder, std::string_view key) {
  return extruder == 0 ? std::string(key) : fmt::format("extruder_{}.{}", extruder, key);
}

std::optional<double> size_mm(const GcodeSettings& settings, std::string_view key) {
  const auto number = settings.number(key);
  return number && std::abs(*number) < kMostMm ? number : std::nullopt;
}

std::optional<double> first_of(const GcodeSettings& settings, std::initializer_list<std::string_view> keys) {
  for (const auto key : keys) {
    if (const auto number = settings.number(key)) return number;
  }
  return std::nullopt;
}

// "[12.3, 0.5]", as start G-code of people's own writes it.
std::vector<std::string> own_list(const GcodeSettings& settings, std::string_view key, const GcodeLimits& limits) {
  auto text = trimmed(settings.text(key));
  if (!text.empty() && text.front() == '[') text.remove_prefix(1);
  if (!text.empty() && text.back() == ']') text.remove_suffix(1);
  auto list = list_of(text, ",", limits.max_extruders);
  for (std::string& element : list) {
    std::erase(element, '\'');
  }
  return list;
}

// "0.27387m, 0.1m" in the usual flavour.
std::vector<std::optional<double>> lengths_mm(const GcodeSettings& settings, const GcodeLimits& limits) {
  std::vector<std::optional<double>> lengths;
  for (const std::string& used : list_of(settings.text("Filament used"), ",", limits.max_extruders)) {
    const auto number = leading_number(used);
    const bool in_mm = used.find("mm") != std::string::npos;
    // "1234mm3" is a volume.
    if (used.find("mm3") != std::string::npos) return {};
    lengths.push_back(number ? std::optional(in_mm ? *number : *number * 1000) : std::nullopt);
  }
  return lengths;
}

// Up to version 15: "Basic settings: Layer height: 0.2 Walls: 0.8 Fill: 20"
std::optional<double> basic_setting(const GcodeSettings& settings, std::string_view name) {
  const auto text = settings.text("Basic settings");
  const size_t at = text.find(name);
  return at == std::string_view::npos ? std::nullopt : leading_number(text.substr(at + name.size()));
}

std::optional<double> volume_cm3(const GcodeSettings& settings, size_t extruder) {
  const auto griffin = settings.number(fmt::format("EXTRUDER_TRAIN.{}.MATERIAL.VOLUME_USED", extruder));
  if (griffin) return *griffin / 1000;
  const auto ultigcode =
      settings.number(extruder == 0 ? std::string("MATERIAL") : fmt::format("MATERIAL{}", extruder + 1));
  return ultigcode ? std::optional(*ultigcode / 1000) : std::nullopt;
}

void read_extruders(GcodeMetadata& data, const GcodeSettings& settings, const GcodeLimits& limits, bool placeholder) {
  auto lengths = placeholder ? std::vector<std::optional<double>>() : lengths_mm(settings, limits);
  const auto types = own_list(settings, "Filament type", limits);
  const auto weights = own_list(settings, "Filament weight", limits);
  const auto costs = own_list(settings, "Filament cost", limits);
  size_t count = std::max(lengths.size(), types.size());
  while (count < limits.max_extruders && volume_cm3(settings, count)) ++count;
  while (count < limits.max_extruders && settings.has(fmt::format("extruder_{}.metadata.type", count))) ++count;
  for (size_t i = 0; i < count; ++i) {
    GcodeExtruder extruder;
    if (i < types.size()) extruder.filament_type = text_or_nothing(types[i]);
    if (i < lengths.size()) extruder.used_mm = lengths[i];
    const auto diameter = settings.number(key_of(i, "material_diameter"));
    extruder.used_cm3 = volume_cm3(settings, i);
    if (!extruder.used_cm3) extruder.used_cm3 = filament_cm3(extruder.used_mm, diameter);
    if (!extruder.used_mm && extruder.used_cm3) {
      if (const auto per_mm = filament_cm3(1, diameter)) extruder.used_mm = *extruder.used_cm3 / *per_mm;
    }
    if (i < weights.size()) extruder.used_g = leading_number(weights[i]);
    if (i < costs.size()) extruder.cost = leading_number(costs[i]);
    data.extruders.push_back(std::move(extruder));
  }
}

}  // namespace

GcodeMetadata normalised_cura(const GcodeFacts& facts, const GcodeLimits& limits) {
  const GcodeSettings& settings = facts.settings;
  GcodeMetadata data;
  data.estimated_time_s = first_of(settings, {"TIME", "PRINT.TIME"});
  if (!data.estimated_time_s) data.estimated_time_s = duration_s(settings.text("Print time"));
  const bool placeholder = data.estimated_time_s == kPlaceholderTime;
  if (placeholder) data.estimated_time_s = facts.elapsed_s;
  read_extruders(data, settings, limits, placeholder);
  data.layer_height = first_of(settings, {"Layer height", "layer_height"});
  if (!data.layer_height) data.layer_height = basic_setting(settings, "Layer height:");
  data.first_layer_height = settings.number("layer_height_0");
  // What is lowest is the first layer.
  if (!data.first_layer_height) data.first_layer_height = size_mm(settings, "MINZ");
  if (data.first_layer_height.value_or(1) <= 0) data.first_layer_height.reset();
  // Parts that are printed one after the other each begin at layer 0, and more of them may come.
  const bool more_may_come = facts.partial && settings.text("print_sequence") == "one_at_a_time";
  if (facts.stated_layers > 0 && !more_may_come) data.layer_count = facts.stated_layers;
  if (!data.layer_count) data.layer_count = leading_integer(settings.text("Layer count"));
  data.object_height = size_mm(settings, "MAXZ");
  if (!data.object_height) data.object_height = size_mm(settings, "PRINT.SIZE.MAX.Z");
  if (data.object_height.value_or(1) <= 0) data.object_height.reset();
  const auto first = std::find_if(data.extruders.begin(), data.extruders.end(), [](const GcodeExtruder& it) {
    return it.used_mm.value_or(0) > 0 || it.used_cm3.value_or(0) > 0;
  });
  const auto used = first == data.extruders.end() ? 0 : static_cast<size_t>(first - data.extruders.begin());
  data.nozzle_temp = settings.number(key_of(used, "material_print_temperature"));
  data.first_layer_nozzle_temp = first_of(settings, {key_of(used, "material_print_temperature_layer_0"),
                                                     fmt::format("EXTRUDER_TRAIN.{}.INITIAL_TEMPERATURE", used)});
  data.bed_temp = first_of(settings, {"material_bed_temperature"});
  data.chamber_temp = first_of(settings, {"build_volume_temperature", "BUILD_VOLUME.TEMPERATURE"});
  data.infill_percentage = settings.number("infill_sparse_density");
  if (!data.infill_percentage) data.infill_percentage = basic_setting(settings, "Fill:");
  data.infill_pattern = text_or_nothing(settings.text("infill_pattern"));
  if (settings.has("support_enable")) data.support_enabled = settings.text("support_enable") == "True";
  data.support_type = text_or_nothing(settings.text("support_structure"));
  data.print_speed = first_of(settings, {"speed_wall_0", "speed_wall"});
  return data;
}

}  // namespace millrace
