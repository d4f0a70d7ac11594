// Finding COMMAND, and recognising portshim itself on the way.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shim/system.h"

namespace portshim::lookup {

/// What a look-up of COMMAND found.
struct Lookup {
  std::string path;                ///< the file to execute; empty when nothing was found
  std::vector<std::string> tried;  ///< the paths looked at, in order
  std::string not_executable;      ///< the first existing file that may not be executed (or directory), else empty
  bool skipped_itself = false;     ///< a file that is portshim itself was passed over
};

/// The real program that `command` means, skipping files that are portshim itself (is_portshim). A name with a '/' is
/// that path; without, PATH is searched (`path`; when unset, "/usr/local/bin:/usr/bin:/bin" is the default; an empty
/// entry is the cwd). Where portshim was skipped (or `by_other_name`) and the name is "dotnet", also the folder named
/// in /etc/dotnet/install_location, /usr/share/dotnet, /usr/lib64/dotnet, /usr/lib/dotnet, $DOTNET_ROOT. A path that is
/// portshim itself is looked for by its last component.
[[nodiscard]] Lookup find(const system::System& system, const std::string& command,
                          std::span<const std::string> environment, bool by_other_name);

/// True when the file is a copy of portshim: an ELF file with its note (owner "portshim"). Reads the ELF header, the
/// program headers and PT_NOTE segments only.
[[nodiscard]] bool is_portshim(const system::System& system, const std::string& path);

/// The real dotnet in the folders where .NET is installed, PATH aside.
[[nodiscard]] Lookup find_installed_dotnet(const system::System& system, std::span<const std::string> environment);

/// True when there is a program at the path: a regular file that may be executed and is not portshim itself.
[[nodiscard]] bool is_program(const system::System& system, const std::string& path);

}  // namespace portshim::lookup
