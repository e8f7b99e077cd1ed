// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/job_file_reader.h"

#include <algorithm>

#include "bus/logging.h"
#include "producers/moonraker/read_pause.h"

namespace millrace {

JobFileReader::JobFileReader(IoLoop& loop, KeepBlob keep, const Clock& clock, Random& random)
    : loop_(loop), keep_(std::move(keep)), clock_(clock), random_(random), thread_([this] { run(); }) {}

JobFileReader::~JobFileReader() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  *alive_ = false;
}

bool JobFileReader::read(JobFileSource source, JobFile file, Done done) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || tasks_.size() >= kMaxWaiting) return false;
    tasks_.push_back({std::move(source), std::move(file), std::move(done)});
  }
  wake_.notify_all();
  return true;
}

std::deque<JobFileReader::Task>::iterator JobFileReader::next_task() {
  return std::min_element(tasks_.begin(), tasks_.end(), [](const Task& a, const Task& b) { return a.due < b.due; });
}

void JobFileReader::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next = next_task();
    const MonotonicTime now = clock_.monotonic();
    if (next == tasks_.end()) {
      wake_.wait(lock);
    } else if (next->due > now) {
      wake_.wait_for(lock, next->due - now);
    } else {
      Task task = std::move(*next);
      tasks_.erase(next);
      lock.unlock();
      work(std::move(task));
      lock.lock();
    }
  }
}

void JobFileReader::work(Task task) {
  task.source.cancelled = &stopping_;
  auto metadata = read_job_file(task.source, task.file, keep_);
  if (metadata) return tell(task, std::move(*metadata));
  const Errc code = metadata.error().code;
  if (stopping_) return;
  const bool may_pass = code == Errc::kUnavailable || code == Errc::kTimeout;
  if (may_pass && task.retries < kMaxReadRetries) {
    task.due = clock_.monotonic() + read_pause(task.retries++, random_);
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    return;
  }
  log_warn("adapters", "the file of job {} could not be read: {}; Moonraker's summary is told instead",
           task.file.job_id, metadata.error().message());
  schema::JobMetadataReadT summary = summary_of(task.file);
  summary.warnings.push_back(metadata.error().message());
  tell(task, std::move(summary));
}

void JobFileReader::tell(const Task& task, schema::JobMetadataReadT metadata) {
  // A std::function must be copyable, and the generated struct is not.
  const auto shared = std::make_shared<schema::JobMetadataReadT>(std::move(metadata));
  loop_.post([alive = alive_, done = task.done, shared] {
    if (*alive) done(std::move(*shared));
  });
}

}  // namespace millrace
