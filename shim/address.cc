// How Kestrel reads an address, in three layers that .NET has too: BindingAddress splits the text (it is no URI parser:
// nothing is trimmed or unescaped, and '?', '#', '\' and '@' mean nothing), AddressBinder decides what is bound, and
// IPAddress reads and prints IP addresses. Checked against .NET 8, 9 and 10, which differ in "*.localhost" alone.

#include "shim/address.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <limits>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include "shim/ascii.h"

namespace portshim::address {
namespace {

constexpr std::string_view kSchemeDelimiter = "://";
constexpr std::string_view kUnixPrefix = "unix:/";
constexpr std::string_view kPipePrefix = "pipe:/";
constexpr int kFirstMajorWithPipes = 8;
constexpr int kFirstMajorWithLocalhostNames = 10;
/// sizeof(sockaddr_un::sun_path) without the closing NUL (UnixDomainSocketEndPoint.Unix.cs).
constexpr std::size_t kMaxSocketPath = 107;

// ---- ASCII ----------------------------------------------------------------------------------------------------------

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter(char c) {
  return ascii::to_lower(c) >= 'a' && ascii::to_lower(c) <= 'z';
}

/// StringComparison.OrdinalIgnoreCase against an ASCII word: no other character folds to an ASCII letter there, not
/// even U+017F or U+212A.
bool equals_ignoring_case(std::string_view text, std::string_view lower_case_word) {
  return std::ranges::equal(text, lower_case_word, {}, ascii::to_lower);
}

/// The digit's value in bases up to 16; 16 when it is none.
std::uint32_t digit_value(char c) {
  if (is_digit(c)) return static_cast<std::uint32_t>(c - '0');
  const char lower = ascii::to_lower(c);
  return lower >= 'a' && lower <= 'f' ? static_cast<std::uint32_t>(lower - 'a') + 10U : 16U;
}

bool is_hex_digit(char c) {
  return digit_value(c) < 16U;
}

/// An unsigned number of digits alone, at least one; nothing when it does not fit.
std::optional<std::uint32_t> parse_digits(std::string_view text, std::uint32_t base) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const std::uint32_t digit = digit_value(c);
    if (digit >= base) return std::nullopt;
    value = (value * base) + digit;
    if (value > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  }
  return static_cast<std::uint32_t>(value);
}

/// .NET's number parser lets a number end in NULs, whatever the NumberStyles (Number.Parsing.cs, TrailingZeros).
std::string_view without_trailing_nuls(std::string_view text) {
  const std::size_t last = text.find_last_not_of('\0');
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// ---- IP addresses ---------------------------------------------------------------------------------------------------

// What .NET takes for an IP address decides between one interface and all of them, so its oddities count: "1" is
// 0.0.0.1, "010.0.0.1" is 8.0.0.1, and "[::1]:99999999999" is ::1.

constexpr std::size_t kGroups = 8;
using Groups = std::array<std::uint16_t, kGroups>;

/// An IPv4 address has its 32 bits in the last two groups, and zeros before them.
struct IpAddress {
  bool v6 = false;
  Groups groups{};
  std::uint32_t scope = 0;  ///< 0 = none
  bool operator==(const IpAddress&) const = default;
};

std::uint32_t last_32_bits(const Groups& groups) {
  return (std::uint32_t{groups[6]} << 16U) | groups[7];
}

void set_last_32_bits(std::span<std::uint16_t, 2> groups, std::uint32_t bits) {
  groups[0] = static_cast<std::uint16_t>(bits >> 16U);
  groups[1] = static_cast<std::uint16_t>(bits & 0xFFFFU);
}

/// One part of an IPv4 address as inet_aton(3) reads it: 0x is hexadecimal, a leading 0 octal.
std::optional<std::uint32_t> parse_ipv4_part(std::string_view part) {
  if (part.starts_with("0x") || part.starts_with("0X")) return parse_digits(part.substr(2), 16);
  return parse_digits(part, part.starts_with('0') ? 8 : 10);
}

/// One to four parts; the last one fills what the others leave (IPv4AddressHelper.Common.cs, ParseNonCanonical):
/// "127.1" is 127.0.0.1. `shift` is where the next part goes.
std::optional<std::uint32_t> parse_ipv4(std::string_view text) {
  std::uint32_t bits = 0;
  for (std::uint32_t shift = 24;; shift -= 8) {
    const std::size_t dot = text.find('.');
    const std::optional<std::uint32_t> part = parse_ipv4_part(text.substr(0, dot));
    if (!part) return std::nullopt;
    if (dot == std::string_view::npos) {
      // 64 bits, since a lone part has 32 bits to itself.
      const std::uint64_t limit = std::uint64_t{1} << (shift + 8);
      return *part < limit ? std::optional(bits | *part) : std::nullopt;
    }
    if (*part > 0xFF || shift == 0) return std::nullopt;
    bits |= *part << shift;
    text.remove_prefix(dot + 1);
  }
}

/// One octet of an IPv4 address within an IPv6 address: decimal. .NET checks for a needless leading zero when it meets
/// the dot behind it, so the last octet may have one ("::1.2.3.04").
std::optional<std::uint32_t> parse_octet(std::string_view text, bool is_last) {
  if (text.starts_with("00") || (text.size() > 1 && text.starts_with('0') && !is_last)) return std::nullopt;
  const std::optional<std::uint32_t> value = parse_digits(text, 10);
  return value && *value <= 0xFF ? value : std::nullopt;
}

/// The IPv4 address that an IPv6 address may end in: four decimal octets (IPv4AddressHelper.Common.cs,
/// IsValidCanonical).
std::optional<std::uint32_t> parse_embedded_ipv4(std::string_view text) {
  std::uint32_t bits = 0;
  for (int octet = 0; octet < 4; ++octet) {
    const bool is_last = octet == 3;
    const std::size_t end = is_last ? text.size() : text.find('.');
    if (end == std::string_view::npos) return std::nullopt;
    const std::optional<std::uint32_t> value = parse_octet(text.substr(0, end), is_last);
    if (!value) return std::nullopt;
    bits = (bits << 8U) | *value;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return bits;
}

/// The groups of an IPv6 address while it is read.
struct GroupReader {
  Groups groups{};
  std::size_t count = 0;
  std::optional<std::size_t> gap;  ///< number of groups before the "::"

  /// Takes what stands between two colons; false when it is no group, or one too many.
  bool take(std::string_view token, bool is_last) {
    if (token.contains('.')) return is_last && take_ipv4(token);
    // Four digits are the limit even when they are zeros: "::00001" is no address.
    const std::optional<std::uint32_t> value = token.size() <= 4 ? parse_digits(token, 16) : std::nullopt;
    if (!value || count == kGroups) return false;
    groups.at(count++) = static_cast<std::uint16_t>(*value);
    return true;
  }

  /// An embedded IPv4 address counts for two groups.
  bool take_ipv4(std::string_view token) {
    const std::optional<std::uint32_t> bits = parse_embedded_ipv4(token);
    if (!bits || count + 2 > kGroups) return false;
    set_last_32_bits(std::span(groups).subspan(count).first<2>(), *bits);
    count += 2;
    return true;
  }

  /// The whole address, zeros in the gap. A gap stands for at least one group.
  [[nodiscard]] std::optional<Groups> finish() const {
    if (gap ? count == kGroups : count != kGroups) return std::nullopt;
    Groups whole = groups;
    // Behind the groups that were read the array has zeros: they move into the gap.
    if (gap) std::rotate(whole.data() + *gap, whole.data() + count, whole.data() + kGroups);
    return whole;
  }
};

/// The text of an IPv6 address without brackets and scope (IPv6AddressHelper.Common.cs, IsValidStrict).
std::optional<Groups> parse_groups(std::string_view text) {
  GroupReader reader;
  if (text.starts_with("::")) {
    reader.gap = 0;
    text.remove_prefix(2);
  }
  // Each round takes a group and the colon behind it. A gap may be the end, a single colon may not.
  while (!text.empty()) {
    const std::size_t colon = text.find(':');
    if (!reader.take(text.substr(0, colon), colon == std::string_view::npos)) return std::nullopt;
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
    if (text.starts_with(':')) {
      if (reader.gap) return std::nullopt;
      reader.gap = reader.count;
      text.remove_prefix(1);
    } else if (text.empty()) {
      return std::nullopt;
    }
  }
  return reader.finish();
}

/// What may follow "]": nothing, or a port that .NET validates and ignores. It may be empty or of any length, and
/// hexadecimal with a lower-case "0x".
bool is_ignored_port(std::string_view text) {
  if (text.empty()) return true;
  if (!text.starts_with(':')) return false;
  text.remove_prefix(1);
  return text.starts_with("0x") ? std::ranges::all_of(text.substr(2), is_hex_digit)
                                : std::ranges::all_of(text, is_digit);
}

/// IPAddressParser.cs, TryParseIPv6. The scope is everything from the first '%' on, other colons included. One that is
/// no UInt32 is taken for an interface's name: dropped here, since the name means another index on another host.
std::optional<IpAddress> parse_ipv6(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t close = host.find(']');
    if (close == std::string_view::npos || !is_ignored_port(host.substr(close + 1))) return std::nullopt;
    host = host.substr(1, close - 1);
  }
  const std::size_t percent = host.find('%');
  // Without an opening bracket, a closing one is no hexadecimal digit, so it is refused here or in the scope.
  const std::optional<Groups> groups = parse_groups(host.substr(0, percent));
  if (!groups) return std::nullopt;
  IpAddress ip{.v6 = true, .groups = *groups};
  if (percent != std::string_view::npos) {
    const std::string_view scope = host.substr(percent + 1);
    if (scope.find_first_of("]/") != std::string_view::npos) return std::nullopt;
    ip.scope = parse_digits(without_trailing_nuls(scope), 10).value_or(0);
  }
  return ip;
}

/// IPAddressParser.cs: a colon decides for IPv6.
std::optional<IpAddress> parse_ip_address(std::string_view host) {
  if (host.contains(':')) return parse_ipv6(host);
  const std::optional<std::uint32_t> bits = parse_ipv4(host);
  if (!bits) return std::nullopt;
  IpAddress ip;
  set_last_32_bits(std::span(ip.groups).last<2>(), *bits);
  return ip;
}

bool is_ip_address(std::string_view host) {
  return parse_ip_address(host).has_value();
}

std::string format_ipv4(std::uint32_t bits) {
  return fmt::format("{}.{}.{}.{}", bits >> 24U, (bits >> 16U) & 0xFFU, (bits >> 8U) & 0xFFU, bits & 0xFFU);
}

/// Where the longest run of at least two zero groups is, the first of equals (RFC 5952, section 4.2); empty at the end
/// when there is none.
std::pair<std::size_t, std::size_t> longest_zero_run(std::span<const std::uint16_t> groups) {
  std::pair<std::size_t, std::size_t> best{groups.size(), groups.size()};
  std::size_t longest = 1;
  std::size_t start = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i] != 0) {
      start = i + 1;
    } else if (i + 1 - start > longest) {
      longest = i + 1 - start;
      best = {start, i + 1};
    }
  }
  return best;
}

