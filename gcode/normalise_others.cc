// SPDX-License-Identifier: Apache-2.0
// Simplify3D, ideaMaker and KISSlicer.
#include <fmt/format.h>

#include <algorithm>

#include "gcode/normalise.h"
#include "gcode/text_values.h"

namespace millrace {
namespace {

using Numbers = std::vector<std::optional<double>>;

std::optional<double> at(const Numbers& list, size_t i) { return i < list.size() ? list[i] : std::nullopt; }

// Simplify3D: the summary's words differ in case and noun between versions 4 and 5.
std::string_view summary(const GcodeSettings& settings, std::initializer_list<std::string_view> keys) {
  for (const auto key : keys) {
    if (settings.has(key)) return settings.text(key);
  }
  return {};
}

struct Heater {
  std::optional<double> first_layer;
  std::optional<double> later;
};

// Version 4 lists all heaters in one line for each property; their set points follow one another.
void read_heaters_4(GcodeMetadata& data, const GcodeSettings& settings, size_t most) {
  const auto beds = numbers_of(settings.text("temperatureHeatedBed"), ",", most);
  const auto counts = numbers_of(settings.text("temperatureSetpointCount"), ",", most);
  const auto layers = numbers_of(settings.text("temperatureSetpointLayers"), ",", most * most);
  const auto temps = numbers_of(settings.text("temperatureSetpointTemperatures"), ",", most * most);
  const double primary = settings.number("primaryExtruder").value_or(0);
  const auto numbers = numbers_of(settings.text("temperatureNumber"), ",", most);
  size_t point = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    Heater heater;
    const auto count = static_cast<size_t>(std::clamp(counts[i].value_or(0), 0.0, static_cast<double>(most)));
    for (size_t k = 0; k < count; ++k, ++point) {
      if (at(layers, point).value_or(1) <= 1) heater.first_layer = at(temps, point);
      heater.later = at(temps, point);
    }
    if (at(beds, i).value_or(0) != 0) {
      if (!data.bed_temp) data.bed_temp = heater.later;
    } else if (at(numbers, i) == primary && !data.nozzle_temp) {
      data.nozzle_temp = heater.later;
      data.first_layer_nozzle_temp = heater.first_layer;
    }
  }
}

// Version 5 repeats the lines for each heater; set points are "layer|temperature" pairs.
void read_heaters_5(GcodeMetadata& data, const GcodeSettings& settings, size_t most) {
  for (size_t i = 1; i <= most; ++i) {
    const auto key = [&](std::string_view name) { return i == 1 ? std::string(name) : fmt::format("{}#{}", name, i); };
    const auto type = settings.text(key("temperatureType"));
    if (type.empty()) return;
    Heater heater;
    for (const std::string& point : list_of(settings.text(key("temperatureSetpoints")), ",", most)) {
      const auto pair = numbers_of(point, "|", 2);
      if (at(pair, 0).value_or(1) <= 1) heater.first_layer = at(pair, 1);
      heater.later = at(pair, 1);
    }
    if (type == "platform" && !data.bed_temp) data.bed_temp = heater.later;
    if (type == "chamber" && !data.chamber_temp) data.chamber_temp = heater.later;
    if (type == "extruder" && !data.nozzle_temp) {
      data.nozzle_temp = heater.later;
      data.first_layer_nozzle_temp = heater.first_layer;
    }
  }
}

// Only the whole print's use is told; it is the filament's where there is but one.
void read_simplify3d_extruders(GcodeMetadata& data, const GcodeSettings& settings, const GcodeLimits& limits) {
  const auto names = list_of(settings.text("extruderName"), ",", limits.max_extruders);
  const auto materials = list_of(settings.text("printMaterial"), ",", limits.max_extruders);
  const auto type = settings.text("makerBotModelMaterial");
  data.extruders.resize(std::max<size_t>(names.size(), 1));
  const auto primary = static_cast<size_t>(
      std::clamp(settings.number("primaryExtruder").value_or(0), 0.0, static_cast<double>(data.extruders.size() - 1)));
  GcodeExtruder& used = data.extruders[primary];
  if (!materials.empty()) used.filament_type = text_or_nothing(materials.front());
  if (!used.filament_type) used.filament_type = text_or_nothing(type);
  // One for each process: "Extruder 1 Only", or what the process prints with several.
  const auto printing = list_of(settings.text("printExtruders"), ",", limits.max_extruders);
  const bool only_one = names.size() < 2 || (!printing.empty() && printing.front().find("Only") != std::string::npos &&
                                             std::count(printing.begin(), printing.end(), printing.front()) ==
                                                 static_cast<ptrdiff_t>(printing.size()));
  if (!only_one) return;
  for (GcodeExtruder& extruder : data.extruders) {
    if (data.total_filament_used_mm) extruder.used_mm = extruder.used_cm3 = extruder.used_g = extruder.cost = 0;
  }
  used.used_mm = data.total_filament_used_mm;
  const auto volume = leading_number(summary(settings, {"Plastic volume", "Material Volume"}));
  used.used_cm3 = volume ? std::optional(*volume / 1000) : std::nullopt;  // it is in mm3
  used.used_g = data.total_filament_used_g;
  used.cost = data.total_filament_cost;
}

}  // namespace

