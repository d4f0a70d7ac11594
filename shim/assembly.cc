#include "shim/assembly.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <utility>

#include "shim/api.h"
#include "shim/calls.h"
#include "shim/metadata.h"
#include "shim/method_name.h"
#include "shim/references.h"
#include "shim/stack.h"

namespace portshim::assembly {
namespace {

using api::Meaning;
using calls::Arguments;
using calls::Parameters;
using hosting::Builder;
using metadata::Module;
using metadata::Table;
using metadata::Token;
using stack::Value;

// Hostile files must not take more than their size in time.
constexpr unsigned kDeepestLambda = 64;  // lambda expressions in lambda expressions

// --- The facts of one method. ---

/// What a method does: a call that matters, or a function that it takes the address of.
struct Step {
  code::Call call = {};
  std::uint32_t function = 0;  ///< row of MethodDef
};

class Reader {
 public:
  Reader(const Module& module, std::string_view name)
      : module_(&module),
        name_(name),
        meanings_(module),
        calls_(module, meanings_),
        source_(references::constants(module, meanings_)) {}

  Code read() &&;

 private:
  struct Method {
    std::uint32_t row = 0;
    std::string name = {};
    std::vector<Step> steps = {};
    bool is_referenced = false;  ///< another one of them takes its address
    bool is_placed = false;
  };
  void find_methods();
  void read(Method& method);
  void see(Method& method, const stack::Event& event);
  void see_call(Method& method, const stack::Event& event);
  void see_host(Meaning meaning, Arguments arguments, Parameters parameters);
  void add_builder(Builder builder);
  void count_arguments(Passing& passing, Arguments arguments, Parameters parameters) const;
  [[nodiscard]] bool is_empty(const Value& strings) const;

  void place(std::size_t index, unsigned depth);
  [[nodiscard]] std::string name_of_method(std::uint32_t row) const;
  [[nodiscard]] bool is_entry(const Method& method) const;

