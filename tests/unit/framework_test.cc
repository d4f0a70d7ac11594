#include "shim/framework.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "tests/support/fake_system.h"

// Versions chosen, and refusals, are what hostfxr 8.0.33, 9.0.22 and 10.0.12 did with the same files, variables and
// options; where they differ the test says so.
namespace portshim::framework {
namespace {

using support::FakeSystem;
using testing::ElementsAre;
using testing::IsEmpty;
using Words = std::vector<std::string>;

constexpr const char* kCore = "Microsoft.NETCore.App";
const std::string kAspNet(kAspNetCore);

/// A framework as .NET's packages install it.
void install(FakeSystem& system, const std::string& name, const Words& versions, const std::string& options = "") {
  for (const std::string& version : versions) {
    const std::string file = std::string("/dotnet/shared/").append(name).append("/").append(version).append("/") + name;
    system.file(file + ".deps.json", "{}");
    if (!options.empty()) system.file(file + ".runtimeconfig.json", "{\"runtimeOptions\": {" + options + "}}");
  }
}

/// ASP.NET Core of these versions, each on the .NET of the same version.
void install_asp_net_core(FakeSystem& system, const Words& versions) {
  for (const std::string& version : versions) {
    install(system, kAspNet, {version},
            R"("rollForward": "LatestPatch", "framework": {"name": "Microsoft.NETCore.App", "version": ")" + version +
                "\"}");
    install(system, kCore, {version});
  }
}

void put_root(FakeSystem& system) {
  system.file("/dotnet/host/fxr/10.0.12/libhostfxr.so", "");
}

Host host_on(const FakeSystem& system) {
  return {.root = root_in(system, "/dotnet")};
}

/// {"runtimeOptions": {OPTIONS}}
std::string config_of(const std::string& options) {
  return "{\"runtimeOptions\": {" + options + "}}";
}

std::string asking_for(const std::string& version) {
  return R"("framework": {"name": "Microsoft.AspNetCore.App", "version": ")" + version + "\"}";
}

Words to_words(const Resolution& resolution) {
  if (resolution.outcome == Outcome::failed) return {"failed"};
  if (resolution.outcome == Outcome::missing) return {"missing", resolution.missing.name, resolution.missing.version};
  Words out;
  for (const Framework& one : resolution.frameworks) out.push_back(one.name + " " + one.version);
  return out;
}

/// What hostfxr makes of "runtimeOptions" with these members.
Words resolved(const FakeSystem& system, const std::string& options, const Host& host) {
  return to_words(resolve(system, parse(config_of(options), "", host), host));
}

TEST(Version, IsThreeNumbersAndPerhapsMore) {
  const auto version = parse_version("10.0.0-rc.1.25451.107+5ccc7d4");
  ASSERT_TRUE(version);
  EXPECT_EQ(version->major, 10);
  EXPECT_EQ(version->minor, 0);
  EXPECT_EQ(version->patch, 0);
  EXPECT_EQ(version->prerelease, "rc.1.25451.107");
  for (const char* text : {"8.0.5", "0.0.0", "8.0.30-0a", "8.0.30+build.01", "8.0.30--"}) {
    EXPECT_TRUE(parse_version(text)) << text;
  }
  for (const char* text :
       {"",         "8",          "8.0",      "8.0.",    "8.0.x",   "v8.0.0",         " 8.0.0",
        "08.0.9",   "8.00.9",     "8.0.09",   "8.0.5.1", "8.0.5_x", "8.0.5-",         "8.0.5+",
        "8.0.5-01", "8.0.5-a..b", "8.0.5-a.", "8.0.5-é", "-1.0.0",  "3000000000.0.0", "99999999999999999999.0.0",
        "odd"}) {
    EXPECT_FALSE(parse_version(text)) << text;
  }
}

TEST(Version, OrderIsByNumbersThenPrereleases) {
  const Words ascending = {"8.0.9",       "8.0.22",       "8.1.0",     "9.0.0-1",    "9.0.0-2.9",       "9.0.0-10",
                           "9.0.0-Alpha", "9.0.0-alpha",  "9.0.0-rc",  "9.0.0-rc.1", "9.0.0-rc.1.1",    "9.0.0-rc.2",
                           "9.0.0-rc.10", "9.0.0-rc.10a", "9.0.0-rc1", "9.0.0",      "10.0.0-preview.7"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(compare(*parse_version(ascending[i]), *parse_version(ascending[j])), i <=> j)
          << ascending[i] << " " << ascending[j];
    }
  }
  EXPECT_EQ(compare(*parse_version("9.0.0+a"), *parse_version("9.0.0+b")), std::strong_ordering::equal);
  EXPECT_EQ(compare(Version{}, *parse_version("0.0.0-a")), std::strong_ordering::less);
}

