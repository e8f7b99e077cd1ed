// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/behaviour.h"

#include <fmt/format.h>

#include <algorithm>

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
    {Incident::kCancelHeating, "cancel_heating", 0},
    {Incident::kM112, "m112", 0},
    {Incident::kSensorFault, "sensor_fault", 0},
    {Incident::kFirmwareRestart, "firmware_restart", 0},
    {Incident::kPowerOff, "power_off", 0},
    {Incident::kNetworkLost, "network_lost", 0},
    {Incident::kNetworkLostLong, "network_lost_long", 0},
    {Incident::kReprint, "reprint", 0},
    {Incident::kReplace, "replace", 0},
    {Incident::kExcludeObject, "exclude_object", 0},
    {Incident::kJobQueue, "job_queue", 0},
};

constexpr std::string_view kPlain[] = {"steady", "mixed", "idle", "clock_wrong", "odd_names"};

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
  return std::find(std::begin(kPlain), std::end(kPlain), name) != std::end(kPlain) || parse_incident(name);
}

std::vector<std::string> all_behaviours() {
  std::vector<std::string> names(std::begin(kPlain), std::end(kPlain));
  for (const Kind& kind : kKinds) names.emplace_back(kind.name);
  return names;
}

std::string behaviour_names() { return fmt::format("{}", fmt::join(all_behaviours(), ", ")); }

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
