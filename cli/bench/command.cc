// SPDX-License-Identifier: Apache-2.0
// Commands through the whole product, each part a process of its own: from the HTTP request to the bytes at Moonraker's
// socket, 100 a second, beside the time in which Moonraker itself answers the same G-code.
#include <fmt/format.h>

#include <cstdio>
#include <map>

#include "bus/json_reader.h"
#include "bus/logging.h"
#include "cli/bench/bench.h"
#include "cli/bench/harness.h"
#include "cli/bench/shop_processes.h"
#include "cli/opened_log.h"
#include "net/http_client.h"

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kBetween{10};
constexpr double kLimitMs = 5;  // p99
constexpr int kCommands = 1000;

HttpClientRequest post(std::string url, std::string body) {
  HttpClientRequest request;
  request.method = "POST";
  request.url = std::move(url);
  request.headers = {{"Content-Type", "application/json"}};
  request.body = std::move(body);
  return request;
}

// When each script came in at the machine, by its text.
Result<std::map<std::string, WallTime>> received_scripts(const std::string& moonraker) {
  const auto answer = http_request({.method = "GET", .url = moonraker + "/sim/scripts"});
  if (!answer) return answer.error();
  JsonReader reader;
  const auto json = reader.parse(answer->body);
  const auto result = json ? member(*json, "result") : std::nullopt;
  simdjson::dom::array scripts;
  if (!result || result->get_array().get(scripts) != simdjson::SUCCESS) {
    return make_error(Errc::kMalformed, "the simulator told of no scripts");
  }
  std::map<std::string, WallTime> received;
  for (const Json script : scripts) {
    received[std::string(text_member(script, "script").value_or(""))] =
        from_unix_us(integer_member(script, "received_at_us").value_or(0));
  }
  return received;
}

double milliseconds(Micros time) { return static_cast<double>(time.count()) / 1000.0; }

struct Round {
  std::vector<double> way_ms;        // request to Moonraker's socket
  std::vector<double> answer_ms;     // request to the edge's 202
  std::vector<double> moonraker_ms;  // Moonraker's own answer to the same
  int refused = 0;
};

Result<Round> measure(const ShopProcesses& shop, const std::string& mark, const Clock& clock) {
  const MachineConfig& machine = shop.config().machines.front();
  const std::string url = fmt::format("http://127.0.0.1:{}/api/v1/machines/{}/commands", shop.http_port(), machine.id);
  std::map<std::string, WallTime> asked;
  Round round;
  for (int i = 0; i < kCommands; ++i) {
    const MonotonicTime due = clock.monotonic() + kBetween;
    const std::string script = fmt::format("M117 {}-{}", mark, i);
    const WallTime at = clock.wall();
    const auto answer =
        http_request(post(url, fmt::format(R"({{"command":"gcode","args":{{"script":"{}"}}}})", script)));
    if (!answer) return answer.error();
    round.answer_ms.push_back(milliseconds(clock.wall() - at));
    answer->status == 202 ? void(asked.emplace(script, at)) : void(++round.refused);
    if (i % 10 == 0) {
      const WallTime own = clock.wall();
      const auto direct =
          http_request(post(machine.moonraker_url + "/printer/gcode/script", R"({"script":"M117 direct"})"));
      if (direct) round.moonraker_ms.push_back(milliseconds(clock.wall() - own));
    }
    if (const auto left = due - clock.monotonic(); left > Micros(0)) {
      pause_for(std::chrono::duration_cast<std::chrono::milliseconds>(left));
    }
  }
  pause_for(std::chrono::seconds(1));
  const auto received = received_scripts(machine.moonraker_url);
  if (!received) return received.error();
  for (const auto& [script, at] : asked) {
    const auto found = received->find(script);
    if (found == received->end()) {
      ++round.refused;
    } else {
      round.way_ms.push_back(milliseconds(found->second - at));
    }
  }
  return round;
}

void print(const Round& round, std::string_view which) {
  const double p99 = percentile(round.way_ms, 0.99);
  const double own = median(round.moonraker_ms);
  fmt::print(
      "{{\"bench\":\"command\",{},\"n\":{},\"lost\":{},\"p50_ms\":{:.2f},\"p99_ms\":{:.2f},\"answer_p50_ms\":{:.2f},"
      "\"moonraker_p50_ms\":{:.2f},\"moonraker_p99_ms\":{:.2f},\"ratio_to_moonraker\":{:.2f},\"ratio_to_limit\":{:.3f}}"
      "}\n",
      which, round.way_ms.size(), round.refused, percentile(round.way_ms, 0.5), p99, median(round.answer_ms), own,
      percentile(round.moonraker_ms, 0.99), percentile(round.way_ms, 0.5) / own, p99 / kLimitMs);
  std::fflush(stdout);
}

}  // namespace

int run_bench_command(const BenchOptions& options) {
  const SystemClock clock;
  const BenchDirectory directory(options.directory);
  (void)start_logging({.level = LogLevel::kError});
  ShopProcesses shop(directory.fresh("shop"));
  if (auto started = shop.start_all(1, "idle", clock); !started) return fail(started.error());
  pause_for(std::chrono::seconds(3));  // until the machine is connected and its state is fresh
  Round all;
  for (uint64_t number = 1; number <= options.rounds; ++number) {
    auto round = measure(shop, std::to_string(number), clock);
    if (!round) return fail(round.error());
    if (round->way_ms.empty()) return fail(make_error(Errc::kUnavailable, "no command reached the machine"));
    print(*round, fmt::format("\"round\":{}", number));
    all.refused += round->refused;
    all.way_ms.insert(all.way_ms.end(), round->way_ms.begin(), round->way_ms.end());
    all.answer_ms.insert(all.answer_ms.end(), round->answer_ms.begin(), round->answer_ms.end());
    all.moonraker_ms.insert(all.moonraker_ms.end(), round->moonraker_ms.begin(), round->moonraker_ms.end());
  }
  print(all, "\"median\":true");
  return all.refused == 0 ? 0 : 1;
}

}  // namespace millrace
