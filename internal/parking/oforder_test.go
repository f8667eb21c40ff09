package parking_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/migrations"
)

// What is parked of an order is found by its id, and nothing of others.
func TestOfOrder(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		s, clk := setup(db)
		second, first, other := sample(), sample(), sample()
		second.Message.Tag, other.OrderID = "closed", "0197a1b2-0000-7000-8000-000000000002"
		park(t, s, first)
		clk.Advance(time.Second)
		park(t, s, second)
		park(t, s, other)
		park(t, s, first) // known already: it stays where it was
		entries, err := s.OfOrder(t.Context(), first.OrderID)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != 2 || entries[0].Times != 2 || entries[1].Parked.Message.Tag != "closed" {
			t.Errorf("got %+v", entries)
		}
		if diff := cmp.Diff(first.Message.Body, entries[0].Parked.Message.Body); diff != "" || entries[0].Parked.Reason != first.Reason {
			t.Error(diff)
		}
		if entries, err := s.OfOrder(t.Context(), "another"); err != nil || len(entries) != 0 {
			t.Errorf("of another order: %v, %v", entries, err)
		}
	})
}
