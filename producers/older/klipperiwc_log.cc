// SPDX-License-Identifier: Apache-2.0
#include "producers/older/klipperiwc_log.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace millrace {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;
constexpr int64_t kMinutesPerHour = 60;
constexpr size_t kOpenHours = 4;     // of one signal: rows may be a little out of order
constexpr size_t kPieceHours = 400;  // hours of signals in one piece
constexpr size_t kPieceJobs = 200;
constexpr size_t kMaxName = 96;  // of an object, as adapters send it
constexpr double kMostDegrees = 10'000;
constexpr int64_t kStillThereUs = 10 * kMinuteUs;
constexpr int64_t kOtherStartUs = kMinuteUs;  // the start of one print is told within this

// What KlipperIWC says as long as nobody has connected it to a printer.
constexpr std::string_view kSampleJob = "Voron_Mount_v6.gcode";
constexpr int64_t kSampleUptime = 16'320;

constexpr std::string_view kStatuses = "status_history";
constexpr std::string_view kTemperatures = "temperature_history";
constexpr std::string_view kJobs = "job_history";

OlderTableOptions statuses_table() {
  return {std::string(kStatuses), "SELECT * FROM status_history WHERE id > ? ORDER BY id LIMIT 2000", 2000, {}};
}
OlderTableOptions temperatures_table() {
  return {
      std::string(kTemperatures), "SELECT * FROM temperature_history WHERE id > ? ORDER BY id LIMIT 2000", 2000, {}};
}
// With the time of the status that it belongs to; a clean-up may have removed that.
OlderTableOptions jobs_table() {
  return {std::string(kJobs),
          "SELECT j.*, s.recorded_at FROM job_history j LEFT JOIN status_history s ON s.id = j.status_id "
          "WHERE j.id > ? ORDER BY j.id LIMIT 2000",
          2000,
          {"recorded_at"}};
}

// One minute of one signal.  A value holds until the next one, and to the end of the minute.
class OpenMinute {
 public:
  void add(double value, int64_t offset_us) {
    minute_.minimum = minute_.count == 0 ? value : std::min(minute_.minimum, value);
    minute_.maximum = minute_.count == 0 ? value : std::max(minute_.maximum, value);
    ++minute_.count;
    if (minute_.count > 1 && offset_us < at_us_) return;  // out of order: it held nothing
    cover(offset_us);
    minute_.last = value;
    at_us_ = offset_us;
  }
  OlderMinutes::Minute take(int64_t minute) {
    cover(kMinuteUs);
    minute_.minute = static_cast<uint16_t>(minute);
    minute_.mean = minute_.seconds > 0 ? weighted_ / minute_.seconds : minute_.last;
    minute_.mean = std::clamp(minute_.mean, minute_.minimum, minute_.maximum);
    return minute_;
  }

 private:
  void cover(int64_t until_us) {
    if (at_us_ < 0) return;
    const double seconds = static_cast<double>(until_us - at_us_) / 1e6;
    weighted_ += minute_.last * seconds;
    minute_.seconds += seconds;
  }

  OlderMinutes::Minute minute_;
  double weighted_ = 0;
  int64_t at_us_ = -1;  // of the last value
};

// A print as it was seen from status to status.
struct SeenPrint {
  std::string identifier;
  std::string name;
  std::string status;
  int64_t start_us = 0;
  int64_t first_us = 0;
  int64_t last_us = 0;
  int64_t end_us = 0;  // the first sight of its end
  double progress = 0;
  uint64_t sights = 0;
  bool ended() const { return end_us != 0; }
};

class Reading {
 public:
  Reading(SqlDatabase& database, const KlipperIwcOptions& options, OddRows& odd, const TakePiece& take)
      : database_(database), options_(options), odd_(odd), take_(take) {}

  Result<KlipperIwcReport> run() {
    for (const auto step : {&Reading::check, &Reading::take_machine, &Reading::read_temperatures,
                            &Reading::read_statuses, &Reading::read_jobs, &Reading::take_jobs}) {
      if (auto done = (this->*step)(); !done) return done.error();
    }
    return report_;
  }

 private:
  Result<void> check() {
    for (const std::string_view table : {kStatuses, kTemperatures, kJobs}) {
      const auto columns = database_.columns_of(table);
      if (!columns) return columns.error();
      if (columns->empty()) report_.missing_tables.insert(std::string(table));
    }
    // Its migrations alone make none of these: they come with the first start.
    if (report_.missing_tables.size() == 3 || report_.missing_tables.contains(std::string(kStatuses))) {
      return make_error(Errc::kMalformed, "that is no database of KlipperIWC: it has no table status_history");
    }
    return {};
  }

