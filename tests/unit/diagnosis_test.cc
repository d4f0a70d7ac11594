#include "shim/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "shim/files.h"
#include "shim/likely.h"
#include "tests/support/fake_system.h"

namespace portshim::diagnosis {
namespace {

using address::Target;
using address::Verdict;
using finding::Finding;
using finding::Id;
using finding::Severity;
using hosting::Builder;
using options::Mode;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Words = std::vector<std::string>;

/// One app on one host; a test changes what it is about.
struct Case {
  options::Options options;
  runtime::App app{
      .kind = runtime::Kind::dotnet, .assembly = "App.dll", .first_argument = 2, .asp_net_core = true, .major = 10};
  privilege::Identity identity{.uid = 1654, .gid = 1654};
  policy::Rules rules;
  Words environment;
  Words arguments;
  std::map<std::string, std::string> files;  ///< by name, in the content root
  bool capability_not_usable = false;
  std::vector<code::Call> calls;  ///< of the app's code
  bool code_is_read = false;      ///< and there is nothing else in it
  std::vector<Builder> builders = {Builder::wab, Builder::slim, Builder::gh, Builder::wh};

  Case() { options.mode = Mode::rewrite; }

  Diagnosis diagnose() {
    hosting::Input input{.environment = environment, .argv = {"dotnet", "App.dll"}, .first_argument = 2};
    input.argv.insert(input.argv.end(), arguments.begin(), arguments.end());
    input.builders = builders;
    input.majors = {10};
    support::FakeSystem system;
    system.directory("/app");
    for (const auto& [name, content] : files) system.file("/app/" + name, content);
    const files::Reader reader(system, "/app");
    input.files = &reader;
    input.current_directory = input.base_directory = "/app";
    input.application = "App";
    if (!rules.verdict) {
      rules.verdict = [this](const Target& target) {
        return target.port < identity.port_start ? Verdict::denied : Verdict::allowed;
      };
    }
    rules.expand = options.expand;
    rules.keep = options.keep;
    rules.map = options.map;
    const auto predictions = hosting::predict(input);
    policy::Plan plan = policy::make_plan(input, rules);
    situation::Code code{.complete = code_is_read, .calls = calls, .likely = likely::predict(input, calls)};
    const bool moves_code = options.mode == Mode::rewrite && options.code == options::Code::rewrite;
    code.hidden = likely::predict_hidden(input, calls, code.likely);
    likely::pull_lever(code, input, plan, rules, options.mode == Mode::rewrite, moves_code);
    return diagnosis::diagnose({.options = options,
                                .app = app,
                                .identity = identity,
                                .rules = rules,
                                .input = input,
                                .predictions = predictions,
                                .plan = plan,
                                .code = code,
                                .capability_not_usable = capability_not_usable});
  }

  /// The first finding of an id; an empty one when there is none.
  Finding find(Id id) {
    for (Finding& finding : diagnose().findings) {
      if (finding.id == id) return std::move(finding);
    }
    return {};
  }
};

Case of(Words environment, Mode mode = Mode::rewrite) {
  Case c;
  c.environment = std::move(environment);
  c.options.mode = mode;
  return c;
}

TEST(Diagnosis, AMovedPortIsSaidAsTheDesignSaysIt) {
  const Finding finding = of({"ASPNETCORE_URLS=http://+:80"}).find(Id::low_port);
  EXPECT_EQ(finding.severity, Severity::warning);
  EXPECT_EQ(finding.what, "ASPNETCORE_URLS=http://+:80 asks for port 80, which uid 1654 cannot bind here");
  EXPECT_EQ(finding.why,
            "CAP_NET_BIND_SERVICE is not effective for this process; net.ipv4.ip_unprivileged_port_start=1024");
  EXPECT_EQ(finding.did, "ASPNETCORE_URLS=http://+:8080");
  EXPECT_EQ(
      finding.next,
      "send traffic, probes, HEALTHCHECK and self calls to 8080 (docker run -p HOST:8080, Service targetPort, "
      "WEBSITES_PORT); "
      "better, set ASPNETCORE_HTTP_PORTS=8080 in the image or chart and remove ASPNETCORE_URLS; all this unless the "
      "app sets its ports in code");
}

TEST(Diagnosis, BesideADaprSidecarItsAnnotationIsNamed) {
  EXPECT_THAT(of({"ASPNETCORE_URLS=http://+:80", "DAPR_HTTP_PORT=3500"}).find(Id::low_port).next,
              HasSubstr("Service targetPort, dapr.io/app-port, WEBSITES_PORT"));
}

TEST(Diagnosis, ACapabilityInTheBoundingSetAloneIsExplainedWithWhatWouldHelp) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"});
  c.identity.bounding_only = true;
  EXPECT_THAT(c.find(Id::low_port).why,
              AllOf(HasSubstr("CAP_NET_BIND_SERVICE is in the bounding set alone"), HasSubstr("setcap"),
                    HasSubstr("net.ipv4.ip_unprivileged_port_start=1024")));
}

TEST(Diagnosis, ValidateSaysItAsAnErrorAndRefuses) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"}, Mode::validate);
  EXPECT_TRUE(c.diagnose().refuse);
  EXPECT_EQ(c.find(Id::low_port).severity, Severity::error);
  EXPECT_EQ(c.find(Id::low_port).did, "the app was not started (exit code 78)");
  EXPECT_FALSE(of({"ASPNETCORE_URLS=http://+:8080"}, Mode::validate).diagnose().refuse);
}

