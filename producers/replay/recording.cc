// SPDX-License-Identifier: Apache-2.0
#include "producers/replay/recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "bus/json_reader.h"
#include "bus/logging.h"
#include "producers/replay/slices.h"

namespace millrace {
namespace {

constexpr size_t kMaxLineBytes = 16u << 20;

std::string_view slice_of(std::string_view object, std::string_view name) {
  for (const JsonSlice& slice : object_slices(object)) {
    if (slice.key == name) return slice.value;
  }
  return {};
}

void take_meta(Recording& recording, double t, const Json& line) {
  const auto meta = member(line, "msg");
  if (!meta) return;
  const std::string_view event = text_member(*meta, "event").value_or("");
  RecordedFrame frame;
  frame.t = t;
  if (event == "recording_start") {
    recording.name = text_member(*meta, "name").value_or("");
    recording.wall = number_member(*meta, "wall").value_or(0);
    return;
  }
  if (event == "connected") {
    frame.kind = RecordedFrame::Kind::kConnected;
  } else if (event == "connect_failed") {
    frame.kind = RecordedFrame::Kind::kConnectFailed;
  } else if (event == "closed") {
    frame.kind = RecordedFrame::Kind::kClosed;
    frame.code = static_cast<int>(std::clamp<int64_t>(integer_member(*meta, "code").value_or(0), 0, 4999));
    frame.text = text_member(*meta, "reason").value_or("");
  } else {
    return;
  }
  recording.frames.push_back(std::move(frame));
}

void take_frame(Recording& recording, double t, std::string_view dir, const Json& line, std::string_view text) {
  RecordedFrame frame;
  frame.t = t;
  frame.kind = dir == "tx" ? RecordedFrame::Kind::kSent : RecordedFrame::Kind::kReceived;
  const auto message = member(line, "msg");
  if (!message) return;
  const auto raw = text_member(*message, "_raw_text");
  frame.text = raw ? std::string(*raw) : std::string(slice_of(text, "msg"));
  recording.frames.push_back(std::move(frame));
}

void take_exchange(Recording& recording, const Json& line, std::string_view text) {
  const auto request = member(line, "request");
  const auto response = member(line, "response");
  if (!request || !response) return;
  const auto status = integer_member(*response, "status");
  // An exchange that ended in an exception, or in a WebSocket, has nothing that could be served.
  if (!status || *status < 200 || *status > 599) return;
  RecordedExchange exchange;
  exchange.method = text_member(*request, "method").value_or("");
  exchange.target = text_member(*request, "path").value_or("");
  exchange.body = text_member(*request, "body").value_or("");
  exchange.status = static_cast<int>(*status);
  exchange.content_type = "application/json; charset=UTF-8";
  if (const auto headers = member(*response, "headers"); headers && headers->is_array()) {
    for (const Json pair : simdjson::dom::array(*headers)) {
      std::string_view name, value;
      if (pair.at(0).get(name) || pair.at(1).get(value)) continue;
      if (name == "Content-Type" || name == "content-type") exchange.content_type = value;
    }
  }
  const std::string_view response_text = slice_of(text, "response");
  const std::string_view json = slice_of(response_text, "json");
  exchange.response_body =
      json.empty() || json == "null" ? std::string(text_member(*response, "text").value_or("")) : std::string(json);
  recording.exchanges.push_back(std::move(exchange));
}

bool take_line(Recording& recording, JsonReader& reader, std::string_view text) {
  const auto line = reader.parse(text);
  if (!line) return false;
  const auto t = number_member(*line, "t");
  if (!t || !(*t >= 0)) return false;
  recording.end = std::max(recording.end, number_member(*line, "t_end").value_or(*t));
  const std::string_view dir = text_member(*line, "dir").value_or("");
  if (dir == "meta") {
    take_meta(recording, *t, *line);
  } else if (dir == "tx" || dir == "rx") {
    take_frame(recording, *t, dir, *line, text);
  } else if (member(*line, "request")) {
    take_exchange(recording, *line, text);
  } else if (text_member(*line, "event").value_or("") == "recording_start") {
    recording.name = text_member(*line, "name").value_or("");
    recording.wall = number_member(*line, "wall").value_or(0);
  }
  return true;
}

}  // namespace

Result<Recording> parse_recording(std::string_view text) {
  Recording recording;
  JsonReader reader(kMaxLineBytes);
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line == "\r" || take_line(recording, reader, line)) continue;
    if (end != std::string_view::npos) {
      return make_error(Errc::kMalformed, fmt::format("recording, line {}: not a JSON object with a time t", number));
    }
    log_warn("replay", "the last line, {}, is torn and left out", number);
  }
  if (recording.frames.empty() && recording.exchanges.empty()) {
    return make_error(Errc::kMalformed, "recording: it holds neither frames nor HTTP exchanges");
  }
  std::stable_sort(recording.frames.begin(), recording.frames.end(),
                   [](const RecordedFrame& a, const RecordedFrame& b) { return a.t < b.t; });
  return recording;
}

Result<Recording> read_recording(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return make_error(Errc::kNotFound, fmt::format("recording {}: {}", path.string(), error.message()));
  if (size > Recording::kMaxBytes) {
    return make_error(Errc::kTooLarge, fmt::format("recording {}: {} bytes, at most {} are read", path.string(), size,
                                                   Recording::kMaxBytes));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) {
    return make_error(Errc::kIo, fmt::format("recording {}: cannot be read", path.string()));
  }
  auto recording = parse_recording(text);
  if (!recording)
    return make_error(recording.error().code, fmt::format("{}: {}", path.string(), recording.error().context));
  return recording;
}

}  // namespace millrace
