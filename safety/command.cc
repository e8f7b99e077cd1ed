// SPDX-License-Identifier: Apache-2.0
#include "safety/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bus/json_writer.h"
#include "bus/utf8.h"
#include "safety/names.h"

namespace millrace {
namespace {

constexpr size_t kAxes = 3;
constexpr std::array<std::string_view, kAxes> kAxisNames = {"x", "y", "z"};
constexpr double kMaxTarget = 1000;  // no heater of such a machine reaches it

constexpr std::array kFilename = {ArgumentText{"filename", "text", true, "below the machine's folder of G-code"}};
constexpr std::array kReason = {ArgumentText{"reason", "text", false, "why, for the record"}};
constexpr std::array kTemperature = {
    ArgumentText{"heater", "text", true, "as Klipper names it: extruder, heater_bed, or the name of a heater_generic"},
    ArgumentText{"target", "number", true, "degrees Celsius, 0 is off"}};
constexpr std::array kFan = {ArgumentText{"fan", "text", false, "name of the fan, default fan"},
                             ArgumentText{"speed", "number", true, "0 to 1"}};
constexpr std::array kFactor = {ArgumentText{"factor", "number", true, "0.01 to 10, 1 is as sliced"}};
constexpr std::array kHome = {ArgumentText{"axes", "text", false, "some of xyz, default all"}};
constexpr std::array kMove = {ArgumentText{"x", "number", false, "mm; at least one of x, y, z, e"},
                              ArgumentText{"y", "number", false, "mm"},
                              ArgumentText{"z", "number", false, "mm"},
                              ArgumentText{"e", "number", false, "mm of filament, always a distance"},
                              ArgumentText{"feedrate", "number", false, "mm/min"},
                              ArgumentText{"relative", "flag", false, "x, y, z are distances, default false"}};
constexpr std::array kScript = {ArgumentText{"script", "text", true, "G-code, up to 64 KiB and 2,000 lines"}};
constexpr std::array kMacro = {ArgumentText{"name", "text", true, "of the macro"},
                               ArgumentText{"params", "object", false, "name to text or number, at most 32"}};
constexpr std::array kObject = {ArgumentText{"name", "text", true, "of an object of the print"}};
constexpr std::array kPower = {ArgumentText{"device", "text", true, "as Moonraker names it"},
                               ArgumentText{"on", "flag", true, "true: on"}};
constexpr std::array kPin = {ArgumentText{"pin", "text", true, "name of the output_pin"},
                             ArgumentText{"value", "number", true, "0 to 1"}};
constexpr std::array kLight = {ArgumentText{"light", "text", true, "name of the led or neopixel"},
                               ArgumentText{"red", "number", false, "0 to 1, default 0; at least one of the four"},
                               ArgumentText{"green", "number", false, "0 to 1, default 0"},
                               ArgumentText{"blue", "number", false, "0 to 1, default 0"},
                               ArgumentText{"white", "number", false, "0 to 1, default 0"}};
constexpr std::array kQueueAdd = {ArgumentText{"filenames", "list of texts", true, "1 to 100 files"}};
constexpr std::array kQueueRemove = {ArgumentText{"job_ids", "list of texts", false, "1 to 100 ids; or all"},
                                     ArgumentText{"all", "flag", false, "true: every job of the queue"}};

constexpr std::span<const ArgumentText> kNone;

constexpr std::array<CommandText, kCommandKinds> kCommands = {{
    {CommandKind::kStart, "start", "prints a file", true, false, kFilename},
    {CommandKind::kPause, "pause", "pauses the print", true, false, kNone},
    {CommandKind::kResume, "resume", "goes on with it", true, false, kNone},
    {CommandKind::kCancel, "cancel", "ends the print", true, false, kNone},
    {CommandKind::kEmergencyStop, "emergency_stop", "stops everything at once, and latches", true, true, kReason},
    {CommandKind::kResetEmergency, "reset_emergency", "opens the latch; nothing is sent", true, true, kReason},
    {CommandKind::kFirmwareRestart, "firmware_restart", "restarts Klipper and its microcontrollers", true, true, kNone},
    {CommandKind::kHostRestart, "host_restart", "restarts Klipper", true, true, kNone},
    {CommandKind::kSetTemperature, "set_temperature", "sets the target of a heater", true, false, kTemperature},
    {CommandKind::kSetFan, "set_fan", "sets the speed of a fan", true, true, kFan},
    {CommandKind::kSetSpeedFactor, "set_speed_factor", "speeds all moves up or down", true, true, kFactor},
    {CommandKind::kSetFlowFactor, "set_flow_factor", "more or less filament", true, false, kFactor},
    {CommandKind::kHome, "home", "finds the axes' ends", true, true, kHome},
    {CommandKind::kMove, "move", "moves the head or the filament", true, true, kMove},
    {CommandKind::kGcode, "gcode", "runs G-code", true, true, kScript},
    {CommandKind::kMacro, "macro", "runs a macro of the machine", true, true, kMacro},
    {CommandKind::kExcludeObject, "exclude_object", "leaves an object of the print out", true, false, kObject},
    {CommandKind::kSetPower, "set_power", "switches a power device", true, true, kPower},
    {CommandKind::kSetPin, "set_pin", "sets an output", true, true, kPin},
    {CommandKind::kSetLight, "set_light", "sets a light", true, true, kLight},
    {CommandKind::kQueueAdd, "queue_add", "puts files at the end of the job queue", true, false, kQueueAdd},
    {CommandKind::kQueueStart, "queue_start", "begins with the job queue", true, false, kNone},
    {CommandKind::kQueuePause, "queue_pause", "takes nothing more from the job queue", true, false, kNone},
    {CommandKind::kQueueRemove, "queue_remove", "takes jobs out of the job queue", true, false, kQueueRemove},
    {CommandKind::kCoolDown, "cool_down", "turns all heaters off", true, true, kNone},
    {CommandKind::kLoadFilament, "load_filament", "runs the machine's macro for it", true, false, kNone},
    {CommandKind::kUnloadFilament, "unload_filament", "runs the machine's macro for it", true, false, kNone},
    {CommandKind::kPlateCleared, "plate_cleared", "says that the plate is free", true, false, kNone},
}};

const CommandText& text_of(CommandKind kind) { return kCommands[static_cast<size_t>(kind)]; }

// Reads the arguments one by one and keeps the first thing that is wrong.
class ArgumentReader {
 public:
  ArgumentReader(const CommandText& command, const Json* args) : command_(command) {
    if (args) read_fields(*args);
  }

