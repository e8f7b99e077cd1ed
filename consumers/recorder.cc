// SPDX-License-Identifier: Apache-2.0
#include "consumers/recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "bus/logging.h"

namespace millrace {
namespace {

constexpr std::string_view kLogPart = "log";

LogInfo info_of(const EventLog& log) {
  auto info = log.info();
  return info ? std::move(*info) : LogInfo{};
}

Counter& recovery_counter(Metrics& metrics, const std::string& outcome) {
  return metrics.counter(
      "millrace_log_recoveries_total",
      "Attempts to make the log take appends again, by closing and opening it where a write had failed",
      {{"outcome", outcome}});
}

}  // namespace

void FsyncCounter::add() {
  const int64_t now = std::chrono::floor<std::chrono::minutes>(clock_.monotonic().time_since_epoch()).count();
  const auto size = static_cast<int64_t>(minutes_.size());
  for (int64_t minute = std::max(minute_ + 1, now - size + 1); minute <= now; ++minute) {
    minutes_[static_cast<size_t>(minute % size)] = 0;
  }
  minute_ = now;
  minutes_[static_cast<size_t>(now % size)] += 1;
  last_hour_.set(static_cast<double>(std::accumulate(minutes_.begin(), minutes_.end(), uint64_t{0})));
}

Recorder::Recorder(RecorderOptions options, EventLog& log, MqttClient& subscriber, MqttClient& publisher, Topics topics,
                   const Clock& clock, Metrics& metrics, Health& health,
                   std::function<void(std::shared_ptr<const Commit>)> on_commit)
    : options_(options),
      log_(log),
      subscriber_(subscriber),
      publisher_(publisher),
      topics_(std::move(topics)),
      clock_(clock),
      health_(health),
      on_commit_(std::move(on_commit)),
      appended_(metrics.counter("millrace_log_appended_events_total", "Events appended to the log")),
      groups_(metrics.counter("millrace_log_groups_total", "Group commits, one fsync each")),
      dropped_batches_(metrics.counter("millrace_recorder_queue_dropped_batches_total",
                                       "Batches dropped because the queue was full; their producers send them again")),
      failed_appends_(metrics.counter("millrace_log_failed_appends_total", "Appends that the log refused")),
      recoveries_(recovery_counter(metrics, "done")),
      failed_recoveries_(recovery_counter(metrics, "failed")),
      writable_(metrics.gauge("millrace_log_writable", "1 while the log takes appends, 0 after it refused one")),
      queue_bytes_gauge_(metrics.gauge("millrace_recorder_queue_bytes", "Bytes received and not yet recorded")),
      last_position_(metrics.gauge("millrace_log_last_position", "Position of the last event in the log")),
      intake_({.repeat_resend = options.repeat_resend}, info_of(log), clock, metrics),
      fsyncs_(clock, metrics.gauge("millrace_log_fsyncs_last_hour", "Group commits within the last hour")) {
  last_position_.set(static_cast<double>(log.last().value));
  writable_.set(1);
}

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
    if (linger_until_) {
      wake_.wait_for(lock, std::max(Micros{0}, *linger_until_ - clock_.monotonic()), ready);
    } else {
      wake_.wait(lock, ready);
    }
    announce = std::exchange(announce_, false);
    queue_bytes_ = 0;
    work.received.swap(queue_);
    work.writes.swap(writes_);
  }
  // Never under the lock: a publish waits for the broker's library, and that may be waiting in receive().
  if (announce && subscriber_.connected()) {
    intake_.repeat_all();
    (void)publisher_.publish(topics_.status(kHubProducer), "online", 1, Retain::kYes);
  }
  return work;
}

void Recorder::run() {
  while (true) {
    if (down_) recover_log();
    Work work = wait_for_work();
    if (work.empty() && intake_.group().empty()) {
      confirm();
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      continue;
    }
    record(work.received);
    if (work.writes.empty() && may_wait()) {
      confirm();
    } else {
      append_group();
    }
    for (HubWrite& hub_write : work.writes) write(hub_write);
  }
}

// Whether the group may wait for more events.
bool Recorder::may_wait() {
  if (options_.telemetry_linger.count() == 0 || intake_.group().empty() || intake_.group_has_facts()) return false;
  if (!linger_until_) linger_until_ = clock_.monotonic() + options_.telemetry_linger;
  std::lock_guard lock(mutex_);
  return !stopping_ && clock_.monotonic() < *linger_until_;
}

// What the broker brought is appended by now, so that the group is this write's alone.
void Recorder::write(HubWrite& write) {
  if (write.events.empty() || write.events.size() > EventLog::kMaxGroupEvents) {
    return write.done(make_error(Errc::kInvalidArgument, fmt::format("a write of {} events: expected 1 to {}",
                                                                     write.events.size(), EventLog::kMaxGroupEvents)));
  }
  if (down_) return write.done(*down_);
  if (auto taken = intake_.take_hub_events(std::move(write.events)); !taken) return write.done(taken.error());
  write.done(append_group(write.remove_telemetry_through));
}

