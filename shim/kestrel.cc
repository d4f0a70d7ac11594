#include "shim/kestrel.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "shim/path.h"

namespace portshim::kestrel {
namespace {

using address::Exception;
using address::Target;
using config::SettingPtr;

constexpr std::string_view kNoCertificate =
    "Unable to configure HTTPS endpoint. No server certificate was specified, and the default developer certificate "
    "could not be found or is out of date.\nTo generate a developer certificate run 'dotnet dev-certs https'. To trust "
    "the certificate (Windows and macOS only) run 'dotnet dev-certs https --trust'.\nFor more information on "
    "configuring HTTPS see https://go.microsoft.com/fwlink/?linkid=848054.";

Exception invalid_operation(std::string message) {
  return {.type = "System.InvalidOperationException", .message = std::move(message)};
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

/// A server certificate that was looked for.
enum class Certificate : std::uint8_t { none, without_key, whole };

constexpr std::int32_t kHttp1 = 1;
constexpr std::int32_t kHttp2 = 2;
constexpr std::int32_t kHttp3 = 4;
constexpr std::int32_t kDefaultProtocols = kHttp1 | kHttp2 | kHttp3;

/// One address on its way to being bound.
struct Candidate {
  std::string text;
  Source source;
  std::int32_t protocols = kDefaultProtocols;
  bool has_options = false;           ///< an endpoint that says more than its Url, or that a delegate configures
  std::optional<Target> target = {};  ///< of code; else it is read from the text
  bool lacks_key = false;             ///< its certificate does
};

/// One start of Kestrel.
class Start {
 public:
  Start(const Setup& setup, bool strict)
      : setup_(setup),
        strict_(strict),
        has_section_(setup.reads_section && !setup.configuration.children("Kestrel").empty()),
        default_protocols_(read_default_protocols()),
        default_certificate_(setup.certificate_in_code ? Certificate::whole : Certificate::none) {}

  Run run() {
    std::vector<Candidate> endpoints;
    if (!read_listen(endpoints)) return std::move(run_);
    if (has_section_ && !read_endpoints(endpoints)) return std::move(run_);
    std::vector<Candidate> addresses = read_addresses();
    const bool prefer = setup_.prefer_urls && !addresses.empty();
    const bool takes_addresses = endpoints.empty() || prefer;
    bind_all(std::move(takes_addresses ? addresses : endpoints), takes_addresses);
    return std::move(run_);
  }

 private:
  /// Ends the start, unless code could have prevented it and this run assumes that it has.
  bool fail(Exception exception, bool certain, Source source, Fault fault = Fault::setting, std::string path = {}) {
    if (!strict_ && !certain) return true;
    run_.failure = Failure{.exception = std::move(exception),
                           .certain = certain,
                           .source = std::move(source),
                           .fault = fault,
                           .path = std::move(path)};
    return false;
  }

  [[nodiscard]] std::string_view kestrel(const std::string& key) const {
    return has_section_ ? setup_.configuration.value("Kestrel:" + key) : std::string_view();
  }

  [[nodiscard]] std::int32_t read_default_protocols() const {
    return parse_protocols(kestrel("EndpointDefaults:Protocols")).value_or(kDefaultProtocols);
  }

  [[nodiscard]] bool has_certificate(const std::string& section) const {
    return !kestrel(section + ":Path").empty() || !kestrel(section + ":Subject").empty();
  }

  /// CertificateConfigLoader.cs: loads what a Certificate section names, if it names anything; `found` says whether.
  /// False when the start ends here.
  bool load_certificate(const std::string& section, const std::string& name, Certificate& found) {
    found = has_certificate(section) ? Certificate::whole : Certificate::none;
    if (found == Certificate::none) return true;
    const SettingPtr path = config::non_empty(setup_.configuration.find("Kestrel:" + section + ":Path"));
    const SettingPtr subject = config::non_empty(setup_.configuration.find("Kestrel:" + section + ":Subject"));
    if (path != nullptr && subject != nullptr) {
      return fail(invalid_operation("The endpoint " + name + " specified multiple certificate sources."), true,
                  {.setting = path});
    }
    return path != nullptr ? load_certificate_files(section, path, found) : look_up_certificate(section, subject);
  }

  bool load_certificate_files(const std::string& section, const SettingPtr& path, Certificate& found) {
    if (setup_.files == nullptr) return true;
    const std::string file = in_content_root(*path->value);
    const auto content = setup_.files->certificate(file, setup_.major);
    if (!content && !fail_to_load(content.error(), path, file)) return false;
    const SettingPtr key = setup_.configuration.find("Kestrel:" + section + ":KeyPath");
    if (!is_set(key)) {
      if (content == Content::certificate) found = Certificate::without_key;
      return true;
    }
    const std::string key_file = in_content_root(key->value.value_or(""));
    if (content == Content::pkcs12) {
      return fail_to_load(invalid_operation("The provided key file is missing or invalid."), key, key_file);
    }
    const bool with_password = is_set(setup_.configuration.find("Kestrel:" + section + ":Password"));
    const auto exception = setup_.files->private_key(key_file, with_password);
    return !exception || fail_to_load(*exception, key, key_file);
  }

  /// Before 10 null is as "".
  [[nodiscard]] bool is_set(const SettingPtr& setting) const {
    return setting != nullptr && (setting->value || setup_.major < 10);
  }

  [[nodiscard]] std::string in_content_root(const std::string& path) const {
    return path.empty() ? setup_.content_root : path::normalise(path::join(setup_.content_root, path));
  }

  bool fail_to_load(const Exception& exception, const SettingPtr& setting, const std::string& file) {
    return fail(exception, exception.type != kHang, {.setting = setting}, Fault::certificate, file);
  }

  /// Where the user's certificate store has some, one of them is taken to be the right one.
  bool look_up_certificate(const std::string& section, const SettingPtr& subject) {
    const auto or_default = [&](std::string_view key, std::string_view otherwise) {
      const std::string_view value = kestrel(section + ":" + std::string(key));
      return std::string(value.empty() ? otherwise : value);
    };
    const bool invalid_too = config::is_true(kestrel(section + ":AllowInvalid"));
    const std::string location = or_default("Location", "CurrentUser");
    const std::string name = or_default("Store", "My");
    const bool is_users = setup_.files != nullptr && config::fold(location) == "CURRENTUSER";
    const Store store = is_users ? setup_.files->store(name) : Store::unknown;
    if (store == Store::filled) return true;
    return fail(
        invalid_operation("The requested certificate " + *subject->value + " could not be found in " + location + "/" +
                          name + " with AllowInvalid setting: " + (invalid_too ? "True" : "False") + "."),
        store == Store::empty, {.setting = subject}, Fault::certificate);
  }

  /// HttpsConnectionMiddleware.cs.
  static Exception no_key() {
    return {.type = "System.NotSupportedException",
            .message = "The server mode SSL must use a certificate with the associated private key."};
  }

  bool has_one(Certificate certificate, const Source& source) {
    return certificate != Certificate::none ||
           fail(invalid_operation(std::string(kNoCertificate)), false, source, Fault::https);
  }

  /// An https address needs a certificate; slim and empty need a call first.
  bool check_https_address(const Source& source) {
    if (!setup_.has_https) {
      return fail(invalid_operation("Call UseKestrelHttpsConfiguration() on IWebHostBuilder to automatically enable "
                                    "HTTPS when an https:// address is used."),
                  false, source, Fault::https);
    }
    return has_one(default_certificate_, source);
  }

  /// So does an https endpoint, which may have one of its own (TlsConfigurationLoader.cs).
  bool check_https_endpoint(const std::string& name, Candidate& endpoint) {
    const Source& source = endpoint.source;
    if (!setup_.has_https &&
        !fail(invalid_operation("Call UseKestrelHttpsConfiguration() on IWebHostBuilder to enable loading HTTPS "
                                "settings from configuration."),
              false, source, Fault::https)) {
      return false;
    }
    Certificate found{};
    if (!load_certificate("Endpoints:" + name + ":Certificate", name, found)) return false;
    if (found == Certificate::none) found = default_certificate_;
    const std::vector<std::string> names = setup_.configuration.children("Kestrel:Endpoints:" + name + ":Sni");
    if (!names.empty()) return check_sni(name, names, found, source);
    endpoint.lacks_key = found == Certificate::without_key;
    return has_one(found, source);
  }

  /// SniOptionsSelector.cs: every server name has a certificate of its own or that of the endpoint.
  bool check_sni(const std::string& endpoint, const std::vector<std::string>& names, Certificate fallback,
                 const Source& source) {
    for (const std::string& name : names) {
      Certificate found{};
      const std::string whole_name = std::string(endpoint).append(":Sni:").append(name);
      const std::string section = std::string("Endpoints:").append(whole_name).append(":Certificate");
      if (!load_certificate(section, whole_name, found)) return false;
      if (found == Certificate::none) found = fallback;
      if (!has_one(found, source)) return false;
      if (found == Certificate::without_key && !fail(no_key(), false, source, Fault::private_key)) return false;
    }
    return true;
  }

  /// Some setting of a section, to say where it comes from.
  [[nodiscard]] SettingPtr any_setting(const std::string& section) const {
    if (SettingPtr setting = setup_.configuration.find(section)) return setting;
    const std::vector<std::string> names = setup_.configuration.children(section);
    return names.empty() ? nullptr : any_setting(section + ":" + names.front());
  }

  /// The first HTTPS-only key of an http endpoint (KestrelConfigurationLoader.cs), or "".
  [[nodiscard]] std::string_view https_only_key(const std::string& name) const {
    static constexpr std::array<std::string_view, 4> kModes = {"NOCERTIFICATE", "ALLOWCERTIFICATE",
                                                               "REQUIRECERTIFICATE", "DELAYCERTIFICATE"};
    const std::string section = "Endpoints:" + name;
    if (has_certificate(section + ":Certificate")) return "Certificate";
    const std::string mode = config::fold(address::trim(kestrel(section + ":ClientCertificateMode")));
    if (std::ranges::find(kModes, mode) != kModes.end() || address::parse_int32(mode)) return "ClientCertificateMode";
    if (!setup_.configuration.children("Kestrel:" + section + ":SslProtocols").empty()) return "SslProtocols";
    if (!setup_.configuration.children("Kestrel:" + section + ":Sni").empty()) return "Sni";
    return {};
  }

  [[nodiscard]] std::int32_t protocols(const std::string& endpoint) const {
    return parse_protocols(kestrel("Endpoints:" + endpoint + ":Protocols")).value_or(default_protocols_);
  }

  /// A delegate runs after the defaults, and may prevent what they would make fail.
  [[nodiscard]] bool takes_defaults(const Listen& listen) const {
    return listen.takes_defaults && (strict_ || !listen.has_options);
  }

  /// The listen options of the code (LocalhostListenOptions.cs). Kestrel's options are made before its configuration is
  /// read, but UseHttps reads it for the default certificate (ListenOptionsHttpsExtensions.cs).
  bool read_listen(std::vector<Candidate>& out) {
    bool reads_section = false;
    for (const Listen& listen : setup_.listen) {
      const Source source{.setting = listen.setting, .form = Form::single_url};
      reads_section |= has_section_ && listen.target.https;
      if (listen.known && listen.target.bind == address::Bind::localhost && listen.target.port == 0) {
        std::vector<Candidate> endpoints;
        if (reads_section && !read_endpoints(endpoints)) return false;
        return fail(address::resolve("http://localhost:0", setup_.major).error(), true, source);
      }
      out.push_back({.text = *listen.setting->value,
                     .source = source,
                     .protocols = takes_defaults(listen) ? default_protocols_ : kDefaultProtocols,
                     .has_options = listen.has_options,
                     .target = listen.target});
    }
    return true;
  }

  /// Kestrel:Endpoints, read whole before anything is chosen or bound (KestrelConfigurationLoader.cs).
  bool read_endpoints(std::vector<Candidate>& out) {
    Certificate found{};
    if (setup_.has_https && !load_certificate("Certificates:Default", "Default", found)) return false;
    if (default_certificate_ == Certificate::none) default_certificate_ = found;
    const std::vector<std::string> names = setup_.configuration.children("Kestrel:Endpoints");
    const std::size_t first = out.size();
    for (const std::string& name : names) {
      const SettingPtr url = setup_.configuration.find("Kestrel:Endpoints:" + name + ":Url");
      if (url == nullptr || url->empty()) {
        return fail(invalid_operation("The endpoint " + name + " is missing the required 'Url' parameter."), true,
                    {.setting = url != nullptr ? url : any_setting("Kestrel:Endpoints:" + name)});
      }
      const bool has_options = setup_.configuration.children("Kestrel:Endpoints:" + name).size() > 1;
      out.push_back({.text = *url->value,
                     .source = {.setting = url, .form = Form::single_url},
                     .protocols = has_options ? protocols(name) : default_protocols_,
                     .has_options = has_options});
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!check_endpoint(names[i], out[first + i])) return false;
    }
    return true;
  }

  bool check_endpoint(const std::string& name, Candidate& endpoint) {
    const auto target = address::resolve(endpoint.text, setup_.major);
    if (!target) return fail(target.error(), true, endpoint.source);
    if (target->https) return check_https_endpoint(name, endpoint);
    const std::string_view key = endpoint.has_options ? https_only_key(name) : "";
    if (key.empty()) return true;
    return fail(invalid_operation("The non-HTTPS endpoint " + name + " includes HTTPS-only configuration for " +
                                  std::string(key) + "."),
                true, endpoint.source);
  }

  void add_addresses(const SettingPtr& setting, Form form, std::vector<Candidate>& out) const {
    if (setting == nullptr || setting->empty()) return;
    const std::vector<std::string> texts = addresses(form, *setting->value);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      out.push_back(
          {.text = texts[i], .source = {.setting = setting, .form = form, .item = i}, .protocols = default_protocols_});
    }
  }

