#include "shim/runtime.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstdint>
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
  header.e_machine = EM_X86_64;
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

template <typename T>
std::string bytes_of(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A single-file app with this runtimeconfig.json, of header version 6 as .NET 6 and later write it.
std::string bundle_with(const std::string& runtimeconfig, std::uint64_t flags = 0) {
  const std::size_t config = elf_with(bytes_of(std::uint64_t{}) + bundle_marker()).size();
  const std::string host = elf_with(bytes_of(std::uint64_t{config + runtimeconfig.size()}) + bundle_marker());
  const std::string id = "ZePKK4gfXysi";
  return host + runtimeconfig + bytes_of(std::uint32_t{6}) + bytes_of(std::uint32_t{0}) + bytes_of(std::uint32_t{3}) +
         static_cast<char>(id.size()) + id + bytes_of(std::uint64_t{}) + bytes_of(std::uint64_t{}) +
         bytes_of(std::uint64_t{config}) + bytes_of(std::uint64_t{runtimeconfig.size()}) + bytes_of(flags);
}

void put_app(FakeSystem& system, const std::string& runtimeconfig = kAspNet) {
  system.cwd = "/app";
  system.program("/usr/bin/dotnet").file("/app/App.dll", "MZ").file("/app/App.runtimeconfig.json", runtimeconfig);
}

App classify_dotnet(const FakeSystem& system, const Words& argv, const Words& environment = {}) {
  return classify(system, argv, "/usr/bin/dotnet", environment);
}

/// .NET in `root` as packages install it, with ASP.NET Core in these versions.
void put_dotnet(FakeSystem& system, const std::string& root, const Words& versions) {
  system.file(root + "/host/fxr/10.0.12/libhostfxr.so", "");
  for (const std::string& version : versions) {
    const std::string folder = root + "/shared/Microsoft.AspNetCore.App/" + version;
    system.file(folder + "/Microsoft.AspNetCore.App.deps.json", "{}");
  }
}

std::string config_for(const std::string& version, const std::string& options = "") {
  return "{\"runtimeOptions\": {" + options + R"("framework": {"name": "Microsoft.AspNetCore.App", "version": ")" +
         version + "\"}}}";
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
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "App.dll"}, {"ASPNET_VERSION=9.0.1"}).major, 9);
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
    const App app = classify(system, Words{path, "--roll-forward", "Major", "x"}, path, {});
    EXPECT_EQ(app.kind, Kind::apphost) << path;
    EXPECT_EQ(app.assembly, "/app/App.dll") << path;
    EXPECT_EQ(app.first_argument, 3U) << path;
    EXPECT_EQ(app.requested_version, "9.0.1") << path;
    EXPECT_EQ(app.major, 9) << path;
    EXPECT_EQ(app.application, "App") << path;
    EXPECT_EQ(app.base_directory, "/app") << path;
  }
}

TEST(Runtime, ASingleFileAppIsKnownByItsBundleMarker) {
  FakeSystem system;
  system.program("/bundle", elf_with("x" + std::string(8, '\1') + bundle_marker()));
  system.program("/plain", elf_with("x" + std::string(8, '\0') + bundle_marker()));
  EXPECT_EQ(classify(system, Words{"/bundle"}, "/bundle", {}).kind, Kind::apphost);
  EXPECT_EQ(classify(system, Words{"/plain"}, "/plain", {}).kind, Kind::other);
}

TEST(Runtime, TheVersionIsTheOneThatHostfxrChooses) {
  FakeSystem system;
  put_app(system, config_for("8.0.0", R"("rollForward": "Major", )"));
  system.link("/usr/bin/dotnet", "../share/dotnet/dotnet").program("/usr/share/dotnet/dotnet");
  put_dotnet(system, "/usr/share/dotnet", {"9.0.1", "9.0.22", "10.0.12"});
  const App app = classify_dotnet(system, {"dotnet", "App.dll"});
  EXPECT_EQ(app.major, 9);
  EXPECT_EQ(app.requested_version, "8.0.0");
  EXPECT_EQ(app.resolved_version, "9.0.22");
  EXPECT_EQ(app.dotnet_root, "/usr/share/dotnet");
  EXPECT_EQ(app.missing_framework.name, "");

  EXPECT_EQ(classify_dotnet(system, {"dotnet", "App.dll"}, {"DOTNET_ROLL_FORWARD=LatestMajor"}).major, 10);
  EXPECT_EQ(
      classify_dotnet(system, {"dotnet", "--roll-forward", "Minor", "--Roll-Forward", "LatestMajor", "App.dll"}).major,
      10);
  const App exact = classify_dotnet(system, {"dotnet", "--fx-version", "10.0.12", "App.dll"});
  EXPECT_EQ(exact.major, 10);
  EXPECT_EQ(exact.requested_version, "10.0.12");
}

