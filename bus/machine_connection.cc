// SPDX-License-Identifier: Apache-2.0
#include "bus/machine_connection.h"

#include <fmt/format.h>

#include <charconv>

#include "bus/ids.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr size_t kMaxPayload = 512u << 10;
constexpr size_t kMaxText = 2048;
constexpr size_t kMaxDepth = 8;

Error malformed(std::string_view what) {
  return make_error(Errc::kMalformed, fmt::format("connection of a machine: {}", what));
}

}  // namespace

std::string encode(const MachineConnection& connection) {
  JsonWriter json;
  json.object().field("version", std::to_string(connection.version));
  json.field("emergency_latch", std::to_string(connection.emergency_latch)).key("connection").object();
  json.field("name", connection.name).field("kind", connection.kind).field("managed_by", connection.managed_by);
  json.field("enabled", connection.enabled).field("moonraker_url", connection.moonraker_url);
  json.field("authentication", connection.authentication).field("tls_ca", connection.tls_ca).end();
  json.key("equipment").object().field("nozzle_diameter", connection.equipment.nozzle_diameter);
  json.key("loaded_materials").array();
  for (const auto& material : connection.equipment.loaded_materials) material ? json.value(*material) : json.null();
  json.end().end();
  json.key("safety");
  write_machine_safety(json, connection.safety);
  json.end();
  return json.take();
}

Result<MachineConnection> decode_machine_connection(std::string_view id, std::string_view payload) {
  if (!is_valid_machine_id(id) || is_reserved_name(id)) return malformed(fmt::format("'{}' is no machine id", id));
  JsonReader reader(kMaxPayload, kMaxDepth);
  const auto json = reader.parse(payload);
  if (!json) return json.error();
  const auto content = member(*json, "connection");
  if (!content) return malformed("no connection in it");
  MachineConnection connection;
  connection.id = id;
  const auto position = [&](std::string_view name, uint64_t& into) {
    const auto text = text_member(*json, name).value_or("");
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    return error == std::errc{} && end == text.data() + text.size();
  };
  if (!position("version", connection.version)) return malformed("version is no number");
  // Hubs before commands do not say it.
  if (member(*json, "emergency_latch") && !position("emergency_latch", connection.emergency_latch)) {
    return malformed("emergency_latch is no number");
  }
  const auto read = [&](std::string_view name, std::string& into) {
    const auto text = text_member(*content, name);
    if (!text || text->size() > kMaxText) return false;
    into = *text;
    return true;
  };
  if (!read("name", connection.name) || !read("kind", connection.kind) || !read("managed_by", connection.managed_by) ||
      !read("moonraker_url", connection.moonraker_url) || !read("authentication", connection.authentication) ||
      !read("tls_ca", connection.tls_ca)) {
    return malformed("expected name, kind, managed_by, moonraker_url, authentication and tls_ca as texts");
  }
  const auto enabled = flag_member(*content, "enabled");
  if (!enabled) return malformed("enabled is neither true nor false");
  connection.enabled = *enabled;
  // Hubs of before it was judged by do not say it.
  if (const auto said = member(*json, "equipment")) {
    connection.equipment.nozzle_diameter = number_member(*said, "nozzle_diameter");
    if (const auto loaded = member(*said, "loaded_materials")) {
      connection.equipment.loaded_materials = read_loaded_materials(*loaded);
    }
  }
  // A hub of before there were limits says nothing of them.
  if (const auto said = member(*json, "safety")) {
    auto safety = read_machine_safety(*said);
    if (!safety) return safety.error();
    connection.safety = std::move(*safety);
  }
  return connection;
}

std::string encode_machine_list(const std::vector<std::string>& ids) {
  JsonWriter json;
  json.object().key("machines").array();
  for (const std::string& id : ids) json.value(id);
  json.end().end();
  return json.take();
}

Result<std::vector<std::string>> decode_machine_list(std::string_view payload) {
  JsonReader reader(kMaxPayload, kMaxDepth);
  const auto json = reader.parse(payload);
  if (!json) return json.error();
  const auto machines = member(*json, "machines");
  simdjson::dom::array items;
  if (!machines || machines->get_array().get(items) != simdjson::SUCCESS) {
    return make_error(Errc::kMalformed, "list of machines: expected {\"machines\": [...]}");
  }
  std::vector<std::string> ids;
  for (const Json item : items) {
    const auto id = as_text(item);
    if (!id || !is_valid_machine_id(*id) || ids.size() >= kMaxRegisteredMachines) {
      return make_error(Errc::kMalformed, "list of machines: an entry is no machine id, or there are too many");
    }
    ids.emplace_back(*id);
  }
  return ids;
}

}  // namespace millrace
