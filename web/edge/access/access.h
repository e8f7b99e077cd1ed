// SPDX-License-Identifier: Apache-2.0
// The door of the edge: who asks, whether they may, and how often.  docs/security.md says what it keeps out.
//
// Without any key in the file this computer's user is let in as "local" with every scope, and nobody else; as soon as
// there is a key, everybody needs one.  A request that came by way of a proxy is nobody's at this computer.
//
// Loop's thread, except where said.  Nothing here waits for a disk but load() and tend().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bus/api_keys.h"
#include "bus/clock.h"
#include "bus/metrics.h"
#include "bus/random.h"
#include "net/http_server.h"
#include "net/http_types.h"
#include "web/edge/access/access_options.h"
#include "web/edge/access/address_block.h"
#include "web/edge/access/caller.h"
#include "web/edge/access/denial_record.h"
#include "web/edge/access/familiar_keys.h"
#include "web/edge/access/rate_limits.h"
#include "web/edge/access/session_book.h"
#include "web/edge/access/socket_tokens.h"
#include "web/edge/edge.h"

namespace millrace {

struct Route;

class Access {
 public:
  struct Parts {    // each outlives this
    ApiKeys* keys;  // null: there are none and never will be
    const Clock& clock;
    Random& random;
    Metrics& metrics;
    SubmitEvents submit;  // empty: nothing is recorded
  };
  struct Admitted {
    Caller caller;
    std::vector<std::pair<std::string, std::string>> headers;  // of the answer
  };
  using Admission = boost::system::result<Admitted, HttpResponse>;

  Access(Parts parts, AccessOptions options);

  // Before the loop runs.  What is wrong with the files of keys or sessions.
  Result<void> load();
  // Reads and writes these files where they have changed; on a thread that may wait for a disk, about once a second.
  Result<void> tend();

  // Whether the request may go on to the route; a job's machine is left to admit_job().
  Admission admit(const HttpRequest& request, const Route& route, const std::map<std::string, std::string>& path);
  // For a WebSocket, which counts until socket_closed().
  Admission admit_socket(const HttpRequest& request, const Route& route);
  void socket_opened(const Caller& caller, const std::shared_ptr<WebSocketPeer>& peer, uint64_t id);
  void socket_closed(uint64_t id);
  // Closes the sockets of those who may no longer come in.
  void look_at_sockets();

  // 403 when the machine is not one of the caller's; any thread.  record_denial() then counts and records it.
  static std::optional<HttpResponse> refuse_machine(const Caller& caller, std::string_view machine);
  // Of a change that was let in and cannot be made: that its machine is not there, or its body too large.
  static bool is_worth_recording(const HttpResponse& answer);
  void record_denial(const HttpRequest& request, const Caller& caller, const HttpResponse& refusal);

  // Whether nobody has made a key yet.
  bool is_open() const { return parts_.keys == nullptr || parts_.keys->empty(); }

  // The routes of sessions.
  HttpResponse open_session(const HttpRequest& request);
  HttpResponse show_session(const Caller& caller) const;
  HttpResponse close_session(const HttpRequest& request, const Caller& caller);
  HttpResponse make_socket_token(const Caller& caller);
  RateLimits::Standing standing_of(const Caller& caller) { return limits_.look(caller); }

 private:
  struct Socket {
    Caller caller;
    std::weak_ptr<WebSocketPeer> peer;
  };
  using Who = boost::system::result<Admitted, HttpResponse>;

  Who authenticate(const HttpRequest& request, bool never_blocked);
  Who by_key(const HttpRequest& request, const std::string& address, const std::string& secret, bool never_blocked);
  std::optional<Who> by_session(const HttpRequest& request, const std::string& address);
  Who by_token(const HttpRequest& request, const std::string& token);
  Caller caller_of(const ApiKey& key, Caller::How how, const std::string& address) const;
  bool still_good(const Caller& caller) const;
  HttpResponse challenge(std::string_view code, std::string_view detail) const;
  HttpResponse blocked(std::chrono::seconds wait) const;
  std::optional<HttpResponse> refuse_scope(const Caller& caller, const Route& route) const;
  std::optional<HttpResponse> refuse_concerns(const HttpRequest& request, const Caller& caller, const Route& route,
                                              const std::map<std::string, std::string>& path) const;
  Admission pass(const HttpRequest& request, const Route& route, const std::map<std::string, std::string>& path,
                 Who who);
  std::optional<HttpResponse> count(const Route& route, Admitted& admitted);
  HttpResponse denied(const HttpRequest& request, const Caller& caller, HttpResponse refusal);
  void end_session(const Session& session, std::string_view reason);
  void record(EventDraft draft);

  const Parts parts_;
  const AccessOptions options_;
  SessionBook sessions_;
  SocketTokens tokens_;
  RateLimits limits_;
  AddressBlock block_;
  FamiliarKeys familiar_;
  DenialRecord denials_;
  std::map<std::string, Session> ended_;  // sessions whose end was told
  std::map<uint64_t, Socket> sockets_;
  std::string file_trouble_;  // tend()'s: said once
};

}  // namespace millrace
