// SPDX-License-Identifier: Apache-2.0
#include "mirror/mirror_batch.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/events.h"
#include "mirror/mirror_tables.h"
#include "projections/job_evidence.h"
#include "projections/job_history.h"
#include "projections/job_history_keys.h"
#include "projections/job_identity.h"
#include "projections/machine_state.h"
#include "projections/maintenance.h"
#include "projections/ordinals.h"
#include "projections/record.h"

namespace millrace {
namespace {

constexpr size_t kMaxChunkIds = 500;
constexpr size_t kMaxChunkBytes = 4u << 20;
constexpr size_t kRowBytes = 500;  // of a row's numbers and short texts, about
constexpr size_t kMaxClaimants = 16;
constexpr size_t kMaxMachineIdBytes = 256;  // of the column; a valid id has 64

// Facts of every kind: any of them may change a machine's row.
EventFilter facts() {
  EventFilter filter;
  for (const EventType type : schema::EnumValuesPayload()) {
    if (type != EventType::NONE && family_of(type) == Family::kFact) filter.types.insert(type);
  }
  return filter;
}

struct Touched {
  std::set<std::string> machines;
  std::set<std::string> jobs;
  std::set<std::string> records;

  void add(const Envelope& event) {
    const std::string machine(event.machine());
    if (machine.empty() || machine.size() > kMaxMachineIdBytes) return;
    machines.insert(machine);
    if (const auto job = job_named_by(event); !job.empty()) jobs.emplace(job);
    if (const auto* identified = event.as<schema::JobIdentified>()) {
      // The row may have stood as a job of its own.
      jobs.insert(fmt::format("{}.{}", machine, identified->start_us()));
    } else if (const auto* recorded = event.as<schema::MaintenanceRecorded>()) {
      records.insert(machine + "/" + std::string(text(recorded->record_id())));
    } else if (const auto* removed = event.as<schema::MaintenanceRecordRemoved>()) {
      records.insert(machine + "/" + std::string(text(removed->record_id())));
    }
  }
};

// Makes the rows of one chunk.
class ChunkMaker {
 public:
  ChunkMaker(const ViewReader& views, const BlobStore* blobs, SqlDialect dialect)
      : views_(views), blobs_(blobs), dialect_(dialect) {}

  Result<void> add_machine(const std::string& id) {
    const auto number = number_of(OrdinalClass::kMachine, id);
    if (!number) return number.error();
    if (*number == 0) return {};
    const auto stored = views_.get(kMachineStateView, id);
    if (!stored) return stored.error();
    schema::MachineViewT machine;
    if (*stored) {
      auto decoded = decode_record<schema::MachineView>(**stored);
      if (!decoded) return make_error(Errc::kCorrupt, fmt::format("machine_state: record of '{}'", id));
      machine = std::move(*decoded);
    }
    machine.id = id;
    add(chunk_.printers, row_of(PrinterSource{dialect_, *number, machine}));
    return {};
  }

  Result<void> add_job(const std::string& named, std::set<std::string>& done) {
    const auto part = find_job(views_, named);
    if (!part && part.error().code != Errc::kNotFound) return part.error();
    if (!part || part->job.id != named) {
      if (auto gone = add_gone(OrdinalClass::kJob, named, chunk_.gone_jobs); !gone) return gone;
    }
    if (!part) return {};
    if (part->job.id != named) {
      if (auto others = add_claimants(part->job.machine, named, done); !others) return others;
    }
    if (!done.insert(part->job.id).second) return {};
    return add_part(*part);
  }

  Result<void> add_record(const std::string& id) {
    const size_t slash = id.find('/');
    const std::string machine = id.substr(0, slash);
    const auto record = find_record(views_, machine, id.substr(slash + 1));
    if (!record) {
      if (record.error().code != Errc::kNotFound) return record.error();
      return add_gone(OrdinalClass::kMaintenanceRecord, id, chunk_.gone_records);
    }
    const auto number = number_of(OrdinalClass::kMaintenanceRecord, id);
    if (!number) return number.error();
    const auto printer = number_of(OrdinalClass::kMachine, machine);
    if (!printer) return printer.error();
    if (*number != 0 && *printer != 0) {
      add(chunk_.records, row_of(RecordSource{dialect_, *number, *printer, *record}));
    }
    return {};
  }

  size_t bytes() const { return chunk_.bytes; }
  MirrorChunk take() { return std::move(chunk_); }

