#include "shim/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "shim/ascii.h"
#include "shim/json.h"
#include "shim/path.h"

namespace portshim::files {
namespace {

using address::Exception;
using system::FileType;

/// Enough of a certificate's file to see what it is.
constexpr std::size_t kEnough = 64U << 10U;

Exception denied(const std::string& path, int error) {
  return {.type = "System.UnauthorizedAccessException",
          .message = "Access to the path '" + path + "' is denied.",
          .causes = {"System.IO.IOException: " + system::describe(error)}};
}

Exception directory_not_found(const std::string& path) {
  return {.type = "System.IO.DirectoryNotFoundException",
          .message = "Could not find a part of the path '" + path + "'."};
}

Exception not_found(const system::System& system, const std::string& path) {
  if (!system.status(path::folder_of(path))) return directory_not_found(path);
  return {.type = "System.IO.FileNotFoundException", .message = "Could not find file '" + path + "'."};
}

/// What opening a file throws (Interop.GetExceptionForIoErrno).
Exception open_failed(const system::System& system, const std::string& path, int error) {
  if (error == ENOENT) return not_found(system, path);
  if (error == ENOTDIR) return directory_not_found(path);
  if (error == ENAMETOOLONG) {
    return {.type = "System.IO.PathTooLongException",
            .message = "The path '" + path + "' is too long, or a component of the specified path is too long."};
  }
  if (error == EACCES || error == EPERM || error == EISDIR) return denied(path, error);
  return {.type = "System.IO.IOException", .message = system::describe(error) + " : '" + path + "'"};
}

/// A pipe that was handed to this process, as a shell's <(command): somebody writes to it.
bool is_inherited(const std::string& path) {
  return path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/") || path == "/dev/stdin";
}

constexpr std::string_view kBlanks = " \t\r\n";

/// PemEncoding.cs: between the two lines with the label nothing stands but base64 and blanks.
bool has_pem(std::string_view text, std::string_view label) {
  const std::string begin = std::string("-----BEGIN ").append(label) + "-----";
  const std::string end = std::string("-----END ").append(label) + "-----";
  constexpr auto kIsEncoded = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '/' && c <= '9') || c == '+' || c == '=' ||
           kBlanks.contains(c);
  };
  for (std::size_t at = text.find(begin); at != std::string_view::npos; at = text.find(begin, at + 1)) {
    const std::string_view body = text.substr(at + begin.size());
    const std::size_t size = body.find(end);
    if (size != std::string_view::npos && std::ranges::all_of(body.substr(0, size), kIsEncoded)) return true;
  }
  return false;
}

bool has_pem_of(std::string_view text, std::span<const std::string_view> labels) {
  return std::ranges::any_of(labels, [&](std::string_view label) { return has_pem(text, label); });
}

constexpr char kSequence = 0x30;
constexpr std::string_view kPkcs12("\x02\x01\x03", 3);  // RFC 7292, section 4: its version

/// What follows the header of DER's outermost sequence; nothing where the text ends before the sequence does.
std::optional<std::string_view> inside_sequence(std::string_view text) {
  constexpr unsigned kManyBytes = 0x80;  // and in the other bits how many; none: the end is marked (X.690, 8.1.3)
  if (text.size() < 2) return std::nullopt;
  std::size_t size = static_cast<unsigned char>(text[1]);
  text.remove_prefix(2);
  if (size >= kManyBytes) {
    const std::size_t count = size - kManyBytes;
    if (count > text.size()) return std::nullopt;
    size = 0;
    for (const char byte : text.substr(0, count)) size = size << 8U | static_cast<unsigned char>(byte);
    text.remove_prefix(count);
  }
  return size <= text.size() ? std::optional(text) : std::nullopt;
}

/// X509Certificate2 and X509CertificateLoader of what is no certificate.
Exception no_certificate(int major, bool ends_early) {
  Exception junk{.type = "System.Security.Cryptography.CryptographicException", .message = "ASN1 corrupted data."};
  if (major >= 9 && ends_early) {
    junk.message = "Error occurred during a cryptographic operation.";
    junk.causes.emplace_back("System.IO.EndOfStreamException: Unable to read beyond the end of the stream.");
  } else if (major < 9) {
    junk.causes.emplace_back(
        "System.Formats.Asn1.AsnContentException: The encoded length exceeds the number of bytes remaining in the "
        "input buffer.");
  }
  return junk;
}

}  // namespace

Reader::Reader(const system::System& system, std::string current_directory, std::string home)
    : system_(system), current_directory_(std::move(current_directory)), home_(std::move(home)) {}

std::unique_ptr<kestrel::SettingsFile> Reader::read(const std::string& path) const {
  const auto fail = [](Exception exception) {
    return std::make_unique<kestrel::SettingsFile>(std::unexpected(std::move(exception)));
  };
  auto status = system_.status(path);
  if (!status) {
    // A link to nothing is there to .NET, until it is opened.
    if (!system_.status(path, false)) return nullptr;
    return fail(open_failed(system_, path, status.error().code));
  }
  if (status->type == FileType::directory) {
    settings_directories_.push_back(path);
    return nullptr;
  }
  if (status->type != FileType::regular) {
    if (auto exception = no_regular_file(path, status->type)) return fail(*std::move(exception));
  }

  const json::Name name{.path = path, .label = label_of(path), .number = settings_.size()};
  // /dev/null stands in for a settings file that is to be empty.
  if (status->type != FileType::regular) return std::make_unique<kestrel::SettingsFile>(json::read("", name));
  const auto text = system_.read_file(path);
  if (text) return std::make_unique<kestrel::SettingsFile>(json::read(*text, name));
  if (text.error().code == EFBIG) {
    too_large_.push_back(path);
    return nullptr;
  }
  return fail(open_failed(system_, path, text.error().code));
}

