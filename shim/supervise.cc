#include "shim/supervise.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <expected>
#include <utility>

namespace portshim::supervise {
namespace {

using descriptor::Descriptor;
using system::Error;
using system::Result;
using terminal::Terminal;

constexpr SignalMask kAllSignals = ~SignalMask{0};

#ifdef __SANITIZE_ADDRESS__
constexpr bool kMayShareMemory = false;  // what the child allocates would be reported as lost
#else
constexpr bool kMayShareMemory = true;
#endif

constexpr SignalMask bit_of(int signal) {
  return SignalMask{1} << static_cast<unsigned>(signal - 1);
}

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

// --- What the parent does not keep. ---

/// close_range(2) of all from `first` to `last`; where there is none (before Linux 5.9), one by one.
void close_between(unsigned first, unsigned last) {
  if (first > last || syscall(SYS_close_range, first, last, 0) == 0) return;
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return;
  const auto own = static_cast<unsigned>(dirfd(directory));
  while (const dirent* const entry = readdir(directory)) {
    // "." and ".." come out as 0.
    const auto number = static_cast<unsigned>(std::strtoul(static_cast<const char*>(entry->d_name), nullptr, 10));
    if (number >= first && number <= last && number != own) ::close(static_cast<int>(number));
  }
  closedir(directory);
}

/// Closes all descriptors but the standard three and `kept`, of which those that are negative count for nothing.
void close_others(std::array<int, 4> kept) {
  std::ranges::sort(kept);
  unsigned first = STDERR_FILENO + 1;
  for (const int number : kept) {
    const auto own = static_cast<unsigned>(number);
    if (number < 0 || own < first) continue;
    close_between(first, own - 1);
    first = own + 1;
  }
  close_between(first, UINT_MAX);
}

// --- Signals. ---

/// What a terminal sends to a process group, or its hang-up to the session leader (termios(3),
/// tty_signal_session_leader in the kernel's drivers/tty/tty_jobctrl.c).
bool is_of_terminal(int signal) {
  constexpr std::array kSignals{SIGHUP, SIGINT, SIGQUIT, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH};
  return std::ranges::find(kSignals, signal) != kSignals.end();
}

/// Leaves this process's mask without one signal for a moment: where that is pending, it happens now.
void let_happen(int signal) {
  restore_signals(kAllSignals & ~bit_of(signal));
  restore_signals(kAllSignals);
}

bool is_pending(int signal) {
  SignalMask pending = 0;
  syscall(SYS_rt_sigpending, &pending, sizeof pending);
  return (pending & bit_of(signal)) != 0;
}

/// Forwards what the supervisor is sent, and reaps.
class Supervisor {
 public:
  Supervisor(const Child& child, const options::Options& options) : child_(child), options_(options) {}

  /// Handles all signals that have arrived, up to the child's end: its number may be another's from then on.
  void handle_signals() {
    signalfd_siginfo info{};
    while (!ended_ && ::read(child_.signals.number(), &info, sizeof info) == sizeof info) {
      const auto signal = static_cast<int>(info.ssi_signo);
      if (signal == SIGCHLD) {
        reap();
      } else if (info.ssi_code > 0) {
        handle_raised_by_kernel(signal);
      } else if (signal == SIGCONT) {
        go_on();
      } else {
        forward(info);
      }
    }
  }

  [[nodiscard]] bool ended() const { return ended_; }
  /// Of the child, as of waitpid(2), when it has ended.
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool killed_as_mapped() const {
    return has_mapped_to_kill_ && WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL;
  }

 private:
  /// What is sent in place of a signal; 0 for nothing.
  [[nodiscard]] int mapped(int signal) {
    const auto found = options_.signal_map.find(signal);
    if (found == options_.signal_map.end()) return signal;
    has_mapped_to_kill_ = has_mapped_to_kill_ || found->second == SIGKILL;
    return found->second;
  }

  /// To the child, or to its process group, which it may have left.
  static void send(pid_t target, int signal) {
    if (signal != 0 && kill(target, signal) != 0 && target < 0) kill(-target, signal);
  }

  void forward(const signalfd_siginfo& info) {
    const int signal = mapped(static_cast<int>(info.ssi_signo));
    // No value can be queued for a whole group (rt_sigqueueinfo(2)).
    const bool queued = info.ssi_code < 0 && info.ssi_code != SI_TKILL && !options_.group && signal != 0;
    if (queued && queue(signal, info)) return;
    send(options_.group ? -child_.pid : child_.pid, signal);
  }

