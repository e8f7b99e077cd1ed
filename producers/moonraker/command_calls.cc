// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/command_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr int kFanSteps = 255;    // of M106 S
constexpr double kPercent = 100;  // of M220 and M221
constexpr std::string_view kState = "_millrace_move";

// Klipper reads numbers with float(): no exponent is ever needed for what a machine can do.
std::string number(double value) {
  std::string text = fmt::format("{:.6f}", value);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}

// Klipper splits parameters as a shell would; the name itself has no quotes.
std::string in_quotes(std::string_view name) {
  const bool plain = name.find_first_of(" \t=#") == std::string_view::npos;
  return plain && !name.empty() ? std::string(name) : fmt::format("\"{}\"", name);
}

std::string fan_text(const FanArguments& fan) {
  if (fan.fan != "fan") return fmt::format("SET_FAN_SPEED FAN={} SPEED={}", in_quotes(fan.fan), number(fan.speed));
  const long steps = std::lround(fan.speed * kFanSteps);
  return steps == 0 ? "M107" : fmt::format("M106 S{}", steps);
}

std::string home_text(const HomeArguments& home) {
  std::string text = "G28";
  for (size_t i = 0; i < home.axes.size(); ++i) {
    if (home.axes[i]) text += fmt::format(" {}", "XYZ"[i]);
  }
  return home.axes == std::array{true, true, true} ? "G28" : text;
}

// Leaves the machine's modes as they were.
std::string move_text(const MoveArguments& move) {
  std::string text = fmt::format("SAVE_GCODE_STATE NAME={}\n{}\n", kState, move.relative ? "G91" : "G90");
  if (move.e) text += "M83\n";
  text += "G1";
  for (size_t i = 0; i < move.axes.size(); ++i) {
    if (move.axes[i]) text += fmt::format(" {}{}", "XYZ"[i], number(*move.axes[i]));
  }
  if (move.e) text += " E" + number(*move.e);
  if (move.feedrate) text += " F" + number(*move.feedrate);
  return text + fmt::format("\nRESTORE_GCODE_STATE NAME={}", kState);
}

// A letter and a number, such as M600: Klipper then reads its parameters as "X1", without '='.
bool is_classic(std::string_view name) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  return name.size() > 1 && name[0] >= 'A' && name[0] <= 'Z' && std::all_of(name.begin() + 1, name.end(), is_digit);
}

std::string macro_text(const MacroArguments& macro) {
  std::string text = macro.name;
  for (const MacroParameter& parameter : macro.parameters) {
    const std::string value = parameter.is_number ? parameter.value : in_quotes(parameter.value);
    text += fmt::format(" {}{}{}", parameter.name, is_classic(macro.name) ? "" : "=", value);
  }
  return text;
}

std::string light_text(const LightArguments& light) {
  return fmt::format("SET_LED LED={} RED={} GREEN={} BLUE={} WHITE={}", in_quotes(light.light), number(light.red),
                     number(light.green), number(light.blue), number(light.white));
}

template <class T>
std::string one_text(std::string_view name, const T& value) {
  JsonWriter json;
  json.object().field(name, value).end();
  return json.take();
}

std::string texts(std::string_view name, const std::vector<std::string>& values) {
  JsonWriter json;
  json.object().key(name).array();
  for (const std::string& value : values) json.value(value);
  json.end().end();
  return json.take();
}

std::string power_params(const PowerArguments& power) {
  JsonWriter json;
  json.object().field("device", power.device).field("action", power.on ? "on" : "off").end();
  return json.take();
}

}  // namespace

std::string gcode_of(const Command& command) {
  switch (command.kind) {
    case CommandKind::kSetTemperature: {
      const auto& heater = command.as<TemperatureArguments>();
      return fmt::format("SET_HEATER_TEMPERATURE HEATER={} TARGET={}", in_quotes(heater.heater), number(heater.target));
    }
    case CommandKind::kSetFan:
      return fan_text(command.as<FanArguments>());
    case CommandKind::kSetSpeedFactor:
      return "M220 S" + number(command.as<FactorArguments>().factor * kPercent);
    case CommandKind::kSetFlowFactor:
      return "M221 S" + number(command.as<FactorArguments>().factor * kPercent);
    case CommandKind::kHome:
      return home_text(command.as<HomeArguments>());
    case CommandKind::kMove:
      return move_text(command.as<MoveArguments>());
    case CommandKind::kGcode:
      return command.as<GcodeArguments>().script;
    case CommandKind::kMacro:
      return macro_text(command.as<MacroArguments>());
    case CommandKind::kExcludeObject:
      return "EXCLUDE_OBJECT NAME=" + in_quotes(command.as<ExcludeObjectArguments>().name);
    case CommandKind::kSetPin: {
      const auto& pin = command.as<PinArguments>();
      return fmt::format("SET_PIN PIN={} VALUE={}", in_quotes(pin.pin), number(pin.value));
    }
    case CommandKind::kSetLight:
      return light_text(command.as<LightArguments>());
    case CommandKind::kCoolDown:
      return "TURN_OFF_HEATERS";
    case CommandKind::kLoadFilament:
      return "LOAD_FILAMENT";
    case CommandKind::kUnloadFilament:
      return "UNLOAD_FILAMENT";
    default:
      return {};
  }
}

MoonrakerCall moonraker_call(const Command& command) {
  if (std::string script = gcode_of(command); !script.empty()) {
    return {"printer.gcode.script", one_text("script", script), kScriptTimeout};
  }
  switch (command.kind) {
    case CommandKind::kStart:
      return {"printer.print.start", one_text("filename", command.as<StartArguments>().filename), kScriptTimeout};
    case CommandKind::kPause:
      return {"printer.print.pause", "", kScriptTimeout};
    case CommandKind::kResume:
      return {"printer.print.resume", "", kScriptTimeout};
    case CommandKind::kCancel:
      return {"printer.print.cancel", "", kScriptTimeout};
    case CommandKind::kFirmwareRestart:
      return {"printer.firmware_restart", ""};
    case CommandKind::kHostRestart:
      return {"printer.restart", ""};
    case CommandKind::kSetPower:
      return {"machine.device_power.post_device", power_params(command.as<PowerArguments>())};
    case CommandKind::kQueueAdd:
      return {"server.job_queue.post_job", texts("filenames", command.as<QueueAddArguments>().filenames)};
    case CommandKind::kQueueStart:
      return {"server.job_queue.start", ""};
    case CommandKind::kQueuePause:
      return {"server.job_queue.pause", ""};
    case CommandKind::kQueueRemove: {
      const auto& remove = command.as<QueueRemoveArguments>();
      return {"server.job_queue.delete_job", remove.all ? one_text("all", true) : texts("job_ids", remove.job_ids)};
    }
    default:
      return {};
  }
}

}  // namespace millrace
