#include "shim/memory_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "tests/support/fake_system.h"

namespace portshim::memory_events {
namespace {

constexpr const char* kEvents = "low 0\nhigh 7\nmax 5\noom 4\noom_kill 3\noom_group_kill 2\n";

TEST(MemoryEvents, AreThoseOfTheGroup) {
  support::FakeSystem system;
  system.file("/proc/self/cgroup", "0::/pod/app\n").file("/sys/fs/cgroup/pod/app/memory.events", kEvents);
  system.file("/sys/fs/cgroup/memory.events", "oom_kill 99\n");
  EXPECT_EQ(count_kills(system), 3U);
}

TEST(MemoryEvents, AreAtTheRootOfAContainersOwnHierarchy) {
  for (const char* group : {"0::/\n", "0::/kubepods/burstable/pod1/2\n", "0::/../sibling\n"}) {
    support::FakeSystem system;
    system.file("/proc/self/cgroup", group).file("/sys/fs/cgroup/memory.events", kEvents);
    EXPECT_EQ(count_kills(system), 3U) << group;
  }
}

TEST(MemoryEvents, OfTheFirstVersionAreInOomControl) {
  support::FakeSystem system;
  system.file("/proc/self/cgroup", "5:pids:/a\n4:memory:/docker/b\n0::/\n");
  system.file("/sys/fs/cgroup/memory/docker/b/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  EXPECT_EQ(count_kills(system), 2U);
}

TEST(MemoryEvents, ThatCannotBeReadAreNothing) {
  support::FakeSystem system;
  EXPECT_EQ(count_kills(system), std::nullopt);
  system.file("/proc/self/cgroup", "nonsense\n:\n0:\n0::/\n4:memory:/\n");
  EXPECT_EQ(count_kills(system), std::nullopt);
  system.file("/sys/fs/cgroup/memory.events", "oom 1\noom_kill x\n");
  EXPECT_EQ(count_kills(system), std::nullopt);
  system.file("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n");
  EXPECT_EQ(count_kills(system), std::nullopt) << "before Linux 4.13";
}

}  // namespace
}  // namespace portshim::memory_events
