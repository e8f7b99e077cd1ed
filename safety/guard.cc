// SPDX-License-Identifier: Apache-2.0
#include "safety/guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "safety/command_effects.h"
#include "safety/judgement.h"
#include "safety/names.h"

namespace millrace {

namespace {

constexpr std::array<std::string_view, 3> kAxisNames = {"x", "y", "z"};
constexpr double kRounding = 1e-6;         // mm; sums of coordinates
constexpr double kNozzleTolerance = 0.01;  // mm; nozzles differ by 0.05 at least
constexpr double kHotendFanFrom = 50;      // degrees Celsius; heater_temp of klippy/extras/heater_fan.py
constexpr Range kFactor = {0.01, 10};      // of speed and flow
constexpr Range kLight = {0, 1};
constexpr size_t kMaxNamesTold = 20;

using Kind = CommandKind;

constexpr uint64_t mask(std::initializer_list<Kind> kinds) {
  uint64_t bits = 0;
  for (const Kind kind : kinds) bits |= uint64_t{1} << static_cast<unsigned>(kind);
  return bits;
}
constexpr uint64_t kEvery = (uint64_t{1} << kCommandKinds) - 1;
constexpr uint64_t kJudged = kEvery & ~mask({Kind::kEmergencyStop});
constexpr uint64_t kToMoonraker = kJudged & ~mask({Kind::kResetEmergency, Kind::kPlateCleared});
constexpr uint64_t kToKlipper = kToMoonraker & ~mask({Kind::kFirmwareRestart, Kind::kHostRestart, Kind::kSetPower,
                                                      Kind::kQueueAdd, Kind::kQueuePause, Kind::kQueueRemove});
// What makes a machine safer, tells what people did, or is the way out of an alarm: Klipper comes back from a shutdown
// by a restart only.
constexpr uint64_t kDespiteAlarm =
    mask({Kind::kResetEmergency, Kind::kCoolDown, Kind::kCancel, Kind::kPause, Kind::kFirmwareRestart,
          Kind::kHostRestart, Kind::kQueuePause, Kind::kQueueRemove, Kind::kPlateCleared});
constexpr uint64_t kText = mask({Kind::kGcode, Kind::kMacro});
constexpr uint64_t kStarts = kText | mask({Kind::kStart, Kind::kQueueStart});
constexpr uint64_t kHeats = kStarts | mask({Kind::kSetTemperature});
constexpr uint64_t kFilament = mask({Kind::kLoadFilament, Kind::kUnloadFilament});

double seconds(std::chrono::milliseconds time) { return std::chrono::duration<double>(time).count(); }

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "there are a, b"
std::string those_there(const std::vector<std::string>& names) {
  if (names.empty()) return "there is none";
  std::string list = "there are ";
  for (size_t i = 0; i < names.size() && i < kMaxNamesTold; ++i) {
    if (i != 0) list += ", ";
    list += names[i];
  }
  if (names.size() > kMaxNamesTold) list += fmt::format(" and {} more", names.size() - kMaxNamesTold);
  return list;
}

template <class Parts>
std::vector<std::string> names_of_all(const Parts& parts) {
  std::vector<std::string> names;
  for (const auto& part : parts) names.push_back(part.name);
  return names;
}

template <class Parts>
auto find_named(const Parts& parts, std::string_view name) -> decltype(&parts.front()) {
  for (const auto& part : parts) {
    if (part.name == name) return &part;
  }
  return nullptr;
}

const HeaterSnapshot* find_heater(const MachineSnapshot& machine, const TracedEffect& traced) {
  if (traced.effect->kind == EffectKind::kHeatChamber) {
    for (const HeaterSnapshot& heater : machine.heaters) {
      if (heater.kind == HeaterKind::kChamber) return &heater;
    }
    return nullptr;
  }
  const std::string& subject = traced.effect->subject;
  return find_named(machine.heaters, subject.empty() ? traced.extruder : subject);
}

bool is_heat(const GcodeEffect& effect) {
  return effect.kind == EffectKind::kHeat || effect.kind == EffectKind::kHeatChamber;
}

// Effects of one kind, each handed on with its traces.
template <class Check>
void each(const Judgement& j, EffectKind kind, Check check) {
  for (const TracedEffect& traced : j.traced) {
    if (traced.effect->kind == kind) check(traced);
  }
}

// A name that is not among those there are.
void demand_known(const Judgement& j, EffectKind kind, std::string_view what, const std::vector<std::string>& names,
                  Reasons& reasons) {
  each(j, kind, [&](const TracedEffect& traced) {
    const std::string& name = traced.effect->subject;
    if (!contains(names, name)) {
      reasons.add_for(*traced.effect, "no {} is called '{}': {}", what, shown(name), those_there(names));
    }
  });
}

// The heaters that will be hot because of the command, each with the effect that heats it.
template <class Check>
void each_heating(const Judgement& j, Check check) {
  for (const TracedEffect& traced : j.traced) {
    const GcodeEffect& effect = *traced.effect;
    if (is_heat(effect) && !(effect.value.value_or(0) <= 0)) {
      if (const HeaterSnapshot* heater = find_heater(j.machine, traced)) check(effect, *heater);
    } else if (effect.kind == EffectKind::kPrintStart) {
      for (const HeaterSnapshot& heater : j.machine.heaters) {
        if (heater.kind == HeaterKind::kBed || heater.name == traced.extruder) check(effect, heater);
      }
    }
  }
}

// What is known of the file that is to be printed.
const FileSnapshot* file_of(const Judgement& j, const GcodeEffect& start) {
  return j.machine.file && j.machine.file->filename == start.subject ? &*j.machine.file : nullptr;
}

template <class Check>
void each_started_file(const Judgement& j, Check check) {
  each(j, EffectKind::kPrintStart, [&](const TracedEffect& traced) {
    if (const FileSnapshot* file = file_of(j, *traced.effect)) check(*traced.effect, *file);
  });
}

// ---- who may, and whether the machine can be judged at all

void scope_missing(const Judgement& j, Reasons& reasons) {
  const auto needed = scope_for(j.command.kind);
  if (needed && !j.request.scopes.has(*needed)) {
    reasons.add("{} needs the scope {}", name_of(j.command.kind), name_of(*needed));
  }
}

void emergency_latched(const Judgement& j, Reasons& reasons) {
  if (j.machine.emergency_latched) reasons.add("the machine was stopped in an emergency: reset_emergency first");
}

void unsupported(const Judgement& j, Reasons& reasons) {
  if (can_do(j.machine.kind, j.command.kind)) return;
  reasons.add("a machine of kind {} has no {}", name_of(j.machine.kind), name_of(j.command.kind));
}

void link_down(const Judgement& j, Reasons& reasons) {
  if (!j.machine.link_up) reasons.add("there is no connection to the machine's Moonraker");
}

void stale(const Judgement& j, Reasons& reasons) {
  const auto& age = j.machine.heard_before;
  if (!age) {
    reasons.add("nothing was heard of the machine yet: expected within {} s", seconds(kFreshFor));
  } else if (*age > kFreshFor) {
    reasons.add("the machine was last heard of {} s ago: expected within {} s", seconds(*age), seconds(kFreshFor));
  }
  const bool to_klipper = (kToKlipper & mask({j.command.kind})) != 0;
  if (to_klipper && !j.machine.subscribed) reasons.add("the machine's changes are not subscribed to");
}

void klipper_not_ready(const Judgement& j, Reasons& reasons) {
  switch (j.machine.state) {
    case schema::MachineState::ready:
    case schema::MachineState::printing:
    case schema::MachineState::paused:
    case schema::MachineState::running:
      return;
    default:
      reasons.add("Klipper is {}{}{}: expected ready, printing or paused",
                  schema::EnumNameMachineState(j.machine.state), j.machine.state_text.empty() ? "" : ", ",
                  shown(j.machine.state_text));
  }
}

void state_version_mismatch(const Judgement& j, Reasons& reasons) {
  const std::string& expected = j.request.expected_state_version;
  if (expected.empty() || expected == j.machine.state_version) return;
  reasons.add("state version is '{}': expected '{}'", j.machine.state_version, shown(expected));
}

void job_mismatch(const Judgement& j, Reasons& reasons) {
  const std::string& expected = j.request.expected_job_id;
  if (expected.empty() || expected == j.machine.job_id) return;
  if (j.machine.job_id.empty()) return reasons.add("no print is under way: expected '{}'", shown(expected));
  reasons.add("the print under way is '{}': expected '{}'", j.machine.job_id, shown(expected));
}

// Only what makes a machine safer.
bool calms(const GcodeEffect& effect) {
  switch (effect.kind) {
    case EffectKind::kHeat:
    case EffectKind::kHeatChamber:
      return effect.value == 0.0;
    case EffectKind::kHeatersOff:
    case EffectKind::kPause:
    case EffectKind::kCancel:
    case EffectKind::kEmergencyStop:
      return true;
    default:
      return false;
  }
}

void critical_alarm(const Judgement& j, Reasons& reasons) {
  if (j.machine.critical_alarms.empty()) return;
  if (j.command.kind == Kind::kSetPower && !j.command.as<PowerArguments>().on) return;
  const bool calm = !j.effects.effects.empty() && j.effects.unjudged.empty() && j.effects.unreadable.empty() &&
                    std::all_of(j.effects.effects.begin(), j.effects.effects.end(), calms);
  if (!calm) reasons.add("a critical alarm stands: {}", those_there(j.machine.critical_alarms));
}

// ---- what the text is

void gcode_refused(const Judgement& j, Reasons& reasons) {
  if (j.effects_error) reasons.add("{}", j.effects_error->context);
}

// A macro of its own command is on no line.
std::string place_of(const GcodeLine& line) {
  return line.line == 0 ? fmt::format("'{}'", line.text) : fmt::format("line {} '{}'", line.line, line.text);
}

void gcode_unreadable(const Judgement& j, Reasons& reasons) {
  for (const GcodeLine& line : j.effects.unreadable) reasons.add("{}: {}", place_of(line), line.why);
}

void gcode_not_judged(const Judgement& j, Reasons& reasons) {
  if (j.request.scopes.has(Scope::kGcode)) return;
  for (const GcodeLine& line : j.effects.unjudged) {
    reasons.add("{}: {}; that needs the scope gcode", place_of(line), line.why);
  }
}

void gcode_administers(const Judgement& j, Reasons& reasons) {
  if (j.request.scopes.has(Scope::kAdminister)) return;
  for (const EffectKind kind : {EffectKind::kRestart, EffectKind::kSaveConfig, EffectKind::kShell}) {
    each(j, kind, [&](const TracedEffect& traced) {
      reasons.add_for(*traced.effect, "restarts, changes of the configuration and programs need the scope administer");
    });
  }
}

void unbounded_motion(const Judgement& j, Reasons& reasons) {
  if (j.request.scopes.has(Scope::kAdminister)) return;
  each(j, EffectKind::kForcedMotion, [&](const TracedEffect& traced) {
    reasons.add_for(*traced.effect, "it goes past every limit, so that it needs the scope administer; home instead");
  });
}

// ---- names

void unknown_heater(const Judgement& j, Reasons& reasons) {
  const auto names = names_of_all(j.machine.heaters);
  for (const TracedEffect& traced : j.traced) {
    if (is_heat(*traced.effect) && !find_heater(j.machine, traced)) {
      const std::string_view asked = traced.effect->kind == EffectKind::kHeatChamber ? "chamber"
                                     : traced.effect->subject.empty()                ? std::string_view(traced.extruder)
                                                                                     : traced.effect->subject;
      reasons.add_for(*traced.effect, "no heater is called '{}': {}", shown(asked), those_there(names));
    }
  }
  demand_known(j, EffectKind::kActivateExtruder, "extruder", names, reasons);
}

void unknown_fan(const Judgement& j, Reasons& reasons) {
  std::vector<std::string> settable;
  for (const FanSnapshot& fan : j.machine.fans) {
    if (fan.settable) settable.push_back(fan.name);
  }
  demand_known(j, EffectKind::kFan, "fan that can be set", settable, reasons);
}

void unknown_pin(const Judgement& j, Reasons& reasons) {
  demand_known(j, EffectKind::kPin, "pin", j.machine.pins, reasons);
}

void unknown_light(const Judgement& j, Reasons& reasons) {
  demand_known(j, EffectKind::kLight, "light", j.machine.lights, reasons);
}

void unknown_macro(const Judgement& j, Reasons& reasons) {
  const std::string name = j.command.kind == Kind::kLoadFilament     ? "LOAD_FILAMENT"
                           : j.command.kind == Kind::kUnloadFilament ? "UNLOAD_FILAMENT"
                                                                     : upper_case(j.command.as<MacroArguments>().name);
  if (!contains(j.machine.macros, name)) {
    reasons.add("no macro is called '{}': {}", shown(name), those_there(j.machine.macros));
  }
}

void unknown_device(const Judgement& j, Reasons& reasons) {
  const std::string& device = j.command.as<PowerArguments>().device;
  const auto& devices = j.machine.power_devices;
  if (devices && !contains(*devices, device)) {
    reasons.add("no power device is called '{}': {}", shown(device), those_there(*devices));
  }
}

// Klipper takes objects' names in any case (klippy/extras/exclude_object.py).
bool contains_any_case(const std::vector<std::string>& names, std::string_view name) {
  const auto same = [wanted = upper_case(name)](const std::string& other) { return upper_case(other) == wanted; };
  return std::any_of(names.begin(), names.end(), same);
}

void unknown_object(const Judgement& j, Reasons& reasons) {
  each(j, EffectKind::kExcludeObject, [&](const TracedEffect& traced) {
    const std::string& name = traced.effect->subject;
    if (name.empty()) return;
    if (!contains_any_case(j.machine.objects, name)) {
      reasons.add_for(*traced.effect, "no object of the print is called '{}': {}", shown(name),
                      those_there(j.machine.objects));
    } else if (contains_any_case(j.machine.excluded_objects, name)) {
      reasons.add_for(*traced.effect, "'{}' is left out already", shown(name));
    }
  });
}

// ---- heat

void demand_temperature(const GcodeEffect& effect, std::string_view what, double target, double max, Reasons& reasons) {
  if (Range{0, max}.holds(target)) return;
  reasons.add_for(effect, "{} is to have {} degrees: expected 0 to {}", what, target, max);
}

void temperature_limit(const Judgement& j, Reasons& reasons) {
  for (const TracedEffect& traced : j.traced) {
    const HeaterSnapshot* heater = is_heat(*traced.effect) ? find_heater(j.machine, traced) : nullptr;
    if (!heater) continue;
    demand_temperature(*traced.effect, heater->name, traced.effect->value.value_or(0),
                       j.limits.temp_max(heater->kind, heater->name), reasons);
  }
  each_started_file(j, [&](const GcodeEffect& start, const FileSnapshot& file) {
    const auto demand = [&](std::string_view what, std::optional<double> target, HeaterKind kind,
                            std::string_view name) {
      if (target) demand_temperature(start, what, *target, j.limits.temp_max(kind, name), reasons);
    };
    demand("by the file the extruder", file.extruder_temp, HeaterKind::kExtruder, j.machine.active_extruder);
    demand("by the file the bed", file.bed_temp, HeaterKind::kBed, "heater_bed");
    demand("by the file the chamber", file.chamber_temp, HeaterKind::kChamber, "chamber");
  });
}

void heater_sensor(const Judgement& j, Reasons& reasons) {
  each_heating(j, [&](const GcodeEffect& effect, const HeaterSnapshot& heater) {
    if (heater.sensor_plausible && heater.temperature && std::isfinite(*heater.temperature)) return;
    reasons.add_for(effect, "the sensor of {} cannot be trusted: it says {}", heater.name,
                    heater.temperature ? fmt::format("{} degrees", *heater.temperature) : "nothing");
  });
}

bool stands_still(const FanSnapshot& fan) {
  if (fan.rpm && *fan.rpm <= 0 && fan.speed.value_or(1) > 0) return true;
  return fan.speed && *fan.speed <= 0;
}

void hotend_fan(const Judgement& j, Reasons& reasons) {
  each_heating(j, [&](const GcodeEffect& effect, const HeaterSnapshot& heater) {
    if (heater.fan.empty()) return;
    const FanSnapshot* fan = find_named(j.machine.fans, heater.fan);
    if (!fan) {
      reasons.add_for(effect, "{}, which cools {}, is missing", heater.fan, heater.name);
    } else if (heater.temperature.value_or(0) >= heater.fan_from_c.value_or(kHotendFanFrom) && stands_still(*fan)) {
      reasons.add_for(effect, "{} stands still while {} has {} degrees", heater.fan, heater.name, *heater.temperature);
    }
  });
}

// M109 waits, so that what stands behind it is extruded hot.
bool waits_hot(const Judgement& j, const TracedEffect& traced, std::string_view extruder) {
  const GcodeEffect& effect = *traced.effect;
  if (effect.kind != EffectKind::kHeat || effect.command != "M109" || contains(j.machine.macros, "M109")) return false;
  return (effect.subject.empty() ? std::string_view(traced.extruder) : effect.subject) == extruder &&
         effect.value.value_or(0) >= j.limits.min_extrude_temp(extruder);
}

bool is_hot(const Judgement& j, const HeaterSnapshot& extruder) {
  if (extruder.can_extrude) return *extruder.can_extrude;
  return extruder.temperature && *extruder.temperature >= j.limits.min_extrude_temp(extruder.name);
}

void cold_extrusion(const Judgement& j, Reasons& reasons) {
  std::vector<std::string_view> waited;
  for (const TracedEffect& traced : j.traced) {
    if (waits_hot(j, traced, traced.extruder)) waited.emplace_back(traced.extruder);
    if (!traced.extrudes || std::find(waited.begin(), waited.end(), traced.extruder) != waited.end()) continue;
    const HeaterSnapshot* extruder = find_named(j.machine.heaters, traced.extruder);
    if (!extruder) {
      reasons.add_for(*traced.effect, "there is no extruder called '{}'", traced.extruder);
    } else if (!is_hot(j, *extruder)) {
      reasons.add_for(*traced.effect, "{} has {} degrees: expected at least {} to move filament", extruder->name,
                      extruder->temperature ? fmt::format("{}", *extruder->temperature) : "unknown",
                      j.limits.min_extrude_temp(extruder->name));
    }
  }
}

// ---- motion

void not_homed(const Judgement& j, Reasons& reasons) {
  for (const TracedEffect& traced : j.traced) {
    for (size_t axis = 0; axis < kAxisNames.size(); ++axis) {
      if (traced.moved[axis] && !traced.homed[axis]) {
        reasons.add_for(*traced.effect, "{} is not homed: home it first", kAxisNames[axis]);
      }
    }
  }
}

// What moves by itself stays within Klipper's own bounds.
bool goes_where_told(const TracedEffect& traced) {
  return traced.effect->kind == EffectKind::kMove || traced.effect->kind == EffectKind::kArc ||
         traced.effect->kind == EffectKind::kOffset;
}

void position_unknown(const Judgement& j, Reasons& reasons) {
  for (const TracedEffect& traced : j.traced) {
    for (size_t axis = 0; goes_where_told(traced) && axis < kAxisNames.size(); ++axis) {
      if (traced.moved[axis] && !traced.reach[axis]) {
        reasons.add_for(*traced.effect, "where {} would go is not known: send it by itself, or in absolute coordinates",
                        kAxisNames[axis]);
      }
    }
  }
}

void position_limit(const Judgement& j, Reasons& reasons) {
  for (const TracedEffect& traced : j.traced) {
    for (size_t axis = 0; axis < kAxisNames.size(); ++axis) {
      const auto& reach = traced.reach[axis];
      const Range allowed = j.limits.axes[axis];
      const Range tolerated = {allowed.min - kRounding, allowed.max + kRounding};
      if (!traced.moved[axis] || !reach || (tolerated.holds(reach->min) && tolerated.holds(reach->max))) continue;
      reasons.add_for(*traced.effect, "{} would go to {}: expected {} to {} mm", kAxisNames[axis],
                      tolerated.holds(reach->min) ? reach->max : reach->min, allowed.min, allowed.max);
    }
  }
}

void feedrate_limit(const Judgement& j, Reasons& reasons) {
  for (const TracedEffect& traced : j.traced) {
    const auto feedrate = traced.effect->feedrate;
    if (!feedrate || j.limits.feedrate.holds(*feedrate)) continue;
    reasons.add_for(*traced.effect, "feedrate is {}: expected {} to {} mm/min", *feedrate, j.limits.feedrate.min,
                    j.limits.feedrate.max);
  }
}

void velocity_limit(const Judgement& j, Reasons& reasons) {
  const Range allowed = {0, j.limits.velocity_max};
  for (const TracedEffect& traced : j.traced) {
    const bool goes = traced.reach[0] || traced.reach[1] || traced.reach[2];
    const bool needs_one = goes || traced.effect->kind == EffectKind::kSpeedFactor;
    if (!traced.velocity && needs_one) {
      reasons.add_for(*traced.effect, "how fast it would be is not known: send it by itself");
    }
    if (!traced.velocity || allowed.holds(*traced.velocity)) continue;
    reasons.add_for(*traced.effect, "velocity would be {}: expected at most {} mm/s", *traced.velocity, allowed.max);
  }
}

void acceleration_limit(const Judgement& j, Reasons& reasons) {
  const Range allowed = {0, j.limits.acceleration_max};
  for (const TracedEffect& traced : j.traced) {
    const auto asked =
        traced.effect->kind == EffectKind::kAccelerationLimit ? traced.effect->value : traced.effect->acceleration;
    if (!asked || allowed.holds(*asked)) continue;
    reasons.add_for(*traced.effect, "acceleration would be {}: expected at most {} mm/s2", *asked, allowed.max);
  }
}

void motion_during_print(const Judgement& j, Reasons& reasons) {
  for (const TracedEffect& traced : j.traced) {
    if (traced.is_motion && traced.during_print)
      reasons.add_for(*traced.effect, "the machine prints: pause the print first");
  }
}

// ---- numbers from 0 to 1

void demand_value(const Judgement& j, EffectKind kind, std::string_view what, Range allowed, Reasons& reasons) {
  each(j, kind, [&](const TracedEffect& traced) {
    const double value = traced.effect->value.value_or(0);
    const double least = traced.effect->value_min.value_or(value);
    if (allowed.holds(value) && allowed.holds(least)) return;
    reasons.add_for(*traced.effect, "{}{}{} is {}: expected {} to {}", what, traced.effect->subject.empty() ? "" : " ",
                    shown(traced.effect->subject), allowed.holds(value) ? least : value, allowed.min, allowed.max);
  });
}

void fan_limit(const Judgement& j, Reasons& reasons) {
  demand_value(j, EffectKind::kFan, "speed of", j.limits.fan, reasons);
}

void pwm_limit(const Judgement& j, Reasons& reasons) {
  demand_value(j, EffectKind::kPin, "value of", j.limits.pwm, reasons);
}

void light_limit(const Judgement& j, Reasons& reasons) {
  demand_value(j, EffectKind::kLight, "brightness of", kLight, reasons);
}

void factor_limit(const Judgement& j, Reasons& reasons) {
  demand_value(j, EffectKind::kSpeedFactor, "speed factor", kFactor, reasons);
  demand_value(j, EffectKind::kFlowFactor, "flow factor", kFactor, reasons);
}

// ---- prints

void print_state(const Judgement& j, Reasons& reasons) {
  const auto demand = [&](EffectKind kind, bool fits, std::string_view expected) {
    if (fits) return;
    each(j, kind, [&](const TracedEffect& traced) {
      reasons.add_for(*traced.effect, "the machine is {}: expected {}", schema::EnumNameMachineState(j.machine.state),
                      expected);
    });
  };
  demand(EffectKind::kPrintStart, !j.machine.has_print(), "no print under way");
  demand(EffectKind::kPause, j.machine.printing(), "printing");
  demand(EffectKind::kResume, j.machine.state == schema::MachineState::paused, "paused");
  demand(EffectKind::kCancel, j.machine.has_print(), "printing or paused");
  demand(EffectKind::kExcludeObject, j.machine.has_print(), "printing or paused");
}

void plate_not_cleared(const Judgement& j, Reasons& reasons) {
  if (j.machine.plate_clear || !j.limits.require_plate_cleared) return;
  each(j, EffectKind::kPrintStart, [&](const TracedEffect& traced) {
    reasons.add_for(*traced.effect, "nobody said that the plate is free: plate_cleared first");
  });
}

void file_missing(const Judgement& j, Reasons& reasons) {
  each_started_file(j, [&](const GcodeEffect& start, const FileSnapshot& file) {
    if (file.exists == false) reasons.add_for(start, "the machine has no file '{}'", shown(file.filename));
  });
}

void nozzle_mismatch(const Judgement& j, Reasons& reasons) {
  each_started_file(j, [&](const GcodeEffect& start, const FileSnapshot& file) {
    const auto& mounted = j.machine.nozzle_diameter;
    if (!file.nozzle_diameter || !mounted || std::abs(*file.nozzle_diameter - *mounted) <= kNozzleTolerance) return;
    reasons.add_for(start, "the file is for a nozzle of {} mm: mounted is one of {} mm", *file.nozzle_diameter,
                    *mounted);
  });
}

void material_mismatch(const Judgement& j, Reasons& reasons) {
  each_started_file(j, [&](const GcodeEffect& start, const FileSnapshot& file) {
    const auto& loaded = j.machine.loaded_materials;
    for (size_t i = 0; i < std::min(file.filament_types.size(), loaded.size()); ++i) {
      const auto& wanted = file.filament_types[i];
      const auto& there = loaded[i];
      if (!wanted || !there || wanted->empty() || there->empty() || upper_case(*wanted) == upper_case(*there)) continue;
      reasons.add_for(start, "the file wants {} in extruder {}: loaded is {}", shown(*wanted), i, shown(*there));
    }
  });
}

constexpr std::bitset<kCommandKinds> of(uint64_t bits) { return {bits}; }

const std::array kRules = {
    Rule{"scope_missing", "Who asks holds the scope of the command.", of(kJudged), scope_missing},
    Rule{"emergency_latched", "After an emergency stop nothing but its reset is taken.",
         of(kJudged & ~mask({Kind::kResetEmergency})), emergency_latched},
    Rule{"unsupported", "Machines of this kind know the command.", of(kJudged), unsupported},
    Rule{"link_down", "The machine's Moonraker is connected.", of(kToMoonraker), link_down},
    Rule{"stale", "The machine was heard of within 2 s, and its changes are subscribed to.", of(kToMoonraker), stale},
    Rule{"klipper_not_ready", "Klipper is ready, printing or paused.", of(kToKlipper), klipper_not_ready},
    Rule{"state_version_mismatch", "The machine's state is the expected one, where one is expected.", of(kJudged),
         state_version_mismatch},
    Rule{"job_mismatch", "The print under way is the expected one, where one is expected.", of(kJudged), job_mismatch},
    Rule{"critical_alarm", "No critical alarm stands, unless the command makes the machine safer.",
         of(kJudged & ~kDespiteAlarm), critical_alarm},
    Rule{"gcode_refused", "Text of G-code is UTF-8 of at most 64 KiB and 2,000 lines.", of(kText), gcode_refused},
    Rule{"gcode_unreadable", "Every known command of the text can be read, and in one way only.", of(kText),
         gcode_unreadable},
    Rule{"gcode_not_judged", "Lines that cannot be judged need the scope gcode.", of(kText), gcode_not_judged},
    Rule{"gcode_administers", "Restarts, changes of the configuration and shell commands need the scope administer.",
         of(kText), gcode_administers},
    Rule{"unbounded_motion", "Motion past Klipper's own bounds needs the scope administer.", of(kText),
         unbounded_motion},
    Rule{"unknown_heater", "The heater is one of the machine's.", of(kText | mask({Kind::kSetTemperature})),
         unknown_heater},
    Rule{"unknown_fan", "The fan is one of the machine's and can be set.", of(kText | mask({Kind::kSetFan})),
         unknown_fan},
    Rule{"unknown_pin", "The pin is one of the machine's.", of(kText | mask({Kind::kSetPin})), unknown_pin},
    Rule{"unknown_light", "The light is one of the machine's.", of(kText | mask({Kind::kSetLight})), unknown_light},
    Rule{"unknown_macro", "The macro is one of the machine's.", of(kFilament | mask({Kind::kMacro})), unknown_macro},
    Rule{"unknown_device", "The power device is one of the machine's, where these are known.",
         of(mask({Kind::kSetPower})), unknown_device},
    Rule{"unknown_object", "The object belongs to the print and is not left out yet.",
         of(kText | mask({Kind::kExcludeObject})), unknown_object},
    Rule{"temperature_limit", "No target is below 0 or above the heater's limit, those of the file included.",
         of(kHeats), temperature_limit},
    Rule{"heater_sensor", "What is heated has a sensor that can be trusted.", of(kHeats), heater_sensor},
    Rule{"hotend_fan", "The fan of what is heated is there, and turns while it is hot.", of(kHeats), hotend_fan},
    Rule{"cold_extrusion", "Filament is moved hot only.", of(kText | kFilament | mask({Kind::kMove})), cold_extrusion},
    Rule{"not_homed", "Every axis that moves is homed.", of(kText | mask({Kind::kMove})), not_homed},
    Rule{"position_unknown", "Where a move ends is known.", of(kText | mask({Kind::kMove})), position_unknown},
    Rule{"position_limit", "Every move ends within the limits of its axes, an arc with all of its circle.",
         of(kText | mask({Kind::kMove})), position_limit},
    Rule{"feedrate_limit", "The feedrate is within its limits.", of(kText | mask({Kind::kMove})), feedrate_limit},
    Rule{"velocity_limit", "Feedrate times speed factor, and what is set as velocity, is known and within its limit.",
         of(kText | mask({Kind::kMove, Kind::kSetSpeedFactor})), velocity_limit},
    Rule{"acceleration_limit", "What is set as acceleration is within its limit.", of(kText), acceleration_limit},
    Rule{"factor_limit", "Factors of speed and flow are from 0.01 to 10.",
         of(kText | mask({Kind::kSetSpeedFactor, Kind::kSetFlowFactor})), factor_limit},
    Rule{"fan_limit", "The fan's speed is within its limits.", of(kText | mask({Kind::kSetFan})), fan_limit},
    Rule{"pwm_limit", "The pin's value is within its limits.", of(kText | mask({Kind::kSetPin})), pwm_limit},
    Rule{"light_limit", "The light's colours are from 0 to 1.", of(kText | mask({Kind::kSetLight})), light_limit},
    Rule{"motion_during_print", "Nothing moves, and no way of reading coordinates changes, while a print runs.",
         of(kText | kFilament | mask({Kind::kMove, Kind::kHome})), motion_during_print},
    Rule{"print_state", "Start, pause, resume, cancel and exclude_object fit what the machine does.",
         of(kStarts | mask({Kind::kPause, Kind::kResume, Kind::kCancel, Kind::kExcludeObject})), print_state},
    Rule{"plate_not_cleared",
         "Before a print somebody said that the plate is free, unless the limits do not ask for it.", of(kStarts),
         plate_not_cleared},
    Rule{"file_missing", "The file is on the machine, where that is known.", of(kStarts), file_missing},
    Rule{"nozzle_mismatch", "The file's nozzle is the mounted one, where both are known.", of(kStarts),
         nozzle_mismatch},
    Rule{"material_mismatch", "The file's materials are the loaded ones, where both are known.", of(kStarts),
         material_mismatch},
};

}  // namespace

std::span<const Rule> guard_rules() { return kRules; }

std::vector<Refusal> judge(const Command& command, const GuardRequest& request, const MachineSnapshot& machine,
                           const Limits& limits) {
  std::vector<Refusal> refusals;
  if (command.kind == CommandKind::kEmergencyStop) return refusals;
  Judgement judgement{command, request, machine, narrow(limits, machine.klipper), {}, std::nullopt, {}};
  if (auto effects = effects_of(command, machine.macros)) {
    judgement.effects = std::move(*effects);
  } else {
    judgement.effects_error = effects.error();
  }
  judgement.traced = trace_motion(judgement.effects, machine);
  for (const Rule& rule : kRules) {
    if (!rule.concerns.test(static_cast<size_t>(command.kind))) continue;
    Reasons reasons;
    rule.check(judgement, reasons);
    reasons.take_into(refusals, rule.code);
    if (refusals.size() > kMaxReasons) refusals.resize(kMaxReasons);
  }
  return refusals;
}

}  // namespace millrace
