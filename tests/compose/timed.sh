# shellcheck shell=bash
# `timed WHAT COMMAND…` runs the command and tells how long it took.
timed() {
  local began=$EPOCHREALTIME
  "${@:2}"
  printf '%-40s %6.1f s\n' "$1" "$(echo "$EPOCHREALTIME - $began" | bc)"
}
