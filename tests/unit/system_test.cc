// The real System, on the real kernel. What changes the process runs in a child of the test.
#include "shim/system.h"

#include <arpa/inet.h>
#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>

namespace {

using portshim::system::BindAttempt;
using portshim::system::CapabilitySet;
using portshim::system::Error;
using portshim::system::FileType;
using portshim::system::kNetBindService;
using portshim::system::Linux;
using portshim::system::ProcessCapabilities;
using portshim::system::System;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using namespace std::string_view_literals;

constexpr uid_t kAppUser = 1654;
constexpr int kSkipped = 77;

/// Runs a function in a forked child: its exit code, or 128 + n when signal n killed it.
template <typename Function>
int in_child(Function function) {
  const pid_t child = fork();
  if (child == 0) _exit(static_cast<int>(function()));
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define SKIP_UNLESS_ROOT() \
  if (geteuid() != 0) GTEST_SKIP() << "needs root: it changes ids, capabilities, mounts or namespaces"

class Files : public testing::Test {
 protected:
  Files() {
    std::string name = std::filesystem::temp_directory_path() / "portshim-system-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~Files() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }

  [[nodiscard]] std::string make(const std::string& name, std::string_view content, mode_t mode = 0644) const {
    std::ofstream(path(name), std::ios::binary) << content;
    chmod(path(name).c_str(), mode);
    return path(name);
  }
  /// A file with a hole of this size.
  [[nodiscard]] std::string make_sparse(const std::string& name, std::uint64_t size) const {
    std::string file = make(name, "");
    std::filesystem::resize_file(file, size);
    return file;
  }

  std::string folder_;
  Linux linux_;
};

bool is_pending(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigpending(&set);
  return sigismember(&set, signal) == 1;
}

bool is_blocked(int signal) {
  sigset_t set;
  sigemptyset(&set);
  pthread_sigmask(SIG_BLOCK, nullptr, &set);
  return sigismember(&set, signal) == 1;
}

void set_disposition(int signal, sighandler_t disposition) {
  struct sigaction action{};
  action.sa_handler = disposition;
  sigaction(signal, &action, nullptr);
}

sighandler_t disposition_of(int signal) {
  struct sigaction action{};
  sigaction(signal, nullptr, &action);
  return action.sa_handler;
}

void block(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

std::size_t open_descriptors() {
  return Linux().list("/proc/self/fd")->size();
}

// --- Errors. ---

TEST(SystemError, SaysWhatWasDoneAndWhy) {
  EXPECT_EQ((Error{EACCES, "open /app/App.dll"}.message()), "open /app/App.dll: Permission denied");
}

TEST(SystemError, NumberWithoutNameIsPrintedAsNumber) {
  EXPECT_EQ((Error{12345, "open x"}.message()), "open x: error 12345");
}

// --- Reading. ---

TEST_F(Files, ReadFileGivesEveryByte) {
  const std::string content("a\0b\r\n\xff", 6);
  EXPECT_EQ(linux_.read_file(make("f", content)), content);
  EXPECT_EQ(linux_.read_file(make("empty", "")), "");
}

TEST_F(Files, ReadFileGivesFilesOfProcWhoseSizeIsZero) {
  const auto content = linux_.read_file("/proc/self/status");
  ASSERT_TRUE(content);
  EXPECT_THAT(*content, testing::HasSubstr("CapEff:"));
}

TEST_F(Files, ReadFileTakesTheLargestSizeAndNoMore) {
  const auto largest = linux_.read_file(make_sparse("largest", System::kMaxFileSize));
  ASSERT_TRUE(largest);
  EXPECT_EQ(largest->size(), System::kMaxFileSize);
  const auto larger = linux_.read_file(make_sparse("larger", System::kMaxFileSize + 1));
  ASSERT_FALSE(larger);
  EXPECT_EQ(larger.error().code, EFBIG);
}

TEST_F(Files, ReadFileOfMissingFileSaysWhich) {
  const auto content = linux_.read_file(path("none"));
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code, ENOENT);
  EXPECT_EQ(content.error().message(), "open " + path("none") + ": No such file or directory");
}

TEST_F(Files, ReadFileRefusesWhatIsNoRegularFileWithoutWaiting) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(linux_.read_file(path("fifo")).error().code, EINVAL);
  EXPECT_EQ(linux_.read_part(path("fifo"), 0, 1).error().code, EINVAL);
  EXPECT_EQ(linux_.read_file("/dev/zero").error().code, EINVAL);
  EXPECT_EQ(linux_.read_file(folder_).error().code, EISDIR);
}

TEST_F(Files, PathWithNulInsideNamesNothing) {
  std::string name = make("f", "x");
  EXPECT_TRUE(linux_.read_file(name));
  name += std::string("\0.dll", 5);
  EXPECT_EQ(linux_.read_file(name).error().code, ENOENT);
  EXPECT_EQ(linux_.status(name).error().code, ENOENT);
}

TEST_F(Files, ReadPartStopsAtTheEnd) {
  const std::string file = make("f", "0123456789");
  EXPECT_EQ(linux_.read_part(file, 0, 4), "0123");
  EXPECT_EQ(linux_.read_part(file, 8, 4), "89");
  EXPECT_EQ(linux_.read_part(file, 10, 4), "");
  EXPECT_EQ(linux_.read_part(file, 1000, 4), "");
  EXPECT_EQ(linux_.read_part(file, UINT64_MAX, 4), "");
  EXPECT_EQ(linux_.read_part(file, 0, 0), "");
}

TEST_F(Files, ReadPartReadsAnywhereInFilesOfAnySize) {
  const std::string file = make_sparse("big", System::kMaxFileSize * 4);
  std::ofstream(file, std::ios::app) << "end";
  EXPECT_EQ(linux_.read_part(file, System::kMaxFileSize * 4, 100), "end");
  EXPECT_EQ(linux_.read_part(file, 0, 100'000)->size(), 100'000);
}

// --- What a path is. ---

TEST_F(Files, StatusTellsTypeModeSizeAndOwner) {
  const auto status = linux_.status(make("f", "abc", 04751));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->type, FileType::regular);
  EXPECT_EQ(status->mode, 04751U);
  EXPECT_EQ(status->size, 3U);
  EXPECT_EQ(status->owner, geteuid());
  EXPECT_EQ(linux_.status(folder_)->type, FileType::directory);
  EXPECT_EQ(linux_.status("/dev/null")->type, FileType::other);
  EXPECT_EQ(linux_.status(path("none")).error().code, ENOENT);
  EXPECT_EQ(linux_.status(path("f/x")).error().code, ENOTDIR);
}

TEST_F(Files, StatusFollowsLinksUnlessToldNotTo) {
  std::filesystem::create_symlink(make("f", ""), path("link"));
  std::filesystem::create_symlink("none", path("dangling"));
  EXPECT_EQ(linux_.status(path("link"))->type, FileType::regular);
  EXPECT_EQ(linux_.status(path("link"), false)->type, FileType::symlink);
  EXPECT_EQ(linux_.status(path("dangling")).error().code, ENOENT);
  EXPECT_EQ(linux_.status(path("dangling"), false)->type, FileType::symlink);
}

TEST_F(Files, ExecutableFollowsTheMode) {
  EXPECT_TRUE(linux_.executable(make("program", "", 0755)));
  EXPECT_EQ(linux_.executable(make("text", "", 0644)).error().code, EACCES);
  EXPECT_EQ(linux_.executable(path("none")).error().code, ENOENT);
}

TEST_F(Files, AccessIsThatOfTheEffectiveUser) {
  SKIP_UNLESS_ROOT();
  const std::string file = make("secret", "", 0700);
  chmod(folder_.c_str(), 0755);
  EXPECT_TRUE(linux_.readable(file));
  EXPECT_TRUE(linux_.executable(file));
  EXPECT_EQ(in_child([&] {
              if (setresuid(kAppUser, kAppUser, kAppUser) != 0) return 1;
              if (linux_.readable(file) || linux_.readable(file).error().code != EACCES) return 2;
              return linux_.executable(file) ? 3 : 0;
            }),
            0);
}

TEST_F(Files, ListNamesEveryEntryButTheDots) {
  static_cast<void>(make("a", ""));
  static_cast<void>(make(".hidden", ""));
  std::filesystem::create_directory(path("sub"));
  EXPECT_THAT(*linux_.list(folder_), UnorderedElementsAre("a", ".hidden", "sub"));
  EXPECT_THAT(*linux_.list(path("sub")), IsEmpty());
  EXPECT_EQ(linux_.list(path("a")).error().code, ENOTDIR);
  EXPECT_EQ(linux_.list(path("none")).error().code, ENOENT);
}

TEST_F(Files, LinksAreReadWholeAndPathsMadeCanonical) {
  const std::string target(4000, 'x');
  std::filesystem::create_symlink(target, path("long"));
  EXPECT_EQ(linux_.read_link(path("long")), target);
  EXPECT_EQ(linux_.read_link(make("f", "")).error().code, EINVAL);
  std::filesystem::create_symlink("f", path("link"));
  const std::string canonical = std::filesystem::canonical(folder_).string() + "/f";
  EXPECT_EQ(linux_.real_path(folder_ + "/./link"), canonical);
  EXPECT_EQ(linux_.real_path(path("none")).error().code, ENOENT);
}

TEST_F(Files, CurrentDirectoryIsAnErrorWhenItIsGone) {
  EXPECT_EQ(linux_.current_directory(), std::filesystem::current_path().string());
  EXPECT_EQ(in_child([&] {
              std::filesystem::create_directory(path("gone"));
              if (chdir(path("gone").c_str()) != 0) return 1;
              std::filesystem::remove(path("gone"));
              const auto directory = linux_.current_directory();
              return directory || directory.error().code != ENOENT ? 2 : 0;
            }),
            0);
}

TEST_F(Files, MountFlagsAreThoseOfTheMount) {
  SKIP_UNLESS_ROOT();
  const int code = in_child([&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kSkipped;
    if (mount("none", folder_.c_str(), "tmpfs", MS_NOEXEC, nullptr) != 0) return kSkipped;
    std::ofstream(path("program")) << "x";
    chmod(path("program").c_str(), 0755);
    const auto noexec = linux_.mount_flags(path("program"));
    if (!noexec || !noexec->noexec || noexec->nosuid) return 1;
    if (linux_.executable(path("program"))) return 2;
    if (mount("none", folder_.c_str(), nullptr, MS_REMOUNT | MS_NOSUID, nullptr) != 0) return kSkipped;
    const auto nosuid = linux_.mount_flags(path("program"));
    return nosuid && nosuid->nosuid && !nosuid->noexec && linux_.executable(path("program")) ? 0 : 3;
  });
  if (code == kSkipped) GTEST_SKIP() << "no mount namespace to be had here";
  EXPECT_EQ(code, 0);
}

TEST_F(Files, FileCapabilitiesAreReadFromTheAttribute) {
  SKIP_UNLESS_ROOT();
  const std::string file = make("program", "", 0755);
  vfs_cap_data data{};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].permitted = 1U << 10U;
  data.data[0].inheritable = 1U << 13U;
  data.data[1].permitted = 1U << 8U;  // 40, CAP_CHECKPOINT_RESTORE
  if (setxattr(file.c_str(), "security.capability", &data, sizeof data, 0) != 0) {
    GTEST_SKIP() << "this file system or user may not hold capabilities: " << strerrordesc_np(errno);
  }
  const auto full = linux_.file_capabilities(file);
  ASSERT_TRUE(full && *full);
  EXPECT_EQ((*full)->permitted, kNetBindService | CapabilitySet{1} << 40U);
  EXPECT_EQ((*full)->inheritable, CapabilitySet{1} << 13U);
  EXPECT_TRUE((*full)->effective);

  data.magic_etc = VFS_CAP_REVISION_2;
  ASSERT_EQ(setxattr(file.c_str(), "security.capability", &data, sizeof data, 0), 0);
  EXPECT_FALSE((*linux_.file_capabilities(file))->effective);
}

TEST_F(Files, FileWithoutCapabilitiesIsNoError) {
  const auto plain = linux_.file_capabilities(make("f", ""));
  ASSERT_TRUE(plain);
  EXPECT_FALSE(*plain);
  const auto unsupported = linux_.file_capabilities("/proc/self/status");
  ASSERT_TRUE(unsupported);
  EXPECT_FALSE(*unsupported);
  EXPECT_EQ(linux_.file_capabilities(path("none")).error().code, ENOENT);
}

// --- Identity. ---

TEST(SystemIdentity, IdsAreThoseOfTheProcess) {
  const auto ids = Linux().ids();
  EXPECT_EQ(ids.uid, getuid());
  EXPECT_EQ(ids.effective_uid, geteuid());
  EXPECT_EQ(ids.gid, getgid());
  EXPECT_EQ(ids.effective_gid, getegid());
}

/// The hexadecimal number in a line of /proc/self/status.
CapabilitySet status_line(const std::string& name) {
  const std::string status = *Linux().read_file("/proc/self/status");
  const std::size_t start = status.find("\n" + name + ":\t") + name.size() + 3;
  CapabilitySet value = 0;
  std::from_chars(status.data() + start, status.data() + status.find('\n', start), value, 16);
  return value;
}

bool agrees_with_proc() {
  const auto seen = Linux().capabilities();
  return seen && seen->inheritable == status_line("CapInh") && seen->permitted == status_line("CapPrm") &&
         seen->effective == status_line("CapEff") && seen->bounding == status_line("CapBnd") &&
         seen->ambient == status_line("CapAmb") && seen->no_new_privileges == (status_line("NoNewPrivs") == 1);
}

/// capset(2) of the first 32 capabilities.
bool set_capabilities(unsigned effective, unsigned permitted, unsigned inheritable) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data{};
  data[0] = {.effective = effective, .permitted = permitted, .inheritable = inheritable};
  return syscall(SYS_capset, &header, data.data()) == 0;
}

