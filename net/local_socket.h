// SPDX-License-Identifier: Apache-2.0
// One-line requests between programs of one user on one computer, over a Unix domain socket.  Each connection carries
// one request and one answer, each a line.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "bus/result.h"

namespace millrace {

struct LocalServerOptions {
  size_t max_request_bytes = 64u << 10;
  size_t max_connections = 8;                        // at once; one more is closed without an answer
  std::chrono::milliseconds request_timeout{5'000};  // for the line to arrive, and for the answer to be taken
};

class LocalServer {
 public:
  // Answers a request, both without the newline.  Runs on a thread of the connection's own, so it may take its time;
  // several may run at once.
  using Answer = std::function<std::string(std::string_view request)>;

  // Makes `path` (mode 0600), in place of what a dead process left there.  kIo.
  static Result<std::unique_ptr<LocalServer>> listen(const std::filesystem::path& path, Answer answer,
                                                     const LocalServerOptions& options = {});
  virtual ~LocalServer() = default;  // takes no more, waits for the answers under way, removes `path`
};

// Sends `request` and waits for the answer, for ever with a negative timeout.  kUnavailable when nobody listens there;
// kTimeout; kIo when the server hangs up without an answer.
Result<std::string> ask_locally(const std::filesystem::path& path, std::string_view request,
                                std::chrono::milliseconds timeout);

}  // namespace millrace
