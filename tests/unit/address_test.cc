#include "shim/address.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/istreamwrapper.h>

#include <array>
#include <fstream>
#include <map>
#include <ostream>
#include <span>
#include <utility>
#include <vector>

namespace portshim::address {

void PrintTo(const Target& target, std::ostream* out) {
  *out << to_string(target);
}

namespace {

constexpr std::array kMajors{8, 9, 10};
constexpr std::array<std::uint16_t, 4> kNewPorts{1, 1024, 8080, 65535};
constexpr std::string_view kPipeFailure =
    "PlatformNotSupportedException: Named pipes transport requires a Windows operating system.";

/// The vectors' notation: an endpoint, or the exception without its namespace.
std::string describe(const std::expected<Target, Exception>& result) {
  if (result) return to_string(*result);
  return result.error().type.substr(result.error().type.rfind('.') + 1) + ": " + result.error().message;
}

std::string resolved(std::string_view address, int major = 10) {
  return describe(resolve(address, major));
}

Target target_of(std::string_view address) {
  const std::expected<Target, Exception> target = resolve(address, 10);
  EXPECT_TRUE(target.has_value()) << address;
  return target.value_or(Target{});
}

// ---- The vectors recorded from real .NET ----------------------------------------------------------------------------

struct Vector {
  std::string id;
  std::string input;
  std::map<int, std::string> expect;  ///< by major version
  std::string parts;                  ///< "scheme|host|port|pathBase", empty when parse() fails
};

std::string text_of(const rapidjson::Value& value) {
  return {value.GetString(), value.GetStringLength()};
}

Vector vector_of(const rapidjson::Value& json) {
  Vector vector{.id = text_of(json["id"]), .input = text_of(json["input"]), .expect = {}, .parts = {}};
  const rapidjson::Value& expect = json["expect"];
  for (const int major : kMajors) {
    const std::string key = expect.HasMember("all") ? "all" : std::to_string(major);
    vector.expect[major] = text_of(expect[key.c_str()]);
  }
  if (json.HasMember("parts")) {
    const rapidjson::Value& parts = json["parts"];
    vector.parts = fmt::format("{}|{}|{}|{}", text_of(parts["scheme"]), text_of(parts["host"]), parts["port"].GetInt(),
                               text_of(parts["pathBase"]));
  }
  return vector;
}

/// Empty when the file cannot be read; the tests check the number.
std::vector<Vector> vectors() {
  std::ifstream file(PORTSHIM_TEST_DATA "/url-vectors.json");
  rapidjson::IStreamWrapper stream(file);
  rapidjson::Document json;
  std::vector<Vector> all;
  if (json.ParseStream(stream).HasParseError()) return all;
  for (const auto& vector : json["vectors"].GetArray()) all.push_back(vector_of(vector));
  return all;
}

bool is_tcp(const Target& target) {
  return target.bind != Bind::unix_socket && target.bind != Bind::named_pipe;
}

/// What a started server says: it refuses a pipe when it binds it.
std::string started(const std::string& address, int major) {
  const std::expected<Target, Exception> result = resolve(address, major);
  if (result && result->bind == Bind::named_pipe) return std::string(kPipeFailure);
  return describe(result);
}

/// The scope of U29 is an interface's name; the recorder dropped it, and so does resolve().
TEST(AddressVectors, EveryRecordedAddressResolvesAsInRealKestrel) {
  EXPECT_EQ(vectors().size(), 336U);
  for (const Vector& vector : vectors()) {
    for (const auto& [major, expected] : vector.expect) {
      EXPECT_EQ(started(vector.input, major), expected) << vector.id << " on " << major;
    }
  }
}

TEST(AddressVectors, PartsAreWhatBindingAddressParseReturns) {
  for (const Vector& vector : vectors()) {
    const std::expected<Parts, Exception> parts = parse(vector.input, 10);
    EXPECT_EQ(parts ? fmt::format("{}|{}|{}|{}", parts->scheme, parts->host, parts->port, parts->path_base) : "",
              vector.parts)
        << vector.id;
  }
}

/// What an address binds, or nothing when that is no port. A port text that is no number hides from Kestrel what stands
/// before it ("http://localhost:abc" binds a wildcard): then, what it binds without that text. In "http://:" nothing
/// stands before it.
std::optional<Target> port_target(const std::string& address, int major) {
  const std::optional<std::string_view> no_number = unparsable_port(address);
  std::string visible = address;
  if (no_number && !address.contains("://:")) {
    const auto start = static_cast<std::size_t>(no_number->data() - address.data());
    visible.erase(start - 1, no_number->size() + 1);
  }
  const std::expected<Target, Exception> target = resolve(visible, major);
  return target && is_tcp(*target) ? std::optional(*target) : std::nullopt;
}

TEST(AddressVectors, ANewPortChangesNothingButThePort) {
  std::size_t moved = 0;
  for (const Vector& vector : vectors()) {
    for (const int major : kMajors) {
      std::optional<Target> target = port_target(vector.input, major);
      if (!target) continue;
      for (const std::uint16_t port : kNewPorts) {
        target->port = port;
        EXPECT_EQ(resolved(with_port(vector.input, port), major), to_string(*target)) << vector.id << " on " << major;
        ++moved;
      }
    }
  }
  EXPECT_GT(moved, 1000U);
}

/// The exception to the rule that the kind of bind stays is not wider than it is said to be.
TEST(AddressVectors, ANewPortWidensNothing) {
  for (const Vector& vector : vectors()) {
    const std::expected<Target, Exception> before = resolve(vector.input, 10);
    if (!before || !is_tcp(*before)) continue;
    EXPECT_TRUE(covers(*before, target_of(with_port(vector.input, 8080)))) << vector.id;
  }
}

// ---- Grammar --------------------------------------------------------------------------------------------------------

TEST(Address, ExceptionTypesAreFullDotNetNames) {
  EXPECT_EQ(resolve("x", 10).error(), (Exception{"System.FormatException", "Invalid url: 'x'"}));
  EXPECT_EQ(resolve("ftp://+", 10).error().type, "System.InvalidOperationException");
  EXPECT_EQ(resolve("http://+:65536", 10).error().type, "System.ArgumentOutOfRangeException");
  EXPECT_EQ(parse("http://unix:/x/", 10).error().type, "System.ArgumentOutOfRangeException");
}

TEST(Address, PortTextThatIsNoNumberMeansTheSchemesDefault) {
  EXPECT_EQ(resolved("http://+:${PORT}"), "http ANY:80");
  EXPECT_EQ(resolved("https://+:${PORT}"), "https ANY:443");
  EXPECT_EQ(resolved("http://+:8080,8081"), "http ANY:80");
  EXPECT_EQ(resolved("http://+:"), "http ANY:80");
}

TEST(Address, NamedPipesAreKnownFromDotNet8On) {
  EXPECT_EQ(resolved("http://pipe:/name", 8), "http pipe:/name");
  EXPECT_EQ(resolved("http://pipe:/name", 7),
            "InvalidOperationException: A path base can only be configured using IApplicationBuilder.UsePathBase().");
  EXPECT_TRUE(parse("http://pipe:/name", 10)->named_pipe);
  EXPECT_FALSE(parse("http://pipe:/name", 6)->named_pipe);
  EXPECT_EQ(target_of("http://pipe:/name").port, 0);
}

TEST(Address, NamesBelowLocalhostAreLoopbackFromDotNet10On) {
  for (const std::string_view host : {"a.localhost", "..localhost", " .localhost", "[::1].localhost", "A.LocalHost"}) {
    const std::string address = fmt::format("http://{}:8080", host);
    for (const int major : {6, 8, 9}) EXPECT_EQ(resolved(address, major), "http ANY:8080") << host;
    for (const int major : {10, 11}) EXPECT_EQ(resolved(address, major), "http LOCAL:8080") << host;
  }
}

TEST(Address, LocalhostWithOtherDotsIsAName) {
  EXPECT_EQ(resolved("http://.localhost:8080"), "http ANY:8080");
  EXPECT_EQ(resolved("http://a.localhost.:8080"), "http ANY:8080");
}

TEST(Address, SocketPathsMayHave107Bytes) {
  EXPECT_EQ(resolved("http://unix:/" + std::string(106, 'a')), "http unix:/" + std::string(106, 'a'));
  const std::string path = "/" + std::string(107, 'a');
  EXPECT_EQ(resolved("http://unix:" + path),
            "ArgumentOutOfRangeException: The path '" + path +
                "' is of an invalid length for use with domain sockets on this platform.  The length must be between "
                "1 and 108 characters, inclusive. (Parameter 'path')\nActual value was " +
                path + ".");
  // Bytes, not characters: this one has four.
  EXPECT_TRUE(resolve("http://unix:/\xF0\x9F\x98\x80" + std::string(102, 'a'), 10).has_value());
  EXPECT_FALSE(resolve("http://unix:/\xF0\x9F\x98\x80" + std::string(103, 'a'), 10).has_value());
}

TEST(Address, APortOutOfRangeIsReportedBeforeADynamicOne) {
  constexpr std::string_view kOutOfRange =
      "ArgumentOutOfRangeException: Specified argument was out of the range of valid values. (Parameter 'port')";
  EXPECT_EQ(resolved("http://localhost:65536"), kOutOfRange);
  EXPECT_EQ(resolved("http://127.0.0.1:-1"), kOutOfRange);
  EXPECT_TRUE(resolved("http://localhost:0").starts_with("InvalidOperationException: Dynamic port binding"));
}

/// All that reads the text; something that depends on the results.
std::size_t read_in_every_way(std::string_view text) {
  return static_cast<std::size_t>(resolve(text, 10).has_value()) + with_port(text, 1).size() +
         static_cast<std::size_t>(has_placeholder(text)) + trim(text).size() +
         static_cast<std::size_t>(parse_ip(text).has_value());
}

/// A quadratic step would exceed the test's time limit.
TEST(Address, LongValuesAreReadInLinearTime) {
  for (const char c : {'[', ']', ':', '/', '%', '{', '<', '$', '0', '1', '.', 'a', ' ', '\0'}) {
    const std::string many(std::size_t{1} << 18U, c);
    for (const std::string& text : {many, "http://" + many, "http://[" + many, "http://+:" + many}) {
      EXPECT_GT(read_in_every_way(text), 0U) << c;
    }
  }
}

// ---- Int32 ----------------------------------------------------------------------------------------------------------

TEST(ParseInt32, TakesWhatDotNetTakes) {
  using namespace std::string_view_literals;
  constexpr std::array kCases{
      std::pair{"8080"sv, 8080},
      std::pair{"+8080"sv, 8080},
      std::pair{" 8080 "sv, 8080},
      std::pair{"\t\n\v\f\r8080\r"sv, 8080},
      std::pair{"008080"sv, 8080},
      std::pair{"-0"sv, 0},
      std::pair{"80\0"sv, 80},
      std::pair{"80 \0\0"sv, 80},
      std::pair{"2147483647"sv, 2147483647},
      std::pair{"-2147483648"sv, -2147483647 - 1},
  };
  for (const auto& [text, value] : kCases) EXPECT_EQ(parse_int32(text), value) << text;
  EXPECT_EQ(parse_int32(std::string(1000, '0') + "7"), 7);
}

TEST(ParseInt32, RefusesEverythingElse) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,
                                      " "sv,
                                      "\0"sv,
                                      "+"sv,
                                      "-"sv,
                                      "+ 80"sv,
                                      "--1"sv,
                                      "+-1"sv,
                                      "0x50"sv,
                                      "8_080"sv,
                                      "8,080"sv,
                                      "8 080"sv,
                                      "80abc"sv,
                                      "80.0"sv,
                                      "1e3"sv,
                                      "80\0 "sv,
                                      "80\x1C"sv,
                                      "\0"
                                      "80"sv,
                                      "80\xC2\xA0"sv,
                                      "\xEF\xBC\x98"sv,
                                      "2147483648"sv,
                                      "-2147483649"sv,
                                      "4294967296"sv,
                                      "99999999999999999999"sv}) {
    EXPECT_EQ(parse_int32(text), std::nullopt) << text;
  }
}

