#include "shim/privilege.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <tuple>

#include "tests/support/fake_system.h"

namespace {

using portshim::address::Bind;
using portshim::address::Target;
using portshim::address::Verdict;
using portshim::options::Floor;
using portshim::options::FloorKind;
using portshim::privilege::effective_after_exec;
using portshim::privilege::Identity;
using portshim::privilege::predict;
using portshim::privilege::Trial;
using portshim::support::Call;
using portshim::support::FakeSystem;
using portshim::system::BindAttempt;
using portshim::system::CapabilitySet;
using portshim::system::FileCapabilities;
using portshim::system::kNetBindService;
using portshim::system::Linux;
using portshim::system::ProcessCapabilities;
using testing::UnorderedElementsAre;

constexpr uid_t kAppUser = 1654;
constexpr CapabilitySet kNetRaw = CapabilitySet{1} << 13U;
constexpr const char* kDotnet = "/usr/bin/dotnet";

const FileCapabilities kFilePermittedEffective{.permitted = kNetBindService, .inheritable = 0, .effective = true};
const FileCapabilities kFilePermitted{.permitted = kNetBindService, .inheritable = 0, .effective = false};
const FileCapabilities kFileInheritable{.permitted = 0, .inheritable = kNetBindService, .effective = true};

/// A process of Docker's that has this capability in its bounding set alone.
ProcessCapabilities bounding() {
  return {.bounding = FakeSystem::kDockerBounding};
}

/// A process to which Podman's --cap-add, or a launcher, gave it for good.
ProcessCapabilities ambient() {
  return {.effective = kNetBindService,
          .permitted = kNetBindService,
          .inheritable = kNetBindService,
          .bounding = FakeSystem::kDockerBounding,
          .ambient = kNetBindService};
}

ProcessCapabilities root() {
  return {.effective = FakeSystem::kDockerBounding,
          .permitted = FakeSystem::kDockerBounding,
          .bounding = FakeSystem::kDockerBounding};
}

bool can_bind_low(const ProcessCapabilities& process, uid_t uid, const std::optional<FileCapabilities>& file = {}) {
  return (effective_after_exec(process, uid, file) & kNetBindService) != 0;
}

// --- Capabilities across exec. ---

TEST(AfterExec, RootHasTheBoundingSet) {
  EXPECT_EQ(effective_after_exec(root(), 0, {}), FakeSystem::kDockerBounding);
}

TEST(AfterExec, RootThatDroppedAllHasNothing) {
  EXPECT_FALSE(can_bind_low({}, 0));
}

TEST(AfterExec, RootKeepsWhatIsInheritableThoughNotBounding) {
  EXPECT_TRUE(can_bind_low({.inheritable = kNetBindService}, 0));
  EXPECT_FALSE(can_bind_low({.inheritable = kNetBindService}, kAppUser));
}

TEST(AfterExec, RootOfNoRootIsLikeAnybody) {
  ProcessCapabilities process = root();
  process.no_root = true;
  EXPECT_FALSE(can_bind_low(process, 0));
  process.inheritable = process.ambient = kNetBindService;
  EXPECT_TRUE(can_bind_low(process, 0));
}

TEST(AfterExec, BoundingAloneGivesANonRootProcessNothing) {
  EXPECT_FALSE(can_bind_low(bounding(), kAppUser));
}

TEST(AfterExec, PermittedAndInheritableAreLostByAPlainFile) {
  ProcessCapabilities process = ambient();
  process.ambient = 0;
  EXPECT_FALSE(can_bind_low(process, kAppUser));
}

TEST(AfterExec, AmbientIsKept) {
  EXPECT_TRUE(can_bind_low(ambient(), kAppUser));
}

TEST(AfterExec, AmbientIsKeptUnderNoNewPrivileges) {
  ProcessCapabilities process = ambient();
  process.no_new_privileges = true;
  EXPECT_TRUE(can_bind_low(process, kAppUser));
}

TEST(AfterExec, AmbientIsClearedByAFileWithAnyCapability) {
  const FileCapabilities other{.permitted = kNetRaw, .inheritable = 0, .effective = true};
  EXPECT_EQ(effective_after_exec(ambient(), kAppUser, other), kNetRaw);
  EXPECT_FALSE(can_bind_low(ambient(), kAppUser, FileCapabilities{}));
}

TEST(AfterExec, FileCapabilityCountsWithinTheBoundingSet) {
  EXPECT_TRUE(can_bind_low(bounding(), kAppUser, kFilePermittedEffective));
  EXPECT_FALSE(can_bind_low({}, kAppUser, kFilePermittedEffective));
}

TEST(AfterExec, FileCapabilityWithoutTheEffectiveBitIsNotUsed) {
  EXPECT_FALSE(can_bind_low(bounding(), kAppUser, kFilePermitted));
}

TEST(AfterExec, InheritableFileCapabilityNeedsTheProcesss) {
  EXPECT_FALSE(can_bind_low(bounding(), kAppUser, kFileInheritable));
  EXPECT_TRUE(can_bind_low({.inheritable = kNetBindService}, kAppUser, kFileInheritable));
}

TEST(AfterExec, NoNewPrivilegesLeavesWhatWasPermitted) {
  ProcessCapabilities process = bounding();
  process.no_new_privileges = true;
  EXPECT_FALSE(can_bind_low(process, kAppUser, kFilePermittedEffective));
  process.permitted = kNetBindService;
  EXPECT_TRUE(can_bind_low(process, kAppUser, kFilePermittedEffective));
  process.permitted = kNetRaw;
  EXPECT_FALSE(can_bind_low(process, 0)) << "root too";
}

/// Runs in a child: brings it into one of the states, as far as the kernel lets it, says what is predicted for exec of
/// `program` (a copy of cat), and executes it.
class KernelComparison {
 public:
  explicit KernelComparison(std::string program) : program_(std::move(program)) {}

