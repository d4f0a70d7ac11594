#include "shim/launch.h"

#include <elf.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/limits.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "shim/elf.h"
#include "shim/environment.h"
#include "shim/path.h"

namespace portshim::launch {
namespace {

using finding::Id;
using finding::quote;
using system::CapabilitySet;
using system::FileType;
using system::System;

// As shells and env(1) have it: was there a file, or not?
constexpr int kNotFound = 127;
constexpr int kCannotExecute = 126;

// --- Explanations. ---

/// Every failure is an error, and nothing was done about it.
Failure make_failure(Id id, int code, std::string what, std::string why, std::string next) {
  return {.finding = {.id = id,
                      .severity = finding::Severity::error,
                      .what = std::move(what),
                      .why = std::move(why),
                      .did = "",
                      .next = std::move(next)},
          .code = code};
}

/// "cannot start 'dotnet': not found"
std::string cannot_start(const std::string& command, std::string_view reason) {
  return fmt::format("cannot start '{}': {}", quote(command), reason);
}

constexpr const char* kCorrectCommand = "correct ENTRYPOINT, CMD or the Pod's command and args";

/// An assembly looks like a program and is none, so it is often named as COMMAND: the hint for `next`.
std::optional<std::string> start_with_dotnet(const std::string& command) {
  if (!command.ends_with(".dll")) return std::nullopt;
  return fmt::format("start it with: dotnet {}", quote(command));
}

/// A link itself, wherever it leads.
bool is_link(const System& system, const std::string& path) {
  const auto status = system.status(path, false);
  return status && status->type == FileType::symlink;
}

/// Where a link leads, link by link, as far as that can be read.
struct LinkEnd {
  std::string path;
  int links = 0;
  bool endless = false;
};

LinkEnd follow_link(const System& system, const std::string& link) {
  constexpr int kMostLinks = 40;  // MAXSYMLINKS, include/linux/namei.h
  LinkEnd end{.path = link};
  while (end.links < kMostLinks && end.path.size() < PATH_MAX) {
    const auto target = system.read_link(end.path);
    if (!target) return end;
    ++end.links;
    // ".." is left in place: textually it must not be resolved, the directory before it may be a link.
    end.path = path::join(path::folder_of(end.path), *target);
  }
  end.endless = true;
  return end;
}

/// "/usr/bin/dotnet is a link to /opt/dotnet, which does not exist"
std::string describe_link(const System& system, const std::string& link) {
  const LinkEnd end = follow_link(system, link);
  if (end.endless) return fmt::format("{} is a link that leads back to itself", quote(link));
  const std::string way = end.links > 1 ? fmt::format("leads by {} links", end.links) : "is a link";
  return fmt::format("{} {} to {}, which does not exist", quote(link), way, quote(end.path));
}

Failure broken_link(const System& system, const std::string& command, const std::string& link) {
  return make_failure(Id::dangling_link, kNotFound, cannot_start(command, "a link that leads nowhere"),
                      describe_link(system, link), "copy what the link names into the image too, or replace the link");
}

/// "mode 0644, owner uid 0; this process has uid 1654"
std::string describe_access(const System& system, const system::FileStatus& status) {
  return fmt::format("mode {:04o}, owner uid {}; this process has uid {}", status.mode, status.owner,
                     system.ids().effective_uid);
}

/// The name in a folder that was probably meant, as a hint for `next`.
std::string suggest(const System& system, const std::string& folder, std::string_view name) {
  // Distances are costly, and nobody keeps programs among more files than that.
  constexpr std::size_t kMostNames = 1000;
  const auto names = system.list(folder);
  if (!names) return kCorrectCommand;
  const std::vector<std::string_view> candidates(names->begin(),
                                                 names->begin() + std::ptrdiff_t(std::min(names->size(), kMostNames)));
  const std::string_view near = finding::nearest(name, candidates);
  if (near.empty()) return kCorrectCommand;
  return fmt::format("did you mean {}/{}?", folder == "/" ? "" : quote(folder), quote(near));
}

/// A path on which a component cannot be passed. `command` is what the messages name.
struct Walk {
  const System& system;
  const std::string& command;
  int links_left = 8;  ///< how often the walk goes on behind a link
};

// With component_fault it goes on behind links; `links_left` bounds that.
std::optional<Failure> path_fault(const Walk& walk, const std::string& path);

Failure name_too_long(const std::string& command) {
  return make_failure(Id::not_found, kNotFound, cannot_start(command, "its name is too long"),
                      "a path has at most 4095 bytes, each part of it at most 255", kCorrectCommand);
}

/// What is wrong with a component that could not be looked at.
Failure component_fault(const Walk& walk, const std::string& path, const system::Error& error) {
  const auto& [system, command, links_left] = walk;
  if (error.code == ENAMETOOLONG) return name_too_long(command);
  const bool link = is_link(system, path);
  if (link && error.code == EACCES && links_left > 0) {
    // The way to what the link names is barred: a tool that root installed in /root, for one.
    if (auto fault = path_fault({system, command, links_left - 1}, follow_link(system, path).path)) return *fault;
  }
  if (link && error.code != EACCES) return broken_link(system, command, path);
  if (error.code != ENOENT) {
    return make_failure(Id::exec_failed, kCannotExecute, cannot_start(command, "it cannot be looked at"),
                        quote(error.message()), "check the volume and the security profile of the container");
  }
  // The first component that is missing: the file itself, or a directory on the way to it.
  const std::string folder = path::folder_of(path);
  const std::string why = path == command
                              ? fmt::format("{} holds no {}", quote(folder), quote(path::last_component(path)))
                              : fmt::format("{} does not exist", quote(path));
  return make_failure(Id::not_found, kNotFound, cannot_start(command, "not found"), why,
                      suggest(system, folder, path::last_component(path)));
}

/// What is wrong with a directory on the way, if something is.
std::optional<Failure> directory_fault(const Walk& walk, const std::string& directory) {
  const auto status = walk.system.status(directory);
  if (!status) return component_fault(walk, directory, status.error());
  if (status->type != FileType::directory) {
    return make_failure(Id::not_found, kNotFound, cannot_start(walk.command, "not found"),
                        fmt::format("{} is no directory", quote(directory)), kCorrectCommand);
  }
  // Execute permission on a directory is search permission (path_resolution(7)).
  if (walk.system.executable(directory)) return std::nullopt;
  return make_failure(Id::not_executable, kCannotExecute,
                      cannot_start(walk.command, "a directory above it may not be searched"),
                      fmt::format("{}: {}", quote(directory), describe_access(walk.system, *status)),
                      fmt::format("chmod a+x {} in the image, or run as its owner", quote(directory)));
}

/// Walks down a path to the first component that cannot be passed; nothing when the file at its end is there.
std::optional<Failure> path_fault(const Walk& walk, const std::string& path) {
  if (path.size() >= PATH_MAX) return name_too_long(walk.command);
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (auto fault = directory_fault(walk, path.substr(0, slash))) return fault;
  }
  const auto status = walk.system.status(path);
  if (!status) return component_fault(walk, path, status.error());
  return std::nullopt;
}

/// Why a file that is there may not be executed; nothing when its type, mode and mount are no reason.
std::optional<Failure> permission_fault(const System& system, const std::string& path) {
  const auto status = system.status(path);
  if (!status) return std::nullopt;
  if (status->type == FileType::directory) {
    return make_failure(Id::is_directory, kCannotExecute, cannot_start(path, "it is a directory"),
                        fmt::format("{} is a directory, not a program", quote(path)),
                        "name the program in it: " + std::string(kCorrectCommand));
  }
  if (status->type != FileType::regular) {
    return make_failure(Id::not_executable, kCannotExecute, cannot_start(path, "not executable"),
                        fmt::format("{} is no regular file", quote(path)), kCorrectCommand);
  }
  if (system.executable(path)) return std::nullopt;
  // access(2) answers EACCES for the mode and for a noexec mount alike. Without any x bit the mode alone is enough.
  const bool has_x = (status->mode & 0111U) != 0;
  const auto mount = system.mount_flags(path);
  if (has_x && mount && mount->noexec) {
    return make_failure(Id::noexec_mount, kCannotExecute, cannot_start(path, "it is on a noexec mount"),
                        fmt::format("the file system of {} is mounted noexec", quote(path)),
                        "put the program elsewhere, or mount the volume without noexec");
  }
  const std::string own = has_x ? fmt::format("chmod a+x {} in the image, or run as its owner", quote(path))
                                : fmt::format("chmod +x {} in the image (COPY --chmod=755)", quote(path));
  return make_failure(Id::not_executable, kCannotExecute, cannot_start(path, "not executable"),
                      fmt::format("{}: {}", quote(path), describe_access(system, *status)),
                      start_with_dotnet(path).value_or(own));
}

// --- Explanations of what is in the file. ---

/// What the kernel makes of a program's first bytes.
struct Program {
  std::optional<elf::Headers> elf;
  bool script = false;
  std::string interpreter;  ///< of a script or of PT_INTERP; empty when there is none
  std::string head;
};

/// The interpreter of a script as the kernel finds it (fs/binfmt_script.c, load_script): within 256 bytes, up to
/// white space. A carriage return is no white space there.
std::string script_interpreter(std::string_view head) {
  constexpr std::size_t kBufferSize = 256;  // BINPRM_BUF_SIZE
  std::string_view line = head.substr(2, kBufferSize - 2);
  line = line.substr(0, line.find('\n'));
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return std::string(line.substr(0, line.find_first_of(std::string_view(" \t\0", 3))));
}

/// PT_INTERP, the dynamic loader; empty for a static program.
std::string elf_interpreter(const elf::Content& content, const elf::Headers& headers) {
  const auto segment = std::ranges::find(headers.segments, std::uint32_t{PT_INTERP}, &elf::Segment::type);
  if (segment == headers.segments.end() || segment->size > PATH_MAX) return {};
  const std::string bytes = content.part(segment->offset, static_cast<std::size_t>(segment->size)).value_or("");
  return bytes.substr(0, bytes.find('\0'));
}

/// Nothing when the file cannot be read.
std::optional<Program> read_program(const System& system, const std::string& path) {
  const auto content = elf::Content::open(system, path);
  if (!content) return std::nullopt;
  Program program{.elf = elf::parse(*content), .script = false, .interpreter = {}, .head = content->head()};
  program.script = program.head.starts_with("#!");
  if (program.script) program.interpreter = script_interpreter(program.head);
  if (program.elf) program.interpreter = elf_interpreter(*content, *program.elf);
  return program;
}

/// The names that docker --platform and dotnet -r users know.
std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64 (amd64)";
    case EM_AARCH64:
      return "arm64 (aarch64)";
    case EM_386:
      return "x86 (32 bit)";
    case EM_ARM:
      return "arm (32 bit)";
    case EM_RISCV:
      return "riscv64";
    case EM_S390:
      return "s390x";
    case EM_PPC64:
      return "ppc64le";
    default:
      return fmt::format("machine {}", machine);
  }
}

