#include "shim/metadata.h"

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "shim/utf8.h"

namespace portshim::metadata {
namespace {

// What a hostile file may cost. Each is far above what compilers write.
constexpr std::size_t kMostSections = 96;         // as Windows' loader
constexpr std::size_t kLongestName = 2048;        // bytes; the runtime takes 1024 characters
constexpr std::size_t kLongestSignature = 65536;  // bytes of text
constexpr int kMostTypes = 4096;                  // in one signature
constexpr int kDeepest = 32;                      // types in types

// II.25.2 and II.25.3
constexpr std::uint16_t kPe32 = 0x10b;
constexpr std::uint16_t kPe32Plus = 0x20b;
constexpr std::size_t kCliDirectory = 14;
constexpr std::size_t kSectionHeaderSize = 40;

// II.24.2
constexpr std::uint32_t kMetadataSignature = 0x424a5342;
constexpr std::size_t kLongestStreamName = 32;
constexpr std::uint32_t kMostRows = 0xffffff;  // that a token can name

// II.23.1.10 and II.25.4
constexpr std::uint32_t kCodeType = 0x3;  // 0 is IL
constexpr std::uint8_t kBodyFormat = 0x3;
constexpr std::uint8_t kTinyBody = 0x2;
constexpr std::uint8_t kFatBody = 0x3;
constexpr std::size_t kFatHeaderSize = 12;

/// A little-endian integer.
template <std::unsigned_integral T>
T load(const char* bytes) {
  T value{};
  std::memcpy(&value, bytes, sizeof value);
  return std::endian::native == std::endian::big ? std::byteswap(value) : value;
}

template <std::unsigned_integral T>
std::optional<T> load(std::string_view bytes, std::size_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return {};
  return load<T>(bytes.data() + offset);
}

/// Nothing where it is not all there.
std::optional<std::string_view> slice(std::string_view bytes, std::size_t offset, std::size_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size) return {};
  return bytes.substr(offset, size);
}

std::unexpected<std::string> damaged(std::string_view what) {
  return std::unexpected("damaged metadata: " + std::string(what));
}

// ---------------------------------------------------------------------------------------------------------------------
// Tables (II.22)

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

/// The row that a coded index means; row 0 of no table where the tag is none.
Token decode(std::uint8_t column, std::uint32_t value) {
  const CodedIndex& index = coded_index(column);
  const std::size_t tag = value & ((1U << index.tag_bits) - 1);
  if (tag >= index.count || index.tables[tag] == kNoTable) return {};
  return Token::of(static_cast<Table>(index.tables[tag]), value >> index.tag_bits);
}

// ---------------------------------------------------------------------------------------------------------------------
// Blobs (II.23.2, II.24.2.4)

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

/// An item of #Blob or #US: its length, then its bytes.
std::optional<std::string_view> heap_item(std::string_view heap, std::uint32_t index) {
  if (index >= heap.size()) return {};
  Cursor cursor(heap.substr(index));
  const std::uint32_t length = cursor.compressed();
  if (cursor.failed()) return {};
  return slice(cursor.rest(), 0, length);
}

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
  explicit TypeReader(const Module& module) : module_(module) {}

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
    const bool good = append_element(cursor, out) && !cursor.failed() && out.size() <= kLongestSignature;
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
    if (length_ > kLongestSignature) return false;
    out += text;
    return true;
  }

  bool append_token(Cursor& cursor, std::string& out) {
    const Token token = decode(kTypeDefOrRef, cursor.compressed());
    if (token.table() == Table::type_spec) {
      Cursor inner(module_.signature_of(token));
      return append_type(inner, out);
    }
    const std::string name = module_.type_name(token);
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

  const Module& module_;
  int depth_ = 0;
  int types_ = 0;
  std::size_t length_ = 0;
};

