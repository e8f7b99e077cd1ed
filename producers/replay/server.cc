// SPDX-License-Identifier: Apache-2.0
// Serves a recording as if it were the machine.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "bus/logging.h"
#include "producers/replay/slices.h"
#include "producers/replay/timeline.h"
#include "producers/replay/web.h"
#include "producers/simulator/simulator.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;

constexpr double kMaxSpeed = 1000;
constexpr milliseconds kGoodbye{60};  // for closing handshakes before the port closes
constexpr milliseconds kPortRetry{200};
constexpr int kFirstRealCloseCode = 1000;
constexpr int kNoCode = 1005;
constexpr int kAbnormal = 1006;

class RunningReplay final : public ReplayServer, private MoonrakerService {
 public:
  RunningReplay(IoLoop& loop, const Clock& clock, ReplayOptions options, const Recording& recording)
      : clock_(clock),
        options_(std::move(options)),
        timeline_(recording),
        web_(recording.exchanges),
        front_(loop, *this),
        step_timer_(loop),
        port_timer_(loop) {
    if (options_.rebase) {
      shift_s_ = static_cast<double>(to_unix_us(clock.wall())) / 1e6 - timeline_.wall(timeline_.begin());
    }
  }

  Result<void> listen() { return front_.listen(options_.host, options_.port); }
  uint16_t port() const override { return front_.port(); }
  bool ended() const override { return next_step_ >= timeline_.steps().size() && position() >= timeline_.end(); }

 private:
  double position() const {
    if (!origin_) return timeline_.begin();
    return timeline_.begin() + std::chrono::duration<double>(clock_.monotonic() - *origin_).count() * options_.speed;
  }

  void start_clock() {
    if (origin_) return;
    origin_ = clock_.monotonic();
    schedule();
  }

  void schedule() {
    if (!origin_ || next_step_ >= timeline_.steps().size()) return;
    const double wait_s = (timeline_.steps()[next_step_].t - position()) / options_.speed;
    step_timer_.start(Micros{std::max<int64_t>(0, static_cast<int64_t>(wait_s * 1e6) + 1)}, [this] { run_due(); });
  }

  void run_due() {
    const double now = position();
    while (next_step_ < timeline_.steps().size() && timeline_.steps()[next_step_].t <= now) {
      run_step(timeline_.steps()[next_step_++]);
    }
    schedule();
  }

  void run_step(const ReplayStep& step) {
    switch (step.kind) {
      case ReplayStep::Kind::kStatus:
        return send_status(step);
      case ReplayStep::Kind::kKlippyDisconnected:
        subscriptions_.clear();
        return front_.broadcast(shifted(step.text));
      case ReplayStep::Kind::kNotification:
        return front_.broadcast(shifted(step.text));
      case ReplayStep::Kind::kClosed:
        return close(step);
      case ReplayStep::Kind::kConnected:
        return come_back();
    }
  }

  void send_status(const ReplayStep& step) {
    std::map<std::string_view, std::shared_ptr<const std::string>> frames;
    const auto subscriptions = subscriptions_;  // a copy: sending may end a connection
    for (const auto& [connection, filter] : subscriptions) {
      auto [found, is_new] = frames.try_emplace(filter.key());
      if (is_new) {
        const std::string objects = filtered_objects(step.objects, filter);
        if (!objects.empty()) {
          const std::string params = step.eventtime.empty() ? objects : objects + "," + step.eventtime;
          found->second = notification("notify_status_update", params);
        }
      }
      if (found->second) front_.send(connection, found->second);
    }
  }

  void close(const ReplayStep& step) {
    is_away_ = true;
    const bool properly = step.code >= kFirstRealCloseCode && step.code != kNoCode && step.code != kAbnormal;
    if (!properly) return leave();
    front_.close_all(static_cast<uint16_t>(step.code), step.text);
    port_timer_.start(kGoodbye, [this] { leave(); });
  }

  void leave() {
    front_.go_away();
    subscriptions_.clear();
  }

  void come_back() {
    if (!is_away_) return;
    port_timer_.cancel();
    leave();
    if (auto listening = front_.listen(options_.host, front_.port()); !listening) {
      log_warn("replay", "cannot come back: {}", listening.error().message());
      return port_timer_.start(kPortRetry, [this] { come_back(); });
    }
    is_away_ = false;
  }

