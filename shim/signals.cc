#include "shim/signals.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <csignal>
#include <string>
#include <string_view>
#include <utility>

namespace portshim::signals {
namespace {

using finding::Finding;
using finding::Id;
using finding::Severity;

constexpr std::array<std::pair<int, std::string_view>, 3> kStop{
    {{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGQUIT, "SIGQUIT"}}};

std::vector<std::string_view> blocked_names(const system::System& system) {
  std::vector<std::string_view> names;
  for (const auto& [number, name] : kStop) {
    if (system.is_blocked(number)) names.push_back(name);
  }
  return names;
}

/// What is to be said: info where it is repaired.
Finding make(Id id, bool repairs, std::string what, std::string why, std::string did, std::string next) {
  return {.id = id,
          .severity = repairs ? Severity::info : Severity::warning,
          .what = std::move(what),
          .why = std::move(why),
          .did = repairs ? std::move(did) : "nothing: only PORTSHIM=rewrite repairs it",
          .next = std::move(next)};
}

}  // namespace

std::vector<Finding> check(const system::System& system, options::Mode mode) {
  const bool repairs = mode == options::Mode::rewrite;
  std::vector<Finding> out;
  if (system.is_ignored(SIGCHLD)) {
    out.push_back(make(Id::child_signal_ignored, repairs,
                       "SIGCHLD is ignored: Process.WaitForExit of the app would wait for ever",
                       "what started this process ignores SIGCHLD, and that is inherited; the kernel then reaps child "
                       "processes by itself, and .NET never hears of their end",
                       "set SIGCHLD to its default", "correct what starts the container's program"));
  }
  const std::vector<std::string_view> blocked = blocked_names(system);
  if (!blocked.empty()) {
    const std::string names = fmt::format("{}", fmt::join(blocked, ", "));
    const std::string_view effect = system.is_blocked(SIGTERM)
                                        ? "docker stop and Kubernetes would wait for the whole grace period, and then "
                                          "kill the app (exit code 137)"
                                        : "the app would not stop by it";
    out.push_back(make(Id::stop_signals_blocked, repairs,
                       fmt::format("{} {} blocked: {}", names, blocked.size() == 1 ? "is" : "are", effect),
                       "what started this process has blocked it, and that is inherited; .NET does not unblock signals",
                       fmt::format("unblocked {}", names), "correct what starts the container's program"));
  }
  return out;
}

void repair(system::Control& system) {
  if (system.is_ignored(SIGCHLD)) system.set_default(SIGCHLD);
  for (const auto& [number, name] : kStop) {
    if (system.is_blocked(number)) system.unblock(number);
  }
}

}  // namespace portshim::signals
