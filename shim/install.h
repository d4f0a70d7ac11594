// --install: portshim copies itself to where an app's container finds it.
#pragma once

#include <string>

#include "shim/finding.h"
#include "shim/system.h"

namespace portshim::install {

/// Copies the running binary to `path` with mode 0755: into it under the name "portshim" where it is a directory or
/// ends in '/', else as that file. An older file or link there is replaced at once (System::replace_file), also the
/// running binary itself. Finding::id is `installed` (info), or `not_installed` (error) with the cause: then what was
/// at the target is unchanged. Refused are a target that is a directory, device, FIFO or socket, also behind a link,
/// and whatever the kernel refuses.
[[nodiscard]] finding::Finding install(system::Control& system, const std::string& path);

}  // namespace portshim::install
