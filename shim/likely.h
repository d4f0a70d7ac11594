// What comes of the ports that the app's code sets, and what is said of them. They are likely, not certain: a code path
// may not run. Pure.
#pragma once

#include <vector>

#include "shim/code.h"
#include "shim/finding.h"
#include "shim/hosting.h"
#include "shim/policy.h"
#include "shim/situation.h"

namespace portshim::likely {

/// The predictions with the calls; none where there is no call.
[[nodiscard]] std::vector<hosting::Prediction> predict(hosting::Input input, const std::vector<code::Call>& calls);

/// The same for each call that others hide, as if these did not run: two calls may stand in two branches.
[[nodiscard]] std::vector<hosting::Prediction> predict_hidden(const hosting::Input& input,
                                                              const std::vector<code::Call>& calls,
                                                              const std::vector<hosting::Prediction>& likely);

/// Looks for settings that move what the calls of `code` bind low: behind `plan`, which is a plan for `input`, where it
/// is carried out (`rewrites`), else in place of it. `use`: where that is safe, they become part of the plan. Fills in
/// `code.lever`, `lever_used` and `likely_after`.
void pull_lever(situation::Code& code, const hosting::Input& input, policy::Plan& plan, const policy::Rules& rules,
                bool rewrites, bool use);

/// The findings on the app's code: low ports with the setting that moves them, endpoints that are not known before the
/// app runs, settings that the code is likely to override, and assemblies that could not be read.
[[nodiscard]] std::vector<finding::Finding> findings(const situation::Situation& situation);

}  // namespace portshim::likely
