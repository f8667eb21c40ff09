package order

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/event"
	"orderflow/internal/sweep"
	"orderflow/internal/telemetry/telemetrytest"
)

// measured has the world's services count in a registry.
func (w *world) measured() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	metrics := NewMetrics(registry)
	w.service.metrics, w.service.store.metrics = metrics, metrics
	w.broker.listener.store.metrics = metrics
	return registry
}

func TestTransitionsAreCounted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		registry := w.measured()
		paid := w.place(request())
		w.clock.Advance(3 * time.Second)
		w.stock(event.TagReserved, stockEvent(paid.ID, 1))
		w.pay(payment(t, paid))
		w.stock(event.TagSold, stockEvent(paid.ID, 2)) // no change of status
		w.expired(w.reserved())
		w.cancel(w.reserved().ID)
		w.stock(event.TagRejected, stockEvent(w.place(request()).ID, 1))
		for _, c := range []struct {
			to, reason string
			want       float64
		}{
			{"PLACED", "", 4}, {"RESERVED", "", 3}, {"PAID", "", 1},
			{"CLOSED", "TIMEOUT", 1}, {"CLOSED", "CANCELLED", 1}, {"CLOSED", "OUT_OF_STOCK", 1},
		} {
			got := telemetrytest.Value(t, registry, "order_transitions_total", "to", c.to, "reason", c.reason)
			if got != c.want {
				t.Errorf("%s %s: %v, want %v", c.to, c.reason, got, c.want)
			}
		}
		if got := telemetrytest.Value(t, registry, "order_created_to_reserved_seconds"); got != 3 {
			t.Errorf("%v orders took time to be reserved, want 3", got)
		}
	})
}

// What is rolled back has not happened.
func TestTransitionThatFailsIsNotCounted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		registry := w.measured()
		o := w.reserved()
		before := telemetrytest.Value(t, registry, "order_transitions_total")
		w.faults.set(failStatements(isUpdateOf(o.ID)))
		if _, err := w.service.Cancel(t.Context(), o.ID, ""); err == nil {
			t.Fatal("no error")
		}
		if got := telemetrytest.Value(t, registry, "order_transitions_total"); got != before {
			t.Errorf("%v transitions, want %v", got, before)
		}
	})
}

func TestAbsorbedDuplicatesAreCounted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		registry := w.measured()
		r := request()
		o := w.place(r)
		w.place(r)
		w.stock(event.TagReserved, stockEvent(o.ID, 1))
		w.stock(event.TagReserved, stockEvent(o.ID, 1))
		w.clock.Advance(time.Minute)
		for range 2 {
			if _, err := w.service.Extend(t.Context(), o.ID, "again", window); err != nil {
				t.Fatal(err)
			}
		}
		p := payment(t, o)
		w.pay(p)
		w.pay(p)
		for _, what := range []string{absorbedCreate, absorbedPay, absorbedExtend, absorbedStock} {
			if got := telemetrytest.Value(t, registry, "order_duplicates_absorbed_total", "what", what); got != 1 {
				t.Errorf("%s: %v, want 1", what, got)
			}
		}
	})
}

