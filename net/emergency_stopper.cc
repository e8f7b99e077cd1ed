// SPDX-License-Identifier: Apache-2.0
// Nothing here writes to the program's log: a pipe that nobody reads, or a disk that hangs, would hold a stop up.
#include "net/emergency_stopper.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <future>
#include <set>
#include <string_view>
#include <utility>

#include "bus/json_writer.h"
#include "net/emergency_connection.h"
#include "net/io_loop_impl.h"
#include "net/moonraker_reply.h"
#include "net/tls_client.h"

namespace millrace {
namespace {

using Endpoint = EmergencyConnection::Endpoint;
using Endpoints = EmergencyConnection::Endpoints;

constexpr std::string_view kEnding = "this process is ending";
constexpr size_t kMaxEndpoints = 8;  // of one name
constexpr size_t kMaxSecret = 1024;
constexpr size_t kMaxParallel = 3;  // fresh connections of one stop at a time

bool is_one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

// What a machine's connections need and what takes a disk to know.
struct Credentials {
  std::string api_key;
  std::string username;
  std::string password;
  std::shared_ptr<TlsContext> tls;
  std::string wrong;  // why there is no TLS
};

}  // namespace

struct EmergencyStopper::Shared {
  Shared(const Clock& clock_, Metrics& metrics_, EmergencyStopperOptions options_)
      : clock(clock_), metrics(metrics_), options(options_) {}

  LoopExecutor executor() { return loop.impl().context.get_executor(); }

  const Clock& clock;
  Metrics& metrics;
  const EmergencyStopperOptions options;
  IoLoop loop;
  IoLoop preparing;

  std::mutex mutex;  // of what is below; held for a look-up only
  std::set<std::string> names;
  std::set<std::string> warm;
  bool ended = false;
};

// One machine: how it is reached, and its warm connection.
class EmergencyStopper::Machine : public std::enable_shared_from_this<Machine> {
 public:
  Machine(Shared& shared, std::string name, EmergencyTarget target)
      : shared_(shared),
        name_(std::move(name)),
        target_(std::move(target)),
        resolver_(shared_.executor()),
        timer_(shared_.executor()),
        answer_timer_(shared_.executor()),
        warm_gauge_(shared_.metrics.gauge("millrace_emergency_stop_warm",
                                          "1 while a connection for an emergency stop stands by",
                                          {{"machine", name_}})) {
    auto address = moonraker_address(target_.url);
    if (address) {
      address_ = std::move(*address);
    } else {
      wrong_ = fmt::format("the machine's address cannot be used: {}", address.error().context);
    }
  }

  void begin() {
    if (wrong_.empty()) prepare();
  }

  // Another takes its place, or none does.  Stops under way go on.
  void retire() {
    ended_ = true;
    timer_.cancel();
    answer_timer_.cancel();
    resolver_.cancel();
    if (proven_) set_proven(false);
    if (stops_.empty()) drop_warm();
  }

  void end() {
    retire();
    while (!stops_.empty()) finish_stop(*stops_.begin(), "the program ended before the machine answered");
  }

  void stop(Done done, MonotonicTime asked);

  // --- for Stop

  const std::string& wrong() const { return wrong_; }
  // Where it lies and what it takes are known.
  bool is_ready() const { return credentials_.has_value() && !endpoints_.empty(); }
  bool has_login() const { return credentials_ && credentials_->api_key.empty() && !credentials_->username.empty(); }
  bool has_token() const { return !token_.empty(); }

  std::shared_ptr<EmergencyConnection> warm() const { return warm_ && warm_->is_open() && proven_ ? warm_ : nullptr; }
  // Null where that is not possible, for `why`.
  std::shared_ptr<EmergencyConnection> make_connection(std::string& why) const {
    if (endpoints_.empty()) {
      why = trouble_.empty() ? "its address is not known yet" : trouble_;
      return nullptr;
    }
    if (address_.tls && (!credentials_ || !credentials_->tls)) {
      why = credentials_ ? credentials_->wrong : "its certificates are not read yet";
      return nullptr;
    }
    return std::make_shared<EmergencyConnection>(shared_.executor(), credentials_ ? credentials_->tls : nullptr,
                                                 address_.url.host);
  }
  const Endpoints& endpoints() const { return endpoints_; }

