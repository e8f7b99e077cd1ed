// SPDX-License-Identifier: Apache-2.0
#include "producers/adapters.h"

#include <algorithm>
#include <functional>

#include "bus/logging.h"
#include "bus/random.h"
#include "net/web_socket_client.h"
#include "producers/outbox_runner.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kClockInterval{1};

// http://host:port -> ws://host:port/websocket
std::string web_socket_url(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url + "/websocket";
}

// An outbox that does not verify is set aside, not thrown away, and the machine goes on with a new one.
Result<std::unique_ptr<Outbox>> open_outbox(const std::filesystem::path& directory, const OutboxOptions& options,
                                            const Clock& clock) {
  auto opened = Outbox::open(directory, options);
  if (opened || opened.error().code != Errc::kCorrupt) return opened;
  const std::filesystem::path aside =
      directory.string() + ".corrupt-" + std::to_string(to_unix_us(clock.wall()) / 1'000'000);
  std::error_code error;
  std::filesystem::rename(directory, aside, error);
  if (error) return opened;
  log_error("outbox", "{}; it is set aside as '{}' and a new one is begun", opened.error().context, aside.string());
  return Outbox::open(directory, options);
}

}  // namespace

// One machine: the link to it, its adapter, and the runner of its outbox.
class Adapters::Machine final : private MachineLink {
 public:
  Machine(Adapters& role, const AdapterMachine& machine)
      : role_(role),
        machine_(machine),
        random_(random_seed()),
        socket_(role.loop_, WebSocketClientOptions{}),
        runner_timer_(role.loop_),
        adapter_timer_(role.loop_) {}

  Result<void> prepare() {
    auto outbox = open_outbox(role_.options_.outbox_directory / id(), role_.options_.outbox, role_.clock_);
    if (!outbox) return outbox.error();
    OutboxRunnerOptions options;
    options.producer = id();
    options.max_outbox_bytes = role_.options_.outbox.max_bytes;
    auto runner =
        OutboxRunner::open(options, std::move(*outbox), role_.publisher_, role_.topics_, role_.clock_, role_.metrics_);
    if (!runner) return runner.error();
    runner_ = std::move(*runner);
    runner_->on_fenced = [this] { role_.loop_.post([this] { stop_fenced(); }); };
    adapter_ = std::make_unique<MoonrakerAdapter>(machine_.adapter, runner_->state(), role_.clock_, random_,
                                                  static_cast<MachineLink&>(*this), *runner_, role_.metrics_);
    socket_.on_open = [this] { drive([this] { adapter_->on_link_open(); }); };
    socket_.on_text = [this](std::string_view text) { drive([&] { adapter_->on_link_text(text); }); };
    socket_.on_closed = [this](const WebSocketClosed& closed) {
      drive([&] { adapter_->on_link_closed(name_of(closed.reason), closed.code, closed.text); });
    };
    return {};
  }

  void start() {
    drive([this] { adapter_->start(); });
  }
  void stop() {
    if (!fenced_) drive([this] { adapter_->stop(); });
    socket_.close();
    runner_timer_.cancel();
    adapter_timer_.cancel();
  }
  void confirmed(const Confirmation& confirmation) {
    drive([&] { runner_->on_confirmation(confirmation); });
  }
  void room() {
    drive([this] { runner_->on_room(); });
  }
  void connection_changed(bool connected) {
    drive([&] { connected ? runner_->on_connected() : runner_->on_disconnected(); });
  }
  void clock_jumped(const ClockJump& jump) {
    if (fenced_) return;
    drive([&] {
      std::vector<EventDraft> events;
      events.push_back(millrace::clock_jumped(jump, "adapter", id()));
      runner_->emit(std::move(events), runner_->state());
    });
  }
  uint64_t unconfirmed() const { return runner_->unconfirmed(); }

 private:
  const std::string& id() const { return machine_.adapter.machine_id; }

  // Every call into the adapter or the runner may move their deadlines.
  void drive(const std::function<void()>& call) {
    call();
    arm(runner_timer_, runner_->next_deadline(), [this] { runner_->on_timer(); });
    arm(adapter_timer_, fenced_ ? std::nullopt : adapter_->next_deadline(), [this] { adapter_->on_timer(); });
  }

  void arm(LoopTimer& timer, std::optional<MonotonicTime> deadline, const std::function<void()>& task) {
    if (!deadline) return timer.cancel();
    timer.start(std::max(Micros{0}, *deadline - role_.clock_.monotonic()), [this, task] { drive(task); });
  }

  // Another process owns this machine now (decision 1): two adapters for one machine would record everything twice.
  void stop_fenced() {
    fenced_ = true;
    socket_.close();
    adapter_timer_.cancel();
    role_.health_.set("adapter " + id(), false, "another process has opened a newer epoch for this machine");
  }

  // MachineLink
  void open() override { socket_.open(web_socket_url(machine_.moonraker_url)); }
  bool send(std::string text) override { return socket_.send(std::move(text)); }
  void close() override { socket_.close(); }

  Adapters& role_;
  const AdapterMachine machine_;
  SeededRandom random_;
  WebSocketClient socket_;
  LoopTimer runner_timer_;
  LoopTimer adapter_timer_;
  std::unique_ptr<OutboxRunner> runner_;
  std::unique_ptr<MoonrakerAdapter> adapter_;
  bool fenced_ = false;
};

