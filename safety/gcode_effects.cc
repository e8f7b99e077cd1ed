// SPDX-License-Identifier: Apache-2.0
#include "safety/gcode_effects.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bus/utf8.h"
#include "safety/gcode_line.h"
#include "safety/names.h"

namespace millrace {
namespace {

constexpr std::array<std::string_view, 3> kAxisKeys = {"X", "Y", "Z"};

class LineReader;

struct Known {
  std::string_view command;
  // Words that it may have, each between blanks; with another one the line cannot be judged whole.  "*": whatever, it
  // is not looked at; "+": whatever, as long as it can be read.
  std::string_view words;
  void (*read)(LineReader& line);
};

// Collects the effects of one line, or why it cannot be read.
class LineReader {
 public:
  explicit LineReader(GcodeWords& line) : line_(line) {}

  const std::string& command() const { return line_.command; }
  const std::string* find(std::string_view key) const {
    for (const GcodeWord& word : line_.words) {
      if (word.key == key) return &word.value;
    }
    return nullptr;
  }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  const std::vector<GcodeWord>& words() const { return line_.words; }

  std::optional<double> number(std::string_view key) {
    const std::string* text = find(key);
    if (!text) return std::nullopt;
    const auto number = gcode_number(*text, is_extended());
    if (!number) refuse(fmt::format("{} is '{}', which is no number", key, shown(*text)));
    return number;
  }
  double number_or(std::string_view key, double otherwise) { return number(key).value_or(otherwise); }
  double required_number(std::string_view key) {
    if (!has(key)) refuse(fmt::format("{} is missing", key));
    return number_or(key, 0);
  }
  // A name for Klipper; the same characters as in a typed command.
  std::string required_name(std::string_view key) {
    const std::string* text = find(key);
    if (!text) {
      refuse(fmt::format("{} is missing", key));
      return {};
    }
    if (const auto fault = name_fault(NameUse::kQuoted, *text)) refuse(fmt::format("{} {}", key, *fault));
    return *text;
  }
  std::string name_or(std::string_view key, std::string_view otherwise) {
    return has(key) ? required_name(key) : std::string(otherwise);
  }
  std::array<std::optional<double>, 3> axes() {
    std::array<std::optional<double>, 3> axes;
    for (size_t axis = 0; axis < axes.size(); ++axis) axes[axis] = number(kAxisKeys[axis]);
    return axes;
  }

  GcodeEffect& add(EffectKind kind) {
    GcodeEffect effect;
    effect.line = line_.number;
    effect.kind = kind;
    effect.command = line_.command;
    return effects_.emplace_back(std::move(effect));
  }
  void add(EffectKind kind, double value, std::string subject = {}) {
    GcodeEffect& effect = add(kind);
    effect.value = value;
    effect.subject = std::move(subject);
  }
  void refuse(std::string why) {
    if (!fault_) fault_ = std::move(why);
  }
  void doubt(std::string why) {
    if (!doubt_) doubt_ = std::move(why);
  }

  const std::optional<std::string>& fault() const { return fault_; }
  const std::optional<std::string>& doubts() const { return doubt_; }
  std::vector<GcodeEffect>& effects() { return effects_; }

 private:
  bool is_extended() const { return line_.command.size() < 2 || !is_gcode_digit(line_.command[1]); }

