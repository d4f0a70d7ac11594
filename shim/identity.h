// --user and --keep-net-bind: portshim steps down from root, before it looks at anything of the app.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "shim/finding.h"
#include "shim/options.h"
#include "shim/system.h"

namespace portshim::identity {

/// Why nothing may be started.
struct Refusal {
  finding::Finding finding;
  int code = 0;  ///< 125 for a command line that names nobody, else 78
};

/// Becomes the user that --user or PORTSHIM_USER names, for good, and sets HOME in `environment` to its home directory,
/// as gosu does. Reads /etc/passwd and /etc/group, and no other file. Answers what there is to say beside.
///
/// Where uid and gid are those in effect, nothing is done, which needs no privilege: children of the app and what
/// `docker exec` starts inherit the variable. Root that stays root still gets its groups, where it may set them, and
/// what --keep-net-bind means.
/// To be called where a user is named. After a refusal the process is to end: it may be half-way.
[[nodiscard]] std::expected<std::vector<finding::Finding>, Refusal> step_down(system::Control& system,
                                                                              const options::Invocation& invocation,
                                                                              std::vector<std::string>& environment);

/// --keep-net-bind without a user.
[[nodiscard]] finding::Finding nothing_to_keep_across(const options::Invocation& invocation);

}  // namespace portshim::identity
