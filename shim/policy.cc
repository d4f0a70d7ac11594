#include "shim/policy.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace portshim::policy {
namespace {

using address::Target;
using address::Verdict;
using config::Origin;
using edit::Editor;
using edit::Place;
using edit::place_of;
using hosting::Input;
using hosting::Prediction;
using kestrel::Endpoint;
using kestrel::Form;
using kestrel::Piece;

constexpr std::uint16_t kFirstCandidate = 8080;
constexpr std::uint32_t kOffset = 8000;
constexpr std::uint32_t kMaxPort = 65535;
constexpr std::uint32_t kReservedPorts = 1024;
/// Settings that are repaired, or tried one by one when the whole plan fails its proof. More are no accident.
constexpr std::size_t kMaxRounds = 8;

// ---- Choosing new ports ------------------------------------------------------------------------------------------

/// A target that some prediction binds, with the setting it comes from.
struct Use {
  Target target;
  std::optional<Place> place;  ///< nothing when several settings bind it
};

/// What one prediction binds on each port: each distinct target once.
class PortUses {
 public:
  void add(std::uint16_t port, const Target& target, Place place) {
    std::vector<Use>& uses = uses_[port];
    const auto key = std::tuple(port, target.https, target.bind, target.address);
    const auto [it, added] = index_.try_emplace(key, uses.size());
    if (added) {
      uses.push_back({target, place});
    } else if (uses[it->second].place != place) {
      uses[it->second].place.reset();
    }
  }
  [[nodiscard]] const std::vector<Use>& at(std::uint16_t port) const {
    static const std::vector<Use> kNone;
    const auto it = uses_.find(port);
    return it == uses_.end() ? kNone : it->second;
  }

 private:
  std::unordered_map<std::uint16_t, std::vector<Use>> uses_;
  std::map<std::tuple<std::uint16_t, bool, address::Bind, std::string>, std::size_t> index_;
};

enum class Fit : std::uint8_t { free, merges, conflicts };

/// Chooses a new port for every low port, such that what the app binds elsewhere stays apart.
class Chooser {
 public:
  Chooser(const std::vector<Prediction>& predictions, const Rules& rules) : rules_(rules) {
    for (const Prediction& prediction : predictions) {
      PortUses& settled = settled_.emplace_back();
      PortUses& low = low_.emplace_back();
      for (const Endpoint& endpoint : prediction.lenient().endpoints) {
        if (!address::has_port(endpoint.target)) continue;
        const bool moves =
            is_low(endpoint.target, rules_) && edit::is_editable(endpoint.source.origin(), rules_.is_dotnet);
        (moves ? low : settled).add(endpoint.target.port, endpoint.target, place_of(endpoint.source.origin()));
        if (moves && std::ranges::find(order_, endpoint.target.port) == order_.end())
          order_.push_back(endpoint.target.port);
      }
    }
  }

  /// The new port of each low port; 0 = there is none.
  std::map<std::uint16_t, Move> choose() {
    std::map<std::uint16_t, Move> moves;
    for (const std::uint16_t from : order_) moves.emplace(from, choose_for(from));
    return moves;
  }

  /// Low endpoints (place, target with its old port) that are dropped since another item of the list binds the same.
  [[nodiscard]] bool is_merged(Place place, const Target& target) const {
    return merged_.contains({place, target.https, target.bind, target.address, target.port});
  }

 private:
  using MergeKey = std::tuple<Place, bool, address::Bind, std::string, std::uint16_t>;

  Move choose_for(std::uint16_t from) {
    Move move{.from = from};
    std::uint32_t candidate = wanted_port(from, rules_);
    const auto mapped = rules_.map.find(from);
    move.mapped = mapped != rules_.map.end() && mapped->second == candidate;
    std::set<MergeKey> merges;
    Fit fit = fit_of(from, static_cast<std::uint16_t>(candidate), &merges);
    while (fit == Fit::conflicts && candidate < kMaxPort) {
      move.dodged = true;
      move.mapped = false;
      merges.clear();
      fit = fit_of(from, static_cast<std::uint16_t>(++candidate), nullptr);
    }
    if (fit == Fit::conflicts) return move;
    move.to = static_cast<std::uint16_t>(candidate);
    merged_.merge(merges);
    settle(from, move.to);
    return move;
  }

