#include "shim/host_files.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/fake_system.h"

namespace portshim::host_files {
namespace {

using finding::Finding;
using finding::Id;
using finding::Severity;
using support::Call;
using support::FakeSystem;
using testing::HasSubstr;
using Words = std::vector<std::string>;

constexpr const char* kDeps = R"({"runtimeTarget": {"name": ".NETCoreApp,Version=v10.0"}, "targets": {}})";

std::string config_with(const std::string& options = "") {
  return "{\"runtimeOptions\": {" + options +
         R"("framework": {"name": "Microsoft.AspNetCore.App", "version": "10.0.0"}}})";
}

/// An executable of this machine's that holds this text.
std::string program_with(const std::string& text) {
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
  segment.p_flags = PF_R;
  segment.p_offset = sizeof header + sizeof segment;
  segment.p_filesz = text.size();
  std::string out(reinterpret_cast<const char*>(&header), sizeof header);
  out.append(reinterpret_cast<const char*>(&segment), sizeof segment);
  return out + text;
}

/// The headers of a PE32 file with a CLI header and one section that ends at `end`; the file is `size` bytes long.
std::string image(std::size_t size, std::uint32_t end, bool managed = true) {
  std::string out(size, '\0');
  const auto put = [&out](std::size_t at, auto value) { std::memcpy(out.data() + at, &value, sizeof value); };
  out.replace(0, 2, "MZ");
  put(0x3C, std::uint32_t{0x80});
  out.replace(0x80, 2, "PE");
  put(0x86, std::uint16_t{1});
  put(0x94, std::uint16_t{224});
  put(0x98, std::uint16_t{0x10B});
  put(0x98 + 96 + 14 * 8, std::uint32_t{managed ? 0x2008U : 0U});
  put(0x98 + 224 + 16, end - 512);
  put(0x98 + 224 + 20, std::uint32_t{512});
  return out;
}

/// A good app; a test breaks it.
struct Case {
  FakeSystem system;
  Words argv = {"dotnet", "App.dll"};
  Words environment;

  Case() {
    system.cwd = "/app";
    system.program("/dotnet/dotnet", program_with("libhostfxr.so"));
    system.link("/usr/bin/dotnet", "/dotnet/dotnet");
    system.file("/dotnet/host/fxr/10.0.1/libhostfxr.so", "");
    system.file("/dotnet/shared/Microsoft.AspNetCore.App/10.0.1/Microsoft.AspNetCore.App.deps.json", "{}");
    system.file("/app/App.dll", image(1024, 1024));
    system.file("/app/App.runtimeconfig.json", config_with());
    system.file("/app/App.deps.json", kDeps);
  }

  [[nodiscard]] std::vector<Finding> check() const {
    const runtime::App app = runtime::classify(system, argv, "/usr/bin/dotnet", environment);
    return host_files::check(system, app, argv, "/usr/bin/dotnet", environment);
  }

