#include "shim/calls.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "shim/address.h"
#include "shim/config.h"
#include "shim/il.h"

namespace portshim::calls {
namespace {

using api::Meaning;
using metadata::Module;
using metadata::Table;
using metadata::Token;
using stack::Value;

constexpr std::string_view kComputed = "computed at run time";

// --- Constants of .NET's types. ---

bool is_text(const Value& value) {
  return value.kind == stack::Kind::text || value.kind == stack::Kind::null;
}

std::string text_of(const Value& value) {
  return value.kind == stack::Kind::text ? *value.text : std::string();
}

/// An IP address or socket path, and how C# writes it.
struct Address {
  address::Bind bind = address::Bind::ip;
  std::string text;
  std::string shown;
};

/// IPAddress.cs
std::optional<std::string> address_in_field(std::string_view name) {
  if (name == "Any") return "0.0.0.0";
  if (name == "Loopback") return "127.0.0.1";
  if (name == "Broadcast" || name == "None") return "255.255.255.255";
  if (name == "IPv6Any" || name == "IPv6None") return "::";
  if (name == "IPv6Loopback") return "::1";
  return std::nullopt;
}

/// A key of WebHostDefaults.cs that is about addresses.
bool is_host_key(const Value& value) {
  if (value.kind != stack::Kind::text) return false;
  const std::string key = config::fold(*value.text);
  return key == "URLS" || key == "HTTP_PORTS" || key == "HTTPS_PORTS" || key == "PREFERHOSTINGURLS";
}

code::Call unknown_call(code::Kind kind) {
  return {.kind = kind, .arguments = std::string(kComputed), .known = false};
}

/// The facts by themselves.
class Facts {
 public:
  Facts(const Module& module, const references::Meanings& meanings) : module_(&module), meanings_(&meanings) {}

  [[nodiscard]] std::optional<code::Call> read(Meaning meaning, Arguments arguments, Parameters parameters) const;

 private:
  [[nodiscard]] static std::optional<code::Call> setting(std::string_view key, const Value& value);
  [[nodiscard]] std::optional<code::Call> use_urls(const Value& urls) const;
  [[nodiscard]] static std::optional<code::Call> use_setting(Arguments arguments);
  [[nodiscard]] static std::optional<code::Call> run(Arguments arguments, Parameters parameters);
  [[nodiscard]] std::optional<code::Call> collection_add(Arguments arguments) const;
  [[nodiscard]] static std::optional<code::Call> set_item(Arguments arguments);
  [[nodiscard]] static std::optional<code::Call> variables(Arguments arguments, Parameters parameters);
  [[nodiscard]] code::Call section(Arguments arguments, Parameters parameters) const;
  [[nodiscard]] code::Call listen(Meaning meaning, Arguments arguments, Parameters parameters) const;
  [[nodiscard]] std::optional<code::Call> socket(Meaning meaning, Arguments arguments, Parameters parameters) const;

