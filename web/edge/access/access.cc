// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/access.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/events.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "bus/logging.h"
#include "web/edge/access/credentials.h"
#include "web/edge/access/route_access.h"
#include "web/edge/body_reader.h"
#include "web/edge/problem.h"
#include "web/edge/query.h"
#include "web/edge/routes.h"
#include "web/edge/security.h"

namespace millrace {
namespace {

constexpr std::string_view kChallenge = R"(ApiKey realm="millrace", Bearer realm="millrace")";
constexpr uint16_t kPolicyViolation = 1008;  // RFC 6455 7.4.1
constexpr int kNotFound = 404;
constexpr int kTooLarge = 413;
constexpr size_t kMaxEndedTold = 1'024;
constexpr size_t kMaxShownPath = 200;

std::optional<Scope> scope_of(Needs needs) {
  switch (needs) {
    case Needs::kRead:
      return Scope::kRead;
    case Needs::kOperate:
      return Scope::kOperate;
    case Needs::kGcode:
      return Scope::kGcode;
    case Needs::kModerate:
      return Scope::kModerate;
    case Needs::kAdminister:
      return Scope::kAdminister;
    default:
      return std::nullopt;
  }
}

// A name that this program does not know gives nothing.
ScopeSet scopes_named(const std::vector<std::string>& names) {
  ScopeSet scopes;
  for (const std::string& name : names) {
    if (const auto scope = scope_from(name)) scopes.add(*scope);
  }
  return scopes;
}

std::string_view name_of(Caller::How how) {
  switch (how) {
    case Caller::How::kLocal:
      return "local";
    case Caller::How::kKey:
      return "key";
    case Caller::How::kSession:
      return "session";
    case Caller::How::kToken:
      return "token";
    default:
      return "nobody";
  }
}

void write_caller(JsonWriter& json, const Caller& caller) {
  json.object().field("how", name_of(caller.how)).field("actor", caller.actor);
  json.text_or_null("key_id", caller.key_id).key("scopes").array();
  for (const std::string& scope : names_of(caller.scopes)) json.value(scope);
  json.end().key("machines");
  if (caller.of_all_machines()) {
    json.null();
  } else {
    json.array();
    for (const std::string& machine : caller.machines) json.value(machine);
    json.end();
  }
  json.end();
}

HttpResponse no_store(HttpResponse response) {
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

HttpResponse session_answer(const Caller& caller) {
  JsonWriter json;
  write_caller(json, caller);
  HttpResponse response;
  response.body = json.take();
  return no_store(std::move(response));
}

std::string code_in(const HttpResponse& refusal) {
  JsonReader reader;
  const auto json = reader.parse(refusal.body);
  return std::string(json ? text_member(*json, "code").value_or("") : "");
}

std::string detail_in(const HttpResponse& refusal) {
  JsonReader reader;
  const auto json = reader.parse(refusal.body);
  return std::string(json ? text_member(*json, "detail").value_or("") : "");
}

bool changes_something(const HttpRequest& request) {
  return request.method != "GET" && request.method != "HEAD" && request.method != "OPTIONS";
}

// A page of another site in a browser that is let in by itself: by its cookie, or by being on this computer.
std::optional<HttpResponse> refuse_foreign_page(const HttpRequest& request, const Caller& caller) {
  if (auto refused = refuse_origin(request)) return refused;
  const auto site = request.header("sec-fetch-site");
  const bool foreign = site && *site != "same-origin" && *site != "none";
  const bool unproven = caller.how == Caller::How::kSession && !is_proven_same_origin(request);
  if (!foreign && !unproven) return std::nullopt;
  return api_problem(403, "origin_required",
                     "a change by a browser's session has to come from a page of this very host: expected the header "
                     "Sec-Fetch-Site: same-origin, or Origin with this host");
}

void add_rate_headers(std::vector<std::pair<std::string, std::string>>& headers, const RateLimits::Standing& standing) {
  headers.emplace_back("X-RateLimit-Limit", std::to_string(standing.limit));
  headers.emplace_back("X-RateLimit-Remaining", std::to_string(standing.remaining));
  headers.emplace_back("X-RateLimit-Reset", std::to_string(standing.full_in.count()));
}

}  // namespace

Access::Access(Parts parts, AccessOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      sessions_(options_.sessions_file, options_.sessions, parts_.clock, parts_.random),
      tokens_(parts_.clock, parts_.random),
      limits_(options_.limits, parts_.clock),
      block_(options_.block, parts_.clock),
      familiar_(parts_.clock),
      denials_(parts_.clock) {}

Result<void> Access::load() {
  if (parts_.keys == nullptr) return {};
  if (auto loaded = parts_.keys->refresh(); !loaded) return loaded;
  return sessions_.load();
}

Result<void> Access::tend() {
  if (parts_.keys == nullptr) return {};
  for (const auto& step : {parts_.keys->refresh(), parts_.keys->save_uses(), sessions_.save()}) {
    if (!step) return step;
  }
  return {};
}

// --- who asks

HttpResponse Access::challenge(std::string_view code, std::string_view detail) const {
  HttpResponse response = api_problem(401, code, detail);
  response.headers.emplace_back("WWW-Authenticate", kChallenge);
  return response;
}

HttpResponse Access::blocked(std::chrono::seconds wait) const {
  HttpResponse response = api_problem(
      429, "address_blocked",
      fmt::format("too many wrong keys came from this address: the next one is looked at in {} s", wait.count()));
  response.headers.emplace_back("Retry-After", std::to_string(wait.count()));
  return response;
}

Caller Access::caller_of(const ApiKey& key, Caller::How how, const std::string& address) const {
  Caller caller;
  caller.how = how;
  caller.actor = key.name;
  caller.key_id = key.id;
  caller.generation = key.generation;
  caller.requests_per_minute = key.requests_per_minute;
  caller.scopes = scopes_named(key.scopes);
  caller.machines = key.machines;
  caller.address = address;
  return caller;
}

Access::Who Access::authenticate(const HttpRequest& request, bool never_blocked) {
  const std::string address = address_of(request.remote);
  const bool here = is_this_computer(address) && !is_forwarded(request);
  if (is_open() && here) {
    Caller local;
    local.how = Caller::How::kLocal;
    local.actor = kLocalActor;
    local.scopes = ScopeSet::all();
    local.address = address;
    return Admitted{std::move(local), {}};
  }
  if (const std::string secret = key_in(request); !secret.empty() && parts_.keys != nullptr) {
    return by_key(request, address, secret, never_blocked);
  }
  if (auto session = by_session(request, address)) return std::move(*session);
  return challenge("key_missing", is_open() ? "only this computer itself is let in without a key, and there is no key "
                                              "yet: make one with `millrace keys create`"
                                            : "expected the header X-API-Key, Authorization: Bearer, or a session "
                                              "opened by POST /api/v1/session");
}

Access::Who Access::by_key(const HttpRequest&, const std::string& address, const std::string& secret,
                           bool never_blocked) {
  const ApiKeys::Found found = parts_.keys->verify(secret);
  const bool good = found.verdict == ApiKeys::Verdict::kGood;
  const bool may_try = never_blocked || (good && familiar_.knows(address, found.key));
  const auto wait = block_.blocked_for(address);
  if (wait.count() > 0 && !may_try) return blocked(wait);
  switch (found.verdict) {
    case ApiKeys::Verdict::kGood:
      // Else a page that asks each second would undo what somebody guesses behind the same address, and a stop let its
      // key in for everything.
      if (wait.count() == 0 && familiar_.note(address, found.key)) block_.succeeded(address);
      return Admitted{caller_of(found.key, Caller::How::kKey, address), {}};
    case ApiKeys::Verdict::kExpired:
      return challenge("key_expired",
                       fmt::format("key '{}' expired at {}", found.key.name, to_rfc3339(found.key.expires_at)));
    case ApiKeys::Verdict::kInactive:
      return challenge("key_invalid", fmt::format("key '{}' is switched off", found.key.name));
    default:
      break;
  }
  block_.failed(address);
  const std::string shown = looks_like_api_key(secret) ? secret.substr(0, kApiKeyPrefix) + "..." : "of another form";
  return challenge("key_invalid", fmt::format("no key is {}: it may have been revoked or rotated", shown));
}

// nullopt: no cookie of ours.
std::optional<Access::Who> Access::by_session(const HttpRequest& request, const std::string& address) {
  if (parts_.keys == nullptr) return std::nullopt;
  std::optional<Who> refusal;
  for (const std::string& cookie : session_cookies_in(request, options_.tls)) {
    auto [verdict, session] = sessions_.check(cookie);
    if (verdict == SessionBook::Verdict::kForged) continue;
    const auto key = parts_.keys->find(session.key_id);
    const WallTime now = parts_.clock.wall();
    const bool key_good = key && key->active && key->generation == session.generation &&
                          (key->expires_at == WallTime{} || key->expires_at > now);
    if (verdict == SessionBook::Verdict::kGood && key_good) {
      Admitted admitted{caller_of(*key, Caller::How::kSession, address), {}};
      admitted.caller.session_id = session.id;
      if (const auto next = sessions_.renewed(session)) {
        admitted.headers.emplace_back("Set-Cookie",
                                      session_cookie(sessions_.sign(*next), sessions_.options().longest, options_.tls));
      }
      return Who(std::move(admitted));
    }
    if (verdict != SessionBook::Verdict::kEnded) end_session(session, key_good ? "expired" : "revoked");
    HttpResponse over = challenge("session_ended", "this session is over: enter the key again");
    over.headers.emplace_back("Set-Cookie", no_session_cookie(options_.tls));
    refusal = Who(std::move(over));
  }
  return refusal;
}

Access::Who Access::by_token(const HttpRequest& request, const std::string& token) {
  auto caller = tokens_.use(token);
  if (caller && still_good(*caller)) {
    caller->address = address_of(request.remote);
    return Admitted{std::move(*caller), {}};
  }
  return challenge(
      "token_invalid",
      "this token opened a socket before, or is older than 30 s: POST /api/v1/session/token gives another");
}

bool Access::still_good(const Caller& caller) const {
  if (caller.key_id.empty()) return is_open();
  const auto key = parts_.keys->find(caller.key_id);
  if (!key || !key->active || key->generation != caller.generation) return false;
  if (!caller.session_id.empty() && ended_.contains(caller.session_id)) return false;
  return key->expires_at == WallTime{} || key->expires_at > parts_.clock.wall();
}

// --- whether they may

std::optional<HttpResponse> Access::refuse_scope(const Caller& caller, const Route& route) const {
  const auto scope = scope_of(needs_of(route));
  if (!scope || caller.scopes.has(*scope)) return std::nullopt;
  return api_problem(403, "scope_missing",
                     fmt::format("{} {} needs a key with the scope '{}'; '{}' has {}", route.method, route.pattern,
                                 millrace::name_of(*scope), caller.actor, fmt::join(names_of(caller.scopes), ", ")));
}

std::optional<HttpResponse> Access::refuse_machine(const Caller& caller, std::string_view machine) {
  if (caller.may_reach(machine)) return std::nullopt;
  return api_problem(403, "machine_not_allowed",
                     fmt::format("'{}' is no machine of the key '{}', which has {}", machine.substr(0, 100),
                                 caller.actor, fmt::join(caller.machines, ", ")));
}

std::optional<HttpResponse> Access::refuse_concerns(const HttpRequest& request, const Caller& caller,
                                                    const Route& route,
                                                    const std::map<std::string, std::string>& path) const {
  if (caller.of_all_machines()) return std::nullopt;
  const Concerns concerns = concerns_of(route);
  if (concerns == Concerns::kMachine) return refuse_machine(caller, path.at("id"));
  if (concerns == Concerns::kShop) {
    return api_problem(403, "machine_not_allowed",
                       fmt::format("{} {} is about the whole shop, and the key '{}' has {} alone", route.method,
                                   route.pattern, caller.actor, fmt::join(caller.machines, ", ")));
  }
  if (concerns != Concerns::kQuery) return std::nullopt;
  const auto machines = texts_in(request, "machine");
  for (const std::string& machine : machines) {
    if (auto refused = refuse_machine(caller, machine)) return refused;
  }
  if (!machines.empty()) return std::nullopt;
  return api_problem(403, "machine_not_allowed",
                     fmt::format("the key '{}' has to say which of its machines: expected ?machine= with one of {}",
                                 caller.actor, fmt::join(caller.machines, ", ")));
}

// Adds what the answer tells of the limits; the refusal when there were too many.
std::optional<HttpResponse> Access::count(const Route& route, Admitted& admitted) {
  const RateClass rate = rate_of(route);
  if (rate == RateClass::kExempt) return std::nullopt;
  const RateLimits::Standing standing = limits_.take(admitted.caller, rate);
  if (standing.allowed()) {
    add_rate_headers(admitted.headers, standing);
    return std::nullopt;
  }
  HttpResponse refused = api_problem(
      429, "rate_limited",
      fmt::format("more than {} {}: try again in {} s", standing.limit, standing.what, standing.retry_in.count()));
  add_rate_headers(refused.headers, standing);
  refused.headers.emplace_back("Retry-After", std::to_string(standing.retry_in.count()));
  return refused;
}

Access::Admission Access::pass(const HttpRequest& request, const Route& route,
                               const std::map<std::string, std::string>& path, Who who) {
  if (!who) {
    Caller nobody;
    nobody.address = address_of(request.remote);
    return denied(request, nobody, who.error());
  }
  Admitted admitted = std::move(*who);
  if (auto refused = refuse_scope(admitted.caller, route)) return denied(request, admitted.caller, std::move(*refused));
  if (auto refused = refuse_concerns(request, admitted.caller, route, path)) {
    return denied(request, admitted.caller, std::move(*refused));
  }
  if (auto refused = count(route, admitted)) return denied(request, admitted.caller, std::move(*refused));
  return admitted;
}

Access::Admission Access::admit(const HttpRequest& request, const Route& route,
                                const std::map<std::string, std::string>& path) {
  Who who = Admitted{};
  if (needs_of(route) == Needs::kNothing) {
    who->caller.address = address_of(request.remote);
  } else {
    who = authenticate(request, is_emergency_stop(route));
  }
  if (who && changes_something(request)) {
    if (auto refused = refuse_foreign_page(request, who->caller)) {
      return denied(request, who->caller, std::move(*refused));
    }
  }
  return pass(request, route, path, std::move(who));
}

Access::Admission Access::admit_socket(const HttpRequest& request, const Route& route) {
  const std::string token = text_in(request, "token");
  auto admission = pass(request, route, {}, token.empty() ? authenticate(request, false) : by_token(request, token));
  if (!admission) return admission;
  // A cookie goes along with whatever page opens a socket, and a browser always says which page that is.
  if (admission->caller.how == Caller::How::kSession && !request.header("origin")) {
    return denied(request, admission->caller,
                  api_problem(403, "origin_required", "a session's socket is opened by a page, which says its Origin"));
  }
  if (!limits_.open_socket(admission->caller)) {
    return denied(request, admission->caller,
                  api_problem(429, "rate_limited",
                              fmt::format("'{}' has {} sockets open, the most there can be", admission->caller.actor,
                                          limits_.options().sockets)));
  }
  return admission;
}

// --- sockets

void Access::socket_opened(const Caller& caller, const std::shared_ptr<WebSocketPeer>& peer, uint64_t id) {
  sockets_[id] = {caller, peer};
}

void Access::socket_closed(uint64_t id) {
  const auto found = sockets_.find(id);
  if (found == sockets_.end()) return;
  limits_.close_socket(found->second.caller);
  sockets_.erase(found);
}

void Access::look_at_sockets() {
  for (const auto& [_, socket] : sockets_) {
    if (still_good(socket.caller)) continue;
    if (const auto peer = socket.peer.lock()) peer->close(kPolicyViolation, "access ended");
  }
}

// --- what is kept of it

HttpResponse Access::denied(const HttpRequest& request, const Caller& caller, HttpResponse refusal) {
  record_denial(request, caller, refusal);
  return refusal;
}

bool Access::is_worth_recording(const HttpResponse& answer) {
  return answer.status == kTooLarge || (answer.status == kNotFound && code_in(answer) == "machine_not_found");
}

void Access::record_denial(const HttpRequest& request, const Caller& caller, const HttpResponse& refusal) {
  const std::string code = code_in(refusal);
  parts_.metrics.counter("millrace_access_denied_total", "Requests that were turned away", {{"code", code}}).add();
  const auto count = denials_.note(caller.address, code);
  if (!count) return;
  schema::AccessDeniedT event;
  event.code = code;
  event.detail = detail_in(refusal);
  event.method = request.method.substr(0, kMaxShownPath);
  event.path = request.path.substr(0, kMaxShownPath);
  event.address = caller.address;
  event.key_id = caller.key_id;
  event.count = *count;
  EventDraft draft = draft_of(std::move(event), "", parts_.clock.wall(), parts_.clock.wall());
  draft.actor = caller.actor;
  record(std::move(draft));
}

// Nobody waits for it: who may come in does not hang on a disk that is full.
void Access::record(EventDraft draft) {
  if (!parts_.submit) return;
  std::vector<EventDraft> events;
  events.push_back(std::move(draft));
  parts_.submit(std::move(events), [](const Result<Position>& outcome) {
    if (!outcome) log_warn("access", "not recorded: {}", outcome.error().message());
  });
}

void Access::end_session(const Session& session, std::string_view reason) {
  sessions_.end(session);
  if (ended_.size() >= kMaxEndedTold) ended_.clear();
  if (!ended_.emplace(session.id, session).second) return;
  schema::SessionClosedT event;
  event.session_id = session.id;
  event.key_id = session.key_id;
  event.reason = reason;
  EventDraft draft = draft_of(std::move(event), "", parts_.clock.wall(), parts_.clock.wall());
  const auto key = parts_.keys->find(session.key_id);
  draft.actor = key ? key->name : session.key_id;
  record(std::move(draft));
}

// --- the routes of sessions

HttpResponse Access::open_session(const HttpRequest& request) {
  BodyReader body(request);
  body.require("key");
  const std::string secret = body.text("key", {.max_bytes = 200, .empty = false, .secret = true}).value_or("");
  if (auto refused = body.problem()) return std::move(*refused);
  Caller nobody;
  nobody.address = address_of(request.remote);
  if (parts_.keys == nullptr || is_open()) {
    return denied(request, nobody,
                  challenge("key_invalid", "there is no key yet: make one with `millrace keys create`"));
  }
  auto who = by_key(request, nobody.address, secret, false);
  if (!who) return denied(request, nobody, who.error());
  Caller caller = std::move(who->caller);
  caller.how = Caller::How::kSession;
  const Session session = sessions_.open(caller.key_id, caller.generation);
  schema::SessionOpenedT event;
  event.session_id = session.id;
  event.key_id = caller.key_id;
  event.address = caller.address;
  EventDraft draft = draft_of(std::move(event), "", parts_.clock.wall(), parts_.clock.wall());
  draft.actor = caller.actor;
  record(std::move(draft));
  HttpResponse response = session_answer(caller);
  response.status = 201;
  response.headers.emplace_back("Set-Cookie",
                                session_cookie(sessions_.sign(session), sessions_.options().longest, options_.tls));
  return response;
}

HttpResponse Access::show_session(const Caller& caller) const { return session_answer(caller); }

HttpResponse Access::close_session(const HttpRequest& request, const Caller& caller) {
  for (const std::string& cookie : session_cookies_in(request, options_.tls)) {
    const auto checked = sessions_.check(cookie);
    if (checked.verdict == SessionBook::Verdict::kGood && checked.session.id == caller.session_id) {
      end_session(checked.session, "logout");
    }
  }
  look_at_sockets();
  HttpResponse response;
  response.status = 204;
  response.content_type.clear();
  response.headers.emplace_back("Set-Cookie", no_session_cookie(options_.tls));
  return no_store(std::move(response));
}

HttpResponse Access::make_socket_token(const Caller& caller) {
  JsonWriter json;
  json.object().field("token", tokens_.make(caller));
  json.field("expires_in_s", static_cast<int64_t>(SocketTokens::kLifetime.count())).end();
  HttpResponse response;
  response.status = 201;
  response.body = json.take();
  return no_store(std::move(response));
}

}  // namespace millrace
