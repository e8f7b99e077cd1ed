// SPDX-License-Identifier: Apache-2.0
// Servers that go away and come back under a mirror that runs.
#include "tests/component/mirror/mirror_fixture.h"
#include "tests/support/process.h"

namespace millrace {
namespace {

using ::testing::SizeIs;

// With a server of its own, which may be stopped.
class MirrorOutageTest : public MirrorFixture {
 protected:
  SqlServer& server() override {
    if (!own_) {
      own_.emplace(GetParam());
      own_->start();
    }
    return *own_;
  }
  double failures() { return metrics->counter("millrace_mirror_failures_total", "").value(); }
  double lag() { return metrics->gauge("millrace_mirror_lag_positions", "").value(); }
  double up() { return metrics->gauge("millrace_mirror_up", "").value(); }
  void print(int64_t start_us) {
    shop.say(started(row_id(start_us), start_us));
    fold();
  }
  bool shows(size_t jobs) {
    return testing::eventually(
        [&] {
          const auto database =
              SqlDatabase::open({.url = parse_database_url(url).value(), .password = testing::kSqlServerPassword});
          if (!database) return false;
          const auto found = (*database)->rows("SELECT id FROM print_jobs");
          return found && found->size() == jobs;
        },
        std::chrono::seconds(30));
  }

  const SystemClock system{};

 private:
  std::optional<SqlServer> own_;
};

TEST_P(MirrorOutageTest, ItGoesOnWhenTheServerIsBack) {
  print(kStart);
  auto options = options_for(url);
  options.interval = std::chrono::milliseconds(20);
  options.backoff_max = std::chrono::milliseconds(100);
  mirror =
      std::make_unique<Mirror>(options, MirrorParts{*shop.log, *views.store, nullptr, views_have(), system, *metrics});
  mirror->start();
  ASSERT_TRUE(shows(1));
  server().stop();
  ASSERT_TRUE(testing::eventually([&] { return failures() >= 2; }, std::chrono::seconds(30)));
  EXPECT_EQ(up(), 0);
  EXPECT_EQ(lag(), 0);
  print(kStart + kSecond);
  EXPECT_TRUE(testing::eventually([&] { return lag() > 0; }, std::chrono::seconds(30)));
  server().start();
  ASSERT_TRUE(shows(2));
  ASSERT_TRUE(testing::eventually([&] { return up() == 1; }));
  server().kill();  // in the middle of whatever it does
  print(kStart + 2 * kSecond);
  server().start();
  ASSERT_TRUE(shows(3));
  mirror->stop();
  EXPECT_EQ(tables(url), made_from_scratch());
}

INSTANTIATE_TEST_SUITE_P(Servers, MirrorOutageTest,
                         ::testing::Values(SqlServerKind::kMariadb, SqlServerKind::kPostgresql), name_of_kind);

class LockedMirrorTest : public MirrorFixture {};

TEST_P(LockedMirrorTest, ALockedFileIsTriedAgain) {
  shop.say(registered("one"));
  run();
  shop.say(registered("two"));
  const auto other = open(url);
  ASSERT_TRUE(other->execute("BEGIN IMMEDIATE"));
  auto options = options_for(url);
  options.timeout = std::chrono::seconds(0);
  fold();
  mirror =
      std::make_unique<Mirror>(options, MirrorParts{*shop.log, *views.store, nullptr, views_have(), clock, *metrics});
  EXPECT_EQ(mirror->run_once().error().code, Errc::kConflict);
  ASSERT_TRUE(other->execute("ROLLBACK"));
  run();
  EXPECT_THAT(rows("SELECT id FROM printers WHERE name = 'two'"), SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(File, LockedMirrorTest, ::testing::Values(SqlServerKind::kSqlite), name_of_kind);

}  // namespace
}  // namespace millrace
