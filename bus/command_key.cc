// SPDX-License-Identifier: Apache-2.0
#include "bus/command_key.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

#include "bus/file_io.h"
#include "bus/sha256.h"

namespace millrace {
namespace {

constexpr size_t kDigits = 64;
constexpr int kOwnerOnly = 0600;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Result<std::string> read_command_key(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return std::string();
  auto text = read_file(file);
  if (!text) return text.error();
  while (text->ends_with('\n')) text->pop_back();
  if (text->size() == kDigits && is_hex(*text)) return std::move(*text);
  return make_error(Errc::kMalformed, fmt::format("'{}': expected {} hex digits", file.string(), kDigits));
}

Result<std::string> read_or_make_command_key(const std::filesystem::path& file, Random& random) {
  auto key = read_command_key(file);
  if (!key || !key->empty()) return key;
  Sha256 bytes{};
  std::ranges::copy(random_bytes(random, bytes.size()), bytes.begin());
  const std::string made = hex_of(bytes);
  if (auto written = write_file_durably(file, made + "\n", kOwnerOnly); !written) return written.error();
  return made;
}

std::string command_signature(std::string_view key, std::string_view bytes) {
  Sha256 out{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(bytes.data()),
       bytes.size(), out.data(), &size);
  return hex_of(out);
}

bool is_command_signature(std::string_view key, std::string_view bytes, std::string_view signature) {
  if (key.empty() || signature.size() != kDigits) return false;
  const std::string right = command_signature(key, bytes);
  return CRYPTO_memcmp(right.data(), signature.data(), kDigits) == 0;
}

}  // namespace millrace
