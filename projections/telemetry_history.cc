// SPDX-License-Identifier: Apache-2.0
#include "projections/telemetry_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "bus/sensor_names.h"
#include "projections/telemetry_history_keys.h"
#include "projections/telemetry_open_minute.h"
#include "projections/telemetry_sight.h"

namespace millrace {
namespace {

constexpr size_t kMaxNameBytes = 128;  // of an object or a field; adapters send at most 96
constexpr size_t kMaxHoursInMemory = 512;
constexpr int64_t kHourMs = kMinutesPerHour * kMinuteMs;
constexpr int64_t kLatestMs = int64_t{253'402'300'799'000};  // the end of the year 9999

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name.find('\0') == std::string_view::npos;
}

// One group of events on its way into the view.  Records are decoded once and written by finish().
class TelemetryFold {
 public:
  explicit TelemetryFold(ViewBatch& batch) : batch_(batch) {}

  void add(const Envelope& envelope) {
    const std::string_view machine = envelope.machine();
    const int64_t at_ms = to_unix_us(envelope.observed_at()) / 1000;
    if (!is_valid_machine_id(machine) || at_ms <= 0 || at_ms > kLatestMs) return;
    if (const auto* sampled = envelope.as<schema::TelemetrySampled>()) {
      sample(machine, envelope.producer() == kSensorsProducer, *sampled, at_ms);
    } else if (const auto* summarised = envelope.as<schema::TelemetrySummarised>()) {
      summary(machine, *summarised);
    } else if (const auto change = sight_in(envelope)) {
      sight(machine, *change, at_ms);
    }
  }

  void finish() {
    for (const auto& [key, open] : open_) write(key, open.stored, open.record.signals.empty(), open.record.encode());
    write_hours();
    for (const auto& [key, minutes] : heard_) {
      write(key, minutes.stored, minutes.record.heard == 0, encode_heard(minutes.record));
    }
  }

 private:
  template <class Record>
  struct Held {
    Record record;
    std::string stored;  // empty: nothing
  };
  template <class Record>
  using HeldRecords = std::map<std::string, Held<Record>, std::less<>>;

  void sample(std::string_view machine, bool of_sensors, const schema::TelemetrySampled& sampled, int64_t at_ms) {
    if (sampled.signals() == nullptr) return;
    OpenMinute& open = open_minute(machine, of_sensors);
    const int64_t minute = at_ms / kMinuteMs;
    if (open.minute != minute) {
      close(machine, open);
      open.minute = minute;
    }
    const auto offset_ms = static_cast<uint32_t>(at_ms % kMinuteMs);
    auto expected = open.signals.begin();  // adapters send signals in the order of their names
    bool any = false;
    for (const schema::Signal* signal : *sampled.signals()) {
      if (!(std::fabs(signal->value()) <= kMostTelemetry)) continue;
      const std::pair name{text(signal->object()), text(signal->field())};
      if (expected == open.signals.end() || expected->first.first != name.first ||
          expected->first.second != name.second) {
        expected = open.signals.find(name);
        if (expected == open.signals.end()) {
          if (!is_name(name.first) || !is_name(name.second) || open.signals.size() >= OpenMinute::kMaxSignals) continue;
          expected = open.signals.try_emplace(SignalKey(name)).first;
        }
      }
      expected->second.observe(signal->value(), offset_ms);
      ++expected;
      any = true;
    }
    if (!any) return;
    open.seen_ms = std::max(open.seen_ms, offset_ms);
    open.heard = open.heard || !of_sensors;
    open.full = open.full || (sampled.full() && !of_sensors);
  }

