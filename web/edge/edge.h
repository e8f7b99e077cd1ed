// SPDX-License-Identifier: Apache-2.0
// What browsers and programs see of the hub: HTTP answers, the live feed over WebSocket, and the web app's files.
//
// Requests are answered on the loop's thread from memory; what reads a disk runs on a worker thread of the edge's own.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/blob_store.h"
#include "bus/clock.h"
#include "bus/command_message.h"
#include "bus/event_log.h"
#include "bus/events.h"
#include "bus/health.h"
#include "bus/machine_secrets.h"
#include "bus/metrics.h"
#include "bus/random.h"
#include "net/http_server.h"
#include "net/io_loop.h"
#include "projections/projector.h"
#include "projections/view_store.h"
#include "web/edge/access/access_options.h"

namespace millrace {

class EmergencyStopper;
struct EmergencyRecord;

struct EdgeOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: a free one
  std::string site_name = "Millrace";
  std::string timezone = "UTC";
  std::string version;
  bool demo = false;
  std::map<std::string, std::string> sensor_units;  // by signal, "sensor shelf.humidity"; win over the table's
  std::chrono::seconds stale_after{60};             // a machine that nothing was recorded of for so long is stale
  std::chrono::milliseconds heartbeat{5'000};       // on the live feed; machines that became stale are told then
  std::chrono::milliseconds view_wait{2'000};       // for Millrace-Min-Position, then 503 view_behind
  size_t max_waiting_requests = 256;                // for a position; further ones are answered 503
  size_t max_queued_reads = 64;                     // for the worker; further ones are answered 503
  size_t max_queued_writes = 64;                    // changes; further ones are answered 503
  size_t resume_deltas = 1024;                      // kept for clients that come back
  size_t resume_bytes = 4u << 20;
  size_t live_queue_bytes = 512u << 10;  // of one client; beyond it deltas give way to a snapshot
  size_t max_live_clients = 256;
  std::filesystem::path secrets_file;  // of machines made by API; empty: keys cannot be taken
  // Of a machine that the configuration file has now; nullopt: it has none of this id.  Any thread.  Empty: no file.
  std::function<std::optional<MachineSecret>(const std::string& machine)> file_secret;
  size_t max_connection_tests = 8;  // at a time; further ones are answered 503
  bool plain_jobs_as_page =
      false;  // what /api/jobs without parameters answers: 3d-print-logger's page, not KlipperIWC's
  HttpServerOptions http{.urgent_connections = 32};
  AccessOptions access;
  std::chrono::seconds hsts{31'536'000};  // with TLS: how long browsers refuse plain HTTP of this host; 0: not told
  std::chrono::milliseconds access_interval{1'000};  // how soon a change of the file of keys counts
};

// Hands events over to be appended as one group; `done` is called once, on any thread, with the position of the last.
using SubmitEvents = std::function<void(std::vector<EventDraft>, std::function<void(Result<Position>)> done)>;

// Hands a command to the broker.  Any thread, never blocks.
using SendCommand = std::function<Result<void>(const CommandMessage&)>;

class KeyDesk;

struct EdgeParts {  // each outlives the edge
  IoLoop& loop;
  const EventLog& log;
  const ViewStore& store;
  const Clock& clock;
  Metrics& metrics;
  Health& health;
  SubmitEvents submit = nullptr;                               // empty: nothing can be changed by way of HTTP
  BlobStore* blobs = nullptr;                                  // null: no pictures are kept
  KeyDesk* keys = nullptr;                                     // null: no keys, and only this computer is let in
  Random* random = nullptr;                                    // for sessions; with keys
  SendCommand send_command = nullptr;                          // empty: no machine can be asked for anything
  EmergencyStopper* stopper = nullptr;                         // null: no machine can be stopped from here
  std::function<void(EmergencyRecord)> record_stop = nullptr;  // never waits
};

class Edge {
 public:
  Edge(EdgeParts parts, EdgeOptions options);
  ~Edge();

  // Reads the views and listens; before the loop runs.  kConflict when the port is taken; kCorrupt, kIo from the views.
  Result<void> start();
  uint16_t port() const;
  // Stops listening and answering.  Loop's thread, or when the loop does not run.
  void stop();

  // The projector's on_applied: any thread, never blocks.  Connect it before the projector starts.
  void on_applied(std::shared_ptr<const AppliedGroup> group);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace millrace
