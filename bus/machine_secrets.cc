// SPDX-License-Identifier: Apache-2.0
#include "bus/machine_secrets.h"

#include <fmt/format.h>

#include <map>

#include "bus/file_io.h"
#include "bus/file_lock.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr size_t kMaxFile = 8u << 20;
constexpr size_t kMaxDepth = 8;
constexpr int kOwnerOnly = 0600;

using Secrets = std::map<std::string, MachineSecret>;

Result<Secrets> load(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return Secrets{};
  const auto text = read_file(file);
  if (!text) return text.error();
  JsonReader reader(kMaxFile, kMaxDepth);
  const auto json = reader.parse(*text);
  const auto machines = json ? member(*json, "machines") : std::nullopt;
  simdjson::dom::object entries;
  if (!machines || machines->get_object().get(entries) != simdjson::SUCCESS) {
    return make_error(
        Errc::kMalformed,
        fmt::format("'{}': expected {{\"machines\": {{\"ID\": {{\"api_key\": \"...\"}}}}}}", file.string()));
  }
  Secrets secrets;
  for (const auto [id, content] : entries) {
    const auto part = [&, entry = content](std::string_view name) {
      return std::string(text_member(entry, name).value_or(""));
    };
    secrets[std::string(id)] = {part("api_key"), part("username"), part("password")};
  }
  return secrets;
}

std::string encode(const Secrets& secrets) {
  JsonWriter json;
  json.object().key("machines").object();
  for (const auto& [id, secret] : secrets) {
    json.key(id).object();
    if (!secret.api_key.empty()) json.field("api_key", secret.api_key);
    if (!secret.username.empty()) json.field("username", secret.username);
    if (!secret.password.empty()) json.field("password", secret.password);
    json.end();
  }
  json.end().end();
  return json.take() + "\n";
}

}  // namespace

Result<MachineSecret> MachineSecrets::read(const std::string& machine) const {
  const auto secrets = load(file_);
  if (!secrets) return secrets.error();
  const auto found = secrets->find(machine);
  return found == secrets->end() ? MachineSecret{} : found->second;
}

Result<void> MachineSecrets::write(const std::string& machine, const MachineSecret& secret) {
  const FileLock lock(file_);
  if (!lock.held()) return system_error("lock", file_);
  auto secrets = load(file_);
  if (!secrets) return secrets.error();
  const auto found = secrets->find(machine);
  if (found == secrets->end() ? secret.empty() : found->second == secret) return {};
  if (secret.empty()) {
    secrets->erase(found);
  } else {
    (*secrets)[machine] = secret;
  }
  return write_file_durably(file_, encode(*secrets), kOwnerOnly);
}

}  // namespace millrace
