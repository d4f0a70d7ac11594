#include "shim/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "shim/utf8.h"

namespace portshim::json {
namespace {

constexpr std::size_t kDeepest = 64;  // JsonReaderOptions.DefaultMaxDepth
/// Room for the keys that are kept, with so much more for each one: nested names make keys far longer than the text.
constexpr std::size_t kKeptBytes = std::size_t{16} << 20U;
constexpr std::size_t kLoggingBytes = std::size_t{1} << 20U;
constexpr std::size_t kSettingBytes = 128;

unsigned char to_byte(char c) {
  return static_cast<unsigned char>(c);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Of a hexadecimal digit; 16 for another character.
unsigned hex_value(char c) {
  if (is_digit(c)) return static_cast<unsigned>(c - '0');
  const unsigned lower = to_byte(c) | 0x20U;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 16;
}

bool is_high_surrogate(char32_t unit) {
  return unit >= 0xD800 && unit < 0xDC00;
}

bool is_low_surrogate(char32_t unit) {
  return unit >= 0xDC00 && unit < 0xE000;
}

char32_t join_surrogates(char32_t high, char32_t low) {
  return 0x10000 + ((high - 0xD800) << 10U) + (low - 0xDC00);
}

/// From UTF-16 or UTF-32 with code units of `width` bytes. A part of a unit at the end is one U+FFFD.
std::string from_units(std::string_view bytes, std::size_t width, bool big_endian) {
  const auto unit = [&](std::size_t at) {
    char32_t value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      value = (value << 8U) | to_byte(bytes[at + (big_endian ? i : width - 1 - i)]);
    }
    return value;
  };
  std::string out;
  std::size_t at = 0;
  while (at + width <= bytes.size()) {
    char32_t point = unit(at);
    at += width;
    if (width == 2 && is_high_surrogate(point) && at + width <= bytes.size() && is_low_surrogate(unit(at))) {
      point = join_surrogates(point, unit(at));
      at += width;
    }
    utf8::append(point, out);
  }
  if (at < bytes.size()) utf8::append(utf8::kReplacement, out);
  return out;
}

/// The text as StreamReader.DetectEncoding makes it out, in valid UTF-8.
std::string decode(std::string_view bytes) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\xEF\xBB\xBF"sv)) return utf8::valid(bytes.substr(3));
  if (bytes.starts_with("\xFE\xFF"sv)) return from_units(bytes.substr(2), 2, true);
  if (bytes.starts_with("\xFF\xFE\0\0"sv)) return from_units(bytes.substr(4), 4, false);
  if (bytes.starts_with("\xFF\xFE"sv)) return from_units(bytes.substr(2), 2, false);
  if (bytes.starts_with("\0\0\xFE\xFF"sv)) return from_units(bytes.substr(4), 4, true);
  return utf8::valid(bytes);
}

/// What the digits of "\uXXXX" mean.
char32_t escaped_unit(std::string_view digits) {
  char32_t unit = 0;
  for (const char c : digits.substr(0, 4)) unit = (unit << 4U) | hex_value(c);
  return unit;
}

/// A string with its escapes replaced, all of which are well formed; or the exception that .NET throws at half a
/// surrogate pair (JsonReaderHelper.Unescaping.cs).
std::expected<std::string, std::string> unescape(std::string_view raw) {
  const auto invalid = [](char32_t unit) {
    return std::unexpected(fmt::format(
        "System.InvalidOperationException: Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: "
        "'0x{:02X}'.",
        std::uint32_t{unit}));
  };
  std::string out;
  while (true) {
    const std::size_t backslash = raw.find('\\');
    out += raw.substr(0, backslash);
    if (backslash == std::string_view::npos) return out;
    const char escape = raw[backslash + 1];
    raw.remove_prefix(backslash + 2);
    if (escape != 'u') {
      const std::size_t control = std::string_view("bfnrt").find(escape);
      out += control == std::string_view::npos ? escape : "\b\f\n\r\t"[control];
      continue;
    }
    char32_t unit = escaped_unit(raw);
    raw.remove_prefix(4);
    if (is_low_surrogate(unit)) return invalid(unit);
    if (is_high_surrogate(unit)) {
      if (!raw.starts_with("\\u")) {
        return std::unexpected(
            "System.InvalidOperationException: Cannot read incomplete UTF-16 JSON text as string with missing low "
            "surrogate.");
      }
      const char32_t low = escaped_unit(raw.substr(2));
      if (!is_low_surrogate(low)) return invalid(low);
      unit = join_surrogates(unit, low);
      raw.remove_prefix(6);
    }
    utf8::append(unit, out);
  }
}

/// Keys by their hash: the keys themselves would repeat the nested names too often. Two of a million keys have the
/// same hash with a probability of 3e-8. The table is flat, since 16 MiB of text can hold 8 million keys.
class KeySet {
 public:
  /// False when it is there already.
  bool insert(std::uint64_t hash) {
    hash = std::max<std::uint64_t>(mix(hash), 1);  // 0 is a free slot
    if (count_ * 4 >= slots_.size() * 3) grow();
    std::uint64_t& slot = find(hash);
    if (slot == hash) return false;
    slot = hash;
    ++count_;
    return true;
  }

