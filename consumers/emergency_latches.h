// SPDX-License-Identifier: Apache-2.0
// Which machines an emergency stop has latched, for the adapters, by the view "safety" and what the log has
// beyond it, so that a start looks through no more of the log than the views do: an adapter that lost its state, or was
// not there when the hub stopped its machine, latches all the same.
//
// Any thread.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "bus/event_log.h"

namespace millrace {

class EmergencyLatches {
 public:
  // The position of the event that latched the machine last; 0: it was reset, or never latched.
  struct Change {
    std::string machine;
    uint64_t latch = 0;
  };

  // What a commit changes.  Commits come in the order of the log.
  std::vector<Change> take(const Commit& commit);
  // What a view says that holds everything up to `through`; before or after take().
  void begin(const std::vector<Change>& known, Position through);
  // The log from there up to now, which take() may be called beside.
  Result<void> read(const EventLog& log);
  std::vector<Change> all() const;

 private:
  struct Known {
    uint64_t position = 0;  // of the event that was looked at last
    uint64_t latch = 0;
  };
  bool fold(const Envelope& envelope, Position position);

  mutable std::mutex mutex_;
  Position through_;                    // of begin()
  std::map<std::string, Known> known_;  // machines that were stopped once
};

}  // namespace millrace
