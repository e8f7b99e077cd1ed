// SPDX-License-Identifier: Apache-2.0
#include "web/edge/edge.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "bus/logging.h"
#include "projections/command_history.h"
#include "projections/job_history.h"
#include "projections/record.h"
#include "web/edge/access/access.h"
#include "web/edge/access/access_routes.h"
#include "web/edge/access/credentials.h"
#include "web/edge/access/key_desk.h"
#include "web/edge/access/own_part.h"
#include "web/edge/access/route_access.h"
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

// A HEAD is answered by the route of GET.
bool is_change(const Route& route) { return route.method != "GET"; }

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

  // A request that was let in, and by whom.
  struct Asked {
    const Route& route;
    std::map<std::string, std::string> path;
    Caller caller;
    RouteRequest for_route(const HttpRequest& http) const { return {http, path, caller.actor, caller}; }
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
        access({parts.keys == nullptr ? nullptr : &parts.keys->keys(), parts.clock,
                parts.random == nullptr ? system_random : *parts.random, parts.metrics, parts.submit},
               options.access),
        access_timer(parts.loop),
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
                  parts.send_command, parts.log.incarnation_number()},
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
  SystemRandom system_random;
  Access access;
  LoopTimer access_timer;
  uint64_t next_socket = 1;
  std::string access_trouble;  // why the files of keys and sessions cannot be read or written; said once
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
    const auto of_caller = std::make_shared<std::vector<std::pair<std::string, std::string>>>();
    const auto answer = [respond = std::move(respond), of_caller, older = is_older_surface(request.path),
                         placer = is_placer_surface(request.path), hsts = hsts()](HttpResponse response) {
      if (older) response = in_older_words(std::move(response));
      if (placer) response = in_placer_words(std::move(response));
      response.headers.insert(response.headers.end(), of_caller->begin(), of_caller->end());
      add_security_headers(response, hsts);
      respond(std::move(response));
    };
    if (auto refused = refuse_host(request, options.host)) return answer(std::move(*refused));
    if (request.method == "HEAD") request.method = "GET";  // the server leaves the body out
    RouteMatch match = find_route(request.method, request.path);
    if (match.route == nullptr) return answer(without_route(request, match));
    requests_total.add();
    if (match.route->runs_on == RunsOn::kCommand && asks_for_emergency_stop(request)) {
      match = find_route("POST", "/api/v1/machines/" + match.path.at("id") + std::string(kEmergencyStopEnd));
    }
    if (match.route->runs_on == RunsOn::kSocket) {
      return answer(api_problem(426, "upgrade_required", fmt::format("{} is a WebSocket", request.path)));
    }
    auto admitted = access.admit(request, *match.route, match.path);
    if (!admitted) return answer(admitted.error());
    *of_caller = std::move(admitted->headers);
    const auto recorded = recording(request, *match.route, admitted->caller, answer);
    if (match.route->runs_on == RunsOn::kUrgent) {
      return emergency_stops.stop(request, match.path["id"], admitted->caller, recorded);
    }
    if (auto known = check_known(request, match.route->parameters); !known)
      return recorded(api_problem_from(known.error()));
    Asked asked{*match.route, std::move(match.path), std::move(admitted->caller)};
    if (match.route->runs_on == RunsOn::kWrite) return write(std::move(asked), request, recorded);
    if (match.route->runs_on == RunsOn::kCommand) return command(std::move(asked), request, recorded);
    if (match.route->runs_on == RunsOn::kLater) return later(std::move(asked), request, recorded);
    const auto position = min_position_in(request);
    if (!position) return recorded(api_problem_from(position.error()));
    const auto shared = std::make_shared<const HttpRequest>(std::move(request));
    const auto go_on = [this, asked = std::move(asked), shared, recorded, wanted = *position](bool reached) {
      if (!reached) {
        behind_total.add();
        return recorded(api_problem(
            503, "view_behind",
            fmt::format("the views have position {}, asked for at least {}", live.position().value, wanted.value)));
      }
      run(asked, shared, recorded);
    };
    match.route->of_views ? when_reached(*position, go_on) : go_on(true);
  }

  // Answers, and records a change that was asked of a machine that is not there, or with a body that is too large.
  // Commands do so themselves.  Loop's thread.
  Responder recording(const HttpRequest& request, const Route& route, const Caller& caller, Responder answer) {
    if (!is_change(route) || route.runs_on == RunsOn::kCommand) return answer;
    HttpRequest head;
    head.method = request.method;
    head.path = request.path;
    return [this, head = std::move(head), caller, answer = std::move(answer)](HttpResponse response) {
      if (Access::is_worth_recording(response)) access.record_denial(head, caller, response);
      answer(std::move(response));
    };
  }

  // Who may not ask at all is recorded as that.
  void on_body_refused(const HttpRequest& request, const HttpResponse& refusal) override {
    const RouteMatch match = find_route(request.method, request.path);
    if (match.route == nullptr || !is_change(*match.route) || refuse_host(request, options.host)) return;
    const auto admitted = access.admit(request, *match.route, match.path);
    if (admitted) access.record_denial(request, admitted->caller, refusal);
  }

  bool is_urgent(std::string_view method, std::string_view path) override {
    const RouteMatch match = find_route(method, path);
    return match.route != nullptr && match.route->runs_on == RunsOn::kUrgent;
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
  void run(const Asked& asked, const std::shared_ptr<const HttpRequest>& request, const Answer& answer) {
    const Route& route = asked.route;
    if (route.runs_on == RunsOn::kLoop) {
      HttpResponse response =
          route.respond({parts, options, &live, nullptr, started, &access}, asked.for_route(*request));
      finish(route, response);
      if (concerns_of(route) == Concerns::kOwnPart && !asked.caller.of_all_machines()) {
        response.body = own_part(response.body, asked.caller);
      }
      return answer(std::move(response));
    }
    const bool taken = worker.offer([this, asked, request, answer] {
      auto refused = refuse_job(asked, *request);
      auto response = std::make_shared<HttpResponse>(
          refused ? std::move(*refused)
                  : asked.route.respond({parts, options, nullptr, &jobs, started}, asked.for_route(*request)));
      post([this, &route = asked.route, response, answer] {
        finish(route, *response);
        answer(std::move(*response));
      });
    });
    if (taken) return;
    refused_total.add();
    answer(overloaded("too many reads wait"));
  }

  // On the worker: 403 when the job in the path is of a machine that the caller's key does not have.
  std::optional<HttpResponse> refuse_job(const Asked& asked, const HttpRequest& request) {
    if (asked.caller.of_all_machines() || concerns_of(asked.route) != Concerns::kJob) return std::nullopt;
    const auto part = find_job(*parts.store.reader(), asked.path.at("id"));
    // Whether there is such a job at all is nothing that it may know either.
    const std::string machine = part ? part->job.machine : "";
    auto refused = Access::refuse_machine(asked.caller, machine.empty() ? "unknown" : machine);
    if (refused) {
      const auto denied = std::make_shared<const std::pair<HttpRequest, HttpResponse>>(request, *refused);
      post([this, denied, caller = asked.caller] { access.record_denial(denied->first, caller, denied->second); });
    }
    return refused;
  }

  template <class Answer>
  void write(Asked asked, HttpRequest& request, const Answer& answer) {
    const auto shared = std::make_shared<const HttpRequest>(std::move(request));
    writes.add({[this, asked = std::move(asked), shared]() -> WriteDecision {
                  if (auto refused = refuse_job(asked, *shared)) return std::move(*refused);
                  return asked.route.decide({parts, options, nullptr, &jobs}, asked.for_route(*shared));
                },
                [this](const EdgeWrite& write) {
                  return write.answer({parts, options, nullptr, &jobs});
                },
                answer});
  }

  template <class Answer>
  void command(Asked asked, HttpRequest& request, const Answer& answer) {
    const auto shared = std::make_shared<const HttpRequest>(std::move(request));
    const bool taken = worker.offer([this, asked = std::move(asked), shared, answer] {
      auto decision =
          std::make_shared<CommandDecision>(asked.route.ask({parts, options, nullptr}, asked.for_route(*shared)));
      post([this, decision, answer] {
        if (!*decision) return answer(decision->error());
        commands.ask(std::move(**decision), answer);
      });
    });
    if (!taken) answer(overloaded("too many reads wait"));
  }

  template <class Answer>
  void later(Asked asked, HttpRequest& request, const Answer& answer) {
    if (under_way >= options.max_connection_tests) return answer(overloaded("too many connections are being tested"));
    const auto shared = std::make_shared<const HttpRequest>(std::move(request));
    ++under_way;
    const auto end = [this, &route = asked.route, answer](HttpResponse response) {
      --under_way;
      finish(route, response);
      answer(std::move(response));
    };
    const bool taken = worker.offer([this, asked = std::move(asked), shared, end] {
      auto refused = refuse_job(asked, *shared);
      auto decision = std::make_shared<LaterDecision>(
          refused ? LaterDecision(std::move(*refused))
                  : asked.route.prepare({parts, options, nullptr}, asked.for_route(*shared)));
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
    const auto refuse = [hsts = hsts()](HttpResponse response) {
      add_security_headers(response, hsts);
      return response;
    };
    if (auto refused = refuse_host(request, options.host)) return refuse(std::move(*refused));
    if (auto refused = refuse_origin(request)) return refuse(std::move(*refused));
    const RouteMatch match = find_route("GET", request.path);
    if (match.route == nullptr || match.route->runs_on != RunsOn::kSocket) {
      return refuse(
          api_problem(404, "not_found", fmt::format("there is no WebSocket at {}", request.path.substr(0, 200))));
    }
    auto admitted = access.admit_socket(request, *match.route);
    if (!admitted) return refuse(admitted.error());
    const uint64_t socket = next_socket++;
    access.socket_opened(admitted->caller, peer, socket);
    auto events = open_socket(request, *match.route, own_part_of(std::move(peer), admitted->caller));
    if (!events) {
      access.socket_closed(socket);
      return refuse(events.error());
    }
    events->on_close = [this, socket, inner = std::move(events->on_close)](uint16_t code) {
      access.socket_closed(socket);
      if (inner) inner(code);
    };
    if (offers_socket_protocol(request)) events->protocol = kSocketProtocol;
    return events;
  }

  boost::system::result<WebSocketEvents, HttpResponse> open_socket(const HttpRequest& request, const Route& route,
                                                                   std::shared_ptr<WebSocketPeer> peer) {
    if (auto known = check_known(request, route.parameters); !known) return api_problem_from(known.error());
    const bool is_klipperiwc = route.operation == "klipperiwcFeed";
    if (is_klipperiwc ? klipperiwc.full() : feed.full()) {
      refused_total.add();
      return overloaded("too many live clients");
    }
    if (is_klipperiwc) {
      const std::string machine = text_in(request, "machine");
      if (!machine.empty() && live.machine_or_first(machine) == nullptr) return machine_not_found(machine);
      return klipperiwc.add(std::move(peer), machine);
    }
    const auto position = number_in(request, "position");
    if (!position) return api_problem_from(position.error());
    std::optional<Position> resume;
    if (*position) resume = Position{**position};
    return feed.add(std::move(peer), resume, text_in(request, "incarnation"));
  }

  // --- access

  std::chrono::seconds hsts() const { return options.access.tls ? options.hsts : std::chrono::seconds(0); }

  // Keys that were made or revoked by another process count from here on; what this one knows is written.
  void tend_access() {
    access.look_at_sockets();
    access_timer.start(options.access_interval, [this] { tend_access(); });
    worker.offer([this] {
      auto trouble = std::make_shared<std::string>();
      if (auto tended = access.tend(); !tended) *trouble = tended.error().message();
      post([this, trouble] {
        if (*trouble == access_trouble) return;
        access_trouble = *trouble;
        parts.health.set("access", trouble->empty(), *trouble);
        if (!trouble->empty()) log_error("access", "keys stay as they were read last: {}", *trouble);
      });
    });
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
  if (auto loaded = impl_->access.load(); !loaded) return loaded;
  if (auto listening = impl_->server.listen(impl_->options.host, impl_->options.port); !listening) return listening;
  impl_->catch_up_jobs();
  impl_->heartbeat.start(impl_->options.heartbeat, [impl = impl_.get()] { impl->beat(); });
  if (impl_->parts.keys != nullptr) impl_->tend_access();
  impl_->parts.health.set(std::string(kPart), true);
  return {};
}

uint16_t Edge::port() const { return impl_->server.port(); }

void Edge::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  impl_->heartbeat.cancel();
  impl_->access_timer.cancel();
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
