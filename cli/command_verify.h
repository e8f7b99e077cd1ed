// SPDX-License-Identifier: Apache-2.0
// `millrace log verify|anchor|repair`: whether a log can be trusted, and what to do when it cannot.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace millrace {

struct VerifyCommandOptions {
  std::filesystem::path data_dir = "./data";
  bool json = false;
  bool producers = false;             // list every producer, not only what is wrong
  std::optional<std::string> anchor;  // a file of one or more, or the text itself
  std::filesystem::path to;           // of repair: the new data folder
};

// Each returns the exit code: 0 whole (or done), 1 not, 2 asked wrongly.
int run_log_verify(const VerifyCommandOptions& options);
int run_log_anchor(const VerifyCommandOptions& options);
int run_log_repair(const VerifyCommandOptions& options);

}  // namespace millrace
