#include "shim/framework.h"

#include <elf.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <map>
#include <utility>

#include "shim/ascii.h"
#include "shim/environment.h"
#include "shim/host_json.h"
#include "shim/words.h"

namespace portshim::framework {
namespace {

using Json = rapidjson::Value;

// --- Text. ---

constexpr std::string_view kDigits = "0123456789";

bool contains(const auto& range, const auto& value) {
  return std::ranges::find(range, value) != std::ranges::end(range);
}

bool contains_name(const auto& range, const std::string& name) {
  return std::ranges::any_of(range, [&](const auto& one) { return one.name == name; });
}

bool is_padded(std::string_view number) {
  return number.size() > 1 && number.front() == '0';
}

/// Digits without leading zeros, up to INT_MAX.
std::optional<int> number(std::string_view text) {
  int value = 0;
  if (!words::is_number(text) || is_padded(text)) return std::nullopt;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

/// Takes what is before the first `separator`, or all, off the front of `rest`, and the separator too.
std::string_view take(std::string_view& rest, char separator) {
  const std::size_t at = rest.find(separator);
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return taken;
}

/// atoi(3); what does not fit is -1.
int to_int(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n\v\f\r"), text.size()));
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  int value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc::result_out_of_range ? -1 : value;
}

/// A variable as hostfxr reads it: an empty one is none (pal::getenv).
std::optional<std::string> variable(std::span<const std::string> environment, std::string_view name) {
  const auto value = environment::value(environment, name);
  if (!value || value->empty()) return std::nullopt;
  return std::string(*value);
}

// --- Versions. ---

bool is_identifier(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
  });
}

/// Identifiers between dots, at least one; numbers may be padded with zeros in build metadata only.
bool are_identifiers(std::string_view list, bool padding) {
  if (list.empty() || list.ends_with('.')) return false;
  while (!list.empty()) {
    const std::string_view one = take(list, '.');
    if (!is_identifier(one) || (!padding && words::is_number(one) && is_padded(one))) return false;
  }
  return true;
}

/// Numbers by value and below words, words by ASCII. Both are identifiers, so numbers have no leading zeros.
std::strong_ordering compare_identifiers(std::string_view a, std::string_view b) {
  if (words::is_number(a) != words::is_number(b)) return words::is_number(b) <=> words::is_number(a);
  if (words::is_number(a) && a.size() != b.size()) return a.size() <=> b.size();
  return a <=> b;
}

std::strong_ordering compare_prereleases(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return a.empty() <=> b.empty();
  while (!a.empty() && !b.empty()) {
    const auto order = compare_identifiers(take(a, '.'), take(b, '.'));
    if (order != std::strong_ordering::equal) return order;
  }
  return a.size() <=> b.size();
}

// --- Roots. ---

/// The versions that directories in `folder` are called.
std::vector<Version> versions_in(const system::System& system, const std::string& folder) {
  std::vector<Version> out;
  for (const std::string& name : system.list(folder).value_or(std::vector<std::string>{})) {
    auto version = parse_version(name);
    if (!version) continue;
    const auto status = system.status(std::string(folder).append("/").append(name));
    if (status && status->type == system::FileType::directory) out.push_back(*std::move(version));
  }
  return out;
}

/// The first line of a file; nothing when there is no such file, empty when it has no such line or cannot be read.
std::optional<std::string> first_line(const system::System& system, const std::string& path) {
  const auto text = system.read_file(path);
  if (text) return text->substr(0, text->find('\n'));
  return text.error().code == ENOENT ? std::nullopt : std::optional<std::string>("");
}

std::string installed_directory(const system::System& system, const std::string& architecture) {
  auto line = first_line(system, "/etc/dotnet/install_location_" + architecture);
  if (!line) line = first_line(system, "/etc/dotnet/install_location");
  return line && !line->empty() ? *std::move(line) : "/usr/share/dotnet";
}

// --- What is asked for. ---

/// A roll-forward policy (fx_reference.h, set_roll_forward).
struct Policy {
  Range range = Range::minor;
  bool highest = false;
};

std::optional<Policy> parse_policy(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, Policy>, 6> kPolicies = {{
      {"Disable", {Range::exact, false}},
      {"LatestPatch", {Range::patch, false}},
      {"Minor", {Range::minor, false}},
      {"LatestMinor", {Range::minor, true}},
      {"Major", {Range::major, false}},
      {"LatestMajor", {Range::major, true}},
  }};
  for (const auto& [text, policy] : kPolicies) {
    if (ascii::equal_in_any_case(text, name)) return policy;
  }
  return std::nullopt;
}

/// Of rollForwardOnNoCandidateFx: 0 is LatestPatch, 1 Minor, 2 Major, everything else Disable.
Policy policy_of(int on_no_candidate) {
  switch (on_no_candidate) {
    case 0:
      return {.range = Range::patch};
    case 1:
      return {.range = Range::minor};
    case 2:
      return {.range = Range::major};
    default:
      return {.range = Range::exact};
  }
}

/// The policy of the command line, in `out`; false when it is not valid (fx_muxer.cpp, get_init_info_for_app).
bool read_policy(const Options& options, std::optional<Policy>& out) {
  if (!options.roll_forward.empty()) {
    out = parse_policy(options.roll_forward);
    return out.has_value() && options.roll_forward_on_no_candidate_fx.empty();
  }
  if (!options.roll_forward_on_no_candidate_fx.empty())
    out = policy_of(to_int(options.roll_forward_on_no_candidate_fx));
  return true;
}

void apply(const Policy& policy, Reference& reference) {
  reference.range = policy.range;
  reference.highest = policy.highest;
}

const Json* member(const Json& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto found = object.FindMember(name);
  return found == object.MemberEnd() ? nullptr : &found->value;
}

/// Text up to the first NUL, as C++ code that takes it for a C string has it.
std::optional<std::string> text_of(const Json* value) {
  if (value == nullptr || !value->IsString()) return std::nullopt;
  return std::string(value->GetString());
}

void set_version(const std::string& text, Reference& reference) {
  reference.version = text;
  if (auto parsed = parse_version(text)) reference.number = *std::move(parsed);
}

/// Reads "runtimeOptions" as runtime_config_t does. Where a value has the wrong type hostfxr crashes or takes what is
/// in memory; here it is not valid.
class Reader {
 public:
  Reader(const Host& host, RuntimeConfig& out) : out_(out) {
    valid_ = read_policy(host.options, override_);
    if (const auto value = variable(host.environment, "DOTNET_ROLL_FORWARD_ON_NO_CANDIDATE_FX")) {
      policy_ = policy_of(to_int(*value));
    }
    if (const auto value = variable(host.environment, "DOTNET_ROLL_FORWARD")) {
      variable_ = parse_policy(*value);
      variable_valid_ = variable_.has_value();
    }
    any_release_ = to_int(variable(host.environment, "DOTNET_ROLL_FORWARD_TO_PRERELEASE").value_or("")) == 1;
    // hostfxr 10 refuses a reference without name or version.
    complete_ = !host.root || host.root->hostfxr >= 10;
  }

