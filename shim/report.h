// What --check prints: the whole prediction, as text or as one JSON object. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shim/diagnosis.h"
#include "shim/process.h"

namespace portshim::report {

/// What a running process binds.
struct Running {
  const process::Process& process;
  process::Comparison comparison;
};

/// Everything that --check tells. The kernel's answers are asked for by `situation.rules.verdict`.
struct Report {
  const diagnosis::Situation& situation;
  const diagnosis::Diagnosis& diagnosis;
  std::vector<std::string> notes = {};  ///< what limits the prediction, each on one line
  std::optional<Running> running = {};  ///< of --pid
};

/// The JSON object of the contract, with a newline at its end. Always valid UTF-8.
[[nodiscard]] std::string as_json(const Report& report);

/// The same for people, in aligned columns. With `colour` the verdicts are green, yellow or red.
[[nodiscard]] std::string as_text(const Report& report, bool colour);

}  // namespace portshim::report
