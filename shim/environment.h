// The environment block. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace portshim::environment {

/// The value of the first entry "NAME=VALUE" of that name, as getenv(3) has it; nothing when there is none.
[[nodiscard]] inline std::optional<std::string_view> value(std::span<const std::string> environment,
                                                           std::string_view name) {
  for (const std::string_view entry : environment) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

/// True where it has a value that is not empty.
[[nodiscard]] inline bool is_set(std::span<const std::string> environment, std::string_view name) {
  return !value(environment, name).value_or("").empty();
}

}  // namespace portshim::environment
