#include "shim/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "shim/environment.h"

namespace portshim::options {
namespace {

using finding::Id;
using finding::Severity;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;
using testing::StartsWith;

using Strings = std::vector<std::string>;

/// "/portshim", the words, and "app" as COMMAND.
Invocation with_options(Strings words, const Strings& environment = {}) {
  words.insert(words.begin(), "/portshim");
  words.emplace_back("app");
  return parse(words, environment);
}

Invocation with_variables(const Strings& environment) {
  return with_options({}, environment);
}

/// What was refused with code 125, or "" when nothing was.
std::string refused(const Invocation& invocation) {
  if (!invocation.refusal) return "";
  EXPECT_EQ(invocation.refusal_code, 125);
  EXPECT_EQ(invocation.refusal->severity, Severity::error);
  EXPECT_EQ(invocation.refusal->did, "nothing was started");
  return finding::to_string(invocation.refusal->id) + ": " + invocation.refusal->what;
}

/// What is wrong with the only invalid variable, or "" when there is not exactly one.
std::string invalid(const Invocation& invocation) {
  EXPECT_FALSE(invocation.refusal);
  if (invocation.invalid.size() != 1) return "";
  EXPECT_EQ(invocation.invalid[0].id, Id::invalid_setting);
  EXPECT_EQ(invocation.invalid[0].severity, Severity::error);
  return invocation.invalid[0].what;
}

// --- Where options end ---

TEST(CommandLine, OptionsEndAtTheFirstWordThatIsNotOne) {
  const Invocation result = parse(Strings{"portshim", "--keep", "dotnet", "App.dll", "--urls", "x", "--mode=off"}, {});
  EXPECT_EQ(refused(result), "");
  EXPECT_EQ(result.command, 2U);
  EXPECT_THAT(result.given, ElementsAre("keep"));
}

TEST(CommandLine, OptionsEndAtTwoDashes) {
  const Invocation result = parse(Strings{"portshim", "--keep", "--", "--mode=validate"}, {});
  EXPECT_EQ(refused(result), "");
  EXPECT_EQ(result.command, 3U);
  EXPECT_EQ(result.options.mode, Mode::off);
}

TEST(CommandLine, OnlyTheFirstTwoDashesAreTaken) {
  EXPECT_EQ(parse(Strings{"portshim", "--", "--", "x"}, {}).command, 2U);
}

TEST(CommandLine, NeedsNoOptionsAndNoDashes) {
  const Invocation result = parse(Strings{"portshim", "app"}, {});
  EXPECT_EQ(result.command, 1U);
  EXPECT_EQ(result.options, Options{});
  EXPECT_FALSE(result.by_other_name);
  EXPECT_THAT(result.given, IsEmpty());
}

TEST(CommandLine, ADashAloneIsCommand) {
  const Invocation result = parse(Strings{"portshim", "-", "--bogus"}, {});
  EXPECT_EQ(refused(result), "");
  EXPECT_EQ(result.command, 1U);
}

TEST(CommandLine, AnEmptyWordIsCommand) {
  const Invocation result = parse(Strings{"portshim", "", "--bogus"}, {});
  EXPECT_EQ(refused(result), "");
  EXPECT_EQ(result.command, 1U);
}

// --- Values ---

TEST(CommandLine, ARequiredValueFollowsTheEqualsSignOrIsTheNextWord) {
  EXPECT_EQ(with_options({"--mode=rewrite"}).options.mode, Mode::rewrite);
  const Invocation result = with_options({"--mode", "rewrite"});
  EXPECT_EQ(result.options.mode, Mode::rewrite);
  EXPECT_EQ(result.command, 3U);
}

TEST(CommandLine, TheNextWordIsTheValueWhateverItBeginsWith) {
  EXPECT_THAT(refused(with_options({"--floor", "--keep"})), StartsWith("PS902: --floor=--keep is not valid"));
  EXPECT_THAT(refused(with_options({"--mode", "--"})), StartsWith("PS902: --mode=-- is not valid"));
  const Invocation result = parse(Strings{"portshim", "--floor", "-x", "--mode=rewrite", "app"}, {});
  EXPECT_EQ(result.command, 4U);
  EXPECT_EQ(result.options.mode, Mode::rewrite);
}

TEST(CommandLine, AnEqualsSignInTheValueBelongsToIt) {
  EXPECT_THAT(refused(with_options({"--mode=a=b"})), StartsWith("PS902: --mode=a=b is not valid"));
}

TEST(CommandLine, ASwitchAloneIsOn) {
  const Invocation result = with_options({"--keep", "--expand"});
  EXPECT_TRUE(result.options.keep);
  EXPECT_TRUE(result.options.expand);
  EXPECT_EQ(result.command, 3U);
}

TEST(CommandLine, ValuesOfSwitchesFollowTheEqualsSignOnly) {
  EXPECT_FALSE(with_options({"--keep=off"}, {"PORTSHIM_KEEP=on"}).options.keep);
  const Invocation result = parse(Strings{"portshim", "--keep", "off", "app"}, {});
  EXPECT_TRUE(result.options.keep);
  EXPECT_EQ(result.command, 2U) << "off is COMMAND";
}

TEST(CommandLine, ValuesOfCheckFollowTheEqualsSignOnly) {
  EXPECT_EQ(with_options({}).options.check, Check::no);
  EXPECT_EQ(with_options({"--check"}).options.check, Check::text);
  EXPECT_EQ(with_options({"--check=text"}).options.check, Check::text);
  EXPECT_EQ(with_options({"--check=JSON"}).options.check, Check::json);
  const Invocation result = parse(Strings{"portshim", "--check", "json"}, {});
  EXPECT_EQ(result.options.check, Check::text);
  EXPECT_EQ(result.command, 2U) << "json is COMMAND";
}

TEST(CommandLine, ValuesMatchInAnyCase) {
  const Invocation result = with_options({"--mode=ReWrite", "--floor=KERNEL", "--keep=ON", "--expand=True",
                                          "--code=Off", "--log-format=JSON", "--log-level=Error"});
  EXPECT_EQ(refused(result), "");
  EXPECT_EQ(result.options.mode, Mode::rewrite);
  EXPECT_EQ(result.options.floor, (Floor{FloorKind::kernel, 0}));
  EXPECT_TRUE(result.options.keep);
  EXPECT_TRUE(result.options.expand);
  EXPECT_EQ(result.options.code, Code::off);
  EXPECT_EQ(result.options.log_format, log::Format::json);
  EXPECT_EQ(result.options.log_level, Severity::error);
}

TEST(CommandLine, BooleansHaveFourSpellingsEachInAnyCase) {
  for (const std::string no : {"0", "false", "no", "off", "FALSE", "No", "oFF"}) {
    const Invocation result = with_options({"--keep=" + no}, {"PORTSHIM_KEEP=on"});
    EXPECT_FALSE(result.options.keep) << no;
    EXPECT_EQ(refused(result), "") << no;
  }
  for (const std::string yes : {"1", "true", "yes", "on", "TRUE", "Yes", "oN"})
    EXPECT_TRUE(with_options({"--expand=" + yes}).options.expand) << yes;
}

TEST(CommandLine, ModeTakesItsNames) {
  EXPECT_EQ(with_options({"--mode=off"}, {"PORTSHIM=on"}).options.mode, Mode::off);
  EXPECT_EQ(with_options({"--mode=explain"}).options.mode, Mode::explain);
  EXPECT_EQ(with_options({"--mode=validate"}).options.mode, Mode::validate);
  EXPECT_EQ(with_options({"--mode=rewrite"}).options.mode, Mode::rewrite);
}

TEST(CommandLine, ModeTakesBooleansForOffAndRewrite) {
  for (const std::string no : {"0", "False", "no"})
    EXPECT_EQ(with_options({"--mode=" + no}, {"PORTSHIM=on"}).options.mode, Mode::off) << no;
  for (const std::string yes : {"1", "True", "yes", "on"})
    EXPECT_EQ(with_options({"--mode=" + yes}).options.mode, Mode::rewrite) << yes;
}

TEST(CommandLine, FloorIsAWordOrAPort) {
  EXPECT_EQ(with_options({}).options.floor, (Floor{FloorKind::portable, 0}));
  EXPECT_EQ(with_options({"--floor=portable"}).options.floor, (Floor{FloorKind::portable, 0}));
  EXPECT_EQ(with_options({"--floor=0"}).options.floor, (Floor{FloorKind::number, 0}));
  EXPECT_EQ(with_options({"--floor=65535"}).options.floor, (Floor{FloorKind::number, 65535}));
  for (const std::string bad : {"65536", "-1", "+1", " 80", "80 ", "0x50", "1e3", "99999999999999999999", "kern el"})
    EXPECT_THAT(refused(with_options({"--floor=" + bad})), StartsWith("PS902: --floor=" + bad + " is not valid"));
}

TEST(CommandLine, MapIsPairsOfPorts) {
  EXPECT_THAT(with_options({}).options.map, IsEmpty());
  EXPECT_THAT(with_options({"--map=80:8080"}).options.map, ElementsAre(Pair(80, 8080)));
  EXPECT_THAT(with_options({"--map", "443:8443,80:8080,1:65535"}).options.map,
              ElementsAre(Pair(1, 65535), Pair(80, 8080), Pair(443, 8443)));
}

TEST(CommandLine, BlanksAroundItemsOfTheMapDoNotCount) {
  EXPECT_THAT(with_options({"--map= 80:8080 ,\t443:8443\t"}).options.map, ElementsAre(Pair(80, 8080), Pair(443, 8443)));
}

TEST(CommandLine, TwoOldPortsMayMoveToOneNewPort) {
  EXPECT_THAT(with_options({"--map=80:8080,81:8080"}).options.map, ElementsAre(Pair(80, 8080), Pair(81, 8080)));
}

TEST(CommandLine, AnythingElseInTheMapIsInvalid) {
  for (const std::string bad : {"80",
                                "80:",
                                ":8080",
                                "80:0",
                                "0:8080",
                                "80:65536",
                                "65536:80",
                                "80:8080,",
                                ",80:8080",
                                "80:8080,,81:8081",
                                ",",
                                " ",
                                "80 :8080",
                                "80: 8080",
                                "80:8080 81:8081",
                                "80:8080;81:8081",
                                "80:8080:1",
                                "-80:8080",
                                "+80:8080",
                                "80:+8080",
                                "0x50:8080",
                                "http:8080",
                                "80=8080",
                                "80:8080,80:8080",
                                "80:8080,80:9090"}) {
    const Invocation result = with_options({"--map=" + bad});
    EXPECT_EQ(refused(result),
              "PS902: --map=" + bad +
                  " is not valid (valid: OLD:NEW pairs of ports 1..65535, each OLD once, as 80:8080,443:8443)");
    EXPECT_THAT(result.options.map, IsEmpty());
  }
}

TEST(CommandLine, AnEmptyMapIsTheDefaultAndWinsOverTheVariable) {
  for (const Strings& empty : {Strings{"--map="}, Strings{"--map", ""}}) {
    const Invocation result = with_options(empty, {"PORTSHIM_MAP=80:5000"});
    EXPECT_EQ(refused(result), "");
    EXPECT_THAT(result.options.map, IsEmpty());
  }
}

TEST(CommandLine, OtherEmptyValuesAreErrors) {
  EXPECT_EQ(refused(with_options({"--mode="})), "PS902: --mode= is not valid (valid: off, explain, validate, rewrite)");
  EXPECT_EQ(refused(with_options({"--mode", ""})),
            "PS902: --mode= is not valid (valid: off, explain, validate, rewrite)");
  EXPECT_EQ(refused(with_options({"--floor="})),
            "PS902: --floor= is not valid (valid: portable, kernel, or a port 0..65535)");
  EXPECT_EQ(refused(with_options({"--keep="})), "PS902: --keep= is not valid (valid: off, on)");
  EXPECT_EQ(refused(with_options({"--expand="})), "PS902: --expand= is not valid (valid: off, on)");
  EXPECT_EQ(refused(with_options({"--log-format="})),
            "PS902: --log-format= is not valid (valid: auto, text, systemd, json)");
  EXPECT_EQ(refused(with_options({"--log-level="})),
            "PS902: --log-level= is not valid (valid: warning, info, error, debug)");
  EXPECT_EQ(refused(with_options({"--check="})), "PS902: --check= is not valid (valid: text, json)");
}

// --- Mistakes ---

TEST(CommandLine, AnInvalidValueIsRefusedWithTheNearestValidOne) {
  EXPECT_EQ(refused(with_options({"--mode=exlpain"})),
            "PS902: --mode=exlpain is not valid (valid: off, explain, validate, rewrite); did you mean explain?");
  EXPECT_EQ(
      refused(with_options({"--floor", "portabel"})),
      "PS902: --floor=portabel is not valid (valid: portable, kernel, or a port 0..65535); did you mean portable?");
  EXPECT_EQ(refused(with_options({"--keep=maybe"})), "PS902: --keep=maybe is not valid (valid: off, on)");
  EXPECT_EQ(refused(with_options({"--expand=ture"})),
            "PS902: --expand=ture is not valid (valid: off, on); did you mean true?");
  EXPECT_EQ(refused(with_options({"--expand=fasle1"})),
            "PS902: --expand=fasle1 is not valid (valid: off, on); did you mean false?");
  EXPECT_EQ(refused(with_options({"--log-format=jsn"})),
            "PS902: --log-format=jsn is not valid (valid: auto, text, systemd, json); did you mean json?");
  EXPECT_EQ(refused(with_options({"--log-level=warn1ng"})),
            "PS902: --log-level=warn1ng is not valid (valid: warning, info, error, debug); did you mean warning?");
  EXPECT_EQ(refused(with_options({"--check=yaml"})), "PS902: --check=yaml is not valid (valid: text, json)");
}

TEST(CommandLine, CheckIsNoSwitch) {
  for (const std::string value : {"no", "off", "on", "1"})
    EXPECT_EQ(refused(with_options({"--check=" + value})),
              "PS902: --check=" + value + " is not valid (valid: text, json)");
}

TEST(CommandLine, InvalidValuesAreQuoted) {
  EXPECT_EQ(refused(with_options({"--check=\x1b[2J\n"})),
            "PS902: --check=\\u001b[2J\\n is not valid (valid: text, json)");
  EXPECT_THAT(refused(with_options({"--floor=" + std::string(1 << 20, 'x')})),
              StartsWith("PS902: --floor=" + std::string(256, 'x') + "... is not valid"));
}

TEST(CommandLine, AnUnknownOptionIsRefusedWithTheNearestOne) {
  const Invocation result = with_options({"--mdoe=off"});
  EXPECT_EQ(refused(result), "PS902: unknown option --mdoe; did you mean --mode?");
  EXPECT_EQ(result.refusal->next, "options of COMMAND itself go behind COMMAND");
  EXPECT_EQ(refused(with_options({"--log-levle=x"})), "PS902: unknown option --log-levle; did you mean --log-level?");
  EXPECT_EQ(refused(with_options({"-mode"})), "PS902: unknown option -mode; did you mean --mode?");
  EXPECT_EQ(refused(with_options({"--MODE=off"})), "PS902: unknown option --MODE; did you mean --mode?");
}

TEST(CommandLine, AnUnknownOptionThatIsNearToNoneIsReferredToHelp) {
  EXPECT_EQ(refused(with_options({"--frobnicate"})),
            "PS902: unknown option --frobnicate; portshim --help lists the options");
}

TEST(CommandLine, NoOptionHasAShortForm) {
  for (const std::string word : {"-x", "-h", "-1"})
    EXPECT_EQ(refused(with_options({word})), "PS902: unknown option " + word + "; portshim --help lists the options");
}

TEST(CommandLine, OptionsAreNotAbbreviated) {
  EXPECT_EQ(refused(with_options({"--mod=off"})), "PS902: unknown option --mod; did you mean --mode?");
  EXPECT_THAT(refused(with_options({"--log"})), StartsWith("PS902: unknown option --log;"));
}

TEST(CommandLine, TheValueOfAnUnknownOptionIsNotShown) {
  EXPECT_EQ(refused(with_options({"--password=secret"})),
            "PS902: unknown option --password; portshim --help lists the options");
}

TEST(CommandLine, WordsOfDashesAreUnknownOptions) {
  EXPECT_EQ(refused(with_options({"---"})), "PS902: unknown option ---; portshim --help lists the options");
  EXPECT_EQ(refused(with_options({"--=x"})), "PS902: unknown option --=x; portshim --help lists the options");
  EXPECT_EQ(refused(with_options({"-="})), "PS902: unknown option -=; portshim --help lists the options");
}

TEST(CommandLine, AnUnknownOptionIsQuoted) {
  EXPECT_EQ(refused(with_options({"--\n\xFF"})),
            "PS902: unknown option --\\n\uFFFD; portshim --help lists the options");
  EXPECT_THAT(refused(with_options({"--" + std::string(1 << 20, 'm')})), HasSubstr("mmm...; portshim --help"));
}

TEST(CommandLine, AnOptionGivenTwiceIsRefused) {
  EXPECT_EQ(refused(with_options({"--mode=off", "--mode=off"})), "PS902: --mode is given twice");
  EXPECT_EQ(refused(with_options({"--mode", "off", "--mode", "off"})), "PS902: --mode is given twice");
  EXPECT_EQ(refused(with_options({"--keep", "--keep=off"})), "PS902: --keep is given twice");
  EXPECT_EQ(refused(with_options({"--map=", "--map=80:8080"})), "PS902: --map is given twice");
  EXPECT_EQ(refused(with_options({"--check", "--check=json"})), "PS902: --check is given twice");
  EXPECT_EQ(refused(with_options({"--help", "--help"})), "PS902: --help is given twice");
}

TEST(CommandLine, AMissingValueIsRefusedWithTheValidOnes) {
  const Invocation result = parse(Strings{"portshim", "--mode"}, {});
  EXPECT_EQ(refused(result), "PS902: --mode needs a value (valid: off, explain, validate, rewrite)");
  EXPECT_EQ(result.refusal->next, "write --mode=VALUE");
  EXPECT_EQ(result.command, 2U);
}

TEST(CommandLine, NoCommandIsRefused) {
  for (const Strings& argv : {Strings{"portshim"}, Strings{"portshim", "--"}, Strings{"portshim", "--mode=off"},
                              Strings{"portshim", "--check"}}) {
    const Invocation result = parse(argv, {});
    EXPECT_EQ(refused(result), "PS902: no COMMAND: there is nothing to start");
    EXPECT_EQ(result.refusal->next, "portshim [OPTIONS] [--] COMMAND [ARG...]; portshim --help explains them");
    EXPECT_EQ(result.command, argv.size());
  }
}

TEST(CommandLine, AnEmptyArgvIsRefused) {
  const Invocation result = parse({}, {});
  EXPECT_EQ(refused(result), "PS902: no COMMAND: there is nothing to start");
  EXPECT_EQ(result.command, 0U);
}

TEST(CommandLine, TheFirstMistakeIsTheOneReported) {
  EXPECT_EQ(refused(with_options({"--bogus", "--mode=bogus", "--guard=bogus"})),
            "PS902: unknown option --bogus; portshim --help lists the options");
  EXPECT_THAT(refused(with_options({"--guard=bogus", "--bogus"})), StartsWith("PS902: --guard=bogus is not valid"));
}

TEST(CommandLine, TheRestOfAWrongCommandLineStillCounts) {
  const Invocation result =
      with_options({"--bogus", "--log-format=json", "--grace", "5", "--log-level", "error"}, {"PORTSHIM=validate"});
  EXPECT_NE(refused(result), "");
  EXPECT_EQ(result.options.log_format, log::Format::json);
  EXPECT_EQ(result.options.log_level, Severity::error);
  EXPECT_EQ(result.options.mode, Mode::validate);
  EXPECT_EQ(result.command, 7U);
}

// --- Help and version ---

TEST(CommandLine, HelpAndVersionWinOverAMissingCommand) {
  const Invocation asked = parse(Strings{"portshim", "--help"}, {});
  EXPECT_EQ(refused(asked), "");
  EXPECT_TRUE(asked.options.help);
  EXPECT_FALSE(asked.options.version);
  const Invocation version = parse(Strings{"portshim", "--version"}, {});
  EXPECT_EQ(refused(version), "");
  EXPECT_TRUE(version.options.version);
}

TEST(CommandLine, HelpGoesWithOtherOptions) {
  const Invocation result = parse(Strings{"portshim", "--keep", "--help", "--mode=off"}, {});
  EXPECT_EQ(refused(result), "");
  EXPECT_TRUE(result.options.help);
}

TEST(CommandLine, HelpAndVersionTakeNoValue) {
  EXPECT_EQ(refused(with_options({"--help=on"})), "PS902: --help takes no value");
  EXPECT_EQ(refused(with_options({"--version="})), "PS902: --version takes no value");
}

TEST(CommandLine, HelpDoesNotExcuseMistakes) {
  EXPECT_NE(refused(parse(Strings{"portshim", "--help", "--bogus"}, {})), "");
}

TEST(CommandLine, HelpBehindCommandIsTheAppsOwn) {
  EXPECT_FALSE(parse(Strings{"portshim", "app", "--help"}, {}).options.help);
  EXPECT_FALSE(parse(Strings{"portshim", "--", "--help"}, {}).options.help);
}

TEST(CommandLine, InstallNeedsNoCommandAndTakesNeitherCommandNorCheck) {
  const Invocation result = parse(Strings{"portshim", "--install=/tools"}, {});
  EXPECT_FALSE(result.refusal);
  EXPECT_EQ(result.options.install, "/tools");
  EXPECT_EQ(parse(Strings{"portshim", "--install", "-x"}, {}).options.install, "-x");
  EXPECT_EQ(refused(parse(Strings{"portshim", "--install=/tools", "app"}, {})),
            "PS902: --install starts nothing and takes no COMMAND");
  EXPECT_EQ(refused(parse(Strings{"portshim", "--check", "--install=/tools"}, {})),
            "PS902: --install starts nothing and takes no --check");
  EXPECT_EQ(refused(parse(Strings{"portshim", "--install="}, {})),
            "PS902: --install= is not valid (valid: the path of a file or a directory)");
}

TEST(CommandLine, InstallSaysWhatItDidUnlessALevelIsGiven) {
  EXPECT_EQ(parse(Strings{"portshim", "--install=/t"}, {}).options.log_level, Severity::info);
  EXPECT_EQ(parse(Strings{"portshim", "--install=/t"}, Strings{"PORTSHIM_LOG_LEVEL=error"}).options.log_level,
            Severity::error);
}

TEST(CommandLine, InstallStartsNothingAsRootAndSoTakesPortshimUser) {
  EXPECT_FALSE(parse(Strings{"portshim", "--install=/t"}, Strings{"PORTSHIM_USER=app"}).refusal);
}

TEST(CommandLine, InstallOfNestedCommandLinesIsTheInnerOnes) {
  const Invocation outer = parse(Strings{"portshim", "--check", "portshim", "--install=/t"}, {});
  const Invocation inner = parse(Strings{"portshim", "--install=/t"}, {});
  EXPECT_EQ(refused(merge(outer, inner)), "PS902: --install starts nothing and takes no --check");
  EXPECT_EQ(merge(parse(Strings{"portshim", "portshim"}, {}), inner).options.install, "/t");
}

// --- The termination log ---

TEST(TerminationLog, IsKubernetesOwnUnlessAnotherIsNamed) {
  EXPECT_EQ(with_options({}).options.termination_log, "/dev/termination-log");
  EXPECT_EQ(with_options({"--termination-log=/a b"}).options.termination_log, "/a b");
  EXPECT_EQ(with_options({"--termination-log", "-x"}).options.termination_log, "-x");
  EXPECT_EQ(with_variables({"PORTSHIM_TERMINATION_LOG=/log"}).options.termination_log, "/log");
  EXPECT_EQ(with_variables({"PORTSHIM_TERMINATION_LOG="}).options.termination_log, "/dev/termination-log");
  EXPECT_EQ(refused(with_options({"--termination-log="})),
            "PS902: --termination-log= is not valid (valid: the path of a file)");
}

// --- What --check asks ---

TEST(Assume, TakesItsPartsInAnyOrderAndCase) {
  const auto assumed = [](const std::string& text) {
    const Invocation result = with_options({"--check", "--assume=" + text});
    EXPECT_EQ(refused(result), "") << text;
    return result.options.assume.value_or(Assumption{});
  };
  EXPECT_EQ(assumed("uid=1654,caps=none,start=1024"),
            (Assumption{.uid = 1654, .gid = {}, .capabilities = Capabilities::none, .port_start = 1024}));
  EXPECT_EQ(assumed("START=0,Gid=0"), (Assumption{.uid = {}, .gid = 0, .capabilities = {}, .port_start = 0}));
  EXPECT_EQ(assumed("caps=ALL").capabilities, Capabilities::all);
  EXPECT_EQ(assumed("caps=net_bind_service").capabilities, Capabilities::net_bind_service);
  EXPECT_EQ(assumed("uid=2147483647").uid, 2147483647U);
}

TEST(Assume, RefusesWhatIsNoSuchPartAndNamesTheValidOnes) {
  for (const char* text : {"",
                           "uid",
                           "uid=",
                           "uid=-1",
                           "uid=+1",
                           "uid= 1",
                           "uid=app",
                           "uid=0x0",
                           "uid=2147483648",
                           "uid=4294967296",
                           "caps=some",
                           "caps=",
                           "start=65536",
                           "start=-1",
                           "uid=1,",
                           ",uid=1",
                           "uid=1,uid=1",
                           "caps=none,caps=none",
                           "user=1",
                           "uid=1 caps=none",
                           "uid=1;caps=none"}) {
    const Invocation result = with_options({"--check", std::string("--assume=") + text});
    EXPECT_THAT(refused(result), HasSubstr("uid=N, gid=N, caps=none|all|net_bind_service, start=PORT")) << text;
    EXPECT_EQ(result.refusal_code, 125);
  }
}

TEST(Assume, GoesWithCheckOnly) {
  EXPECT_EQ(refused(with_options({"--assume=uid=1"})), "PS902: --assume goes with --check only");
}

TEST(Pid, NamesTheProcessInPlaceOfCommand) {
  const Invocation result = parse(Strings{"portshim", "--check", "--pid=17"}, {});
  EXPECT_EQ(refused(result), "");
  EXPECT_EQ(result.options.pid, 17);
  EXPECT_EQ(parse(Strings{"portshim", "--pid", "17", "--check=json"}, {}).options.pid, 17);
  EXPECT_EQ(refused(parse(Strings{"portshim", "--check", "--pid=17", "app"}, {})),
            "PS902: --pid names what to examine, and so does COMMAND");
  EXPECT_EQ(refused(parse(Strings{"portshim", "--pid=17"}, {})), "PS902: --pid goes with --check only");
}

TEST(Pid, IsAPositiveNumber) {
  for (const char* text : {"", "0", "-1", "self", "1x", "2147483648", "+1"}) {
    const Invocation result = parse(Strings{"portshim", "--check", std::string("--pid=") + text}, {});
    EXPECT_THAT(refused(result), HasSubstr("the number of a running process")) << text;
  }
}

// --- Options of --init ---

TEST(Init, IsASwitchAndOffByDefault) {
  EXPECT_FALSE(with_options({}).options.init);
  EXPECT_TRUE(with_options({"--init"}).options.init);
  EXPECT_TRUE(with_variables({"PORTSHIM_INIT=yes"}).options.init);
  EXPECT_FALSE(with_options({"--init=off"}, {"PORTSHIM_INIT=on"}).options.init);
  EXPECT_TRUE(with_options({"--group"}).options.group);
  EXPECT_EQ(refused(with_options({"--group=x"})), "PS902: --group=x is not valid (valid: off, on)");
}

TEST(Init, GraceIsSecondsWithUpToThreeDecimals) {
  const std::vector<std::pair<std::string, int>> valid{{"0", 0},     {"10", 10000},   {"0.5", 500},
                                                       {".25", 250}, {"1.001", 1001}, {"86400", 86400000}};
  for (const auto& [text, milliseconds] : valid) {
    EXPECT_EQ(with_options({"--grace=" + text}).options.grace.count(), milliseconds) << text;
    EXPECT_EQ(with_variables({"PORTSHIM_GRACE=" + text}).options.grace.count(), milliseconds) << text;
  }
  for (const std::string bad : {"", "-1", "+1", "1.", ".", "1.2345", "86400.001", "86401", "99999999999999999999",
                                "1e3", "5s", "0x5", " 5", "1,5", "inf", "nan"}) {
    EXPECT_EQ(refused(with_options({"--grace=" + bad})),
              "PS902: --grace=" + bad + " is not valid (valid: seconds 0..86400, as 10 or 0.5)");
  }
}

TEST(Init, SignalsAreMappedByNameAndNumber) {
  using Map = std::map<int, int>;
  EXPECT_EQ(with_options({"--signal-map=TERM:INT,HUP:0"}).options.signal_map, (Map{{15, 2}, {1, 0}}));
  EXPECT_EQ(with_options({"--signal-map=sigterm:3, 33:RTMIN+1 ,RTMAX:32"}).options.signal_map,
            (Map{{15, 3}, {33, 35}, {64, 32}}));
  EXPECT_EQ(with_options({"--signal-map=USR1:KILL"}).options.signal_map, (Map{{10, 9}}));
  EXPECT_THAT(with_options({"--signal-map="}, {"PORTSHIM_SIGNAL_MAP=TERM:INT"}).options.signal_map, IsEmpty());
}

TEST(Init, TheWrongPairOfASignalMapIsNamedWithTheNearestSignal) {
  const std::string valid =
      " is not valid (valid: OLD:NEW pairs of signals, each OLD once and not KILL, STOP or CHLD, NEW 0 for none, as "
      "TERM:INT,HUP:0)";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"TREM:INT", "; wrong is TREM:INT; did you mean TERM?"},
      {"HUP:INT,TERM:SIGITN", "; wrong is TERM:SIGITN; did you mean INT?"},
      {"TERM", "; wrong is TERM"},
      {"TERM:", "; wrong is TERM:"},
      {":TERM", "; wrong is :TERM"},
      {"KILL:TERM", "; wrong is KILL:TERM"},
      {"STOP:0", "; wrong is STOP:0"},
      {"CHLD:USR1", "; wrong is CHLD:USR1"},
      {"TERM:INT,15:HUP", "; wrong is 15:HUP"},
      {"0:TERM", "; wrong is 0:TERM"},
      {"65:TERM", "; wrong is 65:TERM"},
      {"-1:TERM", "; wrong is -1:TERM"},
      {"TERM:99999999999", "; wrong is TERM:99999999999"},
      {"TERM:INT:HUP", "; wrong is TERM:INT:HUP"},
      {"TERM:INT,,HUP:0", "; wrong is "},
      {"TERM:INT,", ""},
      {"TERM=INT", "; wrong is TERM=INT"}};
  for (const auto& [text, wrong] : cases) {
    const Invocation result = with_options({"--signal-map=" + text});
    EXPECT_EQ(refused(result), "PS902: --signal-map=" + text + valid + wrong);
    EXPECT_EQ(result.refusal_code, 125);
    EXPECT_THAT(result.options.signal_map, IsEmpty());
    EXPECT_EQ(with_variables({"PORTSHIM_SIGNAL_MAP=" + text}).invalid.size(), 1U) << text;
  }
}