TEST(SystemIdentity, CapabilitiesAreThoseOfProc) {
  EXPECT_TRUE(agrees_with_proc());
}

TEST(SystemIdentity, EveryCapabilitySetIsToldApart) {
  SKIP_UNLESS_ROOT();
  constexpr unsigned kBind = 1U << 10U;
  constexpr unsigned kRaw = 1U << 13U;
  EXPECT_EQ(in_child([&] {
              if (prctl(PR_CAPBSET_DROP, CAP_SYSLOG, 0, 0, 0) != 0) return 1;
              if (!set_capabilities(kRaw, kRaw | kBind, kBind)) return 2;
              if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) != 0) return 3;
              if (!agrees_with_proc()) return 4;
              const auto seen = Linux().capabilities();
              const bool told_apart = seen->effective == kRaw && seen->permitted == (kRaw | kBind) &&
                                      seen->inheritable == kBind && seen->ambient == kBind;
              return told_apart && (seen->bounding >> CAP_SYSLOG & 1U) == 0 ? 0 : 5;
            }),
            0);
}

TEST(SystemIdentity, NoNewPrivilegesAndNoRootAreSeen) {
  EXPECT_EQ(in_child([] {
              prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
              return Linux().capabilities()->no_new_privileges && agrees_with_proc() ? 0 : 1;
            }),
            0);
  SKIP_UNLESS_ROOT();
  EXPECT_FALSE(Linux().capabilities()->no_root);
  EXPECT_EQ(in_child([] {
              if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT, 0, 0, 0) != 0) return 1;
              return Linux().capabilities()->no_root ? 0 : 2;
            }),
            0);
}

