// .NET configuration providers, those over the environment and the command line, and how a list of them is read.
// Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shim/address.h"

namespace portshim::config {

/// Where the text of a setting stands.
struct Origin {
  enum class Kind : std::uint8_t { variable, argument, file, code, builtin };
  Kind kind = Kind::builtin;
  std::size_t index = 0;  ///< in the environment block, in argv (0 = COMMAND), of the file, or in the calls of the code
  /// Byte offset of the value in that entry ("NAME=" or "--urls=" come before it); of a file, which of its settings.
  std::size_t value_at = 0;
  /// The variable's name as spelled, "argv[N]", "FILE: KEY", "code: TYPE.METHOD", or "default".
  std::string name = "default";
  bool operator==(const Origin&) const = default;
};

/// A key with its value. `value` is null only for keys that a file sets to null.
struct Setting {
  std::string key;  ///< as spelled, with ':' between the parts
  std::optional<std::string> value;
  Origin origin;

  [[nodiscard]] bool empty() const { return !value || value->empty(); }
};
/// Settings are shared by every prediction that they lead to.
using SettingPtr = std::shared_ptr<const Setting>;

/// The setting itself; null for one that is empty.
[[nodiscard]] inline SettingPtr non_empty(const SettingPtr& setting) {
  return setting == nullptr || setting->empty() ? nullptr : setting;
}

/// Upper-cases as .NET's OrdinalIgnoreCase does: simple case mapping, one code point to one, of UTF-8 text; 'ı', 'ſ'
/// and the Kelvin sign do not become ASCII (OrdinalCasing.cs). Invalid bytes stay.
[[nodiscard]] std::string fold(std::string_view key);

/// WebHostUtilities.ParseBool: "true" in any case, or "1".
[[nodiscard]] bool is_true(std::string_view text);

/// Compares names of endpoints as ConfigurationKeyComparer does: "" first, then integers by value, then the others by
/// upper-case ordinal.
[[nodiscard]] bool child_before(std::string_view a, std::string_view b);

/// True for a key (folded) that some builder reads.
[[nodiscard]] bool is_read(std::string_view folded_key);

/// True for a key (folded) that some builder or its logging reads.
[[nodiscard]] bool is_kept(std::string_view folded_key);

/// One source of settings. Keys that nobody reads are not kept.
class Provider {
 public:
  /// Adds, or replaces the value; a key keeps its first spelling, as in a .NET dictionary.
  void set(Setting setting);
  /// Adds a setting whose folded key is not there yet.
  void add_folded(const std::string& key, SettingPtr setting) { settings_.emplace(key, std::move(setting)); }
  /// Null when it has no such key.
  [[nodiscard]] SettingPtr find(std::string_view key) const;
  /// The same for a key that is folded already.
  [[nodiscard]] SettingPtr find_folded(const std::string& key) const;
  /// Settings by folded key.
  [[nodiscard]] const std::map<std::string, SettingPtr>& settings() const { return settings_; }

 private:
  std::map<std::string, SettingPtr> settings_;
};

/// The prefixes of the variables that hosts read; the last is that of the app's own provider.
inline constexpr std::array<std::string_view, 3> kPrefixes = {"ASPNETCORE_", "DOTNET_", ""};

/// The variables that the provider for one prefix reads (EnvironmentVariablesConfigurationProvider.cs): "__" becomes
/// ':', the prefix is compared in any case and cut off. The very same name twice: the first. Names that become one key
/// are ambiguous, since .NET's order changes from run to run; of those of logging the first one counts.
class Variables {
 public:
  Variables(std::span<const std::string> environment, std::string_view prefix);

  /// Of how many differently spelled names one key has the choice: more than one for each ambiguous key.
  [[nodiscard]] std::vector<std::size_t> choices() const;
  /// The provider where of the ambiguous keys these names win: one number for each of choices(), below it.
  [[nodiscard]] Provider provider(std::span<const std::size_t> chosen) const;
  /// The origins of each ambiguous key, in the order of the block.
  [[nodiscard]] std::vector<std::vector<Origin>> ambiguous() const;

 private:
  std::map<std::string, std::vector<SettingPtr>> by_key_;  ///< folded; differently spelled ones in the block's order
};

/// The key that a variable's name stands for: "__" becomes ':', left to right.
[[nodiscard]] std::string key_of_variable(std::string_view name);

/// The command line provider without switch mappings (CommandLineConfigurationProvider.cs): the arguments from index
/// `first` of `argv`. Keys below one that is read ("urls:0") are kept.
[[nodiscard]] std::expected<Provider, address::Exception> from_arguments(std::span<const std::string> argv,
                                                                         std::size_t first);

/// A list of providers, lowest first (ConfigurationRoot.cs): the last one that has a key wins, even with an empty
/// value. A chained configuration reports an empty value as "not found" (ChainedConfigurationProvider.cs).
class Configuration {
 public:
  /// `provider` must outlive this.
  void add(const Provider& provider) { layers_.push_back({&provider, nullptr}); }
  /// The providers of another list, each above those that are here.
  void add_all(const Configuration& other) {
    layers_.insert(layers_.end(), other.layers_.begin(), other.layers_.end());
  }
  void chain(Configuration inner) {
    layers_.push_back({nullptr, std::make_shared<const Configuration>(std::move(inner))});
  }

  /// The setting that wins, with an empty value too; null when no provider has the key.
  [[nodiscard]] SettingPtr find(std::string_view key) const;
  /// Its value; the view lives as long as the providers; "" when there is none.
  [[nodiscard]] std::string_view value(std::string_view key) const;
  /// Names of the children of a section over all providers, each once in the spelling that comes first in the highest
  /// provider, in .NET's order (ConfigurationKeyComparer.cs).
  [[nodiscard]] std::vector<std::string> children(std::string_view section) const;
  /// The settings that win of all keys below a section, by folded key.
  [[nodiscard]] std::vector<SettingPtr> below(std::string_view section) const;

 private:
  struct Layer {
    const Provider* provider;
    std::shared_ptr<const Configuration> chained;
  };
  [[nodiscard]] SettingPtr find_folded(const std::string& key) const;
  /// Every provider, chained ones too, lowest first.
  void visit(const std::function<void(const Provider&)>& visitor) const;
  std::vector<Layer> layers_;
};

}  // namespace portshim::config
