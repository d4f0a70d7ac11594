#include "shim/privilege.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <string_view>

namespace portshim::privilege {
namespace {

using address::Bind;
using address::Target;
using address::Verdict;
using system::BindAttempt;
using system::CapabilitySet;

// In the kernel since 4.11 (sysctl of the network namespace); gVisor has no such file.
constexpr const char* kPortStartFile = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
constexpr std::uint16_t kDefaultPortStart = 1024;  // PROT_SOCK, include/net/sock.h

/// The number in the sysctl's file; nothing when there is no such file or no such number.
std::optional<std::uint16_t> read_port_start(const system::System& system) {
  const auto content = system.read_file(kPortStartFile);
  if (!content) return std::nullopt;
  // The kernel writes a number and a newline. Anything else is no sysctl of its, and better not believed.
  std::uint16_t port = 0;
  const char* const end = content->data() + content->size();
  const auto [rest, code] = std::from_chars(content->data(), end, port);
  if (code != std::errc{} || (rest != end && *rest != '\n')) return std::nullopt;
  return port;
}

/// The capabilities of the program's file as exec will see them.
std::optional<system::FileCapabilities> effective_file_capabilities(const system::System& system,
                                                                    const std::string& path) {
  if (path.empty()) return std::nullopt;
  // An attribute that cannot be read counts for nothing: the prediction errs on the side of "denied".
  auto file = system.file_capabilities(path);
  if (!file || !*file) return std::nullopt;
  // Only now: nearly no program has capabilities, and then the mount is of no interest (mnt_may_suid).
  const auto mount = system.mount_flags(path);
  if (mount && mount->nosuid) return std::nullopt;
  return *file;
}

/// True for what a trial bind can say something about.
bool is_tried(const Target& target) {
  return target.port != 0 && (target.bind == Bind::any || target.bind == Bind::localhost || target.bind == Bind::ip);
}

/// The addresses that Kestrel binds for a target, in its order (AnyIPListenOptions.cs, LocalhostListenOptions.cs).
std::vector<BindAttempt> attempts_of(const Target& target) {
  if (target.bind == Bind::any) return {{"::", target.port}, {"0.0.0.0", target.port}};
  if (target.bind == Bind::localhost) return {{"127.0.0.1", target.port}, {"::1", target.port}};
  return {{target.address, target.port}};
}

/// Verdict of one bind(2)'s errno.
Verdict to_verdict(int code) {
  switch (code) {
    case 0:
      return Verdict::allowed;
    case EACCES:
    case EPERM:
      return Verdict::denied;
    case EADDRINUSE:
      return Verdict::taken;
    case EADDRNOTAVAIL:
      return Verdict::unavailable;
    default:
      return Verdict::unknown;
  }
}

/// AnyIPListenOptions.BindAsync: IPv6Any, and on every exception but "address in use" IPv4Any.
Verdict any_verdict(Verdict ipv6, Verdict ipv4) {
  if (ipv6 == Verdict::allowed || ipv6 == Verdict::taken) return ipv6;
  // A wildcard that is no address of this host only says that the host has no such protocol.
  return ipv4 == Verdict::unavailable ? Verdict::unknown : ipv4;
}

/// LocalhostListenOptions.BindAsync: "address in use" on either ends it, any other exception only on both.
Verdict localhost_verdict(Verdict ipv4, Verdict ipv6) {
  for (const Verdict verdict : {Verdict::taken, Verdict::allowed, Verdict::denied}) {
    if (ipv4 == verdict || ipv6 == verdict) return verdict;
  }
  return Verdict::unknown;
}

/// By address and port, so that nothing is asked twice.
using Answers = std::map<std::pair<std::string, std::uint16_t>, Verdict>;

/// The verdict of a target from those of the addresses that it stands for.
Verdict combine(const Target& target, const Answers& answers) {
  std::vector<Verdict> verdicts;
  for (const BindAttempt& attempt : attempts_of(target)) {
    const auto answer = answers.find({attempt.address, attempt.port});
    verdicts.push_back(answer == answers.end() ? Verdict::unknown : answer->second);
  }
  if (target.bind == Bind::any) return any_verdict(verdicts[0], verdicts[1]);
  if (target.bind == Bind::localhost) return localhost_verdict(verdicts[0], verdicts[1]);
  return verdicts[0];
}

/// What a target binds, without its scheme.
std::pair<std::string, std::uint16_t> key(const Target& target) {
  // Names that are no IP addresses, so that "any" and an explicit "::" stay apart: only one of them falls back.
  if (target.bind == Bind::any) return {"*", target.port};
  if (target.bind == Bind::localhost) return {"localhost", target.port};
  return {target.address, target.port};
}

/// True where the app gets by exec the capability, but this process cannot take it on (it comes from the program's
/// file, or for root from the bounding set): then a denial in the trial says nothing about the app.
bool is_out_of_reach(const system::System& system, const Identity& identity) {
  if (!identity.net_bind_service) return false;
  // What is not permitted cannot be taken on by capset(2).
  const auto process = system.capabilities();
  return !process || (process->permitted & system::kNetBindService) == 0;
}

/// Fills in the verdicts by one trial; they stay unknown when the trial itself fails.
void ask(const system::System& system, const Identity& identity, Answers& answers) {
  std::vector<BindAttempt> attempts;
  attempts.reserve(answers.size());
  for (const auto& [what, verdict] : answers) attempts.push_back({what.first, what.second});
  const auto codes = system.try_binds(attempts, identity.net_bind_service);
  if (!codes || codes->size() != attempts.size()) return;

  std::size_t next = 0;
  for (auto& [what, verdict] : answers) verdict = to_verdict((*codes)[next++]);
  const auto is_denied = [](const auto& answer) { return answer.second == Verdict::denied; };
  if (std::ranges::any_of(answers, is_denied) && is_out_of_reach(system, identity)) {
    for (auto& [what, verdict] : answers) verdict = verdict == Verdict::denied ? Verdict::unknown : verdict;
  }
}

/// What a container runtime that starts this process as root leaves to a user: the bounding set stays, and it is
/// root's.
system::ProcessCapabilities as_another_user(system::ProcessCapabilities process, uid_t uid) {
  process.effective = process.permitted = uid == 0 ? process.bounding : 0;
  process.inheritable = process.ambient = 0;
  return process;
}

}  // namespace

CapabilitySet effective_after_exec(const system::ProcessCapabilities& process, uid_t effective_uid,
                                   const std::optional<system::FileCapabilities>& file) {
  CapabilitySet permitted = 0;
  CapabilitySet ambient = process.ambient;
  bool effective = false;
  if (file) {
    permitted = (process.inheritable & file->inheritable) | (process.bounding & file->permitted);
    effective = file->effective;
    ambient = 0;  // a file with capabilities clears it
  }
  if (effective_uid == 0 && !process.no_root) {
    // Root's file counts as if it had every capability, inheritable and permitted, whatever its attribute says.
    permitted = process.inheritable | process.bounding;
    effective = true;
  }
  // No gain: what the process has now is the most it can have. Ambient is not touched by this.
  if (process.no_new_privileges) permitted &= process.permitted;
  // Without the effective bit a program starts with its ambient capabilities alone and would have to raise others
  // itself, which .NET never does.
  permitted |= ambient;
  return effective ? permitted : ambient;
}

Identity predict(const system::System& system, const std::string& path, const options::Assumption& assume) {
  system::Ids ids = system.ids();
  auto process = system.capabilities();
  if (assume.uid && *assume.uid != ids.effective_uid) {
    ids.effective_uid = *assume.uid;
    if (process) process = as_another_user(*process, ids.effective_uid);
  }
  Identity identity{.uid = ids.effective_uid, .gid = assume.gid.value_or(ids.effective_gid)};
  if (assume.capabilities) {
    identity.net_bind_service = *assume.capabilities != options::Capabilities::none;
  } else if (process) {
    const auto file = effective_file_capabilities(system, path);
    const CapabilitySet after = effective_after_exec(*process, ids.effective_uid, file);
    identity.net_bind_service = (after & system::kNetBindService) != 0;
    identity.bounding_only = !identity.net_bind_service && (process->bounding & system::kNetBindService) != 0;
  } else {
    identity.capabilities_known = false;
  }
  const auto start = assume.port_start ? assume.port_start : read_port_start(system);
  identity.port_start = start.value_or(kDefaultPortStart);
  identity.port_start_known = start.has_value();
  return identity;
}

Identity of_running(const system::System& system, const options::Assumption& assume) {
  Identity identity = predict(system, "", assume);
  const auto process = system.capabilities();
  const bool as_it_is = !assume.capabilities && assume.uid.value_or(identity.uid) == system.ids().effective_uid;
  if (!process || !as_it_is) return identity;
  identity.net_bind_service = (process->effective & system::kNetBindService) != 0;
  identity.bounding_only = !identity.net_bind_service && (process->bounding & system::kNetBindService) != 0;
  return identity;
}

Verdict by_rule(const Identity& identity, const Target& target) {
  if (!is_tried(target)) return Verdict::unknown;
  return identity.net_bind_service || target.port >= identity.port_start ? Verdict::allowed : Verdict::denied;
}

std::uint16_t floor(const options::Floor& wanted, const Identity& identity) {
  if (wanted.kind == options::FloorKind::number) return wanted.number;
  // Whether the host honours the capability is for the trial to say.
  if (identity.net_bind_service) return 0;
  if (wanted.kind == options::FloorKind::kernel) return identity.port_start;
  return std::max(kDefaultPortStart, identity.port_start);
}

Trial Trial::run(const system::System& system, const Identity& identity, const std::vector<Target>& targets) {
  Answers answers;
  for (const Target& target : targets) {
    if (!is_tried(target)) continue;
    for (const BindAttempt& attempt : attempts_of(target)) {
      answers.try_emplace({attempt.address, attempt.port}, Verdict::unknown);
    }
  }
  // No target, no fork: off mode and apps on port 0 or a Unix socket cost nothing.
  if (!answers.empty()) ask(system, identity, answers);
  Trial trial;
  // What stayed unknown too: nobody asks for it again.
  for (const Target& target : targets)
    trial.set(target, is_tried(target) ? combine(target, answers) : Verdict::unknown);
  return trial;
}

Verdict Trial::verdict(const Target& target) const {
  const auto found = verdicts_.find(key(target));
  return found == verdicts_.end() || !is_tried(target) ? Verdict::unknown : found->second;
}

bool Trial::has(const Target& target) const {
  return verdicts_.contains(key(target));
}

void Trial::set(const Target& target, Verdict verdict) {
  verdicts_[key(target)] = verdict;
}

void Kernel::ask(const std::vector<address::Target>& targets) {
  if (!targets.empty() && !by_rule_) trials_.push_back(Trial::run(system_, identity_, targets));
}

address::Verdict Kernel::verdict(const address::Target& target) {
  const bool own = std::ranges::any_of(
      own_, [&](const address::Target& one) { return one.port == target.port && address::overlaps(one, target); });
  if (by_rule_) return own ? address::Verdict::allowed : privilege::by_rule(identity_, target);
  auto trial = std::ranges::find_if(trials_, [&](const Trial& one) { return one.has(target); });
  if (trial == trials_.end()) {
    ask({target});
    trial = trials_.end() - 1;
  }
  const address::Verdict answer = trial->verdict(target);
  return own && answer == address::Verdict::taken ? address::Verdict::allowed : answer;
}

}  // namespace portshim::privilege
