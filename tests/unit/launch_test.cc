// COMMAND from its look-up to the failure of exec: modules lookup (with elf) and launch.
#include "shim/launch.h"

#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/support/fake_system.h"

namespace {

using portshim::finding::Id;
using portshim::finding::Severity;
using portshim::launch::explain_exec;
using portshim::launch::explain_lookup;
using portshim::launch::Failure;
using portshim::lookup::find;
using portshim::lookup::is_portshim;
using portshim::lookup::Lookup;
using portshim::support::Call;
using portshim::support::FakeSystem;
using portshim::system::kNetBindService;
using portshim::system::Linux;
using portshim::system::System;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Environment = std::vector<std::string>;

// --- ELF files. ---

template <typename T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// An ELF note (elf(5)), padded to `alignment`.
std::string note(const std::string& owner, std::size_t alignment = 4, std::size_t description = 4) {
  std::string bytes;
  append(bytes, Elf64_Nhdr{.n_namesz = static_cast<Elf64_Word>(owner.size() + 1),
                           .n_descsz = static_cast<Elf64_Word>(description),
                           .n_type = 1});
  bytes += owner + '\0';
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
  bytes += std::string((description + alignment - 1) / alignment * alignment, 'd');
  return bytes;
}

struct ElfPlan {
  std::uint16_t machine = EM_X86_64;
  std::vector<std::string> notes = std::vector<std::string>(0);  ///< one PT_NOTE segment each
  std::uint64_t alignment = 4;
  const char* interpreter = "";
  std::size_t padding = 0;  ///< bytes between the program headers and what they point to
};

/// Program headers, padding and segments, as a linker lays them out.
template <typename Header, typename ProgramHeader>
std::string make_elf(const ElfPlan& plan, unsigned char elf_class) {
  std::vector<std::pair<std::uint32_t, std::string>> segments;
  segments.reserve(plan.notes.size() + 1);
  for (const std::string& bytes : plan.notes) segments.emplace_back(PT_NOTE, bytes);
  const std::string interpreter = plan.interpreter;
  if (!interpreter.empty()) segments.emplace_back(PT_INTERP, interpreter + '\0');
  Header header{};
  std::memcpy(&header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = plan.machine;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(ProgramHeader);
  header.e_phnum = static_cast<Elf64_Half>(segments.size());
  std::string file;
  append(file, header);
  std::size_t offset = sizeof header + (segments.size() * sizeof(ProgramHeader)) + plan.padding;
  for (const auto& [type, bytes] : segments) {
    ProgramHeader entry{};
    entry.p_type = type;
    entry.p_offset = static_cast<decltype(entry.p_offset)>(offset);
    entry.p_filesz = static_cast<decltype(entry.p_filesz)>(bytes.size());
    entry.p_align = static_cast<decltype(entry.p_align)>(plan.alignment);
    append(file, entry);
    offset += bytes.size();
  }
  file.append(plan.padding, '\0');
  for (const auto& [type, bytes] : segments) file += bytes;
  return file;
}

std::string elf(const ElfPlan& plan = {}) {
  return make_elf<Elf64_Ehdr, Elf64_Phdr>(plan, ELFCLASS64);
}
std::string elf32(const ElfPlan& plan = {}) {
  return make_elf<Elf32_Ehdr, Elf32_Phdr>(plan, ELFCLASS32);
}
std::string portshim_copy() {
  return elf({.notes = {note("GNU", 4, 20), note("portshim")}});
}

bool recognised(const std::string& content) {
  FakeSystem system;
  system.program("/p", content);
  return is_portshim(system, "/p");
}

// --- Recognising portshim. ---

TEST(IsPortshim, IsWhatHasItsNote) {
  EXPECT_TRUE(recognised(elf({.notes = {note("portshim")}})));
  EXPECT_TRUE(recognised(elf32({.notes = {note("portshim")}})));
  EXPECT_TRUE(recognised(portshim_copy()));
  EXPECT_TRUE(recognised(elf({.notes = {note("GNU", 4, 20) + note("stapsdt", 4, 3) + note("portshim")}})));
  EXPECT_TRUE(recognised(elf({.notes = {note("stapsdt", 8, 16) + note("portshim", 8)}, .alignment = 8})));
}

TEST(IsPortshim, IsNothingElse) {
  EXPECT_FALSE(recognised(elf()));
  EXPECT_FALSE(recognised(elf({.notes = {note("GNU", 4, 20)}})));
  EXPECT_FALSE(recognised(elf({.notes = {note("portshim2")}})));
  EXPECT_FALSE(recognised(elf({.notes = {note("port")}})));
  EXPECT_FALSE(recognised(elf({.notes = {note("GNU", 4, 64) + note("other")}, .interpreter = "portshim"})));
  EXPECT_FALSE(recognised("#!/bin/sh\n# portshim\n"));
  EXPECT_FALSE(recognised(""));
  EXPECT_FALSE(recognised(note("portshim")));
}

TEST(IsPortshim, UnreadableOrMissingFileIsNot) {
  FakeSystem system;
  system.program("/p", portshim_copy(), 0111);
  EXPECT_FALSE(is_portshim(system, "/p"));
  EXPECT_FALSE(is_portshim(system, "/none"));
  EXPECT_FALSE(is_portshim(system, "/"));
}

TEST(IsPortshim, OneReadIsEnoughForWhatLinkersMake) {
  FakeSystem system;
  system.program("/p", portshim_copy());
  EXPECT_TRUE(is_portshim(system, "/p"));
  EXPECT_EQ(system.calls.size(), 1U);
}

TEST(IsPortshim, NotesAndHeadersFarBehindAreFoundToo) {
  EXPECT_TRUE(recognised(elf({.notes = {note("portshim")}, .padding = 100'000})));
  // The program headers at the file's end, as patching tools put them.
  std::string file = elf({.notes = {note("portshim")}});
  const std::string table = file.substr(sizeof(Elf64_Ehdr), sizeof(Elf64_Phdr));
  file.resize(10'000);
  const std::uint64_t offset = file.size();
  std::memcpy(file.data() + offsetof(Elf64_Ehdr, e_phoff), &offset, sizeof offset);
  EXPECT_TRUE(recognised(file + table));
}

TEST(IsPortshim, DamagedFilesAreNotAndDoNoHarm) {
  const std::string whole = elf({.notes = {note("GNU", 4, 20), note("portshim")}});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(recognised(whole.substr(0, length)) && length < whole.size() - 4) << length;
  }
  // Every byte in turn is replaced by values that make sizes and offsets absurd.
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char value : {'\0', '\x7f', '\xff'}) {
      std::string damaged = whole;
      damaged[at] = value;
      static_cast<void>(recognised(damaged));
    }
  }
}

TEST(IsPortshim, AbsurdSizesAreBounded) {
  const std::string file = elf({.notes = {note("portshim")}});
  const auto with_size = [&](std::uint64_t size) {
    std::string changed = file;
    std::memcpy(changed.data() + sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_filesz), &size, sizeof size);
    return changed + std::string(8192, '\0');
  };
  EXPECT_TRUE(recognised(with_size(4096)));
  EXPECT_FALSE(recognised(with_size(4097)));
  EXPECT_FALSE(recognised(with_size(UINT64_MAX)));
  EXPECT_FALSE(recognised(elf({.notes = std::vector<std::string>(200, note("portshim"))}))) << "200 program headers";
}

// --- The look-up. ---

const Environment kPath{"PATH=/usr/local/bin:/usr/bin:/bin"};

TEST(Find, NameIsSearchedInPathInOrder) {
  FakeSystem system;
  system.program("/usr/bin/dotnet").program("/bin/dotnet");
  const Lookup lookup = find(system, "dotnet", kPath, false);
  EXPECT_EQ(lookup.path, "/usr/bin/dotnet");
  EXPECT_THAT(lookup.tried, ElementsAre("/usr/local/bin/dotnet", "/usr/bin/dotnet"));
  EXPECT_EQ(lookup.not_executable, "");
  EXPECT_FALSE(lookup.skipped_itself);
}

TEST(Find, OrdinaryPathLooksAtNothingButPermissionAndHead) {
  FakeSystem system;
  system.program("/usr/bin/dotnet", elf());
  static_cast<void>(find(system, "dotnet", kPath, false));
  const std::vector<FakeSystem::Record> expected{{Call::executable, "/usr/local/bin/dotnet"},
                                                 {Call::executable, "/usr/bin/dotnet"},
                                                 {Call::read, "/usr/bin/dotnet"}};
  EXPECT_EQ(system.calls, expected);
}

TEST(Find, PathIsTakenAsItIs) {
  FakeSystem system;
  system.program("/app/App").program("/usr/bin/App");
  system.cwd = "/app";
  EXPECT_EQ(find(system, "/app/App", kPath, false).path, "/app/App");
  EXPECT_EQ(find(system, "./App", kPath, false).path, "./App");
  EXPECT_EQ(find(system, "/App", kPath, false).path, "") << "a path that is wrong is not searched for";
}

TEST(Find, UnsetPathHasADefaultAndEmptyEntriesAreTheWorkingDirectory) {
  FakeSystem system;
  system.program("/usr/bin/dotnet").program("/app/tool").directory("/app");
  system.cwd = "/app";
  EXPECT_EQ(find(system, "dotnet", {}, false).path, "/usr/bin/dotnet");
  EXPECT_EQ(find(system, "tool", {}, false).path, "");
  EXPECT_EQ(find(system, "tool", Environment{"PATH="}, false).path, "./tool");
  EXPECT_EQ(find(system, "tool", Environment{"PATH=/usr/bin::/bin"}, false).path, "./tool");
  EXPECT_EQ(find(system, "tool", Environment{"PATH=/usr/bin:"}, false).path, "./tool");
}

TEST(Find, FirstPathVariableCountsAndSlashesAreNotDoubled) {
  FakeSystem system;
  system.program("/a/x").program("/b/x");
  EXPECT_EQ(find(system, "x", Environment{"PATHS=/b", "PATH=/a/", "PATH=/b"}, false).path, "/a/x");
}

TEST(Find, NotExecutableIsRememberedAndPassedOver) {
  FakeSystem system;
  system.file("/usr/local/bin/x", "").directory("/usr/bin/x").program("/bin/x");
  const Lookup lookup = find(system, "x", kPath, false);
  EXPECT_EQ(lookup.path, "/bin/x");
  EXPECT_EQ(lookup.not_executable, "/usr/local/bin/x");
  system.remove("/bin/x").remove("/usr/local/bin/x");
  EXPECT_EQ(find(system, "x", kPath, false).path, "");
  EXPECT_EQ(find(system, "x", kPath, false).not_executable, "/usr/bin/x");
}

TEST(Find, SpecialFileIsNoProgram) {
  FakeSystem system;
  system.special("/bin/x", 0777);
  EXPECT_EQ(find(system, "x", kPath, false).not_executable, "/bin/x");
}

TEST(Find, ExecutableButUnreadableFileIsAProgram) {
  FakeSystem system;
  system.program("/bin/x", portshim_copy(), 0111);
  EXPECT_EQ(find(system, "x", kPath, false).path, "/bin/x");
}

TEST(Find, UnsearchableDirectoryHidesWhatIsInIt) {
  FakeSystem system;
  system.program("/usr/bin/x").directory("/usr/bin", 0700);
  const Lookup lookup = find(system, "x", kPath, false);
  EXPECT_EQ(lookup.path, "");
  EXPECT_EQ(lookup.not_executable, "");
}

TEST(Find, CopiesOfPortshimAreSkipped) {
  FakeSystem system;
  system.program("/usr/local/bin/dotnet", portshim_copy()).program("/usr/bin/dotnet", portshim_copy());
  system.program("/bin/dotnet", elf());
  const Lookup lookup = find(system, "dotnet", kPath, false);
  EXPECT_EQ(lookup.path, "/bin/dotnet");
  EXPECT_TRUE(lookup.skipped_itself);
}

TEST(Find, PathThatIsPortshimItselfIsLookedForByName) {
  FakeSystem system;
  system.program("/usr/bin/dotnet", portshim_copy()).program("/bin/dotnet", elf());
  const Lookup lookup = find(system, "/usr/bin/dotnet", kPath, true);
  EXPECT_EQ(lookup.path, "/bin/dotnet");
  EXPECT_TRUE(lookup.skipped_itself);
}

TEST(Find, ByAnotherNameTheNameIsWhatCounts) {
  FakeSystem system;
  system.program("/usr/bin/tool", elf());
  EXPECT_EQ(find(system, "/gone/tool", kPath, true).path, "/usr/bin/tool");
  EXPECT_EQ(find(system, "/gone/tool", kPath, false).path, "") << "the control";
}

TEST(Find, DotnetIsLookedForWhereItIsInstalled) {
  FakeSystem system;
  system.program("/usr/bin/dotnet", portshim_copy()).file("/etc/dotnet/install_location", "/opt/net\r\nrest");
  const Environment environment{kPath[0], "DOTNET_ROOT=/root-of-dotnet"};
  EXPECT_EQ(find(system, "dotnet", environment, true).path, "");
  // From the last resort to the first choice.
  for (const std::string place :
       {"/root-of-dotnet", "/usr/lib/dotnet", "/usr/lib64/dotnet", "/usr/share/dotnet", "/opt/net", "/bin"}) {
    system.program(place + "/dotnet");
    EXPECT_EQ(find(system, "dotnet", environment, true).path, place + "/dotnet");
  }
}

TEST(Find, InstallLocationIsAnAbsolutePath) {
  FakeSystem system;
  system.program("/opt/net/dotnet").file("/etc/dotnet/install_location", "opt/net\n");
  EXPECT_EQ(find(system, "dotnet", kPath, true).path, "");
  system.file("/etc/dotnet/install_location", "/opt/net");
  EXPECT_EQ(find(system, "dotnet", kPath, true).path, "/opt/net/dotnet");
}

TEST(Find, InstallLocationsAreForDotnetThatIsHiddenByPortshimAlone) {
  FakeSystem system;
  system.program("/usr/share/dotnet/dotnet").program("/usr/share/dotnet/tool");
  EXPECT_EQ(find(system, "dotnet", kPath, false).path, "");
  EXPECT_EQ(find(system, "tool", kPath, true).path, "");
  EXPECT_EQ(find(system, "dotnet", kPath, true).path, "/usr/share/dotnet/dotnet");
  system.program("/bin/dotnet", portshim_copy());
  EXPECT_EQ(find(system, "dotnet", kPath, false).path, "/usr/share/dotnet/dotnet");
}

TEST(Find, PortshimInTheInstallLocationIsSkippedToo) {
  FakeSystem system;
  system.program("/usr/bin/dotnet", portshim_copy()).program("/usr/share/dotnet/dotnet", portshim_copy());
  EXPECT_EQ(find(system, "dotnet", kPath, true).path, "");
}

TEST(Find, AbsurdNamesAreNotLookedFor) {
  const FakeSystem system;
  EXPECT_THAT(find(system, "", kPath, false).tried, IsEmpty());
  EXPECT_THAT(find(system, std::string(1'000'000, 'x'), kPath, false).tried, IsEmpty());
  const Environment long_path{"PATH=/" + std::string(5000, 'x') + ":/bin"};
  EXPECT_THAT(find(system, "x", long_path, false).tried, ElementsAre("/bin/x"));
}

TEST(Find, LongPathTakesLinearTime) {
  const FakeSystem system;
  std::string path = "PATH=";
  for (int i = 0; i < 20'000; ++i) path += "/none:";
  const Lookup lookup = find(system, "x", Environment{path}, false);
  EXPECT_EQ(lookup.tried.size(), 20'001U);
  const Failure failure = explain_lookup(system, "x", lookup, Environment{path});
  EXPECT_LT(failure.finding.why.size(), 4096U);
}

// --- Why a look-up found nothing. ---

Failure lookup_failure(const FakeSystem& system, const std::string& command, const Environment& environment = kPath,
                       bool by_other_name = false) {
  const Lookup lookup = find(system, command, environment, by_other_name);
  EXPECT_EQ(lookup.path, "") << "there is nothing to explain";
  Failure failure = explain_lookup(system, command, lookup, environment);
  EXPECT_EQ(failure.finding.severity, Severity::error);
  EXPECT_EQ(failure.finding.did, "");
  EXPECT_NE(failure.finding.next, "");
  return failure;
}

TEST(ExplainLookup, NameThatIsNowhereNamesWhereItWasLookedFor) {
  const Failure failure = lookup_failure(FakeSystem(), "tool");
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.id, Id::not_found);
  EXPECT_EQ(failure.finding.what, "cannot start 'tool': not found");
  EXPECT_EQ(failure.finding.why, "looked in /usr/local/bin, /usr/bin, /bin (PATH=/usr/local/bin:/usr/bin:/bin)");
  EXPECT_THAT(lookup_failure(FakeSystem(), "tool", {}).finding.why, HasSubstr("(PATH is not set)"));
}

TEST(ExplainLookup, PortshimThatWasSkippedIsMentioned) {
  FakeSystem system;
  system.program("/bin/tool", portshim_copy());
  const Failure failure = lookup_failure(system, "tool", kPath, true);
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.what, "cannot start 'tool': only portshim itself goes by that name");
  EXPECT_THAT(failure.finding.why, HasSubstr("portshim itself"));
}

TEST(ExplainLookup, ImageWithoutDotnet) {
  const Failure failure = lookup_failure(FakeSystem(), "dotnet");
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.id, Id::no_dotnet);
  EXPECT_EQ(failure.finding.what, "cannot start 'dotnet': there is no .NET runtime here");
  EXPECT_THAT(failure.finding.why, HasSubstr("/usr/bin"));
  EXPECT_THAT(failure.finding.why, HasSubstr("nor is it in /usr/share/dotnet, /usr/lib64/dotnet, /usr/lib/dotnet"));
  EXPECT_THAT(failure.finding.why, Not(HasSubstr("portshim itself")));
  EXPECT_THAT(failure.finding.next, HasSubstr("self-contained"));
}

TEST(ExplainLookup, ImageWhoseOnlyDotnetIsPortshim) {
  FakeSystem system;
  system.program("/usr/bin/dotnet", portshim_copy());
  for (const char* command : {"dotnet", "/usr/bin/dotnet"}) {
    const Failure failure = lookup_failure(system, command, kPath, true);
    EXPECT_EQ(failure.code, 127);
    EXPECT_EQ(failure.finding.id, Id::no_dotnet);
    EXPECT_THAT(failure.finding.why, AllOf(HasSubstr("portshim itself"), HasSubstr("/usr/share/dotnet")));
    EXPECT_THAT(failure.finding.why, Not(HasSubstr("nor is it"))) << "they were looked in once";
  }
}

TEST(ExplainLookup, DotnetThatIsInstalledOutsidePathIsNamed) {
  FakeSystem system;
  system.program("/usr/share/dotnet/dotnet");
  const Failure failure = lookup_failure(system, "dotnet");
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.id, Id::not_found);
  EXPECT_EQ(failure.finding.next, "add /usr/share/dotnet to PATH, or write /usr/share/dotnet/dotnet");
}

TEST(ExplainLookup, AssemblyAsCommandIsStartedWithDotnet) {
  FakeSystem system;
  EXPECT_EQ(lookup_failure(system, "App.dll").finding.next, "start it with: dotnet App.dll");
  system.file("/app/App.dll", "MZ");
  const Failure failure = lookup_failure(system, "/app/App.dll");
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.id, Id::not_executable);
  EXPECT_EQ(failure.finding.next, "start it with: dotnet /app/App.dll");
}