  bool has(std::string_view name) const { return find(name) != nullptr; }

  double number(std::string_view name, double min, double max) {
    const Json* value = required(name, "a number");
    return value ? number_of(name, *value, min, max) : 0;
  }
  std::optional<double> number_if(std::string_view name, double min, double max) {
    const Json* value = find(name);
    return value ? std::optional(number_of(name, *value, min, max)) : std::nullopt;
  }
  double number_or(std::string_view name, double min, double max, double otherwise) {
    return number_if(name, min, max).value_or(otherwise);
  }
  bool flag(std::string_view name) {
    const Json* value = required(name, "true or false");
    return value && flag_of(name, *value);
  }
  bool flag_or_false(std::string_view name) {
    const Json* value = find(name);
    return value && flag_of(name, *value);
  }
  std::string name(std::string_view argument, NameUse use) {
    const Json* value = required(argument, expected_of(use));
    return value ? name_of_value(argument, *value, use) : std::string();
  }
  std::string name_or(std::string_view argument, NameUse use, std::string_view otherwise) {
    return has(argument) ? name(argument, use) : std::string(otherwise);
  }
  std::vector<std::string> names(std::string_view argument, NameUse use) {
    std::vector<std::string> names;
    const Json* value = required(argument, "a list of texts");
    if (!value) return names;
    simdjson::dom::array list;
    if (value->get_array().get(list) != simdjson::SUCCESS || list.size() == 0 || list.size() > kMaxQueueItems) {
      refuse(argument, *value, fmt::format("a list of 1 to {} texts", kMaxQueueItems));
      return names;
    }
    for (const Json item : list) names.push_back(name_of_value(argument, item, use));
    return names;
  }
  // Any text, up to so many bytes; line breaks and tabs where `lines`.
  std::string free_text(std::string_view argument, size_t max_bytes, bool lines) {
    const Json* value = find(argument);
    const auto text = value ? as_text(*value) : std::nullopt;
    if (value && !text) refuse(argument, *value, "a text");
    if (!text) return {};
    if (text->size() > max_bytes) {
      refuse_with(fmt::format("{} has {} bytes: at most {} are taken", argument, text->size(), max_bytes));
    } else if (const auto fault = text_fault(*text, lines)) {
      refuse_with(fmt::format("{} {}", argument, *fault));
    }
    return std::string(*text);
  }
  std::array<bool, kAxes> axes() {
    const Json* value = find("axes");
    if (!value) return {true, true, true};
    std::array<bool, kAxes> axes = {false, false, false};
    const auto text = as_text(*value);
    bool readable = text && !text->empty();
    for (const char c : text.value_or("")) {
      const size_t axis = c == 'x' ? 0 : c == 'y' ? 1 : c == 'z' ? 2 : kAxes;
      readable = readable && axis < kAxes && !axes[axis];
      if (readable) axes[axis] = true;
    }
    if (!readable) refuse("axes", *value, "some of xyz, each once");
    return axes;
  }
  std::vector<MacroParameter> parameters() {
    std::vector<MacroParameter> parameters;
    const Json* value = find("params");
    if (!value) return parameters;
    simdjson::dom::object object;
    if (value->get_object().get(object) != simdjson::SUCCESS || object.size() > kMaxMacroParameters) {
      refuse("params", *value, fmt::format("an object of at most {} texts and numbers", kMaxMacroParameters));
      return parameters;
    }
    for (const auto field : object) parameters.push_back(parameter(field.key, field.value));
    for (size_t i = 0; i < parameters.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (parameters[i].name == parameters[j].name)
          refuse_with(fmt::format("params has {} twice", parameters[i].name));
      }
    }
    return parameters;
  }
  void demand(bool holds, std::string_view text) {
    if (!holds) refuse_with(std::string(text));
  }

