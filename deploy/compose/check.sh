#!/usr/bin/env bash
# Runs deploy/docker-compose.yml as a newcomer and an operator would, and fails if something
# is not as it should be: up, the story, the broker seen from the host, two replicas, one
# of each killed under load, inventory stopped under load, down. It has a project, ports and
# a network of its own, and leaves nothing behind but images and the build cache.
#
# bin/ must have the programs ("make build"): they are the clients on the host.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly PROJECT=orderflow-check
export ORDERFLOW_SUBNET=${ORDERFLOW_SUBNET:-172.28.58}
export ORDERFLOW_ORDER_PORTS=${ORDERFLOW_ORDER_PORTS:-17101-17103}
export ORDERFLOW_INVENTORY_PORTS=${ORDERFLOW_INVENTORY_PORTS:-17201-17203}
export ORDERFLOW_NAMESRV_PORT=${ORDERFLOW_NAMESRV_PORT:-19876}
export ORDERFLOW_BROKER_PORT=${ORDERFLOW_BROKER_PORT:-19911}
export ORDERFLOW_PROMETHEUS_PORT=${ORDERFLOW_PROMETHEUS_PORT:-19090}
readonly NAMESRV=127.0.0.1:$ORDERFLOW_NAMESRV_PORT
readonly MEMORY_LIMIT_MIB=3072

# addresses RANGE: every port of a range on this machine, as the programs take it.
addresses() {
  local ports
  ports=$(seq -f '127.0.0.1:%.0f' "${1%-*}" "${1#*-}")
  echo "${ports//$'\n'/,}"
}

# What the clients below use: ports that no replica has are in it, too.
ORDERCTL_ORDER_SERVICE=$(addresses "$ORDERFLOW_ORDER_PORTS")
ORDERCTL_INVENTORY_SERVICE=$(addresses "$ORDERFLOW_INVENTORY_PORTS")
export ORDERCTL_ORDER_SERVICE ORDERCTL_INVENTORY_SERVICE

SCRATCH=$(mktemp -d)
UP= # something of the project may be there

compose() { docker compose -p "$PROJECT" -f deploy/docker-compose.yml "$@"; }
all_profiles() { compose --profile '*' "$@"; }
step() { printf '\n=== %s (%d s)\n' "$*" "$SECONDS"; }
say() { printf '    %s\n' "$*"; }

fail() {
  printf '\ncompose-check: %s\n' "$*" >&2
  exit 1
}

# quietly COMMAND...: its output is shown only if it fails.
quietly() {
  if ! "$@" >"$SCRATCH/output" 2>&1 </dev/null; then
    tail -n 60 "$SCRATCH/output" >&2
    fail "this did not work: $*"
  fi
}

# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >"$SCRATCH/output" 2>&1 </dev/null; do
    if ((SECONDS > end)); then
      tail -n 20 "$SCRATCH/output" >&2
      fail "this did not come true: $*"
    fi
    sleep 0.5
  done
}

# shellcheck disable=SC2317 # called by the trap
clean_up() {
  local code=$?
  trap '' HUP INT TERM
  set +e
  kill %% 2>/dev/null # a load that still runs
  if [[ $UP ]]; then
    if ((code)); then
      compose ps -a >&2
      compose logs --tail 15 >&2
    fi
    all_profiles down -v --remove-orphans -t 5 >/dev/null 2>&1
  fi
  rm -rf "$SCRATCH"
  exit "$code"
}

# ---- what is checked ----------------------------------------------------------

check_file() {
  step 'the compose file'
  quietly all_profiles config --quiet
  all_profiles config >"$SCRATCH/config"
  if grep -nE 'image: .*:latest|image: [^:]+$' "$SCRATCH/config"; then fail 'an image has no fixed tag'; fi
  local total
  total=$(awk '$1 == "mem_limit:" { gsub(/"/, "", $2); sum += $2 } END { printf "%d", sum / 1048576 }' "$SCRATCH/config")
  ((total > 0 && total <= MEMORY_LIMIT_MIB)) || fail "the memory limits add up to $total MiB, not to $MEMORY_LIMIT_MIB or less"
  say "all services together, those of the profiles, too, may use $total MiB"
}

