// SPDX-License-Identifier: Apache-2.0
#include "projections/job_said.h"

#include <algorithm>
#include <array>

#include "bus/json_writer.h"
#include "projections/job_evidence.h"

namespace millrace {
namespace {

using schema::JobChangeT;
using schema::JobCorrectionT;
using schema::JobDetailT;
using schema::JobViewT;

constexpr std::string_view kNull = "null";

std::string json_text(std::string_view text) {
  if (text.empty()) return std::string(kNull);
  return JsonWriter().value(text).take();
}

std::string json_texts(const std::vector<std::string>& texts) {
  JsonWriter json;
  json.array();
  for (const std::string& text : texts) json.value(text);
  return json.end().take();
}

std::string json_number(std::optional<double> number) { return JsonWriter().value(number).take(); }

std::string json_time(int64_t unix_us) {
  return unix_us > 0 ? JsonWriter().value(to_rfc3339(from_unix_us(unix_us))).take() : std::string(kNull);
}

std::string json_verdict(schema::JobVerdict verdict) {
  return verdict == schema::JobVerdict::unknown ? std::string(kNull) : json_text(schema::EnumNameJobVerdict(verdict));
}

// What one event replaces; a value that stays the same is no change.
class Changes {
 public:
  Changes(JobDetailT& detail, const Said& said, std::string_view reason = {})
      : detail_(detail), said_(said), reason_(reason) {}

  void add(std::string_view field, std::string before, std::string after) {
    if (before == after) return;
    auto change = std::make_unique<JobChangeT>();
    change->position = said_.position;
    change->at_us = said_.at_us;
    change->actor = said_.actor;
    change->field = field;
    change->before_json = std::move(before);
    change->after_json = std::move(after);
    change->reason = reason_;
    detail_.changes.push_back(std::move(change));
    changed_ = true;
  }
  // True when there was one.
  bool end() {
    auto& all = detail_.changes;
    if (all.size() > kMaxJobChanges) all.erase(all.begin(), all.end() - static_cast<ptrdiff_t>(kMaxJobChanges));
    return changed_;
  }

