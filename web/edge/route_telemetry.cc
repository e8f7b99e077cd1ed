// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "bus/signal_units.h"
#include "projections/job_history.h"
#include "projections/machine_state.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"
#include "web/edge/telemetry_json.h"

namespace millrace {
namespace {

constexpr size_t kMaxSignals = 64;
// 90 days of 10 signals by the minute are 1,296,000.
constexpr int64_t kMaxBuckets = 1'500'000;
// Each costs a read of some microseconds, and there is one worker: about a second.
constexpr int64_t kMaxSignalHours = 400'000;
constexpr int64_t kAutoBuckets = 1'000;
constexpr int64_t kDefaultHours = 24;
constexpr std::array<int64_t, 13> kAutoMinutes = {1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 10'080};

int64_t minute_of(int64_t us) { return us / 60'000'000; }

HttpResponse too_many(std::string_view detail) { return api_problem(400, "too_many_buckets", detail); }

// The problem that stands for a lack of something, or the thing.
template <class T>
using Found = boost::system::result<T, HttpResponse>;

SignalName named(const RouteContext& context, const RecordedSignal& signal) {
  SignalName name{signal.object, signal.field, std::string(unit_of_signal(signal.object, signal.field))};
  const auto configured = context.options.sensor_units.find(name.text());
  if (configured != context.options.sensor_units.end()) name.unit = configured->second;
  return name;
}

bool is_temperature(const SignalName& signal) {
  return signal.unit == kCelsius && (signal.field == "temperature" || signal.field == "target");
}

// In the order in which they were asked for; an object's name alone means all of its fields.  Without any: temperatures
// and their targets.
Found<std::vector<SignalName>> signals_in(const RouteContext& context, const ViewReader& reader,
                                          const HttpRequest& request, const std::string& machine) {
  const auto recorded = list_signals(reader, machine);
  if (!recorded) return api_problem_from(recorded.error());
  std::vector<SignalName> wanted;
  const std::vector<std::string> asked = texts_in(request, "signals");
  for (const RecordedSignal& signal : *recorded) {
    SignalName name = named(context, signal);
    if (asked.empty() && is_temperature(name)) wanted.push_back(std::move(name));
  }
  for (const std::string& text : asked) {
    const size_t before = wanted.size();
    for (const RecordedSignal& signal : *recorded) {
      SignalName name = named(context, signal);
      if (name.text() == text || name.object == text) wanted.push_back(std::move(name));
    }
    if (wanted.size() == before) {
      return api_problem(
          404, "signal_not_found",
          fmt::format("machine '{}' never sent a signal '{}'; GET /api/v1/machines/{}/signals lists them", machine,
                      text.substr(0, 200), machine));
    }
  }
  if (wanted.size() > kMaxSignals) {
    return too_many(fmt::format("{} signals are asked for: expected at most {}", wanted.size(), kMaxSignals));
  }
  return wanted;
}

// Seconds of one bucket; 0: as the range suggests.
Result<int64_t> step_in(const HttpRequest& request) {
  const std::string text = text_in(request, "resolution");
  if (text.empty() || text == "auto") return 0;
  constexpr int64_t kLongest = 366 * 86'400;
  int64_t seconds = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool valid = failed == std::errc{} && end == text.data() + text.size() && seconds > 0 && seconds <= kLongest;
  if (valid) return seconds;
  return make_error(Errc::kInvalidArgument, fmt::format("resolution='{}': expected 'auto' or seconds from 1 to {}",
                                                        text.substr(0, 100), kLongest));
}

int64_t step_for(int64_t minutes) {
  for (const int64_t step : kAutoMinutes) {
    if (minutes <= step * kAutoBuckets) return step;
  }
  return kAutoMinutes.back() * (minutes / (kAutoMinutes.back() * kAutoBuckets) + 1);
}

struct Period {
  int64_t from_us;
  int64_t to_us;
};

HttpResponse with_body(std::string body) {
  HttpResponse response;
  response.body = std::move(body);
  return response;
}

// From the minutes of the view.
HttpResponse answer_minutes(const ViewReader& reader, const std::string& machine, const Period& period, int64_t step,
                            std::span<const SignalName> signals) {
  const int64_t end = minute_of(period.to_us + 59'999'999);
  TelemetryRange range;
  range.step = step == 0 ? step_for(end - minute_of(period.from_us)) : step;
  range.from = minute_of(period.from_us) / range.step * range.step;
  range.buckets = static_cast<size_t>((end - range.from + range.step - 1) / range.step);
  const auto count = static_cast<int64_t>(signals.size());
  const auto buckets = static_cast<int64_t>(range.buckets);
  if (buckets * std::max<int64_t>(count, 1) > kMaxBuckets) {
    return too_many(
        fmt::format("{} signals in {} buckets of {} s are asked for: expected at most {} buckets in all; ask for "
                    "a coarser resolution, a shorter time or fewer signals",
                    count, buckets, range.step * 60, kMaxBuckets));
  }
  if (buckets * range.step / 60 * count > kMaxSignalHours) {
    return too_many(
        fmt::format("{} signals over {} hours are asked for: expected at most {} signal hours; ask for a "
                    "shorter time or fewer signals",
                    count, buckets * range.step / 60, kMaxSignalHours));
  }
  auto answer = telemetry_answer(reader, machine, range, signals);
  return answer ? with_body(std::move(*answer)) : api_problem_from(answer.error());
}

// From the samples of the log: what the view, which keeps minutes, cannot tell.
HttpResponse answer_samples(const RouteContext& context, const ViewReader& reader, const std::string& machine,
                            const Period& period, int64_t step_s, std::span<const SignalName> signals) {
  SampleRange range;
  range.step_ms = step_s * 1000;
  range.from_ms = period.from_us / 1000 / range.step_ms * range.step_ms;
  const int64_t end_ms = (period.to_us + 999) / 1000;
  if (end_ms - range.from_ms > kMaxSampleHours * 3'600'000) {
    return too_many(
        fmt::format("resolution={} is read from samples, at most {} hours of them; ask for a shorter time or for a "
                    "multiple of 60",
                    step_s, kMaxSampleHours));
  }
  range.buckets = static_cast<size_t>((end_ms - range.from_ms + range.step_ms - 1) / range.step_ms);
  range.buckets = std::min(range.buckets, static_cast<size_t>(kMaxSampleHours * 3'600'000 / range.step_ms));
  const auto since_ms = samples_since_ms(context.parts.log);
  if (!since_ms) return api_problem_from(since_ms.error());
  if (range.from_ms < *since_ms) {
    const bool any = *since_ms < to_unix_us(context.parts.clock.wall()) / 1000;
    return api_problem(
        422, "samples_expired",
        fmt::format("resolution={} is read from samples, which are kept {}; for what was before ask for a multiple of "
                    "60, such as resolution=60",
                    step_s, any ? "since " + to_rfc3339(from_unix_us(*since_ms * 1000)) : "no longer"));
  }
  std::vector<SignalRef> refs;
  for (const SignalName& signal : signals) refs.push_back({signal.object, signal.field});
  const int64_t now_ms = to_unix_us(context.parts.clock.wall()) / 1000;
  const auto columns = read_samples(reader, context.parts.log, machine, range, now_ms, refs);
  if (columns) return with_body(samples_answer(machine, range, signals, *columns));
  if (columns.error().code != Errc::kTooLarge) return api_problem_from(columns.error());
  return too_many(columns.error().context + "; ask for a shorter time or for a multiple of 60");
}

HttpResponse answer_period(const RouteContext& context, const HttpRequest& request, const ViewReader& reader,
                           const std::string& machine, const Period& period) {
  const auto seconds = step_in(request);
  if (!seconds) return api_problem_from(seconds.error());
  const auto signals = signals_in(context, reader, request, machine);
  if (!signals) return signals.error();
  if (*seconds % 60 != 0) return answer_samples(context, reader, machine, period, *seconds, *signals);
  return answer_minutes(reader, machine, period, *seconds / 60, *signals);
}

Found<std::string> known_machine(const ViewReader& reader, const std::string& id) {
  const auto stored = reader.get(kMachineStateView, id);
  if (!stored) return api_problem_from(stored.error());
  if (*stored) return id;
  return machine_not_found(id);
}

// By the observer's clock, as the samples are: the machine's own may be wrong by years.
Period period_of(const schema::JobViewT& job, int64_t now_us) {
  const bool seen_live = job.start_seen == schema::JobSeen::live && job.start_observed_us > 0;
  Period period{seen_live ? job.start_observed_us : started_at(job).us, now_us};
  if (job.outcome != schema::JobOutcome::running) {
    const bool end_live = job.end_seen == schema::JobSeen::live && job.end_fallback_us > 0;
    period.to_us = end_live ? job.end_fallback_us : ended_at(job).us;
    if (period.to_us <= 0) period.to_us = job.last_observed_us;
    if (period.to_us <= period.from_us && job.total_duration) {
      period.to_us = period.from_us + static_cast<int64_t>(std::clamp(*job.total_duration, 0.0, 1e9) * 1e6);
    }
  }
  period.from_us = std::max<int64_t>(period.from_us, 0);
  period.to_us = std::max(std::min(period.to_us, now_us), period.from_us + 1);
  return period;
}

}  // namespace

HttpResponse answer_signals(const RouteContext& context, const RouteRequest& request) {
  const auto reader = context.parts.store.reader();
  const auto machine = known_machine(*reader, request.path.at("id"));
  if (!machine) return machine.error();
  const auto signals = list_signals(*reader, *machine);
  if (!signals) return api_problem_from(signals.error());
  JsonWriter json;
  json.object().key("items").array();
  for (const RecordedSignal& signal : *signals) {
    const SignalName name = named(context, signal);
    json.object().field("name", name.text()).field("object", name.object).field("field", name.field);
    json.text_or_null("unit", name.unit);
    json.field("last", signal.last);
    json.field("last_minute", to_rfc3339(from_unix_us(signal.last_minute * 60'000'000))).end();
  }
  json.end().key("next_cursor").null().field("total", static_cast<uint64_t>(signals->size())).end();
  return with_body(json.take());
}

HttpResponse answer_telemetry(const RouteContext& context, const RouteRequest& request) {
  const auto from = time_in(request.http, "from");
  const auto to = time_in(request.http, "to");
  if (!from) return api_problem_from(from.error());
  if (!to) return api_problem_from(to.error());
  const WallTime now = context.parts.clock.wall();
  const WallTime end = to->value_or(now);
  const WallTime begin = from->value_or(end - std::chrono::hours(kDefaultHours));
  if (begin >= end || to_unix_us(begin) < 0) {
    return api_problem_from(make_error(
        Errc::kInvalidArgument,
        fmt::format("from='{}': expected a time from 1970 on and before to='{}'", to_rfc3339(begin), to_rfc3339(end))));
  }
  const auto reader = context.parts.store.reader();
  const auto machine = known_machine(*reader, request.path.at("id"));
  if (!machine) return machine.error();
  return answer_period(context, request.http, *reader, *machine, {to_unix_us(begin), to_unix_us(end)});
}

HttpResponse answer_job_telemetry(const RouteContext& context, const RouteRequest& request) {
  const auto reader = context.parts.store.reader();
  const auto found = find_job(*reader, request.path.at("id"));
  if (!found && found.error().code == Errc::kNotFound) return api_problem(404, "job_not_found", found.error().context);
  if (!found) return api_problem_from(found.error());
  const Period period = period_of(found->job, to_unix_us(context.parts.clock.wall()));
  return answer_period(context, request.http, *reader, found->job.machine, period);
}

}  // namespace millrace
