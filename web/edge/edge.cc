// SPDX-License-Identifier: Apache-2.0
#include "web/edge/edge.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "bus/logging.h"
#include "projections/command_history.h"
#include "projections/record.h"
#include "web/edge/command_lane.h"
#include "web/edge/emergency_stops.h"
#include "web/edge/klipperiwc_feed.h"
#include "web/edge/klipperiwc_json.h"
#include "web/edge/live_feed.h"
#include "web/edge/live_state.h"
#include "web/edge/print_logger/older_errors.h"
#include "web/edge/problem.h"
#include "web/edge/read_worker.h"
#include "web/edge/routes.h"
#include "web/edge/security.h"
#include "web/edge/static_files.h"
#include "web/edge/write_queue.h"

namespace millrace {
namespace {

constexpr std::string_view kPart = "edge";
constexpr std::string_view kReadMethods = "GET, HEAD";
constexpr size_t kManyJobsPending = 500;     // of the catalog, which else takes them in with the next list
constexpr size_t kMaxPendingChanges = 4096;  // whole objects on their way from the projector to the loop

HttpServerOptions server_options(const EdgeOptions& options, Metrics& metrics,
                                 std::function<bool(std::function<void()>)> work) {
  HttpServerOptions server = options.http;
  server.work = std::move(work);
  server.metrics = &metrics;
  return server;
}

HttpResponse overloaded(std::string_view what) {
  return api_problem(503, "overloaded", fmt::format("{}: try again in a second", what));
}

bool belongs_to_api(std::string_view path) {
  return path == "/api" || path.starts_with("/api/") || path == "/health" || path.starts_with("/health/") ||
         path == "/metrics";
}

}  // namespace

struct Edge::Impl final : HttpService, std::enable_shared_from_this<Edge::Impl> {
  // A request that waits until the views have its position.
  struct Waiting {
    Position position;
    std::function<void(bool reached)> go_on;
    std::unique_ptr<LoopTimer> timer;
  };

  Impl(EdgeParts edge_parts, EdgeOptions edge_options)
      : parts(std::move(edge_parts)),
        options(std::move(edge_options)),
        requests_total(parts.metrics.counter("millrace_http_requests_total", "HTTP requests answered by routes")),
        refused_total(parts.metrics.counter("millrace_http_overloaded_total", "HTTP requests refused as too many")),
        behind_total(
            parts.metrics.counter("millrace_http_view_behind_total", "Reads whose position did not come in time")),
        reloads_total(parts.metrics.counter("millrace_live_reloads_total", "Times that the live state was read anew")),
        feed(
            {options.resume_deltas, options.resume_bytes, options.live_queue_bytes, options.max_live_clients},
            parts.log.incarnation(), [this] { return live.snapshot_json(parts.log.incarnation(), now()); },
            [this](std::function<void()> task) { post(std::move(task)); }, parts.metrics),
        klipperiwc(
            [this](const std::string& machine) -> std::optional<std::string> {
              const schema::MachineViewT* shown = live.machine_or_first(machine);
              if (shown == nullptr) return std::nullopt;
              return klipperiwc_message(*shown, now());
            },
            [this](std::function<void()> task) { post(std::move(task)); }, options.max_live_clients, parts.metrics),
        heartbeat(parts.loop),
        writes(
            {[this](std::function<void()> task) { return worker.offer(std::move(task)); },
             [this](std::function<void()> task) { post(std::move(task)); }, parts.submit,
             [this](Position position, std::function<void(bool)> go_on) { when_reached(position, std::move(go_on)); },
             [this](Position position, std::function<void()> go_on) {
               if (position <= live.position()) return go_on();
               late_write = {position, std::move(go_on)};
             }},
            options.max_queued_writes, parts.metrics),
        commands({parts.loop, parts.clock, [this](std::function<void()> task) { post(std::move(task)); }, parts.submit,
                  parts.send_command},
                 parts.metrics),
        emergency_stops(parts, [this](std::function<void()> task) { post(std::move(task)); }),
        jobs(parts.store),
        server(parts.loop, *this,
               server_options(options, parts.metrics,
                              [this](std::function<void()> task) { return worker.offer(std::move(task)); })),
        worker(options.max_queued_reads) {}

