// The names of methods that compilers make. Pure.
#pragma once

#include <string>
#include <string_view>

namespace portshim::method_name {

/// The method that the user wrote, of one that the compiler made of a lambda expression, local function, or async
/// method: "Program.<Main>$" of "Program+<>c" and "<<Main>$>b__0_0".
[[nodiscard]] std::string user_method(std::string_view type, std::string_view method);

}  // namespace portshim::method_name
