#include "shim/analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string_view>

#include "shim/assemblies.h"
#include "shim/config.h"
#include "shim/conversion.h"
#include "shim/directories.h"
#include "shim/endpoint_check.h"
#include "shim/environment.h"
#include "shim/finding.h"
#include "shim/host_files.h"
#include "shim/launch.h"
#include "shim/likely.h"
#include "shim/old_port.h"
#include "shim/signals.h"
#include "shim/surroundings.h"

namespace portshim::analysis {
namespace {

using finding::Finding;
using finding::Severity;
using request::Request;
using request::Start;

/// The endpoints that need the kernel's verdict, and where low ports would go; of the others, whose verdict is worth a
/// finding at the most, so many that they cost no time (for --check all). What many predictions share is asked for
/// once.
std::vector<address::Target> questions(const Analysis& analysis, bool check) {
  constexpr std::size_t kMostOthers = 8;  // a trial of them takes 0.2 ms
  std::size_t others_left = check ? SIZE_MAX : kMostOthers;
  const std::uint16_t reserved = std::max<std::uint16_t>(1024, analysis.identity.port_start);
  const std::uint16_t least = std::max(analysis.rules.floor, reserved);
  std::set<std::pair<const config::Setting*, std::size_t>> seen;
  std::vector<address::Target> out;
  for (const auto* predictions : {&analysis.predictions, &analysis.code.likely, &analysis.code.hidden}) {
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
        target.port = policy::wanted_port(target.port, analysis.rules);
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
void open_files(const system::System& system, Analysis& analysis) {
  if (!analysis.app.is_dotnet() || analysis.app.binds_nothing()) return;
  const auto current = system.current_directory();
  if (!current && current.error().code != ENOENT) return;
  analysis.input.current_directory = current.value_or("");
  const std::string home(environment::value(analysis.input.environment, "HOME").value_or(""));
  analysis.files =
      std::make_unique<files::Reader>(system, analysis.input.current_directory,
                                      home.empty() ? directories::home_of(system, system.ids().effective_uid) : home);
  analysis.input.files = analysis.files.get();
  analysis.input.application = analysis.app.application;
  analysis.input.base_directory = analysis.app.base_directory;
}

/// What the app's assemblies say, where that is wanted: the builders to predict for, and the endpoints of its code.
void read_code(const system::System& system, const Request& request, Analysis& analysis) {
  const bool wanted = request.options().code != options::Code::off;
  if (!wanted || !analysis.app.is_dotnet() || analysis.app.binds_nothing()) return;
  assemblies::Reading reading = assemblies::read(system, analysis.app, request.lookup.path);
  // Where it makes no host, some library does, and may set ports too.
  analysis.code.complete = reading.complete && !reading.code.builders.empty();
  analysis.code.problems = std::move(reading.problems);
  analysis.code.calls = std::move(reading.code.calls);
  if (!analysis.code.complete) return;
  analysis.input.builders = std::move(reading.code.builders);
  analysis.input.passes_arguments = reading.code.passes_arguments.value_or(true);
}

/// A capability that the kernel does not honour (the network namespace is another user namespace's) is none.
void settle_floor(Analysis& analysis, const options::Options& options) {
  analysis.rules.floor = privilege::floor(options.floor, analysis.identity);
  if (!analysis.identity.net_bind_service) return;
  for (const hosting::Prediction& one : analysis.predictions) {
    for (const kestrel::Endpoint& endpoint : one.lenient().endpoints) {
      const address::Target& target = endpoint.target;
      if (target.port == 0 || target.port >= analysis.identity.port_start) continue;
      if (analysis.kernel->verdict(target) != address::Verdict::denied) continue;
      analysis.identity.net_bind_service = false;
      analysis.capability_not_usable = true;
      analysis.rules.floor = privilege::floor(options.floor, analysis.identity);
      return;
    }
  }
}

/// Whether a package may do what the settings leave undone. To read all packages takes time, so that it is asked only
/// where it counts.
void look_for_certificate(const system::System& system, const Request& request, Analysis& analysis) {
  const bool lacks_one = std::ranges::any_of(analysis.predictions, [](const hosting::Prediction& one) {
    return one.strict.failure && one.strict.failure->fault >= kestrel::Fault::https;
  });
  if (!lacks_one || request.options().code == options::Code::off || !analysis.app.is_dotnet()) return;
  analysis.code.package_may_bring_certificate =
      assemblies::may_bring_certificate(system, analysis.app, request.lookup.path);
}

/// What lies beside an app that reads no settings file, since its content root is another folder.
std::optional<situation::UnreadSettings> settings_beside(const system::System& system, const Analysis& analysis) {
  const auto looked_for_some = [](const hosting::Prediction& one) {
    return one.builder != hosting::Builder::empty && !one.strict.failure;
  };
  const std::string& folder = analysis.app.base_directory;
  if (!analysis.files || folder.empty() || std::ranges::none_of(analysis.predictions, looked_for_some)) return {};
  const files::Reader& files = *analysis.files;
  if (!files.found().empty() || !files.too_large().empty() || !files.settings_directories().empty()) return {};
  const files::Reader beside(system, "");
  const std::string path = folder + "/appsettings.json";
  const kestrel::SettingsFile* file = beside.settings(path);
  if (file == nullptr) return {};
  const bool decides = *file && std::ranges::any_of((*file)->settings(),
                                                    [](const auto& setting) { return config::is_read(setting.first); });
  return situation::UnreadSettings{.path = path, .decides = decides};
}

/// --check of a COMMAND that is not here, or cannot be executed: it may be made for another machine or image, so that
/// this is no reason to refuse.
std::optional<Finding> say_command(const system::System& system, const Start& start, const Request& request) {
  std::optional<launch::Failure> failure =
      request.lookup.path.empty()
          ? launch::explain_lookup(system, start.argv[request.command], request.lookup, start.environment)
          : launch::foresee_exec(system, request.lookup.path);
  if (!failure) return std::nullopt;
  failure->finding.severity = Severity::warning;
  return std::move(failure->finding);
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

/// Puts what is wrong with portshim's own settings before all other findings; validate refuses.
void add_invalid(diagnosis::Diagnosis& diagnosis, std::vector<Finding> invalid, const options::Options& options) {
  if (options.mode == options::Mode::validate && options.check == options::Check::no) {
    for (Finding& finding : invalid) finding.did = "the app was not started (exit code 78)";
  }
  diagnosis.findings.insert(diagnosis.findings.begin(), invalid.begin(), invalid.end());
  diagnosis.refuse |= !invalid.empty();
}

/// What the process listens on itself.
std::vector<address::Target> own_targets(const Running* running) {
  std::vector<address::Target> out;
  if (running == nullptr || !running->process.listening_is_own) return out;
  for (const process::Listener& one : running->process.listening) {
    out.push_back({.bind = address::Bind::ip, .address = one.address, .port = one.port});
  }
  return out;
}

void make_identity(const system::System& system, const Request& request, Running* running, Analysis& analysis) {
  const options::Options& options = request.options();
  const options::Assumption assume = options.assume.value_or(options::Assumption{});
  analysis.identity = running == nullptr ? privilege::predict(system, request.lookup.path, assume)
                                         : privilege::of_running(system, assume);
  if (running != nullptr) running->why_no_trial = running->view.why_no_trial(analysis.identity.net_bind_service);
  const bool by_rule = options.assume || (running != nullptr && !running->why_no_trial.empty());
  analysis.kernel = std::make_unique<privilege::Kernel>(system, analysis.identity, by_rule,
                                                        own_targets(options.assume ? nullptr : running));
}

}  // namespace

situation::Situation situation_of(const Analysis& analysis, const options::Options& options) {
  situation::Situation situation{.options = options,
                                 .app = analysis.app,
                                 .identity = analysis.identity,
                                 .rules = analysis.rules,
                                 .input = analysis.input,
                                 .predictions = analysis.predictions,
                                 .plan = analysis.plan,
                                 .code = analysis.code,
                                 .capability_not_usable = analysis.capability_not_usable};
  if (analysis.files) {
    situation.settings_files = analysis.files->found();
    situation.too_large = analysis.files->too_large();
    situation.settings_directories = analysis.files->settings_directories();
    situation.unread_settings = analysis.unread_settings;
  }
  return situation;
}

Analysis analyse(const system::System& system, const Start& start, const Request& request, Running* running) {
  const options::Options& options = request.options();
  Analysis analysis;
  const std::span command = std::span(start.argv).subspan(request.command);
  analysis.app = runtime::classify(system, command, request.lookup.path, start.environment);
  make_identity(system, request, running, analysis);
  analysis.input = make_input(start, request, analysis.app);
  open_files(system, analysis);
  read_code(system, request, analysis);
  // Without its environment everything that is said of its endpoints would be made up.
  if (running != nullptr && !running->process.environment) analysis.input.builders.clear();
  analysis.predictions = hosting::predict(analysis.input);
  analysis.code.likely = likely::predict(analysis.input, analysis.code.calls);
  analysis.code.hidden = likely::predict_hidden(analysis.input, analysis.code.calls, analysis.code.likely);

  analysis.unread_settings = settings_beside(system, analysis);
  look_for_certificate(system, request, analysis);
  analysis.rules = {.floor = privilege::floor(options.floor, analysis.identity),
                    .denied_is_low = options.floor.kind != options::FloorKind::number,
                    .map = options.map,
                    .keep = options.keep,
                    .expand = options.expand && options.mode == options::Mode::rewrite,
                    .is_dotnet = analysis.app.is_dotnet()};
  analysis.kernel->ask(questions(analysis, options.check != options::Check::no));
  settle_floor(analysis, options);
  analysis.rules.verdict = [&kernel = *analysis.kernel](const address::Target& target) {
    return kernel.verdict(target);
  };
  analysis.plan = policy::make_plan(analysis.input, analysis.predictions, analysis.rules);
  const bool rewrites = options.mode == options::Mode::rewrite;
  likely::pull_lever(analysis.code, analysis.input, analysis.plan, analysis.rules, rewrites,
                     rewrites && options.code == options::Code::rewrite);
  const diagnosis::Situation situation = situation_of(analysis, options);
  const surroundings::Facts facts{.app = analysis.app,
                                  .program = request.lookup.path,
                                  .input = analysis.input,
                                  .predictions = analysis.predictions};
  analysis.diagnosis = diagnosis::diagnose(situation);
  add_findings(analysis.diagnosis, request.notices, options);
  add_findings(analysis.diagnosis, endpoint_check::check(system, situation), options);
  add_findings(analysis.diagnosis, old_port::check(situation), options);
  // A process that runs has converted them already.
  if (running == nullptr) add_findings(analysis.diagnosis, conversion::check(situation), options);
  add_findings(analysis.diagnosis,
               host_files::check(system, analysis.app, command, request.lookup.path, start.environment), options);
  if (!options.assume) {
    add_findings(analysis.diagnosis, signals::check(system, options.mode), options);
    add_findings(analysis.diagnosis,
                 running == nullptr ? surroundings::check(system, facts) : surroundings::check_limits(system, facts),
                 options);
  }
  add_invalid(analysis.diagnosis, request.invocation.invalid, options);
  if (options.check != options::Check::no && running == nullptr) {
    if (auto finding = say_command(system, start, request)) add_findings(analysis.diagnosis, {*finding}, options);
  }
  return analysis;
}

std::vector<std::string> notes(const system::System& system, const options::Options& options, const Running* running) {
  std::vector<std::string> out;
  constexpr std::string_view kByRule =
      "verdicts follow the rule for low ports, and what else holds a port is not known";
  const system::Ids own = system.ids();
  system::Ids asked = own;
  if (running != nullptr) {
    for (const std::string& one : running->process.unreadable) out.push_back("not readable: " + finding::quote(one));
    asked = running->process.ids;
  }
  if (options.assume) {
    out.push_back(fmt::format("no bind was tried: {}", kByRule));
    asked.effective_uid = options.assume->uid.value_or(asked.effective_uid);
    asked.effective_gid = options.assume->gid.value_or(asked.effective_gid);
  } else if (running != nullptr && !running->why_no_trial.empty()) {
    out.push_back(fmt::format("no bind was tried, since {}: {}", running->why_no_trial, kByRule));
  }
  if (asked.effective_uid != own.effective_uid || asked.effective_gid != own.effective_gid) {
    out.push_back(fmt::format("which files can be read was judged as uid {}, gid {}, not as uid {}, gid {}",
                              own.effective_uid, own.effective_gid, asked.effective_uid, asked.effective_gid));
  }
  return out;
}

std::vector<std::vector<address::Target>> outcomes(const diagnosis::Situation& situation) {
  std::vector<std::vector<address::Target>> out;
  for (const auto* predictions : {&situation.predictions, &situation.code.likely}) {
    for (const hosting::Prediction& one : *predictions) {
      auto& outcome = out.emplace_back();
      for (const kestrel::Endpoint& endpoint : one.lenient().endpoints) outcome.push_back(endpoint.target);
    }
  }
  for (std::size_t i = 0; i < situation.code.likely.size(); ++i) {
    auto& outcome = out.emplace_back();
    for (const auto& [call, target] : situation::likely_endpoints(situation.code, situation.code.likely, i)) {
      outcome.push_back(target);
    }
  }
  return out;
}

}  // namespace portshim::analysis
