package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/sweep"
	"orderflow/internal/telemetry"
	"orderflow/internal/telemetry/telemetrytest"
)

const interval = 5 * time.Second

// sweep makes one round, which has to settle all that it takes.
func (w *world) sweep() {
	w.t.Helper()
	if _, err := w.round(); err != nil {
		w.t.Fatalf("sweep: %v", err)
	}
}

func (w *world) round() (full bool, err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	return inventory.NewSweeper(w.service, interval, nil).Round(ctx)
}

// row is the row of an order's reservation.
func (w *world) row(o *order) inventory.Reservation {
	w.t.Helper()
	r, err := w.store.Reservation(w.t.Context(), o.id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// T20: the timer never arrives, and nobody sends `closed`. The stock goes back after
// the grace, not before, and nobody is asked again.
func TestT20TimerThatNeverArrives(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		w.clock.Advance(window + grace - time.Millisecond)
		w.sweep()
		w.expectStock("A", 6, 4, 0)
		if w.orders.calls() != 0 {
			t.Errorf("asked before the grace is over")
		}
		w.clock.Advance(time.Millisecond)
		w.sweep()
		w.expectStock("A", 10, 0, 0)
		w.expectReservation(o, inventory.StatusReleased, 2)
		w.expectSent(o, "released 2")
		w.clock.Advance(24 * time.Hour)
		w.sweep()
		if w.orders.calls() != 1 || w.orders.triggers[0] != orderv1.CloseTrigger_CLOSE_TRIGGER_INVENTORY_SWEEPER {
			t.Errorf("asked %d times, why %v; want once, as the sweeper", w.orders.calls(), w.orders.triggers)
		}
		// The late timer, and the event, find it done.
		w.must(w.timer(o))
		w.must(w.orderEvents(event.TagClosed, o))
		w.expectSent(o, "released 2", "released 2")
		w.expectStock("A", 10, 0, 0)
	})
}

// The order was paid, and its `paid` is lost: what is held is sold.
func TestSweeperSellsWhatIsPaid(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		w.orders.set(o, paidOutcome)
		w.clock.Advance(window + grace)
		w.sweep()
		w.expectStock("A", 6, 0, 4)
		w.expectSent(o, "sold 2")
		if r := w.row(o); r.SweepAt != sweep.Never {
			t.Errorf("looks again at %d", r.SweepAt)
		}
	})
}

// T69: the window was extended, and the new timer is lost too: nothing goes back
// before the new time, and it does then. An order that is exempt is never released.
func TestT69ExtendedOrdersKeepTheirStock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		extended, exempt := w.reservedOrder("A", 4), w.reservedOrder("A", 3)
		extended.due = extended.due.Add(time.Hour)
		exempt.due = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
		w.clock.Advance(window + grace)
		w.sweep()
		w.expectStock("A", 3, 7, 0)
		w.expectSent(extended)
		for _, o := range []*order{extended, exempt} {
			want := o.due.UnixMilli()
			if r := w.row(o); r.ExpiresAt != want || r.SweepAt != want+grace.Milliseconds() || r.SweepCount != 0 {
				t.Errorf("expires at %d, is looked at at %d, looks %d; want %d and the grace behind it", r.ExpiresAt, r.SweepAt, r.SweepCount, want)
			}
		}
		w.clock.Advance(time.Hour - time.Millisecond)
		w.sweep()
		w.expectStock("A", 3, 7, 0)
		if w.orders.calls() != 1 {
			t.Errorf("asked %v, want nothing before the new time", w.orders.asked)
		}
		w.clock.Advance(time.Millisecond)
		w.sweep()
		w.expectReservation(extended, inventory.StatusReleased, 2)
		w.clock.Advance(100 * 365 * 24 * time.Hour)
		w.sweep()
		w.expectReservation(exempt, inventory.StatusReserved, 1)
	})
}

