#include "shim/leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "shim/descriptor.h"

namespace portshim::leftovers {
namespace {

using descriptor::Descriptor;
using Clock = std::chrono::steady_clock;
using OpenDirectory = std::unique_ptr<DIR, decltype([](DIR* stream) { closedir(stream); })>;

std::optional<pid_t> read_number(std::string_view text) {
  pid_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || stop == text.data()) return std::nullopt;
  return number;
}

struct Process {
  char state = 0;
  pid_t parent = 0;
};

/// What proc_pid_stat(5) says: "PID (NAME) STATE PARENT …", where NAME may hold anything.
std::optional<Process> read_process(pid_t pid) {
  constexpr std::size_t kEnough = 128;  // for all that comes before
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, kEnough> buffer{};
  const ssize_t length = ::read(file.number(), buffer.data(), buffer.size());
  if (length <= 0) return std::nullopt;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(length));
  const std::size_t name_end = text.rfind(") ");
  if (name_end == std::string_view::npos || name_end + 4 >= text.size()) return std::nullopt;
  const auto parent = read_number(text.substr(name_end + 4));
  if (!parent) return std::nullopt;
  return Process{.state = text[name_end + 2], .parent = *parent};
}

bool is_child(pid_t pid, pid_t parent) {
  const auto process = read_process(pid);
  return process && process->parent == parent;
}

enum class Kin : std::uint8_t {
  descendant,
  child,    ///< a descendant whose parent this process is
  unclear,  ///< processes on the way have ended meanwhile, and what they left has new parents
  stranger,
};

/// What a process is to this one. The way up to here is walked up, and then down again: a process that has the same
/// parent both times had it all the while, so the number of that parent was nobody else's.
Kin kin_of(pid_t pid) {
  constexpr std::size_t kDeepest = 1U << 16U;
  std::vector<pid_t> way{pid};
  while (way.back() != getpid()) {
    const auto process = read_process(way.back());
    if (!process || way.size() > kDeepest) return way.size() == 1 ? Kin::stranger : Kin::unclear;
    if (process->parent == 0) return Kin::stranger;
    way.push_back(process->parent);
  }
  for (std::size_t i = way.size() - 1; i > 0; --i) {
    if (!is_child(way[i - 1], way[i])) return Kin::unclear;
  }
  return way.size() == 2 ? Kin::child : Kin::descendant;
}

/// What became of one process.
struct Outcome {
  bool sent = false;
  bool unclear = false;
};

Outcome signal_descendant(pid_t pid, int signal) {
  const Descriptor file(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  const bool has_pidfd = file.number() >= 0 || errno == ESRCH;
  const Kin kin = kin_of(pid);
  if (kin == Kin::stranger || kin == Kin::unclear) return {.unclear = kin == Kin::unclear};
  if (has_pidfd) return {.sent = syscall(SYS_pidfd_send_signal, file.number(), signal, nullptr, 0) == 0};
  return {.sent = kin == Kin::child && kill(pid, signal) == 0};
}

/// Whether numbers in /proc are those that system calls take: it may be that of another PID namespace.
bool is_own_proc() {
  std::array<char, 16> target{};
  const ssize_t length = readlink("/proc/self", target.data(), target.size());
  return length > 0 && read_number({target.data(), static_cast<std::size_t>(length)}) == getpid();
}

std::vector<pid_t> list_processes() {
  std::vector<pid_t> out;
  if (!is_own_proc()) return out;
  const OpenDirectory directory(opendir("/proc"));
  if (!directory) return out;
  while (const dirent* const entry = readdir(directory.get())) {
    if (const auto number = read_number(static_cast<const char*>(entry->d_name))) out.push_back(*number);
  }
  return out;
}

/// False when there is no child left.
bool reap() {
  pid_t pid = 0;
  while ((pid = waitpid(-1, nullptr, WNOHANG)) > 0) {
  }
  return pid == 0;
}

/// Takes all signals that have come: whether one of them asks portshim to stop.
bool take_signals(int signals) {
  bool stops = false;
  signalfd_siginfo info{};
  while (::read(signals, &info, sizeof info) == sizeof info) {
    stops = stops || info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT || info.ssi_signo == SIGQUIT;
  }
  return stops;
}

/// Waits for a signal, and takes all that have come, as take_signals() does.
bool await_signal(int signals, Clock::time_point end) {
  const auto rest = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
  pollfd event{.fd = signals, .events = POLLIN, .revents = 0};
  if (poll(&event, 1, static_cast<int>(std::max<decltype(rest)>(rest, 0))) <= 0) return false;
  return take_signals(signals);
}

/// Again and again, for one may fork while the others are gone through. Another signal than SIGCHLD may end the wait,
/// so what was killed may become a zombie only after the last round.
void kill_all(int signals) {
  constexpr int kMostRounds = 100;
  constexpr std::chrono::milliseconds kRound{10};
  for (int round = 0; round < kMostRounds && signal_all(SIGKILL) > 0; ++round) {
    await_signal(signals, Clock::now() + kRound);
    reap();
  }
  reap();
}

}  // namespace

int signal_all(int signal) {
  if (getpid() == 1) {
    kill(-1, signal);
    return -1;
  }
  // Again until nothing is new: one that ends by the signal leaves its children to another parent meanwhile.
  constexpr int kMostRounds = 100;
  std::set<pid_t> signalled;
  bool again = true;
  for (int round = 0; again && round < kMostRounds; ++round) {
    again = false;
    for (const pid_t pid : list_processes()) {
      const auto process = read_process(pid);
      if (!process || process->state == 'Z' || pid == getpid() || signalled.contains(pid)) continue;
      const Outcome outcome = signal_descendant(pid, signal);
      if (outcome.sent) signalled.insert(pid);
      again = again || outcome.sent || outcome.unclear;
    }
  }
  return static_cast<int>(signalled.size());
}

void end(int signals, std::chrono::milliseconds grace) {
  // What was started by `docker exec` is no child of PID 1.
  if (!reap() && getpid() != 1) return;
  signal_all(SIGTERM);
  signal_all(SIGCONT);
  if (grace.count() == 0) return;
  const auto end_of_grace = Clock::now() + grace;
  // What came before was for COMMAND.
  take_signals(signals);
  bool stops = false;
  while (reap()) {
    if (stops || Clock::now() >= end_of_grace) {
      kill_all(signals);
      return;
    }
    stops = await_signal(signals, end_of_grace);
  }
}

}  // namespace portshim::leftovers
