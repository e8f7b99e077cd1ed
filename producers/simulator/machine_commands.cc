// SPDX-License-Identifier: Apache-2.0
// G-code by hand and print commands: one at a time, as behind Klipper's G-code mutex.  A set that is large enough for
// the program's own commands and for trying things out.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <tuple>

#include "producers/simulator/machine.h"

namespace millrace {
namespace {

constexpr double kHomingS = 3;
constexpr double kMaxDwellS = 600;
constexpr size_t kMaxScriptBytes = 64u << 10;
constexpr size_t kMaxScriptLines = 1000;
constexpr double kBedSizeMm = 300;
constexpr double kHighestExtruderC = 300;
constexpr double kHighestBedC = 130;
constexpr double kLowestExtrudeC = 170;
constexpr size_t kMaxSavedStates = 64;

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '\r')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

// "G1 X10 Y2": the number behind a letter.
std::optional<double> letter(std::string_view line, char name) {
  for (size_t i = 1; i + 1 < line.size(); ++i) {
    if (line[i - 1] != ' ' || (line[i] & ~0x20) != name) continue;
    return parse_number(line.substr(i + 1, std::min(line.find(' ', i), line.size()) - i - 1));
  }
  return std::nullopt;
}

// "SET_PIN PIN=light VALUE=1": the text behind NAME=.
std::optional<std::string_view> parameter(std::string_view line, std::string_view name) {
  const std::string wanted = fmt::format(" {}=", name);
  const size_t at = upper(line).find(wanted);
  if (at == std::string::npos) return std::nullopt;
  const size_t begin = at + wanted.size();
  return line.substr(begin, std::min(line.find(' ', begin), line.size()) - begin);
}

std::vector<std::string> split_script(std::string_view script) {
  std::vector<std::string> lines;
  while (!script.empty() && lines.size() < kMaxScriptLines) {
    const size_t end = std::min(script.find('\n'), script.size());
    std::string_view line = trimmed(script.substr(0, std::min(script.substr(0, end).find(';'), end)));
    if (!line.empty()) lines.emplace_back(line);
    script.remove_prefix(std::min(end + 1, script.size()));
  }
  return lines;
}

}  // namespace

bool SimulatedHost::blocked() const {
  const bool print_warms_up = state_.print == PrintState::kPrinting && file_ != nullptr &&
                              phase_ != Phase::kExtruding && phase_ != Phase::kNone;
  return print_warms_up || wait_ != Wait::kNone || now_ < busy_until_;
}

void SimulatedHost::run_script(std::string_view script, uint64_t token) {
  PendingCommand command;
  command.token = token;
  command.lines = split_script(script.substr(0, kMaxScriptBytes));
  enqueue(std::move(command));
}

void SimulatedHost::start_print(std::string_view path, uint64_t token) {
  PendingCommand command;
  command.token = token;
  command.starts_print = true;
  command.lines = {std::string(path)};
  enqueue(std::move(command));
}

void SimulatedHost::enqueue(PendingCommand command) {
  if (state_.klippy == KlippyState::kDisconnected) return finish_command(command, 503, "Klippy Host not connected");
  if (state_.klippy != KlippyState::kReady && !command.starts_print && command.lines.size() == 1) {
    // The two commands that Klipper takes in any state.
    const std::string word = upper(command.lines.front());
    if (word == "FIRMWARE_RESTART" || word == "RESTART") {
      word == "RESTART" ? restart() : firmware_restart();
      return finish_command(command, 0, "");
    }
  }
  if (state_.klippy != KlippyState::kReady) return finish_command(command, 400, state_.state_message);
  if (commands_.size() >= kMaxPendingCommands) return finish_command(command, 503, "Too many commands are waiting");
  commands_.push_back(std::move(command));
  run_queue();
}

void SimulatedHost::run_queue() {
  while (!commands_.empty() && !blocked()) {
    // A line may restart Klipper or shut it down, which empties the queue: work on a copy of the line.
    PendingCommand& command = commands_.front();
    if (command.next >= command.lines.size()) {
      const PendingCommand done = std::move(command);
      commands_.pop_front();
      finish_command(done, 0, "");
      continue;
    }
    const std::string line = command.lines[command.next++];
    auto error = command.starts_print ? run_print_file(line) : run_line(line);
    // A shutdown or a restart has answered everything; a print that has begun is answered before it warms up.
    if (commands_.empty() || (!error && !commands_.front().starts_print)) continue;
    const PendingCommand command_done = std::move(commands_.front());
    commands_.pop_front();
    if (!error) {
      finish_command(command_done, 0, "");
      continue;
    }
    respond(fmt::format("!! {}", error->substr(0, error->find('\n'))));
    finish_command(command_done, 400, std::move(*error));
  }
}

