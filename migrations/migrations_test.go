package migrations_test

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/migrations"
)

// services are the schemas.
func services() map[string]fs.FS {
	return map[string]fs.FS{"order": migrations.Order(), "inventory": migrations.Inventory(), "notify": migrations.Notify()}
}

// schema is what must be equal in both dialects, one line per fact.
type schema []string

// The files of both dialects have the same names and say the same statements,
// but for the collation, MEDIUMBLOB and the table of a dropped index. It needs no server.
func TestBothDialectsHaveTheSameStatements(t *testing.T) {
	t.Parallel()
	for name, files := range services() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mysql, sqlite := texts(t, files, "mysql"), texts(t, files, "sqlite")
			if len(mysql) == 0 {
				t.Fatal("no migrations")
			}
			if diff := cmp.Diff(mysql, sqlite); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// texts are the statements of each file, stripped of what a dialect must say in
// its own way.
func texts(t *testing.T, files fs.FS, dialect string) map[string]string {
	t.Helper()
	names, err := fs.Glob(files, dialect+"/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	own := strings.NewReplacer(" DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "", "MEDIUMBLOB", "BLOB")
	comment := regexp.MustCompile(`(?m)^-- [^+].*$`)
	ofTable := regexp.MustCompile(`(?m)^(DROP INDEX \w+) ON \w+;$`) // MySQL's indexes are named within their tables
	result := map[string]string{}
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(comment.ReplaceAllString(ofTable.ReplaceAllString(own.Replace(string(body)), "$1;"), ""))
		result[strings.TrimPrefix(name, dialect+"/")] = strings.Join(words, " ")
	}
	return result
}

// Both dialects, asked for what they hold after the migrations, give the same
// tables, columns, keys and checks.
func TestBothDialectsGiveTheSameSchema(t *testing.T) {
	t.Parallel()
	for name, files := range services() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lite := sqliteSchema(t, databasetest.NewSQLite(t, files))
			if len(lite) < 20 {
				t.Fatalf("the schema has %d facts only: %v", len(lite), lite)
			}
			if diff := cmp.Diff(mysqlSchema(t, databasetest.NewMySQL(t, files)), lite); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Parked messages lie in the same table in all services: one store reads them.
func TestAllServicesParkAlike(t *testing.T) {
	t.Parallel()
	var found []schema
	for _, files := range services() {
		all := sqliteSchema(t, databasetest.NewSQLite(t, files))
		found = append(found, slices.DeleteFunc(all, func(fact string) bool { return !strings.HasPrefix(fact, "parked_messages ") }))
	}
	if len(found[0]) < 13 {
		t.Fatalf("too few facts: %v", found[0])
	}
	for _, other := range found[1:] {
		if diff := cmp.Diff(found[0], other); diff != "" {
			t.Error(diff)
		}
	}
}

// Ids, keys and SKUs compare byte by byte.
func TestMySQLTextIsBinaryCollated(t *testing.T) {
	t.Parallel()
	for name, files := range services() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			others := column(t, databasetest.NewMySQL(t, files), `SELECT CONCAT(table_name, '.', column_name, ' ', collation_name)
				FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name <> 'goose_db_version'
				AND collation_name <> 'utf8mb4_bin'`)
			if len(others) > 0 {
				t.Errorf("not utf8mb4_bin: %v", others)
			}
		})
	}
}

// The way down leads to an empty schema, and up again from there.
func TestDownAndUpAgain(t *testing.T) {
	t.Parallel()
	for name, files := range services() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databasetest.Each(t, files, func(t *testing.T, db *database.DB) {
				before := factsOf(t, db)
				dialect := goose.DialectMySQL
				if db.Dialect() == database.SQLite {
					dialect = goose.DialectSQLite3
				}
				folder, err := fs.Sub(files, string(db.Dialect()))
				if err != nil {
					t.Fatal(err)
				}
				provider, err := goose.NewProvider(dialect, db.Pool(), folder)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := provider.DownTo(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				if left := factsOf(t, db); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
				if _, err := db.Migrate(t.Context(), files); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before, factsOf(t, db)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func factsOf(t *testing.T, db *database.DB) schema {
	t.Helper()
	if db.Dialect() == database.SQLite {
		return sqliteSchema(t, db)
	}
	return mysqlSchema(t, db)
}

// mysqlSchema asks information_schema. Widths of integers are noise of MariaDB, and so
// is the text NULL as the default of a column that may be null.
func mysqlSchema(t *testing.T, db *database.DB) schema {
	t.Helper()
	facts := column(t, db, `SELECT CONCAT(table_name, ' column ', ordinal_position, ' ', column_name, ' ', LOWER(column_type),
			IF(is_nullable = 'YES', ' null', ' not null'), ' default ', COALESCE(NULLIF(column_default, 'NULL'), 'none'))
		FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name <> 'goose_db_version'`)
	width := regexp.MustCompile(`(smallint|bigint)\(\d+\)`)
	for i, fact := range facts {
		facts[i] = strings.Replace(width.ReplaceAllString(fact, "$1"), "mediumblob", "blob", 1)
	}
	facts = append(facts, column(t, db, `SELECT CONCAT(table_name, ' key ', index_name, IF(non_unique = 0, ' unique (', ' ('),
			GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR ', '), ')')
		FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name <> 'goose_db_version'
		GROUP BY table_name, index_name, non_unique`)...)
	facts = append(facts, column(t, db, `SELECT CONCAT(table_name, ' check ', constraint_name)
		FROM information_schema.table_constraints
		WHERE table_schema = DATABASE() AND table_name <> 'goose_db_version' AND constraint_type = 'CHECK'`)...)
	slices.Sort(facts)
	return facts
}

// sqliteSchema asks the pragmas; the names of CHECKs are in the text only.
func sqliteSchema(t *testing.T, db *database.DB) schema {
	t.Helper()
	const tables = " FROM sqlite_master m, "
	const where = " WHERE m.type = 'table' AND m.name NOT IN ('goose_db_version', 'sqlite_sequence')"
	facts := column(t, db, `SELECT m.name || ' column ' || (c.cid + 1) || ' ' || c.name || ' ' || LOWER(c.type) ||
			CASE c."notnull" WHEN 1 THEN ' not null' ELSE ' null' END || ' default ' || COALESCE(c.dflt_value, 'none')`+
		tables+"pragma_table_info(m.name) c"+where)
	facts = append(facts, column(t, db, `SELECT name || ' key ' || idx || uniq || ' (' || GROUP_CONCAT(col, ', ') || ')' FROM (
			SELECT m.name, CASE l.origin WHEN 'pk' THEN 'PRIMARY' ELSE l.name END AS idx,
				CASE l."unique" WHEN 1 THEN ' unique' ELSE '' END AS uniq, i.name AS col`+
		tables+"pragma_index_list(m.name) l, pragma_index_info(l.name) i"+where+` ORDER BY m.name, l.name, i.seqno)
		GROUP BY name, idx, uniq`)...)
	check := regexp.MustCompile(`CONSTRAINT (\w+) CHECK`)
	table := regexp.MustCompile(`^CREATE TABLE "?(\w+)`)
	for _, text := range column(t, db, "SELECT m.sql FROM sqlite_master m"+where) {
		for _, match := range check.FindAllStringSubmatch(text, -1) {
			facts = append(facts, table.FindStringSubmatch(text)[1]+" check "+match[1])
		}
	}
	slices.Sort(facts)
	return facts
}

// column reads the one column of a query.
func column(t *testing.T, db *database.DB, query string) []string {
	t.Helper()
	var found []string
	if err := db.With(t.Context()).Raw(query).Scan(&found).Error; err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	return found
}
