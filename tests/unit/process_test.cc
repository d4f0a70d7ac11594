#include "shim/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/fake_system.h"

namespace portshim::process {
namespace {

using address::Bind;
using address::Target;
using support::FakeSystem;
using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::string_literals;

constexpr const char* kStat = "17 (a) b) S 1 17 17 0 -1 4194560 9 9 9 9 0 0 0 0 20 0 1 0 4711 9 9 9\n";
// As the kernel prints them: 0.0.0.0:8080 listens, 127.0.0.1:5000 listens, a connection of 8080 does not.
constexpr const char* kTcp =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1654        0 101 1 0 100 0 0 10 0\n"
    "   1: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102 1 0 100 0 0 10 0\n"
    "   2: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000  1654        0 103 1 0 100 0 0 10 0\n";
constexpr const char* kTcp6 =
    "  sl  local_address                         remote_address                        st tx_queue rx_queue\n"
    "   0: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 "
    "00:00000000 00000000  1654        0 104 1 0 100 0 0 10 0\n"
    "   1: 00000000000000000000000001000000:1388 00000000000000000000000000000000:0000 0A 00000000:00000000 "
    "00:00000000 00000000  1654        0 105 1 0 100 0 0 10 0\n";

/// Process 17, `dotnet App.dll`, which holds two of the sockets.
void add_process(FakeSystem& system) {
  system.file("/proc/17/stat", kStat)
      .file("/proc/17/cmdline", "dotnet\0App.dll\0\0--urls=x\0"s)
      .file("/proc/17/environ", "PATH=/bin\0URLS=http://+:80\0"s)
      .file("/proc/17/status",
            "Name:\ta) "
            "b\nUid:\t1\t1654\t1\t1\nGid:\t2\t1655\t2\t2\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000400\n"
            "CapEff:\t0000000000000400\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000400\nNoNewPrivs:\t1\n"
            "SigBlk:\t0000000000004000\nSigIgn:\t0000000000011000\n")
      .link("/proc/17/root", "/")
      .link("/proc/17/cwd", "/app")
      .link("/proc/17/exe", "/usr/share/dotnet/dotnet")
      .link("/proc/17/fd/0", "/dev/null")
      .link("/proc/17/fd/5", "socket:[101]")
      .link("/proc/17/fd/6", "socket:[104]")
      .file("/proc/17/net/tcp", kTcp)
      .file("/proc/17/net/tcp6", kTcp6);
}

std::vector<std::string> places(const std::vector<Listener>& listeners) {
  std::vector<std::string> out;
  for (const Listener& one : listeners) out.push_back(one.address + " " + std::to_string(one.port));
  return out;
}

TEST(Process, IsReadFromProc) {
  FakeSystem system;
  add_process(system);
  const auto process = read(system, 17);
  ASSERT_TRUE(process);
  EXPECT_THAT(process->argv, ElementsAre("dotnet", "App.dll", "", "--urls=x"));
  EXPECT_THAT(process->environment.value(), ElementsAre("PATH=/bin", "URLS=http://+:80"));
  EXPECT_EQ(process->program, "/usr/share/dotnet/dotnet");
  EXPECT_EQ(process->directory, "/app");
  EXPECT_EQ(process->start_time, "4711") << "a name may hold anything";
  EXPECT_EQ(process->ids.effective_uid, 1654U);
  EXPECT_EQ(process->ids.effective_gid, 1655U);
  EXPECT_EQ(process->capabilities.effective, system::kNetBindService);
  EXPECT_EQ(process->capabilities.bounding, 0xa80425fbU);
  EXPECT_TRUE(process->capabilities.no_new_privileges);
  EXPECT_THAT(process->unreadable, IsEmpty());
}

TEST(Process, HasItsOwnSignals) {
  FakeSystem system;
  add_process(system);
  const auto process = read(system, 17);
  const View view(*process);
  EXPECT_TRUE(view.is_blocked(SIGTERM));
  EXPECT_FALSE(view.is_blocked(SIGINT));
  EXPECT_TRUE(view.is_ignored(SIGPIPE));
  EXPECT_TRUE(view.is_ignored(SIGCHLD));
  EXPECT_FALSE(view.is_ignored(SIGTERM));
}

TEST(Process, ListensOnTheSocketsThatItHolds) {
  FakeSystem system;
  add_process(system);
  const auto process = read(system, 17);
  EXPECT_TRUE(process->listening_is_own);
  EXPECT_THAT(places(process->listening), ElementsAre("0.0.0.0 8080", ":: 8081"));
}

TEST(Process, WithoutItsDescriptorsAllListenersOfItsNamespaceAreNamedAsSuch) {
  FakeSystem system;
  add_process(system);
  system.fail(support::Call::list, "/proc/17/fd", EACCES);
  const auto process = read(system, 17);
  EXPECT_FALSE(process->listening_is_own);
  EXPECT_THAT(places(process->listening), ElementsAre("127.0.0.1 5000", "::1 5000", "0.0.0.0 8080", ":: 8081"));
}

TEST(Process, WhatMayNotBeReadIsSaidOneByOne) {
  FakeSystem system;
  add_process(system);
  system.fail(support::Call::read, "/proc/17/environ", EACCES);
  for (const char* name : {"root", "cwd", "exe"}) {
    system.fail(support::Call::read_link, "/proc/17/"s + name, EACCES);
  }
  const auto process = read(system, 17);
  ASSERT_TRUE(process);
  EXPECT_FALSE(process->environment);
  EXPECT_THAT(process->unreadable, ElementsAre("environment: Permission denied", "root directory: Permission denied",
                                               "program: Permission denied", "working directory: Permission denied"));
}

TEST(Process, ThatIsNotThereIsAnError) {
  const FakeSystem system;
  const auto process = read(system, 17);
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().code, ENOENT);
}

TEST(Process, WithoutACommandLineIsAnError) {
  FakeSystem system;
  add_process(system);
  system.file("/proc/17/cmdline", "");
  const auto process = read(system, 17);
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().code, ENOEXEC);
}

