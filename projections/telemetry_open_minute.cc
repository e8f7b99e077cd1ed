// SPDX-License-Identifier: Apache-2.0
#include "projections/telemetry_open_minute.h"

#include <algorithm>

#include "projections/compact_bytes.h"

namespace millrace {

void OpenSignal::cover(uint32_t until) {
  if (until <= until_ms) return;
  if (holds) {
    weighted += last * (until - until_ms);
    covered_ms += until - until_ms;
  }
  until_ms = until;
}

void OpenSignal::observe(double value, uint32_t at_ms) {
  if (count == 0) {
    first_ms = until_ms = at_ms;
    minimum = maximum = value;
  } else {
    cover(at_ms);
    minimum = std::min(minimum, value);
    maximum = std::max(maximum, value);
  }
  last = value;
  holds = true;
  ++count;
}

MinuteBucket OpenSignal::bucket(uint32_t until) const {
  OpenSignal whole = *this;
  whole.cover(until);
  MinuteBucket bucket;
  bucket.minimum = minimum;
  bucket.maximum = maximum;
  bucket.last = last;
  bucket.mean = whole.covered_ms > 0 ? whole.weighted / whole.covered_ms : last;
  bucket.first_ms = first_ms;
  bucket.covered_ms = whole.covered_ms;
  bucket.count = count;
  bucket.holds = holds;
  return bucket;
}

std::string OpenMinute::encode() const {
  CompactWriter out;
  out.signed_number(minute);
  out.unsigned_number(seen_ms);
  out.byte(static_cast<uint8_t>((heard ? 1 : 0) | (full ? 2 : 0)));
  out.unsigned_number(signals.size());
  for (const auto& [name, signal] : signals) {
    out.text(name.first);
    out.text(name.second);
    for (const double number : {signal.minimum, signal.maximum, signal.last, signal.weighted}) out.real(number);
    out.unsigned_number(signal.first_ms);
    out.unsigned_number(signal.until_ms);
    out.unsigned_number(signal.covered_ms);
    out.unsigned_number(signal.count);
    out.byte(signal.holds ? 1 : 0);
  }
  return out.take();
}

bool OpenMinute::decode(std::string_view bytes, OpenMinute& open) {
  CompactReader in(bytes);
  open.minute = in.signed_number();
  open.seen_ms = static_cast<uint32_t>(in.unsigned_number());
  const uint8_t flags = in.byte();
  open.heard = (flags & 1) != 0;
  open.full = (flags & 2) != 0;
  for (uint64_t left = in.unsigned_number(); left > 0 && in.ok(); --left) {
    SignalKey name;
    name.first = in.text();
    name.second = in.text();
    OpenSignal signal;
    for (double* number : {&signal.minimum, &signal.maximum, &signal.last, &signal.weighted}) *number = in.real();
    for (uint32_t* number : {&signal.first_ms, &signal.until_ms, &signal.covered_ms, &signal.count}) {
      *number = static_cast<uint32_t>(in.unsigned_number());
    }
    signal.holds = in.byte() != 0;
    open.signals.emplace_hint(open.signals.end(), std::move(name), signal);
  }
  return in.ok() && in.at_end();
}

}  // namespace millrace
