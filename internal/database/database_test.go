package database_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"gorm.io/gorm"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
)

// files is a schema with everything that the errors are told apart by.
func files() fstest.MapFS {
	const tables = `-- +goose Up
CREATE TABLE things (
    id     VARCHAR(64) NOT NULL,
    name   VARCHAR(64) NOT NULL,
    amount BIGINT      NOT NULL,
    CONSTRAINT things_amount CHECK (amount >= 0),
    PRIMARY KEY (id)
)`
	const index = ";\nCREATE UNIQUE INDEX things_name ON things (name, amount);\n"
	return fstest.MapFS{
		"sqlite/00001_things.sql": {Data: []byte(tables + index)},
		"mysql/00001_things.sql":  {Data: []byte(tables + " DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" + index)},
	}
}

func keyID() database.Key { return database.Key{Index: "PRIMARY", Columns: []string{"id"}} }
func keyName() database.Key {
	return database.Key{Index: "things_name", Columns: []string{"name", "amount"}}
}

func exec(t testing.TB, db *database.DB, statement string, args ...any) {
	t.Helper()
	if err := db.With(context.WithoutCancel(t.Context())).Exec(statement, args...).Error; err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func number(t testing.TB, db *database.DB, query string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := db.With(t.Context()).Raw(query, args...).Scan(&n).Error; err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

const insert = "INSERT INTO things (id, name, amount) VALUES (?, ?, ?)"

// What is wrong with a URL is said without its password.
func TestOpenRefusesBadURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "postgres://u:s3cret@h/db", "mysql:/u:s3cret@tcp(h)/db", "u:s3cret@tcp(h:1)/db", "mysql://u:s3cret@tcp(h:1/db", "mysql://u:s3cret@h",
		"mysql://u:s3cret@tcp(h:1)/db?timeout=s3cret", "mysql://u:s3cret@tcp(h:1)/db?tls=s3cret",
		"mysql://u:s3cret@tcp(h:1)/db?charset=s3cret&serverPubKey=s3cret", "sqlite:", "sqlite:a.db?mode=s3cret", "sqlite:file:a.db?mode=s3cret",
	} {
		db, err := database.Open(url)
		if err == nil {
			t.Errorf("%q: opened", url)
			_ = db.Close()
			continue
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the error shows the password: %v", url, err)
		}
	}
}

// A password may have every character that a URL has a meaning for.
func TestWithPassword(t *testing.T) {
	t.Parallel()
	got, err := database.WithPassword("mysql://me@tcp(h:1)/schema?timeout=3s", "p@:/?w")
	if want := "mysql://me:p@:/?w@tcp(h:1)/schema?timeout=3s"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// A database that is down is opened all the same, and says so without its
// password when it is used.
func TestOpenDoesNotConnect(t *testing.T) {
	t.Parallel()
	db, err := database.Open("mysql://u:s3cret@tcp(127.0.0.1:1)/db") // nothing listens on port 1
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Cleanup)
	for name, err := range map[string]error{
		"ping":      db.Ping(t.Context()),
		"statement": db.With(t.Context()).Exec("SELECT 1").Error,
		"tx":        db.InTx(t.Context(), func(*gorm.DB) error { return nil }),
	} {
		if !database.IsUnavailable(err) || errors.Is(err, database.ErrUnknownOutcome) || database.IsRetryable(err) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
	if err := db.CheckSchema(t.Context(), files()); err == nil || errors.Is(err, database.ErrSchemaTooOld) {
		t.Errorf("CheckSchema of a database that is down: %v", err)
	}
	if _, err := db.Migrate(t.Context(), files()); !database.IsUnavailable(err) {
		t.Errorf("Migrate of a database that is down: %v", err)
	}
}

// A closed database is not available; a call that comes during a shutdown gets
// an error to repeat it elsewhere.
func TestClosedDatabase(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"ping":      db.Ping(t.Context()),
			"statement": db.With(t.Context()).Exec("SELECT 1").Error,
			"tx":        db.InTx(t.Context(), func(*gorm.DB) error { return nil }),
		} {
			if !database.IsUnavailable(err) || errors.Is(err, database.ErrUnknownOutcome) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A memory database works as a file does.
func TestMemory(t *testing.T) {
	t.Parallel()
	db, err := database.Open("sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Cleanup)
	if _, err := db.Migrate(t.Context(), files()); err != nil {
		t.Fatal(err)
	}
	if err := db.InTx(t.Context(), func(tx *gorm.DB) error { return tx.Exec(insert, "a", "a", 1).Error }); err != nil {
		t.Fatal(err)
	}
	if n := number(t, db, "SELECT COUNT(*) FROM things"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// What a service relies on in every connection is switched on.
func TestSettings(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		want := map[string]string{ // synchronous 2 is FULL
			"PRAGMA synchronous": "2", "PRAGMA foreign_keys": "1", "PRAGMA journal_mode": "wal", "PRAGMA busy_timeout": "5000",
		}
		if db.Dialect() == database.MySQL {
			want = map[string]string{"SELECT @@innodb_lock_wait_timeout": "5", "SELECT @@character_set_client": "utf8mb4", "SELECT @@autocommit": "1"}
		}
		for query, value := range want {
			var got string
			if err := db.With(t.Context()).Raw(query).Scan(&got).Error; err != nil || got != value {
				t.Errorf("%s: %q, %v, want %q", query, got, err, value)
			}
		}
	})
}

// An UPDATE that changes nothing has still found its row: the row count says
// whether the condition held, in both dialects.
func TestRowCountIsThatOfTheCondition(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		exec(t, db, insert, "a", "a", 1)
		for where, want := range map[string]int64{"amount = 1": 1, "amount = 2": 0} {
			result := db.With(t.Context()).Exec("UPDATE things SET amount = 1 WHERE id = 'a' AND " + where)
			if result.Error != nil || result.RowsAffected != want {
				t.Errorf("%s: %d rows, %v, want %d", where, result.RowsAffected, result.Error, want)
			}
		}
	})
}

// Texts compare byte by byte.
func TestBinaryCollation(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		for i, id := range []string{"a", "A", "ä", "b", "B"} {
			exec(t, db, insert, id, "n", i)
		}
		var ids []string
		if err := db.With(t.Context()).Raw("SELECT id FROM things ORDER BY id").Scan(&ids).Error; err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(ids, ""); got != "ABabä" {
			t.Errorf("order %q", got)
		}
		if n := number(t, db, "SELECT amount FROM things WHERE id = ?", "A"); n != 1 {
			t.Errorf("'A' finds row %d", n)
		}
	})
}