/// ENOEXEC, or any error where an emulator is registered for the machine but missing.
Failure wrong_machine(const std::string& command, const std::string& path, std::uint16_t built, std::uint16_t here) {
  return make_failure(
      Id::wrong_machine, kCannotExecute, cannot_start(command, "built for another machine"),
      fmt::format("{} is built for {}, this machine is {}", quote(path), machine_name(built), machine_name(here)),
      "build the image for this machine (docker build --platform, dotnet publish -r), or run it on a "
      "machine of the other kind");
}

/// ENOENT although the script is there: the kernel means its interpreter and does not say so.
Failure interpreter_missing(const System& system, const std::string& command, const std::string& script,
                            const std::string& interpreter) {
  if (interpreter.ends_with('\r')) {
    return make_failure(
        Id::carriage_return, kNotFound, cannot_start(command, "its first line ends in CR LF"),
        fmt::format("the kernel looks for the interpreter '{}' that {} names", quote(interpreter), quote(script)),
        "save the script with LF line ends (.gitattributes: *.sh text eol=lf)");
  }
  const std::string why = is_link(system, interpreter)
                              ? describe_link(system, interpreter)
                              : fmt::format("the interpreter {} does not exist", quote(interpreter));
  return make_failure(Id::interpreter_missing, kNotFound, cannot_start(command, "its interpreter is missing"),
                      fmt::format("{} begins with #!{}; {}", quote(script), quote(interpreter), why),
                      "use an image that has the interpreter, or start the program without a script");
}