TEST(Init, ExitCodesAreMappedByNumberAndSignal) {
  EXPECT_EQ(with_options({"--exit-map=143:0,3:255,SIGINT:1"}).options.exit_map,
            (std::map<int, int>{{143, 0}, {3, 255}, {130, 1}}));
  const std::string valid = " is not valid (valid: OLD:NEW pairs of exit codes 0..255, each OLD once, as 143:0)";
  for (const std::string bad : {"256:0", "0:256", "-1:0", "143", "143:x", "a:b", "99999999999:0"})
    EXPECT_EQ(refused(with_options({"--exit-map=" + bad})), "PS902: --exit-map=" + bad + valid + "; wrong is " + bad);
  EXPECT_EQ(refused(with_options({"--exit-map=1:2,129:3,HUP:4"})),
            "PS902: --exit-map=1:2,129:3,HUP:4" + valid + "; wrong is HUP:4");
}

TEST(Init, AnInvalidVariableStandsForTheDefault) {
  const Invocation result = with_variables(
      {"PORTSHIM_INIT=maybe", "PORTSHIM_GRACE=-1", "PORTSHIM_GROUP=2", "PORTSHIM_SIGNAL_MAP=x", "PORTSHIM_EXIT_MAP=x"});
  EXPECT_EQ(refused(result), "");
  EXPECT_EQ(result.invalid.size(), 5U);
  EXPECT_EQ(result.invalid_in_off, result.invalid);
  EXPECT_THAT(with_variables({"PORTSHIM_MAP=x"}).invalid_in_off, IsEmpty()) << "about ports, which off leaves alone";
  EXPECT_EQ(result.options, with_options({}).options);
}