  OlderPiece piece() const {
    OlderPiece piece;
    piece.source = kKlipperIwc;
    piece.machine = options_.machine;
    return piece;
  }

  Result<void> take_machine() {
    OlderPiece machines = piece();
    OlderPrinter printer;
    printer.id = 1;
    printer.machine = options_.machine;
    printer.settings.name = options_.machine;
    printer.settings.kind = "printer";
    machines.printers.push_back(std::move(printer));
    if (auto taken = take_(machines); !taken) return taken.error();
    return {};
  }

  // --- measured values

  Result<void> read_temperatures() {
    if (report_.missing_tables.contains(std::string(kTemperatures))) return {};
    const auto read = read_older_table(database_, temperatures_table(), odd_, [&](const OlderRow& row) -> Result<void> {
      ++report_.temperatures;
      const auto at = row.time("timestamp");
      const std::string object = object_of_component(row.text("component", kMaxName));
      if (!at || object.empty()) {
        row.leave_out("without a time or a usable component");
        return {};
      }
      for (const auto& [column, field] : {std::pair("actual", "temperature"), std::pair("target", "target")}) {
        const auto degrees = row.number(column);
        if (!degrees) continue;
        if (std::fabs(*degrees) > kMostDegrees) {
          row.odd(column, "cannot be true");
        } else if (auto added = add_value(object, field, at->us, *degrees); !added) {
          return added;
        }
      }
      return {};
    });
    if (!read) return read.error();
    return close_all();
  }

  Result<void> read_statuses() {
    const auto read = read_older_table(database_, statuses_table(), odd_, [&](const OlderRow& row) -> Result<void> {
      ++report_.statuses;
      const std::string name = row.text("active_job_name", 1000);
      const bool sample = name == kSampleJob && row.integer("uptime_seconds") == kSampleUptime;
      report_.samples += sample ? 1 : 0;
      const auto at = row.time("recorded_at");
      if (!at) {
        row.leave_out("without a time");
        return {};
      }
      const auto progress = row.number("active_job_progress");
      if (progress && *progress >= 0 && *progress <= 1) {
        if (auto added = add_value("virtual_sdcard", "progress", at->us, *progress); !added) return added;
      } else if (progress) {
        row.odd("active_job_progress", "is not within 0 to 1");
      }
      // The same is in job_history, where that is.
      if (!name.empty() && report_.missing_tables.contains(std::string(kJobs))) {
        see(row, row.text("active_job_id", 200), name, row.text("active_job_status", 100), progress.value_or(0),
            row.time("active_job_started_at"), at->us);
      }
      return {};
    });
    if (!read) return read.error();
    return close_all();
  }

  Result<void> add_value(const std::string& object, const std::string& field, int64_t at_us, double value) {
    const int64_t minute = at_us / kMinuteUs;
    if (minute >= options_.now_us / kMinuteUs) return {};
    Hours& hours = open_[{object, field}];
    hours[minute / kMinutesPerHour][minute % kMinutesPerHour].add(value, at_us % kMinuteUs);
    if (hours.size() <= kOpenHours) return {};
    close_first({object, field}, hours);
    return closed_.minutes.size() < kPieceHours ? Result<void>{} : send_minutes();
  }

  using Hours = std::map<int64_t, std::map<int64_t, OpenMinute>>;

  void close_first(const std::pair<std::string, std::string>& signal, Hours& hours) {
    OlderMinutes hour;
    hour.object = signal.first;
    hour.field = signal.second;
    hour.hour = hours.begin()->first;
    for (auto& [minute, open] : hours.begin()->second) hour.minutes.push_back(open.take(minute));
    closed_.minutes.push_back(std::move(hour));
    hours.erase(hours.begin());
  }

  Result<void> close_all() {
    for (auto& [signal, hours] : open_) {
      while (!hours.empty()) {
        close_first(signal, hours);
        if (closed_.minutes.size() < kPieceHours) continue;
        if (auto sent = send_minutes(); !sent) return sent;
      }
    }
    return send_minutes();
  }

  Result<void> send_minutes() {
    if (closed_.minutes.empty()) return {};
    OlderPiece sent = piece();
    sent.minutes = std::exchange(closed_.minutes, {});
    if (auto taken = take_(sent); !taken) return taken.error();
    return {};
  }

  // --- prints

  Result<void> read_jobs() {
    if (report_.missing_tables.contains(std::string(kJobs))) return {};
    const auto read = read_older_table(database_, jobs_table(), odd_, [&](const OlderRow& row) -> Result<void> {
      ++report_.sights;
      auto at = row.time("recorded_at");
      if (!at) at = row.time("created_at");
      const std::string name = row.text("name", 1000);
      if (!at || name.empty()) {
        row.leave_out("without a time or a name");
        return {};
      }
      see(row, row.text("job_identifier", 200), name, row.text("status_value", 100), row.number("progress").value_or(0),
          row.time("started_at"), at->us);
      return {};
    });
    if (!read) return read.error();
    return {};
  }

