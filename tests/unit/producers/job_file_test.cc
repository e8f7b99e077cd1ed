// SPDX-License-Identifier: Apache-2.0
// Over real sockets: a simulated machine serves the file, and what its slicer wrote becomes an event.
#include "producers/moonraker/job_file.h"

#include <gtest/gtest.h>

#include "bus/json_writer.h"
#include "bus/random.h"
#include "gcode/gcode_reader.h"
#include "producers/moonraker/job_file_reader.h"
#include "producers/simulator/gcode_text.h"
#include "producers/simulator/service.h"
#include "tests/support/process.h"
#include "tests/unit/producers/sim_client.h"

namespace millrace {
namespace {

using namespace testing;

HostProfile profile(const std::string& behaviour) {
  HostProfile profile;
  profile.behaviour = behaviour;
  profile.wall_start_s = 1'795'262'400;
  return profile;
}

class JobFileTest : public ::testing::Test {
 protected:
  explicit JobFileTest(const std::string& behaviour = "idle") : files_(SimulatedHost(profile(behaviour)).files()) {
    thread_.call([&] {
      service_ = std::make_unique<SimulatedService>(thread_.loop(), thread_.clock(), profile(behaviour),
                                                    SimulatedServiceOptions{});
      ASSERT_TRUE(service_->start());
    });
  }
  ~JobFileTest() override {
    thread_.call([&] { service_.reset(); });
  }

  const SimulatedFile& file_of(const std::string& slicer) const {
    for (const SimulatedFile& file : files_) {
      if (file.slicer == slicer) return file;
    }
    return files_.front();
  }
  JobFileSource source() const {
    JobFileSource source;
    source.moonraker_url = "http://127.0.0.1:" + std::to_string(service_->port());
    return source;
  }
  static std::string row_of(const SimulatedFile& file) {
    JsonWriter json;
    json.object();
    write_metadata(json, file);
    json.end();
    return json.take();
  }
  Result<schema::JobMetadataReadT> read(const SimulatedFile& file, const std::string& row) {
    return read_job_file(source(), {"m.1", file.path, row}, [this](std::string_view bytes, std::string_view type) {
      kept_.emplace_back(type, bytes.size());
      return Result<std::string>(std::string(64, 'a'));
    });
  }

