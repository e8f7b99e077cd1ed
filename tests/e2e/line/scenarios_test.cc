// SPDX-License-Identifier: Apache-2.0
// What may happen to a print, each on a simulated machine of its own, and what the job history must say of it.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

struct Scenario {
  std::string machine;
  std::string outcome;
  std::string cause;  // "" = none
  std::function<bool(const json& job)> also = nullptr;
};

std::vector<Scenario> scenarios() {
  const auto pauses = [](const json& job) { return job["pause_count"].get<int>() >= 1; };
  return {{"steady", "completed", ""},
          {"pause", "completed", "", pauses},
          {"runout", "completed", "", [](const json& job) { return job["pause_cause"] == "filament_runout"; }},
          {"cancel", "cancelled", ""},
          {"cancel-heating", "cancelled", "", [](const json& job) { return job["print_duration"] == 0; }},
          {"gcode-error", "failed", "gcode_error", [](const json& job) { return job["text"].is_string(); }},
          {"heater-fault", "failed", "heater_fault", [](const json& job) { return job["text"].is_string(); }},
          {"sensor-fault", "failed", "sensor_fault"},
          {"mcu-lost", "failed", "mcu_lost"},
          {"emergency-stop", "failed", "emergency_stop"},
          {"m112", "failed", "m112"},
          {"klipper-restart", "interrupted", "klipper_restarted"},
          {"firmware-restart", "interrupted", "klipper_restarted"},
          {"klipper-killed", "interrupted", "klipper_died"},
          {"moonraker-restart", "completed", "", [](const json& job) { return job["evidence"] == "observed"; }},
          {"moonraker-kill", "completed", "", [](const json& job) { return job["evidence"] == "observed"; }},
          {"power-off", "interrupted", "host_restarted"},
          {"network-lost", "completed", ""},
          {"network-lost-long", "completed", "", [](const json& job) { return job["late"] == true; }},
          {"replace", "cancelled", "replaced", pauses},
          {"exclude-object", "completed", "", [](const json& job) { return job["objects_excluded"] == 1; }},
          {"clock-wrong", "completed", "", [](const json& job) { return job["clock_corrected"] == true; }},
          {"odd-names", "completed", "", [](const json& job) {
             static const std::set<std::string> names{"Für Oma/Häkelnadel \"5 mm\" (2).gcode",
                                                      "鯉のぼり 🎏/50% größer & 'fertig'.gcode", "a;b,c=d\\e #1?.gcode"};
             return names.contains(job["filename"].get<std::string>());
           }}};
}

bool is_told(const std::vector<json>& jobs, const Scenario& scenario) {
  for (const json& job : jobs) {
    const std::string cause = job["cause"].is_string() ? job["cause"].get<std::string>() : "";
    const bool seen = job["seen"] == "live" || job["late"] == true || !cause.empty();
    if (seen && job["outcome"] == scenario.outcome && cause == scenario.cause && (!scenario.also || scenario.also(job)))
      return true;
  }
  return false;
}

std::map<std::string, std::vector<json>> jobs_by_machine(Shop& shop) {
  std::map<std::string, std::vector<json>> jobs;
  std::string cursor;
  do {
    const json page = shop.get("/api/v1/jobs?limit=500" + (cursor.empty() ? "" : "&cursor=" + cursor));
    if (!page.is_object()) break;
    for (const json& job : page["items"]) jobs[job["machine"]].push_back(job);
    cursor = page["next_cursor"].is_string() ? page["next_cursor"].get<std::string>() : "";
  } while (!cursor.empty());
  return jobs;
}

// The same file within a second of its end is another print.
bool is_reprinted(const std::vector<json>& jobs) {
  std::map<std::string, size_t> live;
  for (const json& job : jobs) {
    if (job["seen"] == "live" && ++live[job["filename"]] > 1) return true;
  }
  return false;
}

// What waited was told, and that it was printed.
bool queue_was_printed(Shop& shop) {
  bool waited = false;
  const json told = shop.get("/api/v1/events?type=JobQueueChanged&machine=job-queue&limit=500");
  for (const json& event : told.value("items", json::array())) {
    const json& queue = event["payload"];
    waited = waited || (queue["total"] == 2 && queue["jobs"].size() == 2);
    if (waited && queue["total"] == 0) return true;
  }
  return false;
}

// Two that run at once would be a print that nobody ended.
void check_one_at_a_time(const std::string& machine, const std::vector<json>& jobs) {
  size_t running = 0;
  for (const json& job : jobs) running += job["outcome"] == "running" ? 1 : 0;
  EXPECT_LE(running, 1u) << machine;
}

TEST(ScenariosTest, EachEndsInTheHistoryAsWhatItWas) {
  Shop shop;
  shop.start_simulator({"--scenarios", "--speed", "20"});
  shop.start_all();
  std::vector<Scenario> left = scenarios();
  bool reprinted = false;
  EXPECT_TRUE(eventually(
      [&] {
        const auto jobs = jobs_by_machine(shop);
        std::erase_if(left, [&](const Scenario& scenario) {
          return jobs.contains(scenario.machine) && is_told(jobs.at(scenario.machine), scenario);
        });
        reprinted = jobs.contains("reprint") && is_reprinted(jobs.at("reprint"));
        return left.empty() && reprinted && queue_was_printed(shop);
      },
      std::chrono::seconds(180)));
  for (const Scenario& scenario : left) ADD_FAILURE() << scenario.machine << ": no such job";
  EXPECT_TRUE(reprinted);
  EXPECT_TRUE(queue_was_printed(shop));
  for (const auto& [machine, jobs] : jobs_by_machine(shop)) check_one_at_a_time(machine, jobs);
}

}  // namespace
}  // namespace millrace