/// Groups in lower-case hexadecimal, the longest run of zeros as "::".
std::string format_groups(std::span<const std::uint16_t> groups) {
  const auto [start, end] = longest_zero_run(groups);
  std::string text = fmt::format("{:x}", fmt::join(groups.first(start), ":"));
  if (start < end) text += fmt::format("::{:x}", fmt::join(groups.subspan(end), ":"));
  return text;
}

/// Where .NET prints the last 32 bits as IPv4 (IPv6AddressHelper.Common.cs, ShouldHaveIpv4Embedded): ::a.b.c.d,
/// ::ffff:a.b.c.d and ::ffff:0:a.b.c.d unless the address begins with two zero octets, and every ISATAP address.
bool shows_ipv4(const Groups& groups) {
  const bool isatap = groups[4] == 0 && groups[5] == 0x5EFE;
  const bool zeros_first = std::ranges::all_of(groups | std::views::take(4), [](auto group) { return group == 0; });
  const bool known_prefix =
      (groups[4] == 0 && (groups[5] == 0 || groups[5] == 0xFFFF)) || (groups[4] == 0xFFFF && groups[5] == 0);
  return isatap || (zeros_first && known_prefix && groups[6] != 0);
}

/// IPAddress.ToString (IPAddressParser.cs, FormatIPv6Address).
std::string format_ip(const IpAddress& ip) {
  if (!ip.v6) return format_ipv4(last_32_bits(ip.groups));
  std::string text;
  if (shows_ipv4(ip.groups)) {
    // Zeros are compressed among the first six groups only: "::5efe:0.0.0.0".
    text = format_groups(std::span(ip.groups).first<6>());
    if (!text.ends_with(':')) text += ':';
    text += format_ipv4(last_32_bits(ip.groups));
  } else {
    text = format_groups(ip.groups);
  }
  if (ip.scope != 0) text += fmt::format("%{}", ip.scope);
  return text;
}

