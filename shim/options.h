// The command line and the PORTSHIM_* variables. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shim/finding.h"
#include "shim/log.h"

namespace portshim::options {

enum class Mode : std::uint8_t { off, explain, validate, rewrite };
enum class Check : std::uint8_t { no, text, json };
/// What is done about endpoints that the app's code sets.
enum class Code : std::uint8_t { report, off, rewrite };
/// What is done about bind calls of the app that the kernel denies.
enum class Guard : std::uint8_t { off, explain, redirect, strict };
enum class FloorKind : std::uint8_t { portable, kernel, number };

struct Floor {
  FloorKind kind = FloorKind::portable;
  std::uint16_t number = 0;  ///< when kind is number
  bool operator==(const Floor&) const = default;
};

enum class Capabilities : std::uint8_t { none, all, net_bind_service };

/// What --check is to predict for in place of this process and host. What is not set is as it is here.
struct Assumption {
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
  std::optional<Capabilities> capabilities;  ///< that are effective after exec
  std::optional<std::uint16_t> port_start;   ///< net.ipv4.ip_unprivileged_port_start
  bool operator==(const Assumption&) const = default;
};

struct Options {
  Mode mode = Mode::off;
  Floor floor;
  std::map<std::uint16_t, std::uint16_t> map;  ///< old port to new port, both 1..65535
  bool keep = false;
  bool expand = false;
  Code code = Code::report;
  log::Format log_format = log::Format::text;
  finding::Severity log_level = finding::Severity::warning;  ///< where nothing is set: info in explain and for install
  std::string termination_log = "/dev/termination-log";      ///< where the reason of a failed start is left
  bool init = false;                                         ///< stay as the parent of COMMAND
  std::chrono::milliseconds grace{0};  ///< of --init: how long what COMMAND leaves behind has before it is killed
  bool group = false;                  ///< of --init: signals go to the process group of COMMAND
  std::map<int, int> signal_map = {};  ///< of --init: signal received to signal forwarded, 0 = none; 1..64 without
                                       ///< KILL, STOP and CHLD, which are not forwarded
  std::map<int, int> exit_map = {};    ///< of --init: exit code of COMMAND to that of portshim, both 0..255
  std::string user = {};               ///< USER[:GROUP] to step down to, as it is written; empty: nobody
  bool keep_net_bind = false;          ///< of --user: CAP_NET_BIND_SERVICE stays
  Guard guard = Guard::off;            ///< watch the bind calls of COMMAND, as its parent
  Check check = Check::no;
  std::string install;                    ///< where portshim is to copy itself to; empty: nowhere
  std::optional<std::int32_t> pid = {};   ///< the process that --check examines in place of COMMAND
  std::optional<Assumption> assume = {};  ///< of --check
  bool help = false;
  bool version = false;
  bool operator==(const Options&) const = default;

  /// Whether any of it is about what only a parent of COMMAND can do, which takes `init`.
  [[nodiscard]] bool wants_parent() const {
    return grace.count() != 0 || group || !signal_map.empty() || !exit_map.empty();
  }
};

/// What the command line and the environment say.
struct Invocation {
  Options options;
  std::set<std::string, std::less<>> given;  ///< options of the command line, as "log-level"
  bool by_other_name = false;                ///< basename(argv[0]) does not begin with "portshim"
  std::size_t command = 0;                   ///< index in argv of COMMAND; argv.size() when there is none
  std::vector<finding::Finding> invalid;     ///< PS901: variables with invalid values; their defaults are used
  std::vector<finding::Finding>
      invalid_in_off;  ///< those of them that count with mode off too: they are not about ports
  /// A command line that portshim must not go on with, and its exit code.
  std::optional<finding::Finding> refusal;
  int refusal_code = 0;
};

/// Parses argv and environment ("NAME=VALUE" each). Called by another name, argv holds no options and COMMAND is
/// argv[0]. Where argv is wrong, `refusal` is its first mistake (PS902, code 125), and all other options are
/// still what the rest says. A variable whose option is on the command line is not looked at, valid or not.
/// Whom --user names is not known here: see identity. Beside install there is neither COMMAND nor check: PS902, code
/// 125.
/// Nesting: `argv` may be the tail of a longer one, starting at another portshim.
[[nodiscard]] Invocation parse(std::span<const std::string> argv, std::span<const std::string> environment);

/// Nested calls ("portshim … portshim … COMMAND") in one environment as one: the inner one, whose command line wins
/// over the outer one's, which wins over variables. Of `invalid` only what both have counts, since an option on either
/// command line takes the place of its variable.
[[nodiscard]] Invocation merge(const Invocation& outer, Invocation inner);

/// What --help prints.
[[nodiscard]] std::string help();
/// What --version prints: "portshim 0.1.0\n".
[[nodiscard]] std::string version();

/// "off", "explain", "validate", "rewrite"
[[nodiscard]] std::string_view to_string(Mode mode);

}  // namespace portshim::options
