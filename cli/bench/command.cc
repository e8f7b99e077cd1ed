// SPDX-License-Identifier: Apache-2.0
// Commands through the whole product, each part a process of its own: from the HTTP request to the bytes at Moonraker's
// socket, 100 a second, beside the time in which Moonraker itself answers the same G-code.
#include <fmt/format.h>

#include <cstdio>
#include <map>

#include "bus/json_reader.h"
#include "bus/json_writer.h"
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
constexpr std::chrono::seconds kEndWithin{10};

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
  // Commands that did not reach the machine, by what is known of them: "rejected stale", "expired", "HTTP 503", ...;
  // one without an end is lost.
  std::map<std::string, int> others;
  int lost = 0;
};

struct Asked {
  WallTime at{};
  std::string id;
};

std::string command_id_in(const std::string& body) {
  JsonReader reader;
  const auto json = reader.parse(body);
  return json ? std::string(text_member(*json, "command_id").value_or("")) : "";
}

// What the hub says became of a command: its status, and where it was rejected the first rule; empty: it has no end.
std::string end_of(const ShopProcesses& shop, const std::string& id) {
  const auto answer =
      http_request({.url = fmt::format("http://127.0.0.1:{}/api/v1/commands/{}", shop.http_port(), id)});
  if (!answer || answer->status != 200) return "";
  JsonReader reader;
  const auto json = reader.parse(answer->body);
  const std::string status(json ? text_member(*json, "status").value_or("") : "");
  if (status == "requested" || status == "accepted" || status == "sent") return "";
  const auto reasons = json ? member(*json, "reasons") : std::nullopt;
  simdjson::dom::array list;
  if (!reasons || reasons->get_array().get(list) != simdjson::SUCCESS || list.size() == 0) return status;
  return status + " " + std::string(text_member(list.at(0).value(), "rule").value_or(""));
}

// For as long as a command may take to its end: its own time, and that of the hub's witness.
std::string awaited_end_of(const ShopProcesses& shop, const std::string& id, const Clock& clock) {
  const MonotonicTime until = clock.monotonic() + kEndWithin;
  for (;;) {
    std::string end = end_of(shop, id);
    if (!end.empty() || clock.monotonic() > until) return end;
    pause_for(std::chrono::milliseconds(100));
  }
}

Result<Round> measure(const ShopProcesses& shop, const std::string& mark, const Clock& clock) {
  const MachineConfig& machine = shop.config().machines.front();
  const std::string url = fmt::format("http://127.0.0.1:{}/api/v1/machines/{}/commands", shop.http_port(), machine.id);
  std::map<std::string, Asked> asked;
  Round round;
  for (int i = 0; i < kCommands; ++i) {
    const MonotonicTime due = clock.monotonic() + kBetween;
    const std::string script = fmt::format("M117 {}-{}", mark, i);
    const WallTime at = clock.wall();
    const auto answer =
        http_request(post(url, fmt::format(R"({{"command":"gcode","args":{{"script":"{}"}}}})", script)));
    if (!answer) return answer.error();
    round.answer_ms.push_back(milliseconds(clock.wall() - at));
    if (answer->status == 202) {
      asked[script] = {at, command_id_in(answer->body)};
    } else {
      ++round.others[fmt::format("HTTP {}", answer->status)];
    }
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
  auto received = received_scripts(machine.moonraker_url);
  if (!received) return received.error();
  std::map<std::string, std::string> ends;
  for (const auto& [script, command] : asked) {
    if (!received->contains(script)) ends[script] = awaited_end_of(shop, command.id, clock);
  }
  if (!ends.empty()) received = received_scripts(machine.moonraker_url);  // some may only have been late
  if (!received) return received.error();
  for (const auto& [script, command] : asked) {
    if (const auto found = received->find(script); found != received->end()) {
      round.way_ms.push_back(milliseconds(found->second - command.at));
    } else if (ends[script].empty() || ends[script] == "completed") {
      ++round.lost;
    } else {
      ++round.others[ends[script]];
    }
  }
  return round;
}

// {"rejected stale":1}
std::string others_json(const Round& round) {
  JsonWriter json;
  json.object();
  for (const auto& [what, count] : round.others) json.field(what, static_cast<int64_t>(count));
  json.end();
  return json.take();
}

void print(const Round& round, std::string_view which) {
  const double p99 = percentile(round.way_ms, 0.99);
  const double own = median(round.moonraker_ms);
  fmt::print(
      "{{\"bench\":\"command\",{},\"n\":{},\"lost\":{},\"others\":{},\"p50_ms\":{:.2f},\"p99_ms\":{:.2f},\"answer_p50_"
      "ms\":{:.2f},"
      "\"moonraker_p50_ms\":{:.2f},\"moonraker_p99_ms\":{:.2f},\"ratio_to_moonraker\":{:.2f},\"ratio_to_limit\":{:.3f}}"
      "}\n",
      which, round.way_ms.size(), round.lost, others_json(round), percentile(round.way_ms, 0.5), p99,
      median(round.answer_ms), own, percentile(round.moonraker_ms, 0.99), percentile(round.way_ms, 0.5) / own,
      p99 / kLimitMs);
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
    all.lost += round->lost;
    for (const auto& [what, count] : round->others) all.others[what] += count;
    all.way_ms.insert(all.way_ms.end(), round->way_ms.begin(), round->way_ms.end());
    all.answer_ms.insert(all.answer_ms.end(), round->answer_ms.begin(), round->answer_ms.end());
    all.moonraker_ms.insert(all.moonraker_ms.end(), round->moonraker_ms.begin(), round->moonraker_ms.end());
  }
  print(all, "\"median\":true");
  return all.lost == 0 ? 0 : 1;
}

}  // namespace millrace
