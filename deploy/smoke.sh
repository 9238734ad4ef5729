#!/bin/sh
# Smoke test: runs the demo's three orders through the running Compose stack and checks every result. COMPOSE replaces the
# command "docker compose".
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || make setup
exec .venv/bin/python -m demo.compose
