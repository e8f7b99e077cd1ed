// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>
#include <mutex>

#include "projections/view_store.h"

namespace millrace {
namespace {

using Records = std::map<std::string, std::string, std::less<>>;
// Shared by readers and the store until the next commit to that view, which then works on a copy.
using Views = std::map<std::string, std::shared_ptr<Records>, std::less<>>;

Error unknown_view(std::string_view view) {
  return make_error(Errc::kNotFound, fmt::format("view '{}' does not exist", view));
}

class MemoryReader final : public ViewReader {
 public:
  explicit MemoryReader(Views views) : views_(std::move(views)) {}

  Result<std::optional<std::string>> get(std::string_view view, std::string_view key) const override {
    const auto found = views_.find(view);
    if (found == views_.end()) return unknown_view(view);
    const auto record = found->second->find(key);
    if (record == found->second->end()) return std::optional<std::string>{};
    return std::optional(record->second);
  }

  Result<void> scan(std::string_view view, const KeyRange& range, const Visitor& visitor) const override {
    const auto found = views_.find(view);
    if (found == views_.end()) return unknown_view(view);
    const Records& records = *found->second;
    if (!range.to.empty() && range.to <= range.from) return {};
    auto first = records.lower_bound(range.from);
    auto last = range.to.empty() ? records.end() : records.lower_bound(range.to);
    if (range.backwards) {
      while (last != first) {
        --last;
        if (!visitor(last->first, last->second)) break;
      }
    } else {
      for (; first != last && visitor(first->first, first->second); ++first) {
      }
    }
    return {};
  }

 private:
  const Views views_;
};

class MemoryViewStore final : public ViewStore {
 public:
  explicit MemoryViewStore(std::vector<std::string> views) {
    for (std::string& view : views) views_[std::move(view)] = std::make_shared<Records>();
  }

  Result<void> commit(const std::vector<ViewWrite>& writes) override {
    std::lock_guard lock(mutex_);
    return write(writes);
  }

  Result<void> clear(std::string_view view, const std::vector<ViewWrite>& writes) override {
    std::lock_guard lock(mutex_);
    const auto found = views_.find(view);
    if (found == views_.end()) return unknown_view(view);
    if (auto known = check(writes); !known) return known;
    found->second = std::make_shared<Records>();
    return write(writes);
  }

  std::shared_ptr<const ViewReader> reader() const override {
    std::lock_guard lock(mutex_);
    return std::make_shared<MemoryReader>(views_);
  }

 private:
  Result<void> check(const std::vector<ViewWrite>& writes) const {
    for (const ViewWrite& write : writes) {
      if (!views_.contains(write.view)) return unknown_view(write.view);
    }
    return {};
  }

  Result<void> write(const std::vector<ViewWrite>& writes) {
    if (auto known = check(writes); !known) return known;
    for (const ViewWrite& write : writes) {
      std::shared_ptr<Records>& records = views_[write.view];
      if (records.use_count() > 1) records = std::make_shared<Records>(*records);
      if (write.value) {
        (*records)[write.key] = *write.value;
      } else {
        records->erase(write.key);
      }
    }
    return {};
  }

  mutable std::mutex mutex_;
  Views views_;
};

}  // namespace

std::unique_ptr<ViewStore> make_memory_view_store(std::vector<std::string> views) {
  return std::make_unique<MemoryViewStore>(std::move(views));
}

}  // namespace millrace