void SimulatedHost::finish_command(const PendingCommand& command, int code, std::string text) {
  events_.push_back(HostEvent{HostEvent::Kind::kCommandDone, std::move(text), command.token, code});
}

std::optional<std::string> SimulatedHost::run_print_file(std::string_view path) {
  if (state_.print == PrintState::kPrinting) return "SD busy";
  const SimulatedFile* file = find_file(path);
  if (file == nullptr || !state_.has_heaters) {
    if (state_.print == PrintState::kPaused) return "Unable to open file";
    // Klipper resets the old result before it looks for the file.
    state_.print = PrintState::kStandby;
    state_.filename.clear();
    return "Unable to open file";
  }
  if (state_.print == PrintState::kPaused) close_row("cancelled");
  begin_print(*file);
  return std::nullopt;
}

std::optional<std::string> SimulatedHost::run_line(std::string_view line) {
  const std::string word = upper(line.substr(0, line.find(' ')));
  const std::string_view rest = trimmed(line.substr(std::min(line.size(), word.size())));
  if (word == "PAUSE") {
    if (state_.is_paused) respond("// Print already paused");
    pause_print();
  } else if (word == "RESUME") {
    if (!state_.is_paused) respond("// Print is not paused, resume aborted");
    resume_print();
  } else if (word == "CANCEL_PRINT") {
    if (state_.print != PrintState::kPrinting && state_.print != PrintState::kPaused) respond("// action:cancel");
    cancel_print();
  } else if (word == "SDCARD_RESET_FILE") {
    if (state_.print == PrintState::kPrinting) return "SDCARD_RESET_FILE cannot be run from the sdcard";
    close_row("cancelled");
    leave_print(PrintState::kStandby);
    state_.filename.clear();
    state_.total_duration = state_.print_duration = state_.filament_used = 0;
  } else if (word == "M112") {
    shut_down("Shutdown due to M112 command", true);
  } else if (word == "RESTART") {
    restart();
  } else if (word == "FIRMWARE_RESTART") {
    firmware_restart();
  } else if (word == "M104" || word == "M109" || word == "M140" || word == "M190") {
    const bool bed = word == "M140" || word == "M190";
    if (auto error =
            set_heater(bed ? bed_ : extruder_, letter(line, 'S').value_or(0), bed ? kHighestBedC : kHighestExtruderC)) {
      return error;
    }
    if (word == "M109" && !extruder_.reached()) wait_ = Wait::kExtruder;
    if (word == "M190" && !bed_.reached()) wait_ = Wait::kBed;
  } else if (word == "SET_HEATER_TEMPERATURE") {
    const auto heater = parameter(line, "HEATER").value_or("");
    const double target = parse_number(parameter(line, "TARGET").value_or("0")).value_or(0);
    if (heater == "extruder") return set_heater(extruder_, target, kHighestExtruderC);
    if (heater == "heater_bed") return set_heater(bed_, target, kHighestBedC);
    return fmt::format("The value '{}' is not valid for HEATER", heater);
  } else if (word == "TURN_OFF_HEATERS") {
    turn_heaters_off();
  } else if (word == "G28") {
    home(line);
  } else if (word == "G0" || word == "G1") {
    return run_move(line);
  } else if (word == "G4") {
    const double seconds = letter(line, 'P') ? *letter(line, 'P') / 1000 : letter(line, 'S').value_or(0);
    busy_until_ = now_ + std::clamp(seconds, 0.0, kMaxDwellS);
  } else if (word == "M117") {
    state_.display_message = rest.empty() ? std::nullopt : std::optional(std::string(rest));
  } else if (word == "M118" || word == "RESPOND") {
    respond(fmt::format("echo: {}", rest));
  } else if (word == "M105") {
    respond(fmt::format("ok B:{:.1f} /{:.1f} T0:{:.1f} /{:.1f}", bed_.temperature(), bed_.target(),
                        extruder_.temperature(), extruder_.target()));
  } else if (word == "M106") {
    state_.fan_speed = std::round(std::clamp(letter(line, 'S').value_or(255) / 255, 0.0, 1.0) * 1000) / 1000;
  } else if (word == "M107") {
    state_.fan_speed = 0;
  } else if (word == "M220" || word == "M221") {
    const double factor = std::clamp(letter(line, 'S').value_or(100) / 100, 0.01, 10.0);
    (word == "M220" ? state_.speed_factor : state_.extrude_factor) = factor;
  } else if (word == "SET_PIN") {
    const auto pin = parameter(line, "PIN").value_or("");
    if (pin != "caselight") return fmt::format("The value '{}' is not valid for PIN. Options: 'caselight'", pin);
    const double value = parse_number(parameter(line, "VALUE").value_or("0")).value_or(0);
    if (value < 0 || value > 1) return fmt::format("Error on '{}': VALUE must have maximum of 1.0", line);
    state_.light = value;
  } else if (word == "SET_FILAMENT_SENSOR") {
    state_.filament_sensor_enabled = parameter(line, "ENABLE").value_or("1") != "0";
  } else if (word == "EXCLUDE_OBJECT") {
    exclude_object(parameter(line, "NAME").value_or(""));
  } else if (word == "G90" || word == "G91") {
    state_.absolute = word == "G90";
  } else if (word == "M82" || word == "M83") {
    state_.absolute_extrude = word == "M82";
  } else if (word == "SAVE_GCODE_STATE") {
    if (saved_modes_.size() < kMaxSavedStates) {
      saved_modes_[std::string(parameter(line, "NAME").value_or("default"))] = {state_.absolute,
                                                                                state_.absolute_extrude};
    }
  } else if (word == "RESTORE_GCODE_STATE") {
    const std::string name(parameter(line, "NAME").value_or("default"));
    const auto saved = saved_modes_.find(name);
    if (saved == saved_modes_.end()) return fmt::format("Unknown g-code state: {}", name);
    std::tie(state_.absolute, state_.absolute_extrude) = saved->second;
  } else if (word == "M84" || word == "M18") {
    state_.homed_axes.clear();
  } else if (word != "G92" && word != "M400" && word != "STATUS") {
    respond(fmt::format("// Unknown command:\"{}\"", word));
  }
  return std::nullopt;
}

