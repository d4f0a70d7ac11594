#include "shim/directories.h"

#include <cerrno>

#include "shim/path.h"
#include "shim/user.h"

namespace portshim::directories {

int create_error(const system::System& system, const std::string& directory) {
  const auto status = system.status(directory);
  if (!status) return status.error().code;
  if (status->type != system::FileType::directory) return ENOTDIR;
  if (const auto allowed = system.writable(directory); !allowed) return allowed.error().code;
  const auto allowed = system.executable(directory);
  return allowed ? 0 : allowed.error().code;
}

int make_error(const system::System& system, std::string path) {
  bool is_parent = false;
  for (;; path = path::folder_of(path), is_parent = true) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    const auto status = system.status(path);
    if (!status && status.error().code == ENOENT && path != "/" && path != ".") continue;
    if (!status) return status.error().code;
    if (!is_parent && status->type == system::FileType::directory) return 0;
    return create_error(system, path);
  }
}

std::string closed_directory(const system::System& system, const std::string& path) {
  const auto is_closed = [&](const std::string& directory) {
    const auto searchable = system.executable(directory);
    return !searchable && searchable.error().code == EACCES;
  };
  if (!path.starts_with('/') && is_closed(".")) return ".";
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    std::string directory = slash == 0 ? "/" : path.substr(0, slash);
    if (is_closed(directory)) return directory;
  }
  return {};
}

std::string home_of(const system::System& system, uid_t uid) {
  const auto passwd = system.read_file("/etc/passwd");
  return passwd ? user::home_of(uid, *passwd) : "";
}

}  // namespace portshim::directories
