// SPDX-License-Identifier: Apache-2.0
// A hub fed for long: what it writes, what it keeps, and whether its memory stays as it is.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "bus/logging.h"
#include "cli/bench/bench.h"
#include "cli/bench/bench_producers.h"
#include "cli/bench/harness.h"
#include "cli/bench/shop_processes.h"
#include "cli/hub.h"
#include "cli/opened_log.h"

namespace millrace {
namespace {

constexpr uint64_t kStages = 20;
constexpr size_t kPackedEvents = 64;

uint64_t bytes_below(const std::filesystem::path& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, error)) {
    if (const auto size = entry.file_size(error); !error) bytes += size;
  }
  return bytes;
}

}  // namespace

int run_bench_soak(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  (void)start_logging({.level = LogLevel::kError});
  ShopProcesses shop(directory.fresh("shop"));
  if (auto started = shop.start_broker(clock); !started) return fail(started.error());
  if (auto configured = shop.configure(""); !configured) return fail(configured.error());
  if (auto started = shop.start_role("hub"); !started) return fail(started.error());
  if (auto ready = shop.wait_until_ready(clock); !ready) return fail(ready.error());
  const auto metrics = make_metrics();
  auto producers = BenchProducers::start({options.producers, kPackedEvents}, directory.fresh("outboxes"), shop.config(),
                                         clock, *metrics);
  if (!producers) return fail(producers.error());

  const pid_t hub = shop.process("hub").pid();
  const ProcessUsage before = usage_of(hub);
  const uint64_t each = std::max<uint64_t>(options.events / kStages / options.producers, 1);
  std::vector<double> resident;
  double seconds = 0;
  for (uint64_t stage = 1; stage <= kStages; ++stage) {
    seconds += (*producers)->produce(each, options.size);
    resident.push_back(usage_of(hub).resident_mb);
    fmt::print("{{\"bench\":\"soak\",\"events\":{},\"hub_rss_mb\":{:.1f}}}\n", stage * each * options.producers,
               resident.back());
    std::fflush(stdout);
  }
  producers->reset();
  const ProcessUsage after = usage_of(hub);
  shop.process("hub").terminate();
  const uint64_t events = kStages * each * options.producers;
  const auto raw = static_cast<double>(events * options.size);
  const auto stored = static_cast<double>(bytes_below(log_directory(shop.config().data_dir)));
  const auto middle = resident.begin() + static_cast<std::ptrdiff_t>(kStages / 2);
  fmt::print(
      "{{\"bench\":\"soak\",\"median\":true,\"events\":{},\"size\":{},\"events_per_s\":{:.0f},\"hub_cpu_us_per_event\":"
      "{:.2f},\"written_to_raw\":{:.3f},\"disk_to_raw\":{:.3f},\"hub_rss_peak_mb\":{:.1f},\"rss_late_to_early\":{:.3f}}"
      "}\n",
      events, options.size, static_cast<double>(events) / seconds,
      1e6 * (after.cpu_seconds - before.cpu_seconds) / static_cast<double>(events),
      static_cast<double>(after.written_bytes - before.written_bytes) / raw, stored / raw,
      *std::max_element(resident.begin(), resident.end()),
      median({middle, resident.end()}) / median({resident.begin(), middle}));
  return 0;
}

}  // namespace millrace
