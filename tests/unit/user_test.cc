#include "shim/user.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace portshim::user {
namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
    "games:x:5:60:games:/usr/games:/usr/sbin/nologin\n"
    "app:x:1654:1654::/home/app:/bin/sh\n"
    "homeless:x:70:70\n"
    "2000:x:42:43::/digits:/bin/sh\n"
    "other:x:1654:7::/other:/bin/sh\n";
constexpr std::string_view kGroup =
    "root:x:0:\n"
    "daemon:x:1:\n"
    "adm:x:4:app,daemon\n"
    "audio:x:29:app\n"
    "audio2:x:29:app\n"
    "app:x:1654:\n"
    "users:x:100:games , app\n"
    "3000:x:44:\n";

std::string describe(const std::expected<Identity, Problem>& answer) {
  if (!answer) return answer.error().what + (answer.error().nearest.empty() ? "" : " > " + answer.error().nearest);
  std::string out = std::to_string(answer->uid) + ":" + std::to_string(answer->gid) + " [";
  for (const gid_t group : answer->groups) out += std::to_string(group) + " ";
  return out + "] " + answer->home + " " + answer->name;
}

std::string resolved(std::string_view spec, std::string_view passwd = kPasswd, std::string_view group = kGroup) {
  return describe(resolve(spec, passwd, group));
}

// --- What a text means: the matrix of gosu's documentation, and what it leaves open ---

struct Row {
  std::string_view spec;
  std::string_view expected;
};

void expect(std::initializer_list<Row> rows) {
  for (const auto& [spec, expected] : rows) EXPECT_EQ(resolved(spec), expected) << spec;
}

TEST(Meaning, OfUsersIsThatOfDockerAndGosu) {
  expect({{"root", "0:0 [] /root root"},
          {"0", "0:0 [] /root root"},
          {"daemon", "1:1 [4 ] /usr/sbin daemon"},
          {"1", "1:1 [4 ] /usr/sbin daemon"},
          {"games", "5:60 [100 ] /usr/games games"},
          {"app", "1654:1654 [4 29 100 ] /home/app app"},
          {"1654", "1654:1654 [4 29 100 ] /home/app app"},
          {"1000", "1000:0 [] / "},
          {"2147483647", "2147483647:0 [] / "},
          {"0000", "0:0 [] /root root"},
          {"01654", "1654:1654 [4 29 100 ] /home/app app"},
          {"homeless", "70:70 [] / homeless"}});
}

TEST(Meaning, OfUsersWithGroupsIsThatOfDockerAndGosu) {
  expect({{"root:root", "0:0 [] /root root"},
          {"root:0", "0:0 [] /root root"},
          {"0:root", "0:0 [] /root root"},
          {"0:0", "0:0 [] /root root"},
          {"0:1000", "0:1000 [] /root root"},
          {"root:1000", "0:1000 [] /root root"},
          {"1000:1000", "1000:1000 [] / "},
          {"1000:root", "1000:0 [] / "},
          {"1000:daemon", "1000:1 [] / "},
          {"games:daemon", "5:1 [] /usr/games games"},
          {"games:100", "5:100 [] /usr/games games"},
          {"app:app", "1654:1654 [] /home/app app"},
          {"1654:29", "1654:29 [] /home/app app"},
          {"app:", "1654:1654 [4 29 100 ] /home/app app"}});
}

TEST(Meaning, OfDigitsThatAreANameIsThatName) {
  expect(
      {{"2000", "42:43 [] /digits 2000"}, {"2000:3000", "42:44 [] /digits 2000"}, {"42:43", "42:43 [] /digits 2000"}});
}

TEST(Meaning, OfAllElseIsNobody) {
  expect({{"4294967296", "4294967296 is no id: ids are 0 to 2147483647"},
          {"4294967295", "4294967295 is no id: ids are 0 to 2147483647"},
          {"2147483648", "2147483648 is no id: ids are 0 to 2147483647"},
          {"18446744073709551616", "18446744073709551616 is no id: ids are 0 to 2147483647"},
          {"app:4294967296", "4294967296 is no id: ids are 0 to 2147483647"},
          {"-1", "there is no user '-1'"},
          {"+0", "there is no user '+0'"},
          {"0x0", "there is no user '0x0'"},
          {" 0", "there is no user ' 0'"},
          {"0 ", "there is no user '0 '"},
          {"0\n", "there is no user '0\\n'"},
          {"app:-1", "there is no group '-1'"},
          {"app:+0", "there is no group '+0'"},
          {"app: 0", "there is no group ' 0'"},
          {"", "it names no user"},
          {":", "it names no user"},
          {":app", "it names no user"},
          {"::", "it names no user"},
          {"a:b:c", "it has more than two parts"},
          {"app:app:", "it has more than two parts"},
          {"APP", "there is no user 'APP' > app"},
          {"dameon", "there is no user 'dameon' > daemon"},
          {"app:audoi", "there is no group 'audoi' > audio"},
          {"nobody-like-this", "there is no user 'nobody-like-this'"}});
}

// --- The files ---

TEST(Files, MissingOnesLeaveIds) {
  EXPECT_EQ(resolved("1654", "", ""), "1654:0 [] / ");
  EXPECT_EQ(resolved("1654:1654", "", ""), "1654:1654 [] / ");
  EXPECT_EQ(resolved("root", "", ""), "there is no user 'root'");
  EXPECT_EQ(resolved("app", kPasswd, ""), "1654:1654 [] /home/app app");
}

