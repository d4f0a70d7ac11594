#include "shim/lever.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace portshim::lever {
namespace {

using address::Bind;
using code::Call;
using code::Kind;
using hosting::Builder;
using hosting::Input;
using Words = std::vector<std::string>;

Call use_urls(const std::string& urls) {
  return {.kind = Kind::setting, .api = "UseUrls", .arguments = urls, .key = "urls", .value = urls};
}

Call run(const std::string& url) {
  return {.kind = Kind::address, .api = "Run", .arguments = url, .value = url};
}

Call listen(std::uint16_t port, Bind bind = Bind::any) {
  return {.kind = Kind::listen,
          .api = "Listen",
          .arguments = std::to_string(port),
          .target = {.https = false, .bind = bind, .address = bind == Bind::ip ? "::1" : "", .port = port}};
}

Call unknown(Call call) {
  call.known = false;
  return call;
}

Input input_of(Builder builder, std::vector<Call> calls, Words environment = {}) {
  Input input{.environment = std::move(environment), .argv = {"dotnet", "App.dll"}, .first_argument = 2};
  input.builders = {builder};
  input.majors = {8, 10};
  input.code = std::move(calls);
  return input;
}

/// The settings, one per line; "none" where there is no lever.
std::string found(const Input& input, const policy::Rules& rules = {}) {
  const auto lever = find(input, rules);
  if (!lever) return "none";
  std::string out;
  for (const std::string& setting : lever->settings) out += (out.empty() ? "" : "\n") + setting;
  return out;
}

constexpr const char* kEndpoint = "Kestrel__Endpoints__Http__Url=http://*:8080";
constexpr const char* kPreferred = "ASPNETCORE_URLS=http://*:8080\nASPNETCORE_PREFERHOSTINGURLS=true";

TEST(Lever, AnEndpointOfTheConfigurationTakesThePlaceOfUrls) {
  for (const Builder builder : {Builder::wab, Builder::slim, Builder::gh, Builder::wh}) {
    EXPECT_EQ(found(input_of(builder, {use_urls("http://*:80")})), kEndpoint) << hosting::to_string(builder);
    EXPECT_EQ(found(input_of(builder, {run("http://*:80")})), kEndpoint) << hosting::to_string(builder);
  }
}

TEST(Lever, PreferredUrlsTakeThePlaceOfListen) {
  for (const Builder builder : {Builder::wab, Builder::slim, Builder::gh, Builder::wh}) {
    EXPECT_EQ(found(input_of(builder, {listen(80)})), kPreferred) << hosting::to_string(builder);
  }
}

TEST(Lever, WhereAnotherVariableBeatsTheUsualOneTheStrongerIsTaken) {
  EXPECT_EQ(found(input_of(Builder::wab, {listen(80)}, {"DOTNET_URLS=http://+:5000"})),
            "URLS=http://*:8080\nPREFERHOSTINGURLS=true");
}

TEST(Lever, NothingButArgumentsReachesTheEmptyBuilder) {
  const auto lever = find(input_of(Builder::empty, {listen(80)}), {});
  ASSERT_TRUE(lever);
  EXPECT_TRUE(lever->is_argument);
  EXPECT_EQ(lever->settings, (Words{"--urls http://*:8080", "--preferHostingUrls true"}));
  EXPECT_FALSE(is_safe(input_of(Builder::empty, {listen(80)}), *lever));
}

TEST(Lever, WhereTheBuilderGetsNoArgumentsTheyAreNoLever) {
  Input input = input_of(Builder::empty, {listen(80)});
  input.passes_arguments = false;
  EXPECT_EQ(found(input), "none");
}

TEST(Lever, SomeCodeHasNone) {
  EXPECT_EQ(found(input_of(Builder::wab, {listen(80), run("http://*:5000")})), "none");
  EXPECT_EQ(found(input_of(Builder::wab, {listen(80), use_urls("http://*:81")})), "none");
  Call https = listen(443);
  https.target.https = true;
  EXPECT_EQ(found(input_of(Builder::wab, {listen(80), https})), "none");
}

TEST(Lever, WhatTheCodeComputesCannotBeKept) {
  EXPECT_EQ(found(input_of(Builder::wab, {listen(80), unknown(listen(0))})), "none");
}

TEST(Lever, NothingIsLookedForWhereNothingIsLow) {
  EXPECT_EQ(found(input_of(Builder::wab, {listen(8080)})), "none");
  EXPECT_EQ(found(input_of(Builder::wab, {})), "none");
}

TEST(Lever, EveryEndpointIsKeptAndOnlyLowOnesMove) {
  EXPECT_EQ(found(input_of(Builder::wab, {listen(80), listen(5000, Bind::localhost), listen(81, Bind::ip)})),
            "ASPNETCORE_URLS=http://*:8080;http://localhost:5000;http://[::1]:8081\nASPNETCORE_PREFERHOSTINGURLS=true");
  EXPECT_EQ(found(input_of(Builder::wab, {use_urls("http://*:80;http://*:5000")})),
            "Kestrel__Endpoints__Http1__Url=http://*:8080\nKestrel__Endpoints__Http2__Url=http://*:5000");
}

TEST(Lever, PortsMoveAsTheMapSays) {
  EXPECT_EQ(found(input_of(Builder::wab, {use_urls("http://*:80")}), {.map = {{80, 5000}}}),
            "Kestrel__Endpoints__Http__Url=http://*:5000");
}

TEST(Lever, OtherSpellingsOfAVariableAreRemoved) {
  const Input input = input_of(Builder::wab, {listen(80)},
                               {"preferhostingurls=false", "PREFERHOSTINGURLS=0", "DOTNET_URLS=http://+:1"});
  const auto lever = find(input, {});
  ASSERT_TRUE(lever);
  EXPECT_EQ(lever->after.environment,
            (Words{"", "PREFERHOSTINGURLS=true", "DOTNET_URLS=http://+:1", "URLS=http://*:8080"}));
  EXPECT_EQ(lever->removed, std::vector<std::size_t>{0});
}

TEST(Lever, BuildersThatNeedDifferentSettingsHaveNone) {
  Input input = input_of(Builder::wab, {use_urls("http://*:80")});
  input.builders = {Builder::wab, Builder::empty};
  EXPECT_EQ(found(input), "none");
}

bool safe(const Input& input) {
  const auto lever = find(input, {});
  return lever && is_safe(input, *lever);
}

TEST(Lever, ItIsSafeWhereOneBuilderAndAllOfTheCodeAreKnown) {
  EXPECT_TRUE(safe(input_of(Builder::wab, {listen(80)})));
  EXPECT_TRUE(safe(input_of(Builder::wab, {listen(80), {.kind = Kind::socket, .known = false}})));
  EXPECT_FALSE(safe(input_of(Builder::wab, {listen(80), {.kind = Kind::configuration}})));
  Call with_options = listen(80);
  with_options.has_options = true;
  EXPECT_FALSE(safe(input_of(Builder::wab, {with_options})));
  Input several = input_of(Builder::wab, {listen(80)});
  several.builders.push_back(Builder::gh);
  ASSERT_TRUE(find(several, {}));
  EXPECT_FALSE(safe(several));
}

}  // namespace
}  // namespace portshim::lever