  /// How the endpoints of port `from` fit on port `to`; with `merges` null nothing may be merged.
  Fit fit_of(std::uint16_t from, std::uint16_t to, std::set<MergeKey>* merges) {
    Fit fit = Fit::free;
    for (std::size_t i = 0; i < low_.size(); ++i) {
      const std::vector<Use>& others = settled_[i].at(to);
      if (others.empty()) continue;
      for (const Use& use : low_[i].at(from)) {
        const Fit one = fit_use(use, others);
        if (one == Fit::conflicts || (one == Fit::merges && merges == nullptr)) return Fit::conflicts;
        if (one != Fit::merges) continue;
        merges->insert({*use.place, use.target.https, use.target.bind, use.target.address, from});
        fit = Fit::merges;
      }
    }
    return fit;
  }

  static Fit fit_use(const Use& use, const std::vector<Use>& others) {
    Fit fit = Fit::free;
    for (const Use& other : others) {
      if (!address::overlaps(on_port(use.target, 1), on_port(other.target, 1))) continue;
      const bool same_list = use.place && other.place && *use.place == *other.place;
      const bool same = same_list && use.target.https == other.target.https;
      if (!same || !address::covers(on_port(other.target, 1), on_port(use.target, 1))) return Fit::conflicts;
      fit = Fit::merges;
    }
    return fit;
  }

  static Target on_port(Target target, std::uint16_t port) {
    target.port = port;
    return target;
  }

  void settle(std::uint16_t from, std::uint16_t to) {
    for (std::size_t i = 0; i < low_.size(); ++i) {
      for (const Use& use : low_[i].at(from)) {
        settled_[i].add(to, on_port(use.target, to), use.place.value_or(Place{}));
      }
    }
  }

  const Rules& rules_;
  std::vector<PortUses> settled_, low_;
  std::vector<std::uint16_t> order_;
  std::set<MergeKey> merged_;
};

// ---- Moving ------------------------------------------------------------------------------------------------------

/// The text of a setting with each low item changed as decided.
class Rewriter {
 public:
  Rewriter(const Rules& rules, const Chooser& chooser, const std::map<std::uint16_t, Move>& moves)
      : rules_(rules), chooser_(chooser), moves_(moves) {}

  /// `further` are the other entries of the same variable: .NET takes the first, a shell may take another.
  [[nodiscard]] Decision decide(LowSetting low, const std::vector<std::size_t>& further, const Input& input) const {
    Decision decision{.low = std::move(low), .moves = {}, .new_value = {}};
    for (const std::uint16_t port : decision.low.ports) decision.moves.push_back(outcome_of(decision.low, port));
    decision.new_value = rewrite(decision, decision.low.value);
    for (const std::size_t i : further) {
      const std::string& entry = input.environment[i];
      const std::size_t value = decision.low.origin.value_at;
      decision.further.emplace_back(i, entry.substr(0, value) + rewrite_further(decision, entry.substr(value)));
    }
    for (Move& move : decision.moves) settle_outcome(decision, move);
    return decision;
  }

 private:
  /// The text of another entry of the variable, which no prediction has seen: its own low ports move too.
  [[nodiscard]] std::string rewrite_further(Decision decision, const std::string& text) const {
    for (const std::string& address : kestrel::addresses(decision.low.form, text)) {
      const auto target = address::resolve(address, kAnyMajor);
      if (!target || !is_low(*target, rules_)) continue;
      if (std::ranges::find(decision.moves, target->port, &Move::from) != decision.moves.end()) continue;
      decision.moves.push_back({.from = target->port, .to = wanted_port(target->port, rules_)});
    }
    return rewrite(decision, text);
  }

