// SPDX-License-Identifier: Apache-2.0
// The newest state of every machine and the newest jobs, in memory: what the live feed tells and what /machines reads.
// A value; one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "bus/ids.h"
#include "projections/projector.h"
#include "projections/view_store.h"
#include "web/edge/shown_json.h"

namespace millrace {

class LiveState {
 public:
  static constexpr size_t kShownJobs = 50;  // in a snapshot
  static constexpr size_t kKeptJobs = 100;  // so that some may go without a look at the store

  // Whole objects that a group changed.
  struct Changes {
    std::set<std::string> machines;
    std::set<std::string> jobs;
    std::set<std::string> removed_machines;
    std::set<std::string> removed_jobs;  // they turned out to be the print of another id
    bool empty() const { return machines.empty() && jobs.empty() && removed_machines.empty() && removed_jobs.empty(); }
  };

  // As the views of one instant say.
  static Result<LiveState> read(const ViewReader& reader);

  // A group at or before position() changes nothing.
  Changes apply(const AppliedGroup& group);

  // Machines whose staleness, or that of their values, at `at` differs from what the last call told.
  std::set<std::string> newly_stale_or_fresh(const ShownAt& at);

  Position position() const { return position_; }
  const std::map<std::string, schema::MachineViewT>& machines() const { return machines_; }
  // Null where nothing was said of it.
  const MachineSafetyState* safety_of(const std::string& id) const;
  // The first one for an empty id; null when there is none.
  const schema::MachineViewT* machine_or_first(const std::string& id) const;

  std::string snapshot_json(std::string_view incarnation, const ShownAt& at) const;
  std::string delta_json(const Changes& changes, const ShownAt& at) const;

 private:
  void apply_safety(const std::string& key, const std::string* value, Changes& changes);
  void apply_job(std::string_view id, const std::string* value, Changes& changes);
  const schema::JobViewT* job(const std::string& id) const;

  Position position_;
  std::map<std::string, schema::MachineViewT> machines_;
  std::map<std::string, MachineSafetyState> safety_;
  std::vector<schema::JobViewT> jobs_;     // newest start first
  std::map<std::string, uint32_t> stale_;  // by machine; those that are not at all are not in it
};

}  // namespace millrace
