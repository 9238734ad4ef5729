# shellcheck shell=bash
# What the scripts of this folder share: steps that are timed, and that tell of themselves when they fail.

# `timed WHAT COMMAND…` runs the command and tells how long it took.
#
# Not in a condition (`timed … || …`, `if timed …`): bash would go on after what fails inside.
timed() {
  local began=$EPOCHREALTIME
  step=$1
  "${@:2}"
  step=
  printf '%-40s %6.1f s\n' "$1" "$(echo "$EPOCHREALTIME - $began" | bc)"
}

# `logged NAME COMMAND…` runs the command with its output in $work/NAME.log, which is shown when it fails.
logged() {
  local log=$work/$1.log status=0
  "${@:2}" > "$log" 2>&1 || status=$?
  if [ $status != 0 ]; then
    echo "failed with $status: ${*:2}"
    cat "$log"
  fi
  return $status
}

# For a trap on EXIT, before anything is cleaned up: says which step failed, and keeps the logs. Returns the status.
told() {
  local status=$1
  if [ "$status" != 0 ]; then
    echo "FAILED with $status${step:+: $step}" >&2
    kept=$(mktemp -d -t articurated-compose-logs.XXXXXX)
    find "$work" -maxdepth 1 -name '*.log' -exec cp {} "$kept/" \;
    echo "logs: $kept" >&2
  fi
}
