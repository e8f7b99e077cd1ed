// SPDX-License-Identifier: Apache-2.0
// Whatever is asked in whatever order, through the desk and its guard to a simulated Klipper whose status comes late:
// it never leaves the limits.  The machine reads G-code on its own and keeps no limits but Klipper's.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>

#include "bus/metrics.h"
#include "bus/random.h"
#include "producers/moonraker/moonraker_adapter.h"
#include "producers/simulator/answers.h"
#include "producers/simulator/machine.h"
#include "producers/simulator/status.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using std::chrono::milliseconds;

constexpr uint64_t kSeeds = 200;
constexpr int kCommands = 30;
constexpr double kTolerance = 1e-3;  // mm
constexpr double kExtruderMax = 240;
constexpr double kBedMax = 90;
constexpr double kVelocityMax = 150;
constexpr double kAccelerationMax = 2500;
constexpr double kShareMax = 0.8;
constexpr std::array<Range, 3> kAxes = {Range{0, 220}, Range{0, 200}, Range{0, 150}};

MachineSafety narrow_limits() {
  Limits limits;
  limits.extruder_temp_max = kExtruderMax;
  limits.bed_temp_max = kBedMax;
  limits.axes = kAxes;
  limits.velocity_max = kVelocityMax;
  limits.acceleration_max = kAccelerationMax;
  limits.pwm.max = limits.fan.max = kShareMax;
  limits.require_plate_cleared = false;
  MachineSafety safety;
  safety.limits = to_limit_set(limits);
  return safety;
}

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Commands of every kind, with values at, below, above and far beyond each limit.
class Asker {
 public:
  explicit Asker(Random& random) : random_(random) {}

  struct Asked {
    std::string command;
    std::string args;
  };

  std::string file;  // one that the machine has

  Asked any() {
    switch (below(16)) {
      case 0:
        return {"set_temperature", fmt::format(R"({{"heater":"{}","target":{}}})",
                                               pick({"extruder", "heater_bed", "Extruder", "chamber"}), heat())};
      case 1:
        return {"set_fan", fmt::format(R"({{"speed":{}}})", share())};
      case 2:
        return {"set_pin",
                fmt::format(R"({{"pin":"{}","value":{}}})", pick({"caselight", "caselight\\nM112"}), share())};
      case 3:
        return {"set_speed_factor",
                fmt::format(R"({{"factor":{}}})", pick({"0.01", "1", "2", "9.99", "10", "10.1", "-1"}))};
      case 4:
        return {"home", pick({"{}", R"({"axes":"x"})", R"({"axes":"xyz"})", R"({"axes":"zy"})"})};
      case 5:
      case 6:
      case 7:
        return {"move", move()};
      case 8:
        return {pick({"cool_down", "pause", "resume", "cancel", "load_filament", "unload_filament", "plate_cleared",
                      "set_flow_factor", "queue_start", "host_restart"}),
                "{}"};
      case 9:
        return {"macro", R"({"name":")" + pick({"PARK", "LOAD_FILAMENT", "G1"}) + R"("})"};
      case 10:
        if (below(4) == 0) return {"start", one_argument("filename", below(4) == 0 ? "none.gcode" : file)};
        return {"gcode", script("G28")};
      default:
        return {"gcode", script(lines())};
    }
  }

 private:
  uint64_t below(uint64_t end) { return random_.next() % end; }
  std::string pick(std::initializer_list<const char*> from) { return *(from.begin() + below(from.size())); }

  std::string heat() {
    return pick({"0", "1", "90", "90.01", "120", "200", "239.99", "240", "240.01", "300", "-1", "1e9"});
  }
  std::string share() { return pick({"0", "0.5", "0.8", "0.81", "1", "1.01", "-0.01", "1e5"}); }
  std::string place() {
    if (below(3) == 0) return pick({"0", "-0.01", "150", "150.01", "200", "200.01", "220", "220.01", "1e9", "-1e9"});
    return fmt::format("{:.2f}", random_.between(-60, 240));
  }
  std::string step() { return fmt::format("{:.2f}", random_.between(-120, 120)); }
  std::string feed() { return pick({"600", "3000", "8999", "9000", "9001", "30000", "30001", "0", "-5", "1e12"}); }

