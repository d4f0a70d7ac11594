#include "shim/il.h"

#include <array>
#include <initializer_list>

#include "shim/bytes.h"

namespace portshim::il {
namespace {

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

/// The operand at the start of `text`, where all of it is. Without a branch for each kind, since which one comes next
/// cannot be foreseen, and a wrong guess costs more than all the rest.
std::int64_t operand_of(Form form, std::string_view text, std::uint32_t next) {
  std::uint64_t raw = 0;
  if (text.size() >= sizeof raw)
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): its size is known
    raw = bytes::load<std::uint64_t>(text.data());
  else
    for (std::size_t i = 0; i < text.size(); ++i) raw |= std::uint64_t{static_cast<std::uint8_t>(text[i])} << (8 * i);
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
    instruction.targets[i] = instruction.next + bytes::load<std::uint32_t>(bytes + (4 * i));
  return true;
}

void Instructions::fail() {
  failed_ = true;
  offset_ = code_.size();
}

}  // namespace portshim::il