  /// The worst answer of the kernel over the targets of a setting on one port.
  template <typename Change>
  [[nodiscard]] bool all(const LowSetting& low, std::uint16_t port, Verdict wanted, Change change) const {
    if (!rules_.verdict) return false;
    return std::ranges::all_of(low.targets, [&](const Target& target) {
      return target.port != port || rules_.verdict(change(target)) == wanted;
    });
  }

  [[nodiscard]] bool works(const LowSetting& low, std::uint16_t port) const {
    return all(low, port, Verdict::allowed, [](const Target& target) { return target; });
  }

  [[nodiscard]] bool is_taken(const LowSetting& low, const Move& move) const {
    if (!rules_.verdict || move.to == 0) return false;
    return std::ranges::any_of(low.targets, [&](Target target) {
      if (target.port != move.from || chooser_.is_merged(place_of(low.origin), target)) return false;
      target.port = move.to;
      return rules_.verdict(target) == Verdict::taken;
    });
  }

  [[nodiscard]] Move outcome_of(const LowSetting& low, std::uint16_t port) const {
    Move move{.from = port, .outcome = Outcome::immovable};
    const auto chosen = moves_.find(port);
    if (chosen == moves_.end() || !edit::is_editable(low.origin, rules_.is_dotnet)) return move;
    move = chosen->second;
    move.taken = is_taken(low, move);
    if (move.to == 0) {
      move.outcome = Outcome::immovable;
    } else if (rules_.keep && works(low, port)) {
      const bool list = low.form != Form::single_url && low.form != Form::iis_port;
      move.outcome = list && !move.taken ? Outcome::added : Outcome::kept;
    } else if (move.taken && works(low, port)) {
      move.outcome = Outcome::left_works;
    } else {
      move.outcome = Outcome::moved;
    }
    return move;
  }

  /// With everything merged that could be: says so.
  void settle_outcome(const Decision& decision, Move& move) const {
    if (move.outcome != Outcome::moved && move.outcome != Outcome::added) return;
    const bool merged = std::ranges::all_of(decision.low.targets, [&](const Target& target) {
      return target.port != move.from || chooser_.is_merged(place_of(decision.low.origin), target);
    });
    if (merged) move.outcome = move.outcome == Outcome::moved ? Outcome::merged : Outcome::present;
  }

  /// Goes through the text separator by separator; what is not changed is copied.
  [[nodiscard]] std::string rewrite(const Decision& decision, const std::string& text) const {
    std::string out;
    std::size_t copied = 0;
    bool drop_separator = false;  // the first item was dropped: the ';' behind it goes too
    for (const Piece& piece : kestrel::pieces(decision.low.form, text)) {
      const std::string item = text.substr(piece.begin, piece.end - piece.begin);
      std::string gap = text.substr(copied, piece.begin - copied);
      if (drop_separator) gap.erase(0, gap.find(';') + 1);
      drop_separator = false;
      const std::optional<std::string> replaced = rewrite_item(decision, item);
      if (replaced) {
        out += gap + *replaced;
      } else if (const std::size_t separator = gap.rfind(';'); separator != std::string::npos) {
        out += gap.substr(0, separator);
      } else {
        out += gap;
        drop_separator = true;
      }
      copied = piece.end;
    }
    return out + text.substr(copied);
  }

  /// The new text of an item; nothing when it is dropped.
  [[nodiscard]] std::optional<std::string> rewrite_item(const Decision& decision, const std::string& item) const {
    const std::string_view start = kestrel::prefix(decision.low.form);
    const std::string whole = std::string(start) + item;
    // The versions differ in names below ".localhost" alone, and both kinds move alike.
    const auto target = address::resolve(whole, kAnyMajor);
    if (!target || !address::has_port(*target) || !is_low(*target, rules_)) return item;
    const auto move = std::ranges::find(decision.moves, target->port, &Move::from);
    if (move == decision.moves.end()) return item;
    const bool merged = chooser_.is_merged(place_of(decision.low.origin), *target);
    const auto moved = [&] { return address::with_port(whole, move->to).substr(start.size()); };
    if (move->outcome == Outcome::moved) return merged ? std::nullopt : std::optional(moved());
    if (move->outcome == Outcome::added && !merged) return item + ";" + moved();
    return item;
  }