  std::string move() {
    const bool relative = below(2) == 0;
    std::string args = fmt::format(R"({{"relative":{})", relative);
    for (const char* axis : {"x", "y", "z"}) {
      if (below(2) == 0) args += fmt::format(R"(,"{}":{})", axis, relative ? step() : place());
    }
    if (below(8) == 0) args += R"(,"e":5)";
    if (below(2) == 0) args += R"(,"feedrate":)" + feed();
    return args + "}";
  }

  static std::string one_argument(std::string_view argument, const std::string& text) {
    JsonWriter json;
    json.object().field(argument, text).end();
    return json.take();
  }
  static std::string script(const std::string& text) { return one_argument("script", text); }

  std::string lines() {
    std::string text;
    for (uint64_t left = 1 + below(6); left > 0; --left)
      text += line() + (left > 1 ? pick({"\n", "\r\n", "\n\n"}) : "");
    return text;
  }

  std::string line() {
    switch (below(30)) {
      case 0:
        return pick({"G90", "G91", "g91", "N3 G91*17"});
      case 1:
        return pick({"M82", "M83"});
      case 2:
        return pick({"G28", "G28 X", "G28 Y0 Z", "g28z"});
      case 3:
        return "G92 " + pick({"", "E0", "X", "Y", "Z"}) + (below(2) == 0 ? place() : "");
      case 4:
        return "SET_GCODE_OFFSET " + pick({"X=", "Y=", "Z=", "Z_ADJUST=", "x_adjust=", "Y_ADJUST="}) + place() +
               pick({"", " MOVE=1", " MOVE=1 MOVE_SPEED=200", " MOVE=0"});
      case 5:
        return pick({"M104 S", "M104S", "m104 s", below(6) == 0 ? "m109s" : "M104  S", "M104 T0 S", "M 104 S",
                     "SET_HEATER_TEMPERATURE HEATER=extruder TARGET="}) +
               heat();
      case 6:
        return pick({"M140 S", below(6) == 0 ? "M190 S" : "m140s",
                     "SET_HEATER_TEMPERATURE HEATER=heater_bed TARGET=", "M140 S0 S"}) +
               heat();
      case 7:
        return "M106 S" + pick({"0", "204", "205", "255", "256", "nan", "-1"});
      case 8:
        return "SET_PIN PIN=caselight VALUE=" + share();
      case 9:
        return "M220 S" + pick({"100", "50", "200", "1000", "0", "-1", "nan", "1001"});
      case 10:
        return pick({"M204 S", "M204 P2500 T", "SET_VELOCITY_LIMIT ACCEL=", "SET_VELOCITY_LIMIT VELOCITY=100 ACCEL="}) +
               pick({"2500", "2501", "100", "99999", "0", "nan"});
      case 11:
        return "SET_VELOCITY_LIMIT VELOCITY=" + pick({"150", "151", "300", "1000", "inf"});
      case 12:
        return "SAVE_GCODE_STATE" + pick({"", " NAME=a", " NAME=b"});
      case 13:
        return "RESTORE_GCODE_STATE" + pick({"", " NAME=a", " NAME=b"}) +
               pick({"", " MOVE=1", " MOVE=1 MOVE_SPEED=120", " MOVE=1 MOVE_SPEED=290"});
      case 14:
        return pick({"SET_KINEMATIC_POSITION X=0 Y=0 Z=0", "SET_KINEMATIC_POSITION X=200",
                     "FORCE_MOVE STEPPER=stepper_x DISTANCE=500 VELOCITY=500", "M206 X50", "G20", "G21"});
      case 15:
        return "MANUAL_STEPPER STEPPER=feeder MOVE=10 SPEED=" + pick({"5", "150", "151", "9999"}) +
               pick({"", " ACCEL=2500", " ACCEL=2501"});
      case 16:
        return pick({"M84", "M18", "; M104 S999", "M117 G1 X999", "", "M105", "M400", "G4 P100"});
      case 17:
        return pick(
            {"PARK", "LOAD_FILAMENT", "UNLOAD_FILAMENT", "BED_MESH_CALIBRATE", "BED_MESH_CLEAR", "G29", "G10", "G11"});
      case 18:
      case 19:
        return pick({"G2", "G3"}) + " X" + place() + " Y" + place() +
               fmt::format(" I{:.2f} J{:.2f}", random_.between(-90, 90), random_.between(-90, 90)) +
               pick({"", " F6000"});
      case 20:
        return pick({"PAUSE", "RESUME", "RESUME VELOCITY=1000", "CANCEL_PRINT", "SDCARD_PRINT_FILE FILENAME=x.gcode"});
      case 21:
        return "G1 E" + pick({"5", "-5", "500"}) + pick({" F300", " F30000", ""});
      default:
        return pick({"G1 ", "g0", "G1", "N5 G1 ", "G 1 ", "G1 F9000 "}) + pick({"X", "Y", "Z", "x", "X10 Y", "Z5X"}) +
               (below(2) == 0 ? place() : step()) +
               pick({"", " F3000", " F9000", " F9001", "\tF600", " X400", " ;X900", "(X900)"});
    }
  }

