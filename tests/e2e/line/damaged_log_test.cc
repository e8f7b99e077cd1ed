// SPDX-License-Identifier: Apache-2.0
// A hub on a log that was damaged while it was down: it says what is wrong and what helps, and the repaired log serves.
#include <gtest/gtest.h>

#include "bus/file_io.h"
#include "net/http_client.h"
#include "tests/support/log_folder.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

struct Injury {
  const char* name;
  const char* files;
  Damage kind;
};

void PrintTo(const Injury& injury, std::ostream* out) { *out << injury.name; }

class DamagedLogTest : public ::testing::TestWithParam<Injury> {
 protected:
  DamagedLogTest() {
    shop_.add_machine("m", 9);  // nobody is there
    write_log(log());
  }
  std::filesystem::path log() const { return shop_.data() / "log"; }

  // What `log verify --json` writes to stdout alone.
  json verdict() const {
    const auto file = shop_.data() / "verdict.json";
    const std::string command = Shop::program() + " log verify --json --data " + shop_.data().string();
    ChildProcess::start({"/bin/sh", "-c", command + " 2>/dev/null"}, file).value().wait();
    return json::parse(read_file(file).value(), nullptr, false);
  }

  // Ready, in time to the exit, or neither: what the hub came to, and its words.
  enum class Came { kReady, kUnready, kExit };
  Came start() {
    shop_.start_hub();
    Came came = Came::kUnready;
    eventually(
        [&] {
          if (!shop_.hub->running()) came = Came::kExit;
          if (shop_.status_of("/health/ready") == 200) came = Came::kReady;
          return came != Came::kUnready;
        },
        std::chrono::seconds(10));
    return came;
  }
  std::string health() const {
    const auto answer =
        http_request({.method = "GET", .url = "http://127.0.0.1:" + std::to_string(shop_.http_port) + "/health/ready"});
    return answer ? answer->body : "";
  }

  Shop shop_;
};

TEST_P(DamagedLogTest, IsNamedWithWhatHelpsAndServesAfterItsRepair) {
  shop_.broker.start();
  const auto files = files_of(log(), GetParam().files);
  ASSERT_FALSE(files.empty());
  SCOPED_TRACE(damage(files.front(), GetParam().kind, 1));
  const Came came = start();
  const std::string said = shop_.output() + health();
  ASSERT_NE(came, Came::kReady) << said;
  EXPECT_NE(said.find(GetParam().kind == Damage::kFlip ? "" : files.front().filename().string()), std::string::npos)
      << said;
  EXPECT_NE(said.find("log repair"), std::string::npos) << said;
  shop_.hub.reset();

  EXPECT_EQ(verdict().value("whole", true), false) << "one JSON object and nothing else";
  if (GetParam().kind != Damage::kFlip) {  // a byte may be one that nobody reads
    for (const char* reader : {"cat", "info", "anchor"}) {
      const auto read = shop_.run({"log", reader, "--data", shop_.data().string()});
      EXPECT_EQ(read.code, 1) << reader << " shows less and says nothing: " << read.output;
      EXPECT_NE(read.output.find("log repair"), std::string::npos) << read.output;
    }
  }
  const auto repaired = shop_.data() / "repaired";
  const auto ran = shop_.run({"log", "repair", "--data", shop_.data().string(), "--to", repaired.string()});
  EXPECT_EQ(ran.code, 0) << ran.output;
  std::filesystem::rename(log(), shop_.data() / "log.damaged");
  std::filesystem::rename(repaired / "log", log());
  EXPECT_EQ(start(), Came::kReady) << shop_.output() << health();
}

INSTANTIATE_TEST_SUITE_P(Each, DamagedLogTest,
                         ::testing::Values(Injury{"ManifestFlip", "MANIFEST", Damage::kFlip},
                                           Injury{"CurrentRemoved", "CURRENT", Damage::kRemove},
                                           Injury{"SortedFileRemoved", ".sst", Damage::kRemove},
                                           Injury{"SortedFileCut", ".sst", Damage::kTruncate},
                                           Injury{"SortedFileFlip", ".sst", Damage::kFlip},
                                           Injury{"WriteAheadFlip", ".log", Damage::kFlip}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace millrace