TEST(SystemIdentity, MachineIsThatOfThisProgram) {
  const auto header = Linux().read_part("/proc/self/exe", 0, sizeof(Elf64_Ehdr));
  ASSERT_TRUE(header);
  Elf64_Ehdr elf{};
  std::memcpy(&elf, header->data(), sizeof elf);
  EXPECT_EQ(Linux().elf_machine(), elf.e_machine);
}

// --- Trial binds. ---

/// A listener on a port of 127.0.0.1 that the kernel chose.
class Listener {
 public:
  Listener() : descriptor_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (descriptor_ < 0 || bind(descriptor_, generic, length) != 0 || listen(descriptor_, 1) != 0) return;
    if (getsockname(descriptor_, generic, &length) == 0) port_ = ntohs(address.sin_port);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { close(); }

  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  int descriptor_;
  std::uint16_t port_ = 0;
};

TEST(SystemTrial, PortInUseIsTakenAndFreeAgainAfterwards) {
  Listener listener;
  const std::vector<BindAttempt> attempts{{"127.0.0.1", listener.port()}, {"0.0.0.0", listener.port()}};
  EXPECT_THAT(*Linux().try_binds(attempts, false), ElementsAre(EADDRINUSE, EADDRINUSE));
  listener.close();
  EXPECT_THAT(*Linux().try_binds(attempts, false), ElementsAre(0, 0));
  EXPECT_THAT(*Linux().try_binds(attempts, false), ElementsAre(0, 0)) << "a trial must leave the port free";
}

