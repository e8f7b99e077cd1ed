// SPDX-License-Identifier: Apache-2.0
// The view "ordinals": whole numbers for machines, jobs and maintenance records, for clients and tables that know
// nothing else.  Counted from 1 in the order in which the log first tells of each, and never used again: a rebuilt view
// gives the same numbers.
//
// Keys: "<class>/<id>" -> number; "#<class>/<number, big-endian>" -> id; "last/<class>" -> the last number.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bus/result.h"
#include "projections/projection.h"

namespace millrace {

inline constexpr std::string_view kOrdinalsView = "ordinals";

enum class OrdinalClass : uint8_t {
  kMachine,
  kJob,
  kMaintenanceRecord,  // id: "<machine>/<record id>"
};

std::unique_ptr<const Projection> make_ordinals();

// nullopt when there is none; kIo, kCorrupt.
Result<std::optional<uint64_t>> ordinal_of(const ViewReader& reader, OrdinalClass of, std::string_view id);
Result<std::optional<std::string>> id_of_ordinal(const ViewReader& reader, OrdinalClass of, uint64_t number);

}  // namespace millrace
