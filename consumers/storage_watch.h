// SPDX-License-Identifier: Apache-2.0
// How fast the hub's data grow, and when the disk will be full.  Figures go to /metrics; a disk that is soon full is
// said in the log and in /health/ready, which stays ready.
#pragma once

#include <deque>
#include <filesystem>
#include <optional>

#include "bus/clock.h"
#include "bus/health.h"
#include "bus/metrics.h"
#include "bus/periodic_thread.h"

namespace millrace {

struct StorageSample {
  MonotonicTime at{};
  uint64_t used = 0;  // bytes of all files below the folder
  uint64_t free = 0;  // bytes that the file system still gives
};

// Growth over the last day, or over what is known.  Pure; one thread.
class StorageForecast {
 public:
  static constexpr std::chrono::hours kWindow{24};
  static constexpr std::chrono::minutes kEnough{10};  // of watching before anything is said

  void add(const StorageSample& sample);
  // Negative while the data shrink; nullopt until enough is known.
  std::optional<double> bytes_per_day() const;
  // nullopt while nothing is known or the data do not grow.
  std::optional<double> days_until_full() const;

 private:
  std::deque<StorageSample> samples_;
};

struct StorageWatchOptions {
  std::chrono::seconds interval{60};
  double warn_days = 7;
  double warn_share = 0.05;  // free, of the whole disk
};

class StorageWatch {
 public:
  // References outlive this.
  StorageWatch(StorageWatchOptions options, std::filesystem::path folder, const Clock& clock, Metrics& metrics,
               Health& health);
  ~StorageWatch();
  void start();  // a thread of its own: walking a folder may take long
  void stop();
  void look();  // once; what the thread does

 private:
  void judge(const StorageSample& sample, uint64_t capacity);

  const StorageWatchOptions options_;
  const std::filesystem::path folder_;
  const Clock& clock_;
  Health& health_;
  Gauge& used_;
  Gauge& free_;
  Gauge& bytes_per_day_;
  Gauge& written_per_day_;
  Gauge& days_until_full_;
  StorageForecast forecast_;
  StorageForecast written_;  // of what this process handed to the disk: a flash memory's wear
  bool warned_ = false;

  PeriodicThread thread_;  // ends before what it works on
};

}  // namespace millrace