// --- Guard ---

TEST(GuardOption, HasFourValues) {
  EXPECT_EQ(with_options({}).options.guard, Guard::off);
  EXPECT_EQ(with_options({"--guard=explain"}).options.guard, Guard::explain);
  EXPECT_EQ(with_options({"--guard", "Redirect"}).options.guard, Guard::redirect);
  EXPECT_EQ(with_variables({"PORTSHIM_GUARD=strict"}).options.guard, Guard::strict);
  EXPECT_EQ(with_variables({"PORTSHIM_GUARD="}).options.guard, Guard::off);
}

TEST(GuardOption, NamesTheNearestValue) {
  EXPECT_THAT(refused(with_options({"--guard=redirct"})), HasSubstr("did you mean redirect?"));
  EXPECT_THAT(refused(with_options({"--guard=on"})), HasSubstr("off, explain, redirect, strict"));
  EXPECT_EQ(with_variables({"PORTSHIM_GUARD=on"}).options.guard, Guard::off);
}

// --- User ---

TEST(User, IsTakenAsItIsWritten) {
  for (const std::string text : {"app", "App", "1654:1654", " 0", "-1", "a:b:c", ":"}) {
    EXPECT_EQ(with_options({"--user", text}).options.user, text);
    EXPECT_EQ(with_options({"--user=" + text}).options.user, text);
    EXPECT_EQ(with_variables({"PORTSHIM_USER=" + text}).options.user, text);
    EXPECT_FALSE(with_options({"--user", text}).refusal);
  }
}

