#include "shim/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidjson/reader.h>

#include <map>

#include "tests/support/fake_system.h"

namespace portshim::log {
namespace {

using finding::Finding;
using finding::Id;
using finding::Severity;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using testing::StartsWith;

Finding example(Severity severity = Severity::warning) {
  return {.id = Id::low_port,
          .severity = severity,
          .what = "ASPNETCORE_URLS=http://+:80 asks for port 80",
          .why = "not effective",
          .did = "ASPNETCORE_URLS=http://+:8080",
          .next = "send traffic to 8080"};
}

Finding short_example(Severity severity = Severity::error) {
  return {.id = Id::will_fail, .severity = severity, .what = "W", .why = "", .did = "", .next = "N"};
}

/// The strings of a JSON text by name, without regard to nesting; empty when it is no valid JSON in valid UTF-8.
class JsonStrings : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, JsonStrings> {
 public:
  static std::map<std::string, std::string> of(const std::string& json) {
    JsonStrings strings;
    rapidjson::StringStream stream(json.c_str());
    const auto result = rapidjson::Reader().Parse<rapidjson::kParseValidateEncodingFlag>(stream, strings);
    return result.IsError() ? std::map<std::string, std::string>{} : strings.values_;
  }

  // Called by rapidjson::Reader.
  bool Key(const char* text, rapidjson::SizeType length, bool /*copy*/) {
    name_.assign(text, length);
    return true;
  }
  bool String(const char* text, rapidjson::SizeType length, bool /*copy*/) {
    values_[name_].assign(text, length);
    return true;
  }

