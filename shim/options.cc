#include "shim/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/any.hpp>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <boost/program_options/variables_map.hpp>
#include <charconv>
#include <csignal>
#include <utility>

#include "shim/ascii.h"
#include "shim/environment.h"
#include "shim/signal_name.h"

namespace portshim::options {

namespace {

namespace po = boost::program_options;
using finding::Finding;
using finding::Id;
using finding::quote;
using finding::Severity;

// What env(1), nohup(1) and docker-run(1) exit with when they themselves fail.
constexpr int kWrongCommandLine = 125;

using Words = std::span<const std::string_view>;
// In the order of their enumerations: word_as() takes the index for the value.
constexpr std::array<std::string_view, 4> kModes{"off", "explain", "validate", "rewrite"};
constexpr std::array<std::string_view, 3> kChecks{"no", "text", "json"};
constexpr std::array<std::string_view, 4> kLogFormats{"text", "systemd", "json", "auto"};
constexpr std::array<std::string_view, 4> kLogLevels{"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 3> kCodes{"report", "off", "rewrite"};
constexpr std::array<std::string_view, 4> kGuards{"off", "explain", "redirect", "strict"};
constexpr std::array<std::string_view, 3> kCapabilities{"none", "all", "net_bind_service"};
constexpr std::array<std::string_view, 2> kFloors{"portable", "kernel"};
// What may be suggested for a switch; what is valid for it is Boost's business.
constexpr std::array<std::string_view, 6> kBooleans{"on", "off", "true", "false", "yes", "no"};

/// One option, with all that is said about it when it is wrong.
struct Setting {
  std::string_view name;
  std::string_view variable;     ///< empty: the command line only
  std::string_view alone;        ///< its value when it stands without one; empty: a value is required
  std::string_view valid;        ///< the valid values in words; empty: it takes none
  Words near;                    ///< values to suggest
  std::string_view replacement;  ///< what an invalid variable stands for; empty: the default
};
constexpr auto kSettings = std::to_array<Setting>({
    {"mode", "PORTSHIM", "", "off, explain, validate, rewrite", kModes, "explain"},
    {"floor", "PORTSHIM_FLOOR", "", "portable, kernel, or a port 0..65535", kFloors, "portable"},
    {"map", "PORTSHIM_MAP", "", "OLD:NEW pairs of ports 1..65535, each OLD once, as 80:8080,443:8443", {}, ""},
    {"keep", "PORTSHIM_KEEP", "on", "off, on", kBooleans, "off"},
    {"expand", "PORTSHIM_EXPAND", "on", "off, on", kBooleans, "off"},
    {"code", "PORTSHIM_CODE", "", "report, off, rewrite", kCodes, "report"},
    {"log-format", "PORTSHIM_LOG_FORMAT", "", "auto, text, systemd, json", kLogFormats, "auto"},
    {"log-level", "PORTSHIM_LOG_LEVEL", "", "warning, info, error, debug", kLogLevels, ""},
    {"termination-log", "PORTSHIM_TERMINATION_LOG", "", "the path of a file", {}, ""},
    {"init", "PORTSHIM_INIT", "on", "off, on", kBooleans, "off"},
    {"grace", "PORTSHIM_GRACE", "", "seconds 0..86400, as 10 or 0.5", {}, "0"},
    {"group", "PORTSHIM_GROUP", "on", "off, on", kBooleans, "off"},
    {"signal-map",
     "PORTSHIM_SIGNAL_MAP",
     "",
     "OLD:NEW pairs of signals, each OLD once and not KILL, STOP or CHLD, NEW 0 for none, as TERM:INT,HUP:0",
     {},
     ""},
    {"exit-map", "PORTSHIM_EXIT_MAP", "", "OLD:NEW pairs of exit codes 0..255, each OLD once, as 143:0", {}, ""},
    {"user", "PORTSHIM_USER", "", "USER or USER:GROUP, names or ids, as app or 1654:1654", {}, ""},
    {"keep-net-bind", "PORTSHIM_KEEP_NET_BIND", "on", "off, on", kBooleans, "off"},
    {"guard", "PORTSHIM_GUARD", "", "off, explain, redirect, strict", kGuards, "off"},
    {"check", "", "text", "text, json", Words(kChecks).subspan(1), ""},
    {"install", "", "", "the path of a file or a directory", {}, ""},
    {"pid", "", "", "the number of a running process", {}, ""},
    {"assume",
     "",
     "",
     "one or more of uid=N, gid=N, caps=none|all|net_bind_service, start=PORT, each once, as uid=1654,caps=none",
     {},
     ""},
    {"help", "", "on", "", {}, ""},
    {"version", "", "on", "", {}, ""},
});

/// Options that work in every mode.
constexpr auto kNotAboutPorts =
    std::to_array<std::string_view>({"init", "grace", "group", "signal-map", "exit-map", "guard", "keep-net-bind"});

/// The place of `text` among the words, in any case.
std::optional<std::size_t> index_of(Words words, std::string_view text) {
  const auto found = std::ranges::find_if(words, [text](auto word) { return ascii::equal_in_any_case(word, text); });
  if (found == words.end()) return std::nullopt;
  return static_cast<std::size_t>(found - words.begin());
}

/// A decimal number `lowest`..`highest` without sign.
template <typename Number>
std::optional<Number> read_number(std::string_view text, Number lowest, Number highest) {
  Number number = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc{} || stop != end || text.starts_with('-') || number < lowest || number > highest) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::uint16_t> read_port(std::string_view text, std::uint16_t lowest) {
  return read_number<std::uint16_t>(text, lowest, UINT16_MAX);
}

// Types of values that are not those of Options, so that `validate` is found by them.
enum class LogFormat : std::uint8_t { text, systemd, json, automatic };
struct LogLevel {
  Severity severity;
};
struct PortMap {
  std::map<std::uint16_t, std::uint16_t> ports;
};
struct SignalMap {
  std::map<int, int> signals;
};
struct ExitMap {
  std::map<int, int> codes;
};
struct Seconds {
  std::chrono::milliseconds time;
};
struct ProcessId {
  std::int32_t number;
};

/// Sets what is not set yet; false for a second value and for none.
template <typename T>
bool set_once(std::optional<T>& member, std::optional<T> value) {
  if (member || !value) return false;
  member = value;
  return true;
}

/// Adds "uid=1654"; false when it is no such part or is there already.
bool add_part(Assumption& assumption, std::string_view part) {
  // As Docker takes ids; 4294967295 would be "no change" to the kernel.
  constexpr std::uint32_t kHighestId = INT32_MAX;
  const std::size_t equals = part.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view value = part.substr(equals + 1);
  const auto is = [&](std::string_view name) { return ascii::equal_in_any_case(part.substr(0, equals), name); };
  if (is("uid")) return set_once(assumption.uid, read_number<std::uint32_t>(value, 0, kHighestId));
  if (is("gid")) return set_once(assumption.gid, read_number<std::uint32_t>(value, 0, kHighestId));
  if (is("start")) return set_once(assumption.port_start, read_port(value, 0));
  const auto index = index_of(kCapabilities, value);
  return is("caps") && index && set_once(assumption.capabilities, std::optional(static_cast<Capabilities>(*index)));
}

/// Reads "OLD:NEW" with blanks around it, each side by its own function, and adds it to the map; false when it is not
/// such a pair or its OLD is there already.
template <typename Number, typename ReadOld, typename ReadNew>
bool add_pair(std::map<Number, Number>& map, std::string_view item, ReadOld read_old, ReadNew read_new) {
  constexpr std::string_view kBlanks = " \t";
  const auto first = std::min(item.find_first_not_of(kBlanks), item.size());
  item = item.substr(first, item.find_last_not_of(kBlanks) + 1 - first);
  const auto colon = item.find(':');
  if (colon == std::string_view::npos) return false;
  const std::optional<Number> from = read_old(item.substr(0, colon));
  const std::optional<Number> to = read_new(item.substr(colon + 1));
  return from && to && map.emplace(*from, *to).second;
}

/// What portshim is never sent, or would end for, cannot be mapped.
std::optional<int> read_forwarded_signal(std::string_view text) {
  const auto number = signal_name::number_of(text);
  if (number == SIGKILL || number == SIGSTOP || number == SIGCHLD) return std::nullopt;
  return number;
}

std::optional<int> read_new_signal(std::string_view text) {
  return text == "0" ? 0 : signal_name::number_of(text);
}

/// A signal stands for the code of a COMMAND that ended by it.
std::optional<int> read_exit_code(std::string_view text) {
  constexpr int kHighestCode = 255;
  if (const auto code = read_number<int>(text, 0, kHighestCode)) return code;
  const auto number = signal_name::number_of(text);
  if (!number || text.find_first_not_of("0123456789") == std::string_view::npos) return std::nullopt;
  return 128 + *number;
}

/// "10", "0.5", ".25": at most three decimals.
std::optional<std::chrono::milliseconds> read_seconds(std::string_view text) {
  constexpr int kMostSeconds = 86400;
  const std::size_t point = text.find('.');
  std::string decimals = point == std::string_view::npos ? "" : std::string(text.substr(point + 1));
  if (point != std::string_view::npos && decimals.empty()) return std::nullopt;
  if (decimals.size() > 3) return std::nullopt;
  decimals.resize(3, '0');
  const std::string_view whole = text.substr(0, point);
  const auto seconds = whole.empty() && point == 0 ? 0 : read_number<int>(whole, 0, kMostSeconds);
  const auto thousandths = read_number<int>(decimals, 0, 999);
  if (!seconds || !thousandths) return std::nullopt;
  const std::chrono::milliseconds time{(*seconds * 1000) + *thousandths};
  if (time > std::chrono::seconds{kMostSeconds}) return std::nullopt;
  return time;
}

/// Boost's way to say no. The caught exception is all that is seen of it: the texts are Setting's.
[[noreturn]] void refuse_value() {
  throw po::validation_error(po::validation_error::invalid_option_value);
}

/// The value whose word this is.
template <typename Enumeration>
Enumeration word_as(Words words, std::string_view text) {
  const auto index = index_of(words, text);
  if (!index) refuse_value();
  return static_cast<Enumeration>(*index);
}

// Boost.Program_options calls validate() to make a value of a text, by a pointer to the value's type; its last
// parameter is an int for overloads that are to be preferred over Boost's own. The text is always one word.

void validate(boost::any& value, const std::vector<std::string>& text, LogFormat* /*type*/, int /*overload*/) {
  value = word_as<LogFormat>(kLogFormats, text.front());
}

void validate(boost::any& value, const std::vector<std::string>& text, LogLevel* /*type*/, int /*overload*/) {
  value = LogLevel{word_as<Severity>(kLogLevels, text.front())};
}

/// Hands each item of a list to `add`, which says whether it is valid.
template <typename Add>
void add_each(std::string_view list, Add add) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    // The empty item behind a last comma would not be seen by this loop.
    const bool ends_in_comma = comma == list.size() - 1;
    if (ends_in_comma || !add(list.substr(0, comma))) refuse_value();
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
}

void validate(boost::any& value, const std::vector<std::string>& text, PortMap* /*type*/, int /*overload*/) {
  PortMap map;
  const auto port = [](std::string_view one) { return read_port(one, 1); };
  add_each(text.front(), [&](std::string_view item) { return add_pair(map.ports, item, port, port); });
  value = map;
}

void validate(boost::any& value, const std::vector<std::string>& text, SignalMap* /*type*/, int /*overload*/) {
  SignalMap map;
  add_each(text.front(),
           [&](std::string_view item) { return add_pair(map.signals, item, read_forwarded_signal, read_new_signal); });
  value = map;
}

void validate(boost::any& value, const std::vector<std::string>& text, ExitMap* /*type*/, int /*overload*/) {
  ExitMap map;
  add_each(text.front(),
           [&](std::string_view item) { return add_pair(map.codes, item, read_exit_code, read_exit_code); });
  value = map;
}

void validate(boost::any& value, const std::vector<std::string>& text, Seconds* /*type*/, int /*overload*/) {
  const auto time = read_seconds(text.front());
  if (!time) refuse_value();
  value = Seconds{*time};
}

void validate(boost::any& value, const std::vector<std::string>& text, ProcessId* /*type*/, int /*overload*/) {
  const auto number = read_number<std::int32_t>(text.front(), 1, INT32_MAX);
  if (!number) refuse_value();
  value = ProcessId{*number};
}

Options merge_options(const Invocation& outer, const Invocation& inner) {
  const auto winner = [&](std::string_view name) -> const Options& {
    return inner.given.contains(name) ? inner.options : outer.options;
  };
  // A level that nobody gave depends on the mode.
  const bool level_given = inner.given.contains("log-level") || outer.given.contains("log-level");
  return {.mode = winner("mode").mode,
          .floor = winner("floor").floor,
          .map = winner("map").map,
          .keep = winner("keep").keep,
          .expand = winner("expand").expand,
          .code = winner("code").code,
          .log_format = winner("log-format").log_format,
          .log_level = winner(level_given ? "log-level" : "mode").log_level,
          .termination_log = winner("termination-log").termination_log,
          .init = winner("init").init,
          .grace = winner("grace").grace,
          .group = winner("group").group,
          .signal_map = winner("signal-map").signal_map,
          .exit_map = winner("exit-map").exit_map,
          .user = winner("user").user,
          .keep_net_bind = winner("keep-net-bind").keep_net_bind,
          .guard = winner("guard").guard,
          .check = winner("check").check,
          .install = winner("install").install,
          .pid = winner("pid").pid,
          .assume = winner("assume").assume,
          .help = winner("help").help,
          .version = winner("version").version};
}

}  // namespace

// Found by argument-dependent lookup, which does not look into the unnamed namespace for these types.

static void validate(boost::any& value, const std::vector<std::string>& text, Mode* /*type*/, int /*overload*/) {
  if (const auto index = index_of(kModes, text.front())) {
    value = static_cast<Mode>(*index);
    return;
  }
  boost::any boolean;
  po::validate(boolean, text, static_cast<bool*>(nullptr), 0);
  value = boost::any_cast<bool>(boolean) ? Mode::rewrite : Mode::off;
}

static void validate(boost::any& value, const std::vector<std::string>& text, Check* /*type*/, int /*overload*/) {
  const auto check = word_as<Check>(kChecks, text.front());
  if (check == Check::no) refuse_value();
  value = check;
}

static void validate(boost::any& value, const std::vector<std::string>& text, Code* /*type*/, int /*overload*/) {
  value = word_as<Code>(kCodes, text.front());
}

static void validate(boost::any& value, const std::vector<std::string>& text, Guard* /*type*/, int /*overload*/) {
  value = word_as<Guard>(kGuards, text.front());
}

static void validate(boost::any& value, const std::vector<std::string>& text, Assumption* /*type*/, int /*overload*/) {
  Assumption assumption;
  std::string_view rest = text.front();
  for (;;) {
    const std::size_t comma = rest.find(',');
    if (!add_part(assumption, rest.substr(0, comma))) refuse_value();
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  value = assumption;
}

static void validate(boost::any& value, const std::vector<std::string>& text, Floor* /*type*/, int /*overload*/) {
  if (const auto port = read_port(text.front(), 0)) {
    value = Floor{.kind = FloorKind::number, .number = *port};
  } else {
    value = Floor{.kind = word_as<FloorKind>(kFloors, text.front())};
  }
}

namespace {

/// Holds the values by option and checks them; of several values for one option the first stays.
class Values {
 public:
  Values() = default;
  Values(const Values&) = delete;  // the description points into it
  Values& operator=(const Values&) = delete;
  Values(Values&&) = delete;
  Values& operator=(Values&&) = delete;
  ~Values() = default;

  /// False when `text` is no valid value and none is held for the option. An empty one is valid for the maps alone.
  bool hold(std::string_view name, std::string_view text) {
    if (text.empty() && !name.ends_with("map")) return false;  // Boost takes it for true
    // One by one, so that a mistake in one option does not hide what the others say. Boost's own parser of command
    // lines is not asked: it refuses "--map=" and takes an option's value from wherever it finds one.
    try {
      describe(name);
      po::parsed_options parsed(&description_);
      parsed.options.emplace_back(std::string(name), std::vector{std::string(text)});
      po::store(parsed, values_);
      return true;
    } catch (const po::error&) {
      return false;
    }
  }

  /// What is held, over the defaults.
  Options finish(std::span<const std::string> environment) {
    po::notify(values_);
    options_.log_format =
        format_ == LogFormat::automatic ? app_log_format(environment) : log::Format{std::to_underlying(format_)};
    // What --install did is an info, and nothing else is there to be said.
    const bool tells_info = options_.mode == Mode::explain || !options_.install.empty();
    options_.log_level = level_.value_or(tells_info ? Severity::info : Severity::warning);
    return options_;
  }

 private:
  /// Tells Boost of an option, and where its value goes. Only those that are given: each costs a string stream.
  void describe(std::string_view name) {
    using Semantic = const po::value_semantic;
    struct Binding {
      std::string_view name;
      Semantic* (*bind)(Values&);
    };
    // Boost's bool is 0/false/no/off and 1/true/yes/on in any case, as wanted.
    static constexpr std::array kBindings{
        Binding{"mode", [](Values& self) -> Semantic* { return po::value(&self.options_.mode); }},
        Binding{"floor", [](Values& self) -> Semantic* { return po::value(&self.options_.floor); }},
        Binding{"map",
                [](Values& self) -> Semantic* {
                  return po::value<PortMap>()->notifier([&self](const PortMap& map) { self.options_.map = map.ports; });
                }},
        Binding{"keep", [](Values& self) -> Semantic* { return po::value(&self.options_.keep); }},
        Binding{"expand", [](Values& self) -> Semantic* { return po::value(&self.options_.expand); }},
        Binding{"code", [](Values& self) -> Semantic* { return po::value(&self.options_.code); }},
        Binding{"log-format", [](Values& self) -> Semantic* { return po::value(&self.format_); }},
        Binding{"log-level",
                [](Values& self) -> Semantic* {
                  return po::value<LogLevel>()->notifier([&self](LogLevel level) { self.level_ = level.severity; });
                }},
        Binding{"init", [](Values& self) -> Semantic* { return po::value(&self.options_.init); }},
        Binding{"grace",
                [](Values& self) -> Semantic* {
                  return po::value<Seconds>()->notifier([&self](Seconds grace) { self.options_.grace = grace.time; });
                }},
        Binding{"group", [](Values& self) -> Semantic* { return po::value(&self.options_.group); }},
        Binding{"signal-map",
                [](Values& self) -> Semantic* {
                  return po::value<SignalMap>()->notifier(
                      [&self](const SignalMap& map) { self.options_.signal_map = map.signals; });
                }},
        Binding{"exit-map",
                [](Values& self) -> Semantic* {
                  return po::value<ExitMap>()->notifier(
                      [&self](const ExitMap& map) { self.options_.exit_map = map.codes; });
                }},
        Binding{"user", [](Values& self) -> Semantic* { return po::value(&self.options_.user); }},
        Binding{"keep-net-bind", [](Values& self) -> Semantic* { return po::value(&self.options_.keep_net_bind); }},
        Binding{"guard", [](Values& self) -> Semantic* { return po::value(&self.options_.guard); }},
        Binding{"check", [](Values& self) -> Semantic* { return po::value(&self.options_.check); }},
        Binding{"pid",
                [](Values& self) -> Semantic* {
                  return po::value<ProcessId>()->notifier([&self](ProcessId pid) { self.options_.pid = pid.number; });
                }},
        Binding{"assume",
                [](Values& self) -> Semantic* {
                  return po::value<Assumption>()->notifier(
                      [&self](const Assumption& one) { self.options_.assume = one; });
                }},
        Binding{"termination-log", [](Values& self) -> Semantic* { return po::value(&self.options_.termination_log); }},
        Binding{"install", [](Values& self) -> Semantic* { return po::value(&self.options_.install); }},
        Binding{"help", [](Values& self) -> Semantic* { return po::value(&self.options_.help); }},
        Binding{"version", [](Values& self) -> Semantic* { return po::value(&self.options_.version); }},
    };
    const std::string key(name);
    if (description_.find_nothrow(key, false) != nullptr) return;
    const auto* const binding = std::ranges::find(kBindings, name, &Binding::name);
    if (binding != kBindings.end()) description_.add_options()(key.c_str(), binding->bind(*this));
  }

  /// The format of the app's own console logger, as far as its variable says: "simple" and everything else is text.
  /// .NET's configuration takes the name in any case (EnvironmentVariablesConfigurationProvider.cs).
  static log::Format app_log_format(std::span<const std::string> environment) {
    constexpr std::string_view kName = "Logging__Console__FormatterName";
    for (const std::string_view entry : environment) {
      if (entry.size() <= kName.size() || entry[kName.size()] != '=') continue;
      if (!ascii::equal_in_any_case(entry.substr(0, kName.size()), kName)) continue;
      const auto index = index_of(Words(kLogFormats).first(3), entry.substr(kName.size() + 1));
      return static_cast<log::Format>(index.value_or(0));
    }
    return log::Format::text;
  }

  Options options_;
  LogFormat format_ = LogFormat::automatic;
  std::optional<Severity> level_;
  po::options_description description_;
  po::variables_map values_;
};

/// "; did you mean WORD?", or nothing when none of the words is near.
std::string suggestion(std::string_view text, Words words, std::string_view prefix = "") {
  const std::string_view word = finding::nearest(text, words);
  return word.empty() ? "" : fmt::format("; did you mean {}{}?", prefix, word);
}

/// "; did you mean TERM?" for the side of a pair that is no signal.
std::string suggest_signal(std::string_view pair) {
  const std::size_t colon = std::min(pair.find(':'), pair.size());
  const std::string_view from = pair.substr(0, colon);
  std::string_view wrong = signal_name::number_of(from) ? pair.substr(std::min(colon + 1, pair.size())) : from;
  if (signal_name::number_of(wrong)) return "";
  constexpr std::string_view kPrefix = "SIG";
  if (ascii::equal_in_any_case(wrong.substr(0, kPrefix.size()), kPrefix)) wrong.remove_prefix(kPrefix.size());
  return suggestion(wrong, signal_name::all());
}

/// "; wrong is TREM:INT; did you mean TERM?": the first pair of a list of signals or exit codes that is none.
std::string describe_wrong_pair(std::string_view setting, std::string_view list) {
  const bool of_signals = setting == "signal-map";
  if (!of_signals && setting != "exit-map") return "";
  std::map<int, int> pairs;
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    const bool valid = of_signals ? add_pair(pairs, item, read_forwarded_signal, read_new_signal)
                                  : add_pair(pairs, item, read_exit_code, read_exit_code);
    if (!valid) return fmt::format("; wrong is {}{}", quote(item), of_signals ? suggest_signal(item) : "");
    list.remove_prefix(std::min(item.size() + 1, list.size()));
  }
  return "";
}

/// Where the value comes from ("PORTSHIM", "--mode"), the value, and what it should have been.
std::string describe_invalid(std::string_view origin, std::string_view text, const Setting& setting) {
  return fmt::format("{}={} is not valid (valid: {}){}{}", origin, quote(text), setting.valid,
                     suggestion(text, setting.near), describe_wrong_pair(setting.name, text));
}

Finding refusal(Id id, std::string what, std::string next) {
  return {.id = id,
          .severity = Severity::error,
          .what = std::move(what),
          .why = "",
          .did = "nothing was started",
          .next = std::move(next)};
}

/// Reads the options of a command line, up to COMMAND.
class CommandLine {
 public:
  CommandLine(std::span<const std::string> argv, Values& values, Invocation& result)
      : argv_(argv), values_(values), result_(result) {}

  /// The index of COMMAND.
  std::size_t read() {
    while (next_ < argv_.size() && is_option(argv_[next_])) {
      const std::string_view word = argv_[next_++];
      if (word == "--") break;
      read_option(word);
    }
    return next_;
  }

 private:
  /// "-" alone is a word like any other.
  static bool is_option(std::string_view word) { return word.size() > 1 && word.front() == '-'; }

  void read_option(std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string_view name = word.starts_with("--") ? word.substr(2, equals - 2) : "";
    std::optional<std::string_view> text;
    if (equals != std::string_view::npos) text = word.substr(equals + 1);

    const auto* const setting = std::ranges::find(kSettings, name, &Setting::name);
    if (setting != kSettings.end()) {
      read_setting(*setting, text);
    } else {
      refuse_unknown(word);
    }
  }

  void read_setting(const Setting& setting, std::optional<std::string_view> text) {
    const std::string option = fmt::format("--{}", setting.name);
    // The value is taken even if the option turns out wrong, or it would be mistaken for COMMAND.
    const bool surplus = text && setting.valid.empty();
    if (!text) text = setting.alone.empty() ? next_word() : setting.alone;
    if (!result_.given.emplace(setting.name).second) {
      refuse(option + " is given twice", "give it once");
    } else if (surplus) {
      refuse(option + " takes no value", "leave the value out");
    } else if (!text) {
      refuse(fmt::format("{} needs a value (valid: {})", option, setting.valid), fmt::format("write {}=VALUE", option));
    } else if (!values_.hold(setting.name, *text)) {
      refuse(describe_invalid(option, *text, setting), "correct the value");
    }
  }

  /// Only the name of the option is shown: its value may be a secret that was meant for COMMAND.
  void refuse_unknown(std::string_view word) {
    const std::size_t begin = std::min(word.find_first_not_of("-="), word.size());
    const std::string_view shown = word.substr(0, word.find('=', begin));
    // Compared without dashes, so that "-mode" is near to "--mode".
    std::array<std::string_view, kSettings.size()> names;
    std::ranges::transform(kSettings, names.begin(), &Setting::name);
    const std::string hint = suggestion(shown.substr(begin), names, "--");
    refuse(
        fmt::format("unknown option {}{}", quote(shown), hint.empty() ? "; portshim --help lists the options" : hint),
        "options of COMMAND itself go behind COMMAND");
  }

  /// Takes the next word, whatever it begins with.
  std::optional<std::string_view> next_word() {
    if (next_ == argv_.size()) return std::nullopt;
    return argv_[next_++];
  }

  /// The first mistake is the one that is reported.
  void refuse(std::string what, std::string next, Id id = Id::wrong_command_line) {
    if (result_.refusal) return;
    result_.refusal = refusal(id, std::move(what), std::move(next));
    result_.refusal_code = kWrongCommandLine;
  }

  std::span<const std::string> argv_;
  std::size_t next_ = 1;
  Values& values_;
  Invocation& result_;
};

/// Reads the variables, after the command line: what is held already wins, and is not even compared.
void read_variables(std::span<const std::string> environment, Values& values, Invocation& result) {
  for (const Setting& setting : kSettings) {
    if (setting.variable.empty()) continue;
    const std::string_view text = environment::value(environment, setting.variable).value_or("");
    if (text.empty() || values.hold(setting.name, text)) continue;
    const std::string_view used = setting.replacement.empty() ? "the default" : setting.replacement;
    const Finding invalid{.id = Id::invalid_setting,
                          .severity = Severity::error,
                          .what = describe_invalid(setting.variable, text, setting),
                          .why = "",
                          .did = fmt::format("{} is used instead", used),
                          .next = fmt::format("correct or remove {}", setting.variable)};
    result.invalid.push_back(invalid);
    if (std::ranges::find(kNotAboutPorts, setting.name) != kNotAboutPorts.end())
      result.invalid_in_off.push_back(invalid);
    values.hold(setting.name, setting.replacement);
  }
}

/// --pid and --assume ask something that only --check answers.
void refuse_without_check(Invocation& result, std::string_view option) {
  result.refusal = refusal(Id::wrong_command_line, fmt::format("--{} goes with --check only", option),
                           fmt::format("portshim --check --{}=VALUE", option));
  result.refusal_code = kWrongCommandLine;
}

void refuse_surplus_command(Invocation& result) {
  result.refusal =
      refusal(Id::wrong_command_line, "--pid names what to examine, and so does COMMAND", "leave one of them out");
  result.refusal_code = kWrongCommandLine;
}

void refuse_missing_command(Invocation& result) {
  result.refusal = refusal(Id::wrong_command_line, "no COMMAND: there is nothing to start",
                           "portshim [OPTIONS] [--] COMMAND [ARG...]; portshim --help explains them");
  result.refusal_code = kWrongCommandLine;
}

/// --install starts nothing, so nothing that is about COMMAND may stand beside it.
void refuse_beside_install(Invocation& result, bool has_command) {
  const bool checks = result.options.check != Check::no;
  if (!has_command && !checks) return;
  result.refusal = refusal(Id::wrong_command_line,
                           fmt::format("--install starts nothing and takes no {}", checks ? "--check" : "COMMAND"),
                           "portshim --install=PATH, and nothing else; start the app with the copy");
  result.refusal_code = kWrongCommandLine;
}

constexpr std::string_view kHelp = R"(usage: portshim [OPTIONS] [--] COMMAND [ARG...]

Looks at the ports that COMMAND, an ASP.NET Core app, is going to bind, and starts it.
Options end at the first word that is not one, or at --. The command line wins over variables; an
empty variable counts as unset. Values are matched in any case. A value follows = or is the next
word; those of --keep, --expand, --init, --group, --keep-net-bind and --check follow = only: alone
they mean on, and --check means text.

OPTION        VARIABLE             VALUES, the default first
--mode        PORTSHIM             off, explain, validate, rewrite (or a boolean: off, rewrite)
                                   what to do about ports, see below
--floor       PORTSHIM_FLOOR       portable, kernel, or a port 0..65535
                                   the lowest port that the app may use, see below
--map         PORTSHIM_MAP         empty, or OLD:NEW pairs as 80:8080,443:8443
                                   where ports move to; the others move up by 8000
--keep        PORTSHIM_KEEP        off, on
                                   keep a low port that the kernel allows, and add the new one
--expand      PORTSHIM_EXPAND      off, on
                                   fill in $NAME, ${NAME}, ${NAME:-default} in URLs and ports
--code        PORTSHIM_CODE        report, off, rewrite
                                   what to do about ports that the app's code sets, see below
--log-format  PORTSHIM_LOG_FORMAT  auto, text, systemd, json
                                   auto follows Logging__Console__FormatterName
--log-level   PORTSHIM_LOG_LEVEL   warning (in explain: info), info, error, debug
                                   the least severity that is written to stderr
--termination-log  PORTSHIM_TERMINATION_LOG  /dev/termination-log, or another path
                                   a file that gets one line when COMMAND is not started
--init        PORTSHIM_INIT        off, on
                                   stay as parent: forward signals, reap, explain the end
--grace       PORTSHIM_GRACE       0 (nobody waits or kills), or seconds as 10 or 0.5
                                   how long what COMMAND leaves behind has before it is killed
--group       PORTSHIM_GROUP       off, on
                                   signals go to the whole process group of COMMAND
--signal-map  PORTSHIM_SIGNAL_MAP  empty, or OLD:NEW pairs as TERM:INT,HUP:0
                                   what is forwarded in place of a signal, 0: nothing
--exit-map    PORTSHIM_EXIT_MAP    empty, or OLD:NEW pairs as 143:0
                                   exit codes that portshim ends with in place of COMMAND's
--user        PORTSHIM_USER        empty, or USER[:GROUP]: names or ids
                                   step down from root to this user, before anything is read
--keep-net-bind  PORTSHIM_KEEP_NET_BIND  off, on
                                   with --user: keep CAP_NET_BIND_SERVICE, and nothing else
--guard       PORTSHIM_GUARD       off, explain, redirect, strict
                                   watch the app's own bind calls, see below
--check                            text, json
                                   print the whole prediction on stdout, start nothing
--install                          the path of a file or a directory to copy this binary to
--pid                              with --check: a running process to examine, in place of COMMAND
--assume                           uid=N, gid=N, caps=none|all|net_bind_service, start=PORT
                                   with --check: predict for these, joined by commas
--help                             print this
--version                          print the version
Booleans are 0, false, no, off and 1, true, yes, on.

Modes:
  off       look at no ports, just start
  explain   say what is wrong, change nothing, start
  validate  like explain, but refuse what is certain to fail and every port below the floor
  rewrite   move ports below the floor, say so, start
Floors:
  portable  at least 1024 unless the app can use CAP_NET_BIND_SERVICE: the same on every host
  kernel    what this host says (net.ipv4.ip_unprivileged_port_start)
  PORT      this one, for everyone

Ports in the app's code (as ListenAnyIP(80), read from App.dll):
  report    say which they are, and which setting would move them
  off       do not read the code
  rewrite   with --mode=rewrite, also set what moves them, where that is safe

Guard (stays as the parent, as --init; for ports that no setting reaches):
  explain   say which bind call was denied, and why
  redirect  let it have another port: that of --map, or 8000 more, or the next one that is free
  strict    as redirect, but never the next one: a port in use stays an error, which is explained

Called by another name, as through a link /usr/bin/dotnet, portshim starts the real program of that
name; all arguments are its own, and options come from variables alone.

Exit codes: COMMAND's own, or
  78   refused (--check: validate would refuse; --install: not copied; --user: not permitted)
  125  wrong command line, no such process, or stdout took nothing
  126  COMMAND was found but cannot be executed
  127  COMMAND was not found

Examples:
  portshim --mode=rewrite dotnet App.dll
  portshim --mode=rewrite --map=80:5000 -- dotnet App.dll --urls http://+:80
  portshim --user=app --keep-net-bind dotnet App.dll
  portshim --check --assume=uid=1654,caps=none,start=1024 dotnet App.dll
  ENTRYPOINT ["/portshim", "--", "dotnet", "App.dll"]     and PORTSHIM=rewrite
)";

}  // namespace

