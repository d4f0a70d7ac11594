// Parts of paths, as written.
#pragma once

#include <algorithm>
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

/// A path as it is from `folder`: an absolute one as it is (Path.Combine).
[[nodiscard]] inline std::string join(std::string_view folder, std::string_view path) {
  if (path.starts_with('/')) return std::string(path);
  std::string out(folder);
  if (!out.ends_with('/')) out += '/';
  return out.append(path);
}

/// An absolute path without ".", ".." and empty components, worked out from the text alone: Path.GetFullPath. A slash
/// at the end stays.
[[nodiscard]] inline std::string normalise(std::string_view path) {
  std::string out;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part == "..") {
      out.erase(std::min(out.rfind('/'), out.size()));
    } else if (!part.empty() && part != ".") {
      out.append("/").append(part);
    }
    begin = end + 1;
  }
  return path.ends_with('/') || out.empty() ? out + "/" : out;
}

}  // namespace portshim::path
