// SPDX-License-Identifier: Apache-2.0
// Between stored bytes and the generated structs of schemas/view.fbs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bus/envelope.h"
#include "schemas/view_generated.h"

namespace millrace {

// nullopt for bytes that are not a `Table`.  Copies them first: a store gives no alignment.
template <class Table>
std::optional<typename Table::NativeTableType> decode_record(std::string_view bytes) {
  const SharedBytes aligned = SharedBytes::copy_of(bytes);
  const auto* data = reinterpret_cast<const uint8_t*>(aligned.data());
  if (!flatbuffers::Verifier(data, aligned.size()).VerifyBuffer<Table>(nullptr)) return std::nullopt;
  typename Table::NativeTableType record;
  flatbuffers::GetRoot<Table>(data)->UnPackTo(&record);
  return record;
}

template <class Table>
std::string encode_record(const typename Table::NativeTableType& record) {
  flatbuffers::FlatBufferBuilder builder(512);
  builder.Finish(Table::Pack(builder, &record));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

}  // namespace millrace
