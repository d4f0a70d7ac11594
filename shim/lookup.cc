#include "shim/lookup.h"

#include <elf.h>
#include <linux/limits.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "shim/elf.h"
#include "shim/environment.h"
#include "shim/path.h"

namespace portshim::lookup {
namespace {

using system::FileType;
using system::System;

// --- The mark by which copies of portshim know each other. ---

constexpr std::string_view kNoteOwner = "portshim";

/// An ELF note (elf(5), "Notes (Nhdr)"): sizes, type, owner with its NUL padded to 4 bytes, one word of description.
struct Mark {
  Elf64_Nhdr header{.n_namesz = kNoteOwner.size() + 1, .n_descsz = sizeof(std::uint32_t), .n_type = 1};
  std::array<char, 12> owner{'p', 'o', 'r', 't', 's', 'h', 'i', 'm'};
  std::uint32_t format = 1;
};
[[gnu::section(".note.portshim"), gnu::used]] alignas(4) const Mark kMark{};

// --- Look-up. ---

/// The directories of PATH in order; "." for an empty entry (POSIX, Environment Variables, PATH).
std::vector<std::string> search_path(std::span<const std::string> environment) {
  // Without PATH: the places where images have programs, as containers start them when an image sets no PATH.
  std::string_view rest = environment::value(environment, "PATH").value_or("/usr/local/bin:/usr/bin:/bin");
  std::vector<std::string> folders;
  for (;;) {
    const std::size_t colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    folders.emplace_back(folder.empty() ? "." : folder);
    if (colon == std::string_view::npos) return folders;
    rest.remove_prefix(colon + 1);
  }
}

/// Where .NET is installed on the systems that Microsoft and the distributions make packages for.
std::vector<std::string> dotnet_folders(const System& system, std::span<const std::string> environment) {
  std::vector<std::string> folders;
  // The first line is the directory (hostfxr, pal::get_dotnet_self_registered_dir).
  if (const auto text = system.read_file("/etc/dotnet/install_location"); text && text->starts_with('/')) {
    folders.push_back(text->substr(0, text->find_first_of("\r\n")));
  }
  folders.insert(folders.end(), {"/usr/share/dotnet", "/usr/lib64/dotnet", "/usr/lib/dotnet"});
  if (const auto root = environment::value(environment, "DOTNET_ROOT"); root && !root->empty())
    folders.emplace_back(*root);
  return folders;
}

/// What a look-up finds at a path.
enum class Candidate : std::uint8_t { program, itself, not_executable, missing };

/// What is at a path. Three system calls for an ordinary program, and the file is opened once.
Candidate examine(const System& system, const std::string& path) {
  if (const auto permission = system.executable(path); !permission) {
    // EACCES is the answer for an unsearchable folder above it too.
    const bool exists = permission.error().code == EACCES && system.status(path);
    return exists ? Candidate::not_executable : Candidate::missing;
  }
  const auto content = elf::Content::open(system, path);
  if (content) return elf::has_note(*content, kNoteOwner) ? Candidate::itself : Candidate::program;
  if (content.error().code == EISDIR) return Candidate::not_executable;
  // Executable and unreadable (mode 0111) is a program all the same.
  const auto status = system.status(path);
  return status && status->type == FileType::regular ? Candidate::program : Candidate::not_executable;
}

/// Notes in `lookup` what is at a path; true when it is the program.
bool take(const System& system, const std::string& path, Lookup& lookup) {
  lookup.tried.push_back(path);
  switch (examine(system, path)) {
    case Candidate::program:
      lookup.path = path;
      return true;
    case Candidate::itself:
      lookup.skipped_itself = true;
      return false;
    case Candidate::not_executable:
      if (lookup.not_executable.empty()) lookup.not_executable = path;
      return false;
    case Candidate::missing:
      return false;
  }
  return false;
}

/// Tries a name in each directory; true when it is found. Paths longer than the kernel takes are left out, which keeps
/// a long name with a long PATH from costing their product.
bool take_first(const System& system, const std::vector<std::string>& folders, std::string_view name, Lookup& lookup) {
  return std::ranges::any_of(folders, [&](const std::string& folder) {
    const std::string separator = folder.ends_with('/') ? "" : "/";
    return folder.size() + name.size() + 1 < PATH_MAX && take(system, folder + separator + std::string(name), lookup);
  });
}

}  // namespace

bool is_portshim(const System& system, const std::string& path) {
  const auto content = elf::Content::open(system, path);
  return content && elf::has_note(*content, kNoteOwner);
}

Lookup find(const System& system, const std::string& command, std::span<const std::string> environment,
            bool by_other_name) {
  Lookup lookup;
  if (command.contains('/')) {
    if (take(system, command, lookup)) return lookup;
    if (!lookup.skipped_itself && !by_other_name) return lookup;
  }
  // No directory can hold such a name, and joining it with every directory would cost.
  const std::string_view name = path::last_component(command);
  if (name.empty() || name.size() > NAME_MAX) return lookup;
  // portshim as COMMAND of portshim is meant: another program of its name is not.
  if (lookup.skipped_itself && name.starts_with("portshim")) return lookup;
  if (take_first(system, search_path(environment), name, lookup)) return lookup;
  if (name == "dotnet" && (lookup.skipped_itself || by_other_name)) {
    take_first(system, dotnet_folders(system, environment), name, lookup);
  }
  return lookup;
}

Lookup find_installed_dotnet(const System& system, std::span<const std::string> environment) {
  Lookup lookup;
  take_first(system, dotnet_folders(system, environment), "dotnet", lookup);
  return lookup;
}

bool is_program(const System& system, const std::string& path) {
  return examine(system, path) == Candidate::program;
}

}  // namespace portshim::lookup