// A due time that nothing can be added to is never swept, and does not become one
// in the past.
func TestDueTimeThatIsTooFarAway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.newOrder(line("A", 1))
		w.must(edit(t, w.orderEvents(event.TagCreated, o), func(events []map[string]any) {
			events[0]["expiresAtMs"] = fmt.Sprint(int64(math.MaxInt64))
		}))
		if r := w.row(o); r.SweepAt != sweep.Never {
			t.Errorf("is looked at at %d", r.SweepAt)
		}
		w.sweep()
		w.expectReservation(o, inventory.StatusReserved, 1)
	})
}

// The order service is down for hours: it is asked less and less often, and when it is
// back, everything goes back.
func TestSweeperBacksOffWhileTheOrderServiceIsDown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		w.clock.Advance(window + grace)
		w.orders.failures = math.MaxInt
		last, begin := time.Duration(0), w.clock.Now()
		var pauses []time.Duration
		for asked := 0; len(pauses) < 12; w.clock.Advance(interval) {
			_, err := w.round()
			if w.orders.calls() == asked {
				continue
			}
			asked = w.orders.calls()
			if !errors.Is(err, errDown) {
				t.Fatalf("got %v, want what went wrong", err)
			}
			at := w.clock.Now().Sub(begin)
			pauses, last = append(pauses, at-last), at
		}
		w.expectStock("A", 6, 4, 0)
		if slices.Max(pauses[:4]) > 2*time.Minute || slices.Max(pauses) < 15*time.Minute || slices.Max(pauses) > 76*time.Minute {
			t.Errorf("paused %v, want it to double up to an hour", pauses)
		}
		w.orders.failures = 0
		w.clock.Advance(sweep.MaxWait * 5 / 4)
		w.sweep()
		w.expectStock("A", 10, 0, 0)
		w.expectReservation(o, inventory.StatusReleased, 2)
	})
}

// An answer that leaves one of them out is no answer for that one only.
func TestSweeperWithAStrangeAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o, strange, slow := w.reservedOrder("A", 4), w.reservedOrder("A", 3), w.reservedOrder("A", 1)
		w.clock.Advance(window + grace)
		w.orders.set(strange, orderv1.CloseOutcome(99))
		w.orders.slow = 2 * grace // its clock is behind: not due
		w.orders.set(o, closedOutcome)
		_, err := w.round()
		var log telemetrytest.Log
		sweep.Report(t.Context(), telemetry.NewLogger(&log, telemetry.JSON, slog.LevelInfo), err)
		if text := log.String(); strings.Count(text, "\n") != 2 ||
			!strings.Contains(text, `"order_id":"`+strange.id+`"`) || !strings.Contains(text, `"order_id":"`+slow.id+`"`) {
			t.Errorf("logged %s", text)
		}
		w.expectReservation(o, inventory.StatusReleased, 2)
		for _, kept := range []*order{strange, slow} {
			if r := w.row(kept); r.Status != inventory.StatusReserved || r.SweepCount != 1 || r.ExpiresAt != kept.due.UnixMilli() {
				t.Errorf("reservation %+v, want it postponed once", r)
			}
		}
		w.orders.slow = 0
		w.orders.set(strange, closedOutcome)
		w.clock.Advance(2 * interval)
		w.sweep()
		w.expectStock("A", 10, 0, 0)
	})
}

// Stock is held for an order that does not exist: it is parked, as its timer would be,
// and looked at again; the order may come back with a backup.
func TestSweeperParksReservationsWithoutOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := unknownOrder(w, line("A", 4))
		w.must(w.orderEvents(event.TagCreated, o))
		timer := w.timer(o)
		w.clock.Advance(window + grace)
		w.sweep()
		w.must(timer) // both park one row
		w.clock.Advance(2 * interval)
		w.sweep()
		w.sweep()
		w.expectStock("A", 6, 4, 0)
		entry := w.expectParkedTimes(3, map[string]string{o.id: inventory.ReasonReservedNoOrder})[0]
		m := entry.Parked.Message
		if entry.Parked.Group != w.names.InventoryOrderTimeouts || m.Topic != w.names.OrderTimeouts || m.Tag != "timeout" {
			t.Errorf("parked %+v", entry.Parked)
		}
		w.orders.known[o.id] = o
		w.must(m) // a replay asks again
		w.expectStock("A", 10, 0, 0)
	})
}