  [[nodiscard]] bool valid() const { return valid_; }

  /// False as soon as something is not valid; what was read until then stays.
  bool read_options(const Json& options) {
    if (options.IsNull()) return true;
    if (!options.IsObject()) return false;
    const Json* paths = member(options, "additionalProbingPaths");
    if (paths != nullptr && !paths->IsString() && !paths->IsArray()) return false;
    if (!read_settings(options, policy_, apply_patches_)) return false;
    if (const Json* framework = member(options, "framework")) {
      out_.framework_dependent = true;
      Reference reference;
      if (!read_reference(*framework, reference)) return false;
      out_.frameworks.push_back(std::move(reference));
    }
    if (const Json* frameworks = member(options, "frameworks")) {
      out_.framework_dependent = true;
      if (!read_list(*frameworks, out_.frameworks)) return false;
    }
    if (const Json* included = member(options, "includedFrameworks")) {
      return !out_.framework_dependent && read_list(*included, out_.included, true);
    }
    return true;
  }

 private:
  /// rollForward excludes the two older settings, in one file and its .dev.json.
  bool read_settings(const Json& object, Policy& policy, bool& apply_patches) {
    if (const Json* value = member(object, "rollForward")) {
      const auto parsed = parse_policy(text_of(value).value_or(""));
      if (!parsed) return false;
      policy = *parsed;
      if (has_old_) return false;
      has_new_ = true;
    }
    if (const Json* value = member(object, "applyPatches")) {
      apply_patches = value->IsTrue();
      if (has_new_) return false;
      has_old_ = true;
    }
    if (const Json* value = member(object, "rollForwardOnNoCandidateFx")) {
      policy = policy_of(value->IsInt() ? value->GetInt() : 0);
      if (has_new_) return false;
      has_old_ = true;
    }
    return true;
  }