// ---- Addresses of a URL list ----------------------------------------------------------------------------------------

std::unexpected<Exception> invalid_url(std::string_view address) {
  return std::unexpected(Exception{"System.FormatException", fmt::format("Invalid url: '{}'", address)});
}

std::unexpected<Exception> invalid_operation(std::string message) {
  return std::unexpected(Exception{"System.InvalidOperationException", std::move(message)});
}

std::unexpected<Exception> out_of_range(std::string message) {
  return std::unexpected(Exception{"System.ArgumentOutOfRangeException", std::move(message)});
}

/// The port of an address that names none: BindingAddress.cs.
std::int32_t default_port(std::string_view scheme) {
  if (equals_ignoring_case(scheme, "http")) return 80;
  return equals_ignoring_case(scheme, "https") ? 443 : 0;
}

/// Host and port of an authority: the last colon counts, within brackets too ("http://::1" is host ":" and port 1). A
/// text behind it that is no number stays in the host, and the port is the scheme's default (dotnet/aspnetcore#24384).
void split_authority(std::string_view authority, Parts& parts) {
  const std::size_t colon = authority.rfind(':');
  const std::optional<std::int32_t> port =
      colon == std::string_view::npos ? std::nullopt : parse_int32(authority.substr(colon + 1));
  parts.host = port ? authority.substr(0, colon) : authority;
  parts.port = port ? *port : default_port(parts.scheme);
}

