#include "shim/guard.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <span>
#include <utility>
#include <vector>

#include "shim/path.h"
#include "shim/privilege.h"

namespace portshim::guard {
namespace {

using descriptor::Descriptor;
using finding::Finding;
using finding::Id;
using finding::Severity;
using redirect::Address;
using redirect::Decision;
using redirect::Outcome;
using system::Error;
using system::Result;

std::unexpected<Error> failure(const char* doing) {
  return std::unexpected(Error{errno, doing});
}

// --- The filter. ---

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

static_assert(std::endian::native == std::endian::little);
constexpr std::uint32_t kNumber = offsetof(seccomp_data, nr);
constexpr std::uint32_t kArch = offsetof(seccomp_data, arch);
constexpr std::uint32_t kLength = offsetof(seccomp_data, args) + (2 * sizeof(std::uint64_t));  // its low half: an int
constexpr std::uint32_t kUnixLength = 110;                                                     // sizeof(sockaddr_un)

// Written by hand: libseccomp adds 0.11 MB to the binary, looks at the architecture before the number, and compares all
// 64 bits of the length, of which the kernel takes 32. Every other call leaves after two instructions with a constant
// answer, which the kernel finds out beforehand and then runs no filter for (seccomp_cache_prepare, since 5.11). The
// socket of .NET's diagnostics is left out by its length.
constexpr auto kFilter = std::to_array<sock_filter>({
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 0, 2),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kLength),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kUnixLength, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
});

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5U)  // Linux 5.19
#endif

/// Installs it for this process: the listener, or -1 with errno. There is no function for seccomp(2) in the C library.
int install_filter() {
  sock_fprog program{.len = kFilter.size(), .filter = const_cast<sock_filter*>(kFilter.data())};
  // SPEC_ALLOW: before 5.16 a filter would else slow the process down against speculation. WAIT_KILLABLE_RECV: once its
  // call was taken up here, a thread is not taken out of it by signals that come more often than answers; older kernels
  // do not know it.
  constexpr unsigned kFlags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  constexpr unsigned kKillable = SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  auto listener = static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kFlags | kKillable, &program));
  if (listener < 0 && errno == EINVAL) {
    listener = static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kFlags, &program));
  }
  return listener;
}

// --- Handing the listener over (unix(7), SCM_RIGHTS). ---