  GcodeWords& line_;
  std::vector<GcodeEffect> effects_;
  std::optional<std::string> fault_;
  std::optional<std::string> doubt_;
};

void read_nothing(LineReader&) {}

template <EffectKind kind>
void read_plain(LineReader& line) {
  line.add(kind);
}

// Whatever else it takes: how fast it may be is known.
void read_probe(LineReader& line) {
  line.add(EffectKind::kProbe);
  for (const GcodeWord& word : line.words()) {
    if (!word.key.ends_with("SPEED")) continue;
    if (const auto speed = line.number(word.key)) line.add(EffectKind::kVelocityLimit, *speed);
  }
}

void read_resume(LineReader& line) {
  line.add(EffectKind::kResume);
  if (const auto speed = line.number("VELOCITY")) line.add(EffectKind::kVelocityLimit, *speed);
}

// Where it goes was said by whoever saved the state.
void read_restore_state(LineReader& line) {
  line.doubt("what was saved is not known");
  line.number("MOVE");
  if (const auto speed = line.number("MOVE_SPEED")) line.add(EffectKind::kVelocityLimit, *speed);
}

void read_extruder_heat(LineReader& line) {
  const double target = line.number_or("S", 0);
  std::string heater;
  if (const auto tool = line.number("T")) {
    if (*tool < 0 || *tool > 63 || std::trunc(*tool) != *tool) return line.refuse("T is no number of a tool");
    heater = *tool == 0 ? "extruder" : fmt::format("extruder{}", static_cast<int>(*tool));
  }
  line.add(EffectKind::kHeat, target, std::move(heater));
}

void read_bed_heat(LineReader& line) { line.add(EffectKind::kHeat, line.number_or("S", 0), "heater_bed"); }
void read_chamber_heat(LineReader& line) { line.add(EffectKind::kHeatChamber, line.number_or("S", 0)); }
void read_heater(LineReader& line) {
  line.add(EffectKind::kHeat, line.number_or("TARGET", 0), line.required_name("HEATER"));
}
void read_part_fan(LineReader& line) { line.add(EffectKind::kFan, line.number_or("S", 255) / 255, "fan"); }
void read_part_fan_off(LineReader& line) { line.add(EffectKind::kFan, 0, "fan"); }
// True: a template that is evaluated again and again sets it.
bool is_from_template(LineReader& line) {
  if (!line.has("TEMPLATE")) return false;
  line.doubt("a template: what it sets is not known");
  return true;
}

void read_fan(LineReader& line) {
  if (is_from_template(line)) return;
  line.add(EffectKind::kFan, line.required_number("SPEED"), line.required_name("FAN"));
}
void read_pin(LineReader& line) {
  if (is_from_template(line)) return;
  line.number("CYCLE_TIME");
  line.add(EffectKind::kPin, line.required_number("VALUE"), line.required_name("PIN"));
}

void read_light(LineReader& line) {
  double most = 0;
  double least = 0;
  for (const std::string_view part : {"RED", "GREEN", "BLUE", "WHITE"}) {
    const double value = line.number_or(part, 0);
    most = std::max(most, value);
    least = std::min(least, value);
  }
  line.add(EffectKind::kLight, most, line.required_name("LED"));
  line.effects().back().value_min = least;
}

GcodeEffect& add_move(LineReader& line, EffectKind kind) {
  GcodeEffect& move = line.add(kind);
  move.axes = line.axes();
  move.e = line.number("E");
  move.feedrate = line.number("F");
  return move;
}

void read_move(LineReader& line) { add_move(line, EffectKind::kMove); }

void read_arc(LineReader& line) {
  if (line.has("R")) return line.refuse("Klipper knows no arcs by their radius; give I and J");
  if (line.has("K")) return line.refuse("arcs are taken in the plane of X and Y only");
  GcodeEffect& arc = add_move(line, EffectKind::kArc);
  arc.centre = {line.number("I"), line.number("J"), std::nullopt};
  if (!arc.centre[0] && !arc.centre[1]) line.refuse("I and J are missing");
}

void read_home(LineReader& line) {
  GcodeEffect& home = line.add(EffectKind::kHome);
  for (size_t axis = 0; axis < kAxisKeys.size(); ++axis) {
    const std::string* value = line.find(kAxisKeys[axis]);
    if (!value) continue;
    home.axes[axis] = 0;
    if (!value->empty()) line.number(kAxisKeys[axis]);
  }
}

void read_set_position(LineReader& line) {
  GcodeEffect& set = line.add(EffectKind::kSetPosition);
  set.axes = line.axes();
  set.e = line.number("E");
  if (!set.e && !set.axes[0] && !set.axes[1] && !set.axes[2]) set.axes = {0.0, 0.0, 0.0};
}

void read_offset(LineReader& line) {
  const bool moves = line.number_or("MOVE", 0) != 0;
  const auto speed = line.number("MOVE_SPEED");
  for (size_t axis = 0; axis < kAxisKeys.size(); ++axis) {
    const auto set = line.number(kAxisKeys[axis]);
    const auto added = line.number(fmt::format("{}_ADJUST", kAxisKeys[axis]));
    if (set && added) return line.refuse(fmt::format("{} is set and adjusted", kAxisKeys[axis]));
    if (!set && !added) continue;
    GcodeEffect& offset = line.add(EffectKind::kOffset);
    offset.subject = kAxisKeys[axis];
    offset.axes[axis] = set;
    offset.value = added;
    offset.moves = moves;
    if (speed) offset.feedrate = *speed * 60;
  }
}

void read_manual_stepper(LineReader& line) {
  GcodeEffect& stepper = line.add(EffectKind::kManualStepper);
  stepper.subject = line.required_name("STEPPER");
  stepper.value = line.number("SPEED");
  stepper.acceleration = line.number("ACCEL");
  stepper.moves = line.number("MOVE").has_value();
  line.number("SET_POSITION");
}

void read_velocity_limit(LineReader& line) {
  if (const auto velocity = line.number("VELOCITY")) line.add(EffectKind::kVelocityLimit, *velocity);
  for (const std::string_view key : {"ACCEL", "ACCEL_TO_DECEL"}) {
    if (const auto acceleration = line.number(key)) line.add(EffectKind::kAccelerationLimit, *acceleration);
  }
  if (const auto corner = line.number("SQUARE_CORNER_VELOCITY")) line.add(EffectKind::kVelocityLimit, *corner);
  line.number("MINIMUM_CRUISE_RATIO");
}

void read_acceleration(LineReader& line) {
  bool any = false;
  for (const std::string_view key : {"S", "P", "T"}) {
    const auto acceleration = line.number(key);
    if (!acceleration) continue;
    line.add(EffectKind::kAccelerationLimit, *acceleration);
    any = true;
  }
  if (!any) line.refuse("S is missing");
}

void read_speed_factor(LineReader& line) { line.add(EffectKind::kSpeedFactor, line.number_or("S", 100) / 100); }
void read_flow_factor(LineReader& line) { line.add(EffectKind::kFlowFactor, line.number_or("S", 100) / 100); }

void read_activate_extruder(LineReader& line) {
  line.add(EffectKind::kActivateExtruder).subject = line.required_name("EXTRUDER");
}

void read_print_file(LineReader& line) {
  const std::string* file = line.find("FILENAME");
  if (!file) return line.refuse("FILENAME is missing");
  std::string_view path = *file;
  while (!path.empty() && path.front() == '/') path.remove_prefix(1);  // Klipper takes it off, too
  if (const auto fault = name_fault(NameUse::kFile, path)) return line.refuse(fmt::format("FILENAME {}", *fault));
  line.add(EffectKind::kPrintStart).subject = std::string(path);
}

void read_exclude_object(LineReader& line) {
  GcodeEffect& exclude = line.add(EffectKind::kExcludeObject);
  exclude.subject = line.name_or("NAME", "");
}

void read_inches(LineReader& line) { line.refuse("Klipper knows millimetres only"); }
void read_other_plane(LineReader& line) { line.refuse("arcs are taken in the plane of X and Y only"); }

// What Klipper itself knows (klippy/gcode.py and klippy/extras) and what is worth knowing of it.  Sorted by name.
constexpr std::array kKnown = {
    Known{"ACTIVATE_EXTRUDER", " EXTRUDER ", read_activate_extruder},
    Known{"BED_MESH_CALIBRATE", "+", read_probe},
    Known{"BED_MESH_OUTPUT", "*", read_nothing},
    Known{"BED_SCREWS_ADJUST", "+", read_probe},
    Known{"CANCEL_PRINT", "*", read_plain<EffectKind::kCancel>},
    Known{"DELTA_CALIBRATE", "+", read_probe},
    Known{"EXCLUDE_OBJECT", " NAME CURRENT RESET ", read_exclude_object},
    Known{"FIRMWARE_RESTART", "*", read_plain<EffectKind::kRestart>},
    Known{"FORCE_MOVE", "*", read_plain<EffectKind::kForcedMotion>},
    Known{"G0", " X Y Z E F ", read_move},
    Known{"G1", " X Y Z E F ", read_move},
    Known{"G10", "", read_plain<EffectKind::kRetract>},
    Known{"G11", "", read_plain<EffectKind::kRetract>},
    Known{"G17", "", read_nothing},
    Known{"G18", "", read_other_plane},
    Known{"G19", "", read_other_plane},
    Known{"G2", " X Y Z E F I J K R ", read_arc},
    Known{"G20", "", read_inches},
    Known{"G21", "", read_nothing},
    Known{"G28", " X Y Z ", read_home},
    Known{"G29", "+", read_probe},
    Known{"G3", " X Y Z E F I J K R ", read_arc},
    Known{"G4", " P S ", read_nothing},
    Known{"G90", "", read_plain<EffectKind::kAbsolute>},
    Known{"G91", "", read_plain<EffectKind::kRelative>},
    Known{"G92", " X Y Z E ", read_set_position},
    Known{"GET_POSITION", "", read_nothing},
    Known{"HELP", "", read_nothing},
    Known{"M104", " S T ", read_extruder_heat},
    Known{"M105", "", read_nothing},
    Known{"M106", " S P ", read_part_fan},
    Known{"M107", " P ", read_part_fan_off},
    Known{"M109", " S T ", read_extruder_heat},
    Known{"M110", "*", read_nothing},
    Known{"M112", "*", read_plain<EffectKind::kEmergencyStop>},
    Known{"M114", "", read_nothing},
    Known{"M115", "", read_nothing},
    Known{"M119", "", read_nothing},
    Known{"M140", " S T ", read_bed_heat},
    Known{"M141", " S T ", read_chamber_heat},
    Known{"M18", "*", read_plain<EffectKind::kMotorsOff>},
    Known{"M190", " S T ", read_bed_heat},
    Known{"M191", " S T ", read_chamber_heat},
    Known{"M204", " S P T ", read_acceleration},
    Known{"M220", " S ", read_speed_factor},
    Known{"M221", " S ", read_flow_factor},
    Known{"M24", "", read_plain<EffectKind::kPrintStart>},
    Known{"M25", "", read_plain<EffectKind::kPause>},
    Known{"M27", "", read_nothing},
    Known{"M400", "", read_nothing},
    Known{"M73", " P R ", read_nothing},
    Known{"M82", "", read_plain<EffectKind::kExtruderAbsolute>},
    Known{"M83", "", read_plain<EffectKind::kExtruderRelative>},
    Known{"M84", "*", read_plain<EffectKind::kMotorsOff>},
    Known{"MANUAL_STEPPER", " STEPPER ENABLE SET_POSITION SPEED ACCEL MOVE STOP_ON_ENDSTOP SYNC ", read_manual_stepper},
    Known{"PAUSE", "*", read_plain<EffectKind::kPause>},
    Known{"PID_CALIBRATE", " HEATER TARGET WRITE_FILE ", read_heater},
    Known{"PROBE", "+", read_probe},
    Known{"PROBE_ACCURACY", "+", read_probe},
    Known{"PROBE_CALIBRATE", "+", read_probe},
    Known{"QUAD_GANTRY_LEVEL", "+", read_probe},
    Known{"QUERY_ENDSTOPS", "", read_nothing},
    Known{"RESTART", "*", read_plain<EffectKind::kRestart>},
    Known{"RESTORE_GCODE_STATE", " NAME MOVE MOVE_SPEED ", read_restore_state},
    Known{"RESUME", " VELOCITY ", read_resume},
    Known{"RUN_SHELL_COMMAND", "*", read_plain<EffectKind::kShell>},
    Known{"SAVE_CONFIG", "*", read_plain<EffectKind::kSaveConfig>},
    Known{"SAVE_GCODE_STATE", " NAME ", read_nothing},
    Known{"SCREWS_TILT_CALCULATE", "+", read_probe},
    Known{"SDCARD_PRINT_FILE", " FILENAME ", read_print_file},
    Known{"SET_FAN_SPEED", " FAN SPEED TEMPLATE ", read_fan},
    Known{"SET_GCODE_OFFSET", " X Y Z X_ADJUST Y_ADJUST Z_ADJUST MOVE MOVE_SPEED ", read_offset},
    Known{"SET_HEATER_TEMPERATURE", " HEATER TARGET ", read_heater},
    Known{"SET_KINEMATIC_POSITION", "*", read_plain<EffectKind::kForcedMotion>},
    Known{"SET_LED", " LED RED GREEN BLUE WHITE INDEX TRANSMIT SYNC ", read_light},
    Known{"SET_PIN", " PIN VALUE CYCLE_TIME TEMPLATE ", read_pin},
    Known{"SET_SKEW", "*", read_plain<EffectKind::kForcedMotion>},
    Known{"SET_STEPPER_ENABLE", "*", read_plain<EffectKind::kForcedMotion>},
    Known{"SET_VELOCITY_LIMIT", " VELOCITY ACCEL ACCEL_TO_DECEL SQUARE_CORNER_VELOCITY MINIMUM_CRUISE_RATIO ",
          read_velocity_limit},
    Known{"SHAPER_CALIBRATE", "*", read_plain<EffectKind::kForcedMotion>},
    Known{"STATUS", "", read_nothing},
    Known{"STEPPER_BUZZ", "*", read_plain<EffectKind::kForcedMotion>},
    Known{"TEST_RESONANCES", "*", read_plain<EffectKind::kForcedMotion>},
    Known{"TUNING_TOWER", "*", read_plain<EffectKind::kShell>},
    Known{"TURN_OFF_HEATERS", "", read_plain<EffectKind::kHeatersOff>},
    Known{"Z_ENDSTOP_CALIBRATE", "+", read_probe},
    Known{"Z_TILT_ADJUST", "+", read_probe},
};

constexpr bool is_sorted_by_name() {
  for (size_t i = 1; i < kKnown.size(); ++i) {
    if (!(kKnown[i - 1].command < kKnown[i].command)) return false;
  }
  return true;
}
static_assert(is_sorted_by_name());

const Known* find_known(std::string_view command) {
  const auto found = std::lower_bound(kKnown.begin(), kKnown.end(), command,
                                      [](const Known& known, std::string_view name) { return known.command < name; });
  return found != kKnown.end() && found->command == command ? &*found : nullptr;
}

// Commands that only show text: whatever stands behind them.
bool is_message(std::string_view command) {
  const auto begins = command.substr(0, 5);
  return command == "M117" || command == "M118" || begins == "M117 " || begins == "M118 " || command == "RESPOND";
}

std::optional<std::string> character_fault(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\t' || (c >= ' ' && c != 0x7F)) continue;
    return fmt::format("it has the control character U+{:04X}", unsigned{c});
  }
  return std::nullopt;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::optional<std::string> unknown_word(const Known& known, const GcodeWords& line) {
  if (known.words == "*" || known.words == "+") return std::nullopt;
  for (const GcodeWord& word : line.words) {
    if (known.words.find(fmt::format(" {} ", word.key)) == std::string_view::npos) return word.key;
  }
  return std::nullopt;
}

class TextReader {
 public:
  TextReader(const std::vector<std::string>& macros, GcodeEffects& out) : macros_(macros), out_(out) {}