  /// As sigqueue(3) by who sent it. False where the child's queue is full.
  [[nodiscard]] bool queue(int signal, const signalfd_siginfo& info) const {
    siginfo_t queued{};
    queued.si_signo = signal;
    queued.si_code = SI_QUEUE;
    queued.si_pid = static_cast<pid_t>(info.ssi_pid);
    queued.si_uid = info.ssi_uid;
    static_assert(sizeof queued.si_value == sizeof info.ssi_ptr);
    std::memcpy(&queued.si_value, &info.ssi_ptr, sizeof queued.si_value);
    return syscall(SYS_rt_sigqueueinfo, child_.pid, signal, &queued) == 0;
  }

  /// A terminal's signals went to portshim's process group, and a hang-up's to portshim alone where it leads the
  /// session. All else is about the process that got it: timers, limits, faults.
  void handle_raised_by_kernel(int signal) {
    if (!is_of_terminal(signal)) return;
    const bool to_leader = (signal == SIGHUP || signal == SIGCONT) && getsid(0) == getpid();
    if (!to_leader && getpgid(child_.pid) == getpgrp()) return;  // the app has got it too
    if (child_.terminal.is_ours()) child_.terminal.give_to(child_.pid);
    if (signal == SIGCONT) {
      go_on();
    } else {
      send(to_leader ? child_.pid : -child_.pid, mapped(signal));
    }
  }

  /// SIGCONT: a shell has put portshim into the foreground or the background.
  void go_on() {
    if (child_.terminal.is_ours()) child_.terminal.give_to(child_.pid);
    const bool was_stopped = std::exchange(stopped_, false);
    const bool to_group = was_stopped || options_.group;
    send(to_group ? -child_.pid : child_.pid, was_stopped ? SIGCONT : mapped(SIGCONT));
  }

  /// The child has stopped, and portshim does too, as if both were one process.
  void stop(int signal) {
    const Terminal& terminal = child_.terminal;
    const bool asks_for_terminal = signal == SIGTTIN || signal == SIGTTOU;
    stopped_ = true;
    if (asks_for_terminal && terminal.is_ours()) {  // it was put into the foreground meanwhile
      go_on();
      return;
    }
    const bool had_terminal = terminal.has_foreground(child_.pid);
    if (getpid() != 1) {
      terminal.take_back(child_.pid);
      stop_self(signal == SIGSTOP ? SIGTSTP : signal, had_terminal || asks_for_terminal);
      if (is_pending(SIGCONT)) return;  // it is over already: handle_signals() goes on
      if (had_terminal) terminal.give_to(child_.pid);
    }
    // Nobody could continue a process group that is orphaned, and the kernel does not let a key stop one.
    if (signal == SIGTSTP) go_on();
  }

  /// Stops until SIGCONT, with the whole process group where the terminal means that; not where that is orphaned
  /// (setpgid(2)): then the kernel goes on at once.
  static void stop_self(int signal, bool whole_group) {
    struct sigaction by_default{};
    by_default.sa_handler = SIG_DFL;
    sigaction(signal, &by_default, nullptr);
    kill(whole_group ? 0 : getpid(), signal);
    let_happen(signal);
  }

  /// All that have ended: one SIGCHLD may stand for many.
  void reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
      if (pid != child_.pid) continue;
      if (WIFSTOPPED(status)) {
        stop(WSTOPSIG(status));
        continue;
      }
      ended_ = true;
      status_ = status;
    }
  }

  const Child& child_;
  const options::Options& options_;
  bool stopped_ = false;
  bool ended_ = false;
  bool has_mapped_to_kill_ = false;
  int status_ = 0;
};

/// In the child: what it got from portshim is as portshim got it. `terminal`, if not null, is to be its.
void become_child(SignalMask inherited, const struct sigaction& child_ended, int of_parents_death,
                  const Terminal* terminal) {
  setpgid(0, 0);
  if (terminal != nullptr) terminal->give_to(getpid());
  sigaction(SIGCHLD, &child_ended, nullptr);
  if (of_parents_death != 0) prctl(PR_SET_PDEATHSIG, of_parents_death);
  restore_signals(inherited);
}

Result<void> adopt_orphans() {
  if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return failure("prctl(PR_SET_CHILD_SUBREAPER)");
  return {};
}

}  // namespace

SignalMask block_signals() {
  SignalMask before = 0;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &kAllSignals, &before, sizeof before);
  return before;
}

