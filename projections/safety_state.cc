// SPDX-License-Identifier: Apache-2.0
#include "projections/safety_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "projections/job_history_keys.h"
#include "projections/record.h"

namespace millrace {
namespace {

using schema::AlarmViewT;
using schema::SafetyCountViewT;
using schema::SafetyRuleViewT;
using schema::SafetyViewT;

constexpr size_t kMaxAlarmId = 256;
constexpr size_t kMaxRuleName = 64;
constexpr int64_t kDayUs = 86'400'000'000;

std::string machine_key(std::string_view machine) { return "m/" + std::string(machine); }
std::string alarm_key(std::string_view id) { return "a/" + std::string(id); }
std::string rule_key(std::string_view machine, std::string_view rule) { return fmt::format("r/{}/{}", machine, rule); }
std::string count_key(std::string_view machine, std::string_view what) { return fmt::format("c/{}/{}", machine, what); }
std::string window_key(std::string_view id) { return "w/" + std::string(id); }
std::string day_prefix(int64_t day) { return "d/" + job_keys::big_endian_of(static_cast<uint64_t>(day)); }

template <class Table>
typename Table::NativeTableType load(ViewBatch& batch, const std::string& key) {
  if (const auto stored = batch.get(key)) {
    if (auto decoded = decode_record<Table>(*stored)) return std::move(*decoded);
    batch.fail(make_error(Errc::kCorrupt, fmt::format("safety: record '{}'", key)));
  }
  return {};
}

void count(ViewBatch& batch, const std::string& key, std::string_view machine, std::string_view what, int64_t at_us) {
  auto record = load<schema::SafetyCountView>(batch, key);
  record.machine = machine;
  record.rule = what;
  ++record.count;
  record.last_us = at_us;
  batch.put(key, encode_record<schema::SafetyCountView>(record));
}

// An alarm that is raised again and again: the events of one stretch of kChatterUs are counted from its first.
void count_window(ViewBatch& batch, std::string_view id, std::string_view machine, int64_t at_us) {
  const std::string key = window_key(id);
  auto record = load<schema::SafetyCountView>(batch, key);
  if (record.count == 0 || at_us - record.last_us >= kChatterUs) {
    record.machine = machine;
    record.rule = id;
    record.count = 0;
    record.last_us = at_us;
  }
  ++record.count;
  batch.put(key, encode_record<schema::SafetyCountView>(record));
}

// One event on its way into the view.
class Fold {
 public:
  Fold(const RecordedEvent& event, ViewBatch& batch, ChangedKeys& changed)
      : envelope_(event.envelope),
        batch_(batch),
        changed_(changed),
        machine_(event.envelope.machine()),
        actor_(text(event.envelope.table().actor())),
        position_(event.position.value),
        observed_us_(to_unix_us(event.envelope.observed_at())) {}

  void run() {
    if (machine_.find('/') != std::string::npos) return;
    if (envelope_.type() == EventType::SafetyRuleChanged) return take_rule();
    if (machine_.empty()) return;
    if (is_of_alarms(envelope_.type())) return take_alarm();
    take_machine();
  }

 private:
  static bool is_of_alarms(EventType type) {
    return type == EventType::AlarmRaised || type == EventType::AlarmCleared || type == EventType::AlarmAcknowledged ||
           type == EventType::AlarmShelved || type == EventType::AlarmEscalated;
  }

  void take_rule() {
    const auto* event = envelope_.as<schema::SafetyRuleChanged>();
    const std::string_view rule = event->setting() == nullptr ? "" : text(event->setting()->rule());
    if (rule.empty() || rule.size() > kMaxRuleName || rule.find('/') != std::string_view::npos) return;
    const std::string key = rule_key(machine_, rule);
    SafetyRuleViewT record;
    record.machine = machine_;
    record.setting.reset(event->setting()->UnPack());
    record.actor = actor_;
    record.changed_us = observed_us_;
    record.version = position_;
    // A setting that was taken away stays as a record without one, so that its version is not lost: adapters are told
    // in the order of versions.
    if (event->removed()) record.setting->rule.clear();
    put<schema::SafetyRuleView>(key, record);
  }