  const std::optional<std::string>& fault() const { return fault_; }

 private:
  struct Field {
    std::string_view name;
    Json value;
  };

  static std::string_view expected_of(NameUse use) {
    switch (use) {
      case NameUse::kDevice:
        return "a name of letters, digits and _-.+";
      case NameUse::kMacro:
        return "a name of letters of ASCII, digits and _";
      case NameUse::kQuoted:
        return "a name without ;\"'\\#*{}= and control characters";
      case NameUse::kFile:
        return "a path below the machine's folder of G-code, without ;\"\\ and control characters";
    }
    return "a name";
  }

  // Line breaks are "\n" or "\r\n": a lone "\r" would hide what stands before it in whoever's log.
  static std::optional<std::string> text_fault(std::string_view text, bool lines) {
    for (size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      const bool line_break = c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
      if ((c < ' ' || c == 0x7F) && !(lines && (line_break || c == '\t'))) {
        return fmt::format("has the control character U+{:04X} at byte {}", unsigned{c}, i);
      }
    }
    for (size_t at = 0; at < text.size();) {
      const size_t length = utf8_length(text.substr(at));
      if (length == 0) return fmt::format("is not UTF-8 at byte {}", at);
      at += length;
    }
    return std::nullopt;
  }

  void read_fields(const Json& args) {
    simdjson::dom::object object;
    if (args.get_object().get(object) != simdjson::SUCCESS) {
      return refuse_with(fmt::format("args is {}: expected an object", shown(to_text(args))));
    }
    for (const auto field : object) {
      if (!is_argument(field.key)) return refuse_unknown(field.key);
      if (has(field.key)) return refuse_with(fmt::format("{} is there twice", field.key));
      fields_[count_++] = {field.key, field.value};
    }
  }
  bool is_argument(std::string_view name) const {
    return std::any_of(command_.arguments.begin(), command_.arguments.end(),
                       [&](const ArgumentText& argument) { return argument.name == name; });
  }
  void refuse_unknown(std::string_view name) {
    std::string known;
    for (const ArgumentText& argument : command_.arguments) {
      if (!known.empty()) known += ", ";
      known += argument.name;
    }
    refuse_with(fmt::format("'{}' is no argument of {}: it takes {}", shown(name), command_.name,
                            known.empty() ? "none" : known));
  }
  const Json* find(std::string_view name) const {
    for (size_t i = 0; i < count_; ++i) {
      if (fields_[i].name == name) return &fields_[i].value;
    }
    return nullptr;
  }
  const Json* required(std::string_view name, std::string_view expected) {
    const Json* value = find(name);
    if (!value) refuse_with(fmt::format("{} is missing: expected {}", name, expected));
    return value;
  }
  double number_of(std::string_view name, const Json& value, double min, double max) {
    const auto number = as_number(value);
    if (number && std::isfinite(*number) && *number >= min && *number <= max) return *number;
    refuse(name, value, fmt::format("a number from {} to {}", min, max));
    return 0;
  }
  bool flag_of(std::string_view name, const Json& value) {
    const auto flag = as_flag(value);
    if (!flag) refuse(name, value, "true or false");
    return flag.value_or(false);
  }
  std::string name_of_value(std::string_view argument, const Json& value, NameUse use) {
    const auto text = as_text(value);
    const size_t max_bytes = use == NameUse::kFile ? kMaxFilenameBytes : kMaxNameBytes;
    if (!text) {
      refuse(argument, value, expected_of(use));
    } else if (text->size() > max_bytes) {
      refuse_with(fmt::format("{} has {} bytes: at most {} are taken", argument, text->size(), max_bytes));
    } else if (const auto fault = name_fault(use, *text)) {
      refuse_with(fmt::format("{} '{}' {}: expected {}", argument, shown(*text), *fault, expected_of(use)));
    }
    return std::string(text.value_or(""));
  }
  MacroParameter parameter(std::string_view name, const Json& value) {
    MacroParameter parameter{upper_case(name), {}, false};
    if (name.size() > kMaxNameBytes) {
      refuse_with(fmt::format("params has a name of {} bytes: at most {} are taken", name.size(), kMaxNameBytes));
    } else if (const auto fault = name_fault(NameUse::kMacro, name)) {
      refuse_with(fmt::format("params: '{}' {}: expected {}", shown(name), *fault, expected_of(NameUse::kMacro)));
    }
    const auto text = as_text(value);
    const auto number = as_number(value);
    if (text) {
      parameter.value = *text;
      if (text->size() > kMaxParameterBytes) {
        refuse_with(fmt::format("params: {} has {} bytes: at most {} are taken", parameter.name, text->size(),
                                kMaxParameterBytes));
      } else if (!text->empty()) {
        if (const auto fault = name_fault(NameUse::kQuoted, *text)) {
          refuse_with(fmt::format("params: {} '{}' {}: expected a text without ;\"'\\#*{{}}= and control characters",
                                  parameter.name, shown(*text), *fault));
        }
      }
    } else if (number && std::abs(*number) <= kMaxNumber) {
      parameter.value = to_text(value);
      parameter.is_number = true;
    } else {
      refuse_with(fmt::format("params: {} is {}: expected a text or a number within +-{}", parameter.name,
                              shown(to_text(value)), kMaxNumber));
    }
    return parameter;
  }
  void refuse(std::string_view name, const Json& value, std::string_view expected) {
    refuse_with(fmt::format("{} is {}: expected {}", name, shown(to_text(value)), expected));
  }
  void refuse_with(std::string text) {
    if (!fault_) fault_ = std::move(text);
  }

