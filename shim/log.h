// How findings are written: text, systemd, json. One write per finding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shim/finding.h"
#include "shim/system.h"

namespace portshim::log {

enum class Format : std::uint8_t { text, systemd, json };

/// The finding as text, with a newline at its end:
///   portshim: warning PS101: WHAT
///     why:  WHY
///     did:  DID
///     next: NEXT
/// Lines of empty fields are left out. Newlines inside a field are already escaped by finding::quote.
[[nodiscard]] std::string as_text(const finding::Finding& finding, bool colour);
/// As SystemdConsoleFormatter does: "<4>portshim[101] WHAT why: … did: … next: …" on one line.
[[nodiscard]] std::string as_systemd(const finding::Finding& finding);
/// As JsonConsoleFormatter does, on one line: {"EventId":101,"LogLevel":"Warning","Category":"portshim","Message":…,
/// "State":{"Message":…,"Id":"PS101","What":…,"Why":…,"Did":…,"Next":…,"{OriginalFormat}":…}}
[[nodiscard]] std::string as_json(const finding::Finding& finding);

/// Writes findings to stderr.
class Log {
 public:
  Log(system::System& system, Format format, finding::Severity least, bool colour)
      : system_(system), format_(format), least_(least), colour_(colour) {}

  /// Writes it, unless it is below the least severity.
  void say(const finding::Finding& finding);

 private:
  system::System& system_;
  Format format_;
  finding::Severity least_;
  bool colour_;
};

/// Colour is for a terminal that wants it: stderr is one, NO_COLOR is unset or empty, TERM is set and not "dumb".
[[nodiscard]] bool wants_colour(bool is_terminal, std::string_view no_color, std::string_view term);

}  // namespace portshim::log
