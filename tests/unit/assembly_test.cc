#include "shim/assembly.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace portshim::assembly {
namespace {

using hosting::Builder;
using testing::ElementsAre;
using testing::IsEmpty;

/// What merging these gives.
Code merged(std::vector<Hosts> all) {
  Code code;
  for (Hosts& hosts : all) merge(code, {.hosts = std::move(hosts)});
  return code;
}

TEST(Assembly, BuildersOfAllAssembliesAreInTheirOrderAndEachOnce) {
  EXPECT_THAT(
      merged({{.builders = {Builder::empty, Builder::wab}}, {.builders = {Builder::slim, Builder::wab}}}).builders,
      ElementsAre(Builder::wab, Builder::slim, Builder::empty));
}

TEST(Assembly, AGenericHostServesTheWebOnlyWithWebHostDefaultsWhereverTheyAreCalled) {
  EXPECT_THAT(merged({{.generic_host = {.passed = true}}}).builders, IsEmpty());
  EXPECT_THAT(merged({{.generic_host = {.passed = true}}, {.web_host_defaults = true}}).builders,
              ElementsAre(Builder::gh));
}

TEST(Assembly, AHostWithoutDefaultsMakesTheBuilderUnknown) {
  EXPECT_THAT(merged({{.builders = {Builder::wab}}, {.web_host_builder = true}}).builders, IsEmpty());
  EXPECT_THAT(merged({{.builders = {Builder::wab}}, {.web_host_defaults = true}}).builders, IsEmpty());
}

TEST(Assembly, ArgumentsAreNotPassedOnlyWhereEveryBuilderGoesWithout) {
  const Hosts passes{.arguments = {.passed = true}};
  const Hosts misses{.arguments = {.missing = true}};
  const Hosts reads_them{.command_line = true};
  EXPECT_EQ(merged({passes}).passes_arguments, true);
  EXPECT_EQ(merged({misses, misses}).passes_arguments, false);
  EXPECT_EQ(merged({misses, passes}).passes_arguments, true);
  EXPECT_EQ(merged({misses, reads_them}).passes_arguments, std::nullopt);
  EXPECT_EQ(merged({passes, reads_them}).passes_arguments, true);
  EXPECT_EQ(merged({misses, {}}).passes_arguments, false) << "a library without a builder says nothing";
  EXPECT_EQ(merged({{}}).passes_arguments, std::nullopt);
  EXPECT_EQ(merged({misses, {.generic_host = {.passed = true}}}).passes_arguments, false) << "a host without the web";
  EXPECT_EQ(merged({{.generic_host = {.missing = true}, .web_host_defaults = true}}).passes_arguments, false);
}

TEST(Assembly, CallsOfTheSecondAssemblyComeBehindThoseOfTheFirst) {
  Code code{.calls = {{.api = "ListenAnyIP"}}};
  merge(code, {.calls = {{.api = "UseUrls"}}});
  ASSERT_EQ(code.calls.size(), 2);
  EXPECT_EQ(code.calls[1].api, "UseUrls");
}

TEST(Assembly, WhatIsNoAssemblyIsAnError) {
  EXPECT_FALSE(read("", "App.dll"));
  EXPECT_FALSE(read("#!/bin/sh\n", "App.dll"));
}

TEST(Assembly, AMethodThatTheCompilerMadeIsNamedByTheUsers) {
  EXPECT_EQ(user_method("Program", "<Main>$"), "Program.<Main>$");
  EXPECT_EQ(user_method("App.Program", "Main"), "App.Program.Main");
  EXPECT_EQ(user_method("Startup", ".ctor"), "Startup..ctor");
  EXPECT_EQ(user_method("Outer+Inner", "Run"), "Outer+Inner.Run");
  // lambda expressions, alone and with captured variables
  EXPECT_EQ(user_method("Program+<>c", "<<Main>$>b__0_0"), "Program.<Main>$");
  EXPECT_EQ(user_method("Outer+Inner+<>c__DisplayClass3_0", "<Run>b__0"), "Outer+Inner.Run");
  // local functions
  EXPECT_EQ(user_method("Program", "<<Main>$>g__Serve|0_0"), "Program.<Main>$");
  EXPECT_EQ(user_method("Program+<>c", "<<Main>$>g__Serve|0_0"), "Program.<Main>$");
  // async methods, async lambda expressions, iterators
  EXPECT_EQ(user_method("Program+<<Main>$>d__0", "MoveNext"), "Program.<Main>$");
  EXPECT_EQ(user_method("Program+<Main>d__0", "MoveNext"), "Program.Main");
  EXPECT_EQ(user_method("Program+<>c+<<<Main>$>b__0_0>d", "MoveNext"), "Program.<Main>$");
  EXPECT_EQ(user_method("Program+<>c__DisplayClass0_0+<<Main>b__1>d", "MoveNext"), "Program.Main");
  // a static constructor's lambda expression
  EXPECT_EQ(user_method("Program+<>c", "<.cctor>b__1_0"), "Program..cctor");
}

TEST(Assembly, NamesThatOnlyLookMadeStay) {
  EXPECT_EQ(user_method("<PrivateImplementationDetails>", "Throw"), "<PrivateImplementationDetails>.Throw");
  EXPECT_EQ(user_method("Program", "<"), "Program.<");
  EXPECT_EQ(user_method("Program", "<>"), "Program.<>");
  EXPECT_EQ(user_method("Program", "<Main>"), "Program.<Main>");
  EXPECT_EQ(user_method("Program", "<<<<"), "Program.<<<<");
  EXPECT_EQ(user_method("", ""), ".");
}

constexpr const char* kDeps = R"(
// hostfxr reads comments
{
  "runtimeTarget": {"name": ".NETCoreApp,Version=v10.0/linux-x64", "signature": ""},
  "targets": {
    ".NETCoreApp,Version=v10.0": {"App/1.0.0": {"runtime": {"Wrong.dll": {}}}},
    ".NETCoreApp,Version=v10.0/linux-x64": {
      "App/1.0.0": {"dependencies": {"Core": "1.0.0"}, "runtime": {"App.dll": {}}},
      "Serilog/4.0.0": {"runtime": {"lib/net8.0/Serilog.dll": {}}},
      "Core/1.0.0": {"runtime": {"sub/Core.dll": {"assemblyVersion": "1.0.0"}}}
    }
  },
  "libraries": {
    "App/1.0.0": {"type": "project", "serviceable": false, "sha512": ""},
    "Serilog/4.0.0": {"type": "package"},
    "Core/1.0.0": {"type": "project"},
    "Missing/1.0.0": {"type": "project"}
  }
})";

TEST(Assembly, ProjectsAreInDepsJson) {
  EXPECT_THAT(projects(kDeps), ElementsAre("App.dll", "Core.dll"));
  EXPECT_THAT(projects(std::string("\xef\xbb\xbf") + kDeps), ElementsAre("App.dll", "Core.dll"));
}

TEST(Assembly, DepsJsonThatCannotBeReadNamesNoProject) {
  for (const char* text : {"", "[]", "{", "{}", "null", R"({"libraries": []})", R"({"libraries": {"A": 1}})",
                           R"({"libraries": {"A": {"type": "project"}}, "targets": 3, "runtimeTarget": "x"})",
                           R"({"libraries": {"A": {"type": "project"}}, "targets": {"x": {"A": {"runtime": []}}},
                               "runtimeTarget": {"name": "x"}})"}) {
    EXPECT_THAT(projects(text), IsEmpty()) << text;
  }
  EXPECT_THAT(projects(std::string(1'000'000, '[')), IsEmpty());
}

}  // namespace
}  // namespace portshim::assembly
