// SPDX-License-Identifier: Apache-2.0
#include "cli/hub.h"

#include <future>

#include "bus/logging.h"
#include "cli/alarm_sight.h"
#include "cli/command_mirror.h"
#include "cli/process_limits.h"
#include "cli/version.h"
#include "projections/maintenance.h"
#include "projections/registry.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kSdCardLinger{1};
constexpr std::chrono::seconds kClockInterval{1};
constexpr std::chrono::seconds kImportViewsWait{60};
constexpr std::chrono::seconds kViewsWait{5};  // for the views, before what is due is judged or mirrored

}  // namespace

std::filesystem::path log_directory(const std::filesystem::path& data_dir) { return data_dir / "log"; }
std::filesystem::path views_directory(const std::filesystem::path& data_dir) { return data_dir / "views"; }
std::filesystem::path blobs_directory(const std::filesystem::path& data_dir) { return data_dir / "blobs"; }
std::filesystem::path outbox_directory(const std::filesystem::path& data_dir) { return data_dir / "outbox"; }
std::filesystem::path control_socket(const std::filesystem::path& data_dir) { return data_dir / "control.sock"; }
std::filesystem::path secrets_file(const std::filesystem::path& data_dir) { return data_dir / "secrets.json"; }
std::filesystem::path registry_file(const std::filesystem::path& data_dir) {
  return data_dir / "adapters" / "registry.json";
}

Result<std::unique_ptr<Hub>> Hub::start(const Config& config, const Clock& clock, Metrics& metrics, Health& health) {
  const auto listen = parse_host_port(config.http_listen);
  if (!listen) return listen.error();
  std::unique_ptr<Hub> hub(new Hub(config));

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
  const size_t connections = connections_within(files, options.http.max_connections);
  if (connections < options.http.max_connections) {
    log_warn("hub", "this process may open {} files: {} HTTP connections are taken, not {} (LimitNOFILE=, ulimit -n)",
             files, connections, options.http.max_connections);
    options.http.max_connections = connections;
  }
  const SubmitEvents submit_events = [hub = hub.get()](std::vector<EventDraft> events, auto done) {
    hub->recorder_->submit({std::move(events), std::nullopt, std::move(done)});
  };
  options.secrets_file = secrets_file(config.data_dir);
  for (const MachineConfig& machine : config.machines) {
    options.file_secrets[machine.id] = {machine.moonraker_api_key, machine.moonraker_username,
                                        machine.moonraker_password};
  }
  hub->edge_ = std::make_unique<Edge>(
      EdgeParts{hub->loop_, *hub->log_, *hub->views_, clock, metrics, health, submit_events, hub->blobs_.get()},
      options);

  const Topics topics(config.mqtt_root);
  hub->broker_ = BrokerConnections::make(config, topics, std::string(kHubProducer));
  RecorderOptions recording;
  if (config.sd_card) recording.telemetry_linger = kSdCardLinger;
  hub->recorder_ = std::make_unique<Recorder>(
      recording, *hub->log_, *hub->broker_.subscriber, *hub->broker_.publisher, topics, clock, metrics, health,
      [projector = hub->projector_.get()](std::shared_ptr<const Commit> commit) {
        projector->offer(std::move(commit));
      });
  const auto submit = [recorder = hub->recorder_.get()](HubWrite write) { recorder->submit(std::move(write)); };
  hub->machine_configs_ = std::make_unique<MachineConfigPublisher>(*hub->broker_.publisher, topics);
  hub->registry_ = std::make_unique<MachineRegistry>(hub->config_, *hub->log_, *hub->views_, *hub->projector_,
                                                     *hub->machine_configs_, submit, clock);
  hub->projector_->on_applied = [edge = hub->edge_.get(), registry = hub->registry_.get()](auto group) {
    registry->on_applied(*group);
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
  hub->retention_->start();
  hub->storage_->start();
  hub->anchors_ =
      std::make_unique<AnchorPublisher>(AnchorOptions{}, *hub->log_, *hub->broker_.publisher, topics, submit, clock);
  hub->anchors_->start();
  hub->maintenance_ = std::make_unique<MaintenanceWatch>(
      MaintenanceWatchOptions{}, [hub = hub.get()](WallTime now) { return hub->look_at_maintenance(now); }, submit,
      clock, metrics);
  hub->maintenance_->start();
  hub->alarms_ = std::make_unique<AlarmWatch>(
      AlarmWatchOptions{}, [hub = hub.get()](WallTime now) { return hub->look_at_alarms(now); }, submit, clock,
      metrics);
  hub->alarms_->start();
  hub->machine_configs_->start();
  hub->registry_->start();
  if (auto started = hub->start_mirror(clock, metrics); !started) return started.error();
  hub->broker_.start();
  hub->import_ = std::make_unique<HistoryImport>(hub->import_parts(clock));
  hub->older_import_ = std::make_unique<OlderImport>(hub->import_parts(clock), *hub->blobs_);
  hub->control_ = ControlService::start(config.data_dir, *hub->log_, *hub->blobs_, {*hub->import_, *hub->older_import_},
                                        clock, metrics);
  return hub;
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
  const auto append = [this](std::vector<EventDraft> events) {
    std::promise<Result<Position>> written;
    recorder_->submit(
        {std::move(events), {}, [&written](const Result<Position>& outcome) { written.set_value(outcome); }});
    return written.get_future().get();
  };
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
Result<AlarmSight> Hub::look_at_alarms(WallTime now) const {
  if (!projector_->wait_for(log_->last(), kViewsWait)) {
    return make_error(Errc::kUnavailable, "the views have not caught up with the log");
  }
  return alarm_sight(*views_->reader(), now);
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
  if (mirror_) mirror_->stop();
  if (storage_) storage_->stop();
  if (registry_) registry_->stop();
  if (machine_configs_) machine_configs_->stop();
  if (retention_) retention_->stop();  // while the recorder still takes its writes
  if (anchors_) anchors_->stop();
  if (maintenance_) maintenance_->stop();
  if (alarms_) alarms_->stop();
  control_.reset();                                    // a backup under way is given up
  if (broker_.subscriber) broker_.subscriber->stop();  // nothing new
  if (recorder_) recorder_->stop();                    // what arrived is recorded and confirmed
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