  /// The only finding; an empty one when there is none.
  [[nodiscard]] Finding only() const {
    const auto findings = check();
    EXPECT_LE(findings.size(), 1U);
    return findings.empty() ? Finding() : findings.front();
  }
};

TEST(HostFiles, AGoodAppIsNotMentioned) {
  EXPECT_TRUE(Case().check().empty());
}

TEST(HostFiles, ADepsJsonThatIsNotThereIsFineAndABadOneIsNot) {
  Case c;
  c.system.remove("/app/App.deps.json");
  EXPECT_TRUE(c.check().empty());
  for (const char* text : {"", "{ bad", "[]", "{}", R"({"runtimeTarget": {"name": 3}})"}) {
    c.system.file("/app/App.deps.json", text);
    EXPECT_EQ(c.only().id, Id::deps_json) << text;
    EXPECT_EQ(c.only().severity, Severity::error);
  }
  for (const char* text :
       {R"({"runtimeTarget": "x"})", "\xef\xbb\xbf// hi\n{\"runtimeTarget\": {\"name\": \"x\"}} more"}) {
    c.system.file("/app/App.deps.json", text);
    EXPECT_TRUE(c.check().empty()) << text;
  }
}

TEST(HostFiles, TheExitCodeThatLooksLikeACrashAndThePlaceAreNamed) {
  Case c;
  c.system.file("/app/App.deps.json", "{\n  bad");
  EXPECT_THAT(c.only().what, HasSubstr("139, which is no segmentation fault"));
  EXPECT_THAT(c.only().why, HasSubstr("line 2, column 3"));
}

TEST(HostFiles, FilesThatTheUserMayNotReadAreNamed) {
  for (const auto& [path, id] : {std::pair{"/app/App.deps.json", Id::deps_json},
                                 std::pair{"/app/App.runtimeconfig.json", Id::runtimeconfig_invalid},
                                 std::pair{"/app/App.dll", Id::assembly_unusable}}) {
    Case c;
    c.system.file(path, "", 0600);
    const Finding finding = c.only();
    EXPECT_EQ(finding.id, id);
    EXPECT_THAT(finding.what, HasSubstr(std::string(path).substr(5)));
    EXPECT_EQ(finding.why.substr(0, 17), "Permission denied");
    EXPECT_THAT(finding.next, HasSubstr("let the app's user read it"));
  }
}

TEST(HostFiles, AFolderThatTheUserMayNotEnterIsBlamedInPlaceOfTheFile) {
  Case c;
  c.system.directory("/app", 0700);
  EXPECT_FALSE(c.check().empty());
  for (const Finding& finding : c.check()) {
    EXPECT_THAT(finding.why, HasSubstr("may not enter the folder '/app'")) << finding.what;
    EXPECT_THAT(finding.next, HasSubstr("chmod a+rx /app"));
  }
}

TEST(HostFiles, AFileThatIsTooLargeForPortshimCountsAsGood) {
  Case c;
  c.system.fail(Call::read, "App.deps.json", EFBIG);
  EXPECT_TRUE(c.check().empty());
}

TEST(HostFiles, ARuntimeconfigThatTheHostRefusesIsAnError) {
  Case c;
  for (const std::string& text : {std::string("{ bad"), std::string("{}"), config_with(R"("rollForward": "x", )")}) {
    c.system.file("/app/App.runtimeconfig.json", text);
    EXPECT_EQ(c.only().id, Id::runtimeconfig_invalid) << text;
    EXPECT_THAT(c.only().what, HasSubstr("147"));
  }
}

TEST(HostFiles, ARollForwardSettingIsBlamedInPlaceOfTheFile) {
  Case c;
  c.environment = {"DOTNET_ROLL_FORWARD=nope"};
  EXPECT_EQ(c.only().id, Id::roll_forward);
  EXPECT_THAT(c.only().what, HasSubstr("DOTNET_ROLL_FORWARD=nope"));
  c.environment = {"DOTNET_ROLL_FORWARD=latestmajor"};
  EXPECT_TRUE(c.check().empty());
  c.argv = {"dotnet", "--roll-forward", "nope", "App.dll"};
  EXPECT_THAT(c.only().what, HasSubstr("--roll-forward nope is not valid: the host ends with exit code 129"));
}

TEST(HostFiles, WithoutAnSdkOnlyADllStartsAnApp) {
  Case c;
  c.argv = {"dotnet", "App"};
  EXPECT_EQ(c.only().severity, Severity::error);
  EXPECT_EQ(c.only().next, "write dotnet App.dll");
  for (const char* word : {"--info", "--list-runtimes", "exec", "build"}) {
    c.argv = {"dotnet", word};
    EXPECT_TRUE(c.check().empty()) << word;
  }
}

TEST(HostFiles, AGlobalJsonMayNameAnSdkElsewhere) {
  Case c;
  c.argv = {"dotnet", "anything"};
  EXPECT_EQ(c.only().severity, Severity::error);
  c.system.file("/global.json", "{}");
  EXPECT_TRUE(c.check().empty());
}

TEST(HostFiles, WithAnSdkAWordMayBeACommandUnlessThereIsAnAppOfThatName) {
  Case c;
  c.system.directory("/dotnet/sdk/10.0.100");
  c.argv = {"dotnet", "App"};
  EXPECT_EQ(c.only().severity, Severity::warning);
  c.argv = {"dotnet", "build"};
  EXPECT_TRUE(c.check().empty());
}

TEST(HostFiles, DotnetWithoutHostfxrStartsNothing) {
  Case c;
  c.system.remove("/dotnet/host/fxr/10.0.1/libhostfxr.so").remove("/dotnet/host/fxr/10.0.1").remove("/dotnet/host/fxr");
  EXPECT_EQ(c.only().id, Id::hostfxr_missing);
}

TEST(HostFiles, AScriptCalledDotnetMayFindTheHostElsewhere) {
  Case c;
  c.system.remove("/usr/bin/dotnet").program("/usr/bin/dotnet", "#!/bin/sh\n");
  EXPECT_TRUE(c.check().empty());
}

TEST(HostFiles, ARuntimeThatWasNotCopiedWholeIsAnErrorWithTheCodeOfWhatIsMissing) {
  constexpr std::array kFiles{std::pair{"libhostpolicy.so", "131"}, std::pair{"libcoreclr.so", "135"},
                              std::pair{"libclrjit.so", "134"}, std::pair{"libSystem.Native.so", "137"},
                              std::pair{"System.Private.CoreLib.dll", "137"}};
  runtime::App app{.kind = runtime::Kind::dotnet, .assembly = "App.dll", .asp_net_core = true, .major = 10};
  app.properties = std::map<std::string, std::string>{};
  const auto check_of = [&](std::string_view missing) {
    Case c;
    for (const auto& [name, code] : kFiles) {
      if (name != missing) c.system.file("/runtime/" + std::string(name), "");
    }
    return host_files::check(c.system, app, c.argv, "/usr/bin/dotnet", c.environment);
  };
  for (const bool is_framework : {true, false}) {
    app.framework_dependent = is_framework;
    (is_framework ? app.runtime_directory : app.base_directory) = "/runtime";
    EXPECT_TRUE(check_of("").empty());
    for (const auto& [name, code] : kFiles) {
      const auto found = check_of(name);
      if (std::string_view(name) == "libclrjit.so" && !is_framework) {
        EXPECT_TRUE(found.empty()) << "it may be Mono";
        continue;
      }
      ASSERT_EQ(found.size(), 1U) << name;
      EXPECT_EQ(found[0].id, Id::runtime_incomplete);
      EXPECT_THAT(found[0].what, HasSubstr(code));
    }
  }
}

TEST(HostFiles, AnAssemblyMustBeAWholeManagedImage) {
  Case c;
  for (const std::string& text : {std::string(), std::string("hello"), program_with(""), image(1023, 1024),
                                  image(1024, 1024, false), image(1024, 1024).substr(0, 0x90)}) {
    c.system.file("/app/App.dll", text);
    EXPECT_EQ(c.only().id, Id::assembly_unusable) << text.size();
  }
}

TEST(HostFiles, AStartupHookThatCannotBeLoadedIsAnError) {
  Case c;
  c.system.file("/hooks/Good.dll", image(1024, 1024));
  for (const char* hooks :
       {"/nope.dll", "/hooks/Good.dll:/nope.dll", "nope.dll", "x/nope", " ", "/app/App.deps.json"}) {
    c.environment = {std::string("DOTNET_STARTUP_HOOKS=") + hooks};
    EXPECT_EQ(c.only().id, Id::startup_hook) << hooks;
  }
  for (const char* hooks : {"", "::", "/hooks/Good.dll", "App"}) {
    c.environment = {std::string("DOTNET_STARTUP_HOOKS=") + hooks};
    EXPECT_TRUE(c.check().empty()) << hooks;
  }
}

TEST(HostFiles, AStartupHookByNameHasToBeSomewhereAndTheFirstMayHelpTheOthers) {
  Case c;
  c.environment = {"DOTNET_STARTUP_HOOKS=Nope"};
  EXPECT_EQ(c.only().id, Id::startup_hook);
  c.system.file("/hooks/Good.dll", image(1024, 1024));
  c.environment = {"DOTNET_STARTUP_HOOKS=/hooks/Good.dll:Nope"};
  EXPECT_TRUE(c.check().empty());
}

TEST(HostFiles, StartupHooksCanBeSwitchedOff) {
  Case c;
  c.environment = {"DOTNET_STARTUP_HOOKS=/nope.dll"};
  c.system.file("/app/App.runtimeconfig.json",
                config_with(R"("configProperties": {"System.StartupHookProvider.IsSupported": false}, )"));
  EXPECT_TRUE(c.check().empty());
}

/// A single file that extracts what it holds.
std::vector<Finding> extract(const FakeSystem& system, const Words& environment) {
  runtime::App app;
  app.kind = runtime::Kind::apphost;
  app.application = "App";
  app.is_extracted = true;
  return host_files::check(system, app, Words{"/app/App"}, "/app/App", environment);
}

TEST(HostFiles, ASingleFileExtractsBelowHomeUnlessAVariableNamesAnotherFolder) {
  FakeSystem system;
  system.directory("/home/app", 0755, 1654, 1654).directory("/var/own", 0755, 1654, 1654);
  EXPECT_TRUE(extract(system, {"HOME=/home/app"}).empty());
  EXPECT_EQ(extract(system, {"HOME=/root"}).size(), 1U);
  EXPECT_EQ(extract(system, {}).size(), 1U);
  EXPECT_THAT(extract(system, {"HOME=/nope"})[0].what, HasSubstr("159"));
  EXPECT_TRUE(extract(system, {"DOTNET_BUNDLE_EXTRACT_BASE_DIR=/var/own/a/b"}).empty());
  EXPECT_EQ(extract(system, {"DOTNET_BUNDLE_EXTRACT_BASE_DIR=/usr"}).size(), 1U);
  EXPECT_THAT(extract(system, {"HOME=/home/app", "DOTNET_BUNDLE_EXTRACT_BASE_DIR=/nope/x"})[0].what, HasSubstr("160"));
}

TEST(HostFiles, WithoutHomeTheUsersLineInPasswdCounts) {
  FakeSystem system;
  system.directory("/home/app", 0755, 1654, 1654);
  system.file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1654:1654::/home/app:/bin/false\n");
  EXPECT_TRUE(extract(system, {}).empty());
}

}  // namespace
}  // namespace portshim::host_files
