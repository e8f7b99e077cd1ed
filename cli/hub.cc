// SPDX-License-Identifier: Apache-2.0
#include "cli/hub.h"

#include <fmt/format.h>

#include <future>

#include "bus/command_key.h"
#include "bus/logging.h"
#include "cli/adapters_role.h"
#include "cli/alarm_sight.h"
#include "cli/command_mirror.h"
#include "cli/emergency_targets.h"
#include "cli/process_limits.h"
#include "cli/version.h"
#include "projections/checkpoint.h"
#include "projections/command_history.h"
#include "projections/machine_state.h"
#include "projections/maintenance.h"
#include "projections/record.h"
#include "projections/registry.h"
#include "projections/safety_state.h"
#include "web/edge/access/credentials.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kSdCardLinger{1};
constexpr std::chrono::seconds kClockInterval{1};
constexpr std::chrono::seconds kImportViewsWait{60};
constexpr std::chrono::seconds kViewsWait{5};  // for the views, before what is due is judged or mirrored
constexpr size_t kMaxOpenCommands = 500;       // that the witness takes up from the view at the start

CommandStanding standing_of(const schema::CommandViewT& command) {
  using Stage = CommandStanding::Stage;
  const bool ended = is_final_command_status(command.status);
  const Stage stage = ended ? Stage::kEnded : command.status == "requested" ? Stage::kRequested : Stage::kTaken;
  return {command.id, command.machine, command.command, stage, command.expires_in_s};
}

void set_access(const Config& config, EdgeOptions& options) {
  options.access.sessions_file = sessions_file(config.data_dir);
  options.access.tls = !config.http_tls_certificate.empty();
  options.hsts = std::chrono::seconds(config.http_hsts_seconds);
  options.http.tls_certificate = config.http_tls_certificate;
  options.http.tls_key = config.http_tls_key;
  RateLimitOptions& limits = options.access.limits;
  limits.requests_per_minute = static_cast<uint64_t>(config.limit_requests_per_minute);
  limits.motion_per_second = static_cast<uint64_t>(config.limit_motion_per_second);
  limits.sensor_per_second = static_cast<uint64_t>(config.limit_sensor_per_second);
  limits.batch_per_second = static_cast<uint64_t>(config.limit_batch_per_second);
  limits.sockets = static_cast<size_t>(config.limit_sockets);
  limits.local_requests_per_minute = static_cast<uint64_t>(config.limit_local_requests_per_minute);
}

}  // namespace

std::filesystem::path log_directory(const std::filesystem::path& data_dir) { return data_dir / "log"; }
std::filesystem::path views_directory(const std::filesystem::path& data_dir) { return data_dir / "views"; }
std::filesystem::path blobs_directory(const std::filesystem::path& data_dir) { return data_dir / "blobs"; }
std::filesystem::path outbox_directory(const std::filesystem::path& data_dir) { return data_dir / "outbox"; }
std::filesystem::path control_socket(const std::filesystem::path& data_dir) { return data_dir / "control.sock"; }
std::filesystem::path secrets_file(const std::filesystem::path& data_dir) { return data_dir / "secrets.json"; }
std::filesystem::path command_key_file(const std::filesystem::path& data_dir) { return data_dir / "command_key"; }
std::filesystem::path keys_file(const std::filesystem::path& data_dir) { return data_dir / "keys.json"; }
std::filesystem::path sessions_file(const std::filesystem::path& data_dir) { return data_dir / "sessions.json"; }
std::filesystem::path registry_file(const std::filesystem::path& data_dir) {
  return data_dir / "adapters" / "registry.json";
}

