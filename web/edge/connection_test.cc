// SPDX-License-Identifier: Apache-2.0
#include "web/edge/connection_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

using Outcome = HttpExchangeTrace::Outcome;

constexpr std::array<std::string_view, 8> kSteps = {"address",   "tcp",        "tls",     "http",
                                                    "moonraker", "authorised", "klipper", "objects"};
constexpr int kTooMany = 429;
constexpr int kServerError = 500;
constexpr size_t kMaxAnswer = 1u << 20;
constexpr size_t kMaxDetail = 200;  // of what the other side said

constexpr std::string_view kKeyAdvice =
    "give a valid API key (Moonraker: GET /access/api_key), or add this host to trusted_clients in moonraker.conf";

std::string_view advice_for(size_t step) {
  switch (step) {
    case HttpExchangeTrace::kResolve:
      return "check the host's name, or use its address";
    case HttpExchangeTrace::kConnect:
      return "check that the printer's computer is on, that Moonraker runs there, and the port (7125 unless it was "
             "changed)";
    case HttpExchangeTrace::kTls:
      return "use http:// if there is no TLS; a certificate of an own authority needs tls_ca, and the URL must name "
             "the "
             "host that it is for";
    default:
      return "check that this is Moonraker's port and not that of another server";
  }
}

std::string base_of(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  if (url.starts_with("ws://") || url.starts_with("wss://")) url.replace(0, 2, "http");
  return url;
}

std::string words_of(const HttpResponse& response) {
  JsonReader reader(kMaxAnswer, 32);
  const auto json = reader.parse(response.body);
  const auto error = json ? member(*json, "error") : std::nullopt;
  const auto message = error ? text_member(*error, "message") : std::nullopt;
  return fmt::format("{} {}", response.status, message.value_or("").substr(0, kMaxDetail));
}

// Somebody is there, and may answer better in a moment.
bool may_pass(const Result<HttpResponse>& answer, const HttpExchangeTrace& trace) {
  if (answer) return answer->status == kTooMany || answer->status >= kServerError;
  return answer.error().code == Errc::kUnavailable &&
         trace.steps[HttpExchangeTrace::kConnect].outcome == Outcome::kOk &&
         trace.steps[HttpExchangeTrace::kTls].outcome != Outcome::kFailed;
}

}  // namespace

void ConnectionTest::start(IoLoop& loop, const Clock& clock, ConnectionTestRequest request, Done done) {
  const auto test = std::make_shared<ConnectionTest>(loop, clock, std::move(request), std::move(done));
  test->began_ = test->step_began_ = clock.monotonic();
  test->request_.secret.username.empty() || !test->request_.secret.api_key.empty() ? test->ask_server()
                                                                                   : test->log_in();
}

ConnectionTest::ConnectionTest(IoLoop& loop, const Clock& clock, ConnectionTestRequest request, Done done)
    : clock_(clock),
      request_(std::move(request)),
      base_(base_of(request_.url)),
      done_(std::move(done)),
      exchange_(loop, clock),
      pause_(loop) {}

std::chrono::milliseconds ConnectionTest::left() const {
  const auto gone = clock_.monotonic() - began_;
  return std::max(std::chrono::milliseconds(1),
                  std::chrono::duration_cast<std::chrono::milliseconds>(kDeadline - gone));
}

void ConnectionTest::get(const std::string& path, const Then& then) { attempt(path, then, true); }

void ConnectionTest::attempt(const std::string& path, const Then& then, bool is_first) {
  HttpExchangeRequest request;
  request.url = base_ + path;
  request.ca_file = request_.ca_file;
  request.timeout = left();
  request.max_body_bytes = kMaxAnswer;
  if (!request_.secret.api_key.empty()) request.headers.emplace_back("X-Api-Key", request_.secret.api_key);
  if (!bearer_.empty()) request.headers.emplace_back("Authorization", "Bearer " + bearer_);
  exchange_.start(std::move(request), [self = shared_from_this(), path, then, is_first](
                                          const Result<HttpResponse>& answer, const HttpExchangeTrace& trace) {
    if (!is_first || !may_pass(answer, trace) || self->left() < 2 * kPause) return then(answer, trace);
    self->first_failure_ = answer ? words_of(*answer) : answer.error().context;
    self->pause_.start(kPause, [self, path, then] { self->attempt(path, then, false); });
  });
}

void ConnectionTest::log_in() {
  HttpExchangeRequest request;
  request.method = "POST";
  request.url = base_ + "/access/login";
  request.ca_file = request_.ca_file;
  request.timeout = left();
  request.headers = {{"Content-Type", "application/json"}};
  JsonWriter body;
  body.object().field("username", request_.secret.username).field("password", request_.secret.password).end();
  request.body = body.take();
  exchange_.start(
      std::move(request), [self = shared_from_this()](const Result<HttpResponse>& answer, const HttpExchangeTrace&) {
        JsonReader reader(kMaxAnswer, 32);
        const auto json = answer && answer->status == 200 ? reader.parse(answer->body) : Result<Json>(Error{});
        const auto result = json ? member(*json, "result") : std::nullopt;
        self->bearer_ = std::string(result ? text_member(*result, "token").value_or("") : "");
        self->ask_server();  // which finds out whether that was enough
      });
}

void ConnectionTest::ask_server() {
  get("/server/info", [this](const auto& answer, const auto& trace) { on_server_info(answer, trace); });
}

