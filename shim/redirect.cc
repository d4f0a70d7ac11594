#include "shim/redirect.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <span>

namespace portshim::redirect {
namespace {

constexpr std::uint16_t kDistance = 8000;   // as a port of the settings moves
constexpr std::uint16_t kFirstPort = 8080;  // where 8000 more is no port that can be had
constexpr int kMostTries = 16;

bool is_denied(int code) {
  return code == EACCES || code == EPERM;
}

/// Whether --map names it as the new port of others than `from` alone.
bool is_kept(std::uint16_t port, std::uint16_t from, const Rules& rules) {
  const auto mapped = rules.map.find(from);
  if (mapped != rules.map.end() && mapped->second == port) return false;
  return std::ranges::any_of(rules.map, [port](const auto& entry) { return entry.second == port; });
}

/// The first port from `first` up on which the address is free, and which is not kept for another port.
Decision find_free(Address address, std::uint16_t first, Outcome outcome, const Rules& rules, Kernel& kernel) {
  const std::uint16_t from = address.port;
  for (int port = first; port <= UINT16_MAX && port < first + kMostTries; ++port) {
    address.port = static_cast<std::uint16_t>(port);
    if (is_kept(address.port, from, rules)) continue;
    // Every address that a dual-mode socket takes must be free.
    const int code = kernel.try_bind(address, {});
    if (code == 0) return {.outcome = outcome, .port = address.port};
    // As [::1] where there is no IPv6: of IPv6 the kernel looks at the port first (__inet6_bind).
    if (code != EADDRINUSE) return {.outcome = Outcome::unavailable, .port = address.port};
  }
  return {.outcome = Outcome::no_room, .port = first};
}

/// Whether a socket that takes IPv6 alone gets it.
bool is_for_ipv6(const Address& address, Kernel& kernel) {
  return kernel.try_bind(address, {.ipv6_only = true, .shared = true}) == 0;
}

/// The first new port of all, where none is dodged: as find_free, what a dual-mode socket takes must be free. Which
/// mode the app's socket has cannot be seen.
Decision insist_first(Address address, std::uint16_t port, Kernel& kernel) {
  address.port = port;
  const int code = kernel.try_bind(address, {.shared = true});
  if (code != EADDRINUSE) return {.outcome = code == 0 ? Outcome::moved : Outcome::unavailable, .port = port};
  return {.outcome = Outcome::in_use, .port = port, .dual_only = is_for_ipv6(address, kernel)};
}

/// That port and no other. In use is only what is so for every socket that the app may have made.
Decision insist(Address address, std::uint16_t port, Outcome outcome, Kernel& kernel) {
  address.port = port;
  const int code = kernel.try_bind(address, {.ipv6_only = true, .shared = true});
  if (code == EADDRINUSE) return {.outcome = Outcome::in_use, .port = port};
  return {.outcome = code == 0 ? outcome : Outcome::unavailable, .port = port};
}

}  // namespace

std::string to_string(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(address.ipv6 ? AF_INET6 : AF_INET, address.bytes.data(), text.data(), text.size());
  if (!address.ipv6) return fmt::format("{}:{}", text.data(), address.port);
  if (address.scope == 0) return fmt::format("[{}]:{}", text.data(), address.port);
  return fmt::format("[{}%{}]:{}", text.data(), address.scope, address.port);
}

std::uint16_t Redirector::wanted_port(std::uint16_t port) const {
  const auto mapped = rules_.map.find(port);
  int wanted = mapped != rules_.map.end() ? mapped->second : port + kDistance;
  if (wanted < rules_.port_start || wanted > UINT16_MAX) wanted = std::max(rules_.port_start, kFirstPort);
  while (wanted < UINT16_MAX && is_kept(static_cast<std::uint16_t>(wanted), port, rules_)) ++wanted;
  return static_cast<std::uint16_t>(wanted);
}

const Redirector::Given* Redirector::given_for(std::uint16_t from) const {
  const auto all = std::span(given_).first(count_);
  const auto found = std::ranges::find(all, from, &Given::from);
  return found == all.end() ? nullptr : &*found;
}

const Redirector::Given* Redirector::given_as(std::uint16_t to) const {
  const auto all = std::span(given_).first(count_);
  const auto found = std::ranges::find(all, to, &Given::to);
  return found == all.end() ? nullptr : &*found;
}

std::uint16_t Redirector::old_port(std::uint16_t port) const {
  const Given* const given = given_as(port);
  return given == nullptr ? 0 : given->from;
}

Decision Redirector::decide_low(const Address& address, Kernel& kernel) const {
  // What the kernel allows (a capability) or refuses for another reason stays as it is: an IPv4 address that is not
  // this host's, which it looks at first (__inet_bind).
  if (!is_denied(kernel.try_bind(address, {.ipv6_only = true}))) return {};
  if (!rules_.moves) return {.outcome = Outcome::denied};
  if (const Given* given = given_for(address.port)) return insist(address, given->to, Outcome::moved, kernel);
  const std::uint16_t wanted = wanted_port(address.port);
  if (count_ == given_.size()) return {.outcome = Outcome::full, .port = wanted};
  if (rules_.strict) return insist_first(address, wanted, kernel);
  return find_free(address, wanted, Outcome::moved, rules_, kernel);
}

Decision Redirector::decide_given(const Address& address, Kernel& kernel) const {
  if (const Given* aside = given_for(address.port)) {
    return insist(address, aside->to, Outcome::moved_aside, kernel);
  }
  // It is free where a bind that was moved and then interrupted comes back with its new port, and where the app's
  // sockets share it.
  if (kernel.try_bind(address, {.shared = true}) != EADDRINUSE) return {};
  if (rules_.strict)
    return {.outcome = Outcome::in_use, .port = address.port, .dual_only = is_for_ipv6(address, kernel)};
  if (count_ == given_.size()) return {.outcome = Outcome::full, .port = address.port};
  if (address.port == UINT16_MAX) return {.outcome = Outcome::no_room, .port = address.port};
  return find_free(address, static_cast<std::uint16_t>(address.port + 1), Outcome::moved_aside, rules_, kernel);
}

Decision Redirector::decide(const Address& address, Kernel& kernel) const {
  if (address.port == 0) return {};
  if (address.port < rules_.port_start) return decide_low(address, kernel);
  return given_as(address.port) == nullptr ? Decision{} : decide_given(address, kernel);
}

void Redirector::remember(const Address& address, const Decision& decision) {
  const bool changed = decision.outcome == Outcome::moved || decision.outcome == Outcome::moved_aside;
  if (!changed || count_ == given_.size() || given_for(address.port) != nullptr) return;
  given_.at(count_++) = {.from = address.port, .to = decision.port};
}

}  // namespace portshim::redirect
