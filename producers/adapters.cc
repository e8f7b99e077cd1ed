// SPDX-License-Identifier: Apache-2.0
#include "producers/adapters.h"

#include <algorithm>
#include <functional>

#include "bus/logging.h"
#include "bus/random.h"
#include "producers/mqtt_stop.h"
#include "producers/outbox_runner.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kClockInterval{1};
constexpr const char* kSafetyActor = "safety";  // of what an alarm does by itself
constexpr size_t kMaxWhy = 200;
constexpr std::string_view kEmergencyStop = "emergency_stop";
constexpr size_t kMaxKnownStops = 256;
constexpr size_t kMaxRegistryMessage = 512u << 10;  // the list of all machines

}  // namespace

// One machine: the runner of its outbox, and while it is served, the link to it and its adapter.
class Adapters::Machine final : private MachineLink, private EventSink {
 public:
  Machine(Adapters& role, std::string id)
      : role_(role),
        id_(std::move(id)),
        random_(random_seed()),
        runner_timer_(role.loop_),
        adapter_timer_(role.loop_) {}

  Result<void> prepare() {
    auto outbox = Outbox::open(role_.options_.outbox_directory / id_, role_.options_.outbox, Outbox::Damage::kLeftOut);
    if (!outbox) return outbox.error();
    OutboxRunnerOptions options;
    options.producer = id_;
    options.max_outbox_bytes = role_.options_.outbox.max_bytes;
    auto runner =
        OutboxRunner::open(options, std::move(*outbox), role_.publisher_, role_.topics_, role_.clock_, role_.metrics_);
    if (!runner) return runner.error();
    runner_ = std::move(*runner);
    // By its name: until then it may have been left and forgotten.
    runner_->on_fenced = [role = &role_, id = id_] {
      role->loop_.post([role, id] {
        const auto machine = role->machines_.find(id);
        if (machine != role->machines_.end()) machine->second->stop_fenced();
      });
    };
    return {};
  }

  // `secret` is asked at each attempt to connect.
  void serve(const MoonrakerAdapterOptions& adapter, const MoonrakerTarget& target,
             std::function<MachineSecret()> secret) {
    target_ = target;
    used_secret_ = secret();
    if (role_.stopper_) role_.stopper_->set(id_, {target.url, target.ca_file, secret});
    socket_ = std::make_unique<MoonrakerSocket>(role_.loop_, role_.clock_, target,
                                                [this, secret = std::move(secret)] { return used_secret_ = secret(); });
    socket_->on_open = [this](const LinkIdentity& identity) { drive([&] { adapter_->on_link_open(identity); }); };
    socket_->on_text = [this](std::string_view text) { drive([&] { adapter_->on_link_text(text); }); };
    socket_->on_closed = [this](std::string_view reason, uint16_t code, std::string_view text) {
      drive([&] { adapter_->on_link_closed(reason, code, text); });
    };
    adapter_ = std::make_unique<MoonrakerAdapter>(adapter, runner_->state(), role_.clock_, random_,
                                                  static_cast<MachineLink&>(*this), static_cast<EventSink&>(*this),
                                                  role_.metrics_);
    // By its name: until then it may have been left and forgotten.
    adapter_->on_alarm_action = [role = &role_, id = id_](const schema::AlarmRaisedT& alarm) {
      role->loop_.post([role, id, alarm] { role->act_on(id, alarm); });
    };
    adapter_->on_reply = [this](const CommandReply& reply) {
      if (role_.commands_) role_.commands_->reply(id_, reply);
    };
    adapter_->on_file_due = [this](JobFile file) { read(std::move(file)); };
    if (!fenced_) drive([this] { adapter_->start(); });
  }
  void work_by(const MachineConnection& said) {
    if (!adapter_ || fenced_) return;
    adapter_->equipped_with(said.equipment);
    drive([&] { adapter_->watch_by(said.safety); });
  }
  bool take_command(AskedCommand asked) {
    if (fenced_ || !adapter_) return false;
    drive([&] { adapter_->take_command(std::move(asked)); });
    return true;
  }
  bool serves() const { return adapter_ != nullptr; }
  // Whether another connection would have to be made.
  bool differs(const MoonrakerTarget& target, const MachineSecret& secret) const {
    return !(target == target_ && secret == used_secret_);
  }
  void rename(const std::string& name, const std::string& kind) {
    if (adapter_ && !fenced_) drive([&] { adapter_->rename(name, kind); });
  }

