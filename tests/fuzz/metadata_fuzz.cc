// Reads everything that metadata.h offers of a file with any content: it must end without a fault, soon, and within the
// memory that libFuzzer allows.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "shim/assembly.h"
#include "shim/deps.h"
#include "shim/il.h"
#include "shim/metadata.h"

namespace portshim::metadata {
namespace {

/// What must hold of any file.
void require(bool condition) {
  if (!condition) std::abort();
}

std::size_t read_member(const Module& module, Token token) {
  const auto member = module.member(token);
  if (!member) return 0;
  std::size_t sum = module.type_name(member->parent).size() + member->name.size();
  if (const auto signature = module.signature(member->signature)) sum += signature->parameters.size();
  return sum + module.type_arguments(member->instantiation).size();
}

std::size_t read_code(const Module& module, std::string_view code) {
  std::size_t sum = 0;
  il::Instructions instructions(code);
  std::uint32_t end = 0;
  while (const auto instruction = instructions.next()) {
    require(instruction->offset == end && instruction->next > end && instruction->next <= code.size());
    require(instruction->targets.size() <= code.size() / 4);
    end = instruction->next;
    const Token token{static_cast<std::uint32_t>(instruction->operand)};
    if (const auto text = module.user_string(token)) sum += text->size();
    sum += read_member(module, token);
  }
  require(instructions.failed() || end == code.size());
  return sum;
}

/// The most rows of a table and instructions' bytes that are looked at: names may overlap, and then everything is more
/// than a fuzzer has time for.
constexpr std::uint32_t kMostRows = 500;
constexpr std::size_t kMostCode = 4096;

std::size_t read_all(std::string_view file) {
  const auto module = Module::read(file);
  if (!module) return module.error().size();
  std::size_t sum = module->references().size() + read_member(*module, module->entry_point());
  for (unsigned number = 0; number < 0x100; ++number) {
    const auto table = static_cast<Table>(number);
    for (std::uint32_t row = 0; row <= module->rows(table) && row <= kMostRows; ++row) {
      const Token token = Token::of(table, row);
      sum += read_member(*module, token) + module->type_name(token).size() + module->signature_of(token).size();
    }
    sum += read_member(*module, Token::of(table, 0xffffff)) + module->type_name(Token::of(table, 0xffffff)).size();
  }
  for (std::uint32_t row = 0; row <= module->rows(Table::method_def) + 1 && row <= kMostRows; ++row)
    if (const auto code = module->body(row)) sum += read_code(*module, code->substr(0, kMostCode));
  return sum;
}

}  // namespace
}  // namespace portshim::metadata

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as text
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)portshim::metadata::read_all(bytes);
  (void)portshim::assembly::read(bytes, "App.dll");
  (void)portshim::deps::projects(bytes);
  return 0;
}
