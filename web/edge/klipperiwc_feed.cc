// SPDX-License-Identifier: Apache-2.0
#include "web/edge/klipperiwc_feed.h"

namespace millrace {

KlipperiwcFeed::KlipperiwcFeed(std::function<std::optional<std::string>(const std::string& machine)> message,
                               std::function<void(std::function<void()>)> post, size_t max_clients, Metrics& metrics)
    : message_(std::move(message)),
      post_(std::move(post)),
      max_clients_(max_clients),
      clients_gauge_(metrics.gauge("millrace_klipperiwc_clients", "Connected clients of /ws/status")) {}

WebSocketEvents KlipperiwcFeed::add(std::shared_ptr<WebSocketPeer> peer, std::string machine) {
  const uint64_t id = next_client_++;
  clients_[id] = {std::move(peer), std::move(machine)};
  clients_gauge_.set(static_cast<double>(clients_.size()));
  post_([this, id] {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    found->second.greeted = true;
    tell(found->second);
  });
  WebSocketEvents events;
  events.on_drained = [this, id] {
    const auto found = clients_.find(id);
    if (found != clients_.end() && found->second.behind) tell(found->second);
  };
  events.on_close = [this, id](uint16_t) {
    clients_.erase(id);
    clients_gauge_.set(static_cast<double>(clients_.size()));
  };
  return events;
}

void KlipperiwcFeed::changed(const std::set<std::string>& machines) {
  for (auto& [id, client] : clients_) {
    if (client.greeted && (client.machine.empty() || machines.contains(client.machine))) tell(client);
  }
}

void KlipperiwcFeed::tell(Client& client) {
  client.behind = client.peer->queued_bytes() > 0;
  if (client.behind) return;
  const auto text = message_(client.machine);
  if (text) client.behind = !client.peer->send(std::make_shared<const std::string>(*text));
}

void KlipperiwcFeed::close_all() {
  for (auto& [id, client] : clients_) client.peer->close(1001, "the hub is stopping");
}

}  // namespace millrace