TEST(ExplainLookup, WordsThatWereNotSplitAreNoticed) {
  EXPECT_THAT(lookup_failure(FakeSystem(), "dotnet App.dll").finding.next, HasSubstr(R"(["dotnet", "App.dll"])"));
  EXPECT_THAT(lookup_failure(FakeSystem(), "tool").finding.next, Not(HasSubstr("word")));
}

TEST(ExplainLookup, EmptyWordIsNoticed) {
  const Failure failure = lookup_failure(FakeSystem(), "");
  EXPECT_EQ(failure.code, 127);
  EXPECT_THAT(failure.finding.next, HasSubstr("empty word"));
}

TEST(ExplainLookup, ProgramInTheWorkingDirectoryIsNamed) {
  FakeSystem system;
  system.program("/app/App");
  EXPECT_THAT(lookup_failure(system, "App").finding.next, HasSubstr("full path"));
  system.cwd = "/app";
  EXPECT_THAT(lookup_failure(system, "App").finding.next, HasSubstr("write ./App"));
}

TEST(ExplainLookup, MissingFileNamesTheNearestOne) {
  FakeSystem system;
  system.program("/app/MyApp").file("/app/appsettings.json", "{}");
  const Failure failure = lookup_failure(system, "/app/Myapp");
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.id, Id::not_found);
  EXPECT_EQ(failure.finding.what, "cannot start '/app/Myapp': not found");
  EXPECT_EQ(failure.finding.why, "/app holds no Myapp");
  EXPECT_EQ(failure.finding.next, "did you mean /app/MyApp?");
  EXPECT_THAT(lookup_failure(system, "/app/other").finding.next, Not(HasSubstr("did you mean")));
}

