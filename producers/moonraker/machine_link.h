// SPDX-License-Identifier: Apache-2.0
// The adapter's only way to its machine.  The runner owns the socket and calls the adapter's on_link_*() functions.
#pragma once

#include <string>

namespace millrace {

// What a new link says at identify about who it is; each may be empty.  Never logged.
struct LinkIdentity {
  std::string api_key;
  std::string access_token;  // of a login
};

// Reasons with which a link closes because of who asks.
inline constexpr const char* kLinkUnauthorised = "unauthorised";
inline constexpr const char* kLinkForbidden = "forbidden";

class MachineLink {
 public:
  virtual ~MachineLink() = default;
  // Begins to connect; ends in on_link_open() or on_link_closed().
  virtual void open() = 0;
  // False when not open or the queue is full: the adapter closes and begins again.
  virtual bool send(std::string text) = 0;
  // on_link_closed() is not called for it.
  virtual void close() = 0;
};

}  // namespace millrace
