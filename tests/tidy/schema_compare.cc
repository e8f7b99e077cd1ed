// SPDX-License-Identifier: Apache-2.0
// schema_compare BASELINE.bfbs CURRENT.bfbs: whether every event written with the baseline reads the same with the
// current schema.  Finds what `flatc --conform` lets pass: a field made or no longer required, anything renamed or
// removed, another file identifier or root.  One line for each difference; exit code 0 none, 1 some, 2 unreadable.
#include <flatbuffers/reflection.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using reflection::Enum;
using reflection::Field;
using reflection::Object;
using reflection::Schema;
using reflection::Type;

class Comparison {
 public:
  Comparison(const Schema& before, const Schema& now) : before_(before), now_(now) {}

  int differences() {
    compare_root();
    for (const Object* object : *before_.objects()) compare_object(*object);
    for (const Enum* set : *before_.enums()) compare_enum(*set);
    return differences_;
  }

 private:
  void differ(const std::string& where, const std::string& what) {
    std::printf("%s: %s\n", where.c_str(), what.c_str());
    ++differences_;
  }

  static std::string text(const flatbuffers::String* string) { return string ? string->str() : std::string(); }

  void compare_root() {
    if (text(before_.file_ident()) != text(now_.file_ident())) differ("file_identifier", "changed");
    const auto root = [](const Schema& schema) { return schema.root_table() ? text(schema.root_table()->name()) : ""; };
    if (root(before_) != root(now_)) differ("root_type", "changed");
  }

  void compare_object(const Object& before) {
    const std::string name = text(before.name());
    const Object* now = now_.objects()->LookupByKey(name.c_str());
    if (!now) return differ(name, "removed or renamed");
    if (before.is_struct() != now->is_struct()) return differ(name, "a table became a struct or the reverse");
    if (before.is_struct() && (before.bytesize() != now->bytesize() || before.minalign() != now->minalign() ||
                               before.fields()->size() != now->fields()->size()))
      differ(name, "a struct can never change");
    for (const Field* field : *before.fields()) compare_field(name, *field, *now);
    for (const Field* field : *now->fields()) check_new_field(name, before, *field);
  }

  void compare_field(const std::string& table, const Field& before, const Object& object) {
    const std::string name = table + "." + text(before.name());
    const Field* now = object.fields()->LookupByKey(before.name()->c_str());
    if (!now) return differ(name, "removed or renamed (mark it deprecated instead)");
    if (before.id() != now->id() || before.offset() != now->offset()) differ(name, "moved");
    if (type_name(before_, *before.type()) != type_name(now_, *now->type())) differ(name, "has another type");
    if (before.required() != now->required()) differ(name, "required added or removed");
    if (before.optional() != now->optional()) differ(name, "`= null` added or removed");
    if (before.default_integer() != now->default_integer() || before.default_real() != now->default_real())
      differ(name, "has another default");
    if (before.deprecated() && !now->deprecated()) differ(name, "deprecated once, used again");
  }

  // An old event lacks it, so it can be neither required nor anywhere but at the end.
  void check_new_field(const std::string& table, const Object& before, const Field& field) {
    if (before.fields()->LookupByKey(field.name()->c_str())) return;
    const std::string name = table + "." + text(field.name());
    if (field.required()) differ(name, "is new and required");
    for (const Field* old : *before.fields())
      if (old->id() >= field.id()) return differ(name, "is new but not at the end");
  }

  void compare_enum(const Enum& before) {
    const std::string name = text(before.name());
    const Enum* now = now_.enums()->LookupByKey(name.c_str());
    if (!now) return differ(name, "removed or renamed");
    if (before.is_union() != now->is_union()) return differ(name, "an enum became a union or the reverse");
    if (before.underlying_type()->base_type() != now->underlying_type()->base_type()) differ(name, "has another size");
    int64_t last = 0;
    for (const auto* value : *before.values()) {
      const std::string value_name = name + "." + text(value->name());
      last = std::max(last, value->value());
      const auto* same = now->values()->LookupByKey(value->value());
      if (!same)
        differ(value_name, "removed");
      else if (text(same->name()) != text(value->name()))
        differ(value_name, "renamed or moved; its number now means " + text(same->name()));
      else if (before.is_union() && value->union_type() && same->union_type() &&
               type_name(before_, *value->union_type()) != type_name(now_, *same->union_type()))
        differ(value_name, "has another type");
    }
    for (const auto* value : *now->values())
      if (value->value() < last && !before.values()->LookupByKey(value->value()))
        differ(name + "." + text(value->name()), "is new but not at the end");
  }

  static std::string type_name(const Schema& schema, const Type& type) {
    std::string name = reflection::EnumNameBaseType(type.base_type());
    name += std::string("/") + reflection::EnumNameBaseType(type.element());
    name += "/" + std::to_string(type.fixed_length());
    if (type.index() < 0) return name;
    const bool object = type.base_type() == reflection::Obj || type.element() == reflection::Obj;
    const auto index = static_cast<flatbuffers::uoffset_t>(type.index());
    return name + "/" + text(object ? schema.objects()->Get(index)->name() : schema.enums()->Get(index)->name());
  }

  const Schema& before_;
  const Schema& now_;
  int differences_ = 0;
};

std::vector<char> bytes_of(const char* path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

const Schema* verified(const std::vector<char>& bytes, const char* path) {
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (!bytes.empty() && reflection::VerifySchemaBuffer(verifier)) return reflection::GetSchema(bytes.data());
  std::fprintf(stderr, "schema_compare: %s: not a binary schema\n", path);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: schema_compare BASELINE.bfbs CURRENT.bfbs\n");
    return 2;
  }
  const std::vector<char> before_bytes = bytes_of(argv[1]);
  const std::vector<char> now_bytes = bytes_of(argv[2]);
  const Schema* before = verified(before_bytes, argv[1]);
  const Schema* now = verified(now_bytes, argv[2]);
  if (!before || !now) return 2;
  return Comparison(*before, *now).differences() == 0 ? 0 : 1;
}
