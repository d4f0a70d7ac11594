#include "shim/metadata.h"

#include <algorithm>
#include <utility>

#include "shim/bytes.h"
#include "shim/utf8.h"

namespace portshim::metadata {
namespace {

using namespace tables;  // columns by their position
using bytes::load;
using bytes::slice;

// What a hostile file may cost. Each is far above what compilers write.
constexpr std::size_t kMostSections = 96;   // as Windows' loader
constexpr std::size_t kLongestName = 2048;  // bytes; the runtime takes 1024 characters

// II.25.2 and II.25.3
constexpr std::uint16_t kPe32 = 0x10b;
constexpr std::uint16_t kPe32Plus = 0x20b;
constexpr std::size_t kCliDirectory = 14;
constexpr std::size_t kSectionHeaderSize = 40;

// II.24.2
constexpr std::uint32_t kMetadataSignature = 0x424a5342;
constexpr std::size_t kLongestStreamName = 32;

// II.23.1.10 and II.25.4
constexpr std::uint32_t kCodeType = 0x3;  // 0 is IL
constexpr std::uint8_t kBodyFormat = 0x3;
constexpr std::uint8_t kTinyBody = 0x2;
constexpr std::uint8_t kFatBody = 0x3;
constexpr std::size_t kFatHeaderSize = 12;

std::unexpected<std::string> damaged(std::string_view what) {
  return std::unexpected("damaged metadata: " + std::string(what));
}

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

}  // namespace

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
  auto read = tables::Tables::read(*tables);
  if (!read) return std::unexpected(std::move(read.error()));
  module.tables_ = *std::move(read);
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

/// Of #Strings; "" where it is bad or too long.
std::string_view Module::string(std::uint32_t index) const {
  if (index >= strings_.size()) return {};
  const std::string_view rest = strings_.substr(index, kLongestName + 1);
  const std::size_t end = rest.find('\0');
  return end == std::string_view::npos ? std::string_view() : rest.substr(0, end);
}

/// The type that a nested one stands in; row 0 when it is not nested.
Token Module::enclosing(Token type) const {
  if (type.table() == Table::type_ref) {
    const Token scope = decode(Coded::resolution_scope, tables_.cell(Table::type_ref, type.row(), kTypeRefScope));
    return scope.table() == Table::type_ref ? scope : Token();
  }
  const std::uint32_t row = tables_.last_not_beyond(Table::nested_class, kNested, type.row());
  if (tables_.cell(Table::nested_class, row, kNested) != type.row()) return {};
  return Token::of(Table::type_def, tables_.cell(Table::nested_class, row, kEnclosing));
}

/// The TypeDef whose fields or methods (a column) the row is among.
Token Module::declaring(std::size_t column, std::uint32_t row) const {
  return Token::of(Table::type_def, tables_.last_not_beyond(Table::type_def, column, row));
}

std::string Module::type_name(Token type) const {
  if (type.table() == Table::type_spec) {
    return signature::read_type(signature_of(type), *this).value_or("");
  }
  if (type.table() != Table::type_def && type.table() != Table::type_ref) return {};
  std::string name;
  for (int depth = 0; type.row() != 0; ++depth, type = enclosing(type)) {
    if (depth == signature::kDeepest || type.row() > tables_.rows(type.table())) return {};
    const std::string_view type_space = string(tables_.cell(type.table(), type.row(), kTypeNamespace));
    std::string outer(type_space);
    if (!type_space.empty()) outer += '.';
    outer += string(tables_.cell(type.table(), type.row(), kTypeName));
    if (depth != 0) outer += '+';
    name.insert(0, outer);
  }
  return name;
}

std::optional<Member> Module::member(Token token) const {
  const Table table = token.table();
  const std::uint32_t row = token.row();
  if (row == 0 || row > tables_.rows(table)) return {};
  const auto text = [&](std::size_t column) { return string(tables_.cell(table, row, column)); };
  const auto blob = [&](std::size_t column) {
    return signature::heap_item(blobs_, tables_.cell(table, row, column)).value_or("");
  };
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
                    .parent = decode(Coded::member_ref_parent, tables_.cell(table, row, kMemberRefClass)),
                    .name = text(kMemberRefName),
                    .signature = blob(kMemberRefSignature)};
    case Table::method_spec: {
      // Its method is a MethodDef or a MemberRef, so that this goes no deeper.
      auto method = member(decode(Coded::method_def_or_ref, tables_.cell(table, row, kMethodSpecMethod)));
      if (method) method->instantiation = blob(kMethodSpecInstantiation);
      return method;
    }
    default:
      return {};
  }
}

std::vector<std::string> Module::type_arguments(std::string_view instantiation) const {
  return signature::read_type_arguments(instantiation, *this);
}

std::optional<Signature> Module::signature(std::string_view blob) const {
  return signature::read_method(blob, *this);
}

std::string_view Module::signature_of(Token token) const {
  const Table table = token.table();
  if (table != Table::type_spec && table != Table::standalone_signature) return {};
  return signature::heap_item(blobs_, tables_.cell(table, token.row(), kBlobOnly)).value_or("");
}

std::optional<std::string> Module::user_string(Token token) const {
  if (token.table() != Table::user_string) return {};
  const auto item = signature::heap_item(user_strings_, token.row());
  // Behind the text is one byte more (II.24.2.4).
  if (!item || item->size() / 2 > kLongestText) return {};
  return utf8_of(*item);
}

/// II.25.4: the head of a method body.
std::optional<std::string_view> Module::body(std::uint32_t method) const {
  const std::uint32_t rva = tables_.cell(Table::method_def, method, kMethodDefAddress);
  const std::uint32_t implementation = tables_.cell(Table::method_def, method, kMethodDefImplementation);
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
  std::vector<std::string_view> names(tables_.rows(Table::assembly_ref));
  for (std::uint32_t i = 0; i < names.size(); ++i)
    names[i] = string(tables_.cell(Table::assembly_ref, i + 1, kAssemblyRefName));
  return names;
}

}  // namespace portshim::metadata
