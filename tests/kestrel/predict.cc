// What portshim predicts and rewrites, in the formats of oracle/: the two are compared by judge.py.
//
//   kestrel_predict predict [--base DIR]          cases in (oracle/BatchMode.cs), possible results for 8, 9 and 10 out
//   kestrel_predict rewrite [--base DIR] [--keep] cases with "builders" and "majors" in; the same out, with env and
//   argv
//                                                 as the app would get them, "moves" and "ambiguous"
//   kestrel_predict addresses MAJOR               JSON strings in, JSON objects out (oracle/ParseMode.cs)
//
// One line of JSON per case, from stdin to stdout. DIR is what .NET would take for the directory of the app, {BASE} in
// results; {DIR} is the case's own directory.

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shim/address.h"
#include "shim/files.h"
#include "shim/hosting.h"
#include "shim/lever.h"
#include "shim/policy.h"
#include "shim/system.h"
#include "tests/support/app_code.h"
#include "tests/support/base64.h"

namespace {

using namespace portshim;
using Json = rapidjson::Value;
using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

constexpr std::string_view kDirectory = "{DIR}";
constexpr std::string_view kBase = "{BASE}";

struct Options {
  std::string mode;
  int major = 0;
  std::string base = "/nonexistent";
  bool keep = false;
};

std::string text_of(const Json& value) {
  return {value.GetString(), value.GetStringLength()};
}

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

void write(Writer& writer, std::string_view text) {
  writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void write(Writer& writer, const char* name, std::string_view text) {
  writer.Key(name);
  write(writer, text);
}

// ---- Cases ---------------------------------------------------------------------------------------------------------

void make_file(const std::filesystem::path& path, const Json& what) {
  std::filesystem::create_directories(path.parent_path());
  if (what.IsString()) {
    std::ofstream(path, std::ios::binary) << text_of(what);
  } else if (what.HasMember("base64")) {
    std::ofstream(path, std::ios::binary) << support::from_base64(text_of(what["base64"]));
  } else if (what.HasMember("link")) {
    std::filesystem::create_symlink(text_of(what["link"]), path);
  } else if (what.HasMember("directory")) {
    std::filesystem::create_directories(path);
  } else if (mkfifo(path.c_str(), 0644) != 0) {
    throw std::runtime_error("mkfifo " + path.string());
  }
}

/// A new directory with the files of a case; removed at the end.
class Directory {
 public:
  explicit Directory(const Json& one) {
    std::string name = "/tmp/kestrel-predict.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
    if (one.HasMember("files")) {
      for (const auto& file : one["files"].GetObject()) make_file(path_ / text_of(file.name), file.value);
    }
    cwd_ = one.HasMember("cwd") ? path_ / text_of(one["cwd"]) : path_;
    std::filesystem::create_directories(cwd_);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string cwd() const { return cwd_.string(); }
  [[nodiscard]] std::string filled_in(const Json& value) const {
    return replace_all(text_of(value), kDirectory, path_.string());
  }
  /// The opposite of filled_in.
  [[nodiscard]] std::string emptied(std::string text, const std::string& base) const {
    return replace_all(replace_all(std::move(text), path_.string(), kDirectory), base, kBase);
  }

 private:
  std::filesystem::path path_;
  std::filesystem::path cwd_;
};

hosting::Builder builder_named(std::string_view name) {
  using enum hosting::Builder;
  for (const hosting::Builder builder : {wab, slim, gh, wh, empty}) {
    if (to_string(builder) == name) return builder;
  }
  throw std::runtime_error("unknown builder");
}

/// What BatchMode.cs puts in front of the environment of every case.
constexpr std::array<const char*, 3> kHarness = {"HOME=/nonexistent", "DOTNET_USE_POLLING_FILE_WATCHER=1",
                                                 "DOTNET_hostBuilder__reloadConfigOnChange=false"};
constexpr std::array<const char*, 2> kCommand = {"dotnet", "oracle.dll"};

hosting::Input input_of(const Json& one, const Directory& directory, const Options& options) {
  hosting::Input input{.environment = {kHarness.begin(), kHarness.end()},
                       .argv = {kCommand.begin(), kCommand.end()},
                       .first_argument = kCommand.size(),
                       .current_directory = directory.cwd(),
                       .application = "oracle",
                       .base_directory = options.base,
                       .certificate_in_code = one.HasMember("cert") && one["cert"].GetBool(),
                       .passes_arguments = !one.HasMember("noargs"),
                       .code = support::calls_of(one),
                       .majors = {8, 9, 10}};
  if (one.HasMember("env")) {
    for (const auto& pair : one["env"].GetArray()) {
      input.environment.push_back(directory.filled_in(pair[0]) + "=" + directory.filled_in(pair[1]));
    }
  }
  if (one.HasMember("argv")) {
    for (const auto& word : one["argv"].GetArray()) input.argv.push_back(directory.filled_in(word));
  }
  if (one.HasMember("majors")) {
    input.majors.clear();
    for (const auto& major : one["majors"].GetArray()) input.majors.push_back(major.GetInt());
  }
  if (one.HasMember("builders")) {
    for (const auto& name : one["builders"].GetArray()) input.builders.push_back(builder_named(text_of(name)));
  } else {
    input.builders = {builder_named(one.HasMember("builder") ? text_of(one["builder"]) : "wab")};
  }
  return input;
}

/// A case with its folder and its files.
struct Given {
  Given(const Json& one, const Options& options) : directory(one), input(input_of(one, directory, options)) {
    input.files = &reader;
  }

  Directory directory;
  hosting::Input input;
  system::Linux system;
  files::Reader reader{system, input.current_directory};
};

// ---- predict -------------------------------------------------------------------------------------------------------

/// In the oracle's words.
struct Result {
  std::vector<std::string> bound;
  std::vector<std::string> error;  ///< the exception chain
  auto operator<=>(const Result&) const = default;
};

/// "http://[::]:80": how Kestrel calls it when the address is in use.
std::string in_use_name(const address::Target& target) {
  const std::string scheme = target.https ? "https://" : "http://";
  const std::string port = ":" + std::to_string(target.port);
  if (target.bind == address::Bind::any) return scheme + "[::]" + port;
  if (target.bind == address::Bind::localhost) return scheme + "127.0.0.1" + port;
  const bool is_v6 = target.address.find(':') != std::string::npos;
  return scheme + (is_v6 ? "[" + target.address + "]" : target.address) + port;
}

std::vector<std::string> in_use(const address::Target& target) {
  return {"System.IO.IOException: Failed to bind to address " + in_use_name(target) + ": address already in use.",
          "Microsoft.AspNetCore.Connections.AddressInUseException: Address already in use",
          "System.Net.Sockets.SocketException(98): Address already in use"};
}

std::vector<std::string> refused(const address::Target& target) {
  const std::string cause = "System.Net.Sockets.SocketException(13): Permission denied";
  if (target.bind != address::Bind::localhost) return {cause};
  return {"System.IO.IOException: Failed to bind to address http://localhost:" + std::to_string(target.port) + ".",
          "System.AggregateException: One or more errors occurred. (Permission denied) (Permission denied)", cause,
          cause};
}

/// The run as it ends when binds are denied ("low", "inuse", or "" for none).
Result result_of(const kestrel::Run& run, std::string_view deny) {
  Result result;
  for (const kestrel::Endpoint& endpoint : run.endpoints) {
    const address::Target& target = endpoint.target;
    std::string text = to_string(target);
    const bool is_low = target.port > 0 && target.port < 1024;
    if (deny == "inuse" || (deny == "low" && is_low)) {
      result.bound.push_back("?" + text.substr(text.find(' ')) + " DENIED");
      result.error = deny == "inuse" ? in_use(target) : refused(target);
      return result;
    }
    result.bound.push_back(std::move(text));
  }
  if (run.failure) {
    const address::Exception& exception = run.failure->exception;
    result.error = {exception.type + ": " + exception.message};
    result.error.insert(result.error.end(), exception.causes.begin(), exception.causes.end());
  }
  return result;
}

void write(Writer& writer, const char* name, std::span<const std::string> texts) {
  writer.Key(name);
  writer.StartArray();
  for (const std::string& text : texts) write(writer, text);
  writer.EndArray();
}

void predict(const Json& one, const Options& options, Writer& writer) {
  const Given given(one, options);
  const Directory& directory = given.directory;
  const hosting::Input& input = given.input;

  const std::string deny = one.HasMember("deny") ? text_of(one["deny"]) : "";
  std::map<int, std::set<Result>> possible;
  for (const hosting::Prediction& prediction : hosting::predict(input)) {
    Result result = result_of(prediction.strict, deny);
    for (std::string& text : result.bound) text = directory.emptied(std::move(text), options.base);
    for (std::string& text : result.error) text = directory.emptied(std::move(text), options.base);
    possible[prediction.major].insert(std::move(result));
  }

  writer.StartObject();
  for (const auto& [major, results] : possible) {
    writer.Key(std::to_string(major).c_str());
    writer.StartArray();
    for (const Result& result : results) {
      writer.StartObject();
      write(writer, "bound", result.bound);
      write(writer, "error", result.error);
      writer.EndObject();
    }
    writer.EndArray();
  }
  writer.EndObject();
}

// ---- rewrite -------------------------------------------------------------------------------------------------------

std::string_view to_string(policy::Outcome outcome) {
  using enum policy::Outcome;
  switch (outcome) {
    case moved:
      return "moved";
    case merged:
      return "merged";
    case added:
      return "added";
    case present:
      return "present";
    case kept:
      return "kept";
    case left_works:
      return "left_works";
    case immovable:
      return "immovable";
  }
  return "?";
}

void write_environment(const hosting::Input& after, const std::vector<std::size_t>& removed,
                       const std::function<std::string(std::string)>& emptied, Writer& writer) {
  writer.Key("env");
  writer.StartArray();
  for (std::size_t i = kHarness.size(); i < after.environment.size(); ++i) {
    if (std::ranges::find(removed, i) != removed.end()) continue;
    const std::string& entry = after.environment[i];
    const std::size_t equals = entry.find('=');
    writer.StartArray();
    write(writer, emptied(entry.substr(0, equals)));
    write(writer, emptied(entry.substr(equals + 1)));
    writer.EndArray();
  }
  writer.EndArray();
}

/// The members of the case, with another environment and other arguments.
void write_case(const Json& one, const hosting::Input& after, const std::vector<std::size_t>& removed,
                const std::function<std::string(std::string)>& emptied, Writer& writer) {
  for (const auto& member : one.GetObject()) {
    const std::string name = text_of(member.name);
    if (name == "env" || name == "argv") continue;
    writer.Key(name.c_str());
    member.value.Accept(writer);
  }
  write_environment(after, removed, emptied, writer);
  std::vector<std::string> arguments(after.argv.begin() + kCommand.size(), after.argv.end());
  for (std::string& word : arguments) word = emptied(std::move(word));
  write(writer, "argv", arguments);
}

void write_moves(const policy::Plan& plan, Writer& writer) {
  writer.Key("moves");
  writer.StartArray();
  for (const policy::Decision& decision : plan.decisions) {
    for (const policy::Move& move : decision.moves) {
      writer.StartObject();
      write(writer, "setting", decision.low.origin.name);
      write(writer, "outcome", to_string(move.outcome));
      writer.Key("from");
      writer.Int(move.from);
      writer.Key("to");
      writer.Int(move.to);
      writer.EndObject();
    }
  }
  writer.EndArray();
}

void rewrite(const Json& one, const Options& options, Writer& writer) {
  const Given given(one, options);
  const Directory& directory = given.directory;
  const hosting::Input& input = given.input;

  policy::Rules rules{.floor = 1024, .keep = options.keep};
  rules.verdict = [&](const address::Target&) {
    return options.keep ? address::Verdict::allowed : address::Verdict::unknown;
  };
  const std::vector<hosting::Prediction> before = hosting::predict(input);
  const policy::Plan plan = policy::make_plan(input, before, rules);
  const auto emptied = [&](std::string text) { return directory.emptied(std::move(text), options.base); };

  writer.StartObject();
  write_case(one, plan.after, plan.removed, emptied, writer);
  write_moves(plan, writer);
  writer.Key("ambiguous");
  writer.Bool(std::ranges::any_of(before, [](const auto& prediction) { return prediction.variant > 0; }));
  writer.EndObject();
}

/// The case with the lever for what its code binds low, or null.
void pull_lever(const Json& one, const Options& options, Writer& writer) {
  const Given given(one, options);
  const Directory& directory = given.directory;
  const hosting::Input& input = given.input;
  const auto lever = lever::find(input, {});
  if (!lever) {
    writer.Null();
    return;
  }
  writer.StartObject();
  write_case(
      one, lever->after, lever->removed,
      [&](std::string text) { return directory.emptied(std::move(text), options.base); }, writer);
  writer.EndObject();
}

// ---- addresses -----------------------------------------------------------------------------------------------------

void write_parts(const address::Parts& parts, Writer& writer) {
  write(writer, "scheme", parts.scheme);
  write(writer, "host", parts.host);
  writer.Key("port");
  writer.Int(parts.port);
  write(writer, "pathBase", parts.path_base);
  if (parts.unix_socket) write(writer, "unix", std::string_view(parts.host).substr(std::string_view("unix:").size()));
  if (parts.named_pipe) write(writer, "pipe", std::string_view(parts.host).substr(std::string_view("pipe:/").size()));
}

void write_target(const address::Target& target, Writer& writer) {
  using enum address::Bind;
  static constexpr std::array<const char*, 5> kKinds = {"ANY", "LOCAL", "IP", "UNIX", "PIPE"};
  writer.Key("https");
  writer.Bool(target.https);
  write(writer, "kind", kKinds.at(static_cast<std::size_t>(target.bind)));
  if (target.bind == unix_socket || target.bind == named_pipe) return write(writer, "path", target.address);
  if (target.bind == ip) write(writer, "ip", target.address);
  writer.Key("p");
  writer.Int(target.port);
}

void write_exception(const address::Exception& exception, const char* stage, Writer& writer) {
  write(writer, "error", exception.type.substr(exception.type.rfind('.') + 1) + ": " + exception.message);
  write(writer, "at", stage);
}

void resolve(const Json& address, const Options& options, Writer& writer) {
  const std::string text = text_of(address);
  writer.StartObject();
  if (const auto parts = address::parse(text, options.major); !parts) {
    write_exception(parts.error(), "BindingAddress", writer);
  } else {
    write_parts(*parts, writer);
    const auto target = address::resolve(text, options.major);
    if (target) {
      write_target(*target, writer);
    } else {
      write_exception(target.error(), "AddressBinder", writer);
    }
  }
  writer.EndObject();
}

// ---- main ----------------------------------------------------------------------------------------------------------

Options parse_options(std::span<char*> words) {
  Options options;
  options.mode = words.size() > 1 ? words[1] : "";
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--keep") {
      options.keep = true;
    } else if (word == "--base" && i + 1 < words.size()) {
      options.base = words[++i];
    } else {
      options.major = std::stoi(words[i]);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse_options({argv, static_cast<std::size_t>(argc)});
  const auto answer = options.mode == "predict"     ? predict
                      : options.mode == "rewrite"   ? rewrite
                      : options.mode == "lever"     ? pull_lever
                      : options.mode == "addresses" ? resolve
                                                    : nullptr;
  if (answer == nullptr) return EXIT_FAILURE;
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    rapidjson::Document document;
    document.Parse(line.c_str(), line.size());
    if (document.HasParseError()) throw std::runtime_error("no JSON: " + line);
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    answer(document, options, writer);
    std::cout.write(buffer.GetString(), static_cast<std::streamsize>(buffer.GetSize())).put('\n').flush();
  }
  return EXIT_SUCCESS;
}
