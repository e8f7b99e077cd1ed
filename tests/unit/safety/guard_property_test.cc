// SPDX-License-Identifier: Apache-2.0
// Whatever is asked in whatever order: what the guard lets through keeps a machine within its limits.  The machine is a
// model that does what Klipper does with coordinates, offsets, modes and targets; it reads G-code on its own.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "bus/random.h"
#include "machine_fixture.h"
#include "safety/names.h"

namespace millrace {
namespace {

using namespace testing;

constexpr double kTolerance = 1e-5;

// klippy/extras/gcode_move.py in short.
class ModelMachine {
 public:
  void run(const Command& command) {
    switch (command.kind) {
      case CommandKind::kSetTemperature:
        targets[command.as<TemperatureArguments>().heater].insert(command.as<TemperatureArguments>().target);
        return;
      case CommandKind::kSetFan:
        fans.insert(command.as<FanArguments>().speed);
        return;
      case CommandKind::kSetPin:
        pins.insert(command.as<PinArguments>().value);
        return;
      case CommandKind::kSetSpeedFactor:
        factor = command.as<FactorArguments>().factor;
        return note_velocity();
      case CommandKind::kHome:
        return home(command.as<HomeArguments>().axes);
      case CommandKind::kMove:
        return typed_move(command.as<MoveArguments>());
      case CommandKind::kGcode:
        return run_text(command.as<GcodeArguments>().script);
      default:
        return;
    }
  }

  std::array<double, 3> position = {100, 100, 50};
  std::array<double, 3> base = {0, 0, 0};
  std::array<double, 3> origin = {0, 0, 0};
  std::array<bool, 3> homed = {true, true, true};
  bool absolute = true;
  double feedrate = 1500;
  double factor = 1;
  std::map<std::string, std::set<double>> targets;  // all that there ever were
  std::set<double> fans;
  std::set<double> pins;
  std::array<double, 3> lowest = {100, 100, 50};
  std::array<double, 3> highest = {100, 100, 50};
  double fastest = 0;
  double fastest_acceleration = 0;
  bool moved_unhomed = false;

 private:
  using Words = std::map<std::string, std::string>;

