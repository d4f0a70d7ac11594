#include "shim/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "shim/log.h"
#include "shim/utf8.h"

namespace portshim::report {
namespace {

using address::Bind;
using address::Target;
using address::Verdict;
using diagnosis::Situation;
using finding::Id;
using finding::quote;
using hosting::Prediction;
using kestrel::Endpoint;

bool rewrites(const Report& report) {
  return report.situation.options.mode == options::Mode::rewrite;
}

/// The edits that are carried out: those of rewrite.
const std::vector<edit::Edit>& edits_of(const Report& report) {
  static const std::vector<edit::Edit> kNone;
  return rewrites(report) ? report.situation.plan.edits : kNone;
}

const std::vector<Prediction>& after_of(const Report& report) {
  return rewrites(report) ? report.situation.plan.predictions : report.situation.predictions;
}

const std::vector<Prediction>& likely_after_of(const Report& report) {
  return rewrites(report) ? report.situation.code.likely_after : report.situation.code.likely;
}

std::string_view verdict_of(const Report& report) {
  return report.diagnosis.refuse ? "refuse" : "start";
}

std::string_view to_string(Bind bind) {
  switch (bind) {
    case Bind::any:
      return "any";
    case Bind::localhost:
      return "localhost";
    case Bind::ip:
      return "ip";
    default:
      return "unix";
  }
}

std::string_view to_string(edit::Edit::Kind kind) {
  switch (kind) {
    case edit::Edit::Kind::set:
      return "set";
    case edit::Edit::Kind::remove:
      return "remove";
    case edit::Edit::Kind::argument:
      break;
  }
  return "argument";
}

// --- What is known of a bind. ---

/// In the order of kStates.
enum class State : std::uint8_t { ok, low, denied, taken, unavailable, unknown };
constexpr std::array<std::string_view, 6> kStates{"ok", "low", "denied", "taken", "unavailable", "unknown"};

Verdict verdict_of(const Situation& s, const Target& target) {
  return s.rules.verdict ? s.rules.verdict(target) : Verdict::unknown;
}

State state_of(const Situation& s, const Target& target) {
  const bool has_address = target.bind != Bind::unix_socket && target.bind != Bind::named_pipe;
  if (target.port == 0) return has_address ? State::ok : State::unknown;
  if (policy::is_low(target, s.rules)) return State::low;
  switch (verdict_of(s, target)) {
    case Verdict::allowed:
      return State::ok;
    case Verdict::denied:
      return State::denied;
    case Verdict::taken:
      return State::taken;
    case Verdict::unavailable:
      return State::unavailable;
    case Verdict::unknown:
      break;
  }
  return State::unknown;
}

/// Of a call in the app's code, which may open a socket that no TCP bind says anything about.
State state_of(const Situation& s, const code::Call& call, const Target& target) {
  const State state = state_of(s, target);
  return state == State::low || situation::scheme_of(call, target) != "udp" ? state : State::unknown;
}

/// True where no bind was tried, since it would say nothing of the host or identity that is asked about.
bool by_rule(const Situation& s) {
  return s.options.assume.has_value();
}

/// In a few words, for people.
std::string_view describe(const Situation& s, const Target& target, State state) {
  const bool works = verdict_of(s, target) == Verdict::allowed || verdict_of(s, target) == Verdict::taken;
  switch (state) {
    case State::ok:
      return target.port == 0 ? "ok: any free port" : by_rule(s) ? "ok there" : "ok here";
    case State::low:
      if (s.options.floor.kind == options::FloorKind::number && target.port < s.rules.floor)
        return "low: below the floor";
      return works ? "low: works here, not on every host" : by_rule(s) ? "low: denied there" : "low: denied here";
    case State::denied:
      return by_rule(s) ? "denied there" : "denied here";
    case State::taken:
      return "in use already";
    case State::unavailable:
      return "no address of this host";
    case State::unknown:
      break;
  }
  return "not tried";
}

/// Text from outside may be no UTF-8; JSON must be.
std::string utf8(std::string_view text) {
  return utf8::valid(text);
}

/// Writes the object member by member.
class Json {
 public:
  std::string write(const Report& report) {
    const diagnosis::Situation& s = report.situation;
    s_ = &s;
    out_.StartObject();
    member("version", PORTSHIM_VERSION);
    member("mode", options::to_string(s.options.mode));
    member("verdict", verdict_of(report));
    identity(s);
    texts("notes", report.notes);
    if (report.running) running(*report.running);
    app(s.app);
    texts("files", s.settings_files);
    predictions("predictions", s.predictions, s.code.likely);
    edits(edits_of(report));
    predictions("after", after_of(report), likely_after_of(report));
    findings(report.diagnosis.findings);
    out_.EndObject();
    return std::string(buffer_.GetString(), buffer_.GetSize()) + "\n";
  }