Result<std::unique_ptr<Hub>> Hub::start(const Config& config, const Clock& clock, Metrics& metrics, Health& health) {
  const auto listen = parse_host_port(config.http_listen);
  if (!listen) return listen.error();
  std::unique_ptr<Hub> hub(new Hub(config));
  if (auto opened = hub->open_keys(listen->host, clock); !opened) return opened.error();

  auto log = open_rocksdb_event_log(log_directory(config.data_dir), clock);
  if (!log) return log.error();
  hub->log_ = std::move(*log);
  health.set("log", true);
  log_info("hub", "log {} in '{}' holds {} events", hub->log_->incarnation(), config.data_dir.string(),
           hub->log_->last().value);
  auto views = open_rocksdb_view_store(views_directory(config.data_dir), view_names());
  if (!views) return views.error();
  hub->views_ = std::move(*views);
  auto blobs = open_blob_folder(blobs_directory(config.data_dir));
  if (!blobs) return blobs.error();
  hub->blobs_ = std::move(*blobs);

  hub->start_emergency_stops(clock, metrics);

  hub->projector_ = std::make_unique<Projector>(*hub->log_, *hub->views_, make_projections(), metrics, health);
  EdgeOptions options;
  options.host = listen->host;
  options.port = listen->port;
  options.site_name = config.site_name;
  options.timezone = config.site_timezone;
  options.version = kVersion;
  options.demo = config.site_demo;
  options.plain_jobs_as_page = config.http_plain_jobs == "3d-print-logger";
  for (const SensorConfig& sensor : config.sensors) {
    if (!sensor.unit.empty()) options.sensor_units[sensor.object() + "." + sensor.field()] = sensor.unit;
  }
  // The log's files come first: it is HTTP that refuses when there are too few.
  const size_t files = raise_open_files_limit();
  const size_t urgent = options.http.urgent_connections;
  const size_t connections = connections_within(files > urgent ? files - urgent : 0, options.http.max_connections);
  if (connections < options.http.max_connections) {
    log_warn("hub", "this process may open {} files: {} HTTP connections are taken, not {} (LimitNOFILE=, ulimit -n)",
             files, connections, options.http.max_connections);
    options.http.max_connections = connections;
  }
  const SubmitEvents submit_events = [hub = hub.get()](std::vector<EventDraft> events, auto done) {
    hub->recorder_->submit({std::move(events), std::nullopt, std::move(done)});
  };
  set_access(config, options);
  options.secrets_file = secrets_file(config.data_dir);
  options.file_secret = [file = &hub->file_machines_](const std::string& id) -> std::optional<MachineSecret> {
    const auto machine = file->find(id);
    return machine ? std::optional(secret_of(*machine)) : std::nullopt;
  };
  if (auto prepared = hub->prepare_commands(); !prepared) return prepared.error();
  const SendCommand send = [hub = hub.get()](const CommandMessage& message) { return hub->send_command(message); };
  const auto record_stop = [recorder = hub->emergency_recorder_.get()](EmergencyRecord record) {
    recorder->record(std::move(record));
  };
  hub->edge_ = std::make_unique<Edge>(
      EdgeParts{hub->loop_, *hub->log_, *hub->views_, clock, metrics, health, submit_events, hub->blobs_.get(),
                hub->key_desk_.get(), &hub->random_, send, hub->stopper_.get(), record_stop},
      options);

  const Topics topics(config.mqtt_root);
  hub->broker_ = BrokerConnections::make(config, topics, std::string(kHubProducer));
  RecorderOptions recording;
  if (config.sd_card) recording.telemetry_linger = kSdCardLinger;
  hub->recorder_ =
      std::make_unique<Recorder>(recording, *hub->log_, *hub->broker_.subscriber, *hub->broker_.publisher, topics,
                                 clock, metrics, health, [hub = hub.get()](std::shared_ptr<const Commit> commit) {
                                   hub->publish_latches(hub->latches_.take(*commit));
                                   hub->projector_->offer(std::move(commit));
                                 });
  const auto submit = [recorder = hub->recorder_.get()](HubWrite write) { recorder->submit(std::move(write)); };
  hub->machine_configs_ = std::make_unique<MachineConfigPublisher>(*hub->broker_.publisher, topics);
  hub->registry_ = std::make_unique<MachineRegistry>(hub->file_machines_, *hub->log_, *hub->views_, *hub->projector_,
                                                     *hub->machine_configs_, submit, clock);
  hub->witness_ = std::make_unique<CommandWitness>(CommandWitnessOptions{}, submit, clock, metrics);
  hub->registry_->on_entry = [hub = hub.get()](const MachineConfigPublisher::Entry& entry) {
    std::lock_guard lock(hub->targets_mutex_);
    if (hub->file_machines_.find(entry.id)) return;  // the file's own word counts
    if (!entry.connection || !entry.connection->enabled || entry.connection->moonraker_url.empty()) {
      return hub->stopper_->remove(entry.id);
    }
    hub->stopper_->set(entry.id, emergency_target(*entry.connection, secrets_file(hub->config_.data_dir)));
  };
  hub->projector_->on_applied = [edge = hub->edge_.get(), registry = hub->registry_.get(),
                                 witness = hub->witness_.get()](auto group) {
    registry->on_applied(*group);
    for (const ViewChange& change : group->changes) {
      if (change.projection != kCommandsView || !change.value) continue;
      if (const auto command = decode_record<schema::CommandView>(*change.value)) witness->saw(standing_of(*command));
    }
    edge->on_applied(std::move(group));
  };
  RetentionOptions retention;
  retention.telemetry_days = static_cast<int>(config.telemetry_days);
  retention.interval = std::chrono::seconds(config.cleanup_interval_seconds);
  hub->retention_ = std::make_unique<Retention>(retention, *hub->log_, submit, clock, metrics);
  hub->storage_ = std::make_unique<StorageWatch>(StorageWatchOptions{}, config.data_dir, clock, metrics, health);

  if (auto started = hub->edge_->start(); !started) return started.error();
  if (auto started = hub->projector_->start(); !started) return started.error();
  hub->clock_timer_ = std::make_unique<LoopTimer>(hub->loop_);
  hub->watch_clock(ClockWatch(clock));
  hub->loop_thread_ = std::thread([loop = &hub->loop_] { loop->run(); });
  hub->recorder_->start();
  hub->emergency_recorder_->start();
  hub->retention_->start();
  hub->storage_->start();
  hub->anchors_ =
      std::make_unique<AnchorPublisher>(AnchorOptions{}, *hub->log_, *hub->broker_.publisher, topics, submit, clock);
  hub->anchors_->start();
  hub->maintenance_ = std::make_unique<MaintenanceWatch>(
      MaintenanceWatchOptions{}, [hub = hub.get()](WallTime now) { return hub->look_at_maintenance(now); }, submit,
      clock, metrics);
  hub->maintenance_->start();
  if (auto watched = hub->watch_commands(); !watched) return watched.error();
  hub->alarms_ = std::make_unique<AlarmWatch>(
      AlarmWatchOptions{},
      [hub = hub.get(), began = clock.wall()](WallTime now) { return hub->look_at_alarms(now, began); }, submit, clock,
      metrics);
  hub->alarms_->start();
  hub->machine_configs_->start();
  hub->read_latches();
  hub->registry_->start();
  if (auto started = hub->start_mirror(clock, metrics); !started) return started.error();
  hub->answer_for_unserved(clock, metrics);
  hub->stand_in_for_adapters(clock, metrics);
  hub->broker_.start();
  hub->commands_->start();
  hub->import_ = std::make_unique<HistoryImport>(hub->import_parts(clock));
  hub->older_import_ = std::make_unique<OlderImport>(hub->import_parts(clock), *hub->blobs_);
  hub->control_ =
      ControlService::start(config.data_dir, *hub->log_, *hub->blobs_,
                            {*hub->import_, *hub->older_import_, record_stop, *hub->key_desk_}, clock, metrics);
  return hub;
}

