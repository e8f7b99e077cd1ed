// SPDX-License-Identifier: Apache-2.0
// A configuration is taken, or refused in one line.
#include "cli/config.h"
#include "tests/fuzz/check.h"

using namespace millrace;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  const auto config = parse_config(fuzz::as_text(data, size), "fuzz.toml", {});
  if (!config) {
    fuzz::check(config.error().context.find('\n') == std::string::npos, "an error is one line");
    return 0;
  }
  fuzz::check(parse_host_port(config->http_listen).has_value(), "what is taken is usable");
  for (const MachineConfig& machine : config->machines)
    fuzz::check(!machine.moonraker_url.empty(), "every machine has a URL");
  return 0;
}
