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

}  // namespace
}  // namespace portshim::directories
