// Package databasetest gives a test a fresh database of each dialect.
//
// SQLite is always there. MySQL (or MariaDB) is used if the environment variable
// ORDERFLOW_TEST_MYSQL holds the URL of a server, without a schema:
//
//	mysql://orderflow_test:PASSWORD@tcp(127.0.0.1:13306)/
//
// The account must be allowed to create and drop databases whose names begin
// with "orderflow_test_". Every test gets one of its own and drops it at its end.
package databasetest

import (
	"context"
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orderflow/internal/database"
)

// Variable names the environment variable with the URL of the MySQL server.
const Variable = "ORDERFLOW_TEST_MYSQL"

// dropTimeout bounds the clean-up of a test whose server hangs.
const dropTimeout = 30 * time.Second

// Each runs body as the parallel sub-tests "sqlite" and "mysql", each on an empty
// database with the migrations of files. Without a MySQL server the second one
// is skipped, and says which variable would name one.
func Each(t *testing.T, files fs.FS, body func(t *testing.T, db *database.DB)) {
	t.Helper()
	t.Run(string(database.SQLite), func(t *testing.T) {
		t.Parallel()
		body(t, NewSQLite(t, files))
	})
	t.Run(string(database.MySQL), func(t *testing.T) {
		t.Parallel()
		body(t, NewMySQL(t, files))
	})
}

// NewSQLite returns a new SQLite database with the migrations of files; it is
// closed when the test ends. It is a file, as in a service: a memory database
// would vanish with its connection when a context ends inside a query.
func NewSQLite(t testing.TB, files fs.FS) *database.DB {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"), files)
}

// NewMySQL returns a new database on the server of Variable with the migrations
// of files; it is dropped when the test ends. The test is skipped if there is no
// such server.
func NewMySQL(t testing.TB, files fs.FS) *database.DB {
	t.Helper()
	return open(t, CreateMySQL(t), files)
}

// CreateMySQL creates an empty database on the server of Variable and returns
// its URL, for a program that opens it by itself; it is dropped when the test
// ends. The test is skipped if there is no such server.
func CreateMySQL(t testing.TB) (url string) {
	t.Helper()
	server := os.Getenv(Variable)
	if server == "" {
		t.Skip(Variable + " is not set: it names a MySQL or MariaDB server, such as mysql://USER:PASSWORD@tcp(127.0.0.1:13306)/")
	}
	name := "orderflow_test_" + strings.ToLower(rand.Text())
	address, parameters, _ := strings.Cut(server, "?")
	if !strings.HasSuffix(address, "/") {
		t.Fatalf("%s must end with a slash instead of a schema", Variable)
	}
	execute(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+name) })
	url = address + name
	if parameters != "" {
		url += "?" + parameters
	}
	return url
}

// execute runs one statement in a connection of its own: the test's database may
// not exist yet, or be closed already.
func execute(t testing.TB, server, statement string) {
	t.Helper()
	// Not the test's context, which has ended when clean-ups run.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), dropTimeout)
	defer cancel()
	db, err := database.Open(server)
	if err != nil {
		t.Fatalf("open the server of %s: %v", Variable, err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Pool().ExecContext(ctx, statement); err != nil {
		t.Fatalf("the server of %s: %s: %v", Variable, statement, err)
	}
}

func open(t testing.TB, url string, files fs.FS) *database.DB {
	t.Helper()
	db, err := database.Open(url)
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the test database: %v", err)
		}
	})
	if _, err := db.Migrate(t.Context(), files); err != nil {
		t.Fatalf("migrate the test database: %v", err)
	}
	return db
}
