// SPDX-License-Identifier: Apache-2.0
#include "cli/own_shop.h"

#include <fmt/format.h>

#include "cli/hub.h"
#include "projections/registry.h"

namespace millrace {
namespace {

// A view that has to be built anew takes its time, and goes on while there is progress.
constexpr std::chrono::milliseconds kViewsStep{10'000};

}  // namespace

Result<std::unique_ptr<OwnShop>> OwnShop::open(const std::filesystem::path& data_dir, const Clock& clock) {
  std::unique_ptr<OwnShop> shop(new OwnShop(clock));
  auto log = open_rocksdb_event_log(log_directory(data_dir), clock);
  if (!log && log.error().code == Errc::kConflict) {
    return make_error(Errc::kConflict,
                      fmt::format("another process has the log in '{}' open and does not answer on its control.sock",
                                  data_dir.string()));
  }
  if (!log) return log.error();
  shop->log_ = std::move(*log);
  auto views = open_rocksdb_view_store(views_directory(data_dir), view_names());
  if (!views) return views.error();
  shop->views_ = std::move(*views);
  shop->projector_ =
      std::make_unique<Projector>(*shop->log_, *shop->views_, make_projections(), *shop->metrics_, shop->health_);
  if (auto started = shop->projector_->start(); !started) return started.error();
  if (auto reached = shop->wait_for_views(shop->log_->last()); !reached) return reached.error();
  return shop;
}

Result<Position> OwnShop::append(const std::vector<EventDraft>& events) {
  const EventOrder mark = log_->mark(kHubProducer).value_or(EventOrder{});
  const uint64_t epoch = log_->incarnation_number();
  uint64_t sequence = mark.epoch == epoch ? mark.sequence : 0;
  std::vector<Envelope> envelopes;
  for (const EventDraft& draft : events) {
    auto envelope = Envelope::build({std::string(kHubProducer), epoch, ++sequence}, draft);
    if (!envelope) return envelope.error();
    envelopes.push_back(std::move(*envelope));
  }
  const std::vector<ProducerMark> marks{{std::string(kHubProducer), {epoch, sequence}}};
  auto commit = log_->append({.envelopes = envelopes, .marks = marks, .recorded_at = clock_.wall()});
  if (!commit) return commit.error();
  const Position last = commit->last;
  projector_->offer(std::make_shared<const Commit>(std::move(*commit)));
  return last;
}

Result<void> OwnShop::wait_for_views(Position position) const {
  while (projector_->applied() < position) {
    const Position before = projector_->applied();
    if (projector_->wait_for(position, kViewsStep)) return {};
    if (projector_->applied() == before) {
      const auto parts = health_.parts();
      const auto part = parts.find("projector");
      return make_error(Errc::kUnavailable, fmt::format("the views stay at position {}: {}", before.value,
                                                        part == parts.end() ? "" : part->second.text));
    }
  }
  return {};
}

}  // namespace millrace
