// SPDX-License-Identifier: Apache-2.0
// The clients of /api/v1/live.  One serialised delta is shared by all of them and by the ring that lets a client
// resume. A client that reads too slowly loses its deltas and gets a fresh snapshot once its queue is empty.  Loop's
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bus/ids.h"
#include "bus/metrics.h"
#include "net/http_server.h"

namespace millrace {

struct LiveFeedOptions {
  size_t resume_deltas = 1024;
  size_t resume_bytes = 4u << 20;
  size_t queue_bytes = 512u << 10;
  size_t max_clients = 256;
};

class LiveFeed {
 public:
  using SharedText = std::shared_ptr<const std::string>;

  // `snapshot` gives the current one, at the feed's position; the feed makes it once per position.  `post` runs a task
  // on the loop's thread after the present callback: a peer can be used only once its upgrade was accepted.
  LiveFeed(LiveFeedOptions options, std::string incarnation, std::function<std::string()> snapshot,
           std::function<void(std::function<void()>)> post, Metrics& metrics);

  // Forgets the ring: nothing before `position` can be resumed from.  Every client gets a snapshot.
  void restart(Position position);
  // The state is now at `position`; `delta` is null when nothing in it changed.
  void advance(Position position, const SharedText& delta);
  void heartbeat(const std::string& time);

  bool full() const { return clients_.size() >= options_.max_clients; }
  // `resume`: the position up to which the client has everything, from the log of `incarnation` ("" = not said).
  WebSocketEvents add(std::shared_ptr<WebSocketPeer> peer, std::optional<Position> resume,
                      std::string_view incarnation);
  void close_all();

 private:
  struct Client {
    std::shared_ptr<WebSocketPeer> peer;
    bool greeted = false;  // has its snapshot, or what it resumes from
    bool behind = false;   // waits for its queue to drain
  };
  struct Delta {
    Position position;
    SharedText text;
  };

  void send(Client& client, const SharedText& text);
  void send_snapshot(Client& client);
  void send_error(Client& client, std::string_view code, std::string_view detail);
  // False when the ring does not reach back to it.
  bool resume(Client& client, Position position, std::string_view incarnation);
  void greet(uint64_t id, std::optional<Position> position, const std::string& incarnation);
  void on_text(uint64_t id, std::string_view text);
  void on_drained(uint64_t id);
  SharedText heartbeat_text() const;

  const LiveFeedOptions options_;
  const std::string incarnation_;
  const std::function<std::string()> make_snapshot_;
  const std::function<void(std::function<void()>)> post_;
  Gauge& clients_gauge_;
  Counter& dropped_total_;
  Counter& snapshots_total_;
  Position position_;
  Position floor_;  // deltas after it are in the ring
  std::deque<Delta> ring_;
  size_t ring_bytes_ = 0;
  SharedText snapshot_;  // of position_, made when first needed
  std::string time_;
  std::map<uint64_t, Client> clients_;
  uint64_t next_client_ = 1;
};

}  // namespace millrace
