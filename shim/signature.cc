#include "shim/signature.h"

#include <algorithm>
#include <array>
#include <utility>

#include "shim/bytes.h"

namespace portshim::signature {
namespace {

/// Reads a blob from its start. What is not there reads as 0, and then it has failed.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool at_end() const { return bytes_.empty(); }
  [[nodiscard]] std::string_view rest() const { return bytes_; }
  [[nodiscard]] std::uint8_t peek() const { return bytes_.empty() ? 0 : static_cast<std::uint8_t>(bytes_.front()); }

  std::uint8_t byte() {
    const std::uint8_t value = peek();
    skip(1);
    return value;
  }

  /// An unsigned compressed integer.
  std::uint32_t compressed() {
    const std::uint32_t first = byte();
    if (first < 0x80) return first;
    if (first < 0xc0) return (first & 0x3fU) << 8U | byte();
    if (first >= 0xe0) failed_ = true;
    std::uint32_t value = first & 0x1fU;
    for (int i = 0; i < 3; ++i) value = value << 8U | byte();
    return value;
  }

  void skip(std::size_t count) {
    failed_ = failed_ || count > bytes_.size();
    bytes_.remove_prefix(std::min(count, bytes_.size()));
  }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

/// ELEMENT_TYPE_ constants (II.23.1.16).
enum Element : std::uint8_t {
  kVoid = 0x01,
  kPointer = 0x0f,
  kByReference = 0x10,
  kValueType = 0x11,
  kClass = 0x12,
  kTypeParameter = 0x13,
  kArray = 0x14,
  kGenericInstance = 0x15,
  kFunctionPointer = 0x1b,
  kVector = 0x1d,
  kMethodParameter = 0x1e,
  kRequiredModifier = 0x1f,
  kOptionalModifier = 0x20,
  kSentinel = 0x41,
  kPinned = 0x45,
};

constexpr std::uint8_t kGeneric = 0x10;
constexpr std::uint8_t kHasThis = 0x20;
constexpr std::uint8_t kKind = 0x0f;  // of a signature
constexpr std::uint8_t kLastMethodKind = 0x05;
constexpr std::uint8_t kUnmanagedKind = 0x09;
constexpr std::uint8_t kMethodSpecKind = 0x0a;

/// "" of an element that is no simple type.
constexpr std::string_view simple_type(std::uint8_t element) {
  constexpr std::array<std::string_view, 0x1d> kNames = {"",
                                                         "System.Void",
                                                         "System.Boolean",
                                                         "System.Char",
                                                         "System.SByte",
                                                         "System.Byte",
                                                         "System.Int16",
                                                         "System.UInt16",
                                                         "System.Int32",
                                                         "System.UInt32",
                                                         "System.Int64",
                                                         "System.UInt64",
                                                         "System.Single",
                                                         "System.Double",
                                                         "System.String",
                                                         "",
                                                         "",
                                                         "",
                                                         "",
                                                         "",
                                                         "",
                                                         "",
                                                         "System.TypedReference",
                                                         "",
                                                         "System.IntPtr",
                                                         "System.UIntPtr",
                                                         "",
                                                         "",
                                                         "System.Object"};
  return element < kNames.size() ? kNames[element] : "";
}

/// Writes the types of one signature as text. Types may lead to others through TypeSpecs, so that a few bytes could be
/// an endless or an exponential text: depth, number and text are limited.
class TypeReader {
 public:
  explicit TypeReader(const Types& types) : names_(types) {}

  /// Nothing where it is bad, or beyond a limit; then the reader is of no more use.
  std::optional<std::string> type(Cursor& cursor) {
    std::string out;
    return append_type(cursor, out) ? std::optional(std::move(out)) : std::nullopt;
  }

  std::optional<Signature> method(Cursor& cursor) {
    const std::uint8_t head = cursor.byte();
    const std::uint8_t kind = head & kKind;
    if (kind > kLastMethodKind && kind != kUnmanagedKind) return {};
    if ((head & kGeneric) != 0) cursor.compressed();
    const std::uint32_t count = cursor.compressed();
    Signature signature{.has_this = (head & kHasThis) != 0};
    auto returns = type(cursor);
    if (!returns) return {};
    signature.returns = std::move(*returns);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (cursor.peek() == kSentinel) cursor.byte();
      auto parameter = type(cursor);
      if (!parameter) return {};
      signature.parameters.push_back(std::move(*parameter));
    }
    return signature;
  }

