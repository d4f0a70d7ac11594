#include "shim/hosting.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "shim/environment.h"
#include "shim/path.h"
#include "shim/utf8.h"

namespace portshim::hosting {
namespace {

using address::Exception;
using config::Configuration;
using config::Provider;
using config::Setting;
using config::SettingPtr;
using kestrel::Failure;
using kestrel::Fault;
using kestrel::Files;
using kestrel::Form;
using kestrel::SettingsFile;
using kestrel::Source;

/// More combinations of ambiguous names than this are no accident: the rest is not predicted.
constexpr std::size_t kMaxVariants = 16;

/// The providers that all builders share, for one variant of ambiguous names.
struct Providers {
  const Input& input;
  Provider aspnetcore, dotnet, plain;
  std::expected<Provider, Exception> arguments;
  Provider sections;     ///< wh: keys of which the arguments only have deeper ones, each set to null
  Provider server_urls;  ///< wh: "urls" from the obsolete ASPNETCORE_SERVER.URLS
};

/// The variable of exactly this name, as Environment.GetEnvironmentVariable finds it: the first in the block.
SettingPtr exact(const Provider& aspnetcore, std::string_view key, std::string_view name) {
  const SettingPtr setting = aspnetcore.find(key);
  return setting != nullptr && setting->origin.name == name ? setting : nullptr;
}

/// The variables of each prefix.
struct Environment {
  config::Variables aspnetcore, dotnet, plain;

