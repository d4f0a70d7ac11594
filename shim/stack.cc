#include "shim/stack.h"

#include "shim/il.h"

#include <algorithm>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

namespace portshim::stack {
namespace {

using il::Instruction;

// Hostile IL must not use more than its size in memory and time. Compilers stay far below these limits.
constexpr std::size_t kMostElements = 256;          // of an array
constexpr std::size_t kMostArguments = 64;          // of a call that is looked at
constexpr std::size_t kMostKept = 4;                // arguments that a result keeps
constexpr std::uint8_t kDeepest = 3;                // results of results
constexpr std::size_t kLongestText = 1U << 14U;     // that is put together
constexpr std::size_t kHighest = 1024;              // the stack
constexpr std::size_t kMostRemembered = 1U << 16U;  // values on the stacks of all branches of a method

// The opcodes with a meaning of their own here (III.3 and III.4).
enum Opcode : std::uint16_t {
  kLdlocFirst = 0x06,
  kLdlocLast = 0x09,
  kStlocFirst = 0x0a,
  kStlocLast = 0x0d,
  kLdlocShort = 0x11,
  kLdlocaShort = 0x12,
  kStlocShort = 0x13,
  kLdnull = 0x14,
  kLdcI4First = 0x15,
  kLdcI8 = 0x21,
  kDup = 0x25,
  kPop = 0x26,
  kJmp = 0x27,
  kCall = 0x28,
  kCalli = 0x29,
  kRet = 0x2a,
  kBrShort = 0x2b,
  kBranchFirst = 0x2b,
  kBr = 0x38,
  kBranchLast = 0x44,
  kSwitch = 0x45,
  kAdd = 0x58,
  kSub = 0x59,
  kConvFirst = 0x67,
  kConvR4 = 0x6b,
  kConvR8 = 0x6c,
  kConvLast = 0x6e,
  kCallvirt = 0x6f,
  kLdstr = 0x72,
  kNewobj = 0x73,
  kCastclass = 0x74,
  kThrow = 0x7a,
  kLdfld = 0x7b,
  kStfld = 0x7d,
  kLdsfld = 0x7e,
  kStsfld = 0x80,
  kConvOvfUnFirst = 0x82,
  kBox = 0x8c,
  kNewarr = 0x8d,
  kStelemFirst = 0x9b,
  kStelemLast = 0xa2,
  kStelem = 0xa4,
  kUnboxAny = 0xa5,
  kConvOvfFirst = 0xb3,
  kConvOvfLast = 0xba,
  kConvU2 = 0xd1,
  kConvOvfU = 0xd5,
  kEndfinally = 0xdc,
  kLeave = 0xdd,
  kLeaveShort = 0xde,
  kConvU = 0xe0,
  kLdftn = 0xfe06,
  kLdvirtftn = 0xfe07,
  kLdloc = 0xfe0c,
  kLdloca = 0xfe0d,
  kStloc = 0xfe0e,
  kEndfilter = 0xfe11,
  kRethrow = 0xfe1a,
};

bool is_between(std::uint16_t opcode, std::uint16_t first, std::uint16_t last) {
  return opcode >= first && opcode <= last;
}

bool loads_local(std::uint16_t opcode) {
  return is_between(opcode, kLdlocFirst, kLdlocLast) || opcode == kLdlocShort || opcode == kLdloc;
}

bool stores_local(std::uint16_t opcode) {
  return is_between(opcode, kStlocFirst, kStlocLast) || opcode == kStlocShort || opcode == kStloc;
}

bool loads_local_address(std::uint16_t opcode) {
  return opcode == kLdlocaShort || opcode == kLdloca;
}

bool branches(std::uint16_t opcode) {
  return is_between(opcode, kBranchFirst, kBranchLast) || opcode == kLeave || opcode == kLeaveShort;
}

/// Control never reaches the next instruction from here.
bool ends_path(std::uint16_t opcode) {
  switch (opcode) {
    case kJmp:
    case kRet:
    case kBrShort:
    case kBr:
    case kThrow:
    case kEndfinally:
    case kLeave:
    case kLeaveShort:
    case kEndfilter:
    case kRethrow:
      return true;
    default:
      return false;
  }
}

/// Instructions whose result has the value of their operand, for what is of interest here.
bool keeps_value(std::uint16_t opcode) {
  if (opcode == kConvR4 || opcode == kConvR8) return false;
  return is_between(opcode, kConvFirst, kConvLast) || is_between(opcode, kConvOvfUnFirst, kBox) ||
         is_between(opcode, kConvOvfFirst, kConvOvfLast) || is_between(opcode, kConvU2, kConvOvfU) ||
         opcode == kConvU || opcode == kCastclass || opcode == kUnboxAny;
}

/// How an instruction without a meaning of its own here changes the stack.
struct Effect {
  std::uint16_t last;  ///< of the opcodes up to here, from the entry before on
  std::uint8_t pops;
  std::uint8_t pushes;
};

// III.3 and III.4, in the order of the opcodes.
constexpr Effect kEffects[] = {
    {0x01, 0, 0},    // nop, break
    {0x0f, 0, 1},    // ldarg.0 to ldarga.s
    {0x10, 1, 0},    // starg.s
    {0x25, 0, 1},    // to ldc.r8
    {0x26, 1, 0},    // pop
    {0x2b, 0, 0},    // to br.s
    {0x2d, 1, 0},    // brfalse.s, brtrue.s
    {0x37, 2, 0},    // beq.s to blt.un.s
    {0x38, 0, 0},    // br
    {0x3a, 1, 0},    // brfalse, brtrue
    {0x44, 2, 0},    // beq to blt.un
    {0x45, 1, 0},    // switch
    {0x50, 1, 1},    // ldind.*
    {0x57, 2, 0},    // stind.*
    {0x64, 2, 1},    // add to shr.un
    {0x6e, 1, 1},    // neg, not, conv.*
    {0x70, 2, 0},    // cpobj
    {0x71, 1, 1},    // ldobj
    {0x72, 0, 1},    // ldstr
    {0x79, 1, 1},    // castclass, isinst, conv.r.un, unbox
    {0x7a, 1, 0},    // throw
    {0x7c, 1, 1},    // ldfld, ldflda
    {0x7d, 2, 0},    // stfld
    {0x7f, 0, 1},    // ldsfld, ldsflda
    {0x80, 1, 0},    // stsfld
    {0x81, 2, 0},    // stobj
    {0x8e, 1, 1},    // conv.ovf.*.un, box, newarr, ldlen
    {0x9a, 2, 1},    // ldelema, ldelem.*
    {0xa2, 3, 0},    // stelem.*
    {0xa3, 2, 1},    // ldelem
    {0xa4, 3, 0},    // stelem
    {0xc6, 1, 1},    // unbox.any, conv.ovf.*, refanyval, ckfinite, mkrefany
    {0xd0, 0, 1},    // ldtoken
    {0xd5, 1, 1},    // conv.u2 to conv.ovf.u
    {0xdb, 2, 1},    // add.ovf to sub.ovf.un
    {0xde, 0, 0},    // endfinally, leave
    {0xdf, 2, 0},    // stind.i
    {0xe0, 1, 1},    // conv.u
    {0xfe00, 0, 1},  // arglist
    {0xfe05, 2, 1},  // ceq to clt.un
    {0xfe06, 0, 1},  // ldftn
    {0xfe07, 1, 1},  // ldvirtftn
    {0xfe0a, 0, 1},  // ldarg, ldarga
    {0xfe0b, 1, 0},  // starg
    {0xfe0d, 0, 1},  // ldloc, ldloca
    {0xfe0e, 1, 0},  // stloc
    {0xfe0f, 1, 1},  // localloc
    {0xfe11, 1, 0},  // endfilter
    {0xfe14, 0, 0},  // unaligned., volatile., tail.
    {0xfe15, 1, 0},  // initobj
    {0xfe16, 0, 0},  // constrained.
    {0xfe18, 3, 0},  // cpblk, initblk
    {0xfe1a, 0, 0},  // no., rethrow
    {0xfe1c, 0, 1},  // sizeof
    {0xfe1d, 1, 1},  // refanytype
    {0xffff, 0, 0},  // readonly.
};

Effect effect_of(std::uint16_t opcode) {
  return *std::ranges::lower_bound(kEffects, opcode, {}, &Effect::last);
}

/// What one look at a method's instructions says of its local variables and labels.
struct Outline {
  std::vector<std::uint8_t> stores = {};  ///< of each local variable: how often, up to 2
  std::vector<bool> labels = {};          ///< by offset: a branch leads there
  std::vector<bool> loops = {};           ///< by offset: a branch leads back there

