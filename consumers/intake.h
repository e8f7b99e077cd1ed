// SPDX-License-Identifier: Apache-2.0
// Decides what becomes of each received event: appended, dropped as known, held back by a gap, refused, or rejected
// with an event that says so.  Pure: no thread, no broker, no log.
//
//   take() any number of batches -> group() is what to append -> committed() or failed() -> confirmations().
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bus/batch.h"
#include "bus/clock.h"
#include "bus/confirmation.h"
#include "bus/event_log.h"
#include "bus/metrics.h"
#include "consumers/backlog_watch.h"

namespace millrace {

struct IntakeOptions {
  size_t max_producers = 4096;
  size_t max_ended_epochs = 64;           // remembered of each producer; an event of an older one counts as known
  size_t max_rejections_per_minute = 10;  // written as events, per source; further ones are counted in the next
  std::chrono::milliseconds repeat_resend{250};
  // So long a producer is asked for what a restored log lacks before the hole is named: it may not have heard yet that
  // another log is there, and offers what it still has once it does.
  std::chrono::milliseconds restored_patience{3'000};
};

class Intake {
 public:
  // Begins where the log stands.  `clock` and `metrics` outlive the intake.
  Intake(IntakeOptions options, const LogInfo& log, const Clock& clock, Metrics& metrics);

  // One received MQTT payload.  `producer` and `topic` are those it arrived on.
  void take(const std::string& producer, const std::string& topic, std::string_view payload);

  // Events born in the hub (decision 7), numbered behind those that are there.  kTooLarge names the one that cannot be;
  // nothing is taken then.
  Result<void> take_hub_events(std::vector<EventDraft> drafts);

  // What to append now, in order; empty when there is nothing.
  const std::vector<Envelope>& group() const { return group_; }
  size_t group_bytes() const { return group_bytes_; }
  bool group_has_facts() const { return group_has_facts_; }
  std::vector<ProducerMark> marks() const;
  std::vector<ProducerMark> ended() const;  // epochs that end with this group

  // The group is durable.
  void committed();
  // Nothing of the group was appended, or it is not known: forget it; producers are asked to send it again.
  void failed();
  // The log was opened again: go on from where it stands.  Precondition: no group is held.
  void resume(const LogInfo& log);

  // What to say now, and to whom.  Each is given once; give it back with repeat() when it could not be published.
  std::map<std::string, Confirmation> take_confirmations();
  void repeat(const std::string& producer) { to_confirm_.insert(producer); }
  // Of every producer that was heard of since this began.
  std::vector<ProducerProgress> progress() const;
  // Every known producer is asked for what comes after its confirmation: some of it may have been missed.
  void repeat_all();

 private:
  struct Source {  // one producer
    EventOrder durable;
    EventOrder taken;  // durable + what is in the group
    // Superseded epochs -> the last sequence of each that is in the log or named as dropped.  {0, 0} is among them when
    // the producer is known from its first event on.
    std::map<uint64_t, uint64_t> ended;
    std::map<uint64_t, uint64_t> ended_now;  // changed by the group
    std::optional<EventOrder> restored;      // its mark in the backup that the log was restored from
    std::optional<MonotonicTime> hole_seen;  // behind that mark, first
    bool wants_resend = false;
    bool fenced = false;                // an older epoch spoke
    std::optional<EventOrder> offered;  // of an ended epoch, by the present sender: what became of it is to be said
    EventOrder resend_asked_at;
    MonotonicTime resend_asked{};
    uint64_t waiting = 0;                           // in its outbox, as its last batch said
    std::optional<MonotonicTime> heard;             // its last batch that could be read
    std::optional<MonotonicTime> unrecorded_since;  // heard since then, and nothing of it is in the log yet
  };
  struct Rejections {
    MonotonicTime window_begin{};
    size_t in_window = 0;
    uint64_t suppressed = 0;
  };
  enum class Verdict { kAppend, kKnown, kGap, kFenced };

  Verdict judge(Source& source, const ReceivedBatch& batch, const BatchEntry& entry);
  Verdict judge_ended_epoch(Source& source, const ReceivedBatch& batch, const BatchEntry& entry);
  Verdict judge_new_epoch(Source& source, const BatchHeader& header, const BatchEntry& entry);
  static std::optional<uint64_t> end_of(const Source& source, uint64_t epoch);
  static EventOrder answer_of(Source& source);
  static bool settled(const Source& source, EventOrder order);
  static std::optional<EventOrder> previous_of(const BatchEntry& entry);
  void name_rest(Source& source, const std::string& producer, EventOrder last, const std::string& reason);
  void append(Source& source, const BatchHeader& header, const BatchEntry& entry, const std::string& topic);
  void ask_resend(const std::string& producer, Source& source);
  void add(Envelope envelope);
  void add_hole(const Source& source, const std::string& producer, EventOrder from, EventOrder to,
                const std::string& reason);
  void add_unknown_rest(const Source& source, const std::string& producer, const std::string& reason);
  static bool is_as_restored(const Source& source);
  bool was_restored(const Source& source, EventOrder from) const;
  bool may_still_fill(Source& source, EventOrder from) const;
  void reject(const std::string& topic, schema::EventRejectedT rejection, std::string_view bytes, bool limited);
  void add_hub_event(EventDraft draft);
  Result<Envelope> build_hub_event(EventDraft draft, uint64_t sequence) const;

  const IntakeOptions options_;
  const std::string incarnation_;
  const uint64_t hub_epoch_;
  const std::optional<WallTime> restored_at_;
  const Clock& clock_;
  Counter& appended_;
  Counter& duplicate_;
  Counter& gap_;
  Counter& fenced_;
  Counter& lost_;
  Counter& rejected_;

  std::map<std::string, Source> sources_;
  std::map<std::string, Rejections> rejections_;  // by topic
  std::vector<Envelope> group_;
  size_t group_bytes_ = 0;
  bool group_has_facts_ = false;
  std::set<std::string> touched_;  // producers with events in the group
  std::set<std::string> to_confirm_;
  uint64_t hub_durable_ = 0;
  uint64_t hub_taken_ = 0;
};

}  // namespace millrace
