// The first instructions of portshim, before the C library's: a signal to PID 1 that has no handler is dropped by the
// kernel, so each moment before signals are blocked is one in which a stop can be lost.
#pragma once

#include <cstdint>

namespace portshim::entry {

/// The signals that were blocked when portshim was started, as a set of the kernel's (rt_sigprocmask(2)). Since then
/// all are, until main() decides.
[[nodiscard]] std::uint64_t inherited_signals();

}  // namespace portshim::entry
