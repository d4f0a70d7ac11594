// The instructions of a method body (ECMA-335, partition III). Pure; every offset is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace portshim::il {

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

}  // namespace portshim::il
