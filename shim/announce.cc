#include "shim/announce.h"

#include <unistd.h>

#include <string_view>

#include "shim/environment.h"
#include "shim/log.h"

namespace portshim::announce {

using finding::Finding;
using options::Options;
using request::Start;

bool wants_colour(const system::Control& system, const Start& start, int descriptor) {
  const auto value = [&](std::string_view name) { return environment::value(start.environment, name).value_or(""); };
  return log::wants_colour(system.is_terminal(descriptor), value("NO_COLOR"), value("TERM"));
}

void say(system::Control& system, const Start& start, const Options& options, std::span<const Finding> findings) {
  if (findings.empty()) return;
  log::Log log(system, options.log_format, options.log_level, wants_colour(system, start, STDERR_FILENO));
  for (const Finding& finding : findings) log.say(finding);
}

void say(system::Control& system, const Start& start, const Options& options, const Finding& finding) {
  say(system, start, options, std::span(&finding, 1));
}

void leave_reason(system::Control& system, const Options& options, std::span<const Finding> findings) {
  system.overwrite(options.termination_log, log::termination_message(findings));
}

void fail(system::Control& system, const Start& start, const Options& options, const Finding& finding) {
  say(system, start, options, finding);
  leave_reason(system, options, std::span(&finding, 1));
}

}  // namespace portshim::announce
