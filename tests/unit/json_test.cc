#include "shim/json.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace portshim::json {
namespace {

using namespace std::literals;

constexpr std::size_t kLargest = std::size_t{16} << 20U;  // the most that portshim reads of a file
constexpr std::size_t kLarge = std::size_t{1} << 20U;     // squared, it is too much work for any test

const Name kName{.path = "/app/appsettings.json", .label = "appsettings.json", .number = 3};

/// Of a JsonReaderException its message alone, with "[LINE:BYTE]" for the position; of any other, all of it.
std::string shorten(std::string exception) {
  constexpr std::string_view kType = "System.Text.Json.JsonReaderException: ";
  constexpr std::string_view kLine = "LineNumber: ";
  constexpr std::string_view kByte = " | BytePositionInLine: ";
  if (!exception.starts_with(kType)) return exception;
  exception.erase(0, kType.size());
  exception.back() = ']';
  exception.replace(exception.rfind(kByte), kByte.size(), ":");
  return exception.replace(exception.rfind(kLine), kLine.size(), "[");
}

/// The settings by folded key, as "KEY=value | KEY" (no value: null or empty), or the innermost exception.
std::string describe(const std::expected<config::Provider, address::Exception>& result) {
  if (!result) return shorten(result.error().causes.back());
  std::string out;
  for (const auto& [folded, setting] : result->settings()) {
    if (!out.empty()) out += " | ";
    out += setting->key;
    if (!setting->empty()) out.append("=").append(*setting->value);
  }
  return out;
}

std::string described(std::string_view text) {
  return describe(read(text, kName));
}

struct Row {
  std::string_view text;
  std::string_view expected;
};

/// What is expected was recorded from .NET 8, 9 and 10, which agree about all of it.
void expect(std::initializer_list<Row> rows) {
  for (const Row& row : rows) EXPECT_EQ(described(row.text), row.expected) << row.text;
}

/// UTF-16 or UTF-32 with its byte order mark.
template <typename Unit, std::size_t kSize>
std::string encode(const Unit (&text)[kSize], std::endian order) {
  std::string out;
  const auto put = [&](Unit unit) {
    for (std::size_t i = 0; i < sizeof unit; ++i) {
      const std::size_t byte = order == std::endian::little ? i : sizeof unit - 1 - i;
      out += static_cast<char>(unit >> (8 * byte));
    }
  };
  put(0xFEFF);
  for (std::size_t i = 0; i + 1 < kSize; ++i) put(text[i]);
  return out;
}
template <typename Unit, std::size_t kSize>
std::string little(const Unit (&text)[kSize]) {
  return encode(text, std::endian::little);
}
template <typename Unit, std::size_t kSize>
std::string big(const Unit (&text)[kSize]) {
  return encode(text, std::endian::big);
}

std::string repeat(std::string_view piece, std::size_t times) {
  std::string out;
  for (; times > 0; --times) out += piece;
  return out;
}

/// As many pieces between head and tail as `size` bytes can have.
std::string fill(std::string_view head, std::string_view piece, std::string_view tail, std::size_t size = kLarge) {
  return std::string(head) + repeat(piece, (size - head.size() - tail.size()) / piece.size()) + std::string(tail);
}

/// "a0":VALUE,"a1":VALUE, and so on behind head, 512 KiB of it, and tail.
std::string number_members(std::string_view head, std::string_view value, std::string_view tail) {
  std::string out(head);
  for (int i = 0; out.size() < head.size() + kLarge / 2; ++i) {
    out.append("\"a").append(std::to_string(i)).append("\":").append(value).append(",");
  }
  return out + std::string(tail);
}

TEST(Json, NestedNamesAreJoinedWithColons) {
  expect({
      {R"({"Kestrel":{"Endpoints":{"Http":{"Url":"http://+:80"}}}})", "Kestrel:Endpoints:Http:Url=http://+:80"},
      {R"({"Kestrel:Endpoints:Http:Url":"x"})", "Kestrel:Endpoints:Http:Url=x"},
      {R"({"Kestrel":{"Endpoints:Http":{"Url":"x"}}})", "Kestrel:Endpoints:Http:Url=x"},
      {R"({"Kestrel":{"":{"":"x"}}})", "Kestrel::=x"},
      {R"({"kestrel":{"ENDPOINTS":{"b":{"url":"x"},"A":{"Url":"y"}}}})",
       "kestrel:ENDPOINTS:A:Url=y | kestrel:ENDPOINTS:b:url=x"},
      {R"({"Kestrel":{"É":"x"}})", "Kestrel:É=x"},
  });
}

TEST(Json, NamesAndValuesMayBeEscaped) {
  expect({
      {R"({"\u0055rls":"\u0068ttp:\/\/+:80"})", "Urls=http://+:80"},
      {R"({"Kestrel\u003aa":"\"\\\/\b\f\n\r\t"})", "Kestrel:a=\"\\/\010\014\n\r\t"},
      {R"({"Urls":"\u00e9\u20AC\uD83d\uDE00\u0000\uFFFF"})",
       "Urls=\303\251\342\202\254\360\237\230\200\000\357\277\277"sv},
      {R"({"Urls":"\\u0041\\\\"})", R"(Urls=\u0041\\)"},
  });
}

TEST(Json, ScalarsBecomeTextAndNumbersStayAsTheyAreWritten) {
  expect({
      {R"({"Urls":""})", "Urls"},
      {R"({"http_ports":8080})", "http_ports=8080"},
      {R"({"http_ports":-0})", "http_ports=-0"},
      {R"({"http_ports":8.08e3,"https_ports":-1.50E+400})", "https_ports=-1.50E+400 | http_ports=8.08e3"},
      {R"({"http_ports":0e-0,"https_ports":0.0})", "https_ports=0.0 | http_ports=0e-0"},
      {R"({"preferHostingUrls":true,"Urls":false})", "preferHostingUrls=True | Urls=False"},
      {R"({"Urls":null})", "Urls"},
  });
}

