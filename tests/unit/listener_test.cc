#include "shim/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/fake_system.h"

namespace portshim::listener {
namespace {

using address::Bind;
using address::Target;
using support::FakeSystem;

constexpr const char* kHead =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

/// A line as the kernel writes it.
std::string line(const std::string& address, const std::string& state, const std::string& uid,
                 const std::string& inode) {
  return "   0: " + address + " 00000000:0000 " + state + " 00000000:00000000 00:00000000 00000000 " + uid +
         "        0 " + inode + " 1 0000000000000000 100 0 0 10 0\n";
}

constexpr const char* kIpv4 = "/proc/self/net/tcp";
constexpr const char* kIpv6 = "/proc/self/net/tcp6";

Target any(std::uint16_t port) {
  return {.bind = Bind::any, .address = {}, .port = port};
}
Target ip(const std::string& address, std::uint16_t port) {
  return {.bind = Bind::ip, .address = address, .port = port};
}

TEST(Holder, IsTheProcessThatHasTheListeningSocketOpen) {
  FakeSystem system;
  system.file(kIpv4, kHead + line("0100007F:1F90", "0A", " 1000", "4711"));
  system.file("/proc/12/comm", "nginx\n").link("/proc/12/fd/0", "/dev/null").link("/proc/12/fd/7", "socket:[4711]");
  system.file("/proc/11/comm", "sh\n").link("/proc/11/fd/7", "socket:[47110]").file("/proc/uptime", "1");
  EXPECT_EQ(holder_of(system, any(8080)), "nginx (pid 12)");
  EXPECT_EQ(holder_of(system, any(8081)), std::nullopt);
}

TEST(Holder, IsAUserWhereDescriptorsMayNotBeRead) {
  FakeSystem system;
  system.file(kIpv6, kHead + line("00000000000000000000000000000000:1F90", "0A", "  101", "4711"));
  system.directory("/proc/12/fd", 0500);
  EXPECT_EQ(holder_of(system, any(8080)), "a process of uid 101");
}

TEST(Holder, IsNoConnectionAndNoSocketOnAnotherAddress) {
  FakeSystem system;
  system.file(kIpv4, kHead + line("0100007F:1F90", "01", "1", "1") + line("0200007F:1F90", "0A", "2", "2"));
  EXPECT_EQ(holder_of(system, ip("127.0.0.1", 8080)), std::nullopt);
  EXPECT_EQ(holder_of(system, ip("127.0.0.2", 8080)), "a process of uid 2");
  EXPECT_EQ(holder_of(system, {.bind = Bind::localhost, .address = {}, .port = 8080}), std::nullopt);
  system.file(kIpv6, kHead + line("00000000000000000000000001000000:1F90", "0A", "3", "3"));
  EXPECT_EQ(holder_of(system, ip("::1", 8080)), "a process of uid 3");
  EXPECT_EQ(holder_of(system, {.bind = Bind::localhost, .address = {}, .port = 8080}), "a process of uid 3");
}

TEST(Holder, IsNobodyWhereTheTableIsNotThereOrIsNonsense) {
  FakeSystem system;
  EXPECT_EQ(holder_of(system, any(8080)), std::nullopt);
  for (const char* text : {"", "\n", "\n\n", ":", "0:", "0: 0100007F:1F90", "0: :1F90 x 0A", " 0: 0100007F"}) {
    system.file(kIpv4, text);
    static_cast<void>(holder_of(system, any(8080)));
  }
}

TEST(Listeners, OfBrokenTextAreNone) {
  for (const char* text :
       {"", "\n\n", "a b c d e f g h i j", "0: 0100007F 0 0A 0 0 0 0 0 1", "0: X:1F90 0 0A 0 0 0 0 0 1"}) {
    EXPECT_THAT(parse(text), testing::IsEmpty()) << text;
  }
}

}  // namespace
}  // namespace portshim::listener
