// What the app's code does in a case of kestrel/oracle (AppCode.cs), as facts for the prediction.
#pragma once

#include <rapidjson/document.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "shim/address.h"
#include "shim/code.h"

namespace portshim::support {

/// An operation, ["Listen", "127.0.0.1", 80].
class Operation {
 public:
  explicit Operation(const rapidjson::Value& array) : array_(array) {}

  [[nodiscard]] std::string name() const { return text(0); }
  [[nodiscard]] std::string text(rapidjson::SizeType index) const {
    return {array_[index].GetString(), array_[index].GetStringLength()};
  }
  [[nodiscard]] std::uint16_t port(rapidjson::SizeType index) const {
    return static_cast<std::uint16_t>(array_[index].GetUint());
  }
  [[nodiscard]] bool flag(rapidjson::SizeType index) const { return array_[index].GetBool(); }
  /// UseUrls("a", "b") is "a;b" (HostingAbstractionsWebHostBuilderExtensions.cs).
  [[nodiscard]] std::string joined() const {
    std::string out;
    for (rapidjson::SizeType i = 1; i < array_.Size(); ++i) out += (i > 1 ? ";" : "") + text(i);
    return out;
  }

 private:
  const rapidjson::Value& array_;
};

/// A Listen… operation.
inline code::Call listen_call(const Operation& operation) {
  using enum address::Bind;
  const std::string name = operation.name();
  code::Call call{.kind = code::Kind::listen, .api = name};
  if (name == "Listen" || name == "ListenHttps") {
    call.api = "Listen";
    call.has_options = name == "ListenHttps";
    call.target = {.https = call.has_options,
                   .bind = ip,
                   .address = address::parse_ip(operation.text(1)).value(),
                   .port = operation.port(2)};
  } else if (name == "ListenUnixSocket") {
    call.target = {.https = false, .bind = unix_socket, .address = operation.text(1), .port = 0};
  } else {
    const bool is_local = name == "ListenLocalhost";
    call.target = {.https = false, .bind = is_local ? localhost : any, .address = {}, .port = operation.port(1)};
  }
  return call;
}

/// Throws for what no Call can say.
inline code::Call call_of(const Operation& operation) {
  using enum code::Kind;
  const std::string name = operation.name();
  if (name == "UseUrls") return {.kind = setting, .api = name, .key = "urls", .value = operation.joined()};
  if (name == "UseSetting" || name == "ConfigSet") {
    return {.kind = setting, .api = name, .key = operation.text(1), .value = operation.text(2)};
  }
  if (name == "PreferHostingUrls") {
    const std::string value = operation.flag(1) ? "true" : "false";
    return {.kind = setting, .api = name, .key = "preferHostingUrls", .value = value};
  }
  if (name == "AppUrlsAdd") return {.kind = code::Kind::address, .api = "Add", .value = operation.text(1)};
  if (name == "AppRun") return {.kind = code::Kind::address, .api = "Run", .value = operation.text(1)};
  if (name == "UseKestrelHttpsConfiguration") return {.kind = https, .api = name};
  if (name == "AddEnvironmentVariables") return {.kind = environment_variables, .api = name};
  if (name == "KestrelConfigure") return {.kind = kestrel_section, .api = "Configure"};
  if (name.contains("Listen")) return listen_call(operation);
  throw std::runtime_error("no call says " + name);
}

/// The member "code" of a case, in the order in which it is carried out: HostRun.cs changes the configuration when the
/// web host is configured, and adds addresses when it is built.
inline std::vector<code::Call> calls_of(const rapidjson::Value& one) {
  std::vector<code::Call> calls;
  if (!one.HasMember("code")) return calls;
  for (const auto& operation : one["code"].GetArray()) {
    const std::string name = Operation(operation).name();
    if (name.starts_with("UseKestrelListen")) calls.push_back({.kind = code::Kind::https, .api = "UseKestrel"});
    calls.push_back(call_of(Operation(operation)));
  }
  const auto stage = [](const code::Call& call) {
    if (call.kind == code::Kind::address) return 2;
    return call.kind == code::Kind::environment_variables || call.api == "ConfigSet" ? 1 : 0;
  };
  std::ranges::stable_sort(calls, {}, stage);
  for (code::Call& call : calls) call.method = "Program.<Main>$";
  return calls;
}

}  // namespace portshim::support
