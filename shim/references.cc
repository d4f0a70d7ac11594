#include "shim/references.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace portshim::references {
namespace {

using api::Meaning;
using metadata::Module;
using metadata::Table;
using metadata::Token;
using stack::Value;

// Hostile files must not take more than their size in time.
constexpr unsigned kDeepest = 8;                          // fields whose value is that of another field
constexpr std::size_t kMostText = std::size_t{1} << 24U;  // bytes of all strings that are looked at

std::uint32_t token_at(std::string_view code, std::size_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, code.data() + offset, sizeof value);
  return value;
}

/// Calls `see` with the offset of everything in the bytes that could be a token of this table. Much faster than going
/// from instruction to instruction; what it finds may be something else. Stops where `see` returns true.
template <typename See>
bool find_tokens(std::string_view code, Table table, const See& see) {
  constexpr std::size_t kTableAt = 3;  // the highest byte of four
  for (std::size_t at = kTableAt; at < code.size(); ++at) {
    at = code.find(static_cast<char>(table), at);
    if (at == std::string_view::npos) return false;
    if (see(at - kTableAt)) return true;
  }
  return false;
}

// --- Fields that are constants: the whole assembly stores them once. ---

class Stores {
 public:
  explicit Stores(const Module& module) : counts_(module.rows(Table::field) + std::size_t{1}) {
    for (std::uint32_t row = 1; row <= module.rows(Table::method_def); ++row) {
      if (const auto code = module.body(row)) count(*code, row);
    }
  }
  /// The only method that stores the field; 0 when there is none, or its address is taken.
  [[nodiscard]] std::uint32_t only_method(std::uint32_t field) const {
    return field < counts_.size() && counts_[field].count == 1 ? counts_[field].method : 0;
  }

 private:
  struct Count {
    std::uint32_t method = 0;
    std::uint8_t count = 0;
  };

  void count(std::string_view code, std::uint32_t method) {
    constexpr unsigned char kLdflda = 0x7c, kStfld = 0x7d, kLdsflda = 0x7f, kStsfld = 0x80;
    constexpr std::string_view kForgets = "\x02\x14\x7d";  // ldarg.0, ldnull, stfld
    find_tokens(code, Table::field, [&](std::size_t offset) {
      const auto opcode = static_cast<unsigned char>(offset == 0 ? 0 : code[offset - 1]);
      const std::uint32_t field = Token{token_at(code, offset)}.row();
      if (field >= counts_.size()) return false;
      const bool takes_address = opcode == kLdflda || opcode == kLdsflda;
      if (takes_address) counts_[field].count = 2;
      if (opcode != kStfld && opcode != kStsfld) return false;
      // An async method forgets its variables when it ends.
      if (code.substr(0, offset).ends_with(kForgets)) return false;
      counts_[field].method = method;
      if (counts_[field].count < 2) ++counts_[field].count;
      return false;
    });
  }

  std::vector<Count> counts_;  ///< by row
};

// --- What the stack asks of the module. ---

class Constants : public stack::Source {
 public:
  Constants(const Module& module, const Meanings& meanings) : module_(&module), meanings_(&meanings) {}

  stack::Shape method(Token token) override {
    const auto [entry, is_new] = shapes_.try_emplace(token.value);
    if (is_new) {
      if (const auto member = module_->member(token)) entry->second = stack::shape(member->signature);
    }
    return entry->second;
  }

  stack::Special special(Token token) override {
    switch (meanings_->of(token)) {
      case Meaning::concat:
        return stack::Special::concat;
      case Meaning::handler_create:
        return stack::Special::handler_create;
      case Meaning::handler_append:
        return stack::Special::handler_append;
      case Meaning::handler_finish:
        return stack::Special::handler_finish;
      default:
        return stack::Special::none;
    }
  }

  std::shared_ptr<const std::string> user_string(Token token) override {
    const auto [entry, is_new] = texts_.try_emplace(token.value);
    if (!is_new || text_size_ > kMostText) return entry->second;
    if (auto text = module_->user_string(token)) {
      text_size_ += text->size();
      entry->second = std::make_shared<const std::string>(*std::move(text));
    }
    return entry->second;
  }

  Value field(Token token) override {
    Value unknown{.kind = stack::Kind::field, .token = token};
    if (token.table() == Table::member_ref) return key_in_field(token).value_or(unknown);
    if (token.table() != Table::field) return unknown;
    if (!stores_) stores_.emplace(*module_);
    const std::uint32_t method = stores_->only_method(token.row());
    if (method == 0) return unknown;
    read_stores(method);
    const auto found = fields_.find(token.value);
    return found == fields_.end() || found->second.kind == stack::Kind::unknown ? unknown : found->second;
  }