/// AddressBinder.cs, ParseAddress. From .NET 10 on, any name below .localhost counts: one character before the dot is
/// enough, be it a blank, a dot or a bracket. "localhost." never does.
bool is_localhost(std::string_view host, int major) {
  constexpr std::string_view kSuffix = ".localhost";
  if (equals_ignoring_case(host, kSuffix.substr(1))) return true;
  return major >= kFirstMajorWithLocalhostNames && host.size() > kSuffix.size() &&
         equals_ignoring_case(host.substr(host.size() - kSuffix.size()), kSuffix);
}

/// ListenOptions' constructor for a socket path (UnixDomainSocketEndPoint.cs).
std::expected<Target, Exception> resolve_unix_socket(std::string path, bool https) {
  if (path.size() > kMaxSocketPath) {
    return out_of_range(
        fmt::format("The path '{}' is of an invalid length for use with domain sockets on this platform.  The length "
                    "must be between 1 and 108 characters, inclusive. (Parameter 'path')\nActual value was {}.",
                    path, path));
  }
  return Target{.https = https, .bind = Bind::unix_socket, .address = std::move(path)};
}

/// The constructors of LocalhostListenOptions, ListenOptions and AnyIPListenOptions; all check the port first.
std::expected<Target, Exception> resolve_port(const Parts& parts, bool https, int major) {
  if (parts.port < 0 || parts.port > std::numeric_limits<std::uint16_t>::max()) {
    return out_of_range("Specified argument was out of the range of valid values. (Parameter 'port')");
  }
  Target target;
  target.https = https;
  target.port = static_cast<std::uint16_t>(parts.port);
  if (is_localhost(parts.host, major)) {
    if (target.port == 0) {
      return invalid_operation(
          "Dynamic port binding is not supported when binding to localhost. You must either bind to 127.0.0.1:0 or "
          "[::1]:0, or both.");
    }
    target.bind = Bind::localhost;
  } else if (std::optional<std::string> ip = parse_ip(parts.host)) {
    target.bind = Bind::ip;
    target.address = *std::move(ip);
  }
  return target;
}