TEST(Runtime, AFrameworkThatIsNotInstalledIsMissingAndTheRequestedVersionStays) {
  FakeSystem system;
  put_app(system, config_for("8.0.4"));
  put_dotnet(system, "/usr/bin", {"9.0.1"});
  App app = classify_dotnet(system, {"dotnet", "App.dll"}, {"ASPNET_VERSION=9.0.1"});
  EXPECT_EQ(app.major, 8);
  EXPECT_EQ(app.resolved_version, "");
  EXPECT_EQ(app.dotnet_root, "/usr/bin");
  EXPECT_EQ(app.missing_framework.name, "Microsoft.AspNetCore.App");
  EXPECT_EQ(app.missing_framework.version, "8.0.4");
  EXPECT_EQ(app.missing_framework.installed, Words{"9.0.1"});

  // A folder that is no root, or cannot be read, tells nothing.
  system.fail(support::Call::list, "/usr/bin/host/fxr", EACCES);
  app = classify_dotnet(system, {"dotnet", "App.dll"});
  EXPECT_EQ(app.major, 8);
  EXPECT_EQ(app.dotnet_root, "");
  EXPECT_EQ(app.missing_framework.name, "");
}

TEST(Runtime, ASelfContainedAppHasTheVersionThatItIncludes) {
  FakeSystem system;
  put_app(system,
          R"({"runtimeOptions": {"includedFrameworks": [{"name": "Microsoft.AspNetCore.App", "version": "9.0.22"}]}})");
  put_dotnet(system, "/usr/bin", {"10.0.12"});
  const App app = classify_dotnet(system, {"dotnet", "App.dll"}, {"DOTNET_ROLL_FORWARD=LatestMajor"});
  EXPECT_EQ(app.major, 9);
  EXPECT_EQ(app.resolved_version, "9.0.22");
  EXPECT_EQ(app.dotnet_root, "");
}

TEST(Runtime, AFrameworkThatBringsAspNetCoreMakesItAnAspNetCoreApp) {
  FakeSystem system;
  put_app(system, R"({"runtimeOptions": {"framework": {"name": "Corp.App", "version": "1.0.0"}}})");
  EXPECT_TRUE(classify_dotnet(system, {"dotnet", "App.dll"}).binds_nothing());
  put_dotnet(system, "/usr/bin", {"9.0.1"});
  system.file("/usr/bin/shared/Corp.App/1.0.0/Corp.App.deps.json", "{}");
  system.file("/usr/bin/shared/Corp.App/1.0.0/Corp.App.runtimeconfig.json", kAspNet);
  const App app = classify_dotnet(system, {"dotnet", "App.dll"});
  EXPECT_EQ(app.asp_net_core, true);
  EXPECT_EQ(app.major, 9);
}

TEST(Runtime, ImagesSayTheVersionWhereNoRuntimeconfigDoes) {
  FakeSystem system;
  system.program("/usr/bin/dotnet").program("/bundle", elf_with(std::string(8, '\1') + bundle_marker()));
  const Words both = {"DOTNET_VERSION=9.0.9", "ASPNET_VERSION=10.0.1"};
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "Missing.dll"}, both).major, 10);
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "Missing.dll"}, {"DOTNET_VERSION=9.0.9"}).major, 9);
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "Missing.dll"}, {"DOTNET_VERSION=9.0.9", "ASPNET_VERSION=x"}).major, 9);
  EXPECT_EQ(classify(system, Words{"/bundle"}, "/bundle", both).major, 10);
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "build"}, both).major, std::nullopt);
  put_app(system);
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "App.dll"}, both).major, 9);
}

TEST(Runtime, AnotherRuntimeconfigMayBeNamed) {
  FakeSystem system;
  put_app(system);
  system.file("/cfg/real/other.json", config_for("8.0.0")).link("/cfg/link.json", "real/other.json");
  // hostfxr follows a link, and takes .json for whatever the extension is.
  for (const char* option : {"/cfg/real/other.json", "/cfg/link.json", "/cfg/real/other.txt", "../cfg/real/other"}) {
    const App app = classify_dotnet(system, {"dotnet", "exec", "--runtimeconfig", option, "App.dll"});
    EXPECT_EQ(app.major, 8) << option;
    EXPECT_EQ(app.runtimeconfig, option);
  }
  EXPECT_TRUE(
      classify_dotnet(system, {"dotnet", "exec", "--runtimeconfig", "/none.json", "App.dll"}).runtimeconfig_missing);
}

