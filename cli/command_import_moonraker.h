// SPDX-License-Identifier: Apache-2.0
// `millrace import moonraker URL --machine ID`: takes the whole history of a Moonraker into the log of a hub, running
// or not.  May be run again at any time: what is known is not written again.
#pragma once

#include <filesystem>
#include <string>

namespace millrace {

struct ImportMoonrakerOptions {
  std::string url;  // "http://voron-2.local:7125"
  std::string machine;
  std::filesystem::path data_dir = "./data";
  std::filesystem::path api_key_file;  // its first line is the key; empty: none is sent
  bool json = false;
};

// 0: everything was read; 1: something failed, and what was read until then is in the log; 2: asked wrongly.
int run_import_moonraker(const ImportMoonrakerOptions& options);

}  // namespace millrace
