#include "shim/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

#include "shim/log.h"
#include "shim/utf8.h"

namespace portshim::report {
namespace {

using address::Bind;
using hosting::Prediction;
using kestrel::Endpoint;

bool rewrites(const Report& report) {
  return report.situation.options.mode == options::Mode::rewrite;
}

/// The edits that are carried out: those of rewrite.
const std::vector<edit::Edit>& edits_of(const Report& report) {
  static const std::vector<edit::Edit> kNone;
  return rewrites(report) ? report.situation.plan.edits : kNone;
}

const std::vector<Prediction>& after_of(const Report& report) {
  return rewrites(report) ? report.situation.plan.predictions : report.situation.predictions;
}

const std::vector<Prediction>& likely_after_of(const Report& report) {
  return rewrites(report) ? report.situation.code.likely_after : report.situation.code.likely;
}

std::string_view verdict_of(const Report& report) {
  return report.diagnosis.refuse ? "refuse" : "start";
}

std::string_view to_string(Bind bind) {
  switch (bind) {
    case Bind::any:
      return "any";
    case Bind::localhost:
      return "localhost";
    case Bind::ip:
      return "ip";
    default:
      return "unix";
  }
}

std::string_view to_string(edit::Edit::Kind kind) {
  switch (kind) {
    case edit::Edit::Kind::set:
      return "set";
    case edit::Edit::Kind::remove:
      return "remove";
    case edit::Edit::Kind::argument:
      break;
  }
  return "argument";
}

/// Text from outside may be no UTF-8; JSON must be.
std::string utf8(std::string_view text) {
  return utf8::valid(text);
}

/// Writes the object member by member.
class Json {
 public:
  std::string write(const Report& report) {
    const diagnosis::Situation& s = report.situation;
    code_ = &s.code;
    out_.StartObject();
    member("version", PORTSHIM_VERSION);
    member("mode", options::to_string(s.options.mode));
    member("verdict", verdict_of(report));
    identity(s);
    app(s.app);
    files(s.settings_files);
    predictions("predictions", s.predictions, s.code.likely);
    edits(edits_of(report));
    predictions("after", after_of(report), likely_after_of(report));
    findings(report.diagnosis.findings);
    out_.EndObject();
    return std::string(buffer_.GetString(), buffer_.GetSize()) + "\n";
  }

 private:
  void key(std::string_view name) { out_.Key(name.data(), static_cast<rapidjson::SizeType>(name.size())); }

  void text(std::string_view value) {
    const std::string valid = utf8(value);
    out_.String(valid.data(), static_cast<rapidjson::SizeType>(valid.size()));
  }

  void member(std::string_view name, std::string_view value) {
    key(name);
    text(value);
  }

  void member_or_null(std::string_view name, const std::optional<std::string>& value) {
    key(name);
    if (value) {
      text(*value);
    } else {
      out_.Null();
    }
  }

  void number(std::string_view name, std::int64_t value) {
    key(name);
    out_.Int64(value);
  }

  void truth(std::string_view name, bool value) {
    key(name);
    out_.Bool(value);
  }

  void identity(const diagnosis::Situation& s) {
    key("identity");
    out_.StartObject();
    number("uid", s.identity.uid);
    number("gid", s.identity.gid);
    truth("netBindService", s.identity.net_bind_service);
    number("unprivilegedPortStart", s.identity.port_start);
    number("floor", s.rules.floor);
    out_.EndObject();
  }

  void app(const runtime::App& app) {
    key("app");
    out_.StartObject();
    member("kind", runtime::to_string(app.kind));
    member_or_null("assembly", app.assembly.empty() ? std::nullopt : std::optional(app.assembly));
    key("aspNetCore");
    if (app.asp_net_core) {
      out_.Bool(*app.asp_net_core);
    } else {
      out_.Null();
    }
    key("major");
    if (app.major) {
      out_.Int(*app.major);
    } else {
      out_.Null();
    }
    member_or_null("version", app.resolved_version.empty() ? std::nullopt : std::optional(app.resolved_version));
    out_.EndObject();
  }

  void files(const std::vector<std::string>& paths) {
    key("files");
    out_.StartArray();
    for (const std::string& path : paths) text(path);
    out_.EndArray();
  }