  void take_alarm() {
    const std::string id(alarm_id());
    if (id.empty() || id.size() > kMaxAlarmId || !id.starts_with(machine_ + "/")) return;
    const auto* raised = envelope_.as<schema::AlarmRaised>();
    auto alarm = load<schema::AlarmView>(batch_, alarm_key(id));
    if (alarm.id.empty() && raised == nullptr) return;  // of an alarm that nobody knows
    if (raised != nullptr) {
      take_raised(alarm, *raised, id);
    } else if (envelope_.type() == EventType::AlarmCleared) {
      if (!alarm.active) return;
      alarm.active = false;
      alarm.cleared_us = observed_us_;
    } else if (const auto* acknowledged = envelope_.as<schema::AlarmAcknowledged>()) {
      alarm.acknowledged = true;
      alarm.acknowledged_us = observed_us_;
      alarm.acknowledged_by = actor_;
      alarm.note = text(acknowledged->note());
    } else if (const auto* shelved = envelope_.as<schema::AlarmShelved>()) {
      alarm.shelved_until_us = shelved->until_us();
      alarm.shelved_by = actor_;
      alarm.shelve_reason = text(shelved->reason());
    } else if (const auto* escalated = envelope_.as<schema::AlarmEscalated>()) {
      alarm.escalated = true;
      alarm.level = escalated->level();
      alarm.acknowledged = false;
      alarm.shelved_until_us = 0;
    }
    alarm.last_position = position_;
    put<schema::AlarmView>(alarm_key(id), alarm);
  }

  void take_raised(AlarmViewT& alarm, const schema::AlarmRaised& raised, const std::string& id) {
    const std::string_view rule = text(raised.rule());
    // Told again of one that stands, as after a lost state of an adapter: it is the same alarm.
    const bool again = alarm.active;
    if (alarm.id.empty()) {
      alarm.id = id;
      alarm.machine = machine_;
      alarm.first_us = observed_us_;
      alarm.first_position = position_;
    }
    alarm.rule = rule;
    alarm.subject = text(raised.subject());
    alarm.level = alarm.escalated && again ? std::max(alarm.level, raised.level()) : raised.level();
    alarm.action = raised.action();
    alarm.text = text(raised.text());
    alarm.value = raised.value();
    alarm.threshold = raised.threshold();
    alarm.job_id = text(raised.job_id());
    if (again) return;
    alarm.active = true;
    alarm.acknowledged = alarm.escalated = false;
    alarm.acknowledged_us = alarm.cleared_us = 0;
    alarm.acknowledged_by.clear();
    alarm.note.clear();
    ++alarm.count;
    alarm.raised_us = observed_us_;
    alarm.raised_position = position_;
    tally(rule.substr(0, kMaxRuleName));
    tally("events");
    if (observed_us_ > 0) {
      count(batch_, day_prefix(observed_us_ / kDayUs) + machine_, machine_, "alarms", observed_us_);
    }
    count_window(batch_, id, machine_, observed_us_);
  }

  std::string_view alarm_id() const {
    if (const auto* event = envelope_.as<schema::AlarmRaised>()) return text(event->alarm_id());
    if (const auto* event = envelope_.as<schema::AlarmCleared>()) return text(event->alarm_id());
    if (const auto* event = envelope_.as<schema::AlarmAcknowledged>()) return text(event->alarm_id());
    if (const auto* event = envelope_.as<schema::AlarmShelved>()) return text(event->alarm_id());
    if (const auto* event = envelope_.as<schema::AlarmEscalated>()) return text(event->alarm_id());
    return {};
  }

