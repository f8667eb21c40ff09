# shellcheck shell=bash
# RocketMQ's name server and broker from their Maven artifacts. Sourced by stack.sh.

readonly ROCKETMQ_JARS="$STACK_DIR/jars/rocketmq"
readonly ROCKETMQ_DATA="$STACK_DIR/data/rocketmq"
MARKER["namesrv"]="-Dorderflow.stack.part=$STACK_DIR/namesrv"
MARKER["broker"]="-Dorderflow.stack.part=$STACK_DIR/broker"

# ---- programs ---------------------------------------------------------------

rocketmq_install() {
  local pom="$HERE/rocketmq/pom.xml" log="$STACK_DIR/log/maven.log" fresh="$ROCKETMQ_JARS.new"
  # With the compiler, which the check of the Java client needs.
  if [[ -z $(find_jdk17) ]]; then apt_install openjdk-17-jdk-headless; fi
  # The copy of the pom tells which version the jars have: a change downloads anew.
  if cmp -s "$pom" "$ROCKETMQ_JARS/pom.xml"; then return; fi
  # A JVM loads classes as it goes and must not lose its jars.
  if part_pid namesrv >/dev/null || part_pid broker >/dev/null; then
    die "RocketMQ runs, but its version was changed or its jars are gone. Run stack-down first"
  fi

  command -v mvn >/dev/null || apt_install maven
  say "downloading RocketMQ's jars (about 90 MB)"
  rm -rf "$fresh"
  # -U asks again for what an earlier attempt did not find.
  if ! mvn -B -U -ntp -Dstyle.color=never -f "$pom" dependency:copy-dependencies \
    -DoutputDirectory="$fresh" >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    die "maven could not download the jars (whole output in $log)"
  fi
  cp "$pom" "$fresh/pom.xml"
  rm -rf "$ROCKETMQ_JARS"
  mv "$fresh" "$ROCKETMQ_JARS"
}

# Prints the java to use, or nothing. 17 is the version the flags below were
# tried with; STACK_JAVA overrides.
find_java17() {
  local java
  for java in "${STACK_JAVA:-}" "${JAVA_HOME:-}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*17*/bin/java; do
    [[ -x $java ]] || continue
    if [[ $java == "${STACK_JAVA:-}" || $("$java" -version 2>&1) == *'version "17'* ]]; then
      printf '%s\n' "$java"
      return
    fi
  done
}

# Prints the java to use if a compiler stands beside it.
find_jdk17() {
  local java
  java=$(find_java17)
  if [[ -n $java && (-x ${java%/*}/javac || $java == "${STACK_JAVA:-}") ]]; then printf '%s\n' "$java"; fi
}

# launch_java PART ADDRESS MAIN_CLASS JVM_FLAG...
launch_java() {
  local part=$1 address=$2 main=$3 java flags
  shift 3
  java=$(find_java17)
  read -ra flags <<<"${STACK_JAVA_FLAGS:-}"
  # ROCKETMQ_HOME must exist, though only mqadmin reads it. user.home is where
  # RocketMQ puts its own logs. All jars share one class path, so the name
  # server's logging file must be asked for; the first one found is another's.
  mkdir -p "$ROCKETMQ_DATA/home"
  ROCKETMQ_HOME="$ROCKETMQ_DATA/home" launch "$part" "$address" \
    "$java" "${MARKER[$part]}" "$@" "${flags[@]}" \
    --add-exports=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/java.nio=ALL-UNNAMED \
    --add-opens=java.base/java.lang=ALL-UNNAMED \
    -Duser.home="$ROCKETMQ_DATA/home" \
    -Drmq.logback.configurationFile="rmq.$part.logback.xml" \
    -cp "$ROCKETMQ_JARS/*" "$main" -c "$STACK_DIR/conf/$part.conf"
}

# ---- name server ------------------------------------------------------------

namesrv_start() {
  local address="$HOST:$NAMESRV_PORT"
  is_running_at namesrv "$address" && return
  render "$HERE/rocketmq/namesrv.conf.in" "$STACK_DIR/conf/namesrv.conf" HOST="$HOST" PORT="$NAMESRV_PORT"
  launch_java namesrv "$address" org.apache.rocketmq.namesrv.NamesrvStartup -Xms128m -Xmx256m
}

namesrv_ready() {
  grep -q 'The Name Server boot success' "$STACK_DIR/log/namesrv.log" 2>/dev/null &&
    [[ $(cluster_info) == *'"code":0'* ]]
}

# ---- broker -----------------------------------------------------------------

# The name server belongs to the broker's address: the broker would go on
# registering at the old one.
broker_start() {
  local address="$HOST:$BROKER_PORT (registered at $HOST:$NAMESRV_PORT)"
  is_running_at broker "$address" && return
  # Rendered, because "mqadmin updateBrokerConfig" writes into the file it was given.
  render "$HERE/rocketmq/broker.conf.in" "$STACK_DIR/conf/broker.conf" \
    HOST="$HOST" PORT="$BROKER_PORT" NAMESRV_PORT="$NAMESRV_PORT" STORE="$ROCKETMQ_DATA/store" \
    CHECKS="${STACK_TRANSACTION_CHECKS:-900}"
  launch_java broker "$address" org.apache.rocketmq.broker.BrokerStartup \
    -Xms256m -Xmx512m -XX:MaxDirectMemorySize=512m
}

# An open port is too early: clients find the broker only through its route in
# the name server.
broker_ready() {
  grep -q 'boot success' "$STACK_DIR/log/broker.log" 2>/dev/null &&
    [[ $(cluster_info) == *"\"$HOST:$BROKER_PORT\""* ]]
}

# ---- one request to the name server ------------------------------------------

# Prints the name server's answer to GET_BROKER_CLUSTER_INFO (106). mqadmin would
# say the same after starting a JVM. A frame is: total length, codec 0 and header
# length in one word, JSON header, body; all numbers big endian.
cluster_info() {
  local header='{"code":106,"language":"GO","version":317,"opaque":1,"flag":0,"extFields":{}}'
  local length connection
  { exec {connection}<>"/dev/tcp/$HOST/$NAMESRV_PORT"; } 2>/dev/null || return 1
  { word $((4 + ${#header})) && word ${#header} && printf '%s' "$header"; } >&"$connection"
  length=$(timeout 2 head -c 4 <&"$connection" | od -An -tu4 --endian=big | tr -d ' ')
  timeout 2 head -c "${length:-0}" <&"$connection" | tr -d '\0'
  exec {connection}>&-
}

# word N  prints N as four bytes, most significant first.
word() {
  local hex
  hex=$(printf '%08x' "$1")
  printf '%b' "\\x${hex:0:2}\\x${hex:2:2}\\x${hex:4:2}\\x${hex:6:2}"
}