TEST(Json, ItemsOfArraysAreNumbered) {
  expect({
      {R"({"Kestrel":{"a":["x",["y"],{"b":1},null]}})",
       "Kestrel:a:0=x | Kestrel:a:1:0=y | Kestrel:a:2:b=1 | Kestrel:a:3"},
      {R"({"Urls":["http://+:80"]})", ""},
      {R"({"Kestrel":[1,2,3,4,5,6,7,8,9,10,11]})",
       "Kestrel:0=1 | Kestrel:1=2 | Kestrel:10=11 | Kestrel:2=3 | Kestrel:3=4 | Kestrel:4=5 | Kestrel:5=6 | "
       "Kestrel:6=7 | Kestrel:7=8 | Kestrel:8=9 | Kestrel:9=10"},
  });
}

TEST(Json, EmptyObjectsAndArraysAreNull) {
  expect({
      {R"({"Urls":{}})", "Urls"},
      {R"({"Urls":[]})", "Urls"},
      {R"({"Kestrel":{"a":{},"b":[],"c":[[],{}]}})", "Kestrel:a | Kestrel:b | Kestrel:c:0 | Kestrel:c:1"},
      {R"({"Kestrel":{}})", ""},
      {"{}", ""},
      {R"({"":{}})", ""},
  });
}

TEST(Json, KeysThatNobodyReadsAreNotKept) {
  expect({
      {R"({"Logging":{"LogLevel":{"Default":"Information"}},"AllowedHosts":"*","Kestrel":"x","url":"x"})",
       "Logging:LogLevel:Default=Information"},
      {R"({"Kestrel__Endpoints__Http__Url":"x"})", ""},
      {R"( {"Urls ":"x"," Urls":"x","Url":"x","":"x",":":"x"} )", ""},
  });
}

TEST(Json, ADuplicateKeyIsRefusedInTheSpellingOfTheSecond) {
  expect({
      {R"({"Urls":"x","URLS":"x"})", "System.FormatException: A duplicate key 'URLS' was found."},
      {R"({"a":1,"a":1})", "System.FormatException: A duplicate key 'a' was found."},
      {R"({"a":null,"a":null})", "System.FormatException: A duplicate key 'a' was found."},
      {R"({"Kestrel":{"A":1},"kestrel":{"a":2}})", "System.FormatException: A duplicate key 'kestrel:a' was found."},
      {R"({"a:b":1,"a":{"B":2}})", "System.FormatException: A duplicate key 'a:B' was found."},
      {R"({"x":[1],"x:0":2})", "System.FormatException: A duplicate key 'x:0' was found."},
      {R"({"":1,"":2})", "System.FormatException: A duplicate key '' was found."},
      {R"({"":{"a":1},":A":2})", "System.FormatException: A duplicate key ':A' was found."},
      {R"({"a":{"":1},"a:":2})", "System.FormatException: A duplicate key 'a:' was found."},
      {R"({"é":1,"É":2})", "System.FormatException: A duplicate key 'É' was found."},
      {R"({"𐐨":1,"𐐀":2})", "System.FormatException: A duplicate key '𐐀' was found."},
      {R"({"\u00b5":1,"Μ":2,"μ":3})", "System.FormatException: A duplicate key 'Μ' was found."},
  });
}

TEST(Json, LettersThatDifferForDotNetAreNotDuplicates) {
  expect({
      {R"({"ſ":1,"s":2,"ı":3,"i":4,"K":5,"k":6,"ß":7,"ss":8,"Urls":"x"})", "Urls=x"},
  });
}

TEST(Json, ObjectsOfOneNameMerge) {
  expect({
      {R"({"Kestrel":{"a":1},"KESTREL":{"b":2}})", "Kestrel:a=1 | KESTREL:b=2"},
      {R"({"Kestrel":{"a":{"x":1}},"Kestrel":{"A":{"y":2}}})", "Kestrel:a:x=1 | Kestrel:A:y=2"},
      {R"({"Kestrel:a":{"x":1},"Kestrel":{"a":"y"}})", "Kestrel:a=y | Kestrel:a:x=1"},
  });
}

TEST(Json, AnEmptyObjectOverwritesALeafWithoutAWord) {
  expect({
      {R"({"Urls":"x","URLS":{}})", "Urls"},
      {R"({"Urls":"x","urls":[]})", "Urls"},
      {R"({"Kestrel":{"a":"x"},"kestrel:A":{}})", "Kestrel:a"},
      {R"({"Urls":{},"urls":[],"URLS":{}})", "Urls"},
      {R"({"a":1,"A":{},"Urls":"x"})", "Urls=x"},
  });
}

TEST(Json, ALeafDoesNotOverwriteAnEmptyObject) {
  expect({
      {R"({"Urls":{},"urls":"x"})", "System.FormatException: A duplicate key 'urls' was found."},
      {R"({"a":[],"A":null})", "System.FormatException: A duplicate key 'A' was found."},
      {R"({"a":1,"a":{},"a":2})", "System.FormatException: A duplicate key 'a' was found."},
  });
}

TEST(Json, ACommentMayStandBetweenTokens) {
  expect({
      {"//x\n/*x*/{/*x*/\"Urls\":/*x*/\"x\"/*x*/}/*x*///x", "Urls=x"},
      {"//\r{//\r\n\"Urls\"://\n\"x\"//\n}//", "Urls=x"},
      {R"(/***/{/*/*/"Urls":"x"/* // */,/*"*/}/**//**/)", "Urls=x"},
      {R"({"Urls":"//x/*"})", "Urls=//x/*"},
      {"{\"Urls\":\"x\"/*\342\200\250*/}", "Urls=x"},
      {"{\"Urls\":\"x\"//\342\200\252é\n}", "Urls=x"},
      {R"({"a":[/**/],"b":{/**/},"c":[1/**/,/**/2/**/],"Urls":1/**/})", "Urls=1"},
      {"{\"Urls\":1//\n}", "Urls=1"},
  });
}

TEST(Json, ACommentThatIsNoneOrStandsInTheWrongPlaceIsRefused) {
  expect({
      {R"({"Urls"/*x*/:"x"})", "'/' is invalid after a property name. Expected a ':'. [0:7]"},
      {"{\"Urls\"//x\n:\"x\"}", "'/' is invalid after a property name. Expected a ':'. [0:7]"},
      {"//x",
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [0:3]"},
      {"/*x*/ ",
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [0:6]"},
      {"/*x", "Expected end of comment, but instead reached end of data. [0:0]"},
      {"{/*x", "Expected end of comment, but instead reached end of data. [0:1]"},
      {"{/*/", "Expected end of comment, but instead reached end of data. [0:1]"},
      {"{/", "'/' is an invalid start of a value. [0:1]"},
      {"/", "'/' is an invalid start of a value. [0:0]"},
      {R"({/ "a":1})", "'/' is an invalid start of a value. [0:1]"},
      {"{}/", "'/' is an invalid start of a value. [0:2]"},
      {"{}/x", "'/' is an invalid start of a value. [0:2]"},
      {R"({"a":1 /)", "'/' is an invalid start of a value. [0:7]"},
      {"#x\n{}", "'#' is an invalid start of a value. [0:0]"},
      {"{\"a\":1//\342\200\250\n}",
       "Found invalid line or paragraph separator character while reading a comment. [0:6]"},
      {"{\"a\":1//x\342\200\251", "Found invalid line or paragraph separator character while reading a comment. [0:6]"},
      {R"({"a":tr/**/ue})", "'tr/...' is an invalid JSON literal. Expected the literal 'true'. [0:7]"},
  });
}

TEST(Json, OneTrailingCommaIsAllowed) {
  expect({
      {R"({"Urls":"x",})", "Urls=x"},
      {"{\"Kestrel\":{\"a\":[1,],\"b\":{\"c\":2 , },} , //x\n}", "Kestrel:a:0=1 | Kestrel:b:c=2"},
  });
}

TEST(Json, AnyOtherCommaIsRefused) {
  expect({
      {"{,}", R"(',' is an invalid start of a property name. Expected a '"'. [0:1])"},
      {R"({"a":1,,})", R"(',' is an invalid start of a property name. Expected a '"'. [0:7])"},
      {R"({"a":[,]})", "',' is an invalid start of a value. [0:6]"},
      {R"({"a":[1,,]})", "',' is an invalid start of a value. [0:8]"},
      {"{},", "',' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {",", "',' is an invalid start of a value. [0:0]"},
      {R"({"a":,})", "',' is an invalid start of a value. [0:5]"},
      {R"({"a":1,)", "Expected start of a property name or value, but instead reached end of data. [0:6]"},
      {"{\"a\":1,\n", "Expected start of a property name or value, but instead reached end of data. [1:0]"},
      {"{\"a\":1,//x\n", "Expected start of a property name or value, but instead reached end of data. [1:0]"},
      {R"({"a":1,/**/)", "Expected start of a property name or value, but instead reached end of data. [0:11]"},
      {"[1,", "Expected start of a property name or value, but instead reached end of data. [0:2]"},
      {R"({"a":1,])", R"(']' is an invalid start of a property name. Expected a '"'. [0:7])"},
      {"[1,}", "'}' is an invalid start of a value. [0:3]"},
  });
}

TEST(Json, OnlyFourCharactersAreBlank) {
  expect({
      {" \t\r\n{ \t\r\n\"Urls\" \t\r\n: \t\r\n\"x\" \t\r\n} \t\r\n", "Urls=x"},
      {"{\013\"a\":1}", R"('0x0B' is an invalid start of a property name. Expected a '"'. [0:1])"},
      {"{\014}", R"('0x0C' is an invalid start of a property name. Expected a '"'. [0:1])"},
      {"\302\240{}", "'0xC2' is an invalid start of a value. [0:0]"},
      {"{}\342\200\250", "'0xE2' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {"{}\000"sv, "'0x00' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {"\000{}"sv, "'0x00' is an invalid start of a value. [0:0]"},
      {"{\"a\":\1771}", "'0x7F' is an invalid start of a value. [0:5]"},
  });
}

TEST(Json, TextWithoutAValueIsRefused) {
  expect({
      {"",
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [0:0]"},
      {"  \n\t ",
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [1:2]"},
      {"//x\n",
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [1:0]"},
      {"\xEF\xBB\xBF",
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [0:0]"},
  });
}

TEST(Json, TextBehindTheRootIsRefused) {
  expect({
      {"{}x", "'x' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {"{}{}", "'{' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {"{}]", "']' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {"{},{}", "',' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {"1 2", "'2' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {R"("x"y)", "'y' is invalid after a single JSON value. Expected end of data. [0:3]"},
      {"null1", "'1' is invalid after a single JSON value. Expected end of data. [0:4]"},
      {R"({}")", R"('"' is invalid after a single JSON value. Expected end of data. [0:2])"},
  });
}

TEST(Json, BracketsMustMatch) {
  expect({
      {"{",
       "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be "
       "closed. [0:1]"},
      {"[",
       "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be "
       "closed. [0:1]"},
      {R"({"a":{})",
       "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be "
       "closed. [0:7]"},
      {R"({"a":[})", "'}' is an invalid start of a value. [0:6]"},
      {R"({"a":[1})", "'}' is invalid without a matching open. [0:7]"},
      {R"({"a":1])", "']' is invalid without a matching open. [0:6]"},
      {R"({"a":{])", R"(']' is an invalid start of a property name. Expected a '"'. [0:6])"},
      {"}", "'}' is an invalid start of a value. [0:0]"},
      {R"({"a":1}})", "'}' is invalid after a single JSON value. Expected end of data. [0:7]"},
      {R"({"a":true)",
       "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be "
       "closed. [0:9]"},
      {R"({"a":)",
       "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be "
       "closed. [0:5]"},
      {R"({"a": )",
       "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be "
       "closed. [0:6]"},
      {R"({"a")", "Expected a value, but instead reached end of data. [0:4]"},
      {R"({"a" )", "Expected a value, but instead reached end of data. [0:5]"},
      {R"({"a":[[])",
       "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be "
       "closed. [0:8]"},
  });
}

TEST(Json, NamesAndColonsAreRequired) {
  expect({
      {"{a:1}", R"('a' is an invalid start of a property name. Expected a '"'. [0:1])"},
      {"{'a':1}", R"(''' is an invalid start of a property name. Expected a '"'. [0:1])"},
      {R"({"a" 1})", "'1' is invalid after a property name. Expected a ':'. [0:5]"},
      {R"({"a"})", "'}' is invalid after a property name. Expected a ':'. [0:4]"},
      {R"({"a"=1})", "'=' is invalid after a property name. Expected a ':'. [0:4]"},
      {"{1:2}", R"('1' is an invalid start of a property name. Expected a '"'. [0:1])"},
      {R"({"a":1;"b":2})", "';' is an invalid end of a number. Expected a delimiter. [0:6]"},
      {R"({"a":1 "b":2})", R"('"' is invalid after a value. Expected either ',', '}', or ']'. [0:7])"},
      {"{:1}", R"(':' is an invalid start of a property name. Expected a '"'. [0:1])"},
      {"{{}}", R"('{' is an invalid start of a property name. Expected a '"'. [0:1])"},
      {R"(["a":1])", "':' is invalid after a value. Expected either ',', '}', or ']'. [0:4]"},
  });
}

TEST(Json, UnknownValuesAreRefused) {
  expect({
      {R"({"a":NaN})", "'N' is an invalid start of a value. [0:5]"},
      {R"({"a":Infinity})", "'I' is an invalid start of a value. [0:5]"},
      {R"({"a":True})", "'T' is an invalid start of a value. [0:5]"},
      {R"({"a":undefined})", "'u' is an invalid start of a value. [0:5]"},
      {R"({"a":+1})", "'+' is an invalid start of a value. [0:5]"},
      {R"({"a":.5})", "'.' is an invalid start of a value. [0:5]"},
      {R"({"a":'x'})", "''' is an invalid start of a value. [0:5]"},
      {R"({"a"::1})", "':' is an invalid start of a value. [0:5]"},
      {R"({"a":})", "'}' is an invalid start of a value. [0:5]"},
      {R"({"a":é})", "'0xC3' is an invalid start of a value. [0:5]"},
      {R"({"a":\u0031})", R"('\' is an invalid start of a value. [0:5])"},
  });
}

TEST(Json, LiteralsAreRefusedAtTheFirstWrongByte) {
  expect({
      {R"({"a":tru})", "'tru}' is an invalid JSON literal. Expected the literal 'true'. [0:8]"},
      {R"({"a":trux})", "'trux...' is an invalid JSON literal. Expected the literal 'true'. [0:8]"},
      {R"({"a":t)", "'t' is an invalid JSON literal. Expected the literal 'true'. [0:6]"},
      {R"({"a":fals)", "'fals' is an invalid JSON literal. Expected the literal 'false'. [0:9]"},
      {R"({"a":nul)", "'nul' is an invalid JSON literal. Expected the literal 'null'. [0:8]"},
      {R"({"a":nulL})", "'nulL...' is an invalid JSON literal. Expected the literal 'null'. [0:8]"},
      {R"({"a":truex})", "'x' is invalid after a value. Expected either ',', '}', or ']'. [0:9]"},
      {R"({"a":nullnull})", "'n' is invalid after a value. Expected either ',', '}', or ']'. [0:9]"},
      {R"({"a":falsé})", "'falsé...' is an invalid JSON literal. Expected the literal 'false'. [0:9]"},
      {"fal", "'fal' is an invalid JSON literal. Expected the literal 'false'. [0:3]"},
  });
}

TEST(Json, NumbersAreRefusedAtTheFirstWrongByte) {
  expect({
      {R"({"a":01})", "Invalid leading zero before '1'. [0:6]"},
      {R"({"a":-01})", "Invalid leading zero before '1'. [0:7]"},
      {R"({"a":-})",
       "'}' is invalid within a number, immediately after a sign character ('+' or '-'). Expected a digit ('0'-'9'). "
       "[0:6]"},
      {R"({"a":-)", "Expected a digit ('0'-'9'), but instead reached end of data. [0:6]"},
      {R"({"a":-x})",
       "'x' is invalid within a number, immediately after a sign character ('+' or '-'). Expected a digit ('0'-'9'). "
       "[0:6]"},
      {R"({"a":1.})",
       "'}' is invalid within a number, immediately after a decimal point ('.'). Expected a digit ('0'-'9'). [0:7]"},
      {R"({"a":1.)", "Expected a digit ('0'-'9'), but instead reached end of data. [0:7]"},
      {R"({"a":1.e1})",
       "'e' is invalid within a number, immediately after a decimal point ('.'). Expected a digit ('0'-'9'). [0:7]"},
      {R"({"a":1.5.5})", "'.' is an invalid end of a number. Expected 'E' or 'e'. [0:8]"},
      {R"({"a":1.5x})", "'x' is an invalid end of a number. Expected 'E' or 'e'. [0:8]"},
      {R"({"a":1e})",
       "'}' is invalid within a number, immediately after a sign character ('+' or '-'). Expected a digit ('0'-'9'). "
       "[0:7]"},
      {R"({"a":1e)", "Expected a digit ('0'-'9'), but instead reached end of data. [0:7]"},
      {R"({"a":1e+})",
       "'}' is invalid within a number, immediately after a sign character ('+' or '-'). Expected a digit ('0'-'9'). "
       "[0:8]"},
      {R"({"a":1e+)", "Expected a digit ('0'-'9'), but instead reached end of data. [0:8]"},
      {R"({"a":1e5.5})", "'.' is an invalid end of a number. Expected a delimiter. [0:8]"},
      {R"({"a":1.5e5x})", "'x' is an invalid end of a number. Expected a delimiter. [0:10]"},
      {R"({"a":0x10})", "'x' is an invalid end of a number. Expected a delimiter. [0:6]"},
      {R"({"a":1_0})", "'_' is an invalid end of a number. Expected a delimiter. [0:6]"},
      {R"({"a":1"b"})", R"('"' is an invalid end of a number. Expected a delimiter. [0:6])"},
      {R"({"a":1{}})", "'{' is an invalid end of a number. Expected a delimiter. [0:6]"},
      {"[1", "'1' is an invalid end of a number. Expected a delimiter. [0:2]"},
      {"[-0", "'0' is an invalid end of a number. Expected a delimiter. [0:3]"},
      {"[1.5", "'5' is an invalid end of a number. Expected a delimiter. [0:4]"},
      {"[1e5", "'5' is an invalid end of a number. Expected a delimiter. [0:4]"},
      {R"({"a":--1})",
       "'-' is invalid within a number, immediately after a sign character ('+' or '-'). Expected a digit ('0'-'9'). "
       "[0:6]"},
      {"1x", "'x' is an invalid end of a number. Expected a delimiter. [0:1]"},
      {"-", "Expected a digit ('0'-'9'), but instead reached end of data. [0:1]"},
      {"0\000"sv, "'0x00' is an invalid end of a number. Expected a delimiter. [0:1]"},
  });
}

TEST(Json, StringsAreRefusedAtTheFirstWrongByte) {
  expect({
      {"{\"a\":\"\t\"}", "'0x09' is invalid within a JSON string. The string should be correctly escaped. [0:6]"},
      {"{\"a\":\"x\n\"}", "'0x0A' is invalid within a JSON string. The string should be correctly escaped. [0:7]"},
      {"{\"a\037\":1}", "'0x1F' is invalid within a JSON string. The string should be correctly escaped. [0:3]"},
      {"{\"a\":\"\000\"}"sv, "'0x00' is invalid within a JSON string. The string should be correctly escaped. [0:6]"},
      {R"({"a":"\x"})",
       "'x' is an invalid escapable character within a JSON string. The string should be correctly escaped. [0:7]"},
      {R"({"a":"\U0041"})",
       "'U' is an invalid escapable character within a JSON string. The string should be correctly escaped. [0:7]"},
      {R"({"a":"\'"})",
       "''' is an invalid escapable character within a JSON string. The string should be correctly escaped. [0:7]"},
      {"{\"a\":\"\\\n\"}",
       "'0x0A' is an invalid escapable character within a JSON string. The string should be correctly escaped. [0:7]"},
      {R"({"a":"\é"})",
       "'0xC3' is an invalid escapable character within a JSON string. The string should be correctly escaped. [0:7]"},
      {R"({"a":"\u12G4"})",
       R"('G' is not a hex digit following '\u' within a JSON string. The string should be correctly escaped. [0:10])"},
      {R"({"a":"\u12"})",
       R"('"' is not a hex digit following '\u' within a JSON string. The string should be correctly escaped. [0:10])"},
      {R"({"a":"\u12)", "Expected end of string, but instead reached end of data. [0:10]"},
      {R"({"a":"\u)", "Expected end of string, but instead reached end of data. [0:8]"},
      {R"({"a":"\)", "Expected end of string, but instead reached end of data. [0:7]"},
      {R"({"a":"x)", "Expected end of string, but instead reached end of data. [0:7]"},
      {R"({"a":")", "Expected end of string, but instead reached end of data. [0:6]"},
      {R"({"a)", "Expected end of string, but instead reached end of data. [0:3]"},
      {R"({")", "Expected end of string, but instead reached end of data. [0:2]"},
      {R"({"\u12x":1})",
       R"('x' is not a hex digit following '\u' within a JSON string. The string should be correctly escaped. [0:6])"},
      {"{\"a\":\"é\t\"}", "'0x09' is invalid within a JSON string. The string should be correctly escaped. [0:8]"},
  });
}

TEST(Json, ControlCharactersFromDeleteOnAreFineInStrings) {
  expect({
      {"{\"Urls\":\"\177\302\200\342\200\250\357\273\277\"}", "Urls=\177\302\200\342\200\250\357\273\277"},
  });
}

TEST(Json, HalfASurrogatePairIsRefusedEvenWhereNobodyReadsIt) {
  expect({
      {R"({"Urls":"\ud800"})",
       "System.InvalidOperationException: Cannot read incomplete UTF-16 JSON text as string with missing low "
       "surrogate."},
      {R"({"a":"\ud800x"})",
       "System.InvalidOperationException: Cannot read incomplete UTF-16 JSON text as string with missing low "
       "surrogate."},
      {R"({"\ud800":1})",
       "System.InvalidOperationException: Cannot read incomplete UTF-16 JSON text as string with missing low "
       "surrogate."},
      {R"({"a":["\udc00"]})",
       "System.InvalidOperationException: Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: "
       "'0xDC00'."},
      {R"({"a":"\uDFFFx"})",
       "System.InvalidOperationException: Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: "
       "'0xDFFF'."},
      {R"({"a":"\ud800\u0041"})",
       "System.InvalidOperationException: Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: "
       "'0x41'."},
      {R"({"a":"\ud800\u0000"})",
       "System.InvalidOperationException: Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: "
       "'0x00'."},
      {R"({"a":"\ud800\u0ABC"})",
       "System.InvalidOperationException: Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: "
       "'0xABC'."},
      {R"({"a":"\ud83d\ude00\udbff\udbff"})",
       "System.InvalidOperationException: Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: "
       "'0xDBFF'."},
      {R"({"a":"\ud800\n"})",
       "System.InvalidOperationException: Cannot read incomplete UTF-16 JSON text as string with missing low "
       "surrogate."},
      {R"({"a":"\ud800\\udc00"})",
       "System.InvalidOperationException: Cannot read incomplete UTF-16 JSON text as string with missing low "
       "surrogate."},
  });
}

TEST(Json, TheRootMustBeAnObject) {
  expect({
      {"[]", "System.FormatException: Top-level JSON element must be an object. Instead, 'Array' was found."},
      {R"([1,{"a":1,"a":2}])",
       "System.FormatException: Top-level JSON element must be an object. Instead, 'Array' was found."},
      {R"("x")", "System.FormatException: Top-level JSON element must be an object. Instead, 'String' was found."},
      {R"("\ud800")", "System.FormatException: Top-level JSON element must be an object. Instead, 'String' was found."},
      {"12", "System.FormatException: Top-level JSON element must be an object. Instead, 'Number' was found."},
      {"-1.5e3", "System.FormatException: Top-level JSON element must be an object. Instead, 'Number' was found."},
      {"true", "System.FormatException: Top-level JSON element must be an object. Instead, 'True' was found."},
      {"false", "System.FormatException: Top-level JSON element must be an object. Instead, 'False' was found."},
      {"null", "System.FormatException: Top-level JSON element must be an object. Instead, 'Null' was found."},
      {" null //x", "System.FormatException: Top-level JSON element must be an object. Instead, 'Null' was found."},
  });
}

TEST(Json, TheWholeTextIsParsedBeforeAnyOtherRule) {
  expect({
      {R"({"a":1,"a":2)", "'2' is an invalid end of a number. Expected a delimiter. [0:12]"},
      {R"({"a":"\ud800"}x)", "'x' is invalid after a single JSON value. Expected end of data. [0:14]"},
      {"[1,2", "'2' is an invalid end of a number. Expected a delimiter. [0:4]"},
      {"[]]", "']' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {R"({"a":1,"a":2,"\x":3})",
       "'x' is an invalid escapable character within a JSON string. The string should be correctly escaped. [0:15]"},
  });
}

TEST(Json, OfOtherMistakesTheFirstOneCounts) {
  expect({
      {R"({"a":"\ud800","b":1,"b":2})",
       "System.InvalidOperationException: Cannot read incomplete UTF-16 JSON text as string with missing low "
       "surrogate."},
      {R"({"b":1,"b":2,"a":"\ud800"})", "System.FormatException: A duplicate key 'b' was found."},
      {R"({"b":1,"b":"\ud800"})", "System.FormatException: A duplicate key 'b' was found."},
      {R"({"\udc00":{"a":1,"a":2}})",
       "System.InvalidOperationException: Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: "
       "'0xDC00'."},
      {R"({"b":1,"b":{"\udc00":1}})",
       "System.InvalidOperationException: Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: "
       "'0xDC00'."},
  });
}

TEST(Json, LinesEndAtLineFeedsAndBehindLineComments) {
  expect({
      {"{\n\n  \"a\":x}", "'x' is an invalid start of a value. [2:6]"},
      {"{\r\n\"a\":x}", "'x' is an invalid start of a value. [1:4]"},
      {"{\r\r\"a\":x}", "'x' is an invalid start of a value. [0:7]"},
      {"{\"a\":1//\r\rx}", "'x' is invalid after a value. Expected either ',', '}', or ']'. [1:1]"},
      {"{\"a\":1//\r\nx}", "'x' is invalid after a value. Expected either ',', '}', or ']'. [1:0]"},
      {"{\"a\":1//\n\rx}", "'x' is invalid after a value. Expected either ',', '}', or ']'. [1:1]"},
      {"{\"a\":1/*\n\n*/x}", "'x' is invalid after a value. Expected either ',', '}', or ']'. [2:2]"},
      {"{\"a\":1/*\r\n \r*/x}", "'x' is invalid after a value. Expected either ',', '}', or ']'. [1:4]"},
      {"{\n\"a\":/*\n", "Expected end of comment, but instead reached end of data. [1:4]"},
      {R"({"a":"é€😀"x})", "'x' is invalid after a value. Expected either ',', '}', or ']'. [0:16]"},
      {"{\n\"é\":\"😀\"\n}\nx", "'x' is invalid after a single JSON value. Expected end of data. [3:0]"},
      {"{\"a\":1}\n//x\r//\ny", "'y' is invalid after a single JSON value. Expected end of data. [3:0]"},
  });
}

TEST(Json, ByteOrderMarksChooseTheEncoding) {
  expect({
      {"\xEF\xBB\xBF{\"Urls\":\"é€😀\"}", "Urls=é€😀"},
      {little(u"{\"Urls\":\"é€😀\"}"), "Urls=é€😀"},
      {big(u"{\"Urls\":\"é€😀\"}"), "Urls=é€😀"},
      {little(U"{\"Urls\":\"é€😀\"}"), "Urls=é€😀"},
      {big(U"{\"Urls\":\"é€😀\"}"), "Urls=é€😀"},
      {"\xEF\xBB\xBF",
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [0:0]"},
      {little(u""),
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [0:0]"},
      {big(u""),
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [0:0]"},
      {little(U""),
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [0:0]"},
      {big(U""),
       "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when "
       "isFinalBlock is true. [0:0]"},
  });
}

TEST(Json, OnlyOneByteOrderMarkIsTaken) {
  expect({
      {"\xEF\xBB\xBF\xEF\xBB\xBF{}", "'0xEF' is an invalid start of a value. [0:0]"},
      {little(u"\uFEFF{}"), "'0xEF' is an invalid start of a value. [0:0]"},
      {big(u"\uFEFF{}"), "'0xEF' is an invalid start of a value. [0:0]"},
      {little(U"\uFEFF{}"), "'0xEF' is an invalid start of a value. [0:0]"},
      {big(U"\uFEFF{}"), "'0xEF' is an invalid start of a value. [0:0]"},
      {"\xEF\xBB\xBF" + little(u"{}"), "'0xEF' is an invalid start of a value. [0:0]"},
      {"{\"Urls\":1}\xEF\xBB\xBF", "'0xEF' is invalid after a single JSON value. Expected end of data. [0:10]"},
  });
}

TEST(Json, HalfAMarkIsNone) {
  expect({
      {"\xEF\xBB", "'0xEF' is an invalid start of a value. [0:0]"},
      {"\xEF", "'0xEF' is an invalid start of a value. [0:0]"},
      {"\xFE", "'0xEF' is an invalid start of a value. [0:0]"},
      {"\xFF", "'0xEF' is an invalid start of a value. [0:0]"},
      {"\0\0\xFE"sv, "'0x00' is an invalid start of a value. [0:0]"},
  });
}

TEST(Json, WithoutAMarkTheTextIsUTF8) {
  expect({
      {little(u"{}").substr(2), R"('0x00' is an invalid start of a property name. Expected a '"'. [0:1])"},
      {big(u"{}").substr(2), "'0x00' is an invalid start of a value. [0:0]"},
      {little(U"{}").substr(4), R"('0x00' is an invalid start of a property name. Expected a '"'. [0:1])"},
  });
}

TEST(Json, BrokenUTF16BecomesReplacementCharacters) {
  expect({
      {little(u"{\"Urls\":\"\xD800x\"}"), "Urls=�x"},
      {big(u"{\"Urls\":\"\xDC00x\"}"), "Urls=�x"},
      {little(u"{\"Urls\":\"\xD800\xD800\xDC00\xDC00\"}"), "Urls=�𐀀�"},
      {little(u"{}\xD800"), "'0xEF' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {big(u"{}\xD800"), "'0xEF' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {little(u"{}") + "x", "'0xEF' is invalid after a single JSON value. Expected end of data. [0:2]"},
      {little(u"{\"Urls\":\"x\"") + "}", "'0xEF' is invalid after a value. Expected either ',', '}', or ']'. [0:11]"},
      {little(u"{}\xD800") + "\0"s, "'0xEF' is invalid after a single JSON value. Expected end of data. [0:2]"},
  });
}

TEST(Json, BrokenUTF32BecomesReplacementCharacters) {
  expect({
      {little(U"{\"Urls\":\"\xD800\xDC00\"}"), "Urls=��"},
      {little(U"{\"Urls\":\"\x110000\"}"), "Urls=�"},
      {big(U"{\"Urls\":\"\xFFFFFFFF\"}"), "Urls=�"},
      {little(U"{}") + "xyz", "'0xEF' is invalid after a single JSON value. Expected end of data. [0:2]"},
  });
}

TEST(Json, InvalidUTF8BecomesReplacementCharacters) {
  expect({
      {"{\"Urls\":\"\377\"}", "Urls=�"},
      {"{\"Urls\":\"\303\"}", "Urls=�"},
      {"{\"Urls\":\"\303\303\251\"}", "Urls=�é"},
      {"{\"Urls\":\"\300\200\"}", "Urls=��"},
      {"{\"Urls\":\"\342\202\"}", "Urls=�"},
      {"{\"Urls\":\"\342\202\342\202\254\"}", "Urls=�€"},
      {"{\"Urls\":\"\340\200\200\"}", "Urls=���"},
      {"{\"Urls\":\"\355\240\200\"}", "Urls=���"},
      {"{\"Urls\":\"\360\237\230\"}", "Urls=�"},
      {"{\"Urls\":\"\360\217\277\277\"}", "Urls=����"},
      {"{\"Urls\":\"\364\217\277\277\"}", "Urls=\364\217\277\277"},
      {"{\"Urls\":\"\364\220\200\200\"}", "Urls=����"},
      {"{\"Urls\":\"\365\200\"}", "Urls=��"},
      {"{\"Urls\":\"\200\277\"}", "Urls=��"},
      {"{\"Urls\":\"\361\200\200A\"}", "Urls=�A"},
      {"{\"Urls\":1//\377\n}", "Urls=1"},
      {"{\"Kestrel\":{\"\377\":1}}", "Kestrel:�=1"},
  });
}

TEST(Json, InvalidUTF8IsRefusedOutsideOfStringsAndCounted) {
  expect({
      {"{\"a\":1}\377", "'0xEF' is invalid after a single JSON value. Expected end of data. [0:7]"},
      {"{\"a\":\"\377\"x}", "'x' is invalid after a value. Expected either ',', '}', or ']'. [0:10]"},
      {"{\342\200\"a\":1}", R"('0xEF' is an invalid start of a property name. Expected a '"'. [0:1])"},
      {"{\"a\":1}\342\200", "'0xEF' is invalid after a single JSON value. Expected end of data. [0:7]"},
  });
}

TEST(Json, SixtyFourLevelsAreGoodAndOneMoreIsRefused) {
  constexpr std::string_view kTooDeep = "The maximum configured depth of 64 has been exceeded. Cannot read next JSON ";
  const auto refused = [&](std::string_view kind, int at) {
    return std::string(kTooDeep).append(kind) + ". [0:" + std::to_string(at) + "]";
  };
  EXPECT_EQ(described(R"({"Urls":"x","a":)" + repeat("[", 63) + repeat("]", 63) + "}"), "Urls=x");
  EXPECT_EQ(described(R"({"Urls":"x","a":)" + repeat("[1,", 63) + repeat("]", 63) + "}"), "Urls=x");
  EXPECT_EQ(described(repeat(R"({"Kestrel":)", 63) + "{}" + repeat("}", 63)), repeat("Kestrel:", 62) + "Kestrel");
  EXPECT_EQ(described(R"({"a":)" + repeat("[", 64) + repeat("]", 64) + "}"), refused("array", 68));
  EXPECT_EQ(described(repeat(R"({"a":)", 65)), refused("object", 320));
  EXPECT_EQ(described(repeat("[", 65)), refused("array", 64));
  EXPECT_EQ(described(R"({"Urls":"x","a":[{})" + repeat(",[{}]", 70) + "]}"), "Urls=x");
}

TEST(Json, AFailureIsTheWholeChainOfExceptions) {
  const auto broken = read("{\n\"a\" 1}", kName);
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error(),
            (address::Exception{
                .type = "System.IO.InvalidDataException",
                .message = "Failed to load configuration from file '/app/appsettings.json'.",
                .causes = {"System.FormatException: Could not parse the JSON file.",
                           "System.Text.Json.JsonReaderException: '1' is invalid after a property name. Expected a "
                           "':'. LineNumber: 1 | BytePositionInLine: 4."}}));
  const auto duplicate = read(R"({"a":1,"a":2})", kName);
  ASSERT_FALSE(duplicate.has_value());
  EXPECT_EQ(duplicate.error(),
            (address::Exception{.type = "System.IO.InvalidDataException",
                                .message = "Failed to load configuration from file '/app/appsettings.json'.",
                                .causes = {"System.FormatException: A duplicate key 'a' was found."}}));
}

TEST(Json, AWrongLiteralIsQuotedInPartSinceWhatFollowsMayBeSecret) {
  // .NET quotes all of the text from here on.
  EXPECT_EQ(described(R"({"a":tru,"b":"0123456789","Password":"secret"})"),
            "'tru,...' is an invalid JSON literal. Expected the literal 'true'. [0:8]");
  EXPECT_EQ(described(R"({"Password":thunter2})"),
            "'th...' is an invalid JSON literal. Expected the literal 'true'. [0:13]");
}

TEST(Json, NullAndEmptyContainersAreNullAndAnEmptyStringIsNot) {
  const auto provider = read(R"({"Urls":null,"http_ports":{},"https_ports":[],"environment":""})", kName);
  ASSERT_TRUE(provider.has_value());
  EXPECT_FALSE(provider->find("urls")->value.has_value());
  EXPECT_FALSE(provider->find("http_ports")->value.has_value());
  EXPECT_FALSE(provider->find("https_ports")->value.has_value());
  EXPECT_EQ(provider->find("environment")->value, "");
}

TEST(Json, ASettingKnowsItsPlaceAmongThoseThatAreKept) {
  const auto provider = read(R"({"Urls":"x","Serilog":{"a":1},"Kestrel":{"Endpoints":{"A":{"Url":"y"}}}})", kName);
  ASSERT_TRUE(provider.has_value());
  EXPECT_EQ(provider->find("urls")->origin,
            (config::Origin{
                .kind = config::Origin::Kind::file, .index = 3, .value_at = 0, .name = "appsettings.json: Urls"}));
  EXPECT_EQ(provider->find("kestrel:endpoints:a:url")->origin,
            (config::Origin{.kind = config::Origin::Kind::file,
                            .index = 3,
                            .value_at = 1,
                            .name = "appsettings.json: Kestrel:Endpoints:A:Url"}));
}

TEST(Json, AnOverwrittenSettingKeepsItsSpellingAndItsPlace) {
  const auto provider = read(R"({"Urls":"x","http_ports":"80","URLS":{},"https_ports":"443"})", kName);
  ASSERT_TRUE(provider.has_value());
  EXPECT_EQ(provider->find("urls")->key, "Urls");
  EXPECT_EQ(provider->find("urls")->origin.name, "appsettings.json: Urls");
  EXPECT_EQ(provider->find("urls")->origin.value_at, 0U);
  EXPECT_EQ(provider->find("https_ports")->origin.value_at, 2U);
}

TEST(Json, EveryCutOfATextEndsInAResult) {
  constexpr std::string_view kText =
      "\xef\xbb\xbf// x\r\n{\"Urls\":\"\\ud83d\\ude00\\n\", "
      "\"a\":[1.5e+3,-0,true,null,{}],/**/\"Kestrel\":{\"b\":[[],],},}";
  ASSERT_TRUE(read(kText, kName).has_value());
  for (std::size_t size = 0; size < kText.size(); ++size) {
    // A copy on the heap, so that a sanitizer sees what is read behind its end.
    EXPECT_FALSE(read(std::string(kText.substr(0, size)), kName).has_value()) << size;
  }
}

TEST(Json, AnyByteInAnyPlaceEndsInAResult) {
  const std::string text = R"({"Urls":"\u0041","a":[1.5,true],/**/"b":{}}//)";
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      std::string changed = text;
      changed[at] = static_cast<char>(byte);
      const auto result = read(changed, kName);
      EXPECT_TRUE(result.has_value() || !result.error().causes.empty());
    }
  }
}

// ---- Large texts ----------------------------------------------------------------------------------------------------

TEST(Json, TheLargestFilesAreRead) {
  EXPECT_EQ(described(fill(R"({"Urls":"x","a":")", "x", R"("})", kLargest)), "Urls=x");
  EXPECT_TRUE(described(fill("", "[", "", kLargest)).starts_with("The maximum configured depth of 64"));
}

TEST(Json, LargeTextsAreReadInLinearTime) {
  EXPECT_EQ(described(fill(R"({"Urls":"x","a":")", R"(\\u00e9\\)", R"("})")), "Urls=x");
  EXPECT_EQ(described(fill(R"({"Urls":"x","a":")", "\xff", R"("})")), "Urls=x");
  EXPECT_EQ(described(fill(R"({"Urls":"x","a":)", "9", "}")), "Urls=x");
  EXPECT_EQ(described(fill("", " /**/\n", R"({"Urls":"x"})")), "Urls=x");
  EXPECT_EQ(described(fill(R"({"Urls":"x"}//)", "/", "")), "Urls=x");
  EXPECT_EQ(described(fill(R"({"Urls":"x",")", ":", R"(":1})")), "Urls=x");
  EXPECT_EQ(described(fill(R"({"Urls":"x",)", R"("a":{},)", "}")), "Urls=x");
}

TEST(Json, LargeBrokenTextsAreRefusedInLinearTime) {
  EXPECT_TRUE(described(fill("", R"({"a":)", "")).starts_with("The maximum configured depth of 64"));
  EXPECT_EQ(described(fill(R"({"a":")", "x", "")),
            "Expected end of string, but instead reached end of data. [0:1048576]");
  EXPECT_EQ(described(fill("{/*", "/", "")), "Expected end of comment, but instead reached end of data. [0:1]");
  EXPECT_EQ(described(fill("", "\n", "x")), "'x' is an invalid start of a value. [1048575:0]");
  EXPECT_EQ(described(fill("", "\0"sv, "")), "'0x00' is an invalid start of a value. [0:0]");
  EXPECT_LT(described(fill(R"({"a":nul)", "x", "")).size(), 150U);
}

TEST(Json, KeysAreComparedInLinearTimeHoweverLongTheirPrefix) {
  const std::string head = R"({"Urls":"x",")" + std::string(kLarge / 2, 'x') + R"(":{)";
  EXPECT_EQ(described(number_members(head, "1", "}}")), "Urls=x");
  EXPECT_EQ(described(number_members(head, R"({"b":[{}]})", "}}")), "Urls=x");
  const std::string duplicate = described(number_members(head, "1", R"("A7":1}})"));
  EXPECT_TRUE(duplicate.starts_with("System.FormatException: A duplicate key 'xxx"));
  EXPECT_TRUE(duplicate.ends_with("xxx:A7' was found."));
}

TEST(Json, NoTwoOfManyItemsAreTakenForDuplicates) {
  EXPECT_EQ(described(fill(R"({"Urls":"x","a":[)", "1,", "]}")), "Urls=x");
  EXPECT_EQ(described(fill(R"({"Urls":"x","a":[)", "1,", R"(],"A:299999":1})")),
            "System.FormatException: A duplicate key 'A:299999' was found.");
}

TEST(Json, OfVeryManySettingsOfLoggingTheFirstAreKept) {
  const std::string text = described(number_members(R"({"Urls":"x","Logging":{"LogLevel":{)", "1", "}}}"));
  EXPECT_TRUE(text.starts_with("Logging:LogLevel:"));
  EXPECT_TRUE(text.ends_with("Urls=x"));
}

TEST(Json, MoreKestrelSettingsThanMemoryHoldsAreAnOutOfMemoryException) {
  constexpr std::string_view kOutOfMemory =
      "System.OutOfMemoryException: Exception of type 'System.OutOfMemoryException' was thrown.";
  const std::string head = R"({"Kestrel":{")" + std::string(kLarge / 2, 'x') + R"(":{)";
  EXPECT_EQ(described(number_members(head, "1", "}}}")), kOutOfMemory);
  EXPECT_EQ(described(fill(head, R"("a":{},)", "}}}")), kOutOfMemory);
  EXPECT_TRUE(described(fill(head, R"("a":{},)", "}}")).starts_with("Expected depth to be zero"));
}

TEST(Json, OrdinaryNumbersOfKestrelSettingsAreKept) {
  const auto provider = read(number_members(R"({"Kestrel":{)", "1", "}}"), kName);
  ASSERT_TRUE(provider.has_value());
  EXPECT_GT(provider->settings().size(), 40'000U);
  EXPECT_EQ(described(fill(R"({"Kestrel":{)", R"("a":{},)", "}}")), "Kestrel:a");
}

}  // namespace
}  // namespace portshim::json
