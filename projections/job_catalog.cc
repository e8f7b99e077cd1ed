// SPDX-License-Identifier: Apache-2.0
#include "projections/job_catalog.h"

#include "projections/job_history.h"

namespace millrace {

void JobCatalog::offer(const AppliedGroup& group) {
  std::lock_guard lock(pending_mutex_);
  // After a failure the views may have begun again from an older position.
  if (group.position < position_) outdated_ = true;
  position_ = group.position;
  for (const ViewChange& change : group.changes) {
    if (change.projection == kJobHistoryView) pending_[std::string(job_id_of_key(change.key))] = change.value;
  }
  if (pending_.size() <= max_pending_) return;
  pending_.clear();
  outdated_ = true;
}

size_t JobCatalog::pending() const {
  std::lock_guard lock(pending_mutex_);
  return pending_.size();
}

Result<void> JobCatalog::catch_up() {
  std::lock_guard lock(index_mutex_);
  return catch_up_locked();
}

Result<void> JobCatalog::catch_up_locked() {
  Records changes;
  {
    std::lock_guard lock(pending_mutex_);
    changes.swap(pending_);
    if (std::exchange(outdated_, false)) index_.reset();
  }
  if (!index_) {
    // What was taken above is older than the view or as old; a change that comes meanwhile waits for the next time.
    auto read = JobIndex::read(*store_.reader());
    if (!read) return read.error();
    index_.emplace(std::move(*read));
    return {};
  }
  for (const auto& [id, record] : changes) index_->put(id, record.get());
  return {};
}

Result<JobList> JobCatalog::list(const JobListQuery& query) {
  std::lock_guard lock(index_mutex_);
  if (auto done = catch_up_locked(); !done) return done.error();
  return index_->list(query);
}

Result<std::vector<TagCount>> JobCatalog::tags() {
  std::lock_guard lock(index_mutex_);
  if (auto done = catch_up_locked(); !done) return done.error();
  return index_->tags();
}

Result<void> JobCatalog::each(const std::function<void(const JobFigures&)>& visit) {
  std::lock_guard lock(index_mutex_);
  if (auto done = catch_up_locked(); !done) return done.error();
  index_->each(visit);
  return {};
}

}  // namespace millrace
