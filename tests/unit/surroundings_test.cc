#include "shim/surroundings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/fake_system.h"

namespace portshim::surroundings {
namespace {

using namespace std::literals;

using finding::Finding;
using finding::Id;
using finding::Severity;
using support::Call;
using support::FakeSystem;
using testing::ElementsAre;
using testing::IsEmpty;
using Properties = std::map<std::string, std::string>;
using Words = std::vector<std::string>;

/// An app that needs ICU, in a container that has all it needs; a test takes something away.
struct Case {
  FakeSystem system;
  std::string program = "/usr/bin/dotnet";
  Words environment;
  Words arguments;
  std::vector<hosting::Builder> builders = {hosting::Builder::wab};
  std::vector<hosting::Prediction> predictions;
  runtime::App app{.kind = runtime::Kind::dotnet,
                   .assembly = "App.dll",
                   .asp_net_core = true,
                   .major = 10,
                   .properties = Properties{}};

  Case() : environment{"HOME=/"} { system.file("/usr/lib/libicuuc.so.76", "").file("/usr/lib/libssl.so.3", ""); }

  [[nodiscard]] std::vector<Id> ids() const {
    hosting::Input input{.environment = environment, .argv = {"dotnet", "App.dll"}, .builders = builders};
    input.argv.insert(input.argv.end(), arguments.begin(), arguments.end());
    std::vector<Id> out;
    for (const Finding& finding :
         surroundings::check(system, {.app = app, .program = program, .input = input, .predictions = predictions})) {
      EXPECT_EQ(finding.severity, finding.id == Id::inotify ? Severity::error : Severity::warning);
      out.push_back(finding.id);
    }
    return out;
  }
};

TEST(Surroundings, AGoodPlaceIsNotMentioned) {
  EXPECT_THAT(Case().ids(), IsEmpty());
}

TEST(Surroundings, OtherCommandsNeedNothing) {
  Case c;
  c.system.fail(Call::inotify, EMFILE);
  c.app.kind = runtime::Kind::other;
  EXPECT_THAT(c.ids(), IsEmpty());
}

TEST(Surroundings, TheLastInotifyInstanceIsMissedUnlessNothingIsWatched) {
  Case c;
  c.system.fail(Call::inotify, EMFILE);
  EXPECT_THAT(c.ids(), ElementsAre(Id::inotify));
  for (const char* entry :
       {"DOTNET_USE_POLLING_FILE_WATCHER=1", "DOTNET_USE_POLLING_FILE_WATCHER=True",
        "DOTNET_hostBuilder__reloadConfigOnChange=false", "aspnetcore_HOSTBUILDER__reloadconfigonchange=false"}) {
    c.environment = {entry};
    EXPECT_THAT(c.ids(), IsEmpty()) << entry;
  }
  c.environment = {"hostBuilder__reloadConfigOnChange=false"};
  EXPECT_THAT(c.ids(), ElementsAre(Id::inotify));
  c.arguments = {"--hostBuilder:reloadConfigOnChange=false"};
  EXPECT_THAT(c.ids(), IsEmpty());
}

TEST(Surroundings, OtherAnswersOfInotifySayNothing) {
  Case c;
  c.system.fail(Call::inotify, ENOSYS);
  EXPECT_THAT(c.ids(), IsEmpty());
}

TEST(Surroundings, TheHardLimitOfOpenFilesCounts) {
  Case c;
  c.system.limits[system::Resource::open_files] = {.soft = 64, .hard = 1024};
  EXPECT_THAT(c.ids(), IsEmpty());
  c.system.limits[system::Resource::open_files] = {.soft = 64, .hard = 255};
  EXPECT_THAT(c.ids(), ElementsAre(Id::limit_open_files));
}

TEST(Surroundings, TheSoftLimitOfFileSizesCountsWhereMemoryIsMappedTwice) {
  Case c;
  c.system.limits[system::Resource::file_size] = {.soft = 102400};
  EXPECT_THAT(c.ids(), ElementsAre(Id::limit_file_size));
  c.environment = {"DOTNET_EnableWriteXorExecute=0"};
  EXPECT_THAT(c.ids(), IsEmpty());
  c.environment = {};
  c.app.major = 6;
  EXPECT_THAT(c.ids(), IsEmpty());
}

TEST(Surroundings, TheLimitOfProcessesDoesNotBindRootOrItsCapabilities) {
  Case c;
  c.system.limits[system::Resource::processes] = {.soft = 16};
  EXPECT_THAT(c.ids(), ElementsAre(Id::limit_processes));
  c.system.process.ambient = system::CapabilitySet{1} << 24U;
  EXPECT_THAT(c.ids(), IsEmpty());
  c.system.process.ambient = 0;
  c.system.become(0, 0);
  EXPECT_THAT(c.ids(), IsEmpty());
}

TEST(Surroundings, IcuIsMissedOnlyWhereItIsCertainToBeNowhere) {
  Case c;
  c.system.remove("/usr/lib/libicuuc.so.76");
  EXPECT_THAT(c.ids(), ElementsAre(Id::icu_missing));
  c.environment = {"LD_LIBRARY_PATH=/opt/icu"};
  c.system.file("/opt/icu/libicuuc.so.60", "");
  EXPECT_THAT(c.ids(), IsEmpty());
  c.environment = {};
  const std::string cache = "x\0libicuuc.so.60\0/opt/icu/libicuuc.so.60\0"s;
  c.system.file("/etc/ld.so.cache", cache);
  EXPECT_THAT(c.ids(), IsEmpty());
  c.system.remove("/opt/icu/libicuuc.so.60");
  EXPECT_THAT(c.ids(), ElementsAre(Id::icu_missing));
  c.system.directory("/usr/lib64", 0700);
  EXPECT_THAT(c.ids(), IsEmpty());
}

TEST(Surroundings, AnAppWithoutCulturesNeedsNoIcu) {
  Case c;
  c.system.remove("/usr/lib/libicuuc.so.76");
  c.app.properties->emplace("System.Globalization.Invariant", "true");
  EXPECT_THAT(c.ids(), IsEmpty());
  c.environment = {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=x"};
  EXPECT_THAT(c.ids(), IsEmpty());
  c.environment = {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=false"};
  EXPECT_THAT(c.ids(), ElementsAre(Id::icu_missing));
  c.app.properties.reset();
  EXPECT_THAT(c.ids(), IsEmpty());
}

TEST(Surroundings, OpenSslIsMissedOnlyWhereHttpsIsPredicted) {
  Case c;
  c.system.remove("/usr/lib/libssl.so.3");
  c.predictions.resize(1);
  c.predictions[0].strict.endpoints.resize(1);
  EXPECT_THAT(c.ids(), IsEmpty());
  c.predictions[0].strict.endpoints[0].target.https = true;
  EXPECT_THAT(c.ids(), ElementsAre(Id::openssl_missing));
}

TEST(Surroundings, HttpsNeedsAHomeDirectory) {
  Case c;
  c.environment.clear();
  c.predictions.resize(1);
  c.predictions[0].strict.endpoints.resize(1);
  EXPECT_THAT(c.ids(), IsEmpty());
  c.predictions[0].strict.endpoints[0].target.https = true;
  EXPECT_THAT(c.ids(), ElementsAre(Id::no_home));
  c.system.file("/etc/passwd", "app:x:1654:1654::/home/app:/bin/false\n");
  EXPECT_THAT(c.ids(), IsEmpty());
}

TEST(Surroundings, WithLimitsThisLowNoAppStarts) {
  Case c;
  const auto severity = [&] {
    const hosting::Input input{.environment = c.environment, .argv = {"dotnet", "App.dll"}, .builders = c.builders};
    const auto found =
        check_limits(c.system, {.app = c.app, .program = c.program, .input = input, .predictions = c.predictions});
    return found.empty() ? Severity::debug : found[0].severity;
  };
  EXPECT_EQ(severity(), Severity::debug);
  c.system.limits[system::Resource::open_files] = {.soft = 64, .hard = 64};
  EXPECT_EQ(severity(), Severity::warning);
  c.system.limits[system::Resource::open_files] = {.soft = 16, .hard = 16};
  EXPECT_EQ(severity(), Severity::error);
  c.system.limits = {{system::Resource::file_size, {.soft = 0, .hard = 0}}};
  EXPECT_EQ(severity(), Severity::error);
  c.app.major = std::nullopt;
  EXPECT_EQ(severity(), Severity::warning);
  c.system.limits = {{system::Resource::data, {.soft = 32 << 20}}};
  EXPECT_EQ(severity(), Severity::error);
  c.app.asp_net_core = std::nullopt;
  EXPECT_EQ(severity(), Severity::warning);
}

TEST(Surroundings, OneKindOfMemoryThatIsTooLittleIsNamed) {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;
  Case c;
  c.system.limits = {{system::Resource::address_space, {.soft = 3 * kGiB}},
                     {system::Resource::data, {.soft = kGiB}},
                     {system::Resource::stack, {.soft = 8 << 20}}};
  EXPECT_THAT(c.ids(), IsEmpty());
  for (const auto& [resource, soft] : {std::pair{system::Resource::address_space, 2 * kGiB},
                                       {system::Resource::data, std::uint64_t{100} << 20U},
                                       {system::Resource::stack, std::uint64_t{64} << 10U}}) {
    c.system.limits = {{resource, {.soft = soft}}};
    EXPECT_THAT(c.ids(), ElementsAre(Id::limit_memory));
  }
}

TEST(Surroundings, ALimitOfTheHeapIsHexadecimalInTheVariableAndDecimalInTheFile) {
  Case c;
  const auto finding = [&]() -> std::optional<Finding> {
    const hosting::Input input{.environment = c.environment, .argv = {"dotnet", "App.dll"}, .builders = c.builders};
    const auto found = surroundings::check(
        c.system, {.app = c.app, .program = c.program, .input = input, .predictions = c.predictions});
    return found.empty() ? std::nullopt : std::optional(found[0]);
  };
  for (const char* good : {"DOTNET_GCHeapHardLimit=10000000", "DOTNET_GCHeapHardLimit=0x400000",
                           "DOTNET_GCHeapHardLimit=0", "DOTNET_GCHeapHardLimit=none"}) {
    c.environment = {good};
    EXPECT_FALSE(finding()) << good;
  }
  for (const char* bad :
       {"DOTNET_GCHeapHardLimit=100000", "COMPlus_GCHeapHardLimit=0x200000", "DOTNET_GCHeapHardLimit=f"}) {
    c.environment = {bad};
    ASSERT_TRUE(finding()) << bad;
    EXPECT_EQ(finding()->id, Id::heap_limit);
    EXPECT_EQ(finding()->severity, Severity::error) << bad;
  }
  c.environment = {"DOTNET_GCHeapHardLimit=280000"};
  EXPECT_EQ(finding()->severity, Severity::warning);
  c.environment = {};
  for (const auto& [value, is_bad] :
       {std::pair{"1000000", true}, {"10000000", false}, {"0x1000", true}, {"f", false}}) {
    c.app.properties = Properties{{"System.GC.HeapHardLimit", value}};
    EXPECT_EQ(finding().has_value(), is_bad) << value;
  }
  c.app.properties = Properties{{"System.GC.HeapHardLimit", "1"}};
  c.environment = {"DOTNET_GCHeapHardLimit=10000000"};
  EXPECT_FALSE(finding()) << "the variable wins";
}

TEST(Surroundings, AHostingStartupThatIsNotThereIsALoss) {
  Case c;
  c.app.base_directory = "/app";
  c.app.dotnet_root = "/usr/share/dotnet";
  c.app.framework_dependent = true;
  c.system.file("/app/App.dll", "").file("/app/Monitor.dll", "");
  c.system.file("/usr/share/dotnet/shared/Microsoft.AspNetCore.App/10.0.0/System.Own.dll", "");
  for (const char* good : {"ASPNETCORE_HOSTINGSTARTUPASSEMBLIES=monitor; App ;;System.Own, Version=1.0.0.0",
                           "DOTNET_HostingStartupAssemblies="}) {
    c.environment = {good};
    EXPECT_THAT(c.ids(), IsEmpty()) << good;
  }
  for (const char* bad : {"ASPNETCORE_HOSTINGSTARTUPASSEMBLIES=Monitor;Nope", "DOTNET_HostingStartupAssemblies=Nope"}) {
    c.environment = {bad};
    EXPECT_THAT(c.ids(), ElementsAre(Id::hosting_startup_missing)) << bad;
    for (const char* also : {"ASPNETCORE_PREVENTHOSTINGSTARTUP=1", "ASPNETCORE_HOSTINGSTARTUPEXCLUDEASSEMBLIES=nope",
                             "DOTNET_ADDITIONAL_DEPS=/x", "ASPNETCORE_HostingStartupAssemblies=Other"}) {
      c.environment = {bad, also};
      EXPECT_THAT(c.ids(), IsEmpty()) << bad << ' ' << also;
    }
  }
  c.environment = {};
  c.arguments = {"--hostingStartupAssemblies", "Nope"};
  EXPECT_THAT(c.ids(), ElementsAre(Id::hosting_startup_missing));
  c.builders = {hosting::Builder::slim};
  EXPECT_THAT(c.ids(), IsEmpty());
}

TEST(Surroundings, AProfilerIsLookedForOnlyWhereItIsSwitchedOn) {
  Case c;
  c.environment = {"CORECLR_PROFILER_PATH=/nope.so"};
  EXPECT_THAT(c.ids(), IsEmpty());
  c.environment.emplace_back("CORECLR_ENABLE_PROFILING=1");
  EXPECT_THAT(c.ids(), ElementsAre(Id::profiler_missing));
  c.environment.emplace_back("DOTNET_EnableDiagnostics=0");
  EXPECT_THAT(c.ids(), IsEmpty());
  c.environment = {"CORECLR_ENABLE_PROFILING=1", "CORECLR_PROFILER_PATH=/nope.so", "CORECLR_PROFILER_PATH_64=/a.so"};
  c.system.file("/a.so", "");
  EXPECT_THAT(c.ids(), IsEmpty());
}

TEST(Surroundings, TheDiagnosticsSocketIsLostWithATmpdirThatIsNoUse) {
  Case c;
  c.system.directory("/ro").directory("/own", 0755, 1654, 1654);
  for (const char* folder : {"/nope", "/ro"}) {
    c.environment = {std::string("TMPDIR=") + folder};
    EXPECT_THAT(c.ids(), ElementsAre(Id::diagnostics_lost)) << folder;
    c.environment.emplace_back("DOTNET_EnableDiagnostics=0");
    EXPECT_THAT(c.ids(), IsEmpty()) << folder;
  }
  c.environment = {"TMPDIR=/own"};
  EXPECT_THAT(c.ids(), IsEmpty());
  const std::string deep = "/own/" + std::string(90, 'x');
  c.system.directory(deep, 0755, 1654, 1654);
  c.environment = {"TMPDIR=" + deep};
  EXPECT_THAT(c.ids(), ElementsAre(Id::diagnostics_lost));
}

TEST(Surroundings, AWebRootThatIsNamedMustBeThereOrBePossible) {
  Case c;
  c.system.directory("/own", 0755, 1654, 1654).file("/own/file", "");
  for (const char* good : {"/own", "/own/a/b", "/usr"}) {
    c.environment = {std::string("ASPNETCORE_WEBROOT=") + good};
    EXPECT_THAT(c.ids(), IsEmpty()) << good;
  }
  for (const char* bad : {"/nope/x", "/own/file", "/own/file/x"}) {
    c.environment = {std::string("DOTNET_webroot=") + bad};
    EXPECT_THAT(c.ids(), ElementsAre(Id::web_root)) << bad;
  }
  c.environment = {};
  c.arguments = {"--WebRoot", "/nope"};
  EXPECT_THAT(c.ids(), ElementsAre(Id::web_root));
}

TEST(Surroundings, AReadOnlyRootIsNoFailure) {
  Case c;
  c.system.directory("/tmp", 0755);
  EXPECT_THAT(c.ids(), IsEmpty());
}

}  // namespace
}  // namespace portshim::surroundings
