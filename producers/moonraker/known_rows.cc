// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/known_rows.h"

#include <algorithm>

namespace millrace {

// FNV-1a, 32 bits: stable across versions and machines, because it is stored.
uint32_t hash_of_filename(std::string_view filename) {
  uint32_t hash = 2166136261u;
  for (const char c : filename) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

KnownRow* KnownRows::find(int64_t start_us, std::string_view filename) {
  const uint32_t hash = hash_of_filename(filename);
  const auto found = std::ranges::find_if(
      rows_, [&](const KnownRow& row) { return row.start_us == start_us && row.filename_hash == hash; });
  return found == rows_.end() ? nullptr : &*found;
}

KnownRow& KnownRows::add(int64_t start_us, std::string_view filename) {
  make_room();
  KnownRow row;
  row.start_us = start_us;
  row.filename_hash = hash_of_filename(filename);
  for (const KnownRow& other : rows_) {
    if (other.start_us == start_us) row.ordinal = std::max(row.ordinal, other.ordinal + 1);
  }
  return rows_.emplace_back(std::move(row));
}

void KnownRows::restore(KnownRow row) {
  make_room();
  rows_.push_back(std::move(row));
}

void KnownRows::make_room() {
  if (rows_.size() < kMaxRows) return;
  const auto settled = std::ranges::find_if(rows_, &KnownRow::final_told);
  rows_.erase(settled == rows_.end() ? rows_.begin() : settled);
}

}  // namespace millrace
