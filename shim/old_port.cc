#include "shim/old_port.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string>
#include <string_view>

#include "shim/config.h"
#include "shim/environment.h"

namespace portshim::old_port {
namespace {

using finding::Finding;
using finding::quote;
using situation::Situation;

/// What a variable is for, and what to do about it.
struct Role {
  std::string_view reason;
  std::string_view remedy;
};
constexpr Role kTraffic{.reason = "the platform sends traffic there", .remedy = "set it to the new port"};
constexpr Role kRedirection{.reason = "https redirection sends clients there",
                            .remedy = "leave it where clients still come by that port, else set it to the new one"};
constexpr Role kIis{.reason = "IIS integration", .remedy = "remove it in a container"};
constexpr Role kService{.reason = "a Service that seems to be this app's",
                        .remedy = "its port may stay, its targetPort must be the new one"};

struct Variable {
  std::string_view name;
  Role role;
};
constexpr std::array<Variable, 6> kVariables{{{.name = "PORT", .role = kTraffic},
                                              {.name = "WEBSITES_PORT", .role = kTraffic},
                                              {.name = "ASPNETCORE_HTTPS_PORT", .role = kRedirection},
                                              {.name = "DOTNET_HTTPS_PORT", .role = kRedirection},
                                              {.name = "HTTPS_PORT", .role = kRedirection},
                                              {.name = "ASPNETCORE_PORT", .role = kIis}}};

/// True for NAME_SERVICE_PORT of the Service whose name this Pod's name begins with, as a Deployment's often does.
bool is_own_service(std::string_view variable, std::string_view host) {
  constexpr std::string_view kSuffix = "_SERVICE_PORT";
  if (!variable.ends_with(kSuffix)) return false;
  std::string name(variable.substr(0, variable.size() - kSuffix.size()));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return !name.empty() && host.starts_with(name) && (host.size() == name.size() || host[name.size()] == '-');
}

const Role* role_of(std::string_view variable, std::string_view host) {
  const auto* const known = std::ranges::find(kVariables, config::fold(variable), &Variable::name);
  if (known != kVariables.end()) return &known->role;
  return is_own_service(variable, host) ? &kService : nullptr;
}

/// Old port to new port, as text.
std::map<std::string, std::string> moves_of(const policy::Plan& plan) {
  std::map<std::string, std::string> out;
  for (const policy::Decision& decision : plan.decisions) {
    for (const policy::Move& move : decision.moves) {
      using enum policy::Outcome;
      if (move.outcome == moved || move.outcome == merged)
        out.try_emplace(std::to_string(move.from), std::to_string(move.to));
    }
  }
  return out;
}

}  // namespace

std::vector<Finding> check(const Situation& s) {
  const std::map<std::string, std::string> moves = moves_of(s.plan);
  if (moves.empty()) return {};
  const std::string_view host = environment::value(s.input.environment, "HOSTNAME").value_or("");
  std::vector<std::string> names;
  std::vector<std::string> reasons;
  std::vector<std::string> remedies;
  for (const std::string_view entry : s.input.environment) {
    const std::size_t equals = entry.find('=', 1);
    if (equals == std::string_view::npos || !moves.contains(std::string(entry.substr(equals + 1)))) continue;
    const std::string_view name = entry.substr(0, equals);
    const Role* const role = role_of(name, host);
    if (role == nullptr) continue;
    names.push_back(quote(entry));
    reasons.push_back(fmt::format("{}: {}", quote(name), role->reason));
    remedies.push_back(fmt::format("{}: {}", quote(name), role->remedy));
  }
  if (names.empty()) return {};
  std::vector<std::string> moved;
  moved.reserve(moves.size());
  for (const auto& [from, to] : moves) moved.push_back(fmt::format("{} to {}", from, to));
  const bool rewrites = s.options.mode == options::Mode::rewrite;
  return {
      {.id = finding::Id::old_port_named,
       .severity = finding::Severity::info,
       .what = fmt::format("{} {} a port that {} ({})", fmt::join(names, ", "), names.size() == 1 ? "names" : "name",
                           rewrites ? "was moved" : "PORTSHIM=rewrite would move", fmt::join(moved, ", ")),
       .why = fmt::format("{}", fmt::join(reasons, "; ")),
       .did = "",
       .next = fmt::format("{}", fmt::join(remedies, "; "))}};
}

}  // namespace portshim::old_port
