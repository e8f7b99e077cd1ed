// SPDX-License-Identifier: Apache-2.0
#include "consumers/intake.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/logging.h"

namespace millrace {
namespace {

Counter& counted(Metrics& metrics, const std::string& outcome) {
  return metrics.counter("millrace_recorder_events_total", "Received events by what became of them",
                         {{"outcome", outcome}});
}

constexpr size_t kRejectedBytesKept = 1024;
constexpr size_t kUnknownBytesKept = 40 * 1024;  // an event of unknown type is kept whole where it fits one envelope
constexpr size_t kMaxTopicKept = 256;

schema::EventRejectedT rejection_of(std::string reason, std::string detail) {
  schema::EventRejectedT rejection;
  rejection.reason = std::move(reason);
  rejection.detail = std::move(detail);
  return rejection;
}

// Why an envelope that can be read does not belong where it came.
std::string misplaced(const BatchHeader& header, const BatchEntry& entry) {
  const Envelope& envelope = *entry.envelope;
  if (envelope.producer() != header.producer) {
    return fmt::format("event of '{}' in a batch of '{}'", envelope.producer(), header.producer);
  }
  if (envelope.order() != entry.order) {
    return fmt::format("event numbered {}/{} in the place of {}/{}", envelope.epoch(), envelope.sequence(),
                       entry.order.epoch, entry.order.sequence);
  }
  return {};
}

}  // namespace

Intake::Intake(IntakeOptions options, const LogInfo& log, const Clock& clock, Metrics& metrics)
    : options_(options),
      incarnation_(log.incarnation),
      hub_epoch_(log.incarnation_number),
      restored_at_(log.restored_at),
      clock_(clock),
      appended_(counted(metrics, "appended")),
      duplicate_(counted(metrics, "duplicate")),
      gap_(counted(metrics, "gap")),
      fenced_(counted(metrics, "fenced")),
      lost_(counted(metrics, "lost")),
      rejected_(counted(metrics, "rejected")) {
  resume(log);
}

void Intake::resume(const LogInfo& log) {
  for (auto& [producer, source] : sources_) source.unrecorded_since.reset();  // it was not their doing
  for (const ProducerMark& mark : log.marks) {
    if (mark.producer == kHubProducer) {
      // A new incarnation numbers its events from 1 again.
      if (mark.order.epoch == hub_epoch_) hub_durable_ = hub_taken_ = mark.order.sequence;
      continue;
    }
    Source& source = sources_[mark.producer];
    source.durable = source.taken = mark.order;
    if (log.restored.contains(mark.producer)) source.restored = mark.order;
  }
  for (const ProducerMark& mark : log.ended) {
    auto& ended = sources_[mark.producer].ended;
    ended[mark.order.epoch] = mark.order.sequence;
    if (ended.size() > options_.max_ended_epochs) ended.erase(ended.begin());
  }
}

void Intake::take(const std::string& producer, const std::string& topic, std::string_view payload) {
  const auto batch = decode_batch(payload);
  if (!batch) {
    const std::string reason = batch.error().code == Errc::kTooLarge ? "too_large" : "malformed_batch";
    return reject(topic, rejection_of(reason, batch.error().context), payload, true);
  }
  if (batch->header.producer != producer || !is_valid_machine_id(producer) || producer == kHubProducer) {
    const auto detail = fmt::format("batch of '{}' on the topic of '{}'", batch->header.producer, producer);
    return reject(topic, rejection_of("wrong_producer", detail), payload, true);
  }
  if (!sources_.contains(producer) && sources_.size() >= options_.max_producers) {
    const auto detail = fmt::format("'{}' would be one producer more than {}", producer, options_.max_producers);
    return reject(topic, rejection_of("too_many_producers", detail), payload, true);
  }
  Source& source = sources_[producer];
  source.waiting = batch->header.waiting;
  source.heard = clock_.monotonic();
  if (!source.unrecorded_since) source.unrecorded_since = source.heard;
  for (const BatchEntry& entry : batch->entries) {
    switch (judge(source, *batch, entry)) {
      case Verdict::kAppend:
        append(source, batch->header, entry, topic);
        touched_.insert(producer);
        break;
      case Verdict::kKnown:
        duplicate_.add();
        source.unrecorded_since.reset();
        to_confirm_.insert(producer);
        break;
      case Verdict::kGap:
        gap_.add();
        log_debug("recorder", "'{}' sends {}/{}, {}/{} is due", producer, entry.order.epoch, entry.order.sequence,
                  source.taken.epoch, source.taken.sequence + 1);
        return ask_resend(producer, source);
      case Verdict::kFenced:
        fenced_.add();
        source.fenced = true;
        to_confirm_.insert(producer);
        return;
    }
  }
}

Intake::Verdict Intake::judge(Source& source, const ReceivedBatch& batch, const BatchEntry& entry) {
  const BatchHeader& header = batch.header;
  if (header.sender_epoch < source.taken.epoch) return Verdict::kFenced;
  if (entry.order.epoch < source.taken.epoch) return judge_ended_epoch(source, batch, entry);
  if (entry.order <= source.taken) return Verdict::kKnown;
  if (entry.order.epoch > source.taken.epoch) return judge_new_epoch(source, header, entry);
  if (entry.order.sequence == source.taken.sequence + 1) return Verdict::kAppend;
  if (header.oldest < entry.order) return Verdict::kGap;
  if (may_still_fill(source, {entry.order.epoch, source.taken.sequence + 1})) return Verdict::kGap;
  // Nothing older can come any more: the hole is named and the stream goes on.
  add_hole(source, header.producer, {entry.order.epoch, source.taken.sequence + 1},
           {entry.order.epoch, entry.order.sequence - 1}, "outbox_lost");
  return Verdict::kAppend;
}

// Where a superseded epoch ended; nullopt for one of which nothing is remembered.
std::optional<uint64_t> Intake::end_of(const Source& source, uint64_t epoch) {
  for (const auto* known : {&source.ended_now, &source.ended}) {
    if (const auto found = known->find(epoch); found != known->end()) return found->second;
  }
  const auto& oldest = source.ended.empty() ? source.ended_now : source.ended;
  if (source.durable == EventOrder{}) return 0;  // nothing is known, so nothing is forgotten
  if (oldest.empty() || epoch < oldest.begin()->first) return std::nullopt;
  return 0;  // opened and superseded before anything of it arrived
}

// Whether an event is in the log or named as dropped, as far as the log remembers.
bool Intake::settled(const Source& source, EventOrder order) {
  if (order.epoch >= source.taken.epoch) return order <= source.taken;
  const auto end = end_of(source, order.epoch);
  return !end || order.sequence <= *end;
}

// Names what is missing up to `last`, the end of its epoch.
void Intake::name_rest(Source& source, const std::string& producer, EventOrder last, const std::string& reason) {
  const bool current = last.epoch == source.taken.epoch;
  const uint64_t end = current ? source.taken.sequence : end_of(source, last.epoch).value_or(0);
  add_hole(source, producer, {last.epoch, end + 1}, last, reason);
  if (current) {
    source.taken = last;
  } else {
    source.ended_now[last.epoch] = last.sequence;
  }
  touched_.insert(producer);
}

// The last event before the epoch that `entry` opens, as its EpochOpened says.
std::optional<EventOrder> Intake::previous_of(const BatchEntry& entry) {
  const auto* opened = entry.envelope ? entry.envelope->as<schema::EpochOpened>() : nullptr;
  if (entry.order.sequence != 1 || opened == nullptr) return std::nullopt;
  return EventOrder{opened->previous_epoch(), opened->previous_last_sequence()};
}

// The present sender has events of an epoch that another one's ended: two processes had one name, and the one that was
// refused is back, or an outbox was put back from a copy.  They come too late for their place in the order, so what
// the log does not have is named.
Intake::Verdict Intake::judge_ended_epoch(Source& source, const ReceivedBatch& batch, const BatchEntry& entry) {
  source.offered = batch.entries.back().order;
  const auto end = end_of(source, entry.order.epoch);
  if (!end || entry.order.sequence <= *end) return Verdict::kKnown;
  const auto previous = previous_of(entry);
  const bool follows = entry.order.sequence == *end + 1 && (!previous || settled(source, *previous));
  if (!follows && batch.header.oldest < entry.order) return Verdict::kGap;
  if (!follows && previous) name_rest(source, batch.header.producer, *previous, "outbox_lost");
  name_rest(source, batch.header.producer, batch.entries.back().order, "fenced");
  return Verdict::kKnown;
}

Intake::Verdict Intake::judge_new_epoch(Source& source, const BatchHeader& header, const BatchEntry& entry) {
  const auto previous = previous_of(entry);
  if (previous && settled(source, *previous)) {
    if (*previous == EventOrder{} && source.taken != EventOrder{}) {
      add_unknown_rest(source, header.producer, is_as_restored(source) ? "restored" : "outbox_lost");
    }
    return Verdict::kAppend;
  }
  if (header.oldest < entry.order) return Verdict::kGap;
  if (may_still_fill(source, previous.value_or(entry.order))) return Verdict::kGap;
  if (is_as_restored(source) && (!previous || previous->epoch != source.taken.epoch)) {
    add_unknown_rest(source, header.producer, "restored");
  }
  if (previous) {
    name_rest(source, header.producer, *previous, "outbox_lost");
  } else if (entry.order.sequence > 1) {
    add_hole(source, header.producer, {entry.order.epoch, 1}, {entry.order.epoch, entry.order.sequence - 1},
             "outbox_lost");
  }
  return Verdict::kAppend;
}

void Intake::append(Source& source, const BatchHeader& header, const BatchEntry& entry, const std::string& topic) {
  if (entry.order.epoch != source.taken.epoch) source.ended_now[source.taken.epoch] = source.taken.sequence;
  source.taken = entry.order;
  source.wants_resend = false;
  auto rejection = schema::EventRejectedT{};
  if (!entry.envelope) {
    const bool unknown = entry.envelope.error().code == Errc::kIncompatible;
    const bool large = entry.envelope.error().code == Errc::kTooLarge;
    rejection = rejection_of(unknown ? "unknown_type"
                             : large ? "too_large"
                                     : "malformed_event",
                             entry.envelope.error().context);
  } else if (auto reason = misplaced(header, entry); !reason.empty()) {
    rejection = rejection_of("misplaced_event", std::move(reason));
  } else {
    appended_.add();
    return add(*entry.envelope);
  }
  // The number is used up: the stream behind it goes on, and the rejection stands in its place.
  rejection.producer = header.producer;
  rejection.epoch = entry.order.epoch;
  rejection.sequence = entry.order.sequence;
  reject(topic, std::move(rejection), entry.bytes, false);
}

void Intake::ask_resend(const std::string& producer, Source& source) {
  const MonotonicTime now = clock_.monotonic();
  const bool same = source.wants_resend && source.resend_asked_at == source.taken;
  if (same && now - source.resend_asked < options_.repeat_resend) return;
  source.wants_resend = true;
  source.resend_asked_at = source.taken;
  source.resend_asked = now;
  to_confirm_.insert(producer);
}

void Intake::add(Envelope envelope) {
  group_bytes_ += envelope.bytes().size();
  group_has_facts_ |= envelope.family() == Family::kFact;
  group_.push_back(std::move(envelope));
}

Result<Envelope> Intake::build_hub_event(EventDraft draft, uint64_t sequence) const {
  if (draft.observed_at == WallTime{}) draft.observed_at = clock_.wall();
  return Envelope::build({std::string(kHubProducer), hub_epoch_, sequence}, draft);
}

Result<void> Intake::take_hub_events(std::vector<EventDraft> drafts) {
  std::vector<Envelope> envelopes;
  for (EventDraft& draft : drafts) {
    auto envelope = build_hub_event(std::move(draft), hub_taken_ + envelopes.size() + 1);
    if (!envelope) return envelope.error();
    envelopes.push_back(std::move(*envelope));
  }
  hub_taken_ += envelopes.size();
  for (Envelope& envelope : envelopes) add(std::move(envelope));
  return {};
}

void Intake::add_hub_event(EventDraft draft) {
  auto envelope = build_hub_event(std::move(draft), hub_taken_ + 1);
  if (!envelope) {
    log_error("recorder", "an event of the hub cannot be built: {}", envelope.error().message());
    return;
  }
  hub_taken_ += 1;
  add(std::move(*envelope));
}

// Nothing of it arrived since the restore; of a producer that the backup does not know, epochs tell the time.
bool Intake::was_restored(const Source& source, EventOrder from) const {
  if (source.restored) return is_as_restored(source);
  return restored_at_ && source.taken == EventOrder{} &&
         from.epoch <= static_cast<uint64_t>(to_unix_us(*restored_at_) / 1000);
}

bool Intake::may_still_fill(Source& source, EventOrder from) const {
  if (!was_restored(source, from)) return false;
  const MonotonicTime now = clock_.monotonic();
  if (!source.hole_seen) source.hole_seen = now;
  return now - *source.hole_seen < options_.restored_patience;
}

void Intake::add_hole(const Source& source, const std::string& producer, EventOrder from, EventOrder to,
                      const std::string& reason) {
  schema::EventsDroppedT dropped;
  dropped.producer = producer;
  dropped.epoch = to.epoch;
  dropped.from_sequence = from.sequence;
  dropped.to_sequence = to.sequence;
  dropped.count = to.sequence - from.sequence + 1;
  dropped.reason = reason == "outbox_lost" && was_restored(source, from) ? "restored" : reason;
  log_warn("recorder", "events {} to {} of '{}' (epoch {}) will never come ({}): recorded as dropped", from.sequence,
           to.sequence, producer, to.epoch, dropped.reason);
  lost_.add(static_cast<double>(dropped.count));
  add_hub_event(draft_of(std::move(dropped), is_valid_machine_id(producer) ? producer : "", clock_.wall()));
}

// A restored log may miss the end of an epoch and whole epochs behind it: where that began is known, not how much it
// was.
// Behind a copy of the log nothing of it has arrived yet.
bool Intake::is_as_restored(const Source& source) { return source.restored && *source.restored == source.taken; }

// What it had behind the last event that arrived is gone, and nobody knows how much that was.
void Intake::add_unknown_rest(const Source& source, const std::string& producer, const std::string& reason) {
  schema::EventsDroppedT dropped;
  dropped.producer = producer;
  dropped.epoch = source.taken.epoch;
  dropped.from_sequence = source.taken.sequence + 1;
  dropped.reason = reason;
  log_warn("recorder", "what '{}' had behind {} of epoch {}, if anything, will never come ({}): recorded", producer,
           source.taken.sequence, source.taken.epoch, reason);
  add_hub_event(draft_of(std::move(dropped), is_valid_machine_id(producer) ? producer : "", clock_.wall()));
}

void Intake::reject(const std::string& topic, schema::EventRejectedT rejection, std::string_view bytes, bool limited) {
  rejected_.add();
  if (!rejections_.contains(topic) && rejections_.size() >= options_.max_producers) rejections_.clear();
  Rejections& seen = rejections_[topic];
  const MonotonicTime now = clock_.monotonic();
  if (now - seen.window_begin >= std::chrono::minutes(1)) seen.window_begin = now, seen.in_window = 0;
  if (limited && ++seen.in_window > options_.max_rejections_per_minute) {
    seen.suppressed += 1;
    return;
  }
  const size_t kept = rejection.reason == "unknown_type" ? kUnknownBytesKept : kRejectedBytesKept;
  rejection.topic = topic.substr(0, kMaxTopicKept);
  rejection.size = bytes.size();
  rejection.bytes.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(std::min(kept, bytes.size())));
  rejection.suppressed = std::exchange(seen.suppressed, 0);
  log_warn("recorder", "rejected on '{}': {}: {}", topic, rejection.reason, rejection.detail);
  const std::string machine = is_valid_machine_id(rejection.producer) ? rejection.producer : "";
  add_hub_event(draft_of(std::move(rejection), machine, clock_.wall()));
}

