// SPDX-License-Identifier: Apache-2.0
// The live part: status changes, row messages, and Klipper or the link going away.
#include "producers/moonraker/job_tracker.h"

#include <cstdlib>

#include "producers/moonraker/machine_state.h"
#include "safety/failure_cause.h"

namespace millrace {
namespace {

constexpr double kRestartDrop = 1.0;         // seconds by which total_duration falls at a restart inside one poll
constexpr int64_t kSamePrintUs = 5'000'000;  // between a row's start and our own estimate

bool is_restart(const Observation& before, const Observation& now) {
  if (!before.filename.empty() && !now.filename.empty() && before.filename != now.filename) return true;
  return before.total_duration && now.total_duration && *now.total_duration < *before.total_duration - kRestartDrop;
}

// Moonraker's own rule for telling a resumed print from a new one.
bool is_resumption(const Observation& before, const Observation& now) {
  return before.filename == now.filename && before.total_duration && now.total_duration &&
         *now.total_duration > *before.total_duration;
}

}  // namespace

JobTracker::JobTracker(JobTrackerOptions options, const Clock& clock, const MachineTime& time, EventBatch& out,
                       JobMemory& memory)
    : options_(options), clock_(clock), time_(time), out_(out), memory_(memory), open_(memory.open) {}

void JobTracker::on_snapshot(const Observation& now) {
  if (phase_ != Phase::kBlind) return on_status(now);
  if (hold_) resolve_hold();  // Klipper is back and did not say its process id
  now_ = now;
  begin_reconcile();
}

void JobTracker::on_status(const Observation& now) {
  const bool was_ready = now_.klipper_state == "ready";
  const bool changes = now.print_state != now_.print_state;
  const bool restarts = !changes && now.print_state == "printing" && open_ && is_restart(now_, now);
  if (phase_ == Phase::kLive && ends_hold(now, changes || restarts)) resolve_hold();  // by what was known before
  const Observation before = std::exchange(now_, now);
  if (phase_ == Phase::kBlind) return;
  if (phase_ == Phase::kReconciling) return try_decide();
  if (now.klipper_state != "ready") {
    // From here on print_stats says "paused" or "error" about a print that has ended already.
    if (now.klipper_state == "shutdown" && before.klipper_state != "shutdown") begin_shutdown(std::nullopt);
    return resolve_shutdown_if_complete();
  }
  if (!was_ready) return begin_reconcile();
  if (changes) {
    change_state(before);
  } else if (restarts && open_) {
    restart_inside_poll();
  }
  if (open_ && !hold_) {
    follow_numbers();
    tell_exclusions();
    progress();
  }
  note_observed();
}

bool JobTracker::ends_hold(const Observation& now, bool print_moves) const {
  if (!hold_) return false;
  if (now.klipper_state == "ready") return now_.klipper_state != "ready" || print_moves;
  // A shutdown may be heard of before its status comes.
  return now.klipper_state != now_.klipper_state && !is_holding(Hold::Kind::kShutdown);
}

void JobTracker::change_state(const Observation& before) {
  const bool was_active = is_active(before.print_state);
  if (!is_active(now_.print_state)) {
    if (was_active) begin_end(now_.print_state);
  } else if (!was_active) {
    begin_start();
  } else if (!open_) {
    // Ended by its row alone (L9) while the status stood still: only a new print can move it.
    if (now_.print_state == "printing" && !is_resumption(before, now_)) begin_start();
  } else if (now_.print_state == "paused") {
    pause(false);
  } else if (is_resumption(before, now_)) {
    resume(false);
  } else {
    begin_replace();
  }
}

void JobTracker::begin_start() {
  if (open_ && open_->row_ahead) {  // L3: its row was first
    open_->row_ahead = false;
    if (now_.print_state == "paused") pause(false);
    return;
  }
  if (open_) finish_unobserved("not_observed");  // its end fell into a gap that the history has not explained yet
  hold(Hold::Kind::kStart, options_.row_hold);
  hold_->excluded = now_.excluded;
}

void JobTracker::begin_end(const std::string& print_state) {
  if (!open_) return;
  // A reset to standby has wiped the counters in the same delta, so the last ones before it count (L10).
  if (print_state != "standby") follow_numbers();
  hold(Hold::Kind::kEnd, options_.row_hold);
  hold_->print_state = print_state;
  hold_->text = now_.print_text;
}

void JobTracker::begin_replace() { hold(Hold::Kind::kReplace, options_.row_hold); }

// L7: Moonraker goes on with one row for both prints, so neither may take anything more from it.
void JobTracker::restart_inside_poll() {
  if (open_->start_us != 0) {
    if (KnownRow* known = memory_.known.find(open_->start_us, open_->filename)) known->split = true;
  }
  finish({.outcome = schema::JobOutcome::cancelled, .evidence = schema::JobEvidence::observed, .cause = "replaced"});
  start(nullptr, schema::JobSeen::live);
  open_->split = true;
  wants_recent_ = false;
}

void JobTracker::on_klipper_shutdown() {
  if (phase_ != Phase::kLive) return;
  begin_shutdown(std::nullopt);
  resolve_shutdown_if_complete();
}

void JobTracker::begin_shutdown(std::optional<HistoryRow> row) {
  if (hold_ && !is_holding(Hold::Kind::kShutdown) && !is_holding(Hold::Kind::kAway)) resolve_hold();
  if (hold_ || !open_ || undecided_) return;
  hold(Hold::Kind::kShutdown, options_.row_hold);
  hold_->finished = std::move(row);
}

// Whichever of status, notification and row is first starts the hold; the text comes with the status.
void JobTracker::resolve_shutdown_if_complete() {
  if (is_holding(Hold::Kind::kShutdown) && hold_->finished && now_.klipper_state == "shutdown") resolve_hold();
}

void JobTracker::on_klipper_gone() {
  if (hold_ && !is_holding(Hold::Kind::kAway)) resolve_hold();
  if (phase_ == Phase::kLive && !undecided_) begin_away(std::nullopt);
  phase_ = Phase::kBlind;
}

void JobTracker::begin_away(std::optional<HistoryRow> row) {
  if (hold_ || !open_) return;
  hold(Hold::Kind::kAway, options_.klipper_back_hold);
  hold_->finished = std::move(row);
}

void JobTracker::on_process_id(int64_t process_id) {
  process_id_ = process_id;
  if (is_holding(Hold::Kind::kAway)) resolve_hold();
}

void JobTracker::on_link_lost() {
  process_id_ = is_holding(Hold::Kind::kAway) ? 0 : process_id_;
  resolve_hold();
  wants_history_ = wants_recent_ = false;
  phase_ = Phase::kBlind;
}

void JobTracker::on_machine_removed() {
  resolve_hold();
  if (!open_) return;
  finish({.outcome = schema::JobOutcome::interrupted,
          .evidence = schema::JobEvidence::inconclusive,
          .cause = "machine_removed"});
}

void JobTracker::on_row_added(const HistoryRow& row) {
  if (phase_ == Phase::kReconciling) {
    if (pending_rows_.size() < kMaxPendingRows) pending_rows_.push_back(row);
    return try_decide();
  }
  if (memory_.known.find(row.start_us, row.filename) != nullptr) return;
  if (is_holding(Hold::Kind::kReplace)) {
    hold_->added = row;
    if (hold_->finished) resolve_hold();
    return;
  }
  if (is_holding(Hold::Kind::kStart)) {
    hold_->added = row;
    return resolve_hold();
  }
  resolve_hold();
  if (open_ && can_identify(row)) return identify(row);
  if (open_) {  // L16
    finish({.outcome = schema::JobOutcome::cancelled, .evidence = guess_rank(), .cause = "replaced"});
  }
  start(&row, schema::JobSeen::live);
  open_->row_ahead = phase_ == Phase::kBlind || !is_active(now_.print_state);  // L3
}

void JobTracker::on_row_finished(const HistoryRow& row) {
  if (phase_ == Phase::kReconciling) {
    if (pending_rows_.size() < kMaxPendingRows) pending_rows_.push_back(row);
    return try_decide();
  }
  const KnownRow* known = memory_.known.find(row.start_us, row.filename);
  if (known != nullptr && known->split) return;
  if (is_holding(Hold::Kind::kStart) && known == nullptr && row.filename == now_.filename) {
    hold_->added = row;  // its `added` was lost
    resolve_hold();
  }
  if (open_ && can_identify(row)) identify(row);
  if (!is_open(row)) return tell_row(row, schema::JobSeen::live);  // L15
  if (!is_conclusive(row.status)) return;                          // K5: the print goes on without Moonraker
  undecided_ = false;
  if (hold_) {
    hold_->finished = row;
    if (hold_->kind == Hold::Kind::kEnd || (hold_->kind == Hold::Kind::kReplace && hold_->added)) return resolve_hold();
    return resolve_shutdown_if_complete();
  }
  if (row.status == "klippy_shutdown") {
    begin_shutdown(row);
    resolve_shutdown_if_complete();
  } else if (row.status == "klippy_disconnect") {
    begin_away(row);
  } else {
    finish(end_of_row(row));  // L9
  }
}

bool JobTracker::is_open(const HistoryRow& row) const {
  return open_ && open_->start_us == row.start_us && open_->filename == row.filename;
}

// Whether the row can belong to the open job, which was started without one.
bool JobTracker::can_identify(const HistoryRow& row) {
  if (open_->start_us != 0 || open_->split || open_->filename != row.filename) return false;
  if (memory_.known.find(row.start_us, row.filename) != nullptr) return false;
  return open_->began_us == 0 || std::abs(row.start_us - open_->began_us) <= kSamePrintUs;
}

void JobTracker::hold(Hold::Kind kind, std::chrono::milliseconds time) {
  hold_.emplace();
  hold_->kind = kind;
  hold_->deadline = clock_.monotonic() + time;
}

void JobTracker::resolve_hold() {
  if (!hold_) return;
  const Hold held = *std::exchange(hold_, std::nullopt);
  const HistoryRow* added = held.added ? &*held.added : nullptr;
  switch (held.kind) {
    case Hold::Kind::kStart:
      start(added, schema::JobSeen::live);  // L1, L2
      open_->excluded = held.excluded;
      break;
    case Hold::Kind::kReplace:
      finish_held(held);
      start(added, schema::JobSeen::live);  // L6
      break;
    case Hold::Kind::kEnd:
    case Hold::Kind::kShutdown:
    case Hold::Kind::kAway:
      finish_held(held);
      break;
  }
}

void JobTracker::finish_held(const Hold& held) {
  if (!open_) return;
  using schema::JobEvidence;
  using schema::JobOutcome;
  End end;
  end.row = held.finished ? &*held.finished : nullptr;
  const auto rank = [&](JobEvidence without_row) { return end.row != nullptr ? JobEvidence::conclusive : without_row; };
  switch (held.kind) {
    case Hold::Kind::kStart:
      return;
    case Hold::Kind::kReplace:
      end.outcome = JobOutcome::cancelled;
      end.evidence = rank(guess_rank());
      end.cause = "replaced";
      break;
    case Hold::Kind::kShutdown:
      end.outcome = end.row != nullptr ? outcome_of(end.row->status) : JobOutcome::failed;
      end.evidence = rank(sight_rank());
      if (end.outcome == JobOutcome::failed) {
        end.text = now_.klipper_state == "ready" ? std::string() : now_.klipper_text;
        end.cause = failure_cause(end.text, now_.print_text);
      }
      break;
    case Hold::Kind::kAway:
      end.outcome = end.row != nullptr ? outcome_of(end.row->status) : JobOutcome::interrupted;
      end.evidence = rank(guess_rank());
      end.cause = interruption_cause();
      break;
    case Hold::Kind::kEnd: {
      const bool reset = held.print_state == "standby";
      end.evidence = rank(reset && !open_->outlived ? guess_rank() : sight_rank());  // a reset may hide any result
      end.outcome = end.row != nullptr                         ? outcome_of(end.row->status)
                    : held.print_state == "complete"           ? JobOutcome::completed
                    : held.print_state == "error"              ? JobOutcome::failed
                    : reset || held.print_state == "cancelled" ? JobOutcome::cancelled
                                                               : JobOutcome::failed;
      if (end.outcome == JobOutcome::failed) {  // K10
        end.cause = "gcode_error";
        end.text = held.text;
      }
      break;
    }
  }
  finish(end);
}

std::optional<MonotonicTime> JobTracker::next_deadline() const {
  std::optional<MonotonicTime> next;
  if (hold_) next = hold_->deadline;
  if (machine_time_deadline_ && (!next || *machine_time_deadline_ < *next)) next = machine_time_deadline_;
  if (has_backlog()) next = clock_.monotonic();
  return next;
}

void JobTracker::on_timer() {
  const MonotonicTime now = clock_.monotonic();
  if (hold_ && hold_->deadline <= now) {
    if (is_holding(Hold::Kind::kAway)) process_id_ = 0;  // still away
    resolve_hold();
  }
  if (machine_time_deadline_ && *machine_time_deadline_ <= now) {
    machine_time_deadline_.reset();
    machine_time_given_up_ = true;
    try_decide();
  }
  drain_backlog();
}

}  // namespace millrace