/// Bytes of UTF-16, little-endian, as UTF-8.
std::string utf8_of(std::string_view units) {
  std::string out;
  out.reserve(units.size() / 2);
  for (std::size_t i = 0; i + 2 <= units.size(); i += 2) {
    char32_t code = load<std::uint16_t>(units.data() + i);
    const char32_t low = code >= 0xd800 && code < 0xdc00 ? load<std::uint16_t>(units, i + 2).value_or(0) : 0;
    if (low >= 0xdc00 && low < 0xe000) {
      code = 0x10000 + ((code - 0xd800) << 10U) + (low - 0xdc00);
      i += 2;
    }
    utf8::append(code, out);
  }
  return out;
}

// ---------------------------------------------------------------------------------------------------------------------
// Instructions (III)

enum class Operand : std::uint8_t {
  invalid,
  none,
  unsigned8,
  unsigned16,
  signed8,
  signed32,
  bits32,  // tokens, ldc.r4
  bits64,
  branch8,
  branch32,
  branches,
  implied,  // by the opcode itself
};

/// Opcodes from first to last.
struct Range {
  std::uint8_t first;
  std::uint8_t last;
  Operand operand;
};

/// How an opcode's operand stands in the code.
struct Form {
  std::uint8_t size = 0;  ///< in bytes; of switch that of the number of its targets
  bool is_valid = false;
  bool is_signed = false;
  bool is_branch = false;  ///< from the next instruction on
  bool is_switch = false;
  std::int8_t implied = 0;
};

/// The constant or index of a short form.
constexpr std::int8_t implied_operand(std::size_t opcode) {
  constexpr std::size_t kFirstIndex = 0x02;  // ldarg.0; four each
  constexpr std::size_t kMinusOne = 0x15;    // ldc.i4.m1, then .0
  if (opcode < kMinusOne) return static_cast<std::int8_t>((opcode - kFirstIndex) % 4);
  return static_cast<std::int8_t>(static_cast<int>(opcode - kMinusOne) - 1);
}

constexpr Form form_of(Operand operand, std::size_t opcode) {
  switch (operand) {
    case Operand::invalid:
      return {};
    case Operand::none:
      return {.is_valid = true};
    case Operand::unsigned8:
      return {.size = 1, .is_valid = true};
    case Operand::unsigned16:
      return {.size = 2, .is_valid = true};
    case Operand::signed8:
      return {.size = 1, .is_valid = true, .is_signed = true};
    case Operand::signed32:
      return {.size = 4, .is_valid = true, .is_signed = true};
    case Operand::bits32:
      return {.size = 4, .is_valid = true};
    case Operand::bits64:
      return {.size = 8, .is_valid = true};
    case Operand::branch8:
      return {.size = 1, .is_valid = true, .is_signed = true, .is_branch = true};
    case Operand::branch32:
      return {.size = 4, .is_valid = true, .is_signed = true, .is_branch = true};
    case Operand::branches:
      return {.size = 4, .is_valid = true, .is_switch = true};
    case Operand::implied:
      return {.is_valid = true, .implied = implied_operand(opcode)};
  }
  return {};
}

constexpr std::array<Form, 0x100> forms_of(std::initializer_list<Range> ranges) {
  std::array<Form, 0x100> forms = {};
  for (const Range& range : ranges)
    for (std::size_t opcode = range.first; opcode <= range.last; ++opcode)
      forms[opcode] = form_of(range.operand, opcode);
  return forms;
}

