// An in-memory System for unit tests. It follows the rules of path_resolution(7), access(2) and execve(2) as far as
// portshim looks at them, so that a test only states what is there:
//
//   FakeSystem system;                                        // uid 1654 without capabilities, sysctl 1024
//   system.file("/app/App.dll", "MZ").program("/usr/bin/dotnet").link("/bin", "usr/bin");
//   system.fail(Call::read, "/app/App.dll", EIO);             // this call on this path as given fails
//   system.in_use.insert(8080);                               // bind answers EADDRINUSE
//   ... EXPECT_EQ(system.written(2), "portshim: ...");        // what was written
//   ... EXPECT_THAT(system.paths(Call::read), ElementsAre("/usr/bin/dotnet"));  // what was looked at
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shim/system.h"

namespace portshim::support {

/// The members of System, as kinds of calls that are recorded and can be made to fail.
enum class Call : std::uint8_t {
  read,  ///< read_file and read_part
  status,
  executable,
  readable,
  writable,
  list,
  read_link,
  real_path,
  current_directory,
  mount_flags,
  file_capabilities,
  capabilities,
  inotify,
  try_binds,
  replace_file,
  connect_to_socket,
  execute,
  change_identity,
};

class FakeSystem final : public system::Control {
 public:
  struct Record {
    Call call;
    std::string path;  ///< as given; empty for calls without a path
    bool operator==(const Record&) const = default;
  };
  struct Execution {
    std::string path;
    std::vector<std::string> argv;
    std::vector<std::string> environment;
  };
  struct Trial {
    std::vector<system::BindAttempt> attempts;
    bool net_bind_service = false;
  };

  static constexpr const char* kPortStart = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
  /// What Docker leaves in the bounding set; CAP_NET_BIND_SERVICE is among them.
  static constexpr system::CapabilitySet kDockerBounding = 0xa80425fb;
  static constexpr system::CapabilitySet kDacOverride = 1U << 1U;

  FakeSystem() {
    directory("/");
    port_start(1024);
    process.bounding = kDockerBounding;
  }

  // --- What is there. Missing parents are made as directories (0755, owner 0). All return *this. ---

  FakeSystem& file(const std::string& path, std::string content, mode_t mode = 0644, uid_t owner = 0, gid_t group = 0) {
    return put(path, {system::FileType::regular, mode, owner, group, std::move(content), {}});
  }
  /// An executable file that is neither an ELF file nor a script, unless `content` says so.
  FakeSystem& program(const std::string& path, std::string content = "program", mode_t mode = 0755) {
    return file(path, std::move(content), mode);
  }
  FakeSystem& directory(const std::string& path, mode_t mode = 0755, uid_t owner = 0, gid_t group = 0) {
    return put(path, {system::FileType::directory, mode, owner, group, {}, {}});
  }
  FakeSystem& link(const std::string& path, std::string target) {
    return put(path, {system::FileType::symlink, 0777, 0, 0, std::move(target), {}});
  }
  /// A FIFO, socket or device.
  FakeSystem& special(const std::string& path, mode_t mode = 0666, system::FileType type = system::FileType::other) {
    return put(path, {type, mode, 0, 0, {}, {}});
  }
  FakeSystem& socket(const std::string& path) { return put(path, {system::FileType::socket, 0777, 0, 0, {}, {}}); }
  FakeSystem& remove(const std::string& path) {
    nodes_.erase(path);
    return *this;
  }
  /// security.capability of a file that is there.
  FakeSystem& capability(const std::string& path, system::FileCapabilities capabilities) {
    nodes_.at(path).capabilities = capabilities;
    return *this;
  }
  /// Flags of everything at and below `path` (the nearest mount counts).
  FakeSystem& mount(const std::string& path, system::MountFlags flags) {
    mounts_[path] = flags;
    return *this;
  }
  /// net.ipv4.ip_unprivileged_port_start, its file and what bind makes of it. remove(kPortStart): no such file, 1024.
  FakeSystem& port_start(int port) {
    start_ = port;
    return file(kPortStart, std::to_string(port) + "\n");
  }