  void read(size_t number, std::string_view text) {
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    GcodeWords line;
    line.number = number;
    line.text = text;
    if (auto fault = character_fault(text)) return unreadable(line, *fault);
    const size_t comment = std::min(text.find(';'), text.size());
    auto body = gcode_trimmed(text.substr(0, comment));
    if (body.empty()) return;
    if (!take_line_number(body, line.numbered)) return unreadable(line, "its line number is none");
    if (body.empty()) return;
    if (!is_gcode_letter(body.front())) return read_odd(line, body);
    take_command(line, body);
    if (is_message(line.command)) return replaced(line) ? unjudged(line, "a macro replaces it") : void();
    if (!is_ascii(body)) return unreadable(line, "it has characters beyond ASCII outside comments and messages");
    if (comment < text.size() && leaves_quote_open(body)) return unreadable(line, "it has a ';' within quotes");
    read_command(line);
  }

 private:
  // Not a letter in front: Klipper finds no command, or one that is hidden behind other characters.
  void read_odd(const GcodeWords& line, std::string_view body) {
    if (body.front() == '(') return unreadable(line, "Klipper knows no comments in parentheses; begin them with ';'");
    unreadable(line, "it does not begin with a command");
  }

  void read_command(GcodeWords& line) {
    if (const std::string whole = without_blanks(line.command); whole != line.command) {
      // "G 1": G1 for one Klipper, and unknown to the other.
      if (find_known(whole) || is_macro(whole)) return unreadable(line, fmt::format("{} has a blank within", whole));
    }
    const Known* known = find_known(line.command);
    const bool is_replaced = replaced(line);
    if (!known) {
      if (!is_replaced && begins_like_known(line.command)) return unreadable(line, "it is not understood");
      return unjudged(line, is_replaced ? "a macro: what it does is not known" : "the command is not known");
    }
    read_known(line, *known, is_replaced);
  }

