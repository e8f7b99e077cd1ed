// SPDX-License-Identifier: Apache-2.0
#include "cli/process_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>
#include <system_error>

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

// A start that fails halfway leaves its threads behind, which the language takes for a mistake (no exception is current
// then, but one is on its way); so does a thread that fails within another one.
bool lacks_a_thread() {
  const std::exception_ptr error = std::current_exception();
  if (!error) return std::uncaught_exceptions() > 0;
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& refused) {
    return refused.code() == std::errc::resource_unavailable_try_again;
  } catch (...) {
    return false;
  }
}

std::terminate_handler usual_end = nullptr;

[[noreturn]] void end_without_threads() {
  if (!lacks_a_thread()) {
    usual_end();
    std::abort();
  }
  (void)!::write(STDERR_FILENO, kLackOfThreads.data(), kLackOfThreads.size());
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

void end_when_out_of_memory() {
  std::set_new_handler(end_without_memory);
  usual_end = std::set_terminate(end_without_threads);
}

}  // namespace millrace
