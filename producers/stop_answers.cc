// SPDX-License-Identifier: Apache-2.0
#include "producers/stop_answers.h"

#include <algorithm>
#include <utility>

namespace millrace {
namespace {

StopRequest shortened(StopRequest request) {
  if (request.payload.size() > StopAnswers::kMaxPayload) request.payload.resize(StopAnswers::kMaxPayload);
  return request;
}

}  // namespace

std::vector<CommandReply> StopAnswers::asked(StopRequest request, std::string topic, std::string correlation_data,
                                             MonotonicTime now) {
  forget(now);
  request = shortened(std::move(request));
  const auto found =
      std::ranges::find_if(open_, [&](const Open& open) { return !open.asked && open.request == request; });
  Open& open = found != open_.end() ? *found : opened(std::move(request), now);
  open.asked = true;
  open.topic = std::move(topic);
  open.correlation_data = std::move(correlation_data);
  std::vector<CommandReply> answers;
  for (CommandReply& reply : std::exchange(open.untold, {})) {
    if (auto answer = addressed(open, std::move(reply))) answers.push_back(std::move(*answer));
  }
  return answers;
}

std::optional<CommandReply> StopAnswers::ended(StopRequest request, const std::string& machine, CommandReply reply,
                                               MonotonicTime now) {
  forget(now);
  request = shortened(std::move(request));
  const auto found = std::ranges::find_if(
      open_, [&](const Open& open) { return open.request == request && !open.ended.contains(machine); });
  Open& open = found != open_.end() ? *found : opened(std::move(request), now);
  open.ended.insert(machine);
  if (open.asked) return addressed(open, std::move(reply));
  open.untold.push_back(std::move(reply));
  return std::nullopt;
}

void StopAnswers::forget(MonotonicTime now) {
  while (!open_.empty() && now - open_.front().since > kKeptFor) open_.pop_front();
}

StopAnswers::Open& StopAnswers::opened(StopRequest request, MonotonicTime now) {
  if (open_.size() >= kMaxRequests) open_.pop_front();
  Open& open = open_.emplace_back();
  open.request = std::move(request);
  open.since = now;
  return open;
}

std::optional<CommandReply> StopAnswers::addressed(const Open& open, CommandReply reply) {
  if (open.topic.empty()) return std::nullopt;
  reply.response_topic = open.topic;
  reply.correlation_data = open.correlation_data;
  return reply;
}

}  // namespace millrace