  [[nodiscard]] bool is_stored_once(std::int64_t local) const {
    return std::cmp_less(local, stores.size()) && stores[static_cast<std::size_t>(local)] == 1;
  }
};

void count_store(Outline& outline, std::int64_t local) {
  const auto index = static_cast<std::uint16_t>(local);
  if (index >= outline.stores.size()) outline.stores.resize(index + std::size_t{1});
  if (outline.stores[index] < 2) ++outline.stores[index];
}

void add_label(Outline& outline, std::int64_t target, std::uint32_t from) {
  if (target < 0 || std::cmp_greater_equal(target, outline.labels.size())) return;
  outline.labels[static_cast<std::size_t>(target)] = true;
  if (target <= from) outline.loops[static_cast<std::size_t>(target)] = true;
}

Outline outline_of(std::string_view code) {
  Outline outline{.labels = std::vector<bool>(code.size()), .loops = std::vector<bool>(code.size())};
  il::Instructions instructions(code);
  while (const auto instruction = instructions.next()) {
    if (stores_local(instruction->opcode)) count_store(outline, instruction->operand);
    if (loads_local_address(instruction->opcode)) {
      count_store(outline, instruction->operand);
      count_store(outline, instruction->operand);
    }
    if (branches(instruction->opcode)) add_label(outline, instruction->operand, instruction->offset);
    for (const std::uint32_t target : instruction->targets) add_label(outline, target, instruction->offset);
  }
  return outline;
}

bool is_leaf(const Value& value) {
  return value.kind == Kind::integer || value.kind == Kind::text || value.kind == Kind::null;
}

/// Adds the text of a constant; false for what has none.
bool append(std::string& text, const Value& value) {
  if (value.kind == Kind::text) {
    text += *value.text;
  } else if (value.kind == Kind::integer) {
    text += std::to_string(value.number);
  } else if (value.kind != Kind::null) {
    return false;
  }
  return text.size() <= kLongestText;
}

Value concat(std::span<const Value> parts) {
  std::string out;
  for (const Value& part : parts) {
    // An integer is a character here, or belongs to another overload.
    if (part.kind == Kind::integer || !append(out, part)) return {};
  }
  return text(std::move(out));
}

/// A method while it is gone through.
class Method {
 public:
  Method(std::string_view code, Source& source, const std::function<void(const Event&)>& see)
      : code_(code), source_(&source), see_(&see), outline_(outline_of(code)) {}

