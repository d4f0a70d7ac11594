// What an app's assemblies say of its host: which builder makes it, and which ports its code sets. Pure.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/code.h"
#include "shim/hosting.h"

namespace portshim::assembly {

/// Whether calls get the command line's arguments. Neither: there is no call.
struct Passing {
  bool passed = false;   ///< by some call
  bool missing = false;  ///< in some call
};

/// What the builders and arguments of Code are concluded from. The calls may stand in several assemblies.
struct Hosts {
  std::vector<hosting::Builder> builders = {};  ///< that are called; without gh
  Passing arguments = {};                       ///< of them
  Passing generic_host = {};                    ///< of Host.CreateDefaultBuilder and the like
  bool web_host_defaults = false;               ///< ConfigureWebHostDefaults and the like
  bool web_host_builder = false;                ///< new WebHostBuilder()
  bool command_line = false;                    ///< AddCommandLine: they may get there in another way
};

/// What the code says. Nothing of it is certain to run.
struct Code {
  /// The builders that it calls, in the order of the enumeration; empty: none is known for certain.
  std::vector<hosting::Builder> builders = {};
  /// The builder gets the command line's arguments: false where every call goes without; nothing: it is not known.
  std::optional<bool> passes_arguments = {};
  /// In the order of the code: the method that the app starts with comes first, and what a lambda expression does comes
  /// where it is made. Call::arguments are as in C#, strings without quotes: "80", "IPAddress.Any, 80",
  /// "http://*:80"; several URLs as one list with ';'. Call::key is set where it is a constant, known or not.
  std::vector<code::Call> calls = {};
  Hosts hosts = {};
};

/// Reads one assembly. `file` is the whole PE file, `name` its file name ("App.dll"). The error says in words why it
/// cannot be read. Linear in the size of the file.
[[nodiscard]] std::expected<Code, std::string> read(std::string_view file, std::string_view name);

/// Adds what another assembly of the same app says.
void merge(Code& code, Code other);

}  // namespace portshim::assembly
