#include "shim/endpoint_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include "shim/likely.h"
#include "tests/support/fake_system.h"

namespace portshim::endpoint_check {
namespace {

using address::Target;
using address::Verdict;
using finding::Finding;
using finding::Id;
using finding::Severity;
using hosting::Builder;
using options::Mode;
using support::Call;
using support::FakeSystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// An app with these variables; a test changes what it is about.
struct Case {
  explicit Case(std::vector<std::string> variables) : environment(std::move(variables)) {
    options.mode = Mode::explain;
    system.directory("/run/app", 0755, 1654, 1654);
    rules.verdict = [this](const Target& target) {
      const auto found = verdicts.find(address::place_of(target));
      return found == verdicts.end() ? Verdict::allowed : found->second;
    };
  }

  std::vector<Finding> check() {
    hosting::Input input{.environment = environment, .argv = {"dotnet", "App.dll"}, .first_argument = 2};
    input.builders = builders;
    input.majors = {10};
    const auto predictions = hosting::predict(input);
    policy::Plan plan = policy::make_plan(input, rules);
    situation::Code code{.complete = !calls.empty(), .calls = calls, .likely = likely::predict(input, calls)};
    code.likely_after = likely::predict(plan.after, calls);
    return endpoint_check::check(system, {.options = options,
                                          .app = app,
                                          .identity = identity,
                                          .rules = rules,
                                          .input = input,
                                          .predictions = predictions,
                                          .plan = plan,
                                          .code = code});
  }
  Finding only() {
    const auto findings = check();
    EXPECT_EQ(findings.size(), 1U);
    return findings.empty() ? Finding{} : findings.front();
  }

