// Shared libraries that .NET needs, and whether the dynamic loader will find them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "shim/system.h"

namespace portshim::libraries {

/// What decides where is searched. Everything outlives the call.
struct Place {
  std::span<const std::string> environment;
  std::string_view base_directory;  ///< the app's own folder; empty: unknown
  std::string_view dotnet_root;     ///< where .NET is installed; empty: unknown
};

/// False where no library whose name begins with `stem` is in any folder that dlopen(3) of glibc or musl searches.
/// Rather true than wrong.
[[nodiscard]] bool may_be_installed(const system::System& system, const Place& place, std::string_view stem);

/// The first library that the 64-bit ELF program `path` names (DT_NEEDED, elf(5)) and the loader will not find; empty
/// where it finds all, or where that is not known.
[[nodiscard]] std::string first_missing(const system::System& system, const Place& place, const std::string& path);

}  // namespace portshim::libraries
