// SPDX-License-Identifier: Apache-2.0
// What the rules of the guard work with: what one judgement is about, and what they have to say.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "safety/guard.h"
#include "safety/motion_trace.h"

namespace millrace {

struct Judgement {
  const Command& command;
  const GuardRequest& request;
  const MachineSnapshot& machine;
  Limits limits;  // narrowed by the machine's own
  GcodeEffects effects;
  std::optional<Error> effects_error;  // why the G-code was refused whole; there are no effects then
  std::vector<TracedEffect> traced;    // of `effects`, one for each
};

// The reasons of one rule; those beyond kMaxReasonsOfRule are counted only.
class Reasons {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> text, Args&&... args) {
    if (++count_ <= kMaxReasonsOfRule) details_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }
  // The same, about one line of G-code.
  template <class... Args>
  void add_for(const GcodeEffect& effect, fmt::format_string<Args...> text, Args&&... args) {
    if (++count_ <= kMaxReasonsOfRule)
      details_.push_back(place_of(effect) + fmt::format(text, std::forward<Args>(args)...));
  }

  // Leaves nothing here.
  void take_into(std::vector<Refusal>& refusals, std::string_view rule);

 private:
  static std::string place_of(const GcodeEffect& effect);

  size_t count_ = 0;
  std::vector<std::string> details_;
};

}  // namespace millrace
