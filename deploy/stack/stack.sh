#!/usr/bin/env bash
# Runs MariaDB and RocketMQ on this machine, without Docker. See stack.mk.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
. "$HERE/lib.sh"
. "$HERE/mariadb.sh"
. "$HERE/rocketmq.sh"

readonly PARTS=(mariadb namesrv broker)

# Only what is missing is started, so this is also the repair after one part died.
# MariaDB boots while RocketMQ does; the broker needs the name server first.
stack_up() {
  check_ports
  mkdir -p "$STACK_DIR"/{conf,data,jars,log}
  mariadb_install
  rocketmq_install
  warn_if_disk_is_nearly_full

  mariadb_start
  namesrv_start
  wait_until_ready namesrv
  broker_start
  wait_until_ready broker
  wait_until_ready mariadb
  mariadb_create_accounts
  stack_status
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
  rm -rf "${STACK_DIR:?}"/{conf,data,log}
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

# For shells and other make targets; the driver adds its own parameters to the DSNs.
stack_env() {
  cat <<END
export ORDERFLOW_STACK_NAMESRV='$HOST:$NAMESRV_PORT'
export ORDERFLOW_STACK_BROKER='$HOST:$BROKER_PORT'
export ORDERFLOW_STACK_MYSQL='orderflow_test:orderflow_test@tcp($HOST:$MYSQL_PORT)/'
export ORDERFLOW_STACK_MYSQL_ORDER='order_srv:order_srv@tcp($HOST:$MYSQL_PORT)/orderflow_order'
export ORDERFLOW_STACK_MYSQL_INVENTORY='inventory_srv:inventory_srv@tcp($HOST:$MYSQL_PORT)/orderflow_inventory'
END
}

case ${1:-} in
  up | down | reset)
    take_lock
    "stack_$1"
    ;;
  status | env)
    "stack_$1"
    ;;
  *)
    die "usage: stack.sh up|down|reset|status|env"
    ;;
esac