  const EdgeParts parts;
  const EdgeOptions options;
  Counter& requests_total;
  Counter& refused_total;
  Counter& behind_total;
  Counter& reloads_total;
  const MonotonicTime started = parts.clock.monotonic();
  LiveState live;
  LiveFeed feed;
  KlipperiwcFeed klipperiwc;
  LoopTimer heartbeat;
  std::map<uint64_t, Waiting> waiting;
  uint64_t next_waiting = 1;
  std::pair<Position, std::function<void()>> late_write;  // whose position the views do not have yet
  WriteQueue writes;
  CommandLane commands;
  EmergencyStops emergency_stops;
  JobCatalog jobs;
  size_t under_way = 0;  // of kLater
  HttpServer server;
  bool stopped = false;

  std::mutex mutex;  // of the two below
  AppliedGroup pending;
  std::map<std::pair<std::string, std::string>, size_t> pending_index;  // into pending.changes
  bool pending_overflow = false;
  bool drain_posted = false;

  ReadWorker worker;  // last: its task may use everything above until it is joined

  void post(std::function<void()> task) {
    parts.loop.post([weak = weak_from_this(), task = std::move(task)] {
      if (const auto self = weak.lock(); self && !self->stopped) task();
    });
  }

  ShownAt now() const { return {parts.clock.wall(), options.stale_after}; }

  // --- from the projector to the loop

  void on_applied(const AppliedGroup& group) {
    jobs.offer(group);
    {
      std::lock_guard lock(mutex);
      pending.position = std::max(pending.position, group.position);
      for (const ViewChange& change : group.changes) add_pending(change);
      if (drain_posted) return;
      drain_posted = true;
    }
    post([this] { drain(); });
  }

  // The last value of each object wins, so that a slow loop is told less often and not later.
  void add_pending(const ViewChange& change) {
    const auto [place, added] = pending_index.try_emplace({change.projection, change.key}, pending.changes.size());
    if (!added) {
      pending.changes[place->second] = change;
    } else if (pending.changes.size() < kMaxPendingChanges) {
      pending.changes.push_back(change);
    } else {
      pending_index.erase(place);
      pending_overflow = true;
    }
  }

  void drain() {
    AppliedGroup group;
    bool overflow = false;
    {
      std::lock_guard lock(mutex);
      std::swap(group, pending);
      pending_index.clear();
      std::swap(overflow, pending_overflow);
      drain_posted = false;
    }
    for (const ViewChange& change : group.changes) {
      if (change.projection != kCommandsView || !change.value) continue;
      if (const auto command = decode_record<schema::CommandView>(*change.value)) commands.saw(*command);
    }
    if (overflow) {
      reload();
    } else {
      advance(group);
    }
    release_waiting();
    if (jobs.pending() > kManyJobsPending) catch_up_jobs();
  }

  // Lists wait for it, which matters only after a start with a long history.
  void catch_up_jobs() {
    worker.offer([this] {
      if (auto done = jobs.catch_up(); !done) log_error("edge", "the index of jobs: {}", done.error().message());
    });
  }

  void advance(const AppliedGroup& group) {
    if (group.position <= live.position()) return;
    const LiveState::Changes changes = live.apply(group);
    feed.advance(live.position(),
                 changes.empty() ? nullptr : std::make_shared<const std::string>(live.delta_json(changes, now())));
    if (!changes.machines.empty()) klipperiwc.changed(changes.machines);
  }