  // The minute is over: what its signals came to goes to their hours.
  void close(std::string_view machine, OpenMinute& open) {
    if (!open.signals.empty()) {
      const int64_t hour = open.minute / kMinutesPerHour;
      const auto minute = static_cast<size_t>(open.minute % kMinutesPerHour);
      for (const auto& [name, signal] : open.signals) {
        hour_of(telemetry_keys::minutes(telemetry_keys::signal(machine, name.first, name.second), hour,
                                        telemetry_keys::kSamples))
            .add(minute, signal.bucket(kMinuteMs));
      }
      HeardMinutes& minutes = heard_in(telemetry_keys::heard(machine, hour, telemetry_keys::kSamples));
      minutes.heard |= uint64_t{open.heard} << minute;
      minutes.full |= uint64_t{open.full} << minute;
    }
    open = {};
  }

  void summary(std::string_view machine, const schema::TelemetrySummarised& summarised) {
    if (summarised.signals() == nullptr || summarised.from_us() <= 0) return;
    const int64_t from = summarised.from_us() / 1000 / kMinuteMs;
    if (from > kLatestMs / kMinuteMs) return;
    for (const schema::SignalMinutes* signal : *summarised.signals()) {
      const auto size_of = [](const auto* list) { return list == nullptr ? 0 : list->size(); };
      const size_t minutes = size_of(signal->minute());
      const bool whole = size_of(signal->minimum()) == minutes && size_of(signal->mean()) == minutes &&
                         size_of(signal->maximum()) == minutes && size_of(signal->last()) == minutes &&
                         size_of(signal->seconds()) == minutes && size_of(signal->count()) == minutes;
      if (!whole || !is_name(text(signal->object())) || !is_name(text(signal->field()))) continue;
      for (uint32_t i = 0; i < minutes; ++i) told(machine, *signal, i, from + signal->minute()->Get(i));
    }
  }

  void told(std::string_view machine, const schema::SignalMinutes& signal, uint32_t i, int64_t at_minute) {
    const std::pair name{text(signal.object()), text(signal.field())};
    const std::string key = telemetry_keys::signal(machine, name.first, name.second);
    const int64_t hour = at_minute / kMinutesPerHour;
    const auto minute = static_cast<size_t>(at_minute % kMinutesPerHour);
    hour_of(telemetry_keys::minutes(key, hour, telemetry_keys::kSamples)).erase(minute);
    const bool of_machine = !is_sensor_object(name.first);
    for (const bool of_sensors : {false, true}) {
      OpenMinute& open = open_minute(machine, of_sensors);
      if (open.minute == at_minute) forget(open, name);
    }
    if (of_machine) {
      HeardMinutes& raw = heard_in(telemetry_keys::heard(machine, hour, telemetry_keys::kSamples));
      raw.heard &= ~(uint64_t{1} << minute);
      raw.full &= ~(uint64_t{1} << minute);
      heard_in(telemetry_keys::heard(machine, hour, telemetry_keys::kSummaries)).heard |= uint64_t{1} << minute;
    }
    MinuteBucket bucket;
    bucket.minimum = signal.minimum()->Get(i);
    bucket.mean = signal.mean()->Get(i);
    bucket.maximum = signal.maximum()->Get(i);
    bucket.last = signal.last()->Get(i);
    bucket.count = signal.count()->Get(i);
    bucket.covered_ms = static_cast<uint32_t>(std::lround(std::clamp(signal.seconds()->Get(i), 0.0F, 60.0F) * 1000));
    const bool plausible = std::fabs(bucket.minimum) <= kMostTelemetry && std::fabs(bucket.mean) <= kMostTelemetry &&
                           std::fabs(bucket.maximum) <= kMostTelemetry && std::fabs(bucket.last) <= kMostTelemetry &&
                           bucket.minimum <= bucket.maximum;
    if (plausible) hour_of(telemetry_keys::minutes(key, hour, telemetry_keys::kSummaries)).add(minute, bucket);
  }

  // What only samples that are gone had told.
  static void forget(OpenMinute& open, const std::pair<std::string_view, std::string_view>& name) {
    if (const auto found = open.signals.find(name); found != open.signals.end()) open.signals.erase(found);
    open.full = open.heard = false;
    open.seen_ms = 0;
    for (const auto& [left, signal] : open.signals) open.seen_ms = std::max(open.seen_ms, signal.until_ms);
  }