TEST(User, OfTheCommandLineWinsAndIsKnownToBeGivenThere) {
  const Invocation result = with_options({"--user=app"}, {"PORTSHIM_USER=other"});
  EXPECT_EQ(result.options.user, "app");
  EXPECT_TRUE(result.given.contains("user"));
  EXPECT_FALSE(with_variables({"PORTSHIM_USER=app"}).given.contains("user"));
}

TEST(User, AnEmptyVariableIsUnsetAndAnEmptyOptionAMistake) {
  EXPECT_EQ(with_variables({"PORTSHIM_USER="}).options.user, "");
  EXPECT_EQ(refused(with_options({"--user="})),
            "PS902: --user= is not valid (valid: USER or USER:GROUP, names or ids, as app or 1654:1654)");
  EXPECT_EQ(refused(parse(Strings{"portshim", "--user"}, {})),
            "PS902: --user needs a value (valid: USER or USER:GROUP, names or ids, as app or 1654:1654)");
}

TEST(User, OfAVariableCountsWhenCalledByAnotherNameToo) {
  EXPECT_EQ(parse(Strings{"dotnet", "App.dll"}, Strings{"PORTSHIM_USER=app"}).options.user, "app");
}

TEST(User, KeepNetBindIsASwitch) {
  EXPECT_FALSE(with_options({}).options.keep_net_bind);
  EXPECT_TRUE(with_options({"--keep-net-bind"}).options.keep_net_bind);
  EXPECT_FALSE(with_options({"--keep-net-bind=off"}, {"PORTSHIM_KEEP_NET_BIND=on"}).options.keep_net_bind);
  EXPECT_TRUE(with_variables({"PORTSHIM_KEEP_NET_BIND=1"}).options.keep_net_bind);
  EXPECT_EQ(invalid(with_variables({"PORTSHIM_KEEP_NET_BIND=maybe"})),
            "PORTSHIM_KEEP_NET_BIND=maybe is not valid (valid: off, on)");
}

