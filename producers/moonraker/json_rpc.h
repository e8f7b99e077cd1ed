// SPDX-License-Identifier: Apache-2.0
// The request side of JSON-RPC 2.0 over one connection: numbers requests, keeps what to do with each answer, and gives
// up on answers that do not come.  One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "bus/clock.h"
#include "bus/json_reader.h"

namespace millrace {

struct RpcReply {
  enum class Kind { kResult, kError, kTimeout };
  Kind kind = Kind::kTimeout;
  std::optional<Json> result;  // of kResult; valid during the callback only
  int64_t code = 0;            // of kError
  std::string message;         // of kError
  bool ok() const { return kind == Kind::kResult; }
};

// No answer, or an error of Moonraker's own: another time it may go.  Klipper that is away, or a request that makes no
// sense, is an answer.
bool moonraker_failed(const RpcReply& reply);

class JsonRpc {
 public:
  static constexpr size_t kMaxInFlight = 64;
  using Callback = std::function<void(const RpcReply&)>;

  explicit JsonRpc(const Clock& clock) : clock_(clock) {}

  // The frame to send; its answer, or the lack of one after `timeout`, goes to `callback`.  `params` is JSON or empty.
  // nullopt when kMaxInFlight answers are outstanding; the callback is then dropped.
  std::optional<std::string> request(std::string_view method, std::string_view params,
                                     std::chrono::milliseconds timeout, Callback callback);

  // Takes a frame with an "id".  False when nothing waits for it (an answer after its timeout, or nonsense).
  bool on_response(const Json& frame);
  // Whether the "id" of `frame` is that of any request so far.
  bool was_asked(const Json& frame) const;

  // Takes a frame that is no JSON.  If it ends as an answer to one of the requests does, that request has failed.
  void on_unreadable(std::string_view frame);

  std::optional<MonotonicTime> next_deadline() const;
  // Calls back each request whose time is over.
  void expire();
  // Forgets all of them without calling back: the connection is gone.
  void clear() { waiting_.clear(); }

 private:
  struct Waiting {
    MonotonicTime deadline;
    Callback callback;
  };
  std::optional<Callback> take(std::optional<int64_t> id);

  const Clock& clock_;
  int64_t last_id_ = 0;  // never reused, so that an answer of an older connection finds nobody
  std::map<int64_t, Waiting> waiting_;
};

}  // namespace millrace
