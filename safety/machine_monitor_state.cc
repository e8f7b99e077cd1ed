// SPDX-License-Identifier: Apache-2.0
// The monitor's state as small JSON text.  Numbers of one thing are an array in the order of its each_number().
#include <fmt/format.h>

#include "bus/machine_safety.h"
#include "safety/machine_monitor.h"

namespace millrace {
namespace {

constexpr int64_t kVersion = 1;
constexpr size_t kMaxName = 256;

Error malformed(std::string_view what) {
  return make_error(Errc::kMalformed, fmt::format("state of a monitor: {}", what));
}

class NumberWriter {
 public:
  explicit NumberWriter(JsonWriter& json) : json_(json) {}
  template <class Number>
  void operator()(const Number& number) {
    json_.value(number);
  }

 private:
  JsonWriter& json_;
};

// Reads on from some index of an array; what is not there or is of another type makes it bad.
class NumberReader {
 public:
  NumberReader(const Json& json, size_t from) : next_(from) {
    if (json.get_array().get(items_) != simdjson::SUCCESS) good_ = false;
  }
  bool good() const { return good_; }

  void operator()(double& number) {
    if (const auto item = next()) take(as_number(*item), number);
  }
  void operator()(int64_t& number) {
    if (const auto item = next()) take(as_integer(*item), number);
  }
  void operator()(bool& flag) {
    if (const auto item = next()) take(as_flag(*item), flag);
  }
  void operator()(std::optional<double>& number) {
    const auto item = next();
    if (!item || item->is_null()) return;
    number.emplace();
    take(as_number(*item), *number);
  }

 private:
  std::optional<Json> next() {
    Json item;
    if (good_ && items_.at(next_++).get(item) == simdjson::SUCCESS) return item;
    good_ = false;
    return std::nullopt;
  }
  template <class Number>
  void take(const std::optional<Number>& read, Number& into) {
    good_ = good_ && read.has_value();
    if (read) into = *read;
  }