TEST(User, OfNestedCommandLinesIsTheInnerOnes) {
  const Strings environment{"PORTSHIM_USER=variable"};
  const Invocation plain = with_options({}, environment);
  const Invocation one = with_options({"--user=one", "--keep-net-bind"}, environment);
  const Invocation two = with_options({"--user=two"}, environment);
  EXPECT_EQ(merge(plain, plain).options.user, "variable");
  EXPECT_EQ(merge(one, plain).options.user, "one");
  EXPECT_EQ(merge(one, two).options.user, "two");
  EXPECT_TRUE(merge(one, two).options.keep_net_bind);
}

// --- Variables ---

TEST(Variables, SetTheirOptions) {
  const Invocation result = with_variables({"PORTSHIM=Validate", "PORTSHIM_FLOOR=1000", "PORTSHIM_MAP=80:8080",
                                            "PORTSHIM_KEEP=yes", "PORTSHIM_EXPAND=1", "PORTSHIM_CODE=rewrite",
                                            "PORTSHIM_LOG_FORMAT=systemd", "PORTSHIM_LOG_LEVEL=debug"});
  EXPECT_THAT(result.invalid, IsEmpty());
  EXPECT_EQ(result.options, (Options{.mode = Mode::validate,
                                     .floor = {FloorKind::number, 1000},
                                     .map = {{80, 8080}},
                                     .keep = true,
                                     .expand = true,
                                     .code = Code::rewrite,
                                     .log_format = log::Format::systemd,
                                     .log_level = Severity::debug,
                                     .install = ""}));
  EXPECT_THAT(result.given, IsEmpty()) << "only the command line counts as given";
}

