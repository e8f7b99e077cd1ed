// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/moonraker.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "bus/json_writer.h"
#include "producers/simulator/routes.h"

namespace millrace {
namespace {

constexpr size_t kMaxRequestBytes = 1u << 20;
constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
constexpr int kMethodNotFound = -32601;
constexpr int kInvalidParams = -32602;

std::string rpc_result(std::string_view result, std::string_view id) {
  return fmt::format(R"({{"jsonrpc":"2.0","result":{},"id":{}}})", result, id);
}

std::string rpc_error(int code, std::string_view message, std::string_view id) {
  JsonWriter json;
  json.object().field("jsonrpc", "2.0").key("error").object();
  json.field("code", code).field("message", message).end().key("id").raw(id).end();
  return json.take();
}

int rpc_code(int code) {
  if (code == 404) return kMethodNotFound;
  if (code == 401) return kInvalidParams;
  return code;
}

std::string rpc_answer(const MoonrakerAnswer& answer, std::string_view id) {
  if (answer) return rpc_result(*answer, id);
  return rpc_error(rpc_code(answer.error().code), answer.error().message, id);
}

// The answers to one frame; sent when the last of them is there.
struct Frame {
  bool is_array = false;
  size_t pending = 0;
  std::vector<std::string> answers;
  std::function<void(std::string)> finish;  // with "" when nothing is to be said

  void done() {
    if (pending > 0) return;
    auto tell = std::exchange(finish, nullptr);
    if (!tell) return;
    if (answers.empty()) return tell("");
    tell(is_array ? fmt::format("[{}]", fmt::join(answers, ",")) : answers.front());
  }
};

}  // namespace

std::shared_ptr<const std::string> notification(std::string_view method) {
  return std::make_shared<const std::string>(fmt::format(R"({{"jsonrpc":"2.0","method":"{}"}})", method));
}

std::shared_ptr<const std::string> notification(std::string_view method, std::string_view params) {
  return std::make_shared<const std::string>(
      fmt::format(R"({{"jsonrpc":"2.0","method":"{}","params":[{}]}})", method, params));
}

HttpResponse moonraker_http_response(const MoonrakerAnswer& answer) {
  HttpResponse response;
  response.content_type = "application/json; charset=UTF-8";
  if (answer) {
    response.body = fmt::format(R"({{"result":{}}})", *answer);
    return response;
  }
  int code = answer.error().code;
  if (code < 0) code = code == kMethodNotFound ? 404 : 400;
  if (code < 400 || code > 599) code = 500;
  // A reason phrase cannot hold a line break: Moonraker's web server says "Unknown" then, and only the traceback tells.
  const std::string& text = answer.error().message;
  const bool one_line = text.find('\n') == std::string::npos;
  JsonWriter json;
  json.object().key("error").object().field("code", code).field("message", one_line ? text : "Unknown");
  json.field("traceback",
             fmt::format("Traceback (most recent call last):\n\ntornado.web.HTTPError: HTTP {}: {}\n", code, text));
  json.end().end();
  response.status = code;
  response.body = json.take();
  return response;
}

struct MoonrakerFront::Core final : HttpService, std::enable_shared_from_this<Core> {
  Core(IoLoop& loop_, MoonrakerService& service_)
      : service(&service_), server(loop_, *this, options()), reader(kMaxRequestBytes) {}

  static HttpServerOptions options() {
    HttpServerOptions options;
    options.max_web_socket_queue_bytes = 8u << 20;
    return options;
  }

  void on_request(HttpRequest request, Responder respond) override {
    if (service->on_http(request, respond)) return;
    if (request.path == "/server/jsonrpc" && request.method == "POST") {
      return take_frame(0, request.body, [respond](std::string answer) {
        HttpResponse response;
        response.body = std::move(answer);
        respond(std::move(response));
      });
    }
    auto route = route_http(request);
    if (!route) return respond(moonraker_http_response(MoonrakerAnswer(route.error())));
    auto params = http_reader.parse(route->params);
    if (!params) return respond(moonraker_http_response(MoonrakerAnswer(MoonrakerError{400, "Bad Request"})));
    service->call({route->connection, route->method, *params},
                  [respond](const MoonrakerAnswer& answer) { respond(moonraker_http_response(answer)); });
  }

  boost::system::result<WebSocketEvents, HttpResponse> on_web_socket(const HttpRequest& request,
                                                                     std::shared_ptr<WebSocketPeer> peer) override {
    if (request.path != "/websocket") {
      return moonraker_http_response(MoonrakerAnswer(MoonrakerError{404, "Not Found"}));
    }
    if (is_closing) return moonraker_http_response(MoonrakerAnswer(MoonrakerError{503, "Server Shutdown"}));
    const uint64_t connection = next_connection;
    next_connection += 16;
    peers.emplace(connection, std::move(peer));
    WebSocketEvents events;
    events.on_text = [weak = weak_from_this(), connection](std::string_view text) {
      if (auto core = weak.lock()) core->on_text(connection, text);
    };
    events.on_close = [weak = weak_from_this(), connection](uint16_t) {
      if (auto core = weak.lock()) core->forget(connection);
    };
    service->on_connected(connection, request);
    return events;
  }

