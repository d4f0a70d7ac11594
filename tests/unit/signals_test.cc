#include "shim/signals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/fake_system.h"

namespace portshim::signals {
namespace {

using finding::Id;
using finding::Severity;
using options::Mode;
using testing::HasSubstr;
using testing::SizeIs;

TEST(Signals, AsTheyShouldBeAreSilent) {
  support::FakeSystem system;
  system.ignored = {SIGHUP, SIGPIPE};
  system.blocked = {SIGUSR1, SIGCHLD};
  for (const Mode mode : {Mode::explain, Mode::validate, Mode::rewrite}) EXPECT_THAT(check(system, mode), SizeIs(0));
}

TEST(Signals, AnIgnoredSigchldIsAWarningAndInRewriteARepair) {
  support::FakeSystem system;
  system.ignored = {SIGCHLD};
  const auto explained = check(system, Mode::explain);
  ASSERT_THAT(explained, SizeIs(1));
  EXPECT_EQ(explained[0].id, Id::child_signal_ignored);
  EXPECT_EQ(explained[0].severity, Severity::warning);
  EXPECT_EQ(explained[0].did, "nothing: only PORTSHIM=rewrite repairs it");
  const auto rewritten = check(system, Mode::rewrite);
  ASSERT_THAT(rewritten, SizeIs(1));
  EXPECT_EQ(rewritten[0].severity, Severity::info);
  EXPECT_EQ(rewritten[0].did, "set SIGCHLD to its default");
}

TEST(Signals, BlockedOnesAreNamedTogether) {
  support::FakeSystem system;
  system.blocked = {SIGINT, SIGTERM};
  const auto findings = check(system, Mode::rewrite);
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].id, Id::stop_signals_blocked);
  EXPECT_THAT(findings[0].what, HasSubstr("SIGTERM, SIGINT are blocked: docker stop"));
  EXPECT_EQ(findings[0].did, "unblocked SIGTERM, SIGINT");
  system.blocked = {SIGQUIT};
  EXPECT_EQ(check(system, Mode::explain)[0].what, "SIGQUIT is blocked: the app would not stop by it");
}

TEST(Signals, RepairTouchesNoOthers) {
  support::FakeSystem system;
  system.ignored = {SIGCHLD, SIGHUP, SIGTERM};
  system.blocked = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGCHLD};
  repair(system);
  // An ignored SIGTERM does no harm to .NET, and somebody may have wanted it.
  EXPECT_EQ(system.ignored, std::set<int>({SIGHUP, SIGTERM}));
  EXPECT_EQ(system.blocked, std::set<int>({SIGUSR1, SIGCHLD}));
  EXPECT_THAT(check(system, Mode::explain), SizeIs(0));
}

}  // namespace
}  // namespace portshim::signals
