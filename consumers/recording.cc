// SPDX-License-Identifier: Apache-2.0
#include "consumers/recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "bus/logging.h"

namespace millrace {
namespace {

constexpr std::string_view kLogPart = "log";

Counter& recovery_counter(Metrics& metrics, const std::string& outcome) {
  return metrics.counter(
      "millrace_log_recoveries_total",
      "Attempts to make the log take appends again, by closing and opening it where a write had failed",
      {{"outcome", outcome}});
}

LogInfo info_of(const EventLog& log) {
  auto info = log.info();
  return info ? std::move(*info) : LogInfo{};
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

Recording::Recording(RecordingOptions options, EventLog& log, MqttClient& publisher, Topics topics, const Clock& clock,
                     Metrics& metrics, Health& health, std::function<void(std::shared_ptr<const Commit>)> on_commit)
    : options_(options),
      log_(log),
      publisher_(publisher),
      topics_(std::move(topics)),
      clock_(clock),
      health_(health),
      on_commit_(std::move(on_commit)),
      appended_(metrics.counter("millrace_log_appended_events_total", "Events appended to the log")),
      groups_(metrics.counter("millrace_log_groups_total", "Group commits, one fsync each")),
      failed_appends_(metrics.counter("millrace_log_failed_appends_total", "Appends that the log refused")),
      recoveries_(recovery_counter(metrics, "done")),
      failed_recoveries_(recovery_counter(metrics, "failed")),
      writable_(metrics.gauge("millrace_log_writable", "1 while the log takes appends, 0 after it refused one")),
      queue_bytes_gauge_(metrics.gauge("millrace_recorder_queue_bytes", "Bytes received and not yet recorded")),
      last_position_(metrics.gauge("millrace_log_last_position", "Position of the last event in the log")),
      intake_({.repeat_resend = options.repeat_resend}, info_of(log), clock, metrics),
      backlog_({}, clock, metrics, health),
      fsyncs_(clock, metrics.gauge("millrace_log_fsyncs_last_hour", "Group commits within the last hour")),
      committed_(log.last()) {
  last_position_.set(static_cast<double>(log.last().value));
  writable_.set(1);
}

void Recording::step(std::vector<Received>& received, std::vector<HubWrite>& writes, Wait wait) {
  record(received);
  if (wait == Wait::kYes && writes.empty() && may_wait()) {
    confirm();
  } else {
    append_group();
  }
  for (HubWrite& hub_write : writes) write(hub_write);
  look();
}

// While the log is down nothing can be recorded, which is said already.
void Recording::look() {
  const MonotonicTime now = clock_.monotonic();
  if (now - looked_ < kLook) return;
  looked_ = now;
  if (!down_) backlog_.look(intake_.progress());
}

// Whether the group may wait for more events.
bool Recording::may_wait() {
  if (options_.telemetry_linger.count() == 0 || intake_.group().empty() || intake_.group_has_facts()) return false;
  if (!linger_until_) linger_until_ = clock_.monotonic() + options_.telemetry_linger;
  return clock_.monotonic() < *linger_until_;
}

// What the broker brought is appended by now, so that the group is this write's alone.
void Recording::write(HubWrite& write) {
  if (write.events.empty() || write.events.size() > EventLog::kMaxGroupEvents) {
    return write.done(make_error(Errc::kInvalidArgument, fmt::format("a write of {} events: expected 1 to {}",
                                                                     write.events.size(), EventLog::kMaxGroupEvents)));
  }
  if (down_) return write.done(*down_);
  if (auto taken = intake_.take_hub_events(std::move(write.events)); !taken) return write.done(taken.error());
  write.done(append_group(write.remove_telemetry_through));
}

// Everything that arrived during the last fsync becomes one group, or several when it is too much for one.
void Recording::record(std::vector<Received>& received) {
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

Result<Position> Recording::append_group(std::optional<Position> remove_telemetry_through) {
  Result<Position> outcome = log_.last();
  linger_until_.reset();
  if (!intake_.group().empty()) {
    const auto marks = intake_.marks();
    const auto ended = intake_.ended();
    auto commit = log_.append({intake_.group(), marks, clock_.wall(), remove_telemetry_through, {}, ended});
    if (!commit) {
      outcome = commit.error();
      refused(commit.error());
    } else {
      outcome = commit->last;
      appended_.add(static_cast<double>(commit->envelopes.size()));
      groups_.add();
      fsyncs_.add();
      last_position_.set(static_cast<double>(commit->last.value));
      committed_ = commit->last;
      intake_.committed();
      on_commit_(std::make_shared<const Commit>(std::move(*commit)));
    }
  }
  if (!down_) confirm();
  return outcome;
}

// The events are safe with their producers.
void Recording::refused(const Error& error) {
  failed_appends_.add();
  log_error("recorder", "append of {} events refused: {}", intake_.group().size(), error.message());
  intake_.failed();
  if (error.code != Errc::kInvalidArgument) set_down(error);  // a wrong request says nothing about the log
}

void Recording::set_down(const Error& error) {
  writable_.set(0);
  health_.set(std::string(kLogPart), false, error.context);
  down_ = error;
}

void Recording::recover() {
  auto recovered = log_.recover();
  if (recovered) recovered = resume_from_log();
  if (!recovered) {
    failed_recoveries_.add();
    log_error("recorder", "the log takes no events: {}", recovered.error().message());
    return set_down(recovered.error());
  }
  down_.reset();
  recoveries_.add();
  writable_.set(1);
  health_.set(std::string(kLogPart), true);
  log_info("recorder", "the log takes events again, behind position {}", log_.last().value);
  confirm();
}

// The intake goes on from the log's marks, so that a group that is there after all is not stored twice, and whoever
// follows the log is told of it.
Result<void> Recording::resume_from_log() {
  const auto info = log_.info();
  if (!info) return info.error();
  Commit found{committed_ + 1, info->last, clock_.wall(), {}};
  if (info->last > committed_) {
    const auto tail = log_.read(committed_, {.events = EventLog::kMaxGroupEvents}, {});
    if (!tail) return tail.error();
    for (const RecordedEvent& event : tail->events) {
      found.recorded_at = event.recorded_at;
      found.envelopes.push_back(event.envelope);
    }
    log_warn("recorder", "the group whose write had failed is in the log, up to position {}", info->last.value);
  }
  intake_.resume(*info);
  intake_.repeat_all();
  last_position_.set(static_cast<double>(info->last.value));
  committed_ = info->last;
  if (!found.envelopes.empty()) on_commit_(std::make_shared<const Commit>(std::move(found)));
  return {};
}

void Recording::confirm() {
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

void Recording::announce() {
  intake_.repeat_all();
  (void)publisher_.publish(topics_.status(kHubProducer), "online", 1, Retain::kYes);
}

}  // namespace millrace
