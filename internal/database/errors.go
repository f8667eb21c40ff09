package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"

	gosqlite "github.com/glebarez/go-sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
)

// Key names a unique key, so that a duplicate error can be told apart from that
// of another key of the same table.
type Key struct {
	Index   string   // the index in MySQL; "PRIMARY" for a primary key
	Columns []string // its columns, by which SQLite names it
}

// Numbers of https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
// and https://mariadb.com/kb/en/mariadb-error-code-reference/.
var (
	mysqlRetryable   = []uint16{1020, 1205, 1213}                         // record changed, lock wait timeout, deadlock
	mysqlCheck       = []uint16{3819, 4025}                               // MySQL, MariaDB
	mysqlUnavailable = []uint16{1040, 1053, 1079, 1114, 1158, 1159, 1160, // connections, shutdown, disk full, network
		1161, 1203, 1290, 1317, 1836, 1927, 3024, 3100, 3168, 4031}
	mysqlKeyName = regexp.MustCompile(`for key '(?:[^'.]+\.)?([^'.]+)'$`)
)

// Result codes of https://www.sqlite.org/rescode.html.
const (
	sqliteBusy             = 5
	sqliteLocked           = 6
	sqliteInterrupt        = 9 // the context ended
	sqliteIOErr            = 10
	sqliteFull             = 13
	sqliteConstraintCheck  = 275
	sqliteConstraintPK     = 1555
	sqliteConstraintUnique = 2067
	sqliteDuplicatePrefix  = "UNIQUE constraint failed: "
)

// poolClosed is the text of an error that database/sql does not export.
const poolClosed = "sql: database is closed"

// IsDuplicate tells whether err says that key already has the value.
func IsDuplicate(err error, key Key) bool {
	var my *mysqldriver.MySQLError
	if errors.As(err, &my) {
		match := mysqlKeyName.FindStringSubmatch(my.Message)
		return my.Number == 1062 && match != nil && match[1] == key.Index
	}
	var lite *gosqlite.Error
	if errors.As(err, &lite) && (lite.Code() == sqliteConstraintPK || lite.Code() == sqliteConstraintUnique) {
		return slices.Equal(sqliteColumns(lite.Error()), key.Columns)
	}
	return false
}

// sqliteColumns reads "… UNIQUE constraint failed: t.a, t.b (2067)".
func sqliteColumns(message string) []string {
	_, list, found := strings.Cut(message, sqliteDuplicatePrefix)
	if !found {
		return nil
	}
	list, _, _ = strings.Cut(list, " (")
	columns := strings.Split(list, ", ")
	for i, c := range columns {
		_, columns[i], _ = strings.Cut(c, ".")
	}
	return columns
}

// IsRetryable tells whether the database rolled the transaction back and asks to
// run it again: a deadlock, a lock wait timeout, a busy file.
func IsRetryable(err error) bool {
	if errors.Is(err, ErrUnknownOutcome) {
		return false
	}
	var my *mysqldriver.MySQLError
	if errors.As(err, &my) {
		return slices.Contains(mysqlRetryable, my.Number)
	}
	var lite *gosqlite.Error
	if errors.As(err, &lite) {
		primary := lite.Code() & 0xff
		return primary == sqliteBusy || primary == sqliteLocked
	}
	return false
}

// IsCheck tells whether a CHECK constraint refused a row.
func IsCheck(err error) bool {
	var my *mysqldriver.MySQLError
	if errors.As(err, &my) {
		return slices.Contains(mysqlCheck, my.Number)
	}
	var lite *gosqlite.Error
	return errors.As(err, &lite) && lite.Code() == sqliteConstraintCheck
}

// IsUnavailable tells whether the database could not be asked, could not answer
// in time, or cannot write at the moment: the same call may succeed later.
func IsUnavailable(err error) bool {
	if errors.Is(err, ErrUnknownOutcome) {
		return true
	}
	var my *mysqldriver.MySQLError
	if errors.As(err, &my) {
		return slices.Contains(mysqlUnavailable, my.Number) || IsRetryable(err)
	}
	var lite *gosqlite.Error
	if errors.As(err, &lite) {
		primary := lite.Code() & 0xff
		return primary == sqliteInterrupt || primary == sqliteFull || primary == sqliteIOErr || IsRetryable(err)
	}
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysqldriver.ErrInvalidConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) || err != nil && strings.Contains(err.Error(), poolClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network)
}
