#include "shim/parent.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "shim/announce.h"
#include "shim/finding.h"
#include "shim/guard.h"
#include "shim/leftovers.h"
#include "shim/memory_events.h"
#include "shim/path.h"
#include "shim/post_mortem.h"
#include "shim/runtime.h"

namespace portshim::parent {
namespace {

using announce::say;
using finding::Finding;
using finding::Id;
using finding::Severity;
using options::Options;
using request::Request;
using request::Start;
using supervise::SignalMask;

/// portshim cannot be the parent: the app starts without one.
Finding not_supervised(const system::Error& error) {
  return {.id = Id::not_supervised,
          .severity = Severity::error,
          .what = "portshim cannot stay as the parent of COMMAND",
          .why = finding::quote(error.message()),
          .did = "started COMMAND without --init",
          .next = "look at the limits of processes (pids.max, ulimit -u) and open files (ulimit -n)"};
}

Finding not_adopted(const system::Error& error) {
  return {.id = Id::orphans_not_adopted,
          .severity = Severity::debug,
          .what = "portshim cannot become the parent of processes that lose theirs",
          .why = finding::quote(error.message()),
          .did = "the init of this PID namespace gets them, and portshim does not end them with COMMAND",
          .next = ""};
}

constexpr std::array<std::string_view, 4> kOfParent{"grace", "group", "signal-map", "exit-map"};

/// The path as it is from any working directory.
std::string from_anywhere(const system::System& system, const std::string& path) {
  const auto directory = system.current_directory();
  return path.empty() || !directory ? path : path::join(*directory, path);
}

/// In the parent, until COMMAND ends: the exit code. `guard` may be null.
int stay(system::Control& system, const Start& start, const Request& request, const supervise::Child& child,
         guard::Guard* guard) {
  // The parent's working directory is going to be /.
  Options options = request.options();
  options.termination_log = from_anywhere(system, options.termination_log);
  const std::string path = from_anywhere(system, request.lookup.path);
  if (!child.adopts) say(system, start, options, not_adopted(child.adopts.error()));
  const auto kills_before = memory_events::count_kills(system);
  const supervise::End end = supervise::supervise(child, options, guard);
  if (end.executed && end.status != 0 && !end.killed_as_mapped) {
    const auto argv = std::span(start.argv).subspan(request.command);
    const auto finding =
        post_mortem::explain({.command = argv[0],
                              .status = end.status,
                              .is_dotnet = runtime::classify(system, argv, path, start.environment).is_dotnet(),
                              .kills_before = kills_before,
                              .kills_after = memory_events::count_kills(system),
                              .denied_bind = guard == nullptr ? std::nullopt : guard->last_denied()});
    if (finding) announce::fail(system, start, options, *finding);
  }
  leftovers::end(child.signals.number(), options.grace);
  return supervise::exit_code(end, options);
}

/// In the child of `parent`: what is read and said before COMMAND starts is the child's, so that the parent stays
/// small.
int start_in_child(const Start& start, const StartApp& start_app, pid_t parent) {
  Start its_start = start;
  supervise::rename_listen_pid(its_start.environment, parent);
  return start_app(its_start);
}

/// --init.
int supervise_app(system::Control& system, const Start& start, const Request& request, SignalMask inherited,
                  const StartApp& start_app) {
  // Where nothing is read or said before COMMAND starts, there is no need for a copy of the memory.
  const auto memory =
      request.options().mode == options::Mode::off ? supervise::Memory::shared : supervise::Memory::copied;
  const auto child = supervise::fork_child(inherited, memory,
                                           [&, parent = getpid()] { return start_in_child(start, start_app, parent); });
  if (child) return stay(system, start, request, *child, nullptr);
  say(system, start, request.options(), not_supervised(child.error()));
  supervise::restore_signals(inherited);
  return start_app(start);
}

/// --guard, as --init but with the app's bind calls watched: the exit code, or nothing where that cannot be, and no
/// child is left.
std::optional<int> guard_app(system::Control& system, const Start& start, const Request& request, SignalMask inherited,
                             const StartApp& start_app) {
  constexpr int kNotWatched = 125;  // seen by nobody: the parent dismisses the child
  const Options& options = request.options();
  const std::string& path = request.lookup.path;
  // What cannot be executed is start_app's to explain.
  if (path.empty() || !system.executable(path)) return std::nullopt;
  const auto say_one = [&](const Finding& finding) { say(system, start, options, finding); };
  auto rules = guard::examine(system, path, options);
  if (!rules) {
    say_one(rules.error());
    return std::nullopt;
  }
  guard::Guard guard(*std::move(rules), say_one);
  system::Result<void> ready = guard.prepare();
  if (ready) {
    const auto child = supervise::fork_child(inherited, supervise::Memory::copied, [&, parent = getpid()] {
      return guard.enter() ? start_in_child(start, start_app, parent) : kNotWatched;
    });
    ready = child ? guard.attach(*child) : std::unexpected(child.error());
    if (ready) {
      system.limit_waiting();
      return stay(system, start, request, *child, &guard);
    }
    if (child) supervise::dismiss(*child);
  }
  say_one(guard::not_set_up(ready.error()));
  return std::nullopt;
}

}  // namespace

bool stays(const Options& options) {
  return options.init || options.guard != options::Guard::off;
}

std::optional<Finding> without_parent(const options::Invocation& invocation) {
  const Options& given = invocation.options;
  if (stays(given)) return std::nullopt;
  const auto* const option =
      std::ranges::find_if(kOfParent, [&](auto name) { return invocation.given.contains(name); });
  const bool by_option = option != kOfParent.end();
  if (!by_option && !given.wants_parent()) return std::nullopt;
  return Finding{
      .id = Id::without_parent,
      // A base image may set them for those that set PORTSHIM_INIT too.
      .severity = by_option ? Severity::warning : Severity::info,
      .what = (by_option ? "--" + std::string(*option) : "PORTSHIM_GRACE, _GROUP, _SIGNAL_MAP or _EXIT_MAP") +
              " has no effect without --init",
      .why = "it is about what portshim does as the parent of COMMAND",
      .did = "",
      .next = "add --init (PORTSHIM_INIT=on), or leave it out"};
}

int start(system::Control& system, const Start& start, const Request& request, SignalMask inherited,
          const StartApp& start_app) {
  if (request.options().guard != options::Guard::off) {
    if (const auto code = guard_app(system, start, request, inherited, start_app)) return *code;
  }
  if (request.options().init) return supervise_app(system, start, request, inherited, start_app);
  supervise::restore_signals(inherited);
  return start_app(start);
}

}  // namespace portshim::parent