  std::string stop_request() const { return request("POST", "/printer/emergency_stop", ""); }
  std::string login_request() const {
    JsonWriter body;
    body.object().field("username", credentials_->username).field("password", credentials_->password).end();
    return request("POST", "/access/login", body.take());
  }
  void take_token(std::string token) {
    token_ = std::move(token);
    token_at_ = shared_.clock.monotonic();
  }
  // Whoever asks is refused: what is known of its secret may be old.
  void refused() {
    token_.clear();
    if (!preparing_) ask_for_credentials();
  }
  void warm_failed_to_answer(const std::shared_ptr<EmergencyConnection>& connection) {
    if (warm_ == connection) reconnect("it did not answer");
  }
  void remove_stop(const std::shared_ptr<Stop>& stop) {
    stops_.erase(stop);
    if (ended_ && stops_.empty()) drop_warm();
  }

 private:
  static void finish_stop(const std::shared_ptr<Stop>& stop, const std::string& why);

  std::string request(std::string_view method, std::string_view path, const std::string& body) const {
    std::string text = fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: millrace\r\n", method, address_.base,
                                   path, address_.url.authority());
    if (credentials_ && !credentials_->api_key.empty()) {
      text += fmt::format("X-Api-Key: {}\r\n", credentials_->api_key);
    } else if (!token_.empty() && path != "/access/login") {
      text += fmt::format("Authorization: Bearer {}\r\n", token_);
    }
    if (!body.empty()) text += "Content-Type: application/json\r\n";
    if (method == "POST") text += fmt::format("Content-Length: {}\r\n", body.size());
    return text + "\r\n" + body;
  }

  // --- ahead of time

  void prepare() {
    ask_for_credentials();
    resolve();
  }

  void ask_for_credentials() {
    preparing_ = true;
    shared_.preparing.post([weak = weak_from_this(), &loop = shared_.loop, target = target_, tls = address_.tls] {
      Credentials found;
      if (target.secret) {
        MachineSecret secret = target.secret();
        const auto usable = [](const std::string& text) { return text.size() <= kMaxSecret && is_one_line(text); };
        if (usable(secret.api_key)) found.api_key = std::move(secret.api_key);
        if (usable(secret.username)) found.username = std::move(secret.username);
        found.password = std::move(secret.password);
      }
      if (tls) {
        auto context = make_tls_context(target.ca_file);
        if (context) {
          found.tls = std::move(*context);
        } else {
          found.wrong = context.error().context;
        }
      }
      loop.post([weak, found = std::move(found)]() mutable {
        if (const auto self = weak.lock()) self->on_credentials(std::move(found));
      });
    });
  }

  void on_credentials(Credentials found) {
    preparing_ = false;
    if (ended_) return;
    credentials_ = std::move(found);
    became_ready();
  }

  void resolve() {
    error_code error;
    const auto literal = asio::ip::make_address(address_.url.host, error);
    if (!error) {
      endpoints_ = {Endpoint(literal, address_.url.port)};
      return became_ready();
    }
    if (resolving_) return;
    resolving_ = true;
    resolver_.async_resolve(address_.url.host, std::to_string(address_.url.port),
                            [weak = weak_from_this()](const error_code& failure, const auto& results) {
                              const auto self = weak.lock();
                              if (self && !self->ended_) self->on_resolved(failure, results);
                            });
  }

  // An address that was known once is kept while the name cannot be looked up.
  void on_resolved(const error_code& error, const asio::ip::tcp::resolver::results_type& results) {
    resolving_ = false;
    if (error) {
      trouble_ = fmt::format("{}: {}", address_.url.host, error.message());
      if (endpoints_.empty()) return reconnect_later();
      return;
    }
    Endpoints found;
    for (const auto& entry : results) {
      if (found.size() < kMaxEndpoints) found.push_back(entry.endpoint());
    }
    if (!found.empty()) endpoints_ = std::move(found);
    became_ready();
  }

