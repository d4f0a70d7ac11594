#include "shim/libraries.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

#include "tests/support/fake_system.h"

namespace portshim::libraries {
namespace {

using support::FakeSystem;

template <typename T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string entry(Elf64_Sxword tag, Elf64_Xword value) {
  Elf64_Dyn out{};
  out.d_tag = tag;
  out.d_un.d_val = value;
  return bytes_of(out);
}

constexpr Elf64_Addr kBase = 0x10000;

/// A program with one segment that is loaded, and in it a dynamic section that names these libraries; `more` entries
/// come last.
std::string program(std::initializer_list<const char*> libraries, const std::string& more = "",
                    unsigned char elf_class = ELFCLASS64) {
  std::string strings(1, '\0');
  std::string dynamic;
  for (const char* name : libraries) {
    dynamic += entry(DT_NEEDED, strings.size());
    strings.append(name).push_back('\0');
  }
  const std::size_t begin = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
  dynamic += entry(DT_STRTAB, kBase + begin) + entry(DT_STRSZ, strings.size()) + more + entry(DT_NULL, 0);

  Elf64_Ehdr header{};
  std::copy_n(ELFMAG, SELFMAG, header.e_ident);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  Elf64_Phdr load{};
  load.p_type = PT_LOAD;
  load.p_vaddr = kBase;
  load.p_filesz = begin + strings.size() + dynamic.size();
  Elf64_Phdr table{};
  table.p_type = PT_DYNAMIC;
  table.p_offset = begin + strings.size();
  table.p_filesz = dynamic.size();
  return bytes_of(header) + bytes_of(load) + bytes_of(table) + strings + dynamic;
}

struct Case {
  FakeSystem system;
  std::vector<std::string> environment;
  std::string dotnet_root = "/usr/share/dotnet";

  explicit Case(const std::string& content) {
    system.file("/dotnet", content).file("/lib/x86_64-linux-gnu/libc.so.6", "");
  }

  [[nodiscard]] std::string missing() const {
    return first_missing(system, {.environment = environment, .base_directory = "/app", .dotnet_root = dotnet_root},
                         "/dotnet");
  }
};

TEST(FirstMissing, IsTheOneThatNoFolderHas) {
  Case c(program({"libstdc++.so.6", "libc.so.6"}));
  EXPECT_EQ(c.missing(), "libstdc++.so.6");
  c.system.file("/usr/lib/libstdc++.so.6", "");
  EXPECT_EQ(c.missing(), "");
}

TEST(FirstMissing, FoldersOfLdLibraryPathAndOfTheCacheAreSearched) {
  Case c(program({"libstdc++.so.6"}));
  c.system.file("/opt/gcc/libstdc++.so.6", "");
  EXPECT_EQ(c.missing(), "libstdc++.so.6");
  c.environment = {"LD_LIBRARY_PATH=/nowhere:/opt/gcc"};
  EXPECT_EQ(c.missing(), "");
  c.environment.clear();
  c.system.file("/lib32/libstdc++.so.6", "");
  c.system.file("/etc/ld.so.cache", std::string("x\0libstdc++.so.6\0/lib32/libstdc++.so.6\0", 40));
  EXPECT_EQ(c.missing(), "libstdc++.so.6");
  c.system.file("/etc/ld.so.cache", std::string("x\0libstdc++.so.6\0/opt/gcc/libstdc++.so.6\0", 42));
  EXPECT_EQ(c.missing(), "");
}

TEST(FirstMissing, IsNotKnownWhereOtherFoldersMayBeSearched) {
  EXPECT_EQ(Case(program({"libx.so"}, entry(DT_RUNPATH, 1))).missing(), "");
  EXPECT_EQ(Case(program({"libx.so"}, entry(DT_RPATH, 1))).missing(), "");
  EXPECT_EQ(Case(program({"/opt/libx.so"})).missing(), "");
  Case preload(program({"libx.so"}));
  preload.environment = {"LD_PRELOAD=/opt/libx.so"};
  EXPECT_EQ(preload.missing(), "");
  Case nix(program({"libx.so"}));
  nix.dotnet_root = "/nix/store/dotnet";
  EXPECT_EQ(nix.missing(), "");
  Case musl(program({"libx.so"}));
  musl.system.file("/etc/ld-musl-x86_64.path", "/opt\n");
  EXPECT_EQ(musl.missing(), "");
}

TEST(FirstMissing, IsNothingForWhatIsNoProgramOrADamagedOne) {
  const std::string whole = program({"libx.so"});
  ASSERT_EQ(Case(whole).missing(), "libx.so");
  EXPECT_EQ(Case("#!/bin/sh\n").missing(), "");
  EXPECT_EQ(Case(program({"libx.so"}, "", ELFCLASS32)).missing(), "");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(Case(whole.substr(0, size)).missing(), "") << size;
  }
  for (const Elf64_Xword bad : {kBase - 1, kBase + (1U << 20U), ~Elf64_Xword{0}}) {
    EXPECT_EQ(Case(program({"libx.so"}, entry(DT_STRTAB, bad))).missing(), "") << bad;
    EXPECT_EQ(Case(program({"libx.so"}, entry(DT_STRSZ, bad))).missing(), "") << bad;
  }
}

}  // namespace
}  // namespace portshim::libraries
