// SPDX-License-Identifier: Apache-2.0
#include "projections/known_print.h"

#include <fmt/format.h>

#include "projections/job_history.h"
#include "projections/job_history_keys.h"
#include "projections/record.h"

namespace millrace {
namespace {

constexpr uint32_t kMaxOrdinal = 100;  // a clock that stood still for so many prints is nobody's

Result<std::optional<schema::JobViewT>> stored_job(const ViewReader& reader, const std::string& id) {
  const auto stored = reader.get(kJobHistoryView, job_keys::job(id));
  if (!stored) return stored.error();
  if (!*stored) return std::optional<schema::JobViewT>();
  auto job = decode_record<schema::JobView>(**stored);
  if (!job) return make_error(Errc::kCorrupt, fmt::format("job_history: record of '{}'", id));
  return job;
}

bool is_unreadable(std::string_view name) { return name.find_first_not_of('*') == std::string_view::npos; }

// Two prints with one start differ in their file.  A name that a person corrected or made unreadable says nothing, but
// the number of the row then does.
bool is_same_print(const schema::JobViewT& job, const RowIdentity& row) {
  return job.filename == row.filename || is_unreadable(job.filename) ||
         (!row.moonraker_job_id.empty() && job.moonraker_job_id == row.moonraker_job_id);
}

}  // namespace

Result<KnownPrint> find_print(const ViewReader& reader, const RowIdentity& row) {
  KnownPrint known;
  const std::string row_id = fmt::format("{}.{}", row.machine, row.start_us);
  for (; known.ordinal < kMaxOrdinal; ++known.ordinal) {
    std::string id = known.ordinal == 1 ? row_id : fmt::format("{}-{}", row_id, known.ordinal);
    if (known.ordinal == 1) {
      const auto local = reader.get(kJobHistoryView, job_keys::row(row.machine, row.start_us));
      if (!local) return local.error();
      if (*local) id = **local;
    }
    auto job = stored_job(reader, id);
    if (!job) return job.error();
    if (!*job) return known;
    if (!is_same_print(**job, row)) continue;
    known.job = std::move(**job);
    return known;
  }
  return known;
}

bool is_end_known(const schema::JobViewT& job, const RowEnd& row) {
  if (job.end_position == 0) return false;
  if (!row.conclusive) return true;
  // A print that was split within one poll: Moonraker's one row for two prints says nothing about either (L7).
  const bool split = job.evidence == schema::JobEvidence::observed && job.cause == "replaced" && job.row_status.empty();
  if (split || job.numbers_of_row != 0) return true;
  return job.evidence >= schema::JobEvidence::conclusive && (job.row_status == row.status || !row.has_numbers);
}

}  // namespace millrace