 private:
  void key(std::string_view name) { out_.Key(name.data(), static_cast<rapidjson::SizeType>(name.size())); }

  void text(std::string_view value) {
    const std::string valid = utf8(value);
    out_.String(valid.data(), static_cast<rapidjson::SizeType>(valid.size()));
  }

  void member(std::string_view name, std::string_view value) {
    key(name);
    text(value);
  }

  void member_or_null(std::string_view name, const std::optional<std::string>& value) {
    key(name);
    if (value) {
      text(*value);
    } else {
      out_.Null();
    }
  }

  void number(std::string_view name, std::int64_t value) {
    key(name);
    out_.Int64(value);
  }

  void truth(std::string_view name, bool value) {
    key(name);
    out_.Bool(value);
  }

  void identity(const diagnosis::Situation& s) {
    key("identity");
    out_.StartObject();
    number("uid", s.identity.uid);
    number("gid", s.identity.gid);
    truth("netBindService", s.identity.net_bind_service);
    number("unprivilegedPortStart", s.identity.port_start);
    number("floor", s.rules.floor);
    out_.EndObject();
  }

  void app(const runtime::App& app) {
    key("app");
    out_.StartObject();
    member("kind", runtime::to_string(app.kind));
    member_or_null("assembly", app.assembly.empty() ? std::nullopt : std::optional(app.assembly));
    key("aspNetCore");
    if (app.asp_net_core) {
      out_.Bool(*app.asp_net_core);
    } else {
      out_.Null();
    }
    key("major");
    if (app.major) {
      out_.Int(*app.major);
    } else {
      out_.Null();
    }
    member_or_null("version", app.resolved_version.empty() ? std::nullopt : std::optional(app.resolved_version));
    out_.EndObject();
  }

  void texts(std::string_view name, const std::vector<std::string>& values) {
    key(name);
    out_.StartArray();
    for (const std::string& value : values) text(value);
    out_.EndArray();
  }

  void running(const Running& running) {
    number("pid", running.process.pid);
    truth("listeningIsOwn", running.process.listening_is_own);
    key("listening");
    out_.StartArray();
    for (std::size_t i = 0; i < running.process.listening.size(); ++i) {
      const process::Listener& listener = running.process.listening[i];
      out_.StartObject();
      member("address", listener.address);
      number("port", listener.port);
      truth("predicted", running.comparison.predicted[i]);
      out_.EndObject();
    }
    out_.EndArray();
    key("notListening");
    out_.StartArray();
    for (const Target& target : running.comparison.not_listening) {
      out_.StartObject();
      member("scheme", address::scheme_of(target));
      member("bind", to_string(target.bind));
      member_or_null("address", target.address.empty() ? std::nullopt : std::optional(target.address));
      number("port", target.port);
      out_.EndObject();
    }
    out_.EndArray();
  }

  void endpoint(std::string_view scheme, const Target& target, std::string_view origin, State state) {
    const bool unix_socket = target.bind == Bind::unix_socket;
    out_.StartObject();
    member("scheme", scheme);
    member("bind", to_string(target.bind));
    member_or_null("address", target.address.empty() ? std::nullopt : std::optional(target.address));
    key("port");
    if (unix_socket) {
      out_.Null();
    } else {
      out_.Int(target.port);
    }
    member("origin", origin);
    member("verdict", kStates.at(std::to_underlying(state)));
    out_.EndObject();
  }

