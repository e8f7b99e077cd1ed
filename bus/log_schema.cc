// SPDX-License-Identifier: Apache-2.0
#include "bus/log_schema.h"

#include <flatbuffers/reflection.h>
#include <fmt/format.h>

#include "bus/crc32.h"
#include "bus/envelope.h"
#include "schemas/event_bfbs_generated.h"

namespace millrace {
namespace {

Error unknown(std::string_view kind, std::string_view name) {
  return make_error(Errc::kIncompatible,
                    fmt::format("{} '{}' is not known to this program: a newer one wrote here, and "
                                "at least its version is needed",
                                kind, name));
}

const reflection::Schema* schema_in(const SharedBytes& bytes) {
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return reflection::VerifySchemaBuffer(verifier) ? reflection::GetSchema(bytes.data()) : nullptr;
}

Result<void> check_table(const reflection::Object& object, const reflection::Schema& known) {
  const auto* ours = known.objects()->LookupByKey(object.name()->c_str());
  if (ours == nullptr) return unknown("table", text(object.name()));
  for (const auto* field : *object.fields()) {
    if (ours->fields()->LookupByKey(field->name()->c_str()) == nullptr) {
      return unknown("field", fmt::format("{}.{}", text(object.name()), text(field->name())));
    }
  }
  return {};
}

Result<void> check_enum(const reflection::Enum& values, const reflection::Schema& known) {
  const auto* ours = known.enums()->LookupByKey(values.name()->c_str());
  if (ours == nullptr) return unknown("enum", text(values.name()));
  for (const auto* value : *values.values()) {
    if (ours->values()->LookupByKey(value->value()) == nullptr) {
      return unknown("value", fmt::format("{}.{}", text(values.name()), text(value->name())));
    }
  }
  return {};
}

}  // namespace

std::string_view own_event_schema() {
  return {reinterpret_cast<const char*>(schema::EnvelopeBinarySchema::data()), schema::EnvelopeBinarySchema::size()};
}

uint32_t own_event_schema_crc() { return crc32_of(own_event_schema()); }

Result<void> check_schema_known(std::string_view bfbs, std::string_view known) {
  if (bfbs == known) return {};
  const SharedBytes their_bytes = SharedBytes::copy_of(bfbs);
  const SharedBytes our_bytes = SharedBytes::copy_of(known);
  const auto* theirs = schema_in(their_bytes);
  const auto* ours = schema_in(our_bytes);
  if (theirs == nullptr || ours == nullptr) {
    return make_error(Errc::kCorrupt, fmt::format("{} bytes that are no binary schema", bfbs.size()));
  }
  // Enums first: a new event type is told by its name in the union.
  for (const auto* values : *theirs->enums()) {
    if (auto checked = check_enum(*values, *ours); !checked) return checked;
  }
  for (const auto* object : *theirs->objects()) {
    if (auto checked = check_table(*object, *ours); !checked) return checked;
  }
  return {};
}

}  // namespace millrace
