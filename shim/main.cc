// Reads the facts, predicts, decides, says, and becomes COMMAND: the one place where the modules meet.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shim/assemblies.h"
#include "shim/diagnosis.h"
#include "shim/endpoint_check.h"
#include "shim/environment.h"
#include "shim/files.h"
#include "shim/finding.h"
#include "shim/host_files.h"
#include "shim/hosting.h"
#include "shim/install.h"
#include "shim/launch.h"
#include "shim/likely.h"
#include "shim/log.h"
#include "shim/lookup.h"
#include "shim/old_port.h"
#include "shim/options.h"
#include "shim/path.h"
#include "shim/policy.h"
#include "shim/privilege.h"
#include "shim/process.h"
#include "shim/report.h"
#include "shim/runtime.h"
#include "shim/signals.h"
#include "shim/situation.h"
#include "shim/surroundings.h"
#include "shim/system.h"

namespace {

using namespace portshim;
using finding::Finding;
using finding::Id;
using finding::Severity;

constexpr int kRefused = 78;
constexpr int kNotPrinted = 125;  // as env(1) and nohup(1) when they themselves fail
constexpr int kStdout = 1;

/// What portshim was started with.
struct Start {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
};

/// The command line, read through nested portshims down to the real COMMAND.
struct Request {
  options::Invocation invocation;
  std::size_t command = 0;  ///< index in Start::argv
  lookup::Lookup lookup;

  [[nodiscard]] const options::Options& options() const { return invocation.options; }
};

bool wants_colour(const system::Control& system, const Start& start, int descriptor) {
  const auto value = [&](std::string_view name) { return environment::value(start.environment, name).value_or(""); };
  return log::wants_colour(system.is_terminal(descriptor), value("NO_COLOR"), value("TERM"));
}

void say(system::Control& system, const Start& start, const options::Options& options,
         std::span<const Finding> findings) {
  if (findings.empty()) return;
  log::Log log(system, options.log_format, options.log_level, wants_colour(system, start, STDERR_FILENO));
  for (const Finding& finding : findings) log.say(finding);
}

/// What Kubernetes is to show of a COMMAND that is not started.
void leave_reason(system::Control& system, const options::Options& options, std::span<const Finding> findings) {
  system.overwrite(options.termination_log, log::termination_message(findings));
}

Request read_request(const system::System& system, const Start& start) {
  Request request;
  request.invocation = options::parse(start.argv, start.environment);
  request.command = request.invocation.command;
  const auto ends_here = [](const options::Invocation& one) {
    return one.refusal || one.options.help || one.options.version;
  };
  while (!ends_here(request.invocation) && request.command < start.argv.size()) {
    const std::string& command = start.argv[request.command];
    request.lookup = lookup::find(system, command, start.environment, request.invocation.by_other_name);
    const bool nested = request.lookup.path.empty() && request.lookup.skipped_itself &&
                        path::last_component(command).starts_with("portshim");
    if (!nested) break;
    // portshim as COMMAND of portshim: its command line is read here, and it runs once.
    const std::span rest = std::span(start.argv).subspan(request.command);
    request.invocation = options::merge(request.invocation, options::parse(rest, start.environment));
    request.command += request.invocation.command;
  }
  return request;
}

/// The kernel's answers to trial binds, asked for when they are first needed.
class Kernel {
 public:
  /// `by_rule`: nothing is tried, since this host and process are not what is asked about. `own`: what the app has
  /// bound already.
  Kernel(const system::System& system, const privilege::Identity& identity, bool by_rule,
         std::vector<address::Target> own)
      : system_(system), identity_(identity), by_rule_(by_rule), own_(std::move(own)) {}

  /// Asks for all of these in one trial.
  void ask(const std::vector<address::Target>& targets) {
    if (!targets.empty() && !by_rule_) trials_.push_back(privilege::Trial::run(system_, identity_, targets));
  }