TEST(Variables, TheModesVariableTakesBooleans) {
  for (const std::string no : {"0", "false", "no", "off"})
    EXPECT_EQ(with_variables({"PORTSHIM=" + no}).options.mode, Mode::off) << no;
  for (const std::string yes : {"1", "TRUE", "yes", "on"})
    EXPECT_EQ(with_variables({"PORTSHIM=" + yes}).options.mode, Mode::rewrite) << yes;
}

TEST(Variables, TheCommandLineWins) {
  const Invocation result =
      with_options({"--mode=explain", "--floor=kernel", "--map=80:1", "--keep=no", "--expand=no", "--code=report",
                    "--log-format=text", "--log-level=error"},
                   {"PORTSHIM=rewrite", "PORTSHIM_FLOOR=7", "PORTSHIM_MAP=80:2", "PORTSHIM_KEEP=1", "PORTSHIM_EXPAND=1",
                    "PORTSHIM_CODE=off", "PORTSHIM_LOG_FORMAT=json", "PORTSHIM_LOG_LEVEL=debug"});
  EXPECT_EQ(result.options, (Options{.mode = Mode::explain,
                                     .floor = {FloorKind::kernel, 0},
                                     .map = {{80, 1}},
                                     .log_level = Severity::error,
                                     .install = ""}));
  EXPECT_THAT(result.given, ElementsAre("code", "expand", "floor", "keep", "log-format", "log-level", "map", "mode"));
}

TEST(Variables, AnInvalidOneThatTheCommandLineReplacesIsNotLookedAt) {
  const Invocation result = with_options({"--mode=rewrite"}, {"PORTSHIM=bogus"});
  EXPECT_THAT(result.invalid, IsEmpty());
  EXPECT_EQ(result.options.mode, Mode::rewrite);
}

TEST(Variables, AnEmptyOneCountsAsUnset) {
  const Invocation result = with_variables({"PORTSHIM=", "PORTSHIM_FLOOR=", "PORTSHIM_MAP=", "PORTSHIM_KEEP=",
                                            "PORTSHIM_EXPAND=", "PORTSHIM_LOG_FORMAT=", "PORTSHIM_LOG_LEVEL="});
  EXPECT_THAT(result.invalid, IsEmpty());
  EXPECT_EQ(result.options, Options{});
}

TEST(Variables, NamesAreCaseSensitive) {
  EXPECT_EQ(with_variables({"portshim=rewrite", "Portshim_Keep=1"}).options, Options{});
}

TEST(Variables, UnknownOnesAreIgnored) {
  const Invocation result = with_variables({"PORTSHIM_PORT=tcp://10.0.0.1:80", "PORTSHIM_SERVICE_HOST=10.0.0.1",
                                            "PORTSHIM_MODE=rewrite", "PORTSHIM_CHECK=json", "PORTSHIM_HELP=1"});
  EXPECT_THAT(result.invalid, IsEmpty());
  EXPECT_EQ(result.options, Options{});
}

TEST(Variables, AnInvalidModeIsExplain) {
  const Invocation result = with_variables({"PORTSHIM=rewrte"});
  EXPECT_EQ(invalid(result),
            "PORTSHIM=rewrte is not valid (valid: off, explain, validate, rewrite); did you mean rewrite?");
  EXPECT_EQ(result.invalid[0].did, "explain is used instead");
  EXPECT_EQ(result.invalid[0].next, "correct or remove PORTSHIM");
  EXPECT_EQ(result.options.mode, Mode::explain);
  EXPECT_EQ(result.options.log_level, Severity::info) << "the default of explain";
}

TEST(Variables, OtherInvalidOnesAreTheirDefaults) {
  const Invocation floor = with_variables({"PORTSHIM_FLOOR=kernal"});
  EXPECT_EQ(invalid(floor),
            "PORTSHIM_FLOOR=kernal is not valid (valid: portable, kernel, or a port 0..65535); did you mean kernel?");
  EXPECT_EQ(floor.invalid[0].did, "portable is used instead");
  EXPECT_EQ(floor.options.floor, Floor{});

  const Invocation map = with_variables({"PORTSHIM_MAP=80"});
  EXPECT_EQ(invalid(map),
            "PORTSHIM_MAP=80 is not valid (valid: OLD:NEW pairs of ports 1..65535, each OLD once, as "
            "80:8080,443:8443)");
  EXPECT_EQ(map.invalid[0].did, "the default is used instead");
  EXPECT_THAT(map.options.map, IsEmpty());

  const Invocation keep = with_variables({"PORTSHIM_KEEP=2"});
  EXPECT_EQ(invalid(keep), "PORTSHIM_KEEP=2 is not valid (valid: off, on)");
  EXPECT_EQ(keep.invalid[0].did, "off is used instead");
  EXPECT_FALSE(keep.options.keep);

  const Invocation expand = with_variables({"PORTSHIM_EXPAND=flase "});
  EXPECT_EQ(invalid(expand), "PORTSHIM_EXPAND=flase  is not valid (valid: off, on); did you mean false?");
  EXPECT_FALSE(expand.options.expand);
}

