// SPDX-License-Identifier: Apache-2.0
// What may be asked of a machine: every command of docs/commands.md with its arguments, checked.  A Command that
// parse_command() gave can be written into G-code: its names hold no control character, quote, ';', or letter that only
// looks like another, and its numbers are finite.  Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bus/json_reader.h"
#include "bus/result.h"

namespace millrace {

enum class CommandKind : uint8_t {
  kStart,
  kPause,
  kResume,
  kCancel,
  kEmergencyStop,
  kResetEmergency,
  kFirmwareRestart,
  kHostRestart,
  kSetTemperature,
  kSetFan,
  kSetSpeedFactor,
  kSetFlowFactor,
  kHome,
  kMove,
  kGcode,
  kMacro,
  kExcludeObject,
  kSetPower,
  kSetPin,
  kSetLight,
  kQueueAdd,
  kQueueStart,
  kQueuePause,
  kQueueRemove,
  kCoolDown,
  kLoadFilament,
  kUnloadFilament,
  kPlateCleared,
};
constexpr size_t kCommandKinds = 28;

enum class MachineKind : uint8_t { kPrinter, kPickAndPlace };
std::string_view name_of(MachineKind kind);  // "printer", "pick_and_place"
std::optional<MachineKind> machine_kind_from(std::string_view name);

constexpr size_t kMaxNameBytes = 128;       // of a heater, fan, pin, light, macro, device or object
constexpr size_t kMaxFilenameBytes = 1024;  // with its folders
constexpr size_t kMaxReasonBytes = 500;
constexpr size_t kMaxScriptBytes = 64u << 10;
constexpr size_t kMaxQueueItems = 100;  // of one command
constexpr size_t kMaxMacroParameters = 32;
constexpr size_t kMaxParameterBytes = 256;
constexpr double kMaxNumber = 1e9;  // nothing that a machine is asked for is larger

// The arguments.  Lengths in mm, feedrates in mm/min, temperatures in degrees Celsius.
struct NoArguments {};
struct StartArguments {
  std::string filename;  // relative to the machine's folder of G-code, "parts/benchy.gcode"
};
struct ReasonArguments {
  std::string reason;  // may be empty
};
struct TemperatureArguments {
  std::string heater;
  double target = 0;
};
struct FanArguments {
  std::string fan = "fan";
  double speed = 0;
};
struct FactorArguments {
  double factor = 1;
};
struct HomeArguments {
  std::array<bool, 3> axes = {true, true, true};  // x, y, z
};
struct MoveArguments {
  std::array<std::optional<double>, 3> axes;  // x, y, z
  std::optional<double> e;                    // always a distance
  std::optional<double> feedrate;
  bool relative = false;
};
struct GcodeArguments {
  std::string script;
};
struct MacroParameter {
  std::string name;   // upper case
  std::string value;  // a number as its JSON text
  bool is_number = false;
};
struct MacroArguments {
  std::string name;  // upper case
  std::vector<MacroParameter> parameters;
};
struct ExcludeObjectArguments {
  std::string name;
};
struct PowerArguments {
  std::string device;
  bool on = false;
};
struct PinArguments {
  std::string pin;
  double value = 0;
};
struct LightArguments {
  std::string light;
  double red = 0;
  double green = 0;
  double blue = 0;
  double white = 0;
};
struct QueueAddArguments {
  std::vector<std::string> filenames;
};
struct QueueRemoveArguments {
  std::vector<std::string> job_ids;  // empty with `all`
  bool all = false;
};

using Arguments =
    std::variant<NoArguments, StartArguments, ReasonArguments, TemperatureArguments, FanArguments, FactorArguments,
                 HomeArguments, MoveArguments, GcodeArguments, MacroArguments, ExcludeObjectArguments, PowerArguments,
                 PinArguments, LightArguments, QueueAddArguments, QueueRemoveArguments>;

struct Command {
  CommandKind kind = CommandKind::kPause;
  Arguments arguments;  // of the type that belongs to the kind

  template <class T>
  const T& as() const {
    return std::get<T>(arguments);
  }
};

// One command for documents and lists.
struct ArgumentText {
  std::string_view name;
  std::string_view type;  // "text", "number", "flag", "list of texts", "object"
  bool required;
  std::string_view text;  // unit, range, default
};
struct CommandText {
  CommandKind kind;
  std::string_view name;
  std::string_view text;
  bool by_printer;
  bool by_pick_and_place;
  std::span<const ArgumentText> arguments;
};
// All of them, in the order of CommandKind.
std::span<const CommandText> command_texts();

std::string_view name_of(CommandKind kind);  // "set_temperature"
std::optional<CommandKind> command_kind_from(std::string_view name);
// Whether machines of that kind take the command at all.
bool can_do(MachineKind machine, CommandKind command);

// `args` is a JSON object.  kNotFound for a name that is no command; kInvalidArgument for an argument that is missing,
// unknown, of another type, out of what any machine can do, or not safe to write into G-code.  The text names the
// argument, its value and what would be right.
Result<Command> parse_command(std::string_view name, const Json& args);
// The same for a command without arguments.
Result<Command> parse_command(std::string_view name);

// The arguments as they were understood, defaults included; parse_command() reads it as the same command.
std::string args_json(const Command& command);

}  // namespace millrace
