// SPDX-License-Identifier: Apache-2.0
#include "bus/result.h"

#include <cstdio>
#include <cstdlib>

namespace millrace {

std::string_view name_of(Errc code) {
  switch (code) {
    case Errc::kInvalidArgument:
      return "invalid_argument";
    case Errc::kNotFound:
      return "not_found";
    case Errc::kMalformed:
      return "malformed";
    case Errc::kTooLarge:
      return "too_large";
    case Errc::kFull:
      return "full";
    case Errc::kIo:
      return "io";
    case Errc::kSyncFailed:
      return "sync_failed";
    case Errc::kCorrupt:
      return "corrupt";
    case Errc::kIncompatible:
      return "incompatible";
    case Errc::kUnavailable:
      return "unavailable";
    case Errc::kTimeout:
      return "timeout";
    case Errc::kConflict:
      return "conflict";
  }
  return "unknown";
}

Errc errc_from(std::string_view name) {
  for (int code = static_cast<int>(Errc::kInvalidArgument); code <= static_cast<int>(Errc::kConflict); ++code) {
    if (name_of(static_cast<Errc>(code)) == name) return static_cast<Errc>(code);
  }
  return Errc::kIo;
}

std::string Error::message() const { return std::string(name_of(code)) + ": " + context; }

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
  std::fprintf(stderr, "value() of a failed result at %s:%u: %s\n", where.file_name(), unsigned{where.line()},
               error.message().c_str());
  std::abort();
}

}  // namespace millrace
