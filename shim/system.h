// The interface to the kernel: the only way in which portshim reads the system, so that tests can replace it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace portshim::system {

/// What errno says: "Permission denied".
[[nodiscard]] std::string describe(int code);

/// A failed system call: errno, and what was being done ("open /app/App.dll").
struct Error {
  int code = 0;
  std::string doing;
  /// "open /app/App.dll: Permission denied"
  [[nodiscard]] std::string message() const;
};

template <typename T>
using Result = std::expected<T, Error>;

enum class FileType : std::uint8_t { regular, directory, symlink, fifo, socket, other };

struct FileStatus {
  FileType type = FileType::other;
  mode_t mode = 0;  ///< permission bits, 07777
  std::uint64_t size = 0;
  uid_t owner = 0;
};

/// How the file system of a path is mounted (statvfs(3) f_flag).
struct MountFlags {
  bool noexec = false;
  bool nosuid = false;
};

/// A set of capabilities as a bit mask, bit n = capability n (capabilities(7)).
using CapabilitySet = std::uint64_t;
inline constexpr CapabilitySet kNetBindService = CapabilitySet{1} << 10U;

/// The file's security.capability (capabilities(7), "File capabilities").
struct FileCapabilities {
  CapabilitySet permitted = 0;
  CapabilitySet inheritable = 0;
  bool effective = false;
};

struct ProcessCapabilities {
  CapabilitySet effective = 0;
  CapabilitySet permitted = 0;
  CapabilitySet inheritable = 0;
  CapabilitySet bounding = 0;
  CapabilitySet ambient = 0;
  bool no_root = false;            ///< SECBIT_NOROOT
  bool no_new_privileges = false;  ///< PR_GET_NO_NEW_PRIVS
};

/// True where the process can make CAP_NET_BIND_SERVICE ambient: it is permitted, and in the bounding set or
/// inheritable already (cap_capset, security/commoncap.c).
[[nodiscard]] bool can_keep_net_bind(const ProcessCapabilities& capabilities);

/// A limit of the process (getrlimit(2)).
enum class Resource : std::uint8_t { open_files, file_size, processes, address_space, data, stack };
struct Limit {
  static constexpr std::uint64_t kUnlimited = UINT64_MAX;
  std::uint64_t soft = kUnlimited;
  std::uint64_t hard = kUnlimited;
};

struct Ids {
  uid_t uid = 0, effective_uid = 0;
  gid_t gid = 0, effective_gid = 0;
};

/// Who a process is to become.
struct NewIdentity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;   ///< supplementary ones: all of them, sorted
  bool only_net_bind = false;  ///< no_new_privs, and of capabilities CAP_NET_BIND_SERVICE alone
  bool operator==(const NewIdentity&) const = default;
};

/// One TCP bind(2) to try. `address` is an IPv4 or IPv6 address; "::" is tried dual-mode.
struct BindAttempt {
  std::string address;
  std::uint16_t port = 0;
  bool operator==(const BindAttempt&) const = default;
};

/// Everything that portshim asks of the system; nothing of it changes anything. Paths are used as given; relative ones
/// are relative to the cwd. Files are opened O_NONBLOCK|O_CLOEXEC; what is not a regular file is refused with EINVAL,
/// what is larger than kMaxFileSize with EFBIG.
class System {
 public:
  static constexpr std::uint64_t kMaxFileSize = std::uint64_t{16} << 20U;

  System() = default;
  System(const System&) = delete;
  System& operator=(const System&) = delete;
  virtual ~System() = default;

