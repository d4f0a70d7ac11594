#include "shim/utf8.h"

namespace portshim::utf8 {
namespace {

/// What may follow a first byte: the length of the sequence (0: none begins so) and the range of its second byte.
struct Sequence {
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
};

/// Unicode 15, table 3-7: the ranges leave out overlong forms, surrogates and what is beyond U+10FFFF.
constexpr Sequence sequence_of(unsigned char first) {
  if (first < 0x80) return {.length = 1};
  if (first < 0xC2 || first > 0xF4) return {};
  if (first < 0xE0) return {.length = 2};
  if (first == 0xE0) return {.length = 3, .low = 0xA0};
  if (first == 0xED) return {.length = 3, .high = 0x9F};
  if (first < 0xF0) return {.length = 3};
  if (first == 0xF0) return {.length = 4, .low = 0x90};
  if (first == 0xF4) return {.length = 4, .high = 0x8F};
  return {.length = 4};
}

}  // namespace

Character first_character(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  auto [length, low, high] = sequence_of(first);
  if (length == 0) return {};
  if (length == 1) return {.code = first, .length = 1};
  char32_t code = first & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(i < text.size() ? text[i] : '\0');
    if (next < low || next > high) return {.code = kReplacement, .length = i};
    code = (code << 6U) | (next & 0x3FU);
    low = 0x80;
    high = 0xBF;
  }
  return {.code = code, .length = length};
}

void append(char32_t code, std::string& out) {
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = kReplacement;
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  const auto put_rest = [&](unsigned shift) { put(0x80U | ((code >> shift) & 0x3FU)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0U | (code >> 6U));
  } else if (code < 0x10000) {
    put(0xE0U | (code >> 12U));
    put_rest(6);
  } else {
    put(0xF0U | (code >> 18U));
    put_rest(12);
    put_rest(6);
  }
  if (code >= 0x80) put_rest(0);
}

std::string valid(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = first_character(text);
    out += character.code == kReplacement ? "\uFFFD" : text.substr(0, character.length);
    text.remove_prefix(character.length);
  }
  return out;
}

}  // namespace portshim::utf8
