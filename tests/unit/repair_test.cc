#include "shim/repair.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace portshim::repair {
namespace {

using Words = std::vector<std::string>;

Draft draft_of(Words environment) {
  Draft draft{.input = {.environment = std::move(environment), .argv = {"dotnet", "App.dll"}, .first_argument = 2},
              .removed = {},
              .predictions = {}};
  draft.input.builders = {hosting::Builder::wab, hosting::Builder::wh};
  draft.input.majors = {10};
  draft.predictions = hosting::predict(draft.input);
  return draft;
}

TEST(Repair, ExpandFillsInVariables) {
  const std::vector<std::string> environment = {"PORT=5000", "EMPTY=", "PORT=6000"};
  const Variables known = variables(environment);
  EXPECT_EQ(expand("http://+:$PORT", known), "http://+:5000");
  EXPECT_EQ(expand("http://+:${PORT};x", known), "http://+:5000;x");
  EXPECT_EQ(expand("${NONE:-8080}${EMPTY:-1}", known), "80801");
  EXPECT_EQ(expand("${PORT:-8080}", known), "5000");
  EXPECT_EQ(expand("$NONE ${NONE} $ ${ ${} ${PORT $1 ${PORT:+x}", known),
            "$NONE ${NONE} $ ${ ${} ${PORT $1 ${PORT:+x}");
  EXPECT_EQ(expand("$PORTX$PORT$", known), "$PORTX5000$");
  EXPECT_EQ(expand("", known), "");
}

TEST(Repair, SettingsAreFilledInAndPredictedAgain) {
  Draft draft = draft_of({"ASPNETCORE_URLS=http://+:$PORT", "PORT=81", "OTHER=$PORT"});
  const auto expansions = fill_in(draft, true);
  EXPECT_EQ(draft.input.environment, (Words{"ASPNETCORE_URLS=http://+:81", "PORT=81", "OTHER=$PORT"}));
  ASSERT_EQ(expansions.size(), 1U);
  EXPECT_EQ(expansions[0].old_value, "http://+:$PORT");
  EXPECT_EQ(draft.predictions[0].strict.endpoints[0].target.port, 81);
}

TEST(Repair, QuotesAndThenBlanksOfOneValueAreOneRepair) {
  Draft draft = draft_of({"ASPNETCORE_URLS=\" http://+:5000\""});
  const auto repairs = mend(draft, true);
  ASSERT_EQ(repairs.size(), 1U);
  EXPECT_EQ(repairs[0].new_value, "http://+:5000");
  EXPECT_EQ(draft.input.environment[0], "ASPNETCORE_URLS=http://+:5000");
}

TEST(Repair, WhatIsNoAddressEvenWithoutBlanksStays) {
  Draft draft = draft_of({"ASPNETCORE_URLS= nonsense "});
  EXPECT_TRUE(mend(draft, true).empty());
  EXPECT_EQ(draft.input.environment[0], "ASPNETCORE_URLS= nonsense ");
}

}  // namespace
}  // namespace portshim::repair
