// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/json_rpc.h"

#include <algorithm>
#include <charconv>

#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr int64_t kServerError = 500;
constexpr int64_t kServiceUnavailable = 503;

RpcReply reply_of(const Json& frame) {
  RpcReply reply;
  if (const auto error = member(frame, "error")) {
    reply.kind = RpcReply::Kind::kError;
    reply.code = integer_member(*error, "code").value_or(0);
    reply.message = std::string(text_member(*error, "message").value_or("no message"));
    return reply;
  }
  reply.kind = RpcReply::Kind::kResult;
  reply.result = member(frame, "result");
  return reply;
}

// Moonraker writes the id behind the result: ..."id":5}
std::optional<int64_t> id_at_the_end(std::string_view frame) {
  constexpr std::string_view kKey = "\"id\":";
  const size_t at = frame.rfind(kKey);
  if (at == std::string_view::npos) return std::nullopt;
  frame.remove_prefix(std::min(frame.find_first_not_of(' ', at + kKey.size()), frame.size()));
  int64_t id = 0;
  const auto [end, error] = std::from_chars(frame.data(), frame.data() + frame.size(), id);
  const std::string_view rest(end, static_cast<size_t>(frame.data() + frame.size() - end));
  return error == std::errc() && rest == "}" ? std::optional(id) : std::nullopt;
}

}  // namespace

bool moonraker_failed(const RpcReply& reply) {
  if (reply.kind != RpcReply::Kind::kError) return reply.kind == RpcReply::Kind::kTimeout;
  if (reply.code == kServiceUnavailable && reply.message.find("Klippy") != std::string::npos) return false;
  return reply.code >= kServerError;
}

std::optional<std::string> JsonRpc::request(std::string_view method, std::string_view params,
                                            std::chrono::milliseconds timeout, Callback callback) {
  if (waiting_.size() >= kMaxInFlight) return std::nullopt;
  const int64_t id = ++last_id_;
  JsonWriter json;
  json.object().field("jsonrpc", "2.0").field("method", method);
  if (!params.empty()) json.key("params").raw(params);
  json.field("id", id).end();
  waiting_.emplace(id, Waiting{clock_.monotonic() + timeout, std::move(callback)});
  return json.take();
}

std::optional<JsonRpc::Callback> JsonRpc::take(std::optional<int64_t> id) {
  const auto found = id ? waiting_.find(*id) : waiting_.end();
  if (found == waiting_.end()) return std::nullopt;
  Callback callback = std::move(found->second.callback);
  waiting_.erase(found);
  return callback;
}

bool JsonRpc::on_response(const Json& frame) {
  const auto callback = take(integer_member(frame, "id"));
  if (callback) (*callback)(reply_of(frame));
  return callback.has_value();
}

void JsonRpc::on_unreadable(std::string_view frame) {
  const auto callback = take(id_at_the_end(frame));
  if (!callback) return;
  RpcReply reply;
  reply.kind = RpcReply::Kind::kError;
  reply.message = "an answer that is no JSON";
  (*callback)(reply);
}

bool JsonRpc::was_asked(const Json& frame) const {
  const auto id = integer_member(frame, "id");
  return id && *id > 0 && *id <= last_id_;
}

std::optional<MonotonicTime> JsonRpc::next_deadline() const {
  std::optional<MonotonicTime> first;
  for (const auto& [id, waiting] : waiting_) {
    if (!first || waiting.deadline < *first) first = waiting.deadline;
  }
  return first;
}

void JsonRpc::expire() {
  const MonotonicTime now = clock_.monotonic();
  for (;;) {
    const auto late = std::ranges::find_if(waiting_, [&](const auto& entry) { return entry.second.deadline <= now; });
    if (late == waiting_.end()) return;
    const Callback callback = std::move(late->second.callback);
    waiting_.erase(late);
    callback(RpcReply{});  // may clear or add
  }
}

}  // namespace millrace
