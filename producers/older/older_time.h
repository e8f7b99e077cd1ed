// SPDX-License-Identifier: Apache-2.0
// Times as the older systems stored them, and the zones that some of them forgot.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/result.h"

namespace millrace {

struct OlderTime {
  int64_t us = 0;  // Unix microseconds, read as UTC where the text names no other zone
  // Whether the text itself says where on earth that is: an offset other than that of UTC.  "Z" and "+00:00" say
  // nothing, since both older systems write them behind local times too.
  bool has_zone = false;
  bool whole_seconds = true;  // no fraction: MySQL keeps none
};

// "2026-01-05 10:00:00", with "T" or a blank, with or without seconds, a fraction, and an offset; "+00:00Z" too, which
// 3d-print-logger writes; a date alone is its midnight; whole or broken Unix seconds.  nullopt for anything else and
// for times before 1970 or after 9999.
std::optional<OlderTime> read_older_time(std::string_view text);

// The rules of one zone, from the system's time zone database.
class LocalZone {
 public:
  // `name` as in the IANA database: "Europe/Berlin", "UTC".  kInvalidArgument for one that is not there.
  static Result<LocalZone> load(std::string_view name, const std::filesystem::path& database = "/usr/share/zoneinfo");

  // The instant at which clocks of the zone show `local_us`; of an hour that comes twice the first time, in one that is
  // left out by the offset behind it.  The file's last offset holds for what lies behind the file.
  int64_t to_utc_us(int64_t local_us) const;
  const std::string& name() const { return name_; }

 private:
  struct Change {
    int64_t at_s = 0;      // UTC, when the offset begins
    int64_t offset_s = 0;  // local minus UTC
  };
  std::string name_;
  std::vector<Change> changes_;  // ascending; the first one has held for ever
};

}  // namespace millrace
