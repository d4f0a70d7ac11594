// Which app COMMAND starts, and on which framework version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shim/system.h"

namespace portshim::runtime {

enum class Kind : std::uint8_t {
  dotnet,   ///< dotnet [host options] App.dll, dotnet exec, or an SDK command
  apphost,  ///< the app's own executable
  other,    ///< anything else: it may start dotnet later
};
[[nodiscard]] std::string_view to_string(Kind kind);

struct App {
  Kind kind = Kind::other;
  std::string assembly;              ///< path of App.dll as written; empty: none known
  std::size_t first_argument = 0;    ///< index in argv of the app's own first argument; argv.size(): none
  std::optional<bool> asp_net_core;  ///< its runtimeconfig names Microsoft.AspNetCore.App; nothing: unknown
  std::optional<int> major;          ///< of the framework it asks for; nothing: unknown
  bool assembly_missing = false;     ///< dotnet is told to run a file that is not there
  std::vector<std::string> assemblies_there = {};  ///< the apps in the folder where it should be
  std::string runtimeconfig = {};                  ///< the path looked for; empty: none applies
  bool runtimeconfig_missing = false;

  /// dotnet without an app, or an app without ASP.NET Core: no endpoint is ever bound.
  [[nodiscard]] bool binds_nothing() const { return asp_net_core == false; }
  /// Its environment and arguments are read by .NET itself, not by a program that may start it later.
  [[nodiscard]] bool is_dotnet() const { return kind != Kind::other; }
};

/// Classifies argv (0 = COMMAND), whose file is `path` (empty: not found), by hostfxr's rules (command_line.cpp).
/// `dotnet run` and `dotnet watch` start another process, with their own settings on top: they count as other.
[[nodiscard]] App classify(const system::System& system, std::span<const std::string> argv, const std::string& path);

/// The plausible major versions: the one the app asks for, else 8, 9 and 10.
[[nodiscard]] std::vector<int> plausible_majors(const App& app);

}  // namespace portshim::runtime
