// SPDX-License-Identifier: Apache-2.0
// How evidence about one print is put together: the rules of job identity (docs/projections.md) as pure functions over
// one record.
#pragma once

#include "projections/job_evidence.h"
#include "schemas/view_generated.h"

namespace millrace {

// The header's times of a JobFinished; occurred is 0 when the machine did not say.
struct EndTimes {
  int64_t occurred_us = 0;
  int64_t observed_us = 0;
};

void add_start(schema::JobViewT& job, const schema::JobStarted& event, int64_t observed_us, uint64_t position);
void add_end(schema::JobViewT& job, const schema::JobFinished& event, const EndTimes& times, uint64_t position);
// Entered by a person: a start and an end with the rank of a person.
void add_entered(schema::JobViewT& job, const schema::JobEntered& event, int64_t observed_us, uint64_t position);
void add_progress(schema::JobViewT& job, const schema::JobProgressed& event);
void add_pause(schema::JobViewT& job, std::string_view cause, int64_t observed_us);
void add_resume(schema::JobViewT& job, int64_t observed_us);

// Two records turn out to be one print: everything that `other` knows better goes into `job`, whose id stays.
void merge(schema::JobViewT& job, const schema::JobViewT& other);
void merge(schema::JobDetailT& detail, const schema::JobDetailT& other);

// The time that the list is sorted by.
int64_t order_of(const schema::JobViewT& job);

}  // namespace millrace