/// Opcodes of one byte.
constexpr auto kForms = forms_of({
    {0x00, 0x01, Operand::none},       // nop, break
    {0x02, 0x0d, Operand::implied},    // ldarg.0 to .3, ldloc.0 to .3, stloc.0 to .3
    {0x0e, 0x13, Operand::unsigned8},  // ldarg.s, ldarga.s, starg.s, ldloc.s, ldloca.s, stloc.s
    {0x14, 0x14, Operand::none},       // ldnull
    {0x15, 0x1e, Operand::implied},    // ldc.i4.m1, .0 to .8
    {0x1f, 0x1f, Operand::signed8},    // ldc.i4.s
    {0x20, 0x20, Operand::signed32},   // ldc.i4
    {0x21, 0x21, Operand::bits64},     // ldc.i8
    {0x22, 0x22, Operand::bits32},     // ldc.r4
    {0x23, 0x23, Operand::bits64},     // ldc.r8
    {0x25, 0x26, Operand::none},       // dup, pop
    {0x27, 0x29, Operand::bits32},     // jmp, call, calli
    {0x2a, 0x2a, Operand::none},       // ret
    {0x2b, 0x37, Operand::branch8},    // br.s to blt.un.s
    {0x38, 0x44, Operand::branch32},   // br to blt.un
    {0x45, 0x45, Operand::branches},   // switch
    {0x46, 0x6e, Operand::none},       // ldind, stind, arithmetic, conv
    {0x6f, 0x75, Operand::bits32},     // callvirt, cpobj, ldobj, ldstr, newobj, castclass, isinst
    {0x76, 0x76, Operand::none},       // conv.r.un
    {0x79, 0x79, Operand::bits32},     // unbox
    {0x7a, 0x7a, Operand::none},       // throw
    {0x7b, 0x81, Operand::bits32},     // ldfld to stsfld, stobj
    {0x82, 0x8b, Operand::none},       // conv.ovf….un
    {0x8c, 0x8d, Operand::bits32},     // box, newarr
    {0x8e, 0x8e, Operand::none},       // ldlen
    {0x8f, 0x8f, Operand::bits32},     // ldelema
    {0x90, 0xa2, Operand::none},       // ldelem.…, stelem.…
    {0xa3, 0xa5, Operand::bits32},     // ldelem, stelem, unbox.any
    {0xb3, 0xba, Operand::none},       // conv.ovf.…
    {0xc2, 0xc2, Operand::bits32},     // refanyval
    {0xc3, 0xc3, Operand::none},       // ckfinite
    {0xc6, 0xc6, Operand::bits32},     // mkrefany
    {0xd0, 0xd0, Operand::bits32},     // ldtoken
    {0xd1, 0xdc, Operand::none},       // conv, arithmetic with overflow, endfinally
    {0xdd, 0xdd, Operand::branch32},   // leave
    {0xde, 0xde, Operand::branch8},    // leave.s
    {0xdf, 0xe0, Operand::none},       // stind.i, conv.u
});

/// The second byte of those that begin with 0xfe.
constexpr std::uint8_t kTwoByteOpcode = 0xfe;
constexpr auto kTwoByteForms = forms_of({
    {0x00, 0x05, Operand::none},        // arglist, ceq, cgt, cgt.un, clt, clt.un
    {0x06, 0x07, Operand::bits32},      // ldftn, ldvirtftn
    {0x09, 0x0e, Operand::unsigned16},  // ldarg, ldarga, starg, ldloc, ldloca, stloc
    {0x0f, 0x0f, Operand::none},        // localloc
    {0x11, 0x11, Operand::none},        // endfilter
    {0x12, 0x12, Operand::unsigned8},   // unaligned.
    {0x13, 0x14, Operand::none},        // volatile., tail.
    {0x15, 0x16, Operand::bits32},      // initobj, constrained.
    {0x17, 0x18, Operand::none},        // cpblk, initblk
    {0x19, 0x19, Operand::unsigned8},   // no.
    {0x1a, 0x1a, Operand::none},        // rethrow
    {0x1c, 0x1c, Operand::bits32},      // sizeof
    {0x1d, 0x1e, Operand::none},        // refanytype, readonly.
});

/// The operand at the start of `bytes`, where all of it is. Without a branch for each kind, since which one comes next
/// cannot be foreseen, and a wrong guess costs more than all the rest.
std::int64_t operand_of(Form form, std::string_view bytes, std::uint32_t next) {
  std::uint64_t raw = 0;
  if (bytes.size() >= sizeof raw)
    raw = load<std::uint64_t>(bytes.data());  // NOLINT(bugprone-suspicious-stringview-data-usage): its size is known
  else
    for (std::size_t i = 0; i < bytes.size(); ++i) raw |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
  const unsigned unused = (64U - 8U * form.size) & 63U;  // bits; of 64 none
  const std::uint64_t moved = raw << unused;
  const std::int64_t value =
      form.is_signed ? static_cast<std::int64_t>(moved) >> unused : static_cast<std::int64_t>(moved >> unused);
  return (form.size == 0 ? form.implied : value) + (form.is_branch ? std::int64_t{next} : 0);
}

}  // namespace

