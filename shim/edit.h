// Changes to what the app is given: variables, arguments, and the variables that override a file's settings. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "shim/config.h"
#include "shim/hosting.h"

namespace portshim::edit {

/// One change to what the app is given.
struct Edit {
  enum class Kind : std::uint8_t { set, remove, argument };
  Kind kind = Kind::set;
  std::string name;                      ///< the variable's name, or "argv[N]"
  std::optional<std::string> old_value;  ///< the variable's value, or the whole argument; nothing: it was not there
  std::optional<std::string> new_value;  ///< nothing: removed
};

/// The differences between two inputs, in the order of the block and of argv. A removed variable is an empty entry of
/// `after`; what that has more is new.
[[nodiscard]] std::vector<Edit> between(const hosting::Input& before, const hosting::Input& after);

/// Where a setting stands; the order is that of the environment block, of argv and of the files.
using Place = std::tuple<config::Origin::Kind, std::size_t, std::size_t>;
[[nodiscard]] Place place_of(const config::Origin& origin);

/// The text of a setting of the environment or of argv.
[[nodiscard]] std::string value_at(const hosting::Input& input, const config::Origin& origin);

/// The variable without prefix that overrides a file's setting: "URLS", "Kestrel__Endpoints__Http__Url". Empty where a
/// variable cannot have that key.
[[nodiscard]] std::string overriding_variable(std::string_view key);

/// True for what may be changed: variables, and of a .NET app also arguments and settings of files.
[[nodiscard]] bool is_editable(const config::Origin& origin, bool is_dotnet);

/// Changes settings of an input: variables at every occurrence of their name, arguments in place, and those of files by
/// a variable that overrides them. Indices keep their meaning.
class Editor {
 public:
  /// `input` must outlive this, and its environment is changed by nobody else meanwhile.
  explicit Editor(hosting::Input& input);

  /// Sets the text of a setting, and of what says the same under its name again. Nothing happens where no variable can
  /// have the key or the value of a file's setting.
  void set(const config::Origin& origin, std::string_view key, std::string_view value);
  /// A removed variable is an empty entry; its index goes to `removed`.
  void remove(const config::Origin& origin, std::vector<std::size_t>& removed);
  /// The further occurrences of a variable's name.
  [[nodiscard]] std::vector<std::size_t> again(const config::Origin& origin) const;

 private:
  void override_file(std::string_view key, std::string_view value);

  hosting::Input& input_;
  std::unordered_map<std::string, std::vector<std::size_t>> again_;  ///< further occurrences of a name
  std::unordered_map<std::string, std::size_t> added_;               ///< variables that override files
};

}  // namespace portshim::edit