  std::string shifted_text(const std::string& json) {
    if (shift_s_ == 0) return json;
    const auto parsed = reader_.parse(json);
    return parsed ? shift_wall_times(*parsed, shift_s_) : json;
  }
  std::shared_ptr<const std::string> shifted(const std::string& json) {
    return std::make_shared<const std::string>(shifted_text(json));
  }

  void call(const MoonrakerCall& call, MoonrakerReply reply) override {
    run_due();
    if (!timeline_.has_subscription()) start_clock();
    const std::string_view method = call.method;
    if (method == "server.connection.identify" && call.connection != 0) {
      reply(fmt::format(R"({{"connection_id":{}}})", call.connection));
    } else if (method == "printer.objects.subscribe" || method == "printer.objects.query") {
      reply(objects(call, method == "printer.objects.subscribe"));
    } else if (method.starts_with("server.history.")) {
      reply(history(call));
    } else {
      auto answer = timeline_.answer(method, canonical_json(call.params), position());
      reply(answer ? MoonrakerAnswer(shifted_text(*answer)) : answer);
    }
  }

  MoonrakerAnswer objects(const MoonrakerCall& call, bool subscribes) {
    const auto wanted = member(call.params, "objects");
    if (!wanted) return MoonrakerError{400, "Missing Argument [objects]"};
    if (subscribes && call.connection == 0) {
      return MoonrakerError{400, "No connection associated with subscription request"};
    }
    std::string error;
    auto filter = StatusFilter::read(*wanted, error);
    if (!filter) return MoonrakerError{400, error};
    const auto fold = timeline_.objects(position());
    if (!fold) return fold.error();
    auto answer = fold->answer(*filter);
    if (subscribes) {
      subscriptions_.erase(call.connection);
      if (!filter->empty()) subscriptions_.emplace(call.connection, std::move(*filter));
      start_clock();
    }
    return answer;
  }

  MoonrakerAnswer history(const MoonrakerCall& call) {
    auto rows = timeline_.history(position());
    if (shift_s_ != 0) {
      for (ShownHistoryRow& row : rows) {
        row.start_time += shift_s_;
        if (row.end_time) *row.end_time += shift_s_;
        row.json = shifted_text(row.json);
      }
    }
    if (call.method == "server.history.list") return history_list_answer(rows, read_history_query(call.params));
    if (call.method == "server.history.totals") return history_totals_answer(rows);
    if (call.method == "server.history.get_job") {
      const std::string uid(text_member(call.params, "uid").value_or(""));
      auto job = history_job_answer(rows, uid);
      return job ? MoonrakerAnswer(std::move(*job)) : MoonrakerError{404, "Invalid job uid: " + uid};
    }
    return MoonrakerError{404, "Method not found"};
  }

  void on_connected(uint64_t, const HttpRequest&) override {}
  void on_disconnected(uint64_t connection) override { subscriptions_.erase(connection); }

  bool on_http(const HttpRequest& request, const Responder& respond) override {
    auto response = web_.answer(request);
    if (!response) return false;
    respond(std::move(*response));
    return true;
  }

  const Clock& clock_;
  ReplayOptions options_;
  ReplayTimeline timeline_;
  ReplayWeb web_;
  JsonReader reader_;
  MoonrakerFront front_;
  LoopTimer step_timer_;
  LoopTimer port_timer_;
  double shift_s_ = 0;
  std::optional<MonotonicTime> origin_;
  size_t next_step_ = 0;
  bool is_away_ = false;
  std::map<uint64_t, StatusFilter> subscriptions_;
};

}  // namespace

Result<std::unique_ptr<ReplayServer>> ReplayServer::start(IoLoop& loop, const Clock& clock, ReplayOptions options) {
  if (!(options.speed > 0 && options.speed <= kMaxSpeed)) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("speed {} is not above 0 and at most {}", options.speed, kMaxSpeed));
  }
  auto recording = read_recording(options.recording);
  if (!recording) return recording.error();
  auto replay = std::make_unique<RunningReplay>(loop, clock, std::move(options), *recording);
  if (auto listening = replay->listen(); !listening) return listening.error();
  return replay;
}

}  // namespace millrace