  std::vector<std::string> environment;
  FakeSystem system;
  options::Options options;
  runtime::App app{
      .kind = runtime::Kind::dotnet, .assembly = "App.dll", .first_argument = 2, .asp_net_core = true, .major = 10};
  privilege::Identity identity{.uid = 1654, .gid = 1654};
  policy::Rules rules;
  std::map<std::string, Verdict> verdicts;
  std::vector<code::Call> calls;
  std::vector<Builder> builders = {Builder::wab, Builder::slim, Builder::gh, Builder::wh};
};

Case socket_at(const std::string& path) {
  return Case({"ASPNETCORE_URLS=http://unix:" + path});
}

TEST(UnixSocket, ThatCanBeMadeIsSilent) {
  EXPECT_THAT(socket_at("/run/app/k.sock").check(), IsEmpty());
}

TEST(UnixSocket, WithoutItsFolderIsAnError) {
  const Finding finding = socket_at("/none/k.sock").only();
  EXPECT_EQ(finding.id, Id::socket_directory);
  EXPECT_EQ(finding.severity, Severity::error);
  EXPECT_EQ(finding.what, "ASPNETCORE_URLS=http://unix:/none/k.sock ends the app at start: there is no folder '/none'");
}

TEST(UnixSocket, InAFileIsAnErrorForRootToo) {
  Case c = socket_at("/run/app/file/k.sock");
  c.system.file("/run/app/file", "x", 0777).become_root();
  EXPECT_THAT(c.only().what, HasSubstr("there is no folder '/run/app/file'"));
}

TEST(UnixSocket, InAFolderOfSomebodyElseIsAnError) {
  EXPECT_THAT(socket_at("/run/k.sock").only().what, HasSubstr("uid 1654 may make no file in '/run'"));
}

TEST(UnixSocket, OnAReadOnlyFileSystemIsAnError) {
  Case c = socket_at("/run/app/k.sock");
  c.system.fail(Call::writable, "/run/app", EROFS);
  EXPECT_THAT(c.only().why, HasSubstr("read-only"));
}

TEST(UnixSocket, ThatWasLeftBehindIsToldFromALiveOne) {
  Case c = socket_at("/run/app/k.sock");
  c.system.socket("/run/app/k.sock");
  EXPECT_EQ(c.only().severity, Severity::error);
  EXPECT_THAT(c.only().what, HasSubstr("'/run/app/k.sock' is a socket file that was left behind"));
  c.system.listening.insert("/run/app/k.sock");
  EXPECT_EQ(c.only().severity, Severity::warning);
  EXPECT_THAT(c.only().what, HasSubstr("another process listens on '/run/app/k.sock'"));
  for (const int code : {EACCES, EPROTOTYPE, ENFILE}) {
    c.system.fail(Call::connect_to_socket, "/run/app/k.sock", code);
    EXPECT_EQ(c.only().severity, Severity::warning);
    EXPECT_THAT(c.only().what, HasSubstr("another process may be using '/run/app/k.sock'"));
  }
}

TEST(UnixSocket, OnlySocketFilesAreConnectedTo) {
  Case c = socket_at("/run/app/k.sock");
  c.system.special("/run/app/k.sock");
  EXPECT_THAT(c.only().what, HasSubstr("'/run/app/k.sock' is there, and no socket"));
  c.system.link("/run/app/k.sock", "nowhere");
  EXPECT_EQ(c.only().id, Id::socket_file);
  EXPECT_THAT(c.system.paths(Call::connect_to_socket), IsEmpty());
}

TEST(UnixSocket, ThatOnlySomeBuildersBindIsAWarningOrLess) {
  Case c({"URLS=http://unix:/none/k.sock"});
  EXPECT_EQ(c.only().severity, Severity::warning);  // wh reads no variable without prefix
  c.builders = {Builder::wab, Builder::slim};
  EXPECT_EQ(c.only().severity, Severity::error);
  c.environment = {"ASPNETCORE_URLS=http://unix:/none/k.sock", "URLS=http://+:8080"};
  c.builders = {Builder::wab, Builder::wh};
  EXPECT_EQ(c.only().severity, Severity::info);
}

TEST(UnixSocket, ThatTheCodeIsLikelyToOverrideIsNotSaid) {
  Case c = socket_at("/none/k.sock");
  c.calls = {{.kind = code::Kind::listen, .api = "ListenAnyIP", .target = {.address = {}, .port = 8080}}};
  EXPECT_THAT(c.check(), IsEmpty());
}

TEST(UnixSocket, ThatIsBoundTwiceIsAnError) {
  Case c({"ASPNETCORE_URLS=http://unix:/run/app/k.sock;http://unix:/run/app/k.sock"});
  EXPECT_EQ(c.only().id, Id::collision);
  EXPECT_EQ(c.only().severity, Severity::error);
}

TEST(Endpoints, AreNobodysBusinessInAnAppThatBindsNothing) {
  Case c = socket_at("/none/k.sock");
  c.app.asp_net_core = false;
  EXPECT_THAT(c.check(), IsEmpty());
}

TEST(Address, ThatThisHostDoesNotHaveIsAnError) {
  Case c({"ASPNETCORE_URLS=http://192.0.2.1:8080"});
  c.verdicts["192.0.2.1:8080"] = Verdict::unavailable;
  EXPECT_EQ(c.only().id, Id::address_unavailable);
  EXPECT_EQ(c.only().severity, Severity::error);
  EXPECT_THAT(c.only().what, HasSubstr("192.0.2.1 is no address of this host"));
}

TEST(Address, OfALinkNeedsTheNameOrNumberOfAnInterface) {
  for (const char* url : {"http://[fe80::1]:8080", "http://[febf::1]:8080"}) {
    Case c({std::string("ASPNETCORE_URLS=") + url});
    EXPECT_EQ(c.only().id, Id::address_unavailable) << url;
    EXPECT_THAT(c.only().what, HasSubstr("no interface is named"));
  }
  for (const char* url : {"http://[fe80::1%eth0]:8080", "http://[fe80::1%3]:8080", "http://[fec0::1]:8080",
                          "http://[fe8::1]:8080", "http://fe80.example:8080"}) {
    EXPECT_THAT(Case({std::string("ASPNETCORE_URLS=") + url}).check(), IsEmpty()) << url;
  }
}

TEST(Address, InUseIsAWarning) {
  Case c({"ASPNETCORE_URLS=http://+:9000"});
  c.verdicts["ANY:9000"] = Verdict::taken;
  EXPECT_EQ(c.only().what, "port 9000 of ASPNETCORE_URLS=http://+:9000 is held by another process");
  EXPECT_EQ(c.only().severity, Severity::warning);
}

TEST(Address, ThatIsTheNewOneOfAMoveIsLeftToTheMove) {
  Case c({"ASPNETCORE_URLS=http://+:80"});
  c.options.mode = Mode::rewrite;
  c.verdicts = {{"ANY:80", Verdict::denied}, {"ANY:8080", Verdict::taken}};
  EXPECT_THAT(c.check(), IsEmpty());
}

TEST(Address, NoMoreThanAFewAreAskedForAtAStart) {
  std::string urls = "ASPNETCORE_URLS=";
  for (int port = 2000; port < 3000; ++port) urls += "http://+:" + std::to_string(port) + ";";
  Case c({urls});
  int asked = 0;
  c.rules.verdict = [&](const Target&) {
    ++asked;
    return Verdict::allowed;
  };
  const auto of_policy = [&] {
    asked = 0;
    c.app.asp_net_core = false;
    c.check();
    c.app.asp_net_core = true;
    return asked;
  }();
  asked = 0;
  c.check();
  EXPECT_LE(asked - of_policy, 8);
}

TEST(Https, WithoutACertificateIsAWarningSaidOnce) {
  for (const char* variable :
       {"ASPNETCORE_URLS=https://+:8443;https://+:8444", "Kestrel__Endpoints__A__Url=https://+:8443"}) {
    Case c({variable});
    EXPECT_EQ(c.only().id, Id::no_certificate);
    EXPECT_EQ(c.only().severity, Severity::warning);
    EXPECT_THAT(c.only().what, HasSubstr("unless its code sets a certificate: none is configured"));
  }
}

TEST(Https, OfTheSlimBuilderHasToBeEnabled) {
  Case c({"ASPNETCORE_URLS=https://+:8443"});
  c.builders = {Builder::slim};
  EXPECT_THAT(c.only().what, HasSubstr("unless its code enables https"));
}

TEST(Https, WithADevelopmentCertificateIsSilent) {
  Case c({"ASPNETCORE_URLS=https://+:8443", "HOME=/home/app"});
  c.system.directory("/home/app/.dotnet/corefx/cryptography/x509stores/my");
  EXPECT_EQ(c.only().id, Id::no_certificate);
  c.system.file("/home/app/.dotnet/corefx/cryptography/x509stores/my/A.pfx", "x");
  EXPECT_THAT(c.check(), IsEmpty());
}

TEST(Https, ThatTheCodeIsLikelyToTakeCareOfIsSilent) {
  Case c({"ASPNETCORE_URLS=https://+:8443"});
  c.builders = {Builder::wab};
  c.calls = {{.kind = code::Kind::listen, .api = "ListenAnyIP", .target = {.address = {}, .port = 8080}}};
  EXPECT_THAT(c.check(), IsEmpty());
  c.calls = {{.kind = code::Kind::certificate, .api = "set_ServerCertificate"}};
  EXPECT_THAT(c.check(), IsEmpty());
  c.calls = {{.kind = code::Kind::configuration, .api = "UseConfiguration", .known = false}};
  EXPECT_EQ(c.only().id, Id::no_certificate);
}

}  // namespace
}  // namespace portshim::endpoint_check
