// SPDX-License-Identifier: Apache-2.0
// Pages through Moonraker's history, newest first, until a page holds nothing new.  Not with `since`: it compares
// start times, and rows written while the printer's clock was behind would be missed.  Pure; one thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bus/json_reader.h"
#include "producers/moonraker/history_row.h"
#include "producers/moonraker/protocol_errors.h"

namespace millrace {

class HistoryBackfill {
 public:
  static constexpr size_t kPage = 50;
  static constexpr size_t kOverlap = 5;       // a row may come or go between two pages
  static constexpr size_t kMaxRows = 20'000;  // older ones are left to an import

  enum class Step { kMore, kDone, kMalformed };
  // True for a row about whose end nothing remains to be learnt.
  using IsSettled = std::function<bool(const HistoryRow&)>;

  explicit HistoryBackfill(ProtocolErrors& errors) : errors_(errors) {}

  void begin();
  // Parameters of server.history.list for the page that is due.
  std::string params() const;
  Step on_page(const Json& result, const IsSettled& is_settled);
  // Newest first, without repetition.
  std::vector<HistoryRow> take_rows() { return std::move(rows_); }
  // Whether older rows than those of kMaxRows were left out.
  bool truncated() const { return start_ >= kMaxRows; }

 private:
  bool keep(HistoryRow row);  // false: it repeats one

  ProtocolErrors& errors_;
  size_t start_ = 0;
  std::vector<HistoryRow> rows_;
};

}  // namespace millrace