std::vector<ProducerMark> Intake::marks() const {
  std::vector<ProducerMark> marks;
  for (const auto& producer : touched_) marks.push_back({producer, sources_.at(producer).taken});
  if (hub_taken_ != hub_durable_) marks.push_back({std::string(kHubProducer), {hub_epoch_, hub_taken_}});
  return marks;
}

std::vector<ProducerMark> Intake::ended() const {
  std::vector<ProducerMark> ended;
  for (const auto& producer : touched_) {
    for (const auto& [epoch, sequence] : sources_.at(producer).ended_now)
      ended.push_back({producer, {epoch, sequence}});
  }
  return ended;
}

void Intake::committed() {
  for (const auto& producer : touched_) {
    Source& source = sources_.at(producer);
    source.durable = source.taken;
    source.unrecorded_since.reset();
    for (const auto& [epoch, sequence] : source.ended_now) source.ended[epoch] = sequence;
    source.ended_now.clear();
    while (source.ended.size() > options_.max_ended_epochs) source.ended.erase(source.ended.begin());
    to_confirm_.insert(producer);
  }
  hub_durable_ = hub_taken_;
  touched_.clear();
  group_.clear();
  group_bytes_ = 0;
  group_has_facts_ = false;
}

void Intake::failed() {
  for (const auto& producer : touched_) {
    Source& source = sources_.at(producer);
    source.taken = source.durable;
    source.ended_now.clear();
    source.offered.reset();
    source.wants_resend = true;
    to_confirm_.insert(producer);
  }
  hub_taken_ = hub_durable_;
  touched_.clear();
  group_.clear();
  group_bytes_ = 0;
  group_has_facts_ = false;
}

