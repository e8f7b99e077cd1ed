// SPDX-License-Identifier: Apache-2.0
#include "projections/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <memory>

#include "projections/apply_group.h"
#include "projections/job_history_keys.h"
#include "projections/registry.h"

namespace millrace {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    usable_ = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }
  void add(std::string_view bytes) {
    usable_ = usable_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
  }
  Result<std::string> hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    if (!usable_ || EVP_DigestFinal_ex(context_.get(), out.data(), &size) != 1) {
      return make_error(Errc::kIo, "SHA-256 is not available in this OpenSSL");
    }
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", out[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
  bool usable_ = false;
};

}  // namespace

Result<std::string> view_digest(const ViewReader& reader, std::string_view view) {
  Sha256 hash;
  const auto scanned = reader.scan(view, KeyRange::all(), [&](std::string_view key, std::string_view value) {
    for (const std::string_view part : {key, value}) {
      hash.add(job_keys::big_endian_of(part.size()));
      hash.add(part);
    }
    return true;
  });
  if (!scanned) return scanned.error();
  return hash.hex();
}

Result<std::string> rebuild_digest(const EventLog& log, std::string_view projection, Position until) {
  const auto made = make_projection(projection);
  if (made == nullptr) return make_error(Errc::kNotFound, fmt::format("there is no projection '{}'", projection));
  const auto store = make_memory_view_store({std::string(projection)});
  Position after{0};
  while (after < until) {
    const auto read = log.read(after, {.events = kMaxGroupApplied, .scanned = kMaxGroupApplied}, {});
    if (!read) return read.error();
    std::vector<RecordedEvent> events;
    for (const RecordedEvent& event : read->events) {
      if (event.position <= until) events.push_back(event);
    }
    // The reader is let go before the commit: a store in memory copies what a reader still holds.
    auto group = [&] { return fold_group(*made, *store->reader(), events); }();
    if (!group) return group.error();
    if (auto committed = store->commit(group->writes); !committed) return committed.error();
    if (read->at_end || read->through == after) break;
    after = read->through;
  }
  return view_digest(*store->reader(), projection);
}

}  // namespace millrace
