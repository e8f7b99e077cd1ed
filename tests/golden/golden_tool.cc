// SPDX-License-Identifier: Apache-2.0
// golden_tool write DIR    a golden log of this program, with what must be read from it
// golden_tool views DIR    adds the digests of this program's views to DIR/expected.json
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/golden/golden_log.h"
#include "tests/support/event_fixtures.h"

namespace {

using namespace millrace;
using namespace millrace::testing;
using nlohmann::json;
namespace fs = std::filesystem;

// A copy, because reading must not change what lies in the source tree.
std::unique_ptr<EventLog> open_copy(const fs::path& golden, const TemporaryDirectory& temporary) {
  fs::copy(golden / "log", temporary / "log", fs::copy_options::recursive);
  return open_rocksdb_event_log(temporary / "log", SystemClock()).value();
}

void write_json(const fs::path& path, const json& content) { std::ofstream(path) << content.dump(2) << "\n"; }

int write(const fs::path& golden) {
  fs::create_directories(golden);
  write_golden_log(golden / "log");
  const TemporaryDirectory temporary;
  const json faults = json::parse(golden_faults_json(golden / "log"));
  if (!faults.empty()) {
    std::fprintf(stderr, "golden_tool: what was written is not whole: %s\n", faults.dump(2).c_str());
    return 1;
  }
  const auto log = open_copy(golden, temporary);
  const std::string events = golden_events_json(*log);
  std::ofstream(golden / "events.jsonl") << events;
  const auto info = log->info().value();
  const auto read = std::ranges::count(events, '\n');
  write_json(golden / "expected.json", {{"events", info.last.value},
                                        {"expired", info.last.value - static_cast<uint64_t>(read)},
                                        {"incarnation", info.incarnation},
                                        {"chain_root", root_text(info)},
                                        {"faults", faults},
                                        {"views", json::parse(golden_views_json(*log))}});
  return 0;
}

int add_views(const fs::path& golden) {
  const TemporaryDirectory temporary;
  const auto log = open_copy(golden, temporary);
  std::ifstream file(golden / "expected.json");
  json expected = json::parse(file);
  const json views = json::parse(golden_views_json(*log));
  for (const auto& [name, versions] : views.items()) {
    for (const auto& [version, digest] : versions.items()) expected["views"][name][version] = digest;
  }
  write_json(golden / "expected.json", expected);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc == 3 ? argv[1] : "";
  if (verb == "write" && !fs::exists(fs::path(argv[2]) / "log")) return write(argv[2]);
  if (verb == "views") return add_views(argv[2]);
  std::fprintf(stderr, "golden_tool write|views DIR; write wants a DIR without a log\n");
  return 2;
}
