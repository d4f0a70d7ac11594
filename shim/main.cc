// Reads the facts, predicts, decides, says, and becomes COMMAND: the one place where the modules meet.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shim/analysis.h"
#include "shim/announce.h"
#include "shim/diagnosis.h"
#include "shim/entry.h"
#include "shim/finding.h"
#include "shim/identity.h"
#include "shim/install.h"
#include "shim/launch.h"
#include "shim/options.h"
#include "shim/parent.h"
#include "shim/policy.h"
#include "shim/process.h"
#include "shim/report.h"
#include "shim/request.h"
#include "shim/signals.h"
#include "shim/situation.h"
#include "shim/supervise.h"
#include "shim/system.h"

namespace {

using namespace portshim;
using analysis::Analysis;
using announce::fail;
using announce::leave_reason;
using announce::say;
using finding::Finding;
using finding::Id;
using finding::Severity;
using request::Request;
using request::Start;

constexpr int kRefused = 78;
constexpr int kNotPrinted = 125;  // as env(1) and nohup(1) when they themselves fail
constexpr int kStdout = 1;

/// Writes what was asked for to stdout: the exit code `code`, or another where that failed.
int print(system::Control& system, const Start& start, const options::Options& options, const std::string& text,
          int code) {
  const auto written = system.write(kStdout, text);
  if (written) return code;
  const Finding finding{.id = Id::not_written,
                        .severity = Severity::error,
                        .what = "what was to be printed could not be written to stdout",
                        .why = finding::quote(written.error().message()),
                        .did = "nothing was started",
                        .next = "give it an stdout that takes it all"};
  say(system, start, options, finding);
  return kNotPrinted;
}

/// `start` is portshim's own.
int print_check(system::Control& system, const Start& start, const Analysis& analysis, const options::Options& options,
                const analysis::Running* running) {
  const diagnosis::Situation situation = analysis::situation_of(analysis, options);
  report::Report report{
      .situation = situation, .diagnosis = analysis.diagnosis, .notes = analysis::notes(system, options, running)};
  if (running != nullptr) {
    const process::Process& process = running->process;
    report.running.emplace(
        report::Running{process, process::compare(process.listening, analysis::outcomes(situation))});
  }
  const std::string text = options.check == options::Check::json
                               ? report::as_json(report)
                               : report::as_text(report, announce::wants_colour(system, start, kStdout));
  return print(system, start, options, text, analysis.diagnosis.refuse ? kRefused : 0);
}

/// What COMMAND is given.
Start unchanged(const Start& start, const Request& request) {
  Start out{.argv = {}, .environment = start.environment};
  out.argv.assign(start.argv.begin() + static_cast<std::ptrdiff_t>(request.command), start.argv.end());
  return out;
}

Start changed(const Analysis& analysis) {
  const policy::Plan& plan = analysis.plan;
  Start out{.argv = plan.after.argv, .environment = {}};
  std::vector<bool> removed(plan.after.environment.size(), false);
  for (const std::size_t index : plan.removed) removed[index] = true;
  for (std::size_t i = 0; i < removed.size(); ++i) {
    if (!removed[i]) out.environment.push_back(plan.after.environment[i]);
  }
  return out;
}

/// Becomes COMMAND; returns the exit code when that fails. The point of no return.
int become(system::Control& system, const Start& start, const Request& request, const Start& given) {
  system::Error error = system.execute(request.lookup.path, given.argv, given.environment);
  if (error.code == E2BIG) {
    const Start original = unchanged(start, request);
    if (original.argv != given.argv || original.environment != given.environment) {
      const Finding too_large{.id = Id::environment_too_large,
                              .severity = Severity::error,
                              .what = "the changes make arguments and environment too large to start COMMAND",
                              .why = "execve answered E2BIG",
                              .did = "started it with the settings as they were",
                              .next = "set the new ports in the image or chart"};
      say(system, start, request.options(), too_large);
      error = system.execute(request.lookup.path, original.argv, original.environment);
    }
  }
  const launch::Failure failure = launch::explain_exec(system, request.lookup.path, error);
  fail(system, start, request.options(), failure.finding);
  return failure.code;
}

/// A failure of portshim's own must not keep the app from starting.
int give_way(system::Control& system, const Start& start, const Request& request, std::string_view cause) {
  const bool validates = request.options().mode == options::Mode::validate;
  const Finding own{.id = Id::own_failure,
                    .severity = Severity::error,
                    .what = "portshim failed and could not predict what the app will bind",
                    .why = finding::quote(cause),
                    .did = request.options().check != options::Check::no ? "nothing was started"
                           : validates                                   ? "the app was not started (exit code 78)"
                                                                         : "started COMMAND as it was",
                    .next = "please report this"};
  say(system, start, request.options(), own);
  if (request.options().check != options::Check::no) return kRefused;
  if (validates) {
    leave_reason(system, request.options(), std::array{own});
    return kRefused;
  }
  return become(system, start, request, unchanged(start, request));
}

/// Every mode but off.
int run_app(system::Control& system, const Start& start, const Request& request) {
  const options::Options& options = request.options();
  std::optional<Analysis> analysis;
  try {
    analysis = analysis::analyse(system, start, request);
  } catch (const std::exception& failure) {
    return give_way(system, start, request, failure.what());
  }
  if (options.check != options::Check::no) return print_check(system, start, *analysis, options, nullptr);
  say(system, start, options, analysis->diagnosis.findings);
  if (options.mode == options::Mode::validate && analysis->diagnosis.refuse) {
    leave_reason(system, options, analysis->diagnosis.findings);
    return kRefused;
  }
  const bool rewrites = options.mode == options::Mode::rewrite;
  const bool edits = rewrites && !analysis->plan.edits.empty();
  if (rewrites) signals::repair(system);
  return become(system, start, request, edits ? changed(*analysis) : unchanged(start, request));
}

int install_copy(system::Control& system, const Start& start, const options::Options& options) {
  const Finding finding = install::install(system, options.install);
  say(system, start, options, finding);
  if (finding.id == Id::installed) return 0;
  leave_reason(system, options, std::array{finding});
  return kRefused;
}

/// The process that --pid names cannot be examined.
int refuse_process(system::Control& system, const Start& start, const options::Options& options, std::string what,
                   std::string why) {
  const Finding finding{.id = Id::process_not_examined,
                        .severity = Severity::error,
                        .what = std::move(what),
                        .why = std::move(why),
                        .did = "nothing was examined",
                        .next = "give the number that the app has in this PID namespace (ps, /proc/*/cmdline)"};
  say(system, start, options, finding);
  return kNotPrinted;
}

int refuse_unreadable(system::Control& system, const Start& start, const options::Options& options,
                      const system::Error& error) {
  const pid_t pid = *options.pid;
  if (error.code == ENOENT || error.code == ESRCH) {
    return refuse_process(system, start, options, fmt::format("there is no process {}", pid),
                          finding::quote(error.message()));
  }
  if (error.code == ENOEXEC) {
    return refuse_process(system, start, options, fmt::format("process {} has no command line", pid),
                          "it is a thread of the kernel, or has ended and was not waited for");
  }
  return refuse_process(system, start, options, fmt::format("process {} cannot be read", pid),
                        finding::quote(error.message()));
}

/// Some of it cannot be read: without its environment there is no analysis, and nothing to rely on.
void say_unreadable(const process::Process& process, Analysis& analysis) {
  if (process.environment) return;
  analysis.diagnosis.refuse = true;
  analysis.diagnosis.findings.insert(
      analysis.diagnosis.findings.begin(),
      {.id = Id::process_not_examined,
       .severity = Severity::error,
       .what = fmt::format("process {} cannot be examined: its environment may not be read", process.pid),
       .why = "that needs its uid and gid, and no capability that this process lacks (ptrace(2), access mode checking)",
       .did = "no endpoint was predicted",
       .next = "ask as the same user: kubectl exec or docker exec in its container, or a debug container with its "
               "runAsUser; or as root with CAP_SYS_PTRACE"});
}

/// --check --pid.
int check_process(system::Control& system, const Start& start, const Request& request) {
  const options::Options& options = request.options();
  auto read = process::read(system, *options.pid);
  if (!read) return refuse_unreadable(system, start, options, read.error());
  analysis::Running running(*std::move(read));
  const Start its_start{.argv = running.process.argv,
                        .environment = running.process.environment.value_or(std::vector<std::string>{})};
  Request its_request = request;
  its_request.command = 0;
  its_request.lookup.path = running.process.program;
  Analysis analysis;
  try {
    analysis = analysis::analyse(running.view, its_start, its_request, &running);
  } catch (const std::exception& failure) {
    return give_way(system, start, request, failure.what());
  }
  if (!process::is_running(system, running.process)) {
    return refuse_process(system, start, options, fmt::format("process {} ended while it was examined", *options.pid),
                          "");
  }
  say_unreadable(running.process, analysis);
  return print_check(system, start, analysis, options, &running);
}

int refuse_set_user_id(system::Control& system, const Start& start) {
  const Finding finding{.id = Id::set_user_id,
                        .severity = Severity::error,
                        .what = "portshim was started set-uid or set-gid, and does not run so",
                        .why = "its real and effective ids differ: whoever started it would choose what runs with them",
                        .did = "the app was not started (exit code 78)",
                        .next = "take the set-uid and set-gid bits off the file: chmod 0755"};
  say(system, start, {}, finding);
  return kRefused;
}

/// Becomes COMMAND, in any mode; returns the exit code when it does not.
int start_app(system::Control& system, const Start& start, const Request& request) {
  const options::Options& options = request.options();
  if (request.lookup.path.empty()) {
    const launch::Failure failure =
        launch::explain_lookup(system, start.argv[request.command], request.lookup, start.environment);
    fail(system, start, options, failure.finding);
    return failure.code;
  }
  if (options.mode == options::Mode::off) {
    say(system, start, options, request.notices);
    say(system, start, options, request.invocation.invalid_in_off);
    return become(system, start, request, unchanged(start, request));
  }
  return run_app(system, start, request);
}

/// --user: everything that is read and done from here on is read and done as that user. The exit code where it is
/// refused.
std::optional<int> step_down(system::Control& system, Start& start, Request& request) {
  const options::Options& options = request.options();
  // What starts nothing is for whoever asks.
  const bool starts = !options.help && !options.version && options.install.empty() && !options.pid;
  if (options.user.empty() || request.invocation.refusal || !starts) return std::nullopt;
  auto notices = identity::step_down(system, request.invocation, start.environment);
  if (!notices) {
    fail(system, start, options, notices.error().finding);
    return notices.error().code;
  }
  request.notices.insert(request.notices.end(), notices->begin(), notices->end());
  return std::nullopt;
}

/// `inherited`: signals are blocked already, and what was blocked before.
int run(system::Control& system, Start start, const std::optional<supervise::SignalMask>& inherited) {
  Request request = request::parse(start);
  const options::Options& options = request.options();
  const bool stays_blocked = inherited.has_value() && parent::stays(options);
  if (inherited && !stays_blocked) supervise::restore_signals(*inherited);

  const system::Ids ids = system.ids();
  if (ids.uid != ids.effective_uid || ids.gid != ids.effective_gid) return refuse_set_user_id(system, start);

  if (const auto refused = step_down(system, start, request)) return *refused;
  const options::Options outer = options;
  request::look_up(system, start, request);
  if (const auto& refusal = request.invocation.refusal) {
    say(system, start, options, *refusal);
    leave_reason(system, options, std::array{*refusal});
    return request.invocation.refusal_code;
  }
  if (options.help || options.version) {
    return print(system, start, options, options.help ? options::help() : options::version(), 0);
  }
  if (!options.install.empty()) return install_copy(system, start, options);
  if (options.pid) return check_process(system, start, request);
  // portshim as COMMAND may name another user.
  if (options.user != outer.user || options.keep_net_bind != outer.keep_net_bind) {
    if (const auto refused = step_down(system, start, request)) return *refused;
  }
  if (options.keep_net_bind && options.user.empty()) {
    request.notices.push_back(identity::nothing_to_keep_across(request.invocation));
  }
  if (auto notice = parent::without_parent(request.invocation)) request.notices.push_back(*std::move(notice));
  if (options.check != options::Check::no) return run_app(system, start, request);
  if (parent::stays(options)) {
    // The inner one of nested calls may have asked for it.
    return parent::start(system, start, request, stays_blocked ? inherited.value_or(0) : supervise::block_signals(),
                         [&](const Start& its_start) { return start_app(system, its_start, request); });
  }
  return start_app(system, start, request);
}

/// Whether --init or --guard may be asked for, which the command line will tell.
bool may_supervise(char* const* argv, char* const* envp) {
  const auto any_begins_with = [](char* const* words, std::string_view start) {
    while (*words != nullptr && !std::string_view(*words).starts_with(start)) ++words;
    return *words != nullptr;
  };
  return any_begins_with(argv, "--init") || any_begins_with(envp, "PORTSHIM_INIT=") ||
         any_begins_with(argv, "--guard") || any_begins_with(envp, "PORTSHIM_GUARD=");
}

std::vector<std::string> to_vector(char* const* words) {
  std::vector<std::string> out;
  for (; *words != nullptr; ++words) out.emplace_back(*words);
  return out;
}

}  // namespace

int main(int /*argc*/, char** argv, char** envp) {
  // From its entry on no signal was lost, which PID 1 is not even killed by.
  std::optional<supervise::SignalMask> inherited = entry::inherited_signals();
  if (!may_supervise(argv, envp)) supervise::restore_signals(*std::exchange(inherited, std::nullopt));
  system::Linux system;
  return run(system, {.argv = to_vector(argv), .environment = to_vector(envp)}, inherited);
}