 private:
  /// Lets every bit decide about the slot (the last step of MurmurHash3).
  static std::uint64_t mix(std::uint64_t hash) {
    hash = (hash ^ (hash >> 33U)) * 0xFF51AFD7ED558CCD;
    hash = (hash ^ (hash >> 33U)) * 0xC4CEB9FE1A85EC53;
    return hash ^ (hash >> 33U);
  }
  std::uint64_t& find(std::uint64_t hash) {
    std::size_t at = hash & (slots_.size() - 1);
    while (slots_[at] != 0 && slots_[at] != hash) at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }
  void grow() {
    std::vector<std::uint64_t> old(slots_.size() * 2);
    old.swap(slots_);
    for (const std::uint64_t hash : old) {
      if (hash != 0) find(hash) = hash;
    }
  }

  std::vector<std::uint64_t> slots_ = std::vector<std::uint64_t>(64);  // as many as a power of two
  std::size_t count_ = 0;
};

/// What JsonConfigurationFileParser makes of the document, in the order of the text, up to its first exception. It
/// starts when all of the text has been parsed, so an exception of the Parser comes before any of these.
class Settings {
 public:
  explicit Settings(const Name& file) : file_(file) {}

  void begin_object() {
    if (!problem_) frames_.push_back({.key = key_});
  }
  void begin_array() {
    if (frames_.empty()) refuse_root("Array");
    if (!problem_) frames_.push_back({.key = key_});
  }
  void end() {
    if (problem_) return;
    go_to(frames_.back().key);
    const bool empty = frames_.back().members == 0;
    frames_.pop_back();
    if (!empty || frames_.empty()) return;
    // Sets null without a look at what is there.
    taken_.insert(key_.hash);
    keep(std::nullopt);
  }

  void enter_member(std::string_view raw_name) {
    if (problem_) return;
    if (const auto name = unescape(raw_name)) {
      enter(*name);
    } else {
      problem_ = name.error();
    }
  }
  void enter_element() {
    if (!problem_) enter(std::to_string(frames_.back().members));
  }

  /// Adds a value that is no object and no array. `kind` is its JsonValueKind, `raw` its text with escapes, or nothing
  /// for null.
  void add(std::string_view kind, std::optional<std::string_view> raw) {
    if (frames_.empty()) refuse_root(kind);
    if (problem_) return;
    if (!taken_.insert(key_.hash)) {
      problem_ = fmt::format("System.FormatException: A duplicate key '{}' was found.", spelled_);
      return;
    }
    if (!raw) {
      keep(std::nullopt);
    } else if (auto value = unescape(*raw)) {
      keep(std::move(*value));
    } else {
      problem_ = std::move(value.error());
    }
  }

  /// The exception, as "Type: message".
  [[nodiscard]] const std::optional<std::string>& problem() const { return problem_; }
  [[nodiscard]] config::Provider& provider() { return provider_; }

 private:
  /// A key: the lengths of its two forms and the FNV-1a hash of the folded one.
  struct Key {
    std::size_t spelled = 0;
    std::size_t folded = 0;
    std::uint64_t hash = 0xCBF29CE484222325;
  };
  /// An object or array that is still open.
  struct Frame {
    Key key;
    std::size_t members = 0;
  };

