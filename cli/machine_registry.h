// SPDX-License-Identifier: Apache-2.0
// Between the hub's registry of machines and its neighbours: the configuration file's machines become events, and what
// the views say of each machine, its limits and rules included, becomes what the publisher says.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "bus/clock.h"
#include "bus/event_log.h"
#include "cli/config.h"
#include "cli/file_machines.h"
#include "consumers/machine_config_publisher.h"
#include "consumers/recorder.h"
#include "projections/projector.h"
#include "projections/safety_state.h"
#include "projections/view_store.h"
#include "schemas/view_generated.h"

namespace millrace {

// What the hub has to say about `of_file`, the machines of its configuration file, given what the view holds: each
// whose connection differs, and each `config` machine that the file no longer has, as disabled.  What people have
// described beyond the file stays.
std::vector<EventDraft> differences(const std::vector<MachineConfig>& of_file,
                                    const std::map<std::string, schema::MachineViewT>& machines, WallTime now);

// Of a machine that another host's file has, whose address nobody has said here, only limits and rules are told.
MachineConfigPublisher::Entry entry_of(const schema::MachineViewT& machine, const ToldSafety& told = {});

class MachineRegistry {
 public:
  // References outlive it.  `submit` is the recorder's.
  MachineRegistry(const FileMachines& file, const EventLog& log, const ViewStore& views, const Projector& projector,
                  MachineConfigPublisher& publisher, std::function<void(HubWrite)> submit, const Clock& clock);
  ~MachineRegistry();

  // Told of each machine as it is known, at first and when it changes.  On the registry's own and the projector's
  // thread; before start().
  std::function<void(const MachineConfigPublisher::Entry&)> on_entry;

  // Once the views have everything that the log held at the start: writes the differences, then the publisher begins.
  void start();
  // The file's machines are others: writes the differences.  Any thread; does not wait.
  void file_changed();
  void stop();

  // The projector's thread.
  void on_applied(const AppliedGroup& group);

 private:
  void run();
  bool begin();
  bool wait_for_change();
  void publish_all();
  void publish(const std::set<std::string>& machines);
  void note_changes(const ViewChange& change, std::set<std::string>& due);
  bool write_differences();
  bool stopping();
  bool pause(std::chrono::milliseconds time);

  const FileMachines& file_;
  const EventLog& log_;
  const ViewStore& views_;
  const Projector& projector_;
  MachineConfigPublisher& publisher_;
  const std::function<void(HubWrite)> submit_;
  const Clock& clock_;
  std::map<std::string, uint64_t> versions_;  // the projector's thread's own, as the next one
  std::map<std::string, uint64_t> limits_versions_;
  std::optional<Errc> not_recorded_why_;  // what was said of the last attempt
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool file_changed_ = false;
  std::thread thread_;
};

}  // namespace millrace