TEST(ExplainLookup, MissingDirectoryIsTheOneThatIsNamed) {
  FakeSystem system;
  system.program("/app/bin/tool");
  const Failure failure = lookup_failure(system, "/app/bni/tool");
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.why, "/app/bni does not exist");
  EXPECT_EQ(lookup_failure(system, "/ap/bin/tool").finding.next, "did you mean /app?");
}

TEST(ExplainLookup, FileOnTheWayIsNoDirectory) {
  FakeSystem system;
  system.program("/app/App");
  const Failure failure = lookup_failure(system, "/app/App/App");
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.why, "/app/App is no directory");
}

TEST(ExplainLookup, DirectoryAsCommand) {
  FakeSystem system;
  system.directory("/app");
  const Failure failure = lookup_failure(system, "/app");
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.id, Id::is_directory);
  EXPECT_EQ(failure.finding.what, "cannot start '/app': it is a directory");
}

TEST(ExplainLookup, NotExecutableTellsModeOwnerAndUser) {
  FakeSystem system;
  system.file("/app/App", "", 0644);
  Failure failure = lookup_failure(system, "/app/App");
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.id, Id::not_executable);
  EXPECT_EQ(failure.finding.what, "cannot start '/app/App': not executable");
  EXPECT_EQ(failure.finding.why, "/app/App: mode 0644, owner uid 0; this process has uid 1654");
  EXPECT_THAT(failure.finding.next, HasSubstr("chmod +x /app/App"));
  system.file("/app/App", "", 0700);
  failure = lookup_failure(system, "/app/App");
  EXPECT_THAT(failure.finding.why, HasSubstr("mode 0700"));
  EXPECT_THAT(failure.finding.next, HasSubstr("run as its owner"));
}

