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
using hosting::Endpoint;
using hosting::Form;
using hosting::Input;
using hosting::Piece;
using hosting::Prediction;

constexpr std::uint16_t kFirstCandidate = 8080;
constexpr std::uint32_t kOffset = 8000;
constexpr std::uint32_t kMaxPort = 65535;
constexpr std::uint32_t kReservedPorts = 1024;
/// Settings that are repaired, or tried one by one when the whole plan fails its proof. More are no accident.
constexpr std::size_t kMaxRounds = 8;

/// Where a setting stands; the order is that of the environment block and of argv.
using Place = std::pair<Origin::Kind, std::size_t>;
Place place_of(const Origin& origin) {
  return {origin.kind, origin.index};
}

bool has_port(const Target& target) {
  return target.bind != address::Bind::unix_socket && target.bind != address::Bind::named_pipe && target.port != 0;
}

// ---- Changing the input ------------------------------------------------------------------------------------------

std::string& entry_of(Input& input, const Origin& origin) {
  return origin.kind == Origin::Kind::variable ? input.environment[origin.index] : input.argv[origin.index];
}

/// Changes entries of an input; a variable at every occurrence of its name. Indices keep their meaning.
class Editor {
 public:
  explicit Editor(const Input& input) {
    std::unordered_map<std::string, std::size_t> first;
    for (std::size_t i = 0; i < input.environment.size(); ++i) {
      const std::string& entry = input.environment[i];
      const std::size_t equals = entry.find('=', 1);
      if (equals == std::string::npos) continue;
      const auto [it, added] = first.try_emplace(entry.substr(0, equals), i);
      if (!added) again_[it->first].push_back(i);
    }
  }

  /// Sets the text of a setting, and of what says the same under its name again.
  void set(Input& input, const Origin& origin, std::string_view value) const {
    std::string& entry = entry_of(input, origin);
    const std::string old_entry = entry;
    entry.replace(origin.value_at, std::string::npos, value);
    for (const std::size_t i : again(origin)) {
      if (input.environment[i] == old_entry) input.environment[i] = entry;
    }
  }

  /// A removed variable is an empty entry.
  void remove(Input& input, const Origin& origin, std::vector<std::size_t>& removed) const {
    std::vector<std::size_t> indices = again(origin);
    indices.push_back(origin.index);
    for (const std::size_t i : indices) input.environment[i].clear();
    removed.insert(removed.end(), indices.begin(), indices.end());
  }

  /// The further occurrences of a variable's name.
  [[nodiscard]] std::vector<std::size_t> again(const Origin& origin) const {
    const auto it = again_.find(origin.name);
    return origin.kind == Origin::Kind::variable && it != again_.end() ? it->second : std::vector<std::size_t>{};
  }

 private:
  std::unordered_map<std::string, std::vector<std::size_t>> again_;
};

/// The differences between two inputs, as edits, in the order of the block and of argv.
std::vector<Edit> edits_between(const Input& before, const Plan& plan) {
  std::vector<Edit> edits;
  std::set<std::string> named;
  for (std::size_t i = 0; i < before.environment.size(); ++i) {
    const std::string& old_entry = before.environment[i];
    const std::string& new_entry = plan.after.environment[i];
    if (old_entry == new_entry) continue;
    const std::size_t equals = old_entry.find('=', 1);
    const std::string name = old_entry.substr(0, equals);
    if (!named.insert(old_entry).second) continue;
    Edit edit{.kind = Edit::Kind::set, .name = name, .old_value = old_entry.substr(equals + 1), .new_value = {}};
    if (new_entry.empty()) {
      edit.kind = Edit::Kind::remove;
    } else {
      edit.new_value = new_entry.substr(equals + 1);
    }
    edits.push_back(std::move(edit));
  }
  for (std::size_t i = 0; i < before.argv.size(); ++i) {
    if (before.argv[i] == plan.after.argv[i]) continue;
    edits.push_back({.kind = Edit::Kind::argument,
                     .name = "argv[" + std::to_string(i) + "]",
                     .old_value = before.argv[i],
                     .new_value = plan.after.argv[i]});
  }
  return edits;
}

