#include "shim/tables.h"

#include <algorithm>
#include <initializer_list>

#include "shim/bytes.h"

namespace portshim::tables {
namespace {

constexpr std::uint32_t kMostRows = 0xffffff;  // that a token can name

/// What a column holds: a row of one table (its number), a coded index (II.24.2.6), or one of these.
enum Column : std::uint8_t {
  kTypeDefOrRef = 0x40,
  kHasConstant,
  kHasCustomAttribute,
  kHasFieldMarshal,
  kHasDeclSecurity,
  kMemberRefParent,
  kHasSemantics,
  kMethodDefOrRef,
  kMemberForwarded,
  kImplementation,
  kCustomAttributeType,
  kResolutionScope,
  kTypeOrMethodDef,
  kTwoBytes,
  kFourBytes,
  kString,
  kGuid,
  kBlob,
  kEnd,
};

constexpr std::uint8_t kNoTable = 0xff;

/// The tables of a coded index, in the order of their tags.
struct CodedIndex {
  unsigned tag_bits;
  std::array<std::uint8_t, 22> tables;
  std::size_t count;

  constexpr CodedIndex(unsigned bits, std::initializer_list<std::uint8_t> list)
      : tag_bits(bits), tables(), count(list.size()) {
    std::ranges::copy(list, tables.begin());
  }
};

constexpr std::array kCodedIndices = {
    CodedIndex(2, {0x02, 0x01, 0x1b}),
    CodedIndex(2, {0x04, 0x08, 0x17}),
    CodedIndex(5, {0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x00, 0x0e, 0x17, 0x14,
                   0x11, 0x1a, 0x1b, 0x20, 0x23, 0x26, 0x27, 0x28, 0x2a, 0x2c, 0x2b}),
    CodedIndex(1, {0x04, 0x08}),
    CodedIndex(2, {0x02, 0x06, 0x20}),
    CodedIndex(3, {0x02, 0x01, 0x1a, 0x06, 0x1b}),
    CodedIndex(1, {0x14, 0x17}),
    CodedIndex(1, {0x06, 0x0a}),
    CodedIndex(1, {0x04, 0x06}),
    CodedIndex(2, {0x26, 0x23, 0x27}),
    CodedIndex(3, {kNoTable, kNoTable, 0x06, 0x0a, kNoTable}),
    CodedIndex(2, {0x00, 0x1a, 0x23, 0x01}),
    CodedIndex(1, {0x02, 0x06}),
};

constexpr const CodedIndex& coded_index(std::uint8_t column) {
  return kCodedIndices[column - kTypeDefOrRef];
}

/// The columns of each table. 0x03, 0x05, 0x07, 0x13 and 0x16 (indirections) are for uncompressed metadata only.
constexpr std::array<std::array<std::uint8_t, 10>, 0x2d> kColumns = {{
    {kTwoBytes, kString, kGuid, kGuid, kGuid, kEnd},                  // 0x00 Module
    {kResolutionScope, kString, kString, kEnd},                       // 0x01 TypeRef
    {kFourBytes, kString, kString, kTypeDefOrRef, 0x04, 0x06, kEnd},  // 0x02 TypeDef
    {0x04, kEnd},                                                     // 0x03 FieldPtr
    {kTwoBytes, kString, kBlob, kEnd},                                // 0x04 Field
    {0x06, kEnd},                                                     // 0x05 MethodPtr
    {kFourBytes, kTwoBytes, kTwoBytes, kString, kBlob, 0x08, kEnd},   // 0x06 MethodDef
    {0x08, kEnd},                                                     // 0x07 ParamPtr
    {kTwoBytes, kTwoBytes, kString, kEnd},                            // 0x08 Param
    {0x02, kTypeDefOrRef, kEnd},                                      // 0x09 InterfaceImpl
    {kMemberRefParent, kString, kBlob, kEnd},                         // 0x0a MemberRef
    {kTwoBytes, kHasConstant, kBlob, kEnd},                           // 0x0b Constant
    {kHasCustomAttribute, kCustomAttributeType, kBlob, kEnd},         // 0x0c CustomAttribute
    {kHasFieldMarshal, kBlob, kEnd},                                  // 0x0d FieldMarshal
    {kTwoBytes, kHasDeclSecurity, kBlob, kEnd},                       // 0x0e DeclSecurity
    {kTwoBytes, kFourBytes, 0x02, kEnd},                              // 0x0f ClassLayout
    {kFourBytes, 0x04, kEnd},                                         // 0x10 FieldLayout
    {kBlob, kEnd},                                                    // 0x11 StandAloneSig
    {0x02, 0x14, kEnd},                                               // 0x12 EventMap
    {0x14, kEnd},                                                     // 0x13 EventPtr
    {kTwoBytes, kString, kTypeDefOrRef, kEnd},                        // 0x14 Event
    {0x02, 0x17, kEnd},                                               // 0x15 PropertyMap
    {0x17, kEnd},                                                     // 0x16 PropertyPtr
    {kTwoBytes, kString, kBlob, kEnd},                                // 0x17 Property
    {kTwoBytes, 0x06, kHasSemantics, kEnd},                           // 0x18 MethodSemantics
    {0x02, kMethodDefOrRef, kMethodDefOrRef, kEnd},                   // 0x19 MethodImpl
    {kString, kEnd},                                                  // 0x1a ModuleRef
    {kBlob, kEnd},                                                    // 0x1b TypeSpec
    {kTwoBytes, kMemberForwarded, kString, 0x1a, kEnd},               // 0x1c ImplMap
    {kFourBytes, 0x04, kEnd},                                         // 0x1d FieldRVA
    {kFourBytes, kFourBytes, kEnd},                                   // 0x1e EncLog
    {kFourBytes, kEnd},                                               // 0x1f EncMap
    {kFourBytes, kTwoBytes, kTwoBytes, kTwoBytes, kTwoBytes, kFourBytes, kBlob, kString, kString,
     kEnd},                                      // 0x20 Assembly
    {kFourBytes, kEnd},                          // 0x21 AssemblyProcessor
    {kFourBytes, kFourBytes, kFourBytes, kEnd},  // 0x22 AssemblyOS
    {kTwoBytes, kTwoBytes, kTwoBytes, kTwoBytes, kFourBytes, kBlob, kString, kString, kBlob, kEnd},  // 0x23 AssemblyRef
    {kFourBytes, 0x23, kEnd},                                           // 0x24 AssemblyRefProcessor
    {kFourBytes, kFourBytes, kFourBytes, 0x23, kEnd},                   // 0x25 AssemblyRefOS
    {kFourBytes, kString, kBlob, kEnd},                                 // 0x26 File
    {kFourBytes, kFourBytes, kString, kString, kImplementation, kEnd},  // 0x27 ExportedType
    {kFourBytes, kFourBytes, kString, kImplementation, kEnd},           // 0x28 ManifestResource
    {0x02, 0x02, kEnd},                                                 // 0x29 NestedClass
    {kTwoBytes, kTwoBytes, kTypeOrMethodDef, kString, kEnd},            // 0x2a GenericParam
    {kMethodDefOrRef, kBlob, kEnd},                                     // 0x2b MethodSpec
    {0x2a, kTypeDefOrRef, kEnd},                                        // 0x2c GenericParamConstraint
}};

constexpr std::uint64_t kIndirections = 1ULL << 0x03U | 1ULL << 0x05U | 1ULL << 0x07U | 1ULL << 0x13U | 1ULL << 0x16U;

constexpr Column column_of(Coded index) {
  switch (index) {
    case Coded::member_ref_parent:
      return kMemberRefParent;
    case Coded::method_def_or_ref:
      return kMethodDefOrRef;
    case Coded::resolution_scope:
      return kResolutionScope;
    case Coded::type_def_or_ref:
      break;
  }
  return kTypeDefOrRef;
}

}  // namespace

Token decode(Coded coded, std::uint32_t value) {
  const CodedIndex& index = coded_index(column_of(coded));
  const std::size_t tag = value & ((1U << index.tag_bits) - 1);
  if (tag >= index.count || index.tables[tag] == kNoTable) return {};
  return Token::of(static_cast<Table>(index.tables[tag]), value >> index.tag_bits);
}

/// The header of the stream: how many rows each table has, and so where it is.
std::expected<Tables, std::string> Tables::read(std::string_view stream) {
  constexpr unsigned kExtraData = 0x40;  // four bytes behind the numbers of rows; written by edit-and-continue
  const auto present = bytes::load<std::uint64_t>(stream, 8);
  if (!present) return std::unexpected("damaged metadata: it ends in the header of its tables");
  if ((*present >> kTables) != 0) return std::unexpected("damaged metadata: it has unknown tables");
  if ((*present & kIndirections) != 0) return std::unexpected("uncompressed metadata (tables of indirections)");
  const unsigned heap_sizes = static_cast<std::uint8_t>(stream[6]);

  Tables out;
  std::size_t offset = 24;
  for (std::size_t table = 0; table < kTables; ++table) {
    if ((*present >> table & 1U) == 0) continue;
    const auto count = bytes::load<std::uint32_t>(stream, offset);
    if (!count) return std::unexpected("damaged metadata: it ends in the header of its tables");
    if (*count > kMostRows) return std::unexpected("damaged metadata: a table has too many rows");
    out.rows_[table].count = *count;
    offset += 4;
  }
  if ((heap_sizes & kExtraData) != 0) offset += 4;

  std::size_t size = 0;
  for (std::size_t table = 0; table < kTables; ++table) {
    out.lay_out(table, heap_sizes);
    out.rows_[table].offset = size;
    size += std::size_t{out.rows_[table].count} * out.rows_[table].columns.back();
  }
  const auto rows = bytes::slice(stream, offset, size);
  if (!rows) return std::unexpected("damaged metadata: it ends in its tables");
  out.bytes_ = *rows;
  return out;
}

/// Sets the columns of a table; all numbers of rows are known.
void Tables::lay_out(std::size_t table, unsigned heap_sizes) {
  unsigned position = 0;
  std::size_t i = 0;
  for (; kColumns[table][i] != kEnd; ++i) {
    rows_[table].columns[i] = static_cast<std::uint8_t>(position);
    position += width(kColumns[table][i], heap_sizes);
  }
  for (; i <= kMostColumns; ++i) rows_[table].columns[i] = static_cast<std::uint8_t>(position);
}

/// 2 or 4 bytes: an index has four where two could not name each row, or the heap is that large (II.24.2.6).
unsigned Tables::width(std::uint8_t column, unsigned heap_sizes) const {
  const auto large = [&](unsigned bit) { return (heap_sizes >> bit & 1U) != 0 ? 4U : 2U; };
  switch (column) {
    case kTwoBytes:
      return 2;
    case kFourBytes:
      return 4;
    case kString:
      return large(0);
    case kGuid:
      return large(1);
    case kBlob:
      return large(2);
    default:
      break;
  }
  if (column < kTables) return rows_[column].count <= 0xffff ? 2 : 4;
  const CodedIndex& index = coded_index(column);
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < index.count; ++i)
    if (index.tables[i] != kNoTable) most = std::max(most, rows_[index.tables[i]].count);
  return most < 1U << (16 - index.tag_bits) ? 2 : 4;
}

std::uint32_t Tables::cell(Table table, std::uint32_t row, std::size_t column) const {
  const Rows& rows = rows_[static_cast<std::size_t>(table)];
  if (row == 0 || row > rows.count) return 0;
  const char* at = bytes_.data() + rows.offset + (std::size_t{row - 1} * rows.columns.back()) + rows.columns[column];
  const bool is_short = rows.columns[column + 1] - rows.columns[column] == 2;
  return is_short ? bytes::load<std::uint16_t>(at) : bytes::load<std::uint32_t>(at);
}

std::uint32_t Tables::last_not_beyond(Table table, std::size_t column, std::uint32_t value) const {
  std::uint32_t low = 0;
  std::uint32_t high = rows(table);
  while (low < high) {
    const std::uint32_t middle = high - ((high - low) / 2);
    if (cell(table, middle, column) <= value)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

std::uint32_t Tables::rows(Table table) const {
  const auto number = static_cast<std::size_t>(table);
  return number < kTables ? rows_[number].count : 0;
}

}  // namespace portshim::tables
