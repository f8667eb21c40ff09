package order

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/sweep"
	"orderflow/internal/telemetry"
	"orderflow/internal/telemetry/telemetrytest"
)

// sweepAll makes rounds until one is not full.
func (w *world) sweepAll() {
	w.t.Helper()
	for full := true; full; {
		var err error
		if full, err = w.service.sweepOnce(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// timeline is what the timeline of an order says, without the ids and times.
func (w *world) timeline(id string) []Entry {
	w.t.Helper()
	var entries []Entry
	if err := w.db.With(w.t.Context()).Where("order_id = ?", id).Order("at, id").Find(&entries).Error; err != nil {
		w.t.Fatal(err)
	}
	return entries
}

// last is the newest entry of a kind.
func (w *world) last(id string, kind Kind) Entry {
	w.t.Helper()
	entries := w.timeline(id)
	for _, e := range slices.Backward(entries) {
		if e.Kind == kind {
			return e
		}
	}
	w.t.Fatalf("no entry of kind %d in %+v", kind, entries)
	return Entry{}
}

// Each counter is there before it counts, so that a rate sees the first one.
func TestSweeperCountersBeginWithZero(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	NewMetrics(registry)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]int{}
	for _, family := range families {
		series[family.GetName()] = len(family.GetMetric())
	}
	if series["order_sweeper_found_total"] != 5 || series["order_sweeper_healed_total"] != 4 {
		t.Errorf("got %v", series)
	}
}

// T07: a half message that the broker gave up after its order was committed, and
// every other event that got lost, is sent again until inventory confirms.
func TestSweeperSendsLostEventsAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(w *world) Order
		tag     event.Tag // lost, and sent again
		answer  event.Tag // of inventory, in the end
		what    string
	}{
		"created": {func(w *world) Order { return w.place(request()) }, event.TagCreated, event.TagReserved, "created_unconfirmed"},
		"paid": {func(w *world) Order { o := w.reserved(); w.pay(payment(w.t, o)); return o },
			event.TagPaid, event.TagSold, "paid_unconfirmed"},
		"closed by timeout": {func(w *world) Order { return w.expired(w.reserved()) },
			event.TagClosed, event.TagReleased, "closed_unconfirmed"},
		"cancelled": {func(w *world) Order { o := w.reserved(); w.cancel(o.ID); return o },
			event.TagClosed, event.TagReleased, "closed_unconfirmed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				registry := prometheus.NewRegistry()
				w.service.metrics = NewMetrics(registry)
				o := c.prepare(w)
				before := w.get(o.ID)
				w.broker.set(func(b *fakeBroker) { b.halves = nil }) // the store is wiped
				first := w.get(o.ID).SweepAt
				if first != w.clock.Now().Add(schedule().ResendAfter).UnixMilli() {
					t.Errorf("the first look is after %s", time.Duration(first-w.clock.Now().UnixMilli())*time.Millisecond)
				}
				w.sweepAll()
				w.wantDelivered(o.ID) // too early
				w.clock.Advance(schedule().ResendAfter)
				w.sweepAll()
				w.sweepAll() // the row has to wait for twice the time now
				w.wantDelivered(o.ID, c.tag)

				after := w.get(o.ID)
				wait := time.UnixMilli(after.SweepAt).Sub(w.clock.Now())
				if wait < schedule().ResendAfter*3/2 || wait > schedule().ResendAfter*5/2 || after.SweepCount != 1 {
					t.Errorf("looked at %d times, the next time in %s", after.SweepCount, wait)
				}
				if after.Version != before.Version || after.UpdatedAt != before.UpdatedAt {
					t.Errorf("a client sees a change: %+v, was %+v", after, before)
				}
				if e := w.last(o.ID, KindSent); e.Cause != BySweeper || e.Tag != string(c.tag) {
					t.Errorf("timeline says %+v", e)
				}
				w.stock(c.answer, stockEvent(o.ID, 7))
				w.clock.Advance(10 * time.Hour)
				if now := w.get(o.ID); !now.settled() || now.SweepCount != 0 {
					t.Errorf("not settled: %+v", now)
				}
				if found, healed := telemetrytest.Value(t, registry, "order_sweeper_found_total", "what", c.what),
					telemetrytest.Value(t, registry, "order_sweeper_healed_total", "what", c.what); found != 1 || healed != 1 {
					t.Errorf("%v found, %v healed, want 1 and 1", found, healed)
				}
				if e := w.last(o.ID, KindChanged); e.Cause != ByInventory || e.Detail == "" {
					t.Errorf("timeline does not say that it was healed: %+v", e)
				}
			})
		})
	}
}

