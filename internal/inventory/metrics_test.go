package inventory_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/telemetry/telemetrytest"
	"orderflow/migrations"
)

// measured has the world's service count in a registry.
func (w *world) measured() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	w.store = inventory.NewStore(w.db, w.clock, grace, inventory.NewMetrics(registry))
	w.arm(nil)
	return registry
}

func TestTransitionsAndDuplicatesAreCounted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		registry := w.measured()
		w.receive("A", 10)
		sold, short, early := w.newOrder(line("A", 2)), w.newOrder(line("A", 100)), w.newOrder(line("A", 1))
		for range 2 { // the second time it is absorbed
			w.must(w.orderEvents(event.TagCreated, sold, short))
			w.must(w.orderEvents(event.TagClosed, early)) // before it was reserved
		}
		w.must(w.orderEvents(event.TagCreated, early)) // which finds the tombstone
		w.must(w.orderEvents(event.TagPaid, sold))
		back := w.newOrder(line("A", 1))
		w.must(w.orderEvents(event.TagCreated, back))
		w.must(w.orderEvents(event.TagClosed, back))
		w.must(w.orderEvents(event.TagCreated, back)) // given back, and no tombstone
		for _, c := range []struct {
			metric, label, value string
			want                 float64
		}{
			{"inventory_transitions_total", "to", "RESERVED", 2},
			{"inventory_transitions_total", "to", "REJECTED", 1},
			{"inventory_transitions_total", "to", "RELEASED", 2},
			{"inventory_transitions_total", "to", "SOLD", 1},
			{"inventory_duplicates_absorbed_total", "event", "created", 4},
			{"inventory_duplicates_absorbed_total", "event", "closed", 1},
			{"inventory_duplicates_absorbed_total", "event", "paid", 0},
		} {
			if got := telemetrytest.Value(t, registry, c.metric, c.label, c.value); got != c.want {
				t.Errorf("%s{%s} = %v, want %v", c.metric, c.value, got, c.want)
			}
		}
		made, hit := telemetrytest.Value(t, registry, "inventory_tombstones_total"), telemetrytest.Value(t, registry, "inventory_tombstone_hits_total")
		if made != 1 || hit != 1 {
			t.Errorf("%v tombstones, hit %v times; want 1 and 1", made, hit)
		}
	})
}

func TestTimerLagIsMeasured(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		registry := w.measured()
		w.receive("A", 10)
		o := w.reservedOrder("A", 1)
		w.clock.Advance(window + 20*time.Second)
		w.orders.failures = 1
		w.again(w.timer(o)) // not handled yet
		if n := telemetrytest.Value(t, registry, "inventory_timer_lag_seconds"); n != 0 {
			t.Errorf("%v timers were handled", n)
		}
		w.must(w.timer(o))
		if n, sum := telemetrytest.Value(t, registry, "inventory_timer_lag_seconds"), telemetrytest.Sum(t, registry, "inventory_timer_lag_seconds"); n != 1 || sum != 20 {
			t.Errorf("%v timers, %v s late; want 1 and 20", n, sum)
		}
	})
}

// gauged returns how to poll, and how to read a metric.
func (w *world) gauged() (poll func(), read func(metric string, labels ...string) float64) {
	registry := prometheus.NewRegistry()
	gauges := inventory.NewGauges(registry, w.store)
	return func() {
			w.t.Helper()
			if err := gauges.Poll(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}, func(metric string, labels ...string) float64 {
			return telemetrytest.Value(w.t, registry, metric, labels...)
		}
}

func TestGauges(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		poll, read := w.gauged()
		w.receive("A", 10)
		w.receive("B", 10)
		w.reservedOrder("A", 4)
		poll()
		if open, oldest, skus := read("inventory_reservations_open"), read("inventory_oldest_overdue_age_seconds"),
			read("inventory_stock_drift_skus"); open != 1 || oldest != 0 || skus != 2 {
			t.Errorf("%v open, the oldest overdue for %v s, %v SKUs; want 1, 0, 2", open, oldest, skus)
		}
		w.clock.Advance(window + 7*time.Second)
		poll()
		if oldest := read("inventory_oldest_overdue_age_seconds"); oldest != 7 {
			t.Errorf("the oldest is overdue for %v s, want 7", oldest)
		}
		if drift := read("inventory_stock_drift_units"); drift != 0 {
			t.Errorf("drift %v", drift)
		}
	})
}

// A double release keeps the sum, and only the lines tell.
func TestDriftIsFound(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		poll, read := w.gauged()
		w.receive("A", 10)
		w.receive("B", 10)
		w.reservedOrder("A", 4)
		exec := func(statement string) {
			t.Helper()
			if err := db.With(t.Context()).Exec(statement).Error; err != nil {
				t.Fatal(err)
			}
		}
		exec("UPDATE stocks SET available = available + 3, reserved = reserved - 3 WHERE sku = 'A'")
		exec("UPDATE stocks SET available = available - 2, reserved = reserved + 2 WHERE sku = 'B'")
		poll()
		if held, sum := read("inventory_stock_drift_units", "what", "held"), read("inventory_stock_drift_units", "what", "sum"); held != 5 || sum != 0 {
			t.Errorf("held differs by %v, the sum by %v; want 5 and 0", held, sum)
		}
		exec("UPDATE stocks SET available = available - 3, reserved = reserved + 3 WHERE sku = 'A'")
		exec("UPDATE stocks SET available = available + 2, reserved = reserved - 2 WHERE sku = 'B'")
		if db.Dialect() == database.SQLite { // which can forget its checks: the sum is one of them
			exec("PRAGMA ignore_check_constraints = 1")
			exec("UPDATE stocks SET received = received + 9 WHERE sku = 'B'")
		}
		poll()
		want := 0.0
		if db.Dialect() == database.SQLite {
			want = 9
		}
		if held, sum := read("inventory_stock_drift_units", "what", "held"), read("inventory_stock_drift_units", "what", "sum"); held != 0 || sum != want {
			t.Errorf("held differs by %v, the sum by %v; want 0 and %v", held, sum, want)
		}
	})
}
