#include "shim/deps.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <initializer_list>

#include "shim/host_json.h"

namespace portshim::deps {
namespace {

using Json = rapidjson::Value;

const Json* member(const Json* object, const char* name) {
  if (object == nullptr || !object->IsObject()) return nullptr;
  const auto found = object->FindMember(name);
  return found == object->MemberEnd() ? nullptr : &found->value;
}

void add_files(const Json* library, std::vector<std::string>& out) {
  const Json* files = member(library, "runtime");
  if (files == nullptr || !files->IsObject()) return;
  for (const auto& file : files->GetObject()) {
    const std::string_view path(file.name.GetString(), file.name.GetStringLength());
    const std::string_view name = path.substr(path.rfind('/') + 1);
    if (name.size() > 4 && (name.ends_with(".dll") || name.ends_with(".exe"))) out.emplace_back(name);
  }
}

/// The assemblies of the libraries of one of these types.
std::vector<std::string> assemblies_of(std::string_view deps_json, std::initializer_list<std::string_view> types) {
  rapidjson::Document document;
  if (!host_json::parse(deps_json, document)) return {};
  const Json* name = member(member(&document, "runtimeTarget"), "name");
  const Json* target =
      name != nullptr && name->IsString() ? member(member(&document, "targets"), name->GetString()) : nullptr;
  const Json* libraries = member(&document, "libraries");
  if (libraries == nullptr || !libraries->IsObject()) return {};
  std::vector<std::string> out;
  constexpr std::size_t kMost = 200;  // each is looked for among all
  for (const auto& library : libraries->GetObject()) {
    if (out.size() >= kMost) break;
    const Json* type = member(&library.value, "type");
    if (type == nullptr || !type->IsString() || std::ranges::find(types, type->GetString()) == types.end()) continue;
    add_files(member(target, library.name.GetString()), out);
  }
  return out;
}

}  // namespace

std::vector<std::string> projects(std::string_view deps_json) {
  return assemblies_of(deps_json, {"project"});
}

std::vector<std::string> packages(std::string_view deps_json) {
  return assemblies_of(deps_json, {"package", "reference"});
}

}  // namespace portshim::deps
