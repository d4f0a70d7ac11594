#include "shim/address.h"

#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/istreamwrapper.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <ostream>
#include <span>
#include <utility>

namespace portshim::address {

void PrintTo(const Target& target, std::ostream* out) {
  *out << to_string(target);
}

namespace {

constexpr std::array kMajors{8, 9, 10};
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

std::string text_of(const rapidjson::Value& value) {
  return {value.GetString(), value.GetStringLength()};
}

const rapidjson::Document& vectors() {
  static const rapidjson::Document document = [] {
    std::ifstream file(PORTSHIM_TEST_DATA "/url-vectors.json");
    rapidjson::IStreamWrapper stream(file);
    rapidjson::Document parsed;
    parsed.ParseStream(stream);
    return parsed;
  }();
  return document;
}

std::string expected_of(const rapidjson::Value& vector, int major) {
  const rapidjson::Value& expect = vector["expect"];
  return text_of(expect.HasMember("all") ? expect["all"] : expect[std::to_string(major).c_str()]);
}

/// The recorder dropped the scope of U29, which is an interface's name: so does resolve().
TEST(AddressVectors, EveryRecordedAddressResolvesAsInRealKestrel) {
  ASSERT_TRUE(vectors().IsObject());
  ASSERT_EQ(vectors()["vectors"].Size(), 336U);
  for (const auto& vector : vectors()["vectors"].GetArray()) {
    for (const int major : kMajors) {
      SCOPED_TRACE(text_of(vector["id"]) + " on " + std::to_string(major));
      const std::string expected = expected_of(vector, major);
      const std::expected<Target, Exception> result = resolve(text_of(vector["input"]), major);
      if (expected == kPipeFailure) {
        // That exception comes when the pipe is bound, not when it is parsed.
        ASSERT_TRUE(result.has_value());
        EXPECT_EQ(result->bind, Bind::named_pipe);
      } else {
        EXPECT_EQ(describe(result), expected);
      }
    }
  }
}

TEST(AddressVectors, PartsAreWhatBindingAddressParseReturns) {
  for (const auto& vector : vectors()["vectors"].GetArray()) {
    SCOPED_TRACE(text_of(vector["id"]));
    const std::expected<Parts, Exception> parts = parse(text_of(vector["input"]), 10);
    ASSERT_EQ(parts.has_value(), vector.HasMember("parts"));
    if (!parts) continue;
    const rapidjson::Value& expected = vector["parts"];
    EXPECT_EQ(parts->scheme, text_of(expected["scheme"]));
    EXPECT_EQ(parts->host, text_of(expected["host"]));
    EXPECT_EQ(parts->port, expected["port"].GetInt());
    EXPECT_EQ(parts->path_base, text_of(expected["pathBase"]));
  }
}

/// What an address binds whose port text is no number, once that text is out of the way: the text hid a host that
/// Kestrel knows ("http://localhost:abc" binds a wildcard).
std::expected<Target, Exception> resolve_without_port_text(const std::string& address, std::string_view text,
                                                           int major) {
  const auto start = static_cast<std::size_t>(text.data() - address.data());
  const std::size_t colon = start - 1;
  return resolve(address.substr(0, colon) + address.substr(start + text.size()), major);
}

TEST(AddressVectors, ANewPortChangesNothingButThePort) {
  int moved = 0;
  for (const auto& vector : vectors()["vectors"].GetArray()) {
    const std::string address = text_of(vector["input"]);
    const std::optional<std::string_view> no_number = unparsable_port(address);
    for (const int major : kMajors) {
      std::expected<Target, Exception> target = resolve(address, major);
      if (!target || target->bind == Bind::unix_socket || target->bind == Bind::named_pipe) continue;
      // Host and text swap roles in "http://:", where no host would be left.
      if (no_number && address.find("://:") == std::string::npos) {
        target = resolve_without_port_text(address, *no_number, major);
        ASSERT_TRUE(target.has_value());
      }
      for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{8080}, std::uint16_t{65535}}) {
        target->port = port;
        EXPECT_EQ(resolved(with_port(address, port), major), to_string(*target)) << text_of(vector["id"]);
        ++moved;
      }
    }
  }
  EXPECT_GT(moved, 500);
}

TEST(AddressVectors, APortThatIsPutBackGivesTheSameTarget) {
  for (const auto& vector : vectors()["vectors"].GetArray()) {
    const std::string address = text_of(vector["input"]);
    const std::expected<Target, Exception> target = resolve(address, 10);
    if (!target || target->bind == Bind::unix_socket || target->bind == Bind::named_pipe) continue;
    const std::string moved = with_port(address, 8080);
    EXPECT_EQ(with_port(with_port(moved, 9090), 8080), moved) << text_of(vector["id"]);
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
    const std::string address = "http://" + std::string(host) + ":8080";
    EXPECT_EQ(resolved(address, 9), "http ANY:8080") << host;
    EXPECT_EQ(resolved(address, 10), "http LOCAL:8080") << host;
    EXPECT_EQ(resolved(address, 11), "http LOCAL:8080") << host;
  }
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
  // Bytes, not characters: 4 + 103 with the slash.
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

/// Results matter little here: a quadratic step would exceed the test's time limit.
TEST(Address, LongValuesAreReadInLinearTime) {
  for (const char c : {'[', ']', ':', '/', '%', '{', '<', '$', '0', '1', '.', 'a', ' ', '\0'}) {
    const std::string many(std::size_t{1} << 18U, c);
    for (const std::string& text : {many, "http://" + many, "http://[" + many, "http://+:" + many}) {
      EXPECT_NE(resolve(text, 10), (Target{.address = "never"})) << c;
      EXPECT_FALSE(with_port(text, 1).empty()) << c;
      EXPECT_FALSE(has_placeholder(text)) << c;
      EXPECT_LE(trim(text).size(), text.size()) << c;
    }
    EXPECT_EQ(parse_ip(many).value_or("none"), c == '0' ? "0.0.0.0" : "none") << c;
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
    const std::string padding = std::string(space) + " " + std::string(space);
    EXPECT_EQ(trim(padding + "80" + std::string(space) + "81" + padding), "80" + std::string(space) + "81");
    EXPECT_EQ(trim(padding), "");
  }
}

TEST(Trim, LeavesEverythingElse) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {"\x1C"
                                      "80\x1F"sv,
                                      "\0 80 \0"sv,
                                      "\xE2\x80\x8B"  // zero width space
                                      "80"sv,
                                      "\xEF\xBB\xBF"
                                      "80"sv,
                                      "\x85"  // a lone byte
                                      "80\xA0"sv,
                                      "\xE2\x80"sv}) {
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
      EXPECT_EQ(overlaps(on_80(a), on_80(b)), overlaps(on_80(b), on_80(a))) << a << " " << b;
      EXPECT_TRUE(overlaps(on_80(a), on_80(b)) || !covers(on_80(a), on_80(b))) << a << " " << b;
    }
    EXPECT_TRUE(overlaps(on_80(a), on_80(a))) << a;
    EXPECT_TRUE(overlaps(on_80(a), on_80("+"))) << a;
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

}  // namespace
}  // namespace portshim::address
