// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "bus/sensor_names.h"
#include "projections/bucket_sums.h"
#include "projections/telemetry_history.h"
#include "projections/telemetry_history_keys.h"
#include "projections/telemetry_open_minute.h"
#include "projections/telemetry_sight.h"

namespace millrace {
namespace {

Error damaged(std::string_view what) {
  return make_error(Errc::kCorrupt, fmt::format("telemetry_history: a record of {}", what));
}

using OpenMinutes = std::array<OpenMinute, 2>;  // of the machine itself, of its sensors

Result<OpenMinutes> read_open(const ViewReader& reader, std::string_view machine) {
  OpenMinutes open;
  for (const bool of_sensors : {false, true}) {
    const auto stored = reader.get(kTelemetryHistoryView, telemetry_keys::open_minute(machine, of_sensors));
    if (!stored) return stored.error();
    if (*stored && !OpenMinute::decode(**stored, open[of_sensors ? 1 : 0])) return damaged(machine);
  }
  return open;
}

// Puts minutes, which come in ascending order, into the buckets of a range.
class MinuteBuckets {
 public:
  explicit MinuteBuckets(const TelemetryRange& range) : range_(range), sums_(range.buckets) {}

  // Whether `minute` lies within the range; add() then means its bucket.
  bool covers(int64_t minute) {
    if (minute < range_.from || minute >= range_.to()) return false;
    if (minute < begin_ || minute >= begin_ + range_.step) {
      at_ = static_cast<size_t>((minute - range_.from) / range_.step);
      begin_ = range_.from + static_cast<int64_t>(at_) * range_.step;
    }
    return true;
  }
  void add(double minimum, double mean, double maximum, double length_ms) {
    sums_.add(at_, minimum, mean, maximum, length_ms);
  }

  SignalColumns take() { return sums_.take(); }

 private:
  const TelemetryRange range_;
  BucketSums sums_;
  size_t at_ = 0;
  int64_t begin_ = std::numeric_limits<int64_t>::min() / 2;
};

}  // namespace

struct TelemetryReader::Impl {
  struct Change {
    int64_t at_ms;  // Unix
    Sight sight;
  };

  const ViewReader& reader;
  std::string machine;
  TelemetryRange range;
  int64_t first_hour = 0;  // of what is looked at: what held before the range is looked for too
  int64_t last_hour = 0;
  OpenMinutes open;
  std::vector<HeardMinutes> heard;  // by hour from first_hour
  std::vector<Change> changes;

  Impl(const ViewReader& view, std::string id, const TelemetryRange& wanted)
      : reader(view), machine(std::move(id)), range(wanted) {
    first_hour = std::max<int64_t>((range.from - kLongestHoldMinutes) / kMinutesPerHour, 0);
    last_hour = std::max<int64_t>((range.to() - 1) / kMinutesPerHour, first_hour);
    heard.resize(static_cast<size_t>(last_hour - first_hour + 1));
  }

  Result<void> load() {
    auto read = read_open(reader, machine);
    if (!read) return read.error();
    open = std::move(*read);
    bool whole = true;
    const KeyRange hours{telemetry_keys::heard_at(machine, first_hour),
                         telemetry_keys::heard_at(machine, last_hour + 1)};
    auto scanned = reader.scan(kTelemetryHistoryView, hours, [&](std::string_view key, std::string_view value) {
      HeardMinutes minutes;
      whole = decode_heard(value, minutes);
      HeardMinutes& hour = heard[static_cast<size_t>(telemetry_keys::hour_in(key, 1) - first_hour)];
      hour.heard |= minutes.heard;
      hour.full |= minutes.full;
      return whole;
    });
    if (!scanned) return scanned.error();
    if (!whole) return damaged(machine);
    hear(open[0]);
    return load_changes();
  }

  void hear(const OpenMinute& minute) {
    const int64_t hour = minute.minute / kMinutesPerHour;
    if (minute.minute < 0 || hour < first_hour || hour > last_hour) return;
    HeardMinutes& minutes = heard[static_cast<size_t>(hour - first_hour)];
    minutes.heard |= uint64_t{minute.heard} << (minute.minute % kMinutesPerHour);
    minutes.full |= uint64_t{minute.full} << (minute.minute % kMinutesPerHour);
  }

