// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "bus/file_io.h"
#include "bus/logging.h"
#include "cli/bench/bench.h"
#include "cli/bench/bench_producers.h"
#include "cli/bench/bench_recorder.h"
#include "cli/bench/harness.h"
#include "cli/opened_log.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kConnectTimeout{10};
constexpr uint64_t kMaxEventsPerRound = 250;

// A message to itself at QoS 1, by the clients that the product uses.
class RoundTrip {
 public:
  RoundTrip(const Config& config, const Topics& topics)
      : connections_(BrokerConnections::make(config, topics, "ping")) {
    connections_.subscriber->subscribe(kTopic, 1);
    connections_.subscriber->on_message([this](const MqttClient::Message&) {
      {
        std::lock_guard lock(mutex_);
        arrived_ = true;
      }
      wake_.notify_one();
    });
    connections_.start();
  }
  ~RoundTrip() { connections_.stop(); }

  bool connected() const { return connections_.subscriber->connected() && connections_.publisher->connected(); }
  Result<void> once(std::string_view payload) {
    if (auto published = connections_.publisher->publish(kTopic, payload, 1, Retain::kNo); !published) return published;
    std::unique_lock lock(mutex_);
    if (!wake_.wait_for(lock, kConnectTimeout, [this] { return arrived_; })) {
      return make_error(Errc::kTimeout, "a message to itself does not arrive");
    }
    arrived_ = false;
    return {};
  }

 private:
  static constexpr const char* kTopic = "bench/ping";

  BrokerConnections connections_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool arrived_ = false;
};

}  // namespace

int run_bench_confirm(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  (void)start_logging({.level = LogLevel::kError});
  const auto broker = start_bench_broker(directory, clock);
  if (!broker) return fail(broker.error());
  const Config& config = broker->config;

  const auto data = directory.fresh("data");
  const auto metrics = make_metrics();
  const auto recorder = BenchRecorder::start(data, config, clock, *metrics);
  if (!recorder) return fail(recorder.error());
  auto producers = BenchProducers::start({}, data, config, clock, *metrics);
  if (!producers) return fail(producers.error());
  RoundTrip round_trip(config, Topics(config.mqtt_root));
  if (!wait_until(clock, kConnectTimeout, [&] { return round_trip.connected(); })) {
    return fail(make_error(Errc::kTimeout, "no connection to the broker"));
  }
  auto file = File::open(directory.path() / "plain", O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return fail(file.error());

  const uint64_t events = std::min(options.events, kMaxEventsPerRound);
  const std::string payload(options.size, 'x');
  std::vector<double> ratios;
  const auto p50_ms = [&](const std::function<Result<void>()>& once) -> Result<double> {
    std::vector<double> milliseconds;
    Result<void> outcome;
    for (uint64_t i = 0; i < events && outcome; ++i) {
      milliseconds.push_back(1000 * seconds_of(clock, [&] { outcome = once(); }));
    }
    if (!outcome) return outcome.error();
    return median(std::move(milliseconds));
  };
  for (uint64_t round = 1; round <= options.rounds; ++round) {
    const auto reference = p50_ms([&]() -> Result<void> {
      if (auto written = file->write_all(payload); !written) return written;
      if (auto synced = file->sync(); !synced) return synced;
      return round_trip.once(payload);
    });
    if (!reference) return fail(reference.error());
    uint64_t number = 0;
    const auto confirmed = p50_ms([&]() -> Result<void> {
      std::vector<EventDraft> one;
      one.push_back(event_of_size(options.size, ++number, "bench-0", clock.wall()));
      (*producers)->first().produce(std::move(one), 1);
      return {};
    });
    if (!confirmed) return fail(confirmed.error());
    ratios.push_back(*confirmed / *reference);
    fmt::print(
        "{{\"bench\":\"confirm\",\"round\":{},\"events\":{},\"confirmed_p50_ms\":{:.3f},"
        "\"fdatasync_and_round_trip_p50_ms\":{:.3f},\"ratio_to_fdatasync_and_round_trip\":{:.2f}}}\n",
        round, events, *confirmed, *reference, ratios.back());
    std::fflush(stdout);
  }
  fmt::print("{{\"bench\":\"confirm\",\"median\":true,\"rounds\":{},\"ratio_to_fdatasync_and_round_trip\":{:.2f}}}\n",
             options.rounds, median(ratios));
  return 0;
}

}  // namespace millrace