  /// The whole regular file.
  [[nodiscard]] virtual Result<std::string> read_file(const std::string& path) const = 0;
  /// At most `length` bytes from `offset`; fewer at the end of the file. No limit on the file's size.
  [[nodiscard]] virtual Result<std::string> read_part(const std::string& path, std::uint64_t offset,
                                                      std::size_t length) const = 0;
  /// stat(2), or lstat(2) when `follow` is false.
  [[nodiscard]] virtual Result<FileStatus> status(const std::string& path, bool follow = true) const = 0;
  /// faccessat(2) with AT_EACCESS and X_OK: may this process execute (or search) it?
  [[nodiscard]] virtual Result<void> executable(const std::string& path) const = 0;
  /// faccessat(2) with AT_EACCESS and R_OK.
  [[nodiscard]] virtual Result<void> readable(const std::string& path) const = 0;
  /// faccessat(2) with AT_EACCESS and W_OK.
  [[nodiscard]] virtual Result<void> writable(const std::string& path) const = 0;
  /// Names in a directory, unsorted, without "." and "..".
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& directory) const = 0;
  /// readlink(2).
  [[nodiscard]] virtual Result<std::string> read_link(const std::string& path) const = 0;
  /// realpath(3).
  [[nodiscard]] virtual Result<std::string> real_path(const std::string& path) const = 0;
  /// getcwd(2).
  [[nodiscard]] virtual Result<std::string> current_directory() const = 0;
  [[nodiscard]] virtual Result<MountFlags> mount_flags(const std::string& path) const = 0;
  /// Nothing when the file has none (ENODATA) or the file system knows none (ENOTSUP).
  [[nodiscard]] virtual Result<std::optional<FileCapabilities>> file_capabilities(const std::string& path) const = 0;

  [[nodiscard]] virtual Ids ids() const = 0;
  [[nodiscard]] virtual Result<ProcessCapabilities> capabilities() const = 0;
  /// The machine as in ELF e_machine (EM_X86_64 = 62, EM_AARCH64 = 183).
  [[nodiscard]] virtual std::uint16_t elf_machine() const = 0;

  [[nodiscard]] virtual Result<Limit> limit(Resource resource) const = 0;
  /// inotify_init1(2), closed at once: EMFILE where the user has no instance left.
  [[nodiscard]] virtual Result<void> try_inotify() const = 0;

  /// Tries each bind in a child process whose effective set has CAP_NET_BIND_SERVICE as said (SO_REUSEADDR, no
  /// listen; the child is reaped). One errno per attempt, 0 = the kernel allowed it, ECANCELED = it got another port,
  /// from a --guard around portshim. An error of the trial itself (fork, capset, pipe) is the Result's.
  [[nodiscard]] virtual Result<std::vector<int>> try_binds(std::span<const BindAttempt> attempts,
                                                           bool net_bind_service) const = 0;

  /// connect(2) of a stream socket to a socket file, without waiting. ECONNREFUSED: nobody listens there; EAGAIN:
  /// somebody does, who is busy (unix(7)). Longer paths than sun_path holds are refused with ENAMETOOLONG.
  [[nodiscard]] virtual Result<void> connect_to_socket(const std::string& path) const = 0;

  /// True where this process ignores the signal, and hands that on through execve(2).
  [[nodiscard]] virtual bool is_ignored(int signal) const = 0;
  /// True where this process has it blocked, and hands that on through execve(2).
  [[nodiscard]] virtual bool is_blocked(int signal) const = 0;
};

/// What portshim does beside: it says something, changes its own state, and ends in execve(2).
class Control : public System {
 public:
  /// The path by which this program was started, as execve(2) was given it (AT_EXECFN, getauxval(3)); empty where the
  /// kernel does not tell.
  [[nodiscard]] virtual std::string own_path() const = 0;

  /// Makes `content` the file at `path`, with exactly these permission bits whatever the umask: written to a new file
  /// beside it, synced, and renamed over it. Whoever opens the path sees the old file or the whole new one; what was
  /// there is replaced, even while it runs, and a link is replaced itself. On an error `path` is as it was and the new
  /// file is gone. Not durable against a crash where the directory cannot be synced.
  [[nodiscard]] virtual Result<void> replace_file(const std::string& path, std::string_view content, mode_t mode) = 0;

  /// The supplementary groups (getgroups(2)), sorted, each once.
  [[nodiscard]] virtual Result<std::vector<gid_t>> groups() const = 0;

  /// Takes on real, effective and saved ids and supplementary groups (which are not set where they are so already), and
  /// gives up capabilities: a uid that is not 0 has none afterwards in any set but the bounding set, which it cannot
  /// use. With `only_net_bind` CAP_NET_BIND_SERVICE stays where can_keep_net_bind(), ambient too, so that it survives
  /// execve(2); nothing else stays, for root neither, nor in the bounding set where CAP_SETPCAP allows to drop
  /// it, and no_new_privs is set. All of it is asked for again afterwards: ENOTSUP when it is not so, or when uid 0 can
  /// be regained. ids() are the new ones from then on. After an error the process is to end: it may be half-way.
  [[nodiscard]] virtual Result<void> change_identity(const NewIdentity& wanted) = 0;

