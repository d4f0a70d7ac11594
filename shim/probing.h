// Where the host looks for an assembly that is named without a path.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "shim/runtime.h"
#include "shim/system.h"

namespace portshim::probing {

/// False where no assembly of that simple name, in any case, can be loaded by its name (deps_resolver.cpp, the list of
/// trusted platform assemblies): there is no NAME.dll beside the app or in a framework, and its deps.json does not
/// mention one. True also where not all of these places are known, as for single files and with DOTNET_ADDITIONAL_DEPS.
[[nodiscard]] bool may_find(const system::System& system, const runtime::App& app,
                            std::span<const std::string> environment, std::string_view name);

}  // namespace portshim::probing
