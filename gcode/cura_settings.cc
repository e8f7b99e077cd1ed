// SPDX-License-Identifier: Apache-2.0
#include "gcode/cura_settings.h"

#include <fmt/format.h>

#include <string>

#include "bus/json_reader.h"
#include "gcode/text_values.h"

namespace millrace {
namespace {

std::string unescaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char next = text[++i];
    if (next == 'n') {
      out += '\n';
    } else if (next == 'r') {
      out += '\r';
    } else {
      if (next != '\\') out += '\\';
      out += next;
    }
  }
  return out;
}

// An INI file as Python writes it: sections, "key = value", and further lines of a value indented.
void store_ini(std::string_view ini, const std::string& prefix, GcodeSettings& settings) {
  std::string section;
  std::string key;
  while (!ini.empty()) {
    const size_t end = std::min(ini.find('\n'), ini.size());
    const auto line = ini.substr(0, end);
    ini.remove_prefix(std::min(end + 1, ini.size()));
    const auto text = trimmed(line);
    if (text.empty()) continue;
    if (text.front() == '[' && text.back() == ']') {
      section = text == "[values]" ? "" : fmt::format("{}.", text.substr(1, text.size() - 2));
      key.clear();
    } else if (line.front() == '\t' || line.front() == ' ') {
      if (!key.empty()) settings.append(key, fmt::format("\n{}", text));
    } else if (const size_t equals = text.find('='); equals != std::string_view::npos && equals != 0) {
      constexpr size_t kMostKey = 128;
      key = fmt::format("{}{}{}", prefix, section, trimmed(text.substr(0, std::min(equals, kMostKey))));
      settings.set(key, trimmed(text.substr(equals + 1)), GcodeSettings::kConfig);
    }
  }
}

}  // namespace

Result<void> store_cura_settings(std::string_view text, const GcodeLimits& limits, GcodeSettings& settings) {
  JsonReader reader(limits.max_settings_bytes);
  const std::string json = unescaped(text);
  const auto root = reader.parse(json);
  if (!root) return root.error();
  if (const auto global = text_member(*root, "global_quality")) store_ini(*global, "", settings);
  const auto extruders = member(*root, "extruder_quality");
  simdjson::dom::array list;
  if (!extruders || extruders->get_array().get(list) != simdjson::SUCCESS) return {};
  size_t number = 0;
  for (const Json extruder : list) {
    if (number >= limits.max_extruders) break;
    const auto ini = as_text(extruder);
    std::string prefix;
    if (number != 0) prefix = fmt::format("extruder_{}.", number);
    if (ini) store_ini(*ini, prefix, settings);
    ++number;
  }
  return {};
}

}  // namespace millrace
