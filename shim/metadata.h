// The metadata of a managed assembly (ECMA-335, partition II), as far as calls and their constants go. Pure. Every
// offset is checked: a hostile file gives an error or less, never more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/signature.h"
#include "shim/tables.h"

namespace portshim::metadata {

using signature::Signature;
using tables::Table;
using tables::Token;

/// A field or method. Of a MethodSpec: its method, with what its type parameters are.
struct Member {
  Token token;   ///< MethodDef, MemberRef or Field
  Token parent;  ///< TypeDef, TypeRef, TypeSpec (MemberRef: also MethodDef, ModuleRef)
  std::string_view name;
  std::string_view signature;           ///< blob
  std::string_view instantiation = {};  ///< blob for type_arguments(); empty but of a MethodSpec
};

/// A managed module. Opening it takes no memory but its own, and looks at no row. Names are as they stand in the file
/// (UTF-8, if it is right).
class Module final : public signature::Types {
 public:
  /// `file` is a whole PE file, and must outlive this. The error says in words why it is none that can be read:
  /// "no PE file", "no managed code", "damaged PE file: …", "damaged metadata: …", "uncompressed metadata".
  [[nodiscard]] static std::expected<Module, std::string> read(std::string_view file);

  [[nodiscard]] std::uint32_t rows(Table table) const { return tables_.rows(table); }
  /// "Namespace.Outer+Inner" of a TypeDef or TypeRef; of a TypeSpec its whole text as in Signature. "" where it is bad.
  [[nodiscard]] std::string type_name(Token type) const override;
  /// Of a MemberRef, MethodDef, MethodSpec or Field.
  [[nodiscard]] std::optional<Member> member(Token token) const;
  /// Of a method; nothing where it is bad, or of a field.
  [[nodiscard]] std::optional<Signature> signature(std::string_view blob) const;
  /// What the type parameters of a MethodSpec are; empty where it is bad.
  [[nodiscard]] std::vector<std::string> type_arguments(std::string_view instantiation) const;
  /// The signature of a TypeSpec or StandAloneSig (calli).
  [[nodiscard]] std::string_view signature_of(Token token) const override;
  /// Of ldstr's token, in UTF-8; what is no UTF-16 is U+FFFD. Nothing where it is bad, or longer than kLongestText.
  [[nodiscard]] std::optional<std::string> user_string(Token token) const;
  /// The IL of row `method` of MethodDef (from 1); nothing when it has none (abstract, extern) or it is bad.
  [[nodiscard]] std::optional<std::string_view> body(std::uint32_t method) const;
  /// The method to start with (CLI header, EntryPointToken); row 0 in a library.
  [[nodiscard]] Token entry_point() const { return entry_point_; }
  /// Names of the AssemblyRefs.
  [[nodiscard]] std::vector<std::string_view> references() const;

  /// In UTF-16 code units. No address is longer, and a hostile file may name one text very often.
  static constexpr std::size_t kLongestText = 32768;

 private:
  explicit Module(std::string_view file) : file_(file) {}
  std::expected<std::string_view, std::string> read_headers();
  std::expected<std::string_view, std::string> read_cli_header(std::string_view header);
  std::expected<std::string_view, std::string> read_root(std::string_view metadata);

  [[nodiscard]] std::string_view at(std::uint32_t rva) const;
  [[nodiscard]] std::string_view string(std::uint32_t index) const;
  [[nodiscard]] Token enclosing(Token type) const;
  [[nodiscard]] Token declaring(std::size_t column, std::uint32_t row) const;

  std::string_view file_;
  std::string_view sections_;  ///< the section headers
  std::string_view strings_;
  std::string_view user_strings_;
  std::string_view blobs_;
  tables::Tables tables_;
  Token entry_point_;
};

}  // namespace portshim::metadata
