#include "shim/finding.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <utility>

#include "shim/ascii.h"
#include "shim/utf8.h"
#include "shim/words.h"

namespace portshim::finding {

namespace {

// Titles say what is the case, not what was done: that depends on the mode.
constexpr std::array kTable{
    Entry{Id::low_port, "an endpoint asks for a port below the floor: the app may not bind it, here or on other hosts"},
    Entry{Id::new_port_taken, "the new port is held by another process"},
    Entry{Id::low_port_kept, "a low port stays, because the kernel allows it here"},
    Entry{Id::not_kept, "--keep could not add the new port beside the low one; nothing was changed"},
    Entry{Id::collision, "two endpoints ask for the same address and port: the second one fails"},
    Entry{Id::merged,
          "a new port met another endpoint of the app: the duplicate was dropped, or the next free port taken"},
    Entry{Id::placeholder,
          "the port is no number (often a variable that nobody filled in): .NET silently takes 80 or 443"},
    Entry{Id::immovable, "a low port that no setting can move safely"},
    Entry{Id::capability_not_usable,
          "CAP_NET_BIND_SERVICE is effective, and the kernel refuses the low port all the same"},
    Entry{Id::address_in_use,
          "another process holds an address of the app; with --check the app itself may be running"},
    Entry{Id::code_port, "the app's code asks for a port below the floor, as ListenAnyIP(80)"},
    Entry{Id::code_unknown, "the app's code sets an endpoint that it computes at run time"},
    Entry{Id::code_overrides, "the app's code is likely to take the place of a setting"},
    Entry{Id::old_port_named, "another variable names the old port of an endpoint that moves"},
    Entry{Id::will_fail, "the configured addresses make the app fail at start-up, with this .NET exception"},
    Entry{Id::repaired, "a value that .NET would reject or misread was repaired"},
    Entry{Id::ambiguous_name,
          "a setting is there more than once or in several spellings; which one .NET uses can vary"},
    Entry{Id::expanded, "variables in a value were filled in (--expand)"},
    Entry{Id::iis_variables, "the variables of IIS integration are set and decide the address"},
    Entry{Id::no_effect, "a setting that another one beats: it has no effect"},
    Entry{Id::socket_directory, "the directory of a unix socket is missing, or the app may not write to it"},
    Entry{Id::socket_file, "a file is in the place of a unix socket: the app will fail with 'address already in use'"},
    Entry{Id::address_unavailable, "an endpoint asks for an address that this host does not have"},
    Entry{Id::settings_file, "a settings file (appsettings.json) that .NET cannot read or parse: it ends the app"},
    Entry{Id::certificate, "a server certificate that .NET cannot load: it ends the app"},
    Entry{Id::content_root, "the content root is no directory: it ends the app"},
    Entry{Id::settings_not_read, "a settings file that portshim did not read, since it is too large"},
    Entry{Id::code_not_read,
          "an assembly of the app that portshim could not read: the ports in its code are not known"},
    Entry{Id::web_root, "the web root that is set is missing and cannot be made"},
    Entry{Id::no_certificate, "an https endpoint without any certificate: unless code sets one, it ends the app"},
    Entry{Id::no_home, "https needs a home directory, and the app's user has none"},
    Entry{Id::no_private_key, "an https endpoint whose certificate has no key: unless code sets one, it ends the app"},
    Entry{Id::settings_directory, "a directory in the place of a settings file: .NET takes the file for absent"},
    Entry{Id::settings_elsewhere, "the settings file beside the app is not read: its content root is another folder"},
    Entry{Id::not_found, "COMMAND was not found"},
    Entry{Id::is_directory, "COMMAND is a directory"},
    Entry{Id::not_executable, "COMMAND has no execute permission for this user"},
    Entry{Id::noexec_mount, "COMMAND is on a file system that is mounted noexec"},
    Entry{Id::interpreter_missing, "the interpreter in the script's first line does not exist"},
    Entry{Id::carriage_return, "the script's first line ends in a carriage return (Windows line endings)"},
    Entry{Id::wrong_machine, "COMMAND was built for another processor"},
    Entry{Id::loader_missing, "COMMAND's dynamic loader does not exist (built for glibc, run on musl, or the reverse)"},
    Entry{Id::dangling_link, "COMMAND is a symbolic link to a file that does not exist"},
    Entry{Id::capability_not_bounding, "COMMAND has file capabilities that the container is not allowed to use"},
    Entry{Id::app_missing, "the app's dll does not exist"},
    Entry{Id::runtimeconfig_missing, "the app's runtimeconfig.json does not exist"},
    Entry{Id::no_dotnet, "no .NET runtime was found for the app"},
    Entry{Id::environment_too_large, "arguments and environment became too large; the app starts with them unchanged"},
    Entry{Id::library_missing, "a shared library that dotnet or the app needs is not installed: it ends with 127"},
    Entry{Id::exec_failed, "the kernel refused to execute COMMAND"},
    Entry{Id::deps_json, "the app's deps.json cannot be read or parsed: the host ends with 139, which is no crash"},
    Entry{Id::runtimeconfig_invalid,
          "the app's runtimeconfig.json cannot be read or parsed, or the host refuses it: it ends with 147"},
    Entry{Id::roll_forward, "a roll-forward setting that the host does not know"},
    Entry{Id::hostfxr_missing, "no .NET host (hostfxr) where dotnet or the app looks for it: it ends with 131"},
    Entry{Id::no_app_named, "dotnet is given no app, or a word that is no dll: it looks for an SDK command"},
    Entry{Id::assembly_unusable, "the app's dll cannot be read, is cut off, or has no managed code"},
    Entry{Id::runtime_incomplete,
          "the runtime that the app uses, its own or a framework, lacks a file: it was not copied whole"},
    Entry{Id::extraction,
          "a single file cannot extract what it holds: HOME or DOTNET_BUNDLE_EXTRACT_BASE_DIR is no use"},
    Entry{Id::startup_hook, "DOTNET_STARTUP_HOOKS names what cannot be loaded: it ends the app"},
    Entry{Id::inotify, "no inotify instance is left for this user: it ends the app"},
    Entry{Id::icu_missing, "ICU is not installed, and the app is not globalization-invariant"},
    Entry{Id::openssl_missing, "OpenSSL is not installed, and the app serves https"},
    Entry{Id::limit_open_files, "the limit for open files is too low for .NET"},
    Entry{Id::limit_file_size, "the limit for the size of files ends .NET at its start"},
    Entry{Id::limit_processes, "the limit for processes and threads is too low for .NET"},
    Entry{Id::profiler_missing, "the profiler cannot be loaded: the app runs without it"},
    Entry{Id::diagnostics_lost, "TMPDIR cannot hold the diagnostics socket: tools will not find the app"},
    Entry{Id::cut_off, "a program or single file ends before all that it says it holds: it was not copied whole"},
    Entry{Id::child_signal_ignored, "SIGCHLD is ignored: the app would wait for ever for processes that it starts"},
    Entry{Id::stop_signals_blocked, "signals that stop the app are blocked: it would not stop before it is killed"},
    Entry{Id::invalid_value,
          "a setting has a value that .NET cannot convert, as an unknown log level: it ends the app"},
    Entry{Id::hosting_startup_missing,
          "an assembly that was to take part in the start is not there: the app goes without"},
    Entry{Id::heap_limit, "the limit for .NET's heap is too low for it to start"},
    Entry{Id::local_alone, "in a container without any address setting: .NET listens on localhost:5000, out of reach"},
    Entry{Id::limit_memory, "the limit for address space, data or stack is too low for .NET"},
    Entry{Id::not_supervised, "--init: portshim cannot stay as the parent; the app starts without one"},
    Entry{Id::host_failed, "--init: the .NET host could not start the app; what its exit code means"},
    Entry{Id::aborted, "--init: COMMAND aborted (SIGABRT), as .NET does after an unhandled exception"},
    Entry{Id::out_of_memory, "--init: the kernel killed COMMAND for want of memory"},
    Entry{Id::killed, "--init: COMMAND was killed by SIGKILL, and not for want of memory"},
    Entry{Id::crashed, "--init: COMMAND crashed: a signal of the processor ended it"},
    Entry{Id::orphans_not_adopted, "--init: processes that lose their parent do not become portshim's"},
    Entry{Id::without_parent, "--grace, --group, --signal-map and --exit-map have no effect without --init"},
    Entry{Id::user_unknown, "--user: no such user or group, or nobody that it could mean; nothing is started"},
    Entry{Id::user_not_permitted, "--user: this process may not become that user; nothing is started"},
    Entry{Id::net_bind_not_kept, "--keep-net-bind: there is no CAP_NET_BIND_SERVICE to be kept"},
    Entry{Id::keep_without_user, "--keep-net-bind without --user has no effect"},
    Entry{Id::bind_denied, "--guard: the kernel denied a bind call of the app"},
    Entry{Id::bind_moved, "--guard: a bind call to a low port got another port"},
    Entry{Id::bind_moved_aside, "--guard: a bind call to a port that a moved one has got the next free port"},
    Entry{Id::bind_not_moved, "--guard: a bind call could not be moved: the new port is taken, or cannot be written"},
    Entry{Id::bind_not_read, "--guard: a bind call of a process whose memory portshim may not read"},
    Entry{Id::bind_limit, "--guard: more bind calls than are reported, or moved"},
    Entry{Id::guard_map, "--guard: --map names a new port that is low itself, or names one twice"},
    Entry{Id::nothing_to_guard, "--guard: the app may bind low ports here, so its bind calls are not watched"},
    Entry{Id::not_guarded, "--guard: the app's bind calls cannot be watched; it starts without the guard"},
    Entry{Id::invalid_setting, "a PORTSHIM variable has an invalid value; its default is used"},
    Entry{Id::wrong_command_line, "portshim's own command line is wrong"},
    Entry{Id::set_user_id, "portshim was started set-uid or set-gid, which it refuses"},
    Entry{Id::own_failure, "something inside portshim failed; the app starts as it was"},
    Entry{Id::installed, "--install copied portshim"},
    Entry{Id::not_installed, "--install could not copy portshim; what was there is unchanged"},
    Entry{Id::not_written, "what was to be printed on stdout could not be written"},
    Entry{Id::process_not_examined, "--check --pid: the process is not there, or cannot be examined"},
};

constexpr std::size_t kLongestQuote = 256;
/// Characters that move the cursor, end a line or turn the reading order: they could forge a log line.
constexpr bool is_control(char32_t code) {
  const auto within = [code](char32_t low, char32_t high) { return low <= code && code <= high; };
  return code < 0x20 || within(0x7F, 0x9F) || code == 0x061C || within(0x200E, 0x200F) || within(0x2028, 0x202E) ||
         within(0x2066, 0x2069);
}

/// As in C# and JSON, with the short forms that everybody knows.
std::string escape(char32_t code) {
  switch (code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return fmt::format("\\u{:04x}", static_cast<std::uint32_t>(code));
  }
}

/// printable() of one character of `text`, which it is taken off from.
std::string take_printable(std::string_view& text) {
  const utf8::Character character = utf8::first_character(text);
  const std::string_view bytes = text.substr(0, character.length);
  text.remove_prefix(character.length);
  if (is_control(character.code)) return escape(character.code);
  return character.code == utf8::kReplacement ? "\uFFFD" : std::string(bytes);
}

/// The length of the user info (with its '@') in what follows "://", 0 when there is none. RFC 3986 ends the authority
/// at '/', '?' or '#', but people forget to escape these in passwords: where the "port" is no number, the text before a
/// later '@' is taken for such a password. Rather too much is masked than too little.
std::size_t user_info_length(std::string_view text) {
  const std::string_view authority = text.substr(0, text.find_first_of("/?# \t\r\n"));
  auto at = authority.rfind('@');
  if (at == std::string_view::npos) {
    if (authority == "unix:") return 0;  // a path follows
    const auto colon = authority.rfind(':');
    if (colon == std::string_view::npos || words::is_number(authority.substr(colon + 1))) return 0;
    at = text.rfind('@');
  }
  return at == std::string_view::npos ? 0 : at + 1;
}

/// The least number of slips that make `b` of `a`: a letter too much, missing, wrong, or swapped with its neighbour
/// (optimal string alignment). Three rows of the matrix are in memory.
std::size_t distance(std::string_view a, std::string_view b) {
  using Row = std::vector<std::size_t>;
  Row before(b.size() + 1);
  Row previous(b.size() + 1);
  Row row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  const auto same = [&](std::size_t i, std::size_t j) {
    return ascii::to_lower(a[i - 1]) == ascii::to_lower(b[j - 1]);
  };
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, previous);
    std::swap(previous, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({previous[j - 1] + (same(i, j) ? 0 : 1), previous[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && same(i, j - 1) && same(i - 1, j)) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

/// The length of the URL up to its query or fragment, with the mark, and where that ends; a query may be anything. It
/// reaches over ';', which .NET takes for the end of the URL, as far as no other URL comes (`is_last`), and over
/// blanks: only where the URL is quoted, its end is known.
std::pair<std::size_t, std::size_t> query_of(std::string_view url, bool is_quoted, bool is_last) {
  constexpr std::size_t kNone = std::string_view::npos;
  const std::size_t mark = url.find_first_of("?# \t\r\n'\"");
  if (mark == kNone || (url[mark] != '?' && url[mark] != '#')) return {url.size(), url.size()};
  std::size_t end = is_last ? kNone : url.rfind(';');
  if (is_quoted && end == kNone) end = url.find_last_of("'\"");
  return {mark + 1, std::max(mark + 1, std::min(end, url.size()))};
}

/// True where the URL whose scheme is the end of `text` stands in quotes.
bool ends_in_quoted_scheme(std::string_view text) {
  const std::size_t quote = text.find_last_of("'\"");
  return quote != std::string_view::npos && text.find_first_of(" \t\r\n", quote) == std::string_view::npos;
}

// Each URL reaches up to the next "://", so that every byte is looked at a constant number of times.
std::string mask_parts_of_urls(std::string_view text) {
  constexpr std::string_view kBorder = "://";
  std::string masked;
  auto border = text.find(kBorder);
  std::string_view before = text.substr(0, border);
  while (border != std::string_view::npos) {
    masked += text.substr(0, border + kBorder.size());
    text.remove_prefix(border + kBorder.size());
    border = text.find(kBorder);
    const std::size_t whole = std::min(border, text.size());
    std::string_view url = text.substr(0, whole);
    if (const std::size_t secret = user_info_length(url); secret != 0) {
      masked += "***@";
      url.remove_prefix(secret);
    }
    const auto [query, end] = query_of(url, ends_in_quoted_scheme(before), border == std::string_view::npos);
    masked += url.substr(0, query);
    if (query < end) masked += "***";
    masked += url.substr(end);
    before = text.substr(0, whole);
    text.remove_prefix(whole);
    if (border != std::string_view::npos) border = 0;
  }
  return masked.append(text);
}

/// Where a word of a list stands: a word ends at a blank, a quote or ';'.
struct Place {
  bool is_first_in_quotes = false;
  bool is_behind_url = false;    ///< or behind the first in quotes; only ';' and words are between
  bool is_behind_query = false;  ///< the same
};

/// What is kept of a word without a scheme; the rest is a secret.
struct Kept {
  std::string_view begin;
  std::string_view end = {};
};

/// Of words that look like user info ("user:password@host", and the rest of one that was cut up: "word@+:80"; paths
/// have '/' before their '@'), of queries and fragments ("80?token"; a '#' may be of a path), and of what .NET has cut
/// off from a query since it is behind a ';' ("http://+:80;token=x"), which may be quoted alone.
Kept without_secrets(std::string_view word, const Place& place) {
  if (const std::size_t at = word.rfind('@');
      at != std::string_view::npos && word.contains(':') && !word.substr(0, at).contains('/'))
    return {"", word.substr(at)};
  if (word.contains("://")) return {word};
  if (place.is_behind_query) return {""};
  const std::size_t mark = word.find_first_of("?#");
  if (mark != std::string_view::npos && (word[mark] == '?' || (mark != 0 && !word.substr(0, mark).contains('/'))))
    return {word.substr(0, mark + 1)};
  const bool is_rest = (place.is_behind_url || place.is_first_in_quotes) && !word.starts_with('-');
  return is_rest && word.contains('=') ? Kept{word.substr(0, word.find('=') + 1)} : Kept{word};
}

std::string mask_words(std::string_view text) {
  std::string masked;
  Place place;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(" \t\r\n'\";"));
    const auto [begin, end] = without_secrets(word, place);
    masked += begin;
    if (begin.size() + end.size() < word.size()) masked += "***";
    masked += end;
    text.remove_prefix(word.size());
    if (text.empty()) break;
    const char border = text.front();
    masked += border;
    text.remove_prefix(1);
    const bool goes_on = border == ';';
    place = {.is_first_in_quotes = border == '\'' || border == '"',
             .is_behind_url = goes_on && (place.is_behind_url || place.is_first_in_quotes || word.contains("://")),
             .is_behind_query = goes_on && (place.is_behind_query || begin.ends_with('?') || begin.ends_with('#'))};
  }
  return masked;
}

/// True for a name that a secret is given by: "Password", "AccountKey", "access_token".
bool names_secret(std::string_view name) {
  constexpr std::array<std::string_view, 10> kEnds{"password", "passwd", "pwd",    "pw",        "pass",
                                                   "secret",   "token",  "apikey", "signature", "sig"};
  constexpr std::array<std::string_view, 3> kKeys{"accountkey", "accesskey", "key"};
  std::string word;
  for (const char c : name) {
    if (c != '_' && c != '-' && c != ' ') word += ascii::to_lower(c);
  }
  return std::ranges::find(kKeys, word) != kKeys.end() ||
         std::ranges::any_of(kEnds, [&](std::string_view end) { return word.ends_with(end); }) ||
         word.ends_with("accesskey");
}

/// The text with the values of NAME=VALUE masked where the name is that of a secret, as in connection strings. A value
/// ends at ';' or '&'.
std::string mask_secret_values(std::string_view text) {
  constexpr std::string_view kBorders = ";&?,'\"/:=()[]{}";
  std::string masked;
  std::size_t equals = text.find('=');
  std::size_t begin = 0;
  for (; equals != std::string_view::npos; equals = text.find('=', begin)) {
    const std::string_view before = text.substr(begin, equals - begin);
    const std::size_t border = before.find_last_of(kBorders);
    masked += text.substr(begin, equals + 1 - begin);
    begin = equals + 1;
    if (!names_secret(before.substr(border + 1))) continue;
    std::size_t end = std::min(text.find_first_of(";&", begin), text.size());
    if (end == text.size() && end > begin && text.back() == '\'') --end;  // of a text that quotes it
    if (end > begin) masked += "***";
    begin = end;
  }
  return masked.append(text.substr(begin));
}

}  // namespace

std::span<const Entry> table() {
  return kTable;
}

std::string to_string(Id id) {
  return fmt::format("PS{}", static_cast<unsigned>(id));
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::debug:
      return "debug";
    case Severity::info:
      return "info";
    case Severity::warning:
      return "warning";
    case Severity::error:
      break;
  }
  return "error";
}

std::string mask_secrets(std::string_view text) {
  return mask_words(mask_secret_values(mask_parts_of_urls(text)));
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) result += take_printable(text);
  return result;
}

std::string quote(std::string_view text) {
  const std::string masked = mask_secrets(text);
  std::string_view rest = masked;
  std::string result;
  while (!rest.empty()) {
    const std::string piece = take_printable(rest);
    if (result.size() + piece.size() > kLongestQuote) return result + "...";
    result += piece;
  }
  return result;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::size_t limit = std::max<std::size_t>(1, word.size() / 3);
  std::string_view best;
  for (const std::string_view candidate : candidates) {
    // The distance is at least the difference of the lengths: a long word is not compared with short ones at all.
    const auto [shorter, longer] = std::minmax({word.size(), candidate.size()});
    if (longer - shorter > limit) continue;
    const std::size_t found = distance(word, candidate);
    if (found > limit || (found == limit && !best.empty())) continue;
    best = candidate;
    limit = found;
  }
  return best;
}

}  // namespace portshim::finding
