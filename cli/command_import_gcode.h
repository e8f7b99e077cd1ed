// SPDX-License-Identifier: Apache-2.0
// `millrace import gcode`: what a G-code file says of itself, as JSON.
#pragma once

#include <filesystem>

namespace millrace {

struct ImportGcodeOptions {
  std::filesystem::path file;
  std::filesystem::path thumbnail;  // where to write the largest picture; empty: nowhere
};

// Gives the exit code: 0, or 1 with one line on stderr.
int run_import_gcode(const ImportGcodeOptions& options);

}  // namespace millrace
