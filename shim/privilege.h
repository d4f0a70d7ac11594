// What the process will be allowed after exec: capabilities, the floor, and trial binds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shim/address.h"
#include "shim/options.h"
#include "shim/system.h"

namespace portshim::privilege {

/// The identity of the target after exec, and what the host allows.
struct Identity {
  uid_t uid = 0;                    ///< effective
  gid_t gid = 0;                    ///< effective
  bool net_bind_service = false;    ///< CAP_NET_BIND_SERVICE will be effective after exec
  bool bounding_only = false;       ///< it is in the bounding set but will not be effective (a granted capability
                                    ///< that a non-root process does not get)
  std::uint16_t port_start = 1024;  ///< net.ipv4.ip_unprivileged_port_start; 1024 where there is no such file
  bool port_start_known = true;     ///< the file was there and readable
  bool capabilities_known = true;   ///< false: they could not be read, and none are assumed
};

/// CAP_NET_BIND_SERVICE after execve of a program with `file` capabilities (capabilities(7), "Transformation of
/// capabilities during execve()"; security/commoncap.c, cap_bprm_creds_from_file). `file` counts for nothing on a
/// nosuid mount: pass nullopt then.
[[nodiscard]] system::CapabilitySet effective_after_exec(const system::ProcessCapabilities& process,
                                                         uid_t effective_uid,
                                                         const std::optional<system::FileCapabilities>& file);

/// Reads ids, capabilities of this process and of the program `path` (empty: a plain file), and the sysctl; what is
/// assumed takes their place. Another user without assumed capabilities has what container runtimes leave to one: root
/// the bounding set of this process, others nothing.
[[nodiscard]] Identity predict(const system::System& system, const std::string& path,
                               const options::Assumption& assume = {});

/// The same for the process that `system` sees as its own and that is running already: its capabilities are what they
/// are.
[[nodiscard]] Identity of_running(const system::System& system, const options::Assumption& assume = {});

/// What the kernel's rule for low ports (inet_bind) says to a bind, where no trial can tell: allowed or denied; unknown
/// for what has no port.
[[nodiscard]] address::Verdict by_rule(const Identity& identity, const address::Target& target);

/// The lowest port that the app may use: DESIGN's floor. 0 = every port.
[[nodiscard]] std::uint16_t floor(const options::Floor& wanted, const Identity& identity);

/// What the kernel says to binds, by (bind target without scheme). Only what was asked for is in it.
class Trial {
 public:
  /// Tries every target in one forked child as `identity`: ANY is dual-mode "::" and where that fails, but for
  /// EADDRINUSE, "0.0.0.0"; LOCAL is both loopbacks, taken when one is, else allowed when one is. Unix sockets and
  /// port 0 are left out. Where the app will have CAP_NET_BIND_SERVICE but this process cannot take it on (a file
  /// capability), what is denied here is unknown. Everything is unknown when the trial itself fails.
  static Trial run(const system::System& system, const Identity& identity, const std::vector<address::Target>& targets);

  /// unknown for what was not tried.
  [[nodiscard]] address::Verdict verdict(const address::Target& target) const;
  /// True when the target was asked for.
  [[nodiscard]] bool has(const address::Target& target) const;
  void set(const address::Target& target, address::Verdict verdict);

 private:
  std::map<std::pair<std::string, std::uint16_t>, address::Verdict> verdicts_;
};

/// The kernel's answers to binds, asked for when they are first needed.
class Kernel {
 public:
  /// `by_rule`: nothing is tried, since this host and process are not what is asked about. `own`: what the app has
  /// bound already, which is not in its way.
  Kernel(const system::System& system, const Identity& identity, bool by_rule, std::vector<address::Target> own)
      : system_(system), identity_(identity), by_rule_(by_rule), own_(std::move(own)) {}

  /// Asks for all of these in one trial.
  void ask(const std::vector<address::Target>& targets);
  [[nodiscard]] address::Verdict verdict(const address::Target& target);

 private:
  const system::System& system_;
  Identity identity_;
  bool by_rule_;
  std::vector<address::Target> own_;
  std::vector<Trial> trials_ = {};
};

}  // namespace portshim::privilege