 private:
  // A row may have been said to be one print and later another: the views are ahead of the batch, in which the event
  // was still about the former.
  Result<void> add_claimants(const std::string& machine, const std::string& row_id, std::set<std::string>& done) {
    const auto start_us = row_start_of(row_id, machine);
    if (!start_us) return {};
    std::vector<std::string> ids;
    const auto scanned = views_.scan(kJobHistoryView, KeyRange::prefix(job_keys::order(*start_us, machine + ".")),
                                     [&ids](std::string_view, std::string_view id) {
                                       ids.emplace_back(id);
                                       return ids.size() < kMaxClaimants;
                                     });
    if (!scanned) return scanned;
    for (const auto& id : ids) {
      const auto part = find_job(views_, id);
      if (!part) return part.error();
      if (!done.insert(part->job.id).second) continue;
      if (auto added = add_part(*part); !added) return added;
    }
    return {};
  }

  Result<void> add_part(const JobPart& part) {
    const schema::JobViewT& job = part.job;
    if (job.hidden) return add_gone(OrdinalClass::kJob, job.id, chunk_.gone_jobs);
    const auto number = number_of(OrdinalClass::kJob, job.id);
    if (!number) return number.error();
    const auto printer = number_of(OrdinalClass::kMachine, job.machine);
    if (!printer) return printer.error();
    if (*number == 0 || *printer == 0) return {};  // its start has not been told yet
    add(chunk_.jobs, row_of(JobSource{dialect_, *number, *printer, job, part.detail}));
    if (part.detail.sliced) return add_details(*number, *part.detail.sliced);
    return {};
  }

  // 0: it has none.
  Result<int64_t> number_of(OrdinalClass of, const std::string& id) const {
    const auto number = ordinal_of(views_, of, id);
    if (!number) return number.error();
    return static_cast<int64_t>(number->value_or(0));
  }

  Result<void> add_gone(OrdinalClass of, const std::string& id, std::vector<int64_t>& gone) {
    const auto number = number_of(of, id);
    if (!number) return number.error();
    if (*number != 0) gone.push_back(*number);
    return {};
  }

  Result<void> add_details(int64_t job_id, const schema::JobMetadataReadT& sliced) {
    const auto settings = sliced.settings_json.empty() ? blob(sliced.settings_blob) : sliced.settings_json;
    add(chunk_.details, row_of(DetailSource{dialect_, job_id, sliced, settings, blob(sliced.thumbnail_blob)}));
    return {};
  }

  std::string blob(const std::string& sha256) const {
    if (blobs_ == nullptr || sha256.empty() || !blobs_->has(sha256)) return {};
    auto bytes = blobs_->get(sha256);
    return bytes ? std::move(*bytes) : std::string{};
  }

  void add(std::vector<SqlRow>& rows, SqlRow row) {
    chunk_.bytes += kRowBytes;
    for (const auto& value : row) {
      if (const auto* held = std::get_if<std::string>(&value)) chunk_.bytes += held->size();
    }
    rows.push_back(std::move(row));
  }

  const ViewReader& views_;
  const BlobStore* blobs_;
  const SqlDialect dialect_;
  MirrorChunk chunk_;
};

}  // namespace

Result<MirrorBatch> MirrorBatch::read(const EventLog& log, Position after, const MirrorBatchLimit& limit) {
  static const EventFilter kFacts = facts();
  const auto read = log.read(after, {.events = limit.events, .scanned = limit.scanned}, kFacts);
  if (!read) return read.error();
  Touched touched;
  for (const RecordedEvent& event : read->events) touched.add(event.envelope);
  MirrorBatch batch;
  batch.machines_ = {touched.machines.begin(), touched.machines.end()};
  batch.jobs_ = {touched.jobs.begin(), touched.jobs.end()};
  batch.records_ = {touched.records.begin(), touched.records.end()};
  batch.through_ = read->through;
  batch.at_end_ = read->at_end;
  return batch;
}

Result<MirrorChunk> MirrorBatch::next(const ViewReader& views, const BlobStore* blobs, SqlDialect dialect) {
  ChunkMaker maker(views, blobs, dialect);
  const size_t jobs_from = machines_.size();
  const size_t records_from = jobs_from + jobs_.size();
  const size_t end = std::min(next_ + kMaxChunkIds, records_from + records_.size());
  for (; next_ < end && maker.bytes() < kMaxChunkBytes; ++next_) {
    Result<void> added = next_ < jobs_from      ? maker.add_machine(machines_[next_])
                         : next_ < records_from ? maker.add_job(jobs_[next_ - jobs_from], done_)
                                                : maker.add_record(records_[next_ - records_from]);
    if (!added) return added.error();
  }
  return maker.take();
}

}  // namespace millrace
