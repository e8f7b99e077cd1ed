// SPDX-License-Identifier: Apache-2.0
#include "bus/command_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bus/command_key.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "bus/sha256.h"
#include "bus/utf8.h"

namespace millrace {
namespace {

constexpr size_t kMaxDepth = 12;
constexpr size_t kMaxText = 200;
constexpr size_t kShown = 60;  // of an offending value
constexpr std::array<std::string_view, 7> kTextFields = {
    "id", "key", "actor", "sent_at", "idempotency_key", "expected_state_version", "expected_job_id"};

Error malformed(std::string text) { return make_error(Errc::kMalformed, std::move(text)); }

Error bad_field(std::string_view name, const Json& value, std::string_view expected) {
  return malformed(fmt::format("{}={}: expected {}", name, to_text(value).substr(0, kShown), expected));
}

// Bytes that neither topic levels nor JSON text have between the parts that are signed.
std::string signed_bytes(std::string_view machine, std::string_view command, std::string_view request) {
  return fmt::format("{}\n{}\n{}", machine, command, request);
}

std::string request_json(const CommandMessage& message) {
  JsonWriter json;
  json.object().field("id", message.id).key("args").raw(message.args);
  json.field("actor", message.actor).field("claimed_actor", message.claimed_actor).field("client", message.client);
  json.field("address", message.address).field("key_id", message.key_id).key("scopes").array();
  for (const std::string& scope : message.scopes) json.value(scope);
  json.end().field("recorded", message.recorded).field("incarnation", message.order.epoch);
  json.field("position", message.order.sequence).field("expires_in_s", message.expires_in_s);
  json.field("sent_at_us", to_unix_us(message.sent_at)).field("idempotency_key", message.idempotency_key);
  json.field("expected_state_version", message.expected_state_version);
  json.field("expected_job_id", message.expected_job_id).end();
  return json.take();
}

// The first `kept` bytes of what is named, no character in part, and what tells of the rest.
std::string shortened(std::string_view name, std::string_view text, size_t kept, Sha256Digester& sha256) {
  size_t end = 0;
  while (end < text.size()) {
    const size_t next = end + std::max<size_t>(1, utf8_length(text.substr(end)));
    if (next > kept) break;
    end = next;
  }
  JsonWriter json;
  json.object();
  if (end > 0) json.field(name, text.substr(0, end));
  json.field(fmt::format("{}_bytes", name), static_cast<uint64_t>(text.size()));
  json.field(fmt::format("{}_sha256", name), hex_of(sha256.digest(text))).end();
  return json.take();
}

std::string text_of(const Json& json, std::string_view name) {
  return std::string(text_member(json, name).value_or(""));
}

// One of ours, which no stranger can have made.
Result<CommandMessage> decode_request(std::string_view text) {
  JsonReader reader(kMaxCommandBytes, kMaxDepth);
  const auto json = reader.parse(text);
  if (!json) return json.error();
  CommandMessage message;
  message.id = text_of(*json, "id");
  const auto args = member(*json, "args");
  if (!args || !args->is_object() || !is_command_id(message.id))
    return malformed("a signed request without id or args");
  message.args = to_text(*args);
  message.actor = text_of(*json, "actor");
  message.claimed_actor = text_of(*json, "claimed_actor");
  message.client = text_of(*json, "client");
  message.address = text_of(*json, "address");
  message.key_id = text_of(*json, "key_id");
  simdjson::dom::array scopes;
  if (const auto names = member(*json, "scopes"); names && names->get_array().get(scopes) == simdjson::SUCCESS) {
    for (const Json name : scopes) message.scopes.emplace_back(as_text(name).value_or(""));
  }
  message.recorded = flag_member(*json, "recorded").value_or(false);
  message.order.epoch = static_cast<uint64_t>(integer_member(*json, "incarnation").value_or(0));
  message.order.sequence = static_cast<uint64_t>(integer_member(*json, "position").value_or(0));
  if (message.order == EventOrder{})
    return malformed("a signed request without its place in the log: is the hub older?");
  message.expires_in_s = number_member(*json, "expires_in_s").value_or(kCommandExpiresInS);
  message.sent_at = from_unix_us(integer_member(*json, "sent_at_us").value_or(0));
  message.idempotency_key = text_of(*json, "idempotency_key");
  message.expected_state_version = text_of(*json, "expected_state_version");
  message.expected_job_id = text_of(*json, "expected_job_id");
  return message;
}

Result<std::string> short_text(std::string_view name, const Json& value) {
  const auto text = as_text(value);
  if (!text || text->size() > kMaxText)
    return bad_field(name, value, fmt::format("text of at most {} bytes", kMaxText));
  return std::string(*text);
}

Result<void> take_field(std::string_view name, const Json& value, ReceivedCommand& received) {
  CommandMessage& message = received.message;
  if (name == "args") {
    if (!value.is_object()) return bad_field(name, value, "an object");
    message.args = to_text(value);
    if (message.args.size() <= max_command_args(message.command)) return {};
    message.args = "{}";
    return bad_field(name, value, fmt::format("at most {} bytes", max_command_args(message.command)));
  }
  if (name == "expires_in_s") {
    const auto seconds = as_number(value);
    if (!seconds || !(*seconds > 0) || *seconds > kMaxCommandExpiresInS) {
      return bad_field(name, value, fmt::format("seconds above 0, up to {}", kMaxCommandExpiresInS));
    }
    message.expires_in_s = *seconds;
    return {};
  }
  if (std::find(kTextFields.begin(), kTextFields.end(), name) == kTextFields.end()) {
    return malformed(fmt::format("'{}' is no field of a command: expected args, expires_in_s, {}",
                                 name.substr(0, kShown), fmt::join(kTextFields, ", ")));
  }
  const auto text = short_text(name, value);
  if (!text) return text.error();
  if (name == "id") {
    if (!is_command_id(*text)) {
      return bad_field(name, value, fmt::format("1 to {} letters, digits and - _ . :", kMaxCommandIdBytes));
    }
    message.id = *text;
  } else if (name == "sent_at") {
    const auto time = parse_rfc3339(*text);
    if (!time) return bad_field(name, value, "a time such as 2026-11-21T03:14:00Z");
    message.sent_at = *time;
  } else if (name == "key") {
    received.api_key = *text;
  } else if (name == "actor") {
    message.claimed_actor = *text;
  } else if (name == "idempotency_key") {
    message.idempotency_key = *text;
  } else if (name == "expected_state_version") {
    message.expected_state_version = *text;
  } else {
    message.expected_job_id = *text;
  }
  return {};
}

}  // namespace

bool is_command_id(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == ':';
  };
  return !text.empty() && text.size() <= kMaxCommandIdBytes && std::all_of(text.begin(), text.end(), allowed);
}