// ---- IP addresses ---------------------------------------------------------------------------------------------------

/// Recorded from IPAddress.TryParse and ToString on .NET 8, 9 and 10, which agree.
struct IpCase {
  std::string_view text;
  std::string_view printed;  ///< empty: no IP address
};

void expect_ip_cases(std::span<const IpCase> cases) {
  for (const auto& [text, printed] : cases) EXPECT_EQ(parse_ip(text).value_or(""), printed) << text;
}

TEST(ParseIp, ReadsIPv4AsInetAtonDoes) {
  constexpr std::array kCases{
      IpCase{"127.0.0.1", "127.0.0.1"},
      IpCase{"1", "0.0.0.1"},
      IpCase{"127.1", "127.0.0.1"},
      IpCase{"1.2.3", "1.2.0.3"},
      IpCase{"0x7f.1", "127.0.0.1"},
      IpCase{"0X7F.1", "127.0.0.1"},
      IpCase{"010.0.0.1", "8.0.0.1"},
      IpCase{"00", "0.0.0.0"},
      IpCase{"4294967295", "255.255.255.255"},
      IpCase{"037777777777", "255.255.255.255"},
      IpCase{"1.0xffffff", "1.255.255.255"},
  };
  expect_ip_cases(kCases);
}

TEST(ParseIp, RefusesWhatIsNoIPv4Address) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, "."sv, "1."sv, ".1"sv, "1..2"sv, "1.2.3.4.5"sv, "08"sv, "0x"sv, "256.1.1.1"sv, "1.2.3.0x100"sv,
        "1.0x1000000"sv, "4294967296"sv, "040000000000"sv, "1.2.3.4 "sv, "1.2.3.4\0"sv, "1.2.3.4/8"sv, "+1"sv, "a"sv}) {
    EXPECT_EQ(parse_ip(text), std::nullopt) << text;
  }
}