/// One message: errno of the child, and when that is 0 the listener.
class Message {
 public:
  Message() {
    header_.msg_iov = &part_;
    header_.msg_iovlen = 1;
    header_.msg_control = control_.data();
    header_.msg_controllen = control_.size();
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  Message(Message&&) = delete;
  Message& operator=(Message&&) = delete;
  ~Message() = default;

  [[nodiscard]] bool send(int socket, int code, int listener) {
    code_ = code;
    if (code == 0) {
      cmsghdr* const rights = CMSG_FIRSTHDR(&header_);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(sizeof listener);
      std::memcpy(CMSG_DATA(rights), &listener, sizeof listener);
    } else {
      header_.msg_controllen = 0;
    }
    return sendmsg(socket, &header_, MSG_NOSIGNAL) == sizeof code_;
  }

  [[nodiscard]] Result<Descriptor> receive(int socket) {
    ssize_t count = -1;
    do {
      count = recvmsg(socket, &header_, MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return failure("recvmsg");
    if (count != sizeof code_) return std::unexpected(Error{ECHILD, "seccomp: child ended early"});
    if (code_ != 0) return std::unexpected(Error{code_, "seccomp"});
    const cmsghdr* const rights = CMSG_FIRSTHDR(&header_);
    // Where this process may open no more files the kernel leaves it out.
    if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS) return std::unexpected(Error{EMFILE, "recvmsg"});
    int number = -1;
    std::memcpy(&number, CMSG_DATA(rights), sizeof number);
    Descriptor listener(number);
    if (listener.number() < 0) return failure("fcntl");
    return listener;
  }

 private:
  int code_ = 0;
  iovec part_{.iov_base = &code_, .iov_len = sizeof code_};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control_{};
  msghdr header_{};
};

/// Takes CAP_NET_BIND_SERVICE out of effect, which this process may have where the app does not: what it tries would
/// say nothing about the app then.
void drop_net_bind_service() {
  auto* const state = cap_get_proc();
  if (state == nullptr) return;
  const cap_value_t number = CAP_NET_BIND_SERVICE;
  cap_flag_value_t value = CAP_CLEAR;
  cap_get_flag(state, number, CAP_EFFECTIVE, &value);
  if (value == CAP_SET) {
    cap_set_flag(state, CAP_EFFECTIVE, 1, &number, CAP_CLEAR);
    static_cast<void>(cap_set_proc(state));
  }
  cap_free(state);
}

// --- The app's memory. ---

/// The sockaddr of either family.
union SocketAddress {
  sockaddr generic;
  sockaddr_in ipv4;
  sockaddr_in6 ipv6;
};

Descriptor open_memory(pid_t thread, int flags) {
  std::array<char, 32> path{};
  fmt::format_to_n(path.data(), path.size() - 1, "/proc/{}/mem", thread);
  return Descriptor(open(path.data(), flags | O_CLOEXEC));
}

bool read_memory(pid_t thread, std::uint64_t from, void* to, std::size_t length) {
  const auto count = static_cast<ssize_t>(length);
  const iovec local{.iov_base = to, .iov_len = length};
  const iovec remote{.iov_base = std::bit_cast<void*>(from), .iov_len = length};
  if (process_vm_readv(thread, &local, 1, &remote, 1, 0) == count) return true;
  // A seccomp profile that refuses the call (Docker's on old kernels) lets this pass.
  const Descriptor memory = open_memory(thread, O_RDONLY);
  return memory.number() >= 0 && pread(memory.number(), to, length, static_cast<off_t>(from)) == count;
}

/// The port in network order is at the same place in both families.
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));

std::optional<Address> to_address(const SocketAddress& from, std::size_t length) {
  constexpr std::size_t kLeastIpv6 = 24;  // SIN6_LEN_RFC2133: without a scope
  Address address{.port = ntohs(from.ipv4.sin_port)};
  // Without a family 0.0.0.0 is an address of IPv4 (__inet_bind).
  const bool is_any = from.generic.sa_family == AF_UNSPEC && from.ipv4.sin_addr.s_addr == INADDR_ANY;
  if (from.generic.sa_family == AF_INET || is_any) {
    std::memcpy(address.bytes.data(), &from.ipv4.sin_addr, sizeof from.ipv4.sin_addr);
    return address;
  }
  if (from.generic.sa_family != AF_INET6 || length < kLeastIpv6) return std::nullopt;
  address.ipv6 = true;
  std::memcpy(address.bytes.data(), &from.ipv6.sin6_addr, sizeof from.ipv6.sin6_addr);
  if (length >= sizeof from.ipv6) address.scope = from.ipv6.sin6_scope_id;
  return address;
}

socklen_t to_socket_address(const Address& from, SocketAddress& to) {
  if (!from.ipv6) {
    to.ipv4 = {.sin_family = AF_INET, .sin_port = htons(from.port), .sin_addr = {}, .sin_zero = {}};
    std::memcpy(&to.ipv4.sin_addr, from.bytes.data(), sizeof to.ipv4.sin_addr);
    return sizeof to.ipv4;
  }
  to.ipv6 = {.sin6_family = AF_INET6,
             .sin6_port = htons(from.port),
             .sin6_flowinfo = 0,
             .sin6_addr = {},
             .sin6_scope_id = from.scope};
  std::memcpy(&to.ipv6.sin6_addr, from.bytes.data(), from.bytes.size());
  return sizeof to.ipv6;
}

// --- The app's socket. ---

