// SPDX-License-Identifier: Apache-2.0
#include "web/edge/telemetry_json.h"

#include <memory>

#include "bus/clock.h"
#include "web/edge/short_number.h"

namespace millrace {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;
constexpr size_t kTypicalNumberBytes = 7;

// Writes columns as JSON arrays, one after the other into one buffer.
class ColumnWriter {
 public:
  explicit ColumnWriter(size_t values)
      : buffer_(std::make_unique_for_overwrite<char[]>(values * (kMaxShortNumberBytes + 1) + kShortNumberOverwritten)) {
  }

  // Until the next call.  At most as many values as the constructor was told.
  std::string_view array(const std::vector<double>& values) {
    char* at = buffer_.get();
    *at++ = '[';
    for (const double value : values) {
      at = write_short_number(at, value);
      *at++ = ',';
    }
    if (!values.empty()) --at;
    *at++ = ']';
    return {buffer_.get(), static_cast<size_t>(at - buffer_.get())};
  }

 private:
  std::unique_ptr<char[]> buffer_;
};

}  // namespace

Result<std::string> telemetry_answer(const ViewReader& reader, const std::string& machine, const TelemetryRange& range,
                                     std::span<const SignalName> signals) {
  const auto opened = TelemetryReader::open(reader, machine, range);
  if (!opened) return opened.error();
  ColumnWriter column(range.buckets);
  JsonWriter json;
  json.reserve(range.buckets * signals.size() * 3 * kTypicalNumberBytes);
  json.object().field("machine", machine);
  json.field("from", to_rfc3339(from_unix_us(range.from * kMinuteUs)));
  json.field("to", to_rfc3339(from_unix_us(range.to() * kMinuteUs)));
  json.field("resolution", range.step * 60).field("count", static_cast<uint64_t>(range.buckets));
  json.key("signals").array();
  for (const SignalName& signal : signals) {
    const auto columns = opened->read(signal.object, signal.field);
    if (!columns) return columns.error();
    json.object().field("name", signal.text()).field("object", signal.object).field("field", signal.field);
    json.text_or_null("unit", signal.unit);
    json.key("min").raw(column.array(columns->minimum));
    json.key("mean").raw(column.array(columns->mean));
    json.key("max").raw(column.array(columns->maximum)).end();
  }
  json.end().end();
  return json.take();
}

}  // namespace millrace
