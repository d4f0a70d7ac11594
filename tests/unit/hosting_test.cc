#include "shim/hosting.h"

#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/istreamwrapper.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shim/files.h"
#include "tests/support/app_code.h"
#include "tests/support/base64.h"
#include "tests/support/fake_system.h"

namespace portshim::hosting {
namespace {

using kestrel::Endpoint;
using kestrel::Run;
using kestrel::Source;

Input input_of(std::vector<std::string> environment, std::vector<std::string> arguments = {}) {
  Input input{.environment = std::move(environment), .argv = {"dotnet", "App.dll"}, .first_argument = 2};
  input.argv.insert(input.argv.end(), arguments.begin(), arguments.end());
  input.builders = {Builder::wab};
  input.majors = {10};
  return input;
}

std::vector<std::string> bound(const Run& run) {
  std::vector<std::string> out;
  for (const Endpoint& endpoint : run.endpoints) out.push_back(address::to_string(endpoint.target));
  return out;
}

// ---- The vectors recorded from real .NET -------------------------------------------------------------------------

Builder builder_named(std::string_view name) {
  for (const Builder builder : {Builder::wab, Builder::slim, Builder::gh, Builder::wh, Builder::empty}) {
    if (to_string(builder) == name) return builder;
  }
  ADD_FAILURE() << name;
  return Builder::wab;
}

std::string string_member(const rapidjson::Value& object, const char* name, std::string_view otherwise) {
  return object.HasMember(name) ? std::string(object[name].GetString(), object[name].GetStringLength())
                                : std::string(otherwise);
}

/// One recorded case: its directory, environment and arguments.
class RecordedCase {
 public:
  explicit RecordedCase(const rapidjson::Value& vector) {
    system_.directory(kDirectory).directory(kBase);
    if (vector.HasMember("files")) {
      for (const auto& file : vector["files"].GetObject()) add_file(file.name.GetString(), file.value);
    }
    const std::string cwd = string_member(vector, "cwd", "");
    input_.current_directory = cwd.empty() ? kDirectory : std::string(kDirectory) + "/" + cwd;
    system_.directory(input_.current_directory);
    if (vector.HasMember("env")) {
      for (const auto& pair : vector["env"].GetArray())
        input_.environment.push_back(std::string(pair[0].GetString()) + "=" + in_directory(pair[1].GetString()));
    }
    if (vector.HasMember("argv")) {
      for (const auto& word : vector["argv"].GetArray()) input_.argv.push_back(in_directory(word.GetString()));
    }
    input_.passes_arguments = !vector.HasMember("noargs");
    input_.code = support::calls_of(vector);
    input_.certificate_in_code = vector.HasMember("cert");
    input_.builders = {builder_named(string_member(vector, "builder", "wab"))};
  }

  std::vector<Prediction> predict_for(int major) {
    files::Reader reader(system_, input_.current_directory);
    input_.files = &reader;
    input_.majors = {major};
    return predict(input_);
  }

  /// Text of a prediction with the directories as the recordings write them.
  static std::string recorded(std::string text) {
    for (const auto& [path, name] : {std::pair(kDirectory, "{DIR}"), std::pair(kBase, "{BASE}")}) {
      for (std::size_t at = text.find(path); at != std::string::npos; at = text.find(path, at))
        text.replace(at, std::strlen(path), name);
    }
    return text;
  }

 private:
  static constexpr const char* kDirectory = "/directory-of-the-case";
  static constexpr const char* kBase = "/directory-of-the-app";

  static std::string in_directory(std::string text) {
    const std::size_t at = text.find("{DIR}");
    return at == std::string::npos ? text : text.replace(at, 5, kDirectory);
  }

  void add_file(const std::string& name, const rapidjson::Value& content) {
    system_.file(std::string(kDirectory) + "/" + name,
                 content.IsObject() ? support::from_base64(content["base64"].GetString())
                                    : std::string(content.GetString(), content.GetStringLength()));
  }

