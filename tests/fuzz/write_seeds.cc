// SPDX-License-Identifier: Apache-2.0
// write_seeds FOLDER: what the fuzzers begin with, FOLDER/<fuzzer>/<number>.  Whatever was there goes.
#include <cstdio>
#include <filesystem>

#include "bus/batch.h"
#include "bus/confirmation.h"
#include "bus/event_group.h"
#include "bus/file_io.h"
#include "tests/support/event_fixtures.h"

namespace {

using namespace millrace;
using namespace millrace::testing;

bool write(const std::filesystem::path& folder, const std::vector<std::string>& seeds) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for (size_t i = 0; i < seeds.size(); ++i) {
    const auto written = write_file_durably(folder / std::to_string(i), seeds[i]);
    if (written) continue;
    std::fprintf(stderr, "%s\n", written.error().message().c_str());
    return false;
  }
  return true;
}

std::vector<Envelope> events() {
  std::vector<Envelope> all = {epoch_opened("m1", 1), fact("m1", 1, 2), telemetry("m1", 1, 3)};
  schema::EventRejectedT rejected;
  rejected.bytes = {1, 2, 3, 4};
  all.push_back(event({"m1", 1, 4}, draft_of(std::move(rejected), "m1", noon())));
  schema::JobFinishedT finished;
  finished.job_id = "m1.7";
  finished.total_duration = 7.5;
  finished.skew_ms = 1;
  auto draft = draft_of(std::move(finished), "m1", noon(), noon());
  draft.causation = EventId{"hub", 1, 1};
  all.push_back(event({"m1", 1, 5}, std::move(draft)));
  return all;
}

std::vector<std::string> batches() {
  std::vector<std::string> seeds;
  std::vector<std::string_view> bytes;
  const auto all = events();
  for (const Envelope& envelope : all) {
    seeds.emplace_back(envelope.bytes());
    bytes.push_back(envelope.bytes());
    seeds.push_back(encode_batch({"m1", {1, 1}, {1, 1}, 1}, bytes));
  }
  return seeds;
}

std::vector<std::string> groups() {
  GroupEncoder encoder;
  Sha256 digest;
  std::vector<GroupMember> members;
  std::vector<std::string> seeds;
  const auto all = events();
  for (const Envelope& envelope : all) {
    members.push_back({Position{members.size() + 1}, envelope.bytes()});
    const auto value = encoder.encode(noon(), members, digest);
    seeds.emplace_back(value.substr(0, value.size() - 8));  // the fuzzer adds the checksum
  }
  return seeds;
}

std::vector<std::string> configs() {
  return {"[site]\nname = \"a\"\ntimezone = \"UTC\"\ndemo = true\n[hub]\ndata_dir = \"d\"\ntelemetry_days = 1\n",
          "[http]\nlisten = \"[::1]:0\"\n[mqtt]\nurl = \"mqtts://a:1\"\nroot = \"a/b\"\n[outbox]\nsync = false\n",
          "[[machine]]\nid = \"a\"\nkind = \"printer\"\nmoonraker_url = \"http://a:7125\"\n[log]\nlevel = \"info\"\n"};
}

std::vector<std::string> adapter_steps() {
  const std::string row =
      R"({"job_id":"000001","filename":"a.gcode","status":"in_progress","user":"u","start_time":1795000900.5,)"
      R"("end_time":null,"total_duration":1.5,"print_duration":1.0,"filament_used":2.0,"metadata":{},"auxiliary_data":[]})";
  std::string ended = row;
  ended.replace(ended.find("in_progress"), 11, "completed");
  const auto status = [](const std::string& content) { return "nnotify_status_update " + content + ",1001.0\n"; };
  const std::string printing =
      status(R"({"print_stats":{"state":"printing","filename":"a.gcode","total_duration":1.0}})");
  return {
      printing + "nnotify_history_changed {\"action\":\"added\",\"job\":" + row + "}\nttttt\n" +
          status(R"({"print_stats":{"state":"complete","total_duration":9.0},"extruder":{"temperature":210.5}})") +
          "nnotify_history_changed {\"action\":\"finished\",\"job\":" + ended + "}\ntttttttttttt\n",
      printing + "r" + row + "\ndclosed\nttt\nc\n" + status(R"({"print_stats":{"state":"paused"}})") + "x1\nx\n",
      "nnotify_klippy_disconnected\nktttt\nkstartup\nnnotify_klippy_ready\nttttttttttt\n",
      status(
          R"({"webhooks":{"state":"shutdown","state_message":"MCU lost"},"exclude_object":{"objects":[{"name":"a"}]}})") +
          "h\nttt\nh\n",
      "f{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"status\":{\"extruder\":{\"temperature\":null}}}}\nf[]\nf{}\nf7\n"};
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const std::filesystem::path folder = arguments[1];
  const bool written =
      write(folder / "batch", batches()) && write(folder / "group", groups()) &&
      write(folder / "confirmation", {encode(Confirmation{"log-1", {1'763'700'000'000, 42}, Confirmation::Status::kOk}),
                                      encode(Confirmation{"x", {}, Confirmation::Status::kResend})}) &&
      write(folder / "topics", {"millrace\nmillrace/v1/ingest/m1"}) && write(folder / "config", configs()) &&
      write(folder / "adapter", adapter_steps());
  return written ? 0 : 1;
}