  Random& random_;
};

// A simulated Klipper behind an adapter: what the machine says arrives in order, each time later by a random delay.
class LateMachine : private MachineLink, private EventSink {
 public:
  explicit LateMachine(uint64_t seed) : random_(seed), host_(profile(seed)) {
    host_.run_script("M104 S200", 0);  // hot enough to extrude
    while (host_.now() < 100) host_.advance(100);
    host_.take_events();
    MoonrakerAdapterOptions options;
    options.machine_id = "m";
    adapter_ = std::make_unique<MoonrakerAdapter>(options, "", clock_, random_, static_cast<MachineLink&>(*this),
                                                  static_cast<EventSink&>(*this), *metrics_);
    adapter_->on_reply = [this](const CommandReply& reply) { note(reply); };
    adapter_->watch_by(narrow_limits());
    adapter_->start();
    pass(milliseconds(3000));
  }

  void ask(const Asker::Asked& asked, ScopeSet scopes) {
    AskedCommand command;
    command.message.id = fmt::format("c{}", ++asked_);
    command.message.machine = "m";
    command.message.command = asked.command;
    command.message.args = asked.args;
    command.message.actor = "Anna";
    command.message.recorded = true;
    command.scopes = scopes;
    command.received = clock_.monotonic();
    adapter_->take_command(std::move(command));
  }
  // The same, with nobody between.
  void do_unjudged(const Asker::Asked& asked) {
    JsonReader reader;
    const auto args = reader.parse(asked.args);
    const auto command = args ? parse_command(asked.command, *args) : Result<Command>(args.error());
    if (command) host_.run_script(gcode_of(*command), 0);
  }

  void pass(milliseconds time) {
    for (const MonotonicTime end = clock_.monotonic() + time; clock_.monotonic() < end;) {
      clock_.advance(milliseconds(50));
      tick();
    }
  }

  const MachineExtremes& extremes() const { return host_.extremes(); }
  Random& random() { return random_; }
  std::string any_file() const { return host_.files().front().path; }
  milliseconds delay{0};            // of what the machine says from now on
  std::map<std::string, int> ends;  // how many commands ended how

 private:
  static HostProfile profile(uint64_t seed) {
    HostProfile profile;
    profile.behaviour = "idle";
    profile.seed = seed;
    profile.wall_start_s = 1'795'262'400;
    profile.history_rows = 1;
    return profile;
  }

  void tick() {
    const double now = host_.now() + SimulatedHost::kStepS;
    while (host_.advance(now)) take_outcomes();
    take_outcomes();
    if (subscribed_ && ++ticks_ % 5 == 0) publish();
    if (ticks_ % 20 == 0) {
      say(R"({"jsonrpc":"2.0","method":"notify_proc_stat_update","params":[)" +
          proc_stat(host_.wall_now(), host_.state(), 1) + "]}");
    }
    for (; !said_.empty() && said_.front().at <= clock_.monotonic(); said_.pop_front()) {
      if (open_) adapter_->on_link_text(said_.front().text);
    }
    for (auto due = adapter_->next_deadline(); due && *due <= clock_.monotonic(); due = adapter_->next_deadline()) {
      adapter_->on_timer();
    }
  }

