package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// ErrSchemaTooOld is in the chain of CheckSchema's error if migrations are
// missing.
var ErrSchemaTooOld = errors.New("database schema is too old")

// Migrate brings the schema up to date with the SQL files of the folder that the
// dialect names, and returns how many were applied. Processes that migrate the
// same schema at once apply each file once.
func (d *DB) Migrate(ctx context.Context, files fs.FS) (applied int, err error) {
	if d.dialect == SQLite {
		return d.migrateSQLite(ctx, files)
	}
	// A statement that changes a large table takes longer than any query may.
	pool := sql.OpenDB(d.patient)
	defer func() { err = errors.Join(err, pool.Close()) }()
	provider, err := d.migrations(files, pool)
	if err != nil {
		return 0, err
	}
	unlock, err := lockMigrations(ctx, pool)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return up(ctx, provider)
}

// migrateSQLite needs no lock: each file is one transaction there, so whoever
// meets what another process has just made leaves no trace, and looks again.
func (d *DB) migrateSQLite(ctx context.Context, files fs.FS) (applied int, err error) {
	for {
		provider, err := d.migrations(files, d.pool)
		if err != nil {
			return applied, err
		}
		before := d.sqliteVersion(ctx)
		n, err := up(ctx, provider)
		applied += n
		if err == nil || n == 0 && d.sqliteVersion(ctx) == before {
			return applied, err
		}
	}
}

// sqliteVersion is the version that the schema has, -1 if there is no telling.
func (d *DB) sqliteVersion(ctx context.Context) int64 {
	version := int64(-1)
	if err := d.pool.QueryRowContext(ctx, "SELECT MAX(version_id) FROM goose_db_version").Scan(&version); err != nil {
		return -1
	}
	return version
}

func up(ctx context.Context, provider *goose.Provider) (applied int, err error) {
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	if err != nil {
		return len(results), fmt.Errorf("migrate: %w", err)
	}
	return len(results), nil
}

// CheckSchema returns ErrSchemaTooOld if a migration of files is not applied
// yet. A schema that is newer than files is fine: migrations are additive.
func (d *DB) CheckSchema(ctx context.Context, files fs.FS) error {
	provider, err := d.migrations(files, d.pool)
	if err != nil {
		return err
	}
	pending, err := provider.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if pending {
		return ErrSchemaTooOld
	}
	return nil
}

func (d *DB) migrations(files fs.FS, pool *sql.DB) (*goose.Provider, error) {
	dialect := goose.DialectMySQL
	if d.dialect == SQLite {
		dialect = goose.DialectSQLite3
	}
	folder, err := fs.Sub(files, string(d.dialect))
	if err != nil {
		return nil, fmt.Errorf("migrations of %s: %w", d.dialect, err)
	}
	provider, err := goose.NewProvider(dialect, pool, folder)
	if err != nil {
		return nil, fmt.Errorf("migrations of %s: %w", d.dialect, err)
	}
	return provider, nil
}

// lockMigrations takes a named lock of the MySQL server; MySQL's DDL is not
// transactional, so two migrations at once would tread on each other.
func lockMigrations(ctx context.Context, pool *sql.DB) (unlock func() error, err error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to migrate: %w", err)
	}
	// MySQL allows a lock 64 characters, and 9.7 has no MD5 any more.
	const lock = "CONCAT('orderflow migrate ', LEFT(SHA2(DATABASE(), 256), 40))"
	var got *int
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+lock+", 60)").Scan(&got); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the migrations: %w", err), conn.Close())
	}
	if got == nil || *got != 1 {
		return nil, errors.Join(errors.New("another process is migrating this schema"), conn.Close())
	}
	return func() error {
		_, release := conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK("+lock+")")
		return errors.Join(release, conn.Close())
	}, nil
}
