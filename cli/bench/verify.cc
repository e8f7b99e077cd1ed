// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>

#include <cstdio>

#include "bus/file_io.h"
#include "bus/log_verifier.h"
#include "bus/random.h"
#include "bus/sha256.h"
#include "cli/bench/bench.h"
#include "cli/bench/harness.h"
#include "cli/bench/log_filler.h"
#include "cli/opened_log.h"

namespace millrace {
namespace {

constexpr double kWantedPerSecond = 100e6;
constexpr size_t kRead = 1u << 20;

Result<void> write_noise(const std::filesystem::path& path, uint64_t bytes) {
  auto file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return file.error();
  SeededRandom random(1);
  std::string block(kRead, '\0');
  for (char& byte : block) byte = static_cast<char>(random.between(0, 256));
  for (uint64_t written = 0; written < bytes; written += kRead) {
    if (auto done = file->write_all(block); !done) return done;
  }
  return file->sync();
}

Result<double> sha256_rate(const std::filesystem::path& path, const Clock& clock) {
  const auto file = File::open(path, O_RDONLY);
  if (!file) return file.error();
  Result<void> outcome;
  uint64_t bytes = 0;
  const double seconds = seconds_of(clock, [&] {
    Sha256Digester digester;
    digester.begin();
    for (size_t got = kRead; got == kRead && outcome;) {
      const auto part = file->read_at(bytes, kRead);
      if (!part) {
        outcome = part.error();
        break;
      }
      digester.add(*part);
      got = part->size();
      bytes += got;
    }
    (void)digester.end();
  });
  if (!outcome) return outcome.error();
  return static_cast<double>(bytes) / seconds;
}

}  // namespace

int run_bench_verify(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  const auto log = directory.fresh("log");
  if (auto written = fill_log(log, {options.events, options.size}, clock); !written) return fail(written.error());
  std::vector<double> stored_rates;
  std::vector<double> ratios;
  for (uint64_t round = 1; round <= options.rounds; ++round) {
    Result<LogVerdict> verdict = LogVerdict{};
    const double seconds = seconds_of(clock, [&] { verdict = verify_rocksdb_log(log); });
    if (!verdict) return fail(verdict.error());
    if (!verdict->whole()) return fail(make_error(Errc::kCorrupt, verdict->faults.front().what));
    const auto plain = directory.path() / "plain";
    if (round == 1) {
      if (auto written = write_noise(plain, verdict->file_bytes); !written) return fail(written.error());
    }
    const auto peer = sha256_rate(plain, clock);
    if (!peer) return fail(peer.error());
    const double stored = static_cast<double>(verdict->file_bytes) / seconds;
    stored_rates.push_back(stored / kWantedPerSecond);
    ratios.push_back(stored / *peer);
    fmt::print(
        "{{\"bench\":\"verify\",\"round\":{},\"events\":{},\"size\":{},\"stored_bytes\":{},\"raw_bytes\":{},"
        "\"stored_mb_per_s\":{:.0f},\"raw_mb_per_s\":{:.0f},\"ratio_to_100_mb_per_s\":{:.2f},"
        "\"sha256_mb_per_s\":{:.0f},\"ratio_to_sha256\":{:.2f}}}\n",
        round, options.events, options.size, verdict->file_bytes, verdict->raw_bytes, stored / 1e6,
        static_cast<double>(verdict->raw_bytes) / 1e6 / seconds, stored / kWantedPerSecond, *peer / 1e6,
        stored / *peer);
    std::fflush(stdout);
  }
  fmt::print(
      "{{\"bench\":\"verify\",\"median\":true,\"rounds\":{},\"ratio_to_100_mb_per_s\":{:.2f},\"ratio_to_sha256\":{:.2f}"
      "}}\n",
      options.rounds, median(stored_rates), median(ratios));
  return 0;
}

}  // namespace millrace
