// SPDX-License-Identifier: Apache-2.0
#include "projections/telemetry_minutes.h"

#include <algorithm>
#include <cmath>

#include "projections/compact_bytes.h"

namespace millrace {
namespace {

constexpr int kDigits = 7;
constexpr int kMaxDecimals = 12;
constexpr int64_t kMaxExact = int64_t{1} << 53;

enum Form : uint8_t { kDecimals = 1, kReals = 2 };

constexpr std::array<int64_t, 16> kPowersOfTen = [] {
  std::array<int64_t, 16> powers{};
  powers[0] = 1;
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = 10 * powers[i - 1];
  return powers;
}();

// mantissa / 10^decimals, with as few decimals as it can be.
struct Decimal {
  int64_t mantissa = 0;
  int decimals = 0;
};

Decimal decimal_of(double value) {
  if (value == 0 || !std::isfinite(value)) return {};
  value = std::clamp(value, -kMostTelemetry, kMostTelemetry);
  const int magnitude = static_cast<int>(std::floor(std::log10(std::fabs(value))));
  const int decimals = std::min(kDigits - 1 - magnitude, kMaxDecimals);
  if (decimals <= 0) {
    const int64_t unit = kPowersOfTen[static_cast<size_t>(-decimals)];
    return {std::llround(value / static_cast<double>(unit)) * unit, 0};
  }
  Decimal found{std::llround(value * static_cast<double>(kPowersOfTen[static_cast<size_t>(decimals)])), decimals};
  while (found.decimals > 0 && found.mantissa % 10 == 0) {
    found.mantissa /= 10;
    --found.decimals;
  }
  return found;
}

double value_of(const Decimal& decimal) {
  return static_cast<double>(decimal.mantissa) /
         static_cast<double>(kPowersOfTen[static_cast<size_t>(decimal.decimals)]);
}

// With so many decimals; nullopt where that is more than a double holds exactly.
std::optional<int64_t> scaled(const Decimal& decimal, int decimals) {
  const int64_t factor = kPowersOfTen[static_cast<size_t>(decimals - decimal.decimals)];
  if (std::abs(decimal.mantissa) >= kMaxExact / factor) return std::nullopt;
  return decimal.mantissa * factor;
}

// One minute's numbers as decimals.
struct Columns {
  Decimal minimum, mean, maximum, last;
};

struct Scale {
  int values = 0;  // decimals of minimum, maximum and last
  int means = 0;   // at least as many
  bool fits = true;
};

Scale scale_of(const std::array<Columns, kMinutesPerHour>& columns, uint64_t present) {
  Scale scale;
  for (uint64_t left = present; left != 0; left &= left - 1) {
    const Columns& column = columns[static_cast<size_t>(std::countr_zero(left))];
    scale.values = std::max({scale.values, column.minimum.decimals, column.maximum.decimals, column.last.decimals});
    scale.means = std::max(scale.means, column.mean.decimals);
  }
  scale.means = std::max(scale.means, scale.values);
  for (uint64_t left = present; left != 0; left &= left - 1) {
    const Columns& column = columns[static_cast<size_t>(std::countr_zero(left))];
    for (const Decimal& decimal : {column.minimum, column.mean, column.maximum, column.last}) {
      scale.fits = scale.fits && scaled(decimal, scale.means).has_value();
    }
  }
  return scale;
}

}  // namespace

double rounded_telemetry(double value) { return value_of(decimal_of(value)); }

MinuteBucket merged(const MinuteBucket& earlier, const MinuteBucket& later) {
  MinuteBucket both = later;
  both.minimum = std::min(earlier.minimum, later.minimum);
  both.maximum = std::max(earlier.maximum, later.maximum);
  const double covered = static_cast<double>(earlier.covered_ms) + later.covered_ms;
  if (covered > 0) {
    both.mean = (earlier.mean * earlier.covered_ms + later.mean * later.covered_ms) / covered;
  }
  both.first_ms = std::min(earlier.first_ms, later.first_ms);
  both.covered_ms = static_cast<uint32_t>(std::min<int64_t>(static_cast<int64_t>(covered), kMinuteMs));
  both.count = earlier.count + later.count;
  return both;
}

void HourOfMinutes::add(size_t minute, MinuteBucket bucket) {
  if (has(minute)) bucket = merged(minutes_[minute], bucket);
  for (double* number : {&bucket.minimum, &bucket.mean, &bucket.maximum, &bucket.last}) {
    *number = rounded_telemetry(*number);
  }
  bucket.mean = std::clamp(bucket.mean, bucket.minimum, bucket.maximum);
  bucket.last = std::clamp(bucket.last, bucket.minimum, bucket.maximum);
  minutes_[minute] = bucket;
  present_ |= uint64_t{1} << minute;
}

bool HourOfMinutes::erase(size_t minute) {
  if (!has(minute)) return false;
  present_ &= ~(uint64_t{1} << minute);
  return true;
}

// Form, minutes as bits, decimals; then each minute: its minimum less the one before, and how far maximum, last and
// mean lie above it; when the first value came, what is not covered, how many.
std::string HourOfMinutes::encode() const {
  std::array<Columns, kMinutesPerHour> columns;
  for (uint64_t left = present_; left != 0; left &= left - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(left));
    const MinuteBucket& minute = minutes_[i];
    columns[i] = {decimal_of(minute.minimum), decimal_of(minute.mean), decimal_of(minute.maximum),
                  decimal_of(minute.last)};
  }
  const Scale scale = scale_of(columns, present_);
  CompactWriter out;
  out.byte(scale.fits ? kDecimals : kReals);
  out.unsigned_number(present_);
  out.byte(static_cast<uint8_t>(scale.values));
  out.byte(static_cast<uint8_t>(scale.means));
  int64_t before = 0;
  for (uint64_t left = present_; left != 0; left &= left - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(left));
    const MinuteBucket& minute = minutes_[i];
    if (scale.fits) {
      const int64_t minimum = *scaled(columns[i].minimum, scale.values);
      out.signed_number(minimum - before);
      out.unsigned_number(static_cast<uint64_t>(*scaled(columns[i].maximum, scale.values) - minimum));
      out.unsigned_number(static_cast<uint64_t>(*scaled(columns[i].last, scale.values) - minimum));
      out.unsigned_number(
          static_cast<uint64_t>(*scaled(columns[i].mean, scale.means) - *scaled(columns[i].minimum, scale.means)));
      before = minimum;
    } else {
      for (const double number : {minute.minimum, minute.maximum, minute.last, minute.mean}) out.real(number);
    }
    const int64_t uncovered = kMinuteMs - minute.first_ms - minute.covered_ms;
    out.unsigned_number(minute.first_ms);
    out.signed_number(2 * uncovered + (minute.holds ? 0 : 1));
    out.unsigned_number(minute.count);
  }
  return out.take();
}

