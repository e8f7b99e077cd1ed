// SPDX-License-Identifier: Apache-2.0
// The hub: recorder, projector and edge in one process, because the log has one writer and its tail is handed on
// without a second read.
#pragma once

#include <memory>
#include <mutex>
#include <thread>

#include "bus/api_keys.h"
#include "bus/blob_store.h"
#include "bus/clock.h"
#include "bus/clock_watch.h"
#include "bus/event_log.h"
#include "bus/health.h"
#include "bus/metrics.h"
#include "cli/broker_connection.h"
#include "cli/config.h"
#include "cli/control_service.h"
#include "cli/file_machines.h"
#include "cli/history_import.h"
#include "cli/machine_registry.h"
#include "cli/older_import.h"
#include "cli/stand_in_stops.h"
#include "cli/unserved_commands.h"
#include "consumers/alarm_watch.h"
#include "consumers/anchor_publisher.h"
#include "consumers/command_witness.h"
#include "consumers/emergency_latches.h"
#include "consumers/emergency_recorder.h"
#include "consumers/maintenance_watch.h"
#include "consumers/recorder.h"
#include "consumers/retention.h"
#include "consumers/storage_watch.h"
#include "mirror/mirror.h"
#include "net/emergency_stopper.h"
#include "net/io_loop.h"
#include "projections/projector.h"
#include "projections/view_store.h"
#include "web/edge/access/key_desk.h"
#include "web/edge/edge.h"

namespace millrace {

class Hub {
 public:
  // Opens log and views and starts every part.  An error says what could not be had; everything is ended again then.
  static Result<std::unique_ptr<Hub>> start(const Config& config, const Clock& clock, Metrics& metrics, Health& health);
  // The machines of the configuration file from now on: what differs is recorded and published, and emergency stops
  // reach them.  One thread at a time; does not wait.
  void take_machines(std::vector<MachineConfig> machines);

  // In the order in which the data flow: broker, recorder, projector, edge.
  ~Hub();

  uint16_t http_port() const { return edge_->port(); }
  bool receives() const { return broker_.subscriber->connected(); }

 private:
  explicit Hub(const Config& config) : config_(config), file_machines_(config.machines) {}
  void watch_clock(ClockWatch watch);
  Result<void> open_keys(const std::string& host, const Clock& clock);
  Result<void> start_mirror(const Clock& clock, Metrics& metrics);
  void start_emergency_stops(const Clock& clock, Metrics& metrics);
  void read_latches();
  Result<void> read_seen_latches();
  void publish_latches(const std::vector<EmergencyLatches::Change>& changes);
  // Returns once it is recorded; not on the recorder's thread.
  Result<Position> append(std::vector<EventDraft> events);
  HistoryImport::Parts import_parts(const Clock& clock);
  Result<void> prepare_commands();
  Result<void> send_command(const CommandMessage& message) const;
  Result<void> watch_commands();
  void answer_for_unserved(const Clock& clock, Metrics& metrics);
  void stand_in_for_adapters(const Clock& clock, Metrics& metrics);
  std::optional<UnservedCommands::Reason> why_unserved(const std::string& machine) const;
  Result<std::vector<MaintenanceStanding>> look_at_maintenance(WallTime now) const;
  Result<AlarmSight> look_at_alarms(WallTime now, WallTime began) const;

  const Config config_;         // as it was at the start
  FileMachines file_machines_;  // as they are now
  std::unique_ptr<EventLog> log_;
  std::unique_ptr<ViewStore> views_;
  std::unique_ptr<BlobStore> blobs_;
  BrokerConnections broker_;
  std::unique_ptr<MqttClient> commands_;  // a connection of its own, so that no telemetry is ahead of a command
  std::string command_key_;
  std::unique_ptr<UnservedCommands> unserved_;
  std::unique_ptr<StandInStops> stand_ins_;
  std::unique_ptr<Projector> projector_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<Mirror> mirror_;
  std::unique_ptr<Retention> retention_;
  std::unique_ptr<StorageWatch> storage_;
  std::unique_ptr<AnchorPublisher> anchors_;
  std::unique_ptr<MaintenanceWatch> maintenance_;
  std::unique_ptr<CommandWitness> witness_;
  std::unique_ptr<AlarmWatch> alarms_;
  std::unique_ptr<MachineConfigPublisher> machine_configs_;
  std::unique_ptr<MachineRegistry> registry_;
  SystemRandom random_;
  std::unique_ptr<ApiKeys> keys_;
  std::unique_ptr<KeyDesk> key_desk_;
  IoLoop loop_;
  std::unique_ptr<LoopTimer> clock_timer_;
  std::unique_ptr<EmergencyRecorder> emergency_recorder_;
  EmergencyLatches latches_;
  std::thread latches_thread_;  // reads the log once
  std::unique_ptr<Edge> edge_;
  std::thread loop_thread_;
  std::unique_ptr<HistoryImport> import_;
  std::unique_ptr<OlderImport> older_import_;
  std::unique_ptr<ControlService> control_;
  std::mutex targets_mutex_;                   // of what the stopper is told, from file and registry
  std::unique_ptr<EmergencyStopper> stopper_;  // what its stops come to goes to what stands before it
};

// Where the parts of the data folder lie.
std::filesystem::path log_directory(const std::filesystem::path& data_dir);
std::filesystem::path views_directory(const std::filesystem::path& data_dir);
std::filesystem::path blobs_directory(const std::filesystem::path& data_dir);
std::filesystem::path outbox_directory(const std::filesystem::path& data_dir);
std::filesystem::path control_socket(const std::filesystem::path& data_dir);
std::filesystem::path secrets_file(const std::filesystem::path& data_dir);
std::filesystem::path command_key_file(const std::filesystem::path& data_dir);
std::filesystem::path keys_file(const std::filesystem::path& data_dir);
std::filesystem::path sessions_file(const std::filesystem::path& data_dir);
std::filesystem::path registry_file(const std::filesystem::path& data_dir);

}  // namespace millrace