  explicit Environment(const Input& input)
      : aspnetcore(input.environment, config::kPrefixes[0]),
        dotnet(input.environment, config::kPrefixes[1]),
        plain(input.environment, config::kPrefixes[2]) {}
};

/// Which of several spellings of one name wins: a number for each ambiguous key of the three prefixes.
using Winners = std::vector<std::size_t>;

/// Every combination of winners; where there are too many, as few as let each spelling win once.
std::vector<Winners> combinations(const Environment& environment) {
  Winners counts;
  for (const auto* variables : {&environment.aspnetcore, &environment.dotnet, &environment.plain}) {
    std::ranges::copy(variables->choices(), std::back_inserter(counts));
  }
  std::size_t all = 1;
  for (const std::size_t count : counts) all = std::min(all * count, kMaxVariants + 1);
  const bool too_many = all > kMaxVariants;
  const std::size_t number = too_many ? std::min(std::ranges::max(counts), kMaxVariants) : all;
  std::vector<Winners> out(number, counts);
  for (std::size_t i = 0; i < number; ++i) {
    std::size_t rest = i;
    for (std::size_t& winner : out[i]) {
      const std::size_t count = winner;
      winner = too_many ? std::min(i, count - 1) : rest % count;
      rest /= count;
    }
  }
  return out;
}

std::expected<Provider, Exception> read_arguments(const Input& input) {
  if (!input.passes_arguments) return Provider();
  return config::from_arguments(input.argv, input.first_argument);
}

/// WebHost.CreateDefaultBuilder copies the arguments' configuration key by key, sections too: these have no value, and
/// take away what was there (HostingAbstractionsWebHostBuilderExtensions.cs, UseConfiguration).
Provider null_sections(const Provider& arguments) {
  Provider out;
  for (const auto& [folded, setting] : arguments.settings()) {
    for (std::size_t end = folded.find(':'); end != std::string::npos; end = folded.find(':', end + 1)) {
      const std::string section = folded.substr(0, end);
      if (!config::is_read(section) || arguments.find_folded(section) != nullptr) continue;
      out.set({.key = section, .value = std::nullopt, .origin = setting->origin});
    }
  }
  return out;
}

Providers read_providers(const Input& input, const Environment& environment, std::span<const std::size_t> winners) {
  const auto provider = [&](const config::Variables& variables) {
    const std::size_t count = variables.choices().size();
    Provider out = variables.provider(winners.first(count));
    winners = winners.subspan(count);
    return out;
  };
  Providers all{.input = input,
                .aspnetcore = provider(environment.aspnetcore),
                .dotnet = provider(environment.dotnet),
                .plain = provider(environment.plain),
                .arguments = read_arguments(input),
                .sections = {},
                .server_urls = {}};
  if (all.arguments) all.sections = null_sections(*all.arguments);
  if (const SettingPtr old = exact(all.aspnetcore, "server.urls", "ASPNETCORE_SERVER.URLS")) {
    all.server_urls.set({.key = "urls", .value = old->value, .origin = old->origin});
  }
  return all;
}

/// What a builder has made: Kestrel's setup, or why the app dies before.
struct Host {
  kestrel::Setup kestrel;
  std::optional<Failure> failure;
};

/// The IIS integration (WebHostBuilderIISExtensions.cs): PORT, APPL_PATH and TOKEN together replace urls. Returns the
/// port's setting when all three are there, and sets host.failure when the path is bad.
SettingPtr iis_port(SettingPtr port, const SettingPtr& path, const SettingPtr& token, Host& host) {
  if (port == nullptr || path == nullptr || token == nullptr) return nullptr;
  if (port->empty() || path->empty() || token->empty()) return nullptr;
  if (!path->value->starts_with('/') && !host.failure) {
    host.failure = Failure{.exception = {.type = "System.ArgumentException",
                                         .message = "The path in 'value' must start with '/'. (Parameter 'value')"},
                           .certain = true,
                           .source = {.setting = path}};
  }
  return port;
}

void read_ports(Host& host, int major) {
  if (major < 8) return;
  host.kestrel.http_ports = host.kestrel.configuration.find("http_ports");
  host.kestrel.https_ports = host.kestrel.configuration.find("https_ports");
}

// ---- Address settings --------------------------------------------------------------------------------------------

bool is_address_key(std::string_view folded) {
  constexpr std::string_view kEndpoints = "KESTREL:ENDPOINTS:";
  if (folded == "URLS" || folded == "SERVER.URLS" || folded == "HTTP_PORTS" || folded == "HTTPS_PORTS") return true;
  if (!folded.starts_with(kEndpoints) || !folded.ends_with(":URL")) return false;
  // Exactly one part between them.
  folded.remove_prefix(kEndpoints.size());
  return folded.find(':') == folded.size() - 4;
}

Form form_of(std::string_view folded) {
  if (folded == "HTTP_PORTS") return Form::http_ports;
  if (folded == "HTTPS_PORTS") return Form::https_ports;
  return folded.starts_with("KESTREL:") ? Form::single_url : Form::url_list;
}

// ---- The app's code ----------------------------------------------------------------------------------------------

/// What the code does, as one builder takes it.
struct Code {
  Provider settings;        ///< what it sets, a later call in place of an earlier one
  Provider lower_settings;  ///< empty: what it sets before it adds the variables
  bool adds_variables = false;
  bool reads_section = false;  ///< it names the Kestrel section itself
  bool has_https = false;
  bool has_certificate = false;
  std::vector<SettingPtr> addresses;
  std::vector<kestrel::Listen> listen;
};

bool is_web_application(Builder builder) {
  return builder == Builder::wab || builder == Builder::slim || builder == Builder::empty;
}

/// Stands in for an address that only the app knows.
constexpr std::string_view kUnknownAddress = "http://*:0";

/// Stands in for a value that only the app knows; nothing where any guess could be wrong.
std::optional<std::string> unknown_value(std::string_view key) {
  const std::string folded = config::fold(key);
  if (!is_address_key(folded)) return std::nullopt;
  const Form form = form_of(folded);
  return form == Form::http_ports || form == Form::https_ports ? "0" : std::string(kUnknownAddress);
}

/// Goes through the calls in their order.
class CodeReader {
 public:
  CodeReader(const std::vector<code::Call>& calls, Builder builder) : builder_(builder) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const code::Call& call = calls[i];
      read(call, {.kind = config::Origin::Kind::code, .index = i, .name = "code: " + call.method});
    }
  }
  Code result() && { return std::move(code_); }

 private:
  void read(const code::Call& call, const config::Origin& origin) {
    switch (call.kind) {
      case code::Kind::setting:
        set(call, origin);
        return;
      case code::Kind::address:
        add_address(call, origin);
        return;
      case code::Kind::listen:
        listen(call, origin);
        return;
      case code::Kind::https:
        code_.has_https = true;
        return;
      case code::Kind::certificate:
        code_.has_certificate = true;
        return;
      case code::Kind::environment_variables:
        add_variables();
        return;
      case code::Kind::kestrel_section:
        code_.reads_section = true;
        return;
      case code::Kind::configuration:
      case code::Kind::socket:
        return;
    }
  }

  void set(const code::Call& call, const config::Origin& origin) {
    const std::string key = call.key.empty() && call.api == "UseUrls" ? "urls" : call.key;
    if (!config::is_read(config::fold(key))) return;
    std::optional<std::string> value = call.known ? call.value : unknown_value(key);
    if (value) code_.settings.set({.key = key, .value = std::move(value), .origin = origin});
  }

