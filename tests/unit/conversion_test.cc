#include "shim/conversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shim/policy.h"

namespace portshim::conversion {
namespace {

using finding::Finding;
using finding::Id;
using finding::Severity;
using hosting::Builder;
using testing::HasSubstr;
using testing::IsEmpty;
using Words = std::vector<std::string>;

std::vector<Finding> check_of(Words environment, const Words& arguments = {},
                              std::vector<Builder> builders = {Builder::wab}) {
  const options::Options options;
  const runtime::App app{.kind = runtime::Kind::dotnet, .assembly = "App.dll", .asp_net_core = true, .major = 10};
  const privilege::Identity identity;
  const policy::Rules rules;
  hosting::Input input{.environment = std::move(environment), .argv = {"dotnet", "App.dll"}, .first_argument = 2};
  input.argv.insert(input.argv.end(), arguments.begin(), arguments.end());
  input.builders = std::move(builders);
  input.majors = {10};
  const auto predictions = hosting::predict(input);
  const policy::Plan plan = policy::make_plan(input, rules);
  return check({.options = options,
                .app = app,
                .identity = identity,
                .rules = rules,
                .input = input,
                .predictions = predictions,
                .plan = plan});
}

TEST(Conversion, ValuesThatCanBeConvertedAreNotMentioned) {
  for (const char* good :
       {"Logging__LogLevel__Default=information", "Logging__LogLevel__Default= Debug ", "LOGGING__LOGLEVEL__Default=2",
        "Logging__Console__LogLevel__A=Debug,Error", "Logging__LogLevel__Default=", "Logging__Console__FormatterName=x",
        "LogLevel__Default=x", "Logging__A__B__LogLevel__Default=x", "Logging__LogLevel=x",
        "Logging__Console__IncludeScopes= TRUE ", "Logging__Console__MaxQueueLength=1",
        "Logging__Console__FormatterOptions__ColorBehavior=7", "Logging__Console__QueueFullMode=dropwrite",
        "Logging__SimpleConsole__SingleLine=yes", "Logging__Console__FormatterOptions__TimestampFormat=x"}) {
    EXPECT_THAT(check_of({good}), IsEmpty()) << good;
  }
}

TEST(Conversion, ValuesThatCannotBeConvertedAreWarnings) {
  for (const char* bad :
       {"Logging__LogLevel__Default=Warn", "logging__console__loglevel__Microsoft=Info",
        "Logging__LogLevel__Default=Debug,", "Logging__LogLevel__Default=1,2x", "Logging__LogLevel__A__B=Verbose",
        "ASPNETCORE_Logging__LogLevel__Default=Verbose", "Logging__CaptureScopes=1",
        "Logging__Console__DisableColors=yes", "Logging__Console__Format=Json", "Logging__Console__MaxQueueLength=0",
        "Logging__Console__MaxQueueLength=0x10", "Logging__Console__QueueFullMode=Drop",
        "Logging__Console__LogToStandardErrorThreshold=all", "Logging__Console__FormatterOptions__SingleLine=yes",
        "Logging__Console__FormatterOptions__ColorBehavior=On",
        "Logging__Console__FormatterOptions__JsonWriterOptions__Indented=1",
        "Logging__Console__FormatterOptions__JsonWriterOptions__MaxDepth=x"}) {
    const auto found = check_of({bad});
    ASSERT_EQ(found.size(), 1U) << bad;
    EXPECT_EQ(found[0].id, Id::invalid_value);
    EXPECT_EQ(found[0].severity, Severity::warning);
  }
}

TEST(Conversion, TheSettingThatWinsCounts) {
  const Words bad{"Logging__LogLevel__Default=Verbose"};
  EXPECT_THAT(check_of(bad, {"--Logging:LogLevel:Default=Warning"}), IsEmpty());
  const auto found = check_of({"Logging__LogLevel__Default=Debug"}, {"--Logging:LogLevel:Default=Verbose"});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].what, HasSubstr("'--Logging:LogLevel:Default=Verbose' is no log level"));
}

TEST(Conversion, AnEmptyBuilderSetsNoLoggingUp) {
  EXPECT_THAT(check_of({"Logging__LogLevel__Default=Verbose"}, {}, {Builder::empty}), IsEmpty());
}

TEST(Conversion, ASwitchOfReloadingIsTrueOrFalse) {
  const auto severity = [](const char* entry, std::vector<Builder> builders = {Builder::wab}) {
    const auto found = check_of({entry}, {}, std::move(builders));
    return found.empty() ? Severity::debug : found[0].severity;
  };
  EXPECT_EQ(severity("DOTNET_hostBuilder__reloadConfigOnChange= True "), Severity::debug);
  EXPECT_EQ(severity("hostBuilder__reloadConfigOnChange=maybe"), Severity::debug);
  EXPECT_EQ(severity("DOTNET_hostBuilder__reloadConfigOnChange=maybe"), Severity::error);
  EXPECT_EQ(severity("ASPNETCORE_HOSTBUILDER__reloadConfigOnChange="), Severity::error);
  EXPECT_EQ(severity("DOTNET_hostBuilder__reloadConfigOnChange=1", {Builder::wab, Builder::wh}), Severity::warning);
}

}  // namespace
}  // namespace portshim::conversion
