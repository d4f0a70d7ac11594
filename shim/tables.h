// The tables of a managed assembly (ECMA-335, II.22 and II.24.2.6): where each row is, and what its columns hold. Pure;
// every offset is checked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace portshim::tables {

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

/// Columns that are read, by their position.
enum Position : std::uint8_t {
  kTypeRefScope = 0,
  kTypeName = 1,       // TypeRef and TypeDef
  kTypeNamespace = 2,  // TypeRef and TypeDef
  kTypeDefFields = 4,
  kTypeDefMethods = 5,
  kFieldName = 1,
  kFieldSignature = 2,
  kMethodDefAddress = 0,
  kMethodDefImplementation = 1,
  kMethodDefName = 3,
  kMethodDefSignature = 4,
  kMemberRefClass = 0,
  kMemberRefName = 1,
  kMemberRefSignature = 2,
  kBlobOnly = 0,  // StandAloneSig and TypeSpec
  kAssemblyRefName = 6,
  kNested = 0,
  kEnclosing = 1,
  kMethodSpecMethod = 0,
  kMethodSpecInstantiation = 1,
};

/// Coded indexes that are read (II.24.2.6).
enum class Coded : std::uint8_t { type_def_or_ref, member_ref_parent, method_def_or_ref, resolution_scope };
/// The row that a coded index means; row 0 of no table where its tag is none.
[[nodiscard]] Token decode(Coded coded, std::uint32_t value);

/// The stream #~. Opening it looks at no row.
class Tables {
 public:
  Tables() = default;
  /// `stream` must outlive this. The error says in words what is wrong with it.
  [[nodiscard]] static std::expected<Tables, std::string> read(std::string_view stream);

  [[nodiscard]] std::uint32_t rows(Table table) const;
  /// A column of a row, from 1; 0 where there is no such row.
  [[nodiscard]] std::uint32_t cell(Table table, std::uint32_t row, std::size_t column) const;
  /// The last row whose cell is not beyond `value`, in a sorted column; 0 when there is none.
  [[nodiscard]] std::uint32_t last_not_beyond(Table table, std::size_t column, std::uint32_t value) const;

 private:
  static constexpr std::size_t kTables = 0x2d;
  static constexpr std::size_t kMostColumns = 9;
  /// Where a table is, and the layout of its rows.
  struct Rows {
    std::size_t offset = 0;  ///< in bytes_
    std::uint32_t count = 0;
    std::array<std::uint8_t, kMostColumns + 1> columns = {};  ///< where each column begins; then the size of a row
  };

  void lay_out(std::size_t table, unsigned heap_sizes);
  [[nodiscard]] unsigned width(std::uint8_t column, unsigned heap_sizes) const;

  std::string_view bytes_;  ///< the rows, behind the header of the stream
  std::array<Rows, kTables> rows_ = {};
};

}  // namespace portshim::tables
