// What .NET's host needs before any code of the app runs: hostfxr, runtimeconfig.json, deps.json, the app's assembly,
// startup hooks, and a place for what a single file extracts.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "shim/finding.h"
#include "shim/runtime.h"
#include "shim/system.h"

namespace portshim::host_files {

/// What will keep the host from starting the app that argv (0 = COMMAND) is classified as, each with its exit code:
/// what becomes of files was seen of the hosts of .NET 8.0, 9.0 and 10.0, what becomes of dotnet's own arguments
/// of 10.0. `path` is COMMAND's file; empty: not found. Every finding is an error that is certain, but for the warning
/// that `dotnet NAME` seems to lack ".dll". A file that is too large for portshim counts as good.
[[nodiscard]] std::vector<finding::Finding> check(const system::System& system, const runtime::App& app,
                                                  std::span<const std::string> argv, const std::string& path,
                                                  std::span<const std::string> environment);

}  // namespace portshim::host_files
