// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/line/simulated_shop.h"

#include <fmt/format.h>

namespace millrace::testing {

namespace fs = std::filesystem;

Result<Commit> FlakyLog::append(const AppendBatch& batch) {
  if (broken_) return make_error(Errc::kSyncFailed, "an earlier write failed");
  if (refuse > 0) {
    --refuse;
    return make_error(Errc::kFull, "no space");
  }
  auto commit = log_->append(batch);
  if (!std::exchange(leave_unclear, false)) return commit;
  broken_ = true;
  return make_error(Errc::kSyncFailed, "the disk did not say whether it is written");
}

SimulatedHub::SimulatedHub(SimulatedWorld& world, Options options)
    : world_(world), options_(options), link_(world.broker.link()) {
  recording_ = std::make_unique<Recording>(options.recording, world.log, *link_, world.topics, world.clock,
                                           *world.metrics, world.health, [this](auto) {
                                             dead_ = dies_;
                                             if (dead_) link_->stop();
                                           });
  link_->subscribe(world.topics.ingest_all(), 1);
  link_->on_message([this](const MqttClient::Message& message) { receive(message); });
  link_->on_connected([this] { announce_ = true; });
  link_->start();
}

void SimulatedHub::receive(const MqttClient::Message& message) {
  auto producer = world_.topics.producer_of_ingest(message.topic);
  if (!producer || queue_.size() >= options_.max_queue_batches) return;
  queue_.push_back({std::move(*producer), std::string(message.topic), std::string(message.payload)});
}

void SimulatedHub::step() {
  if (recording_->down()) {
    if (world_.random.unit() < 0.5) recording_->recover();
    if (recording_->down()) return;
  }
  if (std::exchange(announce_, false) && link_->connected()) recording_->announce();
  std::vector<Recording::Received> received;
  received.swap(queue_);
  std::vector<HubWrite> writes;
  if (world_.random.unit() < options_.writes_of_its_own) {
    std::vector<EventDraft> events;
    events.push_back(draft_of(schema::MachineStateChangedT{}, "", world_.clock.wall()));
    writes.push_back({std::move(events), std::nullopt, [](const Result<Position>&) {}});
  }
  recording_->step(received, writes, Recording::Wait::kYes);
}

// Tells the ledger what goes in and what is given up.
class SimulatedProducer::WatchedOutbox final : public Outbox {
 public:
  WatchedOutbox(SimulatedProducer& owner, std::unique_ptr<Outbox> outbox) : owner_(owner), outbox_(std::move(outbox)) {}

  Result<void> append(const std::vector<Envelope>& events, std::optional<std::string_view> state) override {
    auto appended = outbox_->append(events, state);
    if (!appended) return appended;
    for (const Envelope& event : events) {
      owner_.world_.ledger.stored(event);
      owner_.open_.insert(event.order());
      const bool own = event.type() == EventType::EpochOpened || event.type() == EventType::EventsDropped;
      if (!own) ++owner_.stored_;
    }
    return {};
  }
  Result<void> confirm(EventOrder order) override {
    const auto before = outbox_->oldest();
    auto confirmed = outbox_->confirm(order);
    const auto after = outbox_->oldest();
    auto& open = owner_.open_;
    while (before && !open.empty() && (!after || *open.begin() < *after)) {
      owner_.world_.ledger.forgotten(owner_.name(), *open.begin());
      open.erase(open.begin());
    }
    return confirmed;
  }
  Result<std::vector<OutboxEntry>> read(EventOrder after, size_t events, size_t bytes) const override {
    if (owner_.fenced_) owner_.world_.ledger.complain(owner_.name(), after, "a fenced producer sends on");
    return outbox_->read(after, events, bytes);
  }
  std::optional<EventOrder> oldest() const override { return outbox_->oldest(); }
  EventOrder last() const override { return outbox_->last(); }
  EventOrder confirmed() const override { return outbox_->confirmed(); }
  const std::string& state() const override { return outbox_->state(); }
  Result<void> offer_again() override { return outbox_->offer_again(); }
  bool disk_is_low() const override { return outbox_->disk_is_low(); }
  uint64_t size_bytes() const override { return outbox_->size_bytes(); }
  uint64_t size_events() const override { return outbox_->size_events(); }
  uint64_t events_after(EventOrder order) const override { return outbox_->events_after(order); }
  uint64_t bytes_after(EventOrder order) const override { return outbox_->bytes_after(order); }
  Result<void> note_drops(uint64_t count, EventOrder by) override { return outbox_->note_drops(count, by); }
  uint64_t untold_drops() const override { return outbox_->untold_drops(); }
  Result<void> note_epoch(uint64_t epoch) override { return outbox_->note_epoch(epoch); }
  Result<uint64_t> open_epoch(WallTime now) override { return outbox_->open_epoch(now); }

