// Which app COMMAND starts, and on which framework version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shim/framework.h"
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
  std::optional<int> major;          ///< of ASP.NET Core: the resolved version's, else the requested one's; or unknown
  bool assembly_missing = false;     ///< dotnet, or the app's own executable, is to run a file that is not there
  std::vector<std::string> assemblies_there = {};  ///< the apps in the folder where it should be
  std::string runtimeconfig = {};                  ///< the path looked for; empty: none applies
  bool runtimeconfig_missing = false;
  int runtimeconfig_error = 0;         ///< errno of reading it, where it is there and cannot be read
  bool runtimeconfig_invalid = false;  ///< hostfxr refuses what it says, alone or with options and environment
  bool framework_dependent = false;    ///< it names frameworks that have to be installed
  /// Its configProperties (AppContext); nothing where it was not read.
  std::optional<std::map<std::string, std::string>> properties = {};
  framework::Options host_options = {};  ///< of the command line
  std::string deps_json = {};            ///< the path that the host will read; empty: none, or not known
  bool hostfxr_missing = false;          ///< none of the places where the host looks for hostfxr has one
  bool is_extracted = false;             ///< a single file that holds files which the host writes to disk at start
  bool is_cut_off = false;               ///< COMMAND's file ends before all that its headers say it holds
  std::string application = {};          ///< the entry assembly's name, by its file's name; empty: unknown
  std::string base_directory = {};       ///< AppContext.BaseDirectory without the slash at its end; empty: unknown
  std::string requested_version = {};    ///< of ASP.NET Core, as written in its runtimeconfig or --fx-version
  std::string resolved_version = {};     ///< of ASP.NET Core, as hostfxr chooses it; empty: none, or not known
  std::string runtime_directory = {};    ///< of the framework with the runtime, as hostfxr chooses it; empty: not known
  std::string dotnet_root = {};          ///< where hostfxr looks for frameworks; empty: nowhere, or not known
  /// What the app asks for (itself or by another framework), and dotnet_root has no version of that fits: dotnet will
  /// refuse to start. An empty name: nothing is missing, or it is not known.
  framework::Framework missing_framework = {};

  /// dotnet without an app, or an app without ASP.NET Core: no endpoint is ever bound.
  [[nodiscard]] bool binds_nothing() const { return asp_net_core == false; }
  /// Its environment and arguments are read by .NET itself, not by a program that may start it later.
  [[nodiscard]] bool is_dotnet() const { return kind != Kind::other; }
};

/// Classifies argv (0 = COMMAND), whose file is `path` (empty: not found), by hostfxr's rules (command_line.cpp).
/// `dotnet run` and `dotnet watch` start another process, with their own settings on top: they count as other. Where no
/// runtimeconfig tells the version, ASPNET_VERSION and DOTNET_VERSION do, which Microsoft's images set.
[[nodiscard]] App classify(const system::System& system, std::span<const std::string> argv, const std::string& path,
                           std::span<const std::string> environment);

/// The plausible major versions: the known one, else 8, 9 and 10.
[[nodiscard]] std::vector<int> plausible_majors(const App& app);

}  // namespace portshim::runtime
