// What each builder hands to Kestrel: its rules of who wins, and with them the whole prediction. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/address.h"
#include "shim/code.h"
#include "shim/config.h"
#include "shim/kestrel.h"

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
  std::vector<std::string> environment;   ///< "NAME=VALUE", the whole block in order
  std::vector<std::string> argv;          ///< COMMAND and its arguments
  std::size_t first_argument = 0;         ///< index in argv of the app's own first argument; argv.size(): none known
  const kestrel::Files* files = nullptr;  ///< null: no file is known, and no content root is examined
  std::string current_directory = {};     ///< absolute; empty: it was deleted
  std::string application = {};           ///< the entry assembly's name: App.dll without ".dll"
  std::string base_directory = {};        ///< absolute: the directory of the entry assembly
  bool certificate_in_code = false;       ///< the app's code sets a default server certificate
  bool passes_arguments = true;           ///< the app's code gives the builder its arguments
  std::vector<code::Call> code = {};      ///< what else it does, in order
  std::vector<Builder> builders = {};     ///< the plausible ones
  std::vector<int> majors = {};           ///< the plausible .NET major versions
};

/// What one builder on one .NET version will do.
struct Prediction {
  Builder builder = Builder::wab;
  int major = 10;
  std::size_t variant = 0;                     ///< which combination of several spellings of names wins
  std::vector<config::SettingPtr> logging;     ///< what wins of the section Logging
  kestrel::Run strict;                         ///< as it is: a failure that code could prevent ends it
  std::optional<kestrel::Run> prevented = {};  ///< where it differs: as if code had prevented every failure that it can

  /// What the app binds at the most: the run to plan for.
  [[nodiscard]] const kestrel::Run& lenient() const { return prevented ? *prevented : strict; }
};

/// Predicts for every plausible builder, version, and variant of ambiguous names. WebApplication.CreateSlimBuilder and
/// CreateEmptyBuilder are left out on versions before 8. What `input.files` answers is part of the input.
[[nodiscard]] std::vector<Prediction> predict(const Input& input);

/// The settings of the environment and of argv that hold addresses or ports for some builder, whether they win or not.
/// Those of files are not among them.
[[nodiscard]] std::vector<kestrel::Source> address_settings(const Input& input);

}  // namespace portshim::hosting
