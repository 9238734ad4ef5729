#!/bin/bash
# check_image.sh IMAGE: it has no build tools, is not root, lives without writing to its root, and says what it is made of.
set -euo pipefail

docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges --entrypoint sh "$1" -euc '
  for tool in gcc cc make uv hatchling git pip; do
    if command -v $tool; then exit 1; fi
  done
  if python -m pip --version 2> /dev/null || touch /x 2> /dev/null; then exit 1; fi
  test "$(id -u)" = 10001
  test -s "/usr/share/sbom/$SERVICE.cdx.json"
  articurated --help > /dev/null'
echo "$1: no build tools, uid 10001, read-only root, bill of materials"
