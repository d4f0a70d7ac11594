// JSON settings files as .NET reads them: StreamReader, JsonConfigurationFileParser.cs and Utf8JsonReader.cs of .NET 8,
// 9 and 10, which agree but for null and "" of empty values. Pure.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "shim/address.h"
#include "shim/config.h"

namespace portshim::json {

/// What a file is called.
struct Name {
  std::string path;        ///< absolute, as .NET names it in exceptions
  std::string label;       ///< in origins: "appsettings.json" in "appsettings.json: Urls"
  std::size_t number = 0;  ///< Origin::index
};

/// The settings of a file with these bytes, or the exception that .NET throws: System.IO.InvalidDataException with its
/// causes, in .NET's words; LineNumber and BytePositionInLine count from 0, in UTF-8. Two things differ from .NET:
/// * the exception about a wrong literal ("tru") quotes 32 bytes at the most, then "...";
/// * settings that some builder reads whose keys take more than 16 MiB are System.OutOfMemoryException; of those of
///   logging what is beyond 1 MiB is not kept.
/// Values of null, {} and [] are null. An empty object or array that overwrites a value (.NET allows that) keeps the
/// first one's spelling and origin. Linear in the size of the text, and no deeper on the stack for a deeper text.
[[nodiscard]] std::expected<config::Provider, address::Exception> read(std::string_view text, const Name& name);

}  // namespace portshim::json