Result<void> Hub::prepare_commands() {
  SystemRandom random;
  auto key = read_or_make_command_key(command_key_file(config_.data_dir), random);
  if (!key) return key.error();
  command_key_ = std::move(*key);
  commands_ = make_command_client(config_);
  return {};
}

// Any thread.
Result<void> Hub::send_command(const CommandMessage& message) const {
  const Topics topics(config_.mqtt_root);
  return commands_->publish(topics.command(message.machine, message.command),
                            encode_signed_command(message, command_key_), 1, Retain::kNo);
}

// Those that had no end when the hub before this one ended.
Result<void> Hub::watch_commands() {
  const auto page = list_commands(*views_->reader(), "", 0, kMaxOpenCommands,
                                  [](const auto& command) { return !is_final_command_status(command.status); });
  if (!page) return page.error();
  for (const auto& command : page->items) witness_->saw(standing_of(command));
  witness_->start();
  return {};
}

void Hub::answer_for_unserved(const Clock& clock, Metrics& metrics) {
  UnservedCommands::Parts parts{make_command_client(config_),
                                Topics(config_.mqtt_root),
                                command_reception_options(config_, clock),
                                [this](const std::string& machine) { return why_unserved(machine); },
                                [this](HubWrite write) { recorder_->submit(std::move(write)); },
                                clock,
                                metrics};
  unserved_ = std::make_unique<UnservedCommands>(UnservedCommandsOptions{}, std::move(parts));
  unserved_->start();
}

void Hub::stand_in_for_adapters(const Clock& clock, Metrics& metrics) {
  StandInStops::Parts parts{make_command_client(config_),
                            Topics(config_.mqtt_root),
                            command_reception_options(config_, clock),
                            *stopper_,
                            [this](EmergencyRecord record) { emergency_recorder_->record(std::move(record)); },
                            clock,
                            metrics};
  stand_ins_ = std::make_unique<StandInStops>(StandInStopsOptions{}, std::move(parts));
  stand_ins_->start();
}