/// ENOENT although the program is there: the kernel means its loader. The usual cause is the other C library.
Failure loader_missing(const std::string& command, const std::string& program, const std::string& loader) {
  const std::string_view name = path::last_component(loader);
  std::string why =
      fmt::format("{} needs the loader {}, which this image does not have", quote(program), quote(loader));
  std::string next = "use an image that has this loader, or a program that is linked statically";
  if (name.starts_with("ld-musl-")) {
    why += ": it is built for musl (Alpine), the image is not";
    next = "publish for glibc (dotnet publish -r linux-x64 or linux-arm64), or use an Alpine image";
  } else if (name.starts_with("ld-linux") || name.starts_with("ld64.so")) {
    why += ": it is built for glibc (Debian, Ubuntu), the image is musl (Alpine) or empty";
    next = "publish for musl (dotnet publish -r linux-musl-x64 or linux-musl-arm64), or use a glibc image";
  }
  return make_failure(Id::loader_missing, kNotFound, cannot_start(command, "its loader is missing"), why, next);
}

/// What is wrong with the interpreter that a script or an ELF file names.
std::optional<Failure> interpreter_fault(const System& system, const std::string& command, const std::string& path,
                                         const Program& program) {
  if (!system.status(program.interpreter)) {
    return program.script ? interpreter_missing(system, command, path, program.interpreter)
                          : loader_missing(command, path, program.interpreter);
  }
  // It is there, so it is its own mode or mount that stands in the way, if anything.
  auto fault = permission_fault(system, program.interpreter);
  if (!fault) return std::nullopt;
  fault->finding.what = cannot_start(command, "its interpreter may not be executed");
  fault->finding.why = fmt::format("{} names it; {}", quote(path), fault->finding.why);
  return fault;
}

