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
                .arguments = config::from_arguments(input.argv, input.first_argument),
                .server_urls = {}};
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

// ---- Settings files ----------------------------------------------------------------------------------------------

/// A host-level value; nothing when no source has it. An empty one counts.
std::optional<std::string> host_value(const Configuration& host_level, std::string_view key) {
  const SettingPtr setting = host_level.find(key);
  return setting == nullptr ? std::nullopt : setting->value;
}

/// WebHostBuilder.cs: the environment's name also comes from variables of earlier days.
std::optional<std::string> web_host_environment(const Providers& from) {
  if (const SettingPtr argument = from.arguments->find("environment")) return argument->value;
  if (const SettingPtr variable = config::non_empty(from.aspnetcore.find("environment"))) return variable->value;
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
      (builder == Builder::wh ? web_host_environment(from) : host_value(host_level, "environment"))
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
  if (builder == Builder::wh && setting != nullptr && setting->empty() &&
      setting->origin.kind == config::Origin::Kind::variable) {
    setting = nullptr;
  }
  if (setting == nullptr) return from.input.current_directory;
  if (setting->empty()) return from.input.base_directory;
  return setting->value->starts_with('/') ? *setting->value : from.input.base_directory + "/" + *setting->value;
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

/// WebApplicationBuilder.cs and HostApplicationBuilder.cs: one flat list. On 6 the host's part is chained below.
Host build_web_application(Builder builder, int major, const Providers& from) {
  Host host;
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
  const std::vector<const Provider*> files = read_files(builder, major, from, host_level, host);
  if (builder == Builder::empty || major >= 7) {
    host.kestrel.configuration = host_level;
  } else {
    host.kestrel.configuration.chain(host_level);
  }
  if (builder != Builder::empty) add_app_sources(from, files, host.kestrel.configuration);
  host.kestrel.urls = host.kestrel.configuration.find("urls");
  host.kestrel.prefer_urls = config::is_true(host.kestrel.configuration.value("preferHostingUrls"));
  read_ports(host, major);
  if (builder == Builder::wab) {
    const SettingPtr port = iis_port(exact(from.aspnetcore, "PORT", "ASPNETCORE_PORT"),
                                     exact(from.aspnetcore, "APPL_PATH", "ASPNETCORE_APPL_PATH"),
                                     exact(from.aspnetcore, "TOKEN", "ASPNETCORE_TOKEN"), host);
    if (port != nullptr) {
      host.kestrel.urls = port;
      host.kestrel.urls_form = Form::iis_port;
      host.kestrel.prefer_urls = true;
    }
  }
  return host;
}

/// HostBuilder.cs and GenericWebHostBuilder.cs: the host's values come through chained configurations, which skip
/// empty ones, and are also captured for urls and preferHostingUrls.
Host build_generic_host(int major, const Providers& from) {
  Host host;
  Configuration web;
  web.add(from.aspnetcore);
  Configuration host_level;
  host_level.add(from.dotnet);
  host_level.add(*from.arguments);
  host_level.chain(web);
  Configuration own;
  add_app_sources(from, read_files(Builder::gh, major, from, host_level, host), own);
  host.kestrel.configuration.chain(host_level);
  host.kestrel.configuration.add_all(own);

  // The IIS variables stand in the web part; the app's own sources are above it.
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
  return host;
}

/// WebHostBuilder.cs and WebHost.cs: urls come from the host's settings alone, ports from nowhere.
Host build_web_host(int major, const Providers& from) {
  Host host;
  Configuration settings;
  settings.add(from.aspnetcore);
  settings.add(*from.arguments);
  const std::vector<const Provider*> files = read_files(Builder::wh, major, from, settings, host);
  host.kestrel.configuration.chain(settings);
  add_app_sources(from, files, host.kestrel.configuration);

  host.kestrel.urls = from.arguments->find("urls");
  if (host.kestrel.urls == nullptr) host.kestrel.urls = config::non_empty(from.aspnetcore.find("urls"));
  if (host.kestrel.urls == nullptr) host.kestrel.urls = from.server_urls.find("urls");
  if (host.kestrel.urls == nullptr) host.kestrel.urls = settings.find("server.urls");
  host.kestrel.prefer_urls = config::is_true(settings.value("preferHostingUrls"));
  const SettingPtr iis = iis_port(settings.find("PORT"), settings.find("APPL_PATH"), settings.find("TOKEN"), host);
  if (iis != nullptr) {
    host.kestrel.urls = iis;
    host.kestrel.urls_form = Form::iis_port;
    host.kestrel.prefer_urls = true;
  }
  return host;
}

Host build(Builder builder, int major, const Providers& from) {
  if (!from.arguments) {
    Host host;
    host.failure = Failure{.exception = from.arguments.error(), .certain = true, .source = {}};
    return host;
  }
  Host host = builder == Builder::gh   ? build_generic_host(major, from)
              : builder == Builder::wh ? build_web_host(major, from)
                                       : build_web_application(builder, major, from);
  kestrel::Setup& setup = host.kestrel;
  setup.reads_section = builder != Builder::empty;
  setup.has_https = builder != Builder::slim && builder != Builder::empty;
  setup.certificate_in_code = from.input.certificate_in_code;
  setup.files = from.input.files;
  setup.major = major;
  return host;
}

kestrel::Run start(const Host& host, bool strict) {
  if (host.failure && (strict || host.failure->certain)) return {.endpoints = {}, .failure = host.failure};
  return kestrel::start(host.kestrel, strict);
}

Prediction predict_one(const Providers& from, Builder builder, int major) {
  const Host host = build(builder, major, from);
  Prediction prediction{.builder = builder, .major = major, .strict = start(host, true)};
  const auto& failure = prediction.strict.failure;
  if (failure && !failure->certain) prediction.prevented = start(host, false);
  return prediction;
}

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
  if (const auto arguments = config::from_arguments(input.argv, input.first_argument)) add(*arguments);
  const auto by_place = [](const Source& source) { return std::pair(source.origin().kind, source.origin().index); };
  std::ranges::sort(out, {}, by_place);
  const auto tail = std::ranges::unique(out, {}, by_place);
  out.erase(tail.begin(), tail.end());
  return out;
}

}  // namespace portshim::hosting
