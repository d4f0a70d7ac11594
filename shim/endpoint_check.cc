#include "shim/endpoint_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "shim/directories.h"
#include "shim/environment.h"
#include "shim/listener.h"
#include "shim/path.h"

namespace portshim::endpoint_check {
namespace {

using address::Bind;
using address::Verdict;
using finding::Finding;
using finding::Id;
using finding::quote;
using finding::Severity;
using hosting::Prediction;
using kestrel::Endpoint;
using situation::Situation;
using system::FileType;

/// What is wrong with an endpoint, but for the setting that asks for it.
struct Problem {
  Id id{};
  bool certain = true;  ///< the bind fails; else it may be the app itself that is in the way
  std::string what;
  std::string why;
  std::string next;
};

/// Why no file can be made in a folder, and what .NET makes of it (SocketErrorPal.Unix.cs knows few errors of files).
std::string why_not(int code) {
  constexpr std::string_view kMakes = "bind(2) makes the socket's file and no folder";
  switch (code) {
    case ENOENT:
      return fmt::format("{}; .NET will report 'Cannot assign requested address'", kMakes);
    case ENOTDIR:
      return fmt::format("{}, and a part of the path is a file; .NET will report 'Unknown socket error'", kMakes);
    case EROFS:
      return "its file system is read-only, and bind(2) makes the socket's file; .NET will report 'Unknown socket "
             "error'";
    default:
      return "bind(2) makes the socket's file; .NET will report 'Permission denied', and no path";
  }
}

Problem folder_problem(const std::string& folder, int code, uid_t uid) {
  const bool missing = code == ENOENT || code == ENOTDIR;
  return {.id = Id::socket_directory,
          .what = missing ? fmt::format("there is no folder '{}'", quote(folder))
                          : fmt::format("uid {} may make no file in '{}'", uid, quote(folder)),
          .why = why_not(code),
          .next = missing ? fmt::format("make it in the image, or mount it, so that uid {} may write to it", uid)
                          : fmt::format("let uid {} write to it, or put the socket into a folder of its own", uid)};
}

/// What is said of a socket file, by what connect(2) to it answered.
Problem socket_problem(const std::string& path, int code) {
  if (code == ECONNREFUSED) {
    return {.id = Id::socket_file,
            .what = fmt::format("'{}' is a socket file that was left behind", quote(path)),
            .why =
                "nobody listens there (connect answered ECONNREFUSED), and bind(2) takes the place of no file: "
                "'address already in use'",
            .next =
                "remove it before the start, or keep it in a folder that is new with every container (emptyDir, "
                "tmpfs)"};
  }
  const bool listens = code == 0 || code == EAGAIN;
  return {.id = Id::socket_file,
          .certain = false,
          .what = listens ? fmt::format("another process listens on '{}'", quote(path))
                          : fmt::format("another process may be using '{}'", quote(path)),
          .why = fmt::format("connect answered {}",
                             code == 0 ? "at once" : system::Error{.code = code, .doing = "with an error"}.message()),
          .next = code == EACCES ? "remove the file, if the process that made it, as another user, has ended; bind(2) "
                                   "never takes the place of a file"
                                 : "give one of them another path, or remove the file if nobody needs it"};
}

/// What keeps a unix socket from being made; the file comes first, as in the kernel.
std::optional<Problem> find_problem(const system::System& system, const std::string& path, uid_t uid) {
  if (path.contains('\0')) return std::nullopt;
  const auto file = system.status(path, false);
  if (file && file->type == FileType::socket) {
    const auto answer = system.connect_to_socket(path);
    return socket_problem(path, answer ? 0 : answer.error().code);
  }
  if (file) {
    return Problem{.id = Id::socket_file,
                   .what = fmt::format("'{}' is there, and no socket", quote(path)),
                   .why = "bind(2) makes the socket's file, and takes the place of none: 'address already in use'",
                   .next = "remove it, or name another path"};
  }
  const std::string folder = path::folder_of(path);
  const int error = directories::create_error(system, folder);
  if (error == 0 || error == ENOSYS) return std::nullopt;
  return folder_problem(folder, error, uid);
}

/// DESIGN's rule over builders.
Severity severity_of(std::size_t hits, std::size_t all, bool in_wab) {
  if (hits == all) return Severity::error;
  return in_wab ? Severity::warning : Severity::info;
}

class Checker {
 public:
  Checker(const system::System& system, const Situation& situation) : system_(system), s_(situation) {}

  std::vector<Finding> check() {
    for (const Prediction& prediction : predictions()) look_at(prediction);
    for (const auto& [text, hit] : hits_) say(hit);
    say_https();
    return std::move(out_);
  }