// ---- The port in the text -------------------------------------------------------------------------------------------

/// Where an address has its authority, and in that its port.
struct PortPlace {
  std::string_view authority;
  std::optional<std::size_t> colon;  ///< in the authority: the last ':' outside brackets
  std::string_view text;             ///< what follows the colon
};

/// A bracket that is not closed is no bracket: Kestrel finds the 1 of "http://[::1". So wherever Kestrel finds a number
/// behind its last colon, this finds the same one: no ']' can follow it.
std::optional<std::size_t> last_colon_outside_brackets(std::string_view authority) {
  std::optional<std::size_t> colon;
  bool may_close = true;
  for (std::size_t i = 0; i < authority.size(); ++i) {
    if (authority[i] == ':') colon = i;
    // Once no ']' is left, none is looked for again: this keeps it linear.
    if (authority[i] == '[' && may_close) {
      const std::size_t close = authority.find(']', i);
      may_close = close != std::string_view::npos;
      if (may_close) i = close;
    }
  }
  return colon;
}

/// Nothing for what has no port: text without "://", Unix sockets, pipes.
std::optional<PortPlace> find_port(std::string_view address) {
  const std::size_t delimiter = address.find(kSchemeDelimiter);
  if (delimiter == std::string_view::npos) return std::nullopt;
  const std::string_view rest = address.substr(delimiter + kSchemeDelimiter.size());
  if (rest.starts_with(kUnixPrefix) || rest.starts_with(kPipePrefix)) return std::nullopt;
  PortPlace place;
  place.authority = rest.substr(0, rest.find('/'));
  place.colon = last_colon_outside_brackets(place.authority);
  if (place.colon) place.text = place.authority.substr(*place.colon + 1);
  return place;
}

/// Whether a new port takes the place of the text behind the colon; else it goes to the authority's end. An IP address
/// keeps its text, and so does an authority of which no host would be left ("http://:" is a wildcard, but "http://:80"
/// is refused).
bool replaces_port_text(const PortPlace& place) {
  if (!place.colon) return false;
  return parse_int32(place.text) || (*place.colon > 0 && !is_ip_address(place.authority));
}

// ---- Placeholders ---------------------------------------------------------------------------------------------------

bool begins_name(char c) {
  return is_letter(c) || c == '_';
}

/// Characters between the marks of a placeholder: names, paths, and defaults (".Values.port", "PORT:-8080").
bool is_name_character(char c) {
  return begins_name(c) || is_digit(c) || c == '.' || c == ':' || c == '-' || c == ' ';
}

/// The text up to the first character that cannot belong to a name.
std::string_view leading_name(std::string_view text) {
  return text.substr(0, static_cast<std::size_t>(std::ranges::find_if_not(text, is_name_character) - text.begin()));
}

/// "%PORT%" but not percent-encoded octets ("%ab%cd").
bool is_percent_name(std::string_view name) {
  return !name.empty() && begins_name(name.front()) && (name.size() != 2 || !std::ranges::all_of(name, is_hex_digit));
}

/// Whether a placeholder begins at the first character, which is one of its marks. Each style has a false friend: a
/// '$' in a password, a '%' before a scope or an encoded octet, so that something like a name must follow.
bool begins_placeholder(std::string_view text) {
  const char mark = text.front();
  if (mark == '$') return text.size() > 1 && (begins_name(text[1]) || text[1] == '{' || text[1] == '(');
  const std::string_view name = leading_name(text.substr(1));
  const std::string_view end = text.substr(1 + name.size());
  if (mark == '%') return end.starts_with('%') && is_percent_name(name);
  if (!std::ranges::any_of(name, [](char c) { return is_letter(c) || is_digit(c); })) return false;
  if (mark == '{') return end.starts_with('}');
  if (mark == '<') return end.starts_with('>');
  return false;
}

