// SPDX-License-Identifier: Apache-2.0
#include "projections/job_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "projections/job_history.h"
#include "projections/job_history_keys.h"

namespace millrace {
namespace {

// So many records that nobody asked for are passed over before it is cheaper to look the next one up.
constexpr size_t kMaxPassedOver = 24;

}  // namespace

Result<std::vector<std::optional<schema::JobViewT>>> read_jobs(const ViewReader& reader,
                                                               std::span<const std::string> ids) {
  std::vector<std::optional<schema::JobViewT>> jobs(ids.size());
  std::vector<size_t> order(ids.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ids[a] < ids[b]; });
  size_t next = 0;
  std::optional<Error> failed;
  while (next < order.size() && !failed) {
    size_t passed_over = 0;
    const size_t begun = next;
    const KeyRange range{job_keys::job(ids[order[next]]), KeyRange::prefix(job_keys::kJobPrefix).to};
    const auto scanned = reader.scan(kJobHistoryView, range, [&](std::string_view key, std::string_view value) {
      const std::string_view id = job_id_of_key(key);
      while (next < order.size() && ids[order[next]] < id) ++next;
      if (next == order.size()) return false;
      if (ids[order[next]] != id) return ++passed_over < kMaxPassedOver;
      auto job = decode_job(value);
      if (!job) {
        failed = make_error(Errc::kCorrupt, fmt::format("job_history: record of '{}'", id));
        return false;
      }
      passed_over = 0;
      jobs[order[next++]] = std::move(*job);
      for (; next < order.size() && ids[order[next]] == id; ++next) jobs[order[next]] = jobs[order[next - 1]];
      return next < order.size();
    });
    if (!scanned) return scanned.error();
    if (next == begun) break;  // the view ends before it
  }
  if (failed) return *failed;
  return jobs;
}

}  // namespace millrace