TEST(Diagnosis, ExplainWarnsAndDoesNothing) {
  const Finding finding = of({"ASPNETCORE_URLS=http://+:80"}, Mode::explain).find(Id::low_port);
  EXPECT_EQ(finding.severity, Severity::warning);
  EXPECT_EQ(finding.did, "nothing: only PORTSHIM=rewrite changes settings");
  EXPECT_THAT(finding.next, HasSubstr("PORTSHIM=rewrite move it to 8080"));
}

TEST(Diagnosis, WhatRewriteHasMovedIsNotRefused) {
  EXPECT_FALSE(of({"ASPNETCORE_URLS=http://+:80"}).diagnose().refuse);
}

TEST(Diagnosis, APortOfAFileIsSaidWithFileKeyAndTheVariableThatOverridesIt) {
  Case c = of({});
  c.files["appsettings.json"] = R"({"Kestrel":{"Endpoints":{"Http":{"Url":"http://+:80"}}}})";
  const Finding finding = c.find(Id::low_port);
  EXPECT_EQ(finding.what,
            "appsettings.json: Kestrel:Endpoints:Http:Url=http://+:80 asks for port 80, which uid 1654 cannot bind "
            "here");
  EXPECT_EQ(finding.did, "Kestrel__Endpoints__Http__Url=http://+:8080, a new variable that overrides the file");
  EXPECT_THAT(finding.next, HasSubstr("change the file: appsettings.json: Kestrel:Endpoints:Http:Url=http://+:8080"));
}

TEST(Diagnosis, ASettingThatLosesIsNamedWithTheWinner) {
  Case c = of({"ASPNETCORE_URLS=http://+:8080"});
  c.files["appsettings.json"] = R"({"Kestrel":{"Endpoints":{"Http":{"Url":"http://+:5000"}}}})";
  EXPECT_EQ(c.find(Id::no_effect).what,
            "ASPNETCORE_URLS=http://+:8080 has no effect: appsettings.json: "
            "Kestrel:Endpoints:Http:Url=http://+:5000 wins");
  EXPECT_EQ(c.find(Id::no_effect).severity, Severity::info);
  c.files["appsettings.json"] = R"({"Urls":"http://+:80"})";
  EXPECT_EQ(c.find(Id::no_effect).severity, Severity::warning);
  EXPECT_THAT(c.find(Id::no_effect).why, HasSubstr("from lowest to highest"));
  EXPECT_EQ(of({"URLS=http://+:5000"}).find(Id::no_effect), Finding{});
}

TEST(Diagnosis, AnEmptySettingThatHidesAnotherIsNamed) {
  EXPECT_EQ(
      of({"ASPNETCORE_URLS=http://+:8080", "URLS="}).find(Id::no_effect).what,
      "ASPNETCORE_URLS=http://+:8080 has no effect with WebApplication.CreateBuilder: URLS=, which is empty, hides it");
}

TEST(Diagnosis, AFileThatEndsTheAppIsNamedWithThePlaceOfTheError) {
  Case c = of({}, Mode::validate);
  c.files["appsettings.json"] = "{\n  \"Urls\": oops\n}";
  const Finding finding = c.find(Id::settings_file);
  EXPECT_EQ(finding.severity, Severity::error);
  EXPECT_EQ(finding.what, "'/app/appsettings.json' ends the app at start: System.IO.InvalidDataException");
  EXPECT_THAT(finding.why, HasSubstr("LineNumber: 1 | BytePositionInLine: 10"));
  EXPECT_EQ(finding.next, "correct the file: line 2, byte 11 (.NET counts both from 0: LineNumber: 1)");
  EXPECT_TRUE(c.diagnose().refuse);
}

TEST(Diagnosis, ACertificateThatIsNotThereEndsAnAppWithoutHttpsToo) {
  Case c = of({"Kestrel__Certificates__Default__Path=tls.pfx"}, Mode::validate);
  const Finding finding = c.find(Id::certificate);
  EXPECT_EQ(finding.what,
            "'/app/tls.pfx' (Kestrel__Certificates__Default__Path) ends the app at start, with some builders: "
            "System.IO.FileNotFoundException");
  // The slim builder does not look at it.
  EXPECT_EQ(finding.severity, Severity::warning);
  EXPECT_FALSE(c.diagnose().refuse);
}

TEST(Diagnosis, AContentRootThatIsNotThereIsNamedWithWhatSetsIt) {
  Case c = of({"ASPNETCORE_CONTENTROOT=/nowhere"}, Mode::validate);
  EXPECT_THAT(c.find(Id::content_root).what, HasSubstr("'/nowhere' (ASPNETCORE_CONTENTROOT) ends the app at start"));
  EXPECT_TRUE(c.diagnose().refuse);
}

TEST(Diagnosis, WhereNoChangeIsRightForEveryBuilderTheyAreNamed) {
  Case c = of({"ASPNETCORE_ENVIRONMENT=A", "DOTNET_ENVIRONMENT=B"});
  c.files["appsettings.A.json"] = R"({"Urls":"http://+:80"})";
  c.files["appsettings.B.json"] = R"({"Urls":"http://+:5000"})";
  const Finding finding = c.find(Id::immovable);
  EXPECT_EQ(finding.did,
            "nothing: no change is right for every builder that the app may use; with wab 10, slim 10 it would change "
            "something else");
  EXPECT_EQ(
      finding.next,
      "change the file: appsettings.A.json: Urls=http://+:8080; until then PORTSHIM_GUARD=redirect moves the bind call "
      "itself");
  // And before it is tried, it is not promised.
  c.options.mode = Mode::explain;
  EXPECT_THAT(c.find(Id::low_port).next,
              AllOf(HasSubstr("Urls=http://+:8080; PORTSHIM=rewrite cannot move it"), HasSubstr("with wab 10")));
}

