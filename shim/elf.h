// ELF files, as far as portshim looks into them: machine and segments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shim/system.h"

namespace portshim::elf {

/// A program header (elf(5), "Program header (Phdr)").
struct Segment {
  std::uint32_t type = 0;
  std::uint32_t flags = 0;
  std::uint64_t offset = 0;
  std::uint64_t address = 0;  ///< p_vaddr
  std::uint64_t size = 0;     ///< in the file
  std::uint64_t alignment = 0;
};

struct Headers {
  std::uint16_t machine = 0;      ///< e_machine
  std::vector<Segment> segments;  ///< empty where the table is damaged or of the other byte order
};

/// A file, read piece by piece. Nearly always its first 4096 bytes are all that is needed.
class Content {
 public:
  /// Reads the first piece. Errors are those of System::read_part.
  [[nodiscard]] static system::Result<Content> open(const system::System& system, const std::string& path);

  /// At most the first 4096 bytes.
  [[nodiscard]] const std::string& head() const { return head_; }
  /// All of the bytes asked for, or nothing.
  [[nodiscard]] std::optional<std::string> part(std::uint64_t offset, std::size_t length) const;
  /// As many of them as there are.
  [[nodiscard]] std::string up_to(std::uint64_t offset, std::size_t length) const;

 private:
  Content(const system::System& system, std::string path, std::string head)
      : system_(&system), path_(std::move(path)), head_(std::move(head)) {}

  const system::System* system_;
  std::string path_;
  std::string head_;
};

/// A structure of the file's, which is little-endian as this machine is; nothing where it does not fit.
template <typename T>
std::optional<T> load(std::string_view bytes, std::size_t offset) {
  T value;
  if (bytes.size() < sizeof value || offset > bytes.size() - sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// The headers of an ELF file of either class; nothing when it is none. Every offset is checked.
[[nodiscard]] std::optional<Headers> parse(const Content& content);

/// True when one of its notes (elf(5), "Notes (Nhdr)") has this owner.
[[nodiscard]] bool has_note(const Content& content, std::string_view owner);

/// The libraries that a 64-bit program names (DT_NEEDED, elf(5)). None where it brings folders of its own to search
/// (DT_RPATH, DT_RUNPATH), or where its tables are damaged.
[[nodiscard]] std::vector<std::string> needed(const Content& content);

/// The first `before` bytes in front of `marker`, where it is in writable data, or else in data that is not. Segments
/// above 16 MiB are not searched.
[[nodiscard]] std::optional<std::string> before_marker(const Content& content, const Headers& headers,
                                                       std::string_view marker, bool writable, std::size_t before);

}  // namespace portshim::elf
