// SPDX-License-Identifier: Apache-2.0
#include "cli/moonraker_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "producers/moonraker/python_numbers.h"
#include "producers/moonraker/read_pause.h"

namespace millrace {
namespace {

constexpr size_t kShownBytes = 1024;  // of a row that cannot be used

// "Sat, 21 Nov 2026 19:49:27 GMT"
std::optional<int64_t> http_date(const HttpResponse& response) {
  for (const auto& [name, value] : response.headers) {
    if (name != "date") continue;
    std::tm time{};
    const char* end = ::strptime(value.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &time);
    if (end == nullptr || *end != '\0') return std::nullopt;
    return static_cast<int64_t>(::timegm(&time));
  }
  return std::nullopt;
}

bool may_pass(const Result<HttpResponse>& answer) {
  if (!answer) return answer.error().code == Errc::kUnavailable || answer.error().code == Errc::kTimeout;
  return answer->status == 429 || answer->status >= 500;
}

Error refusal(const HttpResponse& answer) {
  const std::string said = answer.body.substr(0, 200);
  if (answer.status == 401 || answer.status == 403) {
    return make_error(Errc::kUnavailable,
                      fmt::format("Moonraker answers {}: it wants its API key (--api-key-file)", answer.status));
  }
  if (answer.status == 404) {
    return make_error(Errc::kNotFound, "Moonraker answers 404: it keeps no history ([history] in moonraker.conf)");
  }
  return make_error(Errc::kUnavailable, fmt::format("Moonraker answers {}: {}", answer.status, said));
}

}  // namespace

Result<std::vector<HistoryRow>> MoonrakerHistory::next() {
  while (!ended_) {
    const auto jobs = page();
    if (!jobs) return jobs.error();
    if (!*jobs) continue;
    auto rows = take(**jobs);
    if (!rows) return rows;
    if (!rows->empty()) return rows;
  }
  return std::vector<HistoryRow>{};
}

Result<HttpResponse> MoonrakerHistory::ask(const std::string& target) {
  for (int retry = 0;; ++retry) {
    auto answer = parts_.fetch(target);
    if (!may_pass(answer) || retry == kMaxReadRetries) return answer;
    const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(read_pause(retry, random_));
    const std::string why = answer ? fmt::format("Moonraker answers {}", answer->status) : answer.error().context;
    if (!parts_.pause(pause, retry + 1, why)) return answer;
  }
}

// nullopt when a smaller page is to be asked for, or the next one.
Result<std::optional<Json>> MoonrakerHistory::page() {
  const auto answer = ask(fmt::format("/server/history/list?limit={}&start={}&order=asc", limit_, start_));
  const bool too_large = !answer && answer.error().code == Errc::kTooLarge;
  if (!answer && !too_large) return answer.error();
  if (answer && answer->status != 200) return refusal(*answer);
  if (answer) {
    if (const auto time = http_date(*answer)) machine_unix_s_ = time;
    const auto root = reader_.parse(with_numbers_as_json_has_them(answer->body));
    if (root) {
      const auto result = member(*root, "result");
      const auto jobs = result ? member(*result, "jobs") : std::nullopt;
      if (jobs && jobs->is_array()) return jobs;
      return make_error(Errc::kMalformed,
                        fmt::format("the answer holds no list of jobs; is that a Moonraker? It says: {}",
                                    answer->body.substr(0, 200)));
    }
  }
  if (limit_ > 1) {
    limit_ = std::max<size_t>(1, limit_ / 4);
    return std::optional<Json>();
  }
  if (auto skipped = skip_unreadable(answer ? std::string_view(answer->body) : "more than an answer may be");
      !skipped) {
    return skipped.error();
  }
  return std::optional<Json>();
}

// One row alone cannot be read: the others are behind it.
Result<void> MoonrakerHistory::skip_unreadable(std::string_view body) {
  ++unreadable_in_a_row_;
  if (unreadable_in_a_row_ > kMaxUnreadable) {
    return make_error(Errc::kMalformed, fmt::format("{} answers one after the other are no JSON; is that a Moonraker?",
                                                    unreadable_in_a_row_));
  }
  ++unusable_;
  warn(1, "cannot be read", body);
  ++start_;
  return {};
}

void MoonrakerHistory::warn(size_t of_page, std::string_view why, std::string_view raw) {
  if (unusable_ > kMaxWarnings) return;
  parts_.warn(fmt::format("row {} {}: {}", start_ + of_page, why, raw.substr(0, kShownBytes)));
  if (unusable_ == kMaxWarnings) parts_.warn("further rows that cannot be used are only counted");
}

bool MoonrakerHistory::is_of_last_page(const HistoryRow& row) const {
  return std::any_of(last_page_.begin(), last_page_.end(),
                     [&](const auto& other) { return other.first == row.start_us && other.second == row.filename; });
}

Result<std::vector<HistoryRow>> MoonrakerHistory::take(const Json& jobs) {
  std::vector<HistoryRow> rows;
  std::vector<std::pair<int64_t, std::string>> names;
  size_t count = 0;
  for (const Json entry : simdjson::dom::array(jobs)) {
    ++count;
    auto row = read_history_row(entry, errors_);
    if (!row) {
      ++unusable_;
      warn(count, "has no usable start_time or status and is left out", to_text(entry));
      continue;
    }
    names.emplace_back(row->start_us, row->filename);
    if (!is_of_last_page(*row)) rows.push_back(std::move(*row));
  }
  if (rows.empty() && !names.empty() && count >= limit_ && limit_ > kOverlap) {
    return make_error(Errc::kMalformed, "the history repeats itself: pages from another start hold the same rows");
  }
  last_page_ = std::move(names);
  unreadable_in_a_row_ = 0;
  ended_ = count < limit_;
  start_ += limit_ > kOverlap * 2 ? count - std::min(count, kOverlap) : count;
  limit_ = std::min(kPage, limit_ * 4);
  return rows;
}

}  // namespace millrace