  void became_ready();

  // --- the warm connection

  void connect_warm() {
    if (ended_ || warm_ || !is_ready()) return;
    std::string why;
    warm_ = make_connection(why);
    if (!warm_) {
      trouble_ = why;
      return reconnect_later();
    }
    const std::weak_ptr<Machine> weak = weak_from_this();
    const std::weak_ptr<EmergencyConnection> connection = warm_;
    warm_->on_ended = [weak, connection](const std::string& why_ended) {
      const auto self = weak.lock();
      if (self && self->warm_ == connection.lock()) self->reconnect(why_ended);
    };
    expect_within(shared_.options.keep_alive_answer);
    warm_->open(endpoints_, [weak, connection](const std::string& failure) {
      const auto self = weak.lock();
      if (!self || self->warm_ != connection.lock()) return;
      if (!failure.empty()) return self->reconnect(failure);
      self->ask_whether_alive();
    });
  }

  // Something has to come within that time, or the connection is taken for dead.
  void expect_within(std::chrono::milliseconds patience) {
    answer_timer_.expires_after(patience);
    answer_timer_.async_wait([weak = weak_from_this()](const error_code& error) {
      const auto self = weak.lock();
      if (!error && self && !self->ended_) self->reconnect("it did not answer");
    });
  }

  void ask_whether_alive() {
    const bool old = shared_.clock.monotonic() - token_at_ > shared_.options.login_lifetime;
    const bool logs_in = has_login() && (token_.empty() || old);
    expect_within(shared_.options.keep_alive_answer);
    const std::weak_ptr<Machine> weak = weak_from_this();
    const bool asked = warm_->ask(
        logs_in ? login_request() : request("GET", "/server/info", ""), nullptr,
        [weak, logs_in, connection = std::weak_ptr<EmergencyConnection>(warm_)](const Result<MoonrakerReply>& answer) {
          const auto self = weak.lock();
          if (!self || self->ended_ || self->warm_ != connection.lock() || !answer) return;  // on_ended tells
          logs_in ? self->on_login(*answer) : self->on_alive(*answer);
        });
    if (!asked) reconnect("too much is unanswered");
  }

  void on_login(const MoonrakerReply& answer) {
    auto token = token_in(answer);
    if (!token) return reconnect("the login is not accepted: " + words_of(answer));
    take_token(std::move(*token));
    ask_whether_alive();
  }

  void on_alive(const MoonrakerReply& answer) {
    answer_timer_.cancel();
    if (answer.status == 401 || answer.status == 403) {
      token_.clear();
      return reconnect(words_of(answer));
    }
    attempts_ = 0;
    trouble_.clear();
    set_proven(true);
    timer_.expires_after(shared_.options.keep_alive);
    timer_.async_wait([weak = weak_from_this()](const error_code& error) {
      const auto self = weak.lock();
      if (!error && self && !self->ended_ && self->warm_) self->ask_whether_alive();
    });
  }

  void set_proven(bool proven) {
    proven_ = proven;
    warm_gauge_.set(proven ? 1 : 0);
    std::lock_guard lock(shared_.mutex);
    proven ? (void)shared_.warm.insert(name_) : (void)shared_.warm.erase(name_);
  }

  void drop_warm() {
    if (proven_) set_proven(false);
    answer_timer_.cancel();
    if (const auto warm = std::exchange(warm_, nullptr)) warm->close();
  }

  void reconnect(const std::string& why) {
    trouble_ = why;
    drop_warm();
    reconnect_later();
  }

  void reconnect_later() {
    if (ended_) return;
    const auto& options = shared_.options;
    const auto pause = std::min(options.reconnect_min * (1 << std::min(attempts_++, 10)), options.reconnect_max);
    timer_.expires_after(pause);
    timer_.async_wait([weak = weak_from_this()](const error_code& error) {
      const auto self = weak.lock();
      if (!error && self && !self->ended_) self->prepare();
    });
  }

