#include "shim/finding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

namespace portshim::finding {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::Gt;
using testing::HasSubstr;
using testing::Le;
using testing::Not;

std::string header() {
  std::ifstream file(PORTSHIM_SOURCE_DIR "/shim/finding.h");
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Quote, MasksValuesByTheNameOfASecret) {
  EXPECT_EQ(quote("http://+:80;Password=a b"), "http://+:80;Password=***");
  EXPECT_EQ(quote("Server=tcp:db,1433;User Id=app;Pwd=x=y;"), "Server=tcp:db,1433;User Id=app;Pwd=***;");
  EXPECT_EQ(quote("Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=abc="),
            "Endpoint=sb://x/;SharedAccessKeyName=***;SharedAccessKey=***");
  EXPECT_EQ(quote("AccountKey=abc;access_token=d;CLIENT-SECRET=e"),
            "AccountKey=***;access_token=***;CLIENT-SECRET=***");
  EXPECT_EQ(quote("Invalid url: 'Password=x'"), "Invalid url: 'Password=***'");
  EXPECT_EQ(quote("password=secret token=other"), "password=***");
}

TEST(Quote, MasksAllOfAQueryAndAFragment) {
  EXPECT_EQ(quote("http://+:80/x?a=b&c;http://+:81"), "http://+:80/x?***;http://+:81");
  EXPECT_EQ(quote("http://+:80?a=b;c=d&e=f"), "http://+:80?***");
  EXPECT_EQ(quote("http://+:80#a;https://+:443?b"), "http://+:80#***;https://+:443?***");
  EXPECT_EQ(quote("http://u:p@+:80?a"), "http://***@+:80?***");
  EXPECT_EQ(quote("Invalid url: 'http://+:80?a'. See http://x/ why? #1"),
            "Invalid url: 'http://+:80?***'. See http://x/ why? #1");
  EXPECT_EQ(quote("'http://+:80?a b', 'http://+:81?b c'."), "'http://+:80?***'http://+:81?***'.")
      << "too much, if in doubt";
  EXPECT_EQ(quote("http://+:80?a=b c"), "http://+:80?***");
  EXPECT_EQ(quote("http://+:80?a='b"), "http://+:80?***");
  EXPECT_EQ(quote("argv[1] '--urls=http://+:80?a b' and more"), "argv[1] '--urls=http://+:80?***' and more");
}

TEST(Quote, MasksAQueryWithoutAScheme) {
  EXPECT_EQ(quote("80?a"), "80?***");
  EXPECT_EQ(quote("+:80#a;b=c;d"), "+:80#***;***;***");
  EXPECT_EQ(quote("'80?a' is no integer?"), "'80?***' is no integer?");
  EXPECT_EQ(quote("/app/C#/App.dll #1"), "/app/C#/App.dll #1");
}

TEST(Quote, MasksWhatTheSemicolonCutOffFromAQuery) {
  EXPECT_EQ(quote("http://+:80;b=c;d"), "http://+:80;b=***;d");
  EXPECT_EQ(quote("http://+:80;b=c=d;http://+:81"), "http://+:80;b=***;http://+:81");
  EXPECT_EQ(quote("Invalid url: 'b=c'"), "Invalid url: 'b=***'");
  EXPECT_EQ(quote("'80;b=c' is no integer"), "'80;b=***' is no integer");
  EXPECT_EQ(quote("argv[1] '--urls=+:80'"), "argv[1] '--urls=+:80'");
}

TEST(Quote, APathOfASocketHasNoUserInfo) {
  EXPECT_EQ(quote("http://unix:/tmp/a@b/x.sock"), "http://unix:/tmp/a@b/x.sock");
  EXPECT_EQ(quote("http://unix:pass@b/x"), "http://***@b/x");
}

TEST(Quote, LeavesOtherNamesAndValuesReadable) {
  for (const char* text : {"ASPNETCORE_URLS=http://+:80;https://+:443", "--urls=http://+:80", "Key",
                           "Password=", "monkey=1", "TOKENS=3", "a=1;b=2&c=3", "Password=;a=1", "=", "==;="}) {
    EXPECT_EQ(quote(text), text);
  }
}

TEST(FindingTable, HasOneRowForEveryIdOfTheHeaderInItsOrder) {
  const std::string text = header();
  const std::regex id(R"(\n  [a-z_]+ = ([0-9]{3}),)");
  std::vector<int> expected;
  for (std::sregex_iterator match(text.begin(), text.end(), id), end; match != end; ++match)
    expected.push_back(std::stoi((*match)[1]));
  std::vector<int> rows;
  for (const Entry& entry : table()) rows.push_back(static_cast<int>(entry.id));
  ASSERT_GT(expected.size(), 30U);
  EXPECT_EQ(rows, expected);
}

TEST(FindingTable, TitlesDiffer) {
  std::set<std::string_view> titles;
  for (const Entry& entry : table()) titles.insert(entry.title);
  EXPECT_EQ(titles.size(), table().size());
}

TEST(FindingTable, TitlesAreShortAndFitIntoAMarkdownTable) {
  for (const Entry& entry : table()) {
    EXPECT_THAT(entry.title.size(), AllOf(Gt(10U), Le(100U))) << entry.title;
    EXPECT_THAT(entry.title, AllOf(Not(EndsWith(".")), Not(HasSubstr("|"))));
  }
}

TEST(FindingId, IsPrintedAsPsAndItsNumber) {
  EXPECT_EQ(to_string(Id::low_port), "PS101");
  EXPECT_EQ(to_string(Id::own_failure), "PS905");
}

TEST(FindingSeverity, IsPrintedAsOneWord) {
  EXPECT_EQ(to_string(Severity::debug), "debug");
  EXPECT_EQ(to_string(Severity::info), "info");
  EXPECT_EQ(to_string(Severity::warning), "warning");
  EXPECT_EQ(to_string(Severity::error), "error");
}

TEST(Quote, OrdinaryTextStaysAsItIs) {
  EXPECT_EQ(quote(""), "");
  EXPECT_EQ(quote("http://+:80;https://[::1]:443/a/b=\"c\\d\""), "http://+:80;https://[::1]:443/a/b=\"c\\d\"");
  EXPECT_EQ(quote("Größe \u4e2d\u6587 \U0001F600"), "Größe \u4e2d\u6587 \U0001F600");
}

TEST(Quote, LineEndsAndTabsAreShownAsInC) {
  EXPECT_EQ(quote("a\nb\rc\td"), "a\\nb\\rc\\td");
}

TEST(Quote, C0AndDelAreEscaped) {
  EXPECT_EQ(quote(std::string("\0\x1b[31m\x1f\x7f", 8)), "\\u0000\\u001b[31m\\u001f\\u007f");
  EXPECT_EQ(quote(" ~"), " ~");
}

TEST(Quote, C1IsEscaped) {
  EXPECT_EQ(quote("\xC2\x80\xC2\x85\xC2\x9B\xC2\x9F"), "\\u0080\\u0085\\u009b\\u009f");
  EXPECT_EQ(quote("\u00a0"), "\u00a0");
}

TEST(Quote, LineAndParagraphSeparatorsAreEscaped) {
  EXPECT_EQ(quote("\u2028\u2029"), "\\u2028\\u2029");
}

TEST(Quote, BidirectionalControlsAreEscaped) {
  EXPECT_EQ(quote("\u061c\u200e\u200f"), R"(\u061c\u200e\u200f)");
  EXPECT_EQ(quote("\u202a\u202b\u202d\u202e\u202c\u202c\u202c\u202c"),
            R"(\u202a\u202b\u202d\u202e\u202c\u202c\u202c\u202c)");
  EXPECT_EQ(quote("\u2066\u2067\u2068\u2069\u2069\u2069"), R"(\u2066\u2067\u2068\u2069\u2069\u2069)");
}

TEST(Quote, NeighboursOfTheEscapedCharactersStay) {
  for (const std::string_view text : {"\u061b", "\u061d", "\u200d", "\u2010", "\u2027", "\u202f", "\u2065", "\u206a"})
    EXPECT_EQ(quote(text), text);
}

TEST(Quote, BytesThatBeginNoCharacterAreReplacedOneByOne) {
  EXPECT_EQ(quote("a\x80\xBF\xFF\xFE\xF5z"), "a\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDz");
}

TEST(Quote, OverlongFormsAreReplaced) {
  EXPECT_EQ(quote("\xC0\xAF"), "\uFFFD\uFFFD");
  EXPECT_EQ(quote("\xC1\xBF"), "\uFFFD\uFFFD");
  EXPECT_EQ(quote("\xE0\x80\x8A"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(quote("\xF0\x80\x80\x8A"), "\uFFFD\uFFFD\uFFFD\uFFFD");
}

TEST(Quote, SurrogatesAreReplaced) {
  EXPECT_EQ(quote("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(quote("\xED\xBF\xBF"), "\uFFFD\uFFFD\uFFFD");
}

TEST(Quote, WhatIsBeyondUnicodeIsReplaced) {
  EXPECT_EQ(quote("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(quote("\xF5\x80\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
}

TEST(Quote, TheBordersOfUnicodeStay) {
  for (const std::string_view text :
       {"~", "\u0100", "\u0800", "\uD7FF", "\uE000", "\uFFFF", "\U00010000", "\U0010FFFF"})
    EXPECT_EQ(quote(text), text);
}

TEST(Quote, AnUnfinishedCharacterIsReplacedOnceAndSwallowsNothing) {
  EXPECT_EQ(quote("\xE2\x82"), "\uFFFD");
  EXPECT_EQ(quote("\xF0\x9F\x98(x"), "\uFFFD(x");
  EXPECT_EQ(quote("\xE2\x82\xE2\x82\xAC"), "\uFFFD\u20ac");
  EXPECT_EQ(quote("\xC2\nx"), "\uFFFD\\nx");
}

TEST(Quote, TextOf256BytesIsWhole) {
  EXPECT_EQ(quote(std::string(256, 'x')), std::string(256, 'x'));
}

TEST(Quote, LongerTextIsCutAndMarked) {
  EXPECT_EQ(quote(std::string(257, 'x')), std::string(256, 'x') + "...");
}

TEST(Quote, IsCutBetweenCharacters) {
  EXPECT_EQ(quote(std::string(255, 'x') + "\u20ac"), std::string(255, 'x') + "...");
  EXPECT_EQ(quote(std::string(253, 'x') + "\u20acy"), std::string(253, 'x') + "\u20ac...");
}

TEST(Quote, IsCutBetweenEscapes) {
  EXPECT_EQ(quote(std::string(251, 'x') + "\x1b"), std::string(251, 'x') + "...");
}

TEST(Quote, WhatCountsIsTheLengthAfterEscaping) {
  std::string escapes;
  for (int i = 0; i < 42; ++i) escapes += "\\u0001";
  EXPECT_EQ(quote(std::string(1000, '\x01')), escapes + "...");
}

TEST(Quote, AMegabyteIsCutToo) {
  EXPECT_EQ(quote(std::string(1 << 20, '\xFF')).size(), 255U + 3U);
  std::string urls;
  while (urls.size() < (1U << 20U)) urls += "a://";
  EXPECT_EQ(quote(urls).size(), 256U + 3U);
}

TEST(Quote, UserInfoIsMasked) {
  EXPECT_EQ(quote("http://user:pw@host:80/x"), "http://***@host:80/x");
  EXPECT_EQ(quote("amqp://user@host"), "amqp://***@host");
  EXPECT_EQ(quote("Invalid url: 'http://u:p@+:80'"), "Invalid url: 'http://***@+:80'");
}

TEST(Quote, UserInfoIsMaskedInEveryItemOfAList) {
  EXPECT_EQ(quote("http://a:b@h;http://+:80;https://c:d@i"), "http://***@h;http://+:80;https://***@i");
  EXPECT_EQ(quote("http://somebody:secret@h;http://x@i"), "http://***@h;http://***@i");
}

TEST(Quote, UserInfoEndsAtTheLastAt) {
  EXPECT_EQ(quote("http://u:p@ss@host"), "http://***@host");
}

TEST(Quote, PasswordsWithPunctuationAreMasked) {
  EXPECT_EQ(quote("http://u:p;w,1@host"), "http://***@host");
  EXPECT_EQ(quote("http://u:1;2@host"), "http://***@host");
}

TEST(Quote, UnescapedSlashesBlanksAndHashesInPasswordsAreMasked) {
  EXPECT_EQ(quote("http://u:p/w@host"), "http://***@host");
  EXPECT_EQ(quote("http://u:p#w@host"), "http://***@host");
  EXPECT_EQ(quote("http://u:/@host"), "http://***@host");
  EXPECT_EQ(quote("http://u:p w@host"), "http://***@host");
}

TEST(Quote, UserInfoWithoutASchemeIsMaskedToo) {
  EXPECT_EQ(quote("u:hunter2@host:80"), "***@host:80");
  EXPECT_EQ(quote("Invalid url: 'u:hunter2@host:80'"), "Invalid url: '***@host:80'");
  EXPECT_EQ(quote("Invalid url: 'ter2@+:80'"), "Invalid url: '***@+:80'") << "what .NET left of http://u:hun;ter2@+:80";
  EXPECT_EQ(quote("+:80;u:a@b@h:1"), "+:80;***@h:1");
  EXPECT_EQ(quote("/run/app@1.service:80 a@b"), "/run/app@1.service:80 a@b");
}

TEST(Quote, AnAtInAPathIsNoUserInfo) {
  EXPECT_EQ(quote("http://+:80/@x"), "http://+:80/@x");
  EXPECT_EQ(quote("http://host/a@b"), "http://host/a@b");
  EXPECT_EQ(quote("user@host"), "user@host");
}

TEST(Quote, ALongPasswordIsMaskedBeforeTheTextIsCut) {
  EXPECT_EQ(quote("http://u:" + std::string(5000, 'p') + "@host"), "http://***@host");
}

TEST(Quote, ControlCharactersDoNotHideUserInfo) {
  EXPECT_EQ(quote("http://u:\x01p\n@host"), "http://***@host");
}

TEST(Printable, IsNeitherCutNorMasked) {
  EXPECT_EQ(printable(std::string(1000, 'x') + "http://u@h\n"), std::string(1000, 'x') + "http://u@h\\n");
}

TEST(Printable, DoesNotChangeItsOwnResult) {
  const std::string once = printable("a\x1b\n\xFF\u200f\\n\\u001b");
  EXPECT_EQ(once, "a\\u001b\\n\uFFFD\\u200f\\n\\u001b");
  EXPECT_EQ(printable(once), once);
}

constexpr std::array<std::string_view, 4> kModes{"off", "explain", "validate", "rewrite"};

TEST(Nearest, FindsASlipOfTheFinger) {
  EXPECT_EQ(nearest("exlpain", kModes), "explain");
  EXPECT_EQ(nearest("rewrit", kModes), "rewrite");
  EXPECT_EQ(nearest("validated", kModes), "validate");
  EXPECT_EQ(nearest("of", kModes), "off");
}

TEST(Nearest, TwoSwappedLettersAreOneSlip) {
  EXPECT_EQ(nearest("mdoe", std::array<std::string_view, 1>{"mode"}), "mode");
  EXPECT_EQ(nearest("no", std::array<std::string_view, 1>{"on"}), "on");
  EXPECT_EQ(nearest("dmoe", std::array<std::string_view, 1>{"mode"}), "") << "two swaps";
}

TEST(Nearest, IgnoresCase) {
  EXPECT_EQ(nearest("REWRITTE", kModes), "rewrite");
}

TEST(Nearest, AThirdOfTheLengthIsNearAndMoreIsNot) {
  EXPECT_EQ(nearest("rxwrxt", std::array<std::string_view, 1>{"rewrit"}), "rewrit");
  EXPECT_EQ(nearest("rxwrxx", std::array<std::string_view, 1>{"rewrit"}), "");
  EXPECT_EQ(nearest("rxwrx", std::array<std::string_view, 1>{"rewri"}), "") << "a third of five is one";
}

TEST(Nearest, OneSlipIsNearEvenInAShortWord) {
  EXPECT_EQ(nearest("n", std::array<std::string_view, 1>{"on"}), "on");
  EXPECT_EQ(nearest("x", std::array<std::string_view, 1>{"on"}), "");
}

TEST(Nearest, NothingIsNearNothing) {
  EXPECT_EQ(nearest("", kModes), "");
  EXPECT_EQ(nearest("off", {}), "");
}

TEST(Nearest, TakesTheNearestAndOfEquallyNearOnesTheFirst) {
  EXPECT_EQ(nearest("abcdef", std::array<std::string_view, 3>{"abcdxx", "abcdex", "abcdey"}), "abcdex");
  EXPECT_EQ(nearest("abcdef", std::array<std::string_view, 2>{"abcdex", "abcdef"}), "abcdef");
}

TEST(Nearest, AMegabyteIsNearToNothing) {
  EXPECT_EQ(nearest(std::string(1 << 20, 'o'), kModes), "");
}

/// The rows "| PSnnn | meaning |" of the README.
std::vector<std::string> rows_of_readme() {
  std::ifstream readme(PORTSHIM_SOURCE_DIR "/README.md");
  std::vector<std::string> rows;
  for (std::string line; std::getline(readme, line);) {
    if (line.starts_with("| PS")) rows.push_back(line);
  }
  return rows;
}

TEST(Finding, TheReadmeListsEveryIdWithItsMeaning) {
  std::vector<std::string> rows;
  for (const Entry& entry : table())
    rows.push_back("| " + to_string(entry.id) + " | " + std::string(entry.title) + " |");
  EXPECT_EQ(rows_of_readme(), rows);
}

}  // namespace
}  // namespace portshim::finding
