#include "shim/directories.h"

#include <gtest/gtest.h>

#include "tests/support/fake_system.h"

namespace portshim::directories {
namespace {

using support::FakeSystem;

TEST(Directories, CanBeMadeBelowTheNearestThatIsThereAndWritable) {
  FakeSystem system;
  system.cwd = "/own";
  system.directory("/own", 0755, 1654, 1654).directory("/ro").directory("/hidden", 0700).file("/own/file", "");
  for (const char* good : {"/own", "/own/", "/own/a", "/own/a/b/", "a/b", "/ro"}) {
    EXPECT_EQ(make_error(system, good), 0) << good;
  }
  EXPECT_EQ(make_error(system, "/ro/a/b"), EACCES);
  EXPECT_EQ(make_error(system, "/hidden/a"), EACCES);
  EXPECT_EQ(make_error(system, "/own/file"), ENOTDIR);
  EXPECT_EQ(make_error(system, "/own/file/a"), ENOTDIR);
  EXPECT_EQ(make_error(system, "/nope"), EACCES);
}

TEST(Directories, TakeFilesWhereTheyAreWritableAndMayBeSearched) {
  FakeSystem system;
  system.cwd = "/own";
  system.directory("/own", 0755, 1654, 1654).directory("/ro").directory("/sealed", 0600, 1654, 1654).file("/file", "");
  EXPECT_EQ(create_error(system, "/own"), 0);
  EXPECT_EQ(create_error(system, "."), 0);
  EXPECT_EQ(create_error(system, "/ro"), EACCES);
  EXPECT_EQ(create_error(system, "/sealed"), EACCES);
  EXPECT_EQ(create_error(system, "/file"), ENOTDIR);
  EXPECT_EQ(create_error(system, "/nope"), ENOENT);
}

TEST(Directories, TheFirstThatMayNotBeSearchedIsNamed) {
  FakeSystem system;
  system.cwd = "/own";
  system.directory("/own", 0755, 1654, 1654).directory("/own/sealed", 0600, 1654, 1654).directory("/hidden", 0700);
  EXPECT_EQ(closed_directory(system, "/hidden/a/b"), "/hidden");
  EXPECT_EQ(closed_directory(system, "sealed/a"), "sealed");
  EXPECT_EQ(closed_directory(system, "/own/file"), "");
  EXPECT_EQ(closed_directory(system, "file"), "");
  system.cwd = "/hidden";
  EXPECT_EQ(closed_directory(system, "file"), ".");
}

TEST(Directories, OfAUserAreInTheirTable) {
  FakeSystem system;
  EXPECT_EQ(home_of(system, 1654), "");
  system.file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n\nbroken\napp:x:1654:1654::/home/app:/bin/false");
  EXPECT_EQ(home_of(system, 0), "/root");
  EXPECT_EQ(home_of(system, 1654), "/home/app");
  EXPECT_EQ(home_of(system, 65), "");
}

}  // namespace
}  // namespace portshim::directories