  Shared& shared_;
  const std::string name_;
  const EmergencyTarget target_;
  MoonrakerAddress address_;
  std::string wrong_;    // why it can never be reached
  std::string trouble_;  // why there is no warm connection now
  TcpResolver resolver_;
  SteadyTimer timer_;         // of the next question, or of the next connection
  SteadyTimer answer_timer_;  // of the warm connection
  Gauge& warm_gauge_;
  std::optional<Credentials> credentials_;
  Endpoints endpoints_;
  std::string token_;
  MonotonicTime token_at_{};
  std::shared_ptr<EmergencyConnection> warm_;
  bool proven_ = false;  // it has answered
  int attempts_ = 0;
  bool preparing_ = false;
  bool resolving_ = false;
  bool ended_ = false;
  std::set<std::shared_ptr<Stop>> stops_;
  std::weak_ptr<Stop> newest_;
};

// One stop of one machine: the warm connection, and fresh ones beside it as long as nothing confirms.
class EmergencyStopper::Stop : public std::enable_shared_from_this<Stop> {
 public:
  Stop(std::shared_ptr<Machine> machine, Shared& shared, Done done, MonotonicTime asked)
      : machine_(std::move(machine)),
        shared_(shared),
        asked_(asked),
        deadline_(shared.executor()),
        next_(shared.executor()),
        patience_(shared.options.answer_patience),
        pause_(shared.options.retry_pause) {
    done_.push_back(std::move(done));
  }

