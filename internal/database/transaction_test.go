package database_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"gorm.io/gorm"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
)

// What fn returns is what InTx returns, and decides.
func TestInTxCommitsOrRollsBack(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		if err := db.InTx(t.Context(), func(tx *gorm.DB) error { return tx.Exec(insert, "a", "a", 1).Error }); err != nil {
			t.Fatal(err)
		}
		failure := errors.New("no")
		err := db.InTx(t.Context(), func(tx *gorm.DB) error {
			return errors.Join(tx.Exec(insert, "b", "b", 1).Error, failure)
		})
		if !errors.Is(err, failure) || database.IsUnavailable(err) {
			t.Errorf("error %v", err)
		}
		func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Errorf("panic %v", p)
				}
			}()
			_ = db.InTx(t.Context(), func(tx *gorm.DB) error {
				if err := tx.Exec(insert, "c", "c", 1).Error; err != nil {
					t.Error(err)
				}
				panic("boom")
			})
		}()
		if n := number(t, db, "SELECT COUNT(*) FROM things"); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
		if open := db.Pool().Stats().InUse; open != 0 {
			t.Errorf("%d connections are still in use", open)
		}
	})
}

// A context that has ended opens no transaction; one that ends inside rolls back.
func TestInTxAndTheContext(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.InTx(ctx, func(tx *gorm.DB) error {
			err := tx.Exec(insert, "a", "a", 1).Error
			cancel()
			return errors.Join(err, ctx.Err())
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		err = db.InTx(ctx, func(*gorm.DB) error { t.Error("fn runs without time"); return nil })
		if !errors.Is(err, context.Canceled) || errors.Is(err, database.ErrUnknownOutcome) {
			t.Errorf("error %v", err)
		}
		if n := number(t, db, "SELECT COUNT(*) FROM things"); n != 0 {
			t.Errorf("%d rows, want 0", n)
		}
	})
}

// A statement that outlives its deadline is "not available", in both dialects.
func TestDeadlineInsideAStatement(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		endless := "DO SLEEP(1000)"
		if db.Dialect() == database.SQLite {
			endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) DELETE FROM things WHERE (SELECT COUNT(*) FROM n) = 0"
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := db.InTx(ctx, func(tx *gorm.DB) error {
			return errors.Join(tx.Exec(insert, "a", "a", 1).Error, tx.Exec(endless).Error)
		})
		if !database.IsUnavailable(err) || errors.Is(err, database.ErrUnknownOutcome) {
			t.Errorf("error %v", err)
		}
		if n := number(t, db, "SELECT COUNT(*) FROM things"); n != 0 {
			t.Errorf("%d rows, want 0", n)
		}
	})
}

// A COMMIT that the database refuses is an unknown outcome, and its transaction
// is over: the next one does not find it open.
func TestRefusedCommit(t *testing.T) {
	t.Parallel()
	schema := fstest.MapFS{"sqlite/00001_family.sql": {Data: []byte(`-- +goose Up
CREATE TABLE parents (id INTEGER PRIMARY KEY);
CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
`)}}
	db := databasetest.NewSQLite(t, schema)
	err := db.InTx(t.Context(), func(tx *gorm.DB) error { return tx.Exec("INSERT INTO children VALUES (1, 1)").Error })
	if !errors.Is(err, database.ErrUnknownOutcome) || !database.IsUnavailable(err) || database.IsRetryable(err) {
		t.Errorf("error %v", err)
	}
	if n := number(t, db, "SELECT COUNT(*) FROM children"); n != 0 {
		t.Errorf("%d rows are seen of a transaction that is not committed", n)
	}
	if err := db.InTx(t.Context(), func(tx *gorm.DB) error { return tx.Exec("INSERT INTO parents VALUES (2)").Error }); err != nil {
		t.Errorf("the next transaction: %v", err)
	}
	if n := number(t, db, "SELECT COUNT(*) FROM children"); n != 0 {
		t.Errorf("the next transaction committed the refused one too")
	}
}

