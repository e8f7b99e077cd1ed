// SPDX-License-Identifier: Apache-2.0
// Sees where events pile up before they are in the log: an outbox that grows, a producer that sends and is not
// recorded.  Said in /metrics, in the program's own log and in /health/ready, which stays ready.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "bus/clock.h"
#include "bus/health.h"
#include "bus/metrics.h"

namespace millrace {

struct ProducerProgress {
  std::string producer;
  uint64_t waiting = 0;                           // events in its outbox behind its last batch
  MonotonicTime heard{};                          // when that came
  std::optional<MonotonicTime> unrecorded_since;  // first batch of those of which nothing is in the log yet
};

struct BacklogWatchOptions {
  std::chrono::seconds stalled_after{30};  // heard so long without being recorded
  uint64_t growing_from = 1'000;           // events; fewer are a burst
  std::chrono::seconds sample{20};         // apart; three of them, each above the one before, are growth
};

// One thread.
class BacklogWatch {
 public:
  // References outlive this.
  BacklogWatch(BacklogWatchOptions options, const Clock& clock, Metrics& metrics, Health& health);

  // What is known of every producer now.  Cheap; call it about once a second while the log takes events.
  void look(std::span<const ProducerProgress> producers);

 private:
  struct Seen {
    Gauge* waiting = nullptr;
    std::deque<uint64_t> samples;  // the newest at the end
    MonotonicTime sampled{};
    bool growing = false;
  };

  bool is_stalled(const ProducerProgress& progress) const;
  bool is_growing(const ProducerProgress& progress);
  void tell(const std::map<std::string, std::string>& alarms);

  const BacklogWatchOptions options_;
  const Clock& clock_;
  Metrics& metrics_;
  Health& health_;
  Gauge& stalled_;
  Gauge& growing_;
  std::map<std::string, Seen> seen_;
  std::map<std::string, std::string> alarms_;  // producer -> what was said
};

}  // namespace millrace
