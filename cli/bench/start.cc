// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>

#include "bus/logging.h"
#include "cli/bench/bench.h"
#include "cli/bench/harness.h"
#include "cli/bench/log_filler.h"
#include "cli/bench/shop_processes.h"
#include "cli/hub.h"
#include "cli/opened_log.h"

namespace millrace {
namespace {

constexpr double kLimitSeconds = 2;
constexpr uint64_t kFactPercent = 5;
constexpr std::chrono::minutes kCatchUpTimeout{30};

// Seconds from the start of the hub's process until it says that it is ready.
Result<double> start_seconds(ShopProcesses& shop, const Clock& clock) {
  Result<void> ready;
  const double seconds = seconds_of(clock, [&] {
    ready = shop.start_role("hub");
    if (ready) ready = shop.wait_until_ready(clock);
  });
  if (!ready) return ready.error();
  return seconds;
}

}  // namespace

int run_bench_start(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  (void)start_logging({.level = LogLevel::kError});
  ShopProcesses shop(directory.fresh("shop"));
  if (auto started = shop.start_broker(clock); !started) return fail(started.error());
  if (auto configured = shop.configure(""); !configured) return fail(configured.error());
  const LogMix mix{options.events, options.size, kFactPercent};
  if (auto filled = fill_log(log_directory(shop.config().data_dir), mix, clock); !filled) return fail(filled.error());
  // The views come up with the log once, as they would have been while it grew.
  if (auto started = shop.start_role("hub"); !started) return fail(started.error());
  if (!wait_until(clock, kCatchUpTimeout, [&] { return shop.hub_is_ready(); })) {
    return fail(make_error(Errc::kTimeout, "the views do not come up with the log"));
  }
  std::vector<double> to_limit;
  for (uint64_t round = 1; round <= options.rounds; ++round) {
    shop.process("hub").terminate();
    const auto stopped = start_seconds(shop, clock);
    if (!stopped) return fail(stopped.error());
    shop.process("hub").kill();
    const auto killed = start_seconds(shop, clock);
    if (!killed) return fail(killed.error());
    to_limit.push_back(std::max(*stopped, *killed) / kLimitSeconds);
    fmt::print(
        "{{\"bench\":\"start\",\"round\":{},\"events\":{},\"raw_gb\":{:.2f},\"after_stop_s\":{:.2f},\"after_kill_s\":"
        "{:.2f},\"ratio_to_limit\":{:.2f}}}\n",
        round, options.events, static_cast<double>(options.events * options.size) / 1e9, *stopped, *killed,
        to_limit.back());
    std::fflush(stdout);
  }
  fmt::print("{{\"bench\":\"start\",\"median\":true,\"rounds\":{},\"ratio_to_limit\":{:.2f}}}\n", options.rounds,
             median(to_limit));
  return 0;
}

}  // namespace millrace