Invocation parse(std::span<const std::string> argv, std::span<const std::string> environment) {
  Invocation result;
  Values values;
  if (!argv.empty()) {
    const std::string_view name = std::string_view(argv[0]).substr(argv[0].rfind('/') + 1);
    result.by_other_name = !name.starts_with("portshim");
    result.command = result.by_other_name ? 0 : CommandLine(argv, values, result).read();
  }
  read_variables(environment, values, result);
  result.options = values.finish(environment);

  const bool only_information = result.options.help || result.options.version;
  if (result.refusal || only_information) return result;
  const bool checks = result.options.check != Check::no;
  const bool has_command = result.command < argv.size();
  if (!result.options.install.empty()) {
    refuse_beside_install(result, has_command);
  } else if (result.options.pid && !checks) {
    refuse_without_check(result, "pid");
  } else if (result.options.assume && !checks) {
    refuse_without_check(result, "assume");
  } else if (result.options.pid && has_command) {
    refuse_surplus_command(result);
  } else if (!result.options.pid && !has_command) {
    refuse_missing_command(result);
  }
  return result;
}

Invocation merge(const Invocation& outer, Invocation inner) {
  inner.options = merge_options(outer, inner);
  inner.given.insert(outer.given.begin(), outer.given.end());
  const auto is_inner_alone = [&](const Finding& finding) {
    return std::ranges::find(outer.invalid, finding) == outer.invalid.end();
  };
  std::erase_if(inner.invalid, is_inner_alone);
  std::erase_if(inner.invalid_in_off, is_inner_alone);
  if (!inner.refusal && !inner.options.install.empty()) refuse_beside_install(inner, false);
  return inner;
}

std::string help() {
  return std::string(kHelp);
}

std::string version() {
  return fmt::format("portshim {}\n", PORTSHIM_VERSION);
}

std::string_view to_string(Mode mode) {
  return kModes.at(std::to_underlying(mode));
}

}  // namespace portshim::options