  Result<void> load_changes() {
    bool whole = true;
    const KeyRange hours{telemetry_keys::sight(machine, first_hour), telemetry_keys::sight(machine, last_hour + 1)};
    auto scanned = reader.scan(kTelemetryHistoryView, hours, [&](std::string_view key, std::string_view value) {
      std::vector<SightChange> found;
      whole = decode_sight(value, found);
      const int64_t begin_ms = telemetry_keys::hour_in(key, 0) * kMinutesPerHour * kMinuteMs;
      for (const SightChange& change : found) changes.push_back({begin_ms + change.at_ms, change.sight});
      return whole;
    });
    if (!scanned) return scanned.error();
    if (!whole) return damaged(machine);
    return {};
  }
};

namespace {

// Goes through the minutes of one signal in order, and lets what held fill what no value tells.
class SignalWalk {
 public:
  SignalWalk(const TelemetryReader::Impl& machine, std::string_view object, std::string_view field)
      : machine_(machine),
        object_(object),
        of_sensor_(is_sensor_object(object)),
        longest_(of_sensor_ ? kLongestSensorHoldMinutes : kLongestHoldMinutes),
        buckets_(machine.range),
        next_hour_(machine.first_hour) {
    const OpenMinute& open = machine.open[of_sensor_ ? 1 : 0];
    const auto found = open.signals.find(std::pair{object, field});
    if (found == open.signals.end()) return;
    open_minute_ = open.minute;
    open_ = found->second.bucket(open.seen_ms);
  }

  // Both layers of each hour, in ascending order.
  bool record(int64_t hour, char layer, std::string_view bytes) {
    if (hour != hour_) finish_hour();
    hour_ = hour;
    return HourOfMinutes::decode(bytes, layer == telemetry_keys::kSamples ? samples_ : summaries_);
  }

  void finish() {
    finish_hour();
    go_to(machine_.last_hour + 1);
    if (!at_end_known_) note_end();
  }
  SignalColumns take() {
    finish();
    return buckets_.take();
  }
  // After finish().
  std::optional<HeldValue> held_at_end() const { return held_at_end_; }

 private:
  void finish_hour() {
    if (hour_ < 0) return;
    go_to(hour_);
    walk_hour(hour_);
    next_hour_ = hour_ + 1;
    samples_ = summaries_ = {};
    hour_ = -1;
  }

  // Hours without a record, but for the minute under way.
  void go_to(int64_t hour) {
    while (next_hour_ < hour) {
      const bool open_here = open_minute_ / kMinutesPerHour == next_hour_ && open_minute_ >= 0;
      if (held_ || open_here) {
        walk_hour(next_hour_++);
      } else {
        const int64_t open_hour = open_minute_ / kMinutesPerHour;
        next_hour_ = open_minute_ >= 0 && open_hour > next_hour_ ? std::min(hour, open_hour) : hour;
      }
    }
  }

  void walk_hour(int64_t hour) {
    const HeardMinutes heard = machine_.heard[static_cast<size_t>(hour - machine_.first_hour)];
    for (size_t i = 0; i < kMinutesPerHour; ++i) {
      const int64_t minute = hour * kMinutesPerHour + static_cast<int64_t>(i);
      if (minute == machine_.range.to()) note_end();
      const bool open_here = minute == open_minute_;
      if (summaries_.has(i) || samples_.has(i) || open_here) {
        told(minute, i, open_here);
      } else if (held_) {
        const bool known = of_sensor_ || (heard.heard >> i & 1u) != 0;
        if ((heard.full >> i & 1u) != 0 && !of_sensor_) held_ = false;
        fill(minute, kMinuteMs, known);
      }
    }
  }

  void note_end() {
    at_end_known_ = true;
    if (held_ && machine_.range.to() - since_minute_ <= longest_) held_at_end_ = HeldValue{value_, since_minute_};
  }

