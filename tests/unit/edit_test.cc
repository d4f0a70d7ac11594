#include "shim/edit.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace portshim::edit {
namespace {

using config::Origin;
using hosting::Input;
using Words = std::vector<std::string>;

Input input_of(Words environment, Words argv = {"dotnet", "App.dll"}) {
  return {.environment = std::move(environment), .argv = std::move(argv), .first_argument = 2};
}

Origin variable(std::size_t index, const std::string& name) {
  return {.kind = Origin::Kind::variable, .index = index, .value_at = name.size() + 1, .name = name};
}

TEST(Edit, AnEndpointsNameIsSpelledSuchThatDotnetReadsItBack) {
  EXPECT_EQ(overriding_variable("Kestrel:Endpoints:Http:Url"), "Kestrel__Endpoints__Http__Url");
  EXPECT_EQ(overriding_variable("kestrel:endpoints:_x:url"), "kestrel__endpoints___x__url");
  EXPECT_EQ(overriding_variable("Kestrel:Endpoints:x_:Url"), "Kestrel:Endpoints:x_:Url");
  EXPECT_EQ(overriding_variable("Kestrel:Endpoints:a__b:Url"), "");
  EXPECT_EQ(overriding_variable("Kestrel:Endpoints:a=b:Url"), "");
  EXPECT_EQ(overriding_variable("Urls"), "URLS");
}

TEST(Edit, AVariableIsChangedWhereItStandsAndAtEveryOccurrenceThatSaysTheSame) {
  Input input = input_of({"A=1", "URLS=x", "B=2", "URLS=x", "URLS=y"});
  Editor(input).set(variable(1, "URLS"), "URLS", "z");
  EXPECT_EQ(input.environment, (Words{"A=1", "URLS=z", "B=2", "URLS=z", "URLS=y"}));
}

TEST(Edit, AnArgumentKeepsWhatStandsBeforeItsValue) {
  Input input = input_of({}, {"dotnet", "App.dll", "--urls=x"});
  Editor(input).set({.kind = Origin::Kind::argument, .index = 2, .value_at = 7, .name = "argv[2]"}, "urls", "y");
  EXPECT_EQ(input.argv[2], "--urls=y");
}

TEST(Edit, AFilesSettingIsOverriddenByOneVariableHoweverOftenItChanges) {
  const Input before = input_of({"A=1"});
  Input input = before;
  const Origin origin{.kind = Origin::Kind::file, .index = 0, .value_at = 0, .name = "appsettings.json: Urls"};
  Editor editor(input);
  editor.set(origin, "Urls", "x");
  editor.set(origin, "Urls", "y");
  EXPECT_EQ(input.environment, (Words{"A=1", "URLS=y"}));
  const std::vector<Edit> edits = between(before, input);
  ASSERT_EQ(edits.size(), 1U);
  EXPECT_EQ(edits[0].name, "URLS");
  EXPECT_EQ(edits[0].old_value, std::nullopt);
  EXPECT_EQ(edits[0].new_value, "y");
}

TEST(Edit, ARemovedVariableIsAnEmptyEntryAndAnEditWithoutANewValue) {
  const Input before = input_of({"URLS=x", "A=1", "URLS=y"});
  Input input = before;
  std::vector<std::size_t> removed;
  Editor(input).remove(variable(0, "URLS"), removed);
  EXPECT_EQ(input.environment, (Words{"", "A=1", ""}));
  EXPECT_EQ(removed.size(), 2U);
  const std::vector<Edit> edits = between(before, input);
  ASSERT_EQ(edits.size(), 2U);
  EXPECT_EQ(edits[0].kind, Edit::Kind::remove);
  EXPECT_EQ(edits[0].old_value, "x");
  EXPECT_EQ(edits[0].new_value, std::nullopt);
}

TEST(Edit, ADefaultIsNoSettingAndOnlyADotnetAppsArgumentsAndFilesAreTouched) {
  EXPECT_FALSE(is_editable({}, true));
  EXPECT_TRUE(is_editable(variable(0, "URLS"), false));
  for (const Origin::Kind kind : {Origin::Kind::argument, Origin::Kind::file}) {
    const Origin origin{.kind = kind, .index = 0, .value_at = 0, .name = {}};
    EXPECT_TRUE(is_editable(origin, true));
    EXPECT_FALSE(is_editable(origin, false));
  }
}

}  // namespace
}  // namespace portshim::edit
