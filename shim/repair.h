// Values that portshim completes or mends before it looks at ports: variables filled in, and white space and quotes
// that would kill the app taken off. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shim/address.h"
#include "shim/config.h"
#include "shim/edit.h"
#include "shim/hosting.h"

namespace portshim::repair {

/// White space or quotes that would have killed the app, removed.
struct Repair {
  config::Origin origin;
  std::string key;
  std::string old_value;
  std::string new_value;
  bool removed = false;  ///< nothing but white space was in it: the variable is removed
  address::Exception exception;
};

/// A value with $NAME, ${NAME}, ${NAME:-default} filled in.
struct Expansion {
  config::Origin origin;
  std::string key;
  std::string old_value;
  std::string new_value;
};

/// An input in the making, with its predictions.
struct Draft {
  hosting::Input input;
  std::vector<std::size_t> removed;  ///< indices of removed variables
  std::vector<hosting::Prediction> predictions;
};

/// Fills in the variables of URLs and ports, and predicts again.
[[nodiscard]] std::vector<Expansion> fill_in(Draft& draft, bool is_dotnet);

/// Repairs what certainly kills the app and can be repaired; each repair is proved by predicting again.
[[nodiscard]] std::vector<Repair> mend(Draft& draft, bool is_dotnet);

/// Values by name; of a name that occurs twice the first, as getenv(3) has it.
using Variables = std::unordered_map<std::string_view, std::string_view>;
/// The views point into `environment`.
[[nodiscard]] Variables variables(const std::vector<std::string>& environment);

/// Fills in $NAME, ${NAME} and ${NAME:-default}; what is not set (or empty, without a default) stays as it is.
[[nodiscard]] std::string expand(std::string_view text, const Variables& variables);

}  // namespace portshim::repair
