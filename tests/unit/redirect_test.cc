#include "shim/redirect.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace portshim::redirect {
namespace {

/// Denies ports below 1024 unless told otherwise; what is `in_use` is so on every address, whoever asks.
class FakeKernel final : public Kernel {
 public:
  int try_bind(const Address& address, Manner manner) override {
    asked.emplace_back(address.port, manner.ipv6_only);
    if (const auto answer = answers.find(address.port); answer != answers.end()) return answer->second;
    if (address.port < port_start) return EACCES;
    if (in_use.contains(address.port)) return EADDRINUSE;
    if (manner.shared && shares) return 0;
    const bool conflicts = own.contains({address.ipv6, address.port}) ||
                           (address.ipv6 && !manner.ipv6_only && own.contains({false, address.port}));
    return conflicts ? EADDRINUSE : 0;
  }

  std::uint16_t port_start = 1024;
  std::map<std::uint16_t, int> answers;
  std::set<std::uint16_t> in_use;
  std::set<std::pair<bool, std::uint16_t>> own;  ///< in use by the app: IPv6 or not, and which port
  bool shares = false;                           ///< the app's sockets have SO_REUSEPORT
  std::vector<std::pair<std::uint16_t, bool>> asked;
};

Address any4(std::uint16_t port) {
  return {.ipv6 = false, .port = port};
}

Address any6(std::uint16_t port) {
  return {.ipv6 = true, .port = port};
}

class RedirectTest : public testing::Test {
 protected:
  /// What becomes of the bind; the app holds the port that it gets.
  Decision bind(const Address& address) {
    const Decision decision = redirector.decide(address, kernel);
    redirector.remember(address, decision);
    if (decision.outcome == Outcome::moved || decision.outcome == Outcome::moved_aside) {
      kernel.own.emplace(address.ipv6, decision.port);
    }
    if (decision.outcome == Outcome::pass) kernel.own.emplace(address.ipv6, address.port);
    return decision;
  }

  void use(Rules rules) { redirector = Redirector(std::move(rules)); }