  void run() {
    il::Instructions instructions(code_);
    while (const auto instruction = instructions.next()) {
      arrive(instruction->offset);
      step(*instruction);
      remember_targets(*instruction);
      if (ends_path(instruction->opcode)) {
        stack_.clear();
        falls_through_ = false;
      }
    }
  }

 private:
  struct Local {
    Value value = {};
    std::uint32_t block = 0;  ///< where it was stored
  };

  // --- The stack itself. Below what it has are unknown values: it may be forgotten at any time. ---

  Value pop() {
    if (stack_.empty()) return {};
    Value value = std::move(stack_.back());
    stack_.pop_back();
    return value;
  }
  void push(Value value) {
    if (stack_.size() == kHighest) stack_.clear();
    stack_.push_back(std::move(value));
  }
  void pop(std::size_t count) { stack_.resize(stack_.size() - std::min(stack_.size(), count)); }

  // --- Labels. ---

  void arrive(std::uint32_t offset) {
    if (outline_.labels[offset]) {
      arrive_at_label(offset);
    } else if (!falls_through_) {
      ++block_;  // a handler of exceptions, or dead code
    }
    falls_through_ = true;
  }

  /// At a label the stack is what all the branches to it and the instruction before it have in common.
  void arrive_at_label(std::uint32_t offset) {
    ++block_;
    if (const auto remembered = remembered_.find(offset); remembered != remembered_.end()) {
      stack_ = falls_through_ ? join(stack_, remembered->second) : std::move(remembered->second);
      remembered_.erase(remembered);
    }
    // Compilers keep nothing on the stack where a loop begins (III.1.7.5).
    if (outline_.loops[offset] || left_ == 0) stack_.clear();
  }

