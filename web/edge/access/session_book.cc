// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/session_book.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "bus/file_io.h"
#include "bus/hmac.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr size_t kMaxFile = 1u << 20;
constexpr size_t kMaxDepth = 4;
constexpr int kOwnerOnly = 0600;
constexpr size_t kSigningBytes = 32;
constexpr size_t kIdBytes = 16;
constexpr size_t kMaxCookie = 512;
constexpr size_t kParts = 6;  // version, id, key, generation, opened, seen
constexpr std::string_view kVersion = "1";

int64_t seconds_of(WallTime time) { return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count(); }

std::string hex_bytes(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::string text_of(const Session& session) {
  return fmt::format("{}.{}.{}.{}.{}.{}", kVersion, session.id, session.key_id, session.generation, session.opened_s,
                     session.seen_s);
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

std::optional<Session> session_of(std::string_view text) {
  std::array<std::string_view, kParts> parts;
  for (size_t i = 0; i < kParts; ++i) {
    const size_t dot = i + 1 < kParts ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    parts[i] = text.substr(0, dot);
    text.remove_prefix(std::min(text.size(), dot + 1));
  }
  Session session;
  session.id = parts[1];
  session.key_id = parts[2];
  const bool whole = parts[0] == kVersion && read_number(parts[3], session.generation) &&
                     read_number(parts[4], session.opened_s) && read_number(parts[5], session.seen_s);
  return whole ? std::optional(std::move(session)) : std::nullopt;
}

}  // namespace

SessionBook::SessionBook(std::filesystem::path file, SessionOptions options, const Clock& clock, Random& random)
    : file_(std::move(file)), options_(options), clock_(clock), random_(random) {
  renew_signing_key();
}

void SessionBook::renew_signing_key() {
  signing_key_ = hex_bytes(random_bytes(random_, kSigningBytes));
  ended_.clear();
  changed_ = true;
}

Result<void> SessionBook::load() {
  if (file_.empty()) return {};
  const auto text = read_file(file_);
  if (!text && text.error().code == Errc::kNotFound) return save();
  if (!text) return text.error();
  JsonReader reader(kMaxFile, kMaxDepth);
  const auto json = reader.parse(*text);
  const auto key = json ? text_member(*json, "signing_key") : std::nullopt;
  const auto list = json ? member(*json, "ended") : std::nullopt;
  simdjson::dom::object entries;
  if (!key || key->size() != 2 * kSigningBytes || !list || list->get_object().get(entries) != simdjson::SUCCESS) {
    return make_error(
        Errc::kMalformed,
        fmt::format("'{}': expected {{\"signing_key\": \"...\", \"ended\": {{}}}}; remove the file, which "
                    "ends every browser's session",
                    file_.string()));
  }
  std::lock_guard lock(mutex_);
  signing_key_ = *key;
  ended_.clear();
  for (const auto [id, until] : entries) {
    if (const auto second = as_integer(until)) ended_[std::string(id)] = *second;
  }
  changed_ = false;
  return {};
}

std::string SessionBook::encode() const {
  JsonWriter json;
  json.object().field("signing_key", signing_key_).key("ended").object();
  for (const auto& [id, until] : ended_) json.field(id, until);
  json.end().end();
  return json.take() + "\n";
}

Result<void> SessionBook::save() {
  std::string content;
  {
    std::lock_guard lock(mutex_);
    if (file_.empty() || !std::exchange(changed_, false)) return {};
    content = encode();
  }
  auto written = write_file_durably(file_, content, kOwnerOnly);
  if (!written) {
    std::lock_guard lock(mutex_);
    changed_ = true;
  }
  return written;
}

Session SessionBook::open(const std::string& key_id, uint64_t generation) {
  Session session;
  session.id = hex_bytes(random_bytes(random_, kIdBytes));
  session.key_id = key_id;
  session.generation = generation;
  session.opened_s = session.seen_s = seconds_of(clock_.wall());
  return session;
}

std::string SessionBook::signature(std::string_view text) const {
  std::lock_guard lock(mutex_);
  return hex_of(hmac_sha256(signing_key_, text));
}

std::string SessionBook::sign(const Session& session) const {
  const std::string text = text_of(session);
  return text + "." + signature(text);
}

SessionBook::Checked SessionBook::check(std::string_view cookie) const {
  const size_t dot = cookie.rfind('.');
  if (cookie.size() > kMaxCookie || dot == std::string_view::npos) return {};
  const std::string_view text = cookie.substr(0, dot);
  if (!same_secret(cookie.substr(dot + 1), signature(text))) return {};
  auto session = session_of(text);
  if (!session) return {};
  const int64_t now = seconds_of(clock_.wall());
  const bool expired =
      now - session->opened_s >= options_.longest.count() || now - session->seen_s >= options_.idle.count();
  bool ended = false;
  {
    std::lock_guard lock(mutex_);
    ended = ended_.contains(session->id);
  }
  return {ended ? Verdict::kEnded : expired ? Verdict::kExpired : Verdict::kGood, std::move(*session)};
}

std::optional<Session> SessionBook::renewed(const Session& session) const {
  const int64_t now = seconds_of(clock_.wall());
  if (now - session.seen_s < options_.renew_after.count()) return std::nullopt;
  Session next = session;
  next.seen_s = now;
  return next;
}

void SessionBook::forget_expired() {
  const int64_t now = seconds_of(clock_.wall());
  std::erase_if(ended_, [&](const auto& entry) { return entry.second <= now; });
}

bool SessionBook::end(const Session& session) {
  std::lock_guard lock(mutex_);
  if (ended_.contains(session.id)) return false;
  if (ended_.size() >= options_.max_ended) forget_expired();
  if (ended_.size() >= options_.max_ended) renew_signing_key();
  ended_[session.id] = session.opened_s + options_.longest.count();
  changed_ = true;
  return true;
}

}  // namespace millrace