TEST(Diagnosis, WhereOnlySomeBuildersAskForThePortTheyAreNamed) {
  Case c = of({"ASPNETCORE_URLS=http://+:81"});
  c.files["appsettings.json"] = R"({"Urls":"http://+:80"})";
  std::vector<std::string> said;
  for (const Finding& finding : c.diagnose().findings) {
    if (finding.id == Id::low_port) said.push_back(finding.what);
  }
  ASSERT_EQ(said.size(), 2U);
  EXPECT_THAT(said[0], HasSubstr("asks for port 80, which uid 1654 cannot bind here (with wab, slim, gh)"));
  EXPECT_THAT(said[1], HasSubstr("asks for port 81, which uid 1654 cannot bind here (with wh)"));
}

TEST(Diagnosis, AFilesValueThatWasRepairedIsStillTheFiles) {
  Case c = of({});
  c.files["appsettings.json"] = R"({"Urls":"\"http://+:80\""})";
  const Finding finding = c.find(Id::low_port);
  EXPECT_THAT(finding.what, HasSubstr("appsettings.json: Urls=http://+:80 asks for port 80"));
  EXPECT_THAT(finding.next, HasSubstr("change the file: appsettings.json: Urls=http://+:8080"));
}

TEST(Diagnosis, AnEndpointWithoutUrlIsNamedWithWhereItComesFrom) {
  for (const char* upper : {"null", "{}", "[]"}) {
    Case c = of({"ASPNETCORE_HTTP_PORTS=8080"});
    c.files["appsettings.json"] = R"({"Kestrel":{"Endpoints":{"Http":{"Url":"http://+:5000"}}}})";
    c.files["appsettings.Production.json"] = std::string(R"({"Kestrel":{"Endpoints":{"Http":{"Url":)") + upper + "}}}}";
    EXPECT_EQ(c.find(Id::will_fail).what,
              "appsettings.Production.json: Kestrel:Endpoints:Http:Url ends the app at start: "
              "System.InvalidOperationException");
  }
  Case c = of({});
  c.files["appsettings.json"] = R"({"Kestrel":{"Endpoints":{"Http":{"Protocols":"Http1"}}}})";
  EXPECT_THAT(c.find(Id::will_fail).what, HasSubstr("appsettings.json: Kestrel:Endpoints:Http:Protocols ends the app"));
}

TEST(Diagnosis, ACertificateOfAnEndpointThatIsNotThereEndsTheAppWhateverBuilderItUses) {
  Case c = of({"Kestrel__Endpoints__A__Url=https://+:5001", "Kestrel__Endpoints__A__Certificate__Path=tls.pfx"},
              Mode::validate);
  EXPECT_EQ(c.find(Id::certificate).severity, Severity::error);
  EXPECT_TRUE(c.diagnose().refuse);
}

TEST(Diagnosis, AFrameworkThatIsNotInstalledIsNamed) {
  Case c = of({}, Mode::validate);
  c.app.missing_framework = {.name = "Microsoft.AspNetCore.App", .version = "8.0.0"};
  c.app.dotnet_root = "/usr/share/dotnet";
  const Finding finding = c.find(Id::no_dotnet);
  EXPECT_EQ(finding.what, "the app needs Microsoft.AspNetCore.App 8.0.0, which is not installed");
  EXPECT_THAT(finding.why,
              AllOf(HasSubstr("'/usr/share/dotnet'"), HasSubstr("(installed: none)"), HasSubstr("exit code is 150")));
  EXPECT_EQ(finding.next, "use a base image with that version (mcr.microsoft.com/dotnet/aspnet:8.0)");
  EXPECT_TRUE(c.diagnose().refuse);
}

TEST(Diagnosis, WhatIsInstalledInPlaceOfAFrameworkIsNamedAndRollsForwardWhereItIsHigher) {
  Case c = of({}, Mode::validate);
  c.app.missing_framework = {.name = "Microsoft.AspNetCore.App", .version = "9.0.1"};
  Words& installed = c.app.missing_framework.installed;
  installed = {"8.0.22"};
  EXPECT_THAT(c.find(Id::no_dotnet).why, HasSubstr("(installed: 8.0.22)"));
  EXPECT_THAT(c.find(Id::no_dotnet).next, Not(HasSubstr("roll forward")));
  installed.emplace_back("10.0.0");
  EXPECT_THAT(c.find(Id::no_dotnet).why, HasSubstr("(installed: 8.0.22, 10.0.0)"));
  EXPECT_THAT(c.find(Id::no_dotnet).next, AllOf(HasSubstr("aspnet:9.0)"), HasSubstr("DOTNET_ROLL_FORWARD=Major")));
  c.app.missing_framework.name = "Company.Framework";
  EXPECT_THAT(c.find(Id::no_dotnet).next, Not(HasSubstr("mcr.microsoft.com")));
}

