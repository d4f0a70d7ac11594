#include "shim/runtime.h"

#include <elf.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "shim/elf.h"
#include "shim/path.h"

namespace portshim::runtime {
namespace {

constexpr std::string_view kFramework = "Microsoft.AspNetCore.App";

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

/// hostfxr's host options, each followed by a value (command_line.cpp).
bool is_host_option(std::string_view word, bool exec) {
  static constexpr std::array<std::string_view, 5> kAlways = {"--additionalprobingpath", "--fx-version",
                                                              "--roll-forward", "--additional-deps",
                                                              "--roll-forward-on-no-candidate-fx"};
  const std::string option = lower(word);
  if (std::ranges::find(kAlways, option) != kAlways.end()) return true;
  return exec && (option == "--depsfile" || option == "--runtimeconfig");
}

bool is_assembly_name(std::string_view word) {
  const std::string name = lower(word);
  return name.ends_with(".dll") || name.ends_with(".exe");
}

/// Skips host options from `index` on. `runtimeconfig` receives the value of --runtimeconfig.
std::size_t skip_host_options(std::span<const std::string> argv, std::size_t index, bool exec,
                              std::string& runtimeconfig) {
  while (index + 1 < argv.size() && is_host_option(argv[index], exec)) {
    if (lower(argv[index]) == "--runtimeconfig") runtimeconfig = argv[index + 1];
    index += 2;
  }
  return index;
}

std::string without_extension(const std::string& path) {
  return path.substr(0, path.rfind('.'));
}

/// "10.0.0" is 10.
std::optional<int> major_of(const rapidjson::Value& framework) {
  if (!framework.HasMember("version") || !framework["version"].IsString()) return std::nullopt;
  const std::string_view text = framework["version"].GetString();
  int major = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), major);
  return error == std::errc() && major > 0 ? std::optional(major) : std::nullopt;
}

bool allows_other_major(const rapidjson::Value& options) {
  if (!options.HasMember("rollForward") || !options["rollForward"].IsString()) return false;
  return lower(options["rollForward"].GetString()).ends_with("major");
}

void read_framework(const rapidjson::Value& framework, App& app) {
  if (!framework.IsObject() || !framework.HasMember("name") || !framework["name"].IsString()) return;
  if (framework["name"].GetString() != kFramework) return;
  app.asp_net_core = true;
  app.major = major_of(framework);
}

void read_runtimeconfig(const system::System& system, App& app) {
  const auto text = system.read_file(app.runtimeconfig);
  if (!text) {
    app.runtimeconfig_missing = text.error().code == ENOENT || text.error().code == ENOTDIR;
    return;
  }
  rapidjson::Document document;
  // As hostfxr parses it: comments are fine (json_parser.cpp). Iterative: a deep file must not exhaust the stack.
  document.Parse<rapidjson::kParseCommentsFlag | rapidjson::kParseIterativeFlag>(text->data(), text->size());
  if (document.HasParseError() || !document.IsObject() || !document.HasMember("runtimeOptions")) return;
  const auto& options = document["runtimeOptions"];
  if (!options.IsObject()) return;
  bool named = false;
  if (options.HasMember("framework")) {
    named = true;
    read_framework(options["framework"], app);
  }
  for (const char* list : {"frameworks", "includedFrameworks"}) {
    if (!options.HasMember(list) || !options[list].IsArray()) continue;
    named = true;
    for (const auto& framework : options[list].GetArray()) read_framework(framework, app);
  }
  if (named && !app.asp_net_core) app.asp_net_core = false;
  if (allows_other_major(options)) app.major.reset();
}

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

App classify_dotnet(const system::System& system, std::span<const std::string> argv) {
  App app{.kind = Kind::dotnet, .assembly = {}, .first_argument = argv.size(), .asp_net_core = {}, .major = {}};
  const bool exec = argv.size() > 1 && lower(argv[1]) == "exec";
  const std::size_t index = skip_host_options(argv, exec ? 2 : 1, exec, app.runtimeconfig);
  if (index >= argv.size() || !is_assembly_name(argv[index])) {
    const std::string_view command = index < argv.size() ? std::string_view(argv[index]) : "";
    if (command == "run" || command == "watch") {
      app.kind = Kind::other;
    } else {
      app.asp_net_core = false;
    }
    return app;
  }
  app.assembly = argv[index];
  app.first_argument = index + 1;
  if (const auto status = system.status(app.assembly); !status) {
    app.assembly_missing = status.error().code == ENOENT || status.error().code == ENOTDIR;
    app.assemblies_there = assemblies_beside(system, app.assembly);
    return app;
  }
  if (app.runtimeconfig.empty()) app.runtimeconfig = without_extension(app.assembly) + ".runtimeconfig.json";
  read_runtimeconfig(system, app);
  return app;
}

/// What `dotnet build` writes into an apphost where single-file publishing puts the bundle header's offset: the
/// SHA-256 of ".net core bundle" (bundle_marker.cpp). The eight bytes before it are 0 unless the file is a bundle.
constexpr std::array<unsigned char, 32> kBundleMarker = {
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32,
    0x13, 0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae};

/// The marker is in the writable data of the host, before the bundled files.
bool is_bundle(const elf::Content& content, const elf::Headers& headers) {
  constexpr std::uint64_t kMostRead = std::uint64_t{16} << 20U;
  const std::string_view marker(reinterpret_cast<const char*>(kBundleMarker.data()), kBundleMarker.size());
  for (const elf::Segment& segment : headers.segments) {
    if (segment.type != PT_LOAD || (segment.flags & PF_W) == 0 || segment.size > kMostRead) continue;
    const auto data = content.part(segment.offset, static_cast<std::size_t>(segment.size));
    if (!data) continue;
    const std::size_t at = data->find(marker);
    if (at == std::string::npos || at < sizeof(std::uint64_t)) continue;
    return data->find_first_not_of('\0', at - sizeof(std::uint64_t)) < at;
  }
  return false;
}

std::optional<App> classify_apphost(const system::System& system, std::span<const std::string> argv,
                                    const std::string& path) {
  if (path.empty()) return std::nullopt;
  const auto content = elf::Content::open(system, path);
  const auto headers = content ? elf::parse(*content) : std::nullopt;
  if (!headers) return std::nullopt;
  App app{.kind = Kind::apphost, .assembly = {}, .first_argument = 0, .asp_net_core = {}, .major = {}};
  std::string ignored;
  app.first_argument = skip_host_options(argv, 1, false, ignored);
  // The host looks beside its real file, not beside a link to it.
  const std::string real = system.real_path(path).value_or(path);
  if (system.status(real + ".dll")) {
    app.assembly = real + ".dll";
    app.runtimeconfig = real + ".runtimeconfig.json";
    read_runtimeconfig(system, app);
    return app;
  }
  if (!is_bundle(*content, *headers)) return std::nullopt;
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

App classify(const system::System& system, std::span<const std::string> argv, const std::string& path) {
  if (path::last_component(argv[0]) == "dotnet" || path::last_component(path) == "dotnet")
    return classify_dotnet(system, argv);
  if (auto app = classify_apphost(system, argv, path)) return *std::move(app);
  return {.kind = Kind::other, .assembly = {}, .first_argument = argv.size(), .asp_net_core = {}, .major = {}};
}

std::vector<int> plausible_majors(const App& app) {
  if (app.major) return {*app.major};
  return {8, 9, 10};
}

}  // namespace portshim::runtime
