// SPDX-License-Identifier: Apache-2.0
// Whatever is refused to everybody else, a valid key may stop a machine; and the limits of the other classes.
#include <gtest/gtest.h>

#include "tests/support/event_fixtures.h"
#include "web/edge/access/access.h"
#include "web/edge/access/route_access.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using testing::ManualClock;
using testing::TemporaryDirectory;

Route row(std::string_view method, std::string_view pattern, RouteAccess access = {}) {
  Route route{method, pattern, "test", "", RunsOn::kLoop, false, {}, "", nullptr};
  route.access = access;
  return route;
}

class AccessStopTest : public ::testing::Test {
 protected:
  std::string make(std::vector<std::string> scopes, std::vector<std::string> machines = {}) {
    return keys.create({"key " + std::to_string(keys.keys().size()), std::move(scopes), std::move(machines)})->secret;
  }
  // 200 when the request goes on to the route.
  int ask(const Route& route, const std::string& key) {
    HttpRequest request;
    request.method = route.method;
    request.path = "/of/the/route";
    request.remote = "192.0.2.7:4711";
    if (!key.empty()) request.headers = {{"x-api-key", key}};
    const auto admission = access.admit(request, route, {{"id", "voron-2"}});
    return admission ? 200 : admission.error().status;
  }

  TemporaryDirectory directory;
  ManualClock clock;
  SystemRandom random;
  std::unique_ptr<Metrics> metrics = make_metrics();
  ApiKeys keys{directory / "keys.json", clock, random};
  Access access{{&keys, clock, random, *metrics, nullptr}, {}};
  const Route stop_one = row("POST", "/api/v1/machines/{id}/emergency_stop");
  const Route stop_all = row("POST", "/api/v1/emergency_stop");
  const Route other = row("GET", "/api/v1/site");
};

TEST_F(AccessStopTest, AnyValidKeyMayStopWhateverItsScopesAndMachines) {
  for (const std::string& key : {make({"read"}), make({"moderate"}), make({"operate"}, {"mk4"})}) {
    EXPECT_EQ(ask(stop_one, key), 200);
    EXPECT_EQ(ask(stop_all, key), 200);
  }
  EXPECT_EQ(ask(stop_one, ""), 401);
  EXPECT_EQ(ask(stop_one, "mr_wrong"), 401);
}

TEST_F(AccessStopTest, ABlockedAddressMayStop) {
  const std::string key = make({"read"});
  for (int i = 0; i < 20; ++i) ask(other, "mr_wrong");
  EXPECT_EQ(ask(other, key), 429);
  EXPECT_EQ(ask(stop_one, key), 200);
  EXPECT_EQ(ask(stop_all, key), 200);
}

TEST_F(AccessStopTest, NoLimitCountsAStop) {
  const std::string key = make({"read"});
  for (int i = 0; i < 1'000; ++i) ASSERT_EQ(ask(other, key), 200) << i;
  EXPECT_EQ(ask(other, key), 429);
  for (int i = 0; i < 5'000; ++i) ASSERT_EQ(ask(stop_one, key), 200) << i;
}

TEST_F(AccessStopTest, ARoutesClassIsCounted) {
  const std::string key = make({"operate"});
  const Route move = row("POST", "/api/v1/machines/{id}/x", {.needs = Needs::kOperate, .rate = RateClass::kMotion});
  int passed = 0;
  for (int i = 0; i < 300; ++i) passed += ask(move, key) == 200 ? 1 : 0;
  EXPECT_EQ(passed, 100);
  clock.advance(1s);
  EXPECT_EQ(ask(move, key), 200);
}

TEST_F(AccessStopTest, AChangeThatSaysNothingNeedsToAdminister) {
  const Route forgotten = row("POST", "/api/v1/anything");
  EXPECT_EQ(ask(forgotten, make({"read", "operate", "gcode", "moderate"})), 403);
  EXPECT_EQ(ask(forgotten, make({"administer"})), 200);
  EXPECT_EQ(ask(forgotten, make({"administer"}, {"voron-2"})), 403) << "nor is it about one machine";
}

}  // namespace
}  // namespace millrace
