// SPDX-License-Identifier: Apache-2.0
// Slic3r and its kin.  PrusaSlicer and SuperSlicer keep Slic3r's names for settings; BambuStudio gave most of them new
// ones, which OrcaSlicer and everything made from it have too.
#include <algorithm>
#include <array>
#include <cmath>

#include "gcode/normalise.h"
#include "gcode/text_values.h"

namespace millrace {
namespace {

constexpr std::string_view kEither = ",;";

class Reader {
 public:
  Reader(const GcodeFacts& facts, const GcodeLimits& limits)
      : facts_(facts), settings_(facts.settings), limits_(limits) {}

  GcodeMetadata read() {
    GcodeMetadata data;
    read_extruders(data);
    data.estimated_time_s = time();
    data.layer_height = settings_.number("layer_height");
    data.first_layer_height = first_layer_height(data.layer_height);
    data.layer_count = layer_count();
    data.object_height = first_of({"max_z_height", "max_layer_z"});
    data.nozzle_temp = of_used({"nozzle_temperature", "temperature"});
    data.first_layer_nozzle_temp = of_used({"nozzle_temperature_initial_layer", "first_layer_temperature"});
    data.bed_temp = bed_temp();
    data.chamber_temp = chamber_temp();
    data.infill_percentage = infill_percentage();
    data.infill_pattern = first_text({"sparse_infill_pattern", "fill_pattern"});
    data.support_enabled = flag({"enable_support", "support_material"});
    data.support_type = first_text({"support_type", "support_material_style"});
    data.print_speed = print_speed();
    return data;
  }

 private:
  using Keys = std::initializer_list<std::string_view>;

  std::optional<std::string> first_text(Keys keys) const {
    for (const auto key : keys) {
      if (!settings_.text(key).empty()) return std::string(settings_.text(key));
    }
    return std::nullopt;
  }

  std::optional<double> first_of(Keys keys) const {
    for (const auto key : keys) {
      if (const auto number = settings_.number(key)) return number;
    }
    return std::nullopt;
  }

  std::optional<bool> flag(Keys keys) const {
    for (const auto key : keys) {
      if (settings_.text(key) == "1") return true;
      if (settings_.text(key) == "0") return false;
    }
    return std::nullopt;
  }

  // The elements for the filaments that are used, the first one's first; a value alone is for all.
  std::vector<double> of_all_used(Keys keys) const {
    std::vector<double> values;
    for (const auto key : keys) {
      const auto list = numbers_of(settings_.text(key), kEither, 2 * limits_.max_extruders);
      for (const size_t filament : used_) {
        const size_t place = list.size() == 1 ? 0 : place_of(filament, list.size());
        if (place < list.size() && list[place]) values.push_back(*list[place]);
      }
      if (!values.empty()) break;
    }
    return values;
  }

  std::optional<double> of_used(Keys keys) const {
    const auto values = of_all_used(keys);
    return values.empty() ? std::nullopt : std::optional(values.front());
  }

  std::optional<double> highest_of_used(Keys keys) const {
    const auto values = of_all_used(keys);
    return values.empty() ? std::nullopt : std::optional(*std::max_element(values.begin(), values.end()));
  }

  // Machines with several kinds of nozzles have a value for each filament and kind; filament_self_index then names the
  // filament of each.
  size_t place_of(size_t filament, size_t values) const {
    const auto filaments = numbers_of(settings_.text("filament_self_index"), kEither, 2 * limits_.max_extruders);
    if (filaments.size() != values) return filament;
    const auto place = std::find(filaments.begin(), filaments.end(), static_cast<double>(filament + 1));
    return place == filaments.end() ? filament : static_cast<size_t>(place - filaments.begin());
  }

  // What was used of each filament.  Those behind the last one that is listed are not used.
  std::vector<std::optional<double>> used(Keys keys) const {
    for (const auto key : keys) {
      auto list = numbers_of(settings_.text(key), kEither, limits_.max_extruders);
      if (!list.empty()) return list;
    }
    return {};
  }

