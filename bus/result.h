// SPDX-License-Identifier: Apache-2.0
// The one error type.  A Result is a value or an Error; an Error is a code for programs and a sentence for people.
#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace millrace {

enum class Errc {
  kInvalidArgument = 1,
  kNotFound,
  kMalformed,  // bytes or text that are not what they should be
  kTooLarge,
  kFull,          // a bound was reached; try again later
  kIo,            // the system said no; context holds its message
  kSyncFailed,    // durability is unknown; the log must be reopened
  kCorrupt,       // stored bytes do not verify
  kIncompatible,  // written by a newer program
  kUnavailable,   // not connected, not ready, closed
  kTimeout,
  kConflict,  // in use by another process, or fenced by a newer epoch
};

std::string_view name_of(Errc code);
// The reverse; kIo for a name that is none.
Errc errc_from(std::string_view name);

struct Error {
  Errc code;
  std::string context;  // what failed, on what, with which value, and what would be right

  std::string message() const;  // "malformed: <context>"
};

// For boost::system::result: a value() on an error is a programming mistake and aborts with the message.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

template <class T>
using Result = boost::system::result<T, Error>;

inline Error make_error(Errc code, std::string context) { return Error{code, std::move(context)}; }

}  // namespace millrace
