#include "shim/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shim/files.h"
#include "tests/support/fake_system.h"

namespace portshim::policy {
namespace {

using address::Target;
using address::Verdict;
using hosting::Builder;
using hosting::Input;
using Words = std::vector<std::string>;

Input input_of(Words environment, Words arguments = {}) {
  Input input{.environment = std::move(environment), .argv = {"dotnet", "App.dll"}, .first_argument = 2};
  input.argv.insert(input.argv.end(), arguments.begin(), arguments.end());
  input.builders = {Builder::wab, Builder::slim, Builder::gh, Builder::wh};
  input.majors = {8, 10};
  return input;
}

/// The kernel of a plain non-root process: low ports denied, `taken` held by somebody else.
Rules denied(std::vector<std::uint16_t> taken = {}) {
  Rules rules;
  rules.verdict = [taken](const Target& target) {
    if (target.port < 1024) return Verdict::denied;
    return std::ranges::find(taken, target.port) == taken.end() ? Verdict::allowed : Verdict::taken;
  };
  return rules;
}

/// A host that allows every port.
Rules allowed(std::vector<std::uint16_t> taken = {}) {
  Rules rules;
  rules.verdict = [taken](const Target& target) {
    return std::ranges::find(taken, target.port) == taken.end() ? Verdict::allowed : Verdict::taken;
  };
  return rules;
}

std::string rewritten(const std::string& entry, const Rules& rules = denied()) {
  return make_plan(input_of({entry}), rules).after.environment[0];
}

Move only_move(const Plan& plan) {
  EXPECT_EQ(plan.decisions.size(), 1U);
  return plan.decisions.empty() || plan.decisions[0].moves.empty() ? Move{} : plan.decisions[0].moves[0];
}

TEST(Policy, ALowPortMovesByEightThousand) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80"), "ASPNETCORE_URLS=http://+:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=https://*:443/"), "ASPNETCORE_URLS=https://*:8443/");
  EXPECT_EQ(rewritten("aspnetcore_http_ports= 80 ;5000"), "aspnetcore_http_ports= 8080 ;5000");
  EXPECT_EQ(rewritten("HTTPS_PORTS=443"), "HTTPS_PORTS=8443");
  EXPECT_EQ(rewritten("Kestrel__Endpoints__Http__Url=http://+:80"), "Kestrel__Endpoints__Http__Url=http://+:8080");
  EXPECT_EQ(rewritten("DOTNET_Kestrel:Endpoints:Http:Url=http://+"), "DOTNET_Kestrel:Endpoints:Http:Url=http://+:8080");
}

TEST(Policy, APortThatIsNotLowStaysAndNothingIsEdited) {
  for (const char* entry :
       {"ASPNETCORE_URLS=http://+:8080", "ASPNETCORE_HTTP_PORTS=1024;8080", "ASPNETCORE_URLS=http://+:0",
        "ASPNETCORE_URLS=http://unix:/run/k.sock", "UNRELATED=http://+:80", "ASPNETCORE_URLS="}) {
    const Plan plan = make_plan(input_of({entry}), denied());
    EXPECT_EQ(plan.after.environment[0], entry);
    EXPECT_TRUE(plan.edits.empty()) << entry;
    EXPECT_TRUE(plan.decisions.empty()) << entry;
  }
}

TEST(Policy, ASettingThatEveryBuilderIgnoresStays) {
  const Plan plan =
      make_plan(input_of({"ASPNETCORE_URLS=http://+:80", "Kestrel__Endpoints__A__Url=http://+:9000"}), denied());
  EXPECT_TRUE(plan.edits.empty());
}

TEST(Policy, ASettingThatOneBuilderUsesMoves) {
  // WebApplication takes DOTNET_URLS, the generic host and WebHost take ASPNETCORE_URLS.
  const Plan plan = make_plan(input_of({"ASPNETCORE_URLS=http://+:80", "DOTNET_URLS=http://+:9000"}), denied());
  EXPECT_EQ(plan.after.environment, (Words{"ASPNETCORE_URLS=http://+:8080", "DOTNET_URLS=http://+:9000"}));
}

TEST(Policy, AnItemThatNowBindsWhatItsListBindsAlreadyIsDropped) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;http://+:8080;https://+:8443"),
            "ASPNETCORE_URLS=http://+:8080;https://+:8443");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://*:8080;http://web:80"), "ASPNETCORE_URLS=http://*:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://127.0.0.1:80;http://+:8080"), "ASPNETCORE_URLS=http://+:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_HTTP_PORTS=80;8080"), "ASPNETCORE_HTTP_PORTS=8080");
  EXPECT_EQ(rewritten("ASPNETCORE_HTTP_PORTS=8080; 80 ;9000"), "ASPNETCORE_HTTP_PORTS=8080 ;9000");
  EXPECT_EQ(only_move(make_plan(input_of({"URLS=http://+:80;http://+:8080"}), denied())).outcome, Outcome::merged);
}

