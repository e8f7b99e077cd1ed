// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>
#include <thread>

#include "bus/event_log.h"
#include "cli/bench/bench.h"
#include "cli/bench/harness.h"
#include "cli/bench/log_filler.h"
#include "cli/bench/peer_servers.h"
#include "cli/opened_log.h"
#include "projections/digest.h"
#include "projections/job_history.h"

namespace millrace {
namespace {

constexpr uint64_t kFactPercent = 5;

// Events per second that `threads` replays of the whole log come by together, each with a view of its own.
Result<double> replay_rate(const EventLog& log, size_t threads, RebuildReads reads, const Clock& clock) {
  std::vector<Result<void>> outcomes(threads);
  const double seconds = seconds_of(clock, [&] {
    std::vector<std::thread> running;
    for (Result<void>& outcome : outcomes) {
      running.emplace_back([&log, reads, &outcome] {
        const auto view = rebuild_view(log, kJobHistoryView, log.last(), reads);
        if (!view) outcome = view.error();
      });
    }
    for (auto& thread : running) thread.join();
  });
  for (const auto& outcome : outcomes) {
    if (!outcome) return outcome.error();
  }
  return static_cast<double>(log.last().value * threads) / seconds;
}

}  // namespace

int run_bench_replay(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  const auto data = directory.fresh("log");
  std::vector<std::string> payloads;
  const auto keep = [&](const Envelope& event) {
    if (options.peers) payloads.emplace_back(event.bytes());
  };
  if (auto filled = fill_log(data, {options.events, options.size, kFactPercent}, clock, keep); !filled) {
    return fail(filled.error());
  }
  const auto log = open_rocksdb_event_log(data, clock);
  if (!log) return fail(log.error());
  std::optional<RedisPeer> redis;
  if (options.peers) {
    auto started = RedisPeer::start(directory.fresh("redis"), clock);
    if (!started) return fail(started.error());
    redis.emplace(std::move(*started));
    const auto payload_of = [&](uint64_t i) { return std::string_view(payloads[i]); };
    if (auto added = redis->add_rate(payloads.size(), 1, payload_of, clock); !added) return fail(added.error());
  }
  std::vector<double> to_redis;
  std::vector<double> needed_to_redis;
  std::vector<double> two_to_one;
  for (uint64_t round = 1; round <= options.rounds; ++round) {
    const auto all = replay_rate(**log, 1, RebuildReads::kAll, clock);
    if (!all) return fail(all.error());
    const auto two = replay_rate(**log, 2, RebuildReads::kAll, clock);
    if (!two) return fail(two.error());
    const auto needed = replay_rate(**log, 1, RebuildReads::kNeeded, clock);
    if (!needed) return fail(needed.error());
    two_to_one.push_back(*two / *all);
    std::string peer;
    if (redis) {
      const auto range = redis->range_rate(clock);
      if (!range) return fail(range.error());
      to_redis.push_back(*all / *range);
      needed_to_redis.push_back(*needed / *range);
      peer = fmt::format(",\"redis_xrange_per_s\":{:.0f},\"ratio_to_redis_xrange\":{:.2f}", *range, *all / *range);
    }
    fmt::print(
        "{{\"bench\":\"replay\",\"round\":{},\"events\":{},\"size\":{},\"events_per_s\":{:.0f},"
        "\"two_threads_per_s\":{:.0f},\"ratio_two_threads_to_one\":{:.2f},\"facts_only_per_s\":{:.0f}{}}}\n",
        round, options.events, options.size, *all, *two, two_to_one.back(), *needed, peer);
    std::fflush(stdout);
  }
  std::string peer;
  if (redis) {
    peer = fmt::format(",\"ratio_to_redis_xrange\":{:.2f},\"ratio_facts_only_to_redis_xrange\":{:.2f}",
                       median(to_redis), median(needed_to_redis));
  }
  fmt::print("{{\"bench\":\"replay\",\"median\":true,\"rounds\":{},\"ratio_two_threads_to_one\":{:.2f}{}}}\n",
             options.rounds, median(two_to_one), peer);
  return 0;
}

}  // namespace millrace