  // What a summary tells includes what held before it; what samples tell begins with the first of them.
  void told(int64_t minute, size_t i, bool open_here) {
    const bool wanted = buckets_.covers(minute);
    bool holds = false;
    uint32_t first_ms = kMinuteMs;
    if (summaries_.has(i)) first_ms = 0;
    if (samples_.has(i)) first_ms = std::min(first_ms, samples_.at(i).first_ms);
    if (open_here) first_ms = std::min(first_ms, open_.first_ms);
    if (held_ && first_ms > 0) fill(minute, first_ms, true);
    const auto add = [&](const MinuteBucket& bucket) {
      if (wanted) {
        buckets_.add(bucket.minimum, bucket.mean, bucket.maximum, std::max<uint32_t>(bucket.covered_ms, 1));
      }
      value_ = bucket.last;
    };
    if (summaries_.has(i)) {
      add(summaries_.at(i));
      holds = summaries_.at(i).covered_ms == kMinuteMs || !lost_at_end_of(minute);
    }
    if (samples_.has(i)) {
      add(samples_.at(i));
      holds = samples_.at(i).holds;
    }
    if (open_here) {
      add(open_);
      holds = open_.holds;
    }
    held_ = holds;
    since_minute_ = minute;
    skip_changes((minute + 1) * kMinuteMs);
  }

  // What holds, from the beginning of the minute; it ends where the machine is lost.
  void fill(int64_t minute, int64_t length_ms, bool known) {
    if (minute - since_minute_ > longest_) held_ = false;
    if (!held_) return;
    const int64_t begin_ms = minute * kMinuteMs;
    const int64_t end_ms = next_end(begin_ms + length_ms);
    if (end_ms < begin_ms + length_ms) held_ = false;
    const int64_t filled_ms = std::max<int64_t>(std::min(end_ms, begin_ms + length_ms) - begin_ms, 0);
    if (known && filled_ms > 0 && buckets_.covers(minute)) {
      buckets_.add(value_, value_, value_, static_cast<double>(filled_ms));
    }
  }

  // When the signal ends before `before_ms`; `before_ms` when it does not.
  int64_t next_end(int64_t before_ms) {
    for (; next_change_ < machine_.changes.size() && machine_.changes[next_change_].at_ms < before_ms; ++next_change_) {
      const auto& change = machine_.changes[next_change_];
      if (ends(change.sight, object_)) return machine_.changes[next_change_++].at_ms;
    }
    return before_ms;
  }
  void skip_changes(int64_t before_ms) {
    while (next_change_ < machine_.changes.size() && machine_.changes[next_change_].at_ms < before_ms) ++next_change_;
  }

  // Whether the last change within the minute took the machine, or Klipper, from sight.
  bool lost_at_end_of(int64_t minute) const {
    bool lost = false;
    for (size_t i = next_change_; i < machine_.changes.size() && machine_.changes[i].at_ms < (minute + 1) * kMinuteMs;
         ++i) {
      const Sight sight = machine_.changes[i].sight;
      if (machine_.changes[i].at_ms < minute * kMinuteMs) continue;
      lost = sight != Sight::kFound && ends(sight, object_);
    }
    return lost;
  }

