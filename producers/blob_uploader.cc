// SPDX-License-Identifier: Apache-2.0
#include "producers/blob_uploader.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "bus/file_io.h"
#include "bus/logging.h"
#include "net/http_client.h"
#include "producers/backoff.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kRequestTimeout{60};  // 10 MiB over a slow line
constexpr size_t kMaxAnswer = 64u << 10;

// Which no repetition would change: the hub will not have these bytes.
bool refused_for_good(int status) { return status == 413 || status == 415 || status == 422; }

std::string without_slashes(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace

Result<std::unique_ptr<BlobUploader>> BlobUploader::start(BlobUploadOptions options, const Clock& clock,
                                                          Metrics& metrics) {
  auto waiting = open_blob_folder(options.directory, {.max_bytes = options.max_waiting_bytes});
  if (!waiting) return waiting.error();
  options.hub_url = without_slashes(options.hub_url);
  return std::unique_ptr<BlobUploader>(new BlobUploader(std::move(options), std::move(*waiting), clock, metrics));
}

BlobUploader::BlobUploader(BlobUploadOptions options, std::unique_ptr<BlobStore> waiting, const Clock& clock,
                           Metrics& metrics)
    : options_(std::move(options)),
      waiting_(std::move(waiting)),
      random_(static_cast<uint64_t>(to_unix_us(clock.wall()))),
      waiting_bytes_(metrics.gauge("millrace_adapter_blob_bytes_waiting", "Pictures and settings that the hub lacks")),
      thread_([this] { run(); }) {}

BlobUploader::~BlobUploader() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Result<std::string> BlobUploader::keep(std::string_view bytes) {
  std::string name = blob_name(bytes);
  if (auto put = waiting_->put(name, bytes); !put) return put.error();
  {
    std::lock_guard lock(mutex_);
    more_ = true;
  }
  wake_.notify_all();
  return name;
}

void BlobUploader::run() {
  int failures = 0;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return more_ || stopping_; });
      if (stopping_) return;
      more_ = false;
    }
    const Outcome outcome = send_all();
    waiting_bytes_.set(static_cast<double>(waiting_->total_bytes()));
    if (outcome == Outcome::kDone) {
      failures = 0;
    } else if (!pause(failures++)) {
      return;
    }
  }
}

// A new blob does not make the hub come back, so it waits too.  False: it is the end.
bool BlobUploader::pause(int failures) {
  const Micros wait = backoff(failures, options_.least_pause, options_.most_pause, random_);
  std::unique_lock lock(mutex_);
  more_ = true;
  return !wake_.wait_for(lock, wait, [this] { return stopping_.load(); });
}

BlobUploader::Outcome BlobUploader::send_all() {
  std::vector<std::string> names;
  const auto listed = waiting_->each([&](const std::string& name, uint64_t) { names.push_back(name); });
  if (!listed) {
    log_warn("adapters", "blobs for the hub: {}", listed.error().message());
    return Outcome::kLater;
  }
  for (const std::string& name : names) {
    if (stopping_ || send(name) == Outcome::kLater) return Outcome::kLater;
  }
  return Outcome::kDone;
}

BlobUploader::Outcome BlobUploader::send(const std::string& name) {
  auto bytes = waiting_->get(name);
  if (!bytes) {
    log_error("adapters", "a blob for the hub is lost: {}", bytes.error().message());
    (void)waiting_->remove(name);
    return Outcome::kDone;
  }
  HttpClientRequest request;
  request.method = "PUT";
  request.url = options_.hub_url + "/api/v1/blobs/" + name;
  request.headers = {{"Content-Type", "application/octet-stream"}};
  if (std::string secret = key(); !secret.empty()) request.headers.emplace_back("X-API-Key", std::move(secret));
  request.body = std::move(*bytes);
  request.timeout = kRequestTimeout;
  request.max_body_bytes = kMaxAnswer;
  request.cancelled = &stopping_;
  const auto answer = http_request(request);
  if (stopping_) return Outcome::kLater;
  if (!answer) {
    log_warn("adapters", "blob {} waits for the hub at {}: {}", name, options_.hub_url, answer.error().message());
    return Outcome::kLater;
  }
  const bool taken = answer->status == 200 || answer->status == 201;
  if (!taken && !refused_for_good(answer->status)) {
    log_warn("adapters", "blob {} waits: the hub at {} answers {}: {}", name, options_.hub_url, answer->status,
             answer->body.substr(0, 300));
    return Outcome::kLater;
  }
  if (!taken) {
    log_error("adapters", "blob {} of {} bytes is dropped: the hub answers {}: {}", name, request.body.size(),
              answer->status, answer->body.substr(0, 300));
  }
  if (auto removed = waiting_->remove(name); !removed) {
    log_warn("adapters", "{}", removed.error().message());
    return Outcome::kLater;
  }
  return Outcome::kDone;
}

// Read each time, so that a changed file counts.
std::string BlobUploader::key() const {
  if (options_.key_file.empty()) return {};
  auto text = read_file(options_.key_file);
  if (!text) {
    if (text.error().code != Errc::kNotFound) log_warn("adapters", "{}", text.error().message());
    return {};
  }
  text->erase(std::min(text->find_first_of("\r\n"), text->size()));
  return std::move(*text);
}

}  // namespace millrace
