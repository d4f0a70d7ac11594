#include "shim/probing.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "shim/config.h"
#include "shim/environment.h"

namespace portshim::probing {
namespace {

/// What a folder has; nothing where it cannot be read.
std::vector<std::string> names_in(const system::System& system, const std::string& folder) {
  return system.list(folder).value_or(std::vector<std::string>{});
}

bool has(const system::System& system, const std::string& folder, std::string_view folded_file) {
  return std::ranges::any_of(names_in(system, folder),
                             [&](const std::string& name) { return config::fold(name) == folded_file; });
}

/// In any version of any framework: which of them the app uses makes no difference to what is in it.
bool in_frameworks(const system::System& system, const std::string& root, std::string_view folded_file) {
  const std::string shared = root + "/shared";
  for (const std::string& framework : names_in(system, shared)) {
    const std::string versions = std::string(shared).append("/").append(framework);
    for (const std::string& version : names_in(system, versions)) {
      if (has(system, std::string(versions).append("/").append(version), folded_file)) return true;
    }
  }
  return false;
}

bool is_set(std::span<const std::string> environment, std::string_view name) {
  return !environment::value(environment, name).value_or("").empty();
}

}  // namespace

bool may_find(const system::System& system, const runtime::App& app, std::span<const std::string> environment,
              std::string_view name) {
  const bool is_known = !app.assembly.empty() && !app.base_directory.empty() && app.properties &&
                        (!app.framework_dependent || !app.dotnet_root.empty());
  if (!is_known || is_set(environment, "DOTNET_ADDITIONAL_DEPS") || is_set(environment, "DOTNET_SHARED_STORE")) {
    return true;
  }
  const std::string file = config::fold(std::string(name).append(".dll"));
  if (!app.deps_json.empty()) {
    const auto deps = system.read_file(app.deps_json);
    if (deps ? config::fold(*deps).contains(file) : deps.error().code != ENOENT) return true;
  }
  return has(system, app.base_directory, file) || in_frameworks(system, app.dotnet_root, file);
}

}  // namespace portshim::probing
