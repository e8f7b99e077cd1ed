// SPDX-License-Identifier: Apache-2.0
// One line of G-code as klippy/gcode.py reads it, with everything that it lets through: "G 1" is G1, the last of two
// words counts, and a number may be "nan".  Made from Klipper's code alone, so that it can show what a guard overlooks.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

class SimulatedGcodeLine {
 public:
  // `text` without its line break; empty lines and comments have an empty command.
  explicit SimulatedGcodeLine(std::string_view text);

  const std::string& command() const { return command_; }  // upper case
  const std::string& message() const { return message_; }  // all behind the command, as it was written
  bool has(const std::string& key) const { return words_.contains(key); }
  std::string word(const std::string& key, std::string_view otherwise = "") const;
  // Sets `error` where the word is none, as Klipper refuses the whole line then.
  std::optional<double> number(const std::string& key, std::optional<std::string>& error) const;

 private:
  void read_extended(std::string_view rest);

  std::string text_;
  std::string command_;
  std::string message_;
  std::map<std::string, std::string> words_;
};

}  // namespace millrace
