#include "shim/listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "shim/words.h"

namespace portshim::listener {
namespace {

using address::Bind;
using address::Target;
using system::System;

// Listening sockets are the first in these tables (net/ipv4/tcp_ipv4.c, tcp_seq_start), connections follow.
constexpr std::size_t kMostOfTable = std::size_t{256} << 10U;
constexpr std::size_t kMostLinks = 10'000;

/// An address as the kernel prints it: words of 32 bits in the machine's order, in hexadecimal.
std::optional<std::string> parse_address(std::string_view text) {
  constexpr std::size_t kDigits = 8;
  std::array<std::uint32_t, 4> words{};
  if (text.size() != kDigits && text.size() != words.size() * kDigits) return std::nullopt;
  for (std::size_t i = 0; i * kDigits < text.size(); ++i) {
    words.at(i) = words::number<std::uint32_t>(text.substr(i * kDigits, kDigits), 16);
  }
  std::array<char, INET6_ADDRSTRLEN> out{};
  const int family = text.size() == kDigits ? AF_INET : AF_INET6;
  if (inet_ntop(family, words.data(), out.data(), out.size()) == nullptr) return std::nullopt;
  return address::parse_ip(out.data());
}

std::optional<Listener> find_listener(const System& system, const Target& target) {
  for (const char* const table : {"/proc/self/net/tcp6", "/proc/self/net/tcp"}) {
    const auto content = system.read_part(table, 0, kMostOfTable);
    if (!content) continue;
    for (Listener& one : parse(*content)) {
      if (one.port != target.port) continue;
      if (address::overlaps({.bind = Bind::ip, .address = one.address, .port = one.port}, target))
        return std::move(one);
    }
  }
  return std::nullopt;
}

/// The process that has the socket open; links that were looked at are taken off `links_left`.
bool has_open(const System& system, const std::string& descriptors, const std::string& link, std::size_t& links_left) {
  const auto numbers = system.list(descriptors);
  if (!numbers) return false;
  for (const std::string& number : *numbers) {
    if (links_left == 0) return false;
    --links_left;
    const auto target = system.read_link(std::string(descriptors).append("/").append(number));
    if (target && *target == link) return true;
  }
  return false;
}

std::optional<std::string> find_process(const System& system, const std::string& inode) {
  const auto names = system.list("/proc");
  if (!names) return std::nullopt;
  const std::string link = "socket:[" + inode + "]";
  std::size_t links_left = kMostLinks;
  for (const std::string& pid : *names) {
    const std::string folder = "/proc/" + pid;
    if (!words::is_number(pid) || !has_open(system, folder + "/fd", link, links_left)) continue;
    const std::string name = system.read_part(folder + "/comm", 0, 64).value_or("a process");
    return fmt::format("{} (pid {})", std::string_view(name).substr(0, name.find('\n')), pid);
  }
  return std::nullopt;
}

}  // namespace

std::vector<Listener> parse(std::string_view text) {
  // "sl: local_address remote_address state queues timers retransmits uid timeout inode …"
  constexpr std::size_t kLocal = 1;
  constexpr std::size_t kState = 3;
  constexpr std::size_t kUid = 7;
  constexpr std::size_t kInode = 9;
  constexpr std::string_view kListening = "0A";  // TCP_LISTEN of net/tcp_states.h
  std::vector<Listener> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const auto fields = words::of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (fields.size() <= kInode || fields[kState] != kListening) continue;
    const std::size_t colon = fields[kLocal].find(':');
    if (colon == std::string_view::npos) continue;
    const auto address = parse_address(fields[kLocal].substr(0, colon));
    if (!address) continue;
    out.push_back({.address = *address,
                   .port = words::number<std::uint16_t>(fields[kLocal].substr(colon + 1), 16),
                   .inode = words::number<std::uint64_t>(fields[kInode], 10),
                   .uid = words::number<std::uint32_t>(fields[kUid], 10)});
  }
  return out;
}

std::optional<std::string> holder_of(const System& system, const Target& target) {
  const auto listener = find_listener(system, target);
  if (!listener) return std::nullopt;
  if (auto process = find_process(system, std::to_string(listener->inode))) return process;
  return fmt::format("a process of uid {}", listener->uid);
}

}  // namespace portshim::listener