  address::Verdict verdict(const address::Target& target) {
    // What a running app holds itself is not in its way.
    const bool own =
        std::ranges::any_of(own_, [&](const address::Target& one) { return address::overlaps(one, target); });
    if (by_rule_) return own ? address::Verdict::allowed : privilege::by_rule(identity_, target);
    const address::Verdict answer = ask_once(target);
    return own && answer == address::Verdict::taken ? address::Verdict::allowed : answer;
  }

 private:
  address::Verdict ask_once(const address::Target& target) {
    for (const privilege::Trial& trial : trials_) {
      if (trial.has(target)) return trial.verdict(target);
    }
    ask({target});
    return trials_.back().verdict(target);
  }

  const system::System& system_;
  privilege::Identity identity_;
  bool by_rule_;
  std::vector<address::Target> own_;
  std::vector<privilege::Trial> trials_;
};

/// Everything between the facts and the findings.
struct Prediction {
  runtime::App app;
  std::unique_ptr<files::Reader> files;  ///< null where COMMAND is no .NET app that is known
  privilege::Identity identity;
  std::unique_ptr<Kernel> kernel;  ///< what rules.verdict asks
  bool capability_not_usable = false;
  hosting::Input input;
  policy::Rules rules;
  std::vector<hosting::Prediction> predictions;
  policy::Plan plan;
  situation::Code code;
  diagnosis::Diagnosis diagnosis;
};

/// The endpoints that need the kernel's verdict, and where low ports would go; of the others, whose verdict is worth a
/// finding at the most, so many that they cost no time (for --check all). What many predictions share is asked for
/// once.
std::vector<address::Target> questions(const Prediction& prediction, bool check) {
  constexpr std::size_t kMostOthers = 8;  // a trial of them takes 0.2 ms
  std::size_t others_left = check ? SIZE_MAX : kMostOthers;
  const std::uint16_t reserved = std::max<std::uint16_t>(1024, prediction.identity.port_start);
  const std::uint16_t least = std::max(prediction.rules.floor, reserved);
  std::set<std::pair<const config::Setting*, std::size_t>> seen;
  std::vector<address::Target> out;
  for (const auto* predictions : {&prediction.predictions, &prediction.code.likely, &prediction.code.hidden}) {
    for (const hosting::Prediction& one : *predictions) {
      for (const kestrel::Endpoint& endpoint : one.lenient().endpoints) {
        address::Target target = endpoint.target;
        if (target.port == 0 || (target.port >= least && others_left == 0)) continue;
        if (!seen.emplace(endpoint.source.setting.get(), endpoint.source.item).second) continue;
        out.push_back(target);
        if (target.port >= least) {
          --others_left;
          continue;
        }
        target.port = policy::wanted_port(target.port, prediction.rules);
        out.push_back(target);
      }
    }
  }
  return out;
}

hosting::Input make_input(const Start& start, const Request& request, const runtime::App& app) {
  hosting::Input input{.environment = start.environment, .argv = {}, .first_argument = app.first_argument};
  input.argv.assign(start.argv.begin() + static_cast<std::ptrdiff_t>(request.command), start.argv.end());
  if (app.binds_nothing()) return input;
  using enum hosting::Builder;
  input.builders = {wab, slim, gh, wh};
  input.majors = runtime::plausible_majors(app);
  return input;
}

/// The files that the app will read, where it is known which they are.
void open_files(const system::System& system, Prediction& prediction) {
  if (!prediction.app.is_dotnet() || prediction.app.binds_nothing()) return;
  const auto current = system.current_directory();
  if (!current && current.error().code != ENOENT) return;
  prediction.input.current_directory = current.value_or("");
  prediction.files = std::make_unique<files::Reader>(system, prediction.input.current_directory);
  prediction.input.files = prediction.files.get();
  prediction.input.application = prediction.app.application;
  prediction.input.base_directory = prediction.app.base_directory;
}

/// What the app's assemblies say, where that is wanted: the builders to predict for, and the endpoints of its code.
void read_code(const system::System& system, const Request& request, Prediction& prediction) {
  const bool wanted = request.options().code != options::Code::off;
  if (!wanted || !prediction.app.is_dotnet() || prediction.app.binds_nothing()) return;
  assemblies::Reading reading = assemblies::read(system, prediction.app, request.lookup.path);
  // Where it makes no host, some library does, and may set ports too.
  prediction.code.complete = reading.complete && !reading.code.builders.empty();
  prediction.code.problems = std::move(reading.problems);
  prediction.code.calls = std::move(reading.code.calls);
  if (!prediction.code.complete) return;
  prediction.input.builders = std::move(reading.code.builders);
  prediction.input.passes_arguments = reading.code.passes_arguments.value_or(true);
}

/// A capability that the kernel does not honour (the network namespace is another user namespace's) is none.
void settle_floor(Prediction& prediction, const options::Options& options) {
  prediction.rules.floor = privilege::floor(options.floor, prediction.identity);
  if (!prediction.identity.net_bind_service) return;
  for (const hosting::Prediction& one : prediction.predictions) {
    for (const kestrel::Endpoint& endpoint : one.lenient().endpoints) {
      const address::Target& target = endpoint.target;
      if (target.port == 0 || target.port >= prediction.identity.port_start) continue;
      if (prediction.kernel->verdict(target) != address::Verdict::denied) continue;
      prediction.identity.net_bind_service = false;
      prediction.capability_not_usable = true;
      prediction.rules.floor = privilege::floor(options.floor, prediction.identity);
      return;
    }
  }
}

diagnosis::Situation situation_of(const Prediction& prediction, const options::Options& options) {
  diagnosis::Situation situation{.options = options,
                                 .app = prediction.app,
                                 .identity = prediction.identity,
                                 .rules = prediction.rules,
                                 .input = prediction.input,
                                 .predictions = prediction.predictions,
                                 .plan = prediction.plan,
                                 .code = prediction.code,
                                 .capability_not_usable = prediction.capability_not_usable};
  if (prediction.files) {
    situation.settings_files = prediction.files->found();
    situation.too_large = prediction.files->too_large();
  }
  return situation;
}

/// --check of a COMMAND that is not here, or cannot be executed: worth a word, and no reason to refuse.
Finding say_absent(const system::System& system, const Start& start, const Request& request) {
  const std::string& command = start.argv[request.command];
  Finding finding = launch::explain_lookup(system, command, request.lookup, start.environment).finding;
  finding.severity = Severity::info;
  return finding;
}

/// Puts what a check says among the findings: an error is certain, and validate refuses.
void add_findings(diagnosis::Diagnosis& diagnosis, std::vector<Finding> findings, const options::Options& options) {
  for (Finding& finding : findings) {
    const bool is_error = finding.severity == Severity::error;
    diagnosis.refuse |= is_error;
    if (is_error && finding.did.empty() && options.mode == options::Mode::validate) {
      finding.did = "the app was not started (exit code 78)";
    }
    diagnosis.findings.push_back(std::move(finding));
  }
  std::ranges::stable_sort(diagnosis.findings, std::ranges::greater{}, &Finding::severity);
}

/// A process that is running already, where --pid names one.
struct Running {
  process::Process process;
  process::View view;
  std::string why_no_trial = {};  ///< empty: binds are tried

