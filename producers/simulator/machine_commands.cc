// SPDX-License-Identifier: Apache-2.0
// G-code by hand and print commands: one at a time, as behind Klipper's G-code mutex.  A set that is large enough for
// the program's own commands and for trying things out.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "producers/simulator/machine.h"

namespace millrace {
namespace {

constexpr double kHomingS = 3;
constexpr double kMaxDwellS = 600;
constexpr size_t kMaxScriptBytes = 64u << 10;
constexpr size_t kMaxScriptLines = 1000;

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

std::vector<std::string> split_script(std::string_view script) {
  std::vector<std::string> lines;
  while (!script.empty() && lines.size() < kMaxScriptLines) {
    const size_t end = std::min(script.find('\n'), script.size());
    if (const auto line = trimmed(script.substr(0, end)); !line.empty()) lines.emplace_back(line);
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

// nullopt: done; else Klipper's error.
std::optional<std::string> SimulatedHost::run_line(std::string_view text) {
  const SimulatedGcodeLine line(text);
  if (line.command().empty()) return std::nullopt;
  if (auto error = run_print_command(line)) return error->empty() ? std::nullopt : error;
  if (auto error = run_heat(line)) return error->empty() ? std::nullopt : error;
  if (auto error = motion_.run(line, extruder_.temperature())) return error->empty() ? std::nullopt : error;
  if (auto error = run_output(line)) return error->empty() ? std::nullopt : error;
  if (auto error = run_macro(line.command())) return error->empty() ? std::nullopt : error;
  return run_other(line);
}

// These tell "" when they are done, nullopt for a command that is none of theirs.
std::optional<std::string> SimulatedHost::run_print_command(const SimulatedGcodeLine& line) {
  const std::string& word = line.command();
  if (word == "PAUSE" || word == "M25") {
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
  } else if (word == "SDCARD_PRINT_FILE") {
    return run_print_file(line.word("FILENAME")).value_or("");
  } else if (word == "EXCLUDE_OBJECT") {
    exclude_object(line.word("NAME"));
  } else if (word == "M112") {
    shut_down("Shutdown due to M112 command", true);
  } else if (word == "RESTART") {
    restart();
  } else if (word == "FIRMWARE_RESTART") {
    firmware_restart();
  } else {
    return std::nullopt;
  }
  return "";
}

std::optional<std::string> SimulatedHost::run_heat(const SimulatedGcodeLine& line) {
  const std::string& word = line.command();
  std::optional<std::string> error;
  if (word == "TURN_OFF_HEATERS") {
    turn_heaters_off();
    return "";
  }
  if (word == "SET_HEATER_TEMPERATURE") {
    const std::string heater = line.word("HEATER");
    const double target = line.number("TARGET", error).value_or(0);
    if (error) return error;
    if (heater == "extruder") return set_heater(extruder_, target, HostState::extruder_max_c).value_or("");
    if (heater == "heater_bed") return set_heater(bed_, target, HostState::bed_max_c).value_or("");
    return fmt::format("The value '{}' is not valid for HEATER", heater);
  }
  const bool is_bed = word == "M140" || word == "M190";
  if (!is_bed && word != "M104" && word != "M109") return std::nullopt;
  const double target = line.number("S", error).value_or(0);
  if (!error && !is_bed && line.number("T", error).value_or(0) != 0) error = "Extruder not configured";
  if (!error)
    error = set_heater(is_bed ? bed_ : extruder_, target, is_bed ? HostState::bed_max_c : HostState::extruder_max_c);
  if (error) return error;
  if (word == "M109" && !extruder_.reached()) wait_ = Wait::kExtruder;
  if (word == "M190" && !bed_.reached()) wait_ = Wait::kBed;
  return "";
}

std::optional<std::string> SimulatedHost::run_output(const SimulatedGcodeLine& line) {
  const std::string& word = line.command();
  std::optional<std::string> error;
  if (word == "M106" || word == "M107") {
    const double speed = word == "M107" ? 0 : line.number("S", error).value_or(255) / 255;
    return error ? error : set_share(state_.fan_speed, std::clamp(speed, 0.0, 1.0));
  }
  if (word == "SET_PIN") {
    const std::string pin = line.word("PIN");
    if (pin != "caselight") return fmt::format("The value '{}' is not valid for PIN. Options: 'caselight'", pin);
    const double value = line.number("VALUE", error).value_or(0);
    if (!error && (value < 0 || value > 1)) error = fmt::format("Error on '{}': VALUE must have maximum of 1.0", word);
    return error ? error : set_share(state_.light, value);
  }
  return std::nullopt;
}

// A fan's or a pin's, of what it can do.
std::optional<std::string> SimulatedHost::set_share(double& share, double value) {
  share = std::round(value * 1000) / 1000;
  motion_.extremes().lowest_share = std::min(motion_.extremes().lowest_share, value);
  motion_.extremes().highest_share = std::max(motion_.extremes().highest_share, value);
  return "";
}

// "" and what follows from it for a macro of the machine; they leave modes as careless macros do.
std::optional<std::string> SimulatedHost::run_macro(std::string_view name) {
  std::string_view script;
  if (name == "PARK") script = "G28\nG91\nG1 Z10 F600\nM220 S150\nSET_GCODE_OFFSET Z_ADJUST=0.2";
  if (name == "LOAD_FILAMENT") script = "M83\nG1 E50 F300";
  if (name == "UNLOAD_FILAMENT") script = "M83\nG1 E-50 F300";
  if (script.empty()) return std::nullopt;
  const bool moved_before = motion_.extremes().moved_during_print;
  std::optional<std::string> error;
  for (const std::string& line : split_script(script)) {
    if ((error = run_line(line))) break;
  }
  motion_.extremes().moved_during_print = moved_before;  // what a macro does is its maker's affair
  return error.value_or("");
}

std::optional<std::string> SimulatedHost::run_other(const SimulatedGcodeLine& line) {
  const std::string& word = line.command();
  std::optional<std::string> error;
  if (word == "G28") {
    motion_.home(line);
    busy_until_ = now_ + kHomingS;
  } else if (word == "G4") {
    const auto pause = line.number("P", error);
    const double seconds = pause ? *pause / 1000 : line.number("S", error).value_or(0);
    if (!error) busy_until_ = now_ + std::clamp(seconds, 0.0, kMaxDwellS);
  } else if (word == "M117" || word.starts_with("M117 ")) {
    state_.display_message = line.message().empty() ? std::nullopt : std::optional(line.message());
  } else if (word == "M118" || word.starts_with("M118 ") || word == "RESPOND") {
    respond(fmt::format("echo: {}", line.message()));
  } else if (word == "M105") {
    respond(fmt::format("ok B:{:.1f} /{:.1f} T0:{:.1f} /{:.1f}", bed_.temperature(), bed_.target(),
                        extruder_.temperature(), extruder_.target()));
  } else if (word == "SET_FILAMENT_SENSOR") {
    state_.filament_sensor_enabled = line.word("ENABLE", "1") != "0";
  } else if (word != "M400" && word != "STATUS" && word != "G21") {
    respond(fmt::format("// Unknown command:\"{}\"", word));
  }
  return error;
}

std::optional<std::string> SimulatedHost::set_heater(SimulatedHeater& heater, double target, double highest) {
  if (!state_.has_heaters) return "Extruder not configured";
  if (!(target >= 0 && target <= highest)) {
    return fmt::format("Requested temperature ({:.1f}) out of range (0.0:{:.1f})", target, highest);
  }
  heater.set_target(target);
  double& highest_c = &heater == &bed_ ? motion_.extremes().bed_c : motion_.extremes().extruder_c;
  highest_c = std::max(highest_c, target);
  return std::nullopt;
}

void SimulatedHost::exclude_object(std::string_view name) {
  const bool known = std::find(state_.objects.begin(), state_.objects.end(), name) != state_.objects.end();
  const bool excluded = std::find(state_.excluded.begin(), state_.excluded.end(), name) != state_.excluded.end();
  if (known && !excluded) state_.excluded.emplace_back(name);
}

}  // namespace millrace