bool may_edit(const Origin& origin, const Rules& rules) {
  return origin.kind == Origin::Kind::variable || (origin.kind == Origin::Kind::argument && rules.edit_arguments);
}

// ---- Filling in --------------------------------------------------------------------------------------------------

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name_char(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9');
}

std::size_t name_length(std::string_view text) {
  if (text.empty() || !is_name_start(text.front())) return 0;
  const auto* end = std::ranges::find_if_not(text, is_name_char);
  return static_cast<std::size_t>(end - text.begin());
}

/// A reference at the start of `text`: its length, the variable's name and its default.
struct Reference {
  std::size_t length = 0;
  std::string_view name;
  std::optional<std::string_view> otherwise;
};

std::optional<Reference> parse_reference(std::string_view text) {
  if (!text.starts_with('$')) return std::nullopt;
  const bool braced = text.substr(1).starts_with('{');
  const std::size_t start = braced ? 2 : 1;
  const std::size_t length = name_length(text.substr(std::min(start, text.size())));
  if (length == 0) return std::nullopt;
  Reference reference{.length = start + length, .name = text.substr(start, length), .otherwise = {}};
  if (!braced) return reference;
  const std::size_t close = text.find('}', reference.length);
  if (close == std::string_view::npos) return std::nullopt;
  const std::string_view rest = text.substr(reference.length, close - reference.length);
  if (rest.starts_with(":-")) {
    reference.otherwise = rest.substr(2);
  } else if (!rest.empty()) {
    return std::nullopt;
  }
  reference.length = close + 1;
  return reference;
}

void expand_settings(Plan& plan, const Rules& rules, const Editor& editor) {
  const std::vector<std::string> environment = plan.after.environment;
  const Variables known = variables(environment);
  for (const hosting::Source& source : hosting::address_settings(plan.after)) {
    if (!may_edit(source.origin(), rules)) continue;
    std::string old_value = value_at(plan.after, source.origin());
    if (old_value.find('$') == std::string::npos) continue;
    std::string new_value = expand(old_value, known);
    if (new_value == old_value) continue;
    editor.set(plan.after, source.origin(), new_value);
    plan.expansions.push_back({source.origin(), std::move(old_value), std::move(new_value)});
  }
}

// ---- Repairing ---------------------------------------------------------------------------------------------------

bool is_quoted(std::string_view text) {
  return text.size() >= 2 && text.front() == text.back() && (text.front() == '"' || text.front() == '\'');
}

/// The text without matching quotes around it, or with every item trimmed that .NET rejects as it is.
std::string repaired(Form form, const std::string& text, int major) {
  const std::string_view trimmed = address::trim(text);
  if (is_quoted(trimmed)) return std::string(trimmed.substr(1, trimmed.size() - 2));
  std::string out;
  std::size_t copied = 0;
  for (const Piece& piece : hosting::pieces(form, text)) {
    const std::string item = std::string(hosting::prefix(form)) + text.substr(piece.begin, piece.end - piece.begin);
    if (address::resolve(item, major)) continue;
    out.append(text, copied, piece.begin - copied);
    out += address::trim(std::string_view(text).substr(piece.begin, piece.end - piece.begin));
    copied = piece.end;
  }
  out.append(text, copied);
  return out;
}

/// (2) and (3) of the proof for a repair: what was bound before the failure still is, and nothing new fails.
bool repair_holds(const std::vector<Prediction>& before, const std::vector<Prediction>& after) {
  if (before.size() != after.size()) return false;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto& old_run = before[i].lenient();
    const auto& new_run = after[i].lenient();
    if (!old_run.failure && new_run.failure) return false;
    if (new_run.endpoints.size() < old_run.endpoints.size()) return false;
    const bool unchanged =
        std::ranges::equal(old_run.endpoints, std::span(new_run.endpoints).first(old_run.endpoints.size()), {},
                           &Endpoint::target, &Endpoint::target);
    if (!unchanged) return false;
  }
  return true;
}

