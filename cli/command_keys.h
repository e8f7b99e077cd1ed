// SPDX-License-Identifier: Apache-2.0
// `millrace keys create|list|revoke|rotate`: by the running hub, or on the file where none runs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace millrace {

struct KeysCommandOptions {
  std::filesystem::path data_dir = "./data";
  std::string name;                   // create
  std::vector<std::string> scopes;    // create; empty: see key_requests.h
  std::vector<std::string> machines;  // create; empty: all
  std::string expires;                // create; RFC 3339, empty: never
  std::string description;            // create
  uint64_t requests_per_minute = 0;   // create; 0: what the configuration says
  std::string key;                    // revoke, rotate: id, name or first characters
  bool json = false;
};

// Each returns the exit code.  A new key's text is the only thing on stdout, once; everything else goes to stderr.
// With `json` stdout has one JSON object instead.
int run_keys_create(const KeysCommandOptions& options);
int run_keys_list(const KeysCommandOptions& options);  // to stdout
int run_keys_revoke(const KeysCommandOptions& options);
int run_keys_rotate(const KeysCommandOptions& options);

}  // namespace millrace
