#include "shim/log.h"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace portshim::log {

namespace {

using finding::Finding;
using finding::Severity;

/// Escape sequence of ECMA-48 that begins the severity's colour, or nothing.
std::string_view colour_of(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "\x1b[31m";
    case Severity::warning:
      return "\x1b[33m";
    case Severity::info:
    case Severity::debug:
      break;
  }
  return "";
}

/// SystemdConsoleFormatter.cs, GetSyslogSeverityString.
int syslog_priority(Severity severity) {
  switch (severity) {
    case Severity::error:
      return 3;
    case Severity::warning:
      return 4;
    case Severity::info:
      return 6;
    case Severity::debug:
      break;
  }
  return 7;
}

/// Microsoft.Extensions.Logging.LogLevel, by name.
std::string_view log_level(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "Error";
    case Severity::warning:
      return "Warning";
    case Severity::info:
      return "Information";
    case Severity::debug:
      break;
  }
  return "Debug";
}

/// A field behind the first: how text and one-line formats introduce it, and its place in the message's template.
struct Part {
  std::string_view label;
  std::string_view place;
  std::string Finding::* text;
};
constexpr std::array<Part, 3> kParts{{
    {.label = "why:", .place = "{Why}", .text = &Finding::why},
    {.label = "did:", .place = "{Did}", .text = &Finding::did},
    {.label = "next:", .place = "{Next}", .text = &Finding::next},
}};

/// "WHAT why: WHY did: DID next: NEXT", without what is empty.
std::string message(const Finding& finding) {
  std::string text = finding::printable(finding.what);
  for (const Part& part : kParts) {
    const std::string& field = finding.*part.text;
    if (!field.empty()) text += fmt::format(" {} {}", part.label, finding::printable(field));
  }
  return text;
}

/// What message() fills in: log analysers group by it.
std::string message_template(const Finding& finding) {
  std::string text = "{What}";
  for (const Part& part : kParts) {
    if (!(finding.*part.text).empty()) text += fmt::format(" {} {}", part.label, part.place);
  }
  return text;
}

// rapidjson's Writer leaves bytes from 0x80 up as they are: printable() has made valid UTF-8 of them.
using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

/// With its length, since fields may hold anything.
void write_string(Writer& json, std::string_view text) {
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void write_member(Writer& json, std::string_view name, std::string_view value) {
  write_string(json, name);
  write_string(json, value);
}

std::string format(const Finding& finding, Format format, bool colour) {
  switch (format) {
    case Format::systemd:
      return as_systemd(finding);
    case Format::json:
      return as_json(finding);
    case Format::text:
      break;
  }
  return as_text(finding, colour);
}

}  // namespace

std::string as_text(const Finding& finding, bool colour) {
  // The fields stay plain: colours must not get into what people copy and search for.
  const std::string_view begin = colour ? colour_of(finding.severity) : "";
  const std::string_view end = begin.empty() ? "" : "\x1b[0m";
  std::string text = fmt::format("portshim: {}{} {}{}: {}\n", begin, finding::to_string(finding.severity),
                                 finding::to_string(finding.id), end, finding::printable(finding.what));
  for (const Part& part : kParts) {
    const std::string& field = finding.*part.text;
    if (!field.empty()) text += fmt::format("  {:<5} {}\n", part.label, finding::printable(field));
  }
  return text;
}

std::string as_systemd(const Finding& finding) {
  return fmt::format("<{}>portshim[{}] {}\n", syslog_priority(finding.severity), static_cast<unsigned>(finding.id),
                     message(finding));
}

std::string as_json(const Finding& finding) {
  const std::string text = message(finding);
  rapidjson::StringBuffer buffer;
  Writer json(buffer);
  json.StartObject();
  json.Key("EventId");
  json.Uint(static_cast<unsigned>(finding.id));
  write_member(json, "LogLevel", log_level(finding.severity));
  write_member(json, "Category", "portshim");
  write_member(json, "Message", text);
  json.Key("State");
  json.StartObject();
  write_member(json, "Message", text);
  write_member(json, "Id", finding::to_string(finding.id));
  write_member(json, "What", finding::printable(finding.what));
  write_member(json, "Why", finding::printable(finding.why));
  write_member(json, "Did", finding::printable(finding.did));
  write_member(json, "Next", finding::printable(finding.next));
  write_member(json, "{OriginalFormat}", message_template(finding));
  json.EndObject();
  json.EndObject();
  return fmt::format("{}\n", std::string_view(buffer.GetString(), buffer.GetSize()));
}

std::string termination_message(std::span<const Finding> findings) {
  constexpr std::size_t kMost = 4096;  // kubelet's MaxContainerTerminationMessageLength
  if (findings.empty()) return {};
  const auto error = std::ranges::find(findings, Severity::error, &Finding::severity);
  std::string text = as_text(error == findings.end() ? findings.front() : *error, false);
  // printable() has left no other line end than those of as_text.
  std::size_t length = std::min(text.find('\n'), kMost - 1);
  const auto is_continuation = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; };
  while (length > 0 && is_continuation(text[length])) --length;
  return text.erase(length) + "\n";
}

void Log::say(const Finding& finding) {
  if (finding.severity < least_) return;
  // One write, so that lines of other processes on the same pipe cannot come between (pipe(7), PIPE_BUF). There is
  // nobody to tell of a failure.
  static_cast<void>(system_.write(STDERR_FILENO, format(finding, format_, colour_)));
}

bool wants_colour(bool is_terminal, std::string_view no_color, std::string_view term) {
  return is_terminal && no_color.empty() && !term.empty() && term != "dumb";
}

}  // namespace portshim::log
