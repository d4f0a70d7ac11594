// USER[:GROUP], as Docker and gosu take it: what it means by /etc/passwd and /etc/group. Pure.
#pragma once

#include <sys/types.h>

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace portshim::user {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  ///< supplementary ones, sorted, each once
  std::string home = "/";
  std::string name;  ///< empty: the uid has no entry in passwd
  bool operator==(const Identity&) const = default;
};

/// Why a text names no identity.
struct Problem {
  std::string what;     ///< what is wrong, to stand behind the text: "there is no user ap"
  std::string nearest;  ///< the user or group that may have been meant; empty: none is near
  bool operator==(const Problem&) const = default;
};

/// The identity that `spec` names, by the texts of /etc/passwd and /etc/group (empty where there is no such file).
///
/// USER is the name of an entry, else an id 0..2147483647, which may have an entry too. The entry gives gid and home
/// directory, and its name the supplementary groups; without one these are 0, "/" and none. GROUP is a name or an id
/// in the same way, and then there are no supplementary groups; an empty one ("app:") counts as none. Of several
/// entries the first counts.
///
/// Entries are lines as in passwd(5) and group(5), with blanks and a carriage return around them taken off. Lines that
/// are none are passed over: comments, NIS entries (+, -), without a name, with ids that are no numbers 0..2147483647,
/// with a NUL.
///
/// Where this and gosu differ (github.com/moby/sys/user): there "+0" is the id 0, a field that is no number too, and
/// the rest of "a:b:c" and an empty USER are passed over; here all these name nobody. There digits are never a name.
[[nodiscard]] std::expected<Identity, Problem> resolve(std::string_view spec, std::string_view passwd,
                                                       std::string_view group);

/// The home directory of the first entry with that uid; empty where there is none, or it has none.
[[nodiscard]] std::string home_of(uid_t uid, std::string_view passwd);

}  // namespace portshim::user
