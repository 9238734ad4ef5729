#!/bin/bash
# check_image.sh IMAGE: it has no build tools, is not root, lives without writing to its root, and says what it is made of.
set -euo pipefail

if ! docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges --entrypoint sh "$1" -euc '
  refuse() { echo "$1"; exit 1; }
  for tool in gcc cc make uv hatchling git pip; do
    if command -v $tool; then refuse "a build tool is in it"; fi
  done
  if python -m pip --version 2> /dev/null; then refuse "pip is in it"; fi
  if touch /x 2> /dev/null; then refuse "its root can be written to"; fi
  test "$(id -u)" = 10001 || refuse "it runs as $(id -u)"
  test -s "/usr/share/sbom/$SERVICE.cdx.json" || refuse "it has no bill of materials"
  articurated --help > /dev/null || refuse "its command does not start"'
then
  echo "$1 is not as it has to be" >&2
  exit 1
fi
echo "$1: no build tools, uid 10001, read-only root, bill of materials"