 private:
  JobDetailT& detail_;
  const Said& said_;
  const std::string_view reason_;
  bool changed_ = false;
};

template <class Strings>
std::vector<std::string> texts_of(const Strings* strings) {
  std::vector<std::string> texts;
  if (strings == nullptr) return texts;
  for (const auto* each : *strings) texts.emplace_back(text(each));
  return texts;
}

// --- corrections

using FieldText = std::string (*)(const JobViewT&);

// A field that can be corrected: its name in events and in the API, how it is shown, and how it is taken over.
struct Correctable {
  std::string_view name;
  std::string_view shown_name;
  FieldText shown;
  void (*say)(JobCorrectionT&, const schema::JobCorrected&);
  void (*put)(JobViewT&, const JobCorrectionT&);
};

template <std::string JobViewT::*member>
std::string shown_text(const JobViewT& job) {
  return json_text(job.*member);
}
template <std::string JobViewT::*member>
void put_text(JobViewT& job, const JobCorrectionT& correction) {
  job.*member = correction.text;
}
template <auto member>
std::string shown_number(const JobViewT& job) {
  return json_number(job.*member);
}
template <auto member>
void put_number(JobViewT& job, const JobCorrectionT& correction) {
  job.*member = correction.number;
}

std::string shown_start(const JobViewT& job) {
  const ShownTime row = shown_time(job.start_us, job.start_skew_ms);
  return json_time(row.us != 0 ? row.us : job.start_observed_us);
}
std::string shown_end(const JobViewT& job) {
  const ShownTime row = shown_time(job.end_us, job.end_skew_ms);
  return json_time(row.us != 0 ? row.us : job.end_fallback_us);
}
std::string shown_outcome(const JobViewT& job) { return json_text(schema::EnumNameJobOutcome(job.outcome)); }

// A person's times are true: no skew is added to them.
void put_start(JobViewT& job, const JobCorrectionT& correction) {
  job.start_us = correction.integer;
  job.start_skew_ms = std::nullopt;
}
void put_end(JobViewT& job, const JobCorrectionT& correction) {
  job.end_us = correction.integer;
  job.end_skew_ms = std::nullopt;
  job.end_fallback_us = 0;
}
void put_outcome(JobViewT& job, const JobCorrectionT& correction) {
  job.outcome = static_cast<schema::JobOutcome>(correction.integer);
  job.evidence = schema::JobEvidence::person;
}

using Event = schema::JobCorrected;
using Said1 = JobCorrectionT;

constexpr std::array kCorrectable{
    Correctable{"filename", "filename", shown_text<&JobViewT::filename>,
                [](Said1& said, const Event& event) { said.text = text(event.filename()); },
                put_text<&JobViewT::filename>},
    Correctable{"user", "user", shown_text<&JobViewT::user>,
                [](Said1& said, const Event& event) { said.text = text(event.user()); }, put_text<&JobViewT::user>},
    Correctable{"start_us", "started_at", shown_start,
                [](Said1& said, const Event& event) { said.integer = event.start_us(); }, put_start},
    Correctable{"end_us", "ended_at", shown_end, [](Said1& said, const Event& event) { said.integer = event.end_us(); },
                put_end},
    Correctable{"outcome", "outcome", shown_outcome,
                [](Said1& said, const Event& event) {
                  const auto outcome = event.outcome();
                  said.integer = static_cast<int64_t>(ending_of(outcome).value_or(schema::JobOutcome::running));
                },
                put_outcome},
    Correctable{"cause", "cause", shown_text<&JobViewT::cause>,
                [](Said1& said, const Event& event) { said.text = text(event.cause()); }, put_text<&JobViewT::cause>},
    Correctable{"text", "text", shown_text<&JobViewT::text>,
                [](Said1& said, const Event& event) { said.text = text(event.text()); }, put_text<&JobViewT::text>},
    Correctable{"total_duration", "total_duration", shown_number<&JobViewT::total_duration>,
                [](Said1& said, const Event& event) { said.number = plausible(event.total_duration()); },
                put_number<&JobViewT::total_duration>},
    Correctable{"print_duration", "print_duration", shown_number<&JobViewT::print_duration>,
                [](Said1& said, const Event& event) { said.number = plausible(event.print_duration()); },
                put_number<&JobViewT::print_duration>},
    Correctable{"filament_used", "filament_used", shown_number<&JobViewT::filament_used>,
                [](Said1& said, const Event& event) { said.number = plausible(event.filament_used()); },
                put_number<&JobViewT::filament_used>},
};

const Correctable* correctable(std::string_view name) {
  const auto* found = std::find_if(kCorrectable.begin(), kCorrectable.end(),
                                   [&](const Correctable& field) { return field.name == name; });
  return found == kCorrectable.end() ? nullptr : found;
}

using Corrections = std::vector<std::unique_ptr<JobCorrectionT>>;

// In the order of the names, so that the same corrections in any order give the same bytes.
Corrections::iterator place_of(Corrections& corrections, std::string_view field) {
  return std::lower_bound(corrections.begin(), corrections.end(), field,
                          [](const auto& held, std::string_view name) { return held->field < name; });
}

void put_correction(JobViewT& job, std::unique_ptr<JobCorrectionT> said) {
  const auto place = place_of(job.corrections, said->field);
  if (place == job.corrections.end() || (*place)->field != said->field) {
    job.corrections.insert(place, std::move(said));
  } else if (said->position > (*place)->position) {
    *place = std::move(said);
  }
}

// --- what a slicer wrote

std::string filament_types(const schema::JobMetadataReadT& sliced) {
  std::vector<std::string> seen;
  for (const auto& extruder : sliced.extruders) {
    const std::string& type = extruder->filament_type;
    if (!type.empty() && std::find(seen.begin(), seen.end(), type) == seen.end()) seen.push_back(type);
  }
  std::string joined;
  for (const std::string& type : seen) joined += (joined.empty() ? "" : ";") + type;
  return joined;
}

bool better(const schema::JobMetadataReadT& candidate, uint64_t position, const JobDetailT& held) {
  if (!held.sliced) return true;
  const bool of_file = candidate.source == "file";
  const bool held_of_file = held.sliced->source == "file";
  return of_file != held_of_file ? of_file : position > held.sliced_position;
}

template <class List>
auto photo_of(List& photos, std::string_view blob) {
  return std::find_if(photos.begin(), photos.end(), [&](const auto& photo) { return photo->blob == blob; });
}

void take(std::string& held, const std::string& offered, bool newer) {
  if (!offered.empty() && (newer || held.empty())) held = offered;
}

}  // namespace

bool annotate(JobRecord record, const schema::JobAnnotated& event, const Said& said) {
  JobViewT& job = record.job;
  job.annotated_position = said.position;
  Changes changes(record.detail, said);
  const auto replace = [&](std::string_view field, std::string& held, std::string_view value) {
    changes.add(field, json_text(held), json_text(value));
    held = value;
  };
  for (const std::string& field : texts_of(event.changed())) {
    if (field == "verdict") {
      changes.add(field, json_verdict(job.verdict), json_verdict(event.verdict()));
      job.verdict = event.verdict();
    } else if (field == "tags") {
      auto tags = texts_of(event.tags());
      changes.add(field, json_texts(job.tags), json_texts(tags));
      job.tags = std::move(tags);
    } else if (field == "reason") {
      replace(field, job.reason, text(event.reason()));
    } else if (field == "notes") {
      replace(field, job.notes, text(event.notes()));
    } else if (field == "title") {
      replace(field, job.title, text(event.title()));
    } else if (field == "link") {
      replace(field, job.link, text(event.link()));
    }
  }
  return changes.end();
}

bool correct(JobRecord record, const schema::JobCorrected& event, const Said& said) {
  Changes changes(record.detail, said, text(event.reason()));
  for (const std::string& name : texts_of(event.changed())) {
    const Correctable* field = correctable(name);
    if (field == nullptr) continue;
    const std::string before = field->shown(as_corrected(record.job));
    auto correction = std::make_unique<JobCorrectionT>();
    correction->field = name;
    correction->position = said.position;
    field->say(*correction, event);
    put_correction(record.job, std::move(correction));
    changes.add(field->shown_name, before, field->shown(as_corrected(record.job)));
  }
  return changes.end();
}

bool set_hidden(JobRecord record, bool hidden, std::string_view reason, const Said& said) {
  Changes changes(record.detail, said, reason);
  changes.add("hidden", record.job.hidden ? "true" : "false", hidden ? "true" : "false");
  record.job.hidden = hidden;
  record.job.hidden_position = said.position;
  return changes.end();
}

bool add_photo(JobRecord record, const schema::JobPhotoAdded& event, const Said& said) {
  auto& photos = record.detail.photos;
  auto photo = std::make_unique<schema::JobPhotoT>();
  photo->blob = text(event.blob());
  photo->content_type = text(event.content_type());
  photo->bytes = event.bytes();
  photo->width = event.width();
  photo->height = event.height();
  photo->caption = text(event.caption());
  photo->at_us = said.at_us;
  photo->actor = said.actor;
  photo->position = said.position;
  Changes changes(record.detail, said);
  if (const auto held = photo_of(photos, photo->blob); held != photos.end()) {
    changes.add("photo_caption", json_text((*held)->caption), json_text(photo->caption));
    *held = std::move(photo);
    return true;
  }
  if (photos.size() >= kMaxJobPhotos) return false;
  changes.add("photo", std::string(kNull), json_text(photo->blob));
  photos.push_back(std::move(photo));
  record.job.photo_count = static_cast<uint32_t>(photos.size());
  return changes.end();
}

bool remove_photo(JobRecord record, std::string_view blob, const Said& said) {
  auto& photos = record.detail.photos;
  const auto held = photo_of(photos, blob);
  if (held == photos.end()) return false;
  Changes changes(record.detail, said);
  changes.add("photo", json_text(blob), std::string(kNull));
  photos.erase(held);
  record.job.photo_count = static_cast<uint32_t>(photos.size());
  return changes.end();
}

bool add_sliced(JobRecord record, const schema::JobMetadataRead& event, uint64_t position) {
  auto read = std::make_unique<schema::JobMetadataReadT>();
  event.UnPackTo(read.get());
  if (!better(*read, position, record.detail)) return false;
  record.detail.sliced = std::move(read);
  record.detail.sliced_position = position;
  summarise_sliced(record);
  return true;
}

void summarise_sliced(JobRecord record) {
  if (!record.detail.sliced) return;
  const schema::JobMetadataReadT& sliced = *record.detail.sliced;
  record.job.slicer_name = sliced.slicer_name;
  record.job.estimated_time_s = plausible(sliced.estimated_time_s);
  record.job.filament_type = filament_types(sliced);
  record.job.thumbnail_blob = sliced.thumbnail_blob;
  record.job.thumbnail_type = sliced.thumbnail_type;
}

void note_entered(JobRecord record, const Said& said) {
  Changes changes(record.detail, said);
  changes.add("entered", "false", "true");
  changes.end();
}

void merge_said(JobViewT& job, const JobViewT& other) {
  for (const auto& correction : other.corrections) put_correction(job, std::make_unique<JobCorrectionT>(*correction));
  const bool newer = other.annotated_position > job.annotated_position;
  if (other.verdict != schema::JobVerdict::unknown && (newer || job.verdict == schema::JobVerdict::unknown)) {
    job.verdict = other.verdict;
  }
  take(job.reason, other.reason, newer);
  take(job.title, other.title, newer);
  take(job.notes, other.notes, newer);
  take(job.link, other.link, newer);
  if (!other.tags.empty() && (newer || job.tags.empty())) job.tags = other.tags;
  job.annotated_position = std::max(job.annotated_position, other.annotated_position);
  if (other.hidden_position > job.hidden_position) {
    job.hidden = other.hidden;
    job.hidden_position = other.hidden_position;
  }
}

void merge_said(JobDetailT& detail, const JobDetailT& other) {
  if (other.sliced && better(*other.sliced, other.sliced_position, detail)) {
    detail.sliced = std::make_unique<schema::JobMetadataReadT>(*other.sliced);
    detail.sliced_position = other.sliced_position;
  }
  for (const auto& photo : other.photos) {
    if (photo_of(detail.photos, photo->blob) == detail.photos.end() && detail.photos.size() < kMaxJobPhotos) {
      detail.photos.push_back(std::make_unique<schema::JobPhotoT>(*photo));
    }
  }
  for (const auto& change : other.changes) detail.changes.push_back(std::make_unique<JobChangeT>(*change));
  const auto older = [](const auto& a, const auto& b) { return a->position < b->position; };
  std::stable_sort(detail.photos.begin(), detail.photos.end(), older);
  std::stable_sort(detail.changes.begin(), detail.changes.end(), older);
  if (detail.changes.size() > kMaxJobChanges) {
    detail.changes.erase(detail.changes.begin(), detail.changes.end() - static_cast<ptrdiff_t>(kMaxJobChanges));
  }
}

const JobCorrectionT* correction_of(const JobViewT& job, std::string_view field) {
  for (const auto& correction : job.corrections) {
    if (correction->field == field) return correction.get();
  }
  return nullptr;
}

JobViewT as_corrected(JobViewT job) {
  for (const auto& correction : job.corrections) {
    if (const Correctable* field = correctable(correction->field)) field->put(job, *correction);
  }
  return job;
}

}  // namespace millrace
