// SPDX-License-Identifier: Apache-2.0
// The inside of MoonrakerAdapter.  Included by its two .cc files only: moonraker_adapter.cc has the link, the frames
// and the timers, moonraker_handshake.cc the way from an open link to a subscription.
#pragma once

#include <string>
#include <string_view>

#include "bus/json_reader.h"
#include "producers/moonraker/adapter_state.h"
#include "producers/moonraker/alarm_telling.h"
#include "producers/moonraker/circuit_breaker.h"
#include "producers/moonraker/command_desk.h"
#include "producers/moonraker/event_batch.h"
#include "producers/moonraker/fact_telling.h"
#include "producers/moonraker/history_backfill.h"
#include "producers/moonraker/job_tracker.h"
#include "producers/moonraker/json_rpc.h"
#include "producers/moonraker/machine_conditions.h"
#include "producers/moonraker/machine_state.h"
#include "producers/moonraker/machine_time.h"
#include "producers/moonraker/moonraker_adapter.h"
#include "producers/moonraker/printer_view.h"
#include "producers/moonraker/protocol_errors.h"
#include "producers/moonraker/retried_reads.h"
#include "producers/moonraker/snapshot_view.h"
#include "producers/moonraker/status_fold.h"
#include "producers/moonraker/telemetry_sampler.h"

namespace millrace {

struct MoonrakerAdapter::Impl {
  enum class Link { kStopped, kWaiting, kConnecting, kIdentifying, kUp };

  Impl(MoonrakerAdapterOptions options, std::string_view saved_state, const Clock& clock, Random& random,
       MachineLink& link, EventSink& sink, Metrics& metrics);

  // moonraker_adapter.cc
  void start();
  void stop();
  void leave(Leaving why);
  void register_machine();
  void link_opened(const LinkIdentity& identity);
  void link_closed(std::string_view reason, uint16_t close_code, std::string_view text);
  void drop_link(std::string_view reason, std::string_view text);
  void link_is_down(std::string_view reason, uint16_t close_code, std::string_view text);
  void take_frame(std::string_view frame);
  void dispatch(const Json& message);
  void notified(std::string_view method, const Json& message);
  void status_updated(const Json& params);
  void history_changed(const Json& params);
  void process_statistics(const Json& params);
  void job_queue_changed(const Json& params);
  void fold_status(const Json& status, double eventtime);
  void run_timers();
  std::optional<MonotonicTime> next_deadline() const;
  void update_machine_state();
  MachineSnapshot snapshot() const;
  schema::LimitSetT limits_in_force() const;
  CommandDesk::Machine desk_machine();
  bool call(const std::string& method, const std::string& params, std::chrono::milliseconds timeout,
            JsonRpc::Callback callback);
  void call_or_drop(const std::string& method, const std::string& params, std::chrono::milliseconds timeout,
                    JsonRpc::Callback callback);
  void watch_emergency(schema::MachineState state, std::string_view klipper, const std::string& text);
  void latch(std::string_view text);
  void reset_emergency(const std::string& command_id, const std::string& actor, const std::string& reason);
  void note_files();
  void file_read(schema::JobMetadataReadT metadata);
  void finish_input();  // what every entry point ends with: follow-up requests, telemetry, one emit

  // moonraker_handshake.cc
  bool request(std::string_view method, std::string_view params, JsonRpc::Callback callback);
  void read_of_session(std::string method, std::string params, JsonRpc::Callback done);
  void identify();
  void refused(std::string_view said, bool forbidden);
  void unanswered(std::string_view method);
  void note_failure(std::string_view method, const RpcReply& reply);
  void ask_server();
  void on_server_info(const RpcReply& reply);
  void klipper_not_ready(std::string_view state, std::string_view text);
  void klipper_gone();
  void set_up();
  void on_printer_info(const RpcReply& reply);
  void list_objects();
  void subscribe(const Json& objects);
  void on_subscribed(const RpcReply& reply);
  void tell_connected();
  void read_history(bool from_start);
  void on_history_page(const RpcReply& reply);
  void no_history();
  void history_failed(const std::string& said);
  void retry_history(const std::string& said);
  void read_recent_rows();
  void read_printer_config();
  void read_spool();
  void read_job_queue();
  void read_power_devices();
  void read_disk_usage();
  void look_again(std::string_view method, const RpcReply& reply);
  void poll_later() { poll_at_ = clock_.monotonic() + options_.not_ready_poll; }

  MoonrakerAdapterOptions options_;
  const Clock& clock_;
  Random& random_;
  MachineLink& link_;
  EventBatch batch_;
  Gauge& connected_gauge_;
  Gauge& history_gauge_;
  Counter& reconnects_;
  Counter& events_;
  Counter& frames_;
  ProtocolErrors errors_;
  AdapterState state_;
  std::string stored_state_;

  JsonReader reader_;
  JsonRpc rpc_;
  CircuitBreaker breaker_;
  RetriedReads reads_;
  MachineTime time_;
  StatusFold fold_;
  PrinterView view_;
  TelemetrySampler sampler_;
  HistoryBackfill backfill_;
  MachineConditions conditions_;
  FactTelling facts_;
  JobTracker jobs_;
  AlarmTelling alarms_;
  SnapshotView seen_;
  schema::LimitSetT people_limits_;
  Limits limits_;
  MachineEquipment equipment_;
  std::function<void(CommandReply)> on_reply_;
  std::vector<JobFile> files_due_;  // until the owner has been told
  CommandDesk desk_;

  LinkIdentity identity_;
  Link link_state_ = Link::kStopped;
  int attempts_ = 0;  // since the last session that got as far as a subscription
  std::optional<MonotonicTime> reconnect_at_;
  MonotonicTime last_heard_{};
  std::string offline_text_;
  std::string told_text_;  // with the last machine state

  std::string klipper_state_;  // from server.info and notifications; "" = not known on this link
  std::string klipper_text_;
  bool subscribed_ = false;
  bool setting_up_ = false;
  bool asking_ = false;   // server.info is outstanding
  uint64_t session_ = 0;  // of Klipper: answers that belong to an earlier one are not looked at
  bool told_connected_ = false;
  bool has_spools_ = false;
  bool has_job_queue_ = false;
  bool has_power_ = false;
  std::string moonraker_version_;
  std::string api_version_;
  std::string klipper_version_;
  std::string hostname_;
  std::optional<MonotonicTime> poll_at_;
  std::optional<MonotonicTime> disk_at_;
  std::optional<MonotonicTime> history_retry_at_;
  int history_attempts_ = 0;
  int looks_in_vain_ = 0;  // of the handshake, since a subscription
};

}  // namespace millrace
