// SPDX-License-Identifier: Apache-2.0
// Changes of keys, each checked, done in the file, and recorded as an event.
//
// Any thread but the loop's: it waits for the disk and for the log.  One change after the other.
//
// A key that the log cannot tell of is not given out: create() and change() are undone when their event cannot be
// recorded.  Taking rights away is done whatever the log says: revoke() and rotate() stand, and say that they are not
// recorded.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/api_keys.h"
#include "bus/clock.h"
#include "bus/events.h"

namespace millrace {

// Who changes keys.
struct KeyChanger {
  std::string actor;
  bool may_lock_out = false;  // may leave no key that may administer: whoever has the data folder can make another
};

class KeyDesk {
 public:
  // Appends as one group and returns once it is recorded.
  using Append = std::function<Result<Position>(std::vector<EventDraft>)>;

  // References outlive this.
  KeyDesk(ApiKeys& keys, Append append, const Clock& clock) : keys_(keys), append_(std::move(append)), clock_(clock) {}

  struct Made {
    ApiKey key;
    std::string secret;
    bool recorded = true;
  };
  struct Done {
    ApiKey key;
    bool recorded = true;
  };
  // kInvalidArgument as wrong_fields() has it, kConflict for a taken name and for what would leave nobody who may
  // administer, kNotFound, kTooLarge; the log's errors.
  Result<Made> create(const ApiKeyFields& fields, const KeyChanger& by);
  Result<Made> rotate(const std::string& id, const KeyChanger& by);
  Result<Done> change(const std::string& id, const ApiKeyFields& fields, const KeyChanger& by);
  Result<Done> revoke(const std::string& id, const std::string& reason, const KeyChanger& by);

  ApiKeys& keys() const { return keys_; }

 private:
  Result<void> append(EventDraft draft, const KeyChanger& by);
  ApiKeys::Rule rule_of(const KeyChanger& by) const;

  ApiKeys& keys_;
  const Append append_;
  const Clock& clock_;
  std::mutex mutex_;
};

// The first field that is wrong, and what would be right.
struct WrongField {
  std::string field;
  std::string expected;
};
std::optional<WrongField> wrong_fields(const ApiKeyFields& fields);

// Of what a change would leave behind.
inline constexpr std::string_view kLastAdministrator = "no other key that may administer is left";

}  // namespace millrace