TEST(Process, IsToldFromALaterOneWithItsNumber) {
  FakeSystem system;
  add_process(system);
  const auto process = read(system, 17);
  EXPECT_TRUE(is_running(system, *process));
  system.file("/proc/17/stat", "17 (a) S 1 17 17 0 -1 4194560 9 9 9 9 0 0 0 0 20 0 1 0 4712 9 9 9\n");
  EXPECT_FALSE(is_running(system, *process));
}

TEST(Process, PathsOfAnotherRootAreBelowIt) {
  FakeSystem system;
  add_process(system);
  system.link("/proc/17/root", "/srv/jail").link("/proc/17/cwd", "/srv/jail/app").link("/proc/17/exe", "/srv/jailer/x");
  const auto process = read(system, 17);
  EXPECT_EQ(process->directory, "/app");
  EXPECT_EQ(process->program, "/srv/jailer/x");
}

TEST(Process, AWorkingDirectoryThatIsGoneIsKnownToBe) {
  FakeSystem system;
  add_process(system);
  system.link("/proc/17/cwd", "/app (deleted)");
  const auto process = read(system, 17);
  EXPECT_TRUE(process->directory_deleted);
  EXPECT_EQ(View(*process).current_directory().error().code, ENOENT);
}

Target on(Bind bind, std::uint16_t port, std::string address = "") {
  return {.bind = bind, .address = std::move(address), .port = port};
}

using Outcomes = std::vector<std::vector<Target>>;

TEST(Comparison, ASocketIsPredictedWhereABindMakesIt) {
  struct Case {
    Listener listener;
    Target target;
    bool predicted;
  };
  for (const Case& one : std::vector<Case>{{{"::", 80}, on(Bind::any, 80), true},
                                           {{"0.0.0.0", 80}, on(Bind::any, 80), true},
                                           {{"127.0.0.1", 80}, on(Bind::any, 80), false},
                                           {{"::", 81}, on(Bind::any, 80), false},
                                           {{"127.0.0.1", 80}, on(Bind::localhost, 80), true},
                                           {{"::1", 80}, on(Bind::localhost, 80), true},
                                           {{"0.0.0.0", 80}, on(Bind::localhost, 80), false},
                                           {{"10.0.0.1", 80}, on(Bind::ip, 80, "10.0.0.1"), true},
                                           {{"fe80::1", 80}, on(Bind::ip, 80, "fe80::1%3"), true},
                                           {{"10.0.0.2", 80}, on(Bind::ip, 80, "10.0.0.1"), false},
                                           {{"::", 40000}, on(Bind::any, 0), true},
                                           {{"127.0.0.1", 40000}, on(Bind::any, 0), false}}) {
    const auto comparison = compare(std::vector{one.listener}, Outcomes{{one.target}});
    EXPECT_THAT(comparison.predicted, ElementsAre(one.predicted)) << one.listener.address << " " << one.listener.port;
    EXPECT_EQ(comparison.not_listening.empty(), one.predicted);
  }
}

TEST(Comparison, OnlyWhatEveryOutcomeHasIsMissed) {
  const Outcomes outcomes{{on(Bind::any, 80), on(Bind::any, 81)}, {on(Bind::any, 81)}};
  const auto comparison = compare({}, outcomes);
  EXPECT_THAT(comparison.not_listening, ElementsAre(on(Bind::any, 81)));
  EXPECT_THAT(compare({}, {}).not_listening, IsEmpty());
}

// --- The view, of a real process. ---

