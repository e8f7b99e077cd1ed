// SPDX-License-Identifier: Apache-2.0
// The file of API keys: <data>/keys.json, mode 0600, replaced atomically.  Outside of the log, of every view and of
// every answer, as the secrets of machines are.
//
// A key's text is "mr_" and 43 characters of base64url, 256 random bits, shown once when it is made.  The file holds a
// salted SHA-256 of it: nobody can try 2^256 texts, so a slow hash as for passwords would cost every request its time
// and protect nothing.
//
// Any thread.  Several processes may write: they wait for each other, and each reads the file anew before it changes
// it. verify() and keys() answer from memory alone, as of the last refresh() or change by this object, so that they
// wait for no disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/random.h"
#include "bus/result.h"

namespace millrace {

inline constexpr size_t kMaxApiKeys = 1000;
inline constexpr size_t kApiKeyPrefix = 12;  // characters of the key by which people know it again
inline constexpr size_t kApiKeyChars = 46;
inline constexpr std::string_view kApiKeyBegin = "mr_";

struct ApiKey {
  std::string id;       // "key-9f86d081884c7d65", for ever
  uint64_t number = 0;  // from 1, for clients that know whole numbers only
  std::string name;     // 1 to 100 bytes; what events call its holder
  std::string prefix;
  std::string salt;                   // hexadecimal, as is the hash
  std::string hash;                   // SHA-256 of salt and key
  uint64_t generation = 1;            // one more with each rotation: sessions opened with the text before are void
  std::vector<std::string> scopes;    // names; who reads them judges them (safety/scopes.h)
  std::vector<std::string> machines;  // empty: all
  WallTime expires_at{};              // zero: never
  WallTime created_at{};
  WallTime last_used_at{};  // zero: never; to the minute
  bool active = true;
  std::string description;
  uint64_t requests_per_minute = 0;  // 0: what the configuration says
};

// What a person says of a key.
struct ApiKeyFields {
  std::string name;
  std::vector<std::string> scopes;
  std::vector<std::string> machines = {};
  WallTime expires_at{};
  bool active = true;
  std::string description = {};
  uint64_t requests_per_minute = 0;
};
ApiKeyFields fields_of(const ApiKey& key);

class ApiKeys {
 public:
  struct Made {
    ApiKey key;
    std::string secret;  // the only time that it can be had
  };
  enum class Verdict { kGood, kUnknown, kExpired, kInactive };
  struct Found {
    Verdict verdict = Verdict::kUnknown;
    ApiKey key;  // empty for kUnknown
  };

  // References outlive this.  Nothing is read before refresh().
  ApiKeys(std::filesystem::path file, const Clock& clock, Random& random);

  // Reads the file if it is another one than last time.  On an error keys() and verify() stay as they were.
  Result<void> refresh();

  // Each reads the file anew, changes it and replaces it; on an error the file is as it was.  kConflict for a name that
  // another key has, kTooLarge above kMaxApiKeys, kNotFound for an id that no key has.
  Result<Made> create(const ApiKeyFields& fields);
  Result<Made> rotate(const std::string& id);  // another text; the old one is not taken any more
  // Asked before anything is written, with the keys as they would be; its error is the answer.
  using Rule = std::function<Result<void>(const std::vector<ApiKey>& after)>;
  Result<ApiKey> change(const std::string& id, const ApiKeyFields& fields, const Rule& allowed = nullptr);
  // Forgets the key.  What it was.
  Result<ApiKey> revoke(const std::string& id, const Rule& allowed = nullptr);

  // From memory.
  std::vector<ApiKey> keys() const;  // by number
  std::optional<ApiKey> find(std::string_view id) const;
  bool empty() const;
  // Looked up by its prefix, then compared in constant time.  A good one is noted as used.
  Found verify(std::string_view secret);

  // Writes when keys were used, at most once a minute; the rest of the time it does nothing.
  Result<void> save_uses();

  const std::filesystem::path& file() const { return file_; }

 private:
  struct Content {
    uint64_t next_number = 1;
    std::map<std::string, ApiKey> keys;  // by id
  };
  using Change = std::function<Result<void>(Content&)>;

  static Result<Content> parse(const std::filesystem::path& file, const std::string& text);
  static std::string encode(const Content& content);
  Result<Content> load() const;
  Result<void> write(const Change& change);
  void take(Content content);
  std::string renew_text(ApiKey& key);

  const std::filesystem::path file_;
  const Clock& clock_;
  Random& random_;

  std::mutex file_mutex_;     // held while the file is read or written, so that what is older never wins
  mutable std::mutex mutex_;  // of what follows; never held while a disk is waited for
  std::shared_ptr<const Content> content_ = std::make_shared<const Content>();
  std::multimap<std::string, std::string, std::less<>> by_prefix_;  // id
  std::map<std::string, WallTime> uses_;                            // not written yet, by id
  MonotonicTime uses_saved_at_{};
  std::string stamp_;  // of the file that content_ is of
};

// "mr_..." as far as its form goes.
bool looks_like_api_key(std::string_view text);

}  // namespace millrace
