#include "shim/probing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/fake_system.h"

namespace portshim::probing {
namespace {

struct Case {
  support::FakeSystem system;
  std::vector<std::string> environment;
  runtime::App app{.kind = runtime::Kind::dotnet,
                   .assembly = "App.dll",
                   .asp_net_core = true,
                   .major = 10,
                   .framework_dependent = true,
                   .properties = std::map<std::string, std::string>{}};

  Case() {
    app.base_directory = "/app";
    app.deps_json = "/app/App.deps.json";
    app.dotnet_root = "/dotnet";
    system.file("/app/App.dll", "").file("/app/App.deps.json", R"({"runtimes/linux/lib/net8.0/Native.Part.dll": {}})");
    system.file("/dotnet/shared/Microsoft.NETCore.App/10.0.0/System.Own.dll", "");
  }
  [[nodiscard]] bool finds(std::string_view name) const { return may_find(system, app, environment, name); }
};

TEST(Probing, BesideTheAppInItsDepsJsonAndInFrameworksInAnyCase) {
  const Case c;
  for (const char* name : {"App", "app", "native.part", "System.Own", "SYSTEM.OWN"}) EXPECT_TRUE(c.finds(name)) << name;
  for (const char* name : {"Ap", "App.dll", "Other", "System"}) EXPECT_FALSE(c.finds(name)) << name;
}

TEST(Probing, WhatIsNotKnownMayHoldIt) {
  for (const char* variable : {"DOTNET_ADDITIONAL_DEPS=/x", "DOTNET_SHARED_STORE=/x"}) {
    Case c;
    c.environment = {variable};
    EXPECT_TRUE(c.finds("Other")) << variable;
  }
  Case single_file;
  single_file.app.assembly = "";
  EXPECT_TRUE(single_file.finds("Other"));
  Case no_root;
  no_root.app.dotnet_root = "";
  EXPECT_TRUE(no_root.finds("Other"));
  no_root.app.framework_dependent = false;
  EXPECT_FALSE(no_root.finds("Other"));
}

TEST(Probing, ADepsJsonThatCannotBeReadMayHoldItAndOneThatIsNotThereDoesNot) {
  Case c;
  c.system.file("/app/App.deps.json", "{}", 0600);
  EXPECT_TRUE(c.finds("Other"));
  c.app.deps_json = "/app/None.deps.json";
  EXPECT_FALSE(c.finds("Other"));
}

}  // namespace
}  // namespace portshim::probing