TEST(Policy, WhereTheSchemesDifferTheNextFreePortUpIsTaken) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;https://+:8080"), "ASPNETCORE_URLS=http://+:8081;https://+:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;https://+:8080;http://+:8081"),
            "ASPNETCORE_URLS=http://+:8082;https://+:8080;http://+:8081");
}

TEST(Policy, AWildcardIsNotDroppedForOneAddress) {
  // Dropping it would shut out everybody but the loopback.
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;http://127.0.0.1:8080"),
            "ASPNETCORE_URLS=http://+:8081;http://127.0.0.1:8080");
}

TEST(Policy, AddressesThatDoNotOverlapMayShareThePort) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://127.0.0.1:80;http://127.0.0.2:8080"),
            "ASPNETCORE_URLS=http://127.0.0.1:8080;http://127.0.0.2:8080");
}

TEST(Policy, AnEndpointOfItsOwnIsNeverDropped) {
  const Plan plan = make_plan(
      input_of({"Kestrel__Endpoints__A__Url=http://+:80", "Kestrel__Endpoints__B__Url=http://+:8080"}), denied());
  EXPECT_EQ(plan.after.environment,
            (Words{"Kestrel__Endpoints__A__Url=http://+:8081", "Kestrel__Endpoints__B__Url=http://+:8080"}));
  EXPECT_TRUE(plan.decisions[0].moves[0].dodged);
}

TEST(Policy, EndpointsWithTheSameOldPortGetTheSameNewPort) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://127.0.0.1:80;http://127.0.0.2:80;https://127.0.0.2:8080"),
            "ASPNETCORE_URLS=http://127.0.0.1:8081;http://127.0.0.2:8081;https://127.0.0.2:8080");
}

TEST(Policy, DuplicatesThatWereThereBeforeAreNotRepaired) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;http://*:80"), "ASPNETCORE_URLS=http://+:8080;http://*:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:8080;http://*:8080"), "ASPNETCORE_URLS=http://+:8080;http://*:8080");
}

TEST(Policy, AMappedPortGoesWhereTheMapSays) {
  Rules rules = denied();
  rules.map = {{80, 5000}};
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;https://+:443", rules),
            "ASPNETCORE_URLS=http://+:5000;https://+:8443");
  const Plan plan = make_plan(input_of({"URLS=http://+:80;https://+:443"}), rules);
  EXPECT_TRUE(plan.decisions[0].moves[0].mapped);
  EXPECT_FALSE(plan.decisions[0].moves[1].mapped);
}

TEST(Policy, AMapBelowTheFloorFallsBackToTheFirstFreePort) {
  Rules rules = denied();
  rules.map = {{80, 81}};
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80", rules), "ASPNETCORE_URLS=http://+:8080");
  EXPECT_FALSE(only_move(make_plan(input_of({"URLS=http://+:80"}), rules)).mapped);
}

TEST(Policy, TwoPortsThatAreMappedToOneAreMergedOrKeptApart) {
  Rules rules = denied();
  rules.map = {{80, 5000}, {81, 5000}};
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;http://+:81", rules), "ASPNETCORE_URLS=http://+:5000");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;https://+:81", rules),
            "ASPNETCORE_URLS=http://+:5000;https://+:5001");
}

TEST(Policy, AHighFloorMovesToTheFloorWhenTheUsualPortIsBelowIt) {
  Rules rules = denied();
  rules.floor = 20000;
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:8080", rules), "ASPNETCORE_URLS=http://+:20000");
  rules.floor = 60000;
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:59000;http://+:80", rules), "ASPNETCORE_URLS=http://+:60000");
}