  /// GenericWebHostService.cs: urls, or where they are empty the ports. Those of code are not split.
  [[nodiscard]] std::vector<Candidate> read_addresses() const {
    std::vector<Candidate> out;
    if (setup_.urls != nullptr && !setup_.urls->empty()) {
      add_addresses(setup_.urls, setup_.urls_form, out);
    } else {
      add_addresses(setup_.http_ports, Form::http_ports, out);
      add_addresses(setup_.https_ports, Form::https_ports, out);
    }
    for (const SettingPtr& address : setup_.addresses) {
      out.push_back({.text = *address->value,
                     .source = {.setting = address, .form = Form::single_url},
                     .protocols = default_protocols_});
    }
    return out;
  }

  [[nodiscard]] std::expected<Target, Exception> target_of(const Candidate& candidate) const {
    if (candidate.target) return *candidate.target;
    return address::resolve(candidate.text, setup_.major);
  }

  /// AddressBinder.cs: one after the other; an address is parsed, and its certificate looked for, only at its turn.
  void bind_all(std::vector<Candidate> candidates, bool are_addresses) {
    for (Candidate& candidate : candidates) {
      auto target = target_of(candidate);
      if (!target) {
        fail(target.error(), true, candidate.source);
        return;
      }
      if (are_addresses && target->https) {
        if (!check_https_address(candidate.source)) return;
        candidate.lacks_key = default_certificate_ == Certificate::without_key;
      }
      if (candidate.lacks_key &&
          !fail(bind_failure(candidate, *target, no_key()), false, candidate.source, Fault::private_key)) {
        return;
      }
      if (!bind(std::move(candidate), *std::move(target))) return;
    }
    if (!candidates.empty()) return;
    constexpr std::uint16_t kDefaultPort = 5000;
    bind({.text = "http://localhost:5000", .source = {}, .protocols = default_protocols_},
         {.https = false, .bind = address::Bind::localhost, .address = {}, .port = kDefaultPort});
  }

