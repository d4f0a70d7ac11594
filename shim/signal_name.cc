#include "shim/signal_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <iterator>

#include "shim/ascii.h"

namespace portshim::signal_name {
namespace {

constexpr int kFirstRealTime = 34;

struct Name {
  std::string_view text;
  int number;
};
// signal(7); of two names for one number the first is shown.
constexpr auto kNames = std::to_array<Name>({
    {"HUP", SIGHUP},     {"INT", SIGINT},   {"QUIT", SIGQUIT},     {"ILL", SIGILL},   {"TRAP", SIGTRAP},
    {"ABRT", SIGABRT},   {"IOT", SIGABRT},  {"BUS", SIGBUS},       {"FPE", SIGFPE},   {"KILL", SIGKILL},
    {"USR1", SIGUSR1},   {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},     {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},
    {"TERM", SIGTERM},   {"STKFLT", 16},    {"CHLD", SIGCHLD},     {"CLD", SIGCHLD},  {"CONT", SIGCONT},
    {"STOP", SIGSTOP},   {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU}, {"URG", SIGURG},
    {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH},
    {"IO", SIGIO},       {"POLL", SIGIO},   {"PWR", SIGPWR},       {"SYS", SIGSYS},   {"RTMIN", kFirstRealTime},
    {"RTMAX", kHighest},
});

/// A decimal number without sign.
std::optional<int> read_number(std::string_view text) {
  int number = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc{} || stop != end || text.starts_with('-')) return std::nullopt;
  return number;
}

std::optional<int> in_range(std::optional<int> number, int lowest) {
  if (!number || *number < lowest || *number > kHighest) return std::nullopt;
  return number;
}

}  // namespace

std::optional<int> number_of(std::string_view text) {
  if (const auto number = read_number(text)) return in_range(number, 1);
  const std::string name = ascii::upper_case(text);
  std::string_view rest = name;
  if (rest.starts_with("SIG")) rest.remove_prefix(3);
  if (const auto* const found = std::ranges::find(kNames, rest, &Name::text); found != kNames.end())
    return found->number;
  constexpr std::size_t kPrefix = std::string_view("RTMIN+").size();
  const auto offset = read_number(rest.substr(std::min(kPrefix, rest.size())));
  if (!offset || *offset > kHighest) return std::nullopt;
  if (rest.starts_with("RTMIN+")) return in_range(kFirstRealTime + *offset, kFirstRealTime);
  if (rest.starts_with("RTMAX-")) return in_range(kHighest - *offset, kFirstRealTime);
  return std::nullopt;
}

std::string name_of(int number) {
  const auto* const found = std::ranges::find(kNames, number, &Name::number);
  if (found != kNames.end()) return fmt::format("SIG{}", found->text);
  if (number > kFirstRealTime && number < kHighest) return fmt::format("SIGRTMIN+{}", number - kFirstRealTime);
  return fmt::format("signal {}", number);
}

const std::vector<std::string_view>& all() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> out;
    std::ranges::transform(kNames, std::back_inserter(out), &Name::text);
    return out;
  }();
  return names;
}

}  // namespace portshim::signal_name
