// fmt, compiled once: where it is headers alone, every file that formats a text compiles all of fmt again, which takes
// longer than the file itself. The distribution's own library is no choice: it has std::locale in it.
#include <fmt/format-inl.h>

// What fmt's headers leave to its library (format.cc).
template FMT_API auto fmt::detail::dragonbox::to_decimal(float x) noexcept -> dragonbox::decimal_fp<float>;
template FMT_API auto fmt::detail::dragonbox::to_decimal(double x) noexcept -> dragonbox::decimal_fp<double>;
template FMT_API auto fmt::detail::thousands_sep_impl(locale_ref locale) -> thousands_sep_result<char>;
template FMT_API auto fmt::detail::decimal_point_impl(locale_ref locale) -> char;
