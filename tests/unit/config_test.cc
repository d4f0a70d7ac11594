#include "shim/config.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace portshim::config {
namespace {

using Words = std::vector<std::string>;

std::string value_of(const Provider& provider, std::string_view key) {
  const SettingPtr setting = provider.find(key);
  return setting == nullptr ? "(none)" : setting->value.value_or("(null)");
}

/// Where of several spellings the first wins.
Provider from_environment(const Words& environment, std::string_view prefix) {
  const Variables variables(environment, prefix);
  return variables.provider(std::vector<std::size_t>(variables.choices().size(), 0));
}

std::string from_entry(const std::string& entry, std::string_view prefix, std::string_view key) {
  return value_of(from_environment(Words{entry}, prefix), key);
}

Provider arguments(const Words& words) {
  const auto provider = from_arguments(words, 0);
  EXPECT_TRUE(provider.has_value());
  return provider.value_or(Provider{});
}

TEST(Config, NamesOfVariablesAreComparedInAnyCaseAndTheirPrefixToo) {
  EXPECT_EQ(from_entry("ASPNETCORE_URLS=x", "ASPNETCORE_", "urls"), "x");
  EXPECT_EQ(from_entry("aspnetcore_Urls=x", "ASPNETCORE_", "URLS"), "x");
  EXPECT_EQ(from_entry("ASPNETCORE_URLS=x", "", "urls"), "(none)");
}

TEST(Config, TwoUnderscoresAreAColonAndOneIsNot) {
  EXPECT_EQ(from_entry("Kestrel__Endpoints__A__Url=x", "", "kestrel:endpoints:a:url"), "x");
  EXPECT_EQ(from_entry("Kestrel:Endpoints__A:Url=x", "", "kestrel:endpoints:a:url"), "x");
  EXPECT_EQ(from_entry("Kestrel_Endpoints__A__Url=x", "", "kestrel:endpoints:a:url"), "(none)");
  EXPECT_EQ(from_entry("Kestrel__Endpoints____Url=x", "", "kestrel:endpoints::url"), "x");
  EXPECT_EQ(from_entry("ASPNETCORE__URLS=x", "ASPNETCORE_", "urls"), "(none)");
  EXPECT_EQ(from_entry("ASPNETCORE___URLS=x", "ASPNETCORE_", "urls"), "(none)");
  EXPECT_EQ(from_entry("__Kestrel__Endpoints__A__Url=x", "", "kestrel:endpoints:a:url"), "(none)");
}

TEST(Config, AnEmptyValueIsKeptAndAnEntryWithoutEqualsIsIgnored) {
  EXPECT_EQ(from_entry("URLS=", "", "urls"), "");
  EXPECT_EQ(from_entry("URLS", "", "urls"), "(none)");
  EXPECT_EQ(from_entry("URLS=a=b", "", "urls"), "a=b");
  EXPECT_EQ(from_entry("", "", "urls"), "(none)");
  EXPECT_EQ(from_entry("=", "", "urls"), "(none)");
}

TEST(Config, OfTheSameNameTwiceTheFirstCounts) {
  const Variables variables(Words{"URLS=a", "URLS=b"}, "");
  EXPECT_TRUE(variables.choices().empty());
  EXPECT_EQ(value_of(variables.provider({}), "urls"), "a");
}

TEST(Config, OfTwoSpellingsEitherMayWin) {
  const Words environment = {"URLS=a", "urls=b", "HTTP_PORTS=1", "Environment=x", "ENVIRONMENT=y", "environment=z"};
  const Variables variables(environment, "");
  EXPECT_EQ(variables.choices(), (std::vector<std::size_t>{3, 2}));
  const Provider provider = variables.provider(std::vector<std::size_t>{2, 0});
  EXPECT_EQ(value_of(provider, "environment"), "z");
  EXPECT_EQ(value_of(provider, "urls"), "a");
  EXPECT_EQ(value_of(provider, "http_ports"), "1");
  ASSERT_EQ(variables.ambiguous().size(), 2U);
  EXPECT_EQ(variables.ambiguous()[1][1].name, "urls");
}

TEST(Config, AVariableKnowsItsPlace) {
  const Provider provider = from_environment(Words{"A=b", "DOTNET_URLS=x"}, "DOTNET_");
  const SettingPtr setting = provider.find("urls");
  ASSERT_NE(setting, nullptr);
  EXPECT_EQ(setting->origin,
            (Origin{.kind = Origin::Kind::variable, .index = 1, .value_at = 12, .name = "DOTNET_URLS"}));
}

TEST(Config, EveryShapeOfArgumentIsReadAsDotnetReadsIt) {
  EXPECT_EQ(value_of(arguments({"--urls=x"}), "urls"), "x");
  EXPECT_EQ(value_of(arguments({"/urls=x"}), "urls"), "x");
  EXPECT_EQ(value_of(arguments({"urls=x"}), "urls"), "x");
  EXPECT_EQ(value_of(arguments({"--urls", "x"}), "urls"), "x");
  EXPECT_EQ(value_of(arguments({"/urls", "x"}), "urls"), "x");
  EXPECT_EQ(value_of(arguments({"--URLS", "--other"}), "urls"), "--other");
  EXPECT_EQ(value_of(arguments({"--urls="}), "urls"), "");
  EXPECT_EQ(value_of(arguments({"--urls"}), "urls"), "(none)");
  EXPECT_EQ(value_of(arguments({"-urls", "x"}), "urls"), "(none)");
  EXPECT_EQ(value_of(arguments({"urls", "x"}), "urls"), "(none)");
  EXPECT_EQ(value_of(arguments({"--Kestrel__Endpoints__A__Url=x"}), "kestrel:endpoints:a:url"), "(none)");
}

TEST(Config, ASwitchWithoutValueSwallowsTheNextArgument) {
  EXPECT_EQ(value_of(arguments({"--verbose", "--urls", "x"}), "urls"), "(none)");
  EXPECT_EQ(value_of(arguments({"/data", "--urls", "x"}), "urls"), "(none)");
  EXPECT_EQ(value_of(arguments({"--", "--urls", "x"}), "urls"), "(none)");
  EXPECT_EQ(value_of(arguments({"-v", "--urls", "x"}), "urls"), "x");
}

TEST(Config, TheLastArgumentWins) {
  EXPECT_EQ(value_of(arguments({"--urls=a", "--URLS", "b"}), "urls"), "b");
}

TEST(Config, AShortSwitchWithAValueKillsTheApp) {
  const auto provider = from_arguments(Words{"-u=x"}, 0);
  ASSERT_FALSE(provider.has_value());
  EXPECT_EQ(provider.error().type, "System.FormatException");
  EXPECT_EQ(provider.error().message, "The short switch '-u=x' is not defined in the switch mappings.");
}

TEST(Config, AnArgumentKnowsThePlaceOfItsValue) {
  const Words words = {"dotnet", "--urls=a", "--http_ports", "b"};
  const auto provider = from_arguments(words, 1);
  ASSERT_TRUE(provider.has_value());
  EXPECT_EQ(provider->find("urls")->origin,
            (Origin{.kind = Origin::Kind::argument, .index = 1, .value_at = 7, .name = "argv[1]"}));
  EXPECT_EQ(provider->find("http_ports")->origin,
            (Origin{.kind = Origin::Kind::argument, .index = 3, .value_at = 0, .name = "argv[3]"}));
}

TEST(Config, FoldsAsDotnetDoesWithoutCase) {
  EXPECT_EQ(fold("Kestrel:É1"), "KESTREL:É1");
  EXPECT_EQ(fold("éπяⅳ𐐨"), "ÉΠЯⅣ𐐀");
  EXPECT_EQ(fold("ſıß"), "ſıß");
  EXPECT_EQ(fold("K"), "K");  // the Kelvin sign is not k
  EXPECT_EQ(fold("ĺžǆ"), "ĹŽǄ");
  EXPECT_EQ(fold("\xff\xc3"), "\xff\xc3");
  EXPECT_EQ(fold("\xc3\x28"), "\xc3\x28");
}

TEST(Config, ChildrenComeInTheOrderOfTheKeyComparer) {
  const Words environment = {
      "Kestrel__Endpoints__é__Url=x",  "Kestrel:Endpoints:_:Url=x",     "Kestrel__Endpoints__b__Url=x",
      "Kestrel__Endpoints__a1__Url=x", "Kestrel__Endpoints__a-__Url=x", "Kestrel__Endpoints__A__Url=x",
      "Kestrel__Endpoints__10__Url=x", "Kestrel__Endpoints__9__Url=x",  "Kestrel__Endpoints____Url=x"};
  const Provider provider = from_environment(environment, "");
  Configuration configuration;
  configuration.add(provider);
  EXPECT_EQ(configuration.children("Kestrel:Endpoints"), (Words{"", "9", "10", "A", "a-", "a1", "b", "_", "é"}));
}

TEST(Config, ChildrenAreTheUnionInTheSpellingOfTheHighestProvider) {
  const Provider low =
      from_environment(Words{"Kestrel__Endpoints__http__Url=x", "Kestrel__Endpoints__B__Protocols=y"}, "");
  const Provider high = from_environment(Words{"Kestrel__Endpoints__HTTP__Url=z"}, "");
  Configuration configuration;
  configuration.add(low);
  configuration.add(high);
  EXPECT_EQ(configuration.children("Kestrel:Endpoints"), (Words{"B", "HTTP"}));
  EXPECT_EQ(configuration.value("kestrel:endpoints:http:url"), "z");
}

TEST(Config, TheLastProviderWinsEvenWithAnEmptyValueAndAChainedOneDoesNot) {
  const Provider low = from_environment(Words{"URLS=low"}, "");
  const Provider empty = from_environment(Words{"URLS="}, "");
  Configuration flat;
  flat.add(low);
  flat.add(empty);
  EXPECT_EQ(flat.value("urls"), "");
  ASSERT_NE(flat.find("urls"), nullptr);

  Configuration inner;
  inner.add(empty);
  Configuration chained;
  chained.add(low);
  chained.chain(inner);
  EXPECT_EQ(chained.value("urls"), "low");
}

TEST(Config, KeysThatNobodyReadsAreNotKept) {
  const Provider provider = from_environment(Words{"PATH=/bin", "URLS=x", "Serilog__Console=y"}, "");
  EXPECT_EQ(provider.settings().size(), 1U);
}

TEST(Config, BelowASectionTheLastProviderWinsAndChainedOnesDoNotWithEmptyValues) {
  const Words environment{"Logging__A=1", "LOGGING__A=2", "Logging__B=", "Other__C=1"};
  const Provider variables = Variables(environment, "").provider({});
  const auto given = arguments({"--logging:a=3", "--Logging:B=4", "--Logging:C:D=5"});
  Configuration configuration;
  configuration.add(given);
  configuration.chain([&] {
    Configuration inner;
    inner.add(variables);
    return inner;
  }());
  std::vector<std::string> values;
  for (const SettingPtr& setting : configuration.below("logging")) values.push_back(*setting->value);
  EXPECT_THAT(values, testing::ElementsAre("1", "4", "5"));
  EXPECT_TRUE(Variables(environment, "").choices().empty()) << "of logging no name is ambiguous";
}

}  // namespace
}  // namespace portshim::config
