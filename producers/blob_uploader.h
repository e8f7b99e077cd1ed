// SPDX-License-Identifier: Apache-2.0
// Brings what is too large for an event from adapters with a data folder of their own to the hub: PUT
// /api/v1/blobs/<sha256>.  Blobs wait on the disk until the hub has them, whatever is restarted meanwhile, and are sent
// one at a time on a thread of its own.  A hub that is away is asked again, 1 s to 5 min apart.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "bus/blob_store.h"
#include "bus/clock.h"
#include "bus/metrics.h"
#include "bus/random.h"

namespace millrace {

struct BlobUploadOptions {
  std::string hub_url;                      // "http://host:port" or "https://host:port"
  std::filesystem::path key_file;           // holds the API key on its one line; empty, or no such file: none is sent
  std::filesystem::path directory;          // where blobs wait; this uploader's own
  uint64_t max_waiting_bytes = 256u << 20;  // beyond it keep() gives kFull
  std::chrono::milliseconds least_pause{1'000};  // after a failure; doubles up to the next
  std::chrono::milliseconds most_pause{300'000};
};

class BlobUploader {
 public:
  // Begins with what waits from before.  `clock` and `metrics` outlive it.  kIo.
  static Result<std::unique_ptr<BlobUploader>> start(BlobUploadOptions options, const Clock& clock, Metrics& metrics);
  ~BlobUploader();
  BlobUploader(const BlobUploader&) = delete;
  BlobUploader& operator=(const BlobUploader&) = delete;

  // Stores `bytes` durably and gives the name under which the hub will have them.  Any thread.  kFull, kTooLarge, kIo.
  Result<std::string> keep(std::string_view bytes);

 private:
  enum class Outcome { kDone, kLater };

  BlobUploader(BlobUploadOptions options, std::unique_ptr<BlobStore> waiting, const Clock& clock, Metrics& metrics);
  void run();
  bool pause(int failures);
  Outcome send_all();
  Outcome send(const std::string& name);
  std::string key() const;

  const BlobUploadOptions options_;
  const std::unique_ptr<BlobStore> waiting_;
  SeededRandom random_;
  Gauge& waiting_bytes_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool more_ = true;  // something may wait
  std::atomic<bool> stopping_{false};
  std::thread thread_;  // last: it uses the others
};

}  // namespace millrace