struct Socket {
  bool ipv4 = true, ipv6 = true;  ///< which addresses it takes
  int type = SOCK_STREAM;
  [[nodiscard]] bool takes(bool is_ipv6) const { return is_ipv6 ? ipv6 : ipv4; }
};

/// By the name of its protocol, which needs no privilege that reading memory does not need (sockfs_xattr_get in
/// net/socket.c; pidfd_getfd(2) is refused by Docker). One of TCP that takes every address where it cannot be seen.
Socket look_at_socket(pid_t thread, int number) {
  std::array<char, 48> path{};
  fmt::format_to_n(path.data(), path.size() - 1, "/proc/{}/fd/{}", thread, number);
  std::array<char, 32> text{};
  if (getxattr(path.data(), "system.sockprotoname", text.data(), text.size() - 1) < 0) {
    const bool is_none =
        errno == EOPNOTSUPP || errno == ENODATA || (errno == ENOENT && access("/proc/self/fd", F_OK) == 0);
    return is_none ? Socket{.ipv4 = false, .ipv6 = false} : Socket{};
  }
  const std::string_view name = text.data();
  const bool is_udp = name.starts_with("UDP");
  if (!is_udp && !name.contains("TCP")) return {.ipv4 = false, .ipv6 = false};
  const bool ipv6 = name.ends_with("v6");
  return {.ipv4 = !ipv6, .ipv6 = ipv6, .type = is_udp ? SOCK_DGRAM : SOCK_STREAM};
}

int try_bind(const Address& address, int type, redirect::Manner manner) {
  const Descriptor socket(::socket(address.ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0));
  if (socket.number() < 0) return errno;
  const auto set = [&](int level, int option, bool value) {
    const int number = value ? 1 : 0;
    return setsockopt(socket.number(), level, option, &number, sizeof number) == 0;
  };
  // As Kestrel does: connections of a predecessor in TIME_WAIT are no conflict. UDP has none.
  if (!set(SOL_SOCKET, SO_REUSEADDR, type == SOCK_STREAM || manner.shared)) return errno;
  if (!set(SOL_SOCKET, SO_REUSEPORT, manner.shared)) return errno;
  SocketAddress to{};
  const socklen_t length = to_socket_address(address, to);
  // An IPv4-mapped address needs a dual-mode socket (__inet6_bind).
  const bool ipv6_only = manner.ipv6_only && address.ipv6 && !IN6_IS_ADDR_V4MAPPED(&to.ipv6.sin6_addr);
  if (address.ipv6 && !set(IPPROTO_IPV6, IPV6_V6ONLY, ipv6_only)) return errno;
  return bind(socket.number(), &to.generic, length) == 0 ? 0 : errno;
}

// --- Whether to guard. ---

/// Whether the kernel denies low ports: true where that is not known.
bool are_denied(const system::System& system, const privilege::Identity& identity, const redirect::Rules& rules) {
  constexpr std::uint16_t kHttp = 80;
  std::vector<std::uint16_t> ports;
  for (const auto& [from, to] : rules.map) {
    if (from < rules.port_start) ports.push_back(from);
  }
  if (ports.empty()) ports.push_back(std::min<std::uint16_t>(kHttp, rules.port_start - 1));
  std::vector<system::BindAttempt> attempts;
  for (const std::uint16_t port : ports) {
    attempts.push_back({.address = "0.0.0.0", .port = port});
    attempts.push_back({.address = "::", .port = port});
  }
  const auto answers = system.try_binds(attempts, identity.net_bind_service);
  if (!answers) return true;
  if (std::ranges::any_of(*answers, [](int code) { return code == EACCES || code == EPERM; })) return true;
  // EADDRINUSE is answered only where the port is allowed (inet_bind).
  return std::ranges::none_of(*answers, [](int code) { return code == 0 || code == EADDRINUSE; });
}

constexpr std::string_view kUnguarded = "started COMMAND without --guard, and without --init unless that is on too";

