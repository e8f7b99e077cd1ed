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
constexpr std::chrono::milliseconds kLook{250};  // between two looks at the configuration file

// 0, or the signal that arrived meanwhile.
int wait_for_broker(const Hub& hub) {
  for (auto waited = std::chrono::milliseconds(0); waited < kWaitForBroker && !hub.receives(); waited += kPoll) {
    if (const int signal = wait_for_stop(kPoll); signal != 0) return signal;
  }
  return 0;
}

struct Roles {
  std::unique_ptr<Hub> hub;
  std::unique_ptr<AdaptersRole> adapters;
};

// The configuration while it runs: another list of machines counts at once, everything else at the next start.
class RunningConfig {
 public:
  RunningConfig(const Config& config, ConfigFile& file, Metrics& metrics, Health& health)
      : started_(config),
        machines_(config.machines),
        file_(file),
        refused_(metrics.gauge("millrace_configuration_refused",
                               "1 while the configuration file cannot be used as it is now, 0 otherwise")),
        health_(health) {}

  void look(Roles& roles, MonotonicTime now) {
    const bool asked = take_reload_signal();
    if (asked) log_info("run", "SIGHUP: '{}' is read again", file_.path().string());
    const auto read = asked ? std::optional(file_.read()) : file_.look(now);
    if (!read) return;
    *read ? take(**read, roles) : refuse(read->error());
  }

 private:
  // Ready all the same: everything goes on as it was read last, and nobody gains a right by that.
  void refuse(const Error& error) {
    refused_.set(1);
    health_.set("configuration", true, "the file is not used, everything stays as it was: " + error.context);
    log_error("run", "the configuration file is not used, everything stays as it was: {}", error.context);
  }

  void take(const Config& config, Roles& roles) {
    refused_.set(0);
    health_.set("configuration", true);
    tell_settings(config);
    tell_machines(changes_between(machines_, config.machines));
    machines_ = config.machines;
    // Also when none differs: what could not be done the last time is tried again.
    if (roles.hub) roles.hub->take_machines(machines_);
    if (roles.adapters) roles.adapters->take_machines(machines_);
  }

  static void tell_machines(const MachineChanges& changes) {
    if (changes.empty()) return;
    log_info("run", "machines of the configuration file: {} added, {} changed, {} removed{}", changes.added.size(),
             changes.changed.size(), changes.removed.size(), names_of(changes));
  }

  static std::string names_of(const MachineChanges& changes) {
    std::string names;
    for (const auto* ids : {&changes.added, &changes.changed, &changes.removed}) {
      for (const std::string& id : *ids) names += (names.empty() ? ": " : ", ") + id;
    }
    return names;
  }

  // Once for each set of keys.
  void tell_settings(const Config& config) {
    auto waiting = settings_that_differ(started_, config);
    if (waiting == waiting_) return;
    waiting_ = std::move(waiting);
    if (waiting_.empty()) return log_info("run", "nothing waits for the next start any more");
    log_warn("run", "at the next start only: {}", fmt::join(waiting_, ", "));
  }

  const Config started_;
  std::vector<MachineConfig> machines_;
  std::vector<std::string> waiting_;  // keys that count at the next start
  ConfigFile& file_;
  Gauge& refused_;
  Health& health_;
};

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

int run_run_command(const Config& config, const std::set<std::string>& role_names, ConfigFile& file) {
  block_stop_signals();
  block_reload_signal();
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
  Roles roles;
  // Said before the hub answers, which else would be ready for the moment until they begin.
  if (role_names.contains(kAdaptersRole)) health.set("adapters", false, "starting");
  if (role_names.contains(kHubRole)) {
    auto started = Hub::start(config, clock, *metrics, health);
    if (!started) return fail(started.error());
    roles.hub = std::move(*started);
    log_info("run", "{}://{}:{}", config.http_tls_certificate.empty() ? "http" : "https",
             parse_host_port(config.http_listen).value().host, roles.hub->http_port());
    if (wait_for_broker(*roles.hub) != 0) return 0;
  }
  if (role_names.contains(kAdaptersRole)) {
    auto started = AdaptersRole::start(config, clock, *metrics, health);
    if (!started) return fail(started.error());
    roles.adapters = std::move(*started);
  }
  RunningConfig running(config, file, *metrics, health);
  int signal = 0;
  while ((signal = wait_for_stop(kLook)) == 0) running.look(roles, clock.monotonic());
  log_info("run", "signal {}: ending", signal);
  roles.adapters.reset();
  roles.hub.reset();
  return 0;
}

}  // namespace millrace