  static constexpr int kAnyMajor = 10;
  const Rules& rules_;
  const Chooser& chooser_;
  const std::map<std::uint16_t, Move>& moves_;
};

// ---- The proof ---------------------------------------------------------------------------------------------------

/// What a run should bind once the decisions are carried out.
class Expectation {
 public:
  Expectation(const std::vector<Decision>& decisions, const Chooser& chooser) : chooser_(chooser) {
    for (const Decision& decision : decisions) by_place_.emplace(place_of(decision.low.origin), &decision);
  }

  [[nodiscard]] std::vector<Target> of(const kestrel::Run& run) const {
    std::vector<Target> out;
    for (const Endpoint& endpoint : run.endpoints) {
      const Move* move = move_of(endpoint);
      Target moved = endpoint.target;
      if (move != nullptr) moved.port = move->to;
      const Outcome outcome = move == nullptr ? Outcome::immovable : move->outcome;
      const bool merged = chooser_.is_merged(place_of(endpoint.source.origin()), endpoint.target);
      const bool moves = outcome == Outcome::moved || outcome == Outcome::merged;
      if (!moves) out.push_back(endpoint.target);
      if ((moves || outcome == Outcome::added) && !merged) out.push_back(moved);
    }
    return out;
  }

 private:
  [[nodiscard]] const Move* move_of(const Endpoint& endpoint) const {
    const auto it = by_place_.find(place_of(endpoint.source.origin()));
    if (it == by_place_.end() || !address::has_port(endpoint.target)) return nullptr;
    const auto move = std::ranges::find(it->second->moves, endpoint.target.port, &Move::from);
    return move == it->second->moves.end() ? nullptr : &*move;
  }

  const Chooser& chooser_;
  std::map<Place, const Decision*> by_place_;
};

bool same_failure(const std::optional<kestrel::Failure>& a, const std::optional<kestrel::Failure>& b) {
  if (a.has_value() != b.has_value()) return false;
  // A file's setting and the variable that overrides it have the same key, not the same name.
  return !a || (a->exception.type == b->exception.type && a->path == b->path &&
                config::fold(a->source.key()) == config::fold(b->source.key()));
}

/// The predictions that get something else than expected.
std::vector<std::size_t> unproved(const std::vector<Prediction>& before, const std::vector<Prediction>& after,
                                  const Expectation& expected) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const bool holds =
        i < after.size() && same_failure(before[i].lenient().failure, after[i].lenient().failure) &&
        std::ranges::equal(expected.of(before[i].lenient()), after[i].lenient().endpoints, {}, {}, &Endpoint::target);
    if (!holds) out.push_back(i);
  }
  return out;
}

void give_up(Decision& decision, std::vector<std::size_t> predictions) {
  decision.proposed = std::exchange(decision.new_value, decision.low.value);
  decision.unproved = std::move(predictions);
  for (Move& move : decision.moves) move.outcome = Outcome::immovable;
}

/// What comes of carrying out some decisions.
struct Attempt {
  Input input;
  std::vector<Prediction> predictions;
  std::vector<std::size_t> unproved;
};

Attempt attempt(const Plan& plan, const std::vector<Decision>& decisions, const Chooser& chooser) {
  Attempt out{.input = plan.after, .predictions = {}, .unproved = {}};
  Editor editor(out.input);
  for (const Decision& decision : decisions) {
    if (decision.new_value == decision.low.value) continue;
    editor.set(decision.low.origin, decision.low.key, decision.new_value);
    for (const auto& [index, entry] : decision.further) out.input.environment[index] = entry;
  }
  out.predictions = hosting::predict(out.input);
  out.unproved = unproved(plan.predictions, out.predictions, Expectation(decisions, chooser));
  return out;
}