// gauged polls, and returns how to read an age in seconds.
func (w *world) gauged() (registry *prometheus.Registry, poll func(), age func(what string) float64) {
	registry = prometheus.NewRegistry()
	gauges := NewGauges(registry, w.service.store)
	poll = func() {
		w.t.Helper()
		if err := gauges.Poll(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	return registry, poll, func(what string) float64 {
		return telemetrytest.Value(w.t, registry, "order_oldest_age_seconds", "what", what)
	}
}

func TestGauges(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		registry, poll, age := w.gauged()
		poll()
		for _, what := range []string{agePlaced, ageOverdue, ageUnconfirmed, ageRefund} {
			if got := age(what); got != 0 {
				t.Errorf("nothing is there, and %s is %v", what, got)
			}
		}
		placed := w.place(request())
		w.clock.Advance(10 * time.Second)
		late := w.reserved()
		w.clock.Advance(window + 5*time.Second)
		w.pay(payment(t, late)) // past due: a refund
		w.clock.Advance(2 * time.Second)
		poll()
		wants := map[string]float64{
			agePlaced: (window + 17*time.Second).Seconds(), ageUnconfirmed: (window + 17*time.Second).Seconds(), ageOverdue: 7, ageRefund: 2,
		}
		for what, want := range wants {
			if got := age(what); got != want {
				t.Errorf("%s is %v s old, want %v", what, got, want)
			}
		}
		for status, want := range map[Status]float64{Placed: 1, Reserved: 1} {
			if got := telemetrytest.Value(t, registry, "orders_open", "status", status.String()); got != want {
				t.Errorf("%v open orders are %s, want %v", got, status, want)
			}
		}
		if got := telemetrytest.Value(t, registry, "order_refunds_due"); got != 1 {
			t.Errorf("%v refunds due", got)
		}
		w.closeIfUnpaid(late.ID, placed.ID)
		w.clock.Advance(time.Second)
		poll()
		if placed, overdue, unconfirmed := age(agePlaced), age(ageOverdue), age(ageUnconfirmed); placed != 0 || overdue != 0 || unconfirmed != 1 {
			t.Errorf("after the end: placed %v, overdue %v, unconfirmed %v", placed, overdue, unconfirmed)
		}
		w.stock(event.TagReleased, stockEvent(late.ID, 2), stockEvent(placed.ID, 1))
		poll()
		if got := age(ageUnconfirmed); got != 0 {
			t.Errorf("all is confirmed, and the oldest that is not is %v s old", got)
		}
	})
}

// The sweeper looks at a row again later and later. Where more orders than the gauges
// look at come before it, it is remembered, until it is confirmed.
func TestGaugesRememberWhatTheSweeperHasSeen(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		_, poll, age := w.gauged()
		o := w.reserved()
		w.pay(payment(t, o))
		w.clock.Advance(schedule().ResendAfter)
		w.sweepAll()
		// As far away as if it were behind all others.
		if err := w.db.With(t.Context()).Exec("UPDATE orders SET sweep_at = ?", int64(sweep.Never)).Error; err != nil {
			t.Fatal(err)
		}
		poll()
		if got, want := age(ageUnconfirmed), schedule().ResendAfter.Seconds(); got != want {
			t.Errorf("unconfirmed for %v s, want %v", got, want)
		}
		w.stock(event.TagSold, stockEvent(o.ID, 2))
		poll()
		if got, left := age(ageUnconfirmed), w.service.store.suspects.list(); got != 0 || len(left) != 0 {
			t.Errorf("unconfirmed for %v s, remembered: %v", got, left)
		}
	})
}

func TestSuspectsAreBounded(t *testing.T) {
	t.Parallel()
	var s suspects
	for i := range 2 * maxSuspects {
		s.add(fmt.Sprint(i))
	}
	if n := len(s.list()); n != maxSuspects {
		t.Errorf("%d are remembered", n)
	}
	s.remove([]string{"0"})
	s.add(uuid.NewString())
	if n := len(s.list()); n != maxSuspects {
		t.Errorf("%d are remembered after one has gone", n)
	}
}

// What cannot be asked is an error: the old values stay.
func TestGaugesOfADatabaseThatIsDown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		gauges := NewGauges(prometheus.NewRegistry(), w.service.store)
		if err := w.db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := gauges.Poll(t.Context()); err == nil {
			t.Error("no error")
		}
	})
}

func TestSweeperThatCanDoNothingIsCounted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		registry := w.measured()
		w.reserved()
		w.place(request())
		w.clock.Advance(window + schedule().CloseGrace)
		w.broker.set(func(b *fakeBroker) { b.halfFails = true })
		if _, err := w.service.sweepOnce(t.Context()); err == nil {
			t.Fatal("no error")
		}
		if got := telemetrytest.Value(t, registry, "order_sweeper_failed_total", "what", foundOverdue); got != 2 {
			t.Errorf("%v orders could not be closed, want 2", got)
		}
	})
}
