#include "shim/files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

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

/// DER begins with a sequence; anything else that .NET loads is PEM.
bool may_be_certificate(std::string_view content) {
  constexpr char kSequence = 0x30;
  return content.starts_with(kSequence) || content.contains("-----BEGIN ");
}

}  // namespace

Reader::Reader(const system::System& system, std::string current_directory)
    : system_(system), current_directory_(std::move(current_directory)) {}

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
  if (status->type == FileType::directory) return nullptr;
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

std::optional<Exception> Reader::certificate(const std::string& path, int major) const {
  const auto status = system_.status(path);
  if (!status) return open_failed(system_, path, status.error().code);
  if (status->type == FileType::directory) return denied(path, EACCES);
  if (status->type != FileType::regular) {
    if (auto exception = no_regular_file(path, status->type)) return exception;
    if (!is_null_device(path)) return std::nullopt;
  }
  const auto content =
      status->type == FileType::regular ? system_.read_part(path, 0, kEnough) : system::Result<std::string>("");
  if (!content) return open_failed(system_, path, content.error().code);
  if (content->size() == kEnough || may_be_certificate(*content)) return std::nullopt;
  Exception junk{.type = "System.Security.Cryptography.CryptographicException", .message = "ASN1 corrupted data."};
  if (major >= 9 && content->empty()) {
    junk.message = "Error occurred during a cryptographic operation.";
    junk.causes.emplace_back("System.IO.EndOfStreamException: Unable to read beyond the end of the stream.");
  } else if (major < 9) {
    junk.causes.emplace_back(
        "System.Formats.Asn1.AsnContentException: The encoded length exceeds the number of bytes remaining in the "
        "input buffer.");
  }
  return junk;
}

}  // namespace portshim::files
