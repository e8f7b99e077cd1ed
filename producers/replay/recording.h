// SPDX-License-Identifier: Apache-2.0
// A recorded session with a Moonraker, read from its JSON Lines file: the frames of a WebSocket with what happened to
// the connection, or HTTP requests with their responses.  The format is described in docs/simulator.md.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bus/result.h"

namespace millrace {

struct RecordedFrame {
  enum class Kind { kSent, kReceived, kConnected, kConnectFailed, kClosed };
  double t = 0;  // seconds since the start of the recording
  Kind kind = Kind::kReceived;
  std::string text;  // of kSent and kReceived, byte for byte; of kClosed the reason
  int code = 0;      // of kClosed; 0: no closing handshake
};

struct RecordedExchange {
  std::string method;
  std::string target;  // path and query, still encoded
  std::string body;
  int status = 0;
  std::string content_type;
  std::string response_body;
};

struct Recording {
  static constexpr size_t kMaxBytes = 512u << 20;

  std::string name;
  double wall = 0;  // Unix time at t = 0
  double end = 0;   // t of the last line
  std::vector<RecordedFrame> frames;
  std::vector<RecordedExchange> exchanges;  // those that got an answer
};

// kMalformed names the line.  A torn last line is left out, as a recorder that was killed leaves one.
Result<Recording> parse_recording(std::string_view text);
// kNotFound, kTooLarge, kIo besides.
Result<Recording> read_recording(const std::filesystem::path& path);

}  // namespace millrace
