// SPDX-License-Identifier: Apache-2.0
#include "projections/job_evidence.h"

#include <charconv>
#include <cmath>

namespace millrace {
namespace {

constexpr int64_t kSkewShownMs = 5'000;
constexpr double kMaxPlausible = 10.0 * 366 * 86'400;
constexpr int64_t kMaxUnixUs = 253'402'300'799'000'000;  // the end of the year 9999

}  // namespace

bool wins(const EndEvidence& candidate, const EndEvidence& held) {
  if (held.position == 0) return true;
  if (candidate.rank != held.rank) return candidate.rank > held.rank;
  return candidate.position < held.position;
}

std::optional<schema::JobOutcome> ending_of(schema::JobOutcome outcome) {
  switch (outcome) {
    case schema::JobOutcome::running:
      return std::nullopt;
    case schema::JobOutcome::completed:
    case schema::JobOutcome::cancelled:
    case schema::JobOutcome::failed:
    case schema::JobOutcome::interrupted:
      return outcome;
    default:
      return schema::JobOutcome::interrupted;
  }
}

ShownTime shown_time(int64_t machine_us, std::optional<int64_t> skew_ms) {
  if (machine_us <= 0 || machine_us > kMaxUnixUs) return {};
  if (!skew_ms || *skew_ms > kMaxUnixUs / 1000 || *skew_ms < -kMaxUnixUs / 1000) return {machine_us, false};
  if (*skew_ms <= kSkewShownMs && *skew_ms >= -kSkewShownMs) return {machine_us, false};
  const int64_t corrected = machine_us + *skew_ms * 1000;
  if (corrected <= 0 || corrected > kMaxUnixUs) return {machine_us, false};
  return {corrected, true};
}

int64_t end_machine_us(const schema::JobFinished& finished, int64_t occurred_us) {
  return finished.end_us() > 0 ? finished.end_us() : occurred_us;
}

int64_t end_fallback_us(const schema::JobFinished& finished, int64_t observed_us) {
  const bool seen_as_it_happened = finished.seen() == schema::JobSeen::live && !finished.late() &&
                                   finished.evidence() >= schema::JobEvidence::conclusive;
  return seen_as_it_happened ? observed_us : 0;
}

std::optional<int64_t> row_start_of(std::string_view job_id, std::string_view machine) {
  if (job_id.size() <= machine.size() + 1 || !job_id.starts_with(machine) || job_id[machine.size()] != '.') {
    return std::nullopt;
  }
  const std::string_view digits = job_id.substr(machine.size() + 1);
  int64_t start_us = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), start_us);
  if (failed != std::errc{} || end != digits.data() + digits.size() || start_us <= 0) return std::nullopt;
  return start_us;
}

std::optional<double> plausible(std::optional<double> number) {
  if (!number || !std::isfinite(*number) || *number < 0 || *number > kMaxPlausible) return std::nullopt;
  return number;
}

}  // namespace millrace
