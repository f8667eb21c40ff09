package databasetest_test

import (
	"testing"
	"testing/fstest"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
)

// Each test has a database of its own: what one writes no other one sees.
func TestEachGivesEmptyDatabases(t *testing.T) {
	t.Parallel()
	file := &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE t (id BIGINT NOT NULL, PRIMARY KEY (id));\n")}
	files := fstest.MapFS{"sqlite/00001_t.sql": file, "mysql/00001_t.sql": file}
	for range 2 {
		databasetest.Each(t, files, func(t *testing.T, db *database.DB) {
			if err := db.With(t.Context()).Exec("INSERT INTO t (id) VALUES (1)").Error; err != nil {
				t.Fatal(err)
			}
			if err := db.CheckSchema(t.Context(), files); err != nil {
				t.Fatal(err)
			}
		})
	}
}
