// What portshim says: findings, and the one table of their ids. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portshim::finding {

enum class Severity : std::uint8_t { debug, info, warning, error };

/// Stable numbers: they are printed as PSnnn and people search for them. Never reuse one: 904 was one.
enum class Id : std::uint16_t {
  // PS1xx ports
  low_port = 101,
  new_port_taken = 102,
  low_port_kept = 103,
  not_kept = 104,
  collision = 105,
  merged = 106,
  placeholder = 107,
  immovable = 108,
  capability_not_usable = 109,
  address_in_use = 110,
  code_port = 111,
  code_unknown = 112,
  code_overrides = 113,
  old_port_named = 114,
  // PS2xx addresses and sources
  will_fail = 201,
  repaired = 202,
  ambiguous_name = 203,
  expanded = 204,
  iis_variables = 205,
  no_effect = 206,
  socket_directory = 207,
  socket_file = 208,
  address_unavailable = 209,
  // PS3xx certificates and files
  settings_file = 301,
  certificate = 302,
  content_root = 303,
  settings_not_read = 304,
  code_not_read = 305,
  web_root = 306,
  no_certificate = 320,
  no_home = 321,
  no_private_key = 322,
  settings_directory = 323,
  settings_elsewhere = 324,
  // PS4xx exec
  not_found = 401,
  is_directory = 402,
  not_executable = 403,
  noexec_mount = 404,
  interpreter_missing = 405,
  carriage_return = 406,
  wrong_machine = 407,
  loader_missing = 408,
  dangling_link = 409,
  capability_not_bounding = 410,
  app_missing = 411,
  runtimeconfig_missing = 412,
  no_dotnet = 413,
  environment_too_large = 414,
  library_missing = 415,
  exec_failed = 419,
  deps_json = 420,
  runtimeconfig_invalid = 421,
  roll_forward = 422,
  hostfxr_missing = 423,
  no_app_named = 424,
  assembly_unusable = 425,
  runtime_incomplete = 426,
  extraction = 427,
  startup_hook = 428,
  inotify = 430,
  icu_missing = 431,
  openssl_missing = 432,
  limit_open_files = 433,
  limit_file_size = 434,
  limit_processes = 435,
  profiler_missing = 436,
  diagnostics_lost = 437,
  cut_off = 438,
  child_signal_ignored = 440,
  stop_signals_blocked = 441,
  invalid_value = 442,
  hosting_startup_missing = 447,
  heap_limit = 448,
  local_alone = 449,
  limit_memory = 450,
  // PS5xx supervise and guard
  not_supervised = 501,
  host_failed = 502,
  aborted = 503,
  out_of_memory = 504,
  killed = 505,
  crashed = 506,
  orphans_not_adopted = 507,
  without_parent = 508,
  user_unknown = 520,
  user_not_permitted = 521,
  net_bind_not_kept = 522,
  keep_without_user = 523,
  bind_denied = 530,
  bind_moved = 531,
  bind_moved_aside = 532,
  bind_not_moved = 533,
  bind_not_read = 534,
  bind_limit = 535,
  guard_map = 536,
  nothing_to_guard = 540,
  not_guarded = 541,
  // PS9xx portshim's own settings and state
  invalid_setting = 901,
  wrong_command_line = 902,
  set_user_id = 903,
  own_failure = 905,
  installed = 906,
  not_installed = 907,
  not_written = 908,
  process_not_examined = 909,
};

struct Finding {
  Id id{};
  Severity severity = Severity::warning;
  std::string what;  ///< makes sense alone
  std::string why;
  std::string did;  ///< empty: nothing was done
  std::string next;
  bool operator==(const Finding&) const = default;
};

/// One row of the table of ids: the README's table is tested against it.
struct Entry {
  Id id;
  std::string_view title;  ///< what it means, in a few words
};
[[nodiscard]] std::span<const Entry> table();

/// "PS101"
[[nodiscard]] std::string to_string(Id id);
/// "debug", "info", "warning", "error"
[[nodiscard]] std::string_view to_string(Severity severity);

/// Text made fit for a terminal and a log line: invalid UTF-8 as U+FFFD (one for each maximal subpart, Unicode 15
/// section 3.9, as .NET does), control characters (C0, DEL, C1, U+2028/9, bidi) escaped as \n, \r, \t, \u001b. What
/// comes out is valid UTF-8 without any of these, and comes out unchanged when it goes in again. Linear in the text's
/// length.
[[nodiscard]] std::string printable(std::string_view text);

/// The text with what may be secret masked: the user info of URLs ("http://***@host") and of what would be one with a
/// scheme ("***@host:80"), values by the name of a secret ("Password=***") and of queries ("?a=***") up to the next ';'
/// or '&'.
[[nodiscard]] std::string mask_secrets(std::string_view text);

/// Text from outside made fit for a message: mask_secrets(), printable(), and cut at 256
/// bytes at the border of a character or escape, with "..." after it.
[[nodiscard]] std::string quote(std::string_view text);

/// The candidate nearest to `word` (Levenshtein distance with two swapped neighbours as one slip, ASCII case ignored),
/// or empty when none is near enough (at most a third of the word's length, at least 1). Of several equally near ones
/// the first.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace portshim::finding