TEST(Diagnosis, AnImageOfTodayIsSilent) {
  for (const Mode mode : {Mode::explain, Mode::validate, Mode::rewrite}) {
    EXPECT_TRUE(of({"ASPNETCORE_HTTP_PORTS=8080"}, mode).diagnose().findings.empty());
    for (const Finding& one :
         of({"ASPNETCORE_HTTP_PORTS=8080", "ASPNETCORE_URLS=http://+:5000"}, mode).diagnose().findings)
      EXPECT_EQ(one.severity, Severity::info) << one.what;
    EXPECT_TRUE(of({}, mode).diagnose().findings.empty());
  }
}

TEST(Diagnosis, AHostThatAllowsThePortIsNamedWithTheOnesThatDoNot) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"});
  c.identity.port_start = 0;
  EXPECT_EQ(c.find(Id::low_port).why,
            "this host allows it (net.ipv4.ip_unprivileged_port_start=0), Podman, CRI-O, ECS and containerd 1 do not; "
            "PORTSHIM_FLOOR=kernel keeps port 80");
  EXPECT_EQ(c.find(Id::low_port).what,
            "ASPNETCORE_URLS=http://+:80 asks for port 80, which uid 1654 can bind on this host but not on every host");
}

TEST(Diagnosis, AFloorByNumberIsNamedAsTheReason) {
  Case c = of({"ASPNETCORE_URLS=http://+:1500"});
  c.options.floor = {.kind = options::FloorKind::number, .number = 2000};
  c.rules.floor = 2000;
  EXPECT_EQ(c.find(Id::low_port).what,
            "ASPNETCORE_URLS=http://+:1500 asks for port 1500, below the floor 2000 that PORTSHIM_FLOOR sets");
}

TEST(Diagnosis, AKernelThatDeniesForAnotherReasonIsBelieved) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"});
  c.identity.port_start = 0;
  c.rules.floor = 0;
  c.rules.verdict = [](const Target& target) { return target.port == 80 ? Verdict::denied : Verdict::allowed; };
  EXPECT_THAT(c.find(Id::low_port).why, HasSubstr("a trial bind was denied although"));
}

TEST(Diagnosis, SeveralPortsOfOneSettingAreOneFinding) {
  const Finding finding = of({"URLS=http://+:80;https://+:443;http://+:81"}).find(Id::low_port);
  EXPECT_THAT(finding.what, HasSubstr("asks for ports 80, 443 and 81,"));
  EXPECT_THAT(finding.next, HasSubstr("to 8080, 8443 and 8081 (docker run -p HOST:8080,"));
  EXPECT_THAT(finding.next, HasSubstr("set URLS=http://+:8080;https://+:8443;http://+:8081 in the image"));
}

TEST(Diagnosis, AMoveThatTheMapNamesIsInfo) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"});
  c.options.map = {{80, 5000}};
  EXPECT_EQ(c.find(Id::low_port).severity, Severity::info);
}

TEST(Diagnosis, AnArgumentIsNamedByItsPlace) {
  Case c;
  c.arguments = {"--urls=http://+:80"};
  EXPECT_THAT(c.find(Id::low_port).what, HasSubstr("argv[2] '--urls=http://+:80' asks for port 80"));
  EXPECT_EQ(c.find(Id::low_port).did, "argv[2] '--urls=http://+:8080'");
}

TEST(Diagnosis, ANewPortThatIsTakenIsSaidWithTheWayOut) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"});
  c.rules.verdict = [](const Target& target) { return target.port == 80 ? Verdict::denied : Verdict::taken; };
  const Finding finding = c.find(Id::new_port_taken);
  EXPECT_EQ(finding.severity, Severity::warning);
  EXPECT_THAT(finding.what, HasSubstr("port 8080, to which ASPNETCORE_URLS=http://+:80 was moved, is taken"));
  EXPECT_EQ(finding.next, "name another port: PORTSHIM_MAP=80:PORT");
}

TEST(Diagnosis, APortThatStaysSinceItWorksIsNotRefused) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"});
  c.rules.verdict = [](const Target& target) { return target.port == 80 ? Verdict::allowed : Verdict::taken; };
  EXPECT_FALSE(c.diagnose().refuse);
  EXPECT_THAT(c.find(Id::new_port_taken).what, HasSubstr("stays on port 80"));
}

TEST(Diagnosis, KeepSaysWhatItAddedAndWhereItCouldNot) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"});
  c.options.keep = true;
  c.identity.port_start = 0;
  EXPECT_EQ(c.find(Id::low_port_kept).did, "ASPNETCORE_URLS=http://+:80;http://+:8080");
  EXPECT_EQ(c.find(Id::low_port_kept).severity, Severity::info);
  c.environment = {"Kestrel__Endpoints__A__Url=http://+:80"};
  EXPECT_THAT(c.find(Id::not_kept).what, HasSubstr("keeps port 80 alone: 8080 cannot be added beside it"));
  EXPECT_FALSE(c.diagnose().refuse);
}

TEST(Diagnosis, APlaceholderIsNamed) {
  const Finding finding = of({"ASPNETCORE_URLS=http://+:${PORT}"}).find(Id::placeholder);
  EXPECT_EQ(finding.what,
            "ASPNETCORE_URLS=http://+:${PORT} has a placeholder that nobody filled in, and .NET takes it for port 80");
  EXPECT_THAT(finding.next, HasSubstr("PORTSHIM_EXPAND=on"));
  EXPECT_THAT(of({"ASPNETCORE_HTTP_PORTS=8080,8081"}).find(Id::placeholder).what,
              HasSubstr("has a port that is no number"));
}

