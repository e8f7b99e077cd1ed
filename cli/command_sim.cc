// SPDX-License-Identifier: Apache-2.0
#include "cli/command_sim.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "bus/clock.h"
#include "cli/signals.h"
#include "net/url.h"
#include "producers/simulator/shop.h"

namespace millrace {
namespace {

constexpr size_t kMaxMachines = 1000;
constexpr int kHighestPort = 65'535;

int exit_code(const Error& error) {
  std::fprintf(stderr, "millrace sim: %s\n", error.message().c_str());
  const bool usage = error.code == Errc::kInvalidArgument || error.code == Errc::kConflict ||
                     error.code == Errc::kNotFound || error.code == Errc::kMalformed;
  return usage ? 2 : 1;
}

std::vector<ShopMachine> counted_machines(const SimCommandOptions& options) {
  std::vector<ShopMachine> machines;
  for (size_t i = 0; i < options.count; ++i) {
    ShopMachine machine;
    machine.id = fmt::format("sim-{}", i + 1);
    machine.machine.name = fmt::format("Simulated {}", i + 1);
    machine.machine.behaviour = options.behaviour;
    machine.machine.history_rows = options.history_rows;
    if (options.base_port != 0) machine.machine.port = static_cast<uint16_t>(options.base_port + i);
    machines.push_back(std::move(machine));
  }
  return machines;
}

Result<std::vector<ShopMachine>> chosen_machines(const SimCommandOptions& options) {
  if (options.demo) return demo_shop();
  if (options.scenarios) return scenario_shop();
  if (!options.machines.empty()) {
    std::vector<ShopMachine> machines;
    for (const SimulatedMachine& machine : options.machines) machines.push_back({machine.name, machine});
    return machines;
  }
  if (options.count == 0 || options.count > kMaxMachines) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("{} machines to simulate; expected 1 to {}", options.count, kMaxMachines));
  }
  if (options.base_port + options.count > kHighestPort + 1u) {
    return make_error(Errc::kInvalidArgument, fmt::format("{} machines from port {} on go beyond port {}",
                                                          options.count, options.base_port, kHighestPort));
  }
  return counted_machines(options);
}

Result<void> write_whole(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::path part = path;
  part += ".part";
  std::ofstream file(part, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(part, path, error);
  if (file && !error) return {};
  std::error_code ignored;
  std::filesystem::remove(part, ignored);
  return make_error(Errc::kIo,
                    fmt::format("cannot write {}{}{}", path.string(), error ? ": " : "", error ? error.message() : ""));
}

void print_machine(const std::string& name, const std::string& host, uint16_t port) {
  std::printf("%-20s http://%s\n", name.c_str(), host_and_port(host, port).c_str());
}

void say_ready() {
  std::printf("Simulator is ready\n");
  std::fflush(stdout);
}

void run_until_signal(IoLoop& loop) {
  std::thread thread([&] { loop.run(); });
  wait_for_stop();
  loop.stop();
  thread.join();
}

int run_replay(const SimCommandOptions& options) {
  IoLoop loop;
  SystemClock clock;
  ReplayOptions replay;
  replay.recording = options.replay;
  replay.host = options.host;
  replay.port = options.port;
  replay.speed = options.speed;
  replay.rebase = options.rebase;
  auto server = ReplayServer::start(loop, clock, replay);
  if (!server) return exit_code(server.error());
  print_machine(options.replay.stem().string(), options.host, (*server)->port());
  say_ready();
  run_until_signal(loop);
  return 0;
}

int run_machines(const SimCommandOptions& options) {
  auto machines = chosen_machines(options);
  if (!machines) return exit_code(machines.error());
  IoLoop loop;
  SystemClock clock;
  SimulatorOptions simulation;
  simulation.host = options.host;
  simulation.seed = options.seed;
  simulation.speed = options.speed;
  for (const ShopMachine& machine : *machines) simulation.machines.push_back(machine.machine);
  auto simulator = Simulator::start(loop, clock, simulation);
  if (!simulator) return exit_code(simulator.error());
  const auto ports = (*simulator)->ports();
  if (!options.config_out.empty()) {
    if (auto written = write_whole(options.config_out, shop_configuration(*machines, ports)); !written) {
      return exit_code(written.error());
    }
  }
  for (size_t i = 0; i < ports.size(); ++i) print_machine((*machines)[i].machine.name, options.host, ports[i]);
  say_ready();
  run_until_signal(loop);
  return 0;
}

}  // namespace

int run_sim_command(const SimCommandOptions& options) {
  block_stop_signals();
  return options.replay.empty() ? run_machines(options) : run_replay(options);
}

}  // namespace millrace
