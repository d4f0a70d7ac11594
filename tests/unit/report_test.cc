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
  EXPECT_THAT(sample.write(as_plain_text), testing::HasSubstr("file:     /app/appsettings.json\n"));
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
  EXPECT_THAT(text, HasSubstr("identity: uid 1654, gid 1000, CAP_NET_BIND_SERVICE not effective"));
  EXPECT_THAT(text, HasSubstr("http ANY:80 (ASPNETCORE_URLS)\n      whatever builder and version the app uses"));
  EXPECT_THAT(text, HasSubstr("set ASPNETCORE_URLS: 'http://+:80' becomes 'http://+:8080'"));
  EXPECT_THAT(text, HasSubstr("verdict:  start"));
}

TEST(Report, BuildersThatDifferAreNamed) {
  const std::string text = Sample({"ASPNETCORE_HTTP_PORTS=8080"}, Mode::explain).write(as_plain_text);
  EXPECT_THAT(text, HasSubstr("http ANY:8080 (ASPNETCORE_HTTP_PORTS)\n      with wab 10\n"));
  EXPECT_THAT(text, HasSubstr("http LOCAL:5000 (default)\n      with wh 10\n"));
  EXPECT_THAT(text, Not(HasSubstr("changes:")));
}

}  // namespace
}  // namespace portshim::report