  /// app.Run(url) takes the place of what is there (WebApplication.cs, Listen).
  void add_address(const code::Call& call, const config::Origin& origin) {
    if (call.api.starts_with("Run") && is_web_application(builder_)) code_.addresses.clear();
    code_.addresses.push_back(
        setting({.key = call.api, .value = call.known ? call.value : std::string(kUnknownAddress), .origin = origin}));
  }

  /// UseHttps makes HTTPS available as UseKestrelHttpsConfiguration does (ListenOptionsHttpsExtensions.cs).
  void listen(const code::Call& call, const config::Origin& origin) {
    const address::Target target = call.known ? call.target : address::Target{};
    code_.has_https |= target.https;
    code_.listen.push_back({.target = target,
                            .setting = setting({.key = call.api, .value = address::to_url(target), .origin = origin}),
                            .has_options = call.has_options,
                            .takes_defaults = builder_ != Builder::empty || code_.reads_section,
                            .known = call.known});
  }

  /// A source is added above what was set before (ConfigurationManager.cs); only an empty builder has no such one.
  void add_variables() {
    if (builder_ != Builder::empty) return;
    if (!code_.adds_variables) code_.lower_settings = std::exchange(code_.settings, Provider());
    code_.adds_variables = true;
  }

  static SettingPtr setting(Setting setting) { return std::make_shared<const Setting>(std::move(setting)); }

  Builder builder_;
  Code code_;
};

// ---- Settings files ----------------------------------------------------------------------------------------------

/// A host-level value; nothing when no source has it. An empty one counts.
std::optional<std::string> host_value(const Configuration& host_level, std::string_view key) {
  const SettingPtr setting = host_level.find(key);
  return setting == nullptr ? std::nullopt : setting->value;
}

/// WebHostBuilder.cs: an empty variable is as none.
bool is_empty_variable(const Setting& setting) {
  return setting.empty() && setting.origin.kind == config::Origin::Kind::variable;
}

/// WebHostBuilder.cs: the environment's name also comes from variables of earlier days.
std::optional<std::string> web_host_environment(const Providers& from, const Configuration& settings) {
  const SettingPtr setting = settings.find("environment");
  if (setting != nullptr && !is_empty_variable(*setting)) return setting->value;
  for (const std::string_view name : {"Hosting:Environment", "ASPNET_ENV"}) {
    if (const auto value = environment::value(from.input.environment, name)) return std::string(*value);
  }
  return std::nullopt;
}

/// Only WebApplication.CreateBuilder takes another name for its files.
std::string application_name(Builder builder, const Providers& from, const Configuration& host_level) {
  std::string name = builder == Builder::wab ? host_value(host_level, "applicationName").value_or("") : "";
  if (name.empty()) name = from.input.application;
  std::ranges::replace(name, '/', '_');
  return name;
}

/// The files that the builder reads, lowest first (HostingHostBuilderExtensions.cs, HostApplicationBuilder.cs).
std::vector<std::string> file_names(Builder builder, int major, const Providers& from,
                                    const Configuration& host_level) {
  const std::string environment =
      (builder == Builder::wh ? web_host_environment(from, host_level) : host_value(host_level, "environment"))
          .value_or("Production");
  std::vector<std::string> names = {"appsettings.json", "appsettings." + environment + ".json"};
  const std::string application = application_name(builder, from, host_level);
  if (major >= 10 && (builder == Builder::wab || builder == Builder::gh) && !application.empty()) {
    names.push_back(application + ".settings.json");
    names.push_back(application + ".settings." + environment + ".json");
  }
  return names;
}

/// The path of a file below the content root; "" for what PhysicalFileProvider never finds: above the root, and names
/// that begin with a dot.
std::string path_below(const std::string& root, const std::string& name) {
  int depth = 0;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = std::string_view(name).substr(begin, end - begin);
    if (part == "..") {
      if (--depth < 0) return {};
    } else if (!part.empty() && part != ".") {
      ++depth;
    }
    begin = end + 1;
  }
  const std::string path = path::normalise(root + "/" + utf8::valid(name));
  return path::last_component(path).starts_with('.') ? "" : path;
}

/// HostingEnvironment's rule: nothing said is the current directory, empty and relative ones start at the app's.
std::string content_root(Builder builder, const Providers& from, const Configuration& host_level) {
  SettingPtr setting = host_level.find("contentRoot");
  if (builder == Builder::wh && setting != nullptr && is_empty_variable(*setting)) setting = nullptr;
  if (setting == nullptr) return from.input.current_directory;
  if (setting->empty()) return from.input.base_directory;
  return path::join(from.input.base_directory, *setting->value);
}

