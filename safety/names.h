// SPDX-License-Identifier: Apache-2.0
// Text from outside that is to become part of G-code or of a call: what may stand in a name.  Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace {

enum class NameUse : uint8_t {
  kDevice,  // heater, fan, pin, light, id: letters of ASCII and western Latin, digits, and "_-.+"
  kMacro,   // letters of ASCII, digits and "_", no digit first
  kQuoted,  // power device, object, text for a macro: anything printable but ;"'\#*{}= and what only looks like ASCII
  kFile,    // a relative path: anything printable but ;"\ and what only looks like ASCII
};

// Why `name` may not stand there, "has a line break at byte 3"; nullopt: it may.  Words that mix Latin letters with
// Greek, Cyrillic, Armenian or Cherokee ones are refused in every use; words of one script are taken by kQuoted and
// kFile.
std::optional<std::string> name_fault(NameUse use, std::string_view name);

// "U+037E" for people; the text's beginning with everything unprintable or deceptive written so.
std::string shown(std::string_view text, size_t max_bytes = 80);

// ASCII letters in upper case, everything else as it was.
std::string upper_case(std::string_view text);

}  // namespace millrace
