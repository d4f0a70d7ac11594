// What portshim reads in assemblies, as text that reference/Dump.cs writes too, from System.Reflection.Metadata.
//
//   metadata_dump hash <LIST      for each path of LIST: the hash of its text, or "refused: WHY", a tab, and the path
//   metadata_dump text PATH       its text

#include <fmt/format.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shim/il.h"
#include "shim/metadata.h"
#include "shim/utf8.h"

namespace portshim::metadata {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::string text(static_cast<std::size_t>(file.tellg()), '\0');
  file.seekg(0);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  return text;
}

/// The text of one assembly.
class Dump {
 public:
  explicit Dump(const Module& module) : module_(module) {}

  std::string write() {
    line("entry {:08x}", module_.entry_point().value);
    for (const std::string_view name : module_.references()) line("reference {}", utf8::valid(name));
    each(Table::member_ref, [&](Token token) { line("member {}{}", name(token), signature(token)); });
    each(Table::method_spec, [&](Token token) {
      const auto arguments = module_.type_arguments(module_.member(token).value_or(Member()).instantiation);
      line("specification {}<{}>", name(token), utf8::valid(fmt::format("{}", fmt::join(arguments, ","))));
    });
    each(Table::field, [&](Token token) { line("field {}", name(token)); });
    each(Table::method_def, [&](Token token) {
      line("method {}{}", name(token), signature(token));
      if (const auto code = module_.body(token.row())) write_code(*code);
    });
    return std::move(out_);
  }

 private:
  template <typename... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Arguments>(arguments)...);
    out_ += '\n';
  }

  template <typename Function>
  void each(Table table, Function function) {
    for (std::uint32_t row = 1; row <= module_.rows(table); ++row) function(Token::of(table, row));
  }

  const std::string& name(Token token) {
    const auto [entry, is_new] = names_.try_emplace(token.value, "?");
    if (!is_new) return entry->second;
    if (const auto member = module_.member(token))
      entry->second = utf8::valid(module_.type_name(member->parent)) + "::" + utf8::valid(member->name);
    return entry->second;
  }

  std::string signature(Token token) {
    constexpr char kField = 0x06;
    const std::string_view blob = module_.member(token).value_or(Member()).signature;
    if (blob.starts_with(kField)) return "";
    const auto signature = module_.signature(blob);
    if (!signature) return " bad";
    return utf8::valid(fmt::format(" {}{}({})", signature->has_this ? "instance " : "", signature->returns,
                                   fmt::join(signature->parameters, ",")));
  }

  void write_code(std::string_view code) {
    il::Instructions instructions(code);
    while (const auto instruction = instructions.next()) write(*instruction);
    if (instructions.failed()) line("  no instruction");
  }

  void write(const il::Instruction& instruction) {
    const unsigned opcode = instruction.opcode;
    const Token token{static_cast<std::uint32_t>(instruction.operand)};
    switch (opcode) {
      case 0x72:
        line("  \"{}\"", module_.user_string(token).value_or("too long"));
        return;
      case 0x45:
        for (const std::uint32_t target : instruction.targets) line("  case {}", static_cast<std::int32_t>(target));
        return;
      case 0x27:
      case 0x28:
      case 0x6f:
      case 0x73:
      case 0xfe06:
      case 0xfe07:
        line("  {:x} {}", opcode, name(token));
        return;
      default:
        break;
    }
    if ((opcode >= 0x2b && opcode <= 0x44) || opcode == 0xdd || opcode == 0xde) line("  to {}", instruction.operand);
    const bool is_constant = opcode == 0x1f || opcode == 0x20 || opcode == 0x21 || opcode == 0x23;
    if (is_constant || opcode == 0xfe12 || opcode == 0xfe19) line("  constant {}", instruction.operand);
  }

  const Module& module_;
  std::unordered_map<std::uint32_t, std::string> names_;
  std::string out_;
};

/// FNV-1a, 64 bits.
std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
  return hash;
}

std::string summary(const std::string& path) {
  const std::string file = contents(path);
  const auto module = Module::read(file);
  return module ? fmt::format("{:016x}", fnv1a(Dump(*module).write())) : "refused: " + module.error();
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 2 && arguments[0] == "text") {
    const std::string file = contents(arguments[1]);
    const auto module = Module::read(file);
    std::cout << (module ? Dump(*module).write() : module.error() + "\n");
    return 0;
  }
  if (arguments != std::vector<std::string>{"hash"}) return 2;
  for (std::string path; std::getline(std::cin, path);) std::cout << summary(path) << '\t' << path << '\n';
  return 0;
}

}  // namespace
}  // namespace portshim::metadata

int main(int argc, char** argv) {
  return portshim::metadata::run({argv + 1, argv + argc});
}