std::optional<Instruction> Instructions::next() {
  // One object, made where the caller wants it: this is called for every instruction of an app.
  std::optional<Instruction> instruction;
  if (offset_ >= code_.size()) return instruction;
  std::size_t at = offset_;
  std::uint16_t opcode = static_cast<std::uint8_t>(code_[at++]);
  Form form = kForms[opcode];
  if (opcode == kTwoByteOpcode && at < code_.size()) {
    const auto second = static_cast<std::uint8_t>(code_[at++]);
    opcode = static_cast<std::uint16_t>(opcode << 8U | second);
    form = kTwoByteForms[second];
  }
  if (!form.is_valid || code_.size() - at < form.size) {
    fail();
    return instruction;
  }
  const std::size_t next = at + form.size;
  Instruction& made = instruction.emplace();
  made.offset = static_cast<std::uint32_t>(offset_);
  made.opcode = opcode;
  made.operand = operand_of(form, code_.substr(at), static_cast<std::uint32_t>(next));
  made.next = static_cast<std::uint32_t>(next);
  offset_ = next;
  if (form.is_switch && !read_targets(made)) instruction.reset();
  return instruction;
}

/// Of a switch: its operand is their number, they stand behind it, and they count from their end. False where they are
/// not all there.
bool Instructions::read_targets(Instruction& instruction) {
  const auto count = static_cast<std::size_t>(instruction.operand);
  if (count > (code_.size() - offset_) / 4) {
    fail();
    return false;
  }
  const char* bytes = code_.data() + offset_;
  offset_ += 4 * count;
  instruction.next = static_cast<std::uint32_t>(offset_);
  instruction.targets.resize(count);
  for (std::size_t i = 0; i < count; ++i)
    instruction.targets[i] = instruction.next + load<std::uint32_t>(bytes + (4 * i));
  return true;
}

void Instructions::fail() {
  failed_ = true;
  offset_ = code_.size();
}

// ---------------------------------------------------------------------------------------------------------------------
// The file (II.25) and the metadata's root (II.24.2.1)

std::expected<Module, std::string> Module::read(std::string_view file) {
  Module module(file);
  const auto header = module.read_headers();
  if (!header) return std::unexpected(header.error());
  const auto metadata = module.read_cli_header(*header);
  if (!metadata) return std::unexpected(metadata.error());
  const auto tables = module.read_root(*metadata);
  if (!tables) return std::unexpected(tables.error());
  if (auto done = module.read_tables(*tables); !done) return std::unexpected(std::move(done.error()));
  return module;
}

/// The PE headers; gives the CLI header.
std::expected<std::string_view, std::string> Module::read_headers() {
  const auto start = load<std::uint32_t>(file_, 0x3c);
  if (!file_.starts_with("MZ") || !start || slice(file_, *start, 4) != std::string_view("PE\0\0", 4))
    return std::unexpected("no PE file");

  const std::unexpected<std::string> short_file("damaged PE file: it ends in its headers");
  const std::size_t coff = *start + std::size_t{4};
  const auto count = load<std::uint16_t>(file_, coff + 2);
  const auto optional_size = load<std::uint16_t>(file_, coff + 16);
  if (!count || !optional_size) return short_file;
  if (*count > kMostSections) return std::unexpected("damaged PE file: it has too many sections");
  const auto optional_header = slice(file_, coff + 20, *optional_size);
  const auto sections = slice(file_, coff + 20 + *optional_size, kSectionHeaderSize * *count);
  if (!optional_header || !sections) return short_file;
  sections_ = *sections;

  const auto magic = load<std::uint16_t>(*optional_header, 0);
  if (magic != kPe32 && magic != kPe32Plus) return std::unexpected("damaged PE file: it is neither PE32 nor PE32+");
  const std::size_t directories = magic == kPe32 ? 96 : 112;
  const auto directory_count = load<std::uint32_t>(*optional_header, directories - 4).value_or(0);
  const auto rva = load<std::uint32_t>(*optional_header, directories + (8 * kCliDirectory));
  if (directory_count <= kCliDirectory || !rva || *rva == 0) return std::unexpected("no managed code");
  return at(*rva);
}

