// How findings are written: text, systemd, json. One write per finding.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "shim/finding.h"
#include "shim/system.h"

namespace portshim::log {

enum class Format : std::uint8_t { text, systemd, json };

// Whatever the fields hold, what comes out is valid UTF-8, no control character of theirs gets through
// (finding::printable), and every finding keeps its shape: only as_text has more than one line.

/// The finding as text, with a newline at its end:
///   portshim: warning PS101: WHAT
///     why:  WHY
///     did:  DID
///     next: NEXT
/// Lines of empty fields are left out. With `colour` "warning PS101" is yellow, "error PS201" red, others are plain.
[[nodiscard]] std::string as_text(const finding::Finding& finding, bool colour);
/// As SystemdConsoleFormatter.cs does: "<4>portshim[101] WHAT why: … did: … next: …" on one line, with a newline at its
/// end. The number is the priority of syslog(3): error 3, warning 4, info 6, debug 7. Empty fields are left out.
[[nodiscard]] std::string as_systemd(const finding::Finding& finding);
/// As JsonConsoleFormatter.cs does without a timestamp, on one line with a newline at its end: {"EventId":101,
/// "LogLevel":"Warning","Category":"portshim","Message":…,"State":{"Message":…,"Id":"PS101","What":…,"Why":…,"Did":…,
/// "Next":…,"{OriginalFormat}":…}}. Levels are Debug, Information, Warning, Error. The message is the text of
/// as_systemd, {OriginalFormat} its template ("{What} why: {Why}"); the fields of State are all there, empty or not.
[[nodiscard]] std::string as_json(const finding::Finding& finding);

/// What Kubernetes is told of a start that failed (terminationMessagePath): the first line of the first error as text
/// without colour, or of the first finding where none is an error, with a newline at its end. Longer lines are cut
/// between two characters, for kubelet takes no more than 4096 bytes. Empty where there are no findings.
[[nodiscard]] std::string termination_message(std::span<const finding::Finding> findings);

/// Writes findings to stderr.
class Log {
 public:
  Log(system::Control& system, Format format, finding::Severity least, bool colour)
      : system_(system), format_(format), least_(least), colour_(colour) {}

  /// Writes it in one call of System::write, unless it is below the least severity.
  void say(const finding::Finding& finding);

 private:
  system::Control& system_;
  Format format_;
  finding::Severity least_;
  bool colour_;
};

/// Colour is for a terminal that wants it: stderr is one, NO_COLOR is unset or empty, TERM is set and not "dumb".
[[nodiscard]] bool wants_colour(bool is_terminal, std::string_view no_color, std::string_view term);

}  // namespace portshim::log
