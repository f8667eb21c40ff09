#!/usr/bin/env bash
# Makes each alert fire for real and mends it as docs/runbook.md says: "make alerts-drill".
#
# The programs run on the embedded broker and SQLite, with a Prometheus of their own; all
# of it in one folder (DRILL_DIR), on ports of its own, and it ends with the script. Only
# time is shortened: a minute of the rules is 10 seconds, each range 30, each "for" 3.
# It needs prometheus and sqlite3 (Debian has both), curl, and bin/ from "make build".
#
# With DRILL_PICTURE=FILE.png it ends with a picture of the overview dashboard: "make overview".
set -euo pipefail
ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../../.." && pwd -P)
readonly ROOT BIN=$ROOT/bin HOST=127.0.0.1
readonly BROKER=$HOST:34876 PROMETHEUS=$HOST:34090
DRILL_DIR=${DRILL_DIR:-$(mktemp -d)}
mkdir -p "$DRILL_DIR"
cd "$DRILL_DIR"
export ORDERCTL_ORDER_SERVICE=$HOST:34001 ORDERCTL_INVENTORY_SERVICE=$HOST:34002 ORDERCTL_NOTIFY_SERVICE=$HOST:34003

declare -A pids=()
declare -A begun=()
failed=()
loads=0
moment= # whose numbers the picture has

say() { printf '%s  %s\n' "$(date +%T)" "$*" | tee -a drill.log >&2; }

# spawn NAME COMMAND...: starts a part, whose log is NAME.log.
spawn() {
  local name=$1
  shift
  "$@" >>"$name.log" 2>&1 &
  pids[$name]=$!
}

# halt NAME [SIGNAL]: ends a part.
halt() {
  local pid=${pids[$1]:-}
  [[ -n $pid ]] || return 0
  kill "-${2:-TERM}" "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  unset "pids[$1]"
}

finish() {
  local name
  [[ -z ${reader:-} ]] || kill -CONT "$reader" 2>/dev/null || true
  for name in "${!pids[@]}"; do halt "$name"; done
}
trap finish EXIT

# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || { say "never: $*"; return 1; }
    sleep 0.5
  done
}

ctl() { "$BIN/orderctl" "$@"; }
ready() { curl -fs -o /dev/null "http://$HOST:$1/readyz"; }

broker() {
  spawn broker "$BIN/orderctl" broker --listen=$BROKER --data=broker --transaction-timeout=2s --check-interval=2s --max-checks=6 \
    --delay-levels='20s 10m 1s 3s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s'
}

# order_srv [FLAG...]: its log goes through a pipe, whose reader can be stopped.
order_srv() {
  [[ -p order-srv.pipe ]] || mkfifo order-srv.pipe
  cat order-srv.pipe >>order-srv.lines &
  reader=$!
  "$BIN/order-srv" serve --listen=$HOST:34001 --admin-listen=$HOST:34011 --name-servers=$BROKER \
    --database-url=sqlite:order.db --payment-window=20s --sweep-interval=1s --sweep-grace=5s --log-level=debug "$@" >order-srv.pipe 2>&1 &
  pids[order-srv]=$!
}

inventory_srv() {
  spawn inventory-srv "$BIN/inventory-srv" serve --listen=$HOST:34002 --admin-listen=$HOST:34012 --name-servers=$BROKER \
    --database-url=sqlite:inventory.db --order-service=$HOST:34001 --sweep-interval=1s --sweep-grace=5s
}

notify() {
  spawn notify "$BIN/orderctl" notify --listen=$HOST:34003 --admin-listen=$HOST:34013 --name-servers=$BROKER \
    --database-url=sqlite:notify.db "$@"
}

prometheus_srv() {
  sed -E -e 's/for: [0-9]+[mh]/for: 3s/' -e 's/\[(5|10)m\]/[30s]/g' -e 's/\* 60\b/* 10/' -e 's/24 \* 3600/20/' \
    "$ROOT/deploy/observability/alerts.yml" >alerts.yml
  cat >prometheus.yml <<END
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs:
  - {job_name: order-srv, static_configs: [{targets: ["$HOST:34011"]}]}
  - {job_name: inventory-srv, static_configs: [{targets: ["$HOST:34012"]}]}
  - {job_name: notify, static_configs: [{targets: ["$HOST:34013"]}]}
END
  spawn prometheus "${PROMETHEUS_PROGRAM:-prometheus}" --config.file=prometheus.yml --storage.tsdb.path=prometheus \
    --web.listen-address=$PROMETHEUS
}