  void begin() {
    deadline_.expires_after(shared_.options.total);
    deadline_.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error) self->time_is_over();
    });
    if (!machine_->wrong().empty()) return finish(false, machine_->wrong());
    if (const auto warm = machine_->warm()) {
      warm_ = warm;
      send_on(warm);
    } else if (machine_->is_ready()) {
      try_fresh();
    }
    if (!ended_) wait_for_next(patience_);
  }

  // What it takes became known only now.
  void machine_is_ready() {
    if (tries_ == 0 && !ended_) try_fresh();
  }

  void join(Done done) { done_.push_back(std::move(done)); }

  void finish(bool confirmed, const std::string& text) {
    if (std::exchange(ended_, true)) return;
    EmergencyStopResult result;
    result.confirmed = confirmed;
    result.text = text;
    result.sent_after = sent_after_;
    if (confirmed) result.answered_after = since();
    deadline_.cancel();
    next_.cancel();
    for (const auto& connection : fresh_) connection->close();
    fresh_.clear();
    const auto done = std::exchange(done_, {});
    for (const Done& each : done) each(result);
    if (const auto warm = warm_.lock(); warm && !answered_) machine_->warm_failed_to_answer(warm);
    machine_->remove_stop(shared_from_this());
  }

  // What is to be told when nothing confirms.
  std::string said() const {
    if (!said_.empty()) return said_;
    return failure_.empty() ? "no answer" : failure_;
  }

 private:
  Micros since() const { return std::chrono::duration_cast<Micros>(shared_.clock.monotonic() - asked_); }

  void time_is_over() {
    finish(false, fmt::format("{}; nothing confirmed it within {:.1f} s", said(),
                              std::chrono::duration<double>(shared_.options.total).count()));
  }

  void send_on(const std::shared_ptr<EmergencyConnection>& connection) {
    ++outstanding_;
    if (connection != warm_.lock()) ++tries_;
    const bool asked = connection->ask(
        machine_->stop_request(),
        [self = shared_from_this()] {
          if (!self->sent_after_) self->sent_after_ = self->since();
        },
        [self = shared_from_this(), connection](const Result<MoonrakerReply>& answer) {
          self->on_answer(connection, answer);
        });
    if (!asked) failed(connection, "too much is unanswered");
  }

  void try_fresh() {
    if (ended_ || fresh_.size() >= kMaxParallel || tries_ >= shared_.options.max_tries) return;
    std::string why;
    const auto connection = machine_->make_connection(why);
    if (!connection) {
      ++tries_;
      ++outstanding_;
      return failed(nullptr, why);
    }
    fresh_.insert(connection);
    connection->open(machine_->endpoints(), [self = shared_from_this(), connection](const std::string& failure) {
      if (self->ended_) return;
      --self->opening_;
      if (!failure.empty()) {
        ++self->outstanding_;
        ++self->tries_;
        return self->failed(connection, failure);
      }
      self->opened(connection);
    });
    ++opening_;
  }

  void opened(const std::shared_ptr<EmergencyConnection>& connection) {
    if (!machine_->has_login() || machine_->has_token()) return send_on(connection);
    ++outstanding_;
    ++tries_;
    const bool asked = connection->ask(machine_->login_request(), nullptr,
                                       [self = shared_from_this(), connection](const Result<MoonrakerReply>& answer) {
                                         self->on_login(connection, answer);
                                       });
    if (!asked) failed(connection, "too much is unanswered");
  }

  void on_login(const std::shared_ptr<EmergencyConnection>& connection, const Result<MoonrakerReply>& answer) {
    if (ended_) return;
    if (!answer) return failed(connection, answer.error().context);
    auto token = token_in(*answer);
    if (!token) {
      said_ = "the login is not accepted: " + words_of(*answer);
      return failed(connection, said_);
    }
    machine_->take_token(std::move(*token));
    --outstanding_;
    --tries_;  // one try with what comes now
    send_on(connection);
  }

  void on_answer(const std::shared_ptr<EmergencyConnection>& connection, const Result<MoonrakerReply>& answer) {
    if (connection == warm_.lock()) answered_ = true;
    if (ended_) return;
    if (!answer) return failed(connection, answer.error().context);
    const JudgedReply judged = judge_stop(*answer);
    if (judged.confirmed) return finish(true, judged.said);
    said_ = judged.said;
    if (answer->status == 401 || answer->status == 403) machine_->refused();
    failed(connection, judged.said);
  }

  // One way came to nothing.  Another one is tried, at once the first time, as long as tries are left.
  void failed(const std::shared_ptr<EmergencyConnection>& connection, const std::string& why) {
    failure_ = why;
    --outstanding_;
    if (connection && fresh_.erase(connection) > 0) connection->close();
    if (outstanding_ > 0 || opening_ > 0 || ended_) return;
    if (tries_ >= shared_.options.max_tries) return finish(false, said());
    if (!std::exchange(retried_, true)) return wait_for_next(std::chrono::milliseconds(0));
    wait_for_next(std::exchange(pause_, pause_ * 2));
  }

  void wait_for_next(std::chrono::milliseconds pause) {
    next_.expires_after(pause);
    next_.async_wait([self = shared_from_this()](const error_code& error) {
      if (error || self->ended_) return;
      self->patience_ *= 2;
      self->wait_for_next(self->patience_);  // before the try, which may end everything
      self->try_fresh();
    });
  }

  const std::shared_ptr<Machine> machine_;
  Shared& shared_;
  const MonotonicTime asked_;
  std::vector<Done> done_;
  SteadyTimer deadline_;
  SteadyTimer next_;  // the next fresh connection
  std::chrono::milliseconds patience_;
  std::chrono::milliseconds pause_;
  std::weak_ptr<EmergencyConnection> warm_;
  bool answered_ = false;  // the warm one, or it broke
  std::set<std::shared_ptr<EmergencyConnection>> fresh_;
  int opening_ = 0;      // fresh ones on their way
  int outstanding_ = 0;  // requests that nothing is known of
  int tries_ = 0;        // beside the warm one
  bool retried_ = false;
  bool ended_ = false;
  std::optional<Micros> sent_after_;
  std::string said_;     // by the machine
  std::string failure_;  // of a connection
};

void EmergencyStopper::Machine::stop(Done done, MonotonicTime asked) {
  if (stops_.size() >= kMaxStops) {
    if (const auto newest = newest_.lock()) return newest->join(std::move(done));
  }
  const auto stop = std::make_shared<Stop>(shared_from_this(), shared_, std::move(done), asked);
  stops_.insert(stop);
  newest_ = stop;
  stop->begin();
}

void EmergencyStopper::Machine::finish_stop(const std::shared_ptr<Stop>& stop, const std::string& why) {
  stop->shared_from_this()->finish(false, why);  // it takes itself out of the set, which may hold the last reference
}