  // More changed at once than is told one by one: everything is read again, a short read of what is newest.
  void reload() {
    reloads_total.add();
    auto state = LiveState::read(*parts.store.reader());
    if (!state) {
      log_error("edge", "the live state is old: {}", state.error().message());
      parts.health.set(std::string(kPart), false, state.error().message());
      std::lock_guard lock(mutex);
      pending_overflow = true;  // tried again with the next group
      return;
    }
    parts.health.set(std::string(kPart), true);
    live = std::move(*state);
    live.newly_stale_or_fresh(now());
    feed.restart(live.position());
  }

  void beat() {
    const ShownAt at = now();
    LiveState::Changes changes;
    changes.machines = live.newly_stale_or_fresh(at);
    if (!changes.empty()) {
      feed.advance(live.position(), std::make_shared<const std::string>(live.delta_json(changes, at)));
    }
    feed.heartbeat(to_rfc3339(at.now));
    heartbeat.start(options.heartbeat, [this] { beat(); });
  }

  // --- read your writes

  void when_reached(Position position, std::function<void(bool reached)> go_on) {
    if (position <= live.position()) return go_on(true);
    if (waiting.size() >= options.max_waiting_requests) return go_on(false);
    const uint64_t id = next_waiting++;
    Waiting& entry = waiting[id];
    entry.position = position;
    entry.go_on = std::move(go_on);
    entry.timer = std::make_unique<LoopTimer>(parts.loop);
    entry.timer->start(options.view_wait, [this, id] {
      const auto found = waiting.find(id);
      if (found == waiting.end()) return;
      const auto expired = std::move(found->second.go_on);
      // The timer whose callback this is goes with its entry, after the callback.
      post([this, id] { waiting.erase(id); });
      found->second.position = Position{UINT64_MAX};
      found->second.go_on = [](bool) {};
      expired(false);
    });
  }

  void release_waiting() {
    if (late_write.second && late_write.first <= live.position()) std::exchange(late_write.second, nullptr)();
    std::vector<std::function<void(bool)>> reached;
    for (auto entry = waiting.begin(); entry != waiting.end();) {
      if (entry->second.position > live.position()) {
        ++entry;
        continue;
      }
      reached.push_back(std::move(entry->second.go_on));
      entry = waiting.erase(entry);
    }
    for (const auto& go_on : reached) go_on(true);
  }

  // --- requests

  void on_request(HttpRequest request, Responder respond) override {
    const auto answer = [respond = std::move(respond), older = is_older_surface(request.path)](HttpResponse response) {
      if (older) response = in_older_words(std::move(response));
      add_security_headers(response);
      respond(std::move(response));
    };
    if (auto refused = refuse_host(request, options.host)) return answer(std::move(*refused));
    if (request.method == "HEAD") request.method = "GET";  // the server leaves the body out
    RouteMatch match = find_route(request.method, request.path);
    if (match.route == nullptr) return answer(without_route(request, match));
    requests_total.add();
    if (match.route->runs_on == RunsOn::kUrgent) return emergency_stops.stop(request, match.path["id"], answer);
    if (match.route->runs_on == RunsOn::kSocket) {
      return answer(api_problem(426, "upgrade_required", fmt::format("{} is a WebSocket", request.path)));
    }
    if (auto known = check_known(request, match.route->parameters); !known)
      return answer(api_problem_from(known.error()));
    if (match.route->runs_on == RunsOn::kWrite) return write(*match.route, std::move(match.path), request, answer);
    if (match.route->runs_on == RunsOn::kCommand) return command(*match.route, std::move(match.path), request, answer);
    if (match.route->runs_on == RunsOn::kLater) return later(*match.route, std::move(match.path), request, answer);
    const auto position = min_position_in(request);
    if (!position) return answer(api_problem_from(position.error()));
    const auto shared = std::make_shared<const HttpRequest>(std::move(request));
    const auto go_on = [this, route = match.route, path = std::move(match.path), shared, answer,
                        wanted = *position](bool reached) {
      if (!reached) {
        behind_total.add();
        return answer(api_problem(
            503, "view_behind",
            fmt::format("the views have position {}, asked for at least {}", live.position().value, wanted.value)));
      }
      run(*route, path, shared, answer);
    };
    match.route->of_views ? when_reached(*position, go_on) : go_on(true);
  }

