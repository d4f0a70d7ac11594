// portshim as the parent of the app (--init): forwards signals, reaps, and ends as the app ends.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <functional>

#include "shim/descriptor.h"
#include "shim/options.h"
#include "shim/system.h"

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

/// The process that becomes the app.
struct Child {
  pid_t pid = 0;
  descriptor::Descriptor signals;  ///< signalfd(2) of all signals
  descriptor::Descriptor
      not_executed;  ///< a byte comes out of it when `body` returned; its end, when execve(2) was done
};

/// Forks. In the child the signal mask is `inherited` again, `body` runs, and what it returns is the exit code. To be
/// called with all signals blocked.
[[nodiscard]] system::Result<Child> fork_child(SignalMask inherited, const std::function<int()>& body);

/// How the app ended.
struct End {
  int status = 0;        ///< as of waitpid(2)
  bool executed = true;  ///< false: portshim itself ended in the child, before execve(2)
};

/// Forwards signals to the child and reaps, until the child ends. `watch` may be null.
[[nodiscard]] End supervise(const Child& child, const options::Options& options, Watch* watch);

/// What portshim ends with: the child's exit code, 128+n for signal n, or what `exit_map` has in place of it.
[[nodiscard]] int exit_code(const End& end, const options::Options& options);

}  // namespace portshim::supervise
