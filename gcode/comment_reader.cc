// SPDX-License-Identifier: Apache-2.0
#include "gcode/comment_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "gcode/cura_settings.h"
#include "gcode/object_lists.h"
#include "gcode/text_values.h"

namespace millrace {
namespace {

constexpr size_t kMostKeyBytes = 96;

bool begins_with(std::string_view text, std::string_view what) { return text.substr(0, what.size()) == what; }

// What follows `what` at the front of `text`; nullopt when something else is there.
std::optional<std::string_view> after(std::string_view text, std::string_view what) {
  if (!begins_with(text, what)) return std::nullopt;
  return trimmed(text.substr(what.size()));
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Names of settings are words.  What slicers count has several, and units: "filament used [mm]", "Material#1 Used".
bool may_be_in_key(char c) { return is_word(c) || std::string_view(" .#[]()^/-").find(c) != std::string_view::npos; }

bool is_key(std::string_view key) {
  return !key.empty() && key.size() <= kMostKeyBytes && std::isalpha(static_cast<unsigned char>(key.front())) != 0 &&
         std::all_of(key.begin(), key.end(), may_be_in_key);
}

bool is_one_word(std::string_view key) { return std::all_of(key.begin(), key.end(), is_word); }

}  // namespace

void CommentReader::read(std::string_view line) {
  auto comment = line.substr(1);
  const size_t blanks = std::min(comment.find_first_not_of(" \t"), comment.size());
  comment = trimmed(comment);
  if (thumbnail_.open()) {
    thumbnail_.line(comment);
    return;
  }
  if (comment.empty()) return;
  if (blanks == 0) {
    read_tight(comment);
  } else {
    read_spaced(comment, blanks);
  }
}

void CommentReader::interrupted() {
  if (thumbnail_.open()) thumbnail_.cut_off();
  section_ = Section::kNone;
}

void CommentReader::gap() {
  interrupted();
  in_config_ = false;
  in_header_ = false;
  kiss_key_.clear();
}

void CommentReader::finish() {
  gap();
  if (!cura_settings_.empty()) read_cura_settings();
  cura_settings_.clear();
}

void CommentReader::found(GcodeDialect dialect, std::string_view name, std::string_view version) {
  constexpr size_t kMost = 64;
  if (facts_.dialect != GcodeDialect::kUnknown) return;
  facts_.dialect = dialect;
  facts_.slicer_name = name.substr(0, kMost);
  facts_.slicer_version = version.substr(0, kMost);
}

// ";KEY:VALUE"
void CommentReader::read_tight(std::string_view comment) {
  if (read_mark(comment)) return;
  if (begins_with(comment, "SETTING_")) {
    const size_t space = std::min(comment.find(' '), comment.size());
    const auto part = comment.substr(std::min(space + 1, comment.size()));
    if (cura_settings_.size() + part.size() > limits_.max_settings_bytes) {
      cura_settings_cut_ = true;
    } else {
      cura_settings_ += part;
    }
    return;
  }
  if (facts_.dialect == GcodeDialect::kUnknown && read_origin(comment)) return;
  if (thumbnail_.begins(comment) || facts_.dialect == GcodeDialect::kSlic3r) return;
  if (!read_equals(comment)) read_colon(comment, GcodeSettings::kHeader);
}

// Marks that stand in the middle of a file, many times over; this decides how fast a file is read.
bool CommentReader::read_mark(std::string_view comment) {
  switch (comment.front()) {
    case 'L':
      if (comment == "LAYER_CHANGE") {
        facts_.layer(GcodeFacts::kChange);
        return true;
      }
      if (const auto number = after(comment, "LAYER:")) {
        read_numbered_layer(*number);
        return true;
      }
      if (const auto number = after(comment, "LAYER_COUNT:")) {
        facts_.stated_layers += std::clamp<int64_t>(leading_integer(*number).value_or(0), 0, 1'000'000);
        return false;
      }
      return false;
    case 'Z':
      if (const auto z = after(comment, "Z:")) {
        if (const auto number = leading_number(*z)) facts_.marked_z(*number);
        return true;
      }
      return false;
    case 'H':
      if (const auto height = after(comment, "HEIGHT:")) {
        if (last_layer_ && *last_layer_ >= 0) facts_.layer_height(leading_number(*height).value_or(0));
        return true;
      }
      return false;
    case 'M':
      if (const auto name = after(comment, "MESH:")) {
        if (*name != "NONMESH") read_object(*name);
        return true;
      }
      return false;
    case 'P':
      if (const auto name = after(comment, "PRINTING:")) {
        if (*name != "NON-OBJECT") read_object(*name);
        return true;
      }
      return begins_with(comment, "PRINTING_");
    case 'R':
      if (const auto time = after(comment, "REMAINING_TIME:")) {
        if (!facts_.remaining_s && !facts_.partial) facts_.remaining_s = leading_number(*time);
        return true;
      }
      return false;
    case 'T':
      if (const auto time = after(comment, "TIME_ELAPSED:")) {
        facts_.elapsed_s = leading_number(*time);
        return true;
      }
      return begins_with(comment, "TYPE:");
    case 'W':
      return begins_with(comment, "WIDTH:") || begins_with(comment, "WIPE_");
    default:
      return false;
  }
}

void CommentReader::read_numbered_layer(std::string_view number) {
  const auto layer = leading_integer(number);
  if (!layer) return;
  // A layer that is told twice is one; rafts count down to zero.
  if (last_layer_ != layer && *layer >= 0) facts_.layer(GcodeFacts::kNumber);
  last_layer_ = layer;
}

void CommentReader::read_object(std::string_view name) {
  if (name == last_object_) return;
  last_object_ = name.substr(0, limits_.max_object_name_bytes);
  facts_.printed.add(name);
}

// The line in which a slicer names itself.
bool CommentReader::read_origin(std::string_view comment) {
  if (const auto rest = after(comment, "Generated with Cura_SteamEngine")) {
    found(GcodeDialect::kCura, "Cura", *rest);
  } else if (const auto sliced = after(comment, "Sliced by ideaMaker")) {
    found(GcodeDialect::kIdeaMaker, "ideaMaker", trimmed(sliced->substr(0, sliced->find(','))));
  } else if (const auto simplify = after(comment, "G-Code generated by Simplify3D(R) Version")) {
    found(GcodeDialect::kSimplify3d, "Simplify3D", *simplify);
  } else if (begins_with(comment, "KISSlicer")) {
    found(GcodeDialect::kKissSlicer, "KISSlicer", {});
    section_ = Section::kKissSettings;
  } else if (begins_with(comment, "BambuStudio ")) {
    found(GcodeDialect::kSlic3r, "BambuStudio", name_and_version(comment).second);
  } else if (comment.size() > 13 && equal_ignoring_case(comment.substr(0, 13), "generated by ")) {
    const auto [name, version] = name_and_version(comment.substr(13));
    if (name.empty()) return false;
    found(GcodeDialect::kSlic3r, name, version);
  } else {
    return false;
  }
  return true;
}

// "; key = value" and everything else with a blank behind the semicolon.
void CommentReader::read_spaced(std::string_view comment, size_t blanks) {
  if (facts_.dialect == GcodeDialect::kSimplify3d) {
    read_simplify3d(comment, blanks);
    return;
  }
  if (facts_.dialect == GcodeDialect::kKissSlicer) {
    read_kiss(comment);
    return;
  }
  switch (comment.front()) {
    case 'C':
      if (comment == "CHANGE_LAYER") facts_.layer(GcodeFacts::kChange);
      if (begins_with(comment, "CONFIG_BLOCK_")) in_config_ = comment == "CONFIG_BLOCK_START";
      break;
    case 'H':
      if (begins_with(comment, "HEADER_BLOCK_")) in_header_ = comment == "HEADER_BLOCK_START";
      break;
    case 'Z':
      if (const auto z = after(comment, "Z_HEIGHT:")) facts_.marked_z(leading_number(*z).value_or(-1));
      break;
    case 'p':
      if (const auto name = after(comment, "printing object ")) {
        read_object(*name);
        return;
      }
      break;
    case 's':
      // BambuStudio names parts by number.
      if (const auto name = after(comment, "start printing object, unique label id:")) {
        read_object(*name);
        return;
      }
      break;
    case 'o':
      if (const auto object = after(comment, "object:")) {
        read_listed_object(*object, facts_.listed);
        return;
      }
      break;
    default:
      break;
  }
  if (facts_.dialect == GcodeDialect::kUnknown && read_origin(comment)) return;
  if (thumbnail_.begins(comment)) return;
  if (read_equals(comment)) return;
  if (in_header_) read_colon(comment, GcodeSettings::kHeader);
}

bool CommentReader::read_equals(std::string_view comment) {
  size_t end = 0;
  while (end < comment.size() && end <= kMostKeyBytes && may_be_in_key(comment[end])) ++end;
  if (end >= comment.size() || comment[end] != '=' || end == 0 || comment[end - 1] != ' ') return false;
  auto key = trimmed(comment.substr(0, end));
  const auto value = trimmed(comment.substr(end + 1));
  if (!is_key(key)) return false;
  if (key.size() > 7 && key.substr(key.size() - 7) == "_config" && (value == "begin" || value == "end")) {
    in_config_ = value == "begin";
    return true;
  }
  // Slic3r writes a line for each filament, length and weight under the same name.
  const bool weight = key == "filament used" && !value.empty() && value.back() == 'g';
  if (weight) key = "filament used [g]";
  if ((weight || key == "filament used" || key == "filament cost") && facts_.settings.has("filament used") &&
      facts_.settings.has(key)) {
    facts_.settings.append(key, fmt::format(", {}", value));
    return true;
  }
  if (key == "objects_info") read_objects_info(value, facts_.listed);
  const auto rank = in_config_         ? GcodeSettings::kConfig
                    : is_one_word(key) ? GcodeSettings::kLoose
                                       : GcodeSettings::kHeader;
  facts_.settings.set(key, value, rank);
  return true;
}

bool CommentReader::read_colon(std::string_view comment, GcodeSettings::Rank rank) {
  size_t end = 0;
  while (end < comment.size() && end <= kMostKeyBytes && may_be_in_key(comment[end])) ++end;
  if (end >= comment.size() || comment[end] != ':') return false;
  const auto key = trimmed(comment.substr(0, end));
  if (!is_key(key)) return false;
  if (key == "GENERATOR.NAME") found(GcodeDialect::kCura, "Cura", {});
  if (key == "GENERATOR.VERSION" && facts_.dialect == GcodeDialect::kCura) {
    facts_.slicer_version = trimmed(comment.substr(end + 1)).substr(0, 64);
  }
  if (key == "model label id") {
    // BambuStudio: the numbers of all parts.
    for (const std::string& number : list_of(comment.substr(end + 1), ",", limits_.max_objects)) {
      facts_.listed.add(number);
    }
  }
  facts_.settings.set(key, trimmed(comment.substr(end + 1)), rank);
  return true;
}

void CommentReader::read_simplify3d(std::string_view comment, size_t blanks) {
  if (comment == "Settings Summary") {
    section_ = Section::kSimplify3dSettings;
  } else if (comment == "Build Summary") {
    section_ = Section::kSimplify3dSummary;
  } else if (blanks > 1 && section_ == Section::kSimplify3dSettings) {
    const size_t comma = std::min(comment.find(','), comment.size());
    std::string key(trimmed(comment.substr(0, comma)));
    if (!is_key(key)) return;
    // Version 5 repeats the keys of its heaters.
    constexpr int kMostTimes = 16;
    constexpr uint64_t kMostRepeats = 1024;
    const std::string once = key;
    int time = 1;
    if (facts_.settings.has(key) && ++repeats_ > kMostRepeats) time = kMostTimes;
    while (time < kMostTimes && facts_.settings.has(key)) key = fmt::format("{}#{}", once, ++time);
    if (facts_.settings.has(key)) {
      facts_.settings.leave_out();
      return;
    }
    facts_.settings.set(key, trimmed(comment.substr(std::min(comma + 1, comment.size()))), GcodeSettings::kConfig);
  } else if (blanks > 1 && section_ == Section::kSimplify3dSummary) {
    read_colon(comment, GcodeSettings::kHeader);
  } else if (const auto layer = after(comment, "layer ")) {
    const auto number = leading_integer(*layer);
    if (!number) return;
    if (last_layer_ != number) facts_.layer(GcodeFacts::kNamed);
    last_layer_ = number;
    const size_t z = layer->find("Z =");
    if (z != std::string_view::npos) facts_.marked_z(leading_number(layer->substr(z + 3)).value_or(-1));
  } else {
    thumbnail_.begins(comment);
  }
}

void CommentReader::read_kiss(std::string_view comment) {
  if (begins_with(comment, "BEGIN_LAYER_") || begins_with(comment, "END_LAYER_OBJECT")) {
    const size_t z = comment.find(" z=");
    const auto height = z == std::string_view::npos ? std::nullopt : leading_number(comment.substr(z + 3));
    if (!height) return;
    facts_.marked_z(*height);
    if (comment.front() == 'E') return;
    const auto microns = static_cast<int64_t>(std::clamp(*height, 0.0, 1e6) * 1000);
    if (last_layer_ == microns) return;  // the same layer, of another object or of its support
    last_layer_ = microns;
    facts_.layer(GcodeFacts::kNamed);
    const size_t thick = comment.find("z_thickness=");
    if (thick != std::string_view::npos) {
      facts_.layer_height(leading_number(comment.substr(thick + 12)).value_or(0));
    }
    return;
  }
  if (const auto more = after(comment, "^ "); more && !kiss_key_.empty()) {
    facts_.settings.append(kiss_key_, *more);
    return;
  }
  if (comment.front() == '>' || thumbnail_.begins(comment)) return;
  if (const auto version = after(comment, "version "); version && facts_.slicer_version.empty()) {
    // "2 a 2.0.6 Win64": the word with points is the version.
    const auto words = list_of(*version, " ", 8);
    const auto word = std::find_if(words.begin(), words.end(),
                                   [](const std::string& it) { return it.find('.') != std::string::npos; });
    facts_.slicer_version = (word == words.end() ? std::string(*version) : *word).substr(0, 64);
    facts_.settings.set("version", *version, GcodeSettings::kHeader);
    return;
  }
  if (begins_with(comment, "*** ")) {
    // "*** Material Settings for Extruder 2 ***" -> material_2
    const auto words = list_of(comment.substr(4), " ", 6);
    kiss_section_.clear();
    if (words.size() < 2 || words[1] != "Settings") return;
    for (const char c : words[0]) kiss_section_ += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (words.size() > 4 && words[3] == "Extruder") kiss_section_ += "_" + words[4];
    return;
  }
  const size_t equals = comment.find(" =");
  if (equals == std::string_view::npos) {
    // The build's time and cost at the end of the file.
    if (comment.find("Build ") != std::string_view::npos) read_colon(comment, GcodeSettings::kHeader);
    return;
  }
  const auto key = trimmed(comment.substr(0, equals));
  if (!is_key(key)) return;
  if (begins_with(key, "Ext ")) {
    facts_.settings.set(key, trimmed(comment.substr(equals + 2)), GcodeSettings::kHeader);
  } else if (section_ == Section::kKissSettings) {
    read_kiss_setting(key, trimmed(comment.substr(equals + 2)));
  }
}

// Keys repeat from section to section; the first keeps its plain name.
void CommentReader::read_kiss_setting(std::string_view key, std::string_view value) {
  kiss_key_ = key;
  if (facts_.settings.has(kiss_key_) && !kiss_section_.empty()) kiss_key_ = fmt::format("{}.{}", kiss_section_, key);
  facts_.settings.set(kiss_key_, value, GcodeSettings::kConfig);
}

void CommentReader::read_cura_settings() {
  const auto read = cura_settings_cut_ ? make_error(Errc::kTooLarge, "they are too long")
                                       : store_cura_settings(cura_settings_, limits_, facts_.settings);
  if (!read && facts_.warnings.size() < limits_.max_warnings) {
    facts_.warnings.push_back(fmt::format("Cura's settings are left out: {}", read.error().context));
  }
}

}  // namespace millrace
