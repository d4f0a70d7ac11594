#include "shim/listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace portshim::listener {
namespace {

using address::Bind;
using address::Target;
using system::System;

// Listening sockets are the first in these tables (net/ipv4/tcp_ipv4.c, tcp_seq_start), connections follow.
constexpr std::size_t kMostOfTable = std::size_t{256} << 10U;
constexpr std::size_t kMostLinks = 10'000;
constexpr std::string_view kListening = "0A";  // TCP_LISTEN of net/tcp_states.h

/// A line of the table.
struct Socket {
  std::string uid;
  std::string inode;
};

/// The next word of the line, which it is taken off from.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

/// An address as the tables have it: 32-bit words in the byte order of the machine, in hexadecimal.
std::string as_words(const unsigned char* bytes, std::size_t length) {
  std::string out;
  for (std::size_t at = 0; at < length; at += sizeof(std::uint32_t)) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes + at, sizeof word);
    out += fmt::format("{:08X}", word);
  }
  return out;
}

std::string as_words(const std::string& address) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  const bool ipv4 = inet_pton(AF_INET, address.c_str(), bytes.data()) == 1;
  if (!ipv4 && inet_pton(AF_INET6, address.substr(0, address.find('%')).c_str(), bytes.data()) != 1) return {};
  return as_words(bytes.data(), ipv4 ? sizeof(in_addr) : sizeof(in6_addr));
}

/// True where a socket on that address is in the way of the target.
bool is_in_the_way(std::string_view address, const Target& target) {
  if (target.bind == Bind::any || address.find_first_not_of('0') == std::string_view::npos) return true;
  if (target.bind == Bind::localhost) return address == as_words("127.0.0.1") || address == as_words("::1");
  const std::string own = as_words(target.address);
  return own.find_first_not_of('0') == std::string::npos || address == own ||
         address == as_words("::ffff:" + target.address);
}

/// "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 12345 …"
std::optional<Socket> parse_line(std::string_view line, const Target& target) {
  take_word(line);
  const std::string_view local = take_word(line);
  const std::size_t colon = local.find(':');
  if (colon == std::string_view::npos || local.substr(colon + 1) != fmt::format("{:04X}", target.port)) return {};
  take_word(line);
  if (take_word(line) != kListening || !is_in_the_way(local.substr(0, colon), target)) return {};
  for (int i = 0; i < 3; ++i) take_word(line);
  Socket socket{.uid = std::string(take_word(line)), .inode = {}};
  take_word(line);
  socket.inode = take_word(line);
  return socket;
}

std::optional<Socket> find_socket(const System& system, const Target& target) {
  for (const char* const table : {"/proc/self/net/tcp6", "/proc/self/net/tcp"}) {
    const auto content = system.read_part(table, 0, kMostOfTable);
    if (!content) continue;
    std::string_view rest = *content;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size() - 1);
      if (auto socket = parse_line(rest.substr(0, end), target)) return socket;
      rest.remove_prefix(end + 1);
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

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return '0' <= c && c <= '9'; });
}

std::optional<std::string> find_process(const System& system, const std::string& inode) {
  const auto names = system.list("/proc");
  if (!names) return std::nullopt;
  const std::string link = "socket:[" + inode + "]";
  std::size_t links_left = kMostLinks;
  for (const std::string& pid : *names) {
    const std::string folder = "/proc/" + pid;
    if (!is_number(pid) || !has_open(system, folder + "/fd", link, links_left)) continue;
    const std::string name = system.read_part(folder + "/comm", 0, 64).value_or("a process");
    return fmt::format("{} (pid {})", std::string_view(name).substr(0, name.find('\n')), pid);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> holder_of(const System& system, const Target& target) {
  const auto socket = find_socket(system, target);
  if (!socket) return std::nullopt;
  if (auto process = find_process(system, socket->inode)) return process;
  return "a process of uid " + socket->uid;
}

}  // namespace portshim::listener
