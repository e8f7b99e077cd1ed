// SPDX-License-Identifier: Apache-2.0
#include "web/edge/telemetry_json.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "bus/clock.h"

namespace millrace {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;
constexpr size_t kMaxNumberBytes = 24;

constexpr std::array<double, 14> kPowers = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13};

// The shortest text of the value to 7 digits.  An answer may hold millions of them: a general conversion takes three
// times as long.
char* write_number(char* at, double value) {
  if (std::isnan(value)) return fmt::format_to(at, "null");
  if (value < 0) {
    *at++ = '-';
    value = -value;
  }
  if (value >= 1e15) return fmt::format_to(at, "{:.7g}", value);
  int decimals = 6;
  for (double limit = 10; decimals > 0 && value >= limit; limit *= 10) --decimals;
  if (decimals == 6) {
    for (double limit = 1; decimals < 12 && value < limit; limit /= 10) ++decimals;
  }
  auto number = static_cast<uint64_t>(value * kPowers[static_cast<size_t>(decimals)] + 0.5);
  while (decimals > 0 && number % 10 == 0) {
    number /= 10;
    --decimals;
  }
  std::array<char, kMaxNumberBytes> digits;
  char* const end = digits.data() + digits.size();
  char* begin = end;
  if (decimals > 0) {
    for (int i = 0; i < decimals; ++i, number /= 10) *--begin = static_cast<char>('0' + number % 10);
    *--begin = '.';
  }
  do {
    *--begin = static_cast<char>('0' + number % 10);
  } while ((number /= 10) != 0);
  return std::copy(begin, end, at);
}

std::string column_of(const std::vector<double>& values) {
  std::string text(values.size() * (kMaxNumberBytes + 1) + 2, '\0');
  char* at = text.data();
  *at++ = '[';
  for (const double value : values) {
    at = write_number(at, value);
    *at++ = ',';
  }
  if (!values.empty()) --at;
  *at++ = ']';
  text.resize(static_cast<size_t>(at - text.data()));
  return text;
}

}  // namespace

Result<std::string> telemetry_answer(const ViewReader& reader, const std::string& machine, const TelemetryRange& range,
                                     std::span<const SignalName> signals) {
  const auto opened = TelemetryReader::open(reader, machine, range);
  if (!opened) return opened.error();
  JsonWriter json;
  json.object().field("machine", machine);
  json.field("from", to_rfc3339(from_unix_us(range.from * kMinuteUs)));
  json.field("to", to_rfc3339(from_unix_us(range.to() * kMinuteUs)));
  json.field("resolution", range.step * 60).field("count", static_cast<uint64_t>(range.buckets));
  json.key("signals").array();
  for (const SignalName& signal : signals) {
    const auto columns = opened->read(signal.object, signal.field);
    if (!columns) return columns.error();
    json.object().field("name", signal.text()).field("object", signal.object).field("field", signal.field);
    json.key("unit");
    signal.unit.empty() ? json.null() : json.value(signal.unit);
    json.key("min").raw(column_of(columns->minimum));
    json.key("mean").raw(column_of(columns->mean));
    json.key("max").raw(column_of(columns->maximum)).end();
  }
  json.end().end();
  return json.take();
}

}  // namespace millrace
