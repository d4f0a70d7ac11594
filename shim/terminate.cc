// What ends a program whose exception nobody catches, in place of libstdc++'s handler, which has a demangler in it:
// 0.05 MB to print the name of a type.
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <string_view>

namespace {

void tell(std::string_view text) noexcept {
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

/// The initial terminate handler (libsupc++/eh_term_handler.cc): says the exception's text and aborts. It allocates
/// nothing, since memory may be what is missing.
// NOLINTNEXTLINE(bugprone-reserved-identifier): libstdc++'s own name, which the linker finds here first.
void __gnu_cxx::__verbose_terminate_handler() {
  tell("portshim: terminate called");
  try {
    if (std::current_exception()) std::rethrow_exception(std::current_exception());
  } catch (const std::exception& error) {
    tell(": ");
    tell(error.what());
  } catch (...) {
    tell(": an exception of another type");
  }
  tell("\n");
  std::abort();
}
