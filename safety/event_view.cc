// SPDX-License-Identifier: Apache-2.0
#include "safety/event_view.h"

namespace millrace {
namespace {

void begin(EventView& view, EventType type, WallTime observed, WallTime occurred) {
  view.signals.clear();
  auto signals = std::move(view.signals);
  view = {};
  view.signals = std::move(signals);
  view.type = type;
  view.observed_us = to_unix_us(observed);
  view.occurred_us = to_unix_us(occurred);
}

void take(EventView& view, const schema::TelemetrySampledT& event) {
  view.full = event.full;
  for (const auto& signal : event.signals) view.signals.push_back({signal->object, signal->field, signal->value});
}

void take(EventView& view, const schema::TelemetrySampled& event) {
  view.full = event.full();
  if (event.signals() == nullptr) return;
  for (const schema::Signal* signal : *event.signals()) {
    view.signals.push_back({text(signal->object()), text(signal->field()), signal->value()});
  }
}

}  // namespace

void view_of(const EventDraft& draft, EventView& view) {
  const auto& payload = draft.payload;
  begin(view, payload.type, draft.observed_at, draft.occurred_at);
  if (const auto* sampled = payload.AsTelemetrySampled()) {
    take(view, *sampled);
  } else if (const auto* changed = payload.AsMachineStateChanged()) {
    view.state = changed->state;
    view.text = changed->text;
  } else if (const auto* started = payload.AsJobStarted()) {
    view.job_id = started->job_id;
    view.live = started->seen == schema::JobSeen::live;
  } else if (const auto* finished = payload.AsJobFinished()) {
    view.job_id = finished->job_id;
  } else if (const auto* clock = payload.AsMachineClockOff()) {
    view.active = clock->active;
    view.skew_ms = clock->skew_ms;
  } else if (const auto* applied = payload.AsLimitsApplied(); applied != nullptr && applied->limits) {
    view.limits = *applied->limits;
  }
}

void view_of(const Envelope& envelope, EventView& view) {
  begin(view, envelope.type(), envelope.observed_at(), envelope.occurred_at());
  if (const auto* sampled = envelope.as<schema::TelemetrySampled>()) {
    take(view, *sampled);
  } else if (const auto* changed = envelope.as<schema::MachineStateChanged>()) {
    view.state = changed->state();
    view.text = text(changed->text());
  } else if (const auto* started = envelope.as<schema::JobStarted>()) {
    view.job_id = text(started->job_id());
    view.live = started->seen() == schema::JobSeen::live;
  } else if (const auto* finished = envelope.as<schema::JobFinished>()) {
    view.job_id = text(finished->job_id());
  } else if (const auto* clock = envelope.as<schema::MachineClockOff>()) {
    view.active = clock->active();
    view.skew_ms = clock->skew_ms();
  } else if (const auto* applied = envelope.as<schema::LimitsApplied>(); applied != nullptr && applied->limits()) {
    applied->limits()->UnPackTo(&view.limits);
  }
}

bool is_monitored(EventType type) {
  switch (type) {
    case EventType::TelemetrySampled:
    case EventType::MachineStateChanged:
    case EventType::MachineConnected:
    case EventType::MachineDisconnected:
    case EventType::FirmwareRestarted:
    case EventType::JobStarted:
    case EventType::JobFinished:
    case EventType::MachineClockOff:
    case EventType::LimitsApplied:
      return true;
    default:
      return false;
  }
}

}  // namespace millrace
