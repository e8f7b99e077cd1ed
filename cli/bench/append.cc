// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "bus/bare_group_store.h"
#include "bus/event_log.h"
#include "cli/bench/bench.h"
#include "cli/bench/harness.h"
#include "cli/opened_log.h"

namespace millrace {
namespace {

constexpr uint64_t kBatch = 1024;

std::vector<Envelope> make_events(const BenchOptions& options, const Clock& clock) {
  std::vector<Envelope> events;
  events.reserve(options.events);
  for (uint64_t i = 1; i <= options.events; ++i) {
    events.push_back(Envelope::build({"bench", 1, i}, event_of_size(options.size, i, "bench", clock.wall())).value());
  }
  return events;
}

// Appends all of it, a batch at a time.
Result<double> batches_rate(const std::vector<Envelope>& events, const Clock& clock,
                            const std::function<Result<void>(std::span<const Envelope>)>& append) {
  Result<void> outcome;
  const double seconds = seconds_of(clock, [&] {
    for (size_t i = 0; i < events.size() && outcome; i += kBatch) {
      outcome = append(std::span(events.data() + i, std::min<size_t>(kBatch, events.size() - i)));
    }
  });
  if (!outcome) return outcome.error();
  return static_cast<double>(events.size()) / seconds;
}

// With everything: what is known is left out by the producer's mark, as the recorder does.
Result<double> log_rate(const std::filesystem::path& directory, const std::vector<Envelope>& events,
                        const Clock& clock) {
  auto log = open_rocksdb_event_log(directory, clock);
  if (!log) return log.error();
  return batches_rate(events, clock, [&](std::span<const Envelope> batch) -> Result<void> {
    const EventOrder known = (*log)->mark("bench").value_or(EventOrder{});
    const auto first =
        std::find_if(batch.begin(), batch.end(), [&](const auto& event) { return event.order() > known; });
    const std::span fresh(first, batch.end());
    const std::vector<ProducerMark> marks{{"bench", fresh.back().order()}};
    const auto commit = (*log)->append({fresh, marks, clock.wall()});
    return commit ? Result<void>{} : Result<void>{commit.error()};
  });
}

Result<double> bare_rate(const std::filesystem::path& directory, const std::vector<Envelope>& events,
                         const Clock& clock) {
  auto store = make_bare_group_store(directory);
  if (!store) return store.error();
  return batches_rate(events, clock,
                      [&](std::span<const Envelope> batch) { return (*store)->append(batch, clock.wall()); });
}

}  // namespace

int run_bench_append(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  const auto events = make_events(options, clock);
  const uint64_t size = events.front().bytes().size();
  std::vector<double> to_file;
  std::vector<double> to_bare;
  for (uint64_t round = 1; round <= options.rounds; ++round) {
    Result<double> file = 0.0;
    Result<double> log = 0.0;
    Result<double> bare = 0.0;
    std::vector<std::function<void()>> measured = {
        [&] { file = plain_file_rate(directory.path() / "plain", options.events, size, clock); },
        [&] { log = log_rate(directory.fresh("log"), events, clock); },
        [&] { bare = bare_rate(directory.fresh("bare"), events, clock); }};
    // Which goes first changes from round to round, so that none always meets the quieter disk.
    std::rotate(measured.begin(), measured.begin() + static_cast<std::ptrdiff_t>(round % measured.size()),
                measured.end());
    for (const auto& measure : measured) measure();
    for (const auto& rate : {file, log, bare}) {
      if (!rate) return fail(rate.error());
    }
    to_file.push_back(*log / *file);
    to_bare.push_back(*log / *bare);
    fmt::print(
        "{{\"bench\":\"append\",\"round\":{},\"events\":{},\"size\":{},\"events_per_s\":{:.0f},"
        "\"file_events_per_s\":{:.0f},\"bare_events_per_s\":{:.0f},\"ratio_to_file\":{:.3f},\"ratio_to_bare\":{:.3f}}}"
        "\n",
        round, options.events, size, *log, *file, *bare, to_file.back(), to_bare.back());
    std::fflush(stdout);
  }
  fmt::print(
      "{{\"bench\":\"append\",\"median\":true,\"size\":{},\"rounds\":{},\"ratio_to_file\":{:.3f},"
      "\"ratio_to_bare\":{:.3f}}}\n",
      size, options.rounds, median(to_file), median(to_bare));
  return 0;
}

}  // namespace millrace
