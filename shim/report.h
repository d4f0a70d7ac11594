// What --check prints: the whole prediction, as text or as one JSON object. Pure.
#pragma once

#include <string>

#include "shim/diagnosis.h"

namespace portshim::report {

/// Everything that --check tells.
struct Report {
  const diagnosis::Situation& situation;
  const diagnosis::Diagnosis& diagnosis;
};

/// The JSON object of the contract, with a newline at its end. Always valid UTF-8.
[[nodiscard]] std::string as_json(const Report& report);

/// The same for people.
[[nodiscard]] std::string as_text(const Report& report);

}  // namespace portshim::report