  size_t max_body_bytes(std::string_view method, std::string_view path) override {
    const RouteMatch match = find_route(method, path);
    return match.route != nullptr && match.route->pattern == kBlobPattern ? kMaxBlobBytes : 0;
  }

  HttpResponse without_route(const HttpRequest& request, const RouteMatch& match) const {
    const bool get = request.method == "GET";
    if (match.allow.empty() && !belongs_to_api(request.path) && get) return serve_file(request, embedded_files());
    if (match.allow.empty() && (belongs_to_api(request.path) || get)) {
      return api_problem(404, "not_found",
                         fmt::format("there is nothing at {}; GET /api/openapi.json lists what there is",
                                     request.path.substr(0, 200)));
    }
    HttpResponse response = api_problem(405, "method_not_allowed",
                                        fmt::format("{} {}: expected {}", request.method, request.path,
                                                    match.allow.empty() ? kReadMethods : match.allow));
    response.headers.emplace_back("Allow", match.allow.empty() ? kReadMethods : match.allow);
    return response;
  }

  template <class Answer>
  void run(const Route& route, const std::map<std::string, std::string>& path,
           const std::shared_ptr<const HttpRequest>& request, const Answer& answer) {
    if (route.runs_on == RunsOn::kLoop) {
      HttpResponse response = route.respond({parts, options, &live}, {*request, path, {}});
      finish(route, response);
      return answer(std::move(response));
    }
    const bool taken = worker.offer([this, &route, path, request, answer] {
      auto response = std::make_shared<HttpResponse>(
          route.respond({parts, options, nullptr, &jobs, started}, {*request, path, {}}));
      post([this, &route, response, answer] {
        finish(route, *response);
        answer(std::move(*response));
      });
    });
    if (taken) return;
    refused_total.add();
    answer(overloaded("too many reads wait"));
  }

  template <class Answer>
  void write(const Route& route, std::map<std::string, std::string> path, HttpRequest& request, const Answer& answer) {
    if (auto refused = refuse_change(request)) return answer(std::move(*refused));
    const auto shared = std::make_shared<const HttpRequest>(std::move(request));
    writes.add({[this, &route, path = std::move(path), shared] {
                  return route.decide({parts, options, nullptr, &jobs}, {*shared, path, std::string(kLocalActor)});
                },
                [this](const EdgeWrite& write) {
                  return write.answer({parts, options, nullptr, &jobs});
                },
                answer});
  }

  template <class Answer>
  void command(const Route& route, std::map<std::string, std::string> path, HttpRequest& request,
               const Answer& answer) {
    if (asks_for_emergency_stop(request)) return emergency_stops.stop(request, path.at("id"), answer);
    if (auto refused = refuse_change(request)) return answer(std::move(*refused));
    const auto shared = std::make_shared<const HttpRequest>(std::move(request));
    const bool taken = worker.offer([this, &route, path = std::move(path), shared, answer] {
      auto decision = std::make_shared<CommandDecision>(
          route.ask({parts, options, nullptr}, {*shared, path, std::string(kLocalActor)}));
      post([this, decision, answer] {
        if (!*decision) return answer(decision->error());
        commands.ask(std::move(**decision), answer);
      });
    });
    if (!taken) answer(overloaded("too many reads wait"));
  }