/// A file in which the kernel sees no program.
Failure no_program(const std::string& command, const std::string& path, const Program& program) {
  // Mistakes that are seen again and again have a text of their own.
  std::string why = fmt::format("{} is neither an ELF program nor a script with #!", quote(path));
  std::string next = "give it a first line such as #!/bin/sh";
  if (program.head.empty()) {
    why = fmt::format("{} is empty", quote(path));
    next = "copy or build it again";
  } else if (program.elf) {
    why = fmt::format("{} is an ELF file that the kernel does not accept: damaged, or no program", quote(path));
    next = "copy or build it again";
  } else if (program.script) {
    why = fmt::format("the #! line of {} names no interpreter within 256 bytes", quote(path));
  } else if (program.head.starts_with("\xEF\xBB\xBF#!")) {
    why = fmt::format("{} has a byte order mark before #!", quote(path));
    next = "save the script as UTF-8 without a byte order mark";
  } else if (program.head.starts_with("MZ")) {
    why = fmt::format("{} is a Windows program or a .NET assembly", quote(path));
    next = fmt::format("start an assembly with: dotnet {}", quote(path));
  }
  return make_failure(Id::exec_failed, kCannotExecute, cannot_start(command, "no program"), why, next);
}

/// True for the 32-bit programs that a 64-bit kernel may run too.
bool is_compatible(std::uint16_t machine, std::uint16_t here) {
  return (here == EM_X86_64 && machine == EM_386) || (here == EM_AARCH64 && machine == EM_ARM);
}

