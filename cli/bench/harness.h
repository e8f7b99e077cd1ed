// SPDX-License-Identifier: Apache-2.0
// Parts that the benchmarks share: the plain-file reference, medians, events of a given size, a temporary folder.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bus/child_process.h"
#include "bus/clock.h"
#include "bus/events.h"
#include "bus/result.h"
#include "cli/config.h"

namespace millrace {

class BenchDirectory {
 public:
  explicit BenchDirectory(const std::filesystem::path& wanted);  // empty: a temporary one
  ~BenchDirectory();                                             // removes what is temporary
  const std::filesystem::path& path() const { return path_; }
  // A folder in it that is empty now.
  std::filesystem::path fresh(const std::string& name) const;

 private:
  std::filesystem::path path_;
  bool temporary_;
};

// Sleeps without a clock of its own.
void pause_for(std::chrono::milliseconds time);
// True once `condition` holds, false when `timeout` is over; polls.
bool wait_until(const Clock& clock, std::chrono::milliseconds timeout, const std::function<bool()>& condition);

// A Mosquitto on that port of loopback, configured as the project's own; it answers when this returns.  kUnavailable
// when it does not start.
Result<ChildProcess> start_bench_broker(const std::filesystem::path& directory, uint16_t port, const Clock& clock);

// The same on a free port, with the configuration that leads to it.
struct BenchBroker {
  ChildProcess process;
  Config config;
};
Result<BenchBroker> start_bench_broker(const BenchDirectory& directory, const Clock& clock);

double median(std::vector<double> values);
double percentile(std::vector<double> values, double share);  // share 0..1

// Seconds that `work` takes.
template <class Work>
double seconds_of(const Clock& clock, Work work) {
  const MonotonicTime begin = clock.monotonic();
  work();
  return std::chrono::duration<double>(clock.monotonic() - begin).count();
}

// A telemetry event whose envelope takes about `size` bytes (at least some 190).
EventDraft event_of_size(size_t size, uint64_t number, const std::string& machine, WallTime now);

// Events per second of a plain file: length, CRC and `size` bytes each, one fdatasync per 1,024 events.
Result<double> plain_file_rate(const std::filesystem::path& file, uint64_t events, uint64_t size, const Clock& clock);

}  // namespace millrace