  /// `likely`: the same, with the calls of the app's code; empty where it has none.
  void predictions(std::string_view name, const std::vector<Prediction>& predictions,
                   const std::vector<Prediction>& likely) {
    key(name);
    out_.StartArray();
    for (std::size_t i = 0; i < predictions.size(); ++i) {
      const Prediction& prediction = predictions[i];
      out_.StartObject();
      member("builder", hosting::to_string(prediction.builder));
      number("major", prediction.major);
      key("endpoints");
      out_.StartArray();
      for (const Endpoint& one : prediction.strict.endpoints) {
        endpoint(address::scheme_of(one.target), one.target, one.source.origin().name, state_of(*s_, one.target));
      }
      out_.EndArray();
      key("likely");
      out_.StartArray();
      for (const auto& [call, target] : situation::likely_endpoints(s_->code, likely, i)) {
        endpoint(situation::scheme_of(*call, target), target, "code: " + call->method, state_of(*s_, *call, target));
      }
      out_.EndArray();
      failure(prediction.strict.failure);
      out_.EndObject();
    }
    out_.EndArray();
  }

  void failure(const std::optional<kestrel::Failure>& failure) {
    key("failure");
    if (!failure) {
      out_.Null();
      return;
    }
    out_.StartObject();
    member("type", failure->exception.type);
    member("message", finding::mask_secrets(failure->exception.message));
    key("causes");
    out_.StartArray();
    for (const std::string& cause : failure->exception.causes) text(finding::mask_secrets(cause));
    out_.EndArray();
    truth("certain", failure->certain);
    out_.EndObject();
  }

  static std::optional<std::string> masked(const std::optional<std::string>& value) {
    return value ? std::optional(finding::mask_secrets(*value)) : std::nullopt;
  }

  void edits(const std::vector<edit::Edit>& edits) {
    key("edits");
    out_.StartArray();
    for (const edit::Edit& edit : edits) {
      out_.StartObject();
      member("kind", to_string(edit.kind));
      member("name", edit.name);
      member_or_null("old", masked(edit.old_value));
      member_or_null("new", masked(edit.new_value));
      out_.EndObject();
    }
    out_.EndArray();
  }

  void findings(const std::vector<finding::Finding>& findings) {
    key("findings");
    out_.StartArray();
    for (const finding::Finding& one : findings) {
      out_.StartObject();
      member("id", finding::to_string(one.id));
      member("severity", finding::to_string(one.severity));
      member("what", one.what);
      member("why", one.why);
      member("did", one.did);
      member("next", one.next);
      out_.EndObject();
    }
    out_.EndArray();
  }

  const Situation* s_ = nullptr;
  rapidjson::StringBuffer buffer_;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> out_{buffer_};
};

// --- The text. ---

/// The width of a text of printable characters, as far as each takes one column.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string pad(std::string_view text, std::size_t width) {
  const std::size_t own = width_of(text);
  return std::string(text) + std::string(width > own ? width - own : 0, ' ');
}

/// Escape sequences of ECMA-48.
enum class Colour : std::uint8_t { none, red, green, yellow };

std::string in_colour(std::string_view text, Colour colour, bool wanted) {
  constexpr std::array<std::string_view, 4> kBegin{"", "\x1b[31m", "\x1b[32m", "\x1b[33m"};
  if (!wanted || colour == Colour::none) return std::string(text);
  return fmt::format("{}{}\x1b[0m", kBegin.at(std::to_underlying(colour)), text);
}

Colour colour_of(State state) {
  if (state == State::ok) return Colour::green;
  if (state == State::unknown) return Colour::none;
  return state == State::taken ? Colour::yellow : Colour::red;
}

/// "floor:     1024"
std::string row(std::string_view label, std::string_view text) {
  constexpr std::size_t kLabel = 11;
  return pad(label, kLabel) + std::string(text) + "\n";
}

/// One endpoint, or what ends the start.
struct Line {
  std::string place;
  std::string state;
  std::string origin;
  Colour colour = Colour::none;
  bool operator==(const Line&) const = default;
};

/// Predictions with the same outcome.
struct Group {
  std::vector<Line> lines;
  std::vector<std::string> builders;
};

/// `lines` has those of each prediction; where there are none, nothing is to be said of it.
std::vector<Group> group(const std::vector<Prediction>& predictions, const std::vector<std::vector<Line>>& lines) {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    auto same = std::ranges::find(groups, lines[i], &Group::lines);
    if (same == groups.end()) same = groups.insert(groups.end(), {.lines = lines[i], .builders = {}});
    same->builders.push_back(situation::name_prediction(predictions[i]));
  }
  return groups;
}

