// SPDX-License-Identifier: Apache-2.0
#include "producers/sensors/sensor_readings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>

#include "bus/ids.h"
#include "bus/logging.h"

namespace millrace {
namespace {

constexpr size_t kMaxSignalsOfEvent = 200;  // about 20 KiB, below what an event may have
constexpr std::chrono::minutes kBetweenWarnings{1};
constexpr double kMostValue = 1e15;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// What a person should see of a payload in a log.
std::string shown_payload(std::string_view payload) {
  constexpr size_t kShown = 60;
  std::string text(payload.substr(0, kShown));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return fmt::format("'{}'{}", text, payload.size() > kShown ? "..." : "");
}

Result<double> plausible(double number, std::string_view payload) {
  if (std::fabs(number) <= kMostValue) return number;
  return make_error(Errc::kMalformed, fmt::format("{} is no finite number", shown_payload(payload)));
}

// Nothing but a number, blanks around it aside.
Result<double> number_in(std::string_view payload) {
  const std::string_view text = trimmed(payload);
  double number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed == std::errc{} && end == text.data() + text.size()) return plausible(number, text);
  return make_error(Errc::kMalformed, fmt::format("{} is no number", shown_payload(payload)));
}

}  // namespace

Result<double> number_at(JsonReader& reader, std::string_view payload, std::string_view path) {
  if (path.empty()) return number_in(payload);
  const auto document = reader.parse(payload);
  if (!document) return make_error(Errc::kMalformed, fmt::format("{} is no JSON", shown_payload(payload)));
  Json value = *document;
  for (std::string_view rest = path; !rest.empty();) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view name = rest.substr(0, dot);
    rest.remove_prefix(std::min(dot + 1, rest.size()));
    std::optional<Json> next = member(value, name);
    size_t index = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), index);
    if (!next && value.is_array() && failed == std::errc{} && end == name.data() + name.size()) {
      Json item;
      if (value.get_array().at(index).get(item) == simdjson::SUCCESS) next = item;
    }
    if (!next) return make_error(Errc::kNotFound, fmt::format("there is no '{}' in {}", path, shown_payload(payload)));
    value = *next;
  }
  const auto number = as_number(value);
  if (const auto text = as_text(value)) return number_in(*text);  // many a sketch puts its numbers in quotes
  if (!number)
    return make_error(Errc::kMalformed, fmt::format("{} at '{}' is no number", shown_payload(to_text(value)), path));
  return plausible(*number, payload);
}

SensorReadings::SensorReadings(std::vector<SensorEntry> entries, const Clock& clock, Metrics& metrics)
    : clock_(clock),
      metrics_(metrics),
      messages_(metrics.counter("millrace_sensor_messages_total", "Messages of sensors that held their numbers")) {
  std::sort(entries.begin(), entries.end(), [](const SensorEntry& a, const SensorEntry& b) {
    return std::tie(a.machine, a.object, a.field) < std::tie(b.machine, b.object, b.field);
  });
  for (SensorEntry& entry : entries) {
    Reading reading;
    reading.entry = std::move(entry);
    readings_.push_back(std::move(reading));
  }
}

void SensorReadings::on_message(std::string_view topic, std::string_view payload, bool retained) {
  if (retained) return refuse(topic, "retained", "a value that the broker kept has no known age");
  if (payload.size() > kMaxPayload) {
    return refuse(topic, "too_large", fmt::format("{} bytes are more than {}", payload.size(), kMaxPayload));
  }
  for (Reading& reading : readings_) {
    if (reading.entry.topic != topic) continue;
    const auto number = number_at(json_, payload, reading.entry.json_path);
    if (!number) {
      refuse(topic, "no_number", number.error().context);
      continue;
    }
    messages_.add();
    reading.received = clock_.monotonic();
    reading.dirty = reading.dirty || reading.value != *number;
    reading.value = *number;
  }
}

void SensorReadings::refuse(std::string_view topic, std::string_view reason, std::string_view what) {
  metrics_
      .counter("millrace_sensor_refused_total", "Messages of sensors that were refused",
               {{"reason", std::string(reason)}})
      .add();
  const bool known = std::any_of(readings_.begin(), readings_.end(),
                                 [&](const Reading& reading) { return reading.entry.topic == topic; });
  if (!known) return;
  const MonotonicTime now = clock_.monotonic();
  const auto [warned, first] = warned_.try_emplace(std::string(topic), now);
  if (!first && now - warned->second < kBetweenWarnings) return;
  warned->second = now;
  log_warn("sensors", "a message on {} is refused: {}", topic, what);
}

// Changed values wait for their second, others for their minute.
std::optional<MonotonicTime> SensorReadings::Reading::due() const {
  if (!value) return std::nullopt;
  if (!told) return received;
  if (dirty) return *told + kInterval;
  const MonotonicTime again = *told + kRepeat;
  return again < received + entry.fresh ? std::optional(again) : std::nullopt;
}

std::vector<EventDraft> SensorReadings::take() {
  std::vector<EventDraft> events;
  const MonotonicTime now = clock_.monotonic();
  for (Reading& reading : readings_) {
    const auto due = reading.due();
    if (!due || *due > now) continue;
    reading.told = now;
    reading.dirty = false;
    const bool begins = events.empty() || events.back().machine != reading.entry.machine ||
                        events.back().payload.AsTelemetrySampled()->signals.size() >= kMaxSignalsOfEvent;
    if (begins) events.push_back(draft_of(schema::TelemetrySampledT{}, reading.entry.machine, clock_.wall()));
    auto signal = std::make_unique<schema::SignalT>();
    signal->object = reading.entry.object;
    signal->field = reading.entry.field;
    signal->value = *reading.value;
    events.back().payload.AsTelemetrySampled()->signals.push_back(std::move(signal));
  }
  return events;
}

std::optional<MonotonicTime> SensorReadings::next_deadline() const {
  std::optional<MonotonicTime> first;
  for (const Reading& reading : readings_) {
    const auto due = reading.due();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

}  // namespace millrace
