#include "shim/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "shim/il.h"

namespace portshim::metadata {
namespace {

using namespace std::literals;
using testing::AnyOf;
using testing::Eq;
using testing::StartsWith;

/// data/assemblies/small.cs, compiled.
const std::string& small() {
  static const std::string content = [] {
    std::ifstream file(PORTSHIM_TEST_DATA "/assemblies/small.dll", std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  return content;
}

std::string error_of(std::string_view file) {
  const auto module = Module::read(file);
  return module ? "" : module.error();
}

/// small.dll with other bytes at a place; for headers, counted from `from`.
std::string with(std::size_t offset, std::string_view bytes) {
  return std::string(small()).replace(offset, bytes.size(), bytes);
}

std::size_t place_of(std::string_view text) {
  return small().find(text);
}

std::size_t pe_header() {
  return static_cast<unsigned char>(small()[0x3c]);
}

/// Everything that a module gives, as a number, so that none of it is left out.
std::size_t read_all(const Module& module) {
  std::size_t sum = module.references().size();
  for (unsigned number = 0; number < 0x2d; ++number) {
    const auto table = static_cast<Table>(number);
    for (std::uint32_t row = 1; row <= module.rows(table); ++row) {
      const Token token = Token::of(table, row);
      sum += module.type_name(token).size() + module.signature_of(token).size();
      const auto member = module.member(token);
      if (!member) continue;
      const auto signature = module.signature(member->signature);
      sum += module.type_name(member->parent).size() + (signature ? signature->returns.size() : 0);
      sum += module.type_arguments(member->instantiation).size();
    }
  }
  for (std::uint32_t row = 1; row <= module.rows(Table::method_def); ++row) {
    il::Instructions instructions(module.body(row).value_or(""));
    while (const auto instruction = instructions.next())
      sum += module.user_string({static_cast<std::uint32_t>(instruction->operand)}).value_or("").size();
  }
  return sum;
}

TEST(Metadata, WhatIsNoManagedAssemblyIsRefusedWithTheReason) {
  EXPECT_EQ(error_of(""), "no PE file");
  EXPECT_EQ(error_of("MZ"), "no PE file");
  EXPECT_EQ(error_of("\177ELF" + std::string(500, '\0')), "no PE file");
  EXPECT_EQ(error_of(with(pe_header(), "NE")), "no PE file");
  EXPECT_EQ(error_of(with(pe_header() + 24, "\7\1")), "damaged PE file: it is neither PE32 nor PE32+");
  EXPECT_EQ(error_of(with(pe_header() + 6, "\xff\xff")), "damaged PE file: it has too many sections");
  EXPECT_EQ(error_of(small().substr(0, pe_header() + 24)), "damaged PE file: it ends in its headers");
  const std::size_t directory = pe_header() + 24 + 96 + 14 * 8;
  EXPECT_EQ(error_of(with(directory, "\0\0\0\0"sv)), "no managed code");
  EXPECT_EQ(error_of(with(pe_header() + 24 + 92, "\x0e\0\0\0"sv)), "no managed code");
  EXPECT_EQ(error_of(with(directory, "\0\0\0\x70"sv)), "damaged metadata: the CLI header is not in the file");
}

TEST(Metadata, DamageOfTheRootIsToldWithTheReason) {
  const std::size_t root = place_of("BSJB");
  EXPECT_EQ(error_of(with(root, "BSJC")), "damaged metadata: its root is not in the file");
  EXPECT_EQ(error_of(with(root + 12, "\xff\xff\xff\xff")), "damaged metadata: it ends in its root");
  EXPECT_EQ(error_of(with(place_of("#~\0\0"sv), "#-")), "uncompressed metadata (the stream #-)");
  EXPECT_EQ(error_of(with(place_of("#~\0\0"sv), "#x")), "damaged metadata: there is no stream #~");
  EXPECT_EQ(error_of(with(place_of("#~\0\0"sv) - 8, "\xff\xff\xff\x7f")),
            "damaged metadata: a stream is not in the file");
  EXPECT_EQ(error_of(with(root + 30, "\xff\xff")), "damaged metadata: a stream is not in the file");
}

TEST(Metadata, DamageOfTheTablesIsToldWithTheReason) {
  const std::size_t stream = place_of("BSJB") + static_cast<unsigned char>(small()[place_of("#~\0\0"sv) - 8]);
  EXPECT_EQ(error_of(with(stream + 8 + 7, "\x80")), "damaged metadata: it has unknown tables");
  EXPECT_EQ(error_of(with(stream + 8, "\x4f")), "uncompressed metadata (tables of indirections)");
  EXPECT_EQ(error_of(with(stream + 24, "\xff\xff\xff\xff")), "damaged metadata: a table has too many rows");
  EXPECT_EQ(error_of(with(stream + 24, "\xff\xff\xff\0"sv)), "damaged metadata: it ends in its tables");
}

TEST(Metadata, EveryPrefixOfAnAssemblyIsRefusedOrRead) {
  ASSERT_GT(small().size(), 1000);
  for (std::size_t size = 0; size < small().size(); ++size) {
    const std::string prefix = small().substr(0, size);  // of its own, so that AddressSanitizer sees its end
    const auto module = Module::read(prefix);
    if (module) {
      (void)read_all(*module);
    } else {
      ASSERT_THAT(module.error(),
                  AnyOf(Eq("no PE file"), StartsWith("damaged PE file: "), StartsWith("damaged metadata: ")));
    }
  }
  EXPECT_THAT(error_of(small().substr(0, small().size() / 2)), StartsWith("damaged"));
}

TEST(Metadata, AFlippedBitInAnyByteLeavesAFileThatIsRefusedOrRead) {
  std::string file = small();
  std::size_t refused = 0;
  for (std::size_t i = 0; i < file.size(); ++i) {
    const char original = file[i];
    file[i] = static_cast<char>(original ^ static_cast<char>(1U << (i % 8)));
    if (const auto module = Module::read(file))
      (void)read_all(*module);
    else
      ++refused;
    file[i] = original;
  }
  EXPECT_GT(refused, 50);
}

TEST(Metadata, ARowThatIsNotThereIsNothing) {
  const auto module = Module::read(small());
  ASSERT_TRUE(module) << module.error();
  const Table tables[] = {Table::type_ref,   Table::type_def,    Table::field,       Table::method_def,
                          Table::member_ref, Table::type_spec,   Table::method_spec, Table::standalone_signature,
                          Table::module_ref, Table::user_string, Table{0x7f},        Table{0xff}};
  for (const Table table : tables) {
    for (const std::uint32_t row : {0U, module->rows(table) + 1, 0xffffffU}) {
      const Token token = Token::of(table, row);
      EXPECT_EQ(module->type_name(token), "");
      EXPECT_FALSE(module->member(token));
      EXPECT_EQ(module->signature_of(token), "");
    }
  }
  EXPECT_FALSE(module->body(0));
  EXPECT_FALSE(module->body(module->rows(Table::method_def) + 1));
  EXPECT_FALSE(module->user_string(Token::of(Table::user_string, 0xffffff)));
  EXPECT_FALSE(module->user_string(Token::of(Table::member_ref, 1)));
}

TEST(Metadata, AMemberSaysItsTypeItsNameAndItsGenericArguments) {
  const auto module = Module::read(small());
  ASSERT_TRUE(module) << module.error();
  const auto entry = module->member(module->entry_point());
  ASSERT_TRUE(entry);
  EXPECT_EQ(module->type_name(entry->parent), "Small.Space.Program");
  EXPECT_EQ(entry->name, "Main");
  EXPECT_EQ(module->signature(entry->signature)->parameters, std::vector<std::string>{"System.String[]"});
  const auto generic = module->member(Token::of(Table::method_spec, 1));
  ASSERT_TRUE(generic);
  EXPECT_EQ(generic->name, "Name");
  EXPECT_EQ(generic->token.table(), Table::method_def);
  EXPECT_EQ(module->type_arguments(generic->instantiation),
            std::vector<std::string>{"Small.Space.Outer`1+Inner<System.Int32>"});
  EXPECT_EQ(module->references(), (std::vector<std::string_view>{"System.Runtime", "System.Collections"}));
}

TEST(Metadata, AnEntryPointOfNativeCodeIsNone) {
  const std::size_t flags = place_of("\x48\0\0\0\2\0\5\0"sv) + 16;
  const std::string file = with(flags, "\x10");
  const auto module = Module::read(file);
  ASSERT_TRUE(module) << module.error();
  EXPECT_EQ(module->entry_point().row(), 0);
}

/// The text of a signature's return type, whose blob is `type`.
std::string return_type(std::string_view type) {
  const auto module = Module::read(small());
  const auto signature = module->signature("\0\0"s.append(type));
  return signature ? signature->returns : "bad";
}

TEST(Metadata, TypesAreWrittenByFullName) {
  EXPECT_EQ(return_type("\x01"), "System.Void");
  EXPECT_EQ(return_type("\x1d\x0e"), "System.String[]");
  EXPECT_EQ(return_type("\x14\x08\x03\0\0"sv), "System.Int32[,,]");
  EXPECT_EQ(return_type("\x14\x08\x02\x02\x05\x06\x01\x01"), "System.Int32[,]");
  EXPECT_EQ(return_type("\x10\x0f\x05"), "System.Byte*&");
  EXPECT_EQ(return_type("\x13\x01"), "!1");
  EXPECT_EQ(return_type("\x1e\x80\x90"), "!!144");
  EXPECT_EQ(return_type("\x1b\0\1\x01\x08"sv), "method System.Void*(System.Int32)");
  EXPECT_EQ(return_type("\x12\x80\xf1"), "?");  // a TypeRef that is not there
}

TEST(Metadata, ASignatureThatIsBadIsNothing) {
  const auto module = Module::read(small());
  EXPECT_FALSE(module->signature(""));
  EXPECT_FALSE(module->signature("\x06\x08"sv));          // of a field
  EXPECT_FALSE(module->signature("\0\2\1\x08"sv));        // a parameter is missing
  EXPECT_FALSE(module->signature("\0\xff\x01"sv));        // no compressed integer
  EXPECT_FALSE(module->signature("\0\0\x1d"sv));          // an array of nothing
  EXPECT_FALSE(module->signature("\0\0\x14\x08\0\0"sv));  // without a dimension
  EXPECT_FALSE(module->signature("\0\0\x77"sv));
  EXPECT_TRUE(module->signature("\0\xc0\0\0\0\1"sv));  // a long form of 0
  EXPECT_FALSE(module->signature("\0\xdf\xff\xff\xff\1"sv));
}

TEST(Metadata, TypesThatAreTooDeepOrTooManyAreNothing) {
  EXPECT_EQ(return_type(std::string(30, '\x1d') + "\x08").substr(0, 14), "System.Int32[]");
  EXPECT_EQ(return_type(std::string(40, '\x1d') + "\x08"), "bad");
  EXPECT_EQ(return_type(std::string(1'000'000, '\x1d')), "bad");
  EXPECT_EQ(return_type(std::string(1'000'000, '\x20') + "\x08"), "bad");
  const auto module = Module::read(small());
  EXPECT_EQ(module->signature("\0\x7f\1"s + std::string(127, '\x08'))->parameters.size(), 127);
  EXPECT_FALSE(module->signature("\0\xc0\x10\0\0\1"s + std::string(0x100000, '\x08')));
}

TEST(Metadata, ATypeThatIsMadeOfItselfHasNoName) {
  const std::size_t blob = place_of("\x15\x12\x10\x01\x0a");  // Outer`1+Inner<System.Int64>
  ASSERT_NE(blob, std::string::npos);
  const std::string file = with(blob + 2, "\x06");  // row 1 of TypeSpec
  const auto module = Module::read(file);
  ASSERT_TRUE(module) << module.error();
  EXPECT_EQ(Module::read(small())->type_name(Token::of(Table::type_spec, 1)),
            "Small.Space.Outer`1+Inner<System.Int64>");
  EXPECT_EQ(module->type_name(Token::of(Table::type_spec, 1)), "");
}

}  // namespace
}  // namespace portshim::metadata