TEST(Diagnosis, WhatIsFilledInIsInfo) {
  Case c = of({"ASPNETCORE_URLS=http://+:${PORT:-5000}"});
  c.options.expand = true;
  EXPECT_EQ(c.find(Id::expanded).did, "ASPNETCORE_URLS=http://+:5000");
  EXPECT_EQ(c.find(Id::placeholder), Finding{});
}

TEST(Diagnosis, ACertainFailureIsAnErrorWithDotnetsOwnText) {
  Case c = of({"ASPNETCORE_URLS=garbage"}, Mode::validate);
  const Finding finding = c.find(Id::will_fail);
  EXPECT_EQ(finding.severity, Severity::error);
  EXPECT_EQ(finding.what, "ASPNETCORE_URLS=garbage ends the app at start: System.FormatException");
  EXPECT_EQ(finding.why, "Invalid url: 'garbage'");
  EXPECT_TRUE(c.diagnose().refuse);
}

TEST(Diagnosis, AFailureOfSomeBuildersIsAWarningWithWebApplicationAndElseInfo) {
  // DOTNET_URLS is read by all but WebHost; ASPNETCORE_URLS beats it in the generic host.
  Case wab = of({"DOTNET_URLS=garbage", "ASPNETCORE_URLS=http://+:8080"}, Mode::validate);
  EXPECT_EQ(wab.find(Id::will_fail).severity, Severity::warning);
  EXPECT_THAT(wab.find(Id::will_fail).why, HasSubstr("(with wab 10, slim 10)"));
  EXPECT_FALSE(wab.diagnose().refuse);
  Case others = of({"ASPNETCORE_URLS=garbage", "DOTNET_URLS=http://+:8080"}, Mode::validate);
  EXPECT_EQ(others.find(Id::will_fail).severity, Severity::info);
}

TEST(Diagnosis, AFailureThatCodeCanPreventIsNotRefused) {
  Case c = of({"ASPNETCORE_URLS=https://+:8443"}, Mode::validate);
  EXPECT_FALSE(c.diagnose().refuse);
  EXPECT_TRUE(c.diagnose().findings.empty());
}

TEST(Diagnosis, ARepairIsSaidAndWhatExplainsAsksForIt) {
  EXPECT_EQ(of({"ASPNETCORE_URLS= http://+:8080"}).find(Id::repaired).did, "ASPNETCORE_URLS=http://+:8080");
  EXPECT_THAT(of({"ASPNETCORE_URLS= http://+:8080"}, Mode::explain).find(Id::will_fail).next,
              HasSubstr("PORTSHIM=rewrite does so"));
}

TEST(Diagnosis, APortThatTheAppBindsTwiceIsAnError) {
  Case c = of({"ASPNETCORE_URLS=http://+:8080;http://*:8080"}, Mode::validate);
  EXPECT_EQ(c.find(Id::collision).severity, Severity::error);
  EXPECT_TRUE(c.diagnose().refuse);
}

TEST(Diagnosis, TwoSpellingsOfOneNameAreNamedWithoutTheirValues) {
  const Finding finding =
      of({"Kestrel__Certificates__Default__Password=secret", "KESTREL__Certificates__Default__Password=x"})
          .find(Id::ambiguous_name);
  EXPECT_THAT(finding.what,
              HasSubstr("Kestrel__Certificates__Default__Password and KESTREL__Certificates__Default__Password"));
  EXPECT_THAT(finding.what + finding.why + finding.did + finding.next, Not(HasSubstr("secret")));
  EXPECT_EQ(of({"URLS=a", "urls=a"}).find(Id::ambiguous_name), Finding{});
}

TEST(Diagnosis, TheVariablesOfIisAreWarnedOf) {
  EXPECT_EQ(
      of({"ASPNETCORE_PORT=5000", "ASPNETCORE_APPL_PATH=/", "ASPNETCORE_TOKEN=t"}).find(Id::iis_variables).severity,
      Severity::warning);
  EXPECT_EQ(of({"ASPNETCORE_PORT=5000"}).find(Id::iis_variables), Finding{});
}

TEST(Diagnosis, ArgumentsOfAnotherProgramAreSaidToBeImmovable) {
  Case c;
  c.app.kind = runtime::Kind::other;
  c.rules.is_dotnet = false;
  c.arguments = {"--urls=http://+:80"};
  EXPECT_EQ(c.find(Id::immovable).severity, Severity::error);
  EXPECT_TRUE(c.diagnose().refuse);
}

TEST(Diagnosis, AMissingAppIsAnErrorThatNamesWhatIsThere) {
  Case c = of({}, Mode::validate);
  c.app.assembly_missing = true;
  c.app.assemblies_there = {"Api.dll", "Worker.dll"};
  EXPECT_TRUE(c.diagnose().refuse);
  EXPECT_THAT(c.find(Id::app_missing).why, HasSubstr("the apps in that folder are: Api.dll, Worker.dll"));
  c.app.assembly = "bin/Api.dll";
  EXPECT_THAT(c.find(Id::app_missing).why, HasSubstr("the folder was not copied whole"));
  EXPECT_THAT(c.find(Id::app_missing).next, HasSubstr("copy the whole publish folder"));
  c.app.assembly_missing = false;
  c.app.runtimeconfig_missing = true;
  c.app.runtimeconfig = "App.runtimeconfig.json";
  EXPECT_THAT(c.find(Id::runtimeconfig_missing).what, HasSubstr("'App.runtimeconfig.json' is missing"));
}