  // An effect stands even where the line cannot be judged whole: nothing that is added to a line takes it from the
  // limits.
  void read_known(GcodeWords& line, const Known& known, bool is_replaced) {
    auto fault = known.words == "*" ? std::nullopt : cut_words(line);
    LineReader reader(line);
    if (!fault) {
      if (const auto word = unknown_word(known, line)) {
        reader.doubt(fmt::format("{} of {} is not known", shown(*word), line.command));
      }
      known.read(reader);
      fault = reader.fault();
    }
    if (is_replaced) {
      unjudged(line, "a macro of the machine replaces the command");
      if (fault) return;
    } else if (fault) {
      return unreadable(line, explained(*fault, line));
    } else if (reader.doubts()) {
      unjudged(line, *reader.doubts());
    }
    std::move(reader.effects().begin(), reader.effects().end(), std::back_inserter(out_.effects));
  }

  static std::string explained(const std::string& fault, const GcodeWords& line) {
    if (line.text.find('(') == std::string_view::npos) return fault;
    return fault + "; Klipper knows no comments in parentheses, begin them with ';'";
  }

  // "G1 5", "SET_PIN \"": a known command, and something beside it that Klipper would take for a part of its name.
  static bool begins_like_known(std::string_view command) {
    const auto ends = [](char c) { return !is_gcode_letter(c) && !is_gcode_digit(c); };
    const auto end = std::find_if(command.begin(), command.end(), ends);
    return end != command.end() && find_known(command.substr(0, static_cast<size_t>(end - command.begin()))) != nullptr;
  }

