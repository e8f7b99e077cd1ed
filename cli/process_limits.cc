// SPDX-License-Identifier: Apache-2.0
#include "cli/process_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <string_view>

namespace millrace {
namespace {

// The log holds at most 256 files open and the views 64, while they are opened again a second time; the rest is for
// segments of outboxes, machines' and the broker's connections, and what libraries open.
constexpr size_t kFilesOfTheRest = 512;
constexpr size_t kFewestConnections = 32;

// Without memory nothing may allocate: not the logger, not printf.
[[noreturn]] void end_without_memory() {
  constexpr std::string_view kLine =
      "millrace: out of memory: the process ends now; nothing confirmed is lost. Start it again with more memory "
      "(MemoryMax= of its service, the container's limit) or fewer machines\n";
  (void)!::write(STDERR_FILENO, kLine.data(), kLine.size());
  ::_exit(1);
}

}  // namespace

size_t connections_within(size_t files, size_t wanted) {
  const size_t left = files > kFilesOfTheRest ? files - kFilesOfTheRest : 0;
  return std::min(wanted, std::max(left, kFewestConnections));
}

size_t raise_open_files_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kFilesOfTheRest;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  return static_cast<size_t>(std::min<rlim_t>(limit.rlim_cur, 1u << 20));
}

void end_when_out_of_memory() { std::set_new_handler(end_without_memory); }

}  // namespace millrace
