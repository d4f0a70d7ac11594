#include "shim/post_mortem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <optional>
#include <set>

namespace portshim::post_mortem {
namespace {

using finding::Finding;
using finding::Id;
using finding::Severity;
using testing::AllOf;
using testing::HasSubstr;

// waitpid(2) on Linux: the exit code is in the second byte, a signal in the low seven bits.
constexpr int exited(int code) {
  return code << 8;
}

Facts facts(int status, bool is_dotnet = true) {
  return {.command = "dotnet", .status = status, .is_dotnet = is_dotnet, .kills_before = 2, .kills_after = 2};
}

std::optional<Id> id_of(const Facts& facts) {
  const auto finding = explain(facts);
  return finding ? std::optional(finding->id) : std::nullopt;
}

TEST(PostMortem, HasNothingToSayOfAnExitCodeOfTheApp) {
  const std::set<int> of_the_host{129, 131, 135, 137, 139, 147, 150, 154, 155, 159, 160};
  for (int code = 0; code < 256; ++code) {
    EXPECT_EQ(id_of(facts(exited(code), false)), std::nullopt) << code;
    EXPECT_EQ(id_of(facts(exited(code))).has_value(), of_the_host.contains(code)) << code;
  }
}

TEST(PostMortem, HasNothingToSayOfASignalThatStops) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGPIPE, SIGALRM, 33, 64})
    EXPECT_EQ(id_of(facts(signal)), std::nullopt) << signal;
}

TEST(PostMortem, NamesTheCodesOfTheHost) {
  const auto missing = explain(facts(exited(150)));
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->id, Id::host_failed);
  EXPECT_EQ(missing->severity, Severity::error);
  EXPECT_EQ(missing->what, "dotnet exited with 150: a framework that the app needs is not installed");
  EXPECT_EQ(missing->why, "the .NET host has this code for FrameworkMissingFailure");
  for (const int code : {129, 131, 135, 137, 139, 147, 150, 154, 155, 159, 160})
    EXPECT_EQ(id_of(facts(exited(code))), Id::host_failed) << code;
}

TEST(PostMortem, TellsCodesOfTheHostFromSignalsOfTheSameNumber) {
  EXPECT_THAT(explain(facts(exited(137)))->why, AllOf(HasSubstr("CoreClrInitFailure"), HasSubstr("no SIGKILL")));
  EXPECT_THAT(explain(facts(exited(139)))->why, AllOf(HasSubstr("ResolverInitFailure"), HasSubstr("no SIGSEGV")));
  EXPECT_EQ(id_of(facts(SIGKILL)), Id::killed);
  EXPECT_EQ(id_of(facts(SIGSEGV)), Id::crashed);
}

TEST(PostMortem, TellsTheOomKillerFromOtherKills) {
  Facts killed = facts(SIGKILL);
  EXPECT_EQ(explain(killed)->severity, Severity::warning);
  EXPECT_THAT(explain(killed)->why, HasSubstr("not by the OOM killer"));
  killed.kills_after = 3;
  EXPECT_EQ(explain(killed)->id, Id::out_of_memory);
  EXPECT_EQ(explain(killed)->what, "dotnet was killed by SIGKILL (137): the memory limit was reached");
  killed.kills_before = std::nullopt;
  EXPECT_EQ(explain(killed)->id, Id::killed);
  EXPECT_THAT(explain(killed)->why, HasSubstr("cannot be read"));
}

TEST(PostMortem, NamesTheOomKillerBehindAShellThatShowsIt) {
  Facts shell = facts(exited(137), false);
  shell.kills_after = 3;
  EXPECT_EQ(id_of(shell), Id::out_of_memory);
  shell.status = exited(1);
  EXPECT_EQ(id_of(shell), std::nullopt) << "something else may have been killed";
}

TEST(PostMortem, OfAnAbortPointsToTheExceptionWhereItIsDotnet) {
  EXPECT_THAT(explain(facts(SIGABRT))->next, HasSubstr("PORTSHIM=explain"));
  EXPECT_EQ(explain(facts(SIGABRT, false))->next, "");
  EXPECT_EQ(explain(facts(SIGABRT | 0x80))->what, "dotnet aborted: SIGABRT (134)") << "with a core dump";
}

TEST(PostMortem, AnAbortNamesTheBindThatWasDenied) {
  Facts aborted = facts(SIGABRT);
  EXPECT_THAT(explain(aborted)->next, HasSubstr("--guard=explain"));
  aborted.denied_bind = "bind([::]:80)";
  EXPECT_THAT(explain(aborted)->why, HasSubstr("the kernel had denied bind([::]:80)"));
}

TEST(PostMortem, QuotesTheCommand) {
  Facts strange = facts(SIGSEGV);
  strange.command = "a\nb";
  EXPECT_EQ(explain(strange)->what, "a\\nb crashed: SIGSEGV (139)");
}

}  // namespace
}  // namespace portshim::post_mortem