  support::FakeSystem system_;
  Input input_{.environment = {},
               .argv = {"dotnet", "oracle.dll"},
               .first_argument = 2,
               .application = "oracle",
               .base_directory = kBase};
};

/// What the run binds where the kernel denies as `deny` says, up to the failure, and the failure's type and text.
void deny(const std::string& deny, std::vector<std::string>& bound, std::string& failure, const Run& run) {
  for (std::size_t i = 0; i < run.endpoints.size(); ++i) {
    const address::Target& target = run.endpoints[i].target;
    const bool low = target.port > 0 && target.port < 1024;
    if (deny == "low" && !low) continue;
    bound.resize(i);
    std::string text = address::to_string(target);
    bound.push_back("?" + text.substr(text.find(' ')) + " DENIED");
    failure = "System.IO.IOException: Failed to bind to address http://localhost:80.";
    if (deny == "inuse")
      failure = "System.IO.IOException: Failed to bind to address http://[::]:80: address already in use.";
    if (deny == "low" && target.bind == address::Bind::any)
      failure = "System.Net.Sockets.SocketException(13): Permission denied";
    return;
  }
}

/// "System.FormatException: text", as the vectors write an exception; "" for none.
std::string failure_text(const Run& run) {
  return run.failure ? run.failure->exception.type + ": " + run.failure->exception.message : "";
}

std::vector<std::string> strings(const rapidjson::Value& array) {
  std::vector<std::string> out;
  for (const auto& item : array.GetArray()) out.emplace_back(item.GetString());
  return out;
}

void expect_any_of(const rapidjson::Value& vector, int major) {
  std::set<std::vector<std::string>> predicted;
  for (const Prediction& prediction : RecordedCase(vector).predict_for(major))
    predicted.insert(bound(prediction.strict));
  std::set<std::vector<std::string>> seen;
  for (const auto& one : vector["expectAnyOf"].GetArray()) seen.insert(strings(one));
  EXPECT_EQ(predicted, seen) << vector["id"].GetString();
}

void expect_vector(const rapidjson::Value& vector, int major) {
  if (vector.HasMember("expectAnyOf")) return expect_any_of(vector, major);
  const auto& expect = vector["expect"];
  const std::string key = expect.HasMember("all") ? "all" : std::to_string(major);
  const auto& wanted = expect[key.c_str()];
  const auto predictions = RecordedCase(vector).predict_for(major);
  ASSERT_EQ(predictions.size(), 1U) << vector["id"].GetString();
  const Run& run = predictions[0].strict;
  std::vector<std::string> endpoints = bound(run);
  std::string failure = RecordedCase::recorded(failure_text(run));
  if (vector.HasMember("deny")) deny(vector["deny"].GetString(), endpoints, failure, run);
  EXPECT_EQ(endpoints, strings(wanted["bound"])) << vector["id"].GetString() << " on " << major;
  const std::string error = wanted.HasMember("error") ? wanted["error"][0].GetString() : "";
  // .NET 8 has its own words for a broken PEM file; the type is what counts.
  const bool cryptographic = error.starts_with("System.Security.Cryptography.");
  EXPECT_EQ(cryptographic ? failure.substr(0, failure.find(':')) : failure,
            cryptographic ? error.substr(0, error.find(':')) : error)
      << vector["id"].GetString() << " on " << major;
}

TEST(Hosting, PredictsWhatRealDotnetBoundForEveryRecordedCase) {
  std::ifstream file(PORTSHIM_TEST_DATA "/precedence-vectors.json");
  rapidjson::IStreamWrapper stream(file);
  rapidjson::Document document;
  document.ParseStream(stream);
  ASSERT_FALSE(document.HasParseError());
  int checked = 0;
  for (const auto& vector : document["vectors"].GetArray()) {
    for (const int major : {8, 9, 10}) expect_vector(vector, major);
    ++checked;
  }
  EXPECT_GE(checked, 540);
}

// ---- What the vectors do not say -----------------------------------------------------------------------------------

TEST(Hosting, AFailureThatCodeCouldPreventEndsTheStrictRunAlone) {
  const auto predictions = predict(input_of({"ASPNETCORE_URLS=https://+:443;http://+:80"}));
  ASSERT_EQ(predictions.size(), 1U);
  EXPECT_TRUE(bound(predictions[0].strict).empty());
  ASSERT_TRUE(predictions[0].strict.failure.has_value());
  EXPECT_FALSE(predictions[0].strict.failure->certain);
  EXPECT_EQ(bound(predictions[0].lenient()), (std::vector<std::string>{"https ANY:443", "http ANY:80"}));
  EXPECT_FALSE(predictions[0].lenient().failure.has_value());
}

TEST(Hosting, AConfiguredCertificateMakesHttpsCertain) {
  const auto predictions =
      predict(input_of({"ASPNETCORE_URLS=https://+:443", "Kestrel__Certificates__Default__Path=a.pfx"}));
  EXPECT_EQ(bound(predictions[0].strict), (std::vector<std::string>{"https ANY:443"}));
}

TEST(Hosting, EveryBuilderAndVersionIsPredictedAndSlimOnlyWhereItExists) {
  Input input = input_of({});
  input.builders = {Builder::wab, Builder::slim, Builder::gh, Builder::wh};
  input.majors = {7, 8};
  std::vector<std::string> seen;
  for (const Prediction& prediction : predict(input)) {
    seen.push_back(std::string(to_string(prediction.builder)) + std::to_string(prediction.major));
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"wab7", "wab8", "slim8", "gh7", "gh8", "wh7", "wh8"}));
}

