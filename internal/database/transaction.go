package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"
)

// ErrUnknownOutcome is in the chain of InTx's error if COMMIT itself failed: the
// transaction may be committed, may not be, or may still be committing on the
// server. A plain read afterwards proves nothing.
var ErrUnknownOutcome = errors.New("commit failed: outcome unknown")

// maxAttempts bounds how often InTx runs a transaction that the database asks to
// repeat (deadlock, lock wait timeout, busy).
const maxAttempts = 6

// InTx runs fn in a READ COMMITTED transaction and commits it if fn returns nil.
// tx is the only handle that fn may use. If the database asks to repeat the
// transaction, fn runs again: whatever it changes outside tx it must reset
// first.
//
// The error is fn's own (nothing is committed), ErrUnknownOutcome if the COMMIT
// failed, or that of the database if the transaction could not be opened.
func (d *DB) InTx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	for attempt := 1; ; attempt++ {
		err := d.inTxOnce(ctx, fn)
		if err == nil || !IsRetryable(err) || attempt == maxAttempts {
			return err
		}
		pause := time.Duration(rand.Int64N(int64(time.Millisecond) << attempt))
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// inTxOnce keeps one connection from BEGIN to the end.
func (d *DB) inTxOnce(ctx context.Context, fn func(tx *gorm.DB) error) error {
	conn, err := d.pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	committing := false
	defer func() {
		if !committing { // fn failed or panicked
			_ = conn.Close() // gives it back to the pool, if it is still alive
		}
	}()
	tx, err := d.run(ctx, conn, fn)
	if err != nil {
		return err
	}
	committing = true
	return commit(ctx, conn, tx)
}

// run opens a transaction and runs fn in it. If that fails, the transaction is
// rolled back; else it is open.
func (d *DB) run(ctx context.Context, conn *sql.Conn, fn func(tx *gorm.DB) error) (open *gorm.DB, err error) {
	session := d.gorm.WithContext(ctx)
	session.Statement.ConnPool = conn
	tx := session.Begin() // READ COMMITTED in MySQL by its session; SQLite is serializable
	if tx.Error != nil {
		return nil, fmt.Errorf("begin transaction: %w", tx.Error)
	}
	defer func() {
		if open != nil {
			return
		}
		// fn failed or panicked
		if rollback := tx.Rollback().Error; rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			err = errors.Join(err, fmt.Errorf("roll back: %w", rollback))
		}
	}()
	if err := fn(tx); err != nil {
		return nil, err
	}
	return tx, nil
}

// commit commits, and waits for it until ctx ends: the drivers let nothing but
// their read timeout interrupt a COMMIT. One that nobody waits for any more goes
// on with the connection, on a goroutine that ends with it.
//
// If the COMMIT fails the connection is thrown away: SQLite leaves the transaction
// open then, and the next statement would see, and the next COMMIT complete, what
// was reported as failed.
func commit(ctx context.Context, conn *sql.Conn, tx *gorm.DB) error {
	ended := make(chan error, 1)
	go func() {
		err := tx.Commit().Error
		if err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		_ = conn.Close()
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: no answer in time: %w", ErrUnknownOutcome, ctx.Err())
	}
}
