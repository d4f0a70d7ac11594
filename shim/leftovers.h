// Processes that COMMAND has left behind when it ended.
#pragma once

#include <sys/types.h>

#include <chrono>

namespace portshim::leftovers {

/// Sends the signal to all that is left: as PID 1 to every other process that this one may signal (kill(2), pid -1),
/// and otherwise to the descendants of this process, as /proc tells them by the parent of each. Of these a process is
/// never mistaken for one that has got its number since: it is signalled by a pidfd that was open before it was seen to
/// be a descendant. Where the kernel has no pidfd (before 5.3), only children of this process are signalled, whose
/// numbers are its own to give back.
///
/// How many descendants were found that had not ended; -1 as PID 1.
int signal_all(int signal);

/// Ends them: SIGTERM, and SIGCONT for those that are stopped. With `grace` it then waits, reaping, until none is left
/// or the time is over, and sends SIGKILL to the rest. `signals` is a signalfd(2) of all signals:
/// SIGTERM, SIGINT and SIGQUIT that come meanwhile end the wait, all others are dropped.
void end(int signals, std::chrono::milliseconds grace);

}  // namespace portshim::leftovers
