// UTF-8 as .NET reads it: what is invalid becomes U+FFFD. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace portshim::utf8 {

/// What stands for bytes that are no character.
inline constexpr char32_t kReplacement = 0xFFFD;

struct Character {
  char32_t code = kReplacement;
  std::size_t length = 1;  ///< in bytes
};

/// The character that the (not empty) text begins with. Of what is invalid the maximal subpart counts as one
/// replacement character (Unicode 15, section 3.9).
[[nodiscard]] Character first_character(std::string_view text);

/// Appends a code point; what is none (a surrogate, beyond U+10FFFF) as the replacement character.
void append(char32_t code, std::string& out);

/// The text with every invalid part as one U+FFFD.
[[nodiscard]] std::string valid(std::string_view text);

}  // namespace portshim::utf8
