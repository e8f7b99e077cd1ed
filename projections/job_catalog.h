// SPDX-License-Identifier: Apache-2.0
// The index of jobs, kept up with the view while readers ask.  Any thread.
//
// The projector hands over what it has committed; whoever asks applies it first, and so always sees at least what was
// handed over before.  What cannot be kept is read from the view again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "projections/job_index.h"
#include "projections/projector.h"

namespace millrace {

class JobCatalog {
 public:
  // `store` outlives the catalog, which reads nothing before it is first asked.
  explicit JobCatalog(const ViewStore& store, size_t max_pending = 20'000) : store_(store), max_pending_(max_pending) {}

  // The projector's on_applied.  Never waits for a reader.
  void offer(const AppliedGroup& group);
  // How many jobs' changes wait.
  size_t pending() const;
  // Applies what waits; reads the view if that was not done yet.  kCorrupt, kIo.
  Result<void> catch_up();

  Result<JobList> list(const JobListQuery& query);
  Result<std::vector<TagCount>> tags();
  // As JobIndex::each.  `visit` must not ask the catalog.
  Result<void> each(const std::function<void(const JobFigures&)>& visit);

 private:
  using Records = std::map<std::string, std::shared_ptr<const std::string>, std::less<>>;  // by id; null: erased

  Result<void> catch_up_locked();

  const ViewStore& store_;
  const size_t max_pending_;
  mutable std::mutex pending_mutex_;  // of the next three; never held while the index is read
  Records pending_;
  Position position_;
  bool outdated_ = false;
  std::mutex index_mutex_;
  std::optional<JobIndex> index_;
};

}  // namespace millrace
