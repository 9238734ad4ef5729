#!/bin/sh
# Runs the demo's three stories through the Compose stack that is up, and checks every claim. COMPOSE names another
# command than "docker compose".
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || make setup
exec .venv/bin/python -m demo.compose