  const CommandText& command_;
  std::array<Field, 8> fields_;  // no command has more arguments
  size_t count_ = 0;
  std::optional<std::string> fault_;
};

MoveArguments read_move(ArgumentReader& in) {
  MoveArguments move;
  bool any = false;
  for (size_t axis = 0; axis < kAxes; ++axis) {
    move.axes[axis] = in.number_if(kAxisNames[axis], -kMaxNumber, kMaxNumber);
    any = any || move.axes[axis];
  }
  move.e = in.number_if("e", -kMaxNumber, kMaxNumber);
  move.feedrate = in.number_if("feedrate", 0, kMaxNumber);
  move.relative = in.flag_or_false("relative");
  in.demand(any || move.e, "x, y, z and e are missing: expected at least one of them");
  return move;
}

LightArguments read_light(ArgumentReader& in) {
  in.demand(in.has("red") || in.has("green") || in.has("blue") || in.has("white"),
            "red, green, blue and white are missing: expected at least one of them");
  return {in.name("light", NameUse::kDevice), in.number_or("red", 0, 1, 0), in.number_or("green", 0, 1, 0),
          in.number_or("blue", 0, 1, 0), in.number_or("white", 0, 1, 0)};
}

GcodeArguments read_gcode(ArgumentReader& in) {
  GcodeArguments gcode{in.free_text("script", kMaxScriptBytes, true)};
  in.demand(gcode.script.find_first_not_of(" \t\r\n") != std::string::npos,
            "script is missing or blank: expected lines of G-code");
  return gcode;
}

MacroArguments read_macro(ArgumentReader& in) {
  return {upper_case(in.name("name", NameUse::kMacro)), in.parameters()};
}

QueueRemoveArguments read_queue_remove(ArgumentReader& in) {
  QueueRemoveArguments remove;
  remove.all = in.flag_or_false("all");
  if (in.has("job_ids")) remove.job_ids = in.names("job_ids", NameUse::kDevice);
  in.demand(remove.all == remove.job_ids.empty(), "expected job_ids or all, one of them");
  return remove;
}

Arguments read_arguments(CommandKind kind, ArgumentReader& in) {
  switch (kind) {
    case CommandKind::kStart:
      return StartArguments{in.name("filename", NameUse::kFile)};
    case CommandKind::kEmergencyStop:
    case CommandKind::kResetEmergency:
      return ReasonArguments{in.free_text("reason", kMaxReasonBytes, false)};
    case CommandKind::kSetTemperature:
      return TemperatureArguments{in.name("heater", NameUse::kDevice), in.number("target", 0, kMaxTarget)};
    case CommandKind::kSetFan:
      return FanArguments{in.name_or("fan", NameUse::kDevice, "fan"), in.number("speed", 0, 1)};
    case CommandKind::kSetSpeedFactor:
    case CommandKind::kSetFlowFactor:
      return FactorArguments{in.number("factor", 0.01, 10)};
    case CommandKind::kHome:
      return HomeArguments{in.axes()};
    case CommandKind::kMove:
      return read_move(in);
    case CommandKind::kGcode:
      return read_gcode(in);
    case CommandKind::kMacro:
      return read_macro(in);
    case CommandKind::kExcludeObject:
      return ExcludeObjectArguments{in.name("name", NameUse::kQuoted)};
    case CommandKind::kSetPower:
      return PowerArguments{in.name("device", NameUse::kQuoted), in.flag("on")};
    case CommandKind::kSetPin:
      return PinArguments{in.name("pin", NameUse::kDevice), in.number("value", 0, 1)};
    case CommandKind::kSetLight:
      return read_light(in);
    case CommandKind::kQueueAdd:
      return QueueAddArguments{in.names("filenames", NameUse::kFile)};
    case CommandKind::kQueueRemove:
      return read_queue_remove(in);
    case CommandKind::kPause:
    case CommandKind::kResume:
    case CommandKind::kCancel:
    case CommandKind::kFirmwareRestart:
    case CommandKind::kHostRestart:
    case CommandKind::kQueueStart:
    case CommandKind::kQueuePause:
    case CommandKind::kCoolDown:
    case CommandKind::kLoadFilament:
    case CommandKind::kUnloadFilament:
    case CommandKind::kPlateCleared:
      return NoArguments{};
  }
  return NoArguments{};
}

Result<Command> parse(std::string_view name, const Json* args) {
  const auto kind = command_kind_from(name);
  if (!kind) return make_error(Errc::kNotFound, fmt::format("'{}' is no command", shown(name)));
  ArgumentReader in(text_of(*kind), args);
  Command command{*kind, NoArguments{}};
  if (!in.fault()) command.arguments = read_arguments(*kind, in);
  if (in.fault()) return make_error(Errc::kInvalidArgument, *in.fault());
  return command;
}

void write_list(JsonWriter& json, std::string_view name, const std::vector<std::string>& texts) {
  json.key(name).array();
  for (const std::string& text : texts) json.value(text);
  json.end();
}

// One overload for each type of arguments, within an open object.
struct ArgumentWriter {
  JsonWriter& json;

