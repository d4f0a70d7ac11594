// What becomes of a bind call of the app (--guard): who may go on as it is, who gets which other port. Pure, and
// without any allocation: it is asked while the app waits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace portshim::redirect {

/// An address of bind(2).
struct Address {
  bool ipv6 = false;
  std::array<std::uint8_t, 16> bytes{};  ///< in network order; of IPv4 the first four
  std::uint32_t scope = 0;               ///< of IPv6: the number of the interface
  std::uint16_t port = 0;
  bool operator==(const Address&) const = default;
};

/// "[::]:80", "127.0.0.1:80", "[fe80::1%3]:80"
[[nodiscard]] std::string to_string(const Address& address);

/// How a bind is tried.
struct Manner {
  bool ipv6_only = false;  ///< of IPv6: IPV6_V6ONLY
  bool shared = false;     ///< with SO_REUSEPORT: what is in use then is in use for every socket
};

/// Which ports may be bound: that is asked by trying.
class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;
  /// errno of a bind by a socket of the same kind as the app's, 0 for success.
  [[nodiscard]] virtual int try_bind(const Address& address, Manner manner) = 0;
};

struct Rules {
  bool moves = false;   ///< false: nothing is changed
  bool strict = false;  ///< a new port that is in use is not dodged
  std::map<std::uint16_t, std::uint16_t> map = {};
  std::uint16_t port_start = 1024;  ///< net.ipv4.ip_unprivileged_port_start
};

enum class Outcome : std::uint8_t {
  pass,         ///< none of the guard's business, or allowed
  denied,       ///< the kernel will deny it, and nothing is changed
  moved,        ///< it gets another port
  moved_aside,  ///< its port was given to another one before: it gets another port
  in_use,       ///< the port that it has to get is in use, or strict: the one that it has and another one was given
  no_room,      ///< it should get another port, but none is free
  full,         ///< it should get another port, but no more are remembered
  unavailable,  ///< its address cannot be bound on any port: it gets another port and the kernel's answer to that
};

struct Decision {
  Outcome outcome = Outcome::pass;
  /// The port that it gets (in_use: perhaps its own); no_room: the first that was tried.
  std::uint16_t port = 0;
  bool dual_only = false;  ///< in_use: a socket that takes IPv6 alone would get it (what holds it is one of IPv4)
  bool operator==(const Decision&) const = default;
};

/// Remembers which port was given for which, so that the IPv4 and the IPv6 address, TCP and UDP of one port stay
/// together.
class Redirector {
 public:
  static constexpr std::size_t kMostGiven = 128;

  explicit Redirector(Rules rules) : rules_(std::move(rules)) {}

  /// The kernel is asked only where the answer depends on it.
  [[nodiscard]] Decision decide(const Address& address, Kernel& kernel) const;
  /// The decision was carried out.
  void remember(const Address& address, const Decision& decision);
  /// The port that `port` is to get: --map's, or 8000 more, or where that is a low port or none, the first that is not
  /// low from 8080 on; what --map names for another port is passed over. Whether it is in use counts for nothing.
  [[nodiscard]] std::uint16_t wanted_port(std::uint16_t port) const;
  /// The port in whose place `port` was given; 0 where it was not.
  [[nodiscard]] std::uint16_t old_port(std::uint16_t port) const;
  [[nodiscard]] const Rules& rules() const { return rules_; }

 private:
  struct Given {
    std::uint16_t from = 0, to = 0;
  };
  [[nodiscard]] const Given* given_for(std::uint16_t from) const;
  [[nodiscard]] const Given* given_as(std::uint16_t to) const;
  [[nodiscard]] Decision decide_low(const Address& address, Kernel& kernel) const;
  [[nodiscard]] Decision decide_given(const Address& address, Kernel& kernel) const;

  Rules rules_;
  std::array<Given, kMostGiven> given_{};
  std::size_t count_ = 0;
};

}  // namespace portshim::redirect
