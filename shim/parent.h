// --init and --guard: COMMAND as a child of portshim, from its start to the last word on its end.
#pragma once

#include <functional>
#include <optional>

#include "shim/finding.h"
#include "shim/options.h"
#include "shim/request.h"
#include "shim/supervise.h"
#include "shim/system.h"

namespace portshim::parent {

/// Becomes COMMAND in the process that calls it; the exit code where that fails, which is said then.
using StartApp = std::function<int(const request::Start&)>;

/// Whether portshim is to stay as the parent of COMMAND.
[[nodiscard]] bool stays(const options::Options& options);

/// What to say of options of the parent where there is to be none: a warning for the command line, an info for
/// variables.
[[nodiscard]] std::optional<finding::Finding> without_parent(const options::Invocation& invocation);

/// Starts COMMAND in a child by `start_app`, and stays until it ends: the exit code. Where that cannot be, it is said,
/// and `start_app` runs in this process. To be called with all signals blocked; `inherited` is what was before.
[[nodiscard]] int start(system::Control& system, const request::Start& start, const request::Request& request,
                        supervise::SignalMask inherited, const StartApp& start_app);

}  // namespace portshim::parent
