// What the references of an assembly are about, and the constants that its code refers to. Pure.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "shim/api.h"
#include "shim/metadata.h"
#include "shim/stack.h"

namespace portshim::references {

/// The meanings of the methods of other assemblies that an assembly calls.
class Meanings {
 public:
  /// `module` must outlive this.
  explicit Meanings(const metadata::Module& module);

  /// Some method's call is a fact by itself.
  [[nodiscard]] bool has_facts() const { return has_facts_; }
  [[nodiscard]] bool has(api::Meaning meaning) const;
  /// Of a MemberRef or MethodSpec; none of another token.
  [[nodiscard]] api::Meaning of(metadata::Token token) const;
  /// Of the method whose result a value is; none of other values.
  [[nodiscard]] api::Meaning of_result(const stack::Value& value) const;

 private:
  void find_types();
  [[nodiscard]] api::Meaning of_reference(std::uint32_t row) const;

  const metadata::Module* module_;
  std::vector<std::vector<const api::Method*>> types_ = {};  ///< by the row of a TypeRef
  std::vector<api::Meaning> members_ = {};                   ///< by the row of a MemberRef
  std::vector<api::Meaning> specs_ = {};                     ///< by the row of a MethodSpec
  bool has_facts_ = false;
};

/// True where the IL of a method may have a call that is a fact: its bytes look so. Much faster than going from
/// instruction to instruction.
[[nodiscard]] bool mentions_fact(std::string_view code, const Meanings& meanings);

/// The methods, strings and fields of the module, which must outlive it. A field of the module itself is a constant
/// where all of its code stores it once, whatever it is called or declared.
[[nodiscard]] std::unique_ptr<stack::Source> constants(const metadata::Module& module, const Meanings& meanings);

}  // namespace portshim::references