Finding not_guarded(std::string why, std::string next) {
  return {.id = Id::not_guarded,
          .severity = Severity::warning,
          .what = "the app's bind calls cannot be watched",
          .why = std::move(why),
          .did = std::string(kUnguarded),
          .next = std::move(next)};
}

/// Where there is nothing to guard because the process may bind low ports.
Finding nothing_to_guard(const privilege::Identity& identity, const std::string& path,
                         const options::Options& options) {
  const std::string_view name = path::last_component(path);
  const bool is_root = identity.uid == 0 && identity.net_bind_service && identity.port_start > 1;
  // Its purpose; of other programs it cannot be known.
  const bool steps_down = is_root && (name == "gosu" || name == "su-exec");
  const bool lacks_parent = options.wants_parent() && !options.init;
  std::string next = is_root ? "where COMMAND steps down to another user, let portshim do it: --user=USER" : "";
  if (lacks_parent) {
    next += fmt::format("{}--grace, --group, --signal-map and --exit-map need --init=on here", is_root ? "; " : "");
  }
  return {.id = Id::nothing_to_guard,
          .severity = steps_down || lacks_parent ? Severity::warning : Severity::info,
          .what = "there is nothing to guard: COMMAND is started with the right to bind low ports",
          .why = fmt::format("net.ipv4.ip_unprivileged_port_start={}; {}", identity.port_start,
                             identity.port_start > 1 ? "a trial bind was allowed" : "none is low"),
          .did = std::string(kUnguarded),
          .next = std::move(next)};
}

/// What no_new_privs, which the filter needs, would take away.
std::optional<Finding> privileges_lost(const system::System& system, const std::string& path) {
  const auto process = system.capabilities();
  if (process && process->no_new_privileges) return std::nullopt;
  const auto capabilities = system.file_capabilities(path);
  const auto status = system.status(path);
  const bool has_capabilities = capabilities && *capabilities;
  const bool sets_ids = status && (status->mode & (S_ISUID | S_ISGID)) != 0;
  if (!has_capabilities && !sets_ids) return std::nullopt;
  const auto mount = system.mount_flags(path);
  if (mount && mount->nosuid) return std::nullopt;
  return not_guarded(
      fmt::format("{} {}, which the guard would take away: it sets no_new_privs", finding::quote(path),
                  has_capabilities ? "has file capabilities" : "is set-uid or set-gid"),
      has_capabilities ? "leave the guard out, or take the file capabilities away (setcap -r)" : "leave the guard out");
}

// --- What is said. ---

std::string why_denied(const redirect::Rules& rules) {
  return fmt::format("CAP_NET_BIND_SERVICE is not effective for uid {}; net.ipv4.ip_unprivileged_port_start={}",
                     geteuid(), rules.port_start);
}

constexpr std::string_view kBetter = "better, take the port out of the code";

Finding say_denied(const Address& address, const redirect::Redirector& redirector) {
  return {.id = Id::bind_denied,
          .severity = Severity::warning,
          .what = fmt::format("the app's bind({}) is denied", to_string(address)),
          .why = why_denied(redirector.rules()),
          .did = "nothing: the app gets EACCES (Permission denied)",
          .next = fmt::format("PORTSHIM_GUARD=redirect lets it have port {}; {}", redirector.wanted_port(address.port),
                              kBetter)};
}

Finding say_moved(const Address& address, const Decision& decision, const redirect::Redirector& redirector) {
  Address moved = address;
  moved.port = decision.port;
  const auto mapped = redirector.rules().map.find(address.port);
  const bool expected = mapped != redirector.rules().map.end() && mapped->second == decision.port;
  return {.id = Id::bind_moved,
          .severity = expected ? Severity::info : Severity::warning,
          .what = fmt::format("the app's bind({}) was changed to port {}", to_string(address), decision.port),
          .why = why_denied(redirector.rules()),
          .did = fmt::format("bind({}); from now on port {} means {}", to_string(moved), address.port, decision.port),
          .next = fmt::format("send traffic, probes and HEALTHCHECK to {0}; the app may go on to log port {1} (Kestrel "
                              "does for ListenLocalhost), and its own calls to port {1} are refused; {2}",
                              decision.port, address.port, kBetter)};
}

