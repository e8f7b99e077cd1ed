// SPDX-License-Identifier: Apache-2.0
#include "cli/command_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <limits>

#include "bus/event_json.h"
#include "bus/event_log.h"
#include "bus/json_writer.h"
#include "cli/opened_log.h"
#include "cli/signals.h"

namespace millrace {
namespace {

constexpr size_t kPage = 1000;
constexpr uint64_t kTailBegin = 10;
constexpr std::chrono::milliseconds kTailPoll{200};

Result<EventFilter> filter_from(const LogCommandOptions& options) {
  EventFilter filter;
  if (!options.machine.empty() && !is_valid_machine_id(options.machine)) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("--machine '{}': expected 1 to 64 of a-z, 0-9 and '-'", options.machine));
  }
  filter.machine = options.machine;
  if (!options.type.empty()) {
    const auto type = event_type_from(options.type);
    if (!type) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("--type '{}': expected an event type such as JobStarted", options.type));
    }
    filter.types = {*type};
  }
  for (const auto& [name, text, target] :
       {std::tuple{"--from", &options.from, &filter.from}, std::tuple{"--to", &options.to, &filter.to}}) {
    if (text->empty()) continue;
    *target = parse_rfc3339(*text);
    if (!*target) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("{} '{}': expected a time such as 2026-11-21T03:14:00Z", name, *text));
    }
  }
  return filter;
}

void print(const RecordedEvent& event, bool json) {
  if (json) {
    std::puts(event_to_json(event).c_str());
    return;
  }
  std::puts(fmt::format("{:>8}  {}  {:<16} {:<20} {}", event.position.value, to_rfc3339(event.recorded_at),
                        event.envelope.machine(), name_of(event.envelope.type()), payload_to_json(event.envelope))
                .c_str());
}

// Prints up to `limit` matches after `after`; gives back up to where it looked.
Result<Position> print_from(const EventLog& log, Position after, uint64_t limit, const EventFilter& filter, bool json) {
  while (limit > 0) {
    const ReadLimit page{static_cast<size_t>(std::min<uint64_t>(limit, kPage)), 100'000};
    const auto read = log.read(after, page, filter);
    if (!read) return read.error();
    for (const RecordedEvent& event : read->events) print(event, json);
    limit -= read->events.size();
    after = read->through;
    if (read->at_end) break;
  }
  return after;
}

void print_info_json(const LogInfo& info) {
  JsonWriter json;
  json.object()
      .field("engine", info.engine)
      .field("incarnation", info.incarnation)
      .field("last_position", info.last.value)
      .field("first_recorded_at",
             info.first_recorded_at ? std::optional(to_rfc3339(*info.first_recorded_at)) : std::nullopt)
      .field("last_recorded_at",
             info.last_recorded_at ? std::optional(to_rfc3339(*info.last_recorded_at)) : std::nullopt)
      .field("bytes_on_disk", info.bytes_on_disk)
      .field("telemetry_removed_through", info.telemetry_removed_through.value)
      .key("producers")
      .array();
  for (const ProducerMark& mark : info.marks) {
    json.object()
        .field("producer", mark.producer)
        .field("epoch", std::to_string(mark.order.epoch))
        .field("sequence", mark.order.sequence)
        .end();
  }
  std::puts(json.end().end().text().c_str());
}

void print_info_text(const LogInfo& info) {
  const auto time = [](const std::optional<WallTime>& t) { return t ? to_rfc3339(*t) : std::string("-"); };
  fmt::print(
      "incarnation     {}\nlast position   {}\nfirst recorded  {}\nlast recorded   {}\nsorted files    {} bytes\n"
      "telemetry       removed through {}\n",
      info.incarnation, info.last.value, time(info.first_recorded_at), time(info.last_recorded_at), info.bytes_on_disk,
      info.telemetry_removed_through.value);
  for (const ProducerMark& mark : info.marks) {
    fmt::print("producer        {:<24} epoch {}  sequence {}\n", mark.producer, mark.order.epoch, mark.order.sequence);
  }
}

}  // namespace

int run_log_info(const LogCommandOptions& options) {
  const auto log = OpenedLog::open(options.data_dir);
  if (!log) return fail(log.error());
  const auto info = (*log)->info();
  if (!info) return fail(info.error());
  options.json ? print_info_json(*info) : print_info_text(*info);
  return 0;
}

int run_log_cat(const LogCommandOptions& options) {
  const auto filter = filter_from(options);
  if (!filter) return fail(filter.error());
  const auto log = OpenedLog::open(options.data_dir);
  if (!log) return fail(log.error());
  const uint64_t limit = options.limit == 0 ? std::numeric_limits<uint64_t>::max() : options.limit;
  const auto printed = print_from(**log, Position{options.after}, limit, *filter, options.json);
  return printed ? 0 : fail(printed.error());
}

int run_log_tail(const LogCommandOptions& options) {
  block_stop_signals();
  const auto filter = filter_from(options);
  if (!filter) return fail(filter.error());
  const auto log = OpenedLog::open(options.data_dir);
  if (!log) return fail(log.error());
  const uint64_t begin = options.limit == 0 ? kTailBegin : options.limit;
  Position after{options.after};
  if (options.after == 0) after = Position{(*log)->last().value - std::min(begin, (*log)->last().value)};
  do {
    if (auto refreshed = (*log)->refresh(); !refreshed) return fail(refreshed.error());
    const auto printed = print_from(**log, after, std::numeric_limits<uint64_t>::max(), *filter, options.json);
    if (!printed) return fail(printed.error());
    after = *printed;
    std::fflush(stdout);
  } while (wait_for_stop(kTailPoll) == 0);
  return 0;
}

}  // namespace millrace