void restore_signals(SignalMask mask) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
}

void Before::restore() const {
  prctl(PR_SET_CHILD_SUBREAPER, adopts, 0, 0, 0);
  sigaction(SIGCHLD, &child_ended, nullptr);
}

Result<Child> fork_child(SignalMask inherited, Memory memory, const std::function<int()>& body) {
  auto signals = open_signals();
  if (!signals) return std::unexpected(signals.error());
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return failure("pipe2");
  Descriptor mine(ends[0]);
  const Descriptor its(ends[1]);
  if (mine.number() < 0 || its.number() < 0) return failure("fcntl");
  Terminal terminal = Terminal::open();
  const bool has_terminal = terminal.is_ours();
  Before before;
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &by_default, &before.child_ended);
  prctl(PR_GET_CHILD_SUBREAPER, &before.adopts);
  Result<void> adopts = adopt_orphans();
  int of_parents_death = 0;  // fork(2) clears it
  prctl(PR_GET_PDEATHSIG, &of_parents_death);
  // As long as memory is shared this process waits, and a terminal that stops the child meanwhile (^Z) stops both for
  // good.
  const bool shares = kMayShareMemory && memory == Memory::shared && terminal.descriptor() < 0;
  const pid_t pid = shares ? vfork() : fork();  // NOLINT(bugprone-unsafe-functions): waiting is meant
  if (pid != 0) {
    const int code = errno;
    // Both do it: whichever comes first, neither goes on without it.
    if (pid > 0) setpgid(pid, pid);
    if (pid < 0) before.restore();
    errno = code;
    if (pid < 0) return failure("fork");
    return Child{.pid = pid,
                 .signals = *std::move(signals),
                 .not_executed = std::move(mine),
                 .terminal = std::move(terminal),
                 .before = before,
                 .adopts = std::move(adopts)};
  }
  become_child(inherited, before.child_ended, of_parents_death, has_terminal ? &terminal : nullptr);
  const int code = body();
  static_cast<void>(mark_not_executed(its));
  _exit(code);
}

void rename_listen_pid(std::vector<std::string>& environment, pid_t parent) {
  const std::string of_parent = "LISTEN_PID=" + std::to_string(parent);
  const auto entry = std::ranges::find(environment, of_parent);
  if (entry == environment.end()) return;
  *entry = "LISTEN_PID=" + std::to_string(getpid());
  std::erase_if(environment, [](const std::string& one) { return one.starts_with("LISTEN_PIDFDID="); });
}

void dismiss(const Child& child) {
  while (waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  child.terminal.take_back(child.pid);
  child.before.restore();
  // Its SIGCHLD is blocked as all signals are, and would wait for the app. What ended before is lost with it: an app
  // that has children from before its start finds them by waitpid(2).
  constexpr SignalMask kChild = bit_of(SIGCHLD);
  const timespec at_once{};
  syscall(SYS_rt_sigtimedwait, &kChild, nullptr, &at_once, sizeof kChild);
}

End supervise(const Child& child, const options::Options& options, Watch* watch) {
  const auto watched = [watch] { return watch == nullptr ? -1 : watch->descriptor(); };
  close_others({child.signals.number(), child.not_executed.number(), child.terminal.descriptor(), watched()});
  [[maybe_unused]] const bool left = chdir("/") == 0;
  Supervisor supervisor(child, options);
  while (!supervisor.ended()) {
    std::array<pollfd, 2> events{{{.fd = child.signals.number(), .events = POLLIN, .revents = 0},
                                  {.fd = watched(), .events = POLLIN, .revents = 0}}};
    if (poll(events.data(), events.size(), -1) < 0) continue;
    if (events[1].revents != 0) watch->ready();
    if (events[0].revents != 0) supervisor.handle_signals();
  }
  child.terminal.take_back(child.pid);
  return End{.status = supervisor.status(),
             .executed = !is_marked(child.not_executed),
             .killed_as_mapped = supervisor.killed_as_mapped()};
}

int exit_code(const End& end, const options::Options& options) {
  constexpr int kSignalled = 128;  // as shells have it
  const int code = WIFSIGNALED(end.status) ? kSignalled + WTERMSIG(end.status) : WEXITSTATUS(end.status);
  const auto mapped = options.exit_map.find(code);
  return !end.executed || mapped == options.exit_map.end() ? code : mapped->second;
}

}  // namespace portshim::supervise