  static double number(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

  // Classic lines by letters, others by NAME=VALUE; the last of two words counts, as it does in Klipper.
  static Words words_of(const std::string& line, std::string& command) {
    const std::string upper = upper_case(line.substr(0, line.find(';')));
    size_t end = upper.find_first_of(" \t");
    const bool classic = upper.size() > 1 && std::isdigit(static_cast<unsigned char>(upper[1])) != 0;
    if (classic) {
      end = 1;
      while (end < upper.size() && std::isdigit(static_cast<unsigned char>(upper[end])) != 0) ++end;
    }
    command = upper.substr(0, end);
    Words words;
    std::string rest = end < upper.size() ? (classic ? upper.substr(end) : line.substr(end)) : "";
    if (!classic) {
      std::istringstream in(rest);
      for (std::string word; in >> word;) {
        const size_t equals = word.find('=');
        if (equals != std::string::npos) words[upper_case(word.substr(0, equals))] = word.substr(equals + 1);
      }
      return words;
    }
    for (size_t at = 0; at < rest.size(); ++at) {
      if (std::isalpha(static_cast<unsigned char>(rest[at])) == 0) continue;
      size_t next = at + 1;
      while (next < rest.size() && std::isalpha(static_cast<unsigned char>(rest[next])) == 0) ++next;
      words[std::string(1, rest[at])] = rest.substr(at + 1, next - at - 1);
    }
    return words;
  }

  void run_text(const std::string& script) {
    std::istringstream in(script);
    for (std::string line; std::getline(in, line);) run_line(line);
  }

  void run_line(const std::string& line) {
    std::string command;
    const Words words = words_of(line, command);
    const auto get = [&](const char* key) -> std::optional<double> {
      const auto found = words.find(key);
      return found == words.end() ? std::nullopt : std::optional(number(found->second));
    };
    constexpr std::array<const char*, 3> axes = {"X", "Y", "Z"};
    constexpr std::array<const char*, 3> adjusts = {"X_ADJUST", "Y_ADJUST", "Z_ADJUST"};
    if (command == "G0" || command == "G1") {
      if (const auto f = get("F")) feedrate = *f;
      for (size_t axis = 0; axis < 3; ++axis) {
        if (const auto value = get(axes[axis])) go(axis, absolute ? base[axis] + *value : position[axis] + *value);
      }
      note_velocity();
    } else if (command == "G2" || command == "G3") {
      arc(get("X"), get("Y"), get("I").value_or(0), get("J").value_or(0), command == "G2");
    } else if (command == "G28") {
      std::array<bool, 3> which{};
      for (size_t axis = 0; axis < 3; ++axis) which[axis] = words.count(axes[axis]) != 0;
      home(which[0] || which[1] || which[2] ? which : std::array<bool, 3>{true, true, true});
    } else if (command == "G90" || command == "G91") {
      absolute = command == "G90";
    } else if (command == "G92") {
      bool any = false;
      for (size_t axis = 0; axis < 3; ++axis) {
        if (const auto value = get(axes[axis])) base[axis] = position[axis] - *value, any = true;
      }
      if (!any && !get("E")) base = position;
    } else if (command == "SET_GCODE_OFFSET") {
      for (size_t axis = 0; axis < 3; ++axis) {
        auto wanted = get(axes[axis]);
        if (const auto added = get(adjusts[axis])) wanted = origin[axis] + *added;
        if (!wanted) continue;
        const double delta = *wanted - origin[axis];
        origin[axis] = *wanted;
        base[axis] += delta;
        if (get("MOVE").value_or(0) != 0) go(axis, position[axis] + delta);
      }
    } else if (command == "M84") {
      homed = {};
    } else if (command == "M104" || command == "M109") {
      targets["extruder"].insert(get("S").value_or(0));
    } else if (command == "M140" || command == "M190") {
      targets["heater_bed"].insert(get("S").value_or(0));
    } else if (command == "SET_HEATER_TEMPERATURE") {
      targets[words.at("HEATER")].insert(get("TARGET").value_or(0));
    } else if (command == "M106") {
      fans.insert(get("S").value_or(255) / 255);
    } else if (command == "SET_PIN") {
      pins.insert(get("VALUE").value_or(0));
    } else if (command == "M220") {
      factor = get("S").value_or(100) / 100;
      note_velocity();
    } else if (command == "M204") {
      fastest_acceleration = std::max(fastest_acceleration, get("S").value_or(0));
    } else if (command == "SET_VELOCITY_LIMIT") {
      fastest_acceleration = std::max(fastest_acceleration, get("ACCEL").value_or(0));
    }
  }

  void typed_move(const MoveArguments& move) {
    const double before = feedrate;  // SAVE_GCODE_STATE and RESTORE_GCODE_STATE stand around it
    if (move.feedrate) feedrate = *move.feedrate;
    for (size_t axis = 0; axis < 3; ++axis) {
      if (!move.axes[axis]) continue;
      go(axis, (move.relative ? position[axis] : base[axis]) + *move.axes[axis]);
    }
    note_velocity();
    feedrate = before;
  }

  void go(size_t axis, double target) {
    moved_unhomed = moved_unhomed || !homed[axis];
    position[axis] = target;
    lowest[axis] = std::min(lowest[axis], target);
    highest[axis] = std::max(highest[axis], target);
  }

  void arc(std::optional<double> x, std::optional<double> y, double i, double j, bool clockwise) {
    const double centre_x = position[0] + i;
    const double centre_y = position[1] + j;
    const double radius = std::hypot(i, j);
    const double end_x = x ? (absolute ? base[0] + *x : position[0] + *x) : position[0];
    const double end_y = y ? (absolute ? base[1] + *y : position[1] + *y) : position[1];
    const double begin = std::atan2(-j, -i);
    double sweep = std::atan2(end_y - centre_y, end_x - centre_x) - begin;
    if (clockwise && sweep >= 0) sweep -= 2 * M_PI;
    if (!clockwise && sweep <= 0) sweep += 2 * M_PI;
    for (int step = 1; step < 32; ++step) {
      const double angle = begin + sweep * step / 32;
      go(0, centre_x + radius * std::cos(angle));
      go(1, centre_y + radius * std::sin(angle));
    }
    go(0, end_x);
    go(1, end_y);
    note_velocity();
  }

  void home(const std::array<bool, 3>& which) {
    for (size_t axis = 0; axis < 3; ++axis) {
      if (!which[axis]) continue;
      homed[axis] = true;
      position[axis] = 0;
      lowest[axis] = std::min(lowest[axis], 0.0);
      base[axis] = origin[axis];
    }
  }

  void note_velocity() { fastest = std::max(fastest, feedrate / 60 * factor); }
};

MachineSnapshot seen(const ModelMachine& model) {
  auto machine = ready_printer();
  machine.homed = model.homed;
  machine.absolute = model.absolute;
  machine.feedrate = model.feedrate;
  machine.speed_factor = model.factor;
  for (size_t axis = 0; axis < 3; ++axis) {
    machine.position[axis] = model.position[axis];
    machine.gcode_offset[axis] = model.base[axis];
    machine.homing_origin[axis] = model.origin[axis];
  }
  return machine;
}

class Asker {
 public:
  explicit Asker(uint64_t seed) : random_(seed) {}