 private:
  std::string name_;
  std::map<std::string, std::string> values_;
};

/// A field that tries to end its line, to turn colours on and to be invalid UTF-8.
const std::string kHostile = "a\nb\x1b[31m\xC2\x85\xFF\"\\";
const std::string kHarmless = "a\\nb\\u001b[31m\\u0085\uFFFD\"\\";

TEST(TextFormat, HasOneLabelledLinePerField) {
  EXPECT_EQ(as_text(example(), false),
            "portshim: warning PS101: ASPNETCORE_URLS=http://+:80 asks for port 80\n"
            "  why:  not effective\n"
            "  did:  ASPNETCORE_URLS=http://+:8080\n"
            "  next: send traffic to 8080\n");
}

TEST(TextFormat, LeavesOutLinesOfEmptyFields) {
  EXPECT_EQ(as_text(short_example(), false), "portshim: error PS201: W\n  next: N\n");
}

TEST(TextFormat, NamesEverySeverity) {
  EXPECT_THAT(as_text(example(Severity::debug), false), StartsWith("portshim: debug PS101: "));
  EXPECT_THAT(as_text(example(Severity::info), false), StartsWith("portshim: info PS101: "));
}

TEST(TextFormat, ColourWrapsSeverityAndIdAndNothingElse) {
  EXPECT_EQ(as_text(short_example(Severity::error), true), "portshim: \x1b[31merror PS201\x1b[0m: W\n  next: N\n");
  EXPECT_EQ(as_text(short_example(Severity::warning), true), "portshim: \x1b[33mwarning PS201\x1b[0m: W\n  next: N\n");
}

TEST(TextFormat, InfoAndDebugHaveNoColour) {
  EXPECT_EQ(as_text(short_example(Severity::info), true), "portshim: info PS201: W\n  next: N\n");
  EXPECT_EQ(as_text(short_example(Severity::debug), true), "portshim: debug PS201: W\n  next: N\n");
}

TEST(TextFormat, FieldsCannotForgeLines) {
  const Finding hostile{Id::low_port, Severity::error, kHostile, kHostile, kHostile, kHostile};
  EXPECT_EQ(as_text(hostile, false), "portshim: error PS101: " + kHarmless + "\n  why:  " + kHarmless +
                                         "\n  did:  " + kHarmless + "\n  next: " + kHarmless + "\n");
}

TEST(SystemdFormat, IsOneLineWithPriorityCategoryAndNumber) {
  EXPECT_EQ(as_systemd(example()),
            "<4>portshim[101] ASPNETCORE_URLS=http://+:80 asks for port 80 why: not effective "
            "did: ASPNETCORE_URLS=http://+:8080 next: send traffic to 8080\n");
}

TEST(SystemdFormat, LeavesOutEmptyFields) {
  EXPECT_EQ(as_systemd(short_example()), "<3>portshim[201] W next: N\n");
}

TEST(SystemdFormat, PrioritiesAreThoseOfSyslog) {
  EXPECT_THAT(as_systemd(example(Severity::error)), StartsWith("<3>"));
  EXPECT_THAT(as_systemd(example(Severity::warning)), StartsWith("<4>"));
  EXPECT_THAT(as_systemd(example(Severity::info)), StartsWith("<6>"));
  EXPECT_THAT(as_systemd(example(Severity::debug)), StartsWith("<7>"));
}

TEST(SystemdFormat, FieldsCannotForgeLines) {
  const Finding hostile{Id::low_port, Severity::error, kHostile, "", "", kHostile};
  EXPECT_EQ(as_systemd(hostile), "<3>portshim[101] " + kHarmless + " next: " + kHarmless + "\n");
}

TEST(JsonFormat, IsOneLineOfTheFieldsOfJsonConsoleFormatter) {
  EXPECT_EQ(as_json(short_example()),
            R"({"EventId":201,"LogLevel":"Error","Category":"portshim","Message":"W next: N",)"
            R"("State":{"Message":"W next: N","Id":"PS201","What":"W","Why":"","Did":"","Next":"N",)"
            R"("{OriginalFormat}":"{What} next: {Next}"}})"
            "\n");
}

TEST(JsonFormat, MessageIsTheTemplateFilledIn) {
  const std::string message =
      "ASPNETCORE_URLS=http://+:80 asks for port 80 why: not effective did: ASPNETCORE_URLS=http://+:8080 "
      "next: send traffic to 8080";
  EXPECT_THAT(as_json(example()), HasSubstr(R"("Category":"portshim","Message":")" + message + R"(","State":)"));
  const auto strings = JsonStrings::of(as_json(example()));
  EXPECT_THAT(strings, Contains(Pair("{OriginalFormat}", "{What} why: {Why} did: {Did} next: {Next}")));
  EXPECT_THAT(strings, Contains(Pair("Message", message))) << "of State";
  EXPECT_THAT(strings, Contains(Pair("Why", "not effective")));
  EXPECT_THAT(strings, Contains(Pair("Did", "ASPNETCORE_URLS=http://+:8080")));
}

TEST(JsonFormat, LevelsAreThoseOfMicrosoftExtensionsLogging) {
  EXPECT_THAT(as_json(example(Severity::error)), HasSubstr(R"("LogLevel":"Error")"));
  EXPECT_THAT(as_json(example(Severity::warning)), HasSubstr(R"("LogLevel":"Warning")"));
  EXPECT_THAT(as_json(example(Severity::info)), HasSubstr(R"("LogLevel":"Information")"));
  EXPECT_THAT(as_json(example(Severity::debug)), HasSubstr(R"("LogLevel":"Debug")"));
}

TEST(JsonFormat, IsValidUtf8WhateverTheFieldsHold) {
  const Finding hostile{Id::low_port, Severity::error, kHostile, kHostile, kHostile, kHostile};
  const std::string line = as_json(hostile);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto strings = JsonStrings::of(line);
  for (const char* field : {"What", "Why", "Did", "Next"}) EXPECT_THAT(strings, Contains(Pair(field, kHarmless)));
}

TEST(JsonFormat, KeepsTextThatIsNotAscii) {
  Finding finding = short_example();
  finding.what = "Größe";
  EXPECT_THAT(as_json(finding), HasSubstr(R"("What":"Größe")"));
}

TEST(Log, WritesEachFindingInOneWriteToStderr) {
  support::FakeSystem system;
  Log log(system, Format::text, Severity::debug, false);
  log.say(example());
  log.say(short_example());
  EXPECT_THAT(system.writes, ElementsAre(Pair(2, as_text(example(), false)), Pair(2, as_text(short_example(), false))));
}

TEST(Log, KeepsWhatIsBelowTheLeastSeverityToItself) {
  support::FakeSystem system;
  Log log(system, Format::systemd, Severity::warning, false);
  log.say(example(Severity::debug));
  log.say(example(Severity::info));
  EXPECT_THAT(system.writes, ElementsAre());
  log.say(example(Severity::warning));
  log.say(example(Severity::error));
  EXPECT_THAT(system.writes, testing::SizeIs(2));
}

TEST(Log, WritesTheFormatThatWasAskedFor) {
  support::FakeSystem system;
  Log(system, Format::systemd, Severity::debug, true).say(example());
  Log(system, Format::json, Severity::debug, true).say(example());
  Log(system, Format::text, Severity::debug, true).say(example());
  EXPECT_EQ(system.written(2), as_systemd(example()) + as_json(example()) + as_text(example(), true));
}

TEST(Log, OnlyTextIsEverColoured) {
  support::FakeSystem system;
  Log(system, Format::systemd, Severity::debug, true).say(example());
  Log(system, Format::json, Severity::debug, true).say(example());
  EXPECT_THAT(system.written(2), Not(HasSubstr("\x1b")));
}

TEST(WantsColour, IsForATerminalThatDoesNotRefuseIt) {
  EXPECT_TRUE(wants_colour(true, "", "xterm"));
  EXPECT_FALSE(wants_colour(false, "", "xterm")) << "no terminal";
  EXPECT_FALSE(wants_colour(true, "1", "xterm")) << "NO_COLOR";
  EXPECT_FALSE(wants_colour(true, "", "dumb")) << "TERM=dumb";
  EXPECT_FALSE(wants_colour(true, "", "")) << "no TERM";
}

TEST(TerminationMessage, IsTheFirstLineOfTheFirstError) {
  Finding error = example(Severity::error);
  error.what = "gone\nfor good";
  EXPECT_EQ(termination_message(std::vector{example(), error, example(Severity::error)}),
            "portshim: error PS101: gone\\nfor good\n");
  EXPECT_EQ(termination_message(std::vector{example()}),
            "portshim: warning PS101: ASPNETCORE_URLS=http://+:80 asks for port 80\n");
  EXPECT_EQ(termination_message({}), "");
}

TEST(TerminationMessage, HasAtMost4096BytesAndIsCutBetweenCharacters) {
  for (std::size_t padding = 0; padding < 4; ++padding) {
    Finding error = example(Severity::error);
    error.what.assign(padding, 'x');
    for (int i = 0; i < 3000; ++i) error.what += "\u20ac";
    const std::string text = termination_message(std::vector{error});
    EXPECT_LE(text.size(), 4096U);
    EXPECT_GE(text.size(), 4093U);
    EXPECT_TRUE(text.ends_with("\u20ac\n"));
  }
}

}  // namespace
}  // namespace portshim::log
