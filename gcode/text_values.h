// SPDX-License-Identifier: Apache-2.0
// Values out of the text of comments.  Nothing here fails: what is not of the form is nullopt, or empty.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace {

std::string_view trimmed(std::string_view text);  // without blanks, tabs and line ends on both sides
bool equal_ignoring_case(std::string_view a, std::string_view b);

// The number that `text` begins with, after blanks and currency signs: "0.27387m" -> 0.27387, "42%" -> 42.
// Finite numbers only.
std::optional<double> leading_number(std::string_view text);
std::optional<int64_t> leading_integer(std::string_view text);

// "Slic3r Prusa Edition 1.41.2 on 2019-..." -> the words before the first that begins with a digit, and that one.
std::pair<std::string_view, std::string_view> name_and_version(std::string_view text);

// "1d 2h 3m 4s", "0 hours 31 minutes", "1 hour 2 min 5 sec" in seconds; a number alone is seconds.
std::optional<double> duration_s(std::string_view text);

// Elements between `separators`, trimmed and without quotes, within which a separator is text: `"Bambu Lab";PLA`.
// At most `most` elements.
std::vector<std::string> list_of(std::string_view text, std::string_view separators, size_t most);
// The numbers of such a list, nullopt for elements that are none.
std::vector<std::optional<double>> numbers_of(std::string_view text, std::string_view separators, size_t most);

}  // namespace millrace