check_up() {
  step 'up --build --wait'
  compose up -d --build --wait 2>"$SCRATCH/output" >&2 || { tail -n 60 "$SCRATCH/output" >&2; fail 'up failed'; }
  say "the services are healthy"
  step 'the story'
  local code
  code=$(compose wait demo) || true
  compose logs --no-log-prefix demo
  ((${code##* } == 0)) || fail "the demo ended with $code"
}

check_images() {
  step 'the images'
  local name image version commit=
  # In a linked worktree the builder cannot know it; with local changes it says so.
  if [[ -d .git && -z $(git status --porcelain) ]]; then commit=$(git rev-parse --short=12 HEAD); fi
  for name in order-srv inventory-srv orderctl; do
    image=orderflow/$name:local
    [[ $(docker image inspect -f '{{.Config.User}}' "$image") == 65532:65532 ]] || fail "$image does not run as nonroot"
    if docker run --rm --entrypoint /bin/sh "$image" -c true 2>/dev/null; then fail "$image has a shell"; fi
    version=$(docker run --rm --read-only --network none "$image" version)
    [[ $version == *"$commit"* ]] || fail "$image says it is $version, not $commit"
    say "$image: $version, $(size_of "$image") MiB"
    # The same commit and Go on the host give the same bytes.
    if [[ $commit && $(bin/"$name" version) == "$version" ]]; then
      same_bytes "$image" "$name"
    else
      say "$name: not compared with bin/$name, which is $(bin/"$name" version)"
    fi
  done
}

# same_bytes IMAGE PROGRAM
same_bytes() {
  local container
  container=$(docker create "$1")
  docker cp "$container:/$2" "$SCRATCH/$2" >/dev/null
  docker rm "$container" >/dev/null
  cmp "$SCRATCH/$2" "bin/$2" || fail "$1 has other bytes than bin/$2"
  say "$2 has the same bytes as that of make build"
}

size_of() { docker image inspect -f '{{.Size}}' "$1" | awk '{ printf "%d", $1 / 1048576 }'; }

# Prometheus finds all replicas, and the broker's own metrics.
check_metrics() {
  step 'the metrics'
  quietly all_profiles up -d --no-recreate prometheus
  local expected
  for expected in order-srv:2 inventory-srv:2 notify:1 rocketmq:1; do
    until_true 60 has_targets "${expected%:*}" "${expected#*:}"
    say "${expected%:*}: ${expected#*:} up"
  done
  quietly all_profiles rm -sf prometheus
}

# shellcheck disable=SC2317 # called by until_true
has_targets() {
  all_profiles exec -T prometheus promtool query instant http://localhost:9090 "sum(up{job=\"$1\"} == 1)" | tee /dev/stderr |
    grep -q "=> $2 "
}

# The same programs on the host, with databases of their own, on the broker in its
# container: they send, consume and are asked back at the address that it tells them.
check_broker_from_the_host() {
  step 'the broker from the host'
  quietly bin/orderctl mq init --name-servers "$NAMESRV"
  say "$(grep -c 'already there' "$SCRATCH/output") topics and groups are there"
  quietly bin/orderctl demo real --bin bin --name-servers "$NAMESRV" --topic-prefix host- --logs "$SCRATCH" \
    --order-database-url "sqlite:$SCRATCH/order.db" --inventory-database-url "sqlite:$SCRATCH/inventory.db"
  say 'the story was told by programs on the host, too'
}

check_order_from_the_host() {
  step 'an order from the host'
  bin/orderctl stock add "host-apple-$$" 10 >/dev/null
  bin/orderctl order create --customer host --currency EUR --line "host-apple-$$:2:150" --wait --window 3s
}

check_replicas() {
  step 'two replicas of each service'
  quietly compose up -d --wait --no-recreate --scale order-srv=2 --scale inventory-srv=2 order-srv inventory-srv
  local service index
  for service in order-srv:7001 inventory-srv:7002; do
    for index in 1 2; do
      quietly bin/orderctl health "$(compose port --index "$index" "${service%:*}" "${service#*:}")"
      say "${service%:*} $index is ready at $(compose port --index "$index" "${service%:*}" "${service#*:}")"
    done
  done
}

# load ARGUMENT...: orders that come in while something happens, in the background.
load() {
  bin/orderctl load --rate 10 --customers 50 --every 3s --settle 4m "$@" >"$SCRATCH/load" 2>&1 &
}

# shellcheck disable=SC2317 # called by until_true
under_way() { grep -q 'accepted [1-9]' "$SCRATCH/load"; }

# load_ends: all its orders have ended, as they should.
load_ends() {
  if ! wait %%; then
    cat "$SCRATCH/load" >&2
    fail 'not every order has ended as it should'
  fi
  sed 's/^/    /' "$SCRATCH/load"
}

audit() {
  quietly bin/orderctl audit --overdue-after 30s
  tail -n 12 "$SCRATCH/output" | sed 's/^/    /'
}

# Orders whose handling has begun in a replica are finished by the other one.
check_kill() {
  step 'one replica of each service killed, with orders under way'
  load --duration 15s --payment-window 20s
  until_true 60 under_way
  quietly docker kill "$PROJECT-order-srv-2" "$PROJECT-inventory-srv-2"
  say 'killed'
  load_ends
  audit
  quietly compose up -d --wait --no-recreate --scale order-srv=1 --scale inventory-srv=1 order-srv inventory-srv
}

check_decoupling() {
  step 'inventory-srv stopped while orders come in'
  load --duration 15s --payment-window 20s
  until_true 60 under_way
  quietly compose stop inventory-srv
  local id
  id=$(bin/orderctl order create --customer host --currency EUR --line "host-apple-$$:1:150" --window 1m -o json |
    sed -nE 's/.*"orderId": *"([^"]+)".*/\1/p' | head -n 1)
  bin/orderctl order get "$id" -o json | grep -q ORDER_STATUS_PLACED || fail 'the order is not PLACED'
  say "order $id is PLACED; inventory-srv does not run"
  sleep 5
  quietly compose up -d --wait --no-deps --no-recreate inventory-srv
  until_true 60 order_is "$id" ORDER_STATUS_RESERVED
  say 'inventory-srv runs again; the order is RESERVED'
  load_ends
  until_true 90 order_is "$id" ORDER_STATUS_CLOSED
  audit
}

# shellcheck disable=SC2317 # called by until_true
order_is() { bin/orderctl order get "$1" -o json | grep -q "$2"; }

check_down() {
  step 'down -v'
  quietly all_profiles down -v
  UP=
  local label="label=com.docker.compose.project=$PROJECT" left
  left=$(docker ps -aq --filter "$label"; docker volume ls -q --filter "$label"; docker network ls -q --filter "$label")
  [[ -z $left ]] || fail "this is left behind: $left"
  say 'no container, volume or network is left'
}

main() {
  if ! docker info >/dev/null 2>&1 || ! docker compose version >/dev/null 2>&1; then
    echo 'compose-check: not run: there is no Docker engine with the compose plugin ("docker info", "docker compose version")'
    exit 0
  fi
  trap clean_up EXIT
  trap 'exit 130' HUP INT TERM
  check_file
  UP=1
  quietly all_profiles down -v --remove-orphans -t 5 # what a run that was killed left behind
  check_up
  check_images
  check_broker_from_the_host
  check_order_from_the_host
  check_replicas
  check_metrics
  check_kill
  check_decoupling
  check_down
  printf '\ncompose-check: all is as it should be (%d s)\n' "$SECONDS"
}

main "$@"
exit