  void read_extruders(GcodeMetadata& data) {
    const auto types = list_of(settings_.text("filament_type"), kEither, limits_.max_extruders);
    const auto colors = list_of(settings_.text("filament_colour"), kEither, limits_.max_extruders);
    const auto tools = list_of(settings_.text("extruder_colour"), kEither, limits_.max_extruders);
    const auto vendors = list_of(settings_.text("filament_vendor"), ";", limits_.max_extruders);
    const auto profiles = list_of(settings_.text("filament_settings_id"), ";", limits_.max_extruders);
    auto length = used({"filament used [mm]", "filament used"});
    const size_t count = std::max({types.size(), colors.size(), length.size()});
    std::vector<GcodeExtruder> extruders(count);
    for (size_t i = 0; i < count; ++i) {
      GcodeExtruder& extruder = extruders[i];
      if (i < types.size()) extruder.filament_type = text_or_nothing(types[i]);
      if (i < colors.size()) extruder.filament_color = text_or_nothing(colors[i]);
      if (!extruder.filament_color && i < tools.size()) extruder.filament_color = text_or_nothing(tools[i]);
      // PrusaSlicer writes one vendor, the first one's; the same profile is of the same vendor.
      const bool same = vendors.size() == 1 && i < profiles.size() && profiles[i] == profiles[0];
      if (i < vendors.size() || same) extruder.filament_vendor = text_or_nothing(vendors[same ? 0 : i]);
    }
    data.extruders = std::move(extruders);
    if (length.empty()) {
      read_bambu_usage(data);
    } else {
      fill(data, &GcodeExtruder::used_mm, length);
      auto volume = used({"filament used [cm3]"});
      if (volume.empty()) volume = volumes_in_brackets();
      fill(data, &GcodeExtruder::used_cm3, volume);
      fill(data, &GcodeExtruder::used_g, used({"filament used [g]"}));
      fill(data, &GcodeExtruder::cost, used({"filament cost"}));
      data.total_filament_used_g = first_of({"total filament used [g]", "total filament weight"});
      data.total_filament_cost = settings_.number("total filament cost");
    }
    drop_unknown_weights(data);
    derive(data);
    for (size_t i = 0; i < data.extruders.size(); ++i) {
      if (data.extruders[i].used_mm.value_or(0) <= 0) continue;
      used_.push_back(i);
      // PrusaSlicer writes a total in any case.
      if (!data.extruders[i].used_g && data.total_filament_used_g == 0.0) data.total_filament_used_g.reset();
    }
    if (used_.empty()) used_.push_back(0);
  }

  // Behind the end of the list are filaments that are not used, and used ones of which the slicer knows nothing.
  static void fill(GcodeMetadata& data, std::optional<double> GcodeExtruder::*member,
                   const std::vector<std::optional<double>>& list) {
    if (list.empty()) return;
    for (size_t i = 0; i < data.extruders.size(); ++i) {
      const bool is_used = data.extruders[i].used_mm.value_or(0) > 0;
      data.extruders[i].*member = i < list.size() ? list[i] : is_used ? std::nullopt : std::optional(0.0);
    }
  }

  // PrusaSlicer writes 0 for a filament without a density where one with a density follows.
  void drop_unknown_weights(GcodeMetadata& data) const {
    const auto densities = numbers_of(settings_.text("filament_density"), kEither, limits_.max_extruders);
    for (size_t i = 0; i < std::min(densities.size(), data.extruders.size()); ++i) {
      GcodeExtruder& extruder = data.extruders[i];
      if (densities[i] != 0.0 || extruder.used_g != 0.0 || extruder.used_mm.value_or(0) <= 0) continue;
      extruder.used_g.reset();
      if (extruder.cost == 0.0) extruder.cost.reset();
    }
  }

  // Slic3r: "1234.5mm (2.97cm3)" for each filament.
  std::vector<std::optional<double>> volumes_in_brackets() const {
    std::vector<std::optional<double>> volumes;
    for (const std::string& used : list_of(settings_.text("filament used"), ",", limits_.max_extruders)) {
      const size_t bracket = used.find('(');
      volumes.push_back(bracket == std::string::npos ? std::nullopt : leading_number(used.substr(bracket + 1)));
    }
    return volumes;
  }