/// The programs that exec goes through: COMMAND, the interpreter that its #! names, and so on, last the ELF file.
struct Chain {
  std::optional<Failure> fault;  ///< the first thing that is wrong
  std::string last;
  std::optional<Program> program;  ///< of `last`; nothing when it cannot be read
  bool too_long = false;
};

Chain follow_interpreters(const System& system, const std::string& path, int code) {
  // A script may name a script, so the search for the fault goes the same way as exec does.
  constexpr int kMostScripts = 5;  // fs/exec.c, exec_binprm
  Chain chain{.fault = {}, .last = path, .program = {}};
  for (int scripts = 0;; ++scripts) {
    chain.program = read_program(system, chain.last);
    if (!chain.program) return chain;
    const Program& program = *chain.program;
    // A 32-bit program that fails otherwise than by ENOEXEC lacks its loader, not its kernel.
    const std::uint16_t here = system.elf_machine();
    const std::uint16_t built = program.elf ? program.elf->machine : here;
    if (built != here && (code == ENOEXEC || !is_compatible(built, here))) {
      chain.fault = wrong_machine(path, chain.last, built, here);
    } else if (!program.interpreter.empty()) {
      chain.fault = interpreter_fault(system, path, chain.last, program);
    }
    if (chain.fault || !program.script || program.interpreter.empty()) return chain;
    chain.too_long = scripts == kMostScripts;
    if (chain.too_long) return chain;
    chain.last = program.interpreter;
  }
}

/// capabilities(7) in the order of their numbers, without "CAP_", as --cap-add takes them.
constexpr std::array<std::string_view, CAP_LAST_CAP + 1> kCapabilityNames{"CHOWN",
                                                                          "DAC_OVERRIDE",
                                                                          "DAC_READ_SEARCH",
                                                                          "FOWNER",
                                                                          "FSETID",
                                                                          "KILL",
                                                                          "SETGID",
                                                                          "SETUID",
                                                                          "SETPCAP",
                                                                          "LINUX_IMMUTABLE",
                                                                          "NET_BIND_SERVICE",
                                                                          "NET_BROADCAST",
                                                                          "NET_ADMIN",
                                                                          "NET_RAW",
                                                                          "IPC_LOCK",
                                                                          "IPC_OWNER",
                                                                          "SYS_MODULE",
                                                                          "SYS_RAWIO",
                                                                          "SYS_CHROOT",
                                                                          "SYS_PTRACE",
                                                                          "SYS_PACCT",
                                                                          "SYS_ADMIN",
                                                                          "SYS_BOOT",
                                                                          "SYS_NICE",
                                                                          "SYS_RESOURCE",
                                                                          "SYS_TIME",
                                                                          "SYS_TTY_CONFIG",
                                                                          "MKNOD",
                                                                          "LEASE",
                                                                          "AUDIT_WRITE",
                                                                          "AUDIT_CONTROL",
                                                                          "SETFCAP",
                                                                          "MAC_OVERRIDE",
                                                                          "MAC_ADMIN",
                                                                          "SYSLOG",
                                                                          "WAKE_ALARM",
                                                                          "BLOCK_SUSPEND",
                                                                          "AUDIT_READ",
                                                                          "PERFMON",
                                                                          "BPF",
                                                                          "CHECKPOINT_RESTORE"};

/// "NET_BIND_SERVICE, NET_RAW"; numbers for what has no name yet.
std::string capability_names(CapabilitySet set) {
  std::string text;
  for (unsigned number = 0; number < 64; ++number) {
    if ((set >> number & 1U) == 0) continue;
    if (!text.empty()) text += ", ";
    text += number < kCapabilityNames.size() ? std::string(kCapabilityNames.at(number)) : std::to_string(number);
  }
  return text;
}