TEST(Diagnosis, WhatBindsNothingHasNoPortFindings) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"}, Mode::validate);
  c.app.asp_net_core = false;
  EXPECT_TRUE(c.diagnose().findings.empty());
  EXPECT_FALSE(c.diagnose().refuse);
}

TEST(Diagnosis, ErrorsComeFirst) {
  const auto findings = of({"ASPNETCORE_URLS=http://+:80;http://+:$X;garbage"}).diagnose().findings;
  EXPECT_TRUE(std::ranges::is_sorted(findings, std::ranges::greater{}, &Finding::severity));
  EXPECT_GE(findings.size(), 3U);
}

TEST(Diagnosis, WhatComesFromOutsideIsEscapedMaskedAndCut) {
  const Finding finding =
      of({"ASPNETCORE_URLS=http://user:pw@x\x1b[31m" + std::string(1000, 'y') + ":80"}).find(Id::low_port);
  EXPECT_THAT(finding.what, Not(HasSubstr("pw")));
  EXPECT_THAT(finding.what, Not(HasSubstr("\x1b")));
  EXPECT_LT(finding.what.size(), 500U);
}

TEST(Diagnosis, ACapabilityThatTheKernelDoesNotHonourIsSaid) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"});
  c.capability_not_usable = true;
  EXPECT_EQ(c.find(Id::capability_not_usable).severity, Severity::info);
}

TEST(Diagnosis, WhatTheKernelDeniesIsSaidWhateverTheFloor) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"});
  c.options.floor = {.kind = options::FloorKind::number, .number = 0};
  c.rules.floor = 0;
  c.rules.denied_is_low = false;
  EXPECT_TRUE(c.diagnose().refuse);
  EXPECT_EQ(c.find(Id::low_port).did, "nothing: PORTSHIM_FLOOR=0 allows it");
  c.identity.port_start = 0;
  EXPECT_TRUE(c.diagnose().findings.empty());
}

TEST(Diagnosis, AMapThatCannotBeFollowedIsSaid) {
  Case c = of({"ASPNETCORE_URLS=http://+:80"});
  c.options.map = {{80, 81}};
  EXPECT_THAT(c.find(Id::merged).what, HasSubstr("PORTSHIM_MAP sends port 80 to 81, which is below the floor 1024"));
}

TEST(Diagnosis, ACommaBetweenAddressesIsNamed) {
  EXPECT_EQ(of({"ASPNETCORE_URLS=http://+:8080,http://+:8081"}).find(Id::will_fail).next,
            "separate addresses with ';', without blanks");
}

TEST(Diagnosis, WhatIsMeantForAUnixSocketGetsNoAdviceAboutPorts) {
  constexpr std::string_view kNext = "a unix socket is written http://unix:/whole/path.sock";
  for (const char* url : {"http://unix:./a.sock", "unix:/run/a.sock", "unix:///run/a", "http://unix/run/a",
                          "http+unix:/run/a", "http://Unix:/run/a", "/run/a.sock"}) {
    EXPECT_EQ(of({std::string("ASPNETCORE_URLS=") + url}).find(Id::will_fail).next, kNext) << url;
  }
  EXPECT_NE(of({"ASPNETCORE_URLS=http://myunix:80/x"}).find(Id::will_fail).next, kNext);
  EXPECT_NE(of({"ASPNETCORE_URLS=http://unix:80/x"}).find(Id::will_fail).next, kNext);
  EXPECT_NE(of({"ASPNETCORE_URLS=http://unix:/run/a.sock;http://+:80/x"}).find(Id::will_fail).next, kNext);
}

TEST(Diagnosis, ARelativeUnixSocketIsSaidOnceAndStillRefused) {
  Case c = of({"ASPNETCORE_URLS=http://unix:a.sock"}, Mode::validate);
  EXPECT_EQ(c.find(Id::low_port), Finding{});
  EXPECT_EQ(c.find(Id::placeholder).severity, Severity::error);
  EXPECT_EQ(c.find(Id::placeholder).next, "a unix socket is written http://unix:/whole/path.sock");
  EXPECT_TRUE(c.diagnose().refuse);
  c.options.mode = Mode::explain;
  EXPECT_EQ(c.find(Id::placeholder).severity, Severity::warning);
  c.environment = {"ASPNETCORE_URLS=http://unix:a.sock;http://127.0.0.1:81"};
  EXPECT_NE(c.find(Id::low_port), Finding{});
}

TEST(Diagnosis, OutOfReachInAContainerIsSaidWhereNothingNamesAPort) {
  const std::string container = "DOTNET_RUNNING_IN_CONTAINER=true";
  EXPECT_EQ(of({container}).find(Id::local_alone).severity, Severity::info) << "the code may name one";
  EXPECT_EQ(of({container, "ASPNETCORE_URLS="}).find(Id::local_alone).severity, Severity::info);
  EXPECT_EQ(of({}).find(Id::local_alone), Finding{});
  for (const char* setting : {"ASPNETCORE_HTTP_PORTS=8080", "URLS=http://localhost:5000", "DOTNET_URLS=http://+:5000",
                              "Kestrel__Endpoints__A__Url=http://+:8080"}) {
    EXPECT_EQ(of({container, setting}).find(Id::local_alone), Finding{}) << setting;
  }
}