  // BambuStudio lists only the filaments that are used, and tells in `filament` which ones these are.  It calls its
  // volume cm^3 although it is mm3: 212.17 mm of 1.75 mm are 510.34 mm3.
  void read_bambu_usage(GcodeMetadata& data) {
    const auto length = numbers_of(settings_.text("total filament length [mm]"), kEither, limits_.max_extruders);
    const auto volume = numbers_of(settings_.text("total filament volume [cm^3]"), kEither, limits_.max_extruders);
    const auto weight = numbers_of(settings_.text("total filament weight [g]"), kEither, limits_.max_extruders);
    data.total_filament_used_mm = sum(length);
    data.total_filament_used_g = sum(weight);
    // Slic3r's own totals.
    const auto metres = settings_.number("filament_length_m");
    if (!data.total_filament_used_mm && metres) data.total_filament_used_mm = *metres * 1000;
    if (!data.total_filament_used_g) data.total_filament_used_g = settings_.number("filament mass_g");
    auto which = numbers_of(settings_.text("filament"), kEither, limits_.max_extruders);
    if (which.empty() && length.size() == data.extruders.size()) {
      for (size_t i = 0; i < length.size(); ++i) which.emplace_back(static_cast<double>(i + 1));
    }
    if (length.empty() || which.size() != length.size()) return;
    for (GcodeExtruder& extruder : data.extruders) extruder.used_mm = extruder.used_cm3 = extruder.used_g = 0;
    for (size_t i = 0; i < which.size(); ++i) {
      const double number = which[i].value_or(0);
      if (number < 1 || number > static_cast<double>(data.extruders.size())) continue;
      GcodeExtruder& extruder = data.extruders[static_cast<size_t>(number) - 1];
      constexpr double kCm3PerMm = 0.1;  // a filament of 11 mm: in cm3 it is always less
      extruder.used_mm = length[i];
      extruder.used_cm3 = i < volume.size() ? volume[i] : std::nullopt;
      if (extruder.used_cm3 && length[i] && *extruder.used_cm3 > *length[i] * kCm3PerMm) *extruder.used_cm3 /= 1000;
      extruder.used_g = i < weight.size() ? weight[i] : std::nullopt;
    }
  }

  // Volume from length, weight from volume, cost from weight, where the file has what it takes.
  void derive(GcodeMetadata& data) const {
    const auto diameters = numbers_of(settings_.text("filament_diameter"), kEither, limits_.max_extruders);
    const auto densities = numbers_of(settings_.text("filament_density"), kEither, limits_.max_extruders);
    const auto prices = numbers_of(settings_.text("filament_cost"), kEither, limits_.max_extruders);
    const auto at = [](const std::vector<std::optional<double>>& list, size_t i) {
      return i < list.size() ? list[i] : std::nullopt;
    };
    for (size_t i = 0; i < data.extruders.size(); ++i) {
      GcodeExtruder& extruder = data.extruders[i];
      if (!extruder.used_cm3) extruder.used_cm3 = filament_cm3(extruder.used_mm, at(diameters, i));
      if (!extruder.used_g) extruder.used_g = filament_g(extruder.used_cm3, at(densities, i));
      if (!extruder.cost && extruder.used_g && at(prices, i).value_or(0) > 0) {
        extruder.cost = *extruder.used_g / 1000 * *at(prices, i);
      }
    }
  }

  static std::optional<double> sum(const std::vector<std::optional<double>>& list) {
    if (list.empty()) return std::nullopt;
    double total = 0;
    for (const auto& number : list) {
      if (!number) return std::nullopt;
      total += *number;
    }
    return total;
  }