TEST(Policy, ANewPortThatAnotherProcessHoldsIsNotDodged) {
  const Plan plan = make_plan(input_of({"ASPNETCORE_URLS=http://+:80"}), denied({8080}));
  EXPECT_EQ(plan.after.environment[0], "ASPNETCORE_URLS=http://+:8080");
  EXPECT_TRUE(only_move(plan).taken);
  EXPECT_EQ(only_move(plan).outcome, Outcome::moved);
}

TEST(Policy, WhereTheNewPortIsHeldAndTheOldOneWorksItStays) {
  const Plan plan = make_plan(input_of({"ASPNETCORE_URLS=http://+:80"}), allowed({8080}));
  EXPECT_TRUE(plan.edits.empty());
  EXPECT_EQ(only_move(plan).outcome, Outcome::left_works);
}

TEST(Policy, TheFloorMovesAPortThatThisHostWouldAllow) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80", allowed()), "ASPNETCORE_URLS=http://+:8080");
}

TEST(Policy, KeepAddsTheNewPortWhereTheLowOneWorks) {
  Rules rules = allowed();
  rules.keep = true;
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80", rules), "ASPNETCORE_URLS=http://+:80;http://+:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_HTTP_PORTS=80", rules), "ASPNETCORE_HTTP_PORTS=80;8080");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;https://+:443;http://+:9000", rules),
            "ASPNETCORE_URLS=http://+:80;http://+:8080;https://+:443;https://+:8443;http://+:9000");
}

TEST(Policy, KeepMovesThePortWhereTheLowOneDoesNotWork) {
  Rules rules = denied();
  rules.keep = true;
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80", rules), "ASPNETCORE_URLS=http://+:8080");
}

TEST(Policy, KeepChangesNothingWhereTheNewPortCannotBeAdded) {
  Rules rules = allowed();
  rules.keep = true;
  EXPECT_EQ(rewritten("Kestrel__Endpoints__A__Url=http://+:80", rules), "Kestrel__Endpoints__A__Url=http://+:80");
  Rules taken = allowed({8080});
  taken.keep = true;
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80", taken), "ASPNETCORE_URLS=http://+:80");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;http://+:8080", rules), "ASPNETCORE_URLS=http://+:80;http://+:8080");
  EXPECT_EQ(only_move(make_plan(input_of({"URLS=http://+:80;http://+:8080"}), rules)).outcome, Outcome::present);
}

TEST(Policy, AKernelThatDeniesAboveTheFloorMakesThePortLow) {
  Rules rules = denied();
  rules.floor = 0;
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80", rules), "ASPNETCORE_URLS=http://+:8080");
  rules.denied_is_low = false;
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80", rules), "ASPNETCORE_URLS=http://+:80");
}

TEST(Policy, ArgumentsAreChangedInPlaceInEveryShape) {
  const auto arguments = [](Words words) { return make_plan(input_of({}, std::move(words)), denied()).after.argv; };
  EXPECT_EQ(arguments({"--urls", "http://+:80"}), (Words{"dotnet", "App.dll", "--urls", "http://+:8080"}));
  EXPECT_EQ(arguments({"--urls=http://+:80"}), (Words{"dotnet", "App.dll", "--urls=http://+:8080"}));
  EXPECT_EQ(arguments({"/URLS", "http://+:80"}), (Words{"dotnet", "App.dll", "/URLS", "http://+:8080"}));
  EXPECT_EQ(arguments({"/urls=http://+:80"}), (Words{"dotnet", "App.dll", "/urls=http://+:8080"}));
  EXPECT_EQ(arguments({"urls=http://+:80"}), (Words{"dotnet", "App.dll", "urls=http://+:8080"}));
  EXPECT_EQ(arguments({"--http_ports", "80"}), (Words{"dotnet", "App.dll", "--http_ports", "8080"}));
  EXPECT_EQ(arguments({"--https_ports=443"}), (Words{"dotnet", "App.dll", "--https_ports=8443"}));
  EXPECT_EQ(arguments({"--Kestrel:Endpoints:A:Url=http://+:80"}),
            (Words{"dotnet", "App.dll", "--Kestrel:Endpoints:A:Url=http://+:8080"}));
  // What .NET does not read is left alone.
  EXPECT_EQ(arguments({"-urls", "http://+:80"}), (Words{"dotnet", "App.dll", "-urls", "http://+:80"}));
  EXPECT_EQ(arguments({"--verbose", "--urls", "http://+:80"}),
            (Words{"dotnet", "App.dll", "--verbose", "--urls", "http://+:80"}));
}