TEST(Hosting, PortsAreUnknownToVersionsBeforeEight) {
  Input input = input_of({"ASPNETCORE_HTTP_PORTS=80"});
  input.majors = {7};
  EXPECT_EQ(bound(predict(input)[0].strict), (std::vector<std::string>{"http LOCAL:5000"}));
}

TEST(Hosting, OnSixAspnetcoreUrlsBeatDotnetUrlsAndOnSevenTheyLose) {
  Input input = input_of({"ASPNETCORE_URLS=http://+:1", "DOTNET_URLS=http://+:2"});
  input.majors = {6, 7};
  const auto predictions = predict(input);
  EXPECT_EQ(bound(predictions[0].strict), (std::vector<std::string>{"http ANY:1"}));
  EXPECT_EQ(bound(predictions[1].strict), (std::vector<std::string>{"http ANY:2"}));
}

TEST(Hosting, AnEndpointSaysWhereItComesFrom) {
  const auto predictions =
      predict(input_of({"X=y", "aspnetcore_urls=http://+:80"}, {"--Kestrel:Endpoints:A:Url=http://+:81"}));
  const Endpoint& endpoint = predictions[0].strict.endpoints.at(0);
  EXPECT_EQ(endpoint.source.origin().name, "argv[2]");
  EXPECT_EQ(endpoint.source.origin().index, 2U);
  EXPECT_EQ(endpoint.source.key(), "Kestrel:Endpoints:A:Url");
  const auto urls = predict(input_of({"X=y", "aspnetcore_urls=;http://+:80"}));
  EXPECT_EQ(urls[0].strict.endpoints.at(0).source.origin().name, "aspnetcore_urls");
  EXPECT_EQ(urls[0].strict.endpoints.at(0).source.origin().index, 1U);
  EXPECT_EQ(urls[0].strict.endpoints.at(0).source.origin().value_at, 16U);
}

// ---- What the app's code does --------------------------------------------------------------------------------------

address::Target any(std::uint16_t port) {
  return {.https = false, .bind = address::Bind::any, .address = {}, .port = port};
}

/// The first prediction's strict run for an app with this code.
Run run_of(Input input, std::vector<code::Call> calls) {
  input.code = std::move(calls);
  return predict(input).at(0).strict;
}

