// SPDX-License-Identifier: Apache-2.0
#include "projections/telemetry_samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "bus/sensor_names.h"
#include "projections/bucket_sums.h"
#include "projections/telemetry_minutes.h"
#include "projections/telemetry_open_minute.h"
#include "projections/telemetry_sight.h"

namespace millrace {
namespace {

constexpr int64_t kHourMs = kMinutesPerHour * kMinuteMs;
// The observer's clock may be so far ahead of the hub's: a sample is then recorded before it was observed.
constexpr int64_t kClockSlackMs = 2 * kMinuteMs;
// An adapter without a broker keeps its samples; they come later, in its own order.
constexpr int64_t kLateMs = 12 * kHourMs;
// Of a value that held for no time: it counts, and weighs nothing beside one that did.
constexpr double kInstantMs = 1e-3;
constexpr size_t kEventsAtOnce = 4'000;
constexpr size_t kScannedAtOnce = 100'000;

WallTime time_of(int64_t ms) { return from_unix_us(ms * 1000); }

// A value and how long it held.
struct Span {
  int64_t begin_ms;
  int64_t end_ms;
  double value;
};

// Puts spans into the buckets of a range.
class SpanBuckets {
 public:
  explicit SpanBuckets(const SampleRange& range) : range_(range), sums_(range.buckets) {}

  // What lies outside of the range is left out.
  void add(const Span& span) {
    if (span.begin_ms == span.end_ms) {
      if (span.begin_ms >= range_.from_ms && span.begin_ms < range_.to_ms()) {
        add_to(bucket_of(span.begin_ms), span.value, kInstantMs);
      }
      return;
    }
    int64_t at_ms = std::max(span.begin_ms, range_.from_ms);
    const int64_t end_ms = std::min(span.end_ms, range_.to_ms());
    while (at_ms < end_ms) {
      const size_t bucket = bucket_of(at_ms);
      const int64_t next_ms = std::min(end_ms, range_.from_ms + static_cast<int64_t>(bucket + 1) * range_.step_ms);
      add_to(bucket, span.value, static_cast<double>(next_ms - at_ms));
      at_ms = next_ms;
    }
  }

  SignalColumns take() { return sums_.take(); }

 private:
  size_t bucket_of(int64_t at_ms) const { return static_cast<size_t>((at_ms - range_.from_ms) / range_.step_ms); }
  void add_to(size_t bucket, double value, double length_ms) { sums_.add(bucket, value, value, value, length_ms); }

  const SampleRange range_;
  BucketSums sums_;
};

// One signal on its way through the samples.
struct Walk {
  std::string_view object;
  bool of_sensor = false;
  bool holds = false;
  bool instant = false;  // it was told at `since_ms`, and did not only hold then
  double value = 0;
  int64_t since_ms = 0;
  int64_t since_minute = 0;
  uint64_t named_in = 0;  // number of the last sample that named it
  std::vector<Span> spans;

  void hold(const HeldValue& held, int64_t from_ms) {
    holds = true;
    value = held.value;
    since_ms = from_ms;
    since_minute = held.since_minute;
  }
  void observe(double observed, int64_t at_ms) {
    end_at(at_ms);
    holds = instant = true;
    value = observed;
    since_ms = at_ms;
    since_minute = at_ms / kMinuteMs;
  }
  void end_at(int64_t at_ms) {
    if (!holds) return;
    const int64_t longest = of_sensor ? kLongestSensorHoldMinutes : kLongestHoldMinutes;
    const int64_t end_ms = std::max(since_ms, std::min(at_ms, (since_minute + longest + 1) * kMinuteMs));
    if (end_ms > since_ms || instant) spans.push_back({since_ms, end_ms, value});
    holds = instant = false;
  }
};

// The samples and facts of one machine, in the order of the log.
class SampleFold {
 public:
  SampleFold(int64_t begin_ms, int64_t end_ms, std::span<const SignalRef> signals)
      : begin_ms_(begin_ms), end_ms_(end_ms), walks_(signals.size()) {
    heard_.resize(static_cast<size_t>((end_ms - begin_ms) / kMinuteMs));
    for (size_t i = 0; i < signals.size(); ++i) {
      walks_[i].object = signals[i].object;
      walks_[i].of_sensor = is_sensor_object(signals[i].object);
      places_.emplace(SignalKey(signals[i].object, signals[i].field), i);
      (walks_[i].of_sensor ? sensors_wanted_ : machine_wanted_) = true;
    }
  }

