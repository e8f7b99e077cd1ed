// SPDX-License-Identifier: Apache-2.0
#include "web/edge/telemetry_json.h"

#include <future>
#include <memory>

#include "bus/clock.h"
#include "web/edge/short_number.h"

namespace millrace {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;
constexpr size_t kTypicalNumberBytes = 7;
// Fewer are written before a thread has begun.
constexpr size_t kBucketsForTwo = 50'000;

// The three columns of a signal as JSON arrays.
struct WrittenColumns {
  std::string_view minimum, mean, maximum;
};

// Writes the columns of one signal after the other into one buffer.
class ColumnWriter {
 public:
  // Of so many values each at most.
  explicit ColumnWriter(size_t values)
      : buffer_(std::make_unique_for_overwrite<char[]>(kColumns * (values * (kMaxShortNumberBytes + 1) + kBrackets) +
                                                       kShortNumberOverwritten)) {}

  // Until the next call.
  WrittenColumns write(const SignalColumns& columns) {
    at_ = buffer_.get();
    WrittenColumns written;
    written.minimum = array(columns.minimum);
    written.mean = array(columns.mean);
    written.maximum = array(columns.maximum);
    return written;
  }

 private:
  static constexpr size_t kColumns = 3;
  static constexpr size_t kBrackets = 2;

  std::string_view array(const std::vector<double>& values) {
    char* const begin = at_;
    *at_++ = '[';
    for (const double value : values) {
      at_ = write_short_number(at_, value);
      *at_++ = ',';
    }
    if (!values.empty()) --at_;
    *at_++ = ']';
    return {begin, static_cast<size_t>(at_ - begin)};
  }

  std::unique_ptr<char[]> buffer_;
  char* at_ = nullptr;
};

void write_signal(JsonWriter& json, const SignalName& signal, const WrittenColumns& columns) {
  json.object().field("name", signal.text()).field("object", signal.object).field("field", signal.field);
  json.text_or_null("unit", signal.unit);
  json.key("min").raw(columns.minimum).key("mean").raw(columns.mean).key("max").raw(columns.maximum).end();
}

// The answer up to the first signal; end() closes it.
JsonWriter begin_answer(const std::string& machine, int64_t from_us, int64_t to_us, int64_t step_s, size_t buckets,
                        size_t signals) {
  JsonWriter json;
  json.reserve(buckets * signals * 3 * kTypicalNumberBytes);
  json.object().field("machine", machine);
  json.field("from", to_rfc3339(from_unix_us(from_us))).field("to", to_rfc3339(from_unix_us(to_us)));
  json.field("resolution", step_s).field("count", static_cast<uint64_t>(buckets));
  json.key("signals").array();
  return json;
}

Result<WrittenColumns> read_and_write(const TelemetryReader& reader, const SignalName& signal, ColumnWriter& writer) {
  const auto columns = reader.read(signal.object, signal.field);
  if (!columns) return columns.error();
  return writer.write(*columns);
}

}  // namespace

Result<std::string> telemetry_answer(const ViewReader& reader, const std::string& machine, const TelemetryRange& range,
                                     std::span<const SignalName> signals) {
  const auto opened = TelemetryReader::open(reader, machine, range);
  if (!opened) return opened.error();
  JsonWriter json = begin_answer(machine, range.from * kMinuteUs, range.to() * kMinuteUs, range.step * 60,
                                 range.buckets, signals.size());
  // Signals have nothing to do with each other: every other one is read and written by a second thread.
  const bool by_two = signals.size() > 1 && range.buckets * signals.size() >= kBucketsForTwo;
  ColumnWriter here(range.buckets);
  ColumnWriter there(by_two ? range.buckets : 0);
  for (size_t i = 0; i < signals.size(); ++i) {
    std::future<Result<WrittenColumns>> next;
    if (by_two && i + 1 < signals.size()) {
      next = std::async(std::launch::async, [&, i] { return read_and_write(*opened, signals[i + 1], there); });
    }
    const auto written = read_and_write(*opened, signals[i], here);
    if (!written) return written.error();
    write_signal(json, signals[i], *written);
    if (!next.valid()) continue;
    const auto written_there = next.get();
    if (!written_there) return written_there.error();
    write_signal(json, signals[++i], *written_there);
  }
  json.end().end();
  return json.take();
}

std::string samples_answer(const std::string& machine, const SampleRange& range, std::span<const SignalName> signals,
                           const std::vector<SignalColumns>& columns) {
  JsonWriter json = begin_answer(machine, range.from_ms * 1000, range.to_ms() * 1000, range.step_ms / 1000,
                                 range.buckets, signals.size());
  ColumnWriter writer(range.buckets);
  for (size_t i = 0; i < signals.size(); ++i) write_signal(json, signals[i], writer.write(columns[i]));
  json.end().end();
  return json.take();
}

}  // namespace millrace
