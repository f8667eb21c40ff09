// Package database opens MySQL (also MariaDB) and SQLite the way the order and
// stock protocol needs them, runs transactions, and says what a database error
// means.
//
// Every transaction is READ COMMITTED: under REPEATABLE READ a locking read of a
// missing row followed by an insert deadlocks even for different ids, and a
// snapshot hides the row that a duplicate error has just proved. A failed
// COMMIT is an unknown outcome, never a rollback (ErrUnknownOutcome).
package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Dialect is the kind of database.
type Dialect string

// The dialects; the values are the names of the migration folders.
const (
	MySQL  Dialect = "mysql" // also MariaDB and what else speaks the protocol
	SQLite Dialect = "sqlite"
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	gorm    *gorm.DB
	pool    *sql.DB
	dialect Dialect
	patient driver.Connector // MySQL: connections that wait for as long as a statement takes
}

// Open prepares a database by its URL:
//
//	mysql://USER:PASSWORD@tcp(HOST:PORT)/SCHEMA[?param=value]
//	sqlite:FILE   or   sqlite::memory:
//
// It does not connect: a service starts while its database is down and heals
// when it is back. The error says what is wrong with the URL, without the
// password.
func Open(url string) (*DB, error) {
	switch {
	case strings.HasPrefix(url, mysqlScheme):
		return openMySQL(strings.TrimPrefix(url, mysqlScheme))
	case strings.HasPrefix(url, "sqlite:"):
		return openSQLite(strings.TrimPrefix(url, "sqlite:"))
	default:
		return nil, errors.New(`database URL must begin with "mysql://" or "sqlite:"`)
	}
}

// WithPassword returns the URL of a MySQL database with the password in it, for those
// who keep it elsewhere.
func WithPassword(url, password string) (string, error) {
	dsn, ok := strings.CutPrefix(url, mysqlScheme)
	if !ok {
		return "", errors.New("only a MySQL database has a password")
	}
	cfg, err := mysqldriver.ParseDSN(dsn)
	if err != nil {
		return "", errMySQLURL
	}
	if cfg.Passwd != "" {
		return "", errors.New("the database URL has a password already")
	}
	cfg.Passwd = password
	return mysqlScheme + cfg.FormatDSN(), nil
}

const mysqlScheme = "mysql://"

// errMySQLURL names no part of the URL: the password may be anywhere in it.
var errMySQLURL = errors.New("database URL must look like mysql://USER:PASSWORD@tcp(HOST:PORT)/SCHEMA")

func openMySQL(dsn string) (*DB, error) {
	cfg, err := mysqldriver.ParseDSN(dsn)
	if err != nil {
		return nil, errMySQLURL
	}
	cfg.ParseTime = false
	cfg.Loc = time.UTC
	// One round trip instead of two or three per statement; safe with utf8mb4.
	cfg.InterpolateParams = true
	// An UPDATE whose new values equal the old ones counts as a match, as in
	// SQLite; without it "no change" looks like "condition failed".
	cfg.ClientFoundRows = true
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Second
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = 10 * time.Second
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 10 * time.Second
	}
	cfg.Logger = &mysqldriver.NopLogger{} // its lines repeat the errors it returns
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	// A lock is held for milliseconds; whoever waits longer is told, and retried.
	if _, ok := cfg.Params["innodb_lock_wait_timeout"]; !ok {
		cfg.Params["innodb_lock_wait_timeout"] = "5"
	}
	connector, err := mysqldriver.NewConnector(cfg)
	if err != nil {
		return nil, errors.New("database URL has a parameter that the driver refuses")
	}
	pool := sql.OpenDB(readCommitted{connector})
	pool.SetMaxOpenConns(32)
	pool.SetMaxIdleConns(32)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	dialector := gormmysql.New(gormmysql.Config{Conn: pool, SkipInitializeWithVersion: true})
	db, err := wrap(dialector, pool, MySQL)
	if err != nil {
		return nil, err
	}
	slow := cfg.Clone()
	slow.ReadTimeout = 0
	if db.patient, err = mysqldriver.NewConnector(slow); err != nil {
		return nil, errors.Join(errors.New("database URL has a parameter that the driver refuses"), pool.Close())
	}
	return db, nil
}

func openSQLite(path string) (*DB, error) {
	if path == "" || strings.Contains(path, "?") { // parameters of its own would void ours
		return nil, errors.New("database URL must look like sqlite:FILE, without parameters")
	}
	// BEGIN IMMEDIATE: a deferred transaction that reads and then writes fails at
	// once with SQLITE_BUSY_SNAPSHOT when somebody wrote in between.
	// synchronous(2) is FULL: what was acknowledged survives a power loss.
	dsn := path + "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(2)&_pragma=foreign_keys(1)"
	if path == ":memory:" {
		dsn = "file::memory:?_txlock=immediate&_pragma=foreign_keys(1)"
	}
	pool, err := sql.Open(sqlite.DriverName, dsn)
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	// SQLite has one writer at a time whatever the pool does, and a memory
	// database lives in one connection. A query that forgot its transaction
	// blocks here instead of passing unnoticed.
	pool.SetMaxOpenConns(1)
	return wrap(&sqlite.Dialector{Conn: pool}, pool, SQLite)
}

func wrap(dialector gorm.Dialector, pool *sql.DB, dialect Dialect) (*DB, error) {
	g, err := gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard, // errors are returned, and logged once by who handles them
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s database: %w", dialect, err), pool.Close())
	}
	return &DB{gorm: g, pool: pool, dialect: dialect}, nil
}

// Dialect is the kind of database.
func (d *DB) Dialect() Dialect { return d.dialect }

// Pool is the connection pool, for statistics and migrations.
func (d *DB) Pool() *sql.DB { return d.pool }

// With returns a handle for single statements outside a transaction.
func (d *DB) With(ctx context.Context) *gorm.DB { return d.gorm.WithContext(ctx) }

// Ping asks the database for an answer.
func (d *DB) Ping(ctx context.Context) error {
	if err := d.pool.PingContext(ctx); err != nil {
		return fmt.Errorf("ping %s database: %w", d.dialect, err)
	}
	return nil
}

// Close closes the pool. Transactions that are still open fail.
func (d *DB) Close() error { return d.pool.Close() }

// Cleanup closes the database and logs what goes wrong: it has the form that
// wire wants of a clean-up.
func (d *DB) Cleanup() {
	if err := d.Close(); err != nil {
		slog.Default().Warn("closing the database", "error", err)
	}
}