  const TelemetryReader::Impl& machine_;
  const std::string_view object_;
  const bool of_sensor_;
  const int64_t longest_;
  MinuteBuckets buckets_;
  HourOfMinutes samples_, summaries_;
  int64_t hour_ = -1;
  int64_t next_hour_;
  int64_t open_minute_ = -1;
  MinuteBucket open_;
  bool held_ = false;
  double value_ = 0;
  int64_t since_minute_ = 0;
  size_t next_change_ = 0;
  bool at_end_known_ = false;
  std::optional<HeldValue> held_at_end_;
};

Result<void> walk_through(const TelemetryReader::Impl& machine, SignalWalk& walk, std::string_view object,
                          std::string_view field) {
  const std::string key = telemetry_keys::signal(machine.machine, object, field);
  bool whole = true;
  const KeyRange hours{telemetry_keys::minutes(key, machine.first_hour, '\0'),
                       telemetry_keys::minutes(key, machine.last_hour + 1, '\0')};
  auto scanned = machine.reader.scan(kTelemetryHistoryView, hours, [&](std::string_view found, std::string_view value) {
    whole = walk.record(telemetry_keys::hour_in(found, 1), found.back(), value);
    return whole;
  });
  if (!scanned) return scanned.error();
  if (!whole) return damaged(fmt::format("{} {}", object, field));
  return {};
}

}  // namespace

TelemetryReader::TelemetryReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TelemetryReader::TelemetryReader(TelemetryReader&&) noexcept = default;
TelemetryReader::~TelemetryReader() = default;

Result<TelemetryReader> TelemetryReader::open(const ViewReader& reader, std::string machine,
                                              const TelemetryRange& range) {
  auto impl = std::make_unique<Impl>(reader, std::move(machine), range);
  if (auto loaded = impl->load(); !loaded) return loaded.error();
  return TelemetryReader(std::move(impl));
}

Result<SignalColumns> TelemetryReader::read(std::string_view object, std::string_view field) const {
  SignalWalk walk(*impl_, object, field);
  if (auto walked = walk_through(*impl_, walk, object, field); !walked) return walked.error();
  return walk.take();
}

Result<std::optional<HeldValue>> TelemetryReader::held(std::string_view object, std::string_view field) const {
  SignalWalk walk(*impl_, object, field);
  if (auto walked = walk_through(*impl_, walk, object, field); !walked) return walked.error();
  walk.finish();
  return walk.held_at_end();
}

Result<uint64_t> known_minutes(const ViewReader& reader, std::string_view machine, std::string_view object,
                               std::string_view field, int64_t hour) {
  uint64_t known = 0;
  const std::string key = telemetry_keys::signal(machine, object, field);
  for (const char layer : {telemetry_keys::kSamples, telemetry_keys::kSummaries}) {
    const auto stored = reader.get(kTelemetryHistoryView, telemetry_keys::minutes(key, hour, layer));
    if (!stored) return stored.error();
    HourOfMinutes minutes;
    if (*stored && !HourOfMinutes::decode(**stored, minutes)) return damaged(fmt::format("{} {}", object, field));
    for (size_t i = 0; i < kMinutesPerHour; ++i) known |= uint64_t{minutes.has(i)} << i;
  }
  const auto stored = reader.get(kTelemetryHistoryView, telemetry_keys::heard(machine, hour, telemetry_keys::kSamples));
  if (!stored) return stored.error();
  HeardMinutes heard;
  if (*stored && !decode_heard(**stored, heard)) return damaged(machine);
  return known | heard.heard;
}

Result<std::vector<RecordedSignal>> list_signals(const ViewReader& reader, std::string_view machine) {
  const auto open = read_open(reader, machine);
  if (!open) return open.error();
  std::map<SignalKey, RecordedSignal, SignalKeyOrder> signals;
  const std::string prefix = telemetry_keys::signals_of(machine);
  KeyRange rest = KeyRange::prefix(prefix);
  bool whole = true;
  while (whole) {
    std::string key;
    const auto first = reader.scan(kTelemetryHistoryView, rest, [&](std::string_view found, std::string_view) {
      key = found;
      return false;
    });
    if (!first) return first.error();
    if (key.empty()) break;
    const size_t object_end = key.find('\0', prefix.size());
    const size_t field_end = key.find('\0', object_end + 1);
    KeyRange of_signal = KeyRange::prefix(key.substr(0, field_end + 1));
    rest.from = of_signal.to;
    RecordedSignal signal;
    signal.object = key.substr(prefix.size(), object_end - prefix.size());
    signal.field = key.substr(object_end + 1, field_end - object_end - 1);
    of_signal.backwards = true;
    const auto last =
        reader.scan(kTelemetryHistoryView, of_signal, [&](std::string_view found, std::string_view value) {
          HourOfMinutes hour;
          whole = HourOfMinutes::decode(value, hour);
          const int64_t begin = telemetry_keys::hour_in(found, 1) * kMinutesPerHour;
          for (size_t i = 0; i < kMinutesPerHour; ++i) {
            if (!hour.has(i)) continue;
            signal.last = hour.at(i).last;
            signal.last_minute = begin + static_cast<int64_t>(i);
          }
          return false;
        });
    if (!last) return last.error();
    signals[{signal.object, signal.field}] = signal;
  }
  if (!whole) return damaged(machine);
  for (const OpenMinute& minute : *open) {
    for (const auto& [name, signal] : minute.signals) {
      signals[name] = {name.first, name.second, signal.last, minute.minute};
    }
  }
  std::vector<RecordedSignal> listed;
  for (auto& [name, signal] : signals) listed.push_back(std::move(signal));
  return listed;
}

}  // namespace millrace
