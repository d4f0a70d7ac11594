// The methods of .NET whose calls say something of an app's host and of its endpoints. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace portshim::api {

/// What a call means.
enum class Meaning : std::uint8_t {
  none,
  // builders
  web_application,
  slim_web_application,
  empty_web_application,
  generic_host,
  web_host_defaults,  ///< makes a web host of a generic host
  web_host,
  web_host_start,    ///< WebHost.Start, StartWith: a builder too
  web_host_builder,  ///< new WebHostBuilder(): nothing is known
  add_command_line,
  // settings and addresses
  use_urls,
  prefer_hosting_urls,
  use_setting,
  run,
  collection_add,  ///< ICollection<string>.Add, on the addresses alone
  https_configuration,
  certificate,
  kestrel_section,
  configuration,
  set_item,          ///< configuration[key] = value
  set_manager_item,  ///< the same of WebApplicationBuilder.Configuration: as its UseSetting does
  environment_variables,
  // endpoints
  listen,  ///< an address or an end point
  listen_any_ip,
  listen_localhost,
  listen_unix_socket,
  listen_named_pipe,
  listen_handle,
  tcp_listener,
  tcp_listener_create,
  udp_client,
  socket_bind,
  // what other calls are about; they say nothing by themselves
  options_arguments,  ///< the setter of the options' Args
  use_https,
  addresses,  ///< the getter of the addresses
  parse_ip_address,
  ip_end_point,
  unix_end_point,
  empty_array,
  get_section,
  concat,
  handler_create,
  handler_append,
  handler_finish,
};

/// A call with this meaning is a fact by itself.
[[nodiscard]] constexpr bool is_fact(Meaning meaning) {
  return meaning != Meaning::none && meaning < Meaning::options_arguments;
}

/// A method of a type, or with the name "" any method.
struct Method {
  std::string_view type;
  std::string_view name;
  Meaning meaning;
};

/// The methods of a type by its full name; empty for a type that does not matter.
[[nodiscard]] std::vector<const Method*> methods_of(std::string_view type);

/// The meaning of the method `name` among the methods of a type.
[[nodiscard]] Meaning meaning(const std::vector<const Method*>& methods, std::string_view name);

}  // namespace portshim::api
