// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/history_backfill.h"

#include <algorithm>

#include "bus/json_writer.h"

namespace millrace {

void HistoryBackfill::begin() {
  start_ = 0;
  rows_.clear();
}

std::string HistoryBackfill::params() const {
  JsonWriter json;
  json.object().field("limit", static_cast<int64_t>(kPage)).field("start", static_cast<int64_t>(start_));
  json.field("order", "desc").end();
  return json.take();
}

HistoryBackfill::Step HistoryBackfill::on_page(const Json& result, const IsSettled& is_settled) {
  const auto jobs = member(result, "jobs");
  simdjson::dom::array entries;
  if (!jobs || jobs->get_array().get(entries) != simdjson::SUCCESS) {
    errors_.note("history_page", "server.history.list without jobs");
    return Step::kMalformed;
  }
  size_t count = 0;
  size_t repeated = 0;
  bool all_settled = true;
  for (const Json entry : entries) {
    ++count;
    auto row = read_history_row(entry, errors_);
    if (!row) continue;
    all_settled = all_settled && is_settled(*row);
    if (!keep(std::move(*row))) ++repeated;
  }
  if (count < kPage || all_settled) return Step::kDone;
  if (start_ > 0 && repeated == count) {
    errors_.note("history_page", "pages from another start hold the same rows");
    return Step::kDone;
  }
  start_ += kPage - kOverlap;
  return start_ < kMaxRows ? Step::kMore : Step::kDone;
}

bool HistoryBackfill::keep(HistoryRow row) {
  // Only the overlap can repeat a row, so only the last page is searched.
  const auto begin = rows_.size() > kPage ? rows_.end() - kPage : rows_.begin();
  const bool repeated = std::any_of(begin, rows_.end(), [&](const HistoryRow& other) {
    return other.start_us == row.start_us && other.filename == row.filename;
  });
  if (!repeated) rows_.push_back(std::move(row));
  return !repeated;
}

}  // namespace millrace
