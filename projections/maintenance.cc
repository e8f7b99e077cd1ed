// SPDX-License-Identifier: Apache-2.0
#include "projections/maintenance.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "projections/job_history.h"
#include "projections/job_identity.h"
#include "projections/job_merge.h"
#include "projections/maintenance_keys.h"
#include "projections/record.h"

namespace millrace {
namespace {

namespace keys = maintenance_keys;
using schema::MaintenanceRecordViewT;
using schema::MaintenanceTaskViewT;
using schema::OdometerViewT;
using schema::UpkeepJobT;
using schema::UpkeepShareT;

constexpr size_t kMaxIdBytes = 64;

bool is_usable_id(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && id.find('/') == std::string_view::npos;
}

// The n of an id such as "m12"; 0 for any other id.
uint64_t number_in(std::string_view id, char letter) {
  if (id.size() < 2 || id.front() != letter) return 0;
  uint64_t number = 0;
  const auto [end, failed] = std::from_chars(id.data() + 1, id.data() + id.size(), number);
  return failed == std::errc{} && end == id.data() + id.size() ? number : 0;
}

template <class Table>
typename Table::NativeTableType load(ViewBatch& batch, const std::string& key) {
  if (const auto stored = batch.get(key)) {
    if (auto decoded = decode_record<Table>(*stored)) return std::move(*decoded);
    batch.fail(make_error(Errc::kCorrupt, fmt::format("maintenance: record '{}'", key)));
  }
  return {};
}

int64_t thousandfold(std::optional<double> amount) { return std::llround(plausible(amount).value_or(0) * 1000); }

bool said(const UpkeepJobT& print, std::string_view field) {
  return std::find(print.said.begin(), print.said.end(), field) != print.said.end();
}

bool is_counted(const UpkeepShareT& share) { return share.start_us > 0; }

bool equal(const UpkeepShareT& a, const UpkeepShareT& b) {
  return a.start_us == b.start_us && a.end_us == b.end_us && a.print_ms == b.print_ms && a.filament_um == b.filament_um;
}

UpkeepShareT share_of(const UpkeepJobT& print) {
  UpkeepShareT share;
  const schema::JobViewT& job = *print.job;
  if (print.hidden || job.first_position == 0) return share;
  share.start_us = said(print, "start_us") ? print.said_start_us : started_at(job).us;
  if (share.start_us <= 0) return {};
  const bool ended = job.end_position != 0;
  const int64_t seen_end_us = ended ? std::max(ended_at(job).us, job.last_observed_us) : print.seen_us;
  const int64_t end_us = said(print, "end_us") ? print.said_end_us : seen_end_us;
  share.end_us = std::max(share.start_us, end_us);
  share.print_ms = thousandfold(said(print, "print_duration") ? print.said_print_duration : job.print_duration);
  share.filament_um = thousandfold(said(print, "filament_used") ? print.said_filament_used : job.filament_used);
  return share;
}

// Names are of no use to an odometer.
void drop_texts(schema::JobViewT& job) {
  for (std::string* text :
       {&job.filename, &job.user, &job.moonraker_job_id, &job.cause, &job.text, &job.row_status, &job.pause_cause}) {
    text->clear();
  }
}

// One event on its way into the view.
class Fold {
 public:
  Fold(const RecordedEvent& event, ViewBatch& batch)
      : event_(event),
        batch_(batch),
        machine_(event.envelope.machine()),
        observed_us_(to_unix_us(event.envelope.observed_at())) {}

  void run() {
    if (machine_.find('/') != std::string::npos) return;
    OdometerViewT odometer = load<schema::OdometerView>(batch_, keys::odometer(machine_));
    odometer.machine = machine_;
    if (!take(odometer)) return;
    if (is_sign_of_life()) odometer.seen_us = std::max(odometer.seen_us, observed_us_);
    batch_.put(keys::odometer(machine_), encode_record<schema::OdometerView>(odometer));
  }

