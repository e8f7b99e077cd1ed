// SPDX-License-Identifier: Apache-2.0
#include "projections/job_merge.h"

#include <algorithm>

#include "projections/job_said.h"

namespace millrace {
namespace {

using schema::JobViewT;

// The three numbers belong together: they are taken or left as one.
struct Numbers {
  std::optional<double> total, print, filament;
};

Numbers numbers_of(const JobViewT& job) { return {job.total_duration, job.print_duration, job.filament_used}; }

template <class Event>
Numbers numbers_in(const Event& event) {
  return {plausible(event.total_duration()), plausible(event.print_duration()), plausible(event.filament_used())};
}

void set_numbers(JobViewT& job, const Numbers& numbers) {
  job.total_duration = numbers.total;
  job.print_duration = numbers.print;
  job.filament_used = numbers.filament;
}

// A conclusive row's numbers are final (the first such row stays); otherwise the largest total with its companions.
void offer_numbers(JobViewT& job, const Numbers& numbers, uint64_t row_position) {
  if (!numbers.total) return;
  const bool of_row = row_position != 0;
  if (of_row) {
    if (job.numbers_of_row != 0 && job.numbers_of_row <= row_position) return;
    job.numbers_of_row = row_position;
    set_numbers(job, numbers);
  } else if (job.numbers_of_row == 0 && (!job.total_duration || *numbers.total > *job.total_duration)) {
    set_numbers(job, numbers);
  }
}

void offer_user(JobViewT& job, std::string_view user, uint64_t position) {
  if (user.empty() || position < job.row_position) return;
  job.user = user;
  job.row_position = position;
}

void fill(std::string& held, std::string_view offered) {
  if (held.empty()) held = offered;
}

void close_pause(JobViewT& job, int64_t at_us) {
  if (job.paused_since_us == 0) return;
  if (at_us > job.paused_since_us) job.paused_us += at_us - job.paused_since_us;
  job.paused_since_us = 0;
}

bool ended(const JobViewT& job) { return job.end_position != 0; }

// Whether a start that was seen like this says more than the one that is held.
bool is_nearer(schema::JobSeen seen, schema::JobSeen held) {
  if (held == schema::JobSeen::imported) return seen == schema::JobSeen::live || seen == schema::JobSeen::history;
  return held == schema::JobSeen::history && seen == schema::JobSeen::live;
}

}  // namespace

void add_start(JobViewT& job, const schema::JobStarted& event, int64_t observed_us, uint64_t position) {
  fill(job.filename, text(event.filename()));
  fill(job.moonraker_job_id, text(event.moonraker_job_id()));
  offer_user(job, text(event.user()), position);
  if (job.start_us == 0 && event.start_us() > 0) job.start_us = event.start_us();
  const bool first = job.start_observed_us == 0;
  const bool better = first || is_nearer(event.seen(), job.start_seen);
  if (!better) return;
  // The skew of the moment itself beats the one found when a row is read later.
  job.start_observed_us = observed_us;
  job.start_seen = event.seen();
  if (event.skew_ms()) job.start_skew_ms = event.skew_ms();
}

void add_end(JobViewT& job, const schema::JobFinished& event, const EndTimes& times, uint64_t position) {
  fill(job.moonraker_job_id, text(event.moonraker_job_id()));
  offer_user(job, text(event.user()), position);
  if (job.start_us == 0 && event.start_us() > 0) job.start_us = event.start_us();
  const bool conclusive_row = !text(event.row_status()).empty() && event.evidence() == schema::JobEvidence::conclusive;
  offer_numbers(job, numbers_in(event), conclusive_row ? position : 0);
  const auto outcome = ending_of(event.outcome());
  if (!outcome || !wins({event.evidence(), position}, {job.evidence, job.end_position})) return;
  if (!ended(job)) close_pause(job, event.last_observed_us() > 0 ? event.last_observed_us() : times.observed_us);
  job.outcome = *outcome;
  job.cause = text(event.cause());
  job.text = text(event.text());
  job.evidence = event.evidence();
  job.end_position = position;
  job.end_us = end_machine_us(event, times.occurred_us);
  job.end_fallback_us = end_fallback_us(event, times.observed_us);
  job.end_skew_ms = event.skew_ms();
  job.end_seen = event.seen();
  job.row_status = text(event.row_status());
  job.late = event.late();
  job.last_observed_us = event.last_observed_us();
  if (*outcome == schema::JobOutcome::completed) job.progress = 1.0;
}

void add_entered(JobViewT& job, const schema::JobEntered& event, int64_t observed_us, uint64_t position) {
  fill(job.filename, text(event.filename()));
  offer_user(job, text(event.user()), position);
  if (job.start_us == 0 && event.start_us() > 0) job.start_us = event.start_us();
  if (job.start_observed_us == 0) {
    job.start_observed_us = observed_us;
    job.start_seen = schema::JobSeen::entered;
  }
  if (job.numbers_of_row == 0 || position < job.numbers_of_row) {
    job.numbers_of_row = position;
    set_numbers(job, numbers_in(event));
  }
  const auto outcome = ending_of(event.outcome());
  if (!outcome || !wins({schema::JobEvidence::person, position}, {job.evidence, job.end_position})) return;
  if (!ended(job)) close_pause(job, observed_us);
  job.outcome = *outcome;
  job.cause = text(event.cause());
  job.text = text(event.text());
  job.evidence = schema::JobEvidence::person;
  job.end_position = position;
  job.end_us = event.end_us();
  job.end_fallback_us = 0;
  job.end_skew_ms = std::nullopt;
  job.end_seen = schema::JobSeen::entered;
  if (*outcome == schema::JobOutcome::completed) job.progress = 1.0;
}

void add_progress(JobViewT& job, const schema::JobProgressed& event) {
  offer_numbers(job, numbers_in(event), 0);
  if (ended(job)) return;
  if (const auto progress = plausible(event.progress())) job.progress = std::min(*progress, 1.0);
  if (event.layer()) job.layer = event.layer();
  if (event.total_layers()) job.total_layers = event.total_layers();
}

void add_pause(JobViewT& job, std::string_view cause, int64_t observed_us) {
  if (ended(job)) return;
  if (job.paused_since_us == 0) {
    ++job.pause_count;
    job.paused_since_us = observed_us;
    job.pause_cause = cause;
  } else if (job.pause_cause.empty() || job.pause_cause == "unknown") {
    job.pause_cause = cause;
  }
}

void add_resume(JobViewT& job, int64_t observed_us) { close_pause(job, observed_us); }

void merge(JobViewT& job, const JobViewT& other) {
  fill(job.filename, other.filename);
  fill(job.moonraker_job_id, other.moonraker_job_id);
  offer_user(job, other.user, other.row_position);
  if (job.start_us == 0) job.start_us = other.start_us;
  if (other.start_observed_us != 0 && (job.start_observed_us == 0 || is_nearer(other.start_seen, job.start_seen))) {
    job.start_observed_us = other.start_observed_us;
    job.start_seen = other.start_seen;
    if (other.start_skew_ms) job.start_skew_ms = other.start_skew_ms;
  }
  offer_numbers(job, numbers_of(other), other.numbers_of_row);
  job.first_position = std::min(job.first_position, other.first_position);
  job.last_position = std::max(job.last_position, other.last_position);
  if (other.pause_count > job.pause_count) {
    job.pause_count = other.pause_count;
    job.paused_us = other.paused_us;
    job.paused_since_us = other.paused_since_us;
    job.pause_cause = other.pause_cause;
  }
  if (!job.progress) job.progress = other.progress;
  if (!job.layer) job.layer = other.layer;
  if (!job.total_layers) job.total_layers = other.total_layers;
  if (!job.objects_total) {
    job.objects_excluded = other.objects_excluded;
    job.objects_total = other.objects_total;
  }
  merge_said(job, other);
  if (!ended(other) || !wins({other.evidence, other.end_position}, {job.evidence, job.end_position})) return;
  job.outcome = other.outcome;
  job.cause = other.cause;
  job.text = other.text;
  job.evidence = other.evidence;
  job.end_position = other.end_position;
  job.end_us = other.end_us;
  job.end_fallback_us = other.end_fallback_us;
  job.end_skew_ms = other.end_skew_ms;
  job.end_seen = other.end_seen;
  job.row_status = other.row_status;
  job.late = other.late;
  job.last_observed_us = other.last_observed_us;
  if (job.outcome == schema::JobOutcome::completed) job.progress = 1.0;
  close_pause(job, other.end_fallback_us);
}

void merge(schema::JobDetailT& detail, const schema::JobDetailT& other) {
  const bool newer = other.position > detail.position;
  if (!other.metadata_json.empty() && (newer || detail.metadata_json.empty()))
    detail.metadata_json = other.metadata_json;
  if (!other.auxiliary_json.empty() && (newer || detail.auxiliary_json.empty())) {
    detail.auxiliary_json = other.auxiliary_json;
  }
  detail.position = std::max(detail.position, other.position);
  merge_said(detail, other);
}

int64_t order_of(const JobViewT& job) {
  if (const auto* start = correction_of(job, "start_us")) return start->integer;
  return job.start_us != 0 ? job.start_us : job.start_observed_us;
}

}  // namespace millrace