TEST(SystemTrial, AnswersComeInTheOrderOfTheAttempts) {
  const Listener listener;
  const std::vector<BindAttempt> attempts{
      {"192.0.2.1", 50080}, {"127.0.0.1", listener.port()}, {"no address", 50080}, {"127.0.0.1", 0}};
  EXPECT_THAT(*Linux().try_binds(attempts, false), ElementsAre(EADDRNOTAVAIL, EADDRINUSE, EINVAL, 0));
}

TEST(SystemTrial, NoAttemptIsNoFailure) {
  const auto answers = Linux().try_binds({}, true);
  ASSERT_TRUE(answers);
  EXPECT_THAT(*answers, IsEmpty());
}

TEST(SystemTrial, WildcardIsDualModeAndOtherIpv6AddressesAreNot) {
  const Listener listener;  // on IPv4
  const std::vector<BindAttempt> attempts{{"::", listener.port()}, {"::1", listener.port()}};
  const auto answers = Linux().try_binds(attempts, false);
  ASSERT_TRUE(answers);
  if ((*answers)[0] == EAFNOSUPPORT || (*answers)[1] == EADDRNOTAVAIL) GTEST_SKIP() << "no IPv6 here";
  EXPECT_THAT(*answers, ElementsAre(EADDRINUSE, 0));
}

TEST(SystemTrial, Ipv4InIpv6NotationNeedsDualModeWhichOnlyTheWildcardHas) {
  const std::vector<BindAttempt> attempts{{"::ffff:127.0.0.1", 0}, {"::", 0}};
  const auto answers = Linux().try_binds(attempts, false);
  ASSERT_TRUE(answers);
  if ((*answers)[1] == EAFNOSUPPORT) GTEST_SKIP() << "no IPv6 here";
  EXPECT_THAT(*answers, ElementsAre(EINVAL, 0));
}

TEST(SystemTrial, ScopeOfAnAddressIsANumberBehindPercent) {
  // Loopback has no link-local address; with a scope the answer is about the address, without one about the scope.
  const std::vector<BindAttempt> attempts{{"fe80::1%1", 50080}, {"fe80::1", 50080}};
  const auto answers = Linux().try_binds(attempts, false);
  ASSERT_TRUE(answers);
  if ((*answers)[0] == EAFNOSUPPORT) GTEST_SKIP() << "no IPv6 here";
  EXPECT_THAT(*answers, ElementsAre(EADDRNOTAVAIL, EINVAL));
}

