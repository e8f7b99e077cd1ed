// SPDX-License-Identifier: Apache-2.0
// Recorded HTTP responses, found by method, path and query; the body decides between several.  Repeats are served in
// the order in which they were recorded, the last one for ever.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "net/http_types.h"
#include "producers/replay/recording.h"

namespace millrace {

class ReplayWeb {
 public:
  explicit ReplayWeb(const std::vector<RecordedExchange>& exchanges);
  // nullopt when nothing like it was recorded.
  std::optional<HttpResponse> answer(const HttpRequest& request);

 private:
  struct Recorded {
    RecordedExchange exchange;
    bool used = false;
  };
  std::map<std::string, std::vector<Recorded>> by_target_;
};

}  // namespace millrace
