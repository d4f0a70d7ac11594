#include "shim/assembly.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>

#include "shim/api.h"
#include "shim/host_json.h"
#include "shim/il.h"
#include "shim/metadata.h"
#include "shim/references.h"
#include "shim/stack.h"

namespace portshim::assembly {
namespace {

using api::Meaning;
using hosting::Builder;
using metadata::Module;
using metadata::Table;
using metadata::Token;
using stack::Value;

constexpr std::string_view kComputed = "computed at run time";

// Hostile files must not take more than their size in time.
constexpr unsigned kDeepestLambda = 64;  // lambda expressions in lambda expressions

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

// --- The facts of one method. ---

/// What a method does: a call that matters, or a function that it takes the address of.
struct Step {
  code::Call call = {};
  std::uint32_t function = 0;  ///< row of MethodDef
};

class Reader {
 public:
  Reader(const Module& module, std::string_view name)
      : module_(&module), name_(name), meanings_(module), source_(references::constants(module, meanings_)) {}

  Code read() &&;

 private:
  struct Method {
    std::uint32_t row = 0;
    std::string name = {};
    std::vector<Step> steps = {};
    bool is_referenced = false;  ///< another one of them takes its address
    bool is_placed = false;
  };
  using Arguments = std::span<const Value>;
  using Parameters = std::span<const std::string>;

  void find_methods();
  void read(Method& method);
  void see(Method& method, const stack::Event& event);
  void see_call(Method& method, const stack::Event& event);
  void see_host(Meaning meaning, Arguments arguments, Parameters parameters);
  [[nodiscard]] std::optional<code::Call> fact(Meaning meaning, Arguments arguments, Parameters parameters);

  [[nodiscard]] std::string api_name(const metadata::Member& member, Meaning meaning, Arguments arguments) const;

  void add_builder(Builder builder);
  void count_arguments(Passing& passing, Arguments arguments, Parameters parameters) const;
  [[nodiscard]] bool is_empty(const Value& strings) const;

  [[nodiscard]] static std::optional<code::Call> setting(std::string_view key, const Value& value);
  [[nodiscard]] std::optional<code::Call> use_urls(const Value& urls) const;
  [[nodiscard]] static std::optional<code::Call> use_setting(Arguments arguments);
  [[nodiscard]] static std::optional<code::Call> run(Arguments arguments, Parameters parameters);
  [[nodiscard]] std::optional<code::Call> collection_add(Arguments arguments) const;
  [[nodiscard]] static std::optional<code::Call> set_item(Arguments arguments);
  [[nodiscard]] static std::optional<code::Call> variables(Arguments arguments, Parameters parameters);
  [[nodiscard]] code::Call section(Arguments arguments, Parameters parameters) const;
  [[nodiscard]] code::Call listen(Meaning meaning, Arguments arguments, Parameters parameters);
  [[nodiscard]] std::optional<code::Call> socket(Meaning meaning, Arguments arguments, Parameters parameters) const;

  [[nodiscard]] Meaning meaning_of_result(const Value& value) const;
  [[nodiscard]] std::optional<Address> ip_address(const Value& value) const;
  [[nodiscard]] bool set_end_point(code::Call& call, const Value& value) const;
  [[nodiscard]] static bool set_port(code::Call& call, Address address, const Value& port);
  [[nodiscard]] bool set_endpoint(code::Call& call, Meaning meaning, Arguments arguments, Parameters parameters) const;
  void set_options(code::Call& call, const Value& delegate);
  [[nodiscard]] bool uses_https(Token function);

  void place(std::size_t index, unsigned depth);
  [[nodiscard]] std::string name_of_method(std::uint32_t row) const;
  [[nodiscard]] bool is_entry(const Method& method) const;

