// SPDX-License-Identifier: Apache-2.0
// Reads the whole history of one Moonraker over HTTP, oldest first, page by page: one page in memory at a time.
//
// Oldest first, because what is printed meanwhile is added behind the last page and shifts none; pages overlap a little
// for rows that somebody deletes meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bus/json_reader.h"
#include "bus/random.h"
#include "net/http_types.h"
#include "producers/moonraker/history_row.h"

namespace millrace {

struct MoonrakerHistoryParts {
  // The answer to a GET of a target such as "/server/history/list?limit=500", whatever its status.
  std::function<Result<HttpResponse>(const std::string& target)> fetch;
  // Waits before a request is tried again, of which `retry` (from 1) tells and why.  False: no more, somebody wants an
  // end.
  std::function<bool(std::chrono::milliseconds time, int retry, const std::string& why)> pause;
  // Tells of a row that cannot be used, with what was said.
  std::function<void(const std::string& warning)> warn;
};

class MoonrakerHistory {
 public:
  static constexpr size_t kPage = 500;
  static constexpr size_t kOverlap = 5;
  static constexpr uint64_t kMaxWarnings = 20;     // rows told of one by one; then only counted
  static constexpr uint64_t kMaxUnreadable = 100;  // rows in a row; then it is no history

  // References outlive this.
  MoonrakerHistory(MoonrakerHistoryParts parts, ProtocolErrors& errors, Random& random)
      : parts_(std::move(parts)), errors_(errors), random_(random) {}

  // The next rows, at most kPage; none at the end.  kUnavailable when nobody answers or lets us in, kNotFound when
  // there is no history, kMalformed when what answers is no Moonraker.
  Result<std::vector<HistoryRow>> next();

  uint64_t unusable() const { return unusable_; }
  // The machine's time by the last answer that gave one, in whole seconds.
  std::optional<int64_t> machine_unix_s() const { return machine_unix_s_; }

 private:
  Result<HttpResponse> ask(const std::string& target);
  Result<std::optional<Json>> page();
  Result<std::vector<HistoryRow>> take(const Json& jobs);
  Result<void> skip_unreadable(std::string_view body);
  void warn(size_t of_page, std::string_view why, std::string_view raw);  // the row of the page that is read, from 1
  bool is_of_last_page(const HistoryRow& row) const;

  const MoonrakerHistoryParts parts_;
  ProtocolErrors& errors_;
  Random& random_;
  JsonReader reader_;
  size_t limit_ = kPage;
  uint64_t start_ = 0;
  bool ended_ = false;
  std::vector<std::pair<int64_t, std::string>> last_page_;  // start and file of its rows
  uint64_t unusable_ = 0;
  uint64_t unreadable_in_a_row_ = 0;
  std::optional<int64_t> machine_unix_s_;
};

}  // namespace millrace
