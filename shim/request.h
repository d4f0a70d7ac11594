// What portshim is asked to do: its own start, and the command line in it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "shim/finding.h"
#include "shim/lookup.h"
#include "shim/options.h"
#include "shim/system.h"

namespace portshim::request {

/// What portshim was started with.
struct Start {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
};

/// The command line, read through nested portshims down to the real COMMAND.
struct Request {
  options::Invocation invocation;
  std::size_t command = 0;  ///< index in Start::argv
  lookup::Lookup lookup;
  std::vector<finding::Finding> notices;  ///< of what portshim did before it looked at the app

  [[nodiscard]] const options::Options& options() const { return invocation.options; }
};

/// Reads the command line, up to COMMAND. Pure.
[[nodiscard]] Request parse(const Start& start);

/// Looks for COMMAND; where that is portshim again, reads its command line too, and so on.
void look_up(const system::System& system, const Start& start, Request& request);

}  // namespace portshim::request