  explicit Running(process::Process read) : process(std::move(read)), view(process) {}
};

/// What the process listens on itself.
std::vector<address::Target> own_targets(const Running* running) {
  std::vector<address::Target> out;
  if (running == nullptr || !running->process.listening_is_own) return out;
  for (const process::Listener& one : running->process.listening) {
    out.push_back({.bind = address::Bind::ip, .address = one.address, .port = one.port});
  }
  return out;
}

void make_identity(const system::System& system, const Request& request, Running* running, Prediction& prediction) {
  const options::Options& options = request.options();
  const options::Assumption assume = options.assume.value_or(options::Assumption{});
  prediction.identity = running == nullptr ? privilege::predict(system, request.lookup.path, assume)
                                           : privilege::of_running(system, assume);
  if (running != nullptr) running->why_no_trial = running->view.why_no_trial(prediction.identity.net_bind_service);
  const bool by_rule = options.assume || (running != nullptr && !running->why_no_trial.empty());
  prediction.kernel =
      std::make_unique<Kernel>(system, prediction.identity, by_rule, own_targets(options.assume ? nullptr : running));
}

Prediction predict(const system::System& system, const Start& start, const Request& request,
                   Running* running = nullptr) {
  const options::Options& options = request.options();
  Prediction prediction;
  const std::span command = std::span(start.argv).subspan(request.command);
  prediction.app = runtime::classify(system, command, request.lookup.path, start.environment);
  make_identity(system, request, running, prediction);
  prediction.input = make_input(start, request, prediction.app);
  open_files(system, prediction);
  read_code(system, request, prediction);
  // Without its environment everything that is said of its endpoints would be made up.
  if (running != nullptr && !running->process.environment) prediction.input.builders.clear();
  prediction.predictions = hosting::predict(prediction.input);
  prediction.code.likely = likely::predict(prediction.input, prediction.code.calls);
  prediction.code.hidden = likely::predict_hidden(prediction.input, prediction.code.calls, prediction.code.likely);

  prediction.rules = {.floor = privilege::floor(options.floor, prediction.identity),
                      .denied_is_low = options.floor.kind != options::FloorKind::number,
                      .map = options.map,
                      .keep = options.keep,
                      .expand = options.expand && options.mode == options::Mode::rewrite,
                      .is_dotnet = prediction.app.is_dotnet()};
  prediction.kernel->ask(questions(prediction, options.check != options::Check::no));
  settle_floor(prediction, options);
  prediction.rules.verdict = [&kernel = *prediction.kernel](const address::Target& target) {
    return kernel.verdict(target);
  };
  prediction.plan = policy::make_plan(prediction.input, prediction.predictions, prediction.rules);
  const bool rewrites = options.mode == options::Mode::rewrite;
  likely::pull_lever(prediction.code, prediction.input, prediction.plan, prediction.rules, rewrites,
                     rewrites && options.code == options::Code::rewrite);
  const diagnosis::Situation situation = situation_of(prediction, options);
  const surroundings::Facts facts{
      .app = prediction.app, .input = prediction.input, .predictions = prediction.predictions};
  prediction.diagnosis = diagnosis::diagnose(situation);
  add_findings(prediction.diagnosis, endpoint_check::check(system, situation), options);
  add_findings(prediction.diagnosis, old_port::check(situation), options);
  add_findings(prediction.diagnosis,
               host_files::check(system, prediction.app, command, request.lookup.path, start.environment), options);
  if (running == nullptr && !options.assume) {
    add_findings(prediction.diagnosis, signals::check(system, options.mode), options);
    add_findings(prediction.diagnosis, surroundings::check(system, facts), options);
  }
  std::vector<Finding> invalid = request.invocation.invalid;
  if (options.mode == options::Mode::validate && options.check == options::Check::no) {
    for (Finding& finding : invalid) finding.did = "the app was not started (exit code 78)";
  }
  prediction.diagnosis.findings.insert(prediction.diagnosis.findings.begin(), invalid.begin(), invalid.end());
  if (!invalid.empty()) prediction.diagnosis.refuse = true;
  if (request.lookup.path.empty() && running == nullptr) {
    prediction.diagnosis.findings.push_back(say_absent(system, start, request));
  }
  return prediction;
}

/// What of another identity, host or process cannot be judged from here.
std::vector<std::string> limits_of(const system::System& system, const options::Options& options,
                                   const Running* running) {
  std::vector<std::string> notes;
  constexpr std::string_view kByRule =
      "verdicts follow the rule for low ports, and what else holds a port is not known";
  const system::Ids own = system.ids();
  system::Ids asked = own;
  if (running != nullptr) {
    for (const std::string& one : running->process.unreadable) notes.push_back("not readable: " + finding::quote(one));
    asked = running->process.ids;
  }
  if (options.assume) {
    notes.push_back(fmt::format("no bind was tried: {}", kByRule));
    asked.effective_uid = options.assume->uid.value_or(asked.effective_uid);
    asked.effective_gid = options.assume->gid.value_or(asked.effective_gid);
  } else if (running != nullptr && !running->why_no_trial.empty()) {
    notes.push_back(fmt::format("no bind was tried, since {}: {}", running->why_no_trial, kByRule));
  }
  if (asked.effective_uid != own.effective_uid || asked.effective_gid != own.effective_gid) {
    notes.push_back(fmt::format("which files can be read was judged as uid {}, gid {}, not as uid {}, gid {}",
                                own.effective_uid, own.effective_gid, asked.effective_uid, asked.effective_gid));
  }
  return notes;
}

/// What the app may bind: as configured, and as its code is likely to change that.
std::vector<std::vector<address::Target>> outcomes_of(const diagnosis::Situation& situation) {
  std::vector<std::vector<address::Target>> outcomes;
  for (const auto* predictions : {&situation.predictions, &situation.code.likely}) {
    for (const hosting::Prediction& one : *predictions) {
      auto& outcome = outcomes.emplace_back();
      for (const kestrel::Endpoint& endpoint : one.lenient().endpoints) outcome.push_back(endpoint.target);
    }
  }
  for (std::size_t i = 0; i < situation.code.likely.size(); ++i) {
    auto& outcome = outcomes.emplace_back();
    for (const auto& [call, target] : situation::likely_endpoints(situation.code, situation.code.likely, i)) {
      outcome.push_back(target);
    }
  }
  return outcomes;
}

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
  say(system, start, options, std::array{finding});
  return kNotPrinted;
}

