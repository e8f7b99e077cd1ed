// SPDX-License-Identifier: Apache-2.0
// `millrace run`: the hub, the adapters, or both, until SIGINT or SIGTERM.  The configuration file is read again when
// it changes or SIGHUP comes: its machines count at once.
#pragma once

#include <set>
#include <string>

#include "cli/config.h"
#include "cli/config_file.h"

namespace millrace {

inline constexpr const char* kHubRole = "hub";
inline constexpr const char* kAdaptersRole = "adapters";

// "hub,adapters" -> the set; an unknown role is an error that names those there are.
Result<std::set<std::string>> parse_roles(const std::string& text);

// `config` is what was read from `file`.  Returns the exit code: 0 after a signal, 2 when the configuration or an
// address cannot be used, 1 for anything else.
int run_run_command(const Config& config, const std::set<std::string>& roles, ConfigFile& file);

}  // namespace millrace
