// The metadata and the IL of a managed assembly (ECMA-335, partitions II and III), as far as calls and their constants
// go. Pure. Every offset is checked: a hostile file gives an error or less, never more.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace portshim::metadata {

/// Tables, as a token has them in its highest byte (II.22).
enum class Table : std::uint8_t {
  module = 0x00,
  type_ref = 0x01,
  type_def = 0x02,
  field = 0x04,
  method_def = 0x06,
  member_ref = 0x0a,
  standalone_signature = 0x11,
  module_ref = 0x1a,
  type_spec = 0x1b,
  assembly_ref = 0x23,
  nested_class = 0x29,
  method_spec = 0x2b,
  user_string = 0x70,  ///< no table: an offset in #US
};

/// A table and a row of it, from 1; row 0 is none.
struct Token {
  std::uint32_t value = 0;
  static Token of(Table table, std::uint32_t row) { return {(static_cast<std::uint32_t>(table) << 24U) | row}; }
  [[nodiscard]] Table table() const { return static_cast<Table>(value >> 24U); }
  [[nodiscard]] std::uint32_t row() const { return value & 0xffffffU; }
  bool operator==(const Token&) const = default;
};

/// A field or method. Of a MethodSpec: its method, with what its type parameters are.
struct Member {
  Token token;   ///< MethodDef, MemberRef or Field
  Token parent;  ///< TypeDef, TypeRef, TypeSpec (MemberRef: also MethodDef, ModuleRef)
  std::string_view name;
  std::string_view signature;           ///< blob
  std::string_view instantiation = {};  ///< blob for type_arguments(); empty but of a MethodSpec
};

/// The signature of a method (II.23.2.1), types by full name: "System.Int32", "System.String[]",
/// "System.Action`1<Microsoft.AspNetCore…ListenOptions>", "!!0", "System.Int32[,]", "System.Byte*", "System.Byte&",
/// "method System.Void*(System.Int32)". Custom modifiers are left out; a token of no type is "?".
struct Signature {
  bool has_this = false;
  std::string returns = {};
  std::vector<std::string> parameters = {};
};

/// One IL instruction (III). Opcodes of two bytes have 0xfe in the high byte: ceq is 0xfe01.
struct Instruction {
  std::uint32_t offset = 0;
  std::uint16_t opcode = 0;
  /// The constant (ldc.*, also of the short forms ldc.i4.0 to 8 and .m1), the index (ldloc, ldarg and so on, short
  /// forms too), the token, or of a branch the offset of its target, which may be none. Of floating-point constants
  /// the bits.
  std::int64_t operand = 0;
  std::uint32_t next = 0;                   ///< the offset behind it
  std::vector<std::uint32_t> targets = {};  ///< of switch
};

/// Goes through a method body from one instruction to the next.
class Instructions {
 public:
  explicit Instructions(std::string_view code) : code_(code) {}
  /// Nothing at the end, and where the bytes are no instruction: then failed().
  [[nodiscard]] std::optional<Instruction> next();
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  bool read_targets(Instruction& instruction);
  void fail();

  std::string_view code_;
  std::size_t offset_ = 0;
  bool failed_ = false;
};

/// A managed module. Opening it takes no memory but its own, and looks at no row. Names are as they stand in the file
/// (UTF-8, if it is right).
class Module {
 public:
  /// `file` is a whole PE file, and must outlive this. The error says in words why it is none that can be read:
  /// "no PE file", "no managed code", "damaged PE file: …", "damaged metadata: …", "uncompressed metadata".
  [[nodiscard]] static std::expected<Module, std::string> read(std::string_view file);

  [[nodiscard]] std::uint32_t rows(Table table) const;
  /// "Namespace.Outer+Inner" of a TypeDef or TypeRef; of a TypeSpec its whole text as in Signature. "" where it is bad.
  [[nodiscard]] std::string type_name(Token type) const;
  /// Of a MemberRef, MethodDef, MethodSpec or Field.
  [[nodiscard]] std::optional<Member> member(Token token) const;
  /// Of a method; nothing where it is bad, or of a field.
  [[nodiscard]] std::optional<Signature> signature(std::string_view blob) const;
  /// What the type parameters of a MethodSpec are; empty where it is bad.
  [[nodiscard]] std::vector<std::string> type_arguments(std::string_view instantiation) const;
  /// The signature of a TypeSpec or StandAloneSig (calli).
  [[nodiscard]] std::string_view signature_of(Token token) const;
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
  static constexpr std::size_t kTables = 0x2d;
  static constexpr std::size_t kMostColumns = 9;
  /// Where a table is, and the layout of its rows.
  struct Rows {
    std::size_t offset = 0;  ///< in tables_
    std::uint32_t count = 0;
    std::array<std::uint8_t, kMostColumns + 1> columns = {};  ///< where each column begins; then the size of a row
  };

  explicit Module(std::string_view file) : file_(file) {}
  std::expected<std::string_view, std::string> read_headers();
  std::expected<std::string_view, std::string> read_cli_header(std::string_view header);
  std::expected<std::string_view, std::string> read_root(std::string_view metadata);
  std::expected<void, std::string> read_tables(std::string_view stream);
  void lay_out(std::size_t table, unsigned heap_sizes);
  [[nodiscard]] unsigned width(std::uint8_t column, unsigned heap_sizes) const;

  [[nodiscard]] std::string_view at(std::uint32_t rva) const;
  [[nodiscard]] std::uint32_t cell(Table table, std::uint32_t row, std::size_t column) const;
  [[nodiscard]] std::string_view string(std::uint32_t index) const;
  [[nodiscard]] std::uint32_t last_not_beyond(Table table, std::size_t column, std::uint32_t value) const;
  [[nodiscard]] Token enclosing(Token type) const;
  [[nodiscard]] Token declaring(std::size_t column, std::uint32_t row) const;

  std::string_view file_;
  std::string_view sections_;  ///< the section headers
  std::string_view strings_;
  std::string_view user_strings_;
  std::string_view blobs_;
  std::string_view tables_;  ///< the rows, behind the header of the stream
  std::array<Rows, kTables> rows_ = {};
  Token entry_point_;
};

}  // namespace portshim::metadata
