package inventory_test

import (
	"strings"
	"testing"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/migrations"
)

// An audit that cannot fail proves nothing: each kind of damage is found.
func TestAuditFindsDamage(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]struct{ sql, finding string }{
		"returned twice":          {"UPDATE stocks SET available = available + 2, reserved = reserved - 2 WHERE sku = 'A'", "A: reserved 0, but RESERVED reservations hold 2"},
		"sold without a record":   {"UPDATE stocks SET available = available - 1, sold = sold + 1 WHERE sku = 'A'", "A: sold 1, but SOLD reservations say 0"},
		"from nowhere":            {"UPDATE stocks SET available = available + 1, received = received + 1 WHERE sku = 'A'", "A: received 11, but its receipts say 10"},
		"receipt lost":            {"DELETE FROM receipts", "A: received 10, but its receipts say 0"},
		"stock lost":              {"DELETE FROM stocks", ": A"},
		"lines lost":              {"DELETE FROM reservation_lines", ": no lines"},
		"reservation lost":        {"DELETE FROM reservations", ": lines without a reservation"},
		"released without return": {"UPDATE reservations SET status = 3", "A: reserved 2, but RESERVED reservations hold 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
				w := newWorld(t, db)
				w.receive("A", 10)
				w.must(w.orderEvents(event.TagCreated, w.newOrder(line("A", 2))))
				w.audit()
				if err := db.With(t.Context()).Exec(damage.sql).Error; err != nil {
					t.Fatal(err)
				}
				found, err := w.store.Audit(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(strings.Join(found, "\n"), damage.finding) {
					t.Errorf("found %q, want %q", found, damage.finding)
				}
			})
		})
	}
}

// The database itself refuses what can never be.
func TestChecksOfTheSchema(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		for _, sql := range []string{
			"UPDATE stocks SET available = available + 1",
			"UPDATE stocks SET available = -1, received = -1",
			"UPDATE stocks SET available = 11, reserved = -1",
			"UPDATE stocks SET available = 11, sold = -1",
			"UPDATE receipts SET quantity = 0",
			"INSERT INTO reservation_lines (order_id, sku, quantity, shortage, available) VALUES ('o', 'A', 0, 0, 0)",
		} {
			if err := w.db.With(t.Context()).Exec(sql).Error; !database.IsCheck(err) {
				t.Errorf("%s: %v", sql, err)
			}
		}
	})
}
