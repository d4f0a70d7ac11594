// Why COMMAND ended, as far as its parent can tell. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "shim/finding.h"

namespace portshim::post_mortem {

struct Facts {
  std::string command;     ///< as it was named
  int status = 0;          ///< as of waitpid(2)
  bool is_dotnet = false;  ///< COMMAND is the .NET host, or an app with a host of its own
  /// Kills for want of memory in its cgroup, before it started and when it had ended; nothing where unreadable.
  std::optional<std::uint64_t> kills_before;
  std::optional<std::uint64_t> kills_after;
  /// The last bind call that the kernel denied, as "bind([::]:80)", where --guard has seen one.
  std::optional<std::string> denied_bind = {};
};

/// What to say of the end. Nothing where it tells enough itself: an exit code of the app, a signal that somebody sends
/// to stop it. An exit code of the .NET host is told from a signal that a shell shows by the same number: 137 is
/// CoreClrInitFailure or SIGKILL, 139 ResolverInitFailure or SIGSEGV (native/corehost/error_codes.h).
[[nodiscard]] std::optional<finding::Finding> explain(const Facts& facts);

}  // namespace portshim::post_mortem
