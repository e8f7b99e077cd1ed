// SPDX-License-Identifier: Apache-2.0
// The recorder's work without its thread and its queue: what arrived is judged, appended in groups, and confirmed.
//
// Threads: one.  It waits for the disk in append(), and for nothing else, so that a simulation can step it.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/event_log.h"
#include "bus/health.h"
#include "bus/metrics.h"
#include "bus/mqtt_client.h"
#include "bus/topics.h"
#include "consumers/backlog_watch.h"
#include "consumers/intake.h"

namespace millrace {

struct RecordingOptions {
  std::chrono::milliseconds repeat_resend{250};  // of a request that changed nothing
  // A group that holds only telemetry waits so long for more.  Facts never wait.
  std::chrono::milliseconds telemetry_linger{0};
};

// Events born in the hub, appended as one group (decision 7).
struct HubWrite {
  std::vector<EventDraft> events;  // 1 to EventLog::kMaxGroupEvents
  std::optional<Position> remove_telemetry_through = std::nullopt;
  // On the recorder's thread, once: the position of the last event, or why nothing was appended.  kUnavailable when the
  // recorder stops first; after kSyncFailed it may be appended all the same.
  std::function<void(Result<Position>)> done;
};

// How many there were in the last hour, minute by minute.
class FsyncCounter {
 public:
  FsyncCounter(const Clock& clock, Gauge& last_hour) : clock_(clock), last_hour_(last_hour) {}
  void add();

 private:
  const Clock& clock_;
  Gauge& last_hour_;
  std::array<uint64_t, 60> minutes_{};
  int64_t minute_ = 0;  // of the clock that never goes back
};

class Recording {
 public:
  // One message on ingest/<producer>.
  struct Received {
    std::string producer;  // of the topic
    std::string topic;
    std::string payload;
  };

  // Begins where the log stands.  References outlive this.  `on_commit` runs after each append, before its
  // confirmation.
  Recording(RecordingOptions options, EventLog& log, MqttClient& publisher, Topics topics, const Clock& clock,
            Metrics& metrics, Health& health, std::function<void(std::shared_ptr<const Commit>)> on_commit);

  // Takes what arrived, appends what is new, as one group or as several when it is too much for one, and confirms it;
  // then each write of the hub as a group of its own.  Also at next_deadline(), and when a connection is new.  With
  // kNo nothing is left waiting.
  enum class Wait { kNo, kYes };
  void step(std::vector<Received>& received, std::vector<HubWrite>& writes, Wait wait);

  // Why the log takes no appends, since it refused one; nullopt while it does.  The events are safe with their
  // producers, and nobody is asked to send again before they can be taken: call recover() from time to time.
  const std::optional<Error>& down() const { return down_; }
  // One attempt.  Afterwards the log takes appends, or down() says why not.  The group whose write had failed may be in
  // the log after all; then it is committed now.
  void recover();

  // When the group that waits for more is to be appended, or what piles up looked at.
  MonotonicTime next_deadline() const {
    return std::min(linger_until_.value_or(MonotonicTime::max()), looked_ + kLook);
  }
  bool idle() const { return intake_.group().empty(); }

  // After a new connection: every producer is asked for what comes after its confirmation, and the hub is "online".
  void announce();

 private:
  static constexpr std::chrono::seconds kLook{1};

  void look();
  void record(std::vector<Received>& received);
  void write(HubWrite& write);
  Result<Position> append_group(std::optional<Position> remove_telemetry_through = std::nullopt);
  void refused(const Error& error);
  bool may_wait();
  void set_down(const Error& error);
  Result<void> resume_from_log();
  void confirm();

  const RecordingOptions options_;
  EventLog& log_;
  MqttClient& publisher_;
  const Topics topics_;
  const Clock& clock_;
  Health& health_;
  const std::function<void(std::shared_ptr<const Commit>)> on_commit_;

  Counter& appended_;
  Counter& groups_;
  Counter& failed_appends_;
  Counter& recoveries_;
  Counter& failed_recoveries_;
  Gauge& writable_;
  Gauge& queue_bytes_gauge_;
  Gauge& last_position_;

  Intake intake_;
  BacklogWatch backlog_;
  MonotonicTime looked_{};  // at what piles up
  FsyncCounter fsyncs_;
  std::optional<MonotonicTime> linger_until_;  // of the group that waits
  std::optional<Error> down_;
  Position committed_;  // told to on_commit_ so far
};

}  // namespace millrace
