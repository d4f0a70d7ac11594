#include "shim/surroundings.h"

#include <elf.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "shim/config.h"
#include "shim/directories.h"
#include "shim/environment.h"
#include "shim/libraries.h"
#include "shim/path.h"
#include "shim/probing.h"

namespace portshim::surroundings {
namespace {

using finding::Finding;
using finding::Id;
using finding::quote;
using finding::Severity;
using Environment = std::span<const std::string>;

/// A variable that is not empty.
std::optional<std::string> variable(Environment environment, std::string_view name) {
  const auto value = environment::value(environment, name);
  if (!value || value->empty()) return std::nullopt;
  return std::string(*value);
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return config::fold(a) == config::fold(b);
}

bool is_true(std::string_view value) {
  return value == "1" || equal_in_any_case(value, "true");
}

/// A setting of the runtime (clrconfignative.h) that is 0, by either of its prefixes.
bool is_off(Environment environment, std::string_view name) {
  return std::ranges::any_of(std::array{"DOTNET_", "COMPlus_"}, [&](const char* prefix) {
    const auto value = variable(environment, std::string(prefix).append(name));
    return value && value->find_first_not_of('0') == std::string::npos;
  });
}

// --- inotify. ---

/// PhysicalFileProvider.cs and HostingHostBuilderExtensions.cs: both mean that settings files are not watched by
/// inotify. Where a value is not valid, another failure comes first.
bool does_not_watch(const hosting::Input& input) {
  constexpr std::string_view kKey = "HOSTBUILDER:RELOADCONFIGONCHANGE";
  if (is_true(variable(input.environment, "DOTNET_USE_POLLING_FILE_WATCHER").value_or(""))) return true;
  for (const std::string_view prefix : {"DOTNET_", "ASPNETCORE_"}) {
    for (const std::string_view entry : input.environment) {
      const std::size_t equals = entry.find('=');
      if (equals == std::string_view::npos ||
          !equal_in_any_case(entry.substr(0, std::min(prefix.size(), equals)), prefix))
        continue;
      if (equal_in_any_case(entry.substr(prefix.size(), equals - prefix.size()), "hostBuilder__reloadConfigOnChange"))
        return true;
    }
  }
  return std::ranges::any_of(input.argv, [&](const std::string& word) { return config::fold(word).contains(kKey); });
}

std::optional<Finding> no_inotify(const system::System& system, const Facts& facts) {
  const auto& builders = facts.input.builders;
  const bool reads_settings =
      std::ranges::any_of(builders, [](hosting::Builder one) { return one != hosting::Builder::empty; });
  if (!reads_settings || does_not_watch(facts.input)) return std::nullopt;
  const auto instance = system.try_inotify();
  if (instance || instance.error().code != EMFILE) return std::nullopt;
  return Finding{.id = Id::inotify,
                 .severity = Severity::error,
                 .what =
                     "no inotify instance is left for this user: the app ends at start, since it watches its "
                     "settings files",
                 .why =
                     "inotify_init1 answers EMFILE: fs.inotify.max_user_instances counts all containers of the host "
                     "that run as the same user",
                 .did = "",
                 .next =
                     "set DOTNET_USE_POLLING_FILE_WATCHER=1 or DOTNET_hostBuilder__reloadConfigOnChange=false for "
                     "the app, or raise fs.inotify.max_user_instances on the host"};
}

// --- Limits. ---

std::string size_text(std::uint64_t bytes) {
  return bytes % 1024 == 0 ? fmt::format("{} KiB", bytes / 1024) : fmt::format("{} bytes", bytes);
}

std::optional<Finding> few_open_files(const system::System& system, const Facts& facts) {
  constexpr std::uint64_t kEnough = 256;  // an idle app has 180 files open, and up to 250 while it starts
  constexpr std::uint64_t kNever = 40;    // at 50 the smallest app that there is (CreateEmptyBuilder) does not start
  // The runtime raises the soft limit to the hard one.
  const auto limit = system.limit(system::Resource::open_files);
  if (!limit || limit->hard >= kEnough) return std::nullopt;
  const bool certain = limit->hard < kNever && facts.app.asp_net_core == true;
  return Finding{.id = Id::limit_open_files,
                 .severity = certain ? Severity::error : Severity::warning,
                 .what = fmt::format("the app may have only {} files open (RLIMIT_NOFILE), and {} to start",
                                     limit->hard, certain ? "needs more" : "may need 250"),
                 .why = "with too few .NET says that an assembly cannot be found, or ends with exit code 137",
                 .did = "",
                 .next = "raise the limit to 1024 or more (docker run --ulimit nofile=1024:1024)"};
}

std::optional<Finding> small_file_size(const system::System& system, const Facts& facts) {
  constexpr std::uint64_t kEnough = std::uint64_t{8} << 20U;
  constexpr std::uint64_t kPiece = std::uint64_t{64} << 10U;
  constexpr int kFirstWithDoubleMapping = 7;  // W^X is on by default since .NET 7
  const auto limit = system.limit(system::Resource::file_size);
  if (!limit || limit->soft >= kEnough || is_off(facts.input.environment, "EnableWriteXorExecute")) return std::nullopt;
  if (facts.app.major && *facts.app.major < kFirstWithDoubleMapping) return std::nullopt;
  // What is mapped twice comes in pieces of 64 KiB (executableallocator.cpp).
  const bool certain = limit->soft < kPiece && facts.app.major;
  return Finding{
      .id = Id::limit_file_size,
      .severity = certain ? Severity::error : Severity::warning,
      .what = fmt::format("files may be no larger than {} (RLIMIT_FSIZE): .NET {} at its start", size_text(limit->soft),
                          certain ? "will end" : "is likely to end"),
      .why =
          "the limit counts for the memory too that .NET maps twice to keep code from being written to; what "
          "it says is 'Failed to create CoreCLR' (exit code 137), 'Out of memory' (134) or nothing (139)",
      .did = "",
      .next =
          "take the limit off (ulimit -f unlimited, docker run --ulimit fsize=-1), or set "
          "DOTNET_EnableWriteXorExecute=0"};
}

/// The kernel leaves root and who holds one of two capabilities alone (kernel/fork.c, copy_process).
bool has_no_process_limit(const system::System& system) {
  constexpr unsigned kSysAdmin = 21;
  constexpr unsigned kSysResource = 24;
  const auto capabilities = system.capabilities();
  const system::CapabilitySet exempt = system::CapabilitySet{1} << kSysAdmin | system::CapabilitySet{1} << kSysResource;
  return system.ids().uid == 0 || !capabilities || (capabilities->ambient & exempt) != 0;
}

std::optional<Finding> few_processes(const system::System& system) {
  constexpr std::uint64_t kEnough = 32;  // an idle app has 20 threads; each is a process to the limit
  const auto limit = system.limit(system::Resource::processes);
  if (!limit || limit->soft >= kEnough || has_no_process_limit(system)) return std::nullopt;
  return Finding{
      .id = Id::limit_processes,
      .severity = Severity::warning,
      .what = fmt::format("this user may have only {} processes and threads (RLIMIT_NPROC): .NET may end "
                          "at its start, or hang",
                          limit->soft),
      .why =
          "the limit counts the threads of all processes of the user, those of other containers too; "
          "what .NET says is 'Failed to create CoreCLR' (exit code 137), 'Out of memory' (134), or nothing while it "
          "hangs",
      .did = "",
      .next = "raise it (docker run --ulimit nproc=4096), or bound the container by its pids limit"};
}

/// What .NET needs of one kind of memory. Measured on .NET 10 with the workstation and the server GC.
struct Need {
  system::Resource resource;
  std::string_view name;
  std::uint64_t enough;
  std::uint64_t never;  ///< with less no app starts
  std::string_view why;
  std::string_view next;
};

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::array kNeeds{
    Need{system::Resource::address_space, "address space (RLIMIT_AS)", 3072 * kMiB, 512 * kMiB,
         "address space is not memory: .NET reserves much more than it uses. What it says is 'GC heap initialization "
         "failed' (exit code 137), 'Out of memory', or that an assembly cannot be found (134)",
         "take the limit off (ulimit -v unlimited), and limit the memory of the container in its place"},
    Need{system::Resource::data, "data (RLIMIT_DATA)", 128 * kMiB, 48 * kMiB,
         "what .NET says is 'Failed to create CoreCLR' (exit code 137), or 'Out of memory' (134)",
         "take the limit off (ulimit -d unlimited), and limit the memory of the container in its place"},
    Need{system::Resource::stack, "stack (RLIMIT_STACK)", 160 * kKiB, 48 * kKiB,
         "what .NET says is 'Stack overflow' (exit code 134), or nothing (139) while it may hang too",
         "raise the limit (ulimit -s 8192, docker run --ulimit stack=8388608)"},
};

std::optional<Finding> little_memory(const system::System& system, const Facts& facts) {
  for (const Need& need : kNeeds) {
    const auto limit = system.limit(need.resource);
    if (!limit || limit->soft >= need.enough) continue;
    const bool certain = limit->soft < need.never && facts.app.asp_net_core == true;
    return Finding{.id = Id::limit_memory,
                   .severity = certain ? Severity::error : Severity::warning,
                   .what = fmt::format("the app may have only {} of {}: .NET {} at its start", size_text(limit->soft),
                                       need.name, certain ? "will end" : "is likely to end"),
                   .why = std::string(need.why),
                   .did = "",
                   .next = std::string(need.next)};
  }
  return std::nullopt;
}

// --- Limits that .NET sets itself. ---

struct Named {
  std::string by;
  std::string value;
};

/// GCHeapHardLimit as the GC is given it (gcenv.ee.cpp, GetIntConfigValue): the variable, in hexadecimal digits, before
/// the app's runtimeconfig; what stands behind a number does not count, and 0 is none.
std::optional<std::pair<Named, std::uint64_t>> heap_limit_of(const Facts& facts) {
  constexpr int kHexadecimal = 16;
  constexpr int kByPrefix = 0;
  const auto number = [](const std::string& text, int base) { return std::strtoull(text.c_str(), nullptr, base); };
  for (const char* name : {"DOTNET_GCHeapHardLimit", "COMPlus_GCHeapHardLimit"}) {
    if (const auto value = variable(facts.input.environment, name))
      return {{{name, *value}, number(*value, kHexadecimal)}};
  }
  constexpr const char* kProperty = "System.GC.HeapHardLimit";
  if (!facts.app.properties) return std::nullopt;
  const auto found = facts.app.properties->find(kProperty);
  if (found == facts.app.properties->end()) return std::nullopt;
  return {{{kProperty, found->second}, number(found->second, kByPrefix)}};
}

std::optional<Finding> small_heap(const Facts& facts) {
  constexpr std::uint64_t kEnough = (3 * kMiB) + 1;  // where .NET 10 starts, with either GC
  constexpr std::uint64_t kNever = (2 * kMiB) + 1;
  constexpr int kFirstMeasured = 8;
  const auto limit = heap_limit_of(facts);
  if (!limit || limit->second == 0 || limit->second >= kEnough) return std::nullopt;
  const auto& [named, bytes] = *limit;
  const bool certain = bytes < kNever && facts.app.major >= kFirstMeasured;
  return Finding{.id = Id::heap_limit,
                 .severity = certain ? Severity::error : Severity::warning,
                 .what = fmt::format("{}={} leaves .NET a heap of {}: it {} at its start with exit code 137", named.by,
                                     quote(named.value), size_text(bytes), certain ? "ends" : "is likely to end"),
                 .why =
                     "GC heap initialization failed with error 0x8007000E; the number is one of bytes, in the "
                     "variable in hexadecimal digits",
                 .did = "",
                 .next =
                     "leave it out, so that .NET keeps to the memory limit of the container, or raise it: 10000000 "
                     "in the variable is 256 MiB"};
}

// --- Libraries. ---

libraries::Place place_of(const Facts& facts) {
  return {.environment = facts.input.environment,
          .base_directory = facts.app.base_directory,
          .dotnet_root = facts.app.dotnet_root};
}

bool may_be_installed(const system::System& system, const Facts& facts, std::string_view stem) {
  return libraries::may_be_installed(system, place_of(facts), stem);
}

/// The loader ends the program before .NET has said a word.
std::optional<Finding> no_library(const system::System& system, const Facts& facts) {
  const std::string missing = libraries::first_missing(system, place_of(facts), facts.program);
  if (missing.empty()) return std::nullopt;
  return Finding{.id = Id::library_missing,
                 .severity = Severity::error,
                 .what = fmt::format("{} needs the library {}, which is not installed: the app cannot start",
                                     quote(facts.program), quote(missing)),
                 .why =
                     "it is in none of the folders that the dynamic loader searches; what that says is 'error while "
                     "loading shared libraries', with exit code 127",
                 .did = "",
                 .next =
                     "install it in the image (Debian: libstdc++6, Alpine: libstdc++ and libgcc), or build on .NET's "
                     "runtime-deps image"};
}

/// A switch of AppContext: the variable where it is a boolean, else the app's runtimeconfig
/// (AppContextConfigHelper.cs).
bool is_switched_on(const Facts& facts, std::string_view name, std::string_view variable_name) {
  const std::string value = variable(facts.input.environment, variable_name).value_or("");
  if (is_true(value)) return true;
  if (value == "0" || equal_in_any_case(value, "false")) return false;
  const auto found = facts.app.properties->find(std::string(name));
  return found != facts.app.properties->end() && equal_in_any_case(found->second, "true");
}

std::optional<Finding> no_icu(const system::System& system, const Facts& facts) {
  constexpr std::string_view kLocal = "System.Globalization.AppLocalIcu";
  if (!facts.app.properties || facts.app.properties->contains(std::string(kLocal)) ||
      variable(facts.input.environment, "DOTNET_SYSTEM_GLOBALIZATION_APPLOCALICU"))
    return std::nullopt;
  if (is_switched_on(facts, "System.Globalization.Invariant", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"))
    return std::nullopt;
  if (may_be_installed(system, facts, "libicuuc.so.")) return std::nullopt;
  return Finding{.id = Id::icu_missing,
                 .severity = Severity::warning,
                 .what = "the library ICU is not installed: the app is likely to end at start with exit code 134",
                 .why = "libicuuc.so is in none of the usual folders, and globalization-invariant mode is off",
                 .did = "",
                 .next =
                     "install libicu (Alpine: icu-libs; chiseled images: the -extra variant), or set "
                     "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 if the app needs no cultures"};
}

bool serves_https(const Facts& facts) {
  return std::ranges::any_of(facts.predictions, [](const hosting::Prediction& prediction) {
    return std::ranges::any_of(prediction.lenient().endpoints,
                               [](const kestrel::Endpoint& endpoint) { return endpoint.target.https; });
  });
}

/// For the certificate's chain .NET opens the user's certificate store, in the home directory (PersistedFiles.cs).
std::optional<Finding> no_home(const system::System& system, const Facts& facts) {
  const uid_t uid = system.ids().effective_uid;
  if (!serves_https(facts) || variable(facts.input.environment, "HOME") || !directories::home_of(system, uid).empty())
    return std::nullopt;
  return Finding{.id = Id::no_home,
                 .severity = Severity::warning,
                 .what = fmt::format("HOME is not set, uid {} is not in /etc/passwd, and the app serves https: it is "
                                     "likely to end at start",
                                     uid),
                 .why =
                     "for https .NET looks into the user's certificate store; what it says is 'The home directory of "
                     "the current user could not be determined', with exit code 134",
                 .did = "",
                 .next = "set HOME, to / if there is nothing better"};
}

std::optional<Finding> no_openssl(const system::System& system, const Facts& facts) {
  if (!serves_https(facts) || may_be_installed(system, facts, "libssl.so")) return std::nullopt;
  return Finding{.id = Id::openssl_missing,
                 .severity = Severity::warning,
                 .what = "the library OpenSSL is not installed, and the app serves https: it is likely to end at start",
                 .why =
                     "libssl.so is in none of the usual folders; what .NET says is 'No usable version of libssl was "
                     "found', with exit code 134",
                 .did = "",
                 .next = "install OpenSSL (Debian: libssl3, Alpine: libssl3), or take the https endpoints out"};
}

// --- The web root. ---

/// The value of an argument of the app's, "--NAME=VALUE" or "--NAME VALUE" in any case.
std::optional<std::string> argument(const hosting::Input& input, std::string_view name) {
  for (std::size_t i = input.first_argument; i < input.argv.size(); ++i) {
    std::string_view word = input.argv[i];
    if (!word.starts_with("--")) continue;
    word.remove_prefix(2);
    const std::size_t equals = word.find('=');
    if (!equal_in_any_case(word.substr(0, equals), name)) continue;
    if (equals != std::string_view::npos) return std::string(word.substr(equals + 1));
    if (i + 1 < input.argv.size()) return input.argv[i + 1];
  }
  return std::nullopt;
}

/// The settings of that name which hosts read from the command line and the environment.
std::vector<Named> settings_called(const hosting::Input& input, std::string_view name) {
  std::vector<Named> out;
  if (auto value = argument(input, name)) out.push_back({.by = fmt::format("--{}", name), .value = *std::move(value)});
  for (const std::string_view entry : input.environment) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string key = config::fold(entry.substr(0, equals));
    const std::string folded = config::fold(name);
    if (key != "ASPNETCORE_" + folded && key != "DOTNET_" + folded) continue;
    out.push_back({.by = std::string(entry.substr(0, equals)), .value = std::string(entry.substr(equals + 1))});
  }
  return out;
}

/// A web root that is named is made at start where it is missing (HostingEnvironmentExtensions.cs); the default is not.
std::optional<Finding> no_web_root(const system::System& system, const Facts& facts) {
  const hosting::Input& input = facts.input;
  const bool moved = !settings_called(input, "contentRoot").empty() || input.current_directory.empty();
  for (const auto& [by, value] : settings_called(input, "webRoot")) {
    const bool absolute = value.starts_with('/');
    if (value.empty() || (!absolute && moved)) continue;
    const int error = directories::make_error(system, path::join(input.current_directory, value));
    if (error == 0) continue;
    return Finding{
        .id = Id::web_root,
        .severity = Severity::warning,
        .what = fmt::format("{}={} is not there and cannot be made: the app is likely to end at start", quote(by),
                            quote(value)),
        .why = fmt::format("a web root that is set is made where it is missing: {}", system::describe(error)),
        .did = "",
        .next = "copy the folder into the image, or take the setting out: without it wwwroot may be missing"};
  }
  return std::nullopt;
}

// --- What the app starts without. ---

/// profilepriv and profilinghelper.cpp: the variable for the machine first.
std::optional<Finding> no_profiler(const system::System& system, const Facts& facts) {
  const Environment environment = facts.input.environment;
  const std::string enabled = variable(environment, "CORECLR_ENABLE_PROFILING").value_or("0");
  if (enabled.find_first_not_of('0') == std::string::npos) return std::nullopt;
  if (is_off(environment, "EnableDiagnostics") || is_off(environment, "EnableDiagnostics_Profiler"))
    return std::nullopt;
  const bool arm = system.elf_machine() == EM_AARCH64;
  for (const char* name : {arm ? "CORECLR_PROFILER_PATH_ARM64" : "CORECLR_PROFILER_PATH_64", "CORECLR_PROFILER_PATH"}) {
    const auto path = variable(environment, name);
    if (!path) continue;
    const auto readable = system.readable(*path);
    if (readable) return std::nullopt;
    return Finding{.id = Id::profiler_missing,
                   .severity = Severity::warning,
                   .what = fmt::format("{}={} cannot be loaded: the app runs without its profiler, and .NET does not "
                                       "say so",
                                       name, quote(*path)),
                   .why = system::describe(readable.error().code),
                   .did = "",
                   .next = "put the library of the monitoring agent there, or set CORECLR_ENABLE_PROFILING=0"};
  }
  return std::nullopt;
}

/// One of the names that settings hold, which have ';' between them (WebHostOptions.cs).
std::vector<std::string_view> split_names(std::string_view list) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(';'), list.size());
    if (const auto name = address::trim(list.substr(0, end)); !name.empty()) out.push_back(name);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

/// GenericWebHostBuilder.cs and WebHostBuilder.cs, ExecuteHostingStartups: what cannot be loaded is logged.
std::optional<Finding> no_hosting_startup(const system::System& system, const Facts& facts) {
  using enum hosting::Builder;
  const hosting::Input& input = facts.input;
  const auto settings = settings_called(input, "hostingStartupAssemblies");
  const auto is_prevented = [](const Named& one) { return is_true(one.value); };
  const bool reads_them = !input.builders.empty() && std::ranges::all_of(input.builders, [](hosting::Builder one) {
    return one == wab || one == gh;
  });
  // Of several it is not looked at which of them wins.
  if (settings.size() != 1 || !reads_them ||
      std::ranges::any_of(settings_called(input, "preventHostingStartup"), is_prevented))
    return std::nullopt;
  const auto excluded = settings_called(input, "hostingStartupExcludeAssemblies");
  for (const std::string_view entry : split_names(settings[0].value)) {
    const std::string name(entry.substr(0, entry.find(',')));
    const bool is_excluded = std::ranges::any_of(excluded, [&](const Named& list) {
      return std::ranges::any_of(split_names(list.value), [&](auto one) { return equal_in_any_case(one, entry); });
    });
    if (is_excluded || probing::may_find(system, facts.app, input.environment, name)) continue;
    return Finding{.id = Id::hosting_startup_missing,
                   .severity = Severity::warning,
                   .what = fmt::format("{} names the assembly '{}', which is not there: the app runs without what it "
                                       "adds",
                                       quote(settings[0].by), quote(name)),
                   .why =
                       "no assembly of that name is beside the app, in its deps.json, or in a framework; .NET logs "
                       "'Hosting startup assembly exception', and goes on",
                   .did = "",
                   .next = "add the package to the app, or take the name out"};
  }
  return std::nullopt;
}

/// ds-ipc-pal-socket.c: TMPDIR/dotnet-diagnostic-PID-TIME-socket, /tmp without TMPDIR. That /tmp cannot be written to
/// is how read-only containers are meant to be.
std::optional<Finding> no_diagnostics(const system::System& system, const Facts& facts) {
  constexpr std::size_t kLongest = 107;  // sun_path without its NUL (unix(7))
  constexpr std::string_view kShortest = "/dotnet-diagnostic-1-10000-socket";
  const Environment environment = facts.input.environment;
  const auto folder = variable(environment, "TMPDIR");
  if (!folder || is_off(environment, "EnableDiagnostics") || is_off(environment, "EnableDiagnostics_IPC"))
    return std::nullopt;
  std::string why;
  if (const auto allowed = system.writable(*folder); !allowed) {
    why = system::describe(allowed.error().code);
  } else if (folder->size() + kShortest.size() > kLongest) {
    why = fmt::format("the path of the socket would be longer than {} bytes", kLongest);
  } else {
    return std::nullopt;
  }
  return Finding{.id = Id::diagnostics_lost,
                 .severity = Severity::warning,
                 .what = fmt::format("TMPDIR={} cannot hold .NET's diagnostics socket: dotnet-trace, dotnet-dump and "
                                     "other tools will not find the app",
                                     quote(*folder)),
                 .why = std::move(why),
                 .did = "",
                 .next = "set TMPDIR to a folder that the app's user can write to, or unset it"};
}

}  // namespace

std::vector<Finding> check_limits(const system::System& system, const Facts& facts) {
  std::vector<Finding> out;
  const runtime::App& app = facts.app;
  if (!app.is_dotnet() || (app.kind == runtime::Kind::dotnet && app.assembly.empty())) return out;
  for (const auto& finding : {few_open_files(system, facts), small_file_size(system, facts), few_processes(system),
                              little_memory(system, facts)}) {
    if (finding) out.push_back(*finding);
  }
  return out;
}

std::vector<Finding> check(const system::System& system, const Facts& facts) {
  std::vector<Finding> out;
  const auto add = [&out](std::optional<Finding> finding) {
    if (finding) out.push_back(*std::move(finding));
  };
  const runtime::App& app = facts.app;
  const bool starts =
      app.is_dotnet() && !app.assembly_missing && (app.kind == runtime::Kind::apphost || !app.assembly.empty());
  if (!starts) return out;
  if (!app.binds_nothing()) {
    add(no_inotify(system, facts));
    add(no_web_root(system, facts));
  }
  std::ranges::move(check_limits(system, facts), std::back_inserter(out));
  add(no_library(system, facts));
  add(no_icu(system, facts));
  add(no_openssl(system, facts));
  add(no_home(system, facts));
  add(small_heap(facts));
  add(no_profiler(system, facts));
  add(no_hosting_startup(system, facts));
  add(no_diagnostics(system, facts));
  return out;
}

}  // namespace portshim::surroundings
