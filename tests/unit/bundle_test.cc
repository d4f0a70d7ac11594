#include "shim/bundle.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_system.h"

namespace portshim::bundle {
namespace {

using support::FakeSystem;

const std::string kMarker =
    "\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32"
    "\x13\xf5\xb9\xe6\xef\xae\x33\x18\xee\x3b\x2d\xce\x24\xb3\x6a\xae";

template <typename T>
std::string bytes_of(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A host: an ELF file with one writable segment that holds the header's offset and the marker.
std::string host_with(std::uint64_t header) {
  Elf64_Ehdr elf{};
  std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
  elf.e_ident[EI_CLASS] = ELFCLASS64;
  elf.e_ident[EI_DATA] = ELFDATA2LSB;
  elf.e_phoff = sizeof elf;
  elf.e_phentsize = sizeof(Elf64_Phdr);
  elf.e_phnum = 1;
  const std::string data = bytes_of(header) + kMarker;
  Elf64_Phdr segment{};
  segment.p_type = PT_LOAD;
  segment.p_flags = PF_R | PF_W;
  segment.p_offset = sizeof elf + sizeof segment;
  segment.p_filesz = data.size();
  return bytes_of(elf) + bytes_of(segment) + data;
}

/// As the bundler writes it: 7 bits in a byte.
std::string length_of(const std::string& path) {
  std::string out;
  std::size_t rest = path.size();
  for (; rest >= 0x80; rest >>= 7U) out += static_cast<char>((rest & 0x7fU) | 0x80U);
  return out + static_cast<char>(rest);
}

struct Embedded {
  std::string path;
  std::string content = {};
  Type type = Type::assembly;
  std::uint64_t compressed_size = 0;
};

/// What a test may change.
struct Options {
  std::uint32_t major_version = 6;
  std::optional<std::uint32_t> file_count = std::nullopt;
  std::uint64_t flags = 0;
};

std::string entry(const Embedded& file, std::uint64_t offset, std::uint32_t major_version) {
  return bytes_of(offset) + bytes_of(std::uint64_t{file.content.size()}) +
         (major_version >= 6 ? bytes_of(file.compressed_size) : "") + bytes_of(file.type) + length_of(file.path) +
         file.path;
}

/// A single-file app, as the bundler makes it: the host, the files, and the header with their list.
std::string bundle_with(const std::vector<Embedded>& files, const Options& options = {}) {
  std::string content;
  std::string list;
  std::string config = bytes_of(std::uint64_t{}) + bytes_of(std::uint64_t{});
  const std::size_t start = host_with(0).size();
  for (const Embedded& file : files) {
    const std::uint64_t offset = start + content.size();
    list += entry(file, offset, options.major_version);
    content += file.content;
    if (file.type == Type::runtimeconfig_json) config = bytes_of(offset) + bytes_of(std::uint64_t{file.content.size()});
  }
  const std::string id = "ZePKK4gfXysi";
  return host_with(start + content.size()) + content + bytes_of(options.major_version) + bytes_of(std::uint32_t{}) +
         bytes_of(options.file_count.value_or(static_cast<std::uint32_t>(files.size()))) + length_of(id) + id +
         bytes_of(std::uint64_t{}) + bytes_of(std::uint64_t{}) + config + bytes_of(options.flags) + list;
}

template <typename T>
std::string error_of(const std::expected<T, std::string>& result) {
  return result ? "" : result.error();
}

/// A file and what is read out of it.
class Opened {
 public:
  explicit Opened(const std::string& file) {
    system_.program("/app", file);
    content_ = elf::Content::open(system_, "/app").value();
    offset = header_offset(*content_, elf::parse(*content_).value_or(elf::Headers{}));
    if (offset) header = read_header(*content_, *offset);
  }

  [[nodiscard]] auto files() const { return bundle::files(*content_, header); }
  [[nodiscard]] auto read(const File& file) const { return read_file(*content_, file); }
  [[nodiscard]] std::string error() const { return error_of(files()); }

  std::optional<std::uint64_t> offset;
  Header header;

 private:
  FakeSystem system_;
  std::optional<elf::Content> content_;
};

const std::vector<Embedded> kShop = {{"Shop.dll", "MZ shop"},
                                     {"lib/Native.so", "ELF", Type::native_binary},
                                     {"Shop.deps.json", "{}", Type::deps_json},
                                     {"Shop.runtimeconfig.json", R"({"a": 1})", Type::runtimeconfig_json},
                                     {"Shop.Data.dll", "MZ data"}};

TEST(Bundle, AHostWithoutAHeaderIsNone) {
  EXPECT_EQ(Opened(host_with(0)).offset, std::nullopt);
  EXPECT_EQ(Opened("#!/bin/sh\n").offset, std::nullopt);
  std::string other = host_with(7);
  other.back() = 'x';
  EXPECT_EQ(Opened(other).offset, std::nullopt);
}

TEST(Bundle, IsCutOffWhereAnythingIsMissing) {
  const std::string whole = bundle_with(kShop);
  const auto is_cut_off = [](const std::string& file) {
    FakeSystem system;
    system.program("/app", file);
    const auto content = elf::Content::open(system, "/app").value();
    const auto offset = header_offset(content, elf::parse(content).value());
    return offset && bundle::is_cut_off(content, *offset, file.size());
  };
  EXPECT_FALSE(is_cut_off(whole));
  EXPECT_FALSE(is_cut_off(whole + "signature"));
  for (std::size_t missing = 1; missing < whole.size() - host_with(0).size(); missing += 7) {
    EXPECT_TRUE(is_cut_off(whole.substr(0, whole.size() - missing))) << missing;
  }
  EXPECT_FALSE(is_cut_off(bundle_with(kShop, {.major_version = 7}))) << "what is new is not judged";
}

TEST(Bundle, TheHeaderHasTheRuntimeconfigAndTheFlags) {
  const Opened bundle(bundle_with(kShop, {.flags = 1}));
  EXPECT_EQ(bundle.header.major_version, 6U);
  EXPECT_EQ(bundle.header.file_count, 5U);
  EXPECT_EQ(bundle.header.runtimeconfig, R"({"a": 1})");
  EXPECT_TRUE(bundle.header.is_extracted);
  EXPECT_FALSE(Opened(bundle_with(kShop)).header.is_extracted);
  EXPECT_EQ(Opened(bundle_with({{"Shop.dll"}})).header.runtimeconfig, std::nullopt);
}

TEST(Bundle, FilesAreListedAndReadInEveryVersion) {
  for (const std::uint32_t major : {2U, 6U, 7U}) {
    const Opened bundle(bundle_with(kShop, {.major_version = major}));
    const auto files = bundle.files();
    ASSERT_TRUE(files) << files.error();
    ASSERT_EQ(files->size(), kShop.size()) << major;
    for (std::size_t i = 0; i < kShop.size(); ++i) {
      EXPECT_EQ((*files)[i].path, kShop[i].path) << major;
      EXPECT_EQ((*files)[i].type, kShop[i].type) << major;
      EXPECT_EQ(bundle.read((*files)[i]), kShop[i].content) << major;
    }
  }
}

TEST(Bundle, TheAssemblyOfTheRuntimeconfigIsTheEntryWhateverTheSingleFileIsCalled) {
  const auto files = Opened(bundle_with(kShop)).files();
  for (const char* application : {"Shop", "renamed", "Shop.Data", ""}) {
    const File* entry = entry_assembly(*files, application);
    ASSERT_NE(entry, nullptr) << application;
    EXPECT_EQ(entry->path, "Shop.dll") << application;
  }
  ASSERT_NE(deps_json(*files), nullptr);
  EXPECT_EQ(deps_json(*files)->path, "Shop.deps.json");
}

TEST(Bundle, WithoutARuntimeconfigTheEntryHasTheNameOfTheSingleFile) {
  const auto files =
      Opened(bundle_with({{"Other.dll"}, {"Shop.dll"}, {"Native.dll", "", Type::native_binary}})).files();
  ASSERT_NE(entry_assembly(*files, "Shop"), nullptr);
  EXPECT_EQ(entry_assembly(*files, "Shop")->path, "Shop.dll");
  EXPECT_EQ(entry_assembly(*files, "renamed"), nullptr);
  EXPECT_EQ(entry_assembly(*files, "Native"), nullptr);
  EXPECT_EQ(deps_json(*files), nullptr);
  EXPECT_EQ(find(*files, "Nothing.dll"), nullptr);
}

TEST(Bundle, ACompressedFileIsSaidToBeSo) {
  const Opened bundle(bundle_with({{"Shop.dll", "x", Type::assembly, 1}}));
  EXPECT_EQ(error_of(bundle.read(bundle.files()->front())), "compressed");
}

TEST(Bundle, AFileThatIsNotAllThereIsDamaged) {
  const Opened bundle(bundle_with(kShop));
  File file = bundle.files()->front();
  const auto error = [&](std::uint64_t offset, std::uint64_t size) {
    file.offset = offset;
    file.size = size;
    return error_of(bundle.read(file));
  };
  EXPECT_EQ(error(UINT64_MAX, 1), "damaged: it ends too early");
  EXPECT_EQ(error(UINT64_MAX - 1, 7), "damaged: it ends too early");
  EXPECT_EQ(error(0, 1U << 20U), "damaged: it ends too early");
  EXPECT_EQ(error(0, UINT64_MAX), "too large");
  EXPECT_EQ(error(0, (64U << 20U) + 1), "too large");
  EXPECT_EQ(error(1, 3), "");
}

TEST(Bundle, APathMayBe4096BytesLongAndNotLonger) {
  for (const std::size_t size : {1U, 127U, 128U, 4096U}) {
    const std::string path(size, 'a');
    const auto files = Opened(bundle_with({{path}})).files();
    ASSERT_TRUE(files) << size;
    EXPECT_EQ(files->front().path, path);
  }
  for (const std::size_t size : {0U, 4097U, 16384U}) {
    EXPECT_EQ(Opened(bundle_with({{std::string(size, 'a')}})).error(), "damaged: its list of files cannot be read")
        << size;
  }
}

TEST(Bundle, ALengthOfMoreThanTwoBytesIsDamaged) {
  std::string file = bundle_with({{"aa"}});
  file.replace(file.size() - 3, 3, "\x80\x80\x01");
  EXPECT_EQ(Opened(file).error(), "damaged: its list of files cannot be read");
}

TEST(Bundle, AListCutAnywhereIsDamaged) {
  const std::string whole = bundle_with(kShop);
  const std::size_t list = Opened(whole).header.manifest;
  ASSERT_LT(list, whole.size());
  for (std::size_t size = list; size < whole.size(); ++size) {
    EXPECT_EQ(Opened(whole.substr(0, size)).error(), "damaged: its list of files cannot be read") << size;
  }
  EXPECT_EQ(Opened(whole).error(), "");
}

TEST(Bundle, AHeaderCutAnywhereHasNoFiles) {
  const std::string whole = bundle_with(kShop);
  const Opened bundle(whole);
  for (std::size_t size = *bundle.offset; size < bundle.header.manifest; ++size) {
    EXPECT_EQ(Opened(whole.substr(0, size)).error(), "damaged: it lists no files") << size;
  }
}

TEST(Bundle, AHeaderAnywhereElseIsDamaged) {
  for (const std::uint64_t offset : {std::uint64_t{1}, std::uint64_t{1} << 40U, std::uint64_t{INT64_MAX},
                                     std::uint64_t{UINT64_MAX - 20}, std::uint64_t{UINT64_MAX}}) {
    EXPECT_NE(Opened(host_with(offset) + std::string(4096, '\xff')).error(), "") << offset;
  }
}

TEST(Bundle, NoFilesTooManyAndMoreThanThereAreAreErrors) {
  const auto error = [](std::uint32_t count) { return Opened(bundle_with(kShop, {.file_count = count})).error(); };
  EXPECT_EQ(error(0), "damaged: it lists no files");
  EXPECT_EQ(error(4), "");
  EXPECT_EQ(error(6), "damaged: its list of files cannot be read");
  EXPECT_EQ(error(65536), "damaged: its list of files cannot be read");
  EXPECT_EQ(error(65537), "too many files");
  EXPECT_EQ(error(UINT32_MAX), "too many files");
}

TEST(Bundle, AVersionBefore2AndTypesThatAreUnknownAreTolerated) {
  EXPECT_EQ(Opened(bundle_with(kShop, {.major_version = 1})).error(), "damaged: it lists no files");
  const auto files = Opened(bundle_with({{"a", "", static_cast<Type>(6)}, {"b", "", Type::symbols}})).files();
  EXPECT_EQ(files->front().type, Type::unknown);
  EXPECT_EQ(files->back().type, Type::symbols);
}

}  // namespace
}  // namespace portshim::bundle