TEST(Version, TheMajorIsReadFromWhateverBeginsWithOne) {
  EXPECT_EQ(major_of("10.0.1"), 10);
  EXPECT_EQ(major_of("9"), 9);
  for (const char* text : {"", "x", "0.1", "-8.0", "99999999999"}) EXPECT_EQ(major_of(text), std::nullopt) << text;
}

struct Row {
  std::string version;
  std::string options = {};
  std::string framework = {};
  Words environment = {};
  Options host = {};
  std::string chosen;
};

TEST(Framework, VersionAndPolicyDecideWhichOneIsChosen) {
  const std::vector<Row> rows = {
      {.version = "8.0.0", .chosen = "8.0.22"},
      {.version = "8.0.10", .chosen = "8.0.22"},
      {.version = "8.0.30", .chosen = "8.1.3"},
      {.version = "8.2.0", .chosen = "missing"},
      {.version = "7.0.0", .chosen = "missing"},
      {.version = "9.0.0", .chosen = "9.0.1"},
      {.version = "9.0.0-rc.1", .chosen = "9.0.0-rc.2"},
      {.version = "9.0.0-rc.2", .chosen = "9.0.0-rc.2"},
      {.version = "10.0.0-rc.2", .chosen = "10.0.0-rc.10"},
      {.version = "10.0.0-preview.7", .chosen = "10.0.0-rc.1"},
      {.version = "11.0.0", .chosen = "missing"},
      {.version = "11.0.0-preview.1", .chosen = "11.0.0-preview.1"},
      {.version = "12.0.0", .chosen = "missing"},
      {.version = "10.0", .chosen = "missing"},
      {.version = "", .chosen = "missing"},
      {.version = "08.0.0", .chosen = "missing"},
      {.version = "8.0.0", .options = R"("rollForward": "Disable")", .chosen = "missing"},
      {.version = "8.0.5", .options = R"("rollForward": "Disable")", .chosen = "8.0.5"},
      {.version = "8.0.0", .options = R"("rollForward": "LatestPatch")", .chosen = "8.0.22"},
      {.version = "8.2.0", .options = R"("rollForward": "LatestPatch")", .chosen = "missing"},
      {.version = "10.0.0-rc.2", .options = R"("rollForward": "LatestPatch")", .chosen = "10.0.0-rc.10"},
      {.version = "8.0.0", .options = R"("rollForward": "Minor")", .chosen = "8.0.22"},
      {.version = "8.0.0", .options = R"("rollForward": "LatestMinor")", .chosen = "8.1.3"},
      {.version = "8.0.0", .options = R"("rollForward": "Major")", .chosen = "8.0.22"},
      {.version = "8.2.0", .options = R"("rollForward": "Major")", .chosen = "9.0.1"},
      {.version = "7.0.0", .options = R"("rollForward": "Major")", .chosen = "8.0.22"},
      {.version = "10.1.0", .options = R"("rollForward": "Major")", .chosen = "11.0.0-preview.1"},
      {.version = "6.0.0", .options = R"("rollForward": "LatestMajor")", .chosen = "10.0.12"},
      {.version = "6.0.0", .options = R"("rollForward": "LATESTMAJOR")", .chosen = "10.0.12"},
      {.version = "11.0.0-preview.1", .options = R"("rollForward": "LatestMajor")", .chosen = "11.0.0-preview.1"},
      {.version = "8.0.0", .options = R"("rollForward": "Sometimes")", .chosen = "failed"},
      {.version = "8.0.0",
       .options = R"("rollForward": "Disable")",
       .framework = R"("rollForward": "LatestMajor")",
       .chosen = "10.0.12"},
      {.version = "8.0.0", .options = R"("applyPatches": false)", .chosen = "8.0.5"},
      {.version = "8.0.6", .options = R"("applyPatches": false)", .chosen = "8.0.22"},
      {.version = "8.0.6", .options = R"("applyPatches": false, "rollForwardOnNoCandidateFx": 0)", .chosen = "missing"},
      {.version = "10.0.0-rc.2",
       .options = R"("applyPatches": false, "rollForwardOnNoCandidateFx": 0)",
       .chosen = "10.0.0-rc.10"},
      {.version = "8.2.0", .options = R"("rollForwardOnNoCandidateFx": 0)", .chosen = "missing"},
      {.version = "8.2.0", .options = R"("rollForwardOnNoCandidateFx": 1)", .chosen = "missing"},
      {.version = "8.2.0", .options = R"("rollForwardOnNoCandidateFx": 2)", .chosen = "9.0.1"},
      {.version = "8.0.0", .options = R"("rollForwardOnNoCandidateFx": 3)", .chosen = "missing"},
      {.version = "8.0.0", .options = R"("rollForward": "Major", "applyPatches": true)", .chosen = "failed"},
      {.version = "8.0.0",
       .options = R"("rollForward": "Major")",
       .framework = R"("rollForwardOnNoCandidateFx": 2)",
       .chosen = "failed"},
      {.version = "8.0.0", .options = R"("additionalProbingPaths": 5)", .chosen = "failed"},
      {.version = "8.2.0", .environment = {"DOTNET_ROLL_FORWARD=Major"}, .chosen = "9.0.1"},
      {.version = "8.2.0",
       .options = R"("rollForward": "Disable")",
       .environment = {"DOTNET_ROLL_FORWARD=major"},
       .chosen = "9.0.1"},
      {.version = "8.0.0", .environment = {"DOTNET_ROLL_FORWARD="}, .chosen = "8.0.22"},
      {.version = "8.0.0", .environment = {"DOTNET_ROLL_FORWARD=1"}, .chosen = "failed"},
      {.version = "8.2.0", .environment = {"DOTNET_ROLL_FORWARD_ON_NO_CANDIDATE_FX=2"}, .chosen = "9.0.1"},
      {.version = "8.2.0",
       .options = R"("rollForward": "Minor")",
       .environment = {"DOTNET_ROLL_FORWARD_ON_NO_CANDIDATE_FX=2"},
       .chosen = "missing"},
      {.version = "8.0.0", .environment = {"DOTNET_ROLL_FORWARD_ON_NO_CANDIDATE_FX=7"}, .chosen = "missing"},
      {.version = "8.2.0", .environment = {"DOTNET_ROLL_FORWARD_ON_NO_CANDIDATE_FX= +2x"}, .chosen = "9.0.1"},
      {.version = "8.0.0", .environment = {"DOTNET_ROLL_FORWARD_ON_NO_CANDIDATE_FX=99999999999"}, .chosen = "missing"},
      {.version = "9.0.0", .environment = {"DOTNET_ROLL_FORWARD_TO_PRERELEASE=1"}, .chosen = "9.0.1"},
      {.version = "10.0.13",
       .options = R"("rollForward": "Major")",
       .environment = {"DOTNET_ROLL_FORWARD_TO_PRERELEASE=1"},
       .chosen = "11.0.0-preview.1"},
      {.version = "8.0.0",
       .options = R"("rollForward": "LatestMajor")",
       .environment = {"DOTNET_ROLL_FORWARD_TO_PRERELEASE=1"},
       .chosen = "11.0.0-preview.1"},
      {.version = "8.0.0",
       .options = R"("rollForward": "LatestMajor")",
       .environment = {"DOTNET_ROLL_FORWARD_TO_PRERELEASE=true"},
       .chosen = "10.0.12"},
      {.version = "8.3.0",
       .options = R"("rollForward": "Major")",
       .environment = {"DOTNET_ROLL_FORWARD_TO_PRERELEASE=1"},
       .chosen = "9.0.0-rc.2"},
      {.version = "8.0.0", .host = {.fx_version = "9.0.1"}, .chosen = "9.0.1"},
      {.version = "8.0.0", .host = {.fx_version = "9.0.2"}, .chosen = "missing"},
      {.version = "8.0.0",
       .options = R"("rollForward": "LatestMajor")",
       .host = {.fx_version = "8.0.5"},
       .chosen = "8.0.5"},
      {.version = "8.0.0",
       .environment = {"DOTNET_ROLL_FORWARD=LatestMinor"},
       .host = {.roll_forward = "LatestMajor"},
       .chosen = "10.0.12"},
      {.version = "8.0.0",
       .options = R"("rollForward": "LatestMajor")",
       .host = {.roll_forward = "disable"},
       .chosen = "missing"},
      {.version = "8.0.0", .host = {.roll_forward = "x"}, .chosen = "failed"},
      {.version = "8.2.0", .host = {.roll_forward_on_no_candidate_fx = "2"}, .chosen = "9.0.1"},
      {.version = "8.0.0",
       .host = {.roll_forward = "Major", .roll_forward_on_no_candidate_fx = "2"},
       .chosen = "failed"},
  };
  FakeSystem system;
  put_root(system);
  install_asp_net_core(system, {"8.0.5", "8.0.22", "8.1.3", "9.0.0-rc.2", "9.0.1", "10.0.0-rc.1", "10.0.0-rc.10",
                                "10.0.12", "11.0.0-preview.1"});
  for (const Row& row : rows) {
    const auto with_comma = [](const std::string& members) { return members.empty() ? "" : members + ", "; };
    const std::string options = with_comma(row.options) + R"("framework": {"name": "Microsoft.AspNetCore.App", )" +
                                with_comma(row.framework) + R"("version": ")" + row.version + "\"}";
    Host host = host_on(system);
    host.environment = row.environment;
    host.options = row.host;
    const Words words = resolved(system, options, host);
    EXPECT_EQ(words[0], row.chosen == "missing" || row.chosen == "failed" ? row.chosen : kAspNet + " " + row.chosen)
        << options << testing::PrintToString(row.environment);
  }
}