Finding say_moved_aside(const Address& address, const Decision& decision, const redirect::Redirector& redirector) {
  return {.id = Id::bind_moved_aside,
          .severity = Severity::warning,
          .what = fmt::format("the app's bind({}) was changed to port {}", to_string(address), decision.port),
          .why = fmt::format("port {} was given to what asked for port {}", address.port,
                             redirector.old_port(address.port)),
          .did = fmt::format("port {} in place of port {}", decision.port, address.port),
          .next = fmt::format("name another new port for {0}, as PORTSHIM_MAP={0}:PORT, so that {1} stays free",
                              redirector.old_port(address.port), address.port)};
}

Finding say_not_moved(const Address& address, std::string why, std::string did, std::string next) {
  return {.id = Id::bind_not_moved,
          .severity = Severity::error,
          .what = fmt::format("the app's bind({}) could not be moved", to_string(address)),
          .why = std::move(why),
          .did = std::move(did),
          .next = std::move(next)};
}

Finding say_in_use(const Address& address, const Decision& decision, const redirect::Redirector& redirector) {
  const std::uint16_t old_port = redirector.old_port(address.port);
  std::string why = fmt::format("port {} is in use", decision.port);
  if (address.port == decision.port) why += fmt::format(" by what asked for port {}", old_port);
  std::string did = "the app gets EADDRINUSE (Address already in use)";
  if (decision.dual_only) did += ", unless its socket takes IPv6 alone (IPV6_V6ONLY)";
  return say_not_moved(address, std::move(why), std::move(did),
                       fmt::format("name another port: PORTSHIM_MAP={}:PORT", old_port == 0 ? address.port : old_port));
}

Finding say_no_room(const Address& address, const Decision& decision, const redirect::Redirector& redirector) {
  const bool is_low = address.port < redirector.rules().port_start;
  return say_not_moved(address, fmt::format("none of the ports from {} up is free", decision.port),
                       is_low ? "nothing: the app gets EACCES (Permission denied)"
                              : "nothing: the app gets EADDRINUSE (Address already in use)",
                       fmt::format("name another port: PORTSHIM_MAP={}:PORT",
                                   is_low ? address.port : redirector.old_port(address.port)));
}

Finding to_finding(const Address& address, const Decision& decision, const redirect::Redirector& redirector,
                   bool written) {
  if (!written) {
    return say_not_moved(address, "the port in the app's memory cannot be changed",
                         "nothing: the app gets the kernel's own answer", std::string(kBetter));
  }
  switch (decision.outcome) {
    case Outcome::moved:
      return say_moved(address, decision, redirector);
    case Outcome::moved_aside:
      return say_moved_aside(address, decision, redirector);
    case Outcome::in_use:
      return say_in_use(address, decision, redirector);
    case Outcome::no_room:
      return say_no_room(address, decision, redirector);
    case Outcome::denied:
    case Outcome::full:
    case Outcome::unavailable:
    case Outcome::pass:
      break;
  }
  return say_denied(address, redirector);
}

// --- The listener. ---

// The kernel copies as much as its own version of the structure holds, which may have grown.
constexpr std::size_t kRoomToGrow = 256;
struct Notification {
  seccomp_notif head;
  std::array<std::byte, kRoomToGrow> rest;
};
struct Response {
  seccomp_notif_resp head;
  std::array<std::byte, kRoomToGrow> rest;
};

/// Takes up the next call; false where the thread ended or a signal took it out of the call.
bool receive(int listener, Notification& notification) {
  notification = {};  // the kernel refuses what is not zeroed
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) == 0;
}

