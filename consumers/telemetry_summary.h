// SPDX-License-Identifier: Apache-2.0
// What is kept of telemetry when it goes: minimum, mean and maximum of each signal in each minute.
//
// Adapters leave out values that did not change, so a value holds until the next one: a minute's numbers begin with
// what held when it began, and the mean is weighted by time.  What held is forgotten when the machine, or Klipper, is
// lost from sight.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bus/envelope.h"

namespace millrace {

// A pure fold.  One thread.
class TelemetrySummary {
 public:
  // Events in the log's order, facts included.  What is neither a sample nor the loss of a machine changes nothing.
  void add(const RecordedEvent& event);

  // TelemetrySummarised events about all that was added since the last call, a machine and an hour each, or several
  // where one would be too large.  What holds goes on holding.
  std::vector<EventDraft> take();
  size_t taken_bytes() const { return taken_bytes_; }  // about the size of what the last take() gave

  // What holds at the end of an earlier summary: the beginning for a process that goes on where another one stopped.
  void go_on_after(const Envelope& summarised);

 private:
  struct Minute {
    double minimum = 0;
    double maximum = 0;
    double weighted = 0;  // value times seconds
    double seconds = 0;
    double last = 0;
    uint32_t count = 0;
    int64_t covered_until_us = 0;
    bool ended = false;  // by a loss: the last value does not hold to the minute's end
    void cover(double value, int64_t until_us);
  };
  struct Signal {
    bool holds = false;
    double value = 0;
    int64_t since_us = 0;               // it has been summarised up to here
    std::map<int64_t, Minute> minutes;  // by their beginning, Unix microseconds
  };
  struct Machine {
    std::map<std::pair<std::string, std::string>, Signal> signals;  // by object and field
    int64_t seen_until_us = 0;
    uint64_t first_position = 0;
    uint64_t last_position = 0;
  };

  static void observe(Signal& signal, double value, int64_t at_us);
  static void finish(Signal& signal, int64_t until_us);
  static void end(Signal& signal, int64_t at_us);
  void append_drafts(const std::string& id, Machine& machine, std::vector<EventDraft>& drafts);

  size_t taken_bytes_ = 0;
  std::map<std::string, Machine> machines_;
};

}  // namespace millrace
