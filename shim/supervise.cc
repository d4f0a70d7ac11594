#include "shim/supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <expected>
#include <utility>

namespace portshim::supervise {
namespace {

using descriptor::Descriptor;
using system::Error;
using system::Result;

constexpr SignalMask kAllSignals = ~SignalMask{0};

std::unexpected<Error> failure(const char* doing) {
  return std::unexpected(Error{errno, doing});
}

/// False where not even one byte could be written, which nothing can be done about.
bool mark_not_executed(const Descriptor& pipe) {
  constexpr std::byte kMark{1};
  return ::write(pipe.number(), &kMark, 1) == 1;
}

bool is_marked(const Descriptor& pipe) {
  std::byte mark{};
  return ::read(pipe.number(), &mark, 1) == 1;
}

/// signalfd(2) by the system call, for signals 32 and 33.
Result<Descriptor> open_signals() {
  const auto number =
      static_cast<int>(syscall(SYS_signalfd4, -1, &kAllSignals, sizeof kAllSignals, SFD_CLOEXEC | SFD_NONBLOCK));
  Descriptor signals(number);
  if (signals.number() < 0) return failure("signalfd4");
  return signals;
}

/// Forwards what the supervisor is sent, and reaps.
class Supervisor {
 public:
  Supervisor(const Child& child, const options::Options& options) : child_(child), options_(options) {}

  /// Handles all signals that have arrived.
  void handle_signals() {
    signalfd_siginfo info{};
    while (::read(child_.signals.number(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD) {
        reap();
      } else if (!raised_by_kernel(info)) {
        forward(static_cast<int>(info.ssi_signo));
      }
    }
  }

  [[nodiscard]] bool ended() const { return ended_; }
  /// Of the child, as of waitpid(2), when it has ended.
  [[nodiscard]] int status() const { return status_; }

 private:
  /// A terminal's ^C has reached the app already, by its process group; faults are the process's own.
  static bool raised_by_kernel(const signalfd_siginfo& info) { return info.ssi_code > 0; }

  void forward(int signal) const {
    const auto mapped = options_.signal_map.find(signal);
    if (mapped != options_.signal_map.end()) signal = mapped->second;
    if (signal != 0) kill(options_.group ? -child_.pid : child_.pid, signal);
  }

  /// All that have ended: one SIGCHLD may stand for many.
  void reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
      if (pid != child_.pid) continue;
      ended_ = true;
      status_ = status;
    }
  }

  const Child& child_;
  const options::Options& options_;
  bool ended_ = false;
  int status_ = 0;
};

}  // namespace

SignalMask block_signals() {
  SignalMask before = 0;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &kAllSignals, &before, sizeof before);
  return before;
}

void restore_signals(SignalMask mask) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
}

Result<Child> fork_child(SignalMask inherited, const std::function<int()>& body) {
  auto signals = open_signals();
  if (!signals) return std::unexpected(signals.error());
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return failure("pipe2");
  Descriptor mine(ends[0]);
  const Descriptor its(ends[1]);
  if (mine.number() < 0 || its.number() < 0) return failure("fcntl");
  const pid_t pid = fork();
  if (pid < 0) return failure("fork");
  if (pid == 0) {
    restore_signals(inherited);
    const int code = body();
    static_cast<void>(mark_not_executed(its));
    _exit(code);
  }
  return Child{.pid = pid, .signals = *std::move(signals), .not_executed = std::move(mine)};
}

End supervise(const Child& child, const options::Options& options, Watch* watch) {
  Supervisor supervisor(child, options);
  while (!supervisor.ended()) {
    std::array<pollfd, 2> events{{{.fd = child.signals.number(), .events = POLLIN, .revents = 0},
                                  {.fd = watch == nullptr ? -1 : watch->descriptor(), .events = POLLIN, .revents = 0}}};
    if (poll(events.data(), events.size(), -1) < 0) continue;
    if (events[1].revents != 0) watch->ready();
    if (events[0].revents != 0) supervisor.handle_signals();
  }
  return End{.status = supervisor.status(), .executed = !is_marked(child.not_executed)};
}

int exit_code(const End& end, const options::Options& options) {
  constexpr int kSignalled = 128;  // as shells have it
  const int code = WIFSIGNALED(end.status) ? kSignalled + WTERMSIG(end.status) : WEXITSTATUS(end.status);
  const auto mapped = options.exit_map.find(code);
  return mapped == options.exit_map.end() ? code : mapped->second;
}

}  // namespace portshim::supervise