/// Lets the call go on; errno, 0 for success.
int let_go_on(int listener, std::uint64_t id) {
  Response response{};
  response.head.id = id;
  response.head.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0 ? 0 : errno;
}

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0U)
#endif

/// App and guard take turns: neither need be woken on another processor, which takes twice as long. Since Linux 6.6;
/// where it cannot be had, nothing else changes.
void wake_on_this_processor(int listener) {
  static_cast<void>(ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP));
}

/// Whether the thread is still in that call, and its number thus still its own.
bool is_valid(int listener, std::uint64_t id) {
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

}  // namespace

/// A bind call that waits for its answer.
class Guard::Call final : public redirect::Kernel {
 public:
  Call(int listener, const seccomp_notif& notification) : listener_(listener), notification_(notification) {}

  [[nodiscard]] pid_t thread() const { return static_cast<pid_t>(notification_.pid); }

  /// The address if it may be one of IPv4 or IPv6; nothing too where it cannot be read, and then `unreadable`.
  [[nodiscard]] std::optional<Address> address(bool& unreadable) const {
    // bind(2) takes an int.
    const auto given = static_cast<std::int32_t>(notification_.data.args[2]);
    if (given < static_cast<std::int32_t>(sizeof(sockaddr_in)) ||
        given > static_cast<std::int32_t>(sizeof(sockaddr_storage))) {
      return std::nullopt;
    }
    SocketAddress memory{};
    const std::size_t length = std::min(static_cast<std::size_t>(given), sizeof memory);
    unreadable = !read_memory(thread(), place(), &memory, length);
    if (unreadable || !is_valid(listener_, notification_.id)) return std::nullopt;
    return to_address(memory, length);
  }

  /// Changes the port that the kernel is going to read.
  [[nodiscard]] bool change_port(std::uint16_t port) const {
    const std::uint64_t at = place() + offsetof(sockaddr_in, sin_port);
    std::uint16_t value = htons(port);
    // First by the open file: it is checked below that it is the memory of that thread, and it stays so. It can also
    // change constants, as a debugger can.
    const Descriptor memory = open_memory(thread(), O_RDWR);
    if (!is_valid(listener_, notification_.id)) return false;
    if (memory.number() >= 0 && pwrite(memory.number(), &value, sizeof value, static_cast<off_t>(at)) == sizeof value) {
      return true;
    }
    const iovec local{.iov_base = &value, .iov_len = sizeof value};
    const iovec remote{.iov_base = std::bit_cast<void*>(at), .iov_len = sizeof value};
    return process_vm_writev(thread(), &local, 1, &remote, 1, 0) == sizeof value;
  }

  /// Where the app's own descriptor cannot be bound to such an address at all: the kernel's answer to that.
  [[nodiscard]] int try_bind(const Address& address, redirect::Manner manner) override {
    if (!socket_) socket_ = look_at_socket(thread(), static_cast<int>(notification_.data.args[0]));
    if (!socket_->takes(address.ipv6)) return EINVAL;
    return portshim::guard::try_bind(address, socket_->type, manner);
  }

 private:
  [[nodiscard]] std::uint64_t place() const { return notification_.data.args[1]; }

  int listener_;
  const seccomp_notif& notification_;
  std::optional<Socket> socket_;
};

std::expected<redirect::Rules, Finding> examine(const system::System& system, const std::string& path,
                                                const options::Options& options) {
  if (auto lost = privileges_lost(system, path)) return std::unexpected(*std::move(lost));
  const privilege::Identity identity = privilege::predict(system, path);
  redirect::Rules rules{.moves = options.guard != options::Guard::explain,
                        .strict = options.guard == options::Guard::strict,
                        .map = options.map,
                        .port_start = identity.port_start};
  if (rules.port_start > 1 && are_denied(system, identity, rules)) return rules;
  return std::unexpected(nothing_to_guard(identity, path, options));
}

