// JSON settings files as .NET reads them (JsonConfigurationFileParser.cs over System.Text.Json). Pure.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "shim/address.h"
#include "shim/config.h"

namespace portshim::json {

/// How a file is called.
struct Name {
  std::string path;         ///< absolute, as .NET names it in exceptions
  std::string label;        ///< in origins: "appsettings.json" in "appsettings.json: Urls"
  std::size_t number = 0;   ///< Origin::index
};

/// The settings of a file with this content, or the exception that .NET throws: System.IO.InvalidDataException with its
/// causes. Linear in the size of the text, and its stack does not grow with the text's depth.
[[nodiscard]] std::expected<config::Provider, address::Exception> read(std::string_view text, const Name& name);

}  // namespace portshim::json