/// A child with another root (where this process may chroot) that waits until it is killed.
class Child {
 public:
  explicit Child(const std::string& root, const std::string& directory) {
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      if (chroot(root.c_str()) != 0 || chdir(directory.c_str()) != 0) _exit(1);
      if (::write(pipe[1], "x", 1) != 1) _exit(1);
      pause();
      _exit(0);
    }
    close(pipe[1]);
    char byte = 0;
    ready_ = ::read(pipe[0], &byte, 1) == 1;
    close(pipe[0]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool ready() const { return ready_; }

 private:
  pid_t pid_ = -1;
  bool ready_ = false;
};

class ViewOfAnotherRoot : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to change a child's root directory";
    std::string name = "/tmp/portshim-process-test.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    std::filesystem::create_directories(root_ + "/app/folder");
    std::ofstream(root_ + "/app/settings.json") << "{}";
    std::filesystem::create_symlink("/app/settings.json", root_ + "/app/absolute");
    std::filesystem::create_symlink("../../../../../../../../etc/passwd", root_ + "/app/out");
    std::filesystem::create_symlink("loop", root_ + "/app/loop");
    child_.emplace(root_, "/app");
    ASSERT_TRUE(child_->ready());
    auto process = read(linux_, child_->pid());
    ASSERT_TRUE(process);
    process_ = *std::move(process);
    view_.emplace(process_);
  }
  void TearDown() override {
    child_.reset();
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }

  system::Linux linux_;
  std::string root_;
  std::optional<Child> child_;
  Process process_;
  std::optional<View> view_;
};

TEST_F(ViewOfAnotherRoot, PathsAreRelativeToItsDirectoryAndBelowItsRoot) {
  EXPECT_EQ(process_.directory, "/app");
  EXPECT_EQ(view_->current_directory(), "/app");
  EXPECT_EQ(view_->read_file("settings.json"), "{}");
  EXPECT_EQ(view_->read_file("/app/settings.json"), "{}");
  EXPECT_EQ(view_->read_part("settings.json", 1, 5), "}");
  EXPECT_EQ(view_->read_file(root_ + "/app/settings.json").error().code, ENOENT);
  EXPECT_EQ(view_->real_path("settings.json"), "/app/settings.json");
}

TEST_F(ViewOfAnotherRoot, LinksLeadNowhereElse) {
  EXPECT_EQ(view_->read_file("absolute"), "{}");
  EXPECT_EQ(view_->real_path("absolute"), "/app/settings.json");
  EXPECT_EQ(view_->read_link("absolute"), "/app/settings.json");
  EXPECT_EQ(view_->status("absolute", false)->type, system::FileType::symlink);
  EXPECT_EQ(view_->status("absolute")->type, system::FileType::regular);
  EXPECT_EQ(view_->read_file("out").error().code, ENOENT);
  EXPECT_EQ(view_->read_file("/etc/passwd").error().code, ENOENT);
  EXPECT_EQ(view_->read_file("loop").error().code, ELOOP);
}

TEST_F(ViewOfAnotherRoot, ErrorsAreThoseOfThePathAsGiven) {
  EXPECT_EQ(view_->read_file("folder").error().message(), "open folder: Is a directory");
  EXPECT_EQ(view_->read_link("folder").error().code, EINVAL);
  EXPECT_EQ(view_->status("none").error().message(), "open none: No such file or directory");
  EXPECT_EQ(view_->read_file("settings.json\0"s).error().code, ENOENT);
}

TEST_F(ViewOfAnotherRoot, AllOtherQuestionsAreAnsweredToo) {
  EXPECT_THAT(view_->list("/app").value(), testing::Contains("settings.json"));
  EXPECT_TRUE(view_->readable("settings.json"));
  EXPECT_FALSE(view_->executable("settings.json"));
  EXPECT_TRUE(view_->mount_flags("folder"));
  EXPECT_EQ(view_->file_capabilities("settings.json").value(), std::nullopt);
  EXPECT_EQ(view_->ids().effective_uid, 0U);
  EXPECT_EQ(view_->capabilities()->effective, linux_.capabilities()->effective);
  EXPECT_EQ(view_->elf_machine(), linux_.elf_machine());
  EXPECT_EQ(view_->why_no_trial(false), "");
}

TEST(Process, HasItsOwnLimits) {
  const system::Linux linux_;
  const pid_t child = fork();
  if (child == 0) {
    const rlimit few{.rlim_cur = 77, .rlim_max = 99};
    setrlimit(RLIMIT_NOFILE, &few);
    raise(SIGSTOP);
    _exit(0);
  }
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(child), &info, WSTOPPED);
  const auto process = read(linux_, child);
  const View view(process.value());
  const auto files = view.limit(system::Resource::open_files);
  EXPECT_EQ(files->soft, 77U);
  EXPECT_EQ(files->hard, 99U);
  for (const auto resource : {system::Resource::file_size, system::Resource::processes, system::Resource::address_space,
                              system::Resource::data, system::Resource::stack}) {
    EXPECT_EQ(view.limit(resource)->soft, linux_.limit(resource)->soft);
    EXPECT_EQ(view.limit(resource)->hard, linux_.limit(resource)->hard);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(view.limit(system::Resource::open_files));
}

TEST(Process, ThatHasEndedIsNotRunning) {
  const system::Linux linux_;
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  const auto process = read(linux_, child);
  EXPECT_TRUE(process && is_running(linux_, *process));
  kill(child, SIGKILL);
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_FALSE(is_running(linux_, *process)) << "it waits to be reaped";
  EXPECT_EQ(read(linux_, child).error().code, ENOEXEC);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(is_running(linux_, *process));
  EXPECT_EQ(read(linux_, child).error().code, ENOENT);
}

}  // namespace
}  // namespace portshim::process
