// SPDX-License-Identifier: Apache-2.0
#include "gcode/text_values.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace millrace {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// The number at the front of `text`, which is moved behind it.
std::optional<double> take_number(std::string_view& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

std::string unquoted(std::string_view text) {
  text = trimmed(text);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) ++i;
    out += text[i];
  }
  return out;
}

// Seconds in the unit that begins with this word; 0 for anything else.
double unit_s(std::string_view word) {
  if (word.empty()) return 0;
  switch (lower(word.front())) {
    case 'd':
      return 86400;
    case 'h':
      return 3600;
    case 'm':
      return 60;
    case 's':
      return 1;
    default:
      return 0;
  }
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<double> leading_number(std::string_view text) {
  text = trimmed(text);
  while (!text.empty() && (text.front() == '$' || text.front() == '+' || text.front() == '[')) text.remove_prefix(1);
  return take_number(text);
}

std::optional<int64_t> leading_integer(std::string_view text) {
  const auto number = leading_number(text);
  if (!number || std::abs(*number) > 9e15) return std::nullopt;
  return static_cast<int64_t>(*number);
}

std::pair<std::string_view, std::string_view> name_and_version(std::string_view text) {
  text = text.substr(0, text.find(" on "));  // the date
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (text[begin] >= '0' && text[begin] <= '9')
      return {trimmed(text.substr(0, begin)), text.substr(begin, end - begin)};
    begin = std::min(text.find_first_not_of(' ', end), text.size());
  }
  return {trimmed(text.substr(0, text.find(' '))), {}};
}

std::optional<double> duration_s(std::string_view text) {
  double seconds = 0;
  bool any = false;
  text = trimmed(text);
  while (!text.empty()) {
    const auto number = take_number(text);
    if (!number || *number < 0) break;
    text = trimmed(text);
    size_t letters = 0;
    while (letters < text.size() && is_letter(text[letters])) ++letters;
    if (letters == 0) return !any && text.empty() ? number : std::nullopt;
    const double unit = unit_s(text.substr(0, letters));
    if (unit == 0) break;
    seconds += *number * unit;
    any = true;
    text = trimmed(text.substr(letters));
  }
  return any && std::isfinite(seconds) ? std::optional(seconds) : std::nullopt;
}

std::vector<std::string> list_of(std::string_view text, std::string_view separators, size_t most) {
  std::vector<std::string> elements;
  text = trimmed(text);
  if (text.empty()) return elements;
  size_t begin = 0;
  bool quoted = false;
  for (size_t i = 0; i <= text.size() && elements.size() < most; ++i) {
    if (i < text.size() && quoted && text[i] == '\\') {
      ++i;
      continue;
    }
    if (i < text.size() && text[i] == '"') quoted = !quoted;
    if (i < text.size() && (quoted || separators.find(text[i]) == std::string_view::npos)) continue;
    elements.push_back(unquoted(text.substr(std::min(begin, text.size()), i - begin)));
    begin = i + 1;
  }
  return elements;
}

std::vector<std::optional<double>> numbers_of(std::string_view text, std::string_view separators, size_t most) {
  std::vector<std::optional<double>> numbers;
  for (const std::string& element : list_of(text, separators, most)) numbers.push_back(leading_number(element));
  return numbers;
}

}  // namespace millrace
