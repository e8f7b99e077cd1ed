// SPDX-License-Identifier: Apache-2.0
// One simulated Klipper host with the part of Moonraker that outlives a connection (the print history).  It has no
// socket, no thread and no clock: advance() moves its own time in fixed steps, so the same seed and the same commands
// at the same simulated times always give the same states and events.
//
// One thread.  All times are simulated seconds since the start; wall time is that plus `wall_start_s`.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/random.h"
#include "producers/simulator/behaviour.h"
#include "producers/simulator/files.h"
#include "producers/simulator/history.h"
#include "producers/simulator/state.h"
#include "producers/simulator/thermal.h"
#include "producers/simulator/tool_motion.h"

namespace millrace {

// What a machine is doing when the simulation begins.
enum class Scene { kCold, kUnderWay, kNearlyDone, kPausingSoon, kFaultSoon };

struct HostProfile {
  std::string kind = "printer";  // "pick_and_place" has no heaters and never prints
  std::string behaviour = "mixed";
  Scene scene = Scene::kCold;
  uint64_t seed = 1;
  double wall_start_s = 0;    // Unix time at the start
  double duration_scale = 1;  // of the files' print times and of the pauses between jobs
  size_t history_rows = 0;    // old prints to begin with; 0: a few
};

// Something that Moonraker tells its clients, or that the front of the machine has to do.  In order.
struct HostEvent {
  enum class Kind {
    kGcodeResponse,  // text
    kKlippyReady,
    kKlippyShutdown,
    kKlippyDisconnected,
    kHistoryAdded,      // text = the row
    kHistoryFinished,   // text = the row
    kCommandDone,       // token; code 0 = "ok", else an error with text
    kMoonrakerRestart,  // Moonraker ends properly and comes back
    kMoonrakerKill,     // Moonraker is gone without a word and comes back
    kPowerLost,         // so is everything else
    kNetworkLost,       // nobody reaches Moonraker, and it does not know
    kNetworkLostLong,   // the same until after the end of the print
    kQueueJobs,         // text = paths to put into Moonraker's queue, one a line
  };
  Kind kind;
  std::string text;
  uint64_t token = 0;
  int code = 0;
};

class SimulatedHost {
 public:
  static constexpr double kStepS = 0.05;
  static constexpr size_t kMaxPendingCommands = 64;
  static constexpr size_t kMaxHistoryRows = 2000;

  explicit SimulatedHost(HostProfile profile);
  SimulatedHost(const SimulatedHost&) = delete;
  SimulatedHost& operator=(const SimulatedHost&) = delete;

  // Moves time forward to `until_s`.  Returns true when it stopped before that, right after a change of the print's or
  // Klipper's state, so that no state goes unseen at high speed: take what there is and call again.
  bool advance(double until_s);

  double now() const { return now_; }
  double wall_now() const;
  const HostState& state() const { return state_; }
  std::vector<HostEvent> take_events();
  const std::vector<SimulatedFile>& files() const { return files_; }
  const MachineExtremes& extremes() const { return motion_.extremes(); }
  const SimulatedFile* find_file(std::string_view path) const;
  const std::vector<ShownHistoryRow>& history() const { return history_; }

  // Scripts and print commands wait for one another, as behind Klipper's one G-code mutex; the outcome comes as
  // kCommandDone with the token, maybe at once.  With kMaxPendingCommands waiting, it is an error 503.
  void run_script(std::string_view script, uint64_t token);
  void start_print(std::string_view path, uint64_t token);

  // At once, whatever runs.
  void emergency_stop();
  void restart();
  void firmware_restart();
  void exclude_object(std::string_view name);

  // Makes it happen now.  False when there is no print that it could happen to.
  bool force(Incident incident);
  // Changes the print's state at once: printing <-> paused; without a print one is started, already hot.
  void toggle();
  void set_behaviour(std::string behaviour) { profile_.behaviour = std::move(behaviour); }
  const std::string& behaviour() const { return profile_.behaviour; }

  // The front says when Moonraker is away: the print goes on, but nobody keeps its row.
  void moonraker_stopped(bool properly);
  void moonraker_started();
  // After kPowerLost: the host boots.
  void power_returned();
  bool print_under_way() const { return state_.print == PrintState::kPrinting || state_.print == PrintState::kPaused; }