  void take_outcomes() {
    for (const HostEvent& event : host_.take_events()) {
      if (event.kind == HostEvent::Kind::kKlippyReady) say(R"({"jsonrpc":"2.0","method":"notify_klippy_ready"})");
      if (event.kind == HostEvent::Kind::kKlippyDisconnected) {
        subscribed_ = false;
        say(R"({"jsonrpc":"2.0","method":"notify_klippy_disconnected"})");
      }
      if (event.kind != HostEvent::Kind::kCommandDone || event.token == 0) continue;
      event.code == 0 ? answer(event.token, "\"ok\"") : refuse(event.token, event.code, event.text);
    }
  }

  void publish() {
    StatusTable now = render_status(host_.state());
    const auto text = status_notification(status_delta(told_, now), *filter_, host_.state().eventtime);
    told_ = std::move(now);
    if (text) say(*text);
  }

  void say(std::string text) {
    const MonotonicTime at = std::max(clock_.monotonic() + delay, said_.empty() ? MonotonicTime{} : said_.back().at);
    said_.push_back({at, std::move(text)});
  }
  void answer(uint64_t id, std::string_view result) {
    say(fmt::format(R"({{"jsonrpc":"2.0","result":{},"id":{}}})", result, id));
  }
  void refuse(uint64_t id, int code, std::string_view text) {
    JsonWriter json;
    json.object()
        .field("jsonrpc", "2.0")
        .key("error")
        .object()
        .field("code", int64_t{code})
        .field("message", text)
        .end();
    json.field("id", id).end();
    say(json.take());
  }

  void open() override {
    open_ = true;
    adapter_->on_link_open();
  }
  void close() override { open_ = subscribed_ = false; }
  bool send(std::string text) override {
    JsonReader reader;
    const auto request = reader.parse(text);
    const std::string method(text_member(*request, "method").value_or(""));
    const auto id = static_cast<uint64_t>(integer_member(*request, "id").value_or(0));
    const auto params = member(*request, "params");
    if (method == "printer.gcode.script") {
      host_.run_script(text_member(*params, "script").value_or(""), id);
    } else if (method == "printer.print.start") {
      host_.start_print(text_member(*params, "filename").value_or(""), id);
    } else if (method == "printer.print.pause" || method == "printer.print.resume" ||
               method == "printer.print.cancel") {
      host_.run_script(method.ends_with("pause")    ? "PAUSE"
                       : method.ends_with("resume") ? "RESUME"
                                                    : "CANCEL_PRINT",
                       id);
    } else if (method == "printer.restart" || method == "printer.firmware_restart") {
      host_.firmware_restart();
      answer(id, "\"ok\"");
    } else if (method == "server.info") {
      answer(id, server_info_answer(name_of(host_.state().klippy), 1));
    } else if (method == "printer.info") {
      answer(id, printer_info_answer(host_.state(), "m"));
    } else if (method == "printer.objects.list") {
      std::string names = "\"gcode_macro PARK\",\"gcode_macro LOAD_FILAMENT\",\"gcode_macro UNLOAD_FILAMENT\"";
      for (const StatusObject& object : render_status(host_.state())) names += ",\"" + object.name + "\"";
      answer(id, R"({"objects":[)" + names + "]}");
    } else if (method == "printer.objects.subscribe") {
      std::string error;
      filter_ = StatusFilter::read(*member(*params, "objects"), error);
      told_ = render_status(host_.state());
      subscribed_ = true;
      answer(id, status_answer(told_, *filter_, host_.state().eventtime));
    } else if (method == "server.history.list") {
      answer(id, R"({"count":0,"jobs":[]})");
    } else if (method == "server.connection.identify") {
      answer(id, R"({"connection_id":1})");
    } else {
      refuse(id, -32601, "Method not found");
    }
    return true;
  }

  EventId next_id() const override { return {"m", 1, sequence_}; }
  void emit(std::vector<EventDraft> drafts, std::string_view) override { sequence_ += drafts.size(); }
  void note(const CommandReply& reply) {
    JsonReader reader;
    const auto json = reader.parse(reply.json);
    ++ends[std::string(text_member(*json, "status").value_or(""))];
  }

  struct Said {
    MonotonicTime at;
    std::string text;
  };

  SeededRandom random_;
  SimulatedHost host_;
  ManualClock clock_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  std::deque<Said> said_;
  StatusTable told_;
  std::optional<StatusFilter> filter_;
  bool open_ = false;
  bool subscribed_ = false;
  uint64_t ticks_ = 0;
  uint64_t sequence_ = 1;
  int asked_ = 0;
  std::unique_ptr<MoonrakerAdapter> adapter_;
};

