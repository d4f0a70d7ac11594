#include "shim/diagnosis.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include "shim/environment.h"
#include "shim/likely.h"
#include "shim/path.h"

namespace portshim::diagnosis {
namespace {

using finding::Finding;
using finding::Id;
using finding::quote;
using finding::Severity;
using hosting::Prediction;
using options::Mode;
using policy::Decision;
using policy::Move;
using policy::Outcome;
using situation::join;
using situation::name_prediction;
using situation::name_setting;
using situation::name_with;
using situation::plural;
using situation::unless_code;

/// What a changed setting is called: a file's is overridden by a variable.
std::string name_changed(const hosting::Input& input, const config::Origin& origin, std::string_view key,
                         std::string_view value) {
  if (origin.kind != config::Origin::Kind::file) return name_with(input, origin, value);
  return fmt::format("{}={}", quote(edit::overriding_variable(key)), quote(value));
}

/// One diagnosis in the making.
class Writer {
 public:
  explicit Writer(const Situation& situation) : s_(situation) {}

  Diagnosis write() {
    say_app();
    if (!s_.app.binds_nothing()) {
      say_expansions();
      say_repairs();
      say_placeholders();
      if (s_.capability_not_usable) say_capability();
      for (const Decision& decision : s_.plan.decisions) say_decision(decision);
      say_denied();
      say_failures();
      say_collision();
      say_ambiguous();
      say_no_effect();
      say_too_large();
      say_iis();
      say_local_alone();
      std::ranges::move(likely::findings(s_), std::back_inserter(out_.findings));
    }
    std::ranges::stable_sort(out_.findings, std::ranges::greater{}, &Finding::severity);
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool rewrites() const { return s_.options.mode == Mode::rewrite; }
  [[nodiscard]] bool validates() const { return s_.options.mode == Mode::validate; }
  [[nodiscard]] const hosting::Input& input() const { return rewrites() ? s_.plan.after : s_.input; }
  [[nodiscard]] const std::vector<Prediction>& predictions() const {
    return rewrites() ? s_.plan.predictions : s_.predictions;
  }

  void add(Id id, Severity severity, std::string what, std::string why, std::string did, std::string next) {
    out_.findings.push_back({.id = id,
                             .severity = severity,
                             .what = std::move(what),
                             .why = std::move(why),
                             .did = std::move(did),
                             .next = std::move(next)});
  }

  /// What is said under "did" where rewrite would have changed something.
  [[nodiscard]] std::string nothing_done() const {
    return validates() ? "the app was not started (exit code 78)" : "nothing: only PORTSHIM=rewrite changes settings";
  }

  // ---- The app -----------------------------------------------------------------------------------------------------

  void say_missing_framework() {
    const framework::Framework& missing = s_.app.missing_framework;
    if (missing.name.empty()) return;
    out_.refuse = true;
    add(Id::no_dotnet, Severity::error,
        fmt::format("the app needs {} {}, which is not installed", quote(missing.name), quote(missing.version)),
        fmt::format("hostfxr found no version in '{}' that fits its runtimeconfig.json and roll-forward settings "
                    "(installed: {}); dotnet's exit code is 150",
                    quote(s_.app.dotnet_root),
                    missing.installed.empty() ? "none" : quote(fmt::format("{}", fmt::join(missing.installed, ", ")))),
        validates() ? nothing_done() : "", remedy_for_framework(missing));
  }

  /// Major takes a higher version where the one asked for is not there (runtime_config.cpp).
  [[nodiscard]] std::string remedy_for_framework(const framework::Framework& missing) const {
    const auto asked = framework::parse_version(missing.version);
    std::string out = "use a base image with that version";
    if (!asked) return out;
    if (missing.name == framework::kAspNetCore || missing.name == framework::kNetCore) {
      out += fmt::format(" (mcr.microsoft.com/dotnet/{}:{}.{})", s_.app.binds_nothing() ? "runtime" : "aspnet",
                         asked->major, asked->minor);
    }
    const bool has_higher = std::ranges::any_of(missing.installed, [&](const std::string& one) {
      const auto version = framework::parse_version(one);
      return version && framework::compare(*version, *asked) > 0;
    });
    return has_higher ? out + ", or let the app roll forward: DOTNET_ROLL_FORWARD=Major" : out;
  }

  /// dotnet is to run a dll that is not there.
  void say_missing_assembly() {
    const runtime::App& app = s_.app;
    const auto& others = app.assemblies_there;
    const bool is_incomplete = std::ranges::find(others, path::last_component(app.assembly)) != others.end();
    std::string why = "the path is relative to the working directory unless it begins with '/'; ";
    why += others.empty()
               ? "there is no other app in that folder"
               : fmt::format("the apps in that folder are: {}", quote(fmt::format("{}", fmt::join(others, ", "))));
    if (is_incomplete) why = "its runtimeconfig.json is there: the folder was not copied whole";
    out_.refuse = true;
    add(Id::app_missing, Severity::error, fmt::format("'{}' is not there: dotnet cannot start it", quote(app.assembly)),
        std::move(why), validates() ? nothing_done() : "",
        is_incomplete ? "copy the whole publish folder into the image (look at COPY and .dockerignore)"
                      : "correct the name in ENTRYPOINT or the working directory (WORKDIR)");
  }

  /// The working directory was deleted, which ends the app whatever else it finds.
  [[nodiscard]] bool ends_without_directory() const {
    return s_.input.files != nullptr && s_.input.current_directory.empty() && !predictions().empty() &&
           std::ranges::all_of(predictions(), [](const Prediction& prediction) {
             return prediction.strict.failure && prediction.strict.failure->fault == kestrel::Fault::content_root;
           });
  }

  void say_app() {
    const runtime::App& app = s_.app;
    say_missing_framework();
    if (ends_without_directory()) return;  // nothing relative to it is there
    if (app.assembly_missing && app.kind == runtime::Kind::apphost) {
      out_.refuse = true;
      add(Id::app_missing, Severity::error,
          fmt::format("'{}' is not there: the app ends with exit code 154", quote(app.assembly)),
          "the app's executable only starts its dll, which has to be in the folder that it was published to",
          validates() ? nothing_done() : "",
          "copy the whole publish folder into the image, not the executable alone; or publish a single file "
          "(PublishSingleFile)");
    } else if (app.assembly_missing) {
      say_missing_assembly();
    } else if (app.runtimeconfig_missing) {
      out_.refuse = true;
      add(Id::runtimeconfig_missing, Severity::error,
          fmt::format("'{}' is missing: dotnet will fail with 'libhostpolicy.so not found'", quote(app.runtimeconfig)),
          fmt::format("'{}' is no published app, or was copied without the files beside it", quote(app.assembly)),
          validates() ? nothing_done() : "", "copy the whole publish folder into the image");
    }
  }

  // ---- Text that is no address -------------------------------------------------------------------------------------

  void say_expansions() {
    if (!rewrites()) return;
    for (const repair::Expansion& expansion : s_.plan.expansions) {
      add(Id::expanded, Severity::info,
          fmt::format("filled in the variables of {}", name_with(s_.input, expansion.origin, expansion.old_value)),
          "PORTSHIM_EXPAND is on", name_changed(s_.input, expansion.origin, expansion.key, expansion.new_value), "");
    }
  }

  void say_repairs() {
    if (!rewrites()) return;
    for (const repair::Repair& repair : s_.plan.repairs) {
      add(Id::repaired, Severity::warning,
          fmt::format("{} would have killed the app with white space or quotes that .NET takes for part of the address",
                      name_with(s_.input, repair.origin, repair.old_value)),
          fmt::format("{}: {}", repair.exception.type, quote(repair.exception.message)),
          repair.removed ? fmt::format("removed {}", quote(repair.origin.name))
                         : name_changed(s_.input, repair.origin, repair.key, repair.new_value),
          "take them out where the value is set");
    }
  }

  void say_placeholders() {
    std::set<std::pair<std::string, std::string>> said;
    for (const Prediction& prediction : s_.predictions) {
      for (const kestrel::Endpoint& endpoint : prediction.lenient().endpoints) {
        const auto text = address::unparsable_port(endpoint.text);
        if (!text || was_filled_in(endpoint.source.origin(), *text) ||
            !said.insert({endpoint.source.origin().name, std::string(*text)}).second)
          continue;
        say_placeholder(endpoint, *text);
      }
    }
  }

  [[nodiscard]] bool was_filled_in(const config::Origin& origin, std::string_view text) const {
    const auto expansion = std::ranges::find(s_.plan.expansions, origin, &repair::Expansion::origin);
    return expansion != s_.plan.expansions.end() && !expansion->new_value.contains(text);
  }

  void say_placeholder(const kestrel::Endpoint& endpoint, std::string_view text) {
    const bool unfilled = address::has_placeholder(text);
    const std::string setting = name_setting(s_.input, endpoint.source);
    if (is_relative_socket(endpoint.text)) {
      const bool refused = validates() && policy::is_low(endpoint.target, s_.rules) &&
                           situation::overriding_calls(s_, endpoint.source.origin()).empty();
      add(Id::placeholder, refused ? Severity::error : Severity::warning,
          fmt::format("{} is no unix socket, since its path does not begin with '/': .NET takes it for port {}",
                      setting, endpoint.target.port),
          fmt::format("'unix' is then the name of a host, and '{}' a port that is no number", quote(text)),
          refused ? nothing_done() : "", std::string(kHowToNameSocket));
      return;
    }
    const std::string what =
        unfilled ? fmt::format("{} has a placeholder that nobody filled in, and .NET takes it for port {}", setting,
                               endpoint.target.port)
                 : fmt::format("{} has a port that is no number, and .NET takes it for port {}", setting,
                               endpoint.target.port);
    add(Id::placeholder, Severity::warning, what,
        fmt::format("{} is no integer: .NET then uses the default port of the scheme without a word", quote_port(text)),
        "", how_to_fill_in(unfilled && text.contains('$')));
  }

  /// The text in the place of a port. What follows a '?' may be a secret, blanks and all.
  static std::string quote_port(std::string_view text) {
    const std::size_t query = text.find('?');
    return quote(fmt::format("'{}{}'", text.substr(0, query), query == std::string_view::npos ? "" : "?***"));
  }

  /// "http://unix:app.sock": only "unix:/" makes a socket of it (BindingAddress.cs).
  static bool is_relative_socket(std::string_view text) {
    const std::size_t host = text.find("://");
    return host != std::string_view::npos && config::fold(text.substr(host + 3, 5)) == "UNIX:";
  }

  static constexpr std::string_view kHowToNameSocket = "a unix socket is written http://unix:/whole/path.sock";

  /// "unix:/run/app.sock", "http://unix:./app.sock", "/run/app.sock": what others write for a unix socket.
  static bool is_meant_as_socket(std::string_view text) {
    if (text.contains("://unix:/")) return false;
    const std::string folded = config::fold(text);
    const std::size_t at = folded.find("UNIX");
    const bool is_word = at != std::string::npos && (at == 0 || folded[at - 1] == '/' || folded[at - 1] == '+');
    const std::string_view rest = is_word ? std::string_view(folded).substr(at + 4) : "";
    const bool has_path = rest.size() > 1 && (rest[0] == ':' || rest[0] == '/') && (rest[1] < '0' || rest[1] > '9');
    return has_path || folded.ends_with(".SOCK");
  }

  [[nodiscard]] std::string how_to_fill_in(bool is_variable) const {
    if (!is_variable) return "write one number there; separate several addresses or ports with ';'";
    if (s_.rules.expand)
      return "set the variable that it names: it is not set, or empty ($NAME, ${NAME} and ${NAME:-default} are known)";
    return "fill it in where the value is set, or set PORTSHIM_EXPAND=on with PORTSHIM=rewrite";
  }

  // ---- Low ports ---------------------------------------------------------------------------------------------------

  void say_capability() {
    add(Id::capability_not_usable, Severity::info,
        "CAP_NET_BIND_SERVICE is effective, and yet the kernel denies low ports to this process",
        "a trial bind was denied; most likely the network namespace belongs to another user namespace (host network "
        "with "
        "userns-remap or rootless)",
        "low ports are treated as if the capability were missing", "");
  }

  void say_decision(const Decision& decision) {
    if (rewrites()) {
      say_moves(decision);
    } else {
      say_low(decision);
    }
  }

  static std::vector<std::uint16_t> targets_of(const Decision& decision) {
    std::vector<std::uint16_t> out;
    for (const Move& move : decision.moves) {
      if (move.to != 0 && std::ranges::find(out, move.to) == out.end()) out.push_back(move.to);
    }
    return out;
  }

  /// The setting to use instead, at its source.
  [[nodiscard]] std::string better(const Decision& decision) const {
    const auto& targets = decision.low.targets;
    const bool plain =
        decision.moves.size() == 1 && decision.low.form != kestrel::Form::single_url &&
        std::ranges::all_of(targets, [](const address::Target& t) { return t.bind == address::Bind::any; });
    const bool same_scheme =
        std::ranges::all_of(targets, [&](const address::Target& t) { return t.https == targets[0].https; });
    const std::string changed = name_low(decision, decision.proposed.empty() ? decision.new_value : decision.proposed);
    const config::Origin::Kind kind = origin_of(decision).kind;
    if (kind == config::Origin::Kind::argument) return "change the argument to " + changed;
    if (kind == config::Origin::Kind::file) return "change the file: " + changed;
    const std::string name = fmt::format("ASPNETCORE_{}_PORTS", targets[0].https ? "HTTPS" : "HTTP");
    const std::string ports = fmt::format("{}={}", name, decision.moves[0].to);
    if (!plain || !same_scheme || !does_the_same(decision, ports))
      return fmt::format("set {} in the image or chart", changed);
    const bool would_hide_it = config::fold(decision.low.origin.name) != name;
    return fmt::format("set {} in the image or chart{}", ports,
                       would_hide_it ? fmt::format(" and remove {}", quote(decision.low.origin.name)) : "");
  }

  /// The variable in place of the setting binds what the plan does. WebHost reads no ports: where it is only one of
  /// several builders, it does not count.
  [[nodiscard]] bool does_the_same(const Decision& decision, const std::string& variable) const {
    if (decision.low.origin.kind != config::Origin::Kind::variable) return false;
    hosting::Input input = s_.plan.after;
    if (input.builders.size() > 1) std::erase(input.builders, hosting::Builder::wh);
    const std::vector<Prediction> planned = hosting::predict(input);
    const std::string name = variable.substr(0, variable.find('=') + 1);
    for (std::string& entry : input.environment) {
      if (entry.starts_with(name) || entry.starts_with(decision.low.origin.name + "=")) entry.clear();
    }
    input.environment.push_back(variable);
    return std::ranges::equal(planned, hosting::predict(input), [](const Prediction& a, const Prediction& b) {
      return a.lenient().failure.has_value() == b.lenient().failure.has_value() &&
             std::ranges::equal(a.lenient().endpoints, b.lenient().endpoints, {}, &kestrel::Endpoint::target,
                                &kestrel::Endpoint::target);
    });
  }

  /// What Dapr's injector gives to the app beside its sidecar.
  [[nodiscard]] bool has_dapr() const {
    return environment::value(s_.input.environment, "DAPR_HTTP_PORT").has_value() ||
           environment::value(s_.input.environment, "DAPR_GRPC_PORT").has_value();
  }

  [[nodiscard]] std::string send_traffic(const Decision& decision) const {
    return fmt::format(
        "send traffic, probes, HEALTHCHECK and self calls to {} (docker run -p HOST:{}, Service targetPort, {}"
        "WEBSITES_PORT)",
        join(targets_of(decision)), targets_of(decision).front(), has_dapr() ? "dapr.io/app-port, " : "");
  }

  /// ", with wh": the builders that bind it, where not all do.
  [[nodiscard]] std::string only_with(const policy::LowSetting& low) const {
    std::vector<std::string_view> builders;
    std::set<hosting::Builder> all;
    for (const Prediction& prediction : s_.predictions) all.insert(prediction.builder);
    for (const std::size_t i : low.predictions) {
      const std::string_view builder = hosting::to_string(s_.predictions[i].builder);
      if (builders.empty() || builders.back() != builder) builders.push_back(builder);
    }
    return builders.size() == all.size() ? "" : fmt::format(" (with {})", fmt::join(builders, ", "));
  }

  [[nodiscard]] std::string what_low(const Decision& decision) const {
    return fmt::format("{} asks for {} {}, {}{}", name_low(decision, decision.low.value), plural(decision.low.ports),
                       join(decision.low.ports), situation::who_cannot(s_, decision.low.targets),
                       only_with(decision.low));
  }

  /// The setting of a decision. A variable that portshim has added for a repair is what it stands for: a file's
  /// setting.
  [[nodiscard]] std::string name_low(const Decision& decision, std::string_view value) const {
    return name_with(s_.input, origin_of(decision), value);
  }

  [[nodiscard]] config::Origin origin_of(const Decision& decision) const {
    const config::Origin& origin = decision.low.origin;
    if (origin.kind != config::Origin::Kind::variable || origin.index < s_.input.environment.size()) return origin;
    const auto stands_for = [&](const auto& change) { return edit::overriding_variable(change.key) == origin.name; };
    const auto expansion = std::ranges::find_if(s_.plan.expansions, stands_for);
    if (expansion != s_.plan.expansions.end()) return expansion->origin;
    const auto repair = std::ranges::find_if(s_.plan.repairs, stands_for);
    return repair != s_.plan.repairs.end() ? repair->origin : origin;
  }

  /// True where the app's code is likely to take the place of a setting: nothing is certain then.
  [[nodiscard]] bool is_overridden(const Decision& decision) const {
    return !situation::overriding_calls(s_, decision.low.origin).empty();
  }

  /// PS107 has said that it is meant for a unix socket.
  [[nodiscard]] bool is_socket_alone(const Decision& decision) const {
    return std::ranges::all_of(kestrel::addresses(decision.low.form, decision.low.value), [&](const std::string& text) {
      const auto target = address::resolve(text, kAnyMajor);
      return !target || !policy::is_low(*target, s_.rules) || is_relative_socket(text);
    });
  }

  /// explain and validate: nothing is changed.
  void say_low(const Decision& decision) {
    if (is_overridden(decision)) return;
    out_.refuse = true;
    if (is_socket_alone(decision)) return;
    std::string next;
    if (is_immovable(decision)) {
      next = fmt::format("{}; PORTSHIM=rewrite cannot move it: {}", remedy_of(decision), why_immovable(decision));
    } else if (!targets_of(decision).empty()) {
      next = fmt::format(
          "{}, and send traffic, probes, HEALTHCHECK and self calls there; or let PORTSHIM=rewrite move it to {}{}",
          better(decision), join(targets_of(decision)), unless_code(s_));
    }
    add(Id::low_port, validates() ? Severity::error : Severity::warning, what_low(decision),
        situation::why_low(s_, decision.low.targets), nothing_done(), std::move(next));
  }

  void say_moves(const Decision& decision) {
    const auto any = [&](Outcome outcome) {
      return std::ranges::find(decision.moves, outcome, &Move::outcome) != decision.moves.end();
    };
    if (any(Outcome::immovable)) {
      say_immovable(decision);
      return;
    }
    if (any(Outcome::moved) || any(Outcome::merged)) say_moved(decision);
    if (any(Outcome::added)) say_added(decision);
    for (const Move& move : decision.moves) say_move(decision, move);
  }

  [[nodiscard]] std::string name_change(const Decision& decision) const {
    const config::Origin origin = origin_of(decision);
    const std::string changed = name_changed(s_.input, origin, decision.low.key, decision.new_value);
    return origin.kind == config::Origin::Kind::file ? changed + ", a new variable that overrides the file" : changed;
  }

  void say_moved(const Decision& decision) {
    const bool expected = is_overridden(decision) || std::ranges::all_of(decision.moves, &Move::mapped);
    add(Id::low_port, expected ? Severity::info : Severity::warning, what_low(decision),
        situation::why_low(s_, decision.low.targets), name_change(decision),
        is_socket_alone(decision)
            ? std::string(kHowToNameSocket)
            : fmt::format("{}; better, {}{}", send_traffic(decision), better(decision), unless_code(s_)));
  }

  void say_added(const Decision& decision) {
    add(Id::low_port_kept, Severity::info,
        fmt::format("{} keeps {} {}, which works here, and gets {} beside it", name_low(decision, decision.low.value),
                    plural(decision.low.ports), join(decision.low.ports), join(targets_of(decision))),
        "PORTSHIM_KEEP is on and a trial bind was allowed", name_change(decision),
        fmt::format("move Services, probes and HEALTHCHECK to {}, then turn PORTSHIM_KEEP off",
                    join(targets_of(decision))));
  }

  /// --map names a port that cannot be used.
  void say_unusable_map(const Move& move) {
    const auto mapped = s_.rules.map.find(move.from);
    if (mapped == s_.rules.map.end() || mapped->second == move.to || move.dodged) return;
    add(Id::merged, Severity::warning,
        fmt::format("PORTSHIM_MAP sends port {} to {}, which is below the floor {}", move.from, mapped->second,
                    s_.rules.floor),
        "a new port below the floor would help nothing", fmt::format("took {} instead", move.to),
        "name a port from the floor up");
  }

  /// What is peculiar to one port.
  void say_move(const Decision& decision, const Move& move) {
    say_unusable_map(move);
    const std::string setting = name_low(decision, decision.low.value);
    const std::string name_another = fmt::format("name another port: PORTSHIM_MAP={}:PORT", move.from);
    if (move.outcome == Outcome::kept) {
      add(Id::not_kept, Severity::warning,
          move.taken
              ? fmt::format("{} keeps port {} alone: port {} is taken by another process", setting, move.from, move.to)
              : fmt::format("{} keeps port {} alone: {} cannot be added beside it", setting, move.from, move.to),
          "PORTSHIM_KEEP is on; one setting of a Kestrel endpoint holds one address, and a port can be bound once", "",
          move.taken ? name_another : "add the new endpoint where the setting is made");
    } else if (move.outcome == Outcome::left_works) {
      add(Id::new_port_taken, Severity::warning,
          fmt::format("{} stays on port {}: port {} is taken by another process", setting, move.from, move.to),
          fmt::format("this host allows port {} ({})", move.from, situation::sysctl(s_.identity)), "", name_another);
    } else if (move.taken) {
      add(Id::new_port_taken, Severity::warning,
          fmt::format("port {}, to which {} was moved, is taken by another process", move.to, setting),
          fmt::format("a trial bind was answered with EADDRINUSE: a sidecar in the same Pod, or another app on the "
                      "host network; {}",
                      situation::kEndsInUse),
          "", name_another);
    } else if (move.outcome == Outcome::merged) {
      add(Id::merged, move.mapped ? Severity::warning : Severity::info,
          fmt::format("{}: port {} was dropped, since the list binds {} already", setting, move.from, move.to), "", "",
          "");
    } else if (move.dodged) {
      add(Id::merged, Severity::info,
          fmt::format("{}: port {} moves to {}, since the app binds the usual one itself", setting, move.from, move.to),
          "", "", fmt::format("name a port of your choice: PORTSHIM_MAP={}:PORT", move.from));
    }
  }

  /// A floor by number may allow what the kernel does not: that is said, and not changed.
  void say_denied() {
    if (s_.options.floor.kind != options::FloorKind::number || !s_.rules.verdict) return;
    policy::Rules kernel = s_.rules;
    kernel.denied_is_low = true;
    kernel.floor = 0;
    for (const policy::LowSetting& low : policy::low_settings(predictions(), kernel)) {
      if (low.ports.front() < s_.rules.floor) continue;
      out_.refuse = true;
      add(Id::low_port, validates() ? Severity::error : Severity::warning,
          fmt::format("{} asks for {} {}, which uid {} cannot bind here", name_with(input(), low.origin, low.value),
                      plural(low.ports), join(low.ports), s_.identity.uid),
          fmt::format("CAP_NET_BIND_SERVICE is not effective for this process; {}", situation::sysctl(s_.identity)),
          validates() ? nothing_done() : fmt::format("nothing: PORTSHIM_FLOOR={} allows it", s_.rules.floor),
          "leave PORTSHIM_FLOOR at its default, or give the process the capability");
    }
  }

  static bool is_immovable(const Decision& decision) {
    return std::ranges::find(decision.moves, Outcome::immovable, &Move::outcome) != decision.moves.end();
  }

  [[nodiscard]] std::string why_immovable(const Decision& decision) const {
    const config::Origin::Kind kind = decision.low.origin.kind;
    if (kind == config::Origin::Kind::argument && !s_.app.is_dotnet())
      return "the arguments of a program that is not .NET are left alone";
    if (kind == config::Origin::Kind::file && edit::overriding_variable(decision.low.key).empty())
      return "no variable can have that name";
    if (decision.unproved.empty()) return "no change was found after which everything else stays as it is";
    std::vector<std::string> builders;
    builders.reserve(decision.unproved.size());
    for (const std::size_t i : decision.unproved) builders.push_back(name_prediction(s_.predictions[i]));
    const auto tail = std::ranges::unique(builders);
    builders.erase(tail.begin(), tail.end());
    return fmt::format(
        "no change is right for every builder that the app may use; with {} it would change something else",
        fmt::join(builders, ", "));
  }

  /// What to do about it by hand.
  [[nodiscard]] std::string remedy_of(const Decision& decision) const {
    return decision.proposed.empty() ? "change the setting where it is made" : better(decision);
  }

  void say_immovable(const Decision& decision) {
    if (is_overridden(decision)) return;
    out_.refuse = true;
    add(Id::immovable, Severity::error, what_low(decision), situation::why_low(s_, decision.low.targets),
        "nothing: " + why_immovable(decision), remedy_of(decision) + situation::by_guard(s_, decision.low.targets));
  }

  // ---- What .NET itself will answer --------------------------------------------------------------------------------

  /// DESIGN's rule: in every plausible builder and version an error, in wab but not in all a warning, else info.
  [[nodiscard]] static Severity severity_over_builders(std::size_t hits, std::size_t all, bool in_wab) {
    if (hits == all) return Severity::error;
    return in_wab ? Severity::warning : Severity::info;
  }

  static bool hangs(const kestrel::Failure& failure) { return failure.exception.type == kestrel::kHang; }

  /// What of a prediction's failures is said: a certain one, or that the app hangs.
  static const kestrel::Failure* failure_to_say(const Prediction& prediction) {
    const auto& strict = prediction.strict.failure;
    if (strict && hangs(*strict)) return &*strict;
    const auto& lenient = prediction.lenient().failure;
    return lenient && lenient->certain ? &*lenient : nullptr;
  }

  /// With the calls of the code, this prediction does not fail for certain.
  [[nodiscard]] bool code_prevents(std::size_t prediction) const {
    const std::vector<Prediction>& likely = rewrites() ? s_.code.likely_after : s_.code.likely;
    if (likely.size() != predictions().size()) return false;
    const auto& failure = likely[prediction].lenient().failure;
    return !failure || !failure->certain;
  }

  void say_failures() {
    struct Seen {
      const kestrel::Failure* failure;
      std::vector<std::string> builders;
      bool in_wab;
    };
    std::vector<Seen> seen;
    std::size_t certain = 0;
    for (std::size_t i = 0; i < predictions().size(); ++i) {
      const Prediction& prediction = predictions()[i];
      const kestrel::Failure* failure = failure_to_say(prediction);
      if (failure == nullptr) continue;
      if (hangs(*failure) || (failure->certain && !code_prevents(i))) ++certain;
      const auto same =
          std::ranges::find_if(seen, [&](const Seen& s) { return s.failure->exception == failure->exception; });
      Seen& entry = same == seen.end() ? seen.emplace_back(Seen{failure, {}, false}) : *same;
      entry.builders.push_back(name_prediction(prediction));
      entry.in_wab |= prediction.builder == hosting::Builder::wab;
    }
    const std::size_t all = predictions().size();
    if (all != 0 && certain == all) out_.refuse = true;
    for (const Seen& entry : seen) {
      const Severity severity =
          (entry.failure->certain || hangs(*entry.failure)) && certain != 0
              ? severity_over_builders(certain == all ? all : entry.builders.size(), all, entry.in_wab)
              : Severity::warning;
      say_failure(*entry.failure, severity,
                  entry.builders.size() == all ? "" : fmt::format("{}", fmt::join(entry.builders, ", ")),
                  entry.failure->certain && certain == 0);
    }
  }

  /// "http://+:80,http://+:81" is one address to .NET, with a path.
  static bool is_wrong_separator(std::string_view text) { return text.find("://") != text.rfind("://"); }

  static bool any_address(const kestrel::Failure& failure, bool (*is)(std::string_view)) {
    if (failure.source.setting == nullptr) return false;
    return std::ranges::any_of(kestrel::addresses(failure.source.form, failure.source.setting->value.value_or("")), is);
  }

  static bool is_of_ports(kestrel::Form form) {
    return form == kestrel::Form::http_ports || form == kestrel::Form::https_ports;
  }

  static std::string how_to_separate(kestrel::Form form) {
    if (form == kestrel::Form::single_url)
      return "give each address an endpoint (Kestrel:Endpoints:NAME:Url) of its own";
    return is_of_ports(form) ? "write port numbers alone, separated by ';'"
                             : "separate addresses with ';', without blanks";
  }

  static Id id_of(kestrel::Fault fault) {
    switch (fault) {
      case kestrel::Fault::settings_file:
        return Id::settings_file;
      case kestrel::Fault::content_root:
        return Id::content_root;
      case kestrel::Fault::certificate:
        return Id::certificate;
      case kestrel::Fault::https:
        return Id::no_certificate;
      case kestrel::Fault::private_key:
        return Id::no_private_key;
      case kestrel::Fault::setting:
        break;
    }
    return Id::will_fail;
  }

  /// What ends the app: a setting, or a file or directory and what names it.
  [[nodiscard]] std::string culprit_of(const kestrel::Failure& failure) const {
    const auto& setting = failure.source.setting;
    if (failure.path == "." && s_.input.current_directory.empty()) return "the working directory, which was deleted,";
    if (!failure.path.empty()) {
      const std::string named_by = setting ? fmt::format(" ({})", quote(setting->origin.name)) : "";
      return fmt::format("'{}'{}", quote(failure.path), named_by);
    }
    // The value of what is no address may be a secret.
    if (setting && failure.source.form == kestrel::Form::none) return quote(setting->origin.name);
    return setting ? name_setting(input(), failure.source) : "the configuration";
  }

  /// ": line 2, byte 11 …" of "… LineNumber: 1 | BytePositionInLine: 10.".
  static std::string position_of(const address::Exception& exception) {
    if (exception.causes.empty()) return {};
    const std::string& text = exception.causes.back();
    const auto number_after = [&](std::string_view name) {
      const std::size_t at = text.rfind(name);
      return at == std::string::npos ? 0UL : std::strtoul(text.c_str() + at + name.size(), nullptr, 10) + 1;
    };
    const auto line = number_after("LineNumber: ");
    if (line == 0) return {};
    return fmt::format(": line {}, byte {} (.NET counts both from 0: LineNumber: {})", line,
                       number_after("BytePositionInLine: "), line - 1);
  }

  [[nodiscard]] std::string let_it_read(std::string_view file) const {
    return fmt::format(
        "{} must be readable by uid {}: chmod or chown it; in Kubernetes set securityContext.fsGroup or "
        "the volume's defaultMode",
        file, s_.identity.uid);
  }

  [[nodiscard]] std::string remedy_for_certificate(const kestrel::Failure& failure) const {
    const std::string& type = failure.exception.type;
    if (s_.input.files != nullptr && s_.input.files->is_directory(failure.path)) {
      return "mount a file: it is a directory, which docker makes where the file to mount is missing on the host";
    }
    if (type.ends_with("CryptographicException")) return "put a certificate there, or take the setting out";
    if (type == "System.InvalidOperationException")
      return "take KeyPath out, even an empty one: PKCS #12 holds the key";
    if (type == "System.ArgumentException") {
      return "put the private key there, as PEM ('-----BEGIN PRIVATE KEY-----'): an encrypted one with Password, any "
             "other without that setting, even an empty one";
    }
    if (type == "System.UnauthorizedAccessException") {
      const bool is_key = config::fold(failure.source.key()).ends_with(":KEYPATH");
      return let_it_read(is_key ? "the key file" : "the certificate's file");
    }
    return "mount the certificate there so that the app's user can read it, or take the setting out";
  }

  [[nodiscard]] std::string remedy_for(const kestrel::Failure& failure) const {
    const std::string& type = failure.exception.type;
    if (hangs(failure)) return "put a regular file in its place";
    const bool denied = type == "System.UnauthorizedAccessException";
    if (failure.fault == kestrel::Fault::settings_file) {
      if (denied) return let_it_read("the file");
      return type == "System.IO.InvalidDataException" ? "correct the file" + position_of(failure.exception)
                                                      : "put a readable file in its place, or none";
    }
    if (failure.fault == kestrel::Fault::content_root) {
      return s_.input.current_directory.empty()
                 ? "start it in a directory that is there: the working directory was deleted"
                 : "correct the path, or WORKDIR where nothing names it";
    }
    if (failure.fault == kestrel::Fault::certificate) return remedy_for_certificate(failure);
    const auto repair = std::ranges::find_if(
        s_.plan.repairs, [&](const repair::Repair& r) { return r.origin == failure.source.origin(); });
    const bool repairable = failure.source.form != kestrel::Form::none && repair != s_.plan.repairs.end();
    if (!rewrites() && repairable) return "take out the white space or quotes around it; PORTSHIM=rewrite does so";
    if (any_address(failure, is_wrong_separator)) return how_to_separate(failure.source.form);
    if (!is_of_ports(failure.source.form) && any_address(failure, is_meant_as_socket))
      return std::string(kHowToNameSocket);
    if (failure.exception.message.starts_with("Invalid url: ")) {
      return "write it with scheme and port, as http://+:8080";
    }
    return remedy_for_message(failure.exception.message);
  }

  /// What the texts of .NET mean for what is to be done.
  static std::string remedy_for_message(std::string_view message) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kRemedies{{
        {"(Parameter 'port')", "write a port from 0 to 65535"},
        {"domain sockets", "name a shorter path: the kernel takes at most 107 bytes for a unix socket"},
        {"is missing the required 'Url' parameter",
         "give the endpoint an address (Kestrel__Endpoints__NAME__Url=http://+:8080), or take its other settings out"},
        {"HTTPS-only", "take that setting out, or write the endpoint's Url with https"},
        {"Dynamic port binding", "write 127.0.0.1 in place of localhost, or name a port"},
        {"Unrecognized scheme", "begin it with http:// or https://"},
        {"A path base", "take out what follows the port; a path is set by UsePathBase() in the app's code"},
        {"Named pipes", "name a port or a unix socket: http://+:8080, http://unix:/run/app/app.sock"},
    }};
    for (const auto& [text, remedy] : kRemedies) {
      if (message.contains(text)) return std::string(remedy);
    }
    return "correct it where it is set";
  }