/// The groups in aligned columns; which builders they are of is said where there are several.
std::string table(const std::vector<Group>& groups, std::size_t predictions, bool colour) {
  constexpr std::size_t kWidest = 40;
  std::size_t place = 0;
  std::size_t state = 0;
  for (const Group& one : groups) {
    for (const Line& line : one.lines) {
      if (line.origin.empty()) continue;
      place = std::max(place, std::min(width_of(line.place), kWidest));
      state = std::max(state, width_of(line.state));
    }
  }
  std::string out;
  for (const Group& one : groups) {
    if (predictions > 1 && one.builders.size() == predictions) {
      out += "  whatever builder and version the app uses:\n";
    } else if (predictions > 1) {
      out += fmt::format("  with {}:\n", fmt::join(one.builders, ", "));
    }
    for (const Line& line : one.lines) {
      const std::string indent = predictions > 1 ? "    " : "  ";
      if (line.origin.empty()) {
        out += indent + line.place + "\n";
        continue;
      }
      const std::string gap(state - width_of(line.state), ' ');
      out += fmt::format("{}{}  {}{}  {}\n", indent, pad(line.place, place), in_colour(line.state, line.colour, colour),
                         gap, line.origin);
    }
  }
  return out;
}

/// The endpoint as it is asked for, what is known of its bind, and who asks.
Line line_of(const Situation& s, const Endpoint& endpoint) {
  const State state = state_of(s, endpoint.target);
  return {.place = quote(address::to_string(endpoint.target)),
          .state = std::string(describe(s, endpoint.target, state)),
          .origin = quote(endpoint.source.origin().name),
          .colour = colour_of(state)};
}

/// What ends the start; of .NET's message its first line.
Line line_of(const kestrel::Failure& failure, std::string_view before, std::string_view after) {
  const std::string_view message = failure.exception.message;
  return {.place = fmt::format("{}{}: {}{}", before, failure.exception.type,
                               quote(message.substr(0, message.find('\n'))), after),
          .state = {},
          .origin = {}};
}

/// The endpoints up to a failure, and those behind it where it is not certain.
std::vector<Line> lines_of(const Situation& s, const Prediction& prediction) {
  const kestrel::Run& strict = prediction.strict;
  const kestrel::Run& lenient = prediction.lenient();
  std::vector<Line> lines(lenient.endpoints.size());
  std::ranges::transform(lenient.endpoints, lines.begin(), [&](const Endpoint& one) { return line_of(s, one); });
  const auto then = [&] { return lines.empty() ? "" : "then "; };
  if (lenient.failure && prediction.prevented) lines.push_back(line_of(*lenient.failure, then(), ""));
  if (strict.failure) {
    const bool goes_on = lines.size() > strict.endpoints.size();
    const std::string_view after = strict.failure->certain ? ""
                                   : strict.failure->exception.type == kestrel::kHang
                                       ? (goes_on ? " (after that:)" : "")
                                   : goes_on ? " (if the app's code prevents it, then:)"
                                             : " (unless the app's code prevents it)";
    const auto at = lines.begin() + static_cast<std::ptrdiff_t>(strict.endpoints.size());
    lines.insert(at, line_of(*strict.failure, strict.endpoints.empty() ? "" : "then ", after));
  }
  if (lines.empty()) lines.push_back({.place = "no endpoint", .state = {}, .origin = {}});
  return lines;
}

