// SPDX-License-Identifier: Apache-2.0
#include "web/edge/live_feed.h"

#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr size_t kMaxClientMessageBytes = 4096;

}  // namespace

LiveFeed::LiveFeed(LiveFeedOptions options, std::string incarnation, std::function<std::string()> snapshot,
                   std::function<void(std::function<void()>)> post, Metrics& metrics)
    : options_(options),
      incarnation_(std::move(incarnation)),
      make_snapshot_(std::move(snapshot)),
      post_(std::move(post)),
      clients_gauge_(metrics.gauge("millrace_live_clients", "Connected clients of the live feed")),
      dropped_total_(metrics.counter("millrace_live_queues_dropped_total", "Slow clients that were given a snapshot")),
      snapshots_total_(metrics.counter("millrace_live_snapshots_total", "Snapshots sent on the live feed")) {}

void LiveFeed::restart(Position position) {
  position_ = position;
  floor_ = position;
  ring_.clear();
  ring_bytes_ = 0;
  snapshot_.reset();
  for (auto& [id, client] : clients_) {
    if (client.greeted && !client.behind) send_snapshot(client);
  }
}

void LiveFeed::advance(Position position, const SharedText& delta) {
  position_ = position;
  snapshot_.reset();
  if (!delta) return;
  ring_.push_back({position, delta});
  ring_bytes_ += delta->size();
  while (ring_.size() > options_.resume_deltas || ring_bytes_ > options_.resume_bytes) {
    floor_ = ring_.front().position;
    ring_bytes_ -= ring_.front().text->size();
    ring_.pop_front();
  }
  for (auto& [id, client] : clients_) send(client, delta);
}

LiveFeed::SharedText LiveFeed::heartbeat_text() const {
  JsonWriter json;
  json.object().field("type", "heartbeat").field("position", position_.value).field("time", time_).end();
  return std::make_shared<const std::string>(json.take());
}

void LiveFeed::heartbeat(const std::string& time) {
  time_ = time;
  const SharedText text = heartbeat_text();
  for (auto& [id, client] : clients_) send(client, text);
}

void LiveFeed::send(Client& client, const SharedText& text) {
  if (!client.greeted || client.behind) return;
  if (client.peer->queued_bytes() <= options_.queue_bytes && client.peer->send(text)) return;
  client.behind = true;
  dropped_total_.add();
}

void LiveFeed::send_snapshot(Client& client) {
  if (!snapshot_) snapshot_ = std::make_shared<const std::string>(make_snapshot_());
  snapshots_total_.add();
  client.behind = !client.peer->send(snapshot_);
}

void LiveFeed::send_error(Client& client, std::string_view code, std::string_view detail) {
  JsonWriter json;
  json.object().field("type", "error").field("code", code).field("detail", detail).end();
  send(client, std::make_shared<const std::string>(json.take()));
}

bool LiveFeed::resume(Client& client, Position position, std::string_view incarnation) {
  if (!incarnation.empty() && incarnation != incarnation_) return false;
  if (position < floor_ || position > position_) return false;
  // A delta at the very position is sent again: it may tell that a machine became stale, and whole objects do no harm.
  bool sent = false;
  for (const Delta& delta : ring_) {
    if (delta.position < position) continue;
    send(client, delta.text);
    sent = true;
  }
  if (!sent) send(client, heartbeat_text());
  return true;
}

WebSocketEvents LiveFeed::add(std::shared_ptr<WebSocketPeer> peer, std::optional<Position> position,
                              std::string_view incarnation) {
  const uint64_t id = next_client_++;
  Client& client = clients_[id];
  client.peer = std::move(peer);
  clients_gauge_.set(static_cast<double>(clients_.size()));
  post_([this, id, position, from = std::string(incarnation)] { greet(id, position, from); });
  WebSocketEvents events;
  events.on_text = [this, id](std::string_view text) { on_text(id, text); };
  events.on_drained = [this, id] { on_drained(id); };
  events.on_close = [this, id](uint16_t) {
    clients_.erase(id);
    clients_gauge_.set(static_cast<double>(clients_.size()));
  };
  return events;
}

void LiveFeed::greet(uint64_t id, std::optional<Position> position, const std::string& incarnation) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  found->second.greeted = true;
  if (!position || !resume(found->second, *position, incarnation)) send_snapshot(found->second);
}

void LiveFeed::on_text(uint64_t id, std::string_view text) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  JsonReader reader(kMaxClientMessageBytes, 8);
  const auto message = reader.parse(text);
  if (!message) return send_error(client, "malformed", "a message is one JSON object of at most 4096 bytes");
  const auto type = text_member(*message, "type");
  if (!type) return send_error(client, "malformed", "a message has a 'type'; expected 'resume'");
  if (*type != "resume") {
    return send_error(client, "unknown_type", "type '" + std::string(*type) + "' is not known; expected 'resume'");
  }
  const auto position = integer_member(*message, "position");
  if (!position || *position < 0) {
    return send_error(client, "invalid_position", "resume needs 'position': an integer from 0");
  }
  const auto incarnation = text_member(*message, "incarnation").value_or("");
  if (!client.behind && !resume(client, Position{static_cast<uint64_t>(*position)}, incarnation)) send_snapshot(client);
}

void LiveFeed::on_drained(uint64_t id) {
  const auto found = clients_.find(id);
  if (found != clients_.end() && found->second.greeted && found->second.behind) send_snapshot(found->second);
}

void LiveFeed::close_all() {
  for (auto& [id, client] : clients_) client.peer->close(1001, "the hub is stopping");
}

}  // namespace millrace
