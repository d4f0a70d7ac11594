#include "shim/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <functional>
#include <string>
#include <vector>

namespace portshim::report {
namespace {

using address::Target;
using address::Verdict;
using options::Mode;
using testing::HasSubstr;
using testing::Not;
using Words = std::vector<std::string>;

std::string as_plain_text(const Report& report) {
  return as_text(report, false);
}

/// The report of an app with these variables as uid 1654.
struct Sample {
  options::Options options;
  runtime::App app{
      .kind = runtime::Kind::dotnet, .assembly = "App.dll", .first_argument = 2, .asp_net_core = true, .major = 10};
  privilege::Identity identity{.uid = 1654, .gid = 1000};
  policy::Rules rules;
  hosting::Input input{.environment = {}, .argv = {"dotnet", "App.dll"}, .first_argument = 2};
  std::vector<hosting::Prediction> predictions;
  policy::Plan plan;
  std::vector<std::string> settings_files;

  Sample(Words environment, Mode mode) {
    options.mode = mode;
    input.environment = std::move(environment);
    input.builders = {hosting::Builder::wab, hosting::Builder::wh};
    input.majors = {10};
    rules.verdict = [](const Target& target) { return target.port < 1024 ? Verdict::denied : Verdict::allowed; };
    predictions = hosting::predict(input);
    plan = policy::make_plan(input, rules);
  }

