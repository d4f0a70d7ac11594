// What is said of the predictions and the plan: every port and address finding, and whether validate refuses. Pure.
#pragma once

#include <string>
#include <vector>

#include "shim/finding.h"
#include "shim/hosting.h"
#include "shim/options.h"
#include "shim/policy.h"
#include "shim/privilege.h"
#include "shim/runtime.h"

namespace portshim::diagnosis {

/// What is known when the findings are made. Everything outlives the call.
struct Situation {
  const options::Options& options;
  const runtime::App& app;
  const privilege::Identity& identity;
  const policy::Rules& rules;
  const hosting::Input& input;
  const std::vector<hosting::Prediction>& predictions;  ///< of `input`
  /// The plan. It is carried out in rewrite only; otherwise it says what rewrite would do.
  const policy::Plan& plan;
  std::vector<std::string> settings_files = {};  ///< that were found
  std::vector<std::string> too_large = {};       ///< settings files that were not read
  bool capability_not_usable = false;            ///< CAP_NET_BIND_SERVICE is effective, and yet a trial bind was denied
};

struct Diagnosis {
  std::vector<finding::Finding> findings;  ///< errors first, in a fixed order otherwise
  bool refuse = false;                     ///< validate would refuse what the app is given (after the edits of rewrite)
};

/// The findings of a run in `options.mode` (off counts as explain).
[[nodiscard]] Diagnosis diagnose(const Situation& situation);

}  // namespace portshim::diagnosis