# firing ALERT
firing() {
  ! curl -fsG "http://$PROMETHEUS/api/v1/query" --data-urlencode "query=ALERTS{alertname=\"$1\",alertstate=\"firing\"}" |
    grep -q '"result":\[\]'
}
quiet() { ! firing "$1"; }
quiet_at_all() { curl -fsG "http://$PROMETHEUS/api/v1/query" --data-urlencode 'query=ALERTS' | grep -q '"result":\[\]'; }

# fires CAUSED ALERT...: waits until each has fired since SECONDS was CAUSED.
fires() {
  local caused=$1 alert
  shift
  for alert; do
    until_true 240 firing "$alert" || { failed+=("$alert does not fire"); continue; }
    begun[$alert]=$((SECONDS - caused))
    say "$alert fires after ${begun[$alert]} s: $(summary "$alert")"
  done
}

summary() {
  curl -fs "http://$PROMETHEUS/api/v1/alerts" | grep -o '"labels":{"alertname":"'"$1"'".*' | grep -o '"summary":"[^"]*"' | head -n 1 | cut -d'"' -f4
}

# resolves MENDED CAUSE HOW ALERT...: waits until none fires, and writes the rows of the table.
resolves() {
  local mended=$1 cause=$2 how=$3 alert
  shift 3
  for alert; do
    [[ -n ${begun[$alert]:-} ]] || continue
    until_true 240 quiet "$alert" || { failed+=("$alert does not end"); continue; }
    printf '| %s | %s | %s s | %s | %s s |\n' "$alert" "$cause" "${begun[$alert]}" "$how" $((SECONDS - mended)) >>table.md
    say "$alert is over after $((SECONDS - mended)) s"
  done
}

# order WINDOW: places one, and prints its id.
order() {
  ctl order create --customer ann --currency EUR --line apple:1:150 --window "$1" -o json 2>/dev/null | grep -o '"orderId": *"[^"]*"' | head -n 1 | cut -d'"' -f4
}

# load SECONDS FLAG...: orders come in, while the script goes on; "loaded" waits for it.
load() {
  local duration=$1
  shift
  spawn "load$((loads++))" "$BIN/orderctl" load --duration="${duration}s" --settle=0s "$@"
}

# loaded: waits for what load has started.
loaded() {
  local name
  for name in "${!pids[@]}"; do
    [[ $name == load* ]] || continue
    wait "${pids[$name]}" || true
    unset "pids[$name]"
  done
}

parked() { ctl parked list --service "$1" --limit=500 -o json 2>/dev/null | grep -o '"id": *"[^"]*"' | cut -d'"' -f4 || true; }

# picture SCENE...: draws what Prometheus has seen since the script began.
picture() {
  local at=()
  [[ -z $moment ]] || at=(--at "$moment")
  "$BIN/dashboards" draw --prometheus="http://$PROMETHEUS" --begin="$begin" "${at[@]}" --rate-interval=30s \
    --note="Scenes of the drill of alerts, whose minute is 10 seconds: $*." "$DRILL_PICTURE"
  say "drawn: $DRILL_PICTURE"
}

now() { date -u +%FT%TZ; }

. "$ROOT/deploy/observability/drill/scenes.sh"

start_all() {
  broker
  until_true 60 ctl mq init --name-servers=$BROKER >/dev/null 2>&1
  "$BIN/order-srv" migrate --database-url=sqlite:order.db >/dev/null
  "$BIN/inventory-srv" migrate --database-url=sqlite:inventory.db >/dev/null
  order_srv
  inventory_srv
  notify
  prometheus_srv
  until_true 60 ready 34011
  until_true 60 ready 34012
  until_true 60 ready 34013
  ctl stock add apple 100000 >/dev/null
}

for program in "${PROMETHEUS_PROGRAM:-prometheus}" sqlite3 curl; do
  command -v "$program" >/dev/null || { say "$program is missing"; exit 1; }
done
say "in $DRILL_DIR"
(($#)) || set -- healthy small order_srv_dies broker_stops consumers_suspended database_locked log_stuck
start_all
begin=$(now)
for scene; do
  until_true 180 quiet_at_all # so that what fires is of this scene
  say "scene: $scene"
  "scene_$scene"
done
say 'done:'
cat table.md
[[ -z ${DRILL_PICTURE:-} ]] || picture "$@"
((${#failed[@]} == 0)) || printf 'failed: %s\n' "${failed[@]}" >&2
[[ -z ${DRILL_KEEP:-} ]] || { say "Prometheus is at http://$PROMETHEUS; Ctrl-C ends it"; wait "${pids[prometheus]}"; }
((${#failed[@]} == 0))