GcodeMetadata normalised_simplify3d(const GcodeFacts& facts, const GcodeLimits& limits) {
  const GcodeSettings& settings = facts.settings;
  GcodeMetadata data;
  const auto first = [&](std::string_view key) { return at(numbers_of(settings.text(key), ",", 1), 0); };
  data.estimated_time_s = duration_s(summary(settings, {"Build time", "Build Time"}));
  data.layer_height = first("layerHeight");
  const auto share = first("firstLayerHeightPercentage");
  if (data.layer_height && share) data.first_layer_height = *data.layer_height * *share / 100;
  read_heaters_4(data, settings, limits.max_extruders);
  read_heaters_5(data, settings, limits.max_extruders);
  data.infill_percentage = first("infillPercentage");
  const auto patterns = list_of(settings.text("internalInfillPattern"), ",", 1);
  if (!patterns.empty()) data.infill_pattern = text_or_nothing(patterns.front());
  if (const auto support = first("generateSupport")) data.support_enabled = *support != 0;
  // mm/min, and the share of it that outlines are printed with.
  const auto speed = first("defaultSpeed");
  const auto outline = first("outlineUnderspeed");
  if (speed && outline) data.print_speed = *speed * *outline / 60;
  data.total_filament_used_mm = leading_number(summary(settings, {"Filament length", "Material Length"}));
  data.total_filament_used_g = leading_number(summary(settings, {"Plastic weight", "Material Weight"}));
  data.total_filament_cost = leading_number(summary(settings, {"Material cost", "Material Cost"}));
  read_simplify3d_extruders(data, settings, limits);
  return data;
}

GcodeMetadata normalised_ideamaker(const GcodeFacts& facts, const GcodeLimits& limits) {
  const GcodeSettings& settings = facts.settings;
  GcodeMetadata data;
  data.estimated_time_s = settings.number("Print Time");
  if (!data.estimated_time_s) data.estimated_time_s = facts.remaining_s;
  // xmin xmax ymin ymax zmin zmax
  const auto box = numbers_of(settings.text("Bounding Box"), " ", 6);
  if (at(box, 4) && at(box, 5)) data.object_height = *box[5] - *box[4];
  for (size_t i = 1; i <= limits.max_extruders; ++i) {
    const auto key = [&](std::string_view before, std::string_view behind) {
      return fmt::format("{} #{}{}", before, i, behind);
    };
    const auto used_key = fmt::format("Material#{} Used", i);
    if (!settings.has(used_key) && !settings.has(key("Filament Diameter", ""))) break;
    GcodeExtruder extruder;
    extruder.filament_type = text_or_nothing(settings.text(key("Filament Type", "")));
    extruder.used_mm = settings.number(used_key);
    extruder.used_cm3 = filament_cm3(extruder.used_mm, settings.number(key("Filament Diameter", "")));
    const auto density = settings.number(key("Filament Density", ""));  // kg/m3
    extruder.used_g = filament_g(extruder.used_cm3, density ? std::optional(*density / 1000) : std::nullopt);
    extruder.cost = settings.number(fmt::format("Material#{} Cost", i));
    data.extruders.push_back(std::move(extruder));
  }
  return data;
}

GcodeMetadata normalised_kisslicer(const GcodeFacts& facts, const GcodeLimits& limits) {
  const GcodeSettings& settings = facts.settings;
  GcodeMetadata data;
  for (const auto* key :
       {"Calculated-during-export Build Time", "Estimated-in-GUI Build Time", "Estimated Build Time"}) {
    const auto minutes = settings.number(key);
    if (minutes && !data.estimated_time_s) data.estimated_time_s = *minutes * 60;
  }
  // Below zero these are shares of something else; the layers themselves tell then.
  const auto positive = [&](std::string_view key) {
    const auto number = settings.number(key);
    return number.value_or(0) > 0 ? number : std::nullopt;
  };
  data.layer_height = positive("layer_thickness_mm");
  const bool changing =
      settings.has("max_layer_thickness_mm") && positive("max_layer_thickness_mm") != data.layer_height;
  if (changing) data.layer_height.reset();
  data.first_layer_height = positive("first_layer_thickness_mm");
  data.nozzle_temp = settings.number("temperature_C");
  data.first_layer_nozzle_temp = settings.number("first_layer_C");
  data.bed_temp = settings.number("bed_C");
  data.chamber_temp = settings.number("chamber_C");
  data.print_speed = settings.number("Perimeter Speed");
  if (const auto denominator = positive("infill_density_denominator")) data.infill_percentage = 100 / *denominator;
  if (const auto support = settings.number("support_density")) data.support_enabled = *support > 0;
  for (size_t i = 1; i <= limits.max_extruders; ++i) {
    // "305.09 mm  (0.734 cm^3)"
    auto used = settings.text(fmt::format("Ext #{}", i));
    if (used.empty()) used = settings.text(fmt::format("Ext {}", i));
    if (used.empty()) break;
    GcodeExtruder extruder;
    extruder.used_mm = leading_number(used);
    const size_t bracket = used.find('(');
    if (bracket != std::string_view::npos) extruder.used_cm3 = leading_number(used.substr(bracket + 1));
    data.extruders.push_back(std::move(extruder));
  }
  for (const auto* key : {"Estimated-in-GUI Build Cost", "Estimated Build Cost"}) {
    if (!data.total_filament_cost) data.total_filament_cost = settings.number(key);
  }
  return data;
}

}  // namespace millrace
