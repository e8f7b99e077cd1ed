// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "projections/job_history.h"
#include "projections/job_history_keys.h"
#include "projections/job_said.h"
#include "projections/record.h"

namespace millrace {
namespace {

using schema::JobViewT;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

bool matches(const JobViewT& job, const JobQuery& query) {
  if (job.hidden && !query.hidden) return false;
  if (!query.machine.empty() && job.machine != query.machine) return false;
  if (!query.outcomes.empty() && !query.outcomes.contains(job.outcome)) return false;
  const WallTime start = from_unix_us(started_at(job).us);
  if (query.from && start < *query.from) return false;
  if (query.to && start >= *query.to) return false;
  return query.filename_part.empty() || contains_ignoring_case(job.filename, query.filename_part);
}

// Short codes: the web app has words for them.
constexpr std::array<std::string_view, 11> kDefaultReasons{"adhesion", "warping",  "stringing", "layer_shift",
                                                           "clog",     "runout",   "power",     "operator",
                                                           "file",     "hardware", "other"};

}  // namespace

ShownTime started_at(const JobViewT& job) {
  const ShownTime row = shown_time(job.start_us, job.start_skew_ms);
  return row.us != 0 ? row : ShownTime{job.start_observed_us, false};
}

ShownTime ended_at(const JobViewT& job) {
  const ShownTime row = shown_time(job.end_us, job.end_skew_ms);
  return row.us != 0 ? row : ShownTime{job.end_fallback_us, false};
}

std::optional<JobViewT> decode_job(std::string_view bytes) {
  auto job = decode_record<schema::JobView>(bytes);
  if (!job) return std::nullopt;
  return job->corrections.empty() ? std::move(*job) : as_corrected(std::move(*job));
}

Result<JobViewT> read_job(const ViewReader& reader, const std::string& id) {
  const auto stored = reader.get(kJobHistoryView, job_keys::job(id));
  if (!stored) return stored.error();
  if (!*stored) return make_error(Errc::kNotFound, fmt::format("there is no job '{}'", id));
  auto job = decode_job(**stored);
  if (!job) return make_error(Errc::kCorrupt, fmt::format("job_history: record of '{}'", id));
  return std::move(*job);
}

Result<JobPage> list_jobs(const ViewReader& reader, const JobQuery& query) {
  KeyRange range = KeyRange::prefix(job_keys::kOrderPrefix);
  if (!query.after.empty()) {
    if (!query.after.starts_with(job_keys::kOrderPrefix)) {
      return make_error(Errc::kInvalidArgument, "the place to go on from is not one of this list");
    }
    range.from = query.after + '\0';
  }
  JobPage page;
  std::optional<Error> failed;
  std::string last_key;
  size_t scanned = 0;
  const auto done = reader.scan(kJobHistoryView, range, [&](std::string_view key, std::string_view id) {
    // One more key than fits says that there is a next page.
    if (page.jobs.size() == query.limit || scanned == query.scanned) {
      page.next = last_key;
      return false;
    }
    ++scanned;
    last_key = key;
    auto job = read_job(reader, std::string(id));
    if (!job) {
      failed = job.error();
      return false;
    }
    if (matches(*job, query)) page.jobs.push_back(std::move(*job));
    return true;
  });
  if (!done) return done.error();
  if (failed) return *failed;
  return page;
}

Result<JobPart> find_job(const ViewReader& reader, const std::string& id) {
  auto job = read_job(reader, id);
  if (!job && job.error().code == Errc::kNotFound) {
    const std::string machine = id.substr(0, id.find('.'));
    if (const auto start_us = row_start_of(id, machine)) {
      const auto local = reader.get(kJobHistoryView, job_keys::row(machine, *start_us));
      if (!local) return local.error();
      if (*local) job = read_job(reader, **local);
    }
  }
  if (!job) return job.error();
  JobPart part;
  part.job = std::move(*job);
  const auto stored = reader.get(kJobHistoryView, job_keys::detail(part.job.id));
  if (!stored) return stored.error();
  if (*stored) {
    if (auto detail = decode_record<schema::JobDetail>(**stored)) part.detail = std::move(*detail);
  }
  return part;
}

Result<std::vector<std::string>> verdict_reasons(const ViewReader& reader) {
  const auto stored = reader.get(kJobHistoryView, job_keys::kReasons);
  if (!stored) return stored.error();
  if (*stored) {
    if (auto record = decode_record<schema::VerdictReasons>(**stored)) return std::move(record->reasons);
  }
  return std::vector<std::string>(kDefaultReasons.begin(), kDefaultReasons.end());
}

}  // namespace millrace