  void say_failure(const kestrel::Failure& failure, Severity severity, const std::string& builders, bool is_prevented) {
    // The message of an exception with causes says nothing more than what was said.
    std::string why = failure.exception.causes.empty() ? quote(failure.exception.message) : "";
    if (failure.fault == kestrel::Fault::content_root && why.starts_with('/')) {
      why = fmt::format("there is no directory '{}'", why);
    }
    for (const std::string& cause : failure.exception.causes) why += (why.empty() ? "" : " <- ") + quote(cause);
    add(id_of(failure.fault), severity,
        fmt::format(
            "{} {}{}", culprit_of(failure),
            hangs(failure) ? "keeps the app waiting at start for ever, without a word"
            : is_prevented ? "would end the app at start, if its code did not set something else"
                           : "ends the app at start",
            (builders.empty() ? "" : ", with some builders") + (hangs(failure) ? "" : ": " + failure.exception.type)),
        fmt::format("{}{}", why, builders.empty() ? "" : " (with " + builders + ")"),
        severity == Severity::error && validates() ? nothing_done() : "", remedy_for(failure));
  }

  void say_collision() {
    std::size_t hits = 0;
    bool in_wab = false;
    std::optional<kestrel::Collision> first;
    for (const Prediction& prediction : predictions()) {
      auto collision = kestrel::find_collision(prediction.lenient());
      if (!collision) continue;
      ++hits;
      in_wab |= prediction.builder == hosting::Builder::wab;
      if (!first) first = std::move(collision);
    }
    if (!first) return;
    const Severity severity = severity_over_builders(hits, predictions().size(), in_wab);
    if (severity == Severity::error) out_.refuse = true;
    const auto side = [&](const kestrel::Endpoint& endpoint) {
      return fmt::format("{} ({})", quote(endpoint.text), quote(endpoint.source.origin().name));
    };
    add(Id::collision, severity,
        fmt::format("the app binds port {} twice and will fail with 'address already in use'",
                    first->first.target.port),
        fmt::format("{} and {} overlap", side(first->first), side(first->second)),
        severity == Severity::error && validates() ? nothing_done() : "",
        "take one of them out, or give it another port");
  }

