// SPDX-License-Identifier: Apache-2.0
// Requests that change something, one after the other: each is decided on the views that the one before has reached, so
// that two of them can never both take the same name.
//
// Loop's thread, except where said.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "bus/events.h"
#include "bus/ids.h"
#include "bus/metrics.h"
#include "net/http_types.h"
#include "web/edge/edge.h"
#include "web/edge/routes.h"

namespace millrace {

class WriteQueue {
 public:
  struct Parts {
    // Runs a task where a disk may be read; false when too many wait there.
    std::function<bool(std::function<void()>)> work;
    // From any thread to the loop's.
    std::function<void(std::function<void()>)> post;
    SubmitEvents submit;  // empty: nothing can be recorded here
    // Calls back with true once the views have the position, with false when that takes too long.
    std::function<void(Position, std::function<void(bool)>)> when_reached;
    // Calls back once they have it, however long that takes.  One at a time.
    std::function<void(Position, std::function<void()>)> once_reached;
  };
  // Both on the worker.
  struct Request {
    std::function<WriteDecision()> decide;
    std::function<HttpResponse(const EdgeWrite&)> answer;
    std::function<void(HttpResponse)> respond;  // on the loop, once
  };

  WriteQueue(Parts parts, size_t max_queued, Metrics& metrics);

  // Answers 503 `overloaded` at once when too many wait.
  void add(Request request);
  // Those that wait are never answered.
  void stop();

 private:
  void begin_next();
  void decided(WriteDecision decision);
  void recorded(const Result<Position>& position);
  void answer_late(Position position);
  void end(HttpResponse response);

  const Parts parts_;
  const size_t max_queued_;
  Counter& writes_total_;
  Counter& refused_total_;
  std::deque<Request> waiting_;  // the first one is being worked on while busy_
  std::shared_ptr<const EdgeWrite> write_;
  bool busy_ = false;
  bool stopped_ = false;
};

}  // namespace millrace
