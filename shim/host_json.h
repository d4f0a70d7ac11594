// JSON as .NET's host reads its own files: runtimeconfig.json and deps.json (json_parser.cpp).
#pragma once

#include <rapidjson/document.h>
#include <rapidjson/stream.h>

#include <string>
#include <string_view>

namespace portshim::host_json {

/// A BOM and comments are fine, what follows the value is not looked at. False for what is no object. Iterative: a deep
/// file must not exhaust the stack.
[[nodiscard]] inline bool parse(std::string_view text, rapidjson::Document& document) {
  constexpr unsigned kFlags =
      rapidjson::kParseStopWhenDoneFlag | rapidjson::kParseCommentsFlag | rapidjson::kParseIterativeFlag;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::string terminated(text);
  rapidjson::StringStream stream(terminated.c_str());
  document.ParseStream<kFlags>(stream);
  return !document.HasParseError() && document.IsObject();
}

}  // namespace portshim::host_json
