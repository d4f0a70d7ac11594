// Whether directories can be made and searched, and where a user's own is.
#pragma once

#include <string>

#include "shim/system.h"

namespace portshim::directories {

/// errno of making a file in the directory; 0 where this process may do so.
[[nodiscard]] int create_error(const system::System& system, const std::string& directory);

/// errno of making the directory `path` and those above it that are missing; 0 where this process may do so, or the
/// directory is there. ENOTDIR where something else is in the way. Nothing is made.
[[nodiscard]] int make_error(const system::System& system, std::string path);

/// The first directory on the way to the file that this process may not search (path_resolution(7)); empty where none
/// bars it. "." for the working directory.
[[nodiscard]] std::string closed_directory(const system::System& system, const std::string& path);

/// The home directory of a user in /etc/passwd (passwd(5)); empty where there is none.
[[nodiscard]] std::string home_of(const system::System& system, uid_t uid);

}  // namespace portshim::directories