  template <class Answer>
  void later(const Route& route, std::map<std::string, std::string> path, HttpRequest& request, const Answer& answer) {
    if (auto refused = refuse_change(request)) return answer(std::move(*refused));
    if (under_way >= options.max_connection_tests) return answer(overloaded("too many connections are being tested"));
    const auto shared = std::make_shared<const HttpRequest>(std::move(request));
    ++under_way;
    const auto end = [this, &route, answer](HttpResponse response) {
      --under_way;
      finish(route, response);
      answer(std::move(response));
    };
    const bool taken = worker.offer([this, &route, path = std::move(path), shared, end] {
      auto decision = std::make_shared<LaterDecision>(
          route.prepare({parts, options, nullptr}, {*shared, path, std::string(kLocalActor)}));
      post([this, decision, end] {
        if (!*decision) return end(decision->error());
        (**decision)(parts.loop, [weak = weak_from_this(), end](HttpResponse response) {
          if (weak.lock()) end(std::move(response));
        });
      });
    });
    if (!taken) end(overloaded("too many reads wait"));
  }

  void finish(const Route& route, HttpResponse& response) const {
    const auto is_caching = [](const auto& header) { return header.first == "Cache-Control"; };
    if (std::none_of(response.headers.begin(), response.headers.end(), is_caching)) {
      response.headers.emplace_back("Cache-Control", "no-store");
    }
    if (route.of_views) response.headers.emplace_back("Millrace-Position", std::to_string(live.position().value));
  }

  boost::system::result<WebSocketEvents, HttpResponse> on_web_socket(const HttpRequest& request,
                                                                     std::shared_ptr<WebSocketPeer> peer) override {
    const auto refuse = [](HttpResponse response) {
      add_security_headers(response);
      return response;
    };
    if (auto refused = refuse_host(request, options.host)) return refuse(std::move(*refused));
    if (auto refused = refuse_origin(request)) return refuse(std::move(*refused));
    const RouteMatch match = find_route("GET", request.path);
    if (match.route == nullptr || match.route->runs_on != RunsOn::kSocket) {
      return refuse(
          api_problem(404, "not_found", fmt::format("there is no WebSocket at {}", request.path.substr(0, 200))));
    }
    if (auto known = check_known(request, match.route->parameters); !known)
      return refuse(api_problem_from(known.error()));
    const bool is_klipperiwc = match.route->operation == "klipperiwcFeed";
    if (is_klipperiwc ? klipperiwc.full() : feed.full()) {
      refused_total.add();
      return refuse(overloaded("too many live clients"));
    }
    if (is_klipperiwc) {
      const std::string machine = text_in(request, "machine");
      if (!machine.empty() && live.machine_or_first(machine) == nullptr) {
        return refuse(machine_not_found(machine));
      }
      return klipperiwc.add(std::move(peer), machine);
    }
    const auto position = number_in(request, "position");
    if (!position) return refuse(api_problem_from(position.error()));
    std::optional<Position> resume;
    if (*position) resume = Position{**position};
    return feed.add(std::move(peer), resume, text_in(request, "incarnation"));
  }
};

Edge::Edge(EdgeParts parts, EdgeOptions options)
    : impl_(std::make_shared<Impl>(std::move(parts), std::move(options))) {}

Edge::~Edge() { stop(); }

Result<void> Edge::start() {
  impl_->parts.health.set(std::string(kPart), false, "starting");
  auto state = LiveState::read(*impl_->parts.store.reader());
  if (!state) return state.error();
  impl_->live = std::move(*state);
  impl_->live.newly_stale_or_fresh(impl_->now());
  impl_->feed.restart(impl_->live.position());
  if (auto listening = impl_->server.listen(impl_->options.host, impl_->options.port); !listening) return listening;
  impl_->catch_up_jobs();
  impl_->heartbeat.start(impl_->options.heartbeat, [impl = impl_.get()] { impl->beat(); });
  impl_->parts.health.set(std::string(kPart), true);
  return {};
}

uint16_t Edge::port() const { return impl_->server.port(); }

void Edge::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  impl_->heartbeat.cancel();
  impl_->waiting.clear();
  impl_->writes.stop();
  impl_->commands.stop();
  impl_->feed.close_all();
  impl_->klipperiwc.close_all();
  impl_->server.stop();
  impl_->worker.stop();
}

void Edge::on_applied(std::shared_ptr<const AppliedGroup> group) { impl_->on_applied(*group); }

}  // namespace millrace
