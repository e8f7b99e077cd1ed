// SPDX-License-Identifier: Apache-2.0
// What a recording says about every instant: which answers held, which rows the history had, what the printer objects
// were, and what was sent when.  Pure; times are seconds of the recording.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "producers/replay/fold.h"
#include "producers/replay/recording.h"
#include "producers/simulator/history.h"
#include "producers/simulator/moonraker.h"

namespace millrace {

struct ReplayStep {
  enum class Kind { kStatus, kNotification, kKlippyDisconnected, kClosed, kConnected };
  double t = 0;
  Kind kind = Kind::kNotification;
  std::string text;       // the frame; of kClosed the reason
  std::string objects;    // of kStatus
  std::string eventtime;  // of kStatus
  int code = 0;           // of kClosed
};

class ReplayTimeline {
 public:
  explicit ReplayTimeline(const Recording& recording);

  // Where a replay starts: the answer to the first subscription, or the first frame when there is none.
  double begin() const { return begin_; }
  double end() const { return end_; }
  bool has_subscription() const { return has_subscription_; }
  double wall(double t) const { return wall_ + t; }
  // Those after begin(), in order.  The end of the last connection is none: after it, nothing is known.
  const std::vector<ReplayStep>& steps() const { return steps_; }

  // The answer to any method but those of the printer objects.  Within a stretch between two changes of Klipper or of
  // the connection it is the latest recorded one, else the next one to come; where that stretch has none, an older one
  // is corrected by what is known of Klipper.
  MoonrakerAnswer answer(std::string_view method, std::string_view canonical_params, double t) const;

  // The printer objects for a subscription or query made at `t`, or the error that holds then.
  boost::system::result<ReplayFold, MoonrakerError> objects(double t) const;

  // The rows seen up to `t`, as they were then.
  std::vector<ShownHistoryRow> history(double t) const;

  // "ready", "startup", "shutdown", "error", "disconnected", or "" when nothing is known yet.
  std::string klippy_state(double t) const;

 private:
  struct Answer {
    double t;
    std::string params;
    MoonrakerAnswer answer;
  };
  struct RowVersion {
    double t;
    bool from_list;
    std::string status;
    ShownHistoryRow row;
  };
  struct FoldInput {
    double t;
    bool is_snapshot;
    std::string objects;
    std::string eventtime;
  };
  struct QueueSight {
    double t;
    std::string list;   // JSON
    std::string state;  // JSON
  };
  struct Pending {
    std::string method;
    std::string params;
  };

  void take_sent(const RecordedFrame& frame);
  void take_request(const Json& request);
  void take_received(const RecordedFrame& frame);
  void take_answer(double t, const Json& answer, std::string_view text);
  void take_notification(double t, std::string_view method, const RecordedFrame& frame);
  void take_history_answer(double t, std::string_view method, std::string_view result);
  void take_queue(double t, std::string_view list, std::string_view state);
  std::string queue_status(double t) const;
  void take_row(double t, bool from_list, std::string_view row);
  void take_status(double t, bool is_snapshot, std::string_view objects, std::string_view eventtime);
  void note_klippy(double t, std::string_view state) { klippy_.emplace_back(t, state); }
  const Answer* find_answer(std::string_view method, std::string_view params, double t) const;
  MoonrakerAnswer corrected(std::string_view method, const MoonrakerAnswer& answer, double t) const;
  ReplayFold fold_at(double t) const;

  double wall_;
  double begin_ = 0;
  double end_ = 0;
  bool has_subscription_ = false;
  JsonReader reader_;
  std::map<std::string, Pending, std::less<>> pending_;  // by the text of the id
  std::map<std::string, std::vector<Answer>, std::less<>> answers_;
  std::vector<RowVersion> rows_;
  std::vector<FoldInput> folds_;
  std::vector<QueueSight> queue_;                       // each notify_job_queue_changed
  std::vector<std::pair<double, std::string>> klippy_;  // what was seen of its state
  std::vector<double> changes_;                         // answers from before one of these are out of date
  std::vector<double> subscriptions_lost_;
  std::vector<ReplayStep> steps_;
  // Folding goes forward nearly always: the last result is kept.
  mutable ReplayFold cursor_;
  mutable size_t cursor_next_ = 0;
  mutable double cursor_t_ = -1;
};

}  // namespace millrace