  void operator()(const NoArguments&) const {}
  void operator()(const StartArguments& start) const { json.field("filename", start.filename); }
  void operator()(const ReasonArguments& reason) const {
    if (!reason.reason.empty()) json.field("reason", reason.reason);
  }
  void operator()(const TemperatureArguments& set) const {
    json.field("heater", set.heater).field("target", set.target);
  }
  void operator()(const FanArguments& set) const { json.field("fan", set.fan).field("speed", set.speed); }
  void operator()(const FactorArguments& set) const { json.field("factor", set.factor); }
  void operator()(const HomeArguments& home) const {
    std::string axes;
    for (size_t axis = 0; axis < kAxes; ++axis) {
      if (home.axes[axis]) axes += kAxisNames[axis];
    }
    json.field("axes", axes);
  }
  void operator()(const MoveArguments& move) const {
    for (size_t axis = 0; axis < kAxes; ++axis) {
      if (move.axes[axis]) json.field(kAxisNames[axis], *move.axes[axis]);
    }
    if (move.e) json.field("e", *move.e);
    if (move.feedrate) json.field("feedrate", *move.feedrate);
    json.field("relative", move.relative);
  }
  void operator()(const GcodeArguments& gcode) const { json.field("script", gcode.script); }
  void operator()(const MacroArguments& macro) const {
    json.field("name", macro.name).key("params").object();
    for (const MacroParameter& parameter : macro.parameters) {
      json.key(parameter.name);
      if (parameter.is_number) {
        json.raw(parameter.value);
      } else {
        json.value(parameter.value);
      }
    }
    json.end();
  }
  void operator()(const ExcludeObjectArguments& exclude) const { json.field("name", exclude.name); }
  void operator()(const PowerArguments& power) const { json.field("device", power.device).field("on", power.on); }
  void operator()(const PinArguments& set) const { json.field("pin", set.pin).field("value", set.value); }
  void operator()(const LightArguments& set) const {
    json.field("light", set.light).field("red", set.red).field("green", set.green);
    json.field("blue", set.blue).field("white", set.white);
  }
  void operator()(const QueueAddArguments& add) const { write_list(json, "filenames", add.filenames); }
  void operator()(const QueueRemoveArguments& remove) const {
    if (remove.all) {
      json.field("all", true);
    } else {
      write_list(json, "job_ids", remove.job_ids);
    }
  }
};

}  // namespace