  void remember_targets(const Instruction& instruction) {
    if (instruction.opcode == kLeave || instruction.opcode == kLeaveShort) stack_.clear();
    if (branches(instruction.opcode)) remember(instruction.operand, instruction.offset);
    for (const std::uint32_t target : instruction.targets) remember(target, instruction.offset);
  }

  void remember(std::int64_t target, std::uint32_t from) {
    if (target <= from || std::cmp_greater_equal(target, code_.size()) || stack_.empty()) return;
    left_ -= std::min(left_, stack_.size());
    if (left_ == 0) return;
    const auto [entry, is_new] = remembered_.try_emplace(static_cast<std::uint32_t>(target), stack_);
    if (!is_new) entry->second = join(entry->second, stack_);
  }

  [[nodiscard]] std::vector<Value> join(const std::vector<Value>& a, const std::vector<Value>& b) const {
    std::vector<Value> out(std::min(a.size(), b.size()));
    const auto from_top = [&out](const std::vector<Value>& stack, std::size_t i) -> const Value& {
      return stack[stack.size() - out.size() + i];
    };
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = join(from_top(a, i), from_top(b, i));
    return out;
  }

  [[nodiscard]] Value join(const Value& a, const Value& b) const {
    if (a == b || is_cached(a, b)) return b;
    return is_cached(b, a) ? a : Value{};
  }

  /// Compilers make a delegate once and keep it in a field: "field ?? (field = delegate)".
  [[nodiscard]] bool is_cached(const Value& field, const Value& delegate) const {
    if (field.kind != Kind::field || delegate.kind != Kind::function) return false;
    const auto cached = cached_.find(field.token.value);
    return cached != cached_.end() && cached->second == delegate.token;
  }

  // --- Instructions. ---

  void step(const Instruction& instruction) {
    const std::uint16_t opcode = instruction.opcode;
    if (loads_local(opcode)) {
      push(local(instruction.operand));
    } else if (stores_local(opcode)) {
      store_local(instruction.operand);
    } else if (loads_local_address(opcode)) {
      push({.kind = Kind::address, .number = instruction.operand});
    } else if (is_between(opcode, kLdcI4First, kLdcI8)) {
      push(integer(instruction.operand));
    } else if (is_between(opcode, kStelemFirst, kStelemLast) || opcode == kStelem) {
      store_element();
    } else if (!keeps_value(opcode)) {
      step_token(instruction);
    }
  }

  void step_token(const Instruction& instruction) {
    const metadata::Token token{static_cast<std::uint32_t>(instruction.operand)};
    switch (instruction.opcode) {
      case kLdnull:
        push({.kind = Kind::null});
        break;
      case kDup:
        push(stack_.empty() ? Value{} : Value(stack_.back()));
        break;
      case kAdd:
      case kSub:
        compute(instruction.opcode == kSub);
        break;
      case kLdstr:
        load_text(token);
        break;
      case kCall:
      case kCallvirt:
        call(token, Event::Kind::call);
        break;
      case kNewobj:
        call(token, Event::Kind::create);
        break;
      case kCalli:
        call_unknown();
        break;
      case kLdftn:
      case kLdvirtftn:
        load_function(token, instruction.opcode == kLdvirtftn);
        break;
      case kLdfld:
        pop(1);
        push(source_->field(token));
        break;
      case kLdsfld:
        push(source_->field(token));
        break;
      case kStfld:
      case kStsfld:
        store_field(token, instruction.opcode == kStfld);
        break;
      case kNewarr:
        new_array();
        break;
      default:
        change(effect_of(instruction.opcode));
        break;
    }
  }

  void change(const Effect& effect) {
    pop(effect.pops);
    if (effect.pushes != 0) push({});
  }

  /// The value of a local variable, where it can only be what was stored last: in the same block, or it is stored once.
  Value local(std::int64_t index) {
    const auto found = locals_.find(index);
    if (found == locals_.end()) return {};
    return outline_.is_stored_once(index) || found->second.block == block_ ? found->second.value : Value{};
  }

  void store_local(std::int64_t index) {
    Value value = pop();
    if (value.kind == Kind::address) value = {};
    locals_[index] = {std::move(value), block_};
  }