  /// Gives the signal its default disposition, where that is allowed.
  virtual void set_default(int signal) = 0;
  /// Takes the signal out of the mask of blocked ones.
  virtual void unblock(int signal) = 0;

  /// execve(2); returns only on failure, with its error.
  [[nodiscard]] virtual Error execute(const std::string& path, const std::vector<std::string>& argv,
                                      const std::vector<std::string>& environment) = 0;
  /// One write(2) (continued after a short write; EINTR retried). What cannot be written is dropped, and the error says
  /// why. SIGPIPE never kills.
  virtual Result<void> write(int descriptor, std::string_view text) = 0;
  /// From now on write() gives up on a pipe, socket or terminal that takes nothing for 100 ms, also where writing to it
  /// would wait: nobody may ever read it.
  virtual void limit_waiting() {}
  /// Makes `text` all that is in a file that is there already. What is no regular file, or cannot be opened or written
  /// at once, stays as it is: all errors are dropped.
  virtual void overwrite(const std::string& path, std::string_view text) = 0;
  [[nodiscard]] virtual bool is_terminal(int descriptor) const = 0;
};

/// The real one.
class Linux final : public Control {
 public:
  /// From now on trial binds and read_network_file() are those of another network namespace: `file` is
  /// /proc/PID/ns/net. It is entered in a child process (setns(2)), which needs CAP_SYS_ADMIN.
  void use_network(std::string file) { network_ = std::move(file); }
  /// Whether the child process can enter it.
  [[nodiscard]] Result<void> reach_network() const;
  /// A file of /proc/sys/net, which every network namespace has its own of.
  [[nodiscard]] Result<std::string> read_network_file(const std::string& path) const;

  [[nodiscard]] Result<std::string> read_file(const std::string& path) const override;
  [[nodiscard]] Result<std::string> read_part(const std::string& path, std::uint64_t offset,
                                              std::size_t length) const override;
  [[nodiscard]] Result<FileStatus> status(const std::string& path, bool follow = true) const override;
  [[nodiscard]] Result<void> executable(const std::string& path) const override;
  [[nodiscard]] Result<void> readable(const std::string& path) const override;
  [[nodiscard]] Result<void> writable(const std::string& path) const override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& directory) const override;
  [[nodiscard]] Result<std::string> read_link(const std::string& path) const override;
  [[nodiscard]] Result<std::string> real_path(const std::string& path) const override;
  [[nodiscard]] Result<std::string> current_directory() const override;
  [[nodiscard]] Result<MountFlags> mount_flags(const std::string& path) const override;
  [[nodiscard]] Result<std::optional<FileCapabilities>> file_capabilities(const std::string& path) const override;
  [[nodiscard]] Ids ids() const override;
  [[nodiscard]] Result<ProcessCapabilities> capabilities() const override;
  [[nodiscard]] std::uint16_t elf_machine() const override;
  [[nodiscard]] Result<Limit> limit(Resource resource) const override;
  [[nodiscard]] Result<void> try_inotify() const override;
  [[nodiscard]] Result<std::vector<int>> try_binds(std::span<const BindAttempt> attempts,
                                                   bool net_bind_service) const override;
  [[nodiscard]] std::string own_path() const override;
  [[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view content, mode_t mode) override;
  [[nodiscard]] Result<void> connect_to_socket(const std::string& path) const override;
  [[nodiscard]] bool is_ignored(int signal) const override;
  [[nodiscard]] bool is_blocked(int signal) const override;
  [[nodiscard]] Result<std::vector<gid_t>> groups() const override;
  [[nodiscard]] Result<void> change_identity(const NewIdentity& wanted) override;
  void set_default(int signal) override;
  void unblock(int signal) override;
  [[nodiscard]] Error execute(const std::string& path, const std::vector<std::string>& argv,
                              const std::vector<std::string>& environment) override;
  Result<void> write(int descriptor, std::string_view text) override;
  void limit_waiting() override { limits_waiting_ = true; }
  void overwrite(const std::string& path, std::string_view text) override;
  [[nodiscard]] bool is_terminal(int descriptor) const override;

 private:
  std::string network_;     ///< empty: this process's own
  std::optional<Ids> ids_;  ///< since they were changed
  bool limits_waiting_ = false;
};

}  // namespace portshim::system