// "G28" or "G28 X Z": homed axes stand at their endstops, Z a little above the bed.
void SimulatedHost::home(std::string_view line) {
  constexpr std::string_view kAxes = "XYZ";
  constexpr std::array<double, 3> kEndstops = {0, 0, 5};
  const std::string words = upper(line.substr(std::min<size_t>(line.size(), 3)));
  const bool all = words.find_first_of(kAxes) == std::string::npos;
  std::string homed;
  for (size_t i = 0; i < kAxes.size(); ++i) {
    const char axis = static_cast<char>(kAxes[i] + 32);
    const bool now = all || words.find(kAxes[i]) != std::string::npos;
    if (now) state_.position[i] = state_.live_position[i] = kEndstops[i];
    if (now || state_.homed_axes.find(axis) != std::string::npos) homed += axis;
  }
  state_.homed_axes = homed;
  busy_until_ = now_ + kHomingS;
}

std::optional<std::string> SimulatedHost::run_move(std::string_view line) {
  auto target = state_.position;
  constexpr char kAxes[] = {'X', 'Y', 'Z', 'E'};
  for (size_t axis = 0; axis < target.size(); ++axis) {
    const auto given = letter(line, kAxes[axis]);
    const bool absolute = axis == 3 ? state_.absolute && state_.absolute_extrude : state_.absolute;
    if (given) target[axis] = absolute ? *given : target[axis] + *given;
  }
  const std::string where = fmt::format("{:.3f} {:.3f} {:.3f} [{:.3f}]", target[0], target[1], target[2], target[3]);
  if (state_.homed_axes != "xyz") return "Must home axis first: " + where;
  for (size_t axis = 0; axis < 3; ++axis) {
    if (target[axis] < 0 || target[axis] > kBedSizeMm) return "Move out of range: " + where;
  }
  if (target[3] != state_.position[3] && extruder_.temperature() < kLowestExtrudeC) {
    return "Extrude below minimum temp\nSee the 'min_extrude_temp' config option for details";
  }
  if (const auto feed = letter(line, 'F')) state_.move_speed = std::clamp(*feed, 1.0, 60'000.0);
  state_.position = state_.live_position = target;
  return std::nullopt;
}

std::optional<std::string> SimulatedHost::set_heater(SimulatedHeater& heater, double target, double highest) {
  if (!state_.has_heaters) return "Extruder not configured";
  if (target < 0 || target > highest) {
    return fmt::format("Requested temperature ({:.1f}) out of range (0.0:{:.1f})", target, highest);
  }
  heater.set_target(target);
  return std::nullopt;
}

void SimulatedHost::exclude_object(std::string_view name) {
  const bool known = std::find(state_.objects.begin(), state_.objects.end(), name) != state_.objects.end();
  const bool excluded = std::find(state_.excluded.begin(), state_.excluded.end(), name) != state_.excluded.end();
  if (known && !excluded) state_.excluded.emplace_back(name);
}

}  // namespace millrace
