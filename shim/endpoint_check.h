// Endpoints that cannot be bound for other reasons than a low port: unix sockets, addresses of other hosts or in use,
// https without a certificate.
#pragma once

#include <vector>

#include "shim/finding.h"
#include "shim/situation.h"
#include "shim/system.h"

namespace portshim::endpoint_check {

/// What is to be said of the endpoints that the app is given (in rewrite those after its edits). An error is certain
/// for each builder that the app may use; nothing is certain where its code is likely to set endpoints of its own.
/// * PS207, PS208: bind(2) of a unix socket makes its file. Without its folder it answers ENOENT, which .NET reports as
///   "Cannot assign requested address"; where any file is it answers EADDRINUSE (net/unix/af_unix.c, unix_bind_bsd). A
///   socket file on which somebody listens may be the app's own, running already: a warning, as for a port in use.
/// * PS209, PS110: what the trial said of the addresses (Rules::verdict).
/// * PS105: a unix socket that is bound twice.
/// * PS320: https without any certificate, unless the user has a development certificate ($HOME/.dotnet/corefx/
///   cryptography/x509stores/my, or $HOME/.aspnet/https).
[[nodiscard]] std::vector<finding::Finding> check(const system::System& system, const situation::Situation& situation);

}  // namespace portshim::endpoint_check