TEST(Policy, ArgumentsOfAnotherProgramAreLeftAlone) {
  Rules rules = denied();
  rules.is_dotnet = false;
  const Plan plan = make_plan(input_of({}, {"--urls=http://+:80"}), rules);
  EXPECT_TRUE(plan.edits.empty());
  EXPECT_EQ(only_move(plan).outcome, Outcome::immovable);
}

// ---- Settings of files ---------------------------------------------------------------------------------------------

/// An app in a directory with settings files.
class Folder {
 public:
  Folder& file(const std::string& name, const std::string& content) {
    system_.file("/app/" + name, content);
    return *this;
  }
  Folder& environment(Words entries) {
    environment_ = std::move(entries);
    return *this;
  }
  Folder& only(Builder builder) {
    builders_ = {builder};
    return *this;
  }

  Plan plan(const Rules& rules = denied()) {
    Input input = input_of(environment_);
    if (!builders_.empty()) input.builders = builders_;
    input.files = &reader_;
    input.current_directory = input.base_directory = "/app";
    input.application = "App";
    return make_plan(input, rules);
  }
  /// The environment of the plan.
  Words rewritten(const Rules& rules = denied()) { return plan(rules).after.environment; }

 private:
  support::FakeSystem system_;
  files::Reader reader_{system_, "/app"};
  Words environment_;
  std::vector<Builder> builders_;
};

std::string endpoint_file(const std::string& name, const std::string& url) {
  return R"({"Kestrel":{"Endpoints":{")" + name + R"(":{"Url":")" + url + R"("}}}})";
}