  /// Real and effective ids. Capabilities stay as they are.
  FakeSystem& become(uid_t uid, gid_t gid) {
    identity = {.uid = uid, .effective_uid = uid, .gid = gid, .effective_gid = gid};
    return *this;
  }
  /// root as Docker starts it: permitted, effective and bounding are kDockerBounding.
  FakeSystem& become_root() {
    process.effective = process.permitted = process.bounding = kDockerBounding;
    return become(0, 0);
  }

  /// From now on this call fails with `code` (errno) for `path` exactly as it is given to the call; calls without a
  /// path have path "". A code of 0 takes it back.
  FakeSystem& fail(Call call, const std::string& path, int code) {
    failures_[{call, path}] = code;
    return *this;
  }
  FakeSystem& fail(Call call, int code) { return fail(call, "", code); }

  system::Ids identity{.uid = 1654, .effective_uid = 1654, .gid = 1654, .effective_gid = 1654};
  system::ProcessCapabilities process;
  std::vector<gid_t> supplementary_groups;
  std::string cwd = "/";
  std::uint16_t machine = 62;
  std::string own = "/portshim";  ///< the path that this program was started by
  std::set<int> terminals;

  /// What is not named is unlimited.
  std::map<system::Resource, system::Limit> limits;

  /// Ports that bind answers with EADDRINUSE, on every address.
  std::set<std::uint16_t> in_use;
  /// errno (0 = allowed) of a bind to exactly this address and port; wins over in_use and the kernel's rule.
  std::map<std::pair<std::string, std::uint16_t>, int> bind_answers;
  /// Where set it answers every bind: (attempt, whether the trial has CAP_NET_BIND_SERVICE) to errno.
  std::function<int(const system::BindAttempt&, bool)> bind_rule;

  /// Socket files on which somebody listens.
  std::set<std::string> listening;
  /// Signals that were inherited so.
  std::set<int> ignored;
  std::set<int> blocked;

  /// errno values that execute() returns, in turn; when they are used up it returns 0, which stands for success.
  std::deque<int> execute_errors;

  // --- What was done. ---

  mutable std::vector<Record> calls;
  mutable std::vector<Trial> trials;
  std::vector<Execution> executions;
  std::vector<system::NewIdentity> identities;  ///< that were taken on
  std::vector<std::pair<int, std::string>> writes;

  /// All that was written to a descriptor.
  [[nodiscard]] std::string written(int descriptor) const {
    std::string all;
    for (const auto& [to, text] : writes) all += to == descriptor ? text : "";
    return all;
  }
  /// The paths of all calls of one kind, in order.
  [[nodiscard]] std::vector<std::string> paths(Call call) const {
    std::vector<std::string> all;
    for (const Record& record : calls) {
      if (record.call == call) all.push_back(record.path);
    }
    return all;
  }

  // --- System. ---

  [[nodiscard]] system::Result<std::string> read_file(const std::string& path) const override {
    auto content = open(path);
    if (content && content->size() > kMaxFileSize) return error("read", path, EFBIG);
    return content;
  }

  [[nodiscard]] system::Result<std::string> read_part(const std::string& path, std::uint64_t offset,
                                                      std::size_t length) const override {
    const auto content = open(path);
    if (!content || offset >= content->size()) return content ? system::Result<std::string>("") : content;
    return content->substr(static_cast<std::size_t>(offset), length);
  }

  [[nodiscard]] system::Result<system::FileStatus> status(const std::string& path, bool follow) const override {
    const auto found = look_up(Call::status, "stat", path, follow);
    if (!found) return std::unexpected(found.error());
    const Node& node = nodes_.at(*found);
    return system::FileStatus{node.type, node.mode, node.content.size(), node.owner};
  }