bool HourOfMinutes::decode(std::string_view bytes, HourOfMinutes& hour) {
  CompactReader in(bytes);
  const uint8_t form = in.byte();
  const uint64_t present = in.unsigned_number();
  const uint8_t values = in.byte();
  const uint8_t means = in.byte();
  hour.present_ = 0;
  if ((form != kDecimals && form != kReals) || present >> kMinutesPerHour != 0 || values > means ||
      means > kMaxDecimals) {
    return false;
  }
  const auto value_unit = static_cast<double>(kPowersOfTen[values]);
  const auto mean_unit = static_cast<double>(kPowersOfTen[means]);
  const auto finer = static_cast<uint64_t>(kPowersOfTen[static_cast<size_t>(means - values)]);
  uint64_t sum = 0;  // unsigned, so that damaged bytes wrap around
  for (uint64_t left = present; left != 0 && in.ok(); left &= left - 1) {
    MinuteBucket& minute = hour.minutes_[static_cast<size_t>(std::countr_zero(left))];
    if (form == kDecimals) {
      sum += static_cast<uint64_t>(in.signed_number());
      const auto maximum = static_cast<int64_t>(sum + in.unsigned_number());
      const auto last = static_cast<int64_t>(sum + in.unsigned_number());
      const auto mean = static_cast<int64_t>(sum * finer + in.unsigned_number());
      minute.minimum = static_cast<double>(static_cast<int64_t>(sum)) / value_unit;
      minute.maximum = static_cast<double>(maximum) / value_unit;
      minute.last = static_cast<double>(last) / value_unit;
      minute.mean = static_cast<double>(mean) / mean_unit;
    } else {
      for (double* number : {&minute.minimum, &minute.maximum, &minute.last, &minute.mean}) *number = in.real();
    }
    minute.first_ms = static_cast<uint32_t>(in.unsigned_number());
    const int64_t tail = in.signed_number();
    minute.holds = (tail & 1) == 0;
    minute.covered_ms = static_cast<uint32_t>(
        std::clamp<int64_t>(kMinuteMs - static_cast<int64_t>(minute.first_ms) - (tail >> 1), 0, kMinuteMs));
    minute.count = static_cast<uint32_t>(in.unsigned_number());
  }
  if (!in.ok() || !in.at_end()) return false;
  hour.present_ = present;
  return true;
}

}  // namespace millrace
