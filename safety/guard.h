// SPDX-License-Identifier: Apache-2.0
// The guard before every command: one table of rules, all of them asked, every reason told.  Pure; any thread.
#pragma once

#include <bitset>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "safety/command.h"
#include "safety/limits.h"
#include "safety/machine_snapshot.h"
#include "safety/scopes.h"

namespace millrace {

// Who asks, and what has to hold besides (decision 15).
struct GuardRequest {
  ScopeSet scopes;
  std::string expected_state_version;  // empty: any
  std::string expected_job_id;         // empty: any
};

struct Refusal {
  std::string rule;    // code of the rule, "not_homed"
  std::string detail;  // for people: the offending value and what would be right
};

struct Judgement;  // of judgement.h, for the rules alone
class Reasons;

struct Rule {
  std::string_view code;
  std::string_view text;  // what it demands, one sentence
  std::bitset<kCommandKinds> concerns;
  void (*check)(const Judgement& judgement, Reasons& reasons);
};

// Together they fit into one event.
constexpr size_t kMaxReasonsOfRule = 5;  // further ones are counted in the last
constexpr size_t kMaxReasons = 64;
constexpr size_t kMaxDetailBytes = 400;

// In the order in which reasons are told.
std::span<const Rule> guard_rules();

// Every reason against the command; empty: it may be sent.  `limits` are what was set or the defaults; they are
// narrowed here by the machine's own.  An emergency_stop is never refused.
std::vector<Refusal> judge(const Command& command, const GuardRequest& request, const MachineSnapshot& machine,
                           const Limits& limits);

}  // namespace millrace