// The event that is sent again is the one that was lost, not one of now.
func TestSweeperSendsTheSameEventAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		p := payment(t, o)
		w.clock.Advance(time.Minute)
		w.pay(p)
		o2 := w.expired(w.reserved())
		w.clock.Advance(time.Hour)
		w.sweepAll()
		for id, tag := range map[string]event.Tag{o.ID: event.TagPaid, o2.ID: event.TagClosed} {
			var sent []*eventv1.OrderEvent
			for _, e := range w.broker.deliveredEvents(id) {
				if e.tag == tag {
					sent = append(sent, e.event)
				}
			}
			if len(sent) != 2 || sent[0].GetOccurredAtMs() != sent[1].GetOccurredAtMs() ||
				sent[0].GetPaymentId() != sent[1].GetPaymentId() || sent[0].GetCloseReason() != sent[1].GetCloseReason() ||
				sent[0].GetExpiresAtMs() != sent[1].GetExpiresAtMs() {
				t.Errorf("%s: %v", tag, sent)
			}
		}
	})
}

// Each look doubles the wait of the row, up to an hour, until its window has ended.
func TestSweeperBacksOff(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		w.pay(payment(t, o))
		for look := range 12 {
			w.clock.Advance(time.UnixMilli(w.get(o.ID).SweepAt).Sub(w.clock.Now()))
			w.sweepAll()
			now := w.get(o.ID)
			want := min(schedule().ResendAfter<<(look+1), sweep.MaxWait)
			if wait := time.UnixMilli(now.SweepAt).Sub(w.clock.Now()); wait < want*3/4 || wait > want*5/4 {
				t.Errorf("look %d: the next one in %s, want about %s", look, wait, want)
			}
		}
	})
}

// T20, T69: an order whose timer never comes is closed here, after the grace, and one
// that is not due is left alone.
func TestSweeperClosesWhatIsOverdue(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		unconfirmed, confirmed, exempt, paid := w.place(request()), w.reserved(), w.reserved(), w.reserved()
		if _, err := w.service.Exempt(t.Context(), exempt.ID, "offline"); err != nil {
			t.Fatal(err)
		}
		w.pay(payment(t, paid))
		w.clock.Advance(window + schedule().CloseGrace - time.Millisecond)
		w.sweepAll()
		for _, o := range []Order{unconfirmed, confirmed} {
			if now := w.get(o.ID); now.Status == Closed {
				t.Errorf("closed before the grace has passed: %+v", now)
			}
		}
		w.clock.Advance(time.Millisecond)
		w.sweepAll()
		for _, o := range []Order{unconfirmed, confirmed} {
			now := w.get(o.ID)
			if now.Status != Closed || now.CloseReason != Timeout {
				t.Errorf("overdue, but %s", describe(now))
			}
			if e := w.last(o.ID, KindChanged); e.Cause != BySweeper || e.Status != Closed || e.Version != now.Version {
				t.Errorf("timeline says %+v", e)
			}
		}
		if now := w.get(exempt.ID); now.Status != Reserved || now.SweepAt != sweep.Never {
			t.Errorf("exempt, but %+v", now)
		}
		if now := w.get(paid.ID); now.Status != Paid {
			t.Errorf("paid, but %+v", now)
		}
	})
}

// Several sweepers at once: each stuck order is sent again once.
func TestManySweepersDoTheWorkOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const orders, sweepers = 150, 4
		var ids []string
		for range orders {
			ids = append(ids, w.place(request()).ID)
		}
		w.clock.Advance(schedule().ResendAfter)
		services := make([]*Service, sweepers)
		for i := range services {
			services[i] = w.another()
		}
		atOnce(sweepers, func(i int) {
			for full := true; full; {
				var err error
				if full, err = services[i].sweepOnce(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
		w.sweepAll() // what two have looked at in the same moment
		for _, id := range ids {
			w.wantDelivered(id, event.TagCreated, event.TagCreated)
		}
	})
}

// A sweeper that dies with its leased rows, or whose broker is down, leaves them to
// the next: after the lease.
func TestLeasedRowsComeUpAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.place(request())
		w.clock.Advance(schedule().ResendAfter)
		leased, err := w.store.lease(t.Context()) // and then the process dies
		if err != nil || len(leased) != 1 || len(leased[0].Lines) != len(o.Lines) {
			t.Fatalf("leased %v, %v", leased, err)
		}
		w.sweepAll()
		w.wantDelivered(o.ID, event.TagCreated)
		w.clock.Advance(sweep.Lease)
		w.broker.set(func(b *fakeBroker) { b.halfFails = true })
		if _, err := w.service.sweepOnce(t.Context()); !errors.Is(err, message.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		w.broker.set(func(b *fakeBroker) { b.halfFails = false })
		w.clock.Advance(sweep.Lease)
		w.sweepAll()
		w.wantDelivered(o.ID, event.TagCreated, event.TagCreated)
		// The one who was thought dead comes back, and finds the row taken.
		err = w.service.sweepOrder(t.Context(), leased[0])
		if !errors.Is(err, errStale) {
			t.Errorf("the late sweeper: %v", err)
		}
		w.wantDelivered(o.ID, event.TagCreated, event.TagCreated)
	})
}

