// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/behaviour.h"

namespace millrace {
namespace {

struct Kind {
  Incident incident;
  std::string_view name;
  double share;  // of the prints of a "mixed" machine
};

constexpr Kind kKinds[] = {
    {Incident::kPause, "pause", 0.12},
    {Incident::kRunout, "runout", 0.07},
    {Incident::kCancel, "cancel", 0.08},
    {Incident::kGcodeError, "gcode_error", 0.04},
    {Incident::kHeaterFault, "heater_fault", 0.02},
    {Incident::kMcuLost, "mcu_lost", 0.01},
    {Incident::kEmergencyStop, "emergency_stop", 0.01},
    {Incident::kKlipperRestart, "klipper_restart", 0.01},
    {Incident::kKlipperKilled, "klipper_killed", 0.005},
    {Incident::kMoonrakerRestart, "moonraker_restart", 0.01},
    {Incident::kMoonrakerKill, "moonraker_kill", 0.005},
};

}  // namespace

std::string_view name_of(Incident incident) {
  for (const Kind& kind : kKinds) {
    if (kind.incident == incident) return kind.name;
  }
  return "";
}

std::optional<Incident> parse_incident(std::string_view name) {
  for (const Kind& kind : kKinds) {
    if (kind.name == name) return kind.incident;
  }
  return std::nullopt;
}

bool is_behaviour(std::string_view name) {
  return name == "steady" || name == "mixed" || name == "idle" || parse_incident(name);
}

std::string behaviour_names() {
  std::string names = "steady, mixed, idle";
  for (const Kind& kind : kKinds) names.append(", ").append(kind.name);
  return names;
}

std::optional<PlannedIncident> plan_incident(std::string_view behaviour, Random& random) {
  // Both numbers are always drawn, so that a behaviour changed by hand does not shift the later ones.
  double dice = random.unit();
  const double at = random.between(0.1, 0.85);
  if (behaviour != "mixed") {
    const auto incident = parse_incident(behaviour);
    return incident ? std::optional(PlannedIncident{*incident, at}) : std::nullopt;
  }
  for (const Kind& kind : kKinds) {
    if (dice < kind.share) return PlannedIncident{kind.incident, at};
    dice -= kind.share;
  }
  return std::nullopt;
}

}  // namespace millrace