  void say_ambiguous() {
    for (const std::string_view prefix : config::kPrefixes) {
      for (const auto& origins : config::Variables(s_.input.environment, prefix).ambiguous()) say_ambiguous(origins);
    }
  }

  void say_ambiguous(const std::vector<config::Origin>& origins) {
    const bool differ = std::ranges::any_of(origins, [&](const config::Origin& origin) {
      return edit::value_at(s_.input, origin) != edit::value_at(s_.input, origins[0]);
    });
    if (!differ) return;
    // Names alone: the value may be a secret, as a certificate's password.
    std::vector<std::string> names(origins.size());
    std::ranges::transform(origins, names.begin(), [](const config::Origin& origin) { return quote(origin.name); });
    add(Id::ambiguous_name, Severity::warning,
        fmt::format("{} are one name to .NET, and which of them it takes changes from run to run",
                    fmt::join(names, " and ")),
        "names of settings are compared in any case, and '__' is ':'", "", "keep one spelling");
  }

  // ---- Who wins ----------------------------------------------------------------------------------------------------

  static bool uses(const Prediction& prediction, const config::Origin& origin) {
    const kestrel::Run& run = prediction.lenient();
    if (run.failure && (run.failure->fault != kestrel::Fault::setting || run.failure->source.origin() == origin))
      return true;  // what would have come after it is not known
    return std::ranges::any_of(run.endpoints, [&](const kestrel::Endpoint& e) { return e.source.origin() == origin; });
  }