 private:
  // False when the event means nothing here.
  bool take(OdometerViewT& odometer) {
    const Envelope& envelope = event_.envelope;
    switch (envelope.type()) {
      case EventType::MachineConnected:
        close_connection(odometer, odometer.seen_us);
        odometer.connected_since_us = observed_us_;
        odometer.removed = false;
        return true;
      case EventType::MachineDisconnected:
        close_connection(odometer, observed_us_);
        return true;
      case EventType::MachineRegistered:
      case EventType::MachineConfigured:
        odometer.removed = false;
        return true;
      case EventType::MachineRemoved:
        odometer.removed = true;
        return true;
      case EventType::MaintenanceTaskDefined:
        return define(odometer, *envelope.as<schema::MaintenanceTaskDefined>());
      case EventType::MaintenanceTaskRemoved:
        batch_.erase(keys::task(machine_, text(envelope.as<schema::MaintenanceTaskRemoved>()->task_id())));
        return false;
      case EventType::MaintenanceRecorded:
        return note(odometer, *envelope.as<schema::MaintenanceRecorded>());
      case EventType::MaintenanceRecordRemoved:
        forget_record(std::string(text(envelope.as<schema::MaintenanceRecordRemoved>()->record_id())));
        return false;
      case EventType::MaintenanceDue:
        tell(*envelope.as<schema::MaintenanceDue>());
        return false;
      case EventType::JobAnnotated:
      case EventType::JobPhotoAdded:
      case EventType::JobPhotoRemoved:
      case EventType::JobMetadataRead:
        return false;  // of a print, and nothing that it wears out
      default:
        return count(odometer);
    }
  }

  // Not what a history tells long afterwards, and not what people say.
  bool is_sign_of_life() const {
    switch (event_.envelope.type()) {
      case EventType::MachineConnected:
      case EventType::JobPaused:
      case EventType::JobResumed:
      case EventType::JobProgressed:
        return true;
      default:
        return false;
    }
  }

  // An adapter that was killed said no goodbye: it is then known to have been connected up to its last word.
  static void close_connection(OdometerViewT& odometer, int64_t end_us) {
    if (odometer.connected_since_us != 0 && end_us > odometer.connected_since_us) {
      odometer.connected_ms += (end_us - odometer.connected_since_us) / 1000;
    }
    odometer.connected_since_us = 0;
  }

  bool count(OdometerViewT& odometer) {
    const std::string_view named = job_named_by(event_.envelope);
    if (named.empty()) return false;
    const std::string id = job_of_row(batch_, machine_, named);
    UpkeepJobT print = load_print(id);
    if (const auto* identified = event_.envelope.as<schema::JobIdentified>()) {
      identify(odometer, print, *identified);
    } else {
      add(print);
    }
    recount(odometer, print);
    drop_texts(*print.job);
    batch_.put(job_keys::job(id), encode_record<schema::UpkeepJob>(print));
    return true;
  }

  UpkeepJobT load_print(const std::string& id) {
    UpkeepJobT print = load<schema::UpkeepJob>(batch_, job_keys::job(id));
    if (print.job == nullptr) {
      print.job = std::make_unique<schema::JobViewT>();
      print.job->id = id;
      print.job->machine = machine_;
      print.job->outcome = schema::JobOutcome::running;
    }
    if (print.share == nullptr) print.share = std::make_unique<UpkeepShareT>();
    return print;
  }

  void add(UpkeepJobT& print) {
    const Envelope& envelope = event_.envelope;
    if (envelope.as<schema::JobHidden>() != nullptr) {
      print.hidden = true;
    } else if (envelope.as<schema::JobUnhidden>() != nullptr) {
      print.hidden = false;
    } else if (const auto* corrected = envelope.as<schema::JobCorrected>()) {
      correct(print, *corrected);
    } else {
      add_evidence(print);
    }
  }

  void add_evidence(UpkeepJobT& print) {
    const Envelope& envelope = event_.envelope;
    schema::JobViewT& job = *print.job;
    const uint64_t position = event_.position.value;
    if (job.first_position == 0) job.first_position = position;
    job.last_position = position;
    if (const auto* started = envelope.as<schema::JobStarted>()) {
      add_start(job, *started, observed_us_, position);
    } else if (const auto* progressed = envelope.as<schema::JobProgressed>()) {
      add_progress(job, *progressed);
    } else if (const auto* finished = envelope.as<schema::JobFinished>()) {
      add_end(job, *finished, {to_unix_us(envelope.occurred_at()), observed_us_}, position);
    } else if (const auto* entered = envelope.as<schema::JobEntered>()) {
      enter(print, *entered);
    }
    print.seen_us = std::max(print.seen_us, observed_us_);
    if (order_of(job) == 0) {
      job.start_observed_us = observed_us_;
      job.start_seen = schema::JobSeen::history;
    }
  }

  void say(UpkeepJobT& print, std::string_view field) {
    if (!said(print, field)) print.said.emplace_back(field);
  }