 private:
  enum class Phase { kNone, kHoming, kHeatingBed, kHeatingExtruder, kExtruding };
  struct PendingCommand {
    uint64_t token = 0;
    bool starts_print = false;
    std::vector<std::string> lines;  // or the path of the print to start
    size_t next = 0;
  };
  enum class Wait { kNone, kExtruder, kBed };

  // simulator_machine.cc
  void step();
  void step_klippy();
  void step_heaters();
  void step_readings();
  void step_idle();
  void shut_down(std::string_view reason, bool print_pauses_at_once);
  void disconnect(bool process_dies);
  void reset_print();
  void turn_heaters_off();
  void respond(std::string text);
  void emit(HostEvent::Kind kind, std::string text = {});

  // simulator_machine_print.cc
  void begin_print(const SimulatedFile& file);
  void step_print();
  void step_extruding();
  void pause_print();
  void resume_print();
  void cancel_print();
  void fail_print(std::string message);
  void complete_print();
  void leave_print(PrintState state);
  double print_share() const;
  void skip_ahead(double printed_s);
  void open_row(std::string_view user);
  void close_row(std::string_view status);
  void write_row(ShownHistoryRow& row, std::string_view status, std::string_view user, const SimulatedFile& file);
  void seed_history();

  // simulator_machine_commands.cc
  bool blocked() const;
  void enqueue(PendingCommand command);
  void run_queue();
  std::optional<std::string> run_line(std::string_view line);
  std::optional<std::string> run_print_file(std::string_view path);
  std::optional<std::string> run_print_command(const SimulatedGcodeLine& line);
  std::optional<std::string> run_heat(const SimulatedGcodeLine& line);
  std::optional<std::string> run_output(const SimulatedGcodeLine& line);
  std::optional<std::string> run_other(const SimulatedGcodeLine& line);
  std::optional<std::string> run_macro(std::string_view name);
  std::optional<std::string> set_share(double& share, double value);
  std::optional<std::string> set_heater(SimulatedHeater& heater, double target, double highest);
  void finish_command(const PendingCommand& command, int code, std::string text);

  // simulator_machine_plan.cc
  void begin_scene();
  void step_plan();
  void begin_incident(Incident incident);
  void lose_power();
  void plan_recovery(double least_s, double most_s);
  void step_recovery();

  HostProfile profile_;
  SeededRandom physics_;
  SeededRandom plan_;
  std::vector<SimulatedFile> files_;
  HostState state_;
  double now_ = 0;
  uint64_t steps_ = 0;
  std::vector<HostEvent> events_;

  double ambient_c_ = 23;
  SimulatedHeater extruder_;
  SimulatedHeater bed_;
  double chamber_c_ = 23;

  // Klipper's own life.
  std::optional<double> klippy_change_at_;
  bool mcu_shut_down_ = false;
  bool next_start_fails_ = false;
  std::optional<double> late_pause_at_;  // of print_stats after a shutdown

  // The print.
  const SimulatedFile* file_ = nullptr;
  Phase phase_ = Phase::kNone;
  double phase_end_ = 0;
  double printed_s_ = 0;
  std::vector<double> layer_ends_s_;
  size_t next_file_ = 0;

  // The G-code mutex.
  std::deque<PendingCommand> commands_;
  double busy_until_ = 0;
  Wait wait_ = Wait::kNone;
  double next_report_ = 0;
  double idle_since_ = 0;
  ToolMotion motion_{state_};

  // The plan.
  std::optional<PlannedIncident> incident_;
  std::optional<double> fault_shutdown_at_;
  std::optional<double> runout_pause_at_;
  std::optional<double> recover_at_;
  std::optional<double> next_job_at_;
  std::optional<double> replace_at_;
  bool reprinted_ = false;

  // Moonraker's history.
  bool moonraker_up_ = true;
  bool cancel_resets_file_ = false;
  std::vector<ShownHistoryRow> history_;
  uint64_t next_job_number_ = 1;
  bool row_open_ = false;    // the newest row is that of the running print
  bool row_killed_ = false;  // Moonraker died while it was open
  std::string open_user_;
};

}  // namespace millrace
