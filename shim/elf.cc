#include "shim/elf.h"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

namespace portshim::elf {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kHeadSize = 4096;                             // holds headers and notes of what linkers make
constexpr unsigned kMostSegments = 128;                             // a program has about ten
constexpr unsigned kMostNoteSegments = 8;                           // a program has two
constexpr std::size_t kLargestNote = 4096;                          // a program's are below 100 bytes
constexpr std::uint64_t kLargestDynamic = std::uint64_t{1} << 20U;  // a program's are below 10 kB

/// For one of the two classes, 32 and 64 bit, which have the same fields in structures of different layout.
template <typename Header, typename ProgramHeader>
std::optional<Headers> parse_class(const Content& content) {
  const auto header = load<Header>(content.head(), 0);
  if (!header) return std::nullopt;
  Headers headers{.machine = header->e_machine, .segments = {}};
  // The kernel refuses other sizes too (fs/binfmt_elf.c, load_elf_phdrs); a table without end is not read.
  if (header->e_phentsize != sizeof(ProgramHeader) || header->e_phnum > kMostSegments) return headers;
  const auto table = content.part(header->e_phoff, header->e_phnum * sizeof(ProgramHeader));
  if (!table) return headers;
  for (std::size_t offset = 0; offset < table->size(); offset += sizeof(ProgramHeader)) {
    const auto entry = load<ProgramHeader>(*table, offset);
    headers.segments.push_back(
        {entry->p_type, entry->p_flags, entry->p_offset, entry->p_vaddr, entry->p_filesz, entry->p_align});
  }
  return headers;
}

std::size_t align_up(std::size_t size, std::size_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

/// True when one of the notes of a segment has this owner. Description and next note are aligned within the segment.
bool has_note_of(std::string_view notes, std::size_t alignment, std::string_view owner) {
  while (const auto header = load<Elf64_Nhdr>(notes, 0)) {
    const std::string_view name = notes.substr(sizeof *header).substr(0, header->n_namesz);
    if (name.size() == owner.size() + 1 && name.starts_with(owner) && name.back() == '\0') return true;
    // The sizes are 32 bit wide: their sum cannot overflow.
    const std::size_t description = align_up(sizeof *header + header->n_namesz, alignment);
    const std::size_t end = align_up(description + header->n_descsz, alignment);
    if (end > notes.size()) return false;
    notes.remove_prefix(end);
  }
  return false;
}

/// What is loaded to an address; empty where that is in no segment of the file, or too large.
std::string at_address(const Content& content, const Headers& headers, std::uint64_t address, std::uint64_t size) {
  for (const Segment& segment : headers.segments) {
    const std::uint64_t offset = address - segment.address;
    if (segment.type != PT_LOAD || address < segment.address || offset >= segment.size) continue;
    if (size > segment.size - offset || size > kLargestDynamic) return {};
    return content.part(segment.offset + offset, static_cast<std::size_t>(size)).value_or("");
  }
  return {};
}

}  // namespace

system::Result<Content> Content::open(const system::System& system, const std::string& path) {
  auto head = system.read_part(path, 0, kHeadSize);
  if (!head) return std::unexpected(head.error());
  return Content(system, path, *std::move(head));
}

std::optional<std::string> Content::part(std::uint64_t offset, std::size_t length) const {
  if (offset <= head_.size() && length <= head_.size() - offset) {
    return head_.substr(static_cast<std::size_t>(offset), length);
  }
  auto more = system_->read_part(path_, offset, length);
  if (!more || more->size() != length) return std::nullopt;
  return *std::move(more);
}

std::string Content::up_to(std::uint64_t offset, std::size_t length) const {
  return system_->read_part(path_, offset, length).value_or("");
}

std::optional<Headers> parse(const Content& content) {
  // EI_CLASS and EI_DATA say how to read the rest.
  const std::string& head = content.head();
  if (head.size() < EI_NIDENT || !head.starts_with(ELFMAG)) return std::nullopt;
  if (head[EI_DATA] == ELFDATA2MSB) {
    const auto machine = load<std::uint16_t>(head, offsetof(Elf64_Ehdr, e_machine));
    if (!machine) return std::nullopt;
    return Headers{.machine = static_cast<std::uint16_t>(*machine << 8U | *machine >> 8U), .segments = {}};
  }
  if (head[EI_CLASS] == ELFCLASS32) return parse_class<Elf32_Ehdr, Elf32_Phdr>(content);
  return parse_class<Elf64_Ehdr, Elf64_Phdr>(content);
}

bool has_note(const Content& content, std::string_view owner) {
  // Sections are not looked at: strip removes their table.
  const auto headers = parse(content);
  if (!headers) return false;
  unsigned notes = 0;
  for (const Segment& segment : headers->segments) {
    if (segment.type != PT_NOTE || segment.size > kLargestNote) continue;
    if (++notes > kMostNoteSegments) return false;
    const auto bytes = content.part(segment.offset, static_cast<std::size_t>(segment.size));
    if (bytes && has_note_of(*bytes, segment.alignment == 8 ? 8 : 4, owner)) return true;
  }
  return false;
}

std::vector<std::string> needed(const Content& content) {
  const auto headers = parse(content);
  if (!headers || content.head()[EI_CLASS] != ELFCLASS64) return {};
  const auto dynamic = std::ranges::find(headers->segments, std::uint32_t{PT_DYNAMIC}, &Segment::type);
  if (dynamic == headers->segments.end() || dynamic->size > kLargestDynamic) return {};
  const std::string table = content.part(dynamic->offset, static_cast<std::size_t>(dynamic->size)).value_or("");
  std::map<std::int64_t, std::uint64_t> values;
  std::vector<std::uint64_t> names;
  for (std::size_t at = 0; const auto entry = load<Elf64_Dyn>(table, at); at += sizeof *entry) {
    if (entry->d_tag == DT_NULL) break;
    if (entry->d_tag == DT_RPATH || entry->d_tag == DT_RUNPATH) return {};
    if (entry->d_tag == DT_NEEDED) names.push_back(entry->d_un.d_val);
    values[entry->d_tag] = entry->d_un.d_val;
  }
  const std::string strings = at_address(content, *headers, values[DT_STRTAB], values[DT_STRSZ]);
  std::vector<std::string> out;
  for (const std::uint64_t name : names) {
    if (name < strings.size()) out.emplace_back(strings.c_str() + name);
  }
  return out;
}

std::optional<std::string> before_marker(const Content& content, const Headers& headers, std::string_view marker,
                                         bool writable, std::size_t before) {
  constexpr std::uint64_t kMostRead = std::uint64_t{16} << 20U;
  for (const Segment& segment : headers.segments) {
    const bool is_writable = (segment.flags & PF_W) != 0;
    if (segment.type != PT_LOAD || is_writable != writable || segment.size > kMostRead) continue;
    const auto data = content.part(segment.offset, static_cast<std::size_t>(segment.size));
    const std::size_t at = data ? data->find(marker) : std::string::npos;
    if (at != std::string::npos && at >= before) return data->substr(at - before, before);
  }
  return std::nullopt;
}

}  // namespace portshim::elf