  /// What is predicted and what came of it; nothing when exec failed.
  [[nodiscard]] std::optional<std::array<CapabilitySet, 2>> run(unsigned state) const {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
    const pid_t child = fork();
    if (child == 0) be_child(state, ends[1]);
    close(ends[1]);
    CapabilitySet predicted = 0;
    const bool complete = read(ends[0], &predicted, sizeof predicted) == sizeof predicted;
    std::string status(1U << 16U, '\0');
    std::size_t length = 0;
    for (ssize_t count = 1; count > 0; length += static_cast<std::size_t>(std::max(count, ssize_t{0}))) {
      count = read(ends[0], status.data() + length, status.size() - length);
    }
    close(ends[0]);
    waitpid(child, nullptr, 0);
    const std::size_t line = status.find("CapEff:\t");
    if (!complete || line == std::string::npos) return std::nullopt;
    CapabilitySet seen = 0;
    std::from_chars(status.data() + line + 8, status.data() + line + 24, seen, 16);
    return std::array{predicted, seen};
  }

  enum State : std::uint8_t {
    non_root = 1,
    inheritable = 2,
    raise_ambient = 4,
    no_bounding = 8,
    no_permitted = 16,
    no_root = 32,
    no_new_privileges = 64,
    end = 128
  };

 private:
  static void set(unsigned permitted, unsigned inherited) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, 2> data{};
    data[0] = {.effective = permitted, .permitted = permitted, .inheritable = inherited};
    syscall(SYS_capset, &header, data.data());
  }