TEST(ExplainLookup, NotExecutableInPathIsFoundButNotExecutable) {
  FakeSystem system;
  system.file("/usr/bin/tool", "", 0644);
  const Failure failure = lookup_failure(system, "tool");
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.what, "cannot start '/usr/bin/tool': not executable");
}

TEST(ExplainLookup, NoexecMount) {
  FakeSystem system;
  system.program("/data/App").mount("/data", {.noexec = true, .nosuid = false});
  const Failure failure = lookup_failure(system, "/data/App");
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.id, Id::noexec_mount);
  system.file("/data/App", "", 0644);
  EXPECT_EQ(lookup_failure(system, "/data/App").finding.id, Id::not_executable) << "the mode comes first";
}

TEST(ExplainLookup, UnsearchableDirectoryAboveIsTheOneThatIsNamed) {
  FakeSystem system;
  system.program("/srv/app/App").directory("/srv", 0750);
  const Failure failure = lookup_failure(system, "/srv/app/App");
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.id, Id::not_executable);
  EXPECT_EQ(failure.finding.why, "/srv: mode 0750, owner uid 0; this process has uid 1654");
}

TEST(ExplainLookup, DanglingLinkNamesItsTarget) {
  FakeSystem system;
  system.link("/app/App", "../opt/App");
  Failure failure = lookup_failure(system, "/app/App");
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.id, Id::dangling_link);
  EXPECT_EQ(failure.finding.why, "/app/App is a link to /app/../opt/App, which does not exist");
  system.link("/usr/bin/tool", "/etc/alternatives/tool").link("/etc/alternatives/tool", "/opt/tool");
  failure = lookup_failure(system, "tool");
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.id, Id::dangling_link);
  EXPECT_EQ(failure.finding.why, "/usr/bin/tool leads by 2 links to /opt/tool, which does not exist");
}