TEST(ParseIp, CompressesIPv6AsDotNetPrintsIt) {
  constexpr std::array kCases{
      IpCase{"::", "::"},
      IpCase{"::1", "::1"},
      IpCase{"::ABCD", "::abcd"},
      IpCase{"0:0:1::", "0:0:1::"},
      IpCase{"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
      IpCase{"1:0:0:2:3:0:0:4", "1::2:3:0:0:4"},
      IpCase{"1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"},
      IpCase{"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      IpCase{"::1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"},
      IpCase{"1::2:3:4:5:6:7", "1:0:2:3:4:5:6:7"},
      IpCase{"001:02:0003:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
  };
  expect_ip_cases(kCases);
}

TEST(ParseIp, PrintsEmbeddedIPv4WhereDotNetDoes) {
  constexpr std::array kCases{
      IpCase{"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
      IpCase{"::ffff:102:304", "::ffff:1.2.3.4"},
      IpCase{"::1.2.3.4", "::1.2.3.4"},
      IpCase{"::0.1.2.3", "::0.1.2.3"},
      IpCase{"::0.0.2.3", "::203"},
      IpCase{"::ffff:0.0.0.0", "::ffff:0:0"},
      IpCase{"::ffff:0:1.2.3.4", "::ffff:0:1.2.3.4"},
      IpCase{"::5efe:1.2.3.4", "::5efe:1.2.3.4"},
      IpCase{"::5efe:0:0", "::5efe:0.0.0.0"},
      IpCase{"fe80::5efe:1.2.3.4", "fe80::5efe:1.2.3.4"},
      IpCase{"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
      IpCase{"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      IpCase{"::1.2.3.04", "::1.2.3.4"},  // only the last octet may have a leading zero
      IpCase{"::1.2.03.4", ""},
      IpCase{"::1.2.3.00", ""},
      IpCase{"::1.2.3", ""},
      IpCase{"::1.2.3.256", ""},
      IpCase{"::0x1.2.3.4", ""},
      IpCase{"1:2:3:4:5:6:7:1.2.3.4", ""},
      IpCase{"::1.2.3.4:5", ""},
  };
  expect_ip_cases(kCases);
}

TEST(ParseIp, KeepsANumericScopeAndDropsAName) {
  using namespace std::string_view_literals;
  constexpr std::array kCases{
      IpCase{"fe80::1%3", "fe80::1%3"},
      IpCase{"[fe80::1%3]", "fe80::1%3"},
      IpCase{"::1%3\0"sv, "::1%3"},
      IpCase{"::1%0", "::1"},
      IpCase{"::1%", "::1"},
      IpCase{"::1%eth0", "::1"},
      IpCase{"::1%+3", "::1"},
      IpCase{"::1%a:b", "::1"},
      IpCase{"::1%4294967295", "::1%4294967295"},
      IpCase{"::1%4294967296", "::1"},
      IpCase{"::%1.2", "::"},
      IpCase{"::1%]", ""},
      IpCase{"::1%a/3", ""},
  };
  expect_ip_cases(kCases);
}

TEST(ParseIp, ValidatesAndIgnoresAPortBehindTheBracket) {
  constexpr std::array kCases{
      IpCase{"[::1]", "::1"},      IpCase{"[::1]:", "::1"},      IpCase{"[::1]:99999999999", "::1"},
      IpCase{"[::1]:0x1F", "::1"}, IpCase{"[::1]:0x", "::1"},    IpCase{"[::1]:0X1f", ""},
      IpCase{"[::1]:0xg", ""},     IpCase{"[::1]:abc", ""},      IpCase{"[::1]:80 ", ""},
      IpCase{"[::1]5", ""},        IpCase{"[::1]]", ""},         IpCase{"[::1", ""},
      IpCase{"::1]", ""},          IpCase{"[[::1]]", ""},        IpCase{"[]:80", ""},
      IpCase{"[127.0.0.1]", ""},   IpCase{"[127.0.0.1]:80", ""},
  };
  expect_ip_cases(kCases);
}

TEST(ParseIp, RefusesWhatIsNoIPv6Address) {
  for (const std::string_view text :
       {":", ":::", "1:::2", "::1::", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "::1:2:3:4:5:6:7:8", "::g", "::12345", "::00001", "::/64", " ::1", "::1 ", "%::1"}) {
    EXPECT_EQ(parse_ip(text), std::nullopt) << text;
  }
}

// ---- The port in the text -------------------------------------------------------------------------------------------

struct PortCase {
  std::string_view address;
  std::string_view moved;  ///< to 8080
};

TEST(WithPort, ReplacesANumber) {
  constexpr std::array kCases{
      PortCase{"http://+:80", "http://+:8080"},
      PortCase{"http://+:80/", "http://+:8080/"},
      PortCase{"http://+:80/app", "http://+:8080/app"},
      PortCase{"http://+: 80 ", "http://+:8080"},
      PortCase{"http://+:-1", "http://+:8080"},
      PortCase{"HTTP://LocalHost:80", "HTTP://LocalHost:8080"},
      PortCase{"https://*:443", "https://*:8080"},
      PortCase{"odd+scheme://+:80", "odd+scheme://+:8080"},
      PortCase{"http://[::1]:80", "http://[::1]:8080"},
      PortCase{"http://[fe80::1%3]:80/", "http://[fe80::1%3]:8080/"},
      PortCase{"http://::1", "http://::8080"},  // that 1 is the port of host ":"
      PortCase{"http://::1:80", "http://::1:8080"},
      PortCase{"http://[::1", "http://[::8080"},  // no bracket closes: that 1 is a port
      PortCase{"http://[::1]:99:80", "http://[::1]:99:8080"},
      PortCase{"http://user:pw@host:80", "http://user:pw@host:8080"},
      PortCase{"http://u:[::p@+:80", "http://u:[::p@+:8080"},
  };
  for (const auto& [address, moved] : kCases) EXPECT_EQ(with_port(address, 8080), moved);
}

TEST(WithPort, AppendsWhereThereIsNoPort) {
  constexpr std::array kCases{
      PortCase{"http://+", "http://+:8080"},
      PortCase{"http://+/", "http://+:8080/"},
      PortCase{"https://example.com", "https://example.com:8080"},
      PortCase{"http://[::1]", "http://[::1]:8080"},
      PortCase{"http://[::1]/", "http://[::1]:8080/"},
      PortCase{"http://[a:b]", "http://[a:b]:8080"},
      PortCase{"http://", "http://:8080"},
  };
  for (const auto& [address, moved] : kCases) EXPECT_EQ(with_port(address, 8080), moved);
}

TEST(WithPort, AppendsToAnIPAddressWhoseTailIsNoInt32) {
  constexpr std::array kCases{
      PortCase{"http://fe80::abcd", "http://fe80::abcd:8080"},
      PortCase{"http://::", "http://:::8080"},
      PortCase{"http://[::1]:99999999999", "http://[::1]:99999999999:8080"},
      PortCase{"http://[::1]:", "http://[::1]::8080"},
      PortCase{"http://[::1]:0x50", "http://[::1]:0x50:8080"},
      PortCase{"http://fe80::1%a:b", "http://fe80::1%a:b:8080"},
  };
  for (const auto& [address, moved] : kCases) {
    EXPECT_EQ(with_port(address, 8080), moved);
    Target target = target_of(address);
    target.port = 8080;
    EXPECT_EQ(target_of(moved), target);
  }
}

TEST(WithPort, ReplacesATextThatIsNoNumber) {
  constexpr std::array kCases{
      PortCase{"http://+:", "http://+:8080"},
      PortCase{"http://+:/", "http://+:8080/"},
      PortCase{"http://+:${PORT}", "http://+:8080"},
      PortCase{"http://+:8080,8081", "http://+:8080"},
      PortCase{"http://localhost:abc", "http://localhost:8080"},
      PortCase{"http://[::1]:abc", "http://[::1]:8080"},
      PortCase{"http://127.0.0.1:", "http://127.0.0.1:8080"},
      PortCase{"http://+:80?x=1", "http://+:8080"},
      PortCase{"http://a:b[c:d]", "http://a:8080"},
  };
  for (const auto& [address, moved] : kCases) EXPECT_EQ(with_port(address, 8080), moved);
}

TEST(WithPort, KeepsAHostWhereReplacingWouldLeaveNone) {
  EXPECT_EQ(resolved("http://:"), "http ANY:80");
  EXPECT_EQ(with_port("http://:", 8080), "http://::8080");
  EXPECT_EQ(resolved("http://::8080"), "http ANY:8080");
}

TEST(WithPort, LeavesAloneWhatHasNoPort) {
  for (const std::string_view address : {"", "x", "+:80", "http:/+:80", "http://unix:/run/k.sock",
                                         "http://unix:/run/k.sock:80", "http://pipe:/name", "https://pipe:/name:80"}) {
    EXPECT_EQ(with_port(address, 8080), address);
  }
  EXPECT_EQ(with_port("http://unix:80", 8080), "http://unix:8080");
}

TEST(UnparsablePort, IsTheTextThatDotNetPassesOver) {
  EXPECT_EQ(unparsable_port("http://+:${PORT}"), "${PORT}");
  EXPECT_EQ(unparsable_port("http://+:"), "");
  EXPECT_EQ(unparsable_port("http://+:8080,8081/"), "8080,8081");
  EXPECT_EQ(unparsable_port("http://[::1]:abc"), "abc");
}

TEST(UnparsablePort, IsNothingForNumbersMissingPortsAndIPAddresses) {
  for (const std::string_view address :
       {"http://+:80", "http://+: 80 ", "http://+:99999", "http://+", "http://[::1]", "http://[::1]:99999999999",
        "http://fe80::abcd", "http://::", "http://unix:/x:y", "http://pipe:/x:y", "x:y", ""}) {
    EXPECT_EQ(unparsable_port(address), std::nullopt) << address;
  }
}

TEST(UnparsablePort, NeverShowsAPassword) {
  EXPECT_EQ(unparsable_port("http://user:secret@host"), std::nullopt);
  EXPECT_EQ(unparsable_port("http://user:secret@host:${PORT}"), "${PORT}");
}

TEST(HasPlaceholder, KnowsTheUsualForms) {
  for (const std::string_view text :
       {"$PORT", "${PORT}", "{port}", "%PORT%", "<port>", "#{port}#", "[[port]]", "$(PORT)", "${PORT:-80}",
        "{{ .Values.port }}", "{0}", "http://+:$PORT/", "http://<my-host>:80", "[{port}]", "80;%HTTP_PORT%"}) {
    EXPECT_TRUE(has_placeholder(text)) << text;
  }
}

TEST(HasPlaceholder, IsFalseForRealAddresses) {
  for (const std::string_view text : {"",
                                      "http://+:80",
                                      "http://*:80",
                                      "http://[::1]:80",
                                      "http://[[::1]]",
                                      "http://[fe80::1%3]:80",
                                      "http://[fe80::1%eth0]:80",
                                      "http://a%20b%20c",
                                      "http://%c3%a9.test",
                                      "http://+:80$",
                                      "$80",
                                      "{}",
                                      "{",
                                      "{port",
                                      "<>",
                                      "%%",
                                      "%PORT",
                                      "[[",
                                      "[[1]]",
                                      "100% of 20% load"}) {
    EXPECT_FALSE(has_placeholder(text)) << text;
  }
}

// ---- White space ----------------------------------------------------------------------------------------------------

TEST(Trim, TakesOffEveryDotNetWhiteSpace) {
  for (const std::string_view space :
       {"\t",           "\n",           "\v",           "\f",           "\r",           " ",
        "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
        "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
        "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F",
        "\xE3\x80\x80"}) {
    EXPECT_EQ(trim(fmt::format("{0} {0}80{0}81{0} {0}", space)), fmt::format("80{}81", space));
    EXPECT_EQ(trim(fmt::format("{0} {0}", space)), "");
  }
}

TEST(Trim, LeavesEverythingElse) {
  using namespace std::string_view_literals;
  // Among them zero width space, byte order mark, and bytes that are no character.
  for (const std::string_view text :
       {"\x1C.\x1F"sv, "\0 80 \0"sv, "\xE2\x80\x8B.\xE2\x80\x8B"sv, "\xEF\xBB\xBF."sv, "\x85.\xA0"sv, "\xE2\x80"sv}) {
    EXPECT_EQ(trim(text), text);
  }
}

// ---- What is bound --------------------------------------------------------------------------------------------------

/// Targets on port 80, by host.
Target on_80(std::string_view host) {
  return target_of("http://" + std::string(host) + ":80");
}

/// Every kind of reach, to test relations between all of them.
constexpr std::array<std::string_view, 14> kHosts{
    "+",         "localhost",          "[::]",         "0.0.0.0",     "127.0.0.1",   "127.0.0.2",   "[::1]",
    "[fd00::1]", "[::ffff:127.0.0.1]", "[::ffff:0:0]", "[::1.2.3.4]", "[fe80::1%2]", "[fe80::1%3]", "[::%1]"};

TEST(Covers, AWildcardCoversEverything) {
  for (const std::string_view host : kHosts) {
    EXPECT_TRUE(covers(on_80("+"), on_80(host))) << host;
    EXPECT_TRUE(covers(on_80("[::]"), on_80(host))) << host;  // Kestrel binds it dual-mode
  }
}

TEST(Covers, LocalhostCoversBothLoopbackAddressesAlone) {
  EXPECT_TRUE(covers(on_80("localhost"), on_80("127.0.0.1")));
  EXPECT_TRUE(covers(on_80("localhost"), on_80("[::1]")));
  EXPECT_TRUE(covers(on_80("localhost"), on_80("[::ffff:127.0.0.1]")));
  EXPECT_FALSE(covers(on_80("localhost"), on_80("127.0.0.2")));
  EXPECT_FALSE(covers(on_80("localhost"), on_80("0.0.0.0")));
  EXPECT_FALSE(covers(on_80("localhost"), on_80("+")));
  EXPECT_FALSE(covers(on_80("127.0.0.1"), on_80("localhost")));
}

TEST(Covers, TheIPv4WildcardCoversIPv4Alone) {
  EXPECT_TRUE(covers(on_80("0.0.0.0"), on_80("127.0.0.2")));
  EXPECT_TRUE(covers(on_80("0.0.0.0"), on_80("[::ffff:127.0.0.1]")));
  EXPECT_TRUE(covers(on_80("0.0.0.0"), on_80("[::ffff:0:0]")));
  for (const std::string_view host : {"localhost", "[::1]", "[::]", "+", "[::1.2.3.4]"}) {
    EXPECT_FALSE(covers(on_80("0.0.0.0"), on_80(host))) << host;
  }
}

TEST(Covers, ScopesTellLinkLocalAddressesApart) {
  EXPECT_FALSE(covers(on_80("[fe80::1%2]"), on_80("[fe80::1%3]")));
  EXPECT_FALSE(covers(on_80("[fe80::1]"), on_80("[fe80::1%3]")));
  EXPECT_TRUE(covers(on_80("[::1]"), on_80("[::1%3]")));  // the kernel ignores that one
}

TEST(Covers, ASocketPathCoversItselfAlone) {
  const Target socket = target_of("http://unix:/run/k.sock");
  EXPECT_TRUE(covers(socket, socket));
  EXPECT_FALSE(covers(socket, target_of("http://unix:/run/other.sock")));
  EXPECT_FALSE(covers(socket, target_of("http://pipe:/run/k.sock")));
  EXPECT_FALSE(covers(on_80("+"), socket));
  EXPECT_FALSE(covers(socket, on_80("+")));
}

TEST(Overlaps, IsSymmetricAndFollowsFromCovers) {
  for (const std::string_view a : kHosts) {
    for (const std::string_view b : kHosts) {
      const bool overlap = overlaps(on_80(a), on_80(b));
      EXPECT_EQ(overlap, overlaps(on_80(b), on_80(a))) << a << " " << b;
      EXPECT_TRUE(overlap || !covers(on_80(a), on_80(b))) << a << " " << b;
    }
  }
}

TEST(Overlaps, EveryAddressWithItselfAndWithAWildcard) {
  for (const std::string_view host : kHosts) {
    EXPECT_TRUE(overlaps(on_80(host), on_80(host))) << host;
    EXPECT_TRUE(overlaps(on_80(host), on_80("+"))) << host;
    EXPECT_TRUE(overlaps(on_80(host), on_80("[::]"))) << host;
  }
}

TEST(Overlaps, KnowsWhatTheKernelRefuses) {
  EXPECT_TRUE(overlaps(on_80("127.0.0.1"), on_80("localhost")));
  EXPECT_TRUE(overlaps(on_80("0.0.0.0"), on_80("localhost")));
  EXPECT_TRUE(overlaps(on_80("0.0.0.0"), on_80("[::]")));
  EXPECT_TRUE(overlaps(on_80("127.0.0.1"), on_80("[::ffff:127.0.0.1]")));
  EXPECT_TRUE(overlaps(on_80("[fe80::1]"), on_80("[fe80::1%3]")));  // its scope may have been a name
  EXPECT_TRUE(overlaps(on_80("[::%1]"), on_80("localhost")));
  EXPECT_FALSE(overlaps(on_80("0.0.0.0"), on_80("[::1]")));
  EXPECT_FALSE(overlaps(on_80("0.0.0.0"), on_80("[::%1]")));  // not IPv6Any to .NET, hence IPv6 only
  EXPECT_FALSE(overlaps(on_80("127.0.0.1"), on_80("127.0.0.2")));
  EXPECT_FALSE(overlaps(on_80("127.0.0.2"), on_80("localhost")));
  EXPECT_FALSE(overlaps(on_80("[fe80::1%2]"), on_80("[fe80::1%3]")));
  EXPECT_FALSE(overlaps(on_80("1.2.3.4"), on_80("[::1.2.3.4]")));
}

TEST(Overlaps, NeverForPortZeroSocketsAndPipes) {
  const Target free_port = target_of("http://+:0");
  EXPECT_FALSE(overlaps(free_port, free_port));
  EXPECT_FALSE(overlaps(free_port, on_80("+")));
  EXPECT_FALSE(overlaps(on_80("+"), free_port));
  const Target socket = target_of("http://unix:/run/k.sock");
  EXPECT_FALSE(overlaps(socket, socket));
  EXPECT_FALSE(overlaps(socket, on_80("+")));
  const Target pipe = target_of("http://pipe:/name");
  EXPECT_FALSE(overlaps(pipe, pipe));
}

TEST(ToString, PutsIPv6InBrackets) {
  EXPECT_EQ(resolved("https://127.0.0.1"), "https 127.0.0.1:443");
  EXPECT_EQ(resolved("http://[fe80::1%3]:80"), "http [fe80::1%3]:80");
  EXPECT_EQ(resolved("http://LOCALHOST:81"), "http LOCAL:81");
  EXPECT_EQ(resolved("https://unix:/run/k.sock"), "https unix:/run/k.sock");
}

TEST(Address, TheUrlOfATargetIsResolvedToIt) {
  for (const std::string url : {"http://*:80", "https://localhost:5000", "http://127.0.0.1:80", "http://[::1]:81",
                                "https://[::]:443", "http://unix:/run/x.sock", "http://pipe:/p"}) {
    const auto target = resolve(url, 10);
    ASSERT_TRUE(target) << url;
    EXPECT_EQ(to_url(*target), url);
  }
}

}  // namespace
}  // namespace portshim::address
