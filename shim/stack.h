// The evaluation stack of a method (ECMA-335, partition III), with values as far as they are constants: which arguments
// do its calls get? One pass over the IL in its order; where two paths meet with different values, the value is
// unknown. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shim/metadata.h"

namespace portshim::stack {

enum class Kind : std::uint8_t {
  unknown,
  null,
  integer,   ///< also a Boolean or a character
  text,      ///< a string
  array,     ///< of constants
  function,  ///< a method's address, or a delegate of it
  field,     ///< what is in a field, otherwise unknown
  result,    ///< what a method returns, or an object that a constructor makes
  address,   ///< of a local variable
};

/// A value on the stack. Copies share what is behind the pointers.
struct Value {
  Kind kind = Kind::unknown;
  std::uint8_t depth = 0;   ///< how deep `items` are nested
  std::int64_t number = 0;  ///< the integer, or the index of the local variable
  metadata::Token token = {};
  std::shared_ptr<const std::string> text = {};
  /// The elements of an array, or the arguments of a result ("this" first, but not of a constructor). Null for a result
  /// whose arguments are too many or too deep.
  std::shared_ptr<std::vector<Value>> items = {};

  /// The same constant; arrays are the same where they are one object.
  bool operator==(const Value& other) const;
};

[[nodiscard]] Value integer(std::int64_t number);
[[nodiscard]] Value text(std::string text);

/// How a call changes the stack.
struct Shape {
  bool known = false;
  std::size_t arguments = 0;  ///< with "this"
  bool returns = false;       ///< a value
};

/// The shape that a method's signature has (II.23.2.1 to II.23.2.3).
[[nodiscard]] Shape shape(std::string_view signature);

/// What is special about some methods.
enum class Special : std::uint8_t {
  none,
  concat,          ///< System.String::Concat
  handler_create,  ///< System.Runtime.CompilerServices.DefaultInterpolatedStringHandler::.ctor
  handler_append,  ///< its AppendLiteral and AppendFormatted with one argument
  handler_finish,  ///< its ToStringAndClear
};

/// What the stack asks of the module.
class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;
  [[nodiscard]] virtual Shape method(metadata::Token token) = 0;
  [[nodiscard]] virtual Special special(metadata::Token token) = 0;
  /// Of ldstr's token; null when there is none.
  [[nodiscard]] virtual std::shared_ptr<const std::string> user_string(metadata::Token token) = 0;
  /// What is in a field: Kind::field where it is not known.
  [[nodiscard]] virtual Value field(metadata::Token token) = 0;
};

/// What a method does, in the order of its IL.
struct Event {
  enum class Kind : std::uint8_t {
    call,      ///< call, callvirt
    create,    ///< newobj: `arguments` are the constructor's, without "this"
    function,  ///< ldftn, ldvirtftn
    store,     ///< stfld, stsfld: the only argument is the value
  };
  Kind kind = Kind::call;
  metadata::Token token = {};
  std::vector<Value> arguments = {};
};

/// Calls `see` with each event of a method's IL. Linear in its size.
void run(std::string_view code, Source& source, const std::function<void(const Event&)>& see);

}  // namespace portshim::stack
