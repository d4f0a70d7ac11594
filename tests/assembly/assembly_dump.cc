// Reads paths of assemblies or single-file apps, one a line, and writes what portshim sees in each as one line of JSON.
// With --time it writes how long each took instead.

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

#include "shim/address.h"
#include "shim/assembly.h"
#include "shim/bundle.h"
#include "shim/elf.h"
#include "shim/hosting.h"
#include "shim/system.h"

namespace {

using namespace portshim;
using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void write(Writer& writer, const char* key, std::string_view text) {
  writer.Key(key);
  writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

const char* to_string(code::Kind kind) {
  switch (kind) {
    case code::Kind::setting:
      return "setting";
    case code::Kind::address:
      return "address";
    case code::Kind::listen:
      return "listen";
    case code::Kind::https:
      return "https";
    case code::Kind::certificate:
      return "certificate";
    case code::Kind::environment_variables:
      return "environment_variables";
    case code::Kind::kestrel_section:
      return "kestrel_section";
    case code::Kind::configuration:
      return "configuration";
    case code::Kind::socket:
      return "socket";
  }
  return "?";
}

void write_call(Writer& writer, const code::Call& call) {
  writer.StartObject();
  write(writer, "kind", to_string(call.kind));
  write(writer, "api", call.api);
  write(writer, "arguments", call.arguments);
  writer.Key("known");
  writer.Bool(call.known);
  write(writer, "key", call.key);
  write(writer, "value", call.value);
  if (call.known && (call.kind == code::Kind::listen || call.kind == code::Kind::socket)) {
    write(writer, "target", address::to_string(call.target));
  } else {
    writer.Key("target");
    writer.Null();
  }
  writer.Key("hasOptions");
  writer.Bool(call.has_options);
  write(writer, "method", call.method);
  writer.EndObject();
}

void write_code(Writer& writer, const assembly::Code& code) {
  writer.Key("builders");
  writer.StartArray();
  for (const hosting::Builder builder : code.builders) writer.String(std::string(hosting::to_string(builder)).c_str());
  writer.EndArray();
  writer.Key("passesArguments");
  if (code.passes_arguments) {
    writer.Bool(*code.passes_arguments);
  } else {
    writer.Null();
  }
  writer.Key("calls");
  writer.StartArray();
  for (const code::Call& call : code.calls) write_call(writer, call);
  writer.EndArray();
}

std::string dump(std::string_view file, const std::string& name) {
  const auto code = assembly::read(file, name);
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.StartObject();
  write(writer, "name", name);
  if (code) {
    writer.Key("error");
    writer.Null();
  } else {
    write(writer, "error", code.error());
  }
  write_code(writer, code.value_or(assembly::Code{}));
  writer.EndObject();
  return buffer.GetString();
}

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The entry assembly of a single-file app; of anything else the file itself.
std::string read_assembly(const std::string& path, const std::string& name) {
  const system::Linux system;
  const auto content = elf::Content::open(system, path);
  const auto headers = content ? elf::parse(*content) : std::nullopt;
  const auto header = headers ? bundle::header_offset(*content, *headers) : std::nullopt;
  if (!header) return read_file(path);
  const auto files = bundle::files(*content, bundle::read_header(*content, *header));
  const bundle::File* entry = files ? bundle::entry_assembly(*files, name) : nullptr;
  return entry == nullptr ? "" : bundle::read_file(*content, *entry).value_or("");
}

/// The shortest of a few times, in microseconds.
long long time_of(std::string_view file, const std::string& name) {
  using Clock = std::chrono::steady_clock;
  constexpr int kTimes = 5;
  auto shortest = Clock::duration::max();
  for (int i = 0; i < kTimes; ++i) {
    const auto start = Clock::now();
    const auto code = assembly::read(file, name);
    shortest = std::min(shortest, Clock::now() - start);
  }
  return std::chrono::duration_cast<std::chrono::microseconds>(shortest).count();
}

}  // namespace

int main(int argc, char** argv) {
  const bool times = argc > 1 && std::string_view(argv[1]) == "--time";
  for (std::string path; std::getline(std::cin, path);) {
    const std::string name = path.substr(path.rfind('/') + 1);
    const std::string file = read_assembly(path, name);
    if (times) {
      std::cout << time_of(file, name) << " us " << file.size() << " bytes " << path << '\n';
    } else {
      std::cout << dump(file, name) << '\n';
    }
  }
}
