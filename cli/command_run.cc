// SPDX-License-Identifier: Apache-2.0
#include "cli/command_run.h"

#include <fmt/format.h>

#include <optional>
#include <sstream>

#include "bus/logging.h"
#include "cli/adapters_role.h"
#include "cli/hub.h"
#include "cli/opened_log.h"
#include "cli/process_limits.h"
#include "cli/signals.h"

namespace millrace {
namespace {

// Adapters of the same process begin once the hub listens to the broker, or after this long without one.
constexpr std::chrono::milliseconds kWaitForBroker{3'000};
constexpr std::chrono::milliseconds kPoll{20};

// 0, or the signal that arrived meanwhile.
int wait_for_broker(const Hub& hub) {
  for (auto waited = std::chrono::milliseconds(0); waited < kWaitForBroker && !hub.receives(); waited += kPoll) {
    if (const int signal = wait_for_stop(kPoll); signal != 0) return signal;
  }
  return 0;
}

}  // namespace

Result<std::set<std::string>> parse_roles(const std::string& text) {
  std::set<std::string> roles;
  std::istringstream stream(text);
  for (std::string role; std::getline(stream, role, ',');) {
    if (role != kHubRole && role != kAdaptersRole) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("--roles: '{}' is no role; there are {} and {}", role, kHubRole, kAdaptersRole));
    }
    roles.insert(role);
  }
  if (roles.empty()) return make_error(Errc::kInvalidArgument, "--roles: expected at least one role");
  return roles;
}

int run_run_command(const Config& config, const std::set<std::string>& roles) {
  block_stop_signals();
  end_when_out_of_memory();
  LoggingOptions logging;
  logging.level = parse_log_level(config.log_level).value();
  logging.json = config.log_format == "json";
  logging.file = config.log_file;
  if (auto started = start_logging(logging); !started) return fail(started.error());
  if (!config.gateway_listen.empty())
    log_warn("run", "gcode_gateway.listen is set, but this version has no gateway yet");

  const SystemClock clock;
  const auto metrics = make_metrics();
  Health health;
  std::unique_ptr<Hub> hub;
  std::unique_ptr<AdaptersRole> adapters;
  // Said before the hub answers, which else would be ready for the moment until they begin.
  if (roles.contains(kAdaptersRole)) health.set("adapters", false, "starting");
  if (roles.contains(kHubRole)) {
    auto started = Hub::start(config, clock, *metrics, health);
    if (!started) return fail(started.error());
    hub = std::move(*started);
    log_info("run", "{}://{}:{}", config.http_tls_certificate.empty() ? "http" : "https",
             parse_host_port(config.http_listen).value().host, hub->http_port());
    if (wait_for_broker(*hub) != 0) return 0;
  }
  if (roles.contains(kAdaptersRole)) {
    auto started = AdaptersRole::start(config, clock, *metrics, health);
    if (!started) return fail(started.error());
    adapters = std::move(*started);
    log_info("run", "{} machines are looked after", config.machines.size());
  }
  const int signal = wait_for_stop();
  log_info("run", "signal {}: ending", signal);
  adapters.reset();
  hub.reset();
  return 0;
}

}  // namespace millrace
