// SPDX-License-Identifier: Apache-2.0
// A log with its recorder, connected to a broker: the receiving half of the line, in this process.
#pragma once

#include <filesystem>
#include <memory>

#include "bus/clock.h"
#include "bus/event_log.h"
#include "bus/health.h"
#include "bus/metrics.h"
#include "cli/broker_connection.h"
#include "consumers/recorder.h"

namespace millrace {

class BenchRecorder {
 public:
  // Makes a log in `directory`/log.  kTimeout when the broker does not answer.  References outlive this.
  static Result<std::unique_ptr<BenchRecorder>> start(const std::filesystem::path& directory, const Config& config,
                                                      const Clock& clock, Metrics& metrics);
  ~BenchRecorder();  // stop()
  // What arrived is recorded.
  void stop();
  const EventLog& log() const { return *log_; }

 private:
  BenchRecorder() = default;

  Health health_;
  std::unique_ptr<EventLog> log_;
  BrokerConnections broker_;
  std::unique_ptr<Recorder> recorder_;
};

}  // namespace millrace