  bool read_reference(const Json& object, Reference& reference, bool included = false) {
    const Json* name = member(object, "name");
    const Json* version = member(object, "version");
    if (complete_ && (name == nullptr || version == nullptr)) return false;
    if ((name != nullptr && !name->IsString()) || (version != nullptr && !version->IsString())) return false;
    reference.name = text_of(name).value_or("");
    if (version != nullptr) {
      set_version(*text_of(version), reference);
      reference.prefer_release = reference.number.prerelease.empty() && !any_release_;
    }
    if (included) return true;
    Policy policy = policy_;
    reference.apply_patches = apply_patches_;
    if (!read_settings(object, policy, reference.apply_patches) || !variable_valid_) return false;
    apply(override_.value_or(variable_.value_or(policy)), reference);
    return true;
  }

  bool read_list(const Json& list, std::vector<Reference>& out, bool included = false) {
    constexpr rapidjson::SizeType kMost = 100;
    if (!list.IsArray()) return list.IsNull();
    if (list.Size() > kMost) return false;
    for (const Json& object : list.GetArray()) {
      Reference reference;
      if (!read_reference(object, reference, included) || reference.name.empty()) return false;
      if (contains_name(out, reference.name)) return false;
      out.push_back(std::move(reference));
    }
    return true;
  }

  RuntimeConfig& out_;
  Policy policy_;                   // "runtimeOptions" over DOTNET_ROLL_FORWARD_ON_NO_CANDIDATE_FX
  std::optional<Policy> variable_;  // DOTNET_ROLL_FORWARD, over all of the file
  std::optional<Policy> override_;  // the command line, over everything
  bool apply_patches_ = true;
  bool variable_valid_ = true;
  bool any_release_ = false;
  bool complete_ = true;
  bool has_new_ = false;
  bool has_old_ = false;
  bool valid_ = true;
};

/// Every name, with its version where it can be read.
std::vector<Reference> names_in(const Json& options) {
  std::vector<Reference> out;
  const auto add = [&out](const Json& object) {
    const auto name = text_of(member(object, "name"));
    if (!name) return;
    out.push_back({.name = *name});
    if (const auto version = text_of(member(object, "version"))) set_version(*version, out.back());
  };
  if (const Json* framework = member(options, "framework")) add(*framework);
  for (const char* list : {"frameworks", "includedFrameworks"}) {
    const Json* value = member(options, list);
    if (value == nullptr || !value->IsArray()) continue;
    for (const Json& object : value->GetArray()) add(object);
  }
  return out;
}

std::map<std::string, std::string> properties_in(const Json& options) {
  std::map<std::string, std::string> out;
  const Json* properties = member(options, "configProperties");
  if (properties == nullptr || !properties->IsObject()) return out;
  for (const auto& [name, value] : properties->GetObject()) {
    if (const auto text = text_of(&value)) out[name.GetString()] = *text;
    if (value.IsBool()) out[name.GetString()] = value.GetBool() ? "true" : "false";
    if (value.IsUint64()) out[name.GetString()] = std::to_string(value.GetUint64());
  }
  return out;
}

// --- What is installed. ---

/// Whether what asks for `reference` can do with this version, which is not lower.
bool is_compatible(const Reference& reference, const Version& version) {
  const Version& number = reference.number;
  if (compare(number, version) == std::strong_ordering::equal) return true;
  if (number.major != version.major && reference.range < Range::major) return false;
  if (number.minor != version.minor && reference.range < Range::minor) return false;
  if (number.patch != version.patch && reference.range == Range::patch && !reference.apply_patches) return false;
  return reference.range != Range::exact;
}

/// The version of `installed` that hostfxr prefers; null when none is compatible.
const Version* choose(std::span<const Version> installed, const Reference& reference, bool release_only) {
  const bool highest = reference.highest && reference.range != Range::patch;
  const auto is_out = [&](const Version& one) { return release_only && !one.prerelease.empty(); };
  const Version* best = nullptr;
  for (const Version& one : installed) {
    if (is_out(one) || compare(one, reference.number) < 0 || !is_compatible(reference, one)) continue;
    if (best == nullptr || (highest ? compare(one, *best) > 0 : compare(one, *best) < 0)) best = &one;
  }
  if (best == nullptr || !best->prerelease.empty()) return best;
  const Version& from = *best;
  for (const Version& one : installed) {
    if (is_out(one) || one.major != from.major || one.minor != from.minor) continue;
    if ((reference.apply_patches || one.patch == from.patch) && compare(one, *best) >= 0) best = &one;
  }
  return best;
}

const Version* choose(std::span<const Version> installed, const Reference& reference) {
  if (reference.prefer_release) {
    if (const Version* release = choose(installed, reference, true)) return release;
  }
  return choose(installed, reference, false);
}

/// What both references can do with: the higher version, and the stricter of each setting. Nothing when there is none.
std::optional<Reference> reconcile(const Reference& a, const Reference& b) {
  const bool a_is_higher = compare(a.number, b.number) >= 0;
  const Reference& lower = a_is_higher ? b : a;
  Reference out = a_is_higher ? a : b;
  if (!is_compatible(lower, out.number)) return std::nullopt;
  out.range = std::min(out.range, lower.range);
  out.highest = out.highest || lower.highest;
  out.apply_patches = out.apply_patches && lower.apply_patches;
  out.prefer_release = out.prefer_release || lower.prefer_release;
  return out;
}

class Resolver {
 public:
  Resolver(const system::System& system, const Host& host) : system_(system), host_(host) {
    host_.options.fx_version.clear();  // it is for the app's references alone
    if (host.root->hostfxr < 10) return;
    const std::string list = variable(host.environment, "DOTNET_DISABLE_RUNTIME_VERSIONS").value_or("");
    for (std::string_view rest = list; !rest.empty();) disabled_.emplace_back(take(rest, ';'));
  }

