# shellcheck shell=bash
# What every part of the stack needs: settings, messages, ports, packages and
# the life of a background process. Sourced by stack.sh.

# Debian keeps mariadbd in /usr/sbin, which is not on every user's PATH.
PATH=$PATH:/usr/sbin:/sbin

# shellcheck disable=SC2034 # the parts use it
readonly HOST=127.0.0.1
readonly NAMESRV_PORT=${STACK_NAMESRV_PORT:-9876}
readonly BROKER_PORT=${STACK_BROKER_PORT:-10911} # also this -2 and this +1
readonly MYSQL_PORT=${STACK_MYSQL_PORT:-13306}   # not 3306: a server of the machine's own may run there

# Everything that is downloaded or written lives here. A second stack beside the
# first one needs another directory and other ports.
STACK_DIR=$(realpath -m -- "${STACK_DIR:-$HERE/../../.stack}")
readonly STACK_DIR
readonly START_TIMEOUT=${STACK_START_TIMEOUT:-90} # seconds, for each part
readonly STOP_TIMEOUT=30

say() { printf 'stack: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# Two callers must not start the same part twice: the second one waits here and
# then finds everything running.
take_lock() {
  mkdir -p "$STACK_DIR/run"
  # Holds MariaDB's administration socket, which asks for no password.
  chmod 700 "$STACK_DIR/run"
  exec 9>"$STACK_DIR/lock"
  flock -n 9 && return
  say "another stack command is running, waiting for it"
  flock -w 600 9 || die "the other stack command is still running after 10 minutes"
}

# render TEMPLATE TARGET KEY=VALUE...  replaces every @KEY@.
render() {
  local text setting target=$2
  text=$(<"$1")
  shift 2
  for setting in "$@"; do
    text=${text//"@${setting%%=*}@"/"${setting#*=}"}
  done
  printf '%s\n' "$text" >"$target"
}

# ---- packages ---------------------------------------------------------------

apt_install() {
  local apt=(apt-get -y -o DPkg::Lock::Timeout=300) log="$STACK_DIR/log/apt.log"
  command -v apt-get >/dev/null || die "this machine has no apt-get; install by hand what these Debian packages hold: $*"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "not root and no sudo; ask an administrator to install: $*"
    apt=(sudo "${apt[@]}")
  fi
  say "installing $*"
  # The package lists may be absent or out of date: fetch them only then.
  "${apt[@]}" install --no-install-recommends "$@" >"$log" 2>&1 </dev/null && return
  "${apt[@]}" update >>"$log" 2>&1 </dev/null || true
  "${apt[@]}" install --no-install-recommends "$@" >>"$log" 2>&1 </dev/null && return
  tail -n 20 "$log" >&2
  die "apt-get could not install: $* (whole output in $log)"
}

# The broker refuses every write on a partition that is more than 90 % full and
# starts deleting files at 85 %; neither limit can be raised.
warn_if_disk_is_nearly_full() {
  local used
  used=$(df --output=pcent "$STACK_DIR" | tail -n 1 | tr -dc '0-9')
  if ((${used:-0} > 85)); then
    say "warning: the disk is $used % full; RocketMQ refuses messages above 90 %"
  fi
}

# ---- ports ------------------------------------------------------------------

check_ports() {
  local port
  local -A seen=()
  for port in "$NAMESRV_PORT" "$BROKER_PORT" "$MYSQL_PORT"; do
    # The broker's neighbours must be valid, too.
    [[ $port =~ ^[1-9][0-9]{0,4}$ ]] && ((port > 2 && port < 65535)) && continue
    die "not a usable port number: $port"
  done
  for port in "$NAMESRV_PORT" $((BROKER_PORT - 2)) "$BROKER_PORT" $((BROKER_PORT + 1)) "$MYSQL_PORT"; do
    [[ -z ${seen[$port]:-} ]] || die "port $port is wanted twice (the broker also takes STACK_BROKER_PORT -2 and +1)"
    seen[$port]=1
  done
}

# The socket inode of whoever listens on the port, on any address: RocketMQ's
# replication socket binds all of them. /proc needs no tool and no connection,
# which would leave a broken handshake in the other server's log.
listening_inode() {
  awk -v port="$(printf ':%04X' "$1")" '
    $4 == "0A" && substr($2, length($2) - 4) == port { print $10; exit }
  ' /proc/net/tcp /proc/net/tcp6 2>/dev/null || true # there may be no IPv6
}

# require_free_port PORT VARIABLE PART  - never kills: the process is not ours.
require_free_port() {
  local inode pid owner='another process'
  inode=$(listening_inode "$1")
  [[ -n $inode ]] || return 0
  # Other users' processes stay anonymous.
  pid=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" -print -quit 2>/dev/null | cut -d / -f 3) || true
  [[ -z $pid ]] || owner="pid $pid ($(xargs -0 <"/proc/$pid/cmdline" | cut -c 1-80))"
  die "port $1, wanted by $3, is taken by $owner. Stop it, or choose another port with $2"
}

# ---- processes --------------------------------------------------------------
# A part has a pid file "PID ADDRESS" and a marker: one argument of its command
# line that names this very stack. A pid alone proves nothing, because it may
# have been given to some other process since.

declare -A MARKER=() # filled by the parts' own files

part_pid() {
  local pid=''
  read -r pid _ 2>/dev/null <"$STACK_DIR/run/$1.pid" || return 1
  [[ $pid =~ ^[0-9]+$ ]] || return 1
  grep -zqxF -e "${MARKER[$1]}" "/proc/$pid/cmdline" 2>/dev/null || return 1
  printf '%s\n' "$pid"
}

part_address() {
  local address
  read -r _ address <"$STACK_DIR/run/$1.pid"
  printf '%s\n' "$address"
}

# Succeeds when the part runs at the address; one that runs elsewhere cannot be
# moved without a restart, which only the user can decide.
is_running_at() {
  part_pid "$1" >/dev/null || return 1
  [[ $(part_address "$1") == "$2" ]] ||
    die "$1 already runs at $(part_address "$1"), not at $2. Run stack-down first"
}

# launch PART ADDRESS COMMAND...
# The process gets a session, streams and a log of its own, so it outlives this
# shell, its terminal and its pipes. It must not inherit the lock either.
launch() {
  local part=$1 address=$2 log="$STACK_DIR/log/$1.log"
  shift 2
  say "starting $part at $address"
  if [[ -f $log ]]; then mv -f "$log" "$log.old"; fi
  setsid "$@" </dev/null >"$log" 2>&1 9>&- &
  printf '%s %s\n' "$!" "$address" >"$STACK_DIR/run/$part.pid"
  # Until the command line is in place the process does not look like ours.
  for _ in {1..50}; do
    part_pid "$part" >/dev/null && return
    sleep 0.02
  done
}

wait_until_ready() {
  local part=$1 log="$STACK_DIR/log/$1.log" deadline=$((SECONDS + START_TIMEOUT)) why=''
  until "${part}_ready"; do
    if ! part_pid "$part" >/dev/null; then
      why="$part died while starting"
    elif ((SECONDS >= deadline)); then
      why="$part does not answer after $START_TIMEOUT s"
    fi
    if [[ -n $why ]]; then
      say "end of $log:"
      tail -n 30 "$log" >&2
      die "$why"
    fi
    sleep 0.2
  done
}

stop_part() {
  local part=$1 pid deadline=$((SECONDS + STOP_TIMEOUT))
  if ! pid=$(part_pid "$part"); then
    rm -f "$STACK_DIR/run/$part.pid"
    say "$part does not run"
    return
  fi
  say "stopping $part (pid $pid)"
  # More than once: a process that has just been launched ignores the first one.
  local tick=0
  while part_pid "$part" >/dev/null; do
    ((tick++ % 10)) || kill -TERM "$pid" 2>/dev/null || true
    if ((SECONDS >= deadline)); then
      say "$part did not stop within $STOP_TIMEOUT s; killing pid $pid"
      kill -KILL "$pid" 2>/dev/null || true
      deadline=$((SECONDS + STOP_TIMEOUT))
    fi
    sleep 0.1
  done
  rm -f "$STACK_DIR/run/$part.pid"
}