// Many sweepers on one database: each reservation is asked about once, in calls that
// the order service takes.
func TestManySweepersShareTheWork(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const orders = 250
		w.receive("A", orders)
		parallel(t, orders, func(int) error { return w.deliver(w.orderEvents(event.TagCreated, w.newOrder(line("A", 1)))) })
		w.clock.Advance(window + grace)
		parallel(t, 8, func(int) error {
			for full := true; full; {
				var err error
				if full, err = w.round(); err != nil {
					return err
				}
			}
			return nil
		})
		for rest := true; rest; { // a sweeper that met only locked rows has stopped early
			full, err := w.round()
			if err != nil {
				t.Fatal(err)
			}
			rest = full
		}
		w.expectStock("A", orders, 0, 0)
		times := map[string]int{}
		for _, ids := range w.orders.asked {
			if len(ids) > event.MaxEvents {
				t.Errorf("asked about %d in one call", len(ids))
			}
			for _, id := range ids {
				times[id]++
			}
		}
		for id, n := range times {
			if n != 1 {
				t.Errorf("asked %d times about %s", n, id)
			}
		}
		if len(times) != orders {
			t.Errorf("asked about %d of %d", len(times), orders)
		}
	})
}

// A round takes no more than its batch.
func TestRoundIsBounded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", sweep.Batch+1)
		for range sweep.Batch + 1 {
			w.reservedOrder("A", 1)
		}
		w.clock.Advance(window + grace)
		for _, want := range []bool{true, false} {
			if full, err := w.round(); err != nil || full != want {
				t.Errorf("full %v, %v; want %v", full, err, want)
			}
		}
		w.expectStock("A", sweep.Batch+1, 0, 0)
	})
}

// A sweeper dies with its lease: nobody touches its reservations until the lease has
// ended, and then they come back.
func TestSweeperThatDies(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		w.clock.Advance(window + grace)
		ctx, die := context.WithCancel(t.Context())
		w.orders.onAsk, w.orders.failures = die, 1
		if _, err := inventory.NewSweeper(w.service, interval, nil).Round(ctx); err == nil {
			t.Error("nothing is wrong")
		}
		w.orders.onAsk = nil
		w.clock.Advance(sweep.Lease - time.Millisecond)
		w.sweep()
		w.expectReservation(o, inventory.StatusReserved, 1)
		if w.orders.calls() != 1 {
			t.Errorf("asked during the lease")
		}
		w.clock.Advance(time.Millisecond)
		w.sweep()
		w.expectReservation(o, inventory.StatusReleased, 2)
	})
}

// An event ends the reservation while the sweeper asks: whoever is first gives the
// stock back, once. A sweeper whose lease was over moves nothing of its successor's.
func TestSweeperMeetsAnEvent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		w.reservedOrder("A", 1)
		w.clock.Advance(time.Second)
		closed, down := w.reservedOrder("A", 4), w.reservedOrder("A", 3)
		w.clock.Advance(window + grace - time.Second)
		w.sweep()
		w.clock.Advance(time.Second)
		w.orders.onAsk = func() {
			w.orders.onAsk = nil
			w.must(w.orderEvents(event.TagClosed, closed))
			w.clock.Advance(sweep.Lease)
			w.sweep() // the successor, which settles what the first one has leased
			w.orders.failures = 1
		}
		if _, err := w.round(); !errors.Is(err, errDown) {
			t.Errorf("got %v", err)
		}
		w.expectReservation(closed, inventory.StatusReleased, 2)
		w.expectReservation(down, inventory.StatusReleased, 2)
		if r := w.row(down); r.SweepAt != sweep.Never || r.SweepCount != 0 {
			t.Errorf("the first sweeper has moved %+v", r)
		}
		w.expectStock("A", 10, 0, 0)
	})
}

