// SPDX-License-Identifier: Apache-2.0
#include "cli/command_keys.h"

#include <fmt/format.h>

#include <cstdio>

#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "bus/logging.h"
#include "bus/random.h"
#include "cli/control_service.h"
#include "cli/hub.h"
#include "cli/key_requests.h"
#include "cli/opened_log.h"
#include "cli/own_shop.h"

namespace millrace {
namespace {

void write_texts(JsonWriter& json, std::string_view name, const std::vector<std::string>& texts) {
  json.key(name).array();
  for (const std::string& text : texts) json.value(text);
  json.end();
}

Result<std::string> request_for(std::string_view verb, const KeysCommandOptions& options) {
  JsonWriter json;
  json.object().field("command", "keys").field("verb", verb).field("key", options.key).field("name", options.name);
  write_texts(json, "scopes", options.scopes);
  write_texts(json, "machines", options.machines);
  WallTime expires{};
  if (!options.expires.empty()) {
    const auto time = parse_rfc3339(options.expires);
    if (!time || *time <= SystemClock().wall()) {
      return make_error(Errc::kInvalidArgument, fmt::format("--expires '{}': expected a time to come, such as "
                                                            "2030-01-31T00:00:00Z",
                                                            options.expires));
    }
    expires = *time;
  }
  json.field("expires_us", to_unix_us(expires)).field("description", options.description);
  return json.field("requests_per_minute", options.requests_per_minute).end().take();
}

// Without a hub: the file, and the log where it can be had.  A first key is made before there is anything else.
Result<std::string> answer_here(const std::string& request, const KeysCommandOptions& options) {
  std::error_code failed;
  std::filesystem::create_directories(options.data_dir, failed);
  if (failed) {
    return make_error(Errc::kIo, fmt::format("folder '{}': {}", options.data_dir.string(), failed.message()));
  }
  const SystemClock clock;
  SystemRandom random;
  ApiKeys keys(keys_file(options.data_dir), clock, random);
  std::string unrecorded;
  const auto append = [&](const std::vector<EventDraft>& events) -> Result<Position> {
    auto shop = OwnShop::open(options.data_dir, clock);
    auto position = shop ? (*shop)->append(events) : shop.error();
    if (position) return position;
    unrecorded = position.error().message();
    return Position{};
  };
  KeyDesk desk(keys, append, clock);
  JsonReader reader;
  const auto json = reader.parse(request);
  if (!json) return json.error();
  auto answer = answer_key_request(*json, desk, clock);
  if (answer && !unrecorded.empty()) fmt::print(stderr, "The log does not tell of it: {}\n", unrecorded);
  return answer;
}

Result<std::string> ask(std::string_view verb, const KeysCommandOptions& options) {
  auto request = request_for(verb, options);
  if (!request) return request;
  auto answer = ask_hub(options.data_dir, *request);
  if (answer || answer.error().code != Errc::kUnavailable) return answer;
  return answer_here(*request, options);
}

std::string joined(const Json& key, std::string_view name, std::string_view none) {
  std::string text;
  const auto list = member(key, name);
  simdjson::dom::array items;
  if (!list || list->get_array().get(items) != simdjson::SUCCESS) return std::string(none);
  for (const Json item : items) text += (text.empty() ? "" : ",") + std::string(as_text(item).value_or(""));
  return text;
}

std::string_view state_of(const Json& key) {
  if (flag_member(key, "expired").value_or(false)) return "expired";
  return flag_member(key, "active").value_or(false) ? "good" : "off";
}

void print_list(const Json& answer) {
  fmt::print("{:<20} {:<13} {:<8} {:<28} {:<24} {}\n", "ID", "BEGINS", "STATE", "LAST USED", "NAME",
             "SCOPES, MACHINES");
  simdjson::dom::array items;
  if (const auto list = member(answer, "items"); !list || list->get_array().get(items) != simdjson::SUCCESS) return;
  for (const Json key : items) {
    fmt::print("{:<20} {:<13} {:<8} {:<28} {:<24} {}; {}\n", text_member(key, "id").value_or(""),
               text_member(key, "prefix").value_or(""), state_of(key),
               text_member(key, "last_used_at").value_or("never"), text_member(key, "name").value_or(""),
               joined(key, "scopes", ""), joined(key, "machines", "all"));
  }
}

// Of create and rotate.
void print_secret(const Json& answer) {
  std::puts(std::string(text_member(answer, "key").value_or("")).c_str());
  std::fflush(stdout);
  fmt::print(stderr, "Key '{}' ({}): scopes {}; machines {}. It is shown this once.\n",
             text_member(answer, "name").value_or(""), text_member(answer, "id").value_or(""),
             joined(answer, "scopes", ""), joined(answer, "machines", "all"));
}

int run(std::string_view verb, const KeysCommandOptions& options, void (*print)(const Json&)) {
  LoggingOptions logging;
  logging.level = LogLevel::kWarn;
  (void)start_logging(logging);
  const auto answer = ask(verb, options);
  if (!answer) return fail(answer.error());
  if (options.json) return std::puts(answer->c_str()) < 0 ? 1 : 0;
  JsonReader reader;
  const auto json = reader.parse(*answer);
  if (!json) return fail(json.error());
  print(*json);
  if (verb != "list" && !flag_member(*json, "recorded").value_or(false)) {
    std::fputs("The hub's log does not tell of it; the hub's own log says why.\n", stderr);
  }
  return 0;
}

}  // namespace

int run_keys_create(const KeysCommandOptions& options) { return run("create", options, print_secret); }
int run_keys_rotate(const KeysCommandOptions& options) { return run("rotate", options, print_secret); }
int run_keys_list(const KeysCommandOptions& options) { return run("list", options, print_list); }
int run_keys_revoke(const KeysCommandOptions& options) {
  return run("revoke", options, [](const Json& answer) {
    fmt::print(stderr, "Key '{}' ({}) is revoked, and its sessions have ended.\n",
               text_member(answer, "name").value_or(""), text_member(answer, "id").value_or(""));
  });
}

}  // namespace millrace
