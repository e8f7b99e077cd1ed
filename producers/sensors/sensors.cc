// SPDX-License-Identifier: Apache-2.0
#include "producers/sensors/sensors.h"

#include <algorithm>
#include <utility>

#include "bus/logging.h"
#include "bus/sensor_names.h"

namespace millrace {
namespace {

std::set<std::string, std::less<>> topics_in(const std::vector<SensorEntry>& entries) {
  std::set<std::string, std::less<>> topics;
  for (const SensorEntry& entry : entries) topics.insert(entry.topic);
  return topics;
}

}  // namespace

Sensors::Sensors(IoLoop& loop, SensorsOptions options, MqttClient& subscriber, MqttClient& publisher, Topics topics,
                 const Clock& clock, Metrics& metrics, Health& health)
    : loop_(loop),
      options_(std::move(options)),
      subscriber_(subscriber),
      publisher_(publisher),
      topics_(std::move(topics)),
      clock_(clock),
      metrics_(metrics),
      health_(health),
      wanted_(topics_in(options_.entries)),
      readings_(options_.entries, clock, metrics),
      timer_(loop) {}

Sensors::~Sensors() = default;

Result<void> Sensors::start() {
  const std::string name(kSensorsProducer);
  auto outbox = Outbox::open(options_.outbox_directory / name, options_.outbox, Outbox::Damage::kLeftOut);
  if (!outbox) return outbox.error();
  OutboxRunnerOptions runner_options;
  runner_options.producer = name;
  runner_options.max_outbox_bytes = options_.outbox.max_bytes;
  auto runner = OutboxRunner::open(runner_options, std::move(*outbox), publisher_, topics_, clock_, metrics_);
  if (!runner) return runner.error();
  runner_ = std::move(*runner);
  runner_->on_fenced = [this] {
    loop_.post([this] {
      stop();
      health_.set("sensors", false, "another process has opened a newer epoch: only one may have [[sensor]] entries");
    });
  };
  subscriber_.on_message([this](const MqttClient::Message& message) { receive(message); });
  subscriber_.subscribe(topics_.recorded(name), 0);
  subscriber_.subscribe(topics_.status(kHubProducer), 0);
  for (const std::string& topic : wanted_) subscriber_.subscribe(topic, 0);
  publisher_.on_connected([this] { loop_.post([this] { drive([this] { runner_->on_connected(); }); }); });
  publisher_.on_disconnected(
      [this](const std::string&) { loop_.post([this] { drive([this] { runner_->on_disconnected(); }); }); });
  publisher_.on_room([this] { loop_.post([this] { drive([this] { runner_->on_room(); }); }); });
  return {};
}

void Sensors::stop() {
  stopped_ = true;
  timer_.cancel();
}

// Copies and returns: a callback that waits would hold up every publish of the process.
void Sensors::receive(const MqttClient::Message& message) {
  const bool of_recorder = topics_.producer_of_recorded(message.topic).has_value();
  const bool hub_came = message.topic == topics_.status(kHubProducer);
  if (!of_recorder && !hub_came && !wanted_.contains(message.topic)) return;
  if (of_recorder && message.retained) return;  // may be of a log that is gone
  std::optional<Confirmation> confirmation;
  if (of_recorder) {
    auto decoded = decode_confirmation(message.payload);
    if (!decoded) return;
    confirmation = std::move(*decoded);
  }
  std::lock_guard lock(mutex_);
  if (confirmation) {
    if (!confirmation_) confirmation_.emplace();
    keep_latest(*confirmation_, std::move(*confirmation));
  } else if (hub_came) {
    hub_came_ = hub_came_ || message.payload == "online";
  } else {
    auto place = arrived_.find(message.topic);
    if (place == arrived_.end()) place = arrived_.try_emplace(std::string(message.topic)).first;
    // What the broker kept must not take the place of what was just said.
    if (message.retained && place->second.size > 0 && !place->second.retained) return;
    Arrived& latest = place->second;
    latest.size = message.payload.size();
    latest.retained = message.retained;
    latest.payload = message.payload.substr(0, latest.size > SensorReadings::kMaxPayload ? 0 : latest.size);
  }
  if (std::exchange(delivery_posted_, true)) return;
  loop_.post([this] { deliver(); });
}

void Sensors::deliver() {
  std::map<std::string, Arrived, std::less<>> arrived;
  std::optional<Confirmation> confirmation;
  bool hub_came = false;
  {
    std::lock_guard lock(mutex_);
    arrived.swap(arrived_);
    confirmation.swap(confirmation_);
    hub_came = std::exchange(hub_came_, false);
    delivery_posted_ = false;
  }
  drive([&] {
    if (hub_came && publisher_.connected()) runner_->on_connected();  // what it missed comes again
    if (confirmation) runner_->on_confirmation(*confirmation);
    for (const auto& [topic, message] : arrived) {
      if (message.size > SensorReadings::kMaxPayload) {
        readings_.refuse(topic, "too_large", std::to_string(message.size) + " bytes are too many");
      } else {
        readings_.on_message(topic, message.payload, message.retained);
      }
    }
  });
}

// Every call may move the deadlines of the runner and of the readings.
void Sensors::drive(const std::function<void()>& call) {
  if (stopped_) return;
  call();
  if (auto events = readings_.take(); !events.empty()) runner_->emit(std::move(events), {});
  std::optional<MonotonicTime> first = runner_->next_deadline();
  if (const auto due = readings_.next_deadline(); due && (!first || *due < *first)) first = due;
  if (!first) return timer_.cancel();
  timer_.start(std::max(Micros{0}, *first - clock_.monotonic()), [this] {
    drive([this] {
      if (const auto due = runner_->next_deadline(); due && *due <= clock_.monotonic()) runner_->on_timer();
    });
  });
}

}  // namespace millrace