// A connection that dies before the COMMIT is an error like any other; in the
// COMMIT it is an unknown outcome.
func TestKilledConnection(t *testing.T) {
	t.Parallel()
	db := databasetest.NewMySQL(t, files())
	kill := func(tx *gorm.DB) {
		var id int64
		if err := tx.Raw("SELECT CONNECTION_ID()").Scan(&id).Error; err != nil {
			t.Error(err)
		}
		exec(t, db, "KILL ?", id)
	}
	for _, inCommit := range []bool{false, true} {
		runs := 0
		err := db.InTx(t.Context(), func(tx *gorm.DB) error {
			runs++
			err := tx.Exec(insert, "a", "a", 1).Error
			kill(tx)
			if !inCommit {
				err = errors.Join(err, tx.Exec(insert, "b", "b", 1).Error)
			}
			return err
		})
		if !database.IsUnavailable(err) || database.IsRetryable(err) || errors.Is(err, database.ErrUnknownOutcome) != inCommit || runs != 1 {
			t.Errorf("in COMMIT %t: %d runs, %v", inCommit, runs, err)
		}
		waitUntil(t, func() bool { // the server ends the transaction on its own time
			return number(t, db, "SELECT COUNT(*) FROM things") == 0
		})
	}
}

// Two transactions that lock two rows crosswise: the database ends one, which
// runs again; both succeed.
func TestDeadlockIsRepeated(t *testing.T) {
	t.Parallel()
	db := databasetest.NewMySQL(t, files())
	exec(t, db, insert, "a", "a", 0)
	exec(t, db, insert, "b", "b", 0)
	var both sync.WaitGroup // each has its first row
	both.Add(2)
	var mu sync.Mutex
	runs := 0
	var group sync.WaitGroup
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		group.Go(func() {
			first := true
			err := db.InTx(t.Context(), func(tx *gorm.DB) error {
				mu.Lock()
				runs++
				mu.Unlock()
				for _, id := range order {
					if err := tx.Exec("UPDATE things SET amount = amount + 1 WHERE id = ?", id).Error; err != nil {
						if !database.IsRetryable(err) || !database.IsUnavailable(err) {
							t.Errorf("a deadlock is %v", err)
						}
						return err
					}
					if first {
						first = false
						both.Done()
						both.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := number(t, db, "SELECT SUM(amount) FROM things"); n != 4 || runs != 3 {
		t.Errorf("sum %d after %d runs, want 4 after 3", n, runs)
	}
}

// Whoever waits too long for a lock runs again, in the end says that the database
// is not available, and the whole transaction is rolled back.
func TestLockWaitTimeout(t *testing.T) {
	t.Parallel()
	url := schemaURL(t)
	holder := openURL(t, url)
	if _, err := holder.Migrate(t.Context(), fstest.MapFS{"mysql/00002_things.sql": files()["mysql/00001_things.sql"]}); err != nil {
		t.Fatal(err)
	}
	exec(t, holder, insert, "a", "a", 0)
	db := openURL(t, url+"&innodb_lock_wait_timeout=0")
	held, release := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- holder.InTx(t.Context(), func(tx *gorm.DB) error {
			err := tx.Exec("UPDATE things SET amount = 1 WHERE id = 'a'").Error
			close(held)
			<-release
			return err
		})
	}()
	<-held
	runs := 0
	change := func(tx *gorm.DB) error {
		runs++
		return errors.Join(tx.Exec(insert, "b", "b", 0).Error, tx.Exec("UPDATE things SET amount = 2 WHERE id = 'a'").Error)
	}
	if err := db.InTx(t.Context(), change); !database.IsRetryable(err) || !database.IsUnavailable(err) || runs != 6 {
		t.Errorf("after %d runs: %v", runs, err)
	}
	if n := number(t, db, "SELECT COUNT(*) FROM things"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := func(tx *gorm.DB) error { defer cancel(); return change(tx) }
	if err := db.InTx(ctx, cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("a repetition goes on when its context has ended: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := db.InTx(t.Context(), change); err != nil {
		t.Errorf("when the lock is free: %v", err)
	}
}

// SQLite has one writer: another process that writes is waited for, or the
// transaction is repeated.
func TestBusyFile(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	one, two := openURL(t, url), openURL(t, url)
	if _, err := one.Migrate(t.Context(), files()); err != nil {
		t.Fatal(err)
	}
	exec(t, two, "PRAGMA busy_timeout = 0")
	held, release := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- one.InTx(t.Context(), func(tx *gorm.DB) error {
			close(held)
			<-release
			return tx.Exec(insert, "a", "a", 1).Error
		})
	}()
	<-held
	err := two.InTx(t.Context(), func(tx *gorm.DB) error { t.Error("two writers"); return nil })
	if !database.IsRetryable(err) || !database.IsUnavailable(err) || errors.Is(err, database.ErrUnknownOutcome) {
		t.Errorf("error %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := two.InTx(t.Context(), func(tx *gorm.DB) error { return tx.Exec(insert, "b", "b", 1).Error }); err != nil {
		t.Error(err)
	}
}

// Transactions are READ COMMITTED: a statement sees what others have committed
// since the transaction began.
func TestReadCommitted(t *testing.T) {
	t.Parallel()
	db := databasetest.NewMySQL(t, files())
	err := db.InTx(t.Context(), func(tx *gorm.DB) error {
		count := func() (n int64) {
			if err := tx.Raw("SELECT COUNT(*) FROM things").Scan(&n).Error; err != nil {
				t.Error(err)
			}
			return n
		}
		before := count()
		exec(t, db, insert, "a", "a", 1)
		if after := count(); before != 0 || after != 1 {
			t.Errorf("%d rows, then %d", before, after)
		}
		var level string
		if err := tx.Raw("SELECT trx_isolation_level FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()").Scan(&level).Error; err == nil && level != "" && level != "READ COMMITTED" {
			t.Errorf("level %s", level)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Locking reads of two missing rows, each followed by its insert, do not deadlock
// as they would under REPEATABLE READ.
func TestMissingRowsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	db := databasetest.NewMySQL(t, files())
	var looked sync.WaitGroup
	looked.Add(2)
	var group sync.WaitGroup
	for _, id := range []string{"a", "b"} {
		group.Go(func() {
			runs := 0
			err := db.InTx(t.Context(), func(tx *gorm.DB) error {
				var n int64
				if err := tx.Raw("SELECT amount FROM things WHERE id = ? FOR UPDATE", id).Scan(&n).Error; err != nil {
					return err
				}
				if runs++; runs == 1 {
					looked.Done()
				}
				looked.Wait()
				return tx.Exec(insert, id, id, 1).Error
			})
			if err != nil || runs != 1 {
				t.Errorf("%d runs, %v", runs, err)
			}
		})
	}
	group.Wait()
}

func openURL(t *testing.T, url string) *database.DB {
	t.Helper()
	db, err := database.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Cleanup)
	return db
}

// waitUntil waits for a condition.
func waitUntil(t *testing.T, met func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(20 * time.Second)
	for !met() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatal("the condition was never met")
		}
	}
}

// The name of the key is read from the end of the message: the value before it is
// foreign text.
func TestDuplicateWithTreacherousValue(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		for _, value := range []string{"x' for key 'things_name'", "UNIQUE constraint failed: t.name, t.amount", "a.b' for key 'q.things_name", strings.Repeat("'", 64)} {
			exec(t, db, insert, value, value, 1)
			err := db.With(t.Context()).Exec(insert, value, "other", 1).Error
			if !database.IsDuplicate(err, keyID()) || database.IsDuplicate(err, keyName()) {
				t.Errorf("%v", err)
			}
		}
	})
}

// Every unique key is told apart by its name, and a CHECK is none.
func TestDuplicateAndCheck(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		exec(t, db, insert, "a", "n", 1)
		type kind struct{ id, name, check bool }
		for _, c := range []struct {
			id, name string
			amount   int
			want     kind
		}{
			{"a", "m", 1, kind{id: true}}, {"b", "n", 1, kind{name: true}}, {"b", "n", -1, kind{check: true}},
		} {
			err := db.InTx(t.Context(), func(tx *gorm.DB) error { return tx.Exec(insert, c.id, c.name, c.amount).Error })
			got := kind{database.IsDuplicate(err, keyID()), database.IsDuplicate(err, keyName()), database.IsCheck(err)}
			if err == nil || got != c.want || database.IsRetryable(err) || database.IsUnavailable(err) {
				t.Errorf("%v is %+v, want %+v", err, got, c.want)
			}
		}
		for _, err := range []error{nil, errors.New("Duplicate entry 'a' for key 'PRIMARY'"), gorm.ErrRecordNotFound} {
			if database.IsDuplicate(err, keyID()) || database.IsCheck(err) || database.IsRetryable(err) || database.IsUnavailable(err) {
				t.Errorf("%v is taken for something", err)
			}
		}
		err := db.With(t.Context()).Exec("INSERT INTO nowhere VALUES (1)").Error
		if err == nil || database.IsUnavailable(err) || database.IsRetryable(err) {
			t.Errorf("a missing table is %v", err)
		}
	})
}