TEST(ExplainLookup, DanglingDotnetIsNoImageWithoutDotnet) {
  FakeSystem system;
  system.link("/usr/bin/dotnet", "/usr/share/dotnet/dotnet");
  EXPECT_EQ(lookup_failure(system, "dotnet").finding.id, Id::dangling_link);
}

TEST(ExplainLookup, LinkToItself) {
  FakeSystem system;
  system.link("/a", "b").link("/b", "a");
  for (const char* command : {"/a", "/a/tool"}) {
    const Failure failure = lookup_failure(system, command);
    EXPECT_EQ(failure.code, 127);
    EXPECT_EQ(failure.finding.id, Id::dangling_link);
    EXPECT_EQ(failure.finding.why, "/a is a link that leads back to itself");
  }
}

TEST(ExplainLookup, LinkIntoADirectoryOfRootsIsNotDangling) {
  FakeSystem system;
  system.program("/root/.dotnet/dotnet").directory("/root", 0700).link("/usr/bin/dotnet", "/root/.dotnet/dotnet");
  const Failure failure = lookup_failure(system, "dotnet");
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.id, Id::not_executable);
  EXPECT_EQ(failure.finding.what, "cannot start 'dotnet': a directory above it may not be searched");
  EXPECT_EQ(failure.finding.why, "/root: mode 0700, owner uid 0; this process has uid 1654");
}

TEST(ExplainLookup, HostileNamesAreMadeFitForAMessage) {
  const Failure failure = lookup_failure(FakeSystem(), "/a\x1b[31m\nb", {"PATH=\x07"});
  EXPECT_THAT(failure.finding.what + failure.finding.why, Not(testing::ContainsRegex("[\x01-\x1f]")));
  for (const std::string& command : {std::string(1'000'000, 'x'), std::string(1'000'000, '/'),
                                     "/" + std::string(1'000'000, 'x'), "/" + std::string(300, 'x')}) {
    const Failure long_one = lookup_failure(FakeSystem(), command);
    EXPECT_LT(long_one.finding.what.size() + long_one.finding.why.size(), 2000U);
  }
}