Finding not_set_up(const Error& error) {
  constexpr std::string_view kAsWell = "look at the limits of processes (pids.max, ulimit -u) and files (ulimit -n)";
  const auto cause = [&]() -> std::string_view {
    switch (error.code) {
      case EBUSY:
        return "; another program watches this one's system calls already (a portshim around it, an agent)";
      case EINVAL:
      case ENOSYS:
        return "; the kernel or sandbox has no seccomp user notification: Linux 5.5 has, gVisor has not";
      case EPERM:
      case EACCES:
        return "; a seccomp profile of the container may refuse it";
      default:
        return "";
    }
  };
  return not_guarded(finding::quote(error.message()) + std::string(cause()),
                     cause().empty() ? std::string(kAsWell) : "change the port in the code, or the sandbox");
}

Result<void> Guard::prepare() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return failure("socketpair");
  parents_end_ = Descriptor(ends[0]);
  childs_end_ = Descriptor(ends[1]);
  if (parents_end_.number() < 0 || childs_end_.number() < 0) return failure("fcntl");
  parent_ = getpid();
  return {};
}

bool Guard::enter() {
  parents_end_.close();
  Descriptor listener;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) listener = Descriptor(install_filter());
  const int code = listener.number() < 0 ? errno : 0;
  Message message;
  const bool sent = message.send(childs_end_.number(), code, listener.number());
  listener.close();
  childs_end_.close();
  if (code != 0 || !sent) return false;
  // The first call to be answered: EBADF comes from the kernel, so the parent lets calls go on; ENOSYS means that
  // nobody holds the listener.
  if (bind(-1, nullptr, 0) == 0 || errno != EBADF) return false;
  // The calls of an app without its guard would fail, so it is told to end. Not where the parent is PID 1: all end
  // then.
  prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  if (getppid() != parent_) raise(SIGTERM);
  return true;
}

Result<void> Guard::attach(const supervise::Child& child) {
  childs_end_.close();
  Message message;
  auto received = message.receive(parents_end_.number());
  parents_end_.close();
  if (!received) return std::unexpected(received.error());
  listener_ = *std::move(received);
  not_executed_ = child.not_executed.number();
  pollfd first{.fd = listener_.number(), .events = POLLIN, .revents = 0};
  while (poll(&first, 1, -1) < 0 && errno == EINTR) {
  }
  Notification notification;
  int code = ECHILD;
  if ((first.revents & POLLIN) != 0 && receive(listener_.number(), notification)) {
    code = let_go_on(listener_.number(), notification.head.id);
  }
  if (code != 0) {
    listener_.close();
    return std::unexpected(Error{code, "answer to a bind call"});
  }
  drop_net_bind_service();
  wake_on_this_processor(listener_.number());
  tell_map();
  return {};
}

/// What portshim itself binds in the child, before execve(2), is trials.
bool Guard::executed() {
  if (not_executed_ < 0) return true;
  pollfd pipe{.fd = not_executed_, .events = POLLIN, .revents = 0};
  const bool ended = poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLHUP) != 0;
  if (ended) not_executed_ = -1;
  return ended;
}

/// False also where nobody is left who could call: then there is no listener any more.
bool Guard::is_waiting() {
  pollfd events{.fd = listener_.number(), .events = POLLIN, .revents = 0};
  if (poll(&events, 1, 0) != 1) return false;
  if ((events.revents & POLLIN) != 0) return true;
  listener_.close();
  return false;
}

void Guard::ready() {
  if (is_waiting()) handle();
}

