// The other side of a move: variables beside Kestrel's that name the port that is left. Pure.
#pragma once

#include <vector>

#include "shim/finding.h"
#include "shim/situation.h"

namespace portshim::old_port {

/// One info finding with the variables that still name a port which the plan moves, by what they are for: PORT and
/// WEBSITES_PORT say where a platform sends traffic, ASPNETCORE_HTTPS_PORT, DOTNET_HTTPS_PORT and HTTPS_PORT where
/// https redirection sends browsers (HttpsRedirectionMiddleware.cs), ASPNETCORE_PORT is IIS integration's.
[[nodiscard]] std::vector<finding::Finding> check(const situation::Situation& situation);

}  // namespace portshim::old_port
