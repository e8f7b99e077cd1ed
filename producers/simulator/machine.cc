// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

constexpr ThermalShape kExtruderShape{4.0, 130.0, 0.04};
constexpr ThermalShape kBedShape{0.85, 420.0, 0.03};
constexpr uint64_t kStepsPerReading = 6;  // Klipper's converters report every 0.3 s
constexpr double kRestartDisconnectedS = 1.2;
constexpr double kProcessDeadS = 4.0;
constexpr double kStartupS = 0.8;
constexpr double kIdleAfterS = 600;
constexpr double kWrongClockS = 3.0 * 365 * 86'400;  // a board without a battery, before it has heard of the time
constexpr double kReadyAfterS = 2;
constexpr std::string_view kReadyMessage = "Printer is ready";
constexpr std::string_view kStartupMessage =
    "\nPrinter is not ready\nThe klippy host software is attempting to connect.  Please\nretry in a few moments.\n";
constexpr std::string_view kFirmwareRestartHint =
    "\nOnce the underlying issue is corrected, use the\n\"FIRMWARE_RESTART\" command to reset the firmware, reload "
    "the\nconfig, and restart the host software.\n";

}  // namespace

std::string_view name_of(KlippyState state) {
  switch (state) {
    case KlippyState::kReady:
      return "ready";
    case KlippyState::kStartup:
      return "startup";
    case KlippyState::kShutdown:
      return "shutdown";
    case KlippyState::kError:
      return "error";
    case KlippyState::kDisconnected:
      return "disconnected";
  }
  return "";
}

std::string_view name_of(PrintState state) {
  switch (state) {
    case PrintState::kStandby:
      return "standby";
    case PrintState::kPrinting:
      return "printing";
    case PrintState::kPaused:
      return "paused";
    case PrintState::kComplete:
      return "complete";
    case PrintState::kCancelled:
      return "cancelled";
    case PrintState::kError:
      return "error";
  }
  return "";
}