  std::string write(const std::function<std::string(const Report&)>& format) const {
    const diagnosis::Situation situation{.options = options,
                                         .app = app,
                                         .identity = identity,
                                         .rules = rules,
                                         .input = input,
                                         .predictions = predictions,
                                         .plan = plan,
                                         .settings_files = settings_files};
    const diagnosis::Diagnosis diagnosis = diagnosis::diagnose(situation);
    return format({.situation = situation, .diagnosis = diagnosis});
  }
};

rapidjson::Document json_of(const Sample& sample) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseValidateEncodingFlag>(sample.write(as_json).c_str());
  EXPECT_FALSE(document.HasParseError());
  return document;
}

TEST(Report, TheSettingsFilesThatWereFoundAreListed) {
  Sample sample({}, Mode::explain);
  sample.settings_files = {"/app/appsettings.json", "/app/appsettings.Production.json"};
  const auto json = json_of(sample);
  ASSERT_EQ(json["files"].Size(), 2U);
  EXPECT_STREQ(json["files"][1].GetString(), "/app/appsettings.Production.json");
  EXPECT_THAT(sample.write(as_plain_text), testing::HasSubstr("file:      /app/appsettings.json\n"));
}

TEST(Report, AVariableThatIsNewHasNoOldValue) {
  Sample sample({}, Mode::rewrite);
  sample.plan.edits = {{.kind = edit::Edit::Kind::set, .name = "URLS", .old_value = {}, .new_value = "http://+:8080"}};
  EXPECT_TRUE(json_of(sample)["edits"][0]["old"].IsNull());
  EXPECT_THAT(sample.write(as_plain_text), testing::HasSubstr("  add URLS: 'http://+:8080'\n"));
}

TEST(Report, TheJsonObjectHasTheFieldsOfTheContract) {
  const auto json = json_of({{"ASPNETCORE_URLS=http://+:80;https://127.0.0.1:5001"}, Mode::rewrite});
  EXPECT_STREQ(json["version"].GetString(), PORTSHIM_VERSION);
  EXPECT_STREQ(json["mode"].GetString(), "rewrite");
  EXPECT_STREQ(json["verdict"].GetString(), "start");
  EXPECT_EQ(json["identity"]["uid"].GetInt(), 1654);
  EXPECT_EQ(json["identity"]["gid"].GetInt(), 1000);
  EXPECT_FALSE(json["identity"]["netBindService"].GetBool());
  EXPECT_EQ(json["identity"]["unprivilegedPortStart"].GetInt(), 1024);
  EXPECT_EQ(json["identity"]["floor"].GetInt(), 1024);
  EXPECT_STREQ(json["app"]["kind"].GetString(), "dotnet");
  EXPECT_STREQ(json["app"]["assembly"].GetString(), "App.dll");
  EXPECT_TRUE(json["app"]["aspNetCore"].GetBool());
  EXPECT_EQ(json["app"]["major"].GetInt(), 10);
}

TEST(Report, APredictionListsItsEndpointsAndItsFailure) {
  const auto json = json_of({{"ASPNETCORE_URLS=http://+:80;https://127.0.0.1:5001"}, Mode::rewrite});
  const auto& prediction = json["predictions"][0];
  EXPECT_EQ(json["predictions"].Size(), 2U);
  EXPECT_STREQ(prediction["builder"].GetString(), "wab");
  EXPECT_EQ(prediction["major"].GetInt(), 10);
  ASSERT_EQ(prediction["endpoints"].Size(), 1U);
  const auto& endpoint = prediction["endpoints"][0];
  EXPECT_STREQ(endpoint["scheme"].GetString(), "http");
  EXPECT_STREQ(endpoint["bind"].GetString(), "any");
  EXPECT_TRUE(endpoint["address"].IsNull());
  EXPECT_EQ(endpoint["port"].GetInt(), 80);
  EXPECT_STREQ(endpoint["origin"].GetString(), "ASPNETCORE_URLS");
  EXPECT_TRUE(prediction["likely"].Empty());
  EXPECT_STREQ(prediction["failure"]["type"].GetString(), "System.InvalidOperationException");
  EXPECT_THAT(prediction["failure"]["message"].GetString(), HasSubstr("Unable to configure HTTPS endpoint"));
  EXPECT_FALSE(prediction["failure"]["certain"].GetBool());
  EXPECT_EQ(json["after"][0]["endpoints"][0]["port"].GetInt(), 8080);
}

TEST(Report, EveryKindOfBindHasItsName) {
  const auto json = json_of(
      {{"ASPNETCORE_URLS=http://localhost:5000;http://[::1]:5001;http://unix:/run/k.sock;http://+:0"}, Mode::explain});
  const auto& endpoints = json["predictions"][0]["endpoints"];
  ASSERT_EQ(endpoints.Size(), 4U);
  EXPECT_STREQ(endpoints[0]["bind"].GetString(), "localhost");
  EXPECT_TRUE(endpoints[0]["address"].IsNull());
  EXPECT_STREQ(endpoints[1]["bind"].GetString(), "ip");
  EXPECT_STREQ(endpoints[1]["address"].GetString(), "::1");
  EXPECT_STREQ(endpoints[2]["bind"].GetString(), "unix");
  EXPECT_STREQ(endpoints[2]["address"].GetString(), "/run/k.sock");
  EXPECT_TRUE(endpoints[2]["port"].IsNull());
  EXPECT_EQ(endpoints[3]["port"].GetInt(), 0);
}

TEST(Report, EditsAreThoseOfRewriteOnly) {
  const Sample rewrite({"ASPNETCORE_URLS=http://+:80"}, Mode::rewrite);
  const auto json = json_of(rewrite);
  ASSERT_EQ(json["edits"].Size(), 1U);
  EXPECT_STREQ(json["edits"][0]["kind"].GetString(), "set");
  EXPECT_STREQ(json["edits"][0]["name"].GetString(), "ASPNETCORE_URLS");
  EXPECT_STREQ(json["edits"][0]["old"].GetString(), "http://+:80");
  EXPECT_STREQ(json["edits"][0]["new"].GetString(), "http://+:8080");

  const auto explain = json_of({{"ASPNETCORE_URLS=http://+:80"}, Mode::explain});
  EXPECT_TRUE(explain["edits"].Empty());
  EXPECT_EQ(explain["after"][0]["endpoints"][0]["port"].GetInt(), 80);
  EXPECT_STREQ(explain["verdict"].GetString(), "refuse");
}

TEST(Report, ARemovedVariableHasNoNewValue) {
  const auto json = json_of({{"ASPNETCORE_URLS= "}, Mode::rewrite});
  EXPECT_STREQ(json["edits"][0]["kind"].GetString(), "remove");
  EXPECT_TRUE(json["edits"][0]["new"].IsNull());
}

TEST(Report, FindingsHaveAllTheirFields) {
  const auto json = json_of({{"ASPNETCORE_URLS=http://+:80"}, Mode::rewrite});
  const auto& finding = json["findings"][0];
  EXPECT_STREQ(finding["id"].GetString(), "PS101");
  EXPECT_STREQ(finding["severity"].GetString(), "warning");
  for (const char* field : {"what", "why", "did", "next"}) EXPECT_GT(finding[field].GetStringLength(), 0U) << field;
}

TEST(Report, WhatIsUnknownIsNull) {
  Sample sample({}, Mode::explain);
  sample.app = {.kind = runtime::Kind::other, .assembly = {}, .first_argument = 0, .asp_net_core = {}, .major = {}};
  const auto json = json_of(sample);
  for (const char* field : {"assembly", "aspNetCore", "major"}) EXPECT_TRUE(json["app"][field].IsNull()) << field;
  EXPECT_STREQ(json["app"]["kind"].GetString(), "other");
}

TEST(Report, TheJsonIsValidWhateverTheEnvironmentHolds) {
  (void)json_of({{"ASPNETCORE_URLS=http://\xff\x01\"\\:80"}, Mode::rewrite});
}

TEST(Report, TheTextSaysTheSameToPeople) {
  const std::string text = Sample({"ASPNETCORE_URLS=http://+:80"}, Mode::rewrite).write(as_plain_text);
  EXPECT_THAT(text, HasSubstr("mode:      rewrite\n"
                              "identity:  uid 1654, gid 1000, without CAP_NET_BIND_SERVICE; "
                              "net.ipv4.ip_unprivileged_port_start=1024\n"
                              "floor:     1024: without the capability the host allows no lower port\n"
                              "app:       dotnet App.dll\n"
                              "framework: ASP.NET Core 10\n"
                              "builder:   not known"));
  EXPECT_THAT(text, HasSubstr("  whatever builder and version the app uses:\n"
                              "    http ANY:80  low: denied here  ASPNETCORE_URLS\n"));
  EXPECT_THAT(text, HasSubstr("changes:\n  set ASPNETCORE_URLS: 'http://+:80' becomes 'http://+:8080'\n"
                              "endpoints after them:\n"));
  EXPECT_THAT(text, HasSubstr("    http ANY:8080  ok here  ASPNETCORE_URLS\n"));
  EXPECT_THAT(text, testing::EndsWith("verdict:   start\n"));
}

TEST(Report, BuildersThatDifferAreNamed) {
  const std::string text = Sample({"ASPNETCORE_HTTP_PORTS=8080"}, Mode::explain).write(as_plain_text);
  EXPECT_THAT(text, HasSubstr("  with wab 10:\n    http ANY:8080    ok here  ASPNETCORE_HTTP_PORTS\n"
                              "  with wh 10:\n    http LOCAL:5000  ok here  default\n"));
  EXPECT_THAT(text, Not(HasSubstr("changes:")));
}

TEST(Report, EndpointsBehindAFailureThatCodeMayPreventAreListedAndOthersAreNot) {
  constexpr std::string_view kBoth = "http ANY:8080   ok here  ASPNETCORE_URLS\n";
  const std::string likely =
      Sample({"ASPNETCORE_URLS=http://+:8080;https://+:8443"}, Mode::explain).write(as_plain_text);
  EXPECT_THAT(likely, HasSubstr(kBoth));
  EXPECT_THAT(likely, HasSubstr("could not be found or is out of date. (if the app's code prevents it, then:)\n"
                                "    https ANY:8443  ok here  ASPNETCORE_URLS\n"));
  const std::string certain =
      Sample({"ASPNETCORE_URLS=http://+:8080;x;http://+:8081"}, Mode::explain).write(as_plain_text);
  EXPECT_THAT(certain, HasSubstr("http ANY:8080  ok here  ASPNETCORE_URLS\n"
                                 "    then System.FormatException: Invalid url: 'x'\n"));
  EXPECT_THAT(certain, Not(HasSubstr("ANY:8081")));
}

TEST(Report, ALongReasonIsGivenOnce) {
  const std::string text =
      Sample({"Kestrel__Endpoints__A__Url=http://+:80", "Kestrel__Endpoints__B__Url=http://+:81"}, Mode::explain)
          .write(as_plain_text);
  const std::string_view reason = "CAP_NET_BIND_SERVICE is not effective";
  EXPECT_EQ(text.find(reason), text.rfind(reason));
  EXPECT_THAT(text, HasSubstr("  why:  as above\n"));
}

TEST(Report, TheLastLineNamesWhatMayEndAnAppThatWouldBeStarted) {
  Sample sample({"ASPNETCORE_URLS=http://+:8001;http://+:8080;http://+:80"}, Mode::rewrite);
  EXPECT_THAT(sample.write(as_plain_text), testing::EndsWith("verdict:   start\n"));
  sample.plan.decisions[0].moves[0].taken = true;
  EXPECT_THAT(sample.write(as_plain_text),
              testing::EndsWith("verdict:   start; 1 warning: it may end at start, see PS102\n"));
}

TEST(Report, EveryVerdictOfTheKernelHasItsWord) {
  Sample sample(
      {"ASPNETCORE_URLS=http://+:8001;http://+:8002;http://10.0.0.1:8003;http://+:8004;http://+:0;http://unix:/s"},
      Mode::explain);
  sample.rules.verdict = [](const Target& target) {
    return target.port == 8001   ? Verdict::allowed
           : target.port == 8002 ? Verdict::taken
           : target.port == 8003 ? Verdict::unavailable
                                 : Verdict::unknown;
  };
  const auto json = json_of(sample);
  Words words;
  for (const auto& endpoint : json["predictions"][0]["endpoints"].GetArray()) {
    words.emplace_back(endpoint["verdict"].GetString());
  }
  EXPECT_THAT(words, testing::ElementsAre("ok", "taken", "unavailable", "unknown", "ok", "unknown"));
  EXPECT_THAT(sample.write(as_plain_text),
              HasSubstr("    http ANY:8001       ok here                  ASPNETCORE_URLS\n"
                        "    http ANY:8002       in use already           ASPNETCORE_URLS\n"
                        "    http 10.0.0.1:8003  no address of this host  ASPNETCORE_URLS\n"
                        "    http ANY:8004       not tried                ASPNETCORE_URLS\n"
                        "    http ANY:0          ok: any free port        ASPNETCORE_URLS\n"
                        "    http unix:/s        not tried                ASPNETCORE_URLS\n"));
}

TEST(Report, ColourIsThatOfTheVerdictsAlone) {
  const Sample sample({"ASPNETCORE_URLS=http://+:80"}, Mode::explain);
  const std::string text = sample.write([](const Report& report) { return as_text(report, true); });
  EXPECT_THAT(text, HasSubstr("http ANY:80  \x1b[31mlow: denied here\x1b[0m  ASPNETCORE_URLS"));
  EXPECT_THAT(text, HasSubstr("verdict:   \x1b[31mrefuse\x1b[0m: "));
  EXPECT_THAT(sample.write(as_plain_text), Not(HasSubstr("\x1b")));
}

TEST(Report, UserInfoOfUrlsIsMaskedAndTheRestOfAValueIsNot) {
  const std::string tail(300, 'x');
  const Sample sample({"ASPNETCORE_URLS=http://user:secret@+:80;http://+:81/" + tail}, Mode::rewrite);
  EXPECT_THAT(sample.write(as_json), Not(HasSubstr("secret")));
  EXPECT_THAT(sample.write(as_plain_text), Not(HasSubstr("secret")));
  const auto json = json_of(sample);
  ASSERT_EQ(json["edits"].Size(), 1U);
  EXPECT_EQ(json["edits"][0]["old"].GetString(), "http://***@+:80;http://+:81/" + tail);
}

TEST(Report, TheListenersOfARunningProcessStandBesideThePrediction) {
  const Sample sample({"ASPNETCORE_URLS=http://+:8080"}, Mode::explain);
  process::Process running;
  running.pid = 17;
  running.listening = {{.address = "::", .port = 8080}, {.address = "127.0.0.1", .port = 9090}};
  running.listening_is_own = true;
  const auto write = [&](std::string (*format)(const Report&)) {
    return sample.write([&](const Report& report) {
      Report with = report;
      with.notes = {"not readable: program: Permission denied"};
      with.running.emplace(
          Running{running, {.predicted = {true, false}, .not_listening = {{.address = {}, .port = 8081}}}});
      return format(with);
    });
  };
  const std::string text = write(as_plain_text);
  EXPECT_THAT(text, HasSubstr("process:   17, running already\n"));
  EXPECT_THAT(text, HasSubstr("note:      not readable: program: Permission denied\n"));
  EXPECT_THAT(text, HasSubstr("it listens on:\n"
                              "  [::]:8080       as predicted\n"
                              "  127.0.0.1:9090  not predicted\n"
                              "  nothing on http ANY:8081, though predicted\n"));
  rapidjson::Document json;
  json.Parse(write(as_json).c_str());
  EXPECT_EQ(json["pid"].GetInt(), 17);
  EXPECT_STREQ(json["listening"][1]["address"].GetString(), "127.0.0.1");
  EXPECT_EQ(json["listening"][1]["port"].GetInt(), 9090);
  EXPECT_FALSE(json["listening"][1]["predicted"].GetBool());
  EXPECT_EQ(json["notListening"][0]["port"].GetInt(), 8081);
  EXPECT_STREQ(json["notes"][0].GetString(), "not readable: program: Permission denied");
}

}  // namespace
}  // namespace portshim::report
