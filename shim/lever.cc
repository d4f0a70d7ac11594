#include "shim/lever.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace portshim::lever {
namespace {

using address::Target;
using hosting::Input;
using hosting::Prediction;

/// What a run should bind: low ports moved, each target once.
std::vector<Target> expected(const kestrel::Run& run, const policy::Rules& rules) {
  std::vector<Target> out;
  for (const kestrel::Endpoint& endpoint : run.endpoints) {
    Target target = endpoint.target;
    if (policy::is_low(target, rules)) target.port = policy::wanted_port(target.port, rules);
    if (std::ranges::find(out, target) == out.end()) out.push_back(std::move(target));
  }
  return out;
}

bool binds_low(const Prediction& prediction, const policy::Rules& rules) {
  return std::ranges::any_of(prediction.lenient().endpoints,
                             [&](const auto& endpoint) { return policy::is_low(endpoint.target, rules); });
}

/// Stands for an endpoint that the code computes.
bool is_unknown(const Input& input, const kestrel::Endpoint& endpoint) {
  const config::Origin& origin = endpoint.source.origin();
  return origin.kind == config::Origin::Kind::code && !input.code[origin.index].known;
}

bool same_targets(std::vector<Target> a, std::vector<Target> b) {
  const auto order = [](const Target& target) {
    return std::tie(target.port, target.bind, target.address, target.https);
  };
  std::ranges::sort(a, {}, order);
  std::ranges::sort(b, {}, order);
  return a == b;
}

bool starts(const Prediction& prediction) {
  return !prediction.lenient().failure && !kestrel::find_collision(prediction.lenient());
}

/// Variables and arguments to try.
struct Candidate {
  std::vector<std::pair<std::string, std::string>> variables;
  std::vector<std::string> arguments;
};

/// The levers that work for some builder and some code (kestrel.md, section 10.1), those with fewer side effects first.
std::vector<Candidate> candidates(const std::vector<std::string>& addresses) {
  std::string urls;
  Candidate endpoints;
  for (const std::string& address : addresses) {
    urls += (urls.empty() ? "" : ";") + address;
    const std::string number = addresses.size() == 1 ? "" : std::to_string(endpoints.variables.size() + 1);
    endpoints.variables.emplace_back("Kestrel__Endpoints__Http" + number + "__Url", address);
  }
  return {endpoints,
          {.variables = {{"ASPNETCORE_URLS", urls}, {"ASPNETCORE_PREFERHOSTINGURLS", "true"}}, .arguments = {}},
          {.variables = {{"URLS", urls}}, .arguments = {}},
          {.variables = {{"URLS", urls}, {"PREFERHOSTINGURLS", "true"}}, .arguments = {}},
          {.variables = {}, .arguments = {"--urls", urls}},
          {.variables = {}, .arguments = {"--urls", urls, "--preferHostingUrls", "true"}}};
}

/// Sets a variable: in place where it is there, and its other spellings are removed (which of them .NET takes changes
/// from run to run).
void set_variable(Lever& lever, const std::string& name, const std::string& value) {
  const std::string key = config::fold(config::key_of_variable(name));
  bool found = false;
  for (std::size_t i = 0; i < lever.after.environment.size(); ++i) {
    std::string& entry = lever.after.environment[i];
    const std::string_view there = std::string_view(entry).substr(0, entry.find('=', 1));
    if (there.size() < entry.size() && there == name) {
      entry.assign(name).append("=").append(value);
      found = true;
    } else if (!there.empty() && config::fold(config::key_of_variable(there)) == key) {
      entry.clear();
      lever.removed.push_back(i);
    }
  }
  if (!found) lever.after.environment.push_back(name + "=" + value);
}

Lever carry_out(const Input& input, const Candidate& candidate) {
  Lever lever{.after = input};
  for (const auto& [name, value] : candidate.variables) {
    set_variable(lever, name, value);
    lever.settings.push_back(std::string(name).append("=").append(value));
  }
  for (std::size_t i = 0; i + 1 < candidate.arguments.size(); i += 2) {
    lever.settings.push_back(std::string(candidate.arguments[i]).append(" ").append(candidate.arguments[i + 1]));
  }
  lever.is_argument = !candidate.arguments.empty();
  std::ranges::copy(candidate.arguments, std::back_inserter(lever.after.argv));
  return lever;
}

/// A call that a setting replaces without loss.
bool is_plain(const code::Call& call) {
  switch (call.kind) {
    case code::Kind::socket:
      return true;  // no setting reaches it
    case code::Kind::configuration:
      return false;
    case code::Kind::kestrel_section:
      return config::fold(call.key) == "KESTREL";  // another one has endpoints of its own
    default:
      return call.known && !call.has_options && !call.target.https;
  }
}

/// Where the calls do not run, the app binds what it would have bound without the lever. What it binds where nothing is
/// configured does not count.
bool keeps_what_is_configured(Input input, const Lever& lever) {
  input.code.clear();
  Input after = lever.after;
  after.code.clear();
  return std::ranges::equal(hosting::predict(input), hosting::predict(after), [](const auto& a, const auto& b) {
    const auto& endpoints = a.lenient().endpoints;
    const bool by_default =
        std::ranges::all_of(endpoints, [](const auto& one) { return one.source.setting == nullptr; });
    return by_default || std::ranges::equal(endpoints, b.lenient().endpoints, {}, &kestrel::Endpoint::target,
                                            &kestrel::Endpoint::target);
  });
}

}  // namespace

std::optional<Lever> find(const Input& input, const policy::Rules& rules) {
  const std::vector<Prediction> before = hosting::predict(input);
  if (before.empty() || std::ranges::none_of(before, [&](const Prediction& one) { return binds_low(one, rules); }))
    return std::nullopt;
  // One set of endpoints has to be right for every builder.
  const std::vector<Target> wanted = expected(before.front().lenient(), rules);
  std::vector<std::string> addresses;
  for (const Target& target : wanted) {
    // The certificate of https stands in the code.
    if (target.https || target.bind == address::Bind::named_pipe) return std::nullopt;
    addresses.push_back(address::to_url(target));
  }
  for (const Prediction& one : before) {
    const kestrel::Run& run = one.lenient();
    if (run.failure || !same_targets(expected(run, rules), wanted)) return std::nullopt;
    if (std::ranges::any_of(run.endpoints, [&](const auto& endpoint) { return is_unknown(input, endpoint); }))
      return std::nullopt;
  }
  for (const Candidate& candidate : candidates(addresses)) {
    Lever lever = carry_out(input, candidate);
    const std::vector<Prediction> after = hosting::predict(lever.after);
    const bool proved = std::ranges::all_of(after, [&](const Prediction& one) {
      std::vector<Target> targets;
      std::ranges::transform(one.lenient().endpoints, std::back_inserter(targets), &kestrel::Endpoint::target);
      return starts(one) && same_targets(std::move(targets), wanted);
    });
    if (proved) return lever;
  }
  return std::nullopt;
}

bool is_safe(const Input& input, const Lever& lever) {
  return input.builders.size() == 1 && !lever.is_argument && std::ranges::all_of(input.code, is_plain) &&
         keeps_what_is_configured(input, lever);
}

}  // namespace portshim::lever
