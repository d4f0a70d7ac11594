#include "shim/repair.h"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <utility>

namespace portshim::repair {
namespace {

using config::Origin;
using edit::Editor;
using edit::Place;
using edit::place_of;
using hosting::Prediction;
using kestrel::Endpoint;
using kestrel::Form;
using kestrel::Piece;

/// More broken settings are no accident.
constexpr std::size_t kMaxRepairs = 8;
constexpr std::size_t kMaxTries = 64;

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

/// The settings whose variables are filled in: all of the environment and of argv, and of the files those that win.
std::vector<kestrel::Source> expandable(const Draft& draft) {
  std::vector<kestrel::Source> out = hosting::address_settings(draft.input);
  std::set<Place> seen;
  const auto add = [&](const kestrel::Source& source) {
    if (source.origin().kind == Origin::Kind::file && seen.insert(place_of(source.origin())).second)
      out.push_back(source);
  };
  for (const Prediction& prediction : draft.predictions) {
    for (const Endpoint& endpoint : prediction.lenient().endpoints) add(endpoint.source);
    if (const auto& failure = prediction.lenient().failure; failure && failure->source.form != Form::none)
      add(failure->source);
  }
  return out;
}

bool is_quoted(std::string_view text) {
  return text.size() >= 2 && text.front() == text.back() && (text.front() == '"' || text.front() == '\'');
}

/// The text with every item trimmed that .NET rejects as it is.
std::string trim_items(Form form, std::string_view text, int major) {
  std::string out;
  std::size_t copied = 0;
  for (const Piece& piece : kestrel::pieces(form, text)) {
    const std::string_view item = text.substr(piece.begin, piece.end - piece.begin);
    if (address::resolve(std::string(kestrel::prefix(form)) + std::string(item), major)) continue;
    out += text.substr(copied, piece.begin - copied);
    out += address::trim(item);
    copied = piece.end;
  }
  return out.append(text.substr(copied));
}

/// The text without matching quotes around it, and without the white space that .NET takes for part of an address.
std::string repaired(Form form, std::string_view text, int major) {
  const std::string_view trimmed = address::trim(text);
  return trim_items(form, is_quoted(trimmed) ? trimmed.substr(1, trimmed.size() - 2) : text, major);
}

/// (2) and (3) of the proof for a repair: what was bound before the failure still is, and nothing new fails.
bool harms(const kestrel::Run& before, const kestrel::Run& after) {
  if ((!before.failure && after.failure) || after.endpoints.size() < before.endpoints.size()) return true;
  return !std::ranges::equal(before.endpoints, std::span(after.endpoints).first(before.endpoints.size()), {},
                             &Endpoint::target, &Endpoint::target);
}

/// True when the run gets further than before.
bool helps(const kestrel::Run& before, const kestrel::Run& after) {
  if (!before.failure) return false;
  if (!after.failure || after.endpoints.size() > before.endpoints.size()) return true;
  return config::fold(before.failure->source.key()) != config::fold(after.failure->source.key());
}

bool is_proved(const std::vector<Prediction>& before, const std::vector<Prediction>& after) {
  bool helped = false;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (i >= after.size() || harms(before[i].lenient(), after[i].lenient())) return false;
    helped |= helps(before[i].lenient(), after[i].lenient());
  }
  return helped;
}

/// Carries a repair out if it passes the proof.
bool carry_out(const Repair& repair, Draft& draft) {
  if (repair.new_value == repair.old_value) return false;
  if (repair.removed && repair.origin.kind != Origin::Kind::variable) return false;
  Draft candidate{.input = draft.input, .removed = draft.removed, .predictions = {}};
  Editor editor(candidate.input);
  if (repair.removed) {
    editor.remove(repair.origin, candidate.removed);
  } else {
    editor.set(repair.origin, repair.key, repair.new_value);
  }
  candidate.predictions = hosting::predict(candidate.input);
  if (!is_proved(draft.predictions, candidate.predictions)) return false;
  draft = std::move(candidate);
  return true;
}

/// The repair of the first setting that kills the app and was not tried.
std::optional<Repair> next_repair(const Draft& draft, bool is_dotnet, std::set<Place>& tried) {
  for (const Prediction& prediction : draft.predictions) {
    const auto& failure = prediction.lenient().failure;
    if (!failure || !failure->certain || failure->source.form == Form::none || failure->source.setting->empty())
      continue;
    const Origin& origin = failure->source.origin();
    if (!edit::is_editable(origin, is_dotnet) || !tried.insert(place_of(origin)).second) continue;
    const config::Setting& setting = *failure->source.setting;
    Repair repair{.origin = origin,
                  .key = setting.key,
                  .old_value = *setting.value,
                  .new_value = repaired(failure->source.form, *setting.value, prediction.major),
                  .removed = false,
                  .exception = failure->exception};
    repair.removed = repair.new_value.empty();
    return repair;
  }
  return std::nullopt;
}

}  // namespace

std::vector<Expansion> fill_in(Draft& draft, bool is_dotnet) {
  std::vector<Expansion> expansions;
  const std::vector<std::string> environment = draft.input.environment;
  const Variables known = variables(environment);
  Editor editor(draft.input);
  for (const kestrel::Source& source : expandable(draft)) {
    if (!edit::is_editable(source.origin(), is_dotnet)) continue;
    const std::string& old_value = *source.setting->value;
    if (old_value.find('$') == std::string::npos) continue;
    std::string new_value = expand(old_value, known);
    if (new_value == old_value) continue;
    editor.set(source.origin(), source.setting->key, new_value);
    expansions.push_back({source.origin(), source.setting->key, old_value, std::move(new_value)});
  }
  draft.predictions = hosting::predict(draft.input);
  return expansions;
}

std::vector<Repair> mend(Draft& draft, bool is_dotnet) {
  std::vector<Repair> repairs;
  std::set<Place> tried;
  while (repairs.size() < kMaxRepairs && tried.size() < kMaxTries) {
    auto repair = next_repair(draft, is_dotnet, tried);
    if (!repair) break;
    if (carry_out(*repair, draft)) repairs.push_back(*std::move(repair));
  }
  return repairs;
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

}  // namespace portshim::repair