// What the machine was made to do that it should not have been; "" for nothing.
std::string beyond_limits(const MachineExtremes& extremes) {
  std::string found;
  const auto expect = [&](bool holds, std::string_view what, double value) {
    if (!holds) found += fmt::format("{} {}; ", what, value);
  };
  for (size_t axis = 0; axis < kAxes.size(); ++axis) {
    expect(extremes.lowest[axis] >= kAxes[axis].min - kTolerance, "lowest place", extremes.lowest[axis]);
    expect(extremes.highest[axis] <= kAxes[axis].max + kTolerance, "highest place", extremes.highest[axis]);
  }
  expect(extremes.velocity <= kVelocityMax + kTolerance, "velocity", extremes.velocity);
  expect(extremes.acceleration <= kAccelerationMax, "acceleration", extremes.acceleration);
  expect(extremes.extruder_c <= kExtruderMax, "extruder", extremes.extruder_c);
  expect(extremes.bed_c <= kBedMax, "bed", extremes.bed_c);
  expect(extremes.lowest_share >= 0, "lowest share", extremes.lowest_share);
  expect(extremes.highest_share <= kShareMax, "highest share", extremes.highest_share);
  expect(!extremes.forced, "forced", 1);
  expect(!extremes.moved_during_print, "moved during print", 1);
  return found;
}

TEST(CommandSafetyTest, NothingThatIsAskedMakesAMachineLeaveItsLimits) {
  const uint64_t first = number_from("MILLRACE_TEST_SEED", random_seed() % 1'000'000'000);
  const uint64_t seeds = number_from("MILLRACE_COMMAND_SEEDS", kSeeds);
  fmt::print("MILLRACE_TEST_SEED={} MILLRACE_COMMAND_SEEDS={}\n", first, seeds);
  std::map<std::string, int> ends;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    LateMachine machine(seed);
    Asker asker(machine.random());
    asker.file = machine.any_file();
    std::string story;
    for (int step = 0; step < kCommands; ++step) {
      const auto asked = step == 0 ? Asker::Asked{"home", "{}"} : asker.any();
      story += fmt::format("{} {} (status {} ms late)\n", asked.command, asked.args, machine.delay.count());
      machine.ask(asked, machine.random().next() % 4 == 0 ? ScopeSet{Scope::kRead, Scope::kOperate}
                                                          : ScopeSet{Scope::kRead, Scope::kOperate, Scope::kGcode});
      machine.delay = milliseconds(machine.random().next() % 3 == 0 ? machine.random().next() % 1900 : 20);
      machine.pass(milliseconds(machine.random().next() % 3 == 0 ? machine.random().next() % 2500 : 0));
      const std::string beyond = beyond_limits(machine.extremes());
      ASSERT_EQ(beyond, "") << "MILLRACE_TEST_SEED=" << seed << " MILLRACE_COMMAND_SEEDS=1, step " << step << "\n"
                            << story;
    }
    for (const auto& [end, count] : machine.ends) ends[end] += count;
  }
  for (const auto& [end, count] : ends) fmt::print("{} {}\n", end, count);
  EXPECT_GT(ends["completed"], static_cast<int>(seeds) * 2) << "else it shows nothing";
  EXPECT_GT(ends["rejected"], static_cast<int>(seeds) * 5);
}

// The machine can leave every limit, else the test above could not fail.
TEST(CommandSafetyTest, WithoutTheGuardItLeavesThem) {
  std::string found;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    LateMachine machine(seed);
    Asker asker(machine.random());
    asker.file = machine.any_file();
    machine.do_unjudged({"home", "{}"});
    for (int step = 0; step < 4 * kCommands; ++step) {
      machine.do_unjudged(asker.any());
      machine.pass(milliseconds(50 + machine.random().next() % 400));
    }
    found += beyond_limits(machine.extremes());
  }
  for (const char* what :
       {"lowest place", "highest place", "velocity", "acceleration", "extruder", "bed", "highest share", "forced"}) {
    EXPECT_NE(found.find(what), std::string::npos) << what;
  }
}

}  // namespace
}  // namespace millrace
