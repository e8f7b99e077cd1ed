// SPDX-License-Identifier: Apache-2.0
// Which rows of Moonraker's history have already become events, and how well their end is established.  Bounded: the
// longest untouched settled one goes first.  A row that was forgotten is told again under the same job id, which views
// take as evidence and not as a second job.  One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "bus/events.h"

namespace millrace {

struct KnownRow {
  int64_t start_us = 0;
  uint32_t filename_hash = 0;
  uint32_t ordinal = 1;                                   // above 1: another print with the same start_us
  schema::JobEvidence ended = schema::JobEvidence::none;  // best evidence given so far
  bool final_told = false;                                // its conclusive row was told, or must never be (a split row)
  bool split = false;    // Moonraker's one row for two prints: it says nothing about either end
  std::string local_id;  // job id where it is not made from start_us
};

class KnownRows {
 public:
  static constexpr size_t kMaxRows = 150;  // three pages

  // nullptr when unknown.  Pointers are valid until the next add().
  KnownRow* find(int64_t start_us, std::string_view filename);
  // Precondition: find() gave nullptr.
  KnownRow& add(int64_t start_us, std::string_view filename);
  // As stored.
  void restore(KnownRow row);

  const std::deque<KnownRow>& rows() const { return rows_; }

 private:
  void make_room();
  std::deque<KnownRow> rows_;  // oldest first
};

uint32_t hash_of_filename(std::string_view filename);

}  // namespace millrace