  const Module* module_;
  std::string_view name_;
  references::Meanings meanings_;
  calls::Reader calls_;
  std::unique_ptr<stack::Source> source_;
  std::string entry_ = {};
  std::vector<Method> methods_ = {};
  std::unordered_map<std::uint32_t, std::size_t> by_row_ = {};
  std::unordered_map<std::uint32_t, metadata::Signature> signatures_ = {};
  Code out_ = {};
};

// --- Builders. ---

void Reader::add_builder(Builder builder) {
  auto& builders = out_.hosts.builders;
  if (std::ranges::find(builders, builder) == builders.end()) builders.push_back(builder);
}

/// No arguments: null, new string[0], Array.Empty<string>().
bool Reader::is_empty(const Value& strings) const {
  if (strings.kind == stack::Kind::null) return true;
  if (strings.kind == stack::Kind::array) return strings.items->empty();
  return meanings_.of_result(strings) == Meaning::empty_array;
}

/// A builder without a parameter for arguments goes without.
void Reader::count_arguments(Passing& passing, Arguments arguments, Parameters parameters) const {
  bool passes = false;
  for (std::size_t i = 0; i < parameters.size() && i < arguments.size(); ++i) {
    if (parameters[i] == "System.String[]") passes |= !is_empty(arguments[i]);
    const bool is_options = parameters[i].ends_with("Options") || parameters[i].ends_with("Settings");
    if (is_options) passes |= meanings_.has(Meaning::options_arguments);
  }
  (passes ? passing.passed : passing.missing) = true;
}

void Reader::see_host(Meaning meaning, Arguments arguments, Parameters parameters) {
  switch (meaning) {
    case Meaning::web_application:
      add_builder(Builder::wab);
      break;
    case Meaning::slim_web_application:
      add_builder(Builder::slim);
      break;
    case Meaning::empty_web_application:
      add_builder(Builder::empty);
      break;
    case Meaning::web_host:
    case Meaning::web_host_start:
      add_builder(Builder::wh);
      break;
    case Meaning::generic_host:
      count_arguments(out_.hosts.generic_host, arguments, parameters);
      return;
    case Meaning::web_host_defaults:
      out_.hosts.web_host_defaults = true;
      return;
    case Meaning::web_host_builder:
      out_.hosts.web_host_builder = true;
      return;
    case Meaning::add_command_line:
      out_.hosts.command_line = true;
      return;
    default:
      return;
  }
  count_arguments(out_.hosts.arguments, arguments, parameters);
}

// --- Methods. ---

void Reader::find_methods() {
  for (std::uint32_t row = 1; row <= module_->rows(Table::method_def); ++row) {
    const auto code = module_->body(row);
    if (!code || !references::mentions_fact(*code, meanings_)) continue;
    by_row_.emplace(row, methods_.size());
    methods_.push_back({.row = row, .name = name_of_method(row)});
  }
}

void Reader::read(Method& method) {
  stack::run(*module_->body(method.row), *source_, [&](const stack::Event& event) { see(method, event); });
}

void Reader::see(Method& method, const stack::Event& event) {
  if (event.kind == stack::Event::Kind::function) {
    const auto found = event.token.table() == Table::method_def ? by_row_.find(event.token.row()) : by_row_.end();
    if (found == by_row_.end()) return;
    method.steps.push_back({.function = event.token.row()});
    methods_[found->second].is_referenced = true;
  } else if (event.kind != stack::Event::Kind::store && api::is_fact(meanings_.of(event.token))) {
    see_call(method, event);
  }
}

void Reader::see_call(Method& method, const stack::Event& event) {
  const auto member = module_->member(event.token);
  if (!member) return;
  const auto [signature, is_new] = signatures_.try_emplace(event.token.value);
  if (is_new) signature->second = module_->signature(member->signature).value_or(metadata::Signature{});
  const Meaning meaning = meanings_.of(event.token);
  const Parameters parameters = signature->second.parameters;
  see_host(meaning, event.arguments, parameters);
  auto call = calls_.read(*member, meaning, event.arguments, parameters);
  if (!call) return;
  call->assembly = name_;
  call->method = method.name;
  method.steps.push_back({.call = *std::move(call)});
}

// --- The order of the calls. ---

std::string Reader::name_of_method(std::uint32_t row) const {
  const auto member = module_->member(Token::of(Table::method_def, row));
  return member ? method_name::user_method(module_->type_name(member->parent), member->name) : std::string();
}

/// The entry point of an async Main is a method "<Main>" that calls "Main" or "<Main>$".
bool Reader::is_entry(const Method& method) const {
  if (method.name == entry_) return true;
  if (!entry_.ends_with(".<Main>")) return false;
  const std::string type = entry_.substr(0, entry_.size() - std::strlen("<Main>"));
  return method.name == type + "<Main>$" || method.name == type + "Main";
}

/// Takes over the steps of a method, those of its lambda expressions where they are made.
void Reader::place(std::size_t index, unsigned depth) {
  if (std::exchange(methods_[index].is_placed, true)) return;
  for (Step& step : methods_[index].steps) {
    if (step.function == 0) {
      out_.calls.push_back(std::move(step.call));
    } else if (depth < kDeepestLambda) {
      place(by_row_.at(step.function), depth + 1);
    }
  }
}

bool is_called(const Passing& passing) {
  return passing.passed || passing.missing;
}

void add(Passing& passing, const Passing& other) {
  passing.passed |= other.passed;
  passing.missing |= other.missing;
}

void conclude(Code& code) {
  const Hosts& hosts = code.hosts;
  const bool is_generic = is_called(hosts.generic_host) && hosts.web_host_defaults;
  code.builders.clear();
  // new HostBuilder().ConfigureWebHostDefaults() and new WebHostBuilder() have only the settings that the app adds.
  if (!hosts.web_host_builder && (!hosts.web_host_defaults || is_generic)) {
    code.builders = hosts.builders;
    if (is_generic) code.builders.push_back(Builder::gh);
    std::ranges::sort(code.builders);
  }
  Passing arguments = hosts.arguments;
  if (is_generic) add(arguments, hosts.generic_host);
  code.passes_arguments = std::nullopt;
  if (arguments.passed) {
    code.passes_arguments = true;
  } else if (arguments.missing && !hosts.command_line) {
    code.passes_arguments = false;
  }
}

Code Reader::read() && {
  if (!meanings_.has_facts()) return {};
  const Token entry = module_->entry_point();
  if (entry.table() == Table::method_def) entry_ = name_of_method(entry.row());
  find_methods();
  for (Method& method : methods_) read(method);
  // First what nobody refers to, of that what the app starts with; the rest refers to each other.
  for (const bool entry_only : {true, false}) {
    for (std::size_t i = 0; i < methods_.size(); ++i) {
      if (!methods_[i].is_referenced && (!entry_only || is_entry(methods_[i]))) place(i, 0);
    }
  }
  for (std::size_t i = 0; i < methods_.size(); ++i) place(i, 0);
  conclude(out_);
  return std::move(out_);
}

}  // namespace

std::expected<Code, std::string> read(std::string_view file, std::string_view name) {
  const auto module = Module::read(file);
  if (!module) return std::unexpected(module.error());
  return Reader(*module, name).read();
}

void merge(Code& code, Code other) {
  for (const Builder builder : other.hosts.builders) {
    auto& builders = code.hosts.builders;
    if (std::ranges::find(builders, builder) == builders.end()) builders.push_back(builder);
  }
  code.hosts.web_host_defaults |= other.hosts.web_host_defaults;
  code.hosts.web_host_builder |= other.hosts.web_host_builder;
  add(code.hosts.arguments, other.hosts.arguments);
  add(code.hosts.generic_host, other.hosts.generic_host);
  code.hosts.command_line |= other.hosts.command_line;
  std::ranges::move(other.calls, std::back_inserter(code.calls));
  conclude(code);
}

}  // namespace portshim::assembly