Adapters::Adapters(IoLoop& loop, AdaptersOptions options, MqttClient& subscriber, MqttClient& publisher, Topics topics,
                   const Clock& clock, Metrics& metrics, Health& health)
    : loop_(loop),
      options_(std::move(options)),
      subscriber_(subscriber),
      publisher_(publisher),
      topics_(std::move(topics)),
      clock_(clock),
      metrics_(metrics),
      health_(health),
      clock_watch_(clock),
      clock_timer_(loop) {}

Adapters::~Adapters() = default;

Result<void> Adapters::start() {
  std::map<std::string, std::unique_ptr<Machine>> machines;
  for (const AdapterMachine& machine : options_.machines) {
    auto prepared = std::make_unique<Machine>(*this, machine);
    if (auto opened = prepared->prepare(); !opened) {
      return make_error(opened.error().code, "machine '" + machine.adapter.machine_id + "': " + opened.error().context);
    }
    machines[machine.adapter.machine_id] = std::move(prepared);
  }
  machines_ = std::move(machines);
  health_.set("adapters", false, "waiting for the broker");
  subscriber_.on_message([this](const MqttClient::Message& message) { receive(message); });
  // QoS 0: a confirmation may be lost, the next one says the same and more; a lone one must not wait for an
  // acknowledgement.
  for (const auto& [id, machine] : machines_) subscriber_.subscribe(topics_.recorded(id), 0);
  subscriber_.subscribe(topics_.status(kHubProducer), 0);
  publisher_.on_connected([this] { loop_.post([this] { connection_changed(true); }); });
  publisher_.on_room([this] {
    loop_.post([this] {
      for (auto& [id, machine] : machines_) machine->room();
    });
  });
  publisher_.on_disconnected([this](const std::string&) { loop_.post([this] { connection_changed(false); }); });
  for (const auto& [id, machine] : machines_) machine->start();
  watch_clock();
  return {};
}

// Once a second.  Every machine's events bear this clock's time, so each machine is told of.
void Adapters::watch_clock() {
  clock_timer_.start(kClockInterval, [this] {
    if (const auto jump = clock_watch_.check()) {
      log_warn("adapters", "this computer's clock was moved by {:.0f} s, to {}",
               std::chrono::duration<double>(jump->by).count(), to_rfc3339(jump->after));
      for (const auto& [id, machine] : machines_) machine->clock_jumped(*jump);
    }
    watch_clock();
  });
}

void Adapters::stop() {
  clock_timer_.cancel();
  for (const auto& [id, machine] : machines_) machine->stop();
}

uint64_t Adapters::unconfirmed() const {
  uint64_t count = 0;
  for (const auto& [id, machine] : machines_) count += machine->unconfirmed();
  return count;
}

void Adapters::receive(const MqttClient::Message& message) {
  const auto producer = topics_.producer_of_recorded(message.topic);
  const bool hub_came = !producer && message.topic == topics_.status(kHubProducer) && message.payload == "online";
  if (!producer && !hub_came) return;
  // What the broker kept may be of a log that is gone: only what a recorder says now is a reason to forget events.
  if (producer && message.retained) return;
  std::optional<Confirmation> confirmation;
  if (producer) {
    auto decoded = decode_confirmation(message.payload);
    if (!decoded) {
      metrics_
          .counter("millrace_protocol_errors_total", "Messages that could not be understood", {{"source", "recorded"}})
          .add();
      return log_warn("adapters", "on {}: {}", message.topic, decoded.error().message());
    }
    confirmation = std::move(*decoded);
  }
  std::lock_guard lock(mutex_);
  hub_came_ = hub_came_ || hub_came;
  if (confirmation) {
    // A request to resend must not be lost under a later confirmation of the same place.
    auto& latest = arrived_[*producer];
    const bool resend = latest.status == Confirmation::Status::kResend && confirmation->recorded <= latest.recorded;
    latest = std::move(*confirmation);
    if (resend && latest.status == Confirmation::Status::kOk) latest.status = Confirmation::Status::kResend;
  }
  if (std::exchange(delivery_posted_, true)) return;
  loop_.post([this] { deliver(); });
}

void Adapters::deliver() {
  std::map<std::string, Confirmation> arrived;
  bool hub_came = false;
  {
    std::lock_guard lock(mutex_);
    arrived.swap(arrived_);
    hub_came = std::exchange(hub_came_, false);
    delivery_posted_ = false;
  }
  if (hub_came && publisher_.connected()) connection_changed(true);  // what it missed comes again
  for (const auto& [producer, confirmation] : arrived) {
    const auto machine = machines_.find(producer);
    if (machine != machines_.end()) machine->second->confirmed(confirmation);
  }
}

void Adapters::connection_changed(bool connected) {
  if (connected) (void)publisher_.publish(topics_.status("adapters"), "online", 1, Retain::kYes);
  health_.set("adapters", connected, connected ? "" : "no connection to the broker: events wait in the outbox");
  for (const auto& [id, machine] : machines_) machine->connection_changed(connected);
}

}  // namespace millrace