// On the thread of the unserved commands.  A machine whose Moonraker is connected has an adapter, whatever the settings
// say.
std::optional<UnservedCommands::Reason> Hub::why_unserved(const std::string& machine) const {
  const auto known = find_machine(*views_->reader(), machine);
  if (!known) return std::nullopt;
  if (!*known || (*known)->removed) {
    return UnservedCommands::Reason{{"machine_not_found", fmt::format("there is no machine '{}'", machine)}, false};
  }
  const bool disabled = (*known)->settings && !(*known)->settings->enabled && !(*known)->link_up;
  if (!disabled) return std::nullopt;
  return UnservedCommands::Reason{
      {"machine_disabled", fmt::format("machine '{}' is disabled: nobody is connected to it", machine)}, true};
}

// Before anything that takes its time, so that the connections stand by when the first request comes.
void Hub::start_emergency_stops(const Clock& clock, Metrics& metrics) {
  stopper_ = std::make_unique<EmergencyStopper>(clock, metrics);
  for (auto& [machine, target] : emergency_targets(config_)) stopper_->set(machine, std::move(target));
  emergency_recorder_ = std::make_unique<EmergencyRecorder>(
      EmergencyRecorderOptions{}, EmergencyFile(emergency_file(config_.data_dir)), *log_,
      [this](HubWrite write) { recorder_->submit(std::move(write)); }, clock, metrics);
}

void Hub::take_machines(std::vector<MachineConfig> machines) {
  {
    std::lock_guard lock(targets_mutex_);
    const MachineChanges changes = changes_between(file_machines_.all(), machines);
    file_machines_.set(std::move(machines));
    for (const auto* ids : {&changes.added, &changes.changed, &changes.removed}) {
      for (const std::string& id : *ids) {
        const auto machine = file_machines_.find(id);
        machine && machine->enabled ? stopper_->set(id, emergency_target(*machine)) : stopper_->remove(id);
      }
    }
  }
  registry_->file_changed();
}

// The view tells of almost all of the log.  Where it has to be made anew, the rest takes its time to be looked through.
void Hub::read_latches() {
  latches_thread_ = std::thread([this] {
    if (auto seen = read_seen_latches(); !seen)
      log_warn("hub", "the log is looked through: {}", seen.error().message());
    if (auto read = latches_.read(*log_); !read) {
      log_error("hub", "adapters are not told of earlier emergency stops: {}", read.error().message());
    }
    publish_latches(latches_.all());
  });
}

Result<void> Hub::read_seen_latches() {
  const auto reader = views_->reader();
  const auto checkpoint = read_checkpoint(*reader, kSafetyView);
  if (!checkpoint) return checkpoint.error();
  const bool holds = *checkpoint && (*checkpoint)->version == make_safety_state()->version() &&
                     (*checkpoint)->incarnation == log_->incarnation();
  if (!holds) return {};
  const auto machines = read_safety(*reader);
  if (!machines) return machines.error();
  std::vector<EmergencyLatches::Change> known;
  for (const auto& [id, view] : *machines) known.push_back({id, view.latched ? view.latch_position : 0});
  latches_.begin(known, (*checkpoint)->position);
  return {};
}

void Hub::publish_latches(const std::vector<EmergencyLatches::Change>& changes) {
  for (const auto& [machine, latch] : changes) machine_configs_->latched(machine, latch);
}

// Before anything else: whoever can reach the port could else see and do everything until somebody thinks of a key.
Result<void> Hub::open_keys(const std::string& host, const Clock& clock) {
  keys_ = std::make_unique<ApiKeys>(keys_file(config_.data_dir), clock, random_);
  if (auto read = keys_->refresh(); !read) return make_error(Errc::kInvalidArgument, read.error().message());
  key_desk_ = std::make_unique<KeyDesk>(
      *keys_, [this](std::vector<EventDraft> events) { return append(std::move(events)); }, clock);
  if (host == "localhost" || is_this_computer(host) || !keys_->empty()) return {};
  return make_error(Errc::kInvalidArgument,
                    fmt::format("http.listen \"{}\" can be reached from other computers, and there is no key yet: make "
                                "one with `millrace keys create --data {} --name NAME`",
                                config_.http_listen, config_.data_dir.string()));
}