  void take_machine() {
    if (envelope_.type() == EventType::MachineStateChanged) return tally("state_changes");
    if (const auto* rejected = envelope_.as<schema::CommandRejected>()) return take_rejected(*rejected);
    auto view = load<schema::SafetyView>(batch_, machine_key(machine_));
    view.machine = machine_;
    if (!take(view)) return;
    put<schema::SafetyView>(machine_key(machine_), view);
  }

  void take_rejected(const schema::CommandRejected& rejected) {
    tally("events");
    if (rejected.reasons() == nullptr) return;
    for (const schema::Refusal* reason : *rejected.reasons()) {
      const std::string_view rule = text(reason->rule()).substr(0, kMaxRuleName);
      if (!rule.empty() && rule.find('/') == std::string_view::npos) tally("refused:" + std::string(rule));
    }
  }

  // False when the event means nothing here.
  bool take(SafetyViewT& view) {
    switch (envelope_.type()) {
      case EventType::LimitsChanged: {
        const auto* event = envelope_.as<schema::LimitsChanged>();
        view.limits.reset(event->limits() == nullptr ? nullptr : event->limits()->UnPack());
        view.limits_version = position_;
        view.limits_changed_us = observed_us_;
        view.limits_actor = actor_;
        view.limits_reason = text(event->reason());
        return true;
      }
      case EventType::LimitsApplied: {
        const auto* event = envelope_.as<schema::LimitsApplied>();
        view.applied_version = event->version();
        view.applied.reset(event->limits() == nullptr ? nullptr : event->limits()->UnPack());
        return true;
      }
      case EventType::EmergencyStopped: {
        tally("emergency_stops");
        tally("events");
        const auto* event = envelope_.as<schema::EmergencyStopped>();
        latch(view, text(event->reason()).empty() ? text(event->text()) : text(event->reason()));
        return true;
      }
      case EventType::EmergencyLatched:
        latch(view, text(envelope_.as<schema::EmergencyLatched>()->text()));
        return true;
      case EventType::EmergencyReset:
        view.latched = false;
        return true;
      case EventType::PlateCleared:
        view.plate_clear = true;
        view.plate_us = observed_us_;
        return true;
      case EventType::JobStarted:
        return envelope_.as<schema::JobStarted>()->seen() == schema::JobSeen::live && soil(view);
      case EventType::JobFinished:
        return !envelope_.as<schema::JobFinished>()->late() && soil(view);
      default:
        return false;
    }
  }

  // A print that begins or ends leaves something on the plate.
  bool soil(SafetyViewT& view) {
    view.plate_clear = false;
    view.plate_us = observed_us_;
    return true;
  }

  void latch(SafetyViewT& view, std::string_view text) {
    // The stop itself says who; that Klipper was then seen to be stopped says nothing new.
    if (view.latched && actor_.empty()) return;
    view.latched = true;
    view.latch_position = position_;
    view.latched_us = observed_us_;
    view.latched_by = actor_;
    view.latch_text = text;
  }

  void tally(std::string_view what) { count(batch_, count_key(machine_, what), machine_, what, observed_us_); }

  template <class Table>
  void put(const std::string& key, const typename Table::NativeTableType& record) {
    batch_.put(key, encode_record<Table>(record));
    changed_.insert(key);
  }

  const Envelope& envelope_;
  ViewBatch& batch_;
  ChangedKeys& changed_;
  const std::string machine_;
  const std::string actor_;
  const uint64_t position_;
  const int64_t observed_us_;
};

class SafetyState final : public Projection {
 public:
  std::string_view name() const override { return kSafetyView; }
  uint32_t version() const override { return 1; }
  std::set<EventType> types() const override {
    return {EventType::LimitsChanged,      EventType::LimitsApplied,  EventType::SafetyRuleChanged,
            EventType::AlarmRaised,        EventType::AlarmCleared,   EventType::AlarmAcknowledged,
            EventType::AlarmShelved,       EventType::AlarmEscalated, EventType::EmergencyStopped,
            EventType::EmergencyLatched,   EventType::EmergencyReset, EventType::PlateCleared,
            EventType::JobStarted,         EventType::JobFinished,    EventType::CommandRejected,
            EventType::MachineStateChanged};
  }

