// An app's deps.json. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace portshim::deps {

/// The assemblies of the app's own projects, from its deps.json: file names, in its order, the app itself first
/// (libraries of type "project"). Empty when it cannot be read.
[[nodiscard]] std::vector<std::string> projects(std::string_view deps_json);

/// Those of its packages and of other assemblies that it refers to, in the same way; what belongs to .NET is not among
/// them.
[[nodiscard]] std::vector<std::string> packages(std::string_view deps_json);

}  // namespace portshim::deps
