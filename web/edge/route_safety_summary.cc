// SPDX-License-Identifier: Apache-2.0
// Safety in numbers: the statistics that the older system kept, and how the shop lives with its alarms.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "web/edge/problem.h"
#include "web/edge/safety_json.h"

namespace millrace {
namespace {

using schema::AlarmViewT;
using schema::SafetyCountViewT;

constexpr int64_t kDayUs = 86'400'000'000;
constexpr int64_t kHourUs = 3'600'000'000;
constexpr int64_t kShownDays = 30;
constexpr size_t kTopRules = 10;
constexpr size_t kMaxAlarms = 50'000;  // looked at

// What the older system counted, as what is counted here: refusals of the guard and alarms.
struct Violation {
  std::string_view name;
  std::array<std::string_view, 6> of;
};
constexpr std::array<Violation, 4> kViolations = {{
    {"temperature_violations", {"temperature_above_limit", "refused:temperature_limit"}},
    {"position_violations", {"position_outside", "refused:position_limit", "refused:unbounded_motion"}},
    {"pwm_violations", {"refused:pwm_limit", "refused:fan_limit"}},
    {"bounds_violations",
     {"refused:feedrate_limit", "refused:velocity_limit", "refused:acceleration_limit", "refused:factor_limit",
      "refused:light_limit"}},
}};

struct Tally {
  uint64_t count = 0;
  int64_t last_us = 0;
  void add(const SafetyCountViewT& of) {
    count += of.count;
    last_us = std::max(last_us, of.last_us);
  }
};

class Summary {
 public:
  Summary(const std::vector<SafetyCountViewT>& counts, const std::string& machine) : machine_(machine) {
    for (const SafetyCountViewT& count : counts) {
      if (is_asked(count.machine)) tallies_[count.rule].add(count);
    }
  }

  bool is_asked(std::string_view machine) const { return machine_.empty() || machine == machine_; }

  void write_counts(JsonWriter& json) {
    json.text_or_null("machine", machine_);
    json.field("total_events", tallies_["events"].count);
    json.field("emergency_stops", tallies_["emergency_stops"].count);
    Tally any;
    for (const Violation& violation : kViolations) {
      Tally sum;
      for (const std::string_view what : violation.of) {
        const Tally& tally = tallies_[std::string(what)];
        sum.count += tally.count;
        any.last_us = std::max(any.last_us, tally.last_us);
      }
      json.field(violation.name, sum.count);
    }
    json.field("state_changes_logged", tallies_["state_changes"].count);
    write_time(json, "last_emergency_stop", tallies_["emergency_stops"].last_us);
    write_time(json, "last_violation", any.last_us);
  }

  // Rules by the number of their alarms.
  void write_top(JsonWriter& json) const {
    std::vector<std::pair<uint64_t, std::string_view>> top;
    for (const MonitorRuleRow& row : monitor_rules()) {
      const auto found = tallies_.find(std::string(row.code));
      if (found != tallies_.end() && found->second.count > 0) top.emplace_back(found->second.count, row.code);
    }
    std::ranges::stable_sort(top, [](const auto& a, const auto& b) { return a.first > b.first; });
    json.key("top_rules").array();
    for (size_t i = 0; i < std::min(kTopRules, top.size()); ++i) {
      json.object().field("rule", top[i].second).field("count", top[i].first).end();
    }
    json.end();
  }

 private:
  const std::string machine_;
  std::map<std::string, Tally> tallies_;
};

void write_alarms(JsonWriter& json, const std::vector<AlarmViewT>& alarms, int64_t now_us) {
  uint64_t standing = 0, unacknowledged = 0, shelved = 0, long_standing = 0;
  std::vector<int64_t> waits;
  for (const AlarmViewT& alarm : alarms) {
    if (alarm.acknowledged && alarm.acknowledged_us >= alarm.raised_us) {
      waits.push_back(alarm.acknowledged_us - alarm.raised_us);
    }
    if (!alarm.active) continue;
    ++standing;
    const AlarmStanding state = standing_of(alarm, now_us);
    if (state == AlarmStanding::kActive) ++unacknowledged;
    if (state == AlarmStanding::kShelved) ++shelved;
    if (now_us - alarm.raised_us > kHourUs) ++long_standing;
  }
  json.field("standing", standing).field("unacknowledged", unacknowledged).field("shelved", shelved);
  json.field("standing_over_an_hour", long_standing).field("acknowledged", static_cast<uint64_t>(waits.size()));
  json.key("median_ack_s");
  if (waits.empty()) {
    json.null();
  } else {
    const auto middle = waits.begin() + static_cast<std::ptrdiff_t>(waits.size() / 2);
    std::nth_element(waits.begin(), middle, waits.end());
    json.value(static_cast<double>(*middle) / 1e6);
  }
}

void write_days(JsonWriter& json, const std::vector<AlarmDay>& days, const Summary& summary, int64_t today) {
  std::map<int64_t, uint64_t> counts;
  for (int64_t day = today - kShownDays + 1; day <= today; ++day) counts[day] = 0;
  for (const AlarmDay& day : days) {
    const auto found = summary.is_asked(day.machine) ? counts.find(day.day) : counts.end();
    if (found != counts.end()) found->second += day.count;
  }
  json.key("alarms_per_day").array();
  for (const auto& [day, count] : counts) {
    json.object().field("date", to_rfc3339(from_unix_us(day * kDayUs)).substr(0, 10)).field("count", count).end();
  }
  json.end();
}

}  // namespace

HttpResponse answer_safety_summary(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_in(request.http);
  if (!machine) return api_problem_from(machine.error());
  if (!machine->empty()) {
    if (auto known = known_machine(context, *machine); !known) return known.error();
  }
  const auto reader = context.parts.store.reader();
  const int64_t now_us = to_unix_us(context.parts.clock.wall());
  AlarmQuery query;
  query.machine = *machine;
  query.limit = kMaxAlarms;
  const auto counts = read_safety_counts(*reader);
  const auto alarms = list_alarms(*reader, query);
  const auto days = read_alarm_days(*reader, now_us / kDayUs - kShownDays + 1);
  const auto chattering = read_chattering(*reader, now_us - kDayUs);
  if (!counts) return api_problem_from(counts.error());
  if (!alarms) return api_problem_from(alarms.error());
  if (!days) return api_problem_from(days.error());
  if (!chattering) return api_problem_from(chattering.error());
  Summary summary(*counts, *machine);
  JsonWriter json;
  json.object();
  summary.write_counts(json);
  write_alarms(json, alarms->alarms, now_us);
  write_days(json, *days, summary, now_us / kDayUs);
  json.key("chattering").array();
  for (const std::string& id : *chattering) {
    if (summary.is_asked(std::string_view(id).substr(0, id.find('/')))) json.value(id);
  }
  json.end();
  summary.write_top(json);
  json.end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

}  // namespace millrace