/// "[[port]]"; an IPv6 address in its brackets has colons.
bool begins_double_bracket(std::string_view text) {
  constexpr std::string_view kOpen = "[[";
  if (!text.starts_with(kOpen)) return false;
  const std::string_view name = leading_name(text.substr(kOpen.size()));
  return text.substr(kOpen.size() + name.size()).starts_with("]]") && std::ranges::any_of(name, is_letter) &&
         !name.contains(':');
}

// ---- What is bound --------------------------------------------------------------------------------------------------

/// The socket addresses that a target binds on its port.
struct Reach {
  bool all_v4 = false;
  bool all_v6 = false;
  std::vector<IpAddress> single;  ///< others than the wildcards

  [[nodiscard]] bool contains(const IpAddress& ip) const {
    return (ip.v6 ? all_v6 : all_v4) || std::ranges::find(single, ip) != single.end();
  }
  [[nodiscard]] bool has_any_of(bool v6) const {
    return (v6 ? all_v6 : all_v4) || std::ranges::any_of(single, [v6](const IpAddress& ip) { return ip.v6 == v6; });
  }
};

IpAddress loopback(bool v6) {
  IpAddress ip{.v6 = v6};
  set_last_32_bits(std::span(ip.groups).last<2>(), v6 ? 1 : 0x7F000001);
  return ip;
}

/// As the kernel takes it: a mapped address binds IPv4 (net/ipv6/af_inet6.c, __inet6_bind), and a scope counts for
/// link-local addresses (fe80::/10) alone.
IpAddress as_bound(IpAddress ip) {
  const bool mapped = ip.v6 && ip.groups[5] == 0xFFFF &&
                      std::ranges::all_of(ip.groups | std::views::take(5), [](auto group) { return group == 0; });
  if (mapped) {
    ip.v6 = false;
    ip.groups[5] = 0;
  }
  if ((ip.groups[0] & 0xFFC0U) != 0xFE80U) ip.scope = 0;
  return ip;
}

/// Nothing for targets that have no IP address. AnyIPListenOptions is bound dual-mode; its fallback to 0.0.0.0 is for
/// hosts without IPv6, where there is nothing else to reach.
std::optional<Reach> reach(const Target& target) {
  if (target.bind == Bind::any) return Reach{.all_v4 = true, .all_v6 = true, .single = {}};
  if (target.bind == Bind::localhost) return Reach{.single = {loopback(false), loopback(true)}};
  if (target.bind != Bind::ip) return std::nullopt;
  const std::optional<IpAddress> ip = parse_ip_address(target.address);
  if (!ip) return std::nullopt;
  const IpAddress bound = as_bound(*ip);
  if (bound.groups == Groups{}) {
    // Kestrel binds what equals IPAddress.IPv6Any dual-mode (SocketTransportOptions.cs); .NET makes every other IPv6
    // socket IPv6 only, and "::%1" is another one.
    return Reach{.all_v4 = !bound.v6 || ip->scope == 0, .all_v6 = bound.v6, .single = {}};
  }
  return Reach{.single = {bound}};
}

/// A link-local address without a scope may be on any link: a scope that was a name is not known.
bool may_be_same(const IpAddress& a, const IpAddress& b) {
  return a.v6 == b.v6 && a.groups == b.groups && (a.scope == b.scope || a.scope == 0 || b.scope == 0);
}

bool share_an_address(const Reach& a, const Reach& b) {
  return std::ranges::any_of(a.single, [&b](const IpAddress& ip) {
    return std::ranges::any_of(b.single, [&ip](const IpAddress& other) { return may_be_same(ip, other); });
  });
}

// ---- White space ----------------------------------------------------------------------------------------------------

/// char.IsWhiteSpace above ASCII, in UTF-8: U+0085, 00A0, 1680, 2000 to 200A, 2028, 2029, 202F, 205F, 3000.
constexpr auto kWideSpaces = std::to_array<std::string_view>(
    {"\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83",
     "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A",
     "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"});