/// The current directory is asked for where no setting was read so far, also by builders that do not use it then.
bool needs_current_directory(Builder builder, const Providers& from) {
  const SettingPtr setting = from.aspnetcore.find("contentRoot");
  return builder == Builder::gh || setting == nullptr || (builder == Builder::wh && setting->empty());
}

/// Sets host.kestrel.content_root, and host.failure when it is no directory.
void enter_content_root(Builder builder, const Providers& from, const Configuration& host_level, Host& host) {
  if (from.input.current_directory.empty() && needs_current_directory(builder, from)) {
    host.failure = Failure{
        .exception = {.type = "System.IO.FileNotFoundException", .message = "Unable to find the specified file."},
        .certain = true,
        .source = {},
        .fault = Fault::content_root,
        .path = "."};
    return;
  }
  host.kestrel.content_root = utf8::valid(content_root(builder, from, host_level));
  std::string normal = path::normalise(host.kestrel.content_root);
  if (from.input.files->is_directory(normal)) return;
  if (!normal.ends_with('/')) normal += '/';
  Exception exception = builder == Builder::wh
                            ? Exception{.type = "System.ArgumentException",
                                        .message = "The content root '" + host.kestrel.content_root +
                                                   "' does not exist. (Parameter 'contentRootPath')"}
                            : Exception{.type = "System.IO.DirectoryNotFoundException", .message = normal};
  host.failure = Failure{.exception = std::move(exception),
                         .certain = true,
                         .source = {.setting = host_level.find("contentRoot")},
                         .fault = Fault::content_root,
                         .path = host.kestrel.content_root};
}

/// The providers of the settings files, lowest first. Sets host.kestrel.content_root, and host.failure when the app
/// dies of one of them.
std::vector<const Provider*> read_files(Builder builder, int major, const Providers& from,
                                        const Configuration& host_level, Host& host) {
  std::vector<const Provider*> out;
  const Files* files = from.input.files;
  if (files == nullptr) return out;
  enter_content_root(builder, from, host_level, host);
  if (host.failure || builder == Builder::empty) return out;
  for (const std::string& name : file_names(builder, major, from, host_level)) {
    const std::string path = path_below(host.kestrel.content_root, name);
    const SettingsFile* file = path.empty() ? nullptr : files->settings(path);
    if (file == nullptr) continue;
    if (*file) {
      out.push_back(&**file);
    } else if (!host.failure) {
      host.failure = Failure{.exception = file->error(),
                             .certain = file->error().type != kestrel::kHang,
                             .source = {},
                             .fault = Fault::settings_file,
                             .path = path};
    }
  }
  return out;
}

/// The app's own sources, above what the host gives: files, variables without prefix, arguments.
void add_app_sources(const Providers& from, const std::vector<const Provider*>& files, Configuration& out) {
  for (const Provider* file : files) out.add(*file);
  out.add(from.plain);
  out.add(*from.arguments);
}

// ---- Builders ----------------------------------------------------------------------------------------------------

/// What a WebApplication builder knows before it reads files: one flat list, on 6 in parts.
Configuration web_application_sources(Builder builder, int major, const Providers& from) {
  Configuration host_level;
  if (builder == Builder::empty) {
    host_level.add(*from.arguments);
  } else if (major >= 7) {
    host_level.add(from.aspnetcore);
    host_level.add(from.dotnet);
    host_level.add(*from.arguments);
  } else {
    Configuration web;
    web.add(from.aspnetcore);
    host_level.add(from.dotnet);
    host_level.chain(std::move(web));
    host_level.add(*from.arguments);
  }
  return host_level;
}

/// What UseUrls and UseSetting set is written into every provider (ConfigurationManager.cs): it is on top.
void add_code(const Providers& from, const Code& code, Configuration& out) {
  if (code.adds_variables) {
    out.add(code.lower_settings);
    out.add(from.plain);
  }
  out.add(code.settings);
}

/// Addresses of the code take the place of urls, ports, and preferHostingUrls (GenericWebHostService.cs).
void put_addresses_first(const Code& code, Host& host) {
  if (code.addresses.empty()) return;
  host.kestrel.urls = nullptr;
  host.kestrel.http_ports = nullptr;
  host.kestrel.https_ports = nullptr;
  host.kestrel.prefer_urls = false;
}

