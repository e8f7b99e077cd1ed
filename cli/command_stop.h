// SPDX-License-Identifier: Apache-2.0
// `millrace stop`: the emergency stop from the command line, straight to Moonraker.  Needs neither hub nor broker.
#pragma once

#include <filesystem>
#include <string>

namespace millrace {

struct StopCommandOptions {
  std::string machine;  // empty with `all`
  bool all = false;
  std::filesystem::path config = "millrace.toml";
  std::filesystem::path data;  // instead of hub.data_dir; with it the configuration file may be missing
  std::string reason;
};

// 0 when every stop is confirmed, 1 when one is not, 2 when there is nothing to stop by that name.
int run_stop_command(const StopCommandOptions& options);

}  // namespace millrace
