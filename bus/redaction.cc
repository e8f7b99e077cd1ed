// SPDX-License-Identifier: Apache-2.0
#include "bus/redaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "bus/event_reflection.h"
#include "bus/utf8.h"

namespace millrace {
namespace {

using reflection::BaseType;

constexpr size_t kPage = 4096;
constexpr size_t kShortestText = 2;
// So much fits one event that tells of it.
constexpr std::ptrdiff_t kGroupsPerEvent = 100;
constexpr size_t kPositionsPerEvent = 1000;
// What names somebody or something in an event of a job, or is what people wrote about it.
constexpr std::array<std::string_view, 12> kJobNames = {"filename",      "user",           "name",          "objects",
                                                        "metadata_json", "auxiliary_json", "settings_json", "notes",
                                                        "tags",          "title",          "link",          "caption"};
constexpr std::string_view kJson = "_json";

// A string of the payload, with the name of its field.
struct Text {
  std::string_view field;
  std::string_view value;
};

void collect(const flatbuffers::Table& table, const reflection::Object& object, std::vector<Text>& texts);

void collect_elements(const flatbuffers::Table& table, const reflection::Field& field, std::vector<Text>& texts) {
  const auto* any = table.GetPointer<const flatbuffers::VectorOfAny*>(field.offset());
  for (size_t i = 0; any != nullptr && i < any->size(); ++i) {
    if (field.type()->element() == BaseType::Obj) {
      collect(*flatbuffers::GetAnyVectorElemPointer<const flatbuffers::Table>(any, i),
              *event_schema().objects()->Get(field.type()->index()), texts);
    } else if (field.type()->element() == BaseType::String) {
      texts.push_back(
          {field.name()->string_view(), text(flatbuffers::GetAnyVectorElemPointer<const flatbuffers::String>(any, i))});
    }
  }
}

void collect(const flatbuffers::Table& table, const reflection::Object& object, std::vector<Text>& texts) {
  for (const reflection::Field* field : *object.fields()) {
    const BaseType type = field->type()->base_type();
    if (type == BaseType::String) {
      texts.push_back(
          {field->name()->string_view(), text(table.GetPointer<const flatbuffers::String*>(field->offset()))});
    } else if (type == BaseType::Vector) {
      collect_elements(table, *field, texts);
    } else if (type == BaseType::Obj) {
      const auto* child = table.GetPointer<const flatbuffers::Table*>(field->offset());
      if (child != nullptr) collect(*child, *event_schema().objects()->Get(field->type()->index()), texts);
    }
  }
}

std::vector<Text> payload_texts(const Envelope& envelope) {
  std::vector<Text> texts;
  const auto* object = payload_object(envelope.type());
  const auto* payload = static_cast<const flatbuffers::Table*>(envelope.table().payload());
  if (object != nullptr && payload != nullptr) collect(*payload, *object, texts);
  return texts;
}

// Overwrites parts of a copy of an event's bytes.
class Eraser {
 public:
  explicit Eraser(const Envelope& envelope) : from_(envelope.bytes()), copy_(SharedBytes::copy_of(from_)) {}

  void erase(std::string_view part) {
    if (!part.empty()) std::fill_n(at(part), part.size(), '*');
  }
  void erase_json(std::string_view json) {
    if (json.size() < 2) return erase(json);
    std::fill_n(at(json), json.size(), ' ');
    at(json)[0] = '{';
    at(json)[1] = '}';
  }
  // nullopt when every byte is as it was: what was erased before is not erased again.
  std::optional<Envelope> finish() {
    if (copy_.view() == from_) return std::nullopt;
    return Envelope::trusted(copy_, copy_.view());
  }

 private:
  char* at(std::string_view part) {
    return reinterpret_cast<char*>(copy_.mutable_data()) + (part.data() - from_.data());
  }
  std::string_view from_;
  SharedBytes copy_;
};

bool is_of_job(const std::vector<Text>& texts, std::string_view job_id) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const Text& t) { return t.field == "job_id" && t.value == job_id; });
}

void erase_job_names(const std::vector<Text>& texts, Eraser& eraser) {
  for (const Text& t : texts) {
    if (std::find(kJobNames.begin(), kJobNames.end(), t.field) == kJobNames.end()) continue;
    t.field.ends_with(kJson) ? eraser.erase_json(t.value) : eraser.erase(t.value);
  }
}

// A well-formed UTF-8 sequence as JSON writes it in ASCII alone.
std::string in_ascii(std::string_view sequence, bool capitals) {
  const auto bits = [&](size_t i, unsigned mask) { return static_cast<unsigned char>(sequence[i]) & mask; };
  uint32_t code = bits(0, 0xFFu >> (sequence.size() + 1));
  for (size_t i = 1; i < sequence.size(); ++i) code = code << 6 | bits(i, 0x3F);
  const auto unit = [&](uint32_t value) {
    return capitals ? fmt::format("\\u{:04X}", value) : fmt::format("\\u{:04x}", value);
  };
  if (code < 0x10000) return unit(code);
  return unit(0xD800 + ((code - 0x10000) >> 10)) + unit(0xDC00 + ((code - 0x10000) & 0x3FF));
}

