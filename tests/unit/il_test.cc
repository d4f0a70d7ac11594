#include "shim/il.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace portshim::il {
namespace {

using namespace std::literals;

/// The instructions as "OFFSET:OPCODE OPERAND [TARGETS]", one behind the other; at the end "failed" if so.
std::string decoded(std::string_view code) {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : " | ") + text; };
  Instructions instructions(code);
  while (const auto instruction = instructions.next()) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string opcode;
    unsigned rest = instruction->opcode;
    do opcode.insert(0, 1, kDigits[rest % 16]);
    while ((rest /= 16) != 0);
    std::string targets;
    for (const std::uint32_t target : instruction->targets) targets += " >" + std::to_string(target);
    add(std::to_string(instruction->offset) + ":" + opcode + " " + std::to_string(instruction->operand) + targets);
  }
  if (instructions.failed()) add("failed");
  return out;
}

TEST(Il, OperandsAreOfTheKindThatTheOpcodeHas) {
  EXPECT_EQ(decoded("\0\x2a"sv), "0:0 0 | 1:2a 0");
  EXPECT_EQ(decoded("\x1f\x80"), "0:1f -128");                                         // ldc.i4.s
  EXPECT_EQ(decoded("\x20\xfe\xff\xff\xff"), "0:20 -2");                               // ldc.i4
  EXPECT_EQ(decoded("\x21\1\0\0\0\0\0\0\x80"sv), "0:21 -9223372036854775807");         // ldc.i8
  EXPECT_EQ(decoded("\x22\0\0\x80\xbf"sv), "0:22 3212836864");                         // ldc.r4 -1
  EXPECT_EQ(decoded("\x72\1\0\0\x70"sv), "0:72 1879048193");                           // ldstr
  EXPECT_EQ(decoded("\x11\xff"), "0:11 255");                                          // ldloc.s
  EXPECT_EQ(decoded("\xfe\x0c\xff\xff"), "0:fe0c 65535");                              // ldloc
  EXPECT_EQ(decoded("\xfe\1\xfe\x16\2\0\0\1"sv), "0:fe01 0 | 2:fe16 16777218");        // ceq, constrained.
  EXPECT_EQ(decoded("\xfe\x12\1\xfe\x13\xfe\x14"), "0:fe12 1 | 3:fe13 0 | 5:fe14 0");  // prefixes
}

TEST(Il, ShortFormsHaveTheirOperand) {
  EXPECT_EQ(decoded("\2\5\6\x9\xa\xd"), "0:2 0 | 1:5 3 | 2:6 0 | 3:9 3 | 4:a 0 | 5:d 3");
  EXPECT_EQ(decoded("\x15\x16\x17\x1e"), "0:15 -1 | 1:16 0 | 2:17 1 | 3:1e 8");
}

TEST(Il, BranchesNameTheOffsetOfTheirTarget) {
  EXPECT_EQ(decoded("\x2b\xfe\x38\4\0\0\0\xde\0"sv), "0:2b 0 | 2:38 11 | 7:de 9");
  EXPECT_EQ(decoded("\x2b\x80"), "0:2b -126");  // to nowhere
  EXPECT_EQ(decoded("\x45\2\0\0\0\0\0\0\0\xf3\xff\xff\xff\x2a"sv), "0:45 2 >13 >0 | 13:2a 0");
  EXPECT_EQ(decoded("\x45\0\0\0\0\x2a"sv), "0:45 0 | 5:2a 0");
}

TEST(Il, BytesThatAreNoInstructionEndTheCode) {
  EXPECT_EQ(decoded(""), "");
  EXPECT_EQ(decoded("\x2a\x24"), "0:2a 0 | failed");
  EXPECT_EQ(decoded("\xfe"), "failed");
  EXPECT_EQ(decoded("\xfe\xff"), "failed");
  EXPECT_EQ(decoded("\x20\1\1\1"), "failed");
  EXPECT_EQ(decoded("\x45\xff\xff\xff\xff\0\0\0\0"sv), "failed");
  EXPECT_EQ(decoded("\x45\1\0\0\0\1\0\0"sv), "failed");
  Instructions instructions("\x24\x2a");
  EXPECT_FALSE(instructions.next());
  EXPECT_FALSE(instructions.next());
  EXPECT_TRUE(instructions.failed());
}

}  // namespace
}  // namespace portshim::il
