// Which endpoints Kestrel will try to bind: the builders' rules of who wins. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/address.h"
#include "shim/config.h"

namespace portshim::hosting {

/// The call that builds the app's host (kestrel.md's short names).
enum class Builder : std::uint8_t {
  wab,    ///< WebApplication.CreateBuilder
  slim,   ///< WebApplication.CreateSlimBuilder
  gh,     ///< Host.CreateDefaultBuilder().ConfigureWebHostDefaults()
  wh,     ///< WebHost.CreateDefaultBuilder
  empty,  ///< WebApplication.CreateEmptyBuilder + UseKestrelCore
};
[[nodiscard]] std::string_view to_string(Builder builder);

/// What the predictor is given.
struct Input {
  std::vector<std::string> environment;  ///< "NAME=VALUE", the whole block in order
  std::vector<std::string> argv;         ///< COMMAND and its arguments
  std::size_t first_argument = 0;        ///< index in argv of the app's own first argument; argv.size(): none known
  bool certificate_in_code = false;      ///< the app's code sets a default server certificate
  std::vector<Builder> builders = {};    ///< the plausible ones
  std::vector<int> majors = {};          ///< the plausible .NET major versions
};

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

/// A failure that .NET decides by itself.
struct Failure {
  address::Exception exception;
  bool certain = true;  ///< false: code in the app could prevent it
  Source source;        ///< the setting at fault
};

/// One run of Kestrel's start-up up to its first failure.
struct Run {
  std::vector<Endpoint> endpoints;
  std::optional<Failure> failure;
};

/// What one builder on one .NET version will do.
struct Prediction {
  Builder builder = Builder::wab;
  int major = 10;
  std::size_t variant = 0;            ///< which of several spellings of one variable wins
  Run strict;                         ///< as it is: a failure that code could prevent ends it
  std::optional<Run> prevented = {};  ///< where it differs: as if code had prevented every failure that it can

  /// What the app binds at the most: the run to plan for.
  [[nodiscard]] const Run& lenient() const { return prevented ? *prevented : strict; }
};

/// Predicts for every plausible builder, version, and variant of ambiguous names. WebApplication.CreateSlimBuilder and
/// CreateEmptyBuilder are left out on versions before 8.
[[nodiscard]] std::vector<Prediction> predict(const Input& input);

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

/// The settings of the environment and of argv that hold addresses or ports for some builder, whether they win or not.
[[nodiscard]] std::vector<Source> address_settings(const Input& input);

}  // namespace portshim::hosting
