// Where findings go: stderr, and the termination log that Kubernetes shows.
#pragma once

#include <span>

#include "shim/finding.h"
#include "shim/options.h"
#include "shim/request.h"
#include "shim/system.h"

namespace portshim::announce {

/// Whether what is written to `descriptor` gets colours: it is a terminal, and `start`'s NO_COLOR and TERM agree.
[[nodiscard]] bool wants_colour(const system::Control& system, const request::Start& start, int descriptor);

/// Writes findings to stderr, in the format and from the level up that `options` ask for. What cannot be written is
/// dropped.
void say(system::Control& system, const request::Start& start, const options::Options& options,
         std::span<const finding::Finding> findings);
void say(system::Control& system, const request::Start& start, const options::Options& options,
         const finding::Finding& finding);

/// What Kubernetes is to show of a COMMAND that is not started, or has failed.
void leave_reason(system::Control& system, const options::Options& options, std::span<const finding::Finding> findings);

/// Both.
void fail(system::Control& system, const request::Start& start, const options::Options& options,
          const finding::Finding& finding);

}  // namespace portshim::announce
