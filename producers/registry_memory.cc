// SPDX-License-Identifier: Apache-2.0
#include "producers/registry_memory.h"

#include <fmt/format.h>

#include "bus/file_io.h"
#include "bus/ids.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "bus/logging.h"

namespace millrace {
namespace {

constexpr size_t kMaxFile = 16u << 20;
constexpr size_t kMaxDepth = 8;

}  // namespace

RegistryMemory::RegistryMemory(std::filesystem::path file) : file_(std::move(file)) {
  if (auto loaded = load(); !loaded) {
    log_warn("adapters", "{}: it is begun anew from what the hub says", loaded.error().message());
  }
}

Result<void> RegistryMemory::load() {
  std::error_code error;
  if (!std::filesystem::exists(file_, error)) return {};
  const auto text = read_file(file_);
  if (!text) return text.error();
  JsonReader reader(kMaxFile, kMaxDepth);
  const auto json = reader.parse(*text);
  if (!json) return make_error(json.error().code, fmt::format("'{}': {}", file_.string(), json.error().context));
  const auto said = member(*json, "said");
  simdjson::dom::object entries;
  if (!said || said->get_object().get(entries) != simdjson::SUCCESS) {
    return make_error(Errc::kMalformed, fmt::format("'{}': expected {{\"said\": {{...}}}}", file_.string()));
  }
  for (const auto [id, content] : entries) {
    auto connection = decode_machine_connection(id, to_text(content));
    if (!connection) return connection.error();
    said_[std::string(id)] = std::move(*connection);
  }
  if (const auto list = decode_machine_list(*text)) list_.emplace(list->begin(), list->end());
  return {};
}

Result<void> RegistryMemory::take(const std::string& topic_level, std::string_view payload) {
  if (topic_level == kHubProducer) {
    auto list = decode_machine_list(payload);
    if (!list) return list.error();
    std::set<std::string> ids(list->begin(), list->end());
    dirty_ = dirty_ || !list_ || *list_ != ids;
    list_ = std::move(ids);
    return {};
  }
  if (payload.empty()) {
    dirty_ = said_.erase(topic_level) > 0 || dirty_;
    return {};
  }
  auto connection = decode_machine_connection(topic_level, payload);
  if (!connection) return connection.error();
  if (said_.size() >= kMaxRegisteredMachines && !said_.contains(topic_level)) {
    return make_error(Errc::kFull, fmt::format("more than {} machines", kMaxRegisteredMachines));
  }
  auto& kept = said_[topic_level];
  dirty_ = dirty_ || !(kept == *connection);
  kept = std::move(*connection);
  return {};
}

Result<void> RegistryMemory::store() {
  if (!dirty_) return {};
  JsonWriter json;
  json.object();
  if (list_) {
    json.key("machines").array();
    for (const std::string& id : *list_) json.value(id);
    json.end();
  }
  json.key("said").object();
  for (const auto& [id, connection] : said_) json.key(id).raw(encode(connection));
  json.end().end();
  std::error_code error;
  std::filesystem::create_directories(file_.parent_path(), error);
  if (auto written = write_file_durably(file_, json.take() + "\n"); !written) return written;
  dirty_ = false;
  return {};
}

std::map<std::string, MachineConnection> RegistryMemory::machines() const {
  std::map<std::string, MachineConnection> machines;
  if (!list_) return machines;
  for (const auto& [id, connection] : said_) {
    if (list_->contains(id)) machines.emplace(id, connection);
  }
  return machines;
}

}  // namespace millrace
