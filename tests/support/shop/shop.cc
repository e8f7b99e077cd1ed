// SPDX-License-Identifier: Apache-2.0
#include "tests/support/shop/shop.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iostream>

#include "net/http_client.h"

namespace millrace::testing {
namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string Shop::program() {
  const char* named = std::getenv("MILLRACE_PROGRAM");
  return named != nullptr ? named : MILLRACE_TEST_PROGRAM;
}

Shop::Shop() : broker(directory_ / "broker"), http_port(free_loopback_port()) { write_config(""); }

Shop::~Shop() {
  if (!::testing::Test::HasFailure()) return;
  std::cerr << "---- output of the processes ----\n" << output().substr(0, 20'000) << "\n----\n";
}

std::string Shop::output() const { return content_of(directory_ / "output.log"); }

void Shop::write_config(const std::string& machine_list) {
  std::ofstream(config()) << "[site]\nname = \"Test shop\"\n[hub]\ndata_dir = \"" << data().string()
                          << "\"\n[http]\nlisten = \"127.0.0.1:" << http_port << "\"\n[mqtt]\nurl = \"" << broker.url()
                          << "\"\n"
                          << machine_list;
}

std::optional<ChildProcess> Shop::start(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program());
  return ChildProcess::start(arguments, directory_ / "output.log").value();
}

void Shop::start_simulator(const std::vector<std::string>& options) {
  const auto list = directory_ / "machines.toml";
  std::vector<std::string> arguments{"sim", "--config-out", list.string()};
  arguments.insert(arguments.end(), options.begin(), options.end());
  machines = start(arguments);
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(list); })) << output();
  write_config(content_of(list));
}

void Shop::add_machine(const std::string& id, uint16_t port) {
  std::ofstream(config(), std::ios::app) << "[[machine]]\nid = \"" << id
                                         << "\"\nmoonraker_url = \"http://127.0.0.1:" << port << "\"\n";
}

void Shop::start_replay(const std::filesystem::path& recording, const std::string& speed) {
  const uint16_t port = free_loopback_port();
  machines = start({"sim", "--replay", recording.string(), "--port", std::to_string(port), "--speed", speed});
  ASSERT_TRUE(eventually([&] { return loopback_port_answers(port); })) << output();
  add_machine("m", port);
}

void Shop::start_hub() { hub = start({"run", "--config", config().string(), "--roles", "hub"}); }
void Shop::start_adapters() { adapters = start({"run", "--config", config().string(), "--roles", "adapters"}); }

void Shop::start_all() {
  broker.start();
  start_hub();
  start_adapters();
  ASSERT_TRUE(wait_ready()) << output();
}

bool Shop::wait_ready() {
  return eventually([this] { return status_of("/health/ready") == 200; }, std::chrono::seconds(30));
}

Shop::Ran Shop::run(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& environment) {
  std::vector<std::string> command{program()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const auto file = directory_ / "command.log";
  std::filesystem::remove(file);
  ChildProcess child = ChildProcess::start(command, file, environment).value();
  const int code = child.wait();
  return {code, content_of(file)};
}

json Shop::get(const std::string& path) {
  const auto response = http_request({.url = "http://127.0.0.1:" + std::to_string(http_port) + path});
  if (!response || response->status != 200) return nullptr;
  return json::parse(response->body, nullptr, false);
}

json Shop::machine(const std::string& id) {
  const json found = get("/api/v1/machines/" + id);
  return found.is_object() ? found : json::object();
}

int Shop::last_position() {
  const json site = get("/api/v1/site");
  return site.is_object() ? site.value("position", -1) : -1;
}

int Shop::status_of(const std::string& path) {
  const auto response = http_request({.url = "http://127.0.0.1:" + std::to_string(http_port) + path});
  return response ? response->status : 0;
}

LiveClient::LiveClient(const std::string& url) : socket_(loop_, {}) {
  socket_.on_text = [this](std::string_view text) { hear(text); };
  socket_.on_closed = [](const WebSocketClosed&) {};
  socket_.on_open = [] {};
  thread_ = std::thread([this, url] {
    loop_.post([this, url] { socket_.open(url); });
    loop_.run();
  });
}

LiveClient::~LiveClient() {
  loop_.post([this] {
    socket_.close();
    loop_.stop();
  });
  thread_.join();
}

void LiveClient::hear(std::string_view text) {
  const json message = json::parse(text, nullptr, false);
  if (!message.is_object()) return;
  std::lock_guard lock(mutex_);
  for (const json& machine : message.value("machines", json::array())) {
    const std::string id = machine["id"];
    if (machine["progress"].is_number()) {
      auto& values = progress_[id];
      if (values.empty() || values.back() != machine["progress"]) values.push_back(machine["progress"]);
    }
    machines_[id] = machine;
  }
  for (const json& job : message.value("jobs", json::array())) jobs_[job["id"]] = job;
  ++messages_;
}

json LiveClient::machine(const std::string& id) {
  std::lock_guard lock(mutex_);
  return machines_.contains(id) ? machines_[id] : json::object();
}

json LiveClient::job(const std::string& id) {
  std::lock_guard lock(mutex_);
  return jobs_.contains(id) ? jobs_[id] : json::object();
}

std::vector<double> LiveClient::progress_of(const std::string& machine) {
  std::lock_guard lock(mutex_);
  return progress_[machine];
}

}  // namespace millrace::testing