  // The last correction of a field holds.
  template <class Event>
  void take_field(UpkeepJobT& print, std::string_view field, const Event& event) {
    if (field == "start_us") print.said_start_us = event.start_us();
    if (field == "end_us") print.said_end_us = event.end_us();
    if (field == "print_duration") print.said_print_duration = event.print_duration();
    if (field == "filament_used") print.said_filament_used = event.filament_used();
    say(print, field);
  }

  static constexpr std::array<std::string_view, 4> kFields = {"start_us", "end_us", "print_duration", "filament_used"};

  void correct(UpkeepJobT& print, const schema::JobCorrected& event) {
    if (event.changed() == nullptr) return;
    for (const auto* changed : *event.changed()) {
      if (std::find(kFields.begin(), kFields.end(), text(changed)) != kFields.end()) {
        take_field(print, text(changed), event);
      }
    }
  }

  void enter(UpkeepJobT& print, const schema::JobEntered& event) {
    for (const std::string_view field : kFields) take_field(print, field, event);
  }

  // A row that stands as a print of its own turns out to be this one.
  void identify(OdometerViewT& odometer, UpkeepJobT& print, const schema::JobIdentified& event) {
    add_evidence(print);
    if (event.start_us() <= 0) return;
    if (print.job->start_us == 0) print.job->start_us = event.start_us();
    const auto row_id = give_row_to(batch_, machine_, print.job->id, event.start_us());
    if (!row_id) return;
    UpkeepJobT other = load_print(*row_id);
    merge(*print.job, *other.job);
    print.hidden = print.hidden || other.hidden;
    print.seen_us = std::max(print.seen_us, other.seen_us);
    if (print.said.empty()) {
      print.said = other.said;
      print.said_start_us = other.said_start_us;
      print.said_end_us = other.said_end_us;
      print.said_print_duration = other.said_print_duration;
      print.said_filament_used = other.said_filament_used;
    }
    put_share(odometer, other, {});
    batch_.erase(job_keys::job(*row_id));
  }

  void recount(OdometerViewT& odometer, UpkeepJobT& print) { put_share(odometer, print, share_of(print)); }

  // Takes what was counted of the print out again, to the last millisecond, and counts `share` instead.
  void put_share(OdometerViewT& odometer, UpkeepJobT& print, const UpkeepShareT& share) {
    UpkeepShareT& held = *print.share;
    if (equal(held, share)) return;
    if (is_counted(held)) {
      add_to_sums(odometer, held, -1);
      batch_.erase(keys::share(machine_, held.start_us, print.job->id));
    }
    held = share;
    if (!is_counted(held)) return;
    add_to_sums(odometer, held, 1);
    batch_.put(keys::share(machine_, held.start_us, print.job->id), encode_record<schema::UpkeepShare>(held));
  }

  void add_to_sums(OdometerViewT& odometer, const UpkeepShareT& share, int64_t sign) {
    const std::string key = keys::day(machine_, keys::day_of(share.start_us));
    auto day = load<schema::UpkeepDay>(batch_, key);
    const auto add = [&](auto& sums) {
      sums.print_ms += sign * share.print_ms;
      sums.filament_um += sign * share.filament_um;
      sums.starts += sign;
    };
    add(day);
    add(odometer);
    day.starts == 0 ? batch_.erase(key) : batch_.put(key, encode_record<schema::UpkeepDay>(day));
  }

  bool define(OdometerViewT& odometer, const schema::MaintenanceTaskDefined& event) {
    const std::string id(text(event.task_id()));
    if (!is_usable_id(id)) return false;
    auto task = load<schema::MaintenanceTaskView>(batch_, keys::task(machine_, id));
    task.machine = machine_;
    task.id = id;
    task.title = text(event.title());
    task.category = text(event.category());
    task.description = text(event.description());
    task.every_hours = event.every_hours();
    task.every_filament_m = event.every_filament_m();
    task.every_starts = event.every_starts();
    task.every_days = event.every_days();
    task.changed_us = observed_us_;
    if (task.defined_us == 0) task.defined_us = observed_us_;
    odometer.last_task = std::max(odometer.last_task, number_in(id, 't'));
    batch_.put(keys::task(machine_, id), encode_record<schema::MaintenanceTaskView>(task));
    return true;
  }

