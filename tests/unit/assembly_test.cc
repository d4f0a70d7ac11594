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

}  // namespace
}  // namespace portshim::assembly