  /// KestrelServerImpl.cs, OnBind: what the protocols of an endpoint make of it.
  bool bind(Candidate candidate, address::Target target) {
    const std::int32_t protocols = candidate.protocols;
    if ((protocols & kHttp1) == 0 && (protocols & kHttp3) != 0) {
      if (!target.https) {
        const bool certain = !candidate.target || !candidate.has_options;
        return fail(bind_failure(candidate, target, invalid_operation("HTTP/3 requires HTTPS.")), certain,
                    candidate.source);
      }
      if ((protocols & kHttp2) == 0) {
        return fail(
            bind_failure(candidate, target,
                         invalid_operation(
                             "Unable to bind an HTTP/3 endpoint. This could be because QUIC has not been configured "
                             "using UseQuic, or the platform doesn't support QUIC or HTTP/3.")),
            false, candidate.source);
      }
    }
    if ((protocols & (kHttp1 | kHttp2)) == 0 && protocols != 0) return true;
    if (target.bind == address::Bind::named_pipe) {
      return fail({.type = "System.PlatformNotSupportedException",
                   .message = "Named pipes transport requires a Windows operating system."},
                  true, candidate.source);
    }
    run_.endpoints.push_back(
        {.target = std::move(target), .source = std::move(candidate.source), .text = std::move(candidate.text)});
    return true;
  }

