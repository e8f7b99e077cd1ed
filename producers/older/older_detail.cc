// SPDX-License-Identifier: Apache-2.0
#include "producers/older/older_detail.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <vector>

#include "bus/json_reader.h"
#include "gcode/thumbnail.h"
#include "producers/older/older_piece.h"

namespace millrace {
namespace {

constexpr size_t kMaxInlineSettings = 24u << 10;  // as of a file that is read here
constexpr size_t kMaxPictureText = 1u << 20;      // the older column holds 100,000 characters
constexpr size_t kMaxExtruders = 32;
constexpr size_t kMaxTextBytes = 200;
constexpr size_t kMaxWarnings = 20;
constexpr double kMostNumber = 1e12;

struct NumberColumn {
  std::string_view column;
  flatbuffers::Optional<double> schema::JobMetadataReadT::*into;
};
constexpr std::array kNumbers = {
    NumberColumn{"layer_height", &schema::JobMetadataReadT::layer_height},
    NumberColumn{"first_layer_height", &schema::JobMetadataReadT::first_layer_height},
    NumberColumn{"nozzle_temp", &schema::JobMetadataReadT::nozzle_temp},
    NumberColumn{"bed_temp", &schema::JobMetadataReadT::bed_temp},
    NumberColumn{"print_speed", &schema::JobMetadataReadT::print_speed},
    NumberColumn{"infill_percentage", &schema::JobMetadataReadT::infill_percentage},
    NumberColumn{"estimated_time", &schema::JobMetadataReadT::estimated_time_s},
    NumberColumn{"object_height", &schema::JobMetadataReadT::object_height},
    NumberColumn{"total_filament_used_g", &schema::JobMetadataReadT::total_filament_used_g},
    NumberColumn{"total_filament_cost", &schema::JobMetadataReadT::total_filament_cost},
};
struct ListColumn {
  std::string_view column;
  flatbuffers::Optional<double> schema::SlicedExtruderT::*into;
};
constexpr std::array kLists = {
    ListColumn{"filament_used_mm", &schema::SlicedExtruderT::used_mm},
    ListColumn{"filament_used_cm3", &schema::SlicedExtruderT::used_cm3},
    ListColumn{"filament_used_g", &schema::SlicedExtruderT::used_g},
    ListColumn{"filament_cost", &schema::SlicedExtruderT::cost},
};

class Detail {
 public:
  Detail(const Json& json, const KeepBlob& keep, schema::JobMetadataReadT& read)
      : json_(json), keep_(keep), read_(read) {}

  void run() {
    for (const NumberColumn& number : kNumbers) {
      if (const auto found = positive(number.column)) read_.*number.into = *found;
    }
    read_.slicer_name = text("slicer_name");
    read_.slicer_version = text("slicer_version");
    read_.infill_pattern = text("infill_pattern");
    read_.support_type = text("support_type");
    if (const auto layers = integer_member(json_, "layer_count"); layers && *layers >= 0 && *layers < 10'000'000) {
      read_.layer_count = static_cast<int32_t>(*layers);
    }
    settings();
    extruders();
    picture();
  }

 private:
  std::string text(std::string_view column) const {
    return std::string(whole_letters(text_member(json_, column).value_or(""), kMaxTextBytes));
  }
  std::optional<double> positive(std::string_view column) {
    const auto found = number_member(json_, column);
    if (!found) return std::nullopt;
    if (*found >= 0 && *found <= kMostNumber) return found;
    warn(fmt::format("{} is {}", column, *found));
    return std::nullopt;
  }
  void warn(std::string_view warning) {
    if (read_.warnings.size() < kMaxWarnings) read_.warnings.emplace_back(whole_letters(warning, kMaxTextBytes));
  }

  void settings() {
    const auto block = member(json_, "config_block");
    if (!block || !block->is_object()) return;
    std::string settings = to_text(*block);
    if (settings.size() <= 2) return;
    if (const auto support = member(*block, "enable_support")) {
      const auto said = as_text(*support);
      const auto number = as_number(*support);
      read_.support_enabled = said ? *said != "0" && *said != "false" : number.value_or(0) != 0;
    }
    if (settings.size() <= kMaxInlineSettings) {
      read_.settings_json = std::move(settings);
      return;
    }
    const auto kept = keep_(settings, "application/json");
    if (kept) read_.settings_blob = *kept;
    if (!kept) warn(fmt::format("settings of {} bytes could not be kept: {}", settings.size(), kept.error().context));
  }

