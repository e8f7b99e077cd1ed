// SPDX-License-Identifier: Apache-2.0
// Against an HTTP server of the test's own, which answers as the hub would or as a bad day would.
#include "producers/blob_uploader.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "net/http_server.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/process.h"
#include "tests/unit/producers/sim_client.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;

// Takes blobs, unless it is told to answer otherwise.
class FakeHub final : public HttpService {
 public:
  void on_request(HttpRequest request, Responder respond) override {
    std::lock_guard lock(mutex_);
    ++requests_;
    key_ = request.header("x-api-key").value_or("");
    if (status_ == 201) held_[request.path.substr(std::string("/api/v1/blobs/").size())] = request.body;
    respond({.status = status_});
  }
  boost::system::result<WebSocketEvents, HttpResponse> on_web_socket(const HttpRequest&,
                                                                     std::shared_ptr<WebSocketPeer>) override {
    return HttpResponse{.status = 404};
  }
  void answer(int status) {
    std::lock_guard lock(mutex_);
    status_ = status;
  }
  std::string held(const std::string& name) const {
    std::lock_guard lock(mutex_);
    const auto found = held_.find(name);
    return found == held_.end() ? "" : found->second;
  }
  int requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  std::string key() const {
    std::lock_guard lock(mutex_);
    return key_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> held_;
  std::string key_;
  int requests_ = 0;
  int status_ = 201;
};

class BlobUploaderTest : public ::testing::Test {
 protected:
  BlobUploaderTest() {
    thread_.call([&] {
      server_ = std::make_unique<HttpServer>(thread_.loop(), hub_);
      ASSERT_TRUE(server_->listen("127.0.0.1", 0));
      port_ = server_->port();
    });
  }
  ~BlobUploaderTest() override {
    uploader_.reset();
    thread_.call([&] { server_.reset(); });
  }
  std::string keep(std::string_view bytes) { return uploader_->keep(bytes).value(); }
  void start(uint64_t max_waiting_bytes = 1000) {
    BlobUploadOptions options;
    options.hub_url = "http://127.0.0.1:" + std::to_string(port_) + "/";
    options.key_file = directory_ / "hub.key";
    options.directory = directory_ / "waiting";
    options.max_waiting_bytes = max_waiting_bytes;
    options.least_pause = 20ms;
    options.most_pause = 50ms;
    uploader_ = BlobUploader::start(options, clock_, *metrics_).value();
  }
  // What lies in the folder; a store of its own would tidy up behind the uploader's back.
  uint64_t waiting_bytes() const {
    uint64_t bytes = 0;
    std::error_code gone;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_ / "waiting", gone)) {
      if (is_sha256(entry.path().filename().string())) bytes += entry.file_size(gone);
    }
    return bytes;
  }

  TemporaryDirectory directory_;
  testing::LoopThread thread_;
  SystemClock clock_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  FakeHub hub_;
  std::unique_ptr<HttpServer> server_;
  uint16_t port_ = 0;
  std::unique_ptr<BlobUploader> uploader_;
};

TEST_F(BlobUploaderTest, WhatIsKeptComesToTheHubAndIsForgottenHere) {
  start();
  const std::string name = keep("a picture");
  EXPECT_EQ(name, blob_name("a picture"));
  EXPECT_TRUE(eventually([&] { return hub_.held(name) == "a picture"; }));
  EXPECT_TRUE(eventually([&] { return waiting_bytes() == 0; }));
  EXPECT_EQ(hub_.key(), "") << "there is no file of a key";
}

TEST_F(BlobUploaderTest, AHubThatIsAwayIsAskedAgain) {
  hub_.answer(503);
  start();
  const std::string name = keep("a picture");
  ASSERT_TRUE(eventually([&] { return hub_.requests() >= 3; }));
  EXPECT_EQ(waiting_bytes(), 9u);
  hub_.answer(201);
  EXPECT_TRUE(eventually([&] { return hub_.held(name) == "a picture"; }));
}

TEST_F(BlobUploaderTest, WhatWaitsSurvivesARestart) {
  hub_.answer(403);
  start();
  const std::string name = keep("a picture");
  ASSERT_TRUE(eventually([&] { return hub_.requests() >= 1; }));
  uploader_.reset();
  hub_.answer(201);
  start();
  EXPECT_TRUE(eventually([&] { return hub_.held(name) == "a picture"; }));
}

TEST_F(BlobUploaderTest, WhatTheHubWillNeverTakeDoesNotHoldUpTheRest) {
  hub_.answer(415);
  start();
  keep("no picture");
  ASSERT_TRUE(eventually([&] { return waiting_bytes() == 0; }));
  hub_.answer(201);
  const std::string name = keep("a picture");
  EXPECT_TRUE(eventually([&] { return hub_.held(name) == "a picture"; }));
}

TEST_F(BlobUploaderTest, TheKeyIsReadEachTime) {
  hub_.answer(401);
  start();
  const std::string name = keep("a picture");
  ASSERT_TRUE(eventually([&] { return hub_.requests() >= 1; }));
  std::ofstream(directory_ / "hub.key") << "key-of-the-adapters\n";
  EXPECT_TRUE(eventually([&] { return hub_.key() == "key-of-the-adapters"; }));
  hub_.answer(201);
  EXPECT_TRUE(eventually([&] { return hub_.held(name) == "a picture"; }));
}

TEST_F(BlobUploaderTest, WhatWaitsIsBounded) {
  hub_.answer(503);
  start(/*max_waiting_bytes=*/10);
  keep("0123456");
  EXPECT_EQ(uploader_->keep("89abcdef").error().code, Errc::kFull);
}

TEST_F(BlobUploaderTest, ItsEndWaitsForNobody) {
  thread_.call([&] { server_.reset(); });
  start();
  keep("a picture");
  const auto began = clock_.monotonic();
  uploader_.reset();
  EXPECT_LT(clock_.monotonic() - began, 5s);
  thread_.call([&] { server_ = std::make_unique<HttpServer>(thread_.loop(), hub_); });
}

}  // namespace
}  // namespace millrace
