// The names of signals. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace portshim::signal_name {

/// Signals have the numbers 1..kHighest (_NSIG, include/uapi/asm-generic/signal.h).
inline constexpr int kHighest = 64;

/// The number of "TERM", "SIGTERM", "RTMIN+3", "RTMAX-1" or "15", in any case; nothing for all else. RTMIN is 34: the C
/// library keeps 32 and 33 for itself (signal(7)), and they have numbers alone.
[[nodiscard]] std::optional<int> number_of(std::string_view text);

/// "SIGTERM"; "signal 33" for what has no name.
[[nodiscard]] std::string name_of(int number);

/// "TERM" and all others, to suggest one of them; without RTMIN+1 and so on.
[[nodiscard]] const std::vector<std::string_view>& all();

}  // namespace portshim::signal_name
