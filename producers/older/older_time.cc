// SPDX-License-Identifier: Apache-2.0
#include "producers/older/older_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "bus/clock.h"
#include "bus/file_io.h"
#include "producers/moonraker/history_row.h"

namespace millrace {
namespace {

constexpr size_t kMaxText = 64;
constexpr size_t kDate = 10;     // "2026-01-05"
constexpr size_t kMinutes = 16;  // "2026-01-05T10:00"
constexpr size_t kSeconds = 19;

bool is_offset(std::string_view text) {
  return text.size() == 6 && (text[0] == '+' || text[0] == '-') && text[3] == ':';
}

std::optional<OlderTime> unix_seconds(std::string_view text) {
  double seconds = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  const auto us = unix_micros(seconds);
  if (!us || *us <= 0) return std::nullopt;
  return OlderTime{*us, true, std::floor(seconds) == seconds};
}

// A big-endian number of `bytes` bytes, as TZif files (RFC 8536) hold them.
int64_t big_endian(std::string_view data, size_t at, size_t bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes; ++i) number = number << 8 | static_cast<uint8_t>(data[at + i]);
  if (bytes == 4) return static_cast<int32_t>(static_cast<uint32_t>(number));
  return static_cast<int64_t>(number);
}

struct TzifCounts {
  size_t utc_flags, standard_flags, leaps, times, types, letters;
  size_t bytes(size_t of_time) const {
    return times * (of_time + 1) + types * 6 + letters + leaps * (of_time + 4) + standard_flags + utc_flags;
  }
};
constexpr size_t kTzifHeader = 44;

std::optional<TzifCounts> tzif_header(std::string_view data, size_t at) {
  if (data.size() < at + kTzifHeader || data.substr(at, 4) != "TZif") return std::nullopt;
  const auto count = [&](size_t i) { return static_cast<size_t>(big_endian(data, at + 20 + 4 * i, 4) & 0xfffff); };
  return TzifCounts{count(0), count(1), count(2), count(3), count(4), count(5)};
}

bool is_zone_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxText && name.front() != '/' && name.find("..") == std::string_view::npos &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '_' ||
                  c == '-' || c == '+';
         });
}

Error no_zone(std::string_view name, std::string_view why) {
  return make_error(Errc::kInvalidArgument,
                    fmt::format("zone '{}': {}; expected a name of the time zone database such as Europe/Berlin or UTC",
                                name.substr(0, kMaxText), why));
}

}  // namespace

std::optional<OlderTime> read_older_time(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.size() > kMaxText) return std::nullopt;
  if (text.size() < kDate || text[4] != '-') return unix_seconds(text);
  std::string stamp(text);
  if (stamp.size() == kDate) stamp += "T00:00:00Z";
  if (stamp[kDate] == ' ') stamp[kDate] = 'T';
  if (stamp.ends_with('Z')) stamp.pop_back();
  std::string offset = "+00:00";
  if (stamp.size() > offset.size() && is_offset(std::string_view(stamp).substr(stamp.size() - offset.size()))) {
    offset = stamp.substr(stamp.size() - offset.size());
    stamp.resize(stamp.size() - offset.size());
  }
  if (stamp.size() == kMinutes) stamp += ":00";
  OlderTime time;
  time.whole_seconds = stamp.size() <= kSeconds || stamp.find_first_not_of(".0", kSeconds) == std::string::npos;
  time.has_zone = offset != "+00:00" && offset != "-00:00";
  const auto parsed = parse_rfc3339(stamp + offset);
  if (!parsed || to_unix_us(*parsed) <= 0) return std::nullopt;
  time.us = to_unix_us(*parsed);
  return time;
}

Result<LocalZone> LocalZone::load(std::string_view name, const std::filesystem::path& database) {
  if (!is_zone_name(name)) return no_zone(name, "is no name of a zone");
  LocalZone zone;
  zone.name_ = name;
  if (name == "UTC") {
    zone.changes_.push_back({});
    return zone;
  }
  const auto file = read_file(database / name);
  if (!file) {
    return no_zone(name, std::filesystem::exists(database / "Europe") ? "is not there"
                                                                      : "there is no time zone database (tzdata)");
  }
  const std::string& data = *file;
  const auto old = tzif_header(data, 0);
  const size_t second = old ? kTzifHeader + old->bytes(4) : 0;
  const auto counts = old ? tzif_header(data, second) : std::nullopt;
  const size_t begin = second + kTzifHeader;
  if (!counts || counts->types == 0 || data.size() < begin + counts->bytes(8)) return no_zone(name, "cannot be read");
  const size_t kinds = begin + counts->times * 8;
  const size_t types = kinds + counts->times;
  const auto offset_of = [&](size_t type) { return big_endian(data, types + 6 * type, 4); };
  zone.changes_.push_back({0, offset_of(0)});
  for (size_t i = 0; i < counts->times; ++i) {
    const auto type = static_cast<uint8_t>(data[kinds + i]);
    if (type >= counts->types) return no_zone(name, "cannot be read");
    zone.changes_.push_back({big_endian(data, begin + 8 * i, 8), offset_of(type)});
  }
  return zone;
}

int64_t LocalZone::to_utc_us(int64_t local_us) const {
  constexpr int64_t kUs = 1'000'000;
  // The first period that has not ended by the local time when its own offset is taken for it.
  for (size_t i = 0; i + 1 < changes_.size(); ++i) {
    if (local_us < (changes_[i + 1].at_s + changes_[i].offset_s) * kUs) return local_us - changes_[i].offset_s * kUs;
  }
  return local_us - changes_.back().offset_s * kUs;
}

}  // namespace millrace