 private:
  /// A problem with where it was met.
  struct Hit {
    Endpoint endpoint;
    Problem problem;
    std::size_t count = 0;  ///< of predictions
    bool in_wab = false;
  };

  [[nodiscard]] bool rewrites() const { return s_.options.mode == options::Mode::rewrite; }
  [[nodiscard]] const hosting::Input& input() const { return rewrites() ? s_.plan.after : s_.input; }
  [[nodiscard]] const std::vector<Prediction>& predictions() const {
    return rewrites() ? s_.plan.predictions : s_.predictions;
  }

  void look_at(const Prediction& prediction) {
    std::set<std::string> seen;
    for (const Endpoint& endpoint : prediction.lenient().endpoints) {
      const std::string text = address::place_of(endpoint.target);
      const bool again = !seen.insert(text).second;
      if (again && endpoint.target.bind != Bind::unix_socket) continue;
      count(again ? text + " again" : text, endpoint, prediction, again);
    }
  }

  void count(const std::string& text, const Endpoint& endpoint, const Prediction& prediction, bool again) {
    const auto known = problems_.find(text);
    const auto& problem =
        known != problems_.end() ? known->second : problems_.emplace(text, problem_of(endpoint, again)).first->second;
    if (!problem) return;
    const auto [entry, added] = hits_.try_emplace(text, Hit{.endpoint = endpoint, .problem = *problem});
    ++entry->second.count;
    entry->second.in_wab |= prediction.builder == hosting::Builder::wab;
  }

  [[nodiscard]] std::optional<Problem> problem_of(const Endpoint& endpoint, bool again) {
    const address::Target& target = endpoint.target;
    if (again) {
      return Problem{.id = Id::collision,
                     .what = fmt::format("the app binds '{}' twice", quote(target.address)),
                     .why = "the second bind(2) finds the file of the first: 'address already in use'",
                     .next = "take one of them out, or give it another path"};
    }
    if (target.bind == Bind::unix_socket) return find_problem(system_, target.address, s_.identity.uid);
    if (!s_.rules.verdict || !address::has_port(target)) return std::nullopt;
    if (lacks_zone(endpoint)) {
      return Problem{
          .id = Id::address_unavailable,
          .what = fmt::format("{} is a link-local address, and no interface is named", quote(target.address)),
          .why =
              "every link has addresses that begin with fe80: bind(2) answers EINVAL (__inet6_bind, "
              "net/ipv6/af_inet6.c); .NET will report 'Invalid argument', and not of which",
          .next = fmt::format("name the interface: [{}%eth0]", quote(target.address))};
    }
    if (verdicts_left_ == 0) return std::nullopt;
    --verdicts_left_;
    const Verdict verdict = s_.rules.verdict(target);
    if (verdict == Verdict::taken && !is_said_of_a_move(target)) return port_in_use(target);
    if (verdict != Verdict::unavailable) return std::nullopt;
    return Problem{.id = Id::address_unavailable,
                   .what = fmt::format("{} is no address of this host", quote(target.address)),
                   .why =
                       "a trial bind was answered with EADDRNOTAVAIL; .NET will report 'Cannot assign requested "
                       "address', and not which",
                   .next = "name an address that the container has, or bind all of them: http://+:PORT"};
  }

  /// A name behind '%' is not in the target's address: .NET looks it up (IPAddressParser.cs).
  static bool lacks_zone(const Endpoint& endpoint) {
    constexpr std::array kLinkLocal{"fe8", "fe9", "fea", "feb"};
    const std::string& address = endpoint.target.address;
    const bool is_link_local =
        endpoint.target.bind == address::Bind::ip && address.find(':') == 4 &&
        std::ranges::any_of(kLinkLocal, [&](const char* start) { return address.starts_with(start); });
    return is_link_local && !address.contains('%') && !endpoint.text.contains('%');
  }

  /// PS102 says it of a new port.
  [[nodiscard]] bool is_said_of_a_move(const address::Target& target) const {
    if (!rewrites()) return false;
    for (const policy::Decision& decision : s_.plan.decisions) {
      for (const policy::Move& move : decision.moves) {
        if (move.taken && move.to == target.port) return true;
      }
    }
    return false;
  }

  [[nodiscard]] Problem port_in_use(const address::Target& target) const {
    const auto holder = listener::holder_of(system_, target);
    return {.id = Id::address_in_use,
            .certain = false,
            .what = fmt::format("held by another process{}", holder ? ", " + quote(*holder) : ""),
            .why = fmt::format("a trial bind of {} was answered with EADDRINUSE; {}", address::to_string(target),
                               situation::kEndsInUse),
            .next = s_.options.check == options::Check::no
                        ? "end that process, or give one of them another port"
                        : "nothing, if that process is the app itself; else give one of them another port"};
  }