  void refuse_root(std::string_view kind) {
    if (problem_) return;
    problem_ =
        fmt::format("System.FormatException: Top-level JSON element must be an object. Instead, '{}' was found.", kind);
  }
  /// Goes back to the key of an open object or array.
  void go_to(const Key& key) {
    key_ = key;
    spelled_.resize(key.spelled);
    folded_.resize(key.folded);
  }
  void extend(std::string_view text) {
    spelled_ += text;
    key_.spelled = spelled_.size();
    folded_ += config::fold(text);
    for (; key_.folded < folded_.size(); ++key_.folded) {
      key_.hash = (key_.hash ^ to_byte(folded_[key_.folded])) * 0x100000001B3;
    }
  }
  void enter(std::string_view name) {
    go_to(frames_.back().key);
    ++frames_.back().members;
    if (frames_.size() > 1) extend(":");
    extend(name);
  }
  /// Sets the value when somebody reads the key. A key that is there already keeps its place.
  void keep(std::optional<std::string> value) {
    if (!config::is_kept(folded_)) return;
    const config::SettingPtr known = provider_.find_folded(folded_);
    const bool is_read = config::is_read(folded_);
    std::size_t& kept = is_read ? kept_ : kept_logging_;
    kept += spelled_.size() + (known ? 0 : kSettingBytes);
    if (!is_read && kept > kLoggingBytes) return;
    if (kept > kKeptBytes) {
      problem_ = "System.OutOfMemoryException: Exception of type 'System.OutOfMemoryException' was thrown.";
      return;
    }
    config::Origin origin = {.kind = config::Origin::Kind::file,
                             .index = file_.number,
                             .value_at = provider_.settings().size(),
                             .name = file_.label + ": " + spelled_};
    if (known) origin = known->origin;
    provider_.set({.key = spelled_, .value = std::move(value), .origin = std::move(origin)});
  }

  const Name& file_;
  Key key_;  ///< of the value that comes next or came last
  std::string spelled_;
  std::string folded_;
  std::vector<Frame> frames_;
  KeySet taken_;
  std::size_t kept_ = 0;
  std::size_t kept_logging_ = 0;
  config::Provider provider_;
  std::optional<std::string> problem_;
};

/// Utf8JsonReader over all of the text, with comments skipped and trailing commas allowed. A function that returns
/// false or nothing has met the first error.
class Parser {
 public:
  /// `text` is valid UTF-8.
  Parser(std::string_view text, Settings& settings) : text_(text), settings_(settings) {}

  bool parse() {
    while (true) {
      const std::size_t before = at_;
      if (!skip_blanks_and_comments()) return false;
      if (at_ == text_.size()) return end_of_data(before);
      if (!next_token(text_[at_])) return false;
    }
  }

  /// The exception, as "Type: message".
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  /// What came last.
  enum class State : std::uint8_t { nothing, opening, name, comma, value };

  bool fail(std::size_t at, std::string_view message) {
    problem_ = fmt::format("System.Text.Json.JsonReaderException: {} LineNumber: {} | BytePositionInLine: {}.", message,
                           line_, at - line_begin_);
    return false;
  }
  /// A byte as messages show it (ThrowHelper.GetPrintableString).
  [[nodiscard]] std::string shown(std::size_t at) const {
    const unsigned char byte = to_byte(text_[at]);
    return byte >= 0x20 && byte < 0x7F ? fmt::format("'{}'", text_[at]) : fmt::format("'0x{:02X}'", byte);
  }
  bool fail_at_byte(std::size_t at, std::string_view is_wrong) { return fail(at, shown(at).append(is_wrong)); }

  [[nodiscard]] bool in_object() const { return depth_ > 0 && objects_[depth_ - 1]; }
  [[nodiscard]] char closing_bracket() const { return in_object() ? '}' : ']'; }
  /// The byte there; NUL behind the end.
  [[nodiscard]] char peek(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }

