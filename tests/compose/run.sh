#!/bin/bash
# Tests the running Compose stack: start, the demo's stories, stop and start with the same data, and a kill of every main
# process from the host. tests/compose/with_engine.sh provides an engine that cannot pull images:
#
#   tests/compose/with_engine.sh tests/compose/run.sh    with Compose v2, built from its Go module if it is missing
#   COMPOSE=docker-compose tests/compose/run.sh          with docker-compose 1.29
#
# Needs root for the kills, and `make setup`. HEALTH_SECONDS is how long containers may take to be healthy (default 180).
# CA_FILE is a certificate to trust while building. With KEEP=1 the stack is left
# running.
set -euo pipefail

cd "$(dirname "$0")/../.."
here=tests/compose
cache=${CACHE:-$HOME/.cache/articurated-compose}
export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-articurated-test} DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1
ours=label=com.docker.compose.project=$COMPOSE_PROJECT_NAME
services=$(basename --multiple services/*/)
work=$(mktemp -d)
mkdir -p "$cache"
# shellcheck source=tests/compose/timed.sh
. $here/timed.sh

main() {
  trap stop EXIT
  timed "Compose" find_compose
  for name in $services; do timed "image of $name" build "$name" "services/$name"; done
  for name in sandbox origin; do timed "image of $name" build "$name" "deploy/$name"; done
  timed "sizes of the images" show_images
  for name in $services sandbox origin; do
    timed "check of the image of $name" $here/check_image.sh "articurated/$name:dev"
  done
  timed "the same image once more" check_sameness

  timed "Compose's own build, cached" compose_build # 1.29 has no build secrets and cannot pass CA_FILE
  timed "up, all healthy" up
  timed "smoke test" deploy/smoke.sh
  timed "metrics of rules and dashboard" .venv/bin/python $here/check_metrics.py
  timed "an alert is e-mailed" alert_is_mailed
  before=$(orders)
  timed "down" down
  timed "up again" up
  after=$(orders)
  if [ "$after" != "$before" ]; then echo "$before orders before, $after after down and up again"; return 1; fi
  echo "kept: $before orders"
  for container in $(docker ps --quiet --filter "$ours"); do kill_main_process "$container"; done
  timed "smoke test after the kills" deploy/smoke.sh
  timed "and everything stays healthy" stay_healthy
  timed "down, by SIGTERM alone" down
  stopped_in_time
}

find_compose() {
  local command=${COMPOSE:-docker compose}
  if [ -z "${COMPOSE:-}" ] && ! docker compose version > /dev/null 2>&1; then
    command=$cache/docker-compose
    [ -x "$command" ] || build_compose
  fi
  # The engine has substitutes for only some of the official images.
  if docker image inspect articurated-test/debian:bookworm > /dev/null 2>&1; then
    command="$command -f docker-compose.yml -f $here/without-registry.yml"
  fi
  export COMPOSE=$command
  logged version $COMPOSE version
  head -1 "$work/version.log"
  logged config $COMPOSE config
  COMPOSE_FOUND=yes
}

build_compose() {
  mkdir "$work/compose"
  printf 'module compose\n\nrequire github.com/docker/compose/v2 v2.40.3\n' > "$work/compose/go.mod"
  printf 'package compose\n\nimport _ "github.com/docker/compose/v2/cmd"\n' > "$work/compose/compose.go"
  if ! command -v go > /dev/null; then
    echo "Compose v2 is missing and there is no Go to build it with; COMPOSE=docker-compose takes 1.29"
    return 1
  fi
  logged compose go_build "$cache/docker-compose.partial"
  mv "$cache/docker-compose.partial" "$cache/docker-compose"
}

go_build() (
  cd "$work/compose" && go mod tidy -e && go build -o "$1" github.com/docker/compose/v2/cmd
)

stop() {
  local status=$?
  told $status
  if [ -z "${KEEP:-}" ]; then
    if [ -n "${COMPOSE_FOUND:-}" ]; then $COMPOSE down --volumes > "$work/last-down.log" 2>&1 || cat "$work/last-down.log"; fi
    rm -rf "$work"
  fi
  exit "$status"
}

# build NAME SOURCE [TAG [OPTION…]]
build() {
  logged "image-$1" docker build --quiet --file deploy/Dockerfile --build-arg "SERVICE=$1" --build-arg "SOURCE=$2" "${@:4}" \
    ${CA_FILE:+--secret "id=ca,src=$CA_FILE"} --tag "articurated/$1:${3:-dev}" .
}

show_images() {
  local base size
  base=$(docker image inspect --format '{{.Size}}' "$(sed -n 's/^ARG PYTHON_IMAGE=//p' deploy/Dockerfile)")
  for name in $services sandbox origin; do
    size=$(docker image inspect --format '{{.Size}}' "articurated/$name:dev")
    printf '%-40s %4d MB, of which ours %d MB\n' "articurated/$name" $((size / 1000000)) $(((size - base) / 1000000))
  done
}

# The same source has the same labels and the same bill of materials, whenever it is built.
check_sameness() {
  build orders services/orders again --no-cache
  local first second
  first=$(described orders:dev)
  second=$(described orders:again)
  if [ "$first" != "$second" ]; then
    echo "the same source built twice is described differently:"
    diff <(echo "$first") <(echo "$second")
    return 1
  fi
}

described() {
  docker image inspect --format '{{json .Config.Labels}}' "articurated/$1"
  docker run --rm --entrypoint cat "articurated/$1" /usr/share/sbom/orders.cdx.json
}

compose_build() {
  logged build $COMPOSE build
}

up() {
  logged up $COMPOSE up -d
  await_health
}

# The containers stay to be looked at after `stop`; `down` removes them.
down() {
  logged stop $COMPOSE stop
  docker ps --all --filter "$ours" --format '{{.Names}} {{.Status}}' > "$work/stopped"
  logged down $COMPOSE down
}

# 137 would be a container that its stop_grace_period ran out for.
stopped_in_time() {
  if grep -F 'Exited (137)' "$work/stopped"; then
    echo "these were killed, as they did not stop within their stop_grace_period"
    return 1
  fi
  echo "stopped within their stop_grace_period: $(wc -l < "$work/stopped") containers"
}

# Until every container that is not a finished one-shot says that it is healthy.
await_health() {
  local deadline=$((SECONDS + ${HEALTH_SECONDS:-180})) waiting
  while waiting=$(unhealthy) && [ -n "$waiting" ]; do
    if [ $SECONDS -gt $deadline ]; then
      echo "not healthy: $waiting"
      for name in $(cut -d ' ' -f 1 <<< "$waiting"); do echo "--- $name"; docker logs --tail 20 "$name" 2>&1; done
      return 1
    fi
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

# Prometheus notices a role that is gone, and Alertmanager tells the operators, whose mailbox is asked.
alert_is_mailed() {
  local url="http://127.0.0.1:${MAILBOX_PORT:-8025}/api/v1/search?query=subject:Role"
  logged stop-a-role $COMPOSE stop invoicing-worker
  for _ in $(seq 100); do
    if curl --silent --show-error "$url" | grep --quiet 'RoleMissing\|RoleDown'; then
      logged start-the-role $COMPOSE start invoicing-worker
      await_health
      return
    fi
    sleep 3
  done
  echo "no e-mail about a role that is stopped"
  return 1
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
  local deadline=$((SECONDS + 60))
  until [ "$(docker inspect --format '{{.RestartCount}}' "$1")" -gt "$restarts" ]; do
    if [ $SECONDS -gt $deadline ]; then echo "killed, and not restarted within 60 s: ${name#/}"; return 1; fi
    sleep 0.1
  done
  await_health
  printf 'killed %-33s healthy after %5.1f s\n' "${name#/}" "$(echo "$EPOCHREALTIME - $began" | bc)"
}

main
