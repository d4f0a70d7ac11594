// Listening TCP sockets, and who holds them, as far as this process may know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/address.h"
#include "shim/system.h"

namespace portshim::listener {

/// A listening TCP socket.
struct Listener {
  std::string address;  ///< as .NET prints it
  std::uint16_t port = 0;
  std::uint64_t inode = 0;
  std::uint32_t uid = 0;  ///< whose it is
};

/// Those in the text of /proc/PID/net/tcp or tcp6 (proc_pid_net(5)).
[[nodiscard]] std::vector<Listener> parse(std::string_view text);

/// The process that listens where the target would be bound: "nginx (pid 12)", or "a process of uid 101" where its
/// descriptors may not be read; nothing where the kernel's tables show no such socket. From /proc/self/net/tcp and tcp6
/// (proc_pid_net(5)) and the links of /proc/PID/fd, of which a bounded number is looked at.
[[nodiscard]] std::optional<std::string> holder_of(const system::System& system, const address::Target& target);

}  // namespace portshim::listener
