// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bus/logging.h"
#include "cli/bench/bench.h"
#include "cli/bench/bench_producers.h"
#include "cli/bench/bench_recorder.h"
#include "cli/bench/harness.h"
#include "cli/bench/peer_servers.h"
#include "cli/opened_log.h"

namespace millrace {
namespace {

constexpr size_t kPackedEvents = 64;

struct IngestCase {
  size_t batch_events;
  uint64_t events;
};

// Confirmed events per second of the whole path.
Result<double> ingest_rate(const BenchOptions& options, const IngestCase& measured,
                           const std::filesystem::path& directory, const Config& config, const Clock& clock) {
  const auto metrics = make_metrics();
  auto recorder = BenchRecorder::start(directory, config, clock, *metrics);
  if (!recorder) return recorder.error();
  const uint64_t each = measured.events / options.producers;
  Result<double> seconds = 0.0;
  {
    auto producers =
        BenchProducers::start({options.producers, measured.batch_events}, directory, config, clock, *metrics);
    if (!producers) return producers.error();
    seconds = (*producers)->produce(each, options.size);
  }
  (*recorder)->stop();
  const uint64_t expected = (each + 1) * options.producers;  // and each one's EpochOpened
  if (const uint64_t last = (*recorder)->log().last().value; last != expected) {
    return make_error(Errc::kCorrupt, fmt::format("{} events in the log, expected {}", last, expected));
  }
  return static_cast<double>(each * options.producers) / *seconds;
}

// The stores beside it; those that are not installed are said to be left out.
class IngestPeers {
 public:
  static Result<IngestPeers> start(const BenchDirectory& directory, const Clock& clock) {
    IngestPeers peers;
    auto postgres = PostgresPeer::start(directory.fresh("postgres"), clock);
    auto redis = RedisPeer::start(directory.fresh("redis"), clock);
    std::vector<Error> errors;
    postgres ? (void)peers.postgres_.emplace(std::move(*postgres)) : errors.push_back(postgres.error());
    redis ? (void)peers.redis_.emplace(std::move(*redis)) : errors.push_back(redis.error());
    for (const Error& error : errors) {
      if (error.code != Errc::kNotFound) return error;
      fmt::print(stderr, "left out: {}\n", error.context);
    }
    return peers;
  }

  // On one connection, and on as many as there are producers.
  Result<void> measure(const BenchOptions& options, uint64_t round, double ours, const Clock& clock) {
    const auto sample = Envelope::build({"bench", 1, 1}, event_of_size(options.size, 1, "bench", clock.wall())).value();
    const std::string payload(sample.bytes());
    for (const uint64_t connections : std::set<uint64_t>{1, options.producers}) {
      if (postgres_) {
        if (auto begun = postgres_->begin_round(); !begun) return begun;
        const auto rate = postgres_->copy_rate(options.events, connections, payload, clock);
        if (!rate) return rate.error();
        note("postgres_copy", connections, round, *rate, ours);
      }
      if (redis_) {
        if (auto begun = redis_->begin_round(); !begun) return begun;
        const auto rate = redis_->add_rate(
            options.events, connections, [&](uint64_t) { return std::string_view(payload); }, clock);
        if (!rate) return rate.error();
        note("redis_xadd", connections, round, *rate, ours);
      }
    }
    return {};
  }

  // The last line's part, ",..." or nothing.
  std::string medians() const {
    std::string out;
    for (const auto& [peer, ratios] : ratios_) {
      out += fmt::format(",\"ratio_to_{}_of_{}_connections\":{:.2f}", peer.first, peer.second, median(ratios));
    }
    return out;
  }

 private:
  void note(const std::string& peer, uint64_t connections, uint64_t round, double rate, double ours) {
    ratios_[{peer, connections}].push_back(ours / rate);
    fmt::print(
        "{{\"bench\":\"ingest\",\"round\":{},\"peer\":\"{}\",\"connections\":{},\"events_per_s\":{:.0f},"
        "\"ratio_to_peer\":{:.2f}}}\n",
        round, peer, connections, rate, ours / rate);
    std::fflush(stdout);
  }

  std::optional<PostgresPeer> postgres_;
  std::optional<RedisPeer> redis_;
  std::map<std::pair<std::string, uint64_t>, std::vector<double>> ratios_;  // by name and connections
};

}  // namespace

int run_bench_ingest(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  (void)start_logging({.level = LogLevel::kError});
  const auto broker = start_bench_broker(directory, clock);
  if (!broker) return fail(broker.error());
  const Config& config = broker->config;
  std::optional<IngestPeers> peers;
  if (options.peers) {
    auto started = IngestPeers::start(directory, clock);
    if (!started) return fail(started.error());
    peers.emplace(std::move(*started));
  }
  // One event per publish is so much slower that a fraction of the events takes as long.
  const IngestCase batched{kPackedEvents, options.events};
  const IngestCase single{1, std::max<uint64_t>(options.events / 20, options.producers)};
  std::vector<double> to_file;
  std::vector<double> to_single;
  for (uint64_t round = 1; round <= options.rounds; ++round) {
    const auto file = plain_file_rate(directory.path() / "plain", options.events, options.size, clock);
    if (!file) return fail(file.error());
    std::vector<double> rates;
    for (const IngestCase& measured : {batched, single}) {
      const auto rate = ingest_rate(options, measured, directory.fresh("data"), config, clock);
      if (!rate) return fail(rate.error());
      rates.push_back(*rate);
      fmt::print(
          "{{\"bench\":\"ingest\",\"round\":{},\"events_per_publish\":{},\"producers\":{},\"size\":{},"
          "\"events_per_s\":{:.0f},\"file_events_per_s\":{:.0f},\"ratio_to_file\":{:.3f}}}\n",
          round, measured.batch_events, options.producers, options.size, *rate, *file, *rate / *file);
      std::fflush(stdout);
    }
    to_file.push_back(rates[0] / *file);
    to_single.push_back(rates[0] / rates[1]);
    if (!peers) continue;
    if (auto compared = peers->measure(options, round, rates[0], clock); !compared) return fail(compared.error());
  }
  fmt::print(
      "{{\"bench\":\"ingest\",\"median\":true,\"rounds\":{},\"ratio_to_file\":{:.3f},"
      "\"ratio_to_one_event_per_publish\":{:.1f}{}}}\n",
      options.rounds, median(to_file), median(to_single), peers ? peers->medians() : "");
  return 0;
}

}  // namespace millrace
