// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace {

// What the schemas of requests and answers are put together from.  A field is its name and what schema_of() knows.
using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

inline constexpr std::string_view kTexts = R"({"type":"array","items":{"type":"string"}})";
inline constexpr std::string_view kAlarmLevel = R"({"enum":["normal","caution","warning","critical","emergency"]})";

// The schema of a type that occurs again and again: "text", "flag", "integer", "number", "time", each but the flag also
// with '?' for "or null", and "any".  Another word is given back: it is a schema already.
std::string_view schema_of(std::string_view word);

// An object with exactly these members, all of them always there.
std::string object_of(const Fields& fields);

// A page of a list whose items have the named schema.
std::string list_of(std::string_view item);

// A request's body: none of the fields has to be there unless it is in `required`, a JSON list without its brackets.
std::string body_of(const Fields& fields, std::string_view required = "");

}  // namespace millrace
