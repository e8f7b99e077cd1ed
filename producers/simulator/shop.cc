// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/shop.h"

#include <fmt/format.h>

#include <algorithm>

#include "producers/simulator/behaviour.h"

namespace millrace {
namespace {

// Real seconds, so that the times on the page are those of the clock on the wall; the prints are short instead.
constexpr double kShortPrints = 0.06;

}  // namespace

std::vector<ShopMachine> demo_shop() {
  return {
      {"voron-2", {"Voron 2.4", "printer", 0, "steady", "under_way", kShortPrints}},
      {"voron-trident", {"Voron Trident", "printer", 0, "mixed", "nearly_done", kShortPrints}},
      {"prusa-mk3", {"Prusa MK3S", "printer", 0, "runout", "pausing_soon", kShortPrints}},
      {"ender-3", {"Ender 3", "printer", 0, "mixed", "fault_soon", 3 * kShortPrints}},
      {"ratrig-vcore", {"RatRig V-Core", "printer", 0, "mixed", "", kShortPrints}},
      {"sovol-sv08", {"Sovol SV08", "printer", 0, "idle", "", kShortPrints}},
  };
}

std::vector<ShopMachine> scenario_shop() {
  std::vector<ShopMachine> machines;
  for (const std::string& behaviour : all_behaviours()) {
    std::string id = behaviour;
    std::replace(id.begin(), id.end(), '_', '-');
    machines.push_back({id, {behaviour, "printer", 0, behaviour, "", kShortPrints}});
  }
  return machines;
}

std::string shop_configuration(const std::vector<ShopMachine>& machines, const std::vector<uint16_t>& ports) {
  std::string text = "# The machines of the demo shop, as served by millrace sim --demo.\n";
  for (size_t i = 0; i < machines.size() && i < ports.size(); ++i) {
    text += fmt::format(
        "\n[[machine]]\nid = \"{}\"\nname = \"{}\"\nkind = \"{}\"\nmoonraker_url = \"http://127.0.0.1:{}\"\n",
        machines[i].id, machines[i].machine.name, machines[i].machine.kind, ports[i]);
  }
  return text;
}

}  // namespace millrace
