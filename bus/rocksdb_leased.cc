// SPDX-License-Identifier: Apache-2.0
#include "bus/rocksdb_leased.h"

#include <utility>

namespace millrace {
namespace {

// Opening again takes well below a second; a reader that would wait longer is told so instead.
constexpr std::chrono::milliseconds kWaitForReplacement{2'000};

}  // namespace

OpenLogDatabase::~OpenLogDatabase() {
  if (!db) return;
  for (auto* handle : families) {
    if (handle != nullptr) db->DestroyColumnFamilyHandle(handle);
  }
  db->Close().PermitUncheckedError();
}

Result<LeasedDatabase::Lease> LeasedDatabase::lease() const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kWaitForReplacement, [this] { return !replacing_; });
  if (replacing_ || !database_) return make_error(Errc::kUnavailable, "the log is closed and will be opened again");
  ++leases_;
  return Lease(database_.get(), [this](const OpenLogDatabase*) {
    {
      std::lock_guard returned(mutex_);
      --leases_;
    }
    changed_.notify_all();
  });
}

Result<void> LeasedDatabase::replace(const Opener& open) {
  std::unique_ptr<OpenLogDatabase> closing;
  {
    std::unique_lock lock(mutex_);
    replacing_ = true;
    // What only tidies up must not be waited for.
    if (database_) database_->db->DisableManualCompaction();
    changed_.wait(lock, [this] { return leases_ == 0; });
    closing = std::move(database_);
  }
  closing.reset();
  auto opened = open();
  {
    std::lock_guard lock(mutex_);
    if (opened) database_ = std::move(*opened);
    replacing_ = false;
  }
  changed_.notify_all();
  if (!opened) return opened.error();
  return {};
}

}  // namespace millrace
