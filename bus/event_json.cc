// SPDX-License-Identifier: Apache-2.0
#include "bus/event_json.h"

#include <algorithm>
#include <vector>

#include "bus/base64.h"
#include "bus/event_reflection.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

using reflection::BaseType;

// The table's fields in the order in which the schema names them.
std::vector<const reflection::Field*> fields_of(const reflection::Object& object) {
  std::vector<const reflection::Field*> fields(object.fields()->begin(), object.fields()->end());
  std::sort(fields.begin(), fields.end(), [](auto* a, auto* b) { return a->id() < b->id(); });
  return fields;
}

void write_table(JsonWriter& json, const flatbuffers::Table& table, const reflection::Object& object);

void write_integer(JsonWriter& json, const reflection::Field& field, int64_t number) {
  if (field.type()->index() >= 0) {
    const auto* symbol = event_schema().enums()->Get(field.type()->index())->values()->LookupByKey(number);
    symbol == nullptr ? json.value(number) : json.value(text(symbol->name()));
  } else if (field.type()->base_type() == BaseType::Bool) {
    json.value(number != 0);
  } else if (field.type()->base_type() == BaseType::ULong &&
             field.name()->string_view().find("epoch") != std::string_view::npos) {
    json.value(std::to_string(static_cast<uint64_t>(number)));  // a hub's epoch may exceed 2^53
  } else if (field.type()->base_type() == BaseType::ULong) {
    json.value(static_cast<uint64_t>(number));
  } else {
    json.value(number);
  }
}

void write_vector(JsonWriter& json, const flatbuffers::Table& table, const reflection::Field& field) {
  const auto* any = table.GetPointer<const flatbuffers::VectorOfAny*>(field.offset());
  if (field.type()->element() == BaseType::UByte) {
    json.value(any == nullptr ? std::string() : base64({reinterpret_cast<const char*>(any->Data()), any->size()}));
    return;
  }
  json.array();
  const size_t count = any == nullptr ? 0 : any->size();
  for (size_t i = 0; i < count; ++i) {
    if (field.type()->element() == BaseType::Obj) {
      const auto* element = flatbuffers::GetAnyVectorElemPointer<const flatbuffers::Table>(any, i);
      write_table(json, *element, *event_schema().objects()->Get(field.type()->index()));
    } else if (field.type()->element() == BaseType::String) {
      json.value(text(flatbuffers::GetAnyVectorElemPointer<const flatbuffers::String>(any, i)));
    } else {
      json.value(flatbuffers::GetAnyVectorElemF(any, field.type()->element(), i));
    }
  }
  json.end();
}

void write_field(JsonWriter& json, const flatbuffers::Table& table, const reflection::Field& field) {
  const BaseType type = field.type()->base_type();
  if (type == BaseType::String) {
    json.value(text(table.GetPointer<const flatbuffers::String*>(field.offset())));
  } else if (type == BaseType::Vector) {
    write_vector(json, table, field);
  } else if (type == BaseType::Obj) {
    const auto* child = table.GetPointer<const flatbuffers::Table*>(field.offset());
    child == nullptr ? (void)json.null()
                     : write_table(json, *child, *event_schema().objects()->Get(field.type()->index()));
  } else if (field.optional() && !table.CheckField(field.offset())) {
    json.null();
  } else if (flatbuffers::IsFloat(type)) {
    json.value(flatbuffers::GetAnyFieldF(table, field));
  } else {
    write_integer(json, field, flatbuffers::GetAnyFieldI(table, field));
  }
}

void write_table(JsonWriter& json, const flatbuffers::Table& table, const reflection::Object& object) {
  json.object();
  for (const reflection::Field* field : fields_of(object)) {
    json.key(field->name()->string_view());
    write_field(json, table, *field);
  }
  json.end();
}

void write_payload(JsonWriter& json, const Envelope& envelope) {
  const auto* object = payload_object(envelope.type());
  const auto* payload = static_cast<const flatbuffers::Table*>(envelope.table().payload());
  object == nullptr || payload == nullptr ? (void)json.null() : write_table(json, *payload, *object);
}

void write_time(JsonWriter& json, std::string_view name, WallTime time) {
  json.key(name);
  time == WallTime{} ? json.null() : json.value(to_rfc3339(time));
}

void write_id(JsonWriter& json, std::string_view producer, uint64_t epoch, uint64_t sequence) {
  json.object().field("producer", producer).field("epoch", std::to_string(epoch)).field("sequence", sequence).end();
}

}  // namespace

std::string event_to_json(const RecordedEvent& event) {
  const schema::Envelope& table = event.envelope.table();
  JsonWriter json;
  json.object().field("position", event.position.value);
  write_time(json, "recorded_at", event.recorded_at);
  json.key("id");
  write_id(json, text(table.producer()), table.epoch(), table.sequence());
  json.field("type", name_of(event.envelope.type()));
  json.text_or_null("machine", text(table.machine()));
  write_time(json, "occurred_at", event.envelope.occurred_at());
  write_time(json, "observed_at", event.envelope.observed_at());
  json.text_or_null("actor", text(table.actor()));
  json.text_or_null("correlation", text(table.correlation()));
  json.key("causation");
  if (const auto* cause = table.causation()) {
    write_id(json, text(cause->producer()), cause->epoch(), cause->sequence());
  } else {
    json.null();
  }
  json.key("payload");
  write_payload(json, event.envelope);
  json.end();
  return json.take();
}

std::string payload_to_json(const Envelope& envelope) {
  JsonWriter json;
  write_payload(json, envelope);
  return json.take();
}

}  // namespace millrace
