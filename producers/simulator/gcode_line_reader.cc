// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/gcode_line_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <vector>

namespace millrace {
namespace {

char upper(char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); }
bool is_letter(char c) { return (upper(c) >= 'A' && upper(c) <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = upper(c);
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

struct Part {
  std::string name;
  std::string value;  // trimmed
  size_t end = 0;     // where the value ends
};

// args_r of klippy/gcode.py: [A-Z_]+ or '*', and what stands behind it.
std::vector<Part> parts_of(std::string_view line) {
  std::vector<Part> parts;
  for (size_t at = 0; at < line.size();) {
    const size_t begin = at;
    if (line[at] == '*') {
      ++at;
    } else {
      while (at < line.size() && is_letter(line[at])) ++at;
    }
    if (at == begin) {  // in front of the first name
      ++at;
      continue;
    }
    const size_t name_end = at;
    while (at < line.size() && !is_letter(line[at]) && line[at] != '*') ++at;
    parts.push_back(
        {upper(line.substr(begin, name_end - begin)), std::string(trimmed(line.substr(name_end, at - name_end))), at});
  }
  return parts;
}

bool is_traditional(std::string_view command) {
  return command.size() > 1 && is_digit(command[1]) &&
         std::all_of(command.begin() + 1, command.end(), [](char c) { return is_digit(c) || c == '.'; });
}

// Python's float().
std::optional<double> python_float(std::string text) {
  text = upper(trimmed(text));
  std::erase(text, '_');
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits == "NAN") return NAN;
  if (digits == "INF" || digits == "INFINITY") return negative ? -INFINITY : INFINITY;
  if (digits.empty() || digits.front() == '-' || digits.front() == '+') return std::nullopt;
  double number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (end != digits.data() + digits.size() || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) number = INFINITY;
  return negative ? -number : number;
}

}  // namespace

SimulatedGcodeLine::SimulatedGcodeLine(std::string_view text) : text_(trimmed(text.substr(0, text.find(';')))) {
  auto parts = parts_of(text_);
  size_t first = 0;
  if (parts.size() > 1 && parts[0].name == "N") first = 1;  // the number of the line
  if (parts.size() <= first) return;
  command_ = parts[first].name + parts[first].value;
  message_ = trimmed(std::string_view(text_).substr(parts[first].end));
  if (is_traditional(command_)) {
    for (size_t i = first; i < parts.size(); ++i) words_[parts[i].name] = parts[i].value;
  } else {
    read_extended(message_);
  }
}

// As shlex splits it: blanks outside of quotes, and '#' begins a comment.
void SimulatedGcodeLine::read_extended(std::string_view rest) {
  std::string word;
  char quote = '\0';
  const auto take = [&] {
    const size_t equals = word.find('=');
    if (equals != std::string::npos) words_[upper(word.substr(0, equals))] = word.substr(equals + 1);
    word.clear();
  };
  for (const char c : rest) {
    if (quote == '\0' && (c == '#' || c == '*')) break;
    if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = '\0';
    } else if (quote == '\0' && (c == ' ' || c == '\t')) {
      take();
    } else {
      word += c;
    }
  }
  take();
}

std::string SimulatedGcodeLine::word(const std::string& key, std::string_view otherwise) const {
  const auto found = words_.find(key);
  return found == words_.end() ? std::string(otherwise) : found->second;
}

std::optional<double> SimulatedGcodeLine::number(const std::string& key, std::optional<std::string>& error) const {
  const auto found = words_.find(key);
  if (found == words_.end()) return std::nullopt;
  const auto number = python_float(found->second);
  if (!number && !error) error = fmt::format("Error on '{}': unable to parse {}", text_, found->second);
  return number;
}

}  // namespace millrace
