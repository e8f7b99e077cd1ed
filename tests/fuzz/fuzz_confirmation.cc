// SPDX-License-Identifier: Apache-2.0
// What anybody may publish on recorded/<producer>.
#include "bus/confirmation.h"
#include "tests/fuzz/check.h"

using namespace millrace;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  const auto confirmation = decode_confirmation(fuzz::as_text(data, size));
  if (!confirmation) return 0;
  const auto again = decode_confirmation(encode(*confirmation));
  if (!again) {
    fuzz::check(again.error().code == Errc::kTooLarge, "only escapes can make it too long");
    return 0;
  }
  fuzz::check(again->recorded == confirmation->recorded && again->status == confirmation->status &&
                  again->incarnation == confirmation->incarnation,
              "a confirmation comes back as it went");
  return 0;
}
