// SPDX-License-Identifier: Apache-2.0
// Browsers that were let in by a key.  A session is a cookie that this hub has signed (HMAC-SHA256), so nothing is kept
// of those that are open; only those that were ended before their time are, until it has passed.
//
// File: <data>/sessions.json, mode 0600: the signing key and the ended sessions.  Losing it ends every session.
// A session ends with its key: rotating a key makes its sessions void, since their generation is that of the text they
// were opened with.
//
// check() and sign() wait for no disk; load() and save() do.  Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "bus/clock.h"
#include "bus/random.h"
#include "bus/result.h"

namespace millrace {

struct SessionOptions {
  std::chrono::seconds idle{12 * 3'600};     // without a request
  std::chrono::seconds longest{7 * 86'400};  // whatever happens
  std::chrono::seconds renew_after{300};     // an older cookie is answered with a new one
  size_t max_ended = 4'096;                  // kept; beyond it every session ends, by another signing key
};

struct Session {
  std::string id;
  std::string key_id;
  uint64_t generation = 0;  // of the key
  int64_t opened_s = 0;     // Unix seconds
  int64_t seen_s = 0;
};

class SessionBook {
 public:
  enum class Verdict { kGood, kForged, kExpired, kEnded };
  struct Checked {
    Verdict verdict = Verdict::kForged;
    Session session;  // empty for kForged
  };

  // An empty `file` keeps everything in memory.
  SessionBook(std::filesystem::path file, SessionOptions options, const Clock& clock, Random& random);

  // Reads the file, or makes it.  kMalformed, kIo.
  Result<void> load();
  // Writes it when a session was ended since.
  Result<void> save();

  Session open(const std::string& key_id, uint64_t generation);
  // The cookie's value: letters, digits, '.' and '-'.
  std::string sign(const Session& session) const;
  Checked check(std::string_view cookie) const;
  // Whether the cookie should be signed anew, and the session that is to be signed then.
  std::optional<Session> renewed(const Session& session) const;
  // False when it was ended before.
  bool end(const Session& session);

  const SessionOptions& options() const { return options_; }

 private:
  std::string signature(std::string_view text) const;
  void forget_expired();
  void renew_signing_key();
  std::string encode() const;

  const std::filesystem::path file_;
  const SessionOptions options_;
  const Clock& clock_;
  Random& random_;

  mutable std::mutex mutex_;                           // of what follows
  std::string signing_key_;                            // hexadecimal
  std::map<std::string, int64_t, std::less<>> ended_;  // by id: until when it matters, Unix seconds
  bool changed_ = false;
};

}  // namespace millrace
