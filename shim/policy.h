// What to change so that the app never tries a port below the floor: the plan, and its proof by predicting again.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shim/address.h"
#include "shim/config.h"
#include "shim/edit.h"
#include "shim/hosting.h"
#include "shim/repair.h"

namespace portshim::policy {

/// What the plan may and must do.
struct Rules {
  std::uint16_t floor = 1024;                       ///< ports 1..floor-1 are not to be tried
  bool denied_is_low = true;                        ///< a port below 1024 that the kernel denies is low too
  std::map<std::uint16_t, std::uint16_t> map = {};  ///< --map
  bool keep = false;                                ///< --keep
  bool expand = false;                              ///< --expand
  bool is_dotnet = true;                            ///< false: arguments are left alone, and no variable is added
  /// What the kernel says to a bind of this target, now, as the app.
  std::function<address::Verdict(const address::Target&)> verdict = {};
};

/// A setting whose endpoints ask for ports below the floor, in at least one prediction.
struct LowSetting {
  config::Origin origin;
  std::string key;  ///< "Kestrel:Endpoints:Http:Url"; empty for the default address
  kestrel::Form form = kestrel::Form::none;
  std::string value;                          ///< the setting's text
  std::vector<std::uint16_t> ports = {};      ///< each once, in order
  std::vector<address::Target> targets = {};  ///< each once
  std::vector<std::size_t> predictions = {};  ///< indices of those that bind it
};

/// What became of one port of a low setting.
enum class Outcome : std::uint8_t {
  moved,       ///< to `to`
  merged,      ///< dropped: another item of the list binds `to` already
  added,       ///< --keep: kept, and `to` added
  present,     ///< --keep: kept, and `to` is there already
  kept,        ///< --keep: kept, and `to` cannot be added
  left_works,  ///< the new port is taken by another process and the kernel allows the old one
  immovable,   ///< no change passes the proof, or there is no free port
};

struct Move {
  std::uint16_t from = 0;
  std::uint16_t to = 0;
  bool mapped = false;  ///< `to` is what --map says
  bool dodged = false;  ///< `to` is not p+8000 or --map's, since another endpoint of the app has that
  bool taken = false;   ///< another process holds `to`
  Outcome outcome = Outcome::moved;
};

/// A low setting with what was decided for its ports.
struct Decision {
  LowSetting low;
  std::vector<Move> moves;
  std::string new_value;      ///< equal to low.value when nothing changed
  std::string proposed = {};  ///< what new_value would have been, where no proof was found
  /// Indices of the predictions that would have got something else from the change, where that made it immovable.
  std::vector<std::size_t> unproved = {};
  /// Further entries of the same variable (index in the environment, their new values).
  std::vector<std::pair<std::size_t, std::string>> further = {};
};

struct Plan {
  /// The input with the edits applied: a removed variable is an empty entry, new ones are at the end.
  hosting::Input after;
  std::vector<std::size_t> removed;  ///< indices of removed entries in after.environment
  std::vector<edit::Edit> edits;
  std::vector<repair::Expansion> expansions;
  std::vector<repair::Repair> repairs;
  std::vector<Decision> decisions;
  std::vector<hosting::Prediction> predictions;  ///< of `after`
};

/// True when an endpoint's port is one that the app must not try.
[[nodiscard]] bool is_low(const address::Target& target, const Rules& rules);

/// The new port that a low port gets when nothing is in its way: that of --map, else p+8000, else the first from
/// max(floor, 8080) up.
[[nodiscard]] std::uint16_t wanted_port(std::uint16_t port, const Rules& rules);

/// The settings that ask for low ports in the lenient run of some prediction, in order of appearance.
[[nodiscard]] std::vector<LowSetting> low_settings(const std::vector<hosting::Prediction>& predictions,
                                                   const Rules& rules);

/// Makes the plan for rewrite: fill in (--expand), repair, move; each step is proved by predicting again, and what
/// fails the proof is left out.
[[nodiscard]] Plan make_plan(const hosting::Input& input, const Rules& rules);
/// The same, where `predictions` of `input` are at hand.
[[nodiscard]] Plan make_plan(const hosting::Input& input, std::vector<hosting::Prediction> predictions,
                             const Rules& rules);

}  // namespace portshim::policy
