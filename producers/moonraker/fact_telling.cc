// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/fact_telling.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "bus/sha256.h"

namespace millrace {
namespace {

constexpr size_t kMaxName = 256;
constexpr size_t kMaxVersion = 200;
constexpr size_t kMaxId = 64;
constexpr double kMaxUnixSeconds = 253'402'300'800;  // the year 10000

bool is_filament_sensor(std::string_view object) {
  return object.starts_with("filament_switch_sensor ") || object.starts_with("filament_motion_sensor ");
}

bool is_mcu(std::string_view object) { return object == "mcu" || object.starts_with("mcu "); }

// At most `most` bytes, not inside a character of UTF-8.
std::string shortened(std::string_view text, size_t most) {
  if (text.size() <= most) return std::string(text);
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  return std::string(text.substr(0, most));
}

// As it would stand in a file; lines of a value are indented, as Klipper wants it.
std::string config_text(const Json& config) {
  std::string text;
  simdjson::dom::object sections;
  if (config.get_object().get(sections) != simdjson::SUCCESS) return text;
  for (const auto [section, content] : sections) {
    text += "[" + std::string(section) + "]\n";
    simdjson::dom::object options;
    if (content.get_object().get(options) != simdjson::SUCCESS) continue;
    for (const auto [option, value] : options) {
      text += std::string(option) + ": ";
      const auto words = as_text(value);
      for (const char c : words ? std::string(*words) : to_text(value)) {
        text += c;
        if (c == '\n') text += "  ";
      }
      text += '\n';
    }
    text += '\n';
  }
  return text;
}

}  // namespace

FactTelling::FactTelling(const Clock& clock, const MachineTime& time, EventBatch& out, ToldFacts& told)
    : clock_(clock), time_(time), out_(out), told_(told) {}

void FactTelling::begin() {
  firmware_.clear();
  sensors_.clear();
  message_.clear();
  dirty_ = true;
}

void FactTelling::on_field(std::string_view object, std::string_view field, const StatusValue& value) {
  if (object == "display_status" && field == "message") {
    const auto* text = std::get_if<std::string>(&value);
    message_ = text == nullptr ? std::string() : shortened(*text, kMaxMessage);
    dirty_ = true;
  } else if (is_filament_sensor(object) && (field == "filament_detected" || field == "enabled")) {
    const bool* flag = std::get_if<bool>(&value);
    if (flag == nullptr || (sensors_.size() >= kMaxSensors && !sensors_.contains(object))) return;
    Seen& seen = sensors_[shortened(object, kMaxName)];
    (field == "enabled" ? seen.enabled : seen.detected) = *flag;
    dirty_ = true;
  } else if (is_mcu(object) && (firmware_.size() < kMaxFirmware || firmware_.contains(object))) {
    if (const auto* text = std::get_if<std::string>(&value); text != nullptr && field == "mcu_version") {
      firmware_[shortened(object, kMaxName)].version = shortened(*text, kMaxVersion);
    } else if (const auto* json = std::get_if<StructureText>(&value); json != nullptr && field == "mcu_constants") {
      const auto constants = reader_.parse(json->json);
      if (!constants) return;
      firmware_[shortened(object, kMaxName)].chip = shortened(text_member(*constants, "MCU").value_or(""), kMaxVersion);
    }
  }
}

// What comes too soon after the last stays due until a later frame; they come several times a second.
void FactTelling::tell() {
  if (!std::exchange(dirty_, false)) return;
  const MonotonicTime now = clock_.monotonic();
  if (message_ != told_.message) {
    if (message_told_at_ && now - *message_told_at_ < kAtLeast) {
      dirty_ = true;
    } else {
      message_told_at_ = now;
      told_.message = message_;
      schema::MessageShownT shown;
      shown.text = message_;
      out_.add(std::move(shown), time_.occurred());
    }
  }
  for (auto& [name, seen] : sensors_) {
    if (!seen.detected || !seen.enabled) continue;
    const ToldFacts::Sensor sensor{*seen.detected, *seen.enabled};
    const auto told = told_.filament.find(name);
    if (told != told_.filament.end() && told->second == sensor) continue;
    if (told == told_.filament.end() && told_.filament.size() >= kMaxSensors) continue;
    if (seen.told_at && now - *seen.told_at < kAtLeast) {
      dirty_ = true;
      continue;
    }
    seen.told_at = now;
    told_.filament[name] = sensor;
    schema::FilamentSensorChangedT changed;
    changed.sensor = name;
    changed.detected = sensor.detected;
    changed.enabled = sensor.enabled;
    out_.add(std::move(changed), time_.occurred());
  }
}

void FactTelling::on_versions(std::string_view klipper, std::string_view moonraker) {
  schema::SoftwareIdentifiedT software;
  software.klipper_version = klipper;
  software.moonraker_version = moonraker;
  std::string all = software.klipper_version + "\n" + software.moonraker_version;
  for (const auto& [name, seen] : firmware_) {
    auto firmware = std::make_unique<schema::FirmwareT>();
    firmware->name = name;
    firmware->version = seen.version;
    firmware->chip = seen.chip;
    all += "\n" + name + "\n" + seen.version + "\n" + seen.chip;
    software.firmware.push_back(std::move(firmware));
  }
  std::string digest = hex_of(Sha256Digester().digest(all));
  if (digest == told_.software) return;
  told_.software = std::move(digest);
  out_.add(std::move(software), time_.occurred());
}

void FactTelling::on_printer_config(const Json& config) {
  const std::string text = config_text(config);
  if (text.empty()) return;
  const std::string sha256 = hex_of(Sha256Digester().digest(text));
  if (sha256 == told_.printer_config) return;
  told_.printer_config = sha256;
  std::string_view rest = text;
  if (rest.size() > kMaxConfig) rest = {};
  do {
    schema::PrinterConfigReadT read;
    read.sha256 = sha256;
    read.bytes = text.size();
    read.text = shortened(rest, kMaxConfigInEvent);
    rest.remove_prefix(read.text.size());
    out_.add(std::move(read), time_.occurred());
  } while (!rest.empty());
}

void FactTelling::on_spool(std::optional<int64_t> spool) {
  if (told_.spool_told ? told_.spool == spool : !spool) return;
  told_.spool_told = true;
  told_.spool = spool;
  schema::SpoolChangedT changed;
  changed.spool_id = spool;
  out_.add(std::move(changed), time_.occurred());
}

bool FactTelling::on_queue(const Json& status) {
  const auto list = member(status, "queued_jobs");
  if (!list || !take_queue(*list)) return false;
  tell_queue(text_member(status, "queue_state").value_or(""));
  return true;
}

bool FactTelling::on_queue_change(const Json& change) {
  const auto list = member(change, "updated_queue");
  if (list ? !take_queue(*list) : !waiting_) return false;
  tell_queue(text_member(change, "queue_state").value_or(""));
  return true;
}

bool FactTelling::take_queue(const Json& list) {
  simdjson::dom::array items;
  if (list.get_array().get(items) != simdjson::SUCCESS) return false;
  Waiting heard;
  for (const Json item : items) {
    ++heard.total;
    if (heard.jobs.size() >= kMaxWaiting) continue;
    schema::WaitingJobT job;
    job.id = shortened(text_member(item, "job_id").value_or(""), kMaxId);
    job.filename = shortened(text_member(item, "filename").value_or(""), kMaxName);
    const double added = number_member(item, "time_added").value_or(0);
    if (added > 0 && added < kMaxUnixSeconds) job.added_us = std::llround(added * 1e6);
    heard.jobs.push_back(std::move(job));
  }
  waiting_ = std::move(heard);
  return true;
}

// An empty queue that nobody was told of is no news.
void FactTelling::tell_queue(std::string_view state) {
  if (told_.queue.empty() && waiting_->total == 0) return;
  schema::JobQueueChangedT changed;
  changed.state = shortened(state, kMaxId);
  changed.total = static_cast<uint32_t>(std::min<size_t>(waiting_->total, UINT32_MAX));
  std::string all = changed.state + "\n" + std::to_string(changed.total);
  for (const schema::WaitingJobT& job : waiting_->jobs) {
    all += "\n" + job.id + "\n" + job.filename + "\n" + std::to_string(job.added_us);
    changed.jobs.push_back(std::make_unique<schema::WaitingJobT>(job));
  }
  std::string digest = hex_of(Sha256Digester().digest(all));
  if (digest == told_.queue) return;
  told_.queue = std::move(digest);
  out_.add(std::move(changed), time_.occurred());
}

void FactTelling::on_machine_time() {
  const auto skew = time_.skew_ms();
  if (!skew) return;
  const bool other = told_.clock_off ? std::llabs(*skew) < kClockRightMs : std::llabs(*skew) > kClockOffMs;
  clock_sights_ = other ? clock_sights_ + 1 : 0;
  if (clock_sights_ < kClockSights) return;
  clock_sights_ = 0;
  told_.clock_off = !told_.clock_off;
  schema::MachineClockOffT off;
  off.skew_ms = *skew;
  off.active = told_.clock_off;
  out_.add(std::move(off));
}

}  // namespace millrace
