// SPDX-License-Identifier: Apache-2.0
// Whatever somebody sends as a command: a name, a line break and the JSON of its arguments, as the broker and the edge
// read them; and the same bytes as G-code.  What is understood is judged.
#include <algorithm>
#include <cmath>
#include <string>

#include "bus/utf8.h"
#include "safety/gcode_effects.h"
#include "safety/guard.h"
#include "tests/fuzz/check.h"
#include "tests/unit/safety/machine_fixture.h"

using namespace millrace;

namespace {

bool has_rule(const std::vector<Refusal>& refusals, std::string_view rule) {
  return std::any_of(refusals.begin(), refusals.end(), [&](const Refusal& refusal) { return refusal.rule == rule; });
}

bool is_readable(std::string_view text) { return readable_text(text) == text; }

void check_refusals(const std::vector<Refusal>& refusals) {
  fuzz::check(refusals.size() <= guard_rules().size() * kMaxReasonsOfRule, "reasons are bounded");
  for (const Refusal& refusal : refusals) {
    const auto& rules = guard_rules();
    fuzz::check(std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) { return rule.code == refusal.rule; }),
                "every reason is of a rule of the table");
    fuzz::check(!refusal.detail.empty() && refusal.detail.size() < 8192 && is_readable(refusal.detail),
                "every reason is a short readable text");
  }
}

// What a command lets into G-code besides its script.
void check_no_second_command(const Command& command, const std::string& args) {
  if (command.kind == CommandKind::kGcode) return;
  for (const char* smuggled : {"\\n", "\\r", "\\u0000", ";"}) {
    const bool is_reason = std::holds_alternative<ReasonArguments>(command.arguments);
    fuzz::check(is_reason || args.find(smuggled) == std::string::npos, "no argument ends a line of G-code");
  }
}

void read_command(std::string_view name, std::string_view args) {
  JsonReader reader(1u << 20, 16);
  const auto json = reader.parse(args);
  if (!json) return;
  const auto command = parse_command(name, *json);
  if (!command) {
    fuzz::check(!command.error().context.empty() && command.error().context.size() < 8192,
                "an error says what is wrong");
    fuzz::check(is_readable(command.error().context), "an error is readable");
    return;
  }
  const std::string understood = args_json(*command);
  check_no_second_command(*command, understood);
  JsonReader again;
  const auto read_again = parse_command(name, *again.parse(understood));
  fuzz::check(read_again && args_json(*read_again) == understood, "what was understood is understood again");
  const auto refusals = judge(*command, testing::by(testing::kExpert), testing::ready_printer(), Limits());
  check_refusals(refusals);
  check_refusals(judge(*command, GuardRequest(), MachineSnapshot(), Limits()));
  fuzz::check(command->kind != CommandKind::kEmergencyStop || refusals.empty(), "a stop is never refused");
}

void read_gcode(std::string_view text) {
  const auto effects = gcode_effects(text, {"PRINT_START"});
  if (!effects) return;
  fuzz::check(effects->lines <= kMaxGcodeLines, "lines are bounded");
  fuzz::check(effects->unjudged.size() + effects->unreadable.size() <= effects->lines, "a line is told once");
  for (const GcodeEffect& effect : effects->effects) {
    fuzz::check(effect.line >= 1 && effect.line <= effects->lines, "an effect is of a line");
    fuzz::check(!effect.value || std::isfinite(*effect.value), "numbers are finite");
  }
  for (const auto* lines : {&effects->unjudged, &effects->unreadable}) {
    for (const GcodeLine& line : *lines)
      fuzz::check(line.text.size() < 200 && is_readable(line.text), "lines are shown");
  }
  const auto refusals =
      judge(testing::gcode(std::string(text)), testing::by(testing::kExpert), testing::ready_printer(), Limits());
  check_refusals(refusals);
  fuzz::check(has_rule(refusals, "gcode_unreadable") == !effects->unreadable.empty(), "what is unreadable is refused");
  for (const GcodeEffect& effect : effects->effects) {
    const bool too_hot = effect.kind == EffectKind::kHeat && effect.value > 250.0;
    fuzz::check(!too_hot || has_rule(refusals, "temperature_limit") || has_rule(refusals, "unknown_heater"),
                "too hot is refused");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  const auto text = fuzz::as_text(data, size);
  read_gcode(text);
  const size_t end = text.find('\n');
  if (end != std::string_view::npos) read_command(text.substr(0, end), text.substr(end + 1));
  return 0;
}
