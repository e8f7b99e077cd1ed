// SPDX-License-Identifier: Apache-2.0
// What `millrace keys` asks for, as one JSON object each way, so that a running hub and a command without one do the
// same.
//
//   {"verb":"list"}                                                -> what GET /api/v1/keys answers
//   {"verb":"create","name":"bench","scopes":["read"],"machines":[],"expires_us":0,"description":"",
//    "requests_per_minute":0}                                      -> the key, with its text as "key"
//   {"verb":"rotate","key":"bench"}                                -> the same
//   {"verb":"revoke","key":"bench"}                                -> the key as it was
//
// "key" is an id, a name, or the first characters of the text.  Answers of changes have "recorded": whether the log
// tells of it.  Without "scopes" the first key gets all of them, and every other one read and operate.
#pragma once

#include <string>

#include "bus/json_reader.h"
#include "web/edge/access/key_desk.h"

namespace millrace {

// Whoever asks has the data folder, so nothing is refused for want of rights.  Waits for the disk and the log.
Result<std::string> answer_key_request(const Json& request, KeyDesk& desk, const Clock& clock);

}  // namespace millrace
