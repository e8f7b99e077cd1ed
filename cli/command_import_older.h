// SPDX-License-Identifier: Apache-2.0
// `millrace import 3d-print-logger` and `millrace import klipperiwc`: take the database of an older system into the log
// of a hub, running or not.  May be run again at any time: what is known is not written again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace millrace {

struct ImportOlderOptions {
  std::string source;                   // kPrintLogger or kKlipperIwc
  std::string database;                 // "sqlite:PATH" or "mysql://user@host:port/database"
  std::vector<std::string> machines;    // 3d-print-logger: "OLDNAME=machine-id", also "#<id>=machine-id"
  std::string machine;                  // KlipperIWC
  std::string zone;                     // 3d-print-logger: of its computer; empty: not said
  std::filesystem::path password_file;  // its first line is the database's password; empty: none, or the environment's
  std::filesystem::path data_dir = "./data";
  bool json = false;
};

// 0: everything was read; 1: something failed, and what was read until then is in the log; 2: asked wrongly.
int run_import_older(const ImportOlderOptions& options);

}  // namespace millrace
