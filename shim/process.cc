#include "shim/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <set>
#include <utility>

#include "shim/words.h"

namespace portshim::process {
namespace {

using address::Bind;
using address::Target;
using system::Result;
using system::System;

std::string file_of(pid_t pid, std::string_view name) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(name);
}

/// Texts that each end in a NUL, as in cmdline and environ; the last one may lack it.
std::vector<std::string> split_at_nul(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\0'), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

/// The 22nd field of stat: the time at which it was started. Its second, the name, may hold anything but ends in ')'.
std::string start_time_of(const System& system, pid_t pid) {
  constexpr std::size_t kBehindName = 19;
  const auto text = system.read_file(file_of(pid, "stat"));
  if (!text) return {};
  const std::size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return {};
  const auto words = words::of(std::string_view(*text).substr(name_end + 1));
  return words.size() > kBehindName ? std::string(words[kBehindName]) : "";
}

/// What a limit is called in /proc/PID/limits.
std::string_view name_of(system::Resource resource) {
  switch (resource) {
    case system::Resource::file_size:
      return "Max file size";
    case system::Resource::processes:
      return "Max processes";
    case system::Resource::address_space:
      return "Max address space";
    case system::Resource::data:
      return "Max data size";
    case system::Resource::stack:
      return "Max stack size";
    case system::Resource::open_files:
      break;
  }
  return "Max open files";
}

/// The line of a limit: its name, soft and hard limit, and units (fs/proc/base.c, proc_pid_limits).
std::optional<system::Limit> parse_limit(std::string_view text, system::Resource resource) {
  const std::string_view name = name_of(resource);
  const std::size_t begin = text.find(name);
  if (begin == std::string_view::npos) return std::nullopt;
  const auto words = words::of(text.substr(begin + name.size(), text.find('\n', begin) - begin - name.size()));
  if (words.size() < 2) return std::nullopt;
  const auto value = [](std::string_view word) {
    return word == "unlimited" ? system::Limit::kUnlimited : words::number<std::uint64_t>(word, 10);
  };
  return system::Limit{.soft = value(words[0]), .hard = value(words[1])};
}

bool is_member(std::uint64_t signals, int number) {
  return number > 0 && number <= 64 && (signals >> static_cast<unsigned>(number - 1) & 1U) != 0;
}

/// Reads one process; `note` says of what may not be read.
class Reading {
 public:
  Reading(const System& system, pid_t pid) : system_(system) { process_.pid = pid; }

  Result<Process> read() {
    process_.start_time = start_time_of(system_, process_.pid);
    const auto command_line = system_.read_file(file_of(process_.pid, "cmdline"));
    if (!command_line) return std::unexpected(command_line.error());
    process_.argv = split_at_nul(*command_line);
    if (process_.argv.empty()) return std::unexpected(system::Error{ENOEXEC, "read cmdline"});
    read_environment();
    read_paths();
    read_status();
    read_listeners();
    return std::move(process_);
  }

 private:
  [[nodiscard]] std::string file(std::string_view name) const { return file_of(process_.pid, name); }

  void note(std::string_view what, const system::Error& error) {
    process_.unreadable.push_back(std::string(what) + ": " + system::describe(error.code));
  }

  void read_environment() {
    const auto text = system_.read_file(file("environ"));
    if (text) {
      process_.environment = split_at_nul(*text);
    } else {
      note("environment", text.error());
    }
  }

  /// A path that the kernel shows as seen from here, below the process's root.
  [[nodiscard]] std::string below_root(std::string path) const {
    const std::string& root = process_.root;
    const bool below =
        root.size() > 1 && path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/');
    if (below) path.erase(0, root.size());
    return path.empty() ? "/" : path;
  }

  std::string read_path(std::string_view what, std::string_view name) {
    auto target = system_.read_link(file(name));
    if (target) return below_root(*std::move(target));
    note(what, target.error());
    return {};
  }

  void read_paths() {
    process_.root = read_path("root directory", "root");
    process_.program = read_path("program", "exe");
    process_.directory = read_path("working directory", "cwd");
    // What the kernel appends to the name of a directory that is gone (d_path).
    process_.directory_deleted = process_.directory.ends_with(" (deleted)");
    if (process_.directory_deleted) process_.directory.clear();
  }

  void read_status() {
    const auto text = system_.read_file(file("status"));
    if (!text) {
      note("identity and capabilities", text.error());
      return;
    }
    std::string_view rest = *text;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      take_status(words::of(rest.substr(0, end)));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }

  void take_status(const std::vector<std::string_view>& words) {
    if (words.size() < 2) return;
    auto& capabilities = process_.capabilities;
    const auto set = [&](std::string_view name, system::CapabilitySet& member) {
      if (words[0] == name) member = words::number<system::CapabilitySet>(words[1], 16);
    };
    set("SigBlk:", process_.blocked_signals);
    set("SigIgn:", process_.ignored_signals);
    set("CapInh:", capabilities.inheritable);
    set("CapPrm:", capabilities.permitted);
    set("CapEff:", capabilities.effective);
    set("CapBnd:", capabilities.bounding);
    set("CapAmb:", capabilities.ambient);
    if (words[0] == "NoNewPrivs:") capabilities.no_new_privileges = words[1] == "1";
    if (words.size() < 3) return;
    // Real, effective.
    auto& ids = process_.ids;
    if (words[0] == "Uid:")
      ids = {words::number<uid_t>(words[1], 10), words::number<uid_t>(words[2], 10), ids.gid, ids.effective_gid};
    if (words[0] == "Gid:")
      ids = {ids.uid, ids.effective_uid, words::number<gid_t>(words[1], 10), words::number<gid_t>(words[2], 10)};
  }

  /// The inodes of the sockets that it holds.
  std::optional<std::set<std::uint64_t>> read_own_sockets() {
    constexpr std::string_view kSocket = "socket:[";
    const auto numbers = system_.list(file("fd"));
    if (!numbers) {
      note("open files, so that its own sockets are not told from others", numbers.error());
      return std::nullopt;
    }
    std::set<std::uint64_t> inodes;
    for (const std::string& number : *numbers) {
      const auto target = system_.read_link(file("fd/" + number));
      if (target && target->starts_with(kSocket)) {
        inodes.insert(words::number<std::uint64_t>(std::string_view(*target).substr(kSocket.size()), 10));
      }
    }
    return inodes;
  }

  void read_listeners() {
    std::vector<Listener> all;
    for (const std::string_view name : {"net/tcp", "net/tcp6"}) {
      // Listening sockets come before all others (tcp4_seq_show), so that the beginning of a long file is enough.
      const auto text = system_.read_part(file(name), 0, System::kMaxFileSize);
      if (text) {
        std::ranges::move(listener::parse(*text), std::back_inserter(all));
      } else if (text.error().code != ENOENT) {  // as of a host without IPv6
        note(name, text.error());
      }
    }
    const auto own = read_own_sockets();
    process_.listening_is_own = own.has_value();
    if (own) std::erase_if(all, [&](const Listener& one) { return !own->contains(one.inode); });
    const auto place = [](const Listener& one) { return std::pair(one.port, one.address); };
    std::ranges::sort(all, {}, place);
    const auto doubles = std::ranges::unique(all, {}, place);  // SO_REUSEPORT
    all.erase(doubles.begin(), doubles.end());
    process_.listening = std::move(all);
  }

  const System& system_;
  Process process_;
};

/// True when the socket is one that the target's bind makes (AnyIPListenOptions.cs, LocalhostListenOptions.cs).
bool is_made_by(const Listener& listener, const Target& target) {
  const auto is = [&](std::string_view address) { return listener.address == address; };
  if (target.port != 0 && listener.port != target.port) return false;
  if (target.bind == Bind::any) return is("::") || is("0.0.0.0");
  if (target.bind == Bind::localhost) return is("127.0.0.1") || is("::1");
  // The kernel's list has no scopes.
  return target.bind == Bind::ip && is(std::string_view(target.address).substr(0, target.address.find('%')));
}

/// True when the namespaces of both files are the same one; nothing when that cannot be read.
std::optional<bool> same_namespace(const System& system, const std::string& a, const std::string& b) {
  const auto first = system.read_link(a);
  const auto second = system.read_link(b);
  if (!first || !second) return std::nullopt;
  return *first == *second;
}

}  // namespace

Result<Process> read(const System& system, pid_t pid) {
  return Reading(system, pid).read();
}

bool is_running(const System& system, const Process& process) {
  if (start_time_of(system, process.pid) != process.start_time) return false;
  // That of a process that has ended and waits for its parent is empty.
  const auto command_line = system.read_file(file_of(process.pid, "cmdline"));
  return command_line && !command_line->empty();
}

Comparison compare(std::span<const Listener> listening, std::span<const std::vector<Target>> outcomes) {
  Comparison out;
  const auto listens = [&](const Target& target) {
    return std::ranges::any_of(listening, [&](const Listener& one) { return is_made_by(one, target); });
  };
  for (const Listener& listener : listening) {
    out.predicted.push_back(std::ranges::any_of(outcomes, [&](const std::vector<Target>& outcome) {
      return std::ranges::any_of(outcome, [&](const Target& target) { return is_made_by(listener, target); });
    }));
  }
  if (outcomes.empty()) return out;
  for (const Target& target : outcomes.front()) {
    const bool is_socket = target.bind != Bind::unix_socket && target.bind != Bind::named_pipe;
    const bool in_all = std::ranges::all_of(outcomes, [&](const std::vector<Target>& outcome) {
      return std::ranges::find(outcome, target) != outcome.end();
    });
    if (is_socket && in_all && !listens(target)) out.not_listening.push_back(target);
  }
  return out;
}

// --- The view. ---

View::View(const Process& process) : process_(process) {
  root_ = ::open(file_of(process.pid, "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  root_error_ = root_ < 0 ? errno : 0;
  same_user_namespace_ = same_namespace(host_, file_of(process.pid, "ns/user"), "/proc/self/ns/user").value_or(false);
  const std::string network = file_of(process.pid, "ns/net");
  if (same_namespace(host_, network, "/proc/self/ns/net").value_or(false)) return;
  host_.use_network(network);
  if (const auto reached = host_.reach_network(); !reached) network_problem_ = reached.error().message();
}

View::~View() {
  if (root_ >= 0) ::close(root_);
}

std::string View::why_no_trial(bool net_bind_service) const {
  if (!network_problem_.empty()) return "its network namespace cannot be entered (" + network_problem_ + ")";
  if (!net_bind_service) return {};
  if (!same_user_namespace_) return "its CAP_NET_BIND_SERVICE is that of another user namespace";
  const auto own = host_.capabilities();
  const bool has_it = own && (own->permitted & system::kNetBindService) != 0;
  return has_it ? "" : "this process has no CAP_NET_BIND_SERVICE to try it with";
}

Result<int> View::open(const std::string& path, bool follow) const {
  if (root_ < 0) return std::unexpected(system::Error{root_error_, "open " + path});
  if (path.contains('\0')) return std::unexpected(system::Error{ENOENT, "open " + path});
  const std::string full = path.starts_with('/') ? path : process_.directory + "/" + path;
  if (!full.starts_with('/') || (!path.starts_with('/') && process_.directory.empty())) {
    return std::unexpected(system::Error{ENOENT, "open " + path});
  }
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | (follow ? 0U : static_cast<unsigned>(O_NOFOLLOW));
  how.resolve = RESOLVE_IN_ROOT;
  long number = -1;
  do {
    number = syscall(SYS_openat2, root_, full.c_str(), &how, sizeof how);
  } while (number < 0 && (errno == EINTR || errno == EAGAIN));
  if (number < 0 && errno == ENOSYS) {
    // Before Linux 5.6, and in sandboxes without the call. A link with an absolute target leads below this process's
    // own root then, which is right where the two are the same.
    const std::string plain = file_of(process_.pid, "root") + full;
    number = ::open(plain.c_str(), static_cast<int>(how.flags));
  }
  if (number < 0) return std::unexpected(system::Error{errno, "open " + path});
  return static_cast<int>(number);
}

template <typename Function>
auto View::at(const std::string& path, bool follow, Function call) const -> decltype(call(std::string{})) {
  const auto number = open(path, follow);
  if (!number) return std::unexpected(number.error());
  // A magic link, which leads to the open file itself (proc_pid_fd(5)).
  auto result = call("/proc/self/fd/" + std::to_string(*number));
  ::close(*number);
  if (!result) {
    std::string& doing = result.error().doing;
    doing = doing.substr(0, doing.find(' ')) + " " + path;
  }
  return result;
}

Result<std::string> View::read_file(const std::string& path) const {
  if (path.starts_with("/proc/sys/net/")) return host_.read_network_file(path);
  return at(path, true, [&](const std::string& name) { return host_.read_file(name); });
}

Result<std::string> View::read_part(const std::string& path, std::uint64_t offset, std::size_t length) const {
  return at(path, true, [&](const std::string& name) { return host_.read_part(name, offset, length); });
}

Result<system::FileStatus> View::status(const std::string& path, bool follow) const {
  return at(path, follow, [&](const std::string& name) { return host_.status(name); });
}

Result<void> View::executable(const std::string& path) const {
  return at(path, true, [&](const std::string& name) { return host_.executable(name); });
}

Result<void> View::readable(const std::string& path) const {
  return at(path, true, [&](const std::string& name) { return host_.readable(name); });
}

Result<void> View::writable(const std::string& path) const {
  return at(path, true, [&](const std::string& name) { return host_.writable(name); });
}

Result<std::vector<std::string>> View::list(const std::string& directory) const {
  return at(directory, true, [&](const std::string& name) { return host_.list(name); });
}

Result<std::string> View::read_link(const std::string& path) const {
  const auto number = open(path, false);
  if (!number) return std::unexpected(number.error());
  std::string target(PATH_MAX, '\0');
  // An empty name: the open link itself (readlink(2)). Of what is no link: ENOENT.
  const ssize_t length = readlinkat(*number, "", target.data(), target.size());
  const int code = errno;
  ::close(*number);
  if (length < 0) return std::unexpected(system::Error{code == ENOENT ? EINVAL : code, "readlink " + path});
  target.resize(static_cast<std::size_t>(length));
  return target;
}

Result<std::string> View::real_path(const std::string& path) const {
  auto real = at(path, true, [&](const std::string& name) { return host_.read_link(name); });
  const std::string& root = process_.root;
  if (real && root.size() > 1 && real->starts_with(root + "/")) real->erase(0, root.size());
  return real;
}

Result<std::string> View::current_directory() const {
  if (process_.directory.empty()) {
    return std::unexpected(system::Error{process_.directory_deleted ? ENOENT : EACCES, "getcwd"});
  }
  return process_.directory;
}

Result<system::MountFlags> View::mount_flags(const std::string& path) const {
  return at(path, true, [&](const std::string& name) { return host_.mount_flags(name); });
}

Result<std::optional<system::FileCapabilities>> View::file_capabilities(const std::string& path) const {
  return at(path, true, [&](const std::string& name) { return host_.file_capabilities(name); });
}

system::Ids View::ids() const {
  return process_.ids;
}

Result<system::ProcessCapabilities> View::capabilities() const {
  return process_.capabilities;
}

std::uint16_t View::elf_machine() const {
  return host_.elf_machine();
}

Result<std::vector<int>> View::try_binds(std::span<const system::BindAttempt> attempts, bool net_bind_service) const {
  return host_.try_binds(attempts, net_bind_service);
}

Result<system::Limit> View::limit(system::Resource resource) const {
  const std::string path = file_of(process_.pid, "limits");
  const auto text = host_.read_file(path);
  if (!text) return std::unexpected(text.error());
  const auto limit = parse_limit(*text, resource);
  if (!limit) return std::unexpected(system::Error{EINVAL, "read " + path});
  return *limit;
}

Result<void> View::try_inotify() const {
  return host_.try_inotify();
}

Result<void> View::connect_to_socket(const std::string& path) const {
  return at(path, true, [&](const std::string& name) { return host_.connect_to_socket(name); });
}

bool View::is_ignored(int signal) const {
  return is_member(process_.ignored_signals, signal);
}

bool View::is_blocked(int signal) const {
  return is_member(process_.blocked_signals, signal);
}

}  // namespace portshim::process