/// `start` is portshim's own.
int print_check(system::Control& system, const Start& start, const Prediction& prediction,
                const options::Options& options, const Running* running) {
  const diagnosis::Situation situation = situation_of(prediction, options);
  report::Report report{
      .situation = situation, .diagnosis = prediction.diagnosis, .notes = limits_of(system, options, running)};
  if (running != nullptr) {
    const process::Process& process = running->process;
    report.running.emplace(report::Running{process, process::compare(process.listening, outcomes_of(situation))});
  }
  const std::string text = options.check == options::Check::json
                               ? report::as_json(report)
                               : report::as_text(report, wants_colour(system, start, kStdout));
  return print(system, start, options, text, prediction.diagnosis.refuse ? kRefused : 0);
}

/// What COMMAND is given.
Start unchanged(const Start& start, const Request& request) {
  Start out{.argv = {}, .environment = start.environment};
  out.argv.assign(start.argv.begin() + static_cast<std::ptrdiff_t>(request.command), start.argv.end());
  return out;
}

Start changed(const Prediction& prediction) {
  const policy::Plan& plan = prediction.plan;
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
      say(system, start, request.options(), std::array{too_large});
      error = system.execute(request.lookup.path, original.argv, original.environment);
    }
  }
  const launch::Failure failure = launch::explain_exec(system, request.lookup.path, error);
  say(system, start, request.options(), std::array{failure.finding});
  leave_reason(system, request.options(), std::array{failure.finding});
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
  say(system, start, request.options(), std::array{own});
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
  std::optional<Prediction> prediction;
  try {
    prediction = predict(system, start, request);
  } catch (const std::exception& failure) {
    return give_way(system, start, request, failure.what());
  }
  if (options.check != options::Check::no) return print_check(system, start, *prediction, options, nullptr);
  say(system, start, options, prediction->diagnosis.findings);
  if (options.mode == options::Mode::validate && prediction->diagnosis.refuse) {
    leave_reason(system, options, prediction->diagnosis.findings);
    return kRefused;
  }
  const bool rewrites = options.mode == options::Mode::rewrite;
  const bool edits = rewrites && !prediction->plan.edits.empty();
  if (rewrites) signals::repair(system);
  return become(system, start, request, edits ? changed(*prediction) : unchanged(start, request));
}

