// Who holds a TCP port, as far as this process may know.
#pragma once

#include <optional>
#include <string>

#include "shim/address.h"
#include "shim/system.h"

namespace portshim::listener {

/// The process that listens where the target would be bound: "nginx (pid 12)", or "a process of uid 101" where its
/// descriptors may not be read; nothing where the kernel's tables show no such socket. From /proc/self/net/tcp and tcp6
/// (proc_pid_net(5)) and the links of /proc/PID/fd, of which a bounded number is looked at.
[[nodiscard]] std::optional<std::string> holder_of(const system::System& system, const address::Target& target);

}  // namespace portshim::listener
