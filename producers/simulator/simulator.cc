// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/simulator.h"

#include <fmt/format.h>

#include <optional>

#include "producers/simulator/service.h"

namespace millrace {
namespace {

constexpr double kMaxSpeed = 1000;

constexpr size_t kMaxHistoryRows = 1'000'000;

std::optional<Scene> parse_scene(std::string_view name) {
  if (name.empty()) return Scene::kCold;
  if (name == "under_way") return Scene::kUnderWay;
  if (name == "nearly_done") return Scene::kNearlyDone;
  if (name == "pausing_soon") return Scene::kPausingSoon;
  if (name == "fault_soon") return Scene::kFaultSoon;
  return std::nullopt;
}

std::optional<Error> check(const SimulatedMachine& machine) {
  const auto wrong = [&](std::string_view what, std::string_view value, std::string_view expected) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("machine \"{}\": {} \"{}\" is none of {}", machine.name, what, value, expected));
  };
  if (machine.kind != "printer" && machine.kind != "pick_and_place") {
    return wrong("kind", machine.kind, "printer, pick_and_place");
  }
  if (!is_behaviour(machine.behaviour)) return wrong("behaviour", machine.behaviour, behaviour_names());
  if (!parse_scene(machine.scene))
    return wrong("scene", machine.scene, "under_way, nearly_done, pausing_soon, fault_soon");
  if (!(machine.duration_scale > 0 && machine.duration_scale <= 100)) {
    return wrong("duration scale", fmt::format("{}", machine.duration_scale), "the numbers above 0 and at most 100");
  }
  if (machine.history_rows > kMaxHistoryRows) {
    return wrong("number of old prints", fmt::format("{}", machine.history_rows), "the numbers up to 1000000");
  }
  return std::nullopt;
}

class RunningSimulator final : public Simulator {
 public:
  Result<void> start(IoLoop& loop, const Clock& clock, const SimulatorOptions& options) {
    SeededRandom seeds(options.seed);
    const double wall_s = static_cast<double>(to_unix_us(clock.wall())) / 1e6;
    for (size_t i = 0; i < options.machines.size(); ++i) {
      const SimulatedMachine& machine = options.machines[i];
      HostProfile profile;
      profile.kind = machine.kind;
      profile.behaviour = machine.behaviour;
      profile.scene = *parse_scene(machine.scene);
      profile.seed = seeds.next();
      profile.wall_start_s = wall_s;
      profile.duration_scale = machine.duration_scale;
      profile.history_rows = machine.history_rows;
      SimulatedServiceOptions service;
      service.name = machine.name;
      service.host = options.host;
      service.port = machine.port;
      service.speed = options.speed;
      service.api_key = options.api_key;
      service.username = options.username;
      service.password = options.password;
      service.login_lifetime_s = options.login_lifetime_s;
      service.update_interval_s = options.update_interval_s;
      service.first_update_s =
          options.update_interval_s * static_cast<double>(i) / static_cast<double>(options.machines.size());
      services_.push_back(std::make_unique<SimulatedService>(loop, clock, profile, service));
      if (auto started = services_.back()->start(); !started) return started;
    }
    return {};
  }

  std::vector<uint16_t> ports() const override {
    std::vector<uint16_t> ports;
    for (const auto& service : services_) ports.push_back(service->port());
    return ports;
  }

 private:
  std::vector<std::unique_ptr<SimulatedService>> services_;
};

}  // namespace

Result<std::unique_ptr<Simulator>> Simulator::start(IoLoop& loop, const Clock& clock, SimulatorOptions options) {
  if (!(options.speed > 0 && options.speed <= kMaxSpeed)) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("speed {} is not above 0 and at most {}", options.speed, kMaxSpeed));
  }
  if (!(options.update_interval_s >= 0.01 && options.update_interval_s <= 10)) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("update interval {} s is not from 0.01 to 10", options.update_interval_s));
  }
  for (const SimulatedMachine& machine : options.machines) {
    if (auto error = check(machine)) return *error;
  }
  auto simulator = std::make_unique<RunningSimulator>();
  if (auto started = simulator->start(loop, clock, options); !started) return started.error();
  return simulator;
}

}  // namespace millrace
