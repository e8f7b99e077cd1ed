// SPDX-License-Identifier: Apache-2.0
#include "safety/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bus/utf8.h"

namespace millrace {
namespace {

struct Span {
  char32_t first;
  char32_t last;
};

// Invisible, blank or direction-changing characters, and blocks whose characters are made to look like ASCII
// (Unicode 15; confusables.txt names most of them).
constexpr std::array kDeceptive = {
    Span{0x80, 0xA0},        // C1 controls, no-break space
    Span{0xAD, 0xAD},        // soft hyphen
    Span{0x131, 0x131},      // dotless i, whose upper case is I
    Span{0x138, 0x138},      // kra
    Span{0x149, 0x149},      // n with apostrophe
    Span{0x17F, 0x17F},      // long s, whose upper case is S
    Span{0x1C0, 0x1C3},      // clicks
    Span{0x250, 0x2FF},      // phonetic letters, modifiers
    Span{0x34F, 0x34F},      // grapheme joiner
    Span{0x37E, 0x37E},      // Greek question mark, a semicolon to the eye
    Span{0x387, 0x387},      // Greek middle dot
    Span{0x589, 0x589},      // Armenian full stop
    Span{0x5C3, 0x5C3},      // Hebrew colon
    Span{0x600, 0x605},      // Arabic number signs
    Span{0x61C, 0x61C},      // Arabic letter mark
    Span{0x660, 0x66D},      // Arabic digits and signs
    Span{0x6DD, 0x6DD},      // Arabic end of verse
    Span{0x6F0, 0x6F9},      // Persian digits
    Span{0x70F, 0x70F},      // Syriac abbreviation mark
    Span{0x115F, 0x1160},    // Hangul fillers
    Span{0x1680, 0x1680},    // Ogham space
    Span{0x17B4, 0x17B5},    // Khmer vowels that are not shown
    Span{0x180B, 0x180F},    // Mongolian separators
    Span{0x1D00, 0x1DBF},    // phonetic extensions
    Span{0x2000, 0x2012},    // spaces, marks, hyphens
    Span{0x2015, 0x2018},    // bars, quotes
    Span{0x201A, 0x2025},    // quotes, daggers, leaders
    Span{0x2027, 0x209F},    // line and paragraph separators, embeddings, primes, super- and subscripts
    Span{0x2100, 0x218F},    // letterlike symbols, number forms
    Span{0x2200, 0x22FF},    // mathematical operators
    Span{0x2460, 0x24FF},    // enclosed letters and digits
    Span{0x2768, 0x2775},    // ornamental brackets
    Span{0x2800, 0x2800},    // blank Braille
    Span{0x2980, 0x29FF},    // mathematical symbols
    Span{0x2E00, 0x2E7F},    // supplemental punctuation
    Span{0x3000, 0x3003},    // ideographic space and marks
    Span{0x3164, 0x3164},    // Hangul filler
    Span{0xA4D0, 0xA4FF},    // Lisu
    Span{0xA700, 0xA7FF},    // modifier letters, Latin extended D
    Span{0xAB30, 0xAB6F},    // Latin extended E
    Span{0xD800, 0xF8FF},    // surrogates, private use
    Span{0xFB00, 0xFB06},    // ligatures
    Span{0xFE00, 0xFE0E},    // variation selectors; the emoji's own is let through
    Span{0xFE10, 0xFE6F},    // vertical and small forms
    Span{0xFEFF, 0xFEFF},    // byte order mark
    Span{0xFF00, 0xFFFF},    // full and half width forms, specials
    Span{0x10000, 0x1CFFF},  // ancient scripts and symbols
    Span{0x1D000, 0x1D7FF},  // musical and mathematical letters
    Span{0x1F100, 0x1F1E5},  // enclosed letters
    Span{0xE0000, 0x10FFFF}  // tags, private use
};

// Scripts of which many letters look like Latin ones.
constexpr std::array kLatinLike = {Span{0x370, 0x3FF},   Span{0x400, 0x52F},   Span{0x531, 0x587},
                                   Span{0x10A0, 0x10FF}, Span{0x13A0, 0x13FF}, Span{0x1C80, 0x1C8F},
                                   Span{0x1F00, 0x1FFF}, Span{0x2C80, 0x2CFF}, Span{0x2DE0, 0x2DFF},
                                   Span{0xA640, 0xA69F}, Span{0xAB70, 0xABBF}};

template <size_t N>
bool within(const std::array<Span, N>& spans, char32_t c) {
  return std::any_of(spans.begin(), spans.end(), [c](Span span) { return c >= span.first && c <= span.last; });
}

bool is_letter(char32_t c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_western_letter(char32_t c) { return c >= 0xC0 && c <= 0x17F && c != 0xD7 && c != 0xF7; }
bool is_latin(char32_t c) { return is_letter(c) || (c >= 0xC0 && c <= 0x24F); }

char32_t decode(std::string_view sequence) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(sequence[i]); };
  char32_t c = sequence.size() == 1 ? byte(0) : byte(0) & (0x7Fu >> sequence.size());
  for (size_t i = 1; i < sequence.size(); ++i) c = (c << 6) | (byte(i) & 0x3Fu);
  return c;
}

std::string name_of_character(char32_t c) {
  switch (c) {
    case '\n':
    case '\r':
      return "a line break";
    case '\0':
      return "a NUL";
    case '\t':
      return "a tab";
    default:
      break;
  }
  if (c > ' ' && c < 0x7F) return fmt::format("'{}'", static_cast<char>(c));
  return fmt::format("U+{:04X}", static_cast<uint32_t>(c));
}

std::string_view forbidden_in(NameUse use) { return use == NameUse::kFile ? ";\"\\" : ";\"'\\#*{}="; }

bool is_allowed(NameUse use, char32_t c) {
  if (c < ' ' || c == 0x7F) return false;
  if (use == NameUse::kMacro) return is_letter(c) || is_digit(c) || c == '_';
  if (c >= 0x80 && within(kDeceptive, c)) return false;
  if (use == NameUse::kDevice) {
    return is_letter(c) || is_digit(c) || is_western_letter(c) || c == '_' || c == '-' || c == '.' || c == '+';
  }
  return c >= 0x80 || forbidden_in(use).find(static_cast<char>(c)) == std::string_view::npos;
}

// A word of letters, as far as it was read.
class Word {
 public:
  // False once it mixes Latin with what looks like it.
  bool add(char32_t c) {
    const bool other = within(kLatinLike, c);
    if (!is_latin(c) && !other) {
      latin_ = other_ = false;
      return true;
    }
    (other ? other_ : latin_) = true;
    return !(latin_ && other_);
  }

