// Single-file apps: files that publishing appends to the app's host, with a header that says where they are
// (bundle/header.h, bundle/manifest.h, bundle/file_entry.h of the .NET host). Every number is checked: a hostile file
// gives less, never more.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/elf.h"

namespace portshim::bundle {

/// What the bundler took an embedded file for (bundle/file_type.h).
enum class Type : std::uint8_t { unknown, assembly, native_binary, deps_json, runtimeconfig_json, symbols };

/// An embedded file.
struct File {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;             ///< as it was before compression
  std::uint64_t compressed_size = 0;  ///< 0: it is not compressed
  Type type = Type::unknown;
  std::string path;  ///< in the folder that was bundled, with '/'
};

/// What the header says. Without `file_count` it could not be read.
struct Header {
  std::uint32_t major_version = 0;
  std::uint32_t file_count = 0;
  std::uint64_t manifest = 0;  ///< where the list of files begins
  std::optional<std::string> runtimeconfig = std::nullopt;
  bool is_extracted = false;  ///< to a folder of its own, which is the base directory then
};

/// Where the header is in the host; nothing when the file is no bundle.
[[nodiscard]] std::optional<std::uint64_t> header_offset(const elf::Content& content, const elf::Headers& headers);

/// True for the executable that .NET makes of an app, a single file or not.
[[nodiscard]] bool is_host_of_apps(const elf::Content& content, const elf::Headers& headers);

/// Reads the header there.
[[nodiscard]] Header read_header(const elf::Content& content, std::uint64_t offset);

/// The embedded files, in the order of the list. The error says in words why they cannot be told.
[[nodiscard]] std::expected<std::vector<File>, std::string> files(const elf::Content& content, const Header& header);

/// True where the file ends before something that the header or the list says is in it, as an interrupted copy does;
/// `size` is that of the whole file.
[[nodiscard]] bool is_cut_off(const elf::Content& content, std::uint64_t header, std::uint64_t size);

/// The content of a file. The error says in words why it cannot be read: "compressed", "damaged", "too large".
[[nodiscard]] std::expected<std::string, std::string> read_file(const elf::Content& content, const File& file);

/// The file with that path; null when there is none.
[[nodiscard]] const File* find(const std::vector<File>& files, std::string_view path);

/// The assembly that the host starts: that of the runtimeconfig.json, which keeps its name where the single file is
/// renamed, else `application`.dll; null when there is none.
[[nodiscard]] const File* entry_assembly(const std::vector<File>& files, std::string_view application);

/// The deps.json; null when there is none.
[[nodiscard]] const File* deps_json(const std::vector<File>& files);

}  // namespace portshim::bundle
