// Finds and reads the app's own assemblies: the one that is started, and those of its projects.
#pragma once

#include <string>
#include <vector>

#include "shim/assembly.h"
#include "shim/runtime.h"
#include "shim/system.h"

namespace portshim::assemblies {

/// What the code of an app says, as far as it could be read.
struct Reading {
  bool complete = false;  ///< the app's assembly and those of all its projects were read
  assembly::Code code = {};
  std::vector<std::string> problems = {};  ///< "App.dll: no managed code"
};

/// Reads App.dll, or what is bundled in the single file `path`, and the project assemblies that its deps.json names.
[[nodiscard]] Reading read(const system::System& system, const runtime::App& app, const std::string& path);

/// True where one of the app's packages may give https its certificate: it names Kestrel's options for that. All of
/// them are read.
[[nodiscard]] bool may_bring_certificate(const system::System& system, const runtime::App& app,
                                         const std::string& path);

}  // namespace portshim::assemblies