/// Repairs the first setting that kills the app and can be repaired. False when there is none.
bool repair_one(Plan& plan, const Rules& rules, const Editor& editor, std::set<Place>& hopeless) {
  for (const Prediction& prediction : plan.predictions) {
    const auto& failure = prediction.lenient().failure;
    if (!failure || !failure->certain || failure->source.form == Form::none) continue;
    const Origin& origin = failure->source.origin();
    if (!may_edit(origin, rules) || hopeless.contains(place_of(origin))) continue;
    Repair repair{.origin = origin,
                  .old_value = value_at(plan.after, origin),
                  .new_value = {},
                  .removed = false,
                  .exception = failure->exception};
    repair.new_value = repaired(failure->source.form, repair.old_value, prediction.major);
    repair.removed = repair.new_value.empty();
    Input candidate = plan.after;
    std::vector<std::size_t> removed = plan.removed;
    const bool possible =
        repair.new_value != repair.old_value && (!repair.removed || origin.kind == Origin::Kind::variable);
    if (possible) {
      if (repair.removed) {
        editor.remove(candidate, origin, removed);
      } else {
        editor.set(candidate, origin, repair.new_value);
      }
      std::vector<Prediction> after = hosting::predict(candidate);
      if (repair_holds(plan.predictions, after)) {
        plan.after = std::move(candidate);
        plan.removed = std::move(removed);
        plan.predictions = std::move(after);
        plan.repairs.push_back(std::move(repair));
        return true;
      }
    }
    hopeless.insert(place_of(origin));
  }
  return false;
}

