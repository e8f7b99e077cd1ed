// SPDX-License-Identifier: Apache-2.0
#include "sim_client.h"

#include <future>

namespace millrace::testing {

LoopThread::LoopThread() : thread_([this] { loop_.run(); }) {}

LoopThread::~LoopThread() {
  loop_.stop();
  thread_.join();
}

void LoopThread::call(const std::function<void()>& task) {
  std::promise<void> done;
  loop_.post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

SimClient::SimClient(LoopThread& thread, uint16_t port) : thread_(thread), port_(port) {}

SimClient::~SimClient() {
  thread_.call([&] { socket_.reset(); });
}

bool SimClient::open() {
  thread_.call([&] {
    {
      std::lock_guard lock(mutex_);
      is_open_ = is_closed_ = false;
    }
    socket_ = std::make_unique<WebSocketClient>(thread_.loop(), WebSocketClientOptions{});
    socket_->on_open = [this] {
      std::lock_guard lock(mutex_);
      is_open_ = true;
      changed_.notify_all();
    };
    socket_->on_text = [this](std::string_view text) {
      std::lock_guard lock(mutex_);
      frames_.push_back(Document::parse(text));
      changed_.notify_all();
    };
    socket_->on_closed = [this](const WebSocketClosed& closed) {
      std::lock_guard lock(mutex_);
      is_closed_ = true;
      closed_ = closed;
      changed_.notify_all();
    };
    socket_->open("ws://127.0.0.1:" + std::to_string(port_) + "/websocket");
  });
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kDeadline, [&] { return is_open_ || is_closed_; });
  return is_open_;
}

void SimClient::send(const std::string& text) {
  thread_.call([&] { socket_->send(text); });
}

Document SimClient::request(const std::string& method, const Document& params) {
  const int id = next_id_++;
  Document request{{"jsonrpc", "2.0"}, {"method", method}, {"id", id}};
  if (!params.is_null()) request["params"] = params;
  send(request.dump());
  Document answer;
  wait([&](const std::vector<Document>& frames) {
    for (const Document& frame : frames) {
      if (frame.is_object() && frame.contains("id") && frame["id"] == id) answer = frame;
    }
    return !answer.is_null();
  });
  return answer;
}

bool SimClient::wait(const std::function<bool(const std::vector<Document>&)>& done) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kDeadline, [&] { return done(frames_); });
}

bool SimClient::wait_for_method(const std::string& method) {
  return wait([&](const std::vector<Document>& frames) {
    for (const Document& frame : frames) {
      if (frame.is_object() && frame.value("method", "") == method) return true;
    }
    return false;
  });
}

bool SimClient::wait_closed() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kDeadline, [&] { return is_closed_; });
}

std::vector<Document> SimClient::frames() {
  std::lock_guard lock(mutex_);
  return frames_;
}

std::vector<Document> SimClient::notifications(const std::string& method) {
  std::vector<Document> found;
  for (const Document& frame : frames()) {
    if (frame.is_object() && frame.value("method", "") == method) found.push_back(frame);
  }
  return found;
}

WebSocketClosed SimClient::closed() {
  std::lock_guard lock(mutex_);
  return closed_;
}

void fold(Document& status, const Document& delta) {
  for (const auto& [object, fields] : delta.items()) {
    if (!status.contains(object)) status[object] = Document::object();
    for (const auto& [field, value] : fields.items()) status[object][field] = value;
  }
}

WebAnswer web(uint16_t port, const std::string& method, const std::string& target, const std::string& body) {
  HttpClientRequest request;
  request.method = method;
  request.url = "http://127.0.0.1:" + std::to_string(port) + target;
  request.body = body;
  const auto response = http_request(request);
  if (!response) return {};
  return {response->status, Document::parse(response->body, nullptr, false)};
}

}  // namespace millrace::testing