std::optional<Exception> Reader::no_regular_file(const std::string& path, FileType type) const {
  // Opening it would say so too, and may never return.
  const auto readable = system_.readable(path);
  if (!readable) return open_failed(system_, path, readable.error().code);
  if (type == FileType::socket) return open_failed(system_, path, ENXIO);
  if (type == FileType::fifo && !is_inherited(path)) {
    return Exception{.type = std::string(kestrel::kHang),
                     .message = "'" + path + "' is a FIFO: whoever opens it waits until somebody writes to it"};
  }
  if (type == FileType::other && !is_null_device(path)) {
    return Exception{.type = std::string(kestrel::kHang),
                     .message = "'" + path + "' is a device, and no regular file: reading it may never end"};
  }
  return std::nullopt;
}

bool Reader::is_null_device(const std::string& path) const {
  return system_.real_path(path) == "/dev/null";
}

std::string Reader::label_of(const std::string& path) const {
  const std::string folder = current_directory_ + (current_directory_.ends_with('/') ? "" : "/");
  return path.starts_with(folder) && !current_directory_.empty() ? path.substr(folder.size()) : path;
}

const kestrel::SettingsFile* Reader::settings(const std::string& path) const {
  const auto known = settings_.find(path);
  if (known != settings_.end()) return known->second.get();
  const auto& file = settings_.emplace(path, read(path)).first->second;
  if (file != nullptr) found_.push_back(path);
  return file.get();
}

bool Reader::is_directory(const std::string& path) const {
  const auto known = directories_.find(path);
  if (known != directories_.end()) return known->second;
  const auto status = system_.status(path);
  return directories_.emplace(path, status && status->type == FileType::directory).first->second;
}

std::expected<std::optional<std::string>, Exception> Reader::beginning(const std::string& path) const {
  const auto status = system_.status(path);
  if (!status) return std::unexpected(open_failed(system_, path, status.error().code));
  if (status->type == FileType::directory) return std::unexpected(denied(path, EACCES));
  if (status->type != FileType::regular) {
    if (auto exception = no_regular_file(path, status->type)) return std::unexpected(*std::move(exception));
    return is_null_device(path) ? std::optional(std::string()) : std::nullopt;
  }
  auto content = system_.read_part(path, 0, kEnough);
  if (!content) return std::unexpected(open_failed(system_, path, content.error().code));
  return *std::move(content);
}

std::expected<kestrel::Content, Exception> Reader::certificate(const std::string& path, int major) const {
  static constexpr std::array<std::string_view, 3> kLabels{"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"};
  const auto content = beginning(path);
  if (!content) return std::unexpected(content.error());
  if (!*content) return kestrel::Content::unknown;
  const std::string& text = **content;
  if (has_pem_of(text, kLabels)) return kestrel::Content::certificate;
  if (text.size() == kEnough) return kestrel::Content::unknown;
  const bool is_der = text.starts_with(kSequence);
  const auto inside = is_der ? inside_sequence(text) : std::nullopt;
  if (!inside) return std::unexpected(no_certificate(major, text.empty() || is_der));
  if (inside->starts_with(kPkcs12)) return kestrel::Content::pkcs12;
  return inside->starts_with(kSequence) ? kestrel::Content::certificate : kestrel::Content::unknown;
}

std::optional<Exception> Reader::private_key(const std::string& path, bool with_password) const {
  static constexpr std::array<std::string_view, 1> kEncrypted{"ENCRYPTED PRIVATE KEY"};
  // With a public key the text depends on its algorithm.
  static constexpr std::array<std::string_view, 5> kPlain{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY",
                                                          "PUBLIC KEY", "RSA PUBLIC KEY"};
  const auto content = beginning(path);
  if (!content) return content.error();
  const std::string text = content->value_or(std::string(kEnough, ' '));
  const bool is_utf16 = text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF");
  if (text.size() == kEnough || is_utf16 ||
      has_pem_of(text, with_password ? std::span(kEncrypted) : std::span<const std::string_view>(kPlain)))
    return std::nullopt;
  const bool needs_password = !with_password && has_pem_of(text, kEncrypted);
  return Exception{.type = "System.ArgumentException",
                   .message = needs_password
                                  ? "An encrypted key was found, but no password was provided. Use "
                                    "ImportFromEncryptedPem to import this key. (Parameter 'input')"
                                  : "No supported key formats were found. Check that the input represents the contents "
                                    "of a PEM-encoded key file, not the path to such a file. (Parameter 'input')"};
}

kestrel::Store Reader::store(const std::string& name) const {
  if (!home_.starts_with('/')) return kestrel::Store::unknown;
  const std::string folder = ".dotnet/corefx/cryptography/x509stores/" + ascii::lower_case(name);
  const auto files = system_.list(path::join(home_, folder));
  if (!files && files.error().code != ENOENT && files.error().code != ENOTDIR) return kestrel::Store::unknown;
  const bool has_some =
      files && std::ranges::any_of(*files, [](const std::string& file) { return file.ends_with(".pfx"); });
  return has_some ? kestrel::Store::filled : kestrel::Store::empty;
}

}  // namespace portshim::files
