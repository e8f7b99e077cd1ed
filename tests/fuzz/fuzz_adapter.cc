// SPDX-License-Identifier: Apache-2.0
// A Moonraker that says anything at any time.  Each line of the input is one step: its first character says which, the
// rest is the text.  Every event that comes out must be one that the bus can carry.
#include <algorithm>

#include "bus/logging.h"
#include "tests/fuzz/check.h"
#include "tests/unit/producers/adapter_bench.h"

using namespace millrace;

namespace {

constexpr size_t kMaxSteps = 200;

void take_step(millrace::testing::AdapterBench& bench, char kind, const std::string& text) {
  switch (kind) {
    case 'r':
      bench.history.insert(bench.history.begin(), text);
      break;
    case 'e':
      bench.errors["server.history.list"] = text;
      break;
    case 'E':
      bench.errors.clear();
      break;
    case 's':
      bench.status["print_stats"]["state"] = text;
      break;
    case 'k':
      bench.klippy_state = text;
      break;
    case 'd':
      bench.drop(text);
      break;
    case 'c':
      bench.reconnect();
      break;
    case 'x':
      bench.restart(!text.empty());
      break;
    case 't':
      bench.pass(std::chrono::milliseconds(100 * std::min<size_t>(text.size() + 1, 100)));
      break;
    case 'h':
      bench.hold_answers = !bench.hold_answers;
      break;
    case 'n':
      bench.notify(text.substr(0, text.find(' ')), text.substr(std::min(text.size(), text.find(' '))));
      break;
    default:
      bench.frame(text);
  }
}

void check_events(millrace::testing::AdapterBench& bench) {
  uint64_t sequence = 1;
  for (const EventDraft& draft : bench.events) {
    const auto envelope = Envelope::build({bench.options.machine_id, 1, sequence++}, draft);
    if (!envelope) {
      fuzz::check(envelope.error().code == Errc::kTooLarge, "only its size keeps an event from being built");
    } else {
      fuzz::check(Envelope::verify(envelope->bytes()).has_value(), "the recorder takes what the adapter says");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  (void)start_logging({.level = LogLevel::kOff});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  millrace::testing::AdapterBench bench;
  bench.connect();
  auto input = fuzz::as_text(data, size);
  for (size_t step = 0; step < kMaxSteps && !input.empty(); ++step) {
    const auto line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(input.size(), line.size() + 1));
    if (!line.empty()) take_step(bench, line.front(), std::string(line.substr(1)));
  }
  bench.pass(std::chrono::seconds(5));
  check_events(bench);
  return 0;
}
