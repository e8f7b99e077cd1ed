// SPDX-License-Identifier: Apache-2.0
#include "bus/confirmation.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

std::string_view name_of(Confirmation::Status status) {
  switch (status) {
    case Confirmation::Status::kOk:
      return "ok";
    case Confirmation::Status::kResend:
      return "resend";
    case Confirmation::Status::kFenced:
      return "fenced";
  }
  return "ok";
}

std::optional<Confirmation::Status> status_from(std::string_view name) {
  for (auto status : {Confirmation::Status::kOk, Confirmation::Status::kResend, Confirmation::Status::kFenced}) {
    if (name_of(status) == name) return status;
  }
  return std::nullopt;
}

std::optional<uint64_t> number_from(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

}  // namespace

void keep_latest(Confirmation& latest, Confirmation received) {
  const bool resend = latest.status == Confirmation::Status::kResend && received.recorded <= latest.recorded;
  if (resend && received.status == Confirmation::Status::kOk) received.status = Confirmation::Status::kResend;
  latest = std::move(received);
}

std::string encode(const Confirmation& confirmation) {
  JsonWriter json;
  json.object()
      .field("incarnation", confirmation.incarnation)
      .field("epoch", std::to_string(confirmation.recorded.epoch))
      .field("sequence", confirmation.recorded.sequence)
      .field("status", name_of(confirmation.status))
      .end();
  return json.take();
}

Result<Confirmation> decode_confirmation(std::string_view payload) {
  constexpr size_t kMaxBytes = 1024;
  JsonReader reader(kMaxBytes, 4);
  const auto parsed = reader.parse(payload);
  if (!parsed) return parsed.error();
  const auto incarnation = text_member(*parsed, "incarnation");
  const auto epoch_text = text_member(*parsed, "epoch");
  const auto epoch = epoch_text ? number_from(*epoch_text) : std::nullopt;
  const auto sequence = integer_member(*parsed, "sequence");
  const auto status_text = text_member(*parsed, "status");
  const auto status = status_text ? status_from(*status_text) : std::nullopt;
  if (!incarnation || !epoch || !sequence || *sequence < 0 || !status) {
    return make_error(Errc::kMalformed,
                      fmt::format("confirmation '{}': expected incarnation, epoch, sequence and status", payload));
  }
  return Confirmation{std::string(*incarnation), {*epoch, static_cast<uint64_t>(*sequence)}, *status};
}

}  // namespace millrace
