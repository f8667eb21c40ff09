# shellcheck shell=bash
# MariaDB from Debian's core packages, which bring the programs but no system
# service. Sourced by stack.sh.

readonly MARIADB_CONF="$STACK_DIR/conf/my.cnf"
readonly MARIADB_DATA=${STACK_MYSQL_DATA:-$STACK_DIR/data/mariadb} # must not exist, or be of this stack
readonly MARIADB_SOCKET="$STACK_DIR/run/mariadb.sock"
MARKER["mariadb"]="--defaults-file=$MARIADB_CONF"

mariadb_install() {
  if command -v mariadbd mariadb mariadb-install-db >/dev/null; then return; fi
  apt_install mariadb-server-core mariadb-client-core
}

mariadb_start() {
  local address="$HOST:$MYSQL_PORT" as_user=()
  is_running_at mariadb "$address" && return
  # The kernel's limit for a socket's path; mariadbd itself reports it obscurely.
  ((${#MARIADB_SOCKET} < 108)) || die "path too long for a socket: $MARIADB_SOCKET (set STACK_DIR to a shorter one)"
  # mariadbd refuses to run as root unless told to.
  if ((EUID == 0)); then as_user=(--user=root); fi

  render "$HERE/mariadb/my.cnf.in" "$MARIADB_CONF" \
    HOST="$HOST" PORT="$MYSQL_PORT" DATA="$MARIADB_DATA" SOCKET="$MARIADB_SOCKET"
  [[ -d $MARIADB_DATA ]] || mariadb_create_data "${as_user[@]}"
  launch mariadb "$address" mariadbd "${MARKER["mariadb"]}" "${as_user[@]}"
}

# Built aside and renamed, so that an interrupted first start leaves no half of a
# data directory behind.
mariadb_create_data() {
  local log="$STACK_DIR/log/mariadb-install-db.log" fresh="$MARIADB_DATA.new"
  rm -rf "$fresh"
  mkdir -p "$fresh"
  if ! mariadb-install-db --no-defaults --datadir="$fresh" --skip-test-db \
    --auth-root-authentication-method=normal "$@" >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    die "mariadb-install-db failed (whole output in $log)"
  fi
  mv "$fresh" "$MARIADB_DATA"
}

mariadb_as_root() {
  mariadb --no-defaults --connect-timeout=2 --socket="$MARIADB_SOCKET" --user=root "$@"
}

mariadb_ready() {
  mariadb_as_root --execute='SELECT 1' >/dev/null 2>&1 </dev/null
}

# Creates only what is missing, so it runs at every stack-up: a first start that
# was interrupted is completed by the next one.
mariadb_create_accounts() {
  mariadb_as_root <"$HERE/mariadb/accounts.sql"
  MYSQL_PWD=orderflow_test mariadb --no-defaults --protocol=tcp --host="$HOST" --port="$MYSQL_PORT" \
    --user=orderflow_test --execute='SELECT 1' >/dev/null </dev/null ||
    die "mariadb runs, but the account orderflow_test cannot log in"
}
