// SPDX-License-Identifier: Apache-2.0
// After every connection: what became of the open job, which print is running now, and what happened unseen.
#include <algorithm>
#include <cmath>

#include "producers/moonraker/job_tracker.h"
#include "producers/moonraker/machine_state.h"

namespace millrace {
namespace {

// The printer's clock minus total_duration stayed within 0.25 s of the row's start in every recorded print.
constexpr double kSamePrintSeconds = 5.0;

bool is_result(std::string_view print_state) {
  return print_state == "complete" || print_state == "cancelled" || print_state == "error";
}

bool may_go_on(const HistoryRow& row) { return row.status == "server_exit" || row.status == "interrupted"; }

}  // namespace

void JobTracker::begin_reconcile() {
  resolve_hold();
  phase_ = Phase::kReconciling;
  history_ = HistoryKnown::kPending;
  wants_history_ = true;
  undecided_ = false;
  machine_time_given_up_ = false;
  machine_time_deadline_.reset();
  rows_.clear();
  pending_rows_.clear();
}

void JobTracker::on_history(std::vector<HistoryRow> newest_first) {
  if (phase_ == Phase::kBlind) return;  // the connection that follows asks again
  rows_ = std::move(newest_first);
  history_ = HistoryKnown::kRead;
  if (phase_ == Phase::kReconciling) return try_decide();
  // It came after failures, the live part has gone on meanwhile.
  if (undecided_) return decide();
  for (const HistoryRow& row : rows_) {
    if (open_ && can_identify(row)) identify(row);
  }
  queue_backlog(nullptr);
}

void JobTracker::on_history_failed(bool absent) {
  history_ = absent ? HistoryKnown::kAbsent : HistoryKnown::kFailed;
  try_decide();
}

void JobTracker::on_recent_rows(const std::vector<HistoryRow>& newest_first) {
  for (const HistoryRow& row : newest_first) {
    if (open_ && !is_conclusive(row.status) && can_identify(row)) return identify(row);
  }
}

void JobTracker::on_machine_time() { try_decide(); }

void JobTracker::try_decide() {
  if (phase_ != Phase::kReconciling || history_ == HistoryKnown::kPending) return;
  merge_pending_rows();
  if (must_wait_for_machine_time()) {
    // It is said once a second.
    if (!machine_time_deadline_) machine_time_deadline_ = clock_.monotonic() + 3 * options_.row_hold;
    return;
  }
  machine_time_deadline_.reset();
  decide();
}

// A message is newer than the page that was read meanwhile.
void JobTracker::merge_pending_rows() {
  for (HistoryRow& row : std::exchange(pending_rows_, {})) {
    const auto same = std::ranges::find_if(rows_, [&](const HistoryRow& other) {
      return other.start_us == row.start_us && other.filename == row.filename;
    });
    if (same == rows_.end()) {
      rows_.insert(rows_.begin(), std::move(row));
    } else if (row.status != "in_progress") {
      *same = std::move(row);
    }
  }
}

bool JobTracker::must_wait_for_machine_time() const {
  if (time_.now() || machine_time_given_up_) return false;
  if (now_.klipper_state != "ready" || !is_active(now_.print_state) || rows_.empty()) return false;
  const HistoryRow& row = rows_.front();
  return may_go_on(row) && row.filename == now_.filename && !(open_ && open_->start_us == row.start_us);
}

void JobTracker::decide() {
  resolve_hold();
  phase_ = Phase::kLive;
  undecided_ = false;
  const bool active = now_.klipper_state == "ready" && is_active(now_.print_state);
  const HistoryRow* current = active ? current_row() : nullptr;
  if (current != nullptr && open_ && can_identify(*current) && same_print_as_open()) identify(*current);
  const bool same = current != nullptr && is_open(*current);
  if (open_ && !same) {
    const HistoryRow* own = row_of_open(current);
    const bool ended = own != nullptr && is_conclusive(own->status);
    const bool goes_on = active && current == nullptr && !ended && same_print_as_open();  // R2 without a row
    if (!goes_on) settle_open(active, own);
  }
  if (current != nullptr) {
    if (!open_) adopt(*current);
    open_->outlived = open_->outlived || current->status != "in_progress";
  }
  if (active && open_ && open_->paused != (now_.print_state == "paused")) {
    open_->paused ? resume(true) : pause(true);  // R1
  }
  if (active && !open_ && !hold_) {  // R3; a print that began this instant still gets its row
    hold(Hold::Kind::kStart, options_.row_hold);
    hold_->excluded = now_.excluded;
  }
  queue_backlog(current);
  if (open_ && !undecided_) {
    follow_numbers();
    tell_exclusions();
    progress();
  }
  note_observed();
}

const HistoryRow* JobTracker::newest_own_row() {
  for (const HistoryRow& row : rows_) {
    const KnownRow* known = memory_.known.find(row.start_us, row.filename);
    if (known == nullptr || !known->split) return &row;
  }
  return nullptr;
}

// The row of the print that is running: R1, R2.
const HistoryRow* JobTracker::current_row() {
  const HistoryRow* row = newest_own_row();
  if (row == nullptr || row->filename != now_.filename) return nullptr;
  if (open_ && open_->split && same_print_as_open()) return nullptr;
  if (row->status == "in_progress") return row;
  return may_go_on(*row) && goes_on(*row) ? row : nullptr;
}

bool JobTracker::goes_on(const HistoryRow& row) const {
  const double duration = now_.total_duration.value_or(0);
  if (is_open(row)) return duration >= open_->total_duration;
  const auto now = time_.now();
  const bool jumped = memory_.last_offset && time_.offset() && now_.eventtime >= memory_.last_eventtime &&
                      std::abs(*time_.offset() - *memory_.last_offset) > kSamePrintSeconds;
  if (now && !jumped) {
    return std::abs(*now - duration - static_cast<double>(row.start_us) / 1e6) <= kSamePrintSeconds;
  }
  return duration >= row.total_duration.value_or(0);
}

bool JobTracker::same_print_as_open() const {
  return open_ && open_->filename == now_.filename && now_.total_duration.value_or(-1) >= open_->total_duration;
}

// Also finds the row of a job that was started without one.
const HistoryRow* JobTracker::row_of_open(const HistoryRow* current) {
  const auto found = std::ranges::find_if(rows_, [&](const HistoryRow& row) { return is_open(row); });
  if (found != rows_.end()) return &*found;
  const auto match =
      std::ranges::find_if(rows_, [&](const HistoryRow& row) { return &row != current && can_identify(row); });
  if (match == rows_.end()) return nullptr;
  identify(*match);
  return &*match;
}

void JobTracker::adopt(const HistoryRow& row) {
  KnownRow* known = memory_.known.find(row.start_us, row.filename);
  if (known == nullptr) return start(&row, schema::JobSeen::history);
  open_.emplace();
  open_->id = job_id_of(*known);
  open_->start_us = row.start_us;
  open_->moonraker_job_id = row.moonraker_job_id;
  open_->filename = row.filename;
  open_->user = row.user;
  open_->process_id = process_id_;
}

void JobTracker::settle_open(bool active, const HistoryRow* row) {
  if (row != nullptr && is_conclusive(row->status)) {  // R4, R6
    End end = end_of_row(*row);
    end.late = true;
    return finish(end);
  }
  if (!active && now_.klipper_state != "ready") {  // R8
    undecided_ = true;
    return;
  }
  if (is_result(now_.print_state) && same_print_as_open()) {  // R5
    follow_numbers();
    End end;
    end.outcome = now_.print_state == "complete"    ? schema::JobOutcome::completed
                  : now_.print_state == "cancelled" ? schema::JobOutcome::cancelled
                                                    : schema::JobOutcome::failed;
    end.evidence = sight_rank();
    end.late = true;
    if (end.outcome == schema::JobOutcome::failed) {
      end.cause = "gcode_error";
      end.text = now_.print_text;
    }
    return finish(end);
  }
  if (active) return finish_unobserved("unknown");  // R3
  if (history_ == HistoryKnown::kFailed) {
    undecided_ = true;
    return;
  }
  const bool rebooted = now_.eventtime < memory_.last_eventtime;
  const bool died = open_->process_id != 0 && process_id_ != 0 && open_->process_id != process_id_;
  finish_unobserved(rebooted ? "host_restarted" : died ? "klipper_died" : "not_observed");  // R7
}

void JobTracker::finish_unobserved(std::string cause) {
  End end;
  end.outcome = schema::JobOutcome::interrupted;
  end.evidence = schema::JobEvidence::inconclusive;
  end.cause = std::move(cause);
  end.late = true;
  end.time_known = false;
  finish(end);
  undecided_ = false;
}

void JobTracker::queue_backlog(const HistoryRow* current) {
  for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) {
    if (&*row != current && !is_open(*row) && !is_settled(*row)) backlog_.push_back(std::move(*row));
  }
  rows_.clear();
}

void JobTracker::drain_backlog() {
  for (size_t told = 0; told < kBacklogStep && !backlog_.empty(); ++told) {
    const HistoryRow row = std::move(backlog_.front());
    backlog_.pop_front();
    if (!is_open(row)) tell_row(row, schema::JobSeen::history);
  }
}

bool JobTracker::is_settled(const HistoryRow& row) {
  const KnownRow* known = memory_.known.find(row.start_us, row.filename);
  if (known == nullptr) return false;
  return known->final_told || known->split || (may_go_on(row) && known->ended >= schema::JobEvidence::conclusive);
}

void JobTracker::note_observed() {
  memory_.last_observed_us = to_unix_us(clock_.wall());
  memory_.last_eventtime = now_.eventtime;
  memory_.last_offset = time_.offset();
  if (open_ && process_id_ != 0) open_->process_id = process_id_;
}

}  // namespace millrace