// Values arrive as they were given, whatever is in them: parameters are not put
// together with the text by hand, but the driver does it.
func TestParametersAreQuoted(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		for i, text := range []string{`'; DROP TABLE things; --`, `\`, `\'`, `"`, "\x00\x1a\r\n", "😀", "¿'", `?`} {
			exec(t, db, insert, text, "n", i)
			if n := number(t, db, "SELECT amount FROM things WHERE id = ?", text); n != int64(i) {
				t.Errorf("%q is found as %d", text, n)
			}
		}
	})
}

// Migrations run once; a schema that misses one is too old, one that is ahead is
// fine.
func TestMigrate(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, fstest.MapFS{"sqlite/.keep": {}, "mysql/.keep": {}, "sqlite/00001_a.sql": table("a"), "mysql/00001_a.sql": table("a")},
		func(t *testing.T, db *database.DB) {
			more := fstest.MapFS{
				"sqlite/00001_a.sql": table("a"), "mysql/00001_a.sql": table("a"),
				"sqlite/00002_b.sql": table("b"), "mysql/00002_b.sql": table("b"),
			}
			if err := db.CheckSchema(t.Context(), more); !errors.Is(err, database.ErrSchemaTooOld) {
				t.Errorf("CheckSchema before: %v", err)
			}
			for _, want := range []int{1, 0} {
				if n, err := db.Migrate(t.Context(), more); n != want || err != nil {
					t.Errorf("Migrate: %d, %v, want %d", n, err, want)
				}
			}
			older := fstest.MapFS{"sqlite/00001_a.sql": table("a"), "mysql/00001_a.sql": table("a")}
			for name, files := range map[string]fstest.MapFS{"new": more, "old": older} {
				if err := db.CheckSchema(t.Context(), files); err != nil {
					t.Errorf("CheckSchema of the %s program: %v", name, err)
				}
			}
			if _, err := db.Migrate(t.Context(), fstest.MapFS{}); err == nil {
				t.Error("no migrations at all, and no error")
			}
			broken := fstest.MapFS{"sqlite/00003_c.sql": {Data: []byte("-- +goose Up\nCREATE TABL;")}, "mysql/00003_c.sql": {Data: []byte("-- +goose Up\nCREATE TABL;")}}
			if _, err := db.Migrate(t.Context(), broken); err == nil {
				t.Error("a broken migration, and no error")
			}
		})
}

func table(name string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE " + name + " (id BIGINT NOT NULL, PRIMARY KEY (id));\n")}
}

// Processes that start at the same moment migrate the same database once.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		migrateAtOnce(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	})
	t.Run("mysql", func(t *testing.T) {
		t.Parallel()
		migrateAtOnce(t, schemaURL(t))
	})
}

func migrateAtOnce(t *testing.T, url string) {
	t.Helper()
	const processes = 6
	total := make(chan int, processes)
	for range processes {
		db, err := database.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Cleanup)
		go func() {
			n, err := db.Migrate(t.Context(), files())
			if err == nil {
				err = db.CheckSchema(t.Context(), files())
			}
			if err != nil {
				t.Error(err)
			}
			total <- n
		}()
	}
	applied := 0
	for range processes {
		applied += <-total
	}
	if applied != 1 {
		t.Errorf("%d migrations were applied, want 1", applied)
	}
}

// schemaURL is the URL of an empty schema, for tests that connect more than once;
// parameters can be added to it with "&".
func schemaURL(t *testing.T) string {
	t.Helper()
	url := databasetest.CreateMySQL(t)
	if !strings.Contains(url, "?") {
		url += "?"
	}
	return url
}

// A migration may take longer than a query is allowed to.
func TestMigrationMayTakeLong(t *testing.T) {
	t.Parallel()
	db := openURL(t, schemaURL(t)+"&readTimeout=300ms")
	slow := fstest.MapFS{"mysql/00002_slow.sql": {Data: []byte("-- +goose Up\nSELECT SLEEP(0.6);\n")}}
	if n, err := db.Migrate(t.Context(), slow); n != 1 || err != nil {
		t.Errorf("Migrate: %d, %v", n, err)
	}
	if err := db.With(t.Context()).Exec("DO SLEEP(0.6)").Error; !database.IsUnavailable(err) {
		t.Errorf("a query of that length: %v", err)
	}
}
