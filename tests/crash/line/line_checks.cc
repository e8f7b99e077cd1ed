// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/line/line_checks.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "bus/log_verifier.h"
#include "tests/support/log_checks.h"

namespace millrace::testing {

void check_log(const EventLog& log, const std::map<std::string, EventOrder>& confirmed) {
  auto last = check_order(log);
  for (const auto& [producer, order] : confirmed) {
    EXPECT_GE(last[producer], order) << producer << ": a confirmed event is not in the log";
  }
  EXPECT_EQ(count_of(log, EventType::EventsDropped), 0u) << "nothing was to be lost";
  EXPECT_EQ(count_of(log, EventType::EventRejected), 0u);
}

uint64_t check_proofs(const std::filesystem::path& folder, const std::map<std::string, EventOrder>& confirmed) {
  const auto verdict = verify_rocksdb_log(folder);
  EXPECT_TRUE(verdict) << (verdict ? "" : verdict.error().message());
  if (!verdict) return 0;
  EXPECT_TRUE(verdict->whole()) << verdict->faults.front().position.value << ": " << verdict->faults.front().what;
  std::map<std::string, EventOrder> last;
  for (const ProducerProof& proof : verdict->producers) {
    EXPECT_TRUE(proof.complete()) << proof.producer;
    EXPECT_TRUE(proof.holes.empty()) << proof.producer << ": nothing was to be lost";
    if (!proof.epochs.empty()) last[proof.producer] = {proof.epochs.back().epoch, proof.epochs.back().last};
  }
  for (const auto& [producer, order] : confirmed) EXPECT_GE(last[producer], order) << producer;
  return verdict->expired;
}

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace millrace::testing