  void say(const Hit& hit) {
    if (!situation::overriding_calls(s_, hit.endpoint.source.origin()).empty()) return;
    const Problem& problem = hit.problem;
    const std::string setting = situation::name_setting(input(), hit.endpoint.source);
    std::string what = fmt::format("{} ends the app at start: {}", setting, problem.what);
    if (problem.id == Id::address_in_use)
      what = fmt::format("port {} of {} is {}", hit.endpoint.target.port, setting, problem.what);
    else if (!problem.certain)
      what = fmt::format("{} will fail: {}", setting, problem.what);
    const Severity certain = severity_of(hit.count, predictions().size(), hit.in_wab);
    out_.push_back({.id = problem.id,
                    .severity = problem.certain ? certain : Severity::warning,
                    .what = std::move(what),
                    .why = problem.why,
                    .did = "",
                    .next = problem.next});
  }

  // ---- https -------------------------------------------------------------------------------------------------------

  static const kestrel::Failure* https_failure(const Prediction& prediction) {
    const auto& failure = prediction.strict.failure;
    return failure && failure->fault >= kestrel::Fault::https ? &*failure : nullptr;
  }

  /// With the calls of the code, this prediction does not fail so.
  [[nodiscard]] bool code_prevents(std::size_t index) const {
    const std::vector<Prediction>& likely = rewrites() ? s_.code.likely_after : s_.code.likely;
    return likely.size() == predictions().size() && https_failure(likely[index]) == nullptr;
  }

  void say_https() {
    const kestrel::Failure* first = nullptr;
    std::size_t hits = 0;
    bool in_wab = false;
    for (std::size_t i = 0; i < predictions().size(); ++i) {
      const kestrel::Failure* const failure = https_failure(predictions()[i]);
      if (failure == nullptr || code_prevents(i)) continue;
      if (first == nullptr) first = failure;
      ++hits;
      in_wab |= predictions()[i].builder == hosting::Builder::wab;
    }
    if (first == nullptr || (first->fault == kestrel::Fault::https && has_development_certificate())) return;
    const std::string& message = first->exception.message;
    const bool enabled = !message.starts_with("Call ");
    const bool is_likely =
        (hits == predictions().size() || in_wab) && !(enabled && s_.code.package_may_bring_certificate);
    const bool lacks_key = first->fault == kestrel::Fault::private_key;
    out_.push_back({.id = lacks_key ? Id::no_private_key : Id::no_certificate,
                    .severity = is_likely ? Severity::warning : Severity::info,
                    .what = fmt::format("{} ends the app at start, unless its code {}",
                                        situation::name_setting(input(), first->source),
                                        lacks_key ? "sets a certificate: the configured one has no private key"
                                        : enabled ? "sets a certificate: none is configured"
                                                  : "enables https"),
                    .why = fmt::format("{}: {}", first->exception.type, message.substr(0, message.find('\n'))),
                    .did = "",
                    .next = lacks_key ? "mount the key too and set KeyPath beside Path: .NET takes no key from the "
                                        "certificate's own file, unless it is PKCS #12 (.pfx)"
                            : enabled ? "mount a certificate and set Kestrel__Certificates__Default__Path (with "
                                        "Kestrel__Certificates__Default__KeyPath or __Password), or take https out: "
                                        "an ingress or load balancer can do it"
                                      : "call UseKestrelHttpsConfiguration() in the code, or take https out"});
  }

  /// X509Store of CurrentUser/My (DirectoryBasedStoreProvider.cs), or the file of KestrelConfigurationLoader's
  /// development certificate: whether what is there fits is not looked at.
  [[nodiscard]] bool has_development_certificate() const {
    const auto home = environment::value(s_.input.environment, "HOME");
    if (!home || home->empty()) return false;
    constexpr std::array kFolders{"/.dotnet/corefx/cryptography/x509stores/my", "/.aspnet/https"};
    return std::ranges::any_of(kFolders, [&](const char* folder) {
      const auto names = system_.list(std::string(*home) + folder);
      return names && !names->empty();
    });
  }

  /// A verdict that was not asked for before takes a trial of its own: many of them are for --check alone.
  static constexpr std::size_t kMostVerdicts = 8;

  const system::System& system_;
  const Situation& s_;
  std::size_t verdicts_left_ = s_.options.check == options::Check::no ? kMostVerdicts : SIZE_MAX;
  std::map<std::string, std::optional<Problem>> problems_;  ///< by place
  std::map<std::string, Hit> hits_;
  std::vector<Finding> out_;
};

}  // namespace

std::vector<Finding> check(const system::System& system, const Situation& situation) {
  if (situation.app.binds_nothing()) return {};
  return Checker(system, situation).check();
}

}  // namespace portshim::endpoint_check