  void sight(std::string_view machine, Sight change, int64_t at_ms) {
    OpenMinute& open = open_minute(machine, /*of_sensors=*/false);
    if (change != Sight::kFound && at_ms / kMinuteMs > open.minute) close(machine, open);
    // A new connection without a loss before it: the process that watched was killed, and nothing is known since it
    // was last heard.
    const uint32_t until =
        change == Sight::kFound ? open.seen_ms : static_cast<uint32_t>(at_ms - open.minute * kMinuteMs);
    if (change == Sight::kFound || open.minute == at_ms / kMinuteMs) {
      for (auto& [name, signal] : open.signals) {
        if (!ends(change, name.first)) continue;
        signal.cover(until);
        signal.holds = false;
      }
    }
    const std::string key = telemetry_keys::sight(machine, at_ms / kHourMs);
    std::vector<SightChange> changes;
    if (const auto stored = batch_.get(key); stored && !decode_sight(*stored, changes)) return damaged(key);
    if (changes.size() >= kMaxSightChanges) return;
    const SightChange added{static_cast<uint32_t>(at_ms % kHourMs), change};
    changes.insert(std::upper_bound(changes.begin(), changes.end(), added,
                                    [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; }),
                   added);
    batch_.put(key, encode_sight(changes));
  }

  OpenMinute& open_minute(std::string_view machine, bool of_sensors) {
    return held(open_, telemetry_keys::open_minute(machine, of_sensors), OpenMinute::decode);
  }
  HourOfMinutes& hour_of(const std::string& key) {
    if (hours_.size() >= kMaxHoursInMemory && !hours_.contains(key)) write_hours();
    return held(hours_, key, HourOfMinutes::decode);
  }
  HeardMinutes& heard_in(const std::string& key) { return held(heard_, key, decode_heard); }

  template <class Record, class Decode>
  Record& held(HeldRecords<Record>& records, const std::string& key, const Decode& decode) {
    const auto [place, is_new] = records.try_emplace(key);
    Held<Record>& found = place->second;
    if (!is_new) return found.record;
    if (auto stored = batch_.get(key)) {
      if (!decode(*stored, found.record)) damaged(key);
      found.stored = std::move(*stored);
    }
    return found.record;
  }

  void write_hours() {
    for (const auto& [key, hour] : hours_) write(key, hour.stored, hour.record.empty(), hour.record.encode());
    hours_.clear();
  }

  void write(const std::string& key, const std::string& stored, bool empty, std::string record) {
    if (empty && !stored.empty()) batch_.erase(key);
    if (!empty && stored != record) batch_.put(key, std::move(record));
  }

  void damaged(const std::string& key) {
    batch_.fail(make_error(Errc::kCorrupt, fmt::format("telemetry_history: record '{}...'", key.substr(0, 1))));
  }

  ViewBatch& batch_;
  HeldRecords<OpenMinute> open_;
  HeldRecords<HourOfMinutes> hours_;
  HeldRecords<HeardMinutes> heard_;
};

class TelemetryHistory final : public Projection {
 public:
  std::string_view name() const override { return kTelemetryHistoryView; }
  uint32_t version() const override { return 1; }
  std::set<EventType> types() const override {
    return {EventType::TelemetrySampled, EventType::TelemetrySummarised, EventType::MachineConnected,
            EventType::MachineDisconnected, EventType::MachineStateChanged};
  }

  void apply(const RecordedEvent& event, ViewBatch& batch, ChangedKeys& changed) const override {
    apply_group({&event, 1}, batch, changed);
  }
  void apply_group(std::span<const RecordedEvent> events, ViewBatch& batch, ChangedKeys&) const override {
    TelemetryFold fold(batch);
    for (const RecordedEvent& event : events) fold.add(event.envelope);
    fold.finish();
  }
};

}  // namespace

std::unique_ptr<const Projection> make_telemetry_history() { return std::make_unique<TelemetryHistory>(); }

}  // namespace millrace