std::string list(const Situation& s, const std::vector<Prediction>& predictions, bool colour) {
  std::vector<std::vector<Line>> lines;
  lines.reserve(predictions.size());
  for (const Prediction& prediction : predictions) lines.push_back(lines_of(s, prediction));
  return table(group(predictions, lines), predictions.size(), colour);
}

/// What the code is likely to bind.
std::string list_likely(const Situation& s, const std::vector<Prediction>& likely, bool colour) {
  std::vector<std::vector<Line>> lines(likely.size());
  for (std::size_t i = 0; i < likely.size(); ++i) {
    for (const auto& [call, target] : situation::likely_endpoints(s.code, likely, i)) {
      const State state = state_of(s, *call, target);
      lines[i].push_back(
          {.place = fmt::format("{} {}", situation::scheme_of(*call, target), quote(address::place_of(target))),
           .state = std::string(describe(s, target, state)),
           .origin = situation::name_call(*call),
           .colour = colour_of(state)});
    }
  }
  const std::string list = table(group(likely, lines), likely.size(), colour);
  return list.empty() ? "" : "its code is likely to bind, in place of these or beside them:\n" + list;
}

std::string describe_identity(const Situation& s) {
  const auto assumed = [](bool is_assumed) { return is_assumed ? " (assumed)" : ""; };
  const options::Assumption& assume = s.options.assume.value_or(options::Assumption{});
  return fmt::format("uid {}{}, gid {}{}, {} CAP_NET_BIND_SERVICE{}; {}{}", s.identity.uid,
                     assumed(assume.uid.has_value()), s.identity.gid, assumed(assume.gid.has_value()),
                     s.identity.net_bind_service ? "with" : "without", assumed(assume.capabilities.has_value()),
                     situation::sysctl(s.identity), assumed(assume.port_start.has_value()));
}

/// The floor and what it comes from (privilege::floor).
std::string describe_floor(const Situation& s) {
  const std::uint16_t floor = s.rules.floor;
  if (s.options.floor.kind == options::FloorKind::number) return fmt::format("{}, as PORTSHIM_FLOOR says", floor);
  if (s.identity.net_bind_service) return "none: with CAP_NET_BIND_SERVICE every port may be used";
  if (s.options.floor.kind == options::FloorKind::kernel)
    return fmt::format("{}, which is what the host allows (PORTSHIM_FLOOR=kernel)", floor);
  if (!s.identity.port_start_known) return fmt::format("{}: what the host allows is not known", floor);
  return s.identity.port_start >= floor
             ? fmt::format("{}: without the capability the host allows no lower port", floor)
             : fmt::format("{}: this host allows lower ports, others do not (PORTSHIM_FLOOR=kernel follows this one)",
                           floor);
}

std::string describe_app(const runtime::App& app) {
  if (app.kind == runtime::Kind::other) {
    return "no .NET program that portshim recognises; it may start one later, whose arguments and settings files are "
           "not examined";
  }
  std::string out(runtime::to_string(app.kind));
  if (!app.assembly.empty()) out += " " + quote(app.assembly);
  if (app.assembly_missing) out += ", which is not there";
  return out;
}

std::string describe_framework(const runtime::App& app) {
  if (app.binds_nothing()) return "no ASP.NET Core: the app binds nothing";
  const std::string& asked = app.requested_version;
  std::string out = "ASP.NET Core";
  if (!app.resolved_version.empty()) {
    out += " " + quote(app.resolved_version);
    if (!asked.empty() && asked != app.resolved_version) out += fmt::format(" (the app asks for {})", quote(asked));
  } else if (app.major) {
    out += fmt::format(" {}", *app.major);
  } else {
    out += app.asp_net_core ? ", of a version that is not known" : " or not: that is not known";
  }
  if (!app.missing_framework.name.empty()) {
    out += fmt::format("; {} {} is not installed", quote(app.missing_framework.name),
                       quote(app.missing_framework.version));
  }
  return out;
}

