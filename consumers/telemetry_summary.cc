// SPDX-License-Identifier: Apache-2.0
#include "consumers/telemetry_summary.h"

#include <algorithm>
#include <cmath>

#include "bus/sensor_names.h"

namespace millrace {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kMinuteUs = 60 * kSecondUs;
constexpr int64_t kHourUs = 60 * kMinuteUs;
// The producer of sensors tells a fresh one each minute; another one has fallen silent.
constexpr int64_t kLongestSensorHoldUs = 2 * kMinuteUs;
constexpr size_t kMaxEventBytes = 40u << 10;  // leaves room for the envelope's own fields
constexpr size_t kBytesPerMinute = 2 + 4 * 8 + 4 + 4;
constexpr size_t kBytesPerSignal = 160;

int64_t floor_to(int64_t us, int64_t unit) { return us - ((us % unit) + unit) % unit; }

// The minutes of one signal within one hour.
std::unique_ptr<schema::SignalMinutesT> table_of(const std::string& object, const std::string& field) {
  auto table = std::make_unique<schema::SignalMinutesT>();
  table->object = object;
  table->field = field;
  return table;
}

}  // namespace

void TelemetrySummary::Minute::cover(double value, int64_t until_us) {
  if (until_us <= covered_until_us) return;
  const double length = static_cast<double>(until_us - covered_until_us) / kSecondUs;
  weighted += value * length;
  seconds += length;
  covered_until_us = until_us;
}

void TelemetrySummary::observe(Signal& signal, double value, int64_t at_us) {
  if (!std::isfinite(value)) return;
  const int64_t begin = floor_to(at_us, kMinuteUs);
  const auto [place, is_new] = signal.minutes.try_emplace(begin);
  Minute& minute = place->second;
  if (is_new) {
    const bool held = signal.holds && signal.since_us <= at_us;
    minute.covered_until_us = held ? std::max(begin, signal.since_us) : at_us;
    minute.minimum = minute.maximum = value;
    if (held && minute.covered_until_us < at_us) {
      minute.minimum = std::min(minute.minimum, signal.value);
      minute.maximum = std::max(minute.maximum, signal.value);
      minute.cover(signal.value, at_us);
    }
  } else {
    if (signal.holds) minute.cover(minute.last, at_us);
    minute.covered_until_us = std::max(minute.covered_until_us, at_us);
    minute.minimum = std::min(minute.minimum, value);
    minute.maximum = std::max(minute.maximum, value);
  }
  minute.last = value;
  minute.ended = false;
  minute.count += 1;
  signal.holds = true;
  signal.value = value;
  signal.since_us = at_us;
}

// The last value of each minute holds until the minute is over, or `until_us`.
void TelemetrySummary::finish(Signal& signal, int64_t until_us) {
  for (auto& [begin, minute] : signal.minutes) {
    if (!minute.ended) minute.cover(minute.last, std::min(begin + kMinuteUs, until_us));
  }
  signal.since_us = std::max(signal.since_us, until_us);
}

// Nothing is known from here on, not even once it has another value.
void TelemetrySummary::end(Signal& signal, int64_t at_us) {
  if (!signal.holds) return;
  finish(signal, at_us);
  for (auto& [begin, minute] : signal.minutes)
    minute.ended = minute.ended || minute.covered_until_us < begin + kMinuteUs;
  signal.holds = false;
}

void TelemetrySummary::add(const RecordedEvent& event) {
  const Envelope& envelope = event.envelope;
  const auto* sample = envelope.as<schema::TelemetrySampled>();
  const auto* changed = envelope.as<schema::MachineStateChanged>();
  const bool klipper_gone = changed != nullptr && changed->state() == schema::MachineState::offline;
  const bool found = envelope.as<schema::MachineConnected>() != nullptr;
  const bool lost = found || klipper_gone || envelope.as<schema::MachineDisconnected>() != nullptr;
  if (sample == nullptr && !lost) return;
  Machine& machine = machines_[std::string(envelope.machine())];
  const int64_t at_us = to_unix_us(envelope.observed_at());
  // A connection without a loss before it: the process that watched was killed after what was last seen.
  const int64_t end_us = found ? std::min(machine.seen_until_us, at_us) : at_us;
  machine.seen_until_us = std::max(machine.seen_until_us, at_us);
  if (lost || sample->full()) {
    for (auto& [name, signal] : machine.signals) {
      if (is_sensor_object(name.first)) continue;  // told by another producer, whatever becomes of the machine
      if (klipper_gone && (name.first == "host" || name.first == "moonraker")) continue;
      end(signal, end_us);
    }
  }
  if (sample == nullptr) return;
  if (machine.first_position == 0) machine.first_position = event.position.value;
  machine.last_position = event.position.value;
  if (sample->signals() == nullptr) return;
  for (const schema::Signal* value : *sample->signals()) {
    const std::pair name{std::string(text(value->object())), std::string(text(value->field()))};
    Signal& signal = machine.signals[name];
    if (is_sensor_object(name.first) && at_us - signal.since_us > kLongestSensorHoldUs) {
      end(signal, signal.since_us + kLongestSensorHoldUs);
    }
    observe(signal, value->value(), at_us);
  }
}