void Guard::handle() {
  Notification notification;
  if (!receive(listener_.number(), notification)) return;
  Call call(listener_.number(), notification.head);
  bool unreadable = false;
  std::optional<Address> address;
  Decision decision;
  bool written = true;
  if (executed()) {
    address = call.address(unreadable);
    if (address) decision = redirector_.decide(*address, call);
    const bool changes = decision.port != 0 && decision.outcome != Outcome::no_room &&
                         decision.outcome != Outcome::full && decision.port != address->port;
    if (changes) written = call.change_port(decision.port);
    if (changes && written) redirector_.remember(*address, decision);
  }
  // A thread that ended meanwhile is none that waits; there is nothing to do about other errors.
  static_cast<void>(let_go_on(listener_.number(), notification.head.id));
  if (unreadable) tell_unreadable(call.thread());
  const bool is_news = decision.outcome != Outcome::pass && decision.outcome != Outcome::unavailable;
  if (address && is_news) tell(*address, decision, written);
}

bool Guard::is_first(const Address& address) {
  const auto all = std::span(said_).first(said_count_);
  if (std::ranges::find(all, address) != all.end()) return false;
  if (said_count_ == said_.size()) {
    tell_limit(said_last_, address, "said no more of bind calls; ports are moved as before");
    return false;
  }
  said_.at(said_count_++) = address;
  return true;
}

void Guard::tell(const Address& address, const Decision& decision, bool written) {
  const bool moved = decision.outcome == Outcome::moved || decision.outcome == Outcome::moved_aside;
  if (!moved || !written) last_denied_ = address;
  if (decision.outcome == Outcome::full) {
    tell_limit(said_full_, address, "moved no more ports: bind calls get the kernel's own answers");
    return;
  }
  if (!is_first(address)) return;
  try {
    say_(to_finding(address, decision, redirector_, written));
  } catch (const std::exception&) {  // no memory: it is not said
    return;
  }
}

/// The list that ends here does not grow: nothing is allocated while the app waits.
void Guard::tell_limit(bool& said, const Address& address, const char* did) {
  if (std::exchange(said, true)) return;
  try {
    say_({.id = Id::bind_limit,
          .severity = Severity::warning,
          .what = fmt::format("the app's bind({}) is one more than the guard remembers", to_string(address)),
          .why = fmt::format("it remembers {} addresses and {} ports", kMostSaid, redirect::Redirector::kMostGiven),
          .did = did,
          .next = std::string(kBetter)});
  } catch (const std::exception&) {
    return;
  }
}

/// What of --map cannot be carried out. Only what is low is ever moved.
void Guard::tell_map() {
  const redirect::Rules& rules = redirector_.rules();
  if (!rules.moves) return;
  std::string why;
  for (auto one = rules.map.begin(); one != rules.map.end() && one->first < rules.port_start; ++one) {
    const auto same = [to = one->second](const auto& other) { return other.second == to; };
    const bool is_low = one->second < rules.port_start;
    if (!is_low && std::find_if(rules.map.begin(), one, same) == one) continue;
    why += fmt::format("{}port {} cannot become {}, which is {}", why.empty() ? "" : "; ", one->first, one->second,
                       is_low ? "low itself" : "taken by another port of --map");
  }
  if (why.empty()) return;
  say_({.id = Id::guard_map,
        .severity = Severity::warning,
        .what = "PORTSHIM_MAP cannot be followed by --guard: " + why,
        .why = fmt::format("net.ipv4.ip_unprivileged_port_start={}; two ports cannot become one", rules.port_start),
        .did = "nothing yet: such a port gets another one, which is said when the app binds it",
        .next = "name another new port for each"});
}

void Guard::tell_unreadable(pid_t thread) {
  if (std::exchange(said_unreadable_, true)) return;
  try {
    say_({.id = Id::bind_not_read,
          .severity = Severity::info,
          .what = fmt::format("the address of a bind call of thread {} cannot be read", thread),
          .why = "its program has made its memory private (PR_SET_DUMPABLE, or a file without read permission)",
          .did = "nothing: its calls get the kernel's own answers",
          .next = ""});
  } catch (const std::exception&) {
    return;
  }
}

std::optional<std::string> Guard::last_denied() const {
  if (!last_denied_) return std::nullopt;
  return fmt::format("bind({})", to_string(*last_denied_));
}

}  // namespace portshim::guard
