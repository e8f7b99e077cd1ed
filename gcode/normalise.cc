// SPDX-License-Identifier: Apache-2.0
#include "gcode/normalise.h"

#include <fmt/format.h>

#include <numbers>

#include "gcode/text_values.h"

namespace millrace {
namespace {

template <class T>
void where_missing(std::optional<T>& value, const std::optional<T>& other) {
  if (!value) value = other;
}

std::optional<double> heated(double target) { return target > 0 ? std::optional(target) : std::nullopt; }

// Whether parts are printed one after the other, so that the end of the file does not show the highest one.
// nullopt when the file does not say.
std::optional<bool> one_after_the_other(const GcodeSettings& settings) {
  if (settings.has("complete_objects")) return settings.text("complete_objects") != "0";
  if (settings.has("print_sequence")) {
    const auto sequence = settings.text("print_sequence");
    return sequence != "by layer" && sequence != "all_at_once";
  }
  return std::nullopt;
}

void add_what_layers_tell(GcodeMetadata& data, const GcodeFacts& facts) {
  const bool whole = !facts.partial;
  const auto count = static_cast<int64_t>(facts.layer_marks());
  if (!data.layer_count && whole && count != 0) data.layer_count = count;
  if (whole || one_after_the_other(facts.settings) == false) {
    where_missing(data.object_height, facts.marked_z_max);
    where_missing(data.object_height, facts.extruded_z_max);
  }
  if (whole) where_missing(data.object_height, facts.extruded_z_last);
  where_missing(data.first_layer_height, facts.heights.first);
  if (whole && facts.heights.uniform) where_missing(data.layer_height, facts.heights.other);
}

void add_what_commands_tell(GcodeMetadata& data, const GcodeFacts& facts) {
  if (facts.first_layer) {
    const GcodeTargets& first = *facts.first_layer;
    where_missing(data.first_layer_nozzle_temp, heated(first.nozzle[first.tool]));
    where_missing(data.chamber_temp, heated(first.chamber));
  }
  if (facts.other_layers && (!facts.partial || facts.settled)) {
    const GcodeTargets& other = *facts.other_layers;
    where_missing(data.nozzle_temp, heated(other.nozzle[other.tool]));
    where_missing(data.bed_temp, heated(other.bed));
  }
}

// The best of the ways in which the parts are named.
std::optional<std::vector<std::string>> objects_of(const GcodeFacts& facts) {
  for (const GcodeNames* complete : {&facts.defined, &facts.listed}) {
    if (!complete->empty()) return complete->names();
  }
  // These are told as the print goes on.
  if (facts.partial || !facts.body_read) return std::nullopt;
  return facts.numbered.empty() ? facts.printed.names() : facts.numbered.names();
}

void add_warnings(GcodeMetadata& data, const GcodeFacts& facts, const GcodeLimits& limits) {
  if (facts.settings.left_out() != 0) {
    data.warnings.push_back(fmt::format("{} settings are left out: more than {} or {} bytes", facts.settings.left_out(),
                                        limits.max_settings, limits.max_settings_bytes));
  }
  if (facts.settings.cut() != 0) {
    data.warnings.push_back(
        fmt::format("{} settings are cut off at {} bytes", facts.settings.cut(), limits.max_value_bytes));
  }
  const uint64_t names =
      facts.defined.left_out() + facts.numbered.left_out() + facts.listed.left_out() + facts.printed.left_out();
  if (names != 0)
    data.warnings.push_back(
        fmt::format("{} mentions of objects beyond the first {} are left out", names, limits.max_objects));
}

GcodeMetadata family_of(const GcodeFacts& facts, const GcodeLimits& limits) {
  switch (facts.dialect) {
    case GcodeDialect::kCura:
      return normalised_cura(facts, limits);
    case GcodeDialect::kSimplify3d:
      return normalised_simplify3d(facts, limits);
    case GcodeDialect::kIdeaMaker:
      return normalised_ideamaker(facts, limits);
    case GcodeDialect::kKissSlicer:
      return normalised_kisslicer(facts, limits);
    case GcodeDialect::kSlic3r:
    case GcodeDialect::kUnknown:
      break;
  }
  return normalised_slic3r(facts, limits);
}

void within(std::optional<double>& value, double least, double most) {
  if (value && (*value < least || *value > most)) value.reset();
}

// What no print has is a damaged file or somebody's joke, and not known.
void drop_absurd(GcodeMetadata& data) {
  constexpr double kTenYears = 10 * 365.25 * 86400;
  constexpr double kThickestLayer = 100;
  constexpr double kKilometre = 1e6;
  constexpr double kHottest = 2000;
  constexpr double kFastest = 1e5;
  constexpr double kMostUsed = 1e9;
  constexpr int64_t kMostLayers = 10'000'000;
  within(data.estimated_time_s, 0, kTenYears);
  within(data.layer_height, 0, kThickestLayer);
  within(data.first_layer_height, 0, kThickestLayer);
  within(data.object_height, 0, kKilometre);
  for (auto* temp : {&data.nozzle_temp, &data.first_layer_nozzle_temp, &data.bed_temp, &data.chamber_temp}) {
    within(*temp, 0, kHottest);
  }
  within(data.infill_percentage, 0, 100);
  within(data.print_speed, 0, kFastest);
  if (data.layer_count && (*data.layer_count < 0 || *data.layer_count > kMostLayers)) data.layer_count.reset();
  for (GcodeExtruder& extruder : data.extruders) {
    for (auto* amount : {&extruder.used_mm, &extruder.used_cm3, &extruder.used_g, &extruder.cost}) {
      within(*amount, 0, kMostUsed);
    }
  }
  for (auto* total : {&data.total_filament_used_mm, &data.total_filament_used_g, &data.total_filament_cost}) {
    within(*total, 0, kMostUsed);
  }
}

}  // namespace

GcodeMetadata normalised(GcodeFacts& facts, const GcodeLimits& limits) {
  GcodeMetadata data = family_of(facts, limits);
  data.slicer_name = text_or_nothing(facts.slicer_name);
  data.slicer_version = text_or_nothing(facts.slicer_version);
  drop_absurd(data);
  where_missing(data.total_filament_used_mm, sum_of(data.extruders, &GcodeExtruder::used_mm));
  where_missing(data.total_filament_used_g, sum_of(data.extruders, &GcodeExtruder::used_g));
  where_missing(data.total_filament_cost, sum_of(data.extruders, &GcodeExtruder::cost));
  add_what_layers_tell(data, facts);
  add_what_commands_tell(data, facts);
  data.objects = objects_of(facts);
  data.thumbnail = std::move(facts.thumbnail);
  data.partial = facts.partial;
  data.warnings = std::move(facts.warnings);
  add_warnings(data, facts, limits);
  data.settings = facts.settings.take();
  return data;
}

std::optional<std::string> text_or_nothing(std::string_view text) {
  return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

std::optional<double> sum_of(const std::vector<GcodeExtruder>& extruders,
                             std::optional<double> GcodeExtruder::*member) {
  if (extruders.empty()) return std::nullopt;
  double sum = 0;
  for (const GcodeExtruder& extruder : extruders) {
    if (!(extruder.*member)) return std::nullopt;
    sum += *(extruder.*member);
  }
  return sum;
}

std::optional<double> filament_cm3(std::optional<double> length_mm, std::optional<double> diameter_mm) {
  if (!length_mm || !diameter_mm || *diameter_mm <= 0) return std::nullopt;
  return *length_mm * std::numbers::pi / 4 * *diameter_mm * *diameter_mm / 1000;
}

std::optional<double> filament_g(std::optional<double> volume_cm3, std::optional<double> density_g_cm3) {
  if (!volume_cm3 || !density_g_cm3 || *density_g_cm3 <= 0) return std::nullopt;
  return *volume_cm3 * *density_g_cm3;
}

}  // namespace millrace