TEST(Files, NeedNoNewlineAtTheEndAndMayHaveWindowsOnes) {
  EXPECT_EQ(resolved("a", "a:x:7:8::/h:/s", "g:x:9:a"), "7:8 [9 ] /h a");
  EXPECT_EQ(resolved("a", "a:x:7:8::/h\r\n", "g:x:9:b,a\r\n"), "7:8 [9 ] /h a");
}

TEST(Files, OfTwoEntriesTheFirstCounts) {
  EXPECT_EQ(resolved("a", "a:x:7:8::/1:\na:x:9:9::/2:\n"), "7:8 [] /1 a");
  EXPECT_EQ(resolved("7", "a:x:7:8::/1:\nb:x:7:9::/2:\n"), "7:8 [] /1 a");
  EXPECT_EQ(resolved("7:g", "", "g:x:5:\ng:x:6:\n"), "7:5 [] / ");
}

TEST(Files, LinesThatAreNoEntriesArePassedOver) {
  // What reads a missing or odd number as 0 makes root of these.
  for (const std::string_view line : {"+::::::",
                                      "+a::::::",
                                      "-a::::::",
                                      "#a:x:0:0::/:",
                                      "a",
                                      "a:x",
                                      "a:x:0",
                                      "a:x::0::/:",
                                      "a:x:0:::/:",
                                      "a:x:+0:0::/:",
                                      "a:x:-0:0::/:",
                                      "a:x:0x0:0::/:",
                                      "a:x: 0:0::/:",
                                      "a:x:4294967296:0::/:",
                                      "a:x:0:4294967296::/:",
                                      "a:x:zero:0::/:",
                                      ":x:0:0::/:",
                                      "",
                                      ":",
                                      ":::::::"}) {
    EXPECT_EQ(resolved("a", std::string(line) + "\n"), "there is no user 'a'") << line;
    EXPECT_EQ(resolved("a", std::string(line) + "\na:x:7:8::/h:\n", ""), "7:8 [] /h a") << line;
  }
  for (const std::string_view line : {"+:::", "+g:::", "-g:::", "#g:x:0:a", "g", "g:x", "g:x:", "g:x:+0:a", ":x:0:a"}) {
    EXPECT_EQ(resolved("7:g", "", std::string(line) + "\n"), "there is no group 'g'") << line;
    EXPECT_EQ(resolved("a", "a:x:7:8::/h:\n", std::string(line) + "\n"), "7:8 [] /h a") << line;
  }
}

TEST(Files, TellTheHomeOfAUid) {
  EXPECT_EQ(home_of(1654, kPasswd), "/home/app");
  EXPECT_EQ(home_of(70, kPasswd), "");
  EXPECT_EQ(home_of(71, kPasswd), "");
}

TEST(Files, NisEntriesAreNotNames) {
  EXPECT_EQ(resolved("+", "+::::::\n"), "there is no user '+'");
  EXPECT_EQ(resolved("+app", "+app:x:0:0:::\n"), "there is no user '+app'");
  EXPECT_EQ(resolved("#", "#:x:0:0:::\n"), "there is no user '#'");
}

TEST(Files, ALineWithANulIsNone) {
  using namespace std::string_view_literals;
  EXPECT_EQ(resolved("a", "a:x:0:0::/h\0h:\na:x:7:8::/:\n"sv), "7:8 [] / a");
  EXPECT_EQ(resolved("a", "a\0:x:0:0::/:\n"sv), "there is no user 'a'");
  EXPECT_EQ(resolved("a", "a:x:7:8::/:\n", "g:x:0:a\0\n"sv), "7:8 [] / a");
}

TEST(Files, BlanksAroundLinesAndMembersAreTakenOff) {
  EXPECT_EQ(resolved("a", "  a:x:7:8::/h:/s \t\n", "\tg:x:9: a , b\n"), "7:8 [9 ] /h a");
}

TEST(Files, MembersAreWholeNames) {
  EXPECT_EQ(resolved("a", "a:x:7:8::/h:", "g:x:9:aa,ba,a1\nh:x:10:A\ni:x:11:,,a,\n"), "7:8 [11 ] /h a");
}

TEST(Files, OfEightMegabytesAndLongLinesAreReadToTheEnd) {
  std::string passwd;
  std::string group;
  for (unsigned i = 0; passwd.size() < 8U << 20U; ++i) {
    const std::string number = std::to_string(10000 + i);
    passwd += "user" + number + ":x:" + number + ":" + number + "::/home/user" + number + ":/bin/sh\n";
    group += "group" + number + ":x:" + number + ":user" + number + ",last\n";
  }
  const std::string long_field(1U << 20U, 'x');
  passwd += "long:x:1:1:" + long_field + ":/" + long_field + ":/bin/sh\nlast:x:7:8::/last:/bin/sh";
  const auto last = resolve("last", passwd, group);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->uid, 7U);
  EXPECT_EQ(last->groups.size(), static_cast<std::size_t>(std::ranges::count(group, '\n')));
  EXPECT_EQ(resolve("long", passwd, group)->home.size(), long_field.size() + 1);
  EXPECT_EQ(resolved("lastt", passwd, group), "there is no user 'lastt' > last");
  EXPECT_EQ(resolved(std::string(4096, 'u'), passwd, group).substr(0, 15), "there is no use");
}

}  // namespace
}  // namespace portshim::user