  // What is unconfirmed is still published until drained().
  void leave(MoonrakerAdapter::Leaving why) {
    if (role_.stopper_) role_.stopper_->remove(id_);
    if (adapter_ && !fenced_) drive([&] { adapter_->leave(why); });
    end_link();
  }
  bool drained() const { return !adapter_ && runner_->unconfirmed() == 0; }

  // For another connection: as at the end of the process, so that an open job goes on.
  void stop_serving() {
    if (adapter_ && !fenced_) drive([this] { adapter_->stop(); });
    end_link();
  }
  void stop() {
    stop_serving();
    runner_timer_.cancel();
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
    if (fenced_ || !adapter_) return;
    drive([&] {
      std::vector<EventDraft> events;
      events.push_back(millrace::clock_jumped(jump, "adapter", id_));
      runner_->emit(std::move(events), runner_->state());
    });
  }
  uint64_t unconfirmed() const { return runner_->unconfirmed(); }

  // A stop was done from here.
  void emergency_stopped(const EmergencyRecord& record) {
    if (fenced_) return;
    drive([&] {
      if (adapter_) return adapter_->emergency_stopped(draft_of(record));
      std::vector<EventDraft> events;
      events.push_back(draft_of(record));
      runner_->emit(std::move(events), runner_->state());
    });
  }
  void hub_latched(uint64_t latch) {
    if (adapter_ && !fenced_) drive([&] { adapter_->hub_latched(latch); });
  }

  void tell(schema::JobMetadataReadT metadata) {
    if (fenced_) return;
    drive([&] {
      if (adapter_) return adapter_->file_read(std::move(metadata));
      std::vector<EventDraft> events;
      events.push_back(draft_of(std::move(metadata), id_, role_.clock_.wall()));
      runner_->emit(std::move(events), runner_->state());
    });
  }

 private:
  // Every call into the adapter or the runner may move their deadlines.
  void drive(const std::function<void()>& call) {
    call();
    arm(runner_timer_, runner_->next_deadline(), [this] { runner_->on_timer(); });
    arm(adapter_timer_, fenced_ || !adapter_ ? std::nullopt : adapter_->next_deadline(),
        [this] { adapter_->on_timer(); });
  }

  void arm(LoopTimer& timer, std::optional<MonotonicTime> deadline, const std::function<void()>& task) {
    if (!deadline) return timer.cancel();
    timer.start(std::max(Micros{0}, *deadline - role_.clock_.monotonic()), [this, task] { drive(task); });
  }

  void end_link() {
    adapter_timer_.cancel();
    if (socket_) socket_->close();
    adapter_.reset();
    socket_.reset();
  }

  // Another process owns this machine now (decision 1): two adapters for one machine would record everything twice.
  void stop_fenced() {
    fenced_ = true;
    if (socket_) socket_->close();
    adapter_timer_.cancel();
    role_.health_.set("adapter " + id_, false, "another process has opened a newer epoch for this machine");
  }

  // EventSink, of the adapter: the runner's.
  EventId next_id() const override { return runner_->next_id(); }
  void emit(std::vector<EventDraft> events, std::string_view state) override {
    runner_->emit(std::move(events), state);
  }

  // Later, and once: what the slicer wrote into the file that is printed.
  void read(JobFile file) {
    JobFileSource source;
    source.moonraker_url = http_base(target_.url);
    source.ca_file = target_.ca_file;
    if (!used_secret_.api_key.empty()) {
      source.headers.emplace_back("X-Api-Key", used_secret_.api_key);
    } else {
      source.username = used_secret_.username;
      source.password = used_secret_.password;
    }
    const std::string job = file.job_id;
    // By its name: until then it may have been left and forgotten.
    const bool taken = role_.files_->read(source, std::move(file), [role = &role_, id = id_](auto metadata) {
      const auto machine = role->machines_.find(id);
      if (machine != role->machines_.end()) machine->second->tell(std::move(metadata));
    });
    if (!taken) log_warn("adapters", "the file of job {} is not read: too many wait", job);
  }