/// WebApplicationBuilder.cs and HostApplicationBuilder.cs. What the code empties comes back from what was known when
/// the builder was made; only what IIS says does not.
Host build_web_application(Builder builder, int major, const Providers& from, const Code& code) {
  Host host;
  const Configuration host_level = web_application_sources(builder, major, from);
  const std::vector<const Provider*> files = read_files(builder, major, from, host_level, host);
  Configuration& configuration = host.kestrel.configuration;
  if (builder == Builder::empty || major >= 7) {
    configuration = host_level;
  } else {
    configuration.chain(host_level);
  }
  if (builder != Builder::empty) add_app_sources(from, files, configuration);
  const Configuration captured = configuration;
  add_code(from, code, configuration);

  const auto find = [&](std::string_view key) {
    const SettingPtr setting = config::non_empty(configuration.find(key));
    return setting != nullptr ? setting : captured.find(key);
  };
  const SettingPtr iis = builder != Builder::wab ? nullptr
                                                 : iis_port(exact(from.aspnetcore, "PORT", "ASPNETCORE_PORT"),
                                                            exact(from.aspnetcore, "APPL_PATH", "ASPNETCORE_APPL_PATH"),
                                                            exact(from.aspnetcore, "TOKEN", "ASPNETCORE_TOKEN"), host);
  const bool iis_urls = iis != nullptr && code.settings.find("urls") == nullptr;
  host.kestrel.urls = iis_urls ? iis : find("urls");
  if (iis_urls) host.kestrel.urls_form = Form::iis_port;
  const SettingPtr prefer = find("preferHostingUrls");
  host.kestrel.prefer_urls = iis != nullptr && code.settings.find("preferHostingUrls") == nullptr
                                 ? true
                                 : prefer != nullptr && !prefer->empty() && config::is_true(*prefer->value);
  read_ports(host, major);
  put_addresses_first(code, host);
  return host;
}

/// HostBuilder.cs and GenericWebHostBuilder.cs: the host's values come through chained configurations, which skip
/// empty ones, and are also captured for urls and preferHostingUrls.
Host build_generic_host(int major, const Providers& from, const Code& code) {
  Host host;
  Configuration web;
  web.add(from.aspnetcore);
  web.add(code.settings);
  Configuration host_level;
  host_level.add(from.dotnet);
  host_level.add(*from.arguments);
  host_level.chain(web);
  Configuration own;
  add_app_sources(from, read_files(Builder::gh, major, from, host_level, host), own);
  host.kestrel.configuration.chain(host_level);
  host.kestrel.configuration.add_all(own);

  // The IIS variables stand in the web part, above what code sets; the app's own sources are above it.
  const SettingPtr iis = iis_port(web.find("PORT"), web.find("APPL_PATH"), web.find("TOKEN"), host);
  if (iis != nullptr && config::non_empty(own.find("urls")) == nullptr) {
    host.kestrel.urls = iis;
    host.kestrel.urls_form = Form::iis_port;
  } else {
    host.kestrel.urls = config::non_empty(host.kestrel.configuration.find("urls"));
    if (host.kestrel.urls == nullptr) host.kestrel.urls = host_level.find("urls");
  }
  SettingPtr prefer = config::non_empty((iis != nullptr ? own : host.kestrel.configuration).find("preferHostingUrls"));
  if (prefer == nullptr && iis == nullptr) prefer = config::non_empty(host_level.find("preferHostingUrls"));
  host.kestrel.prefer_urls = prefer != nullptr ? config::is_true(*prefer->value) : iis != nullptr;
  read_ports(host, major);
  put_addresses_first(code, host);
  return host;
}

/// WebHostBuilder.cs and WebHost.cs: urls come from the host's settings alone, ports from nowhere.
Host build_web_host(int major, const Providers& from, const Code& code) {
  Host host;
  Configuration settings;
  settings.add(from.aspnetcore);
  settings.add(*from.arguments);
  settings.add(from.sections);
  settings.add(code.settings);
  const std::vector<const Provider*> files = read_files(Builder::wh, major, from, settings, host);
  host.kestrel.configuration.chain(settings);
  add_app_sources(from, files, host.kestrel.configuration);

  host.kestrel.urls = settings.find("urls");
  if (host.kestrel.urls != nullptr && is_empty_variable(*host.kestrel.urls)) host.kestrel.urls = nullptr;
  if (host.kestrel.urls == nullptr) host.kestrel.urls = from.server_urls.find("urls");
  if (host.kestrel.urls == nullptr || !host.kestrel.urls->value) host.kestrel.urls = settings.find("server.urls");
  host.kestrel.prefer_urls = config::is_true(settings.value("preferHostingUrls"));
  const SettingPtr iis = iis_port(settings.find("PORT"), settings.find("APPL_PATH"), settings.find("TOKEN"), host);
  if (iis != nullptr) {
    host.kestrel.urls = iis;
    host.kestrel.urls_form = Form::iis_port;
    host.kestrel.prefer_urls = true;
  }
  // Addresses of the code come behind these, and alone they are not preferred.
  if (config::non_empty(host.kestrel.urls) == nullptr) host.kestrel.prefer_urls = false;
  return host;
}

