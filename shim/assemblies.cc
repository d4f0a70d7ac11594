#include "shim/assemblies.h"

#include <algorithm>
#include <cstring>
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

/// The app's assembly and the others that its deps.json names.
Reading read_all(const Open& open, const std::string& entry, const std::string& deps_json) {
  Reading reading;
  add(reading, open, entry);
  const auto deps = open(deps_json);
  std::vector<std::string> projects = deps ? deps::projects(*deps) : std::vector<std::string>{};
  if (projects.size() > kMostProjects) {
    reading.problems.push_back(entry + ": too many projects");
    projects.resize(kMostProjects);
  }
  for (const std::string& project : projects) {
    if (project != entry) add(reading, open, project);
  }
  // Without a deps.json it is not known which other assemblies are the app's.
  if (deps && projects.empty()) reading.problems.push_back(deps_json + ": no list of libraries that can be read");
  reading.complete = reading.problems.empty() && !projects.empty();
  return reading;
}

Reading read_folder(const system::System& system, const std::string& assembly) {
  constexpr std::size_t kExtension = 4;  // ".dll"
  const std::string folder = path::folder_of(assembly) + "/";
  const std::string entry(path::last_component(assembly));
  const Open open = [&](const std::string& name) -> std::expected<std::string, std::string> {
    auto file = system.read_file(folder + name);
    if (!file) return std::unexpected(std::string(std::strerror(file.error().code)));
    return *std::move(file);
  };
  return read_all(open, entry, entry.substr(0, entry.size() - std::min(kExtension, entry.size())) + ".deps.json");
}

Reading read_single_file(const system::System& system, const runtime::App& app, const std::string& path) {
  Reading reading{.problems = {std::string(path::last_component(path)) + ": no bundle that can be read"}};
  const auto content = elf::Content::open(system, path);
  const auto headers = content ? elf::parse(*content) : std::nullopt;
  const auto header = headers ? bundle::header_offset(*content, *headers) : std::nullopt;
  if (!header) return reading;
  const auto files = bundle::files(*content, bundle::read_header(*content, *header));
  const bundle::File* entry = files ? bundle::entry_assembly(*files, app.application) : nullptr;
  if (entry == nullptr) return reading;
  const Open open = [&](const std::string& name) -> std::expected<std::string, std::string> {
    const bundle::File* file = bundle::find(*files, name);
    if (file == nullptr) return std::unexpected("not in the bundle");
    return bundle::read_file(*content, *file);
  };
  const bundle::File* deps = bundle::deps_json(*files);
  return read_all(open, entry->path, deps == nullptr ? "" : deps->path);
}

}  // namespace

Reading read(const system::System& system, const runtime::App& app, const std::string& path) {
  if (!app.assembly.empty()) return app.assembly_missing ? Reading{} : read_folder(system, app.assembly);
  return app.kind == runtime::Kind::apphost ? read_single_file(system, app, path) : Reading{};
}

}  // namespace portshim::assemblies