SimulatedHost::SimulatedHost(HostProfile profile)
    : profile_(std::move(profile)),
      physics_(profile_.seed),
      plan_(profile_.seed ^ 0x5bd1e995u),
      extruder_(kExtruderShape, ambient_c_),
      bed_(kBedShape, ambient_c_) {
  if (profile_.behaviour == "clock_wrong") profile_.wall_start_s -= kWrongClockS;
  ambient_c_ = physics_.between(20.5, 25.5);
  chamber_c_ = ambient_c_ + 0.5;
  extruder_.preset(ambient_c_);
  bed_.preset(ambient_c_);
  state_.eventtime = std::round(physics_.between(2'000, 900'000) * 1e6) / 1e6;
  state_.process_id = 400 + static_cast<int>(physics_.next() % 30'000);
  state_.has_heaters = profile_.kind == "printer";
  state_.chamber = {chamber_c_, chamber_c_, chamber_c_};
  cancel_resets_file_ = physics_.unit() < 0.4;
  const auto choose = profile_.behaviour == "odd_names" ? oddly_named_files : choose_files;
  files_ = choose(physics_, profile_.wall_start_s, profile_.duration_scale);
  next_file_ = physics_.next() % files_.size();
  if (state_.has_heaters) seed_history();
  step_readings();
  begin_scene();
}

double SimulatedHost::wall_now() const { return std::round((profile_.wall_start_s + now_) * 1e6) / 1e6; }

const SimulatedFile* SimulatedHost::find_file(std::string_view path) const {
  const auto found = std::find_if(files_.begin(), files_.end(), [&](const auto& file) { return file.path == path; });
  return found == files_.end() ? nullptr : &*found;
}

bool SimulatedHost::advance(double until_s) {
  // Counting steps instead of adding them up keeps the time exact after days.
  while (static_cast<double>(steps_ + 1) * kStepS <= until_s + 1e-9) {
    const KlippyState klippy = state_.klippy;
    const PrintState print = state_.print;
    step();
    if (state_.klippy != klippy || state_.print != print) return true;
  }
  return false;
}

std::vector<HostEvent> SimulatedHost::take_events() { return std::exchange(events_, {}); }

void SimulatedHost::step() {
  ++steps_;
  now_ = static_cast<double>(steps_) * kStepS;
  state_.eventtime += kStepS;
  step_klippy();
  step_heaters();
  if (state_.klippy == KlippyState::kReady) {
    if (wait_ != Wait::kNone && (wait_ == Wait::kBed ? bed_ : extruder_).reached()) wait_ = Wait::kNone;
    step_print();
    if (state_.print == PrintState::kPrinting) motion_.settle();
    run_queue();
  }
  if (steps_ % kStepsPerReading == 0) step_readings();
  step_idle();
  step_plan();
}

void SimulatedHost::step_klippy() {
  if (late_pause_at_ && now_ >= *late_pause_at_) {
    late_pause_at_.reset();
    state_.print = PrintState::kPaused;
  }
  if (!klippy_change_at_ || now_ < *klippy_change_at_) return;
  klippy_change_at_.reset();
  if (state_.klippy == KlippyState::kDisconnected) {
    state_.klippy = KlippyState::kStartup;
    state_.state_message = kStartupMessage;
    klippy_change_at_ = now_ + kStartupS;
  } else if (next_start_fails_) {
    next_start_fails_ = false;
    state_.klippy = KlippyState::kError;
    state_.state_message = fmt::format("Can not update MCU 'mcu' config as it is shutdown{}Error configuring printer\n",
                                       kFirmwareRestartHint);
  } else {
    state_.klippy = KlippyState::kReady;
    state_.state_message = kReadyMessage;
    extruder_.set_broken(false);
    respond("// Klipper state: Ready");
    emit(HostEvent::Kind::kKlippyReady);
  }
}

void SimulatedHost::step_heaters() {
  if (!state_.has_heaters) return;
  extruder_.step(kStepS, chamber_c_, 0.6 * state_.fan_speed);
  bed_.step(kStepS, ambient_c_, 0.1 * state_.fan_speed);
  const double warmed = ambient_c_ + 0.5 + 0.16 * (bed_.temperature() - ambient_c_);
  chamber_c_ += (warmed - chamber_c_) / 900.0 * kStepS;
  state_.hotend_fan_speed = extruder_.temperature() > 50 ? 1.0 : 0.0;
}

void SimulatedHost::step_readings() {
  extruder_.read(physics_);
  bed_.read(physics_);
  const double chamber = std::round((chamber_c_ + 0.03 * simulated_noise(physics_)) * 100) / 100;
  state_.extruder = {extruder_.temperature(), extruder_.target(), extruder_.power()};
  state_.bed = {bed_.temperature(), bed_.target(), bed_.power()};
  state_.chamber.lowest = steps_ == 0 ? chamber : std::min(state_.chamber.lowest, chamber);
  state_.chamber.highest = steps_ == 0 ? chamber : std::max(state_.chamber.highest, chamber);
  state_.chamber.temperature = chamber;
  if (state_.klippy == KlippyState::kDisconnected || steps_ % (4 * kStepsPerReading) != 0) return;
  const bool moving = phase_ == Phase::kExtruding && state_.print == PrintState::kPrinting;
  state_.mcu_bytes_write += moving ? 4'100 : 90;
  state_.mcu_bytes_read += moving ? 1'300 : 160;
  state_.mcu_sequence += moving ? 85 : 4;
  state_.mcu_awake = std::round((moving ? 0.02 : 0.002) * physics_.between(0.8, 1.2) * 1000) / 1000;
  state_.mcu_frequency = 180'000'000 + static_cast<int64_t>(physics_.between(-900, 900));
  state_.sysload = std::round((state_.sysload * 0.95 + physics_.between(0, moving ? 0.08 : 0.03)) * 100) / 100;
  state_.cputime = std::round((state_.cputime + (moving ? 0.12 : 0.03)) * 1000) / 1000;
  state_.memavail = 612'344 + static_cast<int64_t>(physics_.between(-4'000, 4'000));
}

void SimulatedHost::step_idle() {
  if (state_.klippy != KlippyState::kReady) return;
  state_.print_time += kStepS;
  const bool busy = blocked() || (state_.print == PrintState::kPrinting);
  if (busy) {
    state_.printing_time = (state_.idle_state == "Printing" ? state_.printing_time : 0) + kStepS;
    state_.idle_state = "Printing";
    idle_since_ = now_;
    return;
  }
  state_.printing_time = 0;
  if (state_.idle_state == "Printing" && now_ - idle_since_ >= kReadyAfterS) state_.idle_state = "Ready";
  if (state_.idle_state == "Ready" && now_ - idle_since_ >= kIdleAfterS) {
    state_.idle_state = "Idle";
    state_.homed_axes.clear();
    turn_heaters_off();
  }
}

void SimulatedHost::shut_down(std::string_view reason, bool print_pauses_at_once) {
  if (state_.klippy != KlippyState::kReady) return;
  state_.klippy = KlippyState::kShutdown;
  state_.state_message = fmt::format("{}{}Printer is shutdown\n", reason, kFirmwareRestartHint);
  mcu_shut_down_ = true;
  respond(fmt::format("!! {}", reason.substr(0, reason.find('\n'))));
  respond("// Klipper state: Shutdown");
  emit(HostEvent::Kind::kKlippyShutdown);
  close_row("klippy_shutdown");
  if (state_.print == PrintState::kPrinting && print_pauses_at_once) state_.print = PrintState::kPaused;
  if (state_.print == PrintState::kPrinting) late_pause_at_ = now_ + 0.5;
  state_.file_active = false;
  file_ = nullptr;
  phase_ = Phase::kNone;
  turn_heaters_off();
  state_.live_velocity = state_.live_extruder_velocity = 0;
  state_.fan_speed = 0;
  // The script that was running is torn out of its wait and still answers "ok"; those behind it get the reason.
  for (const PendingCommand& command : std::exchange(commands_, {})) {
    finish_command(command, command.next > 0 ? 0 : 400, command.next > 0 ? "" : state_.state_message);
  }
  wait_ = Wait::kNone;
  busy_until_ = 0;
  plan_recovery(40, 120);
}

void SimulatedHost::disconnect(bool process_dies) {
  if (state_.klippy == KlippyState::kDisconnected) return;
  state_.klippy = KlippyState::kDisconnected;
  if (process_dies) state_.process_id += 21'685;
  respond("// Klipper state: Disconnect");
  emit(HostEvent::Kind::kKlippyDisconnected);
  close_row("klippy_disconnect");
  reset_print();
  for (const PendingCommand& command : std::exchange(commands_, {})) {
    finish_command(command, 503, "Klippy Disconnected");
  }
  klippy_change_at_ = now_ + (process_dies ? kProcessDeadS : kRestartDisconnectedS);
}

void SimulatedHost::restart() {
  if (state_.klippy == KlippyState::kDisconnected) return;
  next_start_fails_ = mcu_shut_down_;
  disconnect(false);
  if (next_start_fails_) plan_recovery(30, 60);
}

void SimulatedHost::firmware_restart() {
  if (state_.klippy == KlippyState::kDisconnected) return;
  next_start_fails_ = false;
  mcu_shut_down_ = false;
  recover_at_.reset();
  disconnect(false);
}

void SimulatedHost::emergency_stop() { shut_down("Shutdown due to webhooks request", false); }

void SimulatedHost::reset_print() {
  const double eventtime = state_.eventtime;
  HostState fresh;
  fresh.eventtime = eventtime;
  fresh.has_heaters = state_.has_heaters;
  fresh.klippy = state_.klippy;
  fresh.state_message = state_.state_message;
  fresh.process_id = state_.process_id;
  fresh.chamber = state_.chamber;
  fresh.light = state_.light;
  fresh.filament_detected = state_.filament_detected;
  state_ = fresh;
  motion_.forget();
  turn_heaters_off();
  step_readings();
  file_ = nullptr;
  phase_ = Phase::kNone;
  wait_ = Wait::kNone;
  busy_until_ = 0;
  late_pause_at_.reset();
  fault_shutdown_at_.reset();
  runout_pause_at_.reset();
  replace_at_.reset();
  incident_.reset();
}

void SimulatedHost::turn_heaters_off() {
  extruder_.set_target(0);
  bed_.set_target(0);
}

void SimulatedHost::respond(std::string text) { emit(HostEvent::Kind::kGcodeResponse, std::move(text)); }

void SimulatedHost::emit(HostEvent::Kind kind, std::string text) {
  events_.push_back(HostEvent{kind, std::move(text), 0, 0});
}

}  // namespace millrace
