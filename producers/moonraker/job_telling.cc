// SPDX-License-Identifier: Apache-2.0
// The events of jobs.
#include <algorithm>
#include <cmath>

#include "producers/moonraker/job_tracker.h"
#include "producers/moonraker/machine_state.h"
#include "producers/moonraker/row_events.h"
#include "safety/failure_cause.h"

namespace millrace {
namespace {

constexpr double kRunoutWindow = 5.0;  // seconds of eventtime between a sensor running empty and the pause

std::optional<double> seen(double number) { return number < 0 ? std::nullopt : std::optional(number); }

}  // namespace

std::string JobTracker::job_id_of(const KnownRow& known) const {
  if (!known.local_id.empty()) return known.local_id;
  return job_id_of_row(out_.machine(), known.start_us, known.ordinal);
}

void JobTracker::tell_started(const KnownRow& known, const HistoryRow& row, schema::JobSeen seen_how) {
  out_.add(started_by_row(job_id_of(known), row, seen_how, time_.skew_ms()), from_unix_us(row.start_us));
}

void JobTracker::start(const HistoryRow* row, schema::JobSeen seen_how) {
  OpenJob job;
  job.process_id = process_id_;
  if (row != nullptr) {
    const KnownRow* known = memory_.known.find(row->start_us, row->filename);
    if (known == nullptr) known = &memory_.known.add(row->start_us, row->filename);
    tell_started(*known, *row, seen_how);
    job.id = job_id_of(*known);
    job.start_us = row->start_us;
    job.moonraker_job_id = row->moonraker_job_id;
    job.filename = row->filename;
    job.user = row->user;
  } else {
    const EventId id = out_.next_id();
    job.id = out_.machine() + ".e" + std::to_string(id.epoch) + "-" + std::to_string(id.sequence);
    job.filename = now_.filename;
    if (const auto now = time_.now()) job.began_us = std::llround((*now - now_.total_duration.value_or(0)) * 1e6);
    schema::JobStartedT started;
    started.job_id = job.id;
    started.filename = job.filename;
    started.seen = seen_how;
    started.skew_ms = time_.skew_ms();
    out_.add(std::move(started), time_.occurred());
    wants_recent_ = true;
  }
  open_ = std::move(job);
  if (is_active(now_.print_state)) follow_numbers();  // otherwise the status still shows an older print
  if (phase_ == Phase::kLive && seen_how == schema::JobSeen::live && now_.print_state == "paused") pause(false);
}

void JobTracker::identify(const HistoryRow& row) {
  KnownRow& known = memory_.known.add(row.start_us, row.filename);
  known.local_id = open_->id;
  open_->start_us = row.start_us;
  open_->moonraker_job_id = row.moonraker_job_id;
  open_->user = row.user;
  schema::JobIdentifiedT identified;
  identified.job_id = open_->id;
  identified.start_us = row.start_us;
  identified.moonraker_job_id = row.moonraker_job_id;
  out_.add(std::move(identified), time_.occurred());
}

void JobTracker::pause(bool late) {
  if (open_->paused) return;
  open_->paused = true;
  const bool ran_out =
      now_.runout_at && now_.eventtime >= *now_.runout_at && now_.eventtime - *now_.runout_at <= kRunoutWindow;
  schema::JobPausedT paused;
  paused.job_id = open_->id;
  paused.cause = ran_out && !late ? "filament_runout" : "unknown";
  paused.late = late;
  paused.total_duration = now_.total_duration;
  out_.add(std::move(paused), time_.occurred());
}

void JobTracker::resume(bool late) {
  if (!open_->paused) return;
  open_->paused = false;
  schema::JobResumedT resumed;
  resumed.job_id = open_->id;
  resumed.late = late;
  resumed.total_duration = now_.total_duration;
  out_.add(std::move(resumed), time_.occurred());
}

void JobTracker::follow_numbers() {
  if (open_->filename != now_.filename || !now_.total_duration) return;
  if (*now_.total_duration < open_->total_duration) return;
  open_->total_duration = *now_.total_duration;
  open_->print_duration = now_.print_duration.value_or(-1);
  open_->filament_used = now_.filament_used.value_or(-1);
}

void JobTracker::progress() {
  if (!is_active(now_.print_state) || now_.klipper_state != "ready") return;
  // The margin keeps 0.29 from becoming 28 %.
  const int percent = now_.progress ? static_cast<int>(std::floor(*now_.progress * 100 + 1e-9)) : open_->percent;
  const int layer = now_.layer.value_or(open_->layer);
  if (percent == open_->percent && layer == open_->layer) return;
  const double since = now_.eventtime - open_->progress_at;
  if (since >= 0 && since < std::chrono::duration<double>(options_.progress_interval).count()) return;
  open_->percent = percent;
  open_->layer = layer;
  open_->progress_at = now_.eventtime;
  schema::JobProgressedT progressed;
  progressed.job_id = open_->id;
  progressed.progress = now_.progress;
  progressed.layer = now_.layer;
  progressed.total_layers = now_.total_layers;
  progressed.total_duration = now_.total_duration;
  progressed.print_duration = now_.print_duration;
  progressed.filament_used = now_.filament_used;
  out_.add(std::move(progressed), time_.occurred());
}

void JobTracker::tell_exclusions() {
  if (now_.excluded == open_->excluded || !is_active(now_.print_state)) return;
  for (const std::string& name : now_.excluded) {
    if (std::ranges::find(open_->excluded, name) != open_->excluded.end()) continue;
    schema::JobObjectExcludedT excluded;
    excluded.job_id = open_->id;
    excluded.name = name;
    excluded.excluded = static_cast<int>(now_.excluded.size());
    excluded.total = now_.objects;
    out_.add(std::move(excluded), time_.occurred());
  }
  open_->excluded = now_.excluded;
}

// A terminal state that was seen: it outranks a row that does not know the end.
schema::JobEvidence JobTracker::sight_rank() const {
  return open_->start_us != 0 ? schema::JobEvidence::observed : schema::JobEvidence::conclusive;
}

// An end that was concluded: a conclusive row may still correct it.
schema::JobEvidence JobTracker::guess_rank() const {
  return open_->start_us != 0 ? schema::JobEvidence::inconclusive : schema::JobEvidence::conclusive;
}

std::string JobTracker::interruption_cause() const {
  if (open_->process_id == 0 || process_id_ == 0) return "klipper_away";
  return open_->process_id == process_id_ ? "klipper_restarted" : "klipper_died";
}

JobTracker::End JobTracker::end_of_row(const HistoryRow& row) const {
  End end;
  end.outcome = outcome_of(row.status);
  end.evidence = is_conclusive(row.status) ? schema::JobEvidence::conclusive : schema::JobEvidence::inconclusive;
  end.row = &row;
  if (row.status == "klippy_shutdown") {
    if (now_.klipper_state == "shutdown") end.text = now_.klipper_text;
    end.cause = failure_cause(end.text, "");
  } else if (row.status == "klippy_disconnect") {
    end.cause = interruption_cause();
  } else if (end.outcome == schema::JobOutcome::failed) {
    end.cause = row.status == "error" ? "gcode_error" : "unknown";
    if (now_.print_state == "error" && now_.filename == row.filename) end.text = now_.print_text;
  }
  return end;
}

void JobTracker::finish(const End& end) {
  schema::JobFinishedT finished;
  finished.job_id = open_->id;
  finished.start_us = open_->start_us;
  finished.moonraker_job_id = open_->moonraker_job_id;
  finished.user = open_->user;
  finished.outcome = end.outcome;
  finished.cause = end.cause;
  finished.text = end.text;
  finished.evidence = end.evidence;
  finished.late = end.late;
  finished.seen = end.late && end.row != nullptr ? schema::JobSeen::history : schema::JobSeen::live;
  finished.skew_ms = time_.skew_ms();
  if (end.late) finished.last_observed_us = memory_.last_observed_us;
  finished.total_duration = seen(open_->total_duration);
  finished.print_duration = seen(open_->print_duration);
  finished.filament_used = seen(open_->filament_used);
  WallTime occurred = end.time_known ? time_.occurred() : WallTime{};
  if (end.row != nullptr) {
    finished.row_status = end.row->status;
    finished.end_us = end.row->end_us;
    finished.metadata_json = end.row->metadata_json;
    finished.auxiliary_json = end.row->auxiliary_json;
    if (end.row->end_us != 0) occurred = from_unix_us(end.row->end_us);
    if (is_conclusive(end.row->status)) {
      finished.total_duration = end.row->total_duration;
      finished.print_duration = end.row->print_duration;
      finished.filament_used = end.row->filament_used;
    }
  }
  if (KnownRow* known = memory_.known.find(open_->start_us, open_->filename);
      known != nullptr && open_->start_us != 0) {
    known->ended = std::max(known->ended, end.evidence);
    known->final_told = known->final_told || known->split || (end.row != nullptr && is_conclusive(end.row->status));
  }
  out_.add(std::move(finished), occurred);
  open_.reset();
  undecided_ = false;
}

void JobTracker::tell_row(const HistoryRow& row, schema::JobSeen seen_how) {
  KnownRow* known = memory_.known.find(row.start_us, row.filename);
  if (known == nullptr) {
    known = &memory_.known.add(row.start_us, row.filename);
    tell_started(*known, row, seen_how);
  }
  if (row.status == "in_progress" || known->final_told || known->split) return;
  if (!is_conclusive(row.status) && known->ended != schema::JobEvidence::none) return;
  tell_row_end(*known, row, seen_how);
}

void JobTracker::tell_row_end(KnownRow& known, const HistoryRow& row, schema::JobSeen seen_how) {
  schema::JobFinishedT finished = finished_by_row(job_id_of(known), row, seen_how, time_.skew_ms());
  known.ended = std::max(known.ended, finished.evidence);
  known.final_told = is_conclusive(row.status);
  out_.add(std::move(finished), from_unix_us(row.end_us));
}

}  // namespace millrace