  void compute(bool subtracts) {
    const Value right = pop();
    const Value left = pop();
    std::int64_t result = 0;
    const bool is_known = left.kind == Kind::integer && right.kind == Kind::integer &&
                          !(subtracts ? __builtin_sub_overflow(left.number, right.number, &result)
                                      : __builtin_add_overflow(left.number, right.number, &result));
    push(is_known ? integer(result) : Value{});
  }

  void load_text(metadata::Token token) {
    auto content = source_->user_string(token);
    push(content == nullptr ? Value{} : Value{.kind = Kind::text, .text = std::move(content)});
  }

  void load_function(metadata::Token token, bool is_virtual) {
    if (is_virtual) pop(1);
    (*see_)({.kind = Event::Kind::function, .token = token});
    push({.kind = Kind::function, .token = token});
  }

  void new_array() {
    const Value size = pop();
    Value array;
    if (size.kind == Kind::integer && size.number >= 0 && std::cmp_less_equal(size.number, kMostElements)) {
      array.kind = Kind::array;
      array.items = std::make_shared<std::vector<Value>>(static_cast<std::size_t>(size.number));
    }
    push(std::move(array));
  }

  /// An element is a constant where it is stored once.
  void store_element() {
    Value value = pop();
    const Value index = pop();
    const Value array = pop();
    if (array.kind != Kind::array) return;
    if (index.kind != Kind::integer || index.number < 0 || std::cmp_greater_equal(index.number, array.items->size())) {
      std::ranges::fill(*array.items, Value{});
      return;
    }
    Value& element = (*array.items)[static_cast<std::size_t>(index.number)];
    element = element.kind == Kind::unknown && is_leaf(value) ? std::move(value) : Value{};
  }

  void store_field(metadata::Token token, bool is_instance) {
    Value value = pop();
    if (is_instance) pop(1);
    if (value.kind == Kind::address) value = {};
    if (value.kind == Kind::function) cached_[token.value] = value.token;
    (*see_)({.kind = Event::Kind::store, .token = token, .arguments = {std::move(value)}});
  }

  // --- Calls. ---

  void call_unknown() {
    stack_.clear();
    push({});
  }

  void call(metadata::Token token, Event::Kind kind) {
    const Shape shape = source_->method(token);
    if (!shape.known) {
      call_unknown();
      return;
    }
    // A constructor's signature has "this", but newobj makes it.
    const std::size_t count = shape.arguments - (kind == Event::Kind::create && shape.arguments > 0 ? 1 : 0);
    std::vector<Value> arguments = pop_arguments(count);
    if (const Special special = source_->special(token); special != Special::none) {
      call_special(special, arguments, shape);
      return;
    }
    (*see_)({.kind = kind, .token = token, .arguments = arguments});
    if (kind == Event::Kind::create && arguments.size() == 2 && arguments[1].kind == Kind::function) {
      push(std::move(arguments[1]));  // only a delegate's constructor takes a method's address
    } else if (kind == Event::Kind::create || shape.returns) {
      push(result(token, std::move(arguments)));
    }
  }

  std::vector<Value> pop_arguments(std::size_t count) {
    if (count > kMostArguments) {
      pop(count);
      return {};
    }
    std::vector<Value> arguments(count);
    for (std::size_t i = count; i > 0; --i) arguments[i - 1] = pop();
    return arguments;
  }

  static Value result(metadata::Token token, std::vector<Value> arguments) {
    Value value{.kind = Kind::result, .token = token};
    if (arguments.size() > kMostKept) return value;
    for (Value& argument : arguments) {
      // Arrays change, and could come to contain themselves.
      if (argument.kind == Kind::array || argument.depth >= kDeepest) argument = {};
      value.depth = std::max(value.depth, static_cast<std::uint8_t>(argument.depth + 1));
    }
    value.items = std::make_shared<std::vector<Value>>(std::move(arguments));
    return value;
  }

  // --- Strings that are put together. ---

  void call_special(Special special, const std::vector<Value>& arguments, const Shape& shape) {
    Value value;
    if (special == Special::concat) {
      const bool is_array = arguments.size() == 1 && arguments[0].kind == Kind::array;
      value = is_array ? concat(*arguments[0].items) : concat(arguments);
    } else if (!arguments.empty() && arguments[0].kind == Kind::address) {
      value = use_handler(special, arguments);
    }
    if (shape.returns) push(std::move(value));
  }