// --- Why exec failed. ---

Failure exec_failure(const System& system, const std::string& path, int code) {
  Failure failure = explain_exec(system, path, {.code = code, .doing = "execve " + path});
  EXPECT_EQ(failure.finding.severity, Severity::error);
  EXPECT_THAT(failure.finding.what, HasSubstr("cannot start '" + path + "': "));
  EXPECT_NE(failure.finding.why, "");
  EXPECT_NE(failure.finding.next, "");
  return failure;
}

TEST(ExplainExec, CausesOfTheLookupAreFoundAgain) {
  FakeSystem system;
  system.directory("/app").file("/app/text", "").program("/mnt/x").mount("/mnt", {.noexec = true, .nosuid = false});
  system.link("/dangling", "/none");
  EXPECT_EQ(exec_failure(system, "/app", EACCES).finding.id, Id::is_directory);
  EXPECT_EQ(exec_failure(system, "/app/text", EACCES).finding.id, Id::not_executable);
  EXPECT_EQ(exec_failure(system, "/mnt/x", EACCES).finding.id, Id::noexec_mount);
  EXPECT_EQ(exec_failure(system, "/dangling", ENOENT).finding.id, Id::dangling_link);
  EXPECT_EQ(exec_failure(system, "/none", ENOENT).code, 127);
  EXPECT_EQ(exec_failure(system, "/none", ENOENT).finding.id, Id::not_found);
  EXPECT_EQ(exec_failure(system, "/app/text/x", ENOTDIR).code, 127);
}

TEST(ExplainExec, InterpreterOfAScriptIsMissing) {
  FakeSystem system;
  system.program("/app/run.sh", "#! \t/bin/bash -e\necho\n");
  const Failure failure = exec_failure(system, "/app/run.sh", ENOENT);
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.id, Id::interpreter_missing);
  EXPECT_EQ(failure.finding.why, "/app/run.sh begins with #!/bin/bash; the interpreter /bin/bash does not exist");
  system.link("/bin/bash", "/usr/bin/bash");
  EXPECT_THAT(exec_failure(system, "/app/run.sh", ENOENT).finding.why, HasSubstr("is a link to /usr/bin/bash, which"));
}

TEST(ExplainExec, CarriageReturnBehindTheInterpreter) {
  FakeSystem system;
  system.program("/bin/sh").program("/app/run.sh", "#!/bin/sh\r\necho\r\n");
  const Failure failure = exec_failure(system, "/app/run.sh", ENOENT);
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.id, Id::carriage_return);
  EXPECT_EQ(failure.finding.what, "cannot start '/app/run.sh': its first line ends in CR LF");
  EXPECT_EQ(failure.finding.why, R"(the kernel looks for the interpreter '/bin/sh\r' that /app/run.sh names)");
}

TEST(ExplainExec, InterpreterThatIsNotExecutable) {
  FakeSystem system;
  system.program("/app/run.sh", "#!/app/sh\n").file("/app/sh", "");
  const Failure failure = exec_failure(system, "/app/run.sh", EACCES);
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.id, Id::not_executable);
  EXPECT_EQ(failure.finding.why, "/app/run.sh names it; /app/sh: mode 0644, owner uid 0; this process has uid 1654");
}

TEST(ExplainExec, InterpreterHasAFaultOfItsOwn) {
  FakeSystem system;
  system.program("/app/run.sh", "#!/bin/bash\n");
  system.program("/bin/bash", elf({.interpreter = "/lib64/ld-linux-x86-64.so.2"}));
  const Failure failure = exec_failure(system, "/app/run.sh", ENOENT);
  EXPECT_EQ(failure.finding.id, Id::loader_missing);
  EXPECT_THAT(failure.finding.why, HasSubstr("/bin/bash needs the loader /lib64/ld-linux-x86-64.so.2"));
}

TEST(ExplainExec, ScriptsThatNameScriptsTooDeep) {
  FakeSystem system;
  for (int i = 0; i < 9; ++i) system.program("/s" + std::to_string(i), "#!/s" + std::to_string(i + 1) + "\n");
  system.program("/s9");
  const Failure failure = exec_failure(system, "/s0", ELOOP);
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.id, Id::exec_failed);
  EXPECT_THAT(failure.finding.why, HasSubstr("too deep"));
  system.program("/self", "#!/self\n");
  EXPECT_THAT(exec_failure(system, "/self", ELOOP).finding.why, HasSubstr("too deep"));
}

