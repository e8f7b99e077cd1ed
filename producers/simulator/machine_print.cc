// SPDX-License-Identifier: Apache-2.0
// How a print goes: home, warm up, layer by layer, end; and the row that Moonraker keeps of it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bus/json_writer.h"
#include "producers/simulator/machine.h"

namespace millrace {
namespace {

constexpr double kHomingS = 4;
constexpr double kFirstLayerShare = 2.2;  // the first layer is slower
constexpr double kBedCentreMm = 150;
constexpr double kReprintS = 0.5;
constexpr std::string_view kApiUser = "_TRUSTED_USER_";
constexpr std::string_view kGcodesFolder = "/home/pi/printer_data/gcodes/";

double micrometres(double value) { return std::round(value * 1000) / 1000; }
double microseconds(double value) { return std::round(value * 1e6) / 1e6; }

// When each layer ends, in seconds of extruding.
std::vector<double> layer_times(const SimulatedFile& file) {
  std::vector<double> ends;
  double sum = 0;
  for (int layer = 0; layer < file.layers; ++layer) {
    sum += layer == 0 ? kFirstLayerShare : 1.0 + 0.35 * std::sin(layer * 0.37);
    ends.push_back(sum);
  }
  for (double& end : ends) end *= file.print_s / sum;
  return ends;
}

}  // namespace

void SimulatedHost::begin_print(const SimulatedFile& file) {
  file_ = &file;
  phase_ = Phase::kHoming;
  phase_end_ = now_ + kHomingS;
  printed_s_ = 0;
  layer_ends_s_ = layer_times(file);
  next_job_at_.reset();
  next_report_ = now_;
  state_.print = PrintState::kPrinting;
  state_.message.clear();
  state_.filename = file.path;
  state_.total_duration = state_.print_duration = state_.filament_used = 0;
  state_.total_layer.reset();
  state_.current_layer.reset();
  if (file.reports_layers) {
    state_.total_layer = file.layers;
    state_.current_layer = 0;
  }
  state_.file_path = std::string(kGcodesFolder) + file.path;
  state_.file_active = true;
  state_.file_size = file.size;
  state_.file_position = file.body_start;
  state_.file_progress = static_cast<double>(file.body_start) / static_cast<double>(file.size);
  state_.is_paused = false;
  state_.objects = file.objects;
  state_.excluded.clear();
  state_.current_object.reset();
  extruder_.set_target(150);
  bed_.set_target(file.bed_c);
  incident_ = plan_incident(profile_.behaviour, plan_);
  respond(fmt::format("File opened:{} Size:{}", file.path, file.size));
  respond("File selected");
  if (moonraker_up_) open_row(kApiUser);
}

void SimulatedHost::step_print() {
  if (state_.print != PrintState::kPrinting && state_.print != PrintState::kPaused) return;
  state_.total_duration += kStepS;
  if (state_.print != PrintState::kPrinting || file_ == nullptr) return;
  switch (phase_) {
    case Phase::kNone:
      break;
    case Phase::kHoming:
      if (now_ < phase_end_) break;
      state_.homed_axes = "xyz";
      state_.position = state_.live_position = {kBedCentreMm, kBedCentreMm, 10, 0};
      phase_ = Phase::kHeatingBed;
      break;
    case Phase::kHeatingBed:
      if (!bed_.reached()) break;
      phase_ = Phase::kHeatingExtruder;
      extruder_.set_target(file_->extruder_c);
      break;
    case Phase::kHeatingExtruder:
      if (extruder_.reached()) phase_ = Phase::kExtruding;
      break;
    case Phase::kExtruding:
      step_extruding();
      break;
  }
  if ((phase_ == Phase::kHeatingBed || phase_ == Phase::kHeatingExtruder) && now_ >= next_report_) {
    next_report_ = now_ + 1;
    respond(fmt::format("B:{:.1f} /{:.1f} T0:{:.1f} /{:.1f}", bed_.temperature(), bed_.target(),
                        extruder_.temperature(), extruder_.target()));
  }
}

void SimulatedHost::step_extruding() {
  skip_ahead(printed_s_ + kStepS * state_.speed_factor);
  state_.print_duration += kStepS;
  if (printed_s_ >= file_->print_s) complete_print();
}

// Everything that follows from how far the extruding has come.
void SimulatedHost::skip_ahead(double printed_s) {
  printed_s_ = std::min(printed_s, file_->print_s);
  const double share = print_share();
  const auto layer_end = std::upper_bound(layer_ends_s_.begin(), layer_ends_s_.end(), printed_s_);
  const int layer = std::min<int>(static_cast<int>(layer_end - layer_ends_s_.begin()) + 1, file_->layers);
  if (file_->reports_layers) state_.current_layer = layer;
  state_.filament_used = std::round(file_->filament_mm * share * state_.extrude_factor * 1e5) / 1e5;
  state_.file_position =
      file_->body_start + static_cast<int64_t>(share * static_cast<double>(file_->body_end - file_->body_start));
  state_.file_progress = static_cast<double>(state_.file_position) / static_cast<double>(file_->size);
  state_.fan_speed = layer < 2 ? 0.0 : layer == 2 ? file_->fan / 2 : file_->fan;
  if (!state_.objects.empty()) {
    state_.current_object = state_.objects[static_cast<size_t>(printed_s_ / 7) % state_.objects.size()];
  }
  const double angle = printed_s_ * 1.7;
  const double radius = 25 + 12 * std::sin(printed_s_ * 0.31);
  state_.live_position = {micrometres(kBedCentreMm + radius * std::cos(angle)),
                          micrometres(kBedCentreMm + radius * std::sin(angle)),
                          micrometres(layer * file_->layer_height_mm), micrometres(state_.filament_used)};
  state_.position = {micrometres(kBedCentreMm + radius * std::cos(angle + 0.2)),
                     micrometres(kBedCentreMm + radius * std::sin(angle + 0.2)),
                     micrometres(layer * file_->layer_height_mm), micrometres(state_.filament_used + 0.12)};
  state_.live_velocity = micrometres(1.7 * radius * state_.speed_factor);
  state_.live_extruder_velocity = micrometres(file_->filament_mm / file_->print_s);
  state_.move_speed = std::round(state_.live_velocity) * 60;
}

double SimulatedHost::print_share() const { return file_ == nullptr ? 0 : printed_s_ / file_->print_s; }

void SimulatedHost::pause_print() {
  state_.is_paused = true;
  if (state_.print != PrintState::kPrinting) return;
  state_.print = PrintState::kPaused;
  state_.file_active = false;
  state_.live_velocity = state_.live_extruder_velocity = 0;
}

void SimulatedHost::resume_print() {
  state_.is_paused = false;
  if (state_.print != PrintState::kPaused || file_ == nullptr) return;
  state_.print = PrintState::kPrinting;
  state_.file_active = true;
}

void SimulatedHost::cancel_print() {
  state_.is_paused = false;
  if (state_.print != PrintState::kPrinting && state_.print != PrintState::kPaused) return;
  close_row("cancelled");
  leave_print(PrintState::kCancelled);
  state_.file_position = 0;
  state_.file_size = 0;
  state_.file_progress = 0;
  if (!cancel_resets_file_) return;
  // A macro that calls SDCARD_RESET_FILE, as many do: print_stats never says "cancelled".
  state_.print = PrintState::kStandby;
  state_.filename.clear();
  state_.total_duration = state_.print_duration = state_.filament_used = 0;
  state_.total_layer.reset();
  state_.current_layer.reset();
}

void SimulatedHost::fail_print(std::string message) {
  if (state_.print != PrintState::kPrinting) return;
  state_.message = std::move(message);
  respond(fmt::format("!! {}", state_.message.substr(0, state_.message.find('\n'))));
  close_row("error");
  leave_print(PrintState::kError);
}

void SimulatedHost::complete_print() {
  respond("Done printing file");
  state_.file_progress = 1;
  state_.file_position = state_.file_size;
  close_row("completed");
  const auto file = static_cast<size_t>(file_ - files_.data());
  leave_print(PrintState::kComplete);
  if (profile_.behaviour != "reprint") return;
  reprinted_ = !reprinted_;
  if (!reprinted_) return;
  next_file_ = file;
  next_job_at_ = now_ + kReprintS;
}

void SimulatedHost::leave_print(PrintState state) {
  state_.print = state;
  state_.file_active = false;
  if (state != PrintState::kError) state_.file_path.clear();
  state_.current_object.reset();
  state_.live_velocity = state_.live_extruder_velocity = 0;
  state_.fan_speed = 0;
  state_.position[2] = state_.live_position[2] = micrometres(state_.live_position[2] + 10);
  motion_.settle();
  file_ = nullptr;
  phase_ = Phase::kNone;
  incident_.reset();
  fault_shutdown_at_.reset();
  runout_pause_at_.reset();
  turn_heaters_off();
  if (profile_.behaviour != "idle")
    next_job_at_ = now_ + plan_.between(20, 60) * std::max(profile_.duration_scale, 0.3);
}

void SimulatedHost::write_row(ShownHistoryRow& row, std::string_view status, std::string_view user,
                              const SimulatedFile& file) {
  JsonWriter json;
  json.object().field("job_id", moonraker_job_id(row.number)).field("user", user).field("filename", file.path);
  json.field("status", status).field("start_time", row.start_time).field("end_time", row.end_time);
  json.field("print_duration", row.print_duration).field("total_duration", row.total_duration);
  json.field("filament_used", row.filament_used).key("metadata").object();
  write_metadata(json, file);
  json.end().key("auxiliary_data").array().end().field("exists", true).end();
  row.json = json.take();
  row.ended = status != "in_progress";
}

void SimulatedHost::open_row(std::string_view user) {
  if (history_.size() >= std::max(kMaxHistoryRows, profile_.history_rows)) history_.erase(history_.begin());
  ShownHistoryRow row;
  row.number = next_job_number_++;
  row.start_time = wall_now();
  write_row(row, "in_progress", user, *file_);
  open_user_ = user;
  emit(HostEvent::Kind::kHistoryAdded, row.json);
  history_.push_back(std::move(row));
  row_open_ = true;
}

// Only the newest row can be open.
void SimulatedHost::close_row(std::string_view status) {
  if (!row_open_ || file_ == nullptr || history_.empty()) return;
  row_open_ = false;
  ShownHistoryRow& row = history_.back();
  row.end_time = wall_now();
  row.total_duration = microseconds(state_.total_duration);
  row.print_duration = microseconds(state_.print_duration);
  row.filament_used = state_.filament_used;
  write_row(row, status, open_user_, *file_);
  emit(HostEvent::Kind::kHistoryFinished, row.json);
}

void SimulatedHost::moonraker_stopped(bool properly) {
  if (properly) close_row("server_exit");
  row_killed_ = row_open_;
  row_open_ = false;
  moonraker_up_ = false;
}

void SimulatedHost::moonraker_started() {
  moonraker_up_ = true;
  if (!row_killed_ || history_.empty()) return;
  row_killed_ = false;
  // Nobody wrote the row's end: the numbers are those of the moment when it was made.
  ShownHistoryRow& row = history_.back();
  const size_t at = row.json.find(R"("status":"in_progress")");
  if (at != std::string::npos) row.json.replace(at, 22, R"("status":"interrupted")");
  row.ended = true;
}

void SimulatedHost::seed_history() {
  const size_t few = 5 + physics_.next() % 10;
  const size_t count = profile_.history_rows > 0 ? profile_.history_rows : few;
  // Many prints are short ones, so that the first of them was not before anybody printed.
  const double pace = std::min(1.0, 10'000.0 / static_cast<double>(count));
  double end = profile_.wall_start_s - 7'000 * profile_.duration_scale - physics_.between(900, 7'200);
  std::vector<ShownHistoryRow> newest_first;
  for (size_t i = 0; i < count; ++i) {
    const SimulatedFile& file = files_[physics_.next() % files_.size()];
    const bool cancelled = physics_.unit() < 0.15;
    const double share = cancelled ? physics_.between(0.05, 0.9) : 1.0;
    ShownHistoryRow row;
    row.number = count - i;
    row.end_time = std::round(end * 1e6) / 1e6;
    row.print_duration = std::round(file.print_s * share * pace * 1000) / 1000;
    row.total_duration = row.print_duration + std::round(physics_.between(60, 200) * 1000) / 1000;
    row.filament_used = std::round(file.filament_mm * share * 100) / 100;
    row.start_time = std::round((end - row.total_duration) * 1e6) / 1e6;
    write_row(row, cancelled ? "cancelled" : "completed", kApiUser, file);
    end = row.start_time - physics_.between(300, 30'000) * pace;
    newest_first.push_back(std::move(row));
  }
  history_.assign(std::make_move_iterator(newest_first.rbegin()), std::make_move_iterator(newest_first.rend()));
  next_job_number_ = count + 1;
}

}  // namespace millrace