  std::vector<Walk>& walks() { return walks_; }

  void add(const Envelope& envelope) {
    const int64_t at_ms = to_unix_us(envelope.observed_at()) / 1000;
    const bool of_sensors = envelope.producer() == kSensorsProducer;
    if (at_ms >= end_ms_) {
      (of_sensors ? sensors_passed_ : machine_passed_) = true;
      return;
    }
    if (at_ms < begin_ms_) return;
    if (const auto* sampled = envelope.as<schema::TelemetrySampled>()) {
      sample(*sampled, of_sensors, at_ms);
    } else if (const auto change = sight_in(envelope)) {
      lose(*change, at_ms);
    }
  }

  // Whether everything of the range was seen, since each producer's samples come in their order.
  bool passed() const { return (!machine_wanted_ || machine_passed_) && (!sensors_wanted_ || sensors_passed_); }

  std::vector<SignalColumns> finish(const SampleRange& range, int64_t now_ms) {
    std::vector<SignalColumns> columns;
    for (Walk& walk : walks_) {
      walk.end_at(std::min({end_ms_, now_ms, walk.of_sensor || machine_passed_ ? end_ms_ : last_heard_ms_}));
      SpanBuckets buckets(range);
      for (const Span& span : walk.spans) add_known(buckets, walk, span);
      columns.push_back(buckets.take());
    }
    return columns;
  }

 private:
  void sample(const schema::TelemetrySampled& sampled, bool of_sensors, int64_t at_ms) {
    if (sampled.signals() == nullptr) return;
    ++sample_;
    if (!of_sensors) {
      heard_[static_cast<size_t>((at_ms - begin_ms_) / kMinuteMs)] = true;
      last_heard_ms_ = std::max(last_heard_ms_, at_ms);
    }
    for (const schema::Signal* signal : *sampled.signals()) {
      if (!(std::fabs(signal->value()) <= kMostTelemetry)) continue;
      const auto text = [](const auto* name) { return name == nullptr ? std::string_view() : name->string_view(); };
      const auto place = places_.find(std::pair{text(signal->object()), text(signal->field())});
      if (place == places_.end()) continue;
      Walk& walk = walks_[place->second];
      walk.observe(signal->value(), at_ms);
      walk.named_in = sample_;
    }
    if (!sampled.full() || of_sensors) return;
    for (Walk& walk : walks_) {
      if (!walk.of_sensor && walk.named_in != sample_) walk.end_at(at_ms);
    }
  }

  // A new connection without a loss before it: nothing is known since the machine was last heard.
  void lose(Sight change, int64_t at_ms) {
    const int64_t until_ms = change == Sight::kFound ? std::min(at_ms, last_heard_ms_) : at_ms;
    for (Walk& walk : walks_) {
      if (ends(change, walk.object)) walk.end_at(until_ms);
    }
  }

  // In minutes in which the machine was not heard at all nothing is known of it.
  void add_known(SpanBuckets& buckets, const Walk& walk, const Span& span) const {
    if (walk.of_sensor || span.begin_ms == span.end_ms) return buckets.add(span);
    for (int64_t at_ms = span.begin_ms; at_ms < span.end_ms;) {
      const int64_t minute = (at_ms - begin_ms_) / kMinuteMs;
      const int64_t next_ms = std::min(span.end_ms, begin_ms_ + (minute + 1) * kMinuteMs);
      if (heard_[static_cast<size_t>(minute)]) buckets.add({at_ms, next_ms, span.value});
      at_ms = next_ms;
    }
  }