TEST(Framework, TheFrameworksThatAFrameworkAsksForCountToo) {
  FakeSystem system;
  put_root(system);
  install_asp_net_core(system, {"8.0.22"});
  install(system, kCore, {"9.0.1"});
  const Host host = host_on(system);
  const std::string both = R"("frameworks": [{"name": "Microsoft.NETCore.App", "version": ")";
  const std::string and_asp_net_core = R"("}, {"name": "Microsoft.AspNetCore.App", "version": "8.0.0"}])";
  EXPECT_THAT(resolved(system, both + "8.0.0" + and_asp_net_core, host),
              ElementsAre("Microsoft.NETCore.App 8.0.22", "Microsoft.AspNetCore.App 8.0.22"));
  // ASP.NET Core 8 takes no .NET 9, whether the file asks for it or --fx-version, which is for the first reference.
  EXPECT_THAT(resolved(system, both + "9.0.0" + and_asp_net_core, host), ElementsAre("failed"));
  Host exact = host;
  exact.options.fx_version = "9.0.1";
  EXPECT_THAT(resolved(system, both + "8.0.0" + and_asp_net_core, exact), ElementsAre("failed"));
}

TEST(Framework, AFrameworkWithoutTheOneBelowItIsMissingThatOne) {
  FakeSystem system;
  put_root(system);
  install_asp_net_core(system, {"8.0.22"});
  system.remove("/dotnet/shared/Microsoft.NETCore.App/8.0.22/Microsoft.NETCore.App.deps.json");
  install(system, kCore, {"8.0.5"});
  EXPECT_THAT(resolved(system, asking_for("8.0.0"), host_on(system)), ElementsAre("missing", kCore, "8.0.22"));
}