  void endpoint(std::string_view scheme, const address::Target& target, std::string_view origin) {
    const bool unix_socket = target.bind == Bind::unix_socket;
    out_.StartObject();
    member("scheme", scheme);
    member("bind", to_string(target.bind));
    member_or_null("address", target.address.empty() ? std::nullopt : std::optional(target.address));
    key("port");
    if (unix_socket) {
      out_.Null();
    } else {
      out_.Int(target.port);
    }
    member("origin", origin);
    out_.EndObject();
  }

  /// `likely`: the same, with the calls of the app's code; empty where it has none.
  void predictions(std::string_view name, const std::vector<Prediction>& predictions,
                   const std::vector<Prediction>& likely) {
    key(name);
    out_.StartArray();
    for (std::size_t i = 0; i < predictions.size(); ++i) {
      const Prediction& prediction = predictions[i];
      out_.StartObject();
      member("builder", hosting::to_string(prediction.builder));
      number("major", prediction.major);
      key("endpoints");
      out_.StartArray();
      for (const Endpoint& one : prediction.strict.endpoints) {
        endpoint(address::scheme_of(one.target), one.target, one.source.origin().name);
      }
      out_.EndArray();
      key("likely");
      out_.StartArray();
      for (const auto& [call, target] : situation::likely_endpoints(*code_, likely, i)) {
        endpoint(situation::scheme_of(*call, target), target, "code: " + call->method);
      }
      out_.EndArray();
      failure(prediction.strict.failure);
      out_.EndObject();
    }
    out_.EndArray();
  }

  void failure(const std::optional<kestrel::Failure>& failure) {
    key("failure");
    if (!failure) {
      out_.Null();
      return;
    }
    out_.StartObject();
    member("type", failure->exception.type);
    member("message", failure->exception.message);
    key("causes");
    out_.StartArray();
    for (const std::string& cause : failure->exception.causes) text(cause);
    out_.EndArray();
    truth("certain", failure->certain);
    out_.EndObject();
  }

  void edits(const std::vector<edit::Edit>& edits) {
    key("edits");
    out_.StartArray();
    for (const edit::Edit& edit : edits) {
      out_.StartObject();
      member("kind", to_string(edit.kind));
      member("name", edit.name);
      member_or_null("old", edit.old_value);
      member_or_null("new", edit.new_value);
      out_.EndObject();
    }
    out_.EndArray();
  }

  void findings(const std::vector<finding::Finding>& findings) {
    key("findings");
    out_.StartArray();
    for (const finding::Finding& one : findings) {
      out_.StartObject();
      member("id", finding::to_string(one.id));
      member("severity", finding::to_string(one.severity));
      member("what", one.what);
      member("why", one.why);
      member("did", one.did);
      member("next", one.next);
      out_.EndObject();
    }
    out_.EndArray();
  }

  const situation::Code* code_ = nullptr;
  rapidjson::StringBuffer buffer_;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> out_{buffer_};
};

/// What a prediction says, on one line: "http ANY:80 (ASPNETCORE_URLS), then System.FormatException".
std::string line_of(const Prediction& prediction) {
  std::string line;
  for (const Endpoint& endpoint : prediction.strict.endpoints) {
    line += fmt::format("{}{} ({})", line.empty() ? "" : ", ", finding::quote(address::to_string(endpoint.target)),
                        finding::quote(endpoint.source.origin().name));
  }
  if (line.empty()) line = "no endpoint";
  if (const auto& failure = prediction.strict.failure) {
    line += fmt::format(", then {}: {}", failure->exception.type, finding::quote(failure->exception.message));
    if (!failure->certain) line += " (unless the app's code prevents it)";
  }
  return line;
}

/// Predictions with the same outcome on one line; `lines` are those of the predictions, "" where nothing is to be said.
std::string list(const std::vector<Prediction>& predictions, const std::vector<std::string>& lines) {
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const std::string& line = lines[i];
    if (line.empty()) continue;
    auto group = std::ranges::find(groups, line, &std::pair<std::string, std::vector<std::string>>::first);
    if (group == groups.end()) group = groups.insert(groups.end(), {line, {}});
    group->second.push_back(situation::name_prediction(predictions[i]));
  }
  std::string out;
  for (const auto& [line, builders] : groups) {
    const bool all = builders.size() == predictions.size() && predictions.size() > 1;
    out += fmt::format(
        "  {}\n      {}\n", line,
        all ? "whatever builder and version the app uses" : fmt::format("with {}", fmt::join(builders, ", ")));
  }
  return out;
}

std::string list(const std::vector<Prediction>& predictions) {
  std::vector<std::string> lines(predictions.size());
  std::ranges::transform(predictions, lines.begin(), line_of);
  return list(predictions, lines);
}

/// What the code is likely to bind.
std::string list_likely(const std::vector<Prediction>& likely, const situation::Code& code) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < likely.size(); ++i) {
    std::string& line = lines.emplace_back();
    for (const auto& [call, target] : situation::likely_endpoints(code, likely, i)) {
      line += fmt::format("{}{} {} ({})", line.empty() ? "" : ", ", situation::scheme_of(*call, target),
                          finding::quote(address::place_of(target)), situation::name_call(*call));
    }
  }
  const std::string list = portshim::report::list(likely, lines);
  return list.empty() ? "" : "and its code is likely to bind, in place of these or beside them:\n" + list;
}