// The present sender waits for the events of its former epochs before it sends those of its own.
EventOrder Intake::answer_of(Source& source) {
  if (!source.offered) return source.durable;
  const EventOrder offered = *source.offered;
  const auto ended = source.ended.find(offered.epoch);
  const bool forgotten = !end_of(source, offered.epoch);
  if (ended == source.ended.end() && !forgotten) return source.durable;  // not yet durable
  source.offered.reset();
  return forgotten ? offered : EventOrder{offered.epoch, ended->second};
}

std::map<std::string, Confirmation> Intake::take_confirmations() {
  std::map<std::string, Confirmation> confirmations;
  for (const auto& producer : to_confirm_) {
    Source& source = sources_.at(producer);
    const bool fenced = std::exchange(source.fenced, false);
    Confirmation confirmation{incarnation_, fenced ? source.durable : answer_of(source), Confirmation::Status::kOk};
    if (source.wants_resend) confirmation.status = Confirmation::Status::kResend;
    if (fenced) confirmation.status = Confirmation::Status::kFenced;
    confirmations.emplace(producer, std::move(confirmation));
  }
  to_confirm_.clear();
  return confirmations;
}

std::vector<ProducerProgress> Intake::progress() const {
  std::vector<ProducerProgress> progress;
  for (const auto& [producer, source] : sources_) {
    if (source.heard) progress.push_back({producer, source.waiting, *source.heard, source.unrecorded_since});
  }
  return progress;
}

void Intake::repeat_all() {
  for (auto& [producer, source] : sources_) {
    source.wants_resend = true;
    to_confirm_.insert(producer);
  }
}

}  // namespace millrace
