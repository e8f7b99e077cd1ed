// SPDX-License-Identifier: Apache-2.0
#include "bus/event_reflection.h"

#include <string>

#include "schemas/event_bfbs_generated.h"

namespace millrace {

const reflection::Schema& event_schema() {
  static const reflection::Schema& schema = *reflection::GetSchema(schema::EnvelopeBinarySchema::data());
  return schema;
}

const reflection::Object* payload_object(EventType type) {
  const std::string name = "millrace.schema." + std::string(name_of(type));
  return event_schema().objects()->LookupByKey(name.c_str());
}

}  // namespace millrace
