// SPDX-License-Identifier: Apache-2.0
// `millrace replay`: rebuilds a view from the log and prints its digest, beside a running hub or without one.
#pragma once

#include <filesystem>
#include <string>

namespace millrace {

struct ReplayCommandOptions {
  std::filesystem::path data_dir = "./data";
  std::string projection;
  std::string until;  // a position or an RFC 3339 time; empty: the end
  bool digest_only = false;
};

int run_replay_command(const ReplayCommandOptions& options);

}  // namespace millrace
