// SPDX-License-Identifier: Apache-2.0
// Moonraker's job queue, as its notifications and answers show it (docs/simulator.md).  In memory only: a restart of
// Moonraker empties it.  A value; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

struct QueuedJob {
  std::string id;  // "0000000066D99C90"
  std::string filename;
  double added_at = 0;  // Unix time
};

// The parts of a text between line breaks, empty ones left out.
std::vector<std::string_view> lines_of(std::string_view text);

class SimulatedJobQueue {
 public:
  // `paths`: one a line.
  void add(std::string_view paths, double wall_now);
  // `ids`: comma-separated.
  void remove(std::string_view ids, bool all);
  void start();
  void pause() { state_ = "paused"; }
  void clear() { *this = {}; }

  bool wants_to_print() const { return state_ == "ready" && !jobs_.empty(); }
  // The next one; the queue is "loading" then.
  QueuedJob take();
  // That one is being printed.
  void printing() { state_ = "ready"; }

  // The parameter of notify_job_queue_changed; the list is left out (null) where only the state changed.
  std::string change_json(std::string_view action) const;
  std::string status_json(double wall_now) const;

 private:
  std::vector<QueuedJob> jobs_;
  std::string_view state_ = "paused";
  uint64_t next_id_ = 0x66D99C90;
};

}  // namespace millrace
