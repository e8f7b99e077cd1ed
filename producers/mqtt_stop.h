// SPDX-License-Identifier: Apache-2.0
// An emergency stop that came by MQTT: what is read of its message, what is recorded of it and what is answered.
// Nothing in a message can keep a stop from being done.  Any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "bus/emergency_record.h"
#include "bus/random.h"
#include "net/emergency_stopper.h"
#include "producers/command_reception.h"

namespace millrace {

struct MqttStop {
  std::string level;    // of the topic: a machine, or kAllMachines
  std::string id;       // as the message says, else a new one
  std::string reason;   // "": none that can be read
  std::string api_key;  // as it was shown
  WallTime asked_at{};
};

MqttStop mqtt_stop(std::string level, std::string_view payload, Random& ids, WallTime now);

// Of one of its machines, before it is done.  The broker does not say who published (decision 18): "mqtt".
EmergencyRecord record_of(const MqttStop& stop, const std::string& machine);
void take_outcome(EmergencyRecord& record, const EmergencyStopResult& outcome);

// Whose key it was.  A key that is not valid keeps nobody from stopping: whoever may publish could have left it out,
// and a stop that was not meant harms less than one that was refused.  Reads files.
void attribute(EmergencyRecord& record, const std::string& api_key, const CommandReceptionOptions& options);

// To nobody yet.
CommandReply reply_to(const EmergencyRecord& record, WallTime now);

}  // namespace millrace
