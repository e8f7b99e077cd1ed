// SPDX-License-Identifier: Apache-2.0
// What clients of the older 3d-print-logger ask for: its parameters and bodies, checked, and its whole-number ids. Each
// gives the value, or the answer that refuses the request.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "projections/ordinals.h"
#include "web/edge/print_logger/older_errors.h"
#include "web/edge/query.h"
#include "web/edge/routes.h"

namespace millrace {

template <class T>
using OrRefusal = boost::system::result<T, HttpResponse>;

struct OlderPage {
  size_t limit = 20;  // 1 to 100
  size_t offset = 0;
};
OrRefusal<OlderPage> older_page_in(const HttpRequest& request);
// Closes the object that begins with "items".
void end_older_page(JsonWriter& json, const OlderPage& page, uint64_t total);

// Absent: nullopt.
OrRefusal<std::optional<uint64_t>> older_number_in(const HttpRequest& request, std::string_view name);
// `absent` where it is not said, 422 outside of `least` to `most`.
OrRefusal<uint64_t> older_number_between(const HttpRequest& request, std::string_view name, uint64_t least,
                                         uint64_t most, uint64_t absent);
OrRefusal<std::optional<bool>> older_flag_in(const HttpRequest& request, std::string_view name);
OrRefusal<std::optional<WallTime>> older_time_in(const HttpRequest& request, std::string_view name);

// RFC 3339, also without an offset, which then is UTC, and a date alone, which is its first moment.
std::optional<WallTime> parse_older_time(std::string_view text);

// The id behind the number in the path.  422 when it is none, 404 when nothing has it.
OrRefusal<std::string> older_id_in(const ViewReader& reader, const RouteRequest& request, OrdinalClass of);
// The machine behind it, unless it was removed or is no printer.
OrRefusal<schema::MachineViewT> older_printer_in(const ViewReader& reader, const RouteRequest& request);
// 0: it has none yet.
OrRefusal<uint64_t> older_number_of(const ViewReader& reader, OrdinalClass of, std::string_view id);

struct OlderBody {
  std::span<const RenamedField> fields;  // everything that may be said
  std::span<const std::string_view>
      shown_only;  // of its answers alone: left out, since clients send back what they got
  // A value as JSON in our words; nullopt: as it is.
  std::function<std::optional<std::string>(std::string_view older, const Json& value)> value = nullptr;
  std::vector<std::pair<std::string_view, std::string>>
      defaults;  // older name and JSON where the body has no such field
};
// The request with a body in our words.  What cannot be read goes on as it is, to be refused by whoever reads it.
OrRefusal<HttpRequest> in_current_words(const HttpRequest& request, const OlderBody& body);

// Our decision in the older words.  `answer` is asked after ours has succeeded; without it the answer is 204.
WriteDecision older_decision(WriteDecision decision, std::span<const RenamedField> names,
                             std::function<HttpResponse(const RouteContext&)> answer = nullptr);

HttpResponse json_answer(JsonWriter& json, int status = 200);

}  // namespace millrace