  [[nodiscard]] system::Result<void> executable(const std::string& path) const override {
    const auto found = look_up(Call::executable, "access", path);
    if (!found) return std::unexpected(found.error());
    const Node& node = nodes_.at(*found);
    const bool noexec = node.type == system::FileType::regular && mounted(*found).noexec;
    if (noexec || !allows(node, 1)) return error("access", path, EACCES);
    return {};
  }

  [[nodiscard]] system::Result<void> readable(const std::string& path) const override {
    const auto found = look_up(Call::readable, "access", path);
    if (!found) return std::unexpected(found.error());
    if (!allows(nodes_.at(*found), 4)) return error("access", path, EACCES);
    return {};
  }

  [[nodiscard]] system::Result<void> writable(const std::string& path) const override {
    const auto found = look_up(Call::writable, "access", path);
    if (!found) return std::unexpected(found.error());
    if (!allows(nodes_.at(*found), 2)) return error("access", path, EACCES);
    return {};
  }

  [[nodiscard]] system::Result<std::vector<std::string>> list(const std::string& directory) const override {
    const auto found = look_up(Call::list, "open", directory);
    if (!found) return std::unexpected(found.error());
    const Node& node = nodes_.at(*found);
    if (node.type != system::FileType::directory) return error("open", directory, ENOTDIR);
    if (!allows(node, 4)) return error("open", directory, EACCES);
    const std::string prefix = *found == "/" ? "/" : *found + "/";
    std::vector<std::string> names;
    for (const auto& [path, child] : nodes_) {
      const bool below = path.size() > prefix.size() && path.starts_with(prefix);
      if (below && path.find('/', prefix.size()) == std::string::npos) names.push_back(path.substr(prefix.size()));
    }
    return names;
  }

  [[nodiscard]] system::Result<std::string> read_link(const std::string& path) const override {
    const auto found = look_up(Call::read_link, "readlink", path, false);
    if (!found) return found;
    if (nodes_.at(*found).type != system::FileType::symlink) return error("readlink", path, EINVAL);
    return nodes_.at(*found).content;
  }

  [[nodiscard]] system::Result<std::string> real_path(const std::string& path) const override {
    return look_up(Call::real_path, "realpath", path);
  }

  [[nodiscard]] system::Result<std::string> current_directory() const override {
    if (const int code = record(Call::current_directory, "")) return error("getcwd", "", code);
    return cwd;
  }

  [[nodiscard]] system::Result<system::MountFlags> mount_flags(const std::string& path) const override {
    const auto found = look_up(Call::mount_flags, "statvfs", path);
    if (!found) return std::unexpected(found.error());
    return mounted(*found);
  }

  [[nodiscard]] system::Result<std::optional<system::FileCapabilities>> file_capabilities(
      const std::string& path) const override {
    const auto found = look_up(Call::file_capabilities, "getxattr", path);
    if (!found) return std::unexpected(found.error());
    return nodes_.at(*found).capabilities;
  }

  [[nodiscard]] system::Ids ids() const override { return identity; }

  [[nodiscard]] system::Result<system::ProcessCapabilities> capabilities() const override {
    if (const int code = record(Call::capabilities, "")) return error("capget", "", code);
    return process;
  }

  [[nodiscard]] std::uint16_t elf_machine() const override { return machine; }

  [[nodiscard]] system::Result<system::Limit> limit(system::Resource resource) const override {
    const auto found = limits.find(resource);
    return found == limits.end() ? system::Limit{} : found->second;
  }

  [[nodiscard]] system::Result<void> try_inotify() const override {
    if (const int code = record(Call::inotify, "")) return error("inotify_init1", "", code);
    return {};
  }

