#include "shim/probing.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "shim/config.h"
#include "shim/environment.h"

namespace portshim::probing {
namespace {

/// Whether `folder`, with as many levels of folders below it as `depth`, may have the file.
bool may_have(const system::System& system, const std::string& folder, int depth, std::string_view folded_file) {
  const auto names = system.list(folder);
  if (!names) return names.error().code != ENOENT && names.error().code != ENOTDIR;
  return std::ranges::any_of(*names, [&](const std::string& name) {
    return depth == 0 ? config::fold(name) == folded_file
                      : may_have(system, std::string(folder).append("/").append(name), depth - 1, folded_file);
  });
}

}  // namespace

bool may_find(const system::System& system, const runtime::App& app, std::span<const std::string> environment,
              std::string_view name) {
  const bool is_known = !app.assembly.empty() && !app.base_directory.empty() && app.properties &&
                        (!app.framework_dependent || !app.dotnet_root.empty());
  if (!is_known || environment::is_set(environment, "DOTNET_ADDITIONAL_DEPS") ||
      environment::is_set(environment, "DOTNET_SHARED_STORE")) {
    return true;
  }
  const std::string file = config::fold(std::string(name).append(".dll"));
  if (!app.deps_json.empty()) {
    const auto deps = system.read_file(app.deps_json);
    if (deps ? config::fold(*deps).contains(file) : deps.error().code != ENOENT) return true;
  }
  // shared/FRAMEWORK/VERSION: which of them the app uses makes no difference to what is in it.
  constexpr int kVersions = 2;
  return may_have(system, app.base_directory, 0, file) ||
         may_have(system, app.dotnet_root + "/shared", kVersions, file);
}

}  // namespace portshim::probing