TEST(Runtime, TheBaseDirectoryIsThatOfTheRealDll) {
  FakeSystem system;
  put_app(system);
  system.link("/links/Other.dll", "../app/App.dll").link("/dir", "app").file("/Root.dll", "MZ");
  const auto check = [&system](const char* dll, const char* directory, const char* application) {
    const App app = classify_dotnet(system, {"dotnet", dll});
    EXPECT_EQ(app.base_directory, directory) << dll;
    EXPECT_EQ(app.application, application) << dll;
  };
  check("App.dll", "/app", "App");
  check("./../app/App.dll", "/app", "App");
  check("/dir/App.dll", "/app", "App");
  check("/links/Other.dll", "/app", "App");
  check("/Root.dll", "/", "Root");
  check("Missing.Name.dll", "", "Missing.Name");
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "/links/Other.dll"}).runtimeconfig, "/app/App.runtimeconfig.json");
  EXPECT_EQ(classify_dotnet(system, {"dotnet", "build"}).application, "");
}

TEST(Runtime, AnApphostLooksForDotnetByItself) {
  FakeSystem system;
  system.program("/app/App", elf_with("")).file("/app/App.dll", "MZ");
  system.file("/app/App.runtimeconfig.json", config_for("8.0.0", R"("rollForward": "LatestMajor", )"));
  put_dotnet(system, "/opt/dotnet", {"9.0.1"});
  put_dotnet(system, "/usr/share/dotnet", {"10.0.12"});
  const Words root = {"DOTNET_ROOT=/opt/dotnet"};
  EXPECT_EQ(classify(system, Words{"/app/App"}, "/app/App", root).major, 9);
  EXPECT_EQ(classify(system, Words{"/app/App"}, "/app/App", {}).major, 10);
  // All host options are its own, those of exec too.
  system.file("/cfg/other.json", config_for("9.0.0"));
  const App app = classify(system, Words{"/app/App", "--runtimeconfig", "/cfg/other.json", "x"}, "/app/App", root);
  EXPECT_EQ(app.requested_version, "9.0.0");
  EXPECT_EQ(app.first_argument, 3U);
}

TEST(Runtime, AnApphostWithSearchOptionsMayLookAnywhere) {
  const std::string half = "19ff3e9c3602ae8e841925bb461a0adb";
  const std::string hash = half + "064a1f1903667a5e0d87e8f608f425ac";
  // Two segments: what is read only, and what dotnet build writes into.
  const auto apphost = [&](const std::string& data) {
    std::string file = elf_with(data);
    Elf64_Ehdr header{};
    Elf64_Phdr writable{};
    std::memcpy(&header, file.data(), sizeof header);
    std::memcpy(&writable, file.data() + sizeof header, sizeof writable);
    Elf64_Phdr constant = writable;
    constant.p_flags = PF_R;
    constant.p_offset = file.size() + sizeof constant;
    constant.p_filesz = half.size() + 1;
    writable.p_offset += sizeof constant;
    header.e_phnum = 2;
    return bytes_of(header) + bytes_of(writable) + bytes_of(constant) + data + half + '\0';
  };
  const auto root_with = [&](const std::string& data) {
    FakeSystem system;
    system.program("/app/App", apphost(data)).file("/app/App.dll", "MZ").file("/app/App.runtimeconfig.json", kAspNet);
    put_dotnet(system, "/usr/share/dotnet", {"9.0.1"});
    const App app = classify(system, Words{"/app/App"}, "/app/App", {});
    EXPECT_EQ(app.major, 9);
    return app.dotnet_root;
  };
  EXPECT_EQ(root_with("ab" + std::string(2, '\0') + hash), "/usr/share/dotnet");
  EXPECT_EQ(root_with(std::string("ab\x08\0", 4) + hash), "");
  EXPECT_EQ(root_with(std::string("ab\x02\0./dotnet", 12)), "");
}

TEST(Runtime, ASingleFileAppHasItsRuntimeconfigInside) {
  FakeSystem system;
  put_dotnet(system, "/usr/share/dotnet", {"9.0.22"});
  system.program("/srv/app/Shop.Web", bundle_with(kAspNet)).link("/usr/bin/shop", "/srv/app/Shop.Web");
  App app = classify(system, Words{"shop"}, "/usr/bin/shop", Words{"ASPNET_VERSION=10.0.1"});
  EXPECT_EQ(app.kind, Kind::apphost);
  EXPECT_EQ(app.assembly, "");
  EXPECT_EQ(app.asp_net_core, true);
  EXPECT_EQ(app.resolved_version, "9.0.22");
  EXPECT_EQ(app.application, "Shop.Web");
  EXPECT_EQ(app.base_directory, "/srv/app");

  system.program("/extracted", bundle_with(kAspNet, 1));
  app = classify(system, Words{"/extracted"}, "/extracted", {});
  EXPECT_EQ(app.base_directory, "");
  EXPECT_EQ(app.major, 9);
}