/// ASCII white space, to char.IsWhiteSpace and to the number parser (not U+001C to 001F).
bool is_ascii_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// Number of bytes of the white space character that the text begins with; 0 when there is none.
std::size_t leading_space(std::string_view text) {
  if (!text.empty() && is_ascii_space(text.front())) return 1;
  const auto* const found = std::ranges::find_if(kWideSpaces, [&](auto space) { return text.starts_with(space); });
  return found == kWideSpaces.end() ? 0 : found->size();
}

/// The same at the end. UTF-8 lets no character end in the bytes of another, so a suffix is enough.
std::size_t trailing_space(std::string_view text) {
  if (!text.empty() && is_ascii_space(text.back())) return 1;
  const auto* const found = std::ranges::find_if(kWideSpaces, [&](auto space) { return text.ends_with(space); });
  return found == kWideSpaces.end() ? 0 : found->size();
}

/// What stands behind the scheme; `any` and `localhost` are the words for these two.
std::string place_of(const Target& target, std::string_view any, std::string_view localhost) {
  switch (target.bind) {
    case Bind::any:
      return fmt::format("{}:{}", any, target.port);
    case Bind::localhost:
      return fmt::format("{}:{}", localhost, target.port);
    case Bind::unix_socket:
      return "unix:" + target.address;
    case Bind::named_pipe:
      return "pipe:/" + target.address;
    case Bind::ip:
      break;
  }
  const bool v6 = target.address.contains(':');
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", target.address, v6 ? "]" : "", target.port);
}

}  // namespace

bool has_port(const Target& target) {
  return target.bind != Bind::unix_socket && target.bind != Bind::named_pipe && target.port != 0;
}

std::expected<Parts, Exception> parse(std::string_view address, int major) {
  const std::size_t delimiter = address.find(kSchemeDelimiter);
  if (delimiter == std::string_view::npos) return invalid_url(address);
  const std::string_view rest = address.substr(delimiter + kSchemeDelimiter.size());

  Parts parts;
  parts.scheme = address.substr(0, delimiter);
  parts.unix_socket = rest.starts_with(kUnixPrefix);
  parts.named_pipe = major >= kFirstMajorWithPipes && rest.starts_with(kPipePrefix);
  const bool is_port = !parts.unix_socket && !parts.named_pipe;

  // A socket path or pipe name ends at a colon, which belongs to neither side; an authority at its path.
  const std::size_t found = is_port ? rest.find('/') : rest.find(':', kUnixPrefix.size());
  const std::size_t end = std::min(found, rest.size());
  const std::size_t path = is_port || end == rest.size() ? end : end + 1;
  if (is_port) {
    split_authority(rest.substr(0, end), parts);
  } else {
    parts.host = rest.substr(0, end);
    parts.port = parts.named_pipe ? default_port(parts.scheme) : 0;
  }
  if (parts.host.empty()) return invalid_url(address);

  std::string_view path_base = rest.substr(path);
  if (rest.ends_with('/')) {
    // .NET takes the last '/' off before it looks whether there is a path base to take it off from.
    if (path_base.empty()) {
      return out_of_range("length ('-1') must be a non-negative value. (Parameter 'length')\nActual value was -1.");
    }
    path_base.remove_suffix(1);
  }
  parts.path_base = path_base;
  return parts;
}

std::expected<Target, Exception> resolve(std::string_view address, int major) {
  std::expected<Parts, Exception> parts = parse(address, major);
  if (!parts) return std::unexpected(std::move(parts).error());
  const bool https = equals_ignoring_case(parts->scheme, "https");
  if (!https && !equals_ignoring_case(parts->scheme, "http")) {
    return invalid_operation(fmt::format(
        "Unrecognized scheme in server address '{}'. Only 'http://' and 'https://' are supported.", address));
  }
  // Scheme, then path base, then the host: with more than one fault, .NET reports the first.
  if (!parts->path_base.empty()) {
    return invalid_operation("A path base can only be configured using IApplicationBuilder.UsePathBase().");
  }
  // The path keeps the '/' of "unix:/", the pipe's name does not keep that of "pipe:/".
  if (parts->unix_socket) return resolve_unix_socket(parts->host.substr(kUnixPrefix.size() - 1), https);
  if (parts->named_pipe) {
    return Target{.https = https, .bind = Bind::named_pipe, .address = parts->host.substr(kPipePrefix.size())};
  }
  return resolve_port(*parts, https, major);
}