  schema::SlicedExtruderT& extruder(size_t i) {
    while (read_.extruders.size() <= i) read_.extruders.push_back(std::make_unique<schema::SlicedExtruderT>());
    return *read_.extruders[i];
  }

  void extruders() {
    double total_mm = 0;
    for (const ListColumn& list : kLists) {
      const auto found = member(json_, list.column);
      simdjson::dom::array numbers;
      if (!found || found->get_array().get(numbers) != simdjson::SUCCESS) continue;
      size_t i = 0;
      for (const Json entry : numbers) {
        if (i >= kMaxExtruders) break;
        const auto number = as_number(entry);
        auto& used = extruder(i++);
        if (!number || *number < 0 || *number > kMostNumber) continue;
        used.*list.into = *number;
        if (list.column == "filament_used_mm") total_mm += *number;
      }
    }
    if (total_mm > 0) read_.total_filament_used_mm = total_mm;
    // The columns hold the first extruder's alone; the settings may have one for each, separated by ';'.
    words("filament_type", "filament_type", &schema::SlicedExtruderT::filament_type);
    words("filament_colour", "filament_color", &schema::SlicedExtruderT::filament_color);
    words("filament_vendor", "filament_brand", &schema::SlicedExtruderT::filament_vendor);
  }

  void words(std::string_view setting, std::string_view column, std::string schema::SlicedExtruderT::*into) {
    const auto block = member(json_, "config_block");
    std::string_view all = block ? text_member(*block, setting).value_or("") : "";
    if (read_.extruders.size() <= 1 || all.find(';') == std::string_view::npos) {
      std::string one = text(column);
      if (one.empty()) one = all.substr(0, std::min(all.find(';'), kMaxTextBytes));
      if (!one.empty()) extruder(0).*into = std::move(one);
      return;
    }
    for (auto& used : read_.extruders) {
      std::string_view word = all.substr(0, all.find(';'));
      all.remove_prefix(std::min(all.size(), word.size() + 1));
      if (word.size() >= 2 && word.front() == '"' && word.back() == '"') word = word.substr(1, word.size() - 2);
      (*used).*into = std::string(whole_letters(word, kMaxTextBytes));
    }
  }

  void picture() {
    std::string_view text = text_member(json_, "thumbnail_base64").value_or("");
    if (text.empty()) return;
    if (const size_t comma = text.find(','); text.starts_with("data:") && comma != std::string_view::npos) {
      text.remove_prefix(comma + 1);
    }
    auto bytes = text.size() <= kMaxPictureText ? base64_decoded(text) : std::nullopt;
    if (!bytes) return warn("the picture is no base64");
    auto image = checked_image(std::move(*bytes));
    if (!image) return warn("the picture: " + image.error().context);
    const std::string type = type_of(image->format);
    const auto kept = keep_(image->bytes, type);
    if (!kept) return warn("the picture could not be kept: " + kept.error().context);
    read_.thumbnail_blob = *kept;
    read_.thumbnail_type = type;
    read_.thumbnail_width = image->width;
    read_.thumbnail_height = image->height;
  }
  static std::string type_of(std::string_view format) {
    return format == "PNG" ? "image/png" : format == "JPG" ? "image/jpeg" : "image/qoi";
  }

  const Json& json_;
  const KeepBlob& keep_;
  schema::JobMetadataReadT& read_;
};

}  // namespace

schema::JobMetadataReadT sliced_from(std::string_view detail_json, std::string job_id, std::string filename,
                                     const KeepBlob& keep) {
  schema::JobMetadataReadT read;
  read.job_id = std::move(job_id);
  read.filename = std::move(filename);
  read.source = kPrintLogger;
  JsonReader reader;
  const auto json = reader.parse(detail_json);
  if (json && json->is_object()) {
    Detail(*json, keep, read).run();
  } else {
    read.warnings.emplace_back("job_details cannot be read");
  }
  return read;
}

}  // namespace millrace
