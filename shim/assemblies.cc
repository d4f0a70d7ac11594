#include "shim/assemblies.h"

#include <algorithm>
#include <array>
#include <expected>
#include <functional>
#include <string_view>
#include <utility>

#include "shim/bundle.h"
#include "shim/deps.h"
#include "shim/elf.h"
#include "shim/path.h"

namespace portshim::assemblies {
namespace {

/// More projects than this are not read: nobody has them, and each costs time at every start.
constexpr std::size_t kMostProjects = 64;

/// The content of a file of the app, by its name; the error in words.
using Open = std::function<std::expected<std::string, std::string>(const std::string& name)>;

void add(Reading& reading, const Open& open, const std::string& name) {
  const auto file = open(name);
  if (!file) {
    reading.problems.push_back(name + ": " + file.error());
    return;
  }
  auto code = assembly::read(*file, name);
  if (code) {
    assembly::merge(reading.code, *std::move(code));
  } else {
    reading.problems.push_back(name + ": " + code.error());
  }
}

/// The files of an app.
struct Files {
  Open open;
  std::string entry;      ///< the name of its assembly; empty: there is none
  std::string deps_json;  ///< the same of this file
};

/// The app's assembly and the others that its deps.json names.
Reading read_all(const Files& files) {
  Reading reading;
  add(reading, files.open, files.entry);
  const auto deps = files.open(files.deps_json);
  std::vector<std::string> projects = deps ? deps::projects(*deps) : std::vector<std::string>{};
  if (projects.size() > kMostProjects) {
    reading.problems.push_back(files.entry + ": too many projects");
    projects.resize(kMostProjects);
  }
  for (const std::string& project : projects) {
    if (project != files.entry) add(reading, files.open, project);
  }
  // Without a deps.json it is not known which other assemblies are the app's.
  if (deps && projects.empty()) {
    reading.problems.push_back(files.deps_json + ": no list of libraries that can be read");
  }
  reading.complete = reading.problems.empty() && !projects.empty();
  return reading;
}

Files files_in_folder(const system::System& system, const std::string& assembly) {
  constexpr std::size_t kExtension = 4;  // ".dll"
  const std::string folder = path::folder_of(assembly) + "/";
  std::string entry(path::last_component(assembly));
  std::string deps_json = entry.substr(0, entry.size() - std::min(kExtension, entry.size())) + ".deps.json";
  Open open = [&system, folder](const std::string& name) -> std::expected<std::string, std::string> {
    auto file = system.read_file(folder + name);
    if (!file) return std::unexpected(system::describe(file.error().code));
    return *std::move(file);
  };
  return {.open = std::move(open), .entry = std::move(entry), .deps_json = std::move(deps_json)};
}

Files files_in_bundle(const system::System& system, const runtime::App& app, const std::string& path) {
  const auto content = elf::Content::open(system, path);
  const auto headers = content ? elf::parse(*content) : std::nullopt;
  const auto header = headers ? bundle::header_offset(*content, *headers) : std::nullopt;
  if (!header) return {};
  auto files = bundle::files(*content, bundle::read_header(*content, *header));
  const bundle::File* entry = files ? bundle::entry_assembly(*files, app.application) : nullptr;
  if (entry == nullptr) return {};
  const bundle::File* deps = bundle::deps_json(*files);
  Files out{.open = {}, .entry = entry->path, .deps_json = deps == nullptr ? "" : deps->path};
  out.open = [content = *content,
              files = *std::move(files)](const std::string& name) -> std::expected<std::string, std::string> {
    const bundle::File* file = bundle::find(files, name);
    if (file == nullptr) return std::unexpected("not in the bundle");
    return bundle::read_file(content, *file);
  };
  return out;
}

/// Those that can be found; without an entry where there are none.
Files files_of(const system::System& system, const runtime::App& app, const std::string& path) {
  if (!app.assembly.empty()) return app.assembly_missing ? Files{} : files_in_folder(system, app.assembly);
  return app.kind == runtime::Kind::apphost ? files_in_bundle(system, app, path) : Files{};
}

}  // namespace

Reading read(const system::System& system, const runtime::App& app, const std::string& path) {
  const Files files = files_of(system, app, path);
  if (!files.entry.empty()) return read_all(files);
  if (!app.assembly.empty() || app.kind != runtime::Kind::apphost) return {};
  return {.problems = {std::string(path::last_component(path)) + ": no bundle that can be read"}};
}

bool may_bring_certificate(const system::System& system, const runtime::App& app, const std::string& path) {
  // Names are there as they are, in UTF-8 (ECMA-335 II.24.2.3).
  constexpr std::array<std::string_view, 3> kNames{"HttpsConnectionAdapterOptions", "ListenOptionsHttpsExtensions",
                                                   "TlsHandshakeCallbackOptions"};
  const Files files = files_of(system, app, path);
  if (files.entry.empty()) return false;
  return std::ranges::any_of(deps::packages(files.open(files.deps_json).value_or("")), [&](const std::string& name) {
    const auto assembly = files.open(name);
    return assembly && std::ranges::any_of(kNames, [&](std::string_view one) { return assembly->contains(one); });
  });
}

}  // namespace portshim::assemblies
