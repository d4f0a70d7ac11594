#include "shim/situation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "shim/finding.h"

namespace portshim::situation {
namespace {

using address::Target;
using finding::quote;
using hosting::Prediction;

/// Each once, in order.
std::vector<std::uint16_t> ports_of(const std::vector<Target>& targets) {
  std::vector<std::uint16_t> out;
  for (const Target& target : targets) {
    if (std::ranges::find(out, target.port) == out.end()) out.push_back(target.port);
  }
  return out;
}

bool uses(const Prediction& prediction, const config::Origin& origin) {
  return std::ranges::any_of(prediction.lenient().endpoints, [&](const kestrel::Endpoint& endpoint) {
    return edit::place_of(endpoint.source.origin()) == edit::place_of(origin);
  });
}

/// A floor by number, which is not the kernel's.
bool is_below_chosen_floor(const Situation& s, const std::vector<Target>& targets) {
  return s.options.floor.kind == options::FloorKind::number && targets.front().port < s.rules.floor;
}

/// What a runtime adds for a user that is not root ends in the bounding set, but for Podman's, and there alone it is of
/// no use after exec (capabilities(7)).
std::string_view why_not_effective(const privilege::Identity& identity) {
  return identity.bounding_only
             ? "CAP_NET_BIND_SERVICE is in the bounding set alone, and so not effective for this process: Docker and "
               "Kubernetes give what is added to root alone; setcap cap_net_bind_service=ep on the program (dotnet) "
               "would help, unless no_new_privs is set, and so would the sysctl"
             : "CAP_NET_BIND_SERVICE is not effective for this process";
}

bool works_here(const Situation& s, const std::vector<Target>& targets) {
  return std::ranges::all_of(targets, [&](const Target& target) {
    const address::Verdict verdict = s.rules.verdict ? s.rules.verdict(target) : address::Verdict::unknown;
    if (verdict == address::Verdict::unknown || verdict == address::Verdict::unavailable) {
      return s.identity.net_bind_service || target.port >= s.identity.port_start;
    }
    return verdict != address::Verdict::denied;
  });
}

}  // namespace

bool is_of_code(const kestrel::Endpoint& endpoint) {
  return endpoint.source.origin().kind == config::Origin::Kind::code;
}

std::vector<LikelyEndpoint> likely_endpoints(const Code& code, const std::vector<Prediction>& likely,
                                             std::size_t index) {
  std::vector<LikelyEndpoint> out;
  if (index >= likely.size()) return out;
  const auto add = [&](const Prediction& prediction) {
    for (const kestrel::Endpoint& endpoint : prediction.lenient().endpoints) {
      if (!is_of_code(endpoint)) continue;
      const code::Call& call = code.calls[endpoint.source.origin().index];
      if (call.known) out.push_back({.call = &call, .target = endpoint.target});
    }
  };
  add(likely[index]);
  for (std::size_t i = index; i < code.hidden.size(); i += likely.size()) add(code.hidden[i]);
  for (const code::Call& call : code.calls) {
    if (call.kind == code::Kind::socket && call.known) out.push_back({.call = &call, .target = call.target});
  }
  return out;
}

std::string_view scheme_of(const code::Call& call, const Target& target) {
  if (call.kind != code::Kind::socket) return address::scheme_of(target);
  if (call.api == "UdpClient") return "udp";
  return call.api.starts_with("TcpListener") ? "tcp" : "socket";
}

std::vector<const code::Call*> overriding_calls(const Situation& s, const config::Origin& origin) {
  std::vector<const code::Call*> out;
  if (s.code.likely.size() != s.predictions.size()) return out;
  for (std::size_t i = 0; i < s.predictions.size(); ++i) {
    if (!uses(s.predictions[i], origin)) continue;
    if (uses(s.code.likely[i], origin)) return {};
    for (const kestrel::Endpoint& endpoint : s.code.likely[i].lenient().endpoints) {
      if (!is_of_code(endpoint)) continue;
      const code::Call* call = &s.code.calls[endpoint.source.origin().index];
      if (std::ranges::find(out, call) == out.end()) out.push_back(call);
    }
  }
  return out;
}

std::string join(const std::vector<std::uint16_t>& ports) {
  if (ports.size() < 2) return fmt::format("{}", fmt::join(ports, ""));
  return fmt::format("{} and {}", fmt::join(ports.begin(), ports.end() - 1, ", "), ports.back());
}

std::string_view plural(const std::vector<std::uint16_t>& ports) {
  return ports.size() == 1 ? "port" : "ports";
}

std::string name_with(const hosting::Input& input, const config::Origin& origin, std::string_view value) {
  switch (origin.kind) {
    case config::Origin::Kind::variable:
    case config::Origin::Kind::file:
      return fmt::format("{}={}", quote(origin.name), quote(value));
    case config::Origin::Kind::argument:
      return fmt::format("{} '{}{}'", origin.name, quote(input.argv[origin.index].substr(0, origin.value_at)),
                         quote(value));
    case config::Origin::Kind::code:
      return quote(origin.name);
    case config::Origin::Kind::builtin:
      break;
  }
  return "the default address http://localhost:5000";
}

std::string name_setting(const hosting::Input& input, const kestrel::Source& source) {
  return name_with(input, source.origin(), source.setting ? source.setting->value.value_or("") : "");
}

std::string name_prediction(const Prediction& prediction) {
  return fmt::format("{} {}", hosting::to_string(prediction.builder), prediction.major);
}

std::string name_call(const code::Call& call) {
  return fmt::format("{}, {}: {}({})", quote(call.assembly), quote(call.method), quote(call.api),
                     quote(call.arguments));
}

std::string sysctl(const privilege::Identity& identity) {
  return identity.port_start_known ? fmt::format("net.ipv4.ip_unprivileged_port_start={}", identity.port_start)
                                   : "net.ipv4.ip_unprivileged_port_start cannot be read";
}

std::string who_cannot(const Situation& s, const std::vector<Target>& targets) {
  if (is_below_chosen_floor(s, targets)) {
    return fmt::format("below the floor {} that PORTSHIM_FLOOR sets", s.rules.floor);
  }
  return works_here(s, targets)
             ? fmt::format("which uid {} can bind on this host but not on every host", s.identity.uid)
             : fmt::format("which uid {} cannot bind here", s.identity.uid);
}

std::string why_low(const Situation& s, const std::vector<Target>& targets) {
  if (is_below_chosen_floor(s, targets)) {
    return fmt::format("the floor applies to every process, whatever the host allows ({})", sysctl(s.identity));
  }
  if (works_here(s, targets)) {
    const std::vector<std::uint16_t> ports = ports_of(targets);
    return fmt::format(
        "this host allows it ({}), Podman, CRI-O, ECS and containerd 1 do not; PORTSHIM_FLOOR=kernel "
        "keeps {} {}",
        sysctl(s.identity), plural(ports), join(ports));
  }
  if (targets.front().port >= s.identity.port_start && s.identity.port_start_known) {
    return fmt::format("a trial bind was denied although {}: a BPF, SELinux, AppArmor or Landlock rule does it",
                       sysctl(s.identity));
  }
  return fmt::format("{}; {}", why_not_effective(s.identity), sysctl(s.identity));
}

std::string by_guard(const Situation& s, const std::vector<Target>& targets) {
  const bool denied = std::ranges::all_of(
      targets, [&](const Target& target) { return address::has_port(target) && target.port < s.identity.port_start; });
  if (!denied || works_here(s, targets)) return "";
  const bool moves = s.options.guard == options::Guard::redirect || s.options.guard == options::Guard::strict;
  return moves ? fmt::format("; --guard={} moves the bind call itself",
                             s.options.guard == options::Guard::strict ? "strict" : "redirect")
               : "; until then PORTSHIM_GUARD=redirect moves the bind call itself";
}

std::string unless_code(const Situation& s) {
  if (!s.code.complete) return "; all this unless the app sets its ports in code";
  const bool adds =
      std::ranges::any_of(s.code.calls, [](const code::Call& call) { return call.kind == code::Kind::configuration; });
  return adds ? "; all this unless settings that the app's code adds say otherwise" : "";
}

}  // namespace portshim::situation
