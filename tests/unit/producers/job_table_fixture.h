// SPDX-License-Identifier: Apache-2.0
// One printer, one adapter, and small verbs for what happens between them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/producers/adapter_bench.h"

namespace millrace::testing {

using namespace std::chrono_literals;

using Lines = std::vector<std::string>;

class JobTable : public ::testing::Test {
 protected:
  JobTable() { bench.connect(); }

  static std::string state(const std::string& word, double total) {
    return fmt::format(R"({{"print_stats":{{"state":"{}","total_duration":{}}}}})", word, total);
  }
  // Begins a print of `file` whose row starts now.
  RowText begin(const std::string& file = "a.gcode", bool row = true) {
    bench.update(fmt::format(R"({{"print_stats":{{"state":"printing","filename":"{}","total_duration":0.1}}}})", file));
    RowText text{.start = bench.machine_now(), .filename = file, .total = 0.1};
    id = fmt::format("m.{:.0f}", text.start * 1e6);
    if (row) {
      bench.history.insert(bench.history.begin(), text.json("in_progress"));
      bench.added(text.json("in_progress"));
    }
    return text;
  }
  // Prints on up to `total` seconds of total_duration.
  void print_to(double total) {
    bench.update(fmt::format(R"({{"print_stats":{{"total_duration":{}}}}})", total), total - last_);
    last_ = total;
  }
  void end_row(RowText& row, const std::string& status, double total, bool tell = true) {
    row.total = total;
    row.end = bench.machine_now();
    bench.history.front() = row.json(status);
    if (tell) bench.finished(row.json(status));
  }
  void klipper(const std::string& state, const std::string& message) {
    bench.update(fmt::format(R"({{"webhooks":{{"state":"{}","state_message":"{}"}}}})", state, message));
  }
  // Klipper is gone, and back after two seconds with that process.
  void restart_klipper(int64_t process_id, bool tell_ready = true) {
    bench.klippy_state = "disconnected";
    bench.notify("notify_klippy_disconnected");
    bench.pass(1s);
    come_back(process_id, tell_ready);
  }
  void come_back(int64_t process_id, bool tell_ready = true) {
    bench.process_id = process_id;
    bench.klippy_state = "ready";
    bench.status["webhooks"]["state"] = R"("ready")";
    stand_by();
    if (tell_ready) bench.notify("notify_klippy_ready");
    bench.pass(1s);
  }
  void stand_by() {
    bench.status["print_stats"]["state"] = R"("standby")";
    bench.status["print_stats"]["filename"] = R"("")";
    bench.status["print_stats"]["total_duration"] = "0.0";
  }
  // The printer goes on while nobody looks.
  void unseen(const std::string& word, double total, double seconds) {
    bench.status["print_stats"]["state"] = "\"" + word + "\"";
    bench.status["print_stats"]["total_duration"] = fmt::format("{}", total);
    bench.eventtime += seconds;
  }
  std::string local(uint64_t back = 1) const { return fmt::format("m.e{}-{}", bench.epoch, bench.sequence - back); }
  Lines jobs() const { return bench.jobs(); }
  const schema::JobFinishedT& end() const { return *bench.all<schema::JobFinishedT>().back(); }

  AdapterBench bench;
  std::string id;

 private:
  double last_ = 0.1;
};

}  // namespace millrace::testing
