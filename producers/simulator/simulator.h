// SPDX-License-Identifier: Apache-2.0
// Simulated Klipper machines and recorded ones, each a Moonraker server on a port of its own.
//
// Everything happens on the loop's thread; start and destroy there, or while the loop does not run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/result.h"
#include "net/io_loop.h"

namespace millrace {

struct SimulatedMachine {
  std::string name;
  std::string kind = "printer";
  uint16_t port = 0;                // 0: a free one
  std::string behaviour = "mixed";  // docs/simulator.md: "mixed", "steady", "idle", "runout", "heater_fault", ...
  // How it begins: "" (cold), "under_way", "nearly_done", "pausing_soon" or "fault_soon".
  std::string scene;
  double duration_scale = 1.0;  // of its print times and of the pauses between jobs
  size_t history_rows = 0;      // old prints that its history begins with, at most 1,000,000; 0: a few
};

struct SimulatorOptions {
  std::string host = "127.0.0.1";
  std::vector<SimulatedMachine> machines;
  uint64_t seed = 1;
  double speed = 1.0;               // simulated seconds per second, above 0 and at most 1000
  double update_interval_s = 0.25;  // of status updates, in real seconds
  // What every machine asks for: a key, a user's login, or either of them.  Nothing: everybody is trusted.
  std::string api_key;
  std::string username;
  std::string password;
  double login_lifetime_s = 3600;  // of what a login gives, in real seconds
};

class Simulator {
 public:
  // The machines listen when this returns.  kInvalidArgument names what is wrong with a machine, kConflict a port that
  // is taken.  `loop` and `clock` outlive it.
  static Result<std::unique_ptr<Simulator>> start(IoLoop& loop, const Clock& clock, SimulatorOptions options);
  virtual ~Simulator() = default;
  // In the order of the machines.
  virtual std::vector<uint16_t> ports() const = 0;
};

struct ReplayOptions {
  std::filesystem::path recording;
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  double speed = 1.0;   // above 0 and at most 1000
  bool rebase = false;  // shift wall times to now
};

class ReplayServer {
 public:
  // kNotFound, kMalformed with the line, kInvalidArgument, kConflict.
  static Result<std::unique_ptr<ReplayServer>> start(IoLoop& loop, const Clock& clock, ReplayOptions options);
  virtual ~ReplayServer() = default;
  virtual uint16_t port() const = 0;
  // Everything that was recorded has been told.
  virtual bool ended() const = 0;
};

}  // namespace millrace
