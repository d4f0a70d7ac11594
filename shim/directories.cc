#include "shim/directories.h"

#include <cerrno>

#include "shim/path.h"
#include "shim/user.h"

namespace portshim::directories {

int make_error(const system::System& system, std::string path) {
  bool is_parent = false;
  for (;; path = path::folder_of(path), is_parent = true) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    const auto status = system.status(path);
    if (!status && status.error().code == ENOENT && path != "/" && path != ".") continue;
    if (!status) return status.error().code;
    if (status->type != system::FileType::directory) return ENOTDIR;
    if (!is_parent) return 0;
    if (const auto allowed = system.writable(path); !allowed) return allowed.error().code;
    const auto allowed = system.executable(path);
    return allowed ? 0 : allowed.error().code;
  }
}

std::string home_of(const system::System& system, uid_t uid) {
  const auto passwd = system.read_file("/etc/passwd");
  return passwd ? user::home_of(uid, *passwd) : "";
}

}  // namespace portshim::directories