std::string_view name_of(MachineKind kind) { return kind == MachineKind::kPrinter ? "printer" : "pick_and_place"; }

std::optional<MachineKind> machine_kind_from(std::string_view name) {
  for (const MachineKind kind : {MachineKind::kPrinter, MachineKind::kPickAndPlace}) {
    if (name_of(kind) == name) return kind;
  }
  return std::nullopt;
}

std::span<const CommandText> command_texts() { return kCommands; }

std::string_view name_of(CommandKind kind) { return text_of(kind).name; }

std::optional<CommandKind> command_kind_from(std::string_view name) {
  for (const CommandText& command : kCommands) {
    if (command.name == name) return command.kind;
  }
  return std::nullopt;
}

bool can_do(MachineKind machine, CommandKind command) {
  const CommandText& text = text_of(command);
  return machine == MachineKind::kPrinter ? text.by_printer : text.by_pick_and_place;
}

Result<Command> parse_command(std::string_view name, const Json& args) { return parse(name, &args); }

Result<Command> parse_command(std::string_view name) { return parse(name, nullptr); }

std::string args_json(const Command& command) {
  JsonWriter json;
  json.object();
  std::visit(ArgumentWriter{json}, command.arguments);
  json.end();
  return json.take();
}

}  // namespace millrace
