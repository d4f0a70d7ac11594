// portshim as the parent of the app (--init): forwards signals, reaps, and ends as the app ends.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <vector>

#include "shim/descriptor.h"
#include "shim/options.h"
#include "shim/system.h"
#include "shim/terminal.h"

namespace portshim::supervise {

/// A set of signals as the kernel has it: bit n-1 is signal n (rt_sigprocmask(2)). The C library's own calls leave out
/// the two that it keeps for itself, 32 and 33.
using SignalMask = std::uint64_t;

/// Blocks every signal that can be blocked, and answers what was blocked before. What arrives from here on waits, and
/// is forwarded.
[[nodiscard]] SignalMask block_signals();

/// Makes `mask` what is blocked.
void restore_signals(SignalMask mask);

/// What supervise() watches beside signals, in the same loop.
class Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  virtual ~Watch() = default;
  /// What is waited for to become readable; -1 when there is nothing to wait for any more.
  [[nodiscard]] virtual int descriptor() const = 0;
  /// It is readable, or hung up.
  virtual void ready() = 0;
};

/// What fork_child() changes in this process, as it was before.
struct Before {
  struct sigaction child_ended{};  ///< the disposition of SIGCHLD that portshim got
  int adopts = 0;                  ///< whether it is a child subreaper (PR_GET_CHILD_SUBREAPER)

  /// Makes it so again.
  void restore() const;
};

/// The process that becomes the app. It leads a process group of its own, which is in the foreground of the terminal
/// where portshim's was.
struct Child {
  pid_t pid = 0;
  descriptor::Descriptor signals;  ///< signalfd(2) of all signals
  descriptor::Descriptor
      not_executed;  ///< a byte comes out of it when `body` returned; its end, when execve(2) was done
  terminal::Terminal terminal;
  Before before;
  /// Whether orphans among its descendants become children of this process (PR_SET_CHILD_SUBREAPER), which PID 1 gets
  /// anyway.
  system::Result<void> adopts;
};

/// What a child does before execve(2).
enum class Memory : std::uint8_t {
  copied,  ///< as fork(2)
  shared,  ///< as vfork(2), which takes half of the time: what the child allocates stays in the parent. At a terminal
           ///< it is copied all the same.
};

/// Forks. In the child signal mask and dispositions are as portshim got them (the mask is `inherited`), `body` runs,
/// and what it returns is the exit code; it must not throw. To be called with all signals blocked. SIGCHLD gets its
/// default disposition in the parent: ignored, the kernel would reap in its place. Before that the parent becomes a
/// child subreaper: a child may end, and leave orphans, before the parent goes on.
[[nodiscard]] system::Result<Child> fork_child(SignalMask inherited, Memory memory, const std::function<int()>& body);

/// LISTEN_PID tells an app that sockets were passed to it, and not to who started it (sd_listen_fds(3)): where it names
/// `parent`, it is to name this process, in its place. LISTEN_PIDFDID, which would still be the parent's, is dropped.
void rename_listen_pid(std::vector<std::string>& environment, pid_t parent);

/// Waits for the end of a child that is to end by itself; then all is as before fork_child().
void dismiss(const Child& child);

/// How the app ended.
struct End {
  int status = 0;                 ///< as of waitpid(2)
  bool executed = true;           ///< false: portshim itself ended in the child, before execve(2)
  bool killed_as_mapped = false;  ///< by the SIGKILL that `signal_map` has in place of another signal
};

/// Forwards signals to the child and reaps, until the child ends; stops and goes on with it (job control). `watch` may
/// be null. Before that the cwd becomes / and all descriptors are closed but the standard three, the child's and the
/// watch's: portshim must not keep a mount or a socket busy that the app has given back.
[[nodiscard]] End supervise(const Child& child, const options::Options& options, Watch* watch);

/// What portshim ends with: the child's exit code, 128+n for signal n, or what `exit_map` has in place of it. What
/// portshim itself ended with before execve(2) is not mapped.
[[nodiscard]] int exit_code(const End& end, const options::Options& options);

}  // namespace portshim::supervise