  FakeKernel kernel;
  Redirector redirector{Rules{.moves = true}};
};

TEST_F(RedirectTest, ALowPortMovesUpBy8000) {
  EXPECT_EQ(bind(any6(80)), (Decision{Outcome::moved, 8080}));
  EXPECT_EQ(bind(any4(443)), (Decision{Outcome::moved, 8443}));
}

TEST_F(RedirectTest, TheMapWins) {
  use({.moves = true, .map = {{80, 5000}}});
  EXPECT_EQ(bind(any6(80)), (Decision{Outcome::moved, 5000}));
  EXPECT_EQ(bind(any6(81)), (Decision{Outcome::moved, 8081}));
}

TEST_F(RedirectTest, ANewPortThatIsLowItselfIsReplacedByTheFirstFrom8080On) {
  use({.moves = true, .map = {{80, 81}}});
  EXPECT_EQ(redirector.wanted_port(80), 8080);
  use({.moves = true, .port_start = 9000});
  EXPECT_EQ(redirector.wanted_port(80), 9000);
  EXPECT_EQ(redirector.wanted_port(1000), 9000);
  EXPECT_EQ(redirector.wanted_port(1001), 9001);
  use({.moves = true, .port_start = 65535});
  EXPECT_EQ(redirector.wanted_port(60000), 65535);
}

TEST_F(RedirectTest, WhatTheMapNamesIsKeptForItsPort) {
  for (const bool strict : {false, true}) {
    use({.moves = true, .strict = strict, .map = {{80, 8443}, {81, 8445}}});
    EXPECT_EQ(bind(any4(443)), (Decision{Outcome::moved, 8444}));
    EXPECT_EQ(bind(any4(80)), (Decision{Outcome::moved, 8443}));
    EXPECT_EQ(bind(any4(81)), (Decision{Outcome::moved, 8445}));
    kernel.own.clear();
  }
  use({.moves = true, .map = {{80, 8443}, {81, 8445}}});
  kernel.in_use = {8444};
  EXPECT_EQ(bind(any4(443)), (Decision{Outcome::moved, 8446}));
  EXPECT_EQ(bind(any4(8446)), (Decision{Outcome::moved_aside, 8447}));
}

TEST_F(RedirectTest, WhatTheMapNamesTwiceIsTheFirstOnes) {
  use({.moves = true, .map = {{80, 5000}, {81, 5000}}});
  EXPECT_EQ(bind(any4(81)), (Decision{Outcome::moved, 5000}));
  EXPECT_EQ(bind(any4(80)), (Decision{Outcome::moved, 5001}));
}

TEST_F(RedirectTest, WhatIsNoLowPortIsNotLookedAt) {
  EXPECT_EQ(bind(any6(0)).outcome, Outcome::pass);
  EXPECT_EQ(bind(any6(1024)).outcome, Outcome::pass);
  EXPECT_EQ(bind(any6(65535)).outcome, Outcome::pass);
  EXPECT_TRUE(kernel.asked.empty());
}

TEST_F(RedirectTest, WhatTheKernelDoesNotDenyStaysAsItIs) {
  for (const int code : {0, EADDRNOTAVAIL, EADDRINUSE, EAFNOSUPPORT, ENETDOWN, EMFILE}) {
    kernel.answers[80] = code;
    EXPECT_EQ(bind(any6(80)).outcome, Outcome::pass) << code;
  }
  kernel.answers[80] = EPERM;
  EXPECT_EQ(bind(any6(80)).outcome, Outcome::moved);
}

TEST_F(RedirectTest, ExplainOnlySaysWhatIsDenied) {
  use({.moves = false});
  EXPECT_EQ(bind(any6(80)), Decision{Outcome::denied});
  EXPECT_EQ(bind(any6(8080)).outcome, Outcome::pass);
}

TEST_F(RedirectTest, OneOldPortGetsOneNewPortOnEveryAddress) {
  kernel.in_use = {8080};
  EXPECT_EQ(bind(any4(80)), (Decision{Outcome::moved, 8081}));
  EXPECT_EQ(bind(any6(80)), (Decision{Outcome::moved, 8081})) << "though 0.0.0.0 is in use now";
}

TEST_F(RedirectTest, ASecondBindThatCannotSucceedIsNotSaidToBeMoved) {
  EXPECT_EQ(bind(any4(80)), (Decision{Outcome::moved, 8080}));
  EXPECT_EQ(bind(any4(80)), (Decision{Outcome::in_use, 8080}));
  kernel.answers[8080] = EADDRNOTAVAIL;
  EXPECT_EQ(bind(any6(80)), (Decision{Outcome::unavailable, 8080}));
}

TEST_F(RedirectTest, SocketsThatShareAPortAreNoConflict) {
  kernel.shares = true;
  for (const bool strict : {false, true}) {
    use({.moves = true, .strict = strict});
    EXPECT_EQ(bind(any4(80)), (Decision{Outcome::moved, 8080}));
    EXPECT_EQ(bind(any4(80)), (Decision{Outcome::moved, 8080}));
    EXPECT_EQ(bind(any4(8080)).outcome, Outcome::pass);
    kernel.own.clear();
  }
}

TEST_F(RedirectTest, ANewPortIsFreeOnEveryAddressThatADualModeSocketTakes) {
  EXPECT_EQ(bind(any6(80)).port, 8080);
  EXPECT_EQ(kernel.asked, (std::vector<std::pair<std::uint16_t, bool>>{{80, true}, {8080, false}}));
}

TEST_F(RedirectTest, ANewPortInUseIsDodgedByUpTo15) {
  for (std::uint16_t port = 8080; port < 8095; ++port) kernel.in_use.insert(port);
  EXPECT_EQ(bind(any4(80)), (Decision{Outcome::moved, 8095}));
  kernel.in_use.insert(8096);
  for (std::uint16_t port = 8081; port <= 8097; ++port) kernel.in_use.insert(port);
  EXPECT_EQ(bind(any4(81)), (Decision{Outcome::no_room, 8081}));
}

TEST_F(RedirectTest, AnAddressThatCannotBeBoundAtAllStaysTheAppsOwnError) {
  kernel.answers[8080] = EADDRNOTAVAIL;
  EXPECT_EQ(bind(any6(80)), (Decision{Outcome::unavailable, 8080}));
  kernel.answers.clear();
  EXPECT_EQ(bind(any4(80)), (Decision{Outcome::moved, 8080})) << "nothing was remembered";
}

TEST_F(RedirectTest, PortsEndAt65535) {
  use({.moves = true, .map = {{80, 65535}}});
  kernel.in_use = {65535};
  EXPECT_EQ(bind(any4(80)), (Decision{Outcome::no_room, 65535}));
}

TEST_F(RedirectTest, BothOrdersOf80And8080Start) {
  EXPECT_EQ(bind(any6(80)), (Decision{Outcome::moved, 8080}));
  EXPECT_EQ(bind(any6(8080)), (Decision{Outcome::moved_aside, 8081}));
  EXPECT_EQ(bind(any4(8080)), (Decision{Outcome::moved_aside, 8081})) << "the other address of it";

  use({.moves = true});
  kernel.own.clear();
  EXPECT_EQ(bind(any6(8080)).outcome, Outcome::pass);
  EXPECT_EQ(bind(any6(80)), (Decision{Outcome::moved, 8081}));
  EXPECT_EQ(bind(any6(8081)), (Decision{Outcome::moved_aside, 8082}));
}

TEST_F(RedirectTest, AMovedBindThatWasInterruptedMayComeBackWithItsNewPort) {
  const Decision decision = redirector.decide(any6(80), kernel);
  redirector.remember(any6(80), decision);
  EXPECT_EQ(redirector.decide(any6(8080), kernel).outcome, Outcome::pass);
}

TEST_F(RedirectTest, StrictDodgesNothing) {
  use({.moves = true, .strict = true});
  kernel.in_use = {8080};
  EXPECT_EQ(bind(any6(80)), (Decision{Outcome::in_use, 8080})) << "it gets that port, and EADDRINUSE";
  kernel.in_use.clear();
  EXPECT_EQ(bind(any6(80)), (Decision{Outcome::moved, 8080}));
  EXPECT_EQ(bind(any6(8080)), (Decision{Outcome::in_use, 8080}));
  EXPECT_EQ(redirector.old_port(8080), 80);
  EXPECT_EQ(redirector.old_port(8081), 0);
}

TEST_F(RedirectTest, StrictFindsAPortOfIpv4InUseForADualModeSocket) {
  use({.moves = true, .strict = true});
  kernel.own = {{false, 8080}};
  EXPECT_EQ(bind(any6(80)), (Decision{.outcome = Outcome::in_use, .port = 8080, .dual_only = true}));
  kernel.own = {{true, 8080}};
  EXPECT_EQ(bind(any6(80)), (Decision{Outcome::in_use, 8080}));
}

TEST_F(RedirectTest, StrictFindsItsOwnPortOfIpv4InUseForADualModeSocketOfTheApp) {
  use({.moves = true, .strict = true});
  EXPECT_EQ(bind(any4(80)), (Decision{Outcome::moved, 8080}));
  EXPECT_EQ(bind(any6(8080)), (Decision{.outcome = Outcome::in_use, .port = 8080, .dual_only = true}));
}

TEST_F(RedirectTest, MorePortsThanItRemembersAreNotMoved) {
  std::uint16_t port = 1;
  for (; port <= 128; ++port) EXPECT_EQ(bind(any4(port)).outcome, Outcome::moved) << port;
  EXPECT_EQ(bind(any4(port)).outcome, Outcome::full);
  EXPECT_EQ(bind(any6(1)), (Decision{Outcome::moved, 8001}));
}

TEST(Address, IsWrittenAsDotNetDoes) {
  EXPECT_EQ(to_string({.ipv6 = false, .bytes = {127, 0, 0, 1}, .port = 80}), "127.0.0.1:80");
  EXPECT_EQ(to_string(any6(80)), "[::]:80");
  EXPECT_EQ(to_string({.ipv6 = true, .bytes = {0xfe, 0x80}, .scope = 3, .port = 53}), "[fe80::%3]:53");
  EXPECT_EQ(to_string({.ipv6 = true, .bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}, .port = 1}),
            "[::ffff:127.0.0.1]:1");
}

}  // namespace
}  // namespace portshim::redirect
