// SPDX-License-Identifier: Apache-2.0
// The changes of one group of events to one view, before they are committed.  Reads see the batch's own writes over
// what the store held before, so that the second event of a group finds what the first one left.  One thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "projections/view_store.h"

namespace millrace {

class ViewBatch {
 public:
  // `reader` outlives the batch.
  ViewBatch(const ViewReader& reader, std::string view) : reader_(reader), view_(std::move(view)) {}

  // nullopt when there is no such key, and also after a failed read: then error() says why and nothing of the batch may
  // be committed.
  std::optional<std::string> get(std::string_view key);
  // Every key that there is now.  For views with few of them.
  std::vector<std::string> keys();
  void put(std::string_view key, std::string value);
  void erase(std::string_view key);

  // Stored bytes that cannot be understood; the first report stays.
  void fail(Error error);
  const std::optional<Error>& error() const { return error_; }

  const std::string& view() const { return view_; }
  // What changed: a key's last value, nullopt for erased.
  const std::map<std::string, std::optional<std::string>, std::less<>>& changes() const { return changes_; }

 private:
  const ViewReader& reader_;
  std::string view_;
  std::map<std::string, std::optional<std::string>, std::less<>> changes_;
  std::optional<Error> error_;
};

}  // namespace millrace