std::string in_json(std::string_view wanted, bool ascii, bool capitals) {
  std::string written;
  while (!wanted.empty()) {
    const auto sequence = wanted.substr(0, std::max<size_t>(utf8_length(wanted), 1));
    wanted.remove_prefix(sequence.size());
    if (sequence == "\"" || sequence == "\\") written += '\\';
    written += ascii && sequence.size() > 1 ? in_ascii(sequence, capitals) : std::string(sequence);
  }
  return written;
}

// How a text may stand in an event: as it is, or within JSON that is kept word for word as another program wrote it.
std::set<std::string> spellings(std::string_view wanted) {
  return {std::string(wanted), in_json(wanted, false, false), in_json(wanted, true, false),
          in_json(wanted, true, true)};
}

void erase_everywhere(std::string_view where, std::string_view wanted, Eraser& eraser) {
  for (size_t at = where.find(wanted); at != std::string_view::npos; at = where.find(wanted, at + wanted.size())) {
    eraser.erase(where.substr(at, wanted.size()));
  }
}

// Some groups, in one commit.
Result<Position> replace(EventLog& log, std::span<const GroupReplacement> groups, const std::string& subject,
                         const std::string& reason, const Clock& clock) {
  schema::FactsRedactedT told;
  told.subject = subject;
  told.reason = reason;
  for (const GroupReplacement& group : groups) {
    told.groups.push_back(std::make_unique<schema::RedactedGroupT>());
    told.groups.back()->first = group.first.value;
    told.groups.back()->positions = group.positions;
    told.groups.back()->before.assign(group.before.begin(), group.before.end());
    told.groups.back()->after.assign(group.after.begin(), group.after.end());
  }
  const EventOrder mark = log.mark(kHubProducer).value_or(EventOrder{});
  const uint64_t epoch = log.incarnation_number();
  const uint64_t sequence = mark.epoch == epoch ? mark.sequence + 1 : 1;
  const auto envelope =
      Envelope::build({std::string(kHubProducer), epoch, sequence}, draft_of(std::move(told), "", clock.wall()));
  if (!envelope) return envelope.error();
  const std::vector<Envelope> envelopes{*envelope};
  const std::vector<ProducerMark> marks{{std::string(kHubProducer), {epoch, sequence}}};
  AppendBatch batch{envelopes, marks, clock.wall()};
  batch.replacements = groups;
  const auto commit = log.append(batch);
  if (!commit) return commit.error();
  return commit->last;
}

}  // namespace

std::optional<Envelope> redacted(const Envelope& envelope, const RedactionRule& rule) {
  if (envelope.family() != Family::kFact) return std::nullopt;
  const auto texts = payload_texts(envelope);
  Eraser eraser(envelope);
  if (!rule.job_id.empty() && is_of_job(texts, rule.job_id)) erase_job_names(texts, eraser);
  if (!rule.text.empty()) {
    for (const std::string& wanted : spellings(rule.text)) {
      for (const Text& t : texts) erase_everywhere(t.value, wanted, eraser);
      erase_everywhere(text(envelope.table().actor()), wanted, eraser);
    }
  }
  return eraser.finish();
}

Result<std::vector<RecordedEvent>> find_redactions(const EventLog& log, const RedactionRule& rule) {
  if (rule.job_id.empty() && rule.text.empty()) {
    return make_error(Errc::kInvalidArgument, "nothing to redact: name a job or a text");
  }
  if (!rule.text.empty() && rule.text.size() < kShortestText) {
    return make_error(
        Errc::kInvalidArgument,
        fmt::format("the text '{}' stands almost everywhere: expected {} bytes at least", rule.text, kShortestText));
  }
  EventFilter facts;
  for (int type = 1; !name_of(static_cast<EventType>(type)).empty(); ++type) {
    if (family_of(static_cast<EventType>(type)) == Family::kFact) facts.types.insert(static_cast<EventType>(type));
  }
  std::vector<RecordedEvent> changed;
  for (Position after; after < log.last();) {
    const auto page = log.read(after, {.events = kPage}, facts);
    if (!page) return page.error();
    for (const RecordedEvent& event : page->events) {
      if (auto envelope = redacted(event.envelope, rule)) {
        changed.push_back({event.position, event.recorded_at, std::move(*envelope)});
      }
    }
    after = page->through;
  }
  return changed;
}

Result<Position> redact(EventLog& log, const std::vector<RecordedEvent>& changed, const std::string& subject,
                        const std::string& reason, const Clock& clock) {
  const auto groups = log.rewrite_groups(changed);
  if (!groups) return groups.error();
  Position last = log.last();
  for (auto next = groups->begin(); next != groups->end();) {
    const auto begin = next;
    size_t positions = 0;
    while (next != groups->end() && next - begin < kGroupsPerEvent &&
           (next == begin || positions < kPositionsPerEvent)) {
      positions += (next++)->positions.size();
    }
    const auto replaced = replace(log, {begin, next}, subject, reason, clock);
    if (!replaced) return replaced.error();
    last = *replaced;
  }
  if (auto destroyed = log.destroy_replaced(); !destroyed) return destroyed.error();
  return last;
}

}  // namespace millrace