  /// The empty setting of the same key that hides it; "" when there is none.
  [[nodiscard]] std::string hidden_by(const kestrel::Source& source,
                                      const std::vector<kestrel::Source>& settings) const {
    for (const kestrel::Source& other : settings) {
      if (other.setting->empty() && config::fold(other.key()) == config::fold(source.key()))
        return name_setting(s_.input, other) + ", which is empty, hides it";
    }
    return {};
  }

  [[nodiscard]] bool asks_for_low_port(const kestrel::Source& source) const {
    return std::ranges::any_of(kestrel::addresses(source.form, *source.setting->value), [&](const std::string& text) {
      const auto target = address::resolve(text, kAnyMajor);
      return target && policy::is_low(*target, s_.rules);
    });
  }

  /// Settings of the environment and of argv that lose to others. The builder that most apps use judges; it is worth a
  /// warning where the winner asks for a low port and the loser would not.
  void say_no_effect() {
    const auto judge = std::ranges::find(s_.predictions, hosting::Builder::wab, &Prediction::builder);
    if (judge == s_.predictions.end()) return;
    const auto& endpoints = judge->lenient().endpoints;
    if (endpoints.empty()) return;
    const bool low = std::ranges::any_of(
        endpoints, [&](const kestrel::Endpoint& endpoint) { return policy::is_low(endpoint.target, s_.rules); });
    const std::vector<kestrel::Source> settings = hosting::address_settings(s_.input);
    for (const kestrel::Source& source : settings) {
      const auto used = [&](const Prediction& prediction) {
        return prediction.builder == hosting::Builder::wab && uses(prediction, source.origin());
      };
      if (source.setting->empty() || std::ranges::any_of(s_.predictions, used)) continue;
      const std::string winner = endpoints.front().source.setting
                                     ? name_setting(s_.input, endpoints.front().source) + " wins"
                                     : name_setting(s_.input, endpoints.front().source) + " is used";
      const std::string hider = hidden_by(source, settings);
      const bool ports = is_of_ports(source.form);  // of a base image
      const bool misleads = low && !ports && !asks_for_low_port(source);
      const bool elsewhere = std::ranges::any_of(
          s_.predictions, [&](const Prediction& prediction) { return uses(prediction, source.origin()); });
      add(Id::no_effect, misleads ? Severity::warning : Severity::info,
          fmt::format("{} has no effect{}: {}", name_setting(s_.input, source),
                      elsewhere ? " with WebApplication.CreateBuilder" : "", hider.empty() ? winner : hider),
          why_it_loses(source, endpoints.front().source), "", misleads ? "change what wins, not what is ignored" : "");
    }
  }

