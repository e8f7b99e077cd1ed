// SPDX-License-Identifier: Apache-2.0
// Whether each part of this process can do its work: the source of /health/ready.  Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <string>

namespace millrace {

struct PartHealth {
  bool ready = false;
  std::string text;  // why not, or what it is doing; in English, never a secret
};

class Health {
 public:
  void set(const std::string& part, bool ready, std::string text = {});
  std::map<std::string, PartHealth> parts() const;
  bool ready() const;  // every part is

 private:
  mutable std::mutex mutex_;
  std::map<std::string, PartHealth> parts_;
};

}  // namespace millrace
