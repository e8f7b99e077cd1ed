// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/bench_producers.h"

#include <fmt/format.h>

#include <thread>

#include "bus/crc32.h"
#include "cli/bench/harness.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kConnectTimeout{10};
constexpr uint64_t kMaxUnconfirmed = 30'000;  // of one producer: just below its window
constexpr size_t kEmittedAtOnce = 64;

std::vector<EventDraft> drafts_of(const std::string& machine, uint64_t count, uint64_t size, WallTime now) {
  std::vector<EventDraft> drafts;
  drafts.reserve(count);
  const uint64_t seed = crc32_of(machine);  // no two say the same
  for (uint64_t i = 0; i < count; ++i) drafts.push_back(event_of_size(size, (seed << 24) + i, machine, now));
  return drafts;
}

}  // namespace

BenchProducer::BenchProducer(const std::string& name, const std::filesystem::path& directory, size_t batch_events,
                             MqttClient& publisher, const Topics& topics, const Clock& clock, Metrics& metrics)
    : clock_(clock) {
  OutboxRunnerOptions options;
  options.producer = name;
  options.batch_events = batch_events;
  if (batch_events == 1) options.busy_batch_events = 1;
  auto outbox = Outbox::open(directory / name, {});
  runner_ = OutboxRunner::open(options, std::move(outbox.value()), publisher, topics, clock, metrics).value();
}

void BenchProducer::confirmed(const Confirmation& confirmation) {
  {
    std::lock_guard lock(mutex_);
    arrived_.push_back(confirmation);
  }
  wake_.notify_one();
}

void BenchProducer::room() {
  {
    std::lock_guard lock(mutex_);
    room_ = true;
  }
  wake_.notify_one();
}

void BenchProducer::produce(std::vector<EventDraft> events, size_t at_once) {
  for (size_t emitted = 0;;) {
    take_what_arrived();
    if (runner_->next_deadline() && *runner_->next_deadline() <= clock_.monotonic()) runner_->on_timer();
    if (emitted == events.size() && runner_->unconfirmed() == 0) return;
    if (emitted == events.size() || runner_->unconfirmed() >= kMaxUnconfirmed) {
      wait();
      continue;
    }
    const size_t end = std::min(events.size(), emitted + at_once);
    std::vector<EventDraft> burst(std::make_move_iterator(events.begin() + static_cast<std::ptrdiff_t>(emitted)),
                                  std::make_move_iterator(events.begin() + static_cast<std::ptrdiff_t>(end)));
    runner_->emit(std::move(burst), "");
    emitted = end;
  }
}

void BenchProducer::take_what_arrived() {
  std::vector<Confirmation> confirmations;
  bool room = false;
  {
    std::lock_guard lock(mutex_);
    confirmations.swap(arrived_);
    room = std::exchange(room_, false);
  }
  for (const Confirmation& confirmation : confirmations) runner_->on_confirmation(confirmation);
  if (room) runner_->on_room();
}

void BenchProducer::wait() {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, std::chrono::milliseconds(1), [this] { return room_ || !arrived_.empty(); });
}

BenchProducers::BenchProducers(const Config& config, const Clock& clock)
    : clock_(clock), topics_(config.mqtt_root), connections_(BrokerConnections::make(config, topics_, "bench")) {}

Result<std::unique_ptr<BenchProducers>> BenchProducers::start(const BenchProducersOptions& options,
                                                              const std::filesystem::path& directory,
                                                              const Config& config, const Clock& clock,
                                                              Metrics& metrics) {
  std::unique_ptr<BenchProducers> made(new BenchProducers(config, clock));
  for (uint64_t i = 0; i < options.count; ++i) {
    const std::string name = fmt::format("bench-{}", i);
    made->producers_[name] = std::make_unique<BenchProducer>(
        name, directory, options.batch_events, *made->connections_.publisher, made->topics_, clock, metrics);
    made->connections_.subscriber->subscribe(made->topics_.recorded(name), 0);
  }
  made->connections_.subscriber->on_message([all = made.get()](const MqttClient::Message& message) {
    const auto producer = all->topics_.producer_of_recorded(message.topic);
    const auto confirmation = decode_confirmation(message.payload);
    if (!producer || !confirmation) return;
    if (const auto found = all->producers_.find(*producer); found != all->producers_.end()) {
      found->second->confirmed(*confirmation);
    }
  });
  made->connections_.publisher->on_room([all = made.get()] {
    for (auto& [name, producer] : all->producers_) producer->room();
  });
  made->connections_.start();
  if (!wait_until(clock, kConnectTimeout, [&] {
        return made->connections_.subscriber->connected() && made->connections_.publisher->connected();
      })) {
    return make_error(Errc::kTimeout, "the producers have no connection to the broker");
  }
  for (auto& [name, producer] : made->producers_) producer->connect();
  return made;
}

BenchProducers::~BenchProducers() { connections_.stop(); }

double BenchProducers::produce(uint64_t each, uint64_t size) {
  std::map<std::string, std::vector<EventDraft>> drafts;
  for (const auto& [name, producer] : producers_) drafts[name] = drafts_of(name, each, size, clock_.wall());
  return seconds_of(clock_, [&] {
    std::vector<std::thread> threads;
    for (auto& [name, producer] : producers_) {
      threads.emplace_back(
          [&producer = *producer, &events = drafts[name]] { producer.produce(std::move(events), kEmittedAtOnce); });
    }
    for (auto& thread : threads) thread.join();
  });
}

}  // namespace millrace