/// The call that makes the host.
std::string_view call_of(hosting::Builder builder) {
  switch (builder) {
    case hosting::Builder::wab:
      return "WebApplication.CreateBuilder";
    case hosting::Builder::slim:
      return "WebApplication.CreateSlimBuilder";
    case hosting::Builder::gh:
      return "Host.CreateDefaultBuilder with ConfigureWebHostDefaults";
    case hosting::Builder::wh:
      return "WebHost.CreateDefaultBuilder";
    case hosting::Builder::empty:
      break;
  }
  return "WebApplication.CreateEmptyBuilder";
}

std::string describe_builder(const Situation& s) {
  std::vector<std::string> names(s.input.builders.size());
  std::ranges::transform(s.input.builders, names.begin(), [&](hosting::Builder builder) {
    return s.code.complete ? fmt::format("{} ({})", hosting::to_string(builder), call_of(builder))
                           : std::string(hosting::to_string(builder));
  });
  const std::string all = fmt::format("{}", fmt::join(names, ", "));
  if (s.code.complete) return all + ", read from the app's code";
  const std::string why = !s.code.problems.empty()               ? quote(s.code.problems.front())
                          : s.options.code == options::Code::off ? "the code was not read (PORTSHIM_CODE=off)"
                          : s.code.calls.empty() && s.app.is_dotnet()
                              ? "the app's code makes no host that portshim knows"
                              : "";
  return fmt::format("not known{}: {} are predicted", why.empty() ? "" : " (" + why + ")", all);
}

std::string text_of(const edit::Edit& edit) {
  const std::string name = quote(edit.name);
  const std::string old_value = quote(edit.old_value.value_or(""));
  if (!edit.new_value) return fmt::format("  remove {} (was '{}')\n", name, old_value);
  const std::string new_value = quote(*edit.new_value);
  if (!edit.old_value) return fmt::format("  add {}: '{}'\n", name, new_value);
  return fmt::format("  {} {}: '{}' becomes '{}'\n", to_string(edit.kind), name, old_value, new_value);
}

std::string list_endpoints(const Report& report, bool colour) {
  const Situation& s = report.situation;
  std::string out =
      situation::unless_code(s).empty() ? "endpoints:\n" : "endpoints, unless the app sets its ports in code:\n";
  out += list(s, s.predictions, colour) + list_likely(s, s.code.likely, colour);
  if (edits_of(report).empty()) return out;
  out += "changes:\n";
  for (const edit::Edit& edit : edits_of(report)) out += text_of(edit);
  return out + "endpoints after them:\n" + list(s, after_of(report), colour) +
         list_likely(s, s.code.likely_after, colour);
}

/// "[::]:8080" for every address.
std::string place_of(const process::Listener& listener) {
  const bool ipv6 = listener.address.contains(':');
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", listener.address, ipv6 ? "]" : "", listener.port);
}

std::string list_listening(const Running& running, bool predicts, bool colour) {
  const auto& listening = running.process.listening;
  std::string out =
      running.process.listening_is_own ? "it listens on:\n" : "in its network namespace somebody listens on:\n";
  if (listening.empty()) out += "  no port\n";
  std::size_t width = 0;
  for (const process::Listener& one : listening) width = std::max(width, place_of(one).size());
  for (std::size_t i = 0; i < listening.size(); ++i) {
    const bool predicted = running.comparison.predicted[i];
    const std::string state = !predicts   ? ""
                              : predicted ? in_colour("as predicted", Colour::green, colour)
                                          : in_colour("not predicted", Colour::yellow, colour);
    out += predicts ? fmt::format("  {}  {}\n", pad(place_of(listening[i]), width), state)
                    : fmt::format("  {}\n", place_of(listening[i]));
  }
  for (const Target& target : running.comparison.not_listening) {
    out += fmt::format("  {} on {}, though predicted\n", in_colour("nothing", Colour::yellow, colour),
                       quote(address::to_string(target)));
  }
  return out;
}

