// SPDX-License-Identifier: Apache-2.0
// A program that this one starts, watches and ends: the broker and the roles of a benchmark or a test.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bus/result.h"

namespace millrace {

// One owner, one thread.  Whatever happens, the child ends with its owner, and also when this whole process dies.
class ChildProcess {
 public:
  // command[0] is looked up in PATH; no shell is involved.  Output of both kinds is appended to `output`.
  static Result<ChildProcess> start(const std::vector<std::string>& command, const std::filesystem::path& output,
                                    const std::map<std::string, std::string>& environment = {});
  ~ChildProcess();  // kill()
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  void signal(int number);
  void kill();      // SIGKILL, and waits
  int terminate();  // SIGTERM, and waits; gives the exit status, or 128 + the signal that ended it
  int wait();
  bool running();
  pid_t pid() const { return pid_; }

 private:
  ChildProcess() = default;

  pid_t pid_ = -1;
  int status_ = 0;
};

// A TCP port on loopback that nobody uses now; somebody may before the caller does.  Below those that the kernel gives
// to whoever asks for any (32768 and up).
uint16_t free_loopback_port();

// Whether something accepts connections on that port of loopback.
bool loopback_port_answers(uint16_t port);

}  // namespace millrace
