package parking_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/parking"
	"orderflow/internal/telemetry/telemetrytest"
	"orderflow/migrations"
)

func TestParkedMessagesAreCounted(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		s, clk := setup(db)
		registry := prometheus.NewRegistry()
		metrics := parking.NewMetrics(registry, s)
		poll := func() {
			t.Helper()
			if err := metrics.Poll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p := sample()
		park(t, s, p)
		park(t, s, p) // one row
		clk.Advance(time.Minute)
		p.OrderID = "another"
		park(t, s, p)
		p.Reason, p.OrderID = parking.ReasonDeadLetter, "a third"
		park(t, s, p)
		poll()
		for reason, want := range map[string]float64{"BAD_EVENT": 2, parking.ReasonDeadLetter: 1} {
			if got := telemetrytest.Value(t, registry, "parked_messages", "group", p.Group, "reason", reason); got != want {
				t.Errorf("%s: %v parked, want %v", reason, got, want)
			}
		}
		if age := telemetrytest.Value(t, registry, "parked_oldest_age_seconds"); age != 60 {
			t.Errorf("the oldest is %v s old", age)
		}
		for _, e := range list(t, s) {
			if _, err := s.Remove(t.Context(), e.ID, e.Times); err != nil {
				t.Fatal(err)
			}
		}
		poll()
		if telemetrytest.Present(t, registry, "parked_messages") || telemetrytest.Value(t, registry, "parked_oldest_age_seconds") != 0 {
			t.Error("what is resolved is still counted")
		}
	})
}