TEST(SystemTrial, ManyAnswersArriveAll) {
  const std::vector<BindAttempt> attempts(50'000, {"no address", 1});
  const auto answers = Linux().try_binds(attempts, false);
  ASSERT_TRUE(answers);
  EXPECT_EQ(std::ranges::count(*answers, EINVAL), 50'000);
}

/// A network namespace of its own in which ports below `start` are low; false when it is not to be had.
bool enter_network_with_low_ports(const char* start) {
  if (unshare(CLONE_NEWNET) != 0) return false;
  std::ofstream file("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  file << start << std::flush;
  return file.good();
}

TEST(SystemTrial, LowPortFollowsTheCapabilityThatTheTrialIsGiven) {
  SKIP_UNLESS_ROOT();
  const std::vector<BindAttempt> low{{"0.0.0.0", 80}, {"0.0.0.0", 8080}};
  const int code = in_child([&] {
    if (!enter_network_with_low_ports("1024")) return kSkipped;
    if (*Linux().try_binds(low, false) != std::vector{EACCES, 0}) return 1;
    if (*Linux().try_binds(low, true) != std::vector{0, 0}) return 2;
    // A capability that this process does not have cannot be given; the trial goes on without.
    if (!set_capabilities(0, 0, 0)) return 3;
    return *Linux().try_binds(low, true) == std::vector{EACCES, 0} ? 0 : 4;
  });
  if (code == kSkipped) GTEST_SKIP() << "no network namespace to be had here";
  EXPECT_EQ(code, 0);
}

TEST(SystemTrial, LowPortIsFreeForAllWhereTheHostSaysSo) {
  SKIP_UNLESS_ROOT();
  const std::vector<BindAttempt> low{{"0.0.0.0", 80}};
  const int code = in_child([&] {
    if (!enter_network_with_low_ports("80")) return kSkipped;
    return *Linux().try_binds(low, false) == std::vector{0} ? 0 : 1;
  });
  if (code == kSkipped) GTEST_SKIP() << "no network namespace to be had here";
  EXPECT_EQ(code, 0);
}

const std::vector<BindAttempt> kHarmless{{"127.0.0.1", 0}};

/// True when the trial works and leaves neither a child nor a pending SIGCHLD.
bool leaves_nothing() {
  const auto answers = Linux().try_binds(kHarmless, false);
  if (!answers || *answers != std::vector{0}) return false;
  return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD && !is_pending(SIGCHLD);
}

TEST(SystemTrial, ChildIsReaped) {
  EXPECT_EQ(in_child([] { return leaves_nothing() ? 0 : 1; }), 0);
}

TEST(SystemTrial, ChildIsReapedWhereSigchldIsIgnored) {
  EXPECT_EQ(in_child([] {
              set_disposition(SIGCHLD, SIG_IGN);
              if (!leaves_nothing()) return 1;
              return disposition_of(SIGCHLD) == SIG_IGN ? 0 : 2;
            }),
            0);
}

TEST(SystemTrial, BlockedSigchldIsNotLeftPending) {
  EXPECT_EQ(in_child([] {
              block(SIGCHLD);
              return leaves_nothing() && is_blocked(SIGCHLD) ? 0 : 1;
            }),
            0);
}

TEST(SystemTrial, SigchldThatWasPendingBeforeStaysPending) {
  EXPECT_EQ(in_child([] {
              block(SIGCHLD);
              kill(getpid(), SIGCHLD);
              return Linux().try_binds(kHarmless, false) && is_pending(SIGCHLD) ? 0 : 1;
            }),
            0);
}

TEST(SystemTrial, OtherChildrenAreNotReaped) {
  EXPECT_EQ(in_child([] {
              const pid_t other = fork();
              if (other == 0) _exit(7);
              if (!Linux().try_binds(kHarmless, false)) return 1;
              int status = 0;
              return waitpid(other, &status, 0) == other && WEXITSTATUS(status) == 7 ? 0 : 2;
            }),
            0);
}

TEST(SystemTrial, ParentKeepsItsCapabilitiesAndDescriptors) {
  const std::size_t before = open_descriptors();
  const ProcessCapabilities old = *Linux().capabilities();
  ASSERT_TRUE(Linux().try_binds(kHarmless, false));
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(Linux().capabilities()->effective, old.effective);
  EXPECT_EQ(Linux().capabilities()->permitted, old.permitted);
}

TEST_F(Files, TrialRunsNoExitHandlers) {
  static std::string mark;
  mark = path("exit-handler-ran");
  EXPECT_EQ(in_child([&] {
              std::atexit([] { std::ofstream(mark) << "x"; });
              return linux_.try_binds(kHarmless, false) ? 0 : 1;
            }),
            0);
  EXPECT_FALSE(std::filesystem::exists(mark));
  // The control: exit() in a child does run it.
  EXPECT_EQ(in_child([&] {
              std::atexit([] { std::ofstream(mark) << "x"; });
              std::exit(0);
              return 1;
            }),
            0);
  EXPECT_TRUE(std::filesystem::exists(mark));
}

TEST(SystemTrial, ChildThatDiesIsAnErrorAndNoHang) {
  EXPECT_EQ(in_child([] {
              alarm(30);
              close(STDERR_FILENO);  // a sanitizer would report the child's death there
              const rlimit none{.rlim_cur = 0, .rlim_max = 0};
              setrlimit(RLIMIT_CORE, &none);
              // The trial dies of its first look at the attempts; before it nobody looks at them.
              void* memory = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              const auto answers = Linux().try_binds({static_cast<const BindAttempt*>(memory), 1}, false);
              return !answers && answers.error().code == ECHILD && waitpid(-1, nullptr, 0) == -1 ? 0 : 2;
            }),
            0);
}

TEST(SystemTrial, WithoutAProcessToBeHadThereIsNoTrial) {
  SKIP_UNLESS_ROOT();
  EXPECT_EQ(in_child([] {
              const rlimit none{.rlim_cur = 0, .rlim_max = 0};
              if (setrlimit(RLIMIT_NPROC, &none) != 0) return 1;
              if (setresuid(kAppUser, kAppUser, kAppUser) != 0) return 2;
              const auto answers = Linux().try_binds(kHarmless, false);
              return !answers && answers.error().code == EAGAIN ? 0 : 3;
            }),
            0);
}

TEST(SystemTrial, WithoutADescriptorToBeHadThePortIsNotCalledFree) {
  EXPECT_EQ(in_child([] {
              const Linux system;
              const rlimit none{.rlim_cur = 3, .rlim_max = 3};
              if (setrlimit(RLIMIT_NOFILE, &none) != 0) return 1;
              // Anything below 3 that the test was started without would be a descriptor to be had.
              for (const int standard : {0, 1, 2}) {
                if (fcntl(standard, F_GETFD) == -1 && open("/dev/null", O_RDWR | O_CLOEXEC) != standard) return 2;
              }
              const auto answers = system.try_binds(kHarmless, false);
              return (answers ? (*answers)[0] : answers.error().code) == EMFILE ? 0 : 3;
            }),
            0);
}

// --- The standard descriptors. ---

TEST_F(Files, ClosedStandardDescriptorsStayClosedAndUnused) {
  const std::string file = make("f", "content");
  EXPECT_EQ(in_child([&] {
              for (const int standard : {0, 1, 2}) close(standard);
              // The listing shows the descriptor that lists.
              const auto names = linux_.list("/proc/self/fd");
              if (!names || names->empty()) return 1;
              for (const char* standard : {"0", "1", "2"}) {
                if (std::ranges::find(*names, standard) != names->end()) return 2;
              }
              if (linux_.read_file(file) != "content" || !linux_.try_binds(kHarmless, true)) return 3;
              linux_.write(2, "nobody reads this");
              for (const int standard : {0, 1, 2}) {
                if (fcntl(standard, F_GETFD) != -1) return 4;
              }
              return 0;
            }),
            0);
}

// --- Writing. ---

struct Pipe {
  explicit Pipe(int flags = 0) {
    if (pipe2(ends.data(), flags | O_CLOEXEC) != 0) ends = {-1, -1};
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  void close_reader() { close(std::exchange(ends[0], -1)); }
  std::array<int, 2> ends{};
};

TEST(SystemWrite, WritesAllOfIt) {
  const Pipe pipe;
  Linux().write(pipe.ends[1], "one line\n");
  std::array<char, 64> buffer{};
  EXPECT_EQ(read(pipe.ends[0], buffer.data(), buffer.size()), 9);
  EXPECT_EQ(std::string_view(buffer.data(), 9), "one line\n");
}

TEST(SystemWrite, ClosedPipeDoesNotKill) {
  // The control: it would.
  EXPECT_EQ(in_child([] {
              set_disposition(SIGPIPE, SIG_DFL);
              Pipe pipe;
              pipe.close_reader();
              return write(pipe.ends[1], "x", 1) == 1 ? 0 : 1;
            }),
            128 + SIGPIPE);
  EXPECT_EQ(in_child([] {
              set_disposition(SIGPIPE, SIG_DFL);
              Pipe pipe;
              pipe.close_reader();
              Linux().write(pipe.ends[1], "x");
              if (is_pending(SIGPIPE) || is_blocked(SIGPIPE)) return 1;
              return disposition_of(SIGPIPE) == SIG_DFL ? 0 : 2;
            }),
            0);
}

TEST(SystemWrite, PendingSigpipeIsTheAppsOwn) {
  EXPECT_EQ(in_child([] {
              block(SIGPIPE);
              Pipe pipe;
              pipe.close_reader();
              Linux().write(pipe.ends[1], "x");
              if (is_pending(SIGPIPE) || !is_blocked(SIGPIPE)) return 1;
              kill(getpid(), SIGPIPE);
              Linux().write(pipe.ends[1], "x");
              return is_pending(SIGPIPE) ? 0 : 2;
            }),
            0);
}

TEST(SystemWrite, IgnoredSigpipeStaysIgnored) {
  EXPECT_EQ(in_child([] {
              set_disposition(SIGPIPE, SIG_IGN);
              Pipe pipe;
              pipe.close_reader();
              Linux().write(pipe.ends[1], "x");
              return disposition_of(SIGPIPE) == SIG_IGN ? 0 : 1;
            }),
            0);
}

TEST_F(Files, FileSizeLimitDoesNotKill) {
  const std::string file = make("log", "");
  EXPECT_EQ(in_child([&] {
              const rlimit small{.rlim_cur = 4, .rlim_max = 4};
              setrlimit(RLIMIT_FSIZE, &small);
              const int log = open(file.c_str(), O_WRONLY | O_CLOEXEC);
              linux_.write(log, "0123456789");
              return is_pending(SIGXFSZ) ? 1 : 0;
            }),
            0);
  EXPECT_EQ(linux_.read_file(file), "0123");
}

TEST(SystemWrite, FullNonBlockingPipeDropsTheRest) {
  const Pipe pipe(O_NONBLOCK);
  const std::string large(10U << 20U, 'x');
  Linux().write(pipe.ends[1], large);
  std::string buffer(large.size(), '\0');
  const ssize_t count = read(pipe.ends[0], buffer.data(), buffer.size());
  EXPECT_GT(count, 0);
  EXPECT_LT(count, static_cast<ssize_t>(large.size()));
}

TEST(SystemWrite, DescriptorThatIsNoneIsAnErrorAndNothingElse) {
  EXPECT_EQ(Linux().write(-1, "x").error().code, EBADF);
  EXPECT_TRUE(Linux().write(2, ""));
}

TEST(SystemWrite, WhatAFullDeviceDoesNotTakeIsAnError) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  EXPECT_EQ(Linux().write(full, "x").error().code, ENOSPC);
  close(full);
}

TEST(SystemNetwork, WithoutAnotherNamespaceItsFilesAreThoseOfThisOne) {
  const std::string path = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
  EXPECT_EQ(Linux().read_network_file(path).value_or(""), Linux().read_file(path).value_or(""));
}

TEST(SystemNetwork, ANamespaceThatIsNotThereIsAnError) {
  Linux linux_;
  linux_.use_network("/proc/none/ns/net");
  EXPECT_EQ(linux_.reach_network().error().code, ENOENT);
  EXPECT_EQ(linux_.try_binds({}, false).error().code, ENOENT);
  linux_.use_network("/proc/self/ns/uts");
  EXPECT_EQ(linux_.reach_network().error().message(), "setns: Invalid argument");
}

TEST(SystemWrite, OnlyTerminalsAreTerminals) {
  const Pipe pipe;
  EXPECT_FALSE(Linux().is_terminal(pipe.ends[1]));
  EXPECT_FALSE(Linux().is_terminal(-1));
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) GTEST_SKIP() << "no pseudo-terminal to be had here";
  EXPECT_TRUE(Linux().is_terminal(terminal));
  close(terminal);
}

// --- exec. ---

TEST_F(Files, OverwriteReplacesWhatIsThereAndMakesNoFile) {
  const std::string file = make("log", "something that was there before");
  linux_.overwrite(file, "new\n");
  EXPECT_EQ(linux_.read_file(file), "new\n");
  linux_.overwrite(path("missing"), "new\n");
  EXPECT_FALSE(std::filesystem::exists(path("missing")));
}

TEST_F(Files, OverwriteLeavesAloneWhatIsNoRegularFile) {
  mkfifo(path("fifo").c_str(), 0600);
  const int reader = open(path("fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  linux_.overwrite(path("fifo"), "new\n");
  std::array<char, 8> buffer{};
  EXPECT_EQ(read(reader, buffer.data(), buffer.size()), 0);
  close(reader);
  linux_.overwrite(path("fifo"), "new\n");  // nobody reads: it does not wait
  linux_.overwrite(folder_, "new\n");
}

// --- Sockets of files. ---

TEST_F(Files, ConnectTellsASocketThatSomebodyListensOnFromOneThatWasLeftBehind) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::ranges::copy(path("socket"), std::begin(address.sun_path));
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener, 0), 0);
  EXPECT_TRUE(linux_.connect_to_socket(path("socket")));
  // The queue is full now: it answers at once all the same.
  EXPECT_EQ(linux_.connect_to_socket(path("socket")).error().code, EAGAIN);
  close(listener);
  EXPECT_EQ(linux_.connect_to_socket(path("socket")).error().code, ECONNREFUSED);
  EXPECT_EQ(linux_.connect_to_socket(path("missing")).error().code, ENOENT);
  EXPECT_EQ(linux_.connect_to_socket("/" + std::string(107, 'x')).error().code, ENAMETOOLONG);
}

TEST_F(Files, AFolderSaysWhetherItMayBeWrittenTo) {
  SKIP_UNLESS_ROOT();
  std::filesystem::create_directory(path("folder"));
  const int code = in_child([&] {
    chmod(folder_.c_str(), 0755);
    if (setresuid(kAppUser, kAppUser, kAppUser) != 0) return 1;
    const auto denied = linux_.writable(path("folder"));
    const auto missing = linux_.writable(path("missing"));
    return !denied && denied.error().code == EACCES && !missing && missing.error().code == ENOENT ? 0 : 2;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(linux_.writable(path("folder")));
}

// --- Signals. ---

TEST(SystemSignals, InheritedStatesAreSeenAndRepaired) {
  const int code = in_child([] {
    Linux linux;
    if (linux.is_ignored(SIGCHLD) || linux.is_blocked(SIGTERM)) return 1;
    set_disposition(SIGCHLD, SIG_IGN);
    block(SIGTERM);
    block(SIGUSR1);
    if (!linux.is_ignored(SIGCHLD) || !linux.is_blocked(SIGTERM)) return 2;
    linux.set_default(SIGCHLD);
    linux.unblock(SIGTERM);
    const bool repaired = disposition_of(SIGCHLD) == SIG_DFL && !is_blocked(SIGTERM);
    return repaired && is_blocked(SIGUSR1) ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
}

TEST_F(Files, ExecuteGivesArgumentsAndEnvironmentByteForByte) {
  const std::string output = make("output", "");
  EXPECT_EQ(in_child([&] {
              const int file = open(output.c_str(), O_WRONLY | O_CLOEXEC);
              if (file < 0 || dup2(file, STDOUT_FILENO) < 0) return 1;
              const std::vector<std::string> argv{"any name", "-u", "/proc/self/cmdline", "/proc/self/environ"};
              static_cast<void>(linux_.execute("/bin/cat", argv, {"B=2", "A=", "B=1", "no assignment"}));
              return 99;
            }),
            0);
  constexpr std::string_view kExpected =
      "any name\0-u\0/proc/self/cmdline\0/proc/self/environ\0"
      "B=2\0A=\0B=1\0no assignment\0"sv;
  EXPECT_EQ(linux_.read_file(output), kExpected);
}

TEST(SystemExecute, SignalMaskReachesTheProgram) {
  EXPECT_EQ(in_child([] {
              sigset_t set;
              sigemptyset(&set);
              sigaddset(&set, SIGUSR1);
              pthread_sigmask(SIG_SETMASK, &set, nullptr);
              set_disposition(SIGPIPE, SIG_DFL);
              Pipe pipe;
              pipe.close_reader();
              Linux().write(pipe.ends[1], "x");
              static_cast<void>(Linux().try_binds(kHarmless, false));
              const std::string pattern = "^SigBlk:[[:space:]]0*200$";
              static_cast<void>(Linux().execute("/bin/grep", {"grep", "-q", pattern, "/proc/self/status"}, {}));
              return 99;
            }),
            0);
}

TEST_F(Files, ExecuteReturnsTheCauseOfItsFailure) {
  EXPECT_EQ(linux_.execute(path("none"), {"none"}, {}).message(),
            "execve " + path("none") + ": No such file or directory");
  EXPECT_EQ(linux_.execute(make("text", "x", 0644), {"text"}, {}).code, EACCES);
  EXPECT_EQ(linux_.execute(make("program", "x", 0755), {"program"}, {}).code, ENOEXEC);
  EXPECT_EQ(linux_.execute("/bin/true", {"true", std::string(200'000, 'x')}, {}).code, E2BIG);
}

TEST(SystemLimits, AreThoseOfTheProcess) {
  struct rlimit expected{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &expected), 0);
  const auto limit = Linux().limit(portshim::system::Resource::open_files);
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->soft, expected.rlim_cur);
  EXPECT_EQ(limit->hard, expected.rlim_max);
}

TEST(SystemInotify, ATrialLeavesNoDescriptorBehind) {
  const auto count = [] { return Linux().list("/proc/self/fd").value_or(std::vector<std::string>{}).size(); };
  const std::size_t before = count();
  EXPECT_TRUE(Linux().try_inotify());
  EXPECT_EQ(count(), before);
}

TEST(SystemWritable, WhatDoesNotExistIsNotWritable) {
  const auto answer = Linux().writable("/nonexistent");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ENOENT);
  EXPECT_TRUE(Linux().writable("/dev/null"));
}

}  // namespace
