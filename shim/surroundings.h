// What the runtime and the app need of the machine around them: inotify instances, limits, libraries, folders.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "shim/finding.h"
#include "shim/hosting.h"
#include "shim/runtime.h"
#include "shim/system.h"

namespace portshim::surroundings {

/// What is known of the app. Everything outlives the call.
struct Facts {
  const runtime::App& app;
  const std::string& program;  ///< the file of COMMAND
  const hosting::Input& input;
  const std::vector<hosting::Prediction>& predictions;
};

/// What is missing for a .NET app, for the identity that portshim runs as. Errors are certain as long as nothing
/// changes; warnings are likely, or the app runs without what they name. Nothing for COMMANDs of other kinds.
[[nodiscard]] std::vector<finding::Finding> check(const system::System& system, const Facts& facts);

/// Of this only what the limits of the process are too low for: of a process that is running too.
[[nodiscard]] std::vector<finding::Finding> check_limits(const system::System& system, const Facts& facts);

}  // namespace portshim::surroundings
