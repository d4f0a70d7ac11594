#include "shim/install.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstddef>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "shim/lookup.h"
#include "shim/path.h"

namespace portshim::install {
namespace {

using finding::Finding;
using finding::Id;
using finding::quote;
using finding::Severity;
using system::FileType;
using system::System;

constexpr std::string_view kName = "portshim";
constexpr mode_t kMode = 0755;

/// The file that PATH means.
std::string target_of(const System& system, const std::string& path) {
  if (path.ends_with('/')) return path + std::string(kName);
  const auto status = system.status(path);
  const bool is_directory = status && status->type == FileType::directory;
  return is_directory ? path + "/" + std::string(kName) : path;
}

/// What is at the target and must not be replaced, in words. A link is followed: /dev/stdout is meant as what it leads
/// to, and a directory's name would otherwise be taken from it.
std::optional<std::string_view> obstacle(const System& system, const std::string& target) {
  const auto status = system.status(target);
  if (!status) return std::nullopt;
  switch (status->type) {
    case FileType::regular:
    case FileType::symlink:
      return std::nullopt;
    case FileType::directory:
      return "is a directory";
    case FileType::fifo:
      return "is a FIFO";
    case FileType::socket:
      return "is a socket";
    case FileType::other:
      return "is a device";
  }
  return std::nullopt;
}

/// The bytes of this program. Where /proc is not mounted, from the path that it was started by. Whatever is read must
/// carry portshim's mark: under a loader or an emulator /proc/self/exe may be that one.
system::Result<std::string> own_bytes(const system::Control& system) {
  std::optional<system::Error> first;
  for (const std::string& source : {std::string("/proc/self/exe"), system.own_path()}) {
    auto bytes = system.read_part(source, 0, std::numeric_limits<std::size_t>::max());
    if (bytes && lookup::is_portshim(system, source)) return bytes;
    if (!first) first = bytes ? system::Error{ENOEXEC, "read " + source} : bytes.error();
  }
  return std::unexpected(*first);
}

std::string advice(int code) {
  switch (code) {
    case ENOENT:
    case ENOTDIR:
      return "make the directory first, or mount a volume there (emptyDir)";
    case EROFS:
      return "mount a writable volume there (emptyDir), without readOnly";
    case EACCES:
    case EPERM:
      return "let this user write to the directory (fsGroup, runAsUser)";
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "give the volume more room (emptyDir.sizeLimit); portshim needs less than 3 MB";
    default:
      return "name a file in a directory that this user may write to";
  }
}

Finding refusal(const std::string& target, std::string why, std::string next) {
  return {.id = Id::not_installed,
          .severity = Severity::error,
          .what = fmt::format("--install could not copy portshim to {}", quote(target)),
          .why = std::move(why),
          .did = "nothing was changed (exit code 78)",
          .next = std::move(next)};
}

}  // namespace

Finding install(system::Control& system, const std::string& path) {
  const std::string target = target_of(system, path);
  if (const auto what = obstacle(system, target)) {
    return refusal(target, fmt::format("{} {}", quote(target), *what), advice(EEXIST));
  }
  const auto bytes = own_bytes(system);
  if (!bytes) {
    return refusal(target, fmt::format("portshim cannot read its own file: {}", quote(bytes.error().message())),
                   "mount /proc, or start portshim by its path; its file must be readable for this user");
  }
  if (const auto done = system.replace_file(target, *bytes, kMode); !done) {
    return refusal(target, quote(done.error().message()), advice(done.error().code));
  }
  Finding finding{.id = Id::installed,
                  .severity = Severity::info,
                  .what = fmt::format("installed {} (portshim {})", quote(target), PORTSHIM_VERSION),
                  .why = "",
                  .did = "",
                  .next = ""};
  const std::string_view name = path::last_component(target);
  if (const auto mount = system.mount_flags(target); mount && mount->noexec) {
    finding.severity = Severity::warning;
    finding.what += ", where nothing can be executed";
    finding.why = "the file system there is mounted noexec";
    finding.next = "mount it without noexec, or copy portshim to another one";
  } else if (!name.starts_with(kName)) {
    finding.why = fmt::format(
        "by a name that does not begin with 'portshim' it starts the real '{}' found elsewhere, and "
        "reads PORTSHIM variables alone",
        quote(name));
    finding.next = fmt::format(
        "nothing, if it is to stand in for '{}'; else give it a name that begins with 'portshim'", quote(name));
  }
  return finding;
}

}  // namespace portshim::install
