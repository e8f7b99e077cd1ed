// SPDX-License-Identifier: Apache-2.0
#include "bus/file_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using testing::TemporaryDirectory;

TEST(FileIo, WrittenBytesAreReadBack) {
  const TemporaryDirectory directory;
  auto file = File::open(directory / "a", O_RDWR | O_CREAT).value();
  ASSERT_TRUE(file.write_all(std::string_view("hello\0world", 11)));
  ASSERT_TRUE(file.sync());
  EXPECT_EQ(file.read_at(0, 100).value(), std::string("hello\0world", 11));
  EXPECT_EQ(file.read_at(6, 3).value(), "wor");
  EXPECT_EQ(file.read_at(100, 3).value(), "");
}

TEST(FileIo, TruncateCutsTheTail) {
  const TemporaryDirectory directory;
  auto file = File::open(directory / "a", O_RDWR | O_CREAT).value();
  ASSERT_TRUE(file.write_all("hello"));
  ASSERT_TRUE(file.truncate(2));
  EXPECT_EQ(read_file(directory / "a").value(), "he");
}

TEST(FileIo, NewFilesAreNotForEverybody) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(File::open(directory / "a", O_WRONLY | O_CREAT));
  struct stat status {};
  ASSERT_EQ(::stat((directory / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07, 0u);
}

TEST(FileIo, MovedFileIsTheOther) {
  const TemporaryDirectory directory;
  auto first = File::open(directory / "a", O_RDWR | O_CREAT).value();
  File second = std::move(first);
  EXPECT_FALSE(first.is_open());  // NOLINT(bugprone-use-after-move): what a moved file is
  EXPECT_TRUE(second.write_all("x"));
}

TEST(FileIo, ErrorsSayWhatFailedOnWhat) {
  const TemporaryDirectory directory;
  const auto missing = read_file(directory / "none");
  EXPECT_EQ(missing.error().code, Errc::kNotFound);
  EXPECT_NE(missing.error().context.find("none"), std::string::npos);
  EXPECT_EQ(read_file(directory.path()).error().code, Errc::kIo);
  auto readable = File::open(directory.path(), O_RDONLY).value();
  EXPECT_EQ(readable.write_all("x").error().code, Errc::kIo);
  EXPECT_EQ(readable.truncate(0).error().code, Errc::kIo);
}

TEST(FileIo, FullDiskIsSaidSo) {
  auto full = File::open("/dev/full", O_WRONLY);
  if (!full) GTEST_SKIP() << "there is no /dev/full here";
  EXPECT_EQ(full->write_all("x").error().code, Errc::kFull);
}

TEST(FileIo, DurableWriteReplacesTheWholeFile) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_file_durably(directory / "a", "a long first content"));
  ASSERT_TRUE(write_file_durably(directory / "a", "second"));
  EXPECT_EQ(read_file(directory / "a").value(), "second");
  EXPECT_FALSE(std::filesystem::exists(directory / "a.new"));
  EXPECT_EQ(write_file_durably(directory / "none" / "a", "x").error().code, Errc::kNotFound);
}

TEST(FileIo, DurableWriteTakesANameInTheWorkingDirectory) {
  const TemporaryDirectory directory;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  const auto written = write_file_durably("plain", "x");
  std::filesystem::current_path(before);
  EXPECT_TRUE(written);
  EXPECT_EQ(read_file(directory / "plain").value(), "x");
}

}  // namespace
}  // namespace millrace