TEST(Variables, InvalidLogSettingsAreTheirDefaults) {
  const Invocation format = with_variables({"PORTSHIM_LOG_FORMAT=xml", "Logging__Console__FormatterName=json"});
  EXPECT_EQ(invalid(format), "PORTSHIM_LOG_FORMAT=xml is not valid (valid: auto, text, systemd, json)");
  EXPECT_EQ(format.invalid[0].did, "auto is used instead");
  EXPECT_EQ(format.options.log_format, log::Format::json);

  const Invocation level = with_variables({"PORTSHIM_LOG_LEVEL=trace", "PORTSHIM=explain"});
  EXPECT_EQ(invalid(level), "PORTSHIM_LOG_LEVEL=trace is not valid (valid: warning, info, error, debug)");
  EXPECT_EQ(level.invalid[0].did, "the default is used instead");
  EXPECT_EQ(level.options.log_level, Severity::info);
}

TEST(Variables, AllInvalidOnesAreReported) {
  EXPECT_THAT(with_variables({"PORTSHIM=x", "PORTSHIM_FLOOR=x", "PORTSHIM_MAP=x", "PORTSHIM_KEEP=x",
                              "PORTSHIM_EXPAND=x", "PORTSHIM_LOG_FORMAT=x", "PORTSHIM_LOG_LEVEL=x"})
                  .invalid,
              SizeIs(7));
}

TEST(Variables, InvalidValuesAreQuoted) {
  EXPECT_EQ(invalid(with_variables({"PORTSHIM_KEEP=\x1b[31m\xFF"})),
            "PORTSHIM_KEEP=\\u001b[31m\uFFFD is not valid (valid: off, on)");
  EXPECT_THAT(invalid(with_variables({"PORTSHIM_MAP=" + std::string(1 << 20, '8')})),
              StartsWith("PORTSHIM_MAP=" + std::string(256, '8') + "... is not valid"));
}

TEST(Variables, TheFirstEntryOfANameCounts) {
  EXPECT_EQ(with_variables({"PORTSHIM=explain", "PORTSHIM=rewrite"}).options.mode, Mode::explain);
}

TEST(Variables, AreFoundByTheirWholeName) {
  const Strings environment{"AB=1", "A", "A=2", "A=3", "=4", "C=", "D=x=y"};
  EXPECT_EQ(environment::value(environment, "A"), "2");
  EXPECT_EQ(environment::value(environment, "C"), "");
  EXPECT_EQ(environment::value(environment, "D"), "x=y");
  EXPECT_EQ(environment::value(environment, "B"), std::nullopt);
  EXPECT_EQ(environment::value(environment, "ABC"), std::nullopt);
}

