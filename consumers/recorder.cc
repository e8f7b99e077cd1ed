// SPDX-License-Identifier: Apache-2.0
#include "consumers/recorder.h"

#include <fmt/format.h>

#include <algorithm>

namespace millrace {
Recorder::Recorder(RecorderOptions options, EventLog& log, MqttClient& subscriber, MqttClient& publisher, Topics topics,
                   const Clock& clock, Metrics& metrics, Health& health,
                   std::function<void(std::shared_ptr<const Commit>)> on_commit)
    : options_(options),
      subscriber_(subscriber),
      publisher_(publisher),
      topics_(std::move(topics)),
      clock_(clock),
      health_(health),
      dropped_batches_(metrics.counter("millrace_recorder_queue_dropped_batches_total",
                                       "Batches dropped because the queue was full; their producers send them again")),
      recording_({.repeat_resend = options.repeat_resend, .telemetry_linger = options.telemetry_linger}, log, publisher,
                 topics_, clock, metrics, health, std::move(on_commit)) {}

Recorder::~Recorder() { stop(); }

void Recorder::start() {
  health_.set("recorder", false, "waiting for the broker");
  subscriber_.on_message([this](const MqttClient::Message& message) { receive(message); });
  subscriber_.on_connected([this] {
    health_.set("recorder", true);
    announce_everything();
  });
  subscriber_.on_disconnected(
      [this](const std::string&) { health_.set("recorder", false, "no connection to the broker"); });
  subscriber_.subscribe(topics_.ingest_all(), 1);
  publisher_.on_connected([this] { announce_everything(); });
  thread_ = std::thread([this] { run(); });
  announce_everything();
}

void Recorder::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Recorder::announce_everything() {
  {
    std::lock_guard lock(mutex_);
    announce_ = true;
  }
  wake_.notify_all();
}

// On the broker library's thread: copies and returns.  A full queue drops the batch, because waiting here would stop
// every publish of the process; the producer sends it again.
void Recorder::receive(const MqttClient::Message& message) {
  auto producer = topics_.producer_of_ingest(message.topic);
  if (!producer) return;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (queue_bytes_ + message.payload.size() > options_.max_queue_bytes ||
        queue_.size() >= options_.max_queue_batches) {
      dropped_batches_.add();
      return;
    }
    queue_bytes_ += message.payload.size();
    queue_.push_back({std::move(*producer), std::string(message.topic), std::string(message.payload)});
  }
  wake_.notify_one();
}

void Recorder::submit(HubWrite write) {
  Error refusal = make_error(Errc::kUnavailable, "the hub is stopping");
  {
    std::lock_guard lock(mutex_);
    if (!stopping_ && !down_ && writes_.size() < options_.max_hub_writes) {
      writes_.push_back(std::move(write));
      wake_.notify_one();
      return;
    }
    if (down_) {
      refusal = *down_;
    } else if (!stopping_) {
      refusal = make_error(Errc::kFull, fmt::format("{} writes of the hub wait already", options_.max_hub_writes));
    }
  }
  write.done(std::move(refusal));
}

Recorder::Work Recorder::wait_for_work() {
  Work work;
  bool announce = false;
  {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return stopping_ || announce_ || !queue_.empty() || !writes_.empty(); };
    wake_.wait_for(lock, std::max(Micros{0}, recording_.next_deadline() - clock_.monotonic()), ready);
    announce = std::exchange(announce_, false);
    queue_bytes_ = 0;
    work.received.swap(queue_);
    work.writes.swap(writes_);
  }
  // Never under the lock: a publish waits for the broker's library, and that may be waiting in receive().
  if (announce && subscriber_.connected()) recording_.announce();
  return work;
}

bool Recorder::stopping() {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void Recorder::run() {
  while (true) {
    if (recording_.down()) wait_for_recovery();
    Work work = wait_for_work();
    recording_.step(work.received, work.writes, stopping() ? Recording::Wait::kNo : Recording::Wait::kYes);
    std::lock_guard lock(mutex_);
    down_ = recording_.down();
    if (stopping_ && queue_.empty() && writes_.empty() && recording_.idle()) return;
  }
}

// Until the log takes appends again, or the recorder is stopped.  What arrives from the broker meanwhile waits in the
// bounded queue; the hub's own writes are refused, because somebody waits for their outcome.
void Recorder::wait_for_recovery() {
  std::vector<HubWrite> waiting;
  {
    std::lock_guard lock(mutex_);
    waiting.swap(writes_);
  }
  for (HubWrite& hub_write : waiting) hub_write.done(*recording_.down());
  for (auto pause = options_.retry_after_failure; recording_.down();
       pause = std::min(2 * pause, options_.retry_after_failure_max)) {
    {
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, pause, [this] { return stopping_; })) return;
    }
    recording_.recover();
    std::lock_guard lock(mutex_);
    down_ = recording_.down();
  }
}

}  // namespace millrace
