// SPDX-License-Identifier: Apache-2.0
// What anybody may publish on ingest/<producer>: it is refused, or every event in it can be shown.
#include "bus/batch.h"
#include "bus/event_json.h"
#include "bus/json_reader.h"
#include "tests/fuzz/check.h"

using namespace millrace;

namespace {

void show(const Envelope& envelope) {
  static JsonReader reader;
  const auto parsed = reader.parse(event_to_json({Position{1}, WallTime{}, envelope}));
  fuzz::check(parsed.has_value(), "an event is shown as JSON");
  fuzz::check(Envelope::verify(envelope.bytes()).has_value(), "a verified event verifies again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  const auto payload = fuzz::as_text(data, size);
  if (const auto batch = decode_batch(payload)) {
    for (const BatchEntry& entry : batch->entries) {
      if (entry.envelope) show(*entry.envelope);
    }
  }
  if (const auto envelope = Envelope::verify(payload)) show(*envelope);
  return 0;
}
