// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/moonraker_socket.h"

#include "bus/json_reader.h"
#include "producers/moonraker/moonraker_login.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kTokenTimeout{5};  // Moonraker gives one within milliseconds; it lives for 5 s
constexpr size_t kMaxAnswer = kMaxLoginAnswer;

}  // namespace

std::string http_base(std::string url) {
  const auto without_slashes = [&] {
    while (url.ends_with('/')) url.pop_back();
  };
  without_slashes();
  constexpr std::string_view kSocket = "/websocket";
  if (url.ends_with(kSocket)) url.resize(url.size() - kSocket.size());
  without_slashes();
  if (url.starts_with("ws://") || url.starts_with("wss://")) url.replace(0, 2, "http");
  return url;
}

MoonrakerSocket::MoonrakerSocket(IoLoop& loop, const Clock& clock, MoonrakerTarget target,
                                 std::function<MachineSecret()> secret)
    : target_(std::move(target)),
      secret_(std::move(secret)),
      exchange_(loop, clock),
      socket_(loop, WebSocketClientOptions{}) {
  socket_.on_open = [this] { on_open(identity_); };
  socket_.on_text = [this](std::string_view text) { on_text(text); };
  socket_.on_closed = [this](const WebSocketClosed& closed) { closed_by(closed); };
}

void MoonrakerSocket::open() {
  identity_ = {};
  const MachineSecret secret = secret_();
  identity_.api_key = secret.api_key;
  if (!secret.api_key.empty()) return ask_for_token();
  if (!secret.username.empty()) return log_in(secret);
  connect("");
}

void MoonrakerSocket::close() {
  exchange_.cancel();
  socket_.close();
}

// Moonraker itself always upgrades; a proxy before it may ask who comes.
void MoonrakerSocket::closed_by(const WebSocketClosed& closed) {
  if (closed.reason == WebSocketClosed::Reason::kHandshake && refused(closed.code)) return;
  on_closed(name_of(closed.reason), closed.code, closed.text);
}

// Whether who asks is the reason.
bool MoonrakerSocket::refused(uint16_t status) {
  if (status != 401 && status != 403) return false;
  on_closed(status == 401 ? kLinkUnauthorised : kLinkForbidden, status, status == 401 ? "Unauthorized" : "Forbidden");
  return true;
}

// Nobody there, or another answer, is found out by the WebSocket too, with better words.
bool MoonrakerSocket::refused(const Result<HttpResponse>& answer) {
  return answer && refused(static_cast<uint16_t>(answer->status));
}

void MoonrakerSocket::ask_for_token() {
  HttpExchangeRequest request;
  request.url = http_base(target_.url) + "/access/oneshot_token";
  request.headers = {{"X-Api-Key", identity_.api_key}};
  request.ca_file = target_.ca_file;
  request.timeout = kTokenTimeout;
  request.max_body_bytes = kMaxAnswer;
  exchange_.start(std::move(request), [this](const Result<HttpResponse>& answer, const HttpExchangeTrace&) {
    if (refused(answer)) return;
    std::string token;
    if (answer && answer->status == 200) {
      JsonReader reader(kMaxAnswer, 8);
      const auto json = reader.parse(answer->body);
      token = json ? std::string(text_member(*json, "result").value_or("")) : "";
    }
    connect(is_access_token(token) ? token : "");
  });
}

// One login for each connection: it stays valid as long as the connection does, so nothing has to be refreshed.
void MoonrakerSocket::log_in(const MachineSecret& secret) {
  HttpExchangeRequest request;
  request.method = "POST";
  request.url = http_base(target_.url) + std::string(kLoginPath);
  request.headers = {{"Content-Type", "application/json"}};
  request.body = login_body(secret.username, secret.password);
  request.ca_file = target_.ca_file;
  request.timeout = kTokenTimeout;
  request.max_body_bytes = kMaxAnswer;
  exchange_.start(std::move(request), [this](const Result<HttpResponse>& answer, const HttpExchangeTrace&) {
    if (refused(answer)) return;
    if (answer && answer->status == 400) {  // a wrong password, a user that there is not
      return on_closed(kLinkUnauthorised, 400, "the login was not accepted");
    }
    if (answer && answer->status == 200) identity_.access_token = token_in_login(answer->body);
    connect("");
  });
}

void MoonrakerSocket::connect(const std::string& token) {
  WebSocketClientOptions options;
  options.max_message_bytes = target_.max_frame_bytes;
  options.ca_file = target_.ca_file;
  if (!identity_.api_key.empty()) options.headers = {{"X-Api-Key", identity_.api_key}};
  socket_.set_options(std::move(options));
  socket_.open(http_base(target_.url) + "/websocket" + (token.empty() ? "" : "?token=" + token));
}

}  // namespace millrace
