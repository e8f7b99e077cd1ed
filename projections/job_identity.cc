// SPDX-License-Identifier: Apache-2.0
#include "projections/job_identity.h"

#include <fmt/format.h>

#include "projections/job_evidence.h"
#include "projections/job_history_keys.h"

namespace millrace {
namespace {

constexpr size_t kMaxJobIdBytes = 256;

std::string_view job_id_in(const Envelope& envelope) {
  switch (envelope.type()) {
    case EventType::JobStarted:
      return text(envelope.as<schema::JobStarted>()->job_id());
    case EventType::JobPaused:
      return text(envelope.as<schema::JobPaused>()->job_id());
    case EventType::JobResumed:
      return text(envelope.as<schema::JobResumed>()->job_id());
    case EventType::JobProgressed:
      return text(envelope.as<schema::JobProgressed>()->job_id());
    case EventType::JobFinished:
      return text(envelope.as<schema::JobFinished>()->job_id());
    case EventType::JobIdentified:
      return text(envelope.as<schema::JobIdentified>()->job_id());
    case EventType::JobObjectExcluded:
      return text(envelope.as<schema::JobObjectExcluded>()->job_id());
    case EventType::JobAnnotated:
      return text(envelope.as<schema::JobAnnotated>()->job_id());
    case EventType::JobEntered:
      return text(envelope.as<schema::JobEntered>()->job_id());
    case EventType::JobCorrected:
      return text(envelope.as<schema::JobCorrected>()->job_id());
    case EventType::JobHidden:
      return text(envelope.as<schema::JobHidden>()->job_id());
    case EventType::JobUnhidden:
      return text(envelope.as<schema::JobUnhidden>()->job_id());
    case EventType::JobPhotoAdded:
      return text(envelope.as<schema::JobPhotoAdded>()->job_id());
    case EventType::JobPhotoRemoved:
      return text(envelope.as<schema::JobPhotoRemoved>()->job_id());
    case EventType::JobMetadataRead:
      return text(envelope.as<schema::JobMetadataRead>()->job_id());
    default:
      return {};
  }
}

}  // namespace

std::string_view job_named_by(const Envelope& envelope) {
  const std::string_view id = job_id_in(envelope);
  return id.size() > kMaxJobIdBytes || envelope.machine().empty() ? std::string_view{} : id;
}

std::string job_of_row(ViewBatch& batch, std::string_view machine, std::string_view named) {
  if (const auto start_us = row_start_of(named, machine)) {
    if (auto local = batch.get(job_keys::row(machine, *start_us))) return *local;
  }
  return std::string(named);
}

std::optional<std::string> give_row_to(ViewBatch& batch, std::string_view machine, std::string_view id,
                                       int64_t start_us) {
  std::string row_id = fmt::format("{}.{}", machine, start_us);
  if (row_id == id) return std::nullopt;
  batch.put(job_keys::row(machine, start_us), std::string(id));
  if (!batch.get(job_keys::job(row_id))) return std::nullopt;
  return row_id;
}

}  // namespace millrace
