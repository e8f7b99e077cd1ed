// SPDX-License-Identifier: Apache-2.0
// Lists inside a view's record that are kept in the order of a name, so that they do not depend on the order in which
// events came, some of which may have expired.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

// The one of that name, added if the list has fewer than `most`; nullptr when there is no room for one more.
template <class Record>
Record* named_record(std::vector<std::unique_ptr<Record>>& records, std::string Record::*name, std::string_view wanted,
                     size_t most) {
  const auto place = std::lower_bound(records.begin(), records.end(), wanted,
                                      [name](const auto& record, std::string_view n) { return (*record).*name < n; });
  if (place != records.end() && (**place).*name == wanted) return place->get();
  if (records.size() >= most) return nullptr;
  const auto added = records.insert(place, std::make_unique<Record>());
  (**added).*name = wanted;
  return added->get();
}

}  // namespace millrace
