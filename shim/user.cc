#include "shim/user.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cstddef>
#include <optional>
#include <span>

#include "shim/finding.h"

namespace portshim::user {
namespace {

using finding::quote;

constexpr std::size_t kPasswdFields = 7;
constexpr std::size_t kGroupFields = 4;

/// Takes off what stands in front of the separator, and the separator; all where there is none.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  const std::size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Decimal digits 0..2147483647: 4294967295 is "no change" to the kernel, and what is above wraps around to root where
/// nobody looks.
std::optional<uid_t> read_id(std::string_view text) {
  uid_t id = 0;
  if (!is_digits(text)) return std::nullopt;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || id > uid_t{INT_MAX}) return std::nullopt;
  return id;
}

/// A line of passwd or group. Views into the text.
struct Entry {
  std::string_view name;
  uid_t id = 0;  ///< uid or gid
  std::string_view gid;
  std::string_view home;
  std::string_view members;
};

/// The entry in a line; nothing where there is none.
template <std::size_t kFields>
std::optional<Entry> read_entry(std::string_view line) {
  line = trim(line);
  if (line.empty() || line.contains('\0') || std::string_view("#+-:").contains(line.front())) return std::nullopt;
  std::array<std::string_view, kFields> fields;
  for (std::string_view& field : fields) field = take(line, ':');
  const auto id = read_id(fields[2]);
  if (!id) return std::nullopt;
  if constexpr (kFields == kGroupFields) {
    return Entry{.name = fields[0], .id = *id, .gid = {}, .home = {}, .members = fields[3]};
  } else {
    if (!read_id(fields[3])) return std::nullopt;
    return Entry{.name = fields[0], .id = *id, .gid = fields[3], .home = fields[5], .members = {}};
  }
}

/// Hands every entry of the text to `look`.
template <std::size_t kFields, typename Look>
void for_each_entry(std::string_view text, Look look) {
  while (!text.empty()) {
    if (const auto entry = read_entry<kFields>(take(text, '\n'))) look(*entry);
  }
}

/// The first entry of that name, else the first with that id.
template <std::size_t kFields>
std::optional<Entry> find(std::string_view text, std::string_view wanted) {
  const auto id = read_id(wanted);
  std::optional<Entry> by_name;
  std::optional<Entry> by_id;
  for_each_entry<kFields>(text, [&](const Entry& entry) {
    if (!by_name && entry.name == wanted) by_name = entry;
    if (!by_id && id == entry.id) by_id = entry;
  });
  return by_name ? by_name : by_id;
}

bool has_member(std::string_view members, std::string_view name) {
  while (!members.empty()) {
    if (trim(take(members, ',')) == name) return true;
  }
  return false;
}

std::vector<gid_t> groups_of(std::string_view name, std::string_view group) {
  std::vector<gid_t> groups;
  for_each_entry<kGroupFields>(group, [&](const Entry& entry) {
    if (has_member(entry.members, name)) groups.push_back(entry.id);
  });
  std::ranges::sort(groups);
  const auto twice = std::ranges::unique(groups);
  groups.erase(twice.begin(), twice.end());
  return groups;
}

/// What names no entry of the text, and is no id either. `kind`: "user" or "group".
template <std::size_t kFields>
std::unexpected<Problem> unknown(std::string_view kind, std::string_view wanted, std::string_view text) {
  // Names are at most 32 bytes (useradd(8)); the comparison takes the product of both lengths.
  constexpr std::size_t kLongestName = 64;
  if (is_digits(wanted)) {
    return std::unexpected(
        Problem{.what = fmt::format("{} is no id: ids are 0 to 2147483647", quote(wanted)), .nearest = ""});
  }
  std::vector<std::string_view> names;
  if (wanted.size() <= kLongestName) {
    for_each_entry<kFields>(text, [&](const Entry& entry) { names.push_back(entry.name); });
  }
  return std::unexpected(Problem{.what = fmt::format("there is no {} '{}'", kind, quote(wanted)),
                                 .nearest = quote(finding::nearest(wanted, names))});
}

}  // namespace

std::expected<Identity, Problem> resolve(std::string_view spec, std::string_view passwd, std::string_view group) {
  std::string_view group_name = spec;
  const std::string_view user_name = take(group_name, ':');
  if (user_name.empty() || group_name.contains(':')) {
    const std::string_view what = user_name.empty() ? "it names no user" : "it has more than two parts";
    return std::unexpected(Problem{.what = std::string(what), .nearest = ""});
  }
  Identity identity;
  if (const auto entry = find<kPasswdFields>(passwd, user_name)) {
    identity.uid = entry->id;
    identity.gid = read_id(entry->gid).value_or(0);
    if (!entry->home.empty()) identity.home = entry->home;
    identity.name = entry->name;
  } else if (const auto uid = read_id(user_name)) {
    identity.uid = *uid;
  } else {
    return unknown<kPasswdFields>("user", user_name, passwd);
  }
  if (group_name.empty()) {
    if (!identity.name.empty()) identity.groups = groups_of(identity.name, group);
    return identity;
  }
  const auto entry = find<kGroupFields>(group, group_name);
  const auto gid = entry ? std::optional(entry->id) : read_id(group_name);
  if (!gid) return unknown<kGroupFields>("group", group_name, group);
  identity.gid = *gid;
  return identity;
}

std::string home_of(uid_t uid, std::string_view passwd) {
  std::optional<Entry> found;
  for_each_entry<kPasswdFields>(passwd, [&](const Entry& entry) {
    if (!found && entry.id == uid) found = entry;
  });
  return std::string(found ? found->home : "");
}

}  // namespace portshim::user
