// The case of ASCII letters, whatever the locale; all other bytes stay as they are. Pure.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace portshim::ascii {

constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

/// The text with each letter in lower case.
[[nodiscard]] inline std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), to_lower);
  return out;
}

/// The text with each letter in upper case.
[[nodiscard]] inline std::string upper_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), to_upper);
  return out;
}

[[nodiscard]] constexpr bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, to_lower, to_lower);
}

}  // namespace portshim::ascii
