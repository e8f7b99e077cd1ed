// SPDX-License-Identifier: Apache-2.0
// What happens to a machine by itself: the opening scene, the next job, mishaps and how people put them right.
#include <algorithm>

#include "producers/simulator/machine.h"

namespace millrace {
namespace {

constexpr double kNearlyDoneS = 45;  // of printing that is left
constexpr double kPausingSoonS = 18;
constexpr double kFaultSoonS = 6;
constexpr double kFaultShutdownS = 14;  // verify_heater waits about that long
constexpr double kRunoutPauseS = 0.5;   // from the sensor to the pause
constexpr std::string_view kHeaterFaultText =
    "Heater extruder not heating at expected rate\nSee the 'verify_heater' section in docs/Config_Reference.md\nfor "
    "the "
    "parameters that control this check.\n";
constexpr double kReplaceS = 3;  // from the pause to the other file
constexpr double kBootedS = 18;  // of the host's own clock when Klipper is there again
constexpr std::string_view kSensorFaultText =
    "ADC out of range (heater_bed: -12.3, limits 0.0 to 130.0)\nThis generally occurs when a heater temperature "
    "exceeds\nits configured min_temp or max_temp.\n";
constexpr std::string_view kGcodeErrorText = "Move out of range: 412.300 150.000 12.400 [0.000]";

}  // namespace

void SimulatedHost::begin_scene() {
  if (!state_.has_heaters) return;
  if (profile_.scene == Scene::kCold) {
    if (profile_.behaviour != "idle") next_job_at_ = plan_.between(2, 12);
    return;
  }
  const SimulatedFile& file = files_[next_file_];
  next_file_ = (next_file_ + 1) % files_.size();
  begin_print(file);
  incident_.reset();
  phase_ = Phase::kExtruding;
  state_.homed_axes = "xyz";
  extruder_.set_target(file.extruder_c);
  extruder_.preset(file.extruder_c);
  bed_.set_target(file.bed_c);
  bed_.preset(file.bed_c);
  chamber_c_ = ambient_c_ + 0.15 * (file.bed_c - ambient_c_);
  double printed = file.print_s * plan_.between(0.3, 0.5);
  if (profile_.scene == Scene::kNearlyDone) printed = std::max(0.0, file.print_s - kNearlyDoneS);
  skip_ahead(printed);
  state_.print_duration = printed;
  state_.total_duration = printed + 160;
  if (profile_.scene == Scene::kPausingSoon) {
    incident_ = PlannedIncident{Incident::kPause, (printed + kPausingSoonS) / file.print_s};
  }
  if (profile_.scene == Scene::kFaultSoon) {
    extruder_.set_broken(true);
    fault_shutdown_at_ = kFaultSoonS;
  }
  // The print began before the simulation: so did its row.
  ShownHistoryRow& row = history_.back();
  row.start_time -= state_.total_duration;
  row.total_duration = 0.1;
  write_row(row, "in_progress", open_user_, file);
  row.ended = false;
  step_readings();
  events_.clear();
}

void SimulatedHost::step_plan() {
  step_recovery();
  if (fault_shutdown_at_ && now_ >= *fault_shutdown_at_) {
    fault_shutdown_at_.reset();
    shut_down(kHeaterFaultText, false);
  }
  if (runout_pause_at_ && now_ >= *runout_pause_at_) {
    runout_pause_at_.reset();
    pause_print();
    plan_recovery(30, 90);
  }
  if (replace_at_ && now_ >= *replace_at_) {
    replace_at_.reset();
    start_print(files_[next_file_].path, 0);
    next_file_ = (next_file_ + 1) % files_.size();
    incident_.reset();
  }
  if (incident_ && state_.print == PrintState::kPrinting) {
    const bool waits_for_heat = incident_->incident == Incident::kCancelHeating;
    const bool due =
        waits_for_heat ? phase_ == Phase::kHeatingBed : phase_ == Phase::kExtruding && print_share() >= incident_->at;
    if (due) begin_incident(std::exchange(incident_, std::nullopt)->incident);
  }
  if (next_job_at_ && now_ >= *next_job_at_ && state_.klippy == KlippyState::kReady && !blocked() &&
      state_.print != PrintState::kPrinting && state_.print != PrintState::kPaused) {
    // Something to leave out is needed first.
    for (size_t i = 0; profile_.behaviour == "exclude_object" && i < files_.size(); ++i) {
      if (files_[next_file_].objects.empty()) next_file_ = (next_file_ + 1) % files_.size();
    }
    begin_print(files_[next_file_]);
    next_file_ = (next_file_ + 1) % files_.size();
  }
}

// As it happens by itself; force() does it at once.
void SimulatedHost::begin_incident(Incident incident) {
  if (incident == Incident::kHeaterFault) {
    extruder_.set_broken(true);
    fault_shutdown_at_ = now_ + kFaultShutdownS;
  } else if (incident == Incident::kCancelHeating) {
    run_script("CANCEL_PRINT", 0);
  } else {
    force(incident);
  }
}

void SimulatedHost::lose_power() {
  emit(HostEvent::Kind::kPowerLost);
  reset_print();
  state_.klippy = KlippyState::kDisconnected;
  klippy_change_at_.reset();
  recover_at_.reset();
  commands_.clear();
}

void SimulatedHost::power_returned() {
  state_.eventtime = kBootedS;
  ++state_.process_id;
  mcu_shut_down_ = next_start_fails_ = false;
  klippy_change_at_ = now_ + 1;
  if (profile_.behaviour != "idle") next_job_at_ = now_ + plan_.between(20, 60);
}

void SimulatedHost::plan_recovery(double least_s, double most_s) {
  const double wait = plan_.between(least_s, most_s);  // people take their time, however short the prints are
  if (profile_.behaviour != "idle") recover_at_ = now_ + wait;
}

// A person comes: puts filament in and resumes, or restarts the firmware.
void SimulatedHost::step_recovery() {
  if (!recover_at_ || now_ < *recover_at_) return;
  recover_at_.reset();
  if (state_.klippy == KlippyState::kShutdown || state_.klippy == KlippyState::kError) {
    firmware_restart();
    next_job_at_ = now_ + plan_.between(20, 60) * std::max(profile_.duration_scale, 0.3);
    return;
  }
  state_.filament_detected = true;
  if (state_.klippy == KlippyState::kReady && state_.print == PrintState::kPaused) resume_print();
}

bool SimulatedHost::force(Incident incident) {
  const bool printing = state_.klippy == KlippyState::kReady && state_.print == PrintState::kPrinting;
  const bool under_way = printing || (state_.klippy == KlippyState::kReady && state_.print == PrintState::kPaused);
  switch (incident) {
    case Incident::kPause:
      if (!printing) return false;
      pause_print();
      plan_recovery(20, 60);
      return true;
    case Incident::kRunout:
      if (!printing) return false;
      state_.filament_detected = false;
      runout_pause_at_ = now_ + kRunoutPauseS;
      return true;
    case Incident::kCancel:
      if (!under_way) return false;
      cancel_print();
      return true;
    case Incident::kGcodeError:
      if (!printing) return false;
      fail_print(std::string(kGcodeErrorText));
      return true;
    case Incident::kHeaterFault:
    case Incident::kSensorFault:
    case Incident::kMcuLost:
    case Incident::kEmergencyStop:
      if (state_.klippy != KlippyState::kReady) return false;
      shut_down(incident == Incident::kHeaterFault   ? kHeaterFaultText
                : incident == Incident::kSensorFault ? kSensorFaultText
                : incident == Incident::kMcuLost     ? "Lost communication with MCU 'mcu'"
                                                     : "Shutdown due to webhooks request",
                false);
      return true;
    case Incident::kM112:
      if (state_.klippy != KlippyState::kReady) return false;
      shut_down("Shutdown due to M112 command", true);
      return true;
    case Incident::kCancelHeating:
      if (!under_way) return false;
      run_script("CANCEL_PRINT", 0);
      return true;
    case Incident::kReprint:
      return printing;
    case Incident::kReplace:
      if (!printing) return false;
      pause_print();
      replace_at_ = now_ + kReplaceS;
      return true;
    case Incident::kExcludeObject:
      if (!under_way || state_.objects.empty()) return false;
      exclude_object(state_.objects.front());
      return true;
    case Incident::kJobQueue:
      emit(HostEvent::Kind::kQueueJobs, files_[next_file_].path + "\n" + files_[(next_file_ + 1) % files_.size()].path);
      next_file_ = (next_file_ + 2) % files_.size();
      return true;
    case Incident::kNetworkLost:
      emit(HostEvent::Kind::kNetworkLost);
      return true;
    case Incident::kNetworkLostLong:
      emit(HostEvent::Kind::kNetworkLostLong);
      return true;
    case Incident::kPowerOff:
      lose_power();
      return true;
    case Incident::kFirmwareRestart:
      if (state_.klippy == KlippyState::kDisconnected) return false;
      firmware_restart();
      if (profile_.behaviour != "idle") next_job_at_ = now_ + plan_.between(20, 60);
      return true;
    case Incident::kKlipperRestart:
    case Incident::kKlipperKilled:
      if (state_.klippy == KlippyState::kDisconnected) return false;
      if (incident == Incident::kKlipperRestart) {
        restart();
      } else {
        next_start_fails_ = mcu_shut_down_;
        disconnect(true);
      }
      if (profile_.behaviour != "idle") next_job_at_ = now_ + plan_.between(20, 60);
      return true;
    case Incident::kMoonrakerRestart:
      emit(HostEvent::Kind::kMoonrakerRestart);
      return true;
    case Incident::kMoonrakerKill:
      emit(HostEvent::Kind::kMoonrakerKill);
      return true;
  }
  return false;
}

void SimulatedHost::toggle() {
  if (state_.klippy != KlippyState::kReady || !state_.has_heaters) return;
  if (state_.print == PrintState::kPrinting) {
    pause_print();
    recover_at_.reset();
  } else if (state_.print == PrintState::kPaused && file_ != nullptr) {
    resume_print();
    recover_at_.reset();
  } else {
    begin_print(files_[next_file_]);
    next_file_ = (next_file_ + 1) % files_.size();
    incident_.reset();
    phase_ = Phase::kExtruding;
    extruder_.set_target(file_->extruder_c);
    extruder_.preset(file_->extruder_c);
    bed_.preset(file_->bed_c);
  }
}

}  // namespace millrace