  [[nodiscard]] system::Result<std::vector<int>> try_binds(std::span<const system::BindAttempt> attempts,
                                                           bool net_bind_service) const override {
    trials.push_back({{attempts.begin(), attempts.end()}, net_bind_service});
    if (const int code = record(Call::try_binds, "")) return error("fork", "", code);
    std::vector<int> answers;
    answers.reserve(attempts.size());
    for (const system::BindAttempt& attempt : attempts) answers.push_back(bind(attempt, net_bind_service));
    return answers;
  }

  [[nodiscard]] std::string own_path() const override { return own; }

  [[nodiscard]] system::Result<void> replace_file(const std::string& path, std::string_view content,
                                                  mode_t mode) override {
    if (const int code = record(Call::replace_file, path)) return error("write", path, code);
    file(path, std::string(content), mode);
    return {};
  }

  [[nodiscard]] system::Result<void> connect_to_socket(const std::string& path) const override {
    const auto found = look_up(Call::connect_to_socket, "connect", path);
    if (!found) return std::unexpected(found.error());
    if (!listening.contains(*found)) return error("connect", path, ECONNREFUSED);
    return {};
  }

  [[nodiscard]] bool is_ignored(int signal) const override { return ignored.contains(signal); }
  [[nodiscard]] bool is_blocked(int signal) const override { return blocked.contains(signal); }
  void set_default(int signal) override { ignored.erase(signal); }
  void unblock(int signal) override { blocked.erase(signal); }

  [[nodiscard]] system::Error execute(const std::string& path, const std::vector<std::string>& argv,
                                      const std::vector<std::string>& environment) override {
    executions.push_back({path, argv, environment});
    int code = record(Call::execute, path);
    if (code == 0 && !execute_errors.empty()) {
      code = execute_errors.front();
      execute_errors.pop_front();
    }
    return {code, "execve " + path};
  }

  [[nodiscard]] system::Result<std::vector<gid_t>> groups() const override { return supplementary_groups; }
  [[nodiscard]] system::Result<void> change_identity(const system::NewIdentity& wanted) override {
    if (const int code = record(Call::change_identity, "")) return error("setgroups", "", code);
    identities.push_back(wanted);
    supplementary_groups = wanted.groups;
    become(wanted.uid, wanted.gid);
    return {};
  }

  void overwrite(const std::string& path, std::string_view text) override {
    const auto node = nodes_.find(path);
    if (node != nodes_.end() && node->second.type == system::FileType::regular) node->second.content = text;
  }
  system::Result<void> write(int descriptor, std::string_view text) override {
    writes.emplace_back(descriptor, text);
    return {};
  }
  [[nodiscard]] bool is_terminal(int descriptor) const override { return terminals.contains(descriptor); }

 private:
  struct Node {
    system::FileType type = system::FileType::other;
    mode_t mode = 0;
    uid_t owner = 0;
    gid_t group = 0;
    std::string content;  ///< of a link: its target
    std::optional<system::FileCapabilities> capabilities;
  };

  static std::unexpected<system::Error> error(const std::string& doing, const std::string& path, int code) {
    return std::unexpected(system::Error{code, path.empty() ? doing : doing + " " + path});
  }
  static std::string parent(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
  }
  static std::deque<std::string> split(const std::string& path) {
    std::deque<std::string> parts(1);
    for (const char c : path) {
      if (c == '/') {
        parts.emplace_back();
      } else {
        parts.back() += c;
      }
    }
    return parts;
  }

  FakeSystem& put(const std::string& path, Node node) {
    if (path != "/" && !nodes_.contains(parent(path))) directory(parent(path));
    nodes_[path] = std::move(node);
    return *this;
  }

  /// Notes the call; the errno that was ordered for it, or 0.
  int record(Call call, const std::string& path) const {
    calls.push_back({call, path});
    const auto failure = failures_.find({call, path});
    return failure == failures_.end() ? 0 : failure->second;
  }

