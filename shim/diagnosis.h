// What is said of the predictions and the plan: every port and address finding, and whether validate refuses. Pure.
#pragma once

#include <vector>

#include "shim/finding.h"
#include "shim/situation.h"

namespace portshim::diagnosis {

using situation::Situation;

struct Diagnosis {
  std::vector<finding::Finding> findings;  ///< errors first, in a fixed order otherwise
  bool refuse = false;                     ///< validate would refuse what the app is given (after the edits of rewrite)
};

/// The findings of a run in `options.mode` (off counts as explain).
[[nodiscard]] Diagnosis diagnose(const Situation& situation);

}  // namespace portshim::diagnosis
