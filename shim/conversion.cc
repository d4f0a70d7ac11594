#include "shim/conversion.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shim/address.h"
#include "shim/config.h"

namespace portshim::conversion {
namespace {

using finding::Finding;
using finding::Id;
using finding::quote;
using finding::Severity;
using situation::Situation;

/// Boolean.TryParse: blanks around it do not count.
bool is_boolean(std::string_view value) {
  const std::string word = config::fold(address::trim(value));
  return word == "TRUE" || word == "FALSE";
}

/// Enum.Parse in any case, which takes numbers too, and several names at a time.
bool is_one_of(std::span<const std::string_view> names, std::string_view value) {
  for (std::string_view rest = value;;) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const std::string_view one = address::trim(rest.substr(0, end));
    const bool is_name = std::ranges::find(names, config::fold(one)) != names.end();
    const bool is_number = end == value.size() && address::parse_int32(one);
    if (!is_name && !is_number) return false;
    if (end == rest.size()) return true;
    rest.remove_prefix(end + 1);
  }
}

enum class Type : std::uint8_t { text, boolean, integer, length, log_level, color, queue_mode, format };

bool is_valid(Type type, std::string_view value) {
  static constexpr std::array<std::string_view, 7> kLevels{"TRACE", "DEBUG",    "INFORMATION", "WARNING",
                                                           "ERROR", "CRITICAL", "NONE"};
  static constexpr std::array<std::string_view, 3> kColors{"DEFAULT", "ENABLED", "DISABLED"};
  static constexpr std::array<std::string_view, 2> kModes{"WAIT", "DROPWRITE"};
  static constexpr std::array<std::string_view, 2> kFormats{"DEFAULT", "SYSTEMD"};
  switch (type) {
    case Type::text:
      return true;
    case Type::boolean:
      return is_boolean(value);
    case Type::integer:
      return address::parse_int32(value).has_value();
    case Type::length:
      return address::parse_int32(value).value_or(0) > 0;
    case Type::log_level:
      return is_one_of(kLevels, value);
    case Type::color:
      return is_one_of(kColors, value);
    case Type::queue_mode:
      return is_one_of(kModes, value);
    case Type::format:
      return is_one_of(kFormats, value);
  }
  return true;
}

/// What is not so of a value, and what is.
struct Words {
  std::string_view is_no;
  std::string_view write;
};

Words words_of(Type type) {
  switch (type) {
    case Type::boolean:
      return {"neither true nor false", "true or false"};
    case Type::integer:
      return {"no whole number", "a whole number"};
    case Type::length:
      return {"no whole number above 0", "a whole number above 0"};
    case Type::log_level:
      return {"no log level", "Trace, Debug, Information, Warning, Error, Critical or None"};
    case Type::color:
      return {"no such behaviour", "Default, Enabled or Disabled"};
    case Type::queue_mode:
      return {"no such mode", "Wait or DropWrite"};
    case Type::format:
      return {"no such format", "Default or Systemd"};
    case Type::text:
      break;
  }
  return {};
}

struct Key {
  std::string_view name;  ///< folded, behind "LOGGING:"
  Type type;
};
constexpr std::array kKeys{
    Key{"CAPTURESCOPES", Type::boolean},
    Key{"CONSOLE:DISABLECOLORS", Type::boolean},
    Key{"CONSOLE:FORMAT", Type::format},
    Key{"CONSOLE:FORMATTEROPTIONS:COLORBEHAVIOR", Type::color},
    Key{"CONSOLE:FORMATTEROPTIONS:INCLUDESCOPES", Type::boolean},
    Key{"CONSOLE:FORMATTEROPTIONS:JSONWRITEROPTIONS:INDENTED", Type::boolean},
    Key{"CONSOLE:FORMATTEROPTIONS:JSONWRITEROPTIONS:MAXDEPTH", Type::integer},
    Key{"CONSOLE:FORMATTEROPTIONS:JSONWRITEROPTIONS:SKIPVALIDATION", Type::boolean},
    Key{"CONSOLE:FORMATTEROPTIONS:SINGLELINE", Type::boolean},
    Key{"CONSOLE:FORMATTEROPTIONS:USEUTCTIMESTAMP", Type::boolean},
    Key{"CONSOLE:INCLUDESCOPES", Type::boolean},
    Key{"CONSOLE:LOGTOSTANDARDERRORTHRESHOLD", Type::log_level},
    Key{"CONSOLE:MAXQUEUELENGTH", Type::length},
    Key{"CONSOLE:QUEUEFULLMODE", Type::queue_mode},
    Key{"CONSOLE:USEUTCTIMESTAMP", Type::boolean},
};

/// What .NET converts the value of a key to.
Type type_of(std::string_view folded_key) {
  constexpr std::string_view kLevels = "LOGLEVEL:";
  folded_key.remove_prefix(folded_key.find(':') + 1);
  const std::string_view below_provider = folded_key.substr(folded_key.find(':') + 1);
  if (folded_key.starts_with(kLevels) || below_provider.starts_with(kLevels)) return Type::log_level;
  const auto* const known = std::ranges::find(kKeys, folded_key, &Key::name);
  return known == kKeys.end() ? Type::text : known->type;
}

std::optional<Finding> invalid_logging(const Situation& s) {
  for (const hosting::Prediction& prediction : s.predictions) {
    for (const config::SettingPtr& setting : prediction.logging) {
      const Type type = type_of(config::fold(setting->key));
      if (setting->empty() || is_valid(type, *setting->value)) continue;
      const auto [is_no, write] = words_of(type);
      return Finding{
          .id = Id::invalid_value,
          .severity = Severity::warning,
          .what = fmt::format("{} is {}: the app is likely to end at start with exit code 134",
                              situation::name_with(s.input, setting->origin, *setting->value), is_no),
          .why = fmt::format("an exception about the configuration value '{}', from .NET's logging; only apps that "
                             "replace that, as with Serilog, do not read it",
                             quote(*setting->value)),
          .did = "",
          .next = fmt::format("write {}", write)};
    }
  }
  return std::nullopt;
}

/// hostBuilder:reloadConfigOnChange (HostingHostBuilderExtensions.cs), which WebHost does not read.
std::optional<Finding> invalid_reload_switch(const Situation& s) {
  if (s.app.binds_nothing()) return std::nullopt;
  const bool overridden = std::ranges::any_of(s.input.argv, [](const std::string& word) {
    return config::fold(word).contains("HOSTBUILDER:RELOADCONFIGONCHANGE");
  });
  if (overridden) return std::nullopt;
  const bool certain = std::ranges::none_of(s.input.builders, [](hosting::Builder one) {
    return one == hosting::Builder::wh || one == hosting::Builder::empty;
  });
  for (const std::string_view entry : s.input.environment) {
    const std::size_t equals = std::min(entry.find('='), entry.size());
    const std::string_view name = entry.substr(0, equals);
    const std::string_view value = entry.substr(std::min(equals + 1, entry.size()));
    const std::string key = config::fold(name);
    const bool is_it =
        key == "DOTNET_HOSTBUILDER__RELOADCONFIGONCHANGE" || key == "ASPNETCORE_HOSTBUILDER__RELOADCONFIGONCHANGE";
    if (!is_it || is_boolean(value)) continue;
    return Finding{.id = Id::invalid_value,
                   .severity = certain ? Severity::error : Severity::warning,
                   .what = fmt::format("{}={} is neither true nor false: the app {} at start with exit code 134",
                                       quote(name), quote(value), certain ? "ends" : "is likely to end"),
                   .why = "System.InvalidOperationException: Failed to convert configuration value",
                   .did = "",
                   .next = "write true or false, or unset it"};
  }
  return std::nullopt;
}

}  // namespace

std::vector<Finding> check(const Situation& situation) {
  std::vector<Finding> out;
  if (!situation.app.is_dotnet() || situation.app.assembly_missing) return out;
  for (const auto& finding : {invalid_logging(situation), invalid_reload_switch(situation)}) {
    if (finding) out.push_back(*finding);
  }
  return out;
}

}  // namespace portshim::conversion
