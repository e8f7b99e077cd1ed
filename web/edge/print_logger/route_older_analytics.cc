// SPDX-License-Identifier: Apache-2.0
// /api/analytics, /api/admin/system and /health.  Every print counts once; what failed or was interrupted counts as
// failed, what was cancelled as neither.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "projections/job_catalog.h"
#include "projections/job_history.h"
#include "projections/machine_state.h"
#include "web/edge/print_logger/older_request.h"
#include "web/edge/print_logger/print_logger_routes.h"
#include "web/edge/problem.h"
#include "web/edge/shown_json.h"

namespace millrace {
namespace {

using schema::JobOutcome;
using std::chrono::sys_days;

struct JobSums {
  uint64_t jobs = 0;
  double print_seconds = 0;
  double filament_mm = 0;
  uint64_t completed = 0;
  uint64_t failed = 0;
  int64_t last_us = 0;

  void add(const JobFigures& job) {
    ++jobs;
    print_seconds += job.print_duration.value_or(0);
    filament_mm += job.filament_used.value_or(0);
    completed += job.outcome == JobOutcome::completed ? 1 : 0;
    failed += job.outcome == JobOutcome::failed || job.outcome == JobOutcome::interrupted ? 1 : 0;
    last_us = std::max(last_us, job.started_us);
  }
};

constexpr size_t kMaxMixed = 2'000;  // prints of several filaments whose shares are looked up for one answer

// What was used of one type, and in how many prints.
struct FilamentUse {
  double used_mm = 0;
  uint64_t jobs = 0;
};
using FilamentUses = std::map<std::string, FilamentUse, std::less<>>;

void add_use(FilamentUses& uses, std::string_view type, double used_mm) {
  const auto found = uses.find(type);
  FilamentUse& use = found != uses.end() ? found->second : uses[std::string(type)];
  use.used_mm += used_mm;
  ++use.jobs;
}

struct MixedPrint {
  std::string id;
  std::string types;
  double used_mm = 0;
};

// Each type's part of what the slicer planned; empty where its file does not say.
std::map<std::string, double> planned_shares(const ViewReader& reader, const std::string& id) {
  std::map<std::string, double> shares;
  const auto part = find_job(reader, id);
  if (!part || part->detail.sliced == nullptr) return shares;
  double all = 0;
  for (const auto& extruder : part->detail.sliced->extruders) {
    const double used = extruder->used_mm.value_or(0);
    if (used <= 0 || extruder->filament_type.empty()) continue;
    shares[extruder->filament_type] += used;
    all += used;
  }
  for (auto& [type, share] : shares) share /= all;
  return shares;
}

// By the planned shares, or under the joint name of its types.
void add_mixed(FilamentUses& uses, const ViewReader& reader, const MixedPrint& print) {
  const auto shares = planned_shares(reader, print.id);
  for (const auto& [type, share] : shares) add_use(uses, type, print.used_mm * share);
  if (shares.empty()) add_use(uses, print.types, print.used_mm);
}

struct ActivePrinter {
  uint64_t number = 0;
  std::string id;
  std::string name;
};

OrRefusal<std::vector<ActivePrinter>> active_printers(const RouteContext& context) {
  const auto reader = context.parts.store.reader();
  const auto machines = read_machines(*reader);
  if (!machines) return in_older_words(api_problem_from(machines.error()));
  std::vector<ActivePrinter> printers;
  for (const auto& [id, machine] : *machines) {
    const bool active = !machine.removed && (!machine.settings || machine.settings->enabled);
    if (!active || machine.kind != "printer") continue;
    const auto number = older_number_of(*reader, OrdinalClass::kMachine, id);
    if (!number) return number.error();
    if (*number != 0) printers.push_back({*number, id, machine.name});
  }
  std::sort(printers.begin(), printers.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  return printers;
}

enum class Period { kDay, kWeek, kMonth };

std::optional<Period> period_named(std::string_view word) {
  if (word == "day") return Period::kDay;
  if (word == "week") return Period::kWeek;
  if (word == "month") return Period::kMonth;
  return std::nullopt;
}

// The period's first day; weeks begin on Monday.
sys_days first_day(Period period, int64_t us) {
  const auto day = std::chrono::floor<std::chrono::days>(from_unix_us(us));
  if (period == Period::kWeek) return day - (std::chrono::weekday(day) - std::chrono::Monday);
  const std::chrono::year_month_day date(day);
  return period == Period::kMonth ? sys_days(date.year() / date.month() / 1) : day;
}

// "2026-01-05", "2026-W02" by ISO 8601, "2026-01".
std::string name_of(Period period, sys_days first) {
  const std::chrono::year_month_day date(first);
  const auto month = static_cast<unsigned>(date.month());
  if (period == Period::kDay) {
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), month, static_cast<unsigned>(date.day()));
  }
  if (period == Period::kMonth) return fmt::format("{:04}-{:02}", static_cast<int>(date.year()), month);
  // A week belongs to the year of its Thursday.
  const sys_days thursday = first + std::chrono::days(3);
  const auto year = std::chrono::year_month_day(thursday).year();
  const auto days = (thursday - sys_days(year / std::chrono::January / 1)).count();
  return fmt::format("{:04}-W{:02}", static_cast<int>(year), days / 7 + 1);
}

}  // namespace

