package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// ErrSchemaTooOld is in the chain of CheckSchema's error if migrations are
// missing.
var ErrSchemaTooOld = errors.New("database schema is too old")

// Migrate brings the schema up to date with the SQL files of the folder that the
// dialect names, and returns how many were applied. Two processes that migrate
// the same MySQL schema at once take turns.
func (d *DB) Migrate(ctx context.Context, files fs.FS) (applied int, err error) {
	provider, err := d.migrations(files)
	if err != nil {
		return 0, err
	}
	unlock, err := d.lockMigrations(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	results, err := provider.Up(ctx)
	if err != nil {
		return len(results), fmt.Errorf("migrate: %w", err)
	}
	return len(results), nil
}

// CheckSchema returns ErrSchemaTooOld if a migration of files is not applied
// yet. A schema that is newer than files is fine: migrations are additive.
func (d *DB) CheckSchema(ctx context.Context, files fs.FS) error {
	provider, err := d.migrations(files)
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

func (d *DB) migrations(files fs.FS) (*goose.Provider, error) {
	dialect := goose.DialectMySQL
	if d.dialect == SQLite {
		dialect = goose.DialectSQLite3
	}
	folder, err := fs.Sub(files, string(d.dialect))
	if err != nil {
		return nil, fmt.Errorf("migrations of %s: %w", d.dialect, err)
	}
	provider, err := goose.NewProvider(dialect, d.pool, folder)
	if err != nil {
		return nil, fmt.Errorf("migrations of %s: %w", d.dialect, err)
	}
	return provider, nil
}

// lockMigrations takes a named lock of the MySQL server; MySQL's DDL is not
// transactional, so two migrations at once would tread on each other.
func (d *DB) lockMigrations(ctx context.Context) (unlock func() error, err error) {
	if d.dialect != MySQL {
		return func() error { return nil }, nil
	}
	conn, err := d.pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to migrate: %w", err)
	}
	const lock = "CONCAT('orderflow migrate ', DATABASE())"
	var got *int
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+lock+", 60)").Scan(&got); err != nil || got == nil || *got != 1 {
		return nil, errors.Join(errors.New("another process is migrating this schema"), err, conn.Close())
	}
	return func() error {
		_, release := conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK("+lock+")")
		return errors.Join(release, conn.Close())
	}, nil
}
