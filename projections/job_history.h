// SPDX-License-Identifier: Apache-2.0
// The view "job_history": one record per print, from the best evidence in the log, whatever the order in which it came.
// A second JobStarted or JobFinished of a job is evidence about that job, never a second job.
//
// Keys: "j/<job id>" -> JobView; "d/<job id>" -> JobDetail; "t/<start, newest first><job id>" -> job id;
// "r/<machine>/<start_us>" -> the local id of a print whose row turned up later (JobIdentified); "s/reasons" ->
// VerdictReasons.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "projections/job_evidence.h"
#include "projections/projection.h"
#include "schemas/view_generated.h"

namespace millrace {

inline constexpr std::string_view kJobHistoryView = "job_history";

std::unique_ptr<const Projection> make_job_history();

// The job id in a "j/..." key of ChangedKeys.
std::string_view job_id_of_key(std::string_view key);

// The job in the bytes of a "j/..." key as it is shown: a person's values in place of the machine's.  nullopt for bytes
// that are none.  Only the fold itself reads a record otherwise.
std::optional<schema::JobViewT> decode_job(std::string_view bytes);

// When it started and ended as people should read it.
ShownTime started_at(const schema::JobViewT& job);
ShownTime ended_at(const schema::JobViewT& job);

struct JobQuery {
  std::string machine;                    // empty: any
  std::set<schema::JobOutcome> outcomes;  // empty: any
  std::optional<WallTime> from;           // shown start at or after
  std::optional<WallTime> to;             // shown start before
  std::string filename_part;              // letters A-Z match whatever their case; empty: any
  bool hidden = false;                    // hidden ones too
  std::string after;                      // JobPage::next of the page before; empty: from the newest
  size_t limit = 50;
  size_t scanned = 20'000;  // at most so many jobs are looked at for one page
};

struct JobPage {
  std::vector<schema::JobViewT> jobs;  // newest start first
  std::string next;                    // empty: there are no more; else go on with JobQuery::after, also after few jobs
};

// kInvalidArgument for an `after` that is no place in the list; kCorrupt, kIo.
// Every page is found by looking at jobs one after the other; JobIndex answers large histories faster.
Result<JobPage> list_jobs(const ViewReader& reader, const JobQuery& query);

// One job as it is shown.  kNotFound.
Result<schema::JobViewT> read_job(const ViewReader& reader, const std::string& id);

struct JobPart {
  schema::JobViewT job;
  schema::JobDetailT detail;
};
// `id` may also be the row's id of a job that has a local one.  kNotFound.
Result<JobPart> find_job(const ViewReader& reader, const std::string& id);

// The reasons that are offered for a verdict, in their order: those of the last VerdictReasonsChanged, or a default.
Result<std::vector<std::string>> verdict_reasons(const ViewReader& reader);

}  // namespace millrace