std::string with_port(std::string_view address, std::uint16_t port) {
  const std::optional<PortPlace> place = find_port(address);
  if (!place) return std::string(address);
  const auto start = static_cast<std::size_t>(place->authority.data() - address.data());
  const std::size_t end = start + place->authority.size();
  const std::size_t colon = replaces_port_text(*place) ? start + *place->colon : end;
  return fmt::format("{}:{}{}", address.substr(0, colon), port, address.substr(end));
}

std::optional<std::string_view> unparsable_port(std::string_view address) {
  const std::optional<PortPlace> place = find_port(address);
  if (!place || !place->colon || parse_int32(place->text) || is_ip_address(place->authority)) return std::nullopt;
  // What follows the colon of user info is a password, not a port that somebody meant.
  if (place->text.contains('@')) return std::nullopt;
  return place->text;
}

bool has_placeholder(std::string_view text) {
  // No mark can stand within a name, so each byte is looked at a fixed number of times.
  for (std::size_t i = text.find_first_of("$%{<["); i != std::string_view::npos;
       i = text.find_first_of("$%{<[", i + 1)) {
    if (begins_placeholder(text.substr(i)) || begins_double_bracket(text.substr(i))) return true;
  }
  return false;
}

std::optional<std::int32_t> parse_int32(std::string_view text) {
  // White space, sign, digits, white space, NULs; nothing between sign and digits.
  text = without_trailing_nuls(text);
  while (!text.empty() && is_ascii_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_ascii_space(text.back())) text.remove_suffix(1);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::optional<std::uint32_t> magnitude = parse_digits(text, 10);
  if (!magnitude) return std::nullopt;
  const std::int64_t value = negative ? -std::int64_t{*magnitude} : std::int64_t{*magnitude};
  if (value != static_cast<std::int32_t>(value)) return std::nullopt;
  return static_cast<std::int32_t>(value);
}

std::optional<std::string> parse_ip(std::string_view host) {
  const std::optional<IpAddress> ip = parse_ip_address(host);
  return ip ? std::optional(format_ip(*ip)) : std::nullopt;
}

std::string_view trim(std::string_view text) {
  while (const std::size_t size = leading_space(text)) text.remove_prefix(size);
  while (const std::size_t size = trailing_space(text)) text.remove_suffix(size);
  return text;
}

bool covers(const Target& outer, const Target& inner) {
  const std::optional<Reach> all = reach(outer);
  const std::optional<Reach> some = reach(inner);
  if (!all || !some) return outer.bind == inner.bind && outer.address == inner.address;
  return (all->all_v4 || !some->all_v4) && (all->all_v6 || !some->all_v6) &&
         std::ranges::all_of(some->single, [&all](const IpAddress& ip) { return all->contains(ip); });
}

bool overlaps(const Target& a, const Target& b) {
  // inet_csk_bind_conflict and ipv6_rcv_saddr_equal: IPv4 and IPv6 meet only through a dual-mode wildcard or a mapped
  // address. SO_REUSEADDR does not help, as both sockets listen.
  if (a.port == 0 || b.port == 0) return false;
  const std::optional<Reach> first = reach(a);
  const std::optional<Reach> second = reach(b);
  if (!first || !second) return false;
  return (first->all_v4 && second->has_any_of(false)) || (second->all_v4 && first->has_any_of(false)) ||
         (first->all_v6 && second->has_any_of(true)) || (second->all_v6 && first->has_any_of(true)) ||
         share_an_address(*first, *second);
}

std::string to_string(const Target& target) {
  return fmt::format("{} {}", scheme_of(target), place_of(target));
}

std::string place_of(const Target& target) {
  return place_of(target, "ANY", "LOCAL");
}

std::string_view scheme_of(const Target& target) {
  return target.https ? "https" : "http";
}

std::string to_url(const Target& target) {
  return fmt::format("{}://{}", scheme_of(target), place_of(target, "*", "localhost"));
}

}  // namespace portshim::address
