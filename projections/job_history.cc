// SPDX-License-Identifier: Apache-2.0
#include "projections/job_history.h"

#include <fmt/format.h>

#include "projections/job_history_keys.h"
#include "projections/job_identity.h"
#include "projections/job_merge.h"
#include "projections/job_said.h"
#include "projections/record.h"

namespace millrace {
namespace {

using schema::JobDetailT;
using schema::JobViewT;

// One event on its way into the view.
class Fold {
 public:
  Fold(const RecordedEvent& event, ViewBatch& batch, ChangedKeys& changed)
      : event_(event), batch_(batch), changed_(changed), observed_us_(to_unix_us(event.envelope.observed_at())) {}

  void run(std::string_view named) {
    const std::string machine(event_.envelope.machine());
    JobViewT job = load(job_of_row(batch_, machine, named), machine);
    const int64_t order_before = job.order_us;
    const bool known = job.first_position != 0;
    if (!known) job.first_position = event_.position.value;
    job.last_position = event_.position.value;
    if (const auto* identified = event_.envelope.as<schema::JobIdentified>()) {
      identify(job, *identified);
    } else {
      add(job);
    }
    if (order_of(job) == 0) {
      // Its start has not been seen: it is listed by its first sight until a start comes, which then wins.
      job.start_observed_us = observed_us_;
      job.start_seen = schema::JobSeen::history;
    }
    job.order_us = order_of(job);
    if (known && order_before != job.order_us) batch_.erase(job_keys::order(order_before, job.id));
    if (!known || order_before != job.order_us) batch_.put(job_keys::order(job.order_us, job.id), job.id);
    store(job);
  }

 private:
  JobViewT load(const std::string& id, const std::string& machine) {
    JobViewT job;
    if (const auto stored = batch_.get(job_keys::job(id))) {
      if (auto decoded = decode_record<schema::JobView>(*stored)) return std::move(*decoded);
      batch_.fail(make_error(Errc::kCorrupt, fmt::format("job_history: record of '{}'", id)));
    }
    job.id = id;
    job.machine = machine;
    job.outcome = schema::JobOutcome::running;
    return job;
  }

  void store(const JobViewT& job) {
    const std::string key = job_keys::job(job.id);
    batch_.put(key, encode_record<schema::JobView>(job));
    changed_.insert(key);
  }

  void add(JobViewT& job) {
    const Envelope& envelope = event_.envelope;
    if (const auto* started = envelope.as<schema::JobStarted>()) {
      add_start(job, *started, observed_us_, event_.position.value);
      add_detail(job.id, text(started->metadata_json()), text(started->auxiliary_json()));
    } else if (const auto* paused = envelope.as<schema::JobPaused>()) {
      add_pause(job, text(paused->cause()), observed_us_);
    } else if (envelope.as<schema::JobResumed>() != nullptr) {
      add_resume(job, observed_us_);
    } else if (const auto* progressed = envelope.as<schema::JobProgressed>()) {
      add_progress(job, *progressed);
    } else if (const auto* finished = envelope.as<schema::JobFinished>()) {
      add_end(job, *finished, {to_unix_us(envelope.occurred_at()), observed_us_}, event_.position.value);
      add_detail(job.id, text(finished->metadata_json()), text(finished->auxiliary_json()));
    } else if (const auto* excluded = envelope.as<schema::JobObjectExcluded>()) {
      job.objects_excluded = excluded->excluded();
      job.objects_total = excluded->total();
    } else {
      add_said(job);
    }
  }

  void add_said(JobViewT& job) {
    const Envelope& envelope = event_.envelope;
    const Said said{event_.position.value, observed_us_, text(envelope.table().actor())};
    JobDetailT detail = load_detail(job.id);
    const JobRecord record{job, detail};
    bool changed = false;
    if (const auto* annotated = envelope.as<schema::JobAnnotated>()) {
      changed = annotate(record, *annotated, said);
    } else if (const auto* corrected = envelope.as<schema::JobCorrected>()) {
      changed = correct(record, *corrected, said);
    } else if (const auto* hidden = envelope.as<schema::JobHidden>()) {
      changed = set_hidden(record, true, text(hidden->reason()), said);
    } else if (envelope.as<schema::JobUnhidden>() != nullptr) {
      changed = set_hidden(record, false, {}, said);
    } else if (const auto* added = envelope.as<schema::JobPhotoAdded>()) {
      changed = add_photo(record, *added, said);
    } else if (const auto* removed = envelope.as<schema::JobPhotoRemoved>()) {
      changed = remove_photo(record, text(removed->blob()), said);
    } else if (const auto* sliced = envelope.as<schema::JobMetadataRead>()) {
      changed = add_sliced(record, *sliced, event_.position.value);
    } else if (const auto* entered = envelope.as<schema::JobEntered>()) {
      add_entered(job, *entered, observed_us_, event_.position.value);
      note_entered(record, said);
      changed = true;
    }
    if (changed) put_detail(job.id, detail);
  }

