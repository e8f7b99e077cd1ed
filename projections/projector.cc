// SPDX-License-Identifier: Apache-2.0
#include "projections/projector.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "bus/logging.h"
#include "projections/apply_group.h"
#include "projections/checkpoint.h"

namespace millrace {
namespace {

constexpr std::string_view kPart = "projector";

size_t bytes_of(const Commit& commit) {
  size_t bytes = 0;
  for (const Envelope& envelope : commit.envelopes) bytes += envelope.bytes().size();
  return bytes;
}

}  // namespace

struct Projector::Impl {
  // One projection and how far its view has come.  Worker's thread only, after start().
  struct Progress {
    std::unique_ptr<const Projection> projection;
    Position applied;
  };

  Impl(Projector& projector, const EventLog& event_log, ViewStore& view_store,
       std::vector<std::unique_ptr<const Projection>> projections, Metrics& metrics, Health& part_health,
       ProjectorOptions wanted)
      : owner(projector),
        log(event_log),
        store(view_store),
        health(part_health),
        options(wanted),
        events_total(metrics.counter("millrace_projector_events_total", "Events applied to the views")),
        groups_total(metrics.counter("millrace_projector_groups_total", "Groups committed to the views")),
        rebuilds_total(metrics.counter("millrace_projector_rebuilds_total", "Views rebuilt from the first position")),
        overflows_total(metrics.counter("millrace_projector_queue_overflows_total",
                                        "Commits that found the queue full and are read from the log")),
        failures_total(metrics.counter("millrace_projector_failures_total", "Groups that had to be tried again")),
        lag(metrics.gauge("millrace_projector_lag_positions", "Positions that the views are behind the log")),
        queue_depth(metrics.gauge("millrace_projector_queue_commits", "Commits waiting for the projector")) {
    for (auto& projection : projections) views.push_back({std::move(projection), {}});
  }

  Projector& owner;
  const EventLog& log;
  ViewStore& store;
  Health& health;
  const ProjectorOptions options;
  Counter& events_total;
  Counter& groups_total;
  Counter& rebuilds_total;
  Counter& overflows_total;
  Counter& failures_total;
  Gauge& lag;
  Gauge& queue_depth;
  std::vector<Progress> views;
  Position caught_up_at;  // the end of the log at start()
  bool reported_ready = false;
  bool rebuilding = false;
  std::string failure_told;
  bool reload = false;  // after a failure: what the store holds may be older than what was applied

  mutable std::mutex mutex;
  mutable std::condition_variable wake;      // the worker: something to do
  mutable std::condition_variable advanced;  // wait_for()
  std::deque<std::shared_ptr<const Commit>> queue;
  size_t queued_bytes = 0;
  bool behind = true;  // the log may hold what was never offered
  bool stopping = false;
  Position applied;
  std::thread thread;

  Position least() const {
    const auto least = std::min_element(views.begin(), views.end(),
                                        [](const auto& a, const auto& b) { return a.applied < b.applied; });
    return least == views.end() ? log.last() : least->applied;
  }

  Result<void> load(Progress& view) {
    const auto stored = read_checkpoint(*store.reader(), view.projection->name());
    if (!stored) return stored.error();
    const auto& checkpoint = *stored;
    const bool usable = checkpoint && checkpoint->version == view.projection->version() &&
                        checkpoint->incarnation == log.incarnation() && checkpoint->position <= log.last() &&
                        checkpoint->position >= log.replaced_at();  // else it may hold names that were made unreadable
    if (usable) {
      view.applied = checkpoint->position;
      return {};
    }
    if (checkpoint) {
      log_info("projector", "view {} is rebuilt: it was written by version {} at position {} of log {}",
               view.projection->name(), checkpoint->version, checkpoint->position.value, checkpoint->incarnation);
      rebuilds_total.add();
      rebuilding = true;
    }
    view.applied = Position{0};
    return store.clear(view.projection->name(), {write_of(checkpoint_of(view, Position{0}))});
  }

  Checkpoint checkpoint_of(const Progress& view, Position position) const {
    return {std::string(view.projection->name()), view.projection->version(), position, log.incarnation()};
  }

  // Applies events that begin right after the least advanced view, and commits.  Nothing changes on an error.
  Result<void> apply(const std::vector<RecordedEvent>& events, Position through) {
    std::vector<ViewWrite> writes;
    auto group = std::make_shared<AppliedGroup>();
    group->position = through;
    {
      const auto reader = store.reader();
      for (Progress& view : views) {
        if (view.applied >= through) continue;
        const auto first = std::find_if(events.begin(), events.end(),
                                        [&](const RecordedEvent& event) { return event.position > view.applied; });
        auto folded = fold_group(*view.projection, *reader, {first, events.end()});
        if (!folded) return folded.error();
        announce(*group, *folded);
        std::move(folded->writes.begin(), folded->writes.end(), std::back_inserter(writes));
        writes.push_back(write_of(checkpoint_of(view, through)));
      }
    }
    if (auto committed = store.commit(writes); !committed) return committed.error();
    for (Progress& view : views) view.applied = std::max(view.applied, through);
    events_total.add(static_cast<double>(events.size()));
    groups_total.add();
    publish(std::move(group));
    return {};
  }

  static void announce(AppliedGroup& group, const FoldedGroup& folded) {
    for (const ViewWrite& write : folded.writes) {
      if (!folded.changed.contains(write.key)) continue;
      group.changes.push_back(
          {write.view, write.key, write.value ? std::make_shared<const std::string>(*write.value) : nullptr});
    }
  }