TEST(Policy, AFilesSettingIsOverriddenByTheVariableOfItsKey) {
  EXPECT_EQ(Folder().file("appsettings.json", R"({"Urls":"http://+:80;http://+:9000"})").rewritten(),
            (Words{"URLS=http://+:8080;http://+:9000"}));
  EXPECT_EQ(Folder().file("appsettings.json", R"({"http_ports":80})").rewritten(), (Words{"HTTP_PORTS=8080"}));
  EXPECT_EQ(Folder().file("appsettings.json", endpoint_file("Http", "http://+:80")).rewritten(),
            (Words{"Kestrel__Endpoints__Http__Url=http://+:8080"}));
  EXPECT_EQ(Folder().file("appsettings.Production.json", endpoint_file("Web", "http://*")).rewritten(),
            (Words{"Kestrel__Endpoints__Web__Url=http://*:8080"}));
}

TEST(Policy, WhatIsInTheEnvironmentStaysInItsPlaceWhenAVariableIsAdded) {
  Folder folder;
  folder.file("appsettings.json", R"({"Urls":"http://+:80"})").environment({"ASPNETCORE_URLS=http://+:81", "A=b"});
  const Plan plan = folder.plan();
  // The legacy builder reads the variable, the others the file.
  EXPECT_EQ(plan.after.environment, (Words{"ASPNETCORE_URLS=http://+:8081", "A=b", "URLS=http://+:8080"}));
  ASSERT_EQ(plan.edits.size(), 2U);
  EXPECT_EQ(plan.edits[1].name, "URLS");
  EXPECT_EQ(plan.edits[1].old_value, std::nullopt);
  EXPECT_EQ(plan.edits[1].new_value, "http://+:8080");
}

TEST(Policy, AnEndpointWhoseNameNoVariableCanHaveIsImmovable) {
  const Plan plan = Folder().file("appsettings.json", endpoint_file("a__b", "http://+:80")).plan();
  EXPECT_TRUE(plan.edits.empty());
  EXPECT_EQ(only_move(plan).outcome, Outcome::immovable);
}

TEST(Policy, KeepAddsToAListOfAFileAndNotToAnEndpoint) {
  Rules rules = allowed();
  rules.keep = true;
  EXPECT_EQ(Folder().file("appsettings.json", R"({"Urls":"http://+:80"})").rewritten(rules),
            (Words{"URLS=http://+:80;http://+:8080"}));
  const Plan plan = Folder().file("appsettings.json", endpoint_file("Http", "http://+:80")).plan(rules);
  EXPECT_TRUE(plan.edits.empty());
  EXPECT_EQ(only_move(plan).outcome, Outcome::kept);
}

TEST(Policy, AFilesSettingIsRepairedAndFilledInByAVariableToo) {
  Rules rules = denied();
  rules.expand = true;
  EXPECT_EQ(Folder().file("appsettings.json", R"({"Urls":"http://+:5000; http://+:5001"})").rewritten(),
            (Words{"URLS=http://+:5000;http://+:5001"}));
  EXPECT_EQ(Folder()
                .file("appsettings.json", R"({"Urls":"http://+:${WEB_PORT}"})")
                .environment({"WEB_PORT=5000"})
                .rewritten(rules),
            (Words{"WEB_PORT=5000", "URLS=http://+:5000"}));
}

TEST(Policy, WhereBuildersReadDifferentFilesTheOneThatAChangeWouldHurtIsNamed) {
  Folder folder;
  folder.file("appsettings.A.json", R"({"Urls":"http://+:80"})")
      .file("appsettings.B.json", R"({"Urls":"http://+:5000"})")
      .environment({"ASPNETCORE_ENVIRONMENT=A", "DOTNET_ENVIRONMENT=B"});
  // WebApplication reads B, the generic host reads A; URLS would override both.
  const Plan plan = folder.plan();
  EXPECT_TRUE(plan.edits.empty());
  EXPECT_EQ(only_move(plan).outcome, Outcome::immovable);
  ASSERT_FALSE(plan.decisions[0].unproved.empty());
  for (const std::size_t i : plan.decisions[0].unproved) EXPECT_NE(plan.predictions[i].builder, Builder::gh);
  EXPECT_EQ(folder.only(Builder::gh).rewritten().back(), "URLS=http://+:8080");
}

TEST(Policy, ANameThatOccursTwiceIsEditedAtEveryOccurrence) {
  const Plan plan =
      make_plan(input_of({"URLS=http://+:80", "A=b", "URLS=http://+:80", "URLS=http://+:81;http://+:9000"}), denied());
  EXPECT_EQ(plan.after.environment,
            (Words{"URLS=http://+:8080", "A=b", "URLS=http://+:8080", "URLS=http://+:8081;http://+:9000"}));
  EXPECT_EQ(plan.edits.size(), 2U);
}

TEST(Policy, AFurtherOccurrenceThatSaysSomethingElseKeepsIt) {
  const Plan plan = make_plan(input_of({"URLS=http://+:80", "URLS=http://+:5001"}), denied());
  EXPECT_EQ(plan.after.environment, (Words{"URLS=http://+:8080", "URLS=http://+:5001"}));
}

TEST(Policy, EverySpellingOfAnAmbiguousNameIsMoved) {
  const Plan plan = make_plan(input_of({"URLS=http://+:80", "urls=http://+:81", "Urls=http://+:9000"}), denied());
  EXPECT_EQ(plan.after.environment, (Words{"URLS=http://+:8080", "urls=http://+:8081", "Urls=http://+:9000"}));
}

TEST(Policy, EditsNameTheVariableWithItsOldAndNewValue) {
  const Plan plan =
      make_plan(input_of({"ASPNETCORE_URLS=http://+:80"}, {"--Kestrel:Endpoints:A:Url", "http://+:81"}), denied());
  ASSERT_EQ(plan.edits.size(), 1U);  // the variable is ignored, since an endpoint is configured
  EXPECT_EQ(plan.edits[0].kind, edit::Edit::Kind::argument);
  EXPECT_EQ(plan.edits[0].name, "argv[3]");
  EXPECT_EQ(plan.edits[0].old_value, "http://+:81");
  EXPECT_EQ(plan.edits[0].new_value, "http://+:8081");
}

TEST(Policy, WhiteSpaceThatKillsTheAppIsRemovedAndWhatStandsBehindItIsPredictedAgain) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:9000; http://+:80"), "ASPNETCORE_URLS=http://+:9000;http://+:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS= http://+:9000 "), "ASPNETCORE_URLS=http://+:9000");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:9000/ "), "ASPNETCORE_URLS=http://+:9000/");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:9000;\n"), "ASPNETCORE_URLS=http://+:9000;");
  EXPECT_EQ(rewritten("Kestrel__Endpoints__A__Url=\thttp://+:9000"), "Kestrel__Endpoints__A__Url=http://+:9000");
}

TEST(Policy, WhiteSpaceThatDoesNoHarmStays) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:9000 "), "ASPNETCORE_URLS=http://+:9000 ");
  EXPECT_EQ(rewritten("ASPNETCORE_HTTP_PORTS= 9000 "), "ASPNETCORE_HTTP_PORTS= 9000 ");
}

TEST(Policy, MatchingQuotesAroundTheValueAreRemoved) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=\"http://+:80\""), "ASPNETCORE_URLS=http://+:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS='http://+:9000; http://+:80'"), "ASPNETCORE_URLS=http://+:9000;http://+:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=\"http://+:80'"), "ASPNETCORE_URLS=\"http://+:80'");
}

