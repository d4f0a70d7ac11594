// The shared frameworks that hostfxr gives an app, from its runtimeconfig.json and from what is installed.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shim/system.h"

namespace portshim::framework {

inline constexpr std::string_view kAspNetCore = "Microsoft.AspNetCore.App";
inline constexpr std::string_view kNetCore = "Microsoft.NETCore.App";

/// A version (semver.org) as hostfxr reads and orders it (fx_ver.cpp). The default is lower than every other.
struct Version {
  int major = -1;
  int minor = -1;
  int patch = -1;
  std::string prerelease = {};  ///< "rc.1"; empty: a release
  std::string text = {};
  bool operator==(const Version&) const = default;
};

/// Nothing when the text is no version: three numbers are needed, without leading zeros.
[[nodiscard]] std::optional<Version> parse_version(std::string_view text);

/// By precedence: 8.0.9 < 8.0.10-rc.9 < 8.0.10-rc.10 < 8.0.10. Build metadata does not count.
[[nodiscard]] std::strong_ordering compare(const Version& a, const Version& b);

/// The number that a version begins with, in 1 to INT_MAX: 10 for "10.0.1", and for "10" too.
[[nodiscard]] std::optional<int> major_of(std::string_view version);

/// A folder where .NET is installed.
struct Root {
  std::string directory = {};
  int hostfxr = 0;  ///< major version of its newest hostfxr, which is the one that runs
};

/// The root in `directory`; nothing when no hostfxr is there, or its folder cannot be read.
[[nodiscard]] std::optional<Root> root_in(const system::System& system, const std::string& directory);

/// The root that an apphost for `machine` (ELF e_machine) takes whose dll is in `folder`: DOTNET_ROOT_X64 or _ARM64,
/// DOTNET_ROOT, /etc/dotnet/install_location_x64 or _arm64, /etc/dotnet/install_location, /usr/share/dotnet
/// (fxr_resolver.cpp, pal.unix.cpp). Nothing when none is there, for other machines, and for a folder with a hostfxr
/// of its own.
[[nodiscard]] std::optional<Root> root_of_apphost(const system::System& system, const std::string& folder,
                                                  std::uint16_t machine, std::span<const std::string> environment);

/// Values of the host's options; an empty one counts as absent.
struct Options {
  std::string fx_version = {};
  std::string roll_forward = {};
  std::string roll_forward_on_no_candidate_fx = {};
};

/// What decides beside the app's own files.
struct Host {
  Options options = {};
  std::span<const std::string> environment = {};
  std::optional<Root> root = std::nullopt;
};

/// How far a reference may roll forward (version_compatibility_range.h).
enum class Range : std::uint8_t { exact, patch, minor, major };

/// What is asked for.
struct Reference {
  std::string name = {};
  std::string version = {};  ///< as written
  Version number = {};
  Range range = Range::minor;
  bool highest = false;  ///< the highest version in range, else the nearest
  bool apply_patches = true;
  bool prefer_release = false;
  bool operator==(const Reference&) const = default;
};

/// A runtimeconfig.json with its .dev.json, environment and options applied (runtime_config.cpp).
struct RuntimeConfig {
  bool valid = false;                ///< hostfxr goes on with it
  bool framework_dependent = false;  ///< else self-contained
  std::vector<Reference> frameworks = {};
  std::vector<Reference> included = {};  ///< of a self-contained app: these versions are what it has
  std::vector<Reference> named = {};     ///< names and versions that can be read, also where it is not valid
  /// "configProperties", as AppContext has them: strings, booleans as "true" and "false", and whole numbers from 0.
  std::map<std::string, std::string> properties = {};
};

/// True for the name of a roll-forward policy, in any case: "LatestMinor".
[[nodiscard]] bool is_policy(std::string_view name);

/// The configuration in `text`, and in the .dev.json beside it (empty: none).
[[nodiscard]] RuntimeConfig parse(std::string_view text, std::string_view dev_text, const Host& host);

/// The same of the file at `path`, "….json". Errors are those of System::read_file.
[[nodiscard]] system::Result<RuntimeConfig> read(const system::System& system, const std::string& path,
                                                 const Host& host);

enum class Outcome : std::uint8_t {
  resolved,
  missing,  ///< nothing that fits is installed in the root
  failed,   ///< hostfxr refuses: settings that are not valid, references that exclude each other
};

/// A framework, and the version chosen; of a missing one: the version asked for.
struct Framework {
  std::string name = {};
  std::string version = {};
  std::vector<std::string> installed = {};  ///< of a missing one: the versions that there are
};

struct Resolution {
  Outcome outcome = Outcome::failed;
  std::vector<Framework> frameworks = {};  ///< all of them, when resolved
  Framework missing = {};                  ///< when missing
};

/// What hostfxr chooses for a framework-dependent app (fx_resolver.cpp). `host.root` must be there.
[[nodiscard]] Resolution resolve(const system::System& system, const RuntimeConfig& config, const Host& host);

}  // namespace portshim::framework