  static std::string why_it_loses(const kestrel::Source& loser, const kestrel::Source& winner) {
    const bool endpoint = winner.form == kestrel::Form::single_url;
    if (endpoint && loser.form != kestrel::Form::single_url)
      return "Kestrel:Endpoints of the configuration override urls and ports";
    if (is_of_ports(loser.form) && winner.form == kestrel::Form::url_list) return "urls override ports";
    if (winner.form == kestrel::Form::none) return "with an empty value a source hides those below it";
    return "for WebApplication.CreateBuilder, from lowest to highest: ASPNETCORE_ variables, DOTNET_ variables, "
           "appsettings files, variables without prefix, arguments";
  }

  void say_too_large() {
    for (const std::string& path : s_.too_large) {
      add(Id::settings_not_read, Severity::warning,
          fmt::format("'{}' is too large and was not read: what it sets is not known", quote(path)),
          "portshim reads files up to 16 MiB", "took it for absent",
          "make it smaller, or set the addresses by the variable URLS, which no settings file beats");
    }
    for (const std::string& path : s_.settings_directories) {
      add(Id::settings_directory, Severity::warning,
          fmt::format("'{}' is a directory: .NET takes the settings file for absent, without a word", quote(path)),
          "docker makes a directory where the file to mount is missing on the host", "",
          "mount the file itself, or take the directory away");
    }
    if (s_.unread_settings) say_unread(*s_.unread_settings);
  }

