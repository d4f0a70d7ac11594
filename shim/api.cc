#include "shim/api.h"

namespace portshim::api {
namespace {

constexpr std::string_view kWebApplication = "Microsoft.AspNetCore.Builder.WebApplication";
constexpr std::string_view kWebApplicationOptions = "Microsoft.AspNetCore.Builder.WebApplicationOptions";
constexpr std::string_view kConfigureWebHostBuilder = "Microsoft.AspNetCore.Builder.ConfigureWebHostBuilder";
constexpr std::string_view kWebHost = "Microsoft.AspNetCore.WebHost";
constexpr std::string_view kWebHostBuilder = "Microsoft.AspNetCore.Hosting.WebHostBuilder";
constexpr std::string_view kIWebHostBuilder = "Microsoft.AspNetCore.Hosting.IWebHostBuilder";
constexpr std::string_view kWebHostExtensions =
    "Microsoft.AspNetCore.Hosting.HostingAbstractionsWebHostBuilderExtensions";
constexpr std::string_view kKestrelExtensions = "Microsoft.AspNetCore.Hosting.WebHostBuilderKestrelExtensions";
constexpr std::string_view kAddresses = "Microsoft.AspNetCore.Hosting.Server.Features.IServerAddressesFeature";
constexpr std::string_view kKestrel = "Microsoft.AspNetCore.Server.Kestrel.Core.KestrelServerOptions";
constexpr std::string_view kLoader = "Microsoft.AspNetCore.Server.Kestrel.KestrelConfigurationLoader";
constexpr std::string_view kHttpsOptions = "Microsoft.AspNetCore.Server.Kestrel.Https.HttpsConnectionAdapterOptions";
constexpr std::string_view kUseHttps = "Microsoft.AspNetCore.Hosting.ListenOptionsHttpsExtensions";
constexpr std::string_view kHost = "Microsoft.Extensions.Hosting.Host";
constexpr std::string_view kHostSettings = "Microsoft.Extensions.Hosting.HostApplicationBuilderSettings";
constexpr std::string_view kHostDefaults = "Microsoft.Extensions.Hosting.GenericHostBuilderExtensions";
constexpr std::string_view kHostWebHost = "Microsoft.Extensions.Hosting.GenericHostWebHostBuilderExtensions";
constexpr std::string_view kCommandLine = "Microsoft.Extensions.Configuration.CommandLineConfigurationExtensions";
constexpr std::string_view kVariables = "Microsoft.Extensions.Configuration.EnvironmentVariablesExtensions";
constexpr std::string_view kConfiguration = "Microsoft.Extensions.Configuration.IConfiguration";
constexpr std::string_view kConfigurationBuilder = "Microsoft.Extensions.Configuration.IConfigurationBuilder";
constexpr std::string_view kConfigurationManager = "Microsoft.Extensions.Configuration.ConfigurationManager";
constexpr std::string_view kStrings = "System.Collections.Generic.ICollection`1<System.String>";
constexpr std::string_view kTcpListener = "System.Net.Sockets.TcpListener";
constexpr std::string_view kHandler = "System.Runtime.CompilerServices.DefaultInterpolatedStringHandler";

constexpr Method kMethods[] = {
    {kWebApplication, "CreateBuilder", Meaning::web_application},
    {kWebApplication, "Create", Meaning::web_application},
    {kWebApplication, "CreateSlimBuilder", Meaning::slim_web_application},
    {kWebApplication, "CreateEmptyBuilder", Meaning::empty_web_application},
    {kWebApplication, "Run", Meaning::run},
    {kWebApplication, "RunAsync", Meaning::run},
    {kWebApplication, "get_Urls", Meaning::addresses},
    {kWebApplicationOptions, "set_Args", Meaning::options_arguments},
    {kConfigureWebHostBuilder, "UseSetting", Meaning::use_setting},
    {kWebHost, "CreateDefaultBuilder", Meaning::web_host},
    {kWebHost, "Start", Meaning::web_host_start},
    {kWebHost, "StartWith", Meaning::web_host_start},
    {kWebHostBuilder, ".ctor", Meaning::web_host_builder},
    {kWebHostBuilder, "UseSetting", Meaning::use_setting},
    {kIWebHostBuilder, "UseSetting", Meaning::use_setting},
    {kWebHostExtensions, "UseUrls", Meaning::use_urls},
    {kWebHostExtensions, "PreferHostingUrls", Meaning::prefer_hosting_urls},
    {kWebHostExtensions, "UseConfiguration", Meaning::configuration},
    {kKestrelExtensions, "UseKestrel", Meaning::https_configuration},  // UseKestrelCore does not bring it
    {kKestrelExtensions, "UseKestrelHttpsConfiguration", Meaning::https_configuration},
    {kHttpsOptions, "set_ServerCertificate", Meaning::certificate},
    {kHttpsOptions, "set_ServerCertificateSelector", Meaning::certificate},
    {kAddresses, "get_Addresses", Meaning::addresses},
    {kKestrel, "Listen", Meaning::listen},
    {kKestrel, "ListenAnyIP", Meaning::listen_any_ip},
    {kKestrel, "ListenLocalhost", Meaning::listen_localhost},
    {kKestrel, "ListenUnixSocket", Meaning::listen_unix_socket},
    {kKestrel, "ListenNamedPipe", Meaning::listen_named_pipe},
    {kKestrel, "ListenHandle", Meaning::listen_handle},
    {kKestrel, "Configure", Meaning::kestrel_section},
    {kLoader, "Endpoint", Meaning::listen},
    {kLoader, "AnyIPEndpoint", Meaning::listen_any_ip},
    {kLoader, "LocalhostEndpoint", Meaning::listen_localhost},
    {kLoader, "UnixSocketEndpoint", Meaning::listen_unix_socket},
    {kLoader, "NamedPipeEndpoint", Meaning::listen_named_pipe},
    {kLoader, "HandleEndpoint", Meaning::listen_handle},
    {kUseHttps, "UseHttps", Meaning::use_https},
    {kHost, "CreateDefaultBuilder", Meaning::generic_host},
    {kHost, "CreateApplicationBuilder", Meaning::generic_host},
    {kHostSettings, "set_Args", Meaning::options_arguments},
    {kHostDefaults, "ConfigureWebHostDefaults", Meaning::web_host_defaults},
    {kHostWebHost, "ConfigureWebHost", Meaning::web_host_builder},
    {kCommandLine, "AddCommandLine", Meaning::add_command_line},
    {kVariables, "AddEnvironmentVariables", Meaning::environment_variables},
    {kConfiguration, "set_Item", Meaning::set_item},
    {kConfiguration, "GetSection", Meaning::get_section},
    {kConfigurationBuilder, "Add", Meaning::configuration},
    {kConfigurationManager, "set_Item", Meaning::set_manager_item},
    {kConfigurationManager, "GetSection", Meaning::get_section},
    {kStrings, "Add", Meaning::collection_add},
    {kTcpListener, ".ctor", Meaning::tcp_listener},
    {kTcpListener, "Create", Meaning::tcp_listener_create},
    {"System.Net.Sockets.UdpClient", ".ctor", Meaning::udp_client},
    {"System.Net.Sockets.Socket", "Bind", Meaning::socket_bind},
    {"System.Net.Sockets.UnixDomainSocketEndPoint", ".ctor", Meaning::unix_end_point},
    {"System.Net.IPAddress", "Parse", Meaning::parse_ip_address},
    {"System.Net.IPEndPoint", ".ctor", Meaning::ip_end_point},
    {"System.Array", "Empty", Meaning::empty_array},
    {"System.String", "Concat", Meaning::concat},
    {kHandler, ".ctor", Meaning::handler_create},
    {kHandler, "AppendLiteral", Meaning::handler_append},
    {kHandler, "AppendFormatted", Meaning::handler_append},
    {kHandler, "ToStringAndClear", Meaning::handler_finish},
};

/// Extension methods that add a source of settings: AddJsonFile, AddInMemoryCollection, AddAzureKeyVault, ….
constexpr std::string_view kConfigurationNamespace = "Microsoft.Extensions.Configuration.";
constexpr Method kAnyConfiguration = {"", "", Meaning::configuration};

bool is_configuration_extension(std::string_view type) {
  return type.starts_with(kConfigurationNamespace) && type.ends_with("Extensions") &&
         type.find('.', kConfigurationNamespace.size()) == std::string_view::npos;
}

}  // namespace

std::vector<const Method*> methods_of(std::string_view type) {
  std::vector<const Method*> out;
  if (!type.starts_with("Microsoft.") && !type.starts_with("System.")) return out;
  for (const Method& method : kMethods) {
    if (method.type == type) out.push_back(&method);
  }
  if (out.empty() && is_configuration_extension(type)) out.push_back(&kAnyConfiguration);
  return out;
}

Meaning meaning(const std::vector<const Method*>& methods, std::string_view name) {
  for (const Method* method : methods) {
    if (method == &kAnyConfiguration ? name.starts_with("Add") : method->name == name) return method->meaning;
  }
  return Meaning::none;
}

}  // namespace portshim::api
