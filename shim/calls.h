// What one call in an app's code says of its endpoints. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "shim/api.h"
#include "shim/code.h"
#include "shim/metadata.h"
#include "shim/references.h"
#include "shim/stack.h"

namespace portshim::calls {

/// On the stack, "this" first.
using Arguments = std::span<const stack::Value>;
/// Full names of their types, without "this".
using Parameters = std::span<const std::string>;

/// Reads calls of one assembly.
class Reader {
 public:
  /// Both must outlive this.
  Reader(const metadata::Module& module, const references::Meanings& meanings);

  /// The fact that a call is; nothing where it says nothing of endpoints. Its assembly and method are not set.
  [[nodiscard]] std::optional<code::Call> read(const metadata::Member& member, api::Meaning meaning,
                                               Arguments arguments, Parameters parameters);

 private:
  [[nodiscard]] bool uses_https(metadata::Token function);

  const metadata::Module* module_;
  const references::Meanings* meanings_;
  std::unordered_map<std::uint32_t, bool> https_ = {};  ///< by the row of a delegate's method: each is read once
};

}  // namespace portshim::calls
