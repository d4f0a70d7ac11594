#include "shim/deps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace portshim::deps {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kDeps = R"(
// hostfxr reads comments
{
  "runtimeTarget": {"name": ".NETCoreApp,Version=v10.0/linux-x64", "signature": ""},
  "targets": {
    ".NETCoreApp,Version=v10.0": {"App/1.0.0": {"runtime": {"Wrong.dll": {}}}},
    ".NETCoreApp,Version=v10.0/linux-x64": {
      "App/1.0.0": {"dependencies": {"Core": "1.0.0"}, "runtime": {"App.dll": {}}},
      "Serilog/4.0.0": {"runtime": {"lib/net8.0/Serilog.dll": {}}},
      "Vendor/1.0.0": {"runtime": {"Vendor.dll": {}}},
      "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/10.0.0": {"runtime": {"System.Private.CoreLib.dll": {}}},
      "Core/1.0.0": {"runtime": {"sub/Core.dll": {"assemblyVersion": "1.0.0"}}}
    }
  },
  "libraries": {
    "App/1.0.0": {"type": "project", "serviceable": false, "sha512": ""},
    "Serilog/4.0.0": {"type": "package"},
    "Core/1.0.0": {"type": "project"},
    "Missing/1.0.0": {"type": "project"},
    "Vendor/1.0.0": {"type": "reference"},
    "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/10.0.0": {"type": "runtimepack"}
  }
})";

TEST(Deps, ProjectsAreInDepsJson) {
  EXPECT_THAT(projects(kDeps), ElementsAre("App.dll", "Core.dll"));
  EXPECT_THAT(projects(std::string("\xef\xbb\xbf") + kDeps), ElementsAre("App.dll", "Core.dll"));
}

TEST(Deps, PackagesAreWhatIsNeitherTheAppsNorDotNets) {
  EXPECT_THAT(packages(kDeps), ElementsAre("Serilog.dll", "Vendor.dll"));
}

TEST(Deps, DepsJsonThatCannotBeReadNamesNoProject) {
  for (const char* text : {"", "[]", "{", "{}", "null", R"({"libraries": []})", R"({"libraries": {"A": 1}})",
                           R"({"libraries": {"A": {"type": "project"}}, "targets": 3, "runtimeTarget": "x"})",
                           R"({"libraries": {"A": {"type": "project"}}, "targets": {"x": {"A": {"runtime": []}}},
                               "runtimeTarget": {"name": "x"}})"}) {
    EXPECT_THAT(projects(text), IsEmpty()) << text;
  }
  EXPECT_THAT(projects(std::string(1'000'000, '[')), IsEmpty());
}

}  // namespace
}  // namespace portshim::deps