  /// `bit`: 4 read, 2 write, 1 execute or search. As in the kernel's generic_permission, root's capability needs one x
  /// bit.
  [[nodiscard]] bool allows(const Node& node, mode_t bit) const {
    const bool no_x_at_all = bit == 1 && node.type != system::FileType::directory && (node.mode & 0111U) == 0;
    if ((process.effective & kDacOverride) != 0) return !no_x_at_all;
    const unsigned shift = node.owner == identity.effective_uid ? 6U : node.group == identity.effective_gid ? 3U : 0U;
    return ((node.mode >> shift) & bit) != 0;
  }

  [[nodiscard]] system::MountFlags mounted(std::string path) const {
    while (!mounts_.contains(path) && path != "/") path = parent(path);
    return mounts_.contains(path) ? mounts_.at(path) : system::MountFlags{};
  }

  [[nodiscard]] system::Result<std::string> open(const std::string& path) const {
    const auto found = look_up(Call::read, "open", path);
    if (!found) return found;
    const Node& node = nodes_.at(*found);
    if (!allows(node, 4)) return error("open", path, EACCES);
    if (node.type == system::FileType::directory) return error("open", path, EISDIR);
    if (node.type != system::FileType::regular) return error("open", path, EINVAL);
    return node.content;
  }

  /// Records the call and resolves the path to the key of a node.
  [[nodiscard]] system::Result<std::string> look_up(Call call, const std::string& doing, const std::string& path,
                                                    bool follow = true) const {
    std::string found;
    int code = record(call, path);
    if (code == 0) code = resolve(path, follow, found);
    if (code != 0) return error(doing, path, code);
    return found;
  }

  /// path_resolution(7): errno, or 0 and the canonical path in `found`.
  int resolve(const std::string& path, bool follow, std::string& found) const {
    if (path.empty()) return ENOENT;
    if (path.size() >= 4096) return ENAMETOOLONG;
    found = path.starts_with('/') ? "/" : cwd;
    std::deque<std::string> parts = split(path);
    for (int links = 0; !parts.empty();) {
      const std::string part = parts.front();
      parts.pop_front();
      const auto here = nodes_.find(found);
      if (here == nodes_.end()) return ENOENT;
      if (here->second.type != system::FileType::directory) return ENOTDIR;
      if (part.empty() || part == ".") continue;
      if (!allows(here->second, 1)) return EACCES;
      if (const int code = step(part, follow || !parts.empty(), found, parts, links)) return code;
    }
    return nodes_.contains(found) ? 0 : ENOENT;
  }

  /// Goes on by one component; a link puts its target in front of `parts`.
  int step(const std::string& part, bool follow, std::string& found, std::deque<std::string>& parts, int& links) const {
    if (part.size() > 255) return ENAMETOOLONG;
    if (part == "..") {
      found = parent(found);
      return 0;
    }
    const std::string child = (found == "/" ? "" : found) + "/" + part;
    const auto node = nodes_.find(child);
    if (node == nodes_.end()) return ENOENT;
    if (node->second.type != system::FileType::symlink || !follow) {
      found = child;
      return 0;
    }
    if (++links > 40) return ELOOP;
    const std::string& target = node->second.content;
    if (target.starts_with('/')) found = "/";
    const std::deque<std::string> more = split(target);
    parts.insert(parts.begin(), more.begin(), more.end());
    return 0;
  }

  [[nodiscard]] int bind(const system::BindAttempt& attempt, bool net_bind_service) const {
    if (bind_rule) return bind_rule(attempt, net_bind_service);
    const auto answer = bind_answers.find({attempt.address, attempt.port});
    if (answer != bind_answers.end()) return answer->second;
    if (attempt.port != 0 && attempt.port < start_ && !net_bind_service) return EACCES;
    return in_use.contains(attempt.port) ? EADDRINUSE : 0;
  }

  std::map<std::string, Node> nodes_;
  std::map<std::string, system::MountFlags> mounts_;
  std::map<std::pair<Call, std::string>, int> failures_;
  int start_ = 1024;
};

}  // namespace portshim::support