/// Gives the metadata.
std::expected<std::string_view, std::string> Module::read_cli_header(std::string_view header) {
  constexpr std::size_t kSize = 72;
  constexpr std::uint32_t kNativeEntryPoint = 0x10;
  if (header.size() < kSize) return damaged("the CLI header is not in the file");
  const auto metadata = slice(at(load<std::uint32_t>(header.data() + 8)), 0, load<std::uint32_t>(header.data() + 12));
  const auto flags = load<std::uint32_t>(header.data() + 16);
  if ((flags & kNativeEntryPoint) == 0) entry_point_ = {load<std::uint32_t>(header.data() + 20)};
  if (!metadata || load<std::uint32_t>(*metadata, 0) != kMetadataSignature)
    return damaged("its root is not in the file");
  return *metadata;
}

/// The streams; gives that of the tables.
std::expected<std::string_view, std::string> Module::read_root(std::string_view metadata) {
  const std::size_t version_size = load<std::uint32_t>(metadata, 12).value_or(0);
  const auto count = load<std::uint16_t>(metadata, 16 + version_size + 2);
  if (!count) return damaged("it ends in its root");
  std::optional<std::string_view> tables;
  std::size_t header = 16 + version_size + 4;
  for (std::size_t i = 0; i < *count; ++i) {
    const auto offset = load<std::uint32_t>(metadata, header);
    const auto size = load<std::uint32_t>(metadata, header + 4);
    if (!offset || !size) return damaged("it ends in its root");
    std::string_view name = metadata.substr(header + 8, kLongestStreamName);
    if (name.find('\0') == std::string_view::npos) return damaged("a stream's name has no end");
    name = name.substr(0, name.find('\0'));
    header += 8 + ((name.size() + 4) / 4 * 4);

    const auto stream = slice(metadata, *offset, *size);
    if (!stream) return damaged("a stream is not in the file");
    if (name == "#-") return std::unexpected("uncompressed metadata (the stream #-)");
    if (name == "#~") tables = stream;
    if (name == "#Strings") strings_ = *stream;
    if (name == "#US") user_strings_ = *stream;
    if (name == "#Blob") blobs_ = *stream;
  }
  if (!tables) return damaged("there is no stream #~");
  return *tables;
}

/// The header of #~ (II.24.2.6): how many rows each table has, and so where it is.
std::expected<void, std::string> Module::read_tables(std::string_view stream) {
  constexpr unsigned kExtraData = 0x40;  // four bytes behind the numbers of rows; written by edit-and-continue
  const auto present = load<std::uint64_t>(stream, 8);
  if (!present) return damaged("it ends in the header of its tables");
  if ((*present >> kTables) != 0) return damaged("it has unknown tables");
  if ((*present & kIndirections) != 0) return std::unexpected("uncompressed metadata (tables of indirections)");
  const unsigned heap_sizes = static_cast<std::uint8_t>(stream[6]);

  std::size_t offset = 24;
  for (std::size_t table = 0; table < kTables; ++table) {
    if ((*present >> table & 1U) == 0) continue;
    const auto count = load<std::uint32_t>(stream, offset);
    if (!count) return damaged("it ends in the header of its tables");
    if (*count > kMostRows) return damaged("a table has too many rows");
    rows_[table].count = *count;
    offset += 4;
  }
  if ((heap_sizes & kExtraData) != 0) offset += 4;

  std::size_t size = 0;
  for (std::size_t table = 0; table < kTables; ++table) {
    lay_out(table, heap_sizes);
    rows_[table].offset = size;
    size += std::size_t{rows_[table].count} * rows_[table].columns.back();
  }
  const auto tables = slice(stream, offset, size);
  if (!tables) return damaged("it ends in its tables");
  tables_ = *tables;
  return {};
}