TEST(Runtime, ADamagedBundleIsABundleStill) {
  const std::string whole = bundle_with(kAspNet);
  for (std::size_t size = whole.size() - 60; size < whole.size(); size += 5) {
    FakeSystem system;
    system.program("/bundle", whole.substr(0, size));
    const App app = classify(system, Words{"/bundle"}, "/bundle", {});
    EXPECT_EQ(app.kind, Kind::apphost) << size;
    EXPECT_EQ(app.asp_net_core, std::nullopt) << size;
  }
}

/// An app's executable, which names the dll that it starts.
std::string apphost_for(const std::string& dll) {
  return elf_with(std::string(8, '\0') + bundle_marker() + std::string(600, '\0') + dll + std::string(300, '\0'));
}

TEST(Runtime, AnExecutableOfAnAppMissesItsDll) {
  FakeSystem system;
  system.program("/srv/Shop", apphost_for("Shop.dll"));
  App app = classify(system, Words{"/srv/Shop"}, "/srv/Shop", {});
  EXPECT_EQ(app.kind, Kind::apphost);
  EXPECT_EQ(app.assembly, "/srv/Shop.dll");
  EXPECT_TRUE(app.assembly_missing);
  system.link("/srv/Shop.dll", "/srv/Shop.dll");
  EXPECT_TRUE(classify(system, Words{"/srv/Shop"}, "/srv/Shop", {}).assembly_missing) << "a loop";
}

TEST(Runtime, AnExecutableOfAnAppStartsItsDllWhateverItsOwnNameIs) {
  FakeSystem system;
  system.program("/srv/server", apphost_for("Shop.dll")).file("/srv/Shop.dll", "MZ");
  system.file("/srv/Shop.runtimeconfig.json", kAspNet);
  const App app = classify(system, Words{"/srv/server", "--urls", "x"}, "/srv/server", {});
  EXPECT_EQ(app.kind, Kind::apphost);
  EXPECT_EQ(app.assembly, "/srv/Shop.dll");
  EXPECT_EQ(app.application, "Shop");
  EXPECT_EQ(app.deps_json, "/srv/Shop.deps.json");
  EXPECT_EQ(app.major, 9);
  EXPECT_FALSE(app.assembly_missing);
}

TEST(Runtime, WhereAnExecutableNamesNoDllNothingIsKnown) {
  FakeSystem system;
  system.program("/x", elf_with(std::string(8, '\0') + bundle_marker() + std::string(64, 'h')));
  EXPECT_EQ(classify(system, Words{"/x"}, "/x", {}).kind, Kind::other);
  system.program("/long", apphost_for(std::string(1, '/') + std::string(400, 'x') + ".dll"));
  EXPECT_EQ(classify(system, Words{"/long"}, "/long", {}).kind, Kind::other);
  system.program("/plain", elf_with(std::string(600, '\0') + "Shop.dll" + std::string(300, '\0')));
  EXPECT_EQ(classify(system, Words{"/plain"}, "/plain", {}).kind, Kind::other);
}

TEST(Runtime, AProgramThatEndsTooEarlyIsCutOff) {
  const std::string whole = elf_with(std::string(5000, 'x'));
  FakeSystem system;
  system.program("/whole", whole).program("/cut", whole.substr(0, 5000));
  EXPECT_FALSE(classify(system, Words{"/whole"}, "/whole", {}).is_cut_off);
  const App app = classify(system, Words{"/cut"}, "/cut", {});
  EXPECT_TRUE(app.is_cut_off);
  EXPECT_EQ(app.kind, Kind::other);
}

TEST(Runtime, AnythingElseIsOther) {
  FakeSystem system;
  system.program("/bin/sh", elf_with(""))
      .program("/start", "#!/bin/sh\nexec dotnet App.dll\n")
      .program("/cut",
               "\x7f"
               "ELF");
  for (const char* path : {"/bin/sh", "/start", "/cut", "/missing", ""}) {
    const App app = classify(system, Words{"start", "App.dll"}, path, Words{"ASPNET_VERSION=9.0.0"});
    EXPECT_EQ(app.kind, Kind::other) << path;
    EXPECT_EQ(app.major, std::nullopt) << path;
    EXPECT_EQ(app.first_argument, 2U) << path;
    EXPECT_FALSE(app.binds_nothing()) << path;
  }
}

TEST(Runtime, AnUnknownVersionMayBeEightNineOrTen) {
  EXPECT_EQ(plausible_majors(App{}), (std::vector<int>{8, 9, 10}));
}

}  // namespace
}  // namespace portshim::runtime
