// SPDX-License-Identifier: Apache-2.0
// Turns what one machine's Moonraker says into events.  Knows no MQTT, log, socket or thread: text comes in, events and
// requests go out, time is asked of the Clock.  The decision table of job identity is in docs/jobs.md.
//
// One thread.  The owner calls on_timer() at or after next_deadline(), which every other call may change.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/machine_equipment.h"
#include "bus/machine_safety.h"
#include "bus/metrics.h"
#include "bus/random.h"
#include "producers/event_sink.h"
#include "producers/moonraker/command_desk.h"
#include "producers/moonraker/job_file.h"
#include "producers/moonraker/machine_link.h"

namespace millrace {

struct MoonrakerAdapterOptions {
  std::string machine_id;
  std::string name;
  std::string kind = "printer";
  std::string managed_by = "config";
  std::chrono::milliseconds reconnect_min{1'000};  // doubles, with jitter, up to reconnect_max, for ever
  std::chrono::milliseconds reconnect_max{60'000};
  std::chrono::milliseconds refused_min{30'000};  // between attempts while Moonraker refuses who asks
  std::chrono::milliseconds not_ready_poll{500};  // of server.info while Klipper is not ready
  std::chrono::milliseconds request_timeout{30'000};
  std::chrono::milliseconds row_hold{1'000};  // how long a start or an end waits for its row
  std::chrono::milliseconds telemetry_interval{1'000};
  std::chrono::milliseconds progress_interval{10'000};
  std::chrono::milliseconds klipper_back_hold{30'000};  // how long an interruption waits for Klipper's process id
  std::chrono::milliseconds disk_first{5'000};          // of a connection, until the host's disk is asked for
  std::chrono::milliseconds disk_interval{600'000};     // a disk fills slowly, and the answer lists the files
  std::chrono::milliseconds silence_max{20'000};        // a link that says nothing for so long is dead
};

class MoonrakerAdapter {
 public:
  // `saved_state` is what the sink last stored ("" the first time).  References outlive the adapter.
  MoonrakerAdapter(MoonrakerAdapterOptions options, std::string_view saved_state, const Clock& clock, Random& random,
                   MachineLink& link, EventSink& sink, Metrics& metrics);
  ~MoonrakerAdapter();

  void start();
  // Says MachineDisconnected{stopped} if the link was up, and closes it.
  void stop();
  // Says goodbye because the machine is no longer looked after: its conditions are over, and when it was removed its
  // open job ends as interrupted (K8).  Nothing is done afterwards.
  enum class Leaving { kDisabled, kRemoved };
  void leave(Leaving why);
  // Limits and rules from now on; says LimitsApplied when the limits differ from those that it worked by.
  void watch_by(const MachineSafety& safety);
  // Registers the machine anew when either differs.
  void rename(const std::string& name, const std::string& kind);

  void on_link_open(const LinkIdentity& identity = {});
  void on_link_text(std::string_view frame);
  void on_link_closed(std::string_view reason, uint16_t close_code, std::string_view text);

  // A command, whoever asks; what becomes of it goes into events and to on_reply.
  void take_command(AskedCommand asked);
  std::function<void(CommandReply)> on_reply;  // set before start(); must not call back
  // The file of a job that has begun, and of one whose file an adapter before this one has not told of, shall be read.
  // As on_reply.
  std::function<void(JobFile)> on_file_due;
  // What was read of it; also of a job that has ended meanwhile.
  void file_read(schema::JobMetadataReadT metadata);
  // What the guard holds a file against.
  void equipped_with(MachineEquipment equipment);

  std::optional<MonotonicTime> next_deadline() const;
  void on_timer();

  // The latch of an emergency: closed by a stop that was done from here, by Klipper that was seen to be shut down by an
  // emergency stop or M112, and by the hub's word; open again only when a person resets it.  Kept with the state.
  // At any time, also before start() and after stop().
  bool latched() const;
  const std::string& latch_text() const;  // why, for people
  // The EmergencyStopped of a stop that was done, confirmed or not.
  void emergency_stopped(EventDraft stopped);
  // MachineConnection::emergency_latch, as the hub says it; one that is no newer than the last changes nothing.
  void hub_latched(uint64_t latch);
  // Emits EmergencyReset, also where it was not latched.
  void reset_emergency(const std::string& command_id, const std::string& actor, const std::string& reason);
  // An alarm asks for more than to be recorded or told.  Called once for each that is raised, after the sink has its
  // event; the owner hands it on and does not call back from here.
  std::function<void(const schema::AlarmRaisedT& alarm)> on_alarm_action;

 private:
  struct Impl;
  void finish();
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