/// A file whose effective bit is set must get all of its capabilities, or exec fails (security/commoncap.c,
/// bprm_caps_from_vfs_caps), even for root.
std::optional<Failure> capability_fault(const System& system, const std::string& command, const std::string& path) {
  const auto file = system.file_capabilities(path);
  const auto process = system.capabilities();
  if (!file || !*file || !(*file)->effective || !process) return std::nullopt;
  // Root is no exception: the check comes before root's privileges are added.
  const CapabilitySet granted = process->bounding | (process->inheritable & (*file)->inheritable);
  const CapabilitySet missing = (*file)->permitted & ~granted;
  if (missing == 0) return std::nullopt;
  const std::string names = capability_names(missing);
  return make_failure(
      Id::capability_not_bounding, kCannotExecute, cannot_start(command, "its file capabilities are not granted here"),
      fmt::format("{} demands {} (setcap =ep), which is not in this container's bounding set: then exec fails",
                  quote(path), names),
      fmt::format("setcap -r {} in the image, or grant the capability (--cap-add, capabilities.add: {})", quote(path),
                  names));
}

/// A reason that follows from errno alone.
Failure errno_failure(const std::string& path, int code) {
  // Here the file has no fault that can be seen, so what the kernel said is all there is to say.
  const int exit_code = code == ENOENT || code == ENOTDIR ? kNotFound : kCannotExecute;
  const std::string reason = system::describe(code);
  std::string why = fmt::format("execve of {} failed with errno {}", quote(path), code);
  std::string next = "look at the file and at the container's limits and security profile";
  switch (code) {
    case ETXTBSY:
      why = fmt::format("{} is open for writing: something still copies or builds it", quote(path));
      next = "start when the copy is complete; write to another name, then rename it";
      break;
    case EACCES:
    case EPERM:
      why =
          fmt::format("mode and mount of {} allow it; a seccomp, SELinux or AppArmor profile may deny it", quote(path));
      next = "look for the denial in the host's audit log (dmesg, journalctl -k)";
      break;
    case ENOENT:
      why = fmt::format("{} is there; an interpreter or loader that it names is not", quote(path));
      next = "use an image that has it, or a program that is linked statically";
      break;
    case ENOMEM:
      why = fmt::format("no memory for {}", quote(path));
      next = "raise the container's memory limit";
      break;
    default:
      break;
  }
  return make_failure(Id::exec_failed, exit_code, cannot_start(path, reason), why, next);
}

// --- Explanations of a look-up by name. ---

/// "/usr/bin, /bin": the folders that were looked in, not all of an endless list.
std::string describe_folders(const std::vector<std::string>& paths) {
  constexpr std::size_t kMost = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(paths.size(), kMost); ++i) {
    text += (i == 0 ? "" : ", ") + quote(path::folder_of(paths[i]));
  }
  if (paths.size() > kMost) text += fmt::format(", and {} more", paths.size() - kMost);
  return text.empty() ? "nowhere" : text;
}

/// "looked in /usr/bin, /bin (PATH=/usr/bin:/bin)"
std::string describe_search(const lookup::Lookup& lookup, std::span<const std::string> environment) {
  const auto path = environment::value(environment, "PATH");
  const std::string setting = path ? fmt::format("PATH={}", quote(*path)) : "PATH is not set";
  const char* const skipped = lookup.skipped_itself ? "; a file there is portshim itself" : "";
  return fmt::format("looked in {} ({}){}", describe_folders(lookup.tried), setting, skipped);
}

/// dotnet is not in PATH: it is installed elsewhere, or the image has no .NET at all.
Failure no_dotnet(const System& system, const std::string& command, const lookup::Lookup& lookup,
                  std::span<const std::string> environment) {
  std::string searched = describe_search(lookup, environment);
  const lookup::Lookup elsewhere = lookup::find_installed_dotnet(system, environment);
  if (!elsewhere.path.empty()) {
    const std::string path = quote(elsewhere.path);
    return make_failure(Id::not_found, kNotFound, cannot_start(command, "not found in PATH"),
                        fmt::format("{}; it is {}", searched, path),
                        fmt::format("add {} to PATH, or write {}", quote(path::folder_of(elsewhere.path)), path));
  }
  // The look-up itself may have gone there already.
  const bool went_there = std::ranges::find(lookup.tried, elsewhere.tried.front()) != lookup.tried.end();
  if (!went_there) searched += "; nor is it in " + describe_folders(elsewhere.tried);
  return make_failure(Id::no_dotnet, kNotFound, cannot_start(command, "there is no .NET runtime here"), searched,
                      "use an image with the ASP.NET Core runtime (mcr.microsoft.com/dotnet/aspnet), or publish the "
                      "app self-contained and start it by its own name");
}