  void on_text(uint64_t connection, std::string_view text) {
    take_frame(connection, text, [weak = weak_from_this(), connection](std::string answer) {
      auto core = weak.lock();
      if (core && !answer.empty()) core->send(connection, std::make_shared<const std::string>(std::move(answer)));
    });
  }

  void take_frame(uint64_t connection, std::string_view text, std::function<void(std::string)> finish) {
    auto root = reader.parse(text);
    if (!root) return finish(rpc_error(kParseError, "Parse error", "null"));
    auto frame = std::make_shared<Frame>();
    frame->finish = std::move(finish);
    frame->pending = 1;  // held until every request of the frame has been started
    if (root->type() == simdjson::dom::element_type::ARRAY) {
      frame->is_array = true;
      size_t count = 0;
      for (const Json request : simdjson::dom::array(*root)) {
        if (count++ < kMaxBatch) take_request(connection, request, frame);
      }
    } else {
      take_request(connection, *root, frame);
    }
    --frame->pending;
    frame->done();
  }

  void take_request(uint64_t connection, const Json& request, const std::shared_ptr<Frame>& frame) {
    if (request.type() != simdjson::dom::element_type::OBJECT) return;
    const auto id_value = member(request, "id");
    const std::string id = id_value ? to_text(*id_value) : "null";
    if (text_member(request, "jsonrpc").value_or("") != "2.0") {
      frame->answers.push_back(rpc_error(kInvalidRequest, "Invalid Request", id));
      return;
    }
    const auto method_value = member(request, "method");
    if (!method_value) return;  // an answer to something that was never asked
    const auto method = as_text(*method_value);
    auto params = member(request, "params");
    const bool params_fit = !params || params->type() == simdjson::dom::element_type::OBJECT;
    if (!method || !params_fit) {
      const int code = method ? kInvalidParams : kInvalidRequest;
      frame->answers.push_back(rpc_error(code, method ? "Invalid params:" : "Invalid Request", id));
      return;
    }
    ++frame->pending;
    if (!params) params = *empty_reader.parse("{}");
    service->call({connection, *method, *params},
                  [frame, id, wanted = id_value.has_value()](const MoonrakerAnswer& answer) {
                    if (frame->pending == 0) return;
                    if (wanted) frame->answers.push_back(rpc_answer(answer, id));
                    --frame->pending;
                    frame->done();
                  });
  }

  void send(uint64_t connection, const std::shared_ptr<const std::string>& text) {
    const auto found = peers.find(connection);
    if (found == peers.end()) return;
    const auto peer = found->second;
    // A client that does not read loses its connection rather than our memory.
    if (!peer->send(text)) peer->abort();
  }

  void forget(uint64_t connection) {
    if (peers.erase(connection) > 0 && service != nullptr) service->on_disconnected(connection);
  }

  void forget_all() {
    while (!peers.empty()) forget(peers.begin()->first);
  }

  MoonrakerService* service;
  HttpServer server;
  JsonReader reader;
  JsonReader http_reader;
  JsonReader empty_reader;
  std::map<uint64_t, std::shared_ptr<WebSocketPeer>> peers;
  uint64_t next_connection = 139'970'383'815'248;  // as large as Moonraker's, which are addresses
  uint16_t port = 0;
  bool is_closing = false;  // no new connections until it listens again
};

MoonrakerFront::MoonrakerFront(IoLoop& loop, MoonrakerService& service)
    : core_(std::make_shared<Core>(loop, service)) {}

MoonrakerFront::~MoonrakerFront() {
  core_->service = nullptr;
  core_->peers.clear();
  core_->server.stop();
}

Result<void> MoonrakerFront::listen(const std::string& host, uint16_t port) {
  auto listening = core_->server.listen(host, port);
  if (!listening) return listening;
  core_->port = core_->server.port();
  core_->is_closing = false;
  return listening;
}

uint16_t MoonrakerFront::port() const { return core_->port; }

void MoonrakerFront::send(uint64_t connection, std::shared_ptr<const std::string> frame) {
  core_->send(connection, frame);
}

void MoonrakerFront::broadcast(std::shared_ptr<const std::string> frame) {
  const auto peers = core_->peers;  // a copy: sending may end a connection
  for (const auto& [connection, _] : peers) core_->send(connection, frame);
}

size_t MoonrakerFront::connections() const { return core_->peers.size(); }

void MoonrakerFront::close_all(uint16_t code, const std::string& reason) {
  core_->is_closing = true;
  const auto peers = core_->peers;
  for (const auto& [_, peer] : peers) peer->close(code, reason);
}

void MoonrakerFront::drop_all() {
  const auto peers = core_->peers;
  core_->forget_all();
  for (const auto& [_, peer] : peers) peer->abort();
}

void MoonrakerFront::go_away() {
  drop_all();
  core_->server.stop();
}

}  // namespace millrace