/// A value that was repaired twice (quotes, then blanks) is one repair.
void join_repairs(std::vector<Repair>& repairs) {
  std::vector<Repair> joined;
  for (Repair& repair : repairs) {
    const auto same = std::ranges::find_if(joined, [&](const Repair& r) { return r.origin == repair.origin; });
    if (same == joined.end()) {
      joined.push_back(std::move(repair));
    } else {
      same->new_value = std::move(repair.new_value);
      same->removed = repair.removed;
    }
  }
  repairs = std::move(joined);
}

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
        if (!has_port(endpoint.target)) continue;
        const bool moves = is_low(endpoint.target, rules_) && may_edit(endpoint.source.origin(), rules_);
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
        settled_[i].add(to, on_port(use.target, to), use.place.value_or(Place{Origin::Kind::builtin, 0}));
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
    for (const std::string& address : hosting::addresses(decision.low.form, text)) {
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
    if (chosen == moves_.end() || !may_edit(low.origin, rules_)) return move;
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
    for (const Piece& piece : hosting::pieces(decision.low.form, text)) {
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
    const std::string_view start = hosting::prefix(decision.low.form);
    const std::string whole = std::string(start) + item;
    // The versions differ in names below ".localhost" alone, and both kinds move alike.
    const auto target = address::resolve(whole, kAnyMajor);
    if (!target || !has_port(*target) || !is_low(*target, rules_)) return item;
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

const Move* find_move(const std::vector<Decision>& decisions, const Origin& origin, std::uint16_t port) {
  for (const Decision& decision : decisions) {
    if (decision.low.origin != origin) continue;
    const auto move = std::ranges::find(decision.moves, port, &Move::from);
    return move == decision.moves.end() ? nullptr : &*move;
  }
  return nullptr;
}

/// What a run should bind once the decisions are carried out.
class Expectation {
 public:
  Expectation(const std::vector<Decision>& decisions, const Chooser& chooser) : chooser_(chooser) {
    for (const Decision& decision : decisions) by_place_.emplace(place_of(decision.low.origin), &decision);
  }

  [[nodiscard]] std::vector<Target> of(const hosting::Run& run) const {
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
    if (it == by_place_.end() || !has_port(endpoint.target)) return nullptr;
    const auto move = std::ranges::find(it->second->moves, endpoint.target.port, &Move::from);
    return move == it->second->moves.end() ? nullptr : &*move;
  }

  const Chooser& chooser_;
  std::map<Place, const Decision*> by_place_;
};

bool same_failure(const std::optional<hosting::Failure>& a, const std::optional<hosting::Failure>& b) {
  if (a.has_value() != b.has_value()) return false;
  return !a || (a->exception.type == b->exception.type && a->source.origin().name == b->source.origin().name);
}

bool proved(const std::vector<Prediction>& before, const std::vector<Prediction>& after, const Expectation& expected) {
  if (before.size() != after.size()) return false;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (!same_failure(before[i].lenient().failure, after[i].lenient().failure)) return false;
    if (!std::ranges::equal(expected.of(before[i].lenient()), after[i].lenient().endpoints, {}, {},
                            &Endpoint::target)) {
      return false;
    }
  }
  return true;
}

void give_up(Decision& decision) {
  decision.new_value = decision.low.value;
  for (Move& move : decision.moves) move.outcome = Outcome::immovable;
}

/// Applies the decisions that pass the proof together; the others become immovable.
void apply(Plan& plan, std::vector<Decision> decisions, const Chooser& chooser, const Editor& editor) {
  const auto attempt = [&](const std::vector<Decision>& some) {
    Input candidate = plan.after;
    for (const Decision& decision : some) {
      if (decision.new_value == decision.low.value) continue;
      editor.set(candidate, decision.low.origin, decision.new_value);
      for (const auto& [index, entry] : decision.further) candidate.environment[index] = entry;
    }
    std::vector<Prediction> after = hosting::predict(candidate);
    const bool holds = proved(plan.predictions, after, Expectation(some, chooser));
    return std::tuple(holds, std::move(candidate), std::move(after));
  };
  auto [holds, candidate, after] = attempt(decisions);
  if (!holds) {
    // Source by source: what fails together may hold without one of them.
    std::vector<Decision> accepted;
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      std::vector<Decision> some = accepted;
      some.push_back(decisions[i]);
      if (i >= kMaxRounds || !std::get<0>(attempt(some))) give_up(some.back());
      accepted = std::move(some);
    }
    decisions = std::move(accepted);
    std::tie(holds, candidate, after) = attempt(decisions);
  }
  plan.after = std::move(candidate);
  plan.predictions = std::move(after);
  plan.decisions = std::move(decisions);
}

}  // namespace

std::string value_at(const Input& input, const Origin& origin) {
  const std::string& entry =
      origin.kind == Origin::Kind::variable ? input.environment[origin.index] : input.argv[origin.index];
  return entry.substr(std::min(origin.value_at, entry.size()));
}

