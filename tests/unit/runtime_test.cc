#include "shim/runtime.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/fake_system.h"

namespace portshim::runtime {
namespace {

using support::FakeSystem;
using Words = std::vector<std::string>;

constexpr const char* kAspNet =
    R"({"runtimeOptions": {"framework": {"name": "Microsoft.AspNetCore.App", "version": "9.0.1"}}})";

/// A 64-bit ELF file with one writable segment that holds `data`.
std::string elf_with(const std::string& data) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_type = PT_LOAD;
  segment.p_flags = PF_R | PF_W;
  segment.p_offset = sizeof header + sizeof segment;
  segment.p_filesz = data.size();
  std::string out(reinterpret_cast<const char*>(&header), sizeof header);
  out.append(reinterpret_cast<const char*>(&segment), sizeof segment);
  return out + data;
}

std::string bundle_marker() {
  return "\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32"
         "\x13\xf5\xb9\xe6\xef\xae\x33\x18\xee\x3b\x2d\xce\x24\xb3\x6a\xae";
}

void put_app(FakeSystem& system, const std::string& runtimeconfig = kAspNet) {
  system.cwd = "/app";
  system.program("/usr/bin/dotnet").file("/app/App.dll", "MZ").file("/app/App.runtimeconfig.json", runtimeconfig);
}

App classify_dotnet(const FakeSystem& system, const Words& argv) {
  return classify(system, argv, "/usr/bin/dotnet");
}

TEST(Runtime, DotnetWithADllIsThatAppAndItsArgumentsFollow) {
  FakeSystem system;
  put_app(system);
  const App app = classify_dotnet(system, {"dotnet", "App.dll", "--urls", "x"});
  EXPECT_EQ(app.kind, Kind::dotnet);
  EXPECT_EQ(app.assembly, "App.dll");
  EXPECT_EQ(app.first_argument, 2U);
  EXPECT_EQ(app.asp_net_core, true);
  EXPECT_EQ(app.major, 9);
  EXPECT_FALSE(app.binds_nothing());
}

TEST(Runtime, HostOptionsAndTheirValuesAreSkippedInAnyCase) {
  FakeSystem system;
  put_app(system);
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "--Roll-Forward", "Major", "--fx-version", "9.0.0", "App.dll", "x"})
                .first_argument,
            6U);
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "exec", "--depsfile", "a", "--runtimeconfig",
                                     "/app/App.runtimeconfig.json", "App.dll"})
                .major,
            9);
  // Before the dll these are options of exec alone, and an option with '=' is none.
  EXPECT_TRUE(classify_dotnet(system, {"dotnet", "--depsfile", "a", "App.dll"}).binds_nothing());
  EXPECT_TRUE(classify_dotnet(system, {"dotnet", "--roll-forward=Major", "App.dll"}).binds_nothing());
}

TEST(Runtime, DotnetWithoutAnAppBindsNothing) {
  FakeSystem system;
  put_app(system);
  for (const Words& argv :
       {Words{"dotnet"}, Words{"dotnet", "--info"}, Words{"dotnet", "build"}, Words{"dotnet", "tool", "run"},
        Words{"dotnet", "exec"}, Words{"dotnet", "--roll-forward", "Major"}}) {
    EXPECT_TRUE(classify_dotnet(system, argv).binds_nothing()) << argv.back();
  }
}

TEST(Runtime, DotnetRunStartsAnotherProcessAndCountsAsOther) {
  FakeSystem system;
  put_app(system);
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "run", "--urls", "x"}).kind, Kind::other);
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "watch"}).kind, Kind::other);
}

TEST(Runtime, AnAppWithoutAspNetCoreBindsNothing) {
  FakeSystem system;
  put_app(system, R"({"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": "9.0.0"}}})");
  EXPECT_TRUE(classify_dotnet(system, {"dotnet", "App.dll"}).binds_nothing());
}

TEST(Runtime, TheFrameworkMayBeOneOfAListOrIncluded) {
  for (const char* list : {"frameworks", "includedFrameworks"}) {
    FakeSystem system;
    put_app(system, std::string(R"({/* hostfxr takes comments */"runtimeOptions": {")") + list +
                        R"(": [{"name": "Microsoft.NETCore.App", "version": "8.0.0"},)"
                        R"({"name": "Microsoft.AspNetCore.App", "version": "8.0.11"}]}})");
    const App app = classify_dotnet(system, {"dotnet", "App.dll"});
    EXPECT_EQ(app.asp_net_core, true) << list;
    EXPECT_EQ(app.major, 8) << list;
  }
}