TEST(Framework, AFrameworkOfSomebodyElseMayBringAspNetCore) {
  FakeSystem system;
  put_root(system);
  install_asp_net_core(system, {"8.0.22", "8.1.3", "9.0.1"});
  install(system, "Corp.App", {"1.2.0"}, asking_for("8.0.0"));
  const Host host = host_on(system);
  const std::string corp = R"({"name": "Corp.App", "version": "1.0.0"})";
  EXPECT_THAT(resolved(system, "\"framework\": " + corp, host),
              ElementsAre("Corp.App 1.2.0", "Microsoft.AspNetCore.App 8.0.22", "Microsoft.NETCore.App 8.0.22"));
  // "Latest" is handed down, the range is not.
  EXPECT_THAT(resolved(system, R"("rollForward": "LatestMajor", "framework": )" + corp, host),
              ElementsAre("Corp.App 1.2.0", "Microsoft.AspNetCore.App 8.1.3", "Microsoft.NETCore.App 8.1.3"));
  EXPECT_THAT(
      resolved(system, "\"frameworks\": [" + corp + R"(, {"name": "Microsoft.AspNetCore.App", "version": "9.0.0"}])",
               host),
      ElementsAre("failed"));
}

TEST(Framework, ReferencesInACircleEnd) {
  FakeSystem system;
  put_root(system);
  install(system, "A", {"1.0.0"}, R"("framework": {"name": "B", "version": "1.0.0"})");
  install(system, "B", {"1.0.0"}, R"("framework": {"name": "A", "version": "1.0.0"})");
  EXPECT_THAT(resolved(system, R"("framework": {"name": "A", "version": "1.0.0"})", host_on(system)),
              ElementsAre("A 1.0.0", "B 1.0.0"));
}