  // MachineLink
  void open() override { socket_->open(); }
  bool send(std::string text) override { return socket_->send(std::move(text)); }
  void close() override { socket_->close(); }

  Adapters& role_;
  const std::string id_;
  MoonrakerTarget target_;
  MachineSecret used_secret_;
  SeededRandom random_;
  LoopTimer runner_timer_;
  LoopTimer adapter_timer_;
  std::unique_ptr<OutboxRunner> runner_;
  std::unique_ptr<MoonrakerSocket> socket_;
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
      own_(options_.machines),
      files_(std::make_unique<JobFileReader>(loop, options_.keep_blob, clock, file_pauses_)),
      clock_watch_(clock),
      clock_timer_(loop),
      stopper_(std::make_shared<EmergencyStopper>(clock, metrics)),
      stop_ids_(random_seed()) {}

Adapters::~Adapters() = default;

// The machine's runner, opened when there is none.
Result<Adapters::Machine*> Adapters::machine_of(const std::string& id) {
  const auto found = machines_.find(id);
  if (found != machines_.end()) return found->second.get();
  auto prepared = std::make_unique<Machine>(*this, id);
  if (auto opened = prepared->prepare(); !opened) {
    return make_error(opened.error().code, "machine '" + id + "': " + opened.error().context);
  }
  Machine* machine = prepared.get();
  machines_[id] = std::move(prepared);
  subscriber_.subscribe(topics_.recorded(id), 0);
  if (broker_up_) machine->connection_changed(true);
  return machine;
}

Result<void> Adapters::start() {
  for (const auto& [id, machine] : wanted()) {
    if (auto opened = machine_of(id); !opened) {
      machines_.clear();
      return opened.error();
    }
  }
  health_.set("adapters", false, "waiting for the broker");
  subscriber_.on_message([this](const MqttClient::Message& message) { receive(message); });
  // Confirmations are taken at QoS 0: one may be lost, the next one says the same and more; a lone one must not wait
  // for an acknowledgement.
  subscriber_.subscribe(topics_.status(kHubProducer), 0);
  publisher_.on_connected([this] { loop_.post([this] { connection_changed(true); }); });
  publisher_.on_room([this] {
    loop_.post([this] {
      for (auto& [id, machine] : machines_) machine->room();
    });
  });
  publisher_.on_disconnected([this](const std::string&) { loop_.post([this] { connection_changed(false); }); });
  if (!options_.registry_file.empty()) registry_.emplace(options_.registry_file);
  serve_wanted();
  subscriber_.subscribe(topics_.config_all(), 1);
  subscriber_.subscribe(topics_.command("+", kEmergencyStop), 1);
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
  std::shared_ptr<EmergencyStopper> stopper;
  {
    std::lock_guard lock(mutex_);
    stopper.swap(stopper_);
  }
  stopper.reset();  // what its stops came to is posted, and stored in the outbox
  for (const auto& [id, machine] : machines_) machine->stop();
}

uint64_t Adapters::unconfirmed() const {
  uint64_t count = 0;
  for (const auto& [id, machine] : machines_) count += machine->unconfirmed();
  return count;
}

size_t Adapters::serving() const {
  return static_cast<size_t>(
      std::count_if(machines_.begin(), machines_.end(), [](const auto& entry) { return entry.second->serves(); }));
}

void Adapters::take_commands(MqttClient& client) {
  commands_ = std::make_unique<CommandReception>(
      loop_, client, topics_, options_.commands, clock_, metrics_, [this](const std::string& id, AskedCommand asked) {
        const auto machine = machines_.find(id);
        return machine != machines_.end() && machine->second->take_command(std::move(asked));
      });
  commands_->start();
}

// Straight to the machine, from the thread on which the message came.
void Adapters::take_stop(const std::string& machine, const MqttClient::Message& message) {
  if (message.retained) {
    return log_warn("adapters", "on {}: a retained emergency stop is not carried out", message.topic);
  }
  std::shared_ptr<EmergencyStopper> stopper;
  {
    std::lock_guard lock(mutex_);
    stopper = stopper_;
  }
  if (!stopper) return;
  const std::vector<std::string> machines =
      machine == kAllMachines ? stopper->machines() : std::vector<std::string>{machine};
  const MqttStop said = mqtt_stop(machine, message.payload, stop_ids_, clock_.wall());
  // One that comes again is done again, which does no harm, and recorded once.
  const bool again = std::find(known_stops_.begin(), known_stops_.end(), said.id) != known_stops_.end();
  if (!again) known_stops_.push_back(said.id);
  if (known_stops_.size() > kMaxKnownStops) known_stops_.pop_front();
  for (const std::string& each : machines) {
    if (!stopper->knows(each)) continue;  // another role's
    stop_at_once(*stopper,
                 {record_of(said, each), again, said.api_key, StopRequest{machine, std::string(message.payload)}});
  }
}

void Adapters::stop_at_once(EmergencyStopper& stopper, Stop stop) {
  const std::string machine = stop.record.machine;
  stopper.stop(machine, [this, stop = std::move(stop)](const EmergencyStopResult& result) mutable {
    take_outcome(stop.record, result);
    loop_.post([this, stop = std::move(stop)]() mutable {
      answer(stop);
      if (stop.again) return;
      attribute(stop.record, stop.api_key, options_.commands);
      stopped(stop.record);
    });
  });
}

// Whoever asked by MQTT has to hear that the machine did not confirm.
void Adapters::answer(const Stop& stop) {
  if (!stop.request || !commands_) return;
  commands_->reply_to_stop(*stop.request, stop.record.machine, reply_to(stop.record, clock_.wall()));
}

// What people have set a rule to do.
void Adapters::act_on(const std::string& machine, const schema::AlarmRaisedT& alarm) {
  log_warn("adapters", "alarm {}: {}; action {}", alarm.alarm_id, alarm.text,
           schema::EnumNameAlarmAction(alarm.action));
  const std::string why = "alarm " + alarm.alarm_id + ": " + alarm.text;
  if (alarm.action == schema::AlarmAction::emergency_stop) {
    if (!stopper_) return;
    EmergencyRecord record;
    record.machine = machine;
    record.command_id = make_emergency_id(action_ids_);
    record.client = record.actor = kSafetyActor;
    record.reason = why;
    record.asked_at = clock_.wall();
    return stop_at_once(*stopper_, {std::move(record), false, "", std::nullopt});
  }
  const auto found = machines_.find(machine);
  if (found == machines_.end()) return;
  AskedCommand asked;
  asked.message.machine = machine;
  asked.message.command = alarm.action == schema::AlarmAction::pause ? "pause" : "cool_down";
  asked.message.client = asked.message.actor = kSafetyActor;
  asked.message.claimed_actor = why.substr(0, kMaxWhy);
  asked.scopes = ScopeSet::all();
  asked.received = clock_.monotonic();
  found->second->take_command(std::move(asked));
}

void Adapters::stopped(const EmergencyRecord& record) {
  if (!record.confirmed) {
    log_error("adapters", "the emergency stop of '{}' is NOT CONFIRMED: {}", record.machine, record.text);
  }
  const auto machine = machines_.find(record.machine);
  if (machine != machines_.end()) machine->second->emergency_stopped(record);
}

void Adapters::receive(const MqttClient::Message& message) {
  if (const auto command = topics_.machine_and_command_of(message.topic)) {
    if (command->command == kEmergencyStop) take_stop(command->machine, message);
    return;
  }
  if (const auto level = topics_.machine_of_config(message.topic)) {
    if (message.payload.size() > kMaxRegistryMessage) {
      return log_warn("adapters", "on {}: {} bytes are too many", message.topic, message.payload.size());
    }
    std::lock_guard lock(mutex_);
    if (registry_arrived_.size() > kMaxRegisteredMachines && !registry_arrived_.contains(*level)) return;
    registry_arrived_[*level] = message.payload;
    if (std::exchange(delivery_posted_, true)) return;
    return loop_.post([this] { deliver(); });
  }
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
  if (confirmation) keep_latest(arrived_[*producer], std::move(*confirmation));
  if (std::exchange(delivery_posted_, true)) return;
  loop_.post([this] { deliver(); });
}

void Adapters::deliver() {
  std::map<std::string, Confirmation> arrived;
  std::map<std::string, std::string> registry;
  bool hub_came = false;
  {
    std::lock_guard lock(mutex_);
    arrived.swap(arrived_);
    registry.swap(registry_arrived_);
    hub_came = std::exchange(hub_came_, false);
    delivery_posted_ = false;
  }
  if (hub_came && publisher_.connected()) connection_changed(true);  // what it missed comes again
  for (const auto& [producer, confirmation] : arrived) {
    const auto machine = machines_.find(producer);
    if (machine != machines_.end()) machine->second->confirmed(confirmation);
  }
  if (!registry.empty()) take_registry(registry);
  take_latches(registry);
  forget_drained();
}

// Of whatever machine is served here, whoever manages it.
void Adapters::take_latches(const std::map<std::string, std::string>& messages) {
  for (const auto& [level, payload] : messages) {
    const auto machine = machines_.find(level);
    if (machine == machines_.end() || payload.empty()) continue;
    if (const auto said = decode_machine_connection(level, payload)) {
      machine->second->hub_latched(said->emergency_latch);
    }
  }
}

void Adapters::take_registry(const std::map<std::string, std::string>& messages) {
  if (!registry_) return;
  for (const auto& [level, payload] : messages) {
    if (auto taken = registry_->take(level, payload); !taken) {
      metrics_
          .counter("millrace_protocol_errors_total", "Messages that could not be understood", {{"source", "config"}})
          .add();
      log_warn("adapters", "on {}: {}", topics_.config(level), taken.error().message());
    }
  }
  if (auto stored = registry_->store(); !stored) {
    log_error("adapters", "the registry is in memory only: {}", stored.error().message());
  }
  serve_wanted();
}

// The registry may know one that is gone from the time before it was the file's.  It is not taken up from there until
// the hub has said something newer: else it would be connected, and registered as made by API, for a moment.
void Adapters::take_own(std::vector<OwnMachine> machines) {
  const auto known = registry_ ? registry_->machines() : std::map<std::string, MachineConnection>{};
  for (OwnMachine& before : own_) {
    const auto is_it = [&](const OwnMachine& machine) { return machine.connection.id == before.connection.id; };
    const auto said = known.find(before.connection.id);
    if (said == known.end() || std::any_of(machines.begin(), machines.end(), is_it)) continue;
    before.connection.enabled = false;
    if (before.connection.version == 0) before.connection.version = said->second.version;
    if (before.connection.version == said->second.version) machines.push_back(std::move(before));
  }
  own_ = std::move(machines);
  serve_wanted();
}

// What the own file and the registry say.
std::map<std::string, Adapters::Wanted> Adapters::wanted() const {
  std::map<std::string, Wanted> wanted;
  if (registry_ && options_.serve_registry) {
    for (const auto& [id, connection] : registry_->machines()) {
      if (connection.managed_by == "api") wanted[id] = Wanted{{connection, {}}, false};
    }
  }
  for (const OwnMachine& machine : own_) {
    const auto found = wanted.find(machine.connection.id);
    const bool gone = machine.connection.version != 0;  // what the registry said last when it left the file
    const bool newer = found != wanted.end() && found->second.connection.version > machine.connection.version;
    if (!gone || !newer) wanted[machine.connection.id] = Wanted{machine, true};
  }
  std::erase_if(wanted, [](const auto& entry) {
    const MachineConnection& connection = entry.second.connection;
    return !connection.enabled || connection.kind != "printer";
  });
  return wanted;
}

// Makes what is served what is wanted.
void Adapters::serve_wanted() {
  using Leaving = MoonrakerAdapter::Leaving;
  const auto wanted = this->wanted();
  for (const auto& [id, served] : std::exchange(served_, {})) {
    if (wanted.contains(id)) {
      served_.emplace(id, served);
      continue;
    }
    // What a file no longer has is disabled, as it is in the hub: its history goes on when it is back.
    const bool removed = !served.own && !registry_->machines().contains(id);
    log_info("adapters", "machine '{}' was {}", id, removed ? "removed" : "disabled");
    machines_.at(id)->leave(removed ? Leaving::kRemoved : Leaving::kDisabled);
  }
  for (const auto& [id, machine] : wanted) {
    const auto served = served_.find(id);
    if (served == served_.end() || served->second != machine) serve(machine);
  }
  if (registry_) work_as_told();
  if (std::exchange(told_serving_, serving()) != serving()) {
    log_info("adapters", "{} machines are looked after", serving());
  }
}

// As it is wanted now; only another connection is a reason to connect again.
void Adapters::serve(const Wanted& wanted) {
  const MachineConnection& connection = wanted.connection;
  const auto opened = machine_of(connection.id);
  if (!opened) {
    log_error("adapters", "{}", opened.error().message());
    return health_.set("adapter " + connection.id, false, opened.error().message());
  }
  Machine& machine = **opened;
  const MoonrakerTarget target = target_of(wanted);
  const auto secret = secret_of(wanted);
  const auto before = served_.find(connection.id);
  const bool same_source = before != served_.end() && before->second.own == wanted.own;
  if (!machine.serves() || !same_source || machine.differs(target, secret())) {
    MoonrakerAdapterOptions adapter = options_.adapter;
    adapter.machine_id = connection.id;
    adapter.name = connection.name;
    adapter.kind = connection.kind;
    adapter.managed_by = connection.managed_by;
    machine.stop_serving();
    machine.serve(adapter, target, secret);
  } else if (before->second.connection.name != connection.name) {
    machine.rename(connection.name, connection.kind);
  }
  served_.insert_or_assign(connection.id, wanted);
}

MoonrakerTarget Adapters::target_of(const Wanted& wanted) const {
  MoonrakerTarget target;
  target.url = wanted.connection.moonraker_url;
  target.max_frame_bytes = options_.max_frame_bytes;
  const std::string& authority = wanted.connection.tls_ca;
  if (authority.empty()) return target;
  target.ca_file = wanted.own ? authority : (options_.secrets_file.parent_path() / authority).string();
  return target;
}

std::function<MachineSecret()> Adapters::secret_of(const Wanted& wanted) const {
  if (wanted.own) return [secret = wanted.secret] { return secret; };
  if (wanted.connection.authentication == "none") return [] { return MachineSecret{}; };
  return [file = options_.secrets_file, id = wanted.connection.id] {
    auto read = MachineSecrets(file).read(id);
    if (read) return std::move(*read);
    log_warn("adapters", "machine '{}': {}", id, read.error().message());
    return MachineSecret{};
  };
}

// Also the machines of the own file: people set limits, rules and equipment in the hub, whoever says how a machine is
// reached.
void Adapters::work_as_told() {
  for (const auto& [id, connection] : registry_->machines()) {
    const auto machine = machines_.find(id);
    if (machine != machines_.end()) machine->second->work_by(connection);
  }
}

// What is no longer served goes once the log has all of it; its outbox stays with what the adapter remembers.
void Adapters::forget_drained() {
  std::erase_if(machines_, [](const auto& entry) { return entry.second->drained(); });
}

void Adapters::connection_changed(bool connected) {
  broker_up_ = connected;
  if (connected) (void)publisher_.publish(topics_.status("adapters"), "online", 1, Retain::kYes);
  health_.set("adapters", connected, connected ? "" : "no connection to the broker: events wait in the outbox");
  for (const auto& [id, machine] : machines_) machine->connection_changed(connected);
}

}  // namespace millrace