  Command any() {
    switch (below(9)) {
      case 0:
        return {CommandKind::kSetTemperature,
                TemperatureArguments{pick({"extruder", "heater_bed", "chamber", "dryer"}), value()}};
      case 1:
        return {CommandKind::kSetFan, FanArguments{"fan", value() / 100}};
      case 2:
        return {CommandKind::kSetPin, PinArguments{"caselight", value() / 100}};
      case 3:
        return {CommandKind::kSetSpeedFactor, FactorArguments{random_.between(0, 12)}};
      case 4:
        return {CommandKind::kHome, HomeArguments{{below(2) == 0, below(2) == 0, true}}};
      case 5:
      case 6:
        return {CommandKind::kMove, move()};
      default:
        return gcode(script());
    }
  }

 private:
  uint64_t below(uint64_t end) { return random_.next() % end; }
  std::string pick(std::initializer_list<const char*> from) { return *(from.begin() + below(from.size())); }

  // Around the limits, and far beyond them.
  double value() {
    switch (below(8)) {
      case 0:
        return 0;
      case 1:
        return 300;
      case 2:
        return -random_.between(0, 30);
      case 3:
        return 1e7;
      default:
        return random_.between(-20, 420);
    }
  }

  MoveArguments move() {
    MoveArguments move;
    for (auto& axis : move.axes) {
      if (below(2) == 0) axis = value();
    }
    if (below(3) == 0) move.feedrate = random_.between(-10, 40000);
    move.relative = below(2) == 0;
    return move;
  }

  std::string number() { return fmt::format("{:.3f}", value()); }

  std::string line() {
    switch (below(20)) {
      case 0:
        return "G90";
      case 1:
        return "G91";
      case 2:
        return below(3) == 0 ? "G28" : "g28 " + pick({"X", "Y0", "Z X", "x y"});
      case 3:
        return "G92 " + pick({"", "E0", "X", "Y", "Z"}) + (below(2) == 0 ? number() : "");
      case 4:
        return "SET_GCODE_OFFSET " + pick({"X=", "Y=", "Z=", "Z_ADJUST=", "x_adjust="}) + number() +
               pick({"", " MOVE=1", " MOVE=0"});
      case 5:
        return pick({"M104 S", "m109s", "M140 S", "M190 S", "SET_HEATER_TEMPERATURE HEATER=extruder TARGET="}) +
               number();
      case 6:
        return "M106 S" + number();
      case 7:
        return "SET_PIN PIN=caselight VALUE=" + fmt::format("{:.2f}", random_.between(-0.5, 1.5));
      case 8:
        return "M220 S" + fmt::format("{:.0f}", random_.between(-10, 400));
      case 9:
        return "M204 S" + fmt::format("{:.0f}", random_.between(0, 6000));
      case 10:
        return "SET_VELOCITY_LIMIT ACCEL=" + fmt::format("{:.0f}", random_.between(0, 6000));
      case 11:
        return pick({"M84", "; M104 S999", "M117 G1 X999", "", "M105"});
      case 12:
      case 13:
        return pick({"G2", "G3"}) + " X" + number() + " Y" + number() +
               fmt::format(" I{:.2f} J{:.2f}", random_.between(-90, 90), random_.between(-90, 90));
      default:
        return pick({"G1 ", "g0", "G1", "N5 G1 "}) + pick({"X", "Y", "Z", "x", "X10 Y", "Z5X"}) + number() +
               pick({"", " F3000", " F", "\tF600", " X400", " ;X900", "(X900)"}) + pick({"", "\r"});
    }
  }

