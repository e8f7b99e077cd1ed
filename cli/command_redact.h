// SPDX-License-Identifier: Apache-2.0
// `millrace log redact`: makes names in facts unreadable, in a log that no hub has open.
#pragma once

#include <filesystem>
#include <string>

namespace millrace {

struct RedactOptions {
  std::filesystem::path data_dir = "./data";
  std::string job_id;
  std::string text;
  std::string reason;
  bool yes = false;  // without it only what would be done is printed
};

// Gives the exit code; errors are one line on stderr.
int run_log_redact(const RedactOptions& options);

}  // namespace millrace
