// SPDX-License-Identifier: Apache-2.0
// Emergency stops from the request to Moonraker's socket, through the whole product as processes of their own: idle;
// with many machines and a full disk; with the same and a killed hub, by MQTT.  Beside each stop a plain warm client
// asks the same of the same Moonraker.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <future>

#include "bus/json_reader.h"
#include "bus/logging.h"
#include "bus/mqtt_client.h"
#include "bus/topics.h"
#include "cli/bench/bench.h"
#include "cli/bench/harness.h"
#include "cli/bench/shop_processes.h"
#include "cli/opened_log.h"
#include "net/emergency_stopper.h"
#include "net/http_client.h"

namespace millrace {
namespace {

constexpr int kTargets = 5;  // machines that are stopped; the others are the load
constexpr double kIdleLimitMs = 5;
constexpr double kFaultLimitMs = 20;
constexpr std::chrono::seconds kStartTimeout{120};
constexpr std::chrono::seconds kArrivalTimeout{10};
constexpr std::chrono::milliseconds kBetweenStops{2};
constexpr int kDiskMegabytes = 400;
constexpr uint64_t kLeftBytes = 256 << 10;

// A file system of its own for the data folder, where mounting is permitted; unmounted with this object.
class SmallDataDisk {
 public:
  explicit SmallDataDisk(std::filesystem::path directory) : directory_(std::move(directory)) {
    std::filesystem::create_directories(directory_);
    mounted_ = run({"mount", "-t", "tmpfs", "-o", fmt::format("size={}m", kDiskMegabytes), "none", directory_});
  }
  ~SmallDataDisk() {
    if (mounted_) run({"umount", "-l", directory_});
  }
  SmallDataDisk(const SmallDataDisk&) = delete;
  SmallDataDisk& operator=(const SmallDataDisk&) = delete;