  std::string script() {
    std::string script;
    for (uint64_t lines = 1 + below(8); lines > 0; --lines) script += line() + "\n";
    return script;
  }

  SeededRandom random_;
};

// The model reads no line numbers: "N5 " is taken off for it, as Klipper does.
Command without_line_numbers(Command command) {
  if (command.kind != CommandKind::kGcode) return command;
  std::string script = command.as<GcodeArguments>().script;
  for (size_t at; (at = script.find("N5 ")) != std::string::npos;) script.erase(at, 3);
  return gcode(std::move(script));
}

void expect_within(const ModelMachine& model, const Limits& limits) {
  for (size_t axis = 0; axis < 3; ++axis) {
    ASSERT_GE(model.lowest[axis], limits.axes[axis].min - kTolerance);
    ASSERT_LE(model.highest[axis], limits.axes[axis].max + kTolerance);
  }
  ASSERT_LE(model.fastest, limits.velocity_max + kTolerance);
  ASSERT_LE(model.fastest_acceleration, limits.acceleration_max);
  ASSERT_FALSE(model.moved_unhomed);
  for (const auto& [heater, targets] : model.targets) {
    ASSERT_GE(*targets.begin(), 0) << heater;
    ASSERT_LE(*targets.rbegin(), heater == "extruder" ? 250 : heater == "heater_bed" ? 120 : 60) << heater;
  }
  for (const double fan : model.fans) ASSERT_TRUE(limits.fan.holds(fan)) << fan;
  for (const double pin : model.pins) ASSERT_TRUE(limits.pwm.holds(pin)) << pin;
}

uint64_t chosen_seed() {
  const char* seed = std::getenv("MILLRACE_TEST_SEED");
  return seed ? std::strtoull(seed, nullptr, 10) : random_seed();
}

TEST(GuardPropertyTest, NoSequenceOfCommandsMakesAMachineLeaveItsLimits) {
  const uint64_t seed = chosen_seed();
  SCOPED_TRACE(fmt::format("MILLRACE_TEST_SEED={}", seed));
  fmt::print("MILLRACE_TEST_SEED={}\n", seed);
  const Limits limits;
  size_t passed = 0;
  size_t refused = 0;
  for (uint64_t machine = 0; machine < 200; ++machine) {
    Asker asker(seed + machine);
    ModelMachine model;
    for (int step = 0; step < 200; ++step) {
      const Command command = asker.any();
      // Nobody holds administer here; without the scope gcode every line has to be judged.
      const auto refusals = judge(command, by(kExpert), seen(model), limits);
      if (!refusals.empty()) {
        ++refused;
        continue;
      }
      ++passed;
      model.run(without_line_numbers(command));
      SCOPED_TRACE(fmt::format("machine {}, step {}: {} {}", machine, step, name_of(command.kind), args_json(command)));
      expect_within(model, limits);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(passed, 3000u);  // else it shows nothing
  EXPECT_GT(refused, 3000u);
}

// The model must be able to leave the limits, else the test above could not fail.
TEST(GuardPropertyTest, WithoutTheGuardTheModelLeavesThem) {
  Asker asker(1);
  ModelMachine model;
  for (int step = 0; step < 2000; ++step) model.run(without_line_numbers(asker.any()));
  EXPECT_GT(model.highest[0], 300);
  EXPECT_LT(model.lowest[2], 0);
  EXPECT_GT(*model.targets["extruder"].rbegin(), 250);
  EXPECT_GT(model.fastest, 500);
  EXPECT_GT(model.fastest_acceleration, 3000);
  EXPECT_TRUE(model.moved_unhomed);
}

}  // namespace
}  // namespace millrace
