#include "shim/memory_events.h"

#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

namespace portshim::memory_events {
namespace {

/// Takes the first line off the text.
std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(line.size() == text.size() ? line.size() : line.size() + 1);
  return line;
}

std::optional<std::uint64_t> read_count(const system::System& system, const std::string& path) {
  const auto content = system.read_file(path);
  if (!content) return std::nullopt;
  constexpr std::string_view kName = "oom_kill ";
  for (std::string_view rest = *content; !rest.empty();) {
    const std::string_view line = take_line(rest);
    if (!line.starts_with(kName)) continue;
    std::uint64_t count = 0;
    const auto [stop, error] = std::from_chars(line.data() + kName.size(), line.data() + line.size(), count);
    if (error == std::errc{}) return count;
  }
  return std::nullopt;
}

/// One kind of hierarchy.
struct Hierarchy {
  std::string_view name;  ///< in /proc/self/cgroup, between the two colons (cgroups(7))
  std::string_view mount;
  std::string_view file;
};
constexpr std::array<Hierarchy, 2> kHierarchies{
    {{"", "/sys/fs/cgroup", "/memory.events"}, {"memory", "/sys/fs/cgroup/memory", "/memory.oom_control"}}};

/// The path of the group, "/" for the root; empty where the process is in no such hierarchy.
std::string_view path_in(std::string_view groups, std::string_view hierarchy) {
  while (!groups.empty()) {
    const std::string_view line = take_line(groups);
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    if (line.substr(first + 1, second - first - 1) == hierarchy) return line.substr(second + 1);
  }
  return {};
}

}  // namespace

std::optional<std::uint64_t> count_kills(const system::System& system) {
  const auto groups = system.read_file("/proc/self/cgroup");
  if (!groups) return std::nullopt;
  for (const Hierarchy& hierarchy : kHierarchies) {
    const std::string_view path = path_in(*groups, hierarchy.name);
    if (path.empty()) continue;
    const std::string below = path == "/" ? "" : std::string(path);
    const std::string mount(hierarchy.mount);
    if (auto count = read_count(system, mount + below + std::string(hierarchy.file))) return count;
    if (auto count = read_count(system, mount + std::string(hierarchy.file))) return count;
  }
  return std::nullopt;
}

}  // namespace portshim::memory_events