// A sweeper that was so slow that its lease has ended leaves alone what its successor
// has leased since.
func TestSweeperWhoseLeaseHasEnded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		w.clock.Advance(window + grace)
		var postponed inventory.Reservation
		w.orders.onAsk, w.orders.failures = func() {
			w.orders.onAsk = nil
			w.clock.Advance(sweep.Lease)
			if _, err := w.round(); !errors.Is(err, errDown) {
				t.Errorf("got %v", err)
			}
			postponed = w.row(o)
		}, 2
		if _, err := w.round(); !errors.Is(err, errDown) {
			t.Errorf("got %v", err)
		}
		if r := w.row(o); r.SweepCount != 1 || r.SweepAt != postponed.SweepAt {
			t.Errorf("%+v was postponed twice, from %+v", r, postponed)
		}
	})
}

// What was released but not told is told when order-srv sends its event again.
func TestSweeperWithoutBroker(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		w.clock.Advance(window + grace)
		w.sent.failures = 1
		if _, err := w.round(); !errors.Is(err, errBroker) {
			t.Errorf("got %v", err)
		}
		w.expectReservation(o, inventory.StatusReleased, 2)
		w.must(w.orderEvents(event.TagClosed, o))
		w.expectSent(o, "released 2")
	})
}

// Rows of a program without a sweeper are due at once: they are put right, and only
// what is overdue is asked about.
func TestRowsOfAnOldProgram(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		overdue := w.reservedOrder("A", 4)
		w.clock.Advance(window + grace)
		live, ended := w.reservedOrder("A", 3), w.newOrder(line("A", 1))
		w.must(w.orderEvents(event.TagClosed, ended))
		if err := w.db.With(t.Context()).Exec("UPDATE reservations SET sweep_at = 0").Error; err != nil {
			t.Fatal(err)
		}
		w.sweep()
		for o, want := range map[*order]int64{
			overdue: sweep.Never, live: live.due.Add(grace).UnixMilli(), ended: sweep.Never,
		} {
			if r := w.row(o); r.SweepAt != want {
				t.Errorf("%s is looked at at %d, want %d", r.Status, r.SweepAt, want)
			}
		}
		if len(w.orders.asked) != 1 || !slices.Equal(w.orders.asked[0], []string{overdue.id}) {
			t.Errorf("asked %v", w.orders.asked)
		}
		w.expectStock("A", 7, 3, 0)
	})
}

// The task makes rounds until its context ends.
func TestSweeperRunsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			inventory.NewSweeper(w.service, interval, nil).Run(ctx)
		}()
		eventually(t, "the first round", func() bool { return w.clock.Waiting() == 1 })
		w.clock.Advance(window + grace)
		eventually(t, "the release", func() bool { return w.clock.Waiting() == 1 })
		w.expectReservation(o, inventory.StatusReleased, 2)
		end()
		<-ended
	})
}

func TestSweeperCounts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		w.reservedOrder("A", 1)
		paid, extended := w.reservedOrder("A", 1), w.reservedOrder("A", 1)
		w.must(w.orderEvents(event.TagCreated, unknownOrder(w, line("A", 1))))
		w.orders.set(paid, paidOutcome)
		extended.due = extended.due.Add(time.Hour)
		w.clock.Advance(window + grace)
		registry := prometheus.NewRegistry()
		sweeper := inventory.NewSweeper(w.service, interval, inventory.NewSweepMetrics(registry))
		w.orders.failures = 1
		for range 2 {
			_, _ = sweeper.Round(t.Context())
			w.clock.Advance(2 * interval)
		}
		for name, want := range map[string]map[string]float64{
			"inventory_sweeper_found_total":            {"overdue": 8, "outdated": 0},
			"inventory_sweeper_healed_total":           {"released": 1, "sold": 1, "extended": 1, "corrected": 0},
			"inventory_sweeper_failed_total":           {"no_answer": 4, "parked": 1, "answer": 0, "error": 0},
			"inventory_sweeper_round_duration_seconds": {"": 2},
		} {
			expectCounters(t, registry, name, want)
		}
	})
}

func expectCounters(t *testing.T, registry *prometheus.Registry, name string, want map[string]float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			label := ""
			if len(m.GetLabel()) > 0 {
				label = m.GetLabel()[0].GetValue()
			}
			got[label] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", name, got, want)
	}
}
