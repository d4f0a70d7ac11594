#include "shim/post_mortem.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <string_view>
#include <utility>

#include "shim/signal_name.h"

namespace portshim::post_mortem {
namespace {

using finding::Finding;
using finding::Id;
using finding::quote;
using finding::Severity;

constexpr int kSignalled = 128;

/// An exit code of the .NET host: the low byte of a status of native/corehost/error_codes.h.
struct HostCode {
  int code;
  std::string_view name;
  std::string_view meaning;
  std::string_view next;
};
constexpr std::string_view kCopyAll = "copy all that `dotnet publish` has written";
constexpr std::string_view kUseRuntime = "use an image with the ASP.NET Core runtime of the app's version";
constexpr auto kHostCodes = std::to_array<HostCode>({
    {129, "InvalidArgFailure", "the host was given arguments that are none of its own",
     "options of the host stand before App.dll, those of the app behind it"},
    {131, "CoreHostLibMissingFailure", "hostfxr or hostpolicy was not found",
     "copy App.runtimeconfig.json too, and use an image with the ASP.NET Core runtime"},
    {135, "CoreClrResolveFailure", "libcoreclr was not found", kCopyAll},
    {137, "CoreClrInitFailure", "the runtime could not be created",
     "look at the limits: memory (and DOTNET_GCHeapHardLimit, which is hexadecimal; ulimit -v, -d), processes "
     "(pids.max, ulimit -u), files (ulimit -n) and their size (ulimit -f)"},
    {139, "ResolverInitFailure", "App.deps.json could not be read, or is not valid", kCopyAll},
    {147, "InvalidConfigFile", "App.runtimeconfig.json or DOTNET_ROLL_FORWARD is not valid", kCopyAll},
    {150, "FrameworkMissingFailure", "a framework that the app needs is not installed", kUseRuntime},
    {154, "LibHostAppRootFindFailure", "the app's dll is not beside its executable", kCopyAll},
    {155, "SdkResolverResolveFailure", "there is no such dll, and no SDK whose command it could be",
     "look at the path of App.dll and at the working directory"},
    {159, "BundleExtractionFailure", "the single file could not be extracted",
     "set HOME or DOTNET_BUNDLE_EXTRACT_BASE_DIR to a folder that the app may write to"},
    {160, "BundleExtractionIOError", "the single file could not be extracted",
     "look for room in HOME or DOTNET_BUNDLE_EXTRACT_BASE_DIR"},
});

Finding make(Id id, std::string what, std::string why, std::string_view next) {
  return {.id = id,
          .severity = Severity::error,
          .what = std::move(what),
          .why = std::move(why),
          .did = "",
          .next = std::string(next)};
}

std::optional<Finding> explain_host_code(const Facts& facts, int code) {
  const auto* const host = std::ranges::find(kHostCodes, code, &HostCode::code);
  if (!facts.is_dotnet || host == kHostCodes.end()) return std::nullopt;
  const bool imitates = code == kSignalled + SIGKILL || code == kSignalled + SIGSEGV;
  const std::string no_signal =
      imitates ? fmt::format("; no signal ended it, so it is no {}", signal_name::name_of(code - kSignalled)) : "";
  return make(Id::host_failed, fmt::format("{} exited with {}: {}", quote(facts.command), code, host->meaning),
              fmt::format("the .NET host has this code for {}{}", host->name, no_signal), host->next);
}

bool was_out_of_memory(const Facts& facts) {
  return facts.kills_before && facts.kills_after && *facts.kills_after > *facts.kills_before;
}

Finding explain_out_of_memory(const Facts& facts, std::string_view what) {
  return make(Id::out_of_memory, fmt::format("{}: the memory limit was reached", what),
              fmt::format("the kernel's OOM killer has killed {} times in this cgroup since the start",
                          *facts.kills_after - *facts.kills_before),
              "raise the limit (docker run --memory, resources.limits.memory), or lower what .NET takes of it "
              "(DOTNET_GCHeapHardLimitPercent)");
}

Finding explain_kill(const Facts& facts, const std::string& what) {
  if (was_out_of_memory(facts)) return explain_out_of_memory(facts, what);
  const bool counted = facts.kills_before && facts.kills_after;
  Finding finding = make(Id::killed, what,
                         counted ? "not by the OOM killer, which has not killed in this cgroup since the start"
                                 : "the cgroup's count of OOM kills cannot be read, so it may be the memory limit",
                         "look for who sends it: a stop whose time was over, a failed liveness probe, kill -9");
  finding.severity = Severity::warning;
  return finding;
}

Finding explain_abort(const Facts& facts, std::string what) {
  if (!facts.is_dotnet) {
    return make(Id::aborted, std::move(what), "it ended itself: the reason may be in its output above", "");
  }
  constexpr std::string_view kUncaught =
      "as .NET does behind an exception that nobody caught, which is in its output above";
  if (facts.denied_bind) {
    return make(Id::aborted, std::move(what),
                fmt::format("{}; the kernel had denied {}", kUncaught, *facts.denied_bind),
                "if that is a SocketException: see what --guard says of the call");
  }
  return make(Id::aborted, std::move(what), std::string(kUncaught),
              "if that is a SocketException: PORTSHIM=explain says before the start which address cannot be bound and "
              "why, --guard=explain which call did it");
}

std::optional<Finding> explain_signal(const Facts& facts, int signal) {
  const std::string command = quote(facts.command);
  const std::string name = signal_name::name_of(signal);
  const int code = kSignalled + signal;
  switch (signal) {
    case SIGKILL:
      return explain_kill(facts, fmt::format("{} was killed by {} ({})", command, name, code));
    case SIGABRT:
      return explain_abort(facts, fmt::format("{} aborted: {} ({})", command, name, code));
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
      return make(Id::crashed, fmt::format("{} crashed: {} ({})", command, name, code),
                  "that signal ended it; it is no exit code of the .NET host",
                  "look at native libraries, and at a limit of file sizes (ulimit -f), which .NET dies of without a "
                  "word; DOTNET_DbgEnableMiniDump=1 writes a dump");
    case SIGSYS:
      return make(Id::crashed, fmt::format("{} crashed: {} ({})", command, name, code),
                  "a seccomp profile forbids a system call that it made", "look at the container's seccomp profile");
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<Finding> explain(const Facts& facts) {
  if (WIFSIGNALED(facts.status)) return explain_signal(facts, WTERMSIG(facts.status));
  const int code = WEXITSTATUS(facts.status);
  // A shell's word for a COMMAND of its own that was killed.
  if (code == kSignalled + SIGKILL && was_out_of_memory(facts))
    return explain_out_of_memory(facts, fmt::format("{} exited with {}", quote(facts.command), code));
  return explain_host_code(facts, code);
}

}  // namespace portshim::post_mortem
