// SPDX-License-Identifier: Apache-2.0
// Which jobs a request asks for: the parameters that the list and the export share.
#pragma once

#include "projections/job_index.h"
#include "web/edge/query.h"

namespace millrace {

// machine, outcome, verdict, tag, from, to, q, hidden, sort, order.
const std::vector<Parameter>& job_filter_parameters();

// Without cursor and limit.  kInvalidArgument names the parameter, its value and what would be right.
Result<JobListQuery> job_query_in(const HttpRequest& request);

// "good" and the like; nullopt for another word.
std::optional<schema::JobVerdict> verdict_named(std::string_view name);
std::optional<schema::JobOutcome> outcome_named(std::string_view name);

}  // namespace millrace
