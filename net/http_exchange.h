// SPDX-License-Identifier: Apache-2.0
// One HTTP request on the loop, without blocking it: http and https, no redirects followed, no proxy, an answer of
// bounded size within one deadline.  Tells how far it came, for whoever explains to a person why it failed.
//
// Loop's thread only.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/clock.h"
#include "bus/result.h"
#include "net/http_types.h"
#include "net/io_loop.h"

namespace millrace {

struct HttpExchangeRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string ca_file;                        // PEM; empty: the system's authorities
  std::chrono::milliseconds timeout{10'000};  // for all of it
  size_t max_body_bytes = 1u << 20;
};

// The steps of an exchange in their order.  One that was not reached, or not needed, is kSkipped.
struct HttpExchangeTrace {
  enum class Outcome { kSkipped, kOk, kFailed };
  struct Step {
    Outcome outcome = Outcome::kSkipped;
    std::chrono::microseconds took{0};
    std::string detail;  // "192.168.1.20", "TLSv1.3", "200", or what went wrong; never the URL's query
  };
  enum Index { kResolve, kConnect, kTls, kAnswer };
  std::array<Step, 4> steps;
};

class HttpExchange {
 public:
  // kInvalidArgument for a URL, header or certificate file that cannot be used, kUnavailable, kTimeout, kMalformed,
  // kTooLarge.  Any status is a value.
  using Done = std::function<void(Result<HttpResponse>, const HttpExchangeTrace&)>;

  // `clock` measures the steps; both outlive it.
  HttpExchange(IoLoop& loop, const Clock& clock);
  ~HttpExchange();  // cancels
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  // Cancels the one under way.  `done` is called once, later, unless cancelled before.
  void start(HttpExchangeRequest request, Done done);
  void cancel();

 private:
  class Run;
  IoLoop& loop_;
  const Clock& clock_;
  std::shared_ptr<Run> run_;
};

}  // namespace millrace