  void publish(std::shared_ptr<const AppliedGroup> group) {
    const Position now = least();
    const Position end = log.last();
    lag.set(static_cast<double>(end.value - std::min(end.value, now.value)));
    {
      std::lock_guard lock(mutex);
      applied = now;
    }
    if (owner.on_applied) owner.on_applied(std::move(group));
    advanced.notify_all();
  }

  void report() {
    if (reported_ready) return;
    const Position now = least();
    reported_ready = now >= caught_up_at;
    if (reported_ready) {
      health.set(std::string(kPart), true);
    } else {
      health.set(std::string(kPart), false,
                 fmt::format("{}: position {} of {}", rebuilding ? "rebuilding" : "catching up", now.value,
                             caught_up_at.value));
    }
  }

  // Reads and applies one group from the log.  True when the end was reached.
  Result<bool> catch_up() {
    const Position after = least();
    const auto read = log.read(after, {.events = kMaxGroupApplied, .scanned = kMaxGroupApplied}, {});
    if (!read) return read.error();
    if (read->through > after) {
      if (auto done = apply(read->events, read->through); !done) return done.error();
    }
    return read->at_end || read->through == after;
  }

  // Takes the commits that follow the views without a gap, at most one group.  Empty when the log must be read.
  std::vector<std::shared_ptr<const Commit>> take(Position after) {
    std::lock_guard lock(mutex);
    std::vector<std::shared_ptr<const Commit>> taken;
    size_t events = 0;
    while (!queue.empty() && events < kMaxGroupApplied) {
      const auto& front = queue.front();
      if (front->last > after) {
        if (front->first > after + 1) {
          behind = true;
          break;
        }
        taken.push_back(front);
        events += front->envelopes.size();
        after = front->last;
      }
      queued_bytes -= bytes_of(*front);
      queue.pop_front();
    }
    queue_depth.set(static_cast<double>(queue.size()));
    return taken;
  }

  Result<void> apply_taken(const std::vector<std::shared_ptr<const Commit>>& commits) {
    if (commits.empty()) return {};
    std::vector<RecordedEvent> events;
    const Position after = least();
    for (const auto& commit : commits) {
      for (size_t i = 0; i < commit->envelopes.size(); ++i) {
        const Position position = commit->first + i;
        if (position > after) events.push_back({position, commit->recorded_at, commit->envelopes[i]});
      }
    }
    return apply(events, commits.back()->last);
  }

  Result<void> load_all() {
    for (Progress& view : views) {
      if (auto loaded = load(view); !loaded) return loaded;
    }
    caught_up_at = log.last();
    reload = false;
    return {};
  }

  // One round of work.
  Result<void> step() {
    if (reload) {
      if (auto recovered = store.recover(); !recovered) return recovered;
      if (auto loaded = load_all(); !loaded) return loaded;
    }
    bool read_log = false;
    {
      std::lock_guard lock(mutex);
      read_log = behind;
    }
    if (!read_log) return apply_taken(take(least()));
    {
      // Cleared before the read: a commit that is turned away during it sets the flag again.
      std::lock_guard lock(mutex);
      behind = false;
    }
    const auto at_end = catch_up();
    if (!at_end || !*at_end) {
      std::lock_guard lock(mutex);
      behind = true;
    }
    if (!at_end) return at_end.error();
    return {};
  }

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [&] { return stopping || behind || !queue.empty(); });
      if (stopping) return;
      lock.unlock();
      const auto done = step();
      if (done) {
        failure_told.clear();
        report();
        lock.lock();
        continue;
      }
      failed(done.error());
      lock.lock();
      behind = true;  // what was taken from the queue is read again
      wake.wait_for(lock, options.retry, [&] { return stopping; });
    }
  }

  void failed(const Error& error) {
    failures_total.add();
    // Each retry fails alike: said once, not once a second.
    if (error.context != std::exchange(failure_told, error.context)) {
      log_error("projector", "the views stay at position {}: {}", least().value, error.message());
    }
    health.set(std::string(kPart), false, error.context);
    reported_ready = false;
    reload = true;
  }
};

Projector::Projector(const EventLog& log, ViewStore& store, std::vector<std::unique_ptr<const Projection>> projections,
                     Metrics& metrics, Health& health, ProjectorOptions options)
    : impl_(std::make_unique<Impl>(*this, log, store, std::move(projections), metrics, health, options)) {}

Projector::~Projector() { stop(); }

Result<void> Projector::start() {
  if (auto loaded = impl_->load_all(); !loaded) return loaded;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->applied = impl_->least();
  }
  impl_->report();
  impl_->thread = std::thread([this] { impl_->run(); });
  return {};
}

void Projector::stop() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  impl_->advanced.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void Projector::offer(std::shared_ptr<const Commit> commit) {
  const size_t bytes = bytes_of(*commit);
  {
    std::lock_guard lock(impl_->mutex);
    if (impl_->queue.size() >= impl_->options.max_queued_commits ||
        impl_->queued_bytes + bytes > impl_->options.max_queued_bytes) {
      impl_->behind = true;
      impl_->overflows_total.add();
    } else {
      impl_->queued_bytes += bytes;
      impl_->queue.push_back(std::move(commit));
    }
  }
  impl_->wake.notify_one();
}

Position Projector::applied() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->applied;
}

bool Projector::wait_for(Position position, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(impl_->mutex);
  impl_->advanced.wait_for(lock, timeout, [&] { return impl_->applied >= position || impl_->stopping; });
  return impl_->applied >= position;
}

}  // namespace millrace