/// What to do about a name that PATH does not have.
std::string name_hint(const System& system, const std::string& command) {
  if (command.empty()) return "COMMAND is an empty word: a variable in it is probably not set";
  // ENTRYPOINT ["dotnet App.dll"]: one word where two were meant.
  if (command.contains(' ')) return R"(write each argument as a word of its own: ["dotnet", "App.dll"])";
  if (const auto dotnet = start_with_dotnet(command)) return *dotnet;
  const std::string local = "./" + command;
  if (lookup::is_program(system, local)) {
    return fmt::format("the working directory is not searched: write {}", quote(local));
  }
  return "install it in the image, or write its full path";
}

}  // namespace

Failure explain_lookup(const System& system, const std::string& command, const lookup::Lookup& lookup,
                       std::span<const std::string> environment) {
  // As execvp(3) has it: what was found but may not be executed is the answer, not that nothing else was found.
  if (!lookup.not_executable.empty()) return explain_exec(system, lookup.not_executable, {EACCES, ""});
  const bool searched = !command.contains('/') || lookup.tried.size() > 1 || lookup.skipped_itself;
  const Walk walk{.system = system, .command = command};
  if (!searched) return path_fault(walk, command).value_or(errno_failure(command, ENOENT));
  if (lookup.tried.empty() && !command.empty()) return name_too_long(command);
  // A link in PATH that leads nowhere is a better cause than that nothing was found.
  for (const std::string& tried : lookup.tried) {
    if (!is_link(system, tried)) continue;
    if (auto fault = path_fault(walk, tried)) return *fault;
  }
  if (path::last_component(command) == "dotnet") return no_dotnet(system, command, lookup, environment);
  const char* const reason = lookup.skipped_itself ? "only portshim itself goes by that name" : "not found";
  const std::string next =
      lookup.skipped_itself
          ? fmt::format(
                "{}; a copy of portshim that is to be called by its own name must have one that begins with "
                "'portshim'",
                kCorrectCommand)
          : name_hint(system, command);
  return make_failure(Id::not_found, kNotFound, cannot_start(command, reason), describe_search(lookup, environment),
                      next);
}

std::optional<Failure> foresee_exec(const System& system, const std::string& path) {
  if (auto fault = path_fault({.system = system, .command = path}, path)) return fault;
  if (auto fault = permission_fault(system, path)) return fault;
  return follow_interpreters(system, path, ENOEXEC).fault;
}

Failure explain_exec(const System& system, const std::string& path, const system::Error& error) {
  if (error.code == E2BIG) {
    return make_failure(
        Id::environment_too_large, kCannotExecute, cannot_start(path, "arguments and environment are too large"),
        "execve(2) takes 128 KiB for one string, and for all a quarter of the stack limit, at most 6 MiB",
        "pass large values in files (mounted ConfigMaps or secrets) instead of variables");
  }
  if (error.code == ETXTBSY) return errno_failure(path, error.code);
  // From the outside in: the way to the file, the file's own permissions, what is in it, what errno alone tells.
  if (auto fault = path_fault({.system = system, .command = path}, path)) return *fault;
  if (auto fault = permission_fault(system, path)) return *fault;
  const Chain chain = follow_interpreters(system, path, error.code);
  if (chain.fault) return *chain.fault;
  if (error.code == EPERM) {
    if (auto fault = capability_fault(system, path, chain.last)) return *fault;
  }
  if (error.code == ENOEXEC && chain.program) return no_program(path, chain.last, *chain.program);
  Failure failure = errno_failure(path, error.code);
  if (chain.too_long) failure.finding.why = "its #! names a script, whose #! names a script, and so on, too deep";
  return failure;
}

}  // namespace portshim::launch
