// SPDX-License-Identifier: Apache-2.0
#include "consumers/emergency_recorder.h"

#include <algorithm>

#include "bus/logging.h"

namespace millrace {
namespace {

// The log's clock and that of whoever asked may differ, and a stop is recorded after it was asked for.
constexpr std::chrono::hours kClocksDiffer{1};
constexpr size_t kReadEvents = 1000;

}  // namespace

EmergencyRecorder::EmergencyRecorder(EmergencyRecorderOptions options, EmergencyFile file, const EventLog& log,
                                     std::function<void(HubWrite)> submit, const Clock& clock, Metrics& metrics)
    : options_(options),
      file_(std::move(file)),
      log_(log),
      submit_(std::move(submit)),
      clock_(clock),
      recorded_(metrics.counter("millrace_emergency_stops_recorded_total", "Emergency stops that the log has")),
      lost_(metrics.counter("millrace_emergency_stops_lost_total", "Emergency stops done that could not be kept")),
      waiting_gauge_(metrics.gauge("millrace_emergency_stops_waiting", "Emergency stops that the log does not have")) {}

EmergencyRecorder::~EmergencyRecorder() { stop(); }

void EmergencyRecorder::start() {
  thread_ = std::thread([this] { run(); });
}

void EmergencyRecorder::stop() {
  {
    std::lock_guard lock(outcomes_->mutex);
    outcomes_->stopping = true;
  }
  outcomes_->wake.notify_all();
  if (thread_.joinable()) thread_.join();
}

void EmergencyRecorder::record(EmergencyRecord record) {
  std::lock_guard lock(outcomes_->mutex);
  if (waiting_ >= options_.max_waiting) return lost_.add();
  ++waiting_;
  outcomes_->came.push_back(std::move(record));
  outcomes_->wake.notify_all();
}

size_t EmergencyRecorder::waiting() const { return waiting_; }

void EmergencyRecorder::run() {
  file_.reserve();
  read_file();
  for (bool last = false; !last;) {
    std::list<EmergencyRecord> came;
    std::vector<std::pair<std::string, Result<Position>>> told;
    {
      std::unique_lock lock(outcomes_->mutex);
      const auto news = [&] { return outcomes_->stopping || !outcomes_->came.empty() || !outcomes_->told.empty(); };
      outcomes_->wake.wait_for(lock, options_.retry, news);
      came.swap(outcomes_->came);
      told.swap(outcomes_->told);
      last = outcomes_->stopping;
    }
    for (EmergencyRecord& record : came) keep(std::move(record));
    for (const auto& [command_id, outcome] : told) note(command_id, outcome);
    if (!file_read_) read_file();
    write_due();
    forget_recorded();
    show();
  }
}

// What was there before this process; whether the log has it is not known.
void EmergencyRecorder::read_file() {
  const auto content = file_.read();
  if (!content) return log_warn("emergency", "records of earlier stops: {}", content.error().message());
  file_read_ = true;
  if (content->unreadable > 0) {
    log_warn("emergency", "{} lines of the file of emergency stops cannot be read", content->unreadable);
  }
  for (const EmergencyRecord& record : content->records) {
    const auto is_it = [&](const Entry& entry) { return entry.record.command_id == record.command_id; };
    if (std::any_of(entries_.begin(), entries_.end(), is_it)) continue;
    entries_.push_back({record, true, false, true, {}});
    ++waiting_;
  }
}

void EmergencyRecorder::keep(EmergencyRecord record) {
  const auto is_it = [&](const Entry& entry) { return entry.record.command_id == record.command_id; };
  if (std::any_of(entries_.begin(), entries_.end(), is_it)) {
    --waiting_;
    return;
  }
  // One that was handed over by another process may be in the log since an earlier attempt.
  Entry entry{std::move(record), false, false, false, {}};
  entry.in_doubt = entry.record.client == "cli";
  entries_.push_back(std::move(entry));
}

void EmergencyRecorder::note(const std::string& command_id, const Result<Position>& outcome) {
  const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& other) { return other.record.command_id == command_id; });
  if (entry == entries_.end()) return;
  entry->submitted = false;
  if (outcome) {
    recorded_.add();
    if (entry->in_file) finished_.insert(command_id);
    entries_.erase(entry);
    --waiting_;
    return;
  }
  // After kSyncFailed, and when the recorder stopped, it may come to light.
  entry->in_doubt = true;
  entry->due = clock_.monotonic() + options_.retry;
}

void EmergencyRecorder::write_due() {
  const MonotonicTime now = clock_.monotonic();
  for (Entry& entry : entries_) {
    if (entry.due > now) continue;
    if (!entry.in_file) {
      auto kept = file_.append(entry.record);
      entry.in_file = kept.has_value();
      if (!kept) {
        log_warn("emergency", "the stop of '{}' waits in memory only: {}", entry.record.machine,
                 kept.error().message());
      }
    }
    if (!entry.submitted) submit(entry);
  }
  entries_.remove_if([](const Entry& entry) { return entry.record.machine.empty(); });
}

void EmergencyRecorder::submit(Entry& entry) {
  if (entry.in_doubt) {
    const auto known = is_in_log(entry.record);
    if (!known) {
      entry.due = clock_.monotonic() + options_.retry;
      return;
    }
    if (*known) {
      if (entry.in_file) finished_.insert(entry.record.command_id);
      entry.record.machine.clear();  // its mark for being removed
      --waiting_;
      return;
    }
  }
  entry.submitted = true;
  std::vector<EventDraft> events;
  events.push_back(draft_of(entry.record));
  submit_(
      {std::move(events), {}, [outcomes = outcomes_, id = entry.record.command_id](const Result<Position>& outcome) {
         std::lock_guard lock(outcomes->mutex);
         outcomes->told.emplace_back(id, outcome);
         outcomes->wake.notify_all();
       }});
}

Result<bool> EmergencyRecorder::is_in_log(const EmergencyRecord& record) const {
  const auto first = log_.first_at(record.asked_at - kClocksDiffer);
  if (!first) return first.error();
  EventFilter filter;
  filter.machine = record.machine;
  filter.types = {EventType::EmergencyStopped};
  Position after{first->value == 0 ? 0 : first->value - 1};
  for (bool at_end = false; !at_end;) {
    const auto read = log_.read(after, {.events = kReadEvents}, filter);
    if (!read) return read.error();
    for (const RecordedEvent& event : read->events) {
      const auto* stopped = event.envelope.as<schema::EmergencyStopped>();
      if (stopped != nullptr && text(stopped->command_id()) == record.command_id) return true;
    }
    after = read->through;
    at_end = read->at_end;
  }
  return false;
}

void EmergencyRecorder::forget_recorded() {
  if (finished_.empty()) return;
  if (auto removed = file_.remove(finished_); !removed) {
    return log_warn("emergency", "stops that the log has stay in their file: {}", removed.error().message());
  }
  finished_.clear();
}

void EmergencyRecorder::show() { waiting_gauge_.set(static_cast<double>(waiting_)); }

}  // namespace millrace
