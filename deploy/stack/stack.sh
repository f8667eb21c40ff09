#!/usr/bin/env bash
# Runs MariaDB and RocketMQ on this machine, without Docker. The Makefile's
# stack-* targets call it. Ports come from STACK_NAMESRV_PORT, STACK_BROKER_PORT and
# STACK_MYSQL_PORT; everything it writes is in STACK_DIR, but for the database if
# STACK_MYSQL_DATA names another folder for it: on a file system in memory, say, for
# tests, which end processes and never the machine. STACK_JAVA_FLAGS are flags for the
# JVMs of name server and broker.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
. "$HERE/lib.sh"
. "$HERE/mariadb.sh"
. "$HERE/rocketmq.sh"

readonly PARTS=(mariadb namesrv broker)

# Before anything is downloaded or started.
check_ports_are_free() {
  local port
  part_pid mariadb >/dev/null || require_free_port "$MYSQL_PORT" STACK_MYSQL_PORT mariadb
  part_pid namesrv >/dev/null || require_free_port "$NAMESRV_PORT" STACK_NAMESRV_PORT namesrv
  if part_pid broker >/dev/null; then return; fi
  for port in "$BROKER_PORT" $((BROKER_PORT - 2)) $((BROKER_PORT + 1)); do
    require_free_port "$port" STACK_BROKER_PORT broker
  done
}

# Only what is missing is started, so this is also the repair after one part died.
# MariaDB boots while RocketMQ does; the broker needs the name server first.
stack_up() {
  prepare
  mariadb_install
  rocketmq_install
  mariadb_start
  rocketmq_start
  wait_until_ready mariadb
  mariadb_create_accounts
  stack_status
}

# For who has a database elsewhere.
stack_up_rocketmq() {
  prepare
  rocketmq_install
  rocketmq_start
}

prepare() {
  check_ports
  check_ports_are_free
  mkdir -p "$STACK_DIR"/{conf,data,jars,log}
  warn_if_disk_is_nearly_full
}

rocketmq_start() {
  namesrv_start
  wait_until_ready namesrv
  broker_start
  wait_until_ready broker
}

# The broker first: it says goodbye to the name server and flushes its files.
stack_down() {
  local part
  for part in broker namesrv mariadb; do
    stop_part "$part"
  done
}

stack_reset() {
  stack_down
  rm -rf "${STACK_DIR:?}"/{conf,data,log} "${MARIADB_DATA:?}"
  say "data deleted; the next stack-up starts empty"
}

stack_status() {
  local part pid state
  for part in "${PARTS[@]}"; do
    if ! pid=$(part_pid "$part"); then
      printf '%-8s  down\n' "$part"
      continue
    fi
    state='up'
    "${part}_ready" || state='up, but not ready'
    printf '%-8s  %s  pid %s  %s\n' "$part" "$state" "$pid" "$(part_address "$part")"
  done
}

# stack_run COMMAND...  runs a command on the stack, and stops what it had to
# start for that: who had the stack running keeps it, who had not is left alone.
# However it ends: the command fails, a part does not start, a signal, a terminal
# or a pipe that goes away.
stack_run() {
  local part code=0
  (($# > 0)) || die "usage: stack.sh run COMMAND..."
  for part in broker namesrv mariadb; do
    part_pid "$part" >/dev/null || STARTED_HERE+=("$part")
  done
  trap stop_what_was_started EXIT
  # Without a command a signal ends this shell, and so starts the clean-up.
  trap 'exit 130' HUP INT TERM PIPE
  take_lock
  stack_up >&2
  exec 9>&- # others may use the stack meanwhile
  eval "$(stack_env)"
  # The command gets a terminal's signals too, and ends by itself: wait for it.
  trap : HUP INT TERM PIPE
  "$@" || code=$?
  exit "$code"
}

STARTED_HERE=() # the parts that did not run before stack_run

# shellcheck disable=SC2317 # called by the trap
stop_what_was_started() {
  local code=$? part
  trap '' HUP INT TERM PIPE # one more Ctrl-C must not leave half of it running
  set +e                    # nor a terminal or a pipe that nobody reads any more
  if ((${#STARTED_HERE[@]})); then
    say "stopping what was started; that takes about 15 s"
    take_lock
  fi
  for part in "${STARTED_HERE[@]}"; do
    stop_part "$part"
  done
  exit "$code"
}

# For shells and other make targets: what the programs and the tests read.
stack_env() {
  local mysql="$HOST:$MYSQL_PORT" namesrv="$HOST:$NAMESRV_PORT"
  local order="mysql://order_srv:order_srv@tcp($mysql)/orderflow_order"
  local inventory="mysql://inventory_srv:inventory_srv@tcp($mysql)/orderflow_inventory"
  cat <<END
export ORDER_NAME_SERVERS='$namesrv' INVENTORY_NAME_SERVERS='$namesrv' ORDERCTL_NAME_SERVERS='$namesrv'
export ORDER_DATABASE_URL='$order' ORDERCTL_ORDER_DATABASE_URL='$order'
export INVENTORY_DATABASE_URL='$inventory' ORDERCTL_INVENTORY_DATABASE_URL='$inventory'
export ORDERFLOW_TEST_NAMESRV='$namesrv'
export ORDERFLOW_TEST_MYSQL='mysql://orderflow_test:orderflow_test@tcp($mysql)/'
END
}

# A function, so that bash has read all of this file before it runs: a change of
# the file must not change a run that is under way.
main() {
  case ${1:-} in
    up) take_lock && stack_up ;;
    up-rocketmq) take_lock && stack_up_rocketmq ;;
    down) take_lock && stack_down ;;
    reset) take_lock && stack_reset ;;
    status) stack_status ;;
    env) stack_env ;;
    run) stack_run "${@:2}" ;;
    *)
      die "usage: stack.sh up|up-rocketmq|down|reset|status|env|run COMMAND..."
      ;;
  esac
}

main "$@"
exit
