// SPDX-License-Identifier: Apache-2.0
#include "consumers/storage_watch.h"

#include <fmt/format.h>

#include <fstream>
#include <limits>

#include "bus/logging.h"

namespace millrace {
namespace {

constexpr const char* kPart = "storage";
constexpr double kSecondsPerDay = 86'400;
constexpr double kMebibyte = 1 << 20;

// Files may go while they are counted.
uint64_t size_of(const std::filesystem::path& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (auto file = std::filesystem::recursive_directory_iterator(
           folder, std::filesystem::directory_options::skip_permission_denied, error);
       !error && file != std::filesystem::recursive_directory_iterator(); file.increment(error)) {
    std::error_code ignored;
    const uint64_t size = file->is_regular_file(ignored) ? file->file_size(ignored) : 0;
    if (!ignored) bytes += size;
  }
  return bytes;
}

// Bytes that this process has handed to its disks (proc(5), /proc/pid/io); 0 where the kernel does not count them.
uint64_t written_by_this_process() {
  std::ifstream io("/proc/self/io");
  for (std::string name; io >> name;) {
    uint64_t number = 0;
    io >> number;
    if (name == "write_bytes:") return number;
  }
  return 0;
}

}  // namespace

void StorageForecast::add(const StorageSample& sample) {
  samples_.push_back(sample);
  while (samples_.size() > 2 && sample.at - samples_[1].at >= kWindow) samples_.pop_front();
}

std::optional<double> StorageForecast::bytes_per_day() const {
  if (samples_.size() < 2 || samples_.back().at - samples_.front().at < kEnough) return std::nullopt;
  const double seconds = std::chrono::duration<double>(samples_.back().at - samples_.front().at).count();
  return (static_cast<double>(samples_.back().used) - static_cast<double>(samples_.front().used)) / seconds *
         kSecondsPerDay;
}

std::optional<double> StorageForecast::days_until_full() const {
  const auto rate = bytes_per_day();
  if (!rate || *rate <= 0) return std::nullopt;
  return static_cast<double>(samples_.back().free) / *rate;
}

StorageWatch::StorageWatch(StorageWatchOptions options, std::filesystem::path folder, const Clock& clock,
                           Metrics& metrics, Health& health)
    : options_(options),
      folder_(std::move(folder)),
      clock_(clock),
      health_(health),
      used_(metrics.gauge("millrace_data_bytes", "Bytes of all files in the data folder")),
      free_(metrics.gauge("millrace_disk_free_bytes", "Bytes that are free on its disk")),
      bytes_per_day_(metrics.gauge("millrace_data_growth_bytes_per_day",
                                   "Growth of the data folder over the last day; NaN until it is known")),
      written_per_day_(metrics.gauge("millrace_disk_written_bytes_per_day",
                                     "Bytes that this process hands to the disk in a day, by the last day; NaN until "
                                     "it is known")),
      days_until_full_(metrics.gauge("millrace_disk_full_in_days",
                                     "Days until the disk is full at this growth; +Inf while the data do not grow")) {}

StorageWatch::~StorageWatch() { stop(); }

void StorageWatch::start() {
  thread_.start(options_.interval, [this] { look(); });
}

void StorageWatch::stop() { thread_.stop(); }

void StorageWatch::look() {
  std::error_code error;
  const auto disk = std::filesystem::space(folder_, error);
  if (error) return log_warn("storage", "'{}': {}", folder_.string(), error.message());
  const StorageSample sample{clock_.monotonic(), size_of(folder_), disk.available};
  forecast_.add(sample);
  used_.set(static_cast<double>(sample.used));
  free_.set(static_cast<double>(sample.free));
  written_.add({sample.at, written_by_this_process(), 0});
  written_per_day_.set(written_.bytes_per_day().value_or(std::numeric_limits<double>::quiet_NaN()));
  bytes_per_day_.set(forecast_.bytes_per_day().value_or(std::numeric_limits<double>::quiet_NaN()));
  days_until_full_.set(forecast_.days_until_full().value_or(std::numeric_limits<double>::infinity()));
  judge(sample, disk.capacity);
}

void StorageWatch::judge(const StorageSample& sample, uint64_t capacity) {
  const auto days = forecast_.days_until_full();
  const bool nearly_full = static_cast<double>(sample.free) < options_.warn_share * static_cast<double>(capacity);
  if (!nearly_full && !(days && *days < options_.warn_days)) {
    warned_ = false;
    return health_.set(kPart, true);
  }
  const std::string when = days ? fmt::format(", full in about {:.1f} days at this growth", *days) : "";
  const std::string text = fmt::format(
      "{:.0f} MiB are free on the disk of '{}'{}: make room, or keep telemetry for fewer "
      "days (hub.telemetry_days)",
      static_cast<double>(sample.free) / kMebibyte, folder_.string(), when);
  health_.set(kPart, true, text);
  if (!std::exchange(warned_, true)) log_warn("storage", "{}", text);
}

}  // namespace millrace
