// SPDX-License-Identifier: Apache-2.0
#include "projections/known_print.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "projections/job_evidence.h"
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

// job-identity: a start seen elsewhere lies within 5 s of its row's.
constexpr int64_t kStartMarginUs = 5'000'000;
// Of prints that were only seen: two clocks, and a look now and then.
constexpr int64_t kSightMarginUs = 60'000'000;
constexpr int64_t kQuarterHourUs = 900'000'000;
constexpr int64_t kMaxShiftUs = int64_t{14} * 3'600'000'000;
constexpr int64_t kLongestPrintUs = int64_t{3} * 86'400'000'000;  // where one that went on is looked for

std::string_view without_cache(std::string_view file) {
  constexpr std::string_view kCache = ".cache/";
  return file.starts_with(kCache) ? file.substr(kCache.size()) : file;
}

// One look through the prints around a sight, newest first.
class Looking {
 public:
  Looking(const ViewReader& reader, const OlderSight& sight)
      : reader_(reader), sight_(sight), prefix_(sight.machine + "."), of_row_(!sight.moonraker_job_id.empty()) {}

  int64_t latest() const { return of_row_ ? sight_.from_us + row_window() : sight_.to_us + kSightMarginUs; }
  int64_t earliest() const { return sight_.from_us - (of_row_ ? row_window() : kLongestPrintUs); }

  // `order_us` is the start that the list has the print at.
  Result<void> at(std::string_view id, int64_t order_us) {
    if (!id.starts_with(prefix_) || id == sight_.except) return {};
    // Most are told apart by this, without their records being read.
    if (of_row_ && !shift_between(sight_.from_us, order_us)) return {};
    const std::string job_id(id);
    auto job = stored_job(reader_, job_id);
    if (!job) return job.error();
    if (!*job || without_cache((*job)->filename) != without_cache(sight_.filename)) return {};
    const bool of_import = (*job)->start_seen == schema::JobSeen::imported;
    if (sight_.imports_only && !of_import) return {};
    if (sight_.rows_only && (of_import || row_start_of(id, sight_.machine) != (*job)->start_us)) return {};
    if (of_row_) {
      offer_row(std::move(**job));
    } else {
      offer_overlap(std::move(**job));
    }
    return {};
  }

  NearPrint take() { return std::move(best_); }

 private:
  static int64_t start_of(const schema::JobViewT& job) { return job.start_us != 0 ? job.start_us : started_at(job).us; }

  int64_t row_window() const { return (sight_.any_zone ? kMaxShiftUs : 0) + kStartMarginUs + 1; }

  // By how many quarter hours the first lies behind the second, where it is that, give or take 5 s.
  static std::optional<int64_t> shift_between(int64_t seen_us, int64_t start_us) {
    const int64_t later = seen_us - start_us;
    const int64_t quarters = (later + (later < 0 ? -1 : 1) * kQuarterHourUs / 2) / kQuarterHourUs;
    const int64_t shift = quarters * kQuarterHourUs;
    return std::abs(later - shift) <= kStartMarginUs ? std::optional(shift) : std::nullopt;
  }

  void offer_row(schema::JobViewT job) {
    const int64_t start = start_of(job);
    const auto shift = shift_between(sight_.from_us, start);
    if (!shift || (*shift != 0 && job.moonraker_job_id != sight_.moonraker_job_id)) return;
    offer(std::move(job), std::abs(sight_.from_us - start), *shift);
  }

  void offer_overlap(schema::JobViewT job) {
    const int64_t start = start_of(job);
    const int64_t length = job.total_duration ? static_cast<int64_t>(*job.total_duration * 1e6) : 0;
    const int64_t end = std::max({start, ended_at(job).us, start + length, job.last_observed_us});
    if (!is_overlap(start, end)) return;
    offer(std::move(job), std::min(std::abs(start - sight_.from_us), std::abs(end - sight_.to_us)), 0);
  }

  // Half of the shorter of the two: the next print of a file begins when the one before has ended.  Of what is too
  // short for that, as a moment is, a minute's margin decides.
  bool is_overlap(int64_t start, int64_t end) const {
    const int64_t shorter = std::min(end - start, sight_.to_us - sight_.from_us);
    const int64_t common = std::min(end, sight_.to_us) - std::max(start, sight_.from_us);
    return shorter > 2 * kSightMarginUs ? common >= shorter / 2 : common >= -kSightMarginUs;
  }

  void offer(schema::JobViewT job, int64_t distance, int64_t shift) {
    if (best_.job && distance >= distance_) return;
    distance_ = distance;
    best_ = {std::move(job), shift};
  }

  const ViewReader& reader_;
  const OlderSight& sight_;
  const std::string prefix_;
  const bool of_row_;
  NearPrint best_;
  int64_t distance_ = 0;
};

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

Result<NearPrint> find_near_print(const ViewReader& reader, const OlderSight& sight) {
  NearPrint near;
  Looking looking(reader, sight);
  KeyRange range;
  range.from = job_keys::order(looking.latest(), "");
  range.to = job_keys::order(looking.earliest(), "");
  std::optional<Error> failed;
  const auto scanned = reader.scan(kJobHistoryView, range, [&](std::string_view key, std::string_view id) {
    if (auto looked = looking.at(id, job_keys::order_us_in(key)); !looked) failed = looked.error();
    return !failed;
  });
  if (!scanned) return scanned.error();
  if (failed) return *failed;
  return looking.take();
}

Result<bool> has_imported_sights(const ViewReader& reader, std::string_view machine) {
  bool any = false;
  const auto scanned = reader.scan(kJobHistoryView, KeyRange::prefix(job_keys::job(fmt::format("{}.i", machine))),
                                   [&](std::string_view, std::string_view) {
                                     any = true;
                                     return false;
                                   });
  if (!scanned) return scanned.error();
  return any;
}

Result<schema::JobDetailT> detail_of(const ViewReader& reader, const std::string& job_id) {
  const auto stored = reader.get(kJobHistoryView, job_keys::detail(job_id));
  if (!stored) return stored.error();
  schema::JobDetailT detail;
  if (*stored) {
    if (auto decoded = decode_record<schema::JobDetail>(**stored)) detail = std::move(*decoded);
  }
  return detail;
}

Result<std::optional<schema::JobViewT>> known_job(const ViewReader& reader, const std::string& job_id) {
  return stored_job(reader, job_id);
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