  bool mounted() const { return mounted_; }
  void fill() const {
    struct statvfs disk {};
    if (!mounted_ || ::statvfs(directory_.c_str(), &disk) != 0) return;
    const uint64_t free = uint64_t{disk.f_bavail} * disk.f_frsize;
    const int file = ::open((directory_ / "filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return;
    if (free > kLeftBytes) (void)!::posix_fallocate(file, 0, static_cast<off_t>(free - kLeftBytes));
    ::close(file);
  }

 private:
  static bool run(const std::vector<std::string>& command) {
    auto child = ChildProcess::start(command, "/dev/null");
    return child && child->wait() == 0;
  }

  const std::filesystem::path directory_;
  bool mounted_ = false;
};

struct Arrival {
  int64_t count = 0;
  int64_t at_us = 0;
};

std::optional<Arrival> arrival_at(const std::string& moonraker) {
  JsonReader reader;
  const auto answer = http_request({.url = moonraker + "/sim/state"});
  const auto json = answer ? reader.parse(answer->body) : Result<Json>(answer.error());
  const auto result = json ? member(*json, "result") : std::nullopt;
  if (!result) return std::nullopt;
  return Arrival{integer_member(*result, "emergency_stops").value_or(0),
                 integer_member(*result, "emergency_stop_at_us").value_or(0)};
}

struct Figures {
  std::vector<double> sent_ms;       // from the request to Moonraker
  std::vector<double> reference_ms;  // the plain client's answer
  uint64_t undelivered = 0;
  uint64_t unconfirmed = 0;
};

class Measurement {
 public:
  Measurement(std::vector<MachineConfig> targets, const Clock& clock, Metrics& metrics)
      : targets_(std::move(targets)), clock_(clock), plain_(clock, metrics) {
    for (const MachineConfig& target : targets_) plain_.set(target.id, {target.moonraker_url, "", nullptr});
  }

  // `ask` asks for the stop of a machine and tells whether it is confirmed, if it can.
  Figures run(uint64_t stops, const std::function<bool(const std::string&)>& ask) {
    Figures figures;
    for (uint64_t i = 0; i < stops; ++i) {
      const MachineConfig& target = targets_[i % targets_.size()];
      figures.reference_ms.push_back(plain_answer_ms(target.id));
      const auto before = arrival_at(target.moonraker_url);
      const int64_t asked_us = to_unix_us(clock_.wall());
      figures.unconfirmed += ask(target.id) ? 0 : 1;
      std::optional<Arrival> after;
      const bool came = before && wait_until(clock_, kArrivalTimeout, [&] {
                          after = arrival_at(target.moonraker_url);
                          return after && after->count > before->count;
                        });
      if (came) figures.sent_ms.push_back(static_cast<double>(after->at_us - asked_us) / 1000);
      figures.undelivered += came ? 0 : 1;
      pause_for(kBetweenStops);
    }
    return figures;
  }

 private:
  double plain_answer_ms(const std::string& machine) {
    std::promise<double> answered;
    plain_.stop(machine, [&](const EmergencyStopResult& result) {
      const auto took = result.answered_after.value_or(Micros{0}) - result.sent_after.value_or(Micros{0});
      answered.set_value(std::chrono::duration<double, std::milli>(took).count());
    });
    return answered.get_future().get();
  }

  const std::vector<MachineConfig> targets_;
  const Clock& clock_;
  EmergencyStopper plain_;
};

void print_line(std::string_view what, uint64_t machines, const Figures& figures, double limit_ms, bool disk_full) {
  const double p50 = percentile(figures.sent_ms, 0.50);
  const double p99 = percentile(figures.sent_ms, 0.99);
  const double reference = percentile(figures.reference_ms, 0.50);
  fmt::print(
      "{{\"bench\":\"stop\",\"what\":\"{}\",\"machines\":{},\"disk_full\":{},\"n\":{},\"p50_ms\":{:.2f},\"p99_ms\":{:."
      "2f},"
      "\"max_ms\":{:.2f},\"p99_to_limit\":{:.3f},\"reference_p50_ms\":{:.2f},\"reference_p99_ms\":{:.2f},"
      "\"ratio_to_reference\":{:.2f},\"unconfirmed\":{},\"undelivered\":{}}}\n",
      what, machines, disk_full, figures.sent_ms.size() + figures.undelivered, p50, p99,
      percentile(figures.sent_ms, 1.0), p99 / limit_ms, reference, percentile(figures.reference_ms, 0.99),
      reference > 0 ? p50 / reference : 0, figures.unconfirmed, figures.undelivered);
  std::fflush(stdout);
}

// Simulated machines named PREFIX-1, ...: their [[machine]] list.
Result<std::string> start_machines(ShopProcesses& shop, const std::string& prefix, uint64_t count,
                                   const std::string& behaviour, const Clock& clock) {
  auto list = shop.start_simulator(prefix, count, behaviour, clock);
  if (!list) return list;
  for (size_t at = list->find("\"sim-"); at != std::string::npos; at = list->find("\"sim-", at + 1)) {
    list->replace(at + 1, 3, prefix);
  }
  return list;
}

// Broker, machines, hub and adapters; every connection for a stop stands by when it returns.
Result<void> start_shop(ShopProcesses& shop, uint64_t load, const Clock& clock) {
  if (auto started = shop.start_broker(clock); !started) return started;
  auto list = start_machines(shop, "target", kTargets, "idle", clock);
  if (!list) return list.error();
  if (load > 0) {
    auto more = start_machines(shop, "load", load, "steady", clock);
    if (!more) return more.error();
    *list += *more;
  }
  if (auto started = shop.start_roles(*list, clock); !started) return started;
  const std::string metrics = fmt::format("http://127.0.0.1:{}/metrics", shop.http_port());
  const bool warm = wait_until(clock, kStartTimeout, [&] {
    const auto answer = http_request({.url = metrics});
    if (!answer) return false;
    uint64_t standing_by = 0;
    for (size_t at = answer->body.find("millrace_emergency_stop_warm{"); at != std::string::npos;
         at = answer->body.find("millrace_emergency_stop_warm{", at + 1)) {
      standing_by += answer->body.substr(at, answer->body.find('\n', at) - at).ends_with(" 1") ? 1 : 0;
    }
    return standing_by == kTargets + load;
  });
  if (!warm) return make_error(Errc::kTimeout, "not every connection for a stop stands by");
  pause_for(std::chrono::seconds(2));
  return {};
}

std::vector<MachineConfig> targets_of(const ShopProcesses& shop) {
  std::vector<MachineConfig> targets;
  for (const MachineConfig& machine : shop.config().machines) {
    if (machine.id.starts_with("target-")) targets.push_back(machine);
  }
  return targets;
}

bool ask_by_http(const ShopProcesses& shop, const std::string& machine) {
  const auto answer = http_request(
      {.method = "POST",
       .url = fmt::format("http://127.0.0.1:{}/api/v1/machines/{}/emergency_stop", shop.http_port(), machine)});
  return answer && answer->status == 200;
}

Result<Figures> measure_idle(const std::filesystem::path& directory, uint64_t stops, const Clock& clock,
                             Metrics& metrics) {
  ShopProcesses shop(directory);
  if (auto started = start_shop(shop, 0, clock); !started) return started.error();
  Measurement measurement(targets_of(shop), clock, metrics);
  return measurement.run(stops, [&](const std::string& machine) { return ask_by_http(shop, machine); });
}

}  // namespace

int run_bench_stop(const BenchOptions& options) {
  const SystemClock clock;
  const auto metrics = make_metrics();
  const BenchDirectory directory(options.directory);
  (void)start_logging({.level = LogLevel::kError});
  const auto idle = measure_idle(directory.fresh("idle"), options.events, clock, *metrics);
  if (!idle) return fail(idle.error());
  print_line("idle", kTargets, *idle, kIdleLimitMs, false);

  const auto loaded = directory.fresh("loaded");
  const SmallDataDisk disk(loaded / "data");
  ShopProcesses shop(loaded);
  if (auto started = start_shop(shop, options.machines, clock); !started) return fail(started.error());
  Measurement measurement(targets_of(shop), clock, *metrics);
  disk.fill();
  if (disk.mounted() && !wait_until(clock, kStartTimeout, [&] { return !shop.hub_is_ready(); })) {
    return fail(make_error(Errc::kTimeout, "the log still takes events on a full disk"));
  }
  const auto full = measurement.run(options.events, [&](const auto& machine) { return ask_by_http(shop, machine); });
  print_line("http_under_load", options.machines + kTargets, full, kFaultLimitMs, disk.mounted());

  shop.process("hub").kill();
  MqttOptions mqtt;
  mqtt.url = shop.config().mqtt_url;
  const auto client = make_mqtt_client(mqtt);
  client->start();
  if (!wait_until(clock, kStartTimeout, [&] { return client->connected(); })) {
    return fail(make_error(Errc::kTimeout, "no connection to the broker"));
  }
  const Topics topics(shop.config().mqtt_root);
  const auto killed = measurement.run(options.events, [&](const std::string& machine) {
    return client->publish(topics.command(machine, "emergency_stop"), "", 1, Retain::kNo).has_value();
  });
  client->stop();
  print_line("mqtt_hub_killed", options.machines + kTargets, killed, kFaultLimitMs, disk.mounted());
  return idle->undelivered + full.undelivered + killed.undelivered == 0 ? 0 : 1;
}

}  // namespace millrace