TEST(Runtime, ARollForwardToAnotherMajorLeavesTheVersionOpen) {
  FakeSystem system;
  put_app(system, R"({"runtimeOptions": {"rollForward": "LatestMajor",
                      "framework": {"name": "Microsoft.AspNetCore.App", "version": "6.0.0"}}})");
  EXPECT_EQ(plausible_majors(classify_dotnet(system, {"dotnet", "App.dll"})), (std::vector<int>{8, 9, 10}));
}

TEST(Runtime, ARuntimeconfigThatIsNoJsonOrNotReadableLeavesEverythingOpen) {
  for (const std::string& text :
       {std::string("{"), std::string(), std::string("[]"), std::string(R"({"runtimeOptions": 1})"),
        std::string(R"({"runtimeOptions": {"framework": 1, "frameworks": {}}})"), std::string(100'000, '[')}) {
    FakeSystem system;
    put_app(system, text);
    const App app = classify_dotnet(system, {"dotnet", "App.dll"});
    EXPECT_EQ(app.major, std::nullopt);
    EXPECT_FALSE(app.runtimeconfig_missing);
  }
  FakeSystem system;
  put_app(system);
  system.fail(support::Call::read, "App.runtimeconfig.json", EACCES);
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "App.dll"}).asp_net_core, std::nullopt);
}

TEST(Runtime, AMissingDllNamesTheAppsThatAreThere) {
  FakeSystem system;
  put_app(system);
  system.file("/app/Worker.runtimeconfig.json", "{}");
  const App app = classify_dotnet(system, {"dotnet", "app.dll"});
  EXPECT_TRUE(app.assembly_missing);
  EXPECT_EQ(app.assemblies_there, (Words{"App.dll", "Worker.dll"}));
}

TEST(Runtime, AMissingRuntimeconfigIsSeen) {
  FakeSystem system;
  put_app(system);
  system.remove("/app/App.runtimeconfig.json");
  const App app = classify_dotnet(system, {"dotnet", "App.dll"});
  EXPECT_TRUE(app.runtimeconfig_missing);
  EXPECT_EQ(app.runtimeconfig, "App.runtimeconfig.json");
}

TEST(Runtime, AnElfFileWithItsDllBesideItIsAnApphost) {
  FakeSystem system;
  system.program("/app/App", elf_with("")).file("/app/App.dll", "MZ").file("/app/App.runtimeconfig.json", kAspNet);
  system.link("/usr/bin/App", "/app/App");
  for (const char* path : {"/app/App", "/usr/bin/App"}) {
    const App app = classify(system, Words{path, "--roll-forward", "Major", "x"}, path);
    EXPECT_EQ(app.kind, Kind::apphost) << path;
    EXPECT_EQ(app.assembly, "/app/App.dll") << path;
    EXPECT_EQ(app.first_argument, 3U) << path;
    EXPECT_EQ(app.major, 9) << path;
  }
}

TEST(Runtime, ASingleFileAppIsKnownByItsBundleMarker) {
  FakeSystem system;
  system.program("/bundle", elf_with("x" + std::string(8, '\1') + bundle_marker()));
  system.program("/plain", elf_with("x" + std::string(8, '\0') + bundle_marker()));
  EXPECT_EQ(classify(system, Words{"/bundle"}, "/bundle").kind, Kind::apphost);
  EXPECT_EQ(classify(system, Words{"/plain"}, "/plain").kind, Kind::other);
}

TEST(Runtime, AnythingElseIsOther) {
  FakeSystem system;
  system.program("/bin/sh", elf_with(""))
      .program("/start", "#!/bin/sh\nexec dotnet App.dll\n")
      .program("/cut",
               "\x7f"
               "ELF");
  for (const char* path : {"/bin/sh", "/start", "/cut", "/missing", ""}) {
    const App app = classify(system, Words{"start", "App.dll"}, path);
    EXPECT_EQ(app.kind, Kind::other) << path;
    EXPECT_EQ(app.first_argument, 2U) << path;
    EXPECT_FALSE(app.binds_nothing()) << path;
  }
}

TEST(Runtime, AnUnknownVersionMayBeEightNineOrTen) {
  EXPECT_EQ(plausible_majors(App{}), (std::vector<int>{8, 9, 10}));
}

}  // namespace
}  // namespace portshim::runtime
