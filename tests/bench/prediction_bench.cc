// How the cost of a prediction grows with environment, arguments and files: it should be linear. Everything is in
// process; the files are in memory.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "shim/files.h"
#include "shim/hosting.h"
#include "shim/json.h"
#include "shim/policy.h"
#include "tests/support/fake_system.h"

namespace portshim {
namespace {

using hosting::Builder;
using hosting::Input;

Input app() {
  Input input{.environment = {}, .argv = {"dotnet", "App.dll"}, .first_argument = 2};
  input.builders = {Builder::wab, Builder::slim, Builder::gh, Builder::wh};
  input.majors = {10};
  input.current_directory = input.base_directory = "/app";
  input.application = "App";
  return input;
}

std::string url(std::int64_t number) {
  return "http://127.0.0.1:" + std::to_string(2000 + number);
}

/// `count` addresses with a separator between them.
std::string list_of_urls(std::int64_t count) {
  std::string out;
  for (std::int64_t i = 0; i < count; ++i) out += (i == 0 ? "" : ";") + url(i);
  return out;
}

void run(benchmark::State& state, const Input& input) {
  for (auto _ : state) benchmark::DoNotOptimize(hosting::predict(input));
  state.SetComplexityN(state.range(0));
}

void UrlsOfAVariable(benchmark::State& state) {
  Input input = app();
  input.environment = {"ASPNETCORE_URLS=" + list_of_urls(state.range(0))};
  run(state, input);
}

void UrlsOfAnArgument(benchmark::State& state) {
  Input input = app();
  input.argv.push_back("--urls=" + list_of_urls(state.range(0)));
  run(state, input);
}

void KestrelEndpointsOfVariables(benchmark::State& state) {
  Input input = app();
  for (std::int64_t i = 0; i < state.range(0); ++i)
    input.environment.push_back("Kestrel__Endpoints__E" + std::to_string(i) + "__Url=" + url(i));
  run(state, input);
}

void UnrelatedVariables(benchmark::State& state) {
  Input input = app();
  for (std::int64_t i = 0; i < state.range(0); ++i)
    input.environment.push_back("SERVICE_" + std::to_string(i) + "_PORT=tcp://10.0.0.1:443");
  run(state, input);
}

void RewriteOfLowUrls(benchmark::State& state) {
  Input input = app();
  std::string urls = "ASPNETCORE_URLS=http://+:80";
  for (std::int64_t i = 1; i < state.range(0); ++i) urls += ";" + url(i);
  input.environment = {urls};
  for (auto _ : state) benchmark::DoNotOptimize(policy::make_plan(input, policy::Rules()));
  state.SetComplexityN(state.range(0));
}

/// A settings file of about this many bytes.
std::string settings_file(std::int64_t bytes) {
  std::string out = R"({"Urls":"http://+:8080","Sections":[)";
  for (std::int64_t i = 0; static_cast<std::int64_t>(out.size()) < bytes; ++i)
    out += R"({"Name":"section )" + std::to_string(i) + R"(","Enabled":true,"Values":[1,2.5e3,null]},)";
  return out + "]}";
}

void JsonFile(benchmark::State& state) {
  const std::string text = settings_file(state.range(0));
  const json::Name name{.path = "/app/appsettings.json", .label = "appsettings.json"};
  for (auto _ : state) benchmark::DoNotOptimize(json::read(text, name));
  state.SetComplexityN(state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

/// Two settings files and 40 variables, predicted for every builder and moved: what portshim does at a start.
void AUsualApp(benchmark::State& state) {
  support::FakeSystem system;
  system.file("/app/appsettings.json",
              R"({"Logging":{"LogLevel":{"Default":"Information","Microsoft.AspNetCore":"Warning"}},)"
              R"("AllowedHosts":"*","Kestrel":{"Endpoints":{"Http":{"Url":"http://+:80"}}}})");
  system.file("/app/appsettings.Production.json", R"({"ConnectionStrings":{"Main":"Host=db;Database=app"}})");
  Input input = app();
  input.environment = {"ASPNETCORE_HTTP_PORTS=8080", "DOTNET_RUNNING_IN_CONTAINER=true", "PATH=/usr/bin:/bin"};
  while (input.environment.size() < 40)
    input.environment.push_back("SERVICE_" + std::to_string(input.environment.size()) + "_HOST=10.0.0.1");
  for (auto _ : state) {
    const files::Reader reader(system, "/app");
    input.files = &reader;
    benchmark::DoNotOptimize(policy::make_plan(input, policy::Rules()));
  }
}

BENCHMARK(UrlsOfAVariable)->RangeMultiplier(10)->Range(10, 10'000)->Complexity(benchmark::oN);
BENCHMARK(UrlsOfAnArgument)->RangeMultiplier(10)->Range(10, 10'000)->Complexity(benchmark::oN);
BENCHMARK(KestrelEndpointsOfVariables)->RangeMultiplier(10)->Range(10, 10'000)->Complexity(benchmark::oN);
BENCHMARK(UnrelatedVariables)->RangeMultiplier(10)->Range(10, 10'000)->Complexity(benchmark::oN);
BENCHMARK(RewriteOfLowUrls)->RangeMultiplier(10)->Range(10, 10'000)->Complexity(benchmark::oN);
BENCHMARK(JsonFile)->RangeMultiplier(16)->Range(1 << 10, 4 << 20)->Complexity(benchmark::oN);
BENCHMARK(AUsualApp)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace portshim

BENCHMARK_MAIN();
