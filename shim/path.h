// Parts of paths, as written.
#pragma once

#include <string>
#include <string_view>

namespace portshim::path {

/// What follows the last '/'; all of it when there is none.
[[nodiscard]] inline std::string_view last_component(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

/// The folder that a path is in: "/", "/usr/bin", "." for a bare name.
[[nodiscard]] inline std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(slash == 0 ? "/" : path.substr(0, slash));
}

}  // namespace portshim::path
