// SPDX-License-Identifier: Apache-2.0
// What the slicer wrote into the file that a job prints: its head and tail are fetched from Moonraker's file server by
// range requests, not the megabytes between them.  Blocking; any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/events.h"
#include "bus/result.h"

namespace millrace {

struct JobFile {
  std::string job_id;
  std::string filename;       // as Moonraker names it, relative to its gcodes folder
  std::string metadata_json;  // Moonraker's own summary, as the job's row has it; "" = none
};

struct JobFileSource {
  std::string moonraker_url;                                 // "http://host:port"
  std::vector<std::pair<std::string, std::string>> headers;  // what authorises; never logged
  std::string username;                                      // of a login, where no header authorises; never logged
  std::string password;
  std::string ca_file;                           // PEM, for https; empty: the system's authorities
  std::chrono::milliseconds timeout{20'000};     // of each request
  const std::atomic<bool>* cancelled = nullptr;  // once true, it ends within a second: kUnavailable
};

// Keeps bytes that are too large for an event, and gives their SHA-256 in hexadecimal.
using KeepBlob = std::function<Result<std::string>(std::string_view bytes, std::string_view content_type)>;

// From the file; `replaced` is set when its size or time is not what the row says.  kUnavailable, kTimeout: try again
// later.  kNotFound and others: the file cannot be read, see summary_of().
Result<schema::JobMetadataReadT> read_job_file(const JobFileSource& source, const JobFile& file, const KeepBlob& keep);

// From Moonraker's own summary: source "moonraker".
schema::JobMetadataReadT summary_of(const JobFile& file);

}  // namespace millrace
