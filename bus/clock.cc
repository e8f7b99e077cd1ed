// SPDX-License-Identifier: Apache-2.0
// The only file that asks the system for the time.
#include "bus/clock.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace millrace {

WallTime SystemClock::wall() const { return std::chrono::time_point_cast<Micros>(std::chrono::system_clock::now()); }

MonotonicTime SystemClock::monotonic() const {
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return MonotonicTime{std::chrono::duration_cast<Micros>(now)};
}

std::string to_rfc3339(WallTime time) {
  constexpr WallTime kEarliest = std::chrono::sys_days{std::chrono::year{0} / 1 / 1};
  constexpr WallTime kLatest = std::chrono::sys_days{std::chrono::year{10'000} / 1 / 1} - Micros{1};
  time = std::clamp(time, kEarliest, kLatest);
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const auto us = static_cast<uint64_t>((time - day).count());
  // By hand: exports and lists write millions of these, and a format string costs several times as much.
  std::string text = "0000-00-00T00:00:00.000000Z";
  const auto put = [&text](size_t end, uint64_t number) {
    for (; number != 0; number /= 10) text[--end] = static_cast<char>('0' + number % 10);
  };
  put(4, static_cast<uint64_t>(static_cast<int>(date.year())));
  put(7, static_cast<unsigned>(date.month()));
  put(10, static_cast<unsigned>(date.day()));
  put(13, us / 3'600'000'000);
  put(16, us / 60'000'000 % 60);
  put(19, us / 1'000'000 % 60);
  put(26, us % 1'000'000);
  return text;
}

namespace {

// Reads exactly `width` digits off the front.
std::optional<int> take_digits(std::string_view& text, size_t width) {
  if (text.size() < width) return std::nullopt;
  int number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + width, number);
  if (error != std::errc{} || end != text.data() + width || text.front() == '-') return std::nullopt;
  text.remove_prefix(width);
  return number;
}

// RFC 3339 lets 'T' and 'Z' be small letters.
bool take(std::string_view& text, char expected) {
  const char small = expected >= 'A' && expected <= 'Z' ? static_cast<char>(expected + ('a' - 'A')) : expected;
  if (text.empty() || (text.front() != expected && text.front() != small)) return false;
  text.remove_prefix(1);
  return true;
}

// ".123456789": digits beyond microseconds are cut off.
std::optional<Micros> take_fraction(std::string_view& text) {
  if (text.empty() || text.front() != '.') return Micros{0};
  text.remove_prefix(1);
  int64_t us = 0;
  int64_t weight = 100'000;
  size_t digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++digits) {
    us += weight * (text.front() - '0');
    weight /= 10;
  }
  if (digits == 0) return std::nullopt;
  return Micros{us};
}

std::optional<Micros> take_offset(std::string_view& text) {
  if (take(text, 'Z')) return Micros{0};
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return std::nullopt;
  const int sign = text.front() == '+' ? 1 : -1;
  text.remove_prefix(1);
  const auto hours = take_digits(text, 2);
  if (!hours || *hours > 23 || !take(text, ':')) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return sign * (std::chrono::hours{*hours} + std::chrono::minutes{*minutes});
}

}  // namespace

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day || !take(text, 'T')) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || *minute > 59 || !take(text, ':')) return std::nullopt;
  const auto second = take_digits(text, 2);
  if (!second || *second > 60) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return WallTime{std::chrono::sys_days{date}} + std::chrono::hours{*hour} + std::chrono::minutes{*minute} +
         std::chrono::seconds{*second} + *fraction - *offset;
}

}  // namespace millrace
