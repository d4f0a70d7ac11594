// Reading from bytes that may be hostile: every offset is checked where the result is optional.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>

namespace portshim::bytes {

/// A little-endian integer, all of which is there.
template <std::unsigned_integral T>
T load(const char* bytes) {
  T value{};
  std::memcpy(&value, bytes, sizeof value);
  return std::endian::native == std::endian::big ? std::byteswap(value) : value;
}

/// The same at `offset`; nothing where it is not all there.
template <std::unsigned_integral T>
std::optional<T> load(std::string_view bytes, std::size_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return {};
  return load<T>(bytes.data() + offset);
}

/// Nothing where it is not all there.
inline std::optional<std::string_view> slice(std::string_view bytes, std::size_t offset, std::size_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size) return {};
  return bytes.substr(offset, size);
}

}  // namespace portshim::bytes