HttpResponse answer_older_summary(const RouteContext& context, const RouteRequest&) {
  const auto printers = active_printers(context);
  if (!printers) return printers.error();
  JobSums all;
  if (auto done = context.jobs->each([&](const JobFigures& job) { all.add(job); }); !done) {
    return in_older_words(api_problem_from(done.error()));
  }
  JsonWriter json;
  json.object().field("total_jobs", all.jobs).field("total_print_time", all.print_seconds);
  json.field("total_filament_used", all.filament_mm).field("successful_jobs", all.completed);
  json.field("failed_jobs", all.failed).field("active_printers", static_cast<uint64_t>(printers->size())).end();
  return json_answer(json);
}

HttpResponse answer_older_printer_figures(const RouteContext& context, const RouteRequest&) {
  const auto printers = active_printers(context);
  if (!printers) return printers.error();
  std::map<std::string, JobSums, std::less<>> by_machine;
  for (const ActivePrinter& printer : *printers) by_machine[printer.id];
  const auto done = context.jobs->each([&](const JobFigures& job) {
    if (const auto found = by_machine.find(job.machine); found != by_machine.end()) found->second.add(job);
  });
  if (!done) return in_older_words(api_problem_from(done.error()));
  JsonWriter json;
  json.array();
  for (const ActivePrinter& printer : *printers) {
    const JobSums& sums = by_machine[printer.id];
    json.object().field("printer_id", printer.number).field("printer_name", printer.name);
    json.field("total_jobs", sums.jobs).field("total_print_time", sums.print_seconds);
    json.field("total_filament_used", sums.filament_mm).field("successful_jobs", sums.completed);
    json.field("failed_jobs", sums.failed);
    write_time(json, "last_job_at", sums.last_us);
    json.end();
  }
  json.end();
  return json_answer(json);
}

HttpResponse answer_older_filament(const RouteContext& context, const RouteRequest&) {
  FilamentUses by_type;
  std::vector<MixedPrint> mixed;
  const auto done = context.jobs->each([&](const JobFigures& job) {
    const std::string_view type = job.filament_type.empty() ? "unknown" : job.filament_type;
    const double used_mm = job.filament_used.value_or(0);
    if (type.find(';') == std::string_view::npos || mixed.size() >= kMaxMixed) return add_use(by_type, type, used_mm);
    mixed.push_back({std::string(job.id), std::string(type), used_mm});
  });
  if (!done) return in_older_words(api_problem_from(done.error()));
  const auto reader = context.parts.store.reader();
  for (const MixedPrint& print : mixed) add_mixed(by_type, *reader, print);
  JsonWriter json;
  json.array();
  for (const auto& [type, use] : by_type) {
    json.object().field("filament_type", type).field("total_used", use.used_mm);
    json.field("job_count", use.jobs).end();
  }
  json.end();
  return json_answer(json);
}

HttpResponse answer_older_timeline(const RouteContext& context, const RouteRequest& request) {
  const std::string word(request.http.query_value("period").value_or("day"));
  const auto period = period_named(word);
  if (!period) {
    return older_invalid("query", "period",
                         fmt::format("period='{}': expected day, week or month", word.substr(0, 100)));
  }
  std::map<sys_days, JobSums> by_period;
  const auto done = context.jobs->each([&](const JobFigures& job) {
    if (job.started_us != 0) by_period[first_day(*period, job.started_us)].add(job);
  });
  if (!done) return in_older_words(api_problem_from(done.error()));
  JsonWriter json;
  json.array();
  for (const auto& [first, sums] : by_period) {
    json.object().field("period", name_of(*period, first)).field("job_count", sums.jobs);
    json.field("total_print_time", sums.print_seconds).field("successful_jobs", sums.completed);
    json.field("failed_jobs", sums.failed).end();
  }
  json.end();
  return json_answer(json);
}

HttpResponse answer_older_system(const RouteContext& context, const RouteRequest&) {
  const auto printers = active_printers(context);
  if (!printers) return printers.error();
  JobListQuery query;
  query.limit = 1;
  const auto jobs = context.jobs->list(query);
  if (!jobs) return in_older_words(api_problem_from(jobs.error()));
  const std::chrono::duration<double> up = context.parts.clock.monotonic() - context.started;
  JsonWriter json;
  json.object().field("version", context.options.version).field("database_type", "rocksdb");
  json.field("active_printers", static_cast<uint64_t>(printers->size())).field("total_jobs", jobs->total);
  json.field("uptime_seconds", up.count()).end();
  return json_answer(json);
}

HttpResponse answer_older_health(const RouteContext& context, const RouteRequest&) {
  const bool ready = context.parts.health.ready();
  JsonWriter json;
  json.object().field("status", ready ? "healthy" : "unhealthy").end();
  return json_answer(json, ready ? 200 : 503);
}

}  // namespace millrace