int install_copy(system::Control& system, const Start& start, const options::Options& options) {
  const Finding finding = install::install(system, options.install);
  say(system, start, options, std::array{finding});
  return finding.id == Id::installed ? 0 : kRefused;
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
  say(system, start, options, std::array{finding});
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

/// Some of it cannot be read: without its environment there is no prediction, and nothing to rely on.
void say_unreadable(const process::Process& process, Prediction& prediction) {
  if (process.environment) return;
  prediction.diagnosis.refuse = true;
  prediction.diagnosis.findings.insert(
      prediction.diagnosis.findings.begin(),
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
  Running running(*std::move(read));
  const Start its_start{.argv = running.process.argv,
                        .environment = running.process.environment.value_or(std::vector<std::string>{})};
  Request its_request = request;
  its_request.command = 0;
  its_request.lookup.path = running.process.program;
  Prediction prediction;
  try {
    prediction = predict(running.view, its_start, its_request, &running);
  } catch (const std::exception& failure) {
    return give_way(system, start, request, failure.what());
  }
  if (!process::is_running(system, running.process)) {
    return refuse_process(system, start, options, fmt::format("process {} ended while it was examined", *options.pid),
                          "");
  }
  say_unreadable(running.process, prediction);
  return print_check(system, start, prediction, options, &running);
}

int refuse_set_user_id(system::Control& system, const Start& start) {
  const Finding finding{.id = Id::set_user_id,
                        .severity = Severity::error,
                        .what = "portshim was started set-uid or set-gid, and does not run so",
                        .why = "its real and effective ids differ: whoever started it would choose what runs with them",
                        .did = "the app was not started (exit code 78)",
                        .next = "take the set-uid and set-gid bits off the file: chmod 0755"};
  say(system, start, {}, std::array{finding});
  return kRefused;
}

int run(system::Control& system, const Start& start) {
  const system::Ids ids = system.ids();
  if (ids.uid != ids.effective_uid || ids.gid != ids.effective_gid) return refuse_set_user_id(system, start);

  const Request request = read_request(system, start);
  const options::Options& options = request.options();
  if (const auto& refusal = request.invocation.refusal) {
    say(system, start, options, std::array{*refusal});
    leave_reason(system, options, std::array{*refusal});
    return request.invocation.refusal_code;
  }
  if (options.help || options.version) {
    return print(system, start, options, options.help ? options::help() : options::version(), 0);
  }
  if (!options.install.empty()) return install_copy(system, start, options);
  if (options.pid) return check_process(system, start, request);
  if (options.check != options::Check::no) return run_app(system, start, request);
  if (request.lookup.path.empty()) {
    const launch::Failure failure =
        launch::explain_lookup(system, start.argv[request.command], request.lookup, start.environment);
    say(system, start, options, std::array{failure.finding});
    leave_reason(system, options, std::array{failure.finding});
    return failure.code;
  }
  if (options.mode == options::Mode::off) return become(system, start, request, unchanged(start, request));
  return run_app(system, start, request);
}

std::vector<std::string> to_vector(char* const* words) {
  std::vector<std::string> out;
  for (; *words != nullptr; ++words) out.emplace_back(*words);
  return out;
}

}  // namespace

int main(int /*argc*/, char** argv, char** envp) {
  system::Linux system;
  return run(system, {.argv = to_vector(argv), .environment = to_vector(envp)});
}
