package database_test

import (
	"slices"
	"testing"

	"gorm.io/gorm"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
)

// takeThing locks the first thing that nobody else has locked; "" says that there is
// none.
func takeThing(tx *gorm.DB) (id string, err error) {
	var ids []string
	err = tx.Table("things").Clauses(database.SkipLocked()).Order("id").Limit(1).Pluck("id", &ids).Error
	return slices.Max(append(ids, "")), err
}

// Whoever looks while others hold their rows gets other ones, or none, and waits
// for nobody. (SQLite has one transaction at a time: nobody can look meanwhile.)
func TestSkipLockedTakesWhatNobodyHas(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, files(), func(t *testing.T, db *database.DB) {
		exec(t, db, insert, "a", "n1", 1)
		exec(t, db, insert, "b", "n2", 1)
		var taken []string
		var take func(tx *gorm.DB) error
		take = func(tx *gorm.DB) error {
			id, err := takeThing(tx)
			taken = append(taken, id)
			if err != nil || id == "" || db.Dialect() == database.SQLite {
				return err
			}
			return db.InTx(t.Context(), take)
		}
		if err := db.InTx(t.Context(), take); err != nil {
			t.Fatal(err)
		}
		want := []string{"a", "b", ""}
		if db.Dialect() == database.SQLite {
			want = want[:1]
		}
		if !slices.Equal(taken, want) {
			t.Errorf("taken %q, want %q", taken, want)
		}
	})
}
