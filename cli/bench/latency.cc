// SPDX-License-Identifier: Apache-2.0
// Machine to WebSocket client through the whole product: broker, simulator, adapters and hub as processes of their own.
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>

#include "bus/json_reader.h"
#include "bus/logging.h"
#include "bus/outbox.h"
#include "bus/random.h"
#include "cli/bench/bench.h"
#include "cli/bench/harness.h"
#include "cli/bench/shop_processes.h"
#include "cli/config.h"
#include "cli/hub.h"
#include "cli/opened_log.h"
#include "net/http_client.h"
#include "net/web_socket_client.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kStartTimeout{60};
constexpr std::chrono::milliseconds kBetweenToggles{50};
constexpr std::chrono::seconds kToggleTimeout{5};
constexpr double kAdaptersCoresLimit = 0.6;  // with 100 machines
constexpr double kStormLimitSeconds = 10;    // the same

// A client of the live feed that notes when it hears of what.
class Listener {
 public:
  Listener(const std::string& url, const Clock& clock) : clock_(clock), socket_(loop_, {}) {
    socket_.on_text = [this](std::string_view text) { hear(text); };
    socket_.on_closed = [this](const WebSocketClosed&) { closed_ = true; };
    thread_ = std::thread([this, url] {
      loop_.post([this, url] { socket_.open(url); });
      loop_.run();
    });
  }
  ~Listener() {
    loop_.post([this] {
      socket_.close();
      loop_.stop();
    });
    thread_.join();
  }

  // How many machines are connected and have a state of their own.
  size_t ready_machines() {
    std::lock_guard lock(mutex_);
    size_t count = 0;
    for (const auto& [id, machine] : machines_) count += machine.connected ? 1 : 0;
    return count;
  }

  std::string state_version(const std::string& machine) {
    std::lock_guard lock(mutex_);
    return machines_[machine].state_version;
  }

  // The time at which another state version than `old` was heard of, or nothing within the timeout.
  std::optional<WallTime> wait_for_change(const std::string& machine, const std::string& old) {
    std::unique_lock lock(mutex_);
    const auto changed = [&] { return machines_[machine].state_version != old; };
    if (!heard_.wait_for(lock, kToggleTimeout, changed)) return std::nullopt;
    return machines_[machine].state_heard;
  }

  void begin_measuring() {
    std::lock_guard lock(mutex_);
    telemetry_ms_.clear();
    measuring_ = true;
  }
  std::vector<double> telemetry_ms() {
    std::lock_guard lock(mutex_);
    measuring_ = false;
    return telemetry_ms_;
  }
  bool closed() const { return closed_; }

 private:
  struct Machine {
    bool connected = false;
    std::string state_version;
    WallTime state_heard{};
    WallTime sampled{};
  };

  void hear(std::string_view text) {
    const WallTime now = clock_.wall();
    const auto message = reader_.parse(text);
    if (!message) return;
    simdjson::dom::array machines;
    if ((*message)["machines"].get_array().get(machines) != simdjson::SUCCESS) return;
    std::lock_guard lock(mutex_);
    for (const Json machine : machines) note(machine, now);
    heard_.notify_all();
  }

  void note(const Json& json, WallTime now) {
    const auto id = text_member(json, "id");
    if (!id) return;
    Machine& machine = machines_[std::string(*id)];
    machine.connected = text_member(json, "connection") == "connected";
    const std::string version(text_member(json, "state_version").value_or(""));
    if (version != machine.state_version) {
      machine.state_version = version;
      machine.state_heard = now;
    }
    WallTime newest = machine.sampled;
    simdjson::dom::object temperatures;
    if (json["temperatures"].get_object().get(temperatures) == simdjson::SUCCESS) {
      for (const auto& [name, value] : temperatures) {
        const auto at = parse_rfc3339(text_member(value, "observed_at").value_or(""));
        if (at && *at > newest) newest = *at;
      }
    }
    if (newest > machine.sampled && machine.sampled != WallTime{} && measuring_) {
      telemetry_ms_.push_back(std::chrono::duration<double, std::milli>(now - newest).count());
    }
    machine.sampled = newest;
  }