  void say_unread(const situation::UnreadSettings& unread) {
    const std::string folder = path::folder_of(unread.path);
    add(Id::settings_elsewhere, unread.decides ? Severity::warning : Severity::info,
        fmt::format("'{}'{} is not read, unless the app's code names its folder", quote(unread.path),
                    unread.decides ? ", which has settings of addresses," : ""),
        "an app looks for its settings files in its content root: the working directory, or what contentRoot names", "",
        fmt::format("make '{0}' the working directory (WORKDIR, a Pod's workingDir), or set ASPNETCORE_CONTENTROOT={0}",
                    quote(folder)));
  }

  void say_iis() {
    for (const Prediction& prediction : predictions()) {
      for (const kestrel::Endpoint& endpoint : prediction.lenient().endpoints) {
        if (endpoint.source.form != kestrel::Form::iis_port) continue;
        add(Id::iis_variables, Severity::warning,
            "ASPNETCORE_PORT, ASPNETCORE_APPL_PATH and ASPNETCORE_TOKEN together make the app listen on 127.0.0.1 "
            "alone",
            "they are how IIS talks to an app behind it; nothing outside the container reaches 127.0.0.1", "",
            "unset one of them");
        return;
      }
    }
  }

  /// In every prediction Kestrel's default is bound, since nothing that people set says anything else.
  [[nodiscard]] bool binds_default_alone() const {
    const auto is_default = [](const kestrel::Endpoint& endpoint) {
      return !endpoint.source.setting && endpoint.target.bind == address::Bind::localhost;
    };
    const auto settings = hosting::address_settings(s_.input);
    return !predictions().empty() && s_.code.likely.empty() &&
           std::ranges::all_of(settings, [](const kestrel::Source& one) { return one.setting->empty(); }) &&
           std::ranges::all_of(predictions(), [&](const Prediction& prediction) {
             const auto& endpoints = prediction.lenient().endpoints;
             return !endpoints.empty() && std::ranges::all_of(endpoints, is_default);
           });
  }

  /// The variable of Microsoft's images, which set ports too: here somebody has taken them out.
  void say_local_alone() {
    const std::string in_container =
        config::fold(environment::value(s_.input.environment, "DOTNET_RUNNING_IN_CONTAINER").value_or(""));
    if ((in_container != "TRUE" && in_container != "1") || !s_.app.is_dotnet() || !binds_default_alone()) return;
    add(Id::local_alone, s_.code.complete ? Severity::warning : Severity::info,
        "the app listens on http://localhost:5000, which nobody outside the container reaches",
        "no setting names an address or a port: that is the default of .NET" + unless_code(s_), "",
        "set ASPNETCORE_URLS=http://+:8080 in the image or chart, unless all requests come from a sidecar");
  }

  static constexpr int kAnyMajor = 10;  ///< versions differ in names below ".localhost" alone
  const Situation& s_;
  Diagnosis out_;
};

}  // namespace

Diagnosis diagnose(const Situation& situation) {
  return Writer(situation).write();
}

}  // namespace portshim::diagnosis
