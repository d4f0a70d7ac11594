// Whether directories can be made.
#pragma once

#include <string>

#include "shim/system.h"

namespace portshim::directories {

/// errno of making the directory `path` and those above it that are missing; 0 where this process may do so, or the
/// directory is there. ENOTDIR where something else is in the way. Nothing is made.
[[nodiscard]] int make_error(const system::System& system, std::string path);

}  // namespace portshim::directories
