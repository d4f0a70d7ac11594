#include "shim/likely.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "shim/config.h"
#include "shim/lever.h"

namespace portshim::likely {
namespace {

using address::Target;
using code::Call;
using code::Kind;
using finding::Finding;
using finding::Id;
using finding::quote;
using finding::Severity;
using situation::name_call;
using situation::Situation;

bool rewrites(const Situation& s) {
  return s.options.mode == options::Mode::rewrite;
}

/// It may take the place of another call's endpoints.
bool sets_endpoints(const Call& call) {
  return call.kind == Kind::address || call.kind == Kind::listen ||
         (call.kind == Kind::setting && config::fold(call.key) != "PREFERHOSTINGURLS");
}

bool is_bound(const std::vector<hosting::Prediction>& predictions, std::size_t call) {
  return std::ranges::any_of(predictions, [&](const hosting::Prediction& prediction) {
    return std::ranges::any_of(prediction.lenient().endpoints, [&](const kestrel::Endpoint& endpoint) {
      return situation::is_of_code(endpoint) && endpoint.source.origin().index == call;
    });
  });
}

/// The low targets that a call binds in some prediction.
std::vector<Target> low_targets(const Situation& s, std::size_t call) {
  std::vector<Target> out;
  if (s.code.calls[call].kind == Kind::socket && s.code.calls[call].known) out.push_back(s.code.calls[call].target);
  for (const auto* predictions : {&s.code.likely, &s.code.hidden}) {
    for (const hosting::Prediction& prediction : *predictions) {
      for (const kestrel::Endpoint& endpoint : prediction.lenient().endpoints) {
        const bool mine = situation::is_of_code(endpoint) && endpoint.source.origin().index == call;
        if (mine && std::ranges::find(out, endpoint.target) == out.end()) out.push_back(endpoint.target);
      }
    }
  }
  std::erase_if(out, [&](const Target& target) { return !policy::is_low(target, s.rules); });
  return out;
}

std::string settings_of(const lever::Lever& lever) {
  std::vector<std::string> quoted(lever.settings.size());
  std::ranges::transform(lever.settings, quoted.begin(), [](const std::string& setting) { return quote(setting); });
  return fmt::format("{}", fmt::join(quoted, lever.is_argument ? " " : " and "));
}

std::string did(const Situation& s) {
  if (s.code.lever_used) return settings_of(*s.code.lever);
  if (!rewrites(s) || s.options.code != options::Code::rewrite)
    return "nothing: only PORTSHIM=rewrite with PORTSHIM_CODE=rewrite changes settings for what code does";
  if (s.rules.keep) return "nothing: PORTSHIM_KEEP is on";
  return "nothing: it is done only where the builder and every endpoint of the code are known, all of them are plain "
         "http without options, and what is configured stays as it is";
}

std::string remedy(const Situation& s, const Call& call, const std::vector<Target>& targets,
                   const std::vector<std::uint16_t>& new_ports) {
  constexpr std::string_view kCode = "take the port out of the code, and set ASPNETCORE_HTTP_PORTS";
  if (call.kind == Kind::socket)
    return "change the code: no setting of ASP.NET Core reaches it" + situation::by_guard(s, targets);
  if (!s.code.lever)
    return fmt::format("no setting is known that moves it alone: {}{}", kCode, situation::by_guard(s, targets));
  const std::string lost = call.has_options ? " (what the call configures beside the port is lost)" : "";
  if (s.code.lever_used)
    return fmt::format("send traffic, probes, HEALTHCHECK and self calls to {}; better, {}", situation::join(new_ports),
                       kCode);
  const bool certain = situation::unless_code(s).empty() && s.code.hidden.empty();
  return fmt::format("{} {}, which {} it{}; better, {}", s.code.lever->is_argument ? "start it with" : "set",
                     settings_of(*s.code.lever), certain ? "moves" : "may move", lost, kCode);
}

/// A new port that another process holds is told, not dodged.
void say_taken(const Situation& s, const Call& call, Target target, std::vector<Finding>& out) {
  const std::uint16_t old_port = target.port;
  target.port = policy::wanted_port(target.port, s.rules);
  if (!s.rules.verdict || s.rules.verdict(target) != address::Verdict::taken) return;
  out.push_back(
      {.id = Id::new_port_taken,
       .severity = Severity::warning,
       .what = fmt::format("port {}, to which {} was moved, is taken by another process", target.port, name_call(call)),
       .why = "a trial bind was answered with EADDRINUSE",
       .did = "",
       .next = fmt::format("name another port: PORTSHIM_MAP={}:PORT", old_port)});
}

void say_low(const Situation& s, std::size_t index, std::vector<Finding>& out) {
  const std::vector<Target> targets = low_targets(s, index);
  if (targets.empty()) return;
  std::vector<std::uint16_t> ports;
  std::vector<std::uint16_t> new_ports;
  for (const Target& target : targets) {
    if (std::ranges::find(ports, target.port) != ports.end()) continue;
    ports.push_back(target.port);
    new_ports.push_back(policy::wanted_port(target.port, s.rules));
  }
  const Call& call = s.code.calls[index];
  out.push_back({.id = Id::code_port,
                 .severity = Severity::warning,
                 .what = fmt::format("{} asks for {} {}, {}", name_call(call), situation::plural(ports),
                                     situation::join(ports), situation::who_cannot(s, targets)),
                 .why = fmt::format("{}; the call was read from the app's code, and may never be reached",
                                    situation::why_low(s, targets)),
                 .did = call.kind == Kind::socket ? "" : did(s),
                 .next = remedy(s, call, targets, new_ports)});
  if (s.code.lever_used && call.kind != Kind::socket) {
    for (const Target& target : targets) say_taken(s, call, target, out);
  }
}

void say_unknown(const Call& call, std::vector<Finding>& out) {
  if (call.known || !sets_endpoints(call)) return;
  out.push_back({.id = Id::code_unknown,
                 .severity = Severity::info,
                 .what = fmt::format("{} sets an endpoint that is not known before the app runs", name_call(call)),
                 .why = "its value is no constant of the code",
                 .did = "",
                 .next = ""});
}

/// Settings of the configuration that are used only if the code does not do what it says.
void say_overridden(const Situation& s, std::vector<Finding>& out) {
  std::set<edit::Place> said;
  for (const hosting::Prediction& prediction : s.predictions) {
    for (const kestrel::Endpoint& endpoint : prediction.lenient().endpoints) {
      const config::Origin& origin = endpoint.source.origin();
      if (endpoint.source.setting == nullptr || !said.insert(edit::place_of(origin)).second) continue;
      const std::vector<const Call*> calls = situation::overriding_calls(s, origin);
      if (calls.empty()) continue;
      out.push_back({.id = Id::code_overrides,
                     .severity = Severity::info,
                     .what = fmt::format("{} is likely to have no effect: {} takes its place",
                                         situation::name_setting(s.input, endpoint.source), name_call(*calls.front())),
                     .why = "the call was read from the app's code, and may never be reached",
                     .did = "",
                     .next = ""});
    }
  }
}

Finding say_not_read(const std::string& problem) {
  return {.id = Id::code_not_read,
          .severity = Severity::info,
          .what = fmt::format("{}: the ports that its code sets are not known", quote(problem)),
          .why = "",
          .did = "",
          .next = ""};
}

}  // namespace

std::vector<hosting::Prediction> predict(hosting::Input input, const std::vector<Call>& calls) {
  if (calls.empty()) return {};
  input.code = calls;
  return hosting::predict(input);
}

std::vector<hosting::Prediction> predict_hidden(const hosting::Input& input, const std::vector<Call>& calls,
                                                const std::vector<hosting::Prediction>& likely) {
  std::vector<hosting::Prediction> out;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (!calls[i].known || !sets_endpoints(calls[i]) || is_bound(likely, i)) continue;
    std::vector<Call> alone = calls;
    for (std::size_t j = 0; j < alone.size(); ++j) {
      // A call that does nothing keeps the numbers of the others.
      if (j != i && sets_endpoints(alone[j])) alone[j] = Call{.kind = Kind::socket};
    }
    std::ranges::move(predict(input, alone), std::back_inserter(out));
  }
  return out;
}

