// SPDX-License-Identifier: Apache-2.0
#include "cli/hub.h"

#include "bus/logging.h"
#include "cli/version.h"
#include "projections/registry.h"

namespace millrace {

std::filesystem::path log_directory(const std::filesystem::path& data_dir) { return data_dir / "log"; }
std::filesystem::path views_directory(const std::filesystem::path& data_dir) { return data_dir / "views"; }
std::filesystem::path outbox_directory(const std::filesystem::path& data_dir) { return data_dir / "outbox"; }

Result<std::unique_ptr<Hub>> Hub::start(const Config& config, const Clock& clock, Metrics& metrics, Health& health) {
  const auto listen = parse_host_port(config.http_listen);
  if (!listen) return listen.error();
  std::unique_ptr<Hub> hub(new Hub);

  auto log = open_rocksdb_event_log(log_directory(config.data_dir), clock);
  if (!log) return log.error();
  hub->log_ = std::move(*log);
  health.set("log", true);
  log_info("hub", "log {} in '{}' holds {} events", hub->log_->incarnation(), config.data_dir.string(),
           hub->log_->last().value);
  auto views = open_rocksdb_view_store(views_directory(config.data_dir), view_names());
  if (!views) return views.error();
  hub->views_ = std::move(*views);

  hub->projector_ = std::make_unique<Projector>(*hub->log_, *hub->views_, make_projections(), metrics, health);
  EdgeOptions options;
  options.host = listen->host;
  options.port = listen->port;
  options.site_name = config.site_name;
  options.timezone = config.site_timezone;
  options.version = kVersion;
  options.demo = config.site_demo;
  hub->edge_ = std::make_unique<Edge>(EdgeParts{hub->loop_, *hub->log_, *hub->views_, clock, metrics, health}, options);
  hub->projector_->on_applied = [edge = hub->edge_.get()](auto group) { edge->on_applied(std::move(group)); };

  const Topics topics(config.mqtt_root);
  hub->broker_ = BrokerConnections::make(config, topics, std::string(kHubProducer));
  hub->recorder_ = std::make_unique<Recorder>(
      RecorderOptions{}, *hub->log_, *hub->broker_.subscriber, *hub->broker_.publisher, topics, clock, metrics, health,
      [projector = hub->projector_.get()](std::shared_ptr<const Commit> commit) {
        projector->offer(std::move(commit));
      });

  if (auto started = hub->edge_->start(); !started) return started.error();
  if (auto started = hub->projector_->start(); !started) return started.error();
  hub->loop_thread_ = std::thread([loop = &hub->loop_] { loop->run(); });
  hub->recorder_->start();
  hub->broker_.start();
  return hub;
}

Hub::~Hub() {
  if (broker_.subscriber) broker_.subscriber->stop();  // nothing new
  if (recorder_) recorder_->stop();                    // what arrived is recorded and confirmed
  if (broker_.publisher) broker_.publisher->stop();
  if (projector_) projector_->stop();
  if (loop_thread_.joinable()) {
    loop_.post([this] {
      edge_->stop();
      loop_.stop();
    });
    loop_thread_.join();
  }
}

}  // namespace millrace