  [[noreturn]] void be_child(unsigned state, int writer) const {
    constexpr unsigned kBind = 1U << CAP_NET_BIND_SERVICE;
    constexpr unsigned kSetPcap = 1U << CAP_SETPCAP;
    const unsigned inherited = (state & inheritable) != 0 ? kBind : 0;
    set(kBind | kSetPcap | 1U << CAP_SETUID, inherited);
    if ((state & no_bounding) != 0) prctl(PR_CAPBSET_DROP, CAP_NET_BIND_SERVICE, 0, 0, 0);
    const unsigned bits = SECBIT_NO_SETUID_FIXUP | ((state & no_root) != 0 ? unsigned{SECBIT_NOROOT} : 0U);
    prctl(PR_SET_SECUREBITS, bits, 0, 0, 0);
    if ((state & non_root) != 0 && setresuid(kAppUser, kAppUser, kAppUser) != 0) _exit(1);
    set((state & no_permitted) != 0 ? 0 : kBind, inherited);
    if ((state & raise_ambient) != 0) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);
    if ((state & no_new_privileges) != 0) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

    Linux system;
    const CapabilitySet predicted =
        effective_after_exec(*system.capabilities(), geteuid(), *system.file_capabilities(program_));
    if (write(writer, &predicted, sizeof predicted) != sizeof predicted) _exit(1);
    dup2(writer, STDOUT_FILENO);
    static_cast<void>(system.execute(program_, {"cat", "/proc/self/status"}, {}));
    _exit(1);
  }

  std::string program_;
};

/// A copy of cat in a directory that every user may search.
class Program {
 public:
  Program() {
    folder_ = std::filesystem::temp_directory_path() / "portshim-privilege-XXXXXX";
    chmod(mkdtemp(folder_.data()), 0755);
    std::filesystem::copy_file("/bin/cat", path());
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path() const { return folder_ + "/cat"; }

  /// security.capability; false where the file system or the user may not hold it.
  [[nodiscard]] bool set(unsigned permitted, unsigned inheritable, bool effective) const {
    vfs_cap_data data{};
    data.magic_etc = VFS_CAP_REVISION_2 | (effective ? VFS_CAP_FLAGS_EFFECTIVE : 0U);
    data.data[0].permitted = permitted;
    data.data[0].inheritable = inheritable;
    return setxattr(path().c_str(), "security.capability", &data, sizeof data, 0) == 0;
  }

 private:
  std::string folder_;
};

/// Compares every state of the process with one program.
struct Comparison {
  int allowed = 0, denied = 0, refused = 0, wrong = 0;