void EmergencyStopper::Machine::became_ready() {
  if (!is_ready()) return;
  const auto stops = stops_;  // a copy: one that ends takes itself out
  for (const auto& stop : stops) stop->machine_is_ready();
  connect_warm();
}

EmergencyStopper::EmergencyStopper(const Clock& clock, Metrics& metrics, EmergencyStopperOptions options)
    : shared_(std::make_unique<Shared>(clock, metrics, options)) {
  loop_thread_ = std::thread([loop = &shared_->loop] { loop->run(); });
  preparing_thread_ = std::thread([loop = &shared_->preparing] { loop->run(); });
}

EmergencyStopper::~EmergencyStopper() { end(); }

void EmergencyStopper::end() {
  {
    std::lock_guard lock(shared_->mutex);
    if (std::exchange(shared_->ended, true)) return;
  }
  std::promise<void> ended;
  shared_->loop.post([&] {
    for (const auto& [name, machine] : machines_) machine->end();
    machines_.clear();
    ended.set_value();
  });
  ended.get_future().wait();
  shared_->loop.stop();
  shared_->preparing.stop();
  loop_thread_.join();
  preparing_thread_.join();
}

void EmergencyStopper::set(const std::string& machine, EmergencyTarget target) {
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->names.size() >= kMaxMachines && !shared_->names.contains(machine)) return;
    shared_->names.insert(machine);
  }
  shared_->loop.post([this, machine, target = std::move(target)]() mutable {
    auto& place = machines_[machine];
    if (place) place->retire();
    place = std::make_shared<Machine>(*shared_, machine, std::move(target));
    place->begin();
  });
}

void EmergencyStopper::remove(const std::string& machine) {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->names.erase(machine);
  }
  shared_->loop.post([this, machine] {
    const auto found = machines_.find(machine);
    if (found == machines_.end()) return;
    found->second->retire();
    machines_.erase(found);
  });
}

bool EmergencyStopper::knows(const std::string& machine) const {
  std::lock_guard lock(shared_->mutex);
  return shared_->names.contains(machine);
}

std::vector<std::string> EmergencyStopper::machines() const {
  std::lock_guard lock(shared_->mutex);
  return {shared_->names.begin(), shared_->names.end()};
}

bool EmergencyStopper::has_ended() const {
  std::lock_guard lock(shared_->mutex);
  return shared_->ended;
}

bool EmergencyStopper::is_warm(const std::string& machine) const {
  std::lock_guard lock(shared_->mutex);
  return shared_->warm.contains(machine);
}

void EmergencyStopper::stop(const std::string& machine, Done done) {
  if (has_ended()) return done({false, std::string(kEnding), {}, {}});
  shared_->loop.post([this, machine, done = std::move(done), asked = shared_->clock.monotonic()]() mutable {
    const auto found = machines_.find(machine);
    if (found == machines_.end()) return done({false, "no machine of this name is known here", {}, {}});
    const auto kept = found->second;
    kept->stop(std::move(done), asked);
  });
}

void EmergencyStopper::stop_all(std::function<void(const Results&)> done) {
  if (has_ended()) {
    Results results;
    for (const auto& name : machines()) results.push_back({name, {false, std::string(kEnding), {}, {}}});
    return done(results);
  }
  shared_->loop.post([this, done = std::move(done), asked = shared_->clock.monotonic()] {
    if (machines_.empty()) return done({});
    struct Gathered {
      Results results;
      size_t open = 0;
    };
    const auto gathered = std::make_shared<Gathered>();
    gathered->open = machines_.size();
    const auto machines = machines_;
    for (const auto& [name, machine] : machines) gathered->results.emplace_back(name, EmergencyStopResult{});
    size_t index = 0;
    for (const auto& [name, machine] : machines) {
      machine->stop(
          [gathered, done, index](const EmergencyStopResult& result) {
            gathered->results[index].second = result;
            if (--gathered->open == 0) done(gathered->results);
          },
          asked);
      ++index;
    }
  });
}

}  // namespace millrace
