// SPDX-License-Identifier: Apache-2.0
// The demo shop: six printers chosen so that something happens within seconds of the start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "producers/simulator/simulator.h"

namespace millrace {

struct ShopMachine {
  std::string id;  // as in millrace.toml
  SimulatedMachine machine;
};

std::vector<ShopMachine> demo_shop();
// A machine for each behaviour, named after it, with short prints.
std::vector<ShopMachine> scenario_shop();

// The [[machine]] list for millrace.toml; `ports` in the order of the machines.
std::string shop_configuration(const std::vector<ShopMachine>& machines, const std::vector<uint16_t>& ports);

}  // namespace millrace
