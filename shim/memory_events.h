// How often the kernel has killed for want of memory in this process's cgroup.
#pragma once

#include <cstdint>
#include <optional>

#include "shim/system.h"

namespace portshim::memory_events {

/// oom_kill of memory.events (cgroup v2, Linux 4.13; with what is below the group) or of memory.oom_control (v1).
/// Nothing where it cannot be read. In a container the group is often mounted at the root of the hierarchy, whatever
/// /proc/self/cgroup calls it.
[[nodiscard]] std::optional<std::uint64_t> count_kills(const system::System& system);

}  // namespace portshim::memory_events