std::string name_app(const runtime::App& app) {
  std::string out(app.kind == runtime::Kind::other ? "no .NET program that portshim recognises; it may start one "
                                                     "later, whose arguments and settings files are not examined"
                                                   : runtime::to_string(app.kind));
  if (!app.assembly.empty()) out += " " + finding::quote(app.assembly);
  if (app.asp_net_core) out += *app.asp_net_core ? ", ASP.NET Core" : ", without ASP.NET Core: binds nothing";
  if (!app.resolved_version.empty()) {
    out += " " + finding::quote(app.resolved_version);
  } else if (app.major) {
    out += fmt::format(" {}", *app.major);
  }
  return out;
}

std::string text_of(const edit::Edit& edit) {
  const std::string name = finding::quote(edit.name);
  const std::string old_value = finding::quote(edit.old_value.value_or(""));
  if (!edit.new_value) return fmt::format("  remove {} (was '{}')\n", name, old_value);
  const std::string new_value = finding::quote(*edit.new_value);
  if (!edit.old_value) return fmt::format("  add {}: '{}'\n", name, new_value);
  return fmt::format("  {} {}: '{}' becomes '{}'\n", to_string(edit.kind), name, old_value, new_value);
}

}  // namespace

std::string as_json(const Report& report) {
  return Json().write(report);
}

std::string as_text(const Report& report) {
  const diagnosis::Situation& s = report.situation;
  std::string out = fmt::format("mode:     {}\n", options::to_string(s.options.mode));
  out += fmt::format("identity: uid {}, gid {}, CAP_NET_BIND_SERVICE {}, net.ipv4.ip_unprivileged_port_start {}\n",
                     s.identity.uid, s.identity.gid, s.identity.net_bind_service ? "effective" : "not effective",
                     s.identity.port_start_known ? std::to_string(s.identity.port_start) : "unknown (1024 is assumed)");
  out +=
      fmt::format("floor:    {}\n", s.rules.floor == 0 ? "none, every port may be used"
                                                       : fmt::format("{}, no lower port is to be used", s.rules.floor));
  out += fmt::format("app:      {}\n", name_app(s.app));
  for (const std::string& path : s.settings_files) out += fmt::format("file:     {}\n", finding::quote(path));
  out += situation::unless_code(s).empty() ? "Kestrel would bind:\n"
                                           : "Kestrel would bind, unless the app sets its ports in code:\n";
  out += list(s.predictions) + list_likely(s.code.likely, s.code);
  if (!edits_of(report).empty()) {
    out += "changes:\n";
    for (const edit::Edit& edit : edits_of(report)) out += text_of(edit);
    out += "after them it binds:\n" + list(after_of(report)) + list_likely(s.code.likely_after, s.code);
  }
  out += report.diagnosis.findings.empty() ? "findings: none\n" : "findings:\n";
  for (const finding::Finding& finding : report.diagnosis.findings) out += log::as_text(finding, false);
  out += fmt::format("verdict:  {}\n",
                     report.diagnosis.refuse ? "refuse (PORTSHIM=validate would end with exit code 78)" : "start");
  return out;
}

}  // namespace portshim::report
