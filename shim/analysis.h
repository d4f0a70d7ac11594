// From what is asked for to what is found: reads the facts, predicts, plans and examines. Nothing is changed or said.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shim/address.h"
#include "shim/diagnosis.h"
#include "shim/files.h"
#include "shim/hosting.h"
#include "shim/options.h"
#include "shim/policy.h"
#include "shim/privilege.h"
#include "shim/process.h"
#include "shim/request.h"
#include "shim/runtime.h"
#include "shim/situation.h"
#include "shim/system.h"

namespace portshim::analysis {

/// A process that is running already, where --pid names one.
struct Running {
  process::Process process;
  process::View view;
  std::string why_no_trial = {};  ///< empty: binds are tried

  explicit Running(process::Process read) : process(std::move(read)), view(process) {}
};

/// Everything between the facts and the findings.
struct Analysis {
  runtime::App app;
  std::unique_ptr<files::Reader> files;  ///< null where COMMAND is no .NET app that is known
  std::optional<situation::UnreadSettings> unread_settings;
  privilege::Identity identity;
  std::unique_ptr<privilege::Kernel> kernel;  ///< what rules.verdict asks
  bool capability_not_usable = false;
  hosting::Input input;
  policy::Rules rules;
  std::vector<hosting::Prediction> predictions;
  policy::Plan plan;
  situation::Code code;
  diagnosis::Diagnosis diagnosis;
};

/// Everything that can be known of the app before it starts; of `running` where it is not null, whose `view` is the
/// system then. The answer refers to `system`.
[[nodiscard]] Analysis analyse(const system::System& system, const request::Start& start,
                               const request::Request& request, Running* running = nullptr);

/// What findings and reports are made of; it refers to both.
[[nodiscard]] situation::Situation situation_of(const Analysis& analysis, const options::Options& options);

/// What of another identity, host or process cannot be judged from here, each on one line.
[[nodiscard]] std::vector<std::string> notes(const system::System& system, const options::Options& options,
                                             const Running* running);

/// What the app may bind: as configured, and as its code is likely to change that.
[[nodiscard]] std::vector<std::vector<address::Target>> outcomes(const situation::Situation& situation);

}  // namespace portshim::analysis