  explicit Comparison(const Program& program) {
    using Kernel = KernelComparison;
    for (unsigned state = 0; state < Kernel::end; ++state) {
      // The kernel raises no ambient capability that is not permitted and inheritable.
      const bool can_raise = (state & (Kernel::inheritable | Kernel::no_permitted)) == Kernel::inheritable;
      if ((state & Kernel::raise_ambient) == 0 || can_raise) add(Kernel(program.path()).run(state));
    }
  }
  void add(const std::optional<std::array<CapabilitySet, 2>>& result) {
    if (!result) {
      ++refused;
      return;
    }
    const auto [predicted, seen] = *result;
    wrong += predicted != seen ? 1 : 0;
    ++((seen & kNetBindService) != 0 ? allowed : denied);
  }
};

TEST(AfterExec, EveryStateComesOutOfTheRealExecAsPredicted) {
  constexpr CapabilitySet kNeeded = kNetBindService | kNetRaw | 1U << CAP_SETPCAP | 1U << CAP_SETUID;
  if ((Linux().capabilities()->permitted & kNeeded) != kNeeded) GTEST_SKIP() << "needs root: it sets capabilities";
  constexpr unsigned kBind = 1U << CAP_NET_BIND_SERVICE;
  constexpr unsigned kRaw = 1U << CAP_NET_RAW;
  const Program program;
  const Comparison plain(program);
  EXPECT_EQ(plain.wrong, 0);
  EXPECT_EQ(plain.refused, 0);
  EXPECT_GT(plain.allowed, 10) << "otherwise the comparison says little";
  EXPECT_GT(plain.denied, 10);
  if (!program.set(kBind, 0, true)) GTEST_SKIP() << "no file capabilities here: " << strerrordesc_np(errno);
  const Comparison demanding(program);
  EXPECT_EQ(demanding.wrong, 0);
  EXPECT_EQ(demanding.refused, 40) << "exec of =ep fails in every state whose bounding set lacks it";
  int wrong = 0;
  for (const auto& [permitted, inheritable, effective] :
       {std::tuple{kBind, 0U, false}, {0U, kBind, true}, {0U, kBind, false}, {kRaw, 0U, true}, {0U, 0U, false}}) {
    const bool set = program.set(permitted, inheritable, effective);
    const Comparison comparison(program);
    wrong += set ? comparison.wrong + comparison.refused : 1;
  }
  EXPECT_EQ(wrong, 0);
}

// --- Prediction. ---

TEST(Predict, WhatIsAssumedTakesThePlaceOfWhatIsHere) {
  using portshim::options::Capabilities;
  FakeSystem root;
  root.become_root();
  const Identity user = predict(root, "", {.uid = 1654, .gid = 1, .capabilities = {}, .port_start = 80});
  EXPECT_EQ(user.uid, 1654U);
  EXPECT_EQ(user.gid, 1U);
  EXPECT_FALSE(user.net_bind_service) << "a runtime leaves a user nothing of root's";
  EXPECT_TRUE(user.bounding_only);
  EXPECT_EQ(user.port_start, 80);
  EXPECT_TRUE(predict(root, "", {.uid = 0, .gid = {}, .capabilities = {}, .port_start = {}}).net_bind_service);
  const FakeSystem here;
  EXPECT_TRUE(predict(here, "", {.uid = 0, .gid = {}, .capabilities = {}, .port_start = {}}).net_bind_service)
      << "the bounding set is root's";
  const Identity capable =
      predict(here, "", {.uid = {}, .gid = {}, .capabilities = Capabilities::all, .port_start = {}});
  EXPECT_TRUE(capable.net_bind_service);
  EXPECT_EQ(capable.uid, 1654U);
  EXPECT_FALSE(
      predict(root, "", {.uid = {}, .gid = {}, .capabilities = Capabilities::none, .port_start = {}}).net_bind_service);
}

TEST(OfRunning, ACapabilityThatItHasDroppedIsGone) {
  FakeSystem root;
  root.become_root();
  EXPECT_TRUE(portshim::privilege::of_running(root).net_bind_service);
  root.process.effective = 0;
  EXPECT_FALSE(portshim::privilege::of_running(root).net_bind_service);
  EXPECT_TRUE(portshim::privilege::of_running(root).bounding_only);
  EXPECT_TRUE(predict(root, "").net_bind_service) << "exec would give it back";
}

TEST(ByRule, TheSysctlAndTheCapabilityDecide) {
  Identity identity;
  const auto verdict = [&](std::uint16_t port, Bind bind = Bind::any) {
    return portshim::privilege::by_rule(identity, {.bind = bind, .address = {}, .port = port});
  };
  EXPECT_EQ(verdict(1023), Verdict::denied);
  EXPECT_EQ(verdict(1024), Verdict::allowed);
  EXPECT_EQ(verdict(0), Verdict::unknown);
  EXPECT_EQ(verdict(0, Bind::unix_socket), Verdict::unknown);
  identity.port_start = 80;
  EXPECT_EQ(verdict(80), Verdict::allowed);
  EXPECT_EQ(verdict(79), Verdict::denied);
  identity.net_bind_service = true;
  EXPECT_EQ(verdict(1), Verdict::allowed);
}

TEST(Predict, ContainerUserOfDockerCannotBindLow) {
  const FakeSystem system;
  const Identity identity = predict(system, "");
  EXPECT_EQ(identity.uid, kAppUser);
  EXPECT_EQ(identity.gid, kAppUser);
  EXPECT_FALSE(identity.net_bind_service);
  EXPECT_TRUE(identity.bounding_only);
  EXPECT_EQ(identity.port_start, 1024);
  EXPECT_TRUE(identity.port_start_known);
  EXPECT_TRUE(identity.capabilities_known);
}

TEST(Predict, EffectiveIdsCount) {
  FakeSystem system;
  system.identity = {.uid = 1, .effective_uid = 2, .gid = 3, .effective_gid = 4};
  EXPECT_EQ(predict(system, "").uid, 2U);
  EXPECT_EQ(predict(system, "").gid, 4U);
}

TEST(Predict, RootOfDockerCan) {
  FakeSystem system;
  const Identity identity = predict(system.become_root(), "");
  EXPECT_TRUE(identity.net_bind_service);
  EXPECT_FALSE(identity.bounding_only);
}

TEST(Predict, WithoutItInTheBoundingSetItIsNotBoundingOnly) {
  FakeSystem system;
  system.process.bounding = kNetRaw;
  EXPECT_FALSE(predict(system, "").net_bind_service);
  EXPECT_FALSE(predict(system, "").bounding_only);
}

TEST(Predict, CapabilityOfTheProgramsFileCountsUnlessTheMountIsNosuid) {
  FakeSystem system;
  system.program(kDotnet).capability(kDotnet, kFilePermittedEffective);
  EXPECT_TRUE(predict(system, kDotnet).net_bind_service);
  EXPECT_FALSE(predict(system, "").net_bind_service) << "the control: a plain file";
  system.mount("/usr", {.noexec = false, .nosuid = true});
  EXPECT_FALSE(predict(system, kDotnet).net_bind_service);
}

TEST(Predict, FileOnNosuidMountDoesNotClearAmbient) {
  FakeSystem system;
  system.process = ambient();
  system.program(kDotnet).capability(kDotnet, {.permitted = kNetRaw, .inheritable = 0, .effective = true});
  EXPECT_FALSE(predict(system, kDotnet).net_bind_service);
  system.mount("/usr", {.noexec = false, .nosuid = true});
  EXPECT_TRUE(predict(system, kDotnet).net_bind_service);
}

TEST(Predict, PlainFileCostsOneLookAtItsAttribute) {
  FakeSystem system;
  system.program(kDotnet);
  static_cast<void>(predict(system, kDotnet));
  const std::vector<FakeSystem::Record> expected{
      {Call::capabilities, ""}, {Call::file_capabilities, kDotnet}, {Call::read, FakeSystem::kPortStart}};
  EXPECT_EQ(system.calls, expected);
}

TEST(Predict, ProgramThatIsMissingIsAPlainFile) {
  FakeSystem system;
  EXPECT_TRUE(predict(system.become_root(), "/none").net_bind_service);
}

TEST(Predict, CapabilitiesThatCannotBeReadAreNone) {
  FakeSystem system;
  system.become_root().fail(Call::capabilities, EPERM);
  const Identity identity = predict(system, "");
  EXPECT_FALSE(identity.net_bind_service);
  EXPECT_FALSE(identity.capabilities_known);
}

TEST(Predict, PortStartIsTheSysctls) {
  FakeSystem system;
  for (const int start : {0, 80, 1024, 65535}) {
    EXPECT_EQ(predict(system.port_start(start), "").port_start, start);
    EXPECT_TRUE(predict(system, "").port_start_known);
  }
}

TEST(Predict, PortStartThatCannotBeReadIs1024) {
  FakeSystem system;
  system.remove(FakeSystem::kPortStart);
  EXPECT_EQ(predict(system, "").port_start, 1024);
  EXPECT_FALSE(predict(system, "").port_start_known);
  for (const char* text : {"", "\n", "x", "-1\n", "65536\n", "80 443\n"}) {
    system.file(FakeSystem::kPortStart, text);
    EXPECT_EQ(predict(system, "").port_start, 1024) << text;
    EXPECT_FALSE(predict(system, "").port_start_known) << text;
  }
}

// --- The floor. ---

std::uint16_t floor_of(FloorKind kind, bool net_bind_service, int port_start) {
  const Identity identity{.net_bind_service = net_bind_service, .port_start = static_cast<std::uint16_t>(port_start)};
  return portshim::privilege::floor(Floor{.kind = kind, .number = 3000}, identity);
}

TEST(FloorOf, PortableIsTheSameOnEveryHost) {
  EXPECT_EQ(floor_of(FloorKind::portable, false, 0), 1024);
  EXPECT_EQ(floor_of(FloorKind::portable, false, 1024), 1024);
  EXPECT_EQ(floor_of(FloorKind::portable, false, 5000), 5000) << "where the host is stricter than all others";
}

TEST(FloorOf, KernelIsTheHosts) {
  EXPECT_EQ(floor_of(FloorKind::kernel, false, 0), 0);
  EXPECT_EQ(floor_of(FloorKind::kernel, false, 80), 80);
  EXPECT_EQ(floor_of(FloorKind::kernel, false, 5000), 5000);
}

TEST(FloorOf, CapabilityLiftsBoth) {
  EXPECT_EQ(floor_of(FloorKind::portable, true, 1024), 0);
  EXPECT_EQ(floor_of(FloorKind::kernel, true, 1024), 0);
}

TEST(FloorOf, NumberIsForEveryone) {
  EXPECT_EQ(floor_of(FloorKind::number, false, 1024), 3000);
  EXPECT_EQ(floor_of(FloorKind::number, true, 1024), 3000);
}

// --- Trial binds. ---

Target any(std::uint16_t port) {
  return {.https = false, .bind = Bind::any, .address = "", .port = port};
}
Target localhost(std::uint16_t port) {
  return {.https = false, .bind = Bind::localhost, .address = "", .port = port};
}
Target ip(const std::string& address, std::uint16_t port) {
  return {.https = false, .bind = Bind::ip, .address = address, .port = port};
}

Verdict verdict_of(const FakeSystem& system, const Target& target) {
  return Trial::run(system, predict(system, ""), {target}).verdict(target);
}

TEST(TrialRun, LowPortIsDeniedAndHighPortIsAllowed) {
  const FakeSystem system;
  const std::vector<Target> targets{any(80),         any(8080),          localhost(80),
                                    localhost(8080), ip("10.0.0.1", 80), ip("10.0.0.1", 8080)};
  const Trial trial = Trial::run(system, predict(system, ""), targets);
  for (const Target& target : targets) {
    EXPECT_EQ(trial.verdict(target), target.port == 80 ? Verdict::denied : Verdict::allowed) << to_string(target);
  }
}

TEST(TrialRun, AllIsAskedAtOnceAndNothingTwice) {
  const FakeSystem system;
  Target https = any(80);
  https.https = true;
  static_cast<void>(
      Trial::run(system, predict(system, ""), {any(80), https, ip("::", 80), localhost(80), ip("::1", 80), any(81)}));
  ASSERT_EQ(system.trials.size(), 1U);
  EXPECT_THAT(system.trials[0].attempts,
              UnorderedElementsAre(BindAttempt{"::", 80}, BindAttempt{"0.0.0.0", 80}, BindAttempt{"127.0.0.1", 80},
                                   BindAttempt{"::1", 80}, BindAttempt{"::", 81}, BindAttempt{"0.0.0.0", 81}));
}

TEST(TrialRun, SchemeMakesNoDifference) {
  const FakeSystem system;
  Target https = any(80);
  https.https = true;
  EXPECT_EQ(Trial::run(system, predict(system, ""), {any(80)}).verdict(https), Verdict::denied);
}

TEST(TrialRun, IdentityDecidesTheTrialsCapability) {
  const FakeSystem system;
  static_cast<void>(Trial::run(system, {.net_bind_service = true}, {any(80)}));
  static_cast<void>(Trial::run(system, {.net_bind_service = false}, {any(80)}));
  ASSERT_EQ(system.trials.size(), 2U);
  EXPECT_TRUE(system.trials[0].net_bind_service);
  EXPECT_FALSE(system.trials[1].net_bind_service);
}

TEST(TrialRun, WhatHasNoPortIsNotTried) {
  const FakeSystem system;
  const Target socket{.https = false, .bind = Bind::unix_socket, .address = "/run/k.sock", .port = 0};
  const Target pipe{.https = false, .bind = Bind::named_pipe, .address = "p", .port = 0};
  const Trial trial = Trial::run(system, predict(system, ""), {socket, pipe, any(0)});
  EXPECT_TRUE(system.trials.empty());
  EXPECT_EQ(trial.verdict(socket), Verdict::unknown);
  EXPECT_EQ(trial.verdict(any(0)), Verdict::unknown);
}

TEST(TrialRun, WhatWasNotAskedIsUnknown) {
  const FakeSystem system;
  const Trial trial = Trial::run(system, predict(system, ""), {any(8080)});
  EXPECT_EQ(trial.verdict(any(8080)), Verdict::allowed);
  EXPECT_EQ(trial.verdict(any(8081)), Verdict::unknown);
  EXPECT_EQ(trial.verdict(localhost(8080)), Verdict::unknown);
}

TEST(TrialRun, FailureOfTheTrialIsUnknown) {
  FakeSystem system;
  system.fail(Call::try_binds, EAGAIN);
  for (const Target& target : {any(8080), localhost(8080), ip("::1", 8080)}) {
    EXPECT_EQ(verdict_of(system, target), Verdict::unknown) << to_string(target);
  }
}

TEST(TrialRun, AnyFallsBackToIpv4ButForAddressInUse) {
  FakeSystem system;
  for (const int code : {EAFNOSUPPORT, EADDRNOTAVAIL, EACCES}) {
    system.bind_answers = {{{"::", 8080}, code}, {{"0.0.0.0", 8080}, 0}};
    EXPECT_EQ(verdict_of(system, any(8080)), Verdict::allowed) << code;
  }
  system.bind_answers = {{{"::", 8080}, EADDRINUSE}, {{"0.0.0.0", 8080}, 0}};
  EXPECT_EQ(verdict_of(system, any(8080)), Verdict::taken);
  system.bind_answers = {{{"::", 8080}, 0}, {{"0.0.0.0", 8080}, EADDRINUSE}};
  EXPECT_EQ(verdict_of(system, any(8080)), Verdict::allowed);
}

TEST(TrialRun, AnyWithoutIpv6HasIpv4sVerdict) {
  FakeSystem system;
  const auto verdict = [&](int ipv4) {
    system.bind_answers = {{{"::", 80}, EAFNOSUPPORT}, {{"0.0.0.0", 80}, ipv4}};
    return verdict_of(system, any(80));
  };
  EXPECT_EQ(verdict(0), Verdict::allowed);
  EXPECT_EQ(verdict(EACCES), Verdict::denied);
  EXPECT_EQ(verdict(EPERM), Verdict::denied);
  EXPECT_EQ(verdict(EADDRINUSE), Verdict::taken);
  EXPECT_EQ(verdict(EADDRNOTAVAIL), Verdict::unknown);
  EXPECT_EQ(verdict(EMFILE), Verdict::unknown);
}

TEST(TrialRun, LocalhostTakesEitherLoopback) {
  struct Case {
    int ipv4, ipv6;
    Verdict verdict;
  };
  const std::vector<Case> cases{{0, 0, Verdict::allowed},
                                {0, EAFNOSUPPORT, Verdict::allowed},
                                {EAFNOSUPPORT, 0, Verdict::allowed},
                                {0, EADDRINUSE, Verdict::taken},
                                {EADDRINUSE, 0, Verdict::taken},
                                {EADDRINUSE, EACCES, Verdict::taken},
                                {EACCES, EACCES, Verdict::denied},
                                {EACCES, EADDRNOTAVAIL, Verdict::denied},
                                {EAFNOSUPPORT, EACCES, Verdict::denied},
                                {EADDRNOTAVAIL, EADDRNOTAVAIL, Verdict::unknown}};
  FakeSystem system;
  for (const auto& [ipv4, ipv6, verdict] : cases) {
    system.bind_answers = {{{"127.0.0.1", 80}, ipv4}, {{"::1", 80}, ipv6}};
    EXPECT_EQ(verdict_of(system, localhost(80)), verdict) << ipv4 << " " << ipv6;
  }
}

TEST(TrialRun, AddressOfAnotherHostIsUnavailable) {
  FakeSystem system;
  system.bind_answers = {{{"192.0.2.1", 8080}, EADDRNOTAVAIL}};
  EXPECT_EQ(verdict_of(system, ip("192.0.2.1", 8080)), Verdict::unavailable);
  system.bind_answers = {{{"192.0.2.1", 8080}, EINVAL}};
  EXPECT_EQ(verdict_of(system, ip("192.0.2.1", 8080)), Verdict::unknown);
}

TEST(TrialRun, CapabilityThatTheHostDoesNotHonourIsDenied) {
  FakeSystem system;
  system.become_root().bind_rule = [](const BindAttempt&, bool) { return EACCES; };
  EXPECT_EQ(verdict_of(system, any(80)), Verdict::denied);
}

TEST(TrialRun, DenialSaysNothingWhereOnlyExecGivesTheCapability) {
  FakeSystem system;  // as from a file capability of the program: this process itself has nothing
  system.bind_rule = [](const BindAttempt& attempt, bool) { return attempt.port < 1024 ? EACCES : 0; };
  const Identity by_file{.net_bind_service = true};
  EXPECT_EQ(Trial::run(system, by_file, {any(80)}).verdict(any(80)), Verdict::unknown);
  EXPECT_EQ(Trial::run(system, by_file, {any(8080)}).verdict(any(8080)), Verdict::allowed);
  EXPECT_EQ(Trial::run(system, {}, {any(80)}).verdict(any(80)), Verdict::denied) << "the control";
}

TEST(TrialSet, VerdictCanBeGiven) {
  Trial trial;
  trial.set(localhost(80), Verdict::taken);
  EXPECT_EQ(trial.verdict(localhost(80)), Verdict::taken);
  EXPECT_EQ(trial.verdict(any(80)), Verdict::unknown);
}

TEST(KernelOf, ARunningAppIsNotInItsOwnWayAndOthersAre) {
  FakeSystem system;
  system.in_use = {8080, 9090};
  const Target own{.bind = Bind::ip, .address = "::", .port = 8080};
  portshim::privilege::Kernel kernel(system, {.port_start = 1024}, false, {own});
  const auto any = [](std::uint16_t port) { return Target{.bind = Bind::any, .address = {}, .port = port}; };
  EXPECT_EQ(kernel.verdict(any(8080)), Verdict::allowed);
  EXPECT_EQ(kernel.verdict(any(9090)), Verdict::taken);
}

TEST(KernelOf, WhatStayedUnknownIsNotAskedForAgain) {
  FakeSystem system;
  system.fail(Call::try_binds, EAGAIN);
  portshim::privilege::Kernel kernel(system, {}, false, {});
  kernel.ask({any(8080), ip("::1", 8081)});
  for (const Target& target : {any(8080), ip("::1", 8081), any(8082), any(8082)}) {
    EXPECT_EQ(kernel.verdict(target), Verdict::unknown) << to_string(target);
  }
  EXPECT_EQ(system.trials.size(), 2U) << "the two together, and the one that was not among them";
}

}  // namespace
