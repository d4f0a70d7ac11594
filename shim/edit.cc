#include "shim/edit.h"

#include <algorithm>
#include <set>

namespace portshim::edit {
namespace {

using config::Origin;
using hosting::Input;

/// Of an Input, const or not.
auto& entry_of(auto& input, const Origin& origin) {
  return origin.kind == Origin::Kind::variable ? input.environment[origin.index] : input.argv[origin.index];
}

}  // namespace

std::vector<Edit> between(const Input& before, const Input& after) {
  std::vector<Edit> edits;
  std::set<std::string> named;
  for (std::size_t i = 0; i < before.environment.size(); ++i) {
    const std::string& old_entry = before.environment[i];
    const std::string& new_entry = after.environment[i];
    if (old_entry == new_entry) continue;
    const std::size_t equals = old_entry.find('=', 1);
    const std::string name = old_entry.substr(0, equals);
    if (!named.insert(old_entry).second) continue;
    Edit edit{.kind = Edit::Kind::set, .name = name, .old_value = old_entry.substr(equals + 1), .new_value = {}};
    if (new_entry.empty()) {
      edit.kind = Edit::Kind::remove;
    } else {
      edit.new_value = new_entry.substr(equals + 1);
    }
    edits.push_back(std::move(edit));
  }
  for (std::size_t i = before.environment.size(); i < after.environment.size(); ++i) {
    const std::string& entry = after.environment[i];
    const std::size_t equals = entry.find('=', 1);
    edits.push_back({.kind = Edit::Kind::set,
                     .name = entry.substr(0, equals),
                     .old_value = std::nullopt,
                     .new_value = entry.substr(equals + 1)});
  }
  for (std::size_t i = 0; i < before.argv.size(); ++i) {
    if (before.argv[i] == after.argv[i]) continue;
    edits.push_back({.kind = Edit::Kind::argument,
                     .name = "argv[" + std::to_string(i) + "]",
                     .old_value = before.argv[i],
                     .new_value = after.argv[i]});
  }
  return edits;
}

Place place_of(const Origin& origin) {
  return {origin.kind, origin.index, origin.value_at};
}

std::string value_at(const Input& input, const Origin& origin) {
  const std::string& entry = entry_of(input, origin);
  return entry.substr(std::min(origin.value_at, entry.size()));
}

std::string overriding_variable(std::string_view key) {
  std::string folded = config::fold(key);
  if (!folded.starts_with("KESTREL:")) return folded;
  // Some names can be written in one way alone: "__" is a colon everywhere, "a_" before it would be cut wrong.
  std::string spelled;
  for (const char c : key) spelled += c == ':' ? std::string("__") : std::string(1, c);
  for (const std::string& name : {spelled, std::string(key)}) {
    if (config::key_of_variable(name) == key && !name.contains('=') && !name.contains('\0')) return name;
  }
  return {};
}

bool is_editable(const Origin& origin, bool is_dotnet) {
  const bool of_dotnet = origin.kind == Origin::Kind::argument || origin.kind == Origin::Kind::file;
  return origin.kind == Origin::Kind::variable || (of_dotnet && is_dotnet);
}

Editor::Editor(Input& input) : input_(input) {
  std::unordered_map<std::string_view, std::size_t> first(input.environment.size());
  for (std::size_t i = 0; i < input.environment.size(); ++i) {
    const std::string_view entry = input.environment[i];
    const std::size_t equals = entry.find('=', 1);
    if (equals == std::string_view::npos) continue;
    const std::string_view name = entry.substr(0, equals);
    if (!first.try_emplace(name, i).second) again_[std::string(name)].push_back(i);
  }
}

void Editor::set(const Origin& origin, std::string_view key, std::string_view value) {
  if (origin.kind == Origin::Kind::file) {
    override_file(key, value);
    return;
  }
  std::string& entry = entry_of(input_, origin);
  const std::string old_entry = entry;
  entry.replace(origin.value_at, std::string::npos, value);
  for (const std::size_t i : again(origin)) {
    if (input_.environment[i] == old_entry) input_.environment[i] = entry;
  }
}

/// A variable of that key would have beaten the file: there is none but what was added before.
void Editor::override_file(std::string_view key, std::string_view value) {
  const std::string variable = overriding_variable(key);
  if (variable.empty() || value.contains('\0')) return;
  const auto [at, is_new] = added_.try_emplace(variable, input_.environment.size());
  if (is_new) input_.environment.emplace_back();
  input_.environment[at->second] = variable + "=" + std::string(value);
}

void Editor::remove(const Origin& origin, std::vector<std::size_t>& removed) {
  std::vector<std::size_t> indices = again(origin);
  indices.push_back(origin.index);
  for (const std::size_t i : indices) input_.environment[i].clear();
  removed.insert(removed.end(), indices.begin(), indices.end());
}

std::vector<std::size_t> Editor::again(const Origin& origin) const {
  if (origin.kind != Origin::Kind::variable) return {};
  const auto it = again_.find(origin.name);
  return it == again_.end() ? std::vector<std::size_t>{} : it->second;
}

}  // namespace portshim::edit