  const Module* module_;
  std::string_view name_;
  references::Meanings meanings_;
  std::unique_ptr<stack::Source> source_;
  std::string entry_ = {};
  std::vector<Method> methods_ = {};
  std::unordered_map<std::uint32_t, std::size_t> by_row_ = {};
  std::unordered_map<std::uint32_t, metadata::Signature> signatures_ = {};
  std::unordered_map<std::uint32_t, bool> https_ = {};  ///< by the row of a delegate's method
  Code out_ = {};
};

code::Call unknown_call(code::Kind kind) {
  return {.kind = kind, .arguments = std::string(kComputed), .known = false};
}

// --- Builders. ---

void Reader::add_builder(Builder builder) {
  auto& builders = out_.hosts.builders;
  if (std::ranges::find(builders, builder) == builders.end()) builders.push_back(builder);
}

/// No arguments: null, new string[0], Array.Empty<string>().
bool Reader::is_empty(const Value& strings) const {
  if (strings.kind == stack::Kind::null) return true;
  if (strings.kind == stack::Kind::array) return strings.items->empty();
  return meaning_of_result(strings) == Meaning::empty_array;
}

/// A builder without a parameter for arguments goes without.
void Reader::count_arguments(Passing& passing, Arguments arguments, Parameters parameters) const {
  bool passes = false;
  for (std::size_t i = 0; i < parameters.size() && i < arguments.size(); ++i) {
    if (parameters[i] == "System.String[]") passes |= !is_empty(arguments[i]);
    const bool is_options = parameters[i].ends_with("Options") || parameters[i].ends_with("Settings");
    if (is_options) passes |= meanings_.has(Meaning::options_arguments);
  }
  (passes ? passing.passed : passing.missing) = true;
}

void Reader::see_host(Meaning meaning, Arguments arguments, Parameters parameters) {
  switch (meaning) {
    case Meaning::web_application:
      add_builder(Builder::wab);
      break;
    case Meaning::slim_web_application:
      add_builder(Builder::slim);
      break;
    case Meaning::empty_web_application:
      add_builder(Builder::empty);
      break;
    case Meaning::web_host:
    case Meaning::web_host_start:
      add_builder(Builder::wh);
      break;
    case Meaning::generic_host:
      count_arguments(out_.hosts.generic_host, arguments, parameters);
      return;
    case Meaning::web_host_defaults:
      out_.hosts.web_host_defaults = true;
      return;
    case Meaning::web_host_builder:
      out_.hosts.web_host_builder = true;
      return;
    case Meaning::add_command_line:
      out_.hosts.command_line = true;
      return;
    default:
      return;
  }
  count_arguments(out_.hosts.arguments, arguments, parameters);
}

// --- Settings and addresses. ---

std::optional<code::Call> Reader::setting(std::string_view key, const Value& value) {
  code::Call call = unknown_call(code::Kind::setting);
  if (is_text(value)) call = {.kind = code::Kind::setting, .arguments = text_of(value), .value = text_of(value)};
  call.key = key;
  return call;
}

/// UseUrls joins with ';' (HostingAbstractionsWebHostBuilderExtensions.cs).
std::optional<code::Call> Reader::use_urls(const Value& urls) const {
  if (meaning_of_result(urls) == Meaning::empty_array) return setting("urls", stack::text(""));
  if (urls.kind != stack::Kind::array || !std::ranges::all_of(*urls.items, is_text)) return setting("urls", {});
  std::string joined;
  for (const Value& url : *urls.items) joined.append(&url == urls.items->data() ? "" : ";").append(text_of(url));
  return setting("urls", stack::text(std::move(joined)));
}

std::optional<code::Call> Reader::use_setting(Arguments arguments) {
  if (arguments.size() != 3 || !is_host_key(arguments[1])) return std::nullopt;
  const std::string& key = *arguments[1].text;
  auto call = setting(key, arguments[2]);
  call->arguments.insert(0, key + ", ");
  return call;
}

std::optional<code::Call> Reader::run(Arguments arguments, Parameters parameters) {
  if (parameters.empty() || parameters[0] != "System.String" || arguments.size() < 2) return std::nullopt;
  const Value& url = arguments[1];
  if (url.kind == stack::Kind::null) return std::nullopt;
  if (!is_text(url)) return unknown_call(code::Kind::address);
  return code::Call{.kind = code::Kind::address, .arguments = text_of(url), .value = text_of(url)};
}

std::optional<code::Call> Reader::collection_add(Arguments arguments) const {
  if (arguments.size() != 2 || meaning_of_result(arguments[0]) != Meaning::addresses) return std::nullopt;
  if (arguments[1].kind != stack::Kind::text) return unknown_call(code::Kind::address);
  return code::Call{.kind = code::Kind::address, .arguments = *arguments[1].text, .value = *arguments[1].text};
}

/// configuration["Urls"] = …, of any configuration
std::optional<code::Call> Reader::set_item(Arguments arguments) {
  if (arguments.size() != 3 || arguments[1].kind != stack::Kind::text) return std::nullopt;
  if (!config::is_read(config::fold(*arguments[1].text))) return std::nullopt;
  return code::Call{
      .kind = code::Kind::configuration, .arguments = *arguments[1].text, .known = false, .key = *arguments[1].text};
}

/// Without a prefix, or with an empty one, all variables are settings.
std::optional<code::Call> Reader::variables(Arguments arguments, Parameters parameters) {
  if (parameters.size() < 2) return code::Call{.kind = code::Kind::environment_variables};
  const bool is_prefix = parameters[1] == "System.String" && arguments.size() == 2;
  if (is_prefix && is_text(arguments[1]) && text_of(arguments[1]).empty()) {
    return code::Call{.kind = code::Kind::environment_variables};
  }
  return code::Call{.kind = code::Kind::configuration, .known = false};
}

/// Configure() without a section reads none, and takes the place of the default one (KestrelServerOptions.cs).
code::Call Reader::section(Arguments arguments, Parameters parameters) const {
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

Meaning Reader::meaning_of_result(const Value& value) const {
  return value.kind == stack::Kind::result ? meanings_.of(value.token) : Meaning::none;
}

std::optional<Address> Reader::ip_address(const Value& value) const {
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

bool Reader::set_port(code::Call& call, Address address, const Value& port) {
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
bool Reader::set_end_point(code::Call& call, const Value& value) const {
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
bool Reader::set_endpoint(code::Call& call, Meaning meaning, Arguments arguments, Parameters parameters) const {
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

code::Call Reader::listen(Meaning meaning, Arguments arguments, Parameters parameters) {
  code::Call call{.kind = code::Kind::listen};
  if (!set_endpoint(call, meaning, arguments, parameters)) call = unknown_call(code::Kind::listen);
  if (!parameters.empty() && !arguments.empty() && parameters.back().starts_with("System.Action`1<")) {
    set_options(call, arguments.back());
  }
  return call;
}

void Reader::set_options(code::Call& call, const Value& delegate) {
  call.has_options = delegate.kind != stack::Kind::null;
  if (call.known && delegate.kind == stack::Kind::function) call.target.https = uses_https(delegate.token);
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
    if (instruction->opcode == kCall && meanings_.of(token) == Meaning::use_https) entry->second = true;
  }
  return entry->second;
}

/// Sockets beside Kestrel. A socket with no port of its own is none that matters.
std::optional<code::Call> Reader::socket(Meaning meaning, Arguments arguments, Parameters parameters) const {
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

// --- Methods. ---

std::optional<code::Call> Reader::fact(Meaning meaning, Arguments arguments, Parameters parameters) {
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

void Reader::find_methods() {
  for (std::uint32_t row = 1; row <= module_->rows(Table::method_def); ++row) {
    const auto code = module_->body(row);
    if (!code || !references::mentions_fact(*code, meanings_)) continue;
    by_row_.emplace(row, methods_.size());
    methods_.push_back({.row = row, .name = name_of_method(row)});
  }
}

void Reader::read(Method& method) {
  stack::run(*module_->body(method.row), *source_, [&](const stack::Event& event) { see(method, event); });
}

void Reader::see(Method& method, const stack::Event& event) {
  if (event.kind == stack::Event::Kind::function) {
    const auto found = event.token.table() == Table::method_def ? by_row_.find(event.token.row()) : by_row_.end();
    if (found == by_row_.end()) return;
    method.steps.push_back({.function = event.token.row()});
    methods_[found->second].is_referenced = true;
  } else if (event.kind != stack::Event::Kind::store && api::is_fact(meanings_.of(event.token))) {
    see_call(method, event);
  }
}

/// As it reads in C#: "ListenAnyIP", "TcpListener" of a constructor, "Urls.Add" of what get_Urls returns.
std::string Reader::api_name(const metadata::Member& member, Meaning meaning, Arguments arguments) const {
  const std::string type = member.name == ".ctor" ? module_->type_name(member.parent) : "";
  if (!type.empty()) return type.substr(type.rfind('.') + 1);
  if (meaning == Meaning::tcp_listener_create) return "TcpListener.Create";
  const auto getter = meaning == Meaning::collection_add ? module_->member(arguments[0].token) : std::nullopt;
  if (getter && getter->name.starts_with("get_")) return std::string(getter->name.substr(4)) + ".Add";
  return std::string(member.name);
}

void Reader::see_call(Method& method, const stack::Event& event) {
  const auto member = module_->member(event.token);
  if (!member) return;
  const auto [signature, is_new] = signatures_.try_emplace(event.token.value);
  if (is_new) signature->second = module_->signature(member->signature).value_or(metadata::Signature{});
  const Meaning meaning = meanings_.of(event.token);
  const Parameters parameters = signature->second.parameters;
  see_host(meaning, event.arguments, parameters);
  auto call = fact(meaning, event.arguments, parameters);
  if (!call) return;
  call->api = api_name(*member, meaning, event.arguments);
  call->assembly = name_;
  call->method = method.name;
  method.steps.push_back({.call = *std::move(call)});
}

// --- The order of the calls. ---

std::string Reader::name_of_method(std::uint32_t row) const {
  const auto member = module_->member(Token::of(Table::method_def, row));
  return member ? user_method(module_->type_name(member->parent), member->name) : std::string();
}

/// The entry point of an async Main is a method "<Main>" that calls "Main" or "<Main>$".
bool Reader::is_entry(const Method& method) const {
  if (method.name == entry_) return true;
  if (!entry_.ends_with(".<Main>")) return false;
  const std::string type = entry_.substr(0, entry_.size() - std::strlen("<Main>"));
  return method.name == type + "<Main>$" || method.name == type + "Main";
}

/// Takes over the steps of a method, those of its lambda expressions where they are made.
void Reader::place(std::size_t index, unsigned depth) {
  if (std::exchange(methods_[index].is_placed, true)) return;
  for (Step& step : methods_[index].steps) {
    if (step.function == 0) {
      out_.calls.push_back(std::move(step.call));
    } else if (depth < kDeepestLambda) {
      place(by_row_.at(step.function), depth + 1);
    }
  }
}

bool is_called(const Passing& passing) {
  return passing.passed || passing.missing;
}

void add(Passing& passing, const Passing& other) {
  passing.passed |= other.passed;
  passing.missing |= other.missing;
}

void conclude(Code& code) {
  const Hosts& hosts = code.hosts;
  const bool is_generic = is_called(hosts.generic_host) && hosts.web_host_defaults;
  code.builders.clear();
  // new HostBuilder().ConfigureWebHostDefaults() and new WebHostBuilder() have only the settings that the app adds.
  if (!hosts.web_host_builder && (!hosts.web_host_defaults || is_generic)) {
    code.builders = hosts.builders;
    if (is_generic) code.builders.push_back(Builder::gh);
    std::ranges::sort(code.builders);
  }
  Passing arguments = hosts.arguments;
  if (is_generic) add(arguments, hosts.generic_host);
  code.passes_arguments = std::nullopt;
  if (arguments.passed) {
    code.passes_arguments = true;
  } else if (arguments.missing && !hosts.command_line) {
    code.passes_arguments = false;
  }
}

Code Reader::read() && {
  if (!meanings_.has_facts()) return {};
  const Token entry = module_->entry_point();
  if (entry.table() == Table::method_def) entry_ = name_of_method(entry.row());
  find_methods();
  for (Method& method : methods_) read(method);
  // First what nobody refers to, of that what the app starts with; the rest refers to each other.
  for (const bool entry_only : {true, false}) {
    for (std::size_t i = 0; i < methods_.size(); ++i) {
      if (!methods_[i].is_referenced && (!entry_only || is_entry(methods_[i]))) place(i, 0);
    }
  }
  for (std::size_t i = 0; i < methods_.size(); ++i) place(i, 0);
  conclude(out_);
  return std::move(out_);
}

// --- Names that compilers make. ---

/// "Main" of "<Main>b__0", "<Main>g__Local|0_0", "<Main>d__1" and "<Main>d" (Roslyn's GeneratedNames.cs); nothing for
/// other names, as "<Main>$".
std::optional<std::string_view> name_inside(std::string_view name) {
  if (!name.starts_with('<')) return std::nullopt;
  std::size_t depth = 0;
  std::size_t end = 0;
  for (; end < name.size(); ++end) {
    if (name[end] == '<') ++depth;
    if (name[end] == '>' && --depth == 0) break;
  }
  if (end <= 1 || end + 1 >= name.size()) return std::nullopt;
  const std::string_view rest = name.substr(end + 2);
  const bool is_made = name[end + 1] >= 'a' && name[end + 1] <= 'z' && (rest.empty() || rest.starts_with("__"));
  return is_made ? std::optional(name.substr(1, end - 1)) : std::nullopt;
}

std::string_view innermost_name(std::string_view name) {
  while (const auto inside = name_inside(name)) name = *inside;
  return name;
}

// --- deps.json. ---

using Json = rapidjson::Value;

const Json* member(const Json* object, const char* name) {
  if (object == nullptr || !object->IsObject()) return nullptr;
  const auto found = object->FindMember(name);
  return found == object->MemberEnd() ? nullptr : &found->value;
}

void add_files(const Json* library, std::vector<std::string>& out) {
  const Json* files = member(library, "runtime");
  if (files == nullptr || !files->IsObject()) return;
  for (const auto& file : files->GetObject()) {
    const std::string_view path(file.name.GetString(), file.name.GetStringLength());
    const std::string_view name = path.substr(path.rfind('/') + 1);
    if (name.size() > 4 && (name.ends_with(".dll") || name.ends_with(".exe"))) out.emplace_back(name);
  }
}

}  // namespace

std::expected<Code, std::string> read(std::string_view file, std::string_view name) {
  const auto module = Module::read(file);
  if (!module) return std::unexpected(module.error());
  return Reader(*module, name).read();
}

void merge(Code& code, Code other) {
  for (const Builder builder : other.hosts.builders) {
    auto& builders = code.hosts.builders;
    if (std::ranges::find(builders, builder) == builders.end()) builders.push_back(builder);
  }
  code.hosts.web_host_defaults |= other.hosts.web_host_defaults;
  code.hosts.web_host_builder |= other.hosts.web_host_builder;
  add(code.hosts.arguments, other.hosts.arguments);
  add(code.hosts.generic_host, other.hosts.generic_host);
  code.hosts.command_line |= other.hosts.command_line;
  std::ranges::move(other.calls, std::back_inserter(code.calls));
  conclude(code);
}

std::vector<std::string> projects(std::string_view deps_json) {
  rapidjson::Document document;
  if (!host_json::parse(deps_json, document)) return {};
  const Json* name = member(member(&document, "runtimeTarget"), "name");
  const Json* target =
      name != nullptr && name->IsString() ? member(member(&document, "targets"), name->GetString()) : nullptr;
  const Json* libraries = member(&document, "libraries");
  if (libraries == nullptr || !libraries->IsObject()) return {};
  std::vector<std::string> out;
  constexpr std::size_t kMost = 200;  // each is looked for among all
  for (const auto& library : libraries->GetObject()) {
    if (out.size() >= kMost) break;
    const Json* type = member(&library.value, "type");
    if (type == nullptr || !type->IsString() || std::string_view(type->GetString()) != "project") continue;
    add_files(member(target, library.name.GetString()), out);
  }
  return out;
}

std::string user_method(std::string_view type, std::string_view method) {
  std::string_view name = innermost_name(method);
  // Types that the compiler makes are nested in the user's: "<>c", "<>c__DisplayClass0_0", "<Main>d__0".
  const std::size_t made = type.find("+<");
  if (made != std::string_view::npos) {
    for (std::string_view rest = type.substr(made); rest.starts_with('+');) {
      rest.remove_prefix(1);
      const std::size_t end = std::min(rest.find("+<"), rest.size());
      if (const std::string_view inside = innermost_name(rest.substr(0, end)); inside.size() < end) name = inside;
      rest.remove_prefix(end);
    }
    type = type.substr(0, made);
  }
  return std::string(type).append(".").append(name);
}

}  // namespace portshim::assembly
