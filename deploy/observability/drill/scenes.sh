# What goes wrong, which alerts fire, and how each is mended. Sourced by drill.sh.
# shellcheck shell=bash

scene_healthy() {
  load 40 --rate=10 --payment-window=3s
  loaded
  until_true 60 quiet_at_all
  say 'orders run, and nothing fires'
}

# Small things, side by side.
scene_small() {
  local caused=$SECONDS mended id payment late
  echo "whsec_$(head -c 32 /dev/urandom | base64)" >secret
  halt notify
  notify --webhook-url="http://$HOST:34011/nobody" --webhook-secret-file=secret # answers 404
  late=$(order 3s)
  until_true 60 is_closed "$late"
  payment=$(ctl order pay "$late" --payment-id=pay-late >/dev/null && echo pay-late)
  strange_member "$HOST" 34876 &
  pids[stranger]=$!
  sqlite3 -cmd '.timeout 5000' inventory.db 'UPDATE stocks SET reserved = reserved + 3, available = available - 3 WHERE sku = "apple"'
  fires "$caused" ParkedMessages RefundsDue StockDrift SubscriptionConflict

  mended=$SECONDS
  halt notify
  notify
  until_true 60 ready 34013
  for id in $(parked notify); do ctl parked replay "$id" --service notify >/dev/null; done
  resolves "$mended" "the webhook of notify answers 404" "\`orderctl notify\` with the right URL; \`orderctl parked replay ID --service notify\`" ParkedMessages
  mended=$SECONDS
  ctl refund resolve "$payment" --refund-id=refund-1 >/dev/null
  resolves "$mended" "an order is paid after its window" "\`orderctl refund resolve pay-late --refund-id refund-1\`" RefundsDue
  mended=$SECONDS
  halt stranger
  resolves "$mended" "a client joins \`inventory-srv-order-events\` and wants \`stock-events\`" "it is stopped" SubscriptionConflict
  mended=$SECONDS
  ctl audit --grace=1s >audit.log 2>&1 && say 'the audit has not seen the drift' && return 1
  sqlite3 -cmd '.timeout 5000' inventory.db 'UPDATE stocks SET reserved = reserved - 3, available = available + 3 WHERE sku = "apple"'
  resolves "$mended" "**not for real**: a row of \`stocks\` was edited, as it must be impossible otherwise" "\`orderctl audit\` names SKU and difference; the edit was undone" StockDrift
}

is_closed() { ctl order get "$1" 2>/dev/null | grep -q CLOSED; }

# strange_member HOST PORT: tells the broker every second, by heartbeat, that it is
# a member of inventory's group, and consumes something else. Our programs keep out of a
# group that consumes something else; others may not.
strange_member() {
  local header body
  body='{"clientID":"stranger@1","consumerDataSet":[{"groupName":"inventory-srv-order-events","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{"topic":"stock-events","subString":"*","tagsSet":[],"codeSet":[],"subVersion":'$(date +%s)000',"expressionType":"TAG"}],"unitMode":false}],"producerDataSet":[]}'
  header='{"code":34,"language":"GO","version":317,"opaque":1,"flag":0}'
  exec 7<>"/dev/tcp/$1/$2"
  while sleep 1; do
    { be32 $((4 + ${#header} + ${#body})); be32 ${#header}; printf '%s%s' "$header" "$body"; } >&7
  done
}

# be32 NUMBER: as four bytes.
be32() { printf "\\x$(printf %02x $(($1 >> 24 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 & 255)))"; }

scene_order_srv_dies() {
  local caused mended
  load 5 --rate=10 --paid=0 --payment-window=20s
  loaded
  caused=$SECONDS
  halt order-srv KILL
  fires "$caused" ServiceDown ReplicaDown SweeperFailing StockHeldOverdue
  mended=$SECONDS
  order_srv
  resolves "$mended" "order-srv is killed (\`kill -9\`)" "it is started again" ServiceDown ReplicaDown SweeperFailing StockHeldOverdue
}

scene_broker_stops() {
  local caused mended
  load 5 --rate=10 --paid=0 --payment-window=20s
  loaded
  caused=$SECONDS
  halt broker
  load 80 --rate=5 --paid=0
  fires "$caused" RPCErrors MetricsStale OrdersOverdue
  mended=$SECONDS
  broker
  resolves "$mended" "the broker is stopped" "it is started again" RPCErrors MetricsStale OrdersOverdue
  loaded
}

scene_consumers_suspended() {
  local caused=$SECONDS mended
  ctl consumers suspend --for 10m >/dev/null
  load 45 --rate=30 --paid=0 --payment-window=10m
  load 45 --rate=2 --paid=0 --payment-window=3s
  fires "$caused" ConsumerStuck ConsumerLagGrowing OrdersUnconfirmed
  loaded
  moment=$(now)
  mended=$SECONDS
  ctl consumers resume >/dev/null
  fires "$mended" TimerLag
  resolves "$mended" "\`orderctl consumers suspend --for 10m\` under load" "\`orderctl consumers resume\`" ConsumerStuck ConsumerLagGrowing OrdersUnconfirmed
  resolves "$mended" "the same, resumed: timers are as late as inventory was away" "by itself, when the backlog is done" TimerLag
}

scene_database_locked() {
  local caused mended id
  halt order-srv
  order_srv --crash-point=order.after-db-commit=kill
  until_true 60 dies_of_an_order # whose half message is left undecided
  [[ -p lock ]] || mkfifo lock
  sqlite3 order.db <lock &
  exec 9>lock
  echo 'BEGIN IMMEDIATE;' >&9
  caused=$SECONDS
  order_srv
  load 50 --rate=10 --paid=0 --payment-window=3s
  fires "$caused" DatabasePoolExhausted RPCSlow CheckBacksUnknown
  mended=$SECONDS
  echo 'COMMIT;' >&9
  exec 9>&-
  resolves "$mended" "another process locks order-srv's database" "the lock is released" DatabasePoolExhausted RPCSlow CheckBacksUnknown
  fires "$mended" DeadLetters
  mended=$SECONDS
  for id in $(parked order); do
    ctl parked replay "$id" --service order >>parked.log 2>&1 || ctl parked discard "$id" --service order --why='the sweeper has sent it again' >>parked.log 2>&1
  done
  resolves "$mended" "the same: nobody says what became of half messages, and the broker gives them up" "\`orderctl parked replay ID --service order\`" DeadLetters
  loaded
}

# An order of before may have been enough.
dies_of_an_order() {
  order 3s >/dev/null || true
  ! kill -0 "${pids[order-srv]}" 2>/dev/null
}

scene_log_stuck() {
  local caused=$SECONDS mended
  kill -STOP "$reader"
  load 90 --rate=60 --payment-window=3s
  fires "$caused" LogLinesDropped
  mended=$SECONDS
  kill -CONT "$reader"
  resolves "$mended" "what reads order-srv's log is stopped (\`kill -STOP\`), under load at level debug" "it goes on (\`kill -CONT\`)" LogLinesDropped
}