  LoopThread thread_;
  std::unique_ptr<SimulatedService> service_;
  const std::vector<SimulatedFile> files_;
  std::vector<std::pair<std::string, size_t>> kept_;
  SeededRandom random_{1};
};

class OddNamesTest : public JobFileTest {
 protected:
  OddNamesTest() : JobFileTest("odd_names") {}
};

TEST_F(JobFileTest, HeadAndTailOfALargeFileSayWhatTheSlicerWrote) {
  const SimulatedFile& file = file_of("OrcaSlicer");
  const auto event = read(file, row_of(file));
  ASSERT_TRUE(event) << event.error().message();
  EXPECT_EQ(event->source, "file");
  EXPECT_TRUE(event->partial);
  EXPECT_FALSE(event->replaced);
  EXPECT_EQ(event->file_bytes, static_cast<uint64_t>(file.size));
  EXPECT_EQ(event->slicer_name, "OrcaSlicer");
  EXPECT_EQ(event->layer_count, file.layers);
  EXPECT_EQ(event->nozzle_temp, file.extruder_c);
  EXPECT_EQ(event->bed_temp, file.bed_c);
  EXPECT_EQ(event->support_enabled, false);
  EXPECT_NEAR(*event->total_filament_used_g, file.filament_g, 0.01);
  EXPECT_EQ(event->objects, file.objects);
  EXPECT_NE(event->settings_json.find(R"("sparse_infill_pattern":"gyroid")"), std::string::npos);
  ASSERT_EQ(kept_.size(), 1u);
  EXPECT_EQ(kept_[0].first, "image/png");
  EXPECT_EQ(event->thumbnail_width, 48u);
}

TEST_F(JobFileTest, EverySlicerOfTheShopIsRead) {
  for (const SimulatedFile& file : files_) {
    const auto event = read(file, row_of(file));
    ASSERT_TRUE(event) << file.path << ": " << event.error().message();
    EXPECT_EQ(event->slicer_name, file.slicer) << file.path;
    EXPECT_NEAR(*event->estimated_time_s, file.print_s * 0.97, 1.1) << file.path;
    EXPECT_EQ(event->layer_height, file.layer_height_mm) << file.path;
  }
}

TEST_F(OddNamesTest, NamesWithAnyByteAreAskedForAsTheyAre) {
  for (const SimulatedFile& file : files_) EXPECT_TRUE(read(file, row_of(file))) << file.path;
}

TEST_F(JobFileTest, AFileThatWasReplacedSinceTheStartIsNoticed) {
  const SimulatedFile& file = file_of("OrcaSlicer");
  EXPECT_TRUE(read(file, R"({"size":17})")->replaced);
  EXPECT_TRUE(read(file, R"({"modified":1.5})")->replaced);
  EXPECT_FALSE(read(file, "")->replaced) << "nothing is known of the one that was started";
}

TEST_F(JobFileTest, AFileThatIsGoneIsNotFound) {
  SimulatedFile gone = files_.front();
  gone.path = "gone.gcode";
  EXPECT_EQ(read(gone, "").error().code, Errc::kNotFound);
}

TEST_F(JobFileTest, NowhereToKeepAPictureIsAWarning) {
  const SimulatedFile& file = file_of("OrcaSlicer");
  const auto event = read_job_file(source(), {"m.1", file.path, ""}, nullptr);
  ASSERT_TRUE(event);
  EXPECT_TRUE(event->thumbnail_blob.empty());
  ASSERT_EQ(event->warnings.size(), 1u);
  EXPECT_NE(event->warnings[0].find("the picture"), std::string::npos);
}

TEST_F(JobFileTest, TheReaderTellsMoonrakersSummaryWhenThereIsNoFile) {
  std::optional<schema::JobMetadataReadT> told;
  std::unique_ptr<JobFileReader> reader;
  thread_.call([&] {
    reader = std::make_unique<JobFileReader>(thread_.loop(), nullptr, thread_.clock(), random_);
    const bool taken = reader->read(source(), {"m.1", "gone.gcode", R"({"slicer":"Cura","layer_count":7})"},
                                    [&](schema::JobMetadataReadT metadata) { told = std::move(metadata); });
    EXPECT_TRUE(taken);
  });
  EXPECT_TRUE(eventually([&] {
    bool done = false;
    thread_.call([&] { done = told.has_value(); });
    return done;
  }));
  thread_.call([&] { reader.reset(); });
  EXPECT_EQ(told->source, "moonraker");
  EXPECT_EQ(told->slicer_name, "Cura");
  EXPECT_EQ(told->layer_count, 7);
  EXPECT_EQ(told->warnings.size(), 1u);
}

TEST(JobFileSummary, OddSummariesAreHarmless) {
  EXPECT_EQ(summary_of({"m.1", "a", "no json"}).slicer_name, "");
  EXPECT_EQ(summary_of({"m.1", "a", R"({"slicer":"Unknown","slicer_version":"?"})"}).slicer_name, "");
  EXPECT_FALSE(summary_of({"m.1", "a", R"({"layer_count":-3,"layer_height":"x"})"}).layer_count);
}

TEST(GcodeText, PartsOfAFileFitTogether) {
  const auto files = SimulatedHost(profile("idle")).files();
  for (const SimulatedFile& file : files) {
    const std::string whole = gcode_bytes(file, 0, UINT64_MAX);
    ASSERT_EQ(whole.size(), static_cast<size_t>(file.size));
    for (const uint64_t at : {uint64_t{0}, uint64_t{77}, static_cast<uint64_t>(file.body_start) - 5,
                              static_cast<uint64_t>(file.body_end) - 40}) {
      EXPECT_EQ(gcode_bytes(file, at, 100), whole.substr(at, 100)) << file.path << " " << at;
    }
    GcodeReader reader;
    reader.add(whole);
    EXPECT_EQ(reader.finish()->slicer_name, file.slicer);
  }
}

}  // namespace
}  // namespace millrace
