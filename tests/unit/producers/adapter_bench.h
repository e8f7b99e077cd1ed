// SPDX-License-Identifier: Apache-2.0
// One adapter on a bench: a Moonraker made of plain values that answers its requests, time that moves only when told
// to, and everything that it emitted.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bus/metrics.h"
#include "bus/random.h"
#include "producers/moonraker/moonraker_adapter.h"
#include "tests/support/event_fixtures.h"

namespace millrace::testing {

struct RowText {
  std::string json(const std::string& status, const std::string& extra = "") const;
  double start = 0;
  std::string filename;
  double total = 0;
  double end = 0;
  std::string id = "000001";
};

class AdapterBench : private MachineLink, private EventSink {
 public:
  AdapterBench();
  ~AdapterBench() override;

  MoonrakerAdapterOptions options;
  LinkIdentity identity;
  ManualClock clock;
  std::unique_ptr<Metrics> metrics = make_metrics();

  // The machine.
  std::string klippy_state = "ready";
  int64_t process_id = 100;
  double eventtime = 1000;
  double wall_minus_eventtime = 1'795'000'000;
  bool reachable = true;
  std::map<std::string, std::map<std::string, std::string>> status;  // JSON of each field
  std::string components = "[]";                                     // of server.info
  std::string config;                                                // configfile.config; "": it is not there
  std::string settings = "{}";                                       // configfile.settings
  std::string spool = "null";
  std::string queue = R"({"queued_jobs":[],"queue_state":"ready"})";  // of server.job_queue.status
  std::vector<std::string> history;                                   // rows, newest first
  std::map<std::string, std::string> errors;                          // method -> JSON of the error it answers with
  std::map<std::string, std::string> answers;                         // method -> JSON of the result, before all others
  std::function<void(CommandReply)> on_reply;                         // of each adapter that is started from now on
  std::function<void(JobFile)> on_file_due;                           // likewise
  std::map<std::string, bool> silent;                                 // methods that get no answer
  // Answers that are held back until deliver().
  bool hold_answers = false;

  // What the adapter did.
  std::vector<EventDraft> events;
  std::vector<std::string> requests;  // methods
  std::string last_params;
  std::vector<std::string> sent;  // whole requests
  std::string saved_state;
  int opened = 0;
  bool link_up = false;
  uint64_t epoch = 7;
  uint64_t sequence = 1;

  MoonrakerAdapter& adapter() { return *adapter_; }
  void start(const std::string& state = "");
  // As after kill -9: a new adapter with what the sink last stored, or with nothing.
  void restart(bool with_state);
  // start() and everything up to the first decision about jobs.
  void connect();
  void deliver();

  // Puts the fields into the status and sends them; eventtime moves on by `seconds`, the clock too.
  void update(const std::string& delta, double seconds = 0.25);
  void frame(const std::string& text);
  void notify(const std::string& method, const std::string& params = "");
  void added(const std::string& row) { history_changed("added", row); }
  void finished(const std::string& row) { history_changed("finished", row); }
  void process_statistics();
  std::optional<MonotonicTime> next_deadline() const { return adapter_->next_deadline(); }
  void drop(const std::string& reason = "closed", uint16_t code = 0);
  // Lets time pass and the adapter's timers run.
  void pass(std::chrono::milliseconds time);
  // Passes time until the adapter is connected again.
  void reconnect();
  double machine_now() const { return wall_minus_eventtime + eventtime; }
  double protocol_errors();

  // "JobStarted m.1 a.gcode live", ...: the job events, or those of the machine's link and state, in order.
  std::vector<std::string> jobs() const;
  std::vector<std::string> machine() const;
  template <class PayloadT>
  std::vector<const PayloadT*> all() const {
    std::vector<const PayloadT*> found;
    for (const EventDraft& draft : events) {
      if (draft.payload.type == schema::PayloadUnionTraits<PayloadT>::enum_value) {
        found.push_back(static_cast<const PayloadT*>(draft.payload.value));
      }
    }
    return found;
  }
  void forget_events() { events.clear(); }

 private:
  void open() override;
  bool send(std::string text) override;
  void close() override { link_up = false; }
  EventId next_id() const override { return {options.machine_id, epoch, sequence}; }
  void emit(std::vector<EventDraft> drafts, std::string_view state) override;
  void history_changed(const std::string& action, const std::string& row);
  std::string answer(const std::string& request);
  std::string snapshot(const std::string& request) const;

  SeededRandom random_{1};
  std::deque<std::function<void()>> pending_;
  bool delivering_ = false;
  std::unique_ptr<MoonrakerAdapter> adapter_;
};

std::string describe(const EventDraft& draft);

}  // namespace millrace::testing
