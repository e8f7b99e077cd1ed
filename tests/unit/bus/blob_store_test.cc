// SPDX-License-Identifier: Apache-2.0
#include "bus/blob_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "bus/picture.h"
#include "bus/sha256.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using std::string_view_literals::operator""sv;

std::string name_of_bytes(std::string_view bytes) { return hex_of(Sha256Digester().digest(bytes)); }

class BlobStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<BlobStore> open(BlobStoreOptions options = {}) { return *open_blob_folder(folder, options); }
  fs::path path_of(const std::string& name) const { return folder / name.substr(0, 2) / name; }
  const ::millrace::testing::TemporaryDirectory temporary;
  const fs::path folder = temporary.path() / "blobs";
};

TEST_F(BlobStoreTest, WhatWasStoredIsReadAlsoByAnother) {
  const std::string name = name_of_bytes("picture");
  ASSERT_TRUE(open()->put(name, "picture"));
  const auto store = open();
  EXPECT_EQ(store->get(name).value(), "picture");
  EXPECT_TRUE(store->has(name));
  EXPECT_EQ(store->total_bytes(), 7u);
  struct stat status {};
  ASSERT_EQ(::stat(path_of(name).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(folder.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(BlobStoreTest, BytesUnderAWrongNameAreRefused) {
  const auto store = open();
  EXPECT_EQ(store->put(name_of_bytes("a"), "b").error().code, Errc::kMalformed);
  EXPECT_EQ(store->put("../../etc/passwd", "b").error().code, Errc::kInvalidArgument);
  EXPECT_EQ(store->get(std::string(64, 'A')).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(store->get(name_of_bytes("b")).error().code, Errc::kNotFound);
  EXPECT_FALSE(store->has("x"));
}

TEST_F(BlobStoreTest, ATornFileIsFoundAndMadeWholeAgain) {
  const std::string name = name_of_bytes("picture");
  const auto store = open();
  ASSERT_TRUE(store->put(name, "picture"));
  fs::resize_file(path_of(name), 3);
  EXPECT_EQ(store->get(name).error().code, Errc::kCorrupt);
  ASSERT_TRUE(store->put(name, "picture"));
  EXPECT_EQ(store->get(name).value(), "picture");
}

TEST_F(BlobStoreTest, WhatMovedOnMakesRoom) {
  const auto store = open({.max_bytes = 10});
  ASSERT_TRUE(store->put(name_of_bytes("picture"), "picture"));
  EXPECT_EQ(store->put(name_of_bytes("another"), "another").error().code, Errc::kFull);
  ASSERT_TRUE(store->remove(name_of_bytes("picture")));
  EXPECT_FALSE(store->has(name_of_bytes("picture")));
  EXPECT_EQ(store->total_bytes(), 0u);
  EXPECT_TRUE(store->put(name_of_bytes("another"), "another"));
  EXPECT_TRUE(store->remove(name_of_bytes("picture"))) << "is gone already";
  EXPECT_EQ(store->remove("../x").error().code, Errc::kInvalidArgument);
}

TEST_F(BlobStoreTest, WhatACrashLeftHalfWrittenIsRemoved) {
  const std::string name = name_of_bytes("picture");
  fs::create_directories(path_of(name).parent_path());
  std::ofstream(path_of(name).string() + ".new") << "pict";
  const auto store = open();
  EXPECT_FALSE(fs::exists(path_of(name).string() + ".new"));
  EXPECT_EQ(store->total_bytes(), 0u);
}

TEST_F(BlobStoreTest, BothBoundsAreKept) {
  const auto store = open({.max_blob_bytes = 4, .max_bytes = 6});
  EXPECT_EQ(store->put(name_of_bytes("12345"), "12345").error().code, Errc::kTooLarge);
  ASSERT_TRUE(store->put(name_of_bytes("1234"), "1234"));
  EXPECT_EQ(store->put(name_of_bytes("abc"), "abc").error().code, Errc::kFull);
  EXPECT_TRUE(store->put(name_of_bytes("1234"), "1234"));  // is there already
  EXPECT_TRUE(store->put(name_of_bytes("ab"), "ab"));
  std::vector<std::string> names;
  ASSERT_TRUE(store->each([&](const std::string& name, uint64_t) { names.push_back(name); }));
  EXPECT_EQ(names.size(), 2u);
}

TEST_F(BlobStoreTest, AFolderThatCannotBeMadeIsSaid) {
  std::ofstream(folder) << "a file";
  EXPECT_EQ(open_blob_folder(folder).error().code, Errc::kIo);
}

// --- pictures

std::string head_of(std::string_view bytes) {
  const auto header = picture_header(bytes);
  if (!header) return "none";
  return std::string(header->content_type) + " " + std::to_string(header->width) + "x" + std::to_string(header->height);
}

TEST(Picture, TypeAndSizeAreReadFromTheHeader) {
  EXPECT_EQ(head_of("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x90\0\0\x01\x2c\x08\x06"sv), "image/png 400x300");
  EXPECT_EQ(head_of("\xff\xd8\xff\xe0\0\x04xx\xff\xff\xc2\0\x11\x08\x01\x2c\x01\x90\x03"sv), "image/jpeg 400x300");
  EXPECT_EQ(head_of("RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x8f\x01\0\x2b\x01\0"sv), "image/webp 400x300");
  EXPECT_EQ(head_of("RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x8f\xc1\x4a\0\0\0\0\0\0"sv), "image/webp 400x300");
  EXPECT_EQ(head_of("RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x90\x01\x2c\x01"sv), "image/webp 400x300");
}

TEST(Picture, AnythingElseIsNone) {
  for (const std::string_view bytes :
       {""sv, "GIF89a"sv, "<svg/>"sv, "\x89PNG\r\n\x1a\n"sv, "\xff\xd8\xff"sv, "\xff\xd8\xff\xc0\0\x11\x08"sv,
        "\xff\xd8\xff\xe0\0\0\xff\xe0\0\0"sv, "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\x01\x2c"sv,
        "RIFF\0\0\0\0WEBPVP8Q\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv}) {
    EXPECT_EQ(head_of(bytes), "none") << bytes;
  }
}

}  // namespace
}  // namespace millrace
