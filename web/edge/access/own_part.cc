// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/own_part.h"

#include <algorithm>

#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

// A job's id begins with its machine's and a dot.
std::string_view machine_of_job(std::string_view id) { return id.substr(0, id.find('.')); }

// Which machine an element of the list is of; nullopt for a list that is not of machines.
std::optional<std::string_view> machine_in(std::string_view list, const Json& element) {
  if (list == "machines" || list == "items") return text_member(element, "id").value_or("");
  if (list == "jobs") return text_member(element, "machine").value_or("");
  if (list == "removed_machines") return as_text(element).value_or("");
  if (list == "removed_jobs") return machine_of_job(as_text(element).value_or(""));
  return std::nullopt;
}

// How many elements were kept.
uint64_t write_own(JsonWriter& json, std::string_view name, const simdjson::dom::array& list, const Caller& caller) {
  uint64_t kept = 0;
  json.array();
  for (const Json element : list) {
    const auto machine = machine_in(name, element);
    if (machine && !caller.may_reach(*machine)) continue;
    json.raw(to_text(element));
    ++kept;
  }
  json.end();
  return kept;
}

class OwnPartPeer final : public WebSocketPeer {
 public:
  OwnPartPeer(std::shared_ptr<WebSocketPeer> peer, Caller caller)
      : peer_(std::move(peer)), caller_(std::move(caller)) {}

  bool send(std::shared_ptr<const std::string> text) override {
    return peer_->send(std::make_shared<const std::string>(own_part(*text, caller_)));
  }
  size_t queued_bytes() const override { return peer_->queued_bytes(); }
  void close(uint16_t code, std::string reason) override { peer_->close(code, std::move(reason)); }
  void abort() override { peer_->abort(); }

 private:
  const std::shared_ptr<WebSocketPeer> peer_;
  const Caller caller_;
};

}  // namespace

std::string own_part(std::string_view text, const Caller& caller) {
  JsonReader reader;
  const auto root = reader.parse(text);
  simdjson::dom::object object;
  if (!root || root->get_object().get(object) != simdjson::SUCCESS) return {};
  JsonWriter json;
  json.object();
  std::optional<uint64_t> items;
  for (const auto [name, value] : object) {
    json.key(name);
    simdjson::dom::array list;
    if (value.get_array().get(list) == simdjson::SUCCESS) {
      const uint64_t kept = write_own(json, name, list, caller);
      if (name == "items") items = kept;
    } else if (name == "total" && items) {
      json.value(*items);
    } else {
      json.raw(to_text(value));
    }
  }
  return json.end().take();
}

std::shared_ptr<WebSocketPeer> own_part_of(std::shared_ptr<WebSocketPeer> peer, const Caller& caller) {
  if (caller.of_all_machines()) return peer;
  return std::make_shared<OwnPartPeer>(std::move(peer), caller);
}

}  // namespace millrace