 private:
  bool append_type(Cursor& cursor, std::string& out) {
    if (depth_ == kDeepest || ++types_ > kMostTypes) return false;
    ++depth_;
    const bool good = append_element(cursor, out) && !cursor.failed() && out.size() <= kLongest;
    --depth_;
    return good;
  }

  bool append_element(Cursor& cursor, std::string& out) {
    const std::uint8_t element = cursor.byte();
    if (const std::string_view name = simple_type(element); !name.empty()) return append(out, name);
    switch (element) {
      case kValueType:
      case kClass:
        return append_token(cursor, out);
      case kVector:
        return append_type(cursor, out) && append(out, "[]");
      case kPointer:
        return append_type(cursor, out) && append(out, "*");
      case kByReference:
        return append_type(cursor, out) && append(out, "&");
      case kTypeParameter:
        return append(out, "!" + std::to_string(cursor.compressed()));
      case kMethodParameter:
        return append(out, "!!" + std::to_string(cursor.compressed()));
      case kArray:
        return append_array(cursor, out);
      case kGenericInstance:
        return append_generic(cursor, out);
      case kFunctionPointer:
        return append_function(cursor, out);
      case kRequiredModifier:
      case kOptionalModifier:
        cursor.compressed();
        return append_type(cursor, out);
      case kPinned:
        return append_type(cursor, out);
      default:
        return false;
    }
  }

  /// Of all the text of a signature.
  bool append(std::string& out, std::string_view text) {
    length_ += text.size();
    if (length_ > kLongest) return false;
    out += text;
    return true;
  }

  bool append_token(Cursor& cursor, std::string& out) {
    const tables::Token token = tables::decode(tables::Coded::type_def_or_ref, cursor.compressed());
    if (token.table() == tables::Table::type_spec) {
      Cursor inner(names_.signature_of(token));
      return append_type(inner, out);
    }
    const std::string name = names_.type_name(token);
    return append(out, name.empty() ? "?" : name);
  }

  /// "T[,]": rank, then sizes and lower bounds, which are left out.
  bool append_array(Cursor& cursor, std::string& out) {
    if (!append_type(cursor, out)) return false;
    const std::uint32_t rank = cursor.compressed();
    if (rank == 0 || rank > kDeepest) return false;
    for (int lists = 0; lists < 2; ++lists) {
      const std::uint32_t count = cursor.compressed();
      if (count > rank) return false;
      for (std::uint32_t i = 0; i < count; ++i) cursor.compressed();
    }
    return append(out, "[" + std::string(rank - 1, ',') + "]");
  }

  bool append_generic(Cursor& cursor, std::string& out) {
    if (!append_type(cursor, out)) return false;
    const std::uint32_t count = cursor.compressed();
    for (std::uint32_t i = 0; i < count; ++i)
      if (!append(out, i == 0 ? "<" : ",") || !append_type(cursor, out)) return false;
    return append(out, ">");
  }

  bool append_function(Cursor& cursor, std::string& out) {
    const auto signature = method(cursor);
    if (!signature) return false;
    bool good = append(out, "method ") && append(out, signature->returns) && append(out, "*(");
    for (std::size_t i = 0; good && i < signature->parameters.size(); ++i)
      good = append(out, i == 0 ? "" : ",") && append(out, signature->parameters[i]);
    return good && append(out, ")");
  }

  const Types& names_;
  int depth_ = 0;
  int types_ = 0;
  std::size_t length_ = 0;
};

}  // namespace

std::optional<std::string> read_type(std::string_view blob, const Types& types) {
  Cursor cursor(blob);
  return TypeReader(types).type(cursor);
}

std::optional<Signature> read_method(std::string_view blob, const Types& types) {
  Cursor cursor(blob);
  return TypeReader(types).method(cursor);
}

std::vector<std::string> read_type_arguments(std::string_view blob, const Types& types) {
  Cursor cursor(blob);
  if (cursor.byte() != kMethodSpecKind) return {};
  TypeReader reader(types);
  std::vector<std::string> arguments;
  const std::uint32_t count = cursor.compressed();
  for (std::uint32_t i = 0; i < count; ++i) {
    auto argument = reader.type(cursor);
    if (!argument) return {};
    arguments.push_back(std::move(*argument));
  }
  return arguments;
}

std::optional<std::string_view> heap_item(std::string_view heap, std::uint32_t index) {
  if (index >= heap.size()) return {};
  Cursor cursor(heap.substr(index));
  const std::uint32_t length = cursor.compressed();
  if (cursor.failed()) return {};
  return bytes::slice(cursor.rest(), 0, length);
}

}  // namespace portshim::signature