TEST(Policy, AVariableOfNothingButWhiteSpaceIsRemovedAndNeverSetToNothing) {
  const Plan plan = make_plan(input_of({"ASPNETCORE_URLS= ", "ASPNETCORE_HTTP_PORTS=80"}), denied());
  ASSERT_EQ(plan.edits.size(), 2U);
  EXPECT_EQ(plan.edits[0].kind, edit::Edit::Kind::remove);
  EXPECT_EQ(plan.removed, (std::vector<std::size_t>{0}));
  EXPECT_EQ(plan.after.environment[1], "ASPNETCORE_HTTP_PORTS=8080");
}

TEST(Policy, WhatCannotBeRepairedStaysAndTheRestIsMoved) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:80;garbage"), "ASPNETCORE_URLS=http://+:8080;garbage");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=garbage;http://+:80"), "ASPNETCORE_URLS=garbage;http://+:80");
}

TEST(Policy, APlaceholderMovesLikePortEighty) {
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:$PORT"), "ASPNETCORE_URLS=http://+:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_URLS=http://+:{port}"), "ASPNETCORE_URLS=http://+:8080");
  EXPECT_EQ(rewritten("ASPNETCORE_HTTP_PORTS=8080,8081"), "ASPNETCORE_HTTP_PORTS=8080");
}

TEST(Policy, ExpandedValuesAreThenMoved) {
  Rules rules = denied();
  rules.expand = true;
  const Plan plan = make_plan(input_of({"ASPNETCORE_URLS=http://+:$PORT", "PORT=81", "OTHER=$PORT"}), rules);
  EXPECT_EQ(plan.after.environment, (Words{"ASPNETCORE_URLS=http://+:8081", "PORT=81", "OTHER=$PORT"}));
  EXPECT_EQ(plan.expansions.size(), 1U);
  EXPECT_EQ(make_plan(input_of({"ASPNETCORE_URLS=http://+:$PORT", "PORT=5000"}), denied()).after.environment[0],
            "ASPNETCORE_URLS=http://+:8080");
}

TEST(Policy, AListOfAMegabyteIsMovedInLinearTime) {
  std::string value = "ASPNETCORE_HTTP_PORTS=";
  std::string wanted = value;
  while (value.size() < 300'000) {
    value += "80;443;";
    wanted += "8080;8443;";
  }
  Input input = input_of({value});
  input.builders = {Builder::wab};
  input.majors = {10};
  EXPECT_EQ(make_plan(input, denied()).after.environment[0], wanted);
}

// ---- What must hold for every input --------------------------------------------------------------------------------

class Generator {
 public:
  explicit Generator(std::uint32_t seed) : random_(seed) {}

  Input input() {
    Words environment;
    Words arguments;
    for (std::size_t n = pick(5); n > 0; --n) environment.push_back(std::string(any(kNames)) + "=" + value());
    for (std::size_t n = pick(3); n > 0; --n) arguments.push_back(std::string(any(kSwitches)) + "=" + value());
    return input_of(std::move(environment), std::move(arguments));
  }

  Rules rules() {
    Rules out = pick(2) == 0 ? denied({8080}) : allowed({8443});
    if (pick(3) == 0) out = denied();
    out.keep = pick(4) == 0;
    if (pick(4) == 0) out.map = {{80, static_cast<std::uint16_t>(5000 + pick(3))}, {443, 5001}};
    if (pick(8) == 0) out.floor = 8081;
    return out;
  }

