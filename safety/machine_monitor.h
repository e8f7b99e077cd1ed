// SPDX-License-Identifier: Apache-2.0
// Watches one machine by the rules of monitor_rules.h: a fold of the machine's own events, in their order, that gives
// alarms.  It knows no clock: time passes by the observed time of the events alone, at most kMaxStep between two of
// them, so that a gap, a clock that was set or a replay at any speed makes no alarm.  The same events and settings give
// the same alarms, however they are grouped and wherever the state was saved and restored between two of them.
//
// A value; one thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "safety/event_view.h"
#include "safety/monitor_rules.h"

namespace millrace {

// "<machine>/<rule>" or "<machine>/<rule>/<subject>".
std::string alarm_id_of(std::string_view machine, std::string_view rule, std::string_view subject);

struct AlarmTransition {
  bool raised = false;  // else cleared
  std::string alarm_id;
  MonitorRule rule{};
  std::string subject;
  schema::AlarmLevel level{};
  schema::AlarmAction action{};
  std::string text;
  std::optional<double> value;
  std::optional<double> threshold;
  std::string job_id;
};

class MachineMonitor {
 public:
  static constexpr size_t kMaxObjects = 48;  // of each kind; further ones are not watched
  static constexpr size_t kMaxWatches = 64;  // what is about to be, or is, an alarm
  static constexpr size_t kMaxRaises = 3;    // of one alarm in kChatterTime; so often, it stands until that is over
  static constexpr int64_t kMaxStep = 30'000'000;  // microseconds
  static constexpr int64_t kChatterTime = 600'000'000;

  explicit MachineMonitor(std::string machine, RuleSettings rules = {});

  // From the next event on.  What stands by a rule that is off is then cleared.
  void set_rules(const RuleSettings& rules) { rules_ = rules; }

  // What this event raises and clears, in a fixed order.
  std::vector<AlarmTransition> observe(const EventView& event);

  // The machine is no longer watched: clears what stands, with this text, and forgets what it stood for.
  std::vector<AlarmTransition> end_all(const std::string& text);

  // As the last LimitsApplied said.
  const schema::LimitSetT& limits() const { return limits_; }
  // Alarms of at least that level that stand, by their ids.
  std::vector<std::string> standing(schema::AlarmLevel least = schema::AlarmLevel::normal) const;
  // How often an alarm would have been raised once more but for kMaxRaises.
  uint64_t held_back() const { return held_back_; }

  // Everything but the rules' settings, as one JSON value.  With `brief`, only the alarms and what they need: for
  // where a new connection follows, which begins everything else anew.
  void encode(JsonWriter& json, bool brief = false) const;
  // kMalformed: nothing has changed.
  Result<void> restore(const Json& json);

 private:
  enum class Verdict { kBad, kBetween, kOk };

  struct Temperature {
    std::optional<double> value;
    std::optional<double> target;
    std::optional<double> power;
    int64_t changed_at = 0;   // value
    double lowest = 0;        // since the target was set
    double best = 0;          // the nearest to the target since then
    int64_t improved_at = 0;  // by kProgress
    bool reached = false;
    std::optional<double> before;  // of the sample before this one
    double jump = 0;               // K/s, by this very event
  };
  struct Fan {
    std::optional<double> speed;
    std::optional<double> rpm;
  };
  struct Mcu {
    double retransmitted = 0;
    double invalid = 0;
    bool counting = false;  // counted and counted_at hold
    double counted = 0;     // when the minute began
    int64_t counted_at = 0;
    std::optional<double> errors;  // in the last whole minute
    std::optional<double> task_average;
    std::optional<double> task_deviation;
  };
  struct Watch {
    int64_t bad_since = 0;  // 0: it is not bad
    int64_t ok_since = 0;   // of a standing alarm; 0: it is not over
    bool standing = false;
    std::array<int64_t, kMaxRaises> raises{};  // oldest first; 0: none
  };
  using WatchKey = std::pair<MonitorRule, std::string>;
  struct Sighting {  // what a rule finds in one event
    MonitorRule rule{};
    std::string_view subject;
    Verdict verdict = Verdict::kOk;
    std::optional<double> value;
    std::optional<double> threshold;
    bool at_once = false;  // it need not hold for any time
  };

  void pass_time(int64_t observed_us);
  void forget_values();
  void take_sample(const EventView& event);
  void take_signal(const SignalView& signal);
  void take_temperature(Temperature& sensor, std::string_view field, double value);
  void take_mcu(Mcu& mcu, std::string_view field, double value);
  void settle(Temperature& heater);
  void take_state(const EventView& event);
  void judge_all(bool full);
  void judge_temperatures();
  void judge_heater(const std::string& name, const Temperature& heater);
  void judge_sensor(const std::string& name, const Temperature& sensor);
  void judge_position();
  void judge_fans();
  void judge_fan(const std::string& name, const Fan& fan, double hottest);
  void judge_mcu(const std::string& name, const Mcu& mcu);
  void judge_host();
  void judge_facts();
  // `text` is asked only for an alarm that is raised.
  template <class Text>
  void sight(const Sighting& sighting, const Text& text) {
    if (Watch* watch = due(sighting)) raise(sighting, *watch, text());
  }
  Watch* due(const Sighting& sighting);
  void raise(const Sighting& sighting, Watch& watch, std::string text);
  void clear(const WatchKey& key, Watch& watch, std::string text);
  void sweep(bool full);
  bool klipper_works() const;
  std::optional<double> limit_of(std::string_view object) const;
  double hottest_extruder() const;
  double hottest_other(std::string_view object) const;
  bool is_chattering(const Watch& watch) const;

  std::string machine_;
  RuleSettings rules_;

  int64_t now_ = 1;                 // microseconds that have passed by the events
  int64_t last_event_us_ = 0;       // Unix
  int64_t sample_occurred_us_ = 0;  // the same by the machine's clock; 0: not known
  bool had_sample_ = false;         // on this connection
  bool moved_ = false;              // something went on, by this event
  schema::MachineState state_ = schema::MachineState::unknown;
  std::string job_id_;
  schema::LimitSetT limits_;
  bool clock_off_ = false;
  double clock_skew_s_ = 0;
  std::string cause_;  // of a shutdown; empty: there is none
  std::string cause_text_;

  std::map<std::string, Temperature, std::less<>> temperatures_;
  std::map<std::string, Fan, std::less<>> fans_;
  std::map<std::string, Mcu, std::less<>> mcus_;
  std::array<std::optional<double>, 3> position_;
  bool live_position_ = false;  // motion_report tells it, so that toolhead's, the end of the queued moves, does not
  std::optional<double> cpu_usage_;
  std::optional<double> disk_free_;
  std::optional<double> disk_total_;

  std::map<WatchKey, Watch> watches_;
  uint64_t held_back_ = 0;

  std::vector<WatchKey> sighted_;             // by this event
  std::vector<AlarmTransition> transitions_;  // of this event
};

}  // namespace millrace