  Resolution run(std::span<const Reference> references) {
    constexpr int kMostTries = 100;
    for (int i = 0; i < kMostTries; ++i) {
      found_.clear();
      const Step step = resolve_all(references, false, 0);
      if (step == Step::done) return {.outcome = Outcome::resolved, .frameworks = found_};
      if (step == Step::missing) return {.outcome = Outcome::missing, .missing = missing_};
      if (step == Step::failed) break;
    }
    return {};
  }

 private:
  enum class Step : std::uint8_t { done, missing, failed, again };

  /// The frameworks that an app or a framework asks for, and those that they ask for. `highest`: by a framework that
  /// was itself asked for so.
  Step resolve_all(std::span<const Reference> references, bool highest, int depth) {
    constexpr int kDeepest = 32;
    if (depth > kDeepest) return Step::failed;
    for (const Reference& one : references) effective_.emplace(one.name, one);
    for (const Reference& one : references) {
      if (one.name.empty()) continue;  // taken for the app itself
      Reference reference = one;
      reference.highest = reference.highest || highest;
      const Step step = resolve_one(reference, depth);
      if (step != Step::done) return step;
    }
    return Step::done;
  }

  Step resolve_one(const Reference& asked, int depth) {
    Reference& effective = effective_[asked.name];
    auto reconciled = reconcile(asked, effective);
    if (!reconciled) return Step::failed;
    if (contains_name(found_, asked.name)) {
      if (*reconciled == effective) return Step::done;
      effective = *std::move(reconciled);
      return Step::again;
    }
    effective = *reconciled;
    const auto version = find(*reconciled);
    if (!version) {
      missing_ = {.name = asked.name, .version = reconciled->version};
      for (Version& one : installed(*reconciled)) missing_.installed.push_back(std::move(one.text));
      return Step::missing;
    }
    found_.push_back({.name = asked.name, .version = *version});
    const auto config = read(system_, file(*reconciled, *version, ".runtimeconfig.json"), host_);
    if (!config) return is_absent(config.error()) ? Step::done : Step::failed;
    return config->valid ? resolve_all(config->frameworks, reconciled->highest, depth + 1) : Step::failed;
  }

  static bool is_absent(const system::Error& error) { return error.code == ENOENT || error.code == ENOTDIR; }

  [[nodiscard]] std::string folder(const Reference& reference) const {
    return host_.root->directory + "/shared/" + reference.name;
  }
  [[nodiscard]] std::string file(const Reference& reference, const std::string& version, const char* suffix) const {
    return folder(reference) + "/" + version + "/" + reference.name + suffix;
  }

  /// Without its deps.json a version counts as not installed.
  [[nodiscard]] bool is_installed(const Reference& reference, const std::string& version) const {
    return !contains(disabled_, version) && system_.status(file(reference, version, ".deps.json"));
  }

  [[nodiscard]] std::optional<std::string> find(const Reference& reference) const {
    const bool only_this =
        reference.range == Range::exact ||
        (reference.range == Range::patch && !reference.apply_patches && reference.number.prerelease.empty());
    if (only_this) return is_installed(reference, reference.version) ? std::optional(reference.version) : std::nullopt;
    const std::vector<Version> candidates = installed(reference);
    const Version* best = choose(candidates, reference);
    return best == nullptr ? std::nullopt : std::optional(best->text);
  }

  [[nodiscard]] std::vector<Version> installed(const Reference& reference) const {
    std::vector<Version> out = versions_in(system_, folder(reference));
    std::erase_if(out, [&](const Version& one) { return !is_installed(reference, one.text); });
    return out;
  }