 private:
  static constexpr std::array<std::string_view, 9> kNames = {"ASPNETCORE_URLS",
                                                             "DOTNET_URLS",
                                                             "URLS",
                                                             "urls",
                                                             "ASPNETCORE_HTTP_PORTS",
                                                             "HTTPS_PORTS",
                                                             "Kestrel__Endpoints__A__Url",
                                                             "ASPNETCORE_Kestrel__Endpoints__b__Url",
                                                             "ASPNETCORE_PREFERHOSTINGURLS"};
  static constexpr std::array<std::string_view, 4> kSwitches = {"--urls", "--http_ports", "/urls",
                                                                "--Kestrel:Endpoints:A:Url"};
  static constexpr std::array<std::string_view, 17> kItems = {"http://+:80",
                                                              "https://+:443",
                                                              "http://*:8080",
                                                              "http://localhost:80",
                                                              "http://127.0.0.1:80",
                                                              "http://[::1]:8080",
                                                              "http://+",
                                                              "80",
                                                              "443",
                                                              "8080",
                                                              " http://+:81",
                                                              "http://+:$PORT",
                                                              "garbage",
                                                              "http://unix:/run/k",
                                                              "http://0.0.0.0:8081",
                                                              "http://app.localhost:80",
                                                              "true"};

  std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  template <std::size_t N>
  std::string_view any(const std::array<std::string_view, N>& from) {
    return from[pick(N)];
  }
  std::string value() {
    std::string out(any(kItems));
    for (std::size_t n = pick(4); n > 1; --n) out += ";" + std::string(any(kItems));
    return pick(12) == 0 ? "\"" + out + "\"" : out;
  }

  std::mt19937 random_;
};

std::string describe(const Input& input) {
  std::string out;
  for (const std::string& entry : input.environment) out += "[" + entry + "] ";
  for (const std::string& word : input.argv) out += "<" + word + "> ";
  return out;
}

/// True when the plan left a low port because the kernel allows it.
bool is_excused(const Plan& plan, const kestrel::Endpoint& endpoint) {
  constexpr std::array kExcused = {Outcome::added, Outcome::present, Outcome::kept, Outcome::left_works};
  for (const Decision& decision : plan.decisions) {
    if (decision.low.origin != endpoint.source.origin()) continue;
    const auto move = std::ranges::find(decision.moves, endpoint.target.port, &Move::from);
    if (move != decision.moves.end()) return std::ranges::find(kExcused, move->outcome) != kExcused.end();
  }
  return false;
}

/// No low port is left but the ones that are reported.
void expect_nothing_low(const Plan& plan, const Rules& rules) {
  for (const hosting::Prediction& prediction : plan.predictions) {
    for (const kestrel::Endpoint& endpoint : prediction.lenient().endpoints) {
      if (!is_low(endpoint.target, rules) || is_excused(plan, endpoint)) continue;
      const bool reported = std::ranges::any_of(plan.decisions, [&](const Decision& decision) {
        return decision.low.origin == endpoint.source.origin() && decision.moves[0].outcome == Outcome::immovable;
      });
      EXPECT_TRUE(reported) << address::to_string(endpoint.target) << " from " << endpoint.source.origin().name;
    }
  }
}

TEST(Policy, NoInputLeavesALowPortUnreportedAndASecondPlanFindsNothingToDo) {
  std::size_t edited = 0;
  std::size_t immovable = 0;
  for (std::uint32_t seed = 0; seed < 1000; ++seed) {
    Generator generator(seed);
    const Input input = generator.input();
    const Rules rules = generator.rules();
    const Plan plan = make_plan(input, rules);
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + describe(input) + "becomes " + describe(plan.after));
    expect_nothing_low(plan, rules);
    edited += plan.edits.empty() ? 0 : 1;
    for (const Decision& decision : plan.decisions) {
      if (decision.low.origin.kind == config::Origin::Kind::builtin) continue;  // no setting, nothing to move
      immovable += decision.moves[0].outcome == Outcome::immovable ? 1 : 0;
    }
    if (rules.keep) continue;  // what was added may collide with what a second look would add
    const Plan again = make_plan(plan.after, rules);
    EXPECT_TRUE(again.edits.empty()) << describe(again.after);
    if (HasFailure()) break;
  }
  EXPECT_GT(edited, 300U);
  EXPECT_LT(immovable, 30U);
}

}  // namespace
}  // namespace portshim::policy