TEST(Framework, AVersionWithoutItsDepsJsonIsPassedOver) {
  FakeSystem system;
  put_root(system);
  install_asp_net_core(system, {"8.0.5", "8.1.0"});
  system.directory("/dotnet/shared/Microsoft.AspNetCore.App/8.0.30");
  system.file("/dotnet/shared/Microsoft.AspNetCore.App/8.0.31", "");
  system.directory("/dotnet/shared/Microsoft.AspNetCore.App/odd");
  system.link("/dotnet/shared/Microsoft.AspNetCore.App/8.0.32", "nowhere");
  const Host host = host_on(system);
  EXPECT_EQ(resolved(system, asking_for("8.0.0"), host)[0], "Microsoft.AspNetCore.App 8.0.5");
  EXPECT_EQ(resolved(system, asking_for("8.0.6"), host)[0], "Microsoft.AspNetCore.App 8.1.0");
  system.link("/dotnet/shared/Microsoft.AspNetCore.App/8.0.33", "8.0.5");
  EXPECT_EQ(resolved(system, asking_for("8.0.0"), host)[0], "Microsoft.AspNetCore.App 8.0.33");
  Host exact = host;
  exact.options.fx_version = "8.0.30";
  EXPECT_EQ(resolved(system, asking_for("8.0.0"), exact)[0], "missing");
}

TEST(Framework, AFrameworkMayDoWithoutARuntimeconfigButNotWithABadOne) {
  FakeSystem system;
  put_root(system);
  install(system, kAspNet, {"8.0.5"});
  EXPECT_THAT(resolved(system, asking_for("8.0.0"), host_on(system)), ElementsAre("Microsoft.AspNetCore.App 8.0.5"));
  system.file("/dotnet/shared/Microsoft.AspNetCore.App/8.0.5/Microsoft.AspNetCore.App.runtimeconfig.json", "");
  EXPECT_THAT(resolved(system, asking_for("8.0.0"), host_on(system)), ElementsAre("failed"));
}

TEST(Framework, DisabledVersionsAreLeftOutSinceHostfxr10) {
  FakeSystem system;
  put_root(system);
  install_asp_net_core(system, {"8.0.5", "8.0.22"});
  const auto chosen = [&system](const std::string& list) {
    Host host = host_on(system);
    const Words environment = {"DOTNET_DISABLE_RUNTIME_VERSIONS=" + list};
    host.environment = environment;
    return resolved(system, asking_for("8.0.0"), host)[0];
  };
  EXPECT_EQ(chosen(";8.0.22;"), "Microsoft.AspNetCore.App 8.0.5");
  EXPECT_EQ(chosen("8.0.22;8.0.5"), "missing");
  for (const char* list : {"8.0.22,8.0.5", " 8.0.22 ", "8.0.022"}) {
    EXPECT_EQ(chosen(list), "Microsoft.AspNetCore.App 8.0.22") << list;
  }
  system.remove("/dotnet/host/fxr/10.0.12").directory("/dotnet/host/fxr/9.0.22");
  EXPECT_EQ(chosen("8.0.22"), "Microsoft.AspNetCore.App 8.0.22");
}

TEST(Framework, AReferenceWithoutVersionIsRefusedSinceHostfxr10) {
  FakeSystem system;
  put_root(system);
  install_asp_net_core(system, {"8.0.5", "9.0.1"});
  const std::string options = R"("rollForward": "Major", "framework": {"name": "Microsoft.AspNetCore.App"})";
  EXPECT_EQ(resolved(system, options, host_on(system))[0], "failed");
  system.remove("/dotnet/host/fxr/10.0.12").directory("/dotnet/host/fxr/9.0.22");
  EXPECT_EQ(resolved(system, options, host_on(system))[0], "Microsoft.AspNetCore.App 8.0.5");
}

