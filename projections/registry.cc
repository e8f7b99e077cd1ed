// SPDX-License-Identifier: Apache-2.0
#include "projections/registry.h"

#include <array>

#include "projections/checkpoint.h"
#include "projections/command_history.h"
#include "projections/job_history.h"
#include "projections/machine_state.h"
#include "projections/maintenance.h"
#include "projections/ordinals.h"
#include "projections/safety_state.h"
#include "projections/telemetry_history.h"

namespace millrace {
namespace {

struct Row {
  std::string_view name;
  std::unique_ptr<const Projection> (*make)();
};

constexpr std::array kProjections{
    Row{kMachineStateView, make_machine_state}, Row{kJobHistoryView, make_job_history},
    Row{kMaintenanceView, make_maintenance},    Row{kOrdinalsView, make_ordinals},
    Row{kSafetyView, make_safety_state},        Row{kTelemetryHistoryView, make_telemetry_history},
    Row{kCommandsView, make_command_history},
};

}  // namespace

std::vector<std::unique_ptr<const Projection>> make_projections() {
  std::vector<std::unique_ptr<const Projection>> made;
  for (const Row& row : kProjections) made.push_back(row.make());
  return made;
}

std::unique_ptr<const Projection> make_projection(std::string_view name) {
  for (const Row& row : kProjections) {
    if (row.name == name) return row.make();
  }
  return nullptr;
}

std::vector<std::string> projection_names() {
  std::vector<std::string> names;
  for (const Row& row : kProjections) names.emplace_back(row.name);
  return names;
}

std::vector<std::string> view_names() {
  std::vector<std::string> names = projection_names();
  names.emplace_back(kCheckpointView);
  return names;
}

}  // namespace millrace
