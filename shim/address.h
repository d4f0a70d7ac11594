// Kestrel's address grammar: what one address of a URL list means, and how its port is changed.
// Pure. Text is bytes in UTF-8; all that the grammar looks at is ASCII.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace portshim::address {

/// An exception that .NET throws by itself, as it prints it.
struct Exception {
  std::string type;  ///< full name, as "System.FormatException"
  std::string message;
  std::vector<std::string> causes = {};  ///< the inner exceptions, outermost first: "System.FormatException: text"
  bool operator==(const Exception&) const = default;
};

/// What an address binds (kestrel.md's notation ANY, LOCAL, ip, unix).
enum class Bind : std::uint8_t {
  any,          ///< [::]:port dual-mode, then 0.0.0.0:port (AnyIPListenOptions.cs)
  localhost,    ///< 127.0.0.1:port and [::1]:port (LocalhostListenOptions.cs)
  ip,           ///< that IP address only (ListenOptions.cs)
  unix_socket,  ///< a socket path
  named_pipe,   ///< parses on every system, fails when it is bound on Linux
};

/// What the kernel says to a bind of a target.
enum class Verdict : std::uint8_t {
  allowed,
  denied,       ///< EACCES or EPERM
  taken,        ///< EADDRINUSE: allowed, but another process has it
  unavailable,  ///< EADDRNOTAVAIL: not an address of this host
  unknown,      ///< not tried, or the trial itself failed
};

/// What BindingAddress.Parse (BindingAddress.cs) returns.
struct Parts {
  std::string scheme;  ///< as written
  std::string host;
  std::int32_t port = 0;  ///< not yet range-checked
  std::string path_base;
  bool unix_socket = false;
  bool named_pipe = false;
};

/// What AddressBinder.ParseAddress (AddressBinder.cs) makes of an address.
struct Target {
  bool https = false;
  Bind bind = Bind::any;
  std::string
      address;  ///< the IP address as .NET prints it (no brackets), the socket path, the pipe's name; else empty
  std::uint16_t port = 0;  ///< 0 for unix_socket and named_pipe
  bool operator==(const Target&) const = default;
};

/// True where a port is bound that was asked for: no socket path, no pipe, not port 0.
[[nodiscard]] bool has_port(const Target& target);

/// BindingAddress.Parse. `major` is the .NET major version, 6 or later.
[[nodiscard]] std::expected<Parts, Exception> parse(std::string_view address, int major);

/// BindingAddress.Parse and AddressBinder.ParseAddress: the endpoint, or the exception that .NET throws.
[[nodiscard]] std::expected<Target, Exception> resolve(std::string_view address, int major);

/// The address with its port changed, and nothing else. The port text is what follows the last ':' of the authority
/// outside (closed) brackets; where there is none, or where it is no Int32 and the host with it is an IP address or no
/// host would be left, ":port" is appended to the authority. Unix socket and pipe addresses, and text without "://",
/// come back unchanged. A text that was no port and stood behind a name or address that Kestrel knows
/// ("http://localhost:${PORT}") hid that from Kestrel, which binds a wildcard then; with the new port it binds what is
/// written.
[[nodiscard]] std::string with_port(std::string_view address, std::uint16_t port);

/// The text where the address has its port, when it is there but is not an Int32, so that .NET takes the scheme's
/// default port without a word: "${PORT}" of "http://+:${PORT}", "" of "http://+:". Empty optional when the port is a
/// number, is missing altogether (also in "http://user:password@host"), or belongs to an IP address.
[[nodiscard]] std::optional<std::string_view> unparsable_port(std::string_view address);

/// True for text that looks like a variable that nobody filled in: "$PORT", "${PORT}", "{port}", "%PORT%", "<port>",
/// "#{port}#", "[[port]]", "$(PORT)" anywhere in it.
[[nodiscard]] bool has_placeholder(std::string_view text);

/// int.TryParse(text, NumberStyles.Integer, InvariantCulture).
[[nodiscard]] std::optional<std::int32_t> parse_int32(std::string_view text);

/// IPAddress.TryParse: the address as .NET prints it (without brackets; a numeric scope as "%3" is kept, a scope that
/// is a name is dropped), or nothing when it is no IP address.
[[nodiscard]] std::optional<std::string> parse_ip(std::string_view host);

/// string.Trim(): without leading and trailing .NET white space (char.IsWhiteSpace, UTF-8 encoded).
[[nodiscard]] std::string_view trim(std::string_view text);

/// True when every socket address that `inner` binds is among those of `outer` (same port is assumed): a wildcard
/// covers everything, localhost covers 127.0.0.1 and ::1, 0.0.0.0 covers every IPv4 address, :: (dual-mode) is a
/// wildcard,
/// ::ffff:a.b.c.d is a.b.c.d. A Unix socket or pipe covers itself.
[[nodiscard]] bool covers(const Target& outer, const Target& inner);

/// True when the two cannot be bound side by side on one port (same port is assumed): EADDRINUSE in inet_csk_get_port.
/// False for unix sockets and pipes, and for port 0, which the kernel replaces by a free one.
[[nodiscard]] bool overlaps(const Target& a, const Target& b);

/// "http ANY:8080", "http LOCAL:80", "https 127.0.0.1:443", "http [::1]:80", "http unix:/run/k.sock" (kestrel.md's
/// notation), "http pipe:/name".
[[nodiscard]] std::string to_string(const Target& target);
/// The same without the scheme.
[[nodiscard]] std::string place_of(const Target& target);
/// "http" or "https"
[[nodiscard]] std::string_view scheme_of(const Target& target);
/// The address that binds a target: "http://*:80", "https://localhost:5000", "http://unix:/run/x.sock".
[[nodiscard]] std::string to_url(const Target& target);

}  // namespace portshim::address
