// Settings that move the endpoints which the app's code sets: found by trying, and proved by predicting. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "shim/hosting.h"
#include "shim/policy.h"

namespace portshim::lever {

/// Settings after which the app, with its code, binds nothing low and everything else as before.
struct Lever {
  std::vector<std::string> settings = {};  ///< "ASPNETCORE_URLS=http://*:8080", "--urls http://*:8080"
  bool is_argument = false;                ///< nothing but an argument at the end does it
  hosting::Input after = {};               ///< with them; a removed variable is an empty entry
  std::vector<std::size_t> removed = {};   ///< indices of variables that were removed: other spellings of the names
};

/// Looks for a lever for `input`, whose `code` holds the calls. Nothing where no setting is known that moves all that
/// is low, or where nothing is low.
[[nodiscard]] std::optional<Lever> find(const hosting::Input& input, const policy::Rules& rules);

/// True where a lever may be used without asking: one builder, all endpoints of the code known, plain http, no source
/// of settings that only the app knows, and what is configured stays bound where the calls do not run.
[[nodiscard]] bool is_safe(const hosting::Input& input, const Lever& lever);

}  // namespace portshim::lever