TEST(Hosting, AnEndpointOfCodeSaysWhichCallItIs) {
  const auto run =
      run_of(input_of({}), {{.kind = code::Kind::https},
                            {.kind = code::Kind::listen,
                             .api = "Listen",
                             .target = {.https = false, .bind = address::Bind::ip, .address = "::1", .port = 80},
                             .method = "Program.<Main>$"}});
  ASSERT_EQ(run.endpoints.size(), 1U);
  const config::Origin& origin = run.endpoints[0].source.origin();
  EXPECT_EQ(origin.kind, config::Origin::Kind::code);
  EXPECT_EQ(origin.index, 1U);
  EXPECT_EQ(origin.name, "code: Program.<Main>$");
  EXPECT_EQ(run.endpoints[0].source.form, kestrel::Form::single_url);
  EXPECT_EQ(run.endpoints[0].source.key(), "Listen");
  EXPECT_EQ(run.endpoints[0].text, "http://[::1]:80");
}

TEST(Hosting, UrlsOfCodeAreAListAndAddressesAreNot) {
  const code::Call use_urls{
      .kind = code::Kind::setting, .api = "UseUrls", .key = "urls", .value = "http://+:80;http://+:81"};
  const auto urls = run_of(input_of({}), {use_urls});
  ASSERT_EQ(urls.endpoints.size(), 2U);
  EXPECT_EQ(urls.endpoints[1].source.form, kestrel::Form::url_list);
  EXPECT_EQ(urls.endpoints[1].source.item, 1U);
  EXPECT_EQ(urls.endpoints[1].source.origin().kind, config::Origin::Kind::code);
  const auto address = run_of(input_of({}), {{.kind = code::Kind::address, .api = "Run", .value = "http://+:80"}});
  ASSERT_EQ(address.endpoints.size(), 1U);
  EXPECT_EQ(address.endpoints[0].source.form, kestrel::Form::single_url);
}

TEST(Hosting, ACallWhoseValuesAreUnknownOverridesAndIsNeverLow) {
  const Input input = input_of({"URLS=http://+:80"});
  for (const code::Call& call :
       {code::Call{.kind = code::Kind::setting, .api = "UseUrls", .known = false},
        code::Call{.kind = code::Kind::setting, .api = "UseSetting", .known = false, .key = "URLS"},
        code::Call{.kind = code::Kind::address, .api = "Add", .known = false},
        code::Call{.kind = code::Kind::listen, .api = "ListenLocalhost", .known = false}}) {
    const auto run = run_of(input, {call});
    EXPECT_EQ(bound(run), (std::vector<std::string>{"http ANY:0"})) << call.api;
    EXPECT_FALSE(run.failure.has_value()) << call.api;
    EXPECT_EQ(run.endpoints.at(0).source.origin().kind, config::Origin::Kind::code) << call.api;
  }
  const code::Call ports{.kind = code::Kind::setting, .api = "UseSetting", .known = false, .key = "http_ports"};
  EXPECT_EQ(bound(run_of(input_of({"HTTP_PORTS=80"}), {ports})), (std::vector<std::string>{"http ANY:0"}));
}

TEST(Hosting, ACallThatMayMeanAnythingChangesNothing) {
  const Input input = input_of({"URLS=http://+:80", "PREFERHOSTINGURLS=true"});
  const code::Call listen{.kind = code::Kind::listen, .target = any(81)};
  for (const code::Call& call :
       {code::Call{.kind = code::Kind::setting, .api = "UseSetting", .known = false},
        code::Call{.kind = code::Kind::setting, .api = "PreferHostingUrls", .known = false, .key = "preferHostingUrls"},
        code::Call{.kind = code::Kind::configuration, .api = "UseConfiguration", .known = false},
        code::Call{.kind = code::Kind::socket, .api = "TcpListener", .target = any(82)}}) {
    EXPECT_EQ(bound(run_of(input, {listen, call})), (std::vector<std::string>{"http ANY:80"})) << call.api;
  }
}