/// A reason that the finding before has given already is not repeated.
std::string list_findings(const Report& report, bool colour) {
  std::string out;
  std::string_view before;
  for (const finding::Finding& finding : report.diagnosis.findings) {
    finding::Finding shown = finding;
    if (!before.empty() && finding.why == before) shown.why = "as above";
    out += log::as_text(shown, colour);
    before = finding.why;
  }
  return out;
}

/// True for what ends an app, of which a warning says that it may.
bool ends_app(Id id) {
  constexpr auto kPorts =
      std::to_array<Id>({Id::new_port_taken, Id::collision, Id::immovable, Id::address_in_use, Id::code_port,
                         Id::will_fail, Id::socket_directory, Id::socket_file, Id::address_unavailable});
  constexpr auto kHarmless =
      std::to_array<Id>({Id::settings_not_read, Id::code_not_read, Id::environment_too_large, Id::profiler_missing,
                         Id::diagnostics_lost, Id::child_signal_ignored, Id::stop_signals_blocked, Id::local_alone,
                         Id::settings_directory, Id::settings_elsewhere, Id::hosting_startup_missing});
  const bool is_of_file_or_exec = id >= Id::settings_file && id < Id::not_supervised;
  return is_of_file_or_exec ? std::ranges::find(kHarmless, id) == kHarmless.end()
                            : std::ranges::find(kPorts, id) != kPorts.end();
}

/// "; 2 warnings: it may end at start, see PS110, PS320"
std::string may_end(const Report& report) {
  std::vector<std::string> ids;
  for (const finding::Finding& finding : report.diagnosis.findings) {
    if (finding.severity >= finding::Severity::warning && ends_app(finding.id)) ids.push_back(to_string(finding.id));
  }
  if (ids.empty()) return {};
  const std::string count = fmt::format("; {} {}", ids.size(), ids.size() == 1 ? "warning" : "warnings");
  const auto tail = std::ranges::unique(ids);
  ids.erase(tail.begin(), tail.end());
  return fmt::format("{}: it may end at start, see {}", count, fmt::join(ids, ", "));
}

}  // namespace

std::string as_json(const Report& report) {
  return Json().write(report);
}

std::string as_text(const Report& report, bool colour) {
  const Situation& s = report.situation;
  const bool is_off = s.options.mode == options::Mode::off;
  std::string out =
      row("mode:", std::string(options::to_string(s.options.mode)) +
                       (is_off ? ", in which a start examines nothing: this is what explain would say" : ""));
  if (report.running) out += row("process:", fmt::format("{}, running already", report.running->process.pid));
  out += row("identity:", describe_identity(s));
  out += row("floor:", describe_floor(s));
  out += row("app:", describe_app(s.app));
  if (s.app.is_dotnet()) out += row("framework:", describe_framework(s.app));
  if (!s.predictions.empty()) out += row("builder:", describe_builder(s));
  for (const std::string& path : s.settings_files) out += row("file:", quote(path));
  for (const std::string& note : report.notes) out += row("note:", note);
  if (!s.predictions.empty()) out += list_endpoints(report, colour);
  if (report.running) out += list_listening(*report.running, !s.predictions.empty(), colour);
  out += report.diagnosis.findings.empty()
             ? row("findings:", "none")
             : fmt::format("findings, as {} them:\n", is_off ? "explain would say" : "a start says");
  out += list_findings(report, colour);
  out += row("verdict:", report.diagnosis.refuse
                             ? in_colour("refuse", Colour::red, colour) +
                                   ": PORTSHIM=validate would not start it (exit code 78), the other modes " +
                                   "would, whatever comes of it"
                             : in_colour("start", Colour::green, colour) + may_end(report));
  return out;
}

}  // namespace portshim::report
