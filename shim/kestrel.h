// What Kestrel makes of its configuration: which endpoints it tries to bind, in which order, up to its first failure.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/address.h"
#include "shim/config.h"

namespace portshim::kestrel {

/// How the text of a setting becomes addresses.
enum class Form : std::uint8_t {
  url_list,     ///< urls: split at ';', not trimmed
  single_url,   ///< Kestrel:Endpoints:NAME:Url
  http_ports,   ///< split at ';', trimmed, pasted behind "http://*:"
  https_ports,  ///< the same with https
  iis_port,     ///< ASPNETCORE_PORT, pasted behind "http://127.0.0.1:"
  none,         ///< http://localhost:5000 of no setting at all
};

/// The place of one address in a setting.
struct Source {
  config::SettingPtr setting;  ///< null: no setting at all, the default address
  Form form = Form::none;
  std::size_t item = 0;  ///< which of the non-empty pieces of a list

  /// Where the setting stands; the origin named "default" where there is none.
  [[nodiscard]] const config::Origin& origin() const;
  /// "urls", "Kestrel:Endpoints:Http:Url"; empty where there is none.
  [[nodiscard]] std::string_view key() const;
};

/// An endpoint that Kestrel attempts to bind.
struct Endpoint {
  address::Target target;
  Source source;
  std::string text;  ///< the address as .NET sees it ("http://*:80" for a port)
};

/// What is at fault when .NET ends the app.
enum class Fault : std::uint8_t {
  setting,
  settings_file,
  content_root,
  certificate,
  https,        ///< an https address or endpoint for which no certificate is configured, or https is not enabled at all
  private_key,  ///< the certificate of one has no key
};

/// A failure that .NET decides by itself.
struct Failure {
  address::Exception exception;
  bool certain = true;  ///< false: code in the app could prevent it
  Source source;        ///< the setting at fault, or that named the file
  Fault fault = Fault::setting;
  std::string path = {};  ///< of the file or directory at fault
};

/// The "type" of a failure that is no exception: the app waits for ever, if nobody comes to help it. What it would do
/// then goes on behind it: such a failure is not certain.
inline constexpr std::string_view kHang = "hang";

/// One run of Kestrel's start-up up to its first failure.
struct Run {
  std::vector<Endpoint> endpoints;
  std::optional<Failure> failure;
};

/// A JSON settings file as a provider, or the exception with which .NET ends the app.
using SettingsFile = std::expected<config::Provider, address::Exception>;

/// What the file of a server certificate holds.
enum class Content : std::uint8_t {
  unknown,
  certificate,  ///< without a key that .NET would take: PEM, whatever else is in it, or DER
  pkcs12,       ///< with its key or without
};

/// Whether a certificate store has any certificate.
enum class Store : std::uint8_t { unknown, empty, filled };

/// What a prediction asks of the file system; the same question always has the same answer. Paths are absolute.
class Files {
 public:
  Files() = default;
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  virtual ~Files() = default;

  /// Null for a file that .NET takes to be absent.
  [[nodiscard]] virtual const SettingsFile* settings(const std::string& path) const = 0;
  [[nodiscard]] virtual bool is_directory(const std::string& path) const = 0;
  /// What the file of a server certificate holds, or what loading it throws.
  [[nodiscard]] virtual std::expected<Content, address::Exception> certificate(const std::string& path,
                                                                               int major) const = 0;
  /// What loading the file of a private key throws; nothing when it can be read and may be one. With a password, even
  /// an empty one, .NET takes encrypted keys alone.
  [[nodiscard]] virtual std::optional<address::Exception> private_key(const std::string& path,
                                                                      bool with_password) const = 0;
  /// The user's certificate store of that name.
  [[nodiscard]] virtual Store store(const std::string& name) const = 0;
};

/// A listen option of the app's code (KestrelServerOptions.cs, Listen…).
struct Listen {
  address::Target target;
  config::SettingPtr setting;  ///< stands for the call; its value is the address in words
  bool has_options = false;    ///< a delegate configures it, and may change its protocols
  bool takes_defaults = true;  ///< Kestrel:EndpointDefaults apply to it
  bool known = true;           ///< `target` is what the code says, else no more than a place holder
};

/// What a host hands to Kestrel. The settings point into providers that outlive it.
struct Setup {
  config::Configuration configuration;  ///< where the Kestrel section is read
  config::SettingPtr urls;              ///< the effective urls, possibly empty
  config::SettingPtr http_ports;        ///< null where the builder or version knows no ports
  config::SettingPtr https_ports;
  Form urls_form = Form::url_list;
  std::vector<config::SettingPtr> addresses = {};  ///< that code adds behind those of urls and ports
  std::vector<Listen> listen = {};                 ///< bound before the configured endpoints
  bool prefer_urls = false;                        ///< preferHostingUrls: urls that are not empty win over endpoints
  bool reads_section = true;                       ///< CreateEmptyBuilder does not read the Kestrel section
  bool has_https = true;             ///< CreateSlimBuilder and CreateEmptyBuilder have it only if code asks for it
  bool certificate_in_code = false;  ///< code sets a default server certificate
  std::string content_root;          ///< certificates are relative to it
  const Files* files = nullptr;      ///< null: no file is known
  int major = 10;
};

/// The start of Kestrel (KestrelConfigurationLoader.cs, AddressBinder.cs). A failure that code can prevent ends the run
/// when `strict`.
[[nodiscard]] Run start(const Setup& setup, bool strict);

/// Endpoints of one run that cannot be bound side by side.
struct Collision {
  Endpoint first;
  Endpoint second;
};
/// The first collision of a run, in bind order.
[[nodiscard]] std::optional<Collision> find_collision(const Run& run);

/// The addresses that the text of a setting stands for: one per item, in order.
[[nodiscard]] std::vector<std::string> addresses(Form form, std::string_view text);

/// A non-empty piece of a setting's text: its byte range, trimmed where the form trims.
struct Piece {
  std::size_t begin = 0;
  std::size_t end = 0;
};
[[nodiscard]] std::vector<Piece> pieces(Form form, std::string_view text);

/// What is pasted in front of a piece to make an address: "http://*:", "https://*:", "http://127.0.0.1:" or "".
[[nodiscard]] std::string_view prefix(Form form);

}  // namespace portshim::kestrel
