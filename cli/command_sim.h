// SPDX-License-Identifier: Apache-2.0
// `millrace sim`: simulated or recorded machines on ports of this computer, until SIGINT or SIGTERM.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "producers/simulator/simulator.h"

namespace millrace {

// One source of machines is used: `replay` if it is set, else `demo`, else `scenarios`, else `machines`, else `count`.
struct SimCommandOptions {
  std::string host = "127.0.0.1";
  uint64_t seed = 1;
  double speed = 1.0;

  std::filesystem::path replay;  // a recording
  uint16_t port = 0;             // of the replay; 0: a free one
  bool rebase = false;           // of the replay: shift its wall times to now

  bool demo = false;
  bool scenarios = false;
  std::vector<SimulatedMachine> machines;  // e.g. those of a millrace.toml, with the ports of their URLs
  size_t count = 0;
  uint16_t base_port = 0;           // 0: free ones
  std::string behaviour = "mixed";  // of `count` machines
  size_t history_rows = 0;          // of `count` machines; 0: a few

  // Where to write the [[machine]] list once every port listens; empty: nowhere.  The file appears whole or not at all.
  std::filesystem::path config_out;
};

// Prints a line with name and URL per machine and then "Simulator is ready".  Returns the exit code: 0 after a signal,
// 2 when a port is taken or an option cannot be used (one line on stderr), 1 for anything else.
int run_sim_command(const SimCommandOptions& options);

}  // namespace millrace
