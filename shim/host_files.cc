#include "shim/host_files.h"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "shim/ascii.h"
#include "shim/bytes.h"
#include "shim/directories.h"
#include "shim/environment.h"
#include "shim/framework.h"
#include "shim/host_json.h"
#include "shim/path.h"
#include "shim/probing.h"

namespace portshim::host_files {
namespace {

using finding::Finding;
using finding::Id;
using finding::quote;
using finding::Severity;
using Environment = std::span<const std::string>;

/// What opening a file like this says about the app's user, and what to do about it.
std::string remedy_for(int error) {
  return error == EACCES || error == EPERM ? "let the app's user read it (chmod a+r where the image is built)"
                                           : "put the file that dotnet publish made in its place";
}

/// A variable as the host reads it: an empty one is none.
std::optional<std::string> variable(Environment environment, std::string_view name) {
  const auto value = environment::value(environment, name);
  if (!value || value->empty()) return std::nullopt;
  return std::string(*value);
}

/// What is wrong, and what to do about it.
struct Problem {
  std::string text;
  std::string remedy;
  bool waits = false;        ///< opening the file never ends
  bool unreachable = false;  ///< a folder on the way may not be entered
};

/// "the host ends with exit code 147", or what else comes of it.
std::string end_of(const Problem& problem, std::string_view who, std::string_view code) {
  return problem.waits ? fmt::format("the {} waits for ever", who)
                       : fmt::format("the {} ends with exit code {}", who, code);
}

/// "line 3, column 14", from 1, of an offset in bytes.
std::string position_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t line = before.rfind('\n');
  return fmt::format("line {}, column {}", std::ranges::count(before, '\n') + 1,
                     before.size() - (line == std::string_view::npos ? 0 : line + 1) + 1);
}

/// Why the host's JSON reader refuses a text; `document` is what it reads otherwise.
std::optional<Problem> parse_problem(std::string_view text, rapidjson::Document& document) {
  if (text.empty()) return Problem{.text = "it is empty", .remedy = remedy_for(0)};
  if (host_json::parse(text, document)) return std::nullopt;
  if (!document.HasParseError()) return Problem{.text = "it is no JSON object", .remedy = remedy_for(0)};
  return Problem{.text = fmt::format("{} ({})", rapidjson::GetParseError_En(document.GetParseError()),
                                     position_of(text, document.GetErrorOffset())),
                 .remedy = "correct the file, or put the one that dotnet publish made in its place"};
}

/// What is certain about a file that could not be read. The host opens whatever is there: a FIFO keeps it waiting.
std::optional<Problem> read_problem(const system::System& system, const std::string& path, int error) {
  if (error == EFBIG || error == ENOENT || error == ENOTDIR || error == ELOOP) return std::nullopt;
  const auto status = system.status(path);
  if (error == EINVAL && status && status->type == system::FileType::fifo) {
    return Problem{.text = "it is a FIFO, which waits for a writer", .remedy = remedy_for(error), .waits = true};
  }
  const std::string closed = error == EACCES ? directories::closed_directory(system, path) : "";
  if (!closed.empty()) {
    const std::string folder = closed == "." ? system.current_directory().value_or(closed) : closed;
    return Problem{
        .text = fmt::format("uid {} may not enter the folder '{}'", system.ids().effective_uid, quote(folder)),
        .remedy = fmt::format("let the app's user enter it (chmod a+rx {} where the image is built, or chown)",
                              quote(folder)),
        .unreachable = true};
  }
  return Problem{.text = error == EINVAL ? "it is no regular file" : system::describe(error),
                 .remedy = remedy_for(error)};
}

// --- hostfxr. ---

bool is_directory(const system::System& system, const std::string& path) {
  const auto status = system.status(path);
  return status && status->type == system::FileType::directory;
}

std::optional<Finding> missing_hostfxr(const runtime::App& app, const std::string& path) {
  if (!app.hostfxr_missing) return std::nullopt;
  const bool muxer = app.kind == runtime::Kind::dotnet;
  return Finding{
      .id = Id::hostfxr_missing,
      .severity = Severity::error,
      .what = fmt::format("no .NET runtime is installed for '{}': it ends with exit code 131", quote(path)),
      .why = muxer ? "there is no version of hostfxr in the folder host/fxr beside it"
                   : "an apphost looks for it in DOTNET_ROOT, in the folder that /etc/dotnet/install_location names, "
                     "and in /usr/share/dotnet",
      .did = "",
      .next = muxer ? "use a base image with the ASP.NET Core runtime, or copy the whole folder of dotnet"
                    : "use a base image with the ASP.NET Core runtime (aspnet, not runtime-deps), set DOTNET_ROOT, or "
                      "publish self-contained"};
}

/// A file of the runtime, and the exit code without it: of hostfxr, hostpolicy, or coreclr.
struct RuntimeFile {
  std::string_view name;
  int code;
  int since = 0;             ///< the first major version of which that is known
  bool may_be_mono = false;  ///< an app may bring Mono along in place of coreclr, which does without
};
constexpr std::array kRuntimeFiles{
    RuntimeFile{"libhostpolicy.so", 131}, RuntimeFile{"libcoreclr.so", 135}, RuntimeFile{"libclrjit.so", 134, 8, true},
    RuntimeFile{"libSystem.Native.so", 137, 8}, RuntimeFile{"System.Private.CoreLib.dll", 137, 8}};

/// The folder where the runtime is looked for: the app's own, or its framework's. Empty: not known.
std::string runtime_folder(const runtime::App& app) {
  const bool is_known = !app.assembly.empty() && app.properties && !app.runtimeconfig_invalid;
  if (!is_known) return {};
  return app.framework_dependent ? app.runtime_directory : app.base_directory;
}

std::optional<Finding> missing_library(const system::System& system, const runtime::App& app) {
  const std::string folder = runtime_folder(app);
  if (folder.empty()) return std::nullopt;
  for (const auto& [name, code, since, may_be_mono] : kRuntimeFiles) {
    if (app.major.value_or(0) < since || (may_be_mono && !app.framework_dependent)) continue;
    const auto status = system.status(path::join(folder, std::string(name)));
    if (status || status.error().code != ENOENT) continue;
    return Finding{
        .id = Id::runtime_incomplete,
        .severity = Severity::error,
        .what = fmt::format("'{}' is missing in '{}': the app ends with exit code {}", name, quote(folder), code),
        .why = app.framework_dependent
                   ? "dotnet runs the app with this version of .NET, which was not copied whole"
                   : fmt::format("'{}' names no framework to use, so the app has to bring .NET along",
                                 quote(app.runtimeconfig)),
        .did = "",
        .next =
            app.framework_dependent
                ? "copy the whole folder of dotnet into the image, or use a base image with the ASP.NET Core runtime"
                : "copy the whole publish folder into the image; an app that is not self-contained needs the "
                  "runtimeconfig.json that dotnet publish made"};
  }
  return std::nullopt;
}

// --- dotnet NAME. ---

/// Options, and the SDK's commands: whoever writes one of these means no app.
bool is_command(std::string_view word) {
  constexpr std::array kCommands = {"add",          "build",     "build-server", "clean",   "completions", "dev-certs",
                                    "ef",           "exec",      "format",       "fsi",     "help",        "list",
                                    "msbuild",      "new",       "nuget",        "pack",    "package",     "project",
                                    "publish",      "reference", "remove",       "restore", "run",         "sdk",
                                    "sln",          "solution",  "store",        "test",    "tool",        "user-jwts",
                                    "user-secrets", "vstest",    "watch",        "workload"};
  return word.empty() || word.starts_with('-') || std::ranges::find(kCommands, word) != kCommands.end();
}

/// A global.json in the working directory or above it, which can name SDKs elsewhere.
bool has_global_json(const system::System& system) {
  auto folder = system.current_directory();
  if (!folder) return false;
  for (;; *folder = path::folder_of(*folder)) {
    if (system.status(*folder + "/global.json")) return true;
    if (*folder == "/" || !folder->starts_with('/')) return false;
  }
}

bool has_sdk(const system::System& system, const std::string& root) {
  const auto names = system.list(root + "/sdk");
  if (!names) return names.error().code != ENOENT;
  return std::ranges::any_of(*names, [&](const std::string& name) {
    return framework::parse_version(name) && is_directory(system, root + "/sdk/" + name);
  });
}

/// "NAME.dll", where that is an app.
std::optional<std::string> app_called(const system::System& system, const std::string& name) {
  const bool is_app = system.status(name + ".dll") && system.status(name + ".runtimeconfig.json");
  return is_app ? std::optional(name + ".dll") : std::nullopt;
}

Finding dotnet_alone() {
  return {.id = Id::no_app_named,
          .severity = Severity::error,
          .what = "'dotnet' is given no app to start: it ends with exit code 129",
          .why =
              "without an argument it says how it is used, and ends; where a container or Pod is given a command of "
              "its own, CMD is left out",
          .did = "",
          .next = "name the app's dll: dotnet App.dll"};
}

std::optional<Finding> no_app_named(const system::System& system, const runtime::App& app,
                                    std::span<const std::string> argv, const std::string& path) {
  if (app.kind != runtime::Kind::dotnet || !app.assembly.empty()) return std::nullopt;
  const auto muxer = system.real_path(path);
  const auto root = muxer ? framework::root_in(system, path::folder_of(*muxer)) : std::nullopt;
  if (!root) return std::nullopt;
  if (argv.size() < 2) return dotnet_alone();
  const std::string& word = argv[1];
  if (is_command(word)) return std::nullopt;
  const auto meant = app_called(system, word);
  const std::string next = meant ? fmt::format("write dotnet {}", quote(*meant))
                                 : "name the app's dll: dotnet App.dll; SDK commands need an image with the SDK";
  if (!has_sdk(system, root->directory) && !has_global_json(system)) {
    return Finding{
        .id = Id::no_app_named,
        .severity = Severity::error,
        .what = fmt::format("'dotnet {}' starts no app: it ends with exit code 155", quote(word)),
        .why = fmt::format("without '.dll' at its end the word is an SDK command, and there is no SDK in '{}'",
                           quote(root->directory)),
        .did = "",
        .next = next};
  }
  if (!meant) return std::nullopt;
  return Finding{.id = Id::no_app_named,
                 .severity = Severity::warning,
                 .what = fmt::format("'dotnet {}' starts the SDK, not '{}'", quote(word), quote(*meant)),
                 .why = "without '.dll' at its end the word is an SDK command",
                 .did = "",
                 .next = next};
}

// --- runtimeconfig.json. ---

/// A roll-forward policy that is none, as it is set.
std::optional<Finding> invalid_policy(const runtime::App& app, Environment environment) {
  const std::string& option = app.host_options.roll_forward;
  const auto set = variable(environment, "DOTNET_ROLL_FORWARD");
  std::string setting;
  int code = 129;
  if (!option.empty() && !framework::is_policy(option)) {
    setting = fmt::format("--roll-forward {}", quote(option));
  } else if (!option.empty() && !app.host_options.roll_forward_on_no_candidate_fx.empty()) {
    setting = "--roll-forward together with --roll-forward-on-no-candidate-fx";
  } else if (set && !framework::is_policy(*set)) {
    setting = fmt::format("DOTNET_ROLL_FORWARD={}", quote(*set));
    code = 147;
  } else {
    return std::nullopt;
  }
  return Finding{.id = Id::roll_forward,
                 .severity = Severity::error,
                 .what = fmt::format("{} is not valid: the host ends with exit code {}", setting, code),
                 .why = "it knows Disable, LatestPatch, Minor, LatestMinor, Major and LatestMajor, one at a time",
                 .did = "",
                 .next = "set one of these, or none"};
}

std::optional<Finding> bad_runtimeconfig(const system::System& system, const runtime::App& app,
                                         Environment environment) {
  std::optional<Problem> problem;
  if (app.runtimeconfig_error != 0) {
    problem = read_problem(system, app.runtimeconfig, app.runtimeconfig_error);
  } else if (app.runtimeconfig_invalid) {
    if (auto policy = invalid_policy(app, environment)) return policy;
    rapidjson::Document document;
    problem = parse_problem(system.read_file(app.runtimeconfig).value_or("{}"), document);
    if (!problem) {
      problem = Problem{.text =
                            "a value in \"runtimeOptions\" is missing or not valid (name and version of a "
                            "framework, a roll-forward setting)",
                        .remedy = "correct the file, or put the one that dotnet publish made in its place"};
    }
  }
  if (!problem) return std::nullopt;
  const std::string name = app.runtimeconfig.empty() ? "runtimeconfig.json in the app's file" : app.runtimeconfig;
  return Finding{.id = Id::runtimeconfig_invalid,
                 .severity = Severity::error,
                 .what = fmt::format("'{}' is not usable: {}", quote(name), end_of(*problem, "host", "147")),
                 .why = problem->text,
                 .did = "",
                 .next = problem->remedy};
}

// --- deps.json. ---

/// The host takes text that is not there for the name of the target, and std::logic_error ends it (deps_format.cpp).
bool has_target(const rapidjson::Document& document) {
  const auto target = document.FindMember("runtimeTarget");
  if (target == document.MemberEnd()) return false;
  if (target->value.IsString()) return true;
  if (!target->value.IsObject()) return false;
  const auto name = target->value.FindMember("name");
  return name != target->value.MemberEnd() && name->value.IsString();
}

std::optional<Finding> bad_deps_json(const system::System& system, const runtime::App& app) {
  if (app.deps_json.empty() || app.runtimeconfig_missing) return std::nullopt;
  const auto text = system.read_file(app.deps_json);
  std::optional<Problem> problem;
  std::string code = "139, which is no segmentation fault";
  if (!text) {
    problem = read_problem(system, app.deps_json, text.error().code);
  } else {
    rapidjson::Document document;
    problem = parse_problem(*text, document);
    if (!problem && !has_target(document)) {
      problem = Problem{.text = "\"runtimeTarget\" with a \"name\" is missing", .remedy = remedy_for(0)};
      code = "134";
    }
  }
  if (!problem) return std::nullopt;
  return Finding{.id = Id::deps_json,
                 .severity = Severity::error,
                 .what = fmt::format("'{}' is not usable: {}", quote(app.deps_json), end_of(*problem, "host", code)),
                 .why = problem->text + "; only a file that is not there at all does no harm",
                 .did = "",
                 .next = problem->remedy};
}

/// Files that DOTNET_ADDITIONAL_DEPS names are read in the same way; folders, and what is not there, do no harm.
std::optional<Finding> bad_additional_deps(const system::System& system, const runtime::App& app,
                                           Environment environment) {
  const std::string list = variable(environment, "DOTNET_ADDITIONAL_DEPS").value_or("");
  if (!app.framework_dependent) return std::nullopt;
  for (std::string_view rest = list; !rest.empty();) {
    const std::string path(rest.substr(0, rest.find(':')));
    rest.remove_prefix(std::min(path.size() + 1, rest.size()));
    // What has another name is taken for a folder (deps_resolver.cpp).
    const auto status = system.status(path);
    if (!path.ends_with(".deps.json") || !status || status->type != system::FileType::regular) continue;
    const auto text = system.read_file(path);
    rapidjson::Document document;
    const auto problem = text ? parse_problem(*text, document) : read_problem(system, path, text.error().code);
    if (!problem) continue;
    return Finding{.id = Id::deps_json,
                   .severity = Severity::error,
                   .what = fmt::format("DOTNET_ADDITIONAL_DEPS names '{}', which is not usable: {}", quote(path),
                                       end_of(*problem, "host", "139, which is no segmentation fault")),
                   .why = problem->text,
                   .did = "",
                   .next = "correct the file, or unset the variable"};
  }
  return std::nullopt;
}

// --- The assembly. ---

/// Why the runtime does not take a file for a managed assembly; empty: it may be one. Only what its headers say for
/// certain (pedecoder.cpp): a PE file as long as its sections, with a CLI header.
std::string image_problem(std::string_view head, std::uint64_t size) {
  constexpr std::size_t kLfanew = 0x3C;
  constexpr std::size_t kFileHeader = 24;  // signature and COFF header
  constexpr std::size_t kSection = 40;
  constexpr std::uint16_t kPe32Plus = 0x20B;
  constexpr const char* kNoAssembly = "it is no .NET assembly: those have the headers of a Windows PE file";
  if (head.empty()) return "it is empty";
  if (!head.starts_with("MZ")) return kNoAssembly;
  const auto pe = bytes::load<std::uint32_t>(head, kLfanew);
  if (!pe) return "it ends in its headers";
  if (*pe > head.size()) return *pe > size ? "it ends in its headers" : "";
  if (head.substr(*pe, 4) != std::string_view("PE\0\0", 4)) return kNoAssembly;
  const auto count = bytes::load<std::uint16_t>(head, *pe + 6);
  const auto optional_size = bytes::load<std::uint16_t>(head, *pe + 20);
  const auto magic = bytes::load<std::uint16_t>(head, *pe + kFileHeader);
  const std::size_t directories = *pe + kFileHeader + (magic == kPe32Plus ? 112 : 96);
  const auto cli = bytes::load<std::uint32_t>(head, directories + (std::size_t{14} * 8));
  if (!count || !optional_size || !cli) return head.size() == size ? "it ends in its headers" : "";
  if (*cli == 0) return "it has no managed code";
  for (std::size_t i = 0; i < *count; ++i) {
    const std::size_t at = *pe + kFileHeader + *optional_size + (i * kSection);
    const auto length = bytes::load<std::uint32_t>(head, at + 16);
    const auto offset = bytes::load<std::uint32_t>(head, at + 20);
    if (!length || !offset) return head.size() == size ? "it ends in its headers" : "";
    if (std::uint64_t{*offset} + *length > size) {
      return fmt::format("it is cut off: {} bytes of at least {}", size, std::uint64_t{*offset} + *length);
    }
  }
  return {};
}

/// Why an assembly cannot be loaded.
std::optional<Problem> assembly_problem(const system::System& system, const std::string& path) {
  constexpr std::size_t kHeaders = 4096;
  const auto head = system.read_part(path, 0, kHeaders);
  if (!head) return read_problem(system, path, head.error().code);
  const auto status = system.status(path);
  std::string text = status ? image_problem(*head, status->size) : "";
  if (text.empty()) return std::nullopt;
  return Problem{.text = std::move(text), .remedy = "copy the file again, as dotnet publish made it"};
}

std::optional<Finding> bad_assembly(const system::System& system, const runtime::App& app) {
  if (app.assembly.empty() || app.assembly_missing) return std::nullopt;
  const auto problem = assembly_problem(system, app.assembly);
  if (!problem) return std::nullopt;
  return Finding{.id = Id::assembly_unusable,
                 .severity = Severity::error,
                 .what = fmt::format("'{}' cannot be loaded: {}", quote(app.assembly),
                                     end_of(*problem, "app", problem->unreachable ? "1" : "134")),
                 .why = problem->text,
                 .did = "",
                 .next = problem->remedy};
}

// --- Startup hooks. ---

bool ends_with_dll(std::string_view text) {
  constexpr std::string_view kEnd = ".dll";
  return text.size() >= kEnd.size() && ascii::equal_in_any_case(text.substr(text.size() - kEnd.size()), kEnd);
}

/// What is wrong with one entry (StartupHookProvider.cs); a name without a path is looked for in ways of its own.
std::optional<Problem> hook_problem(const system::System& system, const std::string& hook) {
  if (!hook.starts_with('/')) {
    if (hook.find_first_of("/ ,") == std::string::npos && !ends_with_dll(hook)) return std::nullopt;
    return Problem{.text = "an entry is an absolute path, or the name of an assembly without path and '.dll'",
                   .remedy = "write the whole path"};
  }
  if (const auto status = system.status(hook); !status) {
    return Problem{.text = system::describe(status.error().code),
                   .remedy = "put the file there, or unset the variable"};
  }
  return assembly_problem(system, hook);
}

std::optional<Finding> bad_startup_hook(const system::System& system, const runtime::App& app,
                                        Environment environment) {
  const auto list = variable(environment, "DOTNET_STARTUP_HOOKS");
  if (!list || !app.properties) return std::nullopt;
  const auto supported = app.properties->find("System.StartupHookProvider.IsSupported");
  if (supported != app.properties->end() && supported->second != "true") return std::nullopt;
  bool is_first = true;
  for (std::string_view rest = *list; !rest.empty();) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string hook(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (hook.empty()) continue;
    auto problem = hook_problem(system, hook);
    if (!problem && is_first && !hook.starts_with('/') && !probing::may_find(system, app, environment, hook)) {
      problem = Problem{.text = "no assembly of that name is beside the app, in its deps.json, or in a framework",
                        .remedy = "write the whole path of the hook's dll, or unset the variable"};
    }
    // What one hook does may help those behind it.
    is_first = false;
    if (!problem) continue;
    return Finding{
        .id = Id::startup_hook,
        .severity = Severity::error,
        .what = fmt::format("DOTNET_STARTUP_HOOKS names '{}', which cannot be loaded: the app ends with exit "
                            "code 134",
                            quote(hook)),
        .why = problem->text,
        .did = "",
        .next = problem->remedy};
  }
  return std::nullopt;
}

// --- Single files. ---

std::optional<Finding> cut_off_file(const runtime::App& app, const std::string& path) {
  if (!app.is_cut_off) return std::nullopt;
  return Finding{.id = Id::cut_off,
                 .severity = Severity::error,
                 .what = fmt::format("'{}' is cut off: it {} at start", quote(path),
                                     app.is_dotnet() ? "ends with exit code 159, or crashes," : "crashes"),
                 .why = "the file ends before all that its headers say it holds",
                 .did = "",
                 .next = "copy the file again; a copy may have been interrupted, or have run out of space"};
}

bool is_usable_directory(const system::System& system, const std::string& path) {
  return is_directory(system, path) && system.readable(path) && system.writable(path);
}

/// Why nothing can be extracted (bundle/extractor.cpp, pal.unix.cpp get_default_bundle_extraction_base_dir), with the
/// exit code.
std::optional<std::pair<std::string, int>> extraction_problem(const system::System& system, const runtime::App& app,
                                                              Environment environment) {
  if (const auto base = variable(environment, "DOTNET_BUNDLE_EXTRACT_BASE_DIR")) {
    // A folder of the app's own, which an earlier start may have made.
    const int error = directories::make_error(system, *base + "/" + app.application);
    if (error == 0) return std::nullopt;
    return std::pair(
        fmt::format("DOTNET_BUNDLE_EXTRACT_BASE_DIR={} cannot be made: {}", quote(*base), system::describe(error)),
        160);
  }
  constexpr int kNoPlace = 159;
  const auto home = variable(environment, "HOME");
  const std::string directory = home ? *home : directories::home_of(system, system.ids().uid);
  if (directory.empty()) {
    return std::pair(std::string("HOME is not set, and /etc/passwd has no home for this user"), kNoPlace);
  }
  const std::string cache = directory + (directory.ends_with('/') ? ".net" : "/.net");
  if (is_usable_directory(system, directory) && (is_usable_directory(system, cache) || !system.status(cache))) {
    return std::nullopt;
  }
  return std::pair(fmt::format("{} '{}' is no directory that this user can write to", home ? "HOME" : "the user's home",
                               quote(directory)),
                   kNoPlace);
}

std::optional<Finding> no_extraction(const system::System& system, const runtime::App& app, const std::string& path,
                                     Environment environment) {
  if (!app.is_extracted) return std::nullopt;
  const auto problem = extraction_problem(system, app, environment);
  if (!problem) return std::nullopt;
  return Finding{.id = Id::extraction,
                 .severity = Severity::error,
                 .what = fmt::format("'{}' cannot extract the files that it holds: it ends with exit code {}",
                                     quote(path), problem->second),
                 .why = problem->first,
                 .did = "",
                 .next =
                     "set DOTNET_BUNDLE_EXTRACT_BASE_DIR to a folder that the app's user can write to, or publish "
                     "without IncludeNativeLibrariesForSelfExtract and IncludeAllContentForSelfExtract"};
}

}  // namespace

std::vector<Finding> check(const system::System& system, const runtime::App& app, std::span<const std::string> argv,
                           const std::string& path, std::span<const std::string> environment) {
  std::vector<Finding> out;
  const auto add = [&out](std::optional<Finding> finding) {
    if (finding) out.push_back(*std::move(finding));
  };
  if (path.empty()) return out;
  add(cut_off_file(app, path));
  if (!app.is_dotnet()) return out;
  add(no_app_named(system, app, argv, path));
  if (app.assembly_missing || (app.kind == runtime::Kind::dotnet && app.assembly.empty())) return out;
  add(missing_hostfxr(app, path));
  add(missing_library(system, app));
  add(bad_runtimeconfig(system, app, environment));
  add(bad_deps_json(system, app));
  add(bad_additional_deps(system, app, environment));
  add(bad_assembly(system, app));
  add(bad_startup_hook(system, app, environment));
  add(no_extraction(system, app, path, environment));
  return out;
}

}  // namespace portshim::host_files
