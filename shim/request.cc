#include "shim/request.h"

#include <span>

#include "shim/path.h"

namespace portshim::request {

Request parse(const Start& start) {
  Request request;
  request.invocation = options::parse(start.argv, start.environment);
  request.command = request.invocation.command;
  return request;
}

void look_up(const system::System& system, const Start& start, Request& request) {
  const auto ends_here = [](const options::Invocation& one) {
    return one.refusal || one.options.help || one.options.version;
  };
  while (!ends_here(request.invocation) && request.command < start.argv.size()) {
    const std::string& command = start.argv[request.command];
    request.lookup = lookup::find(system, command, start.environment, request.invocation.by_other_name);
    const bool nested = request.lookup.path.empty() && request.lookup.skipped_itself &&
                        path::last_component(command).starts_with("portshim");
    if (!nested) break;
    // portshim as COMMAND of portshim: its command line is read here, and it runs once.
    const std::span rest = std::span(start.argv).subspan(request.command);
    request.invocation = options::merge(request.invocation, options::parse(rest, start.environment));
    request.command += request.invocation.command;
  }
}

}  // namespace portshim::request
