// SPDX-License-Identifier: Apache-2.0
// One simulated machine on its port: drives a SimulatedHost by the clock and answers Moonraker's methods with it.
//
// Loop's thread only.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "net/io_loop.h"
#include "producers/simulator/answers.h"
#include "producers/simulator/job_queue.h"
#include "producers/simulator/machine.h"
#include "producers/simulator/moonraker.h"
#include "producers/simulator/status.h"

namespace millrace {

struct SimulatedServiceOptions {
  std::string name;
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  double speed = 1.0;
  double update_interval_s = 0.25;
  double first_update_s = 0.0;  // spreads the machines of one process over the interval
  std::string api_key;          // who connects has to know it, or to log in; both empty: everybody is trusted
  std::string username;
  std::string password;
  double login_lifetime_s = 3600;
};

class SimulatedService final : public MoonrakerService {
 public:
  // A machine that could not run for longer than this (real seconds) leaves the time out.
  static constexpr double kMaxCatchUpS = 5.0;

  SimulatedService(IoLoop& loop, const Clock& clock, const HostProfile& profile, SimulatedServiceOptions options);
  ~SimulatedService() override;

  Result<void> start();
  uint16_t port() const { return front_.port(); }

  void call(const MoonrakerCall& call, MoonrakerReply reply) override;
  void on_connected(uint64_t connection, const HttpRequest& request) override;
  void on_disconnected(uint64_t connection) override;
  bool on_http(const HttpRequest& request, const Responder& respond) override;

 private:
  // How far Moonraker itself has come since its start.
  static constexpr int64_t kDiskTotal = 31'268'536'320;  // bytes, of a 32 GB card
  enum class Boot { kAway, kNoKlippy, kNoEndpoints, kUp };
  struct NotedScript {
    std::string text;
    WallTime received_at{};
  };
  // Calls of these methods fail, so many times.
  struct Failures {
    std::string method;  // or the path of a file
    int times = 0;
    int code = 0;  // 0: no answer at all
  };
  static constexpr size_t kMaxCountedMethods = 256;
  static constexpr size_t kMaxNotedScripts = 4096;
  static constexpr size_t kMaxNotedScript = 64;  // bytes
  struct Delayed {
    MonotonicTime due;
    std::shared_ptr<const std::string> frame;
  };

  // simulator_service.cc
  void tick();
  void catch_up();
  void publish();
  void publish_status();
  void publish_event(const HostEvent& event);
  void publish_proc_stat();
  void delay(std::shared_ptr<const std::string> frame);
  void send_delayed(bool all);
  void stop_moonraker(bool properly, std::chrono::milliseconds away);
  void start_moonraker();
  void lose_network(bool until_the_print_ends);
  void find_network(bool until_the_print_ends);
  void step_queue();
  void publish_queue(std::string_view action);
  bool queue_call(const MoonrakerCall& call, const MoonrakerReply& reply);
  void boot_further();
  double real_s() const;

  // simulator_service_calls.cc
  std::string klippy_state() const;
  bool printer_call(const MoonrakerCall& call, const MoonrakerReply& reply);
  bool server_call(const MoonrakerCall& call, const MoonrakerReply& reply);
  MoonrakerAnswer subscribe(const MoonrakerCall& call);
  MoonrakerAnswer query(const MoonrakerCall& call);
  std::optional<MoonrakerError> klippy_away() const;
  uint64_t keep(MoonrakerReply reply);
  void run_script(std::string_view script, MoonrakerReply reply);
  MoonrakerAnswer toggle();
  std::string power_answer() const;
  void note_script(const MoonrakerCall& call);

  // service_access.cc
  bool trusts_everybody() const { return options_.api_key.empty() && options_.username.empty(); }
  bool knows_key(const HttpRequest& request);
  const char* what_is_wrong_with_login(std::string_view token) const;
  std::string new_token();
  std::string open_login();
  MoonrakerAnswer log_in(const std::string& body);
  MoonrakerAnswer refresh_login(const std::string& body);
  std::optional<MoonrakerAnswer> access(const HttpRequest& request);
  bool admits(const MoonrakerCall& call, const MoonrakerReply& reply);

  // simulator_service_control.cc
  MoonrakerAnswer control(const HttpRequest& request);
  MoonrakerAnswer order_failures(const HttpRequest& request);
  // Counts a call of that method or path; what becomes of it when it is one of those that shall fail.
  std::optional<int> failure_of(std::string_view method);

  const Clock& clock_;
  SimulatedServiceOptions options_;
  SimulatedHost host_;
  MoonrakerFront front_;
  LoopTimer tick_timer_;
  LoopTimer delay_timer_;
  LoopTimer boot_timer_;
  LoopTimer soon_timer_;  // for what comes after an answer
  SeededRandom delays_;
  MoonrakerStores stores_;
  SimulatedJobQueue queue_;
  bool power_on_ = false;
  std::deque<NotedScript> scripts_;
  std::vector<Failures> failures_;
  std::map<std::string, uint64_t, std::less<>> calls_;  // by method, and of files by path
  int64_t disk_free_ = kDiskTotal * 3 / 4;

  MonotonicTime started_;
  double left_out_s_ = 0;
  uint64_t ticks_ = 0;
  Boot boot_ = Boot::kUp;
  bool power_lost_ = false;

  StatusTable table_;  // as last published
  std::map<uint64_t, StatusFilter> subscriptions_;
  WallTime status_sent_at_{};
  std::deque<Delayed> delayed_;
  std::set<uint64_t> admitted_;                               // connections that have shown the key
  std::set<std::string> tokens_;                              // given out and not yet used; bounded by kMaxTokens
  std::map<std::string, MonotonicTime, std::less<>> logins_;  // access tokens and when they end; bounded by kMaxTokens
  std::set<std::string, std::less<>> refresh_tokens_;         // bounded by kMaxTokens
  uint64_t tokens_given_ = 0;
  std::map<uint64_t, MoonrakerReply> waiting_;  // for the outcome of a command; bounded by kMaxPendingCommands
  uint64_t next_token_ = 1;
  uint64_t emergency_stops_ = 0;
  WallTime emergency_stop_at_{};  // when the last one arrived
};

}  // namespace millrace