  void begin_line(std::size_t at) {
    ++line_;
    line_begin_ = at;
  }
  void skip_blanks() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') {
        begin_line(at_ + 1);
      } else if (c != ' ' && c != '\t' && c != '\r') {
        return;
      }
    }
  }
  bool skip_blanks_and_comments() {
    for (skip_blanks(); peek(at_) == '/'; skip_blanks()) {
      const char kind = peek(at_ + 1);
      if (kind != '/' && kind != '*') return fail_at_byte(at_, " is an invalid start of a value.");
      if (!(kind == '/' ? skip_line_comment() : skip_block_comment())) return false;
    }
    return true;
  }
  bool skip_line_comment() {
    for (std::size_t i = at_ + 2; i < text_.size(); ++i) {
      const std::string_view here = text_.substr(i, 3);
      if (here == "\u2028" || here == "\u2029") {
        return fail(at_, "Found invalid line or paragraph separator character while reading a comment.");
      }
      if (here[0] != '\n' && here[0] != '\r') continue;
      at_ = i + (here.starts_with("\r\n") ? 2 : 1);
      begin_line(at_);
      return true;
    }
    at_ = text_.size();
    return true;
  }
  bool skip_block_comment() {
    const std::size_t end = text_.find("*/", at_ + 2);
    if (end == std::string_view::npos) return fail(at_, "Expected end of comment, but instead reached end of data.");
    for (; at_ < end; ++at_) {
      if (text_[at_] == '\n') begin_line(at_ + 1);
    }
    at_ = end + 2;
    return true;
  }

  /// `before` is where the last token ends.
  bool end_of_data(std::size_t before) {
    if (state_ == State::nothing) {
      return fail(at_,
                  "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, "
                  "when isFinalBlock is true.");
    }
    if (state_ == State::comma) {
      return fail(before == at_ ? at_ - 1 : at_,
                  "Expected start of a property name or value, but instead reached end of data.");
    }
    if (depth_ == 0) return true;
    return fail(at_,
                "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that "
                "should be closed.");
  }

  bool next_token(char c) {
    switch (state_) {
      case State::nothing:
      case State::name:
        return read_value(c);
      case State::opening:
      case State::comma:
        if (c == closing_bracket()) return close();
        return in_object() ? read_name(c) : read_value(c);
      case State::value:
        break;
    }
    if (depth_ == 0) return fail_at_byte(at_, " is invalid after a single JSON value. Expected end of data.");
    if (c == closing_bracket()) return close();
    if (c == '}' || c == ']') return fail_at_byte(at_, " is invalid without a matching open.");
    if (c != ',') return fail_at_byte(at_, " is invalid after a value. Expected either ',', '}', or ']'.");
    return go_on(State::comma);
  }

  /// Goes behind a token of one byte.
  bool go_on(State state) {
    ++at_;
    state_ = state;
    return true;
  }
  bool open(bool object) {
    if (depth_ == kDeepest) {
      return fail(at_, fmt::format("The maximum configured depth of 64 has been exceeded. Cannot read next JSON {}.",
                                   object ? "object" : "array"));
    }
    if (object) {
      settings_.begin_object();
    } else {
      settings_.begin_array();
    }
    objects_[depth_++] = object;
    return go_on(State::opening);
  }
  bool close() {
    settings_.end();
    --depth_;
    return go_on(State::value);
  }

  /// A name and its ':'.
  bool read_name(char c) {
    if (c != '"') return fail_at_byte(at_, " is an invalid start of a property name. Expected a '\"'.");
    const auto raw = read_string();
    if (!raw) return false;
    skip_blanks();  // a comment is an error here
    if (at_ == text_.size()) return fail(at_, "Expected a value, but instead reached end of data.");
    if (text_[at_] != ':') return fail_at_byte(at_, " is invalid after a property name. Expected a ':'.");
    settings_.enter_member(*raw);
    return go_on(State::name);
  }

  /// A value, of an object or array the opening bracket.
  bool read_value(char c) {
    if (depth_ > 0 && !in_object()) settings_.enter_element();
    state_ = State::value;
    switch (c) {
      case '{':
      case '[':
        return open(c == '{');
      case '"':
        return add("String", read_string());
      case 't':
        return read_literal("true") && add("True", "True");
      case 'f':
        return read_literal("false") && add("False", "False");
      case 'n':
        if (!read_literal("null")) return false;
        settings_.add("Null", std::nullopt);
        return true;
      default:
        if (is_digit(c) || c == '-') return add("Number", read_number());
        return fail_at_byte(at_, " is an invalid start of a value.");
    }
  }
  bool add(std::string_view kind, std::optional<std::string_view> raw) {
    if (raw) settings_.add(kind, raw);
    return raw.has_value();
  }

  bool read_literal(std::string_view word) {
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with(word)) {
      at_ += word.size();
      return true;
    }
    const auto differs = static_cast<std::size_t>(std::ranges::mismatch(rest, word).in1 - rest.begin());
    // .NET quotes all that is left of the text, secrets included; here the first wrong character ends the quote.
    std::size_t cut = std::min(rest.size(), differs + 1);
    while (cut < rest.size() && (to_byte(rest[cut]) & 0xC0U) == 0x80) ++cut;
    return fail(at_ + differs, fmt::format("'{}{}' is an invalid JSON literal. Expected the literal '{}'.",
                                           rest.substr(0, cut), cut < rest.size() ? "..." : "", word));
  }

  /// What stands between the quotes.
  std::optional<std::string_view> read_string() {
    constexpr std::string_view kEscapes = "\"\\/bfnrtu";
    const std::size_t begin = at_ + 1;
    std::string_view wrong;
    std::size_t hex_digits = 0;  // so many must follow
    bool escaped = false;
    for (at_ = begin; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (hex_digits > 0) {
        --hex_digits;
        if (hex_value(c) > 15) wrong = "not a hex digit following '\\u'";
      } else if (escaped) {
        escaped = false;
        if (c == 'u') hex_digits = 4;
        if (!kEscapes.contains(c)) wrong = "an invalid escapable character";
      } else if (c == '"') {
        return text_.substr(begin, at_++ - begin);
      } else {
        escaped = c == '\\';
        if (to_byte(c) < 0x20) wrong = "invalid";
      }
      if (!wrong.empty()) {
        fail_at_byte(at_, fmt::format(" is {} within a JSON string. The string should be correctly escaped.", wrong));
        return std::nullopt;
      }
    }
    fail(at_, "Expected end of string, but instead reached end of data.");
    return std::nullopt;
  }

  void skip_digits() {
    while (is_digit(peek(at_))) ++at_;
  }
  /// One digit or more, which must follow.
  bool read_digits(std::string_view behind) {
    if (at_ == text_.size()) return fail(at_, "Expected a digit ('0'-'9'), but instead reached end of data.");
    if (!is_digit(text_[at_])) {
      return fail_at_byte(
          at_, fmt::format(" is invalid within a number, immediately after a {}. Expected a digit ('0'-'9').", behind));
    }
    skip_digits();
    return true;
  }
  std::optional<std::string_view> read_number() {
    constexpr std::string_view kSign = "sign character ('+' or '-')";
    const std::size_t begin = at_;
    if (text_[at_] == '-') ++at_;
    if (peek(at_) == '0' && is_digit(peek(at_ + 1))) {
      fail(at_ + 1, fmt::format("Invalid leading zero before {}.", shown(at_ + 1)));
      return std::nullopt;
    }
    if (!read_digits(kSign)) return std::nullopt;
    std::string_view expected = "a delimiter";
    if (peek(at_) == '.') {
      ++at_;
      if (!read_digits("decimal point ('.')")) return std::nullopt;
      expected = "'E' or 'e'";
    }
    if (peek(at_) == 'e' || peek(at_) == 'E') {
      ++at_;
      if (peek(at_) == '+' || peek(at_) == '-') ++at_;
      if (!read_digits(kSign)) return std::nullopt;
      expected = "a delimiter";
    }
    return end_number(expected) ? std::optional(text_.substr(begin, at_ - begin)) : std::nullopt;
  }
  bool end_number(std::string_view expected) {
    constexpr std::string_view kDelimiters = ",}] \n\r\t/";
    if (at_ < text_.size()) {
      return kDelimiters.contains(text_[at_]) ||
             fail_at_byte(at_, fmt::format(" is an invalid end of a number. Expected {}.", expected));
    }
    // Only a number that is all of the document may end with the text.
    return depth_ == 0 || fail(at_, shown(at_ - 1) + " is an invalid end of a number. Expected a delimiter.");
  }

  std::string_view text_;
  Settings& settings_;
  std::size_t at_ = 0;
  std::size_t line_ = 0;
  std::size_t line_begin_ = 0;
  State state_ = State::nothing;
  std::size_t depth_ = 0;
  std::bitset<kDeepest> objects_;  ///< for each open bracket: is it an object's?
  std::string problem_;
};

}  // namespace

std::expected<config::Provider, address::Exception> read(std::string_view text, const Name& name) {
  const std::string decoded = decode(text);
  Settings settings(name);
  Parser parser(decoded, settings);
  std::vector<std::string> causes;
  if (!parser.parse()) {
    causes = {"System.FormatException: Could not parse the JSON file.", parser.problem()};
  } else if (settings.problem()) {
    causes = {*settings.problem()};
  } else {
    return std::move(settings.provider());
  }
  return std::unexpected(
      address::Exception{.type = "System.IO.InvalidDataException",
                         .message = fmt::format("Failed to load configuration from file '{}'.", name.path),
                         .causes = std::move(causes)});
}

}  // namespace portshim::json