  const Clock& clock_;
  IoLoop loop_;
  WebSocketClient socket_;
  JsonReader reader_;
  std::thread thread_;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;
  std::condition_variable heard_;
  std::map<std::string, Machine> machines_;
  std::vector<double> telemetry_ms_;
  bool measuring_ = false;
};

// Events that were emitted and are neither in the log nor still in an outbox.
Result<uint64_t> lost_events(ShopProcesses& shop) {
  shop.process("adapters").terminate();
  shop.process("hub").terminate();
  const auto log = OpenedLog::open(shop.config().data_dir);
  if (!log) return log.error();
  std::map<std::string, uint64_t> logged;
  Position after;
  for (bool at_end = false; !at_end;) {
    const auto read = (*log)->read(after, {.events = 4096}, {});
    if (!read) return read.error();
    for (const auto& event : read->events) logged[std::string(event.envelope.producer())] += 1;
    after = read->through;
    at_end = read->at_end;
  }
  uint64_t lost = 0;
  for (const MachineConfig& machine : shop.config().machines) {
    const auto outbox = Outbox::open(outbox_directory(shop.config().data_dir) / machine.id, {});
    if (!outbox) return outbox.error();
    const auto mark = (*log)->mark(machine.id).value_or(EventOrder{});
    const uint64_t emitted = (*outbox)->last().sequence - (*outbox)->events_after(mark);
    lost += emitted > logged[machine.id] ? emitted - logged[machine.id] : 0;
  }
  return lost;
}

// Changes the state of one machine after the other and notes how long the client takes to hear of it.
std::vector<double> toggle_states(const ShopProcesses& shop, Listener& listener, uint64_t seconds, uint64_t& unheard,
                                  const Clock& clock) {
  std::vector<double> milliseconds;
  SeededRandom random(1);
  JsonReader reader;
  const auto end = clock.monotonic() + std::chrono::seconds(seconds);
  while (clock.monotonic() < end) {
    const auto& machine = shop.config().machines[random.next() % shop.config().machines.size()];
    const std::string before = listener.state_version(machine.id);
    const auto answer = http_request({.method = "POST", .url = machine.moonraker_url + "/sim/toggle"});
    const auto json = answer ? reader.parse(answer->body) : Result<Json>(answer.error());
    const auto result = json ? member(*json, "result") : std::nullopt;
    const auto sent = result ? integer_member(*result, "sent_at_us") : std::nullopt;
    if (sent) {
      const auto heard = listener.wait_for_change(machine.id, before);
      if (heard) milliseconds.push_back(static_cast<double>(to_unix_us(*heard) - *sent) / 1000.0);
      unheard += heard ? 0 : 1;
    }
    pause_for(kBetweenToggles);
  }
  return milliseconds;
}

uint64_t connections_of(const MachineConfig& machine, JsonReader& reader) {
  const auto answer = http_request({.method = "GET", .url = machine.moonraker_url + "/sim/state"});
  const auto json = answer ? reader.parse(answer->body) : Result<Json>(answer.error());
  const auto result = json ? member(*json, "result") : std::nullopt;
  return result ? static_cast<uint64_t>(integer_member(*result, "connections").value_or(0)) : 0;
}

// Drops the sockets of all machines at once and waits until each is seen again; the seconds that it takes.
Result<double> storm(const ShopProcesses& shop, Listener& listener, const Clock& clock) {
  const auto& machines = shop.config().machines;
  JsonReader reader;
  const MonotonicTime begin = clock.monotonic();
  for (const MachineConfig& machine : machines) {
    const auto dropped = http_request({.method = "POST", .url = machine.moonraker_url + "/sim/drop"});
    if (!dropped) return dropped.error();
  }
  const bool back = wait_until(clock, kStartTimeout, [&] {
    return std::all_of(machines.begin(), machines.end(),
                       [&](const MachineConfig& machine) { return connections_of(machine, reader) > 0; }) &&
           listener.ready_machines() == machines.size();
  });
  if (!back) return make_error(Errc::kTimeout, "not every machine came back");
  return std::chrono::duration<double>(clock.monotonic() - begin).count();
}

