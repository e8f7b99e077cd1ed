// SPDX-License-Identifier: Apache-2.0
// What is kept about a machine because later questions need it: the versions it runs, its printer.cfg, what its display
// says, its filament sensors, its spool, what waits in its queue, and that its clock is wrong.  Each is told only when
// it differs from what was told last, also over a restart.  One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/json_reader.h"
#include "producers/moonraker/event_batch.h"
#include "producers/moonraker/machine_time.h"
#include "producers/moonraker/status_fold.h"

namespace millrace {

// What was told last; kept with the adapter's state.
struct ToldFacts {
  struct Sensor {
    bool detected = false;
    bool enabled = false;
    bool operator==(const Sensor&) const = default;
  };
  std::string software;        // SHA-256 of all versions, "" = never
  std::string printer_config;  // SHA-256 of the text
  std::string message;
  std::map<std::string, Sensor, std::less<>> filament;
  bool spool_told = false;
  std::optional<int64_t> spool;
  bool clock_off = false;
  std::string queue;  // SHA-256 of the job queue, "" = never
};

class FactTelling {
 public:
  static constexpr size_t kMaxSensors = 32;
  static constexpr size_t kMaxFirmware = 16;
  static constexpr size_t kMaxWaiting = 100;  // of the job queue, in an event
  static constexpr size_t kMaxMessage = 1024;
  static constexpr size_t kMaxConfigInEvent = 40u << 10;  // an event holds 48 KiB; a longer text is told in pieces
  static constexpr size_t kMaxConfig = 1u << 20;          // of a longer one only the hash is told
  static constexpr std::chrono::seconds kAtLeast{1};      // between two sights of the same message or sensor
  static constexpr int64_t kClockOffMs = 5'000;           // more than people would notice
  static constexpr int64_t kClockRightMs = 3'000;         // less, so that it does not flicker at the limit
  static constexpr int kClockSights = 3;                  // in a row, a second apart

  // References outlive it.
  FactTelling(const Clock& clock, const MachineTime& time, EventBatch& out, ToldFacts& told);

  // A new subscription: what the display and the sensors say is heard anew.
  void begin();
  // Each folded field of the status, then tell() once per frame.
  void on_field(std::string_view object, std::string_view field, const StatusValue& value);
  void tell();

  // After the first status of a subscription.
  void on_versions(std::string_view klipper, std::string_view moonraker);
  // The member "config" of the object configfile: {section: {option: text}}, what Klipper has read with all includes.
  void on_printer_config(const Json& config);
  void on_spool(std::optional<int64_t> spool);
  // The answer of server.job_queue.status.  False when it is none.
  bool on_queue(const Json& status);
  // notify_job_queue_changed, which leaves the list out when only the state is another one.  False when the list is not
  // known: it has to be asked for.
  bool on_queue_change(const Json& change);
  // The machine has said its wall clock.
  void on_machine_time();

 private:
  struct Firmware {
    std::string version;
    std::string chip;
  };
  struct Seen {
    std::optional<bool> detected;
    std::optional<bool> enabled;
    std::optional<MonotonicTime> told_at;
  };

  struct Waiting {
    std::vector<schema::WaitingJobT> jobs;
    size_t total = 0;
  };

  bool take_queue(const Json& list);
  void tell_queue(std::string_view state);

  const Clock& clock_;
  const MachineTime& time_;
  EventBatch& out_;
  ToldFacts& told_;
  JsonReader reader_{1 << 20, 16};
  std::map<std::string, Firmware, std::less<>> firmware_;
  std::map<std::string, Seen, std::less<>> sensors_;
  std::string message_;
  bool dirty_ = false;
  std::optional<MonotonicTime> message_told_at_;
  int clock_sights_ = 0;
  std::optional<Waiting> waiting_;  // nullopt: not heard yet
};

}  // namespace millrace
