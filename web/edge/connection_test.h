// SPDX-License-Identifier: Apache-2.0
// Tries to reach a Moonraker, step by step, and says at the first that fails what to do.  Reads only: nothing of the
// machine changes.  A read that Moonraker does not answer well although it is there is tried once more, because
// somebody waits and wants to know: that the first try failed is told.
//
// Loop's thread.  At most kDeadline.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/machine_secrets.h"
#include "net/http_exchange.h"
#include "net/io_loop.h"

namespace millrace {

struct ConnectionTestRequest {
  std::string url;  // http, https, ws or wss; checked by the caller
  std::string ca_file;
  MachineSecret secret;
  bool prints = true;  // a printer, which needs print_stats
};

struct ConnectionTestStep {
  std::string step;     // "address", "tcp", "tls", "http", "moonraker", "authorised", "klipper", "objects"
  std::string outcome;  // "ok", "failed" or "skipped"
  double duration_s = 0;
  std::string detail;
  std::string advice;  // of a failed one: what to do
};

class ConnectionTest : public std::enable_shared_from_this<ConnectionTest> {
 public:
  static constexpr std::chrono::seconds kDeadline{15};
  static constexpr std::chrono::milliseconds kPause{500};  // before the second try
  using Done = std::function<void(std::vector<ConnectionTestStep>)>;

  // Lives until `done` was called, which happens once and not from inside.
  static void start(IoLoop& loop, const Clock& clock, ConnectionTestRequest request, Done done);

  ConnectionTest(IoLoop& loop, const Clock& clock, ConnectionTestRequest request, Done done);

 private:
  using Then = std::function<void(const Result<HttpResponse>&, const HttpExchangeTrace&)>;

  void get(const std::string& path, const Then& then);
  void attempt(const std::string& path, const Then& then, bool is_first);
  void log_in();
  void ask_server();
  void on_server_info(const Result<HttpResponse>& answer, const HttpExchangeTrace& trace);
  bool on_trace(const Result<HttpResponse>& answer, const HttpExchangeTrace& trace);
  bool judge_status(const HttpResponse& response);
  void ask_why(const std::string& state);
  void ask_objects();
  void judge_objects(const std::vector<std::string_view>& names);
  void add(std::string step, bool ok, std::string detail, std::string advice = "");
  void finish();
  std::chrono::milliseconds left() const;

  const Clock& clock_;
  const ConnectionTestRequest request_;
  const std::string base_;
  Done done_;
  HttpExchange exchange_;
  LoopTimer pause_;
  std::string first_failure_;  // of the read that was tried twice, until it is told
  std::string bearer_;
  std::vector<ConnectionTestStep> steps_;
  MonotonicTime began_{};
  MonotonicTime step_began_{};
};

}  // namespace millrace
