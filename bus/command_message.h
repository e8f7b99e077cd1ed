// SPDX-License-Identifier: Apache-2.0
// A command on its way to whoever serves the machine: JSON on command/<machine>/<command>.  Pure.
//
// From the hub it is signed with a key that the roles share, so that nobody else on the broker can say who asked:
//   {"request": "<JSON of the message>", "signature": "<HMAC-SHA256 of topic levels and request, 64 hex digits>"}
// Anybody else sends, every field optional, an empty payload being {}:
//   {"args": {...}, "id": "...", "key": "<API key>", "actor": "...", "sent_at": "<RFC 3339>", "expires_in_s": 5,
//    "idempotency_key": "...", "expected_state_version": "...", "expected_job_id": "..."}
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/ids.h"
#include "bus/result.h"

namespace millrace {

inline constexpr double kCommandExpiresInS = 5;  // where the sender says nothing
inline constexpr double kMaxCommandExpiresInS = 600;
inline constexpr size_t kMaxCommandArgs = 40u << 10;  // of the arguments: an event, which records them, has 48 KiB
inline constexpr size_t kMaxGcodeArgs = 130u << 10;   // of G-code's: 64 KiB, of which JSON may escape each
// Of a request; a signed one is escaped once more, and a payload may have twice as much.
inline constexpr size_t kMaxCommandBytes = 160u << 10;
inline constexpr size_t kMaxCommandIdBytes = 64;  // of letters, digits, '-', '_', '.' and ':'

struct CommandMessage {
  std::string id;       // of all events that it leads to; empty: the receiver makes one
  std::string machine;  // as in the topic
  std::string command;
  std::string args = "{}";    // JSON object, not looked at
  std::string actor;          // who asks, proven; empty: not known
  std::string claimed_actor;  // what the sender says of itself
  std::string client;         // "http", "mqtt", "cli", "safety", ...
  std::string address;        // of the client at the hub
  std::string key_id;
  std::vector<std::string> scopes;  // of the actor
  bool recorded = false;            // its CommandRequested is in the log
  // Of what the hub signs: the log's incarnation and the position of the CommandRequested, higher for each command than
  // for all before it, also after a restore of the log.  Whoever has taken one takes none that is not above it.
  EventOrder order;
  double expires_in_s = kCommandExpiresInS;
  WallTime sent_at{};  // by the sender's clock; 0: it did not say
  std::string idempotency_key;
  std::string expected_state_version;
  std::string expected_job_id;
};

struct ReceivedCommand {
  CommandMessage message;
  bool is_signed = false;
  std::string api_key;  // of an unsigned one; never logged
};

bool is_command_id(std::string_view text);

// How long the arguments of a command may be, as JSON.
size_t max_command_args(std::string_view command);
// As an event holds them, in at most kMaxCommandArgs bytes: longer ones with the first part of their `script`, its
// whole length as `script_bytes` and its `script_sha256`; of others that are longer only length and hash.
std::string recorded_args(std::string_view args);

// `key` as read_command_key() gives it.
std::string encode_signed_command(const CommandMessage& message, std::string_view key);

// kMalformed names field, value and what is expected; kConflict: it is signed, and not with this key (an empty one: no
// key is at hand).  What is signed may say everything, what is not only the fields above.
Result<ReceivedCommand> decode_command(std::string_view machine, std::string_view command, std::string_view payload,
                                       std::string_view key);

}  // namespace millrace
