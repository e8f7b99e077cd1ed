// SPDX-License-Identifier: Apache-2.0
// Decides from one printer's status, history rows and restarts when a job begins, pauses, goes on and ends, so that one
// print is one job whoever saw it and whenever.  The table is in docs/jobs.md; comments name its rows (L1, K2, R3).
//
// One thread.  Events go into the batch; the owner emits it after each call.  Reads no wall clock for any decision.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/clock.h"
#include "producers/moonraker/event_batch.h"
#include "producers/moonraker/history_row.h"
#include "producers/moonraker/job_memory.h"
#include "producers/moonraker/machine_time.h"
#include "producers/moonraker/printer_view.h"

namespace millrace {

struct JobTrackerOptions {
  std::chrono::milliseconds row_hold{1'000};
  std::chrono::milliseconds progress_interval{10'000};
  std::chrono::milliseconds klipper_back_hold{30'000};
};

class JobTracker {
 public:
  static constexpr size_t kMaxPendingRows = 64;  // row messages that come while the history is read
  static constexpr size_t kBacklogStep = 25;     // rows told by one drain_backlog()

  // References outlive it.
  JobTracker(JobTrackerOptions options, const Clock& clock, const MachineTime& time, EventBatch& out,
             JobMemory& memory);

  // The first status of a subscription; a repeated subscription counts as one more status.
  void on_snapshot(const Observation& now);
  void on_status(const Observation& now);
  // notify_history_changed with action "added" or "finished".
  void on_row_added(const HistoryRow& row);
  void on_row_finished(const HistoryRow& row);

  void on_klipper_shutdown();
  void on_klipper_gone();
  // Klipper is back with this process; 0 = it does not say.
  void on_process_id(int64_t process_id);
  void on_link_lost();
  // Nobody will look at the machine any more (K8): what runs ends as interrupted.
  void on_machine_removed();

  // True once after each time that the history must be read (section 5), or its newest rows (L2).
  bool take_history_request() { return std::exchange(wants_history_, false); }
  bool take_recent_request() { return std::exchange(wants_recent_, false); }
  void on_history(std::vector<HistoryRow> newest_first);
  // `absent`: this Moonraker keeps no history.  Otherwise the rows will come later.
  void on_history_failed(bool absent);
  void on_recent_rows(const std::vector<HistoryRow>& newest_first);
  // Whether nothing remains to be learnt about that row's end.
  bool is_settled(const HistoryRow& row);

  // The machine's wall clock became known.
  void on_machine_time();

  bool has_backlog() const { return !backlog_.empty(); }
  void drain_backlog();

  std::optional<MonotonicTime> next_deadline() const;
  void on_timer();

 private:
  enum class Phase { kBlind, kReconciling, kLive };
  enum class HistoryKnown { kPending, kRead, kAbsent, kFailed };

  // Something has happened and its row has not come yet.
  struct Hold {
    enum class Kind { kStart, kEnd, kReplace, kShutdown, kAway };
    Kind kind;
    MonotonicTime deadline;
    std::string print_state;            // kEnd: where it ended
    std::string text;                   // kEnd: Klipper's message then
    std::vector<std::string> excluded;  // kStart: excluded before the print began
    std::optional<HistoryRow> added;
    std::optional<HistoryRow> finished;
  };

  // How a job ended.
  struct End {
    schema::JobOutcome outcome = schema::JobOutcome::unknown;
    schema::JobEvidence evidence = schema::JobEvidence::none;
    std::string cause;
    std::string text;
    const HistoryRow* row = nullptr;
    bool late = false;
    bool time_known = true;
  };

  // job_tracker.cc: sections 3 and 4
  bool ends_hold(const Observation& now, bool print_moves) const;
  void change_state(const Observation& before);
  void begin_start();
  void begin_end(const std::string& print_state);
  void begin_replace();
  void begin_shutdown(std::optional<HistoryRow> row);
  void begin_away(std::optional<HistoryRow> row);
  void restart_inside_poll();
  void hold(Hold::Kind kind, std::chrono::milliseconds time);
  void resolve_hold();
  void resolve_shutdown_if_complete();
  void finish_held(const Hold& held);
  bool is_open(const HistoryRow& row) const;
  bool can_identify(const HistoryRow& row);
  bool is_holding(Hold::Kind kind) const { return hold_ && hold_->kind == kind; }

  // job_recovery.cc: section 5
  void begin_reconcile();
  void try_decide();
  void decide();
  void merge_pending_rows();
  bool must_wait_for_machine_time() const;
  const HistoryRow* newest_own_row();
  const HistoryRow* current_row();
  bool goes_on(const HistoryRow& row) const;
  bool same_print_as_open() const;
  const HistoryRow* row_of_open(const HistoryRow* current);
  void adopt(const HistoryRow& row);
  void settle_open(bool active, const HistoryRow* row);
  void finish_unobserved(std::string cause);
  void queue_backlog(const HistoryRow* current);
  void note_observed();

  // job_telling.cc: events
  void start(const HistoryRow* row, schema::JobSeen seen);
  void tell_started(const KnownRow& known, const HistoryRow& row, schema::JobSeen seen);
  void tell_row(const HistoryRow& row, schema::JobSeen seen);
  void tell_row_end(KnownRow& known, const HistoryRow& row, schema::JobSeen seen);
  void identify(const HistoryRow& row);
  void pause(bool late);
  void resume(bool late);
  void progress();
  void tell_exclusions();
  void follow_numbers();
  void finish(const End& end);
  End end_of_row(const HistoryRow& row) const;
  std::string interruption_cause() const;
  std::string job_id_of(const KnownRow& known) const;
  schema::JobEvidence guess_rank() const;
  schema::JobEvidence sight_rank() const;

  JobTrackerOptions options_;
  const Clock& clock_;
  const MachineTime& time_;
  EventBatch& out_;
  JobMemory& memory_;
  std::optional<OpenJob>& open_;

  Phase phase_ = Phase::kBlind;
  HistoryKnown history_ = HistoryKnown::kPending;
  bool undecided_ = false;  // the open job's fate waits for the history or for Klipper
  bool wants_history_ = false;
  bool wants_recent_ = false;
  Observation now_;
  int64_t process_id_ = 0;
  std::optional<Hold> hold_;
  std::optional<MonotonicTime> machine_time_deadline_;
  bool machine_time_given_up_ = false;
  std::vector<HistoryRow> rows_;          // of the back-fill, newest first
  std::vector<HistoryRow> pending_rows_;  // messages during it, oldest first
  std::deque<HistoryRow> backlog_;        // to be told, oldest first
};

}  // namespace millrace