  /// DefaultInterpolatedStringHandler in a local variable: "http://*:{port}".
  Value use_handler(Special special, const std::vector<Value>& arguments) {
    std::optional<std::string>& content = handlers_[arguments[0].number];
    if (special == Special::handler_create) {
      // (literal length, number of holes); other constructors take a culture
      content = arguments.size() == 3 ? std::optional<std::string>("") : std::nullopt;
      handler_block_ = block_;
    } else if (special == Special::handler_append) {
      if (arguments.size() != 2 || !content || !append(*content, arguments[1])) content.reset();
    } else if (content && handler_block_ == block_) {
      return text(*std::exchange(content, std::nullopt));
    }
    return {};
  }

  std::string_view code_;
  Source* source_;
  const std::function<void(const Event&)>* see_;
  Outline outline_;
  std::vector<Value> stack_ = {};
  bool falls_through_ = true;           ///< control may come from the instruction before
  std::uint32_t block_ = 0;             ///< counts the labels that were passed
  std::size_t left_ = kMostRemembered;  ///< values that may still be remembered; 0: not all were
  std::unordered_map<std::uint32_t, std::vector<Value>> remembered_ = {};       ///< stacks at labels ahead
  std::unordered_map<std::uint32_t, metadata::Token> cached_ = {};              ///< delegates in fields
  std::unordered_map<std::int64_t, Local> locals_ = {};                         ///< by index
  std::unordered_map<std::int64_t, std::optional<std::string>> handlers_ = {};  ///< by the index of their variable
  std::uint32_t handler_block_ = 0;
};

/// A compressed number (II.23.2); nothing at the end.
std::optional<std::uint32_t> take_number(std::string_view& blob) {
  const auto byte = [&blob](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(blob[i])); };
  const std::uint32_t first = blob.empty() ? 0 : byte(0);
  const std::size_t size = first < 0x80 ? 1 : first < 0xc0 ? 2 : 4;
  if (blob.size() < size) return std::nullopt;
  std::uint32_t number = size == 1 ? first : first & (size == 2 ? 0x3fU : 0x1fU);
  for (std::size_t i = 1; i < size; ++i) number = number << 8U | byte(i);
  blob.remove_prefix(size);
  return number;
}

}  // namespace

bool Value::operator==(const Value& other) const {
  if (kind == Kind::unknown || kind != other.kind || number != other.number || token != other.token) return false;
  if (kind == Kind::text) return text == other.text || *text == *other.text;
  if (items == other.items) return true;
  return kind == Kind::result && items != nullptr && other.items != nullptr && *items == *other.items;
}

Value integer(std::int64_t number) {
  return {.kind = Kind::integer, .number = number};
}

Value text(std::string text) {
  return {.kind = Kind::text, .text = std::make_shared<const std::string>(std::move(text))};
}

Shape shape(std::string_view signature) {
  constexpr std::uint32_t kGeneric = 0x10;
  constexpr std::uint32_t kHasThis = 0x20;
  constexpr std::uint32_t kExplicitThis = 0x40;
  constexpr std::uint32_t kVoid = 0x01;
  constexpr std::uint32_t kRequired = 0x1f;  // custom modifiers, as IsExternalInit of "init"
  constexpr std::uint32_t kOptional = 0x20;
  constexpr unsigned kMostModifiers = 8;
  const auto flags = take_number(signature);
  if (!flags || ((*flags & kGeneric) != 0 && !take_number(signature))) return {};
  const auto parameters = take_number(signature);
  auto type = take_number(signature);
  for (unsigned i = 0; i < kMostModifiers && type && (*type == kRequired || *type == kOptional); ++i) {
    type = take_number(signature) ? take_number(signature) : std::nullopt;
  }
  if (!parameters || !type) return {};
  const bool has_this = (*flags & kHasThis) != 0 && (*flags & kExplicitThis) == 0;
  return {.known = true, .arguments = *parameters + (has_this ? std::size_t{1} : 0), .returns = *type != kVoid};
}

void run(std::string_view code, Source& source, const std::function<void(const Event&)>& see) {
  Method(code, source, see).run();
}

}  // namespace portshim::stack
