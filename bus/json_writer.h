// SPDX-License-Identifier: Apache-2.0
// Writes JSON text.  NaN and infinity become null; doubles are written so that they read back exactly; strings that are
// not UTF-8 have their bad bytes replaced by U+FFFD.  Misuse (a value where a key is due) is an aborting check.
//
//   JsonWriter json;
//   json.object().key("id").value("voron-2").key("progress").value(0.5).end();
//   json.text()  ->  {"id":"voron-2","progress":0.5}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

class JsonWriter {
 public:
  JsonWriter& object();
  JsonWriter& array();
  JsonWriter& end();  // closes the innermost object or array
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(bool flag);
  JsonWriter& value(double number);
  JsonWriter& value(int number) { return value(static_cast<int64_t>(number)); }
  JsonWriter& value(int64_t number);
  JsonWriter& value(uint64_t number);
  JsonWriter& null();
  JsonWriter& raw(std::string_view json);  // already JSON
  template <class T>
  JsonWriter& value(const std::optional<T>& number) {
    return number ? value(*number) : null();
  }
  // key + value
  template <class T>
  JsonWriter& field(std::string_view name, const T& content) {
    return key(name).value(content);
  }

  // key + value, null for an empty text
  JsonWriter& text_or_null(std::string_view name, std::string_view text) {
    key(name);
    return text.empty() ? null() : value(text);
  }

  // For a text that will have about so many bytes: none of it is copied while it grows.
  void reserve(size_t bytes) { out_.reserve(bytes); }
  const std::string& text() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void before_value();

  struct Level {
    bool is_object;
    bool empty;
  };
  std::string out_;
  std::vector<Level> levels_;
  bool after_key_ = false;
};

}  // namespace millrace
