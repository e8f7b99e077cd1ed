// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/shop_processes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "bus/file_io.h"
#include "cli/bench/harness.h"
#include "net/http_client.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kStartTimeout{60};

std::string config_file(const std::filesystem::path& directory) { return (directory / "millrace.toml").string(); }

}  // namespace

ProcessUsage usage_of(pid_t pid) {
  ProcessUsage usage;
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  const std::string text((std::istreambuf_iterator<char>(stat)), {});
  if (text.empty()) return usage;
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // utime and stime are fields 14 and 15, the name is field 2
  double user = 0;
  double system = 0;
  fields >> user >> system;
  usage.cpu_seconds = (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  double total = 0;
  double resident = 0;
  std::ifstream(fmt::format("/proc/{}/statm", pid)) >> total >> resident;
  usage.resident_mb = resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
  std::ifstream io(fmt::format("/proc/{}/io", pid));
  for (std::string name; io >> name;) {
    uint64_t number = 0;
    io >> number;
    if (name == "write_bytes:") usage.written_bytes = number;
  }
  return usage;
}

Result<void> ShopProcesses::start_broker(const Clock& clock) {
  auto started = start_bench_broker(directory_, mqtt_port_, clock);
  if (!started) return started.error();
  processes_.emplace("broker", std::move(*started));
  return {};
}

Result<void> ShopProcesses::configure(std::string_view machines) {
  const auto file = config_file(directory_);
  std::ofstream(file) << fmt::format(
                             "[hub]\ndata_dir = \"{}\"\n[http]\nlisten = \"127.0.0.1:{}\"\n[mqtt]\nurl = "
                             "\"mqtt://127.0.0.1:{}\"\n",
                             (directory_ / "data").string(), http_port_, mqtt_port_)
                      << machines;
  auto loaded = load_config(file, {});
  if (!loaded) return loaded.error();
  config_ = std::move(*loaded);
  return {};
}

Result<void> ShopProcesses::start(const std::string& name, std::vector<std::string> words) {
  words.insert(words.begin(), std::filesystem::read_symlink("/proc/self/exe").string());
  auto started = ChildProcess::start(words, directory_ / "output.log");
  if (!started) return started.error();
  processes_.insert_or_assign(name, std::move(*started));
  return {};
}

Result<void> ShopProcesses::start_role(const std::string& role) {
  return start(role, {"run", "--config", config_file(directory_), "--roles", role});
}

bool ShopProcesses::hub_is_ready() const {
  if (!loopback_port_answers(http_port_)) return false;
  const auto answer =
      http_request({.method = "GET", .url = fmt::format("http://127.0.0.1:{}/health/ready", http_port_)});
  return answer && answer->status == 200;
}

Result<void> ShopProcesses::wait_until_ready(const Clock& clock) {
  if (wait_until(clock, kStartTimeout, [&] { return hub_is_ready(); })) return {};
  return make_error(Errc::kTimeout, fmt::format("the hub did not start, see {}", directory_.string()));
}

Result<std::string> ShopProcesses::start_simulator(const std::string& name, uint64_t machines,
                                                   const std::string& behaviour, const Clock& clock) {
  const auto list = directory_ / (name + ".toml");
  auto started = start(
      name, {"sim", "--machines", std::to_string(machines), "--behaviour", behaviour, "--config-out", list.string()});
  if (!started) return started.error();
  if (!wait_until(clock, kStartTimeout, [&] { return std::filesystem::exists(list); })) {
    return make_error(Errc::kTimeout, fmt::format("the simulator did not start, see {}", directory_.string()));
  }
  return read_file(list);
}

Result<void> ShopProcesses::start_roles(std::string_view machines, const Clock& clock) {
  if (auto configured = configure(machines); !configured) return configured;
  for (const char* role : {"hub", "adapters"}) {
    if (auto started = start_role(role); !started) return started;
  }
  return wait_until_ready(clock);
}

Result<void> ShopProcesses::start_all(uint64_t machines, const std::string& behaviour, const Clock& clock) {
  if (auto started = start_broker(clock); !started) return started;
  const auto list = start_simulator("sim", machines, behaviour, clock);
  if (!list) return list.error();
  return start_roles(*list, clock);
}

}  // namespace millrace
