#include "shim/system.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/capability.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "shim/descriptor.h"
#include "shim/path.h"

namespace portshim::system {
namespace {

using descriptor::Descriptor;

// What C libraries hand out, with what they want it given back by.
using CapState = std::unique_ptr<std::remove_pointer_t<cap_t>, decltype([](cap_t state) { cap_free(state); })>;
using OpenDirectory = std::unique_ptr<DIR, decltype([](DIR* stream) { closedir(stream); })>;
using AllocatedText = std::unique_ptr<char, decltype([](char* text) { std::free(text); })>;

/// The one place where errno becomes an Error. `doing` is the system call, and what it was made on.
std::unexpected<Error> failure(const char* doing, int code) {
  return std::unexpected(Error{code, doing});
}

std::unexpected<Error> failure(const char* doing, const std::string& path, int code) {
  return std::unexpected(Error{code, std::string(doing) + " " + path});
}

/// Makes a system call that takes a path and answers -1 on failure; EINTR is retried. A path with a NUL inside names
/// nothing, whatever its beginning names.
template <typename Function>
Result<int> call_with_path(const char* doing, const std::string& path, Function call) {
  if (path.contains('\0')) return failure(doing, path, ENOENT);
  int result = -1;
  // Local file systems are not interrupted; FUSE and network file systems are.
  do {
    result = call(path.c_str());
  } while (result < 0 && errno == EINTR);
  if (result < 0) return failure(doing, path, errno);
  return result;
}

// --- Files. ---

/// open(2). The descriptor is closed on exec (`flags` must say so) and is none of the standard three.
Result<Descriptor> open_path(const std::string& path, int flags) {
  const auto number = call_with_path("open", path, [flags](const char* name) { return ::open(name, flags); });
  if (!number) return std::unexpected(number.error());
  Descriptor descriptor(*number);
  if (descriptor.number() < 0) return failure("open", path, errno);
  return descriptor;
}

/// A regular file, open for reading.
struct OpenFile {
  Descriptor descriptor;
  std::uint64_t size = 0;  ///< 0 for the files of /proc
};

/// open(2) that waits for no FIFO and takes no terminal, for regular files.
Result<OpenFile> open_regular(const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  auto descriptor = open_path(path, kFlags);
  if (!descriptor) return std::unexpected(descriptor.error());
  OpenFile file{.descriptor = *std::move(descriptor)};
  struct stat status{};
  if (fstat(file.descriptor.number(), &status) != 0) return failure("open", path, errno);
  // Decided on the open file: between a stat of the path and the open it could have become something else.
  if (S_ISDIR(status.st_mode)) return failure("open", path, EISDIR);
  if (!S_ISREG(status.st_mode)) return failure("open", path, EINVAL);
  file.size = static_cast<std::uint64_t>(status.st_size);
  return file;
}

/// Reads up to `limit` bytes from `offset`. The file's size is only a hint: /proc says 0, and a file may grow.
Result<std::string> read_up_to(const OpenFile& file, const std::string& path, std::uint64_t offset, std::size_t limit) {
  constexpr std::uint64_t kLeast = 4096;  // most files of /proc fit
  // One byte more than the rest, so that the end of a file that keeps its size shows without growing the buffer.
  const std::uint64_t rest = file.size > offset ? file.size - offset : 0;
  std::string content(static_cast<std::size_t>(std::min<std::uint64_t>(limit, std::max(kLeast, rest + 1))), '\0');
  std::size_t length = 0;
  while (length < limit) {
    if (length == content.size()) content.resize(std::min(limit, 2 * length));
    const auto position = static_cast<off_t>(offset + length);
    const ssize_t count = pread(file.descriptor.number(), content.data() + length, content.size() - length, position);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure("read", path, errno);
    if (count == 0) break;
    length += static_cast<std::size_t>(count);
  }
  content.resize(length);
  return content;
}

/// What portshim tells apart; sockets, devices and FIFOs are all "other".
FileType type_of(mode_t mode) {
  if (S_ISREG(mode)) return FileType::regular;
  if (S_ISDIR(mode)) return FileType::directory;
  if (S_ISFIFO(mode)) return FileType::fifo;
  if (S_ISSOCK(mode)) return FileType::socket;
  return S_ISLNK(mode) ? FileType::symlink : FileType::other;
}

/// faccessat2(2), in the kernel since 5.8. Before that glibc answers ENOSYS by a guess from the mode alone, and old
/// seccomp profiles answer EPERM, which the call itself never gives for R_OK and X_OK. Then access(2) is asked: real
/// and effective ids are the same, a set-uid start is refused.
Result<void> check_access(const std::string& path, int mode) {
  const auto answer = call_with_path("access", path, [mode](const char* name) {
    const int result = faccessat(AT_FDCWD, name, mode, AT_EACCESS);
    return result != 0 && errno == EPERM ? access(name, mode) : result;
  });
  if (!answer) return std::unexpected(answer.error());
  return {};
}

/// The bits of one of the sets of libcap's state.
CapabilitySet to_set(const CapState& state, cap_flag_t which) {
  CapabilitySet set = 0;
  for (cap_value_t number = 0; number < static_cast<cap_value_t>(8 * sizeof(CapabilitySet)); ++number) {
    cap_flag_value_t value = CAP_CLEAR;
    if (cap_get_flag(state.get(), number, which, &value) != 0) break;
    if (value == CAP_SET) set |= CapabilitySet{1} << static_cast<unsigned>(number);
  }
  return set;
}

/// The numbers among `candidates` for which `is_set` answers 1, up to the first that the kernel does not know.
CapabilitySet ask_each(CapabilitySet candidates, int (*is_set)(cap_value_t)) {
  CapabilitySet set = 0;
  for (unsigned number = 0; number < 8 * sizeof(CapabilitySet); ++number) {
    const CapabilitySet bit = CapabilitySet{1} << number;
    if ((candidates & bit) == 0) continue;
    const int answer = is_set(static_cast<cap_value_t>(number));
    // EINVAL: this number and all above it are unknown to the kernel.
    if (answer < 0) break;
    if (answer == 1) set |= bit;
  }
  return set;
}

// --- The trial: what runs in the forked child. ---

/// A socket address of either family, as bind(2) takes it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  bool any_ipv6 = false;
};

/// The address of an attempt, with a numeric scope ("fe80::1%3") or without.
std::optional<SocketAddress> to_socket_address(const BindAttempt& attempt) {
  SocketAddress result;
  sockaddr_in ipv4{.sin_family = AF_INET, .sin_port = htons(attempt.port), .sin_addr = {}, .sin_zero = {}};
  if (inet_pton(AF_INET, attempt.address.c_str(), &ipv4.sin_addr) == 1) {
    std::memcpy(&result.storage, &ipv4, sizeof ipv4);
    result.length = sizeof ipv4;
    return result;
  }
  sockaddr_in6 ipv6{};
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(attempt.port);
  const std::size_t percent = attempt.address.find('%');
  if (inet_pton(AF_INET6, attempt.address.substr(0, percent).c_str(), &ipv6.sin6_addr) != 1) return std::nullopt;
  // IPAddress.Parse drops a scope that is a name, so a scope is a number; one that is none stays 0.
  if (percent != std::string::npos) {
    const char* const end = attempt.address.data() + attempt.address.size();
    std::from_chars(attempt.address.data() + percent + 1, end, ipv6.sin6_scope_id);
  }
  std::memcpy(&result.storage, &ipv6, sizeof ipv6);
  result.length = sizeof ipv6;
  result.any_ipv6 = IN6_IS_ADDR_UNSPECIFIED(&ipv6.sin6_addr);
  return result;
}

/// errno of one bind(2), 0 for success. The socket is set up as Kestrel's is: SO_REUSEADDR, since connections of a
/// predecessor in TIME_WAIT are no conflict, and dual mode for "::" alone (SocketTransportOptions.cs).
int try_bind(const BindAttempt& attempt) {
  const auto address = to_socket_address(attempt);
  if (!address) return EINVAL;
  const Descriptor socket(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.number() < 0) return errno;
  const int on = 1;
  if (setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return errno;
  if (address->storage.ss_family == AF_INET6) {
    const int only = address->any_ipv6 ? 0 : 1;
    if (setsockopt(socket.number(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) return errno;
  }
  // bind(2) takes every kind of address by this one type.
  const auto* generic = reinterpret_cast<const sockaddr*>(&address->storage);
  if (::bind(socket.number(), generic, address->length) != 0) return errno;
  // A --guard around this process may have put another port in the place of this one, which says nothing about it. The
  // port is at the same place in both families.
  sockaddr_in bound{};
  socklen_t length = sizeof bound;
  const bool known = getsockname(socket.number(), reinterpret_cast<sockaddr*>(&bound), &length) == 0;
  return known && attempt.port != 0 && ntohs(bound.sin_port) != attempt.port ? ECANCELED : 0;
}

/// Leaves this process CAP_NET_BIND_SERVICE alone, or nothing. What is not permitted cannot be taken: then it is
/// nothing too. errno, 0 for success.
int restrict_capabilities(bool net_bind_service) {
  const CapState old(cap_get_proc());
  const CapState wanted(cap_init());
  if (!old || !wanted) return errno;
  const cap_value_t number = CAP_NET_BIND_SERVICE;
  if (net_bind_service && (to_set(old, CAP_PERMITTED) & kNetBindService) != 0) {
    cap_set_flag(wanted.get(), CAP_PERMITTED, 1, &number, CAP_SET);
    cap_set_flag(wanted.get(), CAP_EFFECTIVE, 1, &number, CAP_SET);
  }
  return cap_set_proc(wanted.get()) == 0 ? 0 : errno;
}

/// What parent and child share.
struct ChildWork {
  int network;               ///< the namespace to enter; -1: the parent's
  std::function<int()> run;  ///< errno, 0 for success
  int result = kIncomplete;  ///< what it returned
  static constexpr int kIncomplete = -1;
};

/// The child's whole life. It returns, and clone(2) ends it without anything that the parent registered (atexit).
int run_child(void* argument) {
  ChildWork& work = *static_cast<ChildWork*>(argument);
  const bool entered = work.network < 0 || setns(work.network, CLONE_NEWNET) == 0;
  // Last: as long as it is not set, the work is not complete.
  work.result = entered ? work.run() : errno;
  return 0;
}

// --- The trial: the parent's side. ---

/// True when a signal waits for this process: only a blocked one does so for long.
bool is_pending(int signal) {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  return sigismember(&pending, signal) == 1;
}

/// Takes a pending signal away without running anything.
void consume(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  const timespec at_once{};
  while (sigtimedwait(&set, nullptr, &at_once) < 0 && errno == EINTR) {
  }
}

/// Waits for the end of the child. Where SIGCHLD is ignored the kernel has reaped it by itself: ECHILD.
void reap(pid_t child) {
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

/// Runs a function in a child process, in the network namespace of the file `network` (empty: this one's): errno of the
/// function, or of entering. `doing` names it in errors.
Result<void> run_in_child(const char* doing, const std::string& network, std::function<int()> run) {
  constexpr std::size_t kStackSize = std::size_t{64} << 10U;
  Descriptor descriptor;
  if (!network.empty()) {
    auto opened = open_path(network, O_RDONLY | O_CLOEXEC);
    if (!opened) return std::unexpected(opened.error());
    descriptor = *std::move(opened);
  }
  // A process of its own with its own credentials, descriptors and namespaces, in this one's memory, as posix_spawn(3)
  // makes it: a copy of the memory would take longer than all the rest of a start. This process waits until the child
  // has ended. Where memory is not shared (user-mode emulation), the work stays incomplete.
  ChildWork work{.network = descriptor.number(), .run = std::move(run)};
  const auto stack = std::make_unique_for_overwrite<std::byte[]>(kStackSize);
  const bool was_pending = is_pending(SIGCHLD);
  const pid_t child = clone(run_child, stack.get() + kStackSize, CLONE_VM | CLONE_VFORK | SIGCHLD, &work);
  if (child < 0) return failure("clone", errno);
  reap(child);
  // Where SIGCHLD is blocked, this child's would wait for the app.
  if (!was_pending && is_pending(SIGCHLD)) consume(SIGCHLD);
  if (work.result == ChildWork::kIncomplete) return failure("trial bind: child ended early", ECHILD);
  if (work.result != 0) return failure(doing, work.result);
  return {};
}

// --- Another identity. ---

/// Sets no_new_privs, and takes all capabilities but CAP_NET_BIND_SERVICE out of the bounding set. That needs
/// CAP_SETPCAP; without it the bounding set stays, of no use under no_new_privs: no execve(2) gives any of it to
/// anybody but uid 0, who cannot gain what is not permitted either (cap_bprm_creds_from_file). errno, 0 for success.
int close_ways_to_privileges() {
  for (cap_value_t number = 0; cap_get_bound(number) >= 0; ++number) {
    if (number == CAP_NET_BIND_SERVICE || cap_get_bound(number) == 0) continue;
    if (cap_drop_bound(number) != 0 && errno != EPERM) return errno;
  }
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
}

/// Leaves effective, permitted, inheritable and ambient CAP_NET_BIND_SERVICE alone, or nothing. errno, 0 for success.
int keep_capabilities(bool net_bind_service) {
  const CapState wanted(cap_init());
  if (!wanted) return errno;
  const cap_value_t number = CAP_NET_BIND_SERVICE;
  if (net_bind_service) {
    for (const cap_flag_t set : {CAP_EFFECTIVE, CAP_PERMITTED, CAP_INHERITABLE}) {
      cap_set_flag(wanted.get(), set, 1, &number, CAP_SET);
    }
  }
  // What is not permitted and inheritable any more, is not ambient any more (capabilities(7)).
  if (cap_set_proc(wanted.get()) != 0) return errno;
  return !net_bind_service || cap_set_ambient(number, CAP_SET) == 0 ? 0 : errno;
}

/// True where this process has real, effective and saved ids as wanted, its groups, and no way back.
bool has_ids(const NewIdentity& wanted, const Result<std::vector<gid_t>>& groups) {
  uid_t uid = 0, effective_uid = 0, saved_uid = 0;
  gid_t gid = 0, effective_gid = 0, saved_gid = 0;
  if (getresuid(&uid, &effective_uid, &saved_uid) != 0 || getresgid(&gid, &effective_gid, &saved_gid) != 0)
    return false;
  if (std::array{uid, effective_uid, saved_uid} != std::array{wanted.uid, wanted.uid, wanted.uid}) return false;
  if (std::array{gid, effective_gid, saved_gid} != std::array{wanted.gid, wanted.gid, wanted.gid}) return false;
  if (!groups || *groups != wanted.groups) return false;
  return wanted.uid == 0 || setresuid(0, 0, 0) != 0;
}

/// True where nothing but `left` is in the sets that count after execve(2).
bool hold_only(const ProcessCapabilities& capabilities, CapabilitySet left) {
  const std::array sets{capabilities.effective, capabilities.permitted, capabilities.inheritable, capabilities.ambient};
  return std::ranges::all_of(sets, [left](CapabilitySet set) { return set == left; });
}

// --- Writing. ---

/// Holds back the signals that a failed write comes with (a closed pipe, the file size limit): their dispositions
/// belong to the app, so they are blocked for the time and then taken away.
class HeldSignals {
 public:
  HeldSignals() {
    std::ranges::transform(kSignals, was_pending_.begin(), is_pending);
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : kSignals) sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, &old_);
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  HeldSignals(HeldSignals&&) = delete;
  HeldSignals& operator=(HeldSignals&&) = delete;
  ~HeldSignals() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      if (!was_pending_.at(i) && is_pending(kSignals.at(i))) consume(kSignals.at(i));
    }
    pthread_sigmask(SIG_SETMASK, &old_, nullptr);
  }

 private:
  static constexpr std::array kSignals{SIGPIPE, SIGXFSZ};
  std::array<bool, kSignals.size()> was_pending_{};
  sigset_t old_{};
};

/// Waits once and shortly until a full pipe or socket takes more; false when it does not.
bool wait_for_room(int descriptor) {
  constexpr int kMilliseconds = 100;
  pollfd entry{.fd = descriptor, .events = POLLOUT, .revents = 0};
  return poll(&entry, 1, kMilliseconds) == 1;
}

/// write(2) that does not wait for a reader, where the kernel has that (pipes since 6.4): EAGAIN.
ssize_t write_at_once(int descriptor, std::string_view text) {
  // pwritev2(2) takes what it only reads by a pointer to what may be written.
  const iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  const ssize_t count = pwritev2(descriptor, &part, 1, -1, RWF_NOWAIT);
  const bool has_none = count < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM || errno == EINVAL);
  return has_none ? ::write(descriptor, text.data(), text.size()) : count;
}

bool is_regular(int descriptor) {
  struct stat status{};
  return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

/// Writes until everything is written, or a write fails. Only one wait is granted: what reads a log slowly must not
/// hold up the app's start. errno, 0 when all is written.
int write_while_possible(int descriptor, std::string_view text, bool limit_waiting = false) {
  bool waited = false;
  if (limit_waiting && !wait_for_room(descriptor)) return EAGAIN;
  const bool at_once = limit_waiting && !is_regular(descriptor);
  while (!text.empty()) {
    const ssize_t count = at_once ? write_at_once(descriptor, text) : ::write(descriptor, text.data(), text.size());
    if (count > 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (count < 0 && errno == EAGAIN && !waited) {
      waited = true;
      if (!wait_for_room(descriptor)) return EAGAIN;
    } else if (count == 0 || errno != EINTR) {
      return count == 0 ? EIO : errno;
    }
  }
  return 0;
}

/// Writes a whole file and has the kernel store it: errno, 0 for success.
int fill(const Descriptor& file, std::string_view content, mode_t mode) {
  const HeldSignals held;
  while (!content.empty()) {
    const ssize_t count = ::write(file.number(), content.data(), content.size());
    if (count < 0 && errno != EINTR) return errno;
    if (count > 0) content.remove_prefix(static_cast<std::size_t>(count));
  }
  // Not by open(2), whose mode the umask cuts.
  if (fchmod(file.number(), mode) != 0) return errno;
  // Some file systems find out only here that there is no room. Others have no fsync(2): EINVAL.
  if (fsync(file.number()) != 0 && errno != EINVAL) return errno;
  return 0;
}

/// The null-terminated array that execve(2) wants. It points into `texts`, which must outlive it.
std::vector<char*> to_pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  // execve(2) takes char* for historical reasons and changes nothing.
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

bool can_keep_net_bind(const ProcessCapabilities& capabilities) {
  return (capabilities.permitted & (capabilities.bounding | capabilities.inheritable) & kNetBindService) != 0;
}

std::string describe(int code) {
  const char* const description = strerrordesc_np(code);
  return description != nullptr ? description : "error " + std::to_string(code);
}

std::string Error::message() const {
  return doing + ": " + describe(code);
}

// The public functions: their contracts are in the header.

Result<std::string> Linux::read_file(const std::string& path) const {
  const auto file = open_regular(path);
  if (!file) return std::unexpected(file.error());
  if (file->size > kMaxFileSize) return failure("read", path, EFBIG);
  // The size above was a hint. A file of /proc, or one that grows, is caught here.
  auto content = read_up_to(*file, path, 0, kMaxFileSize + 1);
  if (content && content->size() > kMaxFileSize) return failure("read", path, EFBIG);
  return content;
}

Result<std::string> Linux::read_part(const std::string& path, std::uint64_t offset, std::size_t length) const {
  const auto file = open_regular(path);
  if (!file) return std::unexpected(file.error());
  // Beyond what off_t can say nothing can be.
  if (offset > static_cast<std::uint64_t>(INT64_MAX) - length) return std::string();
  return read_up_to(*file, path, offset, length);
}

Result<FileStatus> Linux::status(const std::string& path, bool follow) const {
  struct stat status{};
  const auto answer = call_with_path("stat", path, [&status, follow](const char* name) {
    return fstatat(AT_FDCWD, name, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW);
  });
  if (!answer) return std::unexpected(answer.error());
  constexpr mode_t kPermissions = 07777;
  return FileStatus{.type = type_of(status.st_mode),
                    .mode = status.st_mode & kPermissions,
                    .size = static_cast<std::uint64_t>(status.st_size),
                    .owner = status.st_uid};
}

Result<void> Linux::executable(const std::string& path) const {
  return check_access(path, X_OK);
}

Result<void> Linux::readable(const std::string& path) const {
  return check_access(path, R_OK);
}

Result<void> Linux::writable(const std::string& path) const {
  return check_access(path, W_OK);
}

Result<std::vector<std::string>> Linux::list(const std::string& directory) const {
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_DIRECTORY;
  auto opened = open_path(directory, kFlags);
  if (!opened) return std::unexpected(opened.error());
  const OpenDirectory stream(fdopendir(opened->number()));
  if (!stream) return failure("open", directory, errno);
  static_cast<void>(opened->release());  // closedir closes it
  std::vector<std::string> names;
  // readdir(3) tells its end from an error by errno alone.
  errno = 0;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name = &entry->d_name[0];
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return failure("read", directory, errno);
  return names;
}

Result<std::string> Linux::read_link(const std::string& path) const {
  std::string target(PATH_MAX, '\0');  // the kernel's limit for a link's text
  const auto length = call_with_path("readlink", path, [&target](const char* name) {
    return static_cast<int>(readlink(name, target.data(), target.size()));
  });
  if (!length) return std::unexpected(length.error());
  target.resize(static_cast<std::size_t>(*length));
  return target;
}

Result<std::string> Linux::real_path(const std::string& path) const {
  std::string canonical;
  const auto answer = call_with_path("realpath", path, [&canonical](const char* name) {
    const AllocatedText text(realpath(name, nullptr));
    if (!text) return -1;
    canonical = text.get();
    return 0;
  });
  if (!answer) return std::unexpected(answer.error());
  return canonical;
}

Result<std::string> Linux::current_directory() const {
  std::string directory(PATH_MAX, '\0');
  if (getcwd(directory.data(), directory.size()) == nullptr) return failure("getcwd", errno);
  directory.resize(std::strlen(directory.c_str()));
  return directory;
}

Result<MountFlags> Linux::mount_flags(const std::string& path) const {
  struct statvfs status{};
  const auto answer = call_with_path("statvfs", path, [&status](const char* name) { return statvfs(name, &status); });
  if (!answer) return std::unexpected(answer.error());
  return MountFlags{.noexec = (status.f_flag & ST_NOEXEC) != 0, .nosuid = (status.f_flag & ST_NOSUID) != 0};
}

Result<std::optional<FileCapabilities>> Linux::file_capabilities(const std::string& path) const {
  CapState state;
  const auto answer = call_with_path("getxattr", path, [&state](const char* name) {
    // Of an attribute of version 3 (a user namespace's own) the kernel shows only what counts in this namespace.
    state.reset(cap_get_file(name));
    return state ? 0 : -1;
  });
  if (!answer && (answer.error().code == ENODATA || answer.error().code == ENOTSUP)) return std::nullopt;
  if (!answer) return std::unexpected(answer.error());
  return FileCapabilities{.permitted = to_set(state, CAP_PERMITTED),
                          .inheritable = to_set(state, CAP_INHERITABLE),
                          .effective = to_set(state, CAP_EFFECTIVE) != 0};
}

/// As the kernel wrote them for this process at its execve, without a system call (getauxval(3)).
Ids Linux::ids() const {
  if (ids_) return *ids_;
  return {.uid = static_cast<uid_t>(getauxval(AT_UID)),
          .effective_uid = static_cast<uid_t>(getauxval(AT_EUID)),
          .gid = static_cast<gid_t>(getauxval(AT_GID)),
          .effective_gid = static_cast<gid_t>(getauxval(AT_EGID))};
}

Result<ProcessCapabilities> Linux::capabilities() const {
  const CapState state(cap_get_proc());
  if (!state) return failure("capget", errno);
  ProcessCapabilities result{.effective = to_set(state, CAP_EFFECTIVE),
                             .permitted = to_set(state, CAP_PERMITTED),
                             .inheritable = to_set(state, CAP_INHERITABLE)};
  // One prctl for each: there is no call for the whole set, and /proc may be missing or hidden.
  result.bounding = ask_each(~CapabilitySet{0}, cap_get_bound);
  // What is ambient is permitted and inheritable too (capabilities(7)), which mostly saves all the calls.
  result.ambient = ask_each(result.permitted & result.inheritable, cap_get_ambient);
  const int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
  result.no_root = bits > 0 && (static_cast<unsigned>(bits) & SECBIT_NOROOT) != 0;
  result.no_new_privileges = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
  return result;
}

std::uint16_t Linux::elf_machine() const {
  // What this program was built for, not what uname(2) says: under emulation the two differ, and programs of this
  // kind are what can be started beside it.
#if defined(__x86_64__)
  return EM_X86_64;
#elif defined(__aarch64__)
  return EM_AARCH64;
#else
  return EM_NONE;
#endif
}

Result<Limit> Linux::limit(Resource resource) const {
  struct rlimit limit{};
  const auto number = [resource] {
    switch (resource) {
      case Resource::file_size:
        return RLIMIT_FSIZE;
      case Resource::processes:
        return RLIMIT_NPROC;
      case Resource::address_space:
        return RLIMIT_AS;
      case Resource::data:
        return RLIMIT_DATA;
      case Resource::stack:
        return RLIMIT_STACK;
      case Resource::open_files:
        break;
    }
    return RLIMIT_NOFILE;
  };
  if (getrlimit(number(), &limit) != 0) return failure("getrlimit", errno);
  const auto value = [](rlim_t one) { return one == RLIM_INFINITY ? Limit::kUnlimited : std::uint64_t{one}; };
  return Limit{.soft = value(limit.rlim_cur), .hard = value(limit.rlim_max)};
}

Result<void> Linux::try_inotify() const {
  const Descriptor instance(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (instance.number() < 0) return failure("inotify_init1", errno);
  return {};
}

Result<std::vector<int>> Linux::try_binds(std::span<const BindAttempt> attempts, bool net_bind_service) const {
  std::vector<int> answers(attempts.size());
  const auto done = run_in_child("trial bind: capset", network_, [&] {
    const int prepared = restrict_capabilities(net_bind_service);
    std::ranges::transform(attempts, answers.begin(), try_bind);
    return prepared;
  });
  if (!done) return std::unexpected(done.error());
  return answers;
}

Result<void> Linux::reach_network() const {
  return run_in_child("setns", network_, [] { return 0; });
}

Result<std::string> Linux::read_network_file(const std::string& path) const {
  if (network_.empty()) return read_file(path);
  Result<std::string> content;
  const auto done = run_in_child("setns", network_, [&] {
    content = read_file(path);
    return 0;
  });
  if (!done) return std::unexpected(done.error());
  return content;
}

std::string Linux::own_path() const {
  // A pointer that getauxval(3) hands out as a number.
  const auto* const path = std::bit_cast<const char*>(getauxval(AT_EXECFN));
  return path == nullptr ? "" : path;
}

Result<void> Linux::replace_file(const std::string& path, std::string_view content, mode_t mode) {
  const std::string directory = path::folder_of(path);
  std::string temporary;
  const auto number = call_with_path("create a file in", directory, [&](const char* folder) {
    temporary = std::string(folder) + "/.portshim.XXXXXX";
    return mkostemp(temporary.data(), O_CLOEXEC);
  });
  if (!number) return std::unexpected(number.error());
  const Descriptor file(*number);
  int code = file.number() < 0 ? errno : fill(file, content, mode);
  const char* doing = "write";
  if (code == 0) {
    doing = "rename to";
    const auto renamed = call_with_path(doing, path, [&](const char* to) { return rename(temporary.c_str(), to); });
    if (!renamed) code = renamed.error().code;
  }
  if (code != 0) {
    unlink(temporary.c_str());
    return failure(doing, path, code);
  }
  // The file is there either way; this makes it last through a crash of the host.
  if (const auto opened = open_path(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    static_cast<void>(fsync(opened->number()));
  }
  return {};
}

Result<void> Linux::connect_to_socket(const std::string& path) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.contains('\0')) return failure("connect", path, ENOENT);
  if (path.size() >= sizeof address.sun_path) return failure("connect", path, ENAMETOOLONG);
  std::ranges::copy(path, std::begin(address.sun_path));
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.number() < 0) return failure("socket", errno);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const auto answer = call_with_path(
      "connect", path, [&](const char* /*name*/) { return ::connect(socket.number(), generic, sizeof address); });
  if (!answer) return std::unexpected(answer.error());
  return {};
}

bool Linux::is_ignored(int signal) const {
  struct sigaction action{};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

bool Linux::is_blocked(int signal) const {
  sigset_t mask;
  sigemptyset(&mask);
  return pthread_sigmask(SIG_BLOCK, nullptr, &mask) == 0 && sigismember(&mask, signal) == 1;
}

Result<std::vector<gid_t>> Linux::groups() const {
  std::vector<gid_t> groups;
  const int count = getgroups(0, nullptr);
  if (count < 0) return failure("getgroups", errno);
  groups.resize(static_cast<std::size_t>(count));
  if (count > 0 && getgroups(count, groups.data()) != count) return failure("getgroups", errno);
  std::ranges::sort(groups);
  const auto twice = std::ranges::unique(groups);
  groups.erase(twice.begin(), twice.end());
  return groups;
}

Result<void> Linux::change_identity(const NewIdentity& wanted) {
  const auto before = capabilities();
  if (!before) return std::unexpected(before.error());
  const bool keeps = wanted.only_net_bind && can_keep_net_bind(*before);
  const bool has_capabilities = wanted.uid == 0 && !wanted.only_net_bind;
  const int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  int of_parents_death = 0;
  prctl(PR_GET_PDEATHSIG, &of_parents_death);
  const auto old_groups = groups();
  // What needs a privilege, before it is given up.
  const bool has_groups = old_groups && *old_groups == wanted.groups;
  if (!has_groups && setgroups(wanted.groups.size(), wanted.groups.data()) != 0) return failure("setgroups", errno);
  if (setresgid(wanted.gid, wanted.gid, wanted.gid) != 0) return failure("setresgid", errno);
  if (wanted.only_net_bind) {
    if (const int code = close_ways_to_privileges()) return failure("drop the bounding set", code);
  }
  if (keeps && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return failure("prctl(PR_SET_KEEPCAPS)", errno);
  if (setresuid(wanted.uid, wanted.uid, wanted.uid) != 0) return failure("setresuid", errno);
  if (!has_capabilities) {
    if (const int code = keep_capabilities(keeps)) return failure("capset", code);
  }
  if (keeps) prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
  // A change of the effective ids takes both away: with the first this process's files in /proc.
  if (dumpable == 1) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  if (of_parents_death != 0) prctl(PR_SET_PDEATHSIG, of_parents_death);

  const auto after = capabilities();
  if (!after) return std::unexpected(after.error());
  const bool as_wanted = has_capabilities || hold_only(*after, keeps ? kNetBindService : 0);
  if (!as_wanted || !has_ids(wanted, groups()) || (wanted.only_net_bind && !after->no_new_privileges)) {
    return failure("look again at the identity that was taken on", ENOTSUP);
  }
  ids_ = Ids{.uid = wanted.uid, .effective_uid = wanted.uid, .gid = wanted.gid, .effective_gid = wanted.gid};
  return {};
}

void Linux::set_default(int signal) {
  static_cast<void>(std::signal(signal, SIG_DFL));
}

void Linux::unblock(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

/// execve(2). E2BIG, ENOEXEC and the like are explained by launch, not here.
Error Linux::execute(const std::string& path, const std::vector<std::string>& argv,
                     const std::vector<std::string>& environment) {
  const std::vector<char*> arguments = to_pointers(argv);
  const std::vector<char*> variables = to_pointers(environment);
  // The point of no return. All that portshim opened closes itself here; mask and dispositions are as they came.
  execve(path.c_str(), arguments.data(), variables.data());
  return {errno, "execve " + path};
}

Result<void> Linux::write(int descriptor, std::string_view text) {
  const HeldSignals held;
  const int code = write_while_possible(descriptor, text, limits_waiting_);
  if (code != 0) return failure("write", code);
  return {};
}

void Linux::overwrite(const std::string& path, std::string_view text) {
  // To open a device may do something already, so it is looked at first; and again, since it may have changed.
  const auto before = status(path);
  if (!before || before->type != FileType::regular) return;
  const auto file = open_path(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  struct stat status{};
  if (!file || fstat(file->number(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  const HeldSignals held;
  if (ftruncate(file->number(), 0) == 0) static_cast<void>(write_while_possible(file->number(), text));
}

/// isatty(3): an ioctl that only terminals answer.
bool Linux::is_terminal(int descriptor) const {
  return isatty(descriptor) == 1;
}

}  // namespace portshim::system