size_t max_command_args(std::string_view command) { return command == "gcode" ? kMaxGcodeArgs : kMaxCommandArgs; }

std::string recorded_args(std::string_view args) {
  if (args.size() <= kMaxCommandArgs) return std::string(args);
  Sha256Digester sha256;
  JsonReader reader(kMaxCommandBytes, kMaxDepth);
  const auto json = reader.parse(args);
  const auto script = json ? text_member(*json, "script") : std::nullopt;
  if (!script) return shortened("args", args, 0, sha256);
  std::string text = shortened("script", *script, kMaxCommandArgs / 2, sha256);
  // JSON escapes much of it: a line break is two bytes, a control character six.
  return text.size() <= kMaxCommandArgs ? text : shortened("script", *script, kMaxCommandArgs / 7, sha256);
}

std::string encode_signed_command(const CommandMessage& message, std::string_view key) {
  const std::string request = request_json(message);
  JsonWriter json;
  json.object().field("request", request);
  json.field("signature", command_signature(key, signed_bytes(message.machine, message.command, request))).end();
  return json.take();
}

Result<ReceivedCommand> decode_command(std::string_view machine, std::string_view command, std::string_view payload,
                                       std::string_view key) {
  if (payload.size() > 2 * kMaxCommandBytes) {
    return make_error(Errc::kTooLarge,
                      fmt::format("a command of {} bytes: expected at most {}", payload.size(), kMaxCommandBytes));
  }
  ReceivedCommand received;
  received.message.command = command;
  if (payload.find_first_not_of(" \t\r\n") == std::string_view::npos) payload = "{}";
  JsonReader reader(2 * kMaxCommandBytes, kMaxDepth);
  const auto json = reader.parse(payload);
  if (!json) return malformed(fmt::format("the payload is no JSON: {}", json.error().context));
  simdjson::dom::object fields;
  if (json->get_object().get(fields) != simdjson::SUCCESS) return malformed("the payload is no JSON object");
  if (const auto request = text_member(*json, "request")) {
    const auto signature = text_member(*json, "signature").value_or("");
    if (!is_command_signature(key, signed_bytes(machine, command, *request), signature)) {
      return make_error(Errc::kConflict, key.empty() ? "this host has no command key to check the signature with"
                                                     : "the signature is not of this shop's command key");
    }
    auto message = decode_request(*request);
    if (!message) return message.error();
    received.message = std::move(*message);
    received.is_signed = true;
  } else {
    std::vector<std::string_view> seen;
    for (const auto [name, value] : fields) {
      if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
        return malformed(fmt::format("'{}' is there twice", name.substr(0, kShown)));
      }
      seen.push_back(name);
      if (auto taken = take_field(name, value, received); !taken) return taken.error();
    }
    received.message.client = "mqtt";
  }
  received.message.machine = machine;
  received.message.command = command;
  return received;
}

}  // namespace millrace