// Where the first wait is shorter than a lease, a row about which nothing could be done
// waits no longer than that.
func TestFailedRowsAreGivenBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const soon = sweep.Lease / 10
		w.store.schedule.ResendAfter = soon
		w.service.store = w.store
		o := w.place(request())
		w.clock.Advance(schedule().ResendAfter)
		w.broker.set(func(b *fakeBroker) { b.halfFails = true })
		_, err := w.service.sweepOnce(t.Context())
		if !errors.Is(err, message.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		var log telemetrytest.Log
		sweep.Report(t.Context(), telemetry.NewLogger(&log, telemetry.JSON, slog.LevelInfo), err)
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"order_id":"`+o.ID+`"`) {
			t.Errorf("logged %s", text)
		}
		w.broker.set(func(b *fakeBroker) { b.halfFails = false })
		w.sweepAll()
		w.wantDelivered(o.ID, event.TagCreated)
		w.clock.Advance(soon * 5 / 4)
		w.sweepAll()
		w.wantDelivered(o.ID, event.TagCreated, event.TagCreated)
	})
}

// What changes between the look and the sending is not sent.
func TestSweeperSendsNothingThatIsNotTrueAnyMore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.place(request())
		w.clock.Advance(schedule().ResendAfter)
		leased, err := w.store.lease(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.cancel(o.ID)
		if err := w.service.sweepOrder(t.Context(), leased[0]); !errors.Is(err, errStale) {
			t.Errorf("error %v", err)
		}
		w.wantDelivered(o.ID, event.TagCreated, event.TagClosed)
	})
}

// Rows of a program that knows no sweeper are put right, whatever their status.
func TestSweeperPutsOldRowsRight(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		reserved, sold := w.reserved(), w.reserved()
		w.pay(payment(t, sold))
		w.stock(event.TagSold, stockEvent(sold.ID, 2))
		old := "UPDATE orders SET sweep_at = 0, sweep_count = 0, stock_wanted = 0" // the migration's defaults
		if err := w.db.With(t.Context()).Exec(old).Error; err != nil {
			t.Fatal(err)
		}
		w.sweepAll()
		if now := w.get(reserved.ID); now.SweepAt != now.ExpiresAt+schedule().CloseGrace.Milliseconds() || now.StockWanted != StockReserved {
			t.Errorf("reserved: %+v", now)
		}
		if now := w.get(sold.ID); now.SweepAt != sweep.Never || now.StockWanted != StockSold {
			t.Errorf("sold: %+v", now)
		}
		w.wantDelivered(reserved.ID, event.TagCreated)
		w.wantDelivered(sold.ID, event.TagCreated, event.TagPaid)
	})
}

// With inventory away for hours, nothing piles up: an order is sent again ever more
// seldom, and ends.
func TestOrdersEndWhileInventoryIsAway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.place(request())
		for end := w.clock.Now().Add(24 * time.Hour); w.clock.Now().Before(end); w.clock.Advance(15 * time.Second) {
			w.sweepAll()
		}
		now := w.get(o.ID)
		if now.Status != Closed || now.CloseReason != Timeout {
			t.Errorf("after a day: %s", describe(now))
		}
		if n := len(w.broker.delivered(o.ID)); n < 10 || n > 60 {
			t.Errorf("%d events in a day", n)
		}
		w.stock(event.TagReleased, stockEvent(o.ID, 1))
		if now := w.get(o.ID); !now.settled() || now.SweepAt != sweep.Never {
			t.Errorf("at last: %+v", now)
		}
	})
}

// Sweep goes on after an error, and ends with its context.
func TestSweepRunsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.place(request())
		w.clock.Advance(schedule().ResendAfter)
		w.broker.set(func(b *fakeBroker) { b.halfFails = true })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var reports atomic.Int64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.service.Sweep(ctx, time.Second, func(err error) {
				reports.Add(1)
				w.broker.set(func(b *fakeBroker) { b.halfFails = false })
			})
		}()
		await(t, "the event", func() bool {
			w.clock.Advance(time.Second)
			return len(w.broker.delivered(o.ID)) == 2
		})
		cancel()
		<-ended
		if reports.Load() == 0 {
			t.Error("the failure was not reported")
		}
	})
}

// An envelope that says nothing new leaves a trace, with the message and its attempt.
func TestDuplicatesAreInTheTimeline(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		w.stock(event.TagReserved, stockEvent(o.ID, 1))
		if e := w.last(o.ID, KindReceived); e.Cause != ByInventory || e.Tag != "reserved" || e.MessageID != "M1" || e.Version != 0 {
			t.Errorf("timeline says %+v", e)
		}
		var kinds []string
		for _, e := range w.timeline(o.ID) {
			kinds = append(kinds, fmt.Sprintf("%d %s %d", e.Kind, e.Tag, e.Version))
		}
		want := []string{"2 timeout 0", "1 created 1", "1 reserved 2", "3 reserved 0"}
		if !slices.Equal(kinds, want) {
			t.Errorf("timeline %v, want %v", kinds, want)
		}
	})
}

// A check-back is in the timeline with its answer, also that of an order that never
// came to be.
func TestCheckBacksAreInTheTimeline(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.broker.set(func(b *fakeBroker) { b.loseEnd = true })
		o := w.place(request())
		w.broker.checkBackAll(w.listener())
		if e := w.last(o.ID, KindCheckBack); e.Cause != ByBroker || e.Detail != "commit" || e.Tag != "created" {
			t.Errorf("timeline says %+v", e)
		}
	})
}