Result<Position> Hub::append(std::vector<EventDraft> events) {
  std::promise<Result<Position>> written;
  recorder_->submit(
      {std::move(events), {}, [&written](const Result<Position>& outcome) { written.set_value(outcome); }});
  return written.get_future().get();
}

// A database that is away is tried again later; only what the configuration says wrongly ends the start.
Result<void> Hub::start_mirror(const Clock& clock, Metrics& metrics) {
  if (config_.mirror_url.empty()) return {};
  auto options = mirror_options(config_);
  if (!options) return options.error();
  const auto wait_for_views = [this](Position position) { return projector_->wait_for(position, kViewsWait); };
  mirror_ = std::make_unique<Mirror>(std::move(*options),
                                     MirrorParts{*log_, *views_, blobs_.get(), wait_for_views, clock, metrics});
  mirror_->start();
  return {};
}

HistoryImport::Parts Hub::import_parts(const Clock& clock) {
  const auto append = [this](std::vector<EventDraft> events) { return this->append(std::move(events)); };
  const auto wait_for_views = [this](Position position) -> Result<void> {
    if (projector_->wait_for(position, kImportViewsWait)) return {};
    return make_error(Errc::kUnavailable, "the views have not caught up with the log; try again later");
  };
  return {*views_, [this] { return log_->last(); }, append, wait_for_views, clock};
}

// On the watch's thread.
Result<std::vector<MaintenanceStanding>> Hub::look_at_maintenance(WallTime now) const {
  if (!projector_->wait_for(log_->last(), kViewsWait)) {
    return make_error(Errc::kUnavailable, "the views have not caught up with the log");
  }
  const auto tasks = read_tasks(*views_->reader(), "", now);
  if (!tasks) return tasks.error();
  std::vector<MaintenanceStanding> standings;
  for (const TaskStanding& task : *tasks) {
    standings.push_back({task.task.machine, task.task.id, task.task.title, task.due, task.task.told_due,
                         task.used.hours, task.used.filament_m, task.used.starts, task.used.days});
  }
  return standings;
}

// On the watch's thread.
Result<AlarmSight> Hub::look_at_alarms(WallTime now, WallTime began) const {
  if (!projector_->wait_for(log_->last(), kViewsWait)) {
    return make_error(Errc::kUnavailable, "the views have not caught up with the log");
  }
  return alarm_sight(*views_->reader(), now, began);
}

// Once a second, on the loop.
void Hub::watch_clock(ClockWatch watch) {
  clock_timer_->start(kClockInterval, [this, watch]() mutable {
    if (const auto jump = watch.check()) {
      log_warn("hub", "this computer's clock was moved by {:.0f} s, to {}",
               std::chrono::duration<double>(jump->by).count(), to_rfc3339(jump->after));
      std::vector<EventDraft> events;
      events.push_back(clock_jumped(*jump, std::string(kHubProducer), ""));
      recorder_->submit({std::move(events), {}, [](const Result<Position>& outcome) {
                           if (!outcome) log_warn("hub", "not recorded: {}", outcome.error().message());
                         }});
    }
    watch_clock(watch);
  });
}

Hub::~Hub() {
  if (emergency_recorder_) {
    control_.reset();  // a backup under way is given up
    stopper_->end();   // stops under way are answered and recorded as not confirmed; edge and registry still hold it
    if (stand_ins_) stand_ins_->stop();
    emergency_recorder_->stop();
  }
  if (latches_thread_.joinable()) latches_thread_.join();
  if (mirror_) mirror_->stop();
  if (storage_) storage_->stop();
  if (registry_) registry_->stop();
  if (machine_configs_) machine_configs_->stop();
  if (retention_) retention_->stop();  // while the recorder still takes its writes
  if (anchors_) anchors_->stop();
  if (maintenance_) maintenance_->stop();
  if (witness_) witness_->stop();
  if (unserved_) unserved_->stop();
  if (alarms_) alarms_->stop();
  if (broker_.subscriber) broker_.subscriber->stop();  // nothing new
  if (recorder_) recorder_->stop();                    // what arrived is recorded and confirmed
  if (commands_) commands_->stop();
  if (broker_.publisher) broker_.publisher->stop();
  if (projector_) projector_->stop();
  if (loop_thread_.joinable()) {
    loop_.post([this] {
      clock_timer_->cancel();
      edge_->stop();
      loop_.stop();
    });
    loop_thread_.join();
  }
}

}  // namespace millrace