  /// LocalhostListenOptions.cs wraps what both loopbacks answer. It prints the label before ".localhost" as written.
  [[nodiscard]] Exception bind_failure(const Candidate& candidate, const address::Target& target,
                                       Exception exception) const {
    if (target.bind != address::Bind::localhost) return exception;
    constexpr std::string_view kHost = "localhost";
    std::string host(kHost);
    if (const auto parts = address::parse(candidate.text, setup_.major)) {
      host.insert(0, parts->host, 0, parts->host.size() - kHost.size());
    }
    const std::string& message = exception.message;
    const std::string one = exception.type + ": " + message;
    return {.type = "System.IO.IOException",
            .message = std::string("Failed to bind to address ") + (target.https ? "https" : "http") + "://" + host +
                       ":" + std::to_string(target.port) + ".",
            .causes = {"System.AggregateException: One or more errors occurred. (" + message + ") (" + message + ")",
                       one, one}};
  }

  const Setup& setup_;
  bool strict_;
  bool has_section_;  ///< the Kestrel section is read, and there is something in it
  std::int32_t default_protocols_;
  Certificate default_certificate_;
  Run run_;
};

/// Targets of one port, each distinct one once. An address overlaps itself and the few that stand for many.
class Bound {
 public:
  /// The endpoint that overlaps this one; null when there is none, and then it is kept.
  const Endpoint* add(const Endpoint& endpoint) {
    const Target& target = endpoint.target;
    if (stands_for_many(target)) {
      for (const auto& [address, other] : single_) {
        if (address::overlaps(other->target, target)) return other;
      }
    }
    for (const Endpoint* other : many_) {
      if (address::overlaps(other->target, target)) return other;
    }
    if (stands_for_many(target)) {
      if (many_.size() < kMostOfMany) many_.push_back(&endpoint);
      return nullptr;
    }
    const auto [it, added] = single_.try_emplace(target.address, &endpoint);
    return added ? nullptr : it->second;
  }

 private:
  /// Everything but the address of one host; spelled in one of few ways, so that there are never many of them. IPv6
  /// addresses with an IPv4 one inside, or with a scope, may overlap others that look different.
  static bool stands_for_many(const Target& target) {
    if (target.bind != address::Bind::ip) return true;
    return target.address == "0.0.0.0" || target.address == "::" || target.address.starts_with("::ffff:") ||
           target.address.starts_with("fe80") || target.address.contains('%');
  }

  static constexpr std::size_t kMostOfMany = 64;
  std::vector<const Endpoint*> many_;
  std::unordered_map<std::string_view, const Endpoint*> single_;
};

}  // namespace

Run start(const Setup& setup, bool strict) {
  return Start(setup, strict).run();
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

std::optional<Collision> find_collision(const Run& run) {
  std::unordered_map<std::uint16_t, Bound> by_port;
  for (const Endpoint& endpoint : run.endpoints) {
    if (!address::has_port(endpoint.target)) continue;
    if (const Endpoint* other = by_port[endpoint.target.port].add(endpoint)) {
      return Collision{.first = *other, .second = endpoint};
    }
  }
  return std::nullopt;
}

}  // namespace portshim::kestrel
