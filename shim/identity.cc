#include "shim/identity.h"

#include <fmt/format.h>

#include <cerrno>
#include <string_view>

#include "shim/user.h"

namespace portshim::identity {
namespace {

using finding::Finding;
using finding::Id;
using finding::quote;
using finding::Severity;
using system::CapabilitySet;

constexpr int kWrongCommandLine = 125;
constexpr int kRefused = 78;
constexpr CapabilitySet kSetGid = CapabilitySet{1} << 6U;  // linux/capability.h
constexpr CapabilitySet kSetUid = CapabilitySet{1} << 7U;

bool is_given(const options::Invocation& invocation, std::string_view option) {
  return invocation.given.contains(option);
}

/// "PORTSHIM_USER=app"
std::string name_setting(const options::Invocation& invocation) {
  return fmt::format("{}={}", is_given(invocation, "user") ? "--user" : "PORTSHIM_USER",
                     quote(invocation.options.user));
}

Refusal refuse(Id id, int code, std::string what, std::string why, std::string next, uid_t uid) {
  return {.finding = {.id = id,
                      .severity = Severity::error,
                      .what = std::move(what),
                      .why = std::move(why),
                      .did = fmt::format("nothing was started{}", uid == 0 ? ": as root it would be worse" : ""),
                      .next = std::move(next)},
          .code = code};
}

bool is_missing(const system::Error& error) {
  return error.code == ENOENT || error.code == ENOTDIR;
}

/// The text of passwd or group; empty where there is no such file, as in an image FROM scratch.
system::Result<std::string> read(const system::System& system, const std::string& path) {
  auto text = system.read_file(path);
  if (!text && is_missing(text.error())) return "";
  return text;
}

std::expected<user::Identity, Refusal> look_up(const system::System& system, const options::Invocation& invocation) {
  const std::string setting = name_setting(invocation);
  const uid_t uid = system.ids().uid;
  const auto passwd = read(system, "/etc/passwd");
  const auto group = read(system, "/etc/group");
  for (const auto* file : {&passwd, &group}) {
    if (*file) continue;
    return std::unexpected(refuse(
        Id::user_unknown, kRefused, fmt::format("{} cannot be looked up", setting),
        quote(file->error().code == EINVAL ? file->error().doing + ": it is no regular file" : file->error().message()),
        "make the file readable; or start the container as "
        "that user (docker run --user, runAsUser), and unset it",
        uid));
  }
  auto identity = user::resolve(invocation.options.user, *passwd, *group);
  if (identity) return *std::move(identity);
  const user::Problem& problem = identity.error();
  const std::string hint = problem.nearest.empty() ? "" : fmt::format("; did you mean {}?", problem.nearest);
  const std::string_view why = passwd->empty() ? "there are no users in /etc/passwd: only ids are of use here"
                                               : "names are looked up in /etc/passwd and /etc/group, and nowhere else";
  return std::unexpected(refuse(Id::user_unknown, is_given(invocation, "user") ? kWrongCommandLine : kRefused,
                                fmt::format("{}: {}{}", setting, problem.what, hint), std::string(why),
                                "write USER or USER:GROUP: names, or ids as 1654 or 1654:1654, which need no entry",
                                uid));
}

/// ", of which CAP_SETUID is missing"; empty where both are effective.
std::string_view missing_capabilities(const system::System& system) {
  const auto process = system.capabilities();
  const CapabilitySet effective = process ? process->effective : 0;
  if ((effective & (kSetUid | kSetGid)) == 0) return ", which are both missing";
  if ((effective & kSetUid) == 0) return ", of which CAP_SETUID is missing";
  return (effective & kSetGid) == 0 ? ", of which CAP_SETGID is missing" : "";
}

std::string why_refused(const system::System& system, const system::Error& error, uid_t uid) {
  std::string message = quote(error.message());
  if (error.code == EINVAL) {
    return fmt::format("{}; the user namespace of this container has no such id (/proc/self/uid_map, gid_map)",
                       message);
  }
  const bool is_of_ids = error.doing.starts_with("set");
  if (error.code != EPERM || !is_of_ids) return message;
  const std::string_view missing = missing_capabilities(system);
  if (missing.empty()) {
    return fmt::format(
        "{}, although CAP_SETUID and CAP_SETGID are effective: the user namespace forbids it "
        "(/proc/self/setgroups says deny), as in a rootless container that has one id only",
        message);
  }
  return fmt::format("{}; it takes CAP_SETUID and CAP_SETGID{}: {}", message, missing,
                     uid == 0 ? "the container was started with cap-drop ALL, or without these two"
                              : "the container was not started as root");
}

std::string what_else(const system::Error& error, const user::Identity& wanted) {
  const std::string direct = fmt::format(
      "start the container as that user, which takes no capability: docker run --user {0}:{1}, "
      "runAsUser: {0} and runAsGroup: {1}",
      wanted.uid, wanted.gid);
  if (error.code == EINVAL) return direct + ", with a range of ids that includes them";
  return direct + "; or add these two: docker run --cap-add SETUID --cap-add SETGID";
}

Finding not_kept(const options::Invocation& invocation, const system::Result<system::ProcessCapabilities>& process) {
  const bool is_bounding = process && (process->bounding & system::kNetBindService) != 0;
  return {.id = Id::net_bind_not_kept,
          .severity = Severity::warning,
          .what = fmt::format("{}: there is no CAP_NET_BIND_SERVICE to be kept",
                              is_given(invocation, "keep-net-bind") ? "--keep-net-bind" : "PORTSHIM_KEEP_NET_BIND"),
          .why = is_bounding
                     ? "it is in the bounding set, but this process does not have it: it was not started as root"
                     : "it is not in the bounding set: the container was started with cap-drop ALL, or drops it",
          .did = "the floor for low ports applies as to any other user",
          .next = is_bounding ? "start the container as root, and let portshim step down"
                              : "add NET_BIND_SERVICE to its capabilities (docker run --cap-add NET_BIND_SERVICE, "
                                "securityContext.capabilities.add), or use a port from 1024 up"};
}

/// Every entry of the name, since which one counts depends on who reads; one is added where there is none.
void set_home(std::vector<std::string>& environment, const std::string& home) {
  constexpr std::string_view kName = "HOME=";
  bool found = false;
  for (std::string& entry : environment) {
    if (!entry.starts_with(kName)) continue;
    entry = kName;
    entry += home;
    found = true;
  }
  if (!found) environment.push_back(std::string(kName) + home);
}

}  // namespace

std::expected<std::vector<Finding>, Refusal> step_down(system::Control& system, const options::Invocation& invocation,
                                                       std::vector<std::string>& environment) {
  auto wanted = look_up(system, invocation);
  if (!wanted) return std::unexpected(std::move(wanted.error()));
  const bool keeps = invocation.options.keep_net_bind;
  const system::Ids ids = system.ids();
  const auto process = system.capabilities();
  std::vector<Finding> notices;
  if (keeps && process && !system::can_keep_net_bind(*process)) notices.push_back(not_kept(invocation, process));

  // A uid alone, without an entry in passwd, says nothing of the group where it is not root's to choose.
  const bool any_group = ids.uid != 0 && wanted->name.empty() && !invocation.options.user.contains(':');
  const bool in_effect = ids.uid == wanted->uid && (ids.gid == wanted->gid || any_group);
  if (in_effect && ids.uid != 0) return notices;
  system::NewIdentity change{.uid = wanted->uid, .gid = wanted->gid, .groups = wanted->groups, .only_net_bind = keeps};
  const auto groups = system.groups();
  const auto is_no_change = [&] { return in_effect && !keeps && groups && *groups == change.groups; };
  if (is_no_change()) return notices;
  auto changed = system.change_identity(change);
  if (!changed && in_effect && groups && changed.error().code == EPERM) {
    // Root that stays root may keep its groups; they are what is set first, so that nothing has happened yet.
    change.groups = *groups;
    if (is_no_change()) return notices;
    changed = system.change_identity(change);
  }
  if (!changed) {
    const std::string what = fmt::format("{}: uid {} may not become uid {} with gid {}", name_setting(invocation),
                                         ids.uid, wanted->uid, wanted->gid);
    return std::unexpected(refuse(Id::user_not_permitted, kRefused, what, why_refused(system, changed.error(), ids.uid),
                                  what_else(changed.error(), *wanted), ids.uid));
  }
  set_home(environment, wanted->home);
  return notices;
}

Finding nothing_to_keep_across(const options::Invocation& invocation) {
  const bool given = is_given(invocation, "keep-net-bind");
  return {.id = Id::keep_without_user,
          .severity = Severity::warning,
          .what = fmt::format("{} has no effect without {}", given ? "--keep-net-bind" : "PORTSHIM_KEEP_NET_BIND",
                              given ? "--user" : "PORTSHIM_USER"),
          .why = "it says what stays when portshim steps down from root, and nobody is named to step down to",
          .did = "",
          .next = "add --user=USER (PORTSHIM_USER), or leave it out"};
}

}  // namespace portshim::identity