  void see(const OlderRow& row, const std::string& identifier, const std::string& name, const std::string& status,
           double progress, const std::optional<OlderTime>& started, int64_t at_us) {
    if (status == "queued") {
      ++report_.queued;  // a file that waits is no print
      return;
    }
    if (status != "running" && status != "completed" && status != "failed") {
      return row.leave_out("a job whose status '" + status.substr(0, 50) + "' is not known");
    }
    const int64_t start_us = started ? started->us : at_us;
    std::vector<SeenPrint>& seen = prints_[{identifier, name}];
    if (seen.empty() || is_another(seen.back(), status, progress, started, start_us)) {
      seen.push_back({identifier, name, status, start_us, at_us, at_us, 0, 0, 0});
    }
    SeenPrint& print = seen.back();
    ++print.sights;
    print.status = status;
    print.progress = progress;
    print.first_us = std::min(print.first_us, at_us);
    print.last_us = std::max(print.last_us, at_us);
    if (status != "running" && !print.ended()) print.end_us = at_us;
  }

  // A name comes again with the next print of the same file.
  static bool is_another(const SeenPrint& print, const std::string& status, double progress,
                         const std::optional<OlderTime>& started, int64_t start_us) {
    if (print.ended()) return status == "running" || (started && start_us > print.end_us);
    return started && std::abs(start_us - print.start_us) > kOtherStartUs && progress < print.progress;
  }

  Result<void> take_jobs() {
    OlderPiece waiting = piece();
    const auto send = [&]() -> Result<void> {
      if (waiting.jobs.empty()) return {};
      if (auto taken = take_(waiting); !taken) return taken.error();
      waiting.jobs.clear();
      return {};
    };
    for (const auto& [name, prints] : prints_) {
      for (const SeenPrint& print : prints) {
        ++report_.prints;
        if (!print.ended() && print.last_us + kStillThereUs > options_.now_us) {
          ++report_.printing;
          continue;
        }
        waiting.jobs.push_back(job_of(print));
        if (waiting.jobs.size() < kPieceJobs) continue;
        if (auto sent = send(); !sent) return sent;
      }
    }
    return send();
  }

  static OlderJob job_of(const SeenPrint& print) {
    OlderJob job;
    job.of_row = false;
    job.row.filename = print.name;
    job.row.start_us = print.start_us;
    job.row.end_us = print.end_us;
    job.row.status = !print.ended() ? "interrupted" : print.status == "completed" ? "completed" : "error";
    job.seen_from_us = std::min(print.start_us, print.first_us);
    job.seen_to_us = std::max(print.start_us, print.ended() ? print.end_us : print.last_us);
    JsonWriter raw;
    raw.object().field("imported_from", kKlipperIwc).field("job_identifier", print.identifier);
    raw.field("status_value", print.status).field("progress", print.progress).field("sights", print.sights);
    raw.field("first_seen_at", to_rfc3339(from_unix_us(print.first_us)));
    job.raw_json = raw.field("last_seen_at", to_rfc3339(from_unix_us(print.last_us))).end().take();
    return job;
  }

  SqlDatabase& database_;
  const KlipperIwcOptions& options_;
  OddRows& odd_;
  const TakePiece& take_;
  KlipperIwcReport report_;
  std::map<std::pair<std::string, std::string>, Hours> open_;  // by object and field
  OlderPiece closed_;
  std::map<std::pair<std::string, std::string>, std::vector<SeenPrint>> prints_;  // by identifier and name
};

}  // namespace

std::string object_of_component(std::string_view component) {
  std::string name;
  for (const char c : component) name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (name.empty() || name.find('\0') != std::string::npos) return {};
  if (name == "hotend" || name == "nozzle" || name == "tool0") return "extruder";
  if (name == "bed") return "heater_bed";
  for (const std::string_view klippers : {"extruder", "heater_", "temperature_"}) {
    if (name.starts_with(klippers)) return std::string(component);
  }
  const std::string_view prefix = "temperature_sensor ";
  return std::string(prefix) + std::string(component.substr(0, kMaxName - prefix.size()));
}

Result<KlipperIwcReport> read_klipperiwc_log(SqlDatabase& database, const KlipperIwcOptions& options, OddRows& odd,
                                             const TakePiece& take) {
  return Reading(database, options, odd, take).run();
}

}  // namespace millrace
