// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "bus/event_log.h"
#include "bus/health.h"
#include "bus/logging.h"
#include "cli/bench_report.h"
#include "cli/broker_connection.h"
#include "cli/opened_log.h"
#include "consumers/recorder.h"
#include "producers/outbox_runner.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kConnectTimeout{10};
constexpr uint64_t kMaxUnconfirmed = 30'000;  // of one producer: just below its window
constexpr uint64_t kEmitChunk = 256;

// One producer with its outbox, on a thread of its own as in an adapter.
class BenchProducer {
 public:
  BenchProducer(const std::string& name, const std::filesystem::path& directory, size_t batch_events,
                MqttClient& publisher, const Topics& topics, const Clock& clock, Metrics& metrics)
      : name_(name), clock_(clock) {
    OutboxRunnerOptions options;
    options.producer = name;
    options.batch_events = batch_events;
    auto outbox = Outbox::open(directory / name, {});
    runner_ =
        std::move(OutboxRunner::open(options, std::move(outbox.value()), publisher, topics, clock, metrics).value());
  }

  // From the broker's thread.
  void confirmed(const Confirmation& confirmation) {
    {
      std::lock_guard lock(mutex_);
      arrived_ = confirmation;
    }
    wake_.notify_one();
  }

  // Emits `events` and returns when the last one is confirmed.
  void produce(uint64_t events, uint64_t size) {
    runner_->on_connected();
    uint64_t emitted = 0;
    while (emitted < events || runner_->unconfirmed() > 0) {
      take_confirmation();
      if (runner_->next_deadline() && *runner_->next_deadline() <= clock_.monotonic()) runner_->on_timer();
      if (emitted < events && runner_->unconfirmed() < kMaxUnconfirmed) {
        for (uint64_t i = 0; i < kEmitChunk && emitted < events; ++i, ++emitted) {
          std::vector<EventDraft> one;
          one.push_back(event_of_size(size, emitted, name_, clock_.wall()));
          runner_->emit(std::move(one), "");
        }
      } else {
        wait();
      }
    }
  }

 private:
  void take_confirmation() {
    std::optional<Confirmation> confirmation;
    {
      std::lock_guard lock(mutex_);
      confirmation.swap(arrived_);
    }
    if (confirmation) runner_->on_confirmation(*confirmation);
  }
  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::milliseconds(1), [this] { return arrived_.has_value(); });
  }

  const std::string name_;
  const Clock& clock_;
  std::unique_ptr<OutboxRunner> runner_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Confirmation> arrived_;
};

struct Case {
  size_t batch_events;
  uint64_t events;
};

// Confirmed events per second of the whole path.
Result<double> ingest_rate(const BenchOptions& options, const Case& measured, const std::filesystem::path& directory,
                           const Config& config, const Clock& clock) {
  auto log = open_rocksdb_event_log(directory / "log", clock);
  if (!log) return log.error();
  const auto metrics = make_metrics();
  Health health;
  const Topics topics(config.mqtt_root);
  auto hub = BrokerConnections::make(config, topics, "hub");
  Recorder recorder({}, **log, *hub.subscriber, *hub.publisher, topics, clock, *metrics, health, [](auto) {});
  recorder.start();
  hub.start();

  auto connections = BrokerConnections::make(config, topics, "bench");
  std::map<std::string, std::unique_ptr<BenchProducer>> producers;
  for (uint64_t i = 0; i < options.producers; ++i) {
    const std::string name = fmt::format("bench-{}", i);
    producers[name] = std::make_unique<BenchProducer>(name, directory, measured.batch_events, *connections.publisher,
                                                      topics, clock, *metrics);
    connections.subscriber->subscribe(topics.recorded(name), 0);
  }
  connections.subscriber->on_message([&](const MqttClient::Message& message) {
    const auto producer = topics.producer_of_recorded(message.topic);
    const auto confirmation = decode_confirmation(message.payload);
    if (producer && confirmation && producers.contains(*producer)) producers.at(*producer)->confirmed(*confirmation);
  });
  connections.start();
  const bool connected = wait_until(clock, kConnectTimeout, [&] {
    return hub.subscriber->connected() && hub.publisher->connected() && connections.subscriber->connected() &&
           connections.publisher->connected();
  });
  if (!connected) return make_error(Errc::kTimeout, "no connection to the broker");
  const uint64_t each = measured.events / options.producers;
  const double seconds = seconds_of(clock, [&] {
    std::vector<std::thread> threads;
    for (auto& [name, producer] : producers) {
      threads.emplace_back([&producer = *producer, each, &options] { producer.produce(each, options.size); });
    }
    for (auto& thread : threads) thread.join();
  });
  connections.stop();
  hub.subscriber->stop();
  recorder.stop();
  hub.publisher->stop();
  const uint64_t expected = (each + 1) * options.producers;  // and each one's EpochOpened
  if ((*log)->last().value != expected) {
    return make_error(Errc::kCorrupt, fmt::format("{} events in the log, expected {}", (*log)->last().value, expected));
  }
  return static_cast<double>(each * options.producers) / seconds;
}

}  // namespace

int run_bench_ingest(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  (void)start_logging({.level = LogLevel::kError});
  Config config;
  const uint16_t port = free_loopback_port();
  config.mqtt_url = fmt::format("mqtt://127.0.0.1:{}", port);
  const auto broker = start_bench_broker(directory.fresh("broker"), port, clock);
  if (!broker) return fail(broker.error());
  // One event per publish is so much slower that a fraction of the events takes as long.
  const Case batched{64, options.events};
  const Case single{1, std::max<uint64_t>(options.events / 20, options.producers)};
  std::vector<double> to_file;
  std::vector<double> to_single;
  for (uint64_t round = 1; round <= options.rounds; ++round) {
    const auto file = plain_file_rate(directory.path() / "plain", options.events, options.size, clock);
    if (!file) return fail(file.error());
    std::vector<double> rates;
    for (const Case& measured : {batched, single}) {
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
  }
  fmt::print(
      "{{\"bench\":\"ingest\",\"median\":true,\"rounds\":{},\"ratio_to_file\":{:.3f},"
      "\"ratio_to_one_event_per_publish\":{:.1f}}}\n",
      options.rounds, median(to_file), median(to_single));
  return 0;
}

}  // namespace millrace
