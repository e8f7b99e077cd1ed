// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>

#include "bus/event_log.h"
#include "cli/bench_report.h"
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

Result<double> log_rate(const std::filesystem::path& directory, const std::vector<Envelope>& events,
                        const Clock& clock) {
  auto log = open_rocksdb_event_log(directory, clock);
  if (!log) return log.error();
  Result<void> outcome;
  const double seconds = seconds_of(clock, [&] {
    for (size_t i = 0; i < events.size() && outcome; i += kBatch) {
      const std::span batch(events.data() + i, std::min<size_t>(kBatch, events.size() - i));
      const std::vector<ProducerMark> marks{{"bench", batch.back().order()}};
      if (auto commit = (*log)->append({batch, marks, clock.wall()}); !commit) outcome = commit.error();
    }
  });
  if (!outcome) return outcome.error();
  return static_cast<double>(events.size()) / seconds;
}

}  // namespace

int run_bench_append(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  const auto events = make_events(options, clock);
  const uint64_t size = events.front().bytes().size();
  std::vector<double> ratios;
  for (uint64_t round = 1; round <= options.rounds; ++round) {
    // Which goes first changes from round to round, so that neither always meets the quieter disk.
    Result<double> file = 0.0;
    Result<double> log = 0.0;
    const auto measure_file = [&] { file = plain_file_rate(directory.path() / "plain", options.events, size, clock); };
    const auto measure_log = [&] { log = log_rate(directory.fresh("log"), events, clock); };
    round % 2 == 1 ? (measure_file(), measure_log()) : (measure_log(), measure_file());
    if (!file) return fail(file.error());
    if (!log) return fail(log.error());
    ratios.push_back(*log / *file);
    fmt::print(
        "{{\"bench\":\"append\",\"round\":{},\"events\":{},\"size\":{},\"events_per_s\":{:.0f},"
        "\"file_events_per_s\":{:.0f},\"ratio_to_file\":{:.3f}}}\n",
        round, options.events, size, *log, *file, *log / *file);
    std::fflush(stdout);
  }
  fmt::print("{{\"bench\":\"append\",\"median\":true,\"size\":{},\"rounds\":{},\"ratio_to_file\":{:.3f}}}\n", size,
             options.rounds, median(ratios));
  return 0;
}

}  // namespace millrace