TEST(ExplainExec, LoaderOfTheOtherLibc) {
  FakeSystem system;
  system.program("/app/App", elf({.interpreter = "/lib/ld-musl-x86_64.so.1"}));
  Failure failure = exec_failure(system, "/app/App", ENOENT);
  EXPECT_EQ(failure.code, 127);
  EXPECT_EQ(failure.finding.id, Id::loader_missing);
  EXPECT_THAT(failure.finding.why, HasSubstr("built for musl"));
  EXPECT_THAT(failure.finding.next, HasSubstr("linux-x64"));
  system.program("/app/App", elf({.interpreter = "/lib64/ld-linux-x86-64.so.2"}));
  failure = exec_failure(system, "/app/App", ENOENT);
  EXPECT_THAT(failure.finding.why, HasSubstr("built for glibc"));
  EXPECT_THAT(failure.finding.next, HasSubstr("linux-musl-x64"));
  system.program("/app/App", elf({.interpreter = "/opt/ld.so", .padding = 10'000}));
  failure = exec_failure(system, "/app/App", ENOENT);
  EXPECT_EQ(failure.finding.why, "/app/App needs the loader /opt/ld.so, which this image does not have");
}

TEST(ExplainExec, OtherMachineIsNamedBothWays) {
  FakeSystem system;
  system.program("/app/App", elf({.machine = EM_AARCH64}));
  Failure failure = exec_failure(system, "/app/App", ENOEXEC);
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.id, Id::wrong_machine);
  EXPECT_EQ(failure.finding.why, "/app/App is built for arm64 (aarch64), this machine is x86-64 (amd64)");
  system.machine = EM_AARCH64;
  system.program("/app/App", elf({.machine = EM_X86_64}));
  failure = exec_failure(system, "/app/App", ENOEXEC);
  EXPECT_EQ(failure.finding.why, "/app/App is built for x86-64 (amd64), this machine is arm64 (aarch64)");
}

TEST(ExplainExec, MachineOfTheOtherByteOrder) {
  std::string file = elf();
  file[EI_DATA] = ELFDATA2MSB;
  file[18] = 0;
  file[19] = EM_S390;
  FakeSystem system;
  system.program("/app/App", file);
  EXPECT_THAT(exec_failure(system, "/app/App", ENOEXEC).finding.why, HasSubstr("s390x"));
}

TEST(ExplainExec, ProgramOf32BitsMayLackItsLoaderOrItsKernel) {
  FakeSystem system;
  system.program("/app/App", elf32({.machine = EM_386, .interpreter = "/lib/ld-linux.so.2"}));
  EXPECT_EQ(exec_failure(system, "/app/App", ENOENT).finding.id, Id::loader_missing);
  EXPECT_EQ(exec_failure(system, "/app/App", ENOEXEC).finding.id, Id::wrong_machine);
}

TEST(ExplainExec, WhatIsNoProgram) {
  const std::vector<std::pair<std::string, std::string>> contents{
      {"", "/app/x is empty"},
      {"echo hello\n", "/app/x is neither an ELF program nor a script with #!"},
      {elf().substr(0, 20), "/app/x is neither an ELF program nor a script with #!"},
      {"\xEF\xBB\xBF#!/bin/sh\n", "/app/x has a byte order mark before #!"},
      {"MZ\x90", "/app/x is a Windows program or a .NET assembly"},
      {"#!\n", "the #! line of /app/x names no interpreter within 256 bytes"},
      {"#!", "the #! line of /app/x names no interpreter within 256 bytes"},
      {elf(), "/app/x is an ELF file that the kernel does not accept: damaged, or no program"}};
  FakeSystem system;
  for (const auto& [content, why] : contents) {
    system.program("/app/x", content);
    const Failure failure = exec_failure(system, "/app/x", ENOEXEC);
    EXPECT_EQ(failure.code, 126);
    EXPECT_EQ(failure.finding.id, Id::exec_failed);
    EXPECT_EQ(failure.finding.why, why);
  }
}

Failure capability_failure(FakeSystem& system, const portshim::system::FileCapabilities& file) {
  system.program("/bin/dotnet", elf()).capability("/bin/dotnet", file);
  return exec_failure(system, "/bin/dotnet", EPERM);
}

const portshim::system::FileCapabilities kDemanding{.permitted = kNetBindService, .inheritable = 0, .effective = true};

TEST(ExplainExec, FileCapabilityOutsideTheBoundingSet) {
  FakeSystem system;
  system.process.bounding = 0;
  const Failure failure = capability_failure(system, kDemanding);
  EXPECT_EQ(failure.code, 126);
  EXPECT_EQ(failure.finding.id, Id::capability_not_bounding);
  EXPECT_THAT(failure.finding.why, HasSubstr("demands NET_BIND_SERVICE (setcap =ep)"));
  EXPECT_THAT(failure.finding.next, HasSubstr("setcap -r /bin/dotnet"));
  const std::uint64_t both = kNetBindService | std::uint64_t{1} << 63U;
  EXPECT_THAT(capability_failure(system, {.permitted = both, .inheritable = 0, .effective = true}).finding.why,
              HasSubstr("NET_BIND_SERVICE, 63"));
}

TEST(ExplainExec, FileCapabilityThatIsNotTheCause) {
  FakeSystem system;
  EXPECT_EQ(capability_failure(system, kDemanding).finding.id, Id::exec_failed) << "it is in the bounding set";
  system.process.bounding = 0;
  EXPECT_EQ(capability_failure(system, {.permitted = kNetBindService}).finding.id, Id::exec_failed)
      << "without the effective bit exec goes through";
  system.process.inheritable = kNetBindService;
  EXPECT_EQ(
      capability_failure(system, {.permitted = kNetBindService, .inheritable = kNetBindService, .effective = true})
          .finding.id,
      Id::exec_failed)
      << "it is granted as inheritable";
}

TEST(ExplainExec, LimitsOfTheKernel) {
  FakeSystem system;
  system.program("/app/App", elf());
  EXPECT_EQ(exec_failure(system, "/app/App", E2BIG).finding.id, Id::environment_too_large);
  EXPECT_EQ(exec_failure(system, "/app/App", E2BIG).code, 126);
  EXPECT_THAT(exec_failure(system, "/app/App", ETXTBSY).finding.why, HasSubstr("open for writing"));
  EXPECT_EQ(exec_failure(system, "/app/App", ETXTBSY).code, 126);
}

TEST(ExplainExec, EverythingElseIsToldAsItIs) {
  FakeSystem system;
  system.program("/app/App", elf());
  for (const int code : {EACCES, EPERM, ENOMEM, EIO, EINVAL, ELIBBAD, EMFILE}) {
    const Failure failure = exec_failure(system, "/app/App", code);
    EXPECT_EQ(failure.code, 126);
    EXPECT_EQ(failure.finding.id, Id::exec_failed);
    EXPECT_EQ(failure.finding.what, std::string("cannot start '/app/App': ") + strerrordesc_np(code));
  }
}

TEST(ExplainExec, ErrorsWithoutCauseOrName) {
  FakeSystem system;
  system.program("/app/App", elf());
  EXPECT_EQ(exec_failure(system, "/app/App", ENOENT).code, 127);
  EXPECT_EQ(exec_failure(system, "/app/App", 12345).finding.what, "cannot start '/app/App': error 12345");
}

TEST(ExplainExec, UnreadableProgramIsNotGuessedAt) {
  FakeSystem system;
  system.program("/app/App", "", 0111);
  EXPECT_EQ(exec_failure(system, "/app/App", ENOEXEC).finding.what, "cannot start '/app/App': Exec format error");
}

// --- The same against the real kernel: what it answers is what is explained. ---

class RealExec : public testing::Test {
 protected:
  RealExec() {
    std::string name = std::filesystem::temp_directory_path() / "portshim-launch-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~RealExec() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] std::string make(const std::string& name, const std::string& content, mode_t mode = 0755) const {
    std::ofstream(path(name), std::ios::binary) << content;
    chmod(path(name).c_str(), mode);
    return path(name);
  }
  /// Executes it, which must fail, and explains that.
  [[nodiscard]] Failure run(const std::string& program) {
    const auto error = linux_.execute(program, {"x"}, {});
    return explain_exec(linux_, program, error);
  }

  std::string folder_;
  Linux linux_;
};

TEST_F(RealExec, MissingInterpretersAndLoaders) {
  EXPECT_EQ(run(make("a", "#!/none/sh\n")).finding.id, Id::interpreter_missing);
  EXPECT_EQ(run(make("b", "#!/bin/sh\r\n")).finding.id, Id::carriage_return);
  const ElfPlan musl{.machine = linux_.elf_machine(), .interpreter = "/none/ld-musl-x86_64.so.1"};
  EXPECT_EQ(run(make("c", elf(musl))).finding.id, Id::loader_missing);
  const std::string missing = path("none");
  EXPECT_EQ(run(missing).finding.id, Id::not_found);
  EXPECT_EQ(run(missing).code, 127);
}

TEST_F(RealExec, WhatIsNoProgramForThisMachine) {
  EXPECT_EQ(run(make("a", elf({.machine = EM_RISCV}))).finding.id, Id::wrong_machine);
  EXPECT_THAT(run(make("b", "")).finding.why, HasSubstr("is empty"));
  EXPECT_THAT(run(make("c", "echo\n")).finding.why, HasSubstr("neither"));
  EXPECT_THAT(run(make("d", "#!\n")).finding.why, HasSubstr("names no interpreter"));
  EXPECT_THAT(run(make("e", "\xEF\xBB\xBF#!/bin/sh\n")).finding.why, HasSubstr("byte order mark"));
}

TEST_F(RealExec, WhatMayNotBeExecuted) {
  EXPECT_EQ(run(folder_).finding.id, Id::is_directory);
  EXPECT_EQ(run(make("a", "", 0644)).finding.id, Id::not_executable);
  EXPECT_EQ(run(make("b", "#!" + path("a") + "\n")).finding.id, Id::not_executable);
  EXPECT_EQ(run(path("a") + "/x").code, 127);
}

TEST_F(RealExec, LoopsOfLinksAndScripts) {
  std::filesystem::create_symlink("l2", path("l1"));
  std::filesystem::create_symlink("l1", path("l2"));
  EXPECT_EQ(run(path("l1")).finding.id, Id::dangling_link);
  EXPECT_THAT(run(make("s", "#!" + path("s") + "\n")).finding.why, HasSubstr("too deep"));
}

TEST_F(RealExec, FileCapabilityOutsideTheBoundingSet) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: it sets capabilities";
  const std::string program = path("true");
  std::filesystem::copy_file("/bin/true", program);
  vfs_cap_data data{};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].permitted = 1U << CAP_NET_BIND_SERVICE;
  if (setxattr(program.c_str(), "security.capability", &data, sizeof data, 0) != 0) {
    GTEST_SKIP() << "this file system or user may not hold capabilities: " << strerrordesc_np(errno);
  }
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_CAPBSET_DROP, CAP_NET_BIND_SERVICE, 0, 0, 0);
    _exit(run(program).finding.id == Id::capability_not_bounding ? 42 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 42);
}

TEST_F(RealExec, CopyOfWhatHoldsThisCodeIsPortshim) {
  std::filesystem::copy_file("/proc/self/exe", path("copy"));
  EXPECT_TRUE(is_portshim(linux_, path("copy")));
  EXPECT_FALSE(is_portshim(linux_, "/bin/sh"));
  const Lookup lookup = find(linux_, path("copy"), Environment{"PATH=" + folder_}, false);
  EXPECT_EQ(lookup.path, "");
  EXPECT_TRUE(lookup.skipped_itself);
}

}  // namespace
