# shellcheck shell=bash
# What the scripts share. Sourced after `set -euo pipefail`; changes to the root of the checkout.

SCRIPT=$(realpath "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
ROOT=$PWD
LOGS=$ROOT/build/logs

say() { printf '%s\n' "$*"; }
heading() { printf '\n== %s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# The text of a script's own header: its comment lines from the second one on.
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$SCRIPT"; }

# quietly NAME COMMAND...: the output goes to build/logs/NAME.log, which is shown (its end) and named on failure.
quietly() {
  local log=$LOGS/$1.log
  shift
  mkdir -p "$LOGS"
  if ! "$@" </dev/null >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    die "failed: $* (all of its output is in $log)"
  fi
}

has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if ((EUID == 0)); then "$@"; else sudo -- "$@"; fi
}

# make_stage: sets STAGE to a folder that every user can read (the checkout may be in a home with mode 0700), which is
# removed at the end.
make_stage() {
  STAGE=$(mktemp -d /tmp/portshim.XXXXXX)
  trap 'as_root rm -rf -- "$STAGE"' EXIT
  chmod 755 "$STAGE"
}

# Network namespaces and other users need root, and inside a container more than that.
require_namespace() {
  ((EUID == 0)) || has sudo || die "needs root or sudo, to run as another user in a network namespace"
  as_root unshare --net true 2>/dev/null ||
    die "may not create a network namespace here (inside a container it takes --privileged)"
}

# in_namespace ARG...: calls the script itself again with these arguments, as root, in a network namespace of its own.
in_namespace() { as_root unshare --net "$SCRIPT" "$@"; }

# Inside it: the loopback is up, and ports below 1024 need a capability. That is the default of a new network namespace,
# and what Podman, CRI-O and ECS leave; Docker sets 0.
prepare_namespace() {
  local start=/proc/sys/net/ipv4/ip_unprivileged_port_start
  ip link set lo up
  [[ $(<$start) == 1024 ]] || echo 1024 >$start
}

# Configures and builds a CMake preset; arguments after it are targets.
build_preset() {
  local preset=$1 targets=()
  shift
  (($# == 0)) || targets=(--target "$@")
  quietly "configure-$preset" cmake --preset "$preset"
  quietly "build-$preset" cmake --build --preset "$preset" "${targets[@]}"
}
