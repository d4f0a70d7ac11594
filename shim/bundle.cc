#include "shim/bundle.h"

#include <algorithm>
#include <array>
#include <utility>

#include "shim/bytes.h"

namespace portshim::bundle {
namespace {

// Limits. An app that brings .NET along has about 300 files, whose list takes 20 KiB.
constexpr std::uint32_t kMostFiles = 65536;
constexpr std::size_t kLargestPath = 4096;  // PATH_MAX, as in the host
constexpr std::size_t kLargestList = std::size_t{4} << 20U;
constexpr std::uint64_t kLeastHeader = 13 + 12 + 40;  // numbers, an id of 12 characters, places of files
constexpr std::uint32_t kKnownVersion = 6;            // that of .NET 6 to 10
constexpr std::uint64_t kLargestFile = std::uint64_t{64} << 20U;

/// What `dotnet build` writes into an apphost where single-file publishing puts the bundle header's offset: the
/// SHA-256 of ".net core bundle" (bundle_marker.cpp). The eight bytes before it are 0 unless the file is a bundle.
constexpr std::array<unsigned char, 32> kMarker = {0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93,
                                                   0x02, 0x14, 0xd7, 0xa0, 0x32, 0x13, 0xf5, 0xb9, 0xe6, 0xef, 0xae,
                                                   0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae};

/// Takes numbers and texts off the list of files, as bundle/reader.h does. After the first that is not there all are
/// empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool failed() const { return failed_; }

  template <typename T>
  T number() {
    return bytes::load<T>(text(sizeof(T)), 0).value_or(T{});
  }

  std::string_view text(std::size_t length) {
    if (failed_ || length > bytes_.size() - at_) {
      failed_ = true;
      return {};
    }
    at_ += length;
    return bytes_.substr(at_ - length, length);
  }

  /// A text with its length before it, 7 bits in a byte, in one byte or two.
  std::string_view path() {
    constexpr unsigned kMore = 0x80;
    const unsigned first = number<std::uint8_t>();
    const unsigned second = (first & kMore) != 0 ? number<std::uint8_t>() : 0;
    const std::size_t length = (first & ~kMore) | second << 7U;
    if (second >= kMore || length == 0 || length > kLargestPath) failed_ = true;
    return text(length);
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

Type type_of(std::uint8_t number) {
  return number <= std::to_underlying(Type::symbols) ? static_cast<Type>(number) : Type::unknown;
}

/// Compression came with version 6, which is that of .NET 6 (bundle/file_entry.cpp).
File read_entry(Reader& reader, std::uint32_t major_version) {
  constexpr std::uint32_t kCompression = 6;
  File file;
  file.offset = reader.number<std::uint64_t>();
  file.size = reader.number<std::uint64_t>();
  if (major_version >= kCompression) file.compressed_size = reader.number<std::uint64_t>();
  file.type = type_of(reader.number<std::uint8_t>());
  file.path = reader.path();
  return file;
}

const File* find_type(const std::vector<File>& files, Type type) {
  const auto found = std::ranges::find(files, type, &File::type);
  return found == files.end() ? nullptr : &*found;
}

/// The eight bytes before the marker.
std::optional<std::uint64_t> header_field(const elf::Content& content, const elf::Headers& headers) {
  const std::string_view marker(reinterpret_cast<const char*>(kMarker.data()), kMarker.size());
  const auto bytes = elf::before_marker(content, headers, marker, true, sizeof(std::uint64_t));
  return bytes ? bytes::load<std::uint64_t>(*bytes, 0) : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> header_offset(const elf::Content& content, const elf::Headers& headers) {
  const auto offset = header_field(content, headers);
  return offset == 0 ? std::nullopt : offset;
}

bool is_host_of_apps(const elf::Content& content, const elf::Headers& headers) {
  return header_field(content, headers).has_value();
}

/// Three numbers, an id, offset and size of deps.json and of runtimeconfig.json, flags. It is the same in all versions
/// since .NET 5.
Header read_header(const elf::Content& content, std::uint64_t offset) {
  constexpr std::size_t kNumbers = 3 * sizeof(std::uint32_t);
  constexpr std::size_t kRest = 5 * sizeof(std::uint64_t);
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 20U;
  constexpr unsigned kExtractAll = 1;
  const auto numbers = content.part(offset, kNumbers + 1);
  const std::uint32_t major = numbers ? bytes::load<std::uint32_t>(*numbers, 0).value_or(0) : 0;
  if (major < 2) return {};
  const auto id_size = static_cast<unsigned char>(numbers->back());
  const auto rest = content.part(offset + kNumbers + 1 + id_size, kRest);
  if (!rest) return {};
  const auto word = [&](std::size_t index) {
    return bytes::load<std::uint64_t>(*rest, index * sizeof(std::uint64_t)).value_or(0);
  };
  Header header{.major_version = major,
                .file_count = bytes::load<std::uint32_t>(*numbers, 2 * sizeof(std::uint32_t)).value_or(0),
                .manifest = offset + kNumbers + 1 + id_size + kRest,
                .is_extracted = (word(4) & kExtractAll) != 0};
  if (word(3) != 0 && word(3) <= kLargest) header.runtimeconfig = content.part(word(2), word(3));
  return header;
}

std::expected<std::vector<File>, std::string> files(const elf::Content& content, const Header& header) {
  if (header.file_count == 0) return std::unexpected("damaged: it lists no files");
  if (header.file_count > kMostFiles) return std::unexpected("too many files");
  const std::string list = content.up_to(header.manifest, kLargestList);
  Reader reader(list);
  std::vector<File> out;
  while (out.size() < header.file_count) {
    out.push_back(read_entry(reader, header.major_version));
    if (reader.failed()) return std::unexpected("damaged: its list of files cannot be read");
  }
  return out;
}

bool is_cut_off(const elf::Content& content, std::uint64_t header, std::uint64_t size) {
  const Header read = read_header(content, header);
  // Nothing of a header that is not there can be read.
  if (read.file_count == 0) return header >= size || size - header < kLeastHeader;
  if (read.file_count > kMostFiles || read.major_version > kKnownVersion) return false;
  const auto list = files(content, read);
  return !list || std::ranges::any_of(*list, [&](const File& file) {
    const std::uint64_t stored = file.compressed_size != 0 ? file.compressed_size : file.size;
    return file.offset > size || stored > size - file.offset;
  });
}

std::expected<std::string, std::string> read_file(const elf::Content& content, const File& file) {
  if (file.compressed_size != 0) return std::unexpected("compressed");
  if (file.size > kLargestFile) return std::unexpected("too large");
  auto bytes = content.part(file.offset, static_cast<std::size_t>(file.size));
  if (!bytes) return std::unexpected("damaged: it ends too early");
  return *std::move(bytes);
}

const File* find(const std::vector<File>& files, std::string_view path) {
  const auto found = std::ranges::find(files, path, &File::path);
  return found == files.end() ? nullptr : &*found;
}

const File* entry_assembly(const std::vector<File>& files, std::string_view application) {
  constexpr std::string_view kEnd = ".runtimeconfig.json";
  if (const File* config = find_type(files, Type::runtimeconfig_json); config && config->path.ends_with(kEnd)) {
    application = std::string_view(config->path).substr(0, config->path.size() - kEnd.size());
  }
  const File* file = find(files, std::string(application) + ".dll");
  return file != nullptr && file->type == Type::assembly ? file : nullptr;
}

const File* deps_json(const std::vector<File>& files) {
  return find_type(files, Type::deps_json);
}

}  // namespace portshim::bundle