  const int64_t begin_ms_;  // of a minute, as is the end
  const int64_t end_ms_;
  std::vector<Walk> walks_;
  std::map<SignalKey, size_t, SignalKeyOrder> places_;
  std::vector<bool> heard_;  // minutes from begin_ms_
  int64_t last_heard_ms_ = 0;
  uint64_t sample_ = 0;
  bool machine_wanted_ = false, sensors_wanted_ = false;
  bool machine_passed_ = false, sensors_passed_ = false;
};

Result<void> hold_from_before(const ViewReader& reader, const std::string& machine, int64_t begin_ms,
                              std::span<const SignalRef> signals, SampleFold& fold) {
  TelemetryRange before;
  before.from = begin_ms / kMinuteMs;
  const auto opened = TelemetryReader::open(reader, machine, before);
  if (!opened) return opened.error();
  for (size_t i = 0; i < signals.size(); ++i) {
    const auto held = opened->held(signals[i].object, signals[i].field);
    if (!held) return held.error();
    if (*held) fold.walks()[i].hold(**held, begin_ms);
  }
  return {};
}

// From the first event that may belong to it to the last one, or until each producer has passed its end.
Result<void> fold_log(const EventLog& log, const std::string& machine, int64_t begin_ms, int64_t end_ms,
                      SampleFold& fold) {
  EventFilter filter;
  filter.machine = machine;
  filter.types = {EventType::TelemetrySampled, EventType::MachineConnected, EventType::MachineDisconnected,
                  EventType::MachineStateChanged};
  const auto first = log.first_at(time_of(std::max<int64_t>(begin_ms - kClockSlackMs, 0)));
  const auto in_time = log.first_at(time_of(end_ms));
  const auto at_last = log.first_at(time_of(end_ms + kLateMs));
  if (!first) return first.error();
  if (!in_time) return in_time.error();
  if (!at_last) return at_last.error();
  if (in_time->value - first->value > kMaxSampleEvents) {
    return make_error(Errc::kTooLarge, fmt::format("{} events of all machines lie in this time: at most {} are read",
                                                   in_time->value - first->value, kMaxSampleEvents));
  }
  const uint64_t end = std::min(at_last->value, first->value + kMaxSampleEvents);
  for (Position after{first->value - 1}; after.value + 1 < end && !fold.passed();) {
    const auto read = log.read(after, {.events = kEventsAtOnce, .scanned = kScannedAtOnce}, filter);
    if (!read) return read.error();
    for (const RecordedEvent& event : read->events) fold.add(event.envelope);
    if (read->at_end || read->through <= after) break;
    after = read->through;
  }
  return {};
}

}  // namespace

Result<int64_t> samples_since_ms(const EventLog& log) {
  const Position removed = log.telemetry_removed_through();
  if (removed.value == 0) return 0;
  if (removed >= log.last()) return std::numeric_limits<int64_t>::max();
  const auto next = log.at(Position{removed.value + 1});
  if (!next) return next.error();
  return to_unix_us(next->recorded_at) / 1000;
}

Result<std::vector<SignalColumns>> read_samples(const ViewReader& reader, const EventLog& log,
                                                const std::string& machine, const SampleRange& range, int64_t now_ms,
                                                std::span<const SignalRef> signals) {
  if (range.step_ms <= 0 || range.from_ms < 0 || range.to_ms() - range.from_ms > kMaxSampleHours * kHourMs) {
    return make_error(Errc::kInvalidArgument, fmt::format("at most {} hours are read from samples", kMaxSampleHours));
  }
  // Whole minutes, by which the view says what held and in which the machine was heard or not.
  const int64_t begin_ms = range.from_ms / kMinuteMs * kMinuteMs;
  const int64_t end_ms = (range.to_ms() + kMinuteMs - 1) / kMinuteMs * kMinuteMs;
  SampleFold fold(begin_ms, end_ms, signals);
  if (auto held = hold_from_before(reader, machine, begin_ms, signals, fold); !held) return held.error();
  if (auto folded = fold_log(log, machine, begin_ms, end_ms, fold); !folded) return folded.error();
  return fold.finish(range, now_ms);
}

}  // namespace millrace
