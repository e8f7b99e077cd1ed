// SPDX-License-Identifier: Apache-2.0
#include "producers/replay/web.h"

#include <algorithm>

#include "net/url.h"

namespace millrace {
namespace {

std::string key_of(const HttpRequest& request) {
  std::string key = request.method + "\n" + request.path;
  for (const auto& [name, value] : request.query) key.append("\n").append(name).append("=").append(value);
  return key;
}

}  // namespace

ReplayWeb::ReplayWeb(const std::vector<RecordedExchange>& exchanges) {
  for (const RecordedExchange& exchange : exchanges) {
    HttpRequest request;
    request.method = exchange.method;
    auto target = parse_request_target(exchange.target);
    if (!target) continue;  // the server would refuse such a request before it came here
    request.path = std::move(target->path);
    request.query = std::move(target->query);
    by_target_[key_of(request)].push_back({exchange, false});
  }
}

std::optional<HttpResponse> ReplayWeb::answer(const HttpRequest& request) {
  const auto found = by_target_.find(key_of(request));
  if (found == by_target_.end()) return std::nullopt;
  auto& recorded = found->second;
  const auto unused = [](const Recorded& one) { return !one.used; };
  const auto same_body = [&](const Recorded& one) { return one.exchange.body == request.body; };
  auto chosen = std::find_if(recorded.begin(), recorded.end(),
                             [&](const Recorded& one) { return unused(one) && same_body(one); });
  if (chosen == recorded.end()) {
    const auto last = std::find_if(recorded.rbegin(), recorded.rend(), same_body);
    chosen = last == recorded.rend() ? std::find_if(recorded.begin(), recorded.end(), unused) : std::prev(last.base());
  }
  if (chosen == recorded.end()) chosen = std::prev(recorded.end());
  chosen->used = true;
  HttpResponse response;
  response.status = chosen->exchange.status;
  response.content_type = chosen->exchange.content_type;
  response.body = chosen->exchange.response_body;
  return response;
}

}  // namespace millrace
