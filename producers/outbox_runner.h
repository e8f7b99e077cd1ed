// SPDX-License-Identifier: Apache-2.0
// Numbers a producer's events, keeps them in its outbox and publishes them until the log has confirmed them.
//
// Batching: whichever comes first of 64 events, 16 KiB and 5 ms; at once when nothing is on its way.  Under load, when
// many events are on their way already, a publish takes more (docs/decisions/0019-larger-publishes-under-load.md).
// After a new connection, a request to resend, or too long a silence it begins again behind the last confirmation.
// A full outbox or a disk that is nearly full drops telemetry first, keeps a reserve for facts, and says what was
// dropped in an event of its own, once there is room again.
//
// One thread.  The owner calls on_timer() at or after next_deadline().
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bus/batch.h"
#include "bus/clock.h"
#include "bus/confirmation.h"
#include "bus/metrics.h"
#include "bus/mqtt_client.h"
#include "bus/outbox.h"
#include "bus/topics.h"
#include "producers/event_sink.h"

namespace millrace {

struct OutboxRunnerOptions {
  std::string producer;
  size_t batch_events = 64;
  size_t batch_bytes = 16u << 10;
  uint64_t busy_events = 512;  // with so many on their way these are waited for instead, no longer than `linger`
  size_t busy_batch_events = 224;
  size_t busy_batch_bytes = 56u << 10;  // below kMaxBatchBytes with what the batch adds to each event
  std::chrono::milliseconds linger{5};
  uint64_t window_events = 32'768;               // published and not yet confirmed
  std::chrono::milliseconds silence_min{5'000};  // without progress: everything unconfirmed is sent again; doubles
  std::chrono::milliseconds silence_max{60'000};
  std::chrono::milliseconds retry_publish{20};  // where nobody calls on_room()
  uint64_t max_outbox_bytes = 256u << 20;       // of the outbox given to the constructor
  double telemetry_share = 0.9;                 // beyond this share of the outbox telemetry is dropped
};

class OutboxRunner final : public EventSink {
 public:
  // Opens a new epoch in `outbox`; its first event goes into it at once.  References outlive the runner.
  static Result<std::unique_ptr<OutboxRunner>> open(OutboxRunnerOptions options, std::unique_ptr<Outbox> outbox,
                                                    MqttClient& publisher, const Topics& topics, const Clock& clock,
                                                    Metrics& metrics);

  // Called once when a newer epoch of this producer turns out to be open: nothing more is published.
  std::function<void()> on_fenced;

  EventId next_id() const override;
  void emit(std::vector<EventDraft> events, std::string_view state) override;

  void on_connected();
  void on_disconnected();
  void on_room();  // the publisher takes messages again
  void on_confirmation(const Confirmation& confirmation);

  std::optional<MonotonicTime> next_deadline() const { return deadline_; }
  void on_timer();

  const std::string& state() const { return outbox_->state(); }
  uint64_t unconfirmed() const { return outbox_->size_events(); }
  EventOrder confirmed() const { return outbox_->confirmed(); }

 private:
  OutboxRunner(OutboxRunnerOptions options, std::unique_ptr<Outbox> outbox, MqttClient& publisher, const Topics& topics,
               const Clock& clock, Metrics& metrics);

  Result<void> open_epoch();
  bool store(std::vector<EventDraft>& events, std::string_view state);
  bool store_or_thin(std::vector<EventDraft>& events, std::string_view state);
  std::vector<Envelope> number(const std::vector<EventDraft>& events);
  bool drop_telemetry(std::vector<EventDraft>& events, std::string_view reason);
  void remember_dropped(const std::vector<EventDraft>& events, std::string_view reason);
  void append_drop_notice(std::vector<EventDraft>& events);
  void note_drops(EventOrder told_by);
  void pump();
  struct BatchLimit {
    size_t events;
    size_t bytes;
  };
  BatchLimit batch_limit() const;
  bool wait_for_more(uint64_t unsent, const BatchLimit& limit) const;
  bool publish_batch(const BatchLimit& limit);
  uint64_t in_flight() const;
  bool own(uint64_t epoch) const;
  void fence(EventOrder by);
  void rewind(EventOrder to);
  void notice_incarnation(const std::string& incarnation);
  void set_deadline();

  const OutboxRunnerOptions options_;
  const std::unique_ptr<Outbox> outbox_;
  MqttClient& publisher_;
  const std::string topic_;
  const Clock& clock_;
  Counter& events_;
  Counter& dropped_;
  Counter& batches_;
  Counter& resends_;
  Gauge& backlog_;

  EventOrder next_;          // the next event's number
  EventOrder sent_;          // published on this connection up to here
  std::string incarnation_;  // of the log that confirmed last
  bool connected_ = false;
  bool fenced_ = false;
  uint64_t dropped_count_ = 0;  // not yet told in an event
  std::string dropped_reason_;
  bool drops_unnoted_ = false;  // their count is in memory only, which has been said
  std::optional<MonotonicTime> linger_until_;
  std::optional<MonotonicTime> retry_at_;
  std::optional<MonotonicTime> silent_at_;
  std::chrono::milliseconds silence_;
  std::optional<MonotonicTime> deadline_;
};

}  // namespace millrace
