// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/harness.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <mutex>

#include "bus/crc32.h"
#include "bus/file_io.h"
#include "bus/random.h"

namespace millrace {

BenchDirectory::BenchDirectory(const std::filesystem::path& wanted) : path_(wanted), temporary_(wanted.empty()) {
  if (!temporary_) {
    std::filesystem::create_directories(path_);
    return;
  }
  std::string pattern = (std::filesystem::temp_directory_path() / "millrace-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
}

BenchDirectory::~BenchDirectory() {
  std::error_code ignored;
  if (temporary_ && !path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path BenchDirectory::fresh(const std::string& name) const {
  const auto path = path_ / name;
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
  std::filesystem::create_directories(path, ignored);
  return path;
}

void pause_for(std::chrono::milliseconds time) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, time);
}

bool wait_until(const Clock& clock, std::chrono::milliseconds timeout, const std::function<bool()>& condition) {
  const auto end = clock.monotonic() + timeout;
  while (!condition()) {
    if (clock.monotonic() > end) return false;
    pause_for(std::chrono::milliseconds(10));
  }
  return true;
}

Result<ChildProcess> start_bench_broker(const std::filesystem::path& directory, uint16_t port, const Clock& clock) {
  constexpr std::chrono::seconds kStartTimeout{10};
  const auto file = directory / "mosquitto.conf";
  std::ofstream(file)
      << "listener " << port << " 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n"
      << "max_inflight_messages 1000\nmax_queued_messages 200000\nset_tcp_nodelay true\nlog_type error\n";
  auto broker = ChildProcess::start({"/usr/sbin/mosquitto", "-c", file.string()}, directory / "mosquitto.log");
  if (broker && !wait_until(clock, kStartTimeout, [&] { return loopback_port_answers(port); })) {
    return make_error(Errc::kUnavailable, "mosquitto does not start: is it installed (apt-get install mosquitto)?");
  }
  return broker;
}

Result<BenchBroker> start_bench_broker(const BenchDirectory& directory, const Clock& clock) {
  const uint16_t port = free_loopback_port();
  auto process = start_bench_broker(directory.fresh("broker"), port, clock);
  if (!process) return process.error();
  Config config;
  config.mqtt_url = "mqtt://127.0.0.1:" + std::to_string(port);
  return BenchBroker{std::move(*process), std::move(config)};
}

double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  return values[rank];
}

EventDraft event_of_size(size_t size, uint64_t number, const std::string& machine, WallTime now) {
  // What adapters send all day: a sample with as many signals as fit, their values noisy as sensors are.
  constexpr size_t kEnvelopeBytes = 168;
  constexpr size_t kSignalBytes = 59;
  constexpr std::array<std::pair<const char*, const char*>, 6> kSignals = {
      {{"extruder", "temperature"},
       {"heater_bed", "temperature"},
       {"extruder", "power"},
       {"fan", "speed"},
       {"motion_report", "live_velocity"},
       {"temperature_sensor chamber", "temperature"}}};
  schema::TelemetrySampledT sample;
  SeededRandom random(number);
  for (size_t bytes = kEnvelopeBytes; bytes < size || sample.signals.empty(); bytes += kSignalBytes) {
    const auto& [object, field] = kSignals[sample.signals.size() % kSignals.size()];
    auto signal = std::make_unique<schema::SignalT>();
    signal->object = object;
    signal->field = field;
    signal->value = random.between(0, 260);
    sample.signals.push_back(std::move(signal));
  }
  return draft_of(std::move(sample), machine, now, now);
}

Result<double> plain_file_rate(const std::filesystem::path& path, uint64_t events, uint64_t size, const Clock& clock) {
  constexpr uint64_t kPerSync = 1024;
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  auto file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return file.error();
  std::string payload(size, '\0');
  for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * 131 + i / 7);
  Result<void> outcome;
  const double seconds = seconds_of(clock, [&] {
    std::string group;
    for (uint64_t i = 0; i < events && outcome; ++i) {
      std::memcpy(payload.data(), &i, sizeof i);
      const uint32_t header[2] = {static_cast<uint32_t>(size), crc32_of(payload)};
      group.append(reinterpret_cast<const char*>(header), sizeof header);
      group += payload;
      if ((i + 1) % kPerSync != 0 && i + 1 != events) continue;
      outcome = file->write_all(group);
      if (outcome) outcome = file->sync();
      group.clear();
    }
  });
  std::filesystem::remove(path, ignored);
  if (!outcome) return outcome.error();
  return static_cast<double>(events) / seconds;
}

}  // namespace millrace
