// SPDX-License-Identifier: Apache-2.0
#include "mirror/mirror.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "bus/logging.h"
#include "mirror/mirror_writer.h"
#include "projections/job_history.h"
#include "projections/machine_state.h"
#include "projections/maintenance.h"
#include "projections/ordinals.h"
#include "projections/registry.h"

namespace millrace {
namespace {

// The views that rows come from.
constexpr std::array kViews = {kMachineStateView, kJobHistoryView, kMaintenanceView, kOrdinalsView};
// A stretch of the log without anything to write moves the stored position only when it is this long: telemetry alone
// does not write to the database.
constexpr uint64_t kIdlePositions = 100'000;
constexpr std::chrono::milliseconds kFirstBackoff{1'000};

std::string views_text() {
  std::string text;
  for (const auto view : kViews) text += fmt::format("{} {}, ", view, make_projection(view)->version());
  text.resize(text.size() - 2);
  return text;
}

}  // namespace

Mirror::Mirror(MirrorOptions options, MirrorParts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      lag_(parts_.metrics.gauge("millrace_mirror_lag_positions", "Positions that the SQL tables are behind the log")),
      up_(parts_.metrics.gauge("millrace_mirror_up", "1 while the SQL database takes what is written")),
      rows_total_(parts_.metrics.counter("millrace_mirror_rows_total", "Rows written to the SQL database")),
      failures_total_(parts_.metrics.counter("millrace_mirror_failures_total", "Batches that have to be tried again")) {
}

Mirror::~Mirror() { stop(); }

void Mirror::start() {
  log_info("mirror", "tables in {}", options_.url.text());
  thread_.start(options_.interval, [this] { work(); });
}

void Mirror::stop() { thread_.stop(); }

MirrorOrigin Mirror::origin() const { return {parts_.log.incarnation(), views_text(), parts_.log.replaced_at().value}; }

Result<void> Mirror::open() {
  if (database_ != nullptr) return {};
  DatabaseOptions options;
  options.url = options_.url;
  options.password = options_.password;
  options.timeout = options_.timeout;
  auto opened = SqlDatabase::open(std::move(options));
  if (!opened) return opened.error();
  database_ = std::move(*opened);
  if (database_->dialect() == SqlDialect::kPostgresql) {
    // Plans are made while the tables are small and kept while they grow: one that reads a whole table would stay.
    if (auto set = database_->execute("SET enable_seqscan = off"); !set) return set.error();
  }
  if (database_->dialect() != SqlDialect::kSqlite) return {};
  // Readers and the mirror do not stop each other; what a loss of power takes is written again from its position.
  for (const auto* sql : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA foreign_keys = ON"}) {
    if (auto set = database_->rows(sql); !set) return set.error();
  }
  return {};
}

Result<Mirror::Pass> Mirror::run_once() {
  auto pass = [&]() -> Result<Pass> {
    if (auto opened = open(); !opened) return opened.error();
    const Position last = parts_.log.last();
    const auto from = open_mirror_tables(*database_, origin(), last);
    if (!from) return from.error();
    if (*from != std::exchange(stored_, *from)) {
      through_ = *from;
      settled_ = false;
    }
    auto batch = MirrorBatch::read(parts_.log, through_, options_.batch);
    if (!batch) return batch.error();
    Pass done;
    done.at_end = batch->at_end();
    const uint64_t ahead = batch->through().value - stored_.value;
    if (!batch->empty() || ahead >= kIdlePositions || (batch->at_end() && !settled_ && ahead > 0)) {
      if (auto written = write(*batch, stored_, done.rows); !written) return written.error();
      stored_ = batch->through();
    }
    through_ = batch->through();
    settled_ = settled_ || batch->at_end();
    done.position = through_;
    rows_total_.add(static_cast<double>(done.rows));
    return done;
  }();
  if (pass) behind_from_ = pass->position;
  const Position end = parts_.log.last();
  lag_.set(static_cast<double>(end.value - std::min(end.value, behind_from_.value)));
  if (!pass) {
    database_.reset();
    stored_ = through_ = Position{0};
    settled_ = false;
  }
  up_.set(pass ? 1 : 0);
  return pass;
}

Result<void> Mirror::write(MirrorBatch& batch, Position from, size_t& rows) {
  if (!parts_.wait_for_views(batch.through())) {
    return make_error(Errc::kUnavailable, fmt::format("the views have not come to position {}", batch.through().value));
  }
  MirrorWriter writer(*database_);
  return database_->transact([&]() -> Result<void> {
    const auto now = parts_.clock.wall();
    if (auto moved = move_mirror_position(*database_, from, batch.through(), now); !moved) return moved;
    while (!batch.empty()) {
      if (thread_.stopping()) return make_error(Errc::kUnavailable, "stopping");
      // The views are not held while the database writes.
      auto chunk = batch.next(*parts_.views.reader(), parts_.blobs, database_->dialect());
      if (!chunk) return chunk.error();
      if (auto written = writer.write(*chunk); !written) return written;
      rows += chunk->rows();
    }
    return {};
  });
}

void Mirror::work() {
  if (parts_.clock.monotonic() < next_try_) return;
  const MonotonicTime begin = parts_.clock.monotonic();
  size_t rows = 0;
  while (!thread_.stopping()) {
    const auto pass = run_once();
    if (!pass) {
      if (!thread_.stopping()) failed(pass.error());
      return;
    }
    backoff_ = std::chrono::milliseconds(0);
    failure_told_.clear();
    rows += pass->rows;
    if (!pass->at_end) continue;
    if (!std::exchange(told_working_, true)) {
      const double seconds = std::chrono::duration<double>(parts_.clock.monotonic() - begin).count();
      log_info("mirror", "the tables are up to position {}: {} rows in {:.1f} s", pass->position.value, rows, seconds);
    }
    return;
  }
}

void Mirror::failed(const Error& error) {
  failures_total_.add();
  backoff_ = std::min(options_.backoff_max, std::max(kFirstBackoff, 2 * backoff_));
  next_try_ = parts_.clock.monotonic() + backoff_;
  told_working_ = false;
  // Each try fails alike: said once.
  if (error.context != std::exchange(failure_told_, error.context)) {
    log_warn("mirror", "the tables stay as they are and it is tried again, at least once every {} s: {}",
             options_.backoff_max.count() / 1000, error.message());
  }
}

}  // namespace millrace