Variables variables(const std::vector<std::string>& environment) {
  Variables out;
  for (const std::string_view entry : environment) {
    const std::size_t equals = entry.find('=', 1);
    if (equals != std::string_view::npos) out.try_emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return out;
}

std::string expand(std::string_view text, const Variables& variables) {
  std::string out;
  while (!text.empty()) {
    const auto reference = parse_reference(text);
    if (!reference) {
      const std::size_t next = std::min(text.find('$', 1), text.size());
      out += text.substr(0, next);
      text.remove_prefix(next);
      continue;
    }
    const auto value = variables.find(reference->name);
    if (value != variables.end() && !value->second.empty()) {
      out += value->second;
    } else {
      out += reference->otherwise.value_or(text.substr(0, reference->length));
    }
    text.remove_prefix(reference->length);
  }
  return out;
}

bool is_low(const Target& target, const Rules& rules) {
  if (!has_port(target)) return false;
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

std::vector<LowSetting> low_settings(const Input& input, const std::vector<Prediction>& predictions,
                                     const Rules& rules) {
  std::vector<LowSetting> out;
  std::map<Place, std::size_t> index;
  std::set<std::tuple<Place, bool, address::Bind, std::string, std::uint16_t>> seen;
  for (const Prediction& prediction : predictions) {
    for (const Endpoint& endpoint : prediction.lenient().endpoints) {
      const Target& target = endpoint.target;
      const Origin& origin = endpoint.source.origin();
      if (!is_low(target, rules)) continue;
      if (!seen.insert({place_of(origin), target.https, target.bind, target.address, target.port}).second) continue;
      const auto [it, added] = index.try_emplace(place_of(origin), out.size());
      if (added) {
        out.push_back({.origin = origin, .form = endpoint.source.form, .value = {}});
        if (origin.kind != Origin::Kind::builtin) out.back().value = value_at(input, origin);
      }
      LowSetting& low = out[it->second];
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
  Plan plan{.after = input,
            .removed = {},
            .edits = {},
            .expansions = {},
            .repairs = {},
            .decisions = {},
            .predictions = std::move(predictions)};
  const Editor editor(input);
  if (rules.expand) {
    expand_settings(plan, rules, editor);
    plan.predictions = hosting::predict(plan.after);
  }
  std::set<Place> hopeless;
  for (std::size_t round = 0; round < kMaxRounds && repair_one(plan, rules, editor, hopeless); ++round) {
  }
  join_repairs(plan.repairs);

  Chooser chooser(plan.predictions, rules);
  const std::map<std::uint16_t, Move> moves = chooser.choose();
  const Rewriter rewriter(rules, chooser, moves);
  std::vector<Decision> decisions;
  for (LowSetting& low : low_settings(plan.after, plan.predictions, rules)) {
    const std::vector<std::size_t> further = editor.again(low.origin);
    decisions.push_back(rewriter.decide(std::move(low), further, plan.after));
  }
  if (!decisions.empty()) apply(plan, std::move(decisions), chooser, editor);
  plan.edits = edits_between(input, plan);
  return plan;
}

bool is_excused(const Plan& plan, const Origin& origin, std::uint16_t port) {
  const Move* move = find_move(plan.decisions, origin, port);
  constexpr std::array kExcused = {Outcome::added, Outcome::present, Outcome::kept, Outcome::left_works};
  return move != nullptr && std::ranges::find(kExcused, move->outcome) != kExcused.end();
}

namespace {

/// Targets of one port, each distinct one once. An address overlaps itself and the few that stand for many.
class Bound {
 public:
  /// The endpoint that overlaps this one; null when there is none, and then it is kept.
  const Endpoint* add(const Endpoint& endpoint) {
    const Target& target = endpoint.target;
    if (stands_for_many(target)) {
      for (const auto& [address, other] : single_) {
        if (address::overlaps(other->target, target)) return other;
      }
    }
    for (const Endpoint* other : many_) {
      if (address::overlaps(other->target, target)) return other;
    }
    if (stands_for_many(target)) {
      if (many_.size() < kMostOfMany) many_.push_back(&endpoint);
      return nullptr;
    }
    const auto [it, added] = single_.try_emplace(target.address, &endpoint);
    return added ? nullptr : it->second;
  }

 private:
  /// Everything but the address of one host; spelled in one of few ways, so that there are never many of them. IPv6
  /// addresses with an IPv4 one inside, or with a scope, may overlap others that look different.
  static bool stands_for_many(const Target& target) {
    if (target.bind != address::Bind::ip) return true;
    return target.address == "0.0.0.0" || target.address == "::" || target.address.starts_with("::ffff:") ||
           target.address.starts_with("fe80") || target.address.contains('%');
  }

  static constexpr std::size_t kMostOfMany = 64;
  std::vector<const Endpoint*> many_;
  std::unordered_map<std::string_view, const Endpoint*> single_;
};

}  // namespace

std::optional<Collision> find_collision(const hosting::Run& run) {
  std::unordered_map<std::uint16_t, Bound> by_port;
  for (const Endpoint& endpoint : run.endpoints) {
    if (!has_port(endpoint.target)) continue;
    if (const Endpoint* other = by_port[endpoint.target.port].add(endpoint)) {
      return Collision{.first = *other, .second = endpoint};
    }
  }
  return std::nullopt;
}

}  // namespace portshim::policy
