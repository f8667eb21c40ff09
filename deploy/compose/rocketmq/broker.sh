#!/bin/sh
# Starts the broker in its container. RocketMQ reads no environment, so its file is
# rendered here; and its scripts are no good parents, so the JVM is told to end by hand:
# a broker that is killed has to check its whole store at the next start.
set -eu

sed -e "s/@PORT@/$BROKER_PORT/" -e "s/@ADDRESS@/$BROKER_ADDRESS/" -e "s/@NAMESRV@/$NAMESRV/" \
  /etc/orderflow/broker.conf.in >/tmp/broker.conf

stop() {
  for process in /proc/[0-9]*; do
    if [ "$(cat "$process/comm" 2>/dev/null)" = java ]; then kill -TERM "${process#/proc/}"; fi
  done
}
trap stop TERM INT

sh "$ROCKETMQ_HOME/bin/mqbroker" -c /tmp/broker.conf &
broker=$!
# A signal ends the first wait; the broker needs some seconds more.
wait "$broker" || wait "$broker"