void TelemetrySummary::append_drafts(const std::string& id, Machine& machine, std::vector<EventDraft>& drafts) {
  std::map<int64_t, std::vector<std::unique_ptr<schema::SignalMinutesT>>> hours;
  for (auto& [name, signal] : machine.signals) {
    if (signal.holds) finish(signal, machine.seen_until_us);
    for (const auto& [begin, minute] : signal.minutes) {
      const int64_t hour = floor_to(begin, kHourUs);
      auto& tables = hours[hour];
      if (tables.empty() || tables.back()->object != name.first || tables.back()->field != name.second) {
        tables.push_back(table_of(name.first, name.second));
      }
      schema::SignalMinutesT& table = *tables.back();
      table.minute.push_back(static_cast<uint16_t>((begin - hour) / kMinuteUs));
      table.minimum.push_back(minute.minimum);
      const double mean = minute.seconds > 0 ? minute.weighted / minute.seconds : minute.last;
      // Rounding alone may carry it beyond both.
      table.mean.push_back(std::max(minute.minimum, std::min(minute.maximum, mean)));
      table.maximum.push_back(minute.maximum);
      table.last.push_back(minute.last);
      table.seconds.push_back(static_cast<float>(minute.seconds));
      table.count.push_back(minute.count);
    }
    signal.minutes.clear();
  }
  for (auto& [hour, tables] : hours) {
    size_t bytes = kMaxEventBytes;  // full: the first table begins an event
    for (auto& table : tables) {
      const size_t more =
          kBytesPerSignal + table->object.size() + table->field.size() + table->minute.size() * kBytesPerMinute;
      if (bytes + more > kMaxEventBytes) {
        schema::TelemetrySummarisedT summarised;
        summarised.from_us = hour;
        summarised.first_position = machine.first_position;
        summarised.last_position = machine.last_position;
        drafts.push_back(draft_of(std::move(summarised), id, from_unix_us(machine.seen_until_us)));
        bytes = 0;
      }
      bytes += more;
      taken_bytes_ += more;
      drafts.back().payload.AsTelemetrySummarised()->signals.push_back(std::move(table));
    }
  }
}

std::vector<EventDraft> TelemetrySummary::take() {
  std::vector<EventDraft> drafts;
  taken_bytes_ = 0;
  for (auto& [id, machine] : machines_) {
    append_drafts(id, machine, drafts);
    machine.first_position = machine.last_position = 0;
    // What no longer holds has been told.
    std::erase_if(machine.signals, [](const auto& entry) { return !entry.second.holds; });
  }
  return drafts;
}

void TelemetrySummary::go_on_after(const Envelope& summarised) {
  const auto* told = summarised.as<schema::TelemetrySummarised>();
  if (told == nullptr || told->signals() == nullptr) return;
  if (told->last_position() == 0) return;  // of another system's history: nothing of it holds on
  Machine& machine = machines_[std::string(summarised.machine())];
  for (const schema::SignalMinutes* minutes : *told->signals()) {
    if (minutes->minute() == nullptr || minutes->last() == nullptr || minutes->last()->size() == 0) continue;
    Signal& signal = machine.signals[{std::string(text(minutes->object())), std::string(text(minutes->field()))}];
    signal.holds = true;
    signal.value = minutes->last()->Get(minutes->last()->size() - 1);
    signal.since_us = to_unix_us(summarised.observed_at());
  }
}

}  // namespace millrace