TEST(Hosting, ADelegateMayPreventWhatTheDefaultProtocolsMakeFail) {
  Input input = input_of({"Kestrel__EndpointDefaults__Protocols=Http3"});
  input.code = {{.kind = code::Kind::listen, .target = any(80), .has_options = true}};
  const Prediction prediction = predict(input).at(0);
  EXPECT_TRUE(prediction.strict.failure.has_value());
  EXPECT_EQ(bound(prediction.lenient()), (std::vector<std::string>{"http ANY:80"}));
  input.code[0].has_options = false;
  EXPECT_TRUE(bound(predict(input).at(0).lenient()).empty());
}

TEST(Hosting, ArgumentsThatTheBuilderDoesNotGetHoldNoAddresses) {
  Input input = input_of({"ASPNETCORE_URLS=http://+:80"}, {"--urls=http://+:81", "-x=1"});
  input.passes_arguments = false;
  EXPECT_EQ(bound(predict(input).at(0).strict), (std::vector<std::string>{"http ANY:80"}));
  EXPECT_EQ(address_settings(input).size(), 1U);
}

// ---- Ambiguous names, and many settings ----------------------------------------------------------------------------

TEST(Hosting, EveryCombinationOfAmbiguousNamesIsPredicted) {
  const auto predictions =
      predict(input_of({"DOTNET_URLS=", "HTTP_PORTS=8080", "DOTNET_urls=http://+:81", "http_ports=80"}));
  std::vector<std::vector<std::string>> all;
  for (const Prediction& prediction : predictions) all.push_back(bound(prediction.strict));
  using One = std::vector<std::string>;
  EXPECT_EQ(all, (std::vector<One>{{"http ANY:8080"}, {"http ANY:81"}, {"http ANY:80"}, {"http ANY:81"}}));
}

TEST(Hosting, OfFarTooManyAmbiguousNamesEachWinsOnce) {
  std::vector<std::string> environment;
  for (const std::string name : {"A", "B", "C", "D", "E"}) {
    environment.push_back("Kestrel__Endpoints__" + name + "__Url=http://+:1000");
    environment.push_back("Kestrel:Endpoints:" + name + ":Url=http://+:2000");
  }
  const auto predictions = predict(input_of(environment));
  ASSERT_EQ(predictions.size(), 2U);
  EXPECT_EQ(bound(predictions[0].strict), std::vector<std::string>(5, "http ANY:1000"));
  EXPECT_EQ(bound(predictions[1].strict), std::vector<std::string>(5, "http ANY:2000"));
}

TEST(Hosting, AddressSettingsAreFoundUnderEveryPrefixAndSpelling) {
  std::vector<std::string> names;
  for (const Source& source : address_settings(
           input_of({"ASPNETCORE_URLS=a", "urls=b", "URLS=c", "DOTNET_HTTP_PORTS=1", "Kestrel:Endpoints:A:Url=d",
                     "OTHER=x", "Kestrel__Endpoints__A__Certificate__Url=no", "ASPNETCORE_ENVIRONMENT=x"},
                    {"--https_ports=1", "plain"}))) {
    names.push_back(source.origin().name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"ASPNETCORE_URLS", "urls", "URLS", "DOTNET_HTTP_PORTS",
                                             "Kestrel:Endpoints:A:Url", "argv[2]"}));
}

TEST(Hosting, AHundredThousandVariablesAndAMegabyteOfPortsArePredictedInOneBreath) {
  std::vector<std::string> environment;
  for (int i = 0; i < 100'000; ++i) environment.push_back("V" + std::to_string(i) + "=x");
  std::string ports = "ASPNETCORE_HTTP_PORTS=";
  while (ports.size() < 1'000'000) ports += "80;";
  environment.push_back(ports);
  EXPECT_GT(predict(input_of(std::move(environment)))[0].strict.endpoints.size(), 300'000U);
}

}  // namespace
}  // namespace portshim::hosting