  void apply(const RecordedEvent& event, ViewBatch& batch, ChangedKeys& changed) const override {
    static const std::set<EventType> mine = types();
    if (mine.contains(event.envelope.type())) Fold(event, batch, changed).run();
  }
};

// Every record of a range; the visitor may end the scan.
template <class Table, class Visit>
Result<void> each(const ViewReader& reader, const KeyRange& range, const Visit& visit) {
  std::optional<Error> failed;
  const auto scanned = reader.scan(kSafetyView, range, [&](std::string_view key, std::string_view value) {
    auto record = decode_record<Table>(value);
    if (record) return visit(key, std::move(*record));
    failed = make_error(Errc::kCorrupt, fmt::format("safety: record '{}'", key));
    return false;
  });
  if (!scanned) return scanned.error();
  if (failed) return *failed;
  return {};
}

bool passes(const AlarmQuery& query, const AlarmViewT& alarm) {
  if (query.active_only && !alarm.active) return false;
  if (query.level && alarm.level < *query.level) return false;
  if (!query.rule.empty() && alarm.rule != query.rule) return false;
  return !query.standing || standing_of(alarm, query.now_us) == *query.standing;
}

}  // namespace

std::unique_ptr<const Projection> make_safety_state() { return std::make_unique<SafetyState>(); }

std::string_view name_of(AlarmStanding standing) {
  switch (standing) {
    case AlarmStanding::kActive:
      return "active";
    case AlarmStanding::kAcknowledged:
      return "acknowledged";
    case AlarmStanding::kShelved:
      return "shelved";
    case AlarmStanding::kCleared:
      return "cleared";
  }
  return "";
}

AlarmStanding standing_of(const AlarmViewT& alarm, int64_t now_us) {
  if (!alarm.active) return AlarmStanding::kCleared;
  if (alarm.shelved_until_us > now_us) return AlarmStanding::kShelved;
  return alarm.acknowledged ? AlarmStanding::kAcknowledged : AlarmStanding::kActive;
}

Result<std::map<std::string, SafetyViewT>> read_safety(const ViewReader& reader) {
  std::map<std::string, SafetyViewT> machines;
  const auto read = each<schema::SafetyView>(reader, KeyRange::prefix("m/"), [&](std::string_view, SafetyViewT record) {
    machines.emplace(record.machine, std::move(record));
    return true;
  });
  if (!read) return read.error();
  return machines;
}

Result<SafetyViewT> find_safety(const ViewReader& reader, std::string_view machine) {
  const auto stored = reader.get(kSafetyView, machine_key(machine));
  if (!stored) return stored.error();
  SafetyViewT none;
  none.machine = machine;
  if (!*stored) return none;
  auto record = decode_record<schema::SafetyView>(**stored);
  if (!record) return make_error(Errc::kCorrupt, fmt::format("safety: machine '{}'", machine));
  return std::move(*record);
}

Result<AlarmPage> list_alarms(const ViewReader& reader, const AlarmQuery& query) {
  auto range = KeyRange::prefix(query.machine.empty() ? "a/" : "a/" + query.machine + "/");
  if (!query.after.empty()) range.from = std::max(range.from, alarm_key(query.after) + '\0');
  AlarmPage page;
  const auto read = each<schema::AlarmView>(reader, range, [&](std::string_view, AlarmViewT alarm) {
    if (!passes(query, alarm)) return true;
    if (page.alarms.size() == query.limit) {
      page.next = page.alarms.back().id;
      return false;
    }
    page.alarms.push_back(std::move(alarm));
    return true;
  });
  if (!read) return read.error();
  return page;
}

Result<std::optional<AlarmViewT>> find_alarm(const ViewReader& reader, std::string_view id) {
  const auto stored = reader.get(kSafetyView, alarm_key(id));
  if (!stored) return stored.error();
  if (!*stored) return std::optional<AlarmViewT>();
  auto alarm = decode_record<schema::AlarmView>(**stored);
  if (!alarm) return make_error(Errc::kCorrupt, fmt::format("safety: alarm '{}'", id));
  return std::optional(std::move(*alarm));
}

Result<std::vector<SafetyRuleViewT>> read_rules(const ViewReader& reader, std::optional<std::string_view> machine) {
  const auto range = KeyRange::prefix(machine ? fmt::format("r/{}/", *machine) : "r/");
  std::vector<SafetyRuleViewT> rules;
  const auto read = each<schema::SafetyRuleView>(reader, range, [&](std::string_view, SafetyRuleViewT record) {
    rules.push_back(std::move(record));
    return true;
  });
  if (!read) return read.error();
  return rules;
}

std::vector<schema::SafetyRuleSetT> rules_for(const std::vector<SafetyRuleViewT>& rules, std::string_view machine) {
  std::map<std::string, schema::SafetyRuleSetT> settings;
  for (const bool own : {false, true}) {
    for (const SafetyRuleViewT& rule : rules) {
      const bool counts = own ? rule.machine == machine && !machine.empty() : rule.machine.empty();
      if (counts && rule.setting && !rule.setting->rule.empty()) settings[rule.setting->rule] = *rule.setting;
    }
  }
  std::vector<schema::SafetyRuleSetT> list;
  for (auto& [code, setting] : settings) list.push_back(std::move(setting));
  return list;
}

ToldSafety told_safety(const SafetyViewT& view, const std::vector<SafetyRuleViewT>& rules, std::string_view machine) {
  ToldSafety told;
  if (view.limits) told.safety.limits = *view.limits;
  told.safety.limits_version = told.version = view.limits_version;
  told.safety.rules = rules_for(rules, machine);
  for (const SafetyRuleViewT& rule : rules) {
    if (rule.machine.empty() || rule.machine == machine) told.version = std::max(told.version, rule.version);
  }
  return told;
}

Result<std::vector<SafetyCountViewT>> read_safety_counts(const ViewReader& reader) {
  std::vector<SafetyCountViewT> counts;
  const auto read =
      each<schema::SafetyCountView>(reader, KeyRange::prefix("c/"), [&](std::string_view, SafetyCountViewT record) {
        counts.push_back(std::move(record));
        return true;
      });
  if (!read) return read.error();
  return counts;
}

Result<std::vector<AlarmDay>> read_alarm_days(const ViewReader& reader, int64_t from_day) {
  auto range = KeyRange::prefix("d/");
  range.from = day_prefix(std::max<int64_t>(0, from_day));
  std::vector<AlarmDay> days;
  const auto read = each<schema::SafetyCountView>(reader, range, [&](std::string_view, const SafetyCountViewT& record) {
    days.push_back({record.last_us / kDayUs, record.machine, record.count});
    return true;
  });
  if (!read) return read.error();
  return days;
}

Result<std::vector<std::string>> read_chattering(const ViewReader& reader, int64_t from_us) {
  std::vector<std::string> ids;
  const auto read = each<schema::SafetyCountView>(reader, KeyRange::prefix("w/"),
                                                  [&](std::string_view, const SafetyCountViewT& record) {
                                                    if (record.count >= kChatters && record.last_us >= from_us)
                                                      ids.push_back(record.rule);
                                                    return true;
                                                  });
  if (!read) return read.error();
  return ids;
}

std::optional<SafetyKey> safety_key(std::string_view key) {
  if (key.size() < 2 || key[1] != '/') return std::nullopt;
  return SafetyKey{key[0], key.substr(2)};
}

}  // namespace millrace
