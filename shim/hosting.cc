#include "shim/hosting.h"

#include <algorithm>
#include <array>
#include <utility>

namespace portshim::hosting {
namespace {

using address::Exception;
using config::Configuration;
using config::Provider;
using config::Setting;
using config::SettingPtr;

constexpr std::array<std::string_view, 3> kPrefixes = {"ASPNETCORE_", "DOTNET_", ""};
/// More spellings of one name than this are no accident: the rest is not predicted.
constexpr std::size_t kMaxVariants = 16;

constexpr std::string_view kNoCertificate =
    "Unable to configure HTTPS endpoint. No server certificate was specified, and the default developer certificate "
    "could not be found or is out of date.\nTo generate a developer certificate run 'dotnet dev-certs https'. To trust "
    "the certificate (Windows and macOS only) run 'dotnet dev-certs https --trust'.\nFor more information on "
    "configuring HTTPS see https://go.microsoft.com/fwlink/?linkid=848054.";

Exception invalid_operation(std::string message) {
  return {.type = "System.InvalidOperationException", .message = std::move(message)};
}

/// The providers that all builders share, for one variant of ambiguous names.
struct Providers {
  Provider aspnetcore, dotnet, plain;
  std::expected<Provider, Exception> arguments;
  Provider server_urls;  ///< wh: "urls" from the obsolete ASPNETCORE_SERVER.URLS
};

/// The variable of exactly this name, as Environment.GetEnvironmentVariable finds it: the first in the block.
SettingPtr exact(const Provider& aspnetcore, std::string_view key, std::string_view name) {
  const SettingPtr setting = aspnetcore.find(key);
  return setting != nullptr && setting->origin.name == name ? setting : nullptr;
}

Providers read_providers(const Input& input, std::size_t variant) {
  Providers all{.aspnetcore = config::from_environment(input.environment, kPrefixes[0], variant),
                .dotnet = config::from_environment(input.environment, kPrefixes[1], variant),
                .plain = config::from_environment(input.environment, kPrefixes[2], variant),
                .arguments = config::from_arguments(input.argv, input.first_argument),
                .server_urls = {}};
  if (const SettingPtr old = exact(all.aspnetcore, "server.urls", "ASPNETCORE_SERVER.URLS")) {
    all.server_urls.set({.key = "urls", .value = old->value, .origin = old->origin});
  }
  return all;
}

/// What a builder hands to Kestrel. The settings point into providers that outlive it.
struct Host {
  Configuration app;      ///< where the Kestrel section is read
  SettingPtr urls;        ///< the effective urls, possibly empty
  SettingPtr http_ports;  ///< null where the builder or version knows no ports
  SettingPtr https_ports;
  bool prefer_if_urls = false;  ///< preferHostingUrls
  Form urls_form = Form::url_list;
  bool has_kestrel = false;        ///< there is something in the Kestrel section
  std::optional<Failure> failure;  ///< the app dies when the host is built
};

/// WebHostUtilities.ParseBool.
bool parse_bool(std::string_view text) {
  return text == "1" || config::fold(text) == "TRUE";
}

Source source_of(SettingPtr setting, Form form, std::size_t item = 0) {
  return {.setting = std::move(setting), .form = form, .item = item};
}

/// The IIS integration (WebHostBuilderIISExtensions.cs): PORT, APPL_PATH and TOKEN together replace urls. Returns the
/// port's setting when all three are there, and sets host.failure when the path is bad.
SettingPtr iis_port(SettingPtr port, const SettingPtr& path, const SettingPtr& token, Host& host) {
  if (port == nullptr || path == nullptr || token == nullptr) return nullptr;
  if (port->empty() || path->empty() || token->empty()) return nullptr;
  if (!path->value->starts_with('/')) {
    host.failure = Failure{.exception = {.type = "System.ArgumentException",
                                         .message = "The path in 'value' must start with '/'. (Parameter 'value')"},
                           .certain = true,
                           .source = source_of(path, Form::none)};
  }
  return port;
}

SettingPtr non_empty(const SettingPtr& setting) {
  return setting == nullptr || setting->empty() ? nullptr : setting;
}

void read_ports(Host& host, int major) {
  if (major < 8) return;
  host.http_ports = host.app.find("http_ports");
  host.https_ports = host.app.find("https_ports");
}

/// WebApplicationBuilder.cs and HostApplicationBuilder.cs: one flat list. On 6 the host's part is chained below.
Host build_web_application(Builder builder, int major, const Providers& from) {
  Host host;
  if (builder == Builder::empty) {
    host.app.add(*from.arguments);
  } else if (major >= 7) {
    host.app.add(from.aspnetcore);
    host.app.add(from.dotnet);
    host.app.add(*from.arguments);
    host.app.add(from.plain);
    host.app.add(*from.arguments);
  } else {
    Configuration web;
    web.add(from.aspnetcore);
    Configuration outer;
    outer.add(from.dotnet);
    outer.chain(std::move(web));
    outer.add(*from.arguments);
    host.app.chain(std::move(outer));
    host.app.add(from.plain);
    host.app.add(*from.arguments);
  }
  host.urls = host.app.find("urls");
  host.prefer_if_urls = parse_bool(host.app.value("preferHostingUrls"));
  read_ports(host, major);
  if (builder == Builder::wab) {
    const SettingPtr port = iis_port(exact(from.aspnetcore, "PORT", "ASPNETCORE_PORT"),
                                     exact(from.aspnetcore, "APPL_PATH", "ASPNETCORE_APPL_PATH"),
                                     exact(from.aspnetcore, "TOKEN", "ASPNETCORE_TOKEN"), host);
    if (port != nullptr) {
      host.urls = port;
      host.urls_form = Form::iis_port;
      host.prefer_if_urls = true;
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
  Configuration outer;
  outer.add(from.dotnet);
  outer.add(*from.arguments);
  outer.chain(web);
  host.app.chain(outer);
  host.app.add(from.plain);
  host.app.add(*from.arguments);

  const SettingPtr iis = iis_port(web.find("PORT"), web.find("APPL_PATH"), web.find("TOKEN"), host);
  SettingPtr own = non_empty(from.arguments->find("urls"));
  if (own == nullptr && from.arguments->find("urls") == nullptr) own = non_empty(from.plain.find("urls"));
  if (iis != nullptr && own == nullptr) {
    host.urls = iis;
    host.urls_form = Form::iis_port;
  } else {
    host.urls = non_empty(host.app.find("urls"));
    if (host.urls == nullptr) host.urls = outer.find("urls");
  }
  SettingPtr prefer = non_empty(host.app.find("preferHostingUrls"));
  if (prefer == nullptr) prefer = non_empty(outer.find("preferHostingUrls"));
  host.prefer_if_urls = prefer != nullptr && parse_bool(*prefer->value);
  // With the IIS variables the web part says true; only the app's own sources are above it.
  if (iis != nullptr) {
    SettingPtr above = from.arguments->find("preferHostingUrls");
    if (above == nullptr) above = from.plain.find("preferHostingUrls");
    host.prefer_if_urls = non_empty(above) == nullptr || parse_bool(*above->value);
  }
  read_ports(host, major);
  return host;
}

/// WebHostBuilder.cs and WebHost.cs: urls come from the host's settings alone, ports from nowhere.
Host build_web_host(const Providers& from) {
  Host host;
  Configuration settings;
  settings.add(from.aspnetcore);
  settings.add(*from.arguments);
  host.app.chain(settings);
  host.app.add(from.plain);
  host.app.add(*from.arguments);

  host.urls = from.arguments->find("urls");
  if (host.urls == nullptr) host.urls = non_empty(from.aspnetcore.find("urls"));
  if (host.urls == nullptr) host.urls = from.server_urls.find("urls");
  if (host.urls == nullptr) host.urls = settings.find("server.urls");
  host.prefer_if_urls = parse_bool(settings.value("preferHostingUrls"));
  const SettingPtr iis = iis_port(settings.find("PORT"), settings.find("APPL_PATH"), settings.find("TOKEN"), host);
  if (iis != nullptr) {
    host.urls = iis;
    host.urls_form = Form::iis_port;
    host.prefer_if_urls = true;
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
              : builder == Builder::wh ? build_web_host(from)
                                       : build_web_application(builder, major, from);
  host.has_kestrel = !host.app.children("Kestrel").empty();
  return host;
}

/// HttpProtocols as ConfigurationReader.ParseProtocols reads it: flags 1, 2, 4; nothing for unknown text.
std::optional<std::int32_t> parse_protocols(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::int32_t>, 6> kNames = {
      {{"NONE", 0}, {"HTTP1", 1}, {"HTTP2", 2}, {"HTTP1ANDHTTP2", 3}, {"HTTP3", 4}, {"HTTP1ANDHTTP2ANDHTTP3", 7}}};
  const std::string name = config::fold(address::trim(text));
  for (const auto& [known, value] : kNames) {
    if (name == known) return value;
  }
  return address::parse_int32(name);
}

constexpr std::int32_t kHttp1 = 1;
constexpr std::int32_t kHttp2 = 2;
constexpr std::int32_t kHttp3 = 4;
constexpr std::int32_t kDefaultProtocols = kHttp1 | kHttp2 | kHttp3;

/// One address on its way to being bound.
struct Candidate {
  std::string text;
  Source source;
  std::int32_t protocols = kDefaultProtocols;
};

/// One start of Kestrel.
class Start {
 public:
  Start(const Host& host, Builder builder, int major, const Input& input, bool lenient)
      : host_(host),
        builder_(builder),
        major_(major),
        lenient_(lenient),
        default_protocols_(read_default_protocols()),
        default_certificate_(input.certificate_in_code || has_certificate("Certificates:Default")) {}

  Run run() {
    if (host_.failure) {
      run_.failure = host_.failure;
      return std::move(run_);
    }
    std::vector<Candidate> endpoints;
    if (host_.has_kestrel && builder_ != Builder::empty && !read_endpoints(endpoints)) return std::move(run_);
    std::vector<Candidate> addresses = read_addresses();
    const bool prefer = host_.prefer_if_urls && !addresses.empty();
    const bool takes_addresses = endpoints.empty() || prefer;
    bind_all(std::move(takes_addresses ? addresses : endpoints), takes_addresses);
    return std::move(run_);
  }

 private:
  /// Ends the start, unless code could have prevented it and this run assumes that it has.
  bool fail(Exception exception, bool certain, Source source) {
    if (lenient_ && !certain) return true;
    run_.failure = Failure{.exception = std::move(exception), .certain = certain, .source = std::move(source)};
    return false;
  }

  [[nodiscard]] std::string_view kestrel(const std::string& key) const {
    return host_.has_kestrel ? host_.app.value("Kestrel:" + key) : std::string_view();
  }

  [[nodiscard]] std::int32_t read_default_protocols() const {
    return parse_protocols(kestrel("EndpointDefaults:Protocols")).value_or(kDefaultProtocols);
  }

  [[nodiscard]] bool has_certificate(const std::string& section) const {
    return !kestrel(section + ":Path").empty() || !kestrel(section + ":Subject").empty();
  }

  /// An https endpoint or address needs a certificate (TlsConfigurationLoader.cs); slim and empty need a call first.
  bool check_https(const std::string& endpoint, const Source& source) {
    const bool configured = !endpoint.empty();
    if (builder_ == Builder::slim || builder_ == Builder::empty) {
      return fail(invalid_operation(
                      configured ? "Call UseKestrelHttpsConfiguration() on IWebHostBuilder to enable loading HTTPS "
                                   "settings from configuration."
                                 : "Call UseKestrelHttpsConfiguration() on IWebHostBuilder to automatically enable "
                                   "HTTPS when an https:// address is used."),
                  false, source);
    }
    if (default_certificate_) return true;
    if (configured && has_certificate("Endpoints:" + endpoint + ":Certificate")) return true;
    return fail(invalid_operation(std::string(kNoCertificate)), false, source);
  }

  /// The first HTTPS-only key of an http endpoint (KestrelConfigurationLoader.cs), or "".
  [[nodiscard]] std::string_view https_only_key(const std::string& name) const {
    static constexpr std::array<std::string_view, 4> kModes = {"NOCERTIFICATE", "ALLOWCERTIFICATE",
                                                               "REQUIRECERTIFICATE", "DELAYCERTIFICATE"};
    const std::string section = "Endpoints:" + name;
    if (has_certificate(section + ":Certificate")) return "Certificate";
    const std::string mode = config::fold(address::trim(kestrel(section + ":ClientCertificateMode")));
    if (std::ranges::find(kModes, mode) != kModes.end() || address::parse_int32(mode)) return "ClientCertificateMode";
    if (!host_.app.children("Kestrel:" + section + ":SslProtocols").empty()) return "SslProtocols";
    if (!host_.app.children("Kestrel:" + section + ":Sni").empty()) return "Sni";
    return {};
  }

  /// The protocols of a configured endpoint. Most have nothing but a Url: that is found out with one look.
  [[nodiscard]] std::int32_t protocols(const std::string& endpoint) const {
    return parse_protocols(kestrel("Endpoints:" + endpoint + ":Protocols")).value_or(default_protocols_);
  }

  [[nodiscard]] bool has_only_url(const std::string& endpoint) const {
    return host_.app.children("Kestrel:Endpoints:" + endpoint).size() == 1;
  }

  /// Kestrel:Endpoints, read whole before anything is chosen or bound (KestrelConfigurationLoader.cs).
  bool read_endpoints(std::vector<Candidate>& out) {
    const std::string default_certificate = "Certificates:Default";
    if (builder_ != Builder::slim && !kestrel(default_certificate + ":Path").empty() &&
        !kestrel(default_certificate + ":Subject").empty()) {
      return fail(invalid_operation("The endpoint Default specified multiple certificate sources."), true,
                  source_of(host_.app.find("Kestrel:Certificates:Default:Path"), Form::none));
    }
    const std::vector<std::string> names = host_.app.children("Kestrel:Endpoints");
    for (const std::string& name : names) {
      const SettingPtr url = host_.app.find("Kestrel:Endpoints:" + name + ":Url");
      if (url == nullptr || url->empty()) {
        return fail(invalid_operation("The endpoint " + name + " is missing the required 'Url' parameter."), true,
                    url == nullptr ? Source{} : source_of(url, Form::single_url));
      }
      out.push_back({.text = *url->value,
                     .source = source_of(url, Form::single_url),
                     .protocols = has_only_url(name) ? default_protocols_ : protocols(name)});
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!check_endpoint(names[i], out[i])) return false;
    }
    return true;
  }

  bool check_endpoint(const std::string& name, const Candidate& endpoint) {
    const auto target = address::resolve(endpoint.text, major_);
    if (!target) return fail(target.error(), true, endpoint.source);
    if (target->https) return check_https(name, endpoint.source);
    const std::string_view key = has_only_url(name) ? "" : https_only_key(name);
    if (key.empty()) return true;
    return fail(invalid_operation("The non-HTTPS endpoint " + name + " includes HTTPS-only configuration for " +
                                  std::string(key) + "."),
                true, endpoint.source);
  }

  void add_addresses(const SettingPtr& setting, Form form, std::vector<Candidate>& out) const {
    if (setting == nullptr || setting->empty()) return;
    const std::vector<std::string> texts = addresses(form, *setting->value);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      out.push_back({.text = texts[i], .source = source_of(setting, form, i), .protocols = default_protocols_});
    }
  }

  /// GenericWebHostService.cs: urls, or where they are empty the ports.
  [[nodiscard]] std::vector<Candidate> read_addresses() const {
    std::vector<Candidate> out;
    if (host_.urls != nullptr && !host_.urls->empty()) {
      add_addresses(host_.urls, host_.urls_form, out);
    } else {
      add_addresses(host_.http_ports, Form::http_ports, out);
      add_addresses(host_.https_ports, Form::https_ports, out);
    }
    return out;
  }

  /// AddressBinder.cs: one after the other; an address is parsed, and its certificate looked for, only at its turn.
  void bind_all(std::vector<Candidate> candidates, bool are_addresses) {
    for (Candidate& candidate : candidates) {
      auto target = address::resolve(candidate.text, major_);
      if (!target) {
        fail(target.error(), true, candidate.source);
        return;
      }
      if (are_addresses && target->https && !check_https({}, candidate.source)) return;
      if (!bind(std::move(candidate), *std::move(target))) return;
    }
    if (candidates.empty()) {
      run_.endpoints.push_back(
          {.target = {.https = false, .bind = address::Bind::localhost, .address = {}, .port = 5000},
           .source = {},
           .text = "http://localhost:5000"});
    }
  }

  /// KestrelServerImpl.cs, OnBind: what the protocols of an endpoint make of it.
  bool bind(Candidate candidate, address::Target target) {
    if (target.bind == address::Bind::named_pipe) {
      return fail({.type = "System.PlatformNotSupportedException",
                   .message = "Named pipes transport requires a Windows operating system."},
                  true, candidate.source);
    }
    const std::int32_t protocols = candidate.protocols;
    if ((protocols & kHttp1) == 0 && (protocols & kHttp3) != 0) {
      if (!target.https) return fail(bind_failure(target, "HTTP/3 requires HTTPS."), true, candidate.source);
      if ((protocols & kHttp2) == 0) {
        return fail(
            bind_failure(target,
                         "Unable to bind an HTTP/3 endpoint. This could be because QUIC has not been configured "
                         "using UseQuic, or the platform doesn't support QUIC or HTTP/3."),
            false, candidate.source);
      }
    }
    if ((protocols & (kHttp1 | kHttp2)) == 0 && protocols != 0) return true;
    run_.endpoints.push_back(
        {.target = std::move(target), .source = std::move(candidate.source), .text = std::move(candidate.text)});
    return true;
  }

  /// LocalhostListenOptions.cs wraps what both loopbacks answer.
  static Exception bind_failure(const address::Target& target, std::string message) {
    if (target.bind != address::Bind::localhost) return invalid_operation(std::move(message));
    return {.type = "System.IO.IOException",
            .message = std::string("Failed to bind to address ") + (target.https ? "https" : "http") +
                       "://localhost:" + std::to_string(target.port) + "."};
  }

  const Host& host_;
  Builder builder_;
  int major_;
  bool lenient_;
  std::int32_t default_protocols_;
  bool default_certificate_;
  Run run_;
};

Prediction predict_one(const Input& input, const Providers& from, Builder builder, int major) {
  const Host host = build(builder, major, from);
  Prediction prediction{.builder = builder, .major = major, .strict = Start(host, builder, major, input, false).run()};
  const auto& failure = prediction.strict.failure;
  if (failure && !failure->certain) prediction.prevented = Start(host, builder, major, input, true).run();
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

std::vector<Piece> pieces(Form form, std::string_view text) {
  if (form == Form::none) return {};
  if (form == Form::single_url || form == Form::iis_port) return {{.begin = 0, .end = text.size()}};
  const bool trims = form != Form::url_list;
  std::vector<Piece> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(';', begin), text.size());
    std::string_view piece = text.substr(begin, end - begin);
    if (trims) piece = address::trim(piece);
    if (!piece.empty()) {
      const auto at = static_cast<std::size_t>(piece.data() - text.data());
      out.push_back({.begin = at, .end = at + piece.size()});
    }
    begin = end + 1;
  }
  return out;
}

std::string_view prefix(Form form) {
  switch (form) {
    case Form::http_ports:
      return "http://*:";
    case Form::https_ports:
      return "https://*:";
    case Form::iis_port:
      return "http://127.0.0.1:";
    default:
      return "";
  }
}

std::vector<std::string> addresses(Form form, std::string_view text) {
  std::vector<std::string> out;
  for (const Piece& piece : pieces(form, text)) {
    out.push_back(std::string(prefix(form)) + std::string(text.substr(piece.begin, piece.end - piece.begin)));
  }
  return out;
}

const config::Origin& Source::origin() const {
  static const config::Origin kDefault;
  return setting ? setting->origin : kDefault;
}

std::string_view Source::key() const {
  return setting ? std::string_view(setting->key) : std::string_view();
}

std::vector<Prediction> predict(const Input& input) {
  const std::size_t variants = std::min(config::count_variants(input.environment, kPrefixes), kMaxVariants);
  std::vector<Prediction> out;
  for (std::size_t variant = 0; variant < variants; ++variant) {
    const Providers from = read_providers(input, variant);
    for (const Builder builder : input.builders) {
      for (const int major : input.majors) {
        if (major < 8 && (builder == Builder::slim || builder == Builder::empty)) continue;
        // 8 and 9 decide alike in everything that is predicted here.
        const bool same = major == 9 && !out.empty() && out.back().major == 8 && out.back().builder == builder;
        out.push_back(same ? Prediction(out.back()) : predict_one(input, from, builder, major));
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
      if (is_address_key(folded)) out.push_back(source_of(setting, form_of(folded)));
    }
  };
  const std::size_t variants = std::min(config::count_variants(input.environment, kPrefixes), kMaxVariants);
  for (std::size_t variant = 0; variant < variants; ++variant) {
    for (const std::string_view name_prefix : kPrefixes) {
      add(config::from_environment(input.environment, name_prefix, variant));
    }
  }
  if (const auto arguments = config::from_arguments(input.argv, input.first_argument)) add(*arguments);
  const auto by_place = [](const Source& source) { return std::pair(source.origin().kind, source.origin().index); };
  std::ranges::sort(out, {}, by_place);
  const auto tail = std::ranges::unique(out, {}, by_place);
  out.erase(tail.begin(), tail.end());
  return out;
}

}  // namespace portshim::hosting