TEST(Diagnosis, AnArgumentIsToBeChangedWhereItIsGiven) {
  Case c;
  c.arguments = {"--urls", "http://+:80"};
  EXPECT_THAT(c.find(Id::low_port).next, HasSubstr("better, change the argument to argv[3] 'http://+:8080'"));
}

TEST(Diagnosis, APlaceholderThatCouldNotBeFilledInIsStillNamed) {
  Case c = of({"ASPNETCORE_URLS=http://+:${NOPE}"});
  c.options.expand = true;
  EXPECT_EQ(c.find(Id::placeholder).severity, Severity::warning);
}

// ---- The app's code ----------------------------------------------------------------------------------------------

Case with_code(std::vector<code::Call> calls, Words environment = {}, Mode mode = Mode::explain) {
  Case c = of(std::move(environment), mode);
  for (code::Call& call : calls) {
    call.assembly = "App.dll";
    call.method = "Program.<Main>$";
  }
  c.calls = std::move(calls);
  c.code_is_read = true;
  c.builders = {Builder::wab};
  return c;
}

code::Call listen_any(std::uint16_t port) {
  return {.kind = code::Kind::listen,
          .api = "ListenAnyIP",
          .arguments = std::to_string(port),
          .target = {.https = false, .bind = address::Bind::any, .address = {}, .port = port}};
}

code::Call use_urls(const std::string& urls) {
  return {.kind = code::Kind::setting, .api = "UseUrls", .arguments = urls, .key = "urls", .value = urls};
}

TEST(DiagnosisOfCode, ALowPortNamesTheCallAndTheSettingThatMovesIt) {
  const Finding finding = with_code({listen_any(80)}).find(Id::code_port);
  EXPECT_EQ(finding.severity, Severity::warning);
  EXPECT_EQ(finding.what,
            "App.dll, Program.<Main>$: ListenAnyIP(80) asks for port 80, which uid 1654 cannot bind here");
  EXPECT_EQ(finding.did,
            "nothing: only PORTSHIM=rewrite with PORTSHIM_CODE=rewrite changes settings for what code does");
  EXPECT_EQ(finding.next,
            "set ASPNETCORE_URLS=http://*:8080 and ASPNETCORE_PREFERHOSTINGURLS=true, which moves it; better, take the "
            "port out of the code, and set ASPNETCORE_HTTP_PORTS");
}

TEST(DiagnosisOfCode, ItIsNoReasonToRefuse) {
  Case c = with_code({listen_any(80)}, {}, Mode::validate);
  EXPECT_FALSE(c.diagnose().refuse);
  EXPECT_EQ(c.find(Id::code_port).severity, Severity::warning);
}

TEST(DiagnosisOfCode, WhereNoSettingMovesItThatIsSaid) {
  EXPECT_THAT(with_code({listen_any(80), use_urls("http://*:5000")}).find(Id::code_port).next,
              AllOf(HasSubstr("no setting is known that moves it"), HasSubstr("PORTSHIM_GUARD=redirect")));
}

TEST(DiagnosisOfCode, RewriteOfCodeSetsTheLever) {
  Case c = with_code({use_urls("http://*:80")}, {}, Mode::rewrite);
  EXPECT_THAT(c.find(Id::code_port).did, HasSubstr("nothing: only"));
  c.options.code = options::Code::rewrite;
  EXPECT_EQ(c.find(Id::code_port).did, "Kestrel__Endpoints__Http__Url=http://*:8080");
}

TEST(DiagnosisOfCode, RewriteOfCodeLeavesAloneWhatIsNotSafe) {
  code::Call call = listen_any(80);
  call.has_options = true;
  Case c = with_code({call}, {}, Mode::rewrite);
  c.options.code = options::Code::rewrite;
  EXPECT_THAT(c.find(Id::code_port).did, HasSubstr("nothing: it is done only where"));
  EXPECT_THAT(c.find(Id::code_port).next, HasSubstr("what the call configures beside the port is lost"));
}

TEST(DiagnosisOfCode, ASocketBesideKestrelIsMovedByTheGuardAlone) {
  Case c = with_code({{.kind = code::Kind::socket,
                       .api = "TcpListener",
                       .arguments = "IPAddress.Any, 25",
                       .target = {.https = false, .bind = address::Bind::any, .address = {}, .port = 25}}});
  EXPECT_THAT(c.find(Id::code_port).what, HasSubstr("TcpListener(IPAddress.Any, 25) asks for port 25"));
  EXPECT_EQ(c.find(Id::code_port).next,
            "change the code: no setting of ASP.NET Core reaches it; until then PORTSHIM_GUARD=redirect moves the bind "
            "call itself");
  c.options.guard = options::Guard::strict;
  EXPECT_THAT(c.find(Id::code_port).next, HasSubstr("; --guard=strict moves the bind call itself"));
  c.rules.verdict = [](const Target&) { return Verdict::allowed; };
  EXPECT_EQ(c.find(Id::code_port).next, "change the code: no setting of ASP.NET Core reaches it")
      << "where the kernel allows the port the guard does nothing";
}

