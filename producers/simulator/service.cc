// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bus/json_writer.h"
#include "bus/logging.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kGoodbye{60};        // for the closing handshakes before the port closes
constexpr milliseconds kRestartAway{600};   // measured: below a second
constexpr milliseconds kKilledAway{2'000};  // a new process takes longer
constexpr milliseconds kPowerAway{3'000};
constexpr milliseconds kNetworkAway{2'500};
constexpr milliseconds kNetworkLook{250};
constexpr milliseconds kBootPhase{400};  // until Klipper is connected, then until its methods are there
constexpr milliseconds kPortRetry{500};
constexpr uint16_t kGoingAway = 1001;
constexpr double kProcStatIntervalS = 1.0;

Micros micros(double seconds) { return Micros{static_cast<int64_t>(seconds * 1e6)}; }

std::string json_text(std::string_view text) {
  JsonWriter json;
  json.value(text);
  return json.take();
}

}  // namespace

SimulatedService::SimulatedService(IoLoop& loop, const Clock& clock, const HostProfile& profile,
                                   SimulatedServiceOptions options)
    : clock_(clock),
      options_(std::move(options)),
      host_(profile),
      front_(loop, *this),
      tick_timer_(loop),
      delay_timer_(loop),
      boot_timer_(loop),
      soon_timer_(loop),
      delays_(profile.seed ^ 0xdeadu),
      started_(clock.monotonic()) {}

SimulatedService::~SimulatedService() = default;

Result<void> SimulatedService::start() {
  if (auto listening = front_.listen(options_.host, options_.port); !listening) return listening;
  started_ = clock_.monotonic();
  stores_.add_temperatures(host_.state());
  tick_timer_.start(micros(options_.first_update_s), [this] { tick(); });
  return {};
}

double SimulatedService::real_s() const {
  return std::chrono::duration<double>(clock_.monotonic() - started_).count() - left_out_s_;
}

// Ticks are anchored to the start, so that their distances do not drift.
void SimulatedService::tick() {
  ++ticks_;
  const double due = options_.first_update_s + static_cast<double>(ticks_) * options_.update_interval_s;
  const double elapsed = std::chrono::duration<double>(clock_.monotonic() - started_).count();
  if (elapsed > due + kMaxCatchUpS)
    ticks_ = static_cast<uint64_t>((elapsed - options_.first_update_s) / options_.update_interval_s);
  tick_timer_.start(micros(std::max(0.0, due - elapsed)), [this] { tick(); });
  catch_up();
  const auto per_stat =
      std::max<uint64_t>(1, static_cast<uint64_t>(std::lround(kProcStatIntervalS / options_.update_interval_s)));
  if (ticks_ % per_stat == 0) {
    stores_.add_temperatures(host_.state());
    publish_proc_stat();
  }
}

void SimulatedService::catch_up() {
  double target = real_s() * options_.speed;
  const double behind_s = (target - host_.now()) / options_.speed;
  if (behind_s > kMaxCatchUpS) {
    left_out_s_ += behind_s - kMaxCatchUpS;
    target = real_s() * options_.speed;
  }
  while (host_.advance(target)) publish();
  publish();
  step_queue();
}

void SimulatedService::step_queue() {
  const bool idle = boot_ == Boot::kUp && host_.state().klippy == KlippyState::kReady && !host_.print_under_way();
  if (!idle || !queue_.wants_to_print()) return;
  const QueuedJob job = queue_.take();
  publish_queue("job_loaded");
  host_.start_print(job.filename, 0);
  queue_.printing();
  publish_queue("state_changed");
  publish();
}

void SimulatedService::publish_queue(std::string_view action) {
  front_.broadcast(notification("notify_job_queue_changed", queue_.change_json(action)));
}

// In the order in which Moonraker tells: what G-code said, the status, the life of Klipper, and some milliseconds later
// the history.
void SimulatedService::publish() {
  const std::vector<HostEvent> events = host_.take_events();
  if (!events.empty()) send_delayed(true);
  const auto is_first = [](const HostEvent& event) {
    return event.kind == HostEvent::Kind::kGcodeResponse || event.kind == HostEvent::Kind::kCommandDone;
  };
  for (const HostEvent& event : events) {
    if (is_first(event)) publish_event(event);
  }
  publish_status();
  for (const HostEvent& event : events) {
    if (!is_first(event)) publish_event(event);
  }
}

void SimulatedService::publish_status() {
  const bool seen = boot_ == Boot::kUp && host_.state().klippy != KlippyState::kDisconnected;
  if (!seen || subscriptions_.empty()) return;
  StatusTable now = render_status(host_.state());
  const StatusTable delta = status_delta(table_, now);
  table_ = std::move(now);
  if (delta.empty()) return;
  // Clients that asked for the same get the same bytes.
  std::map<std::string_view, std::shared_ptr<const std::string>> frames;
  std::vector<std::pair<uint64_t, std::shared_ptr<const std::string>>> sends;
  for (const auto& [connection, filter] : subscriptions_) {
    auto [found, is_new] = frames.try_emplace(filter.key());
    if (is_new) {
      if (auto text = status_notification(delta, filter, host_.state().eventtime)) {
        found->second = std::make_shared<const std::string>(std::move(*text));
      }
    }
    if (found->second) sends.emplace_back(connection, found->second);
  }
  status_sent_at_ = clock_.wall();
  for (const auto& [connection, frame] : sends) front_.send(connection, frame);
}

void SimulatedService::publish_event(const HostEvent& event) {
  switch (event.kind) {
    case HostEvent::Kind::kGcodeResponse:
      if (boot_ != Boot::kUp) return;
      stores_.add_gcode(host_.wall_now(), "response", event.text);
      return front_.broadcast(notification("notify_gcode_response", json_text(event.text)));
    case HostEvent::Kind::kCommandDone: {
      const auto found = waiting_.find(event.token);
      if (found == waiting_.end()) return;
      const MoonrakerReply reply = std::move(found->second);
      waiting_.erase(found);
      return reply(event.code == 0 ? MoonrakerAnswer("\"ok\"")
                                   : MoonrakerAnswer(MoonrakerError{event.code, event.text}));
    }
    case HostEvent::Kind::kKlippyReady:
      if (boot_ == Boot::kUp) front_.broadcast(notification("notify_klippy_ready"));
      return;
    case HostEvent::Kind::kKlippyShutdown:
      if (boot_ == Boot::kUp) front_.broadcast(notification("notify_klippy_shutdown"));
      return;
    case HostEvent::Kind::kKlippyDisconnected:
      if (boot_ == Boot::kUp) front_.broadcast(notification("notify_klippy_disconnected"));
      return subscriptions_.clear();
    case HostEvent::Kind::kHistoryAdded:
      return delay(notification("notify_history_changed", fmt::format(R"({{"action":"added","job":{}}})", event.text)));
    case HostEvent::Kind::kHistoryFinished:
      return delay(
          notification("notify_history_changed", fmt::format(R"({{"action":"finished","job":{}}})", event.text)));
    case HostEvent::Kind::kMoonrakerRestart:
      return stop_moonraker(true, kRestartAway);
    case HostEvent::Kind::kMoonrakerKill:
      return stop_moonraker(false, kKilledAway);
    case HostEvent::Kind::kPowerLost:
      power_lost_ = true;
      return stop_moonraker(false, kPowerAway);
    case HostEvent::Kind::kNetworkLost:
      return lose_network(false);
    case HostEvent::Kind::kNetworkLostLong:
      return lose_network(true);
    case HostEvent::Kind::kQueueJobs:
      if (queue_.wants_to_print()) return;  // enough is waiting
      queue_.add(event.text, host_.wall_now());
      queue_.start();
      return publish_queue("jobs_added");
  }
}

void SimulatedService::publish_proc_stat() {
  if (front_.connections() == 0) return;
  front_.broadcast(
      notification("notify_proc_stat_update", proc_stat(host_.wall_now(), host_.state(), front_.connections())));
}

void SimulatedService::delay(std::shared_ptr<const std::string> frame) {
  const auto due = clock_.monotonic() + Micros{static_cast<int64_t>(delays_.between(5'000, 20'000))};
  delayed_.push_back({due, std::move(frame)});
  if (delayed_.size() == 1) delay_timer_.start(due - clock_.monotonic(), [this] { send_delayed(false); });
}

void SimulatedService::send_delayed(bool all) {
  while (!delayed_.empty() && (all || delayed_.front().due <= clock_.monotonic())) {
    const auto frame = std::move(delayed_.front().frame);
    delayed_.pop_front();
    front_.broadcast(frame);
  }
  if (delayed_.empty()) return delay_timer_.cancel();
  const auto wait = std::max(Micros{0}, delayed_.front().due - clock_.monotonic());
  delay_timer_.start(wait, [this] { send_delayed(false); });
}

// The machine knows nothing of it: rows are kept, and the print goes on.
void SimulatedService::lose_network(bool until_the_print_ends) {
  if (boot_ != Boot::kUp) return;
  front_.go_away();
  subscriptions_.clear();
  boot_timer_.start(kNetworkAway, [this, until_the_print_ends] { find_network(until_the_print_ends); });
}

void SimulatedService::find_network(bool until_the_print_ends) {
  catch_up();
  if ((until_the_print_ends && host_.print_under_way()) || !front_.listen(options_.host, front_.port())) {
    boot_timer_.start(kNetworkLook, [this, until_the_print_ends] { find_network(until_the_print_ends); });
  }
}

void SimulatedService::stop_moonraker(bool properly, milliseconds away) {
  if (boot_ == Boot::kAway) return;
  boot_ = Boot::kAway;
  host_.moonraker_stopped(properly);
  for (const HostEvent& event : host_.take_events()) publish_event(event);
  send_delayed(true);
  if (properly) front_.close_all(kGoingAway, "Server Shutdown");
  // A killed process does not even say goodbye; either way the port is closed for a while.
  boot_timer_.start(properly ? kGoodbye : milliseconds{0}, [this, away] {
    front_.go_away();
    subscriptions_.clear();
    waiting_.clear();
    stores_.clear();
    queue_.clear();  // lives in memory only
    boot_timer_.start(away, [this] { start_moonraker(); });
  });
}

void SimulatedService::start_moonraker() {
  if (auto listening = front_.listen(options_.host, front_.port()); !listening) {
    log_warn("sim", "{} cannot come back: {}", options_.name, listening.error().message());
    return boot_timer_.start(kPortRetry, [this] { start_moonraker(); });
  }
  boot_ = Boot::kNoKlippy;
  host_.moonraker_started();
  if (std::exchange(power_lost_, false)) host_.power_returned();
  boot_timer_.start(kBootPhase, [this] { boot_further(); });
}

void SimulatedService::boot_further() {
  boot_ = boot_ == Boot::kNoKlippy ? Boot::kNoEndpoints : Boot::kUp;
  if (boot_ == Boot::kNoEndpoints) return boot_timer_.start(kBootPhase, [this] { boot_further(); });
  if (host_.state().klippy == KlippyState::kReady) front_.broadcast(notification("notify_klippy_ready"));
}

void SimulatedService::on_connected(uint64_t connection, const HttpRequest& request) {
  if (trusts_everybody() || knows_key(request)) admitted_.insert(connection);
}

void SimulatedService::on_disconnected(uint64_t connection) {
  subscriptions_.erase(connection);
  admitted_.erase(connection);
}

}  // namespace millrace