  simdjson::dom::array items_;
  size_t next_;
  bool good_ = true;
};

std::optional<std::string> text_at(const Json& json, size_t index) {
  simdjson::dom::array items;
  Json item;
  if (json.get_array().get(items) != simdjson::SUCCESS || items.at(index).get(item) != simdjson::SUCCESS) return {};
  const auto text = as_text(item);
  if (!text || text->size() > kMaxName) return std::nullopt;
  return std::string(*text);
}

template <class Temperature, class Visit>
void each_temperature_number(Temperature& sensor, Visit& visit) {
  visit(sensor.value);
  visit(sensor.target);
  visit(sensor.power);
  visit(sensor.changed_at);
  visit(sensor.lowest);
  visit(sensor.best);
  visit(sensor.improved_at);
  visit(sensor.reached);
}

template <class Fan, class Visit>
void each_fan_number(Fan& fan, Visit& visit) {
  visit(fan.speed);
  visit(fan.rpm);
}

template <class Mcu, class Visit>
void each_mcu_number(Mcu& mcu, Visit& visit) {
  visit(mcu.retransmitted);
  visit(mcu.invalid);
  visit(mcu.counting);
  visit(mcu.counted);
  visit(mcu.counted_at);
  visit(mcu.errors);
  visit(mcu.task_average);
  visit(mcu.task_deviation);
}

template <class Watch, class Visit>
void each_watch_number(Watch& watch, Visit& visit) {
  visit(watch.bad_since);
  visit(watch.ok_since);
  visit(watch.standing);
  for (auto& raise : watch.raises) visit(raise);
}

template <class Records, class Each>
void write_records(JsonWriter& json, std::string_view key, const Records& records, Each each) {
  json.key(key).array();
  for (const auto& [name, record] : records) {
    json.array().value(name);
    NumberWriter write(json);
    each(record, write);
    json.end();
  }
  json.end();
}

// False when something in it is not what it should be.
template <class Records, class Each>
bool read_records(const Json& json, std::string_view key, size_t most, Records& records, Each each) {
  const auto list = member(json, key);
  simdjson::dom::array items;
  if (!list) return true;
  if (list->get_array().get(items) != simdjson::SUCCESS || items.size() > most) return false;
  for (const Json item : items) {
    const auto name = text_at(item, 0);
    if (!name) return false;
    NumberReader read(item, 1);
    each(records[*name], read);
    if (!read.good()) return false;
  }
  return true;
}

constexpr auto kEachTemperature = [](auto& record, auto& visit) { each_temperature_number(record, visit); };
constexpr auto kEachFan = [](auto& record, auto& visit) { each_fan_number(record, visit); };
constexpr auto kEachMcu = [](auto& record, auto& visit) { each_mcu_number(record, visit); };

}  // namespace

void MachineMonitor::encode(JsonWriter& json, bool brief) const {
  json.object().field("version", kVersion).field("now", now_).field("last_event_us", last_event_us_);
  json.field("state", static_cast<int>(state_)).field("job", job_id_);
  json.field("clock_off", clock_off_).field("clock_skew", clock_skew_s_);
  json.field("cause", cause_).field("cause_text", cause_text_).field("held_back", static_cast<int64_t>(held_back_));
  json.key("limits").object();
  write_limits(json, limits_, false);
  json.end().key("watches").array();
  for (const auto& [key, watch] : watches_) {
    if (brief && !watch.standing && watch.raises.back() == 0) continue;
    json.array().value(row_of(key.first).code).value(key.second);
    NumberWriter write(json);
    each_watch_number(watch, write);
    json.end();
  }
  json.end();
  if (!brief) {
    write_records(json, "temperatures", temperatures_, kEachTemperature);
    write_records(json, "fans", fans_, kEachFan);
    write_records(json, "mcus", mcus_, kEachMcu);
    json.key("others").array();
    NumberWriter write(json);
    for (const auto& axis : position_) write(axis);
    write(live_position_);
    write(cpu_usage_);
    write(disk_free_);
    write(disk_total_);
    write(had_sample_);
    write(sample_occurred_us_);
    json.end();
  }
  json.end();
}

Result<void> MachineMonitor::restore(const Json& json) {
  if (integer_member(json, "version") != kVersion) return malformed("another version");
  MachineMonitor read(machine_, rules_);
  const auto now = integer_member(json, "now");
  const auto state = integer_member(json, "state");
  if (!now || *now < 1 || !state || *state < 0 || *state > static_cast<int64_t>(schema::MachineState::MAX)) {
    return malformed("now or state");
  }
  read.now_ = *now;
  read.last_event_us_ = integer_member(json, "last_event_us").value_or(0);
  read.state_ = static_cast<schema::MachineState>(*state);
  read.job_id_ = text_member(json, "job").value_or("");
  read.clock_off_ = flag_member(json, "clock_off").value_or(false);
  read.clock_skew_s_ = number_member(json, "clock_skew").value_or(0);
  read.cause_ = text_member(json, "cause").value_or("");
  read.cause_text_ = text_member(json, "cause_text").value_or("");
  read.held_back_ = static_cast<uint64_t>(integer_member(json, "held_back").value_or(0));
  if (const auto limits = member(json, "limits")) {
    for (const LimitField& field : limit_fields()) read.limits_.*field.member = number_member(*limits, field.name);
    read.limits_.require_plate_cleared = flag_member(*limits, "require_plate_cleared");
  }
  const auto watches = member(json, "watches");
  simdjson::dom::array items;
  if (!watches || watches->get_array().get(items) != simdjson::SUCCESS || items.size() > kMaxWatches) {
    return malformed("watches");
  }
  for (const Json item : items) {
    const auto code = text_at(item, 0);
    const auto subject = text_at(item, 1);
    const MonitorRuleRow* row = code ? find_monitor_rule(*code) : nullptr;
    if (row == nullptr || !subject) return malformed("a watch");
    NumberReader numbers(item, 2);
    each_watch_number(read.watches_[{row->rule, *subject}], numbers);
    if (!numbers.good()) return malformed("a watch's numbers");
  }
  if (!read_records(json, "temperatures", kMaxObjects, read.temperatures_, kEachTemperature) ||
      !read_records(json, "fans", kMaxObjects, read.fans_, kEachFan) ||
      !read_records(json, "mcus", kMaxObjects, read.mcus_, kEachMcu)) {
    return malformed("temperatures, fans or mcus");
  }
  if (const auto others = member(json, "others")) {
    NumberReader numbers(*others, 0);
    for (auto& axis : read.position_) numbers(axis);
    numbers(read.live_position_);
    numbers(read.cpu_usage_);
    numbers(read.disk_free_);
    numbers(read.disk_total_);
    numbers(read.had_sample_);
    numbers(read.sample_occurred_us_);
    if (!numbers.good()) return malformed("others");
  }
  *this = std::move(read);
  return {};
}

}  // namespace millrace