/// Sets the columns of a table; all numbers of rows are known.
void Module::lay_out(std::size_t table, unsigned heap_sizes) {
  unsigned position = 0;
  std::size_t i = 0;
  for (; kColumns[table][i] != kEnd; ++i) {
    rows_[table].columns[i] = static_cast<std::uint8_t>(position);
    position += width(kColumns[table][i], heap_sizes);
  }
  for (; i <= kMostColumns; ++i) rows_[table].columns[i] = static_cast<std::uint8_t>(position);
}

/// 2 or 4 bytes: an index has four where two could not name each row, or the heap is that large (II.24.2.6).
unsigned Module::width(std::uint8_t column, unsigned heap_sizes) const {
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

// ---------------------------------------------------------------------------------------------------------------------
// What is in it

/// What the file has at that address, up to the end of the section.
std::string_view Module::at(std::uint32_t rva) const {
  for (std::size_t i = 0; i < sections_.size(); i += kSectionHeaderSize) {
    const char* header = sections_.data() + i;
    const auto virtual_size = load<std::uint32_t>(header + 8);
    const auto address = load<std::uint32_t>(header + 12);
    const auto size = std::min(virtual_size, load<std::uint32_t>(header + 16));
    const auto offset = load<std::uint32_t>(header + 20);
    if (rva < address || rva - address >= size || offset > file_.size()) continue;
    const std::string_view section = file_.substr(offset, size);
    return rva - address < section.size() ? section.substr(rva - address) : std::string_view();
  }
  return {};
}

/// 0 where there is no such row.
std::uint32_t Module::cell(Table table, std::uint32_t row, std::size_t column) const {
  const Rows& rows = rows_[static_cast<std::size_t>(table)];
  if (row == 0 || row > rows.count) return 0;
  const char* bytes =
      tables_.data() + rows.offset + (std::size_t{row - 1} * rows.columns.back()) + rows.columns[column];
  const bool is_short = rows.columns[column + 1] - rows.columns[column] == 2;
  return is_short ? load<std::uint16_t>(bytes) : load<std::uint32_t>(bytes);
}

/// Of #Strings; "" where it is bad or too long.
std::string_view Module::string(std::uint32_t index) const {
  if (index >= strings_.size()) return {};
  const std::string_view rest = strings_.substr(index, kLongestName + 1);
  const std::size_t end = rest.find('\0');
  return end == std::string_view::npos ? std::string_view() : rest.substr(0, end);
}

/// The last row whose cell is not beyond `value`, in a sorted column; 0 when there is none.
std::uint32_t Module::last_not_beyond(Table table, std::size_t column, std::uint32_t value) const {
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

/// The type that a nested one stands in; row 0 when it is not nested.
Token Module::enclosing(Token type) const {
  if (type.table() == Table::type_ref) {
    const Token scope = decode(kResolutionScope, cell(Table::type_ref, type.row(), kTypeRefScope));
    return scope.table() == Table::type_ref ? scope : Token();
  }
  const std::uint32_t row = last_not_beyond(Table::nested_class, kNested, type.row());
  if (cell(Table::nested_class, row, kNested) != type.row()) return {};
  return Token::of(Table::type_def, cell(Table::nested_class, row, kEnclosing));
}

/// The TypeDef whose fields or methods (a column) the row is among.
Token Module::declaring(std::size_t column, std::uint32_t row) const {
  return Token::of(Table::type_def, last_not_beyond(Table::type_def, column, row));
}

std::uint32_t Module::rows(Table table) const {
  const auto number = static_cast<std::size_t>(table);
  return number < kTables ? rows_[number].count : 0;
}

std::string Module::type_name(Token type) const {
  if (type.table() == Table::type_spec) {
    Cursor cursor(signature_of(type));
    return TypeReader(*this).type(cursor).value_or("");
  }
  if (type.table() != Table::type_def && type.table() != Table::type_ref) return {};
  std::string name;
  for (int depth = 0; type.row() != 0; ++depth, type = enclosing(type)) {
    if (depth == kDeepest || type.row() > rows(type.table())) return {};
    const std::string_view type_space = string(cell(type.table(), type.row(), kTypeNamespace));
    std::string outer(type_space);
    if (!type_space.empty()) outer += '.';
    outer += string(cell(type.table(), type.row(), kTypeName));
    if (depth != 0) outer += '+';
    name.insert(0, outer);
  }
  return name;
}

std::optional<Member> Module::member(Token token) const {
  const Table table = token.table();
  const std::uint32_t row = token.row();
  if (row == 0 || row > rows(table)) return {};
  const auto text = [&](std::size_t column) { return string(cell(table, row, column)); };
  const auto blob = [&](std::size_t column) { return heap_item(blobs_, cell(table, row, column)).value_or(""); };
  switch (table) {
    case Table::field:
      return Member{.token = token,
                    .parent = declaring(kTypeDefFields, row),
                    .name = text(kFieldName),
                    .signature = blob(kFieldSignature)};
    case Table::method_def:
      return Member{.token = token,
                    .parent = declaring(kTypeDefMethods, row),
                    .name = text(kMethodDefName),
                    .signature = blob(kMethodDefSignature)};
    case Table::member_ref:
      return Member{.token = token,
                    .parent = decode(kMemberRefParent, cell(table, row, kMemberRefClass)),
                    .name = text(kMemberRefName),
                    .signature = blob(kMemberRefSignature)};
    case Table::method_spec: {
      // Its method is a MethodDef or a MemberRef, so that this goes no deeper.
      auto method = member(decode(kMethodDefOrRef, cell(table, row, kMethodSpecMethod)));
      if (method) method->instantiation = blob(kMethodSpecInstantiation);
      return method;
    }
    default:
      return {};
  }
}

std::optional<Signature> Module::signature(std::string_view blob) const {
  Cursor cursor(blob);
  return TypeReader(*this).method(cursor);
}

std::vector<std::string> Module::type_arguments(std::string_view instantiation) const {
  Cursor cursor(instantiation);
  if (cursor.byte() != kMethodSpecKind) return {};
  TypeReader reader(*this);
  std::vector<std::string> arguments;
  const std::uint32_t count = cursor.compressed();
  for (std::uint32_t i = 0; i < count; ++i) {
    auto argument = reader.type(cursor);
    if (!argument) return {};
    arguments.push_back(std::move(*argument));
  }
  return arguments;
}

std::string_view Module::signature_of(Token token) const {
  const Table table = token.table();
  if (table != Table::type_spec && table != Table::standalone_signature) return {};
  return heap_item(blobs_, cell(table, token.row(), kBlobOnly)).value_or("");
}

std::optional<std::string> Module::user_string(Token token) const {
  if (token.table() != Table::user_string) return {};
  const auto item = heap_item(user_strings_, token.row());
  // Behind the text is one byte more (II.24.2.4).
  if (!item || item->size() / 2 > kLongestText) return {};
  return utf8_of(*item);
}

/// II.25.4: the head of a method body.
std::optional<std::string_view> Module::body(std::uint32_t method) const {
  const std::uint32_t rva = cell(Table::method_def, method, kMethodDefAddress);
  const std::uint32_t implementation = cell(Table::method_def, method, kMethodDefImplementation);
  if (rva == 0 || (implementation & kCodeType) != 0) return {};
  const std::string_view bytes = at(rva);
  if (bytes.empty()) return {};
  const auto first = static_cast<std::uint8_t>(bytes.front());
  if ((first & kBodyFormat) == kTinyBody) return slice(bytes, 1, first >> 2U);
  const auto flags = load<std::uint16_t>(bytes, 0);
  const auto size = load<std::uint32_t>(bytes, 4);
  if ((first & kBodyFormat) != kFatBody || !size || *flags >> 12U != kFatHeaderSize / 4) return {};
  return slice(bytes, kFatHeaderSize, *size);
}

std::vector<std::string_view> Module::references() const {
  std::vector<std::string_view> names(rows(Table::assembly_ref));
  for (std::uint32_t i = 0; i < names.size(); ++i)
    names[i] = string(cell(Table::assembly_ref, i + 1, kAssemblyRefName));
  return names;
}

}  // namespace portshim::metadata