// Everything that arrived during the last fsync becomes one group, or several when it is too much for one.
void Recorder::record(std::vector<Received>& received) {
  size_t waiting = 0;
  for (const Received& batch : received) waiting += batch.payload.size();
  for (Received& batch : received) {
    queue_bytes_gauge_.set(static_cast<double>(waiting));
    waiting -= batch.payload.size();
    intake_.take(batch.producer, batch.topic, batch.payload);
    batch.payload = {};
    const bool full = intake_.group_bytes() >= EventLog::kMaxGroupBytes - kMaxBatchBytes ||
                      intake_.group().size() + kMaxBatchEvents + 2 > EventLog::kMaxGroupEvents;
    if (full) append_group();
    if (down_) break;  // the rest comes again, as does the group
  }
  queue_bytes_gauge_.set(0);
}

Result<Position> Recorder::append_group(std::optional<Position> remove_telemetry_through) {
  Result<Position> outcome = log_.last();
  linger_until_.reset();
  if (!intake_.group().empty()) {
    const auto marks = intake_.marks();
    auto commit = log_.append({intake_.group(), marks, clock_.wall(), remove_telemetry_through});
    if (!commit) {
      outcome = commit.error();
      refused(commit.error());
    } else {
      outcome = commit->last;
      appended_.add(static_cast<double>(commit->envelopes.size()));
      groups_.add();
      fsyncs_.add();
      last_position_.set(static_cast<double>(commit->last.value));
      intake_.committed();
      on_commit_(std::make_shared<const Commit>(std::move(*commit)));
    }
  }
  if (!down_) confirm();  // nobody is asked to send again before it can be taken
  return outcome;
}

// The events are safe with their producers.
void Recorder::refused(const Error& error) {
  failed_appends_.add();
  log_error("recorder", "append of {} events refused: {}", intake_.group().size(), error.message());
  intake_.failed();
  if (error.code != Errc::kInvalidArgument) set_down(error);  // a wrong request says nothing about the log
}

void Recorder::set_down(const Error& error) {
  writable_.set(0);
  health_.set(std::string(kLogPart), false, error.context);
  std::lock_guard lock(mutex_);
  down_ = error;
}

// Until the log takes appends again, or the recorder is stopped.  What arrives from the broker meanwhile waits in the
// bounded queue; the hub's own writes are refused, because somebody waits for their outcome.
void Recorder::recover_log() {
  const Position before = log_.last();
  std::vector<HubWrite> waiting;
  {
    std::lock_guard lock(mutex_);
    waiting.swap(writes_);
  }
  for (HubWrite& hub_write : waiting) hub_write.done(*down_);
  for (auto pause = options_.retry_after_failure;; pause = std::min(2 * pause, options_.retry_after_failure_max)) {
    {
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, pause, [this] { return stopping_; })) return;
    }
    auto recovered = log_.recover();
    if (recovered) recovered = resume_from_log(before);
    if (recovered) break;
    failed_recoveries_.add();
    log_error("recorder", "the log takes no events: {}", recovered.error().message());
    set_down(recovered.error());
  }
  {
    std::lock_guard lock(mutex_);
    down_.reset();
  }
  recoveries_.add();
  writable_.set(1);
  health_.set(std::string(kLogPart), true);
  log_info("recorder", "the log takes events again, behind position {}", log_.last().value);
  confirm();
}

// The failed group may be in the log after all: the intake goes on from the log's marks, so that it is not stored
// twice, and whoever follows the log is told of it.
Result<void> Recorder::resume_from_log(Position before) {
  const auto info = log_.info();
  if (!info) return info.error();
  Commit found{before + 1, info->last, clock_.wall(), {}};
  if (info->last > before) {
    const auto tail = log_.read(before, {.events = EventLog::kMaxGroupEvents}, {});
    if (!tail) return tail.error();
    for (const RecordedEvent& event : tail->events) {
      found.recorded_at = event.recorded_at;
      found.envelopes.push_back(event.envelope);
    }
    log_warn("recorder", "the group whose write had failed is in the log, up to position {}", info->last.value);
  }
  intake_.resume(info->marks);
  intake_.repeat_all();
  last_position_.set(static_cast<double>(info->last.value));
  if (!found.envelopes.empty()) on_commit_(std::make_shared<const Commit>(std::move(found)));
  return {};
}

void Recorder::confirm() {
  for (const auto& [producer, confirmation] : intake_.take_confirmations()) {
    const Retain retain = confirmation.status == Confirmation::Status::kFenced ? Retain::kNo : Retain::kYes;
    const auto published = publisher_.publish(topics_.recorded(producer), encode(confirmation), 1, retain);
    if (!published) {
      // On a new connection everything is announced; when the window is full the next group brings a later
      // confirmation.
      intake_.repeat(producer);
      log_debug("recorder", "confirmation for '{}' waits: {}", producer, published.error().message());
    }
  }
}

}  // namespace millrace
