// SPDX-License-Identifier: Apache-2.0
#include "cli/command_stop.h"

#include <fmt/format.h>

#include <cstdio>
#include <future>
#include <vector>

#include "bus/emergency_record.h"
#include "bus/json_writer.h"
#include "bus/logging.h"
#include "bus/metrics.h"
#include "bus/random.h"
#include "cli/config.h"
#include "cli/emergency_targets.h"
#include "cli/hub.h"
#include "cli/opened_log.h"
#include "net/emergency_stopper.h"
#include "net/local_socket.h"

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kHubPatience{2'000};  // a hub that hangs keeps nobody waiting
constexpr const char* kWhatToDo = "    GO TO THE MACHINE: press its emergency stop, or pull its plug.\n";

// What is known although the configuration file may be broken: a stop has to get as far as it can.
Result<Config> config_for(const StopCommandOptions& options) {
  Environment environment = system_environment();
  if (!options.data.empty()) environment["MILLRACE_HUB_DATA_DIR"] = options.data.string();
  auto config = load_config(options.config, environment);
  if (config || options.data.empty()) return config;
  fmt::print(stderr, "{}\nOnly machines of '{}' are known.\n", config.error().message(), options.data.string());
  Config without_file;
  without_file.data_dir = options.data;
  return without_file;
}

Result<std::map<std::string, EmergencyTarget>> chosen(const StopCommandOptions& options, const Config& config) {
  auto targets = emergency_targets(config);
  if (options.all && !targets.empty()) return targets;
  if (const auto found = targets.find(options.machine); !options.all && found != targets.end()) {
    return std::map<std::string, EmergencyTarget>{*found};
  }
  std::string known;
  for (const auto& [id, target] : targets) known += (known.empty() ? "" : ", ") + id;
  return make_error(Errc::kInvalidArgument,
                    fmt::format("no machine '{}' is known here; there are: {}", options.all ? "--all" : options.machine,
                                known.empty() ? "none" : known));
}

void print(const EmergencyRecord& record) {
  if (record.confirmed) {
    fmt::print("{}: STOPPED, confirmed by Moonraker after {:.1f} ms\n", record.machine,
               static_cast<double>(record.answered_after_us.value_or(0)) / 1000);
  } else {
    fmt::print("{}: NOT CONFIRMED: {}\n{}", record.machine, record.text, kWhatToDo);
  }
  std::fflush(stdout);
}

// To the hub that runs, or into the file that the next one reads.
Result<void> hand_over(const EmergencyRecord& record, const Config& config) {
  JsonWriter request;
  request.object().field("command", "emergency_stopped").key("record").raw(encode(record)).end();
  const auto answer = ask_locally(control_socket(config.data_dir), request.text(), kHubPatience);
  if (answer && answer->find("\"taken\"") != std::string::npos) return {};
  return EmergencyFile(emergency_file(config.data_dir)).append(record);
}

}  // namespace

int run_stop_command(const StopCommandOptions& options) {
  (void)start_logging({.level = LogLevel::kError});
  const auto config = config_for(options);
  if (!config) return fail(config.error());
  const auto targets = chosen(options, *config);
  if (!targets) return fail(targets.error());
  const SystemClock clock;
  const auto metrics = make_metrics();
  SeededRandom random(random_seed());
  EmergencyStopper stopper(clock, *metrics);
  std::vector<std::pair<EmergencyRecord, std::future<EmergencyStopResult>>> stops;
  for (const auto& [machine, target] : *targets) {
    EmergencyRecord record;
    record.machine = machine;
    record.command_id = make_emergency_id(random);
    record.client = "cli";
    record.actor = "local";
    record.reason = options.reason;
    record.asked_at = clock.wall();
    const auto outcome = std::make_shared<std::promise<EmergencyStopResult>>();
    stops.emplace_back(std::move(record), outcome->get_future());
    stopper.set(machine, target);
    stopper.stop(machine, [outcome](const EmergencyStopResult& result) { outcome->set_value(result); });
  }
  bool all_confirmed = true;
  for (auto& [record, outcome] : stops) {
    const EmergencyStopResult result = outcome.get();
    record.confirmed = result.confirmed;
    record.text = result.text;
    if (result.sent_after) record.sent_after_us = result.sent_after->count();
    if (result.answered_after) record.answered_after_us = result.answered_after->count();
    all_confirmed = all_confirmed && result.confirmed;
    print(record);
  }
  for (const auto& [record, outcome] : stops) {
    if (auto taken = hand_over(record, *config); !taken) {
      fmt::print(stderr, "{}: the stop is not recorded: {}\n", record.machine, taken.error().message());
    }
  }
  return all_confirmed ? 0 : 1;
}

}  // namespace millrace