Host build(Builder builder, int major, const Providers& from, const Code& code) {
  if (!from.arguments) {
    Host host;
    host.failure = Failure{.exception = from.arguments.error(), .certain = true, .source = {}};
    return host;
  }
  Host host = builder == Builder::gh   ? build_generic_host(major, from, code)
              : builder == Builder::wh ? build_web_host(major, from, code)
                                       : build_web_application(builder, major, from, code);
  kestrel::Setup& setup = host.kestrel;
  setup.addresses = code.addresses;
  setup.listen = code.listen;
  setup.reads_section = builder != Builder::empty || code.reads_section;
  setup.has_https = (builder != Builder::slim && builder != Builder::empty) || code.has_https;
  setup.certificate_in_code = from.input.certificate_in_code || code.has_certificate;
  setup.files = from.input.files;
  setup.major = major;
  return host;
}

kestrel::Run start(const Host& host, bool strict) {
  if (host.failure && (strict || host.failure->certain)) return {.endpoints = {}, .failure = host.failure};
  return kestrel::start(host.kestrel, strict);
}

Prediction predict_one(const Providers& from, Builder builder, int major) {
  const Code code = CodeReader(from.input.code, builder).result();
  const Host host = build(builder, major, from, code);
  Prediction prediction{.builder = builder, .major = major, .logging = {}, .strict = start(host, true)};
  if (builder != Builder::empty) prediction.logging = host.kestrel.configuration.below("Logging");
  const auto& failure = prediction.strict.failure;
  if (failure && !failure->certain) prediction.prevented = start(host, false);
  return prediction;
}

}  // namespace

std::string_view to_string(Builder builder) {
  switch (builder) {
    case Builder::wab:
      return "wab";
    case Builder::slim:
      return "slim";
    case Builder::gh:
      return "gh";
    case Builder::wh:
      return "wh";
    case Builder::empty:
      return "empty";
  }
  return "";
}

std::vector<Prediction> predict(const Input& input) {
  const Environment environment(input);
  const std::vector<Winners> winners = combinations(environment);
  std::vector<Prediction> out;
  for (std::size_t variant = 0; variant < winners.size(); ++variant) {
    const Providers from = read_providers(input, environment, winners[variant]);
    for (const Builder builder : input.builders) {
      for (const int major : input.majors) {
        if (major < 8 && (builder == Builder::slim || builder == Builder::empty)) continue;
        // 8 and 9 decide alike; only the text of a certificate's failure differs.
        const bool same = major == 9 && !out.empty() && out.back().major == 8 && out.back().builder == builder &&
                          (!out.back().strict.failure || out.back().strict.failure->fault != Fault::certificate);
        out.push_back(same ? Prediction(out.back()) : predict_one(from, builder, major));
        out.back().major = major;
        out.back().variant = variant;
      }
    }
  }
  return out;
}

std::vector<Source> address_settings(const Input& input) {
  std::vector<Source> out;
  const auto add = [&](const Provider& provider) {
    for (const auto& [folded, setting] : provider.settings()) {
      if (is_address_key(folded)) out.push_back({.setting = setting, .form = form_of(folded)});
    }
  };
  const Environment environment(input);
  for (const Winners& winners : combinations(environment)) {
    const Providers from = read_providers(input, environment, winners);
    for (const Provider* provider : {&from.aspnetcore, &from.dotnet, &from.plain}) add(*provider);
  }
  if (const auto arguments = read_arguments(input)) add(*arguments);
  const auto by_place = [](const Source& source) { return std::pair(source.origin().kind, source.origin().index); };
  std::ranges::sort(out, {}, by_place);
  const auto tail = std::ranges::unique(out, {}, by_place);
  out.erase(tail.begin(), tail.end());
  return out;
}

}  // namespace portshim::hosting
