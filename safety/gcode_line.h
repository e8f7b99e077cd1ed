// SPDX-License-Identifier: Apache-2.0
// One line of G-code cut into its command and words, as klippy/gcode.py cuts it.  What that would read in another way
// than everybody else is an error here.  Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

struct GcodeWord {
  std::string key;  // upper case
  std::string value;
};

struct GcodeWords {
  size_t number = 0;      // of the line, from 1
  std::string_view text;  // whole
  std::string command;    // upper case, as Klipper looks it up
  std::string_view rest;  // behind the command
  bool numbered = false;  // it began with N
  std::vector<GcodeWord> words;
};

bool is_gcode_blank(char c);
bool is_gcode_digit(char c);
// What klippy/gcode.py takes for the letters of a word.
bool is_gcode_letter(char c);
std::string_view gcode_trimmed(std::string_view text);

// A number as both Klipper and everybody else reads it.  Python's float() takes "nan", "inf" and "1_000" too, which
// nobody needs here.  Classic words have no exponent: their E is the extruder.
std::optional<double> gcode_number(std::string_view text, bool exponent);

// "G1", "M104": these take words of one letter, all others NAME=VALUE.
bool is_classic_command(std::string_view command);

// Takes a line number off the front.  False: it begins like one and is none.
bool take_line_number(std::string_view& text, bool& numbered);
// Klipper's own way: the first run of letters, and all behind it up to the next letter.  `text` begins with a letter.
void take_command(GcodeWords& line, std::string_view text);
// Cuts `rest` into words; why it cannot.
std::optional<std::string> cut_words(GcodeWords& line);
// Whether a ';' behind that text stands within quotes, where it ends the line for one Klipper and not for the other.
bool leaves_quote_open(std::string_view before);

}  // namespace millrace
