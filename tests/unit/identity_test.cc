#include "shim/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/fake_system.h"

namespace portshim::identity {
namespace {

using finding::Id;
using support::Call;
using support::FakeSystem;
using system::kNetBindService;
using system::NewIdentity;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using Strings = std::vector<std::string>;

/// Asks for a user: on the command line, or by a variable.
options::Invocation asking(const std::string& user, bool keep = false, bool by_variable = false) {
  options::Invocation invocation;
  invocation.options.user = user;
  invocation.options.keep_net_bind = keep;
  if (!by_variable) invocation.given.insert("user");
  if (keep && !by_variable) invocation.given.insert("keep-net-bind");
  return invocation;
}

class StepDown : public testing::Test {
 protected:
  StepDown() {
    system.become_root();
    system.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1654:1655::/home/app:/bin/sh\n");
    system.file("/etc/group", "audio:x:29:app\n");
  }

  /// The refusal, for an error code as given.
  finding::Finding refused(const options::Invocation& invocation, int code = 78) {
    const auto done = step_down(system, invocation, environment);
    EXPECT_FALSE(done);
    if (done) return {};
    EXPECT_EQ(done.error().code, code);
    EXPECT_EQ(environment, (Strings{"A=1"}));
    return done.error().finding;
  }

  FakeSystem system;
  Strings environment{"A=1"};
};

TEST_F(StepDown, TakesOnUserGroupsAndHome) {
  const auto done = step_down(system, asking("app"), environment);
  ASSERT_TRUE(done);
  EXPECT_THAT(*done, IsEmpty());
  EXPECT_THAT(system.identities, ElementsAre(NewIdentity{.uid = 1654, .gid = 1655, .groups = {29}}));
  EXPECT_THAT(environment, ElementsAre("A=1", "HOME=/home/app"));
}

TEST_F(StepDown, ReadsPasswdAndGroupAndNothingElse) {
  ASSERT_TRUE(step_down(system, asking("app"), environment));
  EXPECT_THAT(system.paths(Call::read), ElementsAre("/etc/passwd", "/etc/group"));
}

TEST_F(StepDown, ChangesHomeInItsPlaceAndEveryOccurrence) {
  environment = {"HOME=/root", "HOMER=1", "HOME=", "B=2"};
  ASSERT_TRUE(step_down(system, asking("1000"), environment));
  EXPECT_THAT(environment, ElementsAre("HOME=/", "HOMER=1", "HOME=/", "B=2"));
}

TEST_F(StepDown, NeedsNoFilesForIds) {
  system.remove("/etc/passwd").remove("/etc/group");
  ASSERT_TRUE(step_down(system, asking("1654:7"), environment));
  EXPECT_THAT(system.identities, ElementsAre(NewIdentity{.uid = 1654, .gid = 7, .groups = {}}));
  environment = {"A=1"};
  EXPECT_THAT(refused(asking("app"), 125).why, HasSubstr("there are no users in /etc/passwd"));
}

TEST_F(StepDown, RefusesFilesThatCannotBeRead) {
  for (const char* file : {"/etc/passwd", "/etc/group"}) {
    system.fail(Call::read, file, EIO);
    const finding::Finding finding = refused(asking("1654"));
    EXPECT_EQ(finding.id, Id::user_unknown);
    EXPECT_EQ(finding.why, "open " + std::string(file) + ": Input/output error");
    system.fail(Call::read, file, 0);
  }
  EXPECT_THAT(system.identities, IsEmpty());
}

TEST_F(StepDown, RefusesAnUnknownUserWithTheNearestName) {
  EXPECT_EQ(refused(asking("ap"), 125).what, "--user=ap: there is no user 'ap'; did you mean app?");
  EXPECT_EQ(refused(asking("ap", false, true), 78).what, "PORTSHIM_USER=ap: there is no user 'ap'; did you mean app?");
  EXPECT_THAT(system.identities, IsEmpty());
}

TEST_F(StepDown, SaysWhichCapabilitiesAreMissing) {
  system.fail(Call::change_identity, EPERM);
  system.process.effective = 0;
  EXPECT_THAT(refused(asking("app")).why, HasSubstr("CAP_SETUID and CAP_SETGID, which are both missing: the container "
                                                    "was started with cap-drop ALL"));
  system.process.effective = 1U << 6U;
  EXPECT_THAT(refused(asking("app")).why, HasSubstr(", of which CAP_SETUID is missing"));
  system.process.effective = 1U << 7U;
  EXPECT_THAT(refused(asking("app")).why, HasSubstr(", of which CAP_SETGID is missing"));
  system.become(5, 5);
  EXPECT_THAT(refused(asking("app")).why, HasSubstr("the container was not started as root"));
}

TEST_F(StepDown, SaysWhatAUserNamespaceForbids) {
  system.fail(Call::change_identity, EPERM);
  EXPECT_THAT(refused(asking("app")).why, HasSubstr("/proc/self/setgroups says deny"));
  system.fail(Call::change_identity, EINVAL);
  EXPECT_THAT(refused(asking("app")).why, HasSubstr("has no such id"));
  EXPECT_THAT(refused(asking("app")).next, HasSubstr("docker run --user 1654:1655"));
}

TEST_F(StepDown, ToTheIdentityInEffectIsNothingAndNeedsNoPrivilege) {
  system.process.effective = system.process.permitted = 0;
  system.become(1654, 1655);
  system.fail(Call::change_identity, EPERM);
  for (const char* user : {"app", "1654", "1654:1655"}) {
    ASSERT_TRUE(step_down(system, asking(user), environment)) << user;
  }
  EXPECT_THAT(environment, ElementsAre("A=1"));
  EXPECT_EQ(refused(asking("app:root2"), 125).id, Id::user_unknown);
  EXPECT_EQ(refused(asking("1654:7")).id, Id::user_not_permitted);
}

TEST_F(StepDown, ToRootAsRootClearsTheGroupsWhereItMay) {
  system.supplementary_groups = {4, 29};
  ASSERT_TRUE(step_down(system, asking("root:0"), environment));
  EXPECT_THAT(system.identities, ElementsAre(NewIdentity{.uid = 0, .gid = 0, .groups = {}}));
  environment = {};
  system.supplementary_groups = {4, 29};
  system.fail(Call::change_identity, EPERM);
  ASSERT_TRUE(step_down(system, asking("root:0"), environment));
  EXPECT_THAT(system.identities, SizeIs(1));
  EXPECT_THAT(environment, IsEmpty());
}

TEST_F(StepDown, KeepsTheCapabilityForRootToo) {
  ASSERT_TRUE(step_down(system, asking("root", true), environment));
  EXPECT_THAT(system.identities, ElementsAre(NewIdentity{.uid = 0, .gid = 0, .groups = {}, .only_net_bind = true}));
}

TEST_F(StepDown, SaysWhereThereIsNothingToKeep) {
  system.process.permitted = system.process.effective = system.process.bounding &= ~kNetBindService;
  auto done = step_down(system, asking("app", true, true), environment);
  ASSERT_TRUE(done);
  ASSERT_THAT(*done, SizeIs(1));
  EXPECT_EQ(done->front().id, Id::net_bind_not_kept);
  EXPECT_EQ(done->front().severity, finding::Severity::warning);
  EXPECT_THAT(done->front().what, HasSubstr("PORTSHIM_KEEP_NET_BIND"));
  EXPECT_THAT(done->front().why, HasSubstr("not in the bounding set"));

  system.process = {.bounding = FakeSystem::kDockerBounding};
  system.become(1654, 1655);
  done = step_down(system, asking("app", true), environment);
  ASSERT_TRUE(done);
  ASSERT_THAT(*done, SizeIs(1));
  EXPECT_THAT(done->front().why, HasSubstr("this process does not have it"));
  EXPECT_THAT(done->front().why, Not(HasSubstr("cap-drop")));
}

TEST_F(StepDown, KeepWithoutAUserNamesWhatIsMissing) {
  EXPECT_EQ(nothing_to_keep_across(asking("", true)).what, "--keep-net-bind has no effect without --user");
  EXPECT_EQ(nothing_to_keep_across(asking("", true, true)).what,
            "PORTSHIM_KEEP_NET_BIND has no effect without PORTSHIM_USER");
}

}  // namespace
}  // namespace portshim::identity
