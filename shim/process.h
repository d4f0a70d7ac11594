// A running process, as --check --pid examines it: what it was started with, and the system as it sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shim/address.h"
#include "shim/listener.h"
#include "shim/system.h"

namespace portshim::process {

using listener::Listener;

/// What /proc/PID says (proc_pid(5)). What may not be read is empty or nothing, and in `unreadable`.
struct Process {
  pid_t pid = 0;
  std::string start_time;  ///< tells it from a later process with its number
  std::vector<std::string> argv;
  std::optional<std::vector<std::string>> environment;  ///< as it was at its execve
  std::string program;                                  ///< the path of its executable below its root
  std::string root;                ///< its root directory as this process sees it; "/" for the same
  std::string directory;           ///< its working directory below its root
  bool directory_deleted = false;  ///< then `directory` is empty
  system::Ids ids;
  system::ProcessCapabilities capabilities;
  std::uint64_t blocked_signals = 0;    ///< as a mask, bit n - 1 = signal n
  std::uint64_t ignored_signals = 0;    ///< the same
  std::vector<Listener> listening;      ///< each address and port once, sorted by port
  bool listening_is_own = false;        ///< false: they are all of its network namespace, whoever holds them
  std::vector<std::string> unreadable;  ///< "environment: Permission denied"
};

/// Reads it. The error says why there is nothing to examine: there is no such process (ENOENT), or it has no command
/// line (ENOEXEC), as kernel threads and processes that have ended.
[[nodiscard]] system::Result<Process> read(const system::System& system, pid_t pid);

/// True while the process that was read is still there.
[[nodiscard]] bool is_running(const system::System& system, const Process& process);

/// Endpoints that were predicted, and sockets that listen.
struct Comparison {
  std::vector<bool> predicted;                 ///< for each listener: in some outcome
  std::vector<address::Target> not_listening;  ///< in every outcome, and nothing listens there
};
/// Each outcome is what the process may bind.
[[nodiscard]] Comparison compare(std::span<const Listener> listening,
                                 std::span<const std::vector<address::Target>> outcomes);

/// The system as the process sees it. Paths lead below its root, whatever links are on the way (openat2(2),
/// RESOLVE_IN_ROOT); ids and capabilities are its own; trial binds and the files of /proc/sys/net are those of its
/// network namespace. Limits and signals are what /proc says of it (proc_pid_limits(5), proc_pid_status(5)), which may
/// have changed since its start. Permissions are those of this process.
class View final : public system::System {
 public:
  explicit View(const Process& process);
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() override;

  /// Why no trial bind can say what the process is allowed to bind; empty: it can.
  [[nodiscard]] std::string why_no_trial(bool net_bind_service) const;

  [[nodiscard]] system::Result<std::string> read_file(const std::string& path) const override;
  [[nodiscard]] system::Result<std::string> read_part(const std::string& path, std::uint64_t offset,
                                                      std::size_t length) const override;
  [[nodiscard]] system::Result<system::FileStatus> status(const std::string& path, bool follow = true) const override;
  [[nodiscard]] system::Result<void> executable(const std::string& path) const override;
  [[nodiscard]] system::Result<void> readable(const std::string& path) const override;
  [[nodiscard]] system::Result<void> writable(const std::string& path) const override;
  [[nodiscard]] system::Result<std::vector<std::string>> list(const std::string& directory) const override;
  [[nodiscard]] system::Result<std::string> read_link(const std::string& path) const override;
  [[nodiscard]] system::Result<std::string> real_path(const std::string& path) const override;
  [[nodiscard]] system::Result<std::string> current_directory() const override;
  [[nodiscard]] system::Result<system::MountFlags> mount_flags(const std::string& path) const override;
  [[nodiscard]] system::Result<std::optional<system::FileCapabilities>> file_capabilities(
      const std::string& path) const override;
  [[nodiscard]] system::Ids ids() const override;
  [[nodiscard]] system::Result<system::ProcessCapabilities> capabilities() const override;
  [[nodiscard]] std::uint16_t elf_machine() const override;
  [[nodiscard]] system::Result<std::vector<int>> try_binds(std::span<const system::BindAttempt> attempts,
                                                           bool net_bind_service) const override;
  [[nodiscard]] system::Result<system::Limit> limit(system::Resource resource) const override;
  [[nodiscard]] system::Result<void> try_inotify() const override;
  [[nodiscard]] system::Result<void> connect_to_socket(const std::string& path) const override;
  [[nodiscard]] bool is_ignored(int signal) const override;
  [[nodiscard]] bool is_blocked(int signal) const override;

 private:
  /// Opens a path below the root for no more than to name it, and hands the name to `call`.
  template <typename Function>
  auto at(const std::string& path, bool follow, Function call) const -> decltype(call(std::string{}));
  [[nodiscard]] system::Result<int> open(const std::string& path, bool follow) const;

  const Process& process_;
  system::Linux host_;
  int root_ = -1;
  int root_error_ = 0;
  std::string network_problem_;  ///< why its network namespace is out of reach; empty: it is not
  bool same_user_namespace_ = true;
};

}  // namespace portshim::process
