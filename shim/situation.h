// What is known when the findings are made, and how parts of it are put into words. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/address.h"
#include "shim/code.h"
#include "shim/config.h"
#include "shim/hosting.h"
#include "shim/kestrel.h"
#include "shim/lever.h"
#include "shim/options.h"
#include "shim/policy.h"
#include "shim/privilege.h"
#include "shim/runtime.h"

namespace portshim::situation {

/// What the app's code says, and what comes of it.
struct Code {
  bool complete = false;                         ///< all of it was read, and it makes the host
  std::vector<std::string> problems = {};        ///< "App.dll: no managed code"
  std::vector<code::Call> calls = {};            ///< in the order of the code
  std::vector<hosting::Prediction> likely = {};  ///< of the input, if all calls run; empty: there are none
  /// Of each call that others hide, as if these did not run: as many for each as in `likely`.
  std::vector<hosting::Prediction> hidden = {};
  std::vector<hosting::Prediction> likely_after = {};  ///< of the plan, in the same way
  std::optional<lever::Lever> lever = {};              ///< moves what the code binds low
  bool package_may_bring_certificate = false;          ///< known only where https lacks one
  bool lever_used = false;                             ///< --code=rewrite has set it
};

/// A settings file beside the app, which is not in the content root.
struct UnreadSettings {
  std::string path;
  bool decides = false;  ///< it has settings that have a say in what is bound
};

/// What is known when the findings are made. Everything outlives the call.
struct Situation {
  const options::Options& options;
  const runtime::App& app;
  const privilege::Identity& identity;
  const policy::Rules& rules;
  const hosting::Input& input;
  const std::vector<hosting::Prediction>& predictions;  ///< of `input`, without the calls of the code
  /// The plan. It is carried out in rewrite only; otherwise it says what rewrite would do.
  const policy::Plan& plan;
  Code code = {};
  std::vector<std::string> settings_files = {};        ///< that were found
  std::vector<std::string> too_large = {};             ///< settings files that were not read
  std::vector<std::string> settings_directories = {};  ///< in the place of settings files
  std::optional<UnreadSettings> unread_settings = {};
  bool capability_not_usable = false;  ///< CAP_NET_BIND_SERVICE is effective, and yet a trial bind was denied
};

/// True where a prediction's endpoint comes from a call in the app's code.
[[nodiscard]] bool is_of_code(const kestrel::Endpoint& endpoint);

/// What a call in the app's code is likely to bind.
struct LikelyEndpoint {
  const code::Call* call;
  address::Target target;
};
/// What calls with known values bind in prediction number `index`, of `likely` and of what calls hide; sockets beside
/// Kestrel come last.
[[nodiscard]] std::vector<LikelyEndpoint> likely_endpoints(const Code& code,
                                                           const std::vector<hosting::Prediction>& likely,
                                                           std::size_t index);

/// "http", "https", or of a socket beside Kestrel "tcp", "udp" or "socket", which may be either.
[[nodiscard]] std::string_view scheme_of(const code::Call& call, const address::Target& target);

/// The calls that keep a setting from being used, in every prediction that uses it without them; empty: none does.
[[nodiscard]] std::vector<const code::Call*> overriding_calls(const Situation& situation, const config::Origin& origin);

/// "80", "80 and 443", "80, 81 and 443"
[[nodiscard]] std::string join(const std::vector<std::uint16_t>& ports);
/// "port" or "ports"
[[nodiscard]] std::string_view plural(const std::vector<std::uint16_t>& ports);
/// "ASPNETCORE_URLS=http://+:80", "argv[2] '--urls=http://+:80'", "appsettings.json: Urls=http://+:80": where a setting
/// stands, and with which value.
[[nodiscard]] std::string name_with(const hosting::Input& input, const config::Origin& origin, std::string_view value);
/// The same with the value that it has.
[[nodiscard]] std::string name_setting(const hosting::Input& input, const kestrel::Source& source);
/// What becomes of an app that asks for an address which is in use (AddressInUseException).
inline constexpr std::string_view kEndsInUse =
    "while it is held, the app ends at start with exit code 134: 'Failed to bind to address …: address already in use'";

/// "wab 10"
[[nodiscard]] std::string name_prediction(const hosting::Prediction& prediction);
/// "App.dll, Program.<Main>$: ListenAnyIP(80)"
[[nodiscard]] std::string name_call(const code::Call& call);
/// "net.ipv4.ip_unprivileged_port_start=1024"
[[nodiscard]] std::string sysctl(const privilege::Identity& identity);
/// "which uid 1654 cannot bind here", of targets that are low for this reason.
[[nodiscard]] std::string who_cannot(const Situation& situation, const std::vector<address::Target>& targets);
/// Why they are low.
[[nodiscard]] std::string why_low(const Situation& situation, const std::vector<address::Target>& targets);
/// "; all this unless the app sets its ports in code", where that is not known to be untrue.
[[nodiscard]] std::string unless_code(const Situation& situation);

/// "; until then PORTSHIM_GUARD=redirect moves the bind call itself", of targets that no setting moves; empty where the
/// kernel would let the app bind one of them, for then --guard does nothing.
[[nodiscard]] std::string by_guard(const Situation& situation, const std::vector<address::Target>& targets);

}  // namespace portshim::situation