// The first four steps.  False when one failed.
bool ConnectionTest::on_trace(const Result<HttpResponse>& answer, const HttpExchangeTrace& trace) {
  for (size_t i = 0; i < trace.steps.size(); ++i) {
    const auto& step = trace.steps.at(i);
    if (step.outcome == Outcome::kSkipped && i != HttpExchangeTrace::kTls) break;
    ConnectionTestStep told;
    told.step = kSteps.at(i);
    told.outcome = step.outcome == Outcome::kOk ? "ok" : step.outcome == Outcome::kFailed ? "failed" : "skipped";
    told.duration_s = std::chrono::duration<double>(step.took).count();
    told.detail = step.outcome == Outcome::kSkipped ? "the URL says http" : step.detail;
    if (step.outcome == Outcome::kFailed) told.advice = advice_for(i);
    steps_.push_back(std::move(told));
    if (step.outcome == Outcome::kFailed) return false;
  }
  if (answer) return true;
  add("address", false, answer.error().context, "check the URL and the certificate file");
  return false;
}

bool ConnectionTest::judge_status(const HttpResponse& response) {
  const bool refused = response.status == 401 || response.status == 403;
  JsonReader reader(kMaxAnswer, 32);
  const auto json = reader.parse(response.body);
  const auto result = json ? member(*json, "result") : std::nullopt;
  const auto version = result ? text_member(*result, "moonraker_version") : std::nullopt;
  if (refused && json && member(*json, "error")) {
    add("moonraker", true, "it tells its version to those it trusts only");
    add("authorised", false, words_of(response), std::string(kKeyAdvice));
    return false;
  }
  if (!version) {
    add("moonraker", false, words_of(response),
        response.status >= 500 ? "Moonraker answers with an error of its own: look into moonraker.log"
                               : "something else than Moonraker answers there: check the port (7125) and the path");
    return false;
  }
  add("moonraker", true, std::string(version->substr(0, kMaxDetail)));
  const bool known = !request_.secret.api_key.empty() || !bearer_.empty();
  add("authorised", true, known ? "with the credentials" : "this host is trusted");
  return true;
}

void ConnectionTest::on_server_info(const Result<HttpResponse>& answer, const HttpExchangeTrace& trace) {
  step_began_ = clock_.monotonic();
  if (!on_trace(answer, trace) || !judge_status(*answer)) return finish();
  JsonReader reader(kMaxAnswer, 32);
  const auto json = reader.parse(answer->body);
  const auto result = json ? member(*json, "result") : std::nullopt;
  const std::string state(result ? text_member(*result, "klippy_state").value_or("not said") : "not said");
  if (state == "ready") {
    add("klipper", true, state);
    ask_objects();
  } else if (state == "shutdown" || state == "error") {
    ask_why(state);
  } else {
    add("klipper", false, state, "start Klipper, and check that its board is connected and has power");
    finish();
  }
}

void ConnectionTest::ask_why(const std::string& state) {
  get("/printer/info", [this, state](const Result<HttpResponse>& answer, const HttpExchangeTrace&) {
    JsonReader reader(kMaxAnswer, 32);
    const auto json = answer && answer->status == 200 ? reader.parse(answer->body) : Result<Json>(Error{});
    const auto result = json ? member(*json, "result") : std::nullopt;
    const auto message = result ? text_member(*result, "state_message") : std::nullopt;
    add("klipper", false, message ? fmt::format("{}: {}", state, message->substr(0, kMaxDetail)) : state,
        state == "error" ? "Klipper could not start: put right what its message says, then RESTART"
                         : "Klipper has stopped: put right what its message says, then FIRMWARE_RESTART");
    finish();
  });
}

void ConnectionTest::ask_objects() {
  get("/printer/objects/list", [this](const Result<HttpResponse>& answer, const HttpExchangeTrace&) {
    JsonReader reader(kMaxAnswer, 32);
    const auto json = answer && answer->status == 200 ? reader.parse(answer->body) : Result<Json>(Error{});
    const auto result = json ? member(*json, "result") : std::nullopt;
    const auto objects = result ? member(*result, "objects") : std::nullopt;
    simdjson::dom::array names;
    if (objects && objects->get_array().get(names) == simdjson::SUCCESS) {
      std::vector<std::string_view> texts;
      for (const Json name : names) texts.push_back(as_text(name).value_or(""));
      judge_objects(texts);
    } else {
      add("objects", false, answer ? words_of(*answer) : answer.error().context, "look into moonraker.log");
    }
    finish();
  });
}

// Klipper has print_stats where [virtual_sdcard] is configured, which Moonraker asks for too.
void ConnectionTest::judge_objects(const std::vector<std::string_view>& names) {
  const bool prints = std::find(names.begin(), names.end(), "print_stats") != names.end();
  if (prints || !request_.prints) {
    add("objects", true, fmt::format("{} objects", names.size()));
  } else {
    add("objects", false, fmt::format("{} objects, without print_stats", names.size()),
        "add [virtual_sdcard] to printer.cfg and restart Klipper: without it no print is seen");
  }
}

void ConnectionTest::add(std::string step, bool ok, std::string detail, std::string advice) {
  const auto now = clock_.monotonic();
  if (!first_failure_.empty()) {
    detail += fmt::format(" (at the second try; the first: {})", std::exchange(first_failure_, ""));
  }
  steps_.push_back({std::move(step), ok ? "ok" : "failed", std::chrono::duration<double>(now - step_began_).count(),
                    std::move(detail), std::move(advice)});
  step_began_ = now;
}

void ConnectionTest::finish() {
  for (const auto name : kSteps) {
    const auto is_it = [&](const ConnectionTestStep& step) { return step.step == name; };
    if (std::none_of(steps_.begin(), steps_.end(), is_it)) steps_.push_back({std::string(name), "skipped", 0, "", ""});
  }
  if (const auto done = std::exchange(done_, nullptr)) done(std::move(steps_));
}

}  // namespace millrace
