// SPDX-License-Identifier: Apache-2.0
#include "gcode/command_reader.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <string>

#include "gcode/text_values.h"

namespace millrace {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view without_comment(std::string_view line) { return line.substr(0, line.find(';')); }

// The number behind the letter of a parameter, e.g. 'S' in "M104 S220 T0".
std::optional<double> parameter(std::string_view line, char letter) {
  for (size_t at = line.find(letter); at != std::string_view::npos; at = line.find(letter, at + 1)) {
    if (at != 0 && line[at - 1] != ' ' && !is_digit(line[at - 1]) && line[at - 1] != '.') continue;
    if (const auto number = leading_number(line.substr(at + 1))) return number;
  }
  return std::nullopt;
}

bool holds(std::string_view line, char letter) { return std::memchr(line.data(), letter, line.size()) != nullptr; }

std::string upper(std::string_view line) {
  std::string text(line);
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// The number of a command such as M104; 0 when there is none of at most four digits.
unsigned command_number(std::string_view line) {
  unsigned number = 0;
  size_t at = 1;
  for (; at < line.size() && is_digit(line[at]); ++at) {
    if (at > 4) return 0;
    number = number * 10 + static_cast<unsigned>(line[at] - '0');
  }
  return at == 1 ? 0 : number;
}

}  // namespace

void CommandReader::read(std::string_view line) {
  switch (line.front()) {
    case 'G':
      if (line.size() > 2 && line[2] == ' ' && line[1] >= '0' && line[1] <= '3') {
        ++facts_.commands;
        read_move(line);
      } else if (line.size() > 1 && is_digit(line[1])) {
        ++facts_.commands;
        const unsigned number = command_number(line);
        if (number == 90) absolute_ = true;
        // After G92 with a Z, heights are from another zero; G92 E0 moves no axis.
        if (number == 91 || (number == 92 && holds(without_comment(line), 'Z'))) lose_track();
      }
      return;
    case 'M':
      read_m(line);
      return;
    case 'T':
      if (line.size() > 1 && is_digit(line[1])) {
        ++facts_.commands;
        const unsigned tool = command_number(line);
        if (tool < GcodeTargets::kTools) facts_.targets.tool = tool;
      }
      return;
    case 'g':
    case 'm':
    case 't':
      // Klipper takes either case.
      if (line.size() > 1 && is_digit(line[1])) read(upper(line));
      return;
    case 'E':
      if (line.substr(0, 22) == "EXCLUDE_OBJECT_DEFINE ") read_object_definition(line.substr(22));
      return;
    case 'N':
      // A line number, with its checksum at the end.
      if (line.size() > 1 && is_digit(line[1])) {
        const size_t space = line.find(' ');
        if (space == std::string_view::npos || space + 1 >= line.size() || line[space + 1] == 'N') return;
        line = line.substr(space + 1);
        read(line.substr(0, line.rfind('*')));
      }
      return;
    default:
      return;
  }
}

void CommandReader::read_move(std::string_view line) {
  if (holds(line, 'Z')) {
    line = without_comment(line);
    if (const auto z = parameter(line, 'Z'); z && absolute_) {
      z_ = *z;
      z_pending_ = true;
    }
  }
  if (z_pending_ && holds(line, 'E')) {
    const auto words = without_comment(line);
    const auto e = parameter(words, 'E');
    // Retractions and priming do not move sideways, wiping has a negative E.
    if (e && *e > 0 && (holds(words, 'X') || holds(words, 'Y'))) extruded();
  }
}

void CommandReader::extruded() {
  constexpr double kMost = 1e6;
  z_pending_ = false;
  if (z_ < 0 || z_ > kMost) return;
  facts_.extruded_z_last = z_;
  if (facts_.layer_marks() != 0) facts_.extruded_z_max = std::max(facts_.extruded_z_max.value_or(z_), z_);
}

void CommandReader::read_m(std::string_view line) {
  const unsigned number = command_number(line);
  if (number == 0 && line.substr(0, 2) != "M0") return;
  ++facts_.commands;
  switch (number) {
    case 104:  // nozzle, and wait
    case 109:
    case 140:  // bed, and wait
    case 190:
    case 141:  // chamber, and wait
    case 191:
      read_temperature(without_comment(line), number);
      return;
    case 486: {
      // "M486 S1" and then "M486 Aname", or both in one line.
      const size_t at = line.find(" A");
      if (at == std::string_view::npos) return;
      auto name = trimmed(line.substr(at + 2));
      if (name.size() > 1 && name.front() == '"' && name.back() == '"') name = name.substr(1, name.size() - 2);
      facts_.numbered.add(name);
      return;
    }
    default:
      return;
  }
}

void CommandReader::read_temperature(std::string_view line, unsigned command) {
  line = line.substr(4);
  const auto s = parameter(line, 'S');
  const auto target = s ? s : parameter(line, 'R');
  constexpr double kMost = 2000;
  if (!target || *target < 0 || *target > kMost) return;
  GcodeTargets& now = facts_.targets;
  if (command == 140 || command == 190) {
    now.bed = *target;
  } else if (command == 141 || command == 191) {
    now.chamber = *target;
  } else {
    const double tool = parameter(line, 'T').value_or(static_cast<double>(now.tool));
    if (tool >= 0 && tool < static_cast<double>(GcodeTargets::kTools)) now.nozzle[static_cast<size_t>(tool)] = *target;
  }
}

// NAME=part_1 CENTER=... ; names with blanks are in quotes.
void CommandReader::read_object_definition(std::string_view line) {
  const size_t at = line.find("NAME=");
  if (at == std::string_view::npos || (at != 0 && line[at - 1] != ' ')) return;
  auto name = line.substr(at + 5);
  if (!name.empty() && (name.front() == '\'' || name.front() == '"')) {
    const char quote = name.front();
    name = name.substr(1);
    name = name.substr(0, name.find(quote));
  } else {
    name = name.substr(0, name.find_first_of(" \t;"));
  }
  facts_.defined.add(name);
}

}  // namespace millrace
