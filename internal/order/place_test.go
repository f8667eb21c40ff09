package order

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"gorm.io/gorm"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/migrations"
)

func newSQLite(t testing.TB) *database.DB { return databasetest.NewSQLite(t, migrations.Order()) }

// An order that is placed is there as it was answered, with its event and its
// timer, whose due time is the order's.
func TestPlace(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		r := request()
		r.Window = time.Minute
		o := w.place(r)
		want := Order{
			ID: o.ID, CustomerID: r.CustomerID, IdempotencyKey: r.IdempotencyKey, RequestHash: o.RequestHash,
			Status: Placed, Currency: "EUR", TotalMinor: 1499, WindowMs: 60_000,
			ExpiresAt: start.UnixMilli() + 60_000, CreatedAt: start.UnixMilli(), UpdatedAt: start.UnixMilli(), Version: 1,
			SweepAt: start.Add(schedule().ResendAfter).UnixMilli(),
			Lines: []Line{
				{OrderID: o.ID, SKU: "cup", Quantity: 1, UnitPriceMinor: 999},
				{OrderID: o.ID, SKU: "tea", Quantity: 2, UnitPriceMinor: 250},
			},
		}
		if diff := cmp.Diff(want, o); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(o, w.get(o.ID)); diff != "" {
			t.Errorf("stored and answered differ: %s", diff)
		}
		events := w.broker.deliveredEvents(o.ID)
		if len(events) != 1 || events[0].tag != event.TagCreated || events[0].event.GetExpiresAtMs() != o.ExpiresAt ||
			events[0].event.GetPaymentWindowMs() != 60_000 || len(events[0].event.GetLines()) != 2 {
			t.Errorf("events %+v", events)
		}
		if len(w.broker.timers) != 1 {
			t.Fatalf("%d timers", len(w.broker.timers))
		}
		timer := w.broker.timers[0]
		items, dueAt, err := event.DecodePaymentTimeouts(event.Tag(timer.message.Tag), timer.message.Body)
		if err != nil || dueAt != o.ExpiresAt || timer.delay != time.Minute || len(items) != 1 || items[0].OrderID != o.ID {
			t.Errorf("timer %+v: due at %d, items %+v, %v", timer, dueAt, items, err)
		}
		h := w.broker.lastHalf()
		if !slices.Equal(h.message.Keys, []string{o.ID}) || !event.IsOrderID(h.message.Properties[event.PropertyBarrier]) || h.message.Topic != "order-events" {
			t.Errorf("half message %+v", h.message)
		}
	})
}

// The same key gives the first order, as it is now, however often; another
// request with the key is refused. Keys compare byte by byte, per customer.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		r := request()
		r.IdempotencyKey = "A"
		first := w.place(r)
		w.clock.Advance(time.Minute)
		if diff := cmp.Diff(first, w.place(r)); diff != "" {
			t.Error(diff)
		}
		shuffled := r
		shuffled.Lines = []RequestLine{r.Lines[1], {SKU: "tea", Quantity: 1, UnitPriceMinor: 250}, {SKU: "tea", Quantity: 1, UnitPriceMinor: 250}}
		if again := w.place(shuffled); again.ID != first.ID {
			t.Error("the same lines in another order are another request")
		}
		other := r
		other.Lines = r.Lines[:1]
		_, err := w.service.Place(t.Context(), draft(t, other))
		wantError(t, err, codes.AlreadyExists, ReasonKeyReused)
		w.wantRows(map[string]int64{"orders": 1, "order_lines": 2})
		for i, change := range []func(*Request){
			func(r *Request) { r.IdempotencyKey = "a" },
			func(r *Request) { r.IdempotencyKey = "A-" },
			func(r *Request) { r.CustomerID = "CUSTOMER-1" },
		} {
			next := r
			change(&next)
			if o := w.place(next); o.ID == first.ID {
				t.Errorf("change %d gave the same order", i)
			}
		}
		w.wantRows(map[string]int64{"orders": 4})
		w.stock(event.TagReserved, stockEvent(first.ID, 1))
		if again := w.place(r); again.Status != Reserved {
			t.Errorf("the repetition gives the order as %s", again.Status)
		}
	})
}

// T72: many callers with one key at once make one order with one event, and all
// get it; with another body they are refused.
func TestSameKeyInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const callers = 50
		r := request()
		other := r
		other.Lines = r.Lines[:1]
		ids := make([]string, callers)
		errs := make([]error, callers)
		services := []*Service{w.service, w.another()}
		atOnce(callers, func(i int) {
			var o Order
			o, errs[i] = services[i%2].Place(t.Context(), draft(t, []Request{r, r, r, other}[i%4]))
			ids[i] = o.ID
		})
		w.wantRows(map[string]int64{"orders": 1})
		won := map[string]int{}
		for i, err := range errs {
			if err == nil {
				won[ids[i]]++
				continue
			}
			wantError(t, err, codes.AlreadyExists, ReasonKeyReused)
		}
		if len(won) != 1 {
			t.Fatalf("callers got the orders %v", won)
		}
		for id, n := range won {
			if w.get(id).TotalMinor == 1499 && n != 38 || w.get(id).TotalMinor != 1499 && n != 12 {
				t.Errorf("%d callers were answered", n)
			}
			w.wantDelivered(id, event.TagCreated)
		}
		if tags := w.broker.committedTags(); tags[event.TagCreated] != 1 {
			t.Errorf("committed messages: %v", tags)
		}
		if pending := w.broker.pending(); len(pending) != 0 {
			t.Errorf("%d half messages left to check-back", len(pending))
		}
	})
}