 private:
  /// WebHostDefaults.cs: its keys are no constants for the compiler.
  [[nodiscard]] std::optional<Value> key_in_field(Token token) const {
    const auto member = module_->member(token);
    if (!member || !member->name.ends_with("Key")) return std::nullopt;
    if (module_->type_name(member->parent) != "Microsoft.AspNetCore.Hosting.WebHostDefaults") return std::nullopt;
    if (member->name == "ServerUrlsKey") return stack::text("urls");
    if (member->name == "HttpPortsKey") return stack::text("http_ports");
    if (member->name == "HttpsPortsKey") return stack::text("https_ports");
    if (member->name == "PreferHostingUrlsKey") return stack::text("preferHostingUrls");
    return std::nullopt;
  }

  /// Remembers the values of the fields that one method stores.
  void read_stores(std::uint32_t method) {
    if (depth_ == kDeepest || !stores_read_.insert(method).second) return;
    const auto code = module_->body(method);
    if (!code) return;
    ++depth_;
    stack::run(*code, *this, [this](const stack::Event& event) {
      if (event.kind != stack::Event::Kind::store || event.token.table() != Table::field) return;
      if (event.arguments[0].kind == stack::Kind::null || stores_->only_method(event.token.row()) == 0) return;
      fields_[event.token.value] = event.arguments[0];
    });
    --depth_;
  }

  const Module* module_;
  const Meanings* meanings_;
  std::unordered_map<std::uint32_t, stack::Shape> shapes_ = {};
  std::unordered_map<std::uint32_t, std::shared_ptr<const std::string>> texts_ = {};
  std::size_t text_size_ = 0;
  std::optional<Stores> stores_ = {};
  std::unordered_map<std::uint32_t, Value> fields_ = {};
  std::unordered_set<std::uint32_t> stores_read_ = {};
  unsigned depth_ = 0;
};

}  // namespace

Meanings::Meanings(const Module& module) : module_(&module) {
  find_types();
  members_.resize(module.rows(Table::member_ref) + std::size_t{1});
  for (std::uint32_t row = 1; row < members_.size(); ++row) members_[row] = of_reference(row);
  // Many assemblies add to collections of strings.
  if (!has(Meaning::addresses)) std::ranges::replace(members_, Meaning::collection_add, Meaning::none);
  has_facts_ = std::ranges::any_of(members_, api::is_fact);
  if (!has_facts_) return;
  specs_.resize(module.rows(Table::method_spec) + std::size_t{1});
  for (std::uint32_t row = 1; row < specs_.size(); ++row) {
    const auto member = module.member(Token::of(Table::method_spec, row));
    if (member && member->token.table() == Table::member_ref) specs_[row] = of(member->token);
  }
}

bool Meanings::has(Meaning meaning) const {
  return std::ranges::find(members_, meaning) != members_.end();
}

Meaning Meanings::of(Token token) const {
  if (token.table() != Table::member_ref && token.table() != Table::method_spec) return Meaning::none;
  const std::vector<Meaning>& rows = token.table() == Table::member_ref ? members_ : specs_;
  return token.row() < rows.size() ? rows[token.row()] : Meaning::none;
}

void Meanings::find_types() {
  types_.resize(module_->rows(Table::type_ref) + std::size_t{1});
  for (std::uint32_t row = 1; row < types_.size(); ++row) {
    types_[row] = api::methods_of(module_->type_name(Token::of(Table::type_ref, row)));
  }
}

Meaning Meanings::of_reference(std::uint32_t row) const {
  const auto member = module_->member(Token::of(Table::member_ref, row));
  if (!member) return Meaning::none;
  if (member->parent.table() == Table::type_ref) {
    const std::uint32_t type = member->parent.row();
    return type < types_.size() ? api::meaning(types_[type], member->name) : Meaning::none;
  }
  if (member->parent.table() != Table::type_spec || member->name != "Add") return Meaning::none;
  return api::meaning(api::methods_of(module_->type_name(member->parent)), member->name);
}

Meaning Meanings::of_result(const stack::Value& value) const {
  return value.kind == stack::Kind::result ? of(value.token) : Meaning::none;
}

bool mentions_fact(std::string_view code, const Meanings& meanings) {
  const auto is_fact = [&](std::size_t offset) { return api::is_fact(meanings.of({token_at(code, offset)})); };
  return find_tokens(code, Table::member_ref, is_fact) || find_tokens(code, Table::method_spec, is_fact);
}

std::unique_ptr<stack::Source> constants(const Module& module, const Meanings& meanings) {
  return std::make_unique<Constants>(module, meanings);
}

}  // namespace portshim::references
