// SPDX-License-Identifier: Apache-2.0
// What is mounted on a machine and loaded into it, as people told: no machine can say it of itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/json_reader.h"

namespace millrace {

struct MachineEquipment {
  std::optional<double> nozzle_diameter;                     // mm
  std::vector<std::optional<std::string>> loaded_materials;  // by extruder; nullopt: nobody told

  bool operator==(const MachineEquipment&) const = default;
};

// `json` as `loaded_materials` holds it: an array by extruder, each entry a text or an object with the text as
// "material", "type" or "m".  Whatever else there is says nothing; at most 32 extruders.
std::vector<std::optional<std::string>> read_loaded_materials(const Json& json);
// The same from text; empty, or what is no JSON: nobody told.
std::vector<std::optional<std::string>> read_loaded_materials(std::string_view json);

}  // namespace millrace