  const system::System& system_;
  Host host_;
  std::vector<std::string> disabled_;
  std::map<std::string, Reference> effective_;
  std::vector<Framework> found_;
  Framework missing_;
};

}  // namespace

std::optional<Version> parse_version(std::string_view text) {
  std::string_view rest = text;
  const auto major = number(take(rest, '.'));
  const auto minor = number(take(rest, '.'));
  const auto patch = number(rest.substr(0, rest.find_first_not_of(kDigits)));
  if (!major || !minor || !patch) return std::nullopt;
  rest.remove_prefix(std::min(rest.find_first_not_of(kDigits), rest.size()));
  const std::size_t plus = rest.find('+');
  const std::string_view prerelease = rest.substr(0, plus);
  if (!prerelease.empty() && (prerelease[0] != '-' || !are_identifiers(prerelease.substr(1), false))) return {};
  if (plus != std::string_view::npos && !are_identifiers(rest.substr(plus + 1), true)) return {};
  return Version{.major = *major,
                 .minor = *minor,
                 .patch = *patch,
                 .prerelease = std::string(prerelease.substr(prerelease.empty() ? 0 : 1)),
                 .text = std::string(text)};
}

std::strong_ordering compare(const Version& a, const Version& b) {
  if (a.major != b.major) return a.major <=> b.major;
  if (a.minor != b.minor) return a.minor <=> b.minor;
  if (a.patch != b.patch) return a.patch <=> b.patch;
  return compare_prereleases(a.prerelease, b.prerelease);
}

std::optional<int> major_of(std::string_view version) {
  int major = 0;
  const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), major);
  return error == std::errc() && major > 0 ? std::optional(major) : std::nullopt;
}

std::optional<Root> root_in(const system::System& system, const std::string& directory) {
  const std::vector<Version> versions = versions_in(system, directory + "/host/fxr");
  if (versions.empty()) return std::nullopt;
  const auto newest =
      std::ranges::max_element(versions, [](const auto& a, const auto& b) { return compare(a, b) < 0; });
  return Root{.directory = directory, .hostfxr = newest->major};
}

std::optional<Root> root_of_apphost(const system::System& system, const std::string& folder, std::uint16_t machine,
                                    std::span<const std::string> environment) {
  if (machine != EM_X86_64 && machine != EM_AARCH64) return std::nullopt;
  if (system.status(folder + "/libhostfxr.so")) return std::nullopt;
  const bool arm = machine == EM_AARCH64;
  for (const char* name : {arm ? "DOTNET_ROOT_ARM64" : "DOTNET_ROOT_X64", "DOTNET_ROOT"}) {
    const auto value = variable(environment, name);
    if (!value) continue;
    if (const auto real = system.real_path(*value)) return root_in(system, *real);
  }
  const std::string installed = installed_directory(system, arm ? "arm64" : "x64");
  return installed.starts_with('/') ? root_in(system, installed) : std::nullopt;
}

bool is_policy(std::string_view name) {
  return parse_policy(name).has_value();
}

RuntimeConfig parse(std::string_view text, std::string_view dev_text, const Host& host) {
  RuntimeConfig out;
  Reader reader(host, out);
  rapidjson::Document dev;
  if (host_json::parse(dev_text, dev)) {
    // Whatever is wrong with this one is ignored, but what was read stays.
    if (const Json* options = member(dev, "runtimeOptions")) (void)reader.read_options(*options);
  }
  rapidjson::Document document;
  const Json* options = host_json::parse(text, document) ? member(document, "runtimeOptions") : nullptr;
  if (options == nullptr) return out;
  out.named = names_in(*options);
  out.properties = properties_in(*options);
  out.valid = reader.read_options(*options) && reader.valid();
  if (!out.frameworks.empty() && !host.options.fx_version.empty()) {
    set_version(host.options.fx_version, out.frameworks.front());
    out.frameworks.front().range = Range::exact;
    out.frameworks.front().highest = false;
    out.frameworks.front().apply_patches = false;
  }
  return out;
}

system::Result<RuntimeConfig> read(const system::System& system, const std::string& path, const Host& host) {
  constexpr std::string_view kEnd = ".json";
  const auto text = system.read_file(path);
  if (!text) return std::unexpected(text.error());
  const auto dev_text = system.read_file(path.substr(0, path.size() - kEnd.size()) + ".dev.json");
  return parse(*text, dev_text.value_or(""), host);
}

Resolution resolve(const system::System& system, const RuntimeConfig& config, const Host& host) {
  if (!config.valid) return {};
  return Resolver(system, host).run(config.frameworks);
}

}  // namespace portshim::framework