  void add_detail(std::string_view id, std::string_view metadata, std::string_view auxiliary) {
    if (metadata.empty() && auxiliary.empty()) return;
    JobDetailT found;
    found.position = event_.position.value;
    found.metadata_json = metadata;
    found.auxiliary_json = auxiliary;
    merge_detail(id, found);
  }

  void merge_detail(std::string_view id, const JobDetailT& found) {
    JobDetailT detail = load_detail(id);
    merge(detail, found);
    put_detail(id, detail);
  }

  JobDetailT load_detail(std::string_view id) {
    JobDetailT detail;
    if (const auto stored = batch_.get(job_keys::detail(id))) {
      if (auto decoded = decode_record<schema::JobDetail>(*stored)) detail = std::move(*decoded);
    }
    return detail;
  }

  void put_detail(std::string_view id, const JobDetailT& detail) {
    batch_.put(job_keys::detail(id), encode_record<schema::JobDetail>(detail));
  }

  // From now on the row's id means this job.  If the row already stands as a job of its own, that one is this print
  // too.
  void identify(JobViewT& job, const schema::JobIdentified& event) {
    if (event.start_us() <= 0) return;
    if (job.start_us == 0) job.start_us = event.start_us();
    if (!text(event.moonraker_job_id()).empty()) job.moonraker_job_id = text(event.moonraker_job_id());
    const auto row_id = give_row_to(batch_, job.machine, job.id, event.start_us());
    if (!row_id) return;
    const JobViewT other = load(*row_id, job.machine);
    merge(job, other);
    batch_.erase(job_keys::order(other.order_us, other.id));
    batch_.erase(job_keys::job(*row_id));
    changed_.insert(job_keys::job(*row_id));
    if (!batch_.get(job_keys::detail(*row_id))) return;
    JobDetailT detail = load_detail(job.id);
    merge(detail, load_detail(*row_id));
    summarise_sliced({job, detail});
    put_detail(job.id, detail);
    batch_.erase(job_keys::detail(*row_id));
  }

  const RecordedEvent& event_;
  ViewBatch& batch_;
  ChangedKeys& changed_;
  const int64_t observed_us_;
};

class JobHistory final : public Projection {
 public:
  std::string_view name() const override { return kJobHistoryView; }
  uint32_t version() const override { return 2; }
  std::set<EventType> types() const override {
    return {EventType::JobStarted,     EventType::JobPaused,       EventType::JobResumed,
            EventType::JobProgressed,  EventType::JobFinished,     EventType::JobIdentified,
            EventType::JobAnnotated,   EventType::JobEntered,      EventType::JobCorrected,
            EventType::JobHidden,      EventType::JobUnhidden,     EventType::JobObjectExcluded,
            EventType::JobPhotoAdded,  EventType::JobPhotoRemoved, EventType::VerdictReasonsChanged,
            EventType::JobMetadataRead};
  }

  void apply(const RecordedEvent& event, ViewBatch& batch, ChangedKeys& changed) const override {
    if (const auto* reasons = event.envelope.as<schema::VerdictReasonsChanged>()) {
      return put_reasons(*reasons, event.position.value, batch);
    }
    const std::string_view id = job_named_by(event.envelope);
    if (id.empty()) return;
    Fold(event, batch, changed).run(id);
  }

 private:
  static void put_reasons(const schema::VerdictReasonsChanged& event, uint64_t position, ViewBatch& batch) {
    schema::VerdictReasonsT record;
    record.position = position;
    if (event.reasons() != nullptr) {
      for (const auto* reason : *event.reasons()) record.reasons.emplace_back(text(reason));
    }
    batch.put(std::string(job_keys::kReasons), encode_record<schema::VerdictReasons>(record));
  }
};

}  // namespace

std::unique_ptr<const Projection> make_job_history() { return std::make_unique<JobHistory>(); }

std::string_view job_id_of_key(std::string_view key) { return key.substr(job_keys::kJobPrefix.size()); }

}  // namespace millrace