/// Applies the decisions that pass the proof together; the others become immovable.
void apply(Plan& plan, std::vector<Decision> decisions, const Chooser& chooser) {
  Attempt result = attempt(plan, decisions, chooser);
  if (!result.unproved.empty()) {
    // Source by source: what fails together may hold without one of them.
    std::vector<Decision> accepted;
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      accepted.push_back(decisions[i]);
      std::vector<std::size_t> failed = i < kMaxRounds ? attempt(plan, accepted, chooser).unproved : result.unproved;
      if (!failed.empty()) give_up(accepted.back(), std::move(failed));
    }
    decisions = std::move(accepted);
    result = attempt(plan, decisions, chooser);
  }
  plan.after = std::move(result.input);
  plan.predictions = std::move(result.predictions);
  plan.decisions = std::move(decisions);
}

}  // namespace

bool is_low(const Target& target, const Rules& rules) {
  if (!address::has_port(target)) return false;
  if (target.port < rules.floor) return true;
  return rules.denied_is_low && target.port < kReservedPorts && rules.verdict &&
         rules.verdict(target) == Verdict::denied;
}

std::uint16_t wanted_port(std::uint16_t port, const Rules& rules) {
  const auto mapped = rules.map.find(port);
  const std::uint32_t wanted = mapped != rules.map.end() ? mapped->second : port + kOffset;
  const bool usable = wanted >= rules.floor && wanted <= kMaxPort;
  return usable ? static_cast<std::uint16_t>(wanted) : std::max(rules.floor, kFirstCandidate);
}

std::vector<LowSetting> low_settings(const std::vector<Prediction>& predictions, const Rules& rules) {
  std::vector<LowSetting> out;
  std::map<Place, std::size_t> index;
  std::set<std::tuple<Place, bool, address::Bind, std::string, std::uint16_t>> seen;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    for (const Endpoint& endpoint : predictions[i].lenient().endpoints) {
      const Target& target = endpoint.target;
      const Origin& origin = endpoint.source.origin();
      if (!is_low(target, rules)) continue;
      const auto [it, added] = index.try_emplace(place_of(origin), out.size());
      if (added) {
        out.push_back(
            {.origin = origin, .key = std::string(endpoint.source.key()), .form = endpoint.source.form, .value = {}});
        if (endpoint.source.setting) out.back().value = *endpoint.source.setting->value;
      }
      LowSetting& low = out[it->second];
      if (low.predictions.empty() || low.predictions.back() != i) low.predictions.push_back(i);
      if (!seen.insert({place_of(origin), target.https, target.bind, target.address, target.port}).second) continue;
      low.targets.push_back(target);
      if (std::ranges::find(low.ports, target.port) == low.ports.end()) low.ports.push_back(target.port);
    }
  }
  return out;
}

Plan make_plan(const Input& input, const Rules& rules) {
  return make_plan(input, hosting::predict(input), rules);
}

Plan make_plan(const Input& input, std::vector<Prediction> predictions, const Rules& rules) {
  repair::Draft draft{.input = input, .removed = {}, .predictions = std::move(predictions)};
  Plan plan;
  if (rules.expand) plan.expansions = repair::fill_in(draft, rules.is_dotnet);
  plan.repairs = repair::mend(draft, rules.is_dotnet);
  plan.after = std::move(draft.input);
  plan.removed = std::move(draft.removed);
  plan.predictions = std::move(draft.predictions);

  Chooser chooser(plan.predictions, rules);
  const std::map<std::uint16_t, Move> moves = chooser.choose();
  const Rewriter rewriter(rules, chooser, moves);
  const Editor editor(plan.after);
  std::vector<Decision> decisions;
  for (LowSetting& low : low_settings(plan.predictions, rules)) {
    const std::vector<std::size_t> further = editor.again(low.origin);
    decisions.push_back(rewriter.decide(std::move(low), further, plan.after));
  }
  if (!decisions.empty()) apply(plan, std::move(decisions), chooser);
  plan.edits = edit::between(input, plan.after);
  return plan;
}

}  // namespace portshim::policy