TEST(DiagnosisOfCode, AConfiguredLowPortThatCodeOverridesIsNoReasonToRefuse) {
  Case c = with_code({use_urls("http://*:5000")}, {"ASPNETCORE_URLS=http://+:80"}, Mode::validate);
  EXPECT_FALSE(c.diagnose().refuse);
  EXPECT_EQ(c.find(Id::low_port).what, "");
  const Finding finding = c.find(Id::code_overrides);
  EXPECT_EQ(finding.severity, Severity::info);
  EXPECT_EQ(finding.what,
            "ASPNETCORE_URLS=http://+:80 is likely to have no effect: App.dll, Program.<Main>$: "
            "UseUrls(http://*:5000) takes its place");
  // The same call, and a configuration that beats it.
  c.environment.push_back("Kestrel__Endpoints__Http__Url=http://+:81");
  EXPECT_TRUE(c.diagnose().refuse);
}

TEST(DiagnosisOfCode, AFailureThatCodePreventsIsNoReasonToRefuse) {
  Case c = with_code({use_urls("http://*:5000")}, {"ASPNETCORE_URLS=garbage"}, Mode::validate);
  EXPECT_FALSE(c.diagnose().refuse);
  EXPECT_EQ(c.find(Id::will_fail).severity, Severity::warning);
  c.calls.clear();
  EXPECT_TRUE(c.diagnose().refuse);
}

TEST(DiagnosisOfCode, WhatIsComputedAtRunTimeIsInformation) {
  code::Call call{
      .kind = code::Kind::listen, .api = "ListenAnyIP", .arguments = "computed at run time", .known = false};
  const Finding finding = with_code({call}).find(Id::code_unknown);
  EXPECT_EQ(finding.severity, Severity::info);
  EXPECT_THAT(finding.what, HasSubstr("ListenAnyIP(computed at run time) sets an endpoint"));
}

TEST(DiagnosisOfCode, WhereTheCodeWasReadTheReservationIsGone) {
  EXPECT_THAT(of({"ASPNETCORE_URLS=http://+:80"}).find(Id::low_port).next,
              HasSubstr("; all this unless the app sets its ports in code"));
  EXPECT_THAT(with_code({}, {"ASPNETCORE_URLS=http://+:80"}).find(Id::low_port).next, Not(HasSubstr("unless")));
  EXPECT_THAT(with_code({{.kind = code::Kind::configuration}}, {"ASPNETCORE_URLS=http://+:80"}).find(Id::low_port).next,
              HasSubstr("; all this unless settings that the app's code adds say otherwise"));
}

TEST(DiagnosisOfCode, OfTwoCallsOfWhichOneHidesTheOtherBothAreLikely) {
  Case c = with_code({use_urls("http://*:80"), use_urls("http://localhost:5123")}, {}, Mode::rewrite);
  c.options.code = options::Code::rewrite;
  const Finding finding = c.find(Id::code_port);
  EXPECT_THAT(finding.what, HasSubstr("UseUrls(http://*:80) asks for port 80"));
  EXPECT_THAT(finding.did, HasSubstr("nothing")) << "which of them runs is not known";
}

TEST(DiagnosisOfCode, AConfiguredPortThatWorksIsNotMovedForCode) {
  Case c = with_code({use_urls("http://*:80")}, {"ASPNETCORE_HTTP_PORTS=9009"}, Mode::rewrite);
  c.options.code = options::Code::rewrite;
  EXPECT_THAT(c.find(Id::code_port).did, HasSubstr("nothing"));
  c.environment = {"ASPNETCORE_HTTP_PORTS=8080"};
  EXPECT_EQ(c.find(Id::code_port).did, "Kestrel__Endpoints__Http__Url=http://*:8080") << "it stays on 8080";
}

TEST(DiagnosisOfCode, WithKeepTheCodeIsLeftAloneAndTheAdviceStays) {
  Case c = with_code({use_urls("http://*:80")}, {}, Mode::rewrite);
  c.options.code = options::Code::rewrite;
  c.options.keep = true;
  EXPECT_EQ(c.find(Id::code_port).did, "nothing: PORTSHIM_KEEP is on");
  EXPECT_THAT(c.find(Id::code_port).next, HasSubstr("set Kestrel__Endpoints__Http__Url=http://*:8080, which moves it"));
}

TEST(DiagnosisOfCode, TheAdviceIsForTheSettingsAsTheyAreWhereNothingIsRewritten) {
  Case c = with_code({listen_any(80)});
  c.arguments = {"--urls", "http://+:80"};
  EXPECT_THAT(c.find(Id::code_port).next,
              HasSubstr("start it with --urls http://*:8080 --preferHostingUrls true, which moves it"));
}

TEST(DiagnosisOfCode, ANewPortThatIsTakenIsTold) {
  Case c = with_code({listen_any(80)}, {}, Mode::rewrite);
  c.options.code = options::Code::rewrite;
  c.rules.verdict = [](const Target& target) { return target.port == 80 ? Verdict::denied : Verdict::taken; };
  EXPECT_THAT(c.find(Id::new_port_taken).what, HasSubstr("port 8080, to which App.dll, Program.<Main>$"));
}

TEST(DiagnosisOfCode, WhereAnotherSectionIsReadNothingIsRewritten) {
  Case c = with_code({listen_any(80), {.kind = code::Kind::kestrel_section, .api = "Configure", .key = "MyKestrel"}},
                     {}, Mode::rewrite);
  c.options.code = options::Code::rewrite;
  EXPECT_THAT(c.find(Id::code_port).did, HasSubstr("nothing"));
}

}  // namespace
}  // namespace portshim::diagnosis
