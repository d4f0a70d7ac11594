// Signals that were inherited in a state that the app cannot live with: a SIGCHLD that is ignored, and signals to stop
// that are blocked.
#pragma once

#include <vector>

#include "shim/finding.h"
#include "shim/options.h"
#include "shim/system.h"

namespace portshim::signals {

/// What is to be said of the signals that COMMAND is going to inherit: warnings, or in rewrite, which repairs them,
/// what was done. Process.WaitForExit waits for ever where SIGCHLD is ignored, since the kernel then reaps children by
/// itself (wait(2)); a blocked signal is never delivered (signal(7)), and .NET unblocks none.
[[nodiscard]] std::vector<finding::Finding> check(const system::System& system, options::Mode mode);

/// Gives SIGCHLD its default disposition where it is ignored, and unblocks SIGTERM, SIGINT and SIGQUIT.
void repair(system::Control& system);

}  // namespace portshim::signals