  [[nodiscard]] Meaning meaning_of_result(const Value& value) const { return meanings_->of_result(value); }
  [[nodiscard]] std::optional<Address> ip_address(const Value& value) const;
  [[nodiscard]] bool set_end_point(code::Call& call, const Value& value) const;
  [[nodiscard]] static bool set_port(code::Call& call, Address address, const Value& port);
  [[nodiscard]] bool set_endpoint(code::Call& call, Meaning meaning, Arguments arguments, Parameters parameters) const;
  const Module* module_;
  const references::Meanings* meanings_;
};

// --- Settings and addresses. ---

std::optional<code::Call> Facts::setting(std::string_view key, const Value& value) {
  code::Call call = unknown_call(code::Kind::setting);
  if (is_text(value)) call = {.kind = code::Kind::setting, .arguments = text_of(value), .value = text_of(value)};
  call.key = key;
  return call;
}

/// UseUrls joins with ';' (HostingAbstractionsWebHostBuilderExtensions.cs).
std::optional<code::Call> Facts::use_urls(const Value& urls) const {
  if (meaning_of_result(urls) == Meaning::empty_array) return setting("urls", stack::text(""));
  if (urls.kind != stack::Kind::array || !std::ranges::all_of(*urls.items, is_text)) return setting("urls", {});
  std::string joined;
  for (const Value& url : *urls.items) joined.append(&url == urls.items->data() ? "" : ";").append(text_of(url));
  return setting("urls", stack::text(std::move(joined)));
}

std::optional<code::Call> Facts::use_setting(Arguments arguments) {
  if (arguments.size() != 3 || !is_host_key(arguments[1])) return std::nullopt;
  const std::string& key = *arguments[1].text;
  auto call = setting(key, arguments[2]);
  call->arguments.insert(0, key + ", ");
  return call;
}

std::optional<code::Call> Facts::run(Arguments arguments, Parameters parameters) {
  if (parameters.empty() || parameters[0] != "System.String" || arguments.size() < 2) return std::nullopt;
  const Value& url = arguments[1];
  if (url.kind == stack::Kind::null) return std::nullopt;
  if (!is_text(url)) return unknown_call(code::Kind::address);
  return code::Call{.kind = code::Kind::address, .arguments = text_of(url), .value = text_of(url)};
}

std::optional<code::Call> Facts::collection_add(Arguments arguments) const {
  if (arguments.size() != 2 || meaning_of_result(arguments[0]) != Meaning::addresses) return std::nullopt;
  if (arguments[1].kind != stack::Kind::text) return unknown_call(code::Kind::address);
  return code::Call{.kind = code::Kind::address, .arguments = *arguments[1].text, .value = *arguments[1].text};
}

/// configuration["Urls"] = …, of any configuration
std::optional<code::Call> Facts::set_item(Arguments arguments) {
  if (arguments.size() != 3 || arguments[1].kind != stack::Kind::text) return std::nullopt;
  if (!config::is_read(config::fold(*arguments[1].text))) return std::nullopt;
  return code::Call{
      .kind = code::Kind::configuration, .arguments = *arguments[1].text, .known = false, .key = *arguments[1].text};
}

/// Without a prefix, or with an empty one, all variables are settings.
std::optional<code::Call> Facts::variables(Arguments arguments, Parameters parameters) {
  if (parameters.size() < 2) return code::Call{.kind = code::Kind::environment_variables};
  const bool is_prefix = parameters[1] == "System.String" && arguments.size() == 2;
  if (is_prefix && is_text(arguments[1]) && text_of(arguments[1]).empty()) {
    return code::Call{.kind = code::Kind::environment_variables};
  }
  return code::Call{.kind = code::Kind::configuration, .known = false};
}

/// Configure() without a section reads none, and takes the place of the default one (KestrelServerOptions.cs).
code::Call Facts::section(Arguments arguments, Parameters parameters) const {
  code::Call call{.kind = code::Kind::kestrel_section};
  if (parameters.empty()) return call;
  const bool is_constant = arguments.size() > 1 && meaning_of_result(arguments[1]) == Meaning::get_section &&
                           arguments[1].items != nullptr && arguments[1].items->size() == 2 &&
                           (*arguments[1].items)[1].kind == stack::Kind::text;
  if (!is_constant) return unknown_call(code::Kind::kestrel_section);
  call.key = call.arguments = *(*arguments[1].items)[1].text;
  return call;
}

// --- Endpoints. ---

std::optional<Address> Facts::ip_address(const Value& value) const {
  if (value.kind == stack::Kind::field) {
    const auto member = module_->member(value.token);
    if (!member || module_->type_name(member->parent) != "System.Net.IPAddress") return std::nullopt;
    auto text = address_in_field(member->name);
    if (!text) return std::nullopt;
    return Address{.text = *std::move(text), .shown = "IPAddress." + std::string(member->name)};
  }
  if (meaning_of_result(value) != Meaning::parse_ip_address || value.items == nullptr || value.items->empty()) {
    return std::nullopt;
  }
  auto text = address::parse_ip(text_of(value.items->front()));
  if (!text) return std::nullopt;
  return Address{.text = *text, .shown = *text};
}

bool Facts::set_port(code::Call& call, Address address, const Value& port) {
  constexpr std::int64_t kMost = 65535;
  if (port.kind != stack::Kind::integer || port.number < 0 || port.number > kMost) return false;
  call.target.bind = address.bind;
  call.target.address = std::move(address.text);
  call.target.port = static_cast<std::uint16_t>(port.number);
  call.arguments = address.shown.empty() ? "" : address.shown + ", ";
  call.arguments += std::to_string(port.number);
  return true;
}

/// new IPEndPoint(address, port), new UnixDomainSocketEndPoint(path)
bool Facts::set_end_point(code::Call& call, const Value& value) const {
  const Meaning meaning = meaning_of_result(value);
  if (value.items == nullptr) return false;
  const std::vector<Value>& made_of = *value.items;
  if (meaning == Meaning::unix_end_point && made_of.size() == 1 && made_of[0].kind == stack::Kind::text) {
    call.target.bind = address::Bind::unix_socket;
    call.arguments = call.target.address = *made_of[0].text;
    return true;
  }
  if (meaning != Meaning::ip_end_point || made_of.size() != 2) return false;
  auto ip = ip_address(made_of[0]);
  return ip && set_port(call, *std::move(ip), made_of[1]);
}

/// `arguments` begin with "this".
bool Facts::set_endpoint(code::Call& call, Meaning meaning, Arguments arguments, Parameters parameters) const {
  if (arguments.size() < 2 || parameters.empty()) return false;
  const Value& first = arguments[1];
  switch (meaning) {
    case Meaning::listen_any_ip:
      return set_port(call, {.bind = address::Bind::any, .text = {}, .shown = {}}, first);
    case Meaning::listen_localhost:
      return set_port(call, {.bind = address::Bind::localhost, .text = {}, .shown = {}}, first);
    case Meaning::listen_unix_socket:
    case Meaning::listen_named_pipe:
      if (first.kind != stack::Kind::text) return false;
      call.target.bind =
          meaning == Meaning::listen_unix_socket ? address::Bind::unix_socket : address::Bind::named_pipe;
      call.arguments = call.target.address = *first.text;
      return true;
    case Meaning::listen:
      break;
    default:
      return false;
  }
  if (parameters[0] != "System.Net.IPAddress") return set_end_point(call, first);
  auto ip = ip_address(first);
  return ip && arguments.size() > 2 && set_port(call, *std::move(ip), arguments[2]);
}

code::Call Facts::listen(Meaning meaning, Arguments arguments, Parameters parameters) const {
  code::Call call{.kind = code::Kind::listen};
  if (!set_endpoint(call, meaning, arguments, parameters)) call = unknown_call(code::Kind::listen);
  const bool takes_options = !parameters.empty() && parameters.back().starts_with("System.Action`1<");
  call.has_options = takes_options && !arguments.empty() && arguments.back().kind != stack::Kind::null;
  return call;
}

/// Sockets beside Kestrel. A socket with no port of its own is none that matters.
std::optional<code::Call> Facts::socket(Meaning meaning, Arguments arguments, Parameters parameters) const {
  if (parameters.empty() || arguments.empty()) return std::nullopt;
  code::Call call{.kind = code::Kind::socket};
  bool is_known = false;
  const std::string& first = parameters[0];
  if (meaning == Meaning::socket_bind) {
    is_known = arguments.size() == 2 && set_end_point(call, arguments[1]);
  } else if (first == "System.Net.IPEndPoint") {
    is_known = set_end_point(call, arguments[0]);
  } else if (first == "System.Net.IPAddress" && arguments.size() == 2) {
    auto ip = ip_address(arguments[0]);
    is_known = ip && set_port(call, *std::move(ip), arguments[1]);
  } else if (first == "System.Int32") {
    // UdpClient(int, AddressFamily): InterNetworkV6 is 23, and of TcpListener.Create both families.
    constexpr std::int64_t kInterNetworkV6 = 23;
    const bool is_v6 =
        meaning == Meaning::tcp_listener_create || (arguments.size() == 2 && arguments[1].number == kInterNetworkV6);
    is_known = set_port(call, {.text = is_v6 ? "::" : "0.0.0.0", .shown = {}}, arguments[0]);
  } else {
    return std::nullopt;  // a client
  }
  return is_known ? call : unknown_call(code::Kind::socket);
}

std::optional<code::Call> Facts::read(Meaning meaning, Arguments arguments, Parameters parameters) const {
  switch (meaning) {
    case Meaning::web_host_start:
      if (parameters.empty() || parameters[0] != "System.String" || arguments.empty()) return std::nullopt;
      return setting("urls", arguments[0]);
    case Meaning::use_urls:
      return arguments.size() == 2 ? use_urls(arguments[1]) : std::nullopt;
    case Meaning::prefer_hosting_urls: {
      const bool is_known = arguments.size() == 2 && arguments[1].kind == stack::Kind::integer;
      return setting("preferHostingUrls",
                     is_known ? stack::text(arguments[1].number != 0 ? "true" : "false") : Value{});
    }
    case Meaning::use_setting:
      return use_setting(arguments);
    case Meaning::run:
      return run(arguments, parameters);
    case Meaning::collection_add:
      return collection_add(arguments);
    case Meaning::https_configuration:
      return code::Call{.kind = code::Kind::https};
    case Meaning::certificate:
      return code::Call{.kind = code::Kind::certificate};
    case Meaning::kestrel_section:
      return section(arguments, parameters);
    case Meaning::configuration:
      return code::Call{.kind = code::Kind::configuration, .known = false};
    case Meaning::set_manager_item: {
      auto call = use_setting(arguments);
      return call ? call : set_item(arguments);
    }
    case Meaning::set_item:
      return set_item(arguments);
    case Meaning::environment_variables:
      return variables(arguments, parameters);
    case Meaning::listen:
    case Meaning::listen_any_ip:
    case Meaning::listen_localhost:
    case Meaning::listen_unix_socket:
    case Meaning::listen_named_pipe:
    case Meaning::listen_handle:
      return listen(meaning, arguments, parameters);
    case Meaning::tcp_listener:
    case Meaning::tcp_listener_create:
    case Meaning::udp_client:
    case Meaning::socket_bind:
      return socket(meaning, arguments, parameters);
    default:
      return std::nullopt;
  }
}

/// As it reads in C#: "ListenAnyIP", "TcpListener" of a constructor, "Urls.Add" of what get_Urls returns.
std::string name_of(const Module& module, const metadata::Member& member, Meaning meaning, Arguments arguments) {
  const std::string type = member.name == ".ctor" ? module.type_name(member.parent) : "";
  if (!type.empty()) return type.substr(type.rfind('.') + 1);
  if (meaning == Meaning::tcp_listener_create) return "TcpListener.Create";
  const auto getter = meaning == Meaning::collection_add ? module.member(arguments[0].token) : std::nullopt;
  if (getter && getter->name.starts_with("get_")) return std::string(getter->name.substr(4)) + ".Add";
  return std::string(member.name);
}

}  // namespace

Reader::Reader(const Module& module, const references::Meanings& meanings) : module_(&module), meanings_(&meanings) {}

std::optional<code::Call> Reader::read(const metadata::Member& member, Meaning meaning, Arguments arguments,
                                       Parameters parameters) {
  auto call = Facts(*module_, *meanings_).read(meaning, arguments, parameters);
  if (!call) return call;
  call->api = name_of(*module_, member, meaning, arguments);
  const bool is_configured = call->known && call->has_options && arguments.back().kind == stack::Kind::function;
  if (is_configured) call->target.https = uses_https(arguments.back().token);
  return call;
}

bool Reader::uses_https(Token function) {
  if (function.table() != Table::method_def) return false;
  const auto [entry, is_new] = https_.try_emplace(function.row());
  const auto code = is_new ? module_->body(function.row()) : std::nullopt;
  if (!code) return entry->second;
  il::Instructions instructions(*code);
  while (const auto instruction = instructions.next()) {
    constexpr std::uint16_t kCall = 0x28;
    const Token token{static_cast<std::uint32_t>(instruction->operand)};
    if (instruction->opcode == kCall && meanings_->of(token) == Meaning::use_https) entry->second = true;
  }
  return entry->second;
}

}  // namespace portshim::calls