  bool note(OdometerViewT& odometer, const schema::MaintenanceRecorded& event) {
    const std::string id(text(event.record_id()));
    if (!is_usable_id(id)) return false;
    const std::string key = keys::record(machine_, id);
    const auto before = batch_.get(key) ? load<schema::MaintenanceRecordView>(batch_, key) : MaintenanceRecordViewT{};
    remove_record(id);
    MaintenanceRecordViewT record;
    record.machine = machine_;
    record.id = id;
    record.task_id = text(event.task_id());
    if (!record.task_id.empty() && !is_usable_id(record.task_id)) record.task_id.clear();
    record.date_us = event.date_us();
    record.done = event.done();
    record.category = text(event.category());
    record.description = text(event.description());
    record.cost = event.cost();
    record.notes = text(event.notes());
    record.recorded_us = observed_us_;
    record.actor = text(event_.envelope.table().actor());
    record.created_us = before.created_us != 0 ? before.created_us : observed_us_;
    batch_.put(key, encode_record<schema::MaintenanceRecordView>(record));
    batch_.put(keys::by_date(machine_, record.date_us, id), id);
    if (resets_a_task(record)) batch_.put(keys::done(machine_, record.task_id, record.date_us, id), id);
    odometer.last_record = std::max(odometer.last_record, number_in(id, 'm'));
    return true;
  }

  static bool resets_a_task(const MaintenanceRecordViewT& record) { return record.done && !record.task_id.empty(); }

  // What an import brought must not come back with the next one.
  void forget_record(const std::string& id) {
    remove_record(id);
    if (is_usable_id(id) && id.front() == keys::kImported) batch_.put(keys::removed(machine_, id), "");
  }

  void remove_record(const std::string& id) {
    const std::string key = keys::record(machine_, id);
    if (!batch_.get(key)) return;
    const auto held = load<schema::MaintenanceRecordView>(batch_, key);
    batch_.erase(key);
    batch_.erase(keys::by_date(machine_, held.date_us, id));
    if (resets_a_task(held)) batch_.erase(keys::done(machine_, held.task_id, held.date_us, id));
  }

  void tell(const schema::MaintenanceDue& event) {
    const std::string key = keys::task(machine_, text(event.task_id()));
    if (!batch_.get(key)) return;
    auto task = load<schema::MaintenanceTaskView>(batch_, key);
    task.told_due = event.due();
    task.told_us = observed_us_;
    batch_.put(key, encode_record<schema::MaintenanceTaskView>(task));
  }

  const RecordedEvent& event_;
  ViewBatch& batch_;
  const std::string machine_;
  const int64_t observed_us_;
};

class Maintenance final : public Projection {
 public:
  std::string_view name() const override { return kMaintenanceView; }
  uint32_t version() const override { return 2; }
  std::set<EventType> types() const override {
    return {EventType::MachineRegistered,
            EventType::MachineConfigured,
            EventType::MachineRemoved,
            EventType::MachineConnected,
            EventType::MachineDisconnected,
            EventType::JobStarted,
            EventType::JobPaused,
            EventType::JobResumed,
            EventType::JobProgressed,
            EventType::JobFinished,
            EventType::JobIdentified,
            EventType::JobObjectExcluded,
            EventType::JobEntered,
            EventType::JobCorrected,
            EventType::JobHidden,
            EventType::JobUnhidden,
            EventType::MaintenanceTaskDefined,
            EventType::MaintenanceTaskRemoved,
            EventType::MaintenanceRecorded,
            EventType::MaintenanceRecordRemoved,
            EventType::MaintenanceDue};
  }

  void apply(const RecordedEvent& event, ViewBatch& batch, ChangedKeys&) const override {
    if (event.envelope.machine().empty() || !concerns(event.envelope.type())) return;
    Fold(event, batch).run();
  }

 private:
  static bool concerns(EventType type) {
    return is_job_event(type) || (type >= EventType::MaintenanceTaskDefined && type <= EventType::MaintenanceDue) ||
           type == EventType::MachineRegistered || type == EventType::MachineConfigured ||
           type == EventType::MachineRemoved || type == EventType::MachineConnected ||
           type == EventType::MachineDisconnected;
  }
  static bool is_job_event(EventType type) {
    return (type >= EventType::JobStarted && type <= EventType::JobObjectExcluded) ||
           (type >= EventType::JobEntered && type <= EventType::JobUnhidden);
  }
};

}  // namespace

std::unique_ptr<const Projection> make_maintenance() { return std::make_unique<Maintenance>(); }

}  // namespace millrace
