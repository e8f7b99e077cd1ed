// SPDX-License-Identifier: Apache-2.0
// The clients of the older KlipperIWC's WebSocket, /ws/status: a status on connect and whenever the machine changes,
// and at most one under way to each, so that a slow client misses what is old and never what is new.  Loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "bus/metrics.h"
#include "net/http_server.h"

namespace millrace {

class KlipperiwcFeed {
 public:
  // `message` gives what is to be told of a machine now ("" = the first one), nullopt when there is no such machine;
  // `post` runs a task on the loop's thread after the present callback.
  KlipperiwcFeed(std::function<std::optional<std::string>(const std::string& machine)> message,
                 std::function<void(std::function<void()>)> post, size_t max_clients, Metrics& metrics);

  bool full() const { return clients_.size() >= max_clients_; }
  WebSocketEvents add(std::shared_ptr<WebSocketPeer> peer, std::string machine);
  // Some of these machines' values are new; a client of "the first one" is told in any case.
  void changed(const std::set<std::string>& machines);
  void close_all();

 private:
  struct Client {
    std::shared_ptr<WebSocketPeer> peer;
    std::string machine;
    bool greeted = false;
    bool behind = false;
  };
  void tell(Client& client);

  const std::function<std::optional<std::string>(const std::string&)> message_;
  const std::function<void(std::function<void()>)> post_;
  const size_t max_clients_;
  Gauge& clients_gauge_;
  std::map<uint64_t, Client> clients_;
  uint64_t next_client_ = 1;
};

}  // namespace millrace