void print_line(std::string_view what, const std::vector<double>& ms) {
  constexpr double kP50Limit = 10;
  constexpr double kP99Limit = 50;
  const double p50 = percentile(ms, 0.50);
  const double p99 = percentile(ms, 0.99);
  fmt::print(
      "{{\"bench\":\"latency\",\"what\":\"{}\",\"n\":{},\"p50_ms\":{:.2f},\"p99_ms\":{:.2f},\"max_ms\":{:.2f},"
      "\"p50_to_limit\":{:.3f},\"p99_to_limit\":{:.3f}}}\n",
      what, ms.size(), p50, p99, percentile(ms, 1.0), p50 / kP50Limit, p99 / kP99Limit);
}

}  // namespace

int run_bench_latency(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  (void)start_logging({.level = LogLevel::kError});
  ShopProcesses shop(directory.fresh("shop"));
  if (auto started = shop.start_all(options.machines, "steady", clock); !started) return fail(started.error());
  Listener listener(fmt::format("ws://127.0.0.1:{}/api/v1/live", shop.http_port()), clock);
  if (!wait_until(clock, kStartTimeout, [&] { return listener.ready_machines() == options.machines; })) {
    return fail(make_error(Errc::kTimeout,
                           fmt::format("{} of {} machines came up", listener.ready_machines(), options.machines)));
  }
  pause_for(std::chrono::seconds(3));
  listener.begin_measuring();
  const pid_t hub = shop.process("hub").pid();
  const pid_t adapters = shop.process("adapters").pid();
  const double hub_before = usage_of(hub).cpu_seconds;
  const double adapters_before = usage_of(adapters).cpu_seconds;
  const MonotonicTime begin = clock.monotonic();
  uint64_t unheard = 0;
  const auto states = toggle_states(shop, listener, options.seconds, unheard, clock);
  const double seconds = std::chrono::duration<double>(clock.monotonic() - begin).count();
  const ProcessUsage hub_used = usage_of(hub);
  const ProcessUsage adapters_used = usage_of(adapters);
  const double hub_cores = (hub_used.cpu_seconds - hub_before) / seconds;
  const double adapter_cores = (adapters_used.cpu_seconds - adapters_before) / seconds;
  const auto telemetry = listener.telemetry_ms();
  const auto storm_seconds = storm(shop, listener, clock);
  if (!storm_seconds) return fail(storm_seconds.error());
  const auto lost = lost_events(shop);
  if (!lost) return fail(lost.error());
  print_line("state_change", states);
  print_line("telemetry", telemetry);
  fmt::print(
      "{{\"bench\":\"latency\",\"what\":\"load\",\"machines\":{},\"seconds\":{:.1f},\"hub_cores\":{:.3f},"
      "\"hub_cores_to_limit\":{:.3f},\"adapters_cores\":{:.3f},\"adapters_cores_to_limit\":{:.3f},\"hub_rss_mb\":{:.1f}"
      ","
      "\"adapters_rss_mb\":{:.1f},\"adapters_mb_per_machine\":{:.2f},\"storm_s\":{:.2f},\"storm_to_limit\":{:.3f},"
      "\"unheard_state_changes\":{},\"lost_events\":{}}}\n",
      options.machines, seconds, hub_cores, hub_cores / 0.5, adapter_cores, adapter_cores / kAdaptersCoresLimit,
      hub_used.resident_mb, adapters_used.resident_mb,
      adapters_used.resident_mb / static_cast<double>(options.machines), *storm_seconds,
      *storm_seconds / kStormLimitSeconds, unheard, *lost);
  return *lost == 0 && unheard == 0 ? 0 : 1;
}

}  // namespace millrace
