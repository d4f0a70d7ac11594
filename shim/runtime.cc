#include "shim/runtime.h"

#include <elf.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "shim/ascii.h"
#include "shim/bundle.h"
#include "shim/elf.h"
#include "shim/environment.h"
#include "shim/path.h"

namespace portshim::runtime {
namespace {

bool is_absent(const system::Error& error) {
  return error.code == ENOENT || error.code == ENOTDIR || error.code == ELOOP;
}

bool is_assembly_name(std::string_view word) {
  const std::string name = ascii::lower_case(word);
  return name.ends_with(".dll") || name.ends_with(".exe");
}

/// The path up to the last '.' of its last component.
std::string without_extension(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  const std::size_t slash = path.rfind('/');
  return dot == std::string::npos || (slash != std::string::npos && dot < slash) ? path : path.substr(0, dot);
}

/// Where a link leads to; the path as it is when it is none. The host looks beside the real file (pal::realpath).
std::string follow(const system::System& system, const std::string& path) {
  const auto status = system.status(path, false);
  if (!status || status->type != system::FileType::symlink) return path;
  return system.real_path(path).value_or(path);
}

// --- The host's options (command_line.cpp). ---

struct HostOptions {
  framework::Options framework = {};
  std::string runtimeconfig = {};
  std::string depsfile = {};
  std::size_t end = 0;  ///< index of the first word behind them
};

/// Where the value of an option goes; null for a word that is none. `files`: those about files are allowed.
std::string* value_of(HostOptions& options, std::string& ignored, const std::string& word, bool files) {
  const std::string option = ascii::lower_case(word);
  if (option == "--fx-version") return &options.framework.fx_version;
  if (option == "--roll-forward") return &options.framework.roll_forward;
  if (option == "--roll-forward-on-no-candidate-fx") return &options.framework.roll_forward_on_no_candidate_fx;
  if (option == "--additionalprobingpath" || option == "--additional-deps") return &ignored;
  if (files && option == "--runtimeconfig") return &options.runtimeconfig;
  return files && option == "--depsfile" ? &options.depsfile : nullptr;
}

/// Reads options from `index` on, each followed by its value. The last of a name counts.
HostOptions read_host_options(std::span<const std::string> argv, std::size_t index, bool files) {
  HostOptions options{.end = index};
  std::string ignored;
  while (options.end + 1 < argv.size()) {
    std::string* const value = value_of(options, ignored, argv[options.end], files);
    if (value == nullptr) break;
    *value = argv[options.end + 1];
    options.end += 2;
  }
  return options;
}

// --- The version of ASP.NET Core. ---

const framework::Reference* find_asp_net_core(const std::vector<framework::Reference>& references) {
  const auto found = std::ranges::find(references, framework::kAspNetCore, &framework::Reference::name);
  return found == references.end() ? nullptr : &*found;
}

void resolve(const system::System& system, const framework::RuntimeConfig& config, const framework::Host& host,
             App& app) {
  app.dotnet_root = host.root->directory;
  framework::Resolution resolution = framework::resolve(system, config, host);
  app.missing_framework = std::move(resolution.missing);
  for (framework::Framework& one : resolution.frameworks) {
    if (one.name == framework::kNetCore) {
      app.runtime_directory = app.dotnet_root + "/shared/" + one.name + "/" + one.version;
    }
    if (one.name != framework::kAspNetCore) continue;
    app.asp_net_core = true;
    app.resolved_version = std::move(one.version);
  }
}

void read_frameworks(const system::System& system, const framework::RuntimeConfig& config, const framework::Host& host,
                     App& app) {
  const framework::Reference* asked =
      find_asp_net_core(config.framework_dependent ? config.frameworks : config.included);
  if (asked == nullptr) asked = find_asp_net_core(config.named);
  if (!config.named.empty()) app.asp_net_core = asked != nullptr;
  if (asked != nullptr) app.requested_version = asked->version;
  app.framework_dependent = config.framework_dependent;
  app.runtimeconfig_invalid = !config.valid;
  app.properties = config.properties;
  if (!config.framework_dependent) {
    if (config.valid) app.resolved_version = app.requested_version;
  } else if (host.root) {
    resolve(system, config, host, app);
  } else if (asked != nullptr && asked->highest && asked->range == framework::Range::major) {
    return;  // the newest, whatever that is
  }
  app.major = framework::major_of(app.resolved_version.empty() ? app.requested_version : app.resolved_version);
}

/// Reads the runtimeconfig of the app in the file `assembly`, or the one that the option names.
void read_runtimeconfig(const system::System& system, const std::string& option, const std::string& assembly,
                        const framework::Host& host, App& app) {
  app.runtimeconfig = option.empty() ? without_extension(assembly) + ".runtimeconfig.json" : option;
  // hostfxr replaces the option's extension, whatever it is.
  const std::string path = option.empty() ? app.runtimeconfig : without_extension(follow(system, option)) + ".json";
  const auto config = framework::read(system, path, host);
  if (config) {
    read_frameworks(system, *config, host, app);
  } else {
    app.runtimeconfig_missing = is_absent(config.error());
    if (!app.runtimeconfig_missing) app.runtimeconfig_error = config.error().code;
  }
}

void take_hint(std::span<const std::string> environment, App& app) {
  if (app.major || app.binds_nothing()) return;
  for (const char* name : {"ASPNET_VERSION", "DOTNET_VERSION"}) {
    app.major = framework::major_of(environment::value(environment, name).value_or(""));
    if (app.major) return;
  }
}

/// .NET's own host, which names hostfxr; a script or another program may be called dotnet too.
bool is_host(const system::System& system, const std::string& path) {
  const auto content = elf::Content::open(system, path);
  const auto headers = content ? elf::parse(*content) : std::nullopt;
  return headers && elf::before_marker(*content, *headers, "libhostfxr.so", false, 0);
}

// --- dotnet. ---

/// The apps (NAME.dll with a NAME.runtimeconfig.json) in the folder where `path` should be, sorted, at most five.
std::vector<std::string> assemblies_beside(const system::System& system, const std::string& path) {
  constexpr std::string_view kEnd = ".runtimeconfig.json";
  constexpr std::size_t kMost = 5;
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::vector<std::string> out;
  for (const std::string& name : system.list(folder).value_or(std::vector<std::string>{})) {
    if (name.ends_with(kEnd)) out.push_back(name.substr(0, name.size() - kEnd.size()) + ".dll");
  }
  std::ranges::sort(out);
  out.resize(std::min(out.size(), kMost));
  return out;
}

App classify_dotnet(const system::System& system, std::span<const std::string> argv, const std::string& path,
                    std::span<const std::string> environment) {
  App app{.kind = Kind::dotnet, .assembly = {}, .first_argument = argv.size(), .asp_net_core = {}, .major = {}};
  const bool exec = argv.size() > 1 && ascii::lower_case(argv[1]) == "exec";
  const HostOptions options = read_host_options(argv, exec ? 2 : 1, exec);
  if (options.end >= argv.size() || !is_assembly_name(argv[options.end])) {
    const std::string_view command = options.end < argv.size() ? std::string_view(argv[options.end]) : "";
    if (command == "run" || command == "watch") {
      app.kind = Kind::other;
    } else {
      app.asp_net_core = false;
    }
    return app;
  }
  app.assembly = argv[options.end];
  app.first_argument = options.end + 1;
  const std::string file = follow(system, app.assembly);
  app.application = without_extension(std::string(path::last_component(file)));
  if (const auto status = system.status(app.assembly); !status) {
    app.assembly_missing = is_absent(status.error());
    app.assemblies_there = assemblies_beside(system, app.assembly);
    return app;
  }
  if (const auto real = system.real_path(app.assembly)) app.base_directory = path::folder_of(*real);

  framework::Host host{.options = options.framework, .environment = environment};
  if (const auto muxer = system.real_path(path)) {
    host.root = framework::root_in(system, path::folder_of(*muxer));
    app.hostfxr_missing = !host.root && is_host(system, *muxer);
  }
  app.host_options = options.framework;
  app.deps_json = options.depsfile.empty() ? without_extension(file) + ".deps.json" : options.depsfile;
  read_runtimeconfig(system, options.runtimeconfig, file, host, app);
  return app;
}

// --- Apphosts. ---

/// Whether the publisher chose where this apphost looks for .NET, which .NET 9 made possible: a byte of options and a
/// path take the place of a hash then (apphost/standalone/hostfxr_resolver.cpp).
bool has_search_options(const elf::Content& content, const elf::Headers& headers) {
  using namespace std::string_view_literals;
  constexpr std::string_view kHalf = "19ff3e9c3602ae8e841925bb461a0adb\0"sv;
  constexpr std::string_view kHash = "19ff3e9c3602ae8e841925bb461a0adb064a1f1903667a5e0d87e8f608f425ac";
  if (!elf::before_marker(content, headers, kHalf, false, 0)) return false;
  return elf::before_marker(content, headers, kHash, true, 2) != std::string(2, '\0');
}

/// The app's dll as building it wrote into its executable, a path from the folder of that; nothing where it is not
/// found, as in what is no such executable. It takes the place of a hash, in a field of 1024 bytes
/// (apphost/apphost.cpp, HostWriter.cs).
std::optional<std::string> embedded_assembly(const elf::Content& content, const elf::Headers& headers) {
  using namespace std::string_view_literals;
  constexpr std::string_view kEnd = ".dll\0\0\0\0\0\0\0\0"sv;
  constexpr std::size_t kLongest = 200;
  if (!bundle::is_host_of_apps(content, headers)) return std::nullopt;
  const auto before = elf::before_marker(content, headers, kEnd, true, kLongest);
  const std::size_t begin = before ? before->rfind('\0') : std::string::npos;
  if (begin == std::string::npos || begin + 1 == before->size()) return std::nullopt;
  return before->substr(begin + 1) + ".dll";
}

/// Whether framework::root_of_apphost knows where apphosts for this machine look.
bool has_installer_places(std::uint16_t machine) {
  return machine == EM_X86_64 || machine == EM_AARCH64;
}

/// What is no assembly and no file of the host's own is written to disk (file_entry.cpp, needs_extraction).
bool holds_files_to_extract(const elf::Content& content, const bundle::Header& header) {
  const auto files = bundle::files(content, header);
  return files && std::ranges::any_of(*files, [](const bundle::File& file) {
           using enum bundle::Type;
           return file.type != assembly && file.type != deps_json && file.type != runtimeconfig_json;
         });
}

/// What the header of a single file says of the app.
void read_single_file(const system::System& system, const elf::Content& content, std::uint64_t header,
                      const std::string& path, const framework::Host& host, App& app) {
  const auto whole = system.status(path);
  app.is_cut_off = whole && bundle::is_cut_off(content, header, whole->size);
  const bundle::Header bundle = bundle::read_header(content, header);
  if (bundle.is_extracted) app.base_directory.clear();
  app.is_extracted = bundle.is_extracted || holds_files_to_extract(content, bundle);
  if (bundle.runtimeconfig) read_frameworks(system, framework::parse(*bundle.runtimeconfig, "", host), host, app);
}

/// True where the file ends before what is to be loaded of it.
bool is_program_cut_off(const elf::Headers& headers, std::uint64_t size) {
  return size != 0 && std::ranges::any_of(headers.segments, [size](const elf::Segment& segment) {
           return segment.type == PT_LOAD && (segment.offset > size || segment.size > size - segment.offset);
         });
}

App other(std::span<const std::string> argv) {
  return {.kind = Kind::other, .assembly = {}, .first_argument = argv.size(), .asp_net_core = {}, .major = {}};
}

std::optional<App> classify_apphost(const system::System& system, std::span<const std::string> argv,
                                    const std::string& path, std::span<const std::string> environment) {
  if (path.empty()) return std::nullopt;
  const auto content = elf::Content::open(system, path);
  const auto headers = content ? elf::parse(*content) : std::nullopt;
  if (!headers) return std::nullopt;
  // The host looks beside its real file, not beside a link to it.
  const std::string real = system.real_path(path).value_or(path);
  const auto whole = system.status(real);
  if (whole && is_program_cut_off(*headers, whole->size)) {
    App app = other(argv);
    app.is_cut_off = true;
    return app;
  }
  // Where the executable was renamed, its dll keeps its name.
  std::string assembly = real + ".dll";
  auto found = system.status(assembly);
  const auto header = found ? std::nullopt : bundle::header_offset(*content, *headers);
  if (!found && !header) {
    const auto embedded = embedded_assembly(*content, *headers);
    if (!embedded) return std::nullopt;
    assembly = path::folder_of(real) + "/" + *embedded;
    found = system.status(assembly);
  }

  const HostOptions options = read_host_options(argv, 1, true);
  App app{.kind = Kind::apphost, .assembly = {}, .first_argument = options.end, .asp_net_core = {}, .major = {}};
  app.application =
      header ? path::last_component(real) : without_extension(std::string(path::last_component(assembly)));
  app.base_directory = path::folder_of(real);
  app.host_options = options.framework;
  if (!found && !header) {
    app.assembly = std::move(assembly);
    app.assembly_missing = is_absent(found.error());
    return app;
  }
  framework::Host host{.options = options.framework, .environment = environment};
  const bool searches = !has_search_options(*content, *headers);
  if (searches) host.root = framework::root_of_apphost(system, app.base_directory, headers->machine, environment);
  const bool alone = searches && !host.root && has_installer_places(headers->machine) &&
                     !system.status(app.base_directory + "/libhostfxr.so");
  if (found) {
    app.assembly = std::move(assembly);
    app.deps_json = options.depsfile.empty() ? without_extension(app.assembly) + ".deps.json" : options.depsfile;
    read_runtimeconfig(system, options.runtimeconfig, app.assembly, host, app);
    app.hostfxr_missing = alone && is_host(system, real);
    return app;
  }
  read_single_file(system, *content, header.value_or(0), real, host, app);
  // Where .NET is in the file too, hostfxr is linked into it.
  app.hostfxr_missing = alone && app.framework_dependent;
  return app;
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::dotnet:
      return "dotnet";
    case Kind::apphost:
      return "apphost";
    case Kind::other:
      return "other";
  }
  return "";
}

App classify(const system::System& system, std::span<const std::string> argv, const std::string& path,
             std::span<const std::string> environment) {
  std::optional<App> app;
  if (path::last_component(argv[0]) == "dotnet" || path::last_component(path) == "dotnet") {
    app = classify_dotnet(system, argv, path, environment);
  } else {
    app = classify_apphost(system, argv, path, environment);
  }
  if (!app) return other(argv);
  if (app->is_dotnet()) take_hint(environment, *app);
  return *std::move(app);
}

std::vector<int> plausible_majors(const App& app) {
  if (app.major) return {*app.major};
  return {8, 9, 10};
}

}  // namespace portshim::runtime