  static std::string without_blanks(std::string command) {
    std::erase_if(command, is_gcode_blank);
    return command;
  }

  bool is_macro(std::string_view command) const {
    return std::find(macros_.begin(), macros_.end(), command) != macros_.end();
  }
  bool replaced(const GcodeWords& line) const { return is_macro(line.command); }

  void unjudged(const GcodeWords& line, std::string why) {
    out_.unjudged.push_back({line.number, shown(gcode_trimmed(line.text)), std::move(why)});
  }
  void unreadable(const GcodeWords& line, std::string why) {
    out_.unreadable.push_back({line.number, shown(gcode_trimmed(line.text)), std::move(why)});
  }

  const std::vector<std::string>& macros_;
  GcodeEffects& out_;
};

std::optional<size_t> first_bad_byte(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = static_cast<unsigned char>(text[at]) < 0x80 ? 1 : utf8_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(EffectKind kind) {
  switch (kind) {
    case EffectKind::kHeat:
      return "heat";
    case EffectKind::kHeatChamber:
      return "heat_chamber";
    case EffectKind::kHeatersOff:
      return "heaters_off";
    case EffectKind::kFan:
      return "fan";
    case EffectKind::kPin:
      return "pin";
    case EffectKind::kLight:
      return "light";
    case EffectKind::kMove:
      return "move";
    case EffectKind::kArc:
      return "arc";
    case EffectKind::kHome:
      return "home";
    case EffectKind::kProbe:
      return "probe";
    case EffectKind::kRetract:
      return "retract";
    case EffectKind::kAbsolute:
      return "absolute";
    case EffectKind::kRelative:
      return "relative";
    case EffectKind::kExtruderAbsolute:
      return "extruder_absolute";
    case EffectKind::kExtruderRelative:
      return "extruder_relative";
    case EffectKind::kSetPosition:
      return "set_position";
    case EffectKind::kOffset:
      return "offset";
    case EffectKind::kManualStepper:
      return "manual_stepper";
    case EffectKind::kForcedMotion:
      return "forced_motion";
    case EffectKind::kMotorsOff:
      return "motors_off";
    case EffectKind::kVelocityLimit:
      return "velocity_limit";
    case EffectKind::kAccelerationLimit:
      return "acceleration_limit";
    case EffectKind::kSpeedFactor:
      return "speed_factor";
    case EffectKind::kFlowFactor:
      return "flow_factor";
    case EffectKind::kActivateExtruder:
      return "activate_extruder";
    case EffectKind::kPrintStart:
      return "print_start";
    case EffectKind::kPause:
      return "pause";
    case EffectKind::kResume:
      return "resume";
    case EffectKind::kCancel:
      return "cancel";
    case EffectKind::kExcludeObject:
      return "exclude_object";
    case EffectKind::kEmergencyStop:
      return "emergency_stop";
    case EffectKind::kRestart:
      return "restart";
    case EffectKind::kSaveConfig:
      return "save_config";
    case EffectKind::kShell:
      return "shell";
  }
  return "unknown";
}

Result<GcodeEffects> gcode_effects(std::string_view text, const std::vector<std::string>& macros) {
  if (text.size() > kMaxGcodeBytes) {
    return make_error(Errc::kTooLarge,
                      fmt::format("G-code of {} bytes, at most {} are taken", text.size(), kMaxGcodeBytes));
  }
  const size_t lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  if (lines > kMaxGcodeLines) {
    return make_error(Errc::kTooLarge, fmt::format("G-code of {} lines, at most {} are taken", lines, kMaxGcodeLines));
  }
  if (const auto bad = first_bad_byte(text)) {
    return make_error(Errc::kMalformed, fmt::format("G-code is not UTF-8 at byte {}", *bad));
  }
  GcodeEffects out;
  TextReader reader(macros, out);
  for (size_t at = 0; at <= text.size(); ++out.lines) {
    const size_t end = std::min(text.find('\n', at), text.size());
    reader.read(out.lines + 1, text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

}  // namespace millrace
