// SPDX-License-Identifier: Apache-2.0
// A stored group, as it lies on the disk and with its checksum made good: the checksum must not be the only defence.
#include <string>

#include "bus/event_group.h"
#include "tests/fuzz/check.h"

using namespace millrace;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  std::string value(fuzz::as_text(data, size));
  (void)decode_group(value);
  static Sha256Digester digester;
  const Sha256 digest = digester.digest(value);
  value.append(reinterpret_cast<const char*>(digest.data()), 8);
  if (const auto group = decode_group(value)) {
    fuzz::check(!group->events.empty(), "a group has events");
    for (const RecordedEvent& event : group->events) (void)Envelope::verify(event.envelope.bytes());
  }
  return 0;
}
