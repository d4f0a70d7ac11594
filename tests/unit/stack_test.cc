#include "shim/stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace portshim::stack {
namespace {

using metadata::Token;
using testing::ElementsAre;

// Methods of the module that the tests make up.
constexpr std::uint32_t kUse = 0x0a000001;      // static void Use(x)
constexpr std::uint32_t kUseTwo = 0x0a000002;   // static void Use(x, y)
constexpr std::uint32_t kMake = 0x0a000003;     // static object Make(x)
constexpr std::uint32_t kAction = 0x0a000004;   // void Action::.ctor(object, native int)
constexpr std::uint32_t kConcat = 0x0a000005;   // static string String::Concat(string, string)
constexpr std::uint32_t kCreate = 0x0a000006;   // the interpolated string handler's constructor, ...
constexpr std::uint32_t kAppend = 0x0a000007;   // AppendLiteral and AppendFormatted,
constexpr std::uint32_t kFinish = 0x0a000008;   // ToStringAndClear
constexpr std::uint32_t kUnknown = 0x0a000009;  // bad
constexpr std::uint32_t kLambda = 0x06000001;
constexpr std::uint32_t kField = 0x04000001;     // unknown
constexpr std::uint32_t kConstant = 0x04000002;  // 443

class FakeSource : public Source {
 public:
  Shape method(Token token) override {
    static const std::map<std::uint32_t, Shape> shapes = {{kUse, {true, 1, false}},    {kUseTwo, {true, 2, false}},
                                                          {kMake, {true, 1, true}},    {kAction, {true, 3, false}},
                                                          {kConcat, {true, 2, true}},  {kCreate, {true, 3, false}},
                                                          {kAppend, {true, 2, false}}, {kFinish, {true, 1, true}}};
    const auto found = shapes.find(token.value);
    return found == shapes.end() ? Shape{} : found->second;
  }
  Special special(Token token) override {
    switch (token.value) {
      case kConcat:
        return Special::concat;
      case kCreate:
        return Special::handler_create;
      case kAppend:
        return Special::handler_append;
      case kFinish:
        return Special::handler_finish;
      default:
        return Special::none;
    }
  }
  /// "A" has token 0x70000041.
  std::shared_ptr<const std::string> user_string(Token token) override {
    return std::make_shared<const std::string>(1, static_cast<char>(token.row()));
  }
  Value field(Token token) override {
    return token.value == kConstant ? integer(443) : Value{.kind = Kind::field, .token = token};
  }
};

// IL, byte for byte.
std::string op(int opcode) {
  return {static_cast<char>(opcode)};
}
std::string op(int opcode, int operand) {
  return {static_cast<char>(opcode), static_cast<char>(operand)};
}
std::string op32(int opcode, std::uint32_t operand) {
  std::string out = op(opcode);
  for (unsigned shift = 0; shift < 32; shift += 8) out += static_cast<char>(operand >> shift & 0xffU);
  return out;
}
std::string ldc(int number) {
  return op32(0x20, static_cast<std::uint32_t>(number));
}
std::string ldstr(char letter) {
  return op32(0x72, 0x70000000U + static_cast<unsigned char>(letter));
}
std::string call(std::uint32_t token) {
  return op32(0x28, token);
}
std::string ldftn(std::uint32_t token) {
  return op(0xfe) + op32(0x06, token);
}
const std::string kRet = op(0x2a), kDup = op(0x25), kPop = op(0x26), kLdnull = op(0x14), kLdarg = op(0x02);
const std::string kLdloc = op(0x06), kStloc = op(0x0a);
std::string br(int distance) {
  return op(0x2b, distance);
}
std::string brtrue(int distance) {
  return op(0x2d, distance);
}

std::string show(const Value& value) {
  switch (value.kind) {
    case Kind::unknown:
      return "?";
    case Kind::null:
      return "null";
    case Kind::integer:
      return std::to_string(value.number);
    case Kind::text:
      return '"' + *value.text + '"';
    case Kind::function:
      return "function " + std::to_string(value.token.row());
    case Kind::field:
      return "field " + std::to_string(value.token.row());
    case Kind::address:
      return "address " + std::to_string(value.number);
    case Kind::array:
    case Kind::result:
      break;
  }
  std::string out = value.kind == Kind::array ? "[" : "result " + std::to_string(value.token.row()) + "(";
  if (value.items != nullptr) {
    for (const Value& item : *value.items) out.append(&item == value.items->data() ? "" : ", ").append(show(item));
  }
  return out + (value.kind == Kind::array ? "]" : ")");
}

/// The arguments of every call of Use in the IL.
std::vector<std::string> used(std::string_view code) {
  std::vector<std::string> out;
  FakeSource source;
  run(code, source, [&out](const Event& event) {
    if (event.kind != Event::Kind::call || (event.token.value != kUse && event.token.value != kUseTwo)) return;
    std::string arguments;
    for (const Value& value : event.arguments) arguments.append(arguments.empty() ? "" : ", ").append(show(value));
    out.push_back(arguments);
  });
  return out;
}

TEST(Stack, ConstantsOfTheCodeReachTheCall) {
  EXPECT_THAT(used(ldc(80) + call(kUse) + ldstr('A') + call(kUse) + kLdnull + call(kUse)),
              ElementsAre("80", "\"A\"", "null"));
  EXPECT_THAT(used(op(0x1f, -1) + call(kUse) + op(0x17) + call(kUse)), ElementsAre("-1", "1"));
  EXPECT_THAT(used(ldc(80) + ldstr('B') + call(kUseTwo)), ElementsAre("80, \"B\""));
}

TEST(Stack, ArgumentsOfTheMethodAndResultsOfCallsAreNotConstants) {
  EXPECT_THAT(used(kLdarg + call(kUse)), ElementsAre("?"));
  EXPECT_THAT(used(ldc(80) + call(kMake) + call(kUse)), ElementsAre("result 3(80)"));
  EXPECT_THAT(used(ldc(8) + kLdarg + call(kUnknown) + call(kUse)), ElementsAre("?"));
}

TEST(Stack, ConversionsKeepAnIntegerAndArithmeticOtherThanSumsDoesNot) {
  EXPECT_THAT(used(ldc(80) + op(0xd1) + op(0x6a) + call(kUse)), ElementsAre("80"));
  EXPECT_THAT(used(ldc(80) + op(0x6c) + call(kUse)), ElementsAre("?"));
  EXPECT_THAT(used(ldc(8000) + ldc(80) + op(0x58) + call(kUse)), ElementsAre("8080"));
  EXPECT_THAT(used(ldc(90) + ldc(10) + op(0x59) + call(kUse)), ElementsAre("80"));
  EXPECT_THAT(used(ldc(90) + ldc(10) + op(0x5a) + call(kUse)), ElementsAre("?"));
}

// condition ? a : b
std::string choice(const std::string& a, const std::string& b) {
  return kLdarg + brtrue(static_cast<int>(b.size()) + 2) + b + br(static_cast<int>(a.size())) + a;
}

TEST(Stack, WhereTwoPathsMeetWithDifferentValuesItIsUnknown) {
  EXPECT_THAT(used(choice(ldc(80), ldc(5000)) + call(kUse)), ElementsAre("?"));
  EXPECT_THAT(used(choice(ldc(80), ldc(80)) + call(kUse)), ElementsAre("80"));
  EXPECT_THAT(used(choice(ldstr('A'), ldstr('A')) + call(kUse)), ElementsAre("\"A\""));
  EXPECT_THAT(used(ldc(1) + choice(ldc(80), ldc(5000)) + call(kUseTwo)), ElementsAre("1, ?"));
}

TEST(Stack, WhatASwitchLeavesIsKnownWhereAllOfItsCasesAgree) {
  // switch (x) { case 0: goto end; default: goto end; }
  const std::string jump = kLdarg + op32(0x45, 1);
  EXPECT_THAT(used(ldc(80) + jump + op32(0, 0).substr(1) + call(kUse)), ElementsAre("80"));
}

TEST(Stack, NothingIsKnownOfTheStackBehindAJump) {
  EXPECT_THAT(used(ldc(80) + kRet + call(kUse)), ElementsAre("?"));
}

TEST(Stack, NothingIsKnownOfTheStackWhereALoopBegins) {
  EXPECT_THAT(used(ldc(80) + call(kUse) + ldc(80) + br(-7)), ElementsAre("80"));
  EXPECT_THAT(used(ldc(80) + kDup + call(kUse) + br(-8)), ElementsAre("?"));
}

TEST(Stack, ALocalVariableIsAConstantWhereItIsStoredOnce) {
  EXPECT_THAT(used(ldc(80) + kStloc + kLdloc + call(kUse)), ElementsAre("80"));
  EXPECT_THAT(used(ldc(80) + kStloc + kLdarg + brtrue(0) + kLdloc + call(kUse)), ElementsAre("80"));
  EXPECT_THAT(used(kLdloc + call(kUse) + ldc(80) + kStloc), ElementsAre("?"));
}

TEST(Stack, ALocalVariableThatIsStoredTwiceIsKnownOnlyUntilTheNextLabel) {
  const std::string store = ldc(80) + kStloc;
  EXPECT_THAT(used(store + kLdloc + call(kUse) + ldc(81) + kStloc + kLdloc + call(kUse)), ElementsAre("80", "81"));
  EXPECT_THAT(used(store + kLdarg + brtrue(6) + ldc(81) + kStloc + kLdloc + call(kUse)), ElementsAre("?"));
}

TEST(Stack, ALocalVariableWhoseAddressIsTakenIsNoConstantBehindALabel) {
  EXPECT_THAT(used(ldc(80) + kStloc + op(0x12, 0) + call(kUse) + br(0) + kLdloc + call(kUse)),
              ElementsAre("address 0", "?"));
}

TEST(Stack, FieldsAreWhatTheSourceSays) {
  EXPECT_THAT(used(op32(0x7e, kConstant) + call(kUse) + kLdarg + op32(0x7b, kConstant) + call(kUse)),
              ElementsAre("443", "443"));
  EXPECT_THAT(used(op32(0x7e, kField) + call(kUse)), ElementsAre("field 1"));
}

// new[] { … }
std::string array(int size) {
  return ldc(size) + op32(0x8d, 0x01000001);
}
std::string element(int index, const std::string& value) {
  return kDup + ldc(index) + value + op(0xa2);
}

TEST(Stack, ElementsOfAnArrayAreKnownWhereTheyAreStoredOnce) {
  EXPECT_THAT(used(array(2) + element(0, ldstr('A')) + element(1, ldstr('B')) + call(kUse)),
              ElementsAre("[\"A\", \"B\"]"));
  EXPECT_THAT(used(array(0) + call(kUse)), ElementsAre("[]"));
  EXPECT_THAT(used(array(1) + element(0, choice(ldstr('A'), ldstr('B'))) + call(kUse)), ElementsAre("[?]"));
  EXPECT_THAT(used(array(1) + element(0, ldstr('A')) + element(0, ldstr('B')) + call(kUse)), ElementsAre("[?]"));
  EXPECT_THAT(used(array(1) + element(0, ldstr('A')) + element(7, ldstr('B')) + call(kUse)), ElementsAre("[?]"));
  EXPECT_THAT(used(array(1) + kDup + kLdarg + ldstr('A') + op(0xa2) + call(kUse)), ElementsAre("[?]"));
  EXPECT_THAT(used(kLdarg + op32(0x8d, 0x01000001) + call(kUse)), ElementsAre("?"));
  EXPECT_THAT(used(array(1'000'000'000) + call(kUse)), ElementsAre("?"));
}

TEST(Stack, AnArrayDoesNotBecomePartOfItself) {
  const std::string self = array(1) + kStloc + kLdloc + ldc(0) + kLdloc;
  EXPECT_THAT(used(self + op(0xa2) + kLdloc + call(kUse)), ElementsAre("[?]"));
  EXPECT_THAT(used(self + call(kMake) + op(0xa2) + kLdloc + call(kUse)), ElementsAre("[?]"));
  EXPECT_THAT(used(array(1) + call(kMake) + call(kUse)), ElementsAre("result 3(?)"));
}

TEST(Stack, ADelegateIsTheMethodThatItCalls) {
  EXPECT_THAT(used(kLdnull + ldftn(kLambda) + op32(0x73, kAction) + call(kUse)), ElementsAre("function 1"));
}

TEST(Stack, ADelegateThatIsMadeOnceAndKeptInAFieldIsKnown) {
  const std::string make = kPop + kLdnull + ldftn(kLambda) + op32(0x73, kAction) + kDup + op32(0x80, kField);
  const auto cached = [&](std::uint32_t field) {
    return op32(0x7e, field) + kDup + brtrue(static_cast<int>(make.size())) + make + call(kUse);
  };
  EXPECT_THAT(used(cached(kField)), ElementsAre("function 1"));
  EXPECT_THAT(used(cached(kField + 7)), ElementsAre("?"));
}

TEST(Stack, StringsThatArePutTogetherOfConstantsAreConstants) {
  EXPECT_THAT(used(ldstr('A') + ldstr('B') + call(kConcat) + call(kUse)), ElementsAre("\"AB\""));
  EXPECT_THAT(used(ldstr('A') + kLdarg + call(kConcat) + call(kUse)), ElementsAre("?"));
  EXPECT_THAT(used(ldstr('A') + kLdnull + call(kConcat) + call(kUse)), ElementsAre("\"A\""));
}

// $"…{hole}"
std::string interpolated(const std::string& hole) {
  const std::string handler = op(0x12, 0);
  return handler + ldc(1) + ldc(1) + call(kCreate) + handler + ldstr('A') + call(kAppend) + handler + hole +
         call(kAppend) + handler + call(kFinish);
}

TEST(Stack, InterpolatedStringsOfConstantsAreConstants) {
  EXPECT_THAT(used(interpolated(ldc(80)) + call(kUse)), ElementsAre("\"A80\""));
  EXPECT_THAT(used(interpolated(ldstr('B')) + call(kUse)), ElementsAre("\"AB\""));
  EXPECT_THAT(used(interpolated(kLdarg) + call(kUse)), ElementsAre("?"));
  EXPECT_THAT(used(interpolated(choice(ldc(80), ldc(5000))) + call(kUse)), ElementsAre("?"));
}

TEST(Stack, EveryInstructionLeavesTheStackAsHighAsTheStandardSays) {
  const std::string token("\1\0\0\1", 4);
  const std::string two_bytes = op(0xfe);
  // Each leaves the 80 below on top.
  for (const std::string& code : {op(0x00),
                                  kLdarg + kPop,
                                  kLdarg + op(0x10, 0),
                                  kLdarg + kLdarg + op(0x59) + kPop,
                                  kLdarg + op(0x46) + kPop,
                                  kLdarg + kLdarg + op(0x54),
                                  kLdarg + kLdarg + op(0x70) + token,
                                  kLdarg + op(0x71) + token + kPop,
                                  kLdarg + op(0x75) + token + kPop,
                                  kLdarg + op(0x79) + token + kPop,
                                  kLdarg + op(0x7c) + token + kPop,
                                  kLdarg + kLdarg + op(0x7d) + token,
                                  op(0x7f) + token + kPop,
                                  kLdarg + op(0x80) + token,
                                  kLdarg + kLdarg + op(0x81) + token,
                                  kLdarg + op(0x8e) + kPop,
                                  kLdarg + kLdarg + op(0x8f) + token + kPop,
                                  kLdarg + kLdarg + op(0x9a) + kPop,
                                  kLdarg + kLdarg + kLdarg + op(0xa4) + token,
                                  kLdarg + op(0xc2) + token + kPop,
                                  kLdarg + op(0xc3) + kPop,
                                  kLdarg + op(0xc6) + token + kPop,
                                  op(0xd0) + token + kPop,
                                  kLdarg + kLdarg + op(0xd6) + kPop,
                                  kLdarg + kLdarg + op(0xdf),
                                  two_bytes + op(0x00) + kPop,
                                  kLdarg + kLdarg + two_bytes + op(0x01) + kPop,
                                  kLdarg + two_bytes + op(0x07) + token + kPop,
                                  two_bytes + op(0x09) + std::string(2, '\0') + kPop,
                                  kLdarg + two_bytes + op(0x0b) + std::string(2, '\0'),
                                  kLdarg + two_bytes + op(0x0f) + kPop,
                                  two_bytes + op(0x13) + two_bytes + op(0x14),
                                  kLdarg + two_bytes + op(0x15) + token,
                                  two_bytes + op(0x16) + token,
                                  kLdarg + kLdarg + kLdarg + two_bytes + op(0x17),
                                  two_bytes + op(0x1c) + token + kPop,
                                  kLdarg + two_bytes + op(0x1d) + kPop,
                                  two_bytes + op(0x1e),
                                  op(0x22) + token + kPop,
                                  op(0x23) + token + token + kPop,
                                  kLdarg + kLdarg + op(0x2e, 0)}) {
    EXPECT_THAT(used(ldc(80) + code + call(kUse)), ElementsAre("80")) << testing::PrintToString(code);
  }
}

TEST(Stack, EventsComeInTheOrderOfTheCode) {
  std::vector<Event::Kind> kinds;
  FakeSource source;
  run(ldftn(kLambda) + op32(0x80, kField) + op32(0x73, kAction) + call(kUse), source,
      [&kinds](const Event& event) { kinds.push_back(event.kind); });
  EXPECT_THAT(kinds, ElementsAre(Event::Kind::function, Event::Kind::store, Event::Kind::create, Event::Kind::call));
}

TEST(Stack, TheShapeOfAMethodIsInItsSignature) {
  const auto of = [](std::initializer_list<int> bytes) {
    std::string blob;
    for (const int byte : bytes) blob += static_cast<char>(byte);
    const Shape shape = stack::shape(blob);
    return shape.known ? std::to_string(shape.arguments) + (shape.returns ? " value" : " void") : "bad";
  };
  EXPECT_EQ(of({0x00, 0, 0x01}), "0 void");
  EXPECT_EQ(of({0x20, 1, 0x01, 0x08}), "2 void");
  EXPECT_EQ(of({0x00, 2, 0x0e, 0x0e, 0x0e}), "2 value");
  EXPECT_EQ(of({0x30, 1, 1, 0x1e, 0}), "2 value");                   // generic
  EXPECT_EQ(of({0x20, 1, 0x1f, 0x80, 0x85, 0x01, 0x0e}), "2 void");  // void modreq(IsExternalInit)
  EXPECT_EQ(of({}), "bad");
  EXPECT_EQ(of({0x20, 1}), "bad");
}

TEST(Stack, HostileCodeTakesNoLongerThanItsSize) {
  constexpr int kMany = 50'000;
  std::string code;
  for (int i = 0; i < kMany; ++i) code += kDup + ldftn(kLambda) + op32(0x73, kAction) + call(kMake);
  const std::string end = call(kUse);
  for (int i = kMany; i > 0; --i) code += op32(0x38 + 1, static_cast<std::uint32_t>(i - 1) * 6) + kDup;
  for (int i = 0; i < kMany; ++i) code += kDup + br(0);
  EXPECT_THAT(used(code + end), ElementsAre("?"));
}

}  // namespace
}  // namespace portshim::stack
