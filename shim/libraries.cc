#include "shim/libraries.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "shim/elf.h"
#include "shim/environment.h"

namespace portshim::libraries {
namespace {

using system::System;

/// Folders of libraries for 32-bit programs: .NET on Linux is none.
bool is_for_32_bit(std::string_view path) {
  return path.contains("/lib32/") || path.contains("/libx32/") || path.contains("/i386-linux-gnu/");
}

/// True where a path that ld.so's cache names, with this in it, is there (ldconfig(8)): names and paths in it end in
/// NUL.
bool cache_has(const System& system, std::string_view stem) {
  const auto cache = system.read_file("/etc/ld.so.cache");
  if (!cache) return cache.error().code != ENOENT;
  for (std::size_t at = cache->find(stem); at != std::string::npos; at = cache->find(stem, at + 1)) {
    const std::size_t begin = cache->rfind('\0', at) + 1;
    const std::string path(cache->c_str() + begin);
    if (path.starts_with('/') && !is_for_32_bit(path) && system.status(path)) return true;
  }
  return false;
}

/// Where dlopen(3) of glibc and musl looks, beside the cache. Where Debian has them comes first.
std::vector<std::string> folders(const Place& place) {
  std::vector<std::string> out = {"/lib/x86_64-linux-gnu",
                                  "/lib/aarch64-linux-gnu",
                                  "/lib64",
                                  "/lib",
                                  "/usr/lib",
                                  "/usr/lib64",
                                  "/usr/lib/x86_64-linux-gnu",
                                  "/usr/lib/aarch64-linux-gnu",
                                  "/usr/local/lib",
                                  "/usr/local/lib64"};
  if (!place.base_directory.empty()) out.emplace_back(place.base_directory);
  std::string_view rest = environment::value(place.environment, "LD_LIBRARY_PATH").value_or("");
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find_first_of(":;"));
    if (!folder.empty()) out.emplace_back(folder);
    rest.remove_prefix(std::min(folder.size() + 1, rest.size()));
  }
  return out;
}

/// Folders that are not known here may be searched too.
bool is_searched_elsewhere(const System& system, const Place& place) {
  // Distributions that keep every package in a folder of its own name it in the libraries that use it.
  if (place.dotnet_root.starts_with("/nix/") || place.dotnet_root.starts_with("/gnu/")) return true;
  if (environment::is_set(place.environment, "LD_PRELOAD")) return true;
  // musl searches the folders that a file names, in place of its own.
  return std::ranges::any_of(std::array{"x86_64", "aarch64"}, [&](const char* machine) {
    return system.status(fmt::format("/etc/ld-musl-{}.path", machine)).has_value();
  });
}

}  // namespace

bool may_be_installed(const System& system, const Place& place, std::string_view stem) {
  if (cache_has(system, stem) || is_searched_elsewhere(system, place)) return true;
  return std::ranges::any_of(folders(place), [&](const std::string& folder) {
    const auto names = system.list(folder);
    if (!names) return names.error().code != ENOENT && names.error().code != ENOTDIR;
    return std::ranges::any_of(*names, [&](const std::string& name) { return name.starts_with(stem); });
  });
}

std::string first_missing(const System& system, const Place& place, const std::string& path) {
  const auto content = elf::Content::open(system, path);
  if (!content) return {};
  const std::vector<std::string> searched = folders(place);
  const auto is_found = [&](const std::string& name) {
    return name.contains('/') || std::ranges::any_of(searched, [&](const std::string& folder) {
             const auto status = system.status(folder + "/" + name);
             return status || (status.error().code != ENOENT && status.error().code != ENOTDIR);
           });
  };
  for (const std::string& name : elf::needed(*content)) {
    if (!is_found(name) && !cache_has(system, name) && !is_searched_elsewhere(system, place)) return name;
  }
  return {};
}

}  // namespace portshim::libraries