 private:
  SimulatedProducer& owner_;
  const std::unique_ptr<Outbox> outbox_;
};

SimulatedProducer::SimulatedProducer(SimulatedWorld& world, fs::path directory, Options options)
    : world_(world), directory_(std::move(directory)), options_(std::move(options)) {}

SimulatedProducer::~SimulatedProducer() { kill(); }

void SimulatedProducer::start() {
  world_.clock.advance(std::chrono::milliseconds(1));  // epochs are milliseconds
  fenced_ = false;
  auto outbox = Outbox::open(directory_, options_.outbox).value();
  if (std::exchange(damaged_, false)) lose_what_is_missing(outbox->last());
  link_ = world_.broker.link();
  runner_ = OutboxRunner::open(options_.runner, std::make_unique<WatchedOutbox>(*this, std::move(outbox)), *link_,
                               world_.topics, world_.clock, *world_.metrics)
                .value();
  runner_->on_fenced = [this] { fenced_ = true; };
  link_->subscribe(world_.topics.recorded(name()), 0);
  link_->subscribe(world_.topics.status(kHubProducer), 0);
  link_->on_message([this](const MqttClient::Message& message) { hear(message); });
  link_->on_connected([this] { runner_->on_connected(); });
  link_->on_disconnected([this](const std::string&) { runner_->on_disconnected(); });
  link_->start();
}

void SimulatedProducer::hear(const MqttClient::Message& message) {
  if (message.topic == world_.topics.status(kHubProducer)) return runner_->on_connected();
  const auto confirmation = decode_confirmation(message.payload);
  if (confirmation) runner_->on_confirmation(*confirmation);
}

void SimulatedProducer::kill() {
  link_.reset();
  runner_.reset();
}

void SimulatedProducer::lose_what_is_missing(EventOrder last) {
  while (!open_.empty() && *open_.rbegin() > last) {
    world_.ledger.excuse(name(), *open_.rbegin());
    open_.erase(std::prev(open_.end()));
  }
  world_.ledger.excuse_count(name());
}

void SimulatedProducer::lose_power() {
  kill();
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(directory_)) {
    if (entry.path().extension() == ".seg") newest = std::max(newest, entry.path());
  }
  const uint64_t size = fs::file_size(newest);
  fs::resize_file(newest, size - std::min(size, world_.random.next() % 600));
  damaged_ = true;
}

void SimulatedProducer::emit(uint64_t events) {
  std::vector<EventDraft> drafts;
  for (uint64_t i = 0; i < events; ++i, ++emitted_) {
    if (world_.random.unit() < 0.5) {
      schema::MachineStateChangedT fact;
      fact.text = std::to_string(emitted_);
      drafts.push_back(draft_of(std::move(fact), name(), world_.clock.wall()));
    } else {
      schema::TelemetrySampledT sample;
      sample.signals.push_back(std::make_unique<schema::SignalT>());
      sample.signals[0]->value = static_cast<double>(emitted_);
      drafts.push_back(draft_of(std::move(sample), name(), world_.clock.wall()));
    }
  }
  stored_ = 0;
  runner_->emit(std::move(drafts), "");
  world_.ledger.not_stored(name(), events - stored_);
}

bool SimulatedProducer::superseded() const {
  const auto mark = world_.log.mark(name());
  return mark && mark->epoch > runner_->next_id().epoch;
}

std::string SimulatedProducer::describe() const {
  const EventOrder next{runner_->next_id().epoch, runner_->next_id().sequence};
  const EventOrder oldest = open_.empty() ? next : *open_.begin();
  return fmt::format("{}: {} events from {}/{}, next {}/{}, confirmed {}/{}", name(), runner_->unconfirmed(),
                     oldest.epoch, oldest.sequence, next.epoch, next.sequence, runner_->confirmed().epoch,
                     runner_->confirmed().sequence);
}

void SimulatedProducer::step() {
  const auto deadline = runner_->next_deadline();
  if (deadline && *deadline <= world_.clock.monotonic()) runner_->on_timer();
}

void SimulatedProducer::back_up() {
  fs::remove_all(copy());
  if (fs::exists(directory_)) fs::copy(directory_, copy(), fs::copy_options::recursive);
}

void SimulatedProducer::restore() {
  if (!fs::exists(copy())) return;
  kill();
  fs::remove_all(directory_);
  fs::copy(copy(), directory_, fs::copy_options::recursive);
  damaged_ = true;
}

}  // namespace millrace::testing
