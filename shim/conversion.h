// Settings beside the endpoints' with values that .NET cannot convert, which ends the app at its start. Pure.
#pragma once

#include <vector>

#include "shim/finding.h"
#include "shim/situation.h"

namespace portshim::conversion {

/// At most one finding for each: a setting of logging that wins (LoggerFilterConfigureOptions.cs,
/// ConsoleLoggerOptions.cs, ConsoleFormatterOptions.cs), which only apps that replace .NET's logging do without; and
/// hostBuilder:reloadConfigOnChange.
[[nodiscard]] std::vector<finding::Finding> check(const situation::Situation& situation);

}  // namespace portshim::conversion
