// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/moonraker_login.h"

#include <algorithm>

#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr size_t kMaxToken = 4096;

}  // namespace

bool is_access_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string login_body(std::string_view username, std::string_view password) {
  JsonWriter json;
  json.object().field("username", username).field("password", password).end();
  return json.take();
}

std::string token_in_login(std::string_view answer) {
  JsonReader reader(kMaxLoginAnswer, 8);
  const auto json = reader.parse(answer);
  const auto result = json ? member(*json, "result") : std::nullopt;
  const auto token = result ? text_member(*result, "token") : std::nullopt;
  return token && is_access_token(*token) ? std::string(*token) : std::string();
}

}  // namespace millrace