TEST(RuntimeConfig, JsonIsReadAsHostfxrReadsIt) {
  const std::string good = config_of(asking_for("8.0.0"));
  for (const std::string& text :
       {good, "\xef\xbb\xbf" + good, good + " garbage", good + '\0', "// c\n/* c */" + good, good + "//"}) {
    const RuntimeConfig config = parse(text, "", {});
    EXPECT_TRUE(config.valid) << text;
    EXPECT_TRUE(config.framework_dependent) << text;
  }
  for (const std::string& text :
       {std::string(), std::string(" "), std::string("[]"), std::string("{}"), std::string("{,}"),
        std::string(R"({"runtimeOptions": 5})"), std::string(R"({"RuntimeOptions": {}})"),
        "\xef\xbb\xbf\xef\xbb\xbf" + good, "# c\n" + good, "/* open " + good, "\xef\xbb" + good,
        std::string(R"({'runtimeOptions': {}})")}) {
    EXPECT_FALSE(parse(text, "", {}).valid) << text;
  }
}

TEST(RuntimeConfig, WhatIsIncludedIsWhatASelfContainedAppHas) {
  const std::string included = R"("includedFrameworks": [{"name": "Microsoft.AspNetCore.App", "version": "9.0.22"}])";
  const RuntimeConfig config = parse(config_of(included), "", {});
  EXPECT_TRUE(config.valid);
  EXPECT_FALSE(config.framework_dependent);
  ASSERT_EQ(config.included.size(), 1U);
  EXPECT_EQ(config.included[0].version, "9.0.22");
  EXPECT_FALSE(parse(config_of(asking_for("9.0.0") + ", " + included), "", {}).valid);
  EXPECT_TRUE(parse(R"({"runtimeOptions": null})", "", {}).valid);
}

TEST(RuntimeConfig, AFrameworkIsNamedOnceInAList) {
  const std::string one = R"({"name": "Microsoft.AspNetCore.App", "version": "8.0.0"})";
  EXPECT_FALSE(parse(config_of("\"frameworks\": [" + one + ", " + one + "]"), "", {}).valid);
  EXPECT_FALSE(parse(config_of("\"framework\": " + one + ", \"frameworks\": [" + one + "]"), "", {}).valid);
}

TEST(RuntimeConfig, ItsDevJsonSetsThePolicyFirst) {
  const std::string dev = R"({"runtimeOptions": {"rollForward": "LatestMajor"}})";
  const std::string good = config_of(asking_for("8.0.0"));
  EXPECT_EQ(parse(good, dev, {}).frameworks.at(0).range, Range::major);
  EXPECT_FALSE(parse(config_of(R"("applyPatches": true, )" + asking_for("8.0.0")), dev, {}).valid);
  EXPECT_EQ(parse(good, "{", {}).frameworks.at(0).range, Range::minor);

  FakeSystem system;
  system.file("/app/App.runtimeconfig.json", good).file("/app/App.runtimeconfig.dev.json", dev);
  EXPECT_EQ(read(system, "/app/App.runtimeconfig.json", {})->frameworks.at(0).range, Range::major);
  EXPECT_EQ(read(system, "/app/None.runtimeconfig.json", {}).error().code, ENOENT);
}

TEST(RuntimeConfig, NamesAreKnownEvenWhenItIsNotValid) {
  const RuntimeConfig config = parse(config_of(R"("rollForward": 5, )" + asking_for("8.0.0")), "", {});
  EXPECT_FALSE(config.valid);
  ASSERT_EQ(config.named.size(), 1U);
  EXPECT_EQ(config.named[0].version, "8.0.0");
}

TEST(RuntimeConfig, HostileFilesAreNotValid) {
  std::string many = R"("frameworks": [)";
  for (int i = 0; i < 1000; ++i) many += R"({"name": "n)" + std::to_string(i) + R"(", "version": "1.0.0"},)";
  many.back() = ']';
  for (const std::string& text :
       {std::string(1'000'000, '['), "{\"runtimeOptions\": " + std::string(1'000'000, '{'), config_of(many),
        config_of(R"("framework": {"name": "Microsoft.AspNetCore.App", "version": 10})"),
        config_of(R"("framework": {"name": ["x"], "version": "8.0.0"})"), config_of(R"("framework": 1)"),
        config_of(R"("frameworks": {})"), config_of(R"("frameworks": [[], 1, null])"),
        config_of(R"("includedFrameworks": "x")")}) {
    EXPECT_FALSE(parse(text, text, {}).valid) << text.substr(0, 80);
  }
  const std::string huge = asking_for("99999999999999999999.0.0");
  EXPECT_TRUE(parse(config_of(huge), "", {}).valid);
  FakeSystem system;
  put_root(system);
  install_asp_net_core(system, {"99999999999999999999.0.0", "8.0.5"});
  EXPECT_EQ(resolved(system, huge, host_on(system))[0], "missing");
}

