#include "shim/config.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <ranges>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "shim/ascii.h"
#include "shim/casing.h"
#include "shim/utf8.h"

namespace portshim::config {
namespace {

/// What some builder reads, besides the Kestrel section (kestrel.md sections 3.1, 3.3, 3.7, 6).
constexpr std::array<std::string_view, 11> kKeys = {"URLS",        "HTTP_PORTS",  "HTTPS_PORTS", "PREFERHOSTINGURLS",
                                                    "ENVIRONMENT", "CONTENTROOT", "SERVER.URLS", "APPLICATIONNAME",
                                                    "PORT",        "APPL_PATH",   "TOKEN"};

std::uint32_t upper(std::uint32_t point) {
  const auto* range = std::ranges::lower_bound(kCaseRanges, point, {}, &CaseRange::last);
  const bool mapped = range != kCaseRanges.end() && range->first <= point && (point - range->first) % range->step == 0;
  return mapped ? static_cast<std::uint32_t>(static_cast<std::int64_t>(point) + range->delta) : point;
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         std::ranges::equal(text.substr(0, prefix.size()), prefix, {}, ascii::to_upper, ascii::to_upper);
}

/// A section of which every key is kept, and none decides what is bound.
constexpr std::string_view kLogging = "LOGGING:";

/// A quick look at a variable's name that spares most of them the rest. No key has a ':' but those of two sections.
bool may_be_read(std::string_view name, std::string_view prefix) {
  if (!starts_with_ignoring_case(name, prefix)) return false;
  name.remove_prefix(prefix.size());
  if (starts_with_ignoring_case(name, "KESTREL") || starts_with_ignoring_case(name, "LOGGING")) return true;
  return std::ranges::any_of(
      kKeys, [&](std::string_view key) { return name.size() == key.size() && starts_with_ignoring_case(name, key); });
}

/// A key that is kept, or that makes one that is read a section.
bool may_count(std::string_view key) {
  const std::string folded = fold(key);
  return is_kept(folded) || is_read(folded.substr(0, folded.find(':')));
}

/// One provider's names: of several spellings the one that stands first.
void collect_children(const Provider& provider, std::string_view folded_prefix,
                      std::map<std::string, std::string>& names) {
  std::map<std::string, std::pair<std::size_t, std::size_t>> places;
  const auto& settings = provider.settings();
  for (auto it = settings.lower_bound(std::string(folded_prefix));
       it != settings.end() && it->first.starts_with(folded_prefix); ++it) {
    // Folding keeps the number of ':' but not always the number of bytes: cut the spelled key by its parts.
    std::string_view rest = it->second->key;
    for (auto parts = std::ranges::count(folded_prefix, ':'); parts > 0; --parts)
      rest.remove_prefix(rest.find(':') + 1);
    const std::string_view name = rest.substr(0, rest.find(':'));
    const std::pair place(it->second->origin.index, it->second->origin.value_at);
    const auto [known, added] = places.try_emplace(fold(name), place);
    if (!added && known->second < place) continue;
    known->second = place;
    names.insert_or_assign(known->first, std::string(name));
  }
}

}  // namespace

std::string fold(std::string_view key) {
  std::string out(key);
  std::ranges::transform(out, out.begin(), ascii::to_upper);
  if (std::ranges::none_of(key, [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) return out;
  out.clear();
  while (!key.empty()) {
    if (static_cast<unsigned char>(key[0]) < 0x80) {
      out += ascii::to_upper(key[0]);
      key.remove_prefix(1);
      continue;
    }
    const utf8::Character character = utf8::first_character(key);
    if (character.code == utf8::kReplacement) {
      out += key.substr(0, character.length);
    } else {
      utf8::append(upper(character.code), out);
    }
    key.remove_prefix(character.length);
  }
  return out;
}

bool is_true(std::string_view text) {
  return text == "1" || fold(text) == "TRUE";
}

bool child_before(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return a.empty() && !b.empty();
  const auto x = address::parse_int32(a);
  const auto y = address::parse_int32(b);
  if (x && y) return *x < *y;
  if (x || y) return x.has_value();
  return fold(a) < fold(b);
}

bool is_read(std::string_view folded_key) {
  return folded_key.starts_with("KESTREL:") || std::ranges::find(kKeys, folded_key) != kKeys.end();
}

bool is_kept(std::string_view folded_key) {
  return is_read(folded_key) || folded_key.starts_with(kLogging);
}

void Provider::set(Setting setting) {
  SettingPtr& known = settings_[fold(setting.key)];
  if (known) setting.key = known->key;
  known = std::make_shared<const Setting>(std::move(setting));
}

SettingPtr Provider::find(std::string_view key) const {
  return find_folded(fold(key));
}

SettingPtr Provider::find_folded(const std::string& key) const {
  const auto it = settings_.find(key);
  return it == settings_.end() ? nullptr : it->second;
}

Variables::Variables(std::span<const std::string> environment, std::string_view prefix) {
  std::unordered_set<std::string_view> seen;
  for (std::size_t i = 0; i < environment.size(); ++i) {
    const std::string_view entry = environment[i];
    const std::size_t equals = entry.find('=', 1);  // as .NET: a name may begin with '='
    if (equals == std::string_view::npos) continue;
    const std::string_view name = entry.substr(0, equals);
    if (!may_be_read(name, prefix)) continue;
    std::string key = key_of_variable(name);
    if (!starts_with_ignoring_case(key, prefix)) continue;
    key.erase(0, prefix.size());
    const std::string folded = fold(key);
    if (!is_kept(folded) || !seen.insert(name).second) continue;
    if (folded.starts_with(kLogging) && by_key_.contains(folded)) continue;
    by_key_[folded].push_back(std::make_shared<const Setting>(Setting{
        .key = std::move(key),
        .value = std::string(entry.substr(equals + 1)),
        .origin = {.kind = Origin::Kind::variable, .index = i, .value_at = equals + 1, .name = std::string(name)}}));
  }
}

std::vector<std::size_t> Variables::choices() const {
  std::vector<std::size_t> out;
  for (const auto& [key, settings] : by_key_) {
    if (settings.size() > 1) out.push_back(settings.size());
  }
  return out;
}

Provider Variables::provider(std::span<const std::size_t> chosen) const {
  Provider provider;
  for (const auto& [key, settings] : by_key_) {
    std::size_t number = 0;
    if (settings.size() > 1) {
      number = chosen.front();
      chosen = chosen.subspan(1);
    }
    provider.add_folded(key, settings[number]);
  }
  return provider;
}

std::vector<std::vector<Origin>> Variables::ambiguous() const {
  std::vector<std::vector<Origin>> out;
  for (const auto& [key, settings] : by_key_) {
    if (settings.size() < 2) continue;
    std::ranges::transform(settings, std::back_inserter(out.emplace_back()),
                           [](const SettingPtr& setting) { return setting->origin; });
  }
  return out;
}

std::string key_of_variable(std::string_view name) {
  std::string key;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name.substr(i, 2) == "__") {
      key += ':';
      ++i;
    } else {
      key += name[i];
    }
  }
  return key;
}

std::expected<Provider, address::Exception> from_arguments(std::span<const std::string> argv, std::size_t first) {
  Provider provider;
  for (std::size_t i = first; i < argv.size(); ++i) {
    const std::string& word = argv[i];
    std::size_t key_at = 0;
    if (word.starts_with("--")) {
      key_at = 2;
    } else if (word.starts_with('-') || word.starts_with('/')) {
      key_at = 1;
    }
    const std::size_t equals = word.find('=');
    const bool short_switch = key_at == 1 && word.front() == '-';
    if (equals == std::string::npos) {
      // A word without a dash or slash, and a short switch without a value, are ignored.
      if (key_at == 0 || short_switch || i + 1 >= argv.size()) continue;
      std::string key = word.substr(key_at);
      ++i;
      if (!may_count(key)) continue;
      provider.set(
          {.key = std::move(key),
           .value = argv[i],
           .origin = {
               .kind = Origin::Kind::argument, .index = i, .value_at = 0, .name = "argv[" + std::to_string(i) + "]"}});
      continue;
    }
    if (short_switch) {
      return std::unexpected(
          address::Exception{.type = "System.FormatException",
                             .message = "The short switch '" + word + "' is not defined in the switch mappings."});
    }
    std::string key = word.substr(key_at, equals - key_at);
    if (!may_count(key)) continue;
    provider.set({.key = std::move(key),
                  .value = word.substr(equals + 1),
                  .origin = {.kind = Origin::Kind::argument,
                             .index = i,
                             .value_at = equals + 1,
                             .name = "argv[" + std::to_string(i) + "]"}});
  }
  return provider;
}

SettingPtr Configuration::find(std::string_view key) const {
  return find_folded(fold(key));
}

SettingPtr Configuration::find_folded(const std::string& key) const {
  for (const Layer& layer : std::views::reverse(layers_)) {
    if (layer.chained) {
      SettingPtr setting = layer.chained->find_folded(key);
      if (setting && !setting->empty()) return setting;
    } else if (SettingPtr setting = layer.provider->find_folded(key)) {
      return setting;
    }
  }
  return nullptr;
}

std::string_view Configuration::value(std::string_view key) const {
  const SettingPtr setting = find(key);
  return setting == nullptr || !setting->value ? std::string_view{} : std::string_view{*setting->value};
}

void Configuration::visit(const std::function<void(const Provider&)>& visitor) const {
  for (const Layer& layer : layers_) {
    if (layer.chained) {
      layer.chained->visit(visitor);
    } else {
      visitor(*layer.provider);
    }
  }
}

std::vector<std::string> Configuration::children(std::string_view section) const {
  std::map<std::string, std::string> names;
  visit([&, prefix = fold(section) + ":"](const Provider& one) { collect_children(one, prefix, names); });
  std::vector<std::string> out;
  std::ranges::transform(names, std::back_inserter(out), [](const auto& entry) { return entry.second; });
  std::ranges::stable_sort(out, child_before);
  return out;
}

std::vector<SettingPtr> Configuration::below(std::string_view section) const {
  std::set<std::string> keys;
  visit([&, prefix = fold(section) + ":"](const Provider& one) {
    const auto& settings = one.settings();
    for (auto it = settings.lower_bound(prefix); it != settings.end() && it->first.starts_with(prefix); ++it) {
      keys.insert(it->first);
    }
  });
  std::vector<SettingPtr> out;
  for (const std::string& key : keys) {
    if (SettingPtr setting = find_folded(key)) out.push_back(std::move(setting));
  }
  return out;
}

}  // namespace portshim::config
