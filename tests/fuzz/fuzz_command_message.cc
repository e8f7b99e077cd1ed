// SPDX-License-Identifier: Apache-2.0
// Whatever is published on a command's topic or sent as the body of a command: the first line is the command in the
// topic, the rest the payload and the body.  Nothing that is not signed says who asks, and nothing that was changed is
// still signed.
#include <string>
#include <variant>

#include "bus/command_message.h"
#include "bus/json_reader.h"
#include "bus/utf8.h"
#include "safety/command.h"
#include "tests/fuzz/check.h"
#include "web/edge/command_body.h"

using namespace millrace;

namespace {

constexpr std::string_view kKey = "0123456789abcdef0123456789abcdef";
constexpr std::string_view kMachine = "m1";

bool is_readable(std::string_view text) { return text.size() < 8192 && readable_text(text) == text; }

void check_args(const std::string& args) {
  JsonReader reader(kMaxCommandBytes, 16);
  const auto json = reader.parse(args);
  fuzz::check(json && json->is_object(), "arguments are a JSON object");
  fuzz::check(args.size() <= kMaxGcodeArgs && recorded_args(args).size() <= kMaxCommandArgs, "arguments are bounded");
}

bool same(const CommandMessage& a, const CommandMessage& b) {
  return a.id == b.id && a.command == b.command && a.machine == b.machine && a.args == b.args && a.actor == b.actor &&
         a.claimed_actor == b.claimed_actor && a.client == b.client && a.key_id == b.key_id && a.scopes == b.scopes &&
         a.recorded == b.recorded && a.order == b.order && a.idempotency_key == b.idempotency_key &&
         a.expected_state_version == b.expected_state_version && a.expected_job_id == b.expected_job_id;
}

// What the hub would sign of it is read as it was, and not once a byte of it is another.
void check_signature(CommandMessage message, size_t seed) {
  message.id = "c1";
  message.actor = "Anna";
  message.client = "http";
  message.scopes = {"operate"};
  message.order = {1 + seed % 1'000, seed % 1'000'000};
  const std::string text = encode_signed_command(message, kKey);
  const auto read = decode_command(kMachine, message.command, text, kKey);
  fuzz::check(read && read->is_signed && same(read->message, message), "what is signed is read as it was");
  fuzz::check(!decode_command(kMachine, message.command, text, "another key"), "with another key it is not");
  fuzz::check(!decode_command("m2", message.command, text, kKey), "it is for one machine");
  fuzz::check(!decode_command(kMachine, message.command + "x", text, kKey), "it is for one command");
  std::string changed = text;
  changed[seed % changed.size()] = static_cast<char>(changed[seed % changed.size()] ^ (1 + seed % 255));
  const auto forged = decode_command(kMachine, message.command, changed, kKey);
  fuzz::check(!forged || !forged->is_signed || same(forged->message, message), "what was changed is not signed");
}

void check_payload(std::string_view command, std::string_view payload, size_t seed) {
  const auto read = decode_command(kMachine, command, payload, kKey);
  if (!read) {
    fuzz::check(read.error().code == Errc::kMalformed || read.error().code == Errc::kConflict, "why it is not read");
    fuzz::check(!read.error().context.empty() && is_readable(read.error().context), "and what is wrong");
    return;
  }
  const CommandMessage& message = read->message;
  check_args(message.args);
  fuzz::check(message.expires_in_s > 0 && message.expires_in_s <= kMaxCommandExpiresInS, "it expires");
  fuzz::check(message.id.empty() || is_command_id(message.id), "its id can be a level of a topic");
  if (read->is_signed) return check_signature(message, seed);  // a seed: nobody guesses one
  fuzz::check(message.actor.empty() && message.scopes.empty() && message.key_id.empty() && !message.recorded,
              "what is not signed does not say who asks");
  if (!command.empty() && readable_text(command) == command) check_signature(message, seed);
}

void check_body(std::string_view body) {
  HttpRequest request;
  request.method = "POST";
  request.body = std::string(body);
  request.headers = {{"content-type", "application/json"}};
  const auto read = read_command_body(request);
  if (const auto* misread = std::get_if<MisreadCommand>(&read)) {
    const HttpResponse* problem = &misread->problem;
    fuzz::check(is_readable(misread->command), "the command's name is printable");
    JsonReader reader;
    const auto json = reader.parse(problem->body);
    fuzz::check(json && text_member(*json, "code") && text_member(*json, "detail"), "a problem names itself");
    fuzz::check(problem->status == 400 || problem->status == 415, "it is the asker's");
    return;
  }
  const auto& message = std::get<CommandMessage>(read);
  check_args(message.args);
  JsonReader reader(kMaxCommandBytes, 16);
  const auto command = parse_command(message.command, *reader.parse(message.args));
  fuzz::check(command && args_json(*command) == message.args, "what was understood is understood again");
  fuzz::check(message.actor.empty() && message.scopes.empty() && message.id.empty(), "a body does not say who asks");
  fuzz::check(is_readable(message.claimed_actor) && is_readable(message.idempotency_key), "texts are plain");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  const auto text = fuzz::as_text(data, size);
  const size_t end = std::min(text.find('\n'), text.size());
  const auto payload = text.substr(std::min(end + 1, text.size()));
  check_payload(text.substr(0, end), payload, size == 0 ? 0 : data[size - 1] * size);
  check_body(payload);
  return 0;
}
