// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <regex>

#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "bus/log_verifier.h"

namespace millrace {
namespace {

std::optional<Sha256> hash_from(std::string_view hex) {
  Sha256 hash{};
  if (hex.size() != 2 * hash.size()) return std::nullopt;
  for (size_t i = 0; i < hash.size(); ++i) {
    const auto digits = hex.substr(2 * i, 2);
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), hash[i], 16);
    if (error != std::errc{} || end != digits.end()) return std::nullopt;
  }
  return hash;
}

Error no_anchor() {
  return make_error(Errc::kMalformed,
                    "no anchor: expected what `millrace log anchor` prints, INCARNATION/POSITION/ROOT or its JSON");
}

Result<LogAnchor> anchor_from_json(std::string_view text) {
  JsonReader reader(64u << 10);
  const auto json = reader.parse(text);
  if (!json) return json.error();
  const auto incarnation = text_member(*json, "incarnation");
  const auto position = integer_member(*json, "position");
  const auto root = hash_from(text_member(*json, "root").value_or(""));
  if (!incarnation || !position || *position < 1 || !root) return no_anchor();
  LogAnchor anchor{std::string(*incarnation), {Position{static_cast<uint64_t>(*position)}, *root}, {}};
  if (const auto at = parse_rfc3339(text_member(*json, "at").value_or(""))) anchor.at = *at;
  return anchor;
}

}  // namespace

std::string encode(const LogAnchor& anchor) {
  JsonWriter json;
  json.object()
      .field("incarnation", anchor.incarnation)
      .field("position", anchor.root.position.value)
      .field("root", hex_of(anchor.root.link))
      .field("at", to_rfc3339(anchor.at))
      .end();
  return json.take();
}

std::string short_text(const LogAnchor& anchor) {
  return fmt::format("{}/{}/{}", anchor.incarnation, anchor.root.position.value, hex_of(anchor.root.link));
}

Result<LogAnchor> decode_anchor(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin != std::string_view::npos && text[begin] == '{') return anchor_from_json(text);
  static const std::regex kForm("([0-9a-f]{16})/([0-9]{1,19})/([0-9a-f]{64})");
  std::match_results<std::string_view::const_iterator> match;
  if (!std::regex_search(text.begin(), text.end(), match, kForm)) return no_anchor();
  const uint64_t position = std::stoull(match[2].str());
  const auto root = hash_from(match[3].str());
  if (position == 0 || !root) return no_anchor();
  return LogAnchor{match[1].str(), {Position{position}, *root}, {}};
}

Result<std::vector<LogAnchor>> decode_anchors(std::string_view text) {
  if (auto whole = anchor_from_json(text)) return std::vector{std::move(*whole)};  // over several lines, perhaps
  std::vector<LogAnchor> anchors;
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    const size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos || line[begin] == '#') continue;
    auto anchor = decode_anchor(line);
    if (!anchor) return make_error(Errc::kMalformed, fmt::format("line {}: {}", number, anchor.error().context));
    anchors.push_back(std::move(*anchor));
  }
  if (anchors.empty()) return no_anchor();
  return anchors;
}

std::optional<LogAnchor> anchor_of(const LogInfo& info, WallTime now) {
  if (!info.root) return std::nullopt;
  return LogAnchor{info.incarnation, *info.root, now};
}

}  // namespace millrace
