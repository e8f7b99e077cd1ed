// SPDX-License-Identifier: Apache-2.0
#include "tests/component/line/line.h"

#include "bus/logging.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/sanitizers.h"

namespace millrace::testing {
namespace {

constexpr std::chrono::milliseconds kReconnect{50};
constexpr std::chrono::milliseconds kSilence{500};
constexpr std::chrono::seconds kKeepAlive{2};  // a connection that swallows everything is noticed soon
constexpr size_t kEventsPerEmit = 32;

std::unique_ptr<MqttClient> quick_client(const std::string& url) {
  MqttOptions options;
  options.url = url;
  options.keep_alive = kKeepAlive;
  options.reconnect_min = options.reconnect_max = kReconnect;
  return make_mqtt_client(options);
}

// The program's logger is made before there is a thread: ThreadSanitizer does not see how its library guards that.
[[maybe_unused]] const bool kLoggerIsMade = log_enabled(LogLevel::kError);

std::shared_ptr<EventLog> open_line_log(const std::filesystem::path& directory, const Clock& clock) {
#ifdef MILLRACE_HAS_THREAD_SANITIZER
  static std::map<std::filesystem::path, std::shared_ptr<EventLog>> logs;
  auto& log = logs[directory];
  if (!log) log = make_memory_event_log(static_cast<uint64_t>(to_unix_us(clock.wall())));
  return log;
#else
  return open_rocksdb_event_log(directory, clock).value();
#endif
}

EventDraft numbered_event(uint64_t number, const std::string& machine, WallTime now) {
  if (number % 2 == 0) {
    schema::MachineStateChangedT fact;
    fact.text = std::to_string(number);
    return draft_of(std::move(fact), machine, now, now);
  }
  schema::TelemetrySampledT sample;
  auto signal = std::make_unique<schema::SignalT>();
  signal->object = "extruder";
  signal->field = "temperature";
  signal->value = static_cast<double>(number);
  sample.signals.push_back(std::move(signal));
  return draft_of(std::move(sample), machine, now, now);
}

}  // namespace

LineHub::LineHub(const std::filesystem::path& directory, const std::string& broker_url)
    : log_(open_line_log(directory, clock_)),
      subscriber_(quick_client(broker_url)),
      publisher_(quick_client(broker_url)) {
  recorder_ = std::make_unique<Recorder>(RecorderOptions{}, *log_, *subscriber_, *publisher_, topics_, clock_,
                                         *metrics_, health_, [](auto) {});
  recorder_->start();
  subscriber_->start();
  publisher_->start();
}

LineHub::~LineHub() {
  subscriber_->stop();
  recorder_->stop();
  publisher_->stop();
}

LineProducer::LineProducer(std::string name, const std::filesystem::path& directory, const std::string& broker_url,
                           OutboxOptions outbox)
    : name_(std::move(name)), subscriber_(quick_client(broker_url)), publisher_(quick_client(broker_url)) {
  OutboxRunnerOptions options;
  options.producer = name_;
  options.silence_min = kSilence;
  options.max_outbox_bytes = outbox.max_bytes;
  runner_ =
      OutboxRunner::open(options, Outbox::open(directory, outbox).value(), *publisher_, topics_, clock_, *metrics_)
          .value();
  runner_->on_fenced = [this] { fenced_ = true; };
  unconfirmed_ = runner_->unconfirmed();
  subscriber_->subscribe(topics_.recorded(name_), 0);
  subscriber_->on_message([this](const MqttClient::Message& message) {
    const auto confirmation = decode_confirmation(message.payload);
    if (!confirmation) return;
    loop_.post([this, confirmation = *confirmation] { drive([&] { runner_->on_confirmation(confirmation); }); });
  });
  publisher_->on_connected([this] { loop_.post([this] { drive([this] { runner_->on_connected(); }); }); });
  publisher_->on_room([this] { loop_.post([this] { drive([this] { runner_->on_room(); }); }); });
  publisher_->on_disconnected(
      [this](const std::string&) { loop_.post([this] { drive([this] { runner_->on_disconnected(); }); }); });
  thread_ = std::thread([this] { loop_.run(); });
  subscriber_->start();
  publisher_->start();
}

LineProducer::~LineProducer() {
  subscriber_->stop();
  publisher_->stop();
  loop_.stop();
  thread_.join();
}

void LineProducer::emit(uint64_t events) {
  unconfirmed_ += events;  // until the loop knows better
  loop_.post([this, events] {
    for (uint64_t left = events; left > 0;) {
      std::vector<EventDraft> drafts;
      for (; drafts.size() < kEventsPerEmit && left > 0; --left) {
        drafts.push_back(numbered_event(emitted_++, name_, clock_.wall()));
      }
      drive([&] { runner_->emit(std::move(drafts), ""); });
      stored_ = emitted_;
    }
  });
}

void LineProducer::drive(const std::function<void()>& call) {
  call();
  unconfirmed_ = runner_->unconfirmed();
  const auto deadline = runner_->next_deadline();
  if (!deadline) return timer_.cancel();
  timer_.start(std::max(Micros{0}, *deadline - clock_.monotonic()), [this] { drive([this] { runner_->on_timer(); }); });
}

}  // namespace millrace::testing