// T14: many callers at once each get their own order, whatever becomes of the
// others.
func TestParallelPlacesDoNotMixUp(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		atOnce(100, func(i int) {
			r := request()
			r.CustomerID = fmt.Sprint("customer-", i)
			ctx := t.Context()
			if i%3 == 0 { // these end as "the key was used for something else"
				r.CustomerID, r.IdempotencyKey = "shared", "shared"
				r.Lines[0].Quantity = int64(i + 1)
			}
			o, err := w.service.Place(ctx, draft(t, r))
			switch {
			case err == nil && (o.CustomerID != r.CustomerID || o.IdempotencyKey != r.IdempotencyKey || o.Lines[1].Quantity != r.Lines[0].Quantity):
				t.Errorf("caller %d got %+v", i, o)
			case err != nil && i%3 != 0:
				t.Errorf("caller %d: %v", i, err)
			}
		})
		w.wantRows(map[string]int64{"orders": 67})
		if tags := w.broker.committedTags(); tags[event.TagCreated] != 67 {
			t.Errorf("committed messages: %v", tags)
		}
	})
}

// T17, T20: an order whose half message or timer the broker does not take is
// refused; there is no row of it and no event, and the client may try again.
func TestBrokerRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fakeBroker){
		"half":           func(b *fakeBroker) { b.halfFails = true },
		"timer":          func(b *fakeBroker) { b.timerFails = true },
		"timer and half": func(b *fakeBroker) { b.timerFails, b.halfFails = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				w.broker.set(change)
				r := request()
				_, err := w.service.Place(t.Context(), draft(t, r))
				wantError(t, err, codes.Unavailable, unavailable)
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("error of several lines: %q", err)
				}
				w.wantRows(map[string]int64{"orders": 0, "order_lines": 0, "barriers": 0})
				for _, h := range w.broker.halves {
					if w.broker.stateOf(h) != message.StateRollback {
						t.Errorf("half message is %s", h.state)
					}
				}
				w.broker.set(func(b *fakeBroker) { b.halfFails, b.timerFails = false, false })
				o := w.place(r)
				w.wantDelivered(o.ID, event.TagCreated)
			})
		})
	}
}

// T20: the database transaction waits for the timer's acknowledgement.
func TestOrderWaitsForItsTimer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		running := make(chan struct{})
		w.broker.set(func(b *fakeBroker) {
			b.timerGate = gate
			b.execute = func(_ *half, _ any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
				close(running)
				return run()
			}
		})
		done := make(chan error)
		go func() {
			_, err := w.service.Place(t.Context(), draft(t, request()))
			done <- err
		}()
		<-running
		w.wantRows(map[string]int64{"orders": 0, "barriers": 0})
		close(gate)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		w.wantRows(map[string]int64{"orders": 1, "barriers": 1})
	})
}

// A timer that is not acknowledged in time refuses the order; the local
// transaction has a deadline of its own.
func TestTimerWithoutAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSQLite(t))
	w.service.config.LocalTransactionTimeout = time.Millisecond
	w.broker.set(func(b *fakeBroker) { b.timerGate = make(chan struct{}) })
	_, err := w.service.Place(t.Context(), draft(t, request()))
	wantError(t, err, codes.Unavailable, unavailable)
	w.wantRows(map[string]int64{"orders": 0, "barriers": 0})
	if h := w.broker.lastHalf(); h.state != message.StateRollback {
		t.Errorf("half message is %s", h.state)
	}
}

// An order is not committed after its payment window, nor in its last moment, when
// the timer could overtake the commit: it would be born expired, with its timer
// used up.
func TestOrderIsNotCommittedAfterItsWindow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, late := range []time.Duration{window, window + time.Hour, window - time.Millisecond, window - time.Second, window - 2*time.Second} {
			w.broker.set(func(b *fakeBroker) {
				b.execute = func(_ *half, _ any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
					w.clock.Advance(late)
					return run()
				}
			})
			_, err := w.service.Place(t.Context(), draft(t, request()))
			if late < window-time.Second {
				if err != nil {
					t.Errorf("%s: %v", late, err)
				}
				continue
			}
			wantError(t, err, codes.Unavailable, unavailable)
			w.wantRows(map[string]int64{"orders": 0, "barriers": 0})
		}
	})
}

// The moment may also come while the local transaction runs.
func TestOrderIsNotCommittedIfItsWindowEndsMeanwhile(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.faults.set(func(db *gorm.DB) error {
			if db.Statement.Table == "orders" && len(db.Statement.BuildClauses) > 0 && db.Statement.BuildClauses[0] == "INSERT" {
				w.clock.Advance(window)
			}
			return nil
		})
		_, err := w.service.Place(t.Context(), draft(t, request()))
		wantError(t, err, codes.Unavailable, unavailable)
		w.faults.set(nil)
		w.wantRows(map[string]int64{"orders": 0, "barriers": 0})
	})
}

// T15: a caller who goes away does not tear the local transaction in two, and
// gets the order with the next call.
func TestCallerGoesAway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		w.broker.set(func(b *fakeBroker) {
			b.execute = func(_ *half, arg any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
				work := arg.(*localTransaction)
				apply := work.apply
				work.apply = func(tx *Tx, m message.Message) error {
					err := apply(tx, m)
					cancel()
					return err
				}
				return run()
			}
		})
		r := request()
		o, err := w.service.Place(ctx, draft(t, r))
		if err != nil {
			t.Fatal(err)
		}
		w.broker.set(func(b *fakeBroker) { b.execute = nil })
		if again := w.place(r); again.ID != o.ID {
			t.Errorf("order %s, then %s", o.ID, again.ID)
		}
		w.wantDelivered(o.ID, event.TagCreated)
	})
}
