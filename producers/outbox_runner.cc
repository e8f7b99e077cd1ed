// SPDX-License-Identifier: Apache-2.0
#include "producers/outbox_runner.h"

#include <algorithm>

#include "bus/logging.h"

namespace millrace {
namespace {

constexpr std::string_view kOutboxFull = "outbox_full";
constexpr std::string_view kDiskFull = "disk_full";

}  // namespace

Result<std::unique_ptr<OutboxRunner>> OutboxRunner::open(OutboxRunnerOptions options, std::unique_ptr<Outbox> outbox,
                                                         MqttClient& publisher, const Topics& topics,
                                                         const Clock& clock, Metrics& metrics) {
  std::unique_ptr<OutboxRunner> runner(
      new OutboxRunner(std::move(options), std::move(outbox), publisher, topics, clock, metrics));
  if (auto opened = runner->open_epoch(); !opened) return opened.error();
  return runner;
}

OutboxRunner::OutboxRunner(OutboxRunnerOptions options, std::unique_ptr<Outbox> outbox, MqttClient& publisher,
                           const Topics& topics, const Clock& clock, Metrics& metrics)
    : options_(std::move(options)),
      outbox_(std::move(outbox)),
      publisher_(publisher),
      topic_(topics.ingest(options_.producer)),
      clock_(clock),
      events_(metrics.counter("millrace_producer_events_total", "Events emitted", {{"producer", options_.producer}})),
      dropped_(metrics.counter("millrace_producer_dropped_events_total", "Events dropped because the outbox was full",
                               {{"producer", options_.producer}})),
      batches_(
          metrics.counter("millrace_producer_batches_total", "Batches published", {{"producer", options_.producer}})),
      resends_(metrics.counter("millrace_producer_resends_total", "Times that unconfirmed events were sent again",
                               {{"producer", options_.producer}})),
      backlog_(metrics.gauge("millrace_producer_outbox_events", "Events not yet confirmed by the log",
                             {{"producer", options_.producer}})),
      dropped_count_(outbox_->untold_drops()),
      dropped_reason_("outbox_full"),
      silence_(options_.silence_min) {}

Result<void> OutboxRunner::open_epoch() {
  const EventOrder previous = outbox_->last();
  const auto epoch = outbox_->open_epoch(clock_.wall());
  if (!epoch) return epoch.error();
  next_ = {*epoch, 1};
  schema::EpochOpenedT opened;
  opened.previous_epoch = previous.epoch;
  opened.previous_last_sequence = previous.sequence;
  std::vector<EventDraft> events;
  const std::string machine = is_reserved_name(options_.producer) ? "" : options_.producer;
  events.push_back(draft_of(std::move(opened), machine, clock_.wall()));
  const auto numbered = number(events);
  if (auto stored = outbox_->append(numbered, std::nullopt); !stored) return stored;
  next_.sequence += 1;
  return {};
}

EventId OutboxRunner::next_id() const { return {options_.producer, next_.epoch, next_.sequence}; }

std::vector<Envelope> OutboxRunner::number(const std::vector<EventDraft>& events) {
  std::vector<Envelope> numbered;
  EventOrder order = next_;
  for (const EventDraft& draft : events) {
    auto envelope = Envelope::build({options_.producer, order.epoch, order.sequence}, draft);
    if (!envelope) {
      // Too large for one event.  Its place tells so.
      schema::EventRejectedT rejection;
      rejection.reason = "too_large";
      rejection.detail = envelope.error().context;
      rejection.producer = options_.producer;
      log_warn("outbox", "event of '{}': {}", options_.producer, rejection.detail);
      envelope = Envelope::build({options_.producer, order.epoch, order.sequence},
                                 draft_of(std::move(rejection), draft.machine, draft.observed_at));
    }
    numbered.push_back(std::move(*envelope));
    order.sequence += 1;
  }
  return numbered;
}

void OutboxRunner::emit(std::vector<EventDraft> events, std::string_view state) {
  if (events.empty() && state == outbox_->state()) return;
  if (fenced_) return;
  const auto limit = static_cast<uint64_t>(static_cast<double>(options_.max_outbox_bytes) * options_.telemetry_share);
  const bool full = outbox_->size_bytes() > limit;
  const bool low = !full && outbox_->disk_is_low();
  if (full || low) drop_telemetry(events, full ? kOutboxFull : kDiskFull);
  const bool tells_drops = dropped_count_ > 0 && !full && !low;
  const uint64_t told = dropped_count_;
  if (tells_drops) append_drop_notice(events);
  // JobStarted may carry its own event id, so the drop notice goes behind the events of this call.
  if (events.empty() && state == outbox_->state()) return;
  if (!store_or_thin(events, state)) {
    if (tells_drops) dropped_count_ += told;
    remember_dropped(events, full ? kOutboxFull : kDiskFull);
    return;
  }
  events_.add(static_cast<double>(events.size()));
  pump();
}

bool OutboxRunner::store(std::vector<EventDraft>& events, std::string_view state) {
  const auto numbered = number(events);
  const auto stored = outbox_->append(numbered, state);
  if (!stored) {
    // Said once, not with every event while it lasts.
    if (dropped_count_ == 0)
      log_error("outbox", "'{}': {} events not stored: {}", options_.producer, events.size(), stored.error().message());
    return false;
  }
  next_.sequence += numbered.size();
  backlog_.set(static_cast<double>(outbox_->size_events()));
  return true;
}

// Where all of it finds no room, its facts may.
bool OutboxRunner::store_or_thin(std::vector<EventDraft>& events, std::string_view state) {
  return store(events, state) || (drop_telemetry(events, kDiskFull) && !events.empty() && store(events, state));
}

bool OutboxRunner::drop_telemetry(std::vector<EventDraft>& events, std::string_view reason) {
  const auto is_telemetry = [](const EventDraft& draft) { return family_of(draft.payload.type) == Family::kTelemetry; };
  const auto kept =
      std::stable_partition(events.begin(), events.end(), [&](auto& draft) { return !is_telemetry(draft); });
  if (kept == events.end()) return false;
  std::vector<EventDraft> gone(std::make_move_iterator(kept), std::make_move_iterator(events.end()));
  events.erase(kept, events.end());
  remember_dropped(gone, reason);
  return true;
}

void OutboxRunner::remember_dropped(const std::vector<EventDraft>& events, std::string_view reason) {
  if (dropped_count_ == 0 && !events.empty()) {
    log_warn("outbox", "'{}' holds {} unconfirmed bytes: events are being dropped", options_.producer,
             outbox_->size_bytes());
  }
  const auto is_notice = [](const EventDraft& draft) { return draft.payload.type == EventType::EventsDropped; };
  const auto count = events.size() - static_cast<size_t>(std::count_if(events.begin(), events.end(), is_notice));
  dropped_count_ += count;
  dropped_reason_ = reason;
  dropped_.add(static_cast<double>(count));
  note_drops({});
}

void OutboxRunner::note_drops(EventOrder told_by) {
  auto noted = outbox_->note_drops(dropped_count_, told_by);
  // Said once, not with every event while it lasts.
  if (const bool said = std::exchange(drops_unnoted_, !noted); !noted && !said) {
    log_error("outbox", "'{}': the count of {} dropped events is in memory only: {}", options_.producer, dropped_count_,
              noted.error().message());
  }
}

// Dropped events never had a number, so from and to stay 0.
void OutboxRunner::append_drop_notice(std::vector<EventDraft>& events) {
  schema::EventsDroppedT dropped;
  dropped.producer = options_.producer;
  dropped.epoch = next_.epoch;
  note_drops({next_.epoch, next_.sequence + events.size()});
  dropped.count = std::exchange(dropped_count_, 0);
  dropped.reason = dropped_reason_;
  const std::string machine = is_reserved_name(options_.producer) ? "" : options_.producer;
  events.push_back(draft_of(std::move(dropped), machine, clock_.wall()));
}

void OutboxRunner::on_connected() {
  connected_ = true;
  rewind(outbox_->confirmed());
  pump();
}

void OutboxRunner::on_disconnected() {
  connected_ = false;
  linger_until_.reset();
  retry_at_.reset();
  silent_at_.reset();
  set_deadline();
}

void OutboxRunner::on_room() {
  if (!retry_at_) return;
  retry_at_.reset();
  pump();
}

// The next start opens an epoch above the one that won, whatever the clock says.
void OutboxRunner::fence(EventOrder by) {
  fenced_ = true;
  log_error("outbox", "'{}' is fenced: epoch {} of another process is open, this one's is {}", options_.producer,
            by.epoch, next_.epoch);
  if (auto noted = outbox_->note_epoch(by.epoch); !noted) {
    log_error("outbox", "'{}': {}", options_.producer, noted.error().message());
  }
  if (on_fenced) on_fenced();
}

// Whether events of `epoch` are this outbox's.  Epochs of another process, or of an outbox that this one is a copy of,
// lie between its own ones, and their confirmation says nothing about these.
bool OutboxRunner::own(uint64_t epoch) const {
  return epoch == next_.epoch || outbox_->events_after({epoch, 0}) > outbox_->events_after({epoch + 1, 0});
}

void OutboxRunner::on_confirmation(const Confirmation& confirmation) {
  const bool resend = confirmation.status == Confirmation::Status::kResend;
  if (confirmation.recorded.epoch > next_.epoch) {
    if (confirmation.status == Confirmation::Status::kFenced && !fenced_) fence(confirmation.recorded);
    return;
  }
  if (!own(confirmation.recorded.epoch)) {
    if (resend) rewind(outbox_->confirmed());
    return pump();
  }
  if (confirmation.recorded > outbox_->last()) {
    log_warn("outbox", "'{}': confirmation of {}/{} is beyond what was sent and is not believed", options_.producer,
             confirmation.recorded.epoch, confirmation.recorded.sequence);
    return;
  }
  notice_incarnation(confirmation.incarnation);
  const bool progress = confirmation.recorded > outbox_->confirmed();
  if (auto confirmed = outbox_->confirm(confirmation.recorded); !confirmed) {
    log_error("outbox", "'{}': {}", options_.producer, confirmed.error().message());
  }
  backlog_.set(static_cast<double>(outbox_->size_events()));
  sent_ = std::max(sent_, confirmation.recorded);
  if (progress) {
    silence_ = options_.silence_min;
    silent_at_.reset();
  }
  if (resend) rewind(confirmation.recorded);
  pump();
}

// Another log confirms: one restored from a backup, or made anew.  It may lack what the old one had confirmed, and what
// of that still lies here can fill it.
void OutboxRunner::notice_incarnation(const std::string& incarnation) {
  const std::string before = std::exchange(incarnation_, incarnation);
  if (before.empty() || before == incarnation) return;
  if (auto offered = outbox_->offer_again(); !offered) {
    log_error("outbox", "'{}': {}", options_.producer, offered.error().message());
  }
  log_info("outbox", "'{}': log {} took the place of log {}, {} events are offered again", options_.producer,
           incarnation, before, outbox_->size_events());
  rewind({});
}

void OutboxRunner::rewind(EventOrder to) {
  if (to < sent_) resends_.add();
  sent_ = to;
  retry_at_.reset();
  linger_until_.reset();
}

void OutboxRunner::on_timer() {
  const MonotonicTime now = clock_.monotonic();
  if (retry_at_ && now >= *retry_at_) retry_at_.reset();
  if (silent_at_ && now >= *silent_at_) {
    silent_at_.reset();
    if (silence_ < options_.silence_max && silence_ * 2 >= options_.silence_max) {
      log_warn("outbox",
               "'{}': nothing has been confirmed for a minute, {} events wait and are sent again: does the hub "
               "run, and does it reach the broker?",
               options_.producer, outbox_->size_events());
    }
    silence_ = std::min(silence_ * 2, options_.silence_max);
    rewind(outbox_->confirmed());
  }
  pump();
}

uint64_t OutboxRunner::in_flight() const { return outbox_->size_events() - outbox_->events_after(sent_); }

OutboxRunner::BatchLimit OutboxRunner::batch_limit() const {
  if (in_flight() < options_.busy_events) return {options_.batch_events, options_.batch_bytes};
  return {options_.busy_batch_events, options_.busy_batch_bytes};
}

// A lone event goes at once; under way, a few milliseconds fill a batch.
bool OutboxRunner::wait_for_more(uint64_t unsent, const BatchLimit& limit) const {
  if (in_flight() == 0 || unsent >= limit.events) return false;
  if (linger_until_ && clock_.monotonic() >= *linger_until_) return false;
  return outbox_->bytes_after(sent_) < limit.bytes;
}

void OutboxRunner::pump() {
  while (connected_ && !fenced_ && !retry_at_) {
    const uint64_t unsent = outbox_->events_after(sent_);
    if (unsent == 0) {
      linger_until_.reset();
      break;
    }
    if (in_flight() >= options_.window_events) break;
    const BatchLimit limit = batch_limit();
    if (wait_for_more(unsent, limit)) {
      if (!linger_until_) linger_until_ = clock_.monotonic() + options_.linger;
      break;
    }
    linger_until_.reset();
    if (!publish_batch(limit)) break;
  }
  set_deadline();
}

bool OutboxRunner::publish_batch(const BatchLimit& limit) {
  const auto entries = outbox_->read(sent_, limit.events, limit.bytes);
  if (!entries || entries->empty()) {
    if (!entries) log_error("outbox", "'{}': {}", options_.producer, entries.error().message());
    retry_at_ = clock_.monotonic() + options_.silence_min;
    return false;
  }
  std::vector<std::string_view> envelopes;
  for (const OutboxEntry& entry : *entries) envelopes.push_back(entry.bytes);
  const BatchHeader header{options_.producer, entries->front().order, outbox_->oldest().value_or(EventOrder{}),
                           next_.epoch, outbox_->events_after(entries->back().order)};
  const auto published = publisher_.publish(topic_, encode_batch(header, envelopes), 1, Retain::kNo);
  if (!published) {
    retry_at_ = clock_.monotonic() + options_.retry_publish;
    return false;
  }
  batches_.add();
  sent_ = entries->back().order;
  return true;
}

void OutboxRunner::set_deadline() {
  // What is under way may be lost even when nothing more is published, so the silence is watched as long as it is.
  const bool waits = connected_ && !fenced_ && in_flight() > 0;
  if (!waits) silent_at_.reset();
  if (waits && !silent_at_) silent_at_ = clock_.monotonic() + silence_;
  deadline_.reset();
  for (const auto& at : {linger_until_, retry_at_, silent_at_}) {
    if (at && (!deadline_ || *at < *deadline_)) deadline_ = at;
  }
}

}  // namespace millrace
