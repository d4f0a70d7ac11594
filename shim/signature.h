// Signatures: what blobs of a managed assembly say of types (ECMA-335, II.23.2). Pure; every offset is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/tables.h"

namespace portshim::signature {

// What a hostile file may cost. Each is far above what compilers write.
inline constexpr std::size_t kLongest = 65536;  // bytes of text
inline constexpr int kMostTypes = 4096;         // in one signature
inline constexpr int kDeepest = 32;             // types in types

/// The signature of a method (II.23.2.1), types by full name: "System.Int32", "System.String[]",
/// "System.Action`1<Microsoft.AspNetCore…ListenOptions>", "!!0", "System.Int32[,]", "System.Byte*", "System.Byte&",
/// "method System.Void*(System.Int32)". Custom modifiers are left out; a token of no type is "?".
struct Signature {
  bool has_this = false;
  std::string returns = {};
  std::vector<std::string> parameters = {};
};

/// What signatures name by token.
class Types {
 public:
  Types() = default;
  Types(const Types&) = default;
  Types& operator=(const Types&) = default;
  virtual ~Types() = default;

  /// The full name of a TypeDef or TypeRef; "" where it is bad.
  [[nodiscard]] virtual std::string type_name(tables::Token type) const = 0;
  /// The signature of a TypeSpec.
  [[nodiscard]] virtual std::string_view signature_of(tables::Token type) const = 0;
};

/// A type as text, as in Signature. Nothing where it is bad, or beyond a limit.
[[nodiscard]] std::optional<std::string> read_type(std::string_view blob, const Types& types);
/// The signature of a method; nothing where it is bad, or of a field.
[[nodiscard]] std::optional<Signature> read_method(std::string_view blob, const Types& types);
/// What the type parameters of a MethodSpec are (II.23.2.15); empty where it is bad.
[[nodiscard]] std::vector<std::string> read_type_arguments(std::string_view blob, const Types& types);

/// An item of #Blob or #US (II.24.2.4): its length, then its bytes.
[[nodiscard]] std::optional<std::string_view> heap_item(std::string_view heap, std::uint32_t index);

}  // namespace portshim::signature