TEST(Root, HasAHostfxrAndTheNewestCounts) {
  FakeSystem system;
  system.directory("/dotnet/host/fxr/9.0.22").directory("/dotnet/host/fxr/10.0.0-rc.1").directory("/empty/host/fxr");
  system.file("/dotnet/host/fxr/11.0.0", "").directory("/dotnet/host/fxr/odd");
  EXPECT_EQ(root_in(system, "/dotnet")->hostfxr, 10);
  EXPECT_FALSE(root_in(system, "/empty"));
  EXPECT_FALSE(root_in(system, "/none"));
  system.fail(support::Call::list, "/dotnet/host/fxr", EACCES);
  EXPECT_FALSE(root_in(system, "/dotnet"));
}

class ApphostRoot : public testing::Test {
 protected:
  ApphostRoot() {
    for (const char* root : {"/x64", "/plain", "/etc-x64", "/etc-plain", "/usr/share/dotnet"}) {
      system_.directory(std::string(root) + "/host/fxr/10.0.12");
    }
    system_.directory("/no-fxr").link("/link", "plain");
  }
  std::string root(const Words& environment, std::uint16_t machine = EM_X86_64) {
    const auto found = root_of_apphost(system_, "/app", machine, environment);
    return found ? found->directory : "";
  }
  FakeSystem system_;
};

TEST_F(ApphostRoot, VariablesGoFirst) {
  EXPECT_EQ(root({"DOTNET_ROOT=/plain", "DOTNET_ROOT_X64=/x64"}), "/x64");
  EXPECT_EQ(root({"DOTNET_ROOT=/plain", "DOTNET_ROOT_X64="}), "/plain");
  EXPECT_EQ(root({"DOTNET_ROOT=/plain", "DOTNET_ROOT_X64=/missing"}), "/plain");
  EXPECT_EQ(root({"DOTNET_ROOT=/plain", "DOTNET_ROOT_ARM64=/x64", "DOTNET_ROOT_x64=/x64"}), "/plain");
  EXPECT_EQ(root({"DOTNET_ROOT=/plain", "DOTNET_ROOT_ARM64=/x64"}, EM_AARCH64), "/x64");
  EXPECT_EQ(root({"DOTNET_ROOT=/link/"}), "/plain");
  EXPECT_EQ(root({"DOTNET_ROOT=/missing"}), "/usr/share/dotnet");
  EXPECT_EQ(root({"DOTNET_ROOT=/plain", "DOTNET_ROOT_X64=/no-fxr"}), "");
  EXPECT_EQ(root({"DOTNET_ROOT=/plain"}, EM_S390), "");
}

TEST_F(ApphostRoot, ThenTheRegisteredPlaceThenTheDefault) {
  EXPECT_EQ(root({}), "/usr/share/dotnet");
  const auto registered = [this](const std::string& text) {
    system_.file("/etc/dotnet/install_location", text);
    return root({});
  };
  EXPECT_EQ(registered("/etc-plain\n"), "/etc-plain");
  EXPECT_EQ(registered("/etc-plain\n/x64"), "/etc-plain");
  EXPECT_EQ(registered("\n/etc-plain"), "/usr/share/dotnet");
  EXPECT_EQ(registered("/missing"), "");
  EXPECT_EQ(registered("/etc-plain\r\n"), "");
  EXPECT_EQ(registered("etc-plain"), "");
  EXPECT_EQ(registered("/etc-plain"), "/etc-plain");
  system_.file("/etc/dotnet/install_location_x64", "/etc-x64");
  EXPECT_EQ(root({}), "/etc-x64");
  EXPECT_EQ(root({}, EM_AARCH64), "/etc-plain");
  system_.file("/etc/dotnet/install_location_x64", "");
  EXPECT_EQ(root({}), "/usr/share/dotnet");
}

TEST_F(ApphostRoot, AnAppWithItsOwnHostfxrLooksNowhereElse) {
  system_.file("/app/libhostfxr.so", "");
  EXPECT_EQ(root({"DOTNET_ROOT=/plain"}), "");
}

}  // namespace
}  // namespace portshim::framework
