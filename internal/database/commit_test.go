package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
)

// stalling is a database whose COMMIT takes until it is released.
type stalling struct {
	driver  driver.Driver
	dsn     string
	stalled chan struct{} // a COMMIT sends when it has come,
	commit  chan struct{} // and receives before it commits
}

func (s *stalling) Connect(context.Context) (driver.Conn, error) {
	conn, err := s.driver.Open(s.dsn)
	return &stallingConn{conn, s}, err
}

func (s *stalling) Driver() driver.Driver { return s.driver }

type stallingConn struct {
	driver.Conn
	of *stalling
}

func (c *stallingConn) Begin() (driver.Tx, error) {
	//lint:ignore SA1019 a connection that hides its newer methods has only this one
	tx, err := c.Conn.Begin()
	return &stallingTx{tx, c.of}, err
}

type stallingTx struct {
	driver.Tx
	of *stalling
}

func (t *stallingTx) Commit() error {
	t.of.stalled <- struct{}{}
	<-t.of.commit
	return t.Tx.Commit()
}

// A COMMIT that stalls is waited for until the deadline and no longer; what
// becomes of it is unknown then, and its connection is not used by others.
func TestStalledCommitKeepsTheDeadline(t *testing.T) {
	t.Parallel()
	plain, err := sql.Open(sqlite.DriverName, "")
	if err != nil {
		t.Fatal(err)
	}
	slow := &stalling{plain.Driver(), filepath.Join(t.TempDir(), "test.db"), make(chan struct{}), make(chan struct{})}
	pool := sql.OpenDB(slow)
	pool.SetMaxOpenConns(2)
	db, err := wrap(&sqlite.Dialector{Conn: pool}, pool, SQLite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(db.Close(), plain.Close()) })
	if err := db.With(t.Context()).Exec("CREATE TABLE t (id INTEGER)").Error; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan error, 1)
	go func() {
		returned <- db.InTx(ctx, func(tx *gorm.DB) error { return tx.Exec("INSERT INTO t VALUES (1)").Error })
	}()
	<-slow.stalled
	cancel()
	if err := <-returned; !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.Canceled) {
		t.Errorf("InTx = %v, want an unknown outcome", err)
	}
	if inUse := pool.Stats().InUse; inUse != 1 {
		t.Errorf("%d connections are in use while the COMMIT stalls, want its own", inUse)
	}
	slow.commit <- struct{}{}
	for pool.Stats().InUse != 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("the connection does not come back")
		case <-time.After(time.Millisecond):
		}
	}
}
