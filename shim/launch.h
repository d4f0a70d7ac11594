// The real cause when COMMAND cannot be found or executed.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shim/finding.h"
#include "shim/lookup.h"
#include "shim/system.h"

namespace portshim::launch {

/// Why a COMMAND that was not found or could not be executed cannot run, and the exit code (126, 127).
struct Failure {
  finding::Finding finding;
  int code = 127;
};

/// The failure of a look-up that found nothing.
[[nodiscard]] Failure explain_lookup(const system::System& system, const std::string& command,
                                     const lookup::Lookup& lookup, std::span<const std::string> environment);

/// What will keep `path` from being executed, as far as that shows before it is tried: permissions, mount, loader,
/// interpreter, machine. Nothing where none of them does.
[[nodiscard]] std::optional<Failure> foresee_exec(const system::System& system, const std::string& path);

/// The real cause of a failed execve of `path`.
[[nodiscard]] Failure explain_exec(const system::System& system, const std::string& path, const system::Error& error);

}  // namespace portshim::launch
