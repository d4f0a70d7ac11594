#include "shim/method_name.h"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace portshim::method_name {
namespace {

/// "Main" of "<Main>b__0", "<Main>g__Local|0_0", "<Main>d__1" and "<Main>d" (Roslyn's GeneratedNames.cs); nothing for
/// other names, as "<Main>$".
std::optional<std::string_view> name_inside(std::string_view name) {
  if (!name.starts_with('<')) return std::nullopt;
  std::size_t depth = 0;
  std::size_t end = 0;
  for (; end < name.size(); ++end) {
    if (name[end] == '<') ++depth;
    if (name[end] == '>' && --depth == 0) break;
  }
  if (end <= 1 || end + 1 >= name.size()) return std::nullopt;
  const std::string_view rest = name.substr(end + 2);
  const bool is_made = name[end + 1] >= 'a' && name[end + 1] <= 'z' && (rest.empty() || rest.starts_with("__"));
  return is_made ? std::optional(name.substr(1, end - 1)) : std::nullopt;
}

std::string_view innermost_name(std::string_view name) {
  while (const auto inside = name_inside(name)) name = *inside;
  return name;
}

}  // namespace

std::string user_method(std::string_view type, std::string_view method) {
  std::string_view name = innermost_name(method);
  // Types that the compiler makes are nested in the user's: "<>c", "<>c__DisplayClass0_0", "<Main>d__0".
  const std::size_t made = type.find("+<");
  if (made != std::string_view::npos) {
    for (std::string_view rest = type.substr(made); rest.starts_with('+');) {
      rest.remove_prefix(1);
      const std::size_t end = std::min(rest.find("+<"), rest.size());
      if (const std::string_view inside = innermost_name(rest.substr(0, end)); inside.size() < end) name = inside;
      rest.remove_prefix(end);
    }
    type = type.substr(0, made);
  }
  return std::string(type).append(".").append(name);
}

}  // namespace portshim::method_name