  std::optional<double> time() const {
    for (const auto* key :
         {"estimated printing time (normal mode)", "estimated printing time", "total estimated time"}) {
      if (const auto time = duration_s(settings_.text(key))) return time;
    }
    // "model printing time: 1h 57m 37s; total estimated time: 2h 4m 35s"
    const auto times = settings_.text("model printing time");
    constexpr std::string_view kTotal = "total estimated time:";
    const size_t total = times.find(kTotal);
    return duration_s(total == std::string_view::npos ? times : times.substr(total + kTotal.size()));
  }

  // Of the layer height in PrusaSlicer, of the nozzle in SuperSlicer, where it is a share.
  std::optional<double> first_layer_height(std::optional<double> layer_height) const {
    const auto text = first_text({"initial_layer_print_height", "first_layer_height"});
    if (!text) return std::nullopt;
    const auto number = leading_number(*text);
    if (!number || text->find('%') == std::string::npos) return number;
    const auto of = facts_.slicer_name == "SuperSlicer" ? of_used({"nozzle_diameter"}) : layer_height;
    return of ? std::optional(*of * *number / 100) : std::nullopt;
  }

  std::optional<int64_t> layer_count() const {
    for (const auto* key : {"total layer number", "total layers count"}) {
      if (const auto count = leading_integer(settings_.text(key))) return count;
    }
    return std::nullopt;
  }

  // Each plate has a temperature of its own.
  std::optional<double> bed_temp() const {
    struct Plate {
      std::string_view name;
      std::string_view key;
    };
    static constexpr std::array<Plate, 6> kPlates = {{{"SuperTack", "supertack_plate_temp"},
                                                      {"Textured Cool", "textured_cool_plate_temp"},
                                                      {"Cool", "cool_plate_temp"},
                                                      {"Engineering", "eng_plate_temp"},
                                                      {"High Temp", "hot_plate_temp"},
                                                      {"Textured", "textured_plate_temp"}}};
    const auto plate = settings_.text("curr_bed_type");
    const bool highest = settings_.text("bed_temperature_formula") == "by_highest_temp";
    for (const Plate& known : kPlates) {
      if (plate.find(known.name) == std::string_view::npos || !settings_.has(known.key)) continue;
      return highest ? highest_of_used({known.key}) : of_used({known.key});
    }
    return of_used({"bed_temperature"});
  }

  std::optional<double> chamber_temp() const {
    // One chamber is for all filaments.
    const auto temp = highest_of_used({"chamber_temperature", "chamber_temperatures"});
    const bool off =
        settings_.has("activate_chamber_temp_control") && of_used({"activate_chamber_temp_control"}).value_or(1) == 0;
    return off && temp.value_or(0) > 0 ? std::nullopt : temp;
  }

  std::optional<double> infill_percentage() const {
    const auto text = first_text({"sparse_infill_density", "fill_density"});
    if (!text) return std::nullopt;
    const auto number = leading_number(*text);
    // The oldest versions wrote a share of one.
    const bool share = number && text->find('%') == std::string::npos && *number <= 1;
    return share ? std::optional(*number * 100) : number;
  }

  std::optional<double> print_speed() const {
    // With several kinds of nozzles there is one for each kind.
    const auto speeds = numbers_of(settings_.text("outer_wall_speed"), kEither, limits_.max_extruders);
    if (!speeds.empty()) {
      const bool same =
          std::count(speeds.begin(), speeds.end(), speeds.front()) == static_cast<ptrdiff_t>(speeds.size());
      return same ? speeds.front() : std::nullopt;
    }
    const auto number = of_used({"external_perimeter_speed"});
    if (!number || settings_.text("external_perimeter_speed").find('%') == std::string_view::npos) return number;
    const auto of = of_used({"perimeter_speed"});
    return of ? std::optional(*of * *number / 100) : std::nullopt;
  }

  const GcodeFacts& facts_;
  const GcodeSettings& settings_;
  const GcodeLimits& limits_;
  std::vector<size_t> used_;  // filaments, the first one alone where it is not known which are used
};

}  // namespace

GcodeMetadata normalised_slic3r(const GcodeFacts& facts, const GcodeLimits& limits) {
  return Reader(facts, limits).read();
}

}  // namespace millrace