TEST(Variables, AHundredThousandOfThemAreRead) {
  Strings environment(100'000, "PORTSHIM_FLOORS=1");
  environment.emplace_back("PORTSHIM=rewrite");
  EXPECT_EQ(with_variables(environment).options.mode, Mode::rewrite);
}

// --- Log ---

log::Format format_beside(const std::string& entry) {
  return with_variables({entry}).options.log_format;
}

TEST(LogFormat, FollowsTheAppsFormatter) {
  EXPECT_EQ(format_beside("Logging__Console__FormatterName=simple"), log::Format::text);
  EXPECT_EQ(format_beside("Logging__Console__FormatterName=systemd"), log::Format::systemd);
  EXPECT_EQ(format_beside("Logging__Console__FormatterName=Json"), log::Format::json);
  EXPECT_EQ(format_beside("LOGGING__CONSOLE__FORMATTERNAME=JSON"), log::Format::json);
}

TEST(LogFormat, IsTextForEveryOtherFormatter) {
  EXPECT_EQ(format_beside("Logging__Console__FormatterName=mine"), log::Format::text);
  EXPECT_EQ(format_beside("Logging__Console__FormatterName=auto"), log::Format::text);
  EXPECT_EQ(format_beside("Logging__Console__FormatterName="), log::Format::text);
  EXPECT_EQ(format_beside("Logging__Console__FormatterNameX=json"), log::Format::text);
}

TEST(LogFormat, AutoFollowsAndOthersDoNot) {
  const Strings app{"Logging__Console__FormatterName=json", "PORTSHIM_LOG_FORMAT=systemd"};
  EXPECT_EQ(with_options({"--log-format=auto"}, app).options.log_format, log::Format::json);
  EXPECT_EQ(with_options({"--log-format=text"}, app).options.log_format, log::Format::text);
  EXPECT_EQ(with_options({}, app).options.log_format, log::Format::systemd);
}

TEST(LogLevel, IsWarningAndInExplainInfo) {
  for (const std::string mode : {"off", "validate", "rewrite"})
    EXPECT_EQ(with_options({"--mode=" + mode}).options.log_level, Severity::warning) << mode;
  EXPECT_EQ(with_options({"--mode=explain"}).options.log_level, Severity::info);
  EXPECT_EQ(with_variables({"PORTSHIM=explain"}).options.log_level, Severity::info);
}

TEST(LogLevel, WhatIsSetCountsInExplainToo) {
  EXPECT_EQ(with_options({"--mode=explain", "--log-level=warning"}).options.log_level, Severity::warning);
  EXPECT_EQ(with_variables({"PORTSHIM=explain", "PORTSHIM_LOG_LEVEL=error"}).options.log_level, Severity::error);
}

// --- Another name ---

TEST(OtherName, EverythingIsTheApps) {
  const Invocation result = parse(Strings{"/usr/bin/dotnet", "--help", "--bogus"}, Strings{"PORTSHIM=rewrite"});
  EXPECT_TRUE(result.by_other_name);
  EXPECT_FALSE(result.refusal);
  EXPECT_EQ(result.command, 0U);
  EXPECT_FALSE(result.options.help);
  EXPECT_EQ(result.options.mode, Mode::rewrite);
}

TEST(OtherName, NeedsNoArguments) {
  EXPECT_FALSE(parse(Strings{"dotnet"}, {}).refusal);
}

TEST(OtherName, TheLastComponentOfThePathCounts) {
  EXPECT_TRUE(parse(Strings{"/portshim/dotnet"}, {}).by_other_name);
  EXPECT_TRUE(parse(Strings{"my-portshim"}, {}).by_other_name);
  EXPECT_TRUE(parse(Strings{""}, {}).by_other_name);
  EXPECT_FALSE(parse(Strings{"/dotnet/portshim", "app"}, {}).by_other_name);
}

TEST(OtherName, NamesThatBeginWithPortshimAreItsOwn) {
  EXPECT_FALSE(parse(Strings{"./portshim-0.1.0-x64", "app"}, {}).by_other_name);
  EXPECT_TRUE(parse(Strings{"/x/portshim.static", "--help"}, {}).options.help);
}

// --- Nesting ---

TEST(Nesting, TheInnerCommandLineWinsOverTheOuterOne) {
  const Invocation outer = with_options({"--mode=off", "--map=80:1", "--keep", "--floor=5"});
  const Invocation inner = with_options({"--mode=rewrite", "--map=80:2", "--keep=no", "--floor=kernel"});
  EXPECT_EQ(merge(outer, inner).options, inner.options);
}

TEST(Nesting, TheOuterCommandLineWinsOverVariables) {
  const Strings environment{"PORTSHIM=off", "PORTSHIM_KEEP=off", "PORTSHIM_LOG_LEVEL=debug"};
  const Invocation outer = with_options({"--mode=rewrite", "--check=json", "--expand"}, environment);
  const Invocation inner = with_options({"--keep"}, environment);
  EXPECT_EQ(merge(outer, inner).options, (Options{.mode = Mode::rewrite,
                                                  .floor = {},
                                                  .map = {},
                                                  .keep = true,
                                                  .expand = true,
                                                  .log_level = Severity::debug,
                                                  .check = Check::json,
                                                  .install = ""}));
}

TEST(Nesting, EveryOptionOfEitherCommandLineCounts) {
  const Invocation plain = with_options({});
  const Invocation full =
      with_options({"--mode=validate", "--floor=5", "--map=80:2", "--keep", "--expand", "--code=rewrite",
                    "--log-format=json", "--log-level=error", "--init", "--grace=5", "--group", "--signal-map=TERM:INT",
                    "--exit-map=143:0", "--check=json", "--help", "--version"});
  EXPECT_EQ(merge(plain, full).options, full.options);
  EXPECT_EQ(merge(full, plain).options, full.options);
}

TEST(Nesting, ALevelThatNobodyGaveFollowsTheModeThatCounts) {
  const Invocation plain = with_options({});
  const Invocation explain = with_options({"--mode=explain"});
  const Invocation rewrite = with_options({"--mode=rewrite"});
  EXPECT_EQ(merge(plain, explain).options.log_level, Severity::info);
  EXPECT_EQ(merge(explain, plain).options.log_level, Severity::info);
  EXPECT_EQ(merge(explain, rewrite).options.log_level, Severity::warning);
  EXPECT_EQ(merge(with_options({"--log-level=error"}), explain).options.log_level, Severity::error);
}

TEST(Nesting, TheTailOfALongerArgvIsParsedAlike) {
  const Strings argv{"portshim", "--keep", "portshim", "--expand", "app"};
  const Invocation inner = parse(std::span(argv).subspan(2), {});
  EXPECT_EQ(inner.command, 2U) << "counted from the tail's beginning";
  EXPECT_THAT(inner.given, ElementsAre("expand"));
}

// --- Help ---

Strings lines(const std::string& text) {
  std::istringstream stream(text);
  Strings result;
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

TEST(Help, IsShort) {
  EXPECT_LE(lines(help()).size(), 100U);
  for (const std::string& line : lines(help())) EXPECT_LE(line.size(), 100U) << line;
  EXPECT_TRUE(help().ends_with("\n"));
  EXPECT_FALSE(help().ends_with("\n\n"));
}

TEST(Help, BeginsWithTheUsage) {
  EXPECT_THAT(help(), StartsWith("usage: portshim [OPTIONS] [--] COMMAND [ARG...]\n"));
}

TEST(Help, HasOneLineForEveryOptionWithItsVariable) {
  const Strings all = lines(help());
  const std::vector<std::pair<std::string, std::string>> options{{"--mode ", " PORTSHIM "},
                                                                 {"--floor ", " PORTSHIM_FLOOR "},
                                                                 {"--map ", " PORTSHIM_MAP "},
                                                                 {"--keep ", " PORTSHIM_KEEP "},
                                                                 {"--expand ", " PORTSHIM_EXPAND "},
                                                                 {"--code ", " PORTSHIM_CODE "},
                                                                 {"--log-format ", " PORTSHIM_LOG_FORMAT "},
                                                                 {"--log-level ", " PORTSHIM_LOG_LEVEL "},
                                                                 {"--init ", " PORTSHIM_INIT "},
                                                                 {"--grace ", " PORTSHIM_GRACE "},
                                                                 {"--group ", " PORTSHIM_GROUP "},
                                                                 {"--signal-map ", " PORTSHIM_SIGNAL_MAP "},
                                                                 {"--exit-map ", " PORTSHIM_EXIT_MAP "},
                                                                 {"--check ", " text, json"},
                                                                 {"--install ", " the path of a file"},
                                                                 {"--pid ", ""},
                                                                 {"--assume ", " uid=N"},
                                                                 {"--help ", ""},
                                                                 {"--version ", ""}};
  for (const auto& [option, variable] : options) {
    const auto line = std::ranges::find_if(all, [&](const std::string& text) { return text.starts_with(option); });
    ASSERT_NE(line, all.end()) << option;
    EXPECT_THAT(*line, HasSubstr(variable));
  }
}

TEST(Help, ExplainsModesAndExitCodes) {
  for (const char* line : {"\n  off  ", "\n  explain  ", "\n  validate  ", "\n  rewrite  ", "\n  78  ", "\n  125  ",
                           "\n  126  ", "\n  127  ", "\nExamples:\n"})
    EXPECT_THAT(help(), HasSubstr(line));
}

TEST(Version, IsNameAndNumber) {
  EXPECT_EQ(version(), "portshim 0.1.0\n");
}

TEST(ModeNames, AreThoseOfTheCommandLine) {
  for (const Mode mode : {Mode::off, Mode::explain, Mode::validate, Mode::rewrite})
    EXPECT_EQ(with_options({"--mode", std::string(to_string(mode))}).options.mode, mode);
  EXPECT_EQ(to_string(Mode::validate), "validate");
}

TEST(Options, AnOptionOnEitherOfTheNestedCommandLinesSilencesItsVariable) {
  const std::vector<std::string> environment = {"PORTSHIM=nonsense", "PORTSHIM_FLOOR=nonsense"};
  const Invocation outer = parse(std::vector<std::string>{"portshim", "--mode=rewrite", "portshim"}, environment);
  const Invocation inner = parse(std::vector<std::string>{"portshim", "--floor=kernel", "app"}, environment);
  EXPECT_EQ(outer.invalid.size(), 1U);
  EXPECT_EQ(inner.invalid.size(), 1U);
  EXPECT_TRUE(merge(outer, inner).invalid.empty());
  EXPECT_EQ(merge(outer, outer).invalid.size(), 1U);
}

TEST(Options, WhatTheOutermostCommandLineGivesIsKeptThroughThreeOfThem) {
  const Invocation outer = parse(std::vector<std::string>{"portshim", "--keep", "portshim"}, {});
  const Invocation plain = parse(std::vector<std::string>{"portshim", "app"}, {});
  EXPECT_TRUE(merge(merge(outer, plain), plain).options.keep);
}

}  // namespace
}  // namespace portshim::options
