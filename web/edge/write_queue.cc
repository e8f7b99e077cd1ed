// SPDX-License-Identifier: Apache-2.0
#include "web/edge/write_queue.h"

#include <fmt/format.h>

#include <utility>

#include "web/edge/problem.h"

namespace millrace {
namespace {

constexpr std::string_view kPositionHeader = "Millrace-Position";

HttpResponse overloaded() { return api_problem(503, "overloaded", "too many changes wait: try again in a second"); }

HttpResponse with_position(HttpResponse response, Position position) {
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back(kPositionHeader, std::to_string(position.value));
  return response;
}

}  // namespace

WriteQueue::WriteQueue(Parts parts, size_t max_queued, Metrics& metrics)
    : parts_(std::move(parts)),
      max_queued_(max_queued),
      writes_total_(metrics.counter("millrace_http_writes_total", "Changes recorded by way of HTTP")),
      refused_total_(metrics.counter("millrace_http_writes_overloaded_total", "Changes refused as too many")) {}

void WriteQueue::add(Request request) {
  if (waiting_.size() >= max_queued_) {
    refused_total_.add();
    return request.respond(overloaded());
  }
  waiting_.push_back(std::move(request));
  begin_next();
}

void WriteQueue::stop() {
  stopped_ = true;
  waiting_.clear();
}

void WriteQueue::begin_next() {
  if (busy_ || stopped_ || waiting_.empty()) return;
  busy_ = true;
  const bool taken = parts_.work([this, decide = waiting_.front().decide] {
    auto decision = std::make_shared<WriteDecision>(decide());
    parts_.post([this, decision] { decided(std::move(*decision)); });
  });
  if (taken) return;
  refused_total_.add();
  end(overloaded());
}

void WriteQueue::decided(WriteDecision decision) {
  if (stopped_) return;
  if (!decision) return end(decision.error());
  write_ = std::make_shared<const EdgeWrite>(std::move(*decision));
  if (write_->events.empty()) return recorded(Position{});
  if (!parts_.submit) return end(api_problem(503, "unavailable", "nothing can be recorded here"));
  parts_.submit(write_->events, [post = parts_.post, this](const Result<Position>& position) {
    post([this, position] { recorded(position); });
  });
}

void WriteQueue::recorded(const Result<Position>& position) {
  if (stopped_) return;
  if (!position) return end(api_problem_from(position.error()));
  if (!write_->events.empty()) writes_total_.add();
  parts_.when_reached(*position, [this, position = *position](bool reached) {
    if (stopped_) return;
    if (!reached) return answer_late(position);
    const bool taken = parts_.work([this, write = write_, position, answer = waiting_.front().answer] {
      auto response = std::make_shared<HttpResponse>(with_position(answer(*write), position));
      parts_.post([this, response] {
        if (!stopped_) end(std::move(*response));
      });
    });
    if (!taken) end(with_position(overloaded(), position));
  });
}

// It is recorded; only what it looks like afterwards cannot be told yet, and the next one must not be decided on views
// that lack it.
void WriteQueue::answer_late(Position position) {
  HttpResponse accepted;
  accepted.status = 202;
  accepted.body = fmt::format("{{\"position\":{}}}", position.value);
  const auto respond = std::exchange(waiting_.front().respond, nullptr);
  respond(with_position(std::move(accepted), position));
  parts_.once_reached(position, [this] {
    if (!stopped_) end({});
  });
}

void WriteQueue::end(HttpResponse response) {
  const auto respond = std::move(waiting_.front().respond);
  waiting_.pop_front();
  write_.reset();
  busy_ = false;
  if (respond) respond(std::move(response));
  begin_next();
}

}  // namespace millrace