void pull_lever(situation::Code& code, const hosting::Input& input, policy::Plan& plan, const policy::Rules& rules,
                bool rewrites, bool use) {
  hosting::Input before = rewrites ? plan.after : input;
  if (!code.calls.empty()) {
    before.code = code.calls;
    code.lever = lever::find(before, rules);
    // With --keep low ports are wanted; of calls in two branches it is not known which one runs.
    code.lever_used = use && code.lever && !rules.keep && code.hidden.empty() && lever::is_safe(before, *code.lever);
  }
  if (code.lever_used) {
    plan.after = code.lever->after;
    plan.after.code.clear();
    plan.removed.insert(plan.removed.end(), code.lever->removed.begin(), code.lever->removed.end());
    plan.edits = edit::between(input, plan.after);
    plan.predictions = hosting::predict(plan.after);
  }
  code.likely_after = predict(plan.after, code.calls);
}

std::vector<Finding> findings(const Situation& s) {
  std::vector<Finding> out;
  std::ranges::transform(s.code.problems, std::back_inserter(out), say_not_read);
  for (std::size_t i = 0; i < s.code.calls.size(); ++i) {
    say_low(s, i, out);
    say_unknown(s.code.calls[i], out);
  }
  say_overridden(s, out);
  return out;
}

}  // namespace portshim::likely