 private:
  bool latin_ = false;
  bool other_ = false;
};

std::optional<std::string> path_fault(std::string_view path) {
  if (path.front() == '/') return "begins with '/'; it is relative to the machine's folder of G-code";
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const auto part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return "has an empty, '.' or '..' part";
    at = end + 1;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> name_fault(NameUse use, std::string_view name) {
  if (name.empty()) return "is empty";
  Word word;
  for (size_t at = 0; at < name.size();) {
    const size_t length = utf8_length(name.substr(at));
    if (length == 0) return fmt::format("is not UTF-8 at byte {}", at);
    const char32_t c = decode(name.substr(at, length));
    if (!is_allowed(use, c)) return fmt::format("has {} at byte {}", name_of_character(c), at);
    if (!word.add(c)) {
      return fmt::format("has {} at byte {}, of another script than the letters beside it", name_of_character(c), at);
    }
    at += length;
  }
  if (use == NameUse::kMacro && is_digit(static_cast<unsigned char>(name.front()))) return "begins with a digit";
  if (use != NameUse::kMacro && (name.front() == ' ' || name.back() == ' ')) return "begins or ends with a blank";
  return use == NameUse::kFile ? path_fault(name) : std::nullopt;
}

std::string shown(std::string_view text, size_t max_bytes) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (out.size() >= max_bytes) return out + "...";
    const size_t length = utf8_length(text.substr(at));
    if (length == 0) {
      out += fmt::format("<byte {:02X}>", static_cast<unsigned char>(text[at]));
      ++at;
      continue;
    }
    const auto sequence = text.substr(at, length);
    const char32_t c = decode(sequence);
    const bool plain = c >= ' ' && c != 0x7F && !(c >= 0x80 && (within(kDeceptive, c) || within(kLatinLike, c)));
    if (plain) {
      out += sequence;
    } else {
      out += fmt::format("<U+{:04X}>", static_cast<uint32_t>(c));
    }
    at += length;
  }
  return out;
}

std::string upper_case(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

}  // namespace millrace
