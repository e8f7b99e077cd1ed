// SPDX-License-Identifier: Apache-2.0
#include "safety/gcode_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "safety/names.h"

namespace millrace {
namespace {

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::optional<std::string> add_word(GcodeWords& line, std::string key, std::string value) {
  for (const GcodeWord& word : line.words) {
    if (word.key == key) return fmt::format("{} is there twice", key);
  }
  line.words.push_back({std::move(key), std::move(value)});
  return std::nullopt;
}

std::optional<std::string> cut_classic(GcodeWords& line) {
  auto rest = gcode_trimmed(line.rest);
  while (!rest.empty()) {
    if (rest.front() == '*') {
      if (rest.size() > 1 && std::all_of(rest.begin() + 1, rest.end(), is_gcode_digit)) return std::nullopt;
      return "what follows '*' is no checksum";
    }
    if (!is_gcode_letter(rest.front())) return fmt::format("'{}' is not understood", shown(rest));
    if (rest.front() == '_' || (rest.size() > 1 && is_gcode_letter(rest[1]))) {
      return fmt::format("'{}' is not understood: expected one letter and a number", shown(rest));
    }
    size_t end = 1;
    while (end < rest.size() && !is_gcode_letter(rest[end]) && rest[end] != '*') ++end;
    auto fault =
        add_word(line, std::string(1, upper(rest.front())), std::string(gcode_trimmed(rest.substr(1, end - 1))));
    if (fault) return fault;
    rest.remove_prefix(end);
  }
  return std::nullopt;
}

// One NAME=VALUE at the front of `rest`, with quotes around it or its parts, as Python's shlex reads them.
std::optional<std::string> take_assignment(std::string_view& rest, std::string& out) {
  char quote = '\0';
  size_t at = 0;
  for (; at < rest.size() && (quote != '\0' || !is_gcode_blank(rest[at])); ++at) {
    const char c = rest[at];
    if (c == '\\') return "it has a backslash";
    if (c == '*' && quote == '\0') return "it has a '*' outside quotes";
    if (c == '#' && quote != '\0') return "it has a '#' within quotes";
    if (c == '#') {
      rest = rest.substr(0, at);  // the comment, even within a word
      break;
    }
    if (quote == '\0' ? c == '"' || c == '\'' : c == quote) {
      quote = quote == '\0' ? c : '\0';
    } else {
      out += c;
    }
  }
  if (quote != '\0') return "a quote is not closed";
  rest = gcode_trimmed(rest.substr(at));
  return std::nullopt;
}

std::optional<std::string> cut_extended(GcodeWords& line) {
  auto rest = gcode_trimmed(line.rest);
  if (line.numbered) {
    const size_t star = rest.rfind('*');
    const auto sum = star == std::string_view::npos ? std::string_view() : rest.substr(star + 1);
    if (!sum.empty() && std::all_of(sum.begin(), sum.end(), is_gcode_digit)) rest = gcode_trimmed(rest.substr(0, star));
  }
  while (!rest.empty()) {
    std::string assignment;
    if (auto fault = take_assignment(rest, assignment)) return fault;
    if (assignment.empty()) continue;
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos) return fmt::format("'{}' is not NAME=VALUE", shown(assignment));
    if (auto fault = add_word(line, upper_case(assignment.substr(0, equals)), assignment.substr(equals + 1))) {
      return fault;
    }
  }
  return std::nullopt;
}

}  // namespace

bool is_gcode_blank(char c) { return c == ' ' || c == '\t'; }
bool is_gcode_digit(char c) { return c >= '0' && c <= '9'; }
bool is_gcode_letter(char c) { return (upper(c) >= 'A' && upper(c) <= 'Z') || c == '_'; }

std::string_view gcode_trimmed(std::string_view text) {
  while (!text.empty() && is_gcode_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_gcode_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<double> gcode_number(std::string_view text, bool exponent) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto digits = text.substr(!text.empty() && text.front() == '-' ? 1 : 0);
  if (digits.empty() || !(is_gcode_digit(digits.front()) || digits.front() == '.')) return std::nullopt;
  double number = 0;
  const auto format = exponent ? std::chars_format::general : std::chars_format::fixed;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number, format);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

bool is_classic_command(std::string_view command) {
  return command.size() >= 2 && !is_gcode_letter(command[1]) &&
         std::all_of(command.begin() + 1, command.end(), [](char c) { return is_gcode_digit(c) || c == '.'; });
}

bool take_line_number(std::string_view& text, bool& numbered) {
  if (text.empty() || upper(text.front()) != 'N' || (text.size() > 1 && is_gcode_letter(text[1]))) return true;
  auto rest = gcode_trimmed(text.substr(1));
  const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
  if (digits == 0) return false;
  rest = gcode_trimmed(rest.substr(digits));
  if (!rest.empty() && !is_gcode_letter(rest.front())) return false;
  text = rest;
  numbered = true;
  return true;
}

void take_command(GcodeWords& line, std::string_view text) {
  size_t end = std::min(static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_gcode_letter) - text.begin()),
                        text.size());
  while (end < text.size() && !is_gcode_letter(text[end])) ++end;
  line.command = upper_case(gcode_trimmed(text.substr(0, end)));
  // "*55" is a checksum, not part of a command without words.
  if (const size_t star = line.command.find('*'); star != std::string::npos && star > 0) {
    end = text.find('*');
    line.command = std::string(gcode_trimmed(std::string_view(line.command).substr(0, star)));
  }
  line.rest = text.substr(end);
}

std::optional<std::string> cut_words(GcodeWords& line) {
  return is_classic_command(line.command) ? cut_classic(line) : cut_extended(line);
}

bool leaves_quote_open(std::string_view before) {
  return std::count(before.begin(), before.end(), '"') % 2 != 0 ||
         std::count(before.begin(), before.end(), '\'') % 2 != 0;
}

}  // namespace millrace
